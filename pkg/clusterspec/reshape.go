package clusterspec

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
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

// reshape gives the text of a document that holds the value want instead of its own: spliced where that can be done, else written
// anew, comments kept as far as the YAML library keeps them. Leading and trailing comments of other documents are not in it.
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
	if first, _, _ := strings.Cut(b.String(), "\n"); first == "" || strings.Contains(encoded, strings.TrimSpace(first)) {
		return ""
	}
	return b.String()
}

// holdsValue says whether a text is one document that every reader understands as the given value.
func holdsValue(content string, want any, f *field) bool {
	check := &document{body: content, firstLine: 1}
	return len(split(content)) == 1 && check.parse(trialLimits()) == nil && check.root != nil && len(check.valueProblems()) == 0 && len(check.duplicates) == 0 &&
		!overridesMerge(check.root) && reflect.DeepEqual(valuesOf(check.root, f), want)
}

// reshapeMapping plans the edits that give a mapping in block style other values; false means that they cannot be made in its text.
// What an entry cannot be spliced into is written anew, entry by entry.
func (s *splicer) reshapeMapping(node *yaml.Node, want map[string]any, f *field, from donor) bool {
	if node.Kind != yaml.MappingNode || slices.ContainsFunc(node.Content, isMerge) || max(len(node.Content)/2, len(want)) > maxMerged {
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
	case before.Style&yaml.SingleQuotedStyle != 0 && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
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
	if key.LineComment != "" || value.LineComment != "" || value.HeadComment != "" || value.FootComment != "" {
		return true
	}
	for _, child := range value.Content {
		if hasComment(child, child) {
			return true
		}
	}
	return false
}

// insertEntries adds the entries that a mapping does not have, each behind the one that it follows in the donor.
func (s *splicer) insertEntries(node *yaml.Node, there map[string]bool, want map[string]any, f *field, from donor) bool {
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
			if text, ok = entryText(key, newNode(want[name], f.below(name), nil), want[name], f.below(name)); !ok {
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
		s.edits = append(s.edits, spliceEdit{position, position, reindentText(text, node.Content[0].Column-1)})
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

// reshapeList plans the edits for a list whose items can be told apart.
func (s *splicer) reshapeList(node *yaml.Node, want []any, f *field, from donor) bool {
	if node.Kind != yaml.SequenceNode {
		return false
	}
	flow := node.Style&yaml.FlowStyle != 0
	have, _ := valuesOf(node, f).([]any)
	haveKeys, ok := itemKeys(f, have)
	wantKeys, wantOK := itemKeys(f, want)
	if !ok || !wantOK || len(have) == 0 || len(want) == 0 {
		return false
	}
	haveAt, wantAt, source := indexes(haveKeys), indexes(wantKeys), from.list(f)
	kept := func(keys []string, in map[string]int) []string {
		return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return indexOf(in, k) < 0 })
	}
	if !slices.Equal(kept(haveKeys, wantAt), kept(wantKeys, haveAt)) {
		return !flow && s.reorderList(node, want, wantKeys, haveKeys, f, source)
	}
	for i, key := range haveKeys {
		at := indexOf(wantAt, key)
		switch {
		case at >= 0 && reflect.DeepEqual(have[i], want[at]):
		case at >= 0:
			if !s.reshapeItem(node, i, want[at], f, source.item(key)) {
				return false
			}
		default:
			first, last, ok := s.itemLines(node, i)
			if !ok {
				return false
			}
			s.edits = append(s.edits, spliceEdit{s.lines[first-1], s.lines[last], ""})
		}
	}
	for i, key := range wantKeys {
		if indexOf(haveAt, key) >= 0 {
			continue
		}
		text, ok := source.newItem(key, want[i], f)
		if !ok || flow {
			return false
		}
		// It comes behind its predecessor, or, as the first, before the first that is there.
		neighbour := 0
		for _, before := range slices.Backward(wantKeys[:i]) {
			if neighbour = indexOf(haveAt, before) + 1; neighbour > 0 {
				break
			}
		}
		first, last, ok := s.itemLines(node, max(neighbour-1, 0))
		if !ok {
			return false
		}
		position := s.lines[last]
		if neighbour == 0 {
			position = s.lines[first-1]
		}
		s.edits = append(s.edits, spliceEdit{position, position, reindentText(text, node.Column-1)})
	}
	return true
}

// reshapeItem plans the edits for one item of a list: in its text, or by writing it anew with the comments above it kept.
func (s *splicer) reshapeItem(list *yaml.Node, i int, want any, f *field, from donor) bool {
	item := list.Content[i]
	mark := len(s.edits)
	if s.reshapeValue(nil, item, want, f.itemRow(), from) {
		return true
	}
	s.edits = s.edits[:mark]
	_, last, ok := s.itemLines(list, i)
	if !ok {
		return false
	}
	shaped := reshapeNode(item, want, f.itemRow(), from.node)
	shaped.HeadComment, shaped.FootComment = "", ""
	text, ok := itemText(shaped, want, f.itemRow())
	s.edits = append(s.edits, spliceEdit{s.lines[s.dashLine(list, i)-1], s.lines[last], reindentText(text, list.Column-1)})
	return ok
}

// reorderList replaces the text of a list by that of its items in another order, with what changes in them. What stands between two
// items, blank lines, stays where it is.
func (s *splicer) reorderList(list *yaml.Node, want []any, wantKeys, haveKeys []string, f *field, from donorList) bool {
	var b strings.Builder
	var gaps []string
	start, end := 0, 0
	for i := range haveKeys {
		first, last, ok := s.itemLines(list, i)
		if !ok {
			return false
		}
		if i == 0 {
			start = s.lines[first-1]
		} else {
			gaps = append(gaps, s.body[end:s.lines[first-1]])
		}
		end = s.lines[last]
	}
	haveAt := indexes(haveKeys)
	for at, key := range wantKeys {
		if i := indexOf(haveAt, key); i >= 0 {
			text, ok := s.itemAfter(list, i, want[at], f, from.item(key))
			if !ok {
				return false
			}
			b.WriteString(text)
		} else {
			text, ok := from.newItem(key, want[at], f)
			if !ok {
				return false
			}
			b.WriteString(reindentText(text, list.Column-1))
		}
		if at < len(gaps) {
			b.WriteString(gaps[at])
		}
	}
	s.edits = append(s.edits, spliceEdit{start, end, b.String()})
	return true
}

// itemAfter gives the text of an item, comments above it included, as it is after its edits.
func (s *splicer) itemAfter(list *yaml.Node, i int, want any, f *field, from donor) (string, bool) {
	first, last, _ := s.itemLines(list, i)
	mark := len(s.edits)
	defer func() { s.edits = s.edits[:mark] }()
	if !reflect.DeepEqual(valuesOf(list.Content[i], f.itemRow()), want) && !s.reshapeItem(list, i, want, f, from) {
		return "", false
	}
	start, end := s.lines[first-1], s.lines[last]
	part := &splicer{body: s.body[start:end]}
	for _, e := range s.edits[mark:] {
		if e.start < start || e.end > end {
			return "", false
		}
		part.edits = append(part.edits, spliceEdit{e.start - start, e.end - start, e.text})
	}
	return part.applyAll()
}

// newItem gives the text of a new item, without indentation.
func (d donorList) newItem(key string, want any, f *field) (string, bool) {
	if text, ok := d.itemText(key, want, f); ok {
		return text, true
	}
	return itemText(newNode(want, f.itemRow(), nil), want, f.itemRow())
}

// dashLine gives the line of an item's dash, or 0 when something else begins on it.
func (s *splicer) dashLine(list *yaml.Node, i int) int {
	least := list.Line
	if i > 0 {
		least = lastLine(list.Content[i-1], list.Content[i-1].Line) + 1
	}
	for line := list.Content[i].Line; line >= least; line-- {
		if text := s.line(line); indentation(text) == list.Column-1 && strings.HasPrefix(text[list.Column-1:], "-") {
			return line
		}
	}
	return 0
}

// itemLines gives the first and last line of an item of a list in block style, with the comments directly above it.
func (s *splicer) itemLines(list *yaml.Node, i int) (first, last int, ok bool) {
	dash := s.dashLine(list, i)
	if dash == 0 || list.Style&yaml.FlowStyle != 0 {
		return 0, 0, false
	}
	end := len(s.lines) - 1
	if i+1 < len(list.Content) {
		if end = s.dashLine(list, i+1) - 1; end < 0 {
			return 0, 0, false
		}
	}
	indent := list.Column - 1
	return s.withComments(dash, indent), s.withDeeper(lastLine(list.Content[i], dash), end, indent), true
}

// entryText takes the text of an entry, without indentation, out of the donor, with the comments above it when they are wanted. It is
// nothing when the donor has another value, or one that refers to other places.
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
	return node.Kind == yaml.AliasNode || node.Anchor != "" || node.Style&yaml.TaggedStyle != 0 || slices.ContainsFunc(node.Content, refersElsewhere)
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

// entryText writes an entry in block style, and strings in a form that is understood the same way by all if the usual one is not.
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
	if strings.TrimSpace(text) == "" || check.parse(trialLimits()) != nil || check.root == nil || len(entries(check.root)) != 1 {
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
		order := interleave(donor{node: node}.keyOrder(), source.keyOrder(), func(name string) bool { return want[name] != nil })
		for _, name := range appendNew(order, tableOrder(f, want)) {
			if have := there[name]; have != nil {
				out.Content = append(out.Content, standalone(have.key), reshapeNode(have.value, want[name], f.below(name), source.below(name).node))
			} else {
				out.Content = append(out.Content, newScalar(name), newNode(want[name], f.below(name), source.below(name).node))
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
				out.Content = append(out.Content, reshapeNode(node.Content[at], want[i], f.itemRow(), items.item(key).node))
			} else {
				out.Content = append(out.Content, newNode(want[i], f.itemRow(), items.item(key).node))
			}
		}
		return &out
	}
	shaped := newNode(want, f, from)
	if node.Kind == yaml.ScalarNode && shaped.Kind == yaml.ScalarNode {
		if _, isString := want.(string); isString && node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			shaped.Style = node.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle)
		}
	}
	for _, comment := range []struct{ to, from *string }{
		{&shaped.HeadComment, &node.HeadComment}, {&shaped.LineComment, &node.LineComment}, {&shaped.FootComment, &node.FootComment},
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
			out.Content = append(out.Content, newScalar(name), newNode(want[name], f.below(name), donor{node: from}.below(name).node))
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

// rewriteSources gives the sources with the wanted objects in them instead of those that are there. What need not change stays as it
// is, byte for byte; sources without a change are returned as they are.
func rewriteSources(sources []Source, have *versions, wanted []wantedObject, from *versions) ([]Source, error) {
	byID := map[identity]wantedObject{}
	home := make([][]wantedObject, len(sources)) // the objects that each source shall hold, in order
	at := 0
	for _, w := range wanted {
		byID[w.id] = w
		if v, ok := have.byID[w.id]; ok {
			at = v.source
		}
		home[at] = append(home[at], w)
	}
	out := make([]Source, len(sources))
	for i, source := range sources {
		out[i] = source
		p := patcher{source: source, index: i, have: have, from: from, wanted: home[i], byID: byID}
		data, err := p.run()
		if err != nil {
			return nil, err
		}
		out[i].Data = data
	}
	return out, nil
}

// patcher changes one source.
type patcher struct {
	source     Source
	index      int
	have, from *versions
	wanted     []wantedObject
	byID       map[identity]wantedObject
}

func (p *patcher) run() ([]byte, error) {
	changed := 0
	for _, w := range p.wanted {
		if v, ok := p.have.byID[w.id]; !ok || !reflect.DeepEqual(v.value, w.value) {
			changed++
		}
	}
	for _, v := range p.have.list {
		if _, stays := p.byID[v.id]; v.source == p.index && !stays {
			changed++
		}
	}
	if changed == 0 {
		return p.source.Data, nil
	}
	if text, ok := p.inPlace(); ok && p.holds(text) {
		return []byte(text), nil
	}
	if text := p.anew(); p.holds(text) {
		return []byte(text), nil
	}
	return nil, fmt.Errorf("writing the merged objects of %s: the text could not be made to hold them", p.source.Name)
}

// holds says whether a text has exactly the wanted objects, in any order.
func (p *patcher) holds(text string) bool {
	if len(p.wanted) == 0 {
		return onlyComments(strings.ReplaceAll(text, "---", ""))
	}
	found, problems := readVersions([]Source{{Name: p.source.Name, Data: []byte(text)}})
	if len(problems) > 0 || len(found.list) != len(p.wanted) {
		return false
	}
	for _, w := range p.wanted {
		if v, ok := found.byID[w.id]; !ok || !reflect.DeepEqual(v.value, w.value) {
			return false
		}
	}
	return true
}

func (p *patcher) donorOf(id identity) donor {
	if v, ok := p.from.byID[id]; ok {
		return v.document.donor()
	}
	return donor{}
}

// inPlace changes the documents where they stand.
func (p *patcher) inPlace() (string, bool) {
	content, bad := normalize(p.source)
	if bad != nil {
		return "", false
	}
	s := newSplicer(content)
	start := 0 // where the next new object goes when none is before it
	for i, w := range p.wanted {
		v, there := p.have.byID[w.id]
		if there {
			first, end, ok := s.documentLines(v.document)
			if !ok {
				return "", false
			}
			start = s.lines[end]
			if reflect.DeepEqual(v.value, w.value) {
				continue
			}
			text := v.document.reshape(w.value, w.table, p.donorOf(w.id))
			if v.document.inline {
				text = "---\n" + text
			}
			s.edits = append(s.edits, spliceEdit{s.lines[first-1], s.lines[end], text})
			continue
		}
		text := p.newDocument(w)
		if i == 0 || start == 0 {
			if first, _, _ := strings.Cut(content, "\n"); !strings.HasPrefix(first, "---") {
				text += "---\n"
			} else {
				text = "---\n" + text
			}
		} else {
			text = "---\n" + text
		}
		s.edits = append(s.edits, spliceEdit{start, start, text})
	}
	for _, v := range p.have.list {
		if _, stays := p.byID[v.id]; v.source != p.index || stays {
			continue
		}
		first, end, ok := s.documentLines(v.document)
		if !ok {
			return "", false
		}
		if above, marked := marker(s.line(first-1), "---"); marked && !v.document.inline && strings.TrimSpace(above) == "" {
			first--
		} else if first == 1 && s.line(end+1) == "---" {
			end++
		}
		s.edits = append(s.edits, spliceEdit{s.lines[first-1], s.lines[end], ""})
	}
	return s.applyAll()
}

// documentLines gives the first and last line of a document in its file, without its marker, unless it begins on the marker's line.
func (s *splicer) documentLines(d *document) (first, end int, ok bool) {
	end = d.firstLine + strings.Count(strings.TrimSuffix(d.body, "\n"), "\n")
	return d.firstLine, end, end < len(s.lines)
}

func (p *patcher) newDocument(w wantedObject) string {
	v, ok := p.from.byID[w.id]
	if !ok {
		plain, _ := encodeYAML(w.value)
		return plain
	}
	text := trimBlankLines(v.document.body)
	if !v.document.spliceable() || !reflect.DeepEqual(v.value, w.value) {
		text = v.document.reshape(w.value, w.table, donor{})
	}
	return v.document.lead + text + v.document.tail
}

// anew writes all documents one after the other.
func (p *patcher) anew() string {
	var b strings.Builder
	for _, w := range p.wanted {
		if b.Len() > 0 {
			b.WriteString("---\n")
		}
		v, there := p.have.byID[w.id]
		switch {
		case !there:
			b.WriteString(p.newDocument(w))
		case reflect.DeepEqual(v.value, w.value) && v.document.spliceable():
			b.WriteString(v.document.lead + trimBlankLines(v.document.body) + v.document.tail)
		default:
			b.WriteString(v.document.lead + trimBlankLines(v.document.reshape(w.value, w.table, p.donorOf(w.id))) + v.document.tail)
		}
	}
	return b.String()
}
