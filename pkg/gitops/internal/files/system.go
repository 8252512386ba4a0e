package files

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
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// FluxPlan is what an upgrade does to Flux itself.
type FluxPlan struct {
	Changes []fluxmanifests.ComponentChange
	Images  map[string]string // what the controllers run afterwards, by Deployment; nil when nothing changes
	Removed []string          // the controllers that go
}

// planSystem works out what becomes of Flux's files on top of a snapshot, and adds it to the plan. Other than
// a creation, an upgrade brings gotk-components.yaml up to date. The errors that are about the files are
// *facts.FoundError and *ConflictError.
func (u *UpgradePlanner) planSystem(ctx context.Context, snapshot facts.SnapshotReader,
	plan *Plan) (FluxPlan, error) {
	if u.Management == nil {
		return FluxPlan{}, nil
	}
	before, err := u.readSystem(ctx, snapshot)
	if err != nil {
		return FluxPlan{}, err
	}
	s := &systemPlan{UpgradePlanner: u, snapshot: snapshot, plan: plan, before: before}
	for _, step := range []func(context.Context) error{s.components, s.kustomization, s.sync, s.compare} {
		if err := step(ctx); err != nil {
			return FluxPlan{}, err
		}
	}
	return s.flux, nil
}

// systemPlan is the plan of Flux's files while it is made.
type systemPlan struct {
	*UpgradePlanner
	snapshot facts.SnapshotReader
	plan     *Plan
	before   map[string][]byte // by base name; what is in Git
	flux     FluxPlan
}

// readSystem reads Flux's three files as they are in Git, by base name.
func (u *UpgradePlanner) readSystem(ctx context.Context,
	snapshot facts.SnapshotReader) (map[string][]byte, error) {
	found := map[string][]byte{}
	if snapshot == nil {
		return found, nil
	}
	var paths []string
	for _, file := range u.Rendering.System {
		_, there, err := snapshot.Lookup(file.Path)
		if err != nil {
			return nil, fmt.Errorf("looking for %s in the repository: %w", file.Path, err)
		}
		if !there {
			continue
		}
		// The components are large: when they are as they would be written, they need not be fetched.
		if same, err := snapshot.Holds(file.Path, file.Content); err == nil && same {
			found[path.Base(file.Path)] = file.Content
			continue
		}
		paths = append(paths, file.Path)
	}
	if len(paths) == 0 {
		return found, nil
	}
	contents, err := snapshot.ReadAll(ctx, paths)
	if err != nil {
		return nil, fmt.Errorf("reading Flux's files: %w", err)
	}
	for file, content := range contents {
		found[path.Base(file)] = content
	}
	return found, nil
}

func (u *UpgradePlanner) systemFile(base string) layout.File {
	at := slices.IndexFunc(u.Rendering.System, func(f layout.File) bool { return path.Base(f.Path) == base })
	return u.Rendering.System[at]
}

// put plans one of Flux's files.
func (s *systemPlan) put(base string, content []byte) {
	file := s.systemFile(base).Path
	s.plan.System[base], s.plan.After[file] = content, content
	before, there := s.before[base]
	switch {
	case !there:
		s.plan.Changes = append(s.plan.Changes,
			layout.FileChange{Path: file, Change: layout.FileAdd, After: content})
	case !bytes.Equal(before, content):
		s.plan.Changes = append(s.plan.Changes,
			layout.FileChange{Path: file, Change: layout.FileModify, Before: before, After: content})
	}
}

func (s *systemPlan) note(format string, args ...any) {
	s.plan.Note(format, args...)
}

// kustomization plans the kustomization of Flux's directory: what is there stays, but for the images when
// others are given and for patches of controllers that go.
func (s *systemPlan) kustomization(context.Context) error {
	ours := s.systemFile(layout.KustomizationFile)
	before := s.before[layout.KustomizationFile]
	switch {
	case IsBlank(before) || bytes.Equal(before, ours.Content):
		s.put(layout.KustomizationFile, ours.Content)
		return nil
	case !ListsResources(before, layout.ComponentsFile, layout.SyncFile):
		if !s.Options.Overwrite {
			return &ConflictError{Changes: []layout.FileChange{{Path: ours.Path, Change: layout.FileModify,
				Before: before, After: ours.Content}}}
		}
		s.put(layout.KustomizationFile, ours.Content)
		return nil
	}
	after, err := layout.SetControllerImages(before, s.Facts.Config().SystemNamespace,
		s.Options.imagesOf(s.componentsAfter()), s.flux.Removed)
	if err != nil {
		return facts.Found(facts.AreaSpec.Finding(fmt.Sprintf("%s: %v", ours.Path, err), ""))
	}
	if after, err = layout.ProtectSystem(after, s.Facts.Config().SystemNamespace); err != nil {
		return facts.Found(facts.AreaSpec.Finding(fmt.Sprintf("%s: %v", ours.Path, err), ""))
	}
	if patched := layout.ControllerImages(after); len(patched) > 0 && len(s.Options.Images) == 0 &&
		!bytes.Equal(s.plan.System[layout.ComponentsFile], s.before[layout.ComponentsFile]) {
		var images []string
		for _, name := range slices.Sorted(maps.Keys(patched)) {
			images = append(images, patched[name])
		}
		s.note("%s keeps the images that it gives Flux's controllers: %s; --bundles FILE gives them those "+
			"of a Bundles file", ours.Path, strings.Join(images, ", "))
	}
	s.put(layout.KustomizationFile, after)
	return nil
}

