package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// safe asserts that nothing that a run printed makes a terminal or a workflow do anything, and that JSON is
// JSON.
func (o outcome) safe() outcome {
	o.t.Helper()
	for _, r := range o.stdout + o.stderr {
		if r != '\n' && r != '\t' &&
			(unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') {
			o.t.Errorf("eksa-gitops %q printed %U:\n%q\n%q", o.args, r, o.stdout, o.stderr)
			break
		}
	}
	for line := range strings.Lines(o.stdout + o.stderr) {
		if strings.HasPrefix(line, "::error::owned") {
			o.t.Errorf("eksa-gitops %q printed a workflow command:\n%s%s", o.args, o.stdout, o.stderr)
		}
	}
	for i, arg := range o.args {
		if arg == "-o" && o.args[i+1] == "json" && !json.Valid([]byte(o.stdout)) {
			o.t.Errorf("eksa-gitops %q printed no JSON:\n%s", o.args, o.stdout)
		}
	}
	return o
}

const nasty = "\x1b[2J\x1b]0;owned\x07\r\u202e\u009b31m\u2028::error::owned"

// objects builds trees that no client would check out or commit by itself.
type objects struct {
	t    testing.TB
	repo *gittest.Repo
}

func (o objects) git(stdin string, args ...string) string {
	o.t.Helper()
	out, err := o.repo.TryGit([]byte(stdin), args...)
	if err != nil {
		o.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// place makes a commit in which one path is an entry of that mode, whose content is a file's, a link's target
// or a commit, and points the branch at it.
func (o objects) place(branch, path, mode, content string) string {
	o.t.Helper()
	kind, id := "blob", ""
	switch mode {
	case "160000":
		kind, id = "commit", content
	default:
		id = o.git(content, "hash-object", "-w", "--stdin")
	}
	elements := strings.Split(path, "/")
	readme := o.git("fleet\n", "hash-object", "-w", "--stdin")
	for i := len(elements) - 1; i >= 0; i-- {
		entries := fmt.Sprintf("%s %s %s\t%s\n", mode, kind, id, elements[i])
		if i == 0 {
			entries += fmt.Sprintf("100644 blob %s\tREADME.md\n", readme)
		}
		id = o.git(entries, "mktree", "--missing")
		mode, kind = "040000", "tree"
	}
	commit := o.git("A commit\n", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit-tree", id)
	o.git("", "update-ref", "refs/heads/"+branch, commit)
	return commit
}

// Links, submodules and files in the place of the directories and files that are written are never followed
// nor replaced: the run says which entry is in the way, and writes nothing to Git.
func TestHostile_repositoryEntries(t *testing.T) {
	w := newWorld(t)
	repo := w.gh.AddRepo("alice/fleet", withReadme("main")...).Git()
	o := objects{t, repo}
	submodule := repo.Head("main")
	for _, entry := range []string{
		"clusters", "clusters/mgmt", "clusters/mgmt/mgmt",
		"clusters/mgmt/mgmt/eksa-system", "clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml",
		"clusters/mgmt/mgmt/eksa-system/kustomization.yaml", "clusters/mgmt/flux-system",
		"clusters/mgmt/flux-system/gotk-sync.yaml", "clusters/mgmt/flux-system/kustomization.yaml",
	} {
		for _, kind := range []struct{ mode, content, is string }{
			{"120000", "../../../../etc", "symbolic link"}, {"120000", "/etc/passwd", "symbolic link"},
			{"120000", "README.md", "symbolic link"}, {"160000", submodule, "submodule"},
			{"100644", "a file\n", ""},
		} {
			if kind.is == "" && strings.HasSuffix(entry, ".yaml") {
				continue // what belongs there
			}
			head := o.place("main", entry, kind.mode, kind.content)
			before := w.mark()
			out := w.run("create", "cluster", "-f", "mgmt.yaml", "--overwrite", "--timeout", "20s",
				"--on-gitops-failure", "fail").safe()
			if out.code == 0 {
				t.Errorf("%s as %s %q: exit code 0\n%s%s",
					entry, kind.mode, kind.content, out.stdout, out.stderr)
			}
			if !strings.Contains(out.stderr, entry) ||
				kind.is != "" && !strings.Contains(out.stderr, kind.is) {
				t.Errorf("%s as %s %q: the entry is not named:\n%s",
					entry, kind.mode, kind.content, out.stderr)
			}
			if got := repo.Head("main"); got != head {
				t.Errorf("%s as %s %q: a commit was pushed", entry, kind.mode, kind.content)
			}
			before.writesNothing()
		}
	}
}

// Branches with odd names beside ours, and in the place of the default branch, are names and nothing else.
func TestHostile_refs(t *testing.T) {
	w := newWorld(t)
	repo := w.gh.AddRepo("alice/fleet", withReadme("main")...).Git()
	head := repo.Head("main")
	for _, name := range []string{"-oProxyCommand=x", "--upload-pack=x", "a;b`id`$(id)", "\u202enur",
		"\u009b31m", "a'b\"c", "@", "main@", "MAIN", "main/", strings.Repeat("x", 200)} {
		if _, err := repo.TryGit(nil, "update-ref", "refs/heads/"+name, head); err != nil {
			t.Logf("git itself refuses %q", name)
		}
	}
	w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run", "-v").exits(0).safe()
	if _, err := repo.TryGit(nil, "symbolic-ref", "HEAD", "refs/heads/\u202e\u009b31mnur"); err != nil {
		t.Fatal(err)
	}
	repo.DeleteBranch("main")
	w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run", "-v").safe()
	w.run("create", "cluster", "-f", "mgmt.yaml", "-o", "json").safe()
	w.run("status").safe()
}

// What other people and other programs wrote is shown without its control characters: who committed and what,
// what objects of the cluster say, what servers answer.
func TestHostile_words(t *testing.T) {
	w := newFleetWorld(t)
	repo := w.gh.Repo("alice/fleet").Git()
	dev := repo.Files("main")[devSpec]
	repo.Commit(gittest.Change{Message: nasty + "\n\n" + nasty,
		Author: "\x1b[31m\u202eMallory\u009b", Email: "\x1b]0;x\x07@example.com",
		Files: map[string]string{devSpec: strings.Replace(dev, "count: 1", "count: 7", 1) + "# " + "\u202e\n",
			"clusters/mgmt/\u202e\x1b[2J\u009b/x.yaml": "{}"}})
	repo.Commit(gittest.Change{Message: nasty, Author: "\u202e",
		Files: map[string]string{"clusters/mgmt/flux-system/kustomization.yaml": "resources: " +
			"[gotk-components.yaml, gotk-sync.yaml, \"\\e[2J\\u202e.yaml\"]\n"}})
	stackOf(t).EKSA().Fail("default", "dev", nasty, nasty)
	requestReconcile(t)
	commands := [][]string{
		{"status"}, {"status", "-v"}, {"status", "-o", "json"}, {"status", "dev"}, {"get", "clusters"},
		{"get", "clusters", "-o", "json"},
		{"create", "cluster", "-f", "dev.yaml", "-o", "json", "--flux-timeout", "3s"}, {"create", "cluster",
			"-f", "mgmt.yaml", "-v", "--flux-timeout", "3s"},
		{"create", "cluster", "-f", "dev.yaml", "--dry-run", "--overwrite"}, {"delete", "cluster", "dev",
			"--dry-run"},
	}
	for _, args := range commands {
		w.run(args...).safe()
	}
	// The words are there, made harmless.
	w.run("status", "dev").prints("owned").safe()
	message, err := json.Marshal(map[string]any{"message": nasty,
		"errors":            []any{nasty, map[string]string{"message": nasty, "resource": nasty}},
		"documentation_url": nasty})
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{401, 403, 404, 422, 500} {
		off := w.gh.Break("* /**", githubtest.RespondWith(status,
			http.Header{"X-Github-Sso": {"required; url=" + nasty[1:4]}, "Retry-After": {"0"}},
			string(message)))
		w.run("create", "cluster", "-f", "mgmt.yaml", "-v", "--timeout", "3s").safe()
		off()
	}
	s := newStranger(w.world, nil)
	for _, answer := range []http.HandlerFunc{
		func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/plain")
			rw.WriteHeader(http.StatusForbidden)
			io.WriteString(rw, nasty) // the client decides
		},
		func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			line := "ERR " + nasty
			fmt.Fprintf(rw, "001e# service=git-upload-pack\n0000%04x%s0000", len(line)+4, line)
		},
		func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/html; charset="+nasty[1:4])
			io.WriteString(rw, nasty) // the client decides
		},
	} {
		s.answer = answer
		w.with(t, map[string]string{"EKSA_GITOPS_GITHUB_GIT_URL": s.URL + "/"}).run("create", "cluster", "-f",
			"mgmt.yaml", "-v", "--timeout", "3s").safe()
	}
}

