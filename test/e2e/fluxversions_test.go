package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// withBeta gives the GitRepository's definition in components version v1beta2 beside v1, as older releases
// have it, and says which of the two is stored.
func withBeta(t testing.TB, components, stored string) string {
	t.Helper()
	begin := strings.Index(components, "\n  name: gitrepositories.source.toolkit.fluxcd.io\n")
	end := begin + strings.Index(components[begin:], "\n---\n")
	head, version, found := strings.Cut(components[begin:end], "\n  versions:\n")
	const name, storage = "\n    name: v1\n", "\n    storage: true"
	if begin < 0 || end < begin || !found || strings.Count(version, name) != 1 ||
		strings.Count(version, storage) != 1 {
		t.Fatal("the definition is not as it used to be")
	}
	beta := strings.Replace(version, name, "\n    name: v1beta2\n", 1)
	if stored == "v1" {
		beta = strings.Replace(beta, storage, "\n    storage: false", 1)
	} else {
		version = strings.Replace(version, storage, "\n    storage: false", 1)
	}
	return components[:begin] + head + "\n  versions:\n" + strings.TrimSuffix(version, "\n") + "\n" +
		beta + components[end:]
}

func storedVersions(t testing.TB) []string {
	t.Helper()
	stored, _, _ := unstructured.NestedStringSlice(object(t, "apiextensions.k8s.io", "v1",
		"CustomResourceDefinition", "", "gitrepositories.source.toolkit.fluxcd.io").Object,
		"status", "storedVersions")
	return stored
}

// TestFluxUpgrade_versionsThatGo upgrades a Flux whose definitions have a version that the present release
// has not: what is stored in it is migrated and the sync file rewritten; while that is not possible, or files
// of the user's are in the way, nothing is done.
func TestFluxUpgrade_versionsThatGo(t *testing.T) {
	w := olderFlux(t)
	ours := w.files()[componentsFile]
	sync := w.files()[syncFile]
	const message, own = "Add Flux v2.8.5 component manifests", "clusters/mgmt/sources/shop.yaml"
	const shop = "# the shop's\napiVersion: source.toolkit.fluxcd.io/v1beta2\nkind: GitRepository\n" +
		"metadata:\n  name: shop\n  namespace: default\nspec:\n  interval: 1h\n  suspend: true\n" +
		"  url: https://git.example.com/shop\n"
	follows(t, w.push(gittest.Change{Branch: "main", Message: message,
		Files: map[string]string{componentsFile: withBeta(t, ours, "v1beta2")}}))
	follows(t, w.push(gittest.Change{Branch: "main", Message: "More sources", Files: map[string]string{
		own: shop, syncFile: strings.Replace(sync, "source.toolkit.fluxcd.io/v1\n",
			"source.toolkit.fluxcd.io/v1beta2\n", 1),
	}}))
	if stored := storedVersions(t); !slices.Equal(stored, []string{"v1", "v1beta2"}) {
		t.Fatalf("stored versions %v", stored)
	}

	before := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(3).tells(own+":2: GitRepository default/shop has "+
		"apiVersion source.toolkit.fluxcd.io/v1beta2, which Flux v2.9.4 does not serve",
		"write apiVersion: source.toolkit.fluxcd.io/v1 there")
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(3).tells(own + ":2: ")
	before.writesNothing()
	follows(t, w.push(gittest.Change{Branch: "main", Message: "v1",
		Files: map[string]string{own: strings.Replace(shop, "v1beta2", "v1", 1)}}))
	before = w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(3).tells(
		"gitrepositories.source.toolkit.fluxcd.io stores objects as v1beta2, which Flux v2.9.4 does not "+
			"have any more", "flux install --version=v2.6.4 --export > "+componentsFile)
	before.writesNothing()

	follows(t, w.push(gittest.Change{Branch: "main", Message: message,
		Files: map[string]string{componentsFile: withBeta(t, ours, "v1")}}))
	const what = "gitrepositories.source.toolkit.fluxcd.io v1beta2 → v1 (2 objects)"
	before = w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0).
		tells("Migrate Flux's stored objects to versions that stay (" + what + ", planned)").prints(
		"+apiVersion: source.toolkit.fluxcd.io/v1")
	roles := documentedRoles(t)
	all := []role{roles["eksa-gitops-view"], roles["eksa-gitops-operate"], roles["eksa-gitops-change"],
		roles["eksa-gitops-install"], roles["eksa-gitops-migrate"]}
	stored := all[4].without(right{group: "apiextensions.k8s.io",
		resource: "customresourcedefinitions/status", verb: "patch"})
	w.as("upgrader", append(all[:4:4], stored)...).run("upgrade", "cluster", "-f", "mgmt.yaml").exits(4).
		tells(`resources ["customresourcedefinitions/status"], verbs ["patch"]`)
	before.writesNothing()
	out := w.as("migrator", all...).run("upgrade", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0).json()
	if migrated, _ := at(t, out, "flux", "migrated").([]any); len(migrated) != 1 ||
		at(t, migrated[0], "to") != "v1" ||
		at(t, migrated[0], "definition") != "gitrepositories.source.toolkit.fluxcd.io" {
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

// TestFluxUpgrade_pinnedImages: a patch of an older release keeps a controller under definitions that it
// would not know. Nothing is done before it is gone, status says what runs, and so does the result.
func TestFluxUpgrade_pinnedImages(t *testing.T) {
	w := olderFlux(t)
	const patches = "clusters/mgmt/flux-system/gotk-patches.yaml"
	plain := w.files()[kustomizationFile]
	follows(t, w.push(gittest.Change{Branch: "main", Message: "Images", Files: map[string]string{
		kustomizationFile: plain + "patchesStrategicMerge:\n- gotk-patches.yaml\n",
		patches: "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: source-controller\n" +
			"  namespace: flux-system\nspec:\n  template:\n    spec:\n      containers:\n" +
			"      - image: registry.example.com/fluxcd/source-controller:v0.36.1-eks-a-22\n" +
			"        name: manager\n",
	}}))
	before := w.mark()
	for _, dry := range [][]string{{"--dry-run"}, nil} {
		w.run(append([]string{"upgrade", "cluster", "-f", "mgmt.yaml"}, dry...)...).exits(3).tells(patches+
			":10 gives source-controller version v0.36.1-eks-a-22",
			"which is of another release than Flux v2.9.4", "--bundles FILE")
	}
	w.run("status").exits(5).prints("Deployment flux-system/source-controller", "it runs v0.36.1-eks-a-22",
		"of several releases in namespace flux-system")
	before.writesNothing()

	w.write("bundles.yaml", bundles)
	follows(t, w.push(gittest.Change{Branch: "main", Message: "No images", Delete: []string{patches},
		Files: map[string]string{kustomizationFile: plain}}))
	out := w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--bundles", "bundles.yaml", "-o", "json").exits(0).
		json()
	running, _ := at(t, out, "flux", "controllers").([]any)
	if len(running) != 4 || at(t, out, "flux", "version") != "v2.9.4" ||
		at(t, running[3], "version") != "v1.9.4-eks-a-91" || at(t, running[3], "fit") != "same" {
		t.Errorf("flux %v", at(t, out, "flux"))
	}
	w.run("status").exits(0).prints("v2.9.4 in namespace flux-system")
}
