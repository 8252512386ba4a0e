package githubtest_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// bearer adds a token to every request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b.token != "" {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(r)
}

// client is one of github.com.
func client(t *testing.T, gh *githubtest.Server, token string) *github.Client {
	t.Helper()
	return clientAt(t, gh, gh.RootAPIURL(), token)
}

func clientAt(t *testing.T, gh *githubtest.Server, address, token string) *github.Client {
	t.Helper()
	plain := gh.HTTPClient()
	plain.Transport = bearer{token, plain.Transport}
	c := github.NewClient(plain)
	base, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c.BaseURL = base
	return c
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks an error of go-github: its status, message and the texts of its entries.
func refused(t *testing.T, err error, status int, message string,
	entries ...github.Error) *github.ErrorResponse {
	t.Helper()
	var e *github.ErrorResponse
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want status %d", err, status)
	}
	if e.Response.StatusCode != status || e.Message != message || !slices.Equal(e.Errors, entries) {
		t.Errorf("got %d %q %+v, want %d %q %+v",
			e.Response.StatusCode, e.Message, e.Errors, status, message, entries)
	}
	if e.DocumentationURL == "" {
		t.Error("no documentation_url")
	}
	return e
}

func world(t *testing.T) *githubtest.Server {
	t.Helper()
	gh := githubtest.Start(t)
	gh.AddUser("alice", "bob", "carol")
	gh.AddOrg("acme", githubtest.OrgOwner("alice"), githubtest.OrgMember("bob"))
	return gh
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	gh.SetCreationLag(githubtest.Lag{}) // requests are counted
	c := client(t, gh, gh.AddClassicToken("alice", "repo", "read:org"))
	me, resp, err := c.Users.Get(ctx, "")
	ok(t, err)
	if me.GetLogin() != "alice" || me.GetType() != "User" ||
		resp.Header.Get("X-OAuth-Scopes") != "repo, read:org" || resp.Rate.Limit != 5000 ||
		resp.Rate.Remaining != 4999 {
		t.Errorf("user %v, header %v", me, resp.Header)
	}
	_, _, err = c.Repositories.Get(ctx, "acme", "fleet")
	refused(t, err, 404, "Not Found")
	made, _, err := c.Repositories.Create(ctx, "acme", &github.Repository{Name: github.String("fleet"),
		Private: github.Bool(true), Description: github.String("d")})
	ok(t, err)
	if made.GetFullName() != "acme/fleet" || !made.GetPrivate() || made.GetVisibility() != "private" ||
		made.GetOwner().GetType() != "Organization" || made.GetCloneURL() != gh.GitURL()+"acme/fleet.git" ||
		made.GetSSHURL() != gh.SSHURL()+"acme/fleet.git" || !made.GetPermissions()["admin"] {
		t.Errorf("made %v", made)
	}
	_, _, err = c.Repositories.Create(ctx, "acme", &github.Repository{Name: github.String("Fleet")})
	refused(t, err, 422, "Repository creation failed.", github.Error{Resource: "Repository", Code: "custom",
		Field: "name", Message: "name already exists on this account"})
	own, _, err := c.Repositories.Create(ctx, "",
		&github.Repository{Name: github.String("init"), AutoInit: github.Bool(true)})
	ok(t, err)
	if own.GetFullName() != "alice/init" || own.GetPrivate() {
		t.Errorf("made %v", own)
	}
	if files := gh.Repo("alice/init").Git().Files("main"); files["README.md"] != "# init\n" {
		t.Errorf("files %v", files)
	}
	edited, _, err := c.Repositories.Edit(ctx, "alice", "init",
		&github.Repository{Description: github.String("new"), Archived: github.Bool(true)})
	ok(t, err)
	if edited.GetDescription() != "new" || !edited.GetArchived() {
		t.Errorf("edited %v", edited)
	}
	gh.Repo("acme/fleet").Rename("estate")
	moved, _, err := c.Repositories.Get(ctx, "acme", "fleet") // follows the 301
	ok(t, err)
	if moved.GetFullName() != "acme/estate" {
		t.Errorf("moved %v", moved)
	}
	if r := gh.Requests(); r[len(r)-2].Status != 301 {
		t.Errorf("requests %v", r)
	}
	m, _, err := c.Organizations.GetOrgMembership(ctx, "", "acme")
	ok(t, err)
	if m.GetRole() != "admin" || m.GetState() != "active" {
		t.Errorf("membership %v", m)
	}
	org, _, err := c.Organizations.Get(ctx, "acme")
	ok(t, err)
	if org.GetType() != "Organization" {
		t.Errorf("org %v", org)
	}
	if _, _, err := c.Organizations.Get(ctx, "alice"); err == nil {
		t.Error("a user is an organization")
	}
	meta, _, err := c.APIMeta(ctx)
	ok(t, err)
	if len(meta.SSHKeys) != 3 || !strings.Contains(gh.KnownHosts(), meta.SSHKeys[0]) ||
		meta.SSHKeyFingerprints["SHA256_ED25519"] == "" {
		t.Errorf("meta %v", meta)
	}
	limits, _, err := c.RateLimits(ctx)
	ok(t, err)
	if limits.Core.Limit != 5000 || limits.Core.Remaining >= 5000 {
		t.Errorf("limits %v", limits)
	}
}

