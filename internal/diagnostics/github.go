package diagnostics

import (
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// writeGitHub writes workflow commands, which GitHub Actions turns into annotations of a pull request's files
// (GitHub's documentation on workflow commands; the escapes are those of its toolkit). The last line is for
// readers of the log.
func (r Report) writeGitHub(w io.Writer) error {
	var out strings.Builder // written at once: half a secret is not known as one
	problems := r.sorted()
	for _, p := range problems {
		command := "error"
		if p.Severity == clusterspec.SeverityWarning || p.Severity == clusterspec.SeverityNotice {
			command = string(p.Severity)
		}
		var properties []string
		message := ""
		if p.File == "stdin" {
			// There is no file to put the annotation on.
			message = strings.TrimSuffix(
				clusterspec.Problem{File: p.File, Line: p.Line, Column: p.Column}.String(), " ") + " "
		} else if p.File != "" {
			properties = append(properties, "file="+property(filepath.ToSlash(p.File)))
			if p.Line > 0 {
				properties = append(properties, "line="+strconv.Itoa(p.Line))
				if p.Column > 0 {
					properties = append(properties, "col="+strconv.Itoa(p.Column))
				}
			}
		}
		properties = append(properties, "title="+property("eksa-gitops: "+p.Rule))
		p.File = ""
		out.WriteString("::" + command + " " + strings.Join(properties, ",") + "::" +
			escapeData(message+p.String()) + "\n")
	}
	if len(problems) > 0 {
		out.WriteString(r.summary(problems) + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// escapeData escapes the message of a workflow command.
func escapeData(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(ui.Clean(text))
}

// property escapes a property of a workflow command, which may not hold its separators either.
func property(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escapeData(text))
}
