package gitops_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// sparse says on or off in the options of a run.
func sparse(options gitops.CreateOptions, on bool) gitops.CreateOptions {
	options.SparseCheckout = &on
	return options
}

func sparseUpgrade(t *testing.T, on bool, specs ...string) gitops.UpgradeOptions {
	t.Helper()
	options := upgrading(t, specs...)
	options.CreateOptions = sparse(options.CreateOptions, on)
	return options
}

const sparseLines = "  sparseCheckout:\n  - clusters/dev/\n"

// syncWith is gotk-sync.yaml of the tests' fleet.
func syncWith(t *testing.T, dirs ...string) string {
	t.Helper()
	options := fluxmanifests.SyncOptions{URL: "ssh://git@git.example.com/octo/fleet", Path: "./clusters/dev",
		SparseCheckout: dirs}
	content, err := fluxmanifests.Sync(options)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestSparseCheckout goes through the life of the setting: it is made with the repository, stays without the
// flag, goes and comes with it, and a run that changes nothing about it writes nothing.
func TestSparseCheckout(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	create(t, w, sparse(on(t, spec("dev", onGitHub)), true))
	sync := func() string { return w.branches["main"].files[systemSync] }
	if !strings.Contains(sync(), sparseLines) || !strings.Contains(w.sync, sparseLines) {
		t.Fatalf("Git:\n%s\ncluster:\n%s", sync(), w.sync)
	}
	made := sync()
	for name, run := range map[string]func() *gitops.Result{
		"create without the flag": func() *gitops.Result {
			return create(t, w, on(t, spec("dev", onGitHub)))
		},
		"create with it": func() *gitops.Result {
			return create(t, w, sparse(on(t, spec("dev", onGitHub)),
				true))
		},
		"upgrade without the flag": func() *gitops.Result {
			return upgrade(t, w, upgrading(t, spec("dev",
				onGitHub)))
		},
		"upgrade with it": func() *gitops.Result {
			return upgrade(t, w, sparseUpgrade(t, true, spec("dev",
				onGitHub)))
		},
	} {
		if result := run(); result.Changed || sync() != made {
			t.Errorf("%s: changed %v\n%s", name, result.Changed, sync())
		}
	}
	upgrade(t, w, sparseUpgrade(t, false, spec("dev", onGitHub)))
	if without := strings.Replace(made, sparseLines, "", 1); sync() != without {
		t.Fatalf("after =false:\n%s\nwant:\n%s", sync(), without)
	}
	w.state.Flux.GitRepository.SparseCheckout = nil
	upgrade(t, w, sparseUpgrade(t, true, spec("dev", onGitHub)))
	if sync() != made {
		t.Fatalf("on again:\n%s", sync())
	}
	create(t, w, sparse(on(t, spec("dev", onGitHub)), false))
	if strings.Contains(sync(), "sparseCheckout") {
		t.Fatalf("create with =false:\n%s", sync())
	}
}

// TestSparseCheckout_edited keeps what somebody else has made of the file: more directories, other fields,
// comments.
func TestSparseCheckout_edited(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ before, want string }{
		"more directories": {"  sparseCheckout:\n  - clusters/dev\n  - base # the common one\n",
			"  sparseCheckout:\n  - clusters/dev\n  - base # the common one\n"},
		"too little":    {"  sparseCheckout: [clusters/dev/dev]\n", sparseLines},
		"another field": {"  timeout: 3m\n", sparseLines + "  timeout: 3m\n"},
	} {
		w := managed(t, onGitHub)
		w.commitOther("main", func(files map[string]string) {
			files[systemSync] = strings.Replace(files[systemSync], "  url:", test.before+"  url:", 1)
		})
		w.flux()
		before := w.branches["main"].files[systemSync]
		upgrade(t, w, sparseUpgrade(t, true, spec("dev", onGitHub)))
		if got := w.branches["main"].files[systemSync]; got != strings.Replace(before, test.before,
			test.want, 1) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

// TestSparseCheckout_planned: a dry run shows the change and makes none.
func TestSparseCheckout_planned(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	options := sparseUpgrade(t, true, spec("dev", onGitHub))
	options.DryRun = true
	before := w.describe()
	result := upgrade(t, w, options)
	files := result.Repository.Files
	if w.describe() != before || len(files) != 1 || !strings.Contains(string(files[0].After), sparseLines) {
		t.Errorf("%+v", files)
	}
}

// outsideCases are what Flux needs from outside of clusters/dev, and what is said of it.
func outsideCases() map[string]struct {
	files   map[string]string
	objects []fluxinstall.FluxObject
	want    string
} {
	const base = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: default\n"
	const apps = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n" +
		"  name: apps\n  namespace: flux-system\nspec:\n  interval: 10m\n  prune: true\n  path: ./apps\n" +
		"  sourceRef:\n    kind: GitRepository\n    name: flux-system\n"
	return map[string]struct {
		files   map[string]string
		objects []fluxinstall.FluxObject
		want    string
	}{
		"a base": {
			files: map[string]string{"clusters/dev/infra/kustomization.yaml": base + "- ../../../base\n",
				"base/kustomization.yaml": base + "- x.yaml\n", "base/x.yaml": configMap},
			want: "spec: " +
				`clusters/dev/infra/kustomization.yaml:4: resources[0] is "../../../base", which is ` +
				`outside of clusters/dev: with --sparse-checkout Flux would not fetch that, and would apply nothing ` +
				`any more` +
				"; move base below clusters/dev, correct the entry and push that first; or leave " +
				"--sparse-checkout out",
		},
		"another Kustomization": {
			files: map[string]string{"clusters/dev/apps.yaml": apps, "apps/x.yaml": configMap},
			want: "spec: " +
				`clusters/dev/apps.yaml:9: Kustomization flux-system/apps: spec.path is "./apps", ` +
				`which is not below clusters/dev: with --sparse-checkout Flux would not fetch that, and that object ` +
				`would do nothing any more` + "; give that object a GitRepository of its own, or move what " +
				"it uses below clusters/dev and push that first; or leave --sparse-checkout out",
		},
		"an ignore file": {
			files: map[string]string{".sourceignore": "/clusters/dev/old/\n",
				"clusters/dev/old/x.yaml": configMap},
			want: "spec: .sourceignore leaves files below clusters/dev out, and is itself outside of it: " +
				"with --sparse-checkout Flux would not fetch that, and would apply those files; write its " +
				"lines for that directory into clusters/dev/.sourceignore and push that first; or leave " +
				"--sparse-checkout out",
		},
		"a release in the cluster": {
			objects: []fluxinstall.FluxObject{
				{Kind: "HelmRelease", Namespace: "shop", Name: "web",
					Spec: map[string]any{"chart": map[string]any{"spec": map[string]any{
						"chart": "./charts/web", "sourceRef": map[string]any{"kind": "GitRepository",
							"name": "flux-system", "namespace": "flux-system"}}}}},
				{Kind: "Kustomization", Namespace: "shop", Name: "other", Spec: map[string]any{"path": "./x",
					"sourceRef": map[string]any{"kind": "GitRepository", "name": "other"}}},
			},
			want: "spec: " +
				`HelmRelease shop/web: spec.chart.spec.chart is "./charts/web", which is not below ` +
				`clusters/dev: with --sparse-checkout Flux would not fetch that, and that object would do nothing any ` +
				`more` +
				"; give that object a GitRepository of its own, or move what it uses below clusters/dev " +
				"and push that first; or leave --sparse-checkout out",
		},
	}
}

// TestSparseCheckout_outside refuses it when Flux needs something from outside of its path, in what Git holds
// and in the cluster. Nothing is written then.
func TestSparseCheckout_outside(t *testing.T) {
	t.Parallel()
	for name, test := range outsideCases() {
		outside := func() *world {
			w := managed(t, onGitHub)
			w.commitOther("main", func(files map[string]string) { maps.Copy(files, test.files) })
			w.flux()
			w.resources.Objects = test.objects
			w.forget()
			return w
		}
		for command, found := range map[string][]facts.Finding{
			"create":  refused(t, outside(), sparse(on(t, spec("dev", onGitHub)), true)),
			"upgrade": refusedUpgrade(t, outside(), sparseUpgrade(t, true, spec("dev", onGitHub))),
		} {
			if got := told(found); got != test.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", name, command, got, test.want)
			}
		}
	}
}

// told is what findings say.
func told(found []facts.Finding) string {
	var all []string
	for _, f := range found {
		all = append(all, string(f.Area)+": "+f.Message+"; "+f.Hint)
	}
	return strings.Join(all, "\n")
}

// TestSparseCheckout_oldFlux refuses it where the Flux in Git does not have the field.
func TestSparseCheckout_oldFlux(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.commitOther("main", func(files map[string]string) {
		files[componentsPath] += `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gitrepositories.source.toolkit.fluxcd.io
  labels:
    app.kubernetes.io/part-of: flux
spec:
  group: source.toolkit.fluxcd.io
  names: {kind: GitRepository}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {properties: {spec: {properties: {interval: {}, ref: {}, secretRef: {}, url: {}}}}}}
`
	})
	w.flux()
	w.forget()
	found := refusedUpgrade(t, w, sparseUpgrade(t, true, spec("dev", onGitHub)))
	want := "the Flux in Git (v99.1.0) does not have spec.sparseCheckout yet, and would apply nothing any " +
		"more with it" +
		"; first bring Flux to the version of this program: eksa-gitops upgrade cluster -f FILE, without " +
		"--sparse-checkout"
	if got := told(found); got != "spec: "+want {
		t.Errorf("got %s", got)
	}
}

// TestSparseCheckout_workload: a run without the management cluster's file changes nothing about Flux, and
// says so.
func TestSparseCheckout_workload(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	heard := &notes{}
	options := sparse(on(t, spec("w01", onGitHub)), true)
	if _, err := gitops.Create(t.Context(), w.ports(heard), options); err != nil {
		t.Fatal(err)
	}
	const want = "--sparse-checkout is about the Flux of management cluster dev, whose file is not among " +
		"those of this run: " +
		"what Flux fetches stays as it is; eksa-gitops upgrade cluster -f with that file changes it"
	if !heard.told(want) || strings.Contains(w.branches["main"].files[systemSync], "sparseCheckout") {
		t.Errorf("notes %q", heard.all)
	}
}

// TestSparseCheckout_narrow: a sparse checkout that lacks a cluster has Flux delete it. The guard knows that.
func TestSparseCheckout_narrow(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	create(t, w, on(t, spec("w01", onGitHub)))
	w.commitOther("main", func(files map[string]string) {
		files[systemSync] = syncWith(t, "clusters/dev/dev/", "clusters/dev/flux-system/")
	})
	w.state.Flux.GitRepository.Conditions = []fluxinstall.Condition{{Type: "Ready", Status: "False",
		Message: "cannot clone"}}
	w.forget()
	if got := told(refused(t, w, on(t, spec("dev", onGitHub)))); !strings.Contains(got,
		"Cluster default/w01") {
		t.Errorf("got %s", got)
	}
}

// TestSparseCheckout_stands: a Flux that lacks something cannot apply the commit that has it fetch all again;
// the run does it.
func TestSparseCheckout_stands(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{false, true} {
		w := newSmallWorld(t, onGitHub)
		create(t, w, sparse(on(t, spec("dev", onGitHub)), true))
		if fails {
			w.state.Flux.Kustomization.Conditions = []fluxinstall.Condition{{Type: "Ready", Status: "False",
				Message: "no such file"}}
		}
		w.forget()
		upgrade(t, w, sparseUpgrade(t, false, spec("dev", onGitHub)))
		if wrote := slices.Contains(w.effects, "EnsureSync"); wrote != fails || strings.Contains(w.sync,
			"sparseCheckout") == fails {
			t.Errorf("failing %v: wrote %v\n%s", fails, w.effects, w.sync)
		}
	}
}

// TestSparseCheckout_suggested: a creation in a repository of many others says that Flux fetches them, where
// it could do without.
func TestSparseCheckout_suggested(t *testing.T) {
	t.Parallel()
	const want = "more than 1000 files of the repository are outside of clusters/dev, and Flux fetches and " +
		"unpacks all of them at every commit of anybody; it needs none of them: eksa-gitops upgrade " +
		"cluster -f FILE --sparse-checkout has it fetch that directory alone"
	for name, test := range map[string]struct {
		files   int
		edit    func(w *world)
		options func(gitops.CreateOptions) gitops.CreateOptions
		want    bool
	}{
		"many":     {files: 1001, want: true},
		"not many": {files: 990},
		"asked for": {files: 1001, options: func(o gitops.CreateOptions) gitops.CreateOptions {
			return sparse(o,
				true)
		}},
		"not wanted": {files: 1001, options: func(o gitops.CreateOptions) gitops.CreateOptions {
			return sparse(o,
				false)
		}},
		"it has it": {files: 1001, edit: func(w *world) {
			w.branches["main"].files[systemSync] = syncWith(t,
				"clusters/dev/")
		}},
		"needs more": {files: 1001, edit: func(w *world) {
			w.branches["main"].files["clusters/dev/a/kustomization.yaml"] = "resources: [../../../others]\n"
			w.branches["main"].files["others/kustomization.yaml"] = "resources: [7.yaml]\n"
		}},
		"is used alive": {files: 1001, edit: func(w *world) {
			w.resources.Objects = outsideCases()["a release "+
				"in the cluster"].objects
		}},
	} {
		w := managed(t, onGitHub)
		w.commitOther("main", func(files map[string]string) {
			for i := range test.files {
				files[fmt.Sprintf("others/%d.yaml", i)] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\n"+
					"metadata:\n  name: x%d\n  namespace: default\n", i)
			}
		})
		if test.edit != nil {
			test.edit(w)
			w.commitOther("main", func(map[string]string) {})
		}
		w.flux()
		options := on(t, spec("dev", onGitHub))
		if test.options != nil {
			options = test.options(options)
		}
		heard := &notes{}
		if _, err := gitops.Create(t.Context(), w.ports(heard), options); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if heard.told(want) != test.want {
			t.Errorf("%s: notes %q", name, heard.all)
		}
	}
}
