// Package text makes texts fit for where they are shown.
package text

import "strings"

// plain are the characters that mean nothing to a POSIX shell, wherever they stand in a word.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./:@,%="

// ShellWord is a text as one word of a command that a person is told to type, in quotes only where a shell would not take it as it is.
func ShellWord(s string) string {
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
