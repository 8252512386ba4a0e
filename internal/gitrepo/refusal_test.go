package gitrepo

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// refusalCase is one case of testdata/refusals.txtar.
type refusalCase struct{ unpack, status, words, want string }

func refusalCases(t *testing.T) map[string]*refusalCase {
	t.Helper()
	text, err := os.ReadFile("testdata/refusals.txtar")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]*refusalCase{}
	for _, f := range txtar.Parse(text).Files {
		name, part := path.Split(f.Name)
		if cases[name] == nil {
			cases[name] = &refusalCase{unpack: "ok"}
		}
		parts := map[string]*string{"unpack": &cases[name].unpack, "status": &cases[name].status,
			"words": &cases[name].words, "want": &cases[name].want}
		*parts[part] = string(f.Data)
	}
	return cases
}

// What servers answer to a push, with the error that it becomes, word for word, and the next action.
func TestRefusedPush(t *testing.T) {
	t.Parallel()
	for name, c := range refusalCases(t) {
		t.Run(strings.TrimSuffix(name, "/"), func(t *testing.T) {
			t.Parallel()
			s := &Snapshot{endpoint: &endpoint{name: "https://github.com/acme/fleet.git"}, branch: "main",
				state: git.RepositoryEmpty}
			report := packp.NewReportStatus()
			report.UnpackStatus = strings.TrimSuffix(c.unpack, "\n")
			report.CommandStatuses = []*packp.CommandStatus{{ReferenceName: "refs/heads/main",
				Status: strings.TrimSuffix(c.status, "\n")}}
			if got := described(s.verdict(report, c.words)); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

// described is an error as the file of cases has it.
func described(err error) string {
	kind := "another error"
	switch {
	case is[*git.RejectedError](err):
		kind = "rejected"
	case is[*git.PermissionError](err):
		kind = "permission"
	case is[*git.ConflictError](err):
		kind = "conflict"
	case is[*git.UnreachableError](err) && errors.Is(err, git.ErrTransient):
		kind = "transient"
	}
	help := hint.Of(err)
	if help == "" {
		return fmt.Sprintf("%s\n%v\n", kind, err)
	}
	return fmt.Sprintf("%s\n%v\nhint: %s\n", kind, err, help)
}

// A push whose end is not reported is told of with what the server said before it.
func TestUnreported(t *testing.T) {
	t.Parallel()
	s := &Snapshot{endpoint: &endpoint{name: "https://github.com/acme/fleet.git"}, branch: "main"}
	closed := func() error {
		return &git.UnreachableError{Remote: s.endpoint.name, Reason: "the server closed the connection"}
	}
	for words, want := range map[string]string{
		"": "transient\nhttps://github.com/acme/fleet.git: the server closed the connection\n" +
			"hint: check the network, the proxy settings and the server, and try again\n",
		"Internal Server Error\n": "transient\nhttps://github.com/acme/fleet.git: the server closed the " +
			"connection: the server says: Internal Server Error\nhint: the failure is the server's own: " +
			"run the same command again in a few minutes; https://www.githubstatus.com tells of incidents\n",
		"error: GH005: Sorry, refs longer than 255 bytes are not allowed.\n": "rejected\n" +
			"https://github.com/acme/fleet.git: the server refused the push to main: no report on " +
			"the push: the server says: GH005: Sorry, refs longer than 255 bytes are not allowed.\n" +
			"hint: name another branch in spec.branch\n",
	} {
		if got := described(s.unreported(closed(), words)); got != want {
			t.Errorf("%q: got:\n%s\nwant:\n%s", words, got, want)
		}
	}
}

// What servers say when they shut a session out, and what helps then: other rights only where it is about
// rights.
func TestRefusal_hint(t *testing.T) {
	t.Parallel()
	const write = "use credentials that may write to the repository; a read-only deploy key cannot push"
	for words, want := range map[string]string{
		"ERROR: Permission to acme/fleet.git denied to bob.":                       write,
		"ERROR: The key you are authenticating with has been marked as read only.": write,
		"Your account is suspended. Please visit https://support.github.com for more information.": "the " +
			"account is shut out: its owner has to settle that with the server's support; or use another " +
			"account's credentials",
		"ERROR: Your account is suspended. Please check with your installation administrator.": "the " +
			"account is shut out: its owner has to settle that with the server's support; or use another " +
			"account's credentials",
		"Your account is disabled. Please see https://github.com/account/billing": "the account " +
			"is shut out: its owner has to settle that with the server's support; or use another account's " +
			"credentials",
		"ERROR: Repository 'acme/fleet' is disabled.\nPlease ask the owner to check their account.": "the " +
			"repository is shut off: its owner has to settle that with the server's support",
		"Access to this repository has been disabled by GitHub staff.\n" +
			"If you are the repository owner, you can ask": "the repository is shut off: its owner has to " +
			"settle that with the server's support",
		"Repository access blocked": "the repository is shut off: its owner has to settle that with the " +
			"server's support",
		"ERROR: This repository was archived so it is read-only.": "an administrator can take the " +
			"repository out of the archive in its settings",
		"The 'acme' organization has enabled or enforced SAML SSO.\nTo access this repository, " +
			"visit https://github.com/orgs/acme/sso and try your request again.": "authorize the " +
			"token or the SSH key " +
			"for the organization's single sign-on, in the settings of the account that it belongs to",
		"Although you appear to have the correct authorization credentials, the `acme` organization has an " +
			"IP allow list enabled, and your IP address is not permitted to access this resource.": "run " +
			"the command from a network that the organization's IP allow list names",
		"`acme` forbids access via a personal access token (classic).": "the organization does not accept " +
			"this kind of token, or not for this long: make one as its words say",
	} {
		e := &endpoint{name: "https://github.com/acme/fleet.git"}
		err := e.refusal(receivePack, words)
		denied, ok := errors.AsType[*git.PermissionError](err)
		if !ok {
			t.Errorf("%q is %T %v, want a *PermissionError", words, err, err)
			continue
		}
		if denied.Hint().String() != want || denied.Server != e.clean(words) {
			t.Errorf("%q: the hint is %q, want %q; the server's words are %q",
				words, denied.Hint(), want, denied.Server)
		}
	}
}
