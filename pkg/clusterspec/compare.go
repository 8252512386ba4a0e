package clusterspec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Verdict is what happens when Flux applies a change.
type Verdict string

// The verdicts on a change.
const (
	VerdictApplied  Verdict = "applied"
	VerdictIgnored  Verdict = "ignored"
	VerdictRejected Verdict = "rejected"
	// VerdictReplaced is for a change of what an object is: its name, namespace, kind or group of apiVersion. Flux deletes the object, of a
	// Cluster with all its machines, and creates another.
	VerdictReplaced Verdict = "replaced"
)

// Change is one difference between two states of an object, and what EKS Anywhere makes of it.
type Change struct {
	// Cluster is the cluster the object belongs to, and Role that cluster's role. Both are empty for an object of no cluster.
	Cluster string `json:"cluster,omitempty"`
	Role    Role   `json:"role,omitempty"`
	// Object is kind and name. Field is empty when the whole object was added or removed. Items of a list are shown by what tells
	// them apart: "spec.workerNodeGroupConfigurations[md-0].count".
	Object string `json:"object"`
	Field  string `json:"field,omitempty"`
	// Old and New are the values as text, JSON for objects and lists; empty is absent.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// Verdict is what the webhooks and the controller do. Message is what they answer to a rejected change, or a remark.
	Verdict Verdict `json:"verdict"`
	Message string  `json:"message,omitempty"`
	// Documented is whether the user documentation lists the field, for the role, as changed through Git or in an upgrade.
	Documented bool `json:"documented"`
	// File, Line and Column are where the change shows: in the new state, or for what is gone in the old one.
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

const (
	immutable       = "field is immutable"
	configImmutable = "config is immutable"
)

// String gives the change in one line: object, field, values and what EKS Anywhere does with it. Long values are shortened.
func (c Change) String() string {
	var b strings.Builder
	b.WriteString(c.Object)
	if c.Field != "" {
		fmt.Fprintf(&b, ": %s: %s → %s", c.Field, briefly(c.Old), briefly(c.New))
	}
	b.WriteString(": " + string(c.Verdict))
	if c.Message != "" {
		b.WriteString(": " + c.Message)
	}
	return b.String()
}

// briefly shows a value in a line of text.
func briefly(value string) string {
	const most = 80
	if value == "" {
		return "(none)"
	}
	value = strings.ToValidUTF8(strings.Join(strings.Fields(value), " "), "?")
	if runes := []rune(value); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return value
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

// CompareSets says what changed from one set to the other, object by object and field by field, and what EKS Anywhere does with each
// change. Values are compared, not texts; comments and the order of keys make no difference. An object that is in another namespace is
// one object with a change of metadata.namespace. The result is sorted by cluster, object and field. The sets may hold errors.
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
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Field, b.Field))
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
	c := Change{Object: o.object.Label(), Field: field, Role: o.role(), File: o.object.File, Line: line, Column: column, Verdict: VerdictApplied}
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

// guarded applies what EKS Anywhere's webhook and controller hold against creating and deleting a Cluster. An annotation of the
// command line tool or a pause lifts some of it.
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
		c.Verdict, c.Message = VerdictIgnored, "EKS Anywhere does not delete a paused cluster unless it is annotated with anywhere.eks.amazonaws.com/allow-delete-when-paused"
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
		if metadata, ok := object["metadata"].(map[string]any); ok && (metadata["namespace"] == nil || metadata["namespace"] == "") {
			metadata["namespace"] = "default"
		}
	}
	if c.new.object.Kind == "Cluster" {
		defaultWorkers(before, after)
	}
	c.diff("", "", table, before, after)
	return c.changes
}

// defaultWorkers puts in what EKS Anywhere takes for a worker group's missing name and count, so that saying it is no change.
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
		c.diff(fmt.Sprintf("%s[%d]", path, position), fmt.Sprintf("%s[%s]", shown, key), f.itemRow(), item(before, was), item(after, is))
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

