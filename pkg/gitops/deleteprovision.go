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
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// Deleting with a provisioner. A workload cluster leaves Git first, while Flux is kept from its objects, so
// that it neither deletes them beside the provisioner nor makes them anew behind its back; then the
// provisioner deletes the cluster. A management cluster goes with all that is on it, Flux included:
//
//  1. Flux stops, so that it does not bring back what the provisioner deletes.
//  2. The provisioner deletes the cluster, and its kubeconfig, which leads nowhere now, goes. From then on
//     there is only the file that says which repository the cluster was in; that the cluster is gone, a
//     person has to say (checkGone).
//  3. The files leave Git, and the deploy key leaves the host. When the Secret is gone, the key is known by
//     its title.

// destroys says whether the run deletes a management cluster and does not only detach it.
func (d *deleteRun) destroys() bool { return d.detaches && d.hasProvisioner() }

// needsProvisioner says whether there is work for it.
func (d *deleteRun) needsProvisioner() bool {
	if !d.hasProvisioner() || d.options.From == FromGit {
		return false
	}
	for _, t := range d.targets {
		if t.live != nil {
			return true
		}
	}
	return false
}

// deletionJob is the provisioner's work on a cluster.
func (d *deleteRun) deletionJob(ctx context.Context, t *target) ProvisionJob {
	return ProvisionJob{
		Verb: VerbDelete, Cluster: t.Name, ManagementCluster: d.seen.ManagementCluster(),
		Spec:       clusterspec.RenderWithoutGitOps(d.options.Specs[t.Name]),
		Kubeconfig: d.ownKubeconfig(ctx, t.Name),
	}
}

// describeProvisioning puts what the provisioner is about to be asked into the result.
func (d *deleteRun) describeProvisioning(ctx context.Context) {
	if !d.needsProvisioner() {
		return
	}
	for _, t := range d.targets {
		if t.live != nil {
			d.clusterResult(t.Name).Provision = &ProvisionResult{Verb: VerbDelete,
				Command: d.ports.Provisioner.Command(d.deletionJob(ctx, t))}
		}
	}
}

// provisionedDeletion deletes one cluster with the provisioner.
func (d *deleteRun) provisionedDeletion(t *target) step.Sequence {
	if t.live == nil {
		return nil
	}
	return step.Sequence{
		step.When(func(ctx context.Context) step.Sequence {
			return step.Sequence{step.OrElse{Steps: d.runProvisioner(d.deletionJob(ctx, t)),
				Failed: func(_ context.Context, err error) error {
					d.clusterResult(t.Name).Message = err.Error()
					return fmt.Errorf("cluster %s was not deleted: %w", t.Name, err)
				}}}
		}),
		step.Silently(func(ctx context.Context) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return d.forget(ctx, t)
		}),
	}
}

// forget removes the kubeconfig that the provisioner keeps of a cluster that is gone.
func (d *deleteRun) forget(_ context.Context, t *target) error {
	if _, err := d.ports.Provisioner.Forget(t.Name); err != nil {
		return fmt.Errorf("removing the kubeconfig of cluster %s: %w", t.Name, err)
	}
	return nil
}

// provisionedParts take workload clusters out of Git and have the provisioner delete them.
func (d *deleteRun) provisionedParts(going []*target) step.Sequence {
	var held []heldCluster
	var inside step.Sequence
	inGit := false
	for _, t := range going {
		// What Flux has applied and not yet taken off its list it would make anew.
		ks := d.seen.Cluster().Flux.Kustomization
		inGit = inGit || t.files || d.usesGit() && ks != nil && ks.AppliedCluster(t.Namespace, t.Name)
		if t.live != nil && !t.live.Deleting {
			held = append(held, heldOf(d.options.Specs[t.Name]))
		}
	}
	if inGit {
		inside = append(d.pushRemoval(deletionSubject(going), going), d.waitApplied(d.planFiles))
	}
	for _, t := range going {
		if t.live != nil {
			inside = append(append(inside, d.provisionedDeletion(t)...), d.waitGone(t))
		}
	}
	return step.Sequence{d.paused(held, inside)}
}

// checkDestroyed takes a person's word that a management cluster is gone, of which only the rest in Git is to
// be removed, unless the cluster itself contradicts: Flux would delete its objects. An API server that
// answers, and does not let itself be looked at, contradicts, too.
func (d *deleteRun) checkDestroyed(ctx context.Context, found *findings) {
	d.lookAway()
	unseen := func(err error) {
		d.steps.Note(step.LevelWarning, fmt.Sprintf("management cluster %s is assumed to be gone because "+
			"of --from git; this could not be checked: %v", d.seen.ManagementCluster(), err))
	}
	cluster, err := d.ports.OpenCluster(ctx)
	if err != nil {
		unseen(err)
		return
	}
	state, err := cluster.Inspect(ctx,
		fluxinstall.InspectOptions{SystemNamespace: d.seen.Config().SystemNamespace})
	switch {
	case err != nil && facts.IsAccessError(err):
		found.addFinding(facts.AreaAccess.Finding(
			fmt.Sprintf("looking whether management cluster %s is gone: %v", d.seen.ManagementCluster(), err),
			joinedHints(facts.HintOf(err),
				"if it is gone anyway, move its kubeconfig away, and run the same command again")))
		return
	case err != nil:
		unseen(err)
		return
	}
	for _, c := range state.ManagementClusters() {
		if c.Name == d.seen.ManagementCluster() {
			found.addFinding(facts.AreaSpec.Finding(
				fmt.Sprintf("management cluster %s is still there, at %s: its files cannot go first, since "+
					"Flux would delete the cluster's objects", c.Name, state.Server),
				"delete it from both"))
		}
	}
}

