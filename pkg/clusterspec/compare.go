package clusterspec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	display "github.com/eksa-gitops/eksa-gitops/internal/text"
)

// Change is one difference between two states of an object, and what EKS Anywhere makes of it.
type Change struct {
	Cluster string `json:"cluster,omitempty"` // the cluster that the object belongs to; not all do
	Role    Role   `json:"role,omitempty"`    // that cluster's role
	Object  string `json:"object"`            // kind and name, "Cluster dev"
	// Field is a path in which items of a list are shown by what tells them apart, such as
	// "spec.workerNodeGroupConfigurations[md-0].count"; none when the whole object was added or removed.
	Field   string  `json:"field,omitempty"`
	Old     string  `json:"old,omitempty"`     // the value before, JSON for objects and lists; none is absent
	New     string  `json:"new,omitempty"`     // the value after, JSON for objects and lists; none is absent
	Verdict Verdict `json:"verdict"`           // what the webhooks and the controller do
	Message string  `json:"message,omitempty"` // what they answer to a rejected change, or a remark
	// Documented is whether the user documentation lists the field, for the role, as changed through Git or
	// in an upgrade.
	Documented bool   `json:"documented"`
	File       string `json:"file,omitempty"`   // where the change shows, or what is gone was
	Line       int    `json:"line,omitempty"`   // in the file, from 1
	Column     int    `json:"column,omitempty"` // in the line, from 1, in characters
}

const (
	immutable       = "field is immutable"
	configImmutable = "config is immutable"
	sameMeaning     = "it means the same as before"
)

// String gives the change in one line: object, field, values and what EKS Anywhere does with it. Long values
// are shortened.
func (c Change) String() string {
	var b strings.Builder
	b.WriteString(c.Object)
	if c.Field != "" {
		before, after := briefly(c.Old), briefly(c.New)
		if before == after {
			before, after = display.Apart(oneLine(c.Old), oneLine(c.New), mostShown)
		}
		fmt.Fprintf(&b, ": %s: %s → %s", c.Field, before, after)
	}
	b.WriteString(": " + string(c.Verdict))
	if c.Message != "" {
		b.WriteString(": " + c.Message)
	}
	return b.String()
}

// briefly shows a value in a line of text.
func briefly(value string) string {
	if value == "" {
		return "(none)"
	}
	value = oneLine(value)
	if runes := []rune(value); len(runes) > mostShown {
		return string(runes[:mostShown]) + "…"
	}
	return value
}

// mostShown is how many characters of a value are shown in a line of text.
const mostShown = 80

func oneLine(value string) string {
	return strings.ToValidUTF8(strings.Join(strings.Fields(value), " "), "?")
}

// WithVerdict gives those of some changes that have a verdict, in their order.
func WithVerdict(changes []Change, verdict Verdict) []Change {
	var out []Change
	for _, c := range changes {
		if c.Verdict == verdict {
			out = append(out, c)
		}
	}
	return out
}

// CompareSets says what changed from one set to the other, object by object and field by field, and what EKS
// Anywhere does with each change. Values are compared, not texts; comments and the order of keys make no
// difference. An object that is in another namespace is one object with a change of metadata.namespace. The
// result is sorted by cluster, object and field. The sets may hold errors.
func CompareSets(before, after *Set) []Change {
	old, current := index(before), index(after)
	pairMoved(old, current)
	var changes []Change
	for key, o := range old {
		if _, there := current[key]; !there {
			changes = append(changes, o.wholeChange(true))
		}
	}
	for key, n := range current {
		o, there := old[key]
		if !there {
			changes = append(changes, n.wholeChange(false))
			continue
		}
		changes = append(changes, comparison{old: o, new: n}.run()...)
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Field, b.Field))
	})
	return changes
}

// owned is an object with the cluster it belongs to.
type owned struct {
	object  *Object
	cluster *Cluster
}

func index(set *Set) map[string]owned {
	out := map[string]owned{}
	if set == nil {
		return out
	}
	key := func(o *Object) string { return o.Kind + "/" + o.Namespace + "/" + o.Name }
	for _, o := range set.Unused {
		out[key(o)] = owned{object: o}
	}
	for _, c := range set.Clusters {
		for _, o := range c.Objects {
			out[key(o)] = owned{object: o, cluster: c}
		}
	}
	return out
}

// pairMoved gives an object the key that it had when all that is left of it is in one other namespace.
func pairMoved(old, current map[string]owned) {
	type name struct{ kind, name string }
	left := func(objects, others map[string]owned) map[name][]string {
		out := map[name][]string{}
		for key, o := range objects {
			if _, there := others[key]; !there {
				n := name{o.object.Kind, o.object.Name}
				out[n] = append(out[n], key)
			}
		}
		return out
	}
	came := left(current, old)
	for n, gone := range left(old, current) {
		if to := came[n]; len(gone) == 1 && len(to) == 1 {
			current[gone[0]] = current[to[0]]
			delete(current, to[0])
		}
	}
}

