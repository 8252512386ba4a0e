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

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// Rollover says what WaitRolledOver waits for.
type Rollover struct {
	Namespace, Name string // of the GitRepository and the Kustomization
	// Images are what the controllers have to run, by the names of their Deployments.
	Images map[string]string
	// Removed are the Deployments that have to be gone.
	Removed []string
}

// WaitRolledOver waits until Flux's controllers run the wanted images, no pod of an older version is left,
// and the new controllers have worked: it asks them to look at the GitRepository and the Kustomization and
// waits until both say that they have, and are Ready. What an object's status said before may still be the
// words of the old controllers. Progress may be nil; errors are those of [Cluster.WaitSynced].
func (c *Cluster) WaitRolledOver(ctx context.Context, wait Rollover, progress func(Progress)) error {
	s := &story{progress: progress}
	err := c.until(ctx, []watched{{deploymentKind(), wait.Namespace, ""}, {podKind(), wait.Namespace, ""}},
		func() (bool, error) {
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
		at := slices.IndexFunc(deployments, func(d unstructured.Unstructured) bool {
			return d.GetName() == name
		})
		problem := &NotReadyError{
			Object: fmt.Sprintf("Deployment %s/%s", w.Namespace, name), Next: logsOf(w.Namespace,
				fluxmanifests.KustomizeController),
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
			return &NotReadyError{Object: objectName(&deployment), Message: "Flux has not removed it yet",
				Next: logsOf(w.Namespace, fluxmanifests.KustomizeController)}
		}
	}
	if problems := controllerProblems(w.Namespace, deployments, pods); len(problems) > 0 {
		return problems[0]
	}
	return nil
}

// waitHandled asks the controllers to look at the two objects and waits until they have.
func (c *Cluster) waitHandled(ctx context.Context, wait Rollover, progress func(Progress)) error {
	kinds := []kind{gitRepositoryKind(), kustomizationKind()}
	var token string
	var asked time.Time
	ask := func() error {
		asked = time.Now()
		token = asked.Format(time.RFC3339Nano)
		patch := client.RawPatch(types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, requestedAt, token))
		for _, k := range kinds {
			object := k.object(wait.Namespace, wait.Name)
			if err := c.retry(ctx, func() error {
				return c.client.Patch(ctx, object, patch, client.FieldOwner(fieldManager))
			}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := ask(); err != nil {
		return err
	}
	s := &story{progress: progress}
	err := c.until(ctx,
		[]watched{{kinds[0], wait.Namespace, wait.Name}, {kinds[1], wait.Namespace, wait.Name}},
		func() (bool, error) {
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
					if problem.Reason != "" && time.Since(asked) > askAgain {
						return false, ask()
					}
					return false, nil
				}
			}
			return true, nil
		})
	return s.explain(ctx, err)
}

// askAgain is after how long a controller that has failed is asked once more. Left alone, it tries again at
// its interval, ten minutes; a kustomize-controller fails when it begins before the source-controller serves
// what it has fetched.
const askAgain = 10 * time.Second

func unhandled(object *unstructured.Unstructured, k kind, wait Rollover, token string) *NotReadyError {
	if object == nil {
		return &NotReadyError{Object: fmt.Sprintf("%s %s/%s", k.name, wait.Namespace, wait.Name),
			Message: "somebody has deleted it"}
	}
	if problems := stopped(object); len(problems) > 0 {
		return problems[0]
	}
	if text(object, "status", "lastHandledReconcileAt") != token {
		controller := fluxmanifests.SourceController
		if k == kustomizationKind() {
			controller = fluxmanifests.KustomizeController
		}
		return &NotReadyError{Object: objectName(object),
			Message: "the new controller has not looked at it yet", Next: logsOf(wait.Namespace, controller)}
	}
	if ready := conditionOf(object, "Ready"); ready.Status == "False" {
		return problemOf(object, ready)
	}
	if !readyNow(object) {
		return &NotReadyError{Object: objectName(object), Message: "the new controller is working on it",
			Next: logsOf(wait.Namespace, fluxmanifests.KustomizeController)}
	}
	return nil
}
