package gitops

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// SourceKeeper keeps the Secret with which Flux reads the repository.
type SourceKeeper interface {
	// EnsureNamespace creates a namespace and says whether it did.
	EnsureNamespace(ctx context.Context, name string) (bool, error)
	// EnsureSourceSecret brings the Secret to what source says and returns its public key, empty over HTTPS.
	// A key that is there is never replaced by a generated one; one that cannot be read is a
	// *fluxinstall.UnreadableKeyError.
	EnsureSourceSecret(ctx context.Context,
		source fluxinstall.SourceSecret) (publicKey string, changed bool, err error)
	// RemoveSource takes back a Secret that still holds the key and, when asked to, the namespace if nothing
	// else is in it.
	RemoveSource(ctx context.Context, namespace, publicKey string,
		withNamespace bool) (removed []string, err error)
}

// FluxInstaller installs Flux and has it look. Only objects that differ are written; beside an error the
// result says what was done.
type FluxInstaller interface {
	// EnsureComponents applies Flux's installation, resource types first.
	EnsureComponents(ctx context.Context, manifests []byte,
		progress func(fluxinstall.Progress)) (fluxinstall.ChangeSet, error)
	// EnsureSync applies the objects that say what Flux follows. It ends a suspension that a detachment left,
	// and no other.
	EnsureSync(ctx context.Context, manifests []byte) (fluxinstall.ChangeSet, error)
	// RequestReconcile asks Flux to look at the repository now. Objects that are not there are left out.
	RequestReconcile(ctx context.Context, namespace, name string) error
}

// repositoryDescription is what a repository that this program creates is described as.
const repositoryDescription = "EKS Anywhere clusters, managed through Git by Flux"

// deployKeyAlgorithm is the default of `flux bootstrap` and of EKS Anywhere.
const deployKeyAlgorithm = "ecdsa"

// throughGit brings the repository, the host, Flux and the cluster to what the specs say, in the order that
// keeps the invariants.
func (r *createRun) throughGit() step.Sequence {
	names := make([]string, 0, len(r.managed))
	for _, c := range r.managed {
		names = append(names, c.Name)
	}
	message := r.commitMessage(commitSubject(r.managed)+r.restoredText(), slices.Concat(names, r.restored))
	return step.Sequence{
		step.Telling(r.startRepositoryResult),
		r.createRepository(),
		r.pushWithCredentials(commitWork{plan: r.compare, message: func() string { return message }}),
		step.When(r.installFlux),
		r.waitApplied(r.compareLater),
		step.Silently(r.tellRunning),
	}
}

// createRepository makes the repository on a host that has it not.
func (r *clustersRun) createRepository() step.Sequence {
	if r.open.host == nil || r.seen.Access().Repository != nil {
		return nil
	}
	return step.Sequence{step.Action{
		Name: step.Name(fmt.Sprintf("Create repository %s", r.seen.RepoRef())),
		Plan: step.Planned(step.Changed("private")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			repository, created, err := r.open.host.EnsureRepository(ctx, github.NewRepository{
				Ref: r.seen.RepoRef(), Personal: r.seen.Config().GitHub.Personal, Private: true,
				Description: repositoryDescription,
			})
			if err != nil {
				return step.Effect{}, err
			}
			r.result.Repository.Created, r.result.Repository.DefaultBranch = created, repository.DefaultBranch
			if created {
				r.newRepository = repository.Ref
			}
			return step.Written(created, "private"), nil
		},
	}}
}

// restoredText ends the subject of a commit that brings files back.
func (r *clustersRun) restoredText() string {
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
func (r *clustersRun) installFlux(context.Context) step.Sequence {
	if r.management == nil {
		return nil
	}
	var components, sync []byte
	version := r.planned.FluxVersion()
	install := step.Name("Install Flux " + version)
	return step.Sequence{
		step.Silently(func(context.Context) (err error) {
			if components, sync, err = r.buildPushed(install); err != nil {
				return err
			}
			r.result.Flux = &FluxResult{Version: version, Namespace: r.seen.Config().SystemNamespace,
				URL: r.seen.Remote().Cluster, Path: layout.SyncPath(r.seen.Config())}
			return nil
		}),
		step.Action{
			Name: install,
			Plan: func(context.Context) (step.Effect, error) {
				return step.Written(!r.appliedInPlace(), ""), nil
			},
			Apply: func(ctx context.Context) (step.Effect, error) {
				// When Flux itself reports that it applied this very commit, its components are what Git
				// says: it applies them too.
				if r.seen.Cluster().Applied(r.seen.Config().Branch, r.commit) {
					return step.Unchanged(), nil
				}
				changes, err := r.open.cluster.EnsureComponents(ctx, components, r.progressOf(install))
				if err != nil {
					return step.Effect{}, fmt.Errorf("installing Flux: %w", err)
				}
				return effectOfChanges(changes), nil
			},
		},
		step.Action{
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
					return step.Effect{}, fmt.Errorf("pointing Flux at %s: %w", r.seen.Remote().Cluster, err)
				}
				return effectOfChanges(changes), nil
			},
		},
	}
}

