package fluxinstall

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
)

// backoff says how often a request that failed for a passing reason is tried again.
type backoff struct {
	first, max time.Duration // the waits grow from first to max, each shortened by up to a half at random
	total      time.Duration // after which a passing failure is no longer one
}

// defaultBackoff outlasts the restart of an API server on a machine (some 10 s) and of a webhook's pod.
func defaultBackoff() backoff {
	return backoff{first: 100 * time.Millisecond, max: 2 * time.Second, total: 30 * time.Second}
}

// retry repeats do while it fails for a passing reason: a server that restarts, throttling, a conflict, a CRD
// or a webhook that is not served yet. Its error is classified.
func (c *Cluster) retry(ctx context.Context, do func() error) error {
	return c.retryEvery(ctx, c.backoff, do)
}

func (c *Cluster) retryEvery(ctx context.Context, every backoff, do func() error) error {
	start := time.Now()
	var last error // the passing failure of an earlier try
	for delay := every.first; ; delay = min(2*delay, every.max) {
		err := do()
		switch {
		case err != nil && ctx.Err() != nil:
			if errors.As(err, new(*CredentialsError)) {
				last = err
			}
			return c.cutOff(ctx, last)
		case err == nil || !c.passing(err) || time.Since(start) >= every.total:
			return c.classify(ctx, err)
		}
		c.contact.tell(err, time.Since(start))
		last = err
		if sleep.For(ctx, delay/2+rand.N(delay/2+1)) != nil {
			return c.cutOff(ctx, last)
		}
	}
}

// cutOff is the error of a request whose context is over; last is the passing failure that was waited out
// until then, nil for none. That, and not the time limit, is what the user can do something about.
func (c *Cluster) cutOff(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	switch {
	case !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return cause
	case last == nil:
		return fmt.Errorf("no answer from the API server %s yet: %w", c.server, cause)
	}
	return fmt.Errorf("%w; %w", c.classify(context.WithoutCancel(ctx), last), cause)
}

// RetryEvent tells that the API server does not do at the moment what it is asked for, and that it is asked
// again.
type RetryEvent struct {
	Server string
	Err    error
}

// String says what is waited for, for people.
func (e RetryEvent) String() string {
	if isNetwork(e.Err) {
		return fmt.Sprintf("waiting for the API server %s, which does not answer: %v",
			e.Server, innermost(e.Err))
	}
	return fmt.Sprintf("waiting for the API server %s: %v", e.Server, e.Err)
}

const (
	// silentFor is how long a request fails before that is news: conflicts and definitions that are being
	// established pass in a moment.
	silentFor = time.Second
	// tellEvery keeps requests that fail side by side from telling of each.
	tellEvery = time.Second
	// tellAgain is after how long the same is told again.
	tellAgain = time.Minute
)

// teller passes on what is waited for, at most one thing every second.
type teller struct {
	server string
	to     func(RetryEvent) // nil for nobody

	mu   sync.Mutex
	last time.Time
	told string
}

// tell tells of a passing failure of a request that has failed for some time. That there is no answer is news
// at once.
func (t *teller) tell(err error, failing time.Duration) {
	if t.to == nil || (failing < silentFor && !isNetwork(err)) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now, event := time.Now(), RetryEvent{t.server, err}
	pause := tellEvery
	if event.String() == t.told {
		pause = tellAgain
	}
	if t.last.IsZero() || now.Sub(t.last) >= pause {
		t.last, t.told = now, event.String()
		t.to(event)
	}
}

// passing says whether the same request may succeed a moment later. That there is no answer counts only for a
// server that has answered before and so is restarting: an address that never answered is most likely wrong,
// and the user waits for that news. A server that restarts refuses everybody at first.
func (c *Cluster) passing(err error) bool {
	switch {
	case isNetwork(err):
		return c.contact.answered.Load() && !errors.As(err, new(*tls.CertificateVerificationError)) &&
			!errors.As(err, new(*redirectError))
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return true
	case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
		return c.contact.restarted()
	}
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsConflict(err) ||
		meta.IsNoMatchError(err) || errors.Is(err, errTerminating) || errors.Is(err, errNotEstablished)
}

// isNetwork says whether a request did not get an answer at all.
func isNetwork(err error) bool {
	if err == nil || errors.As(err, new(apierrors.APIStatus)) || errors.As(err, new(*CredentialsError)) {
		return false
	}
	return errors.As(err, new(*url.Error)) || errors.As(err, new(net.Error)) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) ||
		// The HTTP/2 client reports a lost connection without a type.
		strings.Contains(err.Error(), "http2: client connection lost")
}
