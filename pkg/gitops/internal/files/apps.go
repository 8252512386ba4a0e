package files

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// addApps adds to the plan what of the scaffold is missing. It is made for people to edit: what is there
// stays as it is.
func (p *Planner) addApps(ctx context.Context, snapshot facts.SnapshotReader, plan *Plan) error {
	if len(p.Rendering.Apps) == 0 {
		return nil
	}
	existing, err := Differing(ctx, snapshot, p.Rendering.Apps)
	if err != nil {
		return err
	}
	for _, file := range p.Rendering.Apps {
		before, differs := existing[file.Path]
		if differs && (bytes.Equal(before, layout.InertKustomization()) ||
			bytes.Equal(before, layout.ReopenedKustomization())) {
			// It stands there since the cluster was deleted and its apps stayed, and nobody has edited it.
			plan.After[file.Path] = file.Content
			plan.Changes = slices.DeleteFunc(plan.Changes, func(c layout.FileChange) bool {
				return c.Path == file.Path
			})
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
			continue
		}
		if differs {
			if err := p.checkScaffold(file, before); err != nil {
				return err
			}
			plan.After[file.Path] = before
			plan.Notes = append(plan.Notes, file.Path+" is kept as it is in Git")
			continue
		}
		plan.After[file.Path] = file.Content
		plan.Add(snapshot, file)
	}
	for _, c := range p.Managed {
		if err := p.checkNewScaffold(ctx, snapshot, c, plan); err != nil {
			return err
		}
	}
	sortChanges(plan)
	return nil
}

// checkScaffold makes sure that a kustomization of somebody else in the cluster's directory leads to the
// scaffold.
func (p *Planner) checkScaffold(file layout.File, before []byte) error {
	dir := path.Dir(file.Path)
	if path.Base(file.Path) != layout.KustomizationFile || path.Base(dir) == layout.AppsSubdir ||
		ListsResources(before, layout.ClusterSubdir, layout.AppsSyncFile) {
		return nil
	}
	return facts.Found(facts.AreaSpec.Finding(
		fmt.Sprintf(
			"%s does not list %s and %s, so that the apps of the cluster would not be applied",
			file.Path, layout.ClusterSubdir, layout.AppsSyncFile),
		"list both under its resources, and not "+layout.AppsSubdir+
			", push, and run the same command again"))
}

// checkNewScaffold makes sure that a kustomization which is new in the cluster's directory does not take from
// Flux what it applies there at present: it would delete that.
func (p *Planner) checkNewScaffold(ctx context.Context, snapshot facts.SnapshotReader, c *clusterspec.Cluster,
	plan *Plan) error {
	paths := layout.PathsOf(c)
	isNew := func(file string) bool {
		return slices.ContainsFunc(plan.Changes, func(change layout.FileChange) bool {
			return change.Path == file && change.Change == layout.FileAdd
		})
	}
	if snapshot == nil || snapshot.State() != git.BranchExists || !isNew(paths.ClusterKustomization) {
		return nil
	}
	files, err := facts.FilesBelow(ctx, snapshot, paths.Cluster)
	if err != nil {
		return fmt.Errorf("reading directory %s of the repository: %w", paths.Cluster, err)
	}
	inSpecs := path.Dir(paths.Spec) + "/"
	files = slices.DeleteFunc(files, func(file string) bool {
		return strings.HasPrefix(file, inSpecs) || file == paths.AppsSync ||
			!layout.IsManifest(file) && !layout.IsKustomization(file)
	})
	if len(files) == 0 {
		return nil
	}
	slices.Sort(files)
	return facts.Found(facts.AreaSpec.Finding(
		fmt.Sprintf("Flux applies %s to the management cluster, and would delete it from there "+
			"with the apps scaffold", strings.Join(files, ", ")),
		fmt.Sprintf("commit %s, which lists %s, %s and what should stay there, and run "+
			"the same command again; or move the files elsewhere",
			paths.ClusterKustomization, layout.ClusterSubdir, layout.AppsSyncFile)))
}
