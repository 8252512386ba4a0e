package fluxinstall

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
)

// ClusterName names a Cluster object.
type ClusterName struct{ Namespace, Name string }

// Changes of a fleet come in showers: each look reads all clusters, so there is a pause between two.
const (
	fleetPause = 500 * time.Millisecond
	// lastLook bounds the reading of machine counts when the wait is over, and perhaps its time limit as
	// well.
	lastLook = 5 * time.Second
)

// WaitClusters waits until all clusters are Ready, each as [Cluster.WaitCluster] judges it. However many
// there are, one watch follows them and one request reads them. changed, which may be nil, is told of a
// cluster at the first look and whenever what keeps it from being Ready is another thing.
//
// The result has the clusters in the order of names, as they were seen last, machine counts included; a
// cluster without a Problem is Ready. It is nil when no look succeeded. The error is nil when all are Ready;
// at a time limit it is the context's, and the Problems say the rest, or an *UnreachableError when the API
// server does not answer by then. A cluster that was there and that somebody deletes is waited for no longer;
// when the others are Ready, the error is its *NotReadyError.
func (c *Cluster) WaitClusters(ctx context.Context, names []ClusterName,
	changed func(LiveCluster)) ([]LiveCluster, error) {
	namespace := ""
	if !slices.ContainsFunc(names, func(n ClusterName) bool { return n.Namespace != names[0].Namespace }) {
		namespace = names[0].Namespace
	}
	var fleet []LiveCluster
	told, lives := make([]string, len(names)), make([]lifetime, len(names))
	var deleted *NotReadyError // the first one
	err := c.until(ctx, []watched{{clusterKind(), namespace, ""}}, func() (bool, error) {
		if fleet != nil && sleep.For(ctx, fleetPause) != nil {
			return false, ctx.Err()
		}
		objects, err := c.fetchAll(ctx, clusterKind(), namespace)
		if err != nil {
			return false, err
		}
		fleet = liveClusters(objects, names)
		deleted = nil
		settled := true
		for i, live := range fleet {
			if lives[i].ends(!live.Created.IsZero() && !live.Deleting) {
				live.Problem = deletedMeanwhile(live.Namespace, live.Name)
				fleet[i].Problem = live.Problem
				deleted = cmp.Or(deleted, live.Problem)
			}
			text := "Ready"
			if live.Problem != nil {
				settled, text = settled && live.Problem.final, live.Problem.Error()
			}
			if text != told[i] && changed != nil {
				changed(live)
			}
			told[i] = text
		}
		return settled, nil
	})
	if errors.Is(ctx.Err(), context.Canceled) {
		return fleet, err
	}
	for _, live := range fleet {
		if live.Problem != nil && !live.Problem.final {
			live.Problem.Err = err
		}
	}
	c.countFleet(ctx, fleet)
	if err == nil && deleted != nil {
		return fleet, deleted
	}
	return fleet, err
}

// liveClusters finds the named clusters among objects, in the order of names. One that is not there has a
// Problem that says so.
func liveClusters(objects []unstructured.Unstructured, names []ClusterName) []LiveCluster {
	byName := make(map[ClusterName]*unstructured.Unstructured, len(objects))
	for i := range objects {
		byName[ClusterName{objects[i].GetNamespace(), objects[i].GetName()}] = &objects[i]
	}
	fleet := make([]LiveCluster, len(names))
	for i, name := range names {
		object := byName[name]
		if object == nil {
			fleet[i] = LiveCluster{
				ClusterInfo: ClusterInfo{Namespace: name.Namespace, Name: name.Name},
				Problem:     clusterProblem(nil, name.Namespace, name.Name),
			}
			continue
		}
		fleet[i] = liveCluster(object, clusterInfo(object))
	}
	return fleet
}

// countFleet adds what is known of the clusters' machines. Without the right to read those of Cluster API,
// and without an answer, the conditions of the clusters have to do.
func (c *Cluster) countFleet(ctx context.Context, fleet []LiveCluster) {
	if len(fleet) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	var planes, groups []unstructured.Unstructured
	_ = together(
		func() (err error) { planes, err = c.listNewest(ctx, controlPlaneKind); return err },
		func() (err error) { groups, err = c.listNewest(ctx, machinesKind); return err },
	)
	byPlane, byGroup := machinesByCluster(planes), machinesByCluster(groups)
	for i := range fleet {
		live := &fleet[i]
		live.ControlPlane = countMachines(live.ControlPlane, byPlane[live.Name],
			live.condition("ControlPlaneReady"))
		live.Workers = countMachines(live.Workers, byGroup[live.Name], live.condition("WorkersReady"))
	}
}

func (l *LiveCluster) condition(kind string) Condition {
	for _, c := range l.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}