// hintDestroyed says how to go on when a management cluster cannot be looked at because it is gone already.
func (d *deleteRun) hintDestroyed(found *findings) {
	if !d.destroys() {
		return
	}
	for i, f := range found.list {
		if f.Area == facts.AreaCluster {
			found.list[i].Hint = joinedHints(f.Hint, hintRest)
		}
	}
}

func joinedHints(first, second string) string {
	if first == "" {
		return second
	}
	return first + "; " + second
}

// checkDestroy makes sure that nothing depends on the management cluster, and that the provisioner can delete
// it.
func (d *deleteRun) checkDestroy(ctx context.Context, found *findings) error {
	if d.seen.Absent() && d.options.From != FromGit {
		err := d.findTitledKeys(ctx)
		d.checkGone(found)
		return err
	}
	var names []string
	for _, c := range d.seen.Cluster().Clusters {
		if c.Name != d.seen.ManagementCluster() && c.ManagementCluster == d.seen.ManagementCluster() {
			names = append(names, c.Name)
		}
	}
	if len(names) > 0 {
		found.addFinding(facts.AreaCluster.Finding(fmt.Sprintf(
			"%s there, which management cluster %s manages: %s",
			quantity(len(names), "workload cluster is", "workload clusters are"), d.seen.ManagementCluster(),
			strings.Join(names, ", ")), "first run: eksa-gitops delete cluster -f with their files"))
	}
	if names := d.workloadsInGit(); len(names) > 0 {
		hint := text.Command("first run: eksa-gitops delete cluster %s", names)
		if d.seen.Absent() {
			hint = "take their files out first, by hand: no cluster is left that would do it"
		}
		found.addFinding(facts.AreaSpec.Finding(fmt.Sprintf("%s still in Git: %s",
			quantity(len(names), "workload cluster is", "workload clusters are"), strings.Join(names, ", ")),
			hint))
	}
	if !d.seen.Absent() && !d.ports.Provisioner.HasKubeconfig(d.seen.ManagementCluster()) {
		found.addFinding(facts.AreaCluster.Finding(
			fmt.Sprintf("eksctl anywhere deletes a management cluster only with the kubeconfig that it "+
				"keeps below the working directory, and there is no %[1]s/%[1]s-eks-a-cluster.kubeconfig",
				d.seen.ManagementCluster()),
			"run the command in the directory from which the cluster was created, or put its "+
				"kubeconfig there"))
	}
	if d.seen.Absent() {
		return d.findTitledKeys(ctx)
	}
	return d.findDeployKeys(ctx)
}

// findTitledKeys finds the deploy keys of a cluster whose Secret is gone: those that only read and have the
// title that this program gives.
func (d *deleteRun) findTitledKeys(ctx context.Context) error {
	if d.open.host == nil || d.seen.Access() == nil || d.seen.Access().Repository == nil {
		return nil
	}
	keys, err := d.open.host.DeployKeys(ctx, d.seen.RepoRef())
	if err != nil {
		return fmt.Errorf("reading the deploy keys of %s: %w", d.seen.RepoRef(), err)
	}
	for _, key := range keys {
		if key.ReadOnly &&
			key.Title == deployKeyTitle(d.seen.ManagementCluster(), d.seen.Config().SystemNamespace) {
			d.attached.keys = append(d.attached.keys, key)
		}
	}
	return nil
}

// destroy deletes a management cluster and what is left of it in Git.
func (d *deleteRun) destroy() deletion {
	t := d.targets[0]
	there := t.live != nil || len(d.planned.Changes) > 0 || len(d.attached.keys) > 0 ||
		d.ports.Provisioner.HasKubeconfig(d.seen.ManagementCluster())
	if !there {
		return deletion{gone: d.usesCluster()}
	}
	return deletion{parts: d.destroyParts(t), asks: true, gone: d.usesCluster()}
}

func (d *deleteRun) runsFlux() bool {
	flux := &d.seen.Cluster().Flux
	return flux.GitRepository != nil || flux.Kustomization != nil || len(flux.Controllers) > 0
}

func (d *deleteRun) destroyParts(t *target) step.Sequence {
	var parts step.Sequence
	if t.live == nil {
		parts = step.Sequence{step.Silently(func(ctx context.Context) error { return d.forget(ctx, t) })}
	} else {
		if d.runsFlux() {
			parts = step.Sequence{d.stopFlux(false)}
		}
		parts = append(parts,
			step.OrElse{Steps: d.provisionedDeletion(t), Failed: func(_ context.Context, err error) error {
				return &hintedCause{err: err,
					hint: "Flux has stopped, and nothing has left Git; to keep the cluster instead, which " +
						"starts Flux again: eksa-gitops create cluster -f with its file"}
			}})
	}
	if !d.usesGit() {
		return parts
	}
	return slices.Concat(parts,
		d.pushRemoval("Delete management cluster "+d.seen.ManagementCluster(), d.targets),
		d.removeDeployKey())
}

// hintedCause adds the next action to an error.
type hintedCause struct {
	err  error
	hint string
}

func (e *hintedCause) Error() string { return e.err.Error() }
func (e *hintedCause) Unwrap() error { return e.err }
func (e *hintedCause) Hint() string  { return e.hint }

// checkSpecs makes sure that the provisioner gets a file for every cluster.
func (d *deleteRun) checkSpecs() error {
	if !d.hasProvisioner() {
		return nil
	}
	for _, c := range d.options.Clusters {
		if d.options.Specs[c.Name] == nil {
			return errors.New("deleting with a provisioner needs the file of cluster " + c.Name)
		}
	}
	return nil
}
