//go:build unix

package stack_test

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

var (
	//go:embed testdata/management.yaml
	managementCluster []byte
	//go:embed testdata/workload.yaml
	workloadCluster []byte
)

func clusterNamed(name string) *unstructured.Unstructured {
	return eksacontroller.Object(eksacontroller.APIVersion, "Cluster", "default", name)
}

func TestEKSA_managementAndWorkloadClusters(t *testing.T) {
	s, ctx := reset(t), t.Context()
	began := time.Now()
	if err := s.SeedManagementCluster(ctx, managementCluster); err != nil {
		t.Fatal(err)
	}
	t.Logf("management cluster in %s", time.Since(began))
	mgmt := clusterNamed("mgmt")
	if err := s.Client().Get(ctx, client.ObjectKeyFromObject(mgmt), mgmt); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := unstructured.NestedMap(mgmt.Object, "spec", "gitOpsRef"); found {
		t.Error("the management cluster has a gitOpsRef")
	}
	if got := mgmt.GetAnnotations()[eksacontroller.ManagedByCLI]; got != "" {
		t.Errorf("the management cluster is annotated managed-by-cli=%s", got)
	}
	began = time.Now()
	if err := s.Apply(ctx, workloadCluster); err != nil {
		t.Fatal(err)
	}
	dev := clusterNamed("dev")
	wait(t, s, dev, "ready", func() bool { return eksacontroller.Ready(dev) })
	t.Logf("workload cluster in %s", time.Since(began))
	if version, _, _ := unstructured.NestedString(dev.Object, "spec", "eksaVersion"); version != "v0.26.0" {
		t.Errorf("the workload cluster's eksaVersion is %q, want that of the management cluster", version)
	}
	if got := dev.GetFinalizers(); len(got) != 1 || got[0] != eksacontroller.Finalizer {
		t.Errorf("finalizers are %q", got)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "eksa-system", Name: "dev-kubeconfig"}}
	if err := s.Client().Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(secret.Data["value"]), eksacontroller.SentinelToken("dev")) {
		t.Errorf("the kubeconfig does not hold the sentinel:\n%s", secret.Data["value"])
	}
	flux := eksacontroller.Object(eksacontroller.APIVersion, "FluxConfig", "default", "dev")
	if err := s.Client().Get(ctx, client.ObjectKeyFromObject(flux), flux); err != nil {
		t.Fatal(err)
	}
	if branch, _, _ := unstructured.NestedString(flux.Object, "spec", "branch"); branch != "main" {
		t.Errorf("the FluxConfig's branch is %q, want the default", branch)
	}
	if owners := flux.GetOwnerReferences(); len(owners) != 1 || owners[0].Name != "dev" {
		t.Errorf("the FluxConfig's owners are %v", owners)
	}

	s.EKSA().HoldDeletion("default", "dev")
	if err := s.Client().Delete(ctx, dev); err != nil {
		t.Fatal(err)
	}
	wait(t, s, dev, "being deleted", func() bool { return dev.GetDeletionTimestamp() != nil })
	s.EKSA().Heal("default", "dev")
	waitGone(t, s.Client(), dev)
	waitGone(t, s.Client(), flux)
	waitGone(t, s.Client(), secret)
}

func waitGone(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%s is still there (%v)", object.GetName(), err)
		}
		<-time.After(25 * time.Millisecond)
	}
}

// TestEKSA_mutations: what EKS Anywhere's mutating webhooks make of a value
// does not change when it is applied again, but for cni, which is refused then
// beside the cniConfig that it has become.
func TestEKSA_mutations(t *testing.T) {
	s, ctx := reset(t), t.Context()
	if err := s.SeedManagementCluster(ctx, managementCluster); err != nil {
		t.Fatal(err)
	}
	relative := strings.Replace(string(workloadCluster), "network: /berlin/network/lab", "network: lab", 1)
	for range 2 {
		if err := s.Apply(ctx, []byte(relative)); err != nil {
			t.Fatal(err)
		}
	}
	datacenter := eksacontroller.Object(eksacontroller.APIVersion, "VSphereDatacenterConfig", "default",
		"dev")
	if err := s.Client().Get(ctx, client.ObjectKeyFromObject(datacenter), datacenter); err != nil {
		t.Fatal(err)
	}
	if network, _, _ := unstructured.NestedString(datacenter.Object, "spec", "network"); network !=
		"/berlin/network/lab" {
		t.Errorf("the network is %q", network)
	}
	other := strings.NewReplacer("name: dev\nspec:\n  kubernetesVersion",
		"name: other\nspec:\n  kubernetesVersion", "cniConfig:\n      cilium: {}",
		"cni: cilium").Replace(string(workloadCluster))
	other, _, _ = strings.Cut(other, "\n---\n")
	if err := s.Apply(ctx, []byte(other)); err != nil {
		t.Fatalf("the first time: %v", err)
	}
	err := s.Apply(ctx, []byte(other))
	if err == nil || !strings.Contains(err.Error(), "both old and new formats used") {
		t.Errorf("the second time: %v", err)
	}
}

