package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// jsonMessages is a standard error on which messages are events, as with --progress json.
type jsonMessages struct{ io.Writer }

// messagesAsJSON makes everything that is said from now on an event. It may be repeated.
func (d *deps) messagesAsJSON() {
	if _, already := d.streams.Err.(jsonMessages); !already {
		d.streams.Err = jsonMessages{d.streams.Err}
	}
}

// printLines writes a message (error, hint, warning, info): each of its lines after the program's name and
// what it is, or all of it as one event.
func printLines(w io.Writer, kind, message string) {
	message = strings.TrimRight(text.Plain(message), "\n")
	if events, ok := w.(jsonMessages); ok {
		events.message(kind, message)
		return
	}
	for line := range strings.SplitSeq(ui.Clean(message), "\n") {
		fmt.Fprintf(w, "eksa-gitops: %s: %s\n", kind, line)
	}
}

// message writes one event. What belongs to no step is a note, but for errors and what helps against them.
func (m jsonMessages) message(kind, message string) {
	event := ui.Event{Event: ui.EventKind(kind), Text: &message}
	if event.Event != ui.EventError && event.Event != ui.EventHint {
		event.Event, event.Level = ui.EventNote, step.Level(kind)
	}
	ui.WriteEvent(m.Writer, time.Now(), event)
}
