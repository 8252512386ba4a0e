package clusterspec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Common gives what two files say alike: the base of a [Merge] when nothing is known about who changed what.
// With it, what only one of the files says is kept from that one, and what they say differently is a
// conflict. The text is empty when they have nothing in common. The error is Problems, for a file that cannot
// be read.
func Common(a, b Source) (Source, error) { return combine(a, b, common) }

// combine makes a file of what a function makes of the objects that two files both have.
func combine(a, b Source, of func(f *field, a, b any) any) (Source, error) {
	left, problems := readVersions([]Source{a})
	right, more := readVersions([]Source{b})
	if problems = slices.Concat(problems, more); len(problems) > 0 {
		return Source{}, problems.sorted()
	}
	var documents []string
	for _, v := range left.list {
		other, ok := right.byID[v.id]
		if !ok {
			continue
		}
		if shared, ok := of(v.table, v.value, other.value).(map[string]any); ok {
			text, ok := encodeYAML(shared)
			if !ok {
				return Source{}, fmt.Errorf("comparing %s with %s: %s cannot be written as YAML",
					a.Name, b.Name, objectName(v.document.root))
			}
			documents = append(documents, text)
		}
	}
	return Source{Name: a.Name, Data: []byte(strings.Join(documents, "---\n"))}, nil
}

// common is what two values have in common; nil when that is nothing.
func common(f *field, a, b any) any {
	if reflect.DeepEqual(a, b) {
		return a
	}
	switch left := a.(type) {
	case map[string]any:
		right, ok := b.(map[string]any)
		if !ok || f.isReference() {
			return nil
		}
		out := map[string]any{}
		for key, value := range left {
			if shared := common(f.below(key), value, right[key]); shared != nil {
				out[key] = shared
			}
		}
		return out
	case []any:
		right, ok := b.([]any)
		leftKeys, leftOK := itemKeys(f, left)
		rightKeys, rightOK := itemKeys(f, right)
		if !ok || !leftOK || !rightOK {
			return nil
		}
		at := indexes(rightKeys)
		out := []any{}
		for i, key := range leftKeys {
			if j := indexOf(at, key); j >= 0 {
				if shared := common(f.itemRow(), left[i], right[j]); shared != nil {
					out = append(out, shared)
				}
			}
		}
		return out
	}
	return nil
}

// Restrict gives what base says of the fields that file says something about, too. It makes a base of a
// [Merge] out of a file that another program wrote for the user, with defaults of its own: the user's file
// has not taken those out, it never had them. The error is Problems, for a file that cannot be read.
func Restrict(base, file Source) (Source, error) {
	return combine(base, file, restricted)
}

func restricted(f *field, base, file any) any {
	switch left := base.(type) {
	case map[string]any:
		right, ok := file.(map[string]any)
		if !ok || f.isReference() {
			return base
		}
		out := map[string]any{}
		for key, value := range left {
			if right[key] != nil {
				out[key] = restricted(f.below(key), value, right[key])
			}
		}
		return out
	case []any:
		right, _ := file.([]any)
		leftKeys, leftOK := itemKeys(f, left)
		rightKeys, rightOK := itemKeys(f, right)
		if !leftOK || !rightOK {
			return base
		}
		at := indexes(rightKeys)
		out := slices.Clone(left)
		for i, key := range leftKeys {
			if j := indexOf(at, key); j >= 0 {
				out[i] = restricted(f.itemRow(), left[i], right[j])
			}
		}
		return out
	}
	return base
}

// defaultedInLists are the fields inside of lists that `eksctl anywhere` fills in where the file has none:
// health checks of worker groups and the SSH keys that it generates (pkg/cluster/builder.go and the providers
// of EKS Anywhere). A list is replaced as a whole when it is applied, so that a file without them would take
// them away; outside of lists what is not in the file stays as it is.
var defaultedInLists = map[string][]string{
	"spec.workerNodeGroupConfigurations[]": {"machineHealthCheck"},
	"spec.users[]":                         {"sshAuthorizedKeys"},
}

