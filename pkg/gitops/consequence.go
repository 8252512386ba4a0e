package gitops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Consequence is what becomes of one object of the management cluster when Flux applies what a run leaves in Git. Of creations and changes
// only Clusters are told, of deletions every object.
type Consequence struct {
	Object string          `json:"object"` // kind namespace/name
	Change ConsequenceKind `json:"change"` // what happens to it
	// File is where the object is, or was, in the repository; none when that is not known.
	File string `json:"file,omitempty"`
	// Asked says that the run was told to do that; nothing else is done.
	Asked bool `json:"asked"`

	name  fluxbuild.Name
	owner fluxbuild.Name // the Cluster that the live object belongs to; zero when that is not known
}

// forecast works out what Flux does once it applies a plan on top of a snapshot.
type forecast struct {
	run      *run
	ctx      context.Context // of the one look that it is made for
	snapshot Snapshot
	plan     *filePlan

	before, after *snapshotFiles
	settings      fluxbuild.Settings
	// following says that Flux applies the branch by itself, whatever this run does: then only the difference that the run makes is its
	// doing. Otherwise the run has Flux start, or gives it back the way to the repository, and everything that Flux then does is.
	following bool
	// running says that Flux would apply the branch by itself, and may fail to: what is in Git then, others have put there for it.
	running bool
	// was are the objects that there are before, is those after.
	was, is map[fluxbuild.Name]*fluxbuild.Object
	// unbuilt is why Flux could not apply what the run leaves: then it does nothing at all.
	unbuilt error
	unseen  []error
}

// newForecast builds what is compared.
func (r *run) newForecast(ctx context.Context, snapshot Snapshot, plan *filePlan) (*forecast, error) {
	f := &forecast{run: r, ctx: ctx, snapshot: snapshot, plan: plan, before: filesAt(ctx, snapshot, nil), after: filesAt(ctx, snapshot, plan)}
	root := layout.RootDir(r.config)
	if err := f.readSettings(); err != nil {
		return nil, err
	}
	f.running = r.fluxRuns() && f.before.IsDir(root) && !(r.keepsFlux && r.fluxCutOff())
	f.following = f.running && !r.fluxFails()
	if f.following {
		return f, f.compareChanged()
	}
	return f, f.compareAll()
}

// compareChanged builds what the plan touches, or all of it where one part may change another.
func (f *forecast) compareChanged() error {
	if units, ok := f.units(layout.RootDir(f.run.config)); ok {
		return f.compareUnits(units)
	}
	return f.compareFollowing(f.settings)
}

// clustersLeaving are the Clusters that are built from a snapshot, and no longer from what a plan makes of it. A snapshot that cannot be built
// has none: Flux stands still on it.
func (r *run) clustersLeaving(ctx context.Context, snapshot Snapshot, plan *filePlan) ([]Consequence, error) {
	f := &forecast{run: r, ctx: ctx, snapshot: snapshot, plan: plan, before: filesAt(ctx, snapshot, nil), after: filesAt(ctx, snapshot, plan), running: true, following: true}
	if err := f.settingsInGit(); err != nil {
		return nil, err
	}
	if err := f.compareChanged(); err != nil {
		return nil, err
	}
	var leaving []Consequence
	for name, object := range f.was {
		c := Consequence{Object: name.String(), Change: ConsequenceDelete, File: object.File, name: name}
		if _, stays := f.is[name]; !stays && c.isCluster() && f.unbuilt == nil {
			leaving = append(leaving, c)
		}
	}
	slices.SortFunc(leaving, func(a, b Consequence) int { return strings.Compare(a.Object, b.Object) })
	return leaving, nil
}

// settingsInGit takes Flux's settings from its directory in Git, for want of its live Kustomization: both states are built with the same.
func (f *forecast) settingsInGit() error {
	system := layout.SystemDir(f.run.config)
	if !f.before.IsDir(system) {
		return nil
	}
	built, err := f.before.buildUnit(system)
	switch {
	case errors.As(err, new(*fluxbuild.Error)):
		return nil // Flux has nothing from there
	case err != nil:
		return err
	}
	_, err = f.settingsFrom(built)
	return err
}

// compareAll builds everything that there will be. What Flux has applied is what was there, unless Flux follows the branch.
func (f *forecast) compareAll() error {
	root := layout.RootDir(f.run.config)
	built, err := f.after.build(root, f.settings)
	if err == nil {
		// Flux takes its own settings from what it applies.
		var changed bool
		if changed, err = f.settingsFrom(built); err == nil && changed {
			built, err = f.after.build(root, f.settings)
		}
	}
	switch {
	case errors.As(err, new(*fluxbuild.Error)):
		f.unbuilt = err
		return nil
	case err != nil:
		return err
	}
	f.is, f.unseen = byName(built), built.Unseen
	if !f.following {
		f.was = f.applied()
	}
	return nil
}

