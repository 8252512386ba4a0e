package fluxinstall

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rereadAfter is how long until relies on watches alone. A watch can end or miss its kind (a CRD that is not there yet); looking
// again now and then makes that a delay instead of a hang.
const rereadAfter = time.Second

// watched is what to watch: a kind, in one namespace, perhaps one object.
type watched struct {
	group, version, kind string
	namespace, name      string
}

// until calls done at the start and after every change of what is watched, until it says true or fails for good. A passing failure of
// the API server is waited out. The error of a context that ends is its cause.
func (c *Cluster) until(ctx context.Context, kinds []watched, done func() (bool, error)) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan struct{}, 1)
	started := false
	for {
		ok, err := done()
		if err != nil && (ctx.Err() != nil || !transient(err)) {
			return c.classify(ctx, err)
		}
		if ok {
			return nil
		}
		if !started {
			// Watches cost a connection each; what is done at the first look needs none.
			started = true
			for _, kind := range kinds {
				go c.watch(watching, kind, changed)
			}
		}
		reread := time.NewTimer(rereadAfter)
		select {
		case <-ctx.Done():
			reread.Stop()
			return context.Cause(ctx)
		case <-changed:
		case <-reread.C:
		}
		reread.Stop()
	}
}

// watch signals changes until ctx ends, starting over when the server ends the watch.
func (c *Cluster) watch(ctx context.Context, kind watched, changed chan<- struct{}) {
	for ctx.Err() == nil {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.group, Version: kind.version, Kind: kind.kind + "List"})
		options := []client.ListOption{client.InNamespace(kind.namespace)}
		if kind.name != "" {
			options = append(options, client.MatchingFields{"metadata.name": kind.name})
		}
		events, err := c.client.Watch(ctx, list, options...)
		if err == nil {
			for range events.ResultChan() {
				select {
				case changed <- struct{}{}:
				default: // a look is due already
				}
			}
			events.Stop()
		}
		select {
		case <-ctx.Done():
		case <-time.After(rereadAfter):
		}
	}
}
