package githubtest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// fails checks what a refused git command showed.
func fails(t *testing.T, err error, wants ...string) {
	t.Helper()
	var failed *gittest.CommandError
	if !errors.As(err, &failed) {
		t.Fatalf("got error %v, want a failed git command", err)
	}
	for _, want := range wants {
		if !strings.Contains(failed.Stderr+failed.Stdout, want) {
			t.Errorf("no %q in:\n%s%s", want, failed.Stderr, failed.Stdout)
		}
	}
}

func TestGit_tokens(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"a": "1"}),
		githubtest.Grant("carol", githubtest.Pull))
	push := func(token string) error {
		_, err := gh.GitClient(githubtest.WithToken(token)).Git(ctx, repo.Git().Dir(), "push",
			gh.GitURL()+"acme/fleet.git", "main:refs/heads/new")
		return err
	}
	ls := func(token, name string) error {
		_, err := gh.GitClient(githubtest.WithToken(token)).Git(ctx, repo.Git().Dir(), "ls-remote",
			gh.GitURL()+name)
		return err
	}
	alice := gh.AddClassicToken("alice", "repo")
	for _, name := range []string{"acme/fleet.git", "acme/fleet", "ACME/Fleet.git"} {
		ok(t, ls(alice, name))
	}
	mark := gh.Mark()
	ok(t, push(alice))
	if a := gh.Since(mark); a.Pushes != 1 || a.Fetches != 0 || len(a.Requests) != 0 {
		t.Errorf("activity %+v", a)
	}
	fails(t, push("bad"), "remote: Invalid username or token.", "Authentication failed")
	fails(t, push(gh.AddClassicToken("carol", "repo")),
		"remote: Permission to acme/fleet.git denied to carol.", "403")
	fails(t, ls(gh.AddClassicToken("alice"), "acme/fleet.git"), "remote: Repository not found.")
	readOnly := gh.AddFineGrainedToken("alice",
		githubtest.FineGrained{Owner: "acme", Permissions: githubtest.Permissions{"contents": "read"}})
	ok(t, ls(readOnly, "acme/fleet.git"))
	fails(t, push(readOnly), "remote: Write access to repository not granted.", "403")
	ok(t, ls(gh.AddInstallationToken("acme",
		githubtest.Installation{Permissions: githubtest.Permissions{"contents": "read"}}),
		"acme/fleet.git"))
	repo.Rename("estate")
	ok(t, ls(alice, "acme/fleet.git")) // redirected
	repo.Archive()
	_, err := gh.GitClient(githubtest.WithToken(alice)).Git(ctx, repo.Git().Dir(), "push",
		gh.GitURL()+"acme/estate.git", "main:x")
	fails(t, err, "remote: This repository was archived so it is read-only.")
	gh.AddOrg("acme", githubtest.EnforceSSO())
	fails(t, ls(alice, "acme/estate.git"), "has enabled or enforced SAML SSO", "403")
	off := gh.InjectGit(gittest.Fault{Kind: gittest.RejectAuth})
	gh.AuthorizeSSO(alice, "acme")
	fails(t, ls(alice, "acme/estate.git"), "Authentication failed")
	off()
	ok(t, ls(alice, "acme/estate.git"))
}

func TestGit_keys(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"a": "1"}))
	gh.AddRepo("acme/other")
	url := gh.SSHURL() + "acme/fleet.git"
	run := func(k *gittest.Key, args ...string) error {
		_, err := gh.GitClient(githubtest.WithKey(k)).Git(ctx, repo.Git().Dir(), args...)
		return err
	}
	reader, writer, stranger, user := gittest.NewKey(t, gittest.ECDSA384), gittest.NewKey(t, gittest.ED25519),
		gittest.NewKey(t, gittest.ED25519), gittest.NewKey(t, gittest.ED25519)
	id := repo.AddDeployKey("reader", reader.AuthorizedKey(), true)
	repo.AddDeployKey("writer", writer.AuthorizedKey(), false)
	gh.AddSSHKey("alice", user.AuthorizedKey())

	ok(t, run(reader, "ls-remote", url))
	fails(t, run(reader, "push", url, "main:new"),
		"ERROR: The key you are authenticating with has been marked as read only.")
	fails(t, run(reader, "ls-remote", gh.SSHURL()+"acme/other.git"), "ERROR: Repository not found.")
	ok(t, run(writer, "push", url, "main:new"))
	ok(t, run(user, "push", url, "main:newer"))
	fails(t, run(stranger, "ls-remote", url), "git@127.0.0.1: Permission denied (publickey).")
	if repo.DeployKeys()[0].LastUsed.IsZero() {
		t.Error("the use of a key is not kept")
	}
	repo.RemoveDeployKey(id)
	fails(t, run(reader, "ls-remote", url), "Permission denied (publickey).")
	gh.ChangeHostKeys()
	ok(t, run(writer, "ls-remote", url)) // a client that knows the new ones
}

