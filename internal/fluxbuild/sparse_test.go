package fluxbuild_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/index"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
)

// TestCheckout_likeGoGit holds what is checked out against go-git, with which source-controller does it.
func TestCheckout_likeGoGit(t *testing.T) {
	t.Parallel()
	names := []string{".sourceignore", "README.md", "clusters/a.yaml", "clusters/dev.yaml",
		"clusters/dev/x.yaml", "clusters/dev2/x.yaml", "dev/clusters/dev/x"}
	for _, dirs := range []fluxbuild.Checkout{{"clusters/dev"}, {"clusters/dev/"}, {"clusters/dev/",
		"README.md"}, {"clusters/dev/x.yaml"}} {
		var all index.Index
		for _, name := range names {
			all.Entries = append(all.Entries, &index.Entry{Name: name})
		}
		all.SkipUnless(dirs)
		for _, entry := range all.Entries {
			if got := dirs.HasFile(entry.Name); got == entry.SkipWorktree {
				t.Errorf("%q has %s: %v", dirs, entry.Name, got)
			}
		}
	}
	dot, slash, all := fluxbuild.Checkout{"./clusters/dev/"}, fluxbuild.Checkout{"a/"}, fluxbuild.Checkout{}
	if !dot.HasFile("clusters/dev/x") || slash.HasDir("a2") || !all.HasDir(".") {
		t.Error("wrong")
	}
}

func TestCheckout_Of(t *testing.T) {
	t.Parallel()
	all := files{"a/b/c.yaml": "", "a/b/d/e.yaml": "", "a/b2/f.yaml": "", "a/g.yaml": "", "h.yaml": ""}
	for _, test := range []struct {
		checkout fluxbuild.Checkout
		want     []string
	}{
		{nil, []string{". [a h.yaml]", "a [b b2 g.yaml]", "a/b [c.yaml d]", "a/b2 [f.yaml]"}},
		{fluxbuild.Checkout{"a/b/"}, []string{". [a]", "a [b]", "a/b [c.yaml d]"}},
		{fluxbuild.Checkout{"a/b"}, []string{". [a]", "a [b b2]", "a/b [c.yaml d]", "a/b2 [f.yaml]"}},
		{fluxbuild.Checkout{"a/b/d/", "h.yaml"}, []string{". [a h.yaml]", "a [b]", "a/b [d]"}},
		{fluxbuild.Checkout{"nowhere/"}, nil},
	} {
		view := test.checkout.Of(all)
		var got []string
		for _, dir := range []string{".", "a", "a/b", "a/b2"} {
			if view.IsDir(dir) {
				got = append(got, fmt.Sprint(dir, " ", view.List(dir)))
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.checkout, got, test.want)
		}
	}
}

