package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// ClusterInspector looks at what a run is going to change, and writes nothing.
type ClusterInspector interface {
	facts.FluxLister
	// Inspect reads what the other methods would change, and what tells whether they may.
	Inspect(ctx context.Context, options fluxinstall.InspectOptions) (*fluxinstall.State, error)
	// DryRunApply asks the API server about each object, in the given order, as if Flux applied it. The error
	// is for what is no verdict on an object; verdicts on others may come beside it.
	DryRunApply(ctx context.Context, objects []map[string]any) ([]fluxinstall.Verdict, error)
	// RunningControllers reads which images of Flux's controllers run.
	RunningControllers(ctx context.Context, namespace string) ([]fluxinstall.RunningController, error)
	// MissingRights are those that a purpose needs in a namespace and the whole cluster, and the user does
	// not have. A server that does not say is taken to give them.
	MissingRights(ctx context.Context, purpose fluxinstall.Purpose,
		namespace string) []*fluxinstall.MissingRight
}

// observe makes every check that reading can make. What has to be put right first is a *PreflightError with
// all of it. An unreachable host or a protected branch does not stop a creation: it becomes r.gitOpsError.
func (r *createRun) observe(ctx context.Context) error {
	var found findings
	if err := r.look(ctx, r.demands(), &found); err != nil {
		return err
	}
	if err := r.takeBack(ctx, r.demands(), &found); err != nil {
		return err
	}
	r.checkCopies(&found, r.copies())
	r.checkUnbuilt(ctx, &found)
	r.checkProvisioner(ctx, &found)
	r.checkHosts(&found)
	r.checkTogether(&found)
	r.checkSource(&found)
	r.checkFrozen(&found)
	r.checkLeaving(&found)
	r.checkNamespaces(&found)
	r.checkLoss(ctx, &found)
	r.noteRenamed()
	if len(found.list) == 0 && len(found.soft) == 0 {
		if err := r.planFiles(ctx, &found); err != nil {
			found.addSoft(err)
		}
		if r.restore(ctx, &found); len(r.restored) > 0 && len(found.list) == 0 {
			if err := r.planFiles(ctx, &found); err != nil {
				found.addSoft(err)
			}
		}
		r.checkConsequences(ctx, &found)
		r.checkAdmitted(ctx, &found)
		if err := r.checkStored(ctx, &found); err != nil {
			return err
		}
		r.checkRights(ctx, &found)
		r.observePush(ctx, &found)
	}
	if len(found.list) == 0 && len(found.soft) == 0 && r.keepsFlux {
		r.noteAuthority()
		r.noteFormerKeys()
		r.noteUnseen()
		r.noteAsleep()
	}
	if len(found.list) == 0 && len(found.soft) == 0 {
		r.noteSparseElsewhere()
		r.suggestSparse(ctx)
	}
	if err := found.refused(); err != nil {
		return err
	}
	if len(found.soft) > 0 {
		r.gitOpsError, r.gitOpsStep = errors.Join(found.soft...), stepAccess
	}
	return nil
}

// checkHosts makes sure that Flux knows the host's keys when the operator gives none: those with which it
// reads the repository already are good enough.
func (r *run) checkHosts(found *findings) {
	if r.seen.NoKnownHosts() == nil || r.seen.Cluster() == nil {
		return
	}
	flux := &r.seen.Cluster().Flux
	if flux.GitRepository == nil || r.seen.FollowsOther(flux) || flux.SourceSecret == nil ||
		len(flux.SourceSecret.KnownHosts) == 0 {
		found.add(facts.AreaAccess, r.seen.NoKnownHosts())
	}
}

// checkCluster holds what is in the cluster against what the spec expects to find there.
func (r *run) checkCluster(seen facts.Facts) []facts.Finding {
	state := seen.Cluster()
	if wrong := r.checkManagementCluster(seen); wrong != nil {
		return wrong
	}
	wrong := slices.Concat(r.checkFlux(seen), r.checkHanging(state))
	if len(wrong) == 0 {
		wrong = r.checkAsleep(state)
	}
	if !r.keepsFlux && (state.Flux.GitRepository == nil || state.Flux.Kustomization == nil) {
		wrong = append(wrong,
			facts.AreaCluster.Finding(fmt.Sprintf(
				"management cluster %s is not managed through Git yet: there "+
					"is no Flux in namespace %s", seen.ManagementCluster(), seen.Config().SystemNamespace),
				text.Command("first run: eksa-gitops create cluster -f with the file of %s",
					seen.ManagementCluster())))
	}
	return wrong
}

// checkManagementCluster makes sure that the cluster is the management cluster that is meant; nil when it is.
func (r *run) checkManagementCluster(seen facts.Facts) []facts.Finding {
	state, want := seen.Cluster(), seen.ManagementCluster()
	if !state.EKSAInstalled {
		return []facts.Finding{facts.AreaCluster.Finding(fmt.Sprintf(
			"the cluster at %s has no EKS Anywhere: there is "+
				"no resource type clusters.anywhere.eks.amazonaws.com", state.Server),
			"create the management cluster with eksctl anywhere, or choose another kubeconfig with "+
				"--kubeconfig; tried: "+state.Origin)}
	}
	var names []string
	for _, c := range state.ManagementClusters() {
		if c.Name == want {
			return nil
		}
		names = append(names, c.Name)
	}
	if len(names) == 0 {
		return []facts.Finding{facts.AreaCluster.Finding(fmt.Sprintf(
			"the cluster at %s has no management Cluster object; the spec names %s", state.Server, want),
			"choose the management cluster's kubeconfig with --kubeconfig; tried: "+state.Origin)}
	}
	return []facts.Finding{facts.AreaCluster.Finding(fmt.Sprintf(
		"the cluster at %s is the management cluster %s, not %s", state.Server, strings.Join(names, ", "),
		want), "choose the kubeconfig of "+want+" with --kubeconfig; tried: "+state.Origin)}
}