func TestCreate_permissions(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := &github.Repository{Name: github.String("x"), Private: github.Bool(true)}
	_, _, err := client(t, gh, gh.AddClassicToken("carol", "repo")).Repositories.Create(ctx, "acme", repo)
	refused(t, err, 403, "You need admin access to the organization before adding a repository to it.")
	_, _, err = client(t, gh, gh.AddClassicToken("alice", "public_repo")).Repositories.Create(ctx, "", repo)
	refused(t, err, 404, "Not Found")
	_, _, err = client(t, gh, "").Repositories.Create(ctx, "", repo)
	refused(t, err, 401, "Requires authentication")
	_, _, err = client(t, gh, gh.AddFineGrainedToken("alice", githubtest.FineGrained{
		Permissions: githubtest.Permissions{"contents": "write"}})).Repositories.Create(ctx, "", repo)
	e := refused(t, err, 403, "Resource not accessible by personal access token")
	if got := e.Response.Header.Get("X-Accepted-GitHub-Permissions"); got != "administration=write" {
		t.Errorf("accepted permissions %q", got)
	}
	app := client(t, gh, gh.AddInstallationToken("acme",
		githubtest.Installation{Permissions: githubtest.Permissions{"administration": "write"}}))
	_, _, err = app.Users.Get(ctx, "")
	refused(t, err, 403, "Resource not accessible by integration")
	_, _, err = app.Repositories.Create(ctx, "acme", repo)
	ok(t, err)
	_, _, err = client(t, gh, gh.AddClassicToken("bob", "repo")).Repositories.Create(ctx, "acme",
		&github.Repository{Name: github.String("a b")})
	refused(t, err, 422, "Repository creation failed.",
		github.Error{Resource: "Repository", Code: "custom", Field: "name",
			Message: "name can only contain ASCII letters, digits, and the characters ., -, and _"})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"a": "1"}),
		githubtest.Grant("bob", githubtest.Push))
	gh.AddRepo("acme/other")
	get := func(token, repo string) (*github.Repository, *github.Response, error) {
		return client(t, gh, token).Repositories.Get(ctx, "acme", repo)
	}
	expiring := gh.AddClassicToken("bob", "repo")
	gh.ExpireToken(expiring, time.Date(2126, 11, 30, 10, 0, 0, 0, time.UTC))
	r, resp, err := get(expiring, "fleet")
	ok(t, err)
	if p := r.GetPermissions(); !p["push"] || p["admin"] || !p["pull"] {
		t.Errorf("permissions %v", p)
	}
	if h := resp.Header.Get("github-authentication-token-expiration"); h != "2126-11-30 10:00:00 UTC" ||
		resp.TokenExpiration.Year() != 2126 {
		t.Errorf("expiration %q, %v", h, resp.TokenExpiration)
	}
	gh.ExpireToken(expiring, time.Now().Add(-time.Second))
	_, _, err = get(expiring, "fleet")
	refused(t, err, 401, "Bad credentials")
	_, _, err = get("ghp_unknown", "fleet")
	refused(t, err, 401, "Bad credentials")
	_, _, err = get(gh.AddClassicToken("alice", "public_repo"), "fleet")
	refused(t, err, 404, "Not Found")
	_, _, err = get(gh.AddClassicToken("carol", "repo"), "fleet")
	refused(t, err, 404, "Not Found")

	fine := gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme",
		Repositories: []string{"fleet"}, Permissions: githubtest.Permissions{"contents": "write"}})
	_, resp, err = get(fine, "fleet")
	ok(t, err)
	if _, scoped := resp.Header["X-Oauth-Scopes"]; scoped {
		t.Error("a fine-grained token has scopes")
	}
	_, _, err = get(fine, "other")
	refused(t, err, 404, "Not Found")
	_, _, err = client(t, gh, fine).Repositories.ListKeys(ctx, "acme", "fleet", nil)
	e := refused(t, err, 403, "Resource not accessible by personal access token")
	if got := e.Response.Header.Get("X-Accepted-GitHub-Permissions"); got != "administration=read" {
		t.Errorf("accepted permissions %q", got)
	}
	if len(fine) != len("github_pat_")+22+1+59 || len(expiring) != 40 {
		t.Errorf("forms %q %q", fine, expiring)
	}

	gh.AddOrg("acme", githubtest.EnforceSSO())
	sso := gh.AddClassicToken("alice", "repo")
	_, _, err = get(sso, "fleet")
	e = refused(t, err, 403, "Resource protected by organization SAML enforcement. You must grant your "+
		"Personal Access token access to this organization.")
	if h := e.Response.Header.Get("X-GitHub-SSO"); !strings.HasPrefix(h, "required; url=https://") {
		t.Errorf("X-GitHub-SSO %q", h)
	}
	gh.AuthorizeSSO(sso, "acme")
	_, _, err = get(sso, "fleet")
	ok(t, err)
}

