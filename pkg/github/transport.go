package github

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/proxy"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

const (
	mediaType    = "application/vnd.github+json"
	maxBody      = 10 << 20 // bytes of one answer, after decompression
	maxRedirects = 5
)

// newTransport trusts the system's certificate authorities and those in caPEM.
func newTransport(caPEM []byte) (*http.Transport, error) {
	transport := &http.Transport{}
	if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = standard.Clone()
	}
	transport.Proxy = discreet(http.ProxyFromEnvironment)
	transport.OnProxyConnectResponse = proxy.Answer
	transport.MaxIdleConnsPerHost = 8
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if len(caPEM) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(caPEM) {
			return nil, hint.Errorf("the file of certificate authorities (%s) contains no PEM certificate",
				hint.CAFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return transport, nil
}

// apiTransport adds to every request what GitHub wants to see, and takes in the whole answer, so that a cut
// or endless one is a failure of the request and not of whoever reads it.
type apiTransport struct {
	next      http.RoundTripper
	base      *url.URL // the only host that the token goes to
	reveal    func() string
	userAgent string
	timeout   time.Duration
	versions  *versions
}

// RoundTrip implements http.RoundTripper. A request that the server refuses for the API version it names is
// sent again with another that the program speaks, as long as there is one.
func (t *apiTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	for {
		version := t.versions.current()
		response, err := t.send(request, version)
		if err != nil || !refusesVersion(response) || !t.versions.giveUp(version) {
			if err == nil {
				t.versions.heard(version, response.Header)
			}
			return response, err
		}
		if request, err = again(request); err != nil {
			return nil, err
		}
	}
}

// again is the same request with its body from the beginning.
func again(request *http.Request) (*http.Request, error) {
	repeated := request.Clone(request.Context())
	if request.GetBody != nil {
		body, err := request.GetBody()
		if err != nil {
			return nil, err
		}
		repeated.Body = body
	}
	return repeated, nil
}

// send makes one request and takes its whole answer in.
func (t *apiTransport) send(request *http.Request, version string) (*http.Response, error) {
	if !sameHost(t.base, request.URL) {
		return nil, &redirectError{to: request.URL.Host}
	}
	ctx, cancel := context.WithTimeout(request.Context(), t.timeout)
	defer cancel()
	sent := request.Clone(ctx)
	sent.Header.Set("Authorization", "Bearer "+t.reveal())
	sent.Header.Set("Accept", mediaType)
	sent.Header.Set("X-GitHub-Api-Version", version)
	sent.Header.Set("User-Agent", t.userAgent)
	response, err := t.next.RoundTrip(sent)
	if err != nil {
		return nil, t.explain(request, err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	// All that is wanted has been read; an error of Close has nothing to add.
	_ = response.Body.Close()
	switch {
	case err != nil:
		return nil, &cutOffError{status: response.StatusCode, cause: t.explain(request, err)}
	case len(body) > maxBody:
		return nil, &oversizeError{}
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	// go-github v53 looks for the next page in the first line of this header alone, and the first may be
	// about something else.
	if links := response.Header.Values("Link"); len(links) > 1 {
		response.Header.Set("Link", strings.Join(links, ", "))
	}
	// The caller's request, not the copy with the token, is what go-github puts into its errors.
	response.Request = request
	return response, nil
}

// explain tells the end of this try from the end of the caller's patience, which have the same error.
func (t *apiTransport) explain(request *http.Request, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && request.Context().Err() == nil {
		return &slowError{after: t.timeout}
	}
	return err
}

// followOnHost follows redirects within the API, as after a repository was renamed, and refuses all others. A
// redirect that would turn a write into a read is refused as well.
func followOnHost(base *url.URL) func(*http.Request, []*http.Request) error {
	return func(request *http.Request, via []*http.Request) error {
		switch {
		case !sameHost(base, request.URL):
			return &redirectError{to: request.URL.Host}
		case request.Method != via[0].Method:
			return &redirectError{changed: via[0].Method + " to " + request.Method}
		case len(via) >= maxRedirects:
			return &redirectError{loop: true}
		}
		return nil
	}
}

func sameHost(base, u *url.URL) bool {
	return u.Scheme == base.Scheme && u.Host == base.Host && u.User == nil
}

// redirectError is a redirect that is not followed.
type redirectError struct {
	to      string
	changed string
	loop    bool
}

func (e *redirectError) Error() string {
	switch {
	case e.loop:
		return "the API redirects in a circle"
	case e.changed != "":
		return "the API redirects and changes the request from " + e.changed
	}
	return fmt.Sprintf("the API redirects to another host, %s, which is not followed; the token was not "+
		"sent there", clean(e.to))
}

// cutOffError is an answer that ended before its end.
type cutOffError struct {
	status int
	cause  error
}

func (e *cutOffError) Error() string { return "the answer was cut off: " + e.cause.Error() }
func (e *cutOffError) Unwrap() error { return e.cause }

// oversizeError is an answer that no endpoint used here gives.
type oversizeError struct{}

func (e *oversizeError) Error() string {
	return fmt.Sprintf("the answer is longer than %d MiB", maxBody>>20)
}

// slowError is a try that took too long. It is not the end of the caller's context, and does not look like
// it.
type slowError struct{ after time.Duration }

func (e *slowError) Error() string { return fmt.Sprintf("no answer within %s", e.after) }

// discreet keeps the text of a proxy's address, which may hold a password, out of the error that says that it
// is none.
func discreet(find func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(request *http.Request) (*url.URL, error) {
		address, err := find(request)
		if err != nil {
			return nil, &proxyAddressError{}
		}
		return address, nil
	}
}

// proxyAddressError says that the proxy's address is no URL. Nothing was sent anywhere.
type proxyAddressError struct{}

func (*proxyAddressError) Error() string {
	return "the address of the proxy (HTTPS_PROXY, HTTP_PROXY) is not a URL"
}

// proxyHint is what helps against a proxy that does not connect.
func proxyHint(status int) hint.Hint {
	switch status {
	case http.StatusProxyAuthRequired:
		return "the proxy asks for a user and a password: set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT"
	case http.StatusForbidden:
		return "have the proxy's administrator allow the host, or name it in NO_PROXY if it can be reached " +
			"without the proxy"
	}
	return ""
}
