package fluxinstall

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// apiServer answers the requests of a Cluster that is connected to it with what handle writes.
func apiServer(t *testing.T, handle http.HandlerFunc) *Cluster {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return connectTo(t, server.URL)
}

// connectTo is a Cluster at an address, with waits short enough for tests.
func connectTo(t *testing.T, url string) *Cluster {
	t.Helper()
	c, err := Connect(t.Context(), KubeconfigOptions{Paths: []string{kubeconfigFor(t, url)},
		Origin: "the test", UserAgent: "eksa-gitops/test"})
	if err != nil {
		t.Fatal(err)
	}
	c.backoff = backoff{first: time.Millisecond, max: 5 * time.Millisecond, total: 5 * time.Second}
	return c
}

func kubeconfigFor(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: %q}}]
users: [{name: test, user: {token: kubeconfig-sentinel}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
`, url)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// status writes a Kubernetes Status object.
func status(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w,
		`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":%q}`, code,
		reason, message)
}

// body writes an object.
func body(w http.ResponseWriter, content string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, content)
}

// counter counts requests.
type counter struct{ n atomic.Int32 }

func (c *counter) next() int { return int(c.n.Add(1)) }
