package layout

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// Names of the files and of the directory that EKS Anywhere puts a cluster into.
const (
	ComponentsFile    = "gotk-components.yaml"
	SyncFile          = "gotk-sync.yaml"
	KustomizationFile = "kustomization.yaml"
	SpecFile          = "eksa-cluster.yaml"
	ClusterSubdir     = "eksa-system"
)

// Paths says where things are in the repository. All are slash paths relative to its root.
type Paths struct {
	// Root is P, what Flux applies; "." is the root of the repository.
	Root string
	// System is Flux's own directory.
	System string
	// Cluster is the directory that belongs to the cluster alone.
	Cluster string
	// Spec and Kustomization are the cluster's two files.
	Spec, Kustomization string
	// Apps is the directory of the apps scaffold, AppsKustomization its kustomization, AppsSync the file with
	// the Flux Kustomization that applies it, and ClusterKustomization the kustomization of Cluster, which
	// belongs to the scaffold, too.
	Apps, AppsKustomization, AppsSync, ClusterKustomization string
	// Sync is Root as Flux's Kustomization names it: "./clusters/dev".
	Sync string
}

// PathsOf gives the paths of a cluster. It must have GitOps; without, the defaults of EKS Anywhere count.
func PathsOf(c *clusterspec.Cluster) Paths {
	g := c.GitOps
	if g == nil {
		g = &clusterspec.GitOps{SystemNamespace: "flux-system",
			ClusterConfigPath: path.Join("clusters", c.ManagementCluster)}
	}
	return PathsIn(g, c.Name)
}

// PathsIn gives the paths of a cluster of which only the name is known.
func PathsIn(g *clusterspec.GitOps, name string) Paths {
	root := RootDir(g)
	cluster := path.Join(root, name)
	paths := Paths{
		Root: root, System: SystemDir(g), Cluster: cluster, Sync: SyncPath(g),
		Spec:          path.Join(cluster, ClusterSubdir, SpecFile),
		Kustomization: path.Join(cluster, ClusterSubdir, KustomizationFile),
	}
	paths.appsPaths()
	return paths
}

// RootDir is P.
func RootDir(g *clusterspec.GitOps) string { return path.Clean(g.ClusterConfigPath) }

// SystemDir is Flux's own directory.
func SystemDir(g *clusterspec.GitOps) string { return path.Join(RootDir(g), g.SystemNamespace) }

// SyncPath is P as Flux's Kustomization names it, such as "./clusters/dev".
func SyncPath(g *clusterspec.GitOps) string {
	if root := RootDir(g); root != "." {
		return "./" + root
	}
	return "./"
}

// confined is the last line of defence behind the checks of the spec: no file leaves the repository or enters
// Git's directory.
func confined(files []File) error {
	for _, file := range files {
		clean := path.Clean(file.Path)
		if clean != file.Path || !filepath.IsLocal(file.Path) || strings.ContainsAny(file.Path, "\\:") {
			return fmt.Errorf("%q is not a path inside the repository", file.Path)
		}
		for segment := range strings.SplitSeq(file.Path, "/") {
			if strings.EqualFold(segment, ".git") {
				return fmt.Errorf("%q is not a path inside the repository", file.Path)
			}
		}
	}
	return nil
}
