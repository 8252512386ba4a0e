package gitops

import (
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// PreflightError says everything that has to be put right first. Nothing was written anywhere, but that what
// an earlier run had left held of clusters was released.
type PreflightError struct {
	Findings []facts.Finding
	Released []string // the clusters
}

// Error joins the findings.
func (e *PreflightError) Error() string { return facts.MessagesOf(e.Findings) }

// AboutAccess says whether all that is wrong are credentials or permissions. With a fault in the spec or the
// cluster beside it, the run would not succeed with better credentials alone.
func (e *PreflightError) AboutAccess() bool {
	for _, f := range e.Findings {
		if f.Area != facts.AreaAccess {
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