// A server that sends the program elsewhere does not get the token carried there, and one whose answers have
// no end is given up.
func TestHostile_servers(t *testing.T) {
	w := newWorld(t)
	w.gh.AddRepo("alice/fleet", withReadme("main")...)
	// nobody should ask
	s := newStranger(w, func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "{}") })
	for _, target := range []string{s.URL, strings.Replace(s.URL, "https:", "http:", 1),
		strings.Replace(w.gh.APIURL(), "https:", "http:", 1),
		"https://user:pass@" + strings.TrimPrefix(s.URL, "https://")} {
		for _, status := range []int{301, 302, 307, 308} {
			off := w.gh.Break("GET /**",
				githubtest.RespondWith(status, http.Header{"Location": {target + "/x"}}, "{}"))
			w.run("create", "cluster", "-f", "mgmt.yaml", "--timeout", "5s", "--on-gitops-failure",
				"fail").tells("redirects to another host")
			off()
		}
	}
	if credentials, requests := s.shown(); requests > 0 {
		t.Errorf("the other host was asked %d times, with the credentials %q", requests, credentials)
	}

	endless := newStranger(w, func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			rw.Header().Set("Content-Type", "application/json")
			io.WriteString(rw, `{"login":"`) // the client gives up
		} else {
			rw.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			io.WriteString(rw, "001e# service=git-upload-pack\n0000") // the client gives up
		}
		chunk := strings.Repeat("003f"+strings.Repeat("a", 40)+" refs/heads/"+strings.Repeat("x", 6)+"\n",
			1000)
		for {
			if _, err := io.WriteString(rw, chunk); err != nil {
				return
			}
		}
	})
	w.with(t, map[string]string{"EKSA_GITOPS_GITHUB_API_URL": endless.URL + "/api/v3/"}).run("create",
		"cluster", "-f", "mgmt.yaml", "--timeout", "60s", "--on-gitops-failure",
		"fail").tells("the answer is longer than 10 MiB")
	w.with(t, map[string]string{"EKSA_GITOPS_GITHUB_GIT_URL": endless.URL + "/"}).run("create", "cluster",
		"-f", "mgmt.yaml", "--timeout", "60s", "--on-gitops-failure",
		"fail").tells("the list of references is larger than the limit of 67108864 bytes")
}

