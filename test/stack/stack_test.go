//go:build unix

package stack_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// One stack serves all tests of the package, one after the other: each that
// wants a fresh cluster resets it.
var shared *stack.Stack

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx := context.Background()
	if os.Getenv(victim) != "" {
		return beVictim(ctx)
	}
	bins, err := stack.Binaries(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	began := time.Now()
	shared, err = stack.Start(ctx, stack.Options{Bins: &bins, Flux: stack.FluxWhenInstalled})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "stack started in %s\n", time.Since(began))
	code = m.Run()
	if err := errors.Join(shared.Stop(), leftOver(shared.Dir())); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// leftOver finds what a stopped stack should have taken with it.
func leftOver(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the stack's directory is still there: %v", err)
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, path := range commands {
		if command, err := os.ReadFile(path); err == nil && strings.Contains(string(command), dir) {
			return fmt.Errorf("a process is left: %s", strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return nil
}

func reset(t *testing.T) *stack.Stack {
	t.Helper()
	began := time.Now()
	if err := shared.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("reset in %s", time.Since(began))
	return shared
}

// operator is a client of the program under test's own user and user agent.
func operator(t *testing.T, s *stack.Stack) client.Client {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.UserAgent = "eksa-gitops/v0.0.0-test"
	return clientFor(t, config)
}

func clientFor(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wait(t *testing.T, s *stack.Stack, object client.Object, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.WaitFor(ctx, object, what, ok); err != nil {
		t.Fatal(err)
	}
}

func TestStack_deploymentBecomesReady(t *testing.T) {
	s := shared
	const deployment = `
apiVersion: v1
kind: Namespace
metadata:
  name: web
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: web
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web}]
`
	began := time.Now()
	if err := s.Apply(t.Context(), []byte(deployment)); err != nil {
		t.Fatal(err)
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "web"}}
	wait(t, s, d, "available", func() bool { return d.Status.AvailableReplicas == 2 })
	t.Logf("available in %s", time.Since(began))
}

func TestStack_kubeconfigs(t *testing.T) {
	s := shared
	for _, path := range []string{s.Kubeconfig(), s.AdminKubeconfig()} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s, want 0600", path, info.Mode())
		}
	}
	path, err := s.KubeconfigFor("nobody-special", "some-group")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	err = clientFor(t, config).List(t.Context(), &corev1.SecretList{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "nobody-special") {
		t.Errorf("listing secrets as nobody-special: %v, want Forbidden", err)
	}
	if err := operator(t, s).List(t.Context(), &corev1.SecretList{}); err != nil {
		t.Errorf("listing secrets as operator: %v", err)
	}
}

func TestStack_mutatingRequests(t *testing.T) {
	s, ctx := shared, t.Context()
	c := operator(t, s)
	before := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "counted-before"}}
	if err := c.Create(ctx, before); err != nil {
		t.Fatal(err)
	}
	mark, err := s.Mark(ctx)
	if err != nil {
		t.Fatal(err)
	}
	one := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "counted"}}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets"},
	}}
	dry := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "counted-dry"}}
	for what, err := range map[string]error{
		"review":  c.Create(ctx, review),
		"dry run": c.Create(ctx, dry, client.DryRunAll),
		"list":    c.List(ctx, &corev1.ConfigMapList{}),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if err := c.Create(ctx, one); err != nil {
		t.Fatal(err)
	}
	if err := c.Patch(ctx, one, client.RawPatch(types.MergePatchType, []byte(`{"data":{"a":"b"}}`))); err !=
		nil {
		t.Fatal(err)
	}
	again := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "counted"}}
	if err := c.Create(ctx, again); !apierrors.IsAlreadyExists(err) {
		t.Fatalf("creating it again: %v", err)
	}
	if err := s.Client().Delete(ctx, before); err != nil { // somebody else
		t.Fatal(err)
	}
	want := []string{"create 201", "patch 200", "create 409"}
	for _, who := range []string{"eksa-gitops/", "operator"} {
		requests, err := s.MutatingRequests(ctx, who, mark)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range requests {
			got = append(got, fmt.Sprintf("%s %d", r.Verb, r.Code))
		}
		if !slices.Equal(got, want) {
			t.Errorf("requests of %s: %v, want %v", who, requests, want)
		}
	}
	everybody, err := s.MutatingRequests(ctx, "", mark)
	if err != nil {
		t.Fatal(err)
	}
	if len(everybody) != 4 || everybody[3].User != "stack-admin" {
		t.Errorf("requests of everybody: %v, want 4, the last of stack-admin", everybody)
	}
}

