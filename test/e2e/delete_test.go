package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

const (
	eksaGroup      = "anywhere.eks.amazonaws.com"
	kustomizeGroup = "kustomize.toolkit.fluxcd.io"
	sourceGroup    = "source.toolkit.fluxcd.io"
)

// devFiles are the files of the workload cluster dev.
var devFiles = []string{"clusters/mgmt/dev/eksa-system/eksa-cluster.yaml",
	"clusters/mgmt/dev/eksa-system/kustomization.yaml"}

// newFleet is a world in which mgmt, and every given workload cluster, is managed through Git.
func newFleet(t testing.TB, workloads ...string) *world {
	t.Helper()
	switch {
	case len(workloads) == 0:
		return newWorldIn(t, managed())
	case slices.Equal(workloads, []string{"dev"}):
		return newWorldIn(t, withDev())
	}
	w := newWorldIn(t, managed())
	args := []string{"create", "cluster"}
	for i, name := range workloads {
		w.write(name+".yaml", spec(t, "dev.yaml", "name: dev", "name: "+name, "198.18.100.20",
			fmt.Sprintf("198.18.100.%d", 20+i)))
		args = append(args, "-f", name+".yaml")
	}
	w.run(args...).exits(0)
	return w
}

// push changes the branch as somebody else would.
func (w *world) push(change gittest.Change) string {
	w.t.Helper()
	return w.gh.Repo("alice/fleet").Git().Commit(change)
}

func (w *world) files() map[string]string { return w.gh.Repo("alice/fleet").Git().Files("main") }

// exists reads an object and says whether it is there. A kind that is not served has no objects.
func exists(t testing.TB, group, version, kind, namespace, name string) (*unstructured.Unstructured, bool) {
	t.Helper()
	u := reference(group, version, kind, namespace, name)
	err := stackOf(t).Client().Get(t.Context(), client.ObjectKeyFromObject(u), u)
	if err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
		t.Fatal(err)
	}
	return u, err == nil
}

func hasCluster(t testing.TB, name string) bool {
	t.Helper()
	_, there := exists(t, eksaGroup, "v1alpha1", "Cluster", "default", name)
	return there
}

// crds names Flux's resource types.
func fluxCRDs(t testing.TB) []string {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(reference("apiextensions.k8s.io", "v1", "CustomResourceDefinitionList", "",
		"").GroupVersionKind())
	if err := stackOf(t).Client().List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, item := range list.Items {
		if strings.Contains(item.GetName(), "fluxcd.io") {
			names = append(names, item.GetName())
		}
	}
	return names
}

// suspend suspends or resumes the Kustomization.
func suspend(t testing.TB, suspended bool) {
	t.Helper()
	patch(t, reference(kustomizeGroup, "v1", "Kustomization", "flux-system", "flux-system"),
		fmt.Sprintf(`{"spec":{"suspend":%v}}`, suspended))
}

