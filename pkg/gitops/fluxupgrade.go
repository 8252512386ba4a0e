package gitops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// fluxPlan is what an upgrade does to Flux itself.
type fluxPlan struct {
	changes []fluxinstall.ComponentChange
	images  map[string]string // what the controllers run afterwards, by Deployment; nil when nothing changes
	removed []string          // the controllers that go
}

// fluxRefusal says why Flux's own files cannot be brought to what was asked for.
type fluxRefusal struct {
	area          Area
	message, hint string
}

func (e *fluxRefusal) Error() string { return e.message }
func (e *fluxRefusal) Hint() string  { return e.hint }

// planSystem works out what becomes of Flux's files on top of a snapshot, and adds it to the plan. Other than a creation, an upgrade brings
// gotk-components.yaml up to date. The errors that are about the files are *fluxRefusal and *conflictError.
func (u *upgradeRun) planSystem(ctx context.Context, snapshot Snapshot, plan *filePlan) error {
	u.flux = fluxPlan{}
	if u.management == nil {
		return nil
	}
	before, err := u.readSystem(ctx, snapshot)
	if err != nil {
		return err
	}
	s := &systemPlan{upgradeRun: u, snapshot: snapshot, plan: plan, before: before}
	for _, step := range []func(context.Context) error{s.components, s.kustomization, s.sync, s.compare} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	u.flux = s.flux
	return nil
}

// systemPlan is the plan of Flux's files while it is made.
type systemPlan struct {
	*upgradeRun
	snapshot Snapshot
	plan     *filePlan
	before   map[string][]byte // by base name; what is in Git
	flux     fluxPlan
}

