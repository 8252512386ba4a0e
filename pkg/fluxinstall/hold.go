package fluxinstall

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	shell "github.com/eksa-gitops/eksa-gitops/internal/text"
)

// holdAnnotation is this program's: it says that a pause of Flux on an object is its own, since when, and for
// whom. Its value is the JSON of a hold. A pause without it is somebody else's.
const holdAnnotation = "eksa-gitops/paused"

// holdManager writes pauses. It is not the field manager of everything else, flux, which `flux suspend`
// writes with, too.
const holdManager = "eksa-gitops"

// hold is the record of a pause.
type hold struct {
	Cluster string    `json:"cluster"` // namespace/name of the Cluster whose upgrade it is for
	By      string    `json:"by"`      // user@host
	Since   time.Time `json:"since"`
	// GitOpsRef is the Cluster's reference, which is off for as long as the pause lasts.
	GitOpsRef map[string]any `json:"gitOpsRef,omitempty"`
	// EKSA says that EKS Anywhere is paused by this program, too: for the moment in which it lets the
	// reference change.
	EKSA bool `json:"eksa,omitempty"`
}

// HoldRequest says which objects to keep Flux from for the length of a change that is made past Git.
type HoldRequest struct {
	// Namespace and Cluster name the Cluster object.
	Namespace, Cluster string
	// Objects are the cluster's, the Cluster object among them. Those that do not exist are left out.
	Objects []ObjectName
	// By is who does it: user@host.
	By string
	// Now is when.
	Now time.Time
}

// Held is what [Cluster.Hold] found and did.
type Held struct {
	Objects []string // kind namespace/name of those held by this program, by an earlier run included
	Earlier []Pause  // holds that an earlier run has left
	Foreign []Pause  // pauses that somebody else has set, and which stay
	Undo    []string // the commands that end the holds by hand, in order
	Changed bool
}

// Hold keeps Flux from bringing objects to what Git says, and takes spec.gitOpsRef off the Cluster object,
// until [Cluster.Release]: EKS Anywhere's own upgrade refuses a file without the reference as long as the
// cluster has one. What was taken off is noted in the object, so that every later run can put it back. A
// pause of somebody else is left as it is, and no note is made of it. Objects are changed in their order;
// Hold may be repeated.
//
// The errors are *RefusedError and those of every write. After an error, Release takes back what was done.
func (c *Cluster) Hold(ctx context.Context, request HoldRequest) (Held, error) {
	var held Held
	mark := hold{Cluster: request.Namespace + "/" + request.Cluster, By: request.By,
		Since: request.Now.UTC().Truncate(time.Second)}
	for _, name := range request.Objects {
		var result Held
		err := c.retry(ctx, func() error {
			object, err := c.fetch(ctx, eksaKind(name.Kind), name.Namespace, name.Name)
			if err != nil || object == nil || object.GetDeletionTimestamp() != nil {
				return err
			}
			again, err := c.holdOne(ctx, object, mark)
			again.Changed = again.Changed || result.Changed
			result = again
			return err
		})
		held.Objects = append(held.Objects, result.Objects...)
		held.Earlier = append(held.Earlier, result.Earlier...)
		held.Foreign = append(held.Foreign, result.Foreign...)
		held.Undo = append(held.Undo, result.Undo...)
		held.Changed = held.Changed || result.Changed
		if err != nil {
			return held, err
		}
	}
	return held, nil
}

// holdOne holds one object as it was just read.
func (c *Cluster) holdOne(ctx context.Context, object *unstructured.Unstructured,
	mark hold) (held Held, err error) {
	before := holdOf(object)
	paused := strings.EqualFold(object.GetAnnotations()[reconcileAnnotation], disabled)
	if before != nil && paused {
		held.Earlier = append(held.Earlier, pausesBy(object)...)
		mark = *before
	}
	foreign := before == nil && paused
	if foreign {
		held.Foreign = append(held.Foreign, pausesBy(object)...)
	}
	ref, _, _ := unstructured.NestedMap(object.Object, "spec", "gitOpsRef")
	if object.GetKind() != clusterKind().name || len(ref) == 0 {
		if foreign {
			return held, nil
		}
		held.Objects, held.Undo = []string{objectName(object)}, []string{undo(object, &mark)}
		if before != nil && paused {
			return held, nil
		}
		held.Changed = true
		return held, c.note(ctx, object, map[string]any{reconcileAnnotation: disabled}, &mark, nil)
	}
	mark.GitOpsRef = ref
	held.Objects, held.Undo, held.Changed = []string{objectName(object)}, []string{undo(object, &mark)}, true
	annotations := map[string]any{}
	if !foreign {
		annotations[reconcileAnnotation] = disabled
	}
	return held, c.setGitOpsRef(ctx, object, annotations, &mark, nil)
}

