package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	gh "github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
)

// Hindrance is something that may keep a push from going straight to a branch.
type Hindrance struct {
	// Rule is GitHub's name of the rule: a type of ruleset rule such as pull_request, or "branch protection"
	// when its details are hidden from the token.
	Rule string
	// Source is where the rule is set: "branch protection", or "ruleset 7 of acme" with the owner of the
	// ruleset.
	Source string
	// Certain says that the rule refuses this token's direct push. Otherwise the token's user may be among
	// those whom it exempts, or the rule may be met, and only the push tells.
	Certain bool
	// Message says what the rule demands: "changes have to be made through a pull request".
	Message string
}

// Protection is what keeps a push from going straight to a branch, as far as it can be read without
// administration rights.
type Protection struct {
	Branch    string
	Exists    bool // the branch exists
	Protected bool // GitHub marks the branch as protected, or a ruleset applies to its name
	// AdminsExempt says that branch protection was found not to bind administrators, of whom the token's user
	// is one.
	AdminsExempt bool
	// Rules are the types of the ruleset rules that apply, harmless ones such as non_fast_forward included;
	// sorted, each once.
	Rules      []string
	Hindrances []Hindrance
}

// Refuses says whether a direct push by this token is certain to be refused.
func (p Protection) Refuses() bool {
	return slices.ContainsFunc(p.Hindrances, func(h Hindrance) bool { return h.Certain })
}

// MayRefuse says whether a direct push could be refused for all that is known.
func (p Protection) MayRefuse() bool { return len(p.Hindrances) > 0 }

// String names what hinders: "changes have to be made through a pull request (ruleset 7 of acme)".
func (p Protection) String() string {
	parts := make([]string, 0, len(p.Hindrances))
	for _, h := range p.Hindrances {
		parts = append(parts, fmt.Sprintf("%s (%s)", h.Message, h.Source))
	}
	return strings.Join(parts, "; ")
}

// branchSummary is what GET branches/{branch} says that go-github v53 does not decode.
type branchSummary struct {
	Name       string `json:"name"`
	Protected  bool   `json:"protected"`
	Protection struct {
		Enabled bool `json:"enabled"`
	} `json:"protection"`
}

// rule is one entry of GET rules/branches/{branch}. go-github v53 refuses the whole list for one rule of a
// type that it does not know, and GitHub adds types.
type rule struct {
	Type       string          `json:"type"`
	SourceType string          `json:"ruleset_source_type"`
	Source     string          `json:"ruleset_source"`
	ID         int64           `json:"ruleset_id"`
	Parameters json.RawMessage `json:"parameters"`
}

// Protection reads what applies to a branch. A branch that does not exist, as in an empty repository, has no
// protection of its own, but rulesets wait for its name. It needs no administration right; with one, the
// details of branch protection are read as well.
func (c *Client) Protection(ctx context.Context, ref RepoRef, branch string) (Protection, error) {
	if err := ref.check(); err != nil {
		return Protection{}, err
	}
	if branch == "" || branch == "." || branch == ".." {
		return Protection{}, &NameError{What: "a branch", Name: branch}
	}
	var own Protection
	var rules []rule
	var ownErr, rulesErr error
	var group crash.Group
	group.Go(func() { own, ownErr = c.branchProtection(ctx, ref, branch) })
	group.Go(func() { rules, rulesErr = c.rules(ctx, ref, branch) })
	group.Wait()
	if ownErr != nil {
		return Protection{}, ownErr
	}
	if rulesErr != nil {
		return Protection{}, rulesErr
	}
	own.addRules(rules)
	return own, nil
}

// branchProtection reads the branch, and the details of its protection where the token may.
func (c *Client) branchProtection(ctx context.Context, ref RepoRef, branch string) (Protection, error) {
	protection := Protection{Branch: branch}
	path := "repos/" + ref.String() + "/branches/" + url.PathEscape(branch)
	var found branchSummary
	// No need is given: a 404 is a branch that does not exist, and a token without the right gets a 403.
	op := operation{name: fmt.Sprintf("reading branch %s of %s", clean(branch), ref)}
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		found = branchSummary{}
		return get(ctx, api, path, &found)
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return protection, nil
	case err != nil:
		return protection, err
	case found.Name != branch:
		// GitHub redirects from the former name of a branch; a push would make a new one of the old name.
		return protection, nil
	}
	protection.Exists, protection.Protected = true, found.Protected
	if !found.Protection.Enabled {
		// Marked as protected by a ruleset only.
		return protection, nil
	}
	return protection, c.protectionDetails(ctx, ref, path+"/protection", &protection)
}

const sourceProtection = "branch protection"

