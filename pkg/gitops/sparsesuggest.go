package gitops

import (
	"context"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
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

// suggestSparse suggests a sparse checkout where it would be of use and would work. It is no reason to fail:
// whatever is in the way of working that out, there is no suggestion then.
func (r *createRun) suggestSparse(ctx context.Context) {
	snapshot, plan := r.snapshot, r.planned
	checkout := fluxbuild.Checkout(layout.SparseCheckout(r.seen.Config()))
	if r.management == nil || r.options.SparseCheckout != nil || len(checkout) == 0 {
		return
	}
	if snapshot == nil || plan == nil {
		return
	}
	sync := plan.After[files.SyncFile(r.seen.Config())]
	_, planned, says := plan.Checkouts(r.seen.Config())
	if !says || len(planned) > 0 || !files.ManyOutside(ctx, snapshot, checkout) {
		return
	}
	with, err := fluxmanifests.SetSparseCheckout(sync, r.seen.Config().SystemNamespace, checkout)
	if err != nil || r.checkSparseField(plan, with) != nil {
		return
	}
	settings := files.SyncSettings(sync, layout.SyncPath(r.seen.Config()))
	reaches, err := files.At(ctx, snapshot, plan).Reaches(r.seen.Config(), settings, checkout)
	if err != nil || len(reaches) > 0 {
		return
	}
	looked := true
	unseen := func(string, ...any) { looked = false }
	if live, err := r.reachesLive(ctx, checkout, unseen); err != nil || len(live) > 0 || !looked {
		return
	}
	r.steps.Note(step.LevelInfo, files.ManyOutsideText(layout.RootDir(r.seen.Config())))
}
