package fluxinstall

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// requestedAt makes Flux's controllers look at an object now; any new value will do.
const requestedAt = "reconcile.fluxcd.io/requestedAt"

// RequestReconcile asks Flux to look at the repository now rather than at its next interval, as `flux
// reconcile` does. A Kustomization that failed is asked to try again, too: left alone, it does so only at its
// interval, ten minutes. One that is well applies a new commit as soon as it is fetched; asking it now would
// only have it apply the old one once more. Objects that are not there are left out.
func (c *Cluster) RequestReconcile(ctx context.Context, namespace, name string) error {
	var git, ks *unstructured.Unstructured
	err := together(
		func() (err error) { git, err = c.get(ctx, gitRepositoryKind(), namespace, name); return err },
		func() (err error) { ks, err = c.get(ctx, kustomizationKind(), namespace, name); return err },
	)
	if err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, requestedAt,
		time.Now().Format(time.RFC3339Nano))
	for _, object := range []*unstructured.Unstructured{git, ks} {
		if object == nil || object == ks && conditionOf(ks, "Ready").Status != "False" {
			continue
		}
		err := c.retry(ctx, func() error {
			return client.IgnoreNotFound(c.client.Patch(ctx, object,
				client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldManager)))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
