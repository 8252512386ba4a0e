package gitops

import (
	"context"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// noteSparseElsewhere says of a run that does not look after Flux that it does not do what was asked for.
func (r *clustersRun) noteSparseElsewhere() {
	asked, state := r.options.SparseCheckout, r.seen.Cluster()
	if asked == nil || r.management != nil || state == nil || state.Flux.GitRepository == nil {
		return
	}
	if *asked == (len(state.Flux.GitRepository.SparseCheckout) > 0) {
		return
	}
	note := fmt.Sprintf("--sparse-checkout is about the Flux of management cluster %s, whose file is not "+
		"among those of this run: what Flux fetches stays as it is; ", r.seen.ManagementCluster())
	r.steps.Note(step.LevelWarning, note+"eksa-gitops upgrade cluster -f with that file changes it")
}

// suggestSparse suggests a sparse checkout where it would be of use and would work.
func (r *createRun) suggestSparse(ctx context.Context) {
	planner := r.planner()
	if suggestion := planner.SuggestSparse(ctx, r.snapshot, r.planned); suggestion != "" {
		r.steps.Note(step.LevelInfo, suggestion)
	}
}

// fetchesTooLittle says whether Flux fails with a part of the repository that the run widens: it cannot apply
// the commit that says so, and the GitRepository has to be written for it.
func (r *run) fetchesTooLittle() bool {
	flux := &r.seen.Cluster().Flux
	if flux.GitRepository == nil || flux.Kustomization == nil || r.planned == nil {
		return false
	}
	if len(flux.GitRepository.SparseCheckout) == 0 || !r.seen.FluxFails() {
		return false
	}
	_, after, says := r.planned.Checkouts(r.seen.Config())
	return says && !slices.Equal(after, flux.GitRepository.SparseCheckout)
}
