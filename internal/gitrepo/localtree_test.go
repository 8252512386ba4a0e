package gitrepo_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

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
		"packed": c.dir, "below": filepath.Join(c.dir, "b"), "objects of another repository": shared,
		"linked work tree": linked,
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
		".gitignore": "*.log\n/build/\n!keep.log\n", "sub/.gitignore": "/local.yaml\n", "a.yaml": "a: 2\n",
		"new/b.yaml": "b: 1\n", "x.log": "[ignored]", "keep.log": "x\n", "tracked.log": "x\n",
		"build/tracked.yaml": "x\n", "build/out.yaml": "[ignored]", "sub/local.yaml": "[ignored]",
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
	c.write(".gitattributes", "# specs\n*.yaml filter=lfs diff=lfs merge=lfs -text\nplain.yaml -filter\n"+
		"\"a b.txt\" filter=crypt\nbad/ [attr\n")
	c.write("sub/.gitattributes", "*.yaml !filter\nkept.yaml filter=crypt text\n")
	c.write(".git/info/attributes", "info.yaml filter=mine\n")
	names := []string{"a.yaml", "plain.yaml", "a b.txt", "c.txt", "sub/b.yaml", "sub/kept.yaml",
		"sub/info.yaml", "info.yaml", "sub/deep/c.yaml"}
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
	equal(t, contents(t, tree),
		map[string]string{"a.yaml": "a: 1\n", "b/b.yaml": "b: 1\n", "c/c.yaml": "c: 1\n"})
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

// A commit that says that there are a million million files, in a dozen directories in each other, is refused
// at once.
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
