package gitops

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// builtSystem is what Flux's directory builds to.
type builtSystem struct {
	files            map[string][]byte
	components, sync []byte
	err              error
}

// buildFiles is [fluxmanifests.BuildSystem], done once for the same files: a plan is checked, compared and
// carried out.
func (r *run) buildFiles(files map[string][]byte) (components, sync []byte, err error) {
	for _, b := range r.built {
		if maps.EqualFunc(b.files, files, bytes.Equal) {
			return b.components, b.sync, b.err
		}
	}
	b := builtSystem{files: maps.Clone(files)}
	b.components, b.sync, b.err = fluxmanifests.BuildSystem(files)
	r.built = append(r.built, b)
	return b.components, b.sync, b.err
}

// buildPushed builds Flux's directory as it is in Git now, for a step that applies it: a failure is that
// step's.
func (r *clustersRun) buildPushed(step step.Name) (components, sync []byte, err error) {
	components, sync, err = r.buildFiles(r.planned.System)
	if err != nil {
		r.steps.Failed = step
		err = fmt.Errorf("building %s as it is in Git: %w", layout.SystemDir(r.seen.Config()), err)
	}
	return components, sync, err
}

// buildSystem builds Flux's directory, with the user's own files beside ours when the kustomization needs
// them.
func (r *clustersRun) buildSystem(ctx context.Context, snapshot Snapshot,
	files map[string][]byte) (components []byte, used map[string][]byte, err error) {
	components, _, err = r.buildFiles(files)
	if err == nil || snapshot == nil {
		return components, files, err
	}
	all, readErr := withOthers(ctx, snapshot, layout.SystemDir(r.seen.Config()), files)
	if readErr != nil || len(all) == len(files) {
		return nil, files, err
	}
	components, _, err = r.buildFiles(all)
	return components, all, err
}

