package gitrepo_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// special is a repository with everything in it that a directory can hold.
func special(t *testing.T) (fixture, *gittest.Repo) {
	t.Helper()
	f := startSSH(t)
	repo := f.srv.AddRepo(repoName)
	_, err := repo.TryGit([]byte(`commit refs/heads/main
committer A <a@example.com> 1700000000 +0000
data 1
x
M 100644 inline README.md
data 6
hello

M 100755 inline bin/run
data 3
#!

M 120000 inline link
data 4
/etc
M 120000 inline clusters/evil
data 8
../../..
M 160000 1234567890123456789012345678901234567890 vendor/lib
M 100644 inline clusters/dev/eksa-system/eksa-cluster.yaml
data 2
1

M 100644 inline clusters/dev/notes.txt
data 2
n

`), "fast-import", "--quiet")
	if err != nil {
		t.Fatal(err)
	}
	return f, repo
}

func TestLookup(t *testing.T) {
	t.Parallel()
	f, repo := special(t)
	s := mustFetch(t, f.remote(repoName), "main")
	for path, mode := range map[string]git.Mode{
		"README.md": git.File, "bin": git.Dir, "bin/run": git.Executable, "link": git.Symlink,
		"vendor/lib": git.Submodule, "clusters/dev/eksa-system/eksa-cluster.yaml": git.File,
		"none": 0, "clusters/none/x": 0, "README.md/x": 0, "link/passwd": 0, "vendor/lib/x": 0,
	} {
		e, ok, err := s.Lookup(path)
		if err != nil || ok != (mode != 0) || e.Mode != mode {
			t.Errorf("%s: %+v, %v, %v", path, e, ok, err)
		}
		if ok && mode != git.Submodule && strings.TrimSpace(repo.Git("rev-parse", "main:"+path)) != e.BlobID {
			t.Errorf("%s: id %s", path, e.BlobID)
		}
	}
	root, err := s.List("")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range root {
		names = append(names, e.Path+" "+e.Mode.String())
	}
	if want := []string{"README.md file", "bin directory", "clusters directory", "link symlink",
		"vendor directory"}; !reflect.DeepEqual(names, want) {
		t.Errorf("root is %q", names)
	}
	if inner, err := s.List("clusters/dev"); err != nil || len(inner) != 2 ||
		inner[0].Path != "clusters/dev/eksa-system" {
		t.Errorf("clusters/dev is %+v, %v", inner, err)
	}
	if none, err := s.List("clusters/none"); err != nil || none != nil {
		t.Errorf("a missing directory is %v, %v", none, err)
	}
	if _, err := s.List("link"); !is[*git.PathError](err) {
		t.Errorf("listing a link: %v", err)
	}
}

// What is in the way is named, and nothing is written through it.
func TestCommit_entryInTheWay(t *testing.T) {
	t.Parallel()
	f, _ := special(t)
	s := mustFetch(t, f.remote(repoName), "main")
	for _, c := range []struct {
		path, entry string
		mode        git.Mode
	}{
		{"link/passwd", "link", git.Symlink},
		{"link", "link", git.Symlink},
		{"clusters/evil/eksa-system/eksa-cluster.yaml", "clusters/evil", git.Symlink},
		{"vendor/lib/a/b", "vendor/lib", git.Submodule},
		{"vendor/lib", "vendor/lib", git.Submodule},
		{"README.md/a", "README.md", git.File},
		{"clusters/dev", "clusters/dev", git.Dir},
	} {
		for _, del := range []bool{false, true} {
			_, err := s.Commit([]git.Edit{{Path: c.path, Content: []byte("x"), Delete: del}}, options("x"))
			e := asError[*git.PathError](t, err)
			if e.Path != c.path || e.Entry != c.entry || e.Mode != c.mode {
				t.Errorf("%s: %+v", c.path, e)
			}
		}
	}
}

