// Package proxy tells what an HTTP proxy refuses from what the server behind it does.
package proxy

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// Answer is for [http.Transport.OnProxyConnectResponse]: its error is a *RefusedError unless the proxy
// connects. net/http leaves only the words of the proxy's status, which are whatever the proxy likes, even
// the password that it was shown; they stay out.
func Answer(_ context.Context, proxy *url.URL, request *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	return &RefusedError{Proxy: proxy.Host, Target: request.Host, Status: response.StatusCode}
}

// RefusedError says that a proxy does not connect. Nothing was sent to the server.
type RefusedError struct {
	Proxy, Target string // host and port
	Status        int    // of HTTP
}

func (e *RefusedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the proxy %s does not connect to %s: %d %s",
		visible(e.Proxy), visible(e.Target), e.Status, http.StatusText(e.Status)))
}

// visible is a name from the environment or a redirect without what could do harm on a terminal.
func visible(name string) string {
	return strings.Map(func(r rune) rune {
		if text.Invisible(r) {
			return -1
		}
		return r
	}, name)
}
