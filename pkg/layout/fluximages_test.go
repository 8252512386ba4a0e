package layout

import (
	"maps"
	"strings"
	"testing"
)

const patchedKustomization = `# Ours.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: flux-system
resources:
- gotk-components.yaml
- gotk-sync.yaml
patches:
# more memory
- target: {kind: Deployment, name: source-controller}
  patch: |-
    - op: replace
      path: /spec/template/spec/containers/0/resources/limits/memory
      value: 4Gi
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: helm-controller
      namespace: flux-system
    spec:
      template:
        spec:
          containers:
          - image: "registry.example.com/helm-controller:v1"   # from the old bundle
            name: manager
# the last one
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
          - image: registry.example.com/source-controller:v1
            name: manager

# labels of the site
labels:
- pairs: {site: berlin}
`

func TestSetControllerImages(t *testing.T) {
	t.Parallel()
	plain := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n" +
		"- gotk-components.yaml\n- gotk-sync.yaml\n"
	added := imagePatches("flux-system", map[string]string{"kustomize-controller": "r/kustomize:v2"})
	for name, test := range map[string]struct {
		before string
		images map[string]string
		gone   []string
		want   string
	}{
		"nothing": {patchedKustomization, nil, nil, patchedKustomization},
		"same": {patchedKustomization,
			map[string]string{"source-controller": "registry.example.com/source-controller:v1"}, nil,
			patchedKustomization},
		"other images": {
			patchedKustomization,
			map[string]string{"source-controller": "r/source:v2", "helm-controller": "r/helm:v2"}, nil,
			strings.NewReplacer("registry.example.com/helm-controller:v1", "r/helm:v2",
				"registry.example.com/source-controller:v1", "r/source:v2").Replace(patchedKustomization),
		},
		"one is missing": {
			patchedKustomization, map[string]string{"kustomize-controller": "r/kustomize:v2"}, nil,
			strings.Replace(patchedKustomization, "            name: manager\n\n# labels",
				"            name: manager\n"+added+"\n# labels", 1),
		},
		"a controller is gone": {
			patchedKustomization, nil, []string{"helm-controller"},
			patchedKustomization[:strings.Index(patchedKustomization, "- patch: |-\n    apiVersion")] +
				patchedKustomization[strings.Index(patchedKustomization, "# the last one"):],
		},
		"none so far": {plain, map[string]string{"kustomize-controller": "r/kustomize:v2"}, nil,
			plain + "patches:\n" + added},
		"no last newline": {strings.TrimSuffix(plain, "\n"),
			map[string]string{"kustomize-controller": "r/kustomize:v2"}, nil, plain + "patches:\n" + added},
		"the only one is gone": {
			plain + "patches:\n" +
				imagePatches("flux-system", map[string]string{"helm-controller": "r/helm:v1"}),
			nil, []string{"helm-controller"}, plain,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := SetControllerImages([]byte(test.before), "flux-system", test.images, test.gone)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			again, err := SetControllerImages(got, "flux-system", test.images, test.gone)
			if err != nil || string(again) != string(got) {
				t.Errorf("a second time: %v\n%s", err, again)
			}
			have := ControllerImages(got)
			for controller, image := range test.images {
				if have[controller] != image {
					t.Errorf("%s has image %q, want %q", controller, have[controller], image)
				}
			}
		})
	}
}

// A list in one line is written anew, and what it says stays.
func TestSetControllerImages_flow(t *testing.T) {
	t.Parallel()
	got, err :=
		SetControllerImages([]byte("resources: [gotk-components.yaml, gotk-sync.yaml]\npatches: []\n"),
			"flux-system", map[string]string{"source-controller": "r/source:v2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if have := ControllerImages(got); !maps.Equal(have,
		map[string]string{"source-controller": "r/source:v2"}) ||
		!strings.Contains(string(got), "gotk-sync.yaml") {
		t.Errorf("images %v in\n%s", have, got)
	}
}

func TestSetControllerImages_refused(t *testing.T) {
	t.Parallel()
	for content, images := range map[string]map[string]string{
		"- a\n":            nil,
		"a: [\n":           nil,
		"patches: other\n": {"source-controller": "r/source:v2"},
		"resources: []\n":  {"other-controller": "r/other:v2"},
	} {
		if got, err := SetControllerImages([]byte(content), "flux-system", images, nil); err == nil {
			t.Errorf("%q became %q", content, got)
		}
	}
}
