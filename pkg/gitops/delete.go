package gitops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// ClusterDeleter deletes clusters.
type ClusterDeleter interface {
	// DeleteCluster asks for the deletion of a Cluster object, on which EKS Anywhere deletes the cluster, and
	// says whether that was still to do.
	DeleteCluster(ctx context.Context, namespace, name string) (bool, error)
}

// From says from where clusters are deleted.
type From string

// The places. Deleting from both is one job as long as GitOps works: what leaves Git is deleted from the
// cluster by Flux. When it does not, each half can be done by itself.
const (
	// FromBoth takes the files out of Git and waits until the cluster is gone.
	FromBoth From = "both"
	// FromGit takes the files out of Git, does not look at the cluster, and waits for nothing.
	FromGit From = "git"
	// FromCluster deletes from the management cluster only, and does not look at Git.
	FromCluster From = "cluster"
)

// Doomed is a cluster to delete. Without a namespace it is the only one of its name.
type Doomed struct{ Namespace, Name string }

// DeleteOptions are what [Delete] works on.
type DeleteOptions struct {
	Settings
	// Clusters are workload clusters of one management cluster, or the management cluster alone.
	Clusters []Doomed
	// ManagementCluster is the name of the one that manages them.
	ManagementCluster string
	// GitOps is the configuration of the management cluster; nil when it has none.
	GitOps *clusterspec.GitOps
	// Specs are the files of Clusters, by name. They are needed with a provisioner, and of no use without
	// one.
	Specs map[string]*clusterspec.Cluster
	// From is FromBoth when empty.
	From From
	// Confirm is told what a run is about to delete, before the first write; its error ends the run. It is
	// not called when there is nothing to delete. Nil agrees to everything.
	Confirm func(ctx context.Context, plan *Result) error
}

// Delete deletes workload clusters: it takes their files out of Git in one commit, and waits until Flux has
// applied that and the Cluster objects are gone, finalizers included. Files of others stay. With a
// provisioner it is the provisioner that deletes the clusters, a management cluster with its machines, too.
// Without one, a management cluster it detaches from Git: Flux stops, then its and the cluster's files go,
// the deploy key and Flux itself; the cluster goes on running as it is.
//
// What is gone already is success. The Result is never nil. The errors are *PreflightError (nothing was
// written), *IncompleteError (run it again to continue), that of Confirm, those of a first write that failed,
// and the context's. Delete may be repeated.
func Delete(ctx context.Context, ports Ports, options DeleteOptions) (*Result, error) {
	options.From = cmp.Or(options.From, FromBoth)
	told := facts.Told{Config: orWithoutGit(options.GitOps), ManagementCluster: options.ManagementCluster}
	d := &deleteRun{run: newRun("delete cluster", ports, options.Settings, told), options: options}
	d.removes = true
	for _, c := range options.Clusters {
		role := clusterspec.RoleWorkload
		if c.Name == options.ManagementCluster {
			role = clusterspec.RoleManagement
			d.detaches, d.keepsFlux, d.purpose = true, true, fluxinstall.ForRemoving
		}
		d.result.Clusters = append(d.result.Clusters, ClusterResult{
			Name: c.Name, Namespace: c.Namespace, Role: role, ManagementCluster: options.ManagementCluster,
		})
	}
	d.unguarded = d.detaches || options.From == FromCluster || options.GitOps == nil
	err := crash.Guarded(func() error { return d.do(ctx) })
	if err != nil && !errors.As(err, new(*PreflightError)) {
		d.result.Failure = failureOf(d.steps.Failed, err)
	}
	return d.end(ctx, err)
}

// deleteRun is the state of one Delete.
type deleteRun struct {
	*run
	options  DeleteOptions
	detaches bool // it is about the management cluster

	removal  *files.Removal
	targets  []*target
	attached detachment
}

// target is one cluster as it was found.
type target struct {
	Doomed
	files bool                     // it has files in Git
	live  *fluxinstall.ClusterInfo // its object in the management cluster; nil without one
}

