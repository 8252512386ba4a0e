package gitrepo_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

const (
	repoName = "acme/fleet"
	token    = "sentinel-token-8a1f"
)

// fixture is a server with one account, reached over one transport.
type fixture struct {
	srv    *gittest.Server
	remote func(repo string) gitrepo.Remote
}

type transport struct {
	name  string
	start func(t testing.TB) fixture
}

// transports are the ways to a repository that every promise is tested over.
var transports = []transport{{"https", startHTTPS}, {"ssh", startSSH}, {"openssh", startOpenSSH}}

func startHTTPS(t testing.TB) fixture {
	t.Helper()
	srv := gittest.Start(t)
	srv.Accounts().AddToken(token, "alice", gittest.Write)
	return fixture{srv, func(repo string) gitrepo.Remote {
		return gitrepo.Remote{URL: srv.HTTPSURL(repo), CAPEM: srv.CAPEM(),
			Auth: gitrepo.TokenAuth{Token: secret.New(token)}}
	}}
}

func startSSH(t testing.TB) fixture {
	t.Helper()
	srv := gittest.Start(t)
	key := gittest.NewKey(t, gittest.ED25519)
	srv.Accounts().AddKey(key.Public(), "alice", gittest.Write)
	return fixture{srv, func(repo string) gitrepo.Remote {
		return gitrepo.Remote{URL: srv.SSHURL(repo), Auth: sshAuth(t, key, srv.KnownHosts())}
	}}
}

func startOpenSSH(t testing.TB) fixture {
	t.Helper()
	srv := gittest.Start(t)
	key := gittest.NewKey(t, gittest.ECDSA384)
	sshd, err := srv.StartOpenSSH(context.WithoutCancel(t.Context()),
		gittest.OpenSSHOptions{AuthorizedKeys: []string{key.AuthorizedKey()}})
	if errors.Is(err, gittest.ErrNoOpenSSH) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fixture{srv, func(repo string) gitrepo.Remote {
		return gitrepo.Remote{URL: sshd.URL(repo), Auth: sshAuth(t, key, sshd.KnownHosts())}
	}}
}

func sshAuth(t testing.TB, key *gittest.Key, knownHosts string) gitrepo.SSHAuth {
	t.Helper()
	parsed, err := sshkeys.ParseKey(key.PEM, secret.Value{}, "test key")
	if err != nil {
		t.Fatal(err)
	}
	known, err := sshkeys.ParseKnownHosts([]byte(knownHosts), "known_hosts")
	if err != nil {
		t.Fatal(err)
	}
	return gitrepo.SSHAuth{Identities: sshkeys.FromKey(parsed), KnownHosts: known}
}

var when = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func options(message string) git.CommitOptions {
	return git.CommitOptions{Message: message, Author: git.Identity{Name: "Ann", Email: "ann@example.com"},
		When: when}
}

func write(path, content string) git.Edit {
	return git.Edit{Path: path, Content: []byte(content)}
}

