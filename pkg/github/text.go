package github

import (
	"strings"
	"unicode"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

// longestText bounds what is shown of a server's text, in runes.
const longestText = 500

// clean takes control characters and invisible ones out of a text that came from outside, and bounds it.
func clean(text string) string { return bound(printable(text)) }

func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text))
}

func bound(text string) string {
	if runes := []rune(text); len(runes) > longestText {
		return string(runes[:longestText]) + "…"
	}
	return text
}

// text is clean for an error: should a server or proxy have repeated the token, it is taken out, before a cut could leave half of it.
func (c *Client) text(s string) string {
	return bound(redact.New(c.reveal()).Text(printable(s)))
}
