package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

func TestNew_refusesWhatCannotBeAToken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ token, problem string }{
		"empty":   {"", "EKSA_GITHUB_TOKEN is not set: there is no token for GitHub"},
		"newline": {"ghp_sentinel\n", "EKSA_GITHUB_TOKEN is malformed: it contains a line break"},
		"return":  {"ghp_sentinel\r", "EKSA_GITHUB_TOKEN is malformed: it contains a line break"},
		"blank":   {" ghp_sentinel", "EKSA_GITHUB_TOKEN is malformed: it contains white space"},
		"tab":     {"ghp_\tsentinel", "EKSA_GITHUB_TOKEN is malformed: it contains white space"},
		"non-ascii": {"ghp_sentinelé",
			"EKSA_GITHUB_TOKEN is malformed: it contains a character that tokens do not have"},
		"control": {"ghp_sentinel\x1b[0m",
			"EKSA_GITHUB_TOKEN is malformed: it contains a character that tokens do not have"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := github.New(github.Options{Token: secret.New(tc.token)})
			var e *github.TokenError
			if !errors.As(err, &e) || !errors.Is(err, github.ErrAuthentication) ||
				err.Error() != tc.problem || !strings.Contains(e.Hint(), "EKSA_GITHUB_TOKEN") {
				t.Errorf("got %v, want %s", err, tc.problem)
			}
			if strings.Contains(allText(err), "sentinel") {
				t.Errorf("the token appears in %v", err)
			}
		})
	}
}

func TestNew_refusesBadURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://api.github.com/": "GitHub's API URL for api.github.com must begin with https://, for a " +
			"token is sent there",
		"ftp://api.github.com/": "GitHub's API URL for api.github.com must begin with https://, for a " +
			"token is sent there",
		"api.github.com":                      "GitHub's API URL is not a URL",
		"https://user:sentinel@github.com/":   "GitHub's API URL must not contain credentials",
		"https://github.com/api/v3/?q=1":      "GitHub's API URL for github.com must end with its path",
		"https://git\x1b.example.com/api/v3/": "GitHub's API URL is not a URL",
	} {
		_, err := github.New(github.Options{APIURL: url, Token: secret.New("t")})
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", url, err, want)
		}
	}
	for _, url := range []string{"", "https://github.example.com/api/v3", "http://127.0.0.1:8080/",
		"http://localhost:1/", "http://[::1]:1/"} {
		if _, err := github.New(github.Options{APIURL: url, Token: secret.New("t")}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestNew_refusesBadAuthorities(t *testing.T) {
	t.Parallel()
	_, err := github.New(github.Options{Token: secret.New("t"), CAPEM: []byte("nonsense")})
	if err == nil ||
		err.Error() != "the file of certificate authorities (--ca-file) contains no PEM certificate" {
		t.Error(err)
	}
	_, err = github.New(github.Options{Token: secret.New("t"), CAPEM: []byte("x"),
		HTTPTransport: http.DefaultTransport})
	if err == nil || err.Error() != "github: CAPEM and HTTPTransport exclude each other" {
		t.Error(err)
	}
}

// A name becomes a part of a URL's path: what could change its meaning never gets there.
func TestNames_areConfined(t *testing.T) {
	t.Parallel()
	gh := world(t)
	s, ctx := owner(t, gh), t.Context()
	mark := gh.Mark()
	for _, name := range []string{"", ".", "..", "...", "a/b", "../orgs", "a?b", "a#b", "a%2fb", "a b",
		"a\nb", "é", strings.Repeat("a", 101)} {
		var errs []error
		collect := func(err error) { errs = append(errs, err) }
		for _, ref := range []github.RepoRef{{Owner: name, Name: "fleet"}, {Owner: "acme", Name: name}} {
			_, err := s.Repository(ctx, ref)
			collect(err)
			_, _, err = s.EnsureRepository(ctx, github.NewRepository{Ref: ref})
			collect(err)
			_, err = s.Protection(ctx, ref, "main")
			collect(err)
			_, err = s.DeployKeys(ctx, ref)
			collect(err)
			_, err = s.EnsureDeployKey(ctx, ref, github.DeployKey{PublicKey: publicKey(t, "k")})
			collect(err)
			collect(s.DeleteDeployKey(ctx, ref, 1))
			_, err = s.CheckAccess(ctx, github.AccessRequest{Ref: ref})
			collect(err)
		}
		_, err := s.Owner(ctx, name)
		collect(err)
		for _, err := range errs {
			var e *github.NameError
			if !errors.As(err, &e) ||
				!matches("* cannot be the name of * on GitHub", err.Error()) || e.Hint() !=
				"letters, digits, hyphens, underscores and dots make a name of an owner or a repository" {
				t.Errorf("%q: got %v", name, err)
			}
		}
	}
	for _, branch := range []string{"", ".", ".."} {
		var e *github.NameError
		if _, err := s.Protection(ctx, fleet(), branch); !errors.As(err, &e) ||
			e.Hint() != "correct spec.branch" {
			t.Errorf("branch %q: got %v", branch, err)
		}
	}
	if _, err := s.EnsureDeployKey(ctx, fleet(), github.DeployKey{PublicKey: "no key"}); err == nil ||
		err.Error() !=
			"registering a deploy key on acme/fleet: what is to be registered is not a public key" {
		t.Error(err)
	}
	equal(t, "requests", gh.Since(mark).Requests, nil)
}

// headers records what is sent.
type headers struct {
	next http.RoundTripper
	sent []http.Header
}

func (h *headers) RoundTrip(r *http.Request) (*http.Response, error) {
	h.sent = append(h.sent, r.Header.Clone())
	return h.next.RoundTrip(r)
}

func TestRequests_haveGitHubsHeaders(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", files())
	recorder := &headers{next: gh.HTTPClient().Transport}
	s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
		o.HTTPTransport, o.CAPEM = recorder, nil
	})
	_, err := s.Repository(t.Context(), fleet())
	ok(t, err)
	_, err = s.EnsureDeployKey(t.Context(), fleet(),
		github.DeployKey{Title: "t", PublicKey: publicKey(t, "k"), ReadOnly: true})
	ok(t, err)
	_, err = s.HostKeys(t.Context())
	ok(t, err)
	if len(recorder.sent) != 4 {
		t.Errorf("%d requests", len(recorder.sent))
	}
	for _, h := range recorder.sent {
		equal(t, "headers", []string{h.Get("Accept"), h.Get("X-GitHub-Api-Version"), h.Get("User-Agent"),
			h.Get("Authorization")},
			[]string{"application/vnd.github+json", "2026-03-10", "eksa-gitops/test", "Bearer " + s.token})
	}
	s.clean(fmt.Sprintf("%v %+v %#v", s.Client, s.Client, s.Client))
}

// The API may be at the root of a host, as github.com's, or below /api/v3/.
func TestClient_worksAtTheRoot(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", files())
	s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
		o.APIURL = strings.TrimSuffix(gh.RootAPIURL(), "/")
	})
	repository, err := s.Repository(t.Context(), fleet())
	ok(t, err)
	equal(t, "name", repository.Ref, fleet())
}
