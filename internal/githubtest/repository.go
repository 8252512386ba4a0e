package githubtest

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// Role is what a user may do in a repository.
type Role int

// The roles, each with all that the ones before it have.
const (
	None Role = iota
	Pull
	Triage
	Push
	Maintain
	Admin
)

// Repo is a repository.
type Repo struct {
	server      *Server
	git         *gittest.Repo
	id          int64
	owner       *account
	name        string
	private     bool
	description string
	archived    bool
	grants      map[string]Role // lower-case login to role
	keys        []*DeployKey
	protections map[string]Protection
	rulesets    []Ruleset
	checks      pushChecks
	pulls       []*PullRequest
	created     time.Time
	lag         Lag // what is left of it
	disabled    bool
	blocked     Block
	blockedAt   time.Time

	renamedBranches map[string]string // former name to present one
}

// DeployKey is a key of one repository.
type DeployKey struct {
	ID       int64
	Title    string
	Key      string // algorithm and key, without a comment
	ReadOnly bool
	AddedBy  string // login, empty for an App
	Created  time.Time
	LastUsed time.Time // zero when never
	Disabled bool

	wire  string
	token string
}

// Protection is the protection of one branch.
type Protection struct {
	RequirePullRequest bool
	Approvals          int
	StatusChecks       []string
	EnforceAdmins      bool // also binds administrators
	AllowForcePushes   bool
	AllowDeletions     bool
	RequireSignatures  bool
	LinearHistory      bool
}

// Ruleset is a set of rules for branches.
type Ruleset struct {
	Name         string
	Organization bool // a ruleset of the organization, not of the repository
	// Branches are names, patterns with * or ~DEFAULT_BRANCH or ~ALL.
	Branches           []string
	Enforcement        string // active, evaluate or disabled; default: active
	RequirePullRequest bool
	Approvals          int
	StatusChecks       []string
	BlockCreation      bool
	BlockForcePushes   bool
	BlockDeletions     bool
	RequireSignatures  bool
	LinearHistory      bool
	MessagePattern     string   // an extended regular expression that commit messages must match
	Bypass             []string // logins of users whom the rules do not bind

	id int64
}

// RepoOption changes a repository when it is added.
type RepoOption func(*Repo, *[]gittest.RepoOption)

// Public makes a repository public; the default is private.
func Public() RepoOption { return func(r *Repo, _ *[]gittest.RepoOption) { r.private = false } }

// DefaultBranch sets the default branch; the default is main.
func DefaultBranch(name string) RepoOption {
	return func(_ *Repo, o *[]gittest.RepoOption) { *o = append(*o, gittest.DefaultBranch(name)) }
}

// Files gives the repository one commit with these files; without it the repository is empty.
func Files(files map[string]string) RepoOption {
	return func(_ *Repo, o *[]gittest.RepoOption) { *o = append(*o, gittest.WithFiles(files)) }
}

// Description sets the description.
func Description(text string) RepoOption {
	return func(r *Repo, _ *[]gittest.RepoOption) { r.description = text }
}

// Grant gives a user a role in the repository, as a collaborator.
func Grant(login string, role Role) RepoOption {
	return func(r *Repo, _ *[]gittest.RepoOption) { r.grants[key(login)] = role }
}

// AddRepo adds a repository, named owner/name, of an account that exists.
func (s *Server) AddRepo(fullName string, opts ...RepoOption) *Repo {
	s.mu.Lock()
	defer s.mu.Unlock()
	login, name, ok := strings.Cut(fullName, "/")
	owner := s.accounts[key(login)]
	if !ok || owner == nil {
		s.misuse("adding repository %s: there is no account %s", fullName, login)
		return nil
	}
	r := &Repo{private: true, owner: owner, name: name, grants: map[string]Role{}}
	var gitOpts []gittest.RepoOption
	for _, opt := range opts {
		opt(r, &gitOpts)
	}
	for login := range r.grants {
		s.addUser(login)
	}
	if err := s.addRepo(r, gitOpts...); err != nil {
		s.misuse("adding repository %s: %w", fullName, err)
		return nil
	}
	return r
}

// addRepo makes the Git repository of a new repository and keeps both.
func (s *Server) addRepo(r *Repo, opts ...gittest.RepoOption) error {
	git, err := s.git.CreateRepo(r.owner.login+"/"+r.name, opts...)
	if err != nil {
		return err
	}
	git.SetHook("pre-receive", preReceive)
	git.SetHook("post-receive", postReceive)
	r.server, r.git, r.id, r.created = s, git, s.id(), s.now()
	if r.grants == nil {
		r.grants = map[string]Role{}
	}
	r.protections, r.renamedBranches = map[string]Protection{}, map[string]string{}
	s.repos[key(r.fullName())] = r
	delete(s.renamed, key(r.fullName()))
	return nil
}

