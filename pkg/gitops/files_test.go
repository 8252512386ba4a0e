package gitops_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Paths in the repository of management cluster dev.
const (
	specPath              = "clusters/dev/dev/eksa-system/eksa-cluster.yaml"
	kustomizationPath     = "clusters/dev/dev/eksa-system/kustomization.yaml"
	syncPath              = "clusters/dev/flux-system/gotk-sync.yaml"
	fluxKustomizationPath = "clusters/dev/flux-system/kustomization.yaml"
)

// refused runs Create, which must refuse and write nothing, and returns the findings.
func refused(t *testing.T, w *world, options gitops.CreateOptions) []facts.Finding {
	t.Helper()
	report := &reporter{}
	result, err := gitops.Create(t.Context(), w.ports(report), options)
	var preflight *gitops.PreflightError
	if !errors.As(err, &preflight) {
		t.Fatalf("error %v, result %+v", err, result)
	}
	report.check(t, result)
	if len(w.calls) > 0 || len(w.waits) > 0 {
		t.Errorf("after a refusal: calls %v, waits %v", w.calls, w.waits)
	}
	if result.Status != gitops.StatusRefused || result.Changed || result.Failure == nil ||
		!slices.Equal(result.Failure.Findings, preflight.Findings) {
		t.Errorf("result %+v, failure %+v", result, result.Failure)
	}
	for _, f := range preflight.Findings {
		if !strings.Contains(err.Error(), f.Message) {
			t.Errorf("the error %q lacks %q", err, f.Message)
		}
	}
	return preflight.Findings
}

// TestCreate_fileInGit puts a file into the repository first, and looks at what becomes of it.
func TestCreate_fileInGit(t *testing.T) {
	t.Parallel()
	const patched = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n" +
		"- ./gotk-sync.yaml\n- gotk-components.yaml\npatches:\n- patch: |-\n    - op: add\n" +
		"      path: /metadata/labels/patched\n      value: \"yes\"\n  target:\n    kind: Deployment\n"
	for name, test := range map[string]struct {
		file, content string
		// What becomes of it without and with Overwrite: refused, replaced or kept.
		without, with string
		note          string
	}{
		"a spec that differs": {specPath, "kind: Cluster\n", "refused", "replaced", ""},
		"an empty spec":       {specPath, "\n", "replaced", "replaced", ""},
		"a kustomization with more": {kustomizationPath, "resources: [eksa-cluster.yaml, more.yaml]\n",
			"kept", "kept", "it lists the cluster's file"},
		"a kustomization without it": {kustomizationPath, "resources: [more.yaml]\n", "refused",
			"replaced", ""},
		"a kustomization that is none":    {kustomizationPath, "a: [", "refused", "replaced", ""},
		"an empty gotk-sync.yaml":         {syncPath, "", "replaced", "replaced", ""},
		"a blank gotk-sync.yaml":          {syncPath, " \n\n", "replaced", "replaced", ""},
		"a gotk-sync.yaml of other form":  {syncPath, "sync", "kept", "kept", "is kept as it is in Git"},
		"a gotk-sync.yaml of another URL": {syncPath, "other", "refused", "replaced", ""},
		"a patched Flux": {fluxKustomizationPath, patched, "kept", "kept",
			"is kept as it is in Git"},
		"a Flux without its sync": {fluxKustomizationPath, "resources: [gotk-components.yaml]\n", "refused",
			"replaced", ""},
		"later components": {componentsPath, smallComponents, "kept", "kept",
			"Flux v99.1.0 (this program would install " + fluxmanifests.Version + ")"},
		"empty components": {componentsPath, "", "replaced", "replaced", ""},
	} {
		for _, overwrite := range []bool{false, true} {
			want := test.without
			if overwrite {
				name, want = name+", overwrite", test.with
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// Git as it is when there is nothing to change but this file.
				whole := newSmallWorld(t, onGitHub)
				create(t, whole, on(t, spec("dev", onGitHub)))
				w := newSmallWorld(t, onGitHub)
				w.exists = true
				content := test.content
				switch content {
				case "sync":
					content = "# by hand\n" + strings.Replace(whole.branches["main"].files[syncPath],
						"  interval:", "  # often\n  interval:", 1)
				case "other":
					content = strings.Replace(whole.branches["main"].files[syncPath], "octo/fleet",
						"octo/other", 1)
				}
				w.commitOther("main", func(files map[string]string) {
					maps.Copy(files, w.seed)
					files[test.file] = content
				})
				options := on(t, spec("dev", onGitHub))
				options.Overwrite = overwrite
				if want == "refused" {
					findings := refused(t, w, options)
					if len(findings) != 1 || findings[0].Area != facts.AreaSpec ||
						!strings.Contains(findings[0].Message, test.file) ||
						!strings.Contains(findings[0].Hint, "--overwrite") {
						t.Errorf("%+v", findings)
					}
					return
				}
				report := &reporter{}
				result, err := gitops.Create(t.Context(), w.ports(report), options)
				if err != nil || result.Status != gitops.StatusDone {
					t.Fatalf("%s, %v, %+v", result.Status, err, result.Failure)
				}
				got, ours := w.branches["main"].files[test.file], whole.branches["main"].files[test.file]
				var change layout.FileChangeKind
				for _, c := range result.Repository.Files {
					if c.Path == test.file {
						change = c.Change
					}
				}
				if want == "kept" {
					if got != content || change != "" {
						t.Errorf("%s was changed (%q) to\n%s", test.file, change, got)
					}
					if !slices.ContainsFunc(report.notes(), func(n string) bool {
						return strings.HasPrefix(n, "info: "+test.file+" is kept") &&
							strings.Contains(n, test.note)
					}) {
						t.Errorf("no note of it: %q", report.notes())
					}
					return
				}
				if change != "modify" || got == content || test.file != componentsPath && got != ours {
					t.Errorf("%s: %q, it holds\n%.400s", test.file, change, got)
				}
			})
		}
	}
}

