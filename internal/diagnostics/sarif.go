package diagnostics

import (
	"cmp"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// projectURI is where the program's documentation is.
const projectURI = "https://github.com/eksa-gitops/eksa-gitops"

// writeSARIF writes a log in SARIF 2.1.0, the form that code scanning services read. Columns count
// characters, as everywhere in the program, and the log says so.
func (r Report) writeSARIF(w io.Writer) error {
	problems := r.sorted()
	run := sarif.NewRunWithInformationURI("eksa-gitops", projectURI)
	run.ColumnKind = new("unicodeCodePoints")
	if r.ToolVersion != "" {
		run.Tool.Driver.Version = &r.ToolVersion
	}
	var used []string
	for _, p := range problems {
		if !slices.Contains(used, p.Rule) {
			used = append(used, p.Rule)
		}
	}
	slices.Sort(used)
	summaries := ruleSummaries()
	for _, name := range used {
		rule := run.AddRule(name)
		if summary := cmp.Or(summaries[name], r.Rules[name]); summary != "" {
			text := sarif.NewMultiformatMessageString().WithText(summary)
			rule.WithShortDescription(text).WithHelp(text)
		}
	}
	for _, p := range problems {
		level := "error"
		switch p.Severity {
		case clusterspec.SeverityWarning:
			level = "warning"
		case clusterspec.SeverityNotice:
			level = "note"
		}
		message := p
		message.File = ""
		result := run.CreateResultForRule(p.Rule).WithLevel(level).
			WithMessage(sarif.NewTextMessage(message.String()))
		if p.File == "" {
			continue
		}
		place := sarif.NewPhysicalLocation().WithArtifactLocation(artifact(p.File))
		if p.Line > 0 {
			region := sarif.NewRegion().WithStartLine(p.Line)
			if p.Column > 0 {
				region.WithStartColumn(p.Column)
			}
			place.WithRegion(region)
		}
		location := sarif.NewLocationWithPhysicalLocation(place)
		if p.Object != "" {
			name := strings.TrimSuffix(p.Object+"/"+p.Field, "/")
			location.AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(name))
		}
		result.AddLocation(location)
	}
	log := sarif.NewReport().AddRun(run)
	return WriteJSON(w, log)
}

// artifact names a file by its URI: relative ones are relative to the root of the source, which is the
// directory of the run.
func artifact(file string) *sarif.ArtifactLocation {
	path := filepath.ToSlash(file)
	if filepath.IsAbs(file) {
		if !strings.HasPrefix(path, "/") {
			path = "/" + path // a drive letter
		}
		return sarif.NewSimpleArtifactLocation((&url.URL{Scheme: "file", Path: path}).String())
	}
	return sarif.NewSimpleArtifactLocation((&url.URL{Path: path}).String()).WithURIBaseID("%SRCROOT%")
}
