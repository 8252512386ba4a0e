package fluxinstall

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// workloadKubeconfig is what EKS Anywhere keeps of a cluster.
func workloadKubeconfig(server, token string) secret.Value {
	return secret.New(fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: dev-admin@dev
clusters: [{name: dev, cluster: {server: %q, certificate-authority-data: Y2E=}}]
users: [{name: dev-admin, user: {token: %q}}]
contexts: [{name: dev-admin@dev, context: {cluster: dev, user: dev-admin}}]
`, server, token))
}

const usersKubeconfig = `apiVersion: v1
kind: Config
current-context: prod
preferences: {}
clusters:
- name: prod
  cluster: {server: "https://prod:6443", certificate-authority: ca.crt}
users:
- name: me
  user: {client-certificate: me.crt, client-key: me.key}
contexts:
- name: prod
  context: {cluster: prod, user: me, namespace: shop}
`

func TestMergeKubeconfig(t *testing.T) {
	t.Parallel()
	const server = "https://dev:6443"
	merged, err := MergeKubeconfig([]byte(usersKubeconfig), workloadKubeconfig(server, "one"),
		MergeOptions{Context: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	if !merged.Changed || merged.Updated || merged.Server != server || merged.Current != "prod" {
		t.Errorf("%+v", merged)
	}
	config, err := clientcmd.Load(merged.Content)
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(config.Contexts)); !slices.Equal(names, []string{"dev", "prod"}) {
		t.Errorf("contexts %v", names)
	}
	if c := config.Contexts["dev"]; c.Cluster != "dev" || c.AuthInfo != "dev-admin" ||
		config.AuthInfos["dev-admin"].Token != "one" || config.Clusters["dev"].Server != server {
		t.Errorf("%+v", c)
	}
	if c := config.Clusters["prod"]; c.CertificateAuthority != "ca.crt" ||
		config.Contexts["prod"].Namespace != "shop" || config.AuthInfos["me"].ClientKey != "me.key" {
		t.Errorf("what was there changed: %+v", c)
	}

	again, err := MergeKubeconfig(merged.Content, workloadKubeconfig(server, "one"),
		MergeOptions{Context: "dev"})
	if err != nil || again.Changed || !again.Updated {
		t.Errorf("the same again: %v, %+v", err, again)
	}
	rotated, err := MergeKubeconfig(merged.Content, workloadKubeconfig(server, "two"),
		MergeOptions{Context: "dev", SetCurrent: true})
	if err != nil || !rotated.Changed || rotated.Current != "dev" ||
		strings.Contains(string(rotated.Content), "token: one") {
		t.Errorf("new credentials: %v, %+v", err, rotated)
	}
	empty, err := MergeKubeconfig(nil, workloadKubeconfig(server, "one"), MergeOptions{Context: "dev"})
	if err != nil || empty.Current != "dev" || !empty.Changed {
		t.Errorf("into an empty file: %v, %+v", err, empty)
	}
}

func TestMergeKubeconfig_taken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ context, file, kind, server string }{
		"a context of another cluster": {"prod", usersKubeconfig, "context", "https://prod:6443"},
		"a cluster entry": {
			"dev", strings.ReplaceAll(usersKubeconfig, "name: prod\n  cluster", "name: dev\n  cluster"),
			"cluster", "https://prod:6443",
		},
		"a user of another cluster": {"dev", strings.NewReplacer("name: me", "name: dev-admin", "user: me",
			"user: dev-admin").Replace(usersKubeconfig),
			"user", "https://prod:6443"},
		"a context that leads nowhere": {"prod",
			strings.ReplaceAll(usersKubeconfig, "cluster: prod,", "cluster: gone,"), "context", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kubeconfig := workloadKubeconfig("https://dev:6443", "s3cret")
			_, err := MergeKubeconfig([]byte(tc.file), kubeconfig, MergeOptions{Context: tc.context})
			taken, ok := errors.AsType[*ContextTakenError](err)
			if !ok || taken.Kind != tc.kind || taken.Server != tc.server {
				t.Fatalf("error %v, want a %s that leads to %q", err, tc.kind, tc.server)
			}
			merged, err := MergeKubeconfig([]byte(tc.file), kubeconfig,
				MergeOptions{Context: tc.context, Overwrite: true})
			if err != nil || !merged.Changed {
				t.Errorf("overwriting: %v", err)
			}
		})
	}
}

func TestMergeKubeconfig_refused(t *testing.T) {
	t.Parallel()
	good := workloadKubeconfig("https://dev:6443", "s3cret").Reveal()
	for name, tc := range map[string]struct{ file, kubeconfig, want string }{
		"a file that is none":   {"password: [s3cret", good, "not a kubeconfig"},
		"a Secret that is none": {"", "s3cret: [", "not a kubeconfig"},
		"nothing in the Secret": {"", "{}", "no current context"},
		"no server": {"", strings.ReplaceAll(good, `server: "https://dev:6443"`, `server: ""`),
			"no server"},
		"a program to run": {
			"", strings.ReplaceAll(good, `token: "s3cret"`,
				`exec: {command: sh, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}`),
			"a program to run",
		},
		"a file with the token": {"", strings.ReplaceAll(good, `token: "s3cret"`, `tokenFile: /etc/passwd`),
			"names files of this machine"},
		"a file with the key": {"", strings.ReplaceAll(good, `token: "s3cret"`, `client-key: /etc/passwd`),
			"names files of this machine"},
		"no verification at all": {"", strings.ReplaceAll(good, `server: "https://dev:6443"`,
			`server: "https://dev:6443", insecure-skip-tls-verify: true`),
			"turns the verification"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := MergeKubeconfig([]byte(tc.file), secret.New(tc.kubeconfig),
				MergeOptions{Context: "dev"})
			if err == nil || !strings.Contains(err.Error(), tc.want) ||
				strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}
