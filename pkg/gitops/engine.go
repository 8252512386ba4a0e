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
	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// DefaultFluxTimeout bounds the wait for Flux to apply a commit when [Settings] name no other time. It is what `flux bootstrap` allows
// for the same wait.
const DefaultFluxTimeout = 5 * time.Minute

// Settings are what every run on a repository is told.
type Settings struct {
	// Remote says where the repository is.
	Remote Remote
	// Author and Committer sign the commit.
	Author, Committer git.Identity
	// KnownHosts gives known_hosts lines for the host of a GitHub that publishes no SSH host keys, as enterprise servers do; Flux
	// accepts no others. Nil when there are none to give.
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

// run is what the runs of all commands are made of: what they were told, what they have seen, and how they write to the repository.
type run struct {
	ports    Ports
	settings Settings
	steps    *recorder
	result   Result

	config            *clusterspec.GitOps // where the repository, its branch and Flux are
	managementCluster string              // its name
	keepsFlux         bool                // the run looks after Flux itself, its credentials included
	purpose           fluxinstall.Purpose // what it does with Flux
	// adoptHint says how a Flux that follows something else is taken over; empty where that is not offered. adopting is whether that was
	// asked for: such a Flux is no finding then.
	adoptHint string
	adopting  bool
	// meant are the consequences that a person has said are meant; removes, that the run's clusters are to go.
	meant   Meant
	removes bool
	// unguarded says that Flux does not go on with what the run leaves in Git: it is being stopped, or not looked at.
	unguarded bool

	seen       observation
	failedStep Step   // of the step that failed
	commit     string // what Flux has to apply
	pushed     bool   // whether this run has made it
	// newRepository is the repository that this run has created; zero without one.
	newRepository github.RepoRef
	snapshots     []Snapshot    // all that were fetched
	built         []builtSystem // of Flux's directory
	released      []string      // the clusters of which the run has released what an earlier one had left held
	// migrated is what has been stored in other versions, or would be, for Flux's new definitions.
	migrated []fluxinstall.Migration
}

func newRun(command string, ports Ports, settings Settings) *run {
	if settings.FluxTimeout <= 0 {
		settings.FluxTimeout = DefaultFluxTimeout
	}
	return &run{
		ports: ports, settings: settings, steps: newRecorder(ports.Report),
		result: Result{Version: ResultVersion, Command: command, DryRun: settings.DryRun, Clusters: []ClusterResult{}, Steps: []StepResult{}},
	}
}

// end gives up the connections and completes the result of a run that returned err.
func (r *run) end(ctx context.Context, err error) (*Result, error) {
	for _, s := range r.snapshots {
		s.Close()
	}
	if lost := r.steps.crashed; lost != nil && crash.In(err) == nil {
		err = errors.Join(err, lost)
	}
	r.result.Steps, r.result.Changed = r.steps.results()
	r.result.Changed = r.result.Changed || len(r.released) > 0
	if r.result.Flux != nil {
		r.result.Flux.Migrated = r.migrated
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
		r.result.Status, r.result.Failure.Step = StatusIncomplete, r.failedStep
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

func (r *run) repoRef() github.RepoRef { return refOfConfig(r.config) }

func (r *run) syncOptions() fluxmanifests.SyncOptions {
	return fluxmanifests.SyncOptions{
		Namespace: r.config.SystemNamespace,
		URL:       r.settings.Remote.Cluster,
		Branch:    r.config.Branch,
		Path:      layout.SyncPath(r.config),
	}
}

// step runs one step and remembers which one failed.
func (r *run) step(step Step, do func() (Outcome, string, error)) error {
	err := r.steps.run(step, do)
	if err != nil {
		r.failedStep = step
	}
	return err
}

// startRepositoryResult begins the part of the result that is about the repository.
func (r *run) startRepositoryResult() {
	r.result.Repository = &RepoResult{
		URL: r.settings.Remote.Web, CloneURL: r.settings.Remote.Push, Branch: r.config.Branch, RenamedTo: r.renamed(), Files: []FileChange{},
	}
	switch {
	case r.seen.access != nil && r.seen.access.Repository != nil:
		r.result.Repository.DefaultBranch = r.seen.access.Repository.DefaultBranch
	case r.seen.snapshot != nil:
		r.result.Repository.DefaultBranch = r.seen.snapshot.DefaultBranch()
	}
}

// Pushes that lose a race are rebuilt on the new tip. Each loser needs one more round for every winner before it, so the bound is far
// above the number of writers that ever meet; the run's own time limit ends it first.
const (
	maxPushes    = 100
	minRaceDelay = 50 * time.Millisecond
	maxRaceDelay = 5 * time.Second
)

func (r *run) stepPush() Step { return Step("Push cluster files to branch " + r.config.Branch) }

// SnapshotPusher makes a commit and pushes it.
type SnapshotPusher interface {
	// Commit makes a commit on top of the snapshot, and writes nothing. [git.ErrNoChange] says that it would change nothing, a
	// *git.PathError that a path is unsafe or in the way.
	Commit(edits []git.Edit, options git.CommitOptions) (Commit, error)
	// CheckPush asks whether the credentials may push, as far as the server says so beforehand. It writes nothing. The error is a
	// *git.PermissionError where they may not.
	CheckPush(ctx context.Context) error
	// Push makes the commit the branch's tip, if that is still what the snapshot found: a *git.ConflictError says that it is not, and
	// nothing is lost. A commit that has arrived already is success. A rule of the server is a *git.RejectedError.
	Push(ctx context.Context, commit Commit) error
}

// Commit is a commit that a [Snapshot] has made, and that this Snapshot alone can push.
type Commit interface {
	// Hash is its name in hexadecimal.
	Hash() string
}

// planner works out what has to be written on top of a snapshot; nil is a repository that does not exist yet.
type planner func(ctx context.Context, snapshot Snapshot) (*filePlan, error)

// commitWork is what a run puts into its commit.
type commitWork struct {
	plan planner
	// prepare is what has to be done once it is planned and before it is committed; nil is nothing. It may be repeated.
	prepare func(ctx context.Context) error
	// message is the commit's, of what was planned last.
	message func() string
}

// push brings the plan that was seen to the branch in one commit. A push that loses a race is planned anew on what the winner pushed.
func (r *run) push(work commitWork) action {
	return action{
		name: r.stepPush(),
		plan: func(context.Context) (effect, error) {
			snapshot, files := r.seen.snapshot, r.seen.files
			r.result.Repository.Files = files.changes
			r.noteKept(files)
			if snapshot != nil {
				r.commit = snapshot.Head()
				r.result.Repository.Commit = r.commit
			}
			return effectOf(!files.inPlace(snapshot), countFiles(len(files.changes))), nil
		},
		apply: func(ctx context.Context) (effect, error) { return r.pushNow(ctx, work) },
	}
}

func (r *run) pushNow(ctx context.Context, work commitWork) (effect, error) {
	snapshot, files := r.seen.snapshot, r.seen.files
	for attempt := 1; ; attempt++ {
		var err error
		began := time.Now()
		if snapshot == nil {
			snapshot, files, err = r.refetch(ctx, work.plan)
			if err == nil && work.prepare != nil {
				err = work.prepare(ctx)
			}
			if err != nil {
				return effect{}, err
			}
		}
		r.seen.snapshot, r.seen.files = snapshot, files
		r.commit = snapshot.Head()
		if files.inPlace(snapshot) {
			r.noteKept(files)
			r.result.Repository.Commit = r.commit
			return effect{OutcomeUnchanged, "at " + short(r.commit)}, nil
		}
		commit, err := snapshot.Commit(files.edits(), r.commitOptions(work.message()))
		if err != nil {
			return effect{}, fmt.Errorf("making the commit: %w", err)
		}
		err = r.persist(ctx, func() error { return snapshot.Push(ctx, commit) })
		if err == nil {
			r.noteKept(files)
			r.commit, r.pushed = commit.Hash(), true
			r.result.Repository.Commit, r.result.Repository.Pushed = commit.Hash(), true
			r.result.Repository.Files = files.changes
			return changedEffect(fmt.Sprintf("%s, commit %s", countFiles(len(files.changes)), short(commit.Hash()))), nil
		}
		if !errors.As(err, new(*git.ConflictError)) || attempt == maxPushes {
			return effect{}, fmt.Errorf("pushing to branch %s: %w", r.config.Branch, err)
		}
		r.steps.Progress(r.stepPush(), "somebody else pushed at the same moment; building on top of that")
		snapshot.Close()
		snapshot = nil
		// A random part of the time, so that many writers spread out.
		if err := sleep.For(ctx, rand.N(raceDelay(attempt, time.Since(began)))); err != nil { // spreading out needs no secrecy
			return effect{}, err
		}
	}
}

// refetch reads the branch again and plans on what is there now.
func (r *run) refetch(ctx context.Context, plan planner) (Snapshot, *filePlan, error) {
	snapshot, err := r.fetch(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the repository: %w", err)
	}
	files, err := plan(ctx, snapshot)
	if errors.As(err, new(*conflictError)) && snapshot.Tip() != nil {
		err = &overtakenError{by: snapshot.Tip(), err: err}
	}
	if err == nil {
		err = r.guard(ctx, snapshot, files)
	}
	return snapshot, files, err
}

// overtakenError says that somebody else wrote the same files after this run had looked at them.
type overtakenError struct {
	by  *git.CommitInfo // the last commit
	err error
}

func (e *overtakenError) Error() string {
	return fmt.Sprintf("somebody else was faster (commit %s by %s: %s): %v", short(e.by.Hash), e.by.Author.Name, e.by.Subject, e.err)
}

func (e *overtakenError) Unwrap() error { return e.err }

// Passing faults of a Git server are tried again after about 0.5, 1, 2 and 4 s, or when the server says.
const (
	gitTries        = 5
	gitFirstBackOff = 500 * time.Millisecond
	gitMaxBackOff   = 30 * time.Second
)

// settling is how long GitHub may need until Git finds a new repository. It is a matter of seconds; more of them cost nobody anything.
const settling = 2 * time.Minute

// repositoryIsNew says whether the repository was created just now, by this run or by one before.
func (r *run) repositoryIsNew() bool {
	if r.newRepository != (github.RepoRef{}) {
		return true
	}
	access := r.seen.access
	return access != nil && access.Repository != nil && time.Since(access.Repository.Created) < settling
}

// persist repeats do while the Git server fails for a passing reason, and while it does not know a repository that is new: GitHub's
// copies need a moment. do has to be safe to repeat.
func (r *run) persist(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		early := errors.As(err, new(*git.NotFoundError)) && r.repositoryIsNew()
		if err == nil || !errors.Is(err, git.ErrTransient) && !early || try == gitTries {
			return err
		}
		limit := gitFirstBackOff << (try - 1)
		wait := limit/2 + rand.N(limit) // spreading out needs no secrecy
		var unreachable *git.UnreachableError
		if errors.As(err, &unreachable) && unreachable.RetryAfter > 0 {
			wait = min(unreachable.RetryAfter, gitMaxBackOff)
		}
		r.steps.Note(LevelInfo, fmt.Sprintf("waiting %s for the Git server: %v; then try %d of %d", wait.Round(100*time.Millisecond), err, try+1, gitTries))
		if err := sleep.For(ctx, wait); err != nil {
			return err
		}
	}
}

// fetch reads the branch, trying again where that may help.
func (r *run) fetch(ctx context.Context) (Snapshot, error) {
	var snapshot Snapshot
	err := r.persist(ctx, func() error {
		var err error
		snapshot, err = r.seen.ports.repo.Fetch(ctx, r.config.Branch)
		return err
	})
	if err == nil {
		r.snapshots = append(r.snapshots, snapshot)
	}
	return snapshot, err
}

// raceDelay is the longest pause after a number of lost races; took is how long the last try took. Of those that meet, one always
// wins, so that nobody would have to wait, but every try that is lost costs the server, and all others, the time of one. The pause
// therefore grows with the tries, in units of what one takes at present: a slow or busy server sees fewer. Whoever has lost often waits
// less again, so that latecomers do not overtake it for ever.
func raceDelay(lost int, took time.Duration) time.Duration {
	const peak = 4
	steps := lost - 1
	if lost > peak {
		steps = max(2*peak-1-lost, 0)
	}
	return min(max(took, minRaceDelay)<<steps, maxRaceDelay)
}

func (r *run) noteKept(plan *filePlan) {
	for _, note := range plan.notes {
		r.steps.Note(LevelInfo, note)
	}
}

const stepWaitApplied Step = "Wait for Flux to apply the commit"

// waitApplied waits until Flux reports the commit. Flux looks at the repository once a minute by itself; after a push it is told to
// look now. When Flux has applied what others pushed after it, plan tells whether the run still has what it wanted; if not, the error is a
// *supersededError.
func (r *run) waitApplied(plan planner) action {
	return action{
		name:  stepWaitApplied,
		plan:  func(context.Context) (effect, error) { return waitEffect(r.appliedInPlace()), nil },
		apply: func(ctx context.Context) (effect, error) { return r.waitAppliedNow(ctx, plan) },
	}
}

func (r *run) waitAppliedNow(ctx context.Context, plan planner) (effect, error) {
	namespace, cluster := r.config.SystemNamespace, r.seen.ports.cluster
	if r.seen.cluster.Flux.GitRepository != nil && !r.seen.cluster.Applied(r.config.Branch, r.commit) {
		if err := cluster.RequestReconcile(ctx, namespace, namespace); err != nil {
			return effect{}, fmt.Errorf("asking Flux to look at the repository now: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.settings.FluxTimeout)
	defer cancel()
	var applied string
	var superseded error
	err := cluster.WaitSynced(ctx, fluxinstall.SyncWait{
		Namespace: namespace, Name: namespace, Branch: r.config.Branch, Commit: r.commit,
		Accept: func(revision string) bool {
			var answer bool
			if answer, superseded = r.judgeLater(ctx, revision, plan); answer {
				applied = revision
			}
			return answer
		},
	}, r.progressOf(stepWaitApplied))
	if err != nil {
		return effect{}, fmt.Errorf("waiting for Flux to apply %s: %w", short(r.commit), err)
	}
	if superseded != nil {
		return effect{}, superseded
	}
	if applied == "" {
		applied = r.config.Branch + "@sha1:" + r.commit
	}
	if r.result.Flux == nil {
		r.result.Flux = &FluxResult{Version: r.seen.cluster.Flux.Version, Namespace: namespace, URL: r.settings.Remote.Cluster, Path: layout.SyncPath(r.config)}
	}
	r.result.Flux.Revision, r.result.Flux.Ready = applied, true
	return effect{OutcomeChecked, short(r.commit)}, nil
}

// commitOptions says who commits and why.
func (r *run) commitOptions(message string) git.CommitOptions {
	return git.CommitOptions{Message: message, Author: r.settings.Author, Committer: r.settings.Committer, When: time.Now()}
}

// commitMessage is a subject with the trailers that say which program made the commit and for which clusters.
func (r *run) commitMessage(subject string, clusters []string) string {
	return fmt.Sprintf("%s\n\n%s: %s\n%s: %s\n", subject, trailerVersion, r.settings.ToolVersion, trailerClusters, strings.Join(clusters, " "))
}

func short(commit string) string { return commit[:min(7, len(commit))] }

func countFiles(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
