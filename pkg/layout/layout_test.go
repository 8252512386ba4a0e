package layout_test

import (
	"bytes"
	"errors"
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/fixture"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

var update = flag.Bool("update", false, "write the golden trees")

// TestGoldenTrees renders each input and compares with the whole tree, Flux's directory included.
func TestGoldenTrees(t *testing.T) {
	if !*update { // what is written must not be read meanwhile
		t.Parallel()
	}
	files, err := fixture.Glob("../../testdata/layout/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden trees: %v", err)
	}
	texts := map[string][]byte{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			if !*update {
				t.Parallel()
			}
			golden, err := readArchive(file)
			if err != nil {
				t.Fatal(err)
			}
			input := golden.files[0].Content
			got := render(t, input)
			if again := render(t, input); !bytes.Equal(got.format(), again.format()) {
				t.Error("two renderings of the same input differ")
			}
			want := &archive{files: golden.files[1:]}
			if *update {
				written := &archive{files: append(golden.files[:1:1], got.files...)}
				texts[file], want.files = written.format(), got.files
			}
			if a, b := got.format(), want.format(); !bytes.Equal(a, b) {
				t.Errorf("the tree differs; got:\n%s\nwant:\n%s", a, b)
			}
		})
	}
	if err := fixture.Write(texts); err != nil {
		t.Error(err)
	}
}

// archive is a tree of files in one text, in the txtar format of Go's own tests.
type archive struct{ files []layout.File }

func (a *archive) format() []byte {
	var b bytes.Buffer
	for _, f := range a.files {
		b.WriteString("-- " + f.Path + " --\n")
		b.Write(f.Content)
	}
	return b.Bytes()
}

func readArchive(path string) (*archive, error) {
	data, err := fixture.Read(path)
	if err != nil {
		return nil, err
	}
	out := &archive{}
	for line := range strings.SplitAfterSeq(string(data), "\n") {
		name, marked := strings.CutPrefix(strings.TrimSuffix(line, " --\n"), "-- ")
		if marked && strings.HasSuffix(line, " --\n") {
			out.files = append(out.files, layout.File{Path: name})
			continue
		}
		if len(out.files) == 0 {
			return nil, errors.New(path + " does not start with a file")
		}
		last := &out.files[len(out.files)-1]
		last.Content = append(last.Content, line...)
	}
	return out, nil
}

func render(t *testing.T, input []byte) *archive {
	t.Helper()
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: "input.yaml", Data: input}})
	if err != nil {
		t.Fatal(err)
	}
	out := &archive{}
	for _, c := range set.Clusters {
		files, err := layout.ClusterFiles(c)
		if err != nil {
			t.Fatal(err)
		}
		if c.Role() == clusterspec.RoleManagement {
			system, err := layout.SystemFiles(c.GitOps,
				layout.FluxFiles{Components: []byte("# components\n"), Sync: []byte("# sync\n")})
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, system...)
		}
		for _, f := range files {
			out.files = append(out.files, layout.File{Path: f.Path, Content: f.Content})
		}
		// What is in the repository renders to itself.
		again, err := clusterspec.Parse([]clusterspec.Source{{Name: "again.yaml", Data: files[0].Content}})
		if err != nil {
			t.Fatal(err)
		}
		if second := clusterspec.Render(again.Clusters[0]); !bytes.Equal(second, files[0].Content) {
			t.Errorf("rendering the rendered file changes it:\n%s", second)
		}
		if !bytes.Equal(layout.LocalSpec(c), files[0].Content) {
			t.Error("the local copy differs from the file in the repository")
		}
		out.files = append(out.files,
			layout.File{Path: "without-gitops", Content: layout.SpecWithoutGitOps(c)})
	}
	return out
}

