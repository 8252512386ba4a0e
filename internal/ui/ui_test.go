package ui_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/schematest"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"plain", "Create repository acme/fleet ✓\n\tdone", "Create repository acme/fleet ✓\n\tdone"},
		{"escape sequence", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"carriage return", "ok\rFAILED", `ok\x0dFAILED`},
		{"bidirectional override", "a\u202eb", `a\u202eb`},
		{"C1 control", "a\u009bb", `a\x9bb`},
		{"broken UTF-8", "a\xffb", `a\xffb`},
		{"invisible tag", "a\U000e0001b", `a\U000e0001b`},
		{"line separator", "a\u2028b", `a\u2028b`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := ui.Clean(tc.text); got != tc.want {
				t.Errorf("Clean(%q) = %q, want %q", tc.text, got, tc.want)
			}
			if again := ui.Clean(ui.Clean(tc.text)); again != tc.want {
				t.Errorf("cleaning twice gives %q", again)
			}
		})
	}
}

// tell reports a little run to steps of the given mode and returns what was shown.
func tell(t *testing.T, s ui.Streams, mode ui.ProgressMode) string {
	t.Helper()
	var out bytes.Buffer
	s.Err = &out
	steps := ui.NewSteps(s, mode, false)
	steps.Begin("Create repository acme/fleet")
	steps.End("Create repository acme/fleet", step.OutcomeChanged, "private")
	steps.Begin("Push")
	steps.Progress("Push", "quick: not worth a line")
	steps.End("Push", step.OutcomeUnchanged, "at 3f2a1bc")
	steps.Note(step.LevelWarning, "the token \x1b[1mexpires soon")
	steps.Begin("Install Flux")
	steps.End("Install Flux", step.OutcomeFailed, "")
	steps.Close()
	steps.Close()
	return out.String()
}

func TestSteps_plain(t *testing.T) {
	t.Parallel()
	want := strings.Join([]string{
		"✓ Create repository acme/fleet (private)",
		"✓ Push (at 3f2a1bc, unchanged)",
		`! warning: the token \x1b[1mexpires soon`,
		"✗ Install Flux",
		"",
	}, "\n")
	if got := tell(t, ui.Streams{UTF8: true}, ui.ProgressAuto); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestSteps_plainASCII(t *testing.T) {
	t.Parallel()
	got := tell(t, ui.Streams{}, ui.ProgressPlain)
	if strings.ContainsFunc(got, func(r rune) bool { return r > 127 }) ||
		!strings.Contains(got, "[ok] Push (at 3f2a1bc, unchanged)\n") {
		t.Errorf("got:\n%s", got)
	}
}

func TestSteps_spinnerEndsOnWholeLines(t *testing.T) {
	t.Parallel()
	got := tell(t, ui.Streams{UTF8: true, ErrTTY: true}, ui.ProgressAuto)
	if !strings.Contains(got, "\r\x1b[K✓ Push (at 3f2a1bc, unchanged)\n") ||
		!strings.HasSuffix(got, "✗ Install Flux\n") {
		t.Errorf("got: %q", got)
	}
}

func TestSteps_jsonLines(t *testing.T) {
	t.Parallel()
	var events []string
	lines := tell(t, ui.Streams{}, ui.ProgressJSON)
	checkEvents(t, lines)
	for line := range strings.Lines(lines) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, event["event"].(string))
	}
	if got, want := strings.Join(events, " "), "begin end begin progress end note begin end"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// checkEvents holds lines of --progress json against the published schema.
func checkEvents(t *testing.T, lines string) {
	t.Helper()
	schemas, err := schematest.Read("../../docs/schema")
	if err != nil {
		t.Fatal(err)
	}
	if err := schemas.Check([]byte(lines)); err != nil {
		t.Errorf("%v\n%s", err, lines)
	}
}

func TestSteps_none(t *testing.T) {
	t.Parallel()
	if got, want := tell(t, ui.Streams{}, ui.ProgressNone),
		"eksa-gitops: warning: the token \\x1b[1mexpires soon\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	if got := ui.Diff("a.yaml", []byte("x: 1\n"), []byte("x: 1\n")); got != "" {
		t.Errorf("equal files differ: %q", got)
	}
	want := "--- a/a.yaml\n+++ b/a.yaml\n@@ -1 +1 @@\n-x: 1\n+x: 2\n"
	if got := ui.Diff("a.yaml", []byte("x: 1\n"), []byte("x: 2\n")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ui.Diff("a.yaml", nil, []byte("x: 2\n")); !strings.HasPrefix(got,
		"--- /dev/null\n+++ b/a.yaml\n") {
		t.Errorf("a new file: %q", got)
	}
}
