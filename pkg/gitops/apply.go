package gitops

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// repositoryDescription is what a repository that this program creates is described as.
const repositoryDescription = "EKS Anywhere clusters, managed through Git by Flux"

// deployKeyAlgorithm is the default of `flux bootstrap` and of EKS Anywhere.
const deployKeyAlgorithm = "ecdsa"

// apply brings the repository, the host, Flux and the cluster to what the specs say, in the order that keeps the invariants. Its
// error is why GitOps is not (wholly) enabled.
func (r *createRun) apply(ctx context.Context) error {
	if err := r.ensureRepository(ctx); err != nil {
		return err
	}
	names := make([]string, 0, len(r.managed))
	for _, c := range r.managed {
		names = append(names, c.Name)
	}
	message := r.commitMessage(commitSubject(r.managed)+r.restoredText(), slices.Concat(names, r.restored))
	if err := r.pushWithCredentials(ctx, r.compare, message); err != nil {
		return err
	}
	if r.management != nil {
		if err := r.installFlux(ctx); err != nil {
			return err
		}
	}
	if err := r.waitApplied(ctx, r.compareLater); err != nil {
		return err
	}
	r.noteRunning(ctx)
	return nil
}

func (r *createRun) ensureRepository(ctx context.Context) error {
	r.startRepositoryResult()
	if r.seen.ports.host == nil || r.seen.access.Repository != nil {
		return nil
	}
	step := Step(fmt.Sprintf("Create repository %s", r.repoRef()))
	return r.step(step, func() (Outcome, string, error) {
		repository, created, err := r.seen.ports.host.EnsureRepository(ctx, github.NewRepository{
			Ref: r.repoRef(), Personal: r.config.GitHub.Personal, Private: true, Description: repositoryDescription,
		})
		if err != nil {
			return "", "", err
		}
		r.result.Repository.Created, r.result.Repository.DefaultBranch = created, repository.DefaultBranch
		if created {
			r.newRepository = repository.Ref
		}
		if !created {
			return OutcomeUnchanged, "", nil
		}
		return OutcomeChanged, "private", nil
	})
}

// restoredText ends the subject of a commit that brings files back.
func (r *createRun) restoredText() string {
	const few = 3
	switch n := len(r.restored); {
	case n == 0:
		return ""
	case n > few:
		return fmt.Sprintf(", restore %d clusters", n)
	}
	return ", restore " + strings.Join(r.restored, ", ")
}

func commitSubject(clusters []*clusterspec.Cluster) string {
	if len(clusters) > 1 {
		return fmt.Sprintf("Create %d clusters", len(clusters))
	}
	c := clusters[0]
	if c.KubernetesVersion == "" {
		return "Create cluster " + c.Name
	}
	return fmt.Sprintf("Create cluster %s (Kubernetes %s)", c.Name, c.KubernetesVersion)
}

// installFlux installs the controllers, then points them at the repository.
func (r *createRun) installFlux(ctx context.Context) error {
	components, sync, err := r.buildFiles(r.seen.files.system)
	if err != nil {
		r.failedStep = "Install Flux"
		return fmt.Errorf("building %s as it is in Git: %w", layout.SystemDir(r.config), err)
	}
	version, _, err := fluxinstall.ComponentVersion(components)
	if err != nil {
		version = fluxinstall.Version
	}
	r.result.Flux = &FluxResult{Version: version, Namespace: r.config.SystemNamespace, URL: r.settings.Remote.Cluster, Path: layout.SyncPath(r.config)}
	install := Step("Install Flux " + version)
	err = r.step(install, func() (Outcome, string, error) {
		// When Flux itself reports that it applied this very commit, its components are what Git says: it applies them too.
		if r.seen.cluster.Applied(r.config.Branch, r.commit) {
			return OutcomeUnchanged, "", nil
		}
		changes, err := r.seen.ports.cluster.EnsureComponents(ctx, components, func(p fluxinstall.Progress) { r.steps.Progress(install, p.Message) })
		if err != nil {
			return "", "", fmt.Errorf("installing Flux: %w", err)
		}
		return changeOutcome(changes)
	})
	if err != nil {
		return err
	}
	return r.step("Point Flux at the repository", func() (Outcome, string, error) {
		changes, err := r.seen.ports.cluster.EnsureSync(ctx, sync)
		if err != nil {
			return "", "", fmt.Errorf("pointing Flux at %s: %w", r.settings.Remote.Cluster, err)
		}
		return changeOutcome(changes)
	})
}

func changeOutcome(changes fluxinstall.ChangeSet) (Outcome, string, error) {
	if changes.Changed() == 0 {
		return OutcomeUnchanged, "", nil
	}
	return OutcomeChanged, fmt.Sprintf("%d objects", changes.Changed()), nil
}

// ensureSource makes the Secret that Flux reads the repository with and, on GitHub, registers its public key. The key is taken from
// the Secret when that exists, so that whatever an earlier run left is completed, never replaced.
func (r *createRun) ensureSource(ctx context.Context) error {
	cluster, namespace := r.seen.ports.cluster, r.config.SystemNamespace
	err := r.step(Step("Prepare namespace "+namespace+" and its Git credentials"), func() (Outcome, string, error) {
		created, err := cluster.EnsureNamespace(ctx, namespace)
		if err != nil {
			return "", "", fmt.Errorf("creating namespace %s: %w", namespace, err)
		}
		r.made.namespace = r.made.namespace || created
		source, err := r.sourceSecret(namespace)
		if err != nil {
			return "", "", err
		}
		key, changed, err := cluster.EnsureSourceSecret(ctx, source)
		if err != nil {
			return "", "", fmt.Errorf("writing Secret %s/%s: %w", namespace, source.Name, err)
		}
		r.made.secret = r.made.secret || changed && r.seen.cluster.Flux.SourceSecret == nil
		r.made.publicKey = key
		if !created && !changed {
			return OutcomeUnchanged, "", nil
		}
		return OutcomeChanged, "", nil
	})
	if err != nil || r.seen.ports.host == nil {
		return err
	}
	return r.step("Register the read-only deploy key", func() (Outcome, string, error) {
		changed, err := r.seen.ports.host.EnsureDeployKey(ctx, r.repoRef(), github.DeployKey{Title: r.deployKeyTitle(), PublicKey: r.made.publicKey, ReadOnly: true})
		if err != nil {
			return "", "", err
		}
		r.made.deployKey = r.made.deployKey || changed
		if !changed {
			return OutcomeUnchanged, "", nil
		}
		return OutcomeChanged, r.deployKeyTitle(), nil
	})
}

func (r *createRun) deployKeyTitle() string {
	return deployKeyTitle(r.management.Name, r.config.SystemNamespace)
}

// deployKeyTitle is how the key of a management cluster's Flux is called at the host.
func deployKeyTitle(managementCluster, systemNamespace string) string {
	return fmt.Sprintf("eksa-gitops %s/%s", managementCluster, systemNamespace)
}
