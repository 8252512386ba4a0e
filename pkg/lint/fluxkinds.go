package lint

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// fluxGroups is how the groups of all of Flux's kinds end.
const fluxGroups = ".toolkit.fluxcd.io"

// FluxKind is a kind of Flux as the definitions in a components file have it.
type FluxKind struct {
	Definition  string // the name of the CRD
	Group, Kind string
	Versions    []string // all that the CRD has, in its order
	Served      []string // those of them that the API server serves
	Stored      string   // the one in which objects are stored

	schemas map[string]*yaml.Node // of spec, by version
}

// FluxKinds are the kinds of a components file.
type FluxKinds []FluxKind

// ReadFluxKinds reads the definitions of a gotk-components.yaml. A file that cannot be read as YAML is an
// error; one without definitions of Flux has no kinds.
func ReadFluxKinds(components []byte) (FluxKinds, error) {
	if !bytes.Contains(components, []byte("CustomResourceDefinition")) {
		return nil, nil
	}
	objects, problem := manifestsIn(layout.ComponentsFile, components)
	if problem != nil {
		return nil, fmt.Errorf("reading Flux's definitions: %s", problem.Message)
	}
	return fluxKindsOf(objects), nil
}

func fluxKindsOf(objects []manifest) FluxKinds {
	var kinds FluxKinds
	for _, m := range objects {
		group := yamlnode.Scalar(m.node, "spec", "group")
		versions := yamlnode.At(m.node, "spec", "versions")
		if m.kind != "CustomResourceDefinition" || !strings.HasSuffix(group, fluxGroups) || versions == nil ||
			versions.Kind != yaml.SequenceNode {
			continue
		}
		k := FluxKind{Definition: m.name, Group: group,
			Kind: yamlnode.Scalar(m.node, "spec", "names", "kind"), schemas: map[string]*yaml.Node{}}
		for _, version := range versions.Content {
			name := yamlnode.Scalar(version, "name")
			k.Versions = append(k.Versions, name)
			if yamlnode.Scalar(version, "served") == "true" {
				k.Served = append(k.Served, name)
			}
			if yamlnode.Scalar(version, "storage") == "true" {
				k.Stored = name
			}
			k.schemas[name] = yamlnode.At(version, "schema", "openAPIV3Schema", "properties", "spec")
		}
		kinds = append(kinds, k)
	}
	return kinds
}

// of finds the kind of an object by its apiVersion and kind; nil for what is none of Flux's kinds. version is
// the one that it is in.
func (kinds FluxKinds) of(apiVersion, kind string) (found *FluxKind, version string) {
	group, version, _ := strings.Cut(apiVersion, "/")
	for i, k := range kinds {
		if k.Group == group && k.Kind == kind {
			return &kinds[i], version
		}
	}
	return nil, version
}

// preferred is the apiVersion that objects of the kind should have.
func (k *FluxKind) preferred() string {
	if slices.Contains(k.Served, k.Stored) || len(k.Served) == 0 {
		return k.Group + "/" + k.Stored
	}
	return k.Group + "/" + k.Served[0]
}

// UnservedObject is an object of Flux's in a file whose version the API server will not have.
type UnservedObject struct {
	Object       string // Kind namespace/name
	APIVersion   string
	Instead      string // the apiVersion that is served
	Line, Column int
	node, object *yaml.Node // the value of apiVersion; the whole object
	kind         *FluxKind
}

