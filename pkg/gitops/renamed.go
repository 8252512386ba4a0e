package gitops

import (
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// noteRenamed says, once, that the repository has another name now, and what that means. Once a cluster has
// the GitOps configuration, the name in it stays: EKS Anywhere's webhook takes no change of its spec.
func (r *run) noteRenamed() {
	now := r.seen.Renamed()
	if now == "" {
		return
	}
	advice := facts.LeaveOldName(r.seen.Config().Kind)
	if r.seen.Cluster() != nil {
		live := r.seen.Cluster().GitOpsConfigOf(r.seen.ManagementCluster())
		switch {
		case live == nil:
			advice = "no cluster has the old name yet, so put the new one into spec.github.owner and " +
				"spec.github.repository"
		case slices.ContainsFunc(gitOpsDifferences(live.Spec, r.seen.Config()), r.sameButName):
			return // the cluster has another name than the file, which is a finding
		}
	}
	r.steps.Note(step.LevelWarning, facts.RenameText(r.seen.RepoRef(), now, advice))
}
