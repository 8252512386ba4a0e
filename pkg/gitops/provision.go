package gitops

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// ClusterHolder keeps Flux off a cluster's objects while a provisioner changes them past Git, and EKS
// Anywhere off a cluster.
type ClusterHolder interface {
	// Hold keeps Flux off objects, in their order, and notes in the cluster what it took off. After an error,
	// Release takes back what was done.
	Hold(ctx context.Context, request fluxinstall.HoldRequest) (fluxinstall.Held, error)
	// Release takes back what Hold did, in this run or an earlier one, and says whether anything was to do.
	Release(ctx context.Context, namespace, cluster string, objects []fluxinstall.ObjectName) (bool, error)
	// AdoptGitOps gives a workload cluster that was made without it its GitOps configuration, and says
	// whether anything was to do.
	AdoptGitOps(ctx context.Context, namespace, name string, config map[string]any) (bool, error)
	// SetPaused has EKS Anywhere leave an object alone, or not any more, and says whether that was still to
	// do. An object that does not exist is left so.
	SetPaused(ctx context.Context, object fluxinstall.ObjectName, paused bool) (bool, error)
}

// KubeconfigReader reads how clusters are reached that EKS Anywhere has made.
type KubeconfigReader interface {
	// Kubeconfig is that of a cluster; a *fluxinstall.KubeconfigNotFoundError where there is none (yet).
	Kubeconfig(ctx context.Context, name string) (secret.Value, error)
}

// Verb is what a provisioner is asked to do.
type Verb string

// The verbs.
const (
	VerbCreate  Verb = "create"
	VerbUpgrade Verb = "upgrade"
	VerbDelete  Verb = "delete"
)

// ProvisionJob is one piece of work for a provisioner.
type ProvisionJob struct {
	Verb    Verb
	Cluster string // its name
	// ManagementCluster is the name of the cluster that manages it; its own for a management cluster.
	ManagementCluster string
	// Spec is the cluster's file without its GitOps part.
	Spec []byte
	// Kubeconfig is the cluster's own, for a provisioner that needs it and does not find it where it keeps
	// it. It may be empty.
	Kubeconfig secret.Value
}

// Provisioner makes, changes and deletes clusters, machines included.
type Provisioner interface {
	// Check makes sure that the provisioner can work here, and says which version it is, if that is known. It
	// changes nothing.
	Check(ctx context.Context) (version string, err error)
	// CheckLog makes sure that the log of a job on a cluster could be kept. It writes nothing.
	CheckLog(cluster string) error
	// Command is the command line of a job, for people to read. It holds no secret.
	Command(job ProvisionJob) string
	// Run does a job to its end, and returns the file with all that was printed, if there is one. When ctx
	// ends, the job is asked to end as well, and Run returns when it has; the error is then the context's,
	// too. While Run runs, interrupts do not end the process.
	Run(ctx context.Context, job ProvisionJob) (log string, err error)
	ProvisionerRecord
}

// ProvisionerRecord is what a provisioner keeps here of the clusters that it has made.
type ProvisionerRecord interface {
	// HasKubeconfig says whether the provisioner keeps a kubeconfig of a cluster here: it made the cluster,
	// or began to.
	HasKubeconfig(cluster string) bool
	// HasDeleted says whether the provisioner's own record here ends with the deletion of a cluster.
	HasDeleted(cluster string) bool
	// Forget removes the kubeconfig that HasKubeconfig tells of, and says whether there was one. It may be
	// repeated.
	Forget(cluster string) (bool, error)
}

// hasProvisioner says whether clusters are made by this run.
func (r *run) hasProvisioner() bool { return r.ports.Provisioner != nil }

func stepProvision(verb Verb, cluster string) step.Name {
	words := map[Verb]string{VerbCreate: "Create", VerbUpgrade: "Upgrade", VerbDelete: "Delete"}
	return step.Name(fmt.Sprintf("%s cluster %s with eksctl anywhere", words[verb], cluster))
}

// runProvisioner does one job in a step of its own and notes it in the result.
func (r *run) runProvisioner(job ProvisionJob) step.Action {
	record := &ProvisionResult{Verb: job.Verb, Command: r.ports.Provisioner.Command(job)}
	r.clusterResult(job.Cluster).Provision = record
	return step.Action{
		Name: stepProvision(job.Verb, job.Cluster),
		Plan: step.Planned(step.Changed(record.Command)),
		Apply: func(ctx context.Context) (step.Effect, error) {
			log, err := r.ports.Provisioner.Run(ctx, job)
			record.Log = log
			if err != nil {
				return step.Effect{}, err
			}
			record.Done = true
			return step.Changed("log in " + log), nil
		},
	}
}

// checkReadiness makes sure that the provisioner can work, when there is work for it, and says which version
// it is.
func (r *run) checkReadiness(ctx context.Context, found *findings) string {
	for _, c := range r.result.Clusters {
		if err := r.ports.Provisioner.CheckLog(c.Name); err != nil {
			found.addLocal(fmt.Errorf("the log of eksctl anywhere cannot be kept: %w", err))
		}
	}
	const name step.Name = "Check eksctl anywhere"
	r.steps.Begin(name)
	version, err := r.ports.Provisioner.Check(ctx)
	if err != nil {
		r.steps.End(name, step.OutcomeFailed, "")
		found.add(facts.AreaCluster, fmt.Errorf("--provisioner eksctl: %w", err))
		return ""
	}
	r.steps.End(name, step.OutcomeChecked, version)
	return version
}

