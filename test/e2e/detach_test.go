package e2e_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// waitGone waits until an object is not there any more.
func waitGone(t testing.TB, u *unstructured.Unstructured) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := stackOf(t).Client().Get(ctx, client.ObjectKeyFromObject(u), u)
		if apierrors.IsNotFound(err) {
			return
		}
		if err != nil {
			t.Fatalf("%s %s does not go: %v", u.GetKind(), u.GetName(), err)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s %s does not go", u.GetKind(), u.GetName())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// detached asserts that nothing of GitOps is left, anywhere, and that the cluster is.
func (w *world) detached() {
	t := w.t
	t.Helper()
	for file := range w.files() {
		if strings.HasPrefix(file, "clusters/mgmt/flux-system/gotk") ||
			strings.Contains(file, "/eksa-system/") {
			t.Errorf("%s is still in Git", file)
		}
	}
	if got := w.gh.Repo("alice/fleet").DeployKeys(); len(got) != 0 {
		t.Errorf("deploy keys: %+v", got)
	}
	if names := fluxCRDs(t); len(names) > 0 {
		t.Errorf("CRDs: %v", names)
	}
	for _, u := range []*unstructured.Unstructured{
		reference("apps", "v1", "Deployment", "flux-system", "source-controller"),
		reference("", "v1", "Secret", "flux-system", "flux-system"),
		reference("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "",
			"cluster-reconciler-flux-system"),
		reference(eksaGroup, "v1alpha1", "FluxConfig", "default", "mgmt"),
	} {
		if is, there := exists(t, u.GroupVersionKind().Group, u.GroupVersionKind().Version, u.GetKind(),
			u.GetNamespace(), u.GetName()); there && is.GetDeletionTimestamp() == nil {
			t.Errorf("%s %s is still there", u.GetKind(), u.GetName())
		}
	}
	for _, u := range own() {
		if is := object(t, eksaGroup, "v1alpha1", u.GetKind(), "default",
			u.GetName()); is.GetDeletionTimestamp() != nil {
			t.Errorf("%s %s is being deleted", u.GetKind(), u.GetName())
		}
	}
	if ref, there, _ := unstructured.NestedFieldNoCopy(clusterObject(t, "mgmt").Object, "spec",
		"gitOpsRef"); there {
		t.Errorf("gitOpsRef: %v", ref)
	}
}

// A management cluster is detached wholly, what others have in the same places stays, the next run writes
// nothing, and the cluster can be managed through Git again.
func TestDelete_management(t *testing.T) {
	w := newFleet(t)
	w.push(gittest.Change{Files: map[string]string{"README.md": "fleet\n",
		"clusters/mgmt/flux-system/NOTES.md": "patches: ask Ann\n"}})
	// A namespace with a Secret of somebody's, and a Kustomization from this repository.
	w.push(gittest.Change{Files: map[string]string{"clusters/mgmt/apps.yaml": `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: apps
  namespace: flux-system
spec:
  interval: 1h
  path: ./apps
  prune: true
  sourceRef:
    kind: GitRepository
    name: flux-system
`, "apps/settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n" +
		"  namespace: default\ndata: {a: b}\n"}})
	requestReconcile(t)
	settings := reference("", "v1", "ConfigMap", "default", "settings")
	waitFor(t, settings, "the application is there",
		func(u *unstructured.Unstructured) bool { return u.GetUID() != "" })
	if err := stackOf(t).Apply(t.Context(), []byte("apiVersion: v1\nkind: Secret\nmetadata:\n"+
		"  name: sops-age\n  namespace: flux-system\nstringData: {a: b}\n")); err != nil {
		t.Fatal(err)
	}
	before := w.mark()
	w.run("delete", "cluster", "mgmt", "--dry-run").exits(0).prints("Management cluster mgmt (namespace "+
		"default, Kubernetes 1.33) is detached from Git and keeps running.",
		"object  Kustomization flux-system/apps", "delete  clusters/mgmt/flux-system/gotk-components.yaml",
		"keep    clusters/mgmt/flux-system/NOTES.md").tells("Stop Flux (planned)",
		"Remove the deploy key (planned)", "Uninstall Flux (v2.9.4, planned)")
	before.writesNothing()

	out := w.run("delete", "cluster", "mgmt", "--yes").exits(0)
	out.prints("Management cluster mgmt is detached from Git.",
		"kept        clusters/mgmt/flux-system/NOTES.md", "Next:")
	out.tells("Stop Flux", "Remove the deploy key (eksa-gitops mgmt/flux-system)", "Uninstall Flux",
		"namespace flux-system stays: it holds Secret sops-age")
	w.detached()
	for _, file := range []string{"README.md", "clusters/mgmt/flux-system/NOTES.md",
		"clusters/mgmt/apps.yaml", "apps/settings.yaml"} {
		if w.files()[file] == "" {
			t.Errorf("%s is gone: %v", file, keys(w.files()))
		}
	}
	if log := w.gh.Repo("alice/fleet").Git().Log("main"); log[0].Subject() !=
		"Detach management cluster mgmt" {
		t.Errorf("last commit: %+v", log[0])
	}
	if _, there := exists(t, "", "v1", "ConfigMap", "default", "settings"); !there {
		t.Error("what Flux had applied for the application is gone")
	}

	before = w.mark()
	w.run("delete", "cluster", "mgmt", "--yes").exits(0).prints(
		"Nothing to do: management cluster mgmt is detached from Git.")
	w.run("delete", "cluster", "-f", "mgmt.yaml", "--yes").exits(0).prints("Nothing to do")
	before.writesNothing()

	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt is managed through Git.")
	w.run("delete", "cluster", "mgmt", "--yes").exits(0)
	w.detached()
}

// Whatever a run was doing when it was killed, or when GitHub failed, the next one finishes.
func TestDelete_managementKilled(t *testing.T) {
	w := newFleet(t)
	heal := w.gh.Break("DELETE /repos/*/*/keys/*",
		githubtest.Respond(403, `{"message":"Resource not accessible by personal access token"}`))
	w.run("delete", "cluster", "mgmt", "--yes").exits(4).tells("removing a deploy key of alice/fleet",
		"continue with: eksa-gitops delete cluster mgmt --yes")
	if u := object(t, kustomizeGroup, "v1", "Kustomization", "flux-system",
		"flux-system"); at(t, u, "spec", "suspend") != true {
		t.Error("Flux was not stopped before")
	}
	heal()
	for after := 150 * time.Millisecond; after <= 1200*time.Millisecond; after += 150 * time.Millisecond {
		p := w.start("delete", "cluster", "mgmt", "--yes")
		time.Sleep(after) // whatever it is doing then
		_ = p.cmd.Process.Signal(syscall.SIGKILL)
		_ = p.cmd.Wait()
	}
	w.run("delete", "cluster", "mgmt", "--yes").exits(0)
	w.detached()
	before := w.mark()
	w.run("delete", "cluster", "mgmt", "--yes").exits(0).prints("Nothing to do")
	before.writesNothing()
}

// A detachment that is broken off can be taken back: create resumes what it suspended. What somebody else
// suspended it leaves, and says so.
func TestDelete_managementTakenBack(t *testing.T) {
	w := newFleet(t)
	heal := w.gh.Break("DELETE /repos/*/*/keys/*",
		githubtest.Respond(403, `{"message":"Resource not accessible by personal access token"}`))
	w.run("delete", "cluster", "mgmt", "--yes").exits(4)
	heal()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0).tells(
		"Point Flux at the repository (planned)")
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt is managed through Git.")
	for group, kind := range map[string]string{kustomizeGroup: "Kustomization",
		sourceGroup: "GitRepository"} {
		if u := object(t, group, "v1", kind, "flux-system",
			"flux-system"); at(t, u, "spec", "suspend") != nil {
			t.Errorf("%s is still suspended", kind)
		}
	}
	w.until(statusArgs, 0, "All is well.")
	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()

	suspend(t, true)
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(3).tells(
		"Kustomization flux-system/flux-system is suspended, so that Flux would not apply the change",
		"resume it first: kubectl -n flux-system patch")
	if u := object(t, kustomizeGroup, "v1", "Kustomization", "flux-system",
		"flux-system"); at(t, u, "spec", "suspend") != true {
		t.Error("the person's suspension is gone")
	}
}

