package gitrepo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/proxy"
	"github.com/eksa-gitops/eksa-gitops/internal/serverwords"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// httpsTransport speaks git's smart protocol over HTTPS (gitprotocol-http(5)). Its connections are kept
// between requests.
type httpsTransport struct {
	endpoint *endpoint
	client   *http.Client
	auth     TokenAuth

	mu   sync.Mutex
	base *url.URL // of the repository; another than the given one after a redirect on the same host
}

// maxRedirects is how often a server may send us on.
const maxRedirects = 5

func newHTTPSTransport(e *endpoint, r Remote, u *url.URL, auth TokenAuth) (*httpsTransport, error) {
	base := *u
	base.Path = strings.TrimRight(base.Path, "/")
	t := &httpsTransport{endpoint: e, base: &base, auth: auth}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(r.CAPEM) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(r.CAPEM) {
			return nil, errors.New("the certificate authority for the repository is not a PEM certificate")
		}
		config.RootCAs = pool
	}
	dial := r.DialContext
	viaProxy := http.ProxyFromEnvironment
	if dial == nil {
		dial = (&net.Dialer{Timeout: e.limits.Connect, KeepAlive: 15 * time.Second}).DialContext
	} else {
		viaProxy = nil
	}
	t.client = &http.Client{
		Transport: &http.Transport{
			Proxy:                  viaProxy,
			OnProxyConnectResponse: proxy.Answer,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				if err == nil {
					e.stats.connections.Add(1)
				}
				return conn, err
			},
			TLSClientConfig:       config,
			TLSHandshakeTimeout:   e.limits.Connect,
			ExpectContinueTimeout: time.Second,
			IdleConnTimeout:       30 * time.Second,
			MaxIdleConnsPerHost:   1,
			ForceAttemptHTTP2:     true,
		},
		// Redirects are followed by hand, on the same host only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t, nil
}

func (t *httpsTransport) close() { t.client.CloseIdleConnections() }

func (t *httpsTransport) repository() *url.URL {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.base
}

// httpsSession is a session of several requests. Each is bounded by a watchdog that ends it when the server
// is silent for too long.
type httpsSession struct {
	t       *httpsTransport
	svc     service
	list    io.Reader
	cancels []context.CancelCauseFunc
	bodies  []io.Closer
	dogs    []*time.Timer
}

// errSilent is the cause with which the watchdog ends a request.
var errSilent = errors.New("the server was silent for too long")

func (t *httpsTransport) open(ctx context.Context, svc service) (session, error) {
	t.endpoint.stats.sessions.Add(1)
	s := &httpsSession{t: t, svc: svc}
	target := t.repository()
	for range maxRedirects + 1 {
		u := *target
		u.Path += "/info/refs"
		u.RawQuery = "service=" + string(svc)
		resp, err := s.do(ctx, http.MethodGet, &u, nil)
		if err != nil {
			s.close()
			return nil, err
		}
		if location := resp.Header.Get("Location"); location != "" && resp.StatusCode >= 300 &&
			resp.StatusCode < 400 {
			if target, err = t.redirected(&u, location, svc); err != nil {
				s.close()
				return nil, err
			}
			continue
		}
		if err := s.check(resp, "advertisement"); err != nil {
			s.close()
			return nil, err
		}
		t.mu.Lock()
		t.base = target
		t.mu.Unlock()
		s.list = &metered{r: resp.Body, stats: t.endpoint.stats}
		return s, nil
	}
	s.close()
	return nil, &git.ProtocolError{Remote: t.endpoint.name, Reason: "the server redirects without end"}
}

// redirected returns the repository's new address, which must be on the same host and of the same scheme:
// nothing else may see the credentials.
func (t *httpsTransport) redirected(from *url.URL, location string, svc service) (*url.URL, error) {
	to, err := from.Parse(location)
	if err != nil {
		return nil,
			&git.ProtocolError{Remote: t.endpoint.name, Reason: "the server redirects to a malformed address"}
	}
	if to.Scheme != from.Scheme || !strings.EqualFold(to.Host, from.Host) {
		shown := url.URL{Scheme: to.Scheme, Host: to.Host, Path: strings.TrimSuffix(to.Path, "/info/refs")}
		return nil, &git.RedirectError{Remote: t.endpoint.name, Target: t.endpoint.oneLine(shown.String())}
	}
	path, ok := strings.CutSuffix(to.Path, "/info/refs")
	if !ok || to.Query().Get("service") != string(svc) {
		return nil, &git.ProtocolError{Remote: t.endpoint.name,
			Reason: "the server redirects to a page that is not a repository, such as a log-in page"}
	}
	return &url.URL{Scheme: to.Scheme, Host: to.Host, Path: path}, nil
}

