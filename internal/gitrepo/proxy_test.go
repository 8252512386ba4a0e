package gitrepo

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// What a proxy refuses is not taken for the server's refusal, and its password is not shown, even if the
// proxy repeats it.
func TestFetch_proxyRefuses(t *testing.T) {
	t.Parallel()
	for status, permanent := range map[int]bool{403: true, 407: true, 429: false, 502: false} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close() // at the end of the test
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // the client has its answer
			request, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "HTTP/1.1 %d cannot connect with %s\r\nContent-Length: 0\r\n\r\n", status,
				request.Header.Get("Proxy-Authorization"))
		}()
		proxy, err := url.Parse("http://user:sentinel@" + listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		e, err := newEndpoint(Remote{URL: "https://git.example.com/acme/fleet.git"})
		if err != nil {
			t.Fatal(err)
		}
		e.transport.(*httpsTransport).client.Transport.(*http.Transport).Proxy = http.ProxyURL(proxy)
		_, _, err = e.discover(t.Context(), uploadPack)
		want := fmt.Sprintf("https://git.example.com/acme/fleet.git: connecting: the proxy %s does not "+
			"connect to git.example.com:443: %d %s", proxy.Host, status, http.StatusText(status))
		unreachable, ok := errors.AsType[*git.UnreachableError](err)
		if !ok || err.Error() != want || unreachable.Permanent != permanent {
			t.Errorf("error %T %v, want %s", err, err, want)
		}
	}
}
