package gitops

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// What may be refused comes before what it would leave behind. An organization may not allow deploy keys, and
// a branch may be protected; neither shows before it is tried, to a user who is no owner. So the key is
// registered before the push, as long as nothing refers to it yet, and what this run alone has made for it is
// taken back when either is refused for good.

// made is what a run has made for Flux to read the repository with.
type made struct {
	namespace, secret, deployKey bool
	publicKey                    string // of the Secret, whoever made it
	// takenBack says that all of it is gone again.
	takenBack bool
}

// pushWithCredentials prepares what Flux reads the repository with and brings the files to the branch. Where
// Flux is taken over, its credentials change later: until then it goes on reading what it followed before.
func (r *clustersRun) pushWithCredentials(work commitWork) step.Sequence {
	refusable := step.Sequence{r.push(work)}
	switch {
	case r.management == nil || r.sourceLater:
	case r.fluxWaits():
		refusable = append(refusable, r.ensureSource()...)
	default:
		refusable = append(r.ensureSource(), refusable...)
	}
	parts := step.Sequence{step.OrElse{Steps: refusable, Failed: r.takeBackMade}}
	if r.management == nil {
		return parts
	}
	checked := step.Silently(func(context.Context) error { return r.checkCommit(work.message()) })
	return slices.Concat(step.Sequence{checked}, r.migrateStored(), parts)
}

// fluxWaits says whether a Flux is there that only lacks its credentials. It fetches as soon as it has them,
// so that they come after the push: before, it would apply what others have left in the branch, and delete
// what this run is about to bring back.
func (r *clustersRun) fluxWaits() bool {
	flux := &r.seen.Cluster().Flux
	return flux.GitRepository != nil && flux.Kustomization != nil && r.seen.FluxCutOff()
}

// checkCommit makes sure that the commit can be made, before anything is written for it: what is in the
// repository may be in the way.
func (r *clustersRun) checkCommit(message string) error {
	snapshot, files := r.snapshot, r.planned
	if snapshot == nil || len(files.Changes) == 0 {
		return nil
	}
	if _, err := snapshot.Commit(files.Edits(), r.commitOptions(message)); err != nil {
		return r.steps.Do(r.stepPush(), func() (step.Effect, error) {
			return step.Effect{}, fmt.Errorf("making the commit: %w", err)
		})
	}
	return nil
}

const stepTakeBack step.Name = "Take back what this run has made"

// takeBackMade takes back what the run has made for Flux when err is a refusal, which running the same
// command again would meet again. After any other failure the next run goes on from what is there. It returns
// err.
func (r *clustersRun) takeBackMade(ctx context.Context, err error) error {
	if r.settings.DryRun || !facts.IsRuleError(err) && !facts.IsAccessError(err) || ctx.Err() != nil {
		return err
	}
	failed := r.steps.Failed
	if r.made.namespace || r.made.secret || r.made.deployKey {
		// Its failure is told, and is not why the run has failed.
		if left := r.steps.Do(stepTakeBack, func() (step.Effect, error) { return r.removeMade(ctx) }); left !=
			nil {
			r.steps.Note(step.LevelWarning, fmt.Sprintf(
				"not all of it could be taken back; it does no harm, and the next run uses it: %v", left))
		}
		r.steps.Failed = failed
	}
	if r.newRepository != (github.RepoRef{}) && !r.pushed {
		r.steps.Note(step.LevelInfo,
			fmt.Sprintf("repository %s, which this run has created, stays and is empty; the next run uses it",
				r.newRepository))
	}
	return err
}

// removeMade removes in the reverse of the order in which it was made.
func (r *clustersRun) removeMade(ctx context.Context) (step.Effect, error) {
	var removed []string
	if r.made.deployKey {
		keys, err := r.open.host.DeployKeys(ctx, r.seen.RepoRef())
		if err != nil {
			return step.Effect{}, err
		}
		for _, key := range keys {
			if !key.SameMaterial(r.made.publicKey) {
				continue
			}
			if err := r.open.host.DeleteDeployKey(ctx, r.seen.RepoRef(), key.ID); err != nil {
				return step.Effect{}, err
			}
			removed = append(removed, "deploy key "+key.Title)
		}
	}
	if r.made.secret || r.made.namespace {
		gone, err := r.open.cluster.RemoveSource(ctx, r.seen.Config().SystemNamespace, r.made.publicKey,
			r.made.namespace)
		if err != nil {
			return step.Effect{}, err
		}
		removed = append(removed, gone...)
	}
	r.made = made{takenBack: true}
	return step.Changed(strings.Join(removed, ", ")), nil
}
