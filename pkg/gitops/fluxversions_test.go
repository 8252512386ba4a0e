package gitops_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

const sourceDefinition = "gitrepositories.source.toolkit.fluxcd.io"

// storedOlder is a definition of which objects may be stored in a version that our release does not have.
func storedOlder() []fluxinstall.DroppedVersions {
	return []fluxinstall.DroppedVersions{{
		Definition: sourceDefinition, Group: "source.toolkit.fluxcd.io", Kind: "GitRepository",
		Stored: []string{"v1beta2"}, Served: []string{"v1beta2"}, Storage: "v1", Objects: 3,
		Writers: []string{"GitRepository default/shop (kubectl)"},
	}}
}

// olderFluxWorld is a managed world whose Flux is of an older release.
func olderFluxWorld(t *testing.T) *world {
	t.Helper()
	return withFlux(t, strings.Replace(aged(components(t, fluxmanifests.ComponentsOptions{})),
		"kustomize-controller:v1.9.4", "kustomize-controller:v1.8.5", 1),
		"Add Flux v2.8.5 component manifests")
}

// refusedUpgrade is the findings of an upgrade that is refused, dry or not, with the same, and that writes
// nothing.
func refusedUpgrade(t *testing.T, w *world, options gitops.UpgradeOptions) []facts.Finding {
	t.Helper()
	var found [][]facts.Finding
	for _, dry := range []bool{true, false} {
		options.DryRun = dry
		before := w.describe()
		result, err := gitops.Upgrade(t.Context(), w.ports(nil), options)
		preflight := new(gitops.PreflightError)
		if !errors.As(err, &preflight) || result.Status != gitops.StatusRefused || result.Changed {
			t.Fatalf("error %v, result %+v", err, result)
		}
		if len(w.calls) > 0 || w.describe() != before {
			t.Errorf("after a refusal: calls %v", w.calls)
		}
		found = append(found, preflight.Findings)
	}
	if !slices.Equal(found[0], found[1]) {
		t.Errorf("a dry run finds\n%v\nand the run\n%v", found[0], found[1])
	}
	return found[1]
}

// TestUpgrade_migratesStored: what is stored in versions that our release drops is migrated before the push,
// and a dry run says so.
func TestUpgrade_migratesStored(t *testing.T) {
	t.Parallel()
	w := olderFluxWorld(t)
	w.versions.dropped = storedOlder()
	options := upgrading(t, spec("dev", onGitHub))
	options.DryRun = true
	const what = sourceDefinition + " v1beta2 → v1 (3 objects)"
	plan := upgrade(t, w, options)
	at := slices.IndexFunc(plan.Steps, func(s step.Result) bool {
		return s.Step == "Migrate Flux's stored objects to versions that stay"
	})
	if at < 0 || plan.Steps[at].Outcome != step.OutcomePlanned || plan.Steps[at].Detail != what ||
		!strings.HasPrefix(string(plan.Steps[at+1].Step), "Prepare namespace") {
		t.Errorf("steps %+v", plan.Steps)
	}
	if fmt.Sprint(plan.Flux.Migrated) != "["+what+"]" || len(w.calls) > 0 {
		t.Errorf("planned %v; calls %v", plan.Flux.Migrated, w.calls)
	}
	report := &reporter{}
	options.DryRun = false
	result, err := gitops.Upgrade(t.Context(), w.ports(report), options)
	if err != nil || result.Failure != nil {
		t.Fatalf("error %v, failure %+v", err, result.Failure)
	}
	equal(t, "calls", w.calls[:2],
		[]string{"MigrateVersions " + sourceDefinition, "EnsureNamespace flux-system"})
	if fmt.Sprint(result.Flux.Migrated) != "["+what+"]" || !slices.Contains(w.calls, "Push main") {
		t.Errorf("migrated %v; calls %v", result.Flux.Migrated, w.calls)
	}
	if notes := strings.Join(report.notes(), "\n"); !strings.Contains(notes, "does not serve GitRepository "+
		"v1beta2, in which was written last: GitRepository default/shop (kubectl)") {
		t.Errorf("notes\n%s", notes)
	}
	// Our definitions were held against all that is in the cluster.
	if len(w.versions.asked) != 11 || len(w.versions.asked[0].Versions) == 0 ||
		w.versions.asked[0].Kind == "" {
		t.Errorf("asked for %+v", w.versions.asked)
	}
	// A Flux that has applied all of it is not looked at again.
	w.versions.asked = nil
	w.forget()
	upgrade(t, w, upgrading(t, spec("dev", onGitHub)))
	if w.versions.asked != nil {
		t.Error("looked at the versions again")
	}
}

// TestCreate_migratesStored: the same when Flux is installed where an older one has left its definitions.
func TestCreate_migratesStored(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	w.versions.dropped = storedOlder()
	options := on(t, spec("dev", onGitHub))
	options.DryRun = true
	if plan := create(t, w, options); !slices.ContainsFunc(plan.Steps, func(s step.Result) bool {
		return s.Step == "Migrate Flux's stored objects to versions that stay" &&
			s.Outcome == step.OutcomePlanned
	}) {
		t.Errorf("steps %+v", plan.Steps)
	}
	options.DryRun = false
	result := create(t, w, options)
	if migrate, push := slices.Index(w.calls, "MigrateVersions "+sourceDefinition),
		slices.Index(w.calls, "Push main"); migrate < 0 || push < migrate || len(result.Flux.Migrated) != 1 {
		t.Errorf("calls %v, migrated %v", w.calls, result.Flux.Migrated)
	}
}

