package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// runHere runs a command line in this process, without a terminal, without an environment but a home that is
// not there.
func runHere(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	env := map[string]string{"XDG_CONFIG_HOME": "/no-home"}
	code = cli.Run(t.Context(), args, ui.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, UTF8: true,
		Width: func() int { return 80 }},
		func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	if err := checkForms(args, unset, out.String(), errs.String()); err != nil {
		t.Error(err)
	}
	return code, out.String(), errs.String()
}

// mgmtSpec is the management cluster's file with replacements made: old, new, old, new.
func mgmtSpec(t *testing.T, replacements ...string) string {
	t.Helper()
	content, err := os.ReadFile("../../test/e2e/testdata/mgmt.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := string(content)
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(changed, replacements[i]) {
			t.Fatalf("mgmt.yaml does not hold %q", replacements[i])
		}
		changed = strings.ReplaceAll(changed, replacements[i], replacements[i+1])
	}
	return changed
}

func specFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spec.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// quotedYAML is a string as a double-quoted scalar, whatever it holds: all but plain ASCII as escapes, so
// that readers take it.
func quotedYAML(value string) string { return strconv.QuoteToASCII(value) }

// Every string of a file that becomes a path, in the repository or beside the file, is refused when it leads
// anywhere else.
func TestHostile_paths(t *testing.T) {
	t.Parallel()
	leadsAway := []string{
		"..", "../x", "../../../../etc/cron.d", "/etc", "a/../../b", "a//b", "./..", "a/./../..", `..\..\x`,
		`C:\x`, "C:/x", ".git", "a/.git/hooks", ".GIT/x", "git~1", ".git /x", ".git./x", "a\x00b",
		"a\nb", "\u202egnp.x", "a\u200b", "con", "aux.txt/x", "~/x/..", "a:b", strings.Repeat("x/", 600),
		strings.Repeat("x", 300),
	}
	fields := map[string]func(value string) string{
		"clusterConfigPath": func(v string) string {
			return mgmtSpec(t, "spec:\n  github:", "spec:\n  clusterConfigPath: "+quotedYAML(v)+"\n  github:")
		},
		"systemNamespace": func(v string) string {
			return mgmtSpec(t, "spec:\n  github:", "spec:\n  systemNamespace: "+quotedYAML(v)+"\n  github:")
		},
		"the cluster's name": func(v string) string {
			return mgmtSpec(t, "name: mgmt\n", "name: "+quotedYAML(v)+"\n")
		},
		"the owner": func(v string) string { return mgmtSpec(t, "owner: alice", "owner: "+quotedYAML(v)) },
		"the repository": func(v string) string {
			return mgmtSpec(t, "repository: fleet", "repository: "+quotedYAML(v))
		},
		"the branch": func(v string) string {
			return mgmtSpec(t, "spec:\n  github:", "spec:\n  branch: "+quotedYAML(v)+"\n  github:")
		},
	}
	// What is a fine value there, since it is no path or a part of one only.
	fine := map[string][]string{
		"the owner": {"con"}, "the repository": {"con", "git~1"}, "the branch": {"con", "git~1", "aux.txt/x"},
	}
	for name, file := range fields {
	values:
		for _, value := range leadsAway {
			for _, other := range fine[name] {
				if value == other {
					continue values
				}
			}
			path := specFile(t, file(value))
			if code, stdout, _ := runHere(t, "validate", "-f", path); code != 3 {
				t.Errorf("%s %q: exit code %d\n%s", name, value, code, stdout)
			}
		}
	}
}

// nasty is what a terminal, a log or a workflow would act on.
const nasty = "\x1b[2J\x1b]0;owned\x07\r\u202e\u009b31m\u2028\n::error::owned\n::add-mask::x\n"

// checkPrinted fails when text has anything in it that a terminal acts on.
func checkPrinted(t *testing.T, what, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && r != '\t' &&
			(unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') {
			t.Errorf("%s holds %U:\n%q", what, r, text)
			return
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "::error::owned") || strings.HasPrefix(line, "::add-mask::") {
			t.Errorf("%s holds a workflow command of the input:\n%s", what, text)
			return
		}
	}
}