// protectionDetails reads what branch protection demands, which takes administration rights.
func (c *Client) protectionDetails(ctx context.Context, ref RepoRef, path string,
	protection *Protection) error {
	var details *gh.Protection
	op := operation{
		name:  fmt.Sprintf("reading the protection of branch %s of %s", clean(protection.Branch), ref),
		needs: need{permission: "Administration: read"}}
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		details = new(gh.Protection)
		return get(ctx, api, path, details)
	})
	if errors.Is(err, ErrPermission) {
		protection.Hindrances = append(protection.Hindrances, Hindrance{
			Rule: sourceProtection, Source: sourceProtection,
			Message: "the branch is protected; the token may not read how",
		})
		return nil
	}
	if errors.Is(err, ErrPlan) {
		// What was set up under another plan is not enforced any more.
		protection.Protected = false
		return nil
	}
	if err != nil {
		return err
	}
	// Only an administrator can read this, and administrators are exempt from most of it unless they are
	// included.
	enforced := details.EnforceAdmins != nil && details.EnforceAdmins.Enabled
	protection.AdminsExempt = !enforced
	for _, demand := range []struct {
		rule    string
		applies bool
		names   bool // whether it names people whom it lets pass
	}{
		{"lock_branch", details.GetLockBranch().GetEnabled(), false},
		{"pull_request", details.RequiredPullRequestReviews != nil,
			details.GetRequiredPullRequestReviews().GetBypassPullRequestAllowances() != nil},
		{"required_status_checks", details.RequiredStatusChecks != nil, false},
		{"required_signatures", details.GetRequiredSignatures().GetEnabled(), false},
		{"update", details.Restrictions != nil, true},
	} {
		if demand.applies {
			protection.Hindrances = append(protection.Hindrances, Hindrance{
				Rule: demand.rule, Source: sourceProtection, Certain: enforced && !demand.names,
				Message: messageOf(demand.rule),
			})
		}
	}
	return nil
}

// rules reads the ruleset rules that apply to the name of a branch. Servers that are too old for rulesets
// have none, nor has a private repository of an account whose plan does not include them.
func (c *Client) rules(ctx context.Context, ref RepoRef, branch string) ([]rule, error) {
	var all []rule
	op := operation{name: fmt.Sprintf("reading the rules of branch %s of %s", clean(branch), ref)}
	for page := 1; page != 0; {
		var rules []rule
		next := 0
		err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
			rules = nil
			path := fmt.Sprintf("repos/%s/rules/branches/%s?per_page=%d&page=%d",
				ref, url.PathEscape(branch), perPage, page)
			response, err := get(ctx, api, path, &rules)
			next = pageAfter(page, response)
			return response, err
		})
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrPlan) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all, page = append(all, rules...), next
	}
	return all, nil
}

// isHarmless knows the rules that a commit on top of the branch's tip, pushed without force, always meets.
func isHarmless(rule string, branchExists bool) bool {
	switch rule {
	case "non_fast_forward", "deletion", "required_linear_history", "tag_name_pattern", "copilot_code_review":
		return true
	case "creation":
		return branchExists
	}
	return false
}

// messageOf says what a rule demands, in words.
func messageOf(rule string) string {
	switch rule {
	case "pull_request":
		return "changes have to be made through a pull request"
	case "required_status_checks":
		return "status checks have to pass first"
	case "required_signatures":
		return "commits have to be signed"
	case "update":
		return "only some may push to the branch"
	case "lock_branch":
		return "the branch is locked"
	case "creation":
		return "only some may create a branch of this name"
	case "merge_queue":
		return "changes have to be made through the merge queue"
	case "required_deployments":
		return "deployments have to succeed first"
	case "workflows":
		return "workflows have to pass first"
	case "code_scanning", "code_quality":
		return "code scanning has to pass first"
	case "commit_message_pattern":
		return "commit messages have to match a pattern"
	case "commit_author_email_pattern", "committer_email_pattern":
		return "e-mail addresses in commits have to match a pattern"
	case "branch_name_pattern":
		return "names of branches have to match a pattern"
	case "file_path_restriction", "file_extension_restriction", "max_file_size", "max_file_path_length":
		return "some paths or sizes of files are not allowed"
	}
	return "rule " + string(clean(rule))
}

// addRules adds rules of rulesets. Whom a ruleset lets pass is not told to everybody, so that none of them is
// certain.
func (p *Protection) addRules(rules []rule) {
	for _, r := range rules {
		if r.Type == "" {
			continue
		}
		kind := cmp.Or(exact(r.Type), string(clean(r.Type)))
		p.Protected = true
		if !slices.Contains(p.Rules, kind) {
			p.Rules = append(p.Rules, kind)
		}
		if isHarmless(kind, p.Exists) {
			continue
		}
		p.Hindrances = append(p.Hindrances, Hindrance{
			Rule: kind, Source: string(clean(fmt.Sprintf("ruleset %d of %s", r.ID, r.Source))),
			Message: messageOf(kind),
		})
	}
	slices.Sort(p.Rules)
}
