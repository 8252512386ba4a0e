package gitops

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// checkLostFiles is checkLoss for clusters that are to be deleted, which can be done without the repository.
// A management cluster leaves Git with Flux stopped, and loses nothing.
func (d *deleteRun) checkLostFiles(ctx context.Context, found *findings) {
	if d.detaches || !d.usesGit() || !d.usesCluster() || !slices.ContainsFunc(d.targets, (*target).there) {
		return
	}
	before := len(found.list)
	d.checkLoss(ctx, found)
	for i := range found.list[before:] {
		f := &found.list[before+i]
		f.Hint = f.Hint +
			text.Command("; or delete it only from the cluster: eksa-gitops delete cluster %s --from cluster",
				namesOf(d.options.Clusters))
	}
}

// repositoryError says that the repository cannot be written now, though credentials and rights are as they
// should be.
type repositoryError struct {
	err      error
	clusters []Doomed
	detaches bool
}

func (e *repositoryError) Error() string { return e.err.Error() + "; " + nothingChanged }
func (e *repositoryError) Unwrap() error { return e.err }

// Hint offers the half that needs no repository. A management cluster is better detached from both.
func (e *repositoryError) Hint() string {
	if e.detaches {
		return "run the same command again when that is fixed"
	}
	return text.Command("run the same command again when that is fixed, or do the cluster's half now: "+
		"eksa-gitops delete cluster %s --from cluster", namesOf(e.clusters))
}

// checkState judges the management cluster as a deletion needs it.
func (d *deleteRun) checkState(seen facts.Facts) []facts.Finding {
	if wrong := d.checkManagementCluster(seen); wrong != nil {
		return wrong
	}
	if d.options.GitOps == nil || d.options.From == FromCluster && !d.detaches {
		return nil
	}
	return slices.Concat(d.checkFlux(seen), d.checkHanging(seen.Cluster()))
}

// checkTargets finds what would keep clusters from going, so that nothing is begun that cannot be ended.
func (d *deleteRun) checkTargets(found *findings) {
	for _, t := range d.targets {
		if t.live != nil && t.live.ManagementCluster != d.seen.ManagementCluster() {
			found.addFinding(facts.AreaSpec.Finding(fmt.Sprintf("cluster %s is managed by %s, not by %s",
				t.Name, t.live.ManagementCluster, d.seen.ManagementCluster()),
				"choose the management cluster's kubeconfig with --kubeconfig"))
			continue
		}
		if t.live != nil && t.live.Paused && !t.live.AllowsDeletion {
			found.addFinding(facts.AreaCluster.Finding(
				fmt.Sprintf("cluster %s is paused: EKS Anywhere would not delete it", t.Name),
				facts.ResumeCommand(t.Name)+text.Command("; or have EKS Anywhere delete it anyway: "+
					"kubectl -n %s annotate clusters.anywhere.eks.amazonaws.com "+
					"%s anywhere.eks.amazonaws.com/allow-delete-when-paused=true, and run the same command "+
					"right after that", t.Namespace, t.Name)))
		}
		switch {
		case d.options.From == FromCluster:
			d.checkFromCluster(t, found)
		case d.hasProvisioner() && !t.files:
			// The provisioner deletes what is in the cluster, whether Flux manages it or not.
		case d.options.From == FromBoth && t.there() && !t.leaving():
			d.checkFromBoth(t, found)
		}
	}
}

// halves is the way out of a GitOps that does not work.
func (d *deleteRun) halves(t *target) string {
	switch {
	case t.files && t.live != nil:
		return text.Command("fix this, or delete in two steps: eksa-gitops delete cluster %s --from git, "+
			"then eksa-gitops delete cluster %s --from cluster", t.Name, t.Name)
	case t.files:
		return text.Command("fix this, or delete it only from Git: eksa-gitops delete cluster %s --from git",
			t.Name)
	default:
		return text.Command("fix this, or delete it only from the cluster: eksa-gitops delete cluster %s "+
			"--from cluster", t.Name)
	}
}

