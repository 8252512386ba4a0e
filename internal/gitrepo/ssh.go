package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/net/proxy"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// sshTransport runs git's services over SSH (gitprotocol-pack(5)). One connection is made and kept for a
// short while, so that a push right after a fetch does not log in again.
type sshTransport struct {
	endpoint *endpoint
	url      *sshkeys.URL
	auth     SSHAuth
	dial     func(ctx context.Context, network, address string) (net.Conn, error)

	mu   sync.Mutex
	kept *sshConn
}

// keepFor is how long an unused connection is trusted to be alive.
const keepFor = 20 * time.Second

// answerTime is how long a kept connection may take to open a session before another connection is made.
const answerTime = 5 * time.Second

func newSSHTransport(e *endpoint, r Remote, u *sshkeys.URL, auth SSHAuth) *sshTransport {
	t := &sshTransport{endpoint: e, url: u, auth: auth, dial: r.DialContext}
	if t.dial == nil {
		t.dial = proxy.Dial
	}
	return t
}

// sshConn is a connection that is logged in.
type sshConn struct {
	*ssh.Client
	wire *wire
	idle time.Time
}

// wire is a connection on which a silent peer is an error, and which remembers its first error: x/crypto/ssh
// shows only an end of file for it.
type wire struct {
	net.Conn
	silence time.Duration

	mu       sync.Mutex
	err      error
	deadline time.Time // a limit for the moment, zero for none
}

func (w *wire) Read(p []byte) (int, error) {
	w.SetReadDeadline(w.limit()) // a closed connection shows in Read
	n, err := w.Conn.Read(p)
	w.failed(err)
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	limit := w.limit()
	w.SetDeadline(limit) // a closed connection shows in Write
	n, err := w.Conn.Write(p)
	w.failed(err)
	return n, err
}

func (w *wire) limit() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	limit := time.Now().Add(w.silence)
	if !w.deadline.IsZero() && w.deadline.Before(limit) {
		return w.deadline
	}
	return limit
}

// within bounds everything until it is called with zero again.
func (w *wire) within(d time.Duration) {
	w.mu.Lock()
	w.deadline = time.Time{}
	if d > 0 {
		w.deadline = time.Now().Add(d)
	}
	w.mu.Unlock()
	w.SetDeadline(w.limit()) // a closed connection shows in Read
}

func (w *wire) failed(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *wire) firstError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (t *sshTransport) close() {
	t.mu.Lock()
	kept := t.kept
	t.kept = nil
	t.mu.Unlock()
	if kept != nil {
		kept.Close()
	}
}

func (t *sshTransport) takeKept() *sshConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.kept
	t.kept = nil
	if kept != nil && time.Since(kept.idle) > keepFor {
		kept.Close()
		return nil
	}
	return kept
}

func (t *sshTransport) keep(c *sshConn) {
	c.idle = time.Now()
	t.mu.Lock()
	other := t.kept
	t.kept = c
	t.mu.Unlock()
	if other != nil {
		other.Close()
	}
}

func (t *sshTransport) open(ctx context.Context, svc service) (session, error) {
	t.endpoint.stats.sessions.Add(1)
	if conn := t.takeKept(); conn != nil {
		conn.wire.within(answerTime)
		if s, err := t.start(ctx, conn, svc); err == nil {
			conn.wire.within(0)
			return s, nil
		}
		// The server allows one session for each connection, or the connection is dead.
		conn.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	s, err := t.start(ctx, conn, svc)
	if err != nil {
		conn.Close()
		return nil, t.endpoint.networkError("opening a session", err)
	}
	return s, nil
}

// connect dials, checks the host key and logs in.
func (t *sshTransport) connect(ctx context.Context) (*sshConn, error) {
	e := t.endpoint
	address := t.url.Address()
	dialCtx, cancel := context.WithTimeout(ctx, e.limits.Connect)
	defer cancel()
	raw, err := t.dial(dialCtx, "tcp", address)
	if err != nil {
		return nil, e.networkError("connecting", err)
	}
	e.stats.connections.Add(1)
	w := &wire{Conn: raw, silence: e.limits.Idle}
	w.within(e.limits.Connect)
	// The identities may wait for an agent, and the agent for a touch; the caller's context ends that too.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	identities, err := t.auth.Identities.Open(ctx)
	if err != nil {
		raw.Close()
		return nil, err
	}
	defer identities.Close()
	var refused error
	config := &ssh.ClientConfig{
		User:          t.url.User,
		ClientVersion: "SSH-2.0-" + strings.NewReplacer("/", "_", "-", "_").Replace(e.agent),
		Auth:          []ssh.AuthMethod{ssh.PublicKeys(identities.Signers...)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			refused = t.auth.KnownHosts.Check(address, key)
			if refused == nil {
				if certificate, ok := key.(*ssh.Certificate); ok {
					key = certificate.Key
				}
				line := sshkeys.AuthorizedKey(key)
				e.hostKey.Store(&line)
			}
			return refused
		},
		HostKeyAlgorithms: t.auth.KnownHosts.HostKeyAlgorithms(address),
	}
	conn, channels, requests, err := ssh.NewClientConn(w, address, config)
	if err != nil {
		raw.Close()
		return nil, t.handshakeError(err, refused, w, identities)
	}
	w.within(0)
	return &sshConn{Client: ssh.NewClient(conn, channels, requests), wire: w}, nil
}

func (t *sshTransport) handshakeError(err, refused error, w *wire, ids *sshkeys.Opened) error {
	e := t.endpoint
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case refused != nil:
		return refused
	case errors.As(err, &negotiation):
		return &git.ProtocolError{Remote: e.name, Reason: fmt.Sprintf(
			"the SSH server and this program have no algorithm in common for %s: the server offers %s",
			cleanLine(negotiation.What), e.oneLine(strings.Join(negotiation.RequestedAlgorithms, ", ")))}
	case strings.Contains(err.Error(), "unable to authenticate"),
		strings.Contains(err.Error(), "too many authentication failures"),
		strings.Contains(err.Error(), "Too many authentication failures"):
		// x/crypto/ssh has no type for this.
		failed := &git.AuthError{Remote: e.name, Tried: ids.Names, Skipped: ids.Skipped}
		if ids.AgentProblem != nil {
			failed.Skipped = append(failed.Skipped, ids.AgentProblem.Error())
		}
		return failed
	case w.firstError() != nil:
		return e.networkError("the SSH handshake", w.firstError())
	case strings.Contains(err.Error(), "overflow reading version string"),
		strings.Contains(err.Error(), "invalid packet length"), strings.Contains(err.Error(), "unexpected"):
		return &git.ProtocolError{Remote: e.name,
			Reason: "what answers is not an SSH server: " + e.oneLine(err.Error())}
	}
	return e.networkError("the SSH handshake", err)
}

