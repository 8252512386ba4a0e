package gitops

import (
	"context"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// intent is what a run is going to do in a namespace of the cluster.
type intent struct {
	purpose   fluxinstall.Purpose
	namespace string
}

// checkRights finds what the user may not do in the cluster and the run would, beside what was asked about
// with the state of the cluster: otherwise that shows when the commit is pushed already. What a user may do
// matters only where all else is well.
func (r *run) checkRights(ctx context.Context, found *findings, intents ...intent) {
	if len(found.list) > 0 || r.open.cluster == nil {
		return
	}
	if r.asksFlux() {
		intents = append(intents, intent{fluxinstall.ForFollowing, r.seen.Config().SystemNamespace})
	}
	for i, one := range intents {
		if slices.Contains(intents[:i], one) {
			continue
		}
		for _, f := range lacking(r.open.cluster.MissingRights(ctx, one.purpose, one.namespace)) {
			found.addFinding(f)
		}
	}
}

// lacking tells what the user may not do, and which rule would allow it.
func lacking(rights []*fluxinstall.MissingRight) []facts.Finding {
	var found []facts.Finding
	for _, right := range rights {
		found = append(found, facts.AreaAccess.Finding(right.Error(), right.Hint()))
	}
	return found
}

// asksFlux says whether the run tells Flux to look at its commit now.
func (r *run) asksFlux() bool {
	if r.planned == nil || r.snapshot == nil || r.seen.Cluster().Flux.GitRepository == nil || r.unguarded {
		return false
	}
	return !r.planned.InPlace(r.snapshot) ||
		!r.seen.Cluster().Applied(r.seen.Config().Branch, r.snapshot.Head())
}

// intents are what a deletion does to objects of clusters itself. What a management cluster needs is asked
// about with its state.
func (d *deleteRun) intents() []intent {
	var intents []intent
	for _, t := range d.targets {
		switch {
		case t.live == nil || d.detaches:
		case d.hasProvisioner():
			intents = append(intents, intent{fluxinstall.ForMarking, t.Namespace})
		case d.options.From == FromCluster && !t.live.Deleting:
			intents = append(intents, intent{fluxinstall.ForDeleting, t.Namespace})
		}
	}
	return intents
}

// intents are what a pause does to objects that Flux does not bring to what Git says.
func (p *pauseRun) intents() []intent {
	var intents []intent
	for _, t := range p.targets {
		if t.live != nil && !t.inGit && t.live.Paused != p.paused {
			intents = append(intents, intent{fluxinstall.ForMarking, t.live.Namespace})
		}
	}
	return intents
}
