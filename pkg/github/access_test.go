package github_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// found is severity, kind, name, message, hint and permission of a finding.
func found(f github.Finding) string {
	return fmt.Sprintf("%s/%s/%s: %s | %s | %s",
		f.Severity, f.Kind, f.Name, f.Message, f.Hint, f.NeededPermission)
}

// In want, * stands for anything. Nothing else than what is wanted may be found.
func TestCheckAccess(t *testing.T) {
	t.Parallel()
	type setUp = func(*testing.T, *githubtest.Server) string
	request := github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true}
	with := func(change func(*github.AccessRequest)) github.AccessRequest {
		r := request
		change(&r)
		return r
	}
	personal := with(func(r *github.AccessRequest) { r.Ref.Owner, r.Personal = "alice", true })
	repo := func(gh *githubtest.Server, options ...githubtest.RepoOption) *githubtest.Repo {
		return gh.AddRepo("acme/fleet", append([]githubtest.RepoOption{files()}, options...)...)
	}
	classic := func(gh *githubtest.Server) string { return gh.AddClassicToken("alice", "repo") }
	fine := func(gh *githubtest.Server, login string, p githubtest.Permissions) string {
		return gh.AddFineGrainedToken(login, githubtest.FineGrained{Owner: "acme", Permissions: p})
	}
	// Only owners are shown an organization's settings, and with this permission only.
	settings := func(gh *githubtest.Server) string {
		return fine(gh, "alice", githubtest.Permissions{"contents": "write", "administration": "write",
			"organization_administration": "read"})
	}
	all := githubtest.Permissions{"contents": "write", "administration": "write"}
	const admin = "error/permission/deploy-keys: the token in EKSA_GITHUB_TOKEN cannot administer the " +
		"deploy keys of acme/fleet* | the token in EKSA_GITHUB_TOKEN needs "
	const absent = "error/permission/repository-creation: repository acme/fleet does not exist or is " +
		"hidden from the token, and "

	for name, tc := range map[string]struct {
		request github.AccessRequest
		setUp   setUp
		want    []string
	}{
		"classic": {request,
			func(_ *testing.T, gh *githubtest.Server) string { repo(gh); return classic(gh) }, nil},
		"fine-grained": {request,
			func(_ *testing.T, gh *githubtest.Server) string { repo(gh); return fine(gh, "alice", all) },
			nil},
		"App": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			return gh.AddInstallationToken("acme", githubtest.Installation{Permissions: all})
		}, nil},
		"empty repository": {request,
			func(_ *testing.T, gh *githubtest.Server) string { gh.AddRepo("acme/fleet"); return classic(gh) },
			nil},
		"personal": {personal, func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddRepo("alice/fleet", files())
			return classic(gh)
		}, nil},
		"no deploy key needed": {with(func(r *github.AccessRequest) { r.NeedDeployKey = false }),
			func(_ *testing.T, gh *githubtest.Server) string {
				repo(gh, githubtest.Grant("bob", githubtest.Push))
				return gh.AddClassicToken("bob", "repo")
			}, nil},
		"to be created": {request,
			func(_ *testing.T, gh *githubtest.Server) string { return classic(gh) }, nil},
		"to be created, personal": {personal,
			func(_ *testing.T, gh *githubtest.Server) string { return classic(gh) }, nil},
		"to be created, fine-grained": {request,
			func(_ *testing.T, gh *githubtest.Server) string { return fine(gh, "alice", all) }, nil},
		"to be created, App": {request, func(_ *testing.T, gh *githubtest.Server) string {
			return gh.AddInstallationToken("acme", githubtest.Installation{Permissions: all})
		}, nil},

		"bad token": {request, func(*testing.T, *githubtest.Server) string { return "ghp_none" },
			[]string{"error/auth/token: checking the token in EKSA_GITHUB_TOKEN: authentication refused " +
				"(HTTP 401): Bad credentials | the token in EKSA_GITHUB_TOKEN is unknown to GitHub, " +
				"revoked or expired: make a new one and export it | "}},
		"expired": {request, func(_ *testing.T, gh *githubtest.Server) string {
			token := classic(gh)
			gh.ExpireToken(token, time.Now().Add(-time.Hour))
			return token
		}, []string{"error/auth/token: checking the token in EKSA_GITHUB_TOKEN: authentication refused " +
			"(HTTP 401): Bad credentials | *revoked or expired*"}},
		"expires soon": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			token := classic(gh)
			gh.ExpireToken(token, time.Now().Add(48*time.Hour))
			return token
		}, []string{"warning/auth/token-expiry: the token in EKSA_GITHUB_TOKEN expires at 20* UTC | make a " +
			"new one before then; the cluster has its own credential, but later commands need one | "}},
		"too many rights": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			return gh.AddClassicToken("alice", "repo", "admin:org", "delete_repo", "gist")
		}, []string{`warning/permission/token-rights: the token in EKSA_GITHUB_TOKEN has more rights than this needs: admin:org, delete_repo | the scope "repo" is enough; *`}},

		"classic without repo": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			return gh.AddClassicToken("alice", "read:org")
		}, []string{
			absent + `the token lacks the scope to create it; it has read:org | the token in EKSA_GITHUB_TOKEN needs the scope "repo" | the scope "repo"`}},
		"classic without any scope, public": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh, githubtest.Public())
			return gh.AddClassicToken("alice")
		}, []string{`error/permission/push: the token in EKSA_GITHUB_TOKEN cannot push to acme/fleet: it has the scopes none | the token in EKSA_GITHUB_TOKEN needs the scope "public_repo" | the scope "public_repo"`}},
		"public_repo, public": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh, githubtest.Public())
			return gh.AddClassicToken("alice", "public_repo")
		}, nil},
		"user may only read": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh, githubtest.Grant("bob", githubtest.Pull))
			return gh.AddClassicToken("bob", "repo")
		}, []string{"error/permission/push: the token in EKSA_GITHUB_TOKEN cannot push to acme/fleet: bob " +
			"may only read it | the token in EKSA_GITHUB_TOKEN needs the Admin role on acme/fleet for its " +
			"user | the Admin role on acme/fleet for its user"}},
		"user may push, not administer": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh, githubtest.Grant("bob", githubtest.Push))
			return gh.AddClassicToken("bob", "repo")
		}, []string{admin +
			"the Admin role on acme/fleet for its user | the Admin role on acme/fleet for its user"}},
		"fine-grained, no contents": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			return fine(gh, "alice", githubtest.Permissions{"administration": "write"})
		}, []string{`error/permission/push: the token in EKSA_GITHUB_TOKEN cannot push to acme/fleet: it may not read its contents (GitHub says: Resource not accessible by personal access token) | the token in EKSA_GITHUB_TOKEN needs "Contents: write" | "Contents: write"`}},
		"fine-grained, no administration": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			return fine(gh, "alice", githubtest.Permissions{"contents": "write"})
		}, []string{admin + `"Administration: write" | "Administration: write"`}},
		"App, no administration": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			return gh.AddInstallationToken("acme",
				githubtest.Installation{Permissions: githubtest.Permissions{"contents": "write"}})
		}, []string{admin + `"Administration: write" | "Administration: write"`}},
		"App, nothing": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			return gh.AddInstallationToken("acme", githubtest.Installation{})
		}, []string{
			`error/permission/push: * needs "Contents: write" | "Contents: write"`,
			admin + `"Administration: write" | "Administration: write"`,
		}},
		"SSO": {request, func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.EnforceSSO())
			repo(gh)
			return classic(gh)
		}, []string{"error/auth/repository: reading repository acme/fleet: single sign-on authorization " +
			"missing (HTTP 403): * | authorize the token in EKSA_GITHUB_TOKEN for the organization's " +
			"single sign-on: https://*/orgs/acme/sso?authorization_request=* | "}},
		"SSO, to be created": {request, func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.EnforceSSO())
			return classic(gh)
		}, []string{"error/auth/repository-creation: reading the membership in acme: single sign-on " +
			"authorization missing (HTTP 403): * | "}},
		"deploy keys off": {request, func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.DeployKeysDisabled())
			repo(gh)
			return settings(gh)
		}, []string{"error/policy/deploy-keys: organization acme does not allow deploy keys | an owner of " +
			"the organization can allow deploy keys (organization settings, Deploy keys); * | "}},
		"deploy keys off, to be created": {request, func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.DeployKeysDisabled())
			return settings(gh)
		}, []string{"error/policy/deploy-keys: organization acme does not allow deploy keys | *"}},

		"owner is a user": {with(func(r *github.AccessRequest) { r.Ref.Owner = "alice" }),
			func(_ *testing.T, gh *githubtest.Server) string { return classic(gh) },
			[]string{"error/config/owner: owner alice is a user, and the spec does not say personal: true " +
				"| set spec.github.personal: true | "}},
		"owner is an organization": {with(func(r *github.AccessRequest) { r.Personal = true }),
			func(_ *testing.T, gh *githubtest.Server) string { repo(gh); return classic(gh) },
			[]string{"error/config/owner: owner acme is an organization, and the spec says personal: true " +
				"| set spec.github.personal: false | "}},
		"no such owner": {with(func(r *github.AccessRequest) { r.Ref.Owner = "nobody" }),
			func(_ *testing.T, gh *githubtest.Server) string { return classic(gh) },
			[]string{"error/config/owner: there is no user or organization nobody on GitHub | correct " +
				"spec.github.owner | "}},
		"another's": {personal,
			func(_ *testing.T, gh *githubtest.Server) string { return gh.AddClassicToken("bob", "repo") },
			[]string{"error/permission/repository-creation: repository alice/fleet does not exist or " +
				"is hidden from the token, and the token belongs to bob and cannot create repositories of " +
				"alice | use a token of alice, or create the repository first | "}},
		"App, personal": {personal, func(_ *testing.T, gh *githubtest.Server) string {
			return gh.AddInstallationToken("alice", githubtest.Installation{})
		}, []string{"error/permission/repository-creation: repository alice/fleet does not exist or is " +
			"hidden from the token, and a GitHub App cannot create repositories of a user | use a token of " +
			"alice, or create the repository first | "}},
		"no member": {request,
			func(_ *testing.T, gh *githubtest.Server) string { return gh.AddClassicToken("dave", "repo") },
			[]string{absent + "dave is not a member of acme | use a token of a member of acme who may " +
				"create repositories, or have it created first | "}},
		"invited": {request, func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.PendingMember("dave"))
			return gh.AddClassicToken("dave", "repo")
		}, []string{absent +
			"dave has not accepted the invitation to acme | accept the invitation first | "}},
		"members may not create": {request, func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.MembersCannotCreate())
			// Only owners are shown that, so that creating it tells; see TestCheckAccess_unseen.
			return gh.AddClassicToken("bob", "repo")
		}, nil},
		"owners may": {request, func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.MembersCannotCreate())
			return classic(gh)
		}, nil},

		"archived": {request,
			func(_ *testing.T, gh *githubtest.Server) string { repo(gh).Archive(); return classic(gh) },
			[]string{"error/policy/repository: repository acme/fleet is archived: nobody can write to it | " +
				"an administrator can take the repository out of the archive in its settings | "}},
		"renamed": {request, func(_ *testing.T,
			gh *githubtest.Server) string {
			repo(gh).Rename("estate")
			return classic(gh)
		},
			nil},
		"owner renamed": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh).Rename("estate")
			gh.Break("GET /users/acme", githubtest.Respond(404, `{"message":"Not Found"}`))
			return classic(gh)
		}, nil},
		"protected, details hidden": {with(func(r *github.AccessRequest) { r.NeedDeployKey = false }),
			func(_ *testing.T, gh *githubtest.Server) string {
				repo(gh).Protect("main", githubtest.Protection{RequirePullRequest: true, EnforceAdmins: true})
				return fine(gh, "alice", githubtest.Permissions{"contents": "write"})
			}, []string{"warning/policy/branch-protection: branch main of acme/fleet may refuse a direct " +
				"push: the branch is protected; the token may not read how (branch protection) | *"}},
		"protected": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh).Protect("main", githubtest.Protection{RequirePullRequest: true, EnforceAdmins: true})
			return classic(gh)
		}, []string{"error/policy/branch-protection: branch main of acme/fleet does not accept direct " +
			"pushes: changes have to be made through a pull request (branch protection) | name another " +
			"branch in spec.branch, or have an administrator let the token's user pass | "}},
		"protected, administrators exempt": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh).Protect("main", githubtest.Protection{RequirePullRequest: true})
			return classic(gh)
		}, nil},
		"protected, App": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh).Protect("main", githubtest.Protection{RequirePullRequest: true})
			return gh.AddInstallationToken("acme", githubtest.Installation{Permissions: all})
		}, []string{"warning/policy/branch-protection: branch main of acme/fleet may refuse a direct push: " +
			"changes have to be made through a pull request (branch protection) | *"}},
		"ruleset": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh).AddRuleset(githubtest.Ruleset{Name: "x", Branches: []string{"~DEFAULT_BRANCH"},
				RequirePullRequest: true})
			return classic(gh)
		}, []string{"warning/policy/branch-protection: branch main of acme/fleet may refuse a direct push: " +
			"changes have to be made through a pull request (ruleset * of acme/fleet) | *"}},
		"several": {request, func(_ *testing.T, gh *githubtest.Server) string {
			r := repo(gh)
			r.AddRuleset(githubtest.Ruleset{Name: "x", Branches: []string{"main"}, RequireSignatures: true})
			token := fine(gh, "alice", githubtest.Permissions{"contents": "write"})
			gh.ExpireToken(token, time.Now().Add(time.Hour))
			return token
		}, []string{
			admin + `"Administration: write" | "Administration: write"`,
			"warning/auth/token-expiry: *",
			"warning/policy/branch-protection: * commits have to be signed *",
		}},

		"down": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			gh.Break("* /**", githubtest.Respond(503, ""))
			return classic(gh)
		}, []string{"error/unavailable/token: checking the token in EKSA_GITHUB_TOKEN: unavailable (HTTP " +
			"503): GitHub answers Service Unavailable | GitHub has trouble; see its status page, then run " +
			"the same command again | "}},
		"deploy keys do not answer": {request, func(_ *testing.T, gh *githubtest.Server) string {
			repo(gh)
			gh.Break("GET /repos/acme/fleet/keys", githubtest.Respond(500, ""))
			return classic(gh)
		}, []string{"error/unavailable/deploy-keys: reading the deploy keys of acme/fleet: unavailable " +
			"(HTTP 500): GitHub answers Internal Server Error | *"}},
		"rate limit": {request, func(_ *testing.T, gh *githubtest.Server) string {
			gh.Break("* /**", githubtest.PrimaryRateLimit(time.Hour))
			return classic(gh)
		}, []string{"error/unavailable/token: checking the token in EKSA_GITHUB_TOKEN: rate limit exceeded " +
			"(HTTP 403): API rate limit exceeded for user ID 1. * | run the same command again after *"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			s := connect(t, gh, tc.setUp(t, gh))
			access, err := s.CheckAccess(t.Context(), tc.request)
			ok(t, err)
			failed := false
			for i, f := range access.Findings {
				s.clean(found(f))
				failed = failed || f.Severity == github.SeverityError
				if i >= len(tc.want) || !matches(tc.want[i], found(f)) {
					t.Errorf("finding %d\n got %s\nwant %v", i, found(f), tc.want[min(i, len(tc.want)):])
				}
			}
			if len(access.Findings) < len(tc.want) || access.OK() == failed {
				t.Errorf("OK %v, findings %+v, want %q", access.OK(), access.Findings, tc.want)
			}
			equal(t, "mutations", len(gh.Mutations()), 0)
		})
	}
}

