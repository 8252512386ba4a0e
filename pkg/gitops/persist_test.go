package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// away is a fault that passes.
func away(retryAfter time.Duration) error {
	return fmt.Errorf("asking: %w", &git.UnreachableError{Remote: "https://git.example.com/",
		Reason: "connection reset", RetryAfter: retryAfter})
}

// failing gives a port that fails so many times and works after that.
func failing(times int, err error) func() error {
	return func() error {
		if times == 0 {
			return nil
		}
		times--
		return err
	}
}

// TestCreate_persists tries again what a Git server fails to do for a passing reason, and nothing else. Its
// clock is not the real one.
func TestCreate_persists(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault             func(w *world)
		done              bool
		tries             int // how many times it tells of a new one
		shortest, longest time.Duration
	}{
		"fetch, once": {func(w *world) { w.onFetch = failing(1, away(0)) }, true, 1, 250 * time.Millisecond,
			750 * time.Millisecond},
		"fetch, to the last": {func(w *world) { w.onFetch = failing(4, away(0)) }, true, 4,
			3750 * time.Millisecond, 11250 * time.Millisecond},
		"fetch, too often": {func(w *world) { w.onFetch = failing(5, away(0)) }, false, 4,
			3750 * time.Millisecond, 11250 * time.Millisecond},
		"fetch, told to wait": {func(w *world) { w.onFetch = failing(2, away(7*time.Second)) }, true, 2,
			14 * time.Second, 14 * time.Second},
		"fetch, to wait long": {func(w *world) { w.onFetch = failing(1, away(time.Hour)) }, true, 1,
			30 * time.Second, 30 * time.Second},
		"fetch, for good": {func(w *world) { w.onFetch = failing(1, errors.New("broken pack")) },
			false, 0, 0, 0},
		"push, once": {func(w *world) { w.onPush = failing(1, away(0)) }, true, 1, 250 * time.Millisecond,
			750 * time.Millisecond},
		"push, too often": {func(w *world) { w.onPush = failing(5, away(0)) }, false, 4,
			3750 * time.Millisecond, 11250 * time.Millisecond},
		"push, refused": {
			func(w *world) { w.onPush = failing(1, &git.RejectedError{Branch: "main", Reason: "hook"}) },
			false, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := managed(t, onGitHub)
			test.fault(w)
			options := on(t, spec("w01", onGitHub))
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				report := &reporter{}
				result, err := gitops.Create(t.Context(), w.ports(report), options)
				if (err == nil) != test.done || (result.Status == gitops.StatusDone) != test.done {
					t.Errorf("%v, %s", err, result.Status)
				}
				if took := time.Since(begin); took < test.shortest || took > test.longest {
					t.Errorf("took %s, not %s to %s", took, test.shortest, test.longest)
				}
				told := regexp.MustCompile(
					`^info: waiting \S+s for the Git server: asking: .*; then try [2-5] of 5$`)
				if got := len(slices.DeleteFunc(report.notes(),
					func(note string) bool { return !told.MatchString(note) })); got != test.tries {
					t.Errorf("told of %d new tries: %q", got, report.notes())
				}
				report.check(t, result)
			})
		})
	}
}

// TestCreate_lostReply has a push that arrives and whose answer is lost in a way that passes: the same commit
// is pushed again, which is no race and no second commit.
func TestCreate_lostReply(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	options := on(t, spec("w01", onGitHub))
	synctest.Test(t, func(t *testing.T) {
		ports := w.ports(nil)
		ports.OpenRepository = func(context.Context) (gitops.Repository, error) {
			return lossy{repository{w}}, nil
		}
		result, err := gitops.Create(t.Context(), ports, options)
		if err != nil || result.Status != gitops.StatusDone || !result.Repository.Pushed ||
			result.Repository.Commit != w.branches["main"].head {
			t.Errorf("%v, %+v", err, result.Repository)
		}
	})
	equal(t, "calls", w.calls,
		[]string{"Push main", "Push main", "RequestReconcile flux-system/flux-system", "SaveLocal w01"})
}

// lossy is a repository that loses the answer to the first push of each snapshot.
type lossy struct{ repository }

func (l lossy) Fetch(ctx context.Context, branch string) (gitops.Snapshot, error) {
	s, err := l.repository.Fetch(ctx, branch)
	return &lossySnapshot{Snapshot: s, lose: true}, err
}

type lossySnapshot struct {
	gitops.Snapshot
	lose bool
}

func (l *lossySnapshot) Push(ctx context.Context, commit gitops.Commit) error {
	err := l.Snapshot.Push(ctx, commit)
	if err == nil && l.lose {
		l.lose = false
		return away(0)
	}
	return err
}

// TestCreate_newRepository waits for the repository that it has created to be everywhere: GitHub's copies
// answer that there is none for a moment, to a fetch as to a push. A repository that was there before and is
// not found is not waited for.
func TestCreate_newRepository(t *testing.T) {
	t.Parallel()
	missing := &git.NotFoundError{Remote: "https://git.example.com/octo/fleet.git",
		Server: "Repository not found."}
	for name, test := range map[string]struct {
		exists bool
		fault  func(w *world)
		done   bool
		tries  int
	}{
		"fetch":           {false, func(w *world) { w.onFetch = failing(2, missing) }, true, 2},
		"push":            {false, func(w *world) { w.onPush = failing(3, missing) }, true, 3},
		"fetch, for ever": {false, func(w *world) { w.onFetch = failing(100, missing) }, false, 4},
		// By a run before, which did not come to its end.
		"push, created before": {true,
			func(w *world) { w.created, w.onPush = time.Now(), failing(1, missing) }, true, 1},
		"push, not created": {true, func(w *world) { w.onPush = failing(1, missing) }, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t, onGitHub)
			w.exists = test.exists
			test.fault(w)
			options := on(t, spec("dev", onGitHub))
			synctest.Test(t, func(t *testing.T) {
				report := &reporter{}
				result, err := gitops.Create(t.Context(), w.ports(report), options)
				if err != nil || (result.Status == gitops.StatusDone) != test.done {
					t.Errorf("%v, %s, %+v", err, result.Status, result.Failure)
				}
				told := regexp.MustCompile(
					`^info: waiting \S+s for the Git server: .*repository not found.*; then try [2-5] of 5$`)
				if got := len(slices.DeleteFunc(report.notes(),
					func(note string) bool { return !told.MatchString(note) })); got != test.tries {
					t.Errorf("told of %d new tries: %q", got, report.notes())
				}
			})
		})
	}
}
