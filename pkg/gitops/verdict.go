package gitops

import (
	"context"
	"errors"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// What a run says at its end that did not do all it should: no more, and no less, than what it has seen.

// wasReady says that a cluster was Ready when the run looked, and that its time is over, so that nobody can
// look again. What it was is then the last that is known of it.
func (r *clustersRun) wasReady(ctx context.Context, c *clusterspec.Cluster) bool {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) || r.seen.Cluster() == nil {
		return false
	}
	live := r.seen.Cluster().Cluster(c.Namespace, c.Name)
	return live != nil && live.Ready
}

// unready is the error of a run at whose end not every cluster was seen to be Ready; notReady is why.
func unready(notReady error) error {
	what := "whether every cluster is Ready was not seen"
	several := new(notReadyError)
	if errors.As(notReady, new(*fluxinstall.NotReadyError)) || errors.As(notReady, new(*missingError)) ||
		errors.As(notReady, &several) && !several.unseen {
		what = "not every cluster is Ready"
	}
	return &IncompleteError{What: what, Cause: notReady}
}

// missingError says that a workload cluster does not exist, and why Flux could not make it.
type missingError struct {
	name string
	err  error
}

func (e *missingError) Error() string {
	return fmt.Sprintf("cluster %s was not created, because the commit could not be pushed or applied: %v",
		e.name, e.err)
}
func (e *missingError) Unwrap() error { return e.err }

// noteFluxGoesOn puts into the result of a run that could not do its GitOps part what Flux did before: it
// followed this repository (another is a finding) and had applied a commit of it. Ready says that this still
// holds, because the run has changed nothing.
func (r *clustersRun) noteFluxGoesOn() {
	if r.seen.Cluster() == nil {
		return
	}
	flux := r.seen.Cluster().Flux
	source, apply := flux.GitRepository, flux.Kustomization
	if source == nil || apply == nil || !source.Ready || !apply.Ready || source.Suspended ||
		apply.Suspended || source.Stopped || apply.Stopped || apply.AppliedRevision == "" {
		return
	}
	_, changed := r.steps.Results()
	if r.result.Flux == nil {
		r.result.Flux = &FluxResult{Version: flux.Version, Namespace: r.seen.Config().SystemNamespace,
			URL: r.seen.Remote().Cluster, Path: layout.SyncPath(r.seen.Config())}
	}
	r.result.Flux.Revision, r.result.Flux.Ready = apply.AppliedRevision, !changed
}
