package gitops

import (
	"context"
	"fmt"
	"path"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// reachesIn finds what Flux takes from outside of a checkout, in what Git holds. The error may be a
// *fluxbuild.Error: the path cannot be built at all, and there may be more to find.
func (r *run) reachesIn(
	files *snapshotFiles, settings fluxbuild.Settings, checkout fluxbuild.Checkout,
) ([]fluxbuild.Reach, error) {
	root := layout.RootDir(r.config)
	var reaches []fluxbuild.Reach
	err := files.prefetch(root)
	if err == nil {
		_, reaches, err = fluxbuild.ReachesOf(files, root, settings, r.source(), checkout)
	}
	if files.err != nil {
		err = files.err
	}
	if err != nil {
		return reaches, fmt.Errorf("looking for what Flux takes from outside of %s: %w", root, err)
	}
	for i := range reaches {
		if at := &reaches[i]; at.File == "" && at.Object == "" { // a setting of Flux's own Kustomization
			at.File, at.Object = r.syncFile(), "Kustomization "+r.config.SystemNamespace+"/"+r.config.SystemNamespace
		}
	}
	return reaches, nil
}

// reachesLive finds objects in the cluster that take something from outside of a checkout, whoever has
// applied them.
func (r *run) reachesLive(
	ctx context.Context, checkout fluxbuild.Checkout, note func(string, ...any),
) ([]fluxbuild.Reach, error) {
	state, cluster := r.seen.cluster, r.seen.ports.cluster
	if cluster == nil || state == nil || state.Flux.GitRepository == nil || r.takesOver() {
		return nil, nil
	}
	resources, err := cluster.FluxResources(ctx, fluxbuild.UsingKinds()...)
	if IsAccessError(err) {
		note("whether objects in the cluster take files from outside of %s was not looked at: %v",
			layout.RootDir(r.config), err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for objects that take files from the repository: %w", err)
	}
	var reaches []fluxbuild.Reach
	for _, o := range resources.Objects {
		if o.Derived {
			continue
		}
		name := fluxbuild.Name{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
		reaches = append(reaches, liveReaches(name, o.Spec, r.source(), checkout)...)
	}
	return reaches, nil
}

// liveReaches are the uses of a live object that lie outside of a checkout.
func liveReaches(
	name fluxbuild.Name, spec map[string]any, source fluxbuild.Name, checkout fluxbuild.Checkout,
) []fluxbuild.Reach {
	var reaches []fluxbuild.Reach
	for _, use := range fluxbuild.UsesOf(name, spec, source) {
		if checkout.Outside(use.Path) {
			reaches = append(reaches, fluxbuild.Reach{
				Object: name.String(), Field: use.Field, Value: use.Path, Target: path.Clean("./" + use.Path),
			})
		}
	}
	return reaches
}

// reachFinding says what leads out of the path, where, and what helps.
func (r *run) reachFinding(reach fluxbuild.Reach) Finding {
	root := layout.RootDir(r.config)
	message, effect := reachText(reach, root)
	message += ": with --sparse-checkout Flux would not fetch that, and " + effect
	return Finding{AreaSpec, message, reachHint(reach, root)}
}

// reachText names what leads out of a path, and what becomes of it without that.
func reachText(reach fluxbuild.Reach, root string) (message, effect string) {
	where := reach.File
	if where != "" && reach.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, reach.Line)
	}
	if where != "" {
		where += ": "
	}
	switch {
	case reach.Object != "":
		message = fmt.Sprintf("%s%s: %s is %q, which is not below %s",
			where, reach.Object, reach.Field, reach.Value, root)
		return message, "that object would do nothing any more"
	case path.Base(reach.File) == ignoreFile:
		message = fmt.Sprintf("%s leaves files below %s out, and is itself outside of it", reach.File, root)
		return message, "would apply those files"
	case reach.Field != "":
		message = fmt.Sprintf("%s%s is %q, which is outside of %s", where, reach.Field, reach.Value, root)
	default:
		message = fmt.Sprintf("%s needs %s, which is outside of %s: %s",
			reach.File, reach.Target, root, firstLine(reach.Value))
	}
	return message, "would apply nothing any more"
}

// ignoreFile is what source-controller reads to leave files out.
const ignoreFile = ".sourceignore"

// reachHint says how to do without the rest of the repository.
func reachHint(reach fluxbuild.Reach, root string) string {
	const push = " and push that first; or leave --sparse-checkout out"
	switch {
	case reach.Object != "":
		const own = "give that object a GitRepository of its own, or move what it uses below "
		return own + root + push
	case path.Base(reach.File) == ignoreFile:
		return fmt.Sprintf("write its lines for that directory into %s", path.Join(root, ignoreFile)) + push
	}
	return text.Command("move %s below %s, correct the entry", reach.Target, root) + push
}