// checkFlux makes sure that what is installed is ours to use: nothing there, or the same repository, branch
// and path.
func (r *run) checkFlux(seen facts.Facts) []facts.Finding {
	state := seen.Cluster()
	var wrong []facts.Finding
	for _, other := range state.Flux.Others {
		wrong = append(wrong, facts.AreaCluster.Finding(
			"Flux is already installed by somebody else: "+other.Description, otherHint(other)))
	}
	// What those two install follows what they say; that it is something else is no finding of its own.
	kept := func(o fluxinstall.Other) bool {
		return o.Installer == fluxinstall.InstallerOperator || o.Installer == fluxinstall.InstallerHelm
	}
	if r.adopting || slices.ContainsFunc(state.Flux.Others, kept) {
		return wrong
	}
	namespace := seen.Config().SystemNamespace
	if a := state.Flux.Adoption; a != nil && r.adoptHint != "" {
		return []facts.Finding{facts.AreaCluster.Finding(fmt.Sprintf(
			"a run that was cut off began to take over the Flux in "+
				"namespace %s, which followed branch %s of %s; until that is done Flux deletes nothing",
			namespace, a.Branch, a.URL), "go on: "+r.adoptHint)}
	}
	orAdopt := ""
	if r.adoptHint != "" && r.keepsFlux {
		orAdopt = "; or " + r.adoptHint
	}
	if git := state.Flux.GitRepository; git != nil {
		if !seen.SameSource(git.URL) || git.Branch != seen.Config().Branch {
			wrong = append(wrong, facts.AreaCluster.Finding(
				fmt.Sprintf("GitRepository %s/%s follows branch %s of %s; the spec says branch %s of %s",
					namespace, git.Name, git.Branch, git.URL, seen.Config().Branch, seen.Remote().Cluster),
				"put the repository and branch that are in use into the spec, or remove the GitRepository "+
					"first"+orAdopt))
		}
	}
	if ks := state.Flux.Kustomization; ks != nil && !facts.SamePath(ks.Path, layout.SyncPath(seen.Config())) {
		wrong = append(wrong, facts.AreaCluster.Finding(
			fmt.Sprintf("Kustomization %s/%s applies path %s; the spec says %s",
				namespace, ks.Name, ks.Path, layout.SyncPath(seen.Config())),
			text.Command("put the path that is in use into spec.clusterConfigPath, or first suspend the "+
				"Kustomization (flux suspend kustomization %s -n %s) and then remove it: Flux deletes "+
				"all that one which is not suspended has applied, clusters included", ks.Name, namespace)+
				orAdopt))
	}
	return wrong
}

// otherHint says what can be done about an installation that is not taken over.
func otherHint(other fluxinstall.Other) string {
	switch other.Installer {
	case fluxinstall.InstallerOperator:
		return text.Command("flux-operator would undo what eksa-gitops does to Flux, with --adopt or "+
			"without: either keep it, and commit the cluster's files by hand to what its spec.sync "+
			"follows, or have it let go of Flux (annotate fluxinstance %s in namespace %s with "+
			"fluxcd.controlplane.io/prune=disabled and delete it), and take over what is left with "+
			"eksa-gitops upgrade cluster --adopt", other.Name, other.Namespace)
	case fluxinstall.InstallerHelm:
		return text.Command("Helm would undo what eksa-gitops does to Flux, with --adopt or without: "+
			"uninstall the release first (helm uninstall %s), with all Kustomizations suspended and Flux's "+
			"CRDs kept, since everything of Flux's kinds is deleted with them, and run this command again",
			other.Name)
	case fluxinstall.InstallerElsewhere:
		return text.Command("a cluster has one Flux: put systemNamespace: %s into the spec "+
			"to use that one, or remove it first (flux uninstall --namespace=%s --keep-namespace) with its "+
			"Kustomizations suspended", other.Namespace, other.Namespace)
	}
	return "remove it first, or keep using it; eksa-gitops does not take over another installation"
}

// checkTogether compares the spec of workload clusters with the GitOps configuration of their management
// cluster. EKS Anywhere demands equal specs and different names (eksctl anywhere's create validations).
func (r *clustersRun) checkTogether(found *findings) {
	if r.seen.Cluster() == nil || r.management != nil {
		return
	}
	for _, c := range r.managed {
		if c.Role() != clusterspec.RoleWorkload {
			continue
		}
		live := r.seen.Cluster().GitOpsConfigOf(c.ManagementCluster)
		if live == nil {
			continue
		}
		if live.Kind == c.GitOps.Kind && live.Name == c.GitOps.Name && live.Namespace == c.Namespace {
			found.addFinding(facts.AreaSpec.Finding(fmt.Sprintf(
				"cluster %s: %s %s is the management cluster's "+
					"own; a workload cluster needs one of another name", c.Name, live.Kind, live.Name),
				fmt.Sprintf("rename it, for example to %s, in the %s and in spec.gitOpsRef.name of the "+
					"Cluster", c.Name, live.Kind)))
		}
		for _, difference := range gitOpsDifferences(live.Spec, c.GitOps) {
			hint := "a workload cluster's GitOps configuration has to be the same as its management cluster's"
			if r.sameButName(difference) {
				hint = fmt.Sprintf("write %s, as the management cluster has it: both names lead to the "+
					"same repository, but EKS Anywhere compares the texts", difference.live)
			}
			found.addFinding(facts.AreaSpec.Finding(
				fmt.Sprintf("cluster %s: %s %s: %s", c.Name, c.GitOps.Kind, c.GitOps.Name, difference), hint))
		}
	}
}
