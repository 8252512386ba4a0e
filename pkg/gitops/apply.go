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

// SourceKeeper keeps the Secret with which Flux reads the repository.
type SourceKeeper interface {
	// EnsureNamespace creates a namespace and says whether it did.
	EnsureNamespace(ctx context.Context, name string) (bool, error)
	// EnsureSourceSecret brings the Secret to what source says and returns its public key, empty over HTTPS. A key that is there is never
	// replaced by a generated one; one that cannot be read is a *fluxinstall.UnreadableKeyError.
	EnsureSourceSecret(ctx context.Context, source fluxinstall.SourceSecret) (publicKey string, changed bool, err error)
	// RemoveSource takes back a Secret that still holds the key and, when asked to, the namespace if nothing else is in it.
	RemoveSource(ctx context.Context, namespace, publicKey string, withNamespace bool) (removed []string, err error)
}

// FluxInstaller installs Flux and has it look. Only objects that differ are written; beside an error the result says what was done.
type FluxInstaller interface {
	// EnsureComponents applies Flux's installation, resource types first.
	EnsureComponents(ctx context.Context, manifests []byte, progress func(fluxinstall.Progress)) (fluxinstall.ChangeSet, error)
	// EnsureSync applies the objects that say what Flux follows. It ends a suspension that a detachment left, and no other.
	EnsureSync(ctx context.Context, manifests []byte) (fluxinstall.ChangeSet, error)
	// RequestReconcile asks Flux to look at the repository now. Objects that are not there are left out.
	RequestReconcile(ctx context.Context, namespace, name string) error
}

// repositoryDescription is what a repository that this program creates is described as.
const repositoryDescription = "EKS Anywhere clusters, managed through Git by Flux"

// deployKeyAlgorithm is the default of `flux bootstrap` and of EKS Anywhere.
const deployKeyAlgorithm = "ecdsa"

// throughGit brings the repository, the host, Flux and the cluster to what the specs say, in the order that keeps the invariants.
func (r *createRun) throughGit() sequence {
	names := make([]string, 0, len(r.managed))
	for _, c := range r.managed {
		names = append(names, c.Name)
	}
	message := r.commitMessage(commitSubject(r.managed)+r.restoredText(), slices.Concat(names, r.restored))
	return sequence{
		telling(r.startRepositoryResult),
		r.createRepository(),
		r.pushWithCredentials(commitWork{plan: r.compare, message: func() string { return message }}),
		when(r.installFlux),
		r.waitApplied(r.compareLater),
		silently(r.tellRunning),
	}
}