// TestUpgrade_versionsInTheWay: what keeps Flux's new definitions from being applied, or others from applying
// theirs, is found before anything is written.
func TestUpgrade_versionsInTheWay(t *testing.T) {
	t.Parallel()
	stuck := storedOlder()
	stuck[0].Storage, stuck[0].Stuck = "v1beta2", true
	for name, c := range map[string]struct {
		prepare       func(w *world)
		message, hint string
	}{
		"stored in a version that goes": {
			func(w *world) { w.versions.dropped = stuck },
			"CustomResourceDefinition " + sourceDefinition + " stores objects as v1beta2, which Flux " +
				fluxmanifests.Version + " does not have any more",
			"flux install --version=v2.6.4 --export > clusters/dev/flux-system/gotk-components.yaml",
		},
		"of image automation": {
			func(w *world) {
				w.versions.dropped = []fluxinstall.DroppedVersions{
					{Definition: "imagepolicies.image.toolkit.fluxcd.io", Group: "image.toolkit.fluxcd.io",
						Kind: "ImagePolicy", Stored: []string{"v1beta2"}, Storage: "v1beta2", Stuck: true}}
			},
			"imagepolicies.image.toolkit.fluxcd.io stores objects as v1beta2",
			"flux install --version=v2.8.5 " +
				"--components-extra=image-reflector-controller,image-automation-controller --export",
		},
		"applied by another Kustomization": {
			func(w *world) {
				w.versions.dropped = storedOlder()
				w.versions.applied = []fluxinstall.AppliedVersion{{Kustomization: "tenants/shop",
					Object: "GitRepository shop/web", APIVersion: "source.toolkit.fluxcd.io/v1beta2"}}
			},
			"Kustomization tenants/shop applies GitRepository shop/web as " +
				"source.toolkit.fluxcd.io/v1beta2, which Flux " + fluxmanifests.Version + " does not serve",
			"kubectl -n tenants get kustomizations.kustomize.toolkit.fluxcd.io shop",
		},
		"in a file of the user's": {
			func(w *world) {
				w.commitOther("main", func(files map[string]string) {
					files["clusters/dev/monitoring/alerts.yaml"] = "# who is told\n" +
						"apiVersion: notification.toolkit.fluxcd.io/v1beta2\nkind: Alert\n" +
						"metadata: {name: ops, namespace: flux-system}\n"
				})
				w.flux()
			},
			"clusters/dev/monitoring/alerts.yaml:2: Alert flux-system/ops has " +
				"apiVersion notification.toolkit.fluxcd.io/v1beta2, which Flux " + fluxmanifests.Version +
				" does not serve",
			"write apiVersion: notification.toolkit.fluxcd.io/v1beta3 there",
		},
		"in the sync file, with a field that is gone": {
			func(w *world) {
				w.commitOther("main", func(files map[string]string) {
					files[systemSync] = strings.NewReplacer("source.toolkit.fluxcd.io/v1",
						"source.toolkit.fluxcd.io/v1beta2", "spec:\n  interval: 1m0s",
						"spec:\n  gitImplementation: libgit2\n  interval: 1m0s").Replace(files[systemSync])
				})
				w.flux()
			},
			"GitRepository flux-system/flux-system: source.toolkit.fluxcd.io/v1 has no " +
				"spec.gitImplementation",
			"replace it with --overwrite",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := olderFluxWorld(t)
			c.prepare(w)
			w.forget()
			found := refusedUpgrade(t, w, upgrading(t, spec("dev", onGitHub)))
			if len(found) != 1 || !strings.Contains(found[0].Message, c.message) ||
				!strings.Contains(found[0].Hint, c.hint) {
				t.Errorf("found %+v", found)
			}
		})
	}
}

// TestUpgrade_migrationRights: who may not migrate is told so before anything is written.
func TestUpgrade_migrationRights(t *testing.T) {
	t.Parallel()
	w := olderFluxWorld(t)
	w.versions.dropped = storedOlder()
	w.versions.rights = []*fluxinstall.MissingRight{{Verbs: []string{"patch"}, Group: "apiextensions.k8s.io",
		Resource: "customresourcedefinitions/status"}}
	findings := refusedUpgrade(t, w, upgrading(t, spec("dev", onGitHub)))
	if len(findings) != 1 || findings[0].Area != facts.AreaAccess || !strings.Contains(findings[0].Hint,
		`resources ["customresourcedefinitions/status"], verbs ["patch"]`) {
		t.Errorf("findings %+v", findings)
	}
}

// TestServedSync: a sync file with versions that are no longer served gets those that are, in the same
// commit, by an upgrade and by a creation, and stays as it is otherwise.
func TestServedSync(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(t *testing.T, w *world) *gitops.Result{
		"upgrade": func(t *testing.T, w *world) *gitops.Result {
			return upgrade(t, w, upgrading(t, spec("dev", onGitHub)))
		},
		"create": func(t *testing.T, w *world) *gitops.Result {
			return create(t, w, on(t, spec("dev", onGitHub)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := olderFluxWorld(t)
			sync := w.branches["main"].files[systemSync]
			w.commitOther("main", func(files map[string]string) {
				files[systemSync] = strings.NewReplacer("source.toolkit.fluxcd.io/v1",
					"source.toolkit.fluxcd.io/v1beta2", "kustomize.toolkit.fluxcd.io/v1",
					"kustomize.toolkit.fluxcd.io/v1beta2").Replace(sync)
			})
			w.flux()
			w.forget()
			result := run(t, w)
			if got := w.branches["main"].files[systemSync]; got != sync {
				t.Errorf("the sync file is\n%s", got)
			}
			if !slices.ContainsFunc(result.Repository.Files,
				func(f layout.FileChange) bool { return f.Path == systemSync && f.Change == "modify" }) {
				t.Errorf("files %+v", result.Repository.Files)
			}
		})
	}
}
