package files

import (
	"fmt"
	"path"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Plan is what a run changes in one snapshot of the repository.
type Plan struct {
	Changes []layout.FileChange
	Notes   []string          // about files that stay as they are although ours would differ
	System  map[string][]byte // Flux's files as they are after the commit, by base name
	After   map[string][]byte // all the run's files as they are after the commit, by path
	Gone    []string          // the paths that are no longer there after the commit
	// Later says that it is on a commit that Flux has applied after the run's, so that nothing comes of it.
	Later bool
}

// Note adds a note.
func (p *Plan) Note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// InPlace says whether Git has all of the plan already, in the state that it was made on.
func (p *Plan) InPlace(snapshot facts.SnapshotReader) bool {
	return snapshot != nil && len(p.Changes) == 0 && snapshot.State() == git.BranchExists
}

// ChangesFile says whether the plan changes a file.
func (p *Plan) ChangesFile(file string) bool {
	return slices.ContainsFunc(p.Changes, func(c layout.FileChange) bool { return c.Path == file })
}

// ChangesIn says whether the plan changes a file directly in a directory.
func (p *Plan) ChangesIn(dir string) bool {
	return slices.ContainsFunc(p.Changes, func(c layout.FileChange) bool { return path.Dir(c.Path) == dir })
}

// Edits are the changes as a commit takes them.
func (p *Plan) Edits() []git.Edit {
	edits := make([]git.Edit, 0, len(p.Changes))
	for _, c := range p.Changes {
		edits = append(edits, git.Edit{Path: c.Path, Content: c.After, Delete: c.Change == layout.FileDelete})
	}
	return edits
}

// NewPlan is a plan without changes. later says that it is on a commit that Flux has applied after the run's.
func NewPlan(later bool) *Plan {
	return &Plan{System: map[string][]byte{}, After: map[string][]byte{}, Later: later}
}

// AddsSpecBeside says whether the plan adds a cluster's file in the directory of a file.
func (p *Plan) AddsSpecBeside(file string) bool {
	spec := path.Join(path.Dir(file), layout.SpecFile)
	return slices.ContainsFunc(p.Changes, func(c layout.FileChange) bool {
		return c.Path == spec && c.Change == layout.FileAdd
	})
}

// Add plans a file that is absent; one that is there, and does not differ, needs nothing.
func (p *Plan) Add(snapshot facts.SnapshotReader, file layout.File) {
	if snapshot != nil {
		if _, there, err := snapshot.Lookup(file.Path); err == nil && there {
			return
		}
	}
	p.Changes = append(p.Changes,
		layout.FileChange{Path: file.Path, Change: layout.FileAdd, After: file.Content})
}

// FluxVersion is the release of the planned components.
func (p *Plan) FluxVersion() string {
	version, _, err := fluxmanifests.ComponentVersion(p.System[layout.ComponentsFile])
	if err != nil {
		return fluxmanifests.Version
	}
	return version
}
