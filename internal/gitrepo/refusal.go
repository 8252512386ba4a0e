package gitrepo

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

func signs(alternatives ...string) *regexp.Regexp {
	return regexp.MustCompile(strings.Join(alternatives, "|"))
}

// brokenHooks are words with which a server's own hook says that it could not do its work: Gitea's and
// Forgejo's when their service does not answer them, GitLab's when its internal API does not.
var brokenHooks = signs(`internal server error`, `internal api`, `api is not accessible`,
	`unable to contact (gitea|forgejo)`, `(gitea|forgejo|gitlab): internal error`)

// incidents are words of a server that fails: GitHub's ("fatal error in commit_refs", "Internal Server
// Error"), those of git's receive-pack (builtin/receive-pack.c) and JGit's when they cannot write, and those
// of the systems below.
var incidents = signs(`fatal error in`, `server error`, `internal error`, `unavailable`,
	`timed? ?-?out`, `try again`, `temporary failure`, `temporarily`, `no space left`, `disk quota exceeded`,
	`read-only file system`, `input/output error`, `cannot allocate memory`, `out of memory`,
	`too many open files`, `cannot fork`, `broken pipe`, `connection (refused|reset)`,
	`execution expired`, `unable to migrate objects`, `failed to write`, `missing necessary objects`,
	`transaction failed to start`, `unpacker error`, `abnormal exit`, `unable to create temporary`,
	`did not report`)

// failedStatus are statuses that say no more than that it did not work. GitHub gives the reason beside it, as
// "fatal error in commit_refs".
var failedStatus = []string{"failure", "error", "failed", "n/a"}

// noRight are words about rights: of Azure DevOps, and of git when the account on the server may not write to
// the repository's files.
var noRight = signs(`tf401027`, `genericcontribute`, `permission denied`, `insufficient permission`)

// statusPages are where the big hosts tell of their incidents.
var statusPages = map[string]string{
	"github.com":     "https://www.githubstatus.com",
	"ssh.github.com": "https://www.githubstatus.com",
	"gitlab.com":     "https://status.gitlab.com",
	"bitbucket.org":  "https://bitbucket.status.atlassian.com",
	"dev.azure.com":  "https://status.dev.azure.com",
}

// afterIncident is the next action when the server has failed.
func (e *endpoint) afterIncident() hint.Hint {
	next := hint.Text("the failure is the server's own: %s in a few minutes", hint.Again)
	if u, err := url.Parse(e.name); err == nil && statusPages[u.Hostname()] != "" {
		return next + hint.Text("; %s tells of incidents", statusPages[u.Hostname()])
	}
	return next + ", or ask who runs the server"
}
