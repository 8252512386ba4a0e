package clusterspec_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// TestRender_keepsText: everything that need not change stays as it is, byte for byte.
func TestRender_keepsText(t *testing.T) {
	t.Parallel()
	const rest = `
    pods: { cidrBlocks: [ 192.168.0.0/16 ] }   # spaced

    services:
        cidrBlocks: # deeper
        - "10.96.0.0/12"
    cniConfig: {cilium: {}}
  datacenterRef: {kind: 'DockerDatacenterConfig', "name": dev}
  licenseToken: >-
    folded

    # no comment
  podIamConfig:
    serviceAccountIssuer: |
      kept
---
`
	const datacenter = "kind: DockerDatacenterConfig # first\n" +
		"apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nmetadata:\n  labels: {a: b}\n  name: dev\n"
	input := `
# top

kind: Cluster
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
# about the status
status:
  conditions:
  - type: Ready
    # inside
    message: |
      text

      # text too

  # still the status
# about the metadata
metadata:
   annotations:
      # the CLI's
      anywhere.eks.amazonaws.com/managed-by-cli: "true"
      # ours
      team: 'a'
   name:   dev   # name
   managedFields:
   - manager: x
     fieldsV1: {f: {}}

   # nothing below
spec:
  kubernetesVersion:    1.33
  controlPlaneConfiguration: {count: 1}
  workerNodeGroupConfigurations:
  - kubernetesVersion: 1.32 # one behind
    count: 1
  clusterNetwork:` + rest + "\n\n" + datacenter + "\n\n"
	want := `# top

kind: Cluster
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
# about the metadata
metadata:
   annotations:
      # ours
      team: 'a'
   name:   dev   # name
   namespace: default

   # nothing below
spec:
  kubernetesVersion:    "1.33"
  controlPlaneConfiguration: {count: 1}
  workerNodeGroupConfigurations:
  - kubernetesVersion: "1.32" # one behind
    count: 1
  clusterNetwork:` + rest + datacenter + "  namespace: default\n"
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: "a.yaml", Data: []byte(input)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(clusterspec.Render(set.Clusters[0])); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	checkRendering(t, set.Clusters[0])
}

// TestRender_trailingLineEnds: a block scalar that keeps its line ends at the end of a document keeps its
// value.
func TestRender_trailingLineEnds(t *testing.T) {
	t.Parallel()
	text := readSpec(t, "docker-no-gitops")
	text = mustReplace(t, text, "    name: dev\n---\n",
		"    name: dev\n  podIamConfig:\n    serviceAccountIssuer: |+\n      kept\n\n\n---\n")
	set := parseText(text)
	value := set.Clusters[0].Objects[0].
		Decoded()["spec"].(map[string]any)["podIamConfig"].(map[string]any)["serviceAccountIssuer"]
	if value != "kept\n\n\n" {
		t.Fatalf("read %q", value)
	}
	checkRendering(t, set.Clusters[0])
	again := parseText(string(clusterspec.Render(set.Clusters[0])))
	if got := again.Clusters[0].Objects[0].
		Decoded()["spec"].(map[string]any)["podIamConfig"].(map[string]any)["serviceAccountIssuer"]; got !=
		value {
		t.Errorf("rendered %q", got)
	}
}

