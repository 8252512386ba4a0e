package lint

import (
	"path"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// checkApps checks the apps scaffold of a cluster, when it has one: that its apps get to the cluster, and to
// no other.
func (f *fleet) checkApps(specDir string) {
	clusterDir := path.Dir(specDir)
	file := path.Join(clusterDir, layout.AppsSyncFile)
	if !f.tree.isFile(file) {
		return
	}
	content, ok := f.content(file)
	if !ok {
		return
	}
	documents, problem := parseYAML(file, content)
	if problem != nil {
		f.report(*problem)
		return
	}
	i := slices.IndexFunc(documents, func(d *yaml.Node) bool {
		return yamlnode.Scalar(d, "kind") == "Kustomization"
	})
	if i < 0 {
		f.at(clusterspec.SeverityWarning, "apps-path", file, nil, clusterspec.Problem{Message: "there is " +
			"no Flux Kustomization in the file, so that the cluster's apps are not applied"})
		return
	}
	sync := documents[i]
	if _, applied := f.applied.files[file]; !applied && !f.hasErrorsIn(clusterDir) {
		f.at(clusterspec.SeverityWarning, "not-applied", file, nil, clusterspec.Problem{
			Message: "no kustomization leads here from " + f.shown() +
				", so that the cluster's apps are not applied",
			Expected: layout.AppsSyncFile + " among the resources of " +
				path.Join(clusterDir, layout.KustomizationFile),
		})
	}
	workload := !slices.ContainsFunc(f.set.Clusters, func(c *clusterspec.Cluster) bool {
		return c.Name == path.Base(clusterDir) && c.Role() == clusterspec.RoleManagement
	})
	if workload && yamlnode.At(sync, "spec", "kubeConfig") == nil {
		f.at(clusterspec.SeverityError, "apps-target", file, yamlnode.At(sync, "spec"), clusterspec.Problem{
			Field:    "spec.kubeConfig",
			Message:  "without it, Flux applies the cluster's apps to the management cluster",
			Expected: "secretRef with name " + path.Base(clusterDir) + "-kubeconfig",
		})
	}
	if secret := yamlnode.At(sync, "spec", "kubeConfig", "secretRef", "name"); secret != nil &&
		yamlnode.Scalar(sync, "metadata", "namespace") != layout.KubeconfigNamespace {
		f.at(clusterspec.SeverityError, "apps-target", file, yamlnode.At(sync, "metadata"),
			clusterspec.Problem{
				Field: "metadata.namespace", Message: "Flux reads the Secret " + secret.Value +
					" in the namespace of the Kustomization, and EKS Anywhere writes it elsewhere",
				Found:    quote(yamlnode.Scalar(sync, "metadata", "namespace")),
				Expected: quote(layout.KubeconfigNamespace),
			})
	}
	f.checkAppsPath(file, sync, workload)
}

// checkAppsPath checks the directory that a cluster's Flux Kustomization applies.
func (f *fleet) checkAppsPath(file string, sync *yaml.Node, workload bool) {
	value := yamlnode.Scalar(sync, "spec", "path")
	apps := path.Clean(value)
	if value == "" || !f.tree.isDir(apps) {
		f.at(clusterspec.SeverityError, "apps-path", file, yamlnode.At(sync, "spec", "path"),
			clusterspec.Problem{
				Field:   "spec.path",
				Message: "there is no such directory, so that the cluster's apps are not applied",
				Found:   quote(value), Expected: quote("./" + path.Join(path.Dir(file), layout.AppsSubdir)),
			})
		return
	}
	if !workload {
		return
	}
	p := clusterspec.Problem{
		Message: "Flux applies the cluster's apps to the management cluster, too", Found: apps,
		Expected: path.Join(path.Dir(file), layout.KustomizationFile) + " that lists " +
			layout.ClusterSubdir + " and " + layout.AppsSyncFile + ", and not " + layout.AppsSubdir,
	}
	for dir, k := range f.applied.kustomizations {
		if k != nil && inside(dir, apps) {
			f.at(clusterspec.SeverityError, "apps-target", k.file, nil, p)
			return
		}
	}
	for _, name := range sortedKeys(f.applied.files) {
		if inside(name, apps) {
			f.at(clusterspec.SeverityError, "apps-target", name, nil, p)
			return
		}
	}
}
