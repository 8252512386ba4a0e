package diagnostics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// DocumentVersion is the version of the JSON form. Within a version fields are only ever added.
const DocumentVersion = "eksa-gitops/v1"

// Document is the JSON form of a report (docs/output.md). A command that has more to say embeds it in a struct of its own and writes
// that with [WriteJSON]. No list in it is null.
type Document struct {
	Version string `json:"version"`
	Command string `json:"command"`
	// Files are all files that were checked.
	Files    []string              `json:"files"`
	Errors   int                   `json:"errors"`
	Warnings int                   `json:"warnings"`
	Problems []clusterspec.Problem `json:"problems"`
}

// Document gives the JSON form of the report.
func (r Report) Document() Document {
	d := Document{Version: DocumentVersion, Command: r.Command, Files: r.Files, Problems: r.sorted()}
	d.Errors, d.Warnings = r.Counts()
	if d.Files == nil {
		d.Files = []string{}
	}
	if d.Problems == nil {
		d.Problems = []clusterspec.Problem{}
	}
	return d
}

// WriteJSON writes a value as indented JSON with a line feed at its end. Characters that a terminal might obey are written as JSON
// escapes; a reader of the JSON gets them as they are.
func WriteJSON(w io.Writer, value any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := w.Write(escapeUnsafe(b.Bytes()))
	return err
}

// escapeUnsafe replaces control and formatting characters beyond ASCII by JSON escapes. In JSON such characters stand only in strings,
// and encoding/json has escaped the ASCII ones.
func escapeUnsafe(data []byte) []byte {
	unsafe := func(r rune) bool { return r >= 0x7F && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }
	if bytes.IndexFunc(data, unsafe) < 0 {
		return data
	}
	var b bytes.Buffer
	for _, r := range string(data) {
		switch {
		case !unsafe(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