// A workload cluster goes: shown first, then out of Git in one commit that takes both files, and out of the
// cluster. What others have put beside it stays, and the rest goes on building. The next run has nothing to
// do.
func TestDelete_workload(t *testing.T) {
	w := newFleet(t, "dev", "test", "prod")
	// A file beside the cluster's, and a kustomization of the user's that lists all clusters.
	w.push(gittest.Change{Files: map[string]string{
		"clusters/mgmt/dev/NOTES.md": "whom to ask\n",
		"clusters/mgmt/kustomization.yaml": "# the fleet\nresources:\n- flux-system\n- mgmt/eksa-system\n" +
			"- dev/eksa-system # the developers'\n- test/eksa-system\n- prod/eksa-system\n",
	}})
	requestReconcile(t)

	before := w.mark()
	w.run("delete", "cluster", "dev").exits(2).tells("there is no terminal to ask on", "--yes", "--dry-run")
	dry := w.run("delete", "cluster", "dev", "test", "--dry-run").exits(0)
	dry.prints("Cluster dev (namespace default, Kubernetes 1.33) will be deleted, with all its machines:",
		"object  VSphereMachineConfig default/dev-md", "delete  "+devFiles[0], "delete  "+devFiles[1],
		"modify  clusters/mgmt/kustomization.yaml", "keep    clusters/mgmt/dev/NOTES.md",
		"-- dev/eksa-system # the developers'", "This was a dry run: nothing has been changed.")
	before.writesNothing()

	commits := len(w.gh.Repo("alice/fleet").Git().Log("main"))
	result := w.run("delete", "cluster", "dev", "test", "--yes", "-o", "json").exits(0).json()
	if at(t, result, "status") != "done" || at(t, result, "clusters", 0, "gone") != true ||
		at(t, result, "clusters", 1, "gone") != true || at(t, result, "repository", "pushed") != true ||
		at(t, result, "kept", 0) != "clusters/mgmt/dev/NOTES.md" {
		t.Errorf("result: %v", result)
	}
	log := w.gh.Repo("alice/fleet").Git().Log("main")
	if len(log) != commits+1 || log[0].Subject() != "Delete 2 clusters" ||
		!strings.Contains(log[0].Message, "Eksa-Gitops-Clusters: dev test") {
		t.Errorf("%d commits, the last one %+v", len(log)-commits, log[0])
	}
	files := w.files()
	for _, gone := range append(devFiles, "clusters/mgmt/test/eksa-system/eksa-cluster.yaml",
		"clusters/mgmt/test/eksa-system/kustomization.yaml") {
		if _, there := files[gone]; there {
			t.Errorf("%s is still in Git", gone)
		}
	}
	if got, want := files["clusters/mgmt/kustomization.yaml"],
		"# the fleet\nresources:\n- flux-system\n- mgmt/eksa-system\n- prod/eksa-system\n"; got != want {
		t.Errorf("the user's kustomization:\n%s", got)
	}
	if files["clusters/mgmt/dev/NOTES.md"] == "" ||
		files["clusters/mgmt/prod/eksa-system/eksa-cluster.yaml"] == "" {
		t.Errorf("files of others are gone: %v", keys(files))
	}
	if hasCluster(t, "dev") || hasCluster(t, "test") || !hasCluster(t, "prod") || !hasCluster(t, "mgmt") {
		t.Error("the wrong clusters are there")
	}
	if _, there := exists(t, eksaGroup, "v1alpha1", "VSphereMachineConfig", "default", "dev-md"); there {
		t.Error("a machine config of dev is still there")
	}

	before = w.mark()
	again := w.run("delete", "cluster", "dev", "test", "--yes").exits(0)
	again.prints("Nothing to do: clusters dev, test are gone.").tells(
		"cluster dev is neither in Git nor in the cluster", "the clusters there are: mgmt, prod")
	before.writesNothing()

	// The files do as well as the name.
	w.run("delete", "cluster", "-f", "prod.yaml", "--yes").exits(0).prints("Cluster prod is gone.")
	if hasCluster(t, "prod") {
		t.Error("prod is still there")
	}
}

// A cluster whose finalizer does not go: the command says what holds it up, and the next run, without another
// commit, sees it through.
func TestDelete_held(t *testing.T) {
	w := newFleet(t, "dev")
	stackOf(t).EKSA().HoldDeletion("default", "dev")
	stackOf(t).EKSA().Fail("default", "dev", "MachineHealth", "machine dev-md-0 does not answer")
	held := w.run("delete", "cluster", "dev", "--yes", "--timeout", "12s").exits(5)
	held.tells("Cluster default/dev is not gone", "blocked by finalizer "+eksacontroller.Finalizer,
		"EKS Anywhere says: machine dev-md-0 does not answer", "with a longer --timeout",
		"finished steps are kept; continue with: eksa-gitops delete cluster dev --yes --timeout 12s")
	if files := w.files(); files[devFiles[0]] != "" {
		t.Errorf("dev is still in Git: %v", keys(files))
	}
	commits := len(w.gh.Repo("alice/fleet").Git().Log("main"))
	stackOf(t).EKSA().Heal("default", "dev")
	w.run("delete", "cluster", "dev", "--yes").exits(0).prints("cluster dev is gone")
	if len(w.gh.Repo("alice/fleet").Git().Log("main")) != commits {
		t.Error("the second run made another commit")
	}
}

