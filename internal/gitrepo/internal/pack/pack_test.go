package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// git runs the git command on a repository in a directory of the test.
func git(t testing.TB, dir string, stdin []byte, args ...string) []byte {
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
	git(t, t.TempDir(), nil, "init", "--quiet", "--bare", "--initial-branch=main", dir)
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
	git(t, dir, []byte(in.String()), "fast-import", "--quiet")
	return dir
}

// testLimits are those of a fetch.
var testLimits = Limits{Object: 16 << 20, File: 16 << 20, Objects: 750_000, Inflated: 16 << 30}

// packOf is a pack as a transfer brings it.
func packOf(content []byte) *Data {
	p := &Data{}
	p.Write(content)
	return p
}

type gitObject struct{ kind, content string }

// catFiles reads objects as git does.
func catFiles(t testing.TB, dir string, names []byte) map[string]gitObject {
	t.Helper()
	out := string(git(t, dir, names, "cat-file", "--batch"))
	all := map[string]gitObject{}
	for out != "" {
		var id, kind string
		var size int
		header, rest, _ := strings.Cut(out, "\n")
		if _, err := fmt.Sscanf(header, "%s %s %d", &id, &kind, &size); err != nil {
			t.Fatalf("%q: %v", header, err)
		}
		all[id] = gitObject{kind, rest[:size]}
		out = rest[size+1:]
	}
	return all
}

// Everything that git packs, in every form it packs it, is read as git reads it.
func TestObjects_readsWhatGitWrites(t *testing.T) {
	t.Parallel()
	dir := history(t)
	names := git(t, dir, nil, "rev-list", "--objects", "--no-object-names", "main")
	all := catFiles(t, dir, names)
	for name, args := range map[string][]string{
		"offset deltas":    {"--delta-base-offset", "--window=50", "--depth=50"},
		"reference deltas": {"--window=50", "--depth=50"},
		"no deltas":        {"--window=0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pack := git(t, dir, names,
				append([]string{"pack-objects", "--stdout", "--no-reuse-delta", "--quiet"}, args...)...)
			o := NewObjects(testLimits)
			if err := o.Add(t.Context(), packOf(pack)); err != nil {
				t.Fatal(err)
			}
			commitsAndDirectories := len(o.names)
			structures, files := 0, 0
			for id, want := range all {
				var got []byte
				var err error
				if want.kind == "blob" {
					files++
					got, err = o.File(t.Context(), plumbing.NewHash(id))
				} else {
					structures++
					got, _, err = o.Structure(plumbing.NewHash(id))
				}
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != want.content {
					t.Fatalf("%s %s differs", want.kind, id)
				}
			}
			if structures != commitsAndDirectories || structures < 100 || files < 100 {
				t.Errorf("%d commits and directories of %d, %d files",
					structures, commitsAndDirectories, files)
			}
		})
	}
}

// A pack that grows beyond all bounds when it is unpacked is stopped by its numbers, not by the machine's
// memory.
func TestObjects_bombs(t *testing.T) {
	t.Parallel()
	bomb, err := Write([]Object{{Kind: Tree, Content: make([]byte, 2<<20)}}, false)
	if err != nil {
		t.Fatal(err)
	}
	small, little := testLimits, testLimits
	small.Object, little.Inflated = 1<<20, 1<<20
	for want, limits := range map[error]Limits{
		ErrObjectTooLarge: small,
		ErrTooLarge:       little,
	} {
		o := NewObjects(limits)
		if err := o.Add(t.Context(), packOf(bomb)); !errors.Is(err, want) {
			t.Errorf("error is %v, want %v", err, want)
		}
	}
	// An announced size that deflate cannot reach is refused before memory is taken.
	lie := append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), entryHeader(Tree, 1<<40)...)
	lie = append(lie, make([]byte, 50)...)
	h := NewHash()
	h.Write(lie)
	large := testLimits
	large.Object = 1 << 50
	if err := NewObjects(large).Add(t.Context(), packOf(h.Sum(lie))); !errors.Is(err, ErrDamaged) {
		t.Errorf("error is %v, want a bad pack", err)
	}
}

// Whatever a server sends, reading it ends, with objects or an error.
func FuzzObjects(f *testing.F) {
	dir := history(f)
	names := git(f, dir, nil, "rev-list", "--objects", "--no-object-names", "--max-count=2", "main")
	for _, args := range [][]string{{"--delta-base-offset"}, {"--window=10"}, {"--window=0"}} {
		pack := git(f, dir, names,
			append([]string{"pack-objects", "--stdout", "--no-reuse-delta", "--quiet"}, args...)...)
		f.Add(pack[:len(pack)-packTrailerSize])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h := NewHash()
		h.Write(body)
		o := NewObjects(Limits{Object: 1 << 20, File: 1 << 20, Objects: testLimits.Objects,
			Inflated: 8 << 20})
		if err := o.Add(context.Background(), packOf(h.Sum(body))); err != nil {
			return
		}
		for id := range o.names {
			content, _, err := o.Structure(id)
			if err != nil {
				t.Fatal(err)
			}
			if HashObject(NewHash(), plumbing.TreeObject, content) != id &&
				HashObject(NewHash(), plumbing.CommitObject, content) != id {
				t.Fatal("an object with the wrong name")
			}
		}
		o.File(context.Background(), plumbing.ZeroHash) // it must not panic
	})
}
