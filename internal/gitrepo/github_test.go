package gitrepo_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// GitHub's hook, its words and its statuses, from the commit to the error and its hint.
func TestPush_githubRefuses(t *testing.T) {
	t.Parallel()
	gh := githubtest.Start(t)
	gh.AddUser("alice")
	gh.SetPlan("alice", githubtest.PlanPaid) // which rulesets need
	key := gittest.NewKey(t, gittest.ED25519)
	gh.AddSSHKey("alice", key.AuthorizedKey())
	gh.HideEmails("alice", "ann@example.com")
	token := gh.AddClassicToken("alice", "repo")
	remotes := map[string]func(repo string) gitrepo.Remote{
		"https": func(repo string) gitrepo.Remote {
			return gitrepo.Remote{URL: gh.GitURL() + repo + ".git", CAPEM: gh.CAPEM(),
				Auth: gitrepo.TokenAuth{Token: secret.New(token)}}
		},
		"ssh": func(repo string) gitrepo.Remote {
			return gitrepo.Remote{URL: gh.SSHURL() + repo + ".git", Auth: sshAuth(t, key, gh.KnownHosts())}
		},
	}
	for name, remote := range remotes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := gh.AddRepo("alice/"+name, githubtest.Files(map[string]string{"README.md": "hello\n"}))
			head := repo.Git().Head("main")
			// push pushes one file, by somebody with this address, and returns the refusal without the
			// addresses of this server.
			push := func(email, content string) string {
				t.Helper()
				s := mustFetch(t, remote("alice/"+name), "main")
				opts := options("Change the fleet")
				opts.Author.Email = email
				c, err := s.Commit([]git.Edit{write("clusters/dev.yaml", content)}, opts)
				if err != nil {
					t.Fatal(err)
				}
				refused := asError[*git.RejectedError](t, s.Push(t.Context(), c))
				if repo.Git().Head("main") != head {
					t.Error("the branch has moved")
				}
				return strings.NewReplacer(refused.Remote, "REPO", gh.GitURL(),
					"HOST/").Replace(refused.Error() + "\nhint: " + refused.Hint().String())
			}
			expect := func(what, got, want string) {
				t.Helper()
				if got != want {
					t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
				}
			}

			expect("private address", push("ann@example.com", "a: 1\n"),
				`REPO: the server refused the push to main:
  GH007: Your push would publish a private email address.
  You can make your email public or disable this protection by visiting:
  HOST/settings/emails
with the status: push declined due to email privacy restrictions
hint: commit with an address that may be published: --author-email ADDRESS, such as the noreply address on HOST/settings/emails; or switch the protection off there`)

			repo.LimitFileSize(1 << 20)
			expect("large file", push("1+alice@users.noreply.github.com", strings.Repeat("x", 3<<19)),
				`REPO: the server refused the push to main:
  File clusters/dev.yaml is 1.50 MB; this exceeds GitHub's file size limit of 1.00 MB
  GH001: Large files detected. You may want to try Git Large File Storage - https://git-lfs.github.com.
with the status: pre-receive hook declined
hint: make the file that clusters/dev.yaml is written from smaller, or have the limit raised`)
			repo.LimitFileSize(0)

			repo.ProtectSecrets(githubtest.SecretKind{Name: "Sentinel Token", Pattern: "sentinel_[a-z]{8}"})
			const unblock = "HOST/alice/NAME/security/secret-scanning/unblock-secret/bc18d6ac58d1a60fe96d7577a73"
			want := strings.NewReplacer("NAME", name).Replace(`REPO: the server refused the push to main:
  GH013: Repository rule violations found for refs/heads/main.
  - GITHUB PUSH PROTECTION
  - Push cannot contain secrets
  Sentinel Token
  path: clusters/dev.yaml:2
  To push, remove secret from commit(s) or follow this URL to allow the secret.
  ` + unblock + `
with the status: push declined due to repository rule violations
hint: take the secret out of your cluster file (in the commit it is in clusters/dev.yaml, line 2), or allow it at ` +
				unblock + `, then run the same command again`)
			expect("secret", push("1+alice@users.noreply.github.com", "a: 1\nb: sentinel_abcdefgh\n"), want)
			repo.ProtectSecrets()

			repo.AddRuleset(githubtest.Ruleset{Branches: []string{"main"}, RequirePullRequest: true,
				RequireSignatures: true})
			expect("rules", push("1+alice@users.noreply.github.com", "a: 1\n"),
				strings.NewReplacer("NAME", name).Replace(`REPO: the server refused the push to main:
  GH013: Repository rule violations found for refs/heads/main.
  Review all repository rules at HOST/alice/NAME/rules?ref=refs%2Fheads%2Fmain
  - Changes must be made through a pull request.
  - Commits must have verified signatures.
with the status: push declined due to repository rule violations
hint: eksa-gitops does not sign its commits: have an administrator let this account pass the rule, or name a branch without it in spec.branch; and `+
					`name another branch in spec.branch, or have an administrator let this account push to this one`))
		})
	}
}