// TestRender_cni: what is written to Git has cniConfig, in the place of cni and with what is said beside it.
func TestRender_cni(t *testing.T) {
	t.Parallel()
	const there = "    cniConfig:\n      cilium: {}\n"
	for name, test := range map[string]struct{ spec, cni, want string }{
		"cilium": {"vsphere-management-github", "    cni: cilium # ours\n",
			"    cniConfig: {cilium: {}} # ours\n"},
		"quoted": {"vsphere-management-github", "    \"cni\": 'cilium-enterprise'\n",
			"    cniConfig: {cilium: {}}\n"},
		"kindnetd": {"docker-management-github", "    cni: kindnetd\n", "    cniConfig: {kindnetd: {}}\n"},
		"an anchor": {"vsphere-management-github", "    cni: &plugin cilium\n",
			"    cniConfig:\n      cilium: {}\n"},
		"new form": {"vsphere-management-github", there, there},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := clusterspec.Parse([]clusterspec.Source{{Name: "a.yaml",
				Data: []byte(mustReplace(t, readSpec(t, test.spec), there, test.cni))}})
			if err != nil {
				t.Fatal(err)
			}
			checkRendering(t, set.Clusters[0])
			rendered := clusterspec.Render(set.Clusters[0])
			if !strings.Contains(string(rendered), test.want) || strings.Contains(string(rendered), "cni:") {
				t.Errorf("rendered %s", rendered)
			}
			_, err = clusterspec.ParseApplied([]clusterspec.Source{{Name: "a", Data: rendered}})
			if err != nil {
				t.Errorf("what is rendered: %v", err)
			}
		})
	}
}

// TestRender_awkwardPlaces: changes where they are hard to make still give the right values.
func TestRender_awkwardPlaces(t *testing.T) {
	t.Parallel()
	base := readSpec(t, "docker-management-github")
	for name, edit := range map[string][2]string{
		"status in flow style over lines": {"spec:\n  kubernetesVersion",
			"status: {\n}\nspec:\n  kubernetesVersion"},
		"metadata in flow style": {"metadata:\n  name: dev\nspec:\n  kubern",
			"metadata: {uid: x, name: dev}\nspec:\n  kubern"},
		"metadata as an anchor": {"metadata:\n  name: dev\nspec:\n  kubern",
			"metadata: &m\n  name: dev\nspec:\n  kubern"},
		"empty namespace": {"metadata:\n  name: dev\nspec:\n  kubern",
			"metadata:\n  namespace:\n  name: dev\nspec:\n  kubern"},
		"null namespace": {"metadata:\n  name: dev\nspec:\n  kubern",
			"metadata:\n  namespace: ~ # none\n  name: dev\nspec:\n  kubern"},
		"quoted empty namespace": {"metadata:\n  name: dev\nspec:\n  kubern",
			"metadata:\n  namespace: ''\n  name: dev\nspec:\n  kubern"},
		"name over lines": {"metadata:\n  name: dev\nspec:\n  kubern",
			"metadata:\n  name: >-\n    dev\nspec:\n  kubern"},
		"empty branch": {"spec:\n  github", "spec:\n  branch: \"\" # default\n  github"},
		"flow style FluxConfig": {"spec:\n  github:\n    personal: true\n    owner: octo\n" +
			"    repository: fleet\n", "spec: {github: {personal: true, owner: octo, repository: fleet}}\n"},
		"explicit key": {"metadata:\n  name: dev\nspec:\n  kubern",
			"? metadata\n: name: dev\nspec:\n  kubern"},
		"comment with a line separator": {"metadata:\n  name: dev\nspec:\n  kubern",
			"metadata: # a\u2028b\n  name: dev\nspec:\n  kubern"},
		"tagged": {"  name: dev\nspec:\n  kubern", "  name: !!str dev\nspec:\n  kubern"},
		"merged metadata": {"metadata:\n  name: dev\nspec:\n  kubern",
			"metadata:\n  <<: {labels: {a: b}}\n  name: dev\nspec:\n  kubern"},
		"document on the marker line": {"---\napiVersion: anywhere.eks.amazonaws.com/v1alpha1\n" +
			"kind: DockerDatacenterConfig\nmetadata:\n  name: dev\nspec: {}\n",
			"--- {apiVersion: anywhere.eks.amazonaws.com/v1alpha1, kind: DockerDatacenterConfig, metadata: " +
				"{name: dev}, spec: {}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := clusterspec.Parse([]clusterspec.Source{{Name: "a.yaml",
				Data: []byte(mustReplace(t, base, edit[0], edit[1]))}})
			if name == "comment with a line separator" && err != nil {
				return // the YAML parser takes the separator for a line end, and what follows for a value
			}
			if err != nil {
				t.Fatal(err)
			}
			checkRendering(t, set.Clusters[0])
		})
	}
}
