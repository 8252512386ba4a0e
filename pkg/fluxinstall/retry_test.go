package fluxinstall

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

const someNamespace = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}`

func TestRetry_passing(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(http.ResponseWriter){
		"leader changes": func(w http.ResponseWriter) {
			status(w, 500, "InternalError", "etcdserver: leader changed")
		},
		"server is busy": func(w http.ResponseWriter) { status(w, 503, "ServiceUnavailable", "not yet") },
		"server times out": func(w http.ResponseWriter) {
			status(w, 504, "Timeout", "request did not complete")
		},
		"conflict": func(w http.ResponseWriter) {
			status(w, 409, "Conflict", "the object has been modified")
		},
		"connection breaks": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests counter
			c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
				switch requests.next() {
				case 1:
					body(w, someNamespace) // from now on the server is one that has answered
				case 2, 3:
					fail(w)
				default:
					body(w, someNamespace)
				}
			})
			for range 2 {
				if ns, err := c.get(t.Context(), namespaceKind(), "", "a"); err != nil ||
					ns.GetName() != "a" {
					t.Fatalf("%v, %v", ns, err)
				}
			}
			if got := requests.n.Load(); got < 4 {
				t.Errorf("%d requests, want at least 4", got)
			}
		})
	}
}

func TestRetry_permanent(t *testing.T) {
	t.Parallel()
	var requests counter
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.next()
		status(w, 403, "Forbidden", "no")
	})
	if _, err := c.get(t.Context(), namespaceKind(), "", "a"); !errors.As(err, new(*ForbiddenError)) {
		t.Errorf("error %v", err)
	}
	if got := requests.n.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestRetry_givesUp(t *testing.T) {
	t.Parallel()
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
		status(w, 409, "Conflict", `Operation cannot be fulfilled on secrets "a"`)
	})
	c.backoff.total = 30 * time.Millisecond
	_, err := c.get(t.Context(), namespaceKind(), "", "a")
	if !errors.As(err, new(*ConflictError)) {
		t.Errorf("error %T %v", err, err)
	}
}

func TestRetry_stopsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
		status(w, 503, "ServiceUnavailable", "not yet")
	})
	c.backoff = backoff{first: time.Hour, max: time.Hour, total: time.Hour}
	if _, err := c.get(ctx, namespaceKind(), "", "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestTransport_introducesItself(t *testing.T) {
	t.Parallel()
	var agent atomic.Value
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		agent.Store(r.UserAgent())
		body(w, someNamespace)
	})
	if _, err := c.get(t.Context(), namespaceKind(), "", "a"); err != nil {
		t.Fatal(err)
	}
	if got := agent.Load(); got != "eksa-gitops/test" {
		t.Errorf("user agent %v", got)
	}
}

// One object is one request: no discovery, no client-side throttling.
func TestGet_oneRequest(t *testing.T) {
	t.Parallel()
	var requests counter
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		requests.next()
		status(w, 404, "NotFound", r.URL.Path)
	})
	kinds := []kind{namespaceKind(), secretKind(), podKind(), deploymentKind(), crdKind(),
		gitRepositoryKind(), kustomizationKind(), clusterKind(), fluxConfigKind(), gitOpsConfigKind(),
		fluxInstanceKind()}
	for _, k := range kinds {
		if object, err := c.get(t.Context(), k, "a", "a"); object != nil || err != nil {
			t.Errorf("%s: %v, %v", k.name, object, err)
		}
	}
	if got := int(requests.n.Load()); got != len(kinds) {
		t.Errorf("%d requests for %d objects", got, len(kinds))
	}
}
