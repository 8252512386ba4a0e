package fluxinstall

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// condition is one entry of status.conditions.
type condition struct {
	Type, Status, Reason, Message string
	ObservedGeneration            int64 // 0 when the condition does not say
}

func conditions(u *unstructured.Unstructured) []condition {
	entries, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	list := make([]condition, 0, len(entries))
	for _, entry := range entries {
		fields, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		text := func(name string) string { s, _ := fields[name].(string); return s }
		generation, _ := fields["observedGeneration"].(int64)
		list = append(list, condition{text("type"), text("status"), text("reason"), text("message"), generation})
	}
	return list
}

func conditionOf(u *unstructured.Unstructured, kind string) (condition, bool) {
	for _, c := range conditions(u) {
		if c.Type == kind {
			return c, true
		}
	}
	return condition{}, false
}

// observed says whether the status speaks of the object as it is now: an older one may still say Ready.
func observed(u *unstructured.Unstructured) bool {
	generation, found, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	return found && generation == u.GetGeneration()
}

// readyNow says whether Ready is True for the current generation.
func readyNow(u *unstructured.Unstructured) bool {
	ready, ok := conditionOf(u, "Ready")
	return ok && ready.Status == "True" && observed(u)
}
