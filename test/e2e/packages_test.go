package e2e_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// curated is a curated package of a cluster.
func curated(cluster, name string) string {
	return "apiVersion: " + eksacontroller.PackagesAPIVersion + "\nkind: Package\nmetadata:\n  name: " +
		name + "\n  namespace: " + eksacontroller.PackagesNamespace(cluster) + "\nspec:\n  packageName: " +
		name + "\n"
}

// The packages of a cluster leave Git with it: EKS Anywhere removes their namespace, and Flux could apply
// nothing any more. The rest of the fleet goes on.
func TestDelete_packages(t *testing.T) {
	w := newFleet(t, "dev")
	const (
		beside   = "clusters/mgmt/dev/packages.yaml"
		together = "clusters/mgmt/all.yaml"
		listed   = "clusters/mgmt/packages/harbor.yaml"
		lists    = "clusters/mgmt/packages/kustomization.yaml"
		note     = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: note\n  namespace: default\n"
	)
	w.push(gittest.Change{Message: "Add packages", Files: map[string]string{
		beside: curated("dev", "harbor"), listed: curated("dev", "metrics"),
		lists: "resources:\n- harbor.yaml\n", together: note + "---\n" + curated("dev", "emissary"),
	}})
	requestReconcile(t)
	for _, name := range []string{"harbor", "metrics", "emissary"} {
		waitFor(t, reference("packages.eks.amazonaws.com", "v1alpha1", "Package", "eksa-packages-dev", name),
			"Flux has applied it", func(u *unstructured.Unstructured) bool { return u.GetUID() != "" })
	}
	w.until([]string{"status"}, 0, "All is well.")

	before := w.mark()
	for _, dry := range []string{"--dry-run", "--yes"} {
		w.run("delete", "cluster", "dev", dry).exits(3).tells(together+
			":7: Package eksa-packages-dev/emissary is in the same file as objects that stay",
			"EKS Anywhere removes namespace eksa-packages-dev with cluster dev",
			"take that out of "+together+" by hand", "nothing has been changed")
	}
	before.writesNothing()
	w.push(gittest.Change{Message: "Take a package out", Files: map[string]string{together: note}})
	before = w.mark()
	w.run("delete", "cluster", "dev", "--dry-run").exits(0).prints("object  Package eksa-packages-dev/harbor",
		"object  Package eksa-packages-dev/metrics", "delete  "+beside, "delete  "+listed, "delete  "+lists)
	before.writesNothing()
	pushes := before.github
	w.run("delete", "cluster", "dev", "--yes").exits(0).prints("Cluster dev is gone.")
	if got := w.gh.Since(pushes).Pushes; got != 1 {
		t.Errorf("%d pushes, want one", got)
	}
	for _, file := range append([]string{beside, listed, lists}, devFiles...) {
		if _, there := w.files()[file]; there {
			t.Errorf("%s is still in Git", file)
		}
	}
	waitGone(t, reference("", "v1", "Namespace", "", "eksa-packages-dev"))

	// The fleet goes on.
	w.push(gittest.Change{Message: "Change something else",
		Files: map[string]string{together: note + "data: {a: b}\n"}})
	requestReconcile(t)
	waitFor(t, reference("", "v1", "ConfigMap", "default", "note"), "Flux has changed it",
		func(u *unstructured.Unstructured) bool {
			value, _, _ := unstructured.NestedString(u.Object, "data", "a")
			return value == "b"
		})
	w.until([]string{"status"}, 0, "All is well.")

	// Somebody brings one back: that is what would have become of the fleet. The same command puts it right.
	w.push(gittest.Change{Message: "Bring a package back",
		Files: map[string]string{beside: curated("dev", "harbor")}})
	requestReconcile(t)
	w.until([]string{"status"}, 5, `namespaces "eksa-packages-dev" not found`)
	w.run("delete", "cluster", "dev", "--yes").exits(0)
	requestReconcile(t)
	w.until([]string{"status"}, 0, "All is well.")
	before = w.mark()
	w.run("delete", "cluster", "dev", "--yes").exits(0).prints("Nothing to do: cluster dev is gone.")
	before.writesNothing()
}
