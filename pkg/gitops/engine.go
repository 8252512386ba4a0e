package gitops

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/jsonform"
	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// DefaultFluxTimeout bounds the wait for Flux to apply a commit when [Settings] name no other time. It is
// what `flux bootstrap` allows for the same wait.
const DefaultFluxTimeout = 5 * time.Minute

// Settings are what every run on a repository is told.
type Settings struct {
	// Remote says where the repository is.
	Remote facts.Remote
	// Author and Committer sign the commit.
	Author, Committer git.Identity
	// KnownHosts gives known_hosts lines for the host of a GitHub that publishes no SSH host keys, as
	// enterprise servers do; Flux accepts no others. Nil when there are none to give.
	KnownHosts func() ([]byte, error)
	// ToolVersion goes into the commit's trailer.
	ToolVersion string
	// DryRun plans and writes nothing.
	DryRun bool
	// FluxTimeout bounds the wait for Flux; zero is DefaultFluxTimeout.
	FluxTimeout time.Duration
	// Operator is who runs it, as user@host; it is noted where the run pauses something.
	Operator string
}

// run is what the runs of all commands are made of: what they were told, what they have seen, and how they
// write to the repository.
type run struct {
	ports    Ports
	settings Settings
	steps    *step.Recorder
	result   Result

	keepsFlux bool                // the run looks after Flux itself, its credentials included
	purpose   fluxinstall.Purpose // what it does with Flux
	// adoptHint says how a Flux that follows something else is taken over; empty where that is not offered.
	// adopting is whether that was asked for: such a Flux is no finding then.
	adoptHint string
	adopting  bool
	// meant are the consequences that a person has said are meant; removes, that the run's clusters are to
	// go.
	meant   Meant
	removes bool
	// unguarded says that Flux does not go on with what the run leaves in Git: it is being stopped, or not
	// looked at.
	unguarded bool

	seen facts.Facts
	// open is what was opened to look, and to write.
	open struct {
		host    Host
		repo    Repository
		cluster Cluster
	}
	snapshot Snapshot    // nil when there is no repository yet
	planned  *files.Plan // on the snapshot
	commit   string      // what Flux has to apply
	pushed   bool        // whether this run has made it
	// newRepository is the repository that this run has created; zero without one.
	newRepository github.RepoRef
	snapshots     []Snapshot   // all that were fetched
	memory        files.Memory // of Flux's files
	// the clusters of which the run has released what an earlier one had left held
	released []string
	// migrated is what has been stored in other versions, or would be, for Flux's new definitions.
	migrated []fluxinstall.Migration
}

func newRun(command string, ports Ports, settings Settings, told facts.Told) *run {
	told.Remote = settings.Remote
	if settings.FluxTimeout <= 0 {
		settings.FluxTimeout = DefaultFluxTimeout
	}
	return &run{
		ports: ports, settings: settings, steps: step.NewRecorder(ports.Report,
			settings.DryRun, ports.Shield),
		seen: facts.New(told), result: Result{Version: jsonform.Version,
			Command: command, DryRun: settings.DryRun, Clusters: []ClusterResult{}, Steps: []step.Result{}},
	}
}

// end gives up the connections and completes the result of a run that returned err.
func (r *run) end(ctx context.Context, err error) (*Result, error) {
	for _, s := range r.snapshots {
		s.Close()
	}
	if lost := r.steps.Crashed(); lost != nil && crash.In(err) == nil {
		err = errors.Join(err, lost)
	}
	r.result.Steps, r.result.Changed = r.steps.Results()
	r.result.WouldChange = r.steps.WouldChange()
	r.result.Changed = r.result.Changed || len(r.released) > 0
	if r.result.Flux != nil {
		r.result.Flux.Migrated = r.migrated
	}
	if repository := r.result.Repository; repository != nil && repository.Files == nil {
		// a plan without changes has no list, and JSON would have null
		repository.Files = []layout.FileChange{}
	}
	if err != nil && r.result.Failure == nil {
		r.result.Failure = failureOf("", err)
		var preflight *PreflightError
		if errors.As(err, &preflight) {
			preflight.Released = r.released
			r.result.Status = StatusRefused
			r.result.Failure.Findings = preflight.Findings
		}
	}
	r.result.inPlainWords()
	switch {
	case crash.In(err) != nil:
		r.result.Status, r.result.Failure.Step = StatusIncomplete, r.steps.Failed
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		r.result.Status = StatusInterrupted
	case err != nil && r.result.Status == "" && r.result.Changed:
		r.result.Status = StatusIncomplete
	case err != nil && r.result.Status == "":
		// It ended before the first write.
		r.result.Status = StatusRefused
	}
	return &r.result, err
}