// keysOfBoth gives what tells the items of two lists apart: the keys of the table or, since a change is shown best at the item that it
// belongs to, their names.
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
	change.Documented = (documented(f, role) || c.newWorkers(path, before)) && c.documentedHere(path, before, after)
	c.acting(&change, path, before, after)
	c.special(&change, path, before, after)
	if change.Verdict == VerdictRejected && c.means(path, f, before, after) {
		change.Verdict, change.Message = VerdictApplied, "it means the same as before"
	}
	if change.Verdict == VerdictRejected && c.paused() && !versionRule(path, change.Message) {
		change.Verdict, change.Message = VerdictApplied, "accepted because the object is paused; otherwise: "+change.Message
	}
	if change.Verdict == VerdictApplied && change.Message == "" && !change.Documented && strings.HasPrefix(path, "spec") && c.new.cluster != nil {
		change.Message = fmt.Sprintf("not among the fields that EKS Anywhere documents for GitOps on a %s cluster", c.new.role())
	}
	c.changes = append(c.changes, change)
}

// newWorkers says whether a change adds a worker group to a workload cluster, which the user documentation lists as a whole.
func (c *comparison) newWorkers(path string, before any) bool {
	return before == nil && c.old.role() == RoleWorkload && strings.HasPrefix(path, "spec.workerNodeGroupConfigurations[") && strings.HasSuffix(path, "]")
}

// documentedHere narrows what the user documentation lists by what a table cannot say: on a management cluster the machine configs
// of workers only, of identity providers OIDC only.
func (c *comparison) documentedHere(path string, before, after any) bool {
	switch {
	case c.new.object.Kind == "VSphereMachineConfig" && c.new.cluster != nil && c.new.role() == RoleManagement:
		return (&report{object: c.new.cluster.Objects[0]}).refersFromWorkers(c.new.object)
	case c.new.object.Kind == "Cluster" && path == "spec.identityProviderRefs":
		return iamName(before) == iamName(after)
	}
	return true
}

// serverDefaults are values that the API server or a mutating webhook puts in where there is none.
var serverDefaults = map[string]string{
	"FluxConfig spec.branch": defaultBranch, "GitOpsConfig spec.flux.github.branch": defaultBranch,
	"VSphereMachineConfig spec.osFamily": "bottlerocket", "AWSIamConfig spec.partition": "aws",
}

