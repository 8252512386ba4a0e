package e2e_test

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// stranger is a host that is not the one the program was told to talk to, or that is under an attacker's
// control. It remembers which credentials it was shown.
type stranger struct {
	*httptest.Server
	answer http.HandlerFunc

	mu          sync.Mutex
	credentials []string
	requests    int
}

// newStranger starts a stranger with a certificate that the world trusts.
func newStranger(w *world, answer http.HandlerFunc) *stranger {
	w.t.Helper()
	s := &stranger{answer: answer}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		for _, header := range []string{"Authorization", "Proxy-Authorization", "Cookie", "Private-Token"} {
			s.credentials = append(s.credentials, r.Header.Values(header)...)
		}
		if r.URL.User != nil {
			s.credentials = append(s.credentials, r.URL.User.String())
		}
		s.mu.Unlock()
		s.answer(rw, r)
	}))
	w.t.Cleanup(s.Close)
	trusted, err := os.ReadFile(w.gh.CAFile())
	if err != nil {
		w.t.Fatal(err)
	}
	trusted = append(trusted,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})...)
	file := filepath.Join(w.t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, trusted, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.env["EKSA_GITOPS_CA_FILE"] = file
	return s
}

// shown are the credentials and the number of requests that it saw since the last call.
func (s *stranger) shown() (credentials []string, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	credentials, requests = s.credentials, s.requests
	s.credentials, s.requests = nil, 0
	return credentials, requests
}

// with runs part of a test in a copy of the world, with other variables. The empty value takes one away.
func (w *world) with(t testing.TB, env map[string]string) *world {
	copied := *w
	copied.t = t
	copied.env = map[string]string{}
	for name, value := range w.env {
		copied.env[name] = value
	}
	for name, value := range env {
		if copied.env[name] = value; value == "" {
			delete(copied.env, name)
		}
	}
	return &copied
}

// Everything that the program can say about a run, it says without a secret, however much it is asked to say.
// What is looked for, and where, is the business of inspect, which looks after every run of every test.
func TestSecrets_everyVerbosity(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{
		{"create", "cluster", "-f", "mgmt.yaml", "--dry-run", "-v", "--progress", "plain"},
		{"create", "cluster", "-f", "mgmt.yaml", "-v", "--progress", "plain"},
		{"create", "cluster", "-f", "dev.yaml", "-v", "--progress", "json", "-o", "json"},
		{"create", "cluster", "-f", "dev.yaml", "-q"},
		{"validate", "-f", "dev.yaml", "--server", "-v"},
		{"status", "-v"},
		{"status", "dev", "-o", "json"},
		{"get", "clusters", "-o", "json"},
		{"get", "kubeconfig", "dev", "-v"},
		{"delete", "cluster", "dev", "--yes", "-v", "--progress", "json", "-o", "json"},
		{"delete", "cluster", "mgmt", "--yes", "-v"},
	} {
		w.run(args...).exits(0)
	}
}

