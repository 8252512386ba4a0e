package e2e_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// stands waits until Flux says that it cannot apply what is in Git.
func stands(t testing.TB) {
	t.Helper()
	requestReconcile(t)
	waitFor(t, kustomization(), "Flux cannot apply",
		func(u *unstructured.Unstructured) bool { return conditionOf(u, "Ready") == "False" })
}

// clusterUIDs are the identities of Cluster objects: a cluster that was deleted and built anew has another.
func clusterUIDs(t testing.TB, names ...string) (all []string) {
	t.Helper()
	for _, name := range names {
		u, there := exists(t, eksaGroup, "v1alpha1", "Cluster", "default", name)
		if !there || u.GetDeletionTimestamp() != nil {
			t.Errorf("cluster %s is gone or being deleted", name)
		}
		all = append(all, string(u.GetUID()))
	}
	return all
}

// TestConsequences_pathRemoved: Flux is harmless as long as its path is not there, and deletes what is not in
// it as soon as it is again. No command makes it so without what Flux has applied.
func TestConsequences_pathRemoved(t *testing.T) {
	w := newFleet(t, "dev")
	before := clusterUIDs(t, "mgmt", "dev")
	w.write("test.yaml", spec(t, "dev.yaml", "dev", "test", ".20", ".30"))
	w.run("status").exits(0)
	gone := w.push(gittest.Change{Message: "Clean up", Delete: []string{"clusters/mgmt"}})
	stands(t)
	w.run("status").exits(5).prints("1. path clusters/mgmt of branch main",
		"there is no such directory in Git; Flux has applied clusters dev, mgmt from it", "--restore-missing")
	mark := w.mark()
	seen := "Flux would delete Cluster default/dev with all its machines: it has applied it, and would not " +
		"find it any more in clusters/mgmt of branch main; commit " + gone[:7] + " took its files out"
	for _, args := range [][]string{{"create", "cluster", "-f", "mgmt.yaml"},
		{"upgrade", "cluster", "-f", "mgmt.yaml"}, {"create", "cluster", "-f", "mgmt.yaml", "--dry-run"}} {
		w.run(args...).exits(3).tells(seen, "git revert "+gone[:7], "--restore-missing",
			"eksa-gitops delete cluster dev")
	}
	w.run("create", "cluster", "-f", "test.yaml").exits(3).tells("Flux would delete itself:",
		"Deployment flux-system/kustomize-controller", seen)
	out := w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run", "-o", "json").exits(3).json()
	if got := at(t, out, "consequences", 0, "object"); got != "Cluster default/dev" {
		t.Errorf("the first consequence is about %v", got)
	}
	mark.writesNothing()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--restore-missing").exits(0).tells(
		"the files of cluster dev come back to Git, as the cluster is now")
	w.until(statusArgs, 0, "All is well.")
	if after := clusterUIDs(t, "mgmt", "dev"); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("the clusters are others: %v, then %v", before, after)
	}
	mark = w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	mark.writesNothing()
}

// TestConsequences_repositoryAnew: the same when the repository was made anew under its name.
func TestConsequences_repositoryAnew(t *testing.T) {
	w := newFleet(t, "dev")
	before := clusterUIDs(t, "mgmt", "dev")
	w.gh.RemoveRepo("alice/fleet")
	w.gh.AddRepo("alice/fleet", githubtest.Files(map[string]string{"README.md": "fleet\n"}))
	mark := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(3).tells("other clusters included",
		"or go on with what is there, and add --restore-missing")
	w.run("create", "cluster", "-f", "dev.yaml").exits(3)
	mark.writesNothing()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--restore-missing").exits(0)
	w.until(statusArgs, 0, "All is well.")
	if after := clusterUIDs(t, "mgmt", "dev"); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("the clusters are others: %v, then %v", before, after)
	}
}

// TestConsequences_rebuilt: a management cluster that was built anew does not build the former one's clusters
// a second time.
func TestConsequences_rebuilt(t *testing.T) {
	w := newFleet(t, "dev")
	freshStack(t)
	if hasCluster(t, "dev") {
		t.Fatal("dev is there")
	}
	mark := w.mark()
	const seen = "EKS Anywhere would build cluster dev: in Git, but not in management cluster mgmt; this " +
		"looks like a rebuilt management cluster"
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(3).tells(seen, "--build dev",
		"git rm -r clusters/mgmt/dev")
	w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(3).tells(seen)
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(3).tells(seen)
	mark.writesNothing()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--build", "dev").exits(0).tells(
		`deploy key "eksa-gitops mgmt/flux-system" (number`, "an earlier cluster of this name left it",
		"gh api --method DELETE repos/alice/fleet/keys/")
	w.until(statusArgs, 0, "All is well.")
	if !hasCluster(t, "dev") {
		t.Error("dev was not built")
	}
}

// TestConsequences_renamedByKustomize: it is what kustomize makes of the files that counts.
func TestConsequences_renamedByKustomize(t *testing.T) {
	w := newFleet(t, "dev")
	before := clusterUIDs(t, "mgmt", "dev")
	suspend(t, true)
	w.push(gittest.Change{Message: "Prefix", Files: map[string]string{
		"clusters/mgmt/dev/eksa-system/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\n" +
			"kind: Kustomization\nnamePrefix: prod-\nresources:\n- eksa-cluster.yaml\n",
	}})
	w.run("status").exits(5).prints("it deletes Cluster default/dev, ",
		"and creates Cluster default/prod-dev, which EKS Anywhere builds")
	mark := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(3).tells(
		"Kustomization flux-system/flux-system is suspended")
	mark.writesNothing()
	if after := clusterUIDs(t, "mgmt", "dev"); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("the clusters are others: %v, then %v", before, after)
	}
}
