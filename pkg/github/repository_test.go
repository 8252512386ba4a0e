package github_test

import (
	"errors"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

func newFleet() github.NewRepository {
	return github.NewRepository{Ref: fleet(), Private: true, Description: "clusters"}
}

func TestRepository(t *testing.T) {
	t.Parallel()
	gh := world(t)
	before := time.Now().Truncate(time.Second) // GitHub's times have whole seconds
	repo := gh.AddRepo("acme/fleet", files(), githubtest.DefaultBranch("trunk"),
		githubtest.Grant("bob", githubtest.Push))
	for login, may := range map[string]github.Permissions{
		"alice": {Admin: true, Maintain: true, Push: true, Pull: true},
		"bob":   {Push: true, Pull: true},
	} {
		got, err := connect(t, gh, gh.AddClassicToken(login, "repo")).Repository(t.Context(),
			github.RepoRef{Owner: "ACME", Name: "Fleet"})
		ok(t, err)
		if got.Created.Before(before) || got.Created.After(time.Now()) {
			t.Errorf("created at %s", got.Created)
		}
		got.Created = time.Time{}
		equal(t, "repository", *got, github.Repository{Ref: fleet(), URL: gh.GitURL() + "acme/fleet",
			Private: true, DefaultBranch: "trunk", Permissions: may})
	}
	s := owner(t, gh)
	_, err := s.Repository(t.Context(), github.RepoRef{Owner: "acme", Name: "none"})
	s.fails(err, github.ErrNotFound, "reading repository acme/none: not found (HTTP 404): Not Found",
		"check the name; what a token may not see looks to it as if it did not exist")

	repo.Rename("estate")
	repo.Archive()
	got, err := s.Repository(t.Context(), fleet())
	ok(t, err)
	equal(t, "renamed", []any{got.Ref, got.Archived},
		[]any{github.RepoRef{Owner: "acme", Name: "estate"}, true})
}

func TestRepository_emptyAnswer(t *testing.T) {
	t.Parallel()
	gh := world(t)
	s := owner(t, gh)
	for _, body := range []string{"", "{}", `{"name":"fleet"}`} {
		off := gh.Break("GET /repos/acme/fleet", githubtest.Respond(200, body))
		_, err := s.Repository(t.Context(), fleet())
		s.fails(err, github.ErrUnexpected,
			"reading repository acme/fleet: unexpected answer: the answer describes no repository", "")
		off()
	}
}

func TestEnsureRepository(t *testing.T) {
	t.Parallel()
	for name, wanted := range map[string]github.NewRepository{
		"organization": newFleet(),
		"personal": {Ref: github.RepoRef{Owner: "Alice", Name: "fleet"}, Personal: true, Private: true,
			Description: "clusters"},
		"public": {Ref: fleet()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			s := owner(t, gh)
			made, created, err := s.EnsureRepository(t.Context(), wanted)
			ok(t, err)
			repo := gh.Repo(wanted.Ref.String())
			equal(t, "made", []any{created, made.Private, made.Permissions.Admin,
				repo.Private(), repo.Description(), len(repo.Git().Branches())},
				[]any{true, wanted.Private, true, wanted.Private, wanted.Description, 0})

			mark := gh.Mark()
			again, created, err := s.EnsureRepository(t.Context(), wanted)
			ok(t, err)
			equal(t, "again", []any{created, *again}, []any{false, *made})
			equal(t, "mutations", s.mutations(mark), nil)
			equal(t, "requests", len(gh.Since(mark).Requests), 1)
		})
	}
}

// What exists is not changed, whatever is wanted.
func TestEnsureRepository_leavesSettingsAlone(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", githubtest.Public(), githubtest.Description("ours"))
	s := owner(t, gh)
	_, created, err := s.EnsureRepository(t.Context(), newFleet())
	ok(t, err)
	equal(t, "repository", []any{created, gh.Repo("acme/fleet").Private(),
		gh.Repo("acme/fleet").Description(), len(gh.Mutations())},
		[]any{false, false, "ours", 0})
}

