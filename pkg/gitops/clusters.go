package gitops

import (
	"cmp"
	"context"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// clustersRun is what a creation and an upgrade have in common: both bring the files of clusters to Git, and
// what Flux needs to apply them.
type clustersRun struct {
	*run
	options CreateOptions

	// the clusters with GitOps; all have the same configuration but for names
	managed    []*clusterspec.Cluster
	management *clusterspec.Cluster // among managed, or nil when only workload clusters are worked on

	rendered    files.Rendering
	restored    []string  // clusters whose files come back to Git
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

	// foreignKey is the public key of a source Secret that is for another repository and is to be replaced;
	// empty without one.
	foreignKey string
}

func newClustersRun(command string, ports Ports, options CreateOptions) *clustersRun {
	told := facts.Told{Config: orWithoutGit(nil)}
	var managed []*clusterspec.Cluster
	var management *clusterspec.Cluster
	for _, c := range options.Clusters {
		if c.GitOps == nil {
			told.ManagementCluster = cmp.Or(told.ManagementCluster, c.ManagementCluster)
			continue
		}
		managed = append(managed, c)
		told.Config, told.ManagementCluster = c.GitOps, c.ManagementCluster
		if c.Role() == clusterspec.RoleManagement {
			management = c
		}
	}
	if management != nil {
		told.Config = management.GitOps
	}
	r := &clustersRun{run: newRun(command, ports, options.Settings, told), options: options,
		managed: managed, management: management}
	r.meant = options.Meant
	for _, c := range r.options.Clusters {
		r.result.Clusters = append(r.result.Clusters, ClusterResult{
			Name: c.Name, Namespace: c.Namespace, Role: c.Role(), ManagementCluster: c.ManagementCluster,
			KubernetesVersion: c.KubernetesVersion,
		})
	}
	if r.management != nil {
		r.keepsFlux, r.purpose = true, fluxinstall.ForInstalling
	}
	return r
}

// render makes the files. It reads nothing but the specs.
func (r *clustersRun) render(ctx context.Context) (err error) {
	for _, c := range r.managed {
		r.clusterResult(c.Name).SpecPath = layout.PathsOf(c).Spec
	}
	r.rendered, err = files.Render(ctx, r.seen, r.managed, r.management != nil, r.options.ofFiles())
	return err
}