// fluxRuns says whether Flux is there, follows the branch, and is at work, if perhaps without success.
func (r *run) fluxRuns() bool {
	if r.seen.cluster == nil {
		return false
	}
	flux := &r.seen.cluster.Flux
	git, ks := flux.GitRepository, flux.Kustomization
	return git != nil && ks != nil && flux.Adoption == nil && !r.followsOther(flux) && samePath(ks.Path, layout.SyncPath(r.config)) &&
		!git.Suspended && !ks.Suspended && flux.Working()
}

// fluxCutOff says whether Flux does not get at the repository: it says so, or has nothing to read it with that the host would let in, so that
// it is going to say so. A run that looks after Flux gives it what it lacks, and so has it apply whatever it has missed.
func (r *run) fluxCutOff() bool {
	flux := &r.seen.cluster.Flux
	if flux.GitRepository == nil || failing(flux.GitRepository.Conditions) != nil || flux.SourceSecret == nil {
		return true
	}
	access := r.seen.access
	return access != nil && access.Repository != nil && !r.sourceKeyRegistered()
}

// fluxFails says of a Flux that runs whether it cannot apply what is in the branch.
func (r *run) fluxFails() bool { return failing(r.seen.cluster.Flux.Kustomization.Conditions) != nil }

// applied are the objects in the inventory of Flux's Kustomization.
func (f *forecast) applied() map[fluxbuild.Name]*fluxbuild.Object {
	objects := map[fluxbuild.Name]*fluxbuild.Object{}
	state := f.run.seen.cluster
	if state == nil || state.Flux.Kustomization == nil || f.run.takesOver() {
		return objects
	}
	for _, id := range state.Flux.Kustomization.Inventory {
		if name, ok := fluxbuild.ParseID(id); ok {
			objects[name] = &fluxbuild.Object{Name: name}
		}
	}
	return objects
}

// takesOver says whether Flux follows something else and is going to be taken over, during which it deletes nothing.
func (r *run) takesOver() bool {
	flux := &r.seen.cluster.Flux
	return r.adopting && (flux.Adoption != nil || flux.Kustomization != nil && (r.followsOther(flux) || !samePath(flux.Kustomization.Path, layout.SyncPath(r.config))))
}

func byName(built *fluxbuild.Built) map[fluxbuild.Name]*fluxbuild.Object {
	objects := make(map[fluxbuild.Name]*fluxbuild.Object, len(built.Objects))
	for i := range built.Objects {
		objects[built.Objects[i].Name] = &built.Objects[i]
	}
	return objects
}

// units are the parts of the path that the plan touches, when each of them is built by itself: directly below a path without a
// kustomization and without settings that change everything. false is for any other path.
func (f *forecast) units(root string) ([]string, bool) {
	if !f.settings.IsZero() {
		return nil, false
	}
	units := map[string]bool{}
	for _, c := range f.plan.changes {
		below, ok := strings.CutPrefix(c.Path, strings.TrimPrefix(root+"/", "./"))
		if !ok {
			continue
		}
		first, _, _ := strings.Cut(below, "/")
		units[path.Join(root, first)] = true
		if layout.IsKustomization(first) {
			return nil, false
		}
	}
	for _, name := range f.before.List(root) {
		if layout.IsKustomization(name) {
			return nil, false
		}
	}
	return slices.Sorted(maps.Keys(units)), true
}

// compareUnits builds only the parts that the plan touches. What a part cannot be built from now is nothing that Flux would apply later.
func (f *forecast) compareUnits(units []string) error {
	f.was, f.is = map[fluxbuild.Name]*fluxbuild.Object{}, map[fluxbuild.Name]*fluxbuild.Object{}
	for _, unit := range units {
		for _, side := range []struct {
			files *snapshotFiles
			into  map[fluxbuild.Name]*fluxbuild.Object
		}{{f.before, f.was}, {f.after, f.is}} {
			if !side.files.IsDir(unit) && !side.files.IsFile(unit) {
				continue
			}
			built, err := side.files.buildUnit(unit)
			switch {
			case errors.As(err, new(*fluxbuild.Error)) && side.files == f.before:
				// Flux stands still on this: it has not applied what is there, and what it applied before is in its inventory.
				f.following = false
				return f.compareAll()
			case errors.As(err, new(*fluxbuild.Error)):
				f.unbuilt = err
				return nil
			case err != nil:
				return err
			}
			for name, object := range byName(built) {
				side.into[name] = object
			}
			if side.files == f.after {
				f.unseen = append(f.unseen, built.Unseen...)
				if changed, err := f.settingsFrom(built); err != nil || changed {
					return cmp.Or(err, f.compareFollowing(fluxbuild.Settings{}))
				}
			}
		}
	}
	return nil
}

