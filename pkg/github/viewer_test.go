package github_test

import (
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

func TestViewer(t *testing.T) {
	t.Parallel()
	gh := world(t)
	expires := time.Now().Add(90 * 24 * time.Hour).UTC().Truncate(time.Second)
	classic := gh.AddClassicToken("alice", "repo", "read:org")
	bare := gh.AddClassicToken("bob")
	fine := gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme"})
	gh.ExpireToken(fine, expires)
	app := gh.AddInstallationToken("acme", githubtest.Installation{})
	for name, tc := range map[string]struct {
		token string
		want  github.Viewer
	}{
		"classic": {classic,
			github.Viewer{Login: "alice", Kind: github.TokenClassic, Scopes: []string{"repo", "read:org"}}},
		"no scopes": {bare, github.Viewer{Login: "bob", Kind: github.TokenClassic}},
		"fine-grained": {fine,
			github.Viewer{Login: "alice", Kind: github.TokenFineGrained, ExpiresAt: expires}},
		"installation": {app, github.Viewer{Kind: github.TokenInstallation}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := connect(t, gh, tc.token).Viewer(t.Context())
			ok(t, err)
			equal(t, "viewer", got, tc.want)
		})
	}
}

func TestViewer_hasScope(t *testing.T) {
	t.Parallel()
	v := github.Viewer{Scopes: []string{"repo", "admin:org"}}
	for scope, want := range map[string]bool{"repo": true, "public_repo": true, "read:org": true,
		"write:org": true, "delete_repo": false, "gist": false} {
		if v.HasScope(scope) != want {
			t.Errorf("%s: got %v", scope, !want)
		}
	}
}

func TestViewer_expiryWithOffset(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.Break("GET /user", githubtest.RespondWith(200,
		map[string][]string{"Github-Authentication-Token-Expiration": {"2030-01-02 05:04:05 +0200"}},
		`{"login":"alice","type":"User"}`))
	got, err := owner(t, gh).Viewer(t.Context())
	ok(t, err)
	equal(t, "expiry", got.ExpiresAt, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
}

func TestViewer_badToken(t *testing.T) {
	t.Parallel()
	gh := world(t)
	expired := gh.AddClassicToken("alice", "repo")
	gh.ExpireToken(expired, time.Now().Add(-time.Minute))
	for _, token := range []string{"ghp_unknown", expired} {
		s := connect(t, gh, token)
		_, err := s.Viewer(t.Context())
		e := s.fails(err, github.ErrAuthentication,
			"checking the token in EKSA_GITHUB_TOKEN: authentication refused (HTTP 401): Bad credentials",
			"the token in EKSA_GITHUB_TOKEN is unknown to GitHub, revoked or expired: make a new one and "+
				"export it")
		equal(t, "request", []any{e.Method, e.Path, e.Status, e.RequestID != ""},
			[]any{"GET", "/user", 401, true})
		equal(t, "waits", s.clock.waits(), nil)
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	gh := world(t)
	s := owner(t, gh)
	user, err := s.Owner(t.Context(), "ALICE")
	ok(t, err)
	equal(t, "user", user, github.Owner{Login: "alice", Kind: github.OwnerUser})
	org, err := s.Owner(t.Context(), "acme")
	ok(t, err)
	equal(t, "organization", org, github.Owner{Login: "acme", Kind: github.OwnerOrganization})
	_, err = s.Owner(t.Context(), "nobody")
	s.fails(err, github.ErrNotFound, "reading owner nobody: not found (HTTP 404): Not Found",
		"check the name; *")
	gh.Break("GET /users/acme", githubtest.Respond(200, `{"login":"acme","type":"Bot"}`))
	_, err = s.Owner(t.Context(), "acme")
	s.fails(err, github.ErrUnexpected,
		`reading owner acme: unexpected answer: the account is neither a user nor an organization but "Bot"`,
		"")
}
