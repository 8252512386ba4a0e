package github_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// The first minutes of a repository, with each kind of token: it shows late, its keys show later still, and
// answers get lost. What comes out is one repository and one key, and a second run writes nothing.
func TestNewRepository_withEachKindOfToken(t *testing.T) {
	t.Parallel()
	may := githubtest.Permissions{"contents": "write", "administration": "write"}
	for kind, token := range map[github.TokenKind]func(*githubtest.Server) string{
		github.TokenClassic: func(gh *githubtest.Server) string {
			return gh.AddClassicToken("alice", "repo")
		},
		github.TokenFineGrained: func(gh *githubtest.Server) string {
			return gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme", Permissions: may})
		},
		github.TokenInstallation: func(gh *githubtest.Server) string {
			return gh.AddInstallationToken("acme", githubtest.Installation{Permissions: may})
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.DelayVisibility(2)
			gh.Break("POST /orgs/acme/repos", githubtest.LoseReply(), githubtest.Times(1))
			gh.Break("POST /repos/acme/fleet/keys", githubtest.LoseReply(), githubtest.Times(1))
			gh.Break("GET /repos/acme/fleet/keys", githubtest.Respond(404, `{"message":"Not Found"}`),
				githubtest.Times(2))
			s := connect(t, gh, token(gh))
			run := func() (created, registered bool) {
				access, err := s.CheckAccess(t.Context(),
					github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true})
				ok(t, err)
				equal(t, "kind, findings", []any{access.Viewer.Kind, access.Findings},
					[]any{kind, []github.Finding(nil)})
				_, created, err = s.EnsureRepository(t.Context(), newFleet())
				ok(t, err)
				registered, err = s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
				ok(t, err)
				return created, registered
			}
			created, registered := run()
			equal(t, "created, registered", []bool{created, registered}, []bool{true, true})
			mark := gh.Mark()
			created, registered = run()
			equal(t, "again", []any{created, registered, s.mutations(mark)},
				[]any{false, false, []string(nil)})
			equal(t, "repositories, keys", []any{gh.Repos(), keys(t, gh.Repo("acme/fleet"), "flux")},
				[]any{[]string{"acme/fleet"}, []string{"eksa-gitops mgmt/flux-system flux true"}})
		})
	}
}

// Keys that never show are no fault of an administrator's token, and may be one of an App's.
func TestDeployKeys_neverSeen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		token      func(*githubtest.Server) string
		class      error
		text, hint string
	}{
		"administrator": {func(gh *githubtest.Server) string { return gh.AddClassicToken("alice", "repo") },
			github.ErrUnavailable,
			"reading the deploy keys of acme/fleet: unavailable (HTTP 404): GitHub does not show them yet",
			"GitHub has trouble; see its status page, then run the same command again"},
		"App": {func(gh *githubtest.Server) string {
			return gh.AddInstallationToken("acme",
				githubtest.Installation{Permissions: githubtest.Permissions{"contents": "write"}})
		}, github.ErrPermission,
			"reading the deploy keys of acme/fleet: permission denied (HTTP 404): Not Found",
			`the token in EKSA_GITHUB_TOKEN needs "Administration: write"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.AddRepo("acme/fleet")
			gh.Break("GET /repos/acme/fleet/keys", githubtest.Respond(404, `{"message":"Not Found"}`))
			s := connect(t, gh, tc.token(gh))
			_, err := s.DeployKeys(t.Context(), fleet())
			s.fails(err, tc.class, tc.text, tc.hint)
			equal(t, "requests, waits", []int{len(gh.Requests()), len(s.clock.waits())}, []int{12, 5})
		})
	}
}
