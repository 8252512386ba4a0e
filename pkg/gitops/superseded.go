package gitops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// supersededError says that others wrote the files of a run between its commit and Flux's look at the branch,
// so that Flux never applies them as the run left them.
type supersededError struct {
	commit  string // the run's
	path    string // of the first file that is another now
	by      *git.Revision
	deletes bool  // the run took its files out of Git
	err     error // what is in the way of the run now; nil when it only would have to be repeated
}

func (e *supersededError) Error() string {
	cause := e.path + " is no longer as this run left it"
	switch {
	case e.err != nil:
		cause = e.err.Error()
	case e.deletes:
		cause = e.path + " is there again"
	case e.by.Deleted:
		cause = e.path + " was taken out of Git"
	}
	return fmt.Sprintf("somebody else pushed before Flux had applied %s (%s): %s",
		facts.ShortCommit(e.commit), described(e.by), cause)
}

func (e *supersededError) Unwrap() error { return e.err }

// Hint leaves the decision to the person: that of the others is as good as this run's.
func (e *supersededError) Hint() string {
	if hint := facts.HintOf(e.err); hint != "" {
		return hint
	}
	return "what was pushed last is what counts; run the same command again only if you still want this done"
}

// endedWaiting says whether a run ended while it waited for what it, or an earlier one, had begun: it can be
// continued, whether it has written anything itself or not.
func endedWaiting(err error) bool {
	return errors.As(err, new(*supersededError)) || errors.As(err, new(*fluxinstall.NotReadyError))
}

// described names a commit and who made it.
func described(r *git.Revision) string {
	subject, _, _ := strings.Cut(r.Message, "\n")
	return fmt.Sprintf("commit %s by %s: %s", facts.ShortCommit(r.Commit), r.Author, subject)
}

// laterTip is the branch as Flux has applied it, when that has others' commits after the run's.
type laterTip struct {
	snapshot Snapshot
	// of the first of the run's files that is not as the run left it; empty when all are
	path string
	by   *git.Revision // the last commit that wrote it
}

// appliedLater says what Flux has applied when it reports a revision that is not the run's commit; nil as
// long as that may be an earlier one.
func (r *run) appliedLater(ctx context.Context, revision string) *laterTip {
	snapshot := r.appliedTip(ctx, revision)
	if snapshot == nil {
		return nil
	}
	path, err := r.firstOther(snapshot)
	if err != nil {
		return nil // it is looked at again with the next revision, or the time limit tells what is waited for
	}
	if path == "" {
		return &laterTip{snapshot: snapshot}
	}
	by, later := r.writtenSince(ctx, snapshot, path)
	if !later {
		return nil
	}
	return &laterTip{snapshot, path, by}
}

// judgeLater decides on a revision that Flux has applied and that is not the run's commit. It is no answer as
// long as it may be an earlier one. A later one is either as good as the run's own, or its error says what
// others did to the run's files.
func (r *run) judgeLater(ctx context.Context, revision string, plan planner) (answer bool, err error) {
	tip := r.appliedLater(ctx, revision)
	if tip == nil || tip.path == "" {
		return tip != nil, nil
	}
	planned, err := plan(ctx, tip.snapshot)
	switch {
	case err == nil && len(planned.Changes) == 0:
		r.snapshot = tip.snapshot
		r.steps.Note(step.LevelWarning,
			fmt.Sprintf("somebody else changed %s right after this run: %s", tip.path, described(tip.by)))
		return true, nil
	case ctx.Err() != nil:
		return false, nil
	}
	superseded := &supersededError{commit: r.commit, path: tip.path, by: tip.by,
		deletes: slices.Contains(r.planned.Gone, tip.path), err: err}
	if conflict := new(files.ConflictError); errors.As(err, &conflict) {
		superseded.err = nil // it would say the same with less
	}
	return true, superseded
}

