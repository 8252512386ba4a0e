package files

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
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Foreseen is a [facts.Consequence], with what it is known by.
type Foreseen struct {
	facts.Consequence
	Name  fluxbuild.Name
	Owner fluxbuild.Name // the Cluster that the live object belongs to; zero when that is not known
}

func of(name fluxbuild.Name, change facts.ConsequenceKind, file string) Foreseen {
	return Foreseen{Consequence: facts.Consequence{Object: name.String(), Change: change, File: file},
		Name: name}
}

// IsCluster says whether it is a Cluster that is told of.
func (c *Foreseen) IsCluster() bool {
	return c.Name.Group == eksaGroup && c.Name.Kind == "Cluster"
}

// Told are consequences as they are told.
func Told(all []Foreseen) []facts.Consequence {
	var list []facts.Consequence
	for _, c := range all {
		list = append(list, c.Consequence)
	}
	return list
}

// Foresight is what a forecast is told of the run, or of the look, that it is made for.
type Foresight struct {
	Facts facts.Facts
	// Observer reads the objects of which it matters whether they are there; without one, nil, they are not.
	Observer facts.ClusterObserver
	// KeepsFlux says that the run looks after Flux, its credentials included; Adopting, that it takes over
	// one that follows something else.
	KeepsFlux, Adopting bool
	// Asked says whether the run was told to do something, and Named whether it is about a Cluster; nil is
	// nothing, and none.
	Asked func(c *Foreseen, plan *Plan) bool
	Named func(name fluxbuild.Name) bool
}

// Forecast works out what Flux does once it applies a plan on top of a snapshot.
type Forecast struct {
	Foresight
	ctx      context.Context // of the one look that it is made for
	snapshot facts.SnapshotReader
	plan     *Plan

	before, after *Tree
	settings      fluxbuild.Settings
	// following says that Flux applies the branch by itself, whatever this run does: then only the difference
	// that the run makes is its doing. Otherwise the run has Flux start, or gives it back the way to the
	// repository, and everything that Flux then does is.
	following bool
	// running says that Flux would apply the branch by itself, and may fail to: what is in Git then, others
	// have put there for it.
	running bool
	// was are the objects that there are before, is those after.
	was, is map[fluxbuild.Name]*fluxbuild.Object
	// Unbuilt is why Flux could not apply what the run leaves: then it does nothing at all.
	Unbuilt error
	// Unseen are the directories of which nothing is known: see [fluxbuild.Built].
	Unseen []error
}

// forecast is one that has yet to look at anything.
func forecast(ctx context.Context, of Foresight, snapshot facts.SnapshotReader, plan *Plan) *Forecast {
	return &Forecast{Foresight: of, ctx: ctx, snapshot: snapshot, plan: plan,
		before: At(ctx, snapshot, nil), after: At(ctx, snapshot, plan)}
}

// NewForecast builds what is compared.
func NewForecast(
	ctx context.Context, of Foresight, snapshot facts.SnapshotReader, plan *Plan,
) (*Forecast, error) {
	f := forecast(ctx, of, snapshot, plan)
	root := layout.RootDir(f.Facts.Config())
	if err := f.readFlux(f.readSettings); err != nil {
		return nil, err
	}
	f.running = f.Facts.FluxRuns() && f.before.IsDir(root) && !(f.KeepsFlux && f.Facts.FluxCutOff())
	f.following = f.running && !f.Facts.FluxFails()
	if f.following {
		return f, f.compareChanged()
	}
	return f, f.compareAll()
}

// compareChanged builds what the plan touches, or all of it where one part may change another.
func (f *Forecast) compareChanged() error {
	if units, ok := f.units(layout.RootDir(f.Facts.Config())); ok && f.fetchesSame() {
		return f.compareUnits(units)
	}
	return f.compareFollowing(f.settings)
}

// ClustersLeaving are the Clusters that are built from a snapshot, and no longer from what a plan makes of
// it. A snapshot that cannot be built has none: Flux stands still on it.
func ClustersLeaving(ctx context.Context, seen facts.Facts, snapshot facts.SnapshotReader,
	plan *Plan) ([]Foreseen, error) {
	f := forecast(ctx, Foresight{Facts: seen}, snapshot, plan)
	f.running, f.following = true, true
	if err := f.readFlux(f.settingsInGit); err != nil {
		return nil, err
	}
	if err := f.compareChanged(); err != nil {
		return nil, err
	}
	var leaving []Foreseen
	for name, object := range f.was {
		c := of(name, facts.ConsequenceDelete, object.File)
		if _, stays := f.is[name]; !stays && c.IsCluster() && f.Unbuilt == nil {
			leaving = append(leaving, c)
		}
	}
	slices.SortFunc(leaving, func(a, b Foreseen) int { return strings.Compare(a.Object, b.Object) })
	return leaving, nil
}

// settingsInGit takes Flux's settings from its directory in Git, for want of its live Kustomization: both
// states are built with the same.
func (f *Forecast) settingsInGit() error {
	system := layout.SystemDir(f.Facts.Config())
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

// compareAll builds everything that there will be. What Flux has applied is what was there, unless Flux
// follows the branch.
func (f *Forecast) compareAll() error {
	root := layout.RootDir(f.Facts.Config())
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
		f.Unbuilt = err
		return nil
	case err != nil:
		return err
	}
	f.is, f.Unseen = byName(built), built.Unseen
	if !f.following {
		f.was = f.applied()
	}
	return nil
}

