package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// FluxRemover takes Flux off its cluster, in the order of the methods. What Flux has applied stays.
type FluxRemover interface {
	// StopFlux suspends Flux and stops its controllers, waits until they are gone, and says whether anything
	// was to do.
	StopFlux(ctx context.Context, namespace string, progress func(fluxinstall.Progress)) (bool, error)
	// Uninstall removes a Flux that has been stopped; before it has done anything it fails with one that
	// runs.
	Uninstall(ctx context.Context, namespace string,
		progress func(fluxinstall.Progress)) (fluxinstall.Removal, error)
	// RemoveGitOps takes the reference to the GitOps configuration off a management cluster, deletes that
	// configuration unless another cluster refers to it, and says whether anything was to do.
	RemoveGitOps(ctx context.Context, namespace, name, configKind, config string) (bool, error)
}

// Detaching a management cluster is the reverse of creating it, in an order in which nothing can be lost:
//
//  1. Flux stops. From then on nothing deletes what leaves Git.
//  2. The files leave Git.
//  3. The deploy key leaves the host. It is known by the Secret, which is still there.
//  4. Flux leaves the cluster, its own objects last: they tell whose installation it is.
//  5. The reference to the GitOps configuration leaves the Cluster. Until then a run that gets only a name
//     finds the configuration.
//
// Each step looks at what is there, so that a run that was cut off anywhere is finished by the next.

// detachment is what was found out for it.
type detachment struct {
	resources fluxinstall.FluxResources
	keys      []github.DeployKey // those of the Secret, to be removed
}

// The steps.
const (
	stepStopFlux     step.Name = "Stop Flux"
	stepDeployKey    step.Name = "Remove the deploy key"
	stepUninstall    step.Name = "Uninstall Flux"
	stepRemoveGitOps step.Name = "Take the GitOps configuration off the cluster"
)

// checkDetach makes sure that the management cluster can be detached: no other cluster depends on it, and
// Flux is the one that this repository, branch and path have installed.
func (d *deleteRun) checkDetach(ctx context.Context, found *findings) error {
	if names := d.workloadsInGit(); len(names) > 0 {
		found.addFinding(facts.AreaSpec.Finding(fmt.Sprintf(
			"%s still in Git: %s; without Flux nothing would manage them",
			quantity(len(names), "workload cluster is", "workload clusters are"), strings.Join(names, ", ")),
			text.Command("first run: eksa-gitops delete cluster %s", names)))
	}
	flux := &d.seen.Cluster().Flux
	if d.options.GitOps == nil {
		return nil // there is nothing that this run could touch
	}
	if ks := flux.Kustomization; ks != nil {
		var leaving []string
		for _, c := range d.seen.Cluster().Clusters {
			if c.Name != d.seen.ManagementCluster() && ks.AppliedCluster(c.Namespace, c.Name) &&
				!slices.Contains(d.workloadsInGit(), c.Name) {
				leaving = append(leaving, c.Name)
			}
		}
		if len(leaving) > 0 {
			found.addFinding(facts.AreaCluster.Finding(
				fmt.Sprintf("%s still in the cluster, put there by Flux: %s",
					quantity(len(leaving), "workload cluster is", "workload clusters are"),
					strings.Join(leaving, ", ")),
				text.Command("first run: eksa-gitops delete cluster %s", leaving)))
		}
	}
	if flux.GitRepository == nil && flux.Kustomization == nil && len(flux.Controllers) > 0 &&
		!d.componentsInGit() {
		found.addFinding(facts.AreaCluster.Finding(fmt.Sprintf("Flux's controllers run in namespace %s, but "+
			"nothing says that this repository installed them: there is no GitRepository %s/%s",
			d.seen.Config().SystemNamespace, d.seen.Config().SystemNamespace,
			d.seen.Config().SystemNamespace),
			"remove Flux with the tool that installed it, then run the same command again"))
	}
	resources, err := d.open.cluster.FluxResources(ctx)
	if err != nil {
		return fmt.Errorf("looking for Flux's objects: %w", err)
	}
	d.attached.resources = resources
	if others := d.foreignObjects(); len(others) > 0 {
		names := make([]string, 0, len(others))
		for _, o := range others {
			names = append(names, o.String())
		}
		found.addFinding(facts.AreaCluster.Finding(
			"other objects need Flux, and did not come from this repository: "+strings.Join(names, ", "),
			"remove them first; they would be deleted with Flux's resource types (suspend a Kustomization "+
				"first, or Flux deletes all it has applied)"))
	}
	return d.findDeployKeys(ctx)
}

