package gitops

import (
	"context"
	"errors"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
)

// A command is a list of parts, in the order of the invariants (docs/design.md). A run carries it out, a dry run plans it: the same list, so
// that the one shows what the other does.

// part is an action, or something that holds actions together.
type part interface {
	perform(ctx context.Context, r *run) error
}

// effect is what an action has done, or would do.
type effect struct {
	outcome Outcome
	detail  string // a few words, and may be empty
}

// The effects that most actions have.
var (
	unchangedEffect = effect{outcome: OutcomeUnchanged}
	checkedEffect   = effect{outcome: OutcomeChecked}
)

func changedEffect(detail string) effect { return effect{OutcomeChanged, detail} }

// waitEffect is that of a wait which is over before it has begun, or is planned: it writes nothing.
func waitEffect(over bool) effect {
	if over {
		return unchangedEffect
	}
	return checkedEffect
}

// effectOf is that of something that was there already, or that is written.
func effectOf(changed bool, detail string) effect {
	if !changed {
		return unchangedEffect
	}
	return changedEffect(detail)
}

// action is one step: plan only reads, and says what apply would do. Whatever the two need they find in what the run has seen.
type action struct {
	name  Step
	plan  func(ctx context.Context) (effect, error)
	apply func(ctx context.Context) (effect, error)
}

func (a action) perform(ctx context.Context, r *run) error {
	return r.step(a.name, func() (Outcome, string, error) {
		if !r.settings.DryRun {
			did, err := a.apply(ctx)
			return did.outcome, did.detail, err
		}
		would, err := a.plan(ctx)
		r.result.WouldChange = r.result.WouldChange || would.outcome == OutcomeChanged
		if err == nil && would.outcome != OutcomeUnchanged {
			would.outcome = OutcomePlanned
		}
		return would.outcome, would.detail, err
	})
}

// planned is the plan of an action that is known beforehand.
func planned(would effect) func(context.Context) (effect, error) {
	return func(context.Context) (effect, error) { return would, nil }
}

// sequence is parts one after the other, up to the first that fails.
type sequence []part

func (s sequence) perform(ctx context.Context, r *run) error {
	for _, p := range s {
		if err := p.perform(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// each is parts of which every one is done, whether others fail or not; only a person who breaks the run off ends it.
type each []part

func (e each) perform(ctx context.Context, r *run) error {
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

// when is parts that depend on what the parts before them have brought about; a dry run asks when it gets there, too.
type when func(ctx context.Context) sequence

func (w when) perform(ctx context.Context, r *run) error { return w(ctx).perform(ctx, r) }

// silently is what a run does between its steps and does not tell of; a dry run does not do it.
type silently func(ctx context.Context) error

func (s silently) perform(ctx context.Context, r *run) error {
	if r.settings.DryRun {
		return nil
	}
	return s(ctx)
}

// failure is the end of a run that cannot go on.
type failure struct{ err error }

func (f failure) perform(context.Context, *run) error { return f.err }

// telling is what a run, dry or not, says between its steps.
type telling func()

func (t telling) perform(context.Context, *run) error {
	t()
	return nil
}

// orElse is parts with what is done when they fail, by a panic, too; it says what their error is then.
type orElse struct {
	parts  part
	failed func(ctx context.Context, err error) error
}

func (o orElse) perform(ctx context.Context, r *run) error {
	if err := crash.Guarded(func() error { return o.parts.perform(ctx, r) }); err != nil {
		return o.failed(ctx, err)
	}
	return nil
}

// releaseLimit bounds how long a run that was broken off tries to take a pause back.
const releaseLimit = 30 * time.Second

// bracket is parts between two that belong together: what opening has begun is closed whatever happens: a failure, an interrupt (further
// ones are held off), a lost connection for as long as releaseLimit.
type bracket struct {
	openings []part
	inside   part
	closings []part // of the openings, in their order
}

func (b bracket) perform(ctx context.Context, r *run) error {
	if r.ports.Shield != nil && !r.settings.DryRun {
		defer r.ports.Shield()()
	}
	begun := 0
	err := crash.Guarded(func() error {
		for _, opening := range b.openings {
			begun++
			if err := opening.perform(ctx, r); err != nil {
				return err
			}
		}
		return b.inside.perform(ctx, r)
	})
	// The run's own time may be over, and the person may want to go. What was begun is taken back all the same.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
	defer cancel()
	for _, closing := range b.closings[:begun] {
		if failed := crash.Guarded(func() error { return closing.perform(after, r) }); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	return err
}
