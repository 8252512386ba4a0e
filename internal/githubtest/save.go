package githubtest

import (
	"maps"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// content is what the host holds, without what is only about its being asked: faults, budgets, records.
type content struct {
	nextID   int64
	accounts map[string]*account // by lower-case login
	tokens   map[string]*token   // by value
	repos    map[string]*Repo    // by lower-case full name
	renamed  map[string]*Repo    // former names, lower case
	userKeys []userKey
}

// State is a copy of what a server held at a moment: see [Server.Save].
type State struct {
	content content
	git     *gittest.State
}

// Save makes a copy of all accounts, tokens, keys and repositories, which Restore brings back as often as it
// is wanted. It belongs to the server and ends with it.
func (s *Server) Save() (*State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	git, err := s.git.Save()
	if err != nil {
		return nil, err
	}
	return &State{s.content.copy(), git}, nil
}

// Restore puts the server back to a state of its own. Address, certificate and host keys stay. Faults end, as
// does what was put around requests; rate limits, lag, announcements, and what was recorded, are those of a
// new server. Repositories have to be asked for again: a [Repo] from before is one that was removed.
func (s *Server) Restore(state *State) error {
	s.git.Around(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.git.Restore(state.git); err != nil {
		return err
	}
	s.content = state.content.copy()
	for _, r := range s.repos {
		r.git = s.git.Repo(r.fullName())
	}
	s.budgets, s.rate, s.createLag = map[string]*budget{}, rateSettings{limit: defaultLimit}, usualLag
	s.lifetimes = usualLifetimes()
	s.faults, s.requests, s.violations, s.mistakes = nil, nil, nil, nil
	return nil
}

// copy shares nothing with the original that can change.
func (c content) copy() content {
	accounts, repos := map[*account]*account{}, map[*Repo]*Repo{}
	copyAccount := func(a *account) *account {
		if a == nil {
			return nil
		}
		if accounts[a] == nil {
			b := *a
			if a.org != nil {
				org := *a.org
				org.members, org.pending = maps.Clone(org.members), maps.Clone(org.pending)
				b.org = &org
			}
			accounts[a] = &b
		}
		return accounts[a]
	}
	copyRepo := func(r *Repo) *Repo {
		if repos[r] == nil {
			b := *r
			b.owner = copyAccount(r.owner)
			b.grants, b.protections, b.rulesets = maps.Clone(r.grants), maps.Clone(r.protections),
				slices.Clone(r.rulesets)
			b.renamedBranches = maps.Clone(r.renamedBranches)
			b.keys, b.pulls = nil, nil
			for _, k := range r.keys {
				key := *k
				b.keys = append(b.keys, &key)
			}
			for _, p := range r.pulls {
				pull := *p
				pull.author = copyAccount(p.author)
				b.pulls = append(b.pulls, &pull)
			}
			repos[r] = &b
		}
		return repos[r]
	}
	d := content{nextID: c.nextID, accounts: map[string]*account{}, tokens: map[string]*token{},
		repos: map[string]*Repo{}, renamed: map[string]*Repo{}, userKeys: slices.Clone(c.userKeys)}
	for name, a := range c.accounts {
		d.accounts[name] = copyAccount(a)
	}
	for value, t := range c.tokens {
		u := *t
		u.user, u.sso = copyAccount(t.user), maps.Clone(t.sso)
		d.tokens[value] = &u
	}
	for name, r := range c.repos {
		d.repos[name] = copyRepo(r)
	}
	for name, r := range c.renamed {
		d.renamed[name] = copyRepo(r)
	}
	for i, k := range d.userKeys {
		d.userKeys[i].user = copyAccount(k.user)
	}
	return d
}