// When GitOps does not work the command begins nothing, says why, and each half can be done by itself.
func TestDelete_halves(t *testing.T) {
	w := newFleet(t, "dev", "test")
	suspend(t, true)
	before := w.mark()
	w.run("delete", "cluster", "dev", "--yes").exits(3).
		tells("GitOps does not work: Kustomization flux-system/flux-system is suspended",
			"eksa-gitops delete cluster dev --from git", "eksa-gitops delete cluster dev --from cluster",
			"nothing has been changed")
	before.writesNothing()

	before = w.mark()
	w.run("delete", "cluster", "dev", "--yes", "--from", "git").exits(0).prints(
		"Cluster dev is not in Git any more.", "add --from cluster")
	before.leavesClusterAlone()
	if files := w.files(); files[devFiles[0]] != "" || files[devFiles[1]] != "" {
		t.Errorf("dev is still in Git: %v", keys(files))
	}
	if !hasCluster(t, "dev") {
		t.Error("the cluster is gone, with Flux suspended")
	}
	// GitHub is not needed for the other half.
	heal := w.gh.Break("* /**", githubtest.Respond(503, "down"))
	w.run("delete", "cluster", "dev", "--yes", "--from", "cluster").exits(0).prints("Cluster dev is gone.")
	heal()
	if hasCluster(t, "dev") {
		t.Error("dev is still there")
	}

	// A Flux that has not fetched the commit yet would make dev anew from the one before.
	requestReconcile(t)
	head := w.gh.Repo("alice/fleet").Git().Head("main")
	waitFor(t, reference(sourceGroup, "v1", "GitRepository", "flux-system", "flux-system"),
		"Flux has fetched "+head, func(u *unstructured.Unstructured) bool {
			revision, _, _ := unstructured.NestedString(u.Object, "status", "artifact", "revision")
			return strings.HasSuffix(revision, head)
		})
	suspend(t, false)
	before = w.mark()
	w.run("delete", "cluster", "test", "--yes", "--from", "cluster").exits(3).tells(
		"cluster test: Kustomization flux-system/flux-system has applied it and would create it again")
	before.writesNothing()

	// A cluster that never was in Git.
	if err := stackOf(t).Apply(t.Context(), []byte(withoutGitOps(spec(t, "dev.yaml", "name: dev",
		"name: lone", "    name: dev\n---", "    name: lone\n---")))); err != nil {
		t.Fatal(err)
	}
	before = w.mark()
	w.run("delete", "cluster", "lone", "--yes").exits(3).tells("cluster lone: it is in the cluster only",
		"eksa-gitops delete cluster lone --from cluster")
	before.writesNothing()
	w.run("delete", "cluster", "lone", "--yes", "--from", "cluster").exits(0)
	if hasCluster(t, "lone") || !hasCluster(t, "test") {
		t.Error("the wrong clusters are there")
	}

	// Flux that only fails because of the very cluster that goes is no obstacle: without it, Flux works
	// again.
	broken := strings.Replace(w.files()["clusters/mgmt/test/eksa-system/eksa-cluster.yaml"],
		"network: /berlin/network/lab", "network: /berlin/network/other", 1)
	w.push(gittest.Change{
		Files: map[string]string{"clusters/mgmt/test/eksa-system/eksa-cluster.yaml": broken}})
	requestReconcile(t)
	ks := reference(kustomizeGroup, "v1", "Kustomization", "flux-system", "flux-system")
	waitFor(t, ks, "Flux is refused", func(u *unstructured.Unstructured) bool {
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		return slices.ContainsFunc(conditions, func(c any) bool {
			return strings.Contains(fmt.Sprint(c), "field is immutable")
		})
	})
	w.run("delete", "cluster", "test", "--yes").exits(0).prints("Cluster test is gone.")
}

