package fluxinstall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What is waited for is told at once when there is no answer, else after a second, not more than once in a
// second, and the same not again.
func TestTeller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		teller := teller{server: "https://x", to: func(e RetryEvent) { told = append(told, e.String()) }}
		silence := &url.Error{Op: "Get", URL: "https://x/api", Err: io.EOF}
		conflict := apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "a",
			errors.New("modified"))
		for _, step := range []struct {
			err     error
			failing time.Duration
			pause   time.Duration
		}{
			{conflict, 900 * time.Millisecond, 0},           // may be over in a moment
			{silence, 0, 500 * time.Millisecond},            // told
			{conflict, time.Second, 500 * time.Millisecond}, // too soon after that
			{conflict, time.Second, 0},                      // told
			{silence, time.Second, 30 * time.Second},
			{conflict, time.Second, 31 * time.Second}, // the same
			{conflict, time.Second, 0},                // after a minute, told
		} {
			teller.tell(step.err, step.failing)
			time.Sleep(step.pause)
		}
		busy := `waiting for the API server https://x: Operation cannot be fulfilled on secrets "a": modified`
		if want := []string{"waiting for the API server https://x, which does not answer: EOF", busy,
			busy}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

// The library waits by itself when it is told to; that is told of as well.
func TestTeller_retryAfter(t *testing.T) {
	t.Parallel()
	var requests counter
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests.next() == 1 {
			w.Header().Set("Retry-After", "1")
			status(w, 429, "TooManyRequests", "too many requests, please try again later")
			return
		}
		body(w, someNamespace)
	})
	var told []string
	c.contact.to = func(e RetryEvent) { told = append(told, e.String()) }
	if _, err := c.get(t.Context(), namespaceKind(), "", "a"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"waiting for the API server " + c.server +
		": it asks to wait 1 s (429 Too Many Requests)"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// An API server that reads a kind's objects into its memory just now is asked again before the second is over
// for which it asks, and nothing is told of it. What takes longer is waited for as it asks.
func TestCold(t *testing.T) {
	t.Parallel()
	for _, answers := range []int{1, 4, 5} {
		var requests counter
		c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
			if requests.next() <= answers {
				w.Header().Set("Retry-After", "1")
				status(w, 429, "TooManyRequests", "storage is (re)initializing")
				return
			}
			body(w, someNamespace)
		})
		told := 0
		c.contact.to = func(RetryEvent) { told++ }
		if object, err := c.get(t.Context(), namespaceKind(), "", "a"); err != nil || object == nil {
			t.Errorf("%d answers: %v, %v", answers, object, err)
		}
		if waited := answers > 4; (told > 0) != waited || requests.next() != answers+2 {
			t.Errorf("%d answers: told %d times, asked %d times", answers, told, requests.next()-2)
		}
	}
}

// A time limit that ends while a passing failure is waited out tells of that; without one, of the server that
// has not answered.
func TestRetry_timeLimit(t *testing.T) {
	t.Parallel()
	limit := errors.New("the time limit is over")
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"busy": {
			func(w http.ResponseWriter, _ *http.Request) { status(w, 503, "ServiceUnavailable", "not yet") },
			"the API server %s cannot do this at present: not yet; the time limit is over"},
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"no answer from the API server %s yet: the time limit is over"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := apiServer(t, c.handle)
			cluster.backoff = backoff{first: time.Hour, max: time.Hour, total: time.Hour}
			ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, limit)
			defer cancel()
			_, err := cluster.get(ctx, namespaceKind(), "", "a")
			if want := fmt.Sprintf(c.want, cluster.server); !errors.Is(err, limit) || err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
		})
	}
}

// An API server that cannot ask a webhook says which; the hint says what to look at.
func TestUnavailableError(t *testing.T) {
	t.Parallel()
	for message, hint := range map[string]string{
		`Internal error occurred: failed calling webhook "policy.example.com": refused`: "a " +
			"webhook that has to agree does not answer: look at the controller behind it: kubectl get " +
			"validatingwebhookconfigurations,mutatingwebhookconfigurations",
		"etcdserver: no leader": "run the same command again when the API server is well: kubectl get " +
			"--raw '/readyz?verbose'",
	} {
		cluster := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
			status(w, 500, "InternalError", message)
		})
		cluster.backoff.total = 10 * time.Millisecond
		_, err := cluster.get(t.Context(), namespaceKind(), "", "a")
		unavailable := new(UnavailableError)
		if !errors.As(err, &unavailable) || unavailable.Hint().String() != hint {
			t.Errorf("%v: %q, want %q", err, hintText(unavailable), hint)
		}
	}
}

func hintText(err *UnavailableError) string {
	if err.Err == nil {
		return ""
	}
	return err.Hint().String()
}
