package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// inProcess are the transports whose servers can be made to fail.
var inProcess = transports[:2]

func eachTransport(t *testing.T, test func(t *testing.T, f fixture)) {
	t.Helper()
	for _, tr := range inProcess {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			test(t, tr.start(t))
		})
	}
}

func readme() gittest.RepoOption {
	return gittest.WithFiles(map[string]string{"README.md": "hello\n"})
}

// asError fails the test when err is not of the type, and returns it as that.
func asError[E error](t *testing.T, err error) E {
	t.Helper()
	typed, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("error is %T %v, want %T", err, err, typed)
	}
	return typed
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not say %q", text, p)
		}
	}
}

func TestFetch_cutInTheMiddle(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		f.srv.AddRepo(repoName, readme())
		for _, bytes := range []int64{1, 100, 600} {
			off := f.srv.Inject(gittest.Fault{Kind: gittest.DropAfter, Service: gittest.Fetch, Bytes: bytes})
			_, err := gitrepo.Fetch(t.Context(), f.remote(repoName), "main")
			off()
			if err != nil && !errors.Is(err, git.ErrTransient) {
				t.Errorf("cut after %d bytes: %T %v, want a transient error", bytes, err, err)
			}
		}
	})
}

func TestFetch_badCredentials(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	srv.AddRepo(repoName, readme())
	known, stranger := gittest.NewKey(t, gittest.ED25519), gittest.NewKey(t, gittest.RSA)
	srv.Accounts().AddKey(known.Public(), "alice", gittest.Write)

	_, err := gitrepo.Fetch(t.Context(), gitrepo.Remote{URL: srv.HTTPSURL(repoName), CAPEM: srv.CAPEM(),
		Auth: gitrepo.TokenAuth{Token: secret.New("sentinel-bad")}},
		"main")
	bad := asError[*git.AuthError](t, err)
	contains(t, bad.Error(), "the server does not accept the token", "Invalid username or token")
	if strings.Contains(bad.Error(), "sentinel") {
		t.Errorf("the token is shown: %v", bad)
	}
	_, err = gitrepo.Fetch(t.Context(),
		gitrepo.Remote{URL: srv.HTTPSURL(repoName), CAPEM: srv.CAPEM()}, "main")
	contains(t, asError[*git.AuthError](t, err).Error(), "there are none")

	_, err = gitrepo.Fetch(t.Context(),
		gitrepo.Remote{URL: srv.SSHURL(repoName), Auth: sshAuth(t, stranger, srv.KnownHosts())}, "main")
	refused := asError[*git.AuthError](t, err)
	contains(t, refused.Error(),
		"accepts none of the identities tried: ssh-rsa "+stranger.Fingerprint()+" (test key)")
}

func TestFetch_repositoryNotFound(t *testing.T) {
	t.Parallel()
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			f := tr.start(t)
			_, err := gitrepo.Fetch(t.Context(), f.remote("acme/none"), "main")
			contains(t, asError[*git.NotFoundError](t, err).Error(), "repository not found",
				"Repository not found.")
		})
	}
}

func TestFetch_hostKey(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	srv.AddRepo(repoName, readme())
	key := gittest.NewKey(t, gittest.ED25519)
	srv.Accounts().AddKey(key.Public(), "alice", gittest.Write)
	before := srv.KnownHosts()
	old := ssh.FingerprintSHA256(srv.HostKeys()[0])

	_, err := gitrepo.Fetch(t.Context(), gitrepo.Remote{URL: srv.SSHURL(repoName),
		Auth: sshAuth(t, key, strings.ReplaceAll(before, "127.0.0.1", "192.0.2.1"))},
		"main")
	unknown := asError[*git.HostKeyError](t, err)
	if unknown.Problem != 1 || unknown.Fingerprint != old {
		t.Errorf("error is %+v", unknown)
	}

	srv.ChangeHostKeys()
	offered := ssh.FingerprintSHA256(srv.HostKeys()[0])
	_, err = gitrepo.Fetch(t.Context(),
		gitrepo.Remote{URL: srv.SSHURL(repoName), Auth: sshAuth(t, key, before)}, "main")
	changed := asError[*git.HostKeyError](t, err)
	contains(t, changed.Error(), "offered ssh-ed25519 "+offered,
		"expected ssh-ed25519 "+old+" (known_hosts:1)")
	contains(t, changed.Hint(), "ssh-keyscan -p ")
	if errors.Is(err, git.ErrTransient) {
		t.Error("a host key is not transient")
	}

	// Any one of the server's keys is enough: the algorithms that the file has keys for are asked for.
	for _, line := range strings.Split(strings.TrimSpace(srv.KnownHosts()), "\n") {
		mustFetch(t, gitrepo.Remote{URL: srv.SSHURL(repoName), Auth: sshAuth(t, key, line+"\n")}, "main")
	}
}

