package clusterspec

import (
	"bytes"
	"slices"

	"go.yaml.in/yaml/v3"
)

// reencode makes the changes in a copy of the parsed document and writes that in block style. Comments stay
// where the parser keeps them.
func (d *document) reencode(changes []change) (string, bool) {
	root := copyNode(d.root, map[*yaml.Node]*yaml.Node{})
	json := root.Style&yaml.FlowStyle != 0
	blockStyle(root, json)
	for _, c := range changes {
		if !changeNode(root, c) {
			return "", false
		}
	}
	return encodeYAML(root)
}

func encodeYAML(value any) (string, bool) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if encoder.Encode(value) != nil || encoder.Close() != nil {
		return "", false
	}
	return trimBlankLines(b.String()), true
}

// copyNode copies a tree; aliases point to the copies of what they pointed to, and mappings that override a
// merge are spread out.
func copyNode(node *yaml.Node, copies map[*yaml.Node]*yaml.Node) *yaml.Node {
	if have, ok := copies[node]; ok {
		return have
	}
	out := *node
	copies[node] = &out
	if node.Alias != nil {
		out.Alias = copyNode(node.Alias, copies)
	}
	out.Content = make([]*yaml.Node, len(node.Content))
	for i, child := range node.Content {
		out.Content[i] = copyNode(child, copies)
	}
	if node.Kind == yaml.MappingNode && slices.ContainsFunc(node.Content, isMerge) {
		var spread []*yaml.Node
		for _, e := range entries(node) {
			spread = append(spread, expand(e.key), expand(e.value))
		}
		out.Content = spread
	}
	return &out
}

// expand copies a tree without anchors and aliases.
func expand(node *yaml.Node) *yaml.Node {
	out := *resolve(node)
	out.Anchor = ""
	content := out.Content
	out.Content = make([]*yaml.Node, len(content))
	for i, child := range content {
		out.Content[i] = expand(child)
	}
	return &out
}

// blockStyle turns JSON style into the style of people: no braces, and quotes only where they are needed.
func blockStyle(node *yaml.Node, json bool) {
	node.Style &^= yaml.FlowStyle
	if len(node.Content) == 0 && (node.Kind == yaml.MappingNode || node.Kind == yaml.SequenceNode) {
		node.Style |= yaml.FlowStyle // {} and [] have no other form
	}
	if json && node.Kind == yaml.ScalarNode && node.Style&yaml.DoubleQuotedStyle != 0 &&
		plainString(node.Value) == node.Value {
		node.Style &^= yaml.DoubleQuotedStyle
	}
	for _, child := range node.Content {
		blockStyle(child, json)
	}
}

func changeNode(root *yaml.Node, c change) bool {
	parent := root
	for _, step := range c.path[:len(c.path)-1] {
		switch step := step.(type) {
		case int:
			if parent.Kind != yaml.SequenceNode || step >= len(parent.Content) {
				return false
			}
			parent = resolve(parent.Content[step])
		case string:
			i := keyIndex(parent, step)
			if i < 0 {
				return c.remove
			}
			parent = resolve(parent.Content[i+1])
		}
	}
	name, ok := c.path[len(c.path)-1].(string)
	if !ok || parent.Kind != yaml.MappingNode {
		return false
	}
	i := keyIndex(parent, name)
	value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: c.value}
	if plainString(c.value) != c.value {
		value.Style = yaml.DoubleQuotedStyle
	}
	switch {
	case c.rename != "":
		if i < 0 {
			return false
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: c.rename}
		none := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
		parent.Content[i], parent.Content[i+1] = key,
			&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{value, none}}
	case c.remove && i >= 0:
		parent.Content = slices.Delete(parent.Content, i, i+2)
	case c.remove:
	case i >= 0:
		parent.Content[i+1] = value
	default:
		at := 0
		if name == "namespace" {
			at = keyIndex(parent, "name") + 2
		}
		parent.Content = slices.Insert(parent.Content, max(at, 0),
			&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value)
		parent.Style &^= yaml.FlowStyle
	}
	return true
}
