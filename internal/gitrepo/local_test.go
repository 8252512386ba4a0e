package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// clone is a repository made by git itself.
type clone struct {
	t   *testing.T
	dir string
}

// newClone makes an empty repository on branch main with one commit, as somebody with no configuration of their own.
func newClone(t *testing.T) *clone {
	t.Helper()
	c := &clone{t: t, dir: filepath.Join(t.TempDir(), "repo")}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.git("init", "--quiet", "--initial-branch=main")
	c.write("a.yaml", "a: 1\n")
	c.commit("one")
	return c
}

func (c *clone) git(args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "git", append([]string{"-c", "protocol.file.allow=always", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", c.dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits everything, each commit a minute after the one before.
func (c *clone) commit(message string) string {
	c.t.Helper()
	c.git("add", "--all")
	n := c.git("rev-list", "--all", "--count")
	c.git("-c", "user.name=a", "commit", "--quiet", "--allow-empty", "--message", message, "--date", fmt.Sprintf("2026-01-01T00:%02s:00Z", n))
	return c.git("rev-parse", "HEAD")
}

func (c *clone) write(name, content string) {
	c.t.Helper()
	file := filepath.Join(c.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clone) open() *gitrepo.Local { return openAt(c.t, c.dir) }

func openAt(t *testing.T, dir string) *gitrepo.Local {
	t.Helper()
	local, err := gitrepo.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Close(); err != nil {
			t.Error(err)
		}
	})
	return local
}

// sibling clones the repository as git does for users.
func (c *clone) sibling(args ...string) *clone {
	c.t.Helper()
	dir := filepath.Join(c.t.TempDir(), "clone")
	c.git(slices.Concat([]string{"clone", "--quiet"}, args, []string{"file://" + c.dir, dir})...)
	return &clone{t: c.t, dir: dir}
}

func TestLocal_Resolve(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	one := c.git("rev-parse", "HEAD")
	two := c.commit("two")
	c.git("tag", "light")
	c.git("tag", "--annotate", "--message=x", "release/v1", one)
	c.git("tag", "--annotate", "--message=x", "of-a-tag", "release/v1")
	c.git("switch", "--quiet", "--create", "feature/x", one)
	three := c.commit("three")
	c.git("switch", "--quiet", "main")
	c.git("merge", "--quiet", "--no-edit", "feature/x")
	merge := c.git("rev-parse", "HEAD")
	c.git("branch", "deadbeef", one) // a branch that looks like a hash
	far := c.sibling()
	far.git("fetch", "--quiet", "origin", "feature/x")
	for _, packed := range []bool{false, true} {
		if packed {
			far.git("gc", "--quiet")
			far.git("pack-refs", "--all")
		}
		local := far.open()
		for name, want := range map[string]string{
			"HEAD": merge, "@": merge, "main": merge, "heads/main": merge, "refs/heads/main": merge, "origin/main": merge, "origin": merge,
			"refs/remotes/origin/main": merge, "origin/feature/x": three, "light": two, "release/v1": one, "of-a-tag": one, "tags/light": two,
			"FETCH_HEAD": three, "origin/deadbeef": one,
			"HEAD^": two, "HEAD^1": two, "HEAD^2": three, "HEAD~1": two, "HEAD~2": one, "HEAD^2~1": one, "HEAD^0": merge, "HEAD~0": merge, "@~": two, "HEAD^^": one,
			"light^{commit}": two, "release/v1^{}": one,
			three: three, three[:7]: three, strings.ToUpper(three[:9]): three, three[:40]: three, merge[:8] + "^2": three,
		} {
			got, err := local.Resolve(name)
			if err != nil || got.Hash() != want || got.Name != name {
				t.Errorf("packed %t: %s is %s, %v; want %s", packed, name, got.Hash(), err, want)
			}
		}
	}
}

func TestLocal_Resolve_unknown(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.commit("two")
	c.git("branch", "release")
	far := c.sibling()
	absent := strings.Repeat("12345678", 5)
	local := far.open()
	for name, want := range map[string]string{
		"nope":           `revision "nope": there is no such branch, tag or commit in this clone|see git branch --all and git tag for the names that there are`,
		"release":        `revision "release": there is no such branch, tag or commit in this clone|did you mean origin/release?`,
		"origin/gone":    `revision "origin/gone": there is no such branch, tag or commit in this clone|fetch it: git fetch origin +refs/heads/gone:refs/remotes/origin/gone`,
		absent:           `revision "` + absent + `": there is no such branch, tag or commit in this clone|fetch it: git fetch origin ` + absent,
		"HEAD~2":         fmt.Sprintf(`revision "HEAD~2": commit %s has 0 parents|`, far.git("rev-parse", "--short=7", "HEAD~1")),
		"HEAD..main":     `revision "HEAD..main": one commit is wanted, not a range|`,
		"HEAD@{1}":       `revision "HEAD@{1}": this form is not understood; name a branch, a tag or a commit|`,
		"HEAD~x":         `revision "HEAD~x": "x" is not understood|`,
		"HEAD~999999999": `revision "HEAD~999999999": 999999999 is too large a number|`,
		"":               `revision "": not the name of a commit|`,
		"-x":             `revision "-x": not the name of a commit|`,
		"HEAD:a.yaml":    `revision "HEAD:a.yaml": this form is not understood; name a branch, a tag or a commit|`,
	} {
		_, err := local.Resolve(name)
		var revision *gitrepo.RevisionError
		if !errors.As(err, &revision) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := revision.Error() + "|" + revision.Hint(); got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
	if _, err := local.Resolve(far.git("rev-parse", "HEAD^{tree}")); err == nil || !strings.Contains(err.Error(), "it is a tree, not a commit") {
		t.Errorf("a tree: %v", err)
	}
}

func TestLocal_Resolve_shallow(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.commit("two")
	c.git("branch", "base", "HEAD~1")
	far := c.sibling("--depth=1")
	local := far.open()
	if !local.IsShallow() {
		t.Error("the clone is not shallow")
	}
	for name, want := range map[string]string{
		"HEAD~1":      "git fetch --unshallow; in GitHub Actions, actions/checkout with fetch-depth: 0",
		"origin/base": "fetch it: git fetch origin +refs/heads/base:refs/remotes/origin/base; in GitHub Actions, actions/checkout with fetch-depth: 0 fetches everything",
	} {
		_, err := local.Resolve(name)
		var revision *gitrepo.RevisionError
		if !errors.As(err, &revision) || revision.Hint() != want {
			t.Errorf("%s: %v, %s", name, err, revision.Hint())
		}
	}
	// What the hint says, helps.
	far.git("fetch", "--quiet", "origin", "+refs/heads/base:refs/remotes/origin/base")
	if _, err := far.open().Resolve("origin/base"); err != nil {
		t.Error(err)
	}
}

func TestLocal_MergeBase(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.commit("two")
	fork := c.git("rev-parse", "HEAD")
	c.git("switch", "--quiet", "--create", "topic")
	c.commit("topic 1")
	c.commit("topic 2")
	c.git("switch", "--quiet", "main")
	c.commit("main 1")
	c.git("switch", "--quiet", "--create", "merged")
	c.git("merge", "--quiet", "--no-edit", "topic")
	c.git("switch", "--quiet", "--orphan", "other")
	c.commit("other root")
	local := c.open()
	resolve := func(name string) gitrepo.LocalCommit {
		r, err := local.Resolve(name)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for pair, want := range map[[2]string]string{
		{"topic", "main"}: fork, {"main", "topic"}: fork, {"topic", "topic~1"}: c.git("rev-parse", "topic~1"),
		{"main", "main"}: c.git("rev-parse", "main"), {"merged", "main"}: c.git("rev-parse", "main"), {"topic~2", "merged"}: fork, {"other", "main"}: "",
	} {
		base, ok, err := local.MergeBase(t.Context(), resolve(pair[0]), resolve(pair[1]))
		if err != nil || ok != (want != "") || ok && base.Hash() != want {
			t.Errorf("%v: %s, %t, %v; want %s", pair, base.Hash(), ok, err, want)
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := local.MergeBase(stopped, resolve("topic"), resolve("main")); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled walk: %v", err)
	}
}

// TestLocal_MergeBase_checkout is what continuous integration has: a merge commit alone, with its base fetched beside it.
func TestLocal_MergeBase_checkout(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.git("switch", "--quiet", "--create", "topic")
	c.commit("topic")
	c.git("switch", "--quiet", "main")
	base := c.commit("main")
	c.git("switch", "--quiet", "--create", "pull")
	c.git("merge", "--quiet", "--no-edit", "topic")
	far := c.sibling("--depth=1", "--branch=pull")
	far.git("fetch", "--quiet", "--depth=1", "origin", "+refs/heads/main:refs/remotes/origin/main")
	local := far.open()
	head, headErr := local.Resolve("HEAD")
	main, mainErr := local.Resolve("origin/main")
	found, ok, err := local.MergeBase(t.Context(), head, main)
	if err := errors.Join(headErr, mainErr, err); err != nil || !ok || found.Hash() != base {
		t.Errorf("%s, %t, %v; want %s", found.Hash(), ok, err, base)
	}
}

// contents reads a tree, with what is no ordinary file in brackets.
func contents(t *testing.T, tree gitrepo.LocalTree) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, file := range tree {
		switch {
		case file.Ignored:
			out[name] = "[ignored]"
		case !file.Mode.IsFile():
			out[name] = "[" + file.Mode.String() + "]"
		default:
			content, err := file.Read()
			if err != nil {
				t.Fatal(err)
			}
			if !file.Holds(content) || file.Holds(append(content, 'x')) {
				t.Errorf("%s does not know its content", name)
			}
			out[name] = string(content)
		}
	}
	return out
}

func equal(t *testing.T, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLocal_Tree(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.write("b/c.yaml", "c: 1\n")
	if err := os.Symlink("a.yaml", filepath.Join(c.dir, "link")); err != nil {
		t.Fatal(err)
	}
	inner := newClone(t)
	c.git("submodule", "--quiet", "add", "file://"+inner.dir, "module")
	c.commit("two")
	c.write("a.yaml", "a: changed\n")
	want := map[string]string{
		"a.yaml": "a: 1\n", "b/c.yaml": "c: 1\n", "link": "[symlink]", "module": "[submodule]",
		".gitmodules": "[submodule \"module\"]\n\tpath = module\n\turl = file://" + inner.dir + "\n",
	}
	shared := filepath.Join(t.TempDir(), "shared")
	c.git("clone", "--quiet", "--shared", c.dir, shared)
	linked := filepath.Join(t.TempDir(), "linked")
	c.git("worktree", "add", "--quiet", "--detach", linked)
	c.git("gc", "--quiet")
	for name, dir := range map[string]string{
		"packed": c.dir, "below": filepath.Join(c.dir, "b"), "objects of another repository": shared, "linked work tree": linked,
	} {
		local := openAt(t, dir)
		head, err := local.Resolve("HEAD")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tree, err := local.Tree(t.Context(), head)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		equal(t, contents(t, tree), want)
	}
	if local := openAt(t, filepath.Join(c.dir, "b")); local.Root() != c.dir {
		t.Errorf("the root of %s/b is %s", c.dir, local.Root())
	}
}

func TestLocal_WorkTree(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.write(".gitignore", "*.log\n/build/\n!keep.log\n")
	c.write("tracked.log", "x\n")
	c.write("build/tracked.yaml", "x\n")
	c.git("add", "--force", "tracked.log", "build/tracked.yaml")
	c.write("sub/.gitignore", "/local.yaml\n")
	c.commit("two")
	c.write("a.yaml", "a: 2\n")                  // changed
	c.write("new/b.yaml", "b: 1\n")              // not added
	c.write("x.log", "x\n")                      // ignored
	c.write("keep.log", "x\n")                   // not ignored after all
	c.write("build/out.yaml", "x\n")             // ignored in a directory with a tracked file
	c.write("sub/local.yaml", "x\n")             // ignored here
	c.write("local.yaml", "x\n")                 // not here
	c.write("cache/x.yaml", "x\n")               // ignored as a whole
	c.write(".git/info/exclude", "cache\n")      // by this clone only
	c.write("nested/.git/HEAD", "ref: x\n")      // a repository of its own
	c.write("nested/x.yaml", "not looked at")    //
	c.git("rm", "--quiet", "--cached", "a.yaml") // staged as removed, and still there
	if err := os.Symlink("a.yaml", filepath.Join(c.dir, "link")); err != nil {
		t.Fatal(err)
	}
	tree, err := openAt(t, filepath.Join(c.dir, "sub")).WorkTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, contents(t, tree), map[string]string{
		".gitignore": "*.log\n/build/\n!keep.log\n", "sub/.gitignore": "/local.yaml\n", "a.yaml": "a: 2\n", "new/b.yaml": "b: 1\n", "x.log": "[ignored]",
		"keep.log": "x\n", "tracked.log": "x\n", "build/tracked.yaml": "x\n", "build/out.yaml": "[ignored]", "sub/local.yaml": "[ignored]",
		"local.yaml": "x\n", "cache": "[ignored]", "nested": "[submodule]", "link": "[symlink]",
	})
	plain, err := gitrepo.ReadDirectory(t.Context(), filepath.Join(c.dir, "build"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, contents(t, plain), map[string]string{"tracked.yaml": "x\n", "out.yaml": "x\n"})
}

// The filters of files are those that git itself names.
func TestLocal_WorkTree_filters(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.write(".gitattributes", "# specs\n*.yaml filter=lfs diff=lfs merge=lfs -text\nplain.yaml -filter\n\"a b.txt\" filter=crypt\nbad/ [attr\n")
	c.write("sub/.gitattributes", "*.yaml !filter\nkept.yaml filter=crypt text\n")
	c.write(".git/info/attributes", "info.yaml filter=mine\n")
	names := []string{"a.yaml", "plain.yaml", "a b.txt", "c.txt", "sub/b.yaml", "sub/kept.yaml", "sub/info.yaml", "info.yaml", "sub/deep/c.yaml"}
	for _, name := range names {
		c.write(name, "x\n")
	}
	tree, err := openAt(t, c.dir).WorkTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		said := c.git("check-attr", "filter", "--", name)
		want := strings.TrimSpace(said[strings.LastIndex(said, ": ")+2:])
		if want == "unset" || want == "unspecified" {
			want = ""
		}
		if got := tree[name].Filter; got != want {
			t.Errorf("%s: filter %q, git has %q", name, got, want)
		}
	}
}

// TestLocal_WorkTree_sparse makes sure that what a sparse work tree leaves out does not seem to be deleted.
func TestLocal_WorkTree_sparse(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.write("b/b.yaml", "b: 1\n")
	c.write("c/c.yaml", "c: 1\n")
	c.commit("two")
	c.git("sparse-checkout", "set", "b")
	if _, err := os.Stat(filepath.Join(c.dir, "c")); err == nil {
		t.Fatal("the work tree is not sparse")
	}
	tree, err := c.open().WorkTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, contents(t, tree), map[string]string{"a.yaml": "a: 1\n", "b/b.yaml": "b: 1\n", "c/c.yaml": "c: 1\n"})
}

// TestLocal_Tree_partial reads what a partial clone has, and says how to get what it has not.
func TestLocal_Tree_partial(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.git("config", "uploadpack.allowFilter", "true")
	c.write("a.yaml", "a: 2\n")
	c.commit("two")
	far := c.sibling("--filter=blob:none")
	local := far.open()
	old, err := local.Resolve("HEAD~1")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := local.Tree(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	if !tree["a.yaml"].Holds([]byte("a: 1\n")) {
		t.Error("the content is not recognised")
	}
	_, err = tree["a.yaml"].Read()
	var missing *gitrepo.MissingObjectError
	if !errors.As(err, &missing) || !strings.Contains(missing.Hint(), "git diff 'HEAD~1'") {
		t.Fatalf("%v", err)
	}
	far.git("diff", "HEAD~1")
	again := far.open()
	if tree, err = again.Tree(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if content, err := tree["a.yaml"].Read(); err != nil || string(content) != "a: 1\n" {
		t.Errorf("after the hint: %q, %v", content, err)
	}
}

func TestOpenLocal_refused(t *testing.T) {
	t.Parallel()
	if _, err := gitrepo.OpenLocal(t.TempDir()); !errors.As(err, new(*gitrepo.NoRepositoryError)) {
		t.Errorf("no repository: %v", err)
	}
	c := &clone{t: t, dir: t.TempDir()}
	c.git("init", "--quiet", "--object-format=sha256")
	var format *gitrepo.FormatError
	if _, err := gitrepo.OpenLocal(c.dir); !errors.As(err, &format) || format.Hint() == "" {
		t.Errorf("sha256: %v", err)
	}
	stray := t.TempDir()
	if err := os.WriteFile(filepath.Join(stray, ".git"), []byte("gitdir: nowhere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gitrepo.OpenLocal(stray); err == nil || !strings.Contains(err.Error(), "is not a repository") {
		t.Errorf("a work tree whose repository is gone: %v", err)
	}
	empty := &clone{t: t, dir: t.TempDir()}
	empty.git("init", "--quiet")
	if _, err := empty.open().Resolve("HEAD"); err == nil || !strings.Contains(err.Error(), "no commit yet") {
		t.Errorf("an empty repository: %v", err)
	}
	if tree, err := empty.open().WorkTree(t.Context()); err != nil || len(tree) != 0 {
		t.Errorf("an empty work tree: %v, %v", tree, err)
	}
}

// A commit that says that there are a million million files, in a dozen directories in each other, is refused at once.
func TestLocal_Tree_bomb(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	id := c.git("rev-parse", "HEAD:a.yaml")
	mode, kind := "100644", "blob"
	for range 12 {
		var entries strings.Builder
		for n := range 10 {
			fmt.Fprintf(&entries, "%s %s %s\td%d\n", mode, kind, id, n)
		}
		cmd := exec.CommandContext(t.Context(), "git", "-C", c.dir, "mktree")
		cmd.Stdin = strings.NewReader(entries.String())
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		mode, kind, id = "040000", "tree", strings.TrimSpace(string(out))
	}
	local := c.open()
	revision, err := local.Resolve(c.git("commit-tree", "-m", "bomb", id))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := local.Tree(t.Context(), revision); !errors.As(err, new(*git.TreeLimitError)) {
		t.Errorf("error is %v", err)
	}
}
