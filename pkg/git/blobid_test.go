package git_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// Git itself says what it calls the content.
func TestBlobID(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "a\n", "a\x00b", strings.Repeat("long\r\n", 10_000)} {
		hash := exec.CommandContext(t.Context(), "git", "hash-object", "--stdin", "--no-filters")
		hash.Dir, hash.Stdin = t.TempDir(), bytes.NewReader([]byte(content))
		want, err := hash.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := git.BlobID([]byte(content)); got != strings.TrimSpace(string(want)) {
			t.Errorf("%d bytes: %s, want %s", len(content), got, want)
		}
	}
}
