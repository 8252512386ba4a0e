package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// fetchesOnly are the entries of the live GitRepository.
func fetchesOnly(u *unstructured.Unstructured) []string {
	entries, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "sparseCheckout")
	return entries
}

// applied waits until Flux has applied the head of the branch, from a source that fetches these beginnings of
// paths.
func (w *world) applied(entries ...string) {
	w.t.Helper()
	requestReconcile(w.t)
	source := reference(sourceGroup, "v1", "GitRepository", "flux-system", "flux-system")
	waitFor(w.t, source, fmt.Sprintf("fetches %q", entries), func(u *unstructured.Unstructured) bool {
		observed, _, _ := unstructured.NestedStringSlice(u.Object, "status", "observedSparseCheckout")
		return slices.Equal(fetchesOnly(u), entries) && slices.Equal(observed, entries)
	})
	head := w.gh.Repo("alice/fleet").Git().Head("main")
	waitFor(w.t, kustomization(), "the head applied", func(u *unstructured.Unstructured) bool {
		return conditionOf(u, "Ready") == "True" && strings.HasSuffix(fmt.Sprint(at(w.t, u, "status",
			"lastAppliedRevision")), head)
	})
}

// TestSparseCheckout: with --sparse-checkout Flux fetches its own path alone, and goes on applying it
// whatever is outside; the flag is refused where something outside is needed, which is told with its line;
// and it goes again with =false.
func TestSparseCheckout(t *testing.T) {
	w := newFleet(t, "dev")
	const outside = "clusters/mgmt/infra/kustomization.yaml:2: resources[0] is \"../../../base\", which is " +
		"outside of clusters/mgmt"
	w.push(gittest.Change{Message: "Add others", Files: map[string]string{
		"base/kustomization.yaml":                "resources:\n- shared.yaml\n",
		"base/shared.yaml":                       fmt.Sprintf(appMap, "shared"),
		"clusters/mgmt/infra/kustomization.yaml": "resources:\n- ../../../base\n",
		// Of a name that begins alike, and that no builder could read.
		"clusters/mgmt2/broken.yaml": "kind: [\n",
	}})
	w.applied()
	waitFor(t, reference("", "v1", "ConfigMap", "default", "shared"), "there",
		func(*unstructured.Unstructured) bool { return true })

	// Refused, with nothing written anywhere.
	mark := w.mark()
	for _, command := range []string{"create", "upgrade"} {
		w.run(command, "cluster", "-f", "mgmt.yaml", "--sparse-checkout").exits(3).tells(outside,
			"move base below clusters/mgmt")
	}
	mark.writesNothing()

	// With the base moved into the path it works, and dev is built as before.
	before := clusterUIDs(t, "mgmt", "dev")
	w.push(gittest.Change{Message: "Move the base", Delete: []string{"base"}, Files: map[string]string{
		"clusters/mgmt/infra/kustomization.yaml": "resources:\n- shared.yaml\n",
		"clusters/mgmt/infra/shared.yaml":        fmt.Sprintf(appMap, "shared"),
		"elsewhere/kustomization.yaml":           "resources: [nothing.yaml]\n",
	}})
	w.applied()
	mark = w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--sparse-checkout", "--dry-run").exits(0).prints("+  "+
		"sparseCheckout:", "+  - clusters/mgmt/")
	mark.writesNothing()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--sparse-checkout").exits(0)
	w.applied("clusters/mgmt/")
	w.until([]string{"status"}, 0, "fetches only clusters/mgmt/")

	// Kept without the flag; a commit by others outside is nothing to Flux; one inside is applied.
	mark = w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	mark.writesNothing()
	w.push(gittest.Change{Message: "Others and ours", Files: map[string]string{
		"elsewhere/more.yaml":                    "kind: [\n",
		"clusters/mgmt/infra/kustomization.yaml": "resources:\n- shared.yaml\n- more.yaml\n",
		"clusters/mgmt/infra/more.yaml":          fmt.Sprintf(appMap, "more"),
	}})
	w.applied("clusters/mgmt/")
	waitFor(t, reference("", "v1", "ConfigMap", "default", "more"), "there",
		func(*unstructured.Unstructured) bool { return true })

	// A change that reaches outside: Flux stands, and status names the line.
	w.push(gittest.Change{Message: "Reach outside", Files: map[string]string{
		"base/kustomization.yaml":                "resources:\n- x.yaml\n",
		"base/x.yaml":                            fmt.Sprintf(appMap, "x"),
		"clusters/mgmt/infra/kustomization.yaml": "resources:\n- ../../../base\n- shared.yaml\n- more.yaml\n",
	}})
	stands(t)
	w.run("status").exits(5).prints(outside, "--sparse-checkout=false")

	// All of it again: that same commit can be applied.
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--sparse-checkout=false").exits(0)
	w.applied()
	waitFor(t, reference("", "v1", "ConfigMap", "default", "x"), "there",
		func(*unstructured.Unstructured) bool { return true })
	w.until(statusArgs, 0, "All is well.")
	if after := clusterUIDs(t, "mgmt", "dev"); !slices.Equal(after, before) {
		t.Errorf("the clusters are others: %v, then %v", before, after)
	}
}