// What GitHub does not show to a token is said, and not taken for a yes or a no.
func TestCheckAccess_unseen(t *testing.T) {
	t.Parallel()
	const (
		keys   = "deploy-keys: whether acme allows deploy keys, which GitHub does not show to this token"
		create = "repository-creation: whether acme lets its members create private repositories, which " +
			"GitHub does not show to this token"
	)
	there := func(gh *githubtest.Server) {
		gh.AddRepo("acme/fleet", files(), githubtest.Grant("bob", githubtest.Admin))
	}
	for name, tc := range map[string]struct {
		setUp func(gh *githubtest.Server)
		token func(gh *githubtest.Server) string
		want  []string
	}{
		// Owners are shown the settings when the token has admin:org, which nothing else here needs.
		"owner": {there, func(gh *githubtest.Server) string { return gh.AddClassicToken("alice", "repo") },
			[]string{keys}},
		"owner, new": {nil, func(gh *githubtest.Server) string { return gh.AddClassicToken("alice", "repo") },
			[]string{keys}},
		"owner, may see": {there, func(gh *githubtest.Server) string {
			return gh.AddFineGrainedToken("alice",
				githubtest.FineGrained{Owner: "acme", Permissions: githubtest.Permissions{"contents": "write",
					"administration": "write", "organization_administration": "read"}})
		}, []string{`push: whether the token may write to acme/fleet, for which it needs "Contents: write"`, `deploy-keys: whether the token may register a deploy key, for which it needs "Administration: write"`}},
		"member": {there, func(gh *githubtest.Server) string { return gh.AddClassicToken("bob", "repo") },
			[]string{keys}},
		"member, new": {nil, func(gh *githubtest.Server) string { return gh.AddClassicToken("bob", "repo") },
			[]string{create, keys}},
		"member, denied": {
			func(gh *githubtest.Server) { gh.AddOrg("acme", githubtest.DeployKeysDisabled()); there(gh) },
			func(gh *githubtest.Server) string { return gh.AddClassicToken("bob", "repo") }, []string{keys}},
		"fine-grained": {there, func(gh *githubtest.Server) string {
			return gh.AddFineGrainedToken("bob", githubtest.FineGrained{Owner: "acme",
				Permissions: githubtest.Permissions{"contents": "write", "administration": "write"}})
		}, []string{
			`push: whether the token may write to acme/fleet, for which it needs "Contents: write"`,
			keys,
			`deploy-keys: whether the token may register a deploy key, for which it needs "Administration: write"`}},
		"App, new": {nil, func(gh *githubtest.Server) string {
			return gh.AddInstallationToken("acme", githubtest.Installation{
				Permissions: githubtest.Permissions{"contents": "write", "administration": "write"}})
		}, []string{`repository-creation: whether the token may create a repository, for which it needs "Administration: write" on all repositories of acme`,
			create, keys}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			if tc.setUp != nil {
				tc.setUp(gh)
			}
			access, err := connect(t, gh, tc.token(gh)).CheckAccess(t.Context(),
				github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true})
			ok(t, err)
			var got []string
			for _, u := range access.Unseen {
				got = append(got, u.Name+": "+u.Message)
			}
			equal(t, "unseen", got, tc.want)
			equal(t, "findings", access.Findings, nil)
		})
	}
}

