package text_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

func TestShellWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"main": "main", "feature/x": "feature/x", "https://github.com/acme/fleet.git": "https://github.com/acme/fleet.git",
		"": "''", "a b": "'a b'", "a;b": "'a;b'", "$(x)": "'$(x)'", "it's": `'it'\''s'`, "~": "'~'", "a&b": "'a&b'", "a\nb": "'a\nb'",
	} {
		if got := text.ShellWord(in); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}
