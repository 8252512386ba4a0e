package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// directoryOf makes a directory object.
func directoryOf(entries ...treeChange) []byte {
	var content []byte
	for _, e := range entries {
		content = append(content, entryBytes(e)...)
	}
	return content
}

// holding is a snapshot of these directories and files, the last directory the root.
func holding(t testing.TB, made []pack.Object) *Snapshot {
	t.Helper()
	content, err := pack.Write(made, false)
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{name: "https://git.example.com/x", limits: Limits{}.withDefaults(), stats: &Stats{}}
	s := &Snapshot{endpoint: e, branch: "main", state: git.BranchExists,
		objects: pack.NewObjects(e.limits.ofPacks()), files: map[plumbing.Hash][]byte{}}
	if err := s.objects.Add(t.Context(), transferred(content)); err != nil {
		t.Fatal(err)
	}
	s.root = made[len(made)-1].Hash
	return s
}

func made(kind byte, content []byte) pack.Object {
	return pack.Object{Kind: kind, Content: content,
		Hash: pack.HashObject(pack.NewHash(), pack.ObjectType(kind), content)}
}

// treeBomb is a directory of ten entries that each are one of ten, and so on; at the end are files.
func treeBomb(levels, wide int) []pack.Object {
	all := []pack.Object{made(pack.Blob, []byte("kind: x\n"))}
	mode := filemode.Regular
	for range levels {
		var entries []treeChange
		for n := range wide {
			entries = append(entries,
				treeChange{name: fmt.Sprintf("d%02d", n), mode: mode, hash: all[len(all)-1].Hash})
		}
		all, mode = append(all, made(pack.Tree, directoryOf(entries...))), filemode.Dir
	}
	return all
}

// below puts a directory at a path, beside a directory of one file.
func below(all []pack.Object, path string) []pack.Object {
	small := made(pack.Tree, directoryOf(treeChange{name: "f", mode: filemode.Regular, hash: all[0].Hash}))
	top := all[len(all)-1].Hash
	all = append(all, small)
	names := strings.Split(path, "/")
	for i := len(names) - 1; i >= 0; i-- {
		all = append(all, made(pack.Tree, directoryOf(
			treeChange{name: names[i], mode: filemode.Dir, hash: top},
			treeChange{name: "zz", mode: filemode.Dir, hash: small.Hash})))
		top = all[len(all)-1].Hash
	}
	return all
}

// A few objects that describe more than anybody can look at are refused before anything is walked, with the
// directory that they are in.
func TestWalk_bombs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 250)
	deep := []pack.Object{made(pack.Tree, nil)}
	for range maxTreeDepth + 10 {
		deep = append(deep, made(pack.Tree,
			directoryOf(treeChange{name: "d", mode: filemode.Dir, hash: deep[len(deep)-1].Hash})))
	}
	names := treeBomb(1, 10)
	for range 4 {
		var entries []treeChange
		for n := range 10 {
			entries = append(entries, treeChange{name: fmt.Sprintf("%s%d", long, n), mode: filemode.Dir,
				hash: names[len(names)-1].Hash})
		}
		names = append(names, made(pack.Tree, directoryOf(entries...)))
	}
	for range 3 { // no more entries, longer paths
		names = append(names, made(pack.Tree,
			directoryOf(treeChange{name: long, mode: filemode.Dir, hash: names[len(names)-1].Hash})))
	}
	for name, c := range map[string]struct {
		objects []pack.Object
		dir     string
		what    string
	}{
		"a trillion files":      {treeBomb(12, 10), "clusters/mgmt/bomb", "files and directories"},
		"more than is counted":  {treeBomb(40, 100), "clusters/mgmt/bomb", "files and directories"},
		"one in another":        {deep, "clusters", "directories in each other"},
		"long names, few files": {names, "clusters/mgmt/bomb/" + long + "/" + long, "bytes of names"},
	} {
		s := holding(t, below(c.objects, "clusters/mgmt/bomb"))
		for _, dir := range []string{"", "clusters", "clusters/mgmt"} {
			visits := 0
			start := time.Now()
			err := s.Walk(t.Context(), dir, func(git.Entry) error { visits++; return nil })
			limit, ok := errors.AsType[*git.TreeLimitError](err)
			if !ok || limit.Dir != c.dir || limit.What != c.what || visits != 0 {
				t.Errorf("%s, walking %q: %d visits, %v", name, dir, visits, err)
			}
			if err := s.CheckSize(t.Context(), dir); !errors.As(err, &limit) {
				t.Errorf("%s, measuring %q: %v", name, dir, err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s: %s", name, took)
			}
		}
		visits := 0
		if err := s.Walk(t.Context(), "clusters/zz",
			func(git.Entry) error { visits++; return nil }); err != nil || visits != 1 {
			t.Errorf("%s, beside it: %d visits, %v", name, visits, err)
		}
	}
}

