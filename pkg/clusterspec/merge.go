package clusterspec

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Side says who made an edit.
type Side string

// The sides of a merge. SideBoth is an edit that both made alike.
const (
	SideOurs   Side = "ours"
	SideTheirs Side = "theirs"
	SideBoth   Side = "both"
)

// Position is a place in a file, counted from 1.
type Position struct {
	File   string `json:"file"`   // its name
	Line   int    `json:"line"`   // in the file
	Column int    `json:"column"` // in the line, in characters
}

// MergeEdit is one edit that a merge took over.
type MergeEdit struct {
	Side   Side   `json:"side"`   // who made it
	Object string `json:"object"` // kind and name, "Cluster dev"
	// Field is a path in which items of a list are shown by what tells them apart, such as
	// "spec.workerNodeGroupConfigurations[md-0].count"; none when the whole object was added or removed.
	Field string `json:"field,omitempty"`
	Old   string `json:"old,omitempty"` // the value of the base, JSON for objects and lists; none is absent
	// the value after the merge, JSON for objects and lists; none is absent
	New string `json:"new,omitempty"`
	// Position is where the edit shows on its side; for what is gone, where it would be. For both it is ours.
	Position Position `json:"position"`
}

// Conflict is a field that both sides changed, each in its own way.
type Conflict struct {
	Object string `json:"object"` // kind and name, "Cluster dev"
	// Field is a path in which items of a list are shown by what tells them apart, such as
	// "spec.workerNodeGroupConfigurations[md-0].count"; none when the whole object was added or removed.
	Field    string   `json:"field,omitempty"`
	Base     string   `json:"base,omitempty"`   // the value before both, JSON for objects and lists
	Ours     string   `json:"ours,omitempty"`   // our value, JSON for objects and lists; none is absent
	Theirs   string   `json:"theirs,omitempty"` // their value, JSON for objects and lists; none is absent
	OursAt   Position `json:"oursAt"`           // where our value stands, or would
	TheirsAt Position `json:"theirsAt"`         // where their value stands, or would
}

// Merged is the result of [Merge].
type Merged struct {
	// Data is the merged file, nil when there are conflicts.
	Data []byte
	// Overwriting is the merged file with the value of ours in the place of every conflict. Without conflicts
	// it is Data.
	Overwriting []byte
	// Edits are what changed since the base and from which side it came, conflicts aside, sorted by object
	// and field.
	Edits []MergeEdit
	// Conflicts are sorted by object and field.
	Conflicts []Conflict
}

// Merge puts the edits that two sides made to a common base together: ours is the user's file, theirs what is
// in Git now, base what was written there last from a file of ours.
//
// Values are merged, not lines. Objects are told apart by kind, namespace and name, so another name is
// another object. Maps are merged key by key; lists whose items have a natural key, as worker groups have
// their names, item by item; other lists, and references to other objects, as a whole. What one side changed
// is taken over, as is what both changed alike. What they changed differently is a conflict, and so is what
// one changed and the other took out. Comments and formatting never conflict.
//
// The text is that of theirs with our edits put in: comments, order of keys and quotes of what is in Git
// survive, and what is new brings its comments along. When theirs is the base, byte for byte, the text is
// ours. A document is written anew only where an edit cannot be made in its text, as in JSON style. Lines of
// a text that was changed end with LF.
//
// A base without content says that nothing is known about who changed what: every difference is then a
// conflict.
//
// Merging again with the result as either side changes nothing any more. The error is Problems, for a file
// that cannot be read. Whether the merged file makes sense is for [Parse] to say.
func Merge(base, ours, theirs Source) (*Merged, error) {
	var problems Problems
	read := func(source Source) *versions {
		v, bad := readVersions([]Source{source})
		problems = append(problems, bad...)
		return v
	}
	m := &merger{hasBase: len(base.Data) > 0, base: &versions{}}
	if m.hasBase {
		m.base = read(base)
	}
	m.ours, m.theirs = read(ours), read(theirs)
	if len(problems) > 0 {
		return nil, problems.sorted()
	}
	wanted := m.run()
	merged := &Merged{Edits: m.edits, Conflicts: m.conflicts, Overwriting: ours.Data}
	if !m.hasBase || string(base.Data) != string(theirs.Data) {
		texts, err := rewriteSources([]Source{theirs}, m.theirs, wanted, m.ours)
		if err != nil {
			return nil, err
		}
		merged.Overwriting = texts[0].Data
	}
	if len(m.conflicts) == 0 {
		merged.Data = merged.Overwriting
	}
	return merged, nil
}