// Without its repository a management cluster can still get rid of Flux; the files go later, by the cluster's
// file.
func TestDelete_managementWithoutRepository(t *testing.T) {
	w := newFleet(t)
	heal := w.gh.Break("* /**", githubtest.Respond(404, `{"message":"Not Found"}`))
	w.run("delete", "cluster", "mgmt", "--yes", "--from", "cluster").exits(0).prints(
		"Management cluster mgmt is detached from Git.").tells(
		`deploy key "eksa-gitops mgmt/flux-system" (SHA256:`, "stay at alice/fleet")
	heal()
	if names := fluxCRDs(t); len(names) > 0 {
		t.Errorf("CRDs: %v", names)
	}
	// The Secret, which tells whose the deploy key is, is gone.
	w.run("delete", "cluster", "-f", "mgmt.yaml", "--yes").exits(0).tells(
		`deploy key "eksa-gitops mgmt/flux-system" of alice/fleet stays`)
	removeDeployKeys(w, "alice/fleet")
	w.detached()
}

// The same on any Git server; nobody can take a key away from there.
func TestDelete_openSSH(t *testing.T) {
	w := newSSHWorld(t)
	repo := w.git.AddRepo("acme/fleet")
	w.run("create", "cluster", "-f", "mgmt.yaml", "--cluster-private-key", w.clusterFile).exits(0)
	w.run("create", "cluster", "-f", "dev.yaml").exits(0)
	w.run("delete", "cluster", "dev", "--yes").exits(0).prints("Cluster dev is gone.")
	if hasCluster(t, "dev") {
		t.Error("dev is still there")
	}
	w.run("delete", "cluster", "mgmt", "--yes").exits(0).tells(
		"the Git server still accepts the key that Flux read the repository with (SHA256:")
	if files := repo.Paths("main"); len(files) != 0 {
		t.Errorf("files: %v", files)
	}
	if names := fluxCRDs(t); len(names) > 0 {
		t.Errorf("CRDs: %v", names)
	}
	before := w.mark()
	w.run("delete", "cluster", "-f", "mgmt.yaml", "--yes").exits(0).prints("Nothing to do")
	before.writesNothing()
}