func TestCommit_unsafePaths(t *testing.T) {
	t.Parallel()
	f := startSSH(t)
	f.srv.AddRepo(repoName, readme())
	s := mustFetch(t, f.remote(repoName), "main")
	for _, path := range []string{
		"", "/etc/passwd", "../x", "a/../../x", "a/..", "./a", "a/./b", "a//b", "a/", ".git/config",
		"a/.GIT/hooks/x", "a/.git", ".git./x", ".git /x", "git~1/x", "GIT~1", ".git:stream/x", ".g\u200cit/x",
		`a\b`, `..\x`, "a\x00b", "a\nb", "a\x1b[2Jb", "a\u0085b", "a\xffb", strings.Repeat("x", 256),
		strings.Repeat("x/", 3000) + "x",
	} {
		for _, call := range []func() error{
			func() error { _, err := s.Commit([]git.Edit{write(path, "x")}, options("x")); return err },
			func() error { _, _, err := s.Lookup(path); return err },
			func() error { _, err := s.Read(t.Context(), path); return err },
		} {
			if err := call(); !is[*git.PathError](err) {
				t.Errorf("%q: error is %v, want a *PathError", path, err)
			}
		}
	}
	for _, edits := range [][]git.Edit{
		{write("a", "1"), write("a", "2")},
		{write("a", "1"), write("a/b", "2")},
		{write("a/b", "1"), write("a", "2")},
	} {
		if _, err := s.Commit(edits, options("x")); !is[*git.PathError](err) {
			t.Errorf("%v: error is %v, want a *PathError", edits, err)
		}
	}
	for _, path := range []string{"a..b", "..a", ".gitignore", ".github/x", "git", "a b", "ä/ö", "~x", "-x"} {
		if _, err := s.Commit([]git.Edit{write(path, "x")}, options("x")); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestCommit_changes(t *testing.T) {
	t.Parallel()
	f, repo := special(t)
	s := mustFetch(t, f.remote(repoName), "main")
	c := mustCommit(t, s,
		write("clusters/dev/eksa-system/eksa-cluster.yaml", "2\n"),
		write("bin/run", "#!/bin/sh\n"),
		write("README.md", "hello\n"),
		write("new/deep/er/x", "1\n"),
		git.Edit{Path: "clusters/dev/notes.txt", Delete: true},
		git.Edit{Path: "clusters/none/at/all", Delete: true},
	)
	want := []gitrepo.Change{{Path: "bin/run", Kind: gitrepo.Modified},
		{Path: "clusters/dev/eksa-system/eksa-cluster.yaml", Kind: gitrepo.Modified},
		{Path: "clusters/dev/notes.txt", Kind: gitrepo.Deleted}, {Path: "new/deep/er/x", Kind: gitrepo.Added}}
	if got := c.Changes(); !reflect.DeepEqual(got, want) {
		t.Errorf("changes are %+v", got)
	}
	if again := mustCommit(t, s, write("bin/run", "#!/bin/sh\n")); c.Parent() != s.Head() ||
		again.Hash() == c.Hash() {
		t.Error("commits are mixed up")
	}
	if err := s.Push(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	repo.Git("fsck", "--strict")
	tree := repo.Git("ls-tree", "-r", "main")
	for _, line := range []string{"100755 blob", "120000 blob",
		"160000 commit 1234567890123456789012345678901234567890\tvendor/lib", "\tnew/deep/er/x"} {
		contains(t, tree, line)
	}
	if strings.Contains(tree, "notes.txt") {
		t.Error("the deleted file is there")
	}
	if got := strings.TrimSpace(repo.Git("rev-parse", "main^{tree}")); got != c.Tree() {
		t.Errorf("tree is %s, want %s", got, c.Tree())
	}
}

// Deleting everything leaves a commit with an empty directory, as git would make it.
func TestCommit_deleteEverything(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, gittest.WithFiles(map[string]string{"a/b/c": "1\n"}))
		s := mustFetch(t, f.remote(repoName), "main")
		if err := s.Push(t.Context(), mustCommit(t, s, git.Edit{Path: "a/b/c", Delete: true})); err != nil {
			t.Fatal(err)
		}
		equalFiles(t, repo.Files("main"), nil)
		again := mustFetch(t, f.remote(repoName), "main")
		if err := again.Push(t.Context(), mustCommit(t, again, write("x", "1\n"))); err != nil {
			t.Fatal(err)
		}
		equalFiles(t, repo.Files("main"), map[string]string{"x": "1\n"})
		repo.Git("fsck", "--strict")
	})
}

