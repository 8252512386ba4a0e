package clusterspec

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// change is one change to make to a document: a field is set to a string, or taken out, or it gets another
// name and an object with one key, which has nothing below it.
type change struct {
	path   []any // keys (string) and list indexes (int)
	remove bool
	value  string
	rename string // the other name; value is the key then
}

// rewrite gives the text of a document with changes made to it. The user's text is spliced, so that
// everything else stays as it is, byte for byte; only where that is impossible (the document is in JSON
// style, say) it is written anew from the parsed values. The result is read again, and holds exactly the
// values it should.
func (d *document) rewrite(changes []change) string {
	want := decode(d.root)
	for _, c := range changes {
		want = c.apply(want)
	}
	if spliced, ok := d.splice(changes); ok && holds(spliced, want) {
		return d.lead + spliced + d.tail
	}
	if encoded, ok := d.reencode(changes); ok && holds(encoded, want) {
		return d.lead + encoded + d.tail
	}
	// Values are all that is left to keep. Encoding maps, lists and scalars cannot fail.
	plain, _ := encodeYAML(want)
	return d.lead + plain + d.tail
}

// holds says whether a text is one document with the given value that every reader understands the same way.
func holds(content string, want any) bool {
	check := &document{body: content, firstLine: 1}
	if len(split(content)) != 1 || check.parse(newLimits()) != nil || check.root == nil ||
		len(check.valueProblems()) > 0 || len(check.duplicates) > 0 || overridesMerge(check.root) {
		return false
	}
	return reflect.DeepEqual(decode(check.root), want)
}

// overridesMerge says whether a mapping repeats a key that a merge key brings in. EKS Anywhere's strict
// reader takes that for a duplicate key.
func overridesMerge(node *yaml.Node) bool {
	if node.Kind == yaml.AliasNode {
		return false
	}
	if node.Kind == yaml.MappingNode {
		seen := map[string]bool{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if isMerge(node.Content[i]) {
				sources := []*yaml.Node{resolve(node.Content[i+1])}
				if sources[0].Kind == yaml.SequenceNode {
					sources = sources[0].Content
				}
				for _, source := range sources {
					for _, e := range entries(resolve(source)) {
						if seen[e.key.Value] {
							return true
						}
						seen[e.key.Value] = true
					}
				}
			}
		}
		if len(seen) > 0 {
			for i := 0; i+1 < len(node.Content); i += 2 {
				if !isMerge(node.Content[i]) && seen[resolve(node.Content[i]).Value] {
					return true
				}
			}
		}
	}
	return slices.ContainsFunc(node.Content, overridesMerge)
}

// apply makes the change in decoded values.
func (c change) apply(value any) any {
	if len(c.path) == 0 {
		return c.value
	}
	rest := c
	rest.path = c.path[1:]
	switch key := c.path[0].(type) {
	case int:
		if list, ok := value.([]any); ok && key < len(list) {
			list[key] = rest.apply(list[key])
		}
	case string:
		object, ok := value.(map[string]any)
		if !ok {
			if c.remove {
				return value
			}
			object = map[string]any{}
			value = object
		}
		if len(rest.path) > 0 {
			if _, there := object[key]; there || !c.remove {
				object[key] = rest.apply(object[key])
			}
		} else if c.rename != "" {
			delete(object, key)
			object[c.rename] = map[string]any{c.value: map[string]any{}}
		} else if c.remove {
			delete(object, key)
		} else {
			object[key] = c.value
		}
	}
	return value
}

// spliceEdit replaces the bytes from start to end.
type spliceEdit struct {
	start, end int
	text       string
}

// splicer knows where the lines of a document begin.
type splicer struct {
	body  string
	lines []int // offsets of the lines' first bytes, with one behind the end
	edits []spliceEdit
}

