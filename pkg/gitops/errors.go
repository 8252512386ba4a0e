package gitops

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
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

// PreflightError says everything that has to be put right first. Nothing was written anywhere, but that what
// an earlier run had left held of clusters was released.
type PreflightError struct {
	Findings []Finding
	Released []string // the clusters
}

// Error joins the findings.
func (e *PreflightError) Error() string { return messagesOf(e.Findings) }

// messagesOf joins what findings say.
func messagesOf(findings []Finding) string {
	messages := make([]string, 0, len(findings))
	for _, f := range findings {
		messages = append(messages, f.Message)
	}
	return strings.Join(messages, "; ")
}

// AboutAccess says whether all that is wrong are credentials or permissions. With a fault in the spec or the
// cluster beside it, the run would not succeed with better credentials alone.
func (e *PreflightError) AboutAccess() bool {
	for _, f := range e.Findings {
		if f.Area != AreaAccess {
			return false
		}
	}
	return len(e.Findings) > 0
}

// IncompleteError says that a run did part of its job and can be continued by running it again.
type IncompleteError struct {
	Cause error
	What  string
}

// Error says what is missing and why.
func (e *IncompleteError) Error() string { return fmt.Sprintf("%s: %v", e.What, e.Cause) }

// Unwrap returns the cause.
func (e *IncompleteError) Unwrap() error { return e.Cause }

// unchanged adds to an error that came before the first write that it did, where the error is a refusal and
// so leaves no doubt.
func unchanged(err error) error {
	if facts.IsRuleError(err) && !strings.Contains(err.Error(), nothingChanged) {
		return fmt.Errorf("%w; %s", err, nothingChanged)
	}
	return err
}

const nothingChanged = "nothing has been changed"

// foundError is several findings of one kind, each with what helps, where an error is asked for: a planner
// has only that.
type foundError struct {
	findings []Finding
	hint     string // for all of them; empty is that of the first
}

func (e *foundError) Error() string { return messagesOf(e.findings) }

// Hint is how they, or the first of them, are put right.
func (e *foundError) Hint() string { return cmp.Or(e.hint, e.findings[0].Hint) }
