package githubtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Rename gives the repository another name under the same owner. The old name redirects until another
// repository takes it.
func (r *Repo) Rename(name string) {
	r.locked(func() {
		if err := r.move(r.owner, name); err != nil {
			r.server.misuse("renaming %s: %w", r.fullName(), err)
		}
	})
}

// Transfer gives the repository to another account under the same name. The old name redirects as after
// Rename, deploy keys stay, and a user who gave it away becomes a collaborator: see
// https://docs.github.com/repositories/creating-and-managing-repositories/transferring-a-repository.
func (r *Repo) Transfer(login string) {
	r.locked(func() {
		owner := r.server.accounts[key(login)]
		if owner == nil {
			r.server.misuse("transferring %s: there is no account %s", r.fullName(), login)
			return
		}
		former := r.owner
		if err := r.move(owner, r.name); err != nil {
			r.server.misuse("transferring %s: %w", r.fullName(), err)
			return
		}
		if former.org == nil {
			r.grants[key(former.login)] = Push
		}
	})
}

func (r *Repo) move(owner *account, name string) error {
	s := r.server
	to := owner.login + "/" + name
	if other := s.repos[key(to)]; other != nil && other != r {
		return fmt.Errorf("%s exists", to)
	}
	old := key(r.fullName())
	if old != key(to) {
		s.git.RenameRepo(r.fullName(), to)
	}
	delete(s.repos, old)
	s.renamed[old] = r
	r.owner, r.name = owner, name
	s.repos[key(to)] = r
	delete(s.renamed, key(to))
	return nil
}

// moved answers what is asked under a former name: 301 for reads and 307 for writes, to the address that
// lasts. See
// https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects.
func (c *call) moved(r *Repo) *reply {
	to := c.url("/repositories/%d", r.id)
	if rest := strings.Join(strings.Split(c.path, "/")[4:], "/"); rest != "" {
		to += "/" + escaped(rest)
	}
	return c.redirect(to)
}

// escaped writes a path with slashes as a part of an address.
func escaped(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// redirect leads to another address of the API.
func (c *call) redirect(to string) *reply {
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

// RenameBranch renames a branch as its page on GitHub does: it stays the default branch when it was, its own
// protection and the pull requests of it go with it, and the API redirects from the old name as long as no
// branch has it. Git does not: see
// https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/managing-branches-in-your-repository/renaming-a-branch.
func (r *Repo) RenameBranch(from, to string) {
	r.locked(func() {
		if r.git.Head(from) == "" || r.git.Head(to) != "" {
			r.server.misuse("renaming branch %s of %s to %s: the one is missing, or the other is not",
				from, r.fullName(), to)
			return
		}
		wasDefault := r.git.DefaultBranch() == from
		r.git.Git("branch", "--move", from, to)
		if wasDefault {
			r.git.SetDefaultBranch(to)
		}
		if p, ok := r.protections[from]; ok {
			delete(r.protections, from)
			r.protections[to] = p
		}
		for _, p := range r.pulls {
			if p.State == "open" && p.Head == from {
				p.Head = to
			}
			if p.State == "open" && p.Base == from {
				p.Base = to
			}
		}
		for old, now := range r.renamedBranches {
			if now == from {
				r.renamedBranches[old] = to
			}
		}
		r.renamedBranches[from] = to
	})
}

// successor is the branch to which the API leads from one that does not exist: the one that it was renamed
// to. From master it leads to the default branch in any case, as was measured in
// https://github.com/github/rest-api-description/issues/7096.
func (r *Repo) successor(branch string) string {
	branches := r.git.Branches()
	if to := r.renamedBranches[branch]; slices.Contains(branches, to) {
		return to
	}
	if branch == "master" && slices.Contains(branches, r.git.DefaultBranch()) {
		return r.git.DefaultBranch()
	}
	return ""
}
