package files

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// newer says whether a version of Flux is newer than the one of this program. One that cannot be read is not.
func newer(version string) bool {
	order, err := fluxmanifests.CompareVersions(version, fluxmanifests.Version)
	return err == nil && order > 0
}

// components plans gotk-components.yaml.
func (s *systemPlan) components(ctx context.Context) error {
	ours := s.systemFile(layout.ComponentsFile)
	before := s.before[layout.ComponentsFile]
	live := s.Facts.Cluster().Flux.Version
	if IsBlank(before) {
		content, err := s.firstComponents(ctx, ours.Content, live)
		if err == nil {
			s.put(layout.ComponentsFile, content)
		}
		return err
	}
	if bytes.Equal(before, ours.Content) {
		s.put(layout.ComponentsFile, before)
		return nil
	}
	there, _, err := fluxmanifests.ComponentVersion(before)
	if err == nil && (newer(there) || newer(live)) {
		where, version := ours.Path, there
		if !newer(there) {
			where, version = "the cluster", live
		}
		s.note("Flux %s in %s is newer than %s, which this program brings: Flux's components are left alone",
			version, where, fluxmanifests.Version)
		if s.Options.choosesComponents() {
			s.note("the components asked for are not set for the same reason; use a newer eksa-gitops")
		}
		s.put(layout.ComponentsFile, before)
		return nil
	}
	return s.upgradeComponents(ctx, ours.Path, before)
}

// firstComponents are those of a repository that has none. A Flux that runs already keeps its controllers,
// and where their images come from, unless others are asked for.
func (s *systemPlan) firstComponents(ctx context.Context, ours []byte, live string) ([]byte, error) {
	if newer(live) {
		return nil, facts.Found(facts.AreaCluster.Finding(
			fmt.Sprintf("Flux %s runs in namespace %s, which is newer than %s: writing the files of %[3]s "+
				"to Git would be a downgrade", live, s.Facts.Config().SystemNamespace, fluxmanifests.Version),
			fmt.Sprintf("use an eksa-gitops that brings Flux %s or newer", live)))
	}
	wanted, registries := s.Options.Components, map[string]bool{}
	var running []string
	for _, c := range s.Facts.Cluster().Flux.Controllers {
		running = append(running, c.Name)
		name, _, _ := strings.Cut(c.Image, "@")
		if at := strings.LastIndex(name, "/"+c.Name+":"); at > 0 {
			registries[name[:at]] = true
		}
	}
	if s.Facts.Cluster().Flux.Kustomization == nil || s.Options.choosesComponents() ||
		fluxmanifests.CheckComponents(running, nil) != nil || len(running) == 0 {
		return ours, nil
	}
	// In the default order, so that the file is the one that `flux bootstrap` writes.
	ordered := slices.DeleteFunc(fluxmanifests.DefaultComponents(), func(name string) bool {
		return !slices.Contains(running, name)
	})
	for _, name := range running {
		if !slices.Contains(ordered, name) {
			ordered = append(ordered, name)
		}
	}
	wanted.Components, wanted.Namespace = ordered, s.Facts.Config().SystemNamespace
	if len(registries) == 1 && wanted.Registry == "" && len(s.Options.Images) == 0 {
		wanted.Registry = slices.Collect(maps.Keys(registries))[0]
	}
	made, err := fluxmanifests.Components(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("rendering Flux's components: %w", err)
	}
	return made, nil
}

