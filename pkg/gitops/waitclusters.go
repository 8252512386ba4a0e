package gitops

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// ClusterWaiter waits, and writes nothing. A time limit of the context ends a wait with a
// *fluxinstall.NotReadyError that has the cause, and so does what no time can help.
type ClusterWaiter interface {
	// WaitSynced waits until Flux has fetched and applied a commit and is well.
	WaitSynced(ctx context.Context, wait fluxinstall.SyncWait, progress func(fluxinstall.Progress)) error
	// WaitRolledOver waits until Flux's controllers run the wanted images and have worked.
	WaitRolledOver(ctx context.Context, wait fluxinstall.Rollover, progress func(fluxinstall.Progress)) error
	// WaitCluster waits until a cluster is Ready. One that is not there yet is waited for, one that is
	// deleted meanwhile is not.
	WaitCluster(ctx context.Context, namespace, name string, progress func(fluxinstall.Progress)) error
	// WaitClusters waits until all are Ready and tells of each that changes. The result is in the order of
	// names, also beside an error, and nil when no look succeeded; at a time limit the error is the
	// context's.
	WaitClusters(ctx context.Context, names []fluxinstall.ClusterName,
		changed func(fluxinstall.LiveCluster)) ([]fluxinstall.LiveCluster, error)
	// WaitGone waits until a Cluster object is gone, its finalizers included.
	WaitGone(ctx context.Context, namespace, name string, progress func(fluxinstall.Progress)) error
}

// notCreated is the message of a workload cluster that Flux has not made.
const notCreated = "not created: Flux creates it from the commit, which could not be applied"

// notCreated says whether there is no use in waiting for a cluster: Flux makes workload clusters of the
// commit, which it has not got.
func (r *clustersRun) notCreated(c *clusterspec.Cluster) bool {
	if made := r.clusterResult(c.Name).Provision; made != nil && made.Done {
		return false
	}
	return c.Role() == clusterspec.RoleWorkload && r.gitOpsError != nil &&
		!r.seen.Cluster().HasCluster(c.Namespace, c.Name)
}

// awaitClusters follows clusters until all are Ready. Why not every one was seen to be is r.notReady
// afterwards, which names each that is not, with its cause; that ends no run.
func (r *clustersRun) awaitClusters(ctx context.Context, clusters []*clusterspec.Cluster) step.Sequence {
	if len(clusters) == 1 {
		return r.awaitCluster(ctx, clusters[0])
	}
	left := &notReadyError{of: len(clusters)}
	var awaited []*clusterspec.Cluster
	for _, c := range clusters {
		record := r.clusterResult(c.Name)
		if r.gitOpsError != nil && r.wasReady(ctx, c) {
			record.Ready = true
			continue
		}
		if !r.notCreated(c) {
			awaited = append(awaited, c)
			continue
		}
		record.Message, record.Cause = notCreated, notCreated
		left.add(c.Name, notCreated)
	}
	var parts step.Sequence
	if len(awaited) > 0 {
		parts = step.Sequence{r.unlessReady(r.awaitFleet(awaited, left))}
	}
	return append(parts, step.Telling(func() {
		if len(left.names) > 0 {
			r.notReady = left
		}
	}))
}

// unlessReady is a wait whose failure is no reason not to go on.
func (r *clustersRun) unlessReady(wait step.Action) step.Steps {
	failed := r.steps.Failed
	return step.OrElse{Steps: wait, Failed: func(_ context.Context, err error) error {
		if r.settings.DryRun {
			return err
		}
		r.steps.Failed, r.notReady = failed, err
		return nil
	}}
}

// seenReady says of clusters whether the run has seen all of them Ready and leaves them as they are.
func (r *clustersRun) seenReady(clusters []*clusterspec.Cluster) bool {
	return !slices.ContainsFunc(clusters, func(c *clusterspec.Cluster) bool {
		live := r.seen.Cluster().Cluster(c.Namespace, c.Name)
		return live == nil || !live.Ready
	}) && r.planned != nil && r.appliedInPlace()
}

