package githubtest

import (
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest/description"
)

// route is an endpoint; what it takes is in GitHub's description of it. In its pattern {name} stands for one
// segment and {name+} for one or more, since branches have slashes.
type route struct {
	method     string
	pattern    string
	doc        string // page of the REST documentation
	scopes     string // X-Accepted-OAuth-Scopes
	permission string // X-Accepted-GitHub-Permissions: what fine-grained and installation tokens need
	login      bool   // refuses anonymous requests
	handle     func(*call) *reply
}

func (r *route) match(segments []string) (map[string]string, bool) {
	params := map[string]string{}
	return params, matchSegments(strings.Split(strings.TrimPrefix(r.pattern, "/"), "/"), segments, params)
}

func matchSegments(pattern, have []string, params map[string]string) bool {
	if len(pattern) == 0 {
		return len(have) == 0
	}
	if len(have) == 0 {
		return false
	}
	name, isParam := strings.CutPrefix(pattern[0], "{")
	if !isParam {
		return pattern[0] == have[0] && matchSegments(pattern[1:], have[1:], params)
	}
	name = strings.TrimSuffix(name, "}")
	name, many := strings.CutSuffix(name, "+")
	longest := 1
	if many {
		longest = len(have)
	}
	for n := longest; n > 0; n-- {
		if value := strings.Join(have[:n], "/"); value != "" && matchSegments(pattern[1:], have[n:], params) {
			params[name] = value
			return true
		}
	}
	return false
}