// progressOf passes on what is told of a step.
func (r *run) progressOf(step step.Name) func(fluxinstall.Progress) {
	return func(p fluxinstall.Progress) { r.steps.Progress(step, p.Message) }
}

// appliedInPlace says of a dry run whether the plan changes nothing in Git and Flux has applied that.
func (r *run) appliedInPlace() bool {
	snapshot := r.snapshot
	return r.planned.InPlace(snapshot) && r.seen.Cluster().Applied(r.seen.Config().Branch, snapshot.Head())
}

func effectOfChanges(changes fluxinstall.ChangeSet) step.Effect {
	return step.Written(changes.Changed() > 0, fmt.Sprintf("%d objects", changes.Changed()))
}

// ensureSource makes the Secret that Flux reads the repository with and, on GitHub, registers its public key.
// The key is taken from the Secret when that exists, so that whatever an earlier run left is completed, never
// replaced.
func (r *clustersRun) ensureSource() step.Sequence {
	namespace := r.seen.Config().SystemNamespace
	parts := step.Sequence{step.Action{
		Name: step.Name("Prepare namespace " + namespace + " and its Git credentials"),
		Plan: func(context.Context) (step.Effect, error) { return step.Written(!r.sourceInPlace(), ""), nil },
		Apply: func(ctx context.Context) (step.Effect, error) {
			cluster := r.open.cluster
			created, err := cluster.EnsureNamespace(ctx, namespace)
			if err != nil {
				return step.Effect{}, fmt.Errorf("creating namespace %s: %w", namespace, err)
			}
			r.made.namespace = r.made.namespace || created
			source, err := r.sourceSecret(namespace)
			if err != nil {
				return step.Effect{}, err
			}
			key, changed, err := cluster.EnsureSourceSecret(ctx, source)
			if err != nil {
				return step.Effect{}, fmt.Errorf("writing Secret %s/%s: %w", namespace, source.Name, err)
			}
			r.made.secret = r.made.secret || changed && r.seen.Cluster().Flux.SourceSecret == nil
			r.made.publicKey = key
			return step.Written(created || changed, ""), nil
		},
	}}
	if r.open.host == nil {
		return parts
	}
	return append(parts, step.Action{
		Name: "Register the read-only deploy key",
		Plan: func(ctx context.Context) (step.Effect, error) {
			public := r.seen.Cluster().Flux.SourcePublicKey
			registered, err := r.keyRegistered(ctx, public)
			if err != nil {
				return step.Effect{}, fmt.Errorf("reading the deploy keys of %s: %w", r.seen.RepoRef(), err)
			}
			return step.Written(!registered || public == r.foreignKey, r.deployKeyTitle()), nil
		},
		Apply: func(ctx context.Context) (step.Effect, error) {
			changed, err := r.open.host.EnsureDeployKey(ctx, r.seen.RepoRef(),
				github.DeployKey{Title: r.deployKeyTitle(), PublicKey: r.made.publicKey, ReadOnly: true})
			if err != nil {
				return step.Effect{}, err
			}
			r.made.deployKey = r.made.deployKey || changed
			return step.Written(changed, r.deployKeyTitle()), nil
		},
	})
}

// keyRegistered says whether the Secret's public key is a read-only deploy key of the repository.
func (r *clustersRun) keyRegistered(ctx context.Context, public string) (bool, error) {
	if public == "" || r.seen.Access().Repository == nil {
		return false, nil
	}
	keys, err := r.open.host.DeployKeys(ctx, r.seen.RepoRef())
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

func (r *clustersRun) deployKeyTitle() string {
	return deployKeyTitle(r.management.Name, r.seen.Config().SystemNamespace)
}

// deployKeyTitle is how the key of a management cluster's Flux is called at the host.
func deployKeyTitle(managementCluster, systemNamespace string) string {
	return fmt.Sprintf("eksa-gitops %s/%s", managementCluster, systemNamespace)
}
