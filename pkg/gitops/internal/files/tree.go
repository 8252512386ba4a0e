package files

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Tree are the files of a snapshot with the changes of a plan, as [fluxbuild.Build] reads them. It is for one
// goroutine.
type Tree struct {
	ctx      context.Context      // of the one build that it is made for
	snapshot facts.SnapshotReader // nil is a repository without files
	written  map[string][]byte
	gone     map[string]bool
	Contents map[string][]byte // what was read of the snapshot
	listed   map[string][]git.Entry
	err      error              // the first of reading
	checkout fluxbuild.Checkout // what Flux fetches of them
	ignore   string             // what it leaves out of that: spec.ignore of its GitRepository
}

// At gives a snapshot's files after the changes of a plan; nil is no plan.
func At(ctx context.Context, snapshot facts.SnapshotReader, plan *Plan) *Tree {
	f := &Tree{ctx: ctx, snapshot: snapshot, written: map[string][]byte{}, gone: map[string]bool{},
		Contents: map[string][]byte{}, listed: map[string][]git.Entry{}}
	if snapshot != nil && snapshot.State() != git.BranchExists {
		f.snapshot = nil
	}
	if plan != nil {
		for _, c := range plan.Changes {
			if c.Change == layout.FileDelete {
				f.gone[c.Path] = true
			} else {
				f.written[c.Path] = c.After
			}
		}
	}
	return f
}

// Of are files that have been read, as a repository that has nothing else.
func Of(contents map[string][]byte) *Tree { return &Tree{written: contents} }

// Prefetch reads all manifests below a directory with one transfer.
func (f *Tree) Prefetch(dir string) error {
	if f.snapshot == nil || f.stopped() {
		return f.err
	}
	var paths []string
	err := f.snapshot.Walk(f.ctx, inRepository(dir), func(entry git.Entry) error {
		if entry.Mode.IsFile() && !entry.Unsafe &&
			(layout.IsManifest(entry.Path) || layout.IsKustomization(entry.Path)) && !f.gone[entry.Path] &&
			!f.writes(entry.Path) && f.Contents[entry.Path] == nil {
			paths = append(paths, entry.Path)
		}
		return nil
	})
	if err != nil && !errors.As(err, new(*git.PathError)) {
		return err
	}
	if len(paths) == 0 {
		return nil
	}
	contents, err := f.snapshot.ReadAll(f.ctx, paths)
	if err != nil {
		return err
	}
	maps.Copy(f.Contents, contents)
	return nil
}

// writes says whether the plan writes a file.
func (f *Tree) writes(name string) bool { _, ok := f.written[name]; return ok }

// inRepository is a directory's name as a snapshot has it.
func inRepository(dir string) string {
	if dir = path.Clean(dir); dir == "." {
		return ""
	}
	return dir
}

// stopped says whether nothing is to be read any more, because reading failed before or the run has ended.
// What builds then finds nothing, and ends soon.
func (f *Tree) stopped() bool {
	if f.err == nil && f.ctx != nil && f.ctx.Err() != nil {
		f.err = context.Cause(f.ctx)
	}
	return f.err != nil
}

// list gives the entries of a directory of the snapshot whose names are safe. A kustomization may lead
// anywhere, so the size of every directory is looked at that is not in one whose size is known.
func (f *Tree) list(dir string) []git.Entry {
	if f.snapshot == nil || f.stopped() {
		return nil
	}
	dir = inRepository(dir)
	if known, ok := f.listed[dir]; ok {
		return known
	}
	if _, ok := f.listed[inRepository(path.Dir(dir))]; !ok {
		f.err = f.snapshot.CheckSize(f.ctx, dir)
	}
	var entries []git.Entry
	if f.err == nil {
		entries, f.err = f.snapshot.List(dir)
	}
	if errors.As(f.err, new(*git.PathError)) {
		f.err = nil
	}
	// Flux does not get to see it either
	entries = slices.DeleteFunc(entries, func(e git.Entry) bool { return e.Unsafe })
	f.listed[dir] = entries
	return entries
}

// IsFile implements [fluxbuild.Files].
func (f *Tree) IsFile(name string) bool {
	if f.writes(name) {
		return true
	}
	if f.gone[name] || f.snapshot == nil || f.stopped() {
		return false
	}
	entry, there, err := f.snapshot.Lookup(name)
	return err == nil && there && entry.Mode.IsFile()
}

// IsDir implements [fluxbuild.Files]. A directory without files is none, as in Git.
func (f *Tree) IsDir(name string) bool { return len(f.List(name)) > 0 }

// List implements [fluxbuild.Files].
func (f *Tree) List(dir string) []string {
	names := map[string]bool{}
	prefix := strings.TrimPrefix(path.Clean(dir)+"/", "./")
	for name := range f.written {
		if below, ok := strings.CutPrefix(name, prefix); ok {
			first, _, _ := strings.Cut(below, "/")
			names[first] = true
		}
	}
	for _, entry := range f.list(path.Clean(dir)) {
		if f.gone[entry.Path] || entry.Mode == git.Dir && f.emptied(entry.Path) {
			continue
		}
		names[entry.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// emptied says whether nothing is left in a directory of the snapshot.
func (f *Tree) emptied(dir string) bool {
	touched := false
	for name := range f.gone {
		touched = touched || strings.HasPrefix(name, dir+"/")
	}
	if !touched {
		return false
	}
	return len(f.List(dir)) == 0
}

// Read implements [fluxbuild.Files].
func (f *Tree) Read(name string) ([]byte, error) {
	if f.stopped() {
		return nil, f.err
	}
	if content, ok := f.written[name]; ok {
		return content, nil
	}
	if content, ok := f.Contents[name]; ok {
		return content, nil
	}
	contents, err := f.snapshot.ReadAll(f.ctx, []string{name})
	if err != nil {
		return nil, err
	}
	f.Contents[name] = contents[name]
	return contents[name], nil
}

// fetched is what Flux has of the files.
func (f *Tree) fetched() fluxbuild.Files { return fluxbuild.Artifact(f.checkout.Of(f), f.ignore) }

// build gives what Flux makes of a directory.
func (f *Tree) build(dir string, settings fluxbuild.Settings) (*fluxbuild.Built, error) {
	if err := f.Prefetch(dir); err != nil {
		return nil, err
	}
	built, err := fluxbuild.Build(f.fetched(), dir, settings)
	if f.err != nil {
		return nil, f.err
	}
	return built, err
}
