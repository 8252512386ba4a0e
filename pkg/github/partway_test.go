package github_test

import (
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// What fails after a part was written says that something was written, and the next run finishes it.
func TestEnsureDeployKey_partway(t *testing.T) {
	t.Parallel()
	const title = "eksa-gitops mgmt/flux-system"
	refuse := githubtest.Respond(403, `{"message":"Resource not accessible by integration"}`)
	for name, tc := range map[string]struct {
		there    string // material of the key that is there, writable
		fault    string
		changed  bool
		keys     []string
		text     string
		finished []string
	}{
		"the writable one stays where the new one is refused": {"flux", "POST /repos/acme/fleet/keys", false,
			[]string{title + " flux false"}, "registering a deploy key on acme/fleet: permission denied " +
				"(HTTP 403): Resource not accessible by integration", []string{title + " flux true"}},
		"the writable one stays": {"flux", "DELETE /repos/acme/fleet/keys/*", false,
			[]string{title + " flux false"}, "removing a deploy key of acme/fleet: permission denied (HTTP " +
				"403): Resource not accessible by integration", []string{title + " flux true"}},
		"the new one is there, the old one stays": {"old", "DELETE /repos/acme/fleet/keys/*",
			true, []string{title + " old false", title + " flux true"}, "removing a deploy " +
				"key of acme/fleet: permission denied (HTTP 403): Resource not accessible by integration",
			[]string{title + " flux true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			repo := gh.AddRepo("acme/fleet")
			repo.AddDeployKey(title, publicKey(t, tc.there), false)
			off := gh.Break(tc.fault, refuse)
			s := owner(t, gh)
			wanted := fluxKey(t)
			wanted.Replace = true
			changed, err := s.EnsureDeployKey(t.Context(), fleet(), wanted)
			s.fails(err, github.ErrPermission, tc.text,
				"the token in EKSA_GITHUB_TOKEN needs the Admin role on acme/fleet for its user")
			equal(t, "changed, keys", []any{changed, keys(t, repo, "flux", "old")},
				[]any{tc.changed, tc.keys})

			off()
			changed, err = s.EnsureDeployKey(t.Context(), fleet(), wanted)
			ok(t, err)
			equal(t, "then", []any{changed, keys(t, repo, "flux", "old")}, []any{true, tc.finished})
		})
	}
}

// Whose token it is has to be known before a personal repository is created, since GitHub creates it for
// whoever that is.
func TestEnsureRepository_viewerUnknown(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.Break("GET /user", githubtest.Respond(503, ""))
	s := owner(t, gh)
	_, created, err := s.EnsureRepository(t.Context(),
		github.NewRepository{Ref: github.RepoRef{Owner: "alice", Name: "fleet"}, Personal: true})
	s.fails(err, github.ErrUnavailable,
		"checking the token in EKSA_GITHUB_TOKEN: unavailable (HTTP 503): GitHub answers Service Unavailable",
		"GitHub has trouble; *")
	equal(t, "created, requests, writes", []any{created, len(gh.Requests()), len(gh.Mutations())},
		[]any{false, 7, 0})
}

// A personal repository whose creation was answered by nobody is looked for, and made once.
func TestEnsureRepository_personalReplyLost(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.SetCreationLag(githubtest.Lag{}) // one that is seen late is asked for twice
	gh.Break("POST /user/repos", githubtest.LoseReply(), githubtest.Times(1))
	s := owner(t, gh)
	made, created, err := s.EnsureRepository(t.Context(), github.NewRepository{
		Ref: github.RepoRef{Owner: "alice", Name: "fleet"}, Personal: true, Private: true})
	ok(t, err)
	equal(t, "made", []any{made.Ref, made.Private, created, len(gh.Mutations()), gh.Repos()},
		[]any{"alice/fleet", true, true, 1, []string{"alice/fleet"}})
}

// What only tells early what a later step would tell is not missed when it cannot be read.
func TestCheckAccess_organizationSettingsUnreadable(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", files())
	s := owner(t, gh)
	for _, fault := range []githubtest.Effect{githubtest.Respond(500, ""),
		githubtest.Respond(404, `{"message":"Not Found"}`), githubtest.PrimaryRateLimit(time.Hour)} {
		off := gh.Break("GET /orgs/acme", fault)
		for _, name := range []string{"fleet", "new"} {
			access, err := s.CheckAccess(t.Context(), github.AccessRequest{
				Ref: github.RepoRef{Owner: "acme", Name: name}, Branch: "main", NeedDeployKey: true})
			ok(t, err)
			equal(t, "findings for "+name, access.Findings, nil)
		}
		off()
	}
}
