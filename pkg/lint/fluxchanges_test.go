package lint_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// fluxManifest is an object of Flux's of a user.
func fluxManifest(kind, name, spec string) string {
	group := map[string]string{"Kustomization": "kustomize.toolkit.fluxcd.io/v1",
		"HelmRelease": "helm.toolkit.fluxcd.io/v2", "Alert": "notification.toolkit.fluxcd.io/v1beta3"}[kind]
	if group == "" {
		group = "source.toolkit.fluxcd.io/v1"
	}
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  namespace: apps\nspec:\n%s",
		group, kind, name, spec)
}

// TestCheckRepository_fluxObjects changes objects of Flux's that users have put into the path.
func TestCheckRepository_fluxObjects(t *testing.T) {
	t.Parallel()
	const infra = "  interval: 10m\n  path: ./infra\n  prune: true\n"
	const release = "  interval: 10m\n  chartRef: {kind: OCIRepository, name: web}\n"
	for name, test := range map[string]struct {
		before, after string // files; empty is none
		want          []string
	}{
		"a Kustomization renamed": {fluxManifest("Kustomization", "infra", infra),
			fluxManifest("Kustomization", "base", infra), []string{
				"error flux-replaced 4: becomes Kustomization apps/base: Flux deletes the old " +
					"Kustomization, and with it everything that it has applied",
			}},
		"one that leaves what it applied": {
			fluxManifest("Kustomization", "infra", infra+"  deletionPolicy: Orphan\n"),
			fluxManifest("Kustomization", "base", infra+"  deletionPolicy: Orphan\n"), []string{
				"warning flux-replaced 4: becomes Kustomization apps/base: Flux deletes the old " +
					"Kustomization, and leaves what it has applied",
			}},
		"one that does not prune": {fluxManifest("Kustomization", "infra", "  prune: false\n"),
			fluxManifest("Kustomization", "base", "  prune: false\n"), []string{
				"warning flux-replaced 4: becomes Kustomization apps/base: Flux deletes the old " +
					"Kustomization, and leaves what it has applied",
			}},
		"one that deletes though it does not prune": {
			fluxManifest("Kustomization", "infra", "  prune: false\n  deletionPolicy: Delete\n"),
			"", []string{
				"warning flux-deleted 0: Flux deletes the Kustomization, and with it everything that it " +
					"has applied",
			}},
		"an orphaning one removed": {
			fluxManifest("Kustomization", "infra", infra+"  deletionPolicy: Orphan\n"), "", []string{
				"notice flux-deleted 0: Flux deletes the Kustomization, and leaves what it has applied",
			}},
		"one that Flux does not delete": {
			strings.Replace(fluxManifest("Kustomization", "infra", infra), "  namespace",
				"  annotations:\n    kustomize.toolkit.fluxcd.io/prune: disabled\n  namespace", 1),
			fluxManifest("Kustomization", "base", infra), []string{
				"error flux-replaced 4: becomes Kustomization apps/base: Flux leaves the old object and " +
					"creates another, so that two do the same",
			},
		},
		"another path": {fluxManifest("Kustomization", "infra", infra),
			fluxManifest("Kustomization", "infra", strings.Replace(infra, "./infra", "./base", 1)), []string{
				"warning flux-changed 8: ./infra → ./base; applied by GitOps: Flux applies another " +
					"directory from then on, and deletes what it has applied and does not find there",
			}},
		"another policy": {fluxManifest("Kustomization", "infra", infra+"  deletionPolicy: Orphan\n"),
			fluxManifest("Kustomization", "infra", infra), []string{
				"warning flux-changed 1: Orphan removed; applied by GitOps: decides whether what the " +
					"Kustomization has applied is deleted with it",
			}},
		"to be left alone": {fluxManifest("Kustomization", "infra", infra),
			strings.Replace(fluxManifest("Kustomization", "infra", infra), "  namespace",
				"  annotations:\n    kustomize.toolkit.fluxcd.io/reconcile: disabled\n  namespace", 1),
			[]string{
				"warning flux-changed 6: set to disabled; applied by GitOps: Flux does not touch the " +
					"object any more, whatever is in the repository",
			}},
		"another version only": {fluxManifest("Kustomization", "infra", infra),
			strings.Replace(fluxManifest("Kustomization", "infra", infra), "io/v1\n", "io/v1beta2\n", 1),
			nil},
		"a release renamed": {fluxManifest("HelmRelease", "web", release),
			fluxManifest("HelmRelease", "www", release), []string{"error flux-replaced 4: becomes " +
				"HelmRelease apps/www: Flux uninstalls the old release, and installs another"}},
		"a release suspended": {fluxManifest("HelmRelease", "web", release),
			fluxManifest("HelmRelease", "web", release+"  suspend: true\n"),
			[]string{"warning flux-changed 9: set to true; applied by GitOps: Flux does nothing with the " +
				"object until that is taken back"}},
		"a bucket of another ref": {fluxManifest("OCIRepository", "web", "  ref: {tag: v1}\n"),
			fluxManifest("OCIRepository", "web", "  ref: {tag: v2}\n"),
			[]string{"warning flux-changed 7: v1 → v2; applied by GitOps: Flux follows another revision " +
				"from then on, and deletes what it does not find there"}},
		"what says nothing": {fluxManifest("Alert", "web", "  eventSeverity: info\n"),
			fluxManifest("Alert", "web", "  eventSeverity: error\n"),
			[]string{"notice change-applied 7: info → error; applied by GitOps"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := newRepository(t), newRepository(t)
			for r, content := range map[*repository]string{&before: test.before, &after: test.after} {
				if content != "" {
					r.put(root+"/team/flux.yaml", content)
				}
			}
			var got []string
			for _, p := range check(t, lint.Tree(after), lint.Tree(before)).Problems {
				got = append(got, fmt.Sprintf("%s %s %d: %s", p.Severity, p.Rule, p.Line, p.Message))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// TestFluxTable_documented: docs/lint.md says of each change what lint says.
func TestFluxTable_documented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := lint.FluxTable(); !strings.Contains(string(page), want) {
		t.Errorf("docs/lint.md does not hold\n%s", want)
	}
}
