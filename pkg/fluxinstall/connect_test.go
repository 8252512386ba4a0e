package fluxinstall

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestConnect_kubeconfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	absent := filepath.Join(dir, "absent")
	empty := file("empty", "")
	good := file("good", `apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443"}}, {name: d, cluster: {server: "https://192.0.2.2:6443"}}]
users: [{name: u, user: {token: kubeconfig-sentinel}}]
contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: d, user: u}}]
`)
	first := file("first", "apiVersion: v1\nkind: Config\ncurrent-context: two\n")
	noCurrent := file("no-current", strings.Replace(mustRead(t, good), "current-context: one\n", "", 1))
	other := file("other",
		"apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\nmetadata: {name: mgmt}\n")
	userless := file("userless",
		strings.Replace(mustRead(t, good), "cluster: c, user: u", "cluster: c, user: gone", 1))
	dangling := file("dangling",
		strings.Replace(mustRead(t, good), "cluster: c, user: u", "cluster: gone, user: u", 1))
	changed := func(name, from, to string) []string {
		return []string{file(name, strings.ReplaceAll(mustRead(t, good), from, to))}
	}
	for name, test := range map[string]struct {
		options KubeconfigOptions
		server  string
		want    string // of the error
	}{
		"current context": {KubeconfigOptions{Paths: []string{good}}, "https://192.0.2.1:6443", ""},
		"chosen context": {KubeconfigOptions{Paths: []string{good}, Context: "two"},
			"https://192.0.2.2:6443", ""},
		"merged, first wins": {KubeconfigOptions{Paths: []string{first, good}}, "https://192.0.2.2:6443", ""},
		"absent and empty left out": {KubeconfigOptions{Paths: []string{absent, empty, good}},
			"https://192.0.2.1:6443", ""},
		"none named": {KubeconfigOptions{Origin: "KUBECONFIG"}, "",
			"the kubeconfig of KUBECONFIG cannot be used: no file is named"},
		"absent": {KubeconfigOptions{Paths: []string{absent}, Origin: "--kubeconfig"}, "",
			"the kubeconfig of --kubeconfig cannot be used: " + absent + " does not exist"},
		"all absent or empty": {KubeconfigOptions{Paths: []string{absent, empty}, Origin: "it"}, "",
			"the kubeconfig of it cannot be used: " + absent + " does not exist, " + empty + " is empty"},
		"directory": {KubeconfigOptions{Paths: []string{dir}}, "", dir + " is a directory"},
		"no such context": {KubeconfigOptions{Paths: []string{good}, Context: "three"}, "",
			`it has no context "three"; its contexts are: one, two`},
		"no current context": {KubeconfigOptions{Paths: []string{noCurrent}}, "",
			"it has no current context; its contexts are: one, two"},
		"no contexts": {KubeconfigOptions{Paths: []string{first}}, "",
			"it contains no contexts; is it a kubeconfig?"},
		"another file": {KubeconfigOptions{Paths: []string{other}}, "", "cannot be used: "},
		"context without its user": {KubeconfigOptions{Paths: []string{userless}}, "",
			`its context "one" names user "gone", which it does not have`},
		"without verification": {
			KubeconfigOptions{Paths: changed("insecure", `6443"`, `6443", insecure-skip-tls-verify: true`)},
			"",
			`its cluster "c" has insecure-skip-tls-verify, so that anybody could take the API server's place; put the server's certificate authority into certificate-authority-data`},
		"without encryption": {KubeconfigOptions{Paths: changed("plain", "https://", "http://")}, "",
			`its cluster "c" has a server without https://`},
		"without a scheme": {KubeconfigOptions{Paths: changed("bare", "https://", "")}, "",
			`its cluster "c" has a server without https://`},
		"a proxy that is none": {
			KubeconfigOptions{Paths: changed("proxy", `6443"`, `6443", proxy-url: "http://u:sentinel@[::1"`)},
			"",
			`its cluster "c" has a proxy-url that is not a proxy's address; write it as http://HOST:PORT`},
		"a proxy of an unknown kind": {
			KubeconfigOptions{Paths: changed("ftp", `6443"`, `6443", proxy-url: "ftp://u:sentinel@h:1"`)}, "",
			`its cluster "c" has a proxy-url that is not a proxy's address`},
		"damaged": {KubeconfigOptions{Paths: changed("damaged", "users: [", "users: {")}, "",
			"cannot be used: "},
		"an alias": {KubeconfigOptions{Paths: changed("alias", "{token: kubeconfig-sentinel}",
			"{token: *kubeconfig-sentinel}")},
			"", "alias is YAML, but not a kubeconfig"},
		"a tag": {KubeconfigOptions{Paths: changed("tag", "{token: kubeconfig-sentinel}",
			"{token: !!int kubeconfig-sentinel}")},
			"", "cannot be used: "},
		"a line that does not fit": {KubeconfigOptions{Paths: changed("line", "users: [",
			"\tkubeconfig-sentinel: kubeconfig-sentinel: [")},
			"", "line 5 does not fit"},
		"a server that is none": {
			KubeconfigOptions{Paths: changed("server", "https://192", "https://u:sentinel/x@192")}, "",
			"cannot be used: "},
		"of another type": {
			KubeconfigOptions{Paths: changed("typed", "{token: kubeconfig-sentinel}", "kubeconfig-sentinel")},
			"", "cannot be used: "},
		"a certificate that is none": {
			KubeconfigOptions{Paths: changed("data", "token: ", "client-key-data: ")}, "",
			"cannot be used: "},
		"credentials in the address": {
			KubeconfigOptions{Paths: changed("user", "https://", "https://u:sentinel@")},
			"https://***@192.0.2.1:6443", ""},
		"a token as the user": {
			KubeconfigOptions{Paths: changed("user-alone", "https://", "https://sentinel@")},
			"https://***@192.0.2.1:6443", ""},
		"on this machine, as kubectl proxy serves it": {
			KubeconfigOptions{Paths: changed("proxied", "https://192.0.2.1:6443", "http://127.0.0.1:8001")},
			"http://127.0.0.1:8001", ""},
		"on this machine by name": {
			KubeconfigOptions{Paths: changed("local", "https://192.0.2.1:6443", "http://localhost:8001")},
			"http://localhost:8001", ""},
		"context without its cluster": {KubeconfigOptions{Paths: []string{dangling}}, "",
			`its context "one" names cluster "gone", which it does not have`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Connect(t.Context(), test.options)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if c.server != test.server {
					t.Errorf("server %s, want %s", c.server, test.server)
				}
				return
			}
			if !errors.As(err, new(*KubeconfigError)) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %T %v, want %q", err, err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "sentinel") {
				t.Errorf("the error shows a credential: %v", err)
			}
		})
	}
}