func TestGit_rules(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	gh.SetPlan("acme", githubtest.PlanPaid)
	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"a": "1"}),
		githubtest.Grant("bob", githubtest.Push))
	bob, alice := gh.GitClient(githubtest.WithToken(gh.AddClassicToken("bob", "repo"))),
		gh.GitClient(githubtest.WithToken(gh.AddClassicToken("alice", "repo")))
	key := gittest.NewKey(t, gittest.ED25519)
	gh.AddSSHKey("bob", key.AuthorizedKey())
	w, err := bob.Clone(ctx, gh.GitURL()+"acme/fleet.git", "")
	ok(t, err)
	ok(t, w.Write("a", "2"))
	_, err = w.Commit(ctx, "Direct change")
	ok(t, err)

	repo.Protect("main", githubtest.Protection{RequirePullRequest: true})
	fails(t, w.Push(ctx), "remote: error: GH006: Protected branch update failed for refs/heads/main.",
		"remote: - Changes must be made through a pull request.", "(protected branch hook declined)")
	fails(t, w.Push(ctx, "origin", "HEAD:main", "HEAD:refs/heads/beside"), "GH006")
	ok(t, w.Push(ctx, "origin", "HEAD:refs/heads/topic"))
	_, err = gh.GitClient(githubtest.WithKey(key)).Git(ctx, w.Dir, "push", gh.SSHURL()+"acme/fleet.git",
		"HEAD:main")
	fails(t, err, "GH006", "(protected branch hook declined)")
	_, err = alice.Git(ctx, w.Dir, "push", gh.GitURL()+"acme/fleet.git", ":main")
	fails(t, err, "Cannot delete this branch")
	repo.Unprotect("main")

	repo.AddRuleset(githubtest.Ruleset{Branches: []string{"~DEFAULT_BRANCH"}, RequirePullRequest: true,
		BlockForcePushes: true, Bypass: []string{"alice"}})
	fails(t, w.Push(ctx), "remote: error: GH013: Repository rule violations found for refs/heads/main.",
		"remote: Review all repository rules at "+gh.GitURL()+"acme/fleet/rules?ref=refs%2Fheads%2Fmain",
		"remote: - Changes must be made through a pull request.",
		"(push declined due to repository rule violations)")
	_, err = alice.Git(ctx, w.Dir, "push", gh.GitURL()+"acme/fleet.git", "HEAD:main")
	ok(t, err)
	repo.RemoveRulesets()

	repo.AddRuleset(githubtest.Ruleset{Branches: []string{"~ALL"}, MessagePattern: "^[A-Z]+-[0-9]+ ",
		RequireSignatures: true})
	ok(t, w.Write("a", "3"))
	_, err = w.Commit(ctx, "No ticket")
	ok(t, err)
	fails(t, w.Push(ctx), "Commits must have verified signatures.",
		"Commit message must match a given regex pattern: ^[A-Z]+-[0-9]+ ")
	repo.RemoveRulesets()
	ok(t, w.Push(ctx))

	repo.AddRuleset(githubtest.Ruleset{Branches: []string{"main"}, BlockForcePushes: true,
		BlockDeletions: true})
	repo.AddRuleset(githubtest.Ruleset{Branches: []string{"release/*"}, BlockCreation: true,
		Organization: true})
	fails(t, w.Push(ctx, "--force", "origin", "HEAD~1:main"), "GH013", "Cannot force-push to this branch")
	fails(t, w.Push(ctx, "origin", ":main"), "GH013", "Cannot delete this branch")
	fails(t, w.Push(ctx, "origin", "HEAD:refs/heads/release/1/x"),
		"GH013: Repository rule violations found for refs/heads/release/1/x.",
		"Cannot create ref due to creations being restricted.")
}

func TestGit_firstBranchBecomesDefault(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := gh.AddRepo("acme/fleet")
	w, err := gh.GitClient(githubtest.WithToken(gh.AddClassicToken("alice", "repo"))).Clone(ctx,
		gh.GitURL()+"acme/fleet.git", "")
	ok(t, err)
	_, err = w.Git(ctx, "checkout", "--quiet", "-b", "trunk")
	ok(t, err)
	ok(t, w.Write("a", "1"))
	_, err = w.Commit(ctx, "first")
	ok(t, err)
	ok(t, w.Push(ctx))
	if got := repo.Git().DefaultBranch(); got != "trunk" {
		t.Errorf("default branch %q", got)
	}
}