// setGitOpsRef writes annotations, the record and spec.gitOpsRef (nil takes it off) of a Cluster. EKS
// Anywhere's webhook lets the reference of a workload cluster change only while the object is paused: it is,
// for the moment between two writes, the second of which makes the change and takes that pause back. The
// record of the first write tells of it, so that a run that dies in between leaves nothing that the next one
// does not recognise.
func (c *Cluster) setGitOpsRef(ctx context.Context, object *unstructured.Unstructured,
	annotations map[string]any, record *hold, ref map[string]any) error {
	spec := map[string]any{"gitOpsRef": nil}
	if ref != nil {
		spec["gitOpsRef"] = ref
	}
	ours := record != nil && record.EKSA
	if before := holdOf(object); before != nil && before.EKSA {
		ours = true
	}
	if isManaged(object) && !isPaused(object) {
		first := hold{Since: time.Now().UTC().Truncate(time.Second)}
		if before := holdOf(object); before != nil {
			first = *before
		} else if record != nil {
			first = *record
		}
		if record != nil && record.GitOpsRef != nil {
			first.GitOpsRef = record.GitOpsRef
		}
		first.EKSA, ours = true, true
		begin := map[string]any{pausedAnnotation: "true"}
		if annotations[reconcileAnnotation] != nil {
			begin[reconcileAnnotation] = annotations[reconcileAnnotation]
		}
		if err := c.note(ctx, object, begin, &first, nil); err != nil {
			return err
		}
	}
	if ours {
		annotations[pausedAnnotation] = nil
	}
	if record != nil {
		without := *record
		without.EKSA = false
		record = &without
	}
	return c.note(ctx, object, annotations, record, spec)
}

// isManaged says whether another cluster manages a Cluster.
func isManaged(object *unstructured.Unstructured) bool {
	management := text(object, "spec", "managementCluster", "name")
	return management != "" && management != object.GetName()
}

// note writes annotations, the record (nil takes it off) and, if given, parts of the spec, on top of the
// object as it was read. A change by somebody else in the meantime is a conflict.
func (c *Cluster) note(ctx context.Context, object *unstructured.Unstructured, annotations map[string]any,
	record *hold, spec map[string]any) error {
	all := map[string]any{holdAnnotation: nil}
	if record != nil {
		encoded, err := json.Marshal(record)
		if err != nil {
			return err
		}
		all[holdAnnotation] = string(encoded)
	}
	for name, value := range annotations {
		all[name] = value
	}
	change := map[string]any{"metadata": map[string]any{"resourceVersion": object.GetResourceVersion(),
		"annotations": all}}
	if spec != nil {
		change["spec"] = spec
	}
	patch, err := json.Marshal(change)
	if err != nil {
		return err
	}
	// The answer is the object as it is now, with which the next write goes on.
	return c.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch),
		client.FieldOwner(holdManager))
}

// undo is the command that ends a hold by hand. It has to do what Release does.
func undo(object *unstructured.Unstructured, record *hold) string {
	if record.GitOpsRef == nil {
		return unannotate(object, reconcileAnnotation, holdAnnotation)
	}
	annotations := map[string]any{reconcileAnnotation: nil, holdAnnotation: nil}
	first := ""
	if isManaged(object) {
		first = shell.Command("kubectl -n %s annotate --overwrite %s %s %s=true && ",
			object.GetNamespace(), resourcesOf(object), object.GetName(), pausedAnnotation)
		annotations[pausedAnnotation] = nil
	}
	// Maps of strings and nulls can always be encoded.
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations},
		"spec": map[string]any{"gitOpsRef": record.GitOpsRef}})
	return first + shell.Command("kubectl -n %s patch %s %s --type merge -p %s",
		object.GetNamespace(), resourcesOf(object), object.GetName(), string(patch))
}

// holdOf is the record of this program's pause of an object; nil without one that can be read.
func holdOf(object *unstructured.Unstructured) *hold {
	value, ok := object.GetAnnotations()[holdAnnotation]
	if !ok {
		return nil
	}
	var record hold
	if json.Unmarshal([]byte(value), &record) != nil {
		return nil
	}
	return &record
}

// pausesBy are the object's pauses that keep Flux from it.
func pausesBy(object *unstructured.Unstructured) []Pause {
	return slices.DeleteFunc(annotated(object), func(p Pause) bool { return p.Field != reconcileAnnotation })
}

// Release takes back what [Cluster.Hold] did for a cluster, in this run or any earlier one: it puts
// spec.gitOpsRef back unless somebody has done so, and lets Flux work on the objects again. All kinds of EKS
// Anywhere are looked through, as far as that is allowed, since the objects of an earlier run need not be
// those of the present file; objects are those that are looked at in any case. Only pauses with this
// program's note are taken away, and only when they are as it set them. It says whether there was anything to
// do and may be repeated.
func (c *Cluster) Release(ctx context.Context, namespace, cluster string,
	objects []ObjectName) (changed bool, err error) {
	holds, err := c.holds(ctx, namespace, cluster, objects)
	if err != nil {
		return false, err
	}
	for _, found := range holds {
		err := c.retry(ctx, func() error {
			object, err := c.fetch(ctx, eksaKind(found.GetKind()), found.GetNamespace(), found.GetName())
			if err != nil || object == nil {
				return err
			}
			record := holdOf(object)
			if record == nil || record.Cluster != namespace+"/"+cluster {
				return nil
			}
			changed = true
			annotations := map[string]any{}
			if ours(object) {
				annotations[reconcileAnnotation] = nil
			}
			ref, _, _ := unstructured.NestedMap(object.Object, "spec", "gitOpsRef")
			if record.GitOpsRef != nil && len(ref) == 0 {
				return client.IgnoreNotFound(c.setGitOpsRef(ctx, object, annotations, nil, record.GitOpsRef))
			}
			if record.EKSA {
				annotations[pausedAnnotation] = nil
			}
			return client.IgnoreNotFound(c.note(ctx, object, annotations, nil, nil))
		})
		if err != nil {
			return changed, fmt.Errorf("%s: %w", objectName(&found), err)
		}
	}
	return changed, nil
}

