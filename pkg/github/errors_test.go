package github_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// The errors that users of other tools met and could not understand, and what is said here instead.
func TestErrors_thatUsersMet(t *testing.T) {
	t.Parallel()
	t.Run("name already exists on this account: adopted when visible", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		gh.Break(getFleet, githubtest.Respond(404, `{"message":"Not Found"}`), githubtest.Times(1))
		s := owner(t, gh)
		repository, created, err := s.EnsureRepository(t.Context(), newFleet())
		ok(t, err)
		equal(t, "repository", []any{repository.Ref, created}, []any{fleet(), false})
	})
	t.Run("name already exists on this account: hidden", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		s := connect(t, gh, gh.AddClassicToken("bob", "repo"))
		_, _, err := s.EnsureRepository(t.Context(), newFleet())
		s.fails(err, github.ErrPermission, "creating repository acme/fleet: permission denied (HTTP 422): "+
			"it exists, but this token cannot see it",
			"the token in EKSA_GITHUB_TOKEN needs access to repository acme/fleet")
	})
	t.Run("Deploy keys are disabled for this repository", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		gh.AddOrg("acme", githubtest.DeployKeysDisabled())
		s := owner(t, gh)
		_, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
		e := s.fails(err, github.ErrPolicy, "registering a deploy key on acme/fleet: forbidden by policy "+
			"(HTTP 422): Validation Failed: Deploy keys are disabled for this repository", "an owner of "+
			"the organization can allow deploy keys (organization settings, Deploy keys); or use spec.git "+
			"instead of spec.github, with the SSH key of a user who may only read the repository")
		equal(t, "requests", []any{e.Method, e.Path, len(gh.Mutations())},
			[]any{"POST", "/repos/acme/fleet/keys", 1})
	})
	t.Run("key is already in use: on this repository", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.AddRepo("acme/fleet", files()).AddDeployKey("any title", publicKey(t, "flux"), true)
		s := owner(t, gh)
		changed, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
		ok(t, err)
		equal(t, "changed, mutations", []any{changed, len(gh.Mutations())}, []any{false, 0})
	})
	t.Run("key is already in use: elsewhere", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		gh.AddSSHKey("bob", publicKey(t, "flux"))
		s := owner(t, gh)
		_, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
		e := s.fails(err, github.ErrConflict, "registering a deploy key on acme/fleet: conflict (HTTP "+
			"422): Validation Failed: key is already in use", "GitHub accepts each SSH key only once, and "+
			"this one belongs to another repository or to a user: make a new key for the cluster")
		equal(t, "details", e.Errors, []github.Detail{{Resource: "PublicKey", Field: "key", Code: "custom",
			Message: "key is already in use"}})
	})
	t.Run("GET /repos/{owner}/{repo}/keys: 404", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.AddRepo("acme/fleet", files(), githubtest.Grant("bob", githubtest.Maintain))
		s := connect(t, gh, gh.AddClassicToken("bob", "repo"))
		_, err := s.DeployKeys(t.Context(), fleet())
		e := s.fails(err, github.ErrPermission, "reading the deploy keys of acme/fleet: permission denied "+
			"(HTTP 404): GitHub hides what the token may not administer",
			"the token in EKSA_GITHUB_TOKEN needs the Admin role on acme/fleet for its user")
		equal(t, "permission", []string{e.NeededPermission, e.AcceptedScopes},
			[]string{"the Admin role on acme/fleet for its user", "repo"})
	})
	t.Run("GET /orgs/{owner}: 404 for the name of a user", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		s := owner(t, gh)
		access, err := s.CheckAccess(t.Context(),
			github.AccessRequest{Ref: github.RepoRef{Owner: "alice", Name: "fleet"}, Branch: "main"})
		ok(t, err)
		equal(t, "findings", access.Findings, []github.Finding{{Name: github.FindingOwner,
			Severity: github.SeverityError, Kind: github.KindConfig,
			Message: "owner alice is a user, and the spec does not say personal: true",
			Hint:    "set spec.github.personal: true"}})
	})
	t.Run("github access token does not have repo permissions", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		// A fine-grained token, whose answers have no X-OAuth-Scopes.
		token := gh.AddFineGrainedToken("alice",
			githubtest.FineGrained{Owner: "acme", Repositories: []string{"fleet"},
				Permissions: githubtest.Permissions{"contents": "write", "administration": "write"}})
		access, err := connect(t, gh, token).CheckAccess(t.Context(),
			github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true})
		ok(t, err)
		equal(t, "findings", access.Findings, nil)
	})
	t.Run("x509: certificate signed by unknown authority", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		s := connect(t, gh, "ghp_sentinel", func(o *github.Options) { o.CAPEM = nil })
		_, err := s.Repository(t.Context(), fleet())
		s.fails(err, github.ErrUntrusted, "reading repository acme/fleet: certificate not trusted: "+
			"127.0.0.1:*: x509: certificate signed by unknown authority (certificate of *, issued by *)",
			"if the server or a proxy in between has a certificate of a private authority, name that "+
				"authority with --ca-file")
		equal(t, "waits, requests", []int{len(s.clock.waits()), len(gh.Requests())}, []int{0, 0})
	})
}

