package gitops

import (
	"context"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// An upgrade with a provisioner: while Flux leaves the clusters' objects alone, the provisioner brings the
// clusters to what will be in Git, and Git is written; then Flux is let go again, and finds nothing to
// change.

// checkUpgrader finds the clusters that the provisioner has to upgrade, and makes sure that it can: those
// whose files in Git change (when the provisioner has failed, Git has not been written, and it has to go on),
// those whose objects are not what the files say, and those that another version of EKS Anywhere has made,
// which only its command line changes.
func (u *upgradeRun) checkUpgrader(ctx context.Context, found *findings) {
	if !u.hasProvisioner() || len(found.list) > 0 || len(found.soft) > 0 {
		return
	}
	version := u.checkReadiness(ctx, found)
	u.provisioned = nil
	for _, p := range u.specs {
		if live := u.seen.Cluster().Cluster(p.Cluster.Namespace, p.Cluster.Name); live == nil {
			continue // Flux makes it from what is in Git
		}
		if p.InGit && p.Changed() || u.lags(ctx, p) || u.isOlder(p, version) {
			u.provisioned = append(u.provisioned, p)
		}
	}
}

// lags says whether a live object of a cluster is not as its file in Git is going to be. What the reference
// to the GitOps configuration is, is not the provisioner's business.
func (u *upgradeRun) lags(ctx context.Context, p *files.SpecPlan) bool {
	objects, err := p.ObjectsIn(ctx, u.snapshot)
	if err != nil {
		return p.Changed()
	}
	for _, o := range objects {
		if facts.AppliedOnce(o) || !slices.Contains(clusterspec.Kinds(), o.Kind) || o.Kind == "FluxConfig" ||
			o.Kind == "GitOpsConfig" {
			continue
		}
		live := facts.FindLive(u.live, o.Kind, o.Namespace, o.Name)
		if live == nil {
			return true
		}
		for _, d := range facts.Differences(o, live) {
			if o.Kind != "Cluster" || !isGitOpsRef(d.Field) {
				return true
			}
		}
	}
	return false
}

func isGitOpsRef(field string) bool {
	return field == "spec.gitOpsRef" || field == "spec.gitOpsRef.kind" || field == "spec.gitOpsRef.name"
}

// isOlder says whether EKS Anywhere of another version than the provisioner's runs the cluster, as far as
// that can be known.
func (u *upgradeRun) isOlder(p *files.SpecPlan, version string) bool {
	live := facts.FindLive(u.live, "Cluster", p.Cluster.Namespace, p.Cluster.Name)
	if live == nil || version == "" {
		return false
	}
	spec, _ := live.Fields["spec"].(map[string]any)
	has, _ := spec["eksaVersion"].(string)
	return has != "" && has != version
}

// upgradeJob is the provisioner's work on one cluster: to bring it to what its file in Git is going to be.
func (u *upgradeRun) upgradeJob(ctx context.Context, p *files.SpecPlan) (ProvisionJob, error) {
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: p.Path, Data: p.After}})
	if err != nil {
		return ProvisionJob{}, fmt.Errorf("reading the merged spec of cluster %s: %w", p.Cluster.Name, err)
	}
	return ProvisionJob{
		Verb: VerbUpgrade, Cluster: p.Cluster.Name, ManagementCluster: p.Cluster.ManagementCluster,
		Spec: clusterspec.RenderWithoutGitOps(set.Clusters[0]), Kubeconfig: u.ownKubeconfig(ctx,
			p.Cluster.Name),
	}, nil
}

// upgradeClusters upgrades clusters with the provisioner, the management cluster first.
func (u *upgradeRun) upgradeClusters() step.Sequence {
	var parts step.Sequence
	for _, p := range u.provisioned {
		parts = append(parts, step.When(func(ctx context.Context) step.Sequence {
			job, err := u.upgradeJob(ctx, p)
			if err != nil {
				return step.Sequence{step.Fail{Err: err}}
			}
			return step.Sequence{step.OrElse{Steps: u.runProvisioner(job),
				Failed: func(_ context.Context, err error) error {
					return fmt.Errorf("cluster %s was not upgraded: %w", p.Cluster.Name, err)
				}}}
		}), step.Silently(func(ctx context.Context) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return nil
		}))
	}
	return append(parts, step.Silently(u.followVersion))
}

// followVersion plans the files anew with the versions that the provisioner has given the clusters. It always
// sets its own, whatever the file says; Flux would set back what is in Git, which EKS Anywhere refuses.
func (u *upgradeRun) followVersion(ctx context.Context) error {
	live, err := u.readLive(ctx)
	if err != nil {
		return err
	}
	u.live = live
	u.versions = map[string]string{}
	for _, p := range u.provisioned {
		if cluster := facts.FindLive(u.live, "Cluster", p.Cluster.Namespace, p.Cluster.Name); cluster != nil {
			spec, _ := cluster.Fields["spec"].(map[string]any)
			u.versions[p.Cluster.Name], _ = spec["eksaVersion"].(string)
		}
	}
	u.planned, err = u.planUpgrade(ctx, u.snapshot)
	return err
}
