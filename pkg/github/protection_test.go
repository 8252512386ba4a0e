package github_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

func TestProtection(t *testing.T) {
	t.Parallel()
	const rules = "GET /repos/acme/fleet/rules/branches/**"
	contents := func(gh *githubtest.Server) string {
		return gh.AddFineGrainedToken("alice",
			githubtest.FineGrained{Owner: "acme", Permissions: githubtest.Permissions{"contents": "write"}})
	}
	everything := func(gh *githubtest.Server) string { return gh.AddClassicToken("alice", "repo") }
	for name, tc := range map[string]struct {
		token   func(*githubtest.Server) string
		setUp   func(*githubtest.Server, *githubtest.Repo)
		branch  string
		empty   bool
		want    github.Protection // without Hindrances
		text    string
		refuses bool
	}{
		"none":           {token: contents, want: github.Protection{Exists: true}},
		"no such branch": {token: contents, branch: "release/1.x", want: github.Protection{}},
		"empty":          {token: contents, empty: true, want: github.Protection{}},
		"details hidden": {
			token: contents, want: github.Protection{Exists: true, Protected: true},
			text: "the branch is protected; the token may not read how (branch protection)",
			setUp: func(_ *githubtest.Server, r *githubtest.Repo) {
				r.Protect("main", githubtest.Protection{RequirePullRequest: true, EnforceAdmins: true})
			},
		},
		"includes administrators": {
			token: everything, want: github.Protection{Exists: true, Protected: true}, refuses: true,
			text: "changes have to be made through a pull request (branch protection); status checks have " +
				"to pass first (branch protection); commits have to be signed (branch protection)",
			setUp: func(_ *githubtest.Server, r *githubtest.Repo) {
				r.Protect("main", githubtest.Protection{RequirePullRequest: true,
					StatusChecks: []string{"ci"}, RequireSignatures: true, EnforceAdmins: true})
			},
		},
		"administrators exempt": {
			token: everything, want: github.Protection{Exists: true, Protected: true, AdminsExempt: true},
			text: "changes have to be made through a pull request (branch protection)",
			setUp: func(_ *githubtest.Server, r *githubtest.Repo) {
				r.Protect("main", githubtest.Protection{RequirePullRequest: true})
			},
		},
		"only against force": {
			token: everything, want: github.Protection{Exists: true, Protected: true},
			setUp: func(_ *githubtest.Server, r *githubtest.Repo) {
				r.Protect("main", githubtest.Protection{EnforceAdmins: true})
			},
		},
		"ruleset": {
			token: contents, want: github.Protection{Exists: true, Protected: true,
				Rules: []string{"commit_message_pattern", "deletion", "non_fast_forward", "pull_request",
					"required_linear_history", "required_signatures", "required_status_checks"}},
			text: "commits have to be signed (ruleset * of acme/fleet); changes have to be made through a " +
				"pull request (ruleset * of acme/fleet); status checks have to pass first (ruleset * of " +
				"acme/fleet); commit messages have to match a pattern (ruleset * of acme/fleet)",
			setUp: func(_ *githubtest.Server, r *githubtest.Repo) {
				r.AddRuleset(githubtest.Ruleset{Name: "x", Branches: []string{"main"},
					RequirePullRequest: true, StatusChecks: []string{"ci"}, RequireSignatures: true,
					BlockForcePushes: true, BlockDeletions: true, LinearHistory: true,
					MessagePattern: "^[A-Z]"})
			},
		},
		"organization's ruleset, new branch": {
			token:  contents,
			branch: "clusters/dev", want: github.Protection{Protected: true, Rules: []string{"creation"}},
			text: "only some may create a branch of this name (ruleset * of acme)",
			setUp: func(_ *githubtest.Server, r *githubtest.Repo) {
				r.AddRuleset(githubtest.Ruleset{Name: "x", Organization: true, Branches: []string{"~ALL"},
					BlockCreation: true})
			},
		},
		"ruleset, empty repository": {
			token: contents,
			empty: true, want: github.Protection{Protected: true, Rules: []string{"pull_request"}},
			text: "changes have to be made through a pull request (ruleset * of acme/fleet)",
			setUp: func(_ *githubtest.Server, r *githubtest.Repo) {
				r.AddRuleset(githubtest.Ruleset{Name: "x", Branches: []string{"main"},
					RequirePullRequest: true})
			},
		},
		"harmless ruleset": {
			token: contents, want: github.Protection{Exists: true, Protected: true,
				Rules: []string{"creation", "non_fast_forward"}},
			setUp: func(_ *githubtest.Server, r *githubtest.Repo) {
				r.AddRuleset(githubtest.Ruleset{Name: "x", Branches: []string{"main"}, BlockForcePushes: true,
					BlockCreation: true})
			},
		},
		"rules that no library knows": {
			token: contents, want: github.Protection{Exists: true, Protected: true,
				Rules: []string{"file_path_restriction", "merge_queue", "tomorrow[31m", "update"}},
			text: "only some may push to the branch (ruleset 7 of acme); changes have to be made " +
				"through the merge queue (ruleset 7 of acme); some paths or sizes of files are not allowed " +
				"(ruleset 8 of acme); rule tomorrow[31m (ruleset 8 of acme)",
			setUp: func(gh *githubtest.Server, _ *githubtest.Repo) {
				gh.Break(rules, githubtest.Respond(200, `[{"type":"update","ruleset_id":7,"ruleset_source":"acme","parameters":{"update_allows_fetch_and_merge":true}},
					{"type":"merge_queue","ruleset_id":7,"ruleset_source":"acme"},{"type":"file_path_restriction","ruleset_id":8,"ruleset_source":"acme","parameters":["what"]},
					{"type":"tomorrow\u001b[31m","ruleset_id":8,"ruleset_source":"acme"},{"type":""}]`))
			},
		},
		"server without rulesets": {
			token: contents, want: github.Protection{Exists: true},
			setUp: func(gh *githubtest.Server, _ *githubtest.Repo) {
				gh.Break(rules, githubtest.Respond(404, `{"message":"Not Found"}`))
			},
		},
		"former name of a branch": {
			token: contents, branch: "old", want: github.Protection{},
			setUp: func(gh *githubtest.Server, _ *githubtest.Repo) {
				gh.Break("GET /repos/acme/fleet/branches/old",
					githubtest.RedirectTo(gh.RootAPIURL()+"repos/acme/fleet/branches/main"))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			var options []githubtest.RepoOption
			if !tc.empty {
				options = append(options, files())
			}
			repo := gh.AddRepo("acme/fleet", options...)
			if tc.setUp != nil {
				tc.setUp(gh, repo)
			}
			if tc.branch == "" {
				tc.branch = "main"
			}
			tc.want.Branch = tc.branch
			s := connect(t, gh, tc.token(gh))
			got, err := s.Protection(t.Context(), fleet(), tc.branch)
			ok(t, err)
			if !matches(tc.text, got.String()) || got.Refuses() != tc.refuses ||
				got.MayRefuse() != (tc.text != "") {
				t.Errorf("refuses %v, may %v:\n got %s\nwant %s",
					got.Refuses(), got.MayRefuse(), got, tc.text)
			}
			got.Hindrances = nil
			equal(t, "protection", got, tc.want)
			equal(t, "mutations", len(gh.Mutations()), 0)
		})
	}
}