// unserved lists the objects among documents whose version is not served.
func (kinds FluxKinds) unserved(documents []*yaml.Node) []UnservedObject {
	var list []UnservedObject
	for _, document := range documents {
		if items := yamlnode.At(document, "items"); items != nil && items.Kind == yaml.SequenceNode &&
			strings.HasSuffix(yamlnode.Scalar(document, "kind"), "List") {
			list = append(list, kinds.unserved(items.Content)...)
			continue
		}
		at := yamlnode.At(document, "apiVersion")
		if at == nil {
			continue
		}
		k, version := kinds.of(at.Value, yamlnode.Scalar(document, "kind"))
		if k == nil || slices.Contains(k.Served, version) {
			continue
		}
		name := yamlnode.Scalar(document, "metadata", "name")
		if namespace := yamlnode.Scalar(document, "metadata", "namespace"); namespace != "" {
			name = namespace + "/" + name
		}
		list = append(list, UnservedObject{
			Object: k.Kind + " " + name, APIVersion: at.Value, Instead: k.preferred(), Line: at.Line,
			Column: at.Column, node: at, object: document, kind: k,
		})
	}
	return list
}

// UpdateVersions gives the objects of a file that are in versions which are not served a served one, and
// leaves everything else as it stands. It returns what it has changed. The error says which field the served
// version does not have, so that the object would mean something else, or that the file cannot be read.
func (kinds FluxKinds) UpdateVersions(file string, content []byte) ([]byte, []UnservedObject, error) {
	documents, problem := parseYAML(file, content)
	if problem != nil {
		return nil, nil, fmt.Errorf("%s: %s", file, problem.Message)
	}
	found := kinds.unserved(documents)
	if len(found) == 0 {
		return content, nil, nil
	}
	lines := strings.SplitAfter(string(content), "\n")
	for _, o := range found {
		_, version, _ := strings.Cut(o.Instead, "/")
		if schema := o.kind.schemas[version]; schema != nil {
			if field, node := unknownField(schema, yamlnode.At(o.object, "spec"), "spec"); node != nil {
				return nil, nil, &UnknownFieldError{File: file, Line: node.Line, Object: o.Object,
					Field: field, APIVersion: o.Instead}
			}
		}
		line := lines[o.Line-1]
		at := o.Column - 1
		if at > len(line) || !strings.Contains(line[at:], o.APIVersion) {
			return nil, nil,
				fmt.Errorf("%s:%d: apiVersion is written in a way that cannot be changed in place",
					file, o.Line)
		}
		lines[o.Line-1] = line[:at] + strings.Replace(line[at:], o.APIVersion, o.Instead, 1)
	}
	after := []byte(strings.Join(lines, ""))
	if again, problem := parseYAML(file, after); problem != nil || len(kinds.unserved(again)) > 0 {
		return nil, nil,
			fmt.Errorf("%s: apiVersion is written in a way that cannot be changed in place", file)
	}
	return after, found, nil
}

// UnknownFieldError says that a version of a kind does not have a field that an object of another version
// sets.
type UnknownFieldError struct {
	File          string
	Line          int
	Object, Field string
	APIVersion    string // which does not have it
}

// Error names the file, the line, the object and the field.
func (e *UnknownFieldError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s has no %s", e.File, e.Line, e.Object, e.APIVersion, e.Field)
}

// unknownField finds the first field that a schema does not have; nil when it has them all.
func unknownField(schema, value *yaml.Node, at string) (string, *yaml.Node) {
	value = yamlnode.Follow(value)
	if value == nil || yamlnode.Scalar(schema, "x-kubernetes-preserve-unknown-fields") == "true" {
		return "", nil
	}
	switch value.Kind {
	case yaml.SequenceNode:
		for _, item := range value.Content {
			if field, node := unknownField(yamlnode.At(schema, "items"), item, at+"[]"); node != nil {
				return field, node
			}
		}
	case yaml.MappingNode:
		properties := yamlnode.At(schema, "properties")
		if properties == nil {
			return "", nil // whatever is in it is kept
		}
		for i := 0; i+1 < len(value.Content); i += 2 {
			key := value.Content[i]
			field := at + "." + key.Value
			known := yamlnode.At(properties, key.Value)
			if known == nil {
				return field, key
			}
			if field, node := unknownField(known, value.Content[i+1], field); node != nil {
				return field, node
			}
		}
	}
	return "", nil
}