func TestDeployKeys(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := gh.AddRepo("acme/fleet", githubtest.Grant("bob", githubtest.Push))
	gh.AddRepo("alice/other")
	token := gh.AddClassicToken("alice", "repo")
	c := client(t, gh, token)
	inUse := github.Error{Resource: "PublicKey", Code: "custom", Field: "key",
		Message: "key is already in use"}
	var made []int64
	for _, algorithm := range []gittest.Algorithm{gittest.ECDSA384, gittest.ED25519, gittest.RSA} {
		k := gittest.NewKey(t, algorithm)
		got, _, err := c.Repositories.CreateKey(ctx, "acme", "fleet", &github.Key{
			Title: github.String("flux"), Key: github.String(k.AuthorizedKey() + " comment"),
			ReadOnly: github.Bool(true)})
		ok(t, err)
		if got.GetKey() != k.AuthorizedKey() || !got.GetReadOnly() || !got.GetVerified() ||
			got.GetTitle() != "flux" || got.GetID() == 0 || got.GetAddedBy() != "alice" {
			t.Errorf("key %v", got)
		}
		made = append(made, got.GetID())
		_, _, err = c.Repositories.CreateKey(ctx, "alice", "other",
			&github.Key{Key: github.String(k.AuthorizedKey())})
		refused(t, err, 422, "Validation Failed", inUse)
	}
	_, _, err := c.Repositories.CreateKey(ctx, "acme", "fleet",
		&github.Key{Key: github.String("ssh-rsa nonsense")})
	refused(t, err, 422, "Validation Failed", github.Error{Resource: "PublicKey", Code: "custom",
		Field: "key", Message: "key is invalid. You must supply a key in OpenSSH public key format"})
	writable := gittest.NewKey(t, gittest.ED25519)
	got, _, err := c.Repositories.CreateKey(ctx, "acme", "fleet",
		&github.Key{Key: github.String(writable.AuthorizedKey())})
	ok(t, err)
	if got.GetReadOnly() {
		t.Error("a key that is not said to be read-only is")
	}
	// This go-github reads the first Link line only, which on github.com is not that of the pages.
	c = clientAt(t, gh, gh.APIURL(), token)
	first, resp, err := c.Repositories.ListKeys(ctx, "acme", "fleet", &github.ListOptions{PerPage: 3})
	ok(t, err)
	if len(first) != 3 || resp.NextPage != 2 || resp.LastPage != 2 {
		t.Errorf("first page: %d keys, next %d, last %d", len(first), resp.NextPage, resp.LastPage)
	}
	second, resp, err := c.Repositories.ListKeys(ctx, "acme", "fleet",
		&github.ListOptions{PerPage: 3, Page: 2})
	ok(t, err)
	if len(second) != 1 || resp.NextPage != 0 || resp.PrevPage != 1 || resp.FirstPage != 1 {
		t.Errorf("second page: %d keys, %+v", len(second), resp)
	}
	one, _, err := c.Repositories.GetKey(ctx, "acme", "fleet", made[0])
	ok(t, err)
	if one.GetID() != made[0] {
		t.Errorf("key %v", one)
	}
	_, err = c.Repositories.DeleteKey(ctx, "acme", "fleet", made[0])
	ok(t, err)
	_, err = c.Repositories.DeleteKey(ctx, "acme", "fleet", made[0])
	refused(t, err, 404, "Not Found")
	_, _, err = client(t, gh, gh.AddClassicToken("bob", "repo")).Repositories.ListKeys(ctx, "acme",
		"fleet", nil)
	refused(t, err, 404, "Not Found")
	if n := len(repo.DeployKeys()); n != 3 {
		t.Errorf("%d keys", n)
	}
	gh.RevokeToken(token)
	if n := len(repo.DeployKeys()); n != 0 {
		t.Errorf("%d keys outlive their token", n)
	}
	gh.AddOrg("acme", githubtest.DeployKeysDisabled())
	_, _, err = client(t, gh, gh.AddClassicToken("alice", "repo")).Repositories.CreateKey(ctx, "acme",
		"fleet", &github.Key{Key: github.String(writable.AuthorizedKey())})
	refused(t, err, 422, "Validation Failed", github.Error{Resource: "PublicKey", Code: "custom",
		Message: "Deploy keys are disabled for this repository"})
}

