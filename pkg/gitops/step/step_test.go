package step_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

var errFault = errors.New("a fault")

// told keeps what a run has done or planned.
type told struct{ lines []string }

func (l *told) action(name step.Name, err error) step.Action {
	return step.Action{
		Name: name,
		Plan: step.Planned(step.Changed("")),
		Apply: func(context.Context) (step.Effect, error) {
			l.lines = append(l.lines, string(name))
			return step.Changed(""), err
		},
	}
}

func (l *told) panics() step.Action {
	action := l.action("panic", nil)
	action.Apply = func(context.Context) (step.Effect, error) { panic("a defect") }
	return action
}

// What holds steps together decides which of them are done after a failure, and what the run's error is.
func TestRecorder_Perform(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps  func(l *told) step.Steps
		want   string
		failed step.Name
	}{
		"a sequence ends with the first that fails": {
			func(l *told) step.Steps {
				return step.Sequence{l.action("a", nil), l.action("b", errFault), l.action("c", nil)}
			}, "a b", "b",
		},
		"each is done": {
			func(l *told) step.Steps { return step.Each{l.action("a", errFault), l.action("b", nil)} },
			"a b", "a",
		},
		"a bracket closes what it has opened": {
			func(l *told) step.Steps {
				return step.Bracket{
					Openings: []step.Steps{l.action("open", nil), l.action("open too", errFault),
						l.action("never", nil)},
					Inside: l.action("inside", nil),
					Closings: []step.Steps{l.action("close", nil), l.action("close too", nil),
						l.action("not", nil)},
				}
			}, "open open too close close too", "open too",
		},
		"a bracket closes after a panic": {
			func(l *told) step.Steps {
				return step.Bracket{
					Openings: []step.Steps{l.action("open", nil)},
					Inside:   l.panics(),
					Closings: []step.Steps{l.action("close", nil)},
				}
			}, "open close", "panic",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			did := &told{}
			run := step.NewRecorder(nil, false, nil)
			err := run.Perform(t.Context(), test.steps(did))
			if got := strings.Join(did.lines, " "); got != test.want || err == nil ||
				run.Failed != test.failed {
				t.Errorf("done %q, failed %q: %v", got, run.Failed, err)
			}
			if crashed := run.Crashed(); (crashed != nil) != (test.failed == "panic") {
				t.Errorf("crashed: %v", crashed)
			}
		})
	}
}

// A step that fails after it has written something has changed something.
func TestRecorder_partly(t *testing.T) {
	t.Parallel()
	for _, wrote := range []bool{false, true} {
		run := step.NewRecorder(nil, false, nil)
		err := run.Perform(t.Context(), step.Action{Name: "a",
			Apply: func(context.Context) (step.Effect, error) { return step.Written(wrote, ""), errFault }})
		if results, changed := run.Results(); changed != wrote || !errors.Is(err, errFault) ||
			len(results) != 1 || results[0].Outcome != step.OutcomeFailed {
			t.Errorf("%+v, changed %v, want %v: %v", results, changed, wrote, err)
		}
	}
}

// TestTogether has steps that wait for each other, which only those can that go on at the same time. What is
// told begins in the order of the list, what fails ends nothing else, and the step that failed is the first
// of them.
func TestTogether(t *testing.T) {
	t.Parallel()
	names := func(run *step.Recorder) (names []step.Name) {
		results, _ := run.Results()
		for _, r := range results {
			names = append(names, r.Step)
		}
		return names
	}
	want := []step.Name{"a", "b", "a too"}
	for name, dry := range map[string]bool{"run": false, "dry run": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := make(chan struct{}, 1)
			other := errors.New("another fault")
			action := func(name step.Name, apply func() error) step.Action {
				return step.Action{Name: name, Plan: step.Planned(step.Changed("")),
					Apply: func(context.Context) (step.Effect, error) { return step.Changed(""), apply() }}
			}
			run := step.NewRecorder(nil, dry, nil)
			err := run.Perform(t.Context(), step.Together{
				step.Sequence{step.Sequence{}, step.OrElse{
					Steps: step.Sequence{action("a", func() error { <-begun; return nil }),
						action("a too", func() error { return errFault })},
					Failed: func(_ context.Context, err error) error { return err },
				}},
				action("b", func() error { begun <- struct{}{}; return other }),
			})
			if got := names(run); !slices.Equal(got, want) {
				t.Errorf("steps %q, want %q", got, want)
			}
			if dry {
				if err != nil || !run.WouldChange() {
					t.Errorf("error %v, would change %v", err, run.WouldChange())
				}
				return
			}
			if !errors.Is(err, errFault) || !errors.Is(err, other) || run.Failed != "a too" ||
				!strings.HasPrefix(err.Error(), errFault.Error()) {
				t.Errorf("failed %q: %v", run.Failed, err)
			}
		})
	}
	t.Run("panic", func(t *testing.T) {
		t.Parallel()
		did := &told{}
		run := step.NewRecorder(nil, false, nil)
		err := run.Perform(t.Context(), step.Together{did.panics(),
			step.Action{Name: "b", Apply: func(context.Context) (step.Effect, error) {
				return step.Changed(""), nil
			}}})
		if err == nil || run.Crashed() == nil || run.Failed != "panic" || !slices.Equal(names(run),
			[]step.Name{"panic", "b"}) {
			t.Errorf("%v, crashed %v, failed %q, steps %q", err, run.Crashed(), run.Failed, names(run))
		}
	})
}

// A dry run plans the same list, and does nothing of it.
func TestRecorder_Perform_dry(t *testing.T) {
	t.Parallel()
	did := &told{}
	run := step.NewRecorder(nil, true, func() func() {
		t.Error("a dry run has nothing to take back")
		return func() {}
	})
	silently := step.Silently(func(context.Context) error { return errFault })
	err := run.Perform(t.Context(), step.Bracket{
		Openings: []step.Steps{did.action("open", nil)},
		Inside:   step.Sequence{silently, did.action("inside", nil)},
		Closings: []step.Steps{did.action("close", nil)},
	})
	results, changed := run.Results()
	var names []step.Name
	for _, r := range results {
		names = append(names, r.Step)
		if r.Outcome != step.OutcomePlanned {
			t.Errorf("%s is %s", r.Step, r.Outcome)
		}
	}
	if err != nil || !slices.Equal(names, []step.Name{"open", "inside", "close"}) {
		t.Errorf("planned %v: %v", names, err)
	}
	if changed || !run.WouldChange() || len(did.lines) > 0 {
		t.Errorf("did %v, changed %v, would change %v", did.lines, changed, run.WouldChange())
	}
}
