package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
)

// clone is a repository made by git itself.
type clone struct {
	t   *testing.T
	dir string
}

// newClone makes an empty repository on branch main with one commit, as somebody with no configuration of
// their own.
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
	cmd := exec.CommandContext(c.t.Context(), "git", append([]string{"-c", "protocol.file.allow=always", "-c",
		"user.name=a", "-c", "user.email=a@example.com", "-C", c.dir},
		args...)...)
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
	c.git("-c", "user.name=a", "commit", "--quiet", "--allow-empty", "--message", message, "--date",
		fmt.Sprintf("2026-01-01T00:%02s:00Z", n))
	return c.git("rev-parse", "HEAD")
}

func (c *clone) write(name, content string) {
	c.t.Helper()
	file := filepath.Join(c.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755),
		os.WriteFile(file, []byte(content), 0o644)); err != nil {
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
			"HEAD": merge, "@": merge, "main": merge, "heads/main": merge, "refs/heads/main": merge,
			"origin/main": merge, "origin": merge, "refs/remotes/origin/main": merge,
			"origin/feature/x": three, "light": two, "release/v1": one, "of-a-tag": one, "tags/light": two,
			"FETCH_HEAD": three, "origin/deadbeef": one,
			"HEAD^": two, "HEAD^1": two, "HEAD^2": three, "HEAD~1": two, "HEAD~2": one, "HEAD^2~1": one,
			"HEAD^0": merge, "HEAD~0": merge, "@~": two, "HEAD^^": one,
			"light^{commit}": two, "release/v1^{}": one,
			three: three, three[:7]: three, strings.ToUpper(three[:9]): three, three[:40]: three,
			merge[:8] + "^2": three,
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
		"nope":        `revision "nope": there is no such branch, tag or commit in this clone|see git branch --all and git tag for the names that there are`,
		"release":     `revision "release": there is no such branch, tag or commit in this clone|did you mean origin/release?`,
		"origin/gone": `revision "origin/gone": there is no such branch, tag or commit in this clone|fetch it: git fetch origin +refs/heads/gone:refs/remotes/origin/gone`,
		absent: `revision "` + absent +
			`": there is no such branch, tag or commit in this clone|fetch it: git fetch origin ` + absent,
		"HEAD~2": fmt.Sprintf(`revision "HEAD~2": commit %s has 0 parents|`,
			far.git("rev-parse", "--short=7", "HEAD~1")),
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
	if _, err := local.Resolve(far.git("rev-parse", "HEAD^{tree}")); err == nil ||
		!strings.Contains(err.Error(), "it is a tree, not a commit") {
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
		"HEAD~1": "git fetch --unshallow; in GitHub Actions, actions/checkout with fetch-depth: 0",
		"origin/base": "fetch it: git fetch origin +refs/heads/base:refs/remotes/origin/base; in GitHub " +
			"Actions, actions/checkout with fetch-depth: 0 fetches everything",
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
		{"main", "main"}: c.git("rev-parse", "main"), {"merged", "main"}: c.git("rev-parse", "main"),
		{"topic~2", "merged"}: fork, {"other", "main"}: "",
	} {
		base, ok, err := local.MergeBase(t.Context(), resolve(pair[0]), resolve(pair[1]))
		if err != nil || ok != (want != "") || ok && base.Hash() != want {
			t.Errorf("%v: %s, %t, %v; want %s", pair, base.Hash(), ok, err, want)
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := local.MergeBase(stopped, resolve("topic"), resolve("main")); !errors.Is(err,
		context.Canceled) {
		t.Errorf("a cancelled walk: %v", err)
	}
}

// TestLocal_MergeBase_checkout is what continuous integration has: a merge commit alone, with its base
// fetched beside it.
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
	if _, err := gitrepo.OpenLocal(stray); err == nil ||
		!strings.Contains(err.Error(), "is not a repository") {
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
