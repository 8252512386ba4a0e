package diagnostics

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/eksa-gitops/eksa-gitops/internal/jsonform"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// Document is the JSON form of a report (docs/output.md). A command that has more to say embeds it in a
// struct of its own and writes that with [WriteJSON]. No list in it is null.
type Document struct {
	Version  string                `json:"version"`  // of this form: eksa-gitops/v1
	Command  string                `json:"command"`  // the command that found it
	Files    []string              `json:"files"`    // all files that were checked
	Errors   int                   `json:"errors"`   // how many problems are errors
	Warnings int                   `json:"warnings"` // how many problems are warnings
	Problems []clusterspec.Problem `json:"problems"` // sorted by file and position
}

// Document gives the JSON form of the report.
func (r Report) Document() Document {
	d := Document{Version: jsonform.Version, Command: r.Command, Files: r.Files, Problems: r.sorted()}
	d.Errors, d.Warnings = r.Counts()
	if d.Files == nil {
		d.Files = []string{}
	}
	if d.Problems == nil {
		d.Problems = []clusterspec.Problem{}
	}
	return d
}

// WriteJSON writes a value as indented JSON with a line feed at its end. Characters that a terminal might
// obey are written as JSON escapes; a reader of the JSON gets them as they are.
func WriteJSON(w io.Writer, value any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := w.Write(ui.EscapeJSON(b.Bytes()))
	return err
}
