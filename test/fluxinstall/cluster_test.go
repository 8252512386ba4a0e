//go:build unix

package fluxinstall_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// workload is a workload cluster's objects.
func workload(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("testdata/mgmt.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(content), "name: mgmt", "name: "+name)
	return []byte(strings.Replace(text, "managementCluster:\n    name: "+name,
		"managementCluster:\n    name: mgmt", 1))
}

// A workload cluster from before Flux has applied it until its kubeconfig, with what goes wrong on the way.
func TestWaitCluster(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	var missing *fluxinstall.KubeconfigNotFoundError
	if _, err := w.cluster.Kubeconfig(ctx, "dev"); !errors.As(err, &missing) ||
		!slices.Equal(missing.Known, []string{"mgmt"}) {
		t.Errorf("kubeconfig: %v", err)
	}

	w.stack.EKSA().KeepNotReady("default", "dev",
		eksacontroller.Fault{Condition: "WorkersReady", Reason: "ScalingUp", Message: "0 of 1 machines"})
	told, result := make(chan string, 1000), make(chan error, 1)
	go func() {
		result <- w.cluster.WaitCluster(ctx, "default", "dev",
			func(p fluxinstall.Progress) { told <- p.Message })
	}()
	var heard []string
	hears := func(text string) {
		t.Helper()
		for deadline := time.After(patience); ; {
			select {
			case message := <-told:
				if len(heard) > 0 && heard[len(heard)-1] == message {
					t.Errorf("told twice: %s", message)
				}
				if heard = append(heard, message); strings.Contains(message, text) {
					return
				}
			case err := <-result:
				t.Fatalf("the wait has ended: %v", err)
			case <-deadline:
				t.Fatalf("did not hear %q; heard:\n%s", text, strings.Join(heard, "\n"))
			}
		}
	}
	hears("Cluster default/dev is not ready: Flux has not created it yet")
	if err := w.stack.Apply(ctx, workload(t, "dev")); err != nil {
		t.Fatal(err)
	}
	hears("WorkersReady (ScalingUp): 0 of 1 machines")

	short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	err := w.cluster.WaitCluster(short, "default", "dev", nil)
	var notReady *fluxinstall.NotReadyError
	if !errors.As(err, &notReady) || !strings.Contains(err.Error(), "0 of 1 machines") ||
		notReady.Next != "kubectl -n default get clusters.anywhere.eks.amazonaws.com dev -o yaml" {
		t.Errorf("time limit: %v", err)
	}

	w.stack.EKSA().Fail("default", "dev", "MachineConfigInvalid", "no such template")
	hears("Cluster default/dev is not ready (MachineConfigInvalid): no such template")
	w.stack.EKSA().Heal("default", "dev")
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := w.cluster.Kubeconfig(ctx, "dev")
	if err != nil || !strings.Contains(kubeconfig.Reveal(), eksacontroller.SentinelToken("dev")) {
		t.Errorf("kubeconfig: %v", err)
	}
	if state := w.inspect(); !state.HasCluster("default", "dev") || len(state.ManagementClusters()) != 1 {
		t.Errorf("clusters: %+v", state.Clusters)
	}
}

// Rights: each refusal names the one that is missing.
func TestForbidden(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	path, err := w.stack.KubeconfigFor("intern")
	if err != nil {
		t.Fatal(err)
	}
	intern := connect(t, path)
	refused := func(err error) *fluxinstall.ForbiddenError {
		t.Helper()
		var refused *fluxinstall.ForbiddenError
		if !errors.As(err, &refused) {
			t.Fatalf("error %T %v", err, err)
		}
		return refused
	}
	_, err = intern.Inspect(ctx, fluxinstall.InspectOptions{SystemNamespace: namespace})
	if got, want := refused(err).Hint(),
		`the user needs a ClusterRole with the rule: apiGroups ["anywhere.eks.amazonaws.com"], resources ["clusters"], verbs ["list"]`; got !=
		want {
		t.Errorf("hint %s, want %s", got, want)
	}
	_, err = intern.EnsureNamespace(ctx, namespace)
	if got := refused(err); got.Verb != "get" || got.Resource != "namespaces" || got.Group != "" {
		t.Errorf("%+v", got)
	}
	_, err = intern.Kubeconfig(ctx, "mgmt")
	if got := refused(err); got.Verb != "get" || got.Resource != "secrets" || got.Namespace != "eksa-system" {
		t.Errorf("%+v", got)
	}
	// Who may do all but is no administrator cannot give Flux what he does not have.
	err = w.stack.Apply(ctx, []byte(
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: nearly}, rules: [
  {apiGroups: ["", apps, apiextensions.k8s.io, networking.k8s.io], resources: ["*"], verbs: ["*"]},
  {apiGroups: [rbac.authorization.k8s.io], resources: ["*"], verbs: [get, list, create, patch]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: nearly}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nearly}, subjects: [{kind: User, name: intern}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	components, _ := w.built()
	var last *fluxinstall.ForbiddenError
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		// The new right takes a moment to be known.
		if last = refused(func() error {
			_, err := intern.EnsureComponents(ctx, components, nil)
			return err
		}()); last.Escalation {
			break
		}
	}
	if !last.Escalation || !strings.Contains(last.Hint(), "cluster-admin") {
		t.Errorf("%+v", last)
	}

	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shape, _, found := strings.Cut(string(content), "users:\n")
	if !found {
		t.Fatal("the kubeconfig has no users")
	}
	wrong := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(wrong, []byte(shape+"users:\n- name: user\n  user: {token: expired-sentinel}\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	_, err = connect(t, wrong).Inspect(ctx, fluxinstall.InspectOptions{})
	if got := refused(err); !got.Unknown || strings.Contains(err.Error(), "sentinel") {
		t.Errorf("%+v", got)
	}
}

// An API server that goes away is waited for once it has answered; one that never did is reported at once.
func TestUnreachable(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.inspect()
	if err := w.stack.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err := connect(t, w.stack.Kubeconfig()).Inspect(ctx, fluxinstall.InspectOptions{})
	if !errors.As(err, new(*fluxinstall.UnreachableError)) || time.Since(began) > 10*time.Second {
		t.Errorf("error %v after %s", err, time.Since(began))
	}
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err = w.cluster.WaitSynced(short, w.wait(), nil)
	if !errors.As(err, new(*fluxinstall.UnreachableError)) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting: %v", err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := w.cluster.EnsureNamespace(ctx, namespace)
		result <- err
	}()
	if err := w.stack.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}

	// The same in the middle of the work.
	w.install(true)
	wait := w.begin(patience)
	if err := w.stack.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := w.stack.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	if err := wait.ends(); err != nil {
		t.Error(err)
	}
}

// A wait that is interrupted ends at once, also while the server hangs.
func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	w.install(false)
	wait := w.begin(patience)
	wait.hears("is not ready")
	if err := w.stack.FreezeAPIServer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.stack.ThawAPIServer(); err != nil {
			t.Error(err)
		}
	})
	began := time.Now()
	wait.cancel()
	if err := wait.ends(); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
}
