package gitops_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// storedVersions is what a world's cluster has of the versions of Flux's kinds.
type storedVersions struct {
	asked   []fluxinstall.KindVersions // what SurveyVersions was told last
	dropped []fluxinstall.DroppedVersions
	applied []fluxinstall.AppliedVersion
	rights  []*fluxinstall.MissingRight
	err     error
}

func (c cluster) SurveyVersions(_ context.Context, _ string,
	kinds []fluxinstall.KindVersions) (*fluxinstall.VersionSurvey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.versions.asked = kinds
	if c.versions.err != nil {
		return nil, c.versions.err
	}
	return &fluxinstall.VersionSurvey{Dropped: slices.Clone(c.versions.dropped), Applied: c.versions.applied,
		MissingRights: c.versions.rights}, nil
}

func (c cluster) MigrateVersions(ctx context.Context, dropped []fluxinstall.DroppedVersions,
	_ func(fluxinstall.Progress)) ([]fluxinstall.Migration, error) {
	var names []string
	for _, d := range dropped {
		names = append(names, d.Definition)
	}
	var done []fluxinstall.Migration
	_, err := c.write(ctx, "MigrateVersions "+strings.Join(names, " "), func() (bool, error) {
		for _, d := range dropped {
			if m, possible := d.Migration(); possible && slices.ContainsFunc(c.versions.dropped,
				func(there fluxinstall.DroppedVersions) bool { return there.Definition == d.Definition }) {
				done = append(done, m)
			}
		}
		c.versions.dropped = nil
		return len(done) > 0, nil
	})
	return done, err
}

// MissingRights gives one that names the purpose.
func (c cluster) MissingRights(_ context.Context, purpose fluxinstall.Purpose,
	namespace string) []*fluxinstall.MissingRight {
	if c.lacking[purpose] != namespace {
		return nil
	}
	return []*fluxinstall.MissingRight{{Verbs: []string{"patch"}, Resource: fmt.Sprintf("purpose%d", purpose),
		Namespace: namespace}}
}

// RunningControllers gives what Flux has rolled over to last, or else what the components have that were
// installed.
func (c cluster) RunningControllers(context.Context, string) ([]fluxinstall.RunningController, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	images := c.rolled.Images
	if images == nil {
		_, images, _ = fluxmanifests.ComponentVersion([]byte(c.components))
	}
	if c.running != nil {
		images = c.running
	}
	var running []fluxinstall.RunningController
	for _, name := range slices.Sorted(maps.Keys(images)) {
		running = append(running, fluxinstall.RunningController{Name: name, Images: []string{images[name]}})
	}
	return running, nil
}