// A refusal is what its words say: about the plan, the account, a feature that is off, a policy, or a right.
// Only for a right is one named as missing, and the words are always shown.
func TestErrors_refusals(t *testing.T) {
	t.Parallel()
	const rights = `the token in EKSA_GITHUB_TOKEN needs "Administration: write"`
	for words, want := range map[string]struct {
		class error
		text  string // of the class
		hint  string
	}{
		"`acme` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, " +
			"or a personal access token with fine-grained permissions.": {github.ErrPolicy,
			"forbidden by policy", "the organization does not accept this kind of token: *"},
		"The 'acme' organization forbids access via a fine-grained personal access tokens if the token's " +
			"lifetime is greater than 366 days.": {github.ErrPolicy, "forbidden by policy",
			"the organization limits how long a token may live: make one that expires sooner"},
		"Although you appear to have the correct authorization credentials, the `acme` organization has an " +
			"IP allow list enabled, and your IP address is not permitted to access this resource.": {
			github.ErrPolicy, "forbidden by policy", "the organization's IP allow list does not contain *"},
		"Although you appear to have the correct authorization credentials, the `acme` organization has " +
			"enabled OAuth App access restrictions, meaning that data access to third-parties is limited.": {
			github.ErrPolicy, "forbidden by policy",
			"an owner of the organization has to approve the application *"},
		"Upgrade to GitHub Pro or make this repository public to enable this feature.": {github.ErrPlan,
			"not part of the plan", "the account's plan at GitHub *"},
		"Upgrade to GitHub Team or make this repository public to enable this feature.": {github.ErrPlan,
			"not part of the plan", "the account's plan at GitHub *"},
		"Sorry. Your account was suspended.": {github.ErrAuthentication, "authentication refused",
			"the account that the token belongs to is blocked: *"},
		"This installation has been suspended": {github.ErrAuthentication, "authentication refused",
			"the installation of the GitHub App is suspended: *"},
		"Maximum number of login attempts exceeded. Please try again later.": {github.ErrAuthentication,
			"authentication refused", "GitHub saw too many bad credentials *"},
		"Repository access blocked": {github.ErrPolicy, "forbidden by policy",
			"GitHub itself has blocked the repository: *"},
		"Repository was archived so is read-only.": {github.ErrPolicy, "forbidden by policy",
			"an administrator can take the repository out of the archive *"},
		"Repository has been locked for migration.": {github.ErrPolicy, "forbidden by policy",
			"the repository is locked while it is being moved: *"},
		"Deploy keys are disabled for this repository": {github.ErrPolicy, "forbidden by policy",
			"it is switched off for this repository or organization: *"},
		"Code Security must be enabled for this repository to use code scanning.": {github.ErrPolicy,
			"forbidden by policy", "it is switched off for this repository or organization: *"},
		"Resource not accessible by personal access token": {github.ErrPermission,
			"permission denied", rights},
		"Resource not accessible by integration": {github.ErrPermission, "permission denied", rights},
		"Must have admin rights to Repository.":  {github.ErrPermission, "permission denied", rights},
		"The stars are not right tonight.": {github.ErrPermission,
			"permission denied",
			`GitHub's own words are all that is known of the reason; a token needs "Administration: write" for this`},
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.AddRepo("acme/fleet", files())
			// The last request of the hour is refused for its own reason, not for the limit.
			last := http.Header{"X-Ratelimit-Remaining": {"0"}}
			if words == "The stars are not right tonight." {
				last = nil
			}
			gh.Break("GET /repos/acme/fleet/keys",
				githubtest.RespondWith(403, last, `{"message":"`+words+`"}`))
			s := connect(t, gh, gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme"}))
			_, err := s.DeployKeys(t.Context(), fleet())
			e := s.fails(err, want.class,
				"reading the deploy keys of acme/fleet: "+want.text+" (HTTP 403): "+words, want.hint)
			if named := e.NeededPermission != ""; named != (want.hint == rights) {
				t.Errorf("the permission that is said to be missing is %q", e.NeededPermission)
			}
			equal(t, "waits", s.clock.waits(), nil)
			// The same words in preflight.
			access, err := s.CheckAccess(t.Context(), github.AccessRequest{Ref: fleet(), NeedDeployKey: true})
			ok(t, err)
			if len(access.Findings) == 0 || !strings.Contains(access.Findings[0].Message, words) {
				t.Errorf("findings %+v do not have GitHub's words", access.Findings)
			}
		})
	}
	t.Run("law", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.Break(getFleet, githubtest.Respond(451, `{"message":"Repository access blocked","block":{"reason":"dmca","created_at":"2020-01-01T00:00:00Z"}}`))
		s := owner(t, gh)
		_, err := s.Repository(t.Context(), fleet())
		s.fails(err, github.ErrPolicy,
			"reading repository acme/fleet: forbidden by policy (HTTP 451): Repository access blocked",
			"GitHub itself has blocked the repository: *")
	})
	t.Run("no private repositories", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.Break("POST /orgs/acme/repos", githubtest.Respond(422, `{"message":"Validation Failed","errors":[{"resource":"Repository","code":"custom","field":"visibility","message":"Visibility can't be private. Private repositories are not permitted for this organization."}]}`))
		s := owner(t, gh)
		_, _, err := s.EnsureRepository(t.Context(), newFleet())
		s.fails(err, github.ErrPolicy, "creating repository acme/fleet: forbidden by policy (HTTP "+
			"422): Validation Failed: Visibility can't be private. *",
			"the organization does not let this user make private repositories: *")
	})
}