// UpdateSources makes the edits that lead from one text to another in files that hold the same objects
// written differently: the user's own files, of which before is the rendering. Everything else in them stays,
// byte for byte, line ends included. It returns the files that change, with their new content, in the order
// given. New objects come after the one that they follow in after. A field that has another value in the
// files than in before gets that of after if the edits touch it, and is left alone if not.
//
// The error is Problems, for a file that cannot be read.
func UpdateSources(sources []Source, before, after Source) ([]Source, error) {
	old, problems := readVersions([]Source{before})
	current, more := readVersions([]Source{after})
	files, again := readVersions(sources)
	if problems = slices.Concat(problems, more, again); len(problems) > 0 {
		return nil, problems.sorted()
	}
	m := &merger{hasBase: true, base: old, ours: current, theirs: files}
	texts, err := rewriteSources(sources, files, m.run(), current)
	if err != nil {
		return nil, err
	}
	var changed []Source
	for i, text := range texts {
		if string(text.Data) != string(sources[i].Data) {
			text.Data = withLineEndsOf(sources[i].Data, text.Data)
			changed = append(changed, text)
		}
	}
	return changed, nil
}

// place is a value on one side, with what shows where it stands.
type place struct {
	value    any
	node     *yaml.Node // nil when the value is absent
	at       *yaml.Node // the value, its key, or the nearest parent that is there
	document *document  // nil when the side does not have the object
}

func (p place) position() Position {
	if p.document == nil {
		return Position{}
	}
	line, column := p.document.position(p.at)
	return Position{File: p.document.file, Line: line, Column: column}
}

func (p place) child(name string) place {
	out := place{at: p.at, document: p.document}
	object, _ := p.value.(map[string]any)
	key, value := lookupKey(p.node, name)
	if key == nil {
		return out
	}
	out.value, out.node, out.at = object[name], value, key
	if value.Kind == yaml.ScalarNode && out.value != nil {
		out.at = value
	}
	return out
}

func (p place) item(i int) place {
	if i < 0 {
		return place{at: p.at, document: p.document}
	}
	list, _ := p.value.([]any)
	return place{value: list[i], node: resolve(p.node.Content[i]), at: p.node.Content[i],
		document: p.document}
}

// merger merges values. In a conflict it goes on with ours.
type merger struct {
	base, ours, theirs *versions
	hasBase            bool
	object             string
	edits              []MergeEdit
	conflicts          []Conflict
}

// wantedObject is an object as it shall be after the merge.
type wantedObject struct {
	id    identity
	table *field
	value any
}

// run merges everything and gives the objects in the order in which they shall stand.
func (m *merger) run() []wantedObject {
	values := map[identity]any{}
	tables := map[identity]*field{}
	for _, side := range []*versions{m.base, m.ours, m.theirs} {
		for _, v := range side.list {
			if _, done := values[v.id]; done {
				continue
			}
			m.object = objectName(v.document.root)
			values[v.id] = m.merge("", v.table, m.base.place(v.id), m.ours.place(v.id), m.theirs.place(v.id))
			tables[v.id] = v.table
		}
	}
	order := interleave(ids(m.theirs), ids(m.ours), func(id identity) bool { return values[id] != nil })
	out := make([]wantedObject, len(order))
	for i, id := range order {
		out[i] = wantedObject{id: id, table: tables[id], value: values[id]}
	}
	slices.SortStableFunc(m.edits, func(a, b MergeEdit) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Field, b.Field))
	})
	slices.SortStableFunc(m.conflicts, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Field, b.Field))
	})
	return out
}

func ids(v *versions) []identity {
	out := make([]identity, len(v.list))
	for i, version := range v.list {
		out[i] = version.id
	}
	return out
}