func (o owned) role() Role {
	if o.cluster == nil {
		return ""
	}
	return o.cluster.Role()
}

func (o owned) change(field string) Change {
	line, column := o.object.Position(field)
	c := Change{Object: o.object.Label(), Field: field, Role: o.role(), File: o.object.File, Line: line,
		Column: column, Verdict: VerdictApplied}
	if o.cluster != nil {
		c.Cluster = o.cluster.Name
	}
	return c
}

// wholeChange is an object that came or went.
func (o owned) wholeChange(removed bool) Change {
	c := o.change("")
	what := "created"
	if removed {
		what = "deleted"
	}
	c.Message = "the object is " + what
	switch {
	case o.cluster == nil:
		c.Verdict, c.Message = VerdictIgnored, "no Cluster refers to the object"
	case o.object.Kind != "Cluster":
	default:
		c.Message = "the cluster is " + what + " with all its machines"
		c.Documented = true
		o.guarded(&c, removed)
	}
	return c
}

// guarded applies what EKS Anywhere's webhook and controller hold against creating and deleting a Cluster. An
// annotation of the command line tool or a pause lifts some of it.
func (o owned) guarded(c *Change, removed bool) {
	annotated := func(name string) bool {
		return text(o.object.root(), "metadata", "annotations", "anywhere.eks.amazonaws.com/"+name) == "true"
	}
	_, encryption := lookup(o.object.root(), "spec", "etcdEncryption")
	refuse := func(message string) { c.Verdict, c.Message, c.Documented = VerdictRejected, message, false }
	switch management := o.role() == RoleManagement; {
	case removed && management && !annotated("managed-by-cli"):
		refuse("deleting a management cluster's own Cluster is refused")
	case removed && annotated("paused") && !annotated("allow-delete-when-paused"):
		c.Verdict, c.Message = VerdictIgnored, "EKS Anywhere does not delete a paused cluster unless it is "+
			"annotated with anywhere.eks.amazonaws.com/allow-delete-when-paused"
	case !removed && management && !annotated("managed-by-cli") && !annotated("paused"):
		refuse("creating a self-managed cluster on existing management cluster is not supported")
	case !removed && encryption != nil:
		refuse("etcdEncryption is not supported during cluster creation")
	}
}

// comparison compares two states of one object.
type comparison struct {
	old, new owned
	changes  []Change
}

func (c comparison) run() []Change {
	table := fields().kinds[c.new.object.Kind]
	before, _ := valuesOf(c.old.object.root(), table).(map[string]any)
	after, _ := valuesOf(c.new.object.root(), table).(map[string]any)
	for _, object := range []map[string]any{before, after} {
		delete(object, "status")
		if metadata, ok := object["metadata"].(map[string]any); ok &&
			(metadata["namespace"] == nil || metadata["namespace"] == "") {
			metadata["namespace"] = "default"
		}
	}
	if c.new.object.Kind == "Cluster" {
		defaultWorkers(before, after)
	}
	c.diff("", "", table, before, after)
	c.judgeStored(table, before, after)
	return c.changes
}

// defaultWorkers puts in what EKS Anywhere takes for a worker group's missing name and count, so that saying
// it is no change.
func defaultWorkers(before, after map[string]any) {
	old, current := workerGroups(before), workerGroups(after)
	for name, group := range old {
		if other, there := current[name]; there && (group["count"] == nil) != (other["count"] == nil) {
			for _, either := range []map[string]any{group, other} {
				if either["count"] == nil {
					scaling, _ := either["autoscalingConfiguration"].(map[string]any)
					if either["count"] = scaling["minCount"]; either["count"] == nil {
						either["count"] = int64(1)
					}
				}
			}
		}
	}
}

// workerGroups gives the worker groups of a Cluster by name, after it has given the first its default.
func workerGroups(object map[string]any) map[string]map[string]any {
	groups := map[string]map[string]any{}
	spec, _ := object["spec"].(map[string]any)
	list, _ := spec["workerNodeGroupConfigurations"].([]any)
	for i, item := range list {
		group, ok := item.(map[string]any)
		if !ok {
			continue
		}
		name, _ := group["name"].(string)
		if i == 0 && name == "" {
			name = "md-0"
			group["name"] = name
		}
		groups[name] = group
	}
	return groups
}

