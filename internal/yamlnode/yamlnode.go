// Package yamlnode finds values in YAML that was read as nodes, so that what is said of a value can say where
// it stands.
package yamlnode

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// IsNull says whether a value is null, or there is a key without a value.
func IsNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// Follow leads from an alias to the node that it stands for; every other node is itself.
func Follow(node *yaml.Node) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// At finds a value by its keys, through aliases; nil where there is none.
func At(node *yaml.Node, keys ...string) *yaml.Node {
	node = Follow(node)
	for _, key := range keys {
		if node == nil || node.Kind != yaml.MappingNode {
			return nil
		}
		var found *yaml.Node
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				found = Follow(node.Content[i+1])
			}
		}
		node = found
	}
	return node
}

// Scalar is the text of a value; empty where there is none.
func Scalar(node *yaml.Node, keys ...string) string {
	value := At(node, keys...)
	if value == nil || value.Kind != yaml.ScalarNode || IsNull(value) {
		return ""
	}
	return value.Value
}

// IsEmpty says whether a value is null, or a list or an object that holds nothing.
func IsEmpty(value *yaml.Node) bool {
	return value.Tag == "!!null" ||
		value.Kind != yaml.ScalarNode && value.Kind != yaml.AliasNode && len(value.Content) == 0
}

// Leaf is a value that is no object.
type Leaf struct {
	Text string
	Node *yaml.Node
}

// Leaves lists the values of an object by their path. An alias is a value itself.
func Leaves(node *yaml.Node) map[string]Leaf {
	out := map[string]Leaf{}
	var walk func(*yaml.Node, string)
	walk = func(node *yaml.Node, at string) {
		switch node.Kind {
		case yaml.AliasNode: // not followed: it may lead to itself
			out[at] = Leaf{Text: "*" + node.Value, Node: node}
		case yaml.MappingNode:
			for i := 0; i+1 < len(node.Content); i += 2 {
				walk(node.Content[i+1], strings.TrimPrefix(at+"."+node.Content[i].Value, "."))
			}
		case yaml.SequenceNode:
			for i, item := range node.Content {
				walk(item, fmt.Sprintf("%s[%d]", at, i))
			}
		case yaml.ScalarNode:
			out[at] = Leaf{Text: node.Value, Node: node}
		}
	}
	walk(node, "")
	return out
}
