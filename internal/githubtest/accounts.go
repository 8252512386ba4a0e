package githubtest

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// account is a user or an organization.
type account struct {
	login     string
	id        int64
	created   time.Time
	org       *organization // nil for a user
	plan      Plan          // of a user
	suspended bool

	hiddenEmails []string // which no push of the user may publish
}

type organization struct {
	members            map[string]string // lower-case login to "admin" or "member"
	pending            map[string]bool   // invited, not yet accepted
	base               Role
	deployKeysDisabled bool
	sso                bool
	noCreate           bool // members may not create repositories
	noPrivate          bool // nobody may create private repositories
	noMemberPrivate    bool // members may not
	plan               Plan
}

// OrgOption changes an organization.
type OrgOption func(*organization)

// OrgOwner makes users owners, who are administrators of every repository.
func OrgOwner(logins ...string) OrgOption { return membership("admin", logins) }

// OrgMember makes users members.
func OrgMember(logins ...string) OrgOption { return membership("member", logins) }

func membership(role string, logins []string) OrgOption {
	return func(o *organization) {
		for _, l := range logins {
			o.members[key(l)] = role
		}
	}
}

// PendingMember invites users who have not accepted yet.
func PendingMember(logins ...string) OrgOption {
	return func(o *organization) {
		for _, l := range logins {
			o.members[key(l)], o.pending[key(l)] = "member", true
		}
	}
}

// BasePermission is what every member may do in every repository of the organization; the default is nothing.
func BasePermission(r Role) OrgOption { return func(o *organization) { o.base = r } }

// DeployKeysDisabled forbids deploy keys, as new organizations do by default, and switches those off that
// exist. See
// https://docs.github.com/organizations/managing-organization-settings/restricting-deploy-keys-in-your-organization.
func DeployKeysDisabled() OrgOption { return func(o *organization) { o.deployKeysDisabled = true } }

// DeployKeysEnabled allows deploy keys again.
func DeployKeysEnabled() OrgOption { return func(o *organization) { o.deployKeysDisabled = false } }

// EnforceSSO demands that classic tokens are authorized for the organization; see [Server.AuthorizeSSO].
func EnforceSSO() OrgOption { return func(o *organization) { o.sso = true } }

// MembersCannotCreate reserves the creation of repositories to owners.
func MembersCannotCreate() OrgOption { return func(o *organization) { o.noCreate = true } }

// MembersCannotCreatePrivate reserves the creation of private repositories to owners.
func MembersCannotCreatePrivate() OrgOption {
	return func(o *organization) { o.noMemberPrivate = true }
}

// PrivateRepositoriesForbidden lets nobody create private repositories, as the policy of an enterprise does.
func PrivateRepositoriesForbidden() OrgOption { return func(o *organization) { o.noPrivate = true } }

// AddUser adds users. A user who exists already stays as they are.
func (s *Server) AddUser(logins ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range logins {
		s.addUser(l)
	}
}

func (s *Server) addUser(login string) {
	if s.accounts[key(login)] == nil {
		s.accounts[key(login)] = &account{login: login, id: s.id(), created: s.now()}
	}
}

// AddOrg adds an organization, or changes one that exists. Users named in the options are added when they do
// not exist.
func (s *Server) AddOrg(login string, opts ...OrgOption) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[key(login)]
	if a == nil {
		a = &account{login: login, id: s.id(), created: s.now(),
			org: &organization{members: map[string]string{}, pending: map[string]bool{}}}
		s.accounts[key(login)] = a
	}
	if a.org == nil {
		s.misuse("adding organization %s: a user has that name", login)
		return
	}
	for _, opt := range opts {
		opt(a.org)
	}
	for member := range a.org.members {
		s.addUser(member)
	}
}

// Permissions of fine-grained and installation tokens: name to "read" or "write". The names that matter here
// are contents, administration, pull_requests, and of an organization members and
// organization_administration; metadata is always readable.
type Permissions map[string]string

func (p Permissions) allow(name, level string) bool {
	if name == "metadata" && level == "read" {
		return true
	}
	have := p[name]
	return have == "write" || have == "admin" || (have == "read" && level == "read")
}

// FineGrained describes a fine-grained personal access token.
type FineGrained struct {
	Owner        string   // the resource owner: the user or an organization; default: the user
	Repositories []string // names without owner; nil is all of the owner's
	Permissions  Permissions
}

// Installation describes an installation access token of a GitHub App.
type Installation struct {
	Repositories []string // names without owner; nil is all of the account's
	Permissions  Permissions
}

type tokenKind int

const (
	classic tokenKind = iota
	fineGrained
	installation
)

type token struct {
	value   string
	kind    tokenKind
	user    *account // nil for an installation
	scopes  []string
	owner   string
	repos   []string // lower case; nil for all
	perms   Permissions
	expires time.Time
	sso     map[string]bool
}