// diff compares two values. path is for the table and for positions, shown for people.
func (c *comparison) diff(path, shown string, f *field, before, after any) {
	if reflect.DeepEqual(before, after) {
		return
	}
	oldMap, oldIsMap := before.(map[string]any)
	newMap, newIsMap := after.(map[string]any)
	oldList, oldIsList := before.([]any)
	newList, newIsList := after.([]any)
	if path == "metadata.annotations" || path == "metadata.labels" {
		// Each stands for itself, be it the first or the last.
		oldIsMap, newIsMap = oldIsMap || before == nil, newIsMap || after == nil
	}
	switch {
	case path == "spec.identityProviderRefs":
	case oldIsMap && newIsMap:
		for _, key := range slices.Sorted(maps.Keys(merged(oldMap, newMap))) {
			var child *field
			if f != nil {
				child = f.children[key]
			}
			c.diff(joinField(path, key), joinField(shown, key), child, oldMap[key], newMap[key])
		}
		return
	case oldIsList && newIsList && c.diffItems(path, shown, f, oldList, newList):
		return
	}
	c.record(path, shown, f, before, after)
}

func merged(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, b)
	return out
}

// diffItems compares two lists item by item; false means that their items cannot be told apart.
func (c *comparison) diffItems(path, shown string, f *field, before, after []any) bool {
	oldKeys, newKeys, ok := keysOfBoth(f, before, after)
	if !ok {
		return false
	}
	oldAt, newAt := indexes(oldKeys), indexes(newKeys)
	item := func(list []any, at int) any {
		if at < 0 {
			return nil
		}
		return list[at]
	}
	for _, key := range slices.Sorted(maps.Keys(indexes(slices.Concat(oldKeys, newKeys)))) {
		was, is := indexOf(oldAt, key), indexOf(newAt, key)
		position := is
		if is < 0 {
			position = was
		}
		c.diff(fmt.Sprintf("%s[%d]", path, position), fmt.Sprintf("%s[%s]", shown, key), f.itemRow(),
			item(before, was), item(after, is))
	}
	// Where the first one is special or all are steps, their order is a value, too.
	if f != nil && f.Ordered || c.new.object.Kind == "TinkerbellMachineConfig" && path == "spec.users" {
		kept := func(keys []string, in map[string]int) (out []any) {
			for _, key := range keys {
				if indexOf(in, key) >= 0 {
					out = append(out, key)
				}
			}
			return out
		}
		if was, is := kept(oldKeys, newAt), kept(newKeys, oldAt); !reflect.DeepEqual(was, is) {
			c.record(path, shown, f, was, is)
		}
	}
	return true
}

// keysOfBoth gives what tells the items of two lists apart: the keys of the table or, since a change is shown
// best at the item that it belongs to, their names.
func keysOfBoth(f *field, before, after []any) (old, current []string, ok bool) {
	for _, by := range []*field{f, nil} {
		var oldOK, newOK bool
		old, oldOK = itemKeys(by, before)
		if current, newOK = itemKeys(by, after); oldOK && newOK {
			return old, current, true
		}
	}
	return nil, nil, false
}

func (c *comparison) record(path, shown string, f *field, before, after any) {
	at := c.new
	if after == nil {
		at = c.old
	}
	change := at.change(path)
	change.Role, change.Field = c.new.role(), shown
	change.Old, change.New = f.shown(before), f.shown(after)
	if f == nil && path != "" && !strings.HasPrefix(path, "metadata.") {
		f = c.nearestField(path)
	}
	// The webhooks go by the role the stored object has.
	role := cmp.Or(c.old.role(), c.new.role())
	change.Verdict, change.Message = tableVerdict(f, role)
	change.Documented = (documented(f, role) || c.newWorkers(path, before)) &&
		c.documentedHere(path, before, after)
	c.acting(&change, path, before, after)
	c.special(&change, path, before, after)
	if change.Verdict == VerdictRejected && c.means(path, f, before, after) {
		change.Verdict, change.Message = VerdictApplied, sameMeaning
	}
	if change.Verdict == VerdictRejected && c.paused() && !versionRule(path, change.Message) {
		change.Verdict, change.Message = VerdictApplied,
			"accepted because the object is paused; otherwise: "+change.Message
	}
	if change.Verdict == VerdictApplied && change.Message == "" && !change.Documented &&
		strings.HasPrefix(path, "spec") && c.new.cluster != nil {
		change.Message = fmt.Sprintf(
			"not among the fields that EKS Anywhere documents for GitOps on a %s cluster", c.new.role())
	}
	c.changes = append(c.changes, change)
}

func show(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case map[string]any, []any:
		// Values that came from YAML text always encode.
		encoded, _ := json.Marshal(value)
		return string(encoded)
	default:
		return fmt.Sprint(value)
	}
}
