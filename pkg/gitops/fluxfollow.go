package gitops

import (
	"context"
	"fmt"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// fluxFollows says whether Flux applies its own files from Git, so that it brings itself to what they say.
func (u *upgradeRun) fluxFollows() bool {
	flux := &u.seen.Cluster().Flux
	return flux.GitRepository != nil && flux.Kustomization != nil && flux.SourceSecret != nil &&
		flux.Working()
}

// bringFlux brings Flux to what is in Git. One that follows the repository does that itself; one that is not
// there, or broken, is installed; and one that follows something else is taken over.
func (u *upgradeRun) bringFlux(ctx context.Context) step.Sequence {
	switch {
	case u.management == nil:
		return nil
	case u.adopts():
		return u.adopt()
	case !u.fluxFollows(), u.fetchesTooLittle():
		return u.installFlux(ctx)
	}
	return step.Sequence{step.Telling(u.noteFlux)}
}

// noteFlux begins the part of the result that is about Flux.
func (u *upgradeRun) noteFlux() {
	version, _, err := fluxmanifests.ComponentVersion(u.planned.System[layout.ComponentsFile])
	if err != nil {
		version = u.seen.Cluster().Flux.Version
	}
	u.result.Flux = &FluxResult{Version: version, Namespace: u.seen.Config().SystemNamespace,
		URL: u.seen.Remote().Cluster, Path: layout.SyncPath(u.seen.Config()), Changes: u.flux.Changes}
}

// nudgeEvery is how often Flux is asked to look again while its controllers are being replaced.
const nudgeEvery = 10 * time.Second

// nudge asks Flux again and again to look at the repository, until stop is called. A kustomize-controller
// that begins to work while the source-controller is being replaced, too, cannot fetch, and tries again only
// at its interval, which is ten minutes.
func (u *upgradeRun) nudge(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var nudging crash.Group
	nudging.Go(func() {
		ticker := time.NewTicker(nudgeEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				// A failure shows in what is waited for.
				_ = u.open.cluster.RequestReconcile(ctx, u.seen.Config().SystemNamespace,
					u.seen.Config().SystemNamespace)
			}
		}
	})
	return func() {
		cancel()
		nudging.Wait()
	}
}

// waitUpgraded is waitApplied while Flux's own controllers may be replaced by the commit.
func (u *upgradeRun) waitUpgraded(context.Context) step.Sequence {
	wait := u.waitApplied(u.planLater)
	if u.flux.Images != nil {
		waitNow := wait.Apply
		wait.Apply = func(ctx context.Context) (step.Effect, error) {
			defer u.nudge(ctx)()
			return waitNow(ctx)
		}
	}
	return step.Sequence{wait}
}

const stepRollOver = step.Name("Wait for Flux's new controllers to work")

// replacesControllers says whether Flux's controllers are others after the run.
func (u *upgradeRun) replacesControllers() bool {
	return len(u.flux.Changes) > 0 && u.flux.Images != nil
}

// waitRolledOver waits until the controllers that changed run, and have worked.
func (u *upgradeRun) waitRolledOver(context.Context) step.Sequence {
	if u.result.Flux != nil {
		u.result.Flux.Changes = u.flux.Changes
	}
	if !u.replacesControllers() {
		return nil
	}
	return step.Sequence{step.Action{
		Name: stepRollOver,
		Plan: step.Planned(step.Changed(files.ComponentNames(u.flux.Changes))),
		Apply: func(ctx context.Context) (step.Effect, error) {
			ctx, cancel := context.WithTimeout(ctx, u.settings.FluxTimeout)
			defer cancel()
			wait := fluxinstall.Rollover{Namespace: u.seen.Config().SystemNamespace,
				Name: u.seen.Config().SystemNamespace, Images: u.flux.Images, Removed: u.flux.Removed}
			if err := u.open.cluster.WaitRolledOver(ctx, wait, u.progressOf(stepRollOver)); err != nil {
				u.result.Flux.Ready = false
				return step.Effect{}, fmt.Errorf("waiting for Flux's new controllers: %w", err)
			}
			return step.Changed(files.ComponentNames(u.flux.Changes)), nil
		},
	}}
}
