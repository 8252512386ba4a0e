package gitops

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// earlyFlux is what of Flux was installed while the commit was on its way.
type earlyFlux struct {
	started    bool
	components []byte // that were applied; a dry run applies none
	made       fluxinstall.ChangeSet
}

// startsFluxEarly says whether Flux's controllers may start while the repository is created and the commit is
// pushed: without sync objects they follow nothing. Where anything of them is there already they may be at
// work, and wait for what is in Git.
func (r *clustersRun) startsFluxEarly() bool {
	if r.management == nil || r.sourceLater || r.planned == nil {
		return false
	}
	flux := &r.seen.Cluster().Flux
	return flux.GitRepository == nil && flux.Kustomization == nil && len(flux.Controllers) == 0 &&
		len(flux.Others) == 0 && !flux.Terminating
}

// besideFlux does what brings the commit to the branch, and where that can be, starts Flux at the same time.
func (r *clustersRun) besideFlux(toGit step.Sequence) step.Steps {
	if !r.startsFluxEarly() {
		return toGit
	}
	r.early.started = true
	system := maps.Clone(r.planned.System) // a push that loses a race plans anew
	return step.Together{toGit, r.installComponents(func() (components []byte, err error) {
		components, _, err = fluxmanifests.BuildSystem(system)
		r.early.components = components
		return components, err
	})}
}

func (r *clustersRun) stepInstall() step.Name {
	return step.Name("Install Flux " + r.planned.FluxVersion())
}

// installComponents installs the controllers. It may be done before the push, and so says nothing of Git.
func (r *clustersRun) installComponents(build func() ([]byte, error)) step.Action {
	install := r.stepInstall()
	return step.Action{
		Name: install,
		Plan: func(context.Context) (step.Effect, error) {
			return step.Written(!r.appliedInPlace(), ""), nil
		},
		Apply: func(ctx context.Context) (step.Effect, error) {
			components, err := build()
			if err != nil {
				return step.Effect{}, fmt.Errorf("building %s: %w", layout.SystemDir(r.seen.Config()), err)
			}
			changes, err := r.open.cluster.EnsureComponents(ctx, components, r.progressOf(install))
			r.early.made.Created = append(r.early.made.Created, changes.Created...)
			if err != nil {
				return effectOfChanges(changes), fmt.Errorf("installing Flux: %w", err)
			}
			return effectOfChanges(changes), nil
		},
	}
}

// installFlux installs the controllers, then points them at the repository.
func (r *clustersRun) installFlux(context.Context) step.Sequence {
	if r.management == nil {
		return nil
	}
	var components, sync []byte
	version := r.planned.FluxVersion()
	install := r.installComponents(func() ([]byte, error) { return components, nil })
	installNow := install.Apply
	install.Apply = func(ctx context.Context) (step.Effect, error) {
		// When Flux itself reports that it applied this very commit, its components are what Git says: it
		// applies them too.
		if r.seen.Cluster().Applied(r.seen.Config().Branch, r.commit) {
			return step.Unchanged(), nil
		}
		return installNow(ctx)
	}
	parts := step.Sequence{step.Silently(func(context.Context) (err error) {
		if components, sync, err = r.buildPushed(install.Name); err != nil {
			return err
		}
		r.result.Flux = &FluxResult{Version: version, Namespace: r.seen.Config().SystemNamespace,
			URL: r.seen.Remote().Cluster, Path: layout.SyncPath(r.seen.Config())}
		return nil
	}), step.When(func(context.Context) step.Sequence {
		// A push that lost a race may have found other components in Git. A dry run has built none.
		if r.early.started && bytes.Equal(r.early.components, components) {
			return nil
		}
		return step.Sequence{install}
	})}
	return append(parts, step.Action{
		Name: stepRepoint,
		Plan: func(context.Context) (step.Effect, error) {
			flux := &r.seen.Cluster().Flux
			inPlace := flux.GitRepository != nil && flux.Kustomization != nil &&
				!flux.GitRepository.Stopped && !flux.Kustomization.Stopped
			return step.Written(!inPlace, ""), nil
		},
		Apply: func(ctx context.Context) (step.Effect, error) {
			changes, err := r.open.cluster.EnsureSync(ctx, sync)
			if err != nil {
				return effectOfChanges(changes), fmt.Errorf("pointing Flux at %s: %w",
					r.seen.Remote().Cluster, err)
			}
			return effectOfChanges(changes), nil
		},
	})
}

// removeEarly takes back what of Flux this run has installed, and nothing follows.
func (r *clustersRun) removeEarly(ctx context.Context) (removed []string, err error) {
	made := r.early.made
	r.made.namespace = r.made.namespace || slices.ContainsFunc(made.Created, func(subject string) bool {
		return strings.HasPrefix(subject, "Namespace/")
	})
	if len(made.Created) == 0 {
		return nil, nil
	}
	gone, err := r.open.cluster.RemoveComponents(ctx, r.early.components, made)
	switch n := len(gone); n {
	case 0:
	case 1:
		removed = append(removed, "Flux's 1 object")
	default:
		removed = append(removed, fmt.Sprintf("Flux's %d objects", n))
	}
	return removed, err
}
