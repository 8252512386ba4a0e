package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// git runs the git command on a repository in a directory of the test.
func git(t testing.TB, dir string, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=" + dir, "PATH=/usr/local/bin:/usr/bin:/bin"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// history is a repository whose objects are similar enough for chains of deltas of all kinds.
func history(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "r.git")
	git(t, t.TempDir(), nil, "init", "--quiet", "--bare", "--initial-branch=main", dir)
	var in strings.Builder
	for commit := range 30 {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 1\nx\n", 1_700_000_000+commit)
		for n := range 20 {
			content := strings.Repeat(fmt.Sprintf("line of file %d\n", n), 20) + fmt.Sprintf("changed in %d\n", commit)
			fmt.Fprintf(&in, "M 100644 inline d/e%d/f%d\ndata %d\n%s\n", commit%3, n, len(content), content)
		}
		in.WriteString("\n")
	}
	git(t, dir, []byte(in.String()), "fast-import", "--quiet")
	return dir
}

// packOf is a pack as a transfer brings it.
func packOf(content []byte) *packData {
	p := &packData{}
	p.Write(content)
	return p
}

type gitObject struct{ kind, content string }

// catFiles reads objects as git does.
func catFiles(t testing.TB, dir string, names []byte) map[string]gitObject {
	t.Helper()
	out := string(git(t, dir, names, "cat-file", "--batch"))
	all := map[string]gitObject{}
	for out != "" {
		var id, kind string
		var size int
		header, rest, _ := strings.Cut(out, "\n")
		if _, err := fmt.Sscanf(header, "%s %s %d", &id, &kind, &size); err != nil {
			t.Fatalf("%q: %v", header, err)
		}
		all[id] = gitObject{kind, rest[:size]}
		out = rest[size+1:]
	}
	return all
}

// Everything that git packs, in every form it packs it, is read as git reads it.
func TestObjects_readsWhatGitWrites(t *testing.T) {
	t.Parallel()
	dir := history(t)
	names := git(t, dir, nil, "rev-list", "--objects", "--no-object-names", "main")
	all := catFiles(t, dir, names)
	for name, args := range map[string][]string{
		"offset deltas":    {"--delta-base-offset", "--window=50", "--depth=50"},
		"reference deltas": {"--window=50", "--depth=50"},
		"no deltas":        {"--window=0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pack := git(t, dir, names, append([]string{"pack-objects", "--stdout", "--no-reuse-delta", "--quiet"}, args...)...)
			o := newObjects(Limits{}.withDefaults())
			if err := o.add(t.Context(), packOf(pack)); err != nil {
				t.Fatal(err)
			}
			commitsAndDirectories := len(o.names)
			structures, files := 0, 0
			for id, want := range all {
				var got []byte
				var err error
				if want.kind == "blob" {
					files++
					got, err = o.file(t.Context(), plumbing.NewHash(id))
				} else {
					structures++
					got, _, err = o.structure(plumbing.NewHash(id))
				}
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != want.content {
					t.Fatalf("%s %s differs", want.kind, id)
				}
			}
			if structures != commitsAndDirectories || structures < 100 || files < 100 {
				t.Errorf("%d commits and directories of %d, %d files", structures, commitsAndDirectories, files)
			}
		})
	}
}

// What we pack, git takes: whole, and as differences to what it has.
func TestWritePack_gitReadsIt(t *testing.T) {
	t.Parallel()
	dir := history(t)
	tree := plumbing.NewHash(strings.TrimSpace(string(git(t, dir, nil, "rev-parse", "main:d/e0"))))
	older := git(t, dir, nil, "cat-file", "tree", tree.String())
	newer, delta, err := rewriteTree(older, []treeChange{{name: "f10"}, {name: "zz", mode: 0o40000, hash: tree}})
	if err != nil {
		t.Fatal(err)
	}
	object := newObject{kind: kindTree, content: newer, base: tree, delta: delta, hash: hashObject(newHash(), plumbing.TreeObject, newer)}
	blob := newObject{kind: kindBlob, content: []byte{}, hash: hashObject(newHash(), plumbing.BlobObject, nil)}
	sizes := map[bool]int{}
	for _, thin := range []bool{true, false} {
		pack, err := writePack([]newObject{blob, object}, thin)
		if err != nil {
			t.Fatal(err)
		}
		sizes[thin] = len(pack)
		git(t, dir, pack, "index-pack", "--stdin", "--fix-thin")
		if got := git(t, dir, nil, "cat-file", "tree", object.hash.String()); !bytes.Equal(got, newer) {
			t.Error("git reads something else")
		}
	}
	if sizes[true] >= sizes[false] {
		t.Errorf("thin pack has %d bytes, whole one %d", sizes[true], sizes[false])
	}
}

