package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// checkCarried makes sure that the live objects carry what was committed: Flux reports success also for
// objects that it is told to leave alone.
func (u *upgradeRun) checkCarried(context.Context) step.Sequence {
	if !slices.ContainsFunc(u.specs, (*files.SpecPlan).Changed) {
		return nil
	}
	return step.Sequence{step.Action{
		Name:  "Check that the objects carry the change",
		Plan:  step.Planned(step.Checked()),
		Apply: u.checkCarriedNow,
	}}
}

func (u *upgradeRun) checkCarriedNow(ctx context.Context) (step.Effect, error) {
	var err error
	if u.live, err = u.readLive(ctx); err != nil {
		return step.Effect{}, err
	}
	var missing []error
	for _, p := range u.specs {
		objects, err := p.ObjectsIn(ctx, u.snapshot)
		if err != nil {
			return step.Effect{}, fmt.Errorf("reading the files of cluster %s: %w", p.Cluster.Name, err)
		}
		for _, o := range objects {
			if facts.AppliedOnce(o) || !slices.Contains(clusterspec.Kinds(), o.Kind) {
				continue
			}
			for _, d := range facts.Differences(o, facts.FindLive(u.live, o.Kind, o.Namespace, o.Name)) {
				d.Cluster = p.Cluster.Name
				missing = append(missing, &notCarriedError{difference: d})
			}
		}
	}
	return step.Checked(), errors.Join(missing...)
}

// notCarriedError says that Flux has applied the commit and an object does not carry it.
type notCarriedError struct{ difference facts.Difference }

func (e *notCarriedError) Error() string {
	return "Flux has applied the commit, but " + e.difference.String()
}
func (e *notCarriedError) Hint() string {
	return text.Command("eksa-gitops status %s", e.difference.Cluster)
}
