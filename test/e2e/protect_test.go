package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// fluxOwn are objects without which Flux fetches and applies nothing.
func fluxOwn() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{
		reference("", "v1", "Namespace", "", "flux-system"),
		reference("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "",
			"kustomizations.kustomize.toolkit.fluxcd.io"),
		reference("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "",
			"gitrepositories.source.toolkit.fluxcd.io"),
		reference("apps", "v1", "Deployment", "flux-system", "kustomize-controller"),
		reference("apps", "v1", "Deployment", "flux-system", "source-controller"),
		reference(sourceGroup, "v1", "GitRepository", "flux-system", "flux-system"),
		reference(kustomizeGroup, "v1", "Kustomization", "flux-system", "flux-system"),
	}
}

// uids tells objects from others of the same name.
func uids(t testing.TB, objects []*unstructured.Unstructured) []string {
	t.Helper()
	var out []string
	for _, u := range objects {
		gvk := u.GroupVersionKind()
		is := object(t, gvk.Group, gvk.Version, gvk.Kind, u.GetNamespace(), u.GetName())
		if is.GetDeletionTimestamp() != nil {
			t.Errorf("%s %s is being deleted", gvk.Kind, u.GetName())
		}
		out = append(out, fmt.Sprintf("%s %s %s", gvk.Kind, u.GetName(), is.GetUID()))
	}
	return out
}

// applies waits until a Kustomization has applied a commit.
func applies(t testing.TB, name, commit string) {
	t.Helper()
	requestReconcile(t)
	waitFor(t, reference(kustomizeGroup, "v1", "Kustomization", "flux-system", name),
		"Kustomization "+name+" applies "+commit, func(u *unstructured.Unstructured) bool {
			revision, _, _ := unstructured.NestedString(u.Object, "status", "lastAppliedRevision")
			return strings.HasSuffix(revision, commit)
		})
}

// TestProtection_slips makes mistakes in Git by which Flux would delete the management cluster or itself:
// nothing of either goes, and what was taken back leaves nothing behind. A workload cluster that is taken out
// goes, as documented.
func TestProtection_slips(t *testing.T) {
	w := newFleet(t, "dev")
	const sync, system = "clusters/mgmt/flux-system/gotk-sync.yaml",
		"clusters/mgmt/flux-system/kustomization.yaml"
	good := w.files()
	management := slices.Concat(own(), fluxOwn())
	before := uids(t, management)
	dev := []*unstructured.Unstructured{reference(eksaGroup, "v1alpha1", "Cluster", "default", "dev")}
	devBefore := uids(t, dev)
	unharmed := func(slip string) {
		t.Helper()
		if got := uids(t, management); !slices.Equal(got, before) {
			t.Errorf("%s: there were\n%s\nthere are\n%s",
				slip, strings.Join(before, "\n"), strings.Join(got, "\n"))
		}
		if got := uids(t, dev); !slices.Equal(got, devBefore) {
			t.Errorf("%s: there was %q, there is %q", slip, devBefore, got)
		}
	}

	// The Kustomization is renamed, and named back.
	renamed := strings.Replace(good[sync], "kind: Kustomization\nmetadata:\n  name: flux-system",
		"kind: Kustomization\nmetadata:\n  name: fleet", 1)
	if renamed == good[sync] {
		t.Fatalf("there is nothing to rename in\n%s", good[sync])
	}
	applies(t, "fleet", w.push(gittest.Change{Files: map[string]string{sync: renamed}}))
	unharmed("the Kustomization renamed")
	applies(t, "flux-system", w.push(gittest.Change{Files: map[string]string{sync: good[sync]}}))
	waitGone(t, reference(kustomizeGroup, "v1", "Kustomization", "flux-system", "fleet"))
	unharmed("the Kustomization named back")

	// Flux's manifests are not listed any more, and the management cluster's directory is gone.
	applies(t, "flux-system", w.push(gittest.Change{
		Files: map[string]string{system: "apiVersion: kustomize.config.k8s.io/v1beta1\n" +
			"kind: Kustomization\nresources: []\ngeneratorOptions:\n  disableNameSuffixHash: true\n"},
		Delete: []string{"clusters/mgmt/mgmt"},
	}))
	unharmed("Flux not listed and mgmt gone")
	restored := map[string]string{system: good[system]}
	for file, content := range good {
		if strings.HasPrefix(file, "clusters/mgmt/mgmt/") {
			restored[file] = content
		}
	}
	applies(t, "flux-system", w.push(gittest.Change{Files: restored}))
	unharmed("all restored")
	w.run("status").exits(0)

	applies(t, "flux-system", w.push(gittest.Change{Delete: []string{"clusters/mgmt/dev"}}))
	waitGone(t, dev[0])
	if got := uids(t, management); !slices.Equal(got, before) {
		t.Errorf("dev deleted: there were\n%s\nthere are\n%s",
			strings.Join(before, "\n"), strings.Join(got, "\n"))
	}
}

// TestProtection_upgrade: an installation as it was written before is protected by the next upgrade, in one
// commit, and then stands slips; the management cluster can still be detached.
func TestProtection_upgrade(t *testing.T) {
	w := newFleet(t, "dev")
	const system, mgmt = "clusters/mgmt/flux-system/kustomization.yaml",
		"clusters/mgmt/mgmt/eksa-system/kustomization.yaml"
	const head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
	protected := w.files()
	applies(t, "flux-system", w.push(gittest.Change{Files: map[string]string{
		system: head + "- gotk-components.yaml\n- gotk-sync.yaml\n", mgmt: head + "- eksa-cluster.yaml\n"}}))
	kept := func() string {
		u := object(t, eksaGroup, "v1alpha1", "Cluster", "default", "mgmt")
		return u.GetAnnotations()["kustomize.toolkit.fluxcd.io/prune"]
	}
	if kept() != "" {
		t.Fatal("the management cluster is protected")
	}
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0).prints("+++ b/"+mgmt,
		"+++ b/"+system)
	commits := len(w.gh.Repo("alice/fleet").Git().Log("main"))
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0)
	if n := len(w.gh.Repo("alice/fleet").Git().Log("main")) - commits; n != 1 {
		t.Errorf("%d commits", n)
	}
	files := w.files()
	for _, file := range []string{system, mgmt} {
		if files[file] != protected[file] {
			t.Errorf("%s is\n%s\nof a new installation\n%s", file, files[file], protected[file])
		}
	}
	if kept() != "disabled" {
		t.Error("the management cluster is not protected")
	}
	before := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0)
	before.writesNothing()
	w.run("delete", "cluster", "dev", "--yes").exits(0)
	w.run("delete", "cluster", "mgmt", "--yes").exits(0)
	w.detached()
}
