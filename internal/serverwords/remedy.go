package serverwords

import (
	"regexp"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// remedy is what helps against one kind of refusal. The kind is recognised by the server's own words, since a
// status such as "pre-receive hook declined" stands for all of them.
type remedy struct {
	signs *regexp.Regexp // in lower case
	hint  func(said []string) hint.Hint
}

// always is the hint of a remedy that needs nothing from the server's words.
func always(help hint.Hint) func([]string) hint.Hint {
	return func([]string) hint.Hint { return help }
}

func signs(alternatives ...string) *regexp.Regexp {
	return regexp.MustCompile(strings.Join(alternatives, "|"))
}

const letPass = "have an administrator let this account pass the rule"

// remedies are in the order in which their hints are given. The words are those of
//   - GitHub: its push errors GH001 to GH013, and the sentences of its rules
//     (docs.github.com, "Available rules for rulesets" and "Troubleshooting rules")
//   - GitLab: docs.gitlab.com, "Push rules", "Secret push protection", "Protected branches"
//   - Gitea and Forgejo: their pre-receive hook
//   - Bitbucket: "Branch permissions" and "Verify committer" of its Data Center
//   - Azure DevOps: learn.microsoft.com, "Git repository settings and policies" and "Secret scanning"
var remedies = []remedy{
	{signs(`push cannot contain secrets`, `secrets detected`, `gh009:`, `vs403654`,
		`contains? one or more secrets`),
		takeSecretOut},
	{signs(`gh007:`, `publish a private email address`, `email privacy restrictions`), publicAddress},
	{signs(`(author|committer)('s)? e-?mail`, `verified e-?mail`, `commit author '`,
		`cannot push commits for '`, `only push your own commits`, `committer is not authenticated`),
		always("commit with an address that the rule allows: " + hint.AuthorEmail.Any("ADDRESS").Hint())},
	{signs(`gh001:`, `exceeds github's file size limit`, `one or more blobs which exceed`,
		`larger than the maximum file size`, `file size (limit )?(exceed|is|must)`),
		smallerFile},
	{signs(`file path (is restricted|length)`, `restricted file path`, `file extension`,
		`file name .* was prohibited`, `contains a path( component)?, which exceeds`, `path is locked`,
		`protected file path`),
		always("the rule is about the names of files: " + letPass +
			", or choose another directory in spec.clusterConfigPath")},
	{signs(`refusing to allow .* workflow`),
		always(`the token may not write workflows: choose a directory outside .github/workflows in spec.clusterConfigPath, ` +
			`or give the token that right (classic: the scope "workflow"; fine-grained: "Workflows: write")`)},
	{signs(`verified signatures`, `must be signed`, `unverified commit`, `signed commits`),
		always("eksa-gitops does not sign its commits: " + letPass +
			", or name a branch without it in spec.branch")},
	{signs(`commit message (must|does not|contains)`, `commit message pattern`),
		always("the rule is about the message of the commit, which eksa-gitops writes: " + letPass)},
	{signs(`through (a |an )?(pull|merge) request`, `must use a pull request`, `through the merge queue`,
		`status checks?.* (is|are) expected`, `protected branch`, `protected ref`, `push(es)? to this branch`,
		`branch is locked`, `locked branch`, `branch permissions`, `not allowed to push`),
		always("name another branch in spec.branch, or have an administrator let this account push to " +
			"this one")},
	{signs(`creations being restricted`),
		always("name another branch in spec.branch, or have somebody who may create this one create it")},
	{signs(`branch name (must|does not)`, `gh002:`, `gh005:`, `exists; cannot create`),
		always("name another branch in spec.branch")},
	{signs(`git lfs objects?`), always(hint.Text("push the Git LFS objects that the branch lacks with git "+
		"(git lfs push --all), then %s", hint.Again))},
	{signs(`over (its|the|your)? ?(size limit|quota)`,
		`(repository|storage) (size )?(limit|quota) .*exceeded`,
		`exceed(s|ed)? .*(repository size|storage|quota)`, `exceeds maximum allowed size`),
		always("make room in the repository, or have its limit raised")},
	{signs(`fsck error`),
		always("the server finds a fault in the repository's objects: ask who runs it, with its words")},
}

// anyRule recognises the refusals for which there is no remedy of their own.
var anyRule = signs(`\bgh0\d\d:`, `rule violations`, `\btf402\d\d\d\b`, `\bvs403\d\d\d\b`,
	`push (was )?rejected`, `prohibited`)

// IsRule says whether a rule is what words tell of, whatever else they say.
func IsRule(words string) bool {
	lower := strings.ToLower(words)
	return anyRule.MatchString(lower) || slices.ContainsFunc(remedies, func(r remedy) bool {
		return r.signs.MatchString(lower)
	})
}

// Remedy is the next action after a refusal with these words, empty when nothing in them is known.
func Remedy(words string) hint.Hint {
	lower := strings.ToLower(words)
	var all hint.Hint
	for _, r := range remedies {
		if r.signs.MatchString(lower) {
			if all != "" {
				all += "; and "
			}
			all += r.hint(strings.Split(words, "\n"))
		}
	}
	switch {
	case all != "":
		return all
	case anyRule.MatchString(lower):
		return letPass + ", or have the rule changed"
	}
	return ""
}

// Where servers say that a secret is: GitHub "path: FILE:LINE", GitLab "-- FILE:LINE KIND" or "-- FILE:LINE |
// KIND", Azure DevOps "paths: /FILE(LINE,COLUMNS) : KIND".
var (
	secretPlace   = regexp.MustCompile(`^(?:paths?: )?/?(\S.*?)(?::(\d+)(?:$| \|? ?\S)|\((\d+),)`)
	secretAllowed = regexp.MustCompile(`https?://\S+/unblock-secret/\S+`)
)

// takeSecretOut names where the secrets are and where they can be allowed. The lines are those of the commit.
func takeSecretOut(said []string) hint.Hint {
	var places, allow []string
	for _, line := range said {
		if address := secretAllowed.FindString(line); address != "" {
			allow = append(allow, address)
			continue
		}
		if m := secretPlace.FindStringSubmatch(line); m != nil && !strings.Contains(m[1], "://") &&
			!strings.Contains(m[1], ": ") {
			places = append(places, m[1]+", line "+m[2]+m[3])
		}
	}
	where := ""
	if len(places) > 0 {
		where = " (in the commit it is in " + strings.Join(slices.Compact(places), "; ") + ")"
	}
	exception := ", or have an administrator make an exception for it; "
	if len(allow) > 0 {
		exception = ", or allow it at " + strings.Join(slices.Compact(allow), " and ") + ", "
	}
	return hint.Text("take the secret out of your cluster file%s%sthen %s", where, exception, hint.Again)
}

var emailSettings = regexp.MustCompile(`https?://\S+/settings/emails`)

// publicAddress names the page on which GitHub shows the address that may always be published.
func publicAddress(said []string) hint.Hint {
	page := emailSettings.FindString(strings.Join(said, "\n"))
	if page == "" {
		page = "your account's e-mail settings"
	}
	return hint.Text("commit with an address that may be published: %s, such as the noreply address on %s; "+
		"or switch the protection off there", hint.AuthorEmail.Any("ADDRESS"), page)
}

var largeFile = regexp.MustCompile(`(?i)^file (\S.*) is [\d.]+ ?[kmg]?i?b\b`)

func smallerFile(said []string) hint.Hint {
	for _, line := range said {
		if m := largeFile.FindStringSubmatch(line); m != nil {
			return hint.Text("make the file that %s is written from smaller, or have the limit raised",
				m[1])
		}
	}
	return "make your cluster file smaller, or have the limit raised"
}

// accessRemedies are for refusals of a whole session: what is wrong is the account, the repository or a
// policy, and other rights of the same credentials would not help.
var accessRemedies = []remedy{
	{signs(`account is (suspended|disabled|blocked)`, `account has been (suspended|blocked|disabled|locked)`),
		always("the account is shut out: its owner has to settle that with the server's support; or use " +
			"another account's credentials")},
	{signs(`(repository|project) .*(is|has been|was) disabled`, `disabled by github staff`,
		`access blocked`, `repository .*locked`, `dmca`),
		always("the repository is shut off: its owner has to settle that with the server's support")},
	{signs(`archived`),
		always("an administrator can take the repository out of the archive in its settings")},
	{signs(`saml`, `single sign-on`), always("authorize the token or the SSH key for the organization's " +
		"single sign-on, in the settings of the account that it belongs to")},
	{signs(`ip allow list`, `ip address is not`),
		always(hint.Text("%s from a network that the organization's IP allow list names", hint.Otherwise))},
	{signs(`forbids access via`), always("the organization does not accept this kind of token, or not for " +
		"this long: make one as its words say")},
}

// AccessRemedy is the next action after a session was refused with these words, empty when rights would have
// helped.
func AccessRemedy(words string) hint.Hint {
	lower := strings.ToLower(words)
	for _, r := range accessRemedies {
		if r.signs.MatchString(lower) {
			return r.hint(nil)
		}
	}
	return ""
}