// sync plans gotk-sync.yaml, which stays as it is as long as it follows what the spec says.
func (s *systemPlan) sync(context.Context) error {
	ours := s.systemFile(layout.SyncFile)
	before := s.before[layout.SyncFile]
	following := s.followsSpec(before)
	var kept []byte // whose part of the repository stays
	if following {
		kept = before
	}
	var err error
	if ours.Content, err = s.syncFor(kept); err != nil {
		return err
	}
	switch {
	case IsBlank(before) || s.Options.Overwrite && !following:
		s.put(layout.SyncFile, ours.Content)
	case following:
		after, err := s.servedSync(ours.Path, before, s.plan.System[layout.ComponentsFile], s.note)
		if err != nil {
			return err
		}
		if after, err = s.setCheckout(ours.Path, after); err != nil {
			return err
		}
		s.put(layout.SyncFile, after)
	case s.Adopting:
		s.note("%s is replaced: it follows something else than the spec says", ours.Path)
		s.put(layout.SyncFile, ours.Content)
	default:
		return &ConflictError{Changes: []layout.FileChange{{Path: ours.Path, Change: layout.FileModify,
			Before: before, After: ours.Content}}}
	}
	return nil
}

// followsSpec says whether sync manifests follow the repository, branch and path of the spec, whatever else
// they say.
func (s *systemPlan) followsSpec(sync []byte) bool {
	git, path := false, false
	for _, o := range facts.DecodeObjects(sync) {
		if o.Name != s.Facts.Config().SystemNamespace || o.Namespace != s.Facts.Config().SystemNamespace {
			continue
		}
		spec, _ := o.Fields["spec"].(map[string]any)
		switch o.Kind {
		case "GitRepository":
			url, _ := spec["url"].(string)
			ref, _ := spec["ref"].(map[string]any)
			git = s.Facts.SameSource(url) && ref["branch"] == s.Facts.Config().Branch
		case "Kustomization":
			given, _ := spec["path"].(string)
			path = facts.SamePath(given, layout.SyncPath(s.Facts.Config()))
		}
	}
	return git && path
}

// compare builds Flux's files as Flux will, and says what changes for the controllers.
func (s *systemPlan) compare(ctx context.Context) error {
	changed := slices.ContainsFunc(s.plan.Changes, func(c layout.FileChange) bool {
		return path.Dir(c.Path) == layout.SystemDir(s.Facts.Config())
	})
	applied := s.snapshot != nil && s.Facts.Cluster().Applied(s.Facts.Config().Branch, s.snapshot.Head())
	if !changed && applied {
		return nil
	}
	after, used, err := s.buildSystem(ctx, s.snapshot, s.plan.System)
	if err != nil {
		return s.unbuilt(err)
	}
	s.plan.System = used
	_, images, err := fluxmanifests.ComponentVersion(after)
	if err != nil {
		return nil // kept as it is, whatever it is
	}
	if err := s.checkPins(s.plan, images); err != nil {
		return err
	}
	if changed && len(s.before[layout.ComponentsFile]) > 0 {
		before, _, err := s.buildSystem(ctx, s.snapshot, s.protectedBefore())
		if err != nil {
			before = s.before[layout.ComponentsFile]
		}
		if s.flux.Changes, err = compareComponents(before, after); err != nil {
			return err
		}
	}
	if len(s.flux.Changes) == 0 {
		s.flux.Changes = liveChanges(s.Facts.Cluster().Flux.Controllers, images)
	}
	if len(s.flux.Changes) > 0 {
		s.flux.Images = images
	}
	return nil
}

// protectedBefore is what is in Git, with what keeps Flux from deleting itself: to add that changes nothing
// about the controllers.
func (s *systemPlan) protectedBefore() map[string][]byte {
	files := maps.Clone(s.before)
	if protected, err := layout.ProtectSystem(files[layout.KustomizationFile],
		s.Facts.Config().SystemNamespace); err == nil {
		files[layout.KustomizationFile] = protected
	}
	return files
}

// liveChanges are the controllers that run another image than Git says: Flux has yet to apply an earlier
// upgrade.
func liveChanges(controllers []fluxinstall.ControllerState,
	images map[string]string) []fluxmanifests.ComponentChange {
	var changes []fluxmanifests.ComponentChange
	for _, c := range controllers {
		if image := images[c.Name]; image != "" && c.Image != "" && image != c.Image {
			changes = append(changes, fluxmanifests.ComponentChange{
				Name: c.Name, OldImage: c.Image, NewImage: image,
				OldVersion: fluxmanifests.ImageVersion(c.Image),
				NewVersion: fluxmanifests.ImageVersion(image),
			})
		}
	}
	return changes
}
