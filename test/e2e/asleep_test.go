package e2e_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

func controller(name string) *unstructured.Unstructured {
	return reference("apps", "v1", "Deployment", "flux-system", name)
}

// scaleToZero does what `kubectl scale --replicas=0` does, and waits until no pod is left.
func scaleToZero(t testing.TB, name string) {
	t.Helper()
	patch(t, controller(name), `{"spec":{"replicas":0}}`)
	waitFor(t, controller(name), "scaled to zero", func(u *unstructured.Unstructured) bool {
		replicas, _, _ := unstructured.NestedInt64(u.Object, "status", "replicas")
		seen, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		return replicas == 0 && seen == u.GetGeneration()
	})
}

// startDeletion deletes an object and does not wait.
func startDeletion(t testing.TB, u *unstructured.Unstructured) {
	t.Helper()
	if err := stackOf(t).Client().Delete(t.Context(), u, client.PropagationPolicy("Background")); err != nil {
		t.Fatal(err)
	}
}

// suggestedPatch is the patch of a kubectl command in a text.
func suggestedPatch(t testing.TB, text string) string {
	t.Helper()
	_, after, found := strings.Cut(text, "--type merge -p '")
	patch, _, closed := strings.Cut(after, "'")
	if !found || !closed {
		t.Fatalf("no patch is suggested in:\n%s", text)
	}
	return patch
}

// Flux's Kustomization is being deleted while its controller is scaled to zero: as soon as that runs, it
// deletes every cluster. status says so, every command refuses, and what is suggested stops it: the next
// create makes the Kustomization anew, and nothing has gone.
func TestAsleep_kustomizationDeleted(t *testing.T) {
	w := newFleet(t, "dev")
	w.write("two.yaml", spec(t, "dev.yaml", "name: dev", "name: two", "198.18.100.20", "198.18.100.21"))
	scaleToZero(t, "kustomize-controller")
	asleep := w.run("status").exits(5)
	asleep.prints("kustomize-controller is scaled to zero", "somebody scaled it to zero replicas",
		"kubectl -n flux-system scale deployment kustomize-controller --replicas=1")
	w.run("create", "cluster", "-f", "two.yaml").exits(3).tells(
		"kustomize-controller in namespace flux-system is scaled to zero")
	w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0).tells(
		"kustomize-controller in namespace flux-system: scaled to zero; this run starts them",
		"Install Flux v2.9.4 (planned)")

	// As in an installation that is not protected from slips.
	patch(t, kustomization(), `{"spec":{"deletionPolicy":"MirrorPrune"}}`)
	startDeletion(t, kustomization())
	before := w.mark()
	seen := w.run("status").exits(5)
	seen.prints("BEING DELETED", "it has been marked for deletion since",
		"as soon as kustomize-controller runs again, it deletes what the Kustomization has "+
			"applied: Cluster default/dev, Cluster default/mgmt",
		"do not start it before the deletion of Kustomization flux-system/flux-system is stopped")
	report := w.run("status", "-o", "json").exits(5).json()
	if at(t, report, "flux", "kustomization", "deleting") != true {
		t.Errorf("kustomization: %v", at(t, report, "flux", "kustomization"))
	}
	for _, args := range [][]string{
		{"create", "cluster", "-f", "mgmt.yaml"}, {"create", "cluster", "-f", "two.yaml"}, {"upgrade",
			"cluster", "-f", "mgmt.yaml"},
		{"upgrade", "cluster", "-f", "dev.yaml"}, {"delete", "cluster", "dev", "--yes"},
	} {
		w.run(args...).exits(3).tells(
			"Kustomization flux-system/flux-system: it has been marked for deletion since",
			"Cluster default/dev", "nothing has been changed")
		w.run(append(args, "--dry-run")...).exits(3).tells(
			"Kustomization flux-system/flux-system: it has been marked for deletion since")
	}
	before.writesNothing()

	patch(t, kustomization(), suggestedPatch(t, seen.stdout))
	if _, there := exists(t, kustomizeGroup, "v1", "Kustomization", "flux-system", "flux-system"); there {
		t.Error("the Kustomization is still there")
	}
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt is managed through Git.")
	w.until(statusArgs, 0, "All is well.")
	for _, name := range []string{"mgmt", "dev"} {
		if !hasCluster(t, name) || clusterObject(t, name).GetDeletionTimestamp() != nil {
			t.Errorf("cluster %s has gone", name)
		}
	}
}

// A management cluster can be detached although its Kustomization is being deleted, as long as nothing goes
// with that; one that would take the clusters along is refused there, too.
func TestAsleep_detach(t *testing.T) {
	w := newFleet(t)
	scaleToZero(t, "kustomize-controller")
	// as in an installation that is not protected from slips
	patch(t, kustomization(), `{"spec":{"deletionPolicy":"MirrorPrune"}}`)
	startDeletion(t, kustomization())
	before := w.mark()
	w.run("delete", "cluster", "mgmt", "--yes").exits(3).tells("as soon as kustomize-controller runs " +
		"again, it deletes what the Kustomization has applied: Cluster default/mgmt")
	before.writesNothing()
	suspend(t, true)
	w.run("delete", "cluster", "mgmt", "--yes").exits(0).prints(
		"Management cluster mgmt is detached from Git.")
	w.detached()
	if clusterObject(t, "mgmt").GetDeletionTimestamp() != nil {
		t.Error("mgmt is being deleted")
	}
}

// What else Flux hangs on and is being deleted, and what people's own Kustomizations below the path do, is
// told of as well.
func TestAsleep_others(t *testing.T) {
	w := newFleet(t, "dev")
	hold := func(u *unstructured.Unstructured) {
		t.Helper()
		patch(t, u, `{"metadata":{"finalizers":["example.com/hold"]}}`)
		startDeletion(t, u)
	}
	w.push(gittest.Change{Files: map[string]string{
		"clusters/mgmt/team/kustomization.yaml": "resources:\n- team.yaml\n",
		"clusters/mgmt/team/team.yaml": "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n" +
			"metadata:\n  name: team\n  namespace: flux-system\nspec:\n" +
			"  interval: 10m\n  path: ./clusters/mgmt/nowhere\n  prune: true\n  sourceRef:\n" +
			"    kind: GitRepository\n    name: flux-system\n",
	}})
	requestReconcile(t)
	w.until(statusArgs, 5, "Kustomization flux-system/team", "nowhere")
	team := reference(kustomizeGroup, "v1", "Kustomization", "flux-system", "team")
	patch(t, team, `{"spec":{"suspend":true}}`)
	w.until(statusArgs, 5, "Kustomization flux-system/team", "suspended")

	secret := reference("", "v1", "Secret", "flux-system", "flux-system")
	hold(secret)
	w.run("status").exits(5).prints("Secret flux-system/flux-system", "finalizer example.com/hold blocks it",
		"Flux cannot read the repository any more when it is gone")
	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(3).tells(
		"Secret flux-system/flux-system: it has been marked for deletion since")
	before.writesNothing()

	// A cluster whose files are still in Git: Flux would build it a second time.
	stackOf(t).EKSA().HoldDeletion("default", "dev")
	startDeletion(t, clusterObject(t, "dev"))
	w.run("status", "dev").exits(5).prints("Cluster default/dev", "finalizer "+eksacontroller.Finalizer+
		" blocks it", "Flux creates the cluster again", "eksa-gitops delete cluster dev")
}