// A change of a few entries of a large directory is small, wherever they are, and says the same as the whole directory.
func TestRewriteTree_delta(t *testing.T) {
	t.Parallel()
	var older []byte
	for n := range 10_000 {
		older = append(older, entryBytes(treeChange{name: fmt.Sprintf("c%05d", n), mode: 0o40000, hash: hashObject(newHash(), plumbing.BlobObject, fmt.Append(nil, n))})...)
	}
	o := newObjects(Limits{}.withDefaults())
	for name, changes := range map[string][]treeChange{
		"none":          nil,
		"first":         {{name: "c00000", mode: 0o40000}},
		"last":          {{name: "c09999", mode: 0o40000}},
		"both ends":     {{name: "c00000", mode: 0o40000}, {name: "c09999", mode: 0o40000}},
		"before, after": {{name: "a", mode: 0o100644}, {name: "z", mode: 0o100644}},
		"delete":        {{name: "c00000"}, {name: "c05000"}, {name: "c09999"}},
		"in between":    {{name: "c05000x", mode: 0o100644}, {name: "c05000", mode: 0o40000}},
	} {
		newer, delta, err := rewriteTree(older, changes)
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.apply(older, delta, 1<<20)
		if err != nil || !bytes.Equal(got, newer) {
			t.Errorf("%s: %v", name, err)
		}
		if len(delta) > 250 {
			t.Errorf("%s: %d bytes", name, len(delta))
		}
	}
}

// A pack that grows beyond all bounds when it is unpacked is stopped by its numbers, not by the machine's memory.
func TestObjects_bombs(t *testing.T) {
	t.Parallel()
	bomb, err := writePack([]newObject{{kind: kindTree, content: make([]byte, 2<<20)}}, false)
	if err != nil {
		t.Fatal(err)
	}
	for want, limits := range map[error]Limits{
		errObjectTooLarge: {Object: 1 << 20},
		errPackTooLarge:   {Inflated: 1 << 20},
	} {
		o := newObjects(limits.withDefaults())
		if err := o.add(t.Context(), packOf(bomb)); !errors.Is(err, want) {
			t.Errorf("error is %v, want %v", err, want)
		}
	}
	// An announced size that deflate cannot reach is refused before memory is taken.
	lie := append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), entryHeader(kindTree, 1<<40)...)
	lie = append(lie, make([]byte, 50)...)
	h := newHash()
	h.Write(lie)
	if err := newObjects(Limits{Object: 1 << 50}.withDefaults()).add(t.Context(), packOf(h.Sum(lie))); !errors.Is(err, errBadPack) {
		t.Errorf("error is %v, want a bad pack", err)
	}
}

// Whatever a server sends, reading it ends, with objects or an error.
func FuzzObjects(f *testing.F) {
	dir := history(f)
	names := git(f, dir, nil, "rev-list", "--objects", "--no-object-names", "--max-count=2", "main")
	for _, args := range [][]string{{"--delta-base-offset"}, {"--window=10"}, {"--window=0"}} {
		pack := git(f, dir, names, append([]string{"pack-objects", "--stdout", "--no-reuse-delta", "--quiet"}, args...)...)
		f.Add(pack[:len(pack)-packTrailerSize])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h := newHash()
		h.Write(body)
		o := newObjects(Limits{Pack: 1 << 20, Object: 1 << 20, File: 1 << 20, Inflated: 8 << 20}.withDefaults())
		if err := o.add(context.Background(), packOf(h.Sum(body))); err != nil {
			return
		}
		for id := range o.names {
			content, _, err := o.structure(id)
			if err != nil {
				t.Fatal(err)
			}
			if hashObject(newHash(), plumbing.TreeObject, content) != id && hashObject(newHash(), plumbing.CommitObject, content) != id {
				t.Fatal("an object with the wrong name")
			}
			rewriteTree(content, []treeChange{{name: "x", mode: 0o100644}}) // it must not panic
		}
		o.file(context.Background(), plumbing.ZeroHash) // it must not panic
	})
}

