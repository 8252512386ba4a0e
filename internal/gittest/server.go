package gittest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// TB is what the package needs of a *testing.T, *testing.B or *testing.F.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Options change a server's defaults; the zero value is a complete set.
type Options struct {
	// Dir is where repositories and keys are kept. When empty, a temporary directory that Close removes.
	Dir string
	// Authorizer decides about every session. When nil, the server's own [Accounts] do.
	Authorizer Authorizer
	// Fallback answers HTTPS requests that are not Git's. When nil they are answered with 404.
	Fallback http.Handler
	// SSHUser is the only user name accepted over SSH, such as "git" on GitHub. When empty, any is.
	SSHUser string
}

// Server serves the repositories of one directory over HTTPS and SSH. All methods may be called at the same
// time.
type Server struct {
	dir     string
	ownsDir bool
	fail    func(error)

	authorizer Authorizer
	accounts   *Accounts
	fallback   http.Handler
	sshUser    string
	ca         *ca

	ctx    context.Context // the life of the server, which bounds its sessions' processes
	cancel context.CancelFunc
	closed sync.Once

	https    *http.Server
	httpsLn  net.Listener
	sshLn    net.Listener
	sessions sync.WaitGroup

	faults faults
	around atomic.Pointer[http.Handler]

	mu       sync.Mutex
	closing  bool
	repos    map[string]*Repo // by lower-case name
	hostKeys []ssh.Signer
	conns    map[net.Conn]struct{} // SSH connections, in process and OpenSSH
	closers  []func() error        // OpenSSH servers
}

// Start returns a running server that is closed when the test ends. It fails the test when the server cannot
// be started.
func Start(tb TB, opts ...Options) *Server {
	tb.Helper()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	s, err := New(context.WithoutCancel(tb.Context()), o)
	if err != nil {
		tb.Fatalf("starting the git server: %v", err)
		return nil
	}
	s.FailWith(func(err error) {
		tb.Helper()
		tb.Fatalf("git server: %v", err)
	})
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Fatalf("closing the git server: %v", err)
		}
	})
	return s
}

// New returns a running server. It lives until Close or until ctx is done, whichever is first; Close must be
// called in both cases.
func New(ctx context.Context, opts Options) (*Server, error) {
	s := &Server{
		dir:        opts.Dir,
		fail:       func(err error) { panic(err) },
		authorizer: opts.Authorizer,
		accounts:   newAccounts(),
		fallback:   opts.Fallback,
		sshUser:    opts.SSHUser,
		repos:      map[string]*Repo{},
		conns:      map[net.Conn]struct{}{},
	}
	if s.authorizer == nil {
		s.authorizer = s.accounts
	}
	if s.fallback == nil {
		s.fallback = http.NotFoundHandler()
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting git servers: %w", err), s.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "gittest-")
		if err != nil {
			return err
		}
		s.dir, s.ownsDir = dir, true
	}
	for _, d := range []string{"home", "repos", "keys"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o700); err != nil {
			return err
		}
	}
	var err error
	if s.ca, err = newCA(); err != nil {
		return err
	}
	if err := os.WriteFile(s.CAFile(), s.ca.pem, 0o644); err != nil {
		return err
	}
	cert, err := s.ca.issue("localhost", "127.0.0.1", "::1")
	if err != nil {
		return err
	}
	shared, err := sharedRSAHostKey()
	if err != nil {
		return err
	}
	if s.hostKeys, err = newHostKeys(shared); err != nil {
		return err
	}
	var lc net.ListenConfig
	if s.httpsLn, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	if s.sshLn, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	s.https = &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		// Clients that do not trust the authority, or that a fault has cut off, are expected here.
		ErrorLog:  log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		// HTTP/2 is off so that dropping a connection drops exactly one request.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	go s.https.ServeTLS(s.httpsLn, "", "") // always http.ErrServerClosed
	go s.serveSSH(s.sshLn)
	return nil
}

// FailWith sets what happens when set-up or inspection fails. Start sets it to the test's Fatalf, New to a
// panic.
func (s *Server) FailWith(fail func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (s *Server) must(err error) bool {
	if err == nil {
		return true
	}
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	fail(err)
	return false
}

// Close stops listening, drops all connections, ends all git processes and removes the directory that New
// made. It may be called more than once.
func (s *Server) Close() error {
	var err error
	s.closed.Do(func() {
		s.mu.Lock()
		s.closing = true
		conns := s.conns
		s.conns = map[net.Conn]struct{}{}
		closers := s.closers
		s.mu.Unlock()
		s.cancel()
		if s.https != nil {
			s.https.Close()
		}
		if s.httpsLn != nil {
			s.httpsLn.Close() // closed already when the server ran
		}
		if s.sshLn != nil {
			s.sshLn.Close()
		}
		for c := range conns {
			c.Close()
		}
		for _, c := range closers {
			err = errors.Join(err, c())
		}
		s.sessions.Wait()
		if s.ownsDir {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	})
	return err
}

// enter registers a session that Close waits for. It returns false when the server is closing.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.sessions.Add(1)
	return true
}

// track keeps a connection so that Close can drop it. The returned function forgets and closes it.
func (s *Server) track(c net.Conn) (untrack func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, false
	}
	s.conns[c] = struct{}{}
	s.sessions.Add(1)
	return func() {
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		s.sessions.Done()
	}, true
}

