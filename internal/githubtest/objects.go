package githubtest

import (
	"maps"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// accountJSON is the short form of an account, as other objects hold it.
func (c *call) accountJSON(a *account) object {
	kind := "User"
	if a.org != nil {
		kind = "Organization"
	}
	self := c.url("/users/%s", a.login)
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID(kind, a.id), "type": kind, "site_admin": false,
		"user_view_type": "public", "avatar_url": c.avatar(a), "gravatar_id": "", "url": self,
		"html_url": c.s.origin() + "/" + a.login, "followers_url": self + "/followers",
		"following_url": self + "/following{/other_user}", "gists_url": self + "/gists{/gist_id}",
		"starred_url": self + "/starred{/owner}{/repo}", "subscriptions_url": self + "/subscriptions",
		"organizations_url": self + "/orgs", "repos_url": self + "/repos",
		"events_url": self + "/events{/privacy}", "received_events_url": self + "/received_events",
	}
}

func (c *call) avatar(a *account) string {
	return c.s.origin() + "/avatars/" + strconv.FormatInt(a.id, 10)
}

// countRepos says how many public and private repositories an account has.
func (s *Server) countRepos(a *account) (public, private int) {
	for _, r := range s.repos {
		switch {
		case r.owner != a:
		case r.private:
			private++
		default:
			public++
		}
	}
	return public, private
}

// profile is the long form of a user's account; private is what only users themselves see.
func (c *call) profile(a *account, private bool) object {
	o := c.accountJSON(a)
	publicRepos, privateRepos := c.s.countRepos(a)
	maps.Copy(o, object{
		"name": nil, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil, "bio": nil,
		"twitter_username": nil, "public_repos": publicRepos, "public_gists": 0, "followers": 0,
		"following": 0, "created_at": stamp(a.created), "updated_at": stamp(a.created),
	})
	if a.org == nil {
		o["name"] = a.login
	}
	if private {
		maps.Copy(o, object{
			"user_view_type": "private", "private_gists": 0, "total_private_repos": privateRepos,
			"owned_private_repos": privateRepos, "disk_usage": 0, "collaborators": 0,
			"two_factor_authentication": true, "plan": a.planJSON(),
		})
		if !c.enterprise {
			o["notification_email"] = nil
		}
	}
	return o
}

// getUser shows a user's private data to a classic token with the scope user, as
// https://docs.github.com/rest/users/users#get-the-authenticated-user says.
func (c *call) getUser() *reply {
	if c.actor.user == nil {
		return c.inaccessible()
	}
	return &reply{http.StatusOK,
		c.profile(c.actor.user, c.actor.token.kind == classic && c.actor.token.hasScope("read:user"))}
}

func (c *call) getAccount() *reply {
	a := c.s.accounts[key(c.params["username"])]
	if a == nil {
		return c.notFound()
	}
	return &reply{http.StatusOK, c.profile(a, false)}
}

// orgJSON is the short form of an organization.
func (c *call) orgJSON(a *account) object {
	self := c.url("/orgs/%s", a.login)
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID("Organization", a.id), "url": self,
		"repos_url": self + "/repos", "events_url": self + "/events", "hooks_url": self + "/hooks",
		"issues_url": self + "/issues", "members_url": self + "/members{/member}",
		"public_members_url": self + "/public_members{/member}", "avatar_url": c.avatar(a),
		"description": nil,
	}
}

