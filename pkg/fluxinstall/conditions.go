package fluxinstall

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Condition is one entry of an object's status.conditions.
type Condition struct {
	Type, Status, Reason, Message string
	ObservedGeneration            int64 // 0 when the condition does not say
	// when Status became what it is; zero when the condition does not say
	Since time.Time
}

func conditions(u *unstructured.Unstructured) []Condition {
	entries, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	list := make([]Condition, 0, len(entries))
	for _, entry := range entries {
		fields, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		text := func(name string) string { s, _ := fields[name].(string); return s }
		generation, _ := fields["observedGeneration"].(int64)
		since, _ := time.Parse(time.RFC3339, text("lastTransitionTime")) // zero when it is none
		list = append(list,
			Condition{text("type"), text("status"), text("reason"), text("message"), generation, since})
	}
	return list
}

// conditionOf returns the condition of a type; the zero Condition when there is none.
func conditionOf(u *unstructured.Unstructured, kind string) Condition {
	for _, c := range conditions(u) {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}

// current says whether a condition speaks of the object as it is now.
func (c Condition) current(u *unstructured.Unstructured) bool {
	return c.ObservedGeneration == 0 || c.ObservedGeneration == u.GetGeneration()
}

// observed says whether the status speaks of the object as it is now: an older one may still say Ready.
func observed(u *unstructured.Unstructured) bool {
	generation, found, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	return found && generation == u.GetGeneration()
}

// readyNow says whether Ready is True for the current generation.
func readyNow(u *unstructured.Unstructured) bool {
	return conditionOf(u, "Ready").Status == "True" && observed(u)
}