// compareFollowing builds all of both states, that before with the settings that Flux has now.
func (f *forecast) compareFollowing(settings fluxbuild.Settings) error {
	built, err := f.before.build(layout.RootDir(f.run.config), settings)
	switch {
	case errors.As(err, new(*fluxbuild.Error)):
		f.following = false // Flux stands still, and starts again with what this run writes
	case err != nil:
		return err
	default:
		f.was = byName(built)
	}
	return f.compareAll()
}

// buildUnit builds a part of a path: a directory, or a file that lies there.
func (f *snapshotFiles) buildUnit(unit string) (*fluxbuild.Built, error) {
	if f.IsDir(unit) {
		return f.build(unit, fluxbuild.Settings{})
	}
	if !layout.IsManifest(unit) {
		return &fluxbuild.Built{}, nil
	}
	built, err := fluxbuild.BuildFile(f, unit)
	if f.err != nil {
		return nil, f.err
	}
	return built, err
}

// readSettings finds what Flux's Kustomization adds to what it builds, as it is now.
func (f *forecast) readSettings() error {
	state := f.run.seen.cluster
	if state == nil || state.Flux.Kustomization == nil || f.run.takesOver() {
		return nil
	}
	return f.setSettings(state.Flux.Kustomization.Spec)
}

// settingsFrom finds the settings in what was built, and says whether they are others.
func (f *forecast) settingsFrom(built *fluxbuild.Built) (changed bool, err error) {
	namespace := f.run.config.SystemNamespace
	sync := built.Find(fluxbuild.Name{Group: kustomizeGroup, Kind: "Kustomization", Namespace: namespace, Name: namespace})
	if sync == nil {
		return false, nil
	}
	before := f.settings
	if f.settings, err = sync.Settings(); err != nil {
		return false, fmt.Errorf("reading %s in Git: %w", sync.Name, err)
	}
	return !reflect.DeepEqual(before.WithoutPrune(), f.settings.WithoutPrune()), nil
}

func (f *forecast) setSettings(spec map[string]any) error {
	settings, err := fluxbuild.SettingsOf(spec)
	if err != nil {
		return fmt.Errorf("reading Flux's Kustomization: %w", err)
	}
	f.settings = settings
	return nil
}

// The API groups whose objects are looked at.
const (
	kustomizeGroup = "kustomize.toolkit.fluxcd.io"
	sourceGroup    = "source.toolkit.fluxcd.io"
)

var eksaGroup, _, _ = strings.Cut(clusterspec.APIVersion, "/")

// consequences tells what Flux does, the Clusters first.
func (f *forecast) consequences() ([]Consequence, error) {
	if f.unbuilt != nil {
		return nil, nil
	}
	var all []Consequence
	going, err := f.going()
	if err != nil {
		return nil, err
	}
	all = append(all, going...)
	for name, object := range f.is {
		c := Consequence{Object: name.String(), File: object.File, name: name}
		if !c.isCluster() {
			continue
		}
		before, was := f.was[name]
		switch {
		case f.run.liveCluster(name) != nil:
			if !was || before.File == "" || object.Same(before) {
				continue
			}
			c.Change, c.Asked = ConsequenceChange, true
		case was && f.following, f.running && !f.following && !f.plan.changesFile(object.File):
			continue // Flux creates it by itself, as soon as it can
		default:
			c.Change = ConsequenceCreate
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Consequence) int {
		rank := func(c Consequence) int {
			if c.isCluster() {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Change, b.Change))
	})
	return all, nil
}

