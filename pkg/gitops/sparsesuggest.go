package gitops

import (
	"context"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Files of others of which Flux would be rid: it is worth a word from here on.
const manyFiles = 1000

// maxOutsideDirs bounds how many directories are looked at to count them.
const maxOutsideDirs = 5000

// manyOutside says whether a checkout leaves many files of a snapshot out. Nothing is transferred for it.
func manyOutside(ctx context.Context, snapshot Snapshot, checkout fluxbuild.Checkout) bool {
	count, seen := 0, 0
	pending := []string{""}
	for len(pending) > 0 && count <= manyFiles && seen < maxOutsideDirs && ctx.Err() == nil {
		dir := pending[0]
		pending = pending[1:]
		seen++
		entries, err := snapshot.List(dir)
		if err != nil {
			continue // what cannot be read is not counted
		}
		for _, entry := range entries {
			switch {
			case entry.Unsafe:
			case entry.Mode == git.Dir && !checkout.HasDir(entry.Path):
				pending = append(pending, entry.Path)
			case entry.Mode != git.Dir && !checkout.HasFile(entry.Path):
				count++
			}
		}
	}
	return count > manyFiles
}

// noteSparseElsewhere says of a run that does not look after Flux that it does not do what was asked for.
func (r *clustersRun) noteSparseElsewhere() {
	asked, state := r.options.SparseCheckout, r.seen.cluster
	if asked == nil || r.management != nil || state == nil || state.Flux.GitRepository == nil {
		return
	}
	if *asked == (len(state.Flux.GitRepository.SparseCheckout) > 0) {
		return
	}
	note := fmt.Sprintf("--sparse-checkout is about the Flux of management cluster %s, whose file is not among "+
		"those of this run: what Flux fetches stays as it is; ", r.managementCluster)
	r.steps.Note(LevelWarning, note+"eksa-gitops upgrade cluster -f with that file changes it")
}

// suggestSparse suggests a sparse checkout where it would be of use and would work. It is no reason to fail:
// whatever is in the way of working that out, there is no suggestion then.
func (r *createRun) suggestSparse(ctx context.Context) {
	snapshot, plan := r.seen.snapshot, r.seen.files
	checkout := fluxbuild.Checkout(layout.SparseCheckout(r.config))
	if r.management == nil || r.options.SparseCheckout != nil || len(checkout) == 0 {
		return
	}
	if snapshot == nil || plan == nil {
		return
	}
	sync := plan.after[r.syncFile()]
	_, planned, says := r.plannedCheckout(plan)
	if !says || len(planned) > 0 || !manyOutside(ctx, snapshot, checkout) {
		return
	}
	with, err := fluxmanifests.SetSparseCheckout(sync, r.config.SystemNamespace, checkout)
	if err != nil || r.checkSparseField(plan, with) != nil {
		return
	}
	settings := syncSettings(sync, layout.SyncPath(r.config))
	reaches, err := r.reachesIn(filesAt(ctx, snapshot, plan), settings, checkout)
	if err != nil || len(reaches) > 0 {
		return
	}
	looked := true
	unseen := func(string, ...any) { looked = false }
	if live, err := r.reachesLive(ctx, checkout, unseen); err != nil || len(live) > 0 || !looked {
		return
	}
	r.steps.Note(LevelInfo, manyOutsideText(layout.RootDir(r.config)))
}

// manyOutsideText suggests a sparse checkout.
func manyOutsideText(root string) string {
	note := fmt.Sprintf("more than %d files of the repository are outside of %s, and Flux fetches and unpacks "+
		"all of them at every commit of anybody; it needs none of them: ", manyFiles, root)
	return note + "eksa-gitops upgrade cluster -f FILE --sparse-checkout has it fetch that directory alone"
}
