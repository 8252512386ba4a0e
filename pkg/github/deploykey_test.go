package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

func fluxKey(t *testing.T) github.DeployKey {
	t.Helper()
	return github.DeployKey{Title: "eksa-gitops mgmt/flux-system",
		PublicKey: publicKey(t, "flux") + " flux@mgmt", ReadOnly: true}
}

// keys are title, material's name and rights of what is registered.
func keys(t *testing.T, repo *githubtest.Repo, names ...string) []string {
	t.Helper()
	var list []string
	for _, k := range repo.DeployKeys() {
		name := "?"
		for _, n := range names {
			if k.Key == publicKey(t, n) {
				name = n
			}
		}
		list = append(list, fmt.Sprintf("%s %s %v", k.Title, name, k.ReadOnly))
	}
	return list
}

func TestDeployKey_sameMaterial(t *testing.T) {
	t.Parallel()
	key := github.DeployKey{PublicKey: publicKey(t, "a")}
	for other, want := range map[string]bool{
		publicKey(t, "a"): true, publicKey(t, "a") + " comment with words\n": true, publicKey(t, "b"): false,
		"": false, "ssh-ed25519": false,
	} {
		if key.SameMaterial(other) != want {
			t.Errorf("%q: got %v", other, !want)
		}
	}
	if (github.DeployKey{}).SameMaterial("") {
		t.Error("no key is the same as no key")
	}
}

func TestEnsureDeployKey(t *testing.T) {
	t.Parallel()
	const title = "eksa-gitops mgmt/flux-system"
	for name, tc := range map[string]struct {
		setUp   func(*testing.T, *githubtest.Repo)
		replace bool
		write   bool
		changed bool
		keys    []string
		writes  int
	}{
		"new":              {nil, false, false, true, []string{title + " flux true"}, 1},
		"new and writable": {nil, false, true, true, []string{title + " flux false"}, 1},
		"there": {
			func(t *testing.T, r *githubtest.Repo) { r.AddDeployKey(title, publicKey(t, "flux"), true) },
			false, false, false, []string{title + " flux true"}, 0},
		"other title": {
			func(t *testing.T, r *githubtest.Repo) { r.AddDeployKey("theirs", publicKey(t, "flux"), true) },
			false, false, false, []string{"theirs flux true"}, 0},
		// the first is refused: GitHub takes a key once
		"writable": {
			func(t *testing.T, r *githubtest.Repo) { r.AddDeployKey("theirs", publicKey(t, "flux"), false) },
			false, false, true, []string{title + " flux true"}, 3},
		"read-only": {
			func(t *testing.T, r *githubtest.Repo) { r.AddDeployKey(title, publicKey(t, "flux"), true) },
			false, true, true, []string{title + " flux false"}, 3},
		"same title, other": {
			func(t *testing.T, r *githubtest.Repo) { r.AddDeployKey(title, publicKey(t, "old"), true) },
			false, false, true, []string{title + " old true", title + " flux true"}, 1},
		"replaced": {func(t *testing.T, r *githubtest.Repo) {
			r.AddDeployKey(title, publicKey(t, "old"), true)
			r.AddDeployKey("theirs", publicKey(t, "other"), true)
		}, true, false, true, []string{"theirs other true", title + " flux true"}, 2},
		"half replaced": {func(t *testing.T, r *githubtest.Repo) {
			r.AddDeployKey(title, publicKey(t, "old"), true)
			r.AddDeployKey(title, publicKey(t, "flux"), true)
		}, true, false, true, []string{title + " flux true"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			repo := gh.AddRepo("acme/fleet")
			if tc.setUp != nil {
				tc.setUp(t, repo)
			}
			s := owner(t, gh)
			wanted := fluxKey(t)
			wanted.ReadOnly, wanted.Replace = !tc.write, tc.replace
			changed, err := s.EnsureDeployKey(t.Context(), fleet(), wanted)
			ok(t, err)
			equal(t, "changed", changed, tc.changed)
			equal(t, "keys", keys(t, repo, "flux", "old", "other"), tc.keys)
			equal(t, "writes", len(gh.Mutations()), tc.writes)

			mark := gh.Mark()
			changed, err = s.EnsureDeployKey(t.Context(), fleet(), wanted)
			ok(t, err)
			equal(t, "again", []any{changed, len(gh.Since(mark).Mutations), len(gh.Since(mark).Requests)},
				[]any{false, 0, 1})
		})
	}
}

