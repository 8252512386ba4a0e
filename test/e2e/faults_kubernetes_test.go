package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// apiFaults stand between the program and the API server and answer in its place.
type apiFaults struct {
	around atomic.Pointer[func(answer http.ResponseWriter, r *http.Request, next http.Handler)]
}

// faultyAPIServer puts itself in front of the API server of a world.
func faultyAPIServer(w *world) *apiFaults {
	f := &apiFaults{}
	w.env["KUBECONFIG"] = w.proxy(f.wrap)
	return f
}

func (f *apiFaults) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if around := f.around.Load(); around != nil {
			(*around)(answer, r, next)
			return
		}
		next.ServeHTTP(answer, r)
	})
}

// strike has requests of a method and with a part of a path answered so many times, and all for 0.
func (f *apiFaults) strike(method, path string, times int64, answer http.HandlerFunc) (off func()) {
	var struck atomic.Int64
	around := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != method || !strings.Contains(r.URL.Path, path) || r.URL.Query().Has("dryRun") ||
			times > 0 && struck.Add(1) > times {
			next.ServeHTTP(w, r)
			return
		}
		answer(w, r)
	}
	f.around.Store(&around)
	return func() { f.around.Store(nil) }
}

// refusing answers as the API server does.
func refusing(code int, reason metav1.StatusReason, message string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		seconds, _ := strconv.Atoi(w.Header().Get("Retry-After"))
		_ = json.NewEncoder(w).
			Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
				Status: "Failure", Code: int32(code), Reason: reason, Message: message,
				Details: &metav1.StatusDetails{RetryAfterSeconds: int32(seconds)}})
	}
}

