package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// noWait goes on at once, and counts.
type noWait struct{ waits int }

func (*noWait) Now() time.Time { return time.Unix(0, 0) }

func (w *noWait) Sleep(context.Context, time.Duration) error {
	w.waits++
	return nil
}

// What a proxy refuses is not taken for GitHub's refusal, and its password is not shown.
func TestProxy_refuses(t *testing.T) {
	t.Parallel()
	const general = "check the network, DNS and the proxy settings (HTTPS_PROXY, NO_PROXY), then run the " +
		"same command again"
	for status, want := range map[int]struct {
		text, hint string
		waits      int
	}{
		407: {"407 Proxy Authentication Required",
			"the proxy asks for a user and a password: set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT", 0},
		403: {"403 Forbidden", "have the proxy's administrator allow the host, or name it in NO_PROXY if " +
			"it can be reached without the proxy", 0},
		404: {"404 Not Found", general, 0},
		502: {"502 Bad Gateway", general, 5},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				if r.Method != http.MethodConnect || r.Header.Get("Authorization") != "" {
					t.Errorf("the proxy got %s with %q", r.Method, r.Header.Get("Authorization"))
				}
				http.Error(w, "no", status)
			}))
			defer server.Close()
			transport, err := newTransport(nil)
			if err != nil {
				t.Fatal(err)
			}
			address, err := url.Parse(strings.Replace(server.URL, "//", "//user:sentinel@", 1))
			if err != nil {
				t.Fatal(err)
			}
			transport.Proxy = http.ProxyURL(address)
			clock := &noWait{}
			client, err := New(Options{APIURL: "https://github.example.com/api/v3/",
				Token: secret.New("ghp_token"), HTTPTransport: transport, Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Repository(t.Context(), RepoRef{Owner: "acme", Name: "fleet"})
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, ErrUnavailable) ||
				err.Error() != "reading repository acme/fleet: unavailable: the proxy "+address.Host+
					" does not connect to github.example.com:443: "+want.text ||
				e.Hint().String() != want.hint {
				t.Errorf("got %v; hint %q", err, e.Hint())
			}
			if text := fmt.Sprintf("%+v %#v %v",
				err, err, errors.Unwrap(err)); strings.Contains(text, "sentinel") ||
				strings.Contains(text, "ghp_token") {
				t.Errorf("a secret appears in %s", text)
			}
			if asked != want.waits+1 || clock.waits != want.waits {
				t.Errorf("asked %d times, waited %d times", asked, clock.waits)
			}
		})
	}
}

func TestProxy_malformedAddress(t *testing.T) {
	t.Parallel()
	transport, err := newTransport(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport.Proxy = discreet(func(*http.Request) (*url.URL, error) {
		return nil, errors.New(`invalid proxy address "user:sentinel@proxy:port": invalid port`)
	})
	clock := &noWait{}
	client, err := New(Options{Token: secret.New("ghp_token"), HTTPTransport: transport, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.HostKeys(t.Context())
	var e *Error
	if !errors.As(err, &e) || err.Error() != "reading GitHub's SSH host keys: unavailable: the address of "+
		"the proxy (HTTPS_PROXY, HTTP_PROXY) is not a URL" ||
		e.Hint() != "write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT" || clock.waits != 0 {
		t.Errorf("got %v after %d waits", err, clock.waits)
	}
}

// A proxy that connects sees a tunnel and neither the token nor what is asked.
func TestProxy_tunnels(t *testing.T) {
	t.Parallel()
	gh := githubtest.Start(t)
	gh.AddUser("alice")
	gh.AddRepo("alice/fleet")
	var mu sync.Mutex
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Header.Get("Authorization")))
		mu.Unlock()
		far, err := new(net.Dialer).DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		defer far.Close() // the tunnel has ended
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer near.Close()
		fmt.Fprint(near, "HTTP/1.1 200 Connection established\r\n\r\n")
		go io.Copy(far, near) // ends with either side
		io.Copy(near, far)
	}))
	defer server.Close()
	transport, err := newTransport(gh.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport.Proxy = http.ProxyURL(address)
	client, err := New(Options{APIURL: gh.RootAPIURL(),
		Token: secret.New(gh.AddClassicToken("alice", "repo")), HTTPTransport: transport})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := client.Repository(t.Context(), RepoRef{Owner: "alice", Name: "fleet"}); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	host := strings.TrimSuffix(strings.TrimPrefix(gh.RootAPIURL(), "https://"), "/")
	if want := "CONNECT " + host + " "; len(seen) != 1 || seen[0] != want {
		t.Errorf("the proxy saw %q, want %q", seen, want)
	}
}
