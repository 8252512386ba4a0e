package layout

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
)

// packagesNamespace is where EKS Anywhere's curated packages are managed; every cluster has a namespace of
// its own beside it.
const packagesNamespace = "eksa-packages"

// PackagesNamespace is the namespace of the objects that manage a cluster's curated packages. EKS Anywhere
// makes it with a workload cluster and removes it with the cluster, with all that is in it.
func PackagesNamespace(cluster string) string { return packagesNamespace + "-" + cluster }

// KubeconfigSecret is the Secret with a workload cluster's kubeconfig, which EKS Anywhere keeps in the
// management cluster.
func KubeconfigSecret(cluster string) string { return cluster + "-kubeconfig" }

// Placed is an object of a manifest, with its place there.
type Placed struct {
	APIVersion, Kind, Namespace, Name string
	Line                              int // of its document's first line that says something
	// KubeconfigSecret is the Secret with whose kubeconfig an object of Flux reaches another cluster; empty
	// for none.
	KubeconfigSecret string
}

// String is the object as kind namespace/name, or kind name without a namespace.
func (p Placed) String() string {
	if p.Namespace == "" {
		return p.Kind + " " + p.Name
	}
	return p.Kind + " " + p.Namespace + "/" + p.Name
}

// LivesWith says whether an object goes when the cluster goes: it is in the namespace that EKS Anywhere
// removes then, it is that namespace, or it is the controller of the cluster's packages, which would make the
// namespace anew.
func (p Placed) LivesWith(cluster string) bool {
	namespace := PackagesNamespace(cluster)
	switch {
	case p.Namespace == namespace:
		return true
	case p.Kind == "Namespace" && p.APIVersion == "v1":
		return p.Name == namespace
	}
	return p.Kind == "PackageBundleController" &&
		strings.HasPrefix(p.APIVersion, "packages.eks.amazonaws.com/") && p.Namespace == packagesNamespace &&
		p.Name == cluster
}

// ObjectsIn lists the objects of a manifest, those of lists too. A document that is none is left out: Flux
// would not build it either, and says so.
func ObjectsIn(content []byte) []Placed {
	type object struct {
		APIVersion string
		Kind       string
		Metadata   struct{ Namespace, Name string }
		Spec       struct {
			KubeConfig struct{ SecretRef struct{ Name string } }
		}
	}
	type list struct {
		object
		Items []object
	}
	var objects []Placed
	for _, document := range documentsOf(content) {
		var d list
		if k8syaml.Unmarshal(document.content, &d) != nil {
			// The fields of other kinds may have other forms.
			d = list{}
			var head struct {
				APIVersion, Kind string
				Metadata         struct{ Namespace, Name string }
			}
			if k8syaml.Unmarshal(document.content, &head) != nil {
				continue
			}
			d.APIVersion, d.Kind, d.Metadata = head.APIVersion, head.Kind, head.Metadata
		}
		all := []object{d.object}
		if strings.HasSuffix(d.Kind, "List") && len(d.Items) > 0 {
			all = d.Items
		}
		for _, o := range all {
			if o.Kind != "" && o.Metadata.Name != "" {
				objects = append(objects, Placed{
					APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Metadata.Namespace,
					Name: o.Metadata.Name, Line: document.line,
					KubeconfigSecret: o.Spec.KubeConfig.SecretRef.Name,
				})
			}
		}
	}
	return objects
}

// document is one of a file's YAML documents.
type document struct {
	content []byte
	line    int // the first that is neither empty nor a comment
}

func documentsOf(content []byte) []document {
	var documents []document
	var current document
	for i, line := range bytes.SplitAfter(content, []byte("\n")) {
		if bytes.HasPrefix(line, []byte("---")) {
			documents = append(documents, current)
			current = document{}
			continue
		}
		said := bytes.TrimSpace(line)
		if current.line == 0 && len(said) > 0 && said[0] != '#' {
			current.line = i + 1
		}
		current.content = append(current.content, line...)
	}
	return slices.DeleteFunc(append(documents, current), func(d document) bool { return d.line == 0 })
}

// KustomizationNaming is what a kustomization says about a namespace.
type KustomizationNaming struct {
	// Line is the first that names the namespace, other than as a file or directory that is listed; 0 without
	// one.
	Line int
	// Places says that the kustomization puts everything into the namespace, and does nothing else but to
	// list Resources and to mark them.
	Places    bool
	Resources []string // as they stand in the file
}

// NamespaceIn finds out what a kustomization says about a namespace. One that is no YAML object says nothing.
func NamespaceIn(content []byte, namespace string) KustomizationNaming {
	var found KustomizationNaming
	var root yaml.Node
	if yaml.Unmarshal(content, &root) != nil || len(root.Content) == 0 ||
		root.Content[0].Kind != yaml.MappingNode {
		return found
	}
	plain, set := true, false
	for i := 0; i+1 < len(root.Content[0].Content); i += 2 {
		key, value := root.Content[0].Content[i], root.Content[0].Content[i+1]
		if listsOthers(key.Value) {
			for _, entry := range value.Content {
				found.Resources = append(found.Resources, entry.Value)
			}
			continue
		}
		line := lineNaming(value, namespace)
		if line > 0 && (found.Line == 0 || line < found.Line) {
			found.Line = line
		}
		switch key.Value {
		case "namespace":
			set = value.Value == namespace
		case "apiVersion", "kind", "metadata", "labels", "commonLabels", "commonAnnotations":
		default:
			plain = plain && yamlnode.IsEmpty(value)
		}
	}
	found.Places = plain && set
	return found
}

// lineNaming is the line of the first text below a node that has a word; 0 without one. A word is what a
// Kubernetes name can be made of.
func lineNaming(node *yaml.Node, word string) int {
	inName := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.'
	}
	if node.Kind == yaml.ScalarNode &&
		slices.Contains(strings.FieldsFunc(node.Value, func(r rune) bool { return !inName(r) }), word) {
		return node.Line
	}
	for _, child := range node.Content {
		if line := lineNaming(child, word); line > 0 {
			return line
		}
	}
	return 0
}
