package gitops

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// checkLoss makes sure that the repository has what Flux has applied from it. A run that finds neither the
// repository nor the branch may make them only while Flux has not applied anything.
func (r *run) checkLoss(ctx context.Context, found *findings) {
	lost := r.lookForLoss(ctx, found)
	if lost == nil {
		return
	}
	if r.meant.RestoreMissing && !lost.Gone && lost.Renamed == "" {
		r.steps.Note(step.LevelWarning, lost.Message()+"; the files of running clusters go there")
		return
	}
	message := lost.Message()
	if cause := lost.Cause(); !lost.Gone && lost.State != git.BranchMissing {
		message += " (" + cause + ")"
	}
	found.addFinding(facts.AreaCluster.Finding(message+
		"; what is pushed now would have Flux delete everything else it has applied, other clusters included",
		lost.Next()+r.orRestore(lost)+"; until then Flux keeps what it has applied"))
}

// lookForLoss is findLoss for a run that has found nothing wrong so far; nil as well where Flux follows
// nothing of the run's.
func (r *run) lookForLoss(ctx context.Context, found *findings) *facts.Loss {
	if len(found.list) > 0 || len(found.soft) > 0 || r.seen.Cluster() == nil {
		return nil
	}
	flux := &r.seen.Cluster().Flux
	git, ks := flux.GitRepository, flux.Kustomization
	if git == nil || ks == nil || flux.Adoption != nil || r.seen.FollowsOther(flux) {
		return nil
	}
	lost, err := r.findLoss(ctx, ks)
	if err != nil {
		classifyFetch(fmt.Errorf("looking for what Flux has applied in the repository's history: %w", err),
			found)
	}
	return lost
}

// orRestore offers to go on with another repository or history.
func (r *run) orRestore(lost *facts.Loss) string {
	if r.removes || lost.Gone || lost.Renamed != "" || !r.keepsFlux {
		return ""
	}
	return "; or go on with what is there, and add --restore-missing, which makes the files of running " +
		"clusters again"
}

// findLoss returns nil when the branch has what Flux has applied, or when Flux has yet to apply something.
func (r *run) findLoss(ctx context.Context, ks *fluxinstall.KustomizationState) (*facts.Loss, error) {
	l := &facts.Loss{Config: r.seen.Config(), Remote: r.seen.Remote(),
		Applied: facts.CommitOf(ks.AppliedRevision)}
	snapshot := r.snapshot
	if snapshot == nil || snapshot.State() != git.BranchExists {
		if l.Applied == "" && r.keepsFlux {
			return nil, nil
		}
		if l.Gone = snapshot == nil; !l.Gone {
			l.State = snapshot.State()
			l.Renamed = facts.BranchNow(ctx, r.open.host, snapshot, r.seen.Config(), l.Applied)
			l.Registered = r.fluxKeyRegistered(ctx)
		}
		return l, nil
	}
	if branch, _, _ := strings.Cut(ks.AppliedRevision, "@"); l.Applied == "" ||
		branch != r.seen.Config().Branch {
		return nil, nil
	}
	lacks, err := r.lacks(ctx, snapshot, l.Applied)
	if lacks {
		// Others may have pushed, and Flux applied that, between the look at the repository and the one at
		// the cluster.
		if snapshot, err = r.fetch(ctx); err == nil {
			r.snapshot = snapshot
			lacks, err = r.lacks(ctx, snapshot, l.Applied)
		}
	}
	if err != nil || !lacks {
		return nil, err
	}
	l.State, l.Head = snapshot.State(), snapshot.Head()
	l.Lacking = facts.LackingClusters(ks, func(name string) bool {
		_, there, err := snapshot.Lookup(layout.PathsIn(r.seen.Config(), name).Spec)
		return err != nil || there
	})
	if len(l.Lacking) == 0 {
		r.steps.Note(step.LevelWarning, facts.RewrittenText(l.Applied, r.seen.Config().Branch))
		return nil, nil
	}
	l.Registered = r.fluxKeyRegistered(ctx)
	return l, nil
}

func (r *run) lacks(ctx context.Context, snapshot Snapshot, commit string) (bool, error) {
	if snapshot.Head() == commit {
		return false, nil
	}
	var lacks bool
	err := r.persist(ctx, func() (err error) {
		lacks, err = snapshot.Lacks(ctx, commit)
		return err
	})
	return lacks, err
}

// fluxKeyRegistered says whether the host knows the key with which Flux reads the repository; nil when nobody
// can tell.
func (r *run) fluxKeyRegistered(ctx context.Context) *bool {
	if r.open.host == nil || r.seen.Cluster().Flux.SourcePublicKey == "" {
		return nil
	}
	keys, err := r.open.host.DeployKeys(ctx, r.seen.RepoRef())
	if err != nil {
		return nil // the token may not read them
	}
	registered := slices.ContainsFunc(keys, func(k github.DeployKey) bool {
		return k.SameMaterial(r.seen.Cluster().Flux.SourcePublicKey)
	})
	return &registered
}
