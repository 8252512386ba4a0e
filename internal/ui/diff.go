package ui

import (
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// Diff returns the unified diff from before to after with three lines of context, headed by the path; an
// absent side is given as nil and named /dev/null, as git shows it. It is empty when nothing differs.
func Diff(path string, before, after []byte) string {
	oldName, newName := "a/"+path, "b/"+path
	if before == nil {
		oldName = "/dev/null"
	}
	if after == nil {
		newName = "/dev/null"
	}
	return udiff.Unified(oldName, newName, string(before), string(after))
}

// PaintDiff colours a unified diff for a terminal; without colour it only makes it safe to print.
func PaintDiff(s Streams, diff string) string {
	diff = Clean(diff)
	if !s.Color || !s.OutTTY {
		return diff
	}
	lines := strings.SplitAfter(diff, "\n")
	var b strings.Builder
	for _, line := range lines {
		paint := ""
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
			paint = "\x1b[1m"
		case strings.HasPrefix(line, "+"):
			paint = "\x1b[32m"
		case strings.HasPrefix(line, "-"):
			paint = "\x1b[31m"
		case strings.HasPrefix(line, "@@"):
			paint = "\x1b[36m"
		}
		if paint == "" {
			b.WriteString(line)
			continue
		}
		body := strings.TrimSuffix(line, "\n")
		b.WriteString(paint + body + "\x1b[0m" + line[len(body):])
	}
	return b.String()
}
