package gitops

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Objects that live and die with a cluster. EKS Anywhere removes the namespace of a workload cluster's packages with the cluster. What is in
// Git for that namespace cannot be applied any more then, and Flux applies nothing at all as long as one object cannot be. So it leaves Git
// in the same commit, wherever in the fleet's path it is.

// removeDependents plans the removal of the files that hold nothing but objects that go with the clusters. What is elsewhere is a
// *foundError: beside other objects in one file, or made by a kustomization.
func (r *removal) removeDependents(names []string) error {
	var wrong []Finding
	refuse := func(file string, line int, cluster, what string) {
		wrong = append(wrong, Finding{AreaSpec,
			fmt.Sprintf("%s:%d: %s: EKS Anywhere removes namespace %s with cluster %s, and Flux could not apply the fleet any more", file, line, what, layout.PackagesNamespace(cluster), cluster),
			fmt.Sprintf("take that out of %s by hand, push, and run the same command again", file)})
	}
	files := r.below(layout.RootDir(r.config))
	for _, file := range files {
		if !layout.IsKustomization(file) {
			continue
		}
		for _, name := range names {
			naming := layout.NamespaceIn(r.content[file], layout.PackagesNamespace(name))
			if naming.Line > 0 && !r.removePlaced(file, naming, name) {
				refuse(file, naming.Line, name, "the kustomization names that namespace")
			}
		}
	}
	for _, file := range files {
		if !layout.IsManifest(file) || !r.files[file] {
			continue
		}
		objects := layout.ObjectsIn(r.content[file])
		var going []layout.Placed
		var owners []string
		for _, object := range objects {
			for _, name := range names {
				switch {
				case object.LivesWith(name):
					going, owners = append(going, object), append(owners, name)
				case object.KubeconfigSecret == layout.KubeconfigSecret(name):
					r.plan.Notes = append(r.plan.Notes, fmt.Sprintf("%s:%d: %s works on cluster %s, which is being deleted; remove it from Git when the cluster is gone", file, object.Line, object, name))
				}
			}
		}
		for i, object := range going {
			if len(going) < len(objects) {
				refuse(file, object.Line, owners[i], fmt.Sprintf("%s is in the same file as objects that stay", object))
				continue
			}
			r.dependents[owners[i]] = append(r.dependents[owners[i]], object.String())
		}
		if len(going) > 0 && len(going) == len(objects) {
			r.remove(file)
		}
	}
	for _, name := range names {
		slices.Sort(r.dependents[name])
	}
	if len(wrong) > 0 {
		return &foundError{findings: wrong}
	}
	return nil
}

// removePlaced plans the removal of what a kustomization puts into the namespace of a cluster's packages, and of the kustomization, if all
// that is files beside it, which nobody else lists.
func (r *removal) removePlaced(file string, naming layout.KustomizationNaming, cluster string) bool {
	if !naming.Places {
		return false
	}
	dir := path.Dir(file)
	var files []string
	for _, resource := range naming.Resources {
		listed := path.Join(dir, resource)
		if !r.files[listed] || !layout.IsManifest(listed) || !strings.HasPrefix(listed, dir+"/") {
			return false
		}
		files = append(files, listed)
	}
	for _, listed := range files {
		for _, object := range layout.ObjectsIn(r.content[listed]) {
			if object.Kind != "Namespace" {
				object.Namespace = layout.PackagesNamespace(cluster)
			}
			r.dependents[cluster] = append(r.dependents[cluster], object.String())
		}
		r.remove(listed)
	}
	r.remove(file)
	if rest := r.below(dir); slices.ContainsFunc(rest, func(other string) bool { return layout.IsManifest(other) || layout.IsKustomization(other) }) {
		r.keep(file, layout.InertKustomization())
	}
	return true
}

// manifests are the files below the fleet's path that may hold such objects. Flux's own are large, and nobody's but Flux's.
func (r *removal) manifests() []string {
	return slices.DeleteFunc(r.below(layout.RootDir(r.config)), func(file string) bool {
		return !layout.IsManifest(file) && !layout.IsKustomization(file) || path.Base(file) == layout.ComponentsFile
	})
}

// isDependentsOnly says whether of a cluster nothing but such objects is left in Git.
func (r *removal) isDependentsOnly(cluster string) bool {
	return len(r.dependents[cluster]) > 0 && !slices.Contains(r.plan.Gone, layout.PathsIn(r.config, cluster).Spec)
}