func quantity(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (d *deleteRun) workloadsInGit() []string {
	return slices.DeleteFunc(d.removal.Clusters(), func(name string) bool {
		return name == d.seen.ManagementCluster()
	})
}

// componentsInGit says whether the repository holds Flux's installation: its first run was cut off before the
// sync objects came.
func (d *deleteRun) componentsInGit() bool {
	return slices.ContainsFunc(d.planned.Changes, func(c layout.FileChange) bool {
		return strings.HasPrefix(c.Path, layout.SystemDir(d.seen.Config())+"/") &&
			strings.HasSuffix(c.Path, "/"+layout.ComponentsFile)
	})
}

// foreignObjects are the objects of Flux's kinds that did not come from this repository: neither the two sync
// objects, nor what these have applied, nor what that has applied in turn.
func (d *deleteRun) foreignObjects() []fluxinstall.FluxObject {
	namespace := d.seen.Config().SystemNamespace
	root := namespace + "/" + namespace
	ours := map[string]bool{root: true} // Kustomizations
	for more := true; more; {
		more = false
		for _, o := range d.attached.resources.Objects {
			if name := o.Namespace + "/" + o.Name; o.Kind == "Kustomization" && ours[o.AppliedBy] &&
				!ours[name] {
				ours[name], more = true, true
			}
		}
	}
	var others []fluxinstall.FluxObject
	for _, o := range d.attached.resources.Objects {
		sync := o.Namespace+"/"+o.Name == root && (o.Kind == "Kustomization" || o.Kind == "GitRepository")
		if !sync && !ours[o.AppliedBy] && !o.Derived {
			others = append(others, o)
		}
	}
	return others
}

// findDeployKeys finds the key that Flux reads the repository with among the repository's.
func (d *deleteRun) findDeployKeys(ctx context.Context) error {
	public := d.seen.Cluster().Flux.SourcePublicKey
	if d.open.host == nil || d.seen.Access() == nil || d.seen.Access().Repository == nil {
		return nil
	}
	keys, err := d.open.host.DeployKeys(ctx, d.seen.RepoRef())
	if err != nil {
		return fmt.Errorf("reading the deploy keys of %s: %w", d.seen.RepoRef(), err)
	}
	for _, key := range keys {
		switch {
		case public != "" && key.SameMaterial(public):
			d.attached.keys = append(d.attached.keys, key)
		case key.Title == deployKeyTitle(d.seen.ManagementCluster(), d.seen.Config().SystemNamespace):
			d.steps.Note(step.LevelWarning,
				fmt.Sprintf("deploy key %q of %s stays: it is not the one of the cluster's Secret; if "+
					"nobody needs it, remove it in the repository's settings", key.Title, d.seen.RepoRef()))
		}
	}
	return nil
}

// isAttached says whether anything is left to do.
func (d *deleteRun) isAttached() bool {
	flux := &d.seen.Cluster().Flux
	return len(d.planned.Changes) > 0 || flux.GitRepository != nil || flux.Kustomization != nil ||
		len(flux.Controllers) > 0 || flux.SourceSecret != nil || d.attached.resources.Definitions > 0 ||
		len(d.attached.keys) > 0 || d.refersToGitOps()
}

func (d *deleteRun) refersToGitOps() bool {
	_, name := d.liveGitOps()
	return name != ""
}

// liveGitOps is the configuration that the cluster refers to, or has although it does not refer to it any
// more.
func (d *deleteRun) liveGitOps() (kind, name string) {
	live := d.targets[0].live
	if live == nil {
		return "", ""
	}
	if left := d.seen.Cluster().AbandonedGitOps(live.Name); left != nil {
		return left.Kind, left.Name
	}
	return live.GitOpsKind, live.GitOpsName
}

// detach takes a management cluster out of Git, and Flux off it.
func (d *deleteRun) detach() deletion {
	if !d.isAttached() {
		return deletion{}
	}
	flux := &d.seen.Cluster().Flux
	stopped := (flux.Kustomization == nil || flux.Kustomization.Suspended) &&
		(flux.GitRepository == nil || flux.GitRepository.Suspended) && len(flux.Controllers) == 0
	parts := step.Sequence{d.stopFlux(stopped)}
	if d.usesGit() {
		parts = slices.Concat(parts,
			d.pushRemoval(fmt.Sprintf("Detach management cluster %s", d.seen.ManagementCluster()), d.targets),
			d.removeDeployKey())
	} else {
		parts = append(parts, step.Silently(d.noteLeft))
	}
	return deletion{parts: slices.Concat(parts, step.Sequence{d.uninstall()}, d.removeGitOps()), asks: true}
}

// noteLeft says what a run that does not look at Git leaves there.
func (d *deleteRun) noteLeft(context.Context) error {
	if secret := d.seen.Cluster().Flux.SourceSecret; secret != nil && d.seen.Config().GitHub != nil {
		d.steps.Note(step.LevelWarning, fmt.Sprintf(
			"the cluster's files and deploy key %q (%s) stay at %s, which this run does not look at",
			deployKeyTitle(d.seen.ManagementCluster(), d.seen.Config().SystemNamespace), secret.Fingerprint,
			d.seen.RepoRef()))
	}
	return nil
}

// stopFlux stops it within the time that is allowed for Flux.
func (d *deleteRun) stopFlux(stopped bool) step.Action {
	return step.Action{
		Name: stepStopFlux,
		Plan: step.Planned(step.Written(!stopped, "")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			limited, cancel := context.WithTimeout(ctx, d.settings.FluxTimeout)
			defer cancel()
			changed, err := d.open.cluster.StopFlux(limited, d.seen.Config().SystemNamespace,
				d.progressOf(stepStopFlux))
			if err != nil {
				return step.Effect{}, fmt.Errorf("stopping Flux: %w", err)
			}
			return step.Written(changed, ""), nil
		},
	}
}

func (d *deleteRun) removeDeployKey() step.Sequence {
	if d.open.host == nil {
		return step.Sequence{step.Silently(func(context.Context) error {
			if secret := d.seen.Cluster().Flux.SourceSecret; secret != nil && secret.Fingerprint != "" {
				d.steps.Note(step.LevelInfo,
					fmt.Sprintf("the Git server still accepts the key that Flux read the repository with "+
						"(%s); if nobody else uses it, remove it there", secret.Fingerprint))
			}
			return nil
		})}
	}
	return step.Sequence{step.Action{
		Name: stepDeployKey,
		Plan: step.Planned(step.Written(len(d.attached.keys) > 0, "")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			title := ""
			for _, key := range d.attached.keys {
				if err := d.open.host.DeleteDeployKey(ctx, d.seen.RepoRef(), key.ID); err != nil {
					return step.Effect{}, err
				}
				title = key.Title
			}
			return step.Written(len(d.attached.keys) > 0, title), nil
		},
	}}
}

func (d *deleteRun) uninstall() step.Action {
	flux := &d.seen.Cluster().Flux
	there := d.attached.resources.Definitions > 0 || len(flux.Controllers) > 0 || flux.SourceSecret != nil
	return step.Action{
		Name: stepUninstall,
		Plan: step.Planned(step.Written(there, flux.Version)),
		Apply: func(ctx context.Context) (step.Effect, error) {
			removal, err := d.open.cluster.Uninstall(ctx, d.seen.Config().SystemNamespace,
				d.progressOf(stepUninstall))
			if err != nil {
				return step.Effect{}, fmt.Errorf("uninstalling Flux: %w", err)
			}
			if removal.NamespaceKept != "" {
				d.steps.Note(step.LevelInfo, fmt.Sprintf("namespace %s stays: %s",
					d.seen.Config().SystemNamespace, removal.NamespaceKept))
			}
			return step.Written(len(removal.Removed) > 0,
				fmt.Sprintf("%d objects", len(removal.Removed))), nil
		},
	}
}

// removeGitOps takes the reference off the Cluster object, which EKS Anywhere allows for management clusters.
// Should a webhook be against it, the reference stays and does no harm: only EKS Anywhere's own command line
// looks at it.
func (d *deleteRun) removeGitOps() step.Sequence {
	live := d.targets[0].live
	if live == nil {
		return nil
	}
	return step.Sequence{step.Action{
		Name: stepRemoveGitOps,
		Plan: step.Planned(step.Written(d.refersToGitOps(), "")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			kind, name := d.liveGitOps()
			if name == "" {
				return step.Unchanged(), nil
			}
			changed, err := d.open.cluster.RemoveGitOps(ctx, live.Namespace, live.Name, kind, name)
			if refused := new(fluxinstall.RefusedError); errors.As(err, &refused) {
				d.steps.Note(step.LevelWarning,
					fmt.Sprintf("spec.gitOpsRef of cluster %s stays, which does no harm: %v",
						live.Name, refused.Err))
				return step.Effect{Outcome: step.OutcomeSkipped, Detail: "refused"}, nil
			}
			if err != nil {
				return step.Effect{}, fmt.Errorf("taking the GitOps configuration off cluster %s: %w",
					live.Name, err)
			}
			return step.Written(changed, ""), nil
		},
	}}
}
