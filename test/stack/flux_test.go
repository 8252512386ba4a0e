//go:build unix

package stack_test

import (
	"bytes"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// fluxDefinitions are the custom resource definitions of the Flux modules the
// stack is built from.
func fluxDefinitions(t *testing.T) []byte {
	t.Helper()
	var all [][]byte
	for _, module := range []string{"github.com/fluxcd/source-controller",
		"github.com/fluxcd/kustomize-controller"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module)
		list.Dir = "build"
		dir, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "bases",
			"*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no definitions in %s: %v", module, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, content)
		}
	}
	return bytes.Join(all, []byte("\n---\n"))
}

// gitServer serves an empty repository over HTTP and returns its URL, and what
// commits a file to it.
func gitServer(t *testing.T) (url string, push func(name, content string) (commit string)) {
	t.Helper()
	root := t.TempDir()
	bare, work := filepath.Join(root, "fleet.git"), filepath.Join(root, "work")
	git := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
			"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t",
			"GIT_COMMITTER_EMAIL=t@example.com")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet", "--bare", "-b", "main", bare)
	git("init", "--quiet", "-b", "main", work)
	server := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(git("--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	})
	t.Cleanup(server.Close)
	return server.URL + "/fleet.git", func(name, content string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		git("-C", work, "add", ".")
		git("-C", work, "commit", "--quiet", "-m", name)
		git("-C", work, "push", "--quiet", bare, "main")
		return git("-C", work, "rev-parse", "HEAD")
	}
}

func TestFlux_followsItsPods(t *testing.T) {
	s, ctx := reset(t), t.Context()
	url, push := gitServer(t)
	commit := push("one.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: default}}")
	began := time.Now()
	manifests, err := os.ReadFile("testdata/flux.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, manifests); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, fluxDefinitions(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, []byte(strings.ReplaceAll(syncObjects, "URL", url))); err != nil {
		t.Fatal(err)
	}
	waitApplied(t, s, commit)
	t.Logf("installed and applied in %s", time.Since(began))

	// Rolling the Deployment rolls the program.
	if got := starts(s); got != 1 {
		t.Errorf("kustomize-controller was started %d times, want once", got)
	}
	deployment := eksacontroller.Object("apps/v1", "Deployment", "gitops", "kustomize-controller")
	roll := client.RawPatch(types.MergePatchType,
		[]byte(`{"spec":{"template":{"metadata":{"annotations":{"rolled":"1"}}}}}`))
	if err := s.Client().Patch(ctx, deployment, roll); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return starts(s) == 2 })
	if err := s.StartFlux(ctx, "gitops"); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	commit = push("two.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: two, namespace: default}}")
	source := eksacontroller.Object("source.toolkit.fluxcd.io/v1", "GitRepository", "gitops", "fleet")
	annotate := client.RawPatch(types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":"now"}}}`))
	if err := s.Client().Patch(ctx, source, annotate); err != nil {
		t.Fatal(err)
	}
	waitApplied(t, s, commit)
	t.Logf("a push applied in %s", time.Since(began))
	two := &corev1.ConfigMap{}
	if err := s.Client().Get(ctx, client.ObjectKey{Namespace: "default", Name: "two"}, two); err != nil {
		t.Error(err)
	}

	// The audit log tells the controllers by their service accounts.
	requests, err := s.MutatingRequests(ctx, "system:serviceaccount:gitops:kustomize-controller",
		stack.Marker{})
	if err != nil || len(requests) == 0 {
		t.Errorf("requests of kustomize-controller: %v, %v", requests, err)
	}

	// Without pods there is no program.
	scale := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":0}}`))
	if err := s.Client().Patch(ctx, deployment, scale); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return !running(t, s, "kustomize-controller") })
	if !running(t, s, "source-controller") {
		t.Error("source-controller does not run")
	}
	s.StopFlux()
	if running(t, s, "source-controller") {
		t.Error("source-controller runs after StopFlux")
	}
}

const syncObjects = `
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: fleet, namespace: gitops}
spec: {interval: 1h, url: "URL", ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: fleet, namespace: gitops}
spec: {interval: 1h, path: ./, prune: true, sourceRef: {kind: GitRepository, name: fleet}}
`

func waitApplied(t *testing.T, s *stack.Stack, commit string) {
	t.Helper()
	kustomization := eksacontroller.Object("kustomize.toolkit.fluxcd.io/v1", "Kustomization",
		"gitops", "fleet")
	wait(t, s, kustomization, "applied", func() bool {
		revision, _, _ := unstructured.NestedString(kustomization.Object, "status", "lastAppliedRevision")
		return revision == "main@sha1:"+commit && eksacontroller.ConditionTrue(kustomization, "Ready")
	})
}

// starts counts the starts of kustomize-controller.
func starts(s *stack.Stack) int {
	content, err := os.ReadFile(filepath.Join(s.Dir(), "log", "kustomize-controller.log"))
	if err != nil {
		return 0
	}
	return strings.Count(string(content), "--- pod ")
}

// running looks for a process of the stack.
func running(t *testing.T, s *stack.Stack, program string) bool {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range commands {
		command, err := os.ReadFile(path)
		if err != nil || !strings.Contains(strings.SplitN(string(command), "\x00", 2)[0], "/"+program) {
			continue
		}
		environment, err := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		if err == nil && strings.Contains(string(environment), s.Dir()) {
			return true
		}
	}
	return false
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); <-time.After(25 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass")
		}
	}
}
