package githubtest

import "net/http"

// Plan is what an account pays for.
type Plan int

// The plans, as far as they decide about rules for branches: GitHub Free has them in public repositories
// only; GitHub Pro (of a user) and GitHub Team (of an organization) everywhere. See
// https://docs.github.com/get-started/learning-about-github/githubs-plans.
const (
	PlanFree Plan = iota
	PlanPaid
)

// OrgPlan sets an organization's plan; the default is [PlanFree].
func OrgPlan(p Plan) OrgOption { return func(o *organization) { o.plan = p } }

// SetPlan changes the plan of a user or an organization; the default is [PlanFree]. Rules that a private
// repository has stay on record when its owner's plan is lowered, but nothing enforces or shows them until it
// is raised again.
func (s *Server) SetPlan(login string, p Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[key(login)]
	switch {
	case a == nil:
		s.misuse("setting the plan of %s: there is no such account", login)
	case a.org != nil:
		a.org.plan = p
	default:
		a.plan = p
	}
}

// paysFor is the account's plan.
func (a *account) paysFor() Plan {
	if a.org != nil {
		return a.org.plan
	}
	return a.plan
}

// planJSON is the plan as accounts show it to their owners.
func (a *account) planJSON() object {
	name := "free"
	if a.paysFor() == PlanPaid {
		name = "pro"
		if a.org != nil {
			name = "team"
		}
	}
	o := object{"name": name, "space": 976562499, "private_repos": 10000}
	if a.org == nil {
		o["collaborators"] = 0
	} else {
		o["filled_seats"], o["seats"] = len(a.org.members), 0
	}
	return o
}

// hasRules says whether the owner's plan has rules for the repository's branches.
func (r *Repo) hasRules() bool { return !r.private || r.owner.paysFor() == PlanPaid }

// enforcedRulesets are the rulesets that the owner's plan lets work.
func (r *Repo) enforcedRulesets() []Ruleset {
	if !r.hasRules() {
		return nil
	}
	return r.rulesets
}

// enforcedProtections are the protections that the owner's plan lets work, by branch or pattern.
func (r *Repo) enforcedProtections() map[string]Protection {
	if !r.hasRules() {
		return nil
	}
	return r.protections
}

// mayHaveRules ends the test when it sets up rules that GitHub would not have taken.
func (r *Repo) mayHaveRules(what string) bool {
	if !r.hasRules() {
		r.server.misuse("%s of %s: GitHub Free has no rules for private repositories; use OrgPlan or "+
			"SetPlan with PlanPaid, or Public", what, r.fullName())
	}
	return r.hasRules()
}

// upgradeForRules answers, to everybody, what is asked about rules in a private repository of an account on
// GitHub Free: with the same words for users (https://github.com/iterative/cml/issues/1229) and for
// organizations (https://github.com/F-U-S-E-E/FuseDevelopmentGroup/issues/58). An enterprise server has no
// plans. The answer is nil where there are rules.
func (c *call) upgradeForRules(r *Repo) *reply {
	if c.enterprise || r.hasRules() {
		return nil
	}
	return c.fail(http.StatusForbidden,
		"Upgrade to GitHub Pro or make this repository public to enable this feature.")
}