// withOthers adds the other files of Flux's directory, by their paths below it.
func withOthers(ctx context.Context, snapshot Snapshot, root string,
	files map[string][]byte) (map[string][]byte, error) {
	var paths []string
	err := snapshot.Walk(ctx, root, func(entry git.Entry) error {
		if _, ours := files[strings.TrimPrefix(entry.Path, root+"/")]; !ours && entry.Mode != git.Dir {
			paths = append(paths, entry.Path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	contents, err := snapshot.ReadAll(ctx, paths)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(files)
	for file, content := range contents {
		all[strings.TrimPrefix(file, root+"/")] = content
	}
	return all, nil
}

// unbuilt says that Flux's directory, as it would be, cannot be built.
func (r *clustersRun) unbuilt(err error) error {
	return &fluxRefusal{facts.AreaSpec, fmt.Sprintf("%s would not build: %v",
		layout.SystemDir(r.seen.Config()), err), "bring " + path.Join(layout.SystemDir(r.seen.Config()),
		layout.KustomizationFile) + " in Git to what the components have"}
}

// checkBuilt makes sure that what the plan of a creation has of Flux's directory can be built, and that the
// controllers fit the definitions. What is nothing but ours needs no look.
func (r *createRun) checkBuilt(ctx context.Context, snapshot Snapshot, plan *files.Plan) error {
	ours := len(r.options.Images) == 0 && !slices.ContainsFunc(r.rendered.system, func(f layout.File) bool {
		return string(plan.System[path.Base(f.Path)]) != string(f.Content)
	})
	if ours || !r.bringsComponents(snapshot, plan) {
		return nil
	}
	built, used, err := r.buildSystem(ctx, snapshot, plan.System)
	if err != nil {
		return r.unbuilt(err)
	}
	plan.System = used
	_, images, err := fluxmanifests.ComponentVersion(built)
	if err != nil {
		return nil // kept as it is, whatever it is
	}
	return r.checkPins(plan, images)
}

// checkPins holds the images that Flux's controllers would have against the release of the planned
// definitions: a controller works with definitions that it does not know when a patch has kept its image from
// an older Flux, and nothing that is in Git is applied any more. Where the run does not change Flux, it is
// told only.
func (r *clustersRun) checkPins(plan *files.Plan, images map[string]string) error {
	if plan.Later {
		return nil
	}
	release := r.plannedVersion(plan)
	flux := &r.seen.Cluster().Flux
	installs := flux.GitRepository == nil || flux.Kustomization == nil || !flux.Working()
	var pinned []facts.Finding
	for _, name := range slices.Sorted(maps.Keys(images)) {
		fit, expected := fluxmanifests.ControllerFit(release, name, images[name])
		switch {
		case fit == fluxmanifests.FitSame, fit == fluxmanifests.FitUnknown && expected == "":
			continue
		case fit == fluxmanifests.FitUnknown:
			plan.Note("it cannot be told whether image %s of %s is of Flux %s: its tag is not a version",
				images[name], name, release)
			continue
		}
		f := r.pinFinding(plan, name, images[name], release, fit)
		// EKS Anywhere's own bundles may be ahead of the definitions that its flux command brings.
		if fit == fluxmanifests.FitNewer && strings.Contains(images[name], "-eks-a-") ||
			!installs && !plan.ChangesIn(layout.SystemDir(r.seen.Config())) {
			plan.Note("%s; %s", f.Message, f.Hint)
			continue
		}
		pinned = append(pinned, f)
	}
	if len(pinned) > 0 {
		return &facts.FoundError{Findings: pinned}
	}
	return nil
}

// pinFinding names a controller's image, where that is set, and what helps.
func (r *clustersRun) pinFinding(plan *files.Plan, name, image, release string,
	fit fluxmanifests.Fit) facts.Finding {
	where := "an image of --bundles"
	f := facts.Finding{Area: facts.AreaSpec, Hint: fmt.Sprintf(
		"use the Bundles file of a release of EKS Anywhere "+
			"whose Flux is of the same minor release as %s, or none", release)}
	if r.options.Images[name] != image {
		files := maps.Clone(plan.System)
		delete(files, layout.ComponentsFile)
		where = path.Join(layout.SystemDir(r.seen.Config()), layout.ComponentsFile)
		for _, pin := range lint.PinnedImages(files) {
			if pin.Controller == name {
				where = fmt.Sprintf("%s:%d", path.Join(layout.SystemDir(r.seen.Config()), pin.File), pin.Line)
			}
		}
		f.Hint = fmt.Sprintf("take the image out there, or have the controllers get those of a Bundles "+
			"file of EKS Anywhere for Flux %s with --bundles FILE", release)
	}
	effect := "an older controller does not know the new definitions, and Flux would apply nothing any more"
	if fit == fluxmanifests.FitNewer {
		effect = "a newer controller may need definitions that are not there"
	}
	f.Message = fmt.Sprintf("%s gives %s version %s (%s), which is of another release than Flux %s: %s",
		where, name, fluxmanifests.ImageVersion(image), image, release, effect)
	return f
}

// tellRunning is noteRunning between steps.
func (r *run) tellRunning(ctx context.Context) error {
	r.noteRunning(ctx)
	return nil
}

// noteRunning puts into the result what runs of Flux, as the pods say where the run has changed Flux, and as
// the Deployments do that have rolled out otherwise. The release that is named is that of the definitions
// only when all controllers are of it.
func (r *run) noteRunning(ctx context.Context) {
	result := r.result.Flux
	if result == nil || r.seen.Cluster() == nil {
		return
	}
	var running []fluxinstall.RunningController
	if r.keepsFlux && !r.seen.Cluster().Applied(r.seen.Config().Branch, r.commit) {
		var err error
		if running, err = r.open.cluster.RunningControllers(ctx,
			r.seen.Config().SystemNamespace); err != nil {
			if ctx.Err() == nil {
				r.steps.Note(step.LevelWarning,
					fmt.Sprintf("could not look at which of Flux's controllers run: %v", err))
			}
			return
		}
	} else {
		for _, c := range r.seen.Cluster().Flux.Controllers {
			if c.Available {
				running = append(running,
					fluxinstall.RunningController{Name: c.Name, Images: []string{c.Image}})
			}
		}
	}
	result.Controllers = nil
	release := result.Version
	for _, c := range running {
		for _, image := range c.Images {
			fit, expected := fluxmanifests.ControllerFit(release, c.Name, image)
			result.Controllers = append(result.Controllers, FluxController{Name: c.Name,
				Version: fluxmanifests.ImageVersion(image), Image: image, Fit: fit})
			switch {
			case fit == fluxmanifests.FitOlder || fit == fluxmanifests.FitNewer:
				result.Version = ""
				r.steps.Note(step.LevelWarning, fmt.Sprintf(
					"%s runs %s, which is of another release than Flux %s, of which the definitions are",
					c.Name, fluxmanifests.ImageVersion(image), release))
			case fit == fluxmanifests.FitUnknown && expected != "":
				r.steps.Note(step.LevelInfo,
					fmt.Sprintf("%s runs image %s, of which it cannot be told whether it is of Flux %s",
						c.Name, image, release))
			}
		}
	}
}
