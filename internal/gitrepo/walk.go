package gitrepo

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// A dozen directory objects that each name the next one ten times are a tree of a million million files: a
// few hundred bytes that anybody with the right to push can send. So a tree is measured before it is walked,
// and each object once, however often it is there.

// Bounds of a tree that is walked: more than any repository of clusters has, and few enough to be held in
// memory.
const (
	// maxTreeEntries is the number of files and directories.
	maxTreeEntries = 500_000
	// maxTreePaths is the length of all their paths together, in bytes.
	maxTreePaths = 128 << 20
	// maxTreeDepth is how many directories may be in each other. A path of 4096 bytes, the longest that
	// systems take, has at most 2048.
	maxTreeDepth = 2048
)

// measured is how much there is in a directory and below.
type measured struct {
	entries, paths int64
	height         int
}

// plus adds without overflow: a bomb may have more entries than an int64 counts.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func times(a, b int64) int64 {
	if a != 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}

// treeWalk goes through directories of one repository.
type treeWalk struct {
	ctx  context.Context // of one walk
	read func(dir plumbing.Hash, path string) ([]byte, error)
	// sizes are those of the directories that were measured.
	sizes map[plumbing.Hash]measured
}

// check makes sure that a directory is within the bounds. The error is a *TreeLimitError, that of reading, or
// the context's cause.
func (w *treeWalk) check(dir plumbing.Hash, path string) error {
	size, err := w.measure(dir, path, 0)
	if err != nil {
		return err
	}
	if size.entries > maxTreeEntries {
		return &git.TreeLimitError{
			Dir:  orRoot(w.culprit(dir, path, maxTreeEntries, func(m measured) int64 { return m.entries })),
			What: "files and directories", Limit: maxTreeEntries}
	}
	if size.paths > maxTreePaths {
		return &git.TreeLimitError{
			Dir:  orRoot(w.culprit(dir, path, maxTreePaths, func(m measured) int64 { return m.paths })),
			What: "bytes of names", Limit: maxTreePaths}
	}
	return nil
}

// measure counts what is in a directory and below, reading each object once.
func (w *treeWalk) measure(dir plumbing.Hash, path string, depth int) (measured, error) {
	if size, known := w.sizes[dir]; known && depth+size.height <= maxTreeDepth {
		return size, nil
	}
	if w.ctx.Err() != nil {
		return measured{}, context.Cause(w.ctx)
	}
	if depth > maxTreeDepth {
		first, _, _ := strings.Cut(path, "/")
		return measured{}, &git.TreeLimitError{Dir: first, What: "directories in each other",
			Limit: maxTreeDepth}
	}
	tree, err := w.read(dir, path)
	if err != nil {
		return measured{}, err
	}
	var size measured
	for len(tree) > 0 {
		var e treeEntry
		if e, tree, err = nextEntry(tree); err != nil {
			return size, err
		}
		length := int64(len(e.name) + 1)
		size.entries, size.paths = plus(size.entries, 1), plus(size.paths, length)
		if !isFollowed(e) {
			continue
		}
		below, err := w.measure(e.hash, childPath(path, e.name), depth+1)
		if err != nil {
			return size, err
		}
		size.entries = plus(size.entries, below.entries)
		size.paths = plus(size.paths, plus(below.paths, times(below.entries, length)))
		size.height = max(size.height, below.height+1)
	}
	w.sizes[dir] = size
	return size, nil
}

// isFollowed says whether an entry is a directory that is walked.
func isFollowed(e treeEntry) bool {
	mode, known := modeOf(e.mode)
	return known && mode == git.Dir && !isUnsafe(string(e.name), string(e.name))
}

// childPath is the path of an entry. It is only for words, and so is not made longer than people read.
func childPath(dir string, name []byte) string {
	switch {
	case dir == "":
		return string(name)
	case len(dir) > 4096:
		return dir
	}
	return dir + "/" + string(name)
}