// Whatever stands in a file, and whatever the file is called: nothing that is printed makes a terminal or a
// workflow do anything, in any format, and JSON stays JSON.
func TestHostile_text(t *testing.T) {
	t.Parallel()
	q := quotedYAML(nasty)
	specs := map[string]string{
		"the cluster's name": mgmtSpec(t, "name: mgmt\n", "name: "+q+"\n"),
		"a version":          mgmtSpec(t, `kubernetesVersion: "1.33"`, "kubernetesVersion: "+q),
		"a key":              mgmtSpec(t, "  kubernetesVersion:", "  "+q+": x\n  kubernetesVersion:"),
		"a kind":             mgmtSpec(t, "kind: FluxConfig\nmetadata", "kind: "+q+"\nmetadata"),
		"an apiVersion": mgmtSpec(t, "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: FluxConfig",
			"apiVersion: "+q+"\nkind: FluxConfig"),
		"the owner":  mgmtSpec(t, "owner: alice", "owner: "+q),
		"the branch": mgmtSpec(t, "  github:", "  branch: "+q+"\n  github:"),
		"the path":   mgmtSpec(t, "  github:", "  clusterConfigPath: "+q+"\n  github:"),
		"the repository's URL": mgmtSpec(t, "  github:\n    personal: true\n    owner: alice\n"+
			"    repository: fleet\n", "  git:\n    repositoryUrl: "+q+"\n"),
		"a reference":            mgmtSpec(t, "name: mgmt-cp\n  workerNode", "name: "+q+"\n  workerNode"),
		"a comment":              mgmtSpec(t, "# One control plane", "# \u202e\u009b31m One control plane"),
		"an anchor":              mgmtSpec(t, "count: 1\n", "count: *"+"\u009b31m\u202e"+"\n"),
		"a raw escape":           mgmtSpec(t, "owner: alice", "owner: \x1b[2J"),
		"a raw carriage return":  mgmtSpec(t, "owner: alice", "owner: [\r::error::owned"),
		"broken text":            mgmtSpec(t, "owner: alice", "owner: \xff\x9b31m"),
		"a duplicate key":        mgmtSpec(t, "owner: alice", q+": 1\n    "+q+": 2"),
		"a tag":                  mgmtSpec(t, "owner: alice", "owner: !<\u009b31m\u202e> x"),
		"a secret among nasties": mgmtSpec(t, "owner: alice", "owner: alice\n    licenseToken: "+q),
	}
	dir := t.TempDir()
	for name, content := range specs {
		file := filepath.Join(dir, "a\x1b]0;owned\x07\n::error::owned\n\u202e.yaml")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"text", "json", "github", "sarif"} {
			_, stdout, stderr := runHere(t, "validate", "-f", file, "-o", format)
			checkPrinted(t, name+" as "+format, stdout)
			checkPrinted(t, name+" as "+format+", standard error", stderr)
			if (format == "json" || format == "sarif") && !json.Valid([]byte(stdout)) {
				t.Errorf("%s as %s is no JSON:\n%s", name, format, stdout)
			}
		}
		for _, args := range [][]string{{"create", "cluster", "-f", file},
			{"create", "cluster", "-f", file, "-o", "json"}, {"convert", "-f", file}} {
			_, stdout, stderr := runHere(t, args...)
			if args[0] == "create" {
				checkPrinted(t, name+" created", stdout)
			}
			checkPrinted(t, name+" "+args[0]+", standard error", stderr)
		}
	}
	// Arguments of commands that need no file.
	for _, args := range [][]string{
		{"status", nasty, "--kubeconfig", nasty}, {"delete", "cluster", nasty},
		{"get", "kubeconfig", nasty, "--kubeconfig", nasty}, {"lint", nasty}, {nasty},
		{"status", "--" + nasty}, {"status", "-o", nasty}, {"validate", "-f", nasty}, {"create", "cluster",
			"-f", "../../test/e2e/testdata/mgmt.yaml", "--github-host", nasty},
		{"lint", "--base", nasty}, {"status", "--timeout", nasty}, {"validate", "--config", nasty}, {"get",
			"kubeconfig", "dev", "--kubeconfig", "../../test/e2e/testdata/mgmt.yaml", "--context", nasty},
	} {
		_, stdout, stderr := runHere(t, args...)
		checkPrinted(t, fmt.Sprintf("%q", args), stdout+stderr)
	}
}

// Input that is made to be expensive ends soon, with an error and not with the machine's memory.
func TestHostile_yaml(t *testing.T) {
	if testing.Short() {
		t.Skip(
			"one goroutine, and megabytes of text: nothing for the race detector, which takes minutes for it")
	}
	t.Parallel()
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 20 {
		laughs += fmt.Sprintf("a%d: &a%d [%s*a%d]\n",
			i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), i)
	}
	merges := "m0: &m0 {k: v}\n"
	for i := range 20 {
		merges += fmt.Sprintf("m%d: &m%d {<<: [%s*m%d], k%d: v}\n",
			i+1, i+1, strings.Repeat(fmt.Sprintf("*m%d, ", i), 9), i, i)
	}
	for name, content := range map[string]string{
		"a billion laughs":   laughs + "kind: Cluster\n",
		"merges":             merges + "kind: Cluster\n",
		"an alias in itself": "kind: Cluster\nspec: &s\n  x: *s\n",
		"deep lists":         "kind: Cluster\nspec: " + strings.Repeat("[", 200_000),
		"deep maps":          "kind: Cluster\nspec: " + strings.Repeat("{a: ", 100_000),
		"deep blocks":        "kind: Cluster\n" + deepBlocks(3_000),
		"many documents":     strings.Repeat("---\nkind: Cluster\n", 200_000),
		"many keys":          "kind: Cluster\n" + manyKeys(200_000),
		"a long line":        "kind: Cluster\nx: " + strings.Repeat("y", 8<<20),
		"too much":           "kind: Cluster\n# " + strings.Repeat("y", 33<<20),
		"many problems": strings.Repeat("---\napiVersion: anywhere.eks.amazonaws.com/v1alpha1\n"+
			"kind: Cluster\nmetadata: {name: UPPER}\nspec: {kubernetsVersion: 1}\n", 10_000),
		"many anchors":  "kind: Cluster\n" + strings.Repeat("- &a x\n", 300_000),
		"a long number": "kind: Cluster\nx: " + strings.Repeat("9", 2<<20),
		"a wide list": "kind: Cluster\nspec: {workerNodeGroupConfigurations: [" +
			strings.Repeat("{},", 200_000) + "]}",
	} {
		path := specFile(t, content)
		began := time.Now()
		code, stdout, _ := runHere(t, "validate", "-f", path)
		if code != 3 {
			t.Errorf("%s: exit code %d\n%.500s", name, code, stdout)
		}
		if took := time.Since(began); took > 30*time.Second { // seconds on an idle machine
			t.Errorf("%s: took %v", name, took)
		}
		if len(stdout) > 4<<20 {
			t.Errorf("%s: %d bytes of output", name, len(stdout))
		}
	}
}

