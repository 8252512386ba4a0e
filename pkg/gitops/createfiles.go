package gitops

import (
	"context"
	"errors"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
)

// planner works out what a creation, or the part that an upgrade has in common with it, writes into the
// repository.
func (r *clustersRun) planner() files.Planner {
	p := files.Planner{Facts: r.seen, Options: r.options.ofFiles(), Managed: r.managed,
		Management: r.management, Rendering: r.rendered, Memory: &r.memory, Adopting: r.adopting}
	if r.open.cluster != nil {
		p.Lister = r.open.cluster
	}
	return p
}

// ofFiles are the options that are about files in Git.
func (o *CreateOptions) ofFiles() files.Options {
	return files.Options{Overwrite: o.Overwrite, Components: o.Components, Images: o.Images,
		WithApps: o.WithApps, SparseCheckout: o.SparseCheckout}
}

// planFiles compares the rendering with the snapshot at hand and keeps the plan. A spec that differs is a
// finding.
func (r *createRun) planFiles(ctx context.Context, found *findings) error {
	plan, err := r.compare(ctx, r.snapshot)
	if conflict := new(files.ConflictError); errors.As(err, &conflict) {
		found.add(facts.AreaSpec, conflict)
		return nil
	}
	if found.addAll(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r.planned = plan
	return nil
}

// compare works out what has to be written on top of snapshot; nil is a repository that does not exist yet.
func (r *createRun) compare(ctx context.Context, snapshot Snapshot) (*files.Plan, error) {
	return r.compareOn(ctx, snapshot, false)
}

// compareOn is compare for any commit. The clusters are held against those in Git once in a run.
func (r *createRun) compareOn(ctx context.Context, snapshot Snapshot, later bool) (*files.Plan, error) {
	planner := r.planner()
	planner.Later, planner.HoldBetween = later, !r.heldBetween
	plan, err := planner.Create(ctx, snapshot)
	if err == nil && snapshot != nil && snapshot.State() == git.BranchExists {
		r.heldBetween = true
	}
	return plan, err
}