// A key that may write stays where a read-only one cannot be registered: Flux goes on reading with it.
func TestEnsureDeployKey_refusedKeepsTheOther(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]githubtest.Effect{
		"right":  githubtest.Respond(403, `{"message":"Resource not accessible by personal access token"}`),
		"policy": githubtest.Respond(422, `{"message":"Validation Failed","errors":[{"resource":"PublicKey","code":"custom","message":"Deploy keys are disabled for this repository"}]}`),
	} {
		gh := world(t)
		repo := gh.AddRepo("acme/fleet")
		repo.AddDeployKey("theirs", publicKey(t, "flux"), false)
		s := owner(t, gh)
		heal := gh.Break("POST /repos/acme/fleet/keys", answer)
		changed, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
		if changed || err == nil {
			t.Errorf("%s: changed %t, %v", name, changed, err)
		}
		equal(t, name, keys(t, repo, "flux"), []string{"theirs flux false"})
		heal()
		_, err = s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
		ok(t, err)
		equal(t, name, keys(t, repo, "flux"), []string{fluxKey(t).Title + " flux true"})
	}
}

// GitHub takes a key without read_only for a writable one.
func TestEnsureDeployKey_saysReadOnly(t *testing.T) {
	t.Parallel()
	for _, readOnly := range []bool{true, false} {
		gh := world(t)
		gh.AddRepo("acme/fleet")
		_, err := owner(t, gh).EnsureDeployKey(t.Context(), fleet(),
			github.DeployKey{Title: "t", PublicKey: publicKey(t, "flux") + " comment", ReadOnly: readOnly})
		ok(t, err)
		equal(t, "body", strings.TrimSpace(gh.Mutations()[0].Body),
			fmt.Sprintf(`{"key":%q,"title":"t","read_only":%v}`, publicKey(t, "flux"), readOnly))
	}
}

func TestEnsureDeployKey_heals(t *testing.T) {
	t.Parallel()
	const post = "POST /repos/acme/fleet/keys"
	for name, tc := range map[string]struct {
		setUp  func(*testing.T, *githubtest.Server)
		writes []string
	}{
		"reply lost": {func(_ *testing.T, gh *githubtest.Server) {
			gh.Break(post, githubtest.LoseReply(), githubtest.Times(1))
		},
			[]string{post + " 0"}},
		"reply truncated": {func(_ *testing.T, gh *githubtest.Server) {
			gh.Break(post, githubtest.Truncate(), githubtest.Times(1))
		},
			[]string{post + " 201"}},
		"closed": {func(_ *testing.T, gh *githubtest.Server) {
			gh.Break(post, githubtest.CloseConnection(), githubtest.Times(1))
		}, []string{post + " 0", post + " 201"}},
		"server error": {func(_ *testing.T, gh *githubtest.Server) {
			gh.Break(post, githubtest.Respond(500, ""), githubtest.Times(1))
		}, []string{post + " 500", post + " 201"}},
		"list cut off": {func(_ *testing.T, gh *githubtest.Server) {
			gh.Break("GET /repos/acme/fleet/keys", githubtest.Truncate(), githubtest.Times(2))
		}, []string{post + " 201"}},
		"reply lost, seen late": {func(_ *testing.T, gh *githubtest.Server) {
			gh.Break(post, githubtest.LoseReply(), githubtest.Times(1))
			gh.Break("GET /repos/acme/fleet/keys", githubtest.Respond(200, "[]"), githubtest.Skip(1),
				githubtest.Times(1))
		}, []string{post + " 0", post + " 422"}},
		"another run is faster": {func(t *testing.T, gh *githubtest.Server) {
			gh.Repo("acme/fleet").AddDeployKey("eksa-gitops mgmt/flux-system", publicKey(t, "flux"), true)
			gh.Break("GET /repos/acme/fleet/keys", githubtest.Respond(200, "[]"), githubtest.Times(1))
		}, []string{post + " 422"}},
		"new repository, not everywhere yet": {func(_ *testing.T, gh *githubtest.Server) {
			gh.Break("GET /repos/acme/fleet/keys", githubtest.Respond(404, `{"message":"Not Found"}`),
				githubtest.Times(2))
		}, []string{post + " 201"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			repo := gh.AddRepo("acme/fleet")
			tc.setUp(t, gh)
			s := owner(t, gh)
			mark := gh.Mark()
			_, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
			ok(t, err)
			equal(t, "keys", keys(t, repo, "flux"), []string{"eksa-gitops mgmt/flux-system flux true"})
			equal(t, "writes", s.mutations(mark), tc.writes)
		})
	}
}