// Same input, same commit; what is not the input's does not get in.
func TestCommit_isDeterministic(t *testing.T) {
	t.Parallel()
	f := startSSH(t)
	f.srv.AddRepo(repoName, readme())
	s := mustFetch(t, f.remote(repoName), "main")
	edits := []git.Edit{write("b", "1\n"), write("a/c", "2\n"), write("a.b", "3\n")}
	first := mustCommit(t, s, edits...)
	second := mustCommit(t, mustFetch(t, f.remote(repoName), "main"), edits[2], edits[0], edits[1])
	if first.Hash() != second.Hash() {
		t.Errorf("%s and %s", first.Hash(), second.Hash())
	}
	odd, err := s.Commit(edits, git.CommitOptions{Message: "x",
		Author: git.Identity{Name: "A\n<B>", Email: "a@b>\ncommitter x"}, When: when})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Push(t.Context(), odd); err != nil {
		t.Fatal(err)
	}
	if log := f.srv.Repo(repoName).Log("main")[0]; log.Author != "AB" ||
		log.AuthorEmail != "a@bcommitter x" || log.Committer != "AB" {
		t.Errorf("commit is %+v", log)
	}
}

// Random edits give the same tree as git's own index, names that sort oddly included.
func TestCommit_agreesWithGit(t *testing.T) {
	t.Parallel()
	f := startSSH(t)
	repo := f.srv.AddRepo(repoName, readme())
	random := rand.New(rand.NewPCG(7, 11))
	names := []string{"a", "a.b", "a-b", "a0", "aa", "b", "a b", "A", "z~"}
	want := map[string]string{"README.md": "hello\n"}
	for range 25 {
		s := mustFetch(t, f.remote(repoName), "main")
		next := maps.Clone(want)
		var edits []git.Edit
		for range 1 + random.IntN(6) {
			// Files are f..., directories are d...: neither gets into the other's way.
			path := "d" + names[random.IntN(len(names))] + "/f" + names[random.IntN(len(names))]
			if random.IntN(2) == 0 {
				path = "f" + names[random.IntN(len(names))]
			}
			if random.IntN(3) == 0 {
				path = "d" + names[random.IntN(len(names))] + "/" + path
			}
			if overlaps(edits, path) {
				continue
			}
			if random.IntN(3) == 0 {
				edits = append(edits, git.Edit{Path: path, Delete: true})
				delete(next, path)
				continue
			}
			content := fmt.Sprintf("%d\n", random.IntN(5))
			edits = append(edits, write(path, content))
			next[path] = content
		}
		c, err := s.Commit(edits, options("x"))
		if errors.Is(err, git.ErrNoChange) {
			if !maps.Equal(want, next) {
				t.Fatalf("no change, but %v is not %v", want, next)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Push(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		want = next
	}
	equalFiles(t, repo.Files("main"), want)
	repo.Git("fsck", "--strict")
	if len(repo.Log("main")) < 15 {
		t.Errorf("only %d commits", len(repo.Log("main")))
	}
}

func overlaps(edits []git.Edit, path string) bool {
	for _, e := range edits {
		if e.Path == path || strings.HasPrefix(e.Path, path+"/") || strings.HasPrefix(path, e.Path+"/") {
			return true
		}
	}
	return false
}

func TestParseRemoteURL(t *testing.T) {
	t.Parallel()
	const codeCommit = "git-codecommit.eu-west-1.amazonaws.com"
	for text, want := range map[string]string{
		"https://github.com/acme/fleet.git": "https://github.com/acme/fleet.git https  github.com 443 " +
			"/acme/fleet.git",
		"https://git.example.com:8443/a": "https://git.example.com:8443/a https  git.example.com 8443 /a",
		"https://[::1]:8443/a":           "https://[::1]:8443/a https  ::1 8443 /a",
		"ssh://git@example.com/acme/fleet.git": "ssh://git@example.com/acme/fleet.git ssh git example.com " +
			"22 /acme/fleet.git",
		"ssh://example.com:2222/x":        "ssh://git@example.com:2222/x ssh git example.com 2222 /x",
		"ssh://git@example.com:22/x":      "ssh://git@example.com/x ssh git example.com 22 /x",
		"ssh://git@[2001:db8::1]/x":       "ssh://git@[2001:db8::1]/x ssh git 2001:db8::1 22 /x",
		"ssh://git@[2001:db8::1]:2222/x":  "ssh://git@[2001:db8::1]:2222/x ssh git 2001:db8::1 2222 /x",
		"ssh://me@example.com/~/x.git":    "ssh://me@example.com/~/x.git ssh me example.com 22 ~/x.git",
		"ssh://me@example.com/~you/x.git": "ssh://me@example.com/~you/x.git ssh me example.com 22 ~you/x.git",
		"git@github.com:acme/fleet.git": "ssh://git@github.com/acme/fleet.git ssh git github.com 22 " +
			"/acme/fleet.git",
		"github.com:acme/fleet.git": "ssh://git@github.com/acme/fleet.git ssh git github.com 22 " +
			"/acme/fleet.git",
		"git@[2001:db8::1]:x.git": "ssh://git@[2001:db8::1]/x.git ssh git 2001:db8::1 22 /x.git",
		"APKAEXAMPLE@" + codeCommit + ":/v1/repos/x": "ssh://APKAEXAMPLE@" + codeCommit +
			"/v1/repos/x ssh APKAEXAMPLE " +
			codeCommit + " 22 /v1/repos/x",
		"ssh://APKAEXAMPLE@" + codeCommit + "/v1/repos/x": "ssh://APKAEXAMPLE@" + codeCommit +
			"/v1/repos/x ssh APKAEXAMPLE " + codeCommit + " 22 /v1/repos/x",
	} {
		u, err := gitrepo.ParseRemoteURL(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := fmt.Sprintf("%s %s %s %s %d %s", u, u.Scheme, u.User, u.Host, u.Port, u.Path); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if (u.Notice != "") != !strings.Contains(text, "://") {
			t.Errorf("%s: notice is %q", text, u.Notice)
		}
	}
	for _, text := range []string{
		"", "x", "/local/path", "file:///x", "http://example.com/x", "git://example.com/x", "https://",
		"https://example.com", "https://example.com/", "https://alice:sentinel@example.com/x",
		"https://example.com/x?token=sentinel", "ssh://git:sentinel@example.com/x", "ssh://example.com",
		"ssh://git@/x", "ssh://-oProxyCommand=x/y", "-x@example.com:y", "git@example.com:",
		"ssh://git@example.com:99999/x", "https://exa mple.com/x", "git@example.com:x\ny",
		"https://exam\x7fple.com/x", "https://%zz:sentinel@example.com/x",
	} {
		_, err := gitrepo.ParseRemoteURL(text)
		if err == nil || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("%q: error is %v", text, err)
		}
	}
}

func TestCheckBranchName(t *testing.T) {
	t.Parallel()
	f := startSSH(t)
	repo := f.srv.AddRepo(repoName, readme())
	for _, name := range []string{"main", "feature/x", "a.b", "v1", "ä", "x-y_z", "a@b"} {
		if err := gitrepo.CheckBranchName(name); err != nil {
			t.Error(err)
		}
		if _, err := repo.TryGit(nil, "check-ref-format", "--branch", name); err != nil {
			t.Errorf("git: %v", err)
		}
	}
	for _, name := range []string{"", "@", "HEAD", "-x", "a..b", "a@{b", "a//b", "/a", "a/", "a.",
		"refs/heads/x", "a b", "a~", "a^", "a:b", "a?", "a*", "a[", `a\b`, "a\x1bb", ".a", "a/.b", "a.lock",
		"a.lock/b", "a\xffb", strings.Repeat("x", 300)} {
		if err := gitrepo.CheckBranchName(name); err == nil {
			t.Errorf("%q is taken", name)
		}
		if _, err := gitrepo.Fetch(t.Context(), f.remote(repoName), name); err == nil {
			t.Errorf("%q is fetched", name)
		}
	}
}
