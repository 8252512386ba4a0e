package gitops

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// findings collects what is wrong from several goroutines.
type findings struct {
	mu   sync.Mutex
	list []facts.Finding
	soft []error // reasons for which GitOps cannot be set up now, but creation may go on
	hard []error // those of list that were errors
}

// unfinished is what was under way when a context ended by a time limit: the errors that say so.
func (f *findings) unfinished(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var unfinished []error
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		for _, err := range slices.Concat(f.hard, f.soft) {
			if errors.Is(err, context.Cause(ctx)) {
				unfinished = append(unfinished, err)
			}
		}
	}
	return errors.Join(unfinished...)
}

// add adds an error about an area. A credential or a right that is missing is about access, whatever was
// looked at when that came up.
func (f *findings) add(area facts.Area, err error) {
	if facts.IsAccessError(err) {
		area = facts.AreaAccess
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, facts.Finding{Area: area, Message: err.Error(), Hint: facts.HintOf(err)})
	f.hard = append(f.hard, err)
}

func (f *findings) addFinding(finding facts.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, finding)
}

// addAll adds what a planner has found; false is an error of another kind.
func (f *findings) addAll(err error) bool {
	all := new(facts.FoundError)
	if !errors.As(err, &all) {
		return false
	}
	for _, finding := range all.Findings {
		f.addFinding(finding)
	}
	return true
}

func (f *findings) addSoft(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.soft = append(f.soft, err)
}

// refused is the error of a preflight that found something to put right first, with all that was found; nil
// without. What alone would not stop the run is told beside it: the step that it belongs to is shown as
// failed. It has the area that leaves the exit code to the others.
func (f *findings) refused() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) == 0 {
		return nil
	}
	list := slices.Clone(f.list)
	for _, err := range f.soft {
		list = append(list, facts.Finding{Area: facts.AreaAccess, Message: err.Error(),
			Hint: facts.HintOf(err)})
	}
	return &PreflightError{Findings: list}
}

// hintedError is a message with the next action.
type hintedError struct {
	message, hint string
	is            error // its class; nil for none
}

func (e *hintedError) Error() string        { return e.message }
func (e *hintedError) Hint() string         { return e.hint }
func (e *hintedError) Is(target error) bool { return e.is != nil && target == e.is }

func joined(message, hint string) string {
	if hint == "" {
		return message
	}
	return message + "; " + hint
}