// checkFromBoth makes sure that Flux will delete from the cluster what leaves Git.
func (d *deleteRun) checkFromBoth(t *target, found *findings) {
	broken := func(format string, args ...any) {
		found.addFinding(facts.AreaCluster.Finding(
			fmt.Sprintf("cluster %s: ", t.Name)+fmt.Sprintf(format, args...), d.halves(t)))
	}
	if d.options.GitOps == nil {
		broken("GitOps is not set up: management cluster %s has no gitOpsRef", d.seen.ManagementCluster())
		return
	}
	if reason := d.brokenFlux(); reason != "" {
		broken("GitOps does not work: %s", reason)
		return
	}
	ks := d.seen.Cluster().Flux.Kustomization
	switch {
	case t.live == nil:
	case t.live.KeptByFlux && t.live.Held == nil:
		broken("the object carries the mark kustomize.toolkit.fluxcd.io/prune or /reconcile: disabled, " +
			"which keeps Flux from deleting it")
	case !ks.AppliedCluster(t.Namespace, t.Name) && t.files:
		broken("its files are in Git, but Flux does not manage the object in the cluster")
	case !ks.AppliedCluster(t.Namespace, t.Name):
		broken("it is in the cluster only: it is not in Git, and Flux does not manage it")
	}
}

// brokenFlux says why Flux would not delete what leaves Git; empty when it would. That it cannot apply the
// very clusters that go is no reason: it can once they are gone.
func (d *deleteRun) brokenFlux() string {
	flux := &d.seen.Cluster().Flux
	namespace := d.seen.Config().SystemNamespace
	git, ks := flux.GitRepository, flux.Kustomization
	switch {
	case git == nil && ks == nil:
		return "there is no Flux in namespace " + namespace
	case git == nil:
		return fmt.Sprintf("there is no GitRepository %s/%s", namespace, namespace)
	case ks == nil:
		return fmt.Sprintf("there is no Kustomization %s/%s", namespace, namespace)
	case git.Suspended:
		return fmt.Sprintf("GitRepository %s/%s is suspended", namespace, git.Name)
	case ks.Suspended:
		return fmt.Sprintf("Kustomization %s/%s is suspended", namespace, ks.Name)
	case !ks.Prune:
		return fmt.Sprintf("Kustomization %s/%s does not delete what is no longer in Git (spec.prune)",
			namespace, ks.Name)
	}
	if c := facts.Failing(git.Conditions); c != nil {
		return fmt.Sprintf("GitRepository %s/%s is not ready (%s): %s",
			namespace, git.Name, c.Reason, c.Words())
	}
	if c := facts.Failing(ks.Conditions); c != nil && !d.aboutTarget(c.Culprit()) {
		return fmt.Sprintf("Kustomization %s/%s is not ready (%s): %s",
			namespace, ks.Name, c.Reason, c.Words())
	}
	for _, name := range []string{"source-controller", "kustomize-controller"} {
		if !slices.ContainsFunc(flux.Controllers,
			func(c fluxinstall.ControllerState) bool { return c.Name == name && c.Available }) {
			return fmt.Sprintf("%s is not running in namespace %s", name, namespace)
		}
	}
	return ""
}

// aboutTarget says whether whom Flux blames belongs to a cluster that goes: its directory, or one of its
// objects.
func (d *deleteRun) aboutTarget(culprit string) bool {
	return slices.ContainsFunc(d.targets, func(t *target) bool {
		return t.files &&
			(strings.HasPrefix(culprit+"/", layout.PathsIn(d.seen.Config(), t.Name).Cluster+"/") ||
				slices.Contains(slices.Concat(d.removal.Objects[t.Name], d.removal.Dependents[t.Name]),
					strings.Replace(culprit, "/", " ", 1)))
	})
}

// checkFromCluster makes sure that Flux would not make the cluster again.
func (d *deleteRun) checkFromCluster(t *target, found *findings) {
	ks := d.seen.Cluster().Flux.Kustomization
	if t.live == nil || t.live.Deleting || ks == nil || ks.Suspended {
		if t.live != nil && ks != nil {
			d.steps.Note(step.LevelWarning,
				text.Command("if cluster %s still has files in Git, Flux will create it again when it "+
					"works again; take them out with: eksa-gitops delete cluster %s --from git",
					t.Name, t.Name))
		}
		return
	}
	if !ks.AppliedCluster(t.Namespace, t.Name) {
		return
	}
	namespace := d.seen.Config().SystemNamespace
	found.addFinding(facts.AreaCluster.Finding(
		fmt.Sprintf("cluster %s: Kustomization %s/%s has applied it and would create it again",
			t.Name, namespace, ks.Name),
		text.Command("delete it from both; or, when Flux cannot apply that, suspend Flux first: kubectl -n "+
			"%s patch kustomizations.kustomize.toolkit.fluxcd.io %s --type merge -p "+
			"'{\"spec\":{\"suspend\":true}}'", namespace, ks.Name)))
}
