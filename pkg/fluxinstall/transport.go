package fluxinstall

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
)

// boundedTransport gives every request but a watch a time limit of its own, the reading of the body included,
// so that a server that accepts connections and says nothing is noticed long before the run's time is over.
// It also keeps account of contact.
type boundedTransport struct {
	next    http.RoundTripper
	timeout time.Duration
	proxy   func(*http.Request) (*url.URL, error) // for what its errors must not show
	contact contact
}

// maxAnswer bounds one answer in bytes, those of watches apart. A list of 10,000 clusters has about 100 MB.
const maxAnswer = 1 << 30

// contact is what is known of the way to the API server.
type contact struct {
	teller
	answered atomic.Bool  // whether the server has ever answered
	lost     atomic.Int64 // when it last did not, in Unix nanoseconds
}

// warmUp is how long an API server that has just started may refuse everybody: it serves before it has read
// all roles, which has been seen to take more than ten seconds on a busy machine.
const warmUp = 30 * time.Second

// restarted says whether the server went away a moment ago.
func (c *contact) restarted() bool {
	return c.answered.Load() && time.Since(time.Unix(0, c.lost.Load())) < warmUp
}

// RoundTrip implements http.RoundTripper.
func (t *boundedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	passed(request.Context())
	ctx, cancel := request.Context(), func() {}
	if !isWatch(request) {
		ctx, cancel = context.WithTimeout(ctx, t.timeout)
	}
	response, err := t.next.RoundTrip(request.WithContext(ctx))
	for wait := coldFirst; err == nil && wait <= coldMax && isCold(request, response); wait *= 2 {
		response.Body.Close()
		if err = sleep.For(ctx, wait); err == nil {
			response, err = t.next.RoundTrip(request.Clone(ctx))
		}
	}
	if err != nil {
		cancel()
		if request.Context().Err() == nil {
			t.contact.lost.Store(time.Now().UnixNano())
		}
		return nil, t.discreet(request, err)
	}
	t.contact.answered.Store(true)
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil &&
		response.StatusCode >= http.StatusBadRequest && request.Context().Value(warming{}) == nil {
		// The client library does as it is told, and says nothing about it.
		t.contact.tell(fmt.Errorf("it asks to wait %d s (%s)", seconds, response.Status), silentFor)
	}
	response.Body = &cancellingBody{ReadCloser: response.Body, cancel: cancel, left: maxAnswer,
		endless: isWatch(request)}
	return response, nil
}

// How long after the answer that an API server does not have a kind's objects in its memory yet it is asked
// again. It takes some 100 ms to read them; the second that it asks everybody to wait, however many there
// are, is waited after these.
const (
	coldFirst = 50 * time.Millisecond
	coldMax   = 400 * time.Millisecond
)

// isCold says whether that is the answer to a question (Kubernetes, k8s.io/apiserver, pkg/storage/cacher,
// since KEP 4568). It leaves the answer as it was. An API server that has too much to do says something else.
func isCold(request *http.Request, response *http.Response) bool {
	if request.Method != http.MethodGet || response.StatusCode != http.StatusTooManyRequests {
		return false
	}
	const most = 4096
	said, err := io.ReadAll(io.LimitReader(response.Body, most))
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(said), response.Body), response.Body}
	return err == nil && bytes.Contains(said, []byte("storage is (re)initializing"))
}

func isWatch(request *http.Request) bool { return request.URL.Query().Get("watch") == "true" }

// discreet takes the password of a proxy out of an error: a proxy that refuses may repeat it.
func (t *boundedTransport) discreet(request *http.Request, err error) error {
	if t.proxy == nil {
		return err
	}
	address, failed := t.proxy(request)
	if failed != nil || address == nil || address.User == nil {
		return err
	}
	if text := redact.New(redact.AddressSecrets(address.String())...).Text(err.Error()); text != err.Error() {
		return &hiddenError{text, err}
	}
	return err
}

// hiddenError is an error whose text had a secret in it.
type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.err }

// stayOnHost refuses redirects to anywhere else: an API server sends none, and the credentials, which are
// added to every request, are for it alone.
func stayOnHost(request *http.Request, via []*http.Request) error {
	first := via[0].URL
	if request.URL.Scheme != first.Scheme || request.URL.Host != first.Host {
		return &redirectError{to: request.URL.Host}
	}
	if len(via) >= maxRedirects {
		return &redirectError{}
	}
	return nil
}

// redirectError is a redirect that is not followed; trying again does not change it.
type redirectError struct{ to string }

func (e *redirectError) Error() string {
	if e.to == "" {
		return "the API server redirects without end"
	}
	return fmt.Sprintf("the API server redirects to another host, %s, where the credentials are not sent",
		e.to)
}

// maxRedirects is how often the API server may send us on.
const maxRedirects = 5

// cancellingBody releases the request's context when its body is closed, and ends an answer that is too long.
type cancellingBody struct {
	io.ReadCloser
	cancel  context.CancelFunc
	left    int64 // bytes that may still come
	endless bool  // no limit
}

// Read implements io.Reader.
func (b *cancellingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 && !b.endless {
		return 0, fmt.Errorf("the API server's answer is longer than %d MiB", maxAnswer>>20)
	}
	return n, err
}

// Close implements io.Closer.
func (b *cancellingBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
