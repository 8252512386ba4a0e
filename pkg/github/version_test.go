package github_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// speaking makes a server know some versions of the API only, and returns those that it was asked for. The
// answer to another is a status and words.
func speaking(gh *githubtest.Server, status int, words string, known ...string) func() []string {
	var mu sync.Mutex
	var asked []string
	gh.Around(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			version := r.Header.Get("X-GitHub-Api-Version")
			mu.Lock()
			asked = append(asked, version)
			mu.Unlock()
			if !slices.Contains(known, version) {
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				w.WriteHeader(status)
				w.Write([]byte(`{"message":"` + strings.ReplaceAll(words, "VERSION", version) + `"}`))
				return
			}
			r.Header.Del("X-GitHub-Api-Version")
			next.ServeHTTP(w, r)
		})
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}

// The newest version that both sides know is spoken: what a server does not know, or no longer, is asked for
// once and not again.
func TestVersions(t *testing.T) {
	t.Parallel()
	const older, newer = "2022-11-28", "2026-03-10"
	for name, tc := range map[string]struct {
		enterprise bool
		status     int
		known      []string
		asked      []string // for two reads
	}{
		"github.com":                       {false, 410, []string{older, newer}, []string{newer, newer}},
		"github.com, the older is gone":    {false, 410, []string{newer}, []string{newer, newer}},
		"a server like it, of 2025":        {false, 400, []string{older}, []string{newer, older, older}},
		"enterprise server":                {true, 400, []string{older}, []string{older, older}},
		"enterprise server, years later":   {true, 410, []string{newer}, []string{older, newer, newer}},
		"neither, a message without sense": {false, 410, nil, []string{newer, older, older}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.AddRepo("acme/fleet", files())
			asked := speaking(gh, tc.status, "API version VERSION is no longer supported.", tc.known...)
			s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
				o.APIURL = gh.RootAPIURL()
				if tc.enterprise {
					o.APIURL = gh.APIURL()
				}
			})
			for range 2 {
				_, err := s.Repository(t.Context(), fleet())
				if tc.known == nil {
					s.fails(err, github.ErrUnexpected, "reading repository acme/fleet: unexpected answer "+
						"(HTTP 410): API version 2022-11-28 is no longer supported.", "the server no "+
						"longer speaks a version of its API that this program knows: use a newer eksa-gitops")
					continue
				}
				ok(t, err)
			}
			equal(t, "asked for", asked(), tc.asked)
		})
	}
}

// A write is sent again with its body, and has its effect once.
func TestVersions_write(t *testing.T) {
	t.Parallel()
	gh := world(t)
	repo := gh.AddRepo("acme/fleet", files())
	speaking(gh, 400, `\"VERSION\" is not a supported version.`, "2022-11-28")
	s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
		o.APIURL = gh.RootAPIURL()
	})
	_, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
	ok(t, err)
	equal(t, "keys", len(repo.DeployKeys()), 1)
}

// The end of the version that is spoken is told once, whatever the number of answers that announce it.
func TestVersions_sunset(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Fri, 10 Mar 2028 00:00:00 GMT": "GitHub ends version 2022-11-28 of its API on 2028-03-10: have a " +
			"newer eksa-gitops by then",
		"soon": "GitHub ends version 2022-11-28 of its API at a time that it does not name: have a newer " +
			"eksa-gitops by then",
	} {
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		gh.Around(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Sunset", header)
				next.ServeHTTP(w, r)
			})
		})
		var mu sync.Mutex
		var told []string
		s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
			o.APIURL = gh.APIURL()
			o.OnSunset = func(sunset github.Sunset) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, sunset.String())
			}
		})
		_, err := s.CheckAccess(t.Context(),
			github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true})
		ok(t, err)
		equal(t, "told", told, []string{want})
	}
}
