package eksacontroller

import (
	"context"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Conditions of a Cluster, in the order in which they become True.
const (
	ControlPlaneInitialized = "ControlPlaneInitialized"
	ControlPlaneReady       = "ControlPlaneReady"
	DefaultCNIConfigured    = "DefaultCNIConfigured"
	WorkersReady            = "WorkersReady"
	ReadyCondition          = "Ready"
)

func conditionTypes() []string {
	return []string{ControlPlaneInitialized, ControlPlaneReady, DefaultCNIConfigured, WorkersReady,
		ReadyCondition}
}

// reasonOf is why a condition is not True yet: in a new cluster, or in one
// that is being changed.
func reasonOf(condition string, updating bool) string {
	reasons := map[string]string{
		ControlPlaneInitialized: "ControlPlaneInitializationInProgress",
		ControlPlaneReady:       "ControlPlaneInitializationInProgress",
		DefaultCNIConfigured:    "ControlPlaneNotReady",
		WorkersReady:            "ControlPlaneNotInitialized",
	}
	if updating {
		reasons[ControlPlaneReady] = "RollingUpgradeInProgress"
		reasons[WorkersReady] = "RollingUpgradeInProgress"
	}
	return reasons[condition]
}

// nextStatus changes the status of a cluster to the next it has on the way to
// Ready; again says that there is one after that. A failure stops the way, a
// fault keeps its condition False.
func nextStatus(cluster *unstructured.Unstructured, fail *failure, fault *Fault) (again bool) {
	generation := cluster.GetGeneration()
	observed := nested[int64](cluster, "status", "observedGeneration")
	if cluster.Object["status"] == nil {
		cluster.Object["status"] = map[string]any{}
	}
	status := cluster.Object["status"].(map[string]any)
	status["observedGeneration"] = generation
	if fail != nil {
		status["failureReason"], status["failureMessage"] = fail.reason, fail.message
		for _, condition := range conditionTypes() {
			if condition == ControlPlaneInitialized && ConditionTrue(cluster, condition) {
				continue
			}
			if conditionOf(cluster, condition) == nil {
				setCondition(cluster, condition, "False", reasonOf(condition, false), "")
			}
		}
		setCondition(cluster, ReadyCondition, "False", fail.reason, fail.message)
		return false
	}
	delete(status, "failureReason")
	delete(status, "failureMessage")

	updating := ConditionTrue(cluster, ControlPlaneInitialized)
	if observed != generation { // begin anew; what is initialized stays so
		for _, condition := range conditionTypes() {
			if condition != ReadyCondition && (condition != ControlPlaneInitialized || !updating) {
				setCondition(cluster, condition, "False", reasonOf(condition, updating), "")
			}
		}
		summarize(cluster)
		return true
	}
	again = stepConditions(cluster, fault, updating)
	summarize(cluster)
	if fault != nil && fault.Condition == ReadyCondition {
		setCondition(cluster, ReadyCondition, "False", fault.Reason, fault.Message)
	}
	if ConditionTrue(cluster, ReadyCondition) {
		status["reconciledGeneration"] = generation
	}
	return again
}

// stepConditions makes the first condition that is not True True, unless a
// fault keeps it; again says that another will follow.
func stepConditions(cluster *unstructured.Unstructured, fault *Fault, updating bool) (again bool) {
	advanced := false
	for _, condition := range conditionTypes() {
		if condition == ReadyCondition {
			continue
		}
		if fault != nil && fault.Condition == condition {
			reason := fault.Reason
			if reason == "" {
				reason = reasonOf(condition, updating)
			}
			setCondition(cluster, condition, "False", reason, fault.Message)
			continue
		}
		if ConditionTrue(cluster, condition) {
			continue
		}
		if advanced {
			return true
		}
		setCondition(cluster, condition, "True", "", "")
		advanced = true
	}
	return false
}

// summarize sets Ready from the rest: the first that is not True tells why.
func summarize(cluster *unstructured.Unstructured) {
	for _, condition := range conditionTypes() {
		if condition == ReadyCondition {
			continue
		}
		if have := conditionOf(cluster, condition); have["status"] != "True" {
			reason, _ := have["reason"].(string)
			message, _ := have["message"].(string)
			setCondition(cluster, ReadyCondition, "False", reason, message)
			return
		}
	}
	setCondition(cluster, ReadyCondition, "True", "", "")
}

// setCondition sets a condition; its time of transition changes only with its
// status.
func setCondition(cluster *unstructured.Unstructured, kind, status, reason, message string) {
	transition := any(metav1.Now().UTC().Format(time.RFC3339))
	have := conditionOf(cluster, kind)
	if have["status"] == status {
		transition = have["lastTransitionTime"]
	}
	condition := map[string]any{"type": kind, "status": status, "lastTransitionTime": transition}
	if reason != "" {
		condition["reason"] = reason
	}
	if message != "" {
		condition["message"] = message
	}
	if status == "False" {
		condition["severity"] = "Info"
	}
	conditions := nested[[]any](cluster, "status", "conditions")
	for i, old := range conditions {
		if old, ok := old.(map[string]any); ok && old["type"] == kind {
			conditions[i] = condition
			return
		}
	}
	cluster.Object["status"].(map[string]any)["conditions"] = append(conditions, condition)
}

func statusEqual(a, b *unstructured.Unstructured) bool {
	return reflect.DeepEqual(a.Object["status"], b.Object["status"])
}

// SentinelToken is the bearer token in the kubeconfig of a cluster. It opens
// nothing. A test that finds it in a log, an error or a repository has found a
// leak. What differs between clusters is not at the end, where a search for an
// encoded form cannot see all bits.
func SentinelToken(cluster string) string { return "sentinel-token-of-" + cluster + "-only" }

func kubeconfigSecret(cluster string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: SystemNamespace, Name: cluster + "-kubeconfig"},
	}
}

// writeKubeconfig writes the Secret <cluster>-kubeconfig when there is none.
func (c *Controller) writeKubeconfig(ctx context.Context, cluster *unstructured.Unstructured) error {
	secret := kubeconfigSecret(cluster.GetName())
	err := c.client.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	if client.IgnoreNotFound(err) != nil || err == nil {
		return err
	}
	secret.Type = "cluster.x-k8s.io/secret"
	secret.Labels = map[string]string{"cluster.x-k8s.io/cluster-name": cluster.GetName()}
	secret.Data = map[string][]byte{"value": kubeconfig(cluster)}
	if err := c.client.Create(ctx, secret, client.FieldOwner(fieldOwner)); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", cluster.GetName(), err)
	}
	return nil
}

func kubeconfig(cluster *unstructured.Unstructured) []byte {
	name := cluster.GetName()
	host := nested[string](cluster, "spec", "controlPlaneConfiguration", "endpoint", "host")
	if host == "" {
		host = "127.0.0.1"
	}
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: https://%[2]s:6443
contexts:
- name: %[1]s-admin@%[1]s
  context:
    cluster: %[1]s
    user: %[1]s-admin
current-context: %[1]s-admin@%[1]s
users:
- name: %[1]s-admin
  user:
    token: %[3]s
`, name, host, SentinelToken(name))
}
