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
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// missing are the clusters of the run that the provisioner has to make: those that do not exist.
func (r *createRun) missing() []*clusterspec.Cluster {
	if !r.hasProvisioner() || r.seen.cluster == nil {
		return nil
	}
	var missing []*clusterspec.Cluster
	for _, c := range r.managed {
		if r.absent || !r.seen.cluster.HasCluster(c.Namespace, c.Name) {
			missing = append(missing, c)
		}
	}
	return missing
}

// checkProvisioned is checkCluster for a management cluster that the provisioner may have begun to make.
func (r *createRun) checkProvisioned(state *fluxinstall.State) []Finding {
	wrong := r.checkCluster(state)
	if r.management == nil || state.HasCluster(r.management.Namespace, r.management.Name) || !r.ports.Provisioner.HasKubeconfig(r.management.Name) {
		return wrong
	}
	for i := range wrong {
		wrong[i].Hint = unfinishedHint(r.management.Name)
	}
	return wrong
}

func unfinishedHint(cluster string) string {
	return fmt.Sprintf("a creation of %s that did not end has left its kubeconfig in the folder %s, and eksctl anywhere begins no other on top of it: delete what it has made (the bootstrap cluster, the machines), then the folder, and run the same command again",
		cluster, text.ShellWord(cluster))
}

// UnfinishedClusterError says that the provisioner has left half of a management cluster, on top of which it begins no other: the same
// command does not go on before that is cleared away.
type UnfinishedClusterError struct {
	Cluster string
	Err     error
}

func (e *UnfinishedClusterError) Error() string { return e.Err.Error() }

// Unwrap returns why the provisioner ended.
func (e *UnfinishedClusterError) Unwrap() error { return e.Err }

// Hint says what has to be cleared away.
func (e *UnfinishedClusterError) Hint() string { return unfinishedHint(e.Cluster) }

// lookLimit bounds the look at what a provisioner has left: the run is over, and a person waits for its last words.
const lookLimit = 5 * time.Second

// leftUnfinished says whether the provisioner has left a management cluster without its Cluster object. Of one that does not answer that
// is not known, and it is not said: what is advised then takes it away.
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
	return ProvisionJob{Verb: VerbCreate, Cluster: c.Name, ManagementCluster: c.ManagementCluster, Spec: layout.SpecWithoutGitOps(c)}
}

// planProvisioning reports what the provisioner would be asked to do.
func (r *createRun) planProvisioning() {
	for _, c := range r.missing() {
		command := r.ports.Provisioner.Command(r.creation(c))
		r.clusterResult(c.Name).Provision = &ProvisionResult{Verb: VerbCreate, Command: command}
		r.planned(stepProvision(VerbCreate, c.Name), false, command)
	}
}

// provision has the provisioner make the clusters that do not exist, the management cluster first, and looks at them. It is done
// whether GitOps can be enabled or not. Its error ends the run: a cluster is not there.
func (r *createRun) provision(ctx context.Context) error {
	for _, c := range r.missing() {
		if err := r.runProvisioner(ctx, r.creation(c)); err != nil {
			record := r.clusterResult(c.Name)
			record.Message = "not created: " + err.Error()
			if r.leftUnfinished(ctx, c) {
				err = &UnfinishedClusterError{Cluster: c.Name, Err: err}
			}
			r.result.Status = StatusIncomplete
			return &IncompleteError{What: fmt.Sprintf("cluster %s was not created", c.Name), Cause: err}
		}
		if err := ctx.Err(); errors.Is(err, context.Canceled) {
			return err
		}
		if err := r.lookAgain(ctx); err != nil {
			return err
		}
	}
	for _, c := range r.managed {
		if r.gitOpsError != nil || !r.hasProvisioner() || c.Role() != clusterspec.RoleWorkload {
			continue
		}
		r.gitOpsError = r.adoptGitOps(ctx, c)
	}
	return nil
}

// lookAgain looks at the management cluster after the provisioner has changed it.
func (r *createRun) lookAgain(ctx context.Context) error {
	var found findings
	r.mayBeAbsent = false
	r.observeCluster(ctx, &found)
	if len(found.list) == 0 {
		return nil
	}
	// It is no PreflightError: a cluster has been made.
	err := &hintedError{message: messagesOf(found.list), hint: found.list[0].Hint}
	if (&PreflightError{Findings: found.list}).AboutAccess() {
		err.is = github.ErrPermission
	}
	if r.seen.ports.cluster == nil || !r.seen.cluster.EKSAInstalled {
		r.result.Status = StatusIncomplete
		return &IncompleteError{What: fmt.Sprintf("cluster %s was created, but cannot be reached", r.managementCluster), Cause: err}
	}
	if r.gitOpsError == nil {
		r.gitOpsError, r.failedStep = err, stepCluster
	}
	return nil
}

// adoptGitOps gives a workload cluster that the provisioner has made from a file without GitOps its gitOpsRef. Flux could not: EKS
// Anywhere lets the reference of a workload cluster change only while the cluster is paused.
func (r *createRun) adoptGitOps(ctx context.Context, c *clusterspec.Cluster) error {
	for _, live := range r.seen.cluster.Clusters {
		if live.Name != c.Name || live.Namespace != c.Namespace || live.GitOpsName != "" && !live.Paused {
			continue
		}
		return r.step(Step(fmt.Sprintf("Give cluster %s its GitOps configuration", c.Name)), func() (Outcome, string, error) {
			changed, err := r.seen.ports.cluster.AdoptGitOps(ctx, c.Namespace, c.Name, clusterspec.GitOpsObject(c))
			if err != nil {
				return "", "", fmt.Errorf("giving cluster %s its gitOpsRef: %w", c.Name, err)
			}
			return writeOutcome(changed)
		})
	}
	return nil
}
