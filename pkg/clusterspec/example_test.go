package clusterspec_test

import (
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// Everything that is wrong is told at once, with its place and what would be right.
func ExampleParse() {
	_, err := clusterspec.Parse([]clusterspec.Source{{Name: "flux.yaml", Data: []byte(`
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: FluxConfig
metadata:
  name: dev
spec:
  clusterConfigPath: ../clusters
  github:
    prsonal: true
    owner: octo
    repository: fleet
`)}})
	fmt.Println(strings.ReplaceAll(err.Error(), "; ", ";\n- "))
	// Output:
	// flux.yaml: no cluster in the files;
	// - found FluxConfig;
	// - expected a document of kind Cluster and apiVersion anywhere.eks.amazonaws.com/v1alpha1
	// flux.yaml:7:22: FluxConfig dev: spec.clusterConfigPath: the path contains . or .. as a part;
	// - found "../clusters";
	// - expected a path below the root of the repository, such as clusters/dev
	// flux.yaml:9:5: FluxConfig dev: spec.github.prsonal: there is no such field;
	// - did you mean "personal"?
}

// CompareSets says what Flux and EKS Anywhere make of a change.
func ExampleCompareSets() {
	spec := func(branch string) *clusterspec.Set {
		set, _ := clusterspec.Parse([]clusterspec.Source{{Name: "flux.yaml", Data: []byte(`
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: FluxConfig
metadata: {name: dev}
spec: {branch: ` + branch + `, github: {owner: octo, repository: fleet}}
`)}})
		return set
	}
	for _, c := range clusterspec.CompareSets(spec("main"), spec("develop")) {
		fmt.Printf("%s: %s: %s to %s: %s, %s\n", c.Object, c.Field, c.Old, c.New, c.Verdict, c.Message)
	}
	// Output:
	// FluxConfig dev: spec.branch: main to develop: rejected, config is immutable
}

func ExampleKinds() {
	kinds := clusterspec.Kinds()
	fmt.Println(len(kinds), kinds[0], kinds[1])
	// Output:
	// 18 Cluster FluxConfig
}

func ExampleMerge() {
	base := "kind: Cluster\nmetadata: {name: dev}\nspec:\n  kubernetesVersion: \"1.33\"\n" +
		"  controlPlaneConfiguration:\n    count: 1\n"
	ours := strings.Replace(base, "1.33", "1.34", 1)
	theirs := strings.Replace(base, "count: 1", "count: 3 # since the audit", 1)
	merged, err := clusterspec.Merge(
		clusterspec.Source{Name: "base", Data: []byte(base)},
		clusterspec.Source{Name: "dev.yaml", Data: []byte(ours)},
		clusterspec.Source{Name: "Git", Data: []byte(theirs)},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(merged.Data))
	for _, edit := range merged.Edits {
		fmt.Println(edit.Side, edit.Field, edit.Old, edit.New)
	}
	// Output:
	// kind: Cluster
	// metadata: {name: dev}
	// spec:
	//   kubernetesVersion: "1.34"
	//   controlPlaneConfiguration:
	//     count: 3 # since the audit
	// theirs spec.controlPlaneConfiguration.count 1 3
	// ours spec.kubernetesVersion 1.33 1.34
}
