package fluxinstall

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
)

// Waiting relies on watches. A watch can miss its kind (a CRD that is not there yet) or die unnoticed in a
// middlebox; looking again now and then makes that a delay instead of a hang.
const (
	rereadWithout = time.Second      // while not all watches run
	rereadWith    = 15 * time.Second // while they do
)

// watched is what to watch: a kind, in one namespace, perhaps one object.
type watched struct {
	kind            kind
	namespace, name string
}

// until calls look at the start and after every change of what is watched, until it says true or fails for
// good. A passing failure of the API server is waited out. A context that ends gives its cause; when the
// server did not answer by then, a time limit gives an *UnreachableError that wraps the cause.
func (c *Cluster) until(ctx context.Context, objects []watched, look func() (bool, error)) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan struct{}, 1)
	var running atomic.Int32
	started := false
	var last error
	well := time.Now() // when a look last succeeded
	for delay := c.backoff.first; ; {
		done, err := look()
		if err != nil && ctx.Err() == nil && !c.passing(err) {
			return c.classify(ctx, err)
		}
		if err == nil && done {
			return nil
		}
		if err == nil {
			well = time.Now()
		}
		next := rereadWithout
		switch {
		case err != nil:
			// The library tries reads again by itself; one that was under way when the time was up says what
			// came before.
			if ctx.Err() == nil || strings.Contains(err.Error(), "error from a previous attempt") {
				last = err
			}
			if ctx.Err() == nil {
				c.contact.tell(err, time.Since(well))
			}
			next, delay = delay, min(2*delay, c.backoff.max)
		case !started:
			// Watches cost a stream each; what is done at the first look needs none.
			started, last = true, nil
			for _, object := range objects {
				crash.Loose(watching, func() { c.watch(watching, object, changed, &running) })
			}
		default:
			last, delay = nil, c.backoff.first
			if int(running.Load()) == len(objects) {
				next = rereadWith
			}
		}
		if !wait(ctx, changed, next) {
			return c.ended(ctx, last)
		}
	}
}

// ended is the error of a wait whose context is over; last is why the API server could not be read, or nil.
func (c *Cluster) ended(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	if last != nil && isNetwork(last) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &UnreachableError{Server: c.server, Origin: c.origin,
			Err: fmt.Errorf("%w (%w)", innermost(last), cause)}
	}
	return cause
}

// wait returns true when something changed or the time is over, and false when the context is.
func wait(ctx context.Context, changed <-chan struct{}, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
		return true
	case <-timer.C:
		return true
	}
}

// watch signals changes until ctx ends, starting over when the server ends the watch. The server begins every
// watch with the objects that are there, so nothing is missed in between.
func (c *Cluster) watch(ctx context.Context, object watched, changed chan<- struct{}, running *atomic.Int32) {
	options := []client.ListOption{client.InNamespace(object.namespace)}
	if object.name != "" {
		options = append(options, client.MatchingFields{"metadata.name": object.name})
	}
	for ctx.Err() == nil {
		events, err := c.client.Watch(ctx, object.kind.objectList(), options...)
		if err == nil {
			running.Add(1)
			for range events.ResultChan() {
				select {
				case changed <- struct{}{}:
				default: // a look is due already
				}
			}
			running.Add(-1)
			events.Stop()
			if ctx.Err() == nil {
				// Perhaps the server went away; perhaps it only ended the watch, which it does now and then.
				c.contact.lost.Store(time.Now().UnixNano())
			}
		}
		if sleep.For(ctx, rereadWithout) != nil {
			return
		}
	}
}
