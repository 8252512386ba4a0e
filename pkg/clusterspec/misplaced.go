package clusterspec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

// stray is a key that is not where it should be: there is no such field in its mapping, or it is there
// already. One line that is missing, misspelled or wrongly indented makes strays of many keys and leaves
// required fields missing elsewhere; what is told is the line.
type stray struct {
	mapping    string // path of the mapping that has the key
	key, value *yaml.Node
	first      int // line of the same key before; 0 for a field that does not exist
}

func (s stray) path() string { return joinField(s.mapping, s.key.Value) }

// missing is a required field that is not there.
type missing struct {
	field *field
	at    *yaml.Node // where it is reported
	path  string
}

// checkPlaces reports the strays and the missing fields of an object, each mistake once.
func (r *report) checkPlaces(table *field) {
	strays := append(r.strays, r.object.document.duplicates...)
	slices.SortStableFunc(strays, func(a, b stray) int {
		return cmp.Or(cmp.Compare(a.key.Line, b.key.Line), cmp.Compare(a.key.Column, b.key.Column))
	})
	groups := map[string][]stray{}
	var order []string
	for _, s := range strays[:min(len(strays), maxObjectProblems)] {
		if groups[s.mapping] == nil {
			order = append(order, s.mapping)
		}
		groups[s.mapping] = append(groups[s.mapping], s)
	}
	for _, mapping := range order {
		group := groups[mapping]
		f := table.at(mapping)
		if f != nil && r.spilled(table, group) {
			continue
		}
		for _, s := range group {
			r.reportStray(table, f, s)
		}
	}
	for _, m := range r.missing {
		covered := slices.ContainsFunc(r.meant, func(meant string) bool {
			return within(meant, m.path) || within(m.path, meant)
		})
		if !covered && len(r.problems) < maxObjectProblems {
			r.add(SeverityError, "required", m.at, m.path, "the field is required").Expected =
				m.field.expectation()
		}
	}
}

// at gives the row of a concrete path such as "spec.users[0].name"; nil when there is none.
func (f *field) at(path string) *field {
	for _, part := range pathForm.FindAllStringSubmatch(path, -1) {
		next := f.children[part[0]]
		if strings.HasPrefix(part[0], "[") {
			next = f.item
		}
		if next == nil {
			return nil
		}
		f = next
	}
	return f
}

// valueAt gives the value at a concrete path; nil when there is none, or null.
func (o *Object) valueAt(path string) *yaml.Node {
	node := o.root()
	for _, part := range pathForm.FindAllStringSubmatch(path, -1) {
		if strings.HasPrefix(part[0], "[") && node != nil && node.Kind == yaml.SequenceNode {
			var index int
			if _, err := fmt.Sscanf(part[1], "%d", &index); err != nil || index < 0 ||
				index >= len(node.Content) {
				return nil
			}
			node = resolve(node.Content[index])
			continue
		}
		name := part[0]
		if strings.HasPrefix(name, "[") {
			name = part[1]
		}
		if _, node = lookup(node, name); node == nil {
			return nil
		}
	}
	return node
}

// above gives the paths of a mapping and of the mappings around it, the nearest first; "" is the object
// itself.
func above(path string) []string {
	paths := []string{path}
	for path != "" {
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			cut = 0
		}
		path = path[:cut]
		paths = append(paths, path)
	}
	return paths
}

