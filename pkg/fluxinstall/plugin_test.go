package fluxinstall

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// credentials are what a plugin prints.
const credentials = `{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "plugin-sentinel"}}`

// withPlugin is a kubeconfig whose user's credentials come from a shell script, for a server that knows them,
// and what the server was asked.
func withPlugin(t *testing.T, command, script string) (options KubeconfigOptions, waits *[]string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the plugins of this test are shell scripts")
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer plugin-sentinel" {
			status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "Namespace",
			"metadata": map[string]any{"name": "a"}}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	config := clientcmdapi.NewConfig()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server.URL, CertificateAuthorityData: authority}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: command, Args: []string{"-c", script},
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode, InstallHint: "get it from the platform team",
	}}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	waits = &[]string{}
	return KubeconfigOptions{Paths: []string{path}, Origin: "KUBECONFIG", OnRetry: func(e RetryEvent) {
		*waits = append(*waits, e.String())
	}}, waits
}

// TestPlugin_fails: what a plugin that returned no credentials is told as.
func TestPlugin_fails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ command, script, want, hint string }{
		"fails": {"sh", "exit 3", "the credential plugin sh of the kubeconfig (from KUBECONFIG) returned " +
			"no credentials: failed with exit code 3", "kubectl get --raw /readyz"},
		"missing": {"no-such-plugin", "", "the credential plugin no-such-plugin of the kubeconfig " +
			"(from KUBECONFIG) returned no credentials: there is no such program on PATH",
			"get it from the platform team"},
		"silent": {"sh", "exit 0", "the credential plugin sh of the kubeconfig (from KUBECONFIG) returned " +
			"no credentials: exec plugin ", "a login may have expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options, _ := withPlugin(t, test.command, test.script)
			c, err := Connect(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.get(t.Context(), namespaceKind(), "", "a")
			failed := new(CredentialsError)
			if !errors.As(err, &failed) || !strings.HasPrefix(err.Error(), test.want) ||
				!strings.Contains(failed.Hint(), test.hint) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A plugin that is missing, of which the kubeconfig does not say where to get it.
func TestPlugin_hintWithoutInstall(t *testing.T) {
	t.Parallel()
	if hint := (&CredentialsError{Plugin: "aws-iam-authenticator", Missing: true}).Hint(); hint !=
		"install aws-iam-authenticator, or put it on PATH" {
		t.Error(hint)
	}
}

// whileThere is a script that does not end before the directory goes.
func whileThere(dir string) string { return "while [ -d " + dir + " ]; do sleep 0.1; done" }

// TestPlugin_waits: a plugin that waits for a person ends nothing but what is given up on, and is named
// meanwhile.
func TestPlugin_waits(t *testing.T) {
	t.Parallel()
	const waiting = "the credential plugin sh of the kubeconfig (from KUBECONFIG) has not given " +
		"credentials yet"
	t.Run("until the time limit", func(t *testing.T) {
		t.Parallel()
		options, waits := withPlugin(t, "sh", whileThere(t.TempDir()))
		c, err := Connect(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), silentFor+time.Second,
			errors.New("the time limit is over"))
		defer cancel()
		if _, err := c.get(ctx, namespaceKind(), "", "a"); fmt.Sprint(err) != waiting+
			"; the time limit is over" {
			t.Errorf("%v", err)
		}
		if len(*waits) != 1 || !strings.HasSuffix((*waits)[0], waiting) {
			t.Errorf("told %q", *waits)
		}
	})
	t.Run("until an interrupt", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		begun := filepath.Join(dir, "begun")
		options, _ := withPlugin(t, "sh", "echo > "+begun+"; "+whileThere(dir))
		c, err := Connect(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, interrupt := context.WithCancelCause(t.Context())
		ends := make(chan error, 1)
		go func() {
			_, err := c.get(ctx, namespaceKind(), "", "a")
			ends <- err
		}()
		for {
			if _, err := os.Stat(begun); err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		cause := errors.New("interrupted")
		interrupt(cause)
		if err := <-ends; !errors.Is(err, cause) {
			t.Errorf("%v", err)
		}
	})
	t.Run("longer than a server may", func(t *testing.T) {
		t.Parallel()
		// the library keeps the credentials of equal plugins
		options, _ := withPlugin(t, "sh", ": "+t.TempDir()+"; sleep 1; echo '"+credentials+"'")
		config, _, err := loadKubeconfig(options)
		if err != nil {
			t.Fatal(err)
		}
		c, err := newCluster(config, options.Origin, 500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if object, err := c.get(t.Context(), namespaceKind(), "", "a"); err != nil ||
			object.GetName() != "a" {
			t.Errorf("%v", err)
		}
	})
}