func mustFetch(t testing.TB, remote gitrepo.Remote, branch string) *gitrepo.Snapshot {
	t.Helper()
	s, err := gitrepo.Fetch(t.Context(), remote, branch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func mustCommit(t testing.TB, s *gitrepo.Snapshot, edits ...git.Edit) *gitrepo.Commit {
	t.Helper()
	c, err := s.Commit(edits, options("Change the fleet"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The repository step, over every transport, in every state a repository can be found in: the result on the
// server is the same.
func TestConformance(t *testing.T) {
	t.Parallel()
	readme := gittest.WithFiles(map[string]string{"README.md": "hello\n", "clusters/old/x.yaml": "x: 1\n"})
	cases := []struct {
		name          string
		opts          []gittest.RepoOption
		state         git.BranchState
		defaultBranch string
		parents       int
		files         map[string]string
	}{
		{"empty", nil, git.RepositoryEmpty, "", 0, map[string]string{}},
		{"empty with another default branch", []gittest.RepoOption{gittest.DefaultBranch("trunk")},
			git.RepositoryEmpty, "", 0, map[string]string{}},
		{"not empty", []gittest.RepoOption{readme}, git.BranchExists, "main", 1,
			map[string]string{"README.md": "hello\n", "clusters/old/x.yaml": "x: 1\n"}},
		{"other default branch", []gittest.RepoOption{gittest.DefaultBranch("trunk"), readme},
			git.BranchMissing, "trunk", 1,
			map[string]string{"README.md": "hello\n", "clusters/old/x.yaml": "x: 1\n"}},
		{"no filters at the server",
			[]gittest.RepoOption{readme, gittest.WithConfig("uploadpack.allowFilter", "false")},
			git.BranchExists, "main", 1,
			map[string]string{"README.md": "hello\n", "clusters/old/x.yaml": "x: 1\n"}},
		{"only tips at the server",
			[]gittest.RepoOption{readme, gittest.WithConfig("uploadpack.allowAnySHA1InWant", "false")},
			git.BranchExists, "main", 1,
			map[string]string{"README.md": "hello\n", "clusters/old/x.yaml": "x: 1\n"}},
		{"head names no branch", []gittest.RepoOption{gittest.DefaultBranch("nowhere"), gittest.WithCommits(
			gittest.Change{Branch: "dev", Files: map[string]string{"README.md": "hello\n"}})},
			git.BranchMissing, "", 1, map[string]string{"README.md": "hello\n"}},
	}
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			f := tr.start(t)
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					want := maps.Clone(c.files)
					repo := f.srv.AddRepo("acme/"+sanitize(c.name), c.opts...)
					remote := f.remote("acme/" + sanitize(c.name))
					remote.Stats = &gitrepo.Stats{}
					s := mustFetch(t, remote, "main")
					if s.State() != c.state || s.DefaultBranch() != c.defaultBranch {
						t.Fatalf("state %d, default branch %q; want %d, %q",
							s.State(), s.DefaultBranch(), c.state, c.defaultBranch)
					}
					commit := mustCommit(t, s,
						write("clusters/dev/eksa-system/eksa-cluster.yaml", "kind: Cluster\n"),
						write("clusters/dev/eksa-system/kustomization.yaml", "resources: []\n"))
					if err := s.Push(t.Context(), commit); err != nil {
						t.Fatal(err)
					}
					if got := repo.Head("main"); got != commit.Hash() {
						t.Fatalf("main is at %s, want %s", got, commit.Hash())
					}
					want["clusters/dev/eksa-system/eksa-cluster.yaml"] = "kind: Cluster\n"
					want["clusters/dev/eksa-system/kustomization.yaml"] = "resources: []\n"
					equalFiles(t, repo.Files("main"), want)
					repo.Git("fsck", "--strict")
					log := repo.Log("main")[0]
					if len(log.Parents) != c.parents || log.Subject() != "Change the fleet" ||
						log.Author != "Ann" || log.CommitterEmail != "ann@example.com" ||
						!log.When.Equal(when) {
						t.Errorf("commit is %+v", log)
					}
					// A second run finds the file, can read it, and has nothing to do.
					again := mustFetch(t, remote, "main")
					if content, err := again.Read(t.Context(),
						"clusters/dev/eksa-system/eksa-cluster.yaml"); err != nil ||
						string(content) != "kind: Cluster\n" {
						t.Errorf("read %q, %v", content, err)
					}
					if held, err := again.Holds("clusters/dev/eksa-system/eksa-cluster.yaml",
						[]byte("kind: Cluster\n")); err != nil || !held {
						t.Errorf("holds: %v, %v", held, err)
					}
					_, err := again.Commit(
						[]git.Edit{write("clusters/dev/eksa-system/eksa-cluster.yaml", "kind: Cluster\n")},
						options("x"))
					if !errors.Is(err, git.ErrNoChange) {
						t.Errorf("second commit: %v, want ErrNoChange", err)
					}
					if totals := remote.Stats.Totals(); totals.Pushes != 1 {
						t.Errorf("%d pushes, want 1", totals.Pushes)
					}
				})
			}
		})
	}
}

func sanitize(name string) string {
	out := []byte(name)
	for i, c := range out {
		if c == ' ' {
			out[i] = '-'
		}
	}
	return string(out)
}

func equalFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	for path, content := range want {
		if got[path] != content {
			t.Errorf("%s is %q, want %q", path, got[path], content)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d: %v", len(got), len(want), got)
	}
}