// TestFaults_kubernetes: what goes wrong at the API server while a changed cluster is pushed and Flux is
// asked to look.
func TestFaults_kubernetes(t *testing.T) {
	w := newWorldIn(t, withDev())
	api := faultyAPIServer(w)
	s := stackOf(t)
	count := 1
	changed := func(strike func(*testing.T) func()) func(*testing.T, *world) func() {
		return func(t *testing.T, w *world) func() {
			count++
			w.write("dev.yaml", spec(t, "dev.yaml", "count: 1 ", fmt.Sprintf("count: %d ", count)))
			return strike(t)
		}
	}
	const source = "/gitrepositories/flux-system"
	at := func(method, path string, times int64, answer http.HandlerFunc) func(*testing.T, *world) func() {
		return changed(func(*testing.T) func() { return api.strike(method, path, times, answer) })
	}
	modified := refusing(409, metav1.StatusReasonConflict,
		"the object has been modified; please apply your changes to the latest version and try again")
	upgrade, limited := []string{"upgrade", "cluster", "-f", "dev.yaml"},
		[]string{"upgrade", "cluster", "-f", "dev.yaml", "--timeout", "10s"}
	const goOn = "finished steps are kept; continue with: eksa-gitops upgrade cluster -f dev.yaml"
	for _, f := range []fault{
		{name: "API server restarts", waits: true,
			tells: []string{"waiting for the API server https://", ", which does not answer: "},
			strike: changed(func(t *testing.T) func() {
				var off func()
				back := make(chan error, 1)
				off = api.strike("PATCH", source, 1, func(http.ResponseWriter, *http.Request) {
					off()
					if err := s.StopAPIServer(); err != nil {
						t.Error(err)
					}
					time.AfterFunc(2*time.Second, func() { back <- s.StartAPIServer(t.Context()) })
					panic(http.ErrAbortHandler)
				})
				return func() {
					if err := <-back; err != nil {
						t.Error(err)
					}
				}
			})},
		{name: "429 with Retry-After",
			waits: true, tells: []string{"it asks to wait 1 s (429 Too Many Requests)"},
			strike: at("PATCH", source, 1, refusing(429, metav1.StatusReasonTooManyRequests,
				"too many requests, please try again later", "Retry-After", "1"))},
		{name: "409", strike: at("PATCH", source, 1, modified)},
		{name: "409 that stays", waits: true, code: 5, args: limited, again: upgrade,
			strike: at("PATCH", source, 0, modified),
			tells: []string{"asking Flux to look at the repository now: somebody else writes the same " +
				"object: the object has been modified", "the time limit of 10s is over"}},
		{name: "500", strike: at("PATCH", source, 2,
			refusing(500, metav1.StatusReasonInternalError, "etcdserver: leader changed"))},
		{name: "503", strike: at("GET", "/clusters/dev", 2,
			refusing(503, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down"))},
		{name: "webhook down", waits: true, code: 5, args: limited, again: upgrade,
			strike: at("PATCH", source, 0, refusing(500, metav1.StatusReasonInternalError,
				`Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: connection refused`)),
			tells: []string{
				`cannot do this at present: Internal error occurred: failed calling webhook "policy.example.com"`,
				"the time limit of 10s is over",
				"a webhook that has to agree does not answer: look at the controller behind it: kubectl " +
					"get validatingwebhookconfigurations,mutatingwebhookconfigurations"}},
		{name: "webhook refuses", code: 4,
			strike: at("PATCH", source, 0, refusing(403, metav1.StatusReasonForbidden,
				`admission webhook "policy.example.com" denied the request: only on weekdays`)),
			tells: []string{
				`rejected the object: admission webhook "policy.example.com" denied the request: only on weekdays`,
				goOn}},
		{name: "right taken away", code: 4,
			strike: at("PATCH", source, 0, refusing(403, metav1.StatusReasonForbidden,
				`gitrepositories.source.toolkit.fluxcd.io "flux-system" is forbidden: User "operator" cannot patch resource "gitrepositories" in API group "source.toolkit.fluxcd.io" in the namespace "flux-system"`)),
			tells: []string{`the user needs a Role in namespace flux-system with the rule: apiGroups ["source.toolkit.fluxcd.io"], resources ["gitrepositories"], verbs ["patch"]`,
				goOn}},
		{name: "401", code: 4,
			strike: at("PATCH", source, 0, refusing(401, metav1.StatusReasonUnauthorized, "Unauthorized")),
			tells: []string{"does not accept the credentials of KUBECONFIG=" + w.env["KUBECONFIG"] +
				": Unauthorized",
				goOn}},
		{name: "no answer", code: 1, args: limited, again: upgrade, writesNothing: true,
			strike: at("GET", "/", 0, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
			tells: []string{"looking at the management cluster: no answer from the API server https://",
				"yet: the time limit of 10s is over"}},
		{name: "answer cut off", waits: true, tells: []string{", which does not answer: "},
			strike: at("PATCH", source, 1, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write([]byte(`{"kind":`))
				panic(http.ErrAbortHandler)
			})},
	} {
		if f.args == nil {
			f.args = upgrade
		}
		t.Run(f.name, func(t *testing.T) { f.try(t, w) })
	}
}

// notEstablished is a definition, as the API server gives it, that is not served yet.
func notEstablished(definition []byte) []byte {
	var object map[string]any
	if json.Unmarshal(definition, &object) != nil || object["kind"] != "CustomResourceDefinition" {
		return definition
	}
	conditions, _, _ := unstructured.NestedSlice(object, "status", "conditions")
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok && condition["type"] == "Established" {
			condition["status"] = "False"
		}
	}
	_ = unstructured.SetNestedSlice(object, conditions, "status", "conditions")
	changed, err := json.Marshal(object)
	if err != nil {
		return definition
	}
	return changed
}

// TestFaults_create: what a creation from nothing meets besides. GitHub shows the new repository late; the
// namespace is still being deleted by an earlier removal, and one of Flux's definitions is slow to be
// established.
func TestFaults_create(t *testing.T) {
	w := newWorld(t)
	w.gh.SetCreationLag(githubtest.Lag{Reads: 2, Writes: 2, Git: 2})
	api := faultyAPIServer(w)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "flux-system"}}
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "held",
		Finalizers: []string{"example.com/hold"}}}
	c := stackOf(t).Client()
	for _, err := range []error{c.Create(t.Context(), namespace), c.Create(t.Context(), held),
		c.Delete(t.Context(), namespace)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var looks, reads atomic.Int64
	released := make(chan error, 1)
	around := func(answer http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/api/v1/namespaces/flux-system" &&
			looks.Add(1) == 8:
			go func() {
				released <- c.Patch(t.Context(), held,
					client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
			}()
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path,
			"/customresourcedefinitions/gitrepositories.source.toolkit.fluxcd.io") &&
			reads.Add(1) < 6:
			r.Header.Del("Accept-Encoding")
			recorder := httptest.NewRecorder()
			next.ServeHTTP(recorder, r)
			answer.Header().Set("Content-Type", recorder.Header().Get("Content-Type"))
			answer.WriteHeader(recorder.Code)
			_, _ = answer.Write(notEstablished(recorder.Body.Bytes()))
			return
		}
		next.ServeHTTP(answer, r)
	}
	api.around.Store(&around)
	out := w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
	out.tells("for GitHub: ", "then try 2 of ", "waiting for the API server https://",
		"Namespace flux-system is not ready (Terminating): it is being deleted")
	if err := <-released; err != nil {
		t.Error(err)
	}
	if n := reads.Load(); n < 6 {
		t.Errorf("the definition was looked at %d times, want 6: it was not waited for", n)
	}
	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()
}
