package cli

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
)

// What a server says in lines is shown in lines, below what it was said to, and the hint stands alone.
func TestPrintError_lines(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("pushing to branch main: %w; nothing has been changed", &gitrepo.RejectedError{
		Remote: "https://github.com/acme/fleet.git", Branch: "main", Reason: "push declined due to repository rule violations",
		Server: "GH013: Repository rule violations found for refs/heads/main.\n- Commits must have verified signatures.\x1b[2J",
	})
	var shown bytes.Buffer
	printError(&shown, err)
	want := `eksa-gitops: error: pushing to branch main: https://github.com/acme/fleet.git: the server refused the push to main:
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
