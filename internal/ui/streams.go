package ui

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// Streams are the program's standard streams and the facts about the terminal behind them. Tests fill it by
// hand.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	// InTTY and ErrTTY say whether a person sits at that end: questions are asked, and the spinner turns,
	// only then.
	InTTY  bool
	OutTTY bool
	ErrTTY bool
	// Color allows colour on Err; UTF8 allows glyphs beyond ASCII.
	Color bool
	UTF8  bool
	// Width returns the columns of the terminal behind Err, 80 when that is unknown.
	Width func() int
	// Height returns its lines, 24 when that is unknown.
	Height func() int
}

// SystemStreams are the process's own streams, judged by the environment that getenv gives (NO_COLOR, TERM,
// CI, LC_ALL, LC_CTYPE, LANG).
func SystemStreams(getenv func(string) string) Streams {
	return Streams{
		In:     os.Stdin,
		Out:    os.Stdout,
		Err:    os.Stderr,
		InTTY:  term.IsTerminal(int(os.Stdin.Fd())),
		OutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTTY: term.IsTerminal(int(os.Stderr.Fd())) && smart(getenv),
		Color:  term.IsTerminal(int(os.Stderr.Fd())) && smart(getenv) && getenv("NO_COLOR") == "",
		UTF8:   speaksUTF8(getenv),
		Width: func() int {
			if w, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil && w > 0 {
				return w
			}
			return 80
		},
		Height: func() int {
			if _, h, err := term.GetSize(int(os.Stderr.Fd())); err == nil && h > 0 {
				return h
			}
			return 24
		},
	}
}

// smart says whether the terminal can redraw a line. Continuous integration often gives its jobs a terminal
// whose output is a log.
func smart(getenv func(string) string) bool {
	return getenv("TERM") != "dumb" && getenv("CI") == ""
}

// speaksUTF8 follows the order in which the C library reads the locale; no locale at all is taken as UTF-8
// outside a dumb terminal, since that is what today's systems and log viewers show.
func speaksUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := getenv(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return getenv("TERM") != "dumb"
}

// Clean makes text safe to be shown: what has the form of a secret is hidden ([redact.Text]), control
// characters (escape sequences, carriage returns, bells, bidirectional overrides) and broken UTF-8 are shown
// as escapes, line feeds and tabs are kept. What it returns is for people: it is no data any more.
func Clean(text string) string {
	// Here already, and not only where it is written: what is cut to fit a line is no form of a secret any
	// more.
	return Escape(redact.Text(text))
}

// Escape is Clean for what a user has asked for with the secrets in it.
func Escape(text string) string {
	if !strings.ContainsFunc(text, unsafeRune) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			b.WriteString(hexEscape(rune(text[i])))
		case unsafeRune(r):
			b.WriteString(hexEscape(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// CleanLine is Clean for text that has to stay on one line.
func CleanLine(text string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(Clean(strings.TrimSpace(text)))
}

func unsafeRune(r rune) bool {
	return r != '\n' && r != '\t' && text.Invisible(r)
}

func hexEscape(r rune) string {
	switch {
	case r <= 0xff:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	default:
		return fmt.Sprintf(`\U%08x`, r)
	}
}
