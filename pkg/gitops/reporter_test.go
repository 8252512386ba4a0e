package gitops_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// reporter keeps what it is told.
type reporter struct {
	mu     sync.Mutex
	events []event
}

type event struct {
	kind    string // begin, progress, end, or the level of a note
	step    step.Name
	outcome step.Outcome
	text    string
}

func (r *reporter) add(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *reporter) Begin(step step.Name) { r.add(event{kind: "begin", step: step}) }

func (r *reporter) Progress(step step.Name, detail string) {
	r.add(event{kind: "progress", step: step, text: detail})
}

func (r *reporter) Part(step step.Name, part step.Part) {
	r.add(event{kind: "progress", step: step,
		text: strings.TrimSpace(fmt.Sprintf("%s %s %s", part.Name, part.State, part.Detail))})
}

func (r *reporter) End(step step.Name, outcome step.Outcome, detail string) {
	r.add(event{kind: "end", step: step, outcome: outcome, text: detail})
}

func (r *reporter) Note(level step.Level, text string) {
	r.add(event{kind: string(level), text: text})
}

// progress is what was told of steps under way, each with the step's name.
func (r *reporter) progress() (all []string) {
	for _, e := range r.events {
		if e.kind == "progress" {
			all = append(all, fmt.Sprintf("%s: %s", e.step, e.text))
		}
	}
	return all
}

// notes is what was told beside the steps, each with its level.
func (r *reporter) notes() (all []string) {
	for _, e := range r.events {
		if e.kind == string(step.LevelInfo) || e.kind == string(step.LevelWarning) {
			all = append(all, e.kind+": "+e.text)
		}
	}
	return all
}

// check makes sure that every step begins once and ends once, that progress is told in between only, and that
// the result has the same steps in the same order, and is what its schema says.
func (r *reporter) check(t *testing.T, result *gitops.Result) {
	t.Helper()
	asPublished(t, result)
	r.mu.Lock()
	defer r.mu.Unlock()
	underWay, ended := map[step.Name]bool{}, map[step.Name]step.Outcome{}
	var order []step.Name
	for _, e := range r.events {
		_, over := ended[e.step]
		switch e.kind {
		case "begin":
			if underWay[e.step] || over {
				t.Errorf("step %q begins twice", e.step)
			}
			underWay[e.step] = true
			order = append(order, e.step)
		case "progress":
			if !underWay[e.step] {
				t.Errorf("step %q makes progress and is not under way", e.step)
			}
		case "end":
			if !underWay[e.step] {
				t.Errorf("step %q ends and is not under way", e.step)
			}
			if e.outcome == "" {
				t.Errorf("step %q ends without an outcome", e.step)
			}
			delete(underWay, e.step)
			ended[e.step] = e.outcome
		}
	}
	if len(underWay) > 0 {
		t.Errorf("steps that never end: %v", underWay)
	}
	var got []step.Name
	for _, s := range result.Steps {
		got = append(got, s.Step)
		if s.Outcome != ended[s.Step] {
			t.Errorf("step %q ended as %s, the result says %s", s.Step, ended[s.Step], s.Outcome)
		}
	}
	if !slices.Equal(got, order) {
		t.Errorf("the result's steps are %q, they began as %q", got, order)
	}
}
