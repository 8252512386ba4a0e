package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// notCreated is the message of a workload cluster that Flux has not made.
const notCreated = "not created: Flux creates it from the commit, which could not be applied"

// notCreated says whether there is no use in waiting for a cluster: Flux makes workload clusters of the commit, which it has not got.
func (r *createRun) notCreated(c *clusterspec.Cluster) bool {
	if made := r.clusterResult(c.Name).Provision; made != nil && made.Done {
		return false
	}
	return c.Role() == clusterspec.RoleWorkload && r.gitOpsError != nil && !r.seen.cluster.HasCluster(c.Namespace, c.Name)
}

// waitClusters follows clusters until all are Ready. Its error names each that is not, with its cause.
func (r *createRun) waitClusters(ctx context.Context, clusters []*clusterspec.Cluster) error {
	if len(clusters) == 1 {
		return r.waitCluster(ctx, clusters[0])
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
	if len(awaited) > 0 {
		r.waitFleet(ctx, awaited, left)
	}
	if len(left.names) == 0 {
		return nil
	}
	return left
}

// waitFleet waits for several clusters at the same time, and records and adds up what is not Ready.
func (r *createRun) waitFleet(ctx context.Context, clusters []*clusterspec.Cluster, left *notReadyError) {
	step := Step(fmt.Sprintf("Wait for %d clusters to be Ready", len(clusters)))
	_ = r.steps.run(step, func() (Outcome, string, error) {
		names := make([]fluxinstall.ClusterName, len(clusters))
		for i, c := range clusters {
			names[i] = fluxinstall.ClusterName{Namespace: c.Namespace, Name: c.Name}
			r.steps.Part(step, Part{Name: c.Name, State: PartWaiting})
		}
		live, err := r.seen.ports.cluster.WaitClusters(ctx, names, func(c fluxinstall.LiveCluster) { r.steps.Part(step, partOf(&c)) })
		for i, c := range clusters {
			record := r.clusterResult(c.Name)
			if live == nil {
				left.unseen = true
				record.Message, record.Cause, record.Next = err.Error(), err.Error(), hintOf(err)
				left.add(c.Name, record.Cause)
				continue
			}
			now := &live[i]
			controlPlane, workers := machineStatus(now.ControlPlane), machineStatus(now.Workers)
			record.ControlPlane, record.Workers = &controlPlane, &workers
			if now.Problem == nil {
				record.Ready = true
				continue
			}
			record.Message, record.Cause, record.Next = now.Problem.Error(), now.Problem.Words(), now.Problem.Hint()
			left.add(c.Name, record.Cause)
			left.next = append(left.next, record.Next)
		}
		if err != nil {
			left.cause = errors.Join(left.cause, err)
		}
		return OutcomeChecked, "", err
	})
}

// waitCluster follows one cluster until it is Ready. A workload cluster is made by Flux from the commit, so without the commit there
// is nothing to wait for.
func (r *createRun) waitCluster(ctx context.Context, c *clusterspec.Cluster) error {
	record := r.clusterResult(c.Name)
	if r.notCreated(c) {
		record.Message = notCreated
		return &missingError{name: c.Name, err: r.gitOpsError}
	}
	if r.gitOpsError != nil && r.wasReady(ctx, c) {
		record.Ready = true
		return nil
	}
	step := Step(fmt.Sprintf("Wait for cluster %s to be Ready", c.Name))
	return r.steps.run(step, func() (Outcome, string, error) {
		err := r.seen.ports.cluster.WaitCluster(ctx, c.Namespace, c.Name, func(p fluxinstall.Progress) { r.steps.Progress(step, p.Message) })
		if err != nil {
			record.Message, record.Next = err.Error(), hintOf(err)
			return "", "", fmt.Errorf("waiting for cluster %s: %w", c.Name, err)
		}
		record.Ready = true
		return OutcomeChecked, "", nil
	})
}

// partOf is what a person is told of a cluster that is waited for.
func partOf(c *fluxinstall.LiveCluster) Part {
	switch {
	case c.Problem == nil:
		return Part{Name: c.Name, State: PartDone}
	case c.FailureMessage != "" || c.Paused || c.Deleting:
		return Part{Name: c.Name, State: PartFailing, Detail: c.Problem.Words()}
	default:
		return Part{Name: c.Name, State: PartWaiting, Detail: c.Problem.Words()}
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

// Hint is the next command, when it is the same for all or there is only one, and otherwise the one that tells of all.
func (e *notReadyError) Hint() string {
	if next := slices.Compact(slices.Clone(e.next)); len(next) == 1 && len(e.next) == len(e.names) {
		return next[0]
	}
	return "eksa-gitops status"
}

// Unwrap returns why the wait ended.
func (e *notReadyError) Unwrap() error { return e.cause }
