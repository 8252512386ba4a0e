package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

const historyPath = "clusters/dev/eksa-system/eksa-cluster.yaml"

// manyCommits are n commits, of which those at the given places, counted from the oldest, change historyPath.
func manyCommits(n int, at ...int) gittest.RepoOption {
	changes := make([]gittest.Change, 0, n)
	for i := range n {
		c := gittest.Change{Message: fmt.Sprintf("Commit %d", i),
			Files: map[string]string{fmt.Sprintf("clusters/c%d/spec.yaml", i%7): fmt.Sprintf("n: %d\n", i)},
			When:  when.Add(time.Duration(i) * time.Hour)}
		if slices.Contains(at, i) {
			c.Files[historyPath] = fmt.Sprintf("version: %d\n", i)
		}
		changes = append(changes, c)
	}
	return gittest.WithCommits(changes...)
}

// gitLog is what git itself says about a path.
func gitLog(repo *gittest.Repo, path string) []string {
	return strings.Fields(repo.Git("log", "--format=%H", "main", "--", path))
}

func commitsOf(revisions []git.Revision) []string {
	var out []string
	for _, r := range revisions {
		out = append(out, r.Commit)
	}
	return out
}

// The revisions of a path are those that git log gives, with what the file was, over every transport and
// whatever a server lacks.
func TestHistory(t *testing.T) {
	t.Parallel()
	servers := []struct {
		name   string
		config []gittest.RepoOption
		limit  func(t *testing.T, f fixture) func(string) gitrepo.Remote
	}{
		{name: "all"},
		{name: "no filter",
			config: []gittest.RepoOption{gittest.WithConfig("uploadpack.allowFilter", "false")}},
		{name: "only tips",
			config: []gittest.RepoOption{gittest.WithConfig("uploadpack.allowAnySHA1InWant", "false")}},
		{name: "few capabilities", limit: func(t *testing.T, f fixture) func(string) gitrepo.Remote {
			return startLimited(t, f.srv, []string{"filter", "multi_ack", "multi_ack_detailed", "side-band",
				"side-band-64k", "ofs-delta", "allow-any-sha1-in-want", "allow-tip-sha1-in-want",
				"allow-reachable-sha1-in-want"},
				nil)
		}},
		{name: "no shallow", limit: func(t *testing.T, f fixture) func(string) gitrepo.Remote {
			return startLimited(t, f.srv,
				[]string{"shallow", "deepen-since", "deepen-not", "deepen-relative"}, nil)
		}},
		{name: "filters, but nothing single and no shallow",
			limit: func(t *testing.T, f fixture) func(string) gitrepo.Remote {
				return startLimited(t, f.srv, []string{"shallow",
					"allow-any-sha1-in-want", "allow-tip-sha1-in-want", "allow-reachable-sha1-in-want"},
					nil)
			}},
	}
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			f := tr.start(t)
			for i, server := range servers {
				if server.limit != nil && tr.name != "https" {
					continue
				}
				t.Run(server.name, func(t *testing.T) {
					t.Parallel()
					name := fmt.Sprintf("acme/fleet-%d", i)
					remote := f.remote(name)
					if server.limit != nil {
						name = repoName
						own := startHTTPS(t)
						remote = server.limit(t, own)(name)
						checkHistory(t, own.srv.AddRepo(name, slices.Concat(server.config,
							[]gittest.RepoOption{manyCommits(120, 0, 3, 95, 110, 119)})...),
							remote)
						return
					}
					checkHistory(t, f.srv.AddRepo(name, slices.Concat(server.config,
						[]gittest.RepoOption{manyCommits(120, 0, 3, 95, 110, 119)})...),
						remote)
				})
			}
		})
	}
}

