package layout_test

import (
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

func TestUnlist(t *testing.T) {
	t.Parallel()
	const file = "clusters/dev/kustomization.yaml"
	gone := func(path string) bool {
		return path == "clusters/dev/w01/eksa-system" ||
			path == "clusters/dev/w01/eksa-system/eksa-cluster.yaml"
	}
	for name, test := range map[string]struct {
		content, want   string
		removed, others []string
		empty           bool
	}{
		"comments stay": {
			content: "# ours\nresources:\n  - flux-system # Flux\n  - ./w01/eksa-system/  # the first\n\n" +
				"  # the second\n  - w02/eksa-system\nlabels: []\n",
			want: "# ours\nresources:\n  - flux-system # Flux\n\n  # the second\n  - w02/eksa-system\n" +
				"labels: []\n",
			removed: []string{"./w01/eksa-system/"},
		},
		"one line": {
			content: "kind: Kustomization # k\nresources: [flux-system, w01/eksa-system]\n",
			want:    "kind: Kustomization # k\nresources: [flux-system]\n",
			removed: []string{"w01/eksa-system"},
		},
		"the whole list": {
			content: "kind: Kustomization\nresources:\n- w01/eksa-system\nnamespace: default\n",
			want:    "kind: Kustomization\nnamespace: default\n",
			removed: []string{"w01/eksa-system"},
		},
		"nothing left": {
			content: "kind: Kustomization\nresources:\n- w01/eksa-system\n",
			want:    "kind: Kustomization\n",
			removed: []string{"w01/eksa-system"}, empty: true,
		},
		"file instead of directory": {
			content: "components: []\nresources:\n- w01/eksa-system/eksa-cluster.yaml\n- x.yaml\n",
			want:    "components: []\nresources:\n- x.yaml\n",
			removed: []string{"w01/eksa-system/eksa-cluster.yaml"},
		},
		"another field": {
			content: "resources:\n- x.yaml\npatches:\n- path: w01/eksa-system/eksa-cluster.yaml\n",
			want:    "resources:\n- x.yaml\npatches:\n- path: w01/eksa-system/eksa-cluster.yaml\n",
			others:  []string{"patches"},
		},
		"not concerned": {
			content: "resources:\n- https://example.com/w01/eksa-system\n- w010/eksa-system\n",
			want:    "resources:\n- https://example.com/w01/eksa-system\n- w010/eksa-system\n",
		},
		"empty file": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := layout.Unlist(file, []byte(test.content), gone)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Content) != test.want || got.Empty != test.empty ||
				!slices.Equal(got.Removed, test.removed) || !slices.Equal(got.Others, test.others) {
				t.Errorf("%+v\n%s", got, got.Content)
			}
		})
	}
	for _, bad := range []string{"- a\n", "a: [\n"} {
		if got, err := layout.Unlist(file, []byte(bad), gone); err == nil ||
			!strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

// TestInertKustomization holds the file against kustomize itself, whose rule it gets around.
func TestInertKustomization(t *testing.T) {
	t.Parallel()
	for content, ok := range map[string]bool{
		string(layout.InertKustomization()):               true,
		"kind: Kustomization\n":                           false,
		string(layout.ClusterKustomization()):             false, // what it lists is not there
		"kind: Kustomization\nresources:\n- other.yaml\n": true,
	} {
		memory := filesys.MakeFsInMemory()
		for name, text := range map[string]string{"kustomization.yaml": content,
			"other.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"} {
			if err := memory.WriteFile("/dir/"+name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory,
			"/dir"); (err == nil) != ok {
			t.Errorf("%s: %v", content, err)
		}
	}
}
