package githubtest

import (
	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// actor is who sends a request: a user by way of a token, an App by way of a token alone, or nobody.
type actor struct {
	user  *account
	token *token
}

// login is the name in records and messages.
func (a actor) login() string {
	switch {
	case a.user != nil:
		return a.user.login
	case a.token != nil:
		return "app[bot]"
	default:
		return ""
	}
}

// lookup finds a token that is valid now. The mutex is held.
func (s *Server) lookup(value string) *token {
	t := s.tokens[value]
	if t == nil || (!t.expires.IsZero() && !s.now().Before(t.expires)) {
		return nil
	}
	return t
}

// authorizer decides about Git sessions for package gittest.
type authorizer struct{ s *Server }

// KnowsKey implements gittest.Authorizer: keys of users and deploy keys may log in.
func (z authorizer) KnowsKey(k ssh.PublicKey) (string, bool) {
	s := z.s
	s.mu.Lock()
	defer s.mu.Unlock()
	user, repo, deploy := s.findKey(string(k.Marshal()))
	switch {
	case user != nil:
		return user.login, true
	// GitHub's documentation does not say how a key that is switched off is refused
	case repo != nil && repo.enabled(deploy):
		return repo.fullName(), true
	default:
		return "", false
	}
}

func (s *Server) findKey(wire string) (*account, *Repo, *DeployKey) {
	for _, k := range s.userKeys {
		if k.wire == wire {
			return k.user, nil, nil
		}
	}
	for _, r := range s.repos {
		for _, k := range r.keys {
			if k.wire == wire {
				return nil, r, k
			}
		}
	}
	return nil, nil, nil
}

// Authorize implements gittest.Authorizer with GitHub's texts.
func (z authorizer) Authorize(a gittest.Access) gittest.Verdict {
	s := z.s
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repos[key(a.Repo)]
	if repo == nil {
		repo = s.renamed[key(a.Repo)]
	}
	var v gittest.Verdict
	if a.Key != nil {
		v = s.authorizeKey(a, repo)
	} else {
		v = s.authorizeToken(a, repo)
	}
	if v.Outcome == gittest.Allow {
		if closed, is := repo.closed(); is {
			return closed
		}
		if late(&repo.lag.Git) {
			return gittest.Verdict{Outcome: gittest.NotFound}
		}
		v.Repo = repo.fullName()
		if a.Write && repo.archived {
			v.Outcome, v.Message = gittest.Forbidden, "This repository was archived so it is read-only."
		}
	}
	return v
}

func (s *Server) authorizeKey(a gittest.Access, repo *Repo) gittest.Verdict {
	user, home, deploy := s.findKey(string(a.Key.Marshal()))
	notFound := gittest.Verdict{Outcome: gittest.NotFound}
	if repo == nil {
		return notFound
	}
	if deploy != nil {
		switch {
		case home == repo && a.Write && deploy.ReadOnly:
			return gittest.Verdict{Outcome: gittest.Forbidden, Message: gittest.ReadOnlyKey}
		case home == repo:
			deploy.LastUsed = s.now()
			return repo.pushRules(gittest.Verdict{Login: repo.fullName()}, nil, Push)
		case repo.private:
			return notFound
		case a.Write:
			return gittest.Verdict{Outcome: gittest.Forbidden, Login: home.fullName()}
		}
		return gittest.Verdict{Login: home.fullName()}
	}
	if user.suspended {
		return gittest.Verdict{Outcome: gittest.Forbidden, Message: suspendedGit}
	}
	role := repo.role(user)
	return repo.verdict(role, a.Write, user)
}

// verdict applies a user's role.
func (r *Repo) verdict(role Role, write bool, user *account) gittest.Verdict {
	login := ""
	if user != nil {
		login = user.login
	}
	switch {
	case role < Pull:
		return gittest.Verdict{Outcome: gittest.NotFound, Login: login}
	case write && role < Push:
		return gittest.Verdict{Outcome: gittest.Forbidden, Login: login}
	}
	return r.pushRules(gittest.Verdict{Login: login}, user, role)
}

const notGranted = "Write access to repository not granted."

func (s *Server) authorizeToken(a gittest.Access, repo *Repo) gittest.Verdict {
	if a.Password == "" {
		if repo != nil && !repo.private && !a.Write {
			return gittest.Verdict{}
		}
		return gittest.Verdict{Outcome: gittest.Unauthenticated}
	}
	t := s.lookup(a.Password)
	if t == nil {
		return gittest.Verdict{Outcome: gittest.Unauthenticated}
	}
	if t.user != nil && t.user.suspended {
		return gittest.Verdict{Outcome: gittest.Forbidden, Message: suspendedGit}
	}
	if repo == nil {
		return gittest.Verdict{Outcome: gittest.NotFound}
	}
	level := "read"
	if a.Write {
		level = "write"
	}
	switch t.kind {
	case installation:
		if !t.covers(repo) {
			return repo.verdict(repo.role(nil), a.Write, nil)
		}
		if !t.perms.allow("contents", level) {
			return gittest.Verdict{Outcome: gittest.Forbidden, Message: notGranted}
		}
		return repo.pushRules(gittest.Verdict{Login: "app[bot]"}, nil, Push)
	case fineGrained:
		v := repo.verdict(repo.role(t.user), a.Write, t.user)
		covered := t.covers(repo)
		switch {
		case v.Outcome != gittest.Allow:
			return v
		case !covered && repo.private:
			return gittest.Verdict{Outcome: gittest.NotFound}
		case !covered && a.Write, covered && !t.perms.allow("contents", level) && (repo.private || a.Write):
			return gittest.Verdict{Outcome: gittest.Forbidden, Message: notGranted}
		}
		return v
	default:
		v := repo.verdict(repo.role(t.user), a.Write, t.user)
		switch {
		case v.Outcome != gittest.Allow:
			return v
		case repo.private && !t.hasScope("repo"):
			return gittest.Verdict{Outcome: gittest.NotFound}
		case a.Write && !t.hasScope("public_repo"):
			return gittest.Verdict{Outcome: gittest.Forbidden, Login: t.user.login}
		case repo.needsSSO(t) && (repo.private || a.Write):
			return gittest.Verdict{Outcome: gittest.Forbidden, Message: "The '" + repo.owner.login +
				"' organization has enabled or enforced SAML SSO. To access\nthis repository, you must use " +
				"the HTTPS remote with a personal access token\nor SSH with an SSH key and passphrase\n" +
				"that has been authorized for this organization."}
		}
		return v
	}
}

// needsSSO says whether the owner enforces single sign-on and the token was not authorized for it.
func (r *Repo) needsSSO(t *token) bool { return r.owner.needsSSO(t) }

func (a *account) needsSSO(t *token) bool {
	return a.org != nil && a.org.sso && t != nil && t.kind == classic && !t.sso[key(a.login)]
}

// pushRules adds to a verdict what the pre-receive hook has to know about a user's push.
func (r *Repo) pushRules(v gittest.Verdict, user *account, role Role) gittest.Verdict {
	if rules := append(r.rulesFor(user, role), r.checksFor(user)...); len(rules) > 0 {
		v.Env, v.Declined = r.ruleEnv(rules), refusalStatus
	}
	return v
}