// Released is an object as [Cluster.Release] leaves it, worked out without a write: for a dry run. An object
// without a hold is as it was.
func Released(object LiveObject) LiveObject {
	u := &unstructured.Unstructured{Object: object.Fields}
	if holdOf(u) == nil {
		return object
	}
	return liveObject(released(u))
}

// released is a held object without its hold. It has to come to what Release does.
func released(object *unstructured.Unstructured) *unstructured.Unstructured {
	record, after := holdOf(object), object.DeepCopy()
	annotations := after.GetAnnotations()
	delete(annotations, holdAnnotation)
	if ours(object) {
		delete(annotations, reconcileAnnotation)
	}
	if record.EKSA {
		delete(annotations, pausedAnnotation)
	}
	after.SetAnnotations(annotations)
	if ref, _, _ := unstructured.NestedMap(object.Object, "spec", "gitOpsRef"); record.GitOpsRef != nil &&
		len(ref) == 0 {
		// A reference is a map of strings, as it was read from JSON: setting it cannot fail but where spec is
		// no map, which the API server does not let be.
		_ = unstructured.SetNestedMap(after.Object, record.GitOpsRef, "spec", "gitOpsRef")
	}
	return after
}

// ours says whether the pause of an object that carries this program's note is as this program set it: nobody
// has written the annotation since.
func ours(object *unstructured.Unstructured) bool {
	manager, _ := setBy(object, "metadata", "annotations", reconcileAnnotation)
	return object.GetAnnotations()[reconcileAnnotation] == disabled &&
		(manager == holdManager || manager == "")
}

// holds are the objects that carry this program's note for a cluster, the Cluster object last: once that is
// released, nothing else is left. A kind whose objects may not be listed is represented by those that are
// named.
func (c *Cluster) holds(ctx context.Context, namespace, cluster string,
	objects []ObjectName) ([]unstructured.Unstructured, error) {
	kinds := append(eksaKinds(), clusterKind().name)
	lists := make([][]unstructured.Unstructured, len(kinds))
	reads := make([]func() error, 0, len(kinds))
	for i, name := range kinds {
		reads = append(reads, func() (err error) {
			if lists[i], err = c.list(ctx, eksaKind(name), namespace); !isForbidden(err) {
				return err
			}
			for _, o := range objects {
				if o.Kind != name {
					continue
				}
				object, err := c.get(ctx, eksaKind(name), o.Namespace, o.Name)
				if err != nil {
					return err
				}
				if object != nil {
					lists[i] = append(lists[i], *object)
				}
			}
			return nil
		})
	}
	if err := together(reads...); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Concat(lists...), func(object unstructured.Unstructured) bool {
		record := holdOf(&object)
		return record == nil || record.Cluster != namespace+"/"+cluster
	}), nil
}

// AdoptGitOps gives a workload cluster that was made without it its GitOps configuration: config is the
// FluxConfig or GitOpsConfig object, which is created if it does not exist, and which spec.gitOpsRef of the
// Cluster then refers to. A Cluster with a reference is left alone. It says whether there was anything to do
// and may be repeated.
func (c *Cluster) AdoptGitOps(ctx context.Context, namespace, name string,
	config map[string]any) (changed bool, err error) {
	object := &unstructured.Unstructured{Object: config}
	err = c.retry(ctx, func() error {
		there, err := c.fetch(ctx, eksaKind(object.GetKind()), object.GetNamespace(), object.GetName())
		if err != nil || there != nil {
			return err
		}
		err = c.client.Create(ctx, object.DeepCopy(), client.FieldOwner(fieldManager))
		changed = changed || err == nil
		return client.IgnoreAlreadyExists(err)
	})
	if err != nil {
		return changed, err
	}
	ref := map[string]any{"kind": object.GetKind(), "name": object.GetName()}
	err = c.retry(ctx, func() error {
		cluster, err := c.fetch(ctx, clusterKind(), namespace, name)
		if err != nil || cluster == nil {
			return err
		}
		record := holdOf(cluster)
		if text(cluster, "spec", "gitOpsRef", "name") != "" && (record == nil || !record.EKSA) {
			return nil
		}
		changed = true
		if text(cluster, "spec", "gitOpsRef", "name") != "" {
			return c.note(ctx, cluster, map[string]any{pausedAnnotation: nil}, nil, nil)
		}
		return c.setGitOpsRef(ctx, cluster, map[string]any{}, nil, ref)
	})
	return changed, err
}
