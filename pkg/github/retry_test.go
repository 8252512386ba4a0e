package github_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

const getFleet = "GET /repos/acme/fleet"

// What passes is waited out.
func TestRetry_passingFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]githubtest.Effect{
		"500": githubtest.Respond(500, ""), "502": githubtest.Respond(502, "<html>bad gateway</html>"),
		"503": githubtest.Respond(503, `{"message":"Unavailable"}`), "504": githubtest.Respond(504, ""),
		"429": githubtest.Respond(429, ""), "closed": githubtest.CloseConnection(),
		"truncated": githubtest.Truncate(), "lost": githubtest.LoseReply(),
		"primary":   githubtest.PrimaryRateLimit(10 * time.Second),
		"secondary": githubtest.SecondaryRateLimit(2 * time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.AddRepo("acme/fleet", files())
			gh.Break(getFleet, fault, githubtest.Times(3))
			s := owner(t, gh)
			_, err := s.Repository(t.Context(), fleet())
			ok(t, err)
			equal(t, "requests, waits, events",
				[]int{len(gh.Requests()), len(s.clock.waits()), len(s.heard())}, []int{4, 3, 3})
		})
	}
}

func TestRetry_backsOff(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.Break(getFleet, githubtest.Respond(502, "<html>"))
	s := owner(t, gh)
	_, err := s.Repository(t.Context(), fleet())
	e := s.fails(err, github.ErrUnavailable,
		"reading repository acme/fleet: unavailable (HTTP 502): GitHub answers Bad Gateway",
		"GitHub has trouble; see its status page, then run the same command again")
	equal(t, "error", []any{e.Op, e.Method, e.Path, e.Status},
		[]any{"reading repository acme/fleet", "GET", "/repos/acme/fleet", 502})
	waits := s.clock.waits()
	if len(waits) != 5 || len(gh.Requests()) != 6 {
		t.Fatalf("waits %v, %d requests", waits, len(gh.Requests()))
	}
	for i, bound := range []time.Duration{500, 1000, 2000, 4000, 8000} {
		if bound *= time.Millisecond; waits[i] < bound/2 || waits[i] > bound {
			t.Errorf("wait %d is %s, want between %s and %s", i, waits[i], bound/2, bound)
		}
	}
	if want := "waiting *s for GitHub: reading repository acme/fleet: unavailable (HTTP 502): GitHub " +
		"answers Bad Gateway; then try 2 of 6"; !matches(want, s.heard()[0]) {
		t.Errorf("got %q, want %q", s.heard()[0], want)
	}
}

func TestRetry_policy(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.Break(getFleet, githubtest.Respond(502, ""))
	s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
		o.Retry = github.RetryPolicy{Attempts: 50, FirstWait: time.Second, MaxWait: 2 * time.Second}
	})
	_, err := s.Repository(t.Context(), fleet())
	s.fails(err, github.ErrUnavailable, "*", "*")
	waits := s.clock.waits()
	if len(waits) != 49 || waits[48] > 2*time.Second || waits[48] < time.Second {
		t.Errorf("waits %v", waits)
	}
}

// What does not pass stops at once.
func TestRetry_permanentFaults(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]error{
		301: github.ErrUnexpected, 400: github.ErrUnexpected, 401: github.ErrAuthentication,
		403: github.ErrPermission, 404: github.ErrNotFound, 409: github.ErrConflict,
		410: github.ErrUnexpected, 418: github.ErrUnexpected, 422: github.ErrUnexpected,
		451: github.ErrPolicy,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.Break(getFleet, githubtest.Respond(status, `{"message":"no \u001b[31m\u202e\u0007 way","documentation_url":"https://docs.github.com/rest"}`))
			s := owner(t, gh)
			_, err := s.Repository(t.Context(), fleet())
			s.fails(err, class,
				fmt.Sprintf("reading repository acme/fleet: %v (HTTP %d): no [31m way", class, status), "*")
			equal(t, "waits", s.clock.waits(), nil)
		})
	}
}

func TestRetry_honoursTheServersAdvice(t *testing.T) {
	t.Parallel()
	// Times in headers are relative to the client's clock.
	limits := func(remaining string, in time.Duration) func(time.Time) http.Header {
		return func(now time.Time) http.Header {
			return http.Header{"X-Ratelimit-Remaining": {remaining},
				"X-Ratelimit-Reset": {fmt.Sprint(now.Add(in).Unix())}}
		}
	}
	after := func(value string) func(time.Time) http.Header {
		return func(time.Time) http.Header { return http.Header{"Retry-After": {value}} }
	}
	secondary := `{"message":"You have exceeded a secondary rate limit."}`
	for name, tc := range map[string]struct {
		status   int
		header   func(time.Time) http.Header
		body     string
		min, max time.Duration
	}{
		"seconds":          {429, after("7"), "", 7 * time.Second, 8 * time.Second},
		"seconds with 403": {403, after("7"), secondary, 7 * time.Second, 8 * time.Second},
		"seconds with 503": {503, after("7"), "", 7 * time.Second, 8 * time.Second},
		"date": {429, func(now time.Time) http.Header {
			return http.Header{"Retry-After": {now.Add(20 * time.Second).UTC().Format(http.TimeFormat)}}
		}, "", 19 * time.Second, 22 * time.Second},
		"reset":          {403, limits("0", 30*time.Second), "", 29 * time.Second, 33 * time.Second},
		"reset with 429": {429, limits("0", 30*time.Second), "", 29 * time.Second, 33 * time.Second},
		"reset is past":  {403, limits("0", -time.Hour), "", time.Second, 2 * time.Second},
		"no advice":      {403, limits("4000", time.Hour), secondary, time.Minute, 61 * time.Second},
		"nonsense":       {429, after("soon"), "", time.Minute, 61 * time.Second},
		"in the past":    {429, after("-5"), "", time.Minute, 61 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.AddRepo("acme/fleet", files())
			s := owner(t, gh)
			header := tc.header(s.clock.Now())
			if header.Get("X-Ratelimit-Remaining") == "" {
				header.Set("X-Ratelimit-Remaining", "4000")
			}
			gh.Break(getFleet, githubtest.RespondWith(tc.status, header, tc.body), githubtest.Times(1))
			_, err := s.Repository(t.Context(), fleet())
			ok(t, err)
			waits := s.clock.waits()
			if len(waits) != 1 || waits[0] < tc.min || waits[0] > tc.max {
				t.Errorf("waits %v, want between %s and %s", waits, tc.min, tc.max)
			}
		})
	}
}

