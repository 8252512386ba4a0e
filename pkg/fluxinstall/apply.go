package fluxinstall

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fluxcd/pkg/ssa"
	ssautils "github.com/fluxcd/pkg/ssa/utils"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// applyConcurrency is how many objects are compared with the server at a time: enough to hide the round
// trips, few enough not to be held back by the server's fairness.
const applyConcurrency = 12

// Progress is what is being done or waited for.
type Progress struct{ Message string }

// report calls a progress function that may be nil.
func report(progress func(Progress), format string, args ...any) {
	if progress != nil {
		progress(Progress{Message: fmt.Sprintf(format, args...)})
	}
}

// ChangeSet says what an apply did, by object ("Deployment/flux-system/source-controller"), each list sorted.
// Beside an error it says what was done until then.
type ChangeSet struct {
	Created, Configured, Unchanged []string
}

// Changed is the number of objects that were written.
func (s ChangeSet) Changed() int { return len(s.Created) + len(s.Configured) }

// EnsureComponents applies Flux's installation in stages: namespaces; CRDs and, beside them, cluster roles
// and then the rest; and, when the CRDs are established, Deployments. Only objects that differ from the
// server's dry run are written. It may be repeated. progress may be nil.
func (c *Cluster) EnsureComponents(ctx context.Context, manifests []byte,
	progress func(Progress)) (ChangeSet, error) {
	objects, err := ssautils.ReadObjects(bytes.NewReader(manifests))
	if err != nil {
		return ChangeSet{}, fmt.Errorf("reading Flux's manifests: %w", err)
	}
	stages := stagesOf(objects)
	a := c.applier()
	if err := a.apply(ctx, stages.namespaces); err != nil {
		return a.changes(), err
	}
	report(progress, "applying %d CRDs and %d objects", len(stages.definitions),
		len(stages.roles)+len(stages.objects))
	err = together(
		func() error {
			if err := a.apply(ctx, stages.definitions); err != nil {
				return err
			}
			return c.waitEstablished(ctx, stages.crds)
		},
		func() error {
			if err := a.apply(ctx, stages.roles); err != nil {
				return err
			}
			return a.apply(ctx, stages.objects)
		},
	)
	if err != nil {
		return a.changes(), err
	}
	report(progress, "applying %d controllers", len(stages.workloads))
	// The controllers end when their CRDs are not served, and are started again only after some time.
	err = a.apply(ctx, stages.workloads)
	return a.changes(), err
}

// RemoveComponents deletes those objects of an installation that [Cluster.EnsureComponents] has created, the
// namespace left out, in the reverse of the order in which they were made, and gives their subjects. It is
// for an installation that nothing uses yet. Objects that are gone are no error, and it may be repeated.
func (c *Cluster) RemoveComponents(ctx context.Context, manifests []byte, made ChangeSet) ([]string, error) {
	objects, err := ssautils.ReadObjects(bytes.NewReader(manifests))
	if err != nil {
		return nil, fmt.Errorf("reading Flux's manifests: %w", err)
	}
	stages := stagesOf(objects)
	var removed []string
	for _, object := range slices.Concat(stages.workloads, stages.objects, stages.roles,
		stages.definitions) {
		subject := ssautils.FmtUnstructured(object)
		if !slices.Contains(made.Created, subject) {
			continue
		}
		gvk := object.GroupVersionKind()
		changed, err := c.removeObject(ctx, kind{gvk.Group, gvk.Version, gvk.Kind}, object.GetNamespace(),
			object.GetName())
		if err != nil {
			return removed, err
		}
		if changed {
			removed = append(removed, subject)
		}
	}
	return removed, nil
}

// EnsureSync applies the GitRepository and the Kustomization, and ends their suspension when it is one that
// [Cluster.StopFlux] left; that of somebody else stays. It may be repeated.
func (c *Cluster) EnsureSync(ctx context.Context, manifests []byte) (ChangeSet, error) {
	objects, err := ssautils.ReadObjects(bytes.NewReader(manifests))
	if err != nil {
		return ChangeSet{}, fmt.Errorf("reading the sync manifests: %w", err)
	}
	a := c.applier()
	if err := a.apply(ctx, objects); err != nil {
		return a.changes(), err
	}
	widened, err := c.widenAll(ctx, objects)
	if err != nil {
		return a.changes(), err
	}
	resumed, err := c.resumeAll(ctx, objects)
	changes := a.changes()
	for _, subject := range slices.Concat(widened, resumed) {
		if slices.Contains(changes.Unchanged, subject) {
			changes.Unchanged = slices.DeleteFunc(changes.Unchanged, func(s string) bool {
				return s == subject
			})
			changes.Configured = append(changes.Configured, subject)
		}
	}
	return changes, err
}

// stages are objects in the order in which they need each other. A Deployment whose service account is not
// there yet would be tried again only after some time; a binding to a role that is not there yet is refused
// to those who may not do everything.
type stages struct {
	namespaces, definitions, roles, objects, workloads []*unstructured.Unstructured
	crds                                               []string // names of the definitions
}

func stagesOf(objects []*unstructured.Unstructured) stages {
	var s stages
	for _, object := range objects {
		switch {
		case object.GetKind() == "Namespace":
			s.namespaces = append(s.namespaces, object)
		case ssautils.IsCRD(object):
			s.crds = append(s.crds, object.GetName())
			s.definitions = append(s.definitions, object)
		case ssautils.IsClusterDefinition(object):
			s.roles = append(s.roles, object)
		case object.GetKind() == "Deployment":
			s.workloads = append(s.workloads, object)
		default:
			s.objects = append(s.objects, object)
		}
	}
	return s
}