// awaitFleet waits for several clusters at the same time, and records and adds up what is not Ready.
func (r *clustersRun) awaitFleet(clusters []*clusterspec.Cluster, left *notReadyError) step.Action {
	name := step.Name(fmt.Sprintf("Wait for %d clusters to be Ready", len(clusters)))
	return step.Action{
		Name: name,
		Plan: func(context.Context) (step.Effect, error) { return step.Waited(r.seenReady(clusters)), nil },
		Apply: func(ctx context.Context) (step.Effect, error) {
			names := make([]fluxinstall.ClusterName, len(clusters))
			for i, c := range clusters {
				names[i] = fluxinstall.ClusterName{Namespace: c.Namespace, Name: c.Name}
				r.steps.Part(name, step.Part{Name: c.Name, State: step.PartWaiting})
			}
			live, err := r.open.cluster.WaitClusters(ctx, names, func(c fluxinstall.LiveCluster) {
				r.steps.Part(name, partOf(&c))
			})
			for i, c := range clusters {
				record := r.clusterResult(c.Name)
				if live == nil {
					left.unseen = true
					record.Message, record.Cause, record.Next = err.Error(), err.Error(), facts.HintOf(err)
					left.add(c.Name, record.Cause)
					continue
				}
				now := &live[i]
				controlPlane, workers := facts.MachineStatusOf(now.ControlPlane),
					facts.MachineStatusOf(now.Workers)
				record.ControlPlane, record.Workers = &controlPlane, &workers
				if now.Problem == nil {
					record.Ready = true
					continue
				}
				record.Message, record.Cause, record.Next = now.Problem.Error(), now.Problem.Words(),
					now.Problem.Hint().String()
				left.add(c.Name, record.Cause)
				left.next = append(left.next, record.Next)
			}
			left.cause = err
			return step.Checked(), err
		},
	}
}

// awaitCluster follows one cluster until it is Ready. A workload cluster is made by Flux from the commit, so
// without the commit there is nothing to wait for.
func (r *clustersRun) awaitCluster(ctx context.Context, c *clusterspec.Cluster) step.Sequence {
	record := r.clusterResult(c.Name)
	switch {
	case r.notCreated(c):
		record.Message = notCreated
		r.notReady = &missingError{name: c.Name, err: r.gitOpsError}
		return nil
	case r.gitOpsError != nil && r.wasReady(ctx, c):
		record.Ready = true
		return nil
	}
	name := step.Name(fmt.Sprintf("Wait for cluster %s to be Ready", c.Name))
	return step.Sequence{r.unlessReady(step.Action{
		Name: name,
		Plan: func(context.Context) (step.Effect, error) {
			return step.Waited(r.seenReady([]*clusterspec.Cluster{c})), nil
		},
		Apply: func(ctx context.Context) (step.Effect, error) {
			err := r.open.cluster.WaitCluster(ctx, c.Namespace, c.Name, r.progressOf(name))
			if err != nil {
				record.Message, record.Next = err.Error(), facts.HintOf(err)
				return step.Effect{}, fmt.Errorf("waiting for cluster %s: %w", c.Name, err)
			}
			record.Ready = true
			return step.Checked(), nil
		},
	})}
}

// partOf is what a person is told of a cluster that is waited for.
func partOf(c *fluxinstall.LiveCluster) step.Part {
	switch {
	case c.Problem == nil:
		return step.Part{Name: c.Name, State: step.PartDone}
	case c.FailureMessage != "" || c.Paused || c.Deleting:
		return step.Part{Name: c.Name, State: step.PartFailing, Detail: c.Problem.Words()}
	default:
		return step.Part{Name: c.Name, State: step.PartWaiting, Detail: c.Problem.Words()}
	}
}

// mostNamed is how many clusters an error tells of one by one.
const mostNamed = 10

// notReadyError says which of several clusters are not Ready, and why.
type notReadyError struct {
	of     int // how many there are
	names  []string
	causes []string
	next   []string
	cause  error // why the wait ended
	unseen bool  // those that were waited for were never seen
}

func (e *notReadyError) add(name, cause string) {
	e.names, e.causes = append(e.names, name), append(e.causes, cause)
}

// Error tells of the clusters one by one, each on a line of its own; of many, only the first ones.
func (e *notReadyError) Error() string {
	lines := []string{fmt.Sprintf("%d of %d are not", len(e.names), e.of)}
	for i, name := range e.names {
		if i == mostNamed && len(e.names) > mostNamed+1 {
			lines = append(lines, fmt.Sprintf("  and %d more", len(e.names)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("  %s: %s", name, e.causes[i]))
	}
	return strings.Join(lines, "\n")
}

// Hint is the next command, when it is the same for all or there is only one, and otherwise the one that
// tells of all.
func (e *notReadyError) Hint() string {
	if next := slices.Compact(slices.Clone(e.next)); len(next) == 1 && len(e.next) == len(e.names) {
		return next[0]
	}
	return "eksa-gitops status"
}

// Unwrap returns why the wait ended.
func (e *notReadyError) Unwrap() error { return e.cause }
