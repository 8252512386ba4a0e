// Package diagnostics shows what is wrong with files, in the forms that people and machines read: text with
// excerpts, JSON, GitHub's workflow annotations and SARIF.
//
// A [Report] is a value: it is filled with the problems of a run and written as often as wanted. Sorting,
// dropping repetitions and counting happen when it is written, so that every command shows the same problems
// the same way. What the files hold is not trusted: control characters and text of the wrong direction come
// out as escapes, whatever the form.
//
// The package writes to the writer it is given and touches nothing else.
package diagnostics
