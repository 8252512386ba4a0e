package gitops

import (
	"context"
	"errors"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// CreateOptions are what [Create] works on.
type CreateOptions struct {
	Settings
	// Clusters come from one [clusterspec.Set] and share one management cluster. Those without GitOps are
	// left alone.
	Clusters []*clusterspec.Cluster
	// Source is the cluster's own way to a generic Git server. Without a private key in it, the one that is
	// in the cluster is kept. Without known hosts, the server is known by a certificate authority, which Flux
	// does not understand: it gets the host key that the server has proved to this run by a certificate. With
	// GitHub, Source is made during the run instead.
	Source *fluxinstall.SourceSecret
	// SourceIsOperators says that the private key of Source is the one that the operator pushes with, for
	// want of another. A key that is in the cluster already is then left there.
	SourceIsOperators bool
	// Components choose what of Flux is installed; zero is the pinned version with Flux's default components.
	Components fluxmanifests.ComponentsOptions
	// Images replaces controllers' images, by Deployment name, as EKS Anywhere's bundles do.
	Images map[string]string
	// Meant are consequences that are meant though the run is not about them.
	Meant Meant
	// Overwrite replaces a spec that is in Git with other content. Without it such a spec is a finding.
	Overwrite bool
	// WithApps gives every cluster a directory for apps and a Flux Kustomization that applies it to the
	// cluster itself. What of that is there already stays as it is; without WithApps nothing of it is
	// touched.
	WithApps bool
	// SparseCheckout has Flux fetch only its path of the repository, or, when false, all of it again. Nil
	// leaves what gotk-sync.yaml in Git says. What Flux needs from outside of the path is a finding.
	SparseCheckout *bool
}

// Create has the provisioner, if there is one, make the clusters that do not exist; it puts clusters into
// Git, installs Flux on their management cluster if that is among them, and waits until Flux has applied the
// commit and the clusters are Ready.
//
// The Result is never nil and says what is there even when err is not nil. The errors are *PreflightError
// (nothing was written), *IncompleteError (a cluster is not Ready or was not created), and the context's. A
// failure of the GitOps part after preflight is no error: it is Result.Failure with StatusGitOpsFailed.
// Create may be repeated.
func Create(ctx context.Context, ports Ports, options CreateOptions) (*Result, error) {
	create := &createRun{clustersRun: newClustersRun("create cluster", ports, options)}
	create.adoptHint = "take it over with: eksa-gitops upgrade cluster --adopt"
	err := crash.Guarded(func() error { return create.do(ctx) })
	return create.end(ctx, err)
}

// createRun is the state of one Create.
type createRun struct {
	*clustersRun
}

// demands are what a creation needs of the management cluster, which the provisioner may have yet to make.
func (r *createRun) demands() demands {
	if r.hasProvisioner() {
		return demands{judge: r.checkProvisioned, orAbsent: r.management != nil}
	}
	return demands{judge: r.checkCluster}
}

func (r *createRun) do(ctx context.Context) error {
	if len(r.managed) == 0 {
		r.result.Status = StatusNotConfigured
		return nil
	}
	if err := r.render(ctx); err != nil {
		return err
	}
	if err := r.observe(ctx); err != nil {
		return err
	}
	if err := r.steps.Perform(ctx, r.parts()); err != nil {
		return err
	}
	if r.settings.DryRun {
		r.result.Status = StatusPlanned
		return nil
	}
	return r.conclude(ctx)
}

// parts are those of a creation. What GitOps fails of does not stop what comes after it.
func (r *createRun) parts() step.Sequence {
	return step.Sequence{
		r.provision(),
		step.When(r.giveGitOps),
		step.When(func(context.Context) step.Sequence {
			if r.gitOpsError != nil {
				return nil
			}
			return step.Sequence{step.OrElse{Steps: r.throughGit(), Failed: r.giveUpGitOps}}
		}),
		step.Telling(r.noteGivenUp),
		step.When(func(ctx context.Context) step.Sequence { return r.awaitClusters(ctx, r.managed) }),
	}
}

// giveUpGitOps goes on without GitOps, unless the person has broken the run off, or nobody knows what else is
// not as it seems.
func (r *createRun) giveUpGitOps(ctx context.Context, err error) error {
	if r.settings.DryRun || crash.In(err) != nil {
		return err
	}
	if broken := ctx.Err(); errors.Is(broken, context.Canceled) {
		return broken
	}
	r.gitOpsError, r.gitOpsStep = err, r.steps.Failed
	return nil
}

// noteGivenUp puts into the result that the run goes on without GitOps.
func (r *createRun) noteGivenUp() {
	if r.gitOpsError == nil {
		return
	}
	r.noteFluxGoesOn()
	r.result.Failure = failureOf(r.gitOpsStep, r.gitOpsError)
}

// conclude draws up the result of a creation that has come to its end, whether GitOps worked or not, and
// keeps a copy of each spec.
func (r *createRun) conclude(ctx context.Context) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	notReady := r.notReady
	r.result.Status = StatusDone
	if r.gitOpsError != nil {
		r.result.Status = StatusGitOpsFailed
	}
	if err := r.saveCopies(ctx); err != nil {
		r.result.Status = StatusIncomplete
		return &IncompleteError{What: "the run did not do all it should", Cause: errors.Join(notReady, err)}
	}
	if notReady != nil {
		r.result.Status = StatusIncomplete
		if r.gitOpsError != nil && !errors.Is(notReady, r.gitOpsError) {
			// Both are to be told; what kept GitOps from working often keeps the clusters, too.
			notReady = errors.Join(notReady, r.gitOpsError)
		}
		return unready(notReady)
	}
	if r.gitOpsError != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.result.Status = StatusIncomplete
		return &IncompleteError{What: "the run did not finish", Cause: r.gitOpsError}
	}
	return nil
}