func checkHistory(t *testing.T, repo *gittest.Repo, remote gitrepo.Remote) {
	t.Helper()
	repo.Commit(gittest.Change{Delete: []string{historyPath}, Message: "Delete it",
		When: when.Add(1000 * time.Hour)})
	s := mustFetch(t, remote, "main")
	revisions, err := s.History(t.Context(), historyPath, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := commitsOf(revisions), gitLog(repo, historyPath); !slices.Equal(got, want) ||
		len(want) != 6 {
		t.Fatalf("revisions %v\nwant %v", got, want)
	}
	for i, n := range []int{-1, 119, 110, 95, 3, 0} {
		r := revisions[i]
		if n < 0 {
			if _, err := s.ReadAt(t.Context(), r.Commit, historyPath); !r.Deleted || r.BlobID != "" ||
				r.Message != "Delete it\n" || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the newest revision is %+v, %v", r, err)
			}
			continue
		}
		content, err := s.ReadAt(t.Context(), r.Commit, historyPath)
		if err != nil || string(content) != fmt.Sprintf("version: %d\n", n) {
			t.Errorf("at %d: %q, %v", n, content, err)
		}
		if want := strings.TrimSpace(repo.Git("rev-parse", r.Commit+":"+historyPath)); r.BlobID != want ||
			r.Deleted || r.Author != "Test User" || r.AuthorEmail != "test@example.com" ||
			!r.When.Equal(when.Add(time.Duration(n)*time.Hour)) ||
			r.Message != fmt.Sprintf("Commit %d\n", n) {
			t.Errorf("revision %d is %+v, blob %s", n, r, want)
		}
	}
	if few, err := s.History(t.Context(), historyPath, 2); err != nil ||
		!slices.Equal(commitsOf(few), commitsOf(revisions[:2])) {
		t.Errorf("two of them: %v, %v", few, err)
	}
	for _, rev := range []string{"main", "main~1", "main~100", "main~120"} {
		if lacks, err := mustFetch(t, remote, "main").Lacks(t.Context(), repo.Resolve(rev)); lacks ||
			err != nil {
			t.Errorf("it lacks %s: %v, %v", rev, lacks, err)
		}
	}
	if lacks, err := mustFetch(t, remote, "main").Lacks(t.Context(), strings.Repeat("1", 40)); !lacks ||
		err != nil {
		t.Errorf("it lacks a commit of another history: %v, %v", lacks, err)
	}
	if dir, err := s.History(t.Context(), "clusters/dev", 1); err != nil || len(dir) != 1 ||
		dir[0].Commit != revisions[0].Commit || !dir[0].Deleted {
		t.Errorf("of the directory: %+v, %v", dir, err)
	}
	if none, err := s.History(t.Context(), "clusters/other/file", 0); err != nil || none != nil {
		t.Errorf("of what never was: %v, %v", none, err)
	}
	// The snapshot is still good for what it is there for.
	commit := mustCommit(t, s, write(historyPath, "version: new\n"))
	if err := s.Push(t.Context(), commit); err != nil || repo.Head("main") != commit.Hash() {
		t.Errorf("pushing afterwards: %v", err)
	}
	repo.Git("fsck", "--strict")
}

// No more of the past is transferred than it takes, and nothing twice.
func TestHistory_transfers(t *testing.T) {
	t.Parallel()
	f := startHTTPS(t)
	repo := f.srv.AddRepo(repoName, manyCommits(2400, 0, 150, 2150, 2300, 2390, 2399))
	for _, c := range []struct {
		limit, revisions int
		fetches          int64 // the first one included
	}{{1, 1, 2}, {2, 2, 2}, {3, 3, 3}, {4, 4, 4}, {6, 4, 4}} {
		remote := f.remote(repoName)
		remote.Stats = &gitrepo.Stats{}
		s := mustFetch(t, remote, "main")
		first := remote.Stats.Totals()
		revisions, err := s.History(t.Context(), historyPath, c.limit)
		if err != nil || !slices.Equal(commitsOf(revisions), gitLog(repo, historyPath)[:c.revisions]) {
			t.Errorf("%d: %v, %v", c.limit, commitsOf(revisions), err)
		}
		totals := remote.Stats.Totals()
		if totals.Fetches != c.fetches {
			t.Errorf("%d: %d fetches, want %d", c.limit, totals.Fetches, c.fetches)
		}
		// 20 commits are some 200 bytes each, and as much for their directories.
		if received := totals.BytesReceived - first.BytesReceived; c.fetches == 2 && received > 112<<10 {
			t.Errorf("%d: %d bytes for 20 commits", c.limit, received)
		}
		if again, err := s.History(t.Context(), historyPath, c.limit); err != nil ||
			len(again) != c.revisions || remote.Stats.Totals().Fetches != c.fetches {
			t.Errorf("%d: again %d, %v", c.limit, len(again), err)
		}
	}
}

