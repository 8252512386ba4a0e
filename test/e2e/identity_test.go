package e2e_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// What becomes of a fleet whose repository or branch gets another name, is replaced by another under the old
// name, archived or deleted: each time status and every command that pushes say what is seen and what helps,
// before they write, and what they say helps.
func TestRepository_identity(t *testing.T) {
	w := newFleetWorld(t)
	repo := w.gh.Repo("alice/fleet")
	w.gh.AddOrg("acme", orgOwner("alice"))
	w.write("test.yaml", spec(t, "dev.yaml", "dev", "test", ".20", ".30"))
	// refused has every command that pushes refuse, with the same words, and write nothing.
	refused := func(t *testing.T, texts ...string) {
		t.Helper()
		before := w.mark()
		for _, args := range [][]string{
			{"create", "cluster", "-f", "mgmt.yaml"}, {"create", "cluster", "-f", "test.yaml"},
			{"upgrade", "cluster", "-f", "dev.yaml"}, {"delete", "cluster", "dev", "--yes"},
		} {
			w.run(args...).exits(3).tells(texts...)
		}
		before.writesNothing()
	}
	// well is the end of each part: all that was done is undone, and Flux has looked.
	well := func(t *testing.T) {
		t.Helper()
		requestReconcile(t)
		w.until(statusArgs, 0, "All is well.")
	}

	t.Run("renamed and transferred", func(t *testing.T) {
		repo.Rename("estate")
		repo.Transfer("acme")
		const moved = "repository alice/fleet is now called acme/estate; GitHub redirects the old name, " +
			"for Flux as well, until somebody makes a new alice/fleet; nothing has to be done: leave the " +
			"old name in the file, because EKS Anywhere does not let a FluxConfig change"
		once := func(out outcome) {
			t.Helper()
			if n := strings.Count(out.stdout+out.stderr, "is now called"); n != 1 {
				t.Errorf("it is said %d times:\n%s%s", n, out.stdout, out.stderr)
			}
		}
		once(w.run("status").exits(0).prints(moved, "All is well."))
		if renamed := at(t, w.run("status", "-o", "json").exits(0).json(), "repository",
			"renamedTo"); renamed != "acme/estate" {
			t.Errorf("renamedTo is %v", renamed)
		}
		before := w.mark()
		once(w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do").tells(moved))
		before.writesNothing()
		once(w.run("create", "cluster", "-f", "test.yaml").exits(0).
			prints("Cluster test is managed through Git").tells(moved))
		once(w.run("delete", "cluster", "test", "--yes").exits(0).tells(moved))

		// The new name in the file is a change of what EKS Anywhere has frozen.
		w.write("new.yaml", spec(t, "mgmt.yaml", "owner: alice", "owner: acme", "repository: fleet",
			"repository: estate", "personal: true", "personal: false"))
		before = w.mark()
		for _, args := range [][]string{{"create", "cluster", "-f", "new.yaml"},
			{"upgrade", "cluster", "-f", "new.yaml"}, {"upgrade", "cluster", "-f", "new.yaml", "--adopt"}} {
			out := w.run(args...).exits(3).tells(
				`github.repository is "estate", the management cluster has "fleet"; EKS Anywhere freezes it`,
				"put the old value into the file: both names lead to the same repository, and nothing else "+
					"has to be done")
			for _, circle := range []string{"take it over", "detach", "follows branch"} {
				if strings.Contains(out.stderr, circle) {
					t.Errorf("it says %q:\n%s", circle, out.stderr)
				}
			}
		}
		before.writesNothing()
		well(t)
	})
	t.Run("another repository under the old name", func(t *testing.T) {
		other := w.gh.AddRepo("alice/fleet", githubtest.Files(readme))
		const seen = "it is another repository under the old name: Flux's deploy key is not registered there"
		w.run("status").exits(5).prints("1 thing is not well",
			"nor are there files of clusters dev, mgmt, which Flux has applied", seen)
		refused(t, seen, "call that one alice/fleet again")
		requestReconcile(t)
		w.until(statusArgs, 5, "NOT ready", "1 thing is not well", seen)
		if log := other.Git().Log("main"); len(log) != 1 {
			t.Errorf("%d commits, want the first alone", len(log))
		}
		other.Rename("fleet-of-others")
		repo.Transfer("alice")
		repo.Rename("fleet")
		well(t)
	})
	t.Run("other case", func(t *testing.T) {
		w.write("case.yaml", spec(t, "mgmt.yaml", "owner: alice", "owner: Alice"))
		w.run("create", "cluster", "-f", "case.yaml").exits(3).
			tells(`github.owner is "Alice", the management cluster has "alice"`,
				"put the old value into the file: both names lead to the same repository")
	})
	t.Run("the branch was renamed", func(t *testing.T) {
		repo.RenameBranch("main", "trunk")
		const seen = "was renamed to trunk, and Flux goes on looking for main"
		out := w.run("status").exits(5).prints("1. branch main", seen, "1 thing is not well")
		refused(t, seen, "rename it back")
		requestReconcile(t)
		w.until(statusArgs, 5, "NOT ready", "1 thing is not well", seen)
		// Taken at its word, the next command repairs it.
		_, advice, _ := strings.Cut(out.stdout, "from any clone: ")
		advice, _, _ = strings.Cut(advice, "\n")
		command := exec.CommandContext(t.Context(), "sh", "-c", advice)
		command.Dir, command.Env = w.clone.Dir, w.gh.GitClient(githubToken(w.world)).Env()
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", advice, err, output)
		}
		well(t)
		w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do",
			"git clone --branch main "+w.gh.GitURL()+"alice/fleet.git")
	})
	t.Run("archived", func(t *testing.T) {
		repo.Archive()
		w.run("status").exits(5).prints("it is archived", "nobody can push to it")
		w.run("create", "cluster", "-f", "mgmt.yaml").exits(4).
			tells("cluster mgmt is up; Flux still applies main@", ", but this run could not finish",
				"repository alice/fleet is archived: nobody can write to it")
	})
	t.Run("deleted", func(t *testing.T) {
		w.gh.RemoveRepo("alice/fleet")
		w.run("status").exits(5).prints("1. repository "+w.gh.GitURL()+"alice/fleet",
			"it does not exist any more, or the credentials may not see it")
		refused(t, "whose branch main Flux follows, does not exist any more, or the token may not see it",
			"keeps a deleted repository for 90 days")
		requestReconcile(t)
		w.until(statusArgs, 5, "NOT ready", "1 thing is not well",
			"when it is gone, Flux keeps what it has applied")
	})
}
