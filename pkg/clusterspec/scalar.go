package clusterspec

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// valueKind is the type of a YAML value as EKS Anywhere and Kubernetes read it.
type valueKind string

const (
	kindString  valueKind = "string"
	kindInteger valueKind = "integer"
	kindNumber  valueKind = "number"
	kindBoolean valueKind = "boolean"
	kindNull    valueKind = "null"
	kindObject  valueKind = "object"
	kindList    valueKind = "list"
)

var (
	// The YAML libraries of EKS Anywhere and Kubernetes read YAML 1.1, in which these plain words are no
	// strings.
	trueWords  = []string{"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
	falseWords = []string{"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
	nullWords  = []string{"", "~", "null", "Null", "NULL"}
	floatForm  = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	// Numbers of YAML that JSON, and so Kubernetes, does not have.
	notFiniteForm = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

// kindOf gives the type of a node that is not an alias.
func kindOf(node *yaml.Node) valueKind {
	switch node.Kind {
	case yaml.MappingNode:
		return kindObject
	case yaml.SequenceNode:
		return kindList
	}
	kind, _ := scalar(node)
	return kind
}

// scalar gives type and value of a scalar node: string, bool, int64, float64 or nil.
func scalar(node *yaml.Node) (valueKind, any) {
	text := node.Value
	explicit := ""
	if node.Style&yaml.TaggedStyle != 0 {
		explicit = node.ShortTag()
	}
	if explicit == "!!str" || explicit == "!!binary" ||
		node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return kindString, text
	}
	switch {
	case slices.Contains(nullWords, text):
		return kindNull, nil
	case slices.Contains(trueWords, text):
		return kindBoolean, true
	case slices.Contains(falseWords, text):
		return kindBoolean, false
	}
	if first := text[0]; first == '.' || first == '-' || first == '+' || first >= '0' && first <= '9' {
		plain := strings.ReplaceAll(text, "_", "")
		if number, err := strconv.ParseInt(plain, 0, 64); err == nil {
			return kindInteger, number
		}
		if floatForm.MatchString(plain) {
			if number, err := strconv.ParseFloat(plain, 64); err == nil {
				return kindNumber, number
			}
		}
	}
	return kindString, text
}

// resolve follows aliases. Cycles were refused when the document was read.
func resolve(node *yaml.Node) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// entry is one key and value of a mapping.
type entry struct {
	key, value *yaml.Node // with aliases followed
}

// entries gives the entries of a mapping in order, with merge keys ("<<") spread out: what the mapping itself
// says wins.
func entries(mapping *yaml.Node) []entry {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	out := make([]entry, 0, len(mapping.Content)/2)
	var merges []*yaml.Node
	var have map[string]bool
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if isMerge(key) {
			merges = append(merges, resolve(value))
			continue
		}
		out = append(out, entry{key: resolve(key), value: resolve(value)})
	}
	if len(merges) > 0 {
		have = make(map[string]bool, len(out))
		for _, e := range out {
			have[e.key.Value] = true
		}
	}
	for _, merge := range merges {
		from := []*yaml.Node{merge}
		if merge.Kind == yaml.SequenceNode {
			from = merge.Content
		}
		for _, m := range from {
			for _, e := range entries(resolve(m)) {
				if !have[e.key.Value] {
					have[e.key.Value] = true
					out = append(out, e)
				}
			}
		}
	}
	return out
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && (key.Tag == "!!merge" || key.Style == 0)
}

// lookup gives the value at a path of keys, and the key's node; nil where there is none or it is null.
func lookup(mapping *yaml.Node, path ...string) (key, value *yaml.Node) {
	value = resolve(mapping)
	for _, name := range path {
		if key, value = lookupKey(value, name); key == nil {
			return nil, nil
		}
	}
	if value == nil || kindOf(value) == kindNull {
		return key, nil
	}
	return key, value
}

// lookupKey finds one key of a mapping, as entries would, without listing the others where there are no merge
// keys.
func lookupKey(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil, nil
	}
	merges := false
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if k := resolve(mapping.Content[i]); isMerge(mapping.Content[i]) {
			merges = true
		} else if k.Value == name {
			return k, resolve(mapping.Content[i+1])
		}
	}
	if merges {
		for _, e := range entries(mapping) {
			if e.key.Value == name {
				return e.key, e.value
			}
		}
	}
	return nil, nil
}

// text gives the string at a path; "" where there is none or it is no string.
func text(mapping *yaml.Node, path ...string) string {
	_, value := lookup(mapping, path...)
	if value == nil || value.Kind != yaml.ScalarNode || kindOf(value) != kindString {
		return ""
	}
	return value.Value
}

// integer gives the whole number at a path.
func integer(mapping *yaml.Node, path ...string) (int64, bool) {
	_, value := lookup(mapping, path...)
	if value == nil || value.Kind != yaml.ScalarNode {
		return 0, false
	}
	_, v := scalar(value)
	number, ok := v.(int64)
	return number, ok
}

// flag gives the boolean at a path; false where there is none.
func flag(mapping *yaml.Node, path ...string) bool {
	_, value := lookup(mapping, path...)
	if value == nil || value.Kind != yaml.ScalarNode {
		return false
	}
	_, v := scalar(value)
	set, _ := v.(bool)
	return set
}

// items gives the items of the list at a path, with aliases followed.
func items(mapping *yaml.Node, path ...string) []*yaml.Node {
	_, value := lookup(mapping, path...)
	if value == nil || value.Kind != yaml.SequenceNode {
		return nil
	}
	out := make([]*yaml.Node, len(value.Content))
	for i, item := range value.Content {
		out[i] = resolve(item)
	}
	return out
}

// decode turns a node into Go values: map[string]any, []any, string, bool, int64, float64, nil.
func decode(node *yaml.Node) any {
	node = resolve(node)
	switch {
	case node == nil:
		return nil
	case node.Kind == yaml.MappingNode:
		list := entries(node)
		out := make(map[string]any, len(list))
		for _, e := range list {
			out[e.key.Value] = decode(e.value)
		}
		return out
	case node.Kind == yaml.SequenceNode:
		out := make([]any, len(node.Content))
		for i, item := range node.Content {
			out[i] = decode(item)
		}
		return out
	}
	_, value := scalar(node)
	return value
}