func TestCheckAccess_facts(t *testing.T) {
	t.Parallel()
	gh := world(t)
	repo := gh.AddRepo("acme/fleet", files())
	repo.AddDeployKey("flux", publicKey(t, "flux"), true)
	s := owner(t, gh)
	access, err := s.CheckAccess(t.Context(),
		github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true})
	ok(t, err)
	equal(t, "facts", []any{access.Viewer.Login, access.Owner, access.Repository.DefaultBranch,
		access.Protection.Exists, len(access.DeployKeys)},
		[]any{"alice", github.Owner{Login: "acme", Kind: github.OwnerOrganization}, "main", true, 1})
	equal(t, "requests", len(gh.Requests()), 7)
	access, err = s.CheckAccess(t.Context(),
		github.AccessRequest{Ref: github.RepoRef{Owner: "acme", Name: "new"}, Branch: "main"})
	ok(t, err)
	if access.Repository != nil || !access.OK() {
		t.Errorf("access %+v", access)
	}
}

func TestCheckAccess_interrupted(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.Break("* /**", githubtest.Latency(time.Minute))
	s := owner(t, gh)
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupt := errors.New("interrupt")
	time.AfterFunc(20*time.Millisecond, func() { cancel(interrupt) })
	_, err := s.CheckAccess(ctx, github.AccessRequest{Ref: fleet()})
	if !errors.Is(err, interrupt) ||
		err.Error() != "checking the access to acme/fleet: no answer from GitHub yet: interrupt" {
		t.Error(err)
	}
}
