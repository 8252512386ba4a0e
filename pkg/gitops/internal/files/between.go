package files

import (
	"context"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// someNew says whether a cluster is to be held against others because it is not in Git yet.
func (p *Planner) someNew(inGit map[string]bool) bool {
	return slices.ContainsFunc(p.Managed, func(c *clusterspec.Cluster) bool { return !inGit[c.Name] })
}

// betweenFields are those that [clusterspec.CheckBetween] looks at, and that EKS Anywhere lets change.
var betweenFields = []string{"spec.eksaVersion", "spec.licenseToken"}

// changesBetween says whether an upgrade brings a cluster under GitOps, or changes what is between clusters.
func changesBetween(specs []*SpecPlan) bool {
	return slices.ContainsFunc(specs, func(p *SpecPlan) bool {
		return !p.InGit || slices.ContainsFunc(p.Changes, func(c clusterspec.Change) bool {
			return slices.Contains(betweenFields, c.Field)
		})
	})
}

// checkBetween holds the run's clusters against those that are in Git, each in its directory: a copy of one
// that kept its endpoint, or a cluster that would be above its management cluster, is refused. What is wrong
// is a *facts.FoundError. Reading them is a fetch of its own, so that it is done once in a run, and only
// where that is needed, for which it is told what is in Git.
func (p *Planner) checkBetween(ctx context.Context, snapshot facts.SnapshotReader,
	needed func(inGit map[string]bool) bool) error {
	if snapshot == nil || snapshot.State() != git.BranchExists || !p.HoldBetween {
		return nil
	}
	clusters, err := facts.ClustersIn(snapshot, p.Facts.Config(), p.Facts.ManagementCluster())
	if err != nil {
		return fmt.Errorf("looking for the clusters in Git: %w", err)
	}
	ours, inGit := map[string]bool{}, map[string]bool{}
	for _, c := range p.Managed {
		ours[c.Name] = true
	}
	management := ""
	var paths []string
	for _, c := range clusters {
		inGit[c.Name] = true
		if ours[c.Name] {
			continue
		}
		paths = append(paths, c.Path)
		if c.Name == p.Facts.ManagementCluster() {
			management = c.Path
		}
	}
	if len(paths) == 0 || !needed(inGit) {
		return nil
	}
	contents, err := snapshot.ReadAll(ctx, paths)
	if err != nil {
		return fmt.Errorf("reading the clusters in Git: %w", err)
	}
	others := make([]clusterspec.Source, 0, len(paths))
	for _, path := range paths {
		if path == management || clusterspec.MayShare(p.Managed, contents[path]) {
			others = append(others, clusterspec.Source{Name: path, Data: contents[path]})
		}
	}
	var wrong []facts.Finding
	for _, problem := range clusterspec.CheckBetween(p.Managed, others) {
		wrong = append(wrong, facts.AreaSpec.Finding(problem.String(),
			text.Command("change %s, or the cluster in Git, and run the same command again", problem.File)))
	}
	return facts.Found(wrong...)
}
