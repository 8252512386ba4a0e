package githubtest

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
)

// The codes that GitHub puts before its reasons.
const (
	protectedBranch = "GH006"
	ruleViolation   = "GH013"
)

// pushRule is one reason for which a push to some references is refused. Kind is a word of the pre-receive hook.
type pushRule struct {
	code   string
	branch string // a pattern of path.Match, which a shell understands too
	kind   string
	arg    string
	text   string
}

func (p pushRule) matches(ref string) bool {
	return branchMatches(p.branch, strings.TrimPrefix(ref, "refs/heads/"))
}

// branchMatches matches a branch against a pattern in which, as for a shell's case, a star also stands for slashes.
func branchMatches(pattern, branch string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(branch, "/", "\x00"))
	return err == nil && ok
}

// branchPatterns gives a ruleset's branches as patterns.
func (r *Repo) branchPatterns(rs Ruleset) []string {
	var patterns []string
	for _, b := range rs.Branches {
		switch b {
		case "~ALL":
			b = "*"
		case "~DEFAULT_BRANCH":
			b = r.git.DefaultBranch()
		}
		patterns = append(patterns, b)
	}
	return patterns
}

// rulesetsFor are the active rulesets of a branch.
func (r *Repo) rulesetsFor(branch string) []Ruleset {
	var active []Ruleset
	for _, rs := range r.enforcedRulesets() {
		if rs.Enforcement == "active" &&
			slices.ContainsFunc(r.branchPatterns(rs), func(p string) bool { return branchMatches(p, branch) }) {
			active = append(active, rs)
		}
	}
	return active
}

const (
	throughPullRequest = "Changes must be made through a pull request."
	noForcePush        = "Cannot force-push to this branch"
	noDeletion         = "Cannot delete this branch"
	noCreation         = "Cannot create ref due to creations being restricted."
	mustBeSigned       = "Commits must have verified signatures."
	mustBeLinear       = "This branch must not contain merge commits."
)

func checksExpected(checks []string) string {
	if len(checks) == 1 {
		return fmt.Sprintf("Required status check %q is expected.", checks[0])
	}
	return fmt.Sprintf("%d of %d required status checks are expected.", len(checks), len(checks))
}

// rulesFor are the rules that bind a user's push; a nil user is an App or a deploy key.
func (r *Repo) rulesFor(user *account, role Role) []pushRule {
	var rules []pushRule
	for _, rs := range r.enforcedRulesets() {
		if rs.Enforcement != "active" || (user != nil && slices.ContainsFunc(rs.Bypass, func(l string) bool { return strings.EqualFold(l, user.login) })) {
			continue
		}
		for _, pattern := range r.branchPatterns(rs) {
			add := func(when bool, kind, arg, text string) {
				if when {
					rules = append(rules, pushRule{ruleViolation, pattern, kind, arg, text})
				}
			}
			add(rs.BlockForcePushes, "force", "", noForcePush)
			add(rs.BlockDeletions, "delete", "", noDeletion)
			add(rs.BlockCreation, "create", "", noCreation)
			add(rs.RequirePullRequest, "update", "", throughPullRequest)
			add(len(rs.StatusChecks) > 0, "update", "", checksExpected(rs.StatusChecks))
			add(rs.RequireSignatures, "signed", "", mustBeSigned)
			add(rs.LinearHistory, "linear", "", mustBeLinear)
			add(rs.MessagePattern != "", "message", rs.MessagePattern, "Commit message must match a given regex pattern: "+rs.MessagePattern)
		}
	}
	protections := r.enforcedProtections()
	branches := make([]string, 0, len(protections))
	for b := range protections {
		branches = append(branches, b)
	}
	sort.Strings(branches)
	for _, b := range branches {
		p := protections[b]
		add := func(when bool, kind, text string) {
			if when {
				rules = append(rules, pushRule{protectedBranch, b, kind, "", text})
			}
		}
		// These bind administrators in any case.
		add(!p.AllowForcePushes, "force", noForcePush)
		add(!p.AllowDeletions, "delete", noDeletion)
		if role >= Admin && !p.EnforceAdmins {
			continue
		}
		add(p.RequirePullRequest, "update", throughPullRequest)
		add(len(p.StatusChecks) > 0, "update", checksExpected(p.StatusChecks))
		add(p.RequireSignatures, "signed", mustBeSigned)
		add(p.LinearHistory, "linear", mustBeLinear)
	}
	return rules
}

// encodeRules writes one rule a line, its fields apart by the unit separator, which a shell does not merge when fields are empty.
func encodeRules(rules []pushRule) string {
	var b strings.Builder
	for _, p := range rules {
		b.WriteString(strings.Join([]string{p.code, "refs/heads/" + p.branch, p.kind, p.arg, p.text}, "\x1f") + "\n")
	}
	return b.String()
}

// preReceive refuses pushes as GitHub does. It is a real hook: git runs it, and shows its messages.
const preReceive = `#!/bin/sh
[ -n "$GITHUBTEST_RULES" ] || exit 0
zero=0000000000000000000000000000000000000000
us=$(printf '\037')
status=0
# violates KIND ARG OLD NEW
violates() {
	case $1 in
	create) [ "$3" = $zero ]; return ;;
	delete) [ "$4" = $zero ]; return ;;
	update) [ "$3" != $zero ] && [ "$4" != $zero ]; return ;;
	force) [ "$3" != $zero ] && [ "$4" != $zero ] && ! git merge-base --is-ancestor "$3" "$4"; return ;;
	esac
	[ "$4" != $zero ] || return 1
	case $1 in
	linear) [ -n "$(git rev-list --merges "$4" --not --all)" ]; return ;;
	esac
	for commit in $(git rev-list "$4" --not --all); do
		case $1 in
		signed) git cat-file commit "$commit" | sed '/^$/q' | grep -q '^gpgsig' || return 0 ;;
		message) git log -1 --format=%B "$commit" | grep -Eq -e "$2" || return 0 ;;
		esac
	done
	return 1
}
while read -r old new ref; do
	last=
	while IFS=$us read -r code pattern kind arg text; do
		[ -n "$code" ] || continue
		case $ref in $pattern) ;; *) continue ;; esac
		violates "$kind" "$arg" "$old" "$new" || continue
		status=1
		if [ "$code" != "$last" ]; then
			case $code in
			GH006) echo "error: GH006: Protected branch update failed for $ref." ;;
			GH013)
				echo "error: GH013: Repository rule violations found for $ref."
				echo "Review all repository rules at $GITHUBTEST_URL/rules?ref=$(echo "$ref" | sed 's,/,%2F,g')"
				;;
			esac
			last=$code
		fi
		echo
		echo "- $text"
	done <<RULES
$GITHUBTEST_RULES
RULES
	[ "$last" != GH013 ] || echo
done >&2
exit $status
`

// postReceive makes the first branch that is pushed to an empty repository the default branch.
const postReceive = `#!/bin/sh
git rev-parse --quiet --verify HEAD >/dev/null && exit 0
while read -r old new ref; do
	case $ref in refs/heads/*) git symbolic-ref HEAD "$ref"; exit 0 ;; esac
done
`
