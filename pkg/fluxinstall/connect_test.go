package fluxinstall

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
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
	other := file("other", "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\nmetadata: {name: mgmt}\n")
	userless := file("userless", strings.Replace(mustRead(t, good), "cluster: c, user: u", "cluster: c, user: gone", 1))
	dangling := file("dangling", strings.Replace(mustRead(t, good), "cluster: c, user: u", "cluster: gone, user: u", 1))
	for name, test := range map[string]struct {
		options KubeconfigOptions
		server  string
		want    string // of the error
	}{
		"current context":             {KubeconfigOptions{Paths: []string{good}}, "https://192.0.2.1:6443", ""},
		"chosen context":              {KubeconfigOptions{Paths: []string{good}, Context: "two"}, "https://192.0.2.2:6443", ""},
		"merged, first wins":          {KubeconfigOptions{Paths: []string{first, good}}, "https://192.0.2.2:6443", ""},
		"absent and empty left out":   {KubeconfigOptions{Paths: []string{absent, empty, good}}, "https://192.0.2.1:6443", ""},
		"none named":                  {KubeconfigOptions{Origin: "KUBECONFIG"}, "", "the kubeconfig of KUBECONFIG cannot be used: no file is named"},
		"absent":                      {KubeconfigOptions{Paths: []string{absent}, Origin: "--kubeconfig"}, "", "the kubeconfig of --kubeconfig cannot be used: " + absent + " does not exist"},
		"all absent or empty":         {KubeconfigOptions{Paths: []string{absent, empty}, Origin: "it"}, "", "the kubeconfig of it cannot be used: " + absent + " does not exist, " + empty + " is empty"},
		"directory":                   {KubeconfigOptions{Paths: []string{dir}}, "", dir + " is a directory"},
		"no such context":             {KubeconfigOptions{Paths: []string{good}, Context: "three"}, "", `it has no context "three"; its contexts are: one, two`},
		"no current context":          {KubeconfigOptions{Paths: []string{noCurrent}}, "", "it has no current context; its contexts are: one, two"},
		"no contexts":                 {KubeconfigOptions{Paths: []string{first}}, "", "it holds no contexts; is it a kubeconfig?"},
		"another file":                {KubeconfigOptions{Paths: []string{other}}, "", "cannot be used: "},
		"context without its user":    {KubeconfigOptions{Paths: []string{userless}}, "", `its context "one" names user "gone", which it does not have`},
		"context without its cluster": {KubeconfigOptions{Paths: []string{dangling}}, "", `its context "one" names cluster "gone", which it does not have`},
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
