// Package ui is the program's face: the three streams, what is known about the terminal behind them, the
// reporter that shows the steps of a run, tables and diffs. Results go to standard output, everything else to
// standard error.
//
// All text passes through [Clean] before it is written, because specs, repositories and servers are not
// trusted: a control character in a commit message must not reach the user's terminal.
package ui
