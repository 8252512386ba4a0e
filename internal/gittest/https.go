package gittest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// gitRequest is an HTTP request of git's smart protocol.
type gitRequest struct {
	repo    string
	service Service
	listing bool // GET info/refs, which opens a session
	action  string
}

// parseGitRequest recognises the three requests of the smart protocol; any other is not Git's.
func parseGitRequest(r *http.Request) (gitRequest, bool) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	g := gitRequest{}
	switch {
	case strings.HasSuffix(path, "/info/refs") && r.Method == http.MethodGet:
		g.action, g.listing = "info/refs", true
		switch r.URL.Query().Get("service") {
		case "git-upload-pack":
			g.service = Fetch
		case "git-receive-pack":
			g.service = Push
		default:
			return g, false
		}
	case strings.HasSuffix(path, "/git-upload-pack") && r.Method == http.MethodPost:
		g.action, g.service = "git-upload-pack", Fetch
	case strings.HasSuffix(path, "/git-receive-pack") && r.Method == http.MethodPost:
		g.action, g.service = "git-receive-pack", Push
	default:
		return g, false
	}
	g.repo = strings.TrimSuffix(strings.TrimSuffix(path, "/"+g.action), ".git")
	return g, checkRepoName(g.repo) == nil
}

// Around puts a handler around all HTTPS requests from now on, Git's and others: for a test that holds,
// counts or loses them. It has to end when the test does, since Close waits for requests that were passed on.
// nil takes it away.
func (s *Server) Around(wrap func(next http.Handler) http.Handler) {
	if wrap == nil {
		s.around.Store(nil)
		return
	}
	handler := wrap(http.HandlerFunc(s.serveInner))
	s.around.Store(&handler)
}

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if around := s.around.Load(); around != nil {
		(*around).ServeHTTP(w, r)
		return
	}
	s.serveInner(w, r)
}

func (s *Server) serveInner(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.sessions.Done()
	g, ok := parseGitRequest(r)
	if !ok {
		s.fallback.ServeHTTP(w, r)
		return
	}
	s.serveGit(w, r, g)
}

func (s *Server) serveGit(w http.ResponseWriter, r *http.Request, g gitRequest) {
	access := Access{Repo: g.repo, Write: g.service == Push}
	access.Username, access.Password, _ = r.BasicAuth()
	verdict := s.authorizer.Authorize(access)
	if access.Password != "" {
		rejected := s.faults.take(func(f Fault) bool {
			return f.Kind == RejectAuth && f.matches(g.service, g.repo)
		})
		if rejected != nil {
			verdict = Verdict{Outcome: Unauthenticated}
		}
	}
	if verdict.Outcome != Allow {
		deny(w, verdict, access)
		return
	}
	if verdict.Repo != "" && !strings.EqualFold(verdict.Repo, g.repo) && g.listing {
		http.Redirect(w, r, "/"+verdict.Repo+".git/info/refs?"+r.URL.RawQuery, http.StatusMovedPermanently)
		return
	}
	if verdict.Repo != "" {
		g.repo = verdict.Repo
	}
	repo := s.Repo(g.repo)
	if repo == nil {
		deny(w, Verdict{Outcome: NotFound}, access)
		return
	}
	if g.listing {
		repo.count(func(c *Counts) { c.Sessions++ })
	}
	s.exchange(w, r, g, repo, verdict)
}

