package githubtest

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// The codes that GitHub puts before its reasons.
const (
	largeFile       = "GH001"
	protectedBranch = "GH006"
	privateEmail    = "GH007"
	ruleViolation   = "GH013"
)

// pushChecks are what GitHub looks for in every commit that is pushed to a repository, whoever pushes.
type pushChecks struct {
	maxFile int64
	secrets []SecretKind
	allowed []string // ids of secrets
}

// SecretKind is a kind of secret that push protection finds.
type SecretKind struct {
	Name    string // such as GitHub Personal Access Token
	Pattern string // an extended regular expression, without a colon
}

// LimitFileSize sets the size in bytes above which a file is refused. The original's is 100 MB; here it is
// switched off at first, since files of that size are unwieldy in a test.
func (r *Repo) LimitFileSize(bytes int64) { r.locked(func() { r.checks.maxFile = bytes }) }

// ProtectSecrets switches push protection on for these kinds of secrets, or off.
func (r *Repo) ProtectSecrets(kinds ...SecretKind) { r.locked(func() { r.checks.secrets = kinds }) }

// AllowSecret is what somebody does who follows the address that came with a refusal.
func (r *Repo) AllowSecret(address string) {
	r.locked(func() { r.checks.allowed = append(slices.Clone(r.checks.allowed), path.Base(address)) })
}

// HideEmails is the setting "Block command line pushes that expose my email" of a user who has these
// addresses. Without any, it is off.
func (s *Server) HideEmails(login string, addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.accounts[key(login)]
	if user == nil {
		s.misuse("hiding e-mail addresses: there is no user %s", login)
		return
	}
	user.hiddenEmails = addresses
}

// checksFor are the checks of a user's push to any branch; a nil user is an App or a deploy key.
func (r *Repo) checksFor(user *account) []pushRule {
	var rules []pushRule
	if n := r.checks.maxFile; n > 0 {
		rules = append(rules,
			pushRule{code: largeFile, branch: "*", kind: "large", arg: strconv.FormatInt(n, 10)})
	}
	if user != nil {
		for _, address := range user.hiddenEmails {
			rules = append(rules, pushRule{code: privateEmail, branch: "*", kind: "email", arg: address})
		}
	}
	for _, k := range r.checks.secrets {
		rules = append(rules,
			pushRule{code: ruleViolation, branch: "*", kind: "secret", arg: k.Pattern, text: k.Name})
	}
	return rules
}

// ruleEnv is what the pre-receive hook is told.
func (r *Repo) ruleEnv(rules []pushRule) []string {
	return []string{
		"GITHUBTEST_RULES=" + encodeRules(rules),
		"GITHUBTEST_ALLOWED= " + strings.Join(r.checks.allowed, " ") + " ",
		"GITHUBTEST_ORIGIN=" + r.server.origin(),
		"GITHUBTEST_URL=" + r.server.origin() + "/" + r.fullName(),
	}
}

// refusalStatus is the status of a reference after what the hook has said.
func refusalStatus(ref, words string) string {
	switch {
	case strings.Contains(words, privateEmail+": "):
		return "push declined due to email privacy restrictions"
	case strings.Contains(words, ruleViolation+": Repository rule violations found for "+ref+"."):
		return "push declined due to repository rule violations"
	case strings.Contains(words, protectedBranch+": Protected branch update failed for "+ref+"."):
		return "protected branch hook declined"
	}
	return "pre-receive hook declined"
}

// pushRule is one reason for which a push to some references is refused. Kind is a word of the pre-receive
// hook.
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

