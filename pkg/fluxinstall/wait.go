package fluxinstall

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SyncWait says what WaitSynced waits for.
type SyncWait struct {
	Namespace, Name string // of the GitRepository and the Kustomization
	Branch, Commit  string
	// Accept decides on a revision that Flux has fetched and applied and that is not the commit: somebody may have pushed after it.
	// Nil accepts none. It is called once for each such revision.
	Accept func(revision string) bool
}

// WaitSynced waits until the GitRepository has fetched the commit, the Kustomization has applied it and reports Ready for its current
// generation, and the controllers are available. Progress is told when it changes. What cannot get better by waiting ends the wait at
// once; that and a context that ends are a *NotReadyError with the cause.
func (c *Cluster) WaitSynced(ctx context.Context, wait SyncWait, progress func(Progress)) error {
	w := &syncWaiter{cluster: c, wait: wait, progress: progress, accepted: map[string]bool{}}
	err := c.until(ctx, []watched{
		{group: sourceGroup, version: "v1", kind: "GitRepository", namespace: wait.Namespace, name: wait.Name},
		{group: kustomizeGroup, version: "v1", kind: "Kustomization", namespace: wait.Namespace, name: wait.Name},
		{group: "apps", version: "v1", kind: "Deployment", namespace: wait.Namespace},
	}, func() (bool, error) { return w.look(ctx) })
	return w.explain(err)
}

// syncWaiter keeps the last thing that was not well, for the moment the wait ends.
type syncWaiter struct {
	cluster  *Cluster
	wait     SyncWait
	progress func(Progress)
	last     *NotReadyError
	shown    string
	accepted map[string]bool
}

// explain turns the end of a wait into the cause that was seen last.
func (w *syncWaiter) explain(err error) error {
	if err == nil || errors.As(err, new(*NotReadyError)) || errors.Is(err, context.Canceled) {
		return err
	}
	if w.last == nil || errors.As(err, new(*ForbiddenError)) {
		return err
	}
	w.last.Err = err
	return w.last
}

func (w *syncWaiter) look(ctx context.Context) (bool, error) {
	c, namespace, name := w.cluster, w.wait.Namespace, w.wait.Name
	git, err := c.get(ctx, sourceGroup, "v1", "GitRepository", namespace, name)
	if err != nil {
		return false, err
	}
	ks, err := c.get(ctx, kustomizeGroup, "v1", "Kustomization", namespace, name)
	if err != nil {
		return false, err
	}
	if git == nil || ks == nil {
		return false, w.notYet(&NotReadyError{Object: fmt.Sprintf("Flux in namespace %s", namespace), Message: "its GitRepository or Kustomization does not exist"})
	}
	for _, object := range []*unstructured.Unstructured{git, ks} {
		if suspended, _, _ := unstructured.NestedBool(object.Object, "spec", "suspend"); suspended {
			return false, w.stop(&NotReadyError{
				Object: objectName(object), Reason: "Suspended", Message: "somebody suspended it, so that nothing is applied",
				Next: fmt.Sprintf("resume it: kubectl -n %s patch %s %s --type merge -p '{\"spec\":{\"suspend\":false}}'", namespace, strings.ToLower(object.GetKind()), name),
			})
		}
	}
	if w.synced(git, ks) {
		return w.controllersAvailable(ctx)
	}
	if problem := firstProblem(git, ks); problem != nil {
		if stalled, ok := conditionOf(git, "Stalled"); ok && stalled.Status == "True" {
			return false, w.stop(problem)
		}
		return false, w.notYet(problem)
	}
	if available, err := w.controllersAvailable(ctx); err != nil || !available {
		return false, err
	}
	return false, w.notYet(waitingFor(git, ks, Revision(w.wait.Branch, w.wait.Commit)))
}

// synced says whether both objects report the wanted revision, or the same later one that the caller accepts.
func (w *syncWaiter) synced(git, ks *unstructured.Unstructured) bool {
	fetched, _, _ := unstructured.NestedString(git.Object, "status", "artifact", "revision")
	applied, _, _ := unstructured.NestedString(ks.Object, "status", "lastAppliedRevision")
	if fetched == "" || fetched != applied || !readyNow(git) || !readyNow(ks) {
		return false
	}
	if fetched == Revision(w.wait.Branch, w.wait.Commit) {
		return true
	}
	if w.wait.Accept == nil {
		return false
	}
	if _, asked := w.accepted[fetched]; !asked {
		w.accepted[fetched] = w.wait.Accept(fetched)
	}
	return w.accepted[fetched]
}

// controllersAvailable looks at the Deployments of Flux and, where one is not available, at the pods behind it.
func (w *syncWaiter) controllersAvailable(ctx context.Context) (bool, error) {
	deployments, err := w.cluster.list(ctx, "apps", "v1", "Deployment", w.wait.Namespace, client.MatchingLabels{partOfLabel: "flux"})
	if err != nil {
		return false, err
	}
	for _, deployment := range deployments {
		if rolledOut(&deployment) {
			continue
		}
		problem, err := w.cluster.podProblem(ctx, &deployment)
		if err != nil {
			return false, err
		}
		return false, w.notYet(problem)
	}
	return true, nil
}

