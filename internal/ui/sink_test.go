package ui_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// Whatever writes to the streams, and in whatever form, no secret comes out; data does as it is.
func TestGuarded(t *testing.T) {
	t.Parallel()
	const address, known = "https://bob:s3cret@h/x", "hunter22"
	var out, err bytes.Buffer
	redactor := &redact.Redactor{}
	streams := ui.Streams{Out: &out, Err: &err, UTF8: true}.Guarded(redactor)
	redactor.Know(known)
	for name, tc := range map[string]struct {
		write func()
		want  string
	}{
		"text": {func() { fmt.Fprintf(streams.Out, "at %s with %s\n", address, known) },
			"at https://***@h/x with ***\n"},
		"JSON": {func() {
			io.WriteString(streams.Out, `{"url":"`+address+`","hunter22":["\"hunter22\u202e"]}`+"\n")
		},
			`{"url":"https://***@h/x","hunter22":["\"***\u202e"]}` + "\n"},
		"table": {func() {
			table := ui.NewTable(streams.Out, "URL", "KEY")
			table.Row(address, known)
			table.Row("x", "y")
			table.Flush()
		}, "URL               KEY\nhttps://***@h/x   ***\nx                 y\n"},
		"data":                {func() { io.WriteString(streams.Data(), address+known) }, address + known},
		"data without a sink": {func() { io.WriteString(ui.Streams{Out: &out}.Data(), address) }, address},
	} {
		out.Reset()
		tc.write()
		if out.String() != tc.want {
			t.Errorf("%s: %q, not %q", name, out.String(), tc.want)
		}
	}
	for mode, want := range map[ui.ProgressMode]string{
		ui.ProgressPlain: "  at https://***@h/x with ***\n",
		ui.ProgressJSON:  `"text":"at https://***@h/x with ***"`,
	} {
		err.Reset()
		steps := ui.NewSteps(streams, mode, true)
		steps.Note(step.LevelInfo, "at "+address+" with "+known)
		steps.Close()
		if !bytes.Contains(err.Bytes(), []byte(want)) || bytes.Contains(err.Bytes(), []byte("s3cret")) {
			t.Errorf("%s: %q, not %q", mode, err.String(), want)
		}
	}
}

// What is cut to fit a line is redacted before: the rest of a password does not look like one.
func TestClean_redacts(t *testing.T) {
	t.Parallel()
	if got := ui.CleanLine("a\nhttps://bob:s3cret@h/x"); got != "a https://***@h/x" {
		t.Errorf("%q", got)
	}
}
