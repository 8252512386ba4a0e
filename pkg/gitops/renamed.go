package gitops

import (
	"context"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// identify finds out whether Flux follows the repository under another name.
func (r *run) identify(ctx context.Context, flux *fluxinstall.FluxState) {
	if r.seen.Config.GitHub == nil || r.ports.OpenHost == nil {
		return
	}
	// A host that cannot be opened is told of where the repository is looked at.
	if host, err := r.ports.OpenHost(ctx); err == nil {
		r.seen.OtherName = facts.OtherName(ctx, host, r.seen.Remote, r.seen.Config, flux)
	}
}

// noteRenamed says, once, that the repository has another name now, and what that means. Once a cluster has
// the GitOps configuration, the name in it stays: EKS Anywhere's webhook takes no change of its spec.
func (r *run) noteRenamed() {
	now := r.seen.Renamed()
	if now == "" {
		return
	}
	advice := facts.LeaveOldName(r.seen.Config.Kind)
	if r.seen.Cluster != nil {
		live := r.seen.Cluster.GitOpsConfigOf(r.seen.ManagementCluster)
		switch {
		case live == nil:
			advice = "no cluster has the old name yet, so put the new one into spec.github.owner and " +
				"spec.github.repository"
		case slices.ContainsFunc(gitOpsDifferences(live.Spec, r.seen.Config), r.sameButName):
			return // the cluster has another name than the file, which is a finding
		}
	}
	r.steps.Note(step.LevelWarning, facts.RenameText(r.seen.RepoRef(), now, advice))
}