func TestEnsureDeployKey_refusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		token func(*testing.T, *githubtest.Server) string
		class error
		text  string
		hint  string
	}{
		"in use elsewhere": {func(t *testing.T, gh *githubtest.Server) string {
			gh.AddRepo("acme/other").AddDeployKey("x", publicKey(t, "flux"), true)
			return gh.AddClassicToken("alice", "repo")
		}, github.ErrConflict, "registering a deploy key on acme/fleet: conflict (HTTP 422): Validation " +
			"Failed: key is already in use", "GitHub accepts each SSH key only once, and this one belongs " +
			"to another repository or to a user: make a new key for the cluster"},
		"deploy keys disabled": {func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.DeployKeysDisabled())
			return gh.AddClassicToken("alice", "repo")
		}, github.ErrPolicy, "registering a deploy key on acme/fleet: forbidden by policy (HTTP 422): " +
			"Validation Failed: Deploy keys are disabled for this repository", "an owner of the " +
			"organization can allow deploy keys (organization settings, Deploy keys); or use spec.git " +
			"instead of spec.github, with the SSH key of a user who may only read the repository"},
		"deploy keys disabled, older form": {func(_ *testing.T, gh *githubtest.Server) string {
			gh.Break("POST /repos/acme/fleet/keys", githubtest.Respond(422, `{"message":"Validation Failed","errors":[{"resource":"PublicKey","code":"custom","message":"Deploy keys are disabled for this repository"}],"status":"422"}`))
			return gh.AddClassicToken("alice", "repo")
		}, github.ErrPolicy, "registering a deploy key on acme/fleet: forbidden by policy (HTTP 422): " +
			"Validation Failed: Deploy keys are disabled for this repository",
			"an owner of the organization can allow deploy keys *"},
		"fine-grained, none": {func(_ *testing.T, gh *githubtest.Server) string {
			return gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme",
				Permissions: githubtest.Permissions{"contents": "write"}})
		}, github.ErrPermission, "reading the deploy keys of acme/fleet: permission denied (HTTP 403): " +
			"Resource not accessible by personal access token",
			`the token in EKSA_GITHUB_TOKEN needs "Administration: write"`},
		"fine-grained, read": {func(_ *testing.T, gh *githubtest.Server) string {
			return gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme",
				Permissions: githubtest.Permissions{"administration": "read"}})
		}, github.ErrPermission, "registering a deploy key on acme/fleet: permission denied (HTTP 403): " +
			"Resource not accessible by personal access token",
			`the token in EKSA_GITHUB_TOKEN needs "Administration: write"`},
		"App": {func(_ *testing.T, gh *githubtest.Server) string {
			return gh.AddInstallationToken("acme",
				githubtest.Installation{Permissions: githubtest.Permissions{"administration": "read"}})
		}, github.ErrPermission, "registering a deploy key on acme/fleet: permission denied (HTTP 403): " +
			"Resource not accessible by integration",
			`the token in EKSA_GITHUB_TOKEN needs "Administration: write"`},
		"classic, no administrator": {func(_ *testing.T, gh *githubtest.Server) string {
			gh.Repo("acme/fleet").Grant("bob", githubtest.Push)
			return gh.AddClassicToken("bob", "repo")
		}, github.ErrPermission, "reading the deploy keys of acme/fleet: permission denied (HTTP 404): " +
			"GitHub hides what the token may not administer",
			"the token in EKSA_GITHUB_TOKEN needs the Admin role on acme/fleet for its user"},
		"classic, no scope, public": {func(_ *testing.T, gh *githubtest.Server) string {
			gh.Repo("acme/fleet").SetPrivate(false)
			return gh.AddClassicToken("alice")
		}, github.ErrPermission, "reading the deploy keys of acme/fleet: permission denied (HTTP 404): " +
			"GitHub hides what the token may not administer",
			`the token in EKSA_GITHUB_TOKEN needs the scope "repo"`},
		"invisible": {
			func(_ *testing.T, gh *githubtest.Server) string { return gh.AddClassicToken("dave", "repo") },
			github.ErrNotFound, "reading the deploy keys of acme/fleet: not found (HTTP 404): Not Found",
			"check the name; *"},
		"SSO": {func(_ *testing.T, gh *githubtest.Server) string {
			gh.AddOrg("acme", githubtest.EnforceSSO())
			return gh.AddClassicToken("alice", "repo")
		}, github.ErrSSO,
			"reading the deploy keys of acme/fleet: single sign-on authorization missing (HTTP 403): *",
			"authorize the token *https://*/orgs/acme/sso?*"},
		"archived": {func(_ *testing.T, gh *githubtest.Server) string {
			gh.Repo("acme/fleet").Archive()
			return gh.AddClassicToken("alice", "repo")
		}, github.ErrPolicy, "registering a deploy key on acme/fleet: forbidden by policy (HTTP " +
			"403): Repository was archived so is read-only.",
			"an administrator can take the repository out of the archive in its settings"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			repo := gh.AddRepo("acme/fleet")
			s := connect(t, gh, tc.token(t, gh))
			changed, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
			s.fails(err, tc.class, tc.text, tc.hint)
			equal(t, "changed, keys", []any{changed, len(repo.DeployKeys())}, []any{false, 0})
		})
	}
}

