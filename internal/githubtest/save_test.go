package githubtest_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// A server that is put back holds what it held, to the last right, and may be put back again and again.
func TestSaveRestore(t *testing.T) {
	t.Parallel()
	gh := githubtest.Start(t)
	gh.AddUser("alice", "bob")
	gh.AddOrg("acme", githubtest.OrgOwner("alice"), githubtest.OrgPlan(githubtest.PlanPaid))
	token := gh.AddClassicToken("alice", "repo")
	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"README.md": "fleet\n"}),
		githubtest.Grant("bob", githubtest.Push))
	key := gittest.NewKey(t, gittest.ED25519)
	repo.AddDeployKey("flux", key.AuthorizedKey(), true)
	head := repo.Git().Head("main")
	address, hosts := gh.APIURL(), gh.KnownHosts()
	saved, err := gh.Save()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		repo := gh.Repo("acme/fleet")
		repo.Git().Commit(gittest.Change{Message: "Change",
			Files: map[string]string{"README.md": "changed\n"}})
		repo.RemoveDeployKey(repo.DeployKeys()[0].ID)
		repo.Protect("main", githubtest.Protection{RequirePullRequest: true})
		repo.Grant("bob", githubtest.Admin)
		gh.AddRepo("acme/other")
		gh.AddOrg("acme", githubtest.DeployKeysDisabled())
		gh.SetPlan("acme", githubtest.PlanFree) // the next time, protecting main would be refused
		gh.Suspend("alice")
		repo.DisableKey(repo.AddDeployKey("other", gittest.NewKey(t, gittest.ED25519).AuthorizedKey(), true))
		repo.Git().Commit(gittest.Change{Branch: "topic", Message: "Topic",
			Files: map[string]string{"topic": "1\n"}})
		repo.RenameBranch("topic", "trunk")
		repo.Transfer("alice")
		gh.AnnounceEnd("2022-11-28", time.Now())
		gh.ChangeHostKeys()
		gh.RevokeToken(token)
		gh.Break("GET /**", githubtest.Status(http.StatusTeapot))
		gh.InjectGit(gittest.Fault{Kind: gittest.RejectAuth})

		if err := gh.Restore(saved); err != nil {
			t.Fatal(err)
		}
		repo = gh.Repo("acme/fleet")
		if got := repo.Git().Head("main"); got != head {
			t.Errorf("head is %s, want %s", got, head)
		}
		if keys := repo.DeployKeys(); len(keys) != 1 || keys[0].Title != "flux" || !keys[0].ReadOnly {
			t.Errorf("deploy keys %+v", keys)
		}
		if got := gh.Repos(); !slices.Equal(got, []string{"acme/fleet"}) {
			t.Errorf("repositories %v", got)
		}
		if gh.APIURL() != address || gh.KnownHosts() != hosts {
			t.Errorf("the server is now at %s with the host keys %s", gh.APIURL(), gh.KnownHosts())
		}
		if n := len(gh.Requests()); n != 0 {
			t.Errorf("%d requests are recorded", n)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			gh.APIURL()+"repos/acme/fleet/keys", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Accept", "application/vnd.github+json")
		request.Header.Set("User-Agent", "test")
		response, err := gh.HTTPClient().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		gh.TakeViolations()
		if response.StatusCode != http.StatusUnprocessableEntity { // it lacks the key
			t.Errorf("the token is answered with %s", response.Status)
		}
		// A clone shows that faults are gone and that the server serves what was put back.
		work, err := gh.GitClient(githubtest.WithToken(token)).Clone(t.Context(),
			gh.GitURL()+"acme/fleet.git", t.TempDir()+"/clone")
		if err != nil {
			t.Fatal(err)
		}
		if content, err := work.Read("README.md"); err != nil || content != "fleet\n" {
			t.Errorf("README.md holds %q, %v", content, err)
		}
		if err := work.Write("new", "new\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := work.Commit(t.Context(), "New"); err != nil {
			t.Fatal(err)
		}
		if err := work.Push(t.Context()); err != nil {
			t.Errorf("a push that was allowed: %v", err)
		}
	}
}