func (r *run) clusterResult(name string) *ClusterResult {
	i := slices.IndexFunc(r.result.Clusters, func(c ClusterResult) bool { return c.Name == name })
	return &r.result.Clusters[i]
}

// startRepositoryResult begins the part of the result that is about the repository.
func (r *run) startRepositoryResult() {
	r.result.Repository = &RepoResult{
		URL: r.seen.Remote().Web, CloneURL: r.seen.Remote().Push, Branch: r.seen.Config().Branch,
		RenamedTo: r.seen.Renamed(), Files: []layout.FileChange{},
	}
	switch {
	case r.seen.Access() != nil && r.seen.Access().Repository != nil:
		r.result.Repository.DefaultBranch = r.seen.Access().Repository.DefaultBranch
	case r.snapshot != nil:
		r.result.Repository.DefaultBranch = r.snapshot.DefaultBranch()
	}
}

// Pushes that lose a race are rebuilt on the new tip. Each loser needs one more round for every winner before
// it, so the bound is far above the number of writers that ever meet; the run's own time limit ends it first.
const (
	maxPushes    = 100
	minRaceDelay = 50 * time.Millisecond
	maxRaceDelay = 5 * time.Second
)

func (r *run) stepPush() step.Name {
	return step.Name("Push cluster files to branch " + r.seen.Config().Branch)
}

// SnapshotPusher makes a commit and pushes it.
type SnapshotPusher interface {
	// Commit makes a commit on top of the snapshot, and writes nothing. [git.ErrNoChange] says that it would
	// change nothing, a *git.PathError that a path is unsafe or in the way.
	Commit(edits []git.Edit, options git.CommitOptions) (Commit, error)
	// CheckPush asks whether the credentials may push, as far as the server says so beforehand. It writes
	// nothing. The error is a *git.PermissionError where they may not.
	CheckPush(ctx context.Context) error
	// Push makes the commit the branch's tip, if that is still what the snapshot found: a *git.ConflictError
	// says that it is not, and nothing is lost. A commit that has arrived already is success. A rule of the
	// server is a *git.RejectedError.
	Push(ctx context.Context, commit Commit) error
}

// Commit is a commit that a [Snapshot] has made, and that this Snapshot alone can push.
type Commit interface {
	// Hash is its name in hexadecimal.
	Hash() string
}

// planner works out what has to be written on top of a snapshot; nil is a repository that does not exist yet.
type planner func(ctx context.Context, snapshot Snapshot) (*files.Plan, error)

// commitWork is what a run puts into its commit.
type commitWork struct {
	plan planner
	// prepare is what has to be done once it is planned and before it is committed; nil is nothing. It may be
	// repeated.
	prepare func(ctx context.Context) error
	// message is the commit's, of what was planned last.
	message func() string
}

// push brings the plan that was seen to the branch in one commit. A push that loses a race is planned anew on
// what the winner pushed.
func (r *run) push(work commitWork) step.Action {
	return step.Action{
		Name: r.stepPush(),
		Plan: func(context.Context) (step.Effect, error) {
			snapshot, files := r.snapshot, r.planned
			r.result.Repository.Files = files.Changes
			r.noteKept(files)
			if snapshot != nil {
				r.commit = snapshot.Head()
				r.result.Repository.Commit = r.commit
			}
			return step.Written(!files.InPlace(snapshot), countFiles(len(files.Changes))), nil
		},
		Apply: func(ctx context.Context) (step.Effect, error) { return r.pushNow(ctx, work) },
	}
}

