package fluxinstall

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// boundedTransport gives every request but a watch a time limit of its own, the reading of the body included, so that a server that
// accepts connections and says nothing is noticed long before the run's time is over. It also notes when the server has answered.
type boundedTransport struct {
	next     http.RoundTripper
	timeout  time.Duration
	answered atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (t *boundedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Query().Get("watch") == "true" {
		return t.next.RoundTrip(request)
	}
	ctx, cancel := context.WithTimeout(request.Context(), t.timeout)
	response, err := t.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	t.answered.Store(true)
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
