package e2e_test

import (
	"bytes"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/schematest"
)

// asPublished holds what a run has printed as JSON against the schemas: its result, and its steps and
// messages. What a run has printed that was killed, or whose reader went away, ends anywhere.
func (w *world) asPublished(args []string, code int, stdout, stderr []byte) {
	w.t.Helper()
	const killed, unread = -1, 141
	if code == killed || code == unread {
		return
	}
	schemas, err := schematest.Published()
	if err != nil {
		w.t.Fatal(err)
	}
	check := func(text []byte) {
		if err := schemas.Check(text); err != nil {
			w.t.Errorf("eksa-gitops %s: %v\n%s", strings.Join(args, " "), err, text)
		}
	}
	asks := func(flag string) bool {
		at := slices.Index(args, flag)
		return at >= 0 && at+1 < len(args) && args[at+1] == "json"
	}
	if asks("-o") && len(stdout) > 0 {
		check(stdout)
	}
	if asks("--progress") && bytes.HasSuffix(stderr, []byte("\n")) && args[0] != "convert" {
		check(stderr)
	}
}
