package gitops

import (
	"context"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// buildPushed builds Flux's directory as it is in Git now, for a step that applies it: a failure is that
// step's.
func (r *clustersRun) buildPushed(step step.Name) (components, sync []byte, err error) {
	components, sync, err = r.memory.Build(r.planned.System)
	if err != nil {
		r.steps.Failed = step
		err = fmt.Errorf("building %s as it is in Git: %w", layout.SystemDir(r.seen.Config()), err)
	}
	return components, sync, err
}

// tellRunning is noteRunning between steps.
func (r *run) tellRunning(ctx context.Context) error {
	r.noteRunning(ctx)
	return nil
}

// noteRunning puts into the result what runs of Flux, as the pods say where the run has changed Flux, and as
// the Deployments do that have rolled out otherwise. The release that is named is that of the definitions
// only when all controllers are of it.
func (r *run) noteRunning(ctx context.Context) {
	result := r.result.Flux
	if result == nil || r.seen.Cluster() == nil {
		return
	}
	var running []fluxinstall.RunningController
	if r.keepsFlux && !r.seen.Cluster().Applied(r.seen.Config().Branch, r.commit) {
		var err error
		if running, err = r.open.cluster.RunningControllers(ctx,
			r.seen.Config().SystemNamespace); err != nil {
			if ctx.Err() == nil {
				r.steps.Note(step.LevelWarning,
					fmt.Sprintf("could not look at which of Flux's controllers run: %v", err))
			}
			return
		}
	} else {
		for _, c := range r.seen.Cluster().Flux.Controllers {
			if c.Available {
				running = append(running,
					fluxinstall.RunningController{Name: c.Name, Images: []string{c.Image}})
			}
		}
	}
	result.Controllers = nil
	release := result.Version
	for _, c := range running {
		for _, image := range c.Images {
			fit, expected := fluxmanifests.ControllerFit(release, c.Name, image)
			result.Controllers = append(result.Controllers, FluxController{Name: c.Name,
				Version: fluxmanifests.ImageVersion(image), Image: image, Fit: fit})
			switch {
			case fit == fluxmanifests.FitOlder || fit == fluxmanifests.FitNewer:
				result.Version = ""
				r.steps.Note(step.LevelWarning, fmt.Sprintf(
					"%s runs %s, which is of another release than Flux %s, of which the definitions are",
					c.Name, fluxmanifests.ImageVersion(image), release))
			case fit == fluxmanifests.FitUnknown && expected != "":
				r.steps.Note(step.LevelInfo,
					fmt.Sprintf("%s runs image %s, of which it cannot be told whether it is of Flux %s",
						c.Name, image, release))
			}
		}
	}
}
