package gitops

import (
	"context"
	"errors"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// CreateOptions are what [Create] works on.
type CreateOptions struct {
	Settings
	// Clusters come from one [clusterspec.Set] and share one management cluster. Those without GitOps are left alone.
	Clusters []*clusterspec.Cluster
	// Source is the cluster's own way to a generic Git server. Without a private key in it, the one that is in the cluster is kept.
	// Without known hosts, the server is known by a certificate authority, which Flux does not understand: it gets the host key that
	// the server has proved to this run by a certificate. With GitHub, Source is made during the run instead.
	Source *fluxinstall.SourceSecret
	// SourceIsOperators says that the private key of Source is the one that the operator pushes with, for want of another. A key that
	// is in the cluster already is then left there.
	SourceIsOperators bool
	// Components choose what of Flux is installed; zero is the pinned version with Flux's default components.
	Components fluxinstall.ComponentsOptions
	// Images replaces controllers' images, by Deployment name, as EKS Anywhere's bundles do.
	Images map[string]string
	// Meant are consequences that are meant though the run is not about them.
	Meant Meant
	// Overwrite replaces a spec that is in Git with other content. Without it such a spec is a finding.
	Overwrite bool
	// WithApps gives every cluster a directory for apps and a Flux Kustomization that applies it to the cluster itself. What of that is
	// there already stays as it is; without WithApps nothing of it is touched.
	WithApps bool
}

// Create has the provisioner, if there is one, make the clusters that do not exist; it puts clusters into Git, installs Flux on their management cluster if that is among them, and waits until Flux has applied
// the commit and the clusters are Ready.
//
// The Result is never nil and says what is there even when err is not nil. The errors are *PreflightError (nothing was written),
// *IncompleteError (a cluster is not Ready or was not created), and the context's. A failure of the GitOps part after
// preflight is no error: it is Result.Failure with StatusGitOpsFailed. Create may be repeated.
func Create(ctx context.Context, ports Ports, options CreateOptions) (*Result, error) {
	create := &createRun{run: newRun("create cluster", ports, options.Settings), options: options}
	create.meant = options.Meant
	create.start()
	create.adoptHint = "take it over with: eksa-gitops upgrade cluster --adopt"
	err := crash.Guarded(func() error { return create.do(ctx) })
	return create.end(ctx, err)
}

// createRun is the state of one Create.
type createRun struct {
	*run
	options CreateOptions

	managed    []*clusterspec.Cluster // the clusters with GitOps; all have the same configuration but for names
	management *clusterspec.Cluster   // among managed, or nil when only workload clusters are created

	rendered    rendering
	restored    []string // clusters whose files come back to Git
	gitOpsError error    // why the GitOps part was given up
	heldBetween bool     // the clusters were held against those in Git

	made made // for Flux to read the repository with
	// sourceLater says that the credentials change after the push, in the course of a take-over.
	sourceLater bool

	// dropped is what the planned components take away of the versions of Flux's kinds.
	dropped []fluxinstall.DroppedVersions
	// later is set while it is planned on a commit that Flux has applied after the run's.
	later bool
	// kinds are those of the components that were read last; see kindsOf.
	kinds     layout.FluxKinds
	kindsRead []byte

	// foreignKey is the public key of a source Secret that is for another repository and is to be replaced; empty without one.
	foreignKey string
	// planFluxOtherwise takes the place of planFlux when it is set.
	planFluxOtherwise func(ctx context.Context, applied bool) error
}

// rendering is what the run would have in the repository if nobody else had written to it.
type rendering struct {
	files  []layout.File // of the clusters
	system []layout.File // of Flux
	apps   []layout.File // of the apps scaffold
}

func (r *createRun) start() {
	for _, c := range r.options.Clusters {
		r.result.Clusters = append(r.result.Clusters, ClusterResult{
			Name: c.Name, Namespace: c.Namespace, Role: string(c.Role()), ManagementCluster: c.ManagementCluster,
			KubernetesVersion: c.KubernetesVersion,
		})
		if c.GitOps == nil {
			continue
		}
		r.managed = append(r.managed, c)
		r.config, r.managementCluster = c.GitOps, c.ManagementCluster
		if c.Role() == clusterspec.RoleManagement {
			r.management = c
		}
	}
	if r.management != nil {
		r.config, r.keepsFlux, r.purpose = r.management.GitOps, true, fluxinstall.ForInstalling
	}
	if r.ports.Provisioner != nil {
		r.mayBeAbsent = r.management != nil
		r.judge = r.checkProvisioned
	}
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
	if r.settings.DryRun {
		r.result.Status = StatusPlanned
		return r.plan(ctx)
	}
	if err := r.provision(ctx); err != nil {
		return err
	}
	if r.gitOpsError == nil {
		r.gitOpsError = r.apply(ctx)
	}
	if crash.In(r.gitOpsError) != nil {
		return r.gitOpsError // who knows what else is not as it seems
	}
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	return r.finish(ctx)
}

// render makes the files. It reads nothing but the specs.
func (r *createRun) render(ctx context.Context) error {
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
	components.Namespace = r.config.SystemNamespace
	manifests, err := fluxinstall.Components(ctx, components)
	if err != nil {
		return fmt.Errorf("rendering Flux's components: %w", err)
	}
	sync, err := fluxinstall.Sync(r.syncOptions())
	if err != nil {
		return fmt.Errorf("rendering Flux's sync objects: %w", err)
	}
	r.rendered.system, err = layout.SystemFiles(r.config, layout.FluxFiles{Components: manifests, Sync: sync, Images: r.options.imagesOfComponents(components.Chosen())})
	if err != nil {
		return fmt.Errorf("rendering Flux's files: %w", err)
	}
	return nil
}

// finish does what a creation does whether GitOps worked or not: it waits for the clusters, keeps a copy of each spec and draws up
// the result.
func (r *createRun) finish(ctx context.Context) error {
	if r.gitOpsError != nil {
		r.noteFluxGoesOn()
	}
	notReady := r.waitClusters(ctx, r.managed)
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	r.result.Status = StatusDone
	if r.gitOpsError != nil {
		r.result.Status = StatusGitOpsFailed
		r.result.Failure = failureOf(r.failedStep, r.gitOpsError)
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
		return &IncompleteError{What: "the run did not come to its end", Cause: r.gitOpsError}
	}
	return nil
}
