package lint_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// controllersOf are components whose controllers are of a release.
func controllersOf(flux, source, helm string) string {
	deployment := func(name, version string) string {
		return fmt.Sprintf("---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: %s\n"+
			"  namespace: flux-system\n  labels: {app.kubernetes.io/version: %s}\nspec:\n  template:\n"+
			"    spec:\n      containers:\n      - name: manager\n        image: ghcr.io/fluxcd/%s:%s\n",
			name, flux, name, version)
	}
	return strings.SplitAfter(components, "kustomizations.kustomize.toolkit.fluxcd.io\n")[0] +
		deployment("source-controller", source) + deployment("kustomize-controller", "v1.9.4") +
		deployment("helm-controller", helm)
}

const imagePatch = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: source-controller\n" +
	"  namespace: flux-system\nspec:\n  template:\n    spec:\n      containers:\n" +
	"      - image: public.ecr.aws/x/fluxcd/source-controller:v0.36.1-eks-a-22\n        name: manager\n"

// pinnedBy are the ways to give source-controller an image of v0.36.1, with where that is.
func pinnedBy() map[string]struct {
	kustomization, patches string
	at                     string
} {
	const head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n" +
		"- gotk-components.yaml\n- gotk-sync.yaml\n"
	indented := "    " + strings.ReplaceAll(strings.TrimSuffix(imagePatch, "\n"), "\n", "\n    ") + "\n"
	return map[string]struct{ kustomization, patches, at string }{
		"gotk-patches.yaml of EKS Anywhere": {head + "patchesStrategicMerge:\n- gotk-patches.yaml\n",
			"# images\n---\n" + imagePatch, "gotk-patches.yaml:12"},
		"a patch in a file": {head + "patches:\n- path: gotk-patches.yaml\n", imagePatch,
			"gotk-patches.yaml:10"},
		"a patch in place": {head + "patches:\n- patch: |-\n" + indented, "", "kustomization.yaml:17"},
		"a strategic merge in place": {head + "patchesStrategicMerge:\n- |-\n" + indented, "",
			"kustomization.yaml:17"},
		"a list of operations": {head + "patches:\n- target: {kind: Deployment, name: source-controller}\n" +
			"  patch: |-\n    - op: replace\n      path: /spec/template/spec/containers/0/image\n" +
			"      value: ghcr.io/fluxcd/source-controller:v0.36.1\n",
			"", "kustomization.yaml:11"},
		"the kustomization's list of images": {head +
			"images:\n- name: ghcr.io/fluxcd/source-controller\n  newTag: v0.36.1\n",
			"", "kustomization.yaml:8"},
	}
}

func TestPinnedImages(t *testing.T) {
	t.Parallel()
	for name, c := range pinnedBy() {
		files := map[string][]byte{"kustomization.yaml": []byte(c.kustomization)}
		if c.patches != "" {
			files["gotk-patches.yaml"] = []byte(c.patches)
		}
		found := lint.PinnedImages(files)
		if len(found) != 1 || found[0].Controller != "source-controller" ||
			!strings.Contains(found[0].Image, "v0.36.1") ||
			fmt.Sprintf("%s:%d", found[0].File, found[0].Line) != c.at {
			t.Errorf("%s: %+v, want one at %s", name, found, c.at)
		}
	}
	for name, kustomization := range map[string]string{
		"nothing": "", "no kustomization": "- a\n",
		"something else": "patches:\n- target: {kind: Deployment, name: source-controller}\n  patch: |-\n" +
			"    - op: replace\n      path: /spec/replicas\n      value: 2\n",
		"another Deployment": "images:\n- {name: nginx, newTag: v1.0.0}\n",
		"damaged":            "patches: {a: b}\nimages: x\npatchesStrategicMerge:\n- none.yaml\n",
	} {
		if found := lint.PinnedImages(map[string][]byte{
			"kustomization.yaml": []byte(kustomization)}); len(found) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// TestCheckRepository_fluxImage: controllers of an older release than their definitions are errors, wherever
// their image is set; those of a newer one are told, and those that nobody can tell are not.
func TestCheckRepository_fluxImage(t *testing.T) {
	t.Parallel()
	said := func(edit func(repository)) string {
		r := newRepository(t)
		r.put(flux+"/gotk-components.yaml", controllersOf("v2.9.4", "v1.9.4", "v1.6.3"))
		edit(r)
		var got []string
		report := check(t, lint.Tree(r), nil)
		for _, p := range report.Problems {
			if p.Rule == "flux-image" {
				got = append(got, fmt.Sprintf("%s %s:%d %s %s",
					p.Severity, strings.TrimPrefix(p.File, flux+"/"), p.Line, p.Object, p.Expected))
				if report.Sources[p.File] == nil {
					t.Errorf("no source of %s", p.File)
				}
			}
		}
		return strings.Join(got, "\n")
	}
	for name, c := range pinnedBy() {
		got := said(func(r repository) {
			r.put(flux+"/kustomization.yaml", c.kustomization)
			if c.patches != "" {
				r.put(flux+"/gotk-patches.yaml", c.patches)
			}
		})
		if want := "error " + c.at + " Deployment source-controller v1.9.x"; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for name, c := range map[string]struct{ flux, source, helm, want string }{
		"all of one release":          {"v2.9.4", "v1.9.4", "v1.6.3", ""},
		"a build of the same release": {"v2.9.4", "v1.9.0-eks-a-v0.26.0", "v1.6.0-eks-a-v0.26.0", ""},
		"older in the components": {"v2.9.4", "v1.8.5", "v1.6.3",
			"error gotk-components.yaml:28 Deployment source-controller v1.9.x"},
		"newer than the definitions": {"v2.8.8", "v1.8.5", "v1.6.3",
			"notice gotk-components.yaml:41 Deployment kustomize-controller v1.8.x"},
		"by digest or by name": {"v2.9.4", "v1.9.4@sha256:0123", "stable", ""},
	} {
		got := said(func(r repository) {
			r.put(flux+"/gotk-components.yaml", controllersOf(c.flux, c.source, c.helm))
		})
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
