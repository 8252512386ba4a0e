package clusterspec

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/eksa-gitops/eksa-gitops/internal/repourl"
)

// Defaults of a FluxConfig (EKS Anywhere's own, which its object then holds for good).
const (
	defaultSystemNamespace = "flux-system"
	defaultBranch          = "main"
)

// gitOpsFields says where the two kinds keep their settings.
type gitOpsFields struct {
	parent, systemNamespace, clusterConfigPath, branch, owner, repository, personal string
}

func fieldsOfGitOps(kind string) gitOpsFields {
	if kind == "GitOpsConfig" {
		const parent = "spec.flux.github"
		return gitOpsFields{
			parent: parent, systemNamespace: parent + ".fluxSystemNamespace",
			clusterConfigPath: parent + ".clusterConfigPath", branch: parent + ".branch",
			owner: parent + ".owner", repository: parent + ".repository", personal: parent + ".personal",
		}
	}
	return gitOpsFields{
		parent: "spec", systemNamespace: "spec.systemNamespace", clusterConfigPath: "spec.clusterConfigPath",
		branch: "spec.branch", owner: "spec.github.owner", repository: "spec.github.repository",
		personal: "spec.github.personal",
	}
}

func keys(path string) []string { return strings.Split(path, ".") }

// readGitOps gives the settings of a FluxConfig or GitOpsConfig with the defaults for clusters of a
// management cluster.
func readGitOps(o *Object, managementCluster string) *GitOps {
	at := fieldsOfGitOps(o.Kind)
	root := o.root()
	g := &GitOps{
		Kind: o.Kind, Name: o.Name,
		SystemNamespace: orDefault(text(root, keys(at.systemNamespace)...), defaultSystemNamespace),
		ClusterConfigPath: orDefault(text(root, keys(at.clusterConfigPath)...),
			path.Join("clusters", managementCluster)),
		Branch: orDefault(text(root, keys(at.branch)...), defaultBranch),
	}
	if _, github := lookup(root, "spec", "github"); github != nil || o.Kind == "GitOpsConfig" {
		g.GitHub = &GitHubConfig{
			Owner: text(root, keys(at.owner)...), Repository: text(root, keys(at.repository)...),
			Personal: flag(root, keys(at.personal)...),
		}
	} else {
		g.Git = &GitConfig{
			RepositoryURL:   normalRepositoryURL(text(root, "spec", "git", "repositoryUrl")),
			SSHKeyAlgorithm: text(root, "spec", "git", "sshKeyAlgorithm"),
		}
	}
	return g
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// checkGitOps holds a FluxConfig or GitOpsConfig against what a table cannot say.
func (r *report) checkGitOps() {
	o := r.object
	at := fieldsOfGitOps(o.Kind)
	if o.Kind == "GitOpsConfig" {
		r.add(SeverityWarning, "deprecated", o.find("kind"), "kind", "GitOpsConfig is deprecated").Expected =
			"a FluxConfig"
	} else {
		r.checkProviderChoice()
	}
	for i := range r.problems {
		// The address of a repository, or a name with the sign people put before it, holds the name.
		p := &r.problems[i]
		value := text(o.root(), keys(p.Field)...)
		if p.Rule == "invalid-value" && (p.Field == at.repository || p.Field == at.owner) {
			last := strings.TrimPrefix(path.Base(strings.TrimSuffix(value, ".git")), "@")
			if repositoryForm.MatchString(last) &&
				(strings.Contains(value, "/") && p.Field == at.repository || strings.HasPrefix(value, "@")) {
				p.Suggestion = last
			}
		}
	}
	if value := text(o.root(), keys(at.branch)...); value != "" {
		r.checkBranch(at.branch, value)
	}
	switch value := text(o.root(), keys(at.systemNamespace)...); {
	case value == "":
	case !isDNSLabel(value):
		p := r.wrong("invalid-value", at.systemNamespace, "the namespace of Flux is not a valid name")
		p.Found, p.Expected = quote(value), dnsLabelExpected
	case windowsNames.MatchString(value):
		p := r.wrong("path", at.systemNamespace,
			"Flux's directory, which has the name of the namespace, cannot be checked out on Windows")
		p.Found = quote(value)
	}
	if value := text(o.root(), keys(at.clusterConfigPath)...); value != "" {
		if message := badPath(value); message != "" {
			p := r.wrong("path", at.clusterConfigPath, message)
			p.Found, p.Expected = quote(value),
				"a path below the root of the repository, such as clusters/dev"
		}
	}
	if value := text(o.root(), keys(at.repository)...); value != "" && strings.Trim(value, ".") == "" ||
		strings.HasSuffix(strings.ToLower(value), ".git") {
		p := r.wrong("invalid-value", at.repository, "GitHub does not allow this repository name")
		p.Found, p.Expected = quote(value), "the name without .git"
	}
	for _, field := range []string{at.owner, at.repository} {
		if value := text(o.root(), keys(field)...); len(value) > maxGitHubName {
			p := r.wrong("invalid-value", field, "the name is longer than GitHub allows")
			p.Expected = fmt.Sprintf("at most %d characters", maxGitHubName)
		}
	}
	if value := text(o.root(), "spec", "git", "repositoryUrl"); o.Kind == "FluxConfig" && value != "" {
		r.checkRepositoryURL("spec.git.repositoryUrl", value)
	}
}

// maxGitHubName is what GitHub allows for the name of a repository; owners have shorter ones.
const maxGitHubName = 100

// maxBranch is a length of a branch's name that file systems have room for, with refs/heads/ and .lock.
const maxBranch = 240

var repositoryForm = regexp.MustCompile(`^[0-9A-Za-z_.-]+$`)

func (r *report) checkProviderChoice() {
	root := r.object.root()
	if _, spec := lookup(root, "spec"); spec == nil || kindOf(spec) != kindObject {
		return
	}
	_, github := lookup(root, "spec", "github")
	_, git := lookup(root, "spec", "git")
	switch {
	case github != nil && git != nil:
		// An empty one lacks everything, which is not what is wrong.
		r.problems = slices.DeleteFunc(r.problems, func(p Problem) bool {
			return p.Rule == "required" && (within(p.Field, "spec.github") || within(p.Field, "spec.git"))
		})
		p := r.wrong("git-provider", "spec.git", "two Git providers")
		p.Found, p.Expected = "spec.github and spec.git", "one of them"
	case github == nil && git == nil && !r.strayIn("spec") && !slices.Contains(r.meant, "spec.git") &&
		!slices.Contains(r.meant, "spec.github"):
		key, _ := lookup(root, "spec")
		p := r.add(SeverityError, "git-provider", key, "spec", "no Git provider")
		p.Expected = "spec.github or spec.git"
	}
}

// checkBranch refuses what the table's pattern, which is EKS Anywhere's, lets through and Git does not.
func (r *report) checkBranch(field, branch string) {
	if len(branch) > maxBranch {
		r.wrong("branch", field, "the branch name is too long").Expected =
			fmt.Sprintf("at most %d characters", maxBranch)
	}
	if branch == "HEAD" || slices.ContainsFunc(strings.Split(branch, "/"),
		func(part string) bool { return strings.HasSuffix(part, ".lock") }) {
		p := r.wrong("branch", field, "Git does not allow this branch name")
		p.Found = quote(branch)
	}
}

var (
	// The form that scp takes and that Git hosts show: user, host (an IPv6 address in brackets), path.
	scpForm = regexp.MustCompile(`^([A-Za-z0-9_.-]+@)?([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):/?([^/].*)$`)
	// The form of AWS CodeCommit's URLs, whose user is the ID of the SSH key (EKS Anywhere's own check).
	codeCommitForm = regexp.MustCompile(
		`^ssh://[a-zA-Z0-9]+@git-codecommit\.[a-z0-9-]+\.amazonaws\.com/v1/repos/[a-zA-Z0-9\\\-_.]+$`)
)

// normalRepositoryURL writes the scp form as the ssh:// URL that EKS Anywhere and Flux take, and leaves
// everything else as it is.
func normalRepositoryURL(value string) string {
	match := scpForm.FindStringSubmatch(value)
	// What stands between a colon and an @ may be a password.
	if match == nil || strings.Contains(value, "://") || match[1] == "" && strings.Contains(match[3], "@") {
		return value
	}
	return "ssh://" + orDefault(match[1], "git@") + match[2] + "/" + match[3]
}

func (r *report) checkRepositoryURL(field, value string) {
	wrong := func(message, expected, suggestion string) {
		p := r.wrong("repository-url", field, message)
		p.Found, p.Expected, p.Suggestion = quote(value), expected, suggestion
	}
	const form = "ssh://git@host/owner/repository.git"
	if normal := normalRepositoryURL(value); normal != value {
		_, at := lookup(r.object.root(), keys(field)...)
		p := r.add(SeverityWarning, "repository-url", at, field, "EKS Anywhere does not read this form of "+
			"an SSH URL; it is taken as, and written to Git as, the expected one")
		p.Found, p.Expected = quote(value), quote(normal)
		value = normal
	}
	parsed, err := url.Parse(value)
	if !strings.Contains(value, "://") && strings.Contains(value, "@") {
		// what stands before the @ may be a credential
		r.wrong("repository-url", field, "not a URL").Expected = form
		return
	}
	if err == nil && parsed.User != nil {
		// The user of a URL may be a token, too, but for SSH, which has no such thing.
		if _, has := parsed.User.Password(); has || !repourl.IsSSH(parsed.Scheme) {
			p := r.wrong("repository-url", field,
				"the URL contains a credential, which would be in Git in plain text")
			p.Expected = form
			return
		}
	}
	switch {
	case err != nil && strings.Contains(value, "@"):
		// what stands before the @ may be a credential
		r.wrong("repository-url", field, "not a URL").Expected = form
	case err != nil:
		wrong("not a URL", form, "")
	case parsed.Scheme == "https" || parsed.Scheme == "http":
		suggestion := ""
		if parsed.Hostname() != "" && len(parsed.Path) > 1 {
			suggestion = "ssh://git@" + parsed.Hostname() + parsed.Path
		}
		wrong("EKS Anywhere syncs a generic Git repository over SSH only", form, suggestion)
	case parsed.Scheme != "ssh":
		suggestion := ""
		if repourl.IsSSH(parsed.Scheme) && parsed.Hostname() != "" && len(parsed.Path) > 1 {
			suggestion = "ssh" + strings.TrimPrefix(value, parsed.Scheme)
		}
		wrong("not an SSH URL", form, suggestion)
	case parsed.Hostname() == "":
		wrong("the URL has no host", form, "")
	case !validPort(parsed.Port()):
		wrong("the URL has a port that is not valid", "a port from 1 to 65535", "")
	case strings.Trim(parsed.Path, "/") == "":
		wrong("the URL has no repository", form, "")
	case strings.HasSuffix(parsed.Path, "/"):
		wrong("the URL ends with a slash, so that EKS Anywhere finds no repository name", form,
			strings.TrimRight(value, "/"))
	case parsed.RawQuery != "" || parsed.Fragment != "":
		wrong("the URL has a query or fragment", form, "")
	case strings.ContainsFunc(value, func(c rune) bool {
		return !unicode.IsPrint(c) || c == ' ' || c == '\\'
	}):
		wrong("the URL contains a character that is not allowed in URLs", form, "")
	case strings.Contains(parsed.Host, "git-codecommit") && strings.Contains(parsed.Host, "amazonaws.com"):
		if !codeCommitForm.MatchString(value) || parsed.User.Username() == "git" {
			wrong("not an AWS CodeCommit URL in the form that EKS Anywhere accepts",
				"ssh://<SSH key ID>@git-codecommit.<region>.amazonaws.com/v1/repos/<repository>", "")
		}
	default:
		// What the steps after this one take.
		if _, err := repourl.ParseSSH(value); err != nil {
			wrong(err.Error(), form, "")
		}
	}
}

func validPort(port string) bool {
	number, err := strconv.Atoi(port)
	return port == "" || err == nil && number > 0 && number < 1<<16
}

// windowsNames cannot be the name of a file on Windows, with or without an extension; a repository that has
// one cannot be checked out there.
var windowsNames = regexp.MustCompile(
	`(?i)^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$`)

// badPath says why a path of the repository is refused, or "". EKS Anywhere checks nothing here, and joins
// the path onto a local directory.
func badPath(value string) string {
	switch {
	case strings.ContainsRune(value, '\\'):
		return "the path contains a backslash"
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "the path contains a control or invisible character"
	case strings.HasPrefix(value, "/") || len(value) > 1 && value[1] == ':':
		return "the path is absolute"
	case len(value) > 1024:
		return "the path is too long"
	}
	for i, segment := range strings.Split(value, "/") {
		lower := strings.ToLower(strings.TrimRight(segment, ". "))
		switch {
		case segment == "":
			return "the path has an empty part"
		case segment == ".." || segment == "." && i > 0:
			return "the path contains . or .. as a part"
		case segment == ".":
		case lower == ".git" || strings.HasPrefix(strings.ToLower(segment), "git~"):
			return "the path goes into Git's own directory"
		case strings.TrimRight(segment, ". ") != segment:
			return "a part of the path ends with a dot or a blank, which cannot be checked out on Windows"
		case windowsNames.MatchString(segment) || strings.ContainsAny(segment, `<>:"|?*`):
			return "a part of the path cannot be checked out on Windows"
		case len(segment) > 255:
			return "a part of the path is too long"
		}
	}
	return ""
}

var dnsLabelForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

const dnsLabelExpected = `at most 63 lower-case letters, digits and "-", with a letter or digit at both ends`

func isDNSLabel(name string) bool { return len(name) <= 63 && dnsLabelForm.MatchString(name) }

var dnsNameForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func isDNSName(name string) bool { return len(name) <= 253 && dnsNameForm.MatchString(name) }

// clusterNameForm is EKS Anywhere's rule for a cluster's name without the capital letters, which the API
// server then refuses.
var clusterNameForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,33}[a-z0-9]$`)

// IsClusterName says whether a cluster may have that name. Such a name is safe as part of a path, too.
func IsClusterName(name string) bool { return clusterNameForm.MatchString(name) }
