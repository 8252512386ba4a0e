package gitops

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// What an upgrade demands of the clusters that are there.

// checkState judges the management cluster as an upgrade needs it.
func (u *upgradeRun) checkState(seen facts.Facts) []facts.Finding {
	state := seen.Cluster()
	wrong := append(u.checkCluster(seen), u.checkAdoption(seen)...)
	if len(wrong) > 0 {
		return wrong
	}
	if git := state.Flux.GitRepository; git != nil && git.Suspended {
		wrong = append(wrong, suspendedFinding("GitRepository", u.seen.Config().SystemNamespace, git.Name))
	}
	if ks := state.Flux.Kustomization; ks != nil && ks.Suspended {
		wrong = append(wrong, suspendedFinding("Kustomization", u.seen.Config().SystemNamespace, ks.Name))
	}
	return wrong
}

// checkFrozen finds what the file says otherwise than the management cluster's live configuration, whose spec
// EKS Anywhere's webhook lets nobody change. It compares texts: another name of the same repository is a
// change. When Flux follows something else, that is what is told.
func (r *clustersRun) checkFrozen(found *findings) {
	if r.seen.Cluster() == nil || r.management == nil || r.seen.FollowsOther(&r.seen.Cluster().Flux) {
		return
	}
	live := r.seen.Cluster().GitOpsConfigOf(r.seen.ManagementCluster())
	if live == nil {
		return
	}
	for _, difference := range gitOpsDifferences(live.Spec, r.seen.Config()) {
		hint := text.Command("put the old value into the file; to move to another repository, branch "+
			"or path, detach the cluster with eksa-gitops delete cluster %s, which leaves it running, and "+
			"enable GitOps again", r.seen.ManagementCluster())
		if r.sameButName(difference) {
			hint = "put the old value into the file: both names lead to the same repository, and nothing " +
				"else has to be done"
		}
		found.addFinding(facts.AreaSpec.Finding(
			fmt.Sprintf("cluster %s: %s %s: %s; EKS Anywhere freezes it (config is immutable)",
				r.seen.ManagementCluster(), r.seen.Config().Kind, r.seen.Config().Name, difference),
			hint))
	}
}

// sameButName says whether a difference is only in how the repository is called: in case, or by a name from
// before a rename or a transfer, which may have made an organization of a personal owner.
func (r *run) sameButName(d gitOpsDifference) bool {
	if r.seen.Config().GitHub == nil {
		return false
	}
	if d.names && strings.EqualFold(d.live, d.file) {
		return true
	}
	names := []github.RepoRef{r.seen.OtherName()}
	if r.seen.Renamed() != "" {
		names = append(names, r.seen.Access().Repository.Ref)
	}
	return slices.ContainsFunc(names, func(name github.RepoRef) bool {
		return name.Name != "" && (d.field == "github.personal" ||
			d.names && (strings.EqualFold(d.live, name.Owner) || strings.EqualFold(d.live, name.Name)))
	})
}

func suspendedFinding(kind, namespace, name string) facts.Finding {
	resource := map[string]string{"GitRepository": "gitrepositories.source.toolkit.fluxcd.io",
		"Kustomization": "kustomizations.kustomize.toolkit.fluxcd.io"}[kind]
	return facts.AreaCluster.Finding(
		fmt.Sprintf("%s %s/%s is suspended, so that Flux would not apply the change", kind, namespace, name),
		text.Command("resume it first: kubectl -n %s patch %s %s --type merge -p "+
			"'{\"spec\":{\"suspend\":false}}'", namespace, resource, name))
}

// checkDetached finds clusters that are managed through Git and whose file says nothing of it. Leaving
// gitOpsRef out is no way to detach: `eksctl anywhere` refuses it, and so does the webhook for workload
// clusters.
func (u *upgradeRun) checkDetached(found *findings) {
	for _, c := range u.options.Clusters {
		live := u.seen.Cluster().Cluster(c.Namespace, c.Name)
		if c.GitOps != nil || live == nil || live.GitOpsName == "" && live.AppliedBy == "" {
			continue
		}
		what := fmt.Sprintf("refers to %s %s", live.GitOpsKind, live.GitOpsName)
		if live.GitOpsName == "" {
			what = "is applied by Flux (Kustomization " + live.AppliedBy + ")"
		}
		hint := text.Command("keep gitOpsRef and the %s in the file; to detach the cluster, which goes on "+
			"running: eksa-gitops delete cluster %s", orDefault(live.GitOpsKind, "FluxConfig"), c.Name)
		if c.Role() == clusterspec.RoleWorkload {
			hint = text.Command("keep gitOpsRef and the %s in the file: EKS Anywhere's webhook does "+
				"not let a workload cluster's gitOpsRef go; eksa-gitops delete cluster %s would delete the "+
				"cluster itself", orDefault(live.GitOpsKind, "FluxConfig"), c.Name)
		}
		found.addFinding(facts.AreaSpec.Finding(fmt.Sprintf(
			"cluster %s is managed through Git (it %s), and its "+
				"file has no gitOpsRef; nothing is detached by leaving it out", c.Name, what), hint))
	}
}

// checkExistence makes sure that each cluster is there and can be changed.
func (u *upgradeRun) checkExistence(found *findings) {
	for _, c := range u.managed {
		live := u.seen.Cluster().Cluster(c.Namespace, c.Name)
		switch {
		case live == nil && u.inGit(c):
			continue // Flux has not applied it yet, and tells why
		case live == nil:
			found.addFinding(facts.AreaSpec.Finding(
				fmt.Sprintf("there is no cluster %s in namespace %s of management cluster %s, nor in Git",
					c.Name, c.Namespace, c.ManagementCluster),
				text.Command("create it: eksa-gitops create cluster -f %s", c.Objects[0].File)))
		case live.ManagementCluster != c.ManagementCluster:
			found.addFinding(facts.AreaSpec.Finding(
				fmt.Sprintf("cluster %s is managed by %s, and the file says %s",
					c.Name, live.ManagementCluster, c.ManagementCluster),
				"EKS Anywhere does not move a cluster to another management cluster"))
		case live.Deleting:
			continue // checkLeaving tells
		case c.Role() == clusterspec.RoleWorkload && live.GitOpsName == "":
			found.addFinding(facts.AreaSpec.Finding(
				fmt.Sprintf("cluster %s exists without gitOpsRef, and EKS Anywhere refuses to add one to a "+
					"workload cluster (spec.gitOpsRef: field is immutable)", c.Name),
				fmt.Sprintf("create the cluster again, under another name with gitOpsRef in its file, "+
					"or have Flux manage it without the reference: take gitOpsRef and the %s out of the "+
					"file and commit it by hand beside %s/%s",
					c.GitOps.Kind, u.seen.Config().ClusterConfigPath, c.ManagementCluster)))
		case live.Paused:
			found.addFinding(facts.AreaCluster.Finding(fmt.Sprintf("cluster %s carries the annotation "+
				"anywhere.eks.amazonaws.com/paused, so EKS Anywhere would not make the change", c.Name),
				"to resume: "+facts.ResumeCommand(c.Name)))
		}
	}
}

// inGit says whether the cluster's file is in the repository.
func (u *upgradeRun) inGit(c *clusterspec.Cluster) bool {
	if u.snapshot == nil {
		return false
	}
	_, there, err := u.snapshot.Lookup(layout.PathsOf(c).Spec)
	return err == nil && there
}
