package files

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Options are what a creation or an upgrade is asked to put into Git.
type Options struct {
	// Overwrite lets the files of the run take the place of others.
	Overwrite bool
	// Components choose what of Flux is installed, and Images replaces controllers' images, by Deployment.
	Components fluxmanifests.ComponentsOptions
	Images     map[string]string
	// WithApps adds the scaffold for apps.
	WithApps bool
	// SparseCheckout has Flux fetch its path alone, or all again; nil leaves what Git says.
	SparseCheckout *bool
}

// choosesComponents says whether other controllers are asked for than those that there are.
func (o *Options) choosesComponents() bool {
	return len(o.Components.Components) > 0 || len(o.Components.ComponentsExtra) > 0
}

// Planner works out what a creation has to write on top of a snapshot of the repository, from what the run
// has seen and was asked for. It may be used again, on any snapshot: nothing but its Memory changes.
type Planner struct {
	Facts   facts.Facts
	Options Options
	// Managed are the clusters whose files the run brings to Git, and Management the management cluster, when
	// it is among them: the run looks after Flux then.
	Managed    []*clusterspec.Cluster
	Management *clusterspec.Cluster
	// Rendering is what the run would have in the repository if nobody else had written to it.
	Rendering Rendering
	// Lister lists objects of Flux's kinds; nil where the management cluster cannot be looked at.
	Lister facts.FluxLister
	Memory *Memory
	// Adopting says that the run takes over a Flux that follows something else.
	Adopting bool
	// Later says that the snapshot is of a commit that Flux has applied after the run's, so that nothing
	// comes of the plan.
	Later bool
	// HoldBetween has the clusters held against those that are in Git already.
	HoldBetween bool
}

// Create is the plan of a creation. A nil snapshot is a repository that does not exist yet. The errors that
// are about the files are *[ConflictError] and *[facts.FoundError].
func (p *Planner) Create(ctx context.Context, snapshot facts.SnapshotReader) (*Plan, error) {
	plan := NewPlan(p.Later)
	if err := p.compareFiles(ctx, snapshot, plan, p.Rendering,
		func(string) bool { return p.Options.Overwrite }); err != nil {
		return nil, err
	}
	if err := p.addApps(ctx, snapshot, plan); err != nil {
		return nil, err
	}
	if err := p.checkBetween(ctx, snapshot); err != nil {
		return nil, err
	}
	if err := p.checkBuilt(ctx, snapshot, plan); err != nil {
		return nil, err
	}
	if err := CheckReadings(plan, p.Facts.Config().SystemNamespace); err != nil {
		return nil, err
	}
	if err := p.checkReach(ctx, snapshot, plan); err != nil {
		return nil, err
	}
	return plan, p.checkFiles(ctx, snapshot, plan)
}

// syncOptions are what Flux's sync objects say.
func syncOptions(seen facts.Facts) fluxmanifests.SyncOptions {
	return fluxmanifests.SyncOptions{
		Namespace: seen.Config().SystemNamespace,
		URL:       seen.Remote().Cluster,
		Branch:    seen.Config().Branch,
		Path:      layout.SyncPath(seen.Config()),
	}
}

// Rendering is what a run would have in the repository if nobody else had written to it.
type Rendering struct {
	Files  []layout.File // of the clusters
	System []layout.File // of Flux
	Apps   []layout.File // of the apps scaffold
}

// Render makes the files of clusters, and those of Flux when it is the run's to look after. It reads nothing
// but the specs.
func Render(ctx context.Context, seen facts.Facts, managed []*clusterspec.Cluster, keepsFlux bool,
	options Options) (Rendering, error) {
	var made Rendering
	for _, c := range managed {
		files, err := layout.ClusterFiles(c)
		if err != nil {
			return made, fmt.Errorf("rendering the files of cluster %s: %w", c.Name, err)
		}
		made.Files = append(made.Files, files...)
		if !options.WithApps {
			continue
		}
		if files, err = layout.AppsFiles(c); err != nil {
			return made, fmt.Errorf("rendering the apps scaffold of cluster %s: %w", c.Name, err)
		}
		made.Apps = append(made.Apps, files...)
	}
	if !keepsFlux {
		return made, nil
	}
	components := options.Components
	components.Namespace = seen.Config().SystemNamespace
	manifests, err := fluxmanifests.Components(ctx, components)
	if err != nil {
		return made, fmt.Errorf("rendering Flux's components: %w", err)
	}
	sync, err := fluxmanifests.Sync(syncOptions(seen))
	if err != nil {
		return made, fmt.Errorf("rendering Flux's sync objects: %w", err)
	}
	made.System, err = layout.SystemFiles(seen.Config(), layout.FluxFiles{Components: manifests,
		Sync: sync, Images: options.imagesOf(components.Chosen())})
	if err != nil {
		return made, fmt.Errorf("rendering Flux's files: %w", err)
	}
	return made, nil
}

// sortChanges brings the changes of a plan into the order of their paths.
func sortChanges(plan *Plan) {
	slices.SortFunc(plan.Changes, func(a, b layout.FileChange) int {
		return strings.Compare(a.Path, b.Path)
	})
}
