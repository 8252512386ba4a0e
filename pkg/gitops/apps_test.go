package gitops_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

const appsDir = "clusters/dev/w01/"

func withApps(t *testing.T, specs ...string) gitops.CreateOptions {
	t.Helper()
	options := on(t, specs...)
	options.WithApps = true
	return options
}

// filesOf lists the branch's files below a directory, without that.
func (w *world) filesOf(dir string) (list []string) {
	for _, file := range slices.Sorted(maps.Keys(w.branches["main"].files)) {
		if rest, ok := strings.CutPrefix(file, dir); ok {
			list = append(list, rest)
		}
	}
	return list
}

// TestCreate_withApps makes the scaffold once. Later runs, with the flag or without, leave it as it is,
// whatever people have made of it.
func TestCreate_withApps(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	create(t, w, withApps(t, spec("w01", onGitHub)))
	equal(t, "files", w.filesOf(appsDir), []string{"apps-sync.yaml", "apps/kustomization.yaml",
		"eksa-system/eksa-cluster.yaml", "eksa-system/kustomization.yaml", "kustomization.yaml"})
	files := w.branches["main"].files
	for _, text := range []string{"name: w01-apps\n  namespace: eksa-system\n",
		"      name: w01-kubeconfig\n", "  path: ./clusters/dev/w01/apps\n",
		"    name: flux-system\n    namespace: flux-system\n"} {
		if !strings.Contains(files[appsDir+"apps-sync.yaml"], text) {
			t.Errorf("apps-sync.yaml does not hold %q:\n%s", text, files[appsDir+"apps-sync.yaml"])
		}
	}
	for _, edit := range []func(map[string]string){
		func(map[string]string) {},
		func(files map[string]string) {
			files[appsDir+"apps/kustomization.yaml"] = "resources: [app.yaml]\n"
			files[appsDir+"apps/app.yaml"] = "kind: ConfigMap\n"
			files[appsDir+"kustomization.yaml"] = "resources: [eksa-system, apps-sync.yaml, more.yaml]\n"
			files[appsDir+"apps-sync.yaml"] += "  wait: true\n"
		},
	} {
		w.commitOther("main", edit)
		w.flux()
		before := w.describe()
		for _, options := range []gitops.CreateOptions{withApps(t, spec("w01", onGitHub)),
			on(t, spec("w01", onGitHub))} {
			options.Overwrite = true
			w.forget()
			result := create(t, w, options)
			if result.Changed || len(w.effects) > 0 || w.describe() != before {
				t.Errorf("wrote %v", w.effects)
			}
		}
	}
}

// TestCreate_withAppsLater adds the scaffold to a cluster that is there, and to the management cluster, which
// needs no kubeconfig.
func TestCreate_withAppsLater(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	create(t, w, on(t, spec("w01", onGitHub)))
	create(t, w, withApps(t, spec("w01", onGitHub)))
	create(t, w, withApps(t, spec("dev", onGitHub)))
	sync := w.branches["main"].files["clusters/dev/dev/apps-sync.yaml"]
	if len(w.filesOf(appsDir)) != 5 || sync == "" || strings.Contains(sync, "kubeConfig") ||
		strings.Contains(sync, "Orphan") || !strings.Contains(sync, "namespace: flux-system\nspec") {
		t.Errorf("%v\n%s", w.filesOf(appsDir), sync)
	}
}

// TestCreate_withAppsInTheWay writes nothing when the scaffold would take from Flux what it applies, or would
// not be reached.
func TestCreate_withAppsInTheWay(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(map[string]string){
		"Flux applies clusters/dev/w01/apps/app.yaml, clusters/dev/w01/extra.yaml to the management " +
			"cluster": func(files map[string]string) {
			files[appsDir+"extra.yaml"], files[appsDir+"apps/app.yaml"], files[appsDir+"README.md"] =
				"kind: X\n", "kind: X\n", "x"
		},
		"clusters/dev/w01/kustomization.yaml does not list eksa-system and apps-sync.yaml": func(
			files map[string]string) {
			files[appsDir+"kustomization.yaml"] = "resources: [eksa-system]\n"
		},
	} {
		w := managed(t, onGitHub)
		create(t, w, on(t, spec("w01", onGitHub)))
		w.commitOther("main", edit)
		w.forget()
		_, err := gitops.Create(t.Context(), w.ports(nil), withApps(t, spec("w01", onGitHub)))
		var preflight *gitops.PreflightError
		if !errors.As(err, &preflight) || !strings.HasPrefix(preflight.Findings[0].Message, name) ||
			preflight.Findings[0].Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
		if len(w.calls) > 0 {
			t.Errorf("wrote %v", w.calls)
		}
	}
}

// TestDelete_withApps takes the scaffold away with the cluster. Apps of people stay, and are not applied to
// the management cluster.
func TestDelete_withApps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit func(map[string]string)
		left []string
	}{
		"empty": {func(map[string]string) {}, nil},
		"in use": {func(files map[string]string) {
			files[appsDir+"apps/kustomization.yaml"] = "resources: [app.yaml]\n"
			files[appsDir+"apps/app.yaml"] = "kind: ConfigMap\n"
		}, []string{"apps/app.yaml", "apps/kustomization.yaml", "kustomization.yaml"}},
		"of a remote base": {func(files map[string]string) {
			files[appsDir+"apps/kustomization.yaml"] = "resources: [https://example.com/app]\n"
		}, []string{"apps/kustomization.yaml", "kustomization.yaml"}},
		"spec removed by EKS Anywhere": {func(files map[string]string) {
			delete(files, appsDir+"eksa-system/eksa-cluster.yaml")
			delete(files, appsDir+"eksa-system/kustomization.yaml")
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := managed(t, onGitHub)
			create(t, w, withApps(t, spec("w01", onGitHub)))
			w.commitOther("main", test.edit)
			w.flux()
			result, err := gitops.Delete(t.Context(), w.ports(nil), doomed(t, onGitHub, "w01"))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "files left", w.filesOf(appsDir), test.left)
			if len(test.left) > 0 &&
				strings.Contains(w.branches["main"].files[appsDir+"kustomization.yaml"], "resources") {
				t.Errorf("the directory is applied as\n%s",
					w.branches["main"].files[appsDir+"kustomization.yaml"])
			}
			if (len(result.Kept) > 0) != (len(test.left) > 0) {
				t.Errorf("kept %v", result.Kept)
			}
			// The cluster comes back, with its apps or without, and after that also with them.
			for _, again := range [][]gitops.CreateOptions{{withApps(t, spec("w01", onGitHub))},
				{on(t, spec("w01", onGitHub)), withApps(t, spec("w01", onGitHub))}} {
				again := append(again, on(t, spec("w01", onGitHub)))
				for i, options := range again {
					if len(test.left) == 0 {
						break // then it is new, which other tests are about
					}
					create(t, w, options)
					built := builtFrom(t, w.branches["main"].files, strings.TrimSuffix(appsDir, "/"))
					if !strings.Contains(built, "kind: Cluster\n") ||
						strings.Contains(built, "path: ./clusters/dev/w01/apps") != (i > 0 ||
							len(again) == 2) {
						t.Errorf("run %d of %d: Flux builds\n%s", i+1, len(again), built)
					}
				}
				if _, err := gitops.Delete(t.Context(), w.ports(nil),
					doomed(t, onGitHub, "w01")); err != nil {
					t.Fatal(err)
				}
				equal(t, "files left again", w.filesOf(appsDir), test.left)
			}
		})
	}
}