// appliedTip is the branch as it is now, if that is the revision; nil otherwise, and for one that Flux had
// applied before the push.
func (r *run) appliedTip(ctx context.Context, revision string) Snapshot {
	if before := r.seen.Cluster().Flux.Kustomization; before != nil && before.AppliedRevision == revision {
		return nil // Flux has not looked since the push
	}
	snapshot, err := r.fetch(ctx)
	if err != nil || !strings.HasSuffix(revision, ":"+snapshot.Head()) {
		return nil
	}
	return snapshot
}

// firstOther is the first of the run's files that is not as the run left it, one that is gone before others;
// empty when all are.
func (r *run) firstOther(snapshot Snapshot) (path string, err error) {
	for _, path := range r.planned.Gone {
		if _, there, err := snapshot.Lookup(path); err != nil || there {
			return path, err
		}
	}
	paths := slices.Sorted(maps.Keys(r.planned.After))
	for _, path := range paths {
		if _, there, err := snapshot.Lookup(path); err != nil || !there {
			return path, err
		}
	}
	for _, path := range paths {
		if same, err := snapshot.Holds(path, r.planned.After[path]); err != nil || !same {
			return path, err
		}
	}
	return "", nil
}

// laterCommits is how many commits after the run's are looked through for it. In the seconds until Flux looks
// there are few.
const laterCommits = 100

// writtenSince is the last commit that wrote a file, and says whether the branch has the run's commit before
// it: a read that is behind may give an older branch, in which the run's files are still to come.
func (r *run) writtenSince(ctx context.Context, snapshot Snapshot,
	path string) (last *git.Revision, later bool) {
	wrote := r.pushed && slices.ContainsFunc(r.planned.Changes, func(c layout.FileChange) bool {
		return c.Path == path
	})
	err := snapshot.EachRevision(ctx, path, func(revision git.Revision) bool {
		if last == nil {
			last = &revision
		}
		later = revision.Commit == r.commit
		return wrote && !later
	})
	if err != nil || last == nil || last.Commit == r.commit {
		return nil, false
	}
	if !later && !wrote {
		count, known, err := snapshot.Behind(ctx, r.commit, laterCommits)
		later = err == nil && known && count > 0
	}
	return last, later
}

// compareLater is compare for what others have pushed after the run's commit: they may change a cluster that
// the run has created.
func (r *createRun) compareLater(ctx context.Context, snapshot Snapshot) (*files.Plan, error) {
	plan, err := r.compareOn(ctx, snapshot, true)
	if conflict := new(files.ConflictError); !errors.As(err, &conflict) {
		return plan, err
	}
	for path := range r.planned.After {
		if _, there, lookErr := snapshot.Lookup(path); lookErr != nil || !there {
			return nil, cmp.Or(lookErr, err)
		}
	}
	return &files.Plan{}, nil
}

// planLater is planUpgrade for what others have pushed after the run's commit. When the run has nothing to
// add to that, the clusters' objects are to be as it says.
func (u *upgradeRun) planLater(ctx context.Context, snapshot Snapshot) (*files.Plan, error) {
	specs, flux := u.specs, u.flux
	plan, err := u.planUpgradeOn(ctx, snapshot, true)
	if err == nil && len(plan.Changes) == 0 {
		for i, p := range u.specs {
			if edit := takenBack(specs[i], p); edit != nil {
				err = fmt.Errorf("cluster %s: %s: %s is %s in Git now",
					p.Cluster.Name, edit.Object, edit.Field, cmp.Or(edit.New, "nothing"))
				break
			}
			specs[i].After = p.After
		}
	}
	u.specs, u.flux = specs, flux
	u.recordPlans()
	return plan, err
}

// takenBack is an edit by others of what the run itself had changed. Reverting a commit gives one: the
// branch's history then says that the user's file was there, and others changed it.
func takenBack(was, is *files.SpecPlan) *clusterspec.MergeEdit {
	for i, edit := range is.Merged {
		if slices.ContainsFunc(was.Changes,
			func(c clusterspec.Change) bool { return c.Object == edit.Object && c.Field == edit.Field }) {
			return &is.Merged[i]
		}
	}
	return nil
}
