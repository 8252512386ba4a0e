package gitops

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// SnapshotWalker goes through directories, which may be hostile.
type SnapshotWalker interface {
	// CheckSize is the error of Walk for a directory that is too large, without walking it.
	CheckSize(ctx context.Context, dir string) error
	// Walk visits all that is below a directory, "" being the root, each directory before what is in it. It ends without an error when visit
	// returns fs.SkipAll, and with any other error of visit. A directory that holds more than anybody should look at is an error before the
	// first visit.
	Walk(ctx context.Context, dir string, visit func(git.Entry) error) error
}

// snapshotFiles are the files of a snapshot with the changes of a plan, as [fluxbuild.Build] reads them. It is for one goroutine.
type snapshotFiles struct {
	ctx      context.Context // of the one build that it is made for
	snapshot Snapshot        // nil is a repository without files
	written  map[string][]byte
	gone     map[string]bool
	contents map[string][]byte // what was read of the snapshot
	listed   map[string][]git.Entry
	err      error // the first of reading
}

// filesAt gives a snapshot's files after the changes of a plan; nil is no plan.
func filesAt(ctx context.Context, snapshot Snapshot, plan *filePlan) *snapshotFiles {
	f := &snapshotFiles{ctx: ctx, snapshot: snapshot, written: map[string][]byte{}, gone: map[string]bool{}, contents: map[string][]byte{}, listed: map[string][]git.Entry{}}
	if snapshot != nil && snapshot.State() != git.BranchExists {
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
	if f.snapshot == nil || f.stopped() {
		return f.err
	}
	var paths []string
	err := f.snapshot.Walk(f.ctx, inRepository(dir), func(entry git.Entry) error {
		if entry.Mode.IsFile() && !entry.Unsafe && (layout.IsManifest(entry.Path) || layout.IsKustomization(entry.Path)) &&
			!f.gone[entry.Path] && !f.writes(entry.Path) && f.contents[entry.Path] == nil {
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
	maps.Copy(f.contents, contents)
	return nil
}

// writes says whether the plan writes a file.
func (f *snapshotFiles) writes(name string) bool { _, ok := f.written[name]; return ok }

// inRepository is a directory's name as a snapshot has it.
func inRepository(dir string) string {
	if dir = path.Clean(dir); dir == "." {
		return ""
	}
	return dir
}

// stopped says whether nothing is to be read any more, because reading failed before or the run has ended. What builds then finds nothing, and
// ends soon.
func (f *snapshotFiles) stopped() bool {
	if f.err == nil && f.ctx != nil && f.ctx.Err() != nil {
		f.err = context.Cause(f.ctx)
	}
	return f.err != nil
}

// list gives the entries of a directory of the snapshot whose names are safe. A kustomization may lead anywhere, so the size of every
// directory is looked at that is not in one whose size is known.
func (f *snapshotFiles) list(dir string) []git.Entry {
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
	entries = slices.DeleteFunc(entries, func(e git.Entry) bool { return e.Unsafe }) // Flux does not get to see it either
	f.listed[dir] = entries
	return entries
}

// IsFile implements [fluxbuild.Files].
func (f *snapshotFiles) IsFile(name string) bool {
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
		if f.gone[entry.Path] || entry.Mode == git.Dir && f.emptied(entry.Path) {
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
	if f.stopped() {
		return nil, f.err
	}
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
