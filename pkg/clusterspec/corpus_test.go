package clusterspec_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/fixture"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

var update = flag.Bool("update", false, "write the golden files")

const corpus = "../../testdata/specs"

// specFiles lists the spec files of a directory of the corpus.
func specFiles(t testing.TB, dir string) []string {
	t.Helper()
	names, err := fixture.Glob(filepath.Join(corpus, dir, "*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	return few(slices.DeleteFunc(names, func(name string) bool { return filepath.Ext(name) == ".out" }))
}

// few are a part of many cases of one kind, where tests are asked to be short: the race detector, for which
// that is, finds nothing new in more of the same.
func few(cases []string) []string {
	const every = 12
	if !testing.Short() {
		return cases
	}
	var chosen []string
	for i := 0; i < len(cases); i += every {
		chosen = append(chosen, cases[i])
	}
	return chosen
}

func parseFile(t testing.TB, path string) (*clusterspec.Set, error) {
	t.Helper()
	data, err := fixture.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return clusterspec.Parse([]clusterspec.Source{{Name: filepath.Base(path), Data: data}})
}

// golden compares with the file of expected output beside a spec.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("output differs from %s\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestCorpus_invalid(t *testing.T) {
	t.Parallel()
	for _, file := range specFiles(t, "invalid") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			set, err := parseFile(t, file)
			problems, ok := err.(clusterspec.Problems)
			if !ok || len(problems) == 0 {
				t.Fatalf("no problems: %v", err)
			}
			var b strings.Builder
			for _, p := range problems {
				fmt.Fprintf(&b, "error[%s]: %s\n", p.Rule, p)
				if p.Severity != clusterspec.SeverityError || p.Rule == "" || p.File == "" ||
					p.Message == "" {
					t.Errorf("incomplete problem: %+v", p)
				}
			}
			for _, w := range set.Warnings {
				fmt.Fprintf(&b, "warning[%s]: %s\n", w.Rule, w)
			}
			golden(t, file+".out", b.String())
		})
	}
}

func TestCorpus_valid(t *testing.T) {
	t.Parallel()
	for _, file := range specFiles(t, "valid") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			set, err := parseFile(t, file)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, c := range set.Clusters {
				fmt.Fprintf(&b, "cluster %s/%s: %s of %s, %s, Kubernetes %s, %d control plane, %d workers\n",
					c.Namespace, c.Name, c.Role(), c.ManagementCluster, c.Provider, c.KubernetesVersion,
					c.ControlPlaneCount, c.WorkerCount)
				for _, o := range c.Objects {
					fmt.Fprintf(&b, "  %s:%d %s\n", o.File, o.Line, o.Label())
				}
				if c.GitOps != nil {
					encoded, err := json.Marshal(c.GitOps)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&b, "  gitops %s\n", encoded)
				}
				checkRendering(t, c)
			}
			for _, w := range set.Warnings {
				fmt.Fprintf(&b, "warning[%s]: %s\n", w.Rule, w)
			}
			golden(t, file+".out", b.String())
		})
	}
}

var lenientSeparator = regexp.MustCompile(`(?m)^---$`)

// checkRendering holds a rendering to what is promised of it.
func checkRendering(t *testing.T, c *clusterspec.Cluster) {
	t.Helper()
	rendered := clusterspec.Render(c)
	again, err := clusterspec.Parse([]clusterspec.Source{{Name: "rendered.yaml", Data: rendered}})
	if err != nil {
		t.Fatalf("the rendering is not valid: %v\n%s", err, rendered)
	}
	if len(again.Clusters) != 1 || len(again.Clusters[0].Objects) != len(c.Objects) {
		t.Fatalf("objects were lost:\n%s", rendered)
	}
	if second := clusterspec.Render(again.Clusters[0]); !bytes.Equal(rendered, second) {
		t.Errorf("rendering twice differs:\n%s\n---- and ----\n%s", rendered, second)
	}
	if !reflect.DeepEqual(again.Clusters[0].GitOps, c.GitOps) {
		t.Errorf("GitOps is %+v after rendering, was %+v", again.Clusters[0].GitOps, c.GitOps)
	}
	if bytes.ContainsAny(rendered, "\r") || bytes.HasPrefix(rendered, []byte("\xEF\xBB\xBF")) ||
		!bytes.HasSuffix(rendered, []byte("\n")) {
		t.Errorf("line ends or mark:\n%q", rendered)
	}
	// EKS Anywhere's lenient reader splits on plain separators and its strict one refuses duplicate keys.
	// Both must see our objects.
	documents := lenientSeparator.Split(string(rendered), -1)
	if len(documents) != len(c.Objects) {
		t.Fatalf("EKS Anywhere's lenient reader sees %d documents of %d:\n%s",
			len(documents), len(c.Objects), rendered)
	}
	for i, document := range documents {
		var theirs, ours map[string]any
		if err := yaml.UnmarshalStrict([]byte(document), &theirs); err != nil {
			t.Fatalf("EKS Anywhere's strict reader: %v\n%s", err, document)
		}
		encoded, err := json.Marshal(again.Clusters[0].Objects[i].Decoded())
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &ours); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(theirs, ours) {
			t.Errorf("EKS Anywhere reads\n%v\nwe read\n%v", theirs, ours)
		}
		metadata := ours["metadata"].(map[string]any)
		if metadata["namespace"] != c.Namespace || metadata["uid"] != nil || ours["status"] != nil {
			t.Errorf("metadata or status: %v", ours)
		}
	}
	without, err := clusterspec.Parse([]clusterspec.Source{{Name: "without.yaml",
		Data: clusterspec.RenderWithoutGitOps(c)}})
	if err != nil {
		t.Fatalf("without GitOps: %v", err)
	}
	if without.Clusters[0].GitOps != nil ||
		len(without.Warnings) > 0 && without.Warnings[0].Rule == "unreferenced" {
		t.Errorf("GitOps was left in:\n%s", clusterspec.RenderWithoutGitOps(c))
	}
}
