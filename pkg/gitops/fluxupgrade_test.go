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
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

const (
	systemKustomization = "clusters/dev/flux-system/kustomization.yaml"
	systemSync          = "clusters/dev/flux-system/gotk-sync.yaml"
)

// components are Flux's of our version with some options.
func components(t *testing.T, options fluxmanifests.ComponentsOptions) string {
	t.Helper()
	made, err := fluxmanifests.Components(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return string(made)
}

// aged makes components of our version into some of an older one.
func aged(content string) string {
	return strings.NewReplacer(fluxmanifests.Version, "v2.8.5", "source-controller:v1.9.4",
		"source-controller:v1.8.5").Replace(content)
}

// withFlux is a managed world whose Flux, in Git and in the cluster, has these components, committed with a
// message.
func withFlux(t *testing.T, content, message string) *world {
	t.Helper()
	w := managed(t, onGitHub)
	w.commitOther("main", func(files map[string]string) { files[componentsPath] = content })
	if message != "" {
		tip := w.branches["main"]
		tip.history[len(tip.history)-1].message = message
	}
	version, images, err := fluxmanifests.ComponentVersion([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	w.state.Flux.Version, w.state.Flux.Controllers = version, nil
	for _, name := range slices.Sorted(maps.Keys(images)) {
		w.state.Flux.Controllers = append(w.state.Flux.Controllers,
			fluxinstall.ControllerState{Name: name, Image: images[name], Available: true})
	}
	w.flux()
	w.forget()
	return w
}

func fluxChangesOf(result *gitops.Result) []string {
	var list []string
	for _, c := range result.Flux.Changes {
		list = append(list, c.String())
	}
	return list
}

// TestUpgrade_flux brings an older Flux to our version: Git is regenerated with the options it had, and Flux
// applies it.
func TestUpgrade_flux(t *testing.T) {
	t.Parallel()
	options :=
		fluxmanifests.ComponentsOptions{Components: []string{"source-controller", "kustomize-controller"},
			Registry: "registry.example.com/flux", NoNetworkPolicy: true}
	now := components(t, options)
	w := withFlux(t, aged(now), "Add Flux v2.8.5 component manifests")
	sync := w.branches["main"].files[systemSync]
	result := upgrade(t, w, upgrading(t, spec("dev", onGitHub)))
	if got := w.branches["main"].files[componentsPath]; got != now {
		t.Error("the components are not those of our version with the options they had")
	}
	if w.branches["main"].files[systemSync] != sync {
		t.Error("gotk-sync.yaml changed")
	}
	equal(t, "calls", w.calls, []string{
		"EnsureNamespace flux-system", "EnsureSourceSecret flux-system/flux-system",
		"EnsureDeployKey eksa-gitops dev/flux-system", "Push main",
		"RequestReconcile flux-system/flux-system", "SaveLocal dev",
	})
	equal(t, "waits", w.waits, []string{"WaitSynced", "WaitRolledOver", "WaitCluster dev"})
	equal(t, "changes", fluxChangesOf(result),
		[]string{"flux v2.8.5 → " + fluxmanifests.Version, "source-controller v1.8.5 → v1.9.4"})
	if got := w.rolled.Images["source-controller"]; got !=
		"registry.example.com/flux/source-controller:v1.9.4" {
		t.Errorf("waited for %v", w.rolled)
	}
	history := w.branches["main"].history
	if got := history[len(history)-1].message; !strings.HasPrefix(got,
		"Upgrade Flux from v2.8.5 to "+fluxmanifests.Version+"\n") {
		t.Errorf("the commit says %q", got)
	}
	// The cluster still has the old one, as after a crash: the next run waits for the new one, and writes
	// nothing to Git.
	w.forget()
	w.state.Flux.Kustomization.AppliedRevision = "main@sha1:before"
	again := upgrade(t, w, upgrading(t, spec("dev", onGitHub)))
	equal(t, "changes", fluxChangesOf(again), []string{"source-controller v1.8.5 → v1.9.4"})
	equal(t, "waits", w.waits, []string{"WaitSynced", "WaitRolledOver", "WaitCluster dev"})
	if slices.Contains(w.calls, "Push main") || slices.Contains(w.calls, "EnsureComponents") {
		t.Errorf("calls %v", w.calls)
	}
}

// TestUpgrade_fluxPlanned: a dry run names the steps that change Flux in the order of the run, whatever state
// Flux is in.
func TestUpgrade_fluxPlanned(t *testing.T) {
	t.Parallel()
	older := func(t *testing.T) *world {
		return withFlux(t, aged(components(t, fluxmanifests.ComponentsOptions{})),
			"Add Flux v2.8.5 component manifests")
	}
	for name, test := range map[string]struct {
		world func(t *testing.T) *world
		adopt bool
	}{
		"works": {world: older},
		"does not work": {world: func(t *testing.T) *world {
			w := older(t)
			for i := range w.state.Flux.Controllers {
				w.state.Flux.Controllers[i].Available = false
			}
			return w
		}},
		"other repository": {bootstrappedWorld, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := test.world(t)
			options := upgrading(t, spec("dev", onGitHub))
			options.Adopt, options.DryRun = test.adopt, true
			plan := upgrade(t, w, options)
			if len(w.calls) > 0 || len(w.waits) > 0 {
				t.Errorf("a dry run wrote %v and waited for %v", w.calls, w.waits)
			}
			options.DryRun = false
			result := upgrade(t, w, options)
			if want := namesOf(plan); !slices.Contains(want, "Wait for Flux's new controllers to work") {
				t.Errorf("planned %q", want)
			}
			equal(t, "steps", namesOf(result), namesOf(plan))
		})
	}
}

// TestUpgrade_fluxKept: what is not replaced, and what is said.
func TestUpgrade_fluxKept(t *testing.T) {
	t.Parallel()
	all := components(t, fluxmanifests.ComponentsOptions{})
	more := strings.Replace(all, "cpu: 50m", "cpu: 55m", 1)
	newer := strings.ReplaceAll(all, fluxmanifests.Version, "v2.99.0")
	for name, test := range map[string]struct {
		content, message string
		change           func(w *world, o *gitops.UpgradeOptions)
		note, refusal    string
	}{
		"newer in Git": {newer, "", nil, "Flux v2.99.0 in " + componentsPath + " is newer than", ""},
		"newer in the cluster": {aged(all), "Add Flux v2.8.5 component manifests",
			func(w *world, _ *gitops.UpgradeOptions) { w.state.Flux.Version = "v2.99.0" },
			"Flux v2.99.0 in the cluster is newer than", ""},
		"edited, same version": {more, "", nil,
			"where it has been edited: source-controller v1.9.4 (settings)", ""},
		"edited, other components": {more, "", func(_ *world, o *gitops.UpgradeOptions) {
			o.Components.Components = []string{"source-controller", "kustomize-controller"}
		}, "", "has been edited by hand, and Flux " + fluxmanifests.Version +
			" would replace that: source-controller v1.9.4 (settings) | move the edits into patches of " +
			systemKustomization},
		"older, unknown history": {aged(all), "Import", nil, "",
			"the history of the branch does not tell whether somebody has edited it"},
		"in use": {all, "", func(w *world, o *gitops.UpgradeOptions) {
			o.Components.Components = []string{"source-controller", "kustomize-controller",
				"notification-controller"}
			w.resources.Objects = []fluxinstall.FluxObject{{Kind: "HelmRelease", Namespace: "shop",
				Name: "web"}}
		}, "", "helm-controller cannot be removed: its kinds would be deleted with it, and with them " +
			"HelmRelease shop/web"},
		"patch of a controller that goes": {all, "", func(w *world, o *gitops.UpgradeOptions) {
			o.Components.Components = []string{"source-controller", "kustomize-controller",
				"notification-controller"}
			w.commitOther("main", func(files map[string]string) {
				files[systemKustomization] += "patches:\n- patch: |\n    apiVersion: apps/v1\n" +
					"    kind: Deployment\n    metadata: {name: helm-controller, namespace: flux-system}\n" +
					"    spec: {replicas: 2}\n"
			})
		}, "", "clusters/dev/flux-system would not build"},
		"not Flux's": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: " +
			"{app.kubernetes.io/part-of: flux, app.kubernetes.io/version: v2.9.4}}\n", "", nil, "",
			"is not what Flux's generator writes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := withFlux(t, test.content, test.message)
			options := upgrading(t, spec("dev", onGitHub))
			if test.change != nil {
				test.change(w, &options)
			}
			if test.refusal != "" {
				if got := refusals(t, w, options); len(got) != 1 || !strings.Contains(got[0], test.refusal) {
					t.Errorf("findings %q", got)
				}
				return
			}
			var told []string
			result, err := gitops.Upgrade(t.Context(),
				w.ports(noteReporter(func(text string) { told = append(told, text) })), options)
			if err != nil || w.branches["main"].files[componentsPath] != test.content ||
				result.Repository.Pushed {
				t.Errorf("error %v, pushed %v", err, result.Repository)
			}
			if !slices.ContainsFunc(told,
				func(text string) bool { return strings.Contains(text, test.note) }) {
				t.Errorf("told %q", told)
			}
		})
	}
}

