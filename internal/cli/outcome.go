package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// withoutGitOps is the exit code of a creation, or of its dry run, that went on without GitOps. By itself it
// is 0 only where the run has made a cluster, which is then what the run was for; what keeps GitOps from
// working has the code that it has everywhere.
func withoutGitOps(onFailure string, result *gitops.Result) exitCode {
	if onFailure == onFailureContinue || onFailure == "" && makesClusters(result) {
		return exitDone
	}
	switch code := exitCodeOf(result.Failure.Err); {
	case code == exitPermission:
		return code
	case errors.Is(result.Failure.Err, context.DeadlineExceeded) && !result.Changed:
		return code
	}
	return exitPartly
}

// makesClusters says whether a provisioner has made a cluster in this run, or would in the run that a dry run
// stands for.
func makesClusters(result *gitops.Result) bool {
	for _, c := range result.Clusters {
		if c.Provision != nil && c.Provision.Verb == gitops.VerbCreate &&
			(c.Provision.Done || result.DryRun) {
			return true
		}
	}
	return false
}

// resumeOf is the command that continues after err, which is command unless something else has to be done
// first: then there is none, and the error's hint says what.
func resumeOf(err error, command string) string {
	if errors.As(err, new(*gitops.UnfinishedClusterError)) {
		return ""
	}
	return command
}

// continueHint says how a run is continued. A command that reads standard input needs the same input again.
func continueHint(command string) string {
	for _, input := range []string{" -f - ", " -f- ", " --filename - ", " --filename=- "} {
		if strings.Contains(command+" ", input) {
			return "finished steps are kept; continue, with the same files on standard input, with: " +
				command
		}
	}
	return "finished steps are kept; continue with: " + command
}