// A private repository of an account whose plan has no rules has none, whoever asks.
func TestProtection_plan(t *testing.T) {
	t.Parallel()
	const words = `{"message":"Upgrade to GitHub Pro or make this repository public to enable this feature.","documentation_url":"https://docs.github.com/rest/repos/rules#get-rules-for-a-branch","status":"403"}`
	for name, breakIt := range map[string]func(*githubtest.Server){
		"no rules": func(*githubtest.Server) {},
		"protected before the plan was lowered": func(gh *githubtest.Server) {
			gh.Break("GET /repos/acme/fleet/branches/main",
				githubtest.Respond(200, `{"name":"main","protected":true,"protection":{"enabled":true}}`))
		},
	} {
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		gh.Break("GET /repos/acme/fleet/rules/branches/**", githubtest.Respond(403, words))
		gh.Break("GET /repos/acme/fleet/branches/main/protection", githubtest.Respond(403, words))
		breakIt(gh)
		s := owner(t, gh)
		got, err := s.Protection(t.Context(), fleet(), "main")
		ok(t, err)
		equal(t, name, got, github.Protection{Branch: "main", Exists: true})
		access, err := s.CheckAccess(t.Context(),
			github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true})
		ok(t, err)
		equal(t, name+": findings", access.Findings, nil)
	}
}

// Branches with slashes and odd characters name one branch, and reach no other endpoint.
func TestProtection_oddNames(t *testing.T) {
	t.Parallel()
	gh := world(t)
	repo := gh.AddRepo("acme/fleet", files())
	s := owner(t, gh)
	for _, branch := range []string{"a/b/c", "50%", "a?b", "a#b", "é", "main/../../keys", "x/protection"} {
		repo.AddRuleset(githubtest.Ruleset{Name: branch, Branches: []string{branch},
			RequirePullRequest: true})
		got, err := s.Protection(t.Context(), fleet(), branch)
		ok(t, err)
		equal(t, "rules of "+branch, []any{got.Branch, got.Exists, got.Rules},
			[]any{branch, false, []string{"pull_request"}})
		repo.RemoveRulesets()
	}
}

func TestProtection_refusals(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", files())
	s := connect(t, gh, gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme",
		Permissions: githubtest.Permissions{"administration": "write"}}))
	_, err := s.Protection(t.Context(), fleet(), "main")
	s.fails(err, github.ErrPermission, "reading branch main of acme/fleet: permission denied "+
		"(HTTP 403): Resource not accessible by personal access token",
		`the token in EKSA_GITHUB_TOKEN needs "Contents: read"`)
}
