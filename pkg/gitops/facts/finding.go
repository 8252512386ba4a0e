package facts

import (
	"cmp"
	"strings"
)

// Area is what a preflight finding is about; it decides the exit code.
type Area string

// The areas of findings.
const (
	AreaSpec    Area = "spec"    // the file, or what it asks for here
	AreaCluster Area = "cluster" // the kubeconfig, the cluster behind it, or what is installed there
	AreaAccess  Area = "access"  // a credential or a permission
	AreaLocal   Area = "local"   // a file on this machine that the run has to write
)

// Finding is one thing that a preflight check found wrong.
type Finding struct {
	Area    Area   `json:"area"`           // what it is about
	Message string `json:"message"`        // what is wrong
	Hint    string `json:"hint,omitempty"` // what helps
}

// Finding is one about the area; hint may be empty.
func (a Area) Finding(message, hint string) Finding {
	return Finding{Area: a, Message: message, Hint: hint}
}

// FoundError is several findings of one kind, each with what helps, where an error is asked for: a planner
// has only that.
type FoundError struct {
	Findings []Finding
	ForAll   string // the hint for all of them; empty is that of the first
}

func (e *FoundError) Error() string { return MessagesOf(e.Findings) }

// Hint is how they, or the first of them, are put right.
func (e *FoundError) Hint() string { return cmp.Or(e.ForAll, e.Findings[0].Hint) }

// Found is an error of findings; nil without any.
func Found(findings ...Finding) error {
	if len(findings) == 0 {
		return nil
	}
	return &FoundError{Findings: findings}
}

// MessagesOf joins what findings say.
func MessagesOf(findings []Finding) string {
	messages := make([]string, 0, len(findings))
	for _, f := range findings {
		messages = append(messages, f.Message)
	}
	return strings.Join(messages, "; ")
}