// interleave gives the wanted elements of two lists in the order of the first, and each that only the second
// has behind the one that it follows there.
func interleave[K comparable](first, second []K, wanted func(K) bool) []K {
	have := make(map[K]bool, len(first))
	for _, k := range first {
		have[k] = true
	}
	var zero K
	follow := map[K][]K{} // new elements by the one before them that the first list has
	var front []K
	anchor, anchored := zero, false
	for _, k := range second {
		switch {
		case have[k]:
			anchor, anchored = k, true
		case !wanted(k):
		case anchored:
			follow[anchor] = append(follow[anchor], k)
		default:
			front = append(front, k)
		}
	}
	out := make([]K, 0, len(first)+len(second))
	out = append(out, front...)
	for _, k := range first {
		if wanted(k) {
			out = append(out, k)
		}
		out = append(out, follow[k]...)
	}
	return out
}

// merge gives the merged value; nil is absent.
func (m *merger) merge(shown string, f *field, base, ours, theirs place) any {
	switch {
	case reflect.DeepEqual(ours.value, theirs.value):
		if m.hasBase {
			m.edited(SideBoth, shown, f, base, ours)
		}
		return theirs.value
	case m.hasBase && reflect.DeepEqual(base.value, ours.value):
		m.edited(SideTheirs, shown, f, base, theirs)
		return theirs.value
	case m.hasBase && reflect.DeepEqual(base.value, theirs.value):
		m.edited(SideOurs, shown, f, base, ours)
		return ours.value
	}
	baseMap, isMap := base.value.(map[string]any)
	oursMap, oursIsMap := ours.value.(map[string]any)
	theirsMap, theirsIsMap := theirs.value.(map[string]any)
	if oursIsMap && theirsIsMap && (isMap || base.value == nil) && !f.isReference() &&
		max(len(baseMap), len(oursMap), len(theirsMap)) <= maxMerged {
		out := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(merged(merged(baseMap, oursMap), theirsMap))) {
			if value := m.merge(joinField(shown, key), f.below(key), base.child(key), ours.child(key),
				theirs.child(key)); value != nil {
				out[key] = value
			}
		}
		return out
	}
	if list, ok := m.mergeList(shown, f, base, ours, theirs); ok {
		return list
	}
	return m.conflict(shown, f, base, ours, theirs)
}

func (m *merger) conflict(shown string, f *field, base, ours, theirs place) any {
	m.conflicts = append(m.conflicts, Conflict{
		Object: m.object, Field: shown, Base: f.shown(base.value), Ours: f.shown(ours.value),
		Theirs: f.shown(theirs.value), OursAt: ours.position(), TheirsAt: theirs.position(),
	})
	return ours.value
}

// mergeList merges lists whose items can be told apart; false means that they cannot, or that the order
// counts and both sides changed which items there are.
func (m *merger) mergeList(shown string, f *field, base, ours, theirs place) (any, bool) {
	baseList, isList := base.value.([]any)
	oursList, oursIsList := ours.value.([]any)
	theirsList, theirsIsList := theirs.value.([]any)
	if !oursIsList || !theirsIsList || !isList && base.value != nil {
		return nil, false
	}
	baseKeys, ok := itemKeys(f, baseList)
	oursKeys, oursOK := itemKeys(f, oursList)
	theirsKeys, theirsOK := itemKeys(f, theirsList)
	if !ok || !oursOK || !theirsOK {
		return nil, false
	}
	if f != nil && f.Ordered && !slices.Equal(oursKeys, theirsKeys) && !slices.Equal(baseKeys, oursKeys) &&
		!slices.Equal(baseKeys, theirsKeys) {
		return nil, false
	}
	items := map[string]any{}
	baseAt, oursAt, theirsAt := indexes(baseKeys), indexes(oursKeys), indexes(theirsKeys)
	for _, key := range appendNew(appendNew(baseKeys, oursKeys), theirsKeys) {
		items[key] = m.merge(shown+"["+key+"]", f.itemRow(), base.item(indexOf(baseAt, key)),
			ours.item(indexOf(oursAt, key)), theirs.item(indexOf(theirsAt, key)))
	}
	// Who changed the order decides it.
	leader, other := theirsKeys, oursKeys
	common := func(keys []string) []string {
		return slices.DeleteFunc(slices.Clone(keys), func(k string) bool {
			return m.hasBase && indexOf(baseAt, k) < 0 || indexOf(oursAt, k) < 0 || indexOf(theirsAt, k) < 0
		})
	}
	switch order := common(oursKeys); {
	case slices.Equal(order, common(theirsKeys)):
		m.moved(SideBoth, shown, common(baseKeys), order, ours)
	case m.hasBase && slices.Equal(order, common(baseKeys)):
		m.moved(SideTheirs, shown, order, common(theirsKeys), theirs)
	case m.hasBase && slices.Equal(common(theirsKeys), common(baseKeys)):
		m.moved(SideOurs, shown, common(baseKeys), order, ours)
		leader, other = oursKeys, theirsKeys
	default:
		m.conflict(shown, f, base, ours, theirs)
		leader, other = oursKeys, theirsKeys
	}
	out := []any{}
	for _, key := range interleave(leader, other, func(k string) bool { return items[k] != nil }) {
		out = append(out, items[key])
	}
	return out, true
}

