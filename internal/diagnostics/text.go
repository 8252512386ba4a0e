package diagnostics

import (
	"io"
	"strconv"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// paint holds the escape sequences of a report; without colour all are empty.
type paint struct{ err, warning, gutter, bold, reset string }

func paintFor(colour bool) paint {
	if !colour {
		return paint{}
	}
	return paint{err: "\x1b[1;31m", warning: "\x1b[1;33m", gutter: "\x1b[1;34m", bold: "\x1b[1m",
		reset: "\x1b[0m"}
}

// textWriter writes problems one after the other. It knows which files it has split into lines and which
// hints it has given.
type textWriter struct {
	out     *strings.Builder // written at once: half a secret is not known as one
	paint   paint
	sources map[string][]byte
	lines   map[string][]string
	secrets map[string]*redact.Redactor // of the files
	hinted  map[string]bool
	command string
}

func (r Report) writeText(w io.Writer, colour bool) error {
	problems := r.sorted()
	if len(problems) == 0 {
		return nil
	}
	t := &textWriter{
		out: &strings.Builder{}, paint: paintFor(colour), sources: r.Sources,
		lines: map[string][]string{}, secrets: map[string]*redact.Redactor{}, hinted: map[string]bool{},
		command: r.Command,
	}
	for i, p := range problems {
		// Several problems at one place share its excerpt.
		repeated := i > 0 && p.Line > 0 && problems[i-1].File == p.File && problems[i-1].Line == p.Line &&
			problems[i-1].Column == p.Column
		if i > 0 && !repeated {
			t.out.WriteByte('\n')
		}
		t.problem(p, repeated)
	}
	t.out.WriteString("\n" + r.summary(problems) + "\n")
	_, err := io.WriteString(w, t.out.String())
	return err
}

func (t *textWriter) problem(p clusterspec.Problem, repeated bool) {
	colour := t.paint.err
	switch p.Severity {
	case clusterspec.SeverityWarning:
		colour = t.paint.warning
	case clusterspec.SeverityNotice:
		colour = t.paint.gutter
	}
	head := p
	head.Found, head.Expected, head.Suggestion = "", "", ""
	severity := cleanLine(string(p.Severity))
	t.out.WriteString(colour + severity + t.paint.reset + t.bold(": "+cleanLine(head.String())) + "\n")

	margin := " "
	found := p.Found
	meant := ""
	if p.Suggestion != "" {
		meant = "did you mean " + strconv.Quote(p.Suggestion) + "?"
	}
	if line, ok := t.line(p); ok {
		e := excerptOf(line, p.Column, p.Rule == "secret", t.secrets[p.File])
		if showsFound(e.token, p.Found) {
			found = ""
		}
		number := strconv.Itoa(p.Line)
		margin = strings.Repeat(" ", len(number)+1)
		if !repeated {
			label := meant
			switch {
			case label != "":
				meant = ""
			case found != "" && !strings.Contains(found, "\n"):
				label, found = "found "+found, ""
			}
			if label != "" {
				label = " " + cleanLine(label)
			}
			t.out.WriteString(margin + t.gutter("|") + "\n")
			t.out.WriteString(t.gutter(number+" |") + pad(e.text) + "\n")
			if e.width > 0 {
				t.out.WriteString(margin + t.gutter("|") + " " + strings.Repeat(" ", e.start) + colour +
					strings.Repeat("^", e.width) + label + t.paint.reset + "\n")
			} else if label != "" {
				t.note(margin, strings.TrimSpace(label))
			}
		}
	}
	if found != "" {
		t.note(margin, "found "+found)
	}
	if p.Expected != "" {
		t.note(margin, "expected "+p.Expected)
	}
	if meant != "" {
		t.note(margin, meant)
	}
	if hint := hintFor(p, t.command); hint != "" && !t.hinted[hint] {
		t.hinted[hint] = true
		t.note(margin, "hint: "+hint)
	}
}

// pad sets a source line off from its gutter; an empty one leaves no blank behind.
func pad(text string) string {
	if text == "" {
		return ""
	}
	return " " + text
}

func (t *textWriter) note(margin, text string) {
	t.out.WriteString(margin + t.gutter("=") + " " + cleanLine(text) + "\n")
}

func (t *textWriter) gutter(text string) string { return t.paint.gutter + text + t.paint.reset }
func (t *textWriter) bold(text string) string   { return t.paint.bold + text + t.paint.reset }

// line gives the source line of a problem, if there is one to show.
func (t *textWriter) line(p clusterspec.Problem) (string, bool) {
	data, ok := t.sources[p.File]
	if !ok || p.Line <= 0 {
		return "", false
	}
	lines, ok := t.lines[p.File]
	if !ok {
		lines = sourceLines(data)
		t.lines[p.File], t.secrets[p.File] = lines, redact.New(clusterspec.Secrets(data)...)
	}
	if p.Line > len(lines) {
		return "", false
	}
	return lines[p.Line-1], true
}

// cleanLine makes text safe to print and keeps it on one line.
func cleanLine(text string) string { return ui.CleanLine(strings.ReplaceAll(text, "\r", " ")) }

// showsFound says whether the marked piece of the source is what was found, so that it need not be said
// again.
func showsFound(token, found string) bool {
	if found == "" {
		return true
	}
	bare := func(s string) string {
		if unquoted, err := strconv.Unquote(s); err == nil {
			return unquoted
		}
		return strings.Trim(s, "'")
	}
	return bare(token) == bare(found)
}
