package clusterspec

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reshape gives the text of a document that holds the value want instead of its own: spliced where that can
// be done, else written anew, comments kept as far as the YAML library keeps them. Leading and trailing
// comments of other documents are not in it.
func (d *document) reshape(want any, f *field, from donor) string {
	if wanted, ok := want.(map[string]any); ok && d.spliceable() {
		s := newSplicer(d.body)
		if s.reshapeMapping(d.root, wanted, f, from) {
			if spliced, ok := s.applyAll(); ok && holdsValue(spliced, want, f) {
				return spliced
			}
		}
	}
	json := d.root.Style&yaml.FlowStyle != 0
	root := reshapeNode(d.root, want, f, from.node)
	if json {
		blockStyle(root, json)
	}
	if encoded, ok := encodeYAML(root); ok && holdsValue(encoded, want, f) {
		return leadingComments(d.body, encoded) + encoded
	}
	plain, _ := encodeYAML(want) // maps, lists and scalars always encode
	return plain
}

// leadingComments are the comments at the top of a text that encoding lost.
func leadingComments(body, encoded string) string {
	var b strings.Builder
	for line := range strings.SplitAfterSeq(trimBlankLines(body), "\n") {
		if trimmed := strings.TrimSpace(line); trimmed != "" && trimmed[0] != '#' {
			break
		}
		b.WriteString(line)
	}
	if first, _, _ := strings.Cut(b.String(), "\n"); first == "" ||
		strings.Contains(encoded, strings.TrimSpace(first)) {
		return ""
	}
	return b.String()
}

// holdsValue says whether a text is one document that every reader understands as the given value.
func holdsValue(content string, want any, f *field) bool {
	check := &document{body: content, firstLine: 1}
	return len(split(content)) == 1 && check.parse(trialLimits()) == nil && check.root != nil &&
		len(check.valueProblems()) == 0 && len(check.duplicates) == 0 && !overridesMerge(check.root) &&
		reflect.DeepEqual(valuesOf(check.root, f), want)
}

// reshapeMapping plans the edits that give a mapping in block style other values; false means that they
// cannot be made in its text. What an entry cannot be spliced into is written anew, entry by entry.
func (s *splicer) reshapeMapping(node *yaml.Node, want map[string]any, f *field, from donor) bool {
	if node.Kind != yaml.MappingNode || slices.ContainsFunc(node.Content, isMerge) ||
		max(len(node.Content)/2, len(want)) > maxMerged {
		return false
	}
	flow := node.Style&yaml.FlowStyle != 0
	there := map[string]bool{}
	kept := 0
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := resolve(key).Value
		there[name] = true
		row := f.below(name)
		have, wanted := valuesOf(value, row), want[name]
		switch {
		case reflect.DeepEqual(have, wanted):
			kept++
		case wanted == nil:
			if flow || !s.removeAnyEntry(node, i) {
				return false
			}
		default:
			kept++
			mark := len(s.edits)
			if !s.reshapeValue(key, value, wanted, row, from.below(name)) {
				s.edits = s.edits[:mark]
				if flow || !s.replaceEntry(node, i, wanted, row, from) {
					return false
				}
			}
		}
	}
	missing := false
	for name := range want {
		missing = missing || !there[name]
	}
	if !missing {
		return kept > 0 || len(want) == 0 && len(node.Content) == 0
	}
	return !flow && s.insertEntries(node, there, want, f, from)
}

// reshapeValue plans the edits for one value in its place.
func (s *splicer) reshapeValue(key, node *yaml.Node, want any, f *field, from donor) bool {
	if node.Kind == yaml.AliasNode || node.Anchor != "" || node.Style&yaml.TaggedStyle != 0 {
		return false
	}
	switch want := want.(type) {
	case map[string]any:
		return s.reshapeMapping(node, want, f, from)
	case []any:
		return s.reshapeList(node, want, f, from)
	}
	return node.Kind == yaml.ScalarNode && s.replaceText(key, node, scalarText(want, node))
}

// scalarText writes a scalar, a string in the quotes of the one before.
func scalarText(value any, before *yaml.Node) string {
	text, ok := value.(string)
	switch {
	case !ok:
		return newScalar(value).Value
	case before.Style&yaml.DoubleQuotedStyle != 0:
		return strconv.Quote(text)
	case before.Style&yaml.SingleQuotedStyle != 0 && !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r > '~'
	}):
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return plainString(text)
}