// TestCreate_conflictsTogether names every file that differs at once.
func TestCreate_conflictsTogether(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	w.exists = true
	w.commitOther("main", func(files map[string]string) {
		files[specPath], files[kustomizationPath], files[syncPath] = "a: b\n", "a: b\n", "a: b\n"
	})
	findings := refused(t, w, on(t, spec("dev", onGitHub)))
	if len(findings) != 1 {
		t.Fatalf("%+v", findings)
	}
	for _, file := range []string{specPath, kustomizationPath, syncPath} {
		if !strings.Contains(findings[0].Message, file) {
			t.Errorf("%q lacks %s", findings[0].Message, file)
		}
	}
}

// TestCreate_appliesWhatIsInGit installs the Flux that Git says, patches included, and not this program's.
func TestCreate_appliesWhatIsInGit(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	w.seed[fluxKustomizationPath] = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- gotk-components.yaml
- gotk-sync.yaml
patches:
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: source-controller
      namespace: flux-system
    spec:
      replicas: 3
- patch: |-
    apiVersion: source.toolkit.fluxcd.io/v1
    kind: GitRepository
    metadata:
      name: flux-system
      namespace: flux-system
    spec:
      timeout: 7m0s
`
	result := create(t, w, on(t, spec("dev", onGitHub)))
	if !strings.Contains(w.components, "replicas: 3") ||
		!strings.Contains(w.components, "source-controller:v99.1.0") {
		t.Errorf("applied:\n%s", w.components)
	}
	if !strings.Contains(w.sync, "timeout: 7m0s") {
		t.Errorf("applied:\n%s", w.sync)
	}
	if result.Flux.Version != "v99.1.0" {
		t.Errorf("Flux %+v", result.Flux)
	}
}

// TestCreate_brokenFluxInGit has a kustomization in Git that cannot be built. The clusters do not suffer.
func TestCreate_brokenFluxInGit(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	w.seed[fluxKustomizationPath] = "resources:\n- gotk-components.yaml\n- gotk-sync.yaml\n- missing.yaml\n"
	report := &reporter{}
	result, err := gitops.Create(t.Context(), w.ports(report), on(t, spec("dev", onGitHub)))
	if err != nil || result.Status != gitops.StatusGitOpsFailed ||
		!strings.Contains(result.Failure.Message, "clusters/dev/flux-system") {
		t.Errorf("%v, %s, %+v", err, result.Status, result.Failure)
	}
	if slices.Contains(w.calls, "EnsureComponents") || slices.Contains(w.calls, "EnsureSync") {
		t.Errorf("applied something: %v", w.calls)
	}
	report.check(t, result)
}
