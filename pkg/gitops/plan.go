package gitops

import (
	"context"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// plan reports what apply would do. It only reads: every port it calls is a reading one.
func (r *createRun) plan(ctx context.Context) error {
	r.planProvisioning()
	r.startRepositoryResult()
	if r.gitOpsError != nil {
		r.result.Failure = failureOf(r.failedStep, r.gitOpsError)
		r.noteFluxGoesOn()
		return nil
	}
	exists := r.seen.snapshot != nil
	if r.seen.ports.host != nil {
		r.planned(Step(fmt.Sprintf("Create repository %s", r.repoRef())), exists, "private")
	}
	r.planMigration()
	changesSource := r.management != nil && !r.sourceLater
	if changesSource && !r.fluxWaits() {
		if err := r.planSource(ctx); err != nil {
			return err
		}
	}
	r.result.Repository.Files = r.seen.files.changes
	inPlace := exists && len(r.seen.files.changes) == 0 && r.seen.snapshot.State() == gitrepo.BranchExists
	r.planned(r.stepPush(), inPlace, countFiles(len(r.seen.files.changes)))
	r.noteKept(r.seen.files)
	if changesSource && r.fluxWaits() {
		if err := r.planSource(ctx); err != nil {
			return err
		}
	}
	if exists {
		r.commit = r.seen.snapshot.Head()
		r.result.Repository.Commit = r.commit
	}
	applied := inPlace && r.seen.cluster.Applied(r.config.Branch, r.commit)
	if r.management != nil {
		planFlux := r.planFlux
		if r.planFluxOtherwise != nil {
			planFlux = r.planFluxOtherwise
		}
		if err := planFlux(ctx, applied); err != nil {
			return err
		}
	}
	r.planned("Wait for Flux to apply the commit", applied, "")
	return nil
}

// planSource reports what ensureSource would do.
func (r *createRun) planSource(ctx context.Context) error {
	r.planned(Step("Prepare namespace "+r.config.SystemNamespace+" and its Git credentials"), r.sourceInPlace(), "")
	if r.seen.ports.host == nil {
		return nil
	}
	public := r.seen.cluster.Flux.SourcePublicKey
	registered, err := r.keyRegistered(ctx, public)
	if err != nil {
		return fmt.Errorf("reading the deploy keys of %s: %w", r.repoRef(), err)
	}
	r.planned("Register the read-only deploy key", registered && public != r.foreignKey, r.deployKeyTitle())
	return nil
}

func (r *createRun) planFlux(_ context.Context, applied bool) error {
	flux := r.seen.cluster.Flux
	version, _, err := fluxinstall.ComponentVersion(r.seen.files.system[layout.ComponentsFile])
	if err != nil {
		version = fluxinstall.Version
	}
	r.planned(Step("Install Flux "+version), applied, "")
	inPlace := flux.GitRepository != nil && flux.Kustomization != nil && !flux.GitRepository.Stopped && !flux.Kustomization.Stopped
	r.planned("Point Flux at the repository", inPlace, "")
	return nil
}

// keyRegistered says whether the Secret's public key is a read-only deploy key of the repository.
func (r *createRun) keyRegistered(ctx context.Context, public string) (bool, error) {
	if public == "" || r.seen.access.Repository == nil {
		return false, nil
	}
	keys, err := r.seen.ports.host.DeployKeys(ctx, r.repoRef())
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		if key.ReadOnly && !key.Disabled && key.SameMaterial(public) {
			return true, nil
		}
	}
	return false, nil
}

// planned records one step of a dry run.
func (r *run) planned(step Step, inPlace bool, detail string) {
	r.steps.Begin(step)
	if inPlace {
		r.steps.End(step, OutcomeUnchanged, "")
		return
	}
	r.steps.End(step, OutcomePlanned, detail)
}
