package step

import "time"

// Name is what one step of a run is called, in the imperative and for people: "Push cluster files to main".
type Name string

// Outcome is how a step ended.
type Outcome string

// The outcomes of a step. A run all of whose steps are unchanged or skipped has written nothing anywhere.
const (
	OutcomeUnchanged Outcome = "unchanged" // everything was there already
	OutcomeChanged   Outcome = "changed"   // something was written
	OutcomeChecked   Outcome = "checked"   // a step that only reads, and found what it should
	OutcomePlanned   Outcome = "planned"   // a dry run: this is what would be written
	OutcomeSkipped   Outcome = "skipped"   // not done, because an earlier step failed or it does not apply
	OutcomeFailed    Outcome = "failed"
)

// Level says how much a note matters.
type Level string

// The levels of a note.
const (
	LevelInfo    Level = "info"
	LevelWarning Level = "warning"
)

// Reporter is told what a run does while it does it. Its methods are called from several goroutines at once
// and must return quickly. Nothing passed to it holds a secret; text that came from another system may hold
// control characters.
type Reporter interface {
	// Begin says that a step starts. Several steps may be under way at once.
	Begin(step Name)
	// Progress says what a step that is under way is doing or waiting for.
	Progress(step Name, detail string)
	// Part says how one of the things goes that a step under way does at the same time. All parts are told of
	// when the step begins, and each again when it changes.
	Part(step Name, part Part)
	// End says how a step that was begun ended; detail is a few words such as "5 files, 3f2a1bc", and may be
	// empty.
	End(step Name, outcome Outcome, detail string)
	// Note passes on something to know that belongs to no step.
	Note(level Level, text string)
}

// PartState is how a [Part] goes.
type PartState string

// The states of a part.
const (
	PartWaiting PartState = "waiting" // on its way
	PartFailing PartState = "failing" // something is wrong; it may pass
	PartDone    PartState = "done"
)

// Part is one of the things that a step does at the same time, such as a cluster that becomes Ready.
type Part struct {
	Name   string
	State  PartState
	Detail string // what it waits for, or what is wrong
}

// Result is the record of one step.
type Result struct {
	Step     Name          `json:"step"`                 // its name, for people
	Outcome  Outcome       `json:"outcome"`              // how it ended
	Detail   string        `json:"detail,omitempty"`     // a few words on that
	Duration time.Duration `json:"-"`                    // the time that it took
	Millis   int64         `json:"durationMilliseconds"` // the time that it took
}

// silent is the Reporter of callers that gave none.
type silent struct{}

func (silent) Begin(Name)                {}
func (silent) Progress(Name, string)     {}
func (silent) Part(Name, Part)           {}
func (silent) End(Name, Outcome, string) {}
func (silent) Note(Level, string)        {}