// means says whether two values that are written differently are the same to the webhooks: nothing is the same as an empty text, an
// empty list and false, and as what the server puts in; and lists of texts are sets.
func (c *comparison) means(path string, f *field, before, after any) bool {
	fallback := serverDefaults[c.new.object.Kind+" "+path]
	plain := func(value any) any {
		switch v := value.(type) {
		case nil:
			return fallback
		case string:
			return cmp.Or(v, fallback)
		case bool:
			if !v {
				return fallback
			}
		case map[string]any:
			if len(v) == 0 && (path == "spec.clusterNetwork.dns" || path == "spec.managementCluster") {
				return fallback
			}
		case []any:
			if len(v) == 0 {
				return fallback
			}
			if f != nil && f.Type == "list" {
				return value // the names of objects in an order that matters
			}
			texts := make([]string, len(v))
			for i, item := range v {
				text, ok := item.(string)
				if !ok {
					return value
				}
				texts[i] = text
			}
			slices.Sort(texts)
			return texts
		}
		return value
	}
	return reflect.DeepEqual(plain(before), plain(after))
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

// nearestField finds the row of the deepest known parent of a path.
func (c *comparison) nearestField(path string) *field {
	f := fields().kinds[c.new.object.Kind]
	for _, part := range pathForm.FindAllStringSubmatch(path, -1) {
		next := f.children[part[0]]
		if strings.HasPrefix(part[0], "[") {
			next = f.item
		}
		if next == nil {
			break
		}
		f = next
	}
	return f
}

// tableVerdict looks the change of a field up; fields inherit from the field above.
func tableVerdict(f *field, role Role) (Verdict, string) {
	said, says := "", ""
	for ; f != nil && said == ""; f = f.parent {
		said = f.Change.Workload
		if role == RoleManagement {
			said = f.Change.Management
		}
		if says = f.Says; says == "" {
			says = immutable
		}
	}
	switch said {
	case "rejects":
		return VerdictRejected, says
	case "ignores":
		return VerdictIgnored, "set by the server"
	case "replaces":
		return VerdictReplaced, "Flux deletes the object and creates another"
	}
	return VerdictApplied, ""
}

func documented(f *field, role Role) bool {
	for ; f != nil; f = f.parent {
		if slices.Contains(f.GitOps, role) {
			return true
		}
	}
	return false
}

// acting says what an annotation does that came, went or changed.
func (c *comparison) acting(change *Change, path string, before, after any) {
	meaning, ignored := annotationChange(c.new.object.Kind, path, show(before), show(after))
	change.Message = cmp.Or(meaning, change.Message)
	if ignored {
		change.Verdict = VerdictIgnored
	}
}

// paused says whether the webhook skips the immutability of the object: when the stored one is paused, for the kinds that know that.
func (c *comparison) paused() bool {
	switch c.new.object.Kind {
	case "Cluster", "VSphereDatacenterConfig", "VSphereMachineConfig", "CloudStackDatacenterConfig", "CloudStackMachineConfig",
		"NutanixDatacenterConfig", "NutanixMachineConfig":
		return text(c.old.object.root(), "metadata", "annotations", "anywhere.eks.amazonaws.com/paused") == "true"
	}
	return false
}

// scaleMessage is the webhook's answer to a change of size and version in one request.
const scaleMessage = "cannot perform scale up or down during rolling upgrades"

// versionRule says whether a rejection is one that holds for paused clusters, too: those about versions do.
func versionRule(path, message string) bool {
	return strings.HasSuffix(path, "kubernetesVersion") || path == "spec.eksaVersion" || path == "spec.bundlesRef" || message == scaleMessage
}

// special holds the verdicts that depend on values.
func (c *comparison) special(change *Change, path string, before, after any) {
	reject := func(message string) { change.Verdict, change.Message = VerdictRejected, message }
	apply := func(message string) { change.Verdict, change.Message = VerdictApplied, message }
	switch kind := c.new.object.Kind; kind {
	case "Cluster":
		c.specialCluster(change, path, before, after)
	case "VSphereMachineConfig":
		switch users := items(c.new.object.root(), "spec", "users"); {
		case !within(path, "spec.users"):
		case len(users) == 0:
			reject("users is not set, please provide a user")
		case !hasKey(users[0]):
			reject("users[0].SshAuthorizedKeys is not set or is empty, please provide a valid ssh authorized key")
		}
	case "CloudStackDatacenterConfig":
		if strings.HasPrefix(path, "spec.availabilityZones[") && strings.HasSuffix(path, "]") && (before == nil || after == nil) {
			apply("")
			if !sharesZone(c.old.object, c.new.object) {
				reject("at least one AvailabilityZone must be shared between new and old CloudStackDatacenterConfig specs")
			}
		}
	case "NutanixDatacenterConfig":
		if path == "spec.credentialRef" && after == nil {
			reject("credentialRef cannot be removed")
		}
	case "NutanixMachineConfig":
		frozen := []string{"spec.vcpuSockets", "spec.vcpusPerSocket", "spec.memorySize", "spec.systemDiskSize", "spec.users"}
		if c.controlPlaneOrEtcd() && slices.ContainsFunc(frozen, func(f string) bool { return within(path, f) }) {
			reject(immutable)
		}
	case "TinkerbellDatacenterConfig":
		byCLI := text(c.new.object.root(), "metadata", "annotations", "anywhere.eks.amazonaws.com/managed-by-cli") == "true"
		if byCLI && (path == "spec.hookImagesURLPath" || path == "spec.skipLoadBalancerDeployment") {
			apply("accepted because of the annotation anywhere.eks.amazonaws.com/managed-by-cli")
		}
	case "TinkerbellMachineConfig":
		if within(path, "spec.users") && !sameFirstUser(c.old.object, c.new.object) {
			reject(immutable)
		}
	case "OIDCConfig":
		if strings.HasPrefix(path, "spec") && change.Role == RoleWorkload && text(c.old.object.root(), "metadata", "annotations", "anywhere.eks.amazonaws.com/managed-by") == "" {
			reject(configImmutable + " (the object has no anywhere.eks.amazonaws.com/managed-by annotation, so it counts as a management cluster's)")
		}
	}
}

// hasKey says whether a user can log in.
func hasKey(user *yaml.Node) bool {
	sshKeys := items(user, "sshAuthorizedKeys")
	return len(sshKeys) > 0 && sshKeys[0].Value != ""
}

func sharesZone(a, b *Object) bool {
	names := map[string]bool{}
	for _, zone := range items(a.root(), "spec", "availabilityZones") {
		names[text(zone, "name")] = true
	}
	for _, zone := range items(b.root(), "spec", "availabilityZones") {
		if names[text(zone, "name")] {
			return true
		}
	}
	return false
}

// controlPlaneOrEtcd says whether Nutanix's webhook takes a machine config for a management cluster's control plane or etcd. It goes
// by annotations of the stored object, which EKS Anywhere's command sets on what it creates, in the cluster and not always in Git.
func (c *comparison) controlPlaneOrEtcd() bool {
	annotation := func(name string) string {
		return text(c.old.object.root(), "metadata", "annotations", "anywhere.eks.amazonaws.com/"+name)
	}
	switch {
	case annotation("managed-by") != "":
		return false
	case annotation("control-plane") == "true" || annotation("etcd") == "true":
		return true
	case c.old.role() != RoleManagement:
		return false
	}
	for _, path := range []string{"spec.controlPlaneConfiguration.machineGroupRef", "spec.externalEtcdConfiguration.machineGroupRef"} {
		if ref, ok := referenceAt(c.old.cluster.Objects[0], path); ok && ref.kind == c.old.object.Kind && ref.name == c.old.object.Name {
			return true
		}
	}
	return false
}

// sameFirstUser compares what Tinkerbell's webhook freezes.
func sameFirstUser(a, b *Object) bool {
	old, current := items(a.root(), "spec", "users"), items(b.root(), "spec", "users")
	if len(old) != len(current) {
		return false
	}
	if len(old) == 0 {
		return true
	}
	oldKeys, newKeys := items(old[0], "sshAuthorizedKeys"), items(current[0], "sshAuthorizedKeys")
	if text(old[0], "name") != text(current[0], "name") || len(oldKeys) != len(newKeys) {
		return false
	}
	return len(oldKeys) == 0 || oldKeys[0].Value == newKeys[0].Value
}

func (c *comparison) specialCluster(change *Change, path string, before, after any) {
	reject := func(message string) { change.Verdict, change.Message = VerdictRejected, message }
	tinkerbell := c.new.cluster != nil && c.new.cluster.Provider == "tinkerbell"
	switch {
	case path == "metadata.namespace":
		change.Message = "Flux deletes the cluster with all its machines and creates another"
		if replacement := (Change{}); c.old.role() == RoleManagement {
			if c.new.guarded(&replacement, false); replacement.Verdict == VerdictRejected {
				reject(replacement.Message)
			}
		}
	case within(path, "spec.managementCluster"):
		if c.old.role() == RoleManagement && c.new.role() == RoleManagement {
			change.Verdict, change.Message = VerdictApplied, "the cluster manages itself as before"
		}
	case path == "spec.kubernetesVersion":
		if message := skew(before, after); message != "" {
			reject(message)
		}
	case strings.HasPrefix(path, "spec.workerNodeGroupConfigurations[") && strings.HasSuffix(path, "].kubernetesVersion"):
		if message := c.workerSkew(before, after); message != "" {
			reject(message)
		}
	case within("spec.clusterNetwork.cniConfig.cilium.skipUpgrade", path):
		const skip = "spec.clusterNetwork.cniConfig.cilium.skipUpgrade"
		if flag(c.old.object.root(), keys(skip)...) && !flag(c.new.object.root(), keys(skip)...) {
			reject("cannot toggle off skipUpgrade once enabled")
		}
	case path == "spec.externalEtcdConfiguration" && before == nil:
		reject("cannot switch from stacked to external etcd topology")
	case path == "spec.externalEtcdConfiguration" && after == nil:
		reject("cannot switch from external to stacked etcd topology")
	case path == "spec.controlPlaneConfiguration.endpoint.host" && c.new.cluster != nil && c.new.cluster.Provider == "cloudstack":
		if strings.TrimSuffix(show(before), ":6443") == strings.TrimSuffix(show(after), ":6443") {
			change.Verdict, change.Message = VerdictApplied, "6443 is also the default port"
		}
	case path == "spec.identityProviderRefs":
		old, current := iamName(before), iamName(after)
		if old != "" && current != "" && old != current {
			reject(immutable)
		}
	case path == "spec.eksaVersion" || path == "spec.bundlesRef":
		c.specialEksaVersion(change, path, before, after)
	case within(path, "spec.gitOpsRef") && change.Role == RoleManagement && before != nil:
		change.Message = "the webhook accepts it, but eksctl anywhere upgrade refuses to change a gitOpsRef"
	}
	if !tinkerbell {
		return
	}
	for _, name := range []string{".labels", ".taints"} {
		if strings.HasPrefix(path, "spec.controlPlaneConfiguration"+name) || strings.HasPrefix(path, "spec.workerNodeGroupConfigurations[") && strings.Contains(path, "]"+name) {
			reject(immutable)
		}
	}
	scales := path == "spec.controlPlaneConfiguration.count" || strings.HasPrefix(path, "spec.workerNodeGroupConfigurations[") && (strings.HasSuffix(path, "].count") || strings.HasSuffix(path, "]") && strings.Count(path, "[") == 1)
	if scales && c.old.cluster != nil && c.old.cluster.KubernetesVersion != c.new.cluster.KubernetesVersion {
		reject(scaleMessage)
	}
}

func (c *comparison) specialEksaVersion(change *Change, path string, before, after any) {
	switch {
	case after == nil && before != nil && (path == "spec.eksaVersion" || text(c.new.object.root(), "spec", "eksaVersion") == ""):
		change.Verdict, change.Message = VerdictRejected, "field cannot be removed after setting"
	case path == "spec.eksaVersion" && before != nil && after != nil:
		old, oldOK := releaseMinor(show(before))
		current, newOK := releaseMinor(show(after))
		skip := text(c.new.object.root(), "metadata", "annotations", "anywhere.eks.amazonaws.com/skip-eksa-version-skew-check") == "true"
		if oldOK && newOK && !skip && (current < old || current > old+1) {
			change.Verdict, change.Message = VerdictRejected, "EKS Anywhere is upgraded by one minor version at a time, and not back"
			return
		}
		fallthrough
	case path == "spec.eksaVersion" && change.Role == RoleManagement:
		if change.Role == RoleManagement {
			change.Message = "EKS Anywhere documents that a management cluster's version is changed with eksctl anywhere upgrade, not through Git"
		}
	}
}

// releaseMinor gives 26 for v0.26.1, and counts a major version as a thousand.
func releaseMinor(version string) (int, bool) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 3 {
		return 0, false
	}
	major, errMajor := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return major*1000 + minor, errMajor == nil && errMinor == nil
}

