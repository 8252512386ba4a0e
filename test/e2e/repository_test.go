package e2e_test

import (
	"slices"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// readme is what a repository that is not empty holds before the program comes.
var readme = map[string]string{"README.md": "fleet\n"}

// gitServer is a Git server that the repository step is tried with.
type gitServer struct {
	name string
	// prepare makes a world whose cluster file names a repository on the server, in the given state.
	prepare func(t *testing.T, state string) (run func(args ...string) outcome, repo func() *gittest.Repo,
		writesNothing func() func())
}

// gitServers are GitHub over HTTPS and an OpenSSH server.
func gitServers() []gitServer {
	return []gitServer{
		{"GitHub",
			func(t *testing.T, state string) (func(...string) outcome, func() *gittest.Repo, func() func()) {
				w := newWorld(t)
				w.gh.AddOrg("acme", orgOwner("alice"))
				switch state {
				case "empty":
					w.gh.AddRepo("acme/fleet", emptyRepo()...)
				case "with commits":
					w.gh.AddRepo("acme/fleet", withReadme("main")...)
				case "other default branch":
					w.gh.AddRepo("acme/fleet", withReadme("trunk")...)
				}
				w.write("mgmt.yaml",
					spec(t, "mgmt.yaml", "personal: true", "personal: false", "owner: alice", "owner: acme"))
				return w.run, func() *gittest.Repo { return w.gh.Repo("acme/fleet").Git() }, func() func() {
					return w.mark().writesNothing
				}
			}},
		{"OpenSSH",
			func(t *testing.T, state string) (func(...string) outcome, func() *gittest.Repo, func() func()) {
				w := newSSHWorld(t)
				switch state {
				case "empty":
					w.git.AddRepo("acme/fleet")
				case "with commits":
					w.git.AddRepo("acme/fleet", gittest.WithFiles(readme))
				case "other default branch":
					w.git.AddRepo("acme/fleet", gittest.WithCommits(gittest.Change{Branch: "trunk",
						Files: readme})).SetDefaultBranch("trunk")
				}
				return w.run, func() *gittest.Repo { return w.git.Repo("acme/fleet") }, func() func() {
					return w.mark().writesNothing
				}
			}},
	}
}

// A repository that exists is used in whatever state it is, on every kind of server: our files come to it,
// everything else stays, Flux applies the commit, and a second run writes nothing.
func TestCreate_repository(t *testing.T) {
	t.Parallel()
	for _, server := range gitServers() {
		for _, tc := range []struct {
			state   string
			commits int // on main afterwards
			others  []string
		}{
			{"empty", 1, nil},
			{"with commits", 2, []string{"README.md"}},
			{"other default branch", 2, []string{"README.md"}},
		} {
			t.Run(server.name+"/"+tc.state, func(t *testing.T) {
				run, repo, mark := server.prepare(t, tc.state)
				run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints(
					"Cluster mgmt is managed through Git.")
				if log := repo().Log("main"); len(log) != tc.commits {
					t.Errorf("%d commits on main, want %d: %+v", len(log), tc.commits, log)
				}
				want := slices.Sorted(slices.Values(append(slices.Clone(managementFiles), tc.others...)))
				if got := repo().Paths("main"); !slices.Equal(got, want) {
					t.Errorf("files in the repository: %v, want %v", got, want)
				}
				if repo().DefaultBranch() == "trunk" && !slices.Equal(repo().Paths("trunk"), tc.others) {
					t.Errorf("trunk holds %v", repo().Paths("trunk"))
				}
				kustomization := object(t, "kustomize.toolkit.fluxcd.io", "v1", "Kustomization",
					"flux-system", "flux-system")
				if applied := at(t, kustomization, "status", "lastAppliedRevision"); applied != "main@sha1:"+
					repo().Head("main") {
					t.Errorf("Flux has applied %v, want %s", applied, repo().Head("main"))
				}
				writesNothing := mark()
				run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
				writesNothing()
			})
		}
	}
}