// A management cluster stays managed while others need it, and while Flux is somebody else's to remove.
func TestDelete_managementRefused(t *testing.T) {
	w := newFleet(t, "dev")
	before := w.mark()
	w.run("delete", "cluster", "mgmt", "--yes").exits(3).tells("1 workload cluster is still in Git: dev",
		"eksa-gitops delete cluster dev", "nothing has been changed")
	w.run("delete", "cluster", "mgmt", "dev", "--yes").exits(3).tells("mgmt manages the other clusters")
	w.run("delete", "cluster", "mgmt", "--from", "git", "--yes").exits(3).tells(
		"cannot go first: Flux would delete the cluster's objects")
	before.writesNothing()

	w.run("delete", "cluster", "dev", "--yes").exits(0)
	err := stackOf(t).Apply(t.Context(), []byte(`apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata:
  name: apps
  namespace: default
spec:
  interval: 1h
  url: https://git.example.com/team/apps.git
`))
	if err != nil {
		t.Fatal(err)
	}
	before = w.mark()
	w.run("delete", "cluster", "mgmt", "--yes").exits(3).tells(
		"other objects need Flux, and did not come from this repository: GitRepository default/apps")
	before.writesNothing()
	patch(t, reference(sourceGroup, "v1", "GitRepository", "flux-system", "flux-system"),
		`{"spec":{"ref":{"branch":"another"}}}`)
	before = w.mark()
	w.run("delete", "cluster", "mgmt", "--yes").exits(3).tells("follows branch another")
	before.writesNothing()
}

// own are the objects of the management cluster.
func own() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{
		reference(eksaGroup, "v1alpha1", "Cluster", "default", "mgmt"),
		reference(eksaGroup, "v1alpha1", "VSphereDatacenterConfig", "default", "mgmt"),
		reference(eksaGroup, "v1alpha1", "VSphereMachineConfig", "default", "mgmt-cp"),
		reference(eksaGroup, "v1alpha1", "VSphereMachineConfig", "default", "mgmt-md"),
	}
}

// asEKSAWrites gives the Cluster the annotation that stands in the file which EKS Anywhere itself writes for
// a management cluster. With it the webhook lets everybody delete the cluster.
func asEKSAWrites(t testing.TB) {
	t.Helper()
	patch(t, reference(eksaGroup, "v1alpha1", "Cluster", "default", "mgmt"),
		fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}}}`, eksacontroller.ManagedByCLI))
}

// The proof that the order of detaching matters: in the same state, files that go first take the management
// cluster along, unless they say that it is kept; with delete cluster all its objects stay the very same.
func TestDelete_managementIsNotPruned(t *testing.T) {
	t.Parallel()
	t.Run("files first", func(t *testing.T) {
		w := newFleet(t)
		w.push(gittest.Change{Files: map[string]string{
			"clusters/mgmt/mgmt/eksa-system/kustomization.yaml": "resources:\n- eksa-cluster.yaml\n"}})
		requestReconcile(t)
		waitFor(t, reference(eksaGroup, "v1alpha1", "Cluster", "default", "mgmt"), "Flux takes the mark off",
			func(u *unstructured.Unstructured) bool {
				return u.GetAnnotations()["kustomize.toolkit.fluxcd.io/prune"] == ""
			})
		asEKSAWrites(t)
		w.push(gittest.Change{Delete: []string{"clusters/mgmt/mgmt"}})
		requestReconcile(t)
		for _, u := range own() {
			waitGone(t, u)
		}
	})
	t.Run("delete cluster", func(t *testing.T) {
		w := newFleet(t)
		asEKSAWrites(t)
		before := map[string]*unstructured.Unstructured{}
		for _, u := range own() {
			before[u.GetName()+u.GetKind()] = object(t, eksaGroup, "v1alpha1", u.GetKind(), "default",
				u.GetName())
		}
		w.run("delete", "cluster", "mgmt", "--yes").exits(0)
		for _, u := range own() {
			was, is := before[u.GetName()+u.GetKind()],
				object(t, eksaGroup, "v1alpha1", u.GetKind(), "default", u.GetName())
			if is.GetUID() != was.GetUID() || is.GetDeletionTimestamp() != nil {
				t.Errorf("%s %s: deleted, or created again", u.GetKind(), u.GetName())
			}
			unstructured.RemoveNestedField(was.Object, "spec", "gitOpsRef")
			if !equalJSON(was.Object["spec"], is.Object["spec"]) {
				t.Errorf("%s %s: its spec was %v, is %v",
					u.GetKind(), u.GetName(), was.Object["spec"], is.Object["spec"])
			}
			if labels := is.GetLabels(); labels[kustomizeGroup+"/name"] != "" {
				t.Errorf("%s %s still says that Flux manages it: %v", u.GetKind(), u.GetName(), labels)
			}
		}
	})
}

func equalJSON(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }
