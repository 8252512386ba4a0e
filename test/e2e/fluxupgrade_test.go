package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

const (
	componentsFile    = "clusters/mgmt/flux-system/gotk-components.yaml"
	kustomizationFile = "clusters/mgmt/flux-system/kustomization.yaml"
	syncFile          = "clusters/mgmt/flux-system/gotk-sync.yaml"
)

// older makes components of the present release into some of an older one.
func older(components string) string {
	return strings.NewReplacer(
		"Flux Version: v2.9.4", "Flux Version: v2.8.5", "app.kubernetes.io/version: v2.9.4",
		"app.kubernetes.io/version: v2.8.5", "/source-controller:v1.9.4", "/source-controller:v1.8.5",
		"/kustomize-controller:v1.9.4", "/kustomize-controller:v1.8.5", "/helm-controller:v1.6.3",
		"/helm-controller:v1.5.1", "/notification-controller:v1.9.3", "/notification-controller:v1.8.4",
	).Replace(components)
}

// image is the image that a controller of Flux has.
func image(t testing.TB, controller string) string {
	t.Helper()
	text, _ := at(t, object(t, "apps", "v1", "Deployment", "flux-system", controller), "spec", "template",
		"spec", "containers", 0, "image").(string)
	return text
}

// follows waits until Flux has applied a commit and, as the commit may have replaced its controllers, until
// those that run then have looked at everything: what a program sees in between is a Flux that does not work,
// or has lost its artifact, and it does something about that.
func follows(t testing.TB, commit string) {
	t.Helper()
	requestReconcile(t)
	waitFor(t, kustomization(), "Flux has applied "+commit, func(u *unstructured.Unstructured) bool {
		applied, _, _ := unstructured.NestedString(u.Object, "status", "lastAppliedRevision")
		return strings.HasSuffix(applied, commit)
	})
	for _, controller := range []string{"source-controller", "kustomize-controller"} {
		waitFor(t, reference("apps", "v1", "Deployment", "flux-system", controller), controller+" runs",
			func(u *unstructured.Unstructured) bool {
				observed, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
				updated, _, _ := unstructured.NestedInt64(u.Object, "status", "updatedReplicas")
				all, _, _ := unstructured.NestedInt64(u.Object, "status", "replicas")
				return observed == u.GetGeneration() && updated == 1 && all == 1 &&
					conditionOf(u, "Available") == "True"
			})
		waitReplaced(t, controller)
	}
	for _, object := range []*unstructured.Unstructured{
		reference("source.toolkit.fluxcd.io", "v1", "GitRepository", "flux-system", "flux-system"),
		kustomization()} {
		request := time.Now().Format(time.RFC3339Nano)
		patch(t, object,
			fmt.Sprintf(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`, request))
		waitFor(t, object, "Flux has looked at "+object.GetKind(), func(u *unstructured.Unstructured) bool {
			handled, _, _ := unstructured.NestedString(u.Object, "status", "lastHandledReconcileAt")
			return handled == request && fluxReady(u)
		})
	}
}

// waitReplaced waits until no pod of a controller of Flux is on its way out: its program would still do what
// is asked of its successor.
func waitReplaced(t testing.TB, controller string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		pods := &unstructured.UnstructuredList{}
		pods.SetAPIVersion("v1")
		pods.SetKind("PodList")
		if err := stackOf(t).Client().List(t.Context(), pods, client.InNamespace("flux-system"),
			client.MatchingLabels{"app": controller}); err != nil {
			t.Fatal(err)
		}
		if len(pods.Items) == 1 && pods.Items[0].GetDeletionTimestamp() == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has %d pods, want 1", controller, len(pods.Items))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// olderFlux is a fleet whose Flux is of an older release, in Git and in the cluster.
func olderFlux(t testing.TB) *world {
	t.Helper()
	return newWorldIn(t, withOlderFlux())
}

// withOlderFlux is the scene in which mgmt is managed through Git with an older Flux.
func withOlderFlux() scene {
	return scene{"with older Flux", func(w *world) {
		managed().prepare(w)
		w.olderFlux()
	}}
}

func (w *world) olderFlux() {
	t := w.t
	t.Helper()
	files := w.files()
	follows(t, w.push(gittest.Change{Branch: "main", Message: "Add Flux v2.8.5 component manifests",
		Files: map[string]string{componentsFile: older(files[componentsFile])}}))
	if got := image(t, "source-controller"); got != "ghcr.io/fluxcd/source-controller:v1.8.5" {
		t.Fatalf("the older source-controller has image %s", got)
	}
}

const usersKustomization = `# Flux of the Berlin site.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- gotk-components.yaml
- gotk-sync.yaml
patches:
- target: {kind: Deployment, name: source-controller}   # more memory
  patch: |-
    - op: replace
      path: /spec/template/spec/containers/0/resources/limits/memory
      value: 2Gi
`

// TestFluxUpgrade_version brings an older Flux to the present release: Git is regenerated, the user's patches
// stay, and Flux rolls itself over; the run waits for the new controllers.
func TestFluxUpgrade_version(t *testing.T) {
	w := olderFlux(t)
	follows(t, w.push(gittest.Change{Branch: "main", Message: "More memory",
		Files: map[string]string{kustomizationFile: usersKustomization}}))
	sync := w.files()[syncFile]
	before := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0).
		prints("source-controller v1.8.5 → v1.9.4", "helm-controller v1.5.1 → v1.6.3", "flux v2.8.5 → v2.9.4",
			"gotk-components.yaml: ").tells("change of Flux: kustomize-controller v1.8.5 → v1.9.4",
		"Wait for Flux's new controllers to work")
	before.writesNothing()

	out := w.run("upgrade", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0).json()
	changes, _ := at(t, out, "flux", "changes").([]any)
	if len(changes) != 5 || at(t, changes[1], "name") != "source-controller" ||
		at(t, changes[1], "oldVersion") != "v1.8.5" || at(t, changes[1], "newVersion") != "v1.9.4" {
		t.Errorf("changes %v", changes)
	}
	files := w.files()
	// The user's patches stay as they are, and what keeps Flux from deleting itself comes behind them.
	protected := strings.HasPrefix(files[kustomizationFile], usersKustomization) &&
		strings.Contains(files[kustomizationFile], "deletionPolicy: Orphan")
	if strings.Contains(files[componentsFile], "v2.8.5") || !protected || files[syncFile] != sync {
		t.Errorf("the files of Flux are not as they should be:\n%s\n%s",
			files[kustomizationFile], files[syncFile])
	}
	for controller, want := range map[string]string{"source-controller": "v1.9.4",
		"kustomize-controller": "v1.9.4", "helm-controller": "v1.6.3", "notification-controller": "v1.9.3"} {
		if got := image(t, controller); got != "ghcr.io/fluxcd/"+controller+":"+want {
			t.Errorf("%s has image %s", controller, got)
		}
	}
	memory := at(t, object(t, "apps", "v1", "Deployment", "flux-system", "source-controller"), "spec",
		"template", "spec", "containers", 0, "resources", "limits", "memory")
	if memory != "2Gi" {
		t.Errorf("source-controller has %v of memory: the user's patch is gone", memory)
	}
	// Flux itself has applied its components: the program has written no Deployment.
	for _, request := range before.clusterWrites() {
		if request.Resource == "deployments" || request.Resource == "customresourcedefinitions" {
			t.Errorf("the program wrote %+v", request)
		}
	}
	if log := w.gh.Repo("alice/fleet").Git().Log("main"); log[0].Subject() !=
		"Upgrade Flux from v2.8.5 to v2.9.4" {
		t.Errorf("the commit says %q", log[0].Subject())
	}
	again := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	again.writesNothing()
}

// TestFluxUpgrade_interrupted: a run was killed right after its push. Git has the new release, the cluster
// the old one, and the next run goes on.
func TestFluxUpgrade_interrupted(t *testing.T) {
	w := olderFlux(t)
	s := stackOf(t)
	s.StopFlux()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0).tells("Wait for Flux to apply the " +
		"commit (planned)\n+ Wait for Flux's new controllers to work (flux v2.8.5 → v2.9.4, ")
	out := w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--flux-timeout", "3s").exits(5)
	out.tells("eksa-gitops upgrade cluster -f mgmt.yaml")
	if got := image(t, "source-controller"); got != "ghcr.io/fluxcd/source-controller:v1.8.5" {
		t.Fatalf("source-controller has image %s", got)
	}
	if err := s.StartFlux(t.Context(), "flux-system"); err != nil {
		t.Fatal(err)
	}
	pushes := w.gh.Mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0)
	if activity := w.gh.Since(pushes); activity.Pushes != 0 {
		t.Errorf("%d pushes, want none", activity.Pushes)
	}
	if got := image(t, "source-controller"); got != "ghcr.io/fluxcd/source-controller:v1.9.4" {
		t.Errorf("source-controller has image %s", got)
	}
	again := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	again.writesNothing()
}

// TestFluxUpgrade_edited: components that somebody edited by hand are named and replaced only when that is
// said; a newer Flux is left alone.
func TestFluxUpgrade_edited(t *testing.T) {
	w := olderFlux(t)
	edited := strings.Replace(w.files()[componentsFile], "cpu: 50m", "cpu: 55m", 1)
	follows(t, w.push(gittest.Change{Branch: "main", Message: "Give it more",
		Files: map[string]string{componentsFile: edited}}))
	before := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(3).tells(
		"gotk-components.yaml has been edited by hand", "source-controller v1.8.5 (settings)",
		"move the edits into patches of "+kustomizationFile, "--overwrite")
	before.writesNothing()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--overwrite").exits(0).prints(
		"source-controller v1.8.5 → v1.9.4")

	newer := strings.NewReplacer("Flux Version: v2.9.4", "Flux Version: v2.99.0",
		"app.kubernetes.io/version: v2.9.4",
		"app.kubernetes.io/version: v2.99.0").Replace(w.files()[componentsFile])
	follows(t, w.push(gittest.Change{Branch: "main", Message: "Add Flux v2.99.0 component manifests",
		Files: map[string]string{componentsFile: newer}}))
	// waits until the controllers with the new labels run
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0)
	before = w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do").tells("Flux v2.99.0 in " +
		componentsFile + " is newer than v2.9.4")
	before.writesNothing()
}

const bundles = `apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: Bundles
metadata:
  name: bundles-91
spec:
  number: 91
  versionsBundles:
  - kubeVersion: "1.33"
    flux:
      version: v2.9.4+abcdef1
      sourceController: {uri: "registry.example.com/fluxcd/source-controller:v1.9.4-eks-a-91"}
      kustomizeController: {uri: "registry.example.com/fluxcd/kustomize-controller:v1.9.4-eks-a-91"}
      helmController: {uri: "registry.example.com/fluxcd/helm-controller:v1.6.3-eks-a-91"}
      notificationController: {uri: "registry.example.com/fluxcd/notification-controller:v1.9.3-eks-a-91"}
`

// TestFluxUpgrade_componentsAndImages creates a cluster with other controllers than the default ones and
// images of a Bundles file, then changes both.
func TestFluxUpgrade_componentsAndImages(t *testing.T) {
	w := newWorld(t)
	w.write("bundles.yaml", bundles)
	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--components",
		"source-controller,helm-controller").exits(2).tells("must include kustomize-controller")
	w.run("create", "cluster", "-f", "mgmt.yaml", "--bundles", "mgmt.yaml").exits(3).tells(
		"mgmt.yaml cannot be used as a Bundles file", "it must be kind Bundles")
	before.writesNothing()
	three := "source-controller,kustomize-controller,helm-controller"
	w.run("create", "cluster", "-f", "mgmt.yaml", "--components", three, "--bundles", "bundles.yaml").exits(0)
	if got := image(t, "helm-controller"); got !=
		"registry.example.com/fluxcd/helm-controller:v1.6.3-eks-a-91" {
		t.Errorf("helm-controller has image %s", got)
	}
	again := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--components", three, "--bundles",
		"bundles.yaml").exits(0).prints("Nothing to do")
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	again.writesNothing()

	// An object of helm-controller's would go with it.
	if err := stackOf(t).Apply(t.Context(), []byte(`apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: shop, namespace: default}
spec:
  interval: 1h
  chart: {spec: {chart: shop, sourceRef: {kind: HelmRepository, name: shop}}}
`)); err != nil {
		t.Fatal(err)
	}
	two := "source-controller,kustomize-controller"
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--components", two).exits(3).tells(
		"helm-controller cannot be removed", "HelmRelease default/shop")
	remove(t, "helm.toolkit.fluxcd.io", "v2", "HelmRelease", "default", "shop")
	w.write("bundles.yaml", strings.ReplaceAll(bundles, "eks-a-91", "eks-a-92"))
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--components", two, "--bundles", "bundles.yaml").exits(0).
		prints("source-controller v1.9.4-eks-a-91 → v1.9.4-eks-a-92",
			"helm-controller v1.6.3-eks-a-91 (removed)")
	if got := image(t, "source-controller"); got !=
		"registry.example.com/fluxcd/source-controller:v1.9.4-eks-a-92" {
		t.Errorf("source-controller has image %s", got)
	}
	if _, there := exists(t, "apps", "v1", "Deployment", "flux-system", "helm-controller"); there {
		t.Error("helm-controller is still there")
	}
	if content := w.files()[kustomizationFile]; strings.Contains(content, "helm-controller") ||
		strings.Contains(content, "eks-a-91") {
		t.Errorf("the kustomization is\n%s", content)
	}
	again = w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	again.writesNothing()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--components",
		"source-controller,kustomize-controller,helm-controller,notification-controller").exits(0).prints(
		"notification-controller v1.9.3 (new)")
	waitUntilDeployment(t, "flux-system", "notification-controller")
}