// noteReporter is told the notes only.
type noteReporter func(text string)

func (noteReporter) Begin(step.Name)                     {}
func (noteReporter) Progress(step.Name, string)          {}
func (noteReporter) Part(step.Name, step.Part)           {}
func (noteReporter) End(step.Name, step.Outcome, string) {}
func (r noteReporter) Note(_ step.Level, text string)    { r(text) }

// TestUpgrade_fluxImages gives the controllers other images in the user's own kustomization.
func TestUpgrade_fluxImages(t *testing.T) {
	t.Parallel()
	w := withFlux(t, components(t, fluxmanifests.ComponentsOptions{}), "")
	mine := "# mine\n" + w.branches["main"].files[systemKustomization]
	w.commitOther("main", func(files map[string]string) { files[systemKustomization] = mine })
	options := upgrading(t, spec("dev", onGitHub))
	options.Images =
		map[string]string{"source-controller": "registry.example.com/source-controller:v1.9.4-eks-a-91"}
	result := upgrade(t, w, options)
	got := w.branches["main"].files[systemKustomization]
	if !strings.HasPrefix(got, mine) ||
		!strings.Contains(got, "image: registry.example.com/source-controller:v1.9.4-eks-a-91") {
		t.Errorf("the kustomization is\n%s", got)
	}
	equal(t, "changes", fluxChangesOf(result), []string{"source-controller v1.9.4 → v1.9.4-eks-a-91 (image " +
		"ghcr.io/fluxcd/source-controller → registry.example.com/source-controller)"})
}