func TestSystemFiles_images(t *testing.T) {
	t.Parallel()
	g := &clusterspec.GitOps{SystemNamespace: "gitops-system", ClusterConfigPath: "clusters/dev"}
	files, err := layout.SystemFiles(g, layout.FluxFiles{Images: map[string]string{
		"source-controller": "registry.example.com/source:v1",
		"helm-controller":   "registry.example.com/helm:v1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: gitops-system
resources:
- gotk-components.yaml
- gotk-sync.yaml
patches:
- patch: |- # no mistake in Git shall delete Flux
    apiVersion: kustomize.toolkit.fluxcd.io/v1
    kind: Kustomization
    metadata:
      name: gitops-system
      annotations:
        kustomize.toolkit.fluxcd.io/prune: disabled
  target:
    name: gitops-system|(crd-controller|cluster-reconciler)-gitops-system|(source|kustomize)-controller|.*\.(source|kustomize)\.toolkit\.fluxcd\.io
- patch: |-
    apiVersion: kustomize.toolkit.fluxcd.io/v1
    kind: Kustomization
    metadata:
      name: gitops-system
    spec:
      deletionPolicy: Orphan
  target:
    group: kustomize.toolkit.fluxcd.io
    kind: Kustomization
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: helm-controller
      namespace: gitops-system
    spec:
      template:
        spec:
          containers:
          - image: registry.example.com/helm:v1
            name: manager
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: source-controller
      namespace: gitops-system
    spec:
      template:
        spec:
          containers:
          - image: registry.example.com/source:v1
            name: manager
`
	if got := files[2]; got.Path != "clusters/dev/gitops-system/kustomization.yaml" ||
		string(got.Content) != want {
		t.Errorf("%s is\n%s", got.Path, got.Content)
	}
	for _, images := range []map[string]string{{"image-reflector": "x"}, {"helm-controller": ""},
		{"helm-controller": "a\nb"}} {
		if _, err := layout.SystemFiles(g, layout.FluxFiles{Images: images}); err == nil {
			t.Errorf("no error for %v", images)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]layout.Paths{
		"clusters/dev": {
			Root: "clusters/dev", System: "clusters/dev/flux-system", Cluster: "clusters/dev/w01",
			Sync: "./clusters/dev", Spec: "clusters/dev/w01/eksa-system/eksa-cluster.yaml",
			Kustomization: "clusters/dev/w01/eksa-system/kustomization.yaml", Apps: "clusters/dev/w01/apps",
			AppsKustomization:    "clusters/dev/w01/apps/kustomization.yaml",
			AppsSync:             "clusters/dev/w01/apps-sync.yaml",
			ClusterKustomization: "clusters/dev/w01/kustomization.yaml",
		},
		"./fleet": {
			Root: "fleet", System: "fleet/flux-system", Cluster: "fleet/w01", Sync: "./fleet",
			Spec:          "fleet/w01/eksa-system/eksa-cluster.yaml",
			Kustomization: "fleet/w01/eksa-system/kustomization.yaml", Apps: "fleet/w01/apps",
			AppsKustomization: "fleet/w01/apps/kustomization.yaml", AppsSync: "fleet/w01/apps-sync.yaml",
			ClusterKustomization: "fleet/w01/kustomization.yaml",
		},
		".": {
			Root: ".", System: "flux-system", Cluster: "w01", Sync: "./",
			Spec: "w01/eksa-system/eksa-cluster.yaml", Kustomization: "w01/eksa-system/kustomization.yaml",
			Apps: "w01/apps", AppsKustomization: "w01/apps/kustomization.yaml",
			AppsSync: "w01/apps-sync.yaml", ClusterKustomization: "w01/kustomization.yaml",
		},
	} {
		c := &clusterspec.Cluster{Name: "w01", ManagementCluster: "dev",
			GitOps: &clusterspec.GitOps{SystemNamespace: "flux-system", ClusterConfigPath: path}}
		if got := layout.PathsOf(c); got != want {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if got := layout.PathsOf(&clusterspec.Cluster{Name: "w01", ManagementCluster: "dev"}).Spec; got !=
		"clusters/dev/w01/eksa-system/eksa-cluster.yaml" {
		t.Errorf("default: %s", got)
	}
}

// TestSystemFiles_confined makes sure that a caller who skips the checks of the spec still writes nothing
// outside.
func TestSystemFiles_confined(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../x", "/etc", ".git", "a/.GIT/b", `a\b`, "c:/x"} {
		if files, err := layout.SystemFiles(&clusterspec.GitOps{SystemNamespace: "flux-system",
			ClusterConfigPath: path}, layout.FluxFiles{}); err == nil {
			t.Errorf("%s: %v", path, files)
		}
	}
	if _, err := layout.ClusterFiles(&clusterspec.Cluster{Name: "dev"}); err == nil {
		t.Error("files of a cluster without GitOps")
	}
}
