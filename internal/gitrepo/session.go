package gitrepo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/eksa-gitops/eksa-gitops/internal/proxy"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// session is one conversation with a git service: the server's list of references, and at most one request
// with its response. Errors of its readers are raw; explain turns them into the package's errors.
type session interface {
	// refs is the stream that begins with the list of references.
	refs() io.Reader
	// exchange sends a whole request and returns the response. The request may not have been read by the
	// server when it returns.
	exchange(ctx context.Context, request []byte) (io.Reader, error)
	// explain finds out why a stream ended or failed, from what the server said beside it.
	explain(err error) error
	// close ends the session, politely when nothing was exchanged.
	close()
}

// metered counts what is read, and remembers how it ended.
type metered struct {
	r     io.Reader
	stats *Stats
	err   error
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.stats.received.Add(int64(n))
	if err != nil {
		m.err = err
	}
	return n, err
}

// malformed says whether a stream of pkt-lines is damaged, and not just cut off: pktline takes a length that
// is cut off for a wrong one.
func malformed(err error, r io.Reader) bool {
	m, ok := r.(*metered)
	return errors.Is(err, pktline.ErrInvalidPktLen) && (!ok || m.err == nil)
}

// interrupted says whether the caller gave up, in which case no other error matters.
func (e *endpoint) interrupted(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", e.name, context.Cause(ctx))
}

// networkError turns an error of a connection into ours. What it does not know is taken as something that may
// go away.
func (e *endpoint) networkError(doing string, err error) error {
	u := &git.UnreachableError{Remote: e.name}
	var dns *net.DNSError
	var timeout net.Error
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var refused *proxy.RefusedError
	switch {
	case isOurs(err):
		return err
	case errors.As(err, &refused):
		u.Reason = doing + ": " + refused.Error()
		u.Permanent = refused.Status < 500 && refused.Status != http.StatusTooManyRequests
		u.Next = "check the proxy settings (HTTPS_PROXY, NO_PROXY); credentials for the proxy are written " +
			"as http://USER:PASSWORD@HOST:PORT"
	case errors.As(err, &dns) && dns.IsNotFound:
		u.Reason, u.Permanent = fmt.Sprintf("the host name %s is not known", cleanLine(dns.Name)), true
		u.Next = "check the URL and the name server"
	case errors.As(err, &verify):
		u.Reason, u.Permanent = "the server's certificate is not trusted: "+certificateReason(verify.Err),
			true
		u.Next = "if the server's certificate comes from an authority of your own, give that authority's " +
			"certificate"
	case errors.As(err, &record):
		u.Reason, u.Permanent = "the server does not speak TLS on this port", true
		u.Next = "check the URL's scheme and port"
	case errors.Is(err, syscall.ECONNREFUSED):
		u.Reason = doing + ": connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		u.Reason = doing + ": the connection was reset"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		u.Reason = doing + ": the server did not answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		u.Reason = doing + ": the server closed the connection"
	default:
		u.Reason = doing + ": " + e.oneLine(err.Error())
	}
	return u
}

// certificateReason is what crypto/x509 says, with the names of authorities made fit to be shown.
func certificateReason(err error) string {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return "it has expired, or the clock is wrong"
	}
	return cleanLine(err.Error())
}

// isOurs says whether an error has been classified already.
func isOurs(err error) bool {
	for _, check := range []func(error) bool{
		is[*git.AuthError], is[*git.PermissionError], is[*git.NotFoundError], is[*git.ConflictError],
		is[*git.RejectedError], is[*git.HostKeyError], is[*git.UnreachableError], is[*git.ProtocolError],
		is[*git.RedirectError], is[*git.LimitError], is[*git.PathError],
	} {
		if check(err) {
			return true
		}
	}
	return false
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