// A limit that is fresh only after the deadline is not waited for.
func TestRetry_limitBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	for name, deadline := range map[string]time.Duration{"deadline": time.Minute, "default": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.Break(getFleet, githubtest.PrimaryRateLimit(40*time.Minute))
			s := owner(t, gh)
			ctx := t.Context()
			if deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, deadline)
				defer cancel()
			}
			_, err := s.Repository(ctx, fleet())
			e := s.fails(err, github.ErrRateLimited, "reading repository acme/fleet: rate limit exceeded "+
				"(HTTP 403): API rate limit exceeded for user ID 1. If you reach out to GitHub Support for "+
				"help, please include the request ID.", "run the same command again after *:*:* UTC; all "+
				"programs that use the same account share its limit")
			equal(t, "waits", s.clock.waits(), nil)
			if in := time.Until(e.Reset); in < 39*time.Minute || in > 41*time.Minute ||
				e.RetryAfter < 39*time.Minute {
				t.Errorf("reset in %s, retry after %s", in, e.RetryAfter)
			}
		})
	}
	t.Run("enough time", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		gh.Break(getFleet, githubtest.PrimaryRateLimit(40*time.Minute), githubtest.Times(1))
		s := owner(t, gh)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := s.Repository(ctx, fleet())
		ok(t, err)
	})
}

// The last request of a budget does not make the client refuse the next ones by itself.
func TestRetry_lastOfTheBudget(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", files())
	gh.Break(getFleet, githubtest.RespondWith(200, http.Header{"X-Ratelimit-Remaining": {"0"},
		"X-Ratelimit-Reset": {fmt.Sprint(time.Now().Add(time.Hour).Unix())}},
		`{"name":"fleet","owner":{"login":"acme"}}`),
		githubtest.Times(1))
	s := owner(t, gh)
	for range 2 {
		_, err := s.Repository(t.Context(), fleet())
		ok(t, err)
	}
	equal(t, "requests, waits", []int{len(gh.Requests()), len(s.clock.waits())}, []int{2, 0})
}

// The end of the context ends a wait, and the error says what was waited for.
func TestRetry_interruptedWait(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.Break(getFleet, githubtest.Respond(502, ""))
	s := owner(t, gh)
	ctx, cancel := context.WithCancel(t.Context())
	s.clock.onSleep = func(ctx context.Context) error {
		cancel()
		return context.Cause(ctx)
	}
	_, err := s.Repository(ctx, fleet())
	if !errors.Is(err, context.Canceled) || !errors.Is(err, github.ErrUnavailable) ||
		err.Error() != "reading repository acme/fleet: unavailable (HTTP 502): GitHub answers Bad Gateway; "+
			"the wait for GitHub ended: context canceled" {
		t.Error(err)
	}
	equal(t, "requests", len(gh.Requests()), 1)
	_, err = s.Repository(ctx, fleet())
	if !errors.Is(err, context.Canceled) || errors.Is(err, github.ErrUnavailable) {
		t.Error(err)
	}
	equal(t, "requests", len(gh.Requests()), 1)
}

// A slow answer is a fault of the server until the caller's own time is up.
func TestRetry_slowServer(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", files())
	gh.Break(getFleet, githubtest.Latency(time.Minute), githubtest.Times(2))
	s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
		o.Retry.RequestTimeout = 200 * time.Millisecond
	})
	_, err := s.Repository(t.Context(), fleet())
	ok(t, err)
	// A machine under load may be slow once more.
	if events := s.heard(); len(events) < 2 ||
		!matches("*unavailable: no answer within 200ms; then try 2 of 6", events[0]) {
		t.Errorf("events %q", events)
	}
	gh.Break(getFleet, githubtest.Latency(time.Minute))
	_, err = s.Repository(t.Context(), fleet())
	s.fails(err, github.ErrUnavailable, "reading repository acme/fleet: unavailable: no answer within 200ms",
		"check the network, *")
	if errors.Is(err, context.DeadlineExceeded) {
		t.Error("looks like the end of the caller's context")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = s.Repository(ctx, fleet())
	if !errors.Is(err, context.DeadlineExceeded) ||
		err.Error() != "reading repository acme/fleet: no answer from GitHub yet: context deadline exceeded" {
		t.Error(err)
	}
}

// The default clock waits for real.
func TestRetry_systemClock(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", files())
	gh.Break(getFleet, githubtest.Respond(502, ""), githubtest.Times(1))
	s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
		o.Clock = nil
		o.Retry.FirstWait = time.Millisecond
	})
	_, err := s.Repository(t.Context(), fleet())
	ok(t, err)
	gh.Break(getFleet, githubtest.Respond(429, ""))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	_, err = s.Repository(ctx, fleet())
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
