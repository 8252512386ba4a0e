package fluxinstall

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SetPaused puts the annotation on an object of EKS Anywhere with which EKS Anywhere leaves it alone, or
// takes it off, and says whether that was still to do. It may be repeated. An object that does not exist is
// left so. Of an object that Flux applies, Git has to say the same: Flux brings it back to what Git says.
func (c *Cluster) SetPaused(ctx context.Context, name ObjectName, paused bool) (changed bool, err error) {
	err = c.retry(ctx, func() error {
		object, err := c.fetch(ctx, eksaKind(name.Kind), name.Namespace, name.Name)
		if err != nil || object == nil {
			return err
		}
		_, there := object.GetAnnotations()[pausedAnnotation]
		if paused == isPaused(object) && paused == there {
			return nil
		}
		var value any
		if paused {
			value = "true"
		}
		// With the resource version, what somebody else writes in this moment is looked at first.
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"resourceVersion": object.GetResourceVersion(),
			"annotations":     map[string]any{pausedAnnotation: value},
		}})
		if err != nil {
			return err
		}
		err = client.IgnoreNotFound(c.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch),
			client.FieldOwner(fieldManager)))
		changed = changed || err == nil
		return err
	})
	return changed, err
}
