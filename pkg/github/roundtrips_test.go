package github_test

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// rounds lets requests through only when all of their round are under way. What is sent one after the other,
// and should not be, waits for ever, which is until the test's context ends.
type rounds struct {
	next   http.RoundTripper
	mu     sync.Mutex
	left   [][]string // paths still to come, by round
	open   []chan struct{}
	strays []string
}

func newRounds(next http.RoundTripper, paths ...[]string) *rounds {
	r := &rounds{next: next}
	for _, round := range paths {
		r.left, r.open = append(r.left, slices.Clone(round)), append(r.open, make(chan struct{}))
	}
	return r
}

func (r *rounds) arrive(path string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, round := range r.left {
		at := slices.Index(round, path)
		if at < 0 {
			continue
		}
		r.left[i] = slices.Delete(round, at, at+1)
		if len(r.left[i]) == 0 {
			close(r.open[i])
		}
		return r.open[i]
	}
	r.strays = append(r.strays, path)
	return nil
}

func (r *rounds) RoundTrip(request *http.Request) (*http.Response, error) {
	open := r.arrive(strings.TrimPrefix(request.URL.Path, "/api/v3"))
	if open != nil {
		select {
		case <-open:
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
	}
	return r.next.RoundTrip(request)
}

func TestCheckAccess_asksAtTheSameTime(t *testing.T) {
	t.Parallel()
	// The rest waits for these three: where there is no repository nothing else is to be read, and a server
	// that is shown a bad token many times at once refuses good ones for a while.
	first := []string{"/user", "/users/acme", "/repos/acme/fleet"}
	second := []string{"/repos/acme/fleet/branches/main", "/repos/acme/fleet/rules/branches/main",
		"/repos/acme/fleet/keys", "/orgs/acme"}
	for name, tc := range map[string]struct {
		setUp func(*githubtest.Server)
		want  [][]string
	}{
		"there": {func(gh *githubtest.Server) { gh.AddRepo("acme/fleet", files()) },
			[][]string{first, second}},
		"protected": {func(gh *githubtest.Server) {
			gh.AddRepo("acme/fleet", files()).Protect("main", githubtest.Protection{})
		}, [][]string{first, second, {"/repos/acme/fleet/branches/main/protection"}}},
		"to be created": {func(*githubtest.Server) {},
			[][]string{first, {"/user/memberships/orgs/acme", "/orgs/acme"}}},
		"bad token": {func(gh *githubtest.Server) { gh.AddRepo("acme/fleet") }, [][]string{first}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			tc.setUp(gh)
			token := gh.AddClassicToken("alice", "repo")
			if name == "bad token" {
				gh.RevokeToken(token)
			}
			gate := newRounds(gh.HTTPClient().Transport, tc.want...)
			s := connect(t, gh, token, func(o *github.Options) { o.HTTPTransport, o.CAPEM = gate, nil })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			access, err := s.CheckAccess(ctx,
				github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true})
			ok(t, err)
			equal(t, "ok", access.OK(), name != "bad token")
			equal(t, "missing, extra", []any{slices.Concat(gate.left...), gate.strays},
				[]any{[]string{}, []string{}})
		})
	}
}

func TestClient_reusesConnections(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", files())
	s := owner(t, gh)
	var mu sync.Mutex
	fresh, reused := 0, 0
	ctx := httptrace.WithClientTrace(t.Context(),
		&httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			mu.Lock()
			defer mu.Unlock()
			if info.Reused {
				reused++
			} else {
				fresh++
			}
		}})
	check := func() {
		access, err := s.CheckAccess(ctx,
			github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true})
		ok(t, err)
		equal(t, "findings", access.Findings, nil)
	}
	check()
	check()
	if fresh > 4 {
		t.Errorf("%d connections for at most 4 requests at once", fresh)
	}
	fresh, reused = 0, 0
	_, err := s.EnsureDeployKey(ctx, fleet(), fluxKey(t))
	ok(t, err)
	// An answer that is refused is read to its end as well.
	_, err = s.Repository(ctx, github.RepoRef{Owner: "acme", Name: "none"})
	s.fails(err, github.ErrNotFound, "*", "*")
	_, err = s.Repository(ctx, fleet())
	ok(t, err)
	equal(t, "new, reused", []int{fresh, reused}, []int{0, 4})
}