// applied are the objects in the inventory of Flux's Kustomization.
func (f *Forecast) applied() map[fluxbuild.Name]*fluxbuild.Object {
	objects := map[fluxbuild.Name]*fluxbuild.Object{}
	state := f.Facts.Cluster()
	if state == nil || state.Flux.Kustomization == nil || f.TakesOver() {
		return objects
	}
	for _, id := range state.Flux.Kustomization.Inventory {
		if name, ok := fluxbuild.ParseID(id); ok {
			objects[name] = &fluxbuild.Object{Name: name}
		}
	}
	return objects
}

// TakesOver says whether Flux follows something else and is going to be taken over, during which it deletes
// nothing.
func (f *Foresight) TakesOver() bool {
	flux := &f.Facts.Cluster().Flux
	return f.Adopting && (flux.Adoption != nil || flux.Kustomization != nil && (f.Facts.FollowsOther(flux) ||
		!facts.SamePath(flux.Kustomization.Path, layout.SyncPath(f.Facts.Config()))))
}

func byName(built *fluxbuild.Built) map[fluxbuild.Name]*fluxbuild.Object {
	objects := make(map[fluxbuild.Name]*fluxbuild.Object, len(built.Objects))
	for i := range built.Objects {
		objects[built.Objects[i].Name] = &built.Objects[i]
	}
	return objects
}

// units are the parts of the path that the plan touches, when each of them is built by itself: directly below
// a path without a kustomization and without settings that change everything. false is for any other path.
func (f *Forecast) units(root string) ([]string, bool) {
	if !f.settings.IsZero() {
		return nil, false
	}
	units := map[string]bool{}
	for _, c := range f.plan.Changes {
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

// compareUnits builds only the parts that the plan touches. What a part cannot be built from now is nothing
// that Flux would apply later.
func (f *Forecast) compareUnits(units []string) error {
	f.was, f.is = map[fluxbuild.Name]*fluxbuild.Object{}, map[fluxbuild.Name]*fluxbuild.Object{}
	for _, unit := range units {
		for _, side := range []struct {
			files *Tree
			into  map[fluxbuild.Name]*fluxbuild.Object
		}{{f.before, f.was}, {f.after, f.is}} {
			if !side.files.IsDir(unit) && !side.files.IsFile(unit) {
				continue
			}
			built, err := side.files.buildUnit(unit)
			switch {
			case errors.As(err, new(*fluxbuild.Error)) && side.files == f.before:
				// Flux stands still on this: it has not applied what is there, and what it applied before is
				// in its inventory.
				f.following = false
				return f.compareAll()
			case errors.As(err, new(*fluxbuild.Error)):
				f.Unbuilt = err
				return nil
			case err != nil:
				return err
			}
			for name, object := range byName(built) {
				side.into[name] = object
			}
			if side.files == f.after {
				f.Unseen = append(f.Unseen, built.Unseen...)
				if changed, err := f.settingsFrom(built); err != nil || changed {
					return cmp.Or(err, f.compareFollowing(fluxbuild.Settings{}))
				}
			}
		}
	}
	return nil
}

// compareFollowing builds all of both states, that before with the settings that Flux has now.
func (f *Forecast) compareFollowing(settings fluxbuild.Settings) error {
	built, err := f.before.build(layout.RootDir(f.Facts.Config()), settings)
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
func (f *Tree) buildUnit(unit string) (*fluxbuild.Built, error) {
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
func (f *Forecast) readSettings() error {
	state := f.Facts.Cluster()
	if state == nil || state.Flux.Kustomization == nil || f.TakesOver() {
		return nil
	}
	return f.setSettings(state.Flux.Kustomization.Spec)
}

// settingsFrom finds the settings in what was built, and says whether they are others.
func (f *Forecast) settingsFrom(built *fluxbuild.Built) (changed bool, err error) {
	namespace := f.Facts.Config().SystemNamespace
	sync := built.Find(fluxbuild.Name{Group: KustomizeGroup, Kind: "Kustomization", Namespace: namespace,
		Name: namespace})
	if sync == nil {
		return false, nil
	}
	before := f.settings
	if f.settings, err = sync.Settings(); err != nil {
		return false, fmt.Errorf("reading %s in Git: %w", sync.Name, err)
	}
	return !reflect.DeepEqual(before.WithoutPrune(), f.settings.WithoutPrune()), nil
}

func (f *Forecast) setSettings(spec map[string]any) error {
	settings, err := fluxbuild.SettingsOf(spec)
	if err != nil {
		return fmt.Errorf("reading Flux's Kustomization: %w", err)
	}
	f.settings = settings
	return nil
}

// TipForecast compares what Flux has applied with what it would apply of the tip of a branch.
func TipForecast(ctx context.Context, of Foresight, snapshot facts.SnapshotReader) (*Forecast, error) {
	f := forecast(ctx, of, snapshot, &Plan{})
	// That one at work is about to create clusters is worth a note.
	f.running = f.Facts.FluxRuns() && f.Facts.FluxFails() && !f.Facts.FluxCutOff()
	if err := f.readFlux(f.readSettings); err != nil {
		return nil, err
	}
	return f, f.compareAll()
}
