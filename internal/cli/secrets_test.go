package cli_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// Whatever prints a secret, in whatever form, it does not come out: what is in the variables of a run, in the
// files that it is given, and in the addresses that it is told. (test/e2e looks at runs with a cluster.)
func TestSecrets_neverPrinted(t *testing.T) {
	t.Parallel()
	const token, proxied, inSpec, inURL = "sentinel-of-the-token", "sentinel-of-the-proxy",
		"sentinel-of-the-spec", "sentinel-of-the-url"
	env := map[string]string{
		"XDG_CONFIG_HOME": "/no-home", "EKSA_GITHUB_TOKEN": token,
		"HTTPS_PROXY":                 "http://operator:" + proxied + "@127.0.0.1:1",
		"EKSA_GIT_SSH_KEY_PASSPHRASE": "sentinel-of-the-passphrase",
	}
	license := mgmtSpec(t, "spec:\n  github:", "spec:\n  github:") + "---\n" +
		strings.Replace(mgmtSpec(t), "spec:\n", "spec:\n  licenseToken: "+inSpec+"\n", 1)
	generic := func(address string) string {
		return specFile(t,
			mgmtSpec(t, "  github:\n", "  git:\n    repositoryUrl: \""+address+"\"\n  github:\n"))
	}
	kubeconfig := func(content string) string {
		path := filepath.Join(t.TempDir(), "kubeconfig")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const config = "apiVersion: v1\nkind: Config\ncurrent-context: x\n" +
		"contexts: [{name: x, context: {cluster: x, user: x}}]\nusers: [{name: x, user: {token: TOKEN}}]\n" +
		"clusters: [{name: x, cluster: {server: 'SERVER'}}]\n"
	of := func(server, user string) string {
		return kubeconfig(strings.NewReplacer("SERVER", server, "TOKEN", user).Replace(config))
	}
	for name, args := range map[string][]string{
		"the token": {"validate", "-f", "/x/" + token},
		"the token in base64": {"validate", "-f",
			"/x/" + base64.StdEncoding.EncodeToString([]byte("git:"+token))},
		"a passphrase": {"validate", "-f", "/x/sentinel-of-the-passphrase"},
		"a proxy's echo": {"validate", "-f",
			"/x/Basic " + base64.StdEncoding.EncodeToString([]byte("operator:"+proxied))},
		"a proxy's password": {"validate", "-f", "/x/" + proxied},
		"a licence":          {"validate", "-f", specFile(t, license)},
		"a licence that is no YAML": {"validate", "-f",
			specFile(t, strings.Replace(mgmtSpec(t), "spec:\n", "spec:\n  licenseToken: *"+inSpec+"\n", 1))},
		"a password in a repository URL": {"validate", "-f",
			generic("ssh://git:" + inURL + "@git.example.com/x/y.git")},
		"a token in a repository URL": {"validate", "-f",
			generic("https://" + inURL + "@git.example.com/x/y.git")},
		"a password in a URL that is none": {"validate", "-f",
			generic("https://bob:" + inURL + "/x@git.example.com:y/x/y.git")},
		"a password in an option": {"status", "--github-api-url",
			"https://bob:" + inURL + "@git.example.com/"},
		"a password in a broken option": {"status", "--github-api-url",
			"https://bob:" + inURL + "/@git.example.com:x/"},
		"a token in an option":     {"status", "--github-host", "https://" + inURL + "@git.example.com/"},
		"an alias in a kubeconfig": {"status", "--kubeconfig", of("https://127.0.0.1:1", "*"+inURL)},
		"a kubeconfig of the wrong kind": {"status", "--kubeconfig",
			of("https://127.0.0.1:1", "["+inURL+"]")},
		"a password in a server's URL": {"status", "--kubeconfig",
			of("https://bob:"+inURL+"@127.0.0.1:1", "x"), "--timeout", "2s"},
		"a token in a server's URL": {"status", "--kubeconfig", of("https://"+inURL+"@127.0.0.1:1", "x"),
			"--timeout", "2s"},
		"a password in a broken server URL": {"get", "clusters", "--kubeconfig",
			of("https://bob:"+inURL+"/@127.0.0.1:x", "x"), "--timeout", "2s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, format := range [][]string{nil, {"-o", "json"}, {"-o", "github"}, {"-o", "sarif"}} {
				if len(format) > 0 && format[1] != "json" && args[0] != "validate" {
					continue
				}
				var out, errs bytes.Buffer
				code := cli.Run(t.Context(), append(args[:len(args):len(args)], format...),
					ui.Streams{In: strings.NewReader(""), Out: &out,
						Err: &errs, UTF8: true, Width: func() int { return 80 }},
					func(name string) (string, bool) { value, ok := env[name]; return value, ok })
				words := append(args[:len(args):len(args)], format...)
				if err := checkForms(words, unset, out.String(), errs.String()); err != nil {
					t.Error(err)
				}
				printed := out.String() + errs.String()
				if code == 0 || printed == "" {
					t.Errorf("%v: exit code %d\n%s", format, code, printed)
				}
				if strings.Contains(printed, "sentinel") || strings.Contains(printed,
					base64.StdEncoding.EncodeToString([]byte("operator:"+proxied))) {
					t.Errorf("%v shows it:\n%s", format, printed)
				}
			}
		})
	}
}

// Who asks for a file gets it as it is, and not its difference with the secrets in it.
func TestSecrets_dataIsWhole(t *testing.T) {
	t.Parallel()
	const spec = "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\nmetadata: {name: mgmt}\n" +
		"spec:\n  licenseToken: sentinel-of-the-spec\n" +
		"  gitOpsRef:\n    kind: GitOpsConfig\n    name: mgmt\n---\n" +
		"apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: GitOpsConfig\nmetadata: {name: mgmt}\n" +
		"spec:\n  flux:\n    github:\n      personal: true\n      owner: alice\n      repository: fleet\n"
	code, out, errs := runHere(t, "convert", "-f", specFile(t, spec))
	if code != 0 || !strings.Contains(out, "licenseToken: sentinel-of-the-spec") ||
		!strings.Contains(errs, "licenseToken: ***") {
		t.Errorf("exit code %d:\n%s%s", code, out, errs)
	}
	if strings.Contains(errs, "sentinel") {
		t.Errorf("the difference shows it:\n%s", errs)
	}
}