// spilled finds the object below which all strays of a mapping belong: its line is missing, or stands among
// them too far to the right. It is one that is not there, in the mapping or around it.
func (r *report) spilled(table *field, group []stray) bool {
	mapping := group[0].mapping
	f := table.at(mapping)
	for _, around := range above(mapping) {
		parent := table.at(around)
		if parent == nil || r.object.valueAt(around) == nil ||
			r.object.valueAt(around).Kind != yaml.MappingNode {
			continue
		}
		var fitting []*field
		for _, child := range parent.order {
			path := joinField(around, child.name())
			if r.object.valueAt(path) != nil || child.Foreign {
				continue
			}
			// A map, and what is not looked into, may hold anything: there it counts that the line is there,
			// with nothing below it.
			free := child.Type == "map" || child.Type == "any"
			if key, _ := lookup(r.object.valueAt(around), child.name()); child.Type != "object" &&
				!(free && (key != nil || around != mapping)) {
				continue
			}
			named, below := 0, 0
			for _, s := range group {
				_, has := child.children[s.key.Value]
				switch {
				case s.key.Value == child.name() && kindOf(s.value) == kindNull && around != mapping:
					named++
				case has || free:
					below++
				}
			}
			switch {
			case named+below < len(group) || below == 0:
			case named > 0:
				r.tellSpilled(group, path, true)
				return true
			case free && around != mapping:
			case child.Required || len(group) > 1 ||
				len(table.places(group[0].key.Value)) == 1 && group[0].first == 0:
				fitting = append(fitting, child)
			case around == mapping && group[0].first == 0 &&
				spelling.Nearest(group[0].key.Value, f.childNames()) == "":
				if place, _ := r.placeOf(table, group[0]); place == "" {
					fitting = append(fitting, child)
				}
			}
		}
		if required := slices.DeleteFunc(slices.Clone(fitting),
			func(f *field) bool { return !f.Required }); len(fitting) > 1 && len(required) == 1 {
			fitting = required
		}
		if len(fitting) == 1 {
			if len(group) == len(r.object.valueAt(mapping).Content)/2 && around != mapping {
				r.meant = append(r.meant, mapping) // nothing of it belongs there, so nothing is missing there
			}
			r.tellSpilled(group, joinField(around, fitting[0].name()), false)
			return true
		}
	}
	return false
}

func (r *report) tellSpilled(group []stray, target string, named bool) {
	r.meant = append(r.meant, target)
	if named {
		for _, s := range group {
			if strings.HasSuffix("."+target, "."+s.key.Value) {
				r.add(SeverityError, "unknown-field", s.key, s.path(),
					"the field is in the wrong place, with what belongs below it").Expected = "it at " +
					target
				return
			}
		}
	}
	names := make([]string, 0, len(group))
	for _, s := range group {
		names = append(names, s.key.Value)
	}
	noun := "the field belongs"
	if len(names) > 1 {
		noun = "the fields belong"
	}
	name := target[strings.LastIndexByte(target, '.')+1:]
	state := ", which is missing"
	if parent := r.object.valueAt(above(target)[1]); keyIndex(cmp.Or(parent, &yaml.Node{}), name) >= 0 {
		state = ", which is empty"
	}
	p := r.add(SeverityError, "unknown-field", group[0].key, group[0].path(), noun+" below "+name+state)
	p.Found, p.Expected = strings.Join(names, ", "), target+" with "+strings.Join(names, ", ")+" below it"
}

// reportStray reports one stray: with the place where it is missing, or the name that was probably meant.
func (r *report) reportStray(table, f *field, s stray) {
	place, required := "", false
	if f != nil {
		place, required = r.placeOf(table, s)
	}
	switch {
	case s.first > 0:
		p := r.add(SeverityError, "duplicate-key", s.key, s.path(),
			fmt.Sprintf("the key is already on line %d", s.first))
		p.Found, p.Expected = quote(s.key.Value)+" twice", "each key once"
		r.meant = append(r.meant, s.path())
		if required {
			p.Expected = "one of them at " + place
			r.meant = append(r.meant, place)
		}
		return
	case f == nil:
		return
	}
	p := r.add(SeverityError, "unknown-field", s.key, s.path(), "there is no such field")
	suggestion := spelling.Nearest(s.key.Value, f.childNames())
	if suggestion == "" && place == "" {
		suggestion = r.misspelled(s)
	}
	if suggestion == "" && place == "" && s.path() == "spec.flux" && r.object.Kind == "FluxConfig" {
		p.Expected = "github directly below spec; flux is a GitOpsConfig's"
		r.meant = append(r.meant, "spec.github")
		return
	}
	if suggestion == "" && place == "" &&
		(r.tellForeign(p, f, s) || r.tellOtherName(p, table, s) || r.tellOtherKind(p, table, s)) {
		return
	}
	switch {
	case place != "":
		p.Message, p.Expected = "the field is in the wrong place", "it at "+place
		r.meant = append(r.meant, place)
	case suggestion != "":
		p.Suggestion = suggestion
		r.meant = append(r.meant, joinField(s.mapping, suggestion))
	default:
		p.Expected = placesOf(table, f, s.key.Value)
	}
}