func TestEKSA_faults(t *testing.T) {
	s, ctx := reset(t), t.Context()
	if err := s.SeedManagementCluster(ctx, managementCluster); err != nil {
		t.Fatal(err)
	}
	reason := func(cluster *unstructured.Unstructured) string {
		reason, _, _ := unstructured.NestedString(cluster.Object, "status", "failureReason")
		return reason
	}
	s.EKSA().KeepNotReady("default", "dev",
		eksacontroller.Fault{Reason: "MachineDeploymentNotReady", Message: "no machines"})
	withoutFlux := strings.Split(string(workloadCluster), "# FluxConfig")
	if err := s.Apply(ctx, []byte(withoutFlux[0])); err != nil {
		t.Fatal(err)
	}
	dev := clusterNamed("dev")
	wait(t, s, dev, "failed", func() bool { return reason(dev) == eksacontroller.MissingDependentObjects })
	if err := s.Apply(ctx, workloadCluster); err != nil {
		t.Fatal(err)
	}
	wait(t, s, dev, "kept from Ready", func() bool {
		return reason(dev) == "" && eksacontroller.ConditionTrue(dev, eksacontroller.DefaultCNIConfigured) &&
			strings.Contains(fmt.Sprint(dev.Object["status"]),
				"message:no machines reason:MachineDeploymentNotReady")
	})
	s.EKSA().Fail("default", "dev", "DatacenterConfigInvalid", "vcenter says no")
	wait(t, s, dev, "failed", func() bool { return reason(dev) == "DatacenterConfigInvalid" })
	s.EKSA().Heal("", "")
	wait(t, s, dev, "ready", func() bool { return eksacontroller.Ready(dev) })
	s.EKSA().KeepNotReady("default", "dev", eksacontroller.Fault{Condition: eksacontroller.ControlPlaneReady})
	wait(t, s, dev, "no longer ready",
		func() bool { return !eksacontroller.ConditionTrue(dev, eksacontroller.ReadyCondition) })
}

func TestEKSA_webhookRefuses(t *testing.T) {
	s, ctx := reset(t), t.Context()
	if err := s.SeedManagementCluster(ctx, managementCluster); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, workloadCluster); err != nil {
		t.Fatal(err)
	}
	patch := func(kind, name, patch string) error {
		object := eksacontroller.Object(eksacontroller.APIVersion, kind, "default", name)
		return s.Client().Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))
	}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"datacenter", patch("VSphereDatacenterConfig", "dev", `{"spec":{"server":"other"}}`),
			"spec.server: Forbidden: field is immutable"},
		{"flux", patch("FluxConfig", "dev", `{"spec":{"branch":"other"}}`),
			"spec: Forbidden: config is immutable"},
		{"version", patch("Cluster", "dev", `{"spec":{"kubernetesVersion":"1.35"}}`),
			"only +1 minor version skew is supported"},
		{"gitOpsRef", patch("Cluster", "dev", `{"spec":{"gitOpsRef":null}}`),
			"spec.gitOpsRef: Forbidden: field is immutable"},
		{"create", s.Apply(ctx, fmt.Appendf(nil, "{apiVersion: %s, kind: Cluster, metadata: {name: "+
			"second}, spec: {}}", eksacontroller.APIVersion)),
			"creating new cluster on existing cluster is not supported"},
		{"allowed", patch("Cluster", "dev", `{"spec":{"kubernetesVersion":"1.34"}}`), ""},
	} {
		switch {
		case test.want == "" && test.err != nil, test.want != "" && test.err == nil:
			t.Errorf("%s: %v, want %q", test.name, test.err, test.want)
		case test.want != "" && !(strings.Contains(test.err.Error(), "denied the request") &&
			strings.Contains(test.err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, test.err, test.want)
		}
	}
}

// TestEKSA_managementDeleted: nothing refuses the deletion of a management cluster, and nothing ends it.
func TestEKSA_managementDeleted(t *testing.T) {
	s, ctx := reset(t), t.Context()
	if err := s.SeedManagementCluster(ctx, managementCluster); err != nil {
		t.Fatal(err)
	}
	mgmt := clusterNamed("mgmt")
	if err := s.Client().Delete(ctx, mgmt); err != nil {
		t.Fatal(err)
	}
	wait(t, s, mgmt, "marked and kept", func() bool {
		message, _, _ := unstructured.NestedString(mgmt.Object, "status", "failureMessage")
		return mgmt.GetDeletionTimestamp() != nil &&
			message == "deleting self-managed clusters is not supported"
	})
}

// TestEKSA_managerElsewhere: a cluster may be in another namespace than its management cluster.
func TestEKSA_managerElsewhere(t *testing.T) {
	s, ctx := reset(t), t.Context()
	if err := s.SeedManagementCluster(ctx, managementCluster); err != nil {
		t.Fatal(err)
	}
	elsewhere := bytes.ReplaceAll(workloadCluster, []byte("namespace: default"), []byte("namespace: fleet"))
	if err := s.Apply(ctx, []byte("{apiVersion: v1, kind: Namespace, metadata: {name: fleet}}")); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, elsewhere); err != nil {
		t.Fatal(err)
	}
	dev := eksacontroller.Object(eksacontroller.APIVersion, "Cluster", "fleet", "dev")
	wait(t, s, dev, "ready", func() bool { return eksacontroller.Ready(dev) })
}
