package github_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// A server that asks for another wait again and again is not obeyed for ever.
func TestLimits_boundedInAll(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault githubtest.Effect
		bound time.Duration // RateLimitWait, default when 0
		waits int
		class error
		text  string
	}{
		"secondary": {githubtest.SecondaryRateLimit(6 * time.Minute), 0, 2, github.ErrRateLimited,
			"reading repository acme/fleet: rate limit exceeded (HTTP 403): You have exceeded a secondary " +
				"rate limit. *"},
		"secondary, 429": {githubtest.SecondaryRateLimit(time.Minute), 3 * time.Minute, 2,
			github.ErrRateLimited, "reading repository acme/fleet: rate limit exceeded (HTTP 429): You " +
				"have exceeded a secondary rate limit. *"},
		"longer than the bound": {githubtest.SecondaryRateLimit(16 * time.Minute), 0, 0,
			github.ErrRateLimited, "reading repository acme/fleet: rate limit exceeded (HTTP 403): You " +
				"have exceeded a secondary rate limit. *"},
		"trouble": {githubtest.RespondWith(503, http.Header{"Retry-After": {"400"}}, ""), 0, 2,
			github.ErrUnavailable,
			"reading repository acme/fleet: unavailable (HTTP 503): GitHub answers Service Unavailable"},
		"abuse, without a time": {githubtest.Respond(403,
			`{"message":"You have triggered an abuse detection mechanism. Please wait a few minutes before you try again."}`),
			3 * time.Minute, 2, github.ErrRateLimited, "reading repository acme/fleet: rate limit exceeded " +
				"(HTTP 403): You have triggered an abuse detection mechanism. *"},
		"for years": {githubtest.RespondWith(429, http.Header{"Retry-After": {"4000000000"}}, ""), 0, 0,
			github.ErrRateLimited, "reading repository acme/fleet: rate limit exceeded (HTTP 429)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			effects := []githubtest.Effect{tc.fault}
			if name == "secondary, 429" {
				effects = append(effects, githubtest.Status(429))
			}
			gh.Break(getFleet, effects...)
			s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
				o.Retry.RateLimitWait = tc.bound
			})
			_, err := s.Repository(t.Context(), fleet())
			s.fails(err, tc.class, tc.text, "*")
			var sum time.Duration
			for _, wait := range s.clock.waits() {
				sum += wait
			}
			equal(t, "waits, requests", []int{len(s.clock.waits()), len(gh.Requests())},
				[]int{tc.waits, tc.waits + 1})
			if sum > 15*time.Minute || tc.bound > 0 && sum > tc.bound {
				t.Errorf("waited %s", sum)
			}
		})
	}
}

// go-github has types of its own for some refusals. They come out as the same errors as the others.
func TestLimits_thatTheLibraryKnows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		header http.Header
		body   string
		class  error
		text   string
		waits  int
	}{
		"primary": {403, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1"}},
			`{"message":"API rate limit exceeded"}`, github.ErrRateLimited,
			"rate limit exceeded (HTTP 403): API rate limit exceeded", 5},
		"secondary, with its former address": {403, http.Header{"Retry-After": {"2"}},
			`{"message":"You have triggered an abuse detection mechanism.","documentation_url":"https://docs.github.com/rest/overview/resources-in-the-rest-api#secondary-rate-limits"}`,
			github.ErrRateLimited,
			"rate limit exceeded (HTTP 403): You have triggered an abuse detection mechanism.", 5},
		"second factor": {401, http.Header{"X-Github-Otp": {"required; app"}},
			`{"message":"Must specify two-factor authentication OTP code."}`, github.ErrAuthentication,
			"authentication refused (HTTP 401): Must specify two-factor authentication OTP code.", 0},
		"accepted for later": {202, nil, "", github.ErrUnexpected,
			"unexpected answer (HTTP 202): the answer is not what GitHub's API returns", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.Break(getFleet, githubtest.RespondWith(tc.status, tc.header, tc.body))
			s := owner(t, gh)
			_, err := s.Repository(t.Context(), fleet())
			s.fails(err, tc.class, "reading repository acme/fleet: "+tc.text, "*")
			equal(t, "waits", len(s.clock.waits()), tc.waits)
		})
	}
}

func TestRetryEvent(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet")
	gh.Break(getFleet, githubtest.SecondaryRateLimit(90*time.Second), githubtest.Times(1))
	var events []github.RetryEvent
	s := connect(t, gh, gh.AddClassicToken("alice", "repo"), func(o *github.Options) {
		o.OnRetry = func(e github.RetryEvent) { events = append(events, e) }
	})
	_, err := s.Repository(t.Context(), fleet())
	ok(t, err)
	if len(events) != 1 {
		t.Fatalf("events %v", events)
	}
	e := events[0]
	equal(t, "event", []any{e.Op, e.Attempt, e.Attempts, errors.Is(e.Err, github.ErrRateLimited),
		e.Wait == s.clock.waits()[0]},
		[]any{"reading repository acme/fleet", 2, 6, true, true})
	if !matches("waiting 1m30s for GitHub: reading repository acme/fleet: rate limit exceeded (HTTP 403): "+
		"You have exceeded a secondary rate limit. *; then try 2 of 6", e.String()) {
		t.Error(e)
	}
}