// removeAnyEntry takes an entry out, also when it begins on the line of a list item's dash.
func (s *splicer) removeAnyEntry(node *yaml.Node, i int) bool {
	if s.removeEntry(node, i) {
		return true
	}
	if i+2 >= len(node.Content) {
		return false
	}
	key, next := node.Content[i], node.Content[i+2]
	start, ok := s.offset(key)
	end, nextOK := s.offset(next)
	if !ok || !nextOK || next.Line <= key.Line || next.Column != key.Column {
		return false
	}
	// Comments above the next entry stay with it, so the next entry would not come to stand behind the dash.
	for line := lastLine(node.Content[i+1], key.Line) + 1; line < next.Line; line++ {
		if strings.HasPrefix(strings.TrimLeft(s.line(line), " "), "#") {
			return false
		}
	}
	s.edits = append(s.edits, spliceEdit{start, end, ""})
	return true
}

// replaceEntry writes one entry anew. Comments above it stay.
func (s *splicer) replaceEntry(node *yaml.Node, i int, want any, f *field, from donor) bool {
	key, value := node.Content[i], node.Content[i+1]
	if key.Kind == yaml.AliasNode || key.Anchor != "" {
		return false
	}
	start, ok := s.offset(key)
	if !ok {
		return false
	}
	name := key.Value
	text, ok := "", false
	if !hasComment(key, value) {
		text, ok = from.entryText(name, want, f, false)
	}
	if !ok {
		shaped := reshapeNode(value, want, f, from.below(name).node)
		line := *key
		line.HeadComment, line.FootComment = "", ""
		if text, ok = entryText(&line, shaped, want, f); !ok {
			return false
		}
	}
	text = reindentText(text, key.Column-1)
	s.edits = append(s.edits, spliceEdit{start, s.lines[s.entryEnd(node, i)], text[key.Column-1:]})
	return true
}

// hasComment says whether something inside an entry carries a comment.
func hasComment(key, value *yaml.Node) bool {
	if key.LineComment != "" || value.LineComment != "" || value.HeadComment != "" ||
		value.FootComment != "" {
		return true
	}
	for _, child := range value.Content {
		if hasComment(child, child) {
			return true
		}
	}
	return false
}

// insertEntries adds the entries that a mapping does not have, each behind the one that it follows in the
// donor.
func (s *splicer) insertEntries(node *yaml.Node, there map[string]bool, want map[string]any, f *field,
	from donor) bool {
	if len(node.Content) == 0 {
		return false
	}
	order := appendNew(from.keyOrder(), tableOrder(f, want))
	last := len(node.Content) - 2
	for at, name := range order {
		if want[name] == nil || there[name] {
			continue
		}
		text, ok := from.entryText(name, want[name], f.below(name), true)
		if !ok {
			key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}
			if text, ok = entryText(key, newNode(want[name], f.below(name), nil), want[name],
				f.below(name)); !ok {
				return false
			}
		}
		position, ok := s.lines[s.entryEnd(node, last)], true
		if before := nearestBefore(order[:at], there, want); before != "" {
			position = s.lines[s.entryEnd(node, keyIndex(node, before))]
		} else if after := nearestAfter(order[at+1:], there, want); after != "" {
			first, _, atLineStart := s.entryLines(node, keyIndex(node, after))
			if atLineStart {
				position = s.lines[first-1]
			} else {
				position = s.lines[s.entryEnd(node, keyIndex(node, after))]
			}
		}
		if !ok {
			return false
		}
		s.edits = append(s.edits,
			spliceEdit{position, position, reindentText(text, node.Content[0].Column-1)})
	}
	return true
}

func nearestBefore(names []string, there map[string]bool, want map[string]any) string {
	for _, name := range slices.Backward(names) {
		if there[name] && want[name] != nil {
			return name
		}
	}
	return ""
}

func nearestAfter(names []string, there map[string]bool, want map[string]any) string {
	for _, name := range names {
		if there[name] && want[name] != nil {
			return name
		}
	}
	return ""
}

// tableOrder lists the keys of an object as the field table has them, then the others by name.
func tableOrder(f *field, object map[string]any) []string {
	var out []string
	if f != nil {
		for _, child := range f.order {
			if _, ok := object[child.name()]; ok {
				out = append(out, child.name())
			}
		}
	}
	return appendNew(out, slices.Sorted(maps.Keys(object)))
}

// appendNew appends those names that are not there.
func appendNew(names, more []string) []string {
	have := indexes(names)
	for _, name := range more {
		if indexOf(have, name) < 0 {
			names = append(names, name)
		}
	}
	return names
}
