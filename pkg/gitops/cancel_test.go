package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// TestCreate_reports has a Reporter that hears of every step's begin and end, in a run that goes well.
func TestCreate_reports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := &reporter{}
	result, err := gitops.Create(t.Context(), w.ports(report),
		on(t, spec("dev", onGitHub), spec("w01", onGitHub)))
	if err != nil {
		t.Fatal(err)
	}
	report.check(t, result)
	looking := stepsOf(result)[:2]
	slices.Sort(looking) // both at the same time
	equal(t, "steps that look", looking,
		[]string{"Check access to the repository: checked", "Check the management cluster: checked"})
	equal(t, "steps", afterLooking(result), []string{
		"Create repository octo/fleet: changed",
		"Install Flux " + fluxmanifests.Version + ": changed",
		"Prepare namespace flux-system and its Git credentials: changed",
		"Register the read-only deploy key: changed",
		"Push cluster files to branch main: changed",
		"Point Flux at the repository: changed",
		"Wait for Flux to apply the commit: checked",
		"Wait for 2 clusters to be Ready: checked",
	})
}

// TestCreate_cancelled cancels the context at every call that writes or waits. The run ends with it, and
// writes nothing more.
func TestCreate_cancelled(t *testing.T) {
	t.Parallel()
	whole := newSmallWorld(t, onGitHub)
	var calls []string
	whole.onCall = func(_ context.Context, call string) { calls = append(calls, call) }
	create(t, whole, on(t, spec("dev", onGitHub), spec("w01", onGitHub)))
	// Writing the local copies is a matter of a moment and is not interrupted.
	calls = slices.DeleteFunc(calls, func(call string) bool { return strings.HasPrefix(call, "SaveLocal") })
	for n, call := range calls {
		t.Run(fmt.Sprintf("%d %s", n+1, call), func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t, onGitHub)
			options := on(t, spec("dev", onGitHub), spec("w01", onGitHub))
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				done := 0 // writing calls when the context ends
				w.onCall = func(_ context.Context, now string) {
					if now == call && ctx.Err() == nil {
						cancel()
						w.mu.Lock()
						done = len(w.calls)
						w.mu.Unlock()
					}
				}
				report := &reporter{}
				result, err := gitops.Create(ctx, w.ports(report), options)
				if !errors.Is(err, context.Canceled) || result.Status != gitops.StatusInterrupted ||
					result.Failure == nil {
					t.Errorf("%v, %s, %+v", err, result.Status, result.Failure)
				}
				if len(w.calls) > done || len(w.local) > 0 {
					t.Errorf("went on to write %v after %d calls, local %v", w.calls, done, w.local)
				}
				if result.Changed != (len(w.effects) > 0) {
					t.Errorf("changed is %v, written was %v", result.Changed, w.effects)
				}
				report.check(t, result)
			})
			// The next run finishes the work.
			w.onCall = nil
			w.forget()
			create(t, w, options)
			if w.describe() != whole.describe() {
				t.Errorf("the end differs from that of a whole run:\n%s", w.describe())
			}
		})
	}
}

// TestCreate_cancelledWhileLooking has calls that hang until the context ends, all of preflight's.
func TestCreate_cancelledWhileLooking(t *testing.T) {
	t.Parallel()
	for _, dryRun := range []bool{false, true} {
		w := newSmallWorld(t, onGitHub)
		options := on(t, spec("dev", onGitHub))
		options.DryRun = dryRun
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			hang := func(ctx context.Context) error {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			ports := w.ports(nil)
			ports.OpenRepository = func(ctx context.Context) (gitops.Repository, error) {
				return nil, hang(ctx)
			}
			ports.OpenCluster = func(ctx context.Context) (gitops.Cluster, error) { return nil, hang(ctx) }
			go func() {
				synctest.Wait() // until both hang
				cancel(errors.New("told to stop"))
			}()
			report := &reporter{}
			ports.Report = report
			result, err := gitops.Create(ctx, ports, options)
			if err == nil || err.Error() != "told to stop" || result.Status != gitops.StatusInterrupted ||
				errors.As(err, new(*gitops.PreflightError)) {
				t.Errorf("%v, %s", err, result.Status)
			}
			if len(w.calls) > 0 {
				t.Errorf("wrote %v", w.calls)
			}
			report.check(t, result)
		})
	}
}

// TestCreate_cancelledBetweenPushes does not wait out the pause after a lost race.
func TestCreate_cancelledBetweenPushes(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.raceForever = true
	options := on(t, spec("w01", onGitHub))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w.onCall = func(_ context.Context, call string) {
			if len(w.calls) == 9 {
				go func() {
					synctest.Wait() // until the run pauses
					cancel()
				}()
			}
		}
		result, err := gitops.Create(ctx, w.ports(nil), options)
		if !errors.Is(err, context.Canceled) || result.Status != gitops.StatusInterrupted {
			t.Errorf("%v, %s", err, result.Status)
		}
	})
	if len(w.calls) != 10 {
		t.Errorf("pushed %d times", len(w.calls))
	}
}

// TestCreate_deadline runs out of time while a cluster gets ready: that is work to be continued.
func TestCreate_deadline(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	options := on(t, spec("dev", onGitHub))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	expired := &deadline{Context: ctx}
	w.onCall = func(_ context.Context, call string) {
		if call == "WaitCluster dev" {
			expired.over.Store(true)
		}
	}
	report := &reporter{}
	result, err := gitops.Create(expired, w.ports(report), options)
	if !errors.Is(err, context.DeadlineExceeded) || result.Status == gitops.StatusDone || !result.Changed ||
		!result.Flux.Ready || result.Clusters[0].Ready {
		t.Errorf("%v, %+v", err, result)
	}
	report.check(t, result)
}

// deadline is a context that is over when the test says so.
type deadline struct {
	context.Context
	over atomic.Bool
}

func (d *deadline) Err() error {
	if d.over.Load() {
		return context.DeadlineExceeded
	}
	return d.Context.Err()
}