// A server that hangs, at any point: the caller's context ends the call within a second, and without it the
// idle limit does.
func TestHang(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		f.srv.AddRepo(repoName, readme())
		calls := map[string]struct {
			fault gittest.Fault
			call  func(context.Context, gitrepo.Remote) error
		}{
			"fetch": {gittest.Fault{Kind: gittest.Hang, Service: gittest.Fetch},
				func(ctx context.Context, r gitrepo.Remote) error {
					_, err := gitrepo.Fetch(ctx, r, "main")
					return err
				}},
			"listing": {gittest.Fault{Kind: gittest.Hang, Service: gittest.Fetch, Listing: true},
				func(ctx context.Context, r gitrepo.Remote) error {
					_, err := gitrepo.Fetch(ctx, r, "main")
					return err
				}},
			"push": {gittest.Fault{Kind: gittest.Hang, Service: gittest.Push},
				func(ctx context.Context, r gitrepo.Remote) error {
					s, err := gitrepo.Fetch(ctx, r, "main")
					if err != nil {
						return err
					}
					defer s.Close()
					c, err := s.Commit([]git.Edit{write("a", "1\n")}, options("x"))
					if err != nil {
						return err
					}
					return s.Push(ctx, c)
				}},
		}
		for name, c := range calls {
			off := f.srv.Inject(c.fault)
			stop := errors.New("interrupted by the test")
			ctx, cancel := context.WithCancelCause(t.Context())
			var asked time.Time
			timer := time.AfterFunc(300*time.Millisecond, func() {
				asked = time.Now()
				cancel(stop)
			})
			err := c.call(ctx, f.remote(repoName))
			took := time.Since(asked)
			timer.Stop()
			cancel(nil)
			if !errors.Is(err, stop) {
				t.Errorf("%s: error is %v, want the context's cause", name, err)
			}
			if took > time.Second {
				t.Errorf("%s: took %s after the interrupt", name, took)
			}

			remote := f.remote(repoName)
			remote.Limits.Idle = 300 * time.Millisecond
			err = c.call(t.Context(), remote)
			if !errors.Is(err, git.ErrTransient) || !strings.Contains(err.Error(), "in time") {
				t.Errorf("%s: idle error is %T %v", name, err, err)
			}
			off()
		}
	})
}

func TestFetch_garbage(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		f.srv.AddRepo(repoName, readme())
		for _, text := range []string{"<html>Please log in to the network</html>", "0008NAK\n", "ffff",
			"001e# service=git-upload-pack\n0000zzzz"} {
			for _, listing := range []bool{true, false} {
				off := f.srv.Inject(gittest.Fault{Kind: gittest.Garbage, Service: gittest.Fetch,
					Listing: listing, Text: text})
				_, err := gitrepo.Fetch(t.Context(), f.remote(repoName), "main")
				off()
				if err == nil {
					continue // over SSH there is no listing apart from the session
				}
				_, protocol := errors.AsType[*git.ProtocolError](err)
				if !protocol && !errors.Is(err, git.ErrTransient) {
					t.Errorf("%q: error is %T %v", text, err, err)
				}
			}
		}
	})
}

func TestFetch_unreachable(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	f := startSSH(t)
	gone := f.remote(repoName)
	if err := f.srv.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := gitrepo.Fetch(t.Context(), gone, "main")
	refused := asError[*git.UnreachableError](t, err)
	contains(t, refused.Error(), "connection refused")
	if !refused.Temporary() || !errors.Is(err, git.ErrTransient) {
		t.Error("a refused connection is transient")
	}

	_, err = gitrepo.Fetch(t.Context(), gitrepo.Remote{URL: srv.HTTPSURL(repoName)}, "main")
	untrusted := asError[*git.UnreachableError](t, err)
	contains(t, untrusted.Error(), "certificate is not trusted")
	if untrusted.Temporary() {
		t.Error("an untrusted certificate does not go away")
	}
}

// What HTTP servers and proxies answer in Git's place.
func TestFetch_httpStatus(t *testing.T) {
	t.Parallel()
	var target string
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host was asked for %s with authorization %q",
			r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		switch strings.Split(r.URL.Path, "/")[1] {
		case "elsewhere":
			http.Redirect(w, r, target+r.URL.Path+"?"+r.URL.RawQuery, http.StatusFound)
		case "loop":
			http.Redirect(w, r, r.URL.Path+"?"+r.URL.RawQuery, http.StatusFound)
		case "login":
			http.Redirect(w, r, "/login?next=x", http.StatusFound)
		case "busy":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "down \x1b[2J for maintenance %s\n", r.Header.Get("Authorization"))
		case "page":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>")
		case "teapot":
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(srv.Close)
	target = other.URL
	remote := func(name string) gitrepo.Remote {
		return gitrepo.Remote{URL: srv.URL + "/" + name + "/x.git",
			Auth: gitrepo.TokenAuth{Username: "alice", Token: secret.New(token)}, CAPEM: certificate(srv)}
	}
	fetch := func(name string) error {
		_, err := gitrepo.Fetch(t.Context(), remote(name), "main")
		return err
	}
	if err := asError[*git.RedirectError](t, fetch("elsewhere")); err.Target != other.URL+"/elsewhere/x.git" {
		t.Errorf("redirect to %s", err.Target)
	}
	contains(t, asError[*git.ProtocolError](t, fetch("loop")).Error(), "redirects without end")
	contains(t, asError[*git.ProtocolError](t, fetch("login")).Error(), "log-in page")
	busy := asError[*git.UnreachableError](t, fetch("busy"))
	if busy.RetryAfter != 7*time.Second || !busy.Temporary() {
		t.Errorf("busy is %+v", busy)
	}
	contains(t, busy.Error(), "HTTP 503", "the server says: down  for maintenance Basic ***")
	contains(t, asError[*git.ProtocolError](t, fetch("page")).Error(), "a web page")
	contains(t, asError[*git.RejectedError](t, fetch("teapot")).Error(), "HTTP 418")
}

