package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PullRequest is a pull request within one repository.
type PullRequest struct {
	Number   int
	Title    string
	Body     string
	Head     string // branch
	Base     string // branch
	State    string // open or closed
	Merged   bool
	MergeSHA string // of the commit that merged it
	Author   string // login, "app[bot]" for an App
	Draft    bool
	Created  time.Time

	id      int64
	author  *account
	headSHA string // as of its closing
	baseSHA string
	closed  time.Time
}

// Pulls returns all pull requests, oldest first.
func (r *Repo) Pulls() (pulls []PullRequest) {
	r.locked(func() {
		for _, p := range r.pulls {
			pulls = append(pulls, *p)
		}
	})
	return pulls
}

// MergePull merges a pull request with a merge commit, as an administrator whom no rule stops, and returns
// that commit's hash.
func (r *Repo) MergePull(number int) (sha string) {
	r.locked(func() {
		p := r.pull(number)
		if p == nil || p.State != "open" {
			r.server.misuse("merging pull request %d of %s: it is not open", number, r.fullName())
			return
		}
		if sha = r.merge(p, "merge", "", "", "admin"); sha == "" {
			r.server.misuse("merging pull request %d of %s: conflicts", number, r.fullName())
		}
	})
	return sha
}

func (r *Repo) pull(number int) *PullRequest {
	if number < 1 || number > len(r.pulls) {
		return nil
	}
	return r.pulls[number-1]
}

func (r *Repo) close(p *PullRequest) {
	p.headSHA, p.baseSHA = r.git.Head(p.Head), r.git.Head(p.Base)
	p.State, p.closed = "closed", r.server.now()
}

// merge merges a pull request and returns the new commit, "" when there are conflicts.
func (r *Repo) merge(p *PullRequest, method, title, message, login string) string {
	base, head := r.git.Head(p.Base), r.git.Head(p.Head)
	out, err := r.git.TryGit(nil, "merge-tree", "--write-tree", base, head)
	if err != nil {
		return ""
	}
	tree, _, _ := strings.Cut(out, "\n")
	if title == "" {
		title = fmt.Sprintf("Merge pull request #%d from %s/%s", p.Number, r.owner.login, p.Head)
		if method == "squash" {
			title = fmt.Sprintf("%s (#%d)", p.Title, p.Number)
		}
	}
	if message == "" && method == "merge" {
		message = p.Title
	}
	text := strings.TrimSpace(title + "\n\n" + message)
	args := []string{"-c", "user.name=" + login, "-c", "user.email=" + login + "@users.noreply.github.com",
		"commit-tree", tree, "-p", base}
	if method == "merge" {
		args = append(args, "-p", head)
	}
	sha := strings.TrimSpace(r.git.Git(append(args, "-m", text)...))
	r.git.Git("update-ref", "refs/heads/"+p.Base, sha, base)
	r.close(p)
	p.headSHA, p.baseSHA, p.Merged, p.MergeSHA = head, base, true, sha
	return sha
}

func (c *call) pullJSON(r *Repo, p *PullRequest, whole bool) object {
	head, base := r.git.Head(p.Head), r.git.Head(p.Base)
	if p.State == "closed" {
		head, base = p.headSHA, p.baseSHA
	}
	end := func(branch, sha string) object {
		return object{"label": r.owner.login + ":" + branch, "ref": branch, "sha": sha,
			"user": c.accountJSON(r.owner), "repo": c.repoJSON(r)}
	}
	self, issue := c.url("/repos/%s/pulls/%d", r.fullName(), p.Number),
		c.url("/repos/%s/issues/%d", r.fullName(), p.Number)
	web := fmt.Sprintf("%s/%s/pull/%d", c.s.origin(), r.fullName(), p.Number)
	statuses, reviewComment := c.url("/repos/%s/statuses/%s", r.fullName(), head),
		c.url("/repos/%s/pulls/comments{/number}", r.fullName())
	user := c.appJSON()
	if p.author != nil {
		user = c.accountJSON(p.author)
	}
	link := func(to string) object { return object{"href": to} }
	o := object{
		"id": p.id, "node_id": nodeID("PullRequest", p.id), "number": p.Number,
		"state": p.State, "locked": false, "title": p.Title, "body": nil,
		"draft": p.Draft, "user": user, "url": self, "html_url": web, "diff_url": web + ".diff",
		"patch_url": web + ".patch", "issue_url": issue, "commits_url": self + "/commits",
		"review_comments_url": self + "/comments", "review_comment_url": reviewComment,
		"comments_url": issue + "/comments", "statuses_url": statuses, "_links": object{"self": link(self),
			"html": link(web), "issue": link(issue), "comments": link(issue + "/comments"),
			"review_comments": link(self + "/comments"), "review_comment": link(reviewComment),
			"commits": link(self + "/commits"), "statuses": link(statuses)},
		"head": end(p.Head, head), "base": end(p.Base, base), "created_at": stamp(p.Created),
		"updated_at": stamp(p.Created), "closed_at": nil, "merged_at": nil, "milestone": nil,
		"auto_merge": nil, "author_association": r.association(p.author), "assignees": []any{},
		"requested_reviewers": []any{}, "requested_teams": []any{}, "labels": []any{},
	}
	if p.Body != "" {
		o["body"] = p.Body
	}
	if !c.since2026() {
		o["merge_commit_sha"], o["assignee"] = nil, nil
		if p.Merged {
			o["merge_commit_sha"] = p.MergeSHA
		}
	}
	if !p.closed.IsZero() {
		o["closed_at"] = stamp(p.closed)
	}
	if p.Merged {
		o["merged_at"] = stamp(p.closed)
	}
	if whole {
		o["merged"], o["merged_by"], o["mergeable"], o["rebaseable"], o["mergeable_state"] = p.Merged, nil,
			nil, nil, "unknown"
		o["maintainer_can_modify"], o["comments"], o["review_comments"] = false, 0, 0
		o["commits"], o["additions"], o["deletions"], o["changed_files"] = r.changes(base, head)
		if p.State == "open" {
			_, err := r.git.TryGit(nil, "merge-tree", "--write-tree", base, head)
			o["mergeable"], o["mergeable_state"] = err == nil, "clean"
			switch {
			case err != nil:
				o["mergeable_state"] = "dirty"
			case c.mergeBlocked(r, p) != "":
				o["mergeable_state"] = "blocked"
			}
		}
	}
	return o
}

