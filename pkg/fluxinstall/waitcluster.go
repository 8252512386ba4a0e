package fluxinstall

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// WaitCluster waits until an EKS Anywhere Cluster is Ready for its current generation. An object that is not there yet is waited for:
// Flux has not applied it. A *NotReadyError tells the cluster's own words when the context ends first.
func (c *Cluster) WaitCluster(ctx context.Context, namespace, name string, progress func(Progress)) error {
	var last *NotReadyError
	shown := ""
	err := c.until(ctx, []watched{{group: eksaGroup, version: "v1alpha1", kind: "Cluster", namespace: namespace, name: name}}, func() (bool, error) {
		object, err := c.get(ctx, eksaGroup, "v1alpha1", "Cluster", namespace, name)
		if err != nil {
			return false, err
		}
		last = clusterProblem(object, namespace, name)
		if last == nil {
			return true, nil
		}
		if text := last.Error(); text != shown {
			shown = text
			progress(Progress{Message: text})
		}
		return false, nil
	})
	if err == nil || errors.Is(err, context.Canceled) || last == nil || errors.As(err, new(*ForbiddenError)) {
		return err
	}
	last.Err = err
	return last
}

// clusterProblem is what keeps a Cluster from being Ready, or nil. Conditions count only when they speak of the current generation
// (EKS Anywhere's own wait judges the same way, pkg/cluster/wait.go).
func clusterProblem(object *unstructured.Unstructured, namespace, name string) *NotReadyError {
	problem := &NotReadyError{
		Object: fmt.Sprintf("Cluster %s/%s", namespace, name),
		Next:   fmt.Sprintf("kubectl -n %s get cluster %s -o jsonpath='{.status}'", namespace, name),
	}
	if object == nil {
		problem.Message = "Flux has not created it yet"
		problem.Next = "kubectl get kustomizations -A"
		return problem
	}
	if message, _, _ := unstructured.NestedString(object.Object, "status", "failureMessage"); message != "" {
		problem.Message = message
		problem.Reason, _, _ = unstructured.NestedString(object.Object, "status", "failureReason")
		return problem
	}
	if !observed(object) {
		problem.Message = "EKS Anywhere has not looked at its current state yet"
		return problem
	}
	ready, ok := conditionOf(object, "Ready")
	if ok && ready.Status == "True" {
		return nil
	}
	var open []string
	for _, c := range conditions(object) {
		if c.Type == "Ready" || c.Status == "True" {
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
	problem.Reason, problem.Message = ready.Reason, ready.Message
	if len(open) > 0 {
		problem.Message = strings.Join(open, "; ")
	}
	if problem.Message == "" {
		problem.Message = "it has no conditions yet"
	}
	return problem
}