// culprit finds the directory that makes a tree too large: the one without which it would not be, as deep as
// there is one.
func (w *treeWalk) culprit(dir plumbing.Hash, path string, limit int64, of func(measured) int64) string {
	for {
		tree, err := w.read(dir, path)
		var largest treeEntry
		var most, rest int64
		for len(tree) > 0 && err == nil {
			var e treeEntry
			if e, tree, err = nextEntry(tree); err != nil || !isFollowed(e) {
				continue
			}
			size := of(w.sizes[e.hash])
			if size > most {
				most, size, largest = size, most, e
			}
			rest = plus(rest, size)
		}
		if err != nil || most <= limit || rest > limit {
			return path
		}
		dir, path = largest.hash, childPath(path, largest.name)
	}
}

// each calls visit with all that is below a directory that was checked, in git's order, a directory before
// what is in it.
func (w *treeWalk) each(dir plumbing.Hash, prefix string, visit func(e treeEntry, path string) error) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	tree, err := w.read(dir, strings.TrimSuffix(prefix, "/"))
	if err != nil {
		return err
	}
	for len(tree) > 0 {
		var e treeEntry
		if e, tree, err = nextEntry(tree); err != nil {
			return err
		}
		path := prefix + string(e.name)
		if err := visit(e, path); err != nil {
			return err
		}
		if isFollowed(e) && checkPath(path) == nil {
			if err := w.each(e.hash, path+"/", visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Snapshot) treeWalk(ctx context.Context) *treeWalk {
	return &treeWalk{ctx: ctx, sizes: map[plumbing.Hash]measured{},
		read: func(dir plumbing.Hash, _ string) ([]byte, error) { return s.tree(dir) }}
}

// CheckSize makes sure that a directory, with all that is in it, is within the bounds of [Snapshot.Walk], in
// a time that follows from what was transferred and not from what that describes. What is no directory is
// within them. The errors are those of Walk.
func (s *Snapshot) CheckSize(ctx context.Context, dir string) error {
	at, found, err := s.directory(dir)
	if err != nil || !found {
		return err
	}
	return s.walkError(ctx, s.treeWalk(ctx).check(at, dir))
}

// Walk calls visit with all that is below a directory, "" for the root: in git's order, each directory before
// what is in it. What is in a directory with an unsafe name is left out. It ends without an error when visit
// returns [fs.SkipAll], and with any other error of visit. A directory that does not exist has nothing in it.
//
// The error is a *TreeLimitError, before the first visit, when there is more below the directory than anybody
// should look at, a *PathError when it is no directory or its path is unsafe, and the context's cause when
// that is done.
func (s *Snapshot) Walk(ctx context.Context, dir string, visit func(git.Entry) error) error {
	at, found, err := s.directory(dir)
	if err != nil || !found {
		return err
	}
	w := s.treeWalk(ctx)
	if err := w.check(at, dir); err != nil {
		return s.walkError(ctx, err)
	}
	prefix := ""
	if dir != "" {
		prefix = dir + "/"
	}
	var stopped error
	err = w.each(at, prefix, func(e treeEntry, path string) error {
		if entry, known := s.entry(e, path); known {
			stopped = visit(entry)
		}
		return stopped
	})
	switch {
	case errors.Is(stopped, fs.SkipAll):
		return nil
	case stopped != nil:
		return stopped
	}
	return s.walkError(ctx, err)
}

// walkError names the remote in what is wrong with its directories.
func (s *Snapshot) walkError(ctx context.Context, err error) error {
	if err == nil || isOurs(err) || errors.As(err, new(*git.TreeLimitError)) {
		return err
	}
	return s.damageUnlessInterrupted(ctx, err)
}

// directory finds a directory, "" for the root.
func (s *Snapshot) directory(dir string) (at plumbing.Hash, found bool, err error) {
	if dir == "" {
		return s.root, !s.root.IsZero(), nil
	}
	e, found, err := s.Lookup(dir)
	if err != nil || !found {
		return plumbing.ZeroHash, false, err
	}
	if e.Mode != git.Dir {
		return plumbing.ZeroHash, false, &git.PathError{Path: dir, Entry: dir, Mode: e.Mode}
	}
	return plumbing.NewHash(e.BlobID), true, nil
}
