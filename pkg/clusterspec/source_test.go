package clusterspec_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

func TestReadPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"b.yaml": "b", "a.yml": "a", "c.JSON": "c", "notes.txt": "no", "sub/d.yaml": "no",
		"empty/x.txt": "no", "empty/.hidden.yaml": "no", ".#b.yaml": "no", ".b.yaml": "no", "b.yaml~": "no",
		".b.yaml.swp": "no", "#b.yaml#": "no", "blank.d/blank.yaml": " \n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sources, err := clusterspec.ReadPaths(t.Context(), []string{"-", dir, filepath.Join(dir, "b.yaml"), "-"},
		strings.NewReader("in"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sources {
		got = append(got, filepath.Base(s.Name)+"="+string(s.Data))
	}
	if want := "stdin=in a.yml=a b.yaml=b c.JSON=c"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}

	blank := filepath.Join(dir, "blank.d", "blank.yaml")
	_, err = clusterspec.ReadPaths(t.Context(),
		[]string{filepath.Join(dir, "none.yaml"), filepath.Join(dir, "empty"), blank, "-"}, nil)
	var problems clusterspec.Problems
	if !errors.As(err, &problems) || len(problems) != 4 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{"blank.yaml: the file is empty", "the directory contains no cluster files",
		"none.yaml: there is no such file or directory", "stdin: the file is empty"} {
		if !strings.Contains(problems[i].String(), want) {
			t.Errorf("got %s, want %s", problems[i], want)
		}
	}
	if _, err := clusterspec.ReadPaths(t.Context(), []string{"-"},
		iotest.ErrReader(errors.New("broken pipe"))); err == nil ||
		!strings.Contains(err.Error(), "stdin: broken pipe") {
		t.Errorf("got %v", err)
	}
}

// endless gives the same byte for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestReadPaths_bounded(t *testing.T) {
	t.Parallel()
	_, err := clusterspec.ReadPaths(t.Context(), []string{"-"}, endless{})
	if err == nil || err.Error() != "stdin: too much input; expected at most 32 MiB in all files of a run" {
		t.Errorf("got %v", err)
	}
}

func TestParse_bounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("large files, each read in one goroutine")
	}
	for name, data := range map[string]string{
		"total":      strings.Repeat("a", clusterspec.MaxTotalSize+1),
		"document":   "a: " + strings.Repeat("b", 2<<20),
		"brackets":   strings.Repeat("[", 1<<20),
		"braces":     strings.Repeat("{", 150_000),
		"dashes":     strings.Repeat("- ", 150_000),
		"entries":    strings.Repeat("a:\n", 150_000),
		"documents":  strings.Repeat("---\na: {b: [c, d]}\n", 300_000),
		"indented":   indented(20_000),
		"separators": strings.Repeat("apiVersion: a\nkind: b\n", 20_000),
		"one value": strings.Repeat("apiVersion: a\nkind: b\n", 300) + "x: " +
			strings.Repeat("y", 1_400_000) + "\n",
		"dashes at":  "a: [\n" + strings.Repeat("----\n", 20_000),
		"broken":     strings.Repeat("---\na: b\n  c: d\n"+strings.Repeat("e: f\n", 100), 500),
		"late error": strings.Repeat("a: b\n", 60_000) + "[",
		"strays": "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\nmetadata: {name: dev}\n" +
			"spec:\n" + strings.Repeat("  count: 1\n  cidrBlocks: [a]\n", 30_000),
		"items": "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\nmetadata: {name: dev}\n" +
			"spec:\n  workerNodeGroupConfigurations:\n" + strings.Repeat("  - name: a\n", 60_000),
		"long lines": "a: \"" + strings.Repeat("\\x41", 300_000) + "\"",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := clusterspec.Parse([]clusterspec.Source{{Name: "a.yaml", Data: []byte(data)}})
			var problems clusterspec.Problems
			if !errors.As(err, &problems) || set == nil {
				t.Fatalf("got %v", err)
			}
			if text := problems[0].String(); len(text) > 400 {
				t.Errorf("the message is %d bytes long", len(text))
			}
		})
	}
}