func TestDeleteDeployKey(t *testing.T) {
	t.Parallel()
	gh := world(t)
	repo := gh.AddRepo("acme/fleet", githubtest.Grant("bob", githubtest.Push))
	id := repo.AddDeployKey("flux", publicKey(t, "flux"), true)
	repo.AddDeployKey("other", publicKey(t, "other"), true)
	bob := connect(t, gh, gh.AddClassicToken("bob", "repo"))
	// The same 404 as for a key that is gone, and no success.
	bob.fails(bob.DeleteDeployKey(t.Context(), fleet(), id), github.ErrPermission, "reading the deploy "+
		"keys of acme/fleet: permission denied (HTTP 404): GitHub hides what the token may not administer",
		"the token in EKSA_GITHUB_TOKEN needs the Admin role on acme/fleet for its user")
	s := owner(t, gh)
	gh.Break("DELETE /repos/acme/fleet/keys/*", githubtest.LoseReply(), githubtest.Times(1))
	ok(t, s.DeleteDeployKey(t.Context(), fleet(), id))
	ok(t, s.DeleteDeployKey(t.Context(), fleet(), id))
	equal(t, "keys", keys(t, repo, "flux", "other"), []string{"other other true"})
}

// After a rename, reads and writes reach the repository under its new name.
func TestEnsureDeployKey_renamedRepository(t *testing.T) {
	t.Parallel()
	gh := world(t)
	repo := gh.AddRepo("acme/fleet")
	repo.Rename("estate")
	s := owner(t, gh)
	changed, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
	ok(t, err)
	equal(t, "changed, keys", []any{changed, keys(t, repo, "flux")},
		[]any{true, []string{"eksa-gitops mgmt/flux-system flux true"}})
}

