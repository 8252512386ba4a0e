package files

import (
	"bytes"
	"context"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// UpgradePlanner works out what an upgrade has to write on top of a snapshot of the repository.
type UpgradePlanner struct {
	Planner
	// Live are the clusters' objects in the management cluster.
	Live []fluxinstall.LiveObject
	// First is what the run has found in Git when it looked there for the first time. What is planned first
	// is noted there.
	First FirstLooks
	// Versions are spec.eksaVersion as the provisioner has made it, by cluster.
	Versions map[string]string
}

// Upgrade is what an upgrade does in one snapshot of the repository.
type Upgrade struct {
	Plan  *Plan
	Specs []*SpecPlan // of the clusters, in their order; of all of them, or the error says why not
	Flux  FluxPlan
	Notes []string // what is to be told whether the upgrade goes on or not
}

// Plan works out an upgrade. What others pushed meanwhile is merged again. The errors that are about the
// files are *[ConflictError], *[facts.FoundError] and [clusterspec.Problems]; beside any, the Upgrade has
// what was worked out before it, and is never nil.
func (u *UpgradePlanner) Plan(ctx context.Context, snapshot facts.SnapshotReader) (*Upgrade, error) {
	planned := &Upgrade{}
	before, err := u.ReadSpecs(ctx, snapshot)
	if err != nil {
		return planned, err
	}
	contents := map[string][]byte{}
	var overlaps []*SpecPlan
	for _, c := range u.Managed {
		content, inGit := before[layout.PathsOf(c).Spec]
		p, err := u.planSpec(ctx, snapshot, c, content, inGit)
		if err != nil {
			return planned, err
		}
		if p.VersionNote != "" {
			planned.Notes = append(planned.Notes, p.VersionNote)
		}
		planned.Specs = append(planned.Specs, p)
		contents[p.Path] = p.After
		if len(p.Conflicts) > 0 && !u.Options.Overwrite {
			overlaps = append(overlaps, p)
		}
	}
	if len(overlaps) > 0 {
		return planned, overlapping(overlaps)
	}
	made := Rendering{}
	for _, file := range u.Rendering.Files {
		if content, ok := contents[file.Path]; ok {
			file.Content = content
		}
		made.Files = append(made.Files, file)
	}
	plan := NewPlan(u.Later)
	if err := u.compareFiles(ctx, snapshot, plan, made,
		func(path string) bool { return contents[path] != nil || u.Options.Overwrite }); err != nil {
		return planned, err
	}
	if planned.Flux, err = u.planSystem(ctx, snapshot, plan); err != nil {
		return planned, err
	}
	if err := u.planProtection(plan); err != nil {
		return planned, err
	}
	sortChanges(plan)
	if err := CheckReadings(plan, u.Facts.Config().SystemNamespace); err != nil {
		return planned, err
	}
	if err := u.checkReach(ctx, snapshot, plan); err != nil {
		return planned, err
	}
	planned.Plan = plan
	return planned, u.checkFiles(ctx, snapshot, plan)
}

// overlapping says that files and Git changed the same fields, each in its own way, and that nobody said
// which one wins.
func overlapping(plans []*SpecPlan) error {
	overlap := &facts.FoundError{}
	overlap.ForAll = "put Git's value into the file to keep it, or run the command with --overwrite to use " +
		"the file's value"
	for _, p := range plans {
		for i, c := range p.Conflicts {
			f := facts.AreaSpec.Finding(p.describeConflict(c), "")
			if i == len(p.Conflicts)-1 {
				f.Hint = overlap.ForAll
			}
			overlap.Findings = append(overlap.Findings, f)
		}
	}
	return overlap
}

// ReadSpecs reads the clusters' files as they are in Git.
func (p *Planner) ReadSpecs(ctx context.Context,
	snapshot facts.SnapshotReader) (map[string][]byte, error) {
	if snapshot == nil {
		return nil, nil
	}
	var paths []string
	for _, c := range p.Managed {
		spec := layout.PathsOf(c).Spec
		_, there, err := snapshot.Lookup(spec)
		if err != nil {
			return nil, fmt.Errorf("looking for %s in the repository: %w", spec, err)
		}
		if there {
			paths = append(paths, spec)
		}
	}
	if len(paths) == 0 {
		return nil, nil
	}
	return snapshot.ReadAll(ctx, paths)
}

// withVersion gives a cluster's file in Git the version that the provisioner has made it.
func (u *UpgradePlanner) withVersion(p *SpecPlan, set *clusterspec.Set) {
	version := u.Versions[p.Cluster.Name]
	if version == "" {
		return
	}
	after := clusterspec.RenderWithVersion(set.Clusters[0], version)
	if !bytes.Equal(after, p.After) {
		p.After = after
		p.VersionNote = fmt.Sprintf("cluster %s: spec.eksaVersion is %s in Git now, as eksctl "+
			"anywhere has made it; put that into the file, too, if it names one", p.Cluster.Name, version)
		p.Notes = append(p.Notes, p.VersionNote)
	}
}