// TestParse_boundedMessages: hostile input with very many mistakes gives a list that can be read, and says
// that it was cut.
func TestParse_boundedMessages(t *testing.T) {
	t.Parallel()
	foreign := strings.Repeat("---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", 3000)
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: "a.yaml", Data: []byte(foreign)}})
	if err == nil || len(set.Warnings) != 1001 {
		t.Fatalf("%d warnings, %v", len(set.Warnings), err)
	}
	const cut = "a.yaml:4003:7: the first 1000 problems are shown; from here on there are 2000 more"
	if last := set.Warnings[1000].String(); last != cut {
		t.Errorf("the last warning is %s", last)
	}
	const head = "apiVersion: " + clusterspec.APIVersion + "\nkind: Cluster\nmetadata: {name: dev}\nspec:\n"
	_, err = clusterspec.Parse([]clusterspec.Source{{Name: "a.yaml",
		Data: []byte(head + strings.Repeat("  k: 1\n", 5000))}})
	var problems clusterspec.Problems
	if !errors.As(err, &problems) || len(problems) > 202 {
		t.Errorf("%d problems", len(problems))
	}
	long := "  ? " + strings.Repeat("k", 500_000) + "\n  : {" + strings.Repeat("a, a, ", 20_000) + "}\n"
	_, err = clusterspec.Parse([]clusterspec.Source{{Name: "a.yaml", Data: []byte(head + long)}})
	if err == nil || len(err.Error()) > 100_000 {
		t.Errorf("the messages take %d bytes", len(err.Error()))
	}
}

func indented(depth int) string {
	var b strings.Builder
	for i := range min(depth, 1200) {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestProblem(t *testing.T) {
	t.Parallel()
	p := clusterspec.Problem{
		Severity: clusterspec.SeverityError, Rule: "unknown-field", File: "cluster.yaml",
		Document: 1, Line: 12, Column: 5, Object: "Cluster dev", Field: "spec.gitOpsReff",
		Message: "there is no such field", Found: "a", Expected: "b", Suggestion: "gitOpsRef",
	}
	const text = `cluster.yaml:12:5: Cluster dev: spec.gitOpsReff: there is no such field; found a; expected b; did you mean "gitOpsRef"?`
	if p.String() != text {
		t.Errorf("got %s", p)
	}
	if got := (clusterspec.Problems{p, {Message: "x", File: "f", Line: 3}, {Message: "y"}}).Error(); got !=
		text+"\nf:3: x\ny" {
		t.Errorf("got %s", got)
	}
	encoded, err := json.Marshal(p)
	const want = `{"severity":"error","rule":"unknown-field","file":"cluster.yaml","document":1,"line":12,"column":5,"object":"Cluster dev","field":"spec.gitOpsReff","message":"there is no such field","found":"a","expected":"b","suggestion":"gitOpsRef"}`
	if err != nil || string(encoded) != want {
		t.Errorf("got %s, %v", encoded, err)
	}
}

// TestParse_secretsStayHidden: a message never repeats a credential that stands in a URL.
func TestParse_secretsStayHidden(t *testing.T) {
	t.Parallel()
	const secret = "ghp_sentinel"
	for _, url := range []string{"https://" + secret + "@github.com/a/b", "ssh://git:" + secret + "@h/a/b",
		"https://u:" + secret + "@h/%zz", "ftp://" + secret + "@h/a"} {
		text := mustReplace(t, readSpec(t, "vsphere-management-git"),
			"ssh://git@git.example.com/acme/fleet.git", url)
		_, err := clusterspec.Parse([]clusterspec.Source{{Name: "a.yaml", Data: []byte(text)}})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s gives %v", url, err)
		}
	}
}

func TestObject_Position(t *testing.T) {
	t.Parallel()
	c := parseText(readSpec(t, "vsphere-management-github")).Clusters[0]
	for path, want := range map[string][2]int{
		"spec.kubernetesVersion": {6, 22}, "spec.workerNodeGroupConfigurations[0].count": {16, 12},
		"spec.workerNodeGroupConfigurations[7].count": {14, 3},
		"spec.missing.deeper":                         {5, 1}, "": {1, 1},
		"spec.clusterNetwork.pods": {23, 5},
	} {
		if line, column := c.Objects[0].Position(path); line != want[0] || column != want[1] {
			t.Errorf("%q is at %d:%d, want %v", path, line, column, want)
		}
	}
}

// TestReadPaths_interrupted: somebody has typed a command that reads standard input, and types nothing more
// but Ctrl-C.
func TestReadPaths_interrupted(t *testing.T) {
	t.Parallel()
	silent, writer := io.Pipe()
	defer writer.Close()
	ctx, interrupt := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted")
	interrupt(cause)
	if sources, err := clusterspec.ReadPaths(ctx, []string{"-"}, silent); !errors.Is(err, cause) ||
		sources != nil {
		t.Errorf("%v, %v", sources, err)
	}
}
