package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/eksctl"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// refusals are all kinds of errors that say that somebody has to allow something first.
var refusals = map[string]error{
	"token":                       github.ErrAuthentication,
	"right at GitHub":             github.ErrPermission,
	"single sign-on":              github.ErrSSO,
	"policy at GitHub":            github.ErrPolicy,
	"plan at GitHub":              github.ErrPlan,
	"credentials for Git":         &git.AuthError{},
	"right in Git":                &git.PermissionError{},
	"hook":                        &git.RejectedError{},
	"right in the cluster":        &fluxinstall.ForbiddenError{Err: errors.New("forbidden")},
	"credentials for the cluster": &fluxinstall.CredentialsError{},
	"admission policy":            &fluxinstall.RefusedError{Policy: true, Err: errors.New("denied")},
	"right that preflight missed": &gitops.PreflightError{
		Findings: []facts.Finding{{Area: facts.AreaAccess}}},
	"right, seen at the same time":  errors.Join(errors.New("the wait is over"), github.ErrPermission),
	"right, as a finding of GitHub": fmt.Errorf("reading: %w", github.ErrPermission),
}

// A refusal has one code, before the first write, after it, and where it is why GitOps is not enabled.
func TestExitCode_refusals(t *testing.T) {
	t.Parallel()
	for name, err := range refusals {
		for place, wrapped := range map[string]error{
			"alone": err, "in a step": fmt.Errorf("pushing: %w", err),
			"after a write": &gitops.IncompleteError{What: "the upgrade is not complete", Cause: err},
			"beside a cluster that is not Ready": &gitops.IncompleteError{What: "x",
				Cause: errors.Join(&fluxinstall.NotReadyError{Object: "Cluster a/b"}, err)},
			"to be continued": &resumeError{err: err},
		} {
			if code := exitCodeOf(wrapped); code != exitPermission {
				t.Errorf("%s, %s: exit code %d, want %d", name, place, code, exitPermission)
			}
		}
		result := &gitops.Result{Failure: &gitops.Failure{Err: err}}
		if code := withoutGitOps("", result); code != exitPermission {
			t.Errorf("%s, GitOps not enabled: exit code %d, want %d", name, code, exitPermission)
		}
	}
}

func TestExitCode_others(t *testing.T) {
	t.Parallel()
	limit := fmt.Errorf("reading the repository: %w", &timeoutError{limit: time.Second})
	for name, tc := range map[string]struct {
		err  error
		want exitCode
	}{
		"nothing":                    {nil, exitDone},
		"unexpected":                 {errors.New("odd"), exitUnexpected},
		"limit before a write":       {limit, exitUnexpected},
		"limit of a library":         {context.DeadlineExceeded, exitUnexpected},
		"limit after a write":        {&gitops.IncompleteError{What: "x", Cause: limit}, exitPartly},
		"push that may have arrived": {&git.UnreachableError{OutcomeUnknown: true}, exitPartly},
		"server that is away":        {&git.UnreachableError{}, exitUnexpected},
		"eksctl":                     {&eksctl.FailedError{}, exitPartly},
		"pause left": {errors.Join(github.ErrPermission, &gitops.StillPausedError{Err: errors.New("x")}),
			exitPartly},
		"invalid object": {
			&gitops.IncompleteError{What: "x", Cause: &fluxinstall.RefusedError{Err: errors.New("invalid")}},
			exitPartly},
		"interrupt, whatever it met": {&interruptedError{err: github.ErrPermission}, exitInterrupted},
		"usage":                      {usagef("odd"), exitUsage},
		"file":                       {clusterspec.Problems{{}}, exitSpec},
		"cluster and right": {&gitops.PreflightError{Findings: []facts.Finding{{Area: facts.AreaCluster},
			{Area: facts.AreaAccess}}},
			exitSpec},
		"API server that is not reached": {&fluxinstall.UnreachableError{Err: errors.New("refused")},
			exitSpec},
	} {
		if code := exitCodeOf(tc.err); code != tc.want {
			t.Errorf("%s: exit code %d, want %d", name, code, tc.want)
		}
	}
}