func newSplicer(body string) *splicer {
	if !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	s := &splicer{body: body, lines: []int{0}}
	for i := range len(body) {
		if body[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

func (s *splicer) line(number int) string { // from 1, without the line end
	if number < 1 || number >= len(s.lines) {
		return ""
	}
	return s.body[s.lines[number-1] : s.lines[number]-1]
}

func (s *splicer) offset(node *yaml.Node) (int, bool) {
	if node.Line < 1 || node.Line >= len(s.lines) {
		return 0, false
	}
	offset := s.lines[node.Line-1]
	for range node.Column - 1 {
		if offset >= s.lines[node.Line]-1 {
			return offset, false
		}
		_, size := utf8.DecodeRuneInString(s.body[offset:])
		offset += size
	}
	return offset, true
}

// apply makes the edits and takes blank lines away at both ends.
func (s *splicer) apply() (string, bool) {
	out, ok := s.applyAll()
	return trimBlankLines(out), ok
}

// applyAll makes the edits; false means that they overlap.
func (s *splicer) applyAll() (string, bool) {
	// Something that is put in where something else is taken out comes first.
	slices.SortStableFunc(s.edits, func(a, b spliceEdit) int { return cmp.Or(a.start-b.start, a.end-b.end) })
	var b strings.Builder
	at := 0
	for _, e := range s.edits {
		if e.start < at || e.end < e.start {
			return "", false
		}
		b.WriteString(s.body[at:e.start])
		b.WriteString(e.text)
		at = e.end
	}
	b.WriteString(s.body[at:])
	return b.String(), true
}

// splice makes the changes in the text; false means that it cannot be done that way.
func (d *document) splice(changes []change) (string, bool) {
	// The YAML parser counts these Unicode characters as line ends; the positions it gives are then no use.
	if d.inline || d.root.Style&yaml.FlowStyle != 0 || strings.ContainsAny(d.body, "\u0085\u2028\u2029") {
		return "", false
	}
	s := newSplicer(d.body)
	for _, c := range changes {
		if !s.change(d.root, c) {
			return "", false
		}
	}
	return s.apply()
}

// change plans one change. It follows no aliases and no merge keys: what they bring in is text somewhere
// else.
func (s *splicer) change(root *yaml.Node, c change) bool {
	parent, parentKey := root, (*yaml.Node)(nil)
	for _, step := range c.path[:len(c.path)-1] {
		switch step := step.(type) {
		case int:
			if parent.Kind != yaml.SequenceNode || step >= len(parent.Content) {
				return false
			}
			parent, parentKey = parent.Content[step], nil
		case string:
			i := keyIndex(parent, step)
			if i < 0 {
				return c.remove
			}
			parentKey, parent = parent.Content[i], parent.Content[i+1]
		}
		if parent.Kind == yaml.AliasNode {
			return false
		}
	}
	name, ok := c.path[len(c.path)-1].(string)
	if !ok || parent.Kind != yaml.MappingNode {
		return false
	}
	i := keyIndex(parent, name)
	switch {
	case c.remove && i < 0:
		return true
	case c.remove:
		return s.removeEntry(parent, i)
	case c.rename != "":
		return i >= 0 && s.replaceText(nil, parent.Content[i], c.rename) &&
			s.replaceText(parent.Content[i], parent.Content[i+1], "{"+c.value+": {}}")
	case i >= 0:
		return s.replaceScalar(parent.Content[i], parent.Content[i+1], c.value)
	default:
		return s.insertEntry(parentKey, parent, name, c.value)
	}
}

func keyIndex(mapping *yaml.Node, name string) int {
	if mapping.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Kind == yaml.ScalarNode && mapping.Content[i].Value == name {
			return i
		}
	}
	return -1
}

// plainForm is what can be written without quotes and stays a string.
func plainString(value string) string {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: value}
	simple := value != "" && !strings.ContainsFunc(value, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("-_./+", r))
	}) && !strings.HasPrefix(value, "-")
	if kind, _ := scalar(node); simple && kind == kindString {
		return value
	}
	return strconv.Quote(value)
}

func (s *splicer) replaceScalar(key, value *yaml.Node, text string) bool {
	return s.replaceText(key, value, plainString(text))
}