// getOrg shows an organization's settings to its owners only, who need the scope admin:org or, of the newer
// tokens, the organization's permission administration; plan needs a permission of its own with an App.
// Nobody else is told that something is left out. See
// https://docs.github.com/rest/orgs/orgs#get-an-organization.
func (c *call) getOrg() *reply {
	a := c.s.accounts[key(c.params["org"])]
	if a == nil || a.org == nil {
		return c.notFound()
	}
	o := c.orgJSON(a)
	publicRepos, privateRepos := c.s.countRepos(a)
	maps.Copy(o, object{
		"name": a.login, "twitter_username": nil, "is_verified": false, "has_organization_projects": true,
		"has_repository_projects": true, "public_repos": publicRepos, "public_gists": 0, "followers": 0,
		"following": 0, "html_url": c.s.origin() + "/" + a.login, "created_at": stamp(a.created),
		"updated_at": stamp(a.created), "archived_at": nil, "type": "Organization",
	})
	if !c.ownsOrg(a) {
		return &reply{http.StatusOK, o}
	}
	private := !a.org.noCreate && !a.org.noPrivate && !a.org.noMemberPrivate
	kinds := "none"
	switch {
	case private:
		kinds = "all"
	case !a.org.noCreate:
		kinds = "public"
	}
	maps.Copy(o, object{
		"total_private_repos": privateRepos, "owned_private_repos": privateRepos, "private_gists": 0,
		"disk_usage": 0, "collaborators": 0, "billing_email": "billing@example.com",
		"default_repository_permission": a.org.basePermission(), "default_repository_branch": "main",
		"members_can_create_repositories": !a.org.noCreate, "two_factor_requirement_enabled": false,
		"members_allowed_repository_creation_type": kinds,
		"members_can_create_public_repositories":   !a.org.noCreate,
		"members_can_create_private_repositories":  private,
		"members_can_create_internal_repositories": false, "members_can_create_pages": true,
		"members_can_create_public_pages": true, "members_can_create_private_pages": true,
		"members_can_delete_repositories": true, "members_can_change_repo_visibility": true,
		"members_can_invite_outside_collaborators": true, "members_can_delete_issues": false,
		"display_commenter_full_name_setting_enabled": false, "readers_can_create_discussions": true,
		"members_can_create_teams": true, "members_can_view_dependency_insights": true,
		"members_can_fork_private_repositories": false, "web_commit_signoff_required": false,
		"advanced_security_enabled_for_new_repositories":               false,
		"dependabot_alerts_enabled_for_new_repositories":               false,
		"dependabot_security_updates_enabled_for_new_repositories":     false,
		"dependency_graph_enabled_for_new_repositories":                false,
		"secret_scanning_enabled_for_new_repositories":                 false,
		"secret_scanning_push_protection_enabled_for_new_repositories": false,
		"secret_scanning_push_protection_custom_link":                  nil,
		"deploy_keys_enabled_for_repositories":                         !a.org.deployKeysDisabled,
	})
	if !c.since2026() {
		o["secret_scanning_push_protection_custom_link_enabled"] = false
	}
	if t := c.actor.token; t.kind != installation || t.perms.allow("organization_plan", "read") {
		o["plan"] = a.planJSON()
	}
	return &reply{http.StatusOK, o}
}

// ownsOrg says whether the actor sees what only owners of an organization see.
func (c *call) ownsOrg(a *account) bool {
	t := c.actor.token
	switch {
	case t == nil || t.kind != installation && a.org.members[key(c.actor.user.login)] != "admin":
		return false
	case t.kind == classic:
		return t.hasScope("admin:org") && !a.needsSSO(t)
	default:
		return strings.EqualFold(t.owner, a.login) && t.perms.allow("organization_administration", "read")
	}
}

// basePermission is the word for what every member may do.
func (o *organization) basePermission() string {
	switch {
	case o.base >= Admin:
		return "admin"
	case o.base >= Push:
		return "write"
	case o.base >= Pull:
		return "read"
	}
	return "none"
}

func (c *call) getMembership() *reply {
	a := c.s.accounts[key(c.params["org"])]
	t := c.actor.token
	if c.actor.user == nil || (t.kind == fineGrained &&
		!(a != nil && strings.EqualFold(t.owner, a.login) && t.perms.allow("members", "read"))) {
		return c.inaccessible()
	}
	if a == nil || a.org == nil {
		return c.notFound()
	}
	if t.kind == classic && !t.hasScope("read:org") && !t.hasScope("repo") && !t.hasScope("user") {
		return c.fail(http.StatusForbidden,
			"You need at least read:org scope or user scope to view your organization membership.")
	}
	if a.needsSSO(t) {
		return c.ssoRequired(a)
	}
	role, member := a.org.members[key(c.actor.user.login)]
	if !member {
		return c.fail(http.StatusForbidden,
			"You must be a member of "+a.login+" to see membership information.")
	}
	state := "active"
	if a.org.pending[key(c.actor.user.login)] {
		state = "pending"
	}
	return &reply{http.StatusOK, object{
		"url": c.url("/orgs/%s/memberships/%s", a.login, c.actor.user.login), "state": state,
		"role": role, "organization_url": c.url("/orgs/%s", a.login), "organization": c.orgJSON(a),
		"user": c.accountJSON(c.actor.user),
	}}
}

