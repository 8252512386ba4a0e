package files

import (
	"context"
	"fmt"
	"maps"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// checkBetween holds the run's clusters against those that are in Git, each in its directory: a copy of one
// that kept its endpoint, or a cluster that would be above its management cluster, is refused. What is wrong
// is a *facts.FoundError. Reading them is a fetch of its own, so that only clusters that are not in Git yet
// are held against them, and once in a run.
func (p *Planner) checkBetween(ctx context.Context, snapshot facts.SnapshotReader) error {
	if snapshot == nil || snapshot.State() != git.BranchExists || !p.HoldBetween {
		return nil
	}
	clusters, err := facts.ClustersIn(snapshot, p.Facts.Config(), p.Facts.ManagementCluster())
	if err != nil {
		return fmt.Errorf("looking for the clusters in Git: %w", err)
	}
	ours := map[string]bool{}
	for _, c := range p.Managed {
		ours[c.Name] = true
	}
	added, management := maps.Clone(ours), ""
	var paths []string
	for _, c := range clusters {
		delete(added, c.Name)
		if ours[c.Name] {
			continue
		}
		paths = append(paths, c.Path)
		if c.Name == p.Facts.ManagementCluster() {
			management = c.Path
		}
	}
	if len(added) == 0 || len(paths) == 0 {
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