// bootstrappedWorld is a world in which Flux follows another repository, and has applied what is there.
func bootstrappedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.namespace, w.private, w.publicKey, w.components = true, true, "ssh-ed25519 OLD\n", "older"
	w.exists = true
	w.applyObjects(edited(t, spec("dev", onGitHub),
		"  gitOpsRef:\n    kind: FluxConfig\n    name: dev\n", ""))
	w.state.Flux.Version = "v2.8.5"
	w.state.Flux.Controllers = []fluxinstall.ControllerState{
		{Name: "kustomize-controller", Image: "ghcr.io/fluxcd/kustomize-controller:v1.8.5", Available: true},
		{Name: "source-controller", Image: "ghcr.io/fluxcd/source-controller:v1.8.5", Available: true},
	}
	w.state.Flux.GitRepository = &fluxinstall.GitRepositoryState{Name: "flux-system",
		URL: "ssh://git@git.example.com/octo/infra", Branch: "main", Ready: true}
	w.state.Flux.Kustomization = &fluxinstall.KustomizationState{
		Name: "flux-system", Path: "./prod", Prune: true, Ready: true, AppliedRevision: "main@sha1:old",
		Inventory: []string{"default_shop__ConfigMap", "_cellar__Namespace"},
	}
	w.forget()
	return w
}