// deny answers a request that is not allowed. Git shows the text after "remote: ".
func deny(w http.ResponseWriter, v Verdict, a Access) {
	status := http.StatusNotFound
	switch v.Outcome {
	case Unauthenticated:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
	case Forbidden:
		status = http.StatusForbidden
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	io.WriteString(w, v.message(a)+"\n") // the client may be gone
}

// exchange answers one allowed request, through the faults that are switched on.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, g gitRequest, repo *Repo, v Verdict) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	body := bufio.NewReader(r.Body)
	// The reference list of protocol 2 is asked for in a request of its own, which is not the transfer that
	// faults are meant for.
	listing := g.listing || isListing(body)
	fault := s.faults.take(func(f Fault) bool {
		return f.Kind != RejectAuth && f.Listing == listing && f.matches(g.service, g.repo)
	})
	switch {
	case fault.is(Hang):
		// Without reading the body, the server does not notice that the client has gone.
		go io.Copy(io.Discard, body) // ends with the connection
		wait(ctx, fault.off, 0)
		panic(http.ErrAbortHandler)
	case fault.is(Delay):
		wait(ctx, fault.off, fault.Delay)
	case fault.is(Garbage):
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, fault.Text) // the client may be gone
		return
	}
	m := &meter{repo: repo, service: g.service, http: true}
	var dropped atomic.Bool
	drop := func() { dropped.Store(true); cancel() }
	maxReceived, maxSent := fault.limits(g.service)
	in := &source{from: body, meter: m, limit: maxReceived, drop: drop}
	out := &sink{to: w, meter: m, limit: maxSent, drop: drop}
	if fault.is(LoseReply) {
		out.mute = func() bool { return true }
	}
	err := s.httpBackend(ctx, w, r, g, repo, v, fault, in, out)
	if dropped.Load() && maxSent >= 0 {
		// What was sent so far has to arrive.
		http.NewResponseController(w).Flush() // the client may be gone
		panic(http.ErrAbortHandler)
	}
	if dropped.Load() || fault.is(LoseReply) {
		Abort(w)
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// isListing recognises the ls-refs command of protocol 2, which is the first pkt-line of a request of its
// own.
func isListing(body *bufio.Reader) bool {
	const command = "0014command=ls-refs"
	start, err := body.Peek(len(command))
	return err == nil && string(start) == command
}

// wait returns when ctx is done, the fault is switched off or the time is over; zero is no limit of time.
func wait(ctx context.Context, off <-chan struct{}, limit time.Duration) {
	var over <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-off:
	case <-over:
	}
}

// httpBackend runs git-http-backend(1) for one request, as a web server runs a CGI program. It is not left to
// net/http/cgi because that neither takes bodies of unknown length, which git sends for large packs, nor ends
// the program with the request.
func (s *Server) httpBackend(ctx context.Context, w http.ResponseWriter, r *http.Request, g gitRequest,
	repo *Repo, v Verdict, fault *armedFault, in io.Reader, out io.Writer) error {
	dir := repo.Dir()
	faulty, err := s.pushEnv(fault)
	if err != nil {
		return err
	}
	env := isolatedEnv(filepath.Join(s.dir, "home"),
		"GIT_PROJECT_ROOT="+filepath.Dir(dir),
		"GIT_HTTP_EXPORT_ALL=1",
		"PATH_INFO=/"+filepath.Base(dir)+"/"+g.action,
		"REQUEST_METHOD="+r.Method,
		"QUERY_STRING="+r.URL.RawQuery,
		"CONTENT_TYPE="+r.Header.Get("Content-Type"),
		"HTTP_CONTENT_ENCODING="+r.Header.Get("Content-Encoding"),
		"GIT_PROTOCOL="+r.Header.Get("Git-Protocol"),
		"REMOTE_USER="+v.Login,
		"REMOTE_ADDR=127.0.0.1",
	)
	if r.ContentLength > 0 {
		env = append(env, "CONTENT_LENGTH="+strconv.FormatInt(r.ContentLength, 10))
	}
	cmd := gitCommand(ctx, s.dir, slices.Concat(env, v.Env, faulty), "http-backend")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		io.Copy(stdin, in) // the program may end before it has read everything
		stdin.Close()
	}()
	err = copyCGI(w, out, stdout, reportFor(v, fault))
	return errors.Join(err, cmd.Wait())
}

// copyCGI turns what a CGI program writes into a response (RFC 3875, section 6).
func copyCGI(w http.ResponseWriter, out io.Writer, stdout io.Reader, changed *report) error {
	buffered := bufio.NewReaderSize(stdout, 64<<10)
	header, err := textproto.NewReader(buffered).ReadMIMEHeader()
	if err != nil {
		return err
	}
	status := http.StatusOK
	for name, values := range header {
		if name == "Status" {
			code, _, _ := strings.Cut(values[0], " ")
			if status, err = strconv.Atoi(code); err != nil {
				return err
			}
			continue
		}
		w.Header()[name] = values
	}
	s, lost := out.(*sink)
	if !lost || s.mute == nil {
		w.WriteHeader(status)
	}
	if changed != nil && strings.HasSuffix(w.Header().Get("Content-Type"), "receive-pack-result") {
		out = &reportWriter{report: *changed, to: out}
	}
	_, err = io.Copy(out, buffered)
	return err
}
