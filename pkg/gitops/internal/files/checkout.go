package files

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// SyncFile is where gotk-sync.yaml is.
func SyncFile(config *clusterspec.GitOps) string {
	return path.Join(layout.SystemDir(config), layout.SyncFile)
}

// Source is Flux's GitRepository.
func Source(config *clusterspec.GitOps) fluxbuild.Name {
	namespace := config.SystemNamespace
	return fluxbuild.Name{Group: SourceGroup, Kind: "GitRepository", Namespace: namespace, Name: namespace}
}

// SyncSettings are the settings of the Kustomization that applies a path, as they are in Git.
func SyncSettings(sync []byte, applies string) fluxbuild.Settings {
	for _, object := range facts.DecodeObjects(sync) {
		spec, _ := object.Fields["spec"].(map[string]any)
		given, _ := spec["path"].(string)
		if object.Kind != "Kustomization" || !facts.SamePath(given, applies) {
			continue
		}
		if settings, err := fluxbuild.SettingsOf(spec); err == nil {
			return settings
		}
	}
	return fluxbuild.Settings{}
}

// Checkouts is what Flux fetches before a plan, and after it; false when the plan does not say.
func (p *Plan) Checkouts(config *clusterspec.GitOps) (before, after fluxbuild.Checkout, says bool) {
	of := func(sync []byte) fluxbuild.Checkout {
		return fluxmanifests.SparseCheckout(sync, config.SystemNamespace)
	}
	file := SyncFile(config)
	for _, c := range p.Changes {
		if c.Path == file {
			return of(c.Before), of(c.After), true
		}
	}
	sync, says := p.After[file]
	return of(sync), of(sync), says
}

// readFlux finds what Flux fetches, and what its settings are, in the given way.
func (f *Forecast) readFlux(settings func() error) error {
	f.readCheckouts()
	return settings()
}

// readCheckouts finds what Flux fetches before and after the plan. Where that says nothing, the live object
// does, for which nothing has to be read of the repository.
func (f *Forecast) readCheckouts() {
	config, state := f.Facts.Config(), f.Facts.Cluster()
	before, after, says := f.plan.Checkouts(config)
	switch {
	case says:
	case state != nil && state.Flux.GitRepository != nil && !f.Facts.FollowsOther(&state.Flux):
		before = state.Flux.GitRepository.SparseCheckout
		after = before
	case f.snapshot != nil && f.before.IsFile(SyncFile(config)):
		if sync, err := f.before.Read(SyncFile(config)); err == nil {
			before = fluxmanifests.SparseCheckout(sync, config.SystemNamespace)
			after = before
		}
	}
	f.before.checkout, f.after.checkout = before, after
}

// fetchesSame says whether both states are fetched alike, and the whole path in both: then its parts can be
// looked at one by one.
func (f *Forecast) fetchesSame() bool {
	root := layout.RootDir(f.Facts.Config())
	return slices.Equal(f.before.checkout, f.after.checkout) && f.after.checkout.HasDir(root)
}

// Files of others of which Flux would be rid: it is worth a word from here on.
const manyFiles = 1000

// maxOutsideDirs bounds how many directories are looked at to count them.
const maxOutsideDirs = 5000

// ManyOutside says whether a checkout leaves many files of a snapshot out. Nothing is
// transferred for it.
func ManyOutside(ctx context.Context, snapshot facts.SnapshotReader, checkout fluxbuild.Checkout) bool {
	count, seen := 0, 0
	pending := []string{""}
	for len(pending) > 0 && count <= manyFiles && seen < maxOutsideDirs && ctx.Err() == nil {
		dir := pending[0]
		pending = pending[1:]
		seen++
		entries, err := snapshot.List(dir)
		if err != nil {
			continue // what cannot be read is not counted
		}
		for _, entry := range entries {
			switch {
			case entry.Unsafe:
			case entry.Mode == git.Dir && !checkout.HasDir(entry.Path):
				pending = append(pending, entry.Path)
			case entry.Mode != git.Dir && !checkout.HasFile(entry.Path):
				count++
			}
		}
	}
	return count > manyFiles
}

// ManyOutsideText suggests a sparse checkout.
func ManyOutsideText(root string) string {
	note := fmt.Sprintf("more than %d files of the repository are outside of %s, and Flux fetches and "+
		"unpacks all of them at every commit of anybody; it needs none of them: ", manyFiles, root)
	return note + "eksa-gitops upgrade cluster -f FILE --sparse-checkout has it fetch that directory alone"
}
