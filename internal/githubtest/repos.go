package githubtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

type object = map[string]any

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (c *call) url(format string, args ...any) string { return c.base + fmt.Sprintf(format, args...) }

// repo finds the repository of the request and decides whether the actor may do what the endpoint does, in
// the order in which GitHub reveals what there is. The answer is nil when it may.
func (c *call) repo(need Role) (*Repo, *reply) {
	full := c.params["owner"] + "/" + c.params["repo"]
	r := c.s.repos[key(full)]
	if r == nil {
		if moved := c.s.renamed[key(full)]; moved != nil && moved.visible(c.actor) {
			return nil, c.moved(moved)
		}
		return nil, c.notFound()
	}
	if !r.visible(c.actor) {
		return nil, c.notFound()
	}
	read := c.r.Method == http.MethodGet || c.r.Method == http.MethodHead
	left := &r.lag.Writes
	if read {
		left = &r.lag.Reads
	}
	if late(left) {
		return nil, c.notFound()
	}
	if r.blocked != "" {
		return nil, c.blockReply(r)
	}
	if t := c.actor.token; r.needsSSO(t) && (r.private || !read) {
		return nil, c.ssoRequired(r.owner)
	}
	if denied := c.permitted(r, need); denied != nil {
		return nil, denied
	}
	if r.archived && !read && c.r.Method != http.MethodPatch {
		return nil, c.fail(http.StatusForbidden, "Repository was archived so is read-only.")
	}
	return r, nil
}

// visible says whether the repository exists as far as the actor is concerned.
func (r *Repo) visible(a actor) bool {
	if !r.private {
		return true
	}
	t := a.token
	switch {
	case t == nil:
		return false
	case t.kind == installation:
		return t.covers(r)
	case r.role(a.user) < Pull:
		return false
	case t.kind == fineGrained:
		return t.covers(r)
	default:
		return t.hasScope("repo")
	}
}

// permitted applies the endpoint's permission and the role that it needs.
func (c *call) permitted(r *Repo, need Role) *reply {
	t := c.actor.token
	read := need <= Pull && (c.r.Method == http.MethodGet || c.r.Method == http.MethodHead)
	name, level, _ := strings.Cut(c.route.permission, "=")
	switch {
	case t == nil:
		if need > Pull {
			return c.notFound()
		}
		return nil
	case t.kind == classic:
		if !read && !t.hasScope("public_repo") {
			return c.notFound()
		}
		if r.role(c.actor.user) < need {
			if c.r.Method == http.MethodPatch && need == Admin {
				return c.fail(http.StatusForbidden, "Must have admin rights to Repository.")
			}
			return c.notFound()
		}
		return nil
	}
	publicRead := !r.private && read
	if t.covers(r) && t.perms.allow(name, level) || publicRead {
		if t.kind == fineGrained && r.role(c.actor.user) < need {
			return c.inaccessible()
		}
		return nil
	}
	return c.inaccessible()
}

// inaccessible is the answer to a token that lacks a permission; the header names it.
func (c *call) inaccessible() *reply {
	if c.actor.token.kind == installation {
		return c.fail(http.StatusForbidden, "Resource not accessible by integration")
	}
	return c.fail(http.StatusForbidden, "Resource not accessible by personal access token")
}

func (c *call) ssoRequired(org *account) *reply {
	c.header.Set("X-GitHub-SSO", fmt.Sprintf("required; url=%s/orgs/%s/sso?authorization_request=%s",
		c.s.origin(), org.login, random(20)))
	r := failure(http.StatusForbidden, "Resource protected by organization SAML enforcement. "+
		"You must grant your Personal Access token access to this organization.",
		"https://docs.github.com/articles/authenticating-to-a-github-organization-with-saml-single-sign-on/")
	return &r
}

func nodeID(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "0%d:%s%d", len(kind), kind, id))
}

func (c *call) getRepo() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	return &reply{http.StatusOK, c.wholeRepoJSON(r)}
}

func (c *call) createUserRepo() *reply {
	t := c.actor.token
	switch {
	case t.kind == installation:
		return c.inaccessible()
	case t.kind == fineGrained && (!strings.EqualFold(t.owner, c.actor.user.login) || t.repos != nil ||
		!t.perms.allow("administration", "write")):
		return c.inaccessible()
	}
	return c.createRepo(c.actor.user)
}