// edited records what one side changed, field by field.
func (m *merger) edited(side Side, shown string, f *field, from, to place) {
	if reflect.DeepEqual(from.value, to.value) {
		return
	}
	fromMap, fromIsMap := from.value.(map[string]any)
	toMap, toIsMap := to.value.(map[string]any)
	if fromIsMap && toIsMap && !f.isReference() {
		for _, key := range slices.Sorted(maps.Keys(merged(fromMap, toMap))) {
			m.edited(side, joinField(shown, key), f.below(key), from.child(key), to.child(key))
		}
		return
	}
	if m.editedItems(side, shown, f, from, to) {
		return
	}
	edit := MergeEdit{Side: side, Object: m.object, Field: shown, Old: f.shown(from.value),
		New: f.shown(to.value), Position: to.position()}
	if shown == "" {
		edit.Old, edit.New = "", ""
	}
	m.edits = append(m.edits, edit)
}

// editedItems records what changed in a list, item by item; false means that its items cannot be told apart.
func (m *merger) editedItems(side Side, shown string, f *field, from, to place) bool {
	fromList, fromIsList := from.value.([]any)
	toList, toIsList := to.value.([]any)
	fromKeys, ok := itemKeys(f, fromList)
	toKeys, toOK := itemKeys(f, toList)
	if !fromIsList || !toIsList || !ok || !toOK {
		return false
	}
	fromAt, toAt := indexes(fromKeys), indexes(toKeys)
	for _, key := range appendNew(fromKeys[:len(fromKeys):len(fromKeys)], toKeys) {
		m.edited(side, shown+"["+key+"]", f.itemRow(), from.item(indexOf(fromAt, key)),
			to.item(indexOf(toAt, key)))
	}
	m.moved(side, shown, fromKeys, toKeys, to)
	return true
}

// moved records that items which were there before and after are in another order.
func (m *merger) moved(side Side, shown string, from, to []string, at place) {
	fromAt, toAt := indexes(from), indexes(to)
	before := slices.DeleteFunc(slices.Clone(from), func(k string) bool { return indexOf(toAt, k) < 0 })
	after := slices.DeleteFunc(slices.Clone(to), func(k string) bool { return indexOf(fromAt, k) < 0 })
	if !slices.Equal(before, after) {
		order := func(keys []string) string { return "in the order " + strings.Join(keys, ", ") }
		m.edits = append(m.edits, MergeEdit{
			Side: side, Object: m.object, Field: shown, Old: order(before), New: order(after),
			Position: at.position(),
		})
	}
}

func indexes(keys []string) map[string]int {
	out := make(map[string]int, len(keys))
	for i, key := range keys {
		out[key] = i
	}
	return out
}

// indexOf is -1 for what is not there.
func indexOf(indexes map[string]int, key string) int {
	if i, ok := indexes[key]; ok {
		return i
	}
	return -1
}
