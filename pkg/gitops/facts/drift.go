package facts

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// Difference is a field that Git sets and that is otherwise in the management cluster.
type Difference struct {
	Cluster string `json:"cluster,omitempty"` // whose file sets it; none for Flux's own
	Object  string `json:"object"`            // kind namespace/name
	Field   string `json:"field,omitempty"`   // none when the whole object is missing
	Git     string `json:"git,omitempty"`     // the value in Git, JSON for objects and lists
	Live    string `json:"live,omitempty"`    // the value in the cluster, JSON for objects and lists
	// Pending says that Flux has yet to apply the commit, so that the difference is no drift.
	Pending bool `json:"pending,omitempty"`
}

// String gives the difference in one line. A live value that is empty is one that is not there.
func (d Difference) String() string {
	if d.Field == "" {
		return d.Object + " is not in the cluster"
	}
	text := fmt.Sprintf("%s: %s: Git says %s, the cluster has ", d.Object, d.Field, d.Git)
	if d.Live == "" {
		return text + "nothing"
	}
	return text + d.Live
}

// Differences compares an object of the repository with the live one, on the fields that the repository sets:
// what the server or a webhook has filled in is none of Git's business, as with server-side apply, and a
// value that a webhook rewrites counts as it is stored. A live object that is not there is one difference.
func Differences(git GitObject, live *fluxinstall.LiveObject) []Difference {
	object, kind := fmt.Sprintf("%s %s/%s", git.Kind, git.Namespace, git.Name), git.Kind
	if live == nil {
		return []Difference{{Object: object}}
	}
	var found []Difference
	note := func(field string, git, live any) {
		found = append(found, shownDifference(kind, Difference{Object: object, Field: field}, git, live))
	}
	stored := clusterspec.Stored(kind, git.Fields)
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		switch name {
		case "apiVersion", "kind", "status":
		case "metadata":
			wanted, _ := stored[name].(map[string]any)
			actual, _ := live.Fields[name].(map[string]any)
			for _, part := range []string{"annotations", "labels"} {
				compareFields("metadata."+part, wanted[part], actual[part], note)
			}
		default:
			compareFields(name, stored[name], live.Fields[name], note)
		}
	}
	return found
}

// shownDifference fills in the values of a difference, as they may be shown.
func shownDifference(kind string, d Difference, git, live any) Difference {
	d.Git, d.Live = valueText(clusterspec.Shown(kind, d.Field, git)),
		valueText(clusterspec.Shown(kind, d.Field, live))
	switch {
	case d.Git != d.Live:
	case strings.Contains(d.Git, redact.Mask):
		d.Live += " (another one)"
	default: // of another type
		d.Git, d.Live = jsonText(git), jsonText(live)
	}
	return d
}

// compareFields walks what Git sets. The lists of EKS Anywhere's kinds are atomic to the server: they have
// the length that Git gives them, while defaults may be filled into their items.
func compareFields(field string, git, live any, note func(field string, git, live any)) {
	if isNothing(git) && isNothing(live) {
		return // a controller that writes the object leaves out what is empty
	}
	switch wanted := git.(type) {
	case map[string]any:
		actual, ok := live.(map[string]any)
		if !ok {
			note(field, git, live)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(wanted)) {
			compareFields(join(field, name), wanted[name], actual[name], note)
		}
	case []any:
		actual, ok := live.([]any)
		if !ok || len(actual) != len(wanted) {
			note(field, git, live)
			return
		}
		for i := range wanted {
			compareFields(field+itemName(wanted[i], i), wanted[i], actual[i], note)
		}
	case nil:
		// Null says that Git sets nothing.
	default:
		if !sameScalar(wanted, live) {
			note(field, git, live)
		}
	}
}

// join adds a name to a path; one with dots in it, such as an annotation's, is quoted.
func join(field, name string) string {
	if strings.ContainsAny(name, "./") {
		return field + "[" + strconv.Quote(name) + "]"
	}
	return field + "." + name
}

// itemName is how an item of a list is called: by its name where it has one.
func itemName(item any, position int) string {
	if fields, ok := item.(map[string]any); ok {
		if name, ok := fields["name"].(string); ok && name != "" {
			return "[" + name + "]"
		}
	}
	return fmt.Sprintf("[%d]", position)
}

func isNothing(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	case int64:
		return v == 0
	case float64:
		return v == 0
	case string:
		return v == ""
	case bool:
		return !v
	}
	return false
}

// sameScalar compares values that came through different decoders: a whole number may be an integer or a
// float.
func sameScalar(a, b any) bool {
	if x, ok := asFloat(a); ok {
		y, ok := asFloat(b)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}

func asFloat(value any) (float64, bool) {
	switch v := value.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func valueText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		if v == "" {
			return `""`
		}
		return v
	}
	return jsonText(value)
}

func jsonText(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// AppliedOnce says whether Git itself tells Flux not to correct an object (kustomize-controller's annotation
// ssa).
func AppliedOnce(object GitObject) bool {
	metadata, _ := object.Fields["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	policy, _ := annotations["kustomize.toolkit.fluxcd.io/ssa"].(string)
	return strings.EqualFold(policy, "IfNotPresent") || strings.EqualFold(policy, "Ignore")
}

// Text is the difference in a few words.
func (d *Difference) Text() string {
	switch {
	case d.Field == "":
		return "it is in Git, and not in the cluster"
	case d.Live == "":
		return fmt.Sprintf("%s is not set; Git says %s", d.Field, d.Git)
	default:
		return fmt.Sprintf("%s is %s; Git says %s", d.Field, d.Live, d.Git)
	}
}