func TestStack_apiServerFaults(t *testing.T) {
	s, ctx := shared, t.Context()
	config := s.RESTConfig()
	config.Timeout = 300 * time.Millisecond
	c := clientFor(t, config)
	node := func() error { return c.Get(ctx, client.ObjectKey{Name: "node-0"}, &corev1.Node{}) }
	if err := node(); err != nil {
		t.Fatal(err)
	}
	if err := s.FreezeAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := node(); err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("frozen: %v, want a timeout", err)
	}
	if err := s.ThawAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := s.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	config.Timeout = 10 * time.Second
	c = clientFor(t, config) // which has no connection from before
	if err := node(); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("stopped: %v, want connection refused", err)
	}
	if err := s.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	if err := node(); err != nil {
		t.Errorf("started again: %v", err)
	}
}

func TestStack_resetBringsBackTheFreshCluster(t *testing.T) {
	s := reset(t)
	if err := s.Apply(t.Context(),
		[]byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: trace}}")); err != nil {
		t.Fatal(err)
	}
	if err := s.SeedManagementCluster(t.Context(), managementCluster); err != nil {
		t.Fatal(err)
	}
	s = reset(t)
	c := operator(t, s) // the old kubeconfig is still good
	err := c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "trace"}, &corev1.ConfigMap{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("after a reset: %v, want NotFound", err)
	}
	clusters := &unstructured.UnstructuredList{}
	clusters.SetAPIVersion(eksacontroller.APIVersion)
	clusters.SetKind("ClusterList")
	if err := c.List(t.Context(), clusters); err != nil || len(clusters.Items) != 0 {
		t.Errorf("after a reset: %d clusters, %v", len(clusters.Items), err)
	}
	if err := s.SeedManagementCluster(t.Context(), managementCluster); err != nil {
		t.Fatal(err)
	}
}

// Several states are kept side by side, and brought back in any order.
func TestStack_states(t *testing.T) {
	s := reset(t)
	states := map[string]*stack.State{}
	for _, name := range []string{"one", "two"} {
		trace := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		if err := s.Client().Create(t.Context(), trace); err != nil {
			t.Fatal(err)
		}
		state, err := s.Save(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		states[name] = state
	}
	for _, c := range []struct {
		state string
		want  []string
	}{{"one", []string{"one"}}, {"two", []string{"one", "two"}}, {"one", []string{"one"}}} {
		if err := s.Restore(t.Context(), states[c.state]); err != nil {
			t.Fatal(err)
		}
		var list corev1.ConfigMapList
		if err := s.Client().List(t.Context(), &list, client.InNamespace("default")); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, item := range list.Items {
			if item.Name != "kube-root-ca.crt" {
				got = append(got, item.Name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("state %s holds %v, want %v", c.state, got, c.want)
		}
	}
}

func TestStack_heldPods(t *testing.T) {
	s, ctx := shared, t.Context()
	began := time.Now()
	release, err := s.HoldPods(ctx, "default", "held", "ImagePullBackOff")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("held in %s", time.Since(began))
	pod := func(name, generateName string) *corev1.Pod {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, GenerateName: generateName},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}
		if err := s.Client().Create(ctx, p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	// A controller's pods have no name of their own.
	free := []*corev1.Pod{pod("free-1", ""), pod("", "free-")}
	held := []*corev1.Pod{pod("held-1", ""), pod("", "held-")}
	running := func(pods []*corev1.Pod) {
		t.Helper()
		for _, p := range pods {
			wait(t, s, p, "running", func() bool { return p.Status.Phase == corev1.PodRunning })
		}
	}
	running(free)
	for _, p := range held {
		wait(t, s, p, "held", func() bool {
			return len(p.Status.ContainerStatuses) == 1 &&
				p.Status.ContainerStatuses[0].State.Waiting.Reason == "ImagePullBackOff"
		})
	}
	if err := release(ctx); err != nil {
		t.Fatal(err)
	}
	running(held)
	if err := release(ctx); err != nil {
		t.Errorf("releasing again: %v", err)
	}
}