func TestClean(t *testing.T) {
	t.Parallel()
	e := &endpoint{name: "x"}
	e.secrets.Know("sentinel")
	for raw, want := range map[string]string{
		"":                                     "",
		"remote: a\nremote: a\n\n":             "a",
		"ERROR: x\r\nERROR: y\r\n":             "x\ny",
		"\x1b[31mred\x1b[0m \x1b]0;title\x07z": "red z",
		"a\x1b]8;;http://evil\x1b\\b":          "ab",
		"bell\x07 \u202eback\u2028\x00x":       "bell backx",
		"\xff\xfe":                             "??",
		"token sentinel in it":                 "token *** in it",
		"====\nframed\n====":                   "framed",
		"\u2014\u2014 heading \u2014\u2014\u2014\u2014": "heading",
		"-- file:1 | kind":     "file:1 | kind",
		"- item":               "- item",
		"--force is refused":   "--force is refused",
		"%%%((( ///\n|\nwords": "words",
		"\x1b":                 "",
		"\x1b[":                "",
	} {
		if got := e.clean(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
	for raw, want := range map[string]string{
		"A sentence.\nAnother one": "A sentence. Another one",
		"a list:\none":             "a list: one",
		"one\n\ntwo":               "one; two",
	} {
		if got := e.oneLine(raw); got != want {
			t.Errorf("%q in one line: %q, want %q", raw, got, want)
		}
	}
	if got := e.clean(strings.Repeat("0123456789\n", 5) + strings.Repeat("x", 10_000)); len(got) > maxServerText+10 {
		t.Errorf("%d bytes are kept", len(got))
	}
}

// The words of the servers that people use, and what they mean.
func TestRefusal(t *testing.T) {
	t.Parallel()
	e := &endpoint{name: "ssh://git@example.com/x"}
	kinds := map[string]func(error) bool{
		"not found": is[*NotFoundError], "permission": is[*PermissionError], "auth": is[*AuthError],
		"unreachable": is[*UnreachableError], "rejected": is[*RejectedError],
	}
	for words, kind := range map[string]string{
		"ERROR: Repository not found.":                                                            "not found",
		"fatal: '/srv/x.git' does not appear to be a git repository":                              "not found",
		"ERROR: The project you were looking for could not be found or you don't have permission": "not found",
		"Gitea: Cannot find repository: acme/x":                                                   "not found",
		"ERROR: The key you are authenticating with has been marked as read only.":                "permission",
		"ERROR: Permission to acme/x.git denied to bob.":                                          "permission",
		"ERROR: This deploy key does not have write access to this project.":                      "permission",
		"repository access denied. access via a deployment key is read-only.":                     "permission",
		"FATAL: W any x bob DENIED by fallthru":                                                   "permission",
		"ERROR: The `acme' organization has enabled or enforced SAML SSO.":                        "permission",
		"remote: Write access to repository not granted.":                                         "permission",
		"Invalid username or token. Password authentication is not supported for Git operations.": "auth",
		"ERROR: Internal Server Error":                                                            "unreachable",
		"GitHub is temporarily unavailable, please try again":                                     "unreachable",
		"ERROR: Internal API unreachable":                                                         "unreachable",
		"You have triggered an abuse detection mechanism.":                                        "unreachable",
		"ERROR: This repository was archived so it is read-only.":                                 "permission",
		"ERROR: Your account is suspended.":                                                       "permission",
		"":                                                                                        "unreachable",
		"you shall not pass":                                                                      "rejected",
	} {
		if err := e.refusal(receivePack, words); !kinds[kind](err) {
			t.Errorf("%q is %T %v, want %s", words, err, err, kind)
		}
	}
}

// The reasons that servers give for a reference, and what they mean.
func TestDeclined(t *testing.T) {
	t.Parallel()
	s := &Snapshot{endpoint: &endpoint{name: "x"}, branch: "main", state: RepositoryEmpty}
	for _, c := range []struct {
		reason, words string
		conflict      bool
	}{
		{"non-fast-forward", "", true},
		{"fetch first", "", true},
		{"failed to update ref", "error: cannot lock ref 'refs/heads/main': is at 1 but expected 2", true},
		{"cannot lock ref 'refs/heads/main': reference already exists", "", true},
		{"LOCK_FAILURE", "", true},
		{"pre-receive hook declined", "error: cannot lock ref", false},
		{"protected branch hook declined", "GH006: Protected branch update failed", false},
		{"push declined due to repository rule violations", "GH013: Repository rule violations found", false},
		{"branch is currently checked out", "", false},
		{"deny updating a hidden ref", "", false},
		{"failed to update ref", "error: cannot lock ref 'refs/heads/main/x': 'refs/heads/main' exists; cannot create 'refs/heads/main/x'", false},
	} {
		err := s.declined(c.reason, c.words)
		if is[*ConflictError](err) != c.conflict || is[*RejectedError](err) == c.conflict {
			t.Errorf("%s: %T %v", c.reason, err, err)
		}
	}
}