func TestEnsureRepository_heals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		setUp   func(*githubtest.Server)
		created bool
		posts   []string
	}{
		"reply lost": {func(gh *githubtest.Server) {
			gh.SetCreationLag(githubtest.Lag{}) // "seen late" is a case of its own
			gh.Break("POST /orgs/acme/repos", githubtest.LoseReply(), githubtest.Times(1))
		}, true, []string{"POST /orgs/acme/repos 0"}},
		"reply truncated": {func(gh *githubtest.Server) {
			gh.SetCreationLag(githubtest.Lag{})
			gh.Break("POST /orgs/acme/repos", githubtest.Truncate(), githubtest.Times(1))
		}, true, []string{"POST /orgs/acme/repos 201"}},
		"no effect, closed": {func(gh *githubtest.Server) {
			gh.Break("POST /orgs/acme/repos", githubtest.CloseConnection(), githubtest.Times(1))
		}, true, []string{"POST /orgs/acme/repos 0", "POST /orgs/acme/repos 201"}},
		"no effect, bad gateway": {func(gh *githubtest.Server) {
			gh.Break("POST /orgs/acme/repos", githubtest.Respond(502, "<html>"), githubtest.Times(2))
		}, true,
			[]string{"POST /orgs/acme/repos 502", "POST /orgs/acme/repos 502", "POST /orgs/acme/repos 201"}},
		"rate limit": {func(gh *githubtest.Server) {
			gh.Break("POST /orgs/acme/repos", githubtest.SecondaryRateLimit(3e9), githubtest.Times(1))
		}, true, []string{"POST /orgs/acme/repos 403", "POST /orgs/acme/repos 201"}},
		"seen late": {func(gh *githubtest.Server) { gh.DelayVisibility(4) }, true,
			[]string{"POST /orgs/acme/repos 201"}},
		"reply lost, seen late": {func(gh *githubtest.Server) {
			gh.DelayVisibility(3)
			gh.Break("POST /orgs/acme/repos", githubtest.LoseReply(), githubtest.Times(1))
		}, true, []string{"POST /orgs/acme/repos 0", "POST /orgs/acme/repos 422"}},
		"somebody else is faster": {func(gh *githubtest.Server) {
			gh.AddRepo("acme/fleet")
			gh.Break("GET /repos/acme/fleet", githubtest.Respond(404, `{"message":"Not Found"}`),
				githubtest.Times(1))
		}, false, []string{"POST /orgs/acme/repos 422"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			tc.setUp(gh)
			s := owner(t, gh)
			mark := gh.Mark()
			made, created, err := s.EnsureRepository(t.Context(), newFleet())
			ok(t, err)
			equal(t, "made", []any{made.Ref, created}, []any{fleet(), tc.created})
			equal(t, "mutations", s.mutations(mark), tc.posts)
			equal(t, "repositories", gh.Repos(), []string{"acme/fleet"})
		})
	}
}

func TestEnsureRepository_neverSeen(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.DelayVisibility(100)
	s := owner(t, gh)
	_, created, err := s.EnsureRepository(t.Context(), newFleet())
	s.fails(err, github.ErrUnavailable, "waiting for repository acme/fleet: unavailable (HTTP 404): it "+
		"exists, and GitHub does not show it yet", "*run the same command again")
	equal(t, "created, waits", []any{created, len(s.clock.waits())}, []any{true, 5})
	if events := s.heard(); len(events) != 5 ||
		!matches("waiting *s for GitHub: waiting for repository acme/fleet: *; then try 2 of 6", events[0]) {
		t.Errorf("events %q", events)
	}
}