// branchMatches matches a branch against a pattern in which, as for a shell's case, a star also stands for
// slashes.
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
		if rs.Enforcement == "active" && slices.ContainsFunc(r.branchPatterns(rs),
			func(p string) bool { return branchMatches(p, branch) }) {
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
		if rs.Enforcement != "active" || (user != nil &&
			slices.ContainsFunc(rs.Bypass, func(l string) bool { return strings.EqualFold(l, user.login) })) {
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
			add(rs.MessagePattern != "", "message", rs.MessagePattern,
				"Commit message must match a given regex pattern: "+rs.MessagePattern)
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

// encodeRules writes one rule a line, its fields apart by the unit separator, which a shell does not merge
// when fields are empty.
func encodeRules(rules []pushRule) string {
	var b strings.Builder
	for _, p := range rules {
		b.WriteString(
			strings.Join([]string{p.code, "refs/heads/" + p.branch, p.kind, p.arg, p.text}, "\x1f") + "\n")
	}
	return b.String()
}

// preReceive refuses pushes as GitHub does, in its words. It is a real hook: git runs it, and shows its
// messages.
const preReceive = `#!/bin/sh
[ -n "$GITHUBTEST_RULES" ] || exit 0
zero=0000000000000000000000000000000000000000
us=$(printf '\037')
status=0
new_commits() { git rev-list "$1" --not --all; }
megabytes() { awk -v n="$1" 'BEGIN { printf "%.2f", n / 1048576 }'; }
# large LIMIT NEW: the files above it
large() {
	git rev-list --objects "$2" --not --all | git cat-file --batch-check='%(objecttype) %(objectsize) %(rest)' |
		while read -r type size path; do
			[ "$type" = blob ] && [ "$size" -gt "$1" ] && echo "File $path is $(megabytes "$size") MB; this exceeds GitHub's file size limit of $(megabytes "$1") MB"
		done
}
# secrets PATTERN NEW: lines of ID COMMIT PATH:LINE for those in files that the commits change
secrets() {
	for commit in $(new_commits "$2"); do
		git diff-tree --root -r --no-commit-id --name-only --diff-filter=d "$commit" | while read -r path; do
			git grep -nEo -e "$1" "$commit" -- "$path" | while IFS=: read -r _ _ line match; do
				id=$(printf '%s' "$match" | git hash-object --stdin | cut -c1-27)
				case $GITHUBTEST_ALLOWED in *" $id "*) ;; *) echo "$id $commit $path:$line" ;; esac
			done
		done
	done
}
# offenders KIND ARG NEW: the commits against a rule about commits
offenders() {
	for commit in $(new_commits "$3"); do
		case $1 in
		signed) git cat-file commit "$commit" | sed '/^$/q' | grep -q '^gpgsig' || echo "$commit" ;;
		message) git log -1 --format=%B "$commit" | grep -Eq -e "$2" || echo "$commit" ;;
		esac
	done
}
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
	linear) [ -n "$(git rev-list --merges "$4" --not --all)" ] ;;
	large) [ -n "$(large "$2" "$4")" ] ;;
	# The most recent commit's address counts.
	email) [ "$(git log -1 --format=%ae "$4")" = "$2" ] ;;
	secret) [ -n "$(secrets "$2" "$4")" ] ;;
	*) [ -n "$(offenders "$1" "$2" "$4")" ] ;;
	esac
}
# heading CODE REF, once for each code and reference
heading() {
	case " $said " in *" $1 "*) return ;; esac
	said="$said $1"
	case $1 in
	GH006) echo "error: GH006: Protected branch update failed for $2." ;;
	GH013) echo "error: GH013: Repository rule violations found for $2." ;;
	REVIEW) echo "Review all repository rules at $GITHUBTEST_URL/rules?ref=$(echo "$2" | sed 's,/,%2F,g')" ;;
	PROTECTION)
		cat <<'WORDS'

- GITHUB PUSH PROTECTION
  —————————————————————————————————————————
    Resolve the following violations before pushing again

    - Push cannot contain secrets


     (?) Learn how to resolve a blocked push
     https://docs.github.com/code-security/secret-scanning/working-with-secret-scanning-and-push-protection/working-with-push-protection-from-the-command-line#resolving-a-blocked-push


WORDS
		;;
	esac
}
while read -r old new ref; do
	said=
	while IFS=$us read -r code pattern kind arg text; do
		[ -n "$code" ] || continue
		case $ref in $pattern) ;; *) continue ;; esac
		violates "$kind" "$arg" "$old" "$new" || continue
		status=1
		case $kind in
		large)
			echo "error: Trace: $(echo "$new" | cut -c1-32)"
			echo "error: See https://gh.io/lfs for more information."
			large "$arg" "$new" | sed 's/^/error: /'
			echo "error: GH001: Large files detected. You may want to try Git Large File Storage - https://git-lfs.github.com."
			;;
		email)
			echo "error: GH007: Your push would publish a private email address."
			echo "You can make your email public or disable this protection by visiting:"
			echo "$GITHUBTEST_ORIGIN/settings/emails"
			;;
		secret)
			heading "$code" "$ref"
			heading PROTECTION "$ref"
			secrets "$arg" "$new" | while read -r id commit place; do
				printf '       —— %s ——————————————————————\n        locations:\n          - commit: %s\n            path: %s\n\n' "$text" "$commit" "$place"
				echo "        (?) To push, remove secret from commit(s) or follow this URL to allow the secret."
				printf '        %s/security/secret-scanning/unblock-secret/%s\n\n\n' "$GITHUBTEST_URL" "$id"
			done
			;;
		*)
			heading "$code" "$ref"
			[ "$code" != GH013 ] || heading REVIEW "$ref"
			printf '\n- %s\n' "$text"
			case $kind in signed | message) found=$(offenders "$kind" "$arg" "$new") ;; *) found= ;; esac
			[ -z "$found" ] || printf '  Found %s violation:\n\n%s\n' "$(echo "$found" | wc -l | tr -d ' ')" "$(echo "$found" | sed 's/^/  /')"
			;;
		esac
	done <<RULES
$GITHUBTEST_RULES
RULES
	[ -z "$said" ] || echo
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
