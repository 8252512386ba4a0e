package github_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// fakeClock goes on by what is slept, and remembers it.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
	// onSleep, when set, is called instead of returning at once.
	onSleep func(context.Context) error
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now, c.slept = c.now.Add(d), append(c.slept, d)
	c.mu.Unlock()
	if c.onSleep != nil {
		return c.onSleep(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (c *fakeClock) waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.slept)
}

// session is a client with what it did.
type session struct {
	*github.Client
	t      *testing.T
	gh     *githubtest.Server
	token  string
	clock  *fakeClock
	mu     sync.Mutex
	events []string
}

// world is alice, who owns acme, an organization on a paid plan, bob and carol, members of acme, and dave.
func world(t *testing.T) *githubtest.Server {
	t.Helper()
	gh := githubtest.Start(t)
	gh.AddUser("alice", "bob", "carol", "dave")
	gh.AddOrg("acme", githubtest.OrgOwner("alice"), githubtest.OrgMember("bob", "carol"),
		githubtest.OrgPlan(githubtest.PlanPaid))
	return gh
}

func connect(t *testing.T, gh *githubtest.Server, token string, change ...func(*github.Options)) *session {
	t.Helper()
	s := &session{t: t, gh: gh, token: token, clock: &fakeClock{now: time.Now()}}
	options := github.Options{
		APIURL: gh.RootAPIURL(), Token: secret.New(token), CAPEM: gh.CAPEM(), UserAgent: "eksa-gitops/test",
		Clock: s.clock,
		OnRetry: func(e github.RetryEvent) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e.String())
			s.clean(allText(e.Err))
		},
	}
	for _, f := range change {
		f(&options)
	}
	client, err := github.New(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Client = client
	t.Cleanup(func() { s.clean(strings.Join(s.heard(), "\n")) })
	return s
}

// owner is a session of alice with a classic token that may do everything here.
func owner(t *testing.T, gh *githubtest.Server) *session {
	t.Helper()
	return connect(t, gh, gh.AddClassicToken("alice", "repo"))
}

func (s *session) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// clean fails the test when a text holds the token or a control character.
func (s *session) clean(text string) {
	s.t.Helper()
	if strings.Contains(text, s.token) {
		s.t.Errorf("the token appears in %q", text)
	}
	if strings.ContainsAny(strings.ReplaceAll(text, "\n", ""), "\x00\x07\x1b\u202e") {
		s.t.Errorf("control characters appear in %q", text)
	}
}

// allText is whatever can be printed of an error.
func allText(err error) string {
	var b strings.Builder
	var walk func(error)
	walk = func(err error) {
		if err == nil {
			return
		}
		fmt.Fprintf(&b, "%s\n%+v\n%#v\n", err, err, err)
		b.WriteString(hint.Of(err).String() + "\n")
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			walk(u.Unwrap())
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				walk(e)
			}
		}
	}
	walk(err)
	return b.String()
}

var classes = []error{
	github.ErrAuthentication, github.ErrPermission, github.ErrSSO, github.ErrNotFound, github.ErrRateLimited,
	github.ErrUnavailable, github.ErrUntrusted, github.ErrPolicy, github.ErrConflict, github.ErrUnexpected,
}

// fails checks an error: its class and no other, its exact text and hint. In text and hint, * stands for
// anything.
func (s *session) fails(err error, class error, text, hint string) *github.Error {
	s.t.Helper()
	if err == nil {
		s.t.Fatalf("no error, want %v", class)
	}
	s.clean(allText(err))
	for _, other := range classes {
		if errors.Is(err, other) != (other == class) {
			s.t.Errorf("errors.Is(%q, %q) is %v", err, other, errors.Is(err, other))
		}
	}
	var e *github.Error
	if !errors.As(err, &e) {
		s.t.Fatalf("%T %v is no *github.Error", err, err)
	}
	if !matches(text, err.Error()) {
		s.t.Errorf("error\n got %q\nwant %q", err, text)
	}
	if !matches(hint, e.Hint().String()) {
		s.t.Errorf("hint\n got %q\nwant %q", e.Hint(), hint)
	}
	return e
}

func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		if !ok {
			return false
		}
		_, rest, ok = strings.Cut(rest, part)
	}
	return ok && strings.HasSuffix(rest, parts[len(parts)-1])
}

// mutations are the method and path of every write since a mark.
func (s *session) mutations(since githubtest.Mark) []string {
	var list []string
	for _, r := range s.gh.Since(since).Mutations {
		list = append(list, fmt.Sprintf("%s %s %d", r.Method, r.Path, r.Status))
	}
	return list
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s\n got %s\nwant %s", what, g, w)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// publicKey makes the same key for the same name.
func publicKey(t *testing.T, name string) string {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	public, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
	ok(t, err)
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

func fleet() github.RepoRef { return github.RepoRef{Owner: "acme", Name: "fleet"} }

func files() githubtest.RepoOption {
	return githubtest.Files(map[string]string{"README.md": "hi\n"})
}
