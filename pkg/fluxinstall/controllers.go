package fluxinstall

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// unavailableController says what keeps Flux's Deployments from being available, down to the pods behind them; nil when all are.
func (c *Cluster) unavailableController(ctx context.Context, namespace string) (*NotReadyError, error) {
	deployments, err := c.fetchAll(ctx, deploymentKind(), namespace, client.MatchingLabels{partOfLabel: "flux"})
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, deployment := range deployments {
		there[deployment.GetName()] = true
		if !rolledOut(&deployment) {
			return c.deploymentProblem(ctx, &deployment)
		}
	}
	for _, required := range []string{sourceController, kustomizeController} {
		if !there[required] {
			return &NotReadyError{
				Object: fmt.Sprintf("Deployment %s/%s", namespace, required), Message: "it does not exist",
				Cause: "nothing fetches or applies without it", Next: fmt.Sprintf("kubectl -n %s get deployments", namespace),
			}, nil
		}
	}
	return nil, nil
}

// rolledOut says whether a Deployment runs its current version and no other, as `kubectl rollout status` judges it.
func rolledOut(deployment *unstructured.Unstructured) bool {
	number := func(path ...string) int64 {
		n, _, _ := unstructured.NestedInt64(deployment.Object, path...)
		return n
	}
	wanted := int64(1)
	if n, set, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); set {
		wanted = n
	}
	updated := number("status", "updatedReplicas")
	return observed(deployment) && updated >= wanted && number("status", "replicas") <= updated && number("status", "availableReplicas") >= updated
}

// deploymentProblem says why a Deployment is not available: what its pods wait for, else its own condition.
func (c *Cluster) deploymentProblem(ctx context.Context, deployment *unstructured.Unstructured) (*NotReadyError, error) {
	namespace := deployment.GetNamespace()
	problem := &NotReadyError{
		Object:  objectName(deployment),
		Message: "its pods are starting",
		Next:    fmt.Sprintf("kubectl -n %s describe pods -l app=%s", namespace, deployment.GetName()),
	}
	labels, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "selector", "matchLabels")
	pods, err := c.fetchAll(ctx, podKind(), namespace, client.MatchingLabels(labels))
	if err != nil && !isForbidden(c.classify(ctx, err)) {
		return nil, err
	}
	for _, pod := range pods {
		if reason, message := podProblem(&pod); reason != "" {
			problem.Reason, problem.Message = reason, message
			problem.Cause = meaningOf(reason + " " + message)
			return problem, nil
		}
	}
	if failure := conditionOf(deployment, "ReplicaFailure"); failure.Status == "True" {
		problem.Reason, problem.Message = failure.Reason, failure.Message
		problem.Cause = meaningOf(failure.Message)
		problem.Next = fmt.Sprintf("kubectl -n %s describe replicasets -l app=%s", namespace, deployment.GetName())
		return problem, nil
	}
	if available := conditionOf(deployment, "Available"); len(pods) == 0 && available.Status == "False" {
		problem.Reason, problem.Message = available.Reason, available.Message
	}
	return problem, nil
}

// podProblem is what a pod cannot get past: a container that does not start or keeps ending, or a node that is not found. A pod that
// is merely starting has none.
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
