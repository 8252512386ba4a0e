package gitrepo

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

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
	if got := e.clean(strings.Repeat("0123456789\n", 5) + strings.Repeat("x", 10_000)); len(got) >
		maxServerText+10 {
		t.Errorf("%d bytes are kept", len(got))
	}
}

// The words of the servers that people use, and what they mean.
func TestRefusal(t *testing.T) {
	t.Parallel()
	e := &endpoint{name: "ssh://git@example.com/x"}
	kinds := map[string]func(error) bool{
		"not found": is[*git.NotFoundError], "permission": is[*git.PermissionError],
		"auth": is[*git.AuthError], "unreachable": is[*git.UnreachableError],
		"rejected": is[*git.RejectedError],
	}
	for words, kind := range map[string]string{
		"ERROR: Repository not found.":                               "not found",
		"fatal: '/srv/x.git' does not appear to be a git repository": "not found",
		"ERROR: The project you were looking for could not be found or you don't have permission": "not " +
			"found",
		"Gitea: Cannot find repository: acme/x": "not found",
		"ERROR: The key you are authenticating with has been marked as read " +
			"only.": "permission",
		"ERROR: Permission to acme/x.git denied to bob.":                     "permission",
		"ERROR: This deploy key does not have write access to this project.": "permission",
		"repository access denied. access via a deployment key is " +
			"read-only.": "permission",
		"FATAL: W any x bob DENIED by fallthru": "permission",
		"ERROR: The `acme' organization has enabled or enforced SAML " +
			"SSO.": "permission",
		"remote: Write access to repository not " +
			"granted.": "permission",
		"Invalid username or token. Password authentication is not supported for Git operations.": "auth",
		"ERROR: Internal Server " +
			"Error": "unreachable",
		"GitHub is temporarily unavailable, please try " +
			"again": "unreachable",
		"ERROR: Internal API unreachable":                  "unreachable",
		"You have triggered an abuse detection mechanism.": "unreachable",
		"ERROR: This repository was archived so it is " +
			"read-only.": "permission",
		"ERROR: Your account is suspended.": "permission",
		"":                                  "unreachable",
		"you shall not pass":                "rejected",
	} {
		if err := e.refusal(receivePack, words); !kinds[kind](err) {
			t.Errorf("%q is %T %v, want %s", words, err, err, kind)
		}
	}
}

// The reasons that servers give for a reference, and what they mean.
func TestDeclined(t *testing.T) {
	t.Parallel()
	s := &Snapshot{endpoint: &endpoint{name: "x"}, branch: "main", state: git.RepositoryEmpty}
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
		{"failed to update ref", "error: cannot lock ref 'refs/heads/main/x': 'refs/heads/main' exists; " +
			"cannot create 'refs/heads/main/x'", false},
	} {
		err := s.declined(c.reason, c.words)
		if is[*git.ConflictError](err) != c.conflict || is[*git.RejectedError](err) == c.conflict {
			t.Errorf("%s: %T %v", c.reason, err, err)
		}
	}
}
