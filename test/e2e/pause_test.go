package e2e_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

func isPaused(t testing.TB, name string) bool {
	t.Helper()
	return clusterObject(t, name).GetAnnotations()[eksacontroller.Paused] == "true"
}

// kubectlAnnotate annotates a cluster as kubectl does, whose field manager Flux knows.
func kubectlAnnotate(t testing.TB, name, patch string) {
	t.Helper()
	err := stackOf(t).Client().Patch(t.Context(), clusterObject(t, name),
		client.RawPatch("application/merge-patch+json", []byte(patch)), client.FieldOwner("kubectl-annotate"))
	if err != nil {
		t.Fatal(err)
	}
}

// A pause that kubectl makes is undone by Flux, and status says so; that of the program is in Git and holds,
// until it is taken out there again. Both commands may be repeated, and show beforehand what they do.
func TestPause(t *testing.T) {
	w := newFleet(t, "dev")
	kubectlAnnotate(t, "dev", `{"metadata":{"annotations":{"`+eksacontroller.Paused+`":"true"}}}`)
	w.run("status", "dev").exits(5).
		prints("it is not in Git: Flux takes the annotation off when it applies next",
			"to keep it: eksa-gitops pause cluster dev")
	w.push(gittest.Change{Files: map[string]string{"clusters/mgmt/dev/NOTES.md": "something new\n"}})
	requestReconcile(t)
	waitFor(t, clusterObject(t, "dev"), "Flux has undone kubectl's pause",
		func(u *unstructured.Unstructured) bool { return u.GetAnnotations()[eksacontroller.Paused] == "" })

	before := w.mark()
	w.run("pause", "cluster", "dev", "--dry-run").exits(0).prints(
		`+    anywhere.eks.amazonaws.com/paused: "true"`,
		"This was a dry run").tells("Pause EKS Anywhere's work on cluster dev (planned)")
	w.run("pause", "cluster", "nobody").exits(3).tells(
		"there is no cluster nobody, neither in Git nor in the management cluster",
		"the clusters there are: dev, mgmt")
	before.writesNothing()
	result := w.run("pause", "cluster", "dev", "-o", "json").exits(0).json()
	if at(t, result, "command") != "pause cluster" || at(t, result, "status") != "done" ||
		at(t, result, "changed") != true || at(t, result, "clusters", 0, "paused") != true ||
		at(t, result, "repository", "pushed") != true {
		t.Errorf("result: %v", result)
	}
	if log := w.gh.Repo("alice/fleet").Git().Log("main"); log[0].Subject() != "Pause cluster dev" {
		t.Errorf("the last commit is %q", log[0].Subject())
	}
	if !isPaused(t, "dev") ||
		!strings.Contains(w.files()[devFiles[0]], `anywhere.eks.amazonaws.com/paused: "true"`) {
		t.Errorf("dev is not paused, or Git does not say so:\n%s", w.files()[devFiles[0]])
	}
	before = w.mark()
	w.run("pause", "cluster", "dev").exits(0).prints("Nothing to do: cluster dev is paused.")
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(3).tells(
		"cluster dev carries the annotation anywhere.eks.amazonaws.com/paused",
		"eksa-gitops resume cluster dev")
	w.run("delete", "cluster", "dev", "--yes").exits(3).tells(
		"cluster dev is paused: EKS Anywhere would not delete it",
		"eksa-gitops resume cluster dev; or have EKS Anywhere delete it anyway: kubectl")
	before.writesNothing()
	w.run("status", "dev").exits(5).prints("it is in Git, so that Flux puts it back on the object",
		"to resume: eksa-gitops resume cluster dev")

	// What status advised before does not last: Flux puts back what Git says.
	kubectlAnnotate(t, "dev", `{"metadata":{"annotations":{"`+eksacontroller.Paused+`":null}}}`)
	patch(t, kustomization(), `{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":"now"}}}`)
	waitFor(t, clusterObject(t, "dev"), "Flux has put the pause back",
		func(u *unstructured.Unstructured) bool {
			return u.GetAnnotations()[eksacontroller.Paused] == "true"
		})

	w.run("resume", "cluster", "dev", "--dry-run").exits(0).prints(
		`-    anywhere.eks.amazonaws.com/paused: "true"`)
	w.run("resume", "cluster", "dev").exits(0).prints("Cluster dev is not paused.")
	if isPaused(t, "dev") || strings.Contains(w.files()[devFiles[0]], "paused") {
		t.Errorf("dev is still paused:\n%s", w.files()[devFiles[0]])
	}
	before = w.mark()
	w.run("resume", "cluster", "dev").exits(0).prints("Nothing to do: cluster dev is not paused.")
	before.writesNothing()
	w.until(statusArgs, 0, "All is well.")
	// The user's file, which never heard of it, is as good as before.
	before = w.mark()
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(0)
	before.writesNothing()

	// A management cluster, too.
	w.run("pause", "cluster", "mgmt").exits(0).prints("Cluster mgmt is paused.")
	w.run("resume", "cluster", "mgmt").exits(0)
	w.until(statusArgs, 0, "All is well.")
}

// Annotations that eksctl anywhere commits about its own runs are warned of, taken out of Git by an upgrade,
// and never reach a user's file. A pause of a cluster whose repository is gone can only be one of its object,
// and that is said.
func TestPause_repositoryGone(t *testing.T) {
	w := newFleet(t, "dev")
	w.gh.RemoveRepo("alice/fleet")
	for _, verb := range []string{"pause", "resume"} {
		w.run(verb, "cluster", "dev").exits(0).tells("(alice/fleet does not exist)",
			"whose branch main Flux follows, does not exist any more, or the token may not see it; so it "+
				"is done on the objects in the cluster alone")
		if paused := isPaused(t, "dev"); paused != (verb == "pause") {
			t.Errorf("after %s, paused is %t", verb, paused)
		}
	}
}

func TestPause_toolAnnotations(t *testing.T) {
	w := newFleet(t)
	const byCLI = "anywhere.eks.amazonaws.com/managed-by-cli"
	file := "clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml"
	w.push(gittest.Change{Files: map[string]string{
		file: strings.Replace(w.files()[file], "metadata:\n",
			"metadata:\n  annotations:\n    "+byCLI+": \"true\"\n", 1),
	}})
	requestReconcile(t)
	waitFor(t, clusterObject(t, "mgmt"), "Flux has applied it",
		func(u *unstructured.Unstructured) bool { return u.GetAnnotations()[byCLI] == "true" })
	w.until(statusArgs, 0, "Cluster default/mgmt carries annotation "+byCLI,
		"lets a Cluster be deleted, a management cluster's, too")
	users := spec(t, "mgmt.yaml")
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--update-file").exits(0).tells("Cluster mgmt: " + byCLI +
		" leaves Git")
	if strings.Contains(w.files()[file], byCLI) {
		t.Errorf("it is still in Git:\n%s", w.files()[file])
	}
	if got := w.read("mgmt.yaml"); got != users {
		t.Errorf("the user's file has changed:\n%s", got)
	}
	if clusterObject(t, "mgmt").GetAnnotations()[byCLI] != "" {
		t.Error("the live object still has it")
	}
}