// sshSession is one command on a connection.
type sshSession struct {
	t      *sshTransport
	svc    service
	conn   *sshConn
	ssh    *ssh.Session
	stdin  io.WriteCloser
	stdout io.Reader
	stderr *bounded
	stop   func() bool
	ended  chan error        // receives what Wait returns
	aside  func(work func()) // runs it in a goroutine that nobody waits for

	exchanged bool
	broken    bool
}

// bounded keeps the first bytes written to it.
type bounded struct {
	mu   sync.Mutex
	text []byte
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p[:min(len(p), maxServerText-len(b.text))]...)
	return len(p), nil
}

func (b *bounded) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

func (t *sshTransport) start(ctx context.Context, conn *sshConn, svc service) (*sshSession, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	s := &sshSession{t: t, svc: svc, conn: conn, stderr: &bounded{}, stop: stop, ended: make(chan error, 1)}
	s.aside = func(work func()) { crash.Loose(ctx, work) }
	fail := func(err error) (*sshSession, error) {
		stop()
		if first := conn.wire.firstError(); first != nil {
			err = first
		}
		return nil, err
	}
	var err error
	if s.ssh, err = conn.NewSession(); err != nil {
		return fail(err)
	}
	s.ssh.Stderr = s.stderr
	if s.stdin, err = s.ssh.StdinPipe(); err != nil {
		return fail(err)
	}
	out, err := s.ssh.StdoutPipe()
	if err != nil {
		return fail(err)
	}
	s.stdout = &metered{r: out, stats: t.endpoint.stats}
	if err := s.ssh.Start(string(svc) + " " + shellQuote(t.url.Path)); err != nil {
		return fail(err)
	}
	s.aside(func() { s.ended <- s.ssh.Wait() })
	return s, nil
}

// shellQuote quotes as git does: the command is read by a shell, or by a server that reads it as one would.
func shellQuote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

func (s *sshSession) refs() io.Reader { return s.stdout }

func (s *sshSession) exchange(_ context.Context, request []byte) (io.Reader, error) {
	s.exchanged = true
	// The server may refuse before it has read everything: what it says is read meanwhile, and a failed write
	// shows as an end of it.
	s.aside(func() {
		defer s.stdin.Close()
		n, _ := s.stdin.Write(request)
		s.t.endpoint.stats.sent.Add(int64(n))
	})
	return s.stdout, nil
}

// explainTime is how long the end of a command is waited for when its output has ended already.
const explainTime = 2 * time.Second

func (s *sshSession) explain(err error) error {
	e := s.t.endpoint
	s.broken = true
	timer := time.NewTimer(explainTime)
	defer timer.Stop()
	var exit error
	select {
	case exit = <-s.ended:
		s.ended <- exit
	case <-timer.C:
	}
	if first := s.conn.wire.firstError(); first != nil && s.stderr.String() == "" {
		return e.networkError("talking to the server", first)
	}
	var status *ssh.ExitError
	if text := s.stderr.String(); text != "" || errors.As(exit, &status) {
		return e.refusal(s.svc, text)
	}
	if err == nil {
		err = io.EOF
	}
	return e.networkError("talking to the server", err)
}

func (s *sshSession) close() {
	if !s.exchanged && !s.broken {
		// A flush packet says that nothing is wanted. The writer must not wait for a server that does not
		// read.
		s.aside(func() {
			io.WriteString(s.stdin, "0000") // the server may be gone
			s.stdin.Close()
		})
	}
	if !s.broken && s.conn.wire.firstError() == nil {
		timer := time.NewTimer(explainTime)
		defer timer.Stop()
		select {
		case <-s.ended:
			s.ssh.Close() // it is closed by the server
			if s.stop() {
				s.t.keep(s.conn)
				return
			}
		case <-timer.C:
		}
	}
	s.stop()
	s.conn.Close()
}
