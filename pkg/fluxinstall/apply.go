package fluxinstall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fluxcd/pkg/ssa"
	ssautils "github.com/fluxcd/pkg/ssa/utils"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// applyConcurrency is how many objects are compared with the server at a time: enough to hide the round trips, few enough not to be
// held back by the server's fairness.
const applyConcurrency = 12

// Progress is what is being done or waited for.
type Progress struct{ Message string }

// ChangeSet says what an apply did, by object ("Deployment/flux-system/source-controller").
type ChangeSet struct {
	Created, Configured, Unchanged []string
}

// Changed is the number of objects that were written.
func (s ChangeSet) Changed() int { return len(s.Created) + len(s.Configured) }

func (s *ChangeSet) add(changes *ssa.ChangeSet) {
	for _, entry := range changes.Entries {
		switch entry.Action {
		case ssa.CreatedAction:
			s.Created = append(s.Created, entry.Subject)
		case ssa.ConfiguredAction:
			s.Configured = append(s.Configured, entry.Subject)
		default:
			s.Unchanged = append(s.Unchanged, entry.Subject)
		}
	}
}

// EnsureComponents applies Flux's installation in stages: namespaces, CRDs and cluster roles first, the rest when the CRDs are
// established. Only objects that differ from the server's dry run are written. It may be repeated.
func (c *Cluster) EnsureComponents(ctx context.Context, manifests []byte, progress func(Progress)) (ChangeSet, error) {
	objects, err := ssautils.ReadObjects(bytes.NewReader(manifests))
	if err != nil {
		return ChangeSet{}, fmt.Errorf("reading Flux's manifests: %w", err)
	}
	var first, rest []*unstructured.Unstructured
	var crds []string
	for _, object := range objects {
		if !ssautils.IsClusterDefinition(object) {
			rest = append(rest, object)
			continue
		}
		first = append(first, object)
		if ssautils.IsCRD(object) {
			crds = append(crds, object.GetName())
		}
	}
	var changes ChangeSet
	progress(Progress{Message: fmt.Sprintf("applying %d definitions", len(first))})
	if err := c.apply(ctx, first, &changes); err != nil {
		return changes, err
	}
	progress(Progress{Message: fmt.Sprintf("waiting for %d CRDs to be established", len(crds))})
	if err := c.waitEstablished(ctx, crds); err != nil {
		return changes, err
	}
	progress(Progress{Message: fmt.Sprintf("applying %d objects", len(rest))})
	return changes, c.apply(ctx, rest, &changes)
}

// EnsureSync applies the GitRepository and the Kustomization. It may be repeated.
func (c *Cluster) EnsureSync(ctx context.Context, manifests []byte) (ChangeSet, error) {
	objects, err := ssautils.ReadObjects(bytes.NewReader(manifests))
	if err != nil {
		return ChangeSet{}, fmt.Errorf("reading the sync manifests: %w", err)
	}
	var changes ChangeSet
	return changes, c.apply(ctx, objects, &changes)
}

// apply brings objects to the server. What fails for a passing reason is tried again; an object that was written by then is found
// unchanged.
func (c *Cluster) apply(ctx context.Context, objects []*unstructured.Unstructured, changes *ChangeSet) error {
	if len(objects) == 0 {
		return nil
	}
	present, err := c.create(ctx, objects, changes)
	if err != nil || len(present) == 0 {
		return err
	}
	manager := ssa.NewResourceManager(c.client, nil, ssa.Owner{Field: fieldManager, Group: fieldManagerGroup})
	manager.SetConcurrency(applyConcurrency)
	return c.retry(ctx, func() error {
		done, err := manager.ApplyAll(ctx, clone(present), ssa.DefaultApplyOptions())
		if err != nil {
			return err
		}
		changes.add(done)
		return nil
	})
}

// create applies the objects that are not there and returns the others. A new object needs no dry run to find out whether it differs,
// which saves most of the requests of a fresh installation. Deployments come last: their pods need the rest.
func (c *Cluster) create(ctx context.Context, objects []*unstructured.Unstructured, changes *ChangeSet) (present []*unstructured.Unstructured, err error) {
	var first, last []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			last = append(last, object)
		} else {
			first = append(first, object)
		}
	}
	for _, wave := range [][]*unstructured.Unstructured{first, last} {
		there := make([]bool, len(wave))
		var group errgroup.Group
		group.SetLimit(applyConcurrency)
		for i, object := range wave {
			group.Go(func() error {
				return c.retry(ctx, func() error {
					existing := &unstructured.Unstructured{}
					existing.SetGroupVersionKind(object.GroupVersionKind())
					err := c.client.Get(ctx, client.ObjectKeyFromObject(object), existing)
					if there[i] = err == nil; err == nil || !apierrors.IsNotFound(err) {
						return err
					}
					return c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner(fieldManager), client.ForceOwnership)
				})
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		for i, object := range wave {
			if there[i] {
				present = append(present, object)
			} else {
				changes.Created = append(changes.Created, ssautils.FmtUnstructured(object))
			}
		}
	}
	return present, nil
}

// clone copies objects, because applying changes them.
func clone(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	copies := make([]*unstructured.Unstructured, len(objects))
	for i, object := range objects {
		copies[i] = object.DeepCopy()
	}
	return copies
}

// The waits between tries: about 0.1, 0.2, 0.4, ... 2 s, in all some 15 s, after which a passing fault is no longer one.
const (
	retryFirst = 100 * time.Millisecond
	retryMax   = 2 * time.Second
	retryTries = 12
)

// retry repeats do while it fails for a passing reason (a server that restarts, a conflict, throttling, a CRD just established).
func (c *Cluster) retry(ctx context.Context, do func() error) error {
	delay := retryFirst
	for try := 1; ; try++ {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || try == retryTries || !(transient(err) || meta.IsNoMatchError(err)) {
			return c.classify(ctx, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(delay):
		}
		delay = min(2*delay, retryMax)
	}
}

// waitEstablished waits until the API server serves the CRDs.
func (c *Cluster) waitEstablished(ctx context.Context, names []string) error {
	pending := slices.Clone(names)
	return c.until(ctx, []watched{{group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition"}}, func() (bool, error) {
		var missing []string
		for _, name := range pending {
			crd, err := c.get(ctx, "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "", name)
			if err != nil {
				return false, err
			}
			if crd == nil {
				return false, fmt.Errorf("CRD %s has gone again: %w", name, errGone)
			}
			if established, ok := conditionOf(crd, "Established"); !ok || established.Status != "True" {
				missing = append(missing, name)
			}
		}
		pending = missing
		return len(pending) == 0, nil
	})
}

// errGone says that somebody deleted what was just applied.
var errGone = errors.New("somebody else deletes it")

// RequestReconcile asks Flux to look at the repository now rather than at its next interval, as `flux reconcile` does. Objects that
// are not there are left out.
func (c *Cluster) RequestReconcile(ctx context.Context, namespace, name string) error {
	for _, kind := range []watched{{group: sourceGroup, version: "v1", kind: "GitRepository"}} {
		object, err := c.get(ctx, kind.group, kind.version, kind.kind, namespace, name)
		if err != nil {
			return err
		}
		if object == nil {
			continue
		}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`, time.Now().Format(time.RFC3339Nano))
		err = c.retry(ctx, func() error {
			return c.client.Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(patch)), client.FieldOwner(fieldManager))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