func deepBlocks(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyKeys(count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "k%d: v\n", i)
	}
	return b.String()
}

// What lint reads is inside the repository: links that lead out are named and not followed, and what is no
// file is not opened.
func TestHostile_lint(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.MkdirAll(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	secretSpec := mgmtSpec(t, "name: mgmt\n", "name: sentinel-outside\n")
	if err := os.WriteFile(filepath.Join(outside, "eksa-cluster.yaml"), []byte(secretSpec+"\n\x01"),
		0o600); err != nil {
		t.Fatal(err)
	}
	for name, prepare := range map[string]func(root string) error{
		"the clusters": func(root string) error {
			return os.Symlink(outside, filepath.Join(root, "clusters"))
		},
		"a cluster": func(root string) error {
			return linkAt(root, "clusters/mgmt/mgmt/eksa-system", outside)
		},
		"a file": func(root string) error {
			return linkAt(root, "clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml",
				filepath.Join(outside, "eksa-cluster.yaml"))
		},
		"a kustomization": func(root string) error {
			return linkAt(root, "clusters/mgmt/mgmt/eksa-system/kustomization.yaml",
				filepath.Join(outside, "eksa-cluster.yaml"))
		},
		"a resource outside": func(root string) error {
			dir := filepath.Join(root, "clusters/mgmt/mgmt/eksa-system")
			content := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"+
				"resources: [%s/eksa-cluster.yaml, %s]\n",
				outside, relative(dir, outside)+"/eksa-cluster.yaml")
			return writeAll(dir, map[string]string{"kustomization.yaml": content})
		},
		"a link in a circle": func(root string) error {
			return linkAt(root, "clusters/mgmt/mgmt/eksa-system", ".")
		},
		"a pipe": func(root string) error {
			dir := filepath.Join(root, "clusters/mgmt/mgmt/eksa-system")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			return exec.Command("mkfifo", filepath.Join(dir, "eksa-cluster.yaml")).Run() // it returns at once
		},
		"a submodule": func(root string) error {
			return writeAll(filepath.Join(root, "clusters/mgmt"),
				map[string]string{".git": "gitdir: " + outside + "\n", "eksa-cluster.yaml": secretSpec})
		},
		"a file name": func(root string) error {
			return writeAll(filepath.Join(root, "clusters/mgmt/\x1b[2J\u202e\n::error::owned\n/eksa-system"),
				map[string]string{"eksa-cluster.yaml": secretSpec, "kustomization.yaml": "\x1b[2J"})
		},
	} {
		for _, repository := range []bool{false, true} {
			root := t.TempDir()
			if err := prepare(root); err != nil {
				t.Fatal(err)
			}
			if repository {
				for _, args := range [][]string{{"init", "-q", root}, {"-C", root, "add", "--all"}} {
					if out, err := exec.CommandContext(t.Context(), "git",
						args...).CombinedOutput(); err != nil && args[0] == "init" {
						t.Fatalf("%v: %s", err, out) // what git does not add, it leaves
					}
				}
			}
			for _, format := range []string{"text", "json", "github", "sarif"} {
				code, stdout, stderr := runHere(t, "lint", root, "-o", format)
				if code == 1 {
					t.Errorf("%s: exit code 1\n%s", name, stderr)
				}
				checkPrinted(t, name+" as "+format, stdout+stderr)
				if name != "a file name" && strings.Contains(stdout+stderr, "sentinel-outside") {
					t.Errorf("%s as %s: what lies outside was read:\n%s%s", name, format, stdout, stderr)
				}
			}
		}
	}
}

func linkAt(root, path, target string) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o700); err != nil {
		return err
	}
	return os.Symlink(target, filepath.Join(root, path))
}

func writeAll(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func relative(from, to string) string {
	path, err := filepath.Rel(from, to)
	if err != nil {
		return to
	}
	return path
}
