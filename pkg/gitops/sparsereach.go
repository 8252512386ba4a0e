package gitops

import (
	"context"
	"fmt"
	"path"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// reachesLive finds objects in the cluster that take something from outside of a checkout, whoever has
// applied them.
func (r *run) reachesLive(
	ctx context.Context, checkout fluxbuild.Checkout, note func(string, ...any),
) ([]fluxbuild.Reach, error) {
	state, cluster, of := r.seen.Cluster(), r.open.cluster, r.foresight()
	if cluster == nil || state == nil || state.Flux.GitRepository == nil || of.TakesOver() {
		return nil, nil
	}
	resources, err := cluster.FluxResources(ctx, fluxbuild.UsingKinds()...)
	if facts.IsAccessError(err) {
		note("whether objects in the cluster take files from outside of %s was not looked at: %v",
			layout.RootDir(r.seen.Config()), err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for objects that take files from the repository: %w", err)
	}
	source := files.Source(r.seen.Config())
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
func (r *run) reachFinding(reach fluxbuild.Reach) facts.Finding {
	root := layout.RootDir(r.seen.Config())
	message, effect := files.ReachText(reach, root)
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
