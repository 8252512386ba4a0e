package gittest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// stderrOf returns what a failed git command wrote.
func stderrOf(t *testing.T, err error) string {
	t.Helper()
	var failed *gittest.CommandError
	if !errors.As(err, &failed) {
		t.Fatalf("got error %v, want a failed git command", err)
	}
	return failed.Stderr
}

func wantIn(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

func TestHTTPS_cloneAndPush(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": "1", "d/b c": "2"}))
	srv.Accounts().AddToken("tok", "alice", gittest.Write)
	client := srv.Client(gittest.Credentials{Username: "anyone", Password: "tok"})
	for _, url := range []string{srv.HTTPSURL("acme/fleet"),
		strings.TrimSuffix(srv.HTTPSURL("acme/fleet"), ".git")} {
		if _, err := client.Clone(t.Context(), url, ""); err != nil {
			t.Fatal(err)
		}
	}
	w, err := client.Clone(t.Context(), srv.HTTPSURL("acme/fleet"), "", "--depth=1", "--filter=blob:none")
	if err != nil {
		t.Fatal(err)
	}
	before := repo.Counts()
	if err := w.Write("big", strings.Repeat("0123456789abcdef\n", 1<<17)+time.Now().String()); err != nil {
		t.Fatal(err)
	}
	sha, err := w.Commit(t.Context(), "Add a file\n\nwith a body")
	if err != nil {
		t.Fatal(err)
	}
	// A body that is larger than the buffer is sent with an unknown length, after a probe that must not
	// count.
	if err := w.Push(t.Context(), "-c", "http.postBuffer=65536"); err == nil {
		t.Fatal("git push took -c")
	}
	if _, err := w.Git(t.Context(), "-c", "http.postBuffer=1024", "-c", "core.compression=0", "push",
		"--quiet", "origin", "HEAD"); err != nil {
		t.Fatal(err)
	}
	got := repo.Counts().Sub(before)
	if got.Pushes != 1 || got.Fetches != 0 || got.Sessions != 1 || got.BytesReceived < 1<<20 ||
		got.BytesSent == 0 {
		t.Errorf("counts of one push: %+v", got)
	}
	if repo.Head("main") != sha || repo.Head("none") != "" {
		t.Errorf("head %q, want %q; head of no branch %q", repo.Head("main"), sha, repo.Head("none"))
	}
	log := repo.Log("main")
	if len(log) != 2 || log[0].Subject() != "Add a file" || log[0].Message != "Add a file\n\nwith a body" ||
		log[0].Author != "Another User" {
		t.Errorf("log: %+v", log)
	}
	if paths := repo.Paths("main"); !slices.Equal(paths, []string{"a", "big", "d/b c"}) {
		t.Errorf("paths: %q", paths)
	}
	if files := repo.Files("main"); files["d/b c"] != "2" || len(files) != 3 {
		t.Errorf("files: %d", len(files))
	}
}

func TestHTTPS_emptyRepository(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	repo := srv.AddRepo("acme/fleet", gittest.DefaultBranch("trunk"))
	srv.Accounts().AddToken("tok", "alice", gittest.Write)
	client := srv.Client(gittest.Credentials{Password: "tok", Username: "x"})
	w, err := client.Clone(t.Context(), srv.HTTPSURL("acme/fleet"), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := repo.Counts(); got.Fetches != 0 || got.Sessions != 1 {
		t.Errorf("counts of a clone of nothing: %+v", got)
	}
	if err := w.Write("x", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if err := w.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := repo.Branches(); !slices.Equal(got, []string{"trunk"}) {
		t.Errorf("branches: %q", got)
	}
}

func TestHTTPS_refusals(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": "1"}))
	srv.AddRepo("acme/other")
	srv.Accounts().AddToken("ro", "bob", gittest.Read, "acme/fleet")
	for name, tc := range map[string]struct {
		password, repo string
		push           bool
		want           []string
	}{
		"unknown token": {"bad", "acme/fleet", false, []string{
			"remote: Invalid username or token. Password authentication is not supported for Git operations.",
			"Authentication failed"}},
		"read only": {"ro", "acme/fleet", true,
			[]string{"remote: Permission to acme/fleet.git denied to bob.", "error: 403"}},
		"not covered":   {"ro", "acme/other", false, []string{"remote: Repository not found.", "not found"}},
		"no repository": {"ro", "acme/none", false, []string{"remote: Repository not found."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := srv.Client(gittest.Credentials{Username: "bob", Password: tc.password})
			args := []string{"ls-remote", srv.HTTPSURL(tc.repo)}
			if tc.push {
				args = []string{"push", srv.HTTPSURL(tc.repo), repo.Head("main") + ":refs/heads/x"}
			}
			_, err := client.Git(t.Context(), repo.Dir(), args...)
			wantIn(t, stderrOf(t, err), tc.want...)
		})
	}
	t.Run("challenge", func(t *testing.T) {
		t.Parallel()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			srv.HTTPSURL("acme/fleet")+"/info/refs?service=git-upload-pack", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.HTTPClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 401 || resp.Header.Get("Www-Authenticate") != `Basic realm="GitHub"` {
			t.Errorf("status %d, challenge %q", resp.StatusCode, resp.Header.Get("Www-Authenticate"))
		}
	})
	t.Run("not git", func(t *testing.T) {
		t.Parallel()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			"https://"+srv.HTTPSAddr()+"/acme/fleet.git/HEAD", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.HTTPClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 404 {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	t.Run("untrusted", func(t *testing.T) {
		t.Parallel()
		resp, err := http.Get(srv.HTTPSURL("acme/fleet"))
		if err == nil {
			resp.Body.Close()
			t.Error("a client without the authority connected")
		}
	})
}

func TestHTTPS_hook(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": "1"}))
	srv.Accounts().AddToken("tok", "alice", gittest.Write)
	repo.SetHook("pre-receive", "#!/bin/sh\necho 'error: no pushes today' >&2\nexit 1\n")
	client := srv.Client(gittest.Credentials{Username: "a", Password: "tok"})
	push := []string{"push", srv.HTTPSURL("acme/fleet"), repo.Head("main") + ":refs/heads/x"}
	_, err := client.Git(t.Context(), repo.Dir(), push...)
	wantIn(t, stderrOf(t, err), "remote: error: no pushes today", "pre-receive hook declined")
	if got := repo.Counts().Pushes; got != 1 {
		t.Errorf("%d pushes counted, want the refused one", got)
	}
	repo.Commit(gittest.Change{Files: map[string]string{"b": "2"}, Delete: []string{"a"}}) // past the hook
	if paths := repo.Paths("main"); !slices.Equal(paths, []string{"b"}) {
		t.Errorf("paths: %q", paths)
	}
	repo.SetHook("pre-receive", "")
	if _, err := client.Git(t.Context(), repo.Dir(), push...); err != nil {
		t.Error(err)
	}
}

func TestHTTPS_faults(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": strings.Repeat("x\n", 5000)}))
	srv.Accounts().AddToken("tok", "alice", gittest.Write)
	client := srv.Client(gittest.Credentials{Username: "a", Password: "tok"})
	clone := func(ctx context.Context) error {
		_, err := client.Clone(ctx, srv.HTTPSURL("acme/fleet"), "")
		return err
	}
	push := func(branch string) error {
		_, err := client.Git(t.Context(), repo.Dir(), "push", srv.HTTPSURL("acme/fleet"),
			repo.Head("main")+":refs/heads/"+branch)
		return err
	}

	srv.Inject(gittest.Fault{Kind: gittest.DropAfter, Service: gittest.Fetch, Bytes: 60, Skip: 1, Times: 1})
	if err := clone(t.Context()); err != nil {
		t.Errorf("skipped fault: %v", err)
	}
	if err := clone(t.Context()); err == nil {
		t.Error("a dropped fetch succeeded")
	}
	srv.Inject(gittest.Fault{Kind: gittest.LoseReply, Service: gittest.Push, Repo: "ACME/fleet", Times: 1})
	if err := push("lost"); err == nil {
		t.Error("a push whose reply is lost succeeded")
	}
	if repo.Head("lost") == "" {
		t.Error("the lost push had no effect")
	}
	srv.Inject(gittest.Fault{Kind: gittest.DropAfter, Service: gittest.Push, Bytes: 10, Times: 1})
	if err := push("cut"); err == nil {
		t.Error("a cut push succeeded")
	}
	if repo.Head("cut") != "" {
		t.Error("the cut push had an effect")
	}
	off := srv.Inject(gittest.Fault{Kind: gittest.RejectAuth})
	wantIn(t, stderrOf(t, clone(t.Context())), "Authentication failed")
	off()
	srv.Inject(gittest.Fault{Kind: gittest.Garbage, Text: "<html>\nsign in</html>\n", Listing: true,
		Times: 1})
	wantIn(t, stderrOf(t, clone(t.Context())), "not valid: is this a git repository?")
	srv.Inject(gittest.Fault{Kind: gittest.Delay, Delay: 20 * time.Millisecond, Times: 1})
	if err := clone(t.Context()); err != nil {
		t.Errorf("delayed: %v", err)
	}
	off = srv.Inject(gittest.Fault{Kind: gittest.Hang, Listing: true})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := clone(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a hanging server: %v", err)
	}
	off()
	if err := clone(t.Context()); err != nil {
		t.Errorf("all faults off: %v", err)
	}
}

func TestServer_fallbackAndNames(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t,
		gittest.Options{Fallback: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "other "+r.URL.Path)
		})})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+srv.HTTPSAddr()+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "other /x" {
		t.Errorf("fallback: %q", body)
	}
	for _, bad := range []string{"", "/a", "a/../b", "a/..", "a b", "a.git", "a//b", "."} {
		if _, err := srv.CreateRepo(bad); err == nil {
			t.Errorf("repository %q was made", bad)
		}
	}
	repo := srv.AddRepo("a/b")
	if _, err := srv.CreateRepo("A/B"); err == nil {
		t.Error("a name was given twice")
	}
	srv.RenameRepo("a/b", "c/d")
	if srv.Repo("a/b") != nil || srv.Repo("C/D") != repo || repo.Name() != "c/d" ||
		len(repo.Branches()) != 0 {
		t.Error("renaming")
	}
	srv.RemoveRepo("c/d")
	if len(srv.Repos()) != 0 {
		t.Error("removing")
	}
}