// A merge leads to the line on which the change was made.
func TestHistory_merges(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, manyCommits(30, 2))
		merge := func(message string, result gittest.Change, parents ...string) string {
			result.Branch = "result"
			repo.Git("branch", "--force", "result", "main")
			tree := repo.Commit(result) + "^{tree}"
			args := []string{"-c", "user.name=Ann", "-c", "user.email=ann@example.com", "commit-tree", tree,
				"-m", message}
			for _, p := range parents {
				args = append(args, "-p", p)
			}
			sha := strings.TrimSpace(repo.Git(args...))
			repo.Git("update-ref", "refs/heads/main", sha)
			repo.Git("branch", "-D", "result")
			return sha
		}
		// A pull request changes the file.
		repo.Git("branch", "pr-1", "main")
		made := repo.Commit(gittest.Change{Branch: "pr-1", Message: "Scale\n\nEksa-Gitops-Clusters: dev\n",
			Files: map[string]string{historyPath: "pr: 1\n"}})
		repo.Commit(gittest.Change{Branch: "main", Files: map[string]string{"other": "1\n"}})
		merge("Merge pull request #1", gittest.Change{Files: map[string]string{historyPath: "pr: 1\n"}},
			"main", "pr-1")
		// Another one changes something else.
		repo.Git("branch", "pr-2", "main")
		repo.Commit(gittest.Change{Branch: "pr-2", Files: map[string]string{"third": "1\n"}})
		merge("Merge pull request #2", gittest.Change{Files: map[string]string{"third": "1\n"}},
			"main", "pr-2")

		s := mustFetch(t, f.remote(repoName), "main")
		revisions, err := s.History(t.Context(), historyPath, 0)
		if err != nil || !slices.Equal(commitsOf(revisions), gitLog(repo, historyPath)) ||
			len(revisions) != 2 || revisions[0].Commit != made {
			t.Fatalf("revisions %+v, %v; git says %v", revisions, err, gitLog(repo, historyPath))
		}
		if got := revisions[0].Trailer("eksa-gitops-clusters"); !slices.Equal(got, []string{"dev"}) {
			t.Errorf("trailer %q", got)
		}

		// Both sides change the file: the merge is a revision, and the line goes on with the first parent.
		repo.Git("branch", "pr-3", "main")
		repo.Commit(gittest.Change{Branch: "pr-3", Files: map[string]string{historyPath: "pr: 3\n"}})
		ours := repo.Commit(gittest.Change{Branch: "main",
			Files: map[string]string{historyPath: "ours: 3\n"}})
		both := merge("Merge pull request #3",
			gittest.Change{Files: map[string]string{historyPath: "both: 3\n"}}, "main", "pr-3")
		s = mustFetch(t, f.remote(repoName), "main")
		if revisions, err = s.History(t.Context(), historyPath, 3); err != nil ||
			!slices.Equal(commitsOf(revisions), []string{both, ours, made}) {
			t.Errorf("revisions %v, %v; want %v", commitsOf(revisions), err, []string{both, ours, made})
		}
	})
}

// Where the server's own history is cut off, its oldest commit counts as the one that made the file.
func TestHistory_shallowServer(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, manyCommits(60, 2, 30, 50))
		cut := strings.TrimSpace(repo.Git("rev-parse", "main~25"))
		if err := os.WriteFile(filepath.Join(repo.Dir(), "shallow"), []byte(cut+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustFetch(t, f.remote(repoName), "main")
		revisions, err := s.History(t.Context(), historyPath, 0)
		if want := gitLog(repo, historyPath); err != nil || !slices.Equal(commitsOf(revisions), want) ||
			len(want) != 2 || want[1] != cut {
			t.Fatalf("revisions %v, %v; git says %v", commitsOf(revisions), err, want)
		}
		if content, err := s.ReadAt(t.Context(), cut, historyPath); err != nil ||
			string(content) != "version: 30\n" {
			t.Errorf("read %q, %v", content, err)
		}
		// What is missing may be where the server's history does not go.
		if lacks, err := s.Lacks(t.Context(), strings.Repeat("1", 40)); lacks || err != nil {
			t.Errorf("it lacks a commit: %v, %v", lacks, err)
		}
	})
}

