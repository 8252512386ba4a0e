package clusterspec

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entryText writes an entry in block style, and strings in a form that is understood the same way by all if
// the usual one is not.
func entryText(key, value *yaml.Node, want any, f *field) (string, bool) {
	for _, attempt := range []*yaml.Node{value, newNode(want, f, nil), quoted(newNode(want, f, nil))} {
		text, ok := encodeYAML(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, attempt}})
		if ok && holdsEntry(text, key.Value, want, f) {
			return text, true
		}
	}
	return "", false
}

func itemText(value *yaml.Node, want any, f *field) (string, bool) {
	for _, attempt := range []*yaml.Node{value, newNode(want, f, nil), quoted(newNode(want, f, nil))} {
		text, ok := encodeYAML(&yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{attempt}})
		if ok && holdsItem(text, want, f) {
			return text, true
		}
	}
	return "", false
}

func holdsEntry(text, name string, want any, f *field) bool {
	check := &document{body: text, firstLine: 1}
	if strings.TrimSpace(text) == "" || check.parse(trialLimits()) != nil || check.root == nil ||
		len(entries(check.root)) != 1 {
		return false
	}
	e := entries(check.root)[0]
	return e.key.Value == name && reflect.DeepEqual(valuesOf(e.value, f), want)
}

func holdsItem(text string, want any, f *field) bool {
	check := &document{body: "list:\n" + text, firstLine: 1}
	if check.parse(trialLimits()) != nil || check.root == nil {
		return false
	}
	found := items(check.root, "list")
	return len(found) == 1 && reflect.DeepEqual(valuesOf(found[0], f), want)
}

// reshapeNode gives a copy of a value that holds want instead, without anchors and aliases.
func reshapeNode(node *yaml.Node, want any, f *field, from *yaml.Node) *yaml.Node {
	node = resolve(node)
	if reflect.DeepEqual(valuesOf(node, f), want) {
		return standalone(node)
	}
	out := *node
	out.Anchor, out.Alias, out.Content = "", nil, nil
	source := donor{node: from}
	switch want := want.(type) {
	case map[string]any:
		if node.Kind != yaml.MappingNode {
			break
		}
		there := map[string]*entry{}
		for _, e := range entries(node) {
			there[e.key.Value] = &e
		}
		order := interleave(donor{node: node}.keyOrder(), source.keyOrder(), func(name string) bool {
			return want[name] != nil
		})
		for _, name := range appendNew(order, tableOrder(f, want)) {
			if have := there[name]; have != nil {
				out.Content = append(out.Content, standalone(have.key),
					reshapeNode(have.value, want[name], f.below(name), source.below(name).node))
			} else {
				out.Content = append(out.Content, newScalar(name),
					newNode(want[name], f.below(name), source.below(name).node))
			}
		}
		return &out
	case []any:
		have, isList := valuesOf(node, f).([]any)
		haveKeys, ok := itemKeys(f, have)
		wantKeys, wantOK := itemKeys(f, want)
		if !isList || !ok || !wantOK {
			break
		}
		haveAt, items := indexes(haveKeys), source.list(f)
		for i, key := range wantKeys {
			if at := indexOf(haveAt, key); at >= 0 {
				out.Content = append(out.Content,
					reshapeNode(node.Content[at], want[i], f.itemRow(), items.item(key).node))
			} else {
				out.Content = append(out.Content, newNode(want[i], f.itemRow(), items.item(key).node))
			}
		}
		return &out
	}
	shaped := newNode(want, f, from)
	if node.Kind == yaml.ScalarNode && shaped.Kind == yaml.ScalarNode {
		if _, isString := want.(string); isString &&
			node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			shaped.Style = node.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle)
		}
	}
	for _, comment := range []struct{ to, from *string }{
		{&shaped.HeadComment, &node.HeadComment}, {&shaped.LineComment, &node.LineComment},
		{&shaped.FootComment, &node.FootComment},
	} {
		if *comment.to == "" {
			*comment.to = *comment.from
		}
	}
	return shaped
}

// standalone copies a value without anchors, aliases and merge keys.
func standalone(node *yaml.Node) *yaml.Node {
	out := *resolve(node)
	out.Anchor = ""
	content := out.Content
	if out.Kind == yaml.MappingNode && slices.ContainsFunc(content, isMerge) {
		content = nil
		for _, e := range entries(resolve(node)) {
			content = append(content, e.key, e.value)
		}
	}
	out.Content = make([]*yaml.Node, len(content))
	for i, child := range content {
		out.Content[i] = standalone(child)
	}
	return &out
}

// newNode writes a value: as the donor does when that has it, else with keys in the order of the table.
func newNode(want any, f *field, from *yaml.Node) *yaml.Node {
	if from != nil && reflect.DeepEqual(valuesOf(from, f), want) {
		return standalone(from)
	}
	switch want := want.(type) {
	case map[string]any:
		out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, name := range tableOrder(f, want) {
			out.Content = append(out.Content, newScalar(name),
				newNode(want[name], f.below(name), donor{node: from}.below(name).node))
		}
		if len(want) == 0 {
			out.Style = yaml.FlowStyle
		}
		return out
	case []any:
		out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range want {
			out.Content = append(out.Content, newNode(item, f.itemRow(), nil))
		}
		if len(want) == 0 {
			out.Style = yaml.FlowStyle
		}
		return out
	}
	return newScalar(want)
}

func newScalar(value any) *yaml.Node {
	out := &yaml.Node{Kind: yaml.ScalarNode}
	switch value := value.(type) {
	case nil:
		out.Tag, out.Value = "!!null", "null"
	case string:
		out.Tag, out.Value = "!!str", value
		if plainString(value) != value && !strings.Contains(value, "\n") {
			out.Style = yaml.DoubleQuotedStyle
		}
	case bool:
		out.Tag, out.Value = "!!bool", strconv.FormatBool(value)
	case int64:
		out.Tag, out.Value = "!!int", strconv.FormatInt(value, 10)
	case float64:
		out.Tag, out.Value = "!!float", strconv.FormatFloat(value, 'g', -1, 64)
		if !strings.ContainsAny(out.Value, ".e") {
			out.Value += ".0" // or it would be read as an integer
		}
	}
	return out
}

// quoted puts every string of a value into double quotes.
func quoted(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
		node.Style = yaml.DoubleQuotedStyle
	}
	for _, child := range node.Content {
		quoted(child)
	}
	return node
}
