package ui

import (
	"io"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

// sink is where everything goes that the program prints: what it writes holds no secret that the redactor can
// tell. JSON stays JSON.
//
// A secret is found within one write, so text is written whole: a line, a table, a document at a time.
type sink struct {
	w        io.Writer
	redactor *redact.Redactor
}

// Write implements [io.Writer].
func (s *sink) Write(text []byte) (int, error) {
	shown, isJSON := s.redactor.JSON(text)
	if isJSON {
		shown = EscapeJSON(shown)
	} else {
		shown = []byte(s.redactor.Text(string(text)))
	}
	if n, err := s.w.Write(shown); err != nil {
		// How much of the text that was is not known.
		return min(n, len(text)), err
	}
	return len(text), nil
}

// Guarded are the streams with secrets taken out of all that is written to standard output and standard
// error. The redactor may get to know further secrets later.
func (s Streams) Guarded(redactor *redact.Redactor) Streams {
	s.Out, s.Err = &sink{s.Out, redactor}, &sink{s.Err, redactor}
	return s
}

// Data is standard output for what a user has asked for as it is: a kubeconfig with its credentials, a
// cluster file. Nothing else is written to it.
func (s Streams) Data() io.Writer {
	if guarded, ok := s.Out.(*sink); ok {
		return guarded.w
	}
	return s.Out
}
