// Package serverwords knows what Git servers say when they refuse something, and what helps against it. The
// words come to it clean: without control characters and credentials.
package serverwords

import "strings"

// Said puts the server's words behind an error, in one line.
func Said(server string) string {
	if server == "" {
		return ""
	}
	return ": the server says: " + OneLine(server)
}

// OneLine joins lines. What ends a sentence, or goes on, needs no mark between.
func OneLine(text string) string {
	joined := ""
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case joined == "" || line == "":
			joined += line
		case strings.ContainsAny(joined[len(joined)-1:], ".:,!?"):
			joined += " " + line
		default:
			joined += "; " + line
		}
	}
	return joined
}
