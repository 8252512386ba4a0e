package step

import (
	"context"
	"sync"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// Recorder does the steps of one run, or plans them. It passes them on to a [Reporter], which it is itself,
// and keeps their results in the order in which they began.
type Recorder struct {
	// Failed is the step that failed last; empty without one. Who makes light of a failure sets it back.
	Failed Name

	*record
}

// record is what the parts of a run that go on side by side have in common.
type record struct {
	to     Reporter
	dryRun bool
	shield func() (end func())

	mu          sync.Mutex
	order       []Name
	began       map[Name]time.Time
	ended       map[Name]Result
	wouldChange bool
	partly      bool // a step that failed had written something
	// crashed is the panic of a step, if there was one. A caller that makes light of a failed step cannot
	// lose it.
	crashed *crash.Error
}

// NewRecorder makes the Recorder of a run that does its steps or, dry, only plans them. It tells to, which
// may be nil. shield keeps further interrupts from ending the process until its result is called, so that
// what a [Bracket] has begun is taken back; nil shields from nothing.
func NewRecorder(to Reporter, dryRun bool, shield func() (end func())) *Recorder {
	if to == nil {
		to = silent{}
	}
	began, ended := map[Name]time.Time{}, map[Name]Result{}
	return &Recorder{record: &record{to: to, dryRun: dryRun, shield: shield, began: began, ended: ended}}
}

// branch is the Recorder of steps that go on beside others. What failed in it is told apart.
func (r *Recorder) branch() *Recorder { return &Recorder{record: r.record} }

// Perform does steps, or plans them in a dry run. Its error is that of the steps that failed.
func (r *Recorder) Perform(ctx context.Context, steps Steps) error { return steps.perform(ctx, r) }

// WouldChange says whether the run that a dry run stands for would write anything.
func (r *Recorder) WouldChange() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wouldChange
}

// Crashed is the panic of a step, as an error; nil without one.
func (r *Recorder) Crashed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.crashed == nil {
		return nil // no *crash.Error that is nil
	}
	return r.crashed
}

// Begin implements [Reporter]. A step that is under way does not begin again.
func (r *Recorder) Begin(step Name) {
	r.mu.Lock()
	_, again := r.began[step]
	_, over := r.ended[step]
	underWay := again && !over
	if !again {
		r.order = append(r.order, step)
	}
	if !underWay {
		r.began[step] = time.Now()
		delete(r.ended, step)
	}
	r.mu.Unlock()
	if !underWay {
		r.to.Begin(step)
	}
}

// End implements [Reporter].
func (r *Recorder) End(step Name, outcome Outcome, detail string) {
	r.mu.Lock()
	took := time.Since(r.began[step])
	r.ended[step] = Result{Step: step, Outcome: outcome, Detail: detail, Duration: took,
		Millis: took.Milliseconds()}
	r.mu.Unlock()
	r.to.End(step, outcome, detail)
}

// Progress implements [Reporter].
func (r *Recorder) Progress(step Name, detail string) { r.to.Progress(step, text.Plain(detail)) }

// Part implements [Reporter].
func (r *Recorder) Part(step Name, part Part) { r.to.Part(step, part) }

// Note implements [Reporter].
func (r *Recorder) Note(level Level, note string) { r.to.Note(level, text.Plain(note)) }

// Results returns the steps that ended, in the order in which they began, and whether any of them wrote
// something.
func (r *Recorder) Results() (steps []Result, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	steps = []Result{}
	for _, step := range r.order {
		if result, ok := r.ended[step]; ok {
			steps = append(steps, result)
			changed = changed || result.Outcome == OutcomeChanged
		}
	}
	return steps, changed || r.partly
}

// Do does one step that is not in a list, in a dry run as well: it reports its begin and its end around do. A
// panic is a failure like others, so that what follows a failure is done.
func (r *Recorder) Do(step Name, do func() (Effect, error)) error {
	r.Begin(step)
	var effect Effect
	err := crash.Guarded(func() (err error) {
		effect, err = do()
		return err
	})
	if err != nil {
		r.mu.Lock()
		r.partly = r.partly || effect.Outcome == OutcomeChanged
		if found := crash.In(err); found != nil {
			r.crashed = found
		}
		r.mu.Unlock()
		r.End(step, OutcomeFailed, "")
		r.Failed = step
		return err
	}
	r.End(step, effect.Outcome, effect.Detail)
	return nil
}
