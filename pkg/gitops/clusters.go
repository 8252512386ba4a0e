package gitops

import (
	"context"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// clustersRun is what a creation and an upgrade have in common: both bring the files of clusters to Git, and
// what Flux needs to apply them.
type clustersRun struct {
	*run
	options CreateOptions

	// the clusters with GitOps; all have the same configuration but for names
	managed    []*clusterspec.Cluster
	management *clusterspec.Cluster // among managed, or nil when only workload clusters are worked on

	rendered    rendering
	restored    []string  // clusters whose files come back to Git
	heldBetween bool      // the clusters were held against those in Git
	gitOpsError error     // why the GitOps part was given up; an upgrade gives it up with an error of its own
	gitOpsStep  step.Name // in which step that was
	notReady    error     // why not every cluster was seen to be Ready

	// asReleased says that a dry run looks at the clusters as they are once what an earlier run has left held
	// is released.
	asReleased bool

	made made // for Flux to read the repository with
	// sourceLater says that the credentials change after the push, in the course of a take-over.
	sourceLater bool

	// dropped is what the planned components take away of the versions of Flux's kinds.
	dropped []fluxinstall.DroppedVersions
	// kinds are those of the components that were read last; see kindsOf.
	kinds     lint.FluxKinds
	kindsRead []byte

	// foreignKey is the public key of a source Secret that is for another repository and is to be replaced;
	// empty without one.
	foreignKey string
}

// rendering is what the run would have in the repository if nobody else had written to it.
type rendering struct {
	files  []layout.File // of the clusters
	system []layout.File // of Flux
	apps   []layout.File // of the apps scaffold
}

func newClustersRun(command string, ports Ports, options CreateOptions) *clustersRun {
	r := &clustersRun{run: newRun(command, ports, options.Settings), options: options}
	r.meant = options.Meant
	for _, c := range r.options.Clusters {
		r.result.Clusters = append(r.result.Clusters, ClusterResult{
			Name: c.Name, Namespace: c.Namespace, Role: c.Role(), ManagementCluster: c.ManagementCluster,
			KubernetesVersion: c.KubernetesVersion,
		})
		if c.GitOps == nil {
			continue
		}
		r.managed = append(r.managed, c)
		r.seen.Config, r.seen.ManagementCluster = c.GitOps, c.ManagementCluster
		if c.Role() == clusterspec.RoleManagement {
			r.management = c
		}
	}
	if r.management != nil {
		r.seen.Config, r.keepsFlux, r.purpose = r.management.GitOps, true, fluxinstall.ForInstalling
	}
	return r
}

// render makes the files. It reads nothing but the specs.
func (r *clustersRun) render(ctx context.Context) error {
	for _, c := range r.managed {
		files, err := layout.ClusterFiles(c)
		if err != nil {
			return fmt.Errorf("rendering the files of cluster %s: %w", c.Name, err)
		}
		r.rendered.files = append(r.rendered.files, files...)
		r.clusterResult(c.Name).SpecPath = layout.PathsOf(c).Spec
		if err := r.renderApps(c); err != nil {
			return err
		}
	}
	if r.management == nil {
		return nil
	}
	components := r.options.Components
	components.Namespace = r.seen.Config.SystemNamespace
	manifests, err := fluxmanifests.Components(ctx, components)
	if err != nil {
		return fmt.Errorf("rendering Flux's components: %w", err)
	}
	sync, err := fluxmanifests.Sync(r.syncOptions())
	if err != nil {
		return fmt.Errorf("rendering Flux's sync objects: %w", err)
	}
	r.rendered.system, err = layout.SystemFiles(r.seen.Config, layout.FluxFiles{Components: manifests,
		Sync: sync, Images: r.options.imagesOfComponents(components.Chosen())})
	if err != nil {
		return fmt.Errorf("rendering Flux's files: %w", err)
	}
	return nil
}
