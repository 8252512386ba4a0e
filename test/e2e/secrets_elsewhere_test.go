package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

// hides runs commands of which none may show a secret, in text, in JSON and in progress events, and at least
// one has to have it at hand: there it shows stars.
func (w *world) hides(secret string, commands ...[]string) {
	w.t.Helper()
	starred := false
	for _, args := range commands {
		for _, form := range [][]string{{"-v"}, {"-o", "json"}, {"--progress", "json", "-v"}} {
			out := w.run(append(args[:len(args):len(args)], form...)...)
			if (sentinel{value: []byte(secret)}).in(searchable([]byte(out.stdout + out.stderr))) {
				w.t.Errorf("%s %s shows a secret:\n%s%s",
					strings.Join(args, " "), strings.Join(form, " "), out.stdout, out.stderr)
			}
			starred = starred || strings.Contains(out.stdout+out.stderr, "***")
		}
	}
	if !starred {
		w.t.Errorf("none of %q had anything to hide", commands)
	}
}

// What stands before the @ in the URL of somebody's GitRepository is theirs: whoever looks at the repository
// with this program, or takes Flux over, does not get to see it.
func TestSecrets_liveURL(t *testing.T) {
	for _, user := range []string{"bob:sentinel-of-bob-0123456789", "sentinel-of-bob-0123456789"} {
		t.Run(strings.Split(user, "-")[0], func(t *testing.T) {
			w := newWorldIn(t, withDev())
			suspend(t, true)
			patch(t, reference(sourceGroup, "v1", "GitRepository", "flux-system", "flux-system"),
				`{"spec":{"url":"https://`+user+`@127.0.0.1:1/others/fleet"}}`)
			w.hides("sentinel-of-bob-0123456789",
				[]string{"create", "cluster", "-f", "mgmt.yaml", "--dry-run"},
				[]string{"create", "cluster", "-f", "dev.yaml"},
				[]string{"upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run"},
				[]string{"upgrade", "cluster", "-f", "mgmt.yaml", "--adopt", "--dry-run"},
				[]string{"delete", "cluster", "dev", "--yes"},
				[]string{"pause", "cluster", "dev", "--dry-run"},
				[]string{"status"},
				[]string{"get", "clusters"},
			)
		})
	}
}

// So it is with a kubeconfig's server, whether it answers or not.
func TestSecrets_kubeconfigServer(t *testing.T) {
	w := newWorld(t)
	for _, port := range []string{"", ":1"} {
		config, err := clientcmd.LoadFromFile(stackOf(t).Kubeconfig())
		if err != nil {
			t.Fatal(err)
		}
		for _, cluster := range config.Clusters {
			host := strings.TrimPrefix(cluster.Server, "https://")
			if port != "" {
				host, _, _ = strings.Cut(host, ":")
			}
			cluster.Server = "https://operator:sentinel-of-the-server-01@" + host + port
		}
		path := filepath.Join(t.TempDir(), "kubeconfig")
		if err := clientcmd.WriteToFile(*config, path); err != nil {
			t.Fatal(err)
		}
		there := w.with(t, map[string]string{"KUBECONFIG": path, "EKSA_GITOPS_TIMEOUT": "10s"})
		there.hides("sentinel-of-the-server-01",
			[]string{"create", "cluster", "-f", "mgmt.yaml", "--dry-run"},
			[]string{"upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run"},
			[]string{"delete", "cluster", "dev", "--dry-run"},
			[]string{"status"},
			[]string{"get", "clusters"},
		)
		if out := there.run("get", "kubeconfig", "nobody"); strings.Contains(out.stdout+out.stderr,
			"sentinel-of-the-server-01") {
			t.Errorf("get kubeconfig shows it:\n%s%s", out.stdout, out.stderr)
		}
	}
}

// The licence and the proxies' passwords of a cluster's file go into Git, where Flux needs them, and are
// shown in no difference.
func TestSecrets_changedInSpec(t *testing.T) {
	w := newWorldIn(t, managed())
	with := func(n string) string {
		return spec(t, "dev.yaml", "  clusterNetwork:\n", "  licenseToken: sentinel-of-the-licence-"+n+
			"\n  proxyConfiguration:\n"+
			"    httpProxy: http://cache:sentinel-of-the-cache-"+n+"@198.18.100.9:3128\n"+
			"    httpsProxy: http://cache:sentinel-of-the-cache-"+n+"@198.18.100.9:3128\n  clusterNetwork:\n")
	}
	each := func(commands ...[]string) {
		t.Helper()
		for _, kind := range []string{"licence", "cache"} {
			w.hides("sentinel-of-the-"+kind, commands...)
		}
	}
	w.write("dev.yaml", with("1"))
	each([]string{"validate", "-f", "dev.yaml"}, []string{"create", "cluster", "-f", "dev.yaml", "--dry-run"})
	w.run("create", "cluster", "-f", "dev.yaml").exits(0)
	if !strings.Contains(w.files()[devFiles[0]], "licenseToken: sentinel-of-the-licence-1") {
		t.Errorf("the licence is not in Git:\n%s", w.files()[devFiles[0]])
	}
	w.write("dev.yaml", with("2"))
	each(
		[]string{"create", "cluster", "-f", "dev.yaml", "--dry-run"},
		[]string{"create", "cluster", "-f", "dev.yaml", "--dry-run", "--overwrite"},
		[]string{"upgrade", "cluster", "-f", "dev.yaml", "--dry-run"},
		[]string{"delete", "cluster", "dev", "--dry-run"},
		[]string{"status"},
	)
}
