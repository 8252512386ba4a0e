package layout

import (
	"bytes"
	"fmt"
	"path"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// Names of the apps scaffold, beside a cluster's eksa-system.
const (
	AppsSubdir   = "apps"
	AppsSyncFile = "apps-sync.yaml"
)

// KubeconfigNamespace is where EKS Anywhere keeps the kubeconfigs of clusters, as <name>-kubeconfig. Flux
// reads a Secret only in the namespace of its Kustomization.
const KubeconfigNamespace = "eksa-system"

// AppsName is the name of the Flux Kustomization that applies a cluster's apps.
func AppsName(cluster string) string { return cluster + "-apps" }

// AppsNamespace is the namespace of that Kustomization.
func AppsNamespace(g *clusterspec.GitOps, role clusterspec.Role) string {
	if role == clusterspec.RoleWorkload {
		return KubeconfigNamespace
	}
	return g.SystemNamespace
}

// AppsFiles gives the apps scaffold of a cluster, sorted by path: an empty directory apps for what shall run
// in the cluster, the Flux Kustomization that applies it there, and a kustomization of the cluster's
// directory. That one is what keeps the apps out of the management cluster: Flux takes a directory without
// one as a whole, and with one as it says, which is eksa-system and the Flux Kustomization, and not apps. The
// cluster must have GitOps.
func AppsFiles(c *clusterspec.Cluster) ([]File, error) {
	if c.GitOps == nil {
		return nil, fmt.Errorf("cluster %s has no GitOps configuration", c.Name)
	}
	paths := PathsOf(c)
	files := []File{
		{Path: paths.AppsSync, Content: appsSync(c, paths)},
		{Path: paths.AppsKustomization, Content: EmptyApps()},
		{Path: paths.ClusterKustomization, Content: ScaffoldKustomization()},
	}
	return files, confined(files)
}

// ScaffoldKustomization is the kustomization of a cluster's directory that has apps.
func ScaffoldKustomization() []byte {
	return []byte("# apps is not listed: " + AppsSyncFile + " has Flux apply it to the cluster itself.\n" +
		"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- " + ClusterSubdir +
		"\n- " + AppsSyncFile + "\n")
}

// EmptyApps is the kustomization of an apps directory with nothing in it. One that says nothing at all does
// not build.
func EmptyApps() []byte {
	return []byte(`# What is listed here, Flux applies to this cluster.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: []
generatorOptions: # without any field that says something, kustomize refuses an empty list
  disableNameSuffixHash: true
`)
}

// appsSync is the Flux Kustomization. Of a workload cluster it goes together with the cluster, which can then
// no longer be reached, or is full of what is being deleted anyway; it must not wait for that
// (deletionPolicy: Orphan).
func appsSync(c *clusterspec.Cluster, paths Paths) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Applies %s to cluster %s.\n", paths.Apps, c.Name)
	fmt.Fprintf(&b, "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n"+
		"  name: %s\n  namespace: %s\nspec:\n", AppsName(c.Name), AppsNamespace(c.GitOps, c.Role()))
	if c.Role() == clusterspec.RoleWorkload {
		b.WriteString("  deletionPolicy: Orphan # when the cluster goes, all that is in it goes with it\n")
	}
	b.WriteString("  interval: 10m0s\n")
	if c.Role() == clusterspec.RoleWorkload {
		fmt.Fprintf(&b, "  kubeConfig:\n    secretRef:\n      name: %s\n", KubeconfigSecret(c.Name))
	}
	fmt.Fprintf(&b, "  path: ./%s\n  prune: true\n  retryInterval: 1m0s\n  sourceRef:\n"+
		"    kind: GitRepository\n    name: %s\n    namespace: %s\n  timeout: 5m0s\n", paths.Apps,
		c.GitOps.SystemNamespace, c.GitOps.SystemNamespace)
	return b.Bytes()
}

// appsPaths fills in the paths of the scaffold.
func (p *Paths) appsPaths() {
	p.Apps = path.Join(p.Cluster, AppsSubdir)
	p.AppsKustomization = path.Join(p.Apps, KustomizationFile)
	p.AppsSync = path.Join(p.Cluster, AppsSyncFile)
	p.ClusterKustomization = path.Join(p.Cluster, KustomizationFile)
}