// TestUpgrade_adopt takes over a Flux that follows another repository: in an order in which nothing is
// deleted at any time.
func TestUpgrade_adopt(t *testing.T) {
	t.Parallel()
	w := bootstrappedWorld(t)
	options := upgrading(t, spec("dev", onGitHub))
	if got := refusals(t, w, options); len(got) != 2 || !strings.Contains(got[0], "GitRepository "+
		"flux-system/flux-system follows branch main of ssh://git@git.example.com/octo/infra") ||
		!strings.Contains(got[0], "take it over with --adopt") {
		t.Errorf("findings %q", got)
	}
	options.Adopt = true
	options.DryRun = true
	plan := upgrade(t, w, options)
	equal(t, "calls of a dry run", w.calls, nil)
	equal(t, "planned to be left", plan.Flux.Adopted.Unmanaged,
		[]string{"ConfigMap default/shop", "Namespace cellar"})

	options.DryRun = false
	result := upgrade(t, w, options)
	equal(t, "calls", w.calls, []string{
		"Push main", "RecordFlux flux-system", "HoldPruning", "EnsureNamespace flux-system",
		"EnsureSourceSecret flux-system/flux-system", "EnsureDeployKey eksa-gitops dev/flux-system",
		"Repoint", "RequestReconcile flux-system/flux-system", "EndAdoption",
		"RequestReconcile flux-system/flux-system", "SaveLocal dev",
	})
	if w.publicKey == "ssh-ed25519 OLD\n" {
		t.Error("the key of the other repository is still there")
	}
	adopted := result.Flux.Adopted
	equal(t, "left", adopted.Unmanaged, []string{"ConfigMap default/shop", "Namespace cellar"})
	if adopted.URL != "ssh://git@git.example.com/octo/infra" || adopted.Path != "./prod" ||
		adopted.Record != "flux-system/before" || !w.state.Flux.Kustomization.Prune {
		t.Errorf("adopted %+v", adopted)
	}
	// The two controllers that ran are those in Git.
	if made, err := fluxmanifests.GeneratedFrom(
		[]byte(w.branches["main"].files[componentsPath])); err != nil || len(made.Components) != 2 {
		t.Errorf("components %v (%v)", made.Components, err)
	}
}

// TestUpgrade_adoptCutOff breaks the run before and after every writing call. At no time does Flux delete
// anything, and the next run finishes with the same list of what is left.
func TestUpgrade_adoptCutOff(t *testing.T) {
	t.Parallel()
	for at := 1; ; at++ {
		faulty := false
		for _, after := range []bool{false, true} {
			w := bootstrappedWorld(t)
			// With all four controllers the components need not be generated, which takes long.
			w.state.Flux.Controllers = append(w.state.Flux.Controllers,
				fluxinstall.ControllerState{Name: "helm-controller", Available: true},
				fluxinstall.ControllerState{Name: "notification-controller", Available: true})
			options := upgrading(t, spec("dev", onGitHub))
			options.Adopt = true
			if after {
				w.failAfter = at
			} else {
				w.failBefore = at
			}
			_, _ = gitops.Upgrade(t.Context(), w.ports(nil), options)
			faulty = faulty || w.faulty
			key := w.publicKey
			w.forget()
			result := upgrade(t, w, options)
			if w.state.Flux.Adoption != nil || !w.state.Flux.Kustomization.Prune ||
				w.state.Flux.Kustomization.Path != "./clusters/dev" {
				t.Errorf("fault %d: %+v", at, w.state.Flux.Kustomization)
			}
			if key != "ssh-ed25519 OLD\n" && w.publicKey != key {
				t.Errorf("fault %d: a second key was made", at)
			}
			if a := result.Flux.Adopted; a != nil {
				equal(t, "left", a.Unmanaged, []string{"ConfigMap default/shop", "Namespace cellar"})
			}
		}
		if !faulty {
			break
		}
	}
}

