package githubtest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

func TestRateLimits(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	token := gh.AddClassicToken("alice", "repo")
	reset := time.Now().Add(time.Hour).Truncate(time.Second)
	gh.SetRateLimit(60, 1, reset)
	_, resp, err := client(t, gh, token).Users.Get(ctx, "")
	ok(t, err)
	if resp.Rate.Remaining != 0 || !resp.Rate.Reset.Equal(github.Timestamp{Time: reset}) {
		t.Errorf("rate %v", resp.Rate)
	}
	_, _, err = client(t, gh, token).Users.Get(ctx, "")
	var limited *github.RateLimitError
	if !errors.As(err, &limited) || limited.Rate.Limit != 60 {
		t.Errorf("primary limit: %v", err)
	}
	gh.SetRateLimit(5000, 5000, time.Time{})
	for _, status := range []int{403, 429} {
		off := gh.Break("GET /user", githubtest.SecondaryRateLimit(2*time.Second), githubtest.Status(status))
		_, _, err = client(t, gh, token).Users.Get(ctx, "")
		// This go-github knows the limit only by an older address of its documentation, so this is no
		// AbuseRateLimitError.
		var e *github.ErrorResponse
		if !errors.As(err, &e) || e.Response.StatusCode != status ||
			e.Response.Header.Get("Retry-After") != "2" ||
			!strings.HasPrefix(e.Message, "You have exceeded a secondary rate limit.") ||
			!strings.HasSuffix(e.DocumentationURL, "#about-secondary-rate-limits") {
			t.Errorf("secondary limit: %v", err)
		}
		off()
	}
	gh.Break("GET /user", githubtest.PrimaryRateLimit(time.Minute), githubtest.Times(1))
	_, _, err = client(t, gh, token).Users.Get(ctx, "")
	if !errors.As(err, &limited) {
		t.Errorf("primary limit as a fault: %v", err)
	}
	_, _, err = client(t, gh, token).Users.Get(ctx, "")
	ok(t, err)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := gh.AddRepo("acme/fleet")
	c := client(t, gh, gh.AddClassicToken("alice", "repo"))
	mark := gh.Mark()

	gh.Break("GET /repos/ACME/*", githubtest.Respond(502, "<html>bad gateway</html>"), githubtest.Skip(1),
		githubtest.Times(1))
	get := func() error { _, _, err := c.Repositories.Get(ctx, "acme", "fleet"); return err }
	ok(t, get())
	var e *github.ErrorResponse
	if err := get(); !errors.As(err, &e) || e.Response.StatusCode != 502 {
		t.Errorf("bad gateway: %v", err)
	}
	ok(t, get())
	gh.Break("POST /repos/*/*/keys", githubtest.LoseReply(), githubtest.Times(1))
	k := gittest.NewKey(t, gittest.ED25519)
	if _, _, err := c.Repositories.CreateKey(ctx, "acme", "fleet",
		&github.Key{Key: github.String(k.AuthorizedKey())}); err == nil || errors.As(err, &e) {
		t.Errorf("lost reply: %v", err)
	}
	if len(repo.DeployKeys()) != 1 {
		t.Error("the lost request had no effect")
	}
	gh.Break("* /**", githubtest.CloseConnection(), githubtest.Times(1))
	if err := get(); err == nil {
		t.Error("no error from a closed connection")
	}
	gh.Break("GET /repos/**", githubtest.Truncate(), githubtest.Times(1))
	if err := get(); err == nil {
		t.Error("no error from half an answer")
	}
	off := gh.Break("GET /repos/**", githubtest.Latency(time.Minute))
	slow, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, _, err := c.Repositories.Get(slow, "acme", "fleet"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("latency: %v", err)
	}
	off()
	gh.Break("GET /repos/**", githubtest.RedirectTo(gh.RootAPIURL()+"repos/acme/none"), githubtest.Times(1))
	if err := get(); err == nil {
		t.Error("no error from where the redirect leads")
	}
	a := gh.Since(mark)
	if len(a.Mutations) != 1 || a.Mutations[0].String() != "POST /repos/acme/fleet/keys 0" ||
		a.Mutations[0].User != "alice" || a.Pushes != 0 {
		t.Errorf("activity %v", a)
	}
	gh.DelayVisibility(2)
	_, _, err := c.Repositories.Create(ctx, "acme", &github.Repository{Name: github.String("late")})
	ok(t, err)
	for range 2 {
		_, _, err = c.Repositories.Get(ctx, "acme", "late")
		refused(t, err, 404, "Not Found")
	}
	_, _, err = c.Repositories.Get(ctx, "acme", "late")
	ok(t, err)
}