// heldCluster is a cluster whose objects Flux is to leave alone.
type heldCluster struct {
	namespace, name string
	objects         []fluxinstall.ObjectName
}

// heldOf names what belongs to a cluster of a file: all its objects but the GitOps configuration, which
// nobody changes.
func heldOf(c *clusterspec.Cluster) heldCluster {
	held := heldCluster{namespace: c.Namespace, name: c.Name}
	for _, o := range c.Objects {
		if o.Kind != "FluxConfig" && o.Kind != "GitOpsConfig" {
			held.objects = append(held.objects,
				fluxinstall.ObjectName{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name})
		}
	}
	return held
}

// StillPausedError says that Flux is still kept from objects, and how that is ended.
type StillPausedError struct {
	Cluster string
	Objects []string // kind namespace/name
	Undo    []string // the commands that end it by hand
	Err     error    // why the run could not
}

func (e *StillPausedError) Error() string {
	return fmt.Sprintf("Flux is still paused on %s of cluster %s, which could not be taken back: %v",
		strings.Join(e.Objects, ", "), e.Cluster, e.Err)
}

func (e *StillPausedError) Unwrap() error { return e.Err }

// Hint gives both ways out.
func (e *StillPausedError) Hint() string {
	return "the same command, run again, takes it back; by hand: " + strings.Join(e.Undo, "; ")
}

// paused is parts during which Flux leaves the clusters' objects alone, so that it does not bring them back
// to what Git says. The pause is taken back whatever happens, and what an earlier run has left paused with
// it. The error is that of the parts, joined with a *StillPausedError for every cluster for which that was
// impossible.
func (r *run) paused(clusters []heldCluster, inside step.Steps) step.Steps {
	b := step.Bracket{Inside: inside}
	for _, c := range clusters {
		var held fluxinstall.Held
		b.Openings = append(b.Openings, r.hold(c, &held))
		b.Closings = append(b.Closings,
			step.OrElse{Steps: r.release(c), Failed: func(_ context.Context, err error) error {
				left := &StillPausedError{Cluster: c.name, Objects: held.Objects, Undo: held.Undo, Err: err}
				if len(left.Objects) == 0 {
					left.Objects = []string{"objects"}
				}
				return left
			}})
	}
	return b
}

// hold keeps Flux from a cluster's objects, and tells held of it.
func (r *run) hold(c heldCluster, held *fluxinstall.Held) step.Action {
	return step.Action{
		Name: step.Name("Pause Flux on cluster " + c.name),
		Plan: step.Planned(step.Changed("")),
		Apply: func(ctx context.Context) (_ step.Effect, err error) {
			*held, err = r.open.cluster.Hold(ctx, fluxinstall.HoldRequest{
				Namespace: c.namespace, Cluster: c.name, Objects: c.objects, By: r.settings.Operator,
				Now: time.Now(),
			})
			if err != nil {
				return step.Effect{}, fmt.Errorf("pausing Flux on cluster %s: %w", c.name, err)
			}
			for _, pause := range held.Earlier {
				r.steps.Note(step.LevelInfo,
					fmt.Sprintf("%s: %s, left by an earlier run; it is taken back with this run's",
						pause.Object, pause.Describe()))
			}
			for _, pause := range held.Foreign {
				r.steps.Note(step.LevelWarning,
					fmt.Sprintf("%s: %s; that was set by somebody else and stays; it ends with: %s",
						pause.Object, pause.Describe(), pause.Resume))
			}
			return step.Written(held.Changed, countObjects(len(held.Objects))), nil
		},
	}
}

// release has Flux go on with a cluster's objects.
func (r *run) release(c heldCluster) step.Action {
	return step.Action{
		Name: step.Name("Resume Flux on cluster " + c.name),
		Plan: step.Planned(step.Changed("")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			changed, err := r.open.cluster.Release(ctx, c.namespace, c.name, c.objects)
			return step.Written(changed, ""), err
		},
	}
}

func countObjects(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

// takeBack releases what a run that is over has left held of the clusters, and looks at the management
// cluster again. A dry run goes on with what it would see then.
func (r *clustersRun) takeBack(ctx context.Context, needs demands, found *findings) error {
	if r.seen.Cluster() == nil {
		return nil
	}
	state := r.seen.Cluster()
	for _, c := range r.managed {
		live := state.Cluster(c.Namespace, c.Name)
		if live == nil || live.Held == nil {
			continue
		}
		left := fmt.Sprintf("cluster %s: %s: a run was broken off and has left that",
			c.Name, live.Held.Describe())
		r.steps.Note(step.LevelWarning, left+"; it is taken back")
		if err := r.steps.Perform(ctx, r.release(heldOf(c))); err != nil {
			return fmt.Errorf("taking back the pause of Flux on cluster %s: %w", c.Name, err)
		}
		if r.settings.DryRun {
			state, r.asReleased = state.Released(c.Namespace, c.Name), true
			continue
		}
		r.released = append(r.released, c.Name)
	}
	switch {
	case r.asReleased:
		r.lookReleased(state)
	case len(r.released) > 0:
		r.lookAtCluster(ctx, needs, found)
	}
	return nil
}

// ownKubeconfig is a workload cluster's, for a provisioner that has none of it; empty when there is none yet.
func (r *run) ownKubeconfig(ctx context.Context, name string) secret.Value {
	if name == r.seen.ManagementCluster() || r.ports.Provisioner.HasKubeconfig(name) {
		return secret.Value{}
	}
	// Without it the provisioner says what it needs.
	own, _ := r.open.cluster.Kubeconfig(ctx, name)
	return own
}