// applier brings objects to the server and keeps account.
type applier struct {
	cluster *Cluster
	manager *ssa.ResourceManager
	mu      sync.Mutex
	done    ChangeSet
}

func (c *Cluster) applier() *applier {
	return &applier{cluster: c, manager: ssa.NewResourceManager(c.exact, nil,
		ssa.Owner{Field: fieldManager, Group: fieldManagerGroup})}
}

// apply brings objects that do not need each other to the server, several at a time. What fails for a passing
// reason is tried again. After a failure no further object is begun; the error is that of the first one in
// order.
func (a *applier) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	errs := make([]error, len(objects))
	var failed atomic.Bool
	var group crash.Group
	places := make(chan struct{}, applyConcurrency)
	for i, object := range objects {
		places <- struct{}{}
		if errs[i] = context.Cause(ctx); failed.Load() || errs[i] != nil {
			break
		}
		group.Go(func() {
			defer func() { <-places }()
			if errs[i] = a.applyOne(ctx, object); errs[i] != nil {
				failed.Store(true)
			}
		})
	}
	group.Wait()
	return cmp.Or(errs...)
}

func (a *applier) applyOne(ctx context.Context, object *unstructured.Unstructured) error {
	ssautils.RemoveCABundleFromCRD(object)
	return a.cluster.retry(ctx, func() error {
		// A copy, because applying changes the object.
		entry, err := a.write(ctx, object.DeepCopy())
		if err == nil {
			a.record(entry)
		}
		return err
	})
}

// write creates the object, or brings it to what it should be when the server's dry run differs from what is
// there.
func (a *applier) write(ctx context.Context, object *unstructured.Unstructured) (*ssa.ChangeSetEntry, error) {
	there := &metav1.PartialObjectMetadata{}
	there.SetGroupVersionKind(object.GroupVersionKind())
	err := a.cluster.exact.Get(ctx, client.ObjectKeyFromObject(object), there)
	if !apierrors.IsNotFound(err) {
		return a.manager.Apply(ctx, object, ssa.DefaultApplyOptions())
	}
	// What is not there differs; a dry run would only double the server's work.
	entry := &ssa.ChangeSetEntry{Subject: ssautils.FmtUnstructured(object), Action: ssa.CreatedAction}
	err = a.cluster.exact.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.ForceOwnership,
		client.FieldOwner(fieldManager))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", entry.Subject, err)
	}
	return entry, nil
}

func (a *applier) record(entry *ssa.ChangeSetEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch entry.Action {
	case ssa.CreatedAction:
		a.done.Created = append(a.done.Created, entry.Subject)
	case ssa.ConfiguredAction:
		a.done.Configured = append(a.done.Configured, entry.Subject)
	default:
		a.done.Unchanged = append(a.done.Unchanged, entry.Subject)
	}
}

func (a *applier) changes() ChangeSet {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.done.Created)
	slices.Sort(a.done.Configured)
	slices.Sort(a.done.Unchanged)
	return a.done
}

// waitEstablished waits until the API server serves the CRDs, which takes it a moment.
func (c *Cluster) waitEstablished(ctx context.Context, names []string) error {
	waits := make([]func() error, len(names))
	for i, name := range names {
		waits[i] = func() error {
			// It takes some 100 ms, and a watch would begin with all CRDs of the cluster in full.
			return c.retryEvery(ctx,
				backoff{first: establishedFirst, max: establishedMax, total: c.backoff.total}, func() error {
					crd, err := c.fetch(ctx, crdKind(), "", name)
					switch {
					case err != nil:
						return err
					case crd == nil || conditionOf(crd, "Established").Status != "True":
						return notEstablished(name, crd)
					}
					crash.Loose(ctx, func() { c.warm(ctx, crd) })
					return nil
				})
		}
	}
	return together(waits...)
}

// warming marks requests whose answer nobody waits for.
type warming struct{}

// warmLimit bounds such a request.
const warmLimit = time.Second

// warm has the API server read the objects of a new kind into its memory. It does so when it is first asked
// for them, and tells everybody who comes until that is done to come again in a second (Kubernetes' KEP 4568,
// resilient watch cache initialization): Flux's controllers, which are about to start, would lose that
// second. It does not matter how the request ends.
func (c *Cluster) warm(ctx context.Context, crd *unstructured.Unstructured) {
	d, ok := definitionOf(crd)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, warming{}, true), warmLimit)
	defer cancel()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(d.kind.gvk().GroupVersion().WithKind(d.kind.name + "List"))
	_ = c.exact.List(ctx, list, client.Limit(1))
}

// How long after a look a CRD is looked at again.
const (
	establishedFirst = 25 * time.Millisecond
	establishedMax   = 100 * time.Millisecond
)

// notEstablished says what keeps a CRD from being served.
func notEstablished(name string, crd *unstructured.Unstructured) *NotReadyError {
	problem := &NotReadyError{Object: "CustomResourceDefinition " + name, Message: "it is not established",
		Next: hint.Command("kubectl describe crd %s", name), Err: errNotEstablished}
	if crd == nil {
		problem.Message = "somebody deletes it again"
	} else if accepted := conditionOf(crd, "NamesAccepted"); accepted.Status == "False" {
		problem.Reason, problem.Message = accepted.Reason, accepted.Message
	}
	return problem
}
