package clusterspec

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// Severity says whether a problem stops the work.
type Severity string

// The severities of a problem.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	// SeverityNotice is for what is only told, such as what a change does. Parse never uses it.
	SeverityNotice Severity = "notice"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	Severity Severity `json:"severity"` // whether it stops the work
	// Rule is a short, stable name for the kind of problem, such as "unknown-field".
	Rule string `json:"rule"`
	// File is the name of the source. Only a problem of the whole run has none.
	File string `json:"file,omitempty"`
	// Document counts the YAML documents of the file that hold something, from 1; none is the whole file.
	Document int    `json:"document,omitempty"`
	Line     int    `json:"line,omitempty"`   // in the file, from 1; none is unknown
	Column   int    `json:"column,omitempty"` // in the line, from 1, in characters; none is unknown
	Object   string `json:"object,omitempty"` // kind and name, "Cluster dev"
	Field    string `json:"field,omitempty"`  // a path such as "spec.workerNodeGroupConfigurations[0].count"
	Message  string `json:"message"`          // what is wrong
	Found    string `json:"found,omitempty"`  // what is there, where that can be said shortly
	// Expected is what would be right, where that can be said shortly.
	Expected string `json:"expected,omitempty"`
	// Suggestion is the text that was probably meant, to put in the place of what was found.
	Suggestion string `json:"suggestion,omitempty"`

	// Help is the part of Message or Expected that names what this project does, if there is one; they repeat
	// it in the words of the library.
	Help hint.Hint `json:"-"`
}

// Reword puts the problem into the words of a program.
func (p *Problem) Reword(words hint.Words) {
	before, after := p.Help.String(), p.Help.In(words)
	if before == "" {
		return
	}
	p.Message = strings.ReplaceAll(p.Message, before, after)
	p.Expected = strings.ReplaceAll(p.Expected, before, after)
	p.Help = hint.Plain(after)
}

// String gives the problem in one line: position, object, field, message, what was found and what would be
// right.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			b.WriteString(":" + strconv.Itoa(p.Line))
			if p.Column > 0 {
				b.WriteString(":" + strconv.Itoa(p.Column))
			}
		}
		b.WriteString(": ")
	}
	for _, part := range []string{p.Object, p.Field} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	b.WriteString(p.Text())
	return b.String()
}

// Text is the message with what was found, what would be right and the suggestion, without the position.
func (p Problem) Text() string {
	text := p.Message
	if p.Found != "" {
		text += "; found " + p.Found
	}
	if p.Expected != "" {
		text += "; expected " + p.Expected
	}
	if p.Suggestion != "" {
		text += fmt.Sprintf("; did you mean %q?", p.Suggestion)
	}
	return text
}

// Problems are all that is wrong with the files of a run, sorted by file, line and column. It is the error of
// [Parse].
type Problems []Problem

// Error gives all problems, one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders problems by position and drops exact repetitions.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(p)
}

// maxProblems bounds what is told about one run.
const maxProblems = 1000

// bounded cuts a list that is too long for anybody to read, and says so in its last problem.
func (p Problems) bounded() Problems {
	if len(p) <= maxProblems {
		return p
	}
	last := p[maxProblems]
	return append(p[:maxProblems:maxProblems], Problem{
		Severity: last.Severity, Rule: "too-many-problems", File: last.File, Line: last.Line,
		Column: last.Column,
		Message: fmt.Sprintf("the first %d problems are shown; from here on there are %d more",
			maxProblems, len(p)-maxProblems),
	})
}

// mostQuoted is how many characters of a value are shown.
const mostQuoted = 60

// quote shows a value from a file: shortened, so that a certificate does not fill the screen, and without
// control characters.
func quote(value string) string {
	value = redact.Text(value)
	if runes := []rune(value); len(runes) > mostQuoted {
		value = string(runes[:mostQuoted]) + "…"
	}
	return strconv.Quote(value)
}