func (r *run) pushNow(ctx context.Context, work commitWork) (step.Effect, error) {
	snapshot, files := r.snapshot, r.planned
	for attempt := 1; ; attempt++ {
		var err error
		began := time.Now()
		if snapshot == nil {
			snapshot, files, err = r.refetch(ctx, work.plan)
			if err == nil && work.prepare != nil {
				err = work.prepare(ctx)
			}
			if err != nil {
				return step.Effect{}, err
			}
		}
		r.snapshot, r.planned = snapshot, files
		r.commit = snapshot.Head()
		if files.InPlace(snapshot) {
			r.noteKept(files)
			r.result.Repository.Commit = r.commit
			return step.Effect{Outcome: step.OutcomeUnchanged,
				Detail: "at " + facts.ShortCommit(r.commit)}, nil
		}
		commit, err := snapshot.Commit(files.Edits(), r.commitOptions(work.message()))
		if err != nil {
			return step.Effect{}, fmt.Errorf("making the commit: %w", err)
		}
		err = r.persist(ctx, func() error { return snapshot.Push(ctx, commit) })
		if err == nil {
			r.noteKept(files)
			r.commit, r.pushed = commit.Hash(), true
			r.result.Repository.Commit, r.result.Repository.Pushed = commit.Hash(), true
			r.result.Repository.Files = files.Changes
			return step.Changed(fmt.Sprintf("%s, commit %s",
				countFiles(len(files.Changes)), facts.ShortCommit(commit.Hash()))), nil
		}
		if !errors.As(err, new(*git.ConflictError)) || attempt == maxPushes {
			return step.Effect{}, fmt.Errorf("pushing to branch %s: %w", r.seen.Config().Branch, err)
		}
		r.steps.Progress(r.stepPush(), "somebody else pushed at the same moment; building on top of that")
		snapshot.Close()
		snapshot = nil
		// A random part of the time, so that many writers spread out.
		// spreading out needs no secrecy
		if err := sleep.For(ctx, rand.N(raceDelay(attempt, time.Since(began)))); err != nil {
			return step.Effect{}, err
		}
	}
}

// refetch reads the branch again and plans on what is there now.
func (r *run) refetch(ctx context.Context, plan planner) (Snapshot, *files.Plan, error) {
	snapshot, err := r.fetch(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the repository: %w", err)
	}
	planned, err := plan(ctx, snapshot)
	if errors.As(err, new(*files.ConflictError)) && snapshot.Tip() != nil {
		err = &overtakenError{by: snapshot.Tip(), err: err}
	}
	if err == nil {
		err = r.guard(ctx, snapshot, planned)
	}
	return snapshot, planned, err
}

// overtakenError says that somebody else wrote the same files after this run had looked at them.
type overtakenError struct {
	by  *git.CommitInfo // the last commit
	err error
}

func (e *overtakenError) Error() string {
	return fmt.Sprintf("somebody else was faster (commit %s by %s: %s): %v",
		facts.ShortCommit(e.by.Hash), e.by.Author.Name, e.by.Subject, e.err)
}

func (e *overtakenError) Unwrap() error { return e.err }

// Passing faults of a Git server are tried again after about 0.5, 1, 2 and 4 s, or when the server says.
const (
	gitTries        = 5
	gitFirstBackOff = 500 * time.Millisecond
	gitMaxBackOff   = 30 * time.Second
)

// settling is how long GitHub may need until Git finds a new repository. It is a matter of seconds; more of
// them cost nobody anything.
const settling = 2 * time.Minute

// repositoryIsNew says whether the repository was created just now, by this run or by one before.
func (r *run) repositoryIsNew() bool {
	if r.newRepository != (github.RepoRef{}) {
		return true
	}
	return isNew(r.seen.Access())
}

// isNew says whether a repository was created just now.
func isNew(access *github.Access) bool {
	return access != nil && access.Repository != nil && time.Since(access.Repository.Created) < settling
}

// persist repeats do while the Git server fails for a passing reason, and while it does not know a repository
// that is new: GitHub's copies need a moment. do has to be safe to repeat.
func (r *run) persist(ctx context.Context, do func() error) error {
	return r.persistWhile(ctx, r.repositoryIsNew, do)
}

// persistWhile is persist while isNew says that the repository is.
func (r *run) persistWhile(ctx context.Context, isNew func() bool, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		early := errors.As(err, new(*git.NotFoundError)) && isNew()
		if err == nil || !errors.Is(err, git.ErrTransient) && !early || try == gitTries {
			return err
		}
		limit := gitFirstBackOff << (try - 1)
		wait := limit/2 + rand.N(limit) // spreading out needs no secrecy
		var unreachable *git.UnreachableError
		if errors.As(err, &unreachable) && unreachable.RetryAfter > 0 {
			wait = min(unreachable.RetryAfter, gitMaxBackOff)
		}
		r.steps.Note(step.LevelInfo, fmt.Sprintf("waiting %s for the Git server: %v; then try %d of %d",
			wait.Round(100*time.Millisecond), err, try+1, gitTries))
		if err := sleep.For(ctx, wait); err != nil {
			return err
		}
	}
}