// TestReachesOf finds each way in which what Flux builds of clusters/dev leads out of it, with file and line;
// and takes nothing else for one.
func TestReachesOf(t *testing.T) {
	t.Parallel()
	const root = "clusters/dev"
	source := fluxbuild.Name{Namespace: "flux-system", Name: "flux-system"}
	fluxObject := func(group, kind, spec string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: shop\n  namespace: flux-system\n"+
			"spec:\n%s",
			group, kind, spec)
	}
	kustomizationOf := func(path string) string {
		return fluxObject("kustomize.toolkit.fluxcd.io/v1", "Kustomization",
			"  path: "+path+"\n  sourceRef:\n    kind: GitRepository\n    name: flux-system\n")
	}
	for name, test := range map[string]struct {
		files    files
		settings fluxbuild.Settings
		want     []string
	}{
		"nothing": {files: files{root + "/a/kustomization.yaml": kustomization("resources: [x.yaml]"),
			root + "/a/x.yaml": configMap("x"), "other/y.yaml": configMap("x")}},
		"a base": {
			files: files{
				root + "/a/kustomization.yaml": kustomization("resources:", "- x.yaml", "- ../../../base"),
				root + "/a/x.yaml":             configMap("x"),
				"base/kustomization.yaml":      kustomization("resources: [y.yaml, ../more]"),
				"base/y.yaml":                  configMap("y"),
				"more/kustomization.yaml":      kustomization("resources: [z.yaml]"),
				"more/z.yaml":                  configMap("z")},
			want: []string{"clusters/dev/a/kustomization.yaml:5 resources[1] ../../../base → base"},
		},
		"a base inside": {files: files{root + "/kustomization.yaml": kustomization("resources: [a]"),
			root + "/a/kustomization.yaml": kustomization("resources: " +
				"[../b]"), root + "/b/kustomization.yaml": kustomization("resources: [x.yaml]"),
			root + "/b/x.yaml": configMap("x")}},
		"files of all kinds": {
			files: files{root + "/a/kustomization.yaml": kustomization("resources: [x.yaml]", "patches:",
				"- path: ../../../p.yaml", "configMapGenerator:", "- name: g", "  files:",
				"  - key=../../../data.txt", "components: [../../../c]"),
				root + "/a/x.yaml": configMap("x"), "p.yaml": configMap("x") + "data: {a: b}\n",
				"data.txt": "x", "c/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\n" +
					"kind: Component\nnamePrefix: c-\n"},
			want: []string{
				"clusters/dev/a/kustomization.yaml:5 patches[0].path ../../../p.yaml → p.yaml",
				"clusters/dev/a/kustomization.yaml:9 configMapGenerator[0].files[0] key=../../../data.txt " +
					"→ data.txt",
				"clusters/dev/a/kustomization.yaml:10 components[0] ../../../c → c",
			},
		},
		"behind something from elsewhere": {
			files: files{
				root + "/a/kustomization.yaml": kustomization("resources:", "- https://example.com/x.yaml",
					"- ../b"),
				root + "/b/kustomization.yaml": kustomization("resources: [../../../base]"),
				"base/kustomization.yaml":      kustomization("resources: [x.yaml]"),
				"base/x.yaml":                  configMap("x")},
			want: []string{"clusters/dev/b/kustomization.yaml:3 resources[0] ../../../base → base"},
		},
		"a component of Flux's Kustomization": {
			files: files{root + "/x.yaml": configMap("x"), "c/kustomization.yaml": "apiVersion: " +
				"kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: c-\n"},
			settings: fluxbuild.Settings{Components: []string{"../../c"}},
			want:     []string{":0 spec.components[0] ../../c → c"},
		},
		"an ignore file that decides": {
			files: files{".sourceignore": "/clusters/dev/b/\n", root + "/a.yaml": configMap("a"),
				root + "/b/x.yaml": configMap("x")},
			want: []string{".sourceignore:0   → .sourceignore"},
		},
		"an ignore file that does not": {files: files{".sourceignore": "/docs/\n",
			root + "/a.yaml": configMap("a"),
			"docs/x.yaml":    "x"}},
		"another Kustomization": {
			files: files{root + "/apps.yaml": kustomizationOf("./apps"), "apps/x.yaml": configMap("x")},
			want: []string{
				"clusters/dev/apps.yaml:7 Kustomization flux-system/shop spec.path ./apps → apps"},
		},
		"the whole repository": {
			files: files{root + "/apps.yaml": kustomizationOf(`""`)},
			want:  []string{"clusters/dev/apps.yaml:7 Kustomization flux-system/shop spec.path  → ."},
		},
		"one above": {
			files: files{root + "/apps.yaml": kustomizationOf("clusters")},
			want: []string{
				"clusters/dev/apps.yaml:7 Kustomization flux-system/shop spec.path clusters → clusters"},
		},
		"one inside that leads out": {
			files: files{root + "/apps.yaml": kustomizationOf("./clusters/dev/apps"),
				root + "/kustomization.yaml":      kustomization("resources: [apps.yaml]"),
				root + "/apps/kustomization.yaml": kustomization("resources: [more.yaml, ../../../base]"),
				root + "/apps/more.yaml":          kustomizationOf("deep"), "base/x.yaml": configMap("x"),
				"base/kustomization.yaml": kustomization("resources: [x.yaml]")},
			want: []string{"clusters/dev/apps/kustomization.yaml:3 resources[1] ../../../base → base",
				"clusters/dev/apps/more.yaml:7 Kustomization flux-system/shop spec.path deep → deep"},
		},
		"another source": {files: files{root + "/apps.yaml": fluxObject("kustomize.toolkit.fluxcd.io/v1",
			"Kustomization", "  path: ./apps\n  sourceRef:\n    kind: GitRepository\n    name: other\n")}},
		"a chart": {
			files: files{root + "/web.yaml": fluxObject("helm.toolkit.fluxcd.io/v2", "HelmRelease",
				"  chart:\n    spec:\n      chart: ./charts/web\n      valuesFiles:\n"+
					"      - ./clusters/dev/values.yaml\n      - ./values.yaml\n      sourceRef:\n"+
					"        kind: GitRepository\n        name: flux-system\n")},
			want: []string{
				"clusters/dev/web.yaml:9 HelmRelease flux-system/shop spec.chart.spec.chart ./charts/web → " +
					"charts/web",
				"clusters/dev/web.yaml:12 HelmRelease flux-system/shop spec.chart.spec.valuesFiles[1] " +
					"./values.yaml → values.yaml",
			},
		},
		"an include": {
			files: files{root + "/more.yaml": fluxObject("source.toolkit.fluxcd.io/v1", "GitRepository",
				"  include:\n  - repository: {name: flux-system}\n    fromPath: shared\n")},
			want: []string{"clusters/dev/more.yaml:9 GitRepository flux-system/shop " +
				"spec.include[0].fromPath shared → shared"},
		},
		"copies": {
			files: files{root + "/more.yaml": fluxObject("source.extensions.fluxcd.io/v1beta1",
				"ArtifactGenerator",
				"  sources:\n  - {alias: all, kind: GitRepository, name: flux-system}\n  artifacts:\n"+
					"  - name: a\n    copy:\n    - {from: '@all/shared/**', to: '@artifact/'}\n"+
					"    - {from: '@all/clusters/dev/x*', to: '@artifact/'}\n")},
			want: []string{"clusters/dev/more.yaml:12 ArtifactGenerator flux-system/shop " +
				"spec.artifacts[0].copy[0].from shared → shared"},
		},
	} {
		_, found, err := fluxbuild.ReachesOf(test.files, root, test.settings, source,
			fluxbuild.Checkout{root + "/"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, r := range found {
			object := ""
			if r.Object != "" {
				object = r.Object + " "
			}
			got = append(got,
				fmt.Sprintf("%s:%d %s%s %s → %s", r.File, r.Line, object, r.Field, r.Value, r.Target))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, test.want)
		}
	}
}
