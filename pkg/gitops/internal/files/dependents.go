package files

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Objects that live and die with a cluster. EKS Anywhere removes the namespace of a workload cluster's
// packages with the cluster. What is in Git for that namespace cannot be applied any more then, and Flux
// applies nothing at all as long as one object cannot be. So it leaves Git in the same commit, wherever in
// the fleet's path it is.

// removeDependents plans the removal of the files that hold nothing but objects that go with the clusters.
// What is elsewhere is a *facts.FoundError: it cannot be taken out of Git without what is somebody else's.
// That is beside other objects in one file, or made by a kustomization.
func (r *Removal) removeDependents(names []string) error {
	var wrong []facts.Finding
	refuse := func(file string, line int, cluster, what string) {
		wrong = append(wrong, facts.AreaSpec.Finding(
			fmt.Sprintf("%s:%d: %s: EKS Anywhere removes namespace %s with cluster %s, and Flux could not "+
				"apply the fleet any more", file, line, what, layout.PackagesNamespace(cluster), cluster),
			fmt.Sprintf("take that out of %s by hand, push, and run the same command again", file)))
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
					r.Plan.Notes = append(r.Plan.Notes,
						fmt.Sprintf("%s:%d: %s works on cluster %s, which is being deleted; remove it from "+
							"Git when the cluster is gone", file, object.Line, object, name))
				}
			}
		}
		for i, object := range going {
			if len(going) < len(objects) {
				refuse(file, object.Line, owners[i],
					fmt.Sprintf("%s is in the same file as objects that stay", object))
				continue
			}
			r.Dependents[owners[i]] = append(r.Dependents[owners[i]], object.String())
		}
		if len(going) > 0 && len(going) == len(objects) {
			r.remove(file)
		}
	}
	for _, name := range names {
		slices.Sort(r.Dependents[name])
	}
	return facts.Found(wrong...)
}

// removePlaced plans the removal of what a kustomization puts into the namespace of a cluster's packages, and
// of the kustomization, if all that is files beside it, which nobody else lists.
func (r *Removal) removePlaced(file string, naming layout.KustomizationNaming, cluster string) bool {
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
			r.Dependents[cluster] = append(r.Dependents[cluster], object.String())
		}
		r.remove(listed)
	}
	r.remove(file)
	if rest := r.below(dir); slices.ContainsFunc(rest,
		func(other string) bool { return layout.IsManifest(other) || layout.IsKustomization(other) }) {
		r.keep(file, layout.InertKustomization())
	}
	return true
}

// manifests are the files below the fleet's path that may hold such objects. Flux's own are large, and
// nobody's but Flux's.
func (r *Removal) manifests() []string {
	return slices.DeleteFunc(r.below(layout.RootDir(r.config)), func(file string) bool {
		return !layout.IsManifest(file) && !layout.IsKustomization(file) ||
			path.Base(file) == layout.ComponentsFile
	})
}

// IsDependentsOnly says whether of a cluster nothing but such objects is left in Git.
func (r *Removal) IsDependentsOnly(cluster string) bool {
	return len(r.Dependents[cluster]) > 0 &&
		!slices.Contains(r.Plan.Gone, layout.PathsIn(r.config, cluster).Spec)
}
