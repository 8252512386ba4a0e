package yamlnode_test

import (
	"slices"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string][]string{
		"":                            {""},
		"a: 1\n":                      {"a: 1\n"},
		"---\na: 1\n":                 {"", "\na: 1\n"},
		"a: 1\n---\nb: 2":             {"a: 1\n", "\nb: 2"},
		"a: 1\r\n---\r\nb: 2\r\n":     {"a: 1\r\n", "\r\nb: 2\r\n"},
		"# a\n--- # b\nb: 2\n---":     {"# a\n", " # b\nb: 2\n", ""},
		"--- {a: 1}\n---\tb\n":        {"", " {a: 1}\n", "\tb\n"},
		"a: |\n  ---\n  b\n---b: 1\n": {"a: |\n  ---\n  b\n---b: 1\n"},
	} {
		var got []string
		for document := range yamlnode.Documents([]byte(stream)) {
			got = append(got, string(document))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", stream, got, want)
		}
	}
	for range yamlnode.Documents([]byte("a\n---\nb")) {
		break // and no more is yielded
	}
}
