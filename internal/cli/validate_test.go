package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// TestValidate_colour shows that only text for a terminal that may be coloured is.
func TestValidate_colour(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		tty, colour   bool
		output        string
		wantSequences bool
	}{
		{name: "terminal", tty: true, colour: true, output: "text", wantSequences: true},
		{name: "terminal, NO_COLOR", tty: true, output: "text"},
		{name: "pipe", colour: true, output: "text"},
		{name: "json on a terminal", tty: true, colour: true, output: "json"},
		{name: "github on a terminal", tty: true, colour: true, output: "github"},
		{name: "sarif on a terminal", tty: true, colour: true, output: "sarif"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			streams := ui.Streams{In: strings.NewReader("kind: x\n"), Out: &out, Err: &errs, OutTTY: tc.tty,
				Color: tc.colour}
			code := cli.Run(t.Context(), []string{"validate", "-f", "-", "-o", tc.output}, streams,
				func(string) (string, bool) { return "", false })
			if code != 3 || errs.Len() > 0 {
				t.Errorf("exit code %d, stderr %q", code, errs.String())
			}
			if got := strings.Contains(out.String(), "\x1b["); got != tc.wantSequences {
				t.Errorf("colour is %v:\n%q", got, out.String())
			}
		})
	}
}
