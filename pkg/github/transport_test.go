package github_test

import (
	"compress/gzip"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// stranger is a server that must not be asked anything. It counts.
func stranger(t *testing.T) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			t.Errorf("a stranger got the token")
		}
		fmt.Fprint(w, `{"name":"fleet","owner":{"login":"acme"}}`)
	}))
	t.Cleanup(server.Close)
	return server, &asked
}

func TestRedirect_toAnotherHostIsRefused(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST", "DELETE"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			gh := world(t)
			gh.AddRepo("acme/fleet", files())
			server, asked := stranger(t)
			gh.Break(method+" /repos/acme/fleet/**", githubtest.RespondWith(status,
				http.Header{"Location": {server.URL + "/repos/acme/fleet"}}, ""))
			gh.Break(method+" /repos/acme/fleet", githubtest.RespondWith(status,
				http.Header{"Location": {server.URL + "/repos/acme/fleet"}}, ""))
			s := owner(t, gh)
			var err error
			switch method {
			case "GET":
				_, err = s.Repository(t.Context(), fleet())
			case "POST":
				_, err = s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
			case "DELETE":
				err = s.DeleteDeployKey(t.Context(), fleet(), 1)
			}
			s.fails(err, github.ErrUnexpected, "*: unexpected answer: the API redirects to another host, "+
				strings.TrimPrefix(server.URL, "http://")+
				", which is not followed; the token was not sent there",
				"check that the API's URL is right, and that it is GitHub that answers there")
			equal(t, "asked, waits", []int{int(asked.Load()), len(s.clock.waits())}, []int{0, 0})
		}
	}
}

func TestRedirect_tricks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		location func(*githubtest.Server) string
		status   int
		text     string
	}{
		"without TLS": {func(gh *githubtest.Server) string {
			return strings.Replace(gh.RootAPIURL(), "https:", "http:", 1) + "repos/acme/fleet"
		}, 307, "*the API redirects to another host, *"},
		"with credentials": {func(gh *githubtest.Server) string {
			return strings.Replace(gh.RootAPIURL(), "//", "//user:pass@", 1) + "repos/acme/x"
		}, 307, "*the API redirects to another host, *"},
		"other scheme": {func(*githubtest.Server) string { return "file:///etc/passwd" }, 307,
			"*the API redirects to another host, , which is not followed; *"},
		"circle": {func(gh *githubtest.Server) string { return gh.RootAPIURL() + "repos/acme/fleet" }, 307,
			"*the API redirects in a circle"},
		"no location": {func(*githubtest.Server) string { return "" }, 307, "*"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			header := http.Header{}
			if l := tc.location(gh); l != "" {
				header.Set("Location", l)
			}
			gh.Break(getFleet, githubtest.RespondWith(tc.status, header, ""))
			s := owner(t, gh)
			_, err := s.Repository(t.Context(), fleet())
			s.fails(err, github.ErrUnexpected, tc.text, "*")
			if n := len(gh.Requests()); n > 5 {
				t.Errorf("%d requests", n)
			}
		})
	}
	t.Run("write turned into a read", func(t *testing.T) {
		t.Parallel()
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		gh.Break("POST /repos/acme/fleet/keys", githubtest.RespondWith(301,
			http.Header{"Location": {gh.RootAPIURL() + "repos/acme/fleet/keys"}}, ""))
		s := owner(t, gh)
		_, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
		s.fails(err, github.ErrUnexpected, "registering a deploy key on acme/fleet: unexpected answer: the "+
			"API redirects and changes the request from POST to GET", "*")
	})
}

// serve is a client of a hand-made server with TLS.
func serve(t *testing.T, handler http.HandlerFunc, change func(*httptest.Server, *github.Options)) *session {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	options := github.Options{Token: secret.New("ghp_sentinel"), Clock: &fakeClock{}}
	if change != nil {
		change(server, &options)
	}
	if server.TLS == nil || server.TLS.MaxVersion != 0 || len(options.CAPEM) == 0 {
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	if options.CAPEM == nil {
		options.CAPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	}
	options.APIURL += server.URL
	if host, ok := strings.CutPrefix(options.APIURL, "as-localhost "); ok {
		options.APIURL = strings.Replace(host, "127.0.0.1", "localhost", 1)
	}
	client, err := github.New(options)
	ok(t, err)
	return &session{Client: client, t: t, token: "ghp_sentinel", clock: options.Clock.(*fakeClock)}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	none := func(http.ResponseWriter, *http.Request) { t.Error("a request was answered") }
	t.Run("too old", func(t *testing.T) {
		t.Parallel()
		s := serve(t, none, func(server *httptest.Server, _ *github.Options) {
			// it has to be refused
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		})
		_, err := s.Repository(t.Context(), fleet())
		s.fails(err, github.ErrUnavailable, "reading repository acme/fleet: unavailable: 127.0.0.1:* "+
			"and this program cannot agree on a TLS connection (TLS 1.2 or later is needed): *",
			"check the network, *")
		equal(t, "waits", s.clock.waits(), nil)
	})
	t.Run("name of another host", func(t *testing.T) {
		t.Parallel()
		s := serve(t, none, func(_ *httptest.Server, o *github.Options) { o.APIURL = "as-localhost " })
		_, err := s.Repository(t.Context(), fleet())
		s.fails(err, github.ErrUntrusted,
			"reading repository acme/fleet: certificate not trusted: localhost:*: x509: certificate is "+
				"valid for example.com, *, not localhost (certificate of O=Acme Co, issued by O=Acme Co)",
			"*--ca-file")
		equal(t, "waits", s.clock.waits(), nil)
	})
	t.Run("no TLS", func(t *testing.T) {
		t.Parallel()
		plain, _ := stranger(t)
		clock := &fakeClock{}
		client, err := github.New(github.Options{APIURL: strings.Replace(plain.URL, "http:", "https:", 1),
			Token: secret.New("ghp_sentinel"), Clock: clock})
		ok(t, err)
		s := &session{Client: client, t: t, token: "ghp_sentinel", clock: clock}
		_, err = s.Repository(t.Context(), fleet())
		s.fails(err, github.ErrUnavailable,
			"reading repository acme/fleet: unavailable: 127.0.0.1:* does not speak TLS on this port",
			"check the network, *")
		equal(t, "waits", clock.waits(), nil)
	})
}

func TestBody_isBounded(t *testing.T) {
	t.Parallel()
	endless := func(w io.Writer) {
		chunk := []byte(strings.Repeat(" ", 1<<16))
		for range 11 << 20 / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"plain": func(w http.ResponseWriter, _ *http.Request) { endless(w) },
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			endless(z)
			_ = z.Close()
		},
		"of an error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			endless(w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, handler, nil)
			_, err := s.Repository(t.Context(), fleet())
			s.fails(err, github.ErrUnexpected,
				"reading repository acme/fleet: unexpected answer: the answer is longer than 10 MiB",
				"check that the API's URL is right, *")
		})
	}
}
