package githubtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

const emptyRepository = "Git Repository is empty."

func (c *call) commitJSON(r *Repo, e gittest.LogEntry) object {
	api := c.url("/repos/%s/commits/%s", r.fullName(), e.Hash)
	parents := []object{}
	for _, p := range e.Parents {
		parents = append(parents, object{"sha": p, "url": c.url("/repos/%s/commits/%s", r.fullName(), p),
			"html_url": c.s.origin() + "/" + r.fullName() + "/commit/" + p})
	}
	person := func(name, email string) object {
		return object{"name": name, "email": email, "date": stamp(e.When)}
	}
	tree := strings.TrimSpace(r.git.Git("rev-parse", e.Hash+"^{tree}"))
	return object{
		"sha": e.Hash, "node_id": nodeID("Commit", r.id) + e.Hash[:8],
		"url": api, "html_url": c.s.origin() + "/" + r.fullName() + "/commit/" + e.Hash,
		"comments_url": api + "/comments", "commit": object{
			"author": person(e.Author, e.AuthorEmail), "committer": person(e.Committer, e.CommitterEmail),
			"message": e.Message, "tree": object{"sha": tree,
				"url": c.url("/repos/%s/git/trees/%s", r.fullName(), tree)},
			"url":           c.url("/repos/%s/git/commits/%s", r.fullName(), e.Hash),
			"comment_count": 0, "verification": object{"verified": false, "reason": "unsigned",
				"signature": nil, "payload": nil, "verified_at": nil},
		},
		"author": nil, "committer": nil, "parents": parents,
	}
}

// isProtected says whether a branch is protected, by either of GitHub's two means.
func (r *Repo) isProtected(branch string) bool {
	_, protected := r.protectionOf(branch)
	return protected || len(r.rulesetsFor(branch)) > 0
}

// protectionOf finds the protection of a branch: its own, else that of a pattern.
func (r *Repo) protectionOf(branch string) (Protection, bool) {
	protections := r.enforcedProtections()
	if p, ok := protections[branch]; ok {
		return p, true
	}
	for pattern, p := range protections {
		if branchMatches(pattern, branch) {
			return p, true
		}
	}
	return Protection{}, false
}

func (c *call) branchSummary(r *Repo, branch string) object {
	p, own := r.protectionOf(branch)
	level := "off"
	if len(p.StatusChecks) > 0 {
		level = "non_admins"
	}
	contexts := append([]string{}, p.StatusChecks...)
	head := r.git.Head(branch)
	return object{
		"name": branch, "protected": r.isProtected(branch), "commit": object{"sha": head,
			"url": c.url("/repos/%s/commits/%s", r.fullName(), head)},
		"protection": object{"enabled": own, "required_status_checks": object{"enforcement_level": level,
			"contexts": contexts, "checks": []any{}}},
		"protection_url": c.url("/repos/%s/branches/%s/protection", r.fullName(), escaped(branch)),
	}
}

func (c *call) listBranches() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	branches := []object{}
	for _, b := range r.git.Branches() {
		if want := c.query.Get("protected"); want == "" || want == strconv.FormatBool(r.isProtected(b)) {
			branches = append(branches, c.branchSummary(r, b))
		}
	}
	return page(c, branches)
}

func (c *call) getBranch() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	branch := c.params["branch"]
	log := r.git.LogN("refs/heads/"+branch, 1)
	if len(log) == 0 {
		if to := r.successor(branch); to != "" {
			return c.redirect(c.url("/repositories/%d/branches/%s", r.id, escaped(to)))
		}
		return c.fail(http.StatusNotFound, "Branch not found")
	}
	o := c.branchSummary(r, branch)
	o["commit"] = c.commitJSON(r, log[0])
	o["_links"] = object{"self": c.url("/repos/%s/branches/%s", r.fullName(), branch),
		"html": c.s.origin() + "/" + r.fullName() + "/tree/" + branch}
	return &reply{http.StatusOK, o}
}

