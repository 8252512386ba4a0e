package fluxbuild_test

import (
	"slices"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
)

// TestBuild_patched: what changes objects without changing which there are is seen in their fields, and what
// may do more is built whole.
func TestBuild_patched(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines []string
		want  []string
		kept  bool
	}{
		"annotations for all": {
			lines: []string{"commonAnnotations: {kustomize.toolkit.fluxcd.io/prune: disabled}"},
			want:  []string{"default_a__ConfigMap", "default_b__ConfigMap"}, kept: true},
		"a patch with a target": {lines: []string{"patches:", "- target: {name: a}",
			"  patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: other, " +
				"annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}}}'"},
			want: []string{"default_a__ConfigMap", "default_b__ConfigMap"}, kept: true},
		"a target that is none": {lines: []string{"patches:", "- target: {name: z}",
			"  patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: z}}'"},
			want: []string{"default_a__ConfigMap", "default_b__ConfigMap"}},
		"a patch that deletes": {lines: []string{"patches:", "- target: {name: a}",
			"  patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, $patch: delete}'"},
			want: []string{"default_b__ConfigMap"}},
		"a patch that may rename": {
			lines: []string{"patches:", "- target: {name: a}", "  options: {allowNameChange: true}",
				"  patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}'"},
			want: []string{"default_b__ConfigMap", "default_c__ConfigMap"}},
		"operations": {lines: []string{"patches:", "- target: {name: a}",
			"  patch: '[{\"op\": \"replace\", \"path\": \"/metadata/namespace\", \"value\": \"other\"}]'"},
			want: []string{"default_b__ConfigMap", "other_a__ConfigMap"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := append([]string{"resources: [a.yaml, b.yaml]"}, test.lines...)
			tree := files{"p/kustomization.yaml": kustomization(lines...), "p/a.yaml": configMap("a"),
				"p/b.yaml": configMap("b")}
			built, err := fluxbuild.Build(tree, "p", fluxbuild.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			oracle, err := kustomize.BuildFrom(tree, "p", nil)
			if err != nil {
				t.Fatal(err)
			}
			var got, truth []string
			for i := range built.Objects {
				got = append(got, built.Objects[i].ID())
			}
			for _, r := range oracle.Resources() {
				truth = append(truth,
					fluxbuild.Name{Kind: r.GetKind(), Namespace: r.GetNamespace(), Name: r.GetName()}.ID())
			}
			slices.Sort(got)
			slices.Sort(truth)
			if !slices.Equal(got, test.want) || !slices.Equal(truth, test.want) {
				t.Errorf("got  %q\nkustomize %q\nwant %q", got, truth, test.want)
			}
			if a := built.Find(fluxbuild.Name{Kind: "ConfigMap", Namespace: "default",
				Name: "a"}); a != nil && fluxbuild.Kept(a.Fields()) != test.kept {
				t.Errorf("the fields of a are %v", a.Fields())
			}
		})
	}
}

// TestSettings: the settings are those of the file unless a patch may be about them.
func TestSettings(t *testing.T) {
	t.Parallel()
	const sync = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n" +
		"metadata: {name: s, namespace: s}\nspec: {namePrefix: a-, prune: true}\n"
	for patch, want := range map[string]string{
		"{apiVersion: v1, kind: Kustomization, metadata: {name: s}, spec: {deletionPolicy: Orphan}}": "a-",
		`{"apiVersion": v1, kind: Kustomization, metadata: {name: s}, "spec": {"namePrefix": b-}}`:   "b-",
	} {
		tree := files{"p/s.yaml": sync, "p/kustomization.yaml": kustomization("resources: [s.yaml]",
			"patches:", "- target: {name: s}", "  patch: |", "    "+patch)}
		built, err := fluxbuild.Build(tree, "p", fluxbuild.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		settings, err := built.Objects[0].Settings()
		if err != nil || settings.NamePrefix != want || settings.Prune == nil || !*settings.Prune {
			t.Errorf("%s: %+v, %v", patch, settings, err)
		}
	}
}
