package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// jsonMessages is a standard error on which messages are events, as with --progress json.
type jsonMessages struct{ io.Writer }

// messagesAsJSON makes everything that is said from now on an event. It may be repeated.
func (d *deps) messagesAsJSON() {
	if _, already := d.streams.Err.(jsonMessages); !already {
		d.streams.Err = jsonMessages{d.streams.Err}
	}
}

// printLines writes a message (error, hint, warning, info): each of its lines after the program's name and what it is, or all of it as one
// event.
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
	fields := map[string]string{"time": time.Now().UTC().Format(time.RFC3339Nano), "event": kind, "text": message}
	if kind != "error" && kind != "hint" {
		fields["event"], fields["level"] = "note", kind
	}
	line, err := json.Marshal(fields)
	if err != nil {
		line = []byte(`{"event":"error"}`) // of strings alone that does not come to be
	}
	fmt.Fprintf(m.Writer, "%s\n", ui.EscapeJSON(line))
}