func (c *call) getProtection() *reply {
	r, denied := c.repo(Admin)
	if denied != nil {
		return denied
	}
	if denied := c.upgradeForRules(r); denied != nil {
		return denied
	}
	branch := c.params["branch"]
	if r.git.Head(branch) == "" {
		return c.fail(http.StatusNotFound, "Branch not found")
	}
	p, ok := r.protectionOf(branch)
	if !ok {
		return c.fail(http.StatusNotFound, "Branch not protected")
	}
	self := c.url("/repos/%s/branches/%s/protection", r.fullName(), branch)
	enabled := func(on bool) object { return object{"enabled": on} }
	o := object{
		"url":            self,
		"enforce_admins": object{"url": self + "/enforce_admins", "enabled": p.EnforceAdmins},
		"required_signatures": object{"url": self + "/required_signatures",
			"enabled": p.RequireSignatures},
		"required_linear_history":          enabled(p.LinearHistory),
		"allow_force_pushes":               enabled(p.AllowForcePushes),
		"allow_deletions":                  enabled(p.AllowDeletions),
		"block_creations":                  enabled(false),
		"required_conversation_resolution": enabled(false),
		"lock_branch":                      enabled(false),
		"allow_fork_syncing":               enabled(false),
	}
	if p.RequirePullRequest {
		o["required_pull_request_reviews"] = object{
			"url": self + "/required_pull_request_reviews", "dismiss_stale_reviews": false,
			"require_code_owner_reviews": false, "require_last_push_approval": false,
			"required_approving_review_count": p.Approvals,
		}
	}
	if len(p.StatusChecks) > 0 {
		checks := []object{}
		for _, check := range p.StatusChecks {
			checks = append(checks, object{"context": check, "app_id": nil})
		}
		o["required_status_checks"] = object{"url": self + "/required_status_checks", "strict": false,
			"contexts": p.StatusChecks, "checks": checks,
			"contexts_url": self + "/required_status_checks/contexts"}
	}
	return &reply{http.StatusOK, o}
}

func (c *call) getRules() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	if denied := c.upgradeForRules(r); denied != nil {
		return denied
	}
	rules := []object{}
	for _, rs := range r.rulesetsFor(c.params["branch"]) {
		sourceType, source := "Repository", r.fullName()
		if rs.Organization {
			sourceType, source = "Organization", r.owner.login
		}
		add := func(when bool, kind string, parameters object) {
			if !when {
				return
			}
			rule := object{"type": kind, "ruleset_source_type": sourceType, "ruleset_source": source,
				"ruleset_id": rs.id}
			if parameters != nil {
				rule["parameters"] = parameters
			}
			rules = append(rules, rule)
		}
		checks := []object{}
		for _, check := range rs.StatusChecks {
			checks = append(checks, object{"context": check})
		}
		add(rs.BlockCreation, "creation", nil)
		add(rs.BlockDeletions, "deletion", nil)
		add(rs.BlockForcePushes, "non_fast_forward", nil)
		add(rs.RequireSignatures, "required_signatures", nil)
		add(rs.LinearHistory, "required_linear_history", nil)
		add(rs.RequirePullRequest, "pull_request", object{
			"required_approving_review_count": rs.Approvals, "dismiss_stale_reviews_on_push": false,
			"require_code_owner_review": false, "require_last_push_approval": false,
			"required_review_thread_resolution": false,
		})
		add(len(checks) > 0, "required_status_checks",
			object{"strict_required_status_checks_policy": false, "required_status_checks": checks})
		add(rs.MessagePattern != "", "commit_message_pattern",
			object{"name": "", "negate": false, "operator": "regex", "pattern": rs.MessagePattern})
	}
	return page(c, rules)
}

