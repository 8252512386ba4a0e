package gitops

import "testing"

// TestCommitMessage_isFound: what a run writes into its commit is what a later one looks for.
func TestCommitMessage_isFound(t *testing.T) {
	t.Parallel()
	r := &run{settings: Settings{ToolVersion: "v1.2.3"}}
	want := "Create clusters\n\nEksa-Gitops-Version: v1.2.3\nEksa-Gitops-Clusters: dev w01\n"
	if got := r.commitMessage("Create clusters", []string{"dev", "w01"}); got != want {
		t.Errorf("the message is %q, want %q", got, want)
	}
}