// A missing permission is named as GitHub's header has it, in the words of GitHub's pages.
func TestErrors_neededPermission(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"administration=read":               `"Administration: write"`,
		"administration=write":              `"Administration: write"`,
		"contents=write,pull_requests=read": `"Contents: write" and "Pull requests: read"`,
		"organization_administration=write; " +
			"members=write": `"Organization administration: write" or "Members: write"`,
		"":                     `"Administration: write"`,
		";;,,":                 `"Administration: write"`,
		"\u202econtents=write": `"Contents: write"`,
	} {
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		gh.Break("GET /repos/acme/fleet/keys",
			githubtest.RespondWith(403, http.Header{"X-Accepted-Github-Permissions": {header}},
				`{"message":"Resource not accessible by personal access token"}`))
		// The header of a classic token's scopes is not there.
		s := connect(t, gh, gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme"}))
		_, err := s.DeployKeys(t.Context(), fleet())
		e := s.fails(err, github.ErrPermission, "*", "the token in EKSA_GITHUB_TOKEN needs "+want)
		equal(t, "permission for "+header, e.NeededPermission, want)
	}
}

// A server or proxy that repeats the token does not get it printed.
func TestErrors_redactTheToken(t *testing.T) {
	t.Parallel()
	gh := world(t)
	token := gh.AddClassicToken("alice", "repo")
	gh.Break(getFleet, githubtest.RespondWith(403,
		http.Header{"X-Github-Sso": {"required; url=https://sso.example.com/?t=" + token}},
		`{"message":"Authorization: Bearer `+token+`","errors":[{"message":"`+token+`"},"`+token+`"]}`))
	s := connect(t, gh, token)
	_, err := s.Repository(t.Context(), fleet())
	e := s.fails(err, github.ErrSSO, "reading repository acme/fleet: single sign-on authorization missing "+
		"(HTTP 403): Authorization: Bearer ***", "*https://sso.example.com/?t=****")
	equal(t, "details", e.Errors, []github.Detail{{Message: "***"}, {Message: "***"}})
}

func TestErrors_longText(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.Break(getFleet, githubtest.Respond(400, `{"message":"`+strings.Repeat("é", 100_000)+`"}`))
	s := owner(t, gh)
	_, err := s.Repository(t.Context(), fleet())
	e := s.fails(err, github.ErrUnexpected,
		"reading repository acme/fleet: unexpected answer (HTTP 400): *…", "*")
	equal(t, "runes", len([]rune(e.Message)), 501)
}

// What answers in GitHub's place is not taken for GitHub.
func TestErrors_notGitHub(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"<html>Sign in</html>", `{"name":`, "[]", `"fleet"`, `{"name":7}`} {
		gh := world(t)
		gh.Break(getFleet, githubtest.Respond(200, body))
		s := owner(t, gh)
		_, err := s.Repository(t.Context(), fleet())
		s.fails(err, github.ErrUnexpected, "reading repository acme/fleet: unexpected answer (HTTP 200): "+
			"the answer is not what GitHub's API returns", "check that the API's URL is right *")
		equal(t, "waits", s.clock.waits(), nil)
	}
}

func TestErrors_noConnection(t *testing.T) {
	t.Parallel()
	// The resolver of the machine is not asked: it may be slow to say no.
	noSuchHost :=
		&http.Transport{DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return nil, &net.OpError{Op: "dial", Net: network,
				Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
		}}
	for name, tc := range map[string]struct {
		url       string
		transport *http.Transport
		text      string
		waits     int
	}{
		"refused": {"http://127.0.0.1:1/", &http.Transport{},
			"reading repository acme/fleet: unavailable: dial tcp 127.0.0.1:1: connect: connection refused",
			5},
		"no such host": {"https://github.example.com/api/v3/", noSuchHost,
			"reading repository acme/fleet: unavailable: there is no host github.example.com: dial tcp: " +
				"lookup github.example.com: no such host", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &fakeClock{}
			client, err := github.New(github.Options{APIURL: tc.url, Token: secret.New("ghp_sentinel"),
				Clock: clock, HTTPTransport: tc.transport})
			ok(t, err)
			s := &session{Client: client, t: t, token: "ghp_sentinel", clock: clock}
			_, err = s.Repository(t.Context(), fleet())
			s.fails(err, github.ErrUnavailable, tc.text, "check the network, DNS and the proxy settings "+
				"(HTTPS_PROXY, NO_PROXY), then run the same command again")
			equal(t, "waits", len(clock.waits()), tc.waits)
			_, _, err = s.EnsureRepository(t.Context(), newFleet())
			s.fails(err, github.ErrUnavailable, tc.text, "*")
		})
	}
}
