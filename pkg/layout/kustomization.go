package layout

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
)

// IsKustomization says whether kustomize takes a file for the description of its directory.
func IsKustomization(file string) bool {
	return slices.Contains(kustomize.FileNames, path.Base(file))
}

// IsManifest says whether Flux takes a file of a directory without a kustomization for Kubernetes objects.
func IsManifest(file string) bool {
	switch path.Ext(file) {
	case ".yaml", ".yml":
		return !IsKustomization(file)
	}
	return false
}

// ClusterKustomization is the kustomization of every cluster's directory.
func ClusterKustomization() []byte {
	return []byte("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- " +
		SpecFile + "\n")
}

// InertKustomization builds to nothing. Without a kustomization Flux would apply every manifest of the
// directory, of which none was listed before; one that says nothing at all does not build (kustomize:
// "kustomization.yaml is empty").
func InertKustomization() []byte {
	return []byte(`# The cluster is gone. This file stays because others do: without it Flux would apply them.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
generatorOptions:
  disableNameSuffixHash: true
`)
}

// ReopenedKustomization takes the place of [InertKustomization] in a cluster's directory when the cluster is
// created again: it has Flux apply the cluster, and nothing of what others keep beside it.
func ReopenedKustomization() []byte {
	return []byte(`# Applies the cluster. What else is in this directory was there before, and is applied when it is listed here.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ` + ClusterSubdir + `
`)
}

// List puts an entry in front of a kustomization's resources, and leaves everything else as it is, comments
// and formatting too. It says whether that can be done: there has to be a list with lines of its own.
func List(content []byte, entry string) ([]byte, bool) {
	var document yaml.Node
	if yaml.Unmarshal(content, &document) != nil || len(document.Content) == 0 {
		return nil, false
	}
	list := yamlnode.At(document.Content[0], "resources")
	if list == nil || list.Kind != yaml.SequenceNode || list.Style&yaml.FlowStyle != 0 ||
		len(list.Content) == 0 {
		return nil, false
	}
	lines := bytes.SplitAfter(content, []byte("\n"))
	first := lines[list.Content[0].Line-1]
	dash := bytes.IndexByte(first, '-')
	if dash < 0 || len(bytes.TrimSpace(first[:dash])) > 0 {
		return nil, false
	}
	added := append(slices.Clone(first[:dash]), "- "+entry+"\n"...)
	changed := bytes.Join(slices.Insert(slices.Clone(lines), list.Content[0].Line-1, added), nil)
	var after yaml.Node
	if yaml.Unmarshal(changed, &after) != nil || len(after.Content) == 0 {
		return nil, false
	}
	now := yamlnode.At(after.Content[0], "resources")
	return changed, now != nil && len(now.Content) == len(list.Content)+1 && now.Content[0].Value == entry
}

// Unlisted is a kustomization without its references to what is gone.
type Unlisted struct {
	Content []byte
	// Removed are the entries that were taken out, as they stood in the file.
	Removed []string
	// Empty says that nothing is left that kustomize would take: the file would not build any more.
	Empty bool
	// Others are fields that name something gone and are no list of resources, such as "patches"; they are
	// still there.
	Others []string
}

// Unlist takes the entries that name something gone out of the lists of resources and components of a
// kustomization. gone is asked about paths relative to the root of the repository. Everything else stays as
// it is, comments and formatting too, unless a list is written in one line. A file that is no YAML object is
// an error.
func Unlist(file string, content []byte, gone func(path string) bool) (*Unlisted, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	u := &Unlisted{Content: content}
	if document.Kind == 0 || len(document.Content) == 0 {
		return u, nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("reading %s: it is not an object", file)
	}
	names := func(value string) bool {
		return value != "" && !strings.Contains(value, "://") && gone(path.Join(path.Dir(file), value))
	}
	var lines []int
	reencode := false
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if !listsOthers(key.Value) || value.Kind != yaml.SequenceNode {
			if mentions(value, names) {
				u.Others = append(u.Others, key.Value)
			}
			continue
		}
		before := len(value.Content)
		value.Content = slices.DeleteFunc(value.Content, func(entry *yaml.Node) bool {
			if entry.Kind != yaml.ScalarNode || !names(entry.Value) {
				return false
			}
			u.Removed = append(u.Removed, entry.Value)
			lines = append(lines, entry.Line)
			return true
		})
		if len(value.Content) < before {
			reencode = reencode || value.Style&yaml.FlowStyle != 0
			if len(value.Content) == 0 {
				lines = append(lines, key.Line)
			}
		}
	}
	if len(u.Removed) == 0 {
		return u, nil
	}
	u.Empty = saysNothing(root)
	cut, ok := withoutLines(content, lines)
	if reencode || !ok || !sameYAML(cut, root) {
		var b bytes.Buffer
		encoder := yaml.NewEncoder(&b)
		encoder.SetIndent(2)
		if err := encoder.Encode(withoutEmptyLists(&document)); err != nil {
			return nil, fmt.Errorf("writing %s: %w", file, err)
		}
		cut = b.Bytes()
	}
	u.Content = cut
	return u, nil
}

// listsOthers names the fields of a kustomization that list files and directories, of which fewer do no harm.
func listsOthers(field string) bool {
	return field == "resources" || field == "bases" || field == "components"
}

// mentions says whether any text below a node is a name.
func mentions(node *yaml.Node, names func(string) bool) bool {
	if node.Kind == yaml.ScalarNode {
		return names(node.Value)
	}
	return slices.ContainsFunc(node.Content, func(child *yaml.Node) bool { return mentions(child, names) })
}

// saysNothing says whether a kustomization holds nothing beyond what it is.
func saysNothing(root *yaml.Node) bool {
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch root.Content[i].Value {
		case "apiVersion", "kind", "metadata":
			continue
		}
		if !yamlnode.IsEmpty(root.Content[i+1]) {
			return false
		}
	}
	return true
}

// withoutLines takes whole lines out. What else stood in them is missed by the caller, who compares.
func withoutLines(content []byte, numbers []int) ([]byte, bool) {
	lines := strings.SplitAfter(string(content), "\n")
	for _, number := range numbers {
		if number < 1 || number > len(lines) {
			return nil, false
		}
		lines[number-1] = ""
	}
	return []byte(strings.Join(lines, "")), true
}

// sameYAML says whether a text holds what a node does, apart from lists without entries.
func sameYAML(content []byte, root *yaml.Node) bool {
	var have, want map[string]any
	if yaml.Unmarshal(content, &have) != nil || root.Decode(&want) != nil {
		return false
	}
	for _, object := range []map[string]any{have, want} {
		for key, value := range object {
			if list, ok := value.([]any); value == nil || ok && len(list) == 0 {
				delete(object, key)
			}
		}
	}
	left, errLeft := yaml.Marshal(have)
	right, errRight := yaml.Marshal(want)
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}

// withoutEmptyLists takes the lists out that have no entries any more.
func withoutEmptyLists(document *yaml.Node) *yaml.Node {
	root := document.Content[0]
	var kept []*yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		if listsOthers(root.Content[i].Value) && yamlnode.IsEmpty(root.Content[i+1]) {
			continue
		}
		kept = append(kept, root.Content[i], root.Content[i+1])
	}
	root.Content = kept
	return document
}