func (d *deleteRun) do(ctx context.Context) error {
	if found := d.checkOptions(); len(found) > 0 {
		return &PreflightError{Findings: found}
	}
	if err := d.checkSpecs(); err != nil {
		return err
	}
	if err := d.observe(ctx); err != nil {
		return err
	}
	d.describe(ctx)
	switch {
	case d.destroys():
		return d.carryOut(ctx, d.destroy())
	case d.detaches && d.options.GitOps == nil:
		d.steps.Note(step.LevelInfo, fmt.Sprintf("management cluster %s has no gitOpsRef: it is not "+
			"managed through Git; if its file has one, name the file with -f", d.seen.ManagementCluster()))
		d.result.Status = StatusDone
		return nil
	case d.detaches:
		return d.carryOut(ctx, d.detach())
	}
	return d.carryOut(ctx, d.deleteWorkloads())
}

// deletion is what a run is to do.
type deletion struct {
	parts step.Sequence // none when there is nothing to do
	// asks says that a person has to agree.
	asks bool
	// gone says that the clusters are, once the parts are done.
	gone bool
}

// carryOut plans a deletion, or has it agreed and does it.
func (d *deleteRun) carryOut(ctx context.Context, what deletion) error {
	if d.settings.DryRun {
		d.result.Status = StatusPlanned
		return d.steps.Perform(ctx, what.parts)
	}
	if what.asks {
		if err := d.confirm(ctx); err != nil {
			return err
		}
	}
	if d.result.Repository != nil {
		d.result.Repository.Files = []layout.FileChange{} // until they are pushed
	}
	if err := d.steps.Perform(ctx, what.parts); err != nil {
		return d.incomplete(ctx, err)
	}
	if what.gone {
		d.markGone(d.targets)
	}
	d.result.Status = StatusDone
	return nil
}

// defaultSystemNamespace is where Flux is when nothing says otherwise.
const defaultSystemNamespace = "flux-system"

// orWithoutGit is a configuration, or, without one, that of clusters of which nothing is in Git: Flux is
// looked for where it is by default.
func orWithoutGit(config *clusterspec.GitOps) *clusterspec.GitOps {
	if config == nil {
		return &clusterspec.GitOps{SystemNamespace: defaultSystemNamespace}
	}
	return config
}

// checkOptions finds what cannot be asked for.
func (d *deleteRun) checkOptions() []facts.Finding {
	var found []facts.Finding
	for _, c := range d.options.Clusters {
		if !clusterspec.IsClusterName(c.Name) {
			found = append(found, facts.AreaSpec.Finding(fmt.Sprintf("%q is not a cluster name", c.Name), ""))
		}
	}
	if d.detaches && len(d.options.Clusters) > 1 {
		found = append(found, facts.AreaSpec.Finding(
			fmt.Sprintf("%s manages the other clusters: it can only be detached from Git once they are gone",
				d.seen.ManagementCluster()),
			"delete the workload clusters first, then the management cluster by itself"))
	}
	if d.detaches && !d.hasProvisioner() && d.options.From == FromGit {
		found = append(found, facts.AreaSpec.Finding(fmt.Sprintf(
			"the files of management cluster %s cannot go first: Flux would delete the cluster's objects",
			d.seen.ManagementCluster()), "delete it from both, or only from the cluster"))
	}
	if d.options.GitOps == nil && d.options.From == FromGit {
		found = append(found, facts.AreaSpec.Finding(
			fmt.Sprintf("management cluster %s has no gitOpsRef, so its repository is not known",
				d.seen.ManagementCluster()),
			"name the cluster's file with -f"))
	}
	return found
}

// usesGit and usesCluster say which sides the run looks at.
func (d *deleteRun) usesGit() bool     { return d.options.From != FromCluster && d.options.GitOps != nil }
func (d *deleteRun) usesCluster() bool { return d.options.From != FromGit }

