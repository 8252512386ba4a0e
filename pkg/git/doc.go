// Package git has the values in which pkg/gitops and whoever reads and writes a repository for it speak of
// one: entries, edits, commits, revisions, the state of a branch, and the errors.
//
// The errors are told apart with errors.As, and those after which the same call may succeed a little later
// with errors.Is(err, [ErrTransient]). Each says with Hint what to do next; the words of servers in them are
// free of control characters and of credentials when they come from this module.
//
// There is no connection to a server in here: see pkg/connect.
package git
