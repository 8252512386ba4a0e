package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// Event is one line of --progress json. Which fields it has depends on its kind.
type Event struct {
	// Detail is of progress, what the step does or waits for; of part and end, a few words. It may be empty.
	Detail  *string        `json:"detail,omitempty"`
	Event   EventKind      `json:"event"`             // what kind it is of
	Level   step.Level     `json:"level,omitempty"`   // of note: how much it matters
	Outcome step.Outcome   `json:"outcome,omitempty"` // of end: how the step ended
	Part    string         `json:"part,omitempty"`    // of part: the name of what it is about
	Program string         `json:"program,omitempty"` // of output: the program that printed the line
	State   step.PartState `json:"state,omitempty"`   // of part: how it goes
	Step    step.Name      `json:"step,omitempty"`    // of begin, progress, part and end: the step's name
	// Text is of note, output, error and hint, what is said. It may be empty.
	Text *string `json:"text,omitempty"`
	Time string  `json:"time"` // when it happened, RFC 3339
}

// EventKind is what an [Event] tells.
type EventKind string

// The kinds of events.
const (
	EventBegin    EventKind = "begin"    // a step begins
	EventProgress EventKind = "progress" // what a step does or waits for
	EventPart     EventKind = "part"     // how one of the things goes that a step does at the same time
	EventEnd      EventKind = "end"      // a step has ended
	EventNote     EventKind = "note"     // something to know that belongs to no step
	EventOutput   EventKind = "output"   // a line that another program has printed
	EventError    EventKind = "error"    // what went wrong
	EventHint     EventKind = "hint"     // what helps against an error
)

// WriteEvent writes an event as one line, with the time. Characters that a terminal might obey are written as
// JSON escapes.
func WriteEvent(w io.Writer, at time.Time, event Event) {
	event.Time = at.UTC().Format(time.RFC3339Nano)
	line, err := json.Marshal(event)
	if err != nil {
		line = []byte(`{"event":"error"}`) // of strings alone that does not come to be
	}
	fmt.Fprintf(w, "%s\n", EscapeJSON(line))
}
