package fluxinstall

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// boundedTransport gives every request but a watch a time limit of its own, the reading of the body included, so that a server that
// accepts connections and says nothing is noticed long before the run's time is over. It also keeps account of contact.
type boundedTransport struct {
	next    http.RoundTripper
	timeout time.Duration
	contact contact
}

// contact is what is known of the way to the API server.
type contact struct {
	answered atomic.Bool  // whether the server has ever answered
	lost     atomic.Int64 // when it last did not, in Unix nanoseconds
}

// warmUp is how long an API server that has just started may refuse everybody: it serves before it has read all roles.
const warmUp = 10 * time.Second

// restarted says whether the server went away a moment ago.
func (c *contact) restarted() bool {
	return c.answered.Load() && time.Since(time.Unix(0, c.lost.Load())) < warmUp
}

// RoundTrip implements http.RoundTripper.
func (t *boundedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := request.Context(), func() {}
	if request.URL.Query().Get("watch") != "true" {
		ctx, cancel = context.WithTimeout(ctx, t.timeout)
	}
	response, err := t.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cancel()
		if request.Context().Err() == nil {
			t.contact.lost.Store(time.Now().UnixNano())
		}
		return nil, err
	}
	t.contact.answered.Store(true)
	response.Body = &cancellingBody{ReadCloser: response.Body, cancel: cancel}
	return response, nil
}

// cancellingBody releases the request's context when its body is closed.
type cancellingBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b *cancellingBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