// misspelled finds the required field that a mapping lacks and that a stray looks like; when it is the only
// one that is missing and the stray the only one, and their types fit, it need not look like it.
func (r *report) misspelled(s stray) string {
	best, most := "", 0
	var lacking []missing
	for _, m := range r.missing {
		name := m.field.name()
		if joinField(s.mapping, name) != m.path {
			continue
		}
		lacking = append(lacking, m)
		if distance := spelling.Distance(strings.ToLower(s.key.Value[:min(len(s.key.Value), 64)]),
			strings.ToLower(name)); distance*2 <= len(name) && (best == "" || distance < most) {
			best, most = name, distance
		}
	}
	strays := 0
	for _, other := range r.strays {
		if other.mapping == s.mapping {
			strays++
		}
	}
	if best == "" && strays == 1 && len(lacking) == 1 && lacking[0].field.fits(kindOf(s.value)) {
		return lacking[0].field.name()
	}
	return best
}

// fits says whether a value may be one of the field.
func (f *field) fits(kind valueKind) bool {
	switch f.Type {
	case "object", "map":
		return kind == kindObject
	case "list", "strings":
		return kind == kindList
	case "integer":
		return kind == kindInteger
	case "boolean":
		return kind == kindBoolean
	case "string", "quantity", "duration":
		return kind == kindString
	}
	return false
}

// places gives the paths of all fields with a name.
func (f *field) places(name string) []string {
	var places []string
	f.each(func(other *field) {
		if other.path != "" && other.name() == name && !other.parent.isForeign() {
			places = append(places, other.path)
		}
	})
	return places
}

// placesOf says where the table has a field of a name, or what fields there are.
func placesOf(table, f *field, name string) string {
	places := table.places(name)
	if len(places) > 0 && len(places) <= 3 {
		return name + " at " + strings.Join(places, " or ")
	}
	if names := f.childNames(); len(names) > 0 && len(names) <= 16 {
		return "one of " + strings.Join(names, ", ")
	}
	return ""
}

// placeOf finds the place near a stray where a field of its name is missing: in a mapping around its own, or
// below a neighbour. The second result says whether the field is required there. "" is none, or several.
func (r *report) placeOf(table *field, s stray) (string, bool) {
	name := s.key.Value
	lacks := func(mapping string) (string, bool) {
		row, value := table.at(mapping), r.object.valueAt(mapping)
		if row != nil && row.Type == "map" && value == nil && s.value.Kind == yaml.ScalarNode {
			return joinField(mapping, name), true
		}
		if row == nil || row.children[name] == nil || value != nil && value.Kind != yaml.MappingNode {
			return "", false
		}
		path := joinField(mapping, name)
		return path, r.object.valueAt(path) == nil
	}
	for _, around := range above(s.mapping)[1:] {
		if path, ok := lacks(around); ok && r.object.valueAt(around) != nil {
			return path, table.at(path).Required
		}
	}
	below := func(mapping string) []string {
		var found []string
		row := table.at(mapping)
		value := r.object.valueAt(mapping)
		if row == nil || value == nil {
			return nil
		}
		for _, child := range row.order {
			path := joinField(mapping, child.name())
			if key, _ := lookup(value, child.name()); key == nil {
				continue
			}
			if items := r.object.valueAt(path); items != nil && items.Kind == yaml.SequenceNode &&
				len(items.Content) > 0 {
				path = fmt.Sprintf("%s[%d]", path, len(items.Content)-1)
			}
			if path, ok := lacks(path); ok && path != s.path() {
				found = append(found, path)
			}
		}
		return found
	}
	isRequired := func(path string) bool {
		row := table.at(path)
		return row != nil && row.Required
	}
	for _, mapping := range above(s.mapping)[:min(2, len(above(s.mapping)))] {
		found := below(mapping)
		if needed := slices.DeleteFunc(slices.Clone(found),
			func(path string) bool { return !isRequired(path) }); len(needed) > 0 {
			found = needed
		}
		if len(found) == 1 && (mapping == s.mapping || isRequired(found[0])) {
			return found[0], isRequired(found[0])
		}
	}
	return "", false
}
