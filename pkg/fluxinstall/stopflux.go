package fluxinstall

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	ssautils "github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// StopFlux makes Flux do nothing more: it suspends the GitRepository and the Kustomization, scales the
// controllers in the namespace to zero, and waits until no pod of theirs is left. From then on nothing is
// applied and, above all, nothing is deleted, whatever happens to the repository. It says whether anything
// was to do, and may be repeated. progress may be nil.
//
// Suspending comes first: should somebody start the controllers again, they leave alone what these two have
// applied.
func (c *Cluster) StopFlux(ctx context.Context, namespace string,
	progress func(Progress)) (changed bool, err error) {
	for _, k := range []kind{kustomizationKind(), gitRepositoryKind()} {
		did, err := c.suspend(ctx, k, namespace, namespace)
		changed = changed || did
		if err != nil {
			return changed, err
		}
	}
	deployments, err := c.list(ctx, deploymentKind(), namespace,
		client.MatchingLabels{fluxmanifests.PartOfLabel: "flux"})
	if err != nil {
		return changed, err
	}
	for _, deployment := range deployments {
		did, err := c.scaleToZero(ctx, namespace, deployment.GetName())
		changed = changed || did
		if err != nil {
			return changed, err
		}
	}
	return changed, c.waitStopped(ctx, namespace, progress)
}

func (c *Cluster) suspend(ctx context.Context, k kind, namespace, name string) (changed bool, err error) {
	err = c.retry(ctx, func() error {
		object, err := c.fetch(ctx, k, namespace, name)
		if err != nil || object == nil {
			return err
		}
		if suspended, _, _ := unstructured.NestedBool(object.Object, "spec", "suspend"); suspended {
			return nil
		}
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`))
		err = client.IgnoreNotFound(c.client.Patch(ctx, object, patch, client.FieldOwner(stopManager)))
		changed = changed || err == nil
		return err
	})
	return changed, err
}

// stopManager is who owns the suspension that [Cluster.StopFlux] makes. By it a suspension that an
// uninstallation left, which was broken off, is told from one that a person wants.
const stopManager = "eksa-gitops-detach"

// stoppedByUs says whether StopFlux suspended the object.
func stoppedByUs(object *unstructured.Unstructured) bool {
	pause := suspension(object)
	return pause != nil && pause.By == stopManager
}

// sourceLimit bounds the wait for a source that was resumed, before what is applied from it is resumed as
// well.
const sourceLimit = 30 * time.Second

// resumeAll ends the suspensions that StopFlux made, of sources first: what kustomize-controller would find
// of a source that has not been looked at since is out of date, and the file may be gone with the pod that
// had it. It names what it resumed.
func (c *Cluster) resumeAll(ctx context.Context,
	objects []*unstructured.Unstructured) (resumed []string, err error) {
	ordered := slices.SortedStableFunc(slices.Values(objects), func(a, b *unstructured.Unstructured) int {
		return cmp.Compare(a.GetKind(), b.GetKind()) // a GitRepository before a Kustomization
	})
	for _, object := range ordered {
		did, err := c.resume(ctx, object)
		if err != nil {
			return resumed, err
		}
		if !did {
			continue
		}
		resumed = append(resumed, ssautils.FmtUnstructured(object))
		if object.GetKind() == gitRepositoryKind().name {
			c.waitFetched(ctx, object)
		}
	}
	return resumed, nil
}

// waitFetched waits until a GitRepository is Ready in its current state. When it does not become so, whoever
// waits for the commit finds out why.
func (c *Cluster) waitFetched(ctx context.Context, object *unstructured.Unstructured) {
	ctx, cancel := context.WithTimeout(ctx, sourceLimit)
	defer cancel()
	namespace, name := object.GetNamespace(), object.GetName()
	_ = c.until(ctx, []watched{{gitRepositoryKind(), namespace, name}}, func() (bool, error) {
		live, err := c.fetch(ctx, gitRepositoryKind(), namespace, name)
		return live == nil || readyNow(live), err
	})
}

// resume ends the suspension that StopFlux made. Others stay.
func (c *Cluster) resume(ctx context.Context, object *unstructured.Unstructured) (changed bool, err error) {
	gvk := object.GroupVersionKind()
	err = c.retry(ctx, func() error {
		live, err := c.fetch(ctx, kind{gvk.Group, gvk.Version, gvk.Kind}, object.GetNamespace(),
			object.GetName())
		if err != nil || live == nil || !stoppedByUs(live) {
			return err
		}
		// With the resource version, a suspension that somebody makes in this moment stays.
		patch := fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q},"spec":{"suspend":null}}`,
			live.GetResourceVersion())
		err = client.IgnoreNotFound(c.client.Patch(ctx, live, client.RawPatch(types.MergePatchType, patch),
			client.FieldOwner(stopManager)))
		changed = changed || err == nil
		return err
	})
	return changed, err
}

func (c *Cluster) scaleToZero(ctx context.Context, namespace, name string) (changed bool, err error) {
	err = c.retry(ctx, func() error {
		deployment, err := c.fetch(ctx, deploymentKind(), namespace, name)
		if err != nil || deployment == nil {
			return err
		}
		if replicas, set, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); set &&
			replicas == 0 {
			return nil
		}
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":0}}`))
		err = client.IgnoreNotFound(c.client.Patch(ctx, deployment, patch, client.FieldOwner(fieldManager)))
		changed = changed || err == nil
		return err
	})
	return changed, err
}

// waitStopped waits until the namespace has no pod of a controller of Flux. A pod whose node is gone keeps it
// waiting: nobody knows whether it still runs.
func (c *Cluster) waitStopped(ctx context.Context, namespace string, progress func(Progress)) error {
	s := &story{progress: progress}
	err := c.until(ctx, []watched{{podKind(), namespace, ""}, {deploymentKind(), namespace, ""}},
		func() (bool, error) {
			deployments, err := c.fetchAll(ctx, deploymentKind(), namespace,
				client.MatchingLabels{fluxmanifests.PartOfLabel: "flux"})
			if err != nil {
				return false, err
			}
			pods, err := c.fetchAll(ctx, podKind(), namespace)
			if err != nil {
				return false, err
			}
			problem := stillRunning(deployments, pods)
			if problem == nil {
				return true, nil
			}
			s.notYet(problem)
			return false, nil
		})
	return s.explain(ctx, err)
}

// stillRunning names the first controller that was scaled to zero and yet has, or may soon have, a pod.
func stillRunning(deployments, pods []unstructured.Unstructured) *NotReadyError {
	for _, deployment := range deployments {
		problem := &NotReadyError{
			Object: objectName(&deployment), State: "is not stopped", Next: hint.Command(
				"kubectl -n %s get pods -l app=%s -o wide", deployment.GetNamespace(), deployment.GetName()),
		}
		if replicas, set, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); !set ||
			replicas > 0 {
			problem.Message = "somebody has scaled it up again"
			return problem
		}
		if !observed(&deployment) {
			problem.Message = "Kubernetes has not seen yet that it has no replicas any more"
			return problem
		}
		selector, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "selector", "matchLabels")
		for _, pod := range pods {
			if selects(selector, pod.GetLabels()) && text(&pod, "status", "phase") != "Succeeded" &&
				text(&pod, "status", "phase") != "Failed" {
				problem.Message = "its pod " + pod.GetName() + " is ending"
				return problem
			}
		}
	}
	return nil
}