func (c *call) getRef() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	if len(r.git.Branches()) == 0 {
		return c.fail(http.StatusConflict, emptyRepository)
	}
	ref := "refs/" + c.params["ref"]
	sha := r.git.Resolve(ref)
	if sha == "" {
		return c.notFound()
	}
	return &reply{http.StatusOK, object{
		"ref": ref, "node_id": nodeID("Ref", r.id), "url": c.url("/repos/%s/git/%s", r.fullName(), ref),
		"object": object{"type": "commit", "sha": sha,
			"url": c.url("/repos/%s/git/commits/%s", r.fullName(), sha)},
	}}
}

func (c *call) deleteRef() *reply {
	r, denied := c.repo(Push)
	if denied != nil {
		return denied
	}
	branch, ok := strings.CutPrefix(c.params["ref"], "heads/")
	if !ok || r.git.Head(branch) == "" {
		return c.fail(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	role := Push
	if c.actor.user != nil {
		role = r.role(c.actor.user)
	}
	for _, rule := range r.rulesFor(c.actor.user, role) {
		if rule.kind == "delete" && rule.matches("refs/heads/"+branch) {
			return c.fail(http.StatusUnprocessableEntity, rule.text)
		}
	}
	r.git.DeleteBranch(branch)
	return &reply{http.StatusNoContent, nil}
}

// revision resolves what a client calls a commit: a hash, a branch, heads/branch or a tag; empty is the
// default branch.
func (r *Repo) revision(name string) string {
	if name == "" {
		return r.git.Head(r.git.DefaultBranch())
	}
	for _, candidate := range []string{"refs/heads/" + name, "refs/" + name, "refs/tags/" + name} {
		if sha := r.git.Resolve(candidate); sha != "" {
			return sha
		}
	}
	if strings.Trim(name, "0123456789abcdef") == "" && len(name) >= 7 {
		return r.git.Resolve(name)
	}
	return ""
}

func (c *call) listCommits() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	if len(r.git.Branches()) == 0 {
		return c.fail(http.StatusConflict, emptyRepository)
	}
	rev := r.revision(c.query.Get("sha"))
	if rev == "" {
		return c.notFound()
	}
	var paths []string
	if p := c.query.Get("path"); p != "" {
		paths = append(paths, p)
	}
	commits := []object{}
	for _, e := range r.git.LogN(rev, 0, paths...) {
		commits = append(commits, c.commitJSON(r, e))
	}
	return page(c, commits)
}

func (c *call) getCommit() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	if len(r.git.Branches()) == 0 {
		return c.fail(http.StatusConflict, emptyRepository)
	}
	rev := r.revision(c.params["ref"])
	if rev == "" {
		return c.fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.params["ref"])
	}
	o := c.commitJSON(r, r.git.LogN(rev, 1)[0])
	files := c.changedFiles(r, rev)
	additions, deletions := 0, 0
	for _, f := range files {
		additions, deletions = additions+f["additions"].(int), deletions+f["deletions"].(int)
	}
	o["stats"] = object{"total": additions + deletions, "additions": additions, "deletions": deletions}
	o["files"] = files
	return &reply{http.StatusOK, o}
}

// changedFiles are the files that a commit changes.
func (c *call) changedFiles(r *Repo, rev string) []object {
	out := r.git.Git("diff-tree", "--root", "-r", "-z", "--no-commit-id", "--no-renames", "--raw",
		"--numstat", rev)
	files, byName := []object{}, map[string]object{}
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	for i := 0; i < len(fields); i++ {
		// Either ":MODE MODE HASH HASH LETTER" before the name, or "ADDED\tDELETED\tNAME".
		if meta, raw := strings.CutPrefix(fields[i], ":"); raw && i+1 < len(fields) {
			f := strings.Fields(meta)
			name, status, blob := fields[i+1], map[string]string{"A": "added", "D": "removed"}[f[4]], f[3]
			switch status {
			case "":
				status = "modified"
			case "removed":
				blob = f[2]
			}
			at := c.s.origin() + "/" + r.fullName()
			byName[name] = object{"sha": blob, "filename": name, "status": status, "additions": 0,
				"deletions": 0, "changes": 0, "blob_url": at + "/blob/" + rev + "/" + escaped(name),
				"raw_url":      at + "/raw/" + rev + "/" + escaped(name),
				"contents_url": c.url("/repos/%s/contents/%s?ref=%s", r.fullName(), escaped(name), rev)}
			files = append(files, byName[name])
			i++
			continue
		}
		counts := strings.SplitN(fields[i], "\t", 3)
		if len(counts) == 3 && byName[counts[2]] != nil {
			added, _ := strconv.Atoi(counts[0]) // a binary file has "-"
			deleted, _ := strconv.Atoi(counts[1])
			file := byName[counts[2]]
			file["additions"], file["deletions"], file["changes"] = added, deleted, added+deleted
		}
	}
	return files
}

