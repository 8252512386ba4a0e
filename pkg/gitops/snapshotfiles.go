package gitops

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// maxBuilt bounds how many files and directories are looked at to find out what Flux makes of a path.
const maxBuilt = 200_000

// snapshotFiles are the files of a snapshot with the changes of a plan, as [fluxbuild.Build] reads them. It is for one goroutine.
type snapshotFiles struct {
	ctx      context.Context //nolint:containedctx // of the one build that it is made for
	snapshot Snapshot        // nil is a repository without files
	written  map[string][]byte
	gone     map[string]bool
	contents map[string][]byte // what was read of the snapshot
	looked   int
	err      error // the first of reading
}

// filesAt gives a snapshot's files after the changes of a plan; nil is no plan.
func filesAt(ctx context.Context, snapshot Snapshot, plan *filePlan) *snapshotFiles {
	f := &snapshotFiles{ctx: ctx, snapshot: snapshot, written: map[string][]byte{}, gone: map[string]bool{}, contents: map[string][]byte{}}
	if snapshot != nil && snapshot.State() != gitrepo.BranchExists {
		f.snapshot = nil
	}
	if plan != nil {
		for _, c := range plan.changes {
			if c.Change == changeDelete {
				f.gone[c.Path] = true
			} else {
				f.written[c.Path] = c.After
			}
		}
	}
	return f
}

// filesOf are files that have been read, as a repository that has nothing else.
func filesOf(contents map[string][]byte) *snapshotFiles { return &snapshotFiles{written: contents} }

// prefetch reads all manifests below a directory with one transfer.
func (f *snapshotFiles) prefetch(dir string) error {
	var paths []string
	for next := []string{path.Clean(dir)}; len(next) > 0; next = next[1:] {
		for _, entry := range f.list(next[0]) {
			switch {
			case entry.Mode == gitrepo.Dir:
				next = append(next, entry.Path)
			case f.gone[entry.Path], f.writes(entry.Path), f.contents[entry.Path] != nil:
			case entry.Mode.IsFile() && (layout.IsManifest(entry.Path) || layout.IsKustomization(entry.Path)):
				paths = append(paths, entry.Path)
			}
		}
		if f.err != nil {
			return f.err
		}
	}
	if len(paths) == 0 {
		return nil
	}
	contents, err := f.snapshot.ReadAll(f.ctx, paths)
	if err != nil {
		return err
	}
	maps.Copy(f.contents, contents)
	return nil
}

// writes says whether the plan writes a file.
func (f *snapshotFiles) writes(name string) bool { _, ok := f.written[name]; return ok }

// list gives the entries of a directory of the snapshot whose names are safe.
func (f *snapshotFiles) list(dir string) []gitrepo.Entry {
	if f.snapshot == nil || f.err != nil {
		return nil
	}
	if err := f.ctx.Err(); err != nil {
		f.err = context.Cause(f.ctx)
		return nil
	}
	if dir == "." {
		dir = ""
	}
	entries, err := f.snapshot.List(dir)
	if err != nil {
		if !errors.As(err, new(*gitrepo.PathError)) {
			f.err = err
		}
		return nil
	}
	f.looked += len(entries)
	if f.looked > maxBuilt {
		f.err = fmt.Errorf("there are more than %d files and directories in what Flux applies", maxBuilt)
		return nil
	}
	return slices.DeleteFunc(entries, func(e gitrepo.Entry) bool {
		_, _, err := f.snapshot.Lookup(e.Path)
		return err != nil // a hostile name, which Flux does not get to see either
	})
}

// IsFile implements [fluxbuild.Files].
func (f *snapshotFiles) IsFile(name string) bool {
	if f.writes(name) {
		return true
	}
	if f.gone[name] || f.snapshot == nil {
		return false
	}
	entry, there, err := f.snapshot.Lookup(name)
	return err == nil && there && entry.Mode.IsFile()
}

// IsDir implements [fluxbuild.Files]. A directory without files is none, as in Git.
func (f *snapshotFiles) IsDir(name string) bool { return len(f.List(name)) > 0 }

// List implements [fluxbuild.Files].
func (f *snapshotFiles) List(dir string) []string {
	names := map[string]bool{}
	prefix := strings.TrimPrefix(path.Clean(dir)+"/", "./")
	for name := range f.written {
		if below, ok := strings.CutPrefix(name, prefix); ok {
			first, _, _ := strings.Cut(below, "/")
			names[first] = true
		}
	}
	for _, entry := range f.list(path.Clean(dir)) {
		if f.gone[entry.Path] || entry.Mode == gitrepo.Dir && f.emptied(entry.Path) {
			continue
		}
		names[entry.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// emptied says whether nothing is left in a directory of the snapshot.
func (f *snapshotFiles) emptied(dir string) bool {
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
func (f *snapshotFiles) Read(name string) ([]byte, error) {
	if content, ok := f.written[name]; ok {
		return content, nil
	}
	if content, ok := f.contents[name]; ok {
		return content, nil
	}
	contents, err := f.snapshot.ReadAll(f.ctx, []string{name})
	if err != nil {
		return nil, err
	}
	f.contents[name] = contents[name]
	return contents[name], nil
}

// build gives what Flux makes of a directory.
func (f *snapshotFiles) build(dir string, settings fluxbuild.Settings) (*fluxbuild.Built, error) {
	if err := f.prefetch(dir); err != nil {
		return nil, err
	}
	built, err := fluxbuild.Build(f, dir, settings)
	if f.err != nil {
		return nil, f.err
	}
	return built, err
}