// Complete adds to a file what `eksctl anywhere` has filled in inside of lists, as the objects of current, in
// the cluster or in Git, have it: what the file leaves to EKS Anywhere stays as EKS Anywhere decided.
// Everything else in the file stays, byte for byte. The error is Problems, for a file that cannot be read.
func Complete(file, current Source) (Source, error) {
	ours, problems := readVersions([]Source{file})
	there, more := readVersions([]Source{current})
	if problems = slices.Concat(problems, more); len(problems) > 0 {
		return Source{}, problems.sorted()
	}
	wanted := make([]wantedObject, len(ours.list))
	for i, v := range ours.list {
		wanted[i] = wantedObject{id: v.id, table: v.table, value: v.value}
		if other, ok := there.byID[v.id]; ok {
			wanted[i].value = completed(v.table, v.value, other.value)
		}
	}
	out, err := rewriteSources([]Source{file}, ours, wanted, there)
	if err != nil {
		return Source{}, err
	}
	return out[0], nil
}

func completed(f *field, value, current any) any {
	switch value := value.(type) {
	case map[string]any:
		other, ok := current.(map[string]any)
		if !ok {
			return value
		}
		out := make(map[string]any, len(value))
		for key, child := range value {
			out[key] = completed(f.below(key), child, other[key])
		}
		if f != nil {
			for _, name := range defaultedInLists[f.path] {
				if saysNothing(value[name]) && other[name] != nil {
					out[name] = other[name]
				}
			}
		}
		return out
	case []any:
		other, _ := current.([]any)
		keys, ok := itemKeys(f, value)
		otherKeys, otherOK := itemKeys(f, other)
		if !ok || !otherOK {
			return value
		}
		at := indexes(otherKeys)
		out := slices.Clone(value)
		for i, key := range keys {
			if j := indexOf(at, key); j >= 0 {
				out[i] = completed(f.itemRow(), value[i], other[j])
			}
		}
		return out
	}
	return value
}

// saysNothing is true of what EKS Anywhere takes for no value: an absent one, and a list of empty texts, as
// in sshAuthorizedKeys: [""].
func saysNothing(value any) bool {
	list, isList := value.([]any)
	return value == nil || isList && !slices.ContainsFunc(list, func(item any) bool { return item != "" })
}

// KeepGitOps gives a file with the GitOps configuration of current instead of its own: the Cluster's
// gitOpsRef and the object that it names. It is for a FluxConfig that says the same as the GitOpsConfig in
// Git, where EKS Anywhere does not allow the change. Everything else stays, byte for byte. The error is
// Problems, for a file that cannot be read.
func KeepGitOps(file, current Source) (Source, error) {
	ours, problems := readVersions([]Source{file})
	there, more := readVersions([]Source{current})
	if problems = slices.Concat(problems, more); len(problems) > 0 {
		return Source{}, problems.sorted()
	}
	var wanted []wantedObject
	for _, v := range ours.list {
		w := wantedObject{id: v.id, table: v.table, value: v.value}
		switch v.id.kind {
		case "FluxConfig", "GitOpsConfig":
			continue
		case "Cluster":
			other, ok := there.byID[v.id]
			if !ok {
				break
			}
			if spec, ok := v.value.(map[string]any)["spec"].(map[string]any); ok {
				otherSpec, _ := other.value.(map[string]any)["spec"].(map[string]any)
				spec = merged(spec, nil)
				spec["gitOpsRef"] = otherSpec["gitOpsRef"]
				value := merged(v.value.(map[string]any), nil)
				value["spec"] = spec
				w.value = value
			}
		}
		wanted = append(wanted, w)
	}
	for _, v := range there.list {
		if v.id.kind == "FluxConfig" || v.id.kind == "GitOpsConfig" {
			wanted = append(wanted, wantedObject{id: v.id, table: v.table, value: v.value})
		}
	}
	out, err := rewriteSources([]Source{file}, ours, wanted, there)
	if err != nil {
		return Source{}, err
	}
	return out[0], nil
}
