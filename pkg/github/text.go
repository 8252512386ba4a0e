package github

import (
	"strings"
	"unicode"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

// longestText bounds what is shown of a server's text, in runes.
const longestText = 500

// shown is a text from outside that was made fit to be shown, and is not what it was. It has a type of its
// own so that it cannot be compared, stored or sent in the place of the text: an RSA key that had been cut
// was not found again.
type shown string

// clean takes control characters and invisible ones out of a text that came from outside, and bounds it. For
// data there is [exact].
func clean(text string) shown { return shown(bound(printable(text))) }

// exact is data out of an answer: as it is, however long, or nothing when it holds a character that no name
// and no key has. It is never something in between.
func exact(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
	}) {
		return ""
	}
	return text
}

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

// text is clean for an error: should a server or proxy have repeated the token, it is taken out, before a cut
// could leave half of it.
func (c *Client) text(s string) string {
	return bound(redact.New(c.reveal()).Text(printable(s)))
}
