package githubtest_test

import (
	"errors"
	"regexp"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// What GitHub looks for in every commit, in its words.
func TestGit_checks(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	gh.SetPlan("acme", githubtest.PlanPaid)
	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"old": "sentinel_aaaaaaaa\n"}))
	alice := gh.GitClient(githubtest.WithToken(gh.AddClassicToken("alice", "repo")))
	w, err := alice.Clone(ctx, gh.GitURL()+"acme/fleet.git", "")
	ok(t, err)
	commit := func(path, content string) {
		t.Helper()
		ok(t, w.Write(path, content))
		_, err := w.Commit(ctx, "Change "+path)
		ok(t, err)
	}

	repo.LimitFileSize(1 << 20)
	commit("d/big file", string(make([]byte, 3<<19)))
	fails(t, w.Push(ctx),
		"remote: error: File d/big file is 1.50 MB; this exceeds GitHub's file size limit of 1.00 MB",
		"remote: error: GH001: Large files detected. You may want to try Git Large File Storage - "+
			"https://git-lfs.github.com.", "(pre-receive hook declined)")
	repo.LimitFileSize(0)
	ok(t, w.Push(ctx))

	gh.HideEmails("alice", "alice@example.com")
	address := func(email string) error {
		_, err := w.Git(ctx, "commit", "--quiet", "--allow-empty", "--author", "Alice <"+email+">", "-m",
			"By "+email)
		ok(t, err)
		return w.Push(ctx)
	}
	fails(t, address("alice@example.com"),
		"remote: error: GH007: Your push would publish a private email address.",
		"remote: You can make your email public or disable this protection by visiting:",
		"remote: "+gh.GitURL()+"settings/emails", "(push declined due to email privacy restrictions)")
	ok(t, address("1+alice@users.noreply.github.com"))
	gh.HideEmails("alice")
	ok(t, address("alice@example.com"))

	// What was there before is not found, and what was allowed not again.
	repo.ProtectSecrets(githubtest.SecretKind{Name: "Sentinel Token", Pattern: "sentinel_[a-z]{8}"})
	commit("new", "a: b\nc: sentinel_bbbbbbbb\nd: sentinel_cccccccc\n")
	err = w.Push(ctx)
	fails(t, err, "remote: error: GH013: Repository rule violations found for refs/heads/main.",
		"remote: - GITHUB PUSH PROTECTION", "remote:     - Push cannot contain secrets",
		"remote:        —— Sentinel Token ——", "remote:         locations:",
		"remote:             path: new:2", "remote:             path: new:3",
		"remote:         (?) To push, remove secret from commit(s) or follow this URL to allow the secret.",
		"(push declined due to repository rule violations)")
	var failed *gittest.CommandError
	errors.As(err, &failed)
	addresses :=
		regexp.MustCompile(`https://\S+/acme/fleet/security/secret-scanning/unblock-secret/[0-9a-f]{27}`).
			FindAllString(failed.Stderr, -1)
	if len(addresses) != 2 {
		t.Fatalf("addresses %q, want 2 in:\n%s", addresses, failed.Stderr)
	}
	repo.AllowSecret(addresses[0])
	fails(t, w.Push(ctx), "path: new:3", addresses[1])
	repo.AllowSecret(addresses[1])
	ok(t, w.Push(ctx))

	// Rules of the branch are told of beside.
	repo.AddRuleset(githubtest.Ruleset{Branches: []string{"main"}, RequireSignatures: true})
	commit("new", "sentinel_dddddddd\n")
	fails(t, w.Push(ctx), "Review all repository rules at",
		"remote: - Commits must have verified signatures.", "remote:   Found 1 violation:",
		"remote:   "+headOf(t, w), "remote: - GITHUB PUSH PROTECTION", "path: new:1")
}

func headOf(t *testing.T, w *gittest.WorkTree) string {
	t.Helper()
	out, err := w.Git(t.Context(), "rev-parse", "HEAD")
	ok(t, err)
	return out[:40]
}
