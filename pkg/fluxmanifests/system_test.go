package fluxmanifests

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// systemFiles are Flux's folder with a kustomization.
func systemFiles(t *testing.T, kustomization string) map[string][]byte {
	t.Helper()
	components, err := Components(t.Context(), ComponentsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sync, err := Sync(SyncOptions{URL: "ssh://git@github.com/acme/fleet.git", Path: "clusters/mgmt"})
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"gotk-components.yaml": components, "gotk-sync.yaml": sync,
		"kustomization.yaml": []byte(kustomization)}
}

// byName are the documents of a stream, by kind, namespace and name.
func byName(t *testing.T, content []byte) map[string]any {
	t.Helper()
	objects := map[string]any{}
	err := EachDocument(content, func(document []byte) error {
		var object map[string]any
		if err := yaml.Unmarshal(document, &object); err != nil {
			return err
		}
		metadata := object["metadata"].(map[string]any)
		namespace, _ := metadata["namespace"].(string)
		objects[object["kind"].(string)+"/"+namespace+"/"+metadata["name"].(string)] = object
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

const (
	bothResources = "resources:\n- gotk-components.yaml\n- gotk-sync.yaml\n"
	imagePatch    = `patches:
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: source-controller
      namespace: flux-system
    spec:
      template:
        spec:
          containers:
          - image: public.example.com/source-controller:v1
            name: manager
`
)

// Setting the CRDs apart gives the same objects as building all.
func TestBuildSystem_apart(t *testing.T) {
	t.Parallel()
	for name, kustomization := range map[string]string{
		"flux bootstrap": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" +
			bothResources,
		"EKS Anywhere": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" +
			"namespace: flux-system\n" + bothResources + imagePatch,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := systemFiles(t, kustomization)
			if !leavesDefinitionsAlone(files) {
				t.Fatal("the CRDs are not set apart")
			}
			components, sync, err := BuildSystem(files)
			if err != nil {
				t.Fatal(err)
			}
			// An empty generator changes nothing, and is not looked through.
			files["kustomization.yaml"] = []byte(kustomization + "configMapGenerator: []\n")
			if leavesDefinitionsAlone(files) {
				t.Fatal("the CRDs are set apart")
			}
			wantComponents, wantSync, err := BuildSystem(files)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := byName(t, components), byName(t, wantComponents); !reflect.DeepEqual(got, want) {
				t.Errorf("objects %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
			if !bytes.Equal(sync, wantSync) {
				t.Errorf("sync objects:\n%s\nwant:\n%s", sync, wantSync)
			}
			again, _, err := BuildSystem(systemFiles(t, kustomization))
			if err != nil || !bytes.Equal(again, components) {
				t.Errorf("the second time gives other bytes, %v", err)
			}
		})
	}
}

// Whatever might touch a CRD is built in full.
func TestLeavesDefinitionsAlone(t *testing.T) {
	t.Parallel()
	patch := func(text string) string { return bothResources + "patches:\n- patch: |-\n    " + text + "\n" }
	for name, test := range map[string]struct {
		kustomization string
		want          bool
	}{
		"plain":   {bothResources, true},
		"patched": {bothResources + imagePatch, true},
		"labels":  {bothResources + "labels: [{pairs: {a: b}}]\n", false},
		"with a target": {
			bothResources + "patches: [{patch: '{kind: Deployment}', target: {kind: Deployment}}]\n", false},
		"patch in a file":    {bothResources + "patches: [{path: patch.yaml}]\n", false},
		"CRD patched":        {patch("kind: CustomResourceDefinition"), false},
		"CRD in quotes":      {patch(`kind: "CustomResourceDefinition"`), false},
		"patch without kind": {patch("metadata: {name: a}"), false},
		"a file not listed":  {"resources: [gotk-components.yaml]\n", false},
		"not YAML":           {"resources: [", false},
		"none":               {"", false},
	} {
		if got := leavesDefinitionsAlone(systemFiles(t, test.kustomization)); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	files := systemFiles(t, bothResources)
	files["gotk-components.yaml"] = append(files["gotk-components.yaml"],
		"---\nkind: CustomResourceDefinition\nspec:\n  conversion:\n    strategy: Webhook\n"...)
	if leavesDefinitionsAlone(files) {
		t.Error("a CRD with a conversion webhook is set apart")
	}
}

// A labelled build reaches the CRDs, too.
func TestBuildSystem_labels(t *testing.T) {
	t.Parallel()
	components, _, err := BuildSystem(systemFiles(t, bothResources+"labels: [{pairs: {team: fleet}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, object := range byName(t, components) {
		labels, _ := object.(map[string]any)["metadata"].(map[string]any)["labels"].(map[string]any)
		if labels["team"] != "fleet" {
			t.Errorf("%s has labels %v", name, labels)
		}
	}
}

func TestField(t *testing.T) {
	t.Parallel()
	document := "# kind: Comment\napiVersion: v1\nkind: Secret\nmetadata:\n  kind: Inner\n"
	for name, want := range map[string]string{"kind": "Secret", "apiVersion": "v1", "metadata": "",
		"name": ""} {
		if got := field([]byte(document), name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// The namespace's name in the place of the default one is what the generator gives, too.
func TestComponents_namespaceAsGenerated(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{"gitops", "aaa", "flux-system-2"} {
		fast, err := Components(t.Context(), ComponentsOptions{Namespace: namespace})
		if err != nil {
			t.Fatal(err)
		}
		generate := defaultGenerate()
		generate.Namespace = namespace
		slow, err := render(generate)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fast, slow) {
			t.Errorf("%s: other bytes", namespace)
		}
	}
	for namespace, want := range map[string]bool{"gitops": true, "flux-system": true, "null": false,
		"123": false, "1e3": false} {
		generate := defaultGenerate()
		generate.Namespace = namespace
		if got := onlyNamespace(generate); got != want {
			t.Errorf("%s: %v, want %v", namespace, got, want)
		}
	}
	// Flux's generator cannot have such a namespace; that must be an error, not a file in which it is a
	// number.
	if _, err := Components(t.Context(), ComponentsOptions{Namespace: "123"}); err == nil ||
		!strings.Contains(err.Error(), "generating Flux v2.9.4: ") {
		t.Errorf("a namespace that looks like a number: %v", err)
	}
}
