package gitops_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

const systemPatches = "clusters/dev/flux-system/gotk-patches.yaml"

// pinControllers has a repository keep Flux's source-controller at an image, as EKS Anywhere's older releases
// did.
func (w *world) pinControllers(image string) {
	w.commitOther("main", func(files map[string]string) {
		files[systemKustomization] += "patchesStrategicMerge:\n- gotk-patches.yaml\n"
		files[systemPatches] = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n" +
			"  name: source-controller\n  namespace: flux-system\nspec:\n  template:\n    spec:\n" +
			"      containers:\n      - name: manager\n        image: " + image + "\n"
	})
	w.flux()
	w.forget()
}

// TestUpgrade_pinnedImages: controllers that patches keep at another release than the new definitions are
// found before anything is written; those that fit, or are newer from EKS Anywhere, or do not say, are not.
func TestUpgrade_pinnedImages(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"public.ecr.aws/x/fluxcd/source-controller:v0.36.1-eks-a-22": systemPatches +
			":11 gives source-controller version v0.36.1-eks-a-22 " +
			"(public.ecr.aws/x/fluxcd/source-controller:v0.36.1-eks-a-22), which is of another release " +
			"than Flux " + fluxmanifests.Version + ": an older controller does not know the new definitions",
		"ghcr.io/fluxcd/source-controller:v1.8.5": systemPatches +
			":11 gives source-controller version v1.8.5",
		"ghcr.io/fluxcd/source-controller:v1.10.0": "a newer controller may need definitions that are " +
			"not there",
		"public.ecr.aws/x/fluxcd/source-controller:v1.9.0-eks-a-v0.26.0":  "",
		"public.ecr.aws/x/fluxcd/source-controller:v1.10.0-eks-a-v0.27.0": "note: v1.10.0-eks-a-v0.27.0",
		"registry.example.com/source-controller@sha256:0123": "note: it cannot be told whether image " +
			"registry.example.com/source-controller@sha256:0123 of source-controller is of Flux " +
			fluxmanifests.Version,
		"registry.example.com/source-controller:stable": "note: it cannot be told whether",
	} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			w := olderFluxWorld(t)
			w.pinControllers(image)
			note, told := strings.CutPrefix(want, "note: ")
			if want != "" && !told {
				found := refusedUpgrade(t, w, upgrading(t, spec("dev", onGitHub)))
				if len(found) != 1 || !strings.Contains(found[0].Message, want) ||
					!strings.Contains(found[0].Hint, "--bundles FILE") {
					t.Errorf("found %+v", found)
				}
				return
			}
			report := &reporter{}
			result, err := gitops.Upgrade(t.Context(), w.ports(report), upgrading(t, spec("dev", onGitHub)))
			if err != nil || result.Failure != nil || !slices.Contains(w.calls, "Push main") {
				t.Fatalf("error %v, failure %+v", err, result.Failure)
			}
			notes := strings.Join(report.notes(), "\n")
			if told && !strings.Contains(notes, note) ||
				!told && strings.Contains(notes, "source-controller version") {
				t.Errorf("notes\n%s", notes)
			}
		})
	}
}

// TestUpgrade_bundlesOfAnotherRelease: images of --bundles count like any others.
func TestUpgrade_bundlesOfAnotherRelease(t *testing.T) {
	t.Parallel()
	w := olderFluxWorld(t)
	options := upgrading(t, spec("dev", onGitHub))
	options.Images =
		map[string]string{"source-controller": "public.ecr.aws/x/fluxcd/source-controller:v1.2.3-eks-a-60"}
	found := refusedUpgrade(t, w, options)
	if len(found) != 1 || !strings.Contains(found[0].Message,
		"an image of --bundles gives source-controller version v1.2.3-eks-a-60") ||
		!strings.Contains(found[0].Hint,
			"the Bundles file of a release of EKS Anywhere whose Flux is of the same minor release as "+
				fluxmanifests.Version) {
		t.Errorf("found %+v", found)
	}
}

// TestCreate_pinnedImages: where Flux is installed from what is in Git, old images are found before the push,
// and the patches' own file is part of what is built.
func TestCreate_pinnedImages(t *testing.T) {
	t.Parallel()
	for image, refuse := range map[string]bool{"ghcr.io/fluxcd/source-controller:v0.36.1": true,
		"ghcr.io/fluxcd/source-controller:v1.9.1": false} {
		w := withFlux(t, components(t, fluxmanifests.ComponentsOptions{}), "Add Flux component manifests")
		w.pinControllers(image)
		w.state.Flux, w.components, w.sync = fluxinstall.FluxState{}, "", "" // the cluster was built anew
		if refuse {
			found := refused(t, w, on(t, spec("dev", onGitHub)))
			if len(found) != 1 || !strings.Contains(found[0].Message,
				systemPatches+":11 gives source-controller version v0.36.1") {
				t.Errorf("found %+v", found)
			}
			continue
		}
		create(t, w, on(t, spec("dev", onGitHub)))
		if !strings.Contains(w.components, "image: "+image) {
			t.Errorf("what was installed does not have image %s", image)
		}
	}
}

// TestFluxVersion_asItRuns: what is said of Flux's version is what runs.
func TestFluxVersion_asItRuns(t *testing.T) {
	t.Parallel()
	w := olderFluxWorld(t)
	w.running = map[string]string{"source-controller": "ghcr.io/fluxcd/source-controller:v0.36.1",
		"kustomize-controller": "ghcr.io/fluxcd/kustomize-controller:v1.9.4"}
	report := &reporter{}
	result, err := gitops.Upgrade(t.Context(), w.ports(report), upgrading(t, spec("dev", onGitHub)))
	if err != nil || result.Failure != nil {
		t.Fatalf("error %v, failure %+v", err, result.Failure)
	}
	if got, want := fmt.Sprint(result.Flux.Version, result.Flux.Controllers),
		"[{kustomize-controller v1.9.4 ghcr.io/fluxcd/kustomize-controller:v1.9.4 same} {source-controller "+
			"v0.36.1 ghcr.io/fluxcd/source-controller:v0.36.1 older}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if notes := strings.Join(report.notes(), "\n"); !strings.Contains(notes,
		"source-controller runs v0.36.1, which is of another release than Flux "+fluxmanifests.Version) {
		t.Errorf("notes\n%s", notes)
	}
	fresh := newWorld(t)
	made := create(t, fresh, on(t, spec("dev", onGitHub)))
	if made.Flux.Version != fluxmanifests.Version || len(made.Flux.Controllers) != 4 ||
		made.Flux.Controllers[0].Fit != fluxmanifests.FitSame {
		t.Errorf("flux %+v", made.Flux)
	}
}
