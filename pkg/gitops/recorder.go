package gitops

import (
	"sync"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// recorder passes steps on to a Reporter and keeps their results in the order in which they began.
type recorder struct {
	Reporter

	mu    sync.Mutex
	order []Step
	began map[Step]time.Time
	ended map[Step]StepResult
	// crashed is the panic of a step, if there was one. A caller that makes light of a failed step cannot lose it.
	crashed *crash.Error
}

func newRecorder(to Reporter) *recorder {
	if to == nil {
		to = silent{}
	}
	return &recorder{Reporter: to, began: map[Step]time.Time{}, ended: map[Step]StepResult{}}
}

// Begin implements [Reporter]. A step that is under way does not begin again.
func (r *recorder) Begin(step Step) {
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
		r.Reporter.Begin(step)
	}
}

// End implements [Reporter].
func (r *recorder) End(step Step, outcome Outcome, detail string) {
	r.mu.Lock()
	took := time.Since(r.began[step])
	r.ended[step] = StepResult{Step: step, Outcome: outcome, Detail: detail, Duration: took, Millis: took.Milliseconds()}
	r.mu.Unlock()
	r.Reporter.End(step, outcome, detail)
}

// Progress implements [Reporter].
func (r *recorder) Progress(step Step, detail string) { r.Reporter.Progress(step, text.Plain(detail)) }

// Note implements [Reporter].
func (r *recorder) Note(level Level, note string) { r.Reporter.Note(level, text.Plain(note)) }

// results returns the steps that ended, in the order in which they began, and whether any of them wrote something.
func (r *recorder) results() (steps []StepResult, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	steps = []StepResult{}
	for _, step := range r.order {
		if result, ok := r.ended[step]; ok {
			steps = append(steps, result)
			changed = changed || result.Outcome == OutcomeChanged
		}
	}
	return steps, changed
}

// run does one step: it reports its begin and its end around do. A panic is a failure like others, so that what follows a failure is done.
func (r *recorder) run(step Step, do func() (Outcome, string, error)) error {
	r.Begin(step)
	var outcome Outcome
	var detail string
	err := crash.Guarded(func() (err error) {
		outcome, detail, err = do()
		return err
	})
	if err != nil {
		if found := crash.In(err); found != nil {
			r.mu.Lock()
			r.crashed = found
			r.mu.Unlock()
		}
		r.End(step, OutcomeFailed, "")
		return err
	}
	r.End(step, outcome, detail)
	return nil
}
