package files

import (
	"fmt"
	"path"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Reaches finds what Flux takes from outside of a checkout, in what Git holds. The error may be a
// *fluxbuild.Error: the path cannot be built at all, and there may be more to find.
func (f *Tree) Reaches(
	config *clusterspec.GitOps, settings fluxbuild.Settings, checkout fluxbuild.Checkout,
) ([]fluxbuild.Reach, error) {
	root := layout.RootDir(config)
	var reaches []fluxbuild.Reach
	err := f.Prefetch(root)
	if err == nil {
		_, reaches, err = fluxbuild.ReachesOf(f, root, settings, Source(config), checkout)
	}
	if f.err != nil {
		err = f.err
	}
	if err != nil {
		return reaches, fmt.Errorf("looking for what Flux takes from outside of %s: %w", root, err)
	}
	for i := range reaches {
		if at := &reaches[i]; at.File == "" && at.Object == "" { // a setting of Flux's own Kustomization
			at.File = SyncFile(config)
			at.Object = "Kustomization " + config.SystemNamespace + "/" + config.SystemNamespace
		}
	}
	return reaches, nil
}

// ReachText names what leads out of a path, and what becomes of it without that.
func ReachText(reach fluxbuild.Reach, root string) (message, effect string) {
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
	case path.Base(reach.File) == fluxbuild.IgnoreFile:
		message = fmt.Sprintf("%s leaves files below %s out, and is itself outside of it", reach.File, root)
		return message, "would apply those files"
	case reach.Field != "":
		message = fmt.Sprintf("%s%s is %q, which is outside of %s", where, reach.Field, reach.Value, root)
	default:
		message = fmt.Sprintf("%s needs %s, which is outside of %s: %s",
			reach.File, reach.Target, root, text.FirstLine(reach.Value))
	}
	return message, "would apply nothing any more"
}