// Servers that send back what they were sent, in every place that is shown: the text says so without the
// secret.
func TestSecrets_echoed(t *testing.T) {
	w := newWorld(t)
	w.gh.AddRepo("alice/fleet", withReadme("main")...)
	verbosities := [][]string{{"-v"}, {"-o", "json"}, {"--progress", "json", "-v"}}
	token := w.token
	split := token[:4] + "\u200b\x00\x1b[0m" + token[4:]
	for i, body := range []string{
		fmt.Sprintf(
			`{"message":"Bad credentials: Bearer %s","documentation_url":"https://docs.example.com/%s"}`,
			token, token),
		fmt.Sprintf(`{"message":%q,"errors":[{"resource":%q,"field":%q,"code":"custom","message":%q}]}`,
			split, token, token, split),
		"<html>" + token,
		token,
	} {
		for j, status := range []int{401, 403, 422, 503} {
			off := w.gh.Break("* /**", githubtest.RespondWith(status, http.Header{
				"X-Oauth-Scopes": {token}, "X-Accepted-Oauth-Scopes": {token},
				"X-Github-Sso":                  {"required; url=https://example.com/" + token},
				"X-Github-Request-Id":           {token},
				"X-Accepted-Github-Permissions": {"contents=" + token}, "Retry-After": {"0"},
			}, body))
			args := append([]string{"create", "cluster", "-f", "mgmt.yaml", "--timeout", "3s"},
				verbosities[(i+j)%len(verbosities)]...)
			if out := w.run(args...); out.code == 0 &&
				!strings.Contains(out.stderr, "GitOps is NOT enabled") && out.json()["status"] == "done" {
				t.Errorf("status %d, %q: exit code 0\n%s%s", status, body, out.stdout, out.stderr)
			}
			off()
		}
	}

	// A Git server: the words beside an error, a page, and packets.
	headers := func(r *http.Request) string {
		var b strings.Builder
		r.Header.Write(&b)
		user, password, _ := r.BasicAuth()
		return b.String() + user + ":" + password + "\n" + split + "\n"
	}
	s := newStranger(w, nil)
	for name, answer := range map[string]http.HandlerFunc{
		"401": func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("WWW-Authenticate", `Basic realm="`+r.Header.Get("Authorization")+`"`)
			rw.Header().Set("Content-Type", "text/plain")
			rw.WriteHeader(http.StatusUnauthorized)
			io.WriteString(rw, headers(r)) // the client decides
		},
		"403": func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/plain")
			rw.WriteHeader(http.StatusForbidden)
			io.WriteString(rw, headers(r)) // the client decides
		},
		"418": func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/plain")
			rw.WriteHeader(http.StatusTeapot)
			io.WriteString(rw, headers(r)) // the client decides
		},
		"a page": func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/html; x="+r.Header.Get("Authorization"))
			io.WriteString(rw, headers(r)) // the client decides
		},
		"an error packet": func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			line := "ERR access denied: " + headers(r)
			fmt.Fprintf(rw, "%04x%s0000", len(line)+4, line)
		},
		"a redirect": func(rw http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			http.Redirect(rw, r, "https://"+user+":"+password+"@elsewhere.example.com/"+password+
				"/info/refs?service=git-upload-pack&token="+password, http.StatusFound)
		},
	} {
		s.answer = answer
		out := w.with(t, map[string]string{"EKSA_GITOPS_GITHUB_GIT_URL": s.URL + "/"}).run("create",
			"cluster", "-f", "mgmt.yaml", "-v", "--timeout", "3s")
		if shown, _ := s.shown(); len(shown) == 0 {
			t.Errorf("%s: the Git server was not asked with the token:\n%s%s", name, out.stdout, out.stderr)
		}
		if out.code == 0 && !strings.Contains(out.stderr, "GitOps is NOT enabled") {
			t.Errorf("%s: exit code 0\n%s%s", name, out.stdout, out.stderr)
		}
	}
}

// The password of a proxy is in the environment, as its users are used to. It goes to the proxy, and nowhere
// else.
func TestSecrets_proxy(t *testing.T) {
	w := newWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	asked := make(chan string, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			request, err := http.ReadRequest(bufio.NewReader(conn))
			if err == nil {
				echo := request.Header.Get("Proxy-Authorization")
				asked <- echo
				fmt.Fprintf(conn, "HTTP/1.1 502 cannot connect with %s\r\nX-Echo: %s\r\n"+
					"Content-Length: %d\r\n\r\n%s", echo, echo, len(echo), echo)
			}
			conn.Close()
		}
	}()
	proxied := w.with(t, map[string]string{
		"HTTPS_PROXY":                "http://operator:sentinel-of-the-proxy@" + listener.Addr().String(),
		"EKSA_GITOPS_GITHUB_API_URL": "https://github.example.com/api/v3/",
		"EKSA_GITOPS_GITHUB_GIT_URL": "https://github.example.com/",
	})
	proxied.run("create", "cluster", "-f", "mgmt.yaml", "-v", "--timeout", "5s").tells("the proxy " +
		listener.Addr().String())
	if echo := <-asked; !strings.HasPrefix(echo, "Basic ") {
		t.Errorf("the proxy was shown %q", echo)
	}
	// The API answers, Git goes through the proxy.
	w.gh.AddRepo("alice/fleet", withReadme("main")...)
	proxied.env["EKSA_GITOPS_GITHUB_API_URL"] = w.env["EKSA_GITOPS_GITHUB_API_URL"]
	proxied.run("create", "cluster", "-f", "mgmt.yaml", "-v", "--timeout", "5s")
	// Flux's further controllers are downloaded through it.
	for len(asked) > 0 {
		<-asked
	}
	downloads := proxied.with(t, map[string]string{
		"EKSA_GITOPS_GITHUB_GIT_URL": w.env["EKSA_GITOPS_GITHUB_GIT_URL"], "NO_PROXY": "127.0.0.1"})
	for _, more := range [][]string{{"-v"}, {"--dry-run", "-o", "json"}} {
		out := downloads.run(append([]string{"create", "cluster", "-f", "mgmt.yaml", "--components-extra",
			"image-reflector-controller", "--timeout", "10s"},
			more...)...)
		if out.code == 0 || len(asked) == 0 {
			t.Errorf("exit code %d, %d requests at the proxy, want that it was asked in vain:\n%s%s",
				out.code, len(asked), out.stdout, out.stderr)
		}
	}
	// A proxy whose address is none, and one that a kubeconfig names.
	for _, address := range []string{"http://operator:sentinel-of-the-proxy@[::1",
		"http://operator:sentinel-of-the-proxy@127.0.0.1:0x1", "://operator:sentinel-of-the-proxy@x",
		"ftp://operator:sentinel-of-the-proxy@127.0.0.1:1"} {
		broken := proxied.with(t, map[string]string{"HTTPS_PROXY": address, "ALL_PROXY": address,
			"EKSA_GITOPS_GITHUB_API_URL": "https://127.0.0.2:1/api/v3/"})
		if out := broken.run("create", "cluster", "-f", "mgmt.yaml", "-v", "--timeout",
			"3s"); strings.Contains(out.stdout+out.stderr, "sentinel-of-the-proxy") {
			t.Errorf("%s: the password is shown:\n%s%s", address, out.stdout, out.stderr)
		}
	}
	config, err := clientcmd.LoadFromFile(w.env["KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"http://operator:sentinel-of-the-proxy@" + listener.Addr().String(),
		"http://operator:sentinel-of-the-proxy@[::1", "nothing:sentinel-of-the-proxy@x"} {
		for _, cluster := range config.Clusters {
			cluster.ProxyURL = address
		}
		path := filepath.Join(t.TempDir(), "kubeconfig")
		if err := clientcmd.WriteToFile(*config, path); err != nil {
			t.Fatal(err)
		}
		through := w.with(t, map[string]string{"KUBECONFIG": path,
			"HTTPS_PROXY": "http://operator:sentinel-of-the-proxy@127.0.0.1:1"})
		through.run("create", "cluster", "-f", "mgmt.yaml", "-v", "--timeout", "5s").exits(3)
		through.run("status", "-v", "--timeout", "5s")
	}
}