// appID is the number of the account by which an App's actions are signed.
const appID = 1

func (c *call) appJSON() object {
	o := c.accountJSON(&account{login: actor{token: &token{}}.login(), id: appID})
	o["type"], o["node_id"] = "Bot", nodeID("Bot", appID)
	return o
}

// association is what the author of something is to the repository.
func (r *Repo) association(user *account) string {
	switch {
	case user == nil:
		return "NONE"
	case user == r.owner:
		return "OWNER"
	case r.owner.org != nil && r.owner.org.members[key(user.login)] != "" &&
		!r.owner.org.pending[key(user.login)]:
		return "MEMBER"
	case r.grants[key(user.login)] > None:
		return "COLLABORATOR"
	}
	return "NONE"
}

// changes counts what is in head and not in base; nothing when one of them is gone.
func (r *Repo) changes(base, head string) (commits, additions, deletions, files int) {
	out, err := r.git.TryGit(nil, "rev-list", "--count", base+".."+head)
	if err != nil {
		return 0, 0, 0, 0
	}
	commits, _ = strconv.Atoi(strings.TrimSpace(out)) // git counts
	out, err = r.git.TryGit(nil, "diff", "--numstat", base+"..."+head)
	if err != nil {
		return commits, 0, 0, 0
	}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		added, _ := strconv.Atoi(f[0]) // a binary file has "-"
		deleted, _ := strconv.Atoi(f[1])
		additions, deletions, files = additions+added, deletions+deleted, files+1
	}
	return commits, additions, deletions, files
}

// mergeBlocked gives the reason for which rules do not let the actor merge, "" when they do. There are no
// reviews and no checks on this server, so wherever some are required they are missing.
func (c *call) mergeBlocked(r *Repo, p *PullRequest) string {
	role := Push
	if c.actor.user != nil {
		role = r.role(c.actor.user)
	}
	blocked := func(approvals int, checks []string) string {
		switch {
		case approvals == 1:
			return "At least 1 approving review is required by reviewers with write access."
		case approvals > 1:
			return fmt.Sprintf("At least %d approving reviews are required by reviewers with write access.",
				approvals)
		case len(checks) > 0:
			return checksExpected(checks)
		}
		return ""
	}
	if prot, ok := r.protectionOf(p.Base); ok && (role < Admin || prot.EnforceAdmins) {
		if text := blocked(prot.Approvals, prot.StatusChecks); text != "" {
			return text
		}
	}
	for _, rs := range r.rulesetsFor(p.Base) {
		bypass := c.actor.user != nil && slices.ContainsFunc(rs.Bypass, func(l string) bool {
			return strings.EqualFold(l, c.actor.user.login)
		})
		if text := blocked(rs.Approvals, rs.StatusChecks); text != "" && !bypass {
			return "Repository rule violations found\n\n" + text
		}
	}
	return ""
}

// branchOf takes the branch from OWNER:BRANCH; false when the owner is not the repository's, since there are
// no forks here.
func (r *Repo) branchOf(head string) (string, bool) {
	owner, branch, found := strings.Cut(head, ":")
	if !found {
		return head, true
	}
	return branch, strings.EqualFold(owner, r.owner.login)
}