// TestUpgrade_adoptOvertaken: others push to the cluster's file before Flux has applied it. Flux is taken
// over whatever they did, and may delete again; only then the run says what it was.
func TestUpgrade_adoptOvertaken(t *testing.T) {
	t.Parallel()
	const path = "clusters/dev/dev/eksa-system/eksa-cluster.yaml"
	for name, test := range map[string]struct {
		after  func(files map[string]string)
		status gitops.Status
		told   string // in a note, or as the error
	}{
		"by a change": {func(files map[string]string) { files[path] += "# theirs\n" }, gitops.StatusDone,
			"somebody else changed " + path + " right after this run: commit "},
		"by a removal": {func(files map[string]string) { delete(files, path) }, gitops.StatusIncomplete,
			"): " + path + " was taken out of Git"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := bootstrappedWorld(t)
			w.afterPush = func(w *world) { w.commitOther("main", test.after) }
			options := upgrading(t, spec("dev", onGitHub))
			options.Adopt = true
			report := &reporter{}
			result, err := gitops.Upgrade(t.Context(), w.ports(report), options)
			if result.Status != test.status || (err == nil) != (test.status == gitops.StatusDone) {
				t.Errorf("%s, %v", result.Status, err)
			}
			if told := fmt.Sprint(report.events, err); !strings.Contains(told, test.told) {
				t.Errorf("%q is not told: %s", test.told, told)
			}
			if flux := w.state.Flux; flux.Adoption != nil || !flux.Kustomization.Prune ||
				flux.Kustomization.Path != "./clusters/dev" {
				t.Errorf("the take-over is not complete: %+v, %+v", flux.Adoption, flux.Kustomization)
			}
			equal(t, "left", result.Flux.Adopted.Unmanaged,
				[]string{"ConfigMap default/shop", "Namespace cellar"})
		})
	}
}

// TestUpgrade_adoptRefused: what is not taken over.
func TestUpgrade_adoptRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(flux *fluxinstall.FluxState)
		want   string
	}{
		"operator": {func(f *fluxinstall.FluxState) {
			f.Others = []fluxinstall.Other{{Description: "FluxInstance flux-system/flux of flux-operator",
				Installer: fluxinstall.InstallerOperator, Namespace: "flux-system", Name: "flux"}}
		}, "cluster: Flux is already installed by somebody else: FluxInstance flux-system/flux of " +
			"flux-operator | flux-operator would undo"},
		"helm": {func(f *fluxinstall.FluxState) {
			f.Others = []fluxinstall.Other{{Description: "Helm", Installer: fluxinstall.InstallerHelm,
				Name: "flux2"}}
		}, "helm uninstall flux2"},
		"newer":       {func(f *fluxinstall.FluxState) { f.Version = "v2.99.0" }, "would be a downgrade"},
		"not running": {func(f *fluxinstall.FluxState) { f.Controllers = nil }, "does not run"},
		"suspended":   {func(f *fluxinstall.FluxState) { f.Kustomization.Suspended = true }, "is suspended"},
		"half": {func(f *fluxinstall.FluxState) { f.Kustomization = nil },
			"only one of GitRepository and Kustomization"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := bootstrappedWorld(t)
			test.change(&w.state.Flux)
			options := upgrading(t, spec("dev", onGitHub))
			options.Adopt = true
			if got := refusals(t, w, options); len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("findings %q", got)
			}
		})
	}
}
