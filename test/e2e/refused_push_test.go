package e2e_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// TestUpgrade_refusedPush: GitHub refuses the commit for what is in it. Nothing is written, the words come
// through in lines, and the hint is what helps: with it the same run does its job.
func TestUpgrade_refusedPush(t *testing.T) {
	w := newWorldIn(t, withDev())
	repo := w.gh.Repo("alice/fleet")
	upgrade := []string{"upgrade", "cluster", "-f", "dev.yaml"}
	w.gh.HideEmails("alice", "alice@example.com")
	repo.ProtectSecrets(githubtest.SecretKind{Name: "Sentinel Token", Pattern: "sentinel_[a-z]{8}"})
	for _, c := range []struct {
		name  string
		args  []string
		spec  string
		tells []string
		heal  func(refused outcome) (args []string)
	}{
		{"secret", upgrade, spec(t, "dev.yaml", "count: 1 ", "count: 2 ",
			"# A workload", "# sentinel_abcdefgh\n# A workload"),
			[]string{
				"error:   GH013: Repository rule violations found for refs/heads/main.\n",
				"error:   - Push cannot contain secrets\n",
				"error:   Sentinel Token\n",
				"error:   path: clusters/mgmt/dev/eksa-system/eksa-cluster.yaml:1\n",
				"error: with the status: push declined due to repository rule violations; nothing has been " +
					"changed\n",
				"hint: take the secret out of your cluster file (in the commit it is in " +
					"clusters/mgmt/dev/eksa-system/eksa-cluster.yaml, line 1), or allow it at " +
					w.gh.GitURL(),
			}, func(refused outcome) []string {
				hint := refused.stderr[strings.LastIndex(refused.stderr, "hint: "):]
				repo.AllowSecret(regexp.MustCompile(`https://\S+/unblock-secret/[0-9a-f]+`).FindString(hint))
				return upgrade
			}},
		{"private address", append(upgrade, "--author-email", "alice@example.com"),
			spec(t, "dev.yaml", "count: 1 ", "count: 3 "), []string{
				"error:   GH007: Your push would publish a private email address.\n",
				"error: with the status: push declined due to email privacy restrictions; nothing has been " +
					"changed\n",
				"hint: commit with an address that may be published: --author-email ADDRESS, such as the " +
					"noreply address on " + w.gh.GitURL() + "settings/emails; ",
			}, func(outcome) []string {
				return append(upgrade, "--author-email", "1+alice@users.noreply.github.com")
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w.with(t, nil)
			w.write("dev.yaml", c.spec)
			head, before := repo.Git().Head("main"), w.mark()
			refused := w.run(c.args...).exits(4).tells(c.tells...)
			if activity := w.gh.Since(before.github); repo.Git().Head("main") != head ||
				len(activity.Mutations) > 0 || activity.Pushes != 1 {
				t.Errorf(
					"main went from %s to %s with %d pushes and the writes %v, want one push and no change",
					head, repo.Git().Head("main"), activity.Pushes, activity.Mutations)
			}
			before.leavesClusterAlone()
			w.run(c.heal(refused)...).exits(0)
			if repo.Git().Head("main") == head {
				t.Error("the remedy has not helped")
			}
		})
	}
}
