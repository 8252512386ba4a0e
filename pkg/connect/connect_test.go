package connect_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/connect"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// write makes a file with the content and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func onGit(url string) *clusterspec.GitOps {
	return &clusterspec.GitOps{Branch: "main",
		Git: &clusterspec.GitConfig{RepositoryURL: url, SSHKeyAlgorithm: "ecdsa"}}
}

// A way over SSH leads to the repository: a commit that one snapshot has made is pushed, one that comes from
// elsewhere is refused.
func TestNew_ssh(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	key := gittest.NewKey(t, gittest.ECDSA256)
	srv.Accounts().AddKey(key.Public(), "alice", gittest.Write)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"replicas": "1\n"}))

	way, err := connect.New(t.Context(), connect.Options{
		GitOps: onGit(srv.SSHURL("acme/fleet")), KeepsFlux: true,
		SSH: connect.SSH{Key: connect.KeyFile{File: write(t, string(key.PEM))}}, KnownHosts: write(t,
			srv.KnownHosts()),
	})
	if err != nil || len(way.Problems) > 0 {
		t.Fatal(err, way.Problems)
	}
	if way.Source.PrivateKey.IsZero() || len(way.Source.KnownHosts) == 0 || !way.SourceIsOperators ||
		way.Ports.OpenClusterRepository != nil {
		t.Errorf("the cluster gets %+v, the operator's: %v", way.Source, way.SourceIsOperators)
	}
	remote, err := way.Ports.OpenRepository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := remote.Fetch(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	commit, err := snapshot.Commit([]git.Edit{{Path: "replicas", Content: []byte("3\n")}},
		git.CommitOptions{Message: "Scale", Author: git.Identity{Name: "a", Email: "a@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := snapshot.Push(t.Context(), foreign{}); err == nil {
		t.Error("a commit of somebody else's was pushed")
	}
	if err := snapshot.Push(t.Context(), commit); err != nil || repo.Head("main") != commit.Hash() {
		t.Errorf("%v; main is at %s, want %s", err, repo.Head("main"), commit.Hash())
	}
	if cluster, err := way.Ports.OpenCluster(t.Context()); cluster != nil ||
		!errors.Is(err, gitops.ErrNoKubeconfig) {
		t.Errorf("the cluster is %v, %v", cluster, err)
	}
}

type foreign struct{}

func (foreign) Hash() string { return "0123456789012345678901234567890123456789" }

// All that is wrong is told at once, when the repository is opened, in the words of Explain.
func TestNew_problems(t *testing.T) {
	t.Parallel()
	var explained []error
	way, err := connect.New(t.Context(), connect.Options{
		GitOps:  onGit("ssh://git@git.example.com:2222/fleet"),
		Explain: func(err error) error { explained = append(explained, err); return err },
	})
	if err != nil || len(way.Problems) != 2 || !slices.Equal(way.Problems, explained) {
		t.Fatal(err, way.Problems, explained)
	}
	_, err = way.Ports.OpenRepository(t.Context())
	hosts, ok := errors.AsType[*connect.KnownHostsError](err)
	if !ok || hosts.Problem != connect.KnownHostsNotGiven ||
		hosts.ScanCommand() != "ssh-keyscan -p 2222 git.example.com > known_hosts" {
		t.Errorf("the error is %v, with %+v", err, hosts)
	}
	if !errors.As(err, new(*connect.NoKeyError)) {
		t.Errorf("the error is %v", err)
	}
}

// What is wrong with a file of known hosts can be told apart.
func TestNew_knownHosts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file string
		want connect.KnownHostsProblem
	}{
		"not given": {"", connect.KnownHostsNotGiven},
		"absent":    {filepath.Join(t.TempDir(), "none"), connect.KnownHostsAbsent},
		"directory": {t.TempDir(), connect.KnownHostsDirectory},
		"malformed": {write(t, "git.example.com ssh-ed25519 nonsense\n"), connect.KnownHostsMalformed},
	} {
		way, err := connect.New(t.Context(), connect.Options{
			GitOps: onGit("ssh://git@git.example.com/fleet"), SSH: connect.SSH{AgentSocket: "none"},
			KnownHosts: test.file,
		})
		if err != nil {
			t.Fatal(err)
		}
		wrong, ok := errors.AsType[*connect.KnownHostsError](errors.Join(way.Problems...))
		if !ok || wrong.Problem != test.want || wrong.File != test.file || wrong.Error() == "" {
			t.Errorf("%s: %v", name, way.Problems)
		}
	}
}

// A GitHub that publishes no host keys needs the file, and is told so only when the keys are asked for.
func TestNew_github(t *testing.T) {
	t.Parallel()
	way, err := connect.New(t.Context(), connect.Options{
		GitOps: &clusterspec.GitOps{Branch: "main",
			GitHub: &clusterspec.GitHubConfig{Owner: "acme", Repository: "fleet"}},
		Endpoints: gitops.GitHubHost("github.example.com"), Token: secret.New("sentinel"),
	})
	if err != nil || len(way.Problems) > 0 || way.Source != nil || way.Ports.OpenHost == nil {
		t.Fatal(err, way)
	}
	if want := "ssh://git@github.example.com/acme/fleet"; way.Settings.Remote.Cluster != want {
		t.Errorf("Flux reads from %s, want %s", way.Settings.Remote.Cluster, want)
	}
	_, err = way.Settings.KnownHosts()
	if wrong, ok := errors.AsType[*connect.KnownHostsError](err); !ok || !wrong.Unpublished ||
		wrong.Problem != connect.KnownHostsNotGiven {
		t.Errorf("the error is %v", err)
	}
}

// A passphrase is asked for three times at most, and never for a key that is open, nor of nobody.
func TestSSH_ask(t *testing.T) {
	t.Parallel()
	const right = "sentinel-passphrase"
	key, err := gittest.GenerateKey(gittest.ECDSA256, right)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, string(key.PEM))
	for name, test := range map[string]struct {
		given   string
		answers []string
		end     error
		asked   int
		locked  bool
	}{
		"given":           {given: right},
		"given and wrong": {given: "wrong", answers: []string{right}, locked: true},
		"asked for":       {answers: []string{right}, asked: 1},
		"at the third":    {answers: []string{"a", "", right}, asked: 3},
		"never":           {answers: []string{"a", "b", "c", right}, asked: 3, locked: true},
		"nobody":          {end: connect.ErrNobody, asked: 1, locked: true},
	} {
		asked := 0
		way, err := connect.New(t.Context(), connect.Options{
			GitOps: onGit("ssh://git@git.example.com/fleet"), KnownHosts: write(t, "\n"),
			SSH: connect.SSH{
				Key: connect.KeyFile{File: file, Passphrase: secret.New(test.given)},
				Ask: func(_ context.Context, locked connect.LockedKey) (secret.Value, error) {
					asked++
					if locked.File != file || locked.OnlyForCluster {
						t.Errorf("%s: asked for %+v", name, locked)
					}
					if asked > len(test.answers) {
						return secret.Value{}, test.end
					}
					return secret.New(test.answers[asked-1]), nil
				},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		wrong, _ := errors.AsType[*connect.KeyFileError](errors.Join(way.Problems...))
		locked := false
		if wrong != nil {
			locked, _ = wrong.Locked()
		}
		if asked != test.asked || locked != test.locked || (wrong != nil) != test.locked {
			t.Errorf("%s: asked %d times, want %d; problems: %v", name, asked, test.asked, way.Problems)
		}
	}
}
