package github_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

func TestBranchName(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", files()).RenameBranch("main", "trunk")
	s := owner(t, gh)
	// From master GitHub leads to the default branch, though there never was one.
	for branch, want := range map[string]string{"trunk": "trunk", "main": "trunk", "master": "trunk",
		"other": ""} {
		got, err := s.BranchName(t.Context(), fleet(), branch)
		ok(t, err)
		equal(t, "name of "+branch, got, want)
	}
	for _, branch := range []string{"", ".", ".."} {
		_, err := s.BranchName(t.Context(), fleet(), branch)
		equal(t, "branch "+branch, err, error(&github.NameError{What: "a branch", Name: branch}))
	}
	gh.Break("GET /repos/acme/fleet/branches/down", githubtest.Respond(500, ""))
	_, err := s.BranchName(t.Context(), fleet(), "down")
	s.fails(err, github.ErrUnavailable,
		"reading branch down of acme/fleet: unavailable (HTTP 500): GitHub answers Internal Server Error",
		"GitHub has trouble; see its status page, then run the same command again")
}
