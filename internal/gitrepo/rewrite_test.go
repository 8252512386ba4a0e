package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
)

// What we pack, git takes: whole, and as differences to what it has.
func TestWritePack_gitReadsIt(t *testing.T) {
	t.Parallel()
	dir := history(t)
	tree := plumbing.NewHash(strings.TrimSpace(string(runGit(t, dir, nil, "rev-parse", "main:d/e0"))))
	older := runGit(t, dir, nil, "cat-file", "tree", tree.String())
	newer, delta, err := rewriteTree(older,
		[]treeChange{{name: "f10"}, {name: "zz", mode: 0o40000, hash: tree}})
	if err != nil {
		t.Fatal(err)
	}
	object := pack.Object{Kind: pack.Tree, Content: newer, Base: tree, Delta: delta,
		Hash: pack.HashObject(pack.NewHash(), plumbing.TreeObject, newer)}
	blob := pack.Object{Kind: pack.Blob, Content: []byte{},
		Hash: pack.HashObject(pack.NewHash(), plumbing.BlobObject, nil)}
	sizes := map[bool]int{}
	for _, thin := range []bool{true, false} {
		packed, err := pack.Write([]pack.Object{blob, object}, thin)
		if err != nil {
			t.Fatal(err)
		}
		sizes[thin] = len(packed)
		runGit(t, dir, packed, "index-pack", "--stdin", "--fix-thin")
		if got := runGit(t, dir, nil, "cat-file", "tree", object.Hash.String()); !bytes.Equal(got, newer) {
			t.Error("git reads something else")
		}
	}
	if sizes[true] >= sizes[false] {
		t.Errorf("thin pack has %d bytes, whole one %d", sizes[true], sizes[false])
	}
}

// A change of a few entries of a large directory is small, wherever they are, and says the same as the whole
// directory.
func TestRewriteTree_delta(t *testing.T) {
	t.Parallel()
	var older []byte
	for n := range 10_000 {
		older = append(older, entryBytes(treeChange{name: fmt.Sprintf("c%05d", n), mode: 0o40000,
			hash: pack.HashObject(pack.NewHash(), plumbing.BlobObject, fmt.Append(nil, n))})...)
	}
	base := made(pack.Tree, older)
	server, err := pack.Write([]pack.Object{base}, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, changes := range map[string][]treeChange{
		"none":          nil,
		"first":         {{name: "c00000", mode: 0o40000}},
		"last":          {{name: "c09999", mode: 0o40000}},
		"both ends":     {{name: "c00000", mode: 0o40000}, {name: "c09999", mode: 0o40000}},
		"before, after": {{name: "a", mode: 0o100644}, {name: "z", mode: 0o100644}},
		"delete":        {{name: "c00000"}, {name: "c05000"}, {name: "c09999"}},
		"in between":    {{name: "c05000x", mode: 0o100644}, {name: "c05000", mode: 0o40000}},
	} {
		newer, delta, err := rewriteTree(older, changes)
		if err != nil {
			t.Fatal(err)
		}
		change := made(pack.Tree, newer)
		change.Base, change.Delta = base.Hash, delta
		difference, err := pack.Write([]pack.Object{change}, true)
		if err != nil {
			t.Fatal(err)
		}
		o := pack.NewObjects(Limits{}.withDefaults().ofPacks())
		if err := errors.Join(o.Add(t.Context(), transferred(server)),
			o.Add(t.Context(), transferred(difference))); err != nil {
			t.Fatal(err)
		}
		if got, _, err := o.Structure(change.Hash); err != nil || !bytes.Equal(got, newer) {
			t.Errorf("%s: %v", name, err)
		}
		if len(delta) > 250 {
			t.Errorf("%s: %d bytes", name, len(delta))
		}
	}
}

// runGit runs the git command on a repository in a directory of the test.
func runGit(t testing.TB, dir string, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=" + dir,
		"PATH=/usr/local/bin:/usr/bin:/bin"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// history is a repository whose objects are similar enough for chains of deltas of all kinds.
func history(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "r.git")
	runGit(t, t.TempDir(), nil, "init", "--quiet", "--bare", "--initial-branch=main", dir)
	var in strings.Builder
	for commit := range 30 {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 1\nx\n",
			1_700_000_000+commit)
		for n := range 20 {
			content := strings.Repeat(fmt.Sprintf("line of file %d\n", n), 20) +
				fmt.Sprintf("changed in %d\n", commit)
			fmt.Fprintf(&in, "M 100644 inline d/e%d/f%d\ndata %d\n%s\n", commit%3, n, len(content), content)
		}
		in.WriteString("\n")
	}
	runGit(t, dir, []byte(in.String()), "fast-import", "--quiet")
	return dir
}

// transferred is a pack as a transfer brings it.
func transferred(content []byte) *pack.Data {
	p := &pack.Data{}
	p.Write(content)
	return p
}
