package clusterspec

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

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

// reshapeItem plans the edits for one item of a list: in its text, or by writing it anew with the comments
// above it kept.
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
	s.edits = append(s.edits,
		spliceEdit{s.lines[s.dashLine(list, i)-1], s.lines[last], reindentText(text, list.Column-1)})
	return ok
}

// reorderList replaces the text of a list by that of its items in another order, with what changes in them.
// What stands between two items, blank lines, stays where it is.
func (s *splicer) reorderList(list *yaml.Node, want []any, wantKeys, haveKeys []string, f *field,
	from donorList) bool {
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
	if !reflect.DeepEqual(valuesOf(list.Content[i], f.itemRow()), want) &&
		!s.reshapeItem(list, i, want, f, from) {
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

// dashLine gives the line of an item's dash, or 0 when something else begins on it.
func (s *splicer) dashLine(list *yaml.Node, i int) int {
	least := list.Line
	if i > 0 {
		least = lastLine(list.Content[i-1], list.Content[i-1].Line) + 1
	}
	for line := list.Content[i].Line; line >= least; line-- {
		if text := s.line(line); indentation(text) == list.Column-1 &&
			strings.HasPrefix(text[list.Column-1:], "-") {
			return line
		}
	}
	return 0
}

// itemLines gives the first and last line of an item of a list in block style, with the comments directly
// above it.
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