// rolledOut says whether a Deployment runs its current version, as `kubectl rollout status` judges it.
func rolledOut(deployment *unstructured.Unstructured) bool {
	number := func(path ...string) int64 {
		n, _, _ := unstructured.NestedInt64(deployment.Object, path...)
		return n
	}
	wanted := int64(1)
	if n, set, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); set {
		wanted = n
	}
	return observed(deployment) && number("status", "updatedReplicas") >= wanted && number("status", "availableReplicas") >= wanted
}

// podProblem says why a Deployment is not available: what its pods' containers wait for, else its own condition.
func (c *Cluster) podProblem(ctx context.Context, deployment *unstructured.Unstructured) (*NotReadyError, error) {
	namespace := deployment.GetNamespace()
	problem := &NotReadyError{
		Object: objectName(deployment),
		Next:   fmt.Sprintf("kubectl -n %s describe pods -l app=%s", namespace, deployment.GetName()),
	}
	labels, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "selector", "matchLabels")
	pods, err := c.list(ctx, "", "v1", "Pod", namespace, client.MatchingLabels(labels))
	if err != nil {
		return nil, err
	}
	for _, pod := range pods {
		statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", "containerStatuses")
		for _, status := range statuses {
			fields, _ := status.(map[string]any)
			reason, _, _ := unstructured.NestedString(fields, "state", "waiting", "reason")
			message, _, _ := unstructured.NestedString(fields, "state", "waiting", "message")
			if reason != "" {
				problem.Reason, problem.Message = reason, message
				problem.Cause = meaningOf(reason + " " + message)
				return problem, nil
			}
		}
		if scheduled, ok := conditionOf(&pod, "PodScheduled"); ok && scheduled.Status == "False" {
			problem.Reason, problem.Message = scheduled.Reason, scheduled.Message
			return problem, nil
		}
	}
	if failure, ok := conditionOf(deployment, "ReplicaFailure"); ok && failure.Status == "True" {
		problem.Reason, problem.Message = failure.Reason, failure.Message
		problem.Cause = meaningOf(failure.Message)
		return problem, nil
	}
	if available, ok := conditionOf(deployment, "Available"); ok && available.Status != "True" {
		problem.Reason, problem.Message = available.Reason, available.Message
		return problem, nil
	}
	problem.Message = "its pods are starting"
	return problem, nil
}

// firstProblem is the first thing that Flux itself says is wrong: fetching comes before applying.
func firstProblem(git, ks *unstructured.Unstructured) *NotReadyError {
	for _, object := range []*unstructured.Unstructured{git, ks} {
		ready, ok := conditionOf(object, "Ready")
		if !ok || ready.Status != "False" || !observedBy(ready, object) {
			continue
		}
		problem := &NotReadyError{
			Object: objectName(object), Reason: ready.Reason, Message: ready.Message, Cause: meaningOf(ready.Message),
			Next: fmt.Sprintf("kubectl -n %s describe %s %s", object.GetNamespace(), strings.ToLower(object.GetKind()), object.GetName()),
		}
		if object.GetKind() == "Kustomization" && ready.Reason == "DependencyNotReady" {
			continue
		}
		// The source not being fetched yet is no problem of its own.
		if object.GetKind() == "Kustomization" && ready.Reason == "ArtifactFailed" && strings.Contains(ready.Message, "Source artifact not found") {
			continue
		}
		return problem
	}
	return nil
}

// observedBy says whether a condition was set for the object as it is now.
func observedBy(c condition, object *unstructured.Unstructured) bool {
	return c.ObservedGeneration == 0 || c.ObservedGeneration == object.GetGeneration()
}

// waitingFor describes a wait in which nothing is wrong so far.
func waitingFor(git, ks *unstructured.Unstructured, revision string) *NotReadyError {
	fetched, _, _ := unstructured.NestedString(git.Object, "status", "artifact", "revision")
	if fetched != revision {
		have := "nothing yet"
		if fetched != "" {
			have = fetched
		}
		return &NotReadyError{Object: objectName(git), Message: "it has fetched " + have, Next: logsOf(git.GetNamespace(), "source-controller")}
	}
	message := "it has fetched the commit and is applying it"
	if ready, ok := conditionOf(ks, "Ready"); ok && ready.Status == "Unknown" && ready.Message != "" {
		message = ready.Message
	}
	return &NotReadyError{Object: objectName(ks), Message: message, Next: logsOf(ks.GetNamespace(), "kustomize-controller")}
}

func logsOf(namespace, controller string) string {
	return fmt.Sprintf("kubectl -n %s logs deployment/%s --tail 20", namespace, controller)
}

// notYet remembers and tells what is not well; waiting goes on.
func (w *syncWaiter) notYet(problem *NotReadyError) error {
	w.last = problem
	if text := problem.Error(); text != w.shown {
		w.shown = text
		w.progress(Progress{Message: text})
	}
	return nil
}

// stop ends the wait: waiting longer would not help.
func (w *syncWaiter) stop(problem *NotReadyError) error { return problem }

func objectName(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetKind() + " " + object.GetName()
	}
	return fmt.Sprintf("%s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
}