// GitHub's copies of a new repository need a moment, for writes as well: the key is registered when they have
// caught up.
func TestEnsureDeployKey_lag(t *testing.T) {
	t.Parallel()
	for name, times := range map[string]int{"a moment": 3, "for ever": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			repo := gh.AddRepo("acme/fleet")
			effects := []githubtest.Effect{githubtest.Respond(404, `{"message":"Not Found"}`)}
			if times > 0 {
				effects = append(effects, githubtest.Times(times))
			}
			gh.Break("POST /repos/acme/fleet/keys", effects...)
			s := owner(t, gh)
			_, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
			if times > 0 {
				ok(t, err)
				equal(t, "waits, keys", []int{len(s.clock.waits()), len(repo.DeployKeys())}, []int{times, 1})
				return
			}
			s.fails(err, github.ErrUnavailable, "registering a deploy key on acme/fleet: unavailable (HTTP "+
				"404): the repository is not everywhere on GitHub yet", "*")
		})
	}
}

// A key that is registered and opens nothing is not said to be well, and registering it again would not help.
func TestEnsureDeployKey_disabled(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet")
	gh.Break("GET /repos/acme/fleet/keys", githubtest.Respond(200,
		`[{"id":7,"title":"flux","key":"`+publicKey(t, "flux")+`","read_only":true,"enabled":false}]`))
	s := owner(t, gh)
	keys, err := s.DeployKeys(t.Context(), fleet())
	ok(t, err)
	equal(t, "keys", keys, []github.DeployKey{{ID: 7, Title: "flux", PublicKey: publicKey(t, "flux"),
		ReadOnly: true, Disabled: true}})
	changed, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
	s.fails(err, github.ErrPolicy, "registering a deploy key on acme/fleet: forbidden by policy: the key "+
		"is registered and GitHub has disabled it, *", "an owner of the organization can allow deploy keys *")
	equal(t, "changed, mutations", []any{changed, len(gh.Mutations())}, []any{false, 0})
}

// A long key stays what it is: text that is cut for display is no key any more.
func TestDeployKeys_longKey(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 4096)
	ok(t, err)
	public, err := ssh.NewPublicKey(private.Public())
	ok(t, err)
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	gh := world(t)
	gh.AddRepo("acme/fleet", files()).AddDeployKey("flux", line, true)
	s := owner(t, gh)
	changed, err := s.EnsureDeployKey(t.Context(), fleet(),
		github.DeployKey{Title: "flux", PublicKey: line, ReadOnly: true})
	ok(t, err)
	equal(t, "changed, mutations", []any{changed, len(gh.Mutations())}, []any{false, 0})
}

// Data out of answers is what GitHub sent, however long, or it is not there: never a text made fit to be
// shown.
func TestAnswers_dataIsExact(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("b", 700)
	gh := world(t)
	gh.AddRepo("acme/fleet", files())
	gh.Break("GET /repos/acme/fleet",
		githubtest.Respond(200, `{"name":"fleet","owner":{"login":"acme"},"default_branch":"`+long+
			`","html_url":"https://x/\u202e"}`))
	gh.Break("GET /repos/acme/fleet/keys", githubtest.Respond(200, `[{"id":1,"title":"`+long+
		`","key":"ssh-ed25519 `+long+`"},{"id":2,"title":"flux\u200b","key":"ssh-ed25519 A\u0000A"}]`))
	s := owner(t, gh)
	repository, err := s.Repository(t.Context(), fleet())
	ok(t, err)
	equal(t, "repository",
		[]string{repository.Ref.Owner, repository.Ref.Name, repository.DefaultBranch, repository.URL},
		[]string{"acme", "fleet", long, ""})
	keys, err := s.DeployKeys(t.Context(), fleet())
	ok(t, err)
	equal(t, "keys", keys,
		[]github.DeployKey{{ID: 1, Title: long, PublicKey: "ssh-ed25519 " + long}, {ID: 2}})
}
