package fluxinstall

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// Every kind of refusal, in the API server's own words.
func TestClassify_answers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code            int
		reason, message string
		wantType        any
		wantHint        string
	}{
		"unauthorized": {
			401, "Unauthorized", "Unauthorized", new(*ForbiddenError),
			"use a kubeconfig whose user administers the cluster",
		},
		"right missing, cluster scope": {
			403, "Forbidden", `clusters.anywhere.eks.amazonaws.com is forbidden: User "dev" cannot list resource "clusters" in API group "anywhere.eks.amazonaws.com" at the cluster scope`,
			new(*ForbiddenError), `the user needs a ClusterRole with the rule: apiGroups ["anywhere.eks.amazonaws.com"], resources ["clusters"], verbs ["list"]`,
		},
		"right missing, namespace": {
			403, "Forbidden", `secrets "flux-system" is forbidden: User "dev" cannot get resource "secrets" in API group "" in the namespace "flux-system"`,
			new(*ForbiddenError), `the user needs a Role in namespace flux-system with the rule: apiGroups [""], resources ["secrets"], verbs ["get"]`,
		},
		"privilege escalation": {
			403, "Forbidden",
			`clusterrolebindings.rbac.authorization.k8s.io "cluster-reconciler-flux-system" is forbidden: user "dev" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:`,
			new(*ForbiddenError), "Flux is given cluster-admin, which only a user who has it can give: use " +
				"a kubeconfig whose user is bound to ClusterRole cluster-admin",
		},
		"webhook": {
			403, "Forbidden",
			`admission webhook "validation.cluster.anywhere.amazonaws.com" denied the request: Cluster.anywhere.eks.amazonaws.com "mgmt" is invalid: spec.datacenterRef: Forbidden: field is immutable`,
			new(*RefusedError), "EKS Anywhere does not allow spec.datacenterRef to change on a cluster " +
				"that exists: put the old value back in Git",
		},
		"quota": {
			403, "Forbidden", `pods "a" is forbidden: exceeded quota: critical-pods, requested: pods=1, used: pods=1000, limited: pods=1000`,
			new(*RefusedError), "a resource quota of the namespace is used up",
		},
		"invalid": {
			422, "Invalid",
			`Deployment.apps "source-controller" is invalid: spec.selector: Invalid value: {}: field is immutable`,
			new(*RefusedError), "this field cannot change on an object that exists: put the old value " +
				"back, or delete the object so that it is created again",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
				status(w, test.code, test.reason, test.message)
			})
			_, err := c.get(t.Context(), namespaceKind(), "", "flux-system")
			if !errors.As(err, test.wantType) {
				t.Fatalf("error %T %v, want %T", err, err, test.wantType)
			}
			if !strings.Contains(err.Error(), test.message) {
				t.Errorf("%q does not contain the server's words", err)
			}
			if got := hint.Of(err).String(); got != test.wantHint {
				t.Errorf("hint %q, want %q", got, test.wantHint)
			}
		})
	}
}

func TestClassify_right(t *testing.T) {
	t.Parallel()
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
		status(w, 403, "Forbidden", `deployments.apps "source-controller" is forbidden: User "dev" cannot patch resource "deployments" in API group "apps" in the namespace "gitops"`)
	})
	_, err := c.get(t.Context(), deploymentKind(), "gitops", "source-controller")
	var refused *ForbiddenError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v", err)
	}
	if refused.Verb != "patch" || refused.Resource != "deployments" || refused.Group != "apps" ||
		refused.Namespace != "gitops" || refused.Unknown || refused.Escalation {
		t.Errorf("right %+v", refused)
	}
}

func TestClassify_noAnswer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // it would note the refused handshake
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	for name, test := range map[string]struct{ url, message, hint string }{
		"nobody listens": {closed, "connection refused", "check that the cluster is up and this machine " +
			"can reach it: kubectl get --raw /readyz, with the same kubeconfig"},
		"unknown name": {"https://nowhere.invalid:6443", "", "the name nowhere.invalid cannot be resolved " +
			"from this machine: look at the kubeconfig's server address and at DNS"},
		"certificate": {untrusted.URL, "certificate",
			"the certificate is not the one the kubeconfig trusts: the cluster was created again, or " +
				"something in between answers; fetch a fresh kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := connectTo(t, test.url).Inspect(t.Context(), InspectOptions{})
			var unreachable *UnreachableError
			if !errors.As(err, &unreachable) {
				t.Fatalf("error %T %v", err, err)
			}
			if !strings.HasPrefix(err.Error(),
				"the API server "+test.url+" (from the test) cannot be reached: ") ||
				!strings.Contains(err.Error(), test.message) {
				t.Errorf("error %v", err)
			}
			if unreachable.Hint() != test.hint {
				t.Errorf("hint %q, want %q", unreachable.Hint(), test.hint)
			}
			// An address that never answered is news, not something to try for half a minute.
			if took := time.Since(began); took > oneTry {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// oneTry is far more than one try takes on a busy machine, and less than trying again would.
const oneTry = 4 * time.Second

// A server that takes connections and says nothing is noticed after the time limit of one request.
func TestClassify_silence(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	c, err := newCluster(&rest.Config{Host: server.URL}, "test", 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.get(t.Context(), namespaceKind(), "", "a")
	if !errors.As(err, new(*UnreachableError)) {
		t.Errorf("error %T %v", err, err)
	}
}

func TestClassify_contextEnds(t *testing.T) {
	t.Parallel()
	cause := errors.New("the user pressed a key")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel(cause)
		status(w, 500, "InternalError", "etcdserver: leader changed")
	})
	if _, err := c.get(ctx, namespaceKind(), "", "a"); !errors.Is(err, cause) {
		t.Errorf("error %v, want the context's cause", err)
	}
}

func TestNotReadyError(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]*NotReadyError{
		"Kustomization flux-system/flux-system is not ready": {
			Object: "Kustomization flux-system/flux-system"},
		"Cluster default/dev is not ready (Paused)": {Object: "Cluster default/dev", Reason: "Paused"},
		"Cluster default/dev is not ready (Paused): it is; which means it stays": {
			Object: "Cluster default/dev", Reason: "Paused", Message: "it is", Cause: "which means it stays"},
		"GitRepository a/b is not ready: it has fetched nothing yet; the branch is not there": {
			Object: "GitRepository a/b", Message: "it has fetched nothing yet\n",
			Cause: "the branch is not there"},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// New objects in a namespace that is being deleted are refused as "forbidden": that passes, and is no missing
// right.
func TestClassify_namespaceTerminating(t *testing.T) {
	t.Parallel()
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(403)
		_, _ = io.WriteString(w,
			`{"kind":"Status","apiVersion":"v1","status":"Failure","code":403,"reason":"Forbidden",
			"message":"secrets \"a\" is forbidden: unable to create new content in namespace gitops because it is being terminated",
			"details":{"name":"a","kind":"secrets","causes":[{"reason":"NamespaceTerminating","message":"namespace gitops is being terminated"}]}}`)
	})
	_, err := c.fetch(t.Context(), secretKind(), "gitops", "a")
	if !c.passing(err) {
		t.Error("it does not pass")
	}
	var notReady *NotReadyError
	if err := c.classify(t.Context(), err); !errors.As(err, &notReady) || notReady.Reason != "Terminating" {
		t.Errorf("error %T %v", err, err)
	}
}