// upgradeComponents brings components that are in Git to our version and to the choice of controllers. What
// somebody has edited in them by hand is never thrown away without being told to.
func (s *systemPlan) upgradeComponents(ctx context.Context, file string, before []byte) error {
	was, err := fluxmanifests.GeneratedFrom(before)
	if err != nil {
		if !s.Options.Overwrite {
			return facts.Found(facts.AreaSpec.Finding(
				fmt.Sprintf("%s is not what Flux's generator writes: %v", file, err),
				"replace it with --overwrite"))
		}
		s.put(layout.ComponentsFile, s.systemFile(layout.ComponentsFile).Content)
		return nil
	}
	wanted := was
	wanted.Version, wanted.Namespace, wanted.ComponentsExtra = fluxmanifests.Version,
		s.Facts.Config().SystemNamespace, s.Options.Components.ComponentsExtra
	if len(s.Options.Components.Components) > 0 {
		wanted.Components = s.Options.Components.Components
	}
	edited, known, err := s.editedComponents(ctx, file, before, was)
	if err != nil {
		return err
	}
	if was.Version == wanted.Version && sameNames(was.Components, wanted.Chosen()) &&
		(!s.Options.Overwrite || len(edited) == 0) {
		if len(edited) > 0 {
			s.note("%s is kept as it is in Git, where it has been edited: %s", file, ComponentNames(edited))
		}
		s.put(layout.ComponentsFile, before)
		return nil
	}
	switch {
	case !known && !s.Options.Overwrite:
		return facts.Found(facts.AreaSpec.Finding(
			fmt.Sprintf("%s holds Flux %s; the history of the branch does not tell whether somebody has "+
				"edited it, and Flux %s would replace all of it", file, was.Version, wanted.Version),
			"see the difference with --dry-run --overwrite; then replace it with --overwrite"))
	case len(edited) > 0 && !s.Options.Overwrite:
		return facts.Found(facts.AreaSpec.Finding(
			fmt.Sprintf("%s has been edited by hand, and Flux %s would replace that: %s",
				file, wanted.Version, ComponentNames(edited)),
			fmt.Sprintf("move the edits into patches of %s, which every upgrade keeps, or replace them "+
				"with --overwrite", path.Join(layout.SystemDir(s.Facts.Config()), layout.KustomizationFile))))
	case len(edited) > 0:
		s.note("edits of %s that are replaced: %s", file, ComponentNames(edited))
	}
	after, err := fluxmanifests.Components(ctx, wanted)
	if err != nil {
		return fmt.Errorf("rendering Flux's components: %w", err)
	}
	s.put(layout.ComponentsFile, after)
	s.flux.Removed = slices.DeleteFunc(slices.Clone(was.Components), func(name string) bool {
		return slices.Contains(wanted.Chosen(), name)
	})
	return s.checkRemoved(ctx, before, after)
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// ComponentNames lists changes in a few words.
func ComponentNames(changes []fluxmanifests.ComponentChange) string {
	var names []string
	for _, c := range changes {
		names = append(names, c.String())
	}
	return strings.Join(names, ", ")
}

// checkRemoved makes sure that no object goes with a controller: Flux takes the controller's kinds away, and
// Kubernetes every object of them, while nobody is left to end what they stand for.
func (s *systemPlan) checkRemoved(ctx context.Context, before, after []byte) error {
	if len(s.flux.Removed) == 0 {
		return nil
	}
	kinds, err := fluxmanifests.RemovedKinds(before, after)
	if err != nil || len(kinds) == 0 {
		return err
	}
	resources, err := s.Lister.FluxResources(ctx, kinds...)
	if err != nil {
		return fmt.Errorf("looking for objects of %s: %w", strings.Join(s.flux.Removed, ", "), err)
	}
	var using []string
	for _, o := range resources.Objects {
		if !o.Derived {
			using = append(using, o.String())
		}
	}
	if len(using) == 0 {
		return nil
	}
	const most = 10
	if n := len(using) - most; n > 0 {
		using = append(using[:most], fmt.Sprintf("%d more", n))
	}
	return facts.Found(facts.AreaCluster.Finding(
		fmt.Sprintf("%s cannot be removed: its kinds would be deleted with it, and with them %s",
			strings.Join(s.flux.Removed, ", "), strings.Join(using, ", ")),
		"delete these objects first, through Git where they come from there, or keep the controller among "+
			"the components"))
}

// generatedByFlux is how `flux bootstrap`, and so EKS Anywhere, describes the commit that it writes the
// components with.
var generatedByFlux = regexp.MustCompile(`^Add Flux v\S+ component manifests`)

// editedComponents finds what somebody has changed in the components since a generator wrote them. Components
// of our own version are generated once more; of others, the history of the branch says what was written.
// known is false when it does not.
func (s *systemPlan) editedComponents(ctx context.Context, file string, before []byte,
	was fluxmanifests.ComponentsOptions) (edited []fluxmanifests.ComponentChange, known bool, err error) {
	embedded := fluxmanifests.DefaultComponents()
	if was.Version == fluxmanifests.Version && !slices.ContainsFunc(was.Components,
		func(name string) bool { return !slices.Contains(embedded, name) }) {
		made, err := fluxmanifests.Components(ctx, was)
		if err != nil {
			return nil, false, fmt.Errorf("rendering Flux's components: %w", err)
		}
		edited, err = compareComponents(made, before)
		return edited, true, err
	}
	var newest, written *git.Revision
	err = s.snapshot.EachRevision(ctx, file, func(r git.Revision) bool {
		if newest == nil {
			newest = &r
		}
		if len(r.Trailer(facts.TrailerVersion)) > 0 || generatedByFlux.MatchString(r.Message) {
			written = &r
		}
		return written == nil && !r.Deleted
	})
	if err != nil {
		return nil, false, fmt.Errorf("reading the history of %s: %w", file, err)
	}
	if written == nil || written.Deleted {
		return nil, false, nil
	}
	if written.Commit == newest.Commit {
		return nil, true, nil
	}
	content, err := readRevision(ctx, s.snapshot, file, *written)
	if err != nil {
		return nil, false, err
	}
	edited, err = compareComponents(content, before)
	return edited, true, err
}

func compareComponents(before, after []byte) ([]fluxmanifests.ComponentChange, error) {
	if bytes.Equal(before, after) {
		return nil, nil
	}
	return fluxmanifests.CompareComponents(before, after)
}

// componentsAfter are the controllers of the planned components.
func (s *systemPlan) componentsAfter() []string {
	made, err := fluxmanifests.GeneratedFrom(s.plan.System[layout.ComponentsFile])
	if err != nil {
		return nil
	}
	return made.Components
}

// imagesOf are the images for controllers that are installed: kustomize refuses a patch of one that
// is not. Nil is all.
func (o *Options) imagesOf(components []string) map[string]string {
	if len(o.Images) == 0 || components == nil {
		return o.Images
	}
	images := maps.Clone(o.Images)
	known := fluxmanifests.DefaultComponents()
	maps.DeleteFunc(images, func(name, _ string) bool {
		return slices.Contains(known, name) && !slices.Contains(components, name)
	})
	return images
}
