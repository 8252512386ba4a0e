package gitops

import (
	"context"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// checkBetween holds the run's clusters against those that are in Git, each in its directory: a copy of one
// that kept its endpoint, or a cluster that would be above its management cluster, is refused. What is wrong
// is a *foundError. Reading them is a fetch of its own, so that only clusters that are not in Git yet are
// held against them, and once in a run.
func (r *createRun) checkBetween(ctx context.Context, snapshot Snapshot) error {
	return r.holdBetween(ctx, snapshot, func(inGit map[string]bool) bool {
		return slices.ContainsFunc(r.managed, func(c *clusterspec.Cluster) bool { return !inGit[c.Name] })
	})
}

// checkBetween is the same for an upgrade, which has others to be held against only when it brings a cluster
// under GitOps or changes what is between clusters.
func (u *upgradeRun) checkBetween(ctx context.Context, snapshot Snapshot) error {
	return u.holdBetween(ctx, snapshot, func(map[string]bool) bool {
		return slices.ContainsFunc(u.specs, func(p *specPlan) bool {
			return !p.inGit || slices.ContainsFunc(p.changes, func(c clusterspec.Change) bool {
				return slices.Contains(betweenFields, c.Field)
			})
		})
	})
}

// betweenFields are those that CheckBetween looks at, and that EKS Anywhere lets change.
var betweenFields = []string{"spec.eksaVersion", "spec.licenseToken"}

// holdBetween holds the run's clusters against the others in Git when that is needed, for which it is told
// what is there.
func (r *clustersRun) holdBetween(ctx context.Context, snapshot Snapshot,
	needed func(inGit map[string]bool) bool) error {
	if snapshot == nil || snapshot.State() != git.BranchExists || r.heldBetween {
		return nil
	}
	r.heldBetween = true
	clusters, err := facts.ClustersIn(snapshot, r.seen.Config, r.seen.ManagementCluster)
	if err != nil {
		return fmt.Errorf("looking for the clusters in Git: %w", err)
	}
	ours, inGit := map[string]bool{}, map[string]bool{}
	for _, c := range r.managed {
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
		if c.Name == r.seen.ManagementCluster {
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
		if path == management || clusterspec.MayShare(r.managed, contents[path]) {
			others = append(others, clusterspec.Source{Name: path, Data: contents[path]})
		}
	}
	var wrong []Finding
	for _, p := range clusterspec.CheckBetween(r.managed, others) {
		wrong = append(wrong, Finding{AreaSpec, p.String(),
			text.Command("change %s, or the cluster in Git, and run the same command again", p.File)})
	}
	if len(wrong) > 0 {
		return &foundError{findings: wrong}
	}
	return nil
}
