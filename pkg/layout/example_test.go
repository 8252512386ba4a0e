package layout_test

import (
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

func ExamplePathsOf() {
	paths := layout.PathsOf(&clusterspec.Cluster{
		Name: "w01", ManagementCluster: "dev",
		GitOps: &clusterspec.GitOps{SystemNamespace: "flux-system", ClusterConfigPath: "clusters/dev"},
	})
	fmt.Println(paths.Spec)
	fmt.Println(paths.System)
	fmt.Println(paths.Sync)
	// Output:
	// clusters/dev/w01/eksa-system/eksa-cluster.yaml
	// clusters/dev/flux-system
	// ./clusters/dev
}
