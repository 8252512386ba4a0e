package githubtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

type object = map[string]any

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (c *call) url(format string, args ...any) string { return c.base + fmt.Sprintf(format, args...) }

// repo finds the repository of the request and decides whether the actor may do what the endpoint does, in the order in which GitHub
// reveals what there is. The answer is nil when it may.
func (c *call) repo(need Role) (*Repo, *reply) {
	full := c.params["owner"] + "/" + c.params["repo"]
	r := c.s.repos[key(full)]
	if r == nil {
		if moved := c.s.renamed[key(full)]; moved != nil && moved.visible(c.actor) {
			return nil, c.moved(moved)
		}
		return nil, c.notFound()
	}
	read := c.r.Method == http.MethodGet || c.r.Method == http.MethodHead
	if read && r.hidden > 0 {
		r.hidden--
		return nil, c.notFound()
	}
	if !r.visible(c.actor) {
		return nil, c.notFound()
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
	c.header.Set("X-GitHub-SSO", fmt.Sprintf("required; url=%s/orgs/%s/sso?authorization_request=%s", c.s.origin(), org.login, random(20)))
	r := failure(http.StatusForbidden, "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization.",
		"https://docs.github.com/articles/authenticating-to-a-github-organization-with-saml-single-sign-on/")
	return &r
}

func (c *call) moved(r *Repo) *reply {
	rest := strings.Join(strings.Split(c.path, "/")[4:], "/")
	to := c.url("/repositories/%d", r.id)
	if rest != "" {
		to += "/" + (&url.URL{Path: rest}).EscapedPath()
	}
	if c.r.URL.RawQuery != "" {
		to += "?" + c.r.URL.RawQuery
	}
	c.header.Set("Location", to)
	status := http.StatusMovedPermanently
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		status = http.StatusTemporaryRedirect
	}
	return &reply{status, object{"message": http.StatusText(status), "url": to,
		"documentation_url": docs + "/guides/best-practices-for-using-the-rest-api#follow-redirects"}}
}

func (c *call) accountJSON(a *account) object {
	kind := "User"
	if a.org != nil {
		kind = "Organization"
	}
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID(kind, a.id), "type": kind, "site_admin": false, "avatar_url": c.s.origin() + "/avatars/" + strconv.FormatInt(a.id, 10),
		"url": c.url("/users/%s", a.login), "html_url": c.s.origin() + "/" + a.login, "repos_url": c.url("/users/%s/repos", a.login),
	}
}

func nodeID(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "0%d:%s%d", len(kind), kind, id))
}

func (c *call) repoJSON(r *Repo) object {
	visibility := "public"
	if r.private {
		visibility = "private"
	}
	full, web, api := r.fullName(), c.s.origin()+"/"+r.fullName(), c.url("/repos/%s", r.fullName())
	var description any
	if r.description != "" {
		description = r.description
	}
	o := object{
		"id": r.id, "node_id": nodeID("Repository", r.id), "name": r.name, "full_name": full, "private": r.private, "visibility": visibility,
		"owner": c.accountJSON(r.owner), "html_url": web, "description": description, "fork": false, "archived": r.archived, "disabled": false,
		"default_branch": r.git.DefaultBranch(), "is_template": false, "size": 0, "url": api,
		"keys_url": api + "/keys{/key_id}", "branches_url": api + "/branches{/branch}", "contents_url": api + "/contents/{+path}",
		"pulls_url": api + "/pulls{/number}", "git_refs_url": api + "/git/refs{/sha}",
		"clone_url": web + ".git", "git_url": "git://" + c.r.Host + "/" + full + ".git", "ssh_url": c.s.SSHURL() + full + ".git",
		"created_at": stamp(r.created), "updated_at": stamp(r.created), "pushed_at": stamp(r.created),
		"has_issues": true, "has_projects": true, "has_wiki": true, "has_downloads": true, "has_discussions": false,
		"allow_merge_commit": true, "allow_squash_merge": true, "allow_rebase_merge": false, "allow_auto_merge": false, "delete_branch_on_merge": false,
		"topics": []string{}, "license": nil, "homepage": nil, "language": nil, "forks_count": 0, "stargazers_count": 0, "watchers_count": 0, "open_issues_count": 0,
	}
	if r.owner.org != nil {
		o["organization"] = c.accountJSON(r.owner)
	}
	if c.actor.token != nil {
		// The user's role; an App has none, whatever it was granted.
		role := None
		if c.actor.user != nil {
			role = r.role(c.actor.user)
		}
		o["permissions"] = object{"admin": role >= Admin, "maintain": role >= Maintain, "push": role >= Push, "triage": role >= Triage, "pull": role >= Pull}
	}
	return o
}

func (c *call) getRepo() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	return &reply{http.StatusOK, c.repoJSON(r)}
}

