package fluxinstall

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	shell "github.com/eksa-gitops/eksa-gitops/internal/text"
)

// The annotations that make a controller leave an object alone.
const (
	pausedAnnotation = "anywhere.eks.amazonaws.com/paused" // "true": EKS Anywhere does not work on it
	// "disabled": Flux does not bring it to what Git says
	reconcileAnnotation = "kustomize.toolkit.fluxcd.io/reconcile"
	appliedByName       = "kustomize.toolkit.fluxcd.io/name"      // label: the Kustomization that applied it
	appliedByNamespace  = "kustomize.toolkit.fluxcd.io/namespace" // label: and its namespace
)

// Pause is something that keeps a controller from working on an object until somebody takes it away.
type Pause struct {
	Object string // kind namespace/name
	Field  string // spec.suspend, or the annotation
	// the field manager that set it, such as flux or kubectl-annotate, with the person if it was this
	// program; empty when the object does not say
	By     string
	Since  time.Time // zero when the object does not say
	Resume string    // the command that ends it
}

// StopsFlux says whether it keeps Flux from applying the object.
func (p *Pause) StopsFlux() bool { return p.Field == reconcileAnnotation || p.Field == "spec.suspend" }

// words says what holds, with who began it and since when where that is known: "suspended since 2026-03-01
// 12:00 UTC by flux".
func (p *Pause) words(known, unknown string) string {
	switch {
	case p.Since.IsZero():
		return unknown
	case p.By == "":
		return fmt.Sprintf("%s since %s", known, p.Since.UTC().Format(minuteForm))
	default:
		return fmt.Sprintf("%s since %s by %s", known, p.Since.UTC().Format(minuteForm), p.By)
	}
}

// minuteForm is how a time is written in a message.
const minuteForm = "2006-01-02 15:04 MST"

// suspension is the suspension of an object of Flux, or nil.
func suspension(object *unstructured.Unstructured) *Pause {
	if suspended, _, _ := unstructured.NestedBool(object.Object, "spec", "suspend"); !suspended {
		return nil
	}
	by, since := setBy(object, "spec", "suspend")
	return &Pause{
		Object: objectName(object), Field: "spec.suspend", By: by, Since: since,
		Resume: shell.Command("kubectl -n %s patch %s %s --type merge -p '{\"spec\":{\"suspend\":false}}'",
			object.GetNamespace(), resourceOf(object), object.GetName()),
	}
}

// annotated are the pauses of an object of EKS Anywhere.
func annotated(object *unstructured.Unstructured) []Pause {
	var pauses []Pause
	for _, a := range []struct{ name, value string }{{pausedAnnotation, "true"},
		{reconcileAnnotation, "disabled"}} {
		if !strings.EqualFold(object.GetAnnotations()[a.name], a.value) {
			continue
		}
		pause := Pause{Object: objectName(object), Field: a.name, Resume: unannotate(object, a.name)}
		pause.By, pause.Since = setBy(object, "metadata", "annotations", a.name)
		if record := holdOf(object); record != nil &&
			(a.name == reconcileAnnotation && ours(object) || a.name == pausedAnnotation && record.EKSA) {
			pause.By, pause.Since = heldBy(record), record.Since
			pause.Resume = unannotate(object, a.name, holdAnnotation)
			if a.name == reconcileAnnotation {
				pause.Resume = undo(object, record)
			}
		}
		pauses = append(pauses, pause)
	}
	return pauses
}

// heldBy says who has set a pause of this program.
func heldBy(record *hold) string {
	if record.By == "" {
		return holdManager
	}
	return fmt.Sprintf("%s (%s)", holdManager, record.By)
}

func unannotate(object *unstructured.Unstructured, annotations ...string) string {
	gone := make([]string, len(annotations))
	for i, annotation := range annotations {
		gone[i] = annotation + "-"
	}
	return shell.Command("kubectl -n %s annotate %s %s %s",
		object.GetNamespace(), resourcesOf(object), object.GetName(), gone)
}

// resourcesOf is the plural of resourceOf for the kinds of EKS Anywhere, all of which are regular.
func resourcesOf(object *unstructured.Unstructured) string {
	resource, group, _ := strings.Cut(resourceOf(object), ".")
	if !strings.HasSuffix(resource, "s") {
		resource += "s"
	}
	return resource + "." + group
}

// setBy says who wrote a field last, and when, as the server keeps account of it (metadata.managedFields).
func setBy(object *unstructured.Unstructured, path ...string) (manager string, when time.Time) {
	for _, entry := range object.GetManagedFields() {
		if entry.Time != nil && entry.Time.After(when) && owns(entry, path) {
			manager, when = entry.Manager, entry.Time.Time
		}
	}
	return manager, when
}

func owns(entry metav1.ManagedFieldsEntry, path []string) bool {
	if entry.FieldsV1 == nil {
		return false
	}
	at := entry.FieldsV1.GetRawBytes()
	for _, name := range path {
		var fields map[string]json.RawMessage
		if json.Unmarshal(at, &fields) != nil {
			return false
		}
		next, ok := fields["f:"+name]
		if !ok {
			return false
		}
		at = next
	}
	return true
}