func TestHistory_emptyAndMissing(t *testing.T) {
	t.Parallel()
	f := startHTTPS(t)
	f.srv.AddRepo(repoName)
	s := mustFetch(t, f.remote(repoName), "main")
	if revisions, err := s.History(t.Context(), historyPath, 0); err != nil || revisions != nil {
		t.Errorf("of an empty repository: %v, %v", revisions, err)
	}
	if _, err := s.ReadAt(t.Context(), strings.Repeat("1", 40), historyPath); !errors.Is(err,
		fs.ErrNotExist) {
		t.Errorf("reading in an empty repository: %v", err)
	}
	if lacks, err := s.Lacks(t.Context(), strings.Repeat("1", 40)); !lacks || err != nil {
		t.Errorf("an empty repository lacks a commit: %v, %v", lacks, err)
	}
	if lacks, err := s.Lacks(t.Context(), "main"); lacks || err != nil {
		t.Errorf("it lacks what is no commit: %v, %v", lacks, err)
	}
	repo := f.srv.AddRepo("acme/other", manyCommits(30, 0))
	s = mustFetch(t, f.remote("acme/other"), "topic")
	if revisions, err := s.History(t.Context(), historyPath, 0); err != nil ||
		!slices.Equal(commitsOf(revisions), gitLog(repo, historyPath)) {
		t.Errorf("of a branch that is not there yet: %v, %v", revisions, err)
	}
	for _, path := range []string{"", "../x", "a//b", ".git/config"} {
		if _, err := s.History(t.Context(), path, 0); !is[*git.PathError](err) {
			t.Errorf("history of %q: %v", path, err)
		}
		if _, err := s.ReadAt(t.Context(), repo.Head("main"), path); !is[*git.PathError](err) {
			t.Errorf("reading %q: %v", path, err)
		}
	}
	if _, err := s.ReadAt(t.Context(), repo.Head("main"), "clusters"); !is[*git.PathError](err) {
		t.Errorf("reading a directory: %v", err)
	}
	tree := strings.TrimSpace(repo.Git("rev-parse", "main^{tree}"))
	for _, commit := range []string{"", "main", strings.Repeat("1", 40), tree, "\x1b[31m"} {
		if _, err := s.ReadAt(t.Context(), commit, historyPath); !errors.Is(err, fs.ErrNotExist) ||
			strings.Contains(err.Error(), "\x1b") {
			t.Errorf("reading at %q: %v", commit, err)
		}
	}
	// A commit that nobody asked for yet is looked for.
	s = mustFetch(t, f.remote("acme/other"), "main")
	if content, err := s.ReadAt(t.Context(), strings.TrimSpace(repo.Git("rev-parse", "main~29")),
		historyPath); err != nil || string(content) != "version: 0\n" {
		t.Errorf("reading at the first commit: %q, %v", content, err)
	}
}

// After the branch has moved, the history of the snapshot is still to be had, where the server gives out what
// is no tip.
func TestHistory_movedBranch(t *testing.T) {
	t.Parallel()
	for _, config := range []string{"true", "false"} {
		eachTransport(t, func(t *testing.T, f fixture) {
			repo := f.srv.AddRepo("acme/moved-"+config, manyCommits(30, 1, 20),
				gittest.WithConfig("uploadpack.allowAnySHA1InWant", config))
			s := mustFetch(t, f.remote("acme/moved-"+config), "main")
			want := gitLog(repo, historyPath)
			repo.Commit(gittest.Change{Files: map[string]string{historyPath: "later\n"}})
			revisions, err := s.History(t.Context(), historyPath, 0)
			// Over HTTPS, where every request stands alone, git allows for the race itself.
			if (config == "true" || strings.HasPrefix(s.Remote(), "https:")) &&
				(err != nil || !slices.Equal(commitsOf(revisions), want)) {
				t.Errorf("revisions %v, %v", commitsOf(revisions), err)
			}
			if config == "false" && strings.HasPrefix(s.Remote(), "ssh:") &&
				!errors.Is(err, git.ErrTransient) {
				t.Errorf("revisions %v, %v; want a transient error", commitsOf(revisions), err)
			}
		})
	}
}