// A dozen directories in each other that say that there are a million million files are refused at once by
// whatever reads the repository, with the directory that they are in.
func TestHostile_treeBomb(t *testing.T) {
	w := newFleetWorld(t)
	o := objects{t, w.gh.Repo("alice/fleet").Git()}
	kind, mode, id := "blob", "100644", o.git("kind: x\n", "hash-object", "-w", "--stdin")
	for range 12 {
		var entries strings.Builder
		for n := range 10 {
			fmt.Fprintf(&entries, "%s %s %s\td%d.yaml\n", mode, kind, id, n)
		}
		kind, mode, id = "tree", "040000", o.git(entries.String(), "mktree")
	}
	with := func(dir, name string) string {
		return o.git(o.git("", "ls-tree", dir)+"\n040000 tree "+id+"\t"+name+"\n", "mktree")
	}
	id = with("main:clusters/mgmt", "bomb")
	id = o.git("040000 tree "+id+"\tmgmt\n", "mktree")
	id = o.git(strings.ReplaceAll(o.git("", "ls-tree", "main"), o.git("", "rev-parse", "main:clusters"), id)+
		"\n", "mktree")
	head := o.git("A commit\n", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit-tree", "-p",
		"main", id)
	o.git("", "update-ref", "refs/heads/main", head)
	before := w.mark()
	const says = `directory "clusters/mgmt/bomb" in the repository has more than 500000 files and directories`
	for _, args := range [][]string{
		{"delete", "cluster", "dev", "--dry-run", "--timeout", "20s"},
		{"delete", "cluster", "dev", "--yes", "--timeout", "20s"},
		{"upgrade", "cluster", "-f", "dev.yaml", "--dry-run", "--timeout", "20s"},
	} {
		w.run(args...).exits(3).tells(says, "git log -- clusters/mgmt/bomb").safe()
	}
	w.run("status", "--timeout", "20s").exits(5).prints(says).safe()
	if now := w.gh.Repo("alice/fleet").Git().Head("main"); now != head {
		t.Error("a commit was pushed")
	}
	before.writesNothing()
}