// A repository that was renamed is followed on the same host.
func TestFetch_sameHostRedirect(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t, gittest.Options{Authorizer: renamed{}})
	repo := srv.AddRepo("acme/new", readme())
	remote := gitrepo.Remote{URL: srv.HTTPSURL("acme/old"), CAPEM: srv.CAPEM(),
		Auth: gitrepo.TokenAuth{Token: secret.New(token)}}
	s := mustFetch(t, remote, "main")
	c := mustCommit(t, s, write("a", "1\n"))
	if err := s.Push(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if repo.Head("main") != c.Hash() {
		t.Error("the commit has not arrived")
	}
}

type renamed struct{}

func (renamed) KnowsKey(ssh.PublicKey) (string, bool) { return "", false }

func (renamed) Authorize(a gittest.Access) gittest.Verdict {
	if a.Password != token {
		return gittest.Verdict{Outcome: gittest.Unauthenticated}
	}
	return gittest.Verdict{Outcome: gittest.Allow, Repo: "acme/new"}
}

// A server that gives out only tips, and a branch that moved: the file is not to be had any more, which a new
// fetch heals.
func TestRead_movedBranch(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme(),
			gittest.WithConfig("uploadpack.allowAnySHA1InWant", "false"))
		s := mustFetch(t, f.remote(repoName), "main")
		repo.Commit(gittest.Change{Files: map[string]string{"README.md": "other\n"}})
		// Over HTTP, git gives out what can be reached from a tip; it has not seen the list of references
		// that the client saw.
		content, err := s.Read(t.Context(), "README.md")
		if string(content) != "hello\n" && !errors.Is(err, git.ErrTransient) {
			t.Errorf("read %q, %T %v, want a transient error", content, err, err)
		}
	})
}

func TestReadAll(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName,
			gittest.WithFiles(map[string]string{"a": "1\n", "b/c": "2\n", "b/same": "1\n", "empty": ""}))
		s := mustFetch(t, f.remote(repoName), "main")
		before := repo.Counts()
		got, err := s.ReadAll(t.Context(), []string{"a", "b/c", "b/same", "empty"})
		if err != nil {
			t.Fatal(err)
		}
		if string(got["a"]) != "1\n" || string(got["b/c"]) != "2\n" || string(got["b/same"]) != "1\n" ||
			got["empty"] == nil || len(got["empty"]) != 0 {
			t.Errorf("read %q", got)
		}
		if _, err := s.Read(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if n := repo.Counts().Sub(before).Fetches; n != 1 {
			t.Errorf("%d transfers, want 1", n)
		}
		if _, err := s.Read(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error is %v, want fs.ErrNotExist", err)
		}
		if _, err := s.Read(t.Context(), "b"); !is[*git.PathError](err) {
			t.Errorf("error is %v, want a *PathError", err)
		}
	})
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// One run is one fetch and one push, counted at the server.
func TestOneFetchOnePush(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme())
		before := repo.Counts()
		s := mustFetch(t, f.remote(repoName), "main")
		if err := s.Push(t.Context(), mustCommit(t, s, write("a/b", "1\n"))); err != nil {
			t.Fatal(err)
		}
		if n := repo.Counts().Sub(before); n.Fetches != 1 || n.Pushes != 1 || n.Sessions != 2 {
			t.Errorf("counted %+v", n)
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		f.srv.AddRepo(repoName,
			gittest.WithFiles(map[string]string{"big": strings.Repeat("x", 5000), "d/e/f": "1\n"}),
			gittest.WithConfig("uploadpack.allowFilter", "false"))
		for name, set := range map[string]func(*gitrepo.Limits){
			"pack":     func(l *gitrepo.Limits) { l.Pack = 100 },
			"object":   func(l *gitrepo.Limits) { l.Object = 20 },
			"inflated": func(l *gitrepo.Limits) { l.Inflated = 1000 },
		} {
			remote := f.remote(repoName)
			set(&remote.Limits)
			if _, err := gitrepo.Fetch(t.Context(), remote, "main"); !is[*git.LimitError](err) {
				t.Errorf("%s: error is %T %v, want a *LimitError", name, err, err)
			}
		}
		remote := f.remote(repoName)
		remote.Limits.File = 1000
		s := mustFetch(t, remote, "main")
		if _, err := s.Read(t.Context(), "big"); !is[*git.LimitError](err) {
			t.Errorf("error is %T %v, want a *LimitError", err, err)
		}
		if _, err := s.Read(t.Context(), "d/e/f"); err != nil {
			t.Error(err)
		}
	})
}
