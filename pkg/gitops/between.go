package gitops

import (
	"context"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// checkBetween holds the run's clusters against those that are in Git, each in its directory: a copy of one that kept its endpoint, or a
// cluster that would be above its management cluster, is refused. What is wrong is a *foundError. Reading them is a fetch of its own, so
// that only clusters that are not in Git yet are held against them, and once in a run.
func (r *createRun) checkBetween(ctx context.Context, snapshot Snapshot) error {
	if snapshot == nil || snapshot.State() != gitrepo.BranchExists || r.heldBetween {
		return nil
	}
	r.heldBetween = true
	clusters, err := (&Observation{StatusOptions: StatusOptions{Config: r.config, ManagementCluster: r.managementCluster}}).clustersIn(snapshot)
	if err != nil {
		return fmt.Errorf("looking for the clusters in Git: %w", err)
	}
	inGit := func(ours *clusterspec.Cluster) bool {
		return slices.ContainsFunc(clusters, func(c GitCluster) bool { return c.Name == ours.Name })
	}
	if !slices.ContainsFunc(r.managed, func(ours *clusterspec.Cluster) bool { return !inGit(ours) }) {
		return nil
	}
	management := ""
	var paths []string
	for _, c := range clusters {
		if c.Name == r.managementCluster {
			management = c.Path
		}
		if !slices.ContainsFunc(r.managed, func(ours *clusterspec.Cluster) bool { return ours.Name == c.Name }) {
			paths = append(paths, c.Path)
		}
	}
	if len(paths) == 0 {
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
		wrong = append(wrong, Finding{AreaSpec, p.String(), fmt.Sprintf("change %s, or the cluster in Git, and run the same command again", text.ShellWord(p.File))})
	}
	if len(wrong) > 0 {
		return &foundError{findings: wrong}
	}
	return nil
}
