package fluxinstall

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Rollover says what WaitRolledOver waits for.
type Rollover struct {
	Namespace, Name string // of the GitRepository and the Kustomization
	// Images are what the controllers have to run, by the names of their Deployments.
	Images map[string]string
	// Removed are the Deployments that have to be gone.
	Removed []string
}

// WaitRolledOver waits until Flux's controllers run the wanted images, no pod of an older version is left, and the new controllers have
// worked: it asks them to look at the GitRepository and the Kustomization and waits until both say that they have, and are Ready. What an
// object's status said before may still be the words of the old controllers. Progress may be nil; errors are those of [Cluster.WaitSynced].
func (c *Cluster) WaitRolledOver(ctx context.Context, wait Rollover, progress func(Progress)) error {
	s := &story{progress: progress}
	err := c.until(ctx, []watched{{deploymentKind(), wait.Namespace, ""}, {podKind(), wait.Namespace, ""}}, func() (bool, error) {
		deployments, pods, err := c.controllers(ctx, wait.Namespace)
		if err != nil {
			return false, err
		}
		problem := wait.unlike(deployments, pods)
		if problem == nil {
			return true, nil
		}
		s.notYet(problem)
		return false, nil
	})
	if err != nil {
		return s.explain(ctx, err)
	}
	return c.waitHandled(ctx, wait, progress)
}

// unlike is the first controller that does not run as it should.
func (w *Rollover) unlike(deployments, pods []unstructured.Unstructured) *NotReadyError {
	for _, name := range slices.Sorted(maps.Keys(w.Images)) {
		at := slices.IndexFunc(deployments, func(d unstructured.Unstructured) bool { return d.GetName() == name })
		problem := &NotReadyError{
			Object: fmt.Sprintf("Deployment %s/%s", w.Namespace, name), Next: logsOf(w.Namespace, kustomizeController),
		}
		if at < 0 {
			problem.Message = "Flux has not made it yet"
			return problem
		}
		if image := controllerState(&deployments[at]).Image; image != w.Images[name] {
			problem.Message = fmt.Sprintf("it has image %s, Git says %s", image, w.Images[name])
			return problem
		}
	}
	for _, deployment := range deployments {
		if slices.Contains(w.Removed, deployment.GetName()) {
			return &NotReadyError{Object: objectName(&deployment), Message: "Flux has not removed it yet", Next: logsOf(w.Namespace, kustomizeController)}
		}
	}
	if problems := controllerProblems(w.Namespace, deployments, pods); len(problems) > 0 {
		return problems[0]
	}
	return nil
}

// waitHandled asks the controllers to look at the two objects and waits until they have.
func (c *Cluster) waitHandled(ctx context.Context, wait Rollover, progress func(Progress)) error {
	token := time.Now().Format(time.RFC3339Nano)
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, requestedAt, token))
	kinds := []kind{gitRepositoryKind(), kustomizationKind()}
	for _, k := range kinds {
		object := k.object(wait.Namespace, wait.Name)
		if err := c.retry(ctx, func() error { return c.client.Patch(ctx, object, patch, client.FieldOwner(fieldManager)) }); err != nil {
			return err
		}
	}
	s := &story{progress: progress}
	err := c.until(ctx, []watched{{kinds[0], wait.Namespace, wait.Name}, {kinds[1], wait.Namespace, wait.Name}}, func() (bool, error) {
		for _, k := range kinds {
			object, err := c.fetch(ctx, k, wait.Namespace, wait.Name)
			if err != nil {
				return false, err
			}
			if problem := unhandled(object, k, wait, token); problem != nil {
				if problem.final {
					return false, problem
				}
				s.notYet(problem)
				return false, nil
			}
		}
		return true, nil
	})
	return s.explain(ctx, err)
}

func unhandled(object *unstructured.Unstructured, k kind, wait Rollover, token string) *NotReadyError {
	if object == nil {
		return &NotReadyError{Object: fmt.Sprintf("%s %s/%s", k.name, wait.Namespace, wait.Name), Message: "somebody has deleted it"}
	}
	if problems := stopped(object); len(problems) > 0 {
		return problems[0]
	}
	if text(object, "status", "lastHandledReconcileAt") != token {
		controller := sourceController
		if k == kustomizationKind() {
			controller = kustomizeController
		}
		return &NotReadyError{Object: objectName(object), Message: "the new controller has not looked at it yet", Next: logsOf(wait.Namespace, controller)}
	}
	if ready := conditionOf(object, "Ready"); ready.Status == "False" {
		return problemOf(object, ready)
	}
	if !readyNow(object) {
		return &NotReadyError{Object: objectName(object), Message: "the new controller is working on it", Next: logsOf(wait.Namespace, kustomizeController)}
	}
	return nil
}