// fetch reads the branch, trying again where that may help.
func (r *run) fetch(ctx context.Context) (Snapshot, error) {
	return r.fetchWhile(ctx, r.repositoryIsNew)
}

func (r *run) fetchWhile(ctx context.Context, isNew func() bool) (Snapshot, error) {
	var snapshot Snapshot
	err := r.persistWhile(ctx, isNew, func() error {
		var err error
		snapshot, err = r.open.repo.Fetch(ctx, r.seen.Config().Branch)
		return err
	})
	if err == nil {
		r.snapshots = append(r.snapshots, snapshot)
	}
	return snapshot, err
}

// raceDelay is the longest pause after a number of lost races; took is how long the last try took. Of those
// that meet, one always wins, so that nobody would have to wait, but every try that is lost costs the server,
// and all others, the time of one. The pause therefore grows with the tries, in units of what one takes at
// present: a slow or busy server sees fewer. Whoever has lost often waits less again, so that latecomers do
// not overtake it for ever.
func raceDelay(lost int, took time.Duration) time.Duration {
	const peak = 4
	steps := lost - 1
	if lost > peak {
		steps = max(2*peak-1-lost, 0)
	}
	return min(max(took, minRaceDelay)<<steps, maxRaceDelay)
}

func (r *run) noteKept(plan *files.Plan) {
	for _, note := range plan.Notes {
		r.steps.Note(step.LevelInfo, note)
	}
}

const stepWaitApplied step.Name = "Wait for Flux to apply the commit"

// waitApplied waits until Flux reports the commit. Flux looks at the repository once a minute by itself;
// after a push it is told to look now. When Flux has applied what others pushed after it, plan tells whether
// the run still has what it wanted; if not, the error is a *supersededError.
func (r *run) waitApplied(plan planner) step.Action {
	return step.Action{
		Name:  stepWaitApplied,
		Plan:  func(context.Context) (step.Effect, error) { return step.Waited(r.appliedInPlace()), nil },
		Apply: func(ctx context.Context) (step.Effect, error) { return r.waitAppliedNow(ctx, plan) },
	}
}

func (r *run) waitAppliedNow(ctx context.Context, plan planner) (step.Effect, error) {
	namespace, cluster := r.seen.Config().SystemNamespace, r.open.cluster
	if r.seen.Cluster().Flux.GitRepository != nil &&
		!r.seen.Cluster().Applied(r.seen.Config().Branch, r.commit) {
		if err := cluster.RequestReconcile(ctx, namespace, namespace); err != nil {
			return step.Effect{}, fmt.Errorf("asking Flux to look at the repository now: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.settings.FluxTimeout)
	defer cancel()
	var applied string
	var superseded error
	err := cluster.WaitSynced(ctx, fluxinstall.SyncWait{
		Namespace: namespace, Name: namespace, Branch: r.seen.Config().Branch, Commit: r.commit,
		Accept: func(revision string) bool {
			var answer bool
			if answer, superseded = r.judgeLater(ctx, revision, plan); answer {
				applied = revision
			}
			return answer
		},
	}, r.progressOf(stepWaitApplied))
	if err != nil {
		return step.Effect{}, fmt.Errorf("waiting for Flux to apply %s: %w", facts.ShortCommit(r.commit), err)
	}
	if superseded != nil {
		return step.Effect{}, superseded
	}
	if applied == "" {
		applied = r.seen.Config().Branch + "@sha1:" + r.commit
	}
	if r.result.Flux == nil {
		r.result.Flux = &FluxResult{Version: r.seen.Cluster().Flux.Version, Namespace: namespace,
			URL: r.seen.Remote().Cluster, Path: layout.SyncPath(r.seen.Config())}
	}
	r.result.Flux.Revision, r.result.Flux.Ready = applied, true
	return step.Effect{Outcome: step.OutcomeChecked, Detail: facts.ShortCommit(r.commit)}, nil
}

// commitOptions says who commits and why.
func (r *run) commitOptions(message string) git.CommitOptions {
	return git.CommitOptions{Message: message, Author: r.settings.Author, Committer: r.settings.Committer,
		When: time.Now()}
}

// commitMessage is a subject with the trailers that say which program made the commit and for which clusters.
func (r *run) commitMessage(subject string, clusters []string) string {
	return fmt.Sprintf("%s\n\n%s: %s\n%s: %s\n",
		subject, facts.TrailerVersion, r.settings.ToolVersion, facts.TrailerClusters,
		strings.Join(clusters, " "))
}

func countFiles(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
