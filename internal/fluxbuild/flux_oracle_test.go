package fluxbuild_test

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
)

// buildWithFlux builds a directory with the packages of Flux's kustomize-controller, and gives the identities
// of what it would apply.
func buildWithFlux(t *testing.T, tree files, dir string, spec map[string]any) []string {
	t.Helper()
	root := t.TempDir()
	for name, content := range tree {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	object := unstructured.Unstructured{
		Object: map[string]any{"metadata": map[string]any{"name": "x", "namespace": "y"}, "spec": spec}}
	target := filepath.Join(root, dir)
	if _, err := fluxkustomize.NewGeneratorWithIgnore(root, "", object).WriteFile(target); err != nil {
		t.Fatal(err)
	}
	built, err := fluxkustomize.SecureBuild(root, target, false)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range built.Resources() {
		if substituted, err := fluxkustomize.SubstituteVariables(context.Background(), nil, object, r,
			fluxkustomize.SubstituteWithDryRun(true)); err != nil {
			t.Fatal(err)
		} else if substituted != nil {
			r = substituted
		}
		gvk := r.GetGvk()
		out = append(out, fluxbuild.Name{Group: gvk.Group, Kind: gvk.Kind, Namespace: r.GetNamespace(),
			Name: r.GetName()}.ID())
	}
	slices.Sort(out)
	return out
}

// TestBuild_asFlux: with the settings of a Kustomization the same objects come out as with Flux's own
// packages.
func TestBuild_asFlux(t *testing.T) {
	t.Parallel()
	tree := files{
		"p/a.yaml": configMap("a"), "p/x/b.yaml": configMap("b-${env}"),
		"p/y/kustomization.yaml": kustomization("resources: [c.yaml]", "namePrefix: y-"),
		"p/y/c.yaml":             configMap("c"),
		"p/d.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: d\n  namespace: ${ns:=other}\n" +
			"  annotations:\n    kustomize.toolkit.fluxcd.io/substitute: disabled\n",
		"c/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n" +
			"nameSuffix: -c\n",
		"own/kustomization.yaml":  kustomization("resources: [a.yaml]", "namespace: own"),
		"own/a.yaml":              configMap("a"),
		"own/unlisted.yaml":       configMap("unlisted"),
		"plain/kustomization.yml": kustomization("resources: [a.yaml]"),
		"plain/a.yaml":            configMap("$${env}-${env:-none}"),
	}
	for name, spec := range map[string]map[string]any{
		"nothing":          {},
		"target namespace": {"targetNamespace": "t"},
		"prefix, suffix":   {"namePrefix": "p-", "nameSuffix": "-s"},
		"a component":      {"components": []any{"../c"}},
		"patches": {
			"patches": []any{map[string]any{"patch": "- {op: replace, path: /metadata/name, value: patched}",
				"target": map[string]any{"kind": "ConfigMap", "name": "a"}}}},
		"variables":   {"postBuild": map[string]any{"substitute": map[string]any{"env": "prod"}}},
		"no variable": {"postBuild": map[string]any{"substitute": map[string]any{}}},
		"other variables": {"postBuild": map[string]any{"substitute": map[string]any{"other": "x"}},
			"namePrefix": "p-"},
	} {
		for _, dir := range []string{"p", "own", "plain"} {
			t.Run(name+" "+dir, func(t *testing.T) {
				t.Parallel()
				settings, err := fluxbuild.SettingsOf(spec)
				if err != nil {
					t.Fatal(err)
				}
				built, err := fluxbuild.Build(tree, dir, settings)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, o := range built.Objects {
					got = append(got, o.ID())
				}
				slices.Sort(got)
				if want := buildWithFlux(t, tree, dir, spec); !slices.Equal(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		}
	}
}

// TestBuild_unknownVariables: what is in the cluster only is said, and not guessed.
func TestBuild_unknownVariables(t *testing.T) {
	t.Parallel()
	tree := files{"p/a.yaml": configMap("a-${env}-${region}"), "p/b.yaml": configMap("b")}
	settings, err := fluxbuild.SettingsOf(map[string]any{"postBuild": map[string]any{
		"substitute":     map[string]any{"env": "prod"},
		"substituteFrom": []any{map[string]any{"kind": "Secret", "name": "site"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	built, err := fluxbuild.Build(tree, "p", settings)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"default_a-prod-${region}__ConfigMap p/a.yaml:1",
		"default_b__ConfigMap p/b.yaml:1"}; !slices.Equal(told(built), want) {
		t.Errorf("got  %q\nwant %q", told(built), want)
	}
	if len(built.Unseen) != 1 ||
		built.Unseen[0].Error() != "p/a.yaml uses ${region} of Secret site in the cluster" {
		t.Errorf("unseen: %v", built.Unseen)
	}
}

// TestBuild_commonMetadata: labels and annotations of the Kustomization are on everything, and win.
func TestBuild_commonMetadata(t *testing.T) {
	t.Parallel()
	settings, err := fluxbuild.SettingsOf(map[string]any{"commonMetadata": map[string]any{
		"annotations": map[string]any{"kustomize.toolkit.fluxcd.io/prune": "disabled"}}})
	if err != nil {
		t.Fatal(err)
	}
	built, err := fluxbuild.Build(files{"p/a.yaml": configMap("a"), "p/b.yaml": configMap("b")},
		"p", settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range built.Objects {
		if !fluxbuild.Kept(o.Fields()) {
			t.Errorf("%s has %v", o.Name, o.Fields()["metadata"])
		}
	}
	if want := []string{"default_a__ConfigMap p/a.yaml:1", "default_b__ConfigMap p/b.yaml:1"}; !slices.Equal(
		told(built), want) {
		t.Errorf("got %q", told(built))
	}
}

// TestArtifact: what source-controller leaves out is not built.
func TestArtifact(t *testing.T) {
	t.Parallel()
	tree := files{
		".sourceignore": "# not for Flux\n/p/drafts/\n*.tmp.yaml\n",
		"p/a.yaml":      configMap("a"), "p/drafts/b.yaml": configMap("b"), "p/x/c.tmp.yaml": configMap("c"),
		"p/x/.sourceignore": "d.yaml\n!keep.tmp.yaml\n", "p/x/d.yaml": configMap("d"),
		"p/d.yaml": configMap("d"), "p/x/keep.tmp.yaml": configMap("keep"),
		"p/.github/e.yaml": configMap("e"), "p/.sops.yaml": "creation_rules: []\n",
		"p/.drone.yml": "kind: pipeline\n", "p/own/f.yaml": configMap("f"),
	}
	for ignore, want := range map[string][]string{
		"":       {"a", "d", "f", "keep"},
		"/p/own": {"a", "d", "keep"},
	} {
		built, err := fluxbuild.Build(fluxbuild.Artifact(tree, ignore), "p", fluxbuild.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range built.Objects {
			got = append(got, o.Name.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("with %q: got %q, want %q", ignore, got, want)
		}
		if files := fluxbuild.Artifact(tree, ignore); files.IsDir("p/drafts") ||
			files.IsFile(path.Join("p/drafts", "b.yaml")) || !files.IsFile("p/a.yaml") {
			t.Error("drafts are there, or a is not")
		}
	}
}
