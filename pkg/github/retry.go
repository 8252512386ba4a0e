package github

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	gh "github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
)

// RetryPolicy bounds how often and how long a request is tried again. Zero fields have the defaults named.
type RetryPolicy struct {
	Attempts int // tries in all; default 6, which is about 15 seconds of waiting
	// FirstWait is the bound of the first wait; it doubles with every try up to MaxWait, and half of it is
	// random. Defaults: 500 ms, 10 s.
	FirstWait, MaxWait time.Duration
	// RateLimitWait is the longest that one request waits, in all, under a context without a deadline;
	// default 15 min, which only rate limits reach. With a deadline, that counts.
	RateLimitWait time.Duration
	// RequestTimeout bounds one try; default 30 s.
	RequestTimeout time.Duration
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.Attempts <= 0 {
		p.Attempts = 6
	}
	if p.FirstWait <= 0 {
		p.FirstWait = 500 * time.Millisecond
	}
	if p.MaxWait <= 0 {
		p.MaxWait = 10 * time.Second
	}
	if p.RateLimitWait <= 0 {
		p.RateLimitWait = 15 * time.Minute
	}
	if p.RequestTimeout <= 0 {
		p.RequestTimeout = 30 * time.Second
	}
	return p
}

// backOff is a random time up to a bound that doubles with every try, and at least half of that bound.
func (p RetryPolicy) backOff(try int) time.Duration {
	bound := p.MaxWait
	if shift := try - 1; shift < 30 && p.FirstWait<<shift < bound {
		bound = p.FirstWait << shift
	}
	return bound/2 + rand.N(bound/2+1) // spreading out needs no secrecy
}

// RetryEvent tells that a request is going to be made again after a wait.
type RetryEvent struct {
	Op       string // what is attempted: "reading repository acme/fleet"
	Err      error  // why it has to be repeated
	Attempt  int    // the try that comes, from 2
	Attempts int    // how many there are at most
	Wait     time.Duration
}

// String says what is waited for, for people.
func (e RetryEvent) String() string {
	wait := e.Wait.Round(100 * time.Millisecond)
	if e.Wait >= 10*time.Second {
		wait = e.Wait.Round(time.Second)
	}
	return fmt.Sprintf("waiting %s for GitHub: %v; then try %d of %d", wait, e.Err, e.Attempt, e.Attempts)
}

// systemClock is the real clock.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error { return sleep.For(ctx, d) }

// operation is one request as the program means it.
type operation struct {
	name string // for messages: "reading repository acme/fleet"
	// once marks a request that must not be sent again unless it surely had no effect.
	once bool
	// needs is what the endpoint demands, for answers that do not say it.
	needs need
}

// need is what an endpoint demands of the three kinds of tokens, in GitHub's words.
type need struct {
	permission string // of fine-grained and installation tokens: "Administration: write"
	scope      string // of classic tokens: "repo"
	role       string // of the token's user: "the Admin role on acme/fleet"
}

func (n need) isZero() bool { return n == need{} }

// do sends a request until it succeeds, fails for good or has failed too often.
func (c *Client) do(ctx context.Context, op operation,
	send func(context.Context, *gh.Client) (*gh.Response, error)) error {
	var spent patience
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", op.name, context.Cause(ctx))
		}
		response, err := send(ctx, c.api())
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: no answer from GitHub yet: %w", op.name, context.Cause(ctx))
		}
		failure := c.classify(op, response, err)
		if !failure.transient || (op.once && !failure.noEffect) {
			return failure
		}
		if err := c.pause(ctx, op.name, failure, &spent); err != nil {
			return err
		}
	}
}

// patience is what has gone into one thing so far.
type patience struct {
	tries  int
	waited time.Duration
}

// pause waits before the next try. It returns failure when there is none.
func (c *Client) pause(ctx context.Context, op string, failure error, spent *patience) error {
	spent.tries++
	if spent.tries >= c.retry.Attempts {
		return failure
	}
	wait := c.retry.backOff(spent.tries)
	var e *Error
	if errors.As(failure, &e) && e.RetryAfter > 0 {
		// A little more than asked for, so that many waiting programs do not come back at one moment.
		wait = e.RetryAfter + wait/4
	}
	limit := c.retry.RateLimitWait - spent.waited
	if deadline, ok := ctx.Deadline(); ok {
		limit = deadline.Sub(c.clock.Now())
	}
	if wait > limit {
		return failure
	}
	spent.waited += wait
	c.tell(RetryEvent{Op: op, Err: failure, Attempt: spent.tries + 1, Attempts: c.retry.Attempts, Wait: wait})
	if err := c.clock.Sleep(ctx, wait); err != nil {
		return fmt.Errorf("%w; the wait for GitHub ended: %w", failure, err)
	}
	return nil
}

func (c *Client) tell(event RetryEvent) {
	if c.onRetry == nil {
		return
	}
	c.telling.Lock()
	defer c.telling.Unlock()
	c.onRetry(event)
}

// longestAdvice keeps a nonsensical header from becoming a nonsensical duration.
const longestAdvice = 24 * time.Hour

// advised is how long the server asks to wait, 0 when it does not: Retry-After, in seconds or as a date, else
// until X-RateLimit-Reset when nothing remains (GitHub's documentation, "Rate limits for the REST API").
func (c *Client) advised(header http.Header) time.Duration {
	now := c.clock.Now()
	if after := header.Get("Retry-After"); after != "" {
		if seconds, err := strconv.ParseUint(after, 10, 32); err == nil {
			return min(time.Duration(seconds)*time.Second, longestAdvice)
		}
		if at, err := http.ParseTime(after); err == nil {
			return min(max(at.Sub(now), 0), longestAdvice)
		}
	}
	if header.Get("X-RateLimit-Remaining") == "0" {
		if reset, err := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			// A second more, since the header has whole seconds.
			return min(max(time.Unix(reset, 0).Sub(now)+time.Second, time.Second), longestAdvice)
		}
	}
	return 0
}