// do sends one request. Its response's body is closed with the session.
func (s *httpsSession) do(ctx context.Context, method string, u *url.URL,
	body []byte) (*http.Response, error) {
	e := s.t.endpoint
	ctx, cancel := context.WithCancelCause(ctx)
	dog := time.AfterFunc(e.limits.Idle, func() { cancel(errSilent) })
	s.cancels, s.dogs = append(s.cancels, cancel), append(s.dogs, dog)
	var content io.Reader
	if body != nil {
		content = &fed{r: bytes.NewReader(body), dog: dog, idle: e.limits.Idle, stats: e.stats}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return nil, &git.ProtocolError{Remote: e.name, Reason: "the repository URL cannot be asked for"}
	}
	req.Header.Set("User-Agent", "git/"+e.agent)
	if body != nil {
		req.ContentLength = int64(len(body))
		req.Header.Set("Content-Type", "application/x-"+string(s.svc)+"-request")
		req.Header.Set("Accept", "application/x-"+string(s.svc)+"-result")
	}
	if !s.t.auth.Token.IsZero() {
		req.SetBasicAuth(s.t.auth.user(), s.t.auth.Token.Reveal())
	}
	resp, err := s.t.client.Do(req) // closed with the session
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL, which is in our error already
		}
		if errors.Is(context.Cause(ctx), errSilent) {
			err = errSilent
		}
		return nil, err
	}
	s.bodies = append(s.bodies, resp.Body)
	resp.Body = &watched{ReadCloser: resp.Body, ctx: ctx, dog: dog, idle: e.limits.Idle}
	return resp, nil
}

// fed tells the watchdog of every part of a request that goes out.
type fed struct {
	r     *bytes.Reader
	dog   *time.Timer
	idle  time.Duration
	stats *Stats
}

func (f *fed) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.dog.Reset(f.idle)
	f.stats.sent.Add(int64(n))
	return n, err
}

// watched tells the watchdog of every part of a response that comes in.
type watched struct {
	io.ReadCloser
	ctx  context.Context // of the request that the body belongs to
	dog  *time.Timer
	idle time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.dog.Reset(w.idle)
	if err != nil && errors.Is(context.Cause(w.ctx), errSilent) {
		err = errSilent
	}
	return n, err
}

// check turns a status that is not 200, and an answer that is not git's, into an error.
func (s *httpsSession) check(resp *http.Response, kind string) error {
	e := s.t.endpoint
	if resp.StatusCode != http.StatusOK {
		return s.statusError(resp)
	}
	want := "application/x-" + string(s.svc) + "-" + kind
	got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || got != want {
		shown := e.oneLine(resp.Header.Get("Content-Type"))
		if strings.HasPrefix(got, "text/html") {
			return &git.ProtocolError{Remote: e.name,
				Reason: "a web page (" + shown + ") came back where Git was asked for"}
		}
		return &git.ProtocolError{Remote: e.name,
			Reason: fmt.Sprintf("the answer is of type %q, not Git's", shown)}
	}
	return nil
}

// limited are the words of a 403 that is about the number of requests.
var limited = signs(`rate limit`, `abuse detection`)

func (s *httpsSession) statusError(resp *http.Response) error {
	e := s.t.endpoint
	text := ""
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil &&
		media == "text/plain" {
		// What cannot be read is not worth an error of its own.
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxServerText))
		text = e.clean(string(raw))
	}
	status := fmt.Sprintf("HTTP %d", resp.StatusCode)
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		return &git.AuthError{Remote: e.name, Server: text, Anonymous: s.t.auth.Token.IsZero()}
	case code == http.StatusForbidden && !limited.MatchString(strings.ToLower(text)):
		return &git.PermissionError{Remote: e.name, Write: s.svc == receivePack, Server: text}
	case code == http.StatusNotFound, code == http.StatusGone:
		return &git.NotFoundError{Remote: e.name, Server: text}
	case code == http.StatusProxyAuthRequired:
		return &git.UnreachableError{Remote: e.name, Reason: "the proxy asks for credentials",
			Permanent: true, Next: "put them into HTTPS_PROXY"}
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout,
		code == http.StatusTooEarly, code == http.StatusForbidden:
		return &git.UnreachableError{Remote: e.name,
			Reason:     "the server cannot answer now (" + status + ")" + serverwords.Said(text),
			RetryAfter: retryAfter(resp.Header)}
	case code >= 300 && code < 400:
		return &git.ProtocolError{Remote: e.name, Reason: "the server redirects a transfer (" + status + ")"}
	default:
		return &git.RejectedError{Remote: e.name, Reason: status, Server: text}
	}
}

// retryAfter reads the header in both of its forms (RFC 9110, section 10.2.3).
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if when, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(when))
	}
	return 0
}

func (s *httpsSession) refs() io.Reader { return s.list }

func (s *httpsSession) exchange(ctx context.Context, request []byte) (io.Reader, error) {
	// The connection is free for the next request once the list has been read to its end.
	io.Copy(io.Discard, io.LimitReader(s.list, 1<<10)) // otherwise another connection is made
	u := *s.t.repository()
	u.Path += "/" + string(s.svc)
	resp, err := s.do(ctx, http.MethodPost, &u, request)
	if err != nil {
		return nil, err
	}
	if err := s.check(resp, "result"); err != nil {
		return nil, err
	}
	return &metered{r: resp.Body, stats: s.t.endpoint.stats}, nil
}

func (s *httpsSession) explain(err error) error {
	e := s.t.endpoint
	switch {
	case errors.Is(err, errSilent):
		return &git.UnreachableError{Remote: e.name, Reason: "the server did not answer in time"}
	case err == nil:
		return &git.UnreachableError{Remote: e.name, Reason: "the server ended the session without an answer"}
	}
	return e.networkError("talking to the server", err)
}

func (s *httpsSession) close() {
	for _, dog := range s.dogs {
		dog.Stop()
	}
	for _, body := range s.bodies {
		body.Close() // everything of interest has been read
	}
	for _, cancel := range s.cancels {
		cancel(nil)
	}
}