// A kubeconfig may name a program that makes its credentials. That program is the user's own choice; it gets
// the environment, but none of the credentials that are not its business, and the command line has none
// either.
func TestSecrets_children(t *testing.T) {
	w := newWorld(t)
	config, err := clientcmd.LoadFromFile(w.env["KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, user := range config.AuthInfos {
		credential, err := json.Marshal(map[string]any{
			"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
			"status": map[string]string{"clientCertificateData": string(user.ClientCertificateData),
				"clientKeyData": string(user.ClientKeyData)},
		})
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{
			"credential.json": string(credential),
			"plugin": "#!/bin/sh\n" +
				"{ env; tr '\\0' '\\n' < /proc/$PPID/cmdline; tr '\\0' '\\n' < /proc/$$/cmdline; } >> " +
				dir + "/seen\ncat " + dir + "/credential.json\n",
		}
		for file, content := range files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: filepath.Join(dir, "plugin"),
			InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		}}
	}
	w.env["KUBECONFIG"] = filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, w.env["KUBECONFIG"]); err != nil {
		t.Fatal(err)
	}
	w.env["EKSA_GIT_SSH_KEY_PASSPHRASE"], w.env["EKSA_GITOPS_CLUSTER_PRIVATE_KEY_PASSPHRASE"] =
		testPassphrase, "another-"+testPassphrase
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
	w.run("status").exits(0)
	seen, err := os.ReadFile(filepath.Join(dir, "seen"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(seen), "HOME="+w.dir+"\n") ||
		!strings.Contains(string(seen), "\ncreate\ncluster\n") {
		t.Errorf("the plugin saw neither the environment nor the command line:\n%s", seen)
	}
	for _, s := range w.secrets(t.Context()) {
		if s.in(searchable(seen)) {
			t.Errorf("%s is in the environment or the command line that a child sees", s.name)
		}
	}
}

// A kubeconfig with a token, good, bad and without rights.
func TestSecrets_kubeconfigToken(t *testing.T) {
	w := newWorld(t)
	s := stackOf(t)
	account := &corev1.ServiceAccount{}
	account.Namespace, account.Name = "default", "default"
	request := &authenticationv1.TokenRequest{}
	if err := s.Client().SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(w.env["KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{request.Status.Token, request.Status.Token[:len(request.Status.Token)-8],
		"sentinel-token of\tthe kubeconfig\n"} {
		for _, user := range config.AuthInfos {
			*user = clientcmdapi.AuthInfo{Token: token}
		}
		w.env["KUBECONFIG"] = filepath.Join(t.TempDir(), "kubeconfig")
		if err := clientcmd.WriteToFile(*config, w.env["KUBECONFIG"]); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"create", "cluster", "-f", "mgmt.yaml", "-v"},
			{"status", "-v", "-o", "json"}, {"get", "clusters"}, {"get", "kubeconfig", "dev"}} {
			if out := w.run(append(args, "--timeout", "10s")...); out.code == 0 {
				t.Errorf("%v: exit code 0 with a token without rights\n%s%s", args, out.stdout, out.stderr)
			}
		}
	}
}
