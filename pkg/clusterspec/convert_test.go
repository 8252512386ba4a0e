package clusterspec_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

const clusterWithGitOps = `# The team's cluster.
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: Cluster
metadata:
  name: dev
spec:
  # GitOps below
  gitOpsRef:
    kind: GitOpsConfig # old
    name: dev
  kubernetesVersion: 1.33
`

func TestConvert(t *testing.T) {
	t.Parallel()
	converted := strings.Replace(clusterWithGitOps, "GitOpsConfig # old", "FluxConfig # old", 1)
	for _, test := range []struct{ name, input, want string }{
		{"comments", clusterWithGitOps + `---

apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: GitOpsConfig
metadata:
  name: dev # same name
spec:
  # all of it
  flux: # Flux
    # on GitHub
    github: # hosted
      # who
      personal: true
      owner: octo # me
      # where
      clusterConfigPath: clusters/dev

      repository: fleet
      fluxSystemNamespace: gitops # unusual
      # the end

# after
`, converted + `---

apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: FluxConfig
metadata:
  name: dev # same name
spec:
  # all of it
  # on GitHub
  # Flux
  # where
  clusterConfigPath: clusters/dev
  systemNamespace: gitops # unusual
  github: # hosted
    # who
    personal: true
    owner: octo # me
    repository: fleet
    # the end

# after
`},
		{"flow style", clusterWithGitOps + `--- # next
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: GitOpsConfig
metadata: {name: dev}
spec: {flux: {github: {owner: octo, repository: fleet, branch: main}}}
`, converted + `--- # next
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: FluxConfig
metadata:
  name: dev
spec:
  branch: main
  github:
    owner: octo
    repository: fleet
`},
		{"nothing to convert", "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n",
			"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, ends := range []string{"\n", "\r\n"} {
				input := strings.ReplaceAll(test.input, "\n", ends)
				got, err := clusterspec.Convert(clusterspec.Source{Name: "a.yaml", Data: []byte(input)})
				if err != nil {
					t.Fatal(err)
				}
				if want := strings.ReplaceAll(test.want, "\n", ends); string(got) != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
				again, err := clusterspec.Convert(clusterspec.Source{Name: "a.yaml", Data: got})
				if err != nil || !bytes.Equal(again, got) {
					t.Errorf("converting twice: %v\n%s", err, again)
				}
			}
		})
	}
}

// TestConvert_corpus makes sure that a converted file means the same.
func TestConvert_corpus(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"vsphere", "cloudstack", "nutanix", "snow", "tinkerbell", "docker"} {
		before := readSpec(t, name+"-gitopsconfig")
		after, err := clusterspec.Convert(clusterspec.Source{Name: name, Data: []byte(before)})
		if err != nil {
			t.Fatal(err)
		}
		set, err := clusterspec.Parse([]clusterspec.Source{{Name: name, Data: after}})
		// of CloudStack
		others := slices.DeleteFunc(set.Warnings, func(w clusterspec.Problem) bool {
			return w.Rule == "release"
		})
		if err != nil || len(others) > 0 {
			t.Fatal(err, others)
		}
		want := *parseText(before).Clusters[0].GitOps
		want.Kind = "FluxConfig"
		if got := *set.Clusters[0].GitOps; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, was %+v", name, got, want)
		}
	}
}

func TestConvert_errors(t *testing.T) {
	t.Parallel()
	const object = "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: %s\nmetadata: {name: dev}\n" +
		"spec: {flux: {github: {owner: a}}}\n"
	gitops, flux := strings.Replace(object, "%s", "GitOpsConfig", 1),
		strings.Replace(object, "%s", "FluxConfig", 1)
	for input, want := range map[string]string{
		"":     "a.yaml: the file is empty",
		"a: [": "a.yaml:1:1: not valid YAML",
		"\xff": "a.yaml:1:1: not text in UTF-8",
		gitops + "---\n" +
			flux: "a.yaml:6:1: FluxConfig dev: a FluxConfig of this name is in the file already",
		strings.Replace(gitops, "{github: {owner: a}}", "{}",
			1): "a.yaml:1:1: GitOpsConfig dev: spec.flux.github: the GitOpsConfig has no settings",
		gitops + "---\n" +
			strings.Replace(clusterWithGitOps, "kind: GitOpsConfig #", "kind: &kind GitOpsConfig #",
				1): "a.yaml:14:11: Cluster dev: spec.gitOpsRef.kind: the reference cannot be edited in place",
	} {
		_, err := clusterspec.Convert(clusterspec.Source{Name: "a.yaml", Data: []byte(input)})
		var problems clusterspec.Problems
		if !errors.As(err, &problems) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q gives %v, want %s", input, err, want)
		}
	}
}
