package githubtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// defaultLimit is how many requests an hour a token has.
const defaultLimit = 5000

// TB is what the package needs of a *testing.T or *testing.B.
type TB interface {
	gittest.TB
	Errorf(format string, args ...any)
}

// Options change a server's defaults; the zero value is a complete set.
type Options struct {
	// Dir is where repositories are kept. When empty, a temporary directory that Close removes.
	Dir string
	// Now is the server's clock, for the expiry of tokens and rate limits. When nil, time.Now.
	Now func() time.Time
}

// Server is a GitHub. All methods may be called at the same time. Set-up methods fail the test (after Start)
// or panic (after New) when they are misused, for example by naming a user who does not exist.
type Server struct {
	git    *gittest.Server
	now    func() time.Time
	routes []route

	mu sync.Mutex // guards everything below; held while a request is handled
	content
	budgets    map[string]*budget // by token value, "" for anonymous requests
	rate       rateSettings
	createLag  Lag
	lifetimes  map[bool]map[string]lifetime // of API versions: of enterprise servers or not, by version
	faults     []*apiFault
	requests   []Request
	violations []Violation
	mistakes   []Violation    // in answers
	excused    []undocumented // which exceptions were needed
}

// Start returns a running server. When the test ends it is closed, after [Server.Verify] has failed the test
// for requests that GitHub would not understand.
func Start(tb TB) *Server {
	tb.Helper()
	s, err := New(context.WithoutCancel(tb.Context()), Options{})
	if err != nil {
		tb.Fatalf("starting github: %v", err)
		return nil
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("closing github: %v", err)
		}
	})
	s.Lend(tb)
	return s
}

// Lend makes a server of New one test's until its end: misuse fails that test, and so does what
// [Server.Verify] finds in the end.
func (s *Server) Lend(tb TB) {
	tb.Helper()
	s.git.FailWith(func(err error) {
		tb.Helper()
		tb.Fatalf("github: %v", err)
	})
	tb.Cleanup(func() {
		s.Verify(tb)
		s.git.FailWith(func(err error) { panic(err) })
	})
}

// New returns a running server. It lives until Close or until ctx is done, whichever is first; Close must be
// called in both cases.
func New(ctx context.Context, opts Options) (*Server, error) {
	s := &Server{
		now: opts.Now,
		content: content{accounts: map[string]*account{}, tokens: map[string]*token{},
			repos: map[string]*Repo{}, renamed: map[string]*Repo{}},
		budgets: map[string]*budget{},
		rate:    rateSettings{limit: defaultLimit},

		createLag: usualLag,
		lifetimes: usualLifetimes(),
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.routes = s.allRoutes()
	git, err := gittest.New(ctx, gittest.Options{Dir: opts.Dir, Authorizer: authorizer{s},
		Fallback: http.HandlerFunc(s.serveAPI), SSHUser: "git"})
	if err != nil {
		return nil, fmt.Errorf("starting github: %w", err)
	}
	s.git = git
	return s, nil
}

// Close stops the server and all of its processes and removes what New made. It may be called more than once.
func (s *Server) Close() error { return s.git.Close() }

// Handler is the REST API, without Git, both at the root and under /api/v3: for a test that wants to serve it
// itself.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveAPI) }

func (s *Server) origin() string { return "https://" + s.git.HTTPSAddr() }

// APIURL is the base URL of the API of an enterprise server, with a final slash.
func (s *Server) APIURL() string { return s.origin() + enterprisePrefix + "/" }

// RootAPIURL is the base URL of github.com's API over the same content, with a final slash. The two differ:
// an enterprise server has no plans, announces no host keys and no end of its API's version, and knows that
// one version only.
func (s *Server) RootAPIURL() string { return s.origin() + "/" }

// GitURL is the base URL of Git over HTTPS, with a final slash.
func (s *Server) GitURL() string { return s.origin() + "/" }

// SSHURL is the base URL of Git over SSH, with a final slash.
func (s *Server) SSHURL() string { return "ssh://git@" + s.git.SSHAddr() + "/" }

// CAPEM is the certificate authority that a client must trust, in PEM.
func (s *Server) CAPEM() []byte { return s.git.CAPEM() }

// CAFile is the path of a file that holds CAPEM.
func (s *Server) CAFile() string { return s.git.CAFile() }

// KnownHosts are the SSH server's host keys as lines of a known_hosts file, in the form "[127.0.0.1]:PORT
// ALGORITHM KEY".
func (s *Server) KnownHosts() string { return s.git.KnownHosts() }

// KnownHostsFile writes KnownHosts to a file and returns its path.
func (s *Server) KnownHostsFile() string { return s.git.KnownHostsFile() }

// ChangeHostKeys gives the SSH server new host keys. GET /meta lists them at once.
func (s *Server) ChangeHostKeys() { s.git.ChangeHostKeys() }

// HTTPClient returns a client that trusts the server. It sends no credentials.
func (s *Server) HTTPClient() *http.Client { return s.git.HTTPClient() }

// InjectGit switches a fault in Git traffic on until the returned function is called.
func (s *Server) InjectGit(f gittest.Fault) (off func()) { return s.git.Inject(f) }

// Around puts a handler around the API and Git over HTTPS. See [gittest.Server.Around].
func (s *Server) Around(wrap func(next http.Handler) http.Handler) { s.git.Around(wrap) }

// Credential is what a plain git client shows; see [WithToken] and [WithKey].
type Credential func(*gittest.Credentials)

// WithToken makes a git client use a token over HTTPS.
func WithToken(token string) Credential {
	return func(c *gittest.Credentials) { c.Username, c.Password = "x-access-token", token }
}

// WithKey makes a git client use a key over SSH.
func WithKey(key *gittest.Key) Credential {
	return func(c *gittest.Credentials) { c.Key = key }
}

// GitClient returns a plain git command that trusts the server.
func (s *Server) GitClient(credentials ...Credential) *gittest.Client {
	var c gittest.Credentials
	for _, set := range credentials {
		set(&c)
	}
	return s.git.Client(c)
}

// misuse reports a mistake in a test's set-up.
func (s *Server) misuse(format string, args ...any) { s.git.Fail(fmt.Errorf(format, args...)) }

func (s *Server) id() int64 {
	s.nextID++
	return s.nextID
}

func key(name string) string { return strings.ToLower(name) }