// repoJSON is a repository as other objects hold it.
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
	open := 0
	for _, p := range r.pulls {
		if p.State == "open" {
			open++
		}
	}
	o := object{
		"id": r.id, "node_id": nodeID("Repository", r.id), "name": r.name, "full_name": full,
		"private": r.private, "visibility": visibility, "owner": c.accountJSON(r.owner), "html_url": web,
		"description": description, "fork": false, "archived": r.archived, "disabled": r.disabled,
		"default_branch": r.git.DefaultBranch(), "is_template": false, "size": 0, "url": api,
		"clone_url": web + ".git", "git_url": "git://" + c.r.Host + "/" + full + ".git",
		"ssh_url": c.s.SSHURL() + full + ".git", "svn_url": web, "mirror_url": nil,
		"created_at": stamp(r.created), "updated_at": stamp(r.created), "pushed_at": stamp(r.created),
		"has_issues": true, "has_projects": true, "has_wiki": true, "has_pages": false,
		"has_discussions": false, "topics": []string{}, "license": nil, "homepage": nil, "language": nil,
		"forks": 0, "forks_count": 0, "stargazers_count": 0, "watchers": 0, "watchers_count": 0,
		"open_issues": open, "open_issues_count": open, "allow_forking": false,
		"web_commit_signoff_required": false,
	}
	for name, path := range map[string]string{
		"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}",
		"blobs_url": "/git/blobs{/sha}", "branches_url": "/branches{/branch}",
		"collaborators_url": "/collaborators{/collaborator}",
		"comments_url":      "/comments{/number}", "commits_url": "/commits{/sha}",
		"compare_url": "/compare/{base}...{head}", "contents_url": "/contents/{+path}",
		"contributors_url": "/contributors", "deployments_url": "/deployments", "downloads_url": "/downloads",
		"events_url": "/events", "forks_url": "/forks", "git_commits_url": "/git/commits{/sha}",
		"git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}", "hooks_url": "/hooks",
		"issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}",
		"issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}",
		"languages_url": "/languages", "merges_url": "/merges", "milestones_url": "/milestones{/number}",
		"notifications_url": "/notifications{?since,all,participating}", "pulls_url": "/pulls{/number}",
		"releases_url": "/releases{/id}", "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}",
		"subscribers_url": "/subscribers", "subscription_url": "/subscription", "tags_url": "/tags",
		"teams_url": "/teams", "trees_url": "/git/trees{/sha}",
	} {
		o[name] = api + path
	}
	if !c.since2026() {
		o["has_downloads"] = true
	}
	if c.actor.token != nil {
		// The user's role; an App has none, whatever it was granted.
		role := None
		if c.actor.user != nil {
			role = r.role(c.actor.user)
		}
		o["permissions"] = object{"admin": role >= Admin, "maintain": role >= Maintain, "push": role >= Push,
			"triage": role >= Triage, "pull": role >= Pull}
	}
	return o
}

// wholeRepoJSON is a repository that was asked for itself.
func (c *call) wholeRepoJSON(r *Repo) object {
	o := c.repoJSON(r)
	maps.Copy(o, object{
		"network_count": 0, "subscribers_count": 0, "temp_clone_token": nil, "allow_merge_commit": true,
		"allow_squash_merge": true, "allow_rebase_merge": false, "allow_auto_merge": false,
		"delete_branch_on_merge": false, "allow_update_branch": false,
		"squash_merge_commit_title": "COMMIT_OR_PR_TITLE", "squash_merge_commit_message": "COMMIT_MESSAGES",
		"merge_commit_title": "MERGE_MESSAGE", "merge_commit_message": "PR_TITLE",
	})
	if !c.since2026() {
		o["use_squash_pr_title_as_default"] = false
	}
	if r.owner.org != nil {
		o["organization"] = c.accountJSON(r.owner)
	}
	return o
}

// getMeta is what https://docs.github.com/rest/meta/meta#get-github-meta-information lists; of it, an
// enterprise server has little, and no host keys.
func (c *call) getMeta() *reply {
	host := strings.Split(c.r.Host, ":")[0]
	if c.enterprise {
		return &reply{http.StatusOK,
			object{"verifiable_password_authentication": true, "installed_version": enterpriseVersion}}
	}
	prints, keys := object{}, []string{}
	names := map[string]string{"ssh-ed25519": "SHA256_ED25519", "ecdsa-sha2-nistp256": "SHA256_ECDSA",
		"ssh-rsa": "SHA256_RSA"}
	for _, k := range c.s.git.HostKeys() {
		prints[names[k.Type()]] = strings.TrimPrefix(ssh.FingerprintSHA256(k), "SHA256:")
		keys = append(keys, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))))
	}
	o := object{"verifiable_password_authentication": false, "ssh_key_fingerprints": prints, "ssh_keys": keys,
		"domains": object{"website": []string{host}, "codespaces": []string{host}, "copilot": []string{host},
			"packages": []string{host}, "actions": []string{host}}}
	for _, service := range []string{"hooks", "web", "api", "git", "github_enterprise_importer", "packages",
		"pages", "importer", "actions", "actions_macos", "codespaces", "dependabot", "copilot"} {
		o[service] = []string{"127.0.0.0/8"}
	}
	return &reply{http.StatusOK, o}
}

func (c *call) getRateLimit() *reply {
	b := c.s.budget(c)
	used := min(b.used, b.limit)
	limits := func(limit, used int) object {
		return object{"limit": limit, "used": used, "remaining": limit - used, "reset": b.reset.Unix()}
	}
	core := limits(b.limit, used)
	o := object{"resources": object{"core": core, "search": limits(30, 0), "graphql": limits(5000, 0)}}
	if !c.since2026() {
		o["rate"] = core
	}
	return &reply{http.StatusOK, o}
}