func TestConnect_cancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Connect(ctx, KubeconfigOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// An API server that redirects does not get the credentials carried to another host, nor over a connection
// without encryption.
func TestConnect_redirects(t *testing.T) {
	t.Parallel()
	var leaked atomic.Value
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leaked.Store(r.Header.Get("Authorization"))
	}))
	defer other.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	authority := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: server.Certificate().Raw}))
	content := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: x\n"+
		"clusters: [{name: x, cluster: {server: %q, certificate-authority-data: %s}}]\n"+
		"users: [{name: x, user: {token: kubeconfig-sentinel}}]\n"+
		"contexts: [{name: x, context: {cluster: x, user: x}}]\n", server.URL, authority)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster, err := Connect(t.Context(), KubeconfigOptions{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = cluster.Kubeconfig(t.Context(), "dev")
	if err == nil || !strings.Contains(err.Error(),
		"redirects to another host, "+strings.TrimPrefix(other.URL, "http://")) {
		t.Errorf("error %v", err)
	}
	if got := leaked.Load(); got != nil {
		t.Errorf("the other host was asked, with the credentials %q", got)
	}
}

// An answer without an end is given up, in the middle of the body.
func TestTransport_oversize(t *testing.T) {
	t.Parallel()
	body := &cancellingBody{ReadCloser: io.NopCloser(zeroes{}), cancel: func() {}, left: 1 << 20}
	if n, err := io.Copy(io.Discard, body); err == nil ||
		!strings.Contains(err.Error(), "the API server's answer is longer than") || n > 1<<20 {
		t.Errorf("%d bytes, error %v", n, err)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// What a proxy repeats of its password is taken out of the error, which stays the same otherwise.
func TestTransport_proxyPassword(t *testing.T) {
	t.Parallel()
	proxy, err := url.Parse("http://user:sent%20inel@proxy.example.com")
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("no: Basic " + base64.StdEncoding.EncodeToString([]byte("user:sent inel")) +
		", sent inel, sent+inel")
	transport := &boundedTransport{proxy: http.ProxyURL(proxy)}
	got := transport.discreet(httptest.NewRequest(http.MethodGet, "https://192.0.2.1", nil), cause)
	if got.Error() != "no: Basic ***, ***, ***" || !errors.Is(got, cause) {
		t.Errorf("%v", got)
	}
}