// createRepository makes the repository on a host that has it not.
func (r *clustersRun) createRepository() sequence {
	if r.seen.ports.host == nil || r.seen.access.Repository != nil {
		return nil
	}
	return sequence{action{
		name: Step(fmt.Sprintf("Create repository %s", r.repoRef())),
		plan: planned(changedEffect("private")),
		apply: func(ctx context.Context) (effect, error) {
			repository, created, err := r.seen.ports.host.EnsureRepository(ctx, github.NewRepository{
				Ref: r.repoRef(), Personal: r.config.GitHub.Personal, Private: true, Description: repositoryDescription,
			})
			if err != nil {
				return effect{}, err
			}
			r.result.Repository.Created, r.result.Repository.DefaultBranch = created, repository.DefaultBranch
			if created {
				r.newRepository = repository.Ref
			}
			return effectOf(created, "private"), nil
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
func (r *clustersRun) installFlux(context.Context) sequence {
	if r.management == nil {
		return nil
	}
	var components, sync []byte
	version := r.plannedVersion(r.seen.files)
	install := Step("Install Flux " + version)
	return sequence{
		silently(func(context.Context) (err error) {
			if components, sync, err = r.buildPushed(install); err != nil {
				return err
			}
			r.result.Flux = &FluxResult{Version: version, Namespace: r.config.SystemNamespace, URL: r.settings.Remote.Cluster, Path: layout.SyncPath(r.config)}
			return nil
		}),
		action{
			name: install,
			plan: func(context.Context) (effect, error) { return effectOf(!r.appliedInPlace(), ""), nil },
			apply: func(ctx context.Context) (effect, error) {
				// When Flux itself reports that it applied this very commit, its components are what Git says: it applies them too.
				if r.seen.cluster.Applied(r.config.Branch, r.commit) {
					return unchangedEffect, nil
				}
				changes, err := r.seen.ports.cluster.EnsureComponents(ctx, components, r.progressOf(install))
				if err != nil {
					return effect{}, fmt.Errorf("installing Flux: %w", err)
				}
				return effectOfChanges(changes), nil
			},
		},
		action{
			name: stepRepoint,
			plan: func(context.Context) (effect, error) {
				flux := &r.seen.cluster.Flux
				inPlace := flux.GitRepository != nil && flux.Kustomization != nil && !flux.GitRepository.Stopped && !flux.Kustomization.Stopped
				return effectOf(!inPlace, ""), nil
			},
			apply: func(ctx context.Context) (effect, error) {
				changes, err := r.seen.ports.cluster.EnsureSync(ctx, sync)
				if err != nil {
					return effect{}, fmt.Errorf("pointing Flux at %s: %w", r.settings.Remote.Cluster, err)
				}
				return effectOfChanges(changes), nil
			},
		},
	}
}

// progressOf passes on what is told of a step.
func (r *run) progressOf(step Step) func(fluxinstall.Progress) {
	return func(p fluxinstall.Progress) { r.steps.Progress(step, p.Message) }
}

// appliedInPlace says of a dry run whether the plan changes nothing in Git and Flux has applied that.
func (r *run) appliedInPlace() bool {
	snapshot := r.seen.snapshot
	return r.seen.files.inPlace(snapshot) && r.seen.cluster.Applied(r.config.Branch, snapshot.Head())
}

func effectOfChanges(changes fluxinstall.ChangeSet) effect {
	return effectOf(changes.Changed() > 0, fmt.Sprintf("%d objects", changes.Changed()))
}

// ensureSource makes the Secret that Flux reads the repository with and, on GitHub, registers its public key. The key is taken from
// the Secret when that exists, so that whatever an earlier run left is completed, never replaced.
func (r *clustersRun) ensureSource() sequence {
	namespace := r.config.SystemNamespace
	parts := sequence{action{
		name: Step("Prepare namespace " + namespace + " and its Git credentials"),
		plan: func(context.Context) (effect, error) { return effectOf(!r.sourceInPlace(), ""), nil },
		apply: func(ctx context.Context) (effect, error) {
			cluster := r.seen.ports.cluster
			created, err := cluster.EnsureNamespace(ctx, namespace)
			if err != nil {
				return effect{}, fmt.Errorf("creating namespace %s: %w", namespace, err)
			}
			r.made.namespace = r.made.namespace || created
			source, err := r.sourceSecret(namespace)
			if err != nil {
				return effect{}, err
			}
			key, changed, err := cluster.EnsureSourceSecret(ctx, source)
			if err != nil {
				return effect{}, fmt.Errorf("writing Secret %s/%s: %w", namespace, source.Name, err)
			}
			r.made.secret = r.made.secret || changed && r.seen.cluster.Flux.SourceSecret == nil
			r.made.publicKey = key
			return effectOf(created || changed, ""), nil
		},
	}}
	if r.seen.ports.host == nil {
		return parts
	}
	return append(parts, action{
		name: "Register the read-only deploy key",
		plan: func(ctx context.Context) (effect, error) {
			public := r.seen.cluster.Flux.SourcePublicKey
			registered, err := r.keyRegistered(ctx, public)
			if err != nil {
				return effect{}, fmt.Errorf("reading the deploy keys of %s: %w", r.repoRef(), err)
			}
			return effectOf(!registered || public == r.foreignKey, r.deployKeyTitle()), nil
		},
		apply: func(ctx context.Context) (effect, error) {
			changed, err := r.seen.ports.host.EnsureDeployKey(ctx, r.repoRef(), github.DeployKey{Title: r.deployKeyTitle(), PublicKey: r.made.publicKey, ReadOnly: true})
			if err != nil {
				return effect{}, err
			}
			r.made.deployKey = r.made.deployKey || changed
			return effectOf(changed, r.deployKeyTitle()), nil
		},
	})
}

// keyRegistered says whether the Secret's public key is a read-only deploy key of the repository.
func (r *clustersRun) keyRegistered(ctx context.Context, public string) (bool, error) {
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

func (r *clustersRun) deployKeyTitle() string {
	return deployKeyTitle(r.management.Name, r.config.SystemNamespace)
}

// deployKeyTitle is how the key of a management cluster's Flux is called at the host.
func deployKeyTitle(managementCluster, systemNamespace string) string {
	return fmt.Sprintf("eksa-gitops %s/%s", managementCluster, systemNamespace)
}
