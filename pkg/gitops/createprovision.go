package gitops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// missing are the clusters of the run that the provisioner has to make: those that do not exist.
func (r *createRun) missing() []*clusterspec.Cluster {
	if !r.hasProvisioner() || r.seen.Cluster() == nil {
		return nil
	}
	var missing []*clusterspec.Cluster
	for _, c := range r.managed {
		if r.seen.Absent() || !r.seen.Cluster().HasCluster(c.Namespace, c.Name) {
			missing = append(missing, c)
		}
	}
	return missing
}

// checkProvisioned is checkCluster for a management cluster that the provisioner may have begun to make.
func (r *createRun) checkProvisioned(seen facts.Facts) []facts.Finding {
	wrong := r.checkCluster(seen)
	if r.management == nil || seen.Cluster().HasCluster(r.management.Namespace, r.management.Name) ||
		!r.ports.Provisioner.HasKubeconfig(r.management.Name) {
		return wrong
	}
	for i := range wrong {
		wrong[i].Hint = unfinishedHint(r.management.Name)
	}
	return wrong
}

func unfinishedHint(cluster string) string {
	return fmt.Sprintf("an unfinished creation of %s left its kubeconfig in folder %s, and eksctl anywhere "+
		"does not start another one on top of it: delete what it has made (the bootstrap cluster, the "+
		"machines), then the folder, and run the same command again", cluster, text.ShellWord(cluster))
}

// UnfinishedClusterError says that the provisioner has left half of a management cluster, on top of which it
// begins no other: the same command does not go on before that is cleared away.
type UnfinishedClusterError struct {
	Cluster string
	Err     error
}

func (e *UnfinishedClusterError) Error() string { return e.Err.Error() }

// Unwrap returns why the provisioner ended.
func (e *UnfinishedClusterError) Unwrap() error { return e.Err }

// Hint says what has to be cleared away.
func (e *UnfinishedClusterError) Hint() string { return unfinishedHint(e.Cluster) }

// lookLimit bounds the look at what a provisioner has left: the run is over, and a person waits for its last
// words.
const lookLimit = 5 * time.Second

// leftUnfinished says whether the provisioner has left a management cluster without its Cluster object. Of
// one that does not answer that is not known, and it is not said: what is advised then takes it away.
func (r *createRun) leftUnfinished(ctx context.Context, c *clusterspec.Cluster) bool {
	if r.management != c || !r.ports.Provisioner.HasKubeconfig(c.Name) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookLimit)
	defer cancel()
	cluster, err := r.ports.OpenCluster(ctx)
	if err != nil {
		return false
	}
	state, err := cluster.Inspect(ctx, fluxinstall.InspectOptions{})
	return err == nil && !state.HasCluster(c.Namespace, c.Name)
}

// checkProvisioner makes sure that the provisioner can do what is left to it.
func (r *createRun) checkProvisioner(ctx context.Context, found *findings) {
	if len(r.missing()) > 0 {
		r.checkReadiness(ctx, found)
	}
}

func (r *createRun) creation(c *clusterspec.Cluster) ProvisionJob {
	return ProvisionJob{Verb: VerbCreate, Cluster: c.Name, ManagementCluster: c.ManagementCluster,
		Spec: layout.SpecWithoutGitOps(c)}
}

// provision has the provisioner make the clusters that do not exist, the management cluster first, and looks
// at them. It is done whether GitOps can be enabled or not. Its error ends the run: a cluster is not there.
func (r *createRun) provision() step.Sequence {
	var parts step.Sequence
	for _, c := range r.missing() {
		parts = append(parts, step.OrElse{
			Steps:  r.runProvisioner(r.creation(c)),
			Failed: func(ctx context.Context, err error) error { return r.notMade(ctx, c, err) },
		}, step.Silently(func(ctx context.Context) error {
			if err := ctx.Err(); errors.Is(err, context.Canceled) {
				return err
			}
			return r.lookAgain(ctx)
		}))
	}
	return parts
}

// notMade is the error of a run whose provisioner has not made a cluster.
func (r *createRun) notMade(ctx context.Context, c *clusterspec.Cluster, err error) error {
	r.clusterResult(c.Name).Message = "not created: " + err.Error()
	if r.leftUnfinished(ctx, c) {
		err = &UnfinishedClusterError{Cluster: c.Name, Err: err}
	}
	r.result.Status = StatusIncomplete
	return &IncompleteError{What: fmt.Sprintf("cluster %s was not created", c.Name), Cause: err}
}

// lookAgain looks at the management cluster after the provisioner has changed it.
func (r *createRun) lookAgain(ctx context.Context) error {
	var found findings
	r.lookAtCluster(ctx, demands{judge: r.checkProvisioned}, &found)
	if len(found.list) == 0 {
		return nil
	}
	// It is no PreflightError: a cluster has been made.
	err := &hintedError{message: facts.MessagesOf(found.list), hint: found.list[0].Hint}
	if (&PreflightError{Findings: found.list}).AboutAccess() {
		err.is = github.ErrPermission
	}
	if r.open.cluster == nil || !r.seen.Cluster().EKSAInstalled {
		r.result.Status = StatusIncomplete
		return &IncompleteError{
			What:  fmt.Sprintf("cluster %s was created, but cannot be reached", r.seen.ManagementCluster()),
			Cause: err}
	}
	if r.gitOpsError == nil {
		r.gitOpsError, r.gitOpsStep = err, stepCluster
	}
	return nil
}

// giveGitOps gives workload clusters that the provisioner has made from a file without GitOps their
// gitOpsRef. Flux could not: EKS Anywhere lets the reference of a workload cluster change only while the
// cluster is paused.
func (r *createRun) giveGitOps(context.Context) step.Sequence {
	var parts step.Sequence
	for _, c := range r.managed {
		if r.gitOpsError != nil || !r.givesGitOps(c) {
			continue
		}
		parts = append(parts, step.Action{
			Name: step.Name(fmt.Sprintf("Give cluster %s its GitOps configuration", c.Name)),
			Plan: step.Planned(step.Changed("")),
			Apply: func(ctx context.Context) (step.Effect, error) {
				changed, err := r.open.cluster.AdoptGitOps(ctx, c.Namespace, c.Name,
					clusterspec.GitOpsObject(c))
				if err != nil {
					return step.Effect{}, fmt.Errorf("giving cluster %s its gitOpsRef: %w", c.Name, err)
				}
				return step.Written(changed, ""), nil
			},
		})
	}
	if len(parts) == 0 {
		return nil
	}
	return step.Sequence{step.OrElse{Steps: parts, Failed: r.giveUpGitOps}}
}

// givesGitOps says whether the run gives a cluster its GitOps configuration past Git: a provisioner makes
// workload clusters without it.
func (r *createRun) givesGitOps(c *clusterspec.Cluster) bool {
	return r.hasProvisioner() && c.Role() == clusterspec.RoleWorkload && !r.hasGitOps(c)
}

// hasGitOps says whether a cluster that is there needs no other reference. One that is not there yet gets
// none from its provisioner.
func (r *createRun) hasGitOps(c *clusterspec.Cluster) bool {
	live := r.seen.Cluster().Cluster(c.Namespace, c.Name)
	if live == nil {
		return !r.settings.DryRun
	}
	return live.GitOpsName != "" && !live.Paused
}