func (c *call) listPulls() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	state := c.query.Get("state")
	if state == "" {
		state = "open"
	}
	pulls := []*PullRequest{}
	for _, p := range r.pulls {
		head, ours := r.branchOf(c.query.Get("head"))
		switch {
		case state != "all" && p.State != state:
		case c.query.Get("base") != "" && c.query.Get("base") != p.Base:
		// GitHub ignores a head without an owner.
		case strings.Contains(c.query.Get("head"), ":") && (!ours || head != p.Head):
		default:
			pulls = append(pulls, p)
		}
	}
	if c.query.Get("direction") != "asc" {
		slices.Reverse(pulls)
	}
	out := []object{}
	for _, p := range pulls {
		out = append(out, c.pullJSON(r, p, false))
	}
	return page(c, out)
}

func (c *call) createPull() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	bad := func(e apiError) *reply {
		e.Resource = "PullRequest"
		return c.invalid(e)
	}
	head, ours := r.branchOf(c.text("head"))
	base := c.text("base")
	switch {
	case c.text("title") == "" && c.body["issue"] == nil:
		return bad(apiError{Code: "missing_field", Field: "title"})
	case !ours || r.git.Head(head) == "":
		return bad(apiError{Code: "invalid", Field: "head"})
	case r.git.Head(base) == "":
		return bad(apiError{Code: "invalid", Field: "base"})
	case strings.TrimSpace(r.git.Git("rev-list", "--count", "refs/heads/"+base+"..refs/heads/"+head)) == "0":
		return bad(apiError{Code: "custom", Message: fmt.Sprintf("No commits between %s and %s", base, head)})
	}
	for _, p := range r.pulls {
		if p.State == "open" && p.Head == head && p.Base == base {
			return bad(apiError{Code: "custom",
				Message: fmt.Sprintf("A pull request already exists for %s:%s.", r.owner.login, head)})
		}
	}
	p := &PullRequest{
		Number: len(r.pulls) + 1, Title: c.text("title"), Body: c.text("body"), Head: head, Base: base,
		State: "open", Draft: c.flag("draft", false), Author: c.actor.login(), Created: c.s.now(),
		id: c.s.id(), author: c.actor.user,
	}
	r.pulls = append(r.pulls, p)
	c.header.Set("Location", c.url("/repos/%s/pulls/%d", r.fullName(), p.Number))
	return &reply{http.StatusCreated, c.pullJSON(r, p, true)}
}

// withPull finds the pull request of the path.
func (c *call) withPull(need Role, do func(*Repo, *PullRequest) *reply) *reply {
	r, denied := c.repo(need)
	if denied != nil {
		return denied
	}
	number, err := strconv.Atoi(c.params["pull_number"])
	p := r.pull(number)
	if err != nil || p == nil {
		return c.notFound()
	}
	return do(r, p)
}

func (c *call) getPull() *reply {
	return c.withPull(Pull, func(r *Repo, p *PullRequest) *reply {
		return &reply{http.StatusOK, c.pullJSON(r, p, true)}
	})
}

func (c *call) editPull() *reply {
	return c.withPull(Push, func(r *Repo, p *PullRequest) *reply {
		switch c.text("state") {
		case "", p.State:
		case "closed":
			r.close(p)
		case "open":
			if p.Merged || r.git.Head(p.Head) == "" {
				return c.invalid(apiError{Resource: "PullRequest", Code: "invalid", Field: "state"})
			}
			p.State, p.closed = "open", time.Time{}
		default:
			return c.invalid(apiError{Resource: "PullRequest", Code: "invalid", Field: "state"})
		}
		if base := c.text("base"); base != "" {
			if r.git.Head(base) == "" {
				return c.invalid(apiError{Resource: "PullRequest", Code: "invalid", Field: "base"})
			}
			p.Base = base
		}
		if title := c.text("title"); title != "" {
			p.Title = title
		}
		if _, given := c.body["body"]; given {
			p.Body = c.text("body")
		}
		return &reply{http.StatusOK, c.pullJSON(r, p, true)}
	})
}

func (c *call) pullMerged() *reply {
	return c.withPull(Pull, func(_ *Repo, p *PullRequest) *reply {
		if !p.Merged {
			return c.notFound()
		}
		return &reply{http.StatusNoContent, nil}
	})
}

func (c *call) mergePull() *reply {
	return c.withPull(Push, func(r *Repo, p *PullRequest) *reply {
		method := c.text("merge_method")
		if method == "" {
			method = "merge"
		}
		switch {
		case p.Merged || p.State != "open" || p.Draft:
			return c.fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
		case method == "rebase":
			return c.fail(http.StatusMethodNotAllowed, "Rebase merges are not allowed on this repository.")
		case method != "merge" && method != "squash":
			return c.invalid(apiError{Resource: "PullRequest", Code: "invalid", Field: "merge_method"})
		case c.text("sha") != "" && c.text("sha") != r.git.Head(p.Head):
			return c.fail(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
		}
		if reason := c.mergeBlocked(r, p); reason != "" {
			return c.fail(http.StatusMethodNotAllowed, reason)
		}
		sha := r.merge(p, method, c.text("commit_title"), c.text("commit_message"), c.actor.login())
		if sha == "" {
			return c.fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
		}
		return &reply{http.StatusOK,
			object{"sha": sha, "merged": true, "message": "Pull Request successfully merged"}}
	})
}