// replaceText puts a text in the place of a scalar's. The key may be nil when the scalar is not empty.
func (s *splicer) replaceText(key, value *yaml.Node, text string) bool {
	if value.Kind != yaml.ScalarNode || value.Anchor != "" {
		return false
	}
	if value.Value == "" &&
		value.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		// Nothing stands behind the colon.
		if key == nil {
			return false
		}
		at, ok := s.offset(key)
		if !ok {
			return false
		}
		colon := strings.IndexByte(s.line(key.Line)[at-s.lines[key.Line-1]:], ':')
		if colon < 0 {
			return false
		}
		at += colon + 1
		s.edits = append(s.edits, spliceEdit{at, at, " " + text})
		return true
	}
	at, ok := s.offset(value)
	if !ok {
		return false
	}
	old := value.Value
	switch {
	case value.Style&yaml.DoubleQuotedStyle != 0:
		old = `"` + old + `"`
	case value.Style&yaml.SingleQuotedStyle != 0:
		old = "'" + old + "'"
	}
	if !strings.HasPrefix(s.body[at:], old) {
		return false
	}
	s.edits = append(s.edits, spliceEdit{at, at + len(old), text})
	return true
}

// insertEntry adds an entry: after the name in metadata, which is where people write a namespace, else as the
// first of its parent.
func (s *splicer) insertEntry(parentKey, parent *yaml.Node, name, value string) bool {
	if parent.Style&yaml.FlowStyle != 0 {
		at, ok := s.offset(parent)
		if !ok || s.body[at] != '{' {
			return false
		}
		entry := name + ": " + plainString(value)
		if len(parent.Content) > 0 {
			entry += ", "
		}
		s.edits = append(s.edits, spliceEdit{at + 1, at + 1, entry})
		return true
	}
	if parentKey == nil || len(parent.Content) == 0 || parent.Content[0].Line == parentKey.Line {
		return false
	}
	after := parentKey.Line
	if i := keyIndex(parent, "name"); name == "namespace" && i >= 0 {
		after = parent.Content[i+1].Line
	}
	at := s.lines[after]
	s.edits = append(s.edits, spliceEdit{at, at,
		strings.Repeat(" ", parent.Content[0].Column-1) + name + ": " + plainString(value) + "\n"})
	return true
}

// removeEntry takes an entry out with the comment lines directly above it.
func (s *splicer) removeEntry(parent *yaml.Node, i int) bool {
	first, last, ok := s.entryLines(parent, i)
	if !ok {
		return false
	}
	s.edits = append(s.edits, spliceEdit{s.lines[first-1], s.lines[last], ""})
	return true
}

// entryLines gives the first and last line of an entry of a mapping in block style, with the comments
// directly above it.
func (s *splicer) entryLines(parent *yaml.Node, i int) (first, last int, ok bool) {
	key := parent.Content[i]
	if parent.Style&yaml.FlowStyle != 0 ||
		strings.TrimLeft(s.line(key.Line)[:min(key.Column-1, len(s.line(key.Line)))], " ") != "" {
		return 0, 0, false // another entry or a list item begins on the same line
	}
	indent := key.Column - 1
	return s.withComments(key.Line, indent), s.entryEnd(parent, i), true
}

// entryEnd gives the last line of an entry of a mapping in block style.
func (s *splicer) entryEnd(parent *yaml.Node, i int) int {
	key := parent.Content[i]
	end := len(s.lines) - 1
	if i+2 < len(parent.Content) {
		end = parent.Content[i+2].Line - 1
	}
	return s.withDeeper(lastLine(parent.Content[i+1], key.Line), end, key.Column-1)
}

// withDeeper moves a last line on over the lines behind it, up to end, that are indented more than their
// entry.
func (s *splicer) withDeeper(last, end, indent int) int {
	// Deeper lines belong to the value (the rest of a multi-line text, the end of a list), comments among
	// them included.
	for next := last + 1; next <= end; next++ {
		line := s.line(next)
		if strings.TrimSpace(line) == "" {
			continue
		}
		if indentation(line) <= indent {
			break
		}
		last = next
	}
	return last
}

// withComments moves a first line back over the comment lines directly above that have the same indentation.
func (s *splicer) withComments(first, indent int) int {
	for first > 1 {
		above := s.line(first - 1)
		if !strings.HasPrefix(strings.TrimLeft(above, " "), "#") || indentation(above) != indent {
			break
		}
		first--
	}
	return first
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func lastLine(node *yaml.Node, least int) int {
	last := max(least, node.Line)
	if node.Kind == yaml.AliasNode {
		return last
	}
	for _, child := range node.Content {
		last = lastLine(child, last)
	}
	return last
}
