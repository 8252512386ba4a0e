// Package hint is what errors and results say to help: texts in which this project's own operations and
// options are references, so that each reader gets them in words of their own. A program that has a command
// line says which flag helps ([Hint.In]); who calls the packages reads which field or function does
// ([Hint.String]).
//
// A text that names none of them needs no reference, and errors may go on to have a plain Hint() string: [Of]
// reads both. Commands of other programs, such as kubectl and git, are the same for every reader and stand in
// the text as they are.
package hint