// Accounts are the tokens and keys that the server accepts when no Authorizer was given.
func (s *Server) Accounts() *Accounts { return s.accounts }

// Inject switches a fault on until the returned function is called. Faults injected first strike first.
func (s *Server) Inject(f Fault) (off func()) { return s.faults.add(f) }

// Faulty says whether a fault is switched on, whether it has struck or not.
func (s *Server) Faulty() bool { return s.faults.any() }

// HTTPSAddr is the host:port of the HTTPS listener.
func (s *Server) HTTPSAddr() string { return s.httpsLn.Addr().String() }

// SSHAddr is the host:port of the SSH listener.
func (s *Server) SSHAddr() string { return s.sshLn.Addr().String() }

// HTTPSURL is the URL under which the repository is served over HTTPS. The repository need not exist.
func (s *Server) HTTPSURL(repo string) string {
	return "https://" + s.HTTPSAddr() + "/" + repo + ".git"
}

// SSHURL is the URL under which the repository is served over SSH. The repository need not exist.
func (s *Server) SSHURL(repo string) string {
	user := s.sshUser
	if user == "" {
		user = "git"
	}
	return "ssh://" + user + "@" + s.SSHAddr() + "/" + repo + ".git"
}

// CAPEM is the certificate of the authority that signed the HTTPS listener's certificate, in PEM.
func (s *Server) CAPEM() []byte { return append([]byte(nil), s.ca.pem...) }

// CAFile is the path of a file that holds CAPEM.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "ca.pem") }

// Dir is the directory that holds everything of this server.
func (s *Server) Dir() string { return s.dir }

// HTTPClient returns a new client that trusts the server's authority only and shares no connections with
// others.
func (s *Server) HTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.pool(),
		MinVersion: tls.VersionTLS12}}}
}

// A name is one or more segments of letters, digits, '-', '_' and '.', as on GitHub. A segment of dots only
// is refused apart.
var repoName = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)

func checkRepoName(name string) error {
	if !repoName.MatchString(name) || strings.HasSuffix(name, ".git") {
		return fmt.Errorf("%q is not a repository name", name)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if strings.Trim(segment, ".") == "" {
			return fmt.Errorf("%q is not a repository name", name)
		}
	}
	return nil
}

// AddRepo creates a repository, empty unless options say otherwise. The name has no .git suffix; it is unique
// regardless of case.
func (s *Server) AddRepo(name string, opts ...RepoOption) *Repo {
	r, err := s.CreateRepo(name, opts...)
	if !s.must(err) {
		return nil
	}
	return r
}

// CreateRepo is AddRepo for callers that want the error, for example because the name is taken.
func (s *Server) CreateRepo(name string, opts ...RepoOption) (*Repo, error) {
	if err := checkRepoName(name); err != nil {
		return nil, err
	}
	o := repoOptions{branch: "main"}
	for _, opt := range opts {
		opt(&o)
	}
	r := &Repo{server: s, name: name, dir: s.repoDir(name)}
	s.mu.Lock()
	if _, taken := s.repos[strings.ToLower(name)]; taken {
		s.mu.Unlock()
		return nil, fmt.Errorf("repository %s exists", name)
	}
	s.repos[strings.ToLower(name)] = r
	s.mu.Unlock()
	if err := r.init(s.ctx, o); err != nil {
		s.forget(name)
		return nil, fmt.Errorf("creating repository %s: %w", name, err)
	}
	return r, nil
}

func (s *Server) repoDir(name string) string {
	return filepath.Join(s.dir, "repos", filepath.FromSlash(name)+".git")
}

func (s *Server) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.repos, strings.ToLower(name))
}

// Repo returns the repository of that name, regardless of case, and nil when there is none.
func (s *Server) Repo(name string) *Repo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repos[strings.ToLower(name)]
}

// Repos returns all repositories in the order of their names.
func (s *Server) Repos() []*Repo {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Repo, 0, len(s.repos))
	for _, r := range s.repos {
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// RenameRepo moves a repository to another name. The old name is free afterwards.
func (s *Server) RenameRepo(from, to string) {
	s.must(s.renameRepo(from, to))
}

func (s *Server) renameRepo(from, to string) error {
	if err := checkRepoName(to); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.repos[strings.ToLower(from)]
	if !ok {
		return fmt.Errorf("renaming %s: no such repository", from)
	}
	if _, taken := s.repos[strings.ToLower(to)]; taken {
		return fmt.Errorf("renaming %s: repository %s exists", from, to)
	}
	dir := s.repoDir(to)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.Rename(r.dir, dir); err != nil {
		return err
	}
	r.name, r.dir = to, dir
	delete(s.repos, strings.ToLower(from))
	s.repos[strings.ToLower(to)] = r
	return nil
}

// RemoveRepo deletes a repository. Removing one that does not exist does nothing.
func (s *Server) RemoveRepo(name string) {
	if r := s.Repo(name); r != nil {
		s.forget(name)
		s.must(os.RemoveAll(r.Dir()))
	}
}

// Fail reports an error as set-up and inspection do: see [Server.FailWith].
func (s *Server) Fail(err error) { s.must(err) }