func TestHistory_bounds(t *testing.T) {
	t.Parallel()
	f := startHTTPS(t)
	repo := f.srv.AddRepo(repoName, manyCommits(300, 0, 285, 299))
	remote := f.remote(repoName)
	remote.Limits.Pack = 12 << 10
	s := mustFetch(t, remote, "main")
	revisions, err := s.History(t.Context(), historyPath, 0)
	if !is[*git.LimitError](err) || !slices.Equal(commitsOf(revisions), gitLog(repo, historyPath)[:2]) {
		t.Errorf("revisions %v, %v", commitsOf(revisions), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s = mustFetch(t, f.remote(repoName), "main")
	if _, err := s.History(ctx, historyPath, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, kind := range []gittest.FaultKind{gittest.DropAfter, gittest.Garbage} {
		off := f.srv.Inject(gittest.Fault{Kind: kind, Service: gittest.Fetch, Bytes: 300,
			Text: "0008nonsense"})
		if _, err := s.History(t.Context(), historyPath, 0); err == nil {
			t.Errorf("fault %v: no error", kind)
		}
		off()
	}
	// What failed can be done again.
	if revisions, err := s.History(t.Context(), historyPath, 0); err != nil ||
		!slices.Equal(commitsOf(revisions), gitLog(repo, historyPath)) {
		t.Errorf("afterwards: %v, %v", revisions, err)
	}
}

// What a commit says is fit to be shown, and trailers are where git looks for them.
func TestHistory_messages(t *testing.T) {
	t.Parallel()
	f := startHTTPS(t)
	type trailer = git.Trailer
	cases := []struct {
		message, want string
		trailers      []trailer
	}{
		{message: "Subject\n\nA: 1\nB-c: 2 3\n",
			trailers: []trailer{{Key: "A", Value: "1"}, {Key: "B-c", Value: "2 3"}}},
		{message: "Subject\n\nBody: yes\n\nA: 1\n  more\nA: 2\n\n\n",
			trailers: []trailer{{Key: "A", Value: "1 more"}, {Key: "A", Value: "2"}}},
		{message: "A: 1\n"},
		{message: "Subject\n\nA: 1\nno trailer\n"},
		{message: "Subject\n\nA: 1\n\nwords\n"},
		{message: "Subject\n\nhttps://example.com\n",
			trailers: []trailer{{Key: "https", Value: "//example.com"}}},
		{message: "Subject \x1b[31mred\x1b[0m\r\n\r\nA: \x00\u202e1\n", want: "Subject red\n\nA: 1\n",
			trailers: []trailer{{Key: "A", Value: "1"}}},
	}
	repo := f.srv.AddRepo(repoName)
	for i, c := range cases {
		message := strings.ReplaceAll(c.message, "\x00", "")
		repo.Commit(gittest.Change{Branch: "main", Message: message, Author: "Ann \x1b[31mX",
			Email: "ann@example.com", Files: map[string]string{historyPath: fmt.Sprint(i)}})
	}
	revisions, err := mustFetch(t, f.remote(repoName), "main").History(t.Context(), historyPath, 0)
	if err != nil || len(revisions) != len(cases) {
		t.Fatalf("%d revisions, %v", len(revisions), err)
	}
	slices.Reverse(revisions)
	for i, c := range cases {
		want := c.want
		if want == "" {
			want = c.message
		}
		if r := revisions[i]; r.Message != want || !slices.Equal(r.Trailers, c.trailers) ||
			r.Author != "Ann X" {
			t.Errorf("%q: %+v", c.message, r)
		}
	}
}
