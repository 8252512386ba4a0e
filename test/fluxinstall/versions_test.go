//go:build unix

package fluxinstall_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

const sources = "gitrepositories.source.toolkit.fluxcd.io"

// older gives a definition of Flux's a version more, as an older release had it, and says in which of the two
// objects are stored and whether the present one is served at all.
func (w *world) older(name, version, storage string, present bool) {
	w.t.Helper()
	crd := w.object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	now := versions[0].(map[string]any)
	before := schemaCopy(now)
	before["name"] = version
	now["served"] = present
	now["storage"], before["storage"] = storage == now["name"], storage == version
	encoded, err := json.Marshal(map[string]any{"spec": map[string]any{"versions": []any{now, before}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.patch(crd, string(encoded))
	group := strings.SplitN(name, ".", 2)[1]
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version,
		Kind: crdKind(crd) + "List"})
	// until the server has taken it up, which ends with the test's time
	for w.stack.Client().List(w.t.Context(), list) != nil {
		if w.t.Context().Err() != nil {
			w.t.Fatal("the version is not served")
		}
		time.Sleep(20 * time.Millisecond) // there is nothing to watch
	}
}

func crdKind(crd *unstructured.Unstructured) string {
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	return kind
}

func schemaCopy(version map[string]any) map[string]any {
	u := unstructured.Unstructured{Object: version}
	return u.DeepCopy().Object
}

// storedVersions are the versions in which objects of a definition may be stored.
func (w *world) storedVersions(name string) []string {
	stored, _, _ := unstructured.NestedStringSlice(
		w.object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name).Object, "status",
		"storedVersions")
	return stored
}

