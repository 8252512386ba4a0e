package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/eksctl"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// exitCode is what the process returns. The codes are an interface: only ever added to (docs/exit-codes.md).
type exitCode int

const (
	exitDone        exitCode = 0
	exitUnexpected  exitCode = 1
	exitUsage       exitCode = 2
	exitSpec        exitCode = 3
	exitPermission  exitCode = 4
	exitPartly      exitCode = 5
	exitPlanned     exitCode = 7 // of a dry run with --detailed-exitcode
	exitInterrupted exitCode = 130
	exitUnread      exitCode = 141 // as a shell reports a program that SIGPIPE has ended
)

// usageError is a command line or configuration that cannot be understood.
type usageError struct {
	err  error
	hint string // what was probably meant; may be empty
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return e.hint }

func usagef(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

// interruptedError wraps what a command returned after a signal had ended its context.
type interruptedError struct {
	err    error
	resume string
}

// Error is one word, unless something is left that should not be.
func (e *interruptedError) Error() string {
	if left := new(gitops.StillPausedError); errors.As(e.err, &left) {
		return "interrupted; " + left.Error()
	}
	return "interrupted"
}
func (e *interruptedError) Unwrap() error { return e.err }
func (e *interruptedError) Hint() string {
	if resume := resumeOf(e.err, e.resume); resume != "" {
		return continueHint(resume)
	}
	return ""
}

// reportedError carries an exit code for a failure whose story the command has told already.
type reportedError struct{ code exitCode }

func (e *reportedError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// exitCodeOf is the one table from errors to exit codes.
func exitCodeOf(err error) exitCode {
	var reported *reportedError
	var preflight *gitops.PreflightError
	var noKubeconfig *fluxinstall.KubeconfigNotFoundError
	var unreachable *git.UnreachableError
	switch {
	case err == nil:
		return exitDone
	case crash.In(err) != nil: // whatever it is wrapped in: nobody knows what else is wrong
		return exitUnexpected
	case errors.As(err, &reported):
		return reported.code
	case errors.As(err, new(*interruptedError)), errors.As(err, new(*declinedError)):
		return exitInterrupted
	case errors.As(err, new(*usageError)):
		return exitUsage
	case errors.As(err, new(clusterspec.Problems)):
		return exitSpec
	case errors.As(err, &preflight):
		if preflight.AboutAccess() {
			return exitPermission
		}
		return exitSpec
	case errors.As(err, new(*gitops.StillPausedError)):
		return exitPartly
	case facts.IsRefusal(err):
		// Wherever the run was: the same command meets it again until somebody allows it.
		return exitPermission
	case errors.As(err, new(*gitops.IncompleteError)), errors.As(err, new(*eksctl.FailedError)),
		errors.As(err, &unreachable) && unreachable.OutcomeUnknown:
		return exitPartly
	case errors.Is(err, context.DeadlineExceeded):
		// Nothing has been written: what was done in part is an IncompleteError.
		return exitUnexpected
	case errors.As(err, new(*bundlesError)), errors.As(err, new(*noVerdictError)),
		errors.As(err, new(*fleetError)), errors.As(err, new(*contextTakenError)),
		errors.As(err, new(*status.UnknownClusterError)), isAboutFile(err),
		errors.As(err, new(*git.TreeLimitError)), errors.As(err, new(*git.LimitError)):
		return exitSpec
	case errors.As(err, new(*kubeconfigMissingError)), errors.As(err, new(*fluxinstall.KubeconfigError)),
		errors.As(err, new(*fluxinstall.UnreachableError)):
		return exitSpec
	case errors.As(err, &noKubeconfig):
		if slices.Contains(noKubeconfig.Known, noKubeconfig.Name) {
			return exitPartly // the cluster is there, its kubeconfig still to come
		}
		return exitSpec
	default:
		return exitUnexpected
	}
}

// printError writes an error and its hints, one line each, the way every command of the program does.
func printError(w io.Writer, err error) {
	var reported *reportedError
	if errors.As(err, &reported) {
		return
	}
	var problems clusterspec.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			printLines(w, "error", p.String())
		}
		printLines(w, "error", count(len(problems), "problem")+"; nothing has been changed")
		return
	}
	var preflight *gitops.PreflightError
	if errors.As(err, &preflight) {
		for _, f := range preflight.Findings {
			printLines(w, "error", f.Message)
			if f.Hint != "" {
				printLines(w, "hint", f.Hint)
			}
		}
		unchanged := "nothing has been changed"
		if len(preflight.Released) > 0 {
			unchanged = "nothing else has been changed" // the run's own words have told of the release
		}
		printLines(w, "error", unchanged)
		return
	}
	printLines(w, "error", err.Error())
	for _, help := range hintsOf(err) {
		printLines(w, "hint", help)
	}
}

// hintsOf collects the hints of an error and of everything it wraps, outermost first, each once.
func hintsOf(err error) []string {
	var hints []string
	for _, h := range hint.AllOf(err) {
		hints = append(hints, h.String())
	}
	return hints
}

// count renders a number with its noun: "1 problem", "3 problems".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