// going are the objects that Flux deletes.
func (f *forecast) going() ([]Consequence, error) {
	var names []fluxbuild.Name
	for name, object := range f.was {
		if _, stays := f.is[name]; stays || f.ofFlux(name) || object.File != "" && fluxbuild.Kept(object.Fields()) {
			continue
		}
		names = append(names, name)
	}
	if len(names) == 0 || !f.prunes() {
		return nil, nil
	}
	var all, doubtful []Consequence
	var unsure []fluxbuild.Name // whether they are there, and whose they are
	for _, name := range names {
		c := Consequence{Object: name.String(), Change: ConsequenceDelete, File: f.was[name].File, name: name}
		switch {
		case c.isCluster():
			live := f.run.liveCluster(name)
			if live == nil || live.KeptByFlux && live.Held == nil || live.Deleting {
				continue
			}
		case name.Group == eksaGroup && !f.run.asks(&c, f.plan):
			unsure, doubtful = append(unsure, name), append(doubtful, c)
			continue
		case name.Group != eksaGroup && len(f.unseen) > 0 && c.File == "":
			continue // it may be among what is not looked at
		}
		all = append(all, c)
	}
	live, err := f.liveObjects(unsure)
	if err != nil {
		return nil, err
	}
	for _, c := range doubtful {
		if live != nil {
			object := live[fluxinstall.ObjectName{Kind: c.name.Kind, Namespace: c.name.Namespace, Name: c.name.Name}]
			if object == nil || fluxbuild.Kept(object.Fields) {
				continue
			}
			c.owner = ownerOf(object.Fields)
			c.Asked = f.run.isNamed(c.owner)
		}
		all = append(all, c)
	}
	return all, nil
}

// prunes says whether Flux deletes what is no longer in Git, as its Kustomization has it after the run.
func (f *forecast) prunes() bool {
	if f.settings.Prune != nil {
		return *f.settings.Prune
	}
	state := f.run.seen.cluster
	return state != nil && state.Flux.Kustomization != nil && state.Flux.Kustomization.Prune
}

// ofFlux says whether an object is one of Flux's components, which change with its release, while others of them stay.
func (f *forecast) ofFlux(name fluxbuild.Name) bool {
	namespace := f.run.config.SystemNamespace
	if _, stays := f.is[fluxbuild.Name{Group: "apps", Kind: "Deployment", Namespace: namespace, Name: "kustomize-controller"}]; !stays {
		if _, there := f.was[fluxbuild.Name{Group: "apps", Kind: "Deployment", Namespace: namespace, Name: "kustomize-controller"}]; there {
			return false
		}
	}
	switch {
	case name.Namespace == namespace:
		return slices.Contains([]string{"Deployment", "Service", "ServiceAccount", "NetworkPolicy", "ResourceQuota"}, name.Kind)
	case name.Kind == "CustomResourceDefinition":
		return strings.HasSuffix(name.Name, ".toolkit.fluxcd.io")
	case name.Kind == "ClusterRole" || name.Kind == "ClusterRoleBinding":
		return strings.HasSuffix(name.Name, "-"+namespace)
	}
	return false
}

// liveObjects reads objects of EKS Anywhere, by name; nil when the user has no right to see them.
func (f *forecast) liveObjects(names []fluxbuild.Name) (map[fluxinstall.ObjectName]*fluxinstall.LiveObject, error) {
	live := map[fluxinstall.ObjectName]*fluxinstall.LiveObject{}
	observer := f.run.seen.observer
	if f.run.seen.ports.cluster != nil {
		observer = f.run.seen.ports.cluster
	}
	if len(names) == 0 || observer == nil {
		return live, nil
	}
	wanted := make([]fluxinstall.ObjectName, 0, len(names))
	for _, name := range names {
		wanted = append(wanted, fluxinstall.ObjectName{Kind: name.Kind, Namespace: name.Namespace, Name: name.Name})
	}
	objects, err := observer.Objects(f.ctx, wanted)
	switch {
	case err != nil && IsAccessError(err):
		return nil, nil // then all of them count
	case err != nil:
		return nil, fmt.Errorf("reading the objects that Flux would delete: %w", err)
	}
	for i, o := range objects {
		live[fluxinstall.ObjectName{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}] = &objects[i]
	}
	return live, nil
}

// liveCluster is a Cluster object as it was seen; nil when it is not there.
func (r *run) liveCluster(name fluxbuild.Name) *fluxinstall.ClusterInfo {
	if r.seen.cluster == nil {
		return nil
	}
	return r.seen.cluster.Cluster(name.Namespace, name.Name)
}

// ownerOf is the Cluster that an object of EKS Anywhere belongs to, as its controller notes it; zero without one.
func ownerOf(fields map[string]any) fluxbuild.Name {
	metadata, _ := fields["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	owners, _ := metadata["ownerReferences"].([]any)
	for _, entry := range owners {
		owner, _ := entry.(map[string]any)
		if name, _ := owner["name"].(string); owner["kind"] == "Cluster" && name != "" {
			return fluxbuild.Name{Group: eksaGroup, Kind: "Cluster", Namespace: namespace, Name: name}
		}
	}
	return fluxbuild.Name{}
}