// observe looks at both sides and makes every check that reading can make.
func (d *deleteRun) observe(ctx context.Context) error {
	var found findings
	needs := demands{judge: d.checkState, orAbsent: d.destroys()}
	switch {
	case d.destroys() && d.options.From == FromGit:
		d.lookAtRepository(ctx, &found)
		d.checkDestroyed(ctx, &found)
	case d.usesGit() && d.usesCluster():
		if err := d.look(ctx, needs, &found); err != nil {
			return err
		}
	case d.usesGit():
		d.lookAtRepository(ctx, &found)
	default:
		d.lookAtCluster(ctx, needs, &found)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d.noteRenamed()
	if len(found.list) > 0 {
		d.hintDestroyed(&found)
		return found.refused()
	}
	if len(found.soft) > 0 {
		return &repositoryError{err: errors.Join(found.soft...), clusters: d.options.Clusters,
			detaches: d.detaches}
	}
	plan, err := d.planFiles(ctx, d.snapshot)
	if inTheWay := new(facts.FoundError); errors.As(err, &inTheWay) {
		return &PreflightError{Findings: inTheWay.Findings}
	}
	if err != nil {
		return err
	}
	d.planned = plan
	d.findTargets(&found)
	d.checkLostFiles(ctx, &found)
	if len(found.list) == 0 {
		switch {
		case d.destroys():
			err = d.checkDestroy(ctx, &found)
		case d.detaches:
			err = d.checkDetach(ctx, &found)
		default:
			d.checkTargets(&found)
		}
	}
	if err != nil {
		return err
	}
	d.checkConsequences(ctx, &found)
	d.checkRights(ctx, &found, d.intents()...)
	d.observePush(ctx, &found)
	if d.needsProvisioner() && len(found.list) == 0 {
		d.checkReadiness(ctx, &found)
	}
	if err := found.refused(); err != nil {
		return err
	}
	return errors.Join(found.soft...)
}

// namesOf are the names of clusters, as words of a command.
func namesOf(clusters []Doomed) []string {
	names := make([]string, 0, len(clusters))
	for _, c := range clusters {
		names = append(names, c.Name)
	}
	return names
}

// planFiles works out what goes from a snapshot.
func (d *deleteRun) planFiles(ctx context.Context, snapshot Snapshot) (*files.Plan, error) {
	r, err := files.NewRemoval(ctx, snapshot, d.seen.Config())
	if err != nil {
		return nil, err
	}
	d.removal = r
	if !d.usesGit() {
		return r.Finish(), nil
	}
	var names []string
	for _, c := range d.options.Clusters {
		names = append(names, c.Name)
	}
	if d.detaches {
		err = r.RemoveManagement(d.seen.ManagementCluster())
	} else {
		err = r.RemoveWorkloads(names)
	}
	if err == nil {
		err = files.CheckReadings(r.Plan, d.seen.Config().SystemNamespace)
	}
	return r.Finish(), err
}

// planRemoval is the planner of the push, for what others have pushed meanwhile.
func (d *deleteRun) planRemoval(ctx context.Context, snapshot Snapshot) (*files.Plan, error) {
	plan, err := d.planFiles(ctx, snapshot)
	if others := d.workloadsInGit(); d.detaches && len(others) > 0 {
		return nil, fmt.Errorf("somebody has pushed %s in the meantime", strings.Join(others, ", "))
	}
	return plan, err
}

// findTargets brings together what is known of each cluster.
func (d *deleteRun) findTargets(found *findings) {
	for i, c := range d.options.Clusters {
		t := &target{Doomed: c}
		record := &d.result.Clusters[i]
		paths := layout.PathsIn(d.seen.Config(), c.Name)
		for _, change := range d.planned.Changes {
			t.files = t.files || strings.HasPrefix(change.Path, paths.Cluster+"/")
		}
		t.files = t.files || len(d.removal.Dependents[c.Name]) > 0
		t.Namespace = cmp.Or(t.Namespace, d.removal.Namespaces[c.Name])
		if state := d.seen.Cluster(); state != nil {
			var in []string
			for j, live := range state.Clusters {
				if live.Name == c.Name && (t.Namespace == "" || t.Namespace == live.Namespace) {
					t.live = &state.Clusters[j]
					in = append(in, live.Namespace)
				}
			}
			if len(in) > 1 {
				found.addFinding(facts.AreaSpec.Finding(
					fmt.Sprintf("there is a cluster %s in each of the namespaces %s",
						c.Name, strings.Join(in, ", ")),
					"name the cluster's file with -f, which says which one is meant"))
			}
		}
		if t.live != nil {
			t.Namespace, record.KubernetesVersion = t.live.Namespace, t.live.KubernetesVersion
		}
		if t.files && !d.removal.IsDependentsOnly(c.Name) {
			record.SpecPath = paths.Spec
		}
		t.Namespace = cmp.Or(t.Namespace, "default")
		record.Namespace = t.Namespace
		d.targets = append(d.targets, t)
	}
}

// there says whether anything of the target is left on the sides that the run is about.
func (t *target) there() bool { return t.files || t.live != nil }

// leaving says whether the cluster's deletion is under way and needs nothing but time.
func (t *target) leaving() bool { return !t.files && t.live != nil && t.live.Deleting }

// describe puts what is about to go into the result.
func (d *deleteRun) describe(ctx context.Context) {
	d.describeProvisioning(ctx)
	if d.usesGit() {
		d.startRepositoryResult()
		d.result.Repository.Files = d.planned.Changes
		if d.snapshot != nil && d.snapshot.State() == git.BranchExists {
			d.result.Repository.Commit = d.snapshot.Head()
		}
	}
	var dirs []string
	for _, t := range d.targets {
		record := d.clusterResult(t.Name)
		switch {
		case d.destroys():
			if t.live != nil {
				record.Objects = []string{fmt.Sprintf("Cluster %s/%s", t.Namespace, t.Name)}
			}
		case d.detaches:
			// The cluster's own objects stay; Flux's go.
			for _, o := range d.attached.resources.Objects {
				record.Objects = append(record.Objects, o.String())
			}
		case len(d.removal.Objects[t.Name]) > 0:
			record.Objects = d.removal.Objects[t.Name]
		case t.live != nil:
			record.Objects = []string{fmt.Sprintf("Cluster %s/%s", t.Namespace, t.Name)}
		}
		if !d.detaches {
			record.Objects = append(record.Objects, d.removal.Dependents[t.Name]...)
		}
		if t.files {
			dirs = append(dirs, layout.PathsIn(d.seen.Config(), t.Name).Cluster)
		}
	}
	if d.detaches && len(d.planned.Changes) > 0 {
		dirs = append(dirs, layout.SystemDir(d.seen.Config()))
	}
	d.result.Kept = d.removal.Kept(dirs...)
}

// confirm asks, if there is somebody to ask.
func (d *deleteRun) confirm(ctx context.Context) error {
	if d.options.Confirm == nil {
		return nil
	}
	if err := d.options.Confirm(ctx, &d.result); err != nil {
		return err
	}
	return ctx.Err()
}

func stepDeleteCluster(name string) step.Name {
	return step.Name(fmt.Sprintf("Delete cluster %s", name))
}
func stepWaitGone(name string) step.Name {
	return step.Name(fmt.Sprintf("Wait until cluster %s is gone", name))
}

// parts take the files out of Git, in one commit, and follow the clusters until they are gone.
func (d *deleteRun) parts(going []*target) step.Sequence {
	if d.hasProvisioner() && d.options.From == FromBoth {
		return d.provisionedParts(going)
	}
	var parts step.Sequence
	if d.usesGit() {
		parts = d.pushRemoval(deletionSubject(going), going)
	}
	switch d.options.From {
	case FromGit:
		return parts
	case FromCluster:
		for _, t := range going {
			if d.hasProvisioner() {
				parts = append(parts, d.provisionedDeletion(t)...)
			} else {
				parts = append(parts, d.deleteObject(t))
			}
		}
	default:
		if slices.ContainsFunc(going, func(t *target) bool { return !t.leaving() }) {
			parts = append(parts, d.waitApplied(d.planFiles))
		}
	}
	var waits step.Each
	for _, t := range going {
		if t.live != nil || d.options.From != FromCluster {
			waits = append(waits, d.waitGone(t))
		}
	}
	return append(parts, waits)
}

// pushRemoval takes the files out of Git.
func (d *deleteRun) pushRemoval(subject string, going []*target) step.Sequence {
	if d.snapshot == nil || d.snapshot.State() != git.BranchExists {
		return nil // there is no branch, and so no file
	}
	names := make([]string, 0, len(going))
	for _, t := range going {
		names = append(names, t.Name)
	}
	message := d.commitMessage(subject, names)
	return step.Sequence{d.push(commitWork{plan: d.planRemoval, message: func() string { return message }})}
}

func deletionSubject(going []*target) string {
	if len(going) == 1 {
		return "Delete cluster " + going[0].Name
	}
	return fmt.Sprintf("Delete %d clusters", len(going))
}
