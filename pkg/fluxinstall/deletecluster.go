package fluxinstall

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// DeleteCluster asks for the deletion of a Cluster object, on which EKS Anywhere deletes the cluster, and
// says whether that was still to do. It may be repeated. What a webhook is against is a *RefusedError.
func (c *Cluster) DeleteCluster(ctx context.Context, namespace, name string) (changed bool, err error) {
	err = c.retry(ctx, func() error {
		object, err := c.fetch(ctx, clusterKind(), namespace, name)
		if err != nil || object == nil || object.GetDeletionTimestamp() != nil {
			return err
		}
		// With the UID, a cluster of the same name that somebody makes in this moment is not meant.
		uid := object.GetUID()
		err = client.IgnoreNotFound(c.client.Delete(ctx, object, client.Preconditions{UID: &uid}))
		changed = changed || err == nil
		return err
	})
	return changed, err
}

// WaitGone waits until a Cluster object is gone, its finalizers included. Progress, which may be nil, is told
// when what holds it up changes. A time limit gives a *NotReadyError that names the finalizers and has the
// cluster's own words. So does another object of the same name, which somebody made after the first one had
// gone, and which is not waited for.
func (c *Cluster) WaitGone(ctx context.Context, namespace, name string, progress func(Progress)) error {
	s := &story{progress: progress}
	var waited types.UID
	err := c.until(ctx, []watched{{clusterKind(), namespace, name}}, func() (bool, error) {
		object, err := c.fetch(ctx, clusterKind(), namespace, name)
		if err != nil {
			return false, err
		}
		if object == nil {
			return true, nil
		}
		if waited = cmp.Or(waited, object.GetUID()); waited != object.GetUID() {
			return false, &NotReadyError{
				Object: objectName(object), State: "is there again",
				Message: "it was deleted, and somebody else created it again while this run waited",
				Next:    hint.ShowStatus.Hint(), final: true,
			}
		}
		s.notYet(stillThere(object))
		return false, nil
	})
	return s.explain(ctx, err)
}

// stillThere says what keeps a Cluster object that should go.
func stillThere(object *unstructured.Unstructured) *NotReadyError {
	namespace, name := object.GetNamespace(), object.GetName()
	problem := &NotReadyError{
		Object: objectName(object), State: "is not gone",
		Next: hint.Command("kubectl -n %s get clusters.%s %s -o yaml", namespace, eksaGroup, name),
	}
	failure := text(object, "status", "failureMessage")
	switch {
	case object.GetDeletionTimestamp() == nil && keptByFlux(object):
		problem.Message = fmt.Sprintf("it carries the mark %s or %s, which keeps Flux from deleting it",
			pruneMark, reconcileMark)
		problem.Next = hint.Command("kubectl -n %s annotate clusters.%s %s %s- %s-",
			namespace, eksaGroup, name, pruneMark, reconcileMark)
	case object.GetDeletionTimestamp() == nil:
		problem.Message = "nobody has asked for its deletion yet"
		problem.Next = hint.Command("kubectl get kustomizations.%s -A", kustomizeGroup)
	case isPaused(object) && object.GetAnnotations()[allowDeleteWhenPaused] != "true":
		problem.Reason = "Paused"
		problem.Message = fmt.Sprintf(
			"it carries the annotation %s/paused, so that EKS Anywhere does not delete it", eksaGroup)
		problem.Next = hint.Command("kubectl -n %s annotate clusters.%s %s %s=true",
			namespace, eksaGroup, name, allowDeleteWhenPaused)
	default:
		problem.Message = "it is being deleted"
		if finalizers := object.GetFinalizers(); len(finalizers) > 0 {
			problem.Message += "; blocked by finalizer " + strings.Join(finalizers, ", ")
		}
		if failure == "" {
			if open := openConditions(object); open != "" {
				problem.Message += "; " + open
			}
		}
		if slices.ContainsFunc(object.GetFinalizers(),
			func(f string) bool { return strings.Contains(f, eksaGroup) }) {
			problem.Next = hint.Command("kubectl -n %s logs deployment/eksa-controller-manager --tail 20",
				eksaNamespace)
		}
	}
	if failure != "" {
		var next hint.Hint
		problem.Reason = text(object, "status", "failureReason")
		problem.Cause, next = meaningOf(failure)
		problem.Next = cmp.Or(next, problem.Next)
		problem.Message += "; EKS Anywhere says: " + failure
	}
	return problem
}

// RemoveGitOps takes the reference to the GitOps configuration off a management cluster and deletes the
// FluxConfig or GitOpsConfig that it referred to, unless another cluster refers to it. It says whether there
// was anything to do and may be repeated.
//
// EKS Anywhere's webhook lets the reference of a management cluster go (that of a workload cluster is
// immutable), and the controller looks at neither. The object must go as well: its spec is immutable, so that
// one that stays would be in the way of another configuration. A webhook that is against it all the same
// gives a *RefusedError.
func (c *Cluster) RemoveGitOps(ctx context.Context,
	namespace, name, configKind, config string) (changed bool, err error) {
	err = c.retry(ctx, func() error {
		cluster, err := c.fetch(ctx, clusterKind(), namespace, name)
		if err != nil || cluster == nil || text(cluster, "spec", "gitOpsRef", "name") != config {
			return err
		}
		// With the resource version, what somebody else puts there in this moment stays.
		patch := fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q},"spec":{"gitOpsRef":null}}`,
			cluster.GetResourceVersion())
		err = client.IgnoreNotFound(c.client.Patch(ctx, cluster, client.RawPatch(types.MergePatchType, patch),
			client.FieldOwner(fieldManager)))
		changed = changed || err == nil
		return err
	})
	if err != nil {
		return changed, err
	}
	clusters, err := c.list(ctx, clusterKind(), namespace)
	if err != nil {
		return changed, err
	}
	for _, other := range clusters {
		if text(&other, "spec", "gitOpsRef", "name") == config {
			return changed, nil
		}
	}
	kinds := []kind{fluxConfigKind()}
	if configKind == gitOpsConfigKind().name {
		// EKS Anywhere makes a FluxConfig of the same name beside it.
		kinds = append(kinds, gitOpsConfigKind())
	}
	for _, k := range kinds {
		gone, err := c.removeObject(ctx, k, namespace, config)
		changed = changed || gone
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// removeObject deletes an object, if it is there and not going already, and says whether it did.
func (c *Cluster) removeObject(ctx context.Context, k kind,
	namespace, name string) (changed bool, err error) {
	err = c.retry(ctx, func() error {
		object, err := c.fetch(ctx, k, namespace, name)
		if err != nil || object == nil || object.GetDeletionTimestamp() != nil {
			return err
		}
		err = c.client.Delete(ctx, object, client.PropagationPolicy("Background"))
		changed = changed || err == nil
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	return changed, err
}
