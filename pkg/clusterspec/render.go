package clusterspec

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// serverMetadata is metadata that the API server or a controller writes, and that a file in Git must not
// hold.
var serverMetadata = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generation",
	"generateName",
	"managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid",
}

// Render gives the objects of a cluster as one file for Git: the user's documents, with comments, order of
// keys, quotes and indentation as they are; in a fixed order; with namespace and the defaults of the GitOps
// configuration made explicit; with cniConfig in the place of cni, which EKS Anywhere accepts only once;
// without status, server-set metadata and annotations that concern only a command line tool. Lines end with
// LF and documents are separated by plain "---" lines, so that both of EKS Anywhere's readers see all of it.
// Rendering a rendered file changes nothing.
//
// The cluster must come from a Parse without errors.
func Render(c *Cluster) []byte { return render(c, false, "") }

// RenderWithVersion is Render with another spec.eksaVersion, if the cluster names one.
func RenderWithVersion(c *Cluster, eksaVersion string) []byte { return render(c, false, eksaVersion) }

// RenderWithoutGitOps is Render without the gitOpsRef and the object it refers to: what a tool is given that
// shall leave GitOps to this one.
func RenderWithoutGitOps(c *Cluster) []byte { return render(c, true, "") }

func render(c *Cluster, withoutGitOps bool, eksaVersion string) []byte {
	var b strings.Builder
	for _, o := range c.Objects {
		if withoutGitOps && (o.Kind == "FluxConfig" || o.Kind == "GitOpsConfig") {
			continue
		}
		changes := o.cleaning()
		if withoutGitOps && o.Kind == "Cluster" {
			changes = append(changes, change{path: []any{"spec", "gitOpsRef"}, remove: true})
		}
		if o.Kind == "Cluster" && eksaVersion != "" && text(o.root(), "spec", "eksaVersion") != "" {
			changes = append(changes, change{path: []any{"spec", "eksaVersion"}, value: eksaVersion})
		}
		if c.GitOps != nil && o.Kind == c.GitOps.Kind && o.Name == c.GitOps.Name {
			changes = append(changes, gitOpsSettings(o, c.GitOps)...)
		}
		if b.Len() > 0 {
			b.WriteString("---\n")
		}
		b.WriteString(o.document.rewrite(changes))
	}
	return []byte(b.String())
}

// GitOpsObject is the FluxConfig or GitOpsConfig of a cluster as [Render] writes it, with the defaults that
// EKS Anywhere fills in, in the types of [Object.Decoded]; nil when the cluster has none.
func GitOpsObject(c *Cluster) map[string]any {
	for _, o := range c.Objects {
		if c.GitOps == nil || o.Kind != c.GitOps.Kind || o.Name != c.GitOps.Name {
			continue
		}
		value := decode(o.root())
		for _, change := range append(o.cleaning(), gitOpsSettings(o, c.GitOps)...) {
			value = change.apply(value)
		}
		object, _ := value.(map[string]any)
		return object
	}
	return nil
}

// cleaning lists what is to be changed in any object.
func (o *Object) cleaning() []change {
	var changes []change
	root := o.root()
	if has(root, "status") {
		changes = append(changes, change{path: []any{"status"}, remove: true})
	}
	for _, name := range serverMetadata {
		if has(root, "metadata", name) {
			changes = append(changes, change{path: []any{"metadata", name}, remove: true})
		}
	}
	changes = append(changes, annotationChanges(root)...)
	if !o.NamespaceGiven {
		changes = append(changes, change{path: []any{"metadata", "namespace"}, value: o.Namespace})
	}
	if o.Kind == "Cluster" {
		changes = append(changes, versionChanges(root)...)
		plugin := pluginOf(text(root, "spec", "clusterNetwork", "cni"))
		if plugin != "" && !has(root, "spec", "clusterNetwork", "cniConfig") {
			changes = append(changes, change{path: []any{"spec", "clusterNetwork", "cni"},
				rename: "cniConfig", value: plugin})
		}
	}
	return changes
}

func annotationChanges(root *yaml.Node) []change {
	_, annotations := lookup(root, "metadata", "annotations")
	var changes []change
	for _, name := range cliAnnotations() {
		if has(root, "metadata", "annotations", name) {
			changes = append(changes, change{path: []any{"metadata", "annotations", name}, remove: true})
		}
	}
	if len(changes) > 0 && len(changes) == len(entries(annotations)) {
		return []change{{path: []any{"metadata", "annotations"}, remove: true}}
	}
	return changes
}

// versionChanges puts quotes around versions that YAML takes for numbers.
func versionChanges(root *yaml.Node) []change {
	var changes []change
	if _, version := lookup(root, "spec", "kubernetesVersion"); version != nil &&
		kindOf(version) != kindString {
		changes = append(changes, change{path: []any{"spec", "kubernetesVersion"}, value: version.Value})
	}
	for i, group := range items(root, "spec", "workerNodeGroupConfigurations") {
		if _, version := lookup(group, "kubernetesVersion"); version != nil && kindOf(version) != kindString {
			changes = append(changes,
				change{path: []any{"spec", "workerNodeGroupConfigurations", i, "kubernetesVersion"},
					value: version.Value})
		}
	}
	return changes
}

// gitOpsSettings makes EKS Anywhere's defaults explicit, and the repository's URL one that EKS Anywhere
// reads. Its object is frozen once it exists, defaults included, so a file that leaves one out could never be
// applied again.
func gitOpsSettings(o *Object, g *GitOps) []change {
	at := fieldsOfGitOps(o.Kind)
	var changes []change
	for _, setting := range []struct{ path, value string }{
		{at.branch, g.Branch}, {at.clusterConfigPath, g.ClusterConfigPath},
		{at.systemNamespace, g.SystemNamespace},
	} {
		if text(o.root(), keys(setting.path)...) != "" {
			continue
		}
		path := make([]any, 0, 4)
		for _, key := range keys(setting.path) {
			path = append(path, key)
		}
		changes = append(changes, change{path: path, value: setting.value})
	}
	if g.Git != nil && text(o.root(), "spec", "git", "repositoryUrl") != g.Git.RepositoryURL {
		changes = append(changes,
			change{path: []any{"spec", "git", "repositoryUrl"}, value: g.Git.RepositoryURL})
	}
	return changes
}

// has says whether a key is there, be it null.
func has(root *yaml.Node, path ...string) bool {
	key, _ := lookup(root, path...)
	return key != nil
}
