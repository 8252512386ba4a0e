package files

import (
	"context"
	"fmt"
	"path"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// reachesLive finds objects in the cluster that take something from outside of a checkout, whoever has
// applied them.
func (p *Planner) reachesLive(
	ctx context.Context, checkout fluxbuild.Checkout, note func(string, ...any),
) ([]fluxbuild.Reach, error) {
	state := p.Facts.Cluster()
	of := Foresight{Facts: p.Facts, Adopting: p.Adopting}
	if p.Lister == nil || state == nil || state.Flux.GitRepository == nil || of.TakesOver() {
		return nil, nil
	}
	resources, err := p.Lister.FluxResources(ctx, fluxbuild.UsingKinds()...)
	if facts.IsAccessError(err) {
		note("whether objects in the cluster take files from outside of %s was not looked at: %v",
			layout.RootDir(p.Facts.Config()), err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for objects that take files from the repository: %w", err)
	}
	source := Source(p.Facts.Config())
	var reaches []fluxbuild.Reach
	for _, o := range resources.Objects {
		if o.Derived {
			continue
		}
		name := fluxbuild.Name{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
		reaches = append(reaches, fluxbuild.LiveReaches(name, o.Spec, source, checkout)...)
	}
	return reaches, nil
}

// reachFinding says what leads out of the path, where, and what helps.
func (p *Planner) reachFinding(reach fluxbuild.Reach) facts.Finding {
	root := layout.RootDir(p.Facts.Config())
	message, effect := ReachText(reach, root)
	message += ": with --sparse-checkout Flux would not fetch that, and " + effect
	return facts.AreaSpec.Finding(message, reachHint(reach, root))
}

// reachHint says how to do without the rest of the repository.
func reachHint(reach fluxbuild.Reach, root string) string {
	const push = " and push that first; or leave --sparse-checkout out"
	switch {
	case reach.Object != "":
		const own = "give that object a GitRepository of its own, or move what it uses below "
		return own + root + push
	case path.Base(reach.File) == fluxbuild.IgnoreFile:
		return "write its lines for that directory into " + path.Join(root, fluxbuild.IgnoreFile) + push
	}
	return text.Command("move %s below %s, correct the entry", reach.Target, root) + push
}

// SuggestSparse suggests a sparse checkout where it would be of use after a plan, and would work; empty is no
// suggestion. It is no reason to fail: whatever is in the way of working that out, there is none then.
func (p *Planner) SuggestSparse(ctx context.Context, snapshot facts.SnapshotReader, plan *Plan) string {
	checkout := fluxbuild.Checkout(layout.SparseCheckout(p.Facts.Config()))
	if p.Management == nil || p.Options.SparseCheckout != nil || len(checkout) == 0 {
		return ""
	}
	if snapshot == nil || plan == nil {
		return ""
	}
	sync := plan.After[SyncFile(p.Facts.Config())]
	_, planned, says := plan.Checkouts(p.Facts.Config())
	if !says || len(planned) > 0 || !ManyOutside(ctx, snapshot, checkout) {
		return ""
	}
	with, err := fluxmanifests.SetSparseCheckout(sync, p.Facts.Config().SystemNamespace, checkout)
	if err != nil || p.checkSparseField(plan, with) != nil {
		return ""
	}
	settings := SyncSettings(sync, layout.SyncPath(p.Facts.Config()))
	reaches, err := At(ctx, snapshot, plan).Reaches(p.Facts.Config(), settings, checkout)
	if err != nil || len(reaches) > 0 {
		return ""
	}
	looked := true
	unseen := func(string, ...any) { looked = false }
	if live, err := p.reachesLive(ctx, checkout, unseen); err != nil || len(live) > 0 || !looked {
		return ""
	}
	return ManyOutsideText(layout.RootDir(p.Facts.Config()))
}