func (c *call) createUserRepo() *reply {
	t := c.actor.token
	switch {
	case t.kind == installation:
		return c.inaccessible()
	case t.kind == fineGrained && (!strings.EqualFold(t.owner, c.actor.user.login) || t.repos != nil || !t.perms.allow("administration", "write")):
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
	if t.kind != classic && (!strings.EqualFold(t.owner, owner.login) || t.repos != nil || !t.perms.allow("administration", "write")) {
		return c.inaccessible()
	}
	if t.kind != installation {
		role, member := owner.org.members[key(c.actor.user.login)]
		switch {
		case !member || owner.org.pending[key(c.actor.user.login)]:
			return c.fail(http.StatusForbidden, "You need admin access to the organization before adding a repository to it.")
		case owner.needsSSO(t):
			return c.ssoRequired(owner)
		case owner.org.noCreate && role != "admin":
			return c.fail(http.StatusForbidden, "You don't have permission to create repositories in this organization.")
		}
	}
	return c.createRepo(owner)
}

var repoNamePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

func (c *call) createRepo(owner *account) *reply {
	private := c.flag("private", false)
	if v := c.text("visibility"); v != "" {
		private = v != "public"
	}
	if t := c.actor.token; t.kind == classic && (private && !t.hasScope("repo") || !t.hasScope("public_repo")) {
		return c.notFound()
	}
	refused := func(message string) *reply {
		return c.fail(http.StatusUnprocessableEntity, "Repository creation failed.",
			apiError{Resource: "Repository", Code: "custom", Field: "name", Message: message})
	}
	name := c.text("name")
	if !repoNamePattern.MatchString(name) || strings.Trim(name, ".") == "" || strings.HasSuffix(name, ".git") {
		return refused("name can only contain ASCII letters, digits, and the characters ., -, and _")
	}
	if c.s.repos[key(owner.login+"/"+name)] != nil {
		return refused("name already exists on this account")
	}
	r := &Repo{owner: owner, name: name, private: private, description: c.text("description"), hidden: c.s.createLag, grants: map[string]Role{}}
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
	return &reply{http.StatusCreated, c.repoJSON(r)}
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
			return c.invalid(apiError{Resource: "Repository", Code: "invalid", Field: "default_branch", Message: "The branch " + branch + " was not found. Please push that ref first or create it via the Git Data API."})
		}
		r.git.SetDefaultBranch(branch)
	}
	if name := c.text("name"); name != "" && name != r.name {
		if !repoNamePattern.MatchString(name) {
			return c.invalid(apiError{Resource: "Repository", Code: "custom", Field: "name", Message: "name is invalid"})
		}
		if err := r.rename(name); err != nil {
			return c.invalid(apiError{Resource: "Repository", Code: "custom", Field: "name", Message: "name already exists on this account"})
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
	return &reply{http.StatusOK, c.repoJSON(r)}
}

func (c *call) getMeta() *reply {
	host := strings.Split(c.r.Host, ":")[0]
	prints, keys := object{}, []string{}
	names := map[string]string{"ssh-ed25519": "SHA256_ED25519", "ecdsa-sha2-nistp256": "SHA256_ECDSA", "ssh-rsa": "SHA256_RSA"}
	for _, k := range c.s.git.HostKeys() {
		prints[names[k.Type()]] = strings.TrimPrefix(ssh.FingerprintSHA256(k), "SHA256:")
		keys = append(keys, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))))
	}
	loopback := []string{"127.0.0.0/8"}
	return &reply{http.StatusOK, object{
		"verifiable_password_authentication": false, "ssh_key_fingerprints": prints, "ssh_keys": keys,
		"hooks": loopback, "web": loopback, "api": loopback, "git": loopback, "packages": loopback, "pages": loopback, "importer": loopback,
		"actions": loopback, "dependabot": loopback,
		"domains": object{"website": []string{host}, "packages": []string{host}},
	}}
}

func (c *call) getRateLimit() *reply {
	b := c.s.budget(c)
	used := min(b.used, b.limit)
	core := object{"limit": b.limit, "used": used, "remaining": b.limit - used, "reset": b.reset.Unix(), "resource": "core"}
	return &reply{http.StatusOK, object{"resources": object{"core": core}, "rate": core}}
}

func (c *call) getUser() *reply {
	if c.actor.user == nil {
		return c.inaccessible()
	}
	o := c.accountJSON(c.actor.user)
	o["name"], o["email"] = c.actor.user.login, nil
	return &reply{http.StatusOK, o}
}

func (c *call) getAccount() *reply {
	a := c.s.accounts[key(c.params["user"])]
	if a == nil {
		return c.notFound()
	}
	return &reply{http.StatusOK, c.accountJSON(a)}
}

func (c *call) getOrg() *reply {
	a := c.s.accounts[key(c.params["org"])]
	if a == nil || a.org == nil {
		return c.notFound()
	}
	o := c.accountJSON(a)
	o["url"] = c.url("/orgs/%s", a.login)
	o["deploy_keys_enabled_for_repositories"] = !a.org.deployKeysDisabled
	o["members_can_create_repositories"] = !a.org.noCreate
	return &reply{http.StatusOK, o}
}

func (c *call) getMembership() *reply {
	a := c.s.accounts[key(c.params["org"])]
	t := c.actor.token
	if c.actor.user == nil || (t.kind == fineGrained && !(a != nil && strings.EqualFold(t.owner, a.login) && t.perms.allow("members", "read"))) {
		return c.inaccessible()
	}
	if a == nil || a.org == nil {
		return c.notFound()
	}
	if t.kind == classic && !t.hasScope("read:org") && !t.hasScope("repo") && !t.hasScope("user") {
		return c.fail(http.StatusForbidden, "You need at least read:org scope or user scope to view your organization membership.")
	}
	if a.needsSSO(t) {
		return c.ssoRequired(a)
	}
	role, member := a.org.members[key(c.actor.user.login)]
	if !member {
		return c.fail(http.StatusForbidden, "You must be a member of "+a.login+" to see membership information.")
	}
	state := "active"
	if a.org.pending[key(c.actor.user.login)] {
		state = "pending"
	}
	return &reply{http.StatusOK, object{
		"url": c.url("/orgs/%s/memberships/%s", a.login, c.actor.user.login), "state": state, "role": role,
		"organization_url": c.url("/orgs/%s", a.login), "organization": c.accountJSON(a), "user": c.accountJSON(c.actor.user),
	}}
}