func TestEnsureRepository_refusals(t *testing.T) {
	t.Parallel()
	personal := github.NewRepository{Ref: github.RepoRef{Owner: "alice", Name: "fleet"}, Personal: true,
		Private: true}
	for name, tc := range map[string]struct {
		token  func(*githubtest.Server) string
		wanted github.NewRepository
		class  error
		text   string
		hint   string
		posts  int
	}{
		"exists, hidden": {func(gh *githubtest.Server) string {
			gh.AddRepo("acme/fleet")
			return gh.AddClassicToken("bob", "repo")
		}, newFleet(), github.ErrPermission, "creating repository acme/fleet: permission denied " +
			"(HTTP 422): it exists, but this token cannot see it",
			"the token in EKSA_GITHUB_TOKEN needs access to repository acme/fleet", 1},
		"classic without scope": {
			func(gh *githubtest.Server) string { return gh.AddClassicToken("alice", "read:org") }, newFleet(),
			github.ErrPermission, "creating repository acme/fleet: permission denied (HTTP 404): Not Found",
			`the token in EKSA_GITHUB_TOKEN needs the scope "repo"`, 1},
		"fine-grained": {func(gh *githubtest.Server) string {
			return gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme",
				Permissions: githubtest.Permissions{"contents": "write"}})
		}, newFleet(), github.ErrPermission, "creating repository acme/fleet: permission denied " +
			"(HTTP 403): Resource not accessible by personal access token",
			`the token in EKSA_GITHUB_TOKEN needs "Administration: write"`, 1},
		"App": {func(gh *githubtest.Server) string {
			return gh.AddInstallationToken("acme",
				githubtest.Installation{Permissions: githubtest.Permissions{"contents": "write"}})
		}, newFleet(), github.ErrPermission, "creating repository acme/fleet: permission denied " +
			"(HTTP 403): Resource not accessible by integration",
			`the token in EKSA_GITHUB_TOKEN needs "Administration: write"`, 1},
		"no member": {func(gh *githubtest.Server) string { return gh.AddClassicToken("dave", "repo") },
			newFleet(), github.ErrPermission, "creating repository acme/fleet: permission denied (HTTP " +
				"403): You need admin access to the organization before adding a repository to it.",
			"the token in EKSA_GITHUB_TOKEN needs the right to create repositories in acme for its user", 1},
		"members may not": {func(gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.MembersCannotCreate())
			return gh.AddClassicToken("bob", "repo")
		}, newFleet(), github.ErrPermission, "creating repository acme/fleet: permission denied (HTTP " +
			"403): You don't have permission to create repositories in this organization.",
			"the token in EKSA_GITHUB_TOKEN needs the right to create repositories in acme for its user", 1},
		"another's": {func(gh *githubtest.Server) string { return gh.AddClassicToken("bob", "repo") },
			personal, github.ErrPermission, "creating repository alice/fleet: " +
				"permission denied: the token belongs to bob and cannot create repositories of alice",
			"use a token of alice, or create the repository first", 0},
		"App, personal": {func(gh *githubtest.Server) string {
			return gh.AddInstallationToken("alice", githubtest.Installation{})
		},
			personal, github.ErrPermission, "creating repository alice/fleet: permission denied: a GitHub " +
				"App cannot create repositories of a user",
			"use a token of alice, or create the repository first", 0},
		"SSO": {func(gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.EnforceSSO())
			return gh.AddClassicToken("alice", "repo")
		}, newFleet(), github.ErrSSO, "creating repository acme/fleet: single sign-on " +
			"authorization missing (HTTP 403): Resource protected by organization SAML enforcement. *",
			"authorize the token in EKSA_GITHUB_TOKEN for the organization's single sign-on: " +
				"https://*/orgs/acme/sso?authorization_request=*", 1},
		"bad token": {func(gh *githubtest.Server) string { return "ghp_none" },
			newFleet(), github.ErrAuthentication,
			"reading repository acme/fleet: authentication refused (HTTP 401): Bad credentials",
			"the token in EKSA_GITHUB_TOKEN is unknown to GitHub, revoked or expired: *", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			s := connect(t, gh, tc.token(gh))
			mark := gh.Mark()
			_, created, err := s.EnsureRepository(t.Context(), tc.wanted)
			s.fails(err, tc.class, tc.text, tc.hint)
			equal(t, "created, posts", []any{created, len(s.mutations(mark))}, []any{false, tc.posts})
		})
	}
}

// A server that stays down is asked a bounded number of times, and looked at before each write.
func TestEnsureRepository_givesUp(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.Break("POST /orgs/acme/repos", githubtest.Respond(503, ""))
	s := owner(t, gh)
	mark := gh.Mark()
	_, created, err := s.EnsureRepository(t.Context(), newFleet())
	s.fails(err, github.ErrUnavailable,
		"creating repository acme/fleet: unavailable (HTTP 503): GitHub answers Service Unavailable",
		"GitHub has trouble; *")
	equal(t, "created, requests, posts", []any{created, len(gh.Since(mark).Requests), len(s.mutations(mark))},
		[]any{false, 12, 6})
	if errors.Is(err, github.ErrNotFound) {
		t.Error("the class of an earlier answer is kept")
	}
}
