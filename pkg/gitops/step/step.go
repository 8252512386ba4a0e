package step

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
)

// Steps is an [Action], or what holds several together. Only this package makes kinds of it: what each
// promises is how runs are repeatable.
type Steps interface {
	perform(ctx context.Context, r *Recorder) error
}

// Effect is what an [Action] has done, or would do.
type Effect struct {
	Outcome Outcome
	Detail  string // a few words, and may be empty
}

// Unchanged is the effect of an action that finds everything there already.
func Unchanged() Effect { return Effect{Outcome: OutcomeUnchanged} }

// Checked is the effect of an action that only reads, and finds what it should.
func Checked() Effect { return Effect{Outcome: OutcomeChecked} }

// Changed is the effect of an action that writes something, told in a few words.
func Changed(detail string) Effect { return Effect{OutcomeChanged, detail} }

// Waited is the effect of a wait, which writes nothing: over says that it is over before it has begun.
func Waited(over bool) Effect {
	if over {
		return Unchanged()
	}
	return Checked()
}

// Written is the effect of what is written when it differs, and else is there already.
func Written(differs bool, detail string) Effect {
	if !differs {
		return Unchanged()
	}
	return Changed(detail)
}

// Action is one step. Plan only reads, and says what Apply would do; a dry run asks for nothing else. Apply
// brings it about, writes only a difference, and may be repeated; beside an error its effect says whether it
// had written something. Whatever the two need they find in what the run has seen.
type Action struct {
	Name  Name
	Plan  func(ctx context.Context) (Effect, error)
	Apply func(ctx context.Context) (Effect, error)
}

func (a Action) perform(ctx context.Context, r *Recorder) error {
	return r.Do(a.Name, func() (Effect, error) {
		if !r.dryRun {
			return a.Apply(ctx)
		}
		would, err := a.Plan(ctx)
		if would.Outcome == OutcomeChanged {
			r.mu.Lock()
			r.wouldChange = true
			r.mu.Unlock()
		}
		if err == nil && would.Outcome != OutcomeUnchanged {
			would.Outcome = OutcomePlanned
		}
		return would, err
	})
}

// Planned is the plan of an [Action] that is known beforehand.
func Planned(would Effect) func(context.Context) (Effect, error) {
	return func(context.Context) (Effect, error) { return would, nil }
}

// Sequence is steps one after the other, up to the first that fails.
type Sequence []Steps

func (s Sequence) perform(ctx context.Context, r *Recorder) error {
	for _, p := range s {
		if err := p.perform(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// Each is steps of which every one is done, whether others fail or not; only a person who breaks the run off
// ends it.
type Each []Steps

func (e Each) perform(ctx context.Context, r *Recorder) error {
	var failed []error
	for _, p := range e {
		if err := p.perform(ctx, r); err != nil {
			failed = append(failed, err)
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return ctx.Err()
		}
	}
	return errors.Join(failed...)
}

// Together is steps that do not need each other, and are done at the same time. A failure ends none of the
// others; the error is that of all that failed, in their order, and the step that failed is that of the first
// of them. What they begin with begins in their order, so that chance does not decide what is told first; a
// dry run then plans one after the other.
type Together []Steps

func (s Together) perform(ctx context.Context, r *Recorder) error {
	for _, p := range s {
		if name := leading(p); name != "" {
			r.Begin(name)
		}
	}
	branches, errs := make([]*Recorder, len(s)), make([]error, len(s))
	var group crash.Group
	for i, p := range s {
		branches[i] = r.branch()
		work := func() { errs[i] = crash.Guarded(func() error { return p.perform(ctx, branches[i]) }) }
		if r.dryRun {
			work()
		} else {
			group.Go(work)
		}
	}
	group.Wait()
	for i, branch := range branches {
		if errs[i] != nil {
			r.Failed = cmp.Or(branch.Failed, r.Failed)
			break
		}
	}
	return errors.Join(errs...)
}

// leading is the step with which steps begin for sure; empty where that depends on what is found.
func leading(steps Steps) Name {
	switch s := steps.(type) {
	case Action:
		return s.Name
	case OrElse:
		return leading(s.Steps)
	case Sequence:
		for _, p := range s {
			if nested, ok := p.(Sequence); ok && len(nested) == 0 {
				continue
			}
			return leading(p)
		}
	}
	return ""
}

// When is steps that depend on what the steps before them have brought about; a dry run asks when it gets
// there, too.
type When func(ctx context.Context) Sequence

func (w When) perform(ctx context.Context, r *Recorder) error { return w(ctx).perform(ctx, r) }

// Silently is what a run does between its steps and does not tell of; a dry run does not do it.
type Silently func(ctx context.Context) error

func (s Silently) perform(ctx context.Context, r *Recorder) error {
	if r.dryRun {
		return nil
	}
	return s(ctx)
}

// Fail is the end of a run that cannot go on.
type Fail struct{ Err error }

func (f Fail) perform(context.Context, *Recorder) error { return f.Err }

// Telling is what a run, dry or not, says between its steps.
type Telling func()

func (t Telling) perform(context.Context, *Recorder) error {
	t()
	return nil
}

// OrElse is steps with what is done when they fail, by a panic, too; Failed says what their error is then.
type OrElse struct {
	Steps  Steps
	Failed func(ctx context.Context, err error) error
}

func (o OrElse) perform(ctx context.Context, r *Recorder) error {
	if err := crash.Guarded(func() error { return o.Steps.perform(ctx, r) }); err != nil {
		return o.Failed(ctx, err)
	}
	return nil
}

// releaseLimit bounds how long a run that was broken off tries to take a pause back.
const releaseLimit = 30 * time.Second

// Bracket is steps between two that belong together: what an opening has begun is closed whatever happens: a
// failure, an interrupt (further ones are held off), a lost connection for as long as 30 seconds.
type Bracket struct {
	Openings []Steps
	Inside   Steps
	Closings []Steps // of the openings, in their order
}

func (b Bracket) perform(ctx context.Context, r *Recorder) error {
	if r.shield != nil && !r.dryRun {
		defer r.shield()()
	}
	begun := 0
	err := crash.Guarded(func() error {
		for _, opening := range b.Openings {
			begun++
			if err := opening.perform(ctx, r); err != nil {
				return err
			}
		}
		return b.Inside.perform(ctx, r)
	})
	// The run's own time may be over, and the person may want to go. What was begun is taken back all the
	// same.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
	defer cancel()
	for _, closing := range b.Closings[:begun] {
		if failed := crash.Guarded(func() error { return closing.perform(after, r) }); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	return err
}
