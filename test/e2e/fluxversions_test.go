package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// withBeta gives the GitRepository's definition in components version v1beta2 beside v1, as older releases have it, and says which of the two
// is stored.
func withBeta(t testing.TB, components, stored string) string {
	t.Helper()
	begin := strings.Index(components, "\n  name: gitrepositories.source.toolkit.fluxcd.io\n")
	end := begin + strings.Index(components[begin:], "\n---\n")
	head, version, found := strings.Cut(components[begin:end], "\n  versions:\n")
	const name, storage = "\n    name: v1\n", "\n    storage: true"
	if begin < 0 || end < begin || !found || strings.Count(version, name) != 1 || strings.Count(version, storage) != 1 {
		t.Fatal("the definition is not as it used to be")
	}
	beta := strings.Replace(version, name, "\n    name: v1beta2\n", 1)
	if stored == "v1" {
		beta = strings.Replace(beta, storage, "\n    storage: false", 1)
	} else {
		version = strings.Replace(version, storage, "\n    storage: false", 1)
	}
	return components[:begin] + head + "\n  versions:\n" + strings.TrimSuffix(version, "\n") + "\n" + beta + components[end:]
}

func storedVersions(t testing.TB) []string {
	t.Helper()
	stored, _, _ := unstructured.NestedStringSlice(object(t, "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "", "gitrepositories.source.toolkit.fluxcd.io").Object, "status", "storedVersions")
	return stored
}

// TestFluxUpgrade_versionsThatGo upgrades a Flux whose definitions have a version that the present release has not: what is stored in it is
// migrated and the sync file rewritten; while that is not possible, or files of the user's are in the way, nothing is done.
func TestFluxUpgrade_versionsThatGo(t *testing.T) {
	w := olderFlux(t)
	ours := w.files()[componentsFile]
	sync := w.files()[syncFile]
	const message, own = "Add Flux v2.8.5 component manifests", "clusters/mgmt/sources/shop.yaml"
	const shop = "# the shop's\napiVersion: source.toolkit.fluxcd.io/v1beta2\nkind: GitRepository\nmetadata:\n  name: shop\n  namespace: default\nspec:\n  interval: 1h\n  suspend: true\n  url: https://git.example.com/shop\n"
	follows(t, w.push(gittest.Change{Branch: "main", Message: message, Files: map[string]string{componentsFile: withBeta(t, ours, "v1beta2")}}))
	follows(t, w.push(gittest.Change{Branch: "main", Message: "More sources", Files: map[string]string{
		own: shop, syncFile: strings.Replace(sync, "source.toolkit.fluxcd.io/v1\n", "source.toolkit.fluxcd.io/v1beta2\n", 1),
	}}))
	if stored := storedVersions(t); !slices.Equal(stored, []string{"v1", "v1beta2"}) {
		t.Fatalf("stored versions %v", stored)
	}

	before := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(3).
		tells(own+":2: GitRepository default/shop has apiVersion source.toolkit.fluxcd.io/v1beta2, which Flux v2.9.4 does not serve", "write apiVersion: source.toolkit.fluxcd.io/v1 there")
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(3).tells(own + ":2: ")
	before.writesNothing()
	follows(t, w.push(gittest.Change{Branch: "main", Message: "v1", Files: map[string]string{own: strings.Replace(shop, "v1beta2", "v1", 1)}}))
	before = w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(3).
		tells("gitrepositories.source.toolkit.fluxcd.io stores objects as v1beta2, which Flux v2.9.4 does not have any more", "flux install --version=v2.6.4 --export > "+componentsFile)
	before.writesNothing()

	follows(t, w.push(gittest.Change{Branch: "main", Message: message, Files: map[string]string{componentsFile: withBeta(t, ours, "v1")}}))
	const what = "gitrepositories.source.toolkit.fluxcd.io v1beta2 → v1 (2 objects)"
	before = w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0).tells("Migrate Flux's stored objects to versions that stay (" + what + ", planned)").prints("+apiVersion: source.toolkit.fluxcd.io/v1")
	before.writesNothing()
	out := w.run("upgrade", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0).json()
	if migrated, _ := at(t, out, "flux", "migrated").([]any); len(migrated) != 1 || at(t, migrated[0], "to") != "v1" || at(t, migrated[0], "definition") != "gitrepositories.source.toolkit.fluxcd.io" {
		t.Errorf("migrated %v", migrated)
	}
	if stored := storedVersions(t); !slices.Equal(stored, []string{"v1"}) {
		t.Errorf("stored versions %v", stored)
	}
	if got := w.files()[syncFile]; got != sync {
		t.Errorf("the sync file is\n%s", got)
	}
	if got := image(t, "source-controller"); got != "ghcr.io/fluxcd/source-controller:v1.9.4" {
		t.Errorf("source-controller has image %s", got)
	}
	again := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	again.writesNothing()
}