func TestPublicRepository_needsPermissionToWrite(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := gh.AddRepo("acme/open", githubtest.Public(), githubtest.Files(map[string]string{"a": "1"}))
	repo.Git().Git("update-ref", "refs/heads/topic", repo.Git().Head("main"))
	repo.Git().Commit(gittest.Change{Branch: "topic", Files: map[string]string{"a": "2"}})
	open := &github.NewPullRequest{Title: github.String("T"), Head: github.String("topic"),
		Base: github.String("main")}
	fine := client(t, gh, gh.AddFineGrainedToken("alice",
		githubtest.FineGrained{Owner: "acme", Permissions: githubtest.Permissions{"pull_requests": "read"}}))
	_, _, err := fine.Repositories.GetBranch(ctx, "acme", "open", "main", false)
	ok(t, err)
	_, _, err = fine.PullRequests.Create(ctx, "acme", "open", open)
	refused(t, err, 403, "Resource not accessible by personal access token")
	_, _, err = client(t, gh, gh.AddClassicToken("alice")).PullRequests.Create(ctx, "acme", "open", open)
	refused(t, err, 404, "Not Found")
	_, _, err = client(t, gh, gh.AddClassicToken("alice", "public_repo")).PullRequests.Create(ctx, "acme",
		"open", open)
	ok(t, err)
	_, _, err = client(t, gh, gh.AddClassicToken("carol", "repo")).Repositories.Edit(ctx, "acme", "open",
		&github.Repository{Description: github.String("x")})
	refused(t, err, 403, "Must have admin rights to Repository.")
	repo.Archive()
	_, _, err = client(t, gh, gh.AddClassicToken("alice", "repo")).Repositories.CreateKey(ctx, "acme", "open",
		&github.Key{Key: github.String(gittest.NewKey(t, gittest.ED25519).AuthorizedKey())})
	refused(t, err, 403, "Repository was archived so is read-only.")
}