// What is within the bounds is walked whole, in git's order, unsafe names marked and not followed; the
// visitor and the context end it.
func TestWalk(t *testing.T) {
	t.Parallel()
	all := treeBomb(2, 2)
	file, dir := all[0].Hash, all[2].Hash
	all = append(all, made(pack.Tree, directoryOf(
		treeChange{name: "..", mode: filemode.Dir, hash: dir},
		treeChange{name: ".git", mode: filemode.Dir, hash: dir},
		treeChange{name: "a", mode: filemode.Dir, hash: dir},
		treeChange{name: "b/c", mode: filemode.Dir, hash: dir},
		treeChange{name: "m", mode: filemode.Submodule, hash: file},
		treeChange{name: "z\x1b", mode: filemode.Regular, hash: file})))
	s := holding(t, below(all, "x"))
	var got []string
	note := func(e git.Entry) error {
		line := e.Mode.String() + " " + e.Path
		if e.Unsafe {
			line = "unsafe " + line
		}
		got = append(got, line)
		return nil
	}
	if err := s.Walk(t.Context(), "x", note); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"unsafe directory x/..", "unsafe directory x/.git", "directory x/a", "directory x/a/d00",
		"file x/a/d00/d00", "file x/a/d00/d01", "directory x/a/d01", "file x/a/d01/d00", "file x/a/d01/d01",
		"unsafe directory x/b/c", "submodule x/m", "unsafe file x/z\x1b",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	got = nil
	// it has none
	if err := s.Walk(t.Context(), "x", func(e git.Entry) error { note(e); return fs.SkipAll }); err != nil ||
		len(got) != 1 {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.Walk(t.Context(), "x", func(git.Entry) error { return errTooLarge }); !errors.Is(err,
		errTooLarge) {
		t.Error(err)
	}
	if err := s.Walk(t.Context(), "nothing/here", note); err != nil {
		t.Error(err)
	}
	if err := s.Walk(t.Context(), "zz/f", note); !is[*git.PathError](err) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTooLarge)
	if err := s.Walk(ctx, "x", note); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
}

// A name is found in a wide directory as in a narrow one, whatever the order of the entries, and of two
// entries the first.
func TestLookup_wideDirectory(t *testing.T) {
	t.Parallel()
	all := []pack.Object{made(pack.Blob, []byte("a")), made(pack.Blob, []byte("b"))}
	var entries []treeChange
	for n := range 1000 {
		entries = append(entries,
			treeChange{name: fmt.Sprintf("n%03d", n*7%1000), mode: filemode.Regular, hash: all[0].Hash})
	}
	entries = append(entries, treeChange{name: "n500", mode: filemode.Regular, hash: all[1].Hash})
	s := holding(t, append(all, made(pack.Tree, directoryOf(entries...))))
	for n := range 1000 {
		if e, found, err := s.Lookup(fmt.Sprintf("n%03d", n)); err != nil || !found ||
			e.BlobID != all[0].Hash.String() {
			t.Fatalf("%d: %v, %v, %v", n, e, found, err)
		}
	}
	for _, name := range []string{"n", "n1000", "a", "z"} {
		if _, found, err := s.Lookup(name); err != nil || found {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

// One file at many paths, and many files, are not read when all of them together are too much.
func TestReadAll_tooMuch(t *testing.T) {
	t.Parallel()
	all := []pack.Object{made(pack.Blob, bytes.Repeat([]byte("x"), 1<<20))}
	var entries []treeChange
	var paths []string
	for n := range 1000 {
		name := fmt.Sprintf("f%03d.yaml", n)
		entries, paths = append(entries, treeChange{name: name, mode: filemode.Regular, hash: all[0].Hash}),
			append(paths, name)
	}
	s := holding(t, append(all, made(pack.Tree, directoryOf(entries...))))
	if _, err := s.ReadAll(t.Context(), paths); !is[*git.LimitError](err) {
		t.Errorf("a gigabyte: %v", err)
	}
	if got, err := s.ReadAll(t.Context(), paths[:8]); err != nil || len(got["f007.yaml"]) != 1<<20 {
		t.Errorf("eight megabytes: %d, %v", len(got), err)
	}
}

// A transfer of too many objects is told with the limit.
func TestDamage_tooManyObjects(t *testing.T) {
	t.Parallel()
	s := &Snapshot{endpoint: &endpoint{name: "ssh://git@example.com/x", limits: Limits{}.withDefaults()}}
	const want = "ssh://git@example.com/x: the transfer has more than the limit of 750000 objects"
	if err := s.damage(pack.ErrTooManyObjects); !is[*git.LimitError](err) || err.Error() != want {
		t.Error(err)
	}
}
