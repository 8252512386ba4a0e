package clusterspec

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// identity is what makes two documents the same object.
type identity struct{ group, kind, namespace, name string }

// version is one object in one of the texts.
type version struct {
	id       identity
	document *document
	source   int // index of its file
	table    *field
	value    any
}

// versions are the objects of one side, in the order of the files.
type versions struct {
	list []*version
	byID map[identity]*version
}

func (v *versions) place(id identity) place {
	have, ok := v.byID[id]
	if !ok {
		return place{}
	}
	return place{value: have.value, node: have.document.root, at: have.document.root, document: have.document}
}

func readVersions(sources []Source) (*versions, Problems) {
	v := &versions{byID: map[identity]*version{}}
	var problems Problems
	limits := newLimits()
	for i, source := range sources {
		documents, bad := readDocuments(source, limits)
		problems = append(problems, bad...)
		for _, d := range documents {
			problems = append(problems, d.duplicateProblems()...)
			group, _, _ := strings.Cut(text(d.root, "apiVersion"), "/")
			found := &version{source: i, document: d, id: identity{
				group: group, kind: text(d.root, "kind"), name: text(d.root, "metadata", "name"),
				namespace: orDefault(text(d.root, "metadata", "namespace"), "default"),
			}}
			if other, twice := v.byID[found.id]; twice {
				line, _ := other.document.position(other.document.root)
				p := d.problem("duplicate-object", d.root,
					fmt.Sprintf("the object is already in %s:%d", other.document.file, line))
				p.Object = objectName(d.root)
				problems = append(problems, p)
				continue
			}
			if group+"/" == apiGroup {
				found.table = fields().kinds[found.id.kind]
			}
			found.value = valuesOf(d.root, found.table)
			v.list, v.byID[found.id] = append(v.list, found), found
		}
	}
	return v, problems
}

// valuesOf decodes a node for comparison: what makes no difference to Kubernetes makes none to the merge. A
// key without a value is no key, nor is one with the form that EKS Anywhere writes for nothing, and a number
// where the table wants a string, as in kubernetesVersion: 1.30, is its text.
func valuesOf(node *yaml.Node, f *field) any {
	node = resolve(node)
	switch {
	case node == nil:
		return nil
	case node.Kind == yaml.MappingNode:
		out := map[string]any{}
		for _, e := range entries(node) {
			child := f.below(e.key.Value)
			if child != nil && child.Zero && isZero(e.value) {
				continue
			}
			if value := valuesOf(e.value, child); value != nil {
				out[e.key.Value] = value
			}
		}
		return out
	case node.Kind == yaml.SequenceNode:
		out := make([]any, len(node.Content))
		for i, item := range node.Content {
			out[i] = valuesOf(item, f.itemRow())
		}
		return out
	}
	kind, value := scalar(node)
	if f != nil && f.Type == "string" && (kind == kindInteger || kind == kindNumber) {
		return node.Value
	}
	return value
}

// below is the row of a key of an object, nil when the table has none.
func (f *field) below(key string) *field {
	if f == nil {
		return nil
	}
	return f.children[key]
}

// itemRow is the row of the items of a list, nil when the table has none.
func (f *field) itemRow() *field {
	if f == nil {
		return nil
	}
	return f.item
}

// isReference says whether the fields below name one thing together, so that half of one name and half of
// another would be a third.
func (f *field) isReference() bool {
	if f == nil || len(f.children) < 2 {
		return false
	}
	for name := range f.children {
		if !slices.Contains([]string{"kind", "name", "id", "type", "uuid"}, name) {
			return false
		}
	}
	return true
}

// maxMerged bounds the keys of an object, and the items of a list, that are merged one by one. No real one
// comes near it.
const maxMerged = 1000

// itemKeys gives what tells the items of a list apart, or false when nothing does.
func itemKeys(f *field, list []any) ([]string, bool) {
	if len(list) > maxMerged {
		return nil, false
	}
	names := []string{"name"}
	if f != nil {
		names = f.Key
	}
	keys := make([]string, len(list))
	seen := make(map[string]bool, len(list))
	for i, item := range list {
		object, ok := item.(map[string]any)
		if !ok || len(names) == 0 {
			return nil, false
		}
		var parts []string
		for _, name := range names {
			switch part := object[name].(type) {
			case string, int64:
				parts = append(parts, fmt.Sprint(part))
			case nil:
				parts = append(parts, "")
			default:
				return nil, false
			}
		}
		if parts[0] == "" && i == 0 && f != nil && f.name() == "workerNodeGroupConfigurations" {
			parts[0] = "md-0" // what EKS Anywhere calls it
		}
		if parts[0] == "" {
			return nil, false
		}
		for len(parts) > 1 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
		if keys[i] = strings.Join(parts, ":"); seen[keys[i]] {
			return nil, false
		}
		seen[keys[i]] = true
	}
	return keys, true
}
