package clusterspec

import (
	"fmt"
	"reflect"
	"strings"
)

// rewriteSources gives the sources with the wanted objects in them instead of those that are there. What need
// not change stays as it is, byte for byte; sources without a change are returned as they are.
func rewriteSources(sources []Source, have *versions, wanted []wantedObject,
	from *versions) ([]Source, error) {
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
	return nil, fmt.Errorf("writing the merged objects of %s: the text could not be made to hold them",
		p.source.Name)
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
		if above, marked := marker(s.line(first-1), "---"); marked && !v.document.inline &&
			strings.TrimSpace(above) == "" {
			first--
		} else if first == 1 && s.line(end+1) == "---" {
			end++
		}
		s.edits = append(s.edits, spliceEdit{s.lines[first-1], s.lines[end], ""})
	}
	return s.applyAll()
}

// documentLines gives the first and last line of a document in its file, without its marker, unless it begins
// on the marker's line.
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
			b.WriteString(v.document.lead +
				trimBlankLines(v.document.reshape(w.value, w.table, p.donorOf(w.id))) + v.document.tail)
		}
	}
	return b.String()
}
