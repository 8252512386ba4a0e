package gitrepo_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// A server that lets a credential read only may run the reading service whatever is asked for; that is no
// right to push.
func TestSnapshot_CheckPush(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	srv.AddRepo(repoName, gittest.WithFiles(map[string]string{"README.md": "fleet\n"}))
	srv.Accounts().AddToken(token, "alice", gittest.Write)
	for name, tc := range map[string]struct {
		claim []string
		may   bool
	}{
		"git-receive-pack":             {nil, true},
		"git-upload-pack in its place": {[]string{"multi_ack", "thin-pack"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			snapshot, err := gitrepo.Fetch(t.Context(), startLimited(t, srv, nil, tc.claim)(repoName), "main")
			if err != nil {
				t.Fatal(err)
			}
			defer snapshot.Close()
			err = snapshot.CheckPush(t.Context())
			if _, denied := errors.AsType[*git.PermissionError](err); denied == tc.may ||
				tc.may && err != nil {
				t.Errorf("error %v", err)
			}
		})
	}
}

// startLimited puts a server in front of git that hides some of its capabilities and claims others, as older
// and other servers have them. Git then gets, and answers, requests that do not use what is hidden.
func startLimited(t *testing.T, srv *gittest.Server, hide, claim []string) func(repo string) gitrepo.Remote {
	t.Helper()
	backend, err := url.Parse(srv.HTTPSURL(repoName))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(srv.CAPEM())
	client := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(client.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = backend.Scheme, backend.Host, backend.Host
		},
		Transport: client,
		ModifyResponse: func(resp *http.Response) error {
			if !strings.HasSuffix(resp.Request.URL.Path, "/info/refs") || resp.StatusCode != http.StatusOK {
				return nil
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			if body, err = limitCapabilities(body, hide, claim); err != nil {
				return err
			}
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	}
	front := httptest.NewTLSServer(proxy)
	t.Cleanup(front.Close)
	return func(repo string) gitrepo.Remote {
		return gitrepo.Remote{URL: front.URL + "/" + repo + ".git", CAPEM: certificate(front),
			Auth: gitrepo.TokenAuth{Token: secret.New(token)}}
	}
}

// limitCapabilities rewrites the one line of a list of references that holds the capabilities.
func limitCapabilities(list []byte, hide, claim []string) ([]byte, error) {
	nul := bytes.IndexByte(list, 0)
	if nul < 0 {
		return list, nil
	}
	end := nul + bytes.IndexByte(list[nul:], '\n')
	begin := bytes.LastIndexByte(list[:nul], '\n') + 1
	if bytes.HasPrefix(list[begin:], []byte("0000")) {
		begin += 4 // the flush packet behind the service's line
	}
	capabilities := strings.Fields(string(list[nul+1 : end]))
	capabilities = slices.DeleteFunc(capabilities, func(c string) bool {
		name, _, _ := strings.Cut(c, "=")
		return slices.Contains(hide, name)
	})
	line := fmt.Sprintf("%s\x00 %s\n", list[begin+4:nul], strings.Join(append(capabilities, claim...), " "))
	if len(line)+4 > 0xfff0 {
		return nil, fmt.Errorf("a line of %d bytes", len(line))
	}
	return slices.Concat(list[:begin], fmt.Appendf(nil, "%04x", len(line)+4), []byte(line), list[end+1:]), nil
}

// A run works, with the same result, whatever a server lacks.
func TestServersWithFewCapabilities(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		hide, claim []string
	}{
		{name: "no filter", hide: []string{"filter"}},
		{name: "no single objects", hide: []string{"allow-tip-sha1-in-want", "allow-reachable-sha1-in-want",
			"allow-any-sha1-in-want"}},
		{name: "no shallow", hide: []string{"shallow", "filter"}},
		{name: "no side band", hide: []string{"side-band", "side-band-64k"}},
		{name: "no offset deltas", hide: []string{"ofs-delta"}},
		{name: "no report", hide: []string{"report-status", "report-status-v2"}},
		{name: "no symbolic references", hide: []string{"symref"}},
		{name: "no thin packs", claim: []string{"no-thin"}},
		{name: "nothing", hide: []string{
			"filter", "allow-tip-sha1-in-want", "allow-reachable-sha1-in-want", "shallow", "deepen-since",
			"deepen-not", "deepen-relative", "side-band", "side-band-64k", "ofs-delta", "report-status",
			"report-status-v2", "symref", "agent", "no-progress", "multi_ack", "multi_ack_detailed",
			"thin-pack", "include-tag", "no-done", "object-format", "quiet", "atomic", "delete-refs",
			"session-id", "object-info",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := startHTTPS(t)
			files := map[string]string{"README.md": "hello\n"}
			for n := range 40 {
				files[clusterPath(n)] = clusterSpec(n, 1)
			}
			repo := f.srv.AddRepo(repoName, gittest.WithFiles(files))
			for n := range 3 {
				// A history, and a branch of the same commit as the default one.
				repo.Commit(gittest.Change{Branch: "main", Message: "scale",
					Files: map[string]string{clusterPath(n): clusterSpec(n, 2)}})
			}
			repo.Git("branch", "other", "main")
			remote := startLimited(t, f.srv, test.hide, test.claim)

			s := mustFetch(t, remote(repoName), "main")
			if s.DefaultBranch() != "main" || s.Head() != repo.Head("main") {
				t.Errorf("the snapshot is %s at %s, want main at %s",
					s.DefaultBranch(), s.Head(), repo.Head("main"))
			}
			if got, err := s.Read(t.Context(), clusterPath(1)); err != nil ||
				string(got) != clusterSpec(1, 2) {
				t.Errorf("reading: %q, %v", got, err)
			}
			commit := mustCommit(t, s, write(clusterPath(7), clusterSpec(7, 3)), write("new/file", "x\n"))
			if err := s.Push(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
			if got := repo.Head("main"); got != commit.Hash() {
				t.Errorf("main is at %s, want %s", got, commit.Hash())
			}
			if got, _ := repo.File("main", clusterPath(7)); got != clusterSpec(7, 3) {
				t.Errorf("the file holds %q", got)
			}
			repo.Git("fsck", "--strict")

			// The next branch is made on the default one's commit.
			s = mustFetch(t, remote(repoName), "fresh")
			if s.State() != git.BranchMissing || s.Head() != commit.Hash() {
				t.Fatalf("the missing branch is %v at %s", s.State(), s.Head())
			}
			next := mustCommit(t, s, write("b", "1\n"))
			if err := s.Push(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			if got := repo.Head("fresh"); got != next.Hash() {
				t.Errorf("fresh is at %s, want %s", got, next.Hash())
			}
		})
	}
}
