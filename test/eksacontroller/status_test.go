package eksacontroller

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// summary is the conditions of a cluster, such as "Ready=False/Reason".
func summary(cluster *unstructured.Unstructured) string {
	var words []string
	for _, kind := range conditionTypes() {
		condition := conditionOf(cluster, kind)
		word := fmt.Sprintf("%s=%v", kind, condition["status"])
		if reason, ok := condition["reason"]; ok {
			word += "/" + fmt.Sprint(reason)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestNextStatus_newThenUpdated(t *testing.T) {
	t.Parallel()
	cluster := Object(APIVersion, "Cluster", "default", "c")
	cluster.SetGeneration(1)
	var got []string
	for again := true; again; got = append(got, summary(cluster)) {
		again = nextStatus(cluster, nil, nil)
	}
	const inProgress = "ControlPlaneInitializationInProgress"
	want := []string{
		"ControlPlaneInitialized=False/" + inProgress + " ControlPlaneReady=False/" +
			inProgress + " DefaultCNIConfigured=False/ControlPlaneNotReady " +
			"WorkersReady=False/ControlPlaneNotInitialized Ready=False/" + inProgress,
		"ControlPlaneInitialized=True ControlPlaneReady=False/" +
			inProgress + " DefaultCNIConfigured=False/ControlPlaneNotReady " +
			"WorkersReady=False/ControlPlaneNotInitialized Ready=False/" + inProgress,
		"ControlPlaneInitialized=True ControlPlaneReady=True " +
			"DefaultCNIConfigured=False/ControlPlaneNotReady WorkersReady=False/ControlPlaneNotInitialized " +
			"Ready=False/ControlPlaneNotReady",
		"ControlPlaneInitialized=True ControlPlaneReady=True DefaultCNIConfigured=True " +
			"WorkersReady=False/ControlPlaneNotInitialized Ready=False/ControlPlaneNotInitialized",
		"ControlPlaneInitialized=True ControlPlaneReady=True DefaultCNIConfigured=True WorkersReady=True " +
			"Ready=True",
	}
	if !slices.Equal(got, want) {
		t.Errorf("a new cluster went through\n%s\nwant\n%s",
			strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !Ready(cluster) {
		t.Error("the cluster is not Ready")
	}
	cluster.SetGeneration(2)
	if Ready(cluster) {
		t.Error("the cluster is Ready although its spec changed")
	}
	nextStatus(cluster, nil, nil)
	if got := summary(cluster); !strings.HasPrefix(got,
		"ControlPlaneInitialized=True ControlPlaneReady=False/RollingUpgradeInProgress") {
		t.Errorf("a changed cluster is %s", got)
	}
	for nextStatus(cluster, nil, nil) {
	}
	if !Ready(cluster) || nested[int64](cluster, "status", "reconciledGeneration") != 2 {
		t.Errorf("the changed cluster did not become Ready: %v", cluster.Object["status"])
	}
}

func TestNextStatus_faults(t *testing.T) {
	t.Parallel()
	cluster := Object(APIVersion, "Cluster", "default", "c")
	cluster.SetGeneration(1)
	for nextStatus(cluster, nil, nil) {
	}
	nextStatus(cluster, nil, &Fault{Condition: ControlPlaneReady, Reason: "NodesNotReady", Message: "m"})
	if got, want := summary(cluster), "ControlPlaneInitialized=True ControlPlaneReady=False/NodesNotReady "+
		"DefaultCNIConfigured=True WorkersReady=True Ready=False/NodesNotReady"; got != want {
		t.Errorf("with a fault: %s, want %s", got, want)
	}
	nextStatus(cluster, nil, &Fault{Condition: ReadyCondition, Reason: "Whatever"})
	if got := conditionOf(cluster, ReadyCondition); got["status"] != "False" || got["reason"] != "Whatever" {
		t.Errorf("with a fault of Ready alone: %v", got)
	}
	nextStatus(cluster, &failure{"ClusterInvalid", "m"}, nil)
	if nested[string](cluster, "status", "failureReason") != "ClusterInvalid" ||
		ConditionTrue(cluster, ReadyCondition) {
		t.Errorf("failed: %v", cluster.Object["status"])
	}
	for nextStatus(cluster, nil, nil) {
	}
	if !Ready(cluster) || nested[string](cluster, "status", "failureReason") != "" {
		t.Errorf("healed: %v", cluster.Object["status"])
	}
}

func TestReferences_each(t *testing.T) {
	t.Parallel()
	cluster := object(t, "Cluster c", `
  datacenterRef: {kind: VSphereDatacenterConfig, name: d},
  controlPlaneConfiguration: {machineGroupRef: {kind: VSphereMachineConfig, name: a}},
  externalEtcdConfiguration: {machineGroupRef: {kind: VSphereMachineConfig, name: a}},
  workerNodeGroupConfigurations: [{machineGroupRef: {kind: VSphereMachineConfig, name: b}}],
  gitOpsRef: {kind: FluxConfig, name: f},
  identityProviderRefs: [{kind: OIDCConfig, name: o}, {kind: Nonsense, name: n}]`)
	want := []reference{
		{"VSphereDatacenterConfig", "d"}, {"VSphereMachineConfig", "a"}, {"VSphereMachineConfig", "b"},
		{"FluxConfig", "f"}, {"OIDCConfig", "o"},
	}
	if got := references(cluster); !slices.Equal(got, want) {
		t.Errorf("references are %v, want %v", got, want)
	}
}

func TestReleaseName_plus(t *testing.T) {
	t.Parallel()
	if got, want := ReleaseName("v0.26.0+build.1"), "eksa-v0-26-0-plus-build-1"; got != want {
		t.Errorf("ReleaseName is %s, want %s", got, want)
	}
}
