package clusterspec

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// donor is where the text of something new comes from: the same place in another document, or nothing.
type donor struct {
	text *splicer // nil when the text cannot be taken, as in JSON style
	node *yaml.Node
}

func (d *document) donor() donor {
	if d == nil {
		return donor{}
	}
	out := donor{node: d.root}
	if d.spliceable() {
		out.text = newSplicer(d.body)
	}
	return out
}

// spliceable says whether the positions of the parser can be trusted to edit the document's text by.
func (d *document) spliceable() bool {
	// The YAML parser counts these Unicode characters as line ends.
	return !d.inline && d.root.Style&yaml.FlowStyle == 0 && !strings.ContainsAny(d.body, "\u0085\u2028\u2029")
}

func (d donor) below(key string) donor {
	if i := directKey(d.node, key); i >= 0 {
		return donor{text: d.text, node: d.node.Content[i+1]}
	}
	_, value := lookupKey(resolve(d.node), key)
	return donor{node: value}
}

// donorList is a list in a donor whose items can be told apart.
type donorList struct {
	donor
	at map[string]int
}

func (d donor) list(f *field) donorList {
	list, _ := valuesOf(d.node, f).([]any)
	keys, _ := itemKeys(f, list)
	return donorList{donor: d, at: indexes(keys)}
}

func (d donorList) item(key string) donor {
	i, ok := d.at[key]
	switch {
	case !ok:
		return donor{}
	case d.node.Kind == yaml.SequenceNode:
		return donor{text: d.text, node: d.node.Content[i]}
	}
	return donor{node: resolve(d.node).Content[i]}
}

// keyOrder lists the keys of an object in the order of the donor.
func (d donor) keyOrder() []string {
	var out []string
	for _, e := range entries(resolve(d.node)) {
		out = append(out, e.key.Value)
	}
	return out
}

func directKey(node *yaml.Node, key string) int {
	if node == nil {
		return -1
	}
	return keyIndex(node, key)
}

// newItem gives the text of a new item, without indentation.
func (d donorList) newItem(key string, want any, f *field) (string, bool) {
	if text, ok := d.itemText(key, want, f); ok {
		return text, true
	}
	return itemText(newNode(want, f.itemRow(), nil), want, f.itemRow())
}

// entryText takes the text of an entry, without indentation, out of the donor, with the comments above it
// when they are wanted. It is nothing when the donor has another value, or one that refers to other places.
func (d donor) entryText(name string, want any, f *field, comments bool) (string, bool) {
	i := directKey(d.node, name)
	if d.text == nil || i < 0 || refersElsewhere(d.node.Content[i]) || refersElsewhere(d.node.Content[i+1]) {
		return "", false
	}
	key := d.node.Content[i]
	var text string
	if first, last, ok := d.text.entryLines(d.node, i); ok {
		if !comments {
			first = key.Line
		}
		text = d.text.body[d.text.lines[first-1]:d.text.lines[last]]
	} else if start, ok := d.text.offset(key); ok && d.node.Style&yaml.FlowStyle == 0 {
		text = strings.Repeat(" ", key.Column-1) + d.text.body[start:d.text.lines[d.text.entryEnd(d.node, i)]]
	}
	text = reindentText(text, 1-key.Column)
	return text, holdsEntry(text, name, want, f)
}

// itemText takes the text of an item, without indentation, out of the donor.
func (d donorList) itemText(key string, want any, f *field) (string, bool) {
	i, ok := d.at[key]
	if d.text == nil || !ok || d.node.Kind != yaml.SequenceNode || refersElsewhere(d.node.Content[i]) {
		return "", false
	}
	first, last, ok := d.text.itemLines(d.node, i)
	if !ok {
		return "", false
	}
	text := reindentText(d.text.body[d.text.lines[first-1]:d.text.lines[last]], 1-d.node.Column)
	return text, holdsItem(text, want, f.itemRow())
}

// refersElsewhere says whether there are anchors, aliases or tags in a value.
func refersElsewhere(node *yaml.Node) bool {
	return node.Kind == yaml.AliasNode || node.Anchor != "" || node.Style&yaml.TaggedStyle != 0 ||
		slices.ContainsFunc(node.Content, refersElsewhere)
}

// reindentText moves lines to the right or to the left. Lines without anything stay so.
func reindentText(text string, by int) string {
	var b strings.Builder
	for line := range strings.SplitAfterSeq(text, "\n") {
		if line != "" && line != "\n" {
			line = reindent(line, by)
		}
		b.WriteString(line)
	}
	return b.String()
}
