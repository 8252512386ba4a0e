package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// checkOthersNamespaces wants the namespace written down of objects that are not of EKS Anywhere, too, where
// it is known that their kind needs one: one of them without it keeps Flux from applying anything.
func (f *fleet) checkOthersNamespaces() {
	for name, given := range f.applied.files {
		if given || f.hasErrors(name) || slices.Contains(f.systems, path.Dir(name)) {
			continue // Flux's own files are checked by themselves
		}
		content, ok := f.content(name)
		if !ok {
			continue
		}
		documents, problem := parseYAML(name, content)
		if problem == nil { // what is no YAML is told elsewhere
			f.checkNamespaceOf(name, documents)
		}
	}
}

func (f *fleet) checkNamespaceOf(file string, documents []*yaml.Node) {
	for _, object := range documents {
		kind, apiVersion, metadata := yamlnode.At(object, "kind"), yamlnode.At(object, "apiVersion"),
			yamlnode.At(object, "metadata")
		switch {
		case kind == nil || apiVersion == nil:
			continue // no object; told elsewhere
		case kind.Value == "List":
			if items := yamlnode.At(object, "items"); items != nil && items.Kind == yaml.SequenceNode {
				f.checkNamespaceOf(file, items.Content)
			}
			continue
		case strings.HasPrefix(apiVersion.Value, clusterspec.APIVersion),
			!kustomize.NeedsNamespace(apiVersion.Value, kind.Value):
			continue // those of EKS Anywhere: checkNamespaces
		}
		if namespace := yamlnode.At(metadata, "namespace"); namespace != nil && namespace.Value != "" {
			continue
		}
		at, named := kind, kind.Value
		if name := yamlnode.At(metadata, "name"); name != nil {
			at, named = name, kind.Value+" "+name.Value
		}
		f.at(clusterspec.SeverityError, "namespace-missing", file, at, clusterspec.Problem{
			Object: named, Field: "metadata.namespace", Expected: "namespace: NAME", Message: fmt.Sprintf(
				"the object names no namespace, and no kustomization gives it one; %s", f.breaks()),
		})
	}
}