// A creation that goes on without GitOps ends with 0 only where it has made a cluster, or where that was
// asked for.
func TestExitCode_withoutGitOps(t *testing.T) {
	t.Parallel()
	made := []gitops.ClusterResult{{Provision: &gitops.ProvisionResult{Verb: gitops.VerbCreate, Done: true}}}
	planned := []gitops.ClusterResult{{Provision: &gitops.ProvisionResult{Verb: gitops.VerbCreate}}}
	for name, tc := range map[string]struct {
		flag     string
		clusters []gitops.ClusterResult
		changed  bool
		dryRun   bool
		cause    error
		want     exitCode
	}{
		"nothing made":           {cause: github.ErrUnavailable, want: exitPartly},
		"nothing made, continue": {flag: onFailureContinue, cause: github.ErrPermission, want: exitDone},
		"cluster made": {clusters: made, changed: true, cause: github.ErrPermission,
			want: exitDone},
		"cluster made, fail": {flag: onFailureFail, clusters: made, changed: true, cause: github.ErrPolicy,
			want: exitPermission},
		"cluster not made": {clusters: planned, cause: github.ErrUnavailable, want: exitPartly},
		"dry run that would make it": {clusters: planned, dryRun: true, cause: github.ErrUnavailable,
			want: exitDone},
		"dry run of a refusal":           {dryRun: true, cause: github.ErrPolicy, want: exitPermission},
		"time limit before any write":    {cause: &timeoutError{}, want: exitUnexpected},
		"time limit after a first write": {changed: true, cause: &timeoutError{}, want: exitPartly},
	} {
		result := &gitops.Result{Clusters: tc.clusters, Changed: tc.changed, DryRun: tc.dryRun,
			Failure: &gitops.Failure{Err: tc.cause}}
		if code := withoutGitOps(tc.flag, result); code != tc.want {
			t.Errorf("%s: exit code %d, want %d", name, code, tc.want)
		}
	}
}

// A command that is suggested works: none is where something has to be cleared away first, and one that reads
// standard input says so.
func TestResume(t *testing.T) {
	t.Parallel()
	const command = "eksa-gitops create cluster -f mgmt.yaml"
	if got := continueHint(command); got != "finished steps are kept; continue with: "+command {
		t.Errorf("hint %q", got)
	}
	for _, input := range []string{"-f -", "-f-", "--filename -", "--filename=-"} {
		command := "eksa-gitops create cluster " + input
		if got := continueHint(command); got !=
			"finished steps are kept; continue, with the same files on standard input, with: "+command {
			t.Errorf("hint %q", got)
		}
	}
	unfinished := &gitops.IncompleteError{What: "cluster mgmt was not created",
		Cause: &gitops.UnfinishedClusterError{Cluster: "mgmt", Err: &eksctl.FailedError{}}}
	if got := resumeOf(unfinished, command); got != "" {
		t.Errorf("continued with %q", got)
	}
	if got := (&interruptedError{err: unfinished, resume: command}).Hint(); got != "" {
		t.Errorf("an interrupt is continued with %q", got)
	}
}

// What a server says in lines is shown in lines, below what it was said to, and the hint stands alone.
func TestPrintError_lines(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("pushing to branch main: %w; nothing has been changed", &git.RejectedError{
		Remote: "https://github.com/acme/fleet.git", Branch: "main",
		Reason: "push declined due to repository rule violations",
		Server: "GH013: Repository rule violations found for refs/heads/main.\n" +
			"- Commits must have verified signatures.\x1b[2J",
	})
	var shown bytes.Buffer
	printError(&shown, err)
	want :=
		`eksa-gitops: error: pushing to branch main: https://github.com/acme/fleet.git: the server refused the push to main:
eksa-gitops: error:   GH013: Repository rule violations found for refs/heads/main.
eksa-gitops: error:   - Commits must have verified signatures.\x1b[2J
eksa-gitops: error: with the status: push declined due to repository rule violations; nothing has been changed
eksa-gitops: hint: eksa-gitops does not sign its commits: have an administrator let this account pass the rule, or name a branch without it in spec.branch
`
	if shown.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", shown.String(), want)
	}
	if code := exitCodeOf(err); code != exitPermission {
		t.Errorf("exit code %d, want %d", code, exitPermission)
	}
}