func (c *call) getContents() *reply {
	r, denied := c.repo(Pull)
	if denied != nil {
		return denied
	}
	if len(r.git.Branches()) == 0 {
		return c.fail(http.StatusNotFound, "This repository is empty.")
	}
	ref := c.query.Get("ref")
	rev := r.revision(ref)
	if rev == "" {
		return c.fail(http.StatusNotFound, "No commit found for the ref "+ref)
	}
	if ref == "" {
		ref = r.git.DefaultBranch()
	}
	name := strings.Trim(path.Clean("/"+c.params["path"]), "/")
	if name != "" {
		if content, ok := r.git.File(rev, name); ok {
			return c.fileContents(r, ref, rev, name, content)
		}
	}
	out, err := r.git.TryGit(nil, "ls-tree", "-z", "-l", rev+":"+name)
	if err != nil {
		return c.notFound()
	}
	entries := []object{}
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		meta, base, ok := strings.Cut(line, "\t")
		f := strings.Fields(meta) // mode, type, hash, size
		if !ok || len(f) != 4 {
			continue
		}
		kind := "file"
		if f[1] == "tree" {
			kind = "dir"
		}
		size, _ := strconv.Atoi(f[3]) // a directory has "-"
		entries = append(entries, c.entryJSON(r, ref, path.Join(name, base), kind, f[2], size))
	}
	return &reply{http.StatusOK, entries}
}

func (c *call) entryJSON(r *Repo, ref, name, kind, sha string, size int) object {
	self := c.url("/repos/%s/contents/%s?ref=%s", r.fullName(), escaped(name), url.QueryEscape(ref))
	page := fmt.Sprintf("%s/%s/blob/%s/%s", c.s.origin(), r.fullName(), ref, name)
	blob := c.url("/repos/%s/git/blobs/%s", r.fullName(), sha)
	o := object{"type": kind, "name": path.Base(name), "path": name, "sha": sha, "size": size, "url": self,
		"html_url": page, "git_url": blob, "download_url": nil,
		"_links": object{"self": self, "git": blob, "html": page}}
	if kind == "file" {
		o["download_url"] = fmt.Sprintf("%s/raw/%s/%s/%s", c.s.origin(), r.fullName(), ref, name)
	}
	return o
}

func (c *call) fileContents(r *Repo, ref, rev, name, content string) *reply {
	if strings.Contains(c.r.Header.Get("Accept"), "raw") {
		c.header.Set("Content-Type", "application/vnd.github.raw+json; charset=utf-8")
		return &reply{http.StatusOK, content}
	}
	o := c.entryJSON(r, ref, name, "file", strings.TrimSpace(r.git.Git("rev-parse", rev+":"+name)),
		len(content))
	// GitHub breaks the encoded text into lines of 60 characters.
	encoded := base64.StdEncoding.EncodeToString([]byte(content))
	var lines strings.Builder
	for len(encoded) > 0 {
		n := min(60, len(encoded))
		lines.WriteString(encoded[:n] + "\n")
		encoded = encoded[n:]
	}
	o["encoding"], o["content"] = "base64", lines.String()
	return &reply{http.StatusOK, o}
}
