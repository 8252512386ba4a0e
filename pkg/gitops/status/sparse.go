package status

import (
	"context"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// sparseSight is what was seen of the repository outside of what Flux applies.
type sparseSight struct {
	// suggested says that Flux fetches many files that it does not need.
	suggested bool
	// lacking is what Flux needs and does not fetch. It is looked for when Flux fails.
	lacking []fluxbuild.Reach
}

// lookSparse looks at what Flux fetches of a branch beside what it needs, or too little of. It is advice:
// what cannot be read is left out.
func (o *Observation) lookSparse(
	ctx context.Context, snapshot facts.SnapshotReader, sync []facts.GitObject,
) sparseSight {
	seen, flux := o.facts(), &o.Survey.Flux
	installed := flux.GitRepository != nil && flux.Kustomization != nil
	if snapshot.State() != git.BranchExists || !installed || seen.FollowsOther(flux) {
		return sparseSight{}
	}
	settings, err := fluxbuild.SettingsOf(flux.Kustomization.Spec)
	if err != nil {
		return sparseSight{}
	}
	if live := fluxbuild.Checkout(flux.GitRepository.SparseCheckout); len(live) > 0 {
		if !seen.FluxFails() {
			return sparseSight{}
		}
		lacking, _ := files.At(ctx, snapshot, nil).Reaches(o.Config, settings, live)
		return sparseSight{lacking: lacking}
	}
	checkout := fluxbuild.Checkout(layout.SparseCheckout(o.Config))
	if len(checkout) == 0 || sparseInGit(sync) || !files.ManyOutside(ctx, snapshot, checkout) {
		return sparseSight{}
	}
	for _, ks := range o.Survey.Kustomizations {
		name := fluxbuild.Name{Kind: ks.Kind, Namespace: ks.Namespace, Name: ks.Name}
		spec, _ := ks.Fields["spec"].(map[string]any)
		if len(fluxbuild.LiveReaches(name, spec, files.Source(o.Config), checkout)) > 0 {
			return sparseSight{}
		}
	}
	reaches, err := files.At(ctx, snapshot, nil).Reaches(o.Config, settings, checkout)
	return sparseSight{suggested: err == nil && len(reaches) == 0}
}

// sparseInGit says whether a GitRepository in Git fetches a part already, which Flux may have yet to apply.
func sparseInGit(sync []facts.GitObject) bool {
	for _, o := range sync {
		spec, _ := o.Fields["spec"].(map[string]any)
		list, _ := spec["sparseCheckout"].([]any)
		if o.Kind == "GitRepository" && len(list) > 0 {
			return true
		}
	}
	return false
}

// judgeSparse tells what Flux needs and does not fetch, and suggests to fetch less where that is of use.
func (j *judge) judgeSparse() {
	if j.Git == nil || j.lost {
		return
	}
	root := layout.RootDir(j.Config)
	lacking := j.Git.sparse.lacking
	if ks := j.Survey.Flux.Kustomization; ks == nil || facts.Failing(ks.Conditions) == nil {
		lacking = nil // what was seen of Git may be older than the survey
	}
	for _, reach := range lacking {
		message, _ := files.ReachText(reach, root)
		j.problem(Problem{
			Object:  fmt.Sprintf("GitRepository %s/%s", j.Survey.Namespace, j.Survey.Namespace),
			Message: message, File: reach.File,
			Cause: "its spec.sparseCheckout has Flux fetch no more than that, so that it cannot build what " +
				"needs more",
			Next: "correct that file and push; or have Flux fetch everything: " +
				hint.Run{Do: hint.Upgrade, File: hint.AnyFile,
					With: []hint.Setting{hint.SparseCheckout.Off()}}.Hint(),
		})
	}
	if j.Git.sparse.suggested {
		j.note("%s", files.ManyOutsideText(root))
	}
}
