package files

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// buildSystem builds Flux's directory, with the user's own files beside ours when the kustomization needs
// them.
func (p *Planner) buildSystem(ctx context.Context, snapshot facts.SnapshotReader,
	files map[string][]byte) (components []byte, used map[string][]byte, err error) {
	components, _, err = p.Memory.Build(files)
	if err == nil || snapshot == nil {
		return components, files, err
	}
	all, readErr := withOthers(ctx, snapshot, layout.SystemDir(p.Facts.Config()), files)
	if readErr != nil || len(all) == len(files) {
		return nil, files, err
	}
	components, _, err = p.Memory.Build(all)
	return components, all, err
}

// withOthers adds the other files of Flux's directory, by their paths below it.
func withOthers(ctx context.Context, snapshot facts.SnapshotReader, root string,
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
func (p *Planner) unbuilt(err error) error {
	return facts.Found(facts.AreaSpec.Finding(fmt.Sprintf("%s would not build: %v",
		layout.SystemDir(p.Facts.Config()), err), "bring "+path.Join(layout.SystemDir(p.Facts.Config()),
		layout.KustomizationFile)+" in Git to what the components have"))
}

// checkBuilt makes sure that what the plan of a creation has of Flux's directory can be built, and that the
// controllers fit the definitions. What is nothing but ours needs no look.
func (p *Planner) checkBuilt(ctx context.Context, snapshot facts.SnapshotReader, plan *Plan) error {
	ours := len(p.Options.Images) == 0 && !slices.ContainsFunc(p.Rendering.System, func(f layout.File) bool {
		return string(plan.System[path.Base(f.Path)]) != string(f.Content)
	})
	if ours || !p.BringsComponents(snapshot, plan) {
		return nil
	}
	built, used, err := p.buildSystem(ctx, snapshot, plan.System)
	if err != nil {
		return p.unbuilt(err)
	}
	plan.System = used
	_, images, err := fluxmanifests.ComponentVersion(built)
	if err != nil {
		return nil // kept as it is, whatever it is
	}
	return p.checkPins(plan, images)
}

// checkPins holds the images that Flux's controllers would have against the release of the planned
// definitions: a controller works with definitions that it does not know when a patch has kept its image from
// an older Flux, and nothing that is in Git is applied any more. Where the run does not change Flux, it is
// told only.
func (p *Planner) checkPins(plan *Plan, images map[string]string) error {
	if plan.Later {
		return nil
	}
	release := plan.FluxVersion()
	flux := &p.Facts.Cluster().Flux
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
		f := p.pinFinding(plan, name, images[name], release, fit)
		// EKS Anywhere's own bundles may be ahead of the definitions that its flux command brings.
		if fit == fluxmanifests.FitNewer && strings.Contains(images[name], "-eks-a-") ||
			!installs && !plan.ChangesIn(layout.SystemDir(p.Facts.Config())) {
			plan.Note("%s; %s", f.Message, f.Hint)
			continue
		}
		pinned = append(pinned, f)
	}
	return facts.Found(pinned...)
}

// pinFinding names a controller's image, where that is set, and what helps.
func (p *Planner) pinFinding(plan *Plan, name, image, release string,
	fit fluxmanifests.Fit) facts.Finding {
	where := "an image of --bundles"
	f := facts.Finding{Area: facts.AreaSpec, Hint: fmt.Sprintf(
		"use the Bundles file of a release of EKS Anywhere "+
			"whose Flux is of the same minor release as %s, or none", release)}
	if p.Options.Images[name] != image {
		files := maps.Clone(plan.System)
		delete(files, layout.ComponentsFile)
		where = path.Join(layout.SystemDir(p.Facts.Config()), layout.ComponentsFile)
		for _, pin := range lint.PinnedImages(files) {
			if pin.Controller == name {
				where = fmt.Sprintf("%s:%d", path.Join(layout.SystemDir(p.Facts.Config()), pin.File),
					pin.Line)
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
