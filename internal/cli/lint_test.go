package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// fleet writes what create cluster pushes for mgmt.yaml and dev.yaml, Flux's own files included: fleet DIR.
func fleet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fleet DIR")
	}
	var sources []clusterspec.Source
	for _, name := range []string{"mgmt.yaml", "dev.yaml"} {
		sources = append(sources, clusterspec.Source{Name: name, Data: []byte(ts.ReadFile(name))})
	}
	set, err := clusterspec.Parse(sources)
	ts.Check(err)
	var files []layout.File
	for _, c := range set.Clusters {
		ours, err := layout.ClusterFiles(c)
		ts.Check(err)
		files = append(files, ours...)
	}
	config := set.Clusters[0].GitOps
	components, err := fluxmanifests.Components(context.Background(), fluxmanifests.ComponentsOptions{})
	ts.Check(err)
	sync, err := fluxmanifests.Sync(fluxmanifests.SyncOptions{URL: "ssh://git@github.com/alice/fleet",
		Branch: config.Branch, Path: layout.SyncPath(config)})
	ts.Check(err)
	system, err := layout.SystemFiles(config, layout.FluxFiles{Components: components, Sync: sync})
	ts.Check(err)
	for _, f := range append(files, system...) {
		ts.Check(writeFile(filepath.Join(ts.MkAbs(args[0]), f.Path), f.Content))
	}
}

func writeFile(name string, content []byte) error {
	return errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, content, 0o600))
}

// TestLint_documentation makes sure that every rule is explained.
func TestLint_documentation(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := lint.Rules()
	for _, rule := range rules {
		if !strings.Contains(string(content), "\n| `"+rule.Name+"` | ") {
			t.Errorf("docs/lint.md does not explain %s", rule.Name)
		}
	}
	// Other tables have no severities.
	if rows := len(regexp.MustCompile("\n\\| `[a-z-]+` \\| (error|warning|notice)").
		FindAllString(string(content), -1)); rows != len(rules) {
		t.Errorf("%d rules in docs/lint.md, %d in the program", rows, len(rules))
	}
}

// BenchmarkLint lints 1,000 clusters in a Git repository as it is checked out, alone and against a commit in
// which one is different.
func BenchmarkLint(b *testing.B) {
	dir := b.TempDir()
	spec, err := os.ReadFile("../../testdata/specs/valid/vsphere-workload-github.yaml")
	if err != nil {
		b.Fatal(err)
	}
	put := func(name, text string) {
		text = strings.ReplaceAll(text, "name: dev", "name: "+name)
		text = regexp.MustCompile(`(metadata:\n  name: .*\n)`).ReplaceAllString(text,
			"${1}  namespace: default\n")
		for file, content := range map[string]string{"eksa-cluster.yaml": text,
			"kustomization.yaml": "resources:\n- eksa-cluster.yaml\n"} {
			if err := writeFile(filepath.Join(dir, "clusters/mgmt", name, "eksa-system", file),
				[]byte(content)); err != nil {
				b.Fatal(err)
			}
		}
	}
	for i := range 1000 {
		put(fmt.Sprintf("w%04d", i), string(spec))
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "--all"},
		{"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=one"},
		{"gc", "--quiet"}} {
		if out, err := exec.CommandContext(b.Context(), "git",
			append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			b.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	put("w0500", strings.ReplaceAll(string(spec), "count: 2", "count: 4"))
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"alone": {[]string{"lint", dir}, "1 warning in 1 of 2000 files"},
		"base":  {[]string{"lint", dir, "--base", "HEAD"}, "1 change: 1 applied"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var out strings.Builder
				code := cli.Run(b.Context(), test.args, ui.Streams{Out: &out, Err: io.Discard},
					func(string) (string, bool) { return "", false })
				if code != 0 || !strings.Contains(out.String(), test.want) {
					b.Fatalf("exit code %d\n%s", code, out.String())
				}
			}
		})
	}
}
