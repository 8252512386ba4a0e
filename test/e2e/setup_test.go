package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

func keys(files map[string]string) []string { return slices.Sorted(maps.Keys(files)) }

func emptyRepo() []githubtest.RepoOption { return nil }

// withReadme is a repository with one commit on its default branch.
func withReadme(branch string) []githubtest.RepoOption {
	return []githubtest.RepoOption{githubtest.DefaultBranch(branch),
		githubtest.Files(map[string]string{"README.md": "fleet\n"})}
}

func orgOwner(login string) githubtest.OrgOption { return githubtest.OrgOwner(login) }

func githubToken(w *world) githubtest.Credential { return githubtest.WithToken(w.token) }

// withoutGitOps takes the reference and the GitOps object out of a spec.
func withoutGitOps(spec string) string {
	spec = strings.Replace(spec, "  gitOpsRef:\n    kind: FluxConfig\n    name: mgmt\n", "", 1)
	spec, _, _ = strings.Cut(spec, "---\napiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: FluxConfig")
	return spec
}

func removeDeployKeys(w *world, repo string) {
	r := w.gh.Repo(repo)
	for _, key := range r.DeployKeys() {
		r.RemoveDeployKey(key.ID)
	}
}

func reference(group, version, kind, namespace, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

// remove deletes an object and waits until it is gone.
func remove(t testing.TB, group, version, kind, namespace, name string) {
	t.Helper()
	u := reference(group, version, kind, namespace, name)
	if err := stackOf(t).Client().Delete(t.Context(), u); err != nil {
		t.Fatalf("deleting %s %s/%s: %v", kind, namespace, name, err)
	}
	waitGone(t, u)
}

func patch(t testing.TB, u *unstructured.Unstructured, content string) {
	t.Helper()
	if err := stackOf(t).Client().Patch(t.Context(), u,
		client.RawPatch("application/merge-patch+json", []byte(content))); err != nil {
		t.Fatalf("patching %s %s/%s: %v", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
}

// removeNow deletes an object without what its finalizers would do.
func removeNow(t testing.TB, group, version, kind, namespace, name string) {
	t.Helper()
	patch(t, reference(group, version, kind, namespace, name), `{"metadata":{"finalizers":null}}`)
	remove(t, group, version, kind, namespace, name)
}

// requestReconcile tells Flux to look now, as a webhook receiver would.
func requestReconcile(t testing.TB) {
	t.Helper()
	patch(t, reference("source.toolkit.fluxcd.io", "v1", "GitRepository", "flux-system", "flux-system"),
		fmt.Sprintf(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`,
			time.Now().Format(time.RFC3339Nano)))
}

// waitUntilDeployment waits until a Deployment exists.
func waitUntilDeployment(t testing.TB, namespace, name string) {
	t.Helper()
	u := reference("apps", "v1", "Deployment", namespace, name)
	waitFor(t, u, "the Deployment exists",
		func(u *unstructured.Unstructured) bool { return u.GetUID() != "" })
}