func (c *call) createOrgRepo() *reply {
	t := c.actor.token
	owner := c.s.accounts[key(c.params["org"])]
	if owner == nil || owner.org == nil {
		return c.notFound()
	}
	if t.kind != classic && (!strings.EqualFold(t.owner, owner.login) || t.repos != nil ||
		!t.perms.allow("administration", "write")) {
		return c.inaccessible()
	}
	if t.kind != installation {
		role, member := owner.org.members[key(c.actor.user.login)]
		switch {
		case !member || owner.org.pending[key(c.actor.user.login)]:
			return c.fail(http.StatusForbidden,
				"You need admin access to the organization before adding a repository to it.")
		case owner.needsSSO(t):
			return c.ssoRequired(owner)
		case owner.org.noCreate && role != "admin":
			return c.fail(http.StatusForbidden,
				"You don't have permission to create repositories in this organization.")
		}
	}
	return c.createRepo(owner)
}

// privateForbidden says why a user may not create private repositories of an organization; "" when they may.
// A nil user is an App.
func (a *account) privateForbidden(user *account) string {
	if a.org == nil || (!a.org.noPrivate &&
		(!a.org.noMemberPrivate || user == nil || a.org.members[key(user.login)] == "admin")) {
		return ""
	}
	return "Visibility can't be private. Private repositories are not permitted for this organization."
}

var repoNamePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

func (c *call) createRepo(owner *account) *reply {
	private := c.flag("private", false)
	if v := c.text("visibility"); v != "" {
		private = v != "public"
	}
	if t := c.actor.token; t.kind == classic &&
		(private && !t.hasScope("repo") || !t.hasScope("public_repo")) {
		return c.notFound()
	}
	refused := func(message string) *reply {
		return c.fail(http.StatusUnprocessableEntity, "Repository creation failed.",
			apiError{Resource: "Repository", Code: "custom", Field: "name", Message: message})
	}
	if text := owner.privateForbidden(c.actor.user); private && text != "" {
		return c.fail(http.StatusUnprocessableEntity, "Repository creation failed.",
			apiError{Resource: "Repository", Code: "custom", Field: "visibility", Message: text})
	}
	name := c.text("name")
	if !repoNamePattern.MatchString(name) || strings.Trim(name, ".") == "" ||
		strings.HasSuffix(name, ".git") {
		return refused("name can only contain ASCII letters, digits, and the characters ., -, and _")
	}
	if c.s.repos[key(owner.login+"/"+name)] != nil {
		return refused("name already exists on this account")
	}
	r := &Repo{owner: owner, name: name, private: private, description: c.text("description"),
		lag: c.s.createLag, grants: map[string]Role{}}
	if owner.org != nil && c.actor.user != nil {
		r.grants[key(c.actor.user.login)] = Admin
	}
	var opts []gittest.RepoOption
	if c.flag("auto_init", false) {
		readme := "# " + name + "\n"
		if r.description != "" {
			readme += r.description + "\n"
		}
		opts = append(opts, gittest.WithFiles(map[string]string{"README.md": readme}))
	}
	if err := c.s.addRepo(r, opts...); err != nil {
		return c.fail(http.StatusInternalServerError, err.Error())
	}
	c.header.Set("Location", c.url("/repos/%s", r.fullName()))
	return &reply{http.StatusCreated, c.wholeRepoJSON(r)}
}

func (c *call) editRepo() *reply {
	r, denied := c.repo(Admin)
	if denied != nil {
		return denied
	}
	if r.archived && c.flag("archived", true) {
		return c.fail(http.StatusForbidden, "Repository was archived so is read-only.")
	}
	if branch := c.text("default_branch"); branch != "" && branch != r.git.DefaultBranch() {
		if r.git.Head(branch) == "" {
			return c.invalid(apiError{Resource: "Repository",
				Code: "invalid", Field: "default_branch", Message: "The branch " + branch +
					" was not found. Please push that ref first or create it via the Git Data API."})
		}
		r.git.SetDefaultBranch(branch)
	}
	if name := c.text("name"); name != "" && name != r.name {
		if !repoNamePattern.MatchString(name) {
			return c.invalid(apiError{Resource: "Repository", Code: "custom", Field: "name",
				Message: "name is invalid"})
		}
		if err := r.move(r.owner, name); err != nil {
			return c.invalid(apiError{Resource: "Repository", Code: "custom", Field: "name",
				Message: "name already exists on this account"})
		}
	}
	if _, given := c.body["description"]; given {
		r.description = c.text("description")
	}
	r.private = c.flag("private", r.private)
	if v := c.text("visibility"); v != "" {
		r.private = v != "public"
	}
	r.archived = c.flag("archived", r.archived)
	return &reply{http.StatusOK, c.wholeRepoJSON(r)}
}