// readSystem reads Flux's three files as they are in Git, by base name.
func (u *upgradeRun) readSystem(ctx context.Context, snapshot Snapshot) (map[string][]byte, error) {
	found := map[string][]byte{}
	if snapshot == nil {
		return found, nil
	}
	var paths []string
	for _, file := range u.rendered.system {
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

func (u *upgradeRun) systemFile(base string) layout.File {
	at := slices.IndexFunc(u.rendered.system, func(f layout.File) bool { return path.Base(f.Path) == base })
	return u.rendered.system[at]
}

// put plans one of Flux's files.
func (s *systemPlan) put(base string, content []byte) {
	file := s.systemFile(base).Path
	s.plan.system[base], s.plan.after[file] = content, content
	before, there := s.before[base]
	switch {
	case !there:
		s.plan.changes = append(s.plan.changes, FileChange{Path: file, Change: "add", After: content})
	case !bytes.Equal(before, content):
		s.plan.changes = append(s.plan.changes, FileChange{Path: file, Change: "modify", Before: before, After: content})
	}
}

func (s *systemPlan) note(format string, args ...any) {
	s.plan.note(format, args...)
}

// newer says whether a version of Flux is newer than the one of this program. One that cannot be read is not.
func newer(version string) bool {
	order, err := fluxinstall.CompareVersions(version, fluxinstall.Version)
	return err == nil && order > 0
}

// components plans gotk-components.yaml.
func (s *systemPlan) components(ctx context.Context) error {
	ours := s.systemFile(layout.ComponentsFile)
	before := s.before[layout.ComponentsFile]
	live := s.seen.cluster.Flux.Version
	if isBlank(before) {
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
	there, _, err := fluxinstall.ComponentVersion(before)
	if err == nil && (newer(there) || newer(live)) {
		where, version := ours.Path, there
		if !newer(there) {
			where, version = "the cluster", live
		}
		s.note("Flux %s in %s is newer than %s, which this program brings: Flux's components are left alone", version, where, fluxinstall.Version)
		if s.choosesComponents() {
			s.note("the components asked for are not set for the same reason; use a newer eksa-gitops")
		}
		s.put(layout.ComponentsFile, before)
		return nil
	}
	return s.upgradeComponents(ctx, ours.Path, before)
}

func (u *upgradeRun) choosesComponents() bool {
	return len(u.options.Components.Components) > 0 || len(u.options.Components.ComponentsExtra) > 0
}

// firstComponents are those of a repository that has none. A Flux that runs already keeps its controllers, and where their images come
// from, unless others are asked for.
func (s *systemPlan) firstComponents(ctx context.Context, ours []byte, live string) ([]byte, error) {
	if newer(live) {
		return nil, &fluxRefusal{AreaCluster,
			fmt.Sprintf("Flux %s runs in namespace %s, which is newer than %s: writing the files of %[3]s to Git would be a downgrade", live, s.config.SystemNamespace, fluxinstall.Version),
			fmt.Sprintf("use an eksa-gitops that brings Flux %s or newer", live)}
	}
	wanted, registries := s.options.Components, map[string]bool{}
	var running []string
	for _, c := range s.seen.cluster.Flux.Controllers {
		running = append(running, c.Name)
		name, _, _ := strings.Cut(c.Image, "@")
		if at := strings.LastIndex(name, "/"+c.Name+":"); at > 0 {
			registries[name[:at]] = true
		}
	}
	if s.seen.cluster.Flux.Kustomization == nil || s.choosesComponents() || fluxinstall.CheckComponents(running, nil) != nil || len(running) == 0 {
		return ours, nil
	}
	// In the default order, so that the file is the one that `flux bootstrap` writes.
	ordered := slices.DeleteFunc(fluxinstall.DefaultComponents(), func(name string) bool { return !slices.Contains(running, name) })
	for _, name := range running {
		if !slices.Contains(ordered, name) {
			ordered = append(ordered, name)
		}
	}
	wanted.Components, wanted.Namespace = ordered, s.config.SystemNamespace
	if len(registries) == 1 && wanted.Registry == "" && len(s.options.Images) == 0 {
		wanted.Registry = slices.Collect(maps.Keys(registries))[0]
	}
	made, err := fluxinstall.Components(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("rendering Flux's components: %w", err)
	}
	return made, nil
}

// upgradeComponents brings components that are in Git to our version and to the choice of controllers. What somebody has edited in them by
// hand is never thrown away without being told to.
func (s *systemPlan) upgradeComponents(ctx context.Context, file string, before []byte) error {
	was, err := fluxinstall.GeneratedFrom(before)
	if err != nil {
		if !s.options.Overwrite {
			return &fluxRefusal{AreaSpec, fmt.Sprintf("%s is not what Flux's generator writes: %v", file, err), "replace it with --overwrite"}
		}
		s.put(layout.ComponentsFile, s.systemFile(layout.ComponentsFile).Content)
		return nil
	}
	wanted := was
	wanted.Version, wanted.Namespace, wanted.ComponentsExtra = fluxinstall.Version, s.config.SystemNamespace, s.options.Components.ComponentsExtra
	if len(s.options.Components.Components) > 0 {
		wanted.Components = s.options.Components.Components
	}
	edited, known, err := s.editedComponents(ctx, file, before, was)
	if err != nil {
		return err
	}
	if was.Version == wanted.Version && sameNames(was.Components, wanted.Chosen()) && (!s.options.Overwrite || len(edited) == 0) {
		if len(edited) > 0 {
			s.note("%s is kept as it is in Git, where it has been edited: %s", file, componentNames(edited))
		}
		s.put(layout.ComponentsFile, before)
		return nil
	}
	switch {
	case !known && !s.options.Overwrite:
		return &fluxRefusal{AreaSpec,
			fmt.Sprintf("%s holds Flux %s; the history of the branch does not tell whether somebody has edited it, and Flux %s would replace all of it", file, was.Version, wanted.Version),
			"see the difference with --dry-run --overwrite; then replace it with --overwrite"}
	case len(edited) > 0 && !s.options.Overwrite:
		return &fluxRefusal{AreaSpec,
			fmt.Sprintf("%s has been edited by hand, and Flux %s would replace that: %s", file, wanted.Version, componentNames(edited)),
			fmt.Sprintf("move the edits into patches of %s, which every upgrade keeps, or replace them with --overwrite", path.Join(layout.SystemDir(s.config), layout.KustomizationFile))}
	case len(edited) > 0:
		s.note("edits of %s that are replaced: %s", file, componentNames(edited))
	}
	after, err := fluxinstall.Components(ctx, wanted)
	if err != nil {
		return fmt.Errorf("rendering Flux's components: %w", err)
	}
	s.put(layout.ComponentsFile, after)
	s.flux.removed = slices.DeleteFunc(slices.Clone(was.Components), func(name string) bool { return slices.Contains(wanted.Chosen(), name) })
	return s.checkRemoved(ctx, before, after)
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// componentNames lists changes in a few words.
func componentNames(changes []fluxinstall.ComponentChange) string {
	var names []string
	for _, c := range changes {
		names = append(names, c.String())
	}
	return strings.Join(names, ", ")
}

// checkRemoved makes sure that no object goes with a controller: Flux takes the controller's kinds away, and Kubernetes every object of
// them, while nobody is left to end what they stand for.
func (s *systemPlan) checkRemoved(ctx context.Context, before, after []byte) error {
	if len(s.flux.removed) == 0 {
		return nil
	}
	kinds, err := fluxinstall.RemovedKinds(before, after)
	if err != nil || len(kinds) == 0 {
		return err
	}
	resources, err := s.seen.ports.cluster.FluxResources(ctx, kinds...)
	if err != nil {
		return fmt.Errorf("looking for objects of %s: %w", strings.Join(s.flux.removed, ", "), err)
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
	return &fluxRefusal{AreaCluster,
		fmt.Sprintf("%s cannot be removed: its kinds would be deleted with it, and with them %s", strings.Join(s.flux.removed, ", "), strings.Join(using, ", ")),
		"delete these objects first, through Git where they come from there, or keep the controller among the components"}
}

// generatedByFlux is how `flux bootstrap`, and so EKS Anywhere, describes the commit that it writes the components with.
var generatedByFlux = regexp.MustCompile(`^Add Flux v\S+ component manifests`)

// editedComponents finds what somebody has changed in the components since a generator wrote them. Components of our own version are
// generated once more; of others, the history of the branch says what was written. known is false when it does not.
func (s *systemPlan) editedComponents(ctx context.Context, file string, before []byte, was fluxinstall.ComponentsOptions) (edited []fluxinstall.ComponentChange, known bool, err error) {
	embedded := fluxinstall.DefaultComponents()
	if was.Version == fluxinstall.Version && !slices.ContainsFunc(was.Components, func(name string) bool { return !slices.Contains(embedded, name) }) {
		made, err := fluxinstall.Components(ctx, was)
		if err != nil {
			return nil, false, fmt.Errorf("rendering Flux's components: %w", err)
		}
		edited, err = compareComponents(made, before)
		return edited, true, err
	}
	var newest, written *gitrepo.Revision
	err = s.snapshot.EachRevision(ctx, file, func(r gitrepo.Revision) bool {
		if newest == nil {
			newest = &r
		}
		if len(r.Trailer(trailerVersion)) > 0 || generatedByFlux.MatchString(r.Message) {
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

func compareComponents(before, after []byte) ([]fluxinstall.ComponentChange, error) {
	if bytes.Equal(before, after) {
		return nil, nil
	}
	return fluxinstall.CompareComponents(before, after)
}

// kustomization plans the kustomization of Flux's directory: what is there stays, but for the images when others are given and for patches
// of controllers that go.
func (s *systemPlan) kustomization(context.Context) error {
	ours := s.systemFile(layout.KustomizationFile)
	before := s.before[layout.KustomizationFile]
	switch {
	case isBlank(before) || bytes.Equal(before, ours.Content):
		s.put(layout.KustomizationFile, ours.Content)
		return nil
	case !listsResources(before, layout.ComponentsFile, layout.SyncFile):
		if !s.options.Overwrite {
			return &conflictError{changes: []FileChange{{Path: ours.Path, Change: "modify", Before: before, After: ours.Content}}}
		}
		s.put(layout.KustomizationFile, ours.Content)
		return nil
	}
	after, err := layout.SetControllerImages(before, s.config.SystemNamespace, s.options.imagesOfComponents(s.componentsAfter()), s.flux.removed)
	if err != nil {
		return &fluxRefusal{AreaSpec, fmt.Sprintf("%s: %v", ours.Path, err), ""}
	}
	if after, err = layout.ProtectSystem(after, s.config.SystemNamespace); err != nil {
		return &fluxRefusal{AreaSpec, fmt.Sprintf("%s: %v", ours.Path, err), ""}
	}
	if patched := layout.ControllerImages(after); len(patched) > 0 && len(s.options.Images) == 0 && !bytes.Equal(s.plan.system[layout.ComponentsFile], s.before[layout.ComponentsFile]) {
		var images []string
		for _, name := range slices.Sorted(maps.Keys(patched)) {
			images = append(images, patched[name])
		}
		s.note("%s keeps the images that it gives Flux's controllers: %s; --bundles FILE gives them those of a Bundles file", ours.Path, strings.Join(images, ", "))
	}
	s.put(layout.KustomizationFile, after)
	return nil
}

// componentsAfter are the controllers of the planned components.
func (s *systemPlan) componentsAfter() []string {
	made, err := fluxinstall.GeneratedFrom(s.plan.system[layout.ComponentsFile])
	if err != nil {
		return nil
	}
	return made.Components
}

// imagesOfComponents are the images for controllers that are installed: kustomize refuses a patch of one that is not. Nil is all.
func (o *CreateOptions) imagesOfComponents(components []string) map[string]string {
	if len(o.Images) == 0 || components == nil {
		return o.Images
	}
	images := maps.Clone(o.Images)
	known := fluxinstall.DefaultComponents()
	maps.DeleteFunc(images, func(name, _ string) bool {
		return slices.Contains(known, name) && !slices.Contains(components, name)
	})
	return images
}

// sync plans gotk-sync.yaml, which stays as it is as long as it follows what the spec says.
func (s *systemPlan) sync(context.Context) error {
	ours := s.systemFile(layout.SyncFile)
	before := s.before[layout.SyncFile]
	switch {
	case isBlank(before) || s.options.Overwrite && !s.followsSpec(before):
		s.put(layout.SyncFile, ours.Content)
	case s.followsSpec(before):
		after, err := s.servedSync(ours.Path, before, s.plan.system[layout.ComponentsFile], s.note)
		if err != nil {
			return err
		}
		s.put(layout.SyncFile, after)
	case s.asked.Adopt:
		s.note("%s is replaced: it follows something else than the spec says", ours.Path)
		s.put(layout.SyncFile, ours.Content)
	default:
		return &conflictError{changes: []FileChange{{Path: ours.Path, Change: "modify", Before: before, After: ours.Content}}}
	}
	return nil
}

// followsSpec says whether sync manifests follow the repository, branch and path of the spec, whatever else they say.
func (s *systemPlan) followsSpec(sync []byte) bool {
	git, path := false, false
	for _, o := range decodeObjects(sync) {
		if o.Name != s.config.SystemNamespace || o.Namespace != s.config.SystemNamespace {
			continue
		}
		spec := section(o.Fields, "spec")
		switch o.Kind {
		case "GitRepository":
			url, _ := spec["url"].(string)
			git = s.sameSource(url) && section(spec, "ref")["branch"] == s.config.Branch
		case "Kustomization":
			given, _ := spec["path"].(string)
			path = samePath(given, layout.SyncPath(s.config))
		}
	}
	return git && path
}

// compare builds Flux's files as Flux will, and says what changes for the controllers.
func (s *systemPlan) compare(ctx context.Context) error {
	changed := slices.ContainsFunc(s.plan.changes, func(c FileChange) bool { return path.Dir(c.Path) == layout.SystemDir(s.config) })
	applied := s.snapshot != nil && s.seen.cluster.Applied(s.config.Branch, s.snapshot.Head())
	if !changed && applied {
		return nil
	}
	after, used, err := s.buildSystem(ctx, s.snapshot, s.plan.system)
	if err != nil {
		return s.unbuilt(err)
	}
	s.plan.system = used
	_, images, err := fluxinstall.ComponentVersion(after)
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
		if s.flux.changes, err = compareComponents(before, after); err != nil {
			return err
		}
	}
	if len(s.flux.changes) == 0 {
		s.flux.changes = liveChanges(s.seen.cluster.Flux.Controllers, images)
	}
	if len(s.flux.changes) > 0 {
		s.flux.images = images
	}
	return nil
}

// protectedBefore is what is in Git, with what keeps Flux from deleting itself: to add that changes nothing about the controllers.
func (s *systemPlan) protectedBefore() map[string][]byte {
	files := maps.Clone(s.before)
	if protected, err := layout.ProtectSystem(files[layout.KustomizationFile], s.config.SystemNamespace); err == nil {
		files[layout.KustomizationFile] = protected
	}
	return files
}

// liveChanges are the controllers that run another image than Git says: Flux has yet to apply an earlier upgrade.
func liveChanges(controllers []fluxinstall.ControllerState, images map[string]string) []fluxinstall.ComponentChange {
	var changes []fluxinstall.ComponentChange
	for _, c := range controllers {
		if image := images[c.Name]; image != "" && c.Image != "" && image != c.Image {
			changes = append(changes, fluxinstall.ComponentChange{
				Name: c.Name, OldImage: c.Image, NewImage: image, OldVersion: fluxinstall.ImageVersion(c.Image), NewVersion: fluxinstall.ImageVersion(image),
			})
		}
	}
	return changes
}

// fluxFollows says whether Flux applies its own files from Git, so that it brings itself to what they say.
func (u *upgradeRun) fluxFollows() bool {
	flux := &u.seen.cluster.Flux
	return flux.GitRepository != nil && flux.Kustomization != nil && flux.SourceSecret != nil && flux.Working()
}

// bringFlux brings Flux to what is in Git. One that follows the repository does that itself; one that is not there, or broken, is
// installed; and one that follows something else is taken over.
func (u *upgradeRun) bringFlux(ctx context.Context) sequence {
	switch {
	case u.management == nil:
		return nil
	case u.adopts():
		return u.adopt()
	case !u.fluxFollows():
		return u.installFlux(ctx)
	}
	return sequence{telling(u.noteFlux)}
}

// noteFlux begins the part of the result that is about Flux.
func (u *upgradeRun) noteFlux() {
	version, _, err := fluxinstall.ComponentVersion(u.seen.files.system[layout.ComponentsFile])
	if err != nil {
		version = u.seen.cluster.Flux.Version
	}
	u.result.Flux = &FluxResult{Version: version, Namespace: u.config.SystemNamespace, URL: u.settings.Remote.Cluster, Path: layout.SyncPath(u.config), Changes: u.flux.changes}
}

// nudgeEvery is how often Flux is asked to look again while its controllers are being replaced.
const nudgeEvery = 10 * time.Second

// nudge asks Flux again and again to look at the repository, until stop is called. A kustomize-controller that begins to work while the
// source-controller is being replaced, too, cannot fetch, and tries again only at its interval, which is ten minutes.
func (u *upgradeRun) nudge(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var nudging crash.Group
	nudging.Go(func() {
		ticker := time.NewTicker(nudgeEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				// A failure shows in what is waited for.
				_ = u.seen.ports.cluster.RequestReconcile(ctx, u.config.SystemNamespace, u.config.SystemNamespace)
			}
		}
	})
	return func() {
		cancel()
		nudging.Wait()
	}
}

// waitUpgraded is waitApplied while Flux's own controllers may be replaced by the commit.
func (u *upgradeRun) waitUpgraded(context.Context) sequence {
	wait := u.waitApplied(u.planLater)
	if u.flux.images != nil {
		waitNow := wait.apply
		wait.apply = func(ctx context.Context) (effect, error) {
			defer u.nudge(ctx)()
			return waitNow(ctx)
		}
	}
	return sequence{wait}
}

const stepRollOver = Step("Wait for Flux's new controllers to work")

// replacesControllers says whether Flux's controllers are others after the run.
func (u *upgradeRun) replacesControllers() bool {
	return len(u.flux.changes) > 0 && u.flux.images != nil
}

// waitRolledOver waits until the controllers that changed run, and have worked.
func (u *upgradeRun) waitRolledOver(context.Context) sequence {
	if u.result.Flux != nil {
		u.result.Flux.Changes = u.flux.changes
	}
	if !u.replacesControllers() {
		return nil
	}
	return sequence{action{
		name: stepRollOver,
		plan: planned(changedEffect(componentNames(u.flux.changes))),
		apply: func(ctx context.Context) (effect, error) {
			ctx, cancel := context.WithTimeout(ctx, u.settings.FluxTimeout)
			defer cancel()
			wait := fluxinstall.Rollover{Namespace: u.config.SystemNamespace, Name: u.config.SystemNamespace, Images: u.flux.images, Removed: u.flux.removed}
			if err := u.seen.ports.cluster.WaitRolledOver(ctx, wait, u.progressOf(stepRollOver)); err != nil {
				u.result.Flux.Ready = false
				return effect{}, fmt.Errorf("waiting for Flux's new controllers: %w", err)
			}
			return changedEffect(componentNames(u.flux.changes)), nil
		},
	}}
}

// asRefusal gives an error that is about Flux's files as a finding; false for others.
func asRefusal(err error) (Finding, bool) {
	if refusal := new(fluxRefusal); errors.As(err, &refusal) {
		return Finding{refusal.area, refusal.message, refusal.hint}, true
	}
	return Finding{}, false
}