// Repo returns a repository by its present name, nil when there is none.
func (s *Server) Repo(fullName string) *Repo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repos[key(fullName)]
}

// Repos returns the full names of all repositories, sorted.
func (s *Server) Repos() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, r := range s.repos {
		names = append(names, r.fullName())
	}
	slices.Sort(names)
	return names
}

// RemoveRepo deletes a repository with everything in it.
func (s *Server) RemoveRepo(fullName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repos[key(fullName)]; r != nil {
		delete(s.repos, key(fullName))
		s.git.RemoveRepo(r.fullName())
	}
}

func (r *Repo) fullName() string { return r.owner.login + "/" + r.name }

func (r *Repo) locked(do func()) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	do()
}

// Git is the repository on disk, to be read and changed past all rules.
func (r *Repo) Git() *gittest.Repo { return r.git }

// Private says whether the repository is private.
func (r *Repo) Private() (private bool) {
	r.locked(func() { private = r.private })
	return private
}

// Description is the repository's description.
func (r *Repo) Description() (text string) {
	r.locked(func() { text = r.description })
	return text
}

// Archive makes the repository read-only.
func (r *Repo) Archive() { r.locked(func() { r.archived = true }) }

// SetPrivate changes the visibility.
func (r *Repo) SetPrivate(private bool) { r.locked(func() { r.private = private }) }

// Grant gives a user a role; None takes it away.
func (r *Repo) Grant(login string, role Role) {
	r.locked(func() {
		r.server.addUser(login)
		r.grants[key(login)] = role
	})
}

// Protect protects a branch, which need not exist. A private repository needs an owner with [PlanPaid].
func (r *Repo) Protect(branch string, p Protection) {
	r.locked(func() {
		if r.mayHaveRules("protecting a branch") {
			r.protections[branch] = p
		}
	})
}

// Unprotect takes the protection of a branch away.
func (r *Repo) Unprotect(branch string) { r.locked(func() { delete(r.protections, branch) }) }

// AddRuleset adds rules. A private repository needs an owner with [PlanPaid].
func (r *Repo) AddRuleset(rs Ruleset) {
	r.locked(func() {
		if !r.mayHaveRules("adding a ruleset") {
			return
		}
		rs.id = r.server.id()
		if rs.Enforcement == "" {
			rs.Enforcement = "active"
		}
		r.rulesets = append(r.rulesets, rs)
	})
}

// RemoveRulesets takes all rules away.
func (r *Repo) RemoveRulesets() { r.locked(func() { r.rulesets = nil }) }

// DeployKeys returns the keys registered now, oldest first.
func (r *Repo) DeployKeys() (keys []DeployKey) {
	r.locked(func() {
		for _, k := range r.keys {
			keys = append(keys, *k)
		}
	})
	return keys
}

// AddDeployKey registers a key, from a line of an authorized_keys file, and returns its id.
func (r *Repo) AddDeployKey(title, authorizedKey string, readOnly bool) (id int64) {
	r.locked(func() {
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(authorizedKey))
		if err != nil || r.server.keyInUse(string(public.Marshal())) {
			r.server.misuse("adding a deploy key to %s: no key, or in use: %v", r.fullName(), err)
			return
		}
		id = r.addKey(title, public, readOnly, "", "").ID
	})
	return id
}

// RemoveDeployKey deletes a key, as another administrator would.
func (r *Repo) RemoveDeployKey(id int64) {
	r.locked(func() {
		r.keys = slices.DeleteFunc(r.keys, func(k *DeployKey) bool { return k.ID == id })
	})
}

// DisableKey switches a key off without deleting it.
func (r *Repo) DisableKey(id int64) {
	r.locked(func() {
		for _, k := range r.keys {
			k.Disabled = k.Disabled || k.ID == id
		}
	})
}

// enabled says whether the key works.
func (r *Repo) enabled(k *DeployKey) bool {
	return !k.Disabled && (r.owner.org == nil || !r.owner.org.deployKeysDisabled)
}

func (r *Repo) addKey(title string, public ssh.PublicKey, readOnly bool, login, token string) *DeployKey {
	k := &DeployKey{
		ID: r.server.id(), Title: title, Key: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))),
		ReadOnly: readOnly, AddedBy: login, Created: r.server.now(), wire: string(public.Marshal()),
		token: token,
	}
	r.keys = append(r.keys, k)
	return k
}

// role is what a user may do, apart from what a token takes away. A nil user is anybody.
func (r *Repo) role(user *account) Role {
	best := None
	if !r.private {
		best = Pull
	}
	if user == nil {
		return best
	}
	if user == r.owner {
		return Admin
	}
	best = max(best, r.grants[key(user.login)])
	if org := r.owner.org; org != nil && !org.pending[key(user.login)] {
		switch org.members[key(user.login)] {
		case "admin":
			return Admin
		case "member":
			best = max(best, org.base)
		}
	}
	return best
}
