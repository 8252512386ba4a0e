package fluxbuild_test

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
)

// files is a repository in memory; a nil content is a symbolic link.
type files map[string]string

func (f files) IsFile(name string) bool { _, ok := f[name]; return ok }

func (f files) IsDir(name string) bool { return len(f.List(name)) > 0 }

func (f files) Read(name string) ([]byte, error) { return []byte(f[name]), nil }

func (f files) List(dir string) []string {
	var names []string
	for file := range f {
		below, ok := strings.CutPrefix(file, strings.TrimPrefix(dir+"/", "./"))
		if first, _, _ := strings.Cut(below, "/"); ok && !slices.Contains(names, first) {
			names = append(names, first)
		}
	}
	slices.Sort(names)
	return names
}

func configMap(name string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: default\n", name)
}

func kustomization(lines ...string) string {
	return "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" +
		strings.Join(lines, "\n") + "\n"
}

// told is what was built: each object with its file and line.
func told(built *fluxbuild.Built) []string {
	var out []string
	for _, o := range built.Objects {
		place := o.File
		if o.Line > 0 {
			place += fmt.Sprintf(":%d", o.Line)
		}
		out = append(out, fmt.Sprintf("%s %s", o.ID(), place))
	}
	slices.Sort(out)
	return out
}

func TestBuild(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files    files
		settings fluxbuild.Settings
		want     []string
		err      string
	}{
		"all YAML files": {
			files: files{"p/a.yaml": "# two\n" + configMap("a") + "---\n" + configMap("b"),
				"p/x/c.yml": configMap("c"), "p/README.md": "no", "q/d.yaml": configMap("d")},
			want: []string{"default_a__ConfigMap p/a.yaml:2", "default_b__ConfigMap p/a.yaml:8",
				"default_c__ConfigMap p/x/c.yml:1"},
		},
		"a directory with a kustomization as it says": {
			files: files{"p/x/kustomization.yaml": kustomization("resources: [a.yaml]"),
				"p/x/a.yaml": configMap("a"), "p/x/b.yaml": configMap("b"), "p/c.yaml": configMap("c")},
			want: []string{"default_a__ConfigMap p/x/a.yaml:1", "default_c__ConfigMap p/c.yaml:1"},
		},
		"names that change": {
			files: files{"p/x/kustomization.yaml": kustomization("namePrefix: prod-", "namespace: other",
				"resources: [a.yaml]"),
				"p/x/a.yaml": configMap("a")},
			want: []string{"other_prod-a__ConfigMap p/x/a.yaml"},
		},
		"a base beside the path": {
			files: files{"p/kustomization.yaml": kustomization("resources: [../base, own.yaml]"),
				"base/kustomization.yaml": kustomization("nameSuffix: -z", "resources: [a.yaml]"),
				"base/a.yaml":             configMap("a"), "p/own.yaml": configMap("own")},
			want: []string{"default_a-z__ConfigMap base/a.yaml", "default_own__ConfigMap p/own.yaml"},
		},
		"generated": {
			files: files{"p/x/kustomization.yaml": kustomization("configMapGenerator: [{name: g, "+
				"namespace: ns, files: [data.txt]}]", "generatorOptions: {disableNameSuffixHash: true}"),
				"p/x/data.txt": "data"},
			want: []string{"ns_g__ConfigMap "},
		},
		"what takes from elsewhere is not looked at": {
			files: files{
				"p/x/kustomization.yaml": kustomization("resources: ['https://example.com/base?ref=main']"),
				"p/a.yaml":               configMap("a")},
			want: []string{"default_a__ConfigMap p/a.yaml:1"},
		},
		"the Kustomization's own settings": {
			files: files{"p/a.yaml": configMap("a"),
				"p/x/kustomization.yaml": kustomization("resources: [b.yaml]"), "p/x/b.yaml": configMap("b")},
			settings: fluxbuild.Settings{TargetNamespace: "t", NamePrefix: "n-"},
			want:     []string{"t_n-a__ConfigMap p/a.yaml", "t_n-b__ConfigMap p/x/b.yaml"},
		},
		"a list": {
			files: files{"p/a.yaml": "apiVersion: v1\nkind: List\nitems:\n" +
				"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: n}}\n"},
			want: []string{"n_a__ConfigMap p/a.yaml:4"},
		},
		"roles": {files: files{"p/a.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n" +
			"metadata: {name: 'a:b'}\n"},
			want: []string{"_a__b_rbac.authorization.k8s.io_ClusterRole p/a.yaml:1"}},
		"no directory": {files: files{"q/a.yaml": configMap("a")},
			err: "Flux cannot build p: there is no such directory"},
		"no object": {files: files{"p/a.yaml": "a: b\n"}, err: "Flux cannot build p: p/a.yaml:1 is not a " +
			"Kubernetes object: it has no apiVersion or no kind"},
		"twice": {files: files{"p/a.yaml": configMap("a"), "p/b.yaml": configMap("a")},
			err: "Flux cannot build p: ConfigMap default/a is in p/a.yaml and in p/b.yaml"},
		"a missing one": {files: files{"p/x/kustomization.yaml": kustomization("resources: [a.yaml]")},
			err: "Flux cannot build p: p/x/kustomization.yaml lists a.yaml, where there is nothing to build"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			built, err := fluxbuild.Build(test.files, "p", test.settings)
			if test.err != "" {
				if err == nil || err.Error() != test.err || !errors.As(err, new(*fluxbuild.Error)) {
					t.Fatalf("got %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(test.want)
			if got := told(built); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			for _, o := range built.Objects {
				metadata, _ := o.Fields()["metadata"].(map[string]any)
				if metadata["name"] != o.Name.Name {
					t.Errorf("the fields of %s are %v", o.Name, o.Fields())
				}
				if marks, _ := metadata["annotations"].(map[string]any); len(marks) > 0 {
					t.Errorf("%s carries %v", o.Name, marks)
				}
			}
		})
	}
}

// TestBuild_asKustomize: what is followed without kustomize is what kustomize makes of it.
func TestBuild_asKustomize(t *testing.T) {
	t.Parallel()
	tree := files{"p/kustomization.yaml": kustomization("resources:", "- a", "- b.yaml", "- ./c/")}
	tree["p/b.yaml"] = configMap("b") + "---\n---\n# nothing\n---\n" + configMap("b2")
	tree["p/a/kustomization.yml"] = kustomization("resources:", "- one.yaml", "- two.yaml")
	tree["p/a/one.yaml"] = "---\n" + configMap("one")
	tree["p/a/two.yaml"] = "{apiVersion: v1, kind: ConfigMap, metadata: {name: two, namespace: n}}"
	tree["p/c/Kustomization"] = kustomization("resources:", "- three.yaml")
	tree["p/c/three.yaml"] = configMap("three")
	quick, err := fluxbuild.Build(tree, "p", fluxbuild.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	slow, err := kustomize.BuildFrom(tree, "p", nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, r := range slow.Resources() {
		origin, err := r.GetOrigin()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, r.GetNamespace()+"/"+r.GetName()+" "+path.Join("p", origin.Path))
	}
	var got []string
	for _, o := range quick.Objects {
		got = append(got, o.Namespace+"/"+o.Name.Name+" "+o.File)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(got) != 5 {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]fluxbuild.Name{
		"default_dev_anywhere.eks.amazonaws.com_Cluster": {Group: "anywhere.eks.amazonaws.com",
			Kind: "Cluster", Namespace: "default", Name: "dev"},
		"_flux-system__Namespace": {Kind: "Namespace", Name: "flux-system"},
		"_a__b_rbac.authorization.k8s.io_ClusterRole": {Group: "rbac.authorization.k8s.io",
			Kind: "ClusterRole", Name: "a:b"},
	} {
		if got, ok := fluxbuild.ParseID(id); !ok || got != want || got.ID() != id {
			t.Errorf("%s is read as %+v", id, got)
		}
	}
	for _, id := range []string{"", "a", "a_b", "a_b_c"} {
		if got, ok := fluxbuild.ParseID(id); ok {
			t.Errorf("%s is read as %+v", id, got)
		}
	}
}
