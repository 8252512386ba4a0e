package diagnostics

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// The forms of a report.
const (
	FormatText   = "text"
	FormatJSON   = "json"
	FormatGitHub = "github"
	FormatSARIF  = "sarif"
)

// Formats lists the forms of a report, the one for people first.
func Formats() []string { return []string{FormatText, FormatJSON, FormatGitHub, FormatSARIF} }

// Report is what a command found out about files.
type Report struct {
	// Command is the command that made the report, without the program's name: "validate".
	Command string
	// Problems may come in any order and with repetitions.
	Problems []clusterspec.Problem
	// Files are the names of all files that were checked, the good ones included.
	Files []string
	// Sources are the files' contents by name, for excerpts. A file that is missing here is shown without
	// one.
	Sources map[string][]byte
	// Rules says in a sentence each what the command's own rules are about, by name; those of clusterspec are
	// known.
	Rules map[string]string
	// ToolVersion is the program's version, which SARIF names. It may be empty.
	ToolVersion string
}

// Write writes the report in one of the [Formats]; an empty format is text. colour adds colours to text and
// means nothing to the other forms. A report without problems writes no text at all; the other forms always
// write a complete document. The error is the writer's, or says that there is no such format.
func (r Report) Write(w io.Writer, format string, colour bool) error {
	switch format {
	case FormatText, "":
		return r.writeText(w, colour)
	case FormatJSON:
		return WriteJSON(w, r.Document())
	case FormatGitHub:
		return r.writeGitHub(w)
	case FormatSARIF:
		return r.writeSARIF(w)
	}
	return fmt.Errorf("there is no format %q; formats are %s", format, strings.Join(Formats(), ", "))
}

// Counts says how many errors and warnings the report holds, repetitions not counted. Notices are neither.
func (r Report) Counts() (errors, warnings int) {
	for _, p := range r.sorted() {
		switch p.Severity {
		case clusterspec.SeverityNotice:
		case clusterspec.SeverityWarning:
			warnings++
		default:
			errors++
		}
	}
	return errors, warnings
}

// Summary says in one line how much is wrong: "2 errors, 1 warning in 3 files". When only some of the files
// have problems it says so: "1 error in 1 of 3 files".
func (r Report) Summary() string {
	return r.summary(r.sorted())
}

func (r Report) summary(problems []clusterspec.Problem) string {
	errors, warnings := 0, 0
	affected := map[string]bool{}
	files := map[string]bool{}
	for _, name := range r.Files {
		files[name] = true
	}
	for _, p := range problems {
		switch p.Severity {
		case clusterspec.SeverityNotice:
			continue
		case clusterspec.SeverityWarning:
			warnings++
		default:
			errors++
		}
		if p.File != "" {
			affected[p.File], files[p.File] = true, true
		}
	}
	var counts []string
	if errors > 0 {
		counts = append(counts, count(errors, "error"))
	}
	if warnings > 0 {
		counts = append(counts, count(warnings, "warning"))
	}
	if len(counts) == 0 {
		counts = append(counts, "no problems")
	}
	text := strings.Join(counts, ", ")
	switch {
	case len(files) == 0:
		return text
	case len(affected) == len(files) || len(affected) == 0:
		return text + " in " + count(len(files), "file")
	default:
		return fmt.Sprintf("%s in %d of %s", text, len(affected), count(len(files), "file"))
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// sorted gives the problems by file, in the order of Files, and position, each once. Problems of no file come
// first, those of files that are not in Files last.
func (r Report) sorted() []clusterspec.Problem {
	rank := map[string]int{"": -1}
	for i, name := range r.Files {
		if _, ok := rank[name]; !ok {
			rank[name] = i
		}
	}
	rankOf := func(file string) int {
		if n, ok := rank[file]; ok {
			return n
		}
		return len(r.Files)
	}
	problems := slices.Clone(r.Problems)
	slices.SortStableFunc(problems, func(a, b clusterspec.Problem) int {
		return cmp.Or(
			cmp.Compare(rankOf(a.File), rankOf(b.File)), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Field, b.Field),
			cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Message, b.Message),
			cmp.Compare(a.Object, b.Object), cmp.Compare(a.Rule, b.Rule),
		)
	})
	return slices.Compact(problems)
}
