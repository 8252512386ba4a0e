package files

import (
	"context"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Pause is what a pause, or its end, writes in one snapshot of the repository.
type Pause struct {
	Plan *Plan
	// Objects are those of each cluster's file, by cluster; clusters without a file in Git have no entry.
	Objects map[string][]fluxinstall.ObjectName
}

// PlanPause puts the annotation into the files of clusters that are in a branch, or takes it out of them. A
// file that cannot be read is [clusterspec.Problems]. Beside an error, the Pause says which clusters have a
// file.
func PlanPause(ctx context.Context, seen facts.Facts, snapshot facts.SnapshotReader, clusters []string,
	paused bool) (*Pause, error) {
	p, plan := &Pause{Objects: map[string][]fluxinstall.ObjectName{}}, &Plan{After: map[string][]byte{}}
	var paths []string
	for _, name := range clusters {
		spec := layout.PathsIn(seen.Config(), name).Spec
		entry, there, err := snapshot.Lookup(spec)
		if err != nil {
			return p, fmt.Errorf("looking for %s in the repository: %w", spec, err)
		}
		if there && entry.Mode.IsFile() {
			p.Objects[name] = nil
			paths = append(paths, spec)
		}
	}
	if len(paths) == 0 {
		p.Plan = plan
		return p, nil
	}
	contents, err := snapshot.ReadAll(ctx, paths)
	if err != nil {
		return p, err
	}
	for _, name := range clusters {
		if _, inGit := p.Objects[name]; !inGit {
			continue
		}
		file := layout.PathsIn(seen.Config(), name).Spec
		before := contents[file]
		out, _, err := clusterspec.SetPaused(clusterspec.Source{Name: file, Data: before}, name, paused)
		if err != nil {
			return p, err
		}
		plan.After[file] = out.Data
		if string(before) != string(out.Data) {
			plan.Changes = append(plan.Changes,
				layout.FileChange{Path: file, Change: layout.FileModify, Before: before, After: out.Data})
		}
		inFile := facts.GitCluster{Name: name, Path: file}
		inFile.Parse(before)
		for _, object := range inFile.Objects {
			if slices.Contains(clusterspec.Kinds(), object.Kind) {
				p.Objects[name] = append(p.Objects[name], facts.NameOf(object))
			}
		}
	}
	p.Plan = plan
	return p, CheckReadings(plan, seen.Config().SystemNamespace)
}