// allRoutes are the endpoints; of several that match, the first wins.
func (s *Server) allRoutes() []route {
	const repo = "/repos/{owner}/{repo}"
	return []route{
		{method: "GET", pattern: "/meta", doc: "meta/meta#get-github-meta-information",
			handle: (*call).getMeta},
		{method: "GET", pattern: "/rate_limit", doc: "rate-limit/rate-limit", handle: (*call).getRateLimit},
		{method: "GET", pattern: "/user", doc: "users/users#get-the-authenticated-user", login: true,
			handle: (*call).getUser},
		{method: "GET", pattern: "/user/memberships/orgs/{org}",
			doc:    "orgs/members#get-an-organization-membership-for-the-authenticated-user",
			scopes: "admin:org, read:org, repo, user, write:org", permission: "members=read", login: true,
			handle: (*call).getMembership},
		{method: "POST", pattern: "/user/repos",
			doc: "repos/repos#create-a-repository-for-the-authenticated-user", scopes: "public_repo, repo",
			permission: "administration=write", login: true, handle: (*call).createUserRepo},
		{method: "GET", pattern: "/users/{username}", doc: "users/users#get-a-user",
			handle: (*call).getAccount},
		{method: "GET", pattern: "/orgs/{org}", doc: "orgs/orgs#get-an-organization",
			scopes: "admin:org, read:org, repo, user, write:org", handle: (*call).getOrg},
		{method: "POST", pattern: "/orgs/{org}/repos", doc: "repos/repos#create-an-organization-repository",
			scopes: "public_repo, repo", permission: "administration=write", login: true,
			handle: (*call).createOrgRepo},

		{method: "GET", pattern: repo, doc: "repos/repos#get-a-repository", scopes: "repo",
			permission: "metadata=read", handle: (*call).getRepo},
		{method: "PATCH", pattern: repo, doc: "repos/repos#update-a-repository", scopes: "public_repo, repo",
			permission: "administration=write", login: true, handle: (*call).editRepo},
		{method: "GET", pattern: repo + "/contents", doc: "repos/contents#get-repository-content",
			scopes: "repo", permission: "contents=read", handle: (*call).getContents},
		{method: "GET", pattern: repo + "/contents/", doc: "repos/contents#get-repository-content",
			scopes: "repo", permission: "contents=read", handle: (*call).getContents},
		{method: "GET", pattern: repo + "/contents/{path+}", doc: "repos/contents#get-repository-content",
			scopes: "repo", permission: "contents=read", handle: (*call).getContents},
		{method: "GET", pattern: repo + "/branches", doc: "branches/branches#list-branches", scopes: "repo",
			permission: "contents=read", handle: (*call).listBranches},
		{method: "GET", pattern: repo + "/branches/{branch+}/protection",
			doc: "branches/branch-protection#get-branch-protection", scopes: "repo",
			permission: "administration=read", handle: (*call).getProtection},
		{method: "GET", pattern: repo + "/branches/{branch+}", doc: "branches/branches#get-a-branch",
			scopes: "repo", permission: "contents=read", handle: (*call).getBranch},
		{method: "GET", pattern: repo + "/rules/branches/{branch+}",
			doc: "repos/rules#get-rules-for-a-branch", scopes: "repo", permission: "metadata=read",
			handle: (*call).getRules},
		{method: "GET", pattern: repo + "/git/ref/{ref+}", doc: "git/refs#get-a-reference", scopes: "repo",
			permission: "contents=read", handle: (*call).getRef},
		{method: "DELETE", pattern: repo + "/git/refs/{ref+}", doc: "git/refs#delete-a-reference",
			scopes: "public_repo, repo", permission: "contents=write", login: true,
			handle: (*call).deleteRef},
		{method: "GET", pattern: repo + "/commits", doc: "commits/commits#list-commits", scopes: "repo",
			permission: "contents=read", handle: (*call).listCommits},
		{method: "GET", pattern: repo + "/commits/{ref+}", doc: "commits/commits#get-a-commit",
			scopes: "repo", permission: "contents=read", handle: (*call).getCommit},

		{method: "GET", pattern: repo + "/keys", doc: "deploy-keys/deploy-keys#list-deploy-keys",
			scopes: "repo", permission: "administration=read", login: true, handle: (*call).listKeys},
		{method: "POST", pattern: repo + "/keys", doc: "deploy-keys/deploy-keys#create-a-deploy-key",
			scopes: "public_repo, repo", permission: "administration=write", login: true,
			handle: (*call).createKey},
		{method: "GET", pattern: repo + "/keys/{key_id}", doc: "deploy-keys/deploy-keys#get-a-deploy-key",
			scopes: "repo", permission: "administration=read", login: true, handle: (*call).getKey},
		{method: "DELETE", pattern: repo + "/keys/{key_id}",
			doc: "deploy-keys/deploy-keys#delete-a-deploy-key", scopes: "public_repo, repo",
			permission: "administration=write", login: true, handle: (*call).deleteKey},

		{method: "GET", pattern: repo + "/pulls", doc: "pulls/pulls#list-pull-requests", scopes: "repo",
			permission: "pull_requests=read", handle: (*call).listPulls},
		{method: "POST", pattern: repo + "/pulls", doc: "pulls/pulls#create-a-pull-request",
			scopes: "public_repo, repo", permission: "pull_requests=write", login: true,
			handle: (*call).createPull},
		{method: "GET", pattern: repo + "/pulls/{pull_number}", doc: "pulls/pulls#get-a-pull-request",
			scopes: "repo", permission: "pull_requests=read", handle: (*call).getPull},
		{method: "PATCH", pattern: repo + "/pulls/{pull_number}", doc: "pulls/pulls#update-a-pull-request",
			scopes: "public_repo, repo", permission: "pull_requests=write", login: true,
			handle: (*call).editPull},
		{method: "GET", pattern: repo + "/pulls/{pull_number}/merge",
			doc: "pulls/pulls#check-if-a-pull-request-has-been-merged", scopes: "repo",
			permission: "pull_requests=read", handle: (*call).pullMerged},
		{method: "PUT", pattern: repo + "/pulls/{pull_number}/merge", doc: "pulls/pulls#merge-a-pull-request",
			scopes: "public_repo, repo", permission: "contents=write", login: true,
			handle: (*call).mergePull},
	}
}

// operation is the route's name in GitHub's description of the API.
func (r *route) operation() description.Name {
	path := strings.ReplaceAll(r.pattern, "+}", "}")
	if root, ok := strings.CutSuffix(strings.TrimSuffix(path, "/"), "/contents"); ok {
		path = root + "/contents/{path}" // of the root, whose path is empty
	}
	return description.Name{Method: r.method, Path: path}
}

// Operations are the operations that the server serves.
func Operations() []description.Name {
	var names []description.Name
	for _, r := range (&Server{}).allRoutes() {
		if name := r.operation(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