// covers says whether a fine-grained or installation token was given a repository.
func (t *token) covers(r *Repo) bool {
	if !strings.EqualFold(t.owner, r.owner.login) {
		return false
	}
	return t.repos == nil || slices.Contains(t.repos, key(r.name))
}

// hasScope knows that some scopes include others.
func (t *token) hasScope(scope string) bool {
	includes := map[string][]string{
		"repo":      {"public_repo", "repo:status", "repo_deployment", "repo:invite", "security_events"},
		"admin:org": {"write:org", "read:org"},
		"write:org": {"read:org"},
		"user":      {"read:user", "user:email"},
	}
	for _, have := range t.scopes {
		if have == scope || slices.Contains(includes[have], scope) {
			return true
		}
	}
	return false
}

// AddClassicToken makes a classic personal access token of a user with these scopes, in GitHub's form: ghp_
// and 36 characters.
func (s *Server) AddClassicToken(login string, scopes ...string) string {
	return s.addToken(&token{value: "ghp_" + random(36), kind: classic, scopes: scopes}, login)
}

// AddFineGrainedToken makes a fine-grained personal access token of a user, in GitHub's form: github_pat_ and
// 22 and 59 characters.
func (s *Server) AddFineGrainedToken(login string, f FineGrained) string {
	if f.Owner == "" {
		f.Owner = login
	}
	return s.addToken(&token{
		value: "github_pat_" + random(22) + "_" + random(59), kind: fineGrained, owner: f.Owner,
		repos: lowered(f.Repositories), perms: f.Permissions,
	}, login)
}

// AddInstallationToken makes an installation access token of an App on an account, in GitHub's form: ghs_ and
// 36 characters. It expires after an hour.
func (s *Server) AddInstallationToken(account string, i Installation) string {
	return s.addToken(&token{
		value: "ghs_" + random(36), kind: installation, owner: account, repos: lowered(i.Repositories),
		perms: i.Permissions, expires: s.now().Add(time.Hour),
	}, "")
}

func (s *Server) addToken(t *token, login string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.kind != installation {
		t.user = s.accounts[key(login)]
		if t.user == nil || t.user.org != nil {
			s.misuse("adding a token: there is no user %s", login)
			return ""
		}
	}
	if t.owner != "" && s.accounts[key(t.owner)] == nil {
		s.misuse("adding a token: there is no account %s", t.owner)
		return ""
	}
	t.sso = map[string]bool{}
	s.tokens[t.value] = t
	return t.value
}

func lowered(names []string) []string {
	if names == nil {
		return nil
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = key(n)
	}
	return out
}

func random(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	rand.Read(b) // documented never to fail
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

func (s *Server) withToken(value string, do func(*token)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[value]
	if t == nil {
		s.misuse("there is no such token")
		return
	}
	do(t)
}

// ExpireToken sets when a token expires. From then on it is as good as unknown; before, responses name the
// time.
func (s *Server) ExpireToken(value string, at time.Time) {
	s.withToken(value, func(t *token) { t.expires = at })
}

// RevokeToken deletes a token. Deploy keys that were registered with a classic token go with it, as on
// GitHub.
func (s *Server) RevokeToken(value string) {
	s.withToken(value, func(t *token) {
		delete(s.tokens, value)
		for _, r := range s.repos {
			r.keys = slices.DeleteFunc(r.keys, func(k *DeployKey) bool {
				return t.kind == classic && k.token == value
			})
		}
	})
}

// AuthorizeSSO authorizes a classic token for an organization that enforces single sign-on.
func (s *Server) AuthorizeSSO(value, org string) {
	s.withToken(value, func(t *token) { t.sso[key(org)] = true })
}

// userKey is an SSH key of a user.
type userKey struct {
	user *account
	wire string // key in wire format
}

// AddSSHKey gives a user an SSH key, from a line of an authorized_keys file.
func (s *Server) AddSSHKey(login, authorizedKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.accounts[key(login)]
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(authorizedKey))
	if user == nil || err != nil {
		s.misuse("adding an SSH key of %s: no such user, or no key: %v", login, err)
		return
	}
	if s.keyInUse(string(public.Marshal())) {
		s.misuse("adding an SSH key of %s: key is already in use", login)
		return
	}
	s.userKeys = append(s.userKeys, userKey{user, string(public.Marshal())})
}

// keyInUse says whether a key belongs to a user or repository: GitHub lets each key in only once.
func (s *Server) keyInUse(wire string) bool {
	if slices.ContainsFunc(s.userKeys, func(k userKey) bool { return k.wire == wire }) {
		return true
	}
	for _, r := range s.repos {
		if slices.ContainsFunc(r.keys, func(k *DeployKey) bool { return k.wire == wire }) {
			return true
		}
	}
	return false
}
