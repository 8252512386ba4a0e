package e2e_test

import (
	"context"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// moment is when a gate strikes, seen from the write.
type moment int

const (
	never  moment = iota
	before        // the write is held and then dropped
	after         // the write is done and its answer held
	lost          // the write is done and its answer lost, nobody is held
)

// gate counts the external writes of the program, at GitHub, in Git and in the cluster, in the order of their arrival, and strikes at
// one of them.
type gate struct {
	mu     sync.Mutex
	writes []string
	strike int // the number of the write, from 1
	when   moment

	held    chan struct{} // closed when the write is held, or its answer
	release chan struct{} // closed to let go of it
}

// newGate puts a gate in front of the servers of a world.
func newGate(w *world) *gate {
	w.t.Helper()
	g := &gate{}
	g.arm(0, never)
	w.t.Cleanup(g.letGo)
	w.gh.Around(func(next http.Handler) http.Handler { return g.around("", next) })
	w.env["KUBECONFIG"] = g.proxy(w)
	return g
}

// proxy serves the API server through the gate and returns a kubeconfig for it.
func (g *gate) proxy(w *world) string {
	w.t.Helper()
	s := stackOf(w.t)
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	if err != nil {
		w.t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		w.t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		w.t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewUnstartedServer(g.around("kubernetes ", pass))
	server.EnableHTTP2 = true
	server.StartTLS()
	w.t.Cleanup(func() {
		g.letGo()
		server.CloseClientConnections()
		server.Close()
	})
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["mgmt"] = &clientcmdapi.Cluster{Server: server.URL,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
	kubeconfig.AuthInfos["operator"] = &clientcmdapi.AuthInfo{}
	kubeconfig.Contexts["mgmt"] = &clientcmdapi.Context{Cluster: "mgmt", AuthInfo: "operator"}
	kubeconfig.CurrentContext = "mgmt"
	path := filepath.Join(w.t.TempDir(), "gate.kubeconfig")
	if err := clientcmd.WriteToFile(*kubeconfig, path); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// arm forgets all writes and says at which one to strike next.
func (g *gate) arm(strike int, when moment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes, g.strike, g.when = nil, strike, when
	g.held, g.release = make(chan struct{}), make(chan struct{})
}

// letGo lets go of what is held, and holds nothing any more.
func (g *gate) letGo() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.when != never {
		g.when = never
		close(g.release)
	}
}

// seen are the writes since arm.
func (g *gate) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.writes...)
}

// isWrite says whether a request may change something: at GitHub, what is not a read, of Git's requests the push, in the cluster what
// is neither a dry run nor a review.
func isWrite(r *http.Request) bool {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions:
		return false
	case strings.HasSuffix(r.URL.Path, "/git-upload-pack"):
		return false
	case r.URL.Query().Has("dryRun"):
		return false
	case strings.HasPrefix(r.URL.Path, "/apis/authorization.k8s.io/"), strings.HasPrefix(r.URL.Path, "/apis/authentication.k8s.io/"):
		return false
	}
	return true
}

func (g *gate) around(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isWrite(r) || !strings.HasPrefix(strings.TrimPrefix(r.UserAgent(), "git/"), userAgent) {
			next.ServeHTTP(w, r)
			return
		}
		g.mu.Lock()
		g.writes = append(g.writes, name+r.Method+" "+r.URL.Path)
		when, held, release := never, g.held, g.release
		if len(g.writes) == g.strike {
			when = g.when
		}
		g.mu.Unlock()
		if when == never {
			next.ServeHTTP(w, r)
			return
		}
		if when == before {
			close(held)
			<-release
			panic(http.ErrAbortHandler)
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
		close(held)
		if when == lost {
			panic(http.ErrAbortHandler)
		}
		<-release
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}
