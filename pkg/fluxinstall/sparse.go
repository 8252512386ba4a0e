package fluxinstall

import (
	"context"

	ssautils "github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// widenAll takes spec.sparseCheckout off live GitRepositories whose manifests have none, and returns those
// that it changed. Server-side apply leaves the field there, since kustomize-controller has set it; and
// kustomize-controller takes it off only when it can apply the path, which it cannot for want of what is not
// fetched.
func (c *Cluster) widenAll(
	ctx context.Context, objects []*unstructured.Unstructured,
) (widened []string, err error) {
	for _, object := range objects {
		wanted, _, _ := unstructured.NestedSlice(object.Object, "spec", "sparseCheckout")
		ours := object.GetKind() == gitRepositoryKind().name && object.GetName() == object.GetNamespace()
		if !ours || len(wanted) > 0 {
			continue
		}
		without := func(live *unstructured.Unstructured) map[string]any {
			there, _, _ := unstructured.NestedSlice(live.Object, "spec", "sparseCheckout")
			if len(there) == 0 {
				return nil
			}
			return map[string]any{"spec": map[string]any{"sparseCheckout": nil}}
		}
		changed, err := c.mergeDifference(ctx, gitRepositoryKind(), object.GetNamespace(), without)
		if err != nil {
			return widened, err
		}
		if changed {
			widened = append(widened, ssautils.FmtUnstructured(object))
		}
	}
	return widened, nil
}
