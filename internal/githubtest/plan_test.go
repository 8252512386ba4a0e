package githubtest_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// On GitHub Free a private repository has no rules: its administrators are told so like everybody else, and
// nothing is enforced.
func TestPlan(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	gh.AddOrg("acme", githubtest.OrgPlan(githubtest.PlanPaid))
	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"a": "1"}))
	gh.AddRepo("alice/own", githubtest.Files(map[string]string{"a": "1"}))
	repo.Protect("main", githubtest.Protection{RequirePullRequest: true, EnforceAdmins: true})
	repo.AddRuleset(githubtest.Ruleset{Branches: []string{"main"}, RequirePullRequest: true})
	token := gh.AddClassicToken("alice", "repo")
	const upgrade = "403 Upgrade to GitHub Pro or make this repository public to enable this feature."
	for name, tc := range map[string]struct{ base, repo, rules, protection string }{
		"paid":                  {gh.RootAPIURL(), "acme/fleet", "200", "200"},
		"a user on Free":        {gh.RootAPIURL(), "alice/own", upgrade, upgrade},
		"an enterprise has all": {gh.APIURL(), "alice/own", "200", "404 Branch not protected"},
	} {
		equal(t, name,
			answer(t, gh, token, "GET", tc.base+"repos/"+tc.repo+"/rules/branches/main", ""), tc.rules)
		equal(t, name, answer(t, gh, token, "GET", tc.base+"repos/"+tc.repo+"/branches/main/protection", ""),
			tc.protection)
	}
	w, err := gh.GitClient(githubtest.WithToken(token)).Clone(ctx, gh.GitURL()+"acme/fleet.git", "")
	ok(t, err)
	ok(t, w.Write("a", "2"))
	_, err = w.Commit(ctx, "Change")
	ok(t, err)
	fails(t, w.Push(ctx), "GH013", "GH006")

	gh.SetPlan("acme", githubtest.PlanFree)
	address := gh.RootAPIURL() + "repos/acme/fleet/"
	equal(t, "rules", answer(t, gh, token, "GET", address+"rules/branches/main", ""), upgrade)
	equal(t, "protection", answer(t, gh, token, "GET", address+"branches/main/protection", ""), upgrade)
	_, text := send(t, gh, token, "GET", address+"branches/main", "")
	if fields(t, text)["protected"] != false {
		t.Errorf("the branch is protected: %s", text)
	}
	ok(t, w.Push(ctx))
	repo.SetPrivate(false)
	equal(t, "public", answer(t, gh, token, "GET", address+"branches/main/protection", ""), "200")
	gh.AddUser("dave")
	gh.SetPlan("dave", githubtest.PlanPaid)
	gh.AddRepo("dave/own").Protect("main", githubtest.Protection{})
}

// A test that sets up rules which GitHub would not take is mistaken.
func TestPlan_misuse(t *testing.T) {
	t.Parallel()
	gh, err := githubtest.New(t.Context(), githubtest.Options{})
	ok(t, err)
	defer gh.Close()
	gh.AddUser("alice")
	repo := gh.AddRepo("alice/own")
	for name, do := range map[string]func(){
		"protecting a branch": func() { repo.Protect("main", githubtest.Protection{}) },
		"adding a ruleset":    func() { repo.AddRuleset(githubtest.Ruleset{}) },
	} {
		func() {
			defer func() {
				want := name + " of alice/own: GitHub Free has no rules for private repositories; use " +
					"OrgPlan or SetPlan with PlanPaid, or Public"
				equal(t, name, fmt.Sprint(recover()), want)
			}()
			do()
		}()
	}
}

// An organization's settings are its owners' to see, and of those whose token may: nobody else learns that
// something is left out.
func TestOrganization_settings(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddOrg("acme", githubtest.DeployKeysDisabled(), githubtest.MembersCannotCreatePrivate())
	fine := func(p githubtest.Permissions) string {
		return gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme", Permissions: p})
	}
	for name, tc := range map[string]struct {
		token string
		sees  bool
	}{
		"owner":                   {gh.AddClassicToken("alice", "repo", "admin:org"), true},
		"owner without the scope": {gh.AddClassicToken("alice", "repo", "read:org"), false},
		"member with the scope":   {gh.AddClassicToken("bob", "repo", "admin:org"), false},
		"stranger":                {gh.AddClassicToken("carol", "admin:org"), false},
		"nobody":                  {"", false},
		"fine-grained": {fine(githubtest.Permissions{"organization_administration": "read"}),
			true},
		"fine-grained, repositories'": {fine(githubtest.Permissions{"administration": "write"}), false},
		"App": {gh.AddInstallationToken("acme", githubtest.Installation{
			Permissions: githubtest.Permissions{"organization_administration": "read"}}), true},
	} {
		for _, base := range []string{gh.RootAPIURL(), gh.APIURL()} {
			_, text := send(t, gh, tc.token, "GET", base+"orgs/acme", "")
			o := fields(t, text)
			for field, want := range map[string]any{
				"deploy_keys_enabled_for_repositories": false, "members_can_create_repositories": true,
				"members_can_create_private_repositories": false,
				"members_can_create_public_repositories":  true,
			} {
				if got, there := o[field]; there != tc.sees || there && got != want {
					t.Errorf("%s: %s is %v (%v)", name, field, got, there)
				}
			}
		}
	}
}

// What is asked under /api/v3 is answered as by an enterprise server, anything else as by github.com.
func TestEnterprise(t *testing.T) {
	t.Parallel()
	gh := world(t)
	token := gh.AddClassicToken("alice", "repo")
	for base, tc := range map[string]struct {
		version      string
		keys, sunset bool
		newest       string
	}{
		gh.RootAPIURL(): {"", true, true, "200"},
		gh.APIURL():     {"3.19.1", false, false, `400 "2026-03-10" is not a supported version.`},
	} {
		resp, text := send(t, gh, token, "GET", base+"meta", "")
		_, keys := fields(t, text)["ssh_keys"]
		_, prints := fields(t, text)["ssh_key_fingerprints"]
		if keys != tc.keys || prints != tc.keys {
			t.Errorf("%s: host keys %v, fingerprints %v", base, keys, prints)
		}
		equal(t, base, resp.Header.Get("X-GitHub-Enterprise-Version"), tc.version)
		if got := resp.Header.Get("Sunset") != ""; got != tc.sunset {
			t.Errorf("%s: sunset %q", base, resp.Header.Get("Sunset"))
		}
		equal(t, base, answer(t, gh, token, "GET", base+"user", "", "X-GitHub-Api-Version", "2026-03-10"),
			tc.newest)
	}
	want := []githubtest.Violation{{Request: "GET /user",
		Problem: `X-GitHub-Api-Version "2026-03-10" is not supported`}}
	if got := gh.TakeViolations(); !slices.Equal(got, want) {
		t.Errorf("violations %v", got)
	}
}
