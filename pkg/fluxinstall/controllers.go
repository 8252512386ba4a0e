package fluxinstall

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// controllers reads Flux's Deployments, and the pods of the namespace when one of them is not available. It
// tries once; its error is the client library's own.
func (c *Cluster) controllers(ctx context.Context,
	namespace string) (deployments, pods []unstructured.Unstructured, err error) {
	deployments, err = c.fetchAll(ctx, deploymentKind(), namespace,
		client.MatchingLabels{fluxmanifests.PartOfLabel: "flux"})
	if err != nil ||
		!slices.ContainsFunc(deployments, func(d unstructured.Unstructured) bool { return !rolledOut(&d) }) {
		return deployments, nil, err
	}
	pods, err = c.fetchAll(ctx, podKind(), namespace)
	if err != nil && !isForbidden(c.classify(ctx, err)) {
		return nil, nil, err
	}
	return deployments, pods, nil
}

// controllerProblems says for each of Flux's Deployments that is missing or not available why, down to the
// pods behind it. First comes what says most: one that does not exist, then a pod that cannot start rather
// than one that is starting, and a controller that the rest depends on rather than another.
func controllerProblems(namespace string, deployments, pods []unstructured.Unstructured) []*NotReadyError {
	var problems []*NotReadyError
	required := fluxmanifests.RequiredControllers()
	for _, name := range required {
		if !slices.ContainsFunc(deployments,
			func(d unstructured.Unstructured) bool { return d.GetName() == name }) {
			problems = append(problems, &NotReadyError{
				Object: fmt.Sprintf("Deployment %s/%s", namespace, name), Message: "it does not exist",
				Cause: "nothing fetches or applies without it",
				Next:  hint.Command("kubectl -n %s get deployments", namespace),
			})
		}
	}
	deployments = slices.Clone(deployments)
	slices.SortStableFunc(deployments, func(a, b unstructured.Unstructured) int {
		// Those that are not required are at -1, which is behind.
		return cmp.Compare(uint(slices.Index(required, a.GetName())),
			uint(slices.Index(required, b.GetName())))
	})
	var starting []*NotReadyError
	for _, deployment := range deployments {
		switch asleep := wantedReplicas(&deployment) == 0; {
		case asleep && slices.Contains(required, deployment.GetName()):
			problems = append(problems, asleepProblem(&deployment))
			continue
		case rolledOut(&deployment):
			// Another one that is scaled to zero is so in Git: kustomize-controller would start it again.
			continue
		}
		if problem := deploymentProblem(&deployment, pods); problem.Reason != "" {
			problems = append(problems, problem)
		} else {
			starting = append(starting, problem)
		}
	}
	return append(problems, starting...)
}

// rolledOut says whether a Deployment runs its current version and no other, as `kubectl rollout status`
// judges it.
func rolledOut(deployment *unstructured.Unstructured) bool {
	number := func(path ...string) int64 {
		n, _, _ := unstructured.NestedInt64(deployment.Object, path...)
		return n
	}
	wanted := wantedReplicas(deployment)
	updated := number("status", "updatedReplicas")
	return observed(deployment) && updated >= wanted && number("status", "replicas") <= updated &&
		number("status", "availableReplicas") >= updated
}

// wantedReplicas is how many pods a Deployment should have; Kubernetes takes one when it does not say.
func wantedReplicas(deployment *unstructured.Unstructured) int64 {
	if n, set, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); set {
		return n
	}
	return 1
}

// scaledToZero is why a controller does nothing that nobody wants to run.
const scaledToZero = "ScaledToZero"

// asleepProblem says that a Deployment is scaled to zero. It runs as it should then, and does nothing.
func asleepProblem(deployment *unstructured.Unstructured) *NotReadyError {
	namespace, name := deployment.GetNamespace(), deployment.GetName()
	return &NotReadyError{
		Object: objectName(deployment), Reason: scaledToZero,
		Message: "somebody scaled it to zero replicas, so that nothing of it runs", Next: hint.Command(
			"to start it again: kubectl -n %s scale deployment %s --replicas=1", namespace, name),
	}
}

// deploymentProblem says why a Deployment is not available: what its pods wait for, else its own condition.
// Without a reason it is merely on its way.
func deploymentProblem(deployment *unstructured.Unstructured,
	pods []unstructured.Unstructured) *NotReadyError {
	namespace := deployment.GetNamespace()
	problem := &NotReadyError{
		Object:  objectName(deployment),
		Message: "its pods are starting",
		Next:    hint.Command("kubectl -n %s describe pods -l app=%s", namespace, deployment.GetName()),
	}
	selector, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "selector", "matchLabels")
	for _, pod := range pods {
		if !selects(selector, pod.GetLabels()) {
			continue
		}
		if reason, message := podProblem(&pod); reason != "" {
			problem.Reason, problem.Message = reason, message
			return problem.explained(reason + " " + message)
		}
	}
	if failure := conditionOf(deployment, "ReplicaFailure"); failure.Status == "True" {
		problem.Reason, problem.Message = failure.Reason, failure.Message
		problem.Next = hint.Command("kubectl -n %s describe replicasets -l app=%s",
			namespace, deployment.GetName())
		problem.explained(failure.Message)
	}
	return problem
}

// selects says whether labels have all that a selector asks for.
func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return len(selector) > 0
}

// podProblem is what a pod cannot get past: a container that does not start or keeps ending, or a node that
// is not found. A pod that is merely starting has none.
func podProblem(pod *unstructured.Unstructured) (reason, message string) {
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", list)
		for _, status := range statuses {
			fields, _ := status.(map[string]any)
			reason, _, _ = unstructured.NestedString(fields, "state", "waiting", "reason")
			message, _, _ = unstructured.NestedString(fields, "state", "waiting", "message")
			if reason != "" && reason != "ContainerCreating" && reason != "PodInitializing" {
				return reason, message
			}
		}
	}
	if scheduled := conditionOf(pod, "PodScheduled"); scheduled.Status == "False" {
		return scheduled.Reason, scheduled.Message
	}
	return "", ""
}
