package fluxinstall

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// WaitCluster waits until an EKS Anywhere Cluster is Ready for its current generation. An object that is not
// there yet is waited for: Flux has not applied it. One that was there and that somebody deletes ends the
// wait at once. Progress, which may be nil, is told when it changes. A time limit gives a *NotReadyError with
// the cluster's own words, and so does a deletion; an API server that does not answer by then is an
// *UnreachableError.
func (c *Cluster) WaitCluster(ctx context.Context, namespace, name string, progress func(Progress)) error {
	s := &story{progress: progress}
	var life lifetime
	err := c.until(ctx, []watched{{clusterKind(), namespace, name}}, func() (bool, error) {
		object, err := c.fetch(ctx, clusterKind(), namespace, name)
		if err != nil {
			return false, err
		}
		if life.ends(object != nil && object.GetDeletionTimestamp() == nil) {
			return false, deletedMeanwhile(namespace, name)
		}
		problem := clusterProblem(object, namespace, name)
		if problem == nil {
			return true, nil
		}
		s.notYet(problem)
		return false, nil
	})
	return s.explain(ctx, err)
}

// lifetime follows an object from look to look.
type lifetime struct{ alive bool }

// ends says whether an object that was seen alive, which is there and not being deleted, is so no longer. One
// whose deletion had begun before it was looked at for the first time may be made anew.
func (l *lifetime) ends(alive bool) bool {
	l.alive = l.alive || alive
	return l.alive && !alive
}

// deletedMeanwhile is the problem of a Cluster whose lifetime ended.
func deletedMeanwhile(namespace, name string) *NotReadyError {
	return &NotReadyError{
		Object: fmt.Sprintf("Cluster %s/%s", namespace, name), State: "was deleted",
		Message: "somebody else did that while this run waited for it", Next: hint.ShowStatus.Hint(),
		final: true,
	}
}

// clusterProblem is what keeps a Cluster from being Ready, or nil. Conditions count only when they speak of
// the current generation, and only without a failure message (EKS Anywhere's own wait judges the same way,
// pkg/cluster/wait.go).
func clusterProblem(object *unstructured.Unstructured, namespace, name string) *NotReadyError {
	problem := &NotReadyError{
		Object: fmt.Sprintf("Cluster %s/%s", namespace, name),
		Next:   hint.Command("kubectl -n %s get clusters.%s %s -o yaml", namespace, eksaGroup, name),
	}
	if object == nil {
		problem.Message = "Flux has not created it yet"
		problem.Next = hint.ShowStatus.Hint()
		return problem
	}
	failure, ready := text(object, "status", "failureMessage"), conditionOf(object, "Ready")
	switch {
	case object.GetDeletionTimestamp() != nil:
		problem.Message = "it is being deleted"
	case failure != "":
		problem.Reason, problem.Message = text(object, "status", "failureReason"), failure
		problem.explained(failure)
	case observed(object) && ready.Status == "True":
		return nil
	case isPaused(object):
		problem.Reason, problem.Message = "Paused",
			"it carries the annotation "+pausedAnnotation+", so that EKS Anywhere does not work on it"
		problem.Next = hint.Run{Do: hint.Resume, Clusters: []string{name}}.Hint()
	case !observed(object):
		problem.Message = "EKS Anywhere has not looked at its current state yet"
		problem.Next = hint.Command("kubectl -n %s logs deployment/eksa-controller-manager --tail 20",
			eksaNamespace)
	default:
		problem.Reason = ready.Reason
		problem.Message = cmp.Or(openConditions(object), ready.Message, "it has no conditions yet")
		if strings.HasSuffix(ready.Reason, "InProgress") || strings.HasPrefix(ready.Reason, "Scaling") {
			problem.Cause = "EKS Anywhere is at work on its machines, which takes minutes"
		} else {
			problem.explained(problem.Message)
		}
	}
	return problem
}

// openConditions describes the conditions that are not met, apart from the one that sums them up.
func openConditions(object *unstructured.Unstructured) string {
	var open []string
	for _, c := range conditions(object) {
		// That reason says that the user's own CNI stays; EKS Anywhere leaves the condition out of Ready
		// then.
		if c.Type == "Ready" || c.Status == "True" || c.Reason == "SkipUpgradesForDefaultCNIConfigured" {
			continue
		}
		text := c.Type
		if c.Reason != "" {
			text += " (" + c.Reason + ")"
		}
		if c.Message != "" {
			text += ": " + c.Message
		}
		open = append(open, text)
	}
	return strings.Join(open, "; ")
}