// TestMigrateVersions: objects of an older Flux are stored anew, so that definitions without the older
// version are taken.
func TestMigrateVersions(t *testing.T) {
	w := newWorld(t)
	w.install(true)
	w.synced()
	ctx := t.Context()
	kinds := []fluxinstall.KindVersions{{Definition: sources, Group: "source.toolkit.fluxcd.io",
		Kind: "GitRepository", Versions: []string{"v1"}, Served: []string{"v1"}}}
	if survey, err := w.cluster.SurveyVersions(ctx, namespace, kinds); err != nil ||
		!reflect.DeepEqual(survey, &fluxinstall.VersionSurvey{}) {
		t.Fatalf("a definition that loses nothing: %+v, %v", survey, err)
	}

	// The older release stores v1beta2.
	w.older(sources, "v1beta2", "v1beta2", true)
	if err := w.stack.Apply(ctx, []byte(`apiVersion: source.toolkit.fluxcd.io/v1beta2
kind: GitRepository
metadata: {name: shop, namespace: default}
spec: {interval: 1h, url: "https://git.example.com/shop"}
`)); err != nil {
		t.Fatal(err)
	}
	survey, err := w.cluster.SurveyVersions(ctx, namespace, kinds)
	if err != nil || len(survey.Dropped) != 1 || !survey.Dropped[0].Stuck {
		t.Fatalf("objects that are stored in a version that goes: %+v, %v", survey, err)
	}
	before := w.mark()
	if done, err := w.cluster.MigrateVersions(ctx, survey.Dropped, nil); len(done) > 0 || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	if got := w.writes(before); len(got) > 0 {
		t.Errorf("wrote %v", got)
	}

	// The release in between stores v1, and has both.
	w.older(sources, "v1beta2", "v1", true)
	survey, err = w.cluster.SurveyVersions(ctx, namespace, kinds)
	want := fluxinstall.DroppedVersions{
		Definition: sources, Group: "source.toolkit.fluxcd.io", Kind: "GitRepository",
		Stored: []string{"v1beta2"}, Served: []string{"v1beta2"}, Storage: "v1", Objects: 2,
		Writers: survey.Dropped[0].Writers,
	}
	if err != nil || len(survey.Dropped) != 1 || !reflect.DeepEqual(survey.Dropped[0], want) ||
		len(survey.MissingRights) > 0 || len(survey.Applied) > 0 {
		t.Fatalf("got %+v, %v; want %+v", survey, err, want)
	}
	if writers := survey.Dropped[0].Writers; len(writers) != 1 ||
		!strings.HasPrefix(writers[0], "GitRepository default/shop (") {
		t.Errorf("writers %v", writers)
	}
	manifests, err := fluxmanifests.Components(ctx, fluxmanifests.ComponentsOptions{Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.cluster.EnsureComponents(ctx, manifests, nil); err == nil ||
		!strings.Contains(err.Error(), `"v1beta2": missing from spec.versions`) {
		t.Errorf("the server takes definitions without a stored version: %v", err)
	}
	var told []string
	done, err := w.cluster.MigrateVersions(ctx, survey.Dropped, func(p fluxinstall.Progress) {
		told = append(told, p.Message)
	})
	if err != nil || len(done) != 1 || done[0].String() != sources+" v1beta2 → v1 (2 objects)" ||
		!slices.Equal(told, []string{sources + ": 1 of 2 objects", sources + ": 2 of 2 objects"}) {
		t.Errorf("%v, %v, %v", done, told, err)
	}
	if stored := w.storedVersions(sources); !slices.Equal(stored, []string{"v1"}) {
		t.Errorf("stored versions %v", stored)
	}
	for _, entry := range w.object("source.toolkit.fluxcd.io/v1", "GitRepository", "default",
		"shop").GetManagedFields() {
		if entry.APIVersion != "source.toolkit.fluxcd.io/v1" {
			t.Errorf("%s still has a note in %s", entry.Manager, entry.APIVersion)
		}
	}
	before = w.mark()
	if done, err := w.cluster.MigrateVersions(ctx, survey.Dropped, nil); len(done) > 0 || err != nil {
		t.Errorf("again: %v, %v", done, err)
	}
	if got := w.writes(before); len(got) > 0 {
		t.Errorf("again, wrote %v", got)
	}
	if _, err := w.cluster.EnsureComponents(ctx, manifests, nil); err != nil {
		t.Errorf("after the migration: %v", err)
	}
	w.synced()
}

// TestSurveyVersions_applied: objects that other Kustomizations apply in a version that goes are found by
// their inventories, those of other clusters are not, and who may not migrate is told so.
func TestSurveyVersions_applied(t *testing.T) {
	w := newWorld(t)
	w.install(true)
	w.synced()
	ctx := t.Context()
	w.older(sources, "v1beta2", "v1", true)
	kinds := []fluxinstall.KindVersions{{Definition: sources, Group: "source.toolkit.fluxcd.io",
		Kind: "GitRepository", Versions: []string{"v1"}, Served: []string{"v1"}}}
	for name, kubeconfig := range map[string]string{"tenants": "",
		"remote": "kubeConfig: {secretRef: {name: dev}}, "} {
		if err := w.stack.Apply(ctx, []byte(`apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: `+name+`, namespace: `+namespace+`}
spec: {suspend: true, `+kubeconfig+
			`interval: 1h, path: ./none, prune: false, sourceRef: {kind: GitRepository, name: none}}
`)); err != nil {
			t.Fatal(err)
		}
		ks := eksacontroller.Object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", namespace, name)
		status := client.RawPatch("application/merge-patch+json",
			[]byte(`{"status":{"inventory":{"entries":[{"id":"shop_web_source.toolkit.fluxcd.io_GitRepository","v":"v1beta2"},{"id":"shop_api_source.toolkit.fluxcd.io_GitRepository","v":"v1"},{"id":"_shop__Namespace","v":"v1"}]}}}`))
		if err := w.stack.Client().Status().Patch(ctx, ks, status); err != nil {
			t.Fatal(err)
		}
	}
	survey, err := w.cluster.SurveyVersions(ctx, namespace, kinds)
	want := []fluxinstall.AppliedVersion{{Kustomization: namespace + "/tenants",
		Object: "GitRepository shop/web", APIVersion: "source.toolkit.fluxcd.io/v1beta2"}}
	if err != nil || !reflect.DeepEqual(survey.Applied, want) || len(survey.Dropped) != 1 ||
		len(survey.Dropped[0].Stored) != 0 {
		t.Errorf("got %+v, %v", survey, err)
	}
}

// TestServedVersions: the objects of a Flux that serves another version alone are found, waited for and
// changed all the same.
func TestServedVersions(t *testing.T) {
	w := newWorld(t)
	w.install(true)
	w.synced()
	w.stack.StopFlux() // the present controllers know v1 alone
	w.older(sources, "v1beta2", "v1beta2", false)
	w.older("kustomizations.kustomize.toolkit.fluxcd.io", "v1beta2", "v1beta2", false)
	state := w.inspect()
	if state.Flux.GitRepository == nil || state.Flux.Kustomization == nil ||
		state.Flux.GitRepository.URL != w.git.SSHURL("acme/fleet") || !state.Applied(branch, w.commit) {
		t.Fatalf("flux: %+v", state.Flux)
	}
	if err := w.cluster.RequestReconcile(t.Context(), namespace, namespace); err != nil {
		t.Fatal(err)
	}
	object := w.object("source.toolkit.fluxcd.io/v1beta2", "GitRepository", namespace, namespace)
	if object.GetAnnotations()["reconcile.fluxcd.io/requestedAt"] == "" {
		t.Errorf("annotations %v", object.GetAnnotations())
	}
	survey, err := w.cluster.Survey(t.Context(), fluxinstall.SurveyOptions{})
	if err != nil || survey.Flux.GitRepository == nil || survey.Flux.Kustomization == nil {
		t.Errorf("survey: %+v, %v", survey, err)
	}
}
