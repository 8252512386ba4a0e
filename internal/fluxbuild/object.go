package fluxbuild

import (
	"reflect"
	"strings"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/yaml"
)

// Object is one object that Flux applies.
type Object struct {
	Name
	APIVersion string
	// File is the file that the object was read from, by its path in the repository, and Line where its
	// document begins there. Line is 0 when it is not known, File is empty for what kustomize has generated.
	File string
	Line int

	text []byte // YAML or JSON
	// Of these at most one says what the text is, when somebody asks for it.
	later    *later             // the directory has to be built first
	resource *resource.Resource // kustomize has built it
}

// Name is the identity of an object: what Flux tells it from others by. The version is no part of it.
type Name struct {
	Group, Kind, Namespace, Name string
}

// ID is how Flux notes the object in an inventory: namespace_name_group_kind. A colon, which only the names
// of roles have, is written as two underscores.
func (n Name) ID() string {
	return strings.Join([]string{n.Namespace, strings.ReplaceAll(n.Name, ":", "__"), n.Group, n.Kind}, "_")
}

// String is "Kind namespace/name", or "Kind name" for an object without a namespace.
func (n Name) String() string {
	if n.Namespace == "" {
		return n.Kind + " " + n.Name
	}
	return n.Kind + " " + n.Namespace + "/" + n.Name
}

// ParseID reads an entry of an inventory; false is for what is none.
func ParseID(id string) (Name, bool) {
	namespace, rest, ok := strings.Cut(id, "_")
	if !ok {
		return Name{}, false
	}
	rest, kind, ok := cutLast(rest)
	if !ok {
		return Name{}, false
	}
	name, group, ok := cutLast(rest)
	if !ok || name == "" || kind == "" {
		return Name{}, false
	}
	return Name{Group: group, Kind: kind, Namespace: namespace,
		Name: strings.ReplaceAll(name, "__", ":")}, true
}

// ObjectOf gives an entry of an inventory as [Name.String] does; what is none is given as it is.
func ObjectOf(id string) string {
	if name, ok := ParseID(id); ok {
		return name.String()
	}
	return id
}

func cutLast(s string) (before, after string, ok bool) {
	at := strings.LastIndexByte(s, '_')
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+1:], true
}

// Text is the object as YAML, of which JSON is a kind.
func (o *Object) Text() []byte {
	switch {
	case o.later != nil:
		if text := o.later.text(o.Name); text != nil {
			o.text = text
		}
		o.later = nil
	case o.resource != nil:
		// What kustomize has built can be written.
		o.text, _ = o.resource.MarshalJSON()
		o.resource = nil
	}
	return o.text
}

// Fields decodes the object. Numbers are float64, as JSON has them.
func (o *Object) Fields() map[string]any {
	var fields map[string]any
	if yaml.Unmarshal(o.Text(), &fields) != nil {
		return nil
	}
	return fields
}

// Same says whether two objects have the same fields.
func (o *Object) Same(other *Object) bool { return reflect.DeepEqual(o.Fields(), other.Fields()) }

// keeping are Flux's marks by which an object stays when it is no longer in Git: not to be deleted, or not to
// be touched at all.
var keeping = []string{"kustomize.toolkit.fluxcd.io/prune", "kustomize.toolkit.fluxcd.io/reconcile"}

// Kept says whether an object carries a mark by which Flux leaves it in the cluster when it is gone from Git.
func Kept(fields map[string]any) bool {
	metadata, _ := fields["metadata"].(map[string]any)
	for _, part := range []string{"annotations", "labels"} {
		marks, _ := metadata[part].(map[string]any)
		for _, mark := range keeping {
			if value, _ := marks[mark].(string); strings.EqualFold(value, "disabled") {
				return true
			}
		}
	}
	return false
}