func iamName(refs any) string {
	list, _ := refs.([]any)
	for _, ref := range list {
		if object, ok := ref.(map[string]any); ok && object["kind"] == "AWSIamConfig" {
			name, _ := object["name"].(string)
			return name
		}
	}
	return ""
}

// workerSkew says why a worker group's own version cannot change: one that is added is an upgrade from the cluster's, and one that is
// taken away an upgrade to the cluster's, which must not change with it.
func (c *comparison) workerSkew(before, after any) string {
	_, old := lookup(c.old.object.root(), "spec", "kubernetesVersion")
	_, current := lookup(c.new.object.root(), "spec", "kubernetesVersion")
	if old == nil || current == nil {
		return ""
	}
	switch {
	case before == nil:
		return skew(old.Value, after)
	case after == nil && old.Value != current.Value:
		return "can't simultaneously remove worker kubernetesVersion and upgrade cluster level kubernetesVersion: " + current.Value
	case after == nil:
		return skew(before, current.Value)
	}
	return skew(before, after)
}

// skew says why Kubernetes cannot go from one version to the other.
func skew(before, after any) string {
	old, oldErr := strconv.Atoi(strings.TrimPrefix(show(before), "1."))
	current, newErr := strconv.Atoi(strings.TrimPrefix(show(after), "1."))
	switch {
	case oldErr != nil || newErr != nil:
		return ""
	case current < old:
		return fmt.Sprintf("Kubernetes cannot be downgraded from 1.%d to 1.%d", old, current)
	case current > old+1:
		return fmt.Sprintf("only +1 minor version skew is supported; from 1.%d that is 1.%d", old, old+1)
	}
	return ""
}
