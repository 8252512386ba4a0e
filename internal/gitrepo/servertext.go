package gitrepo

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eksa-gitops/eksa-gitops/internal/serverwords"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// maxServerText bounds how much of a server's words is kept.
const maxServerText = 4 << 10

// clean makes a server's words fit to be shown: no control characters or terminal sequences, no credentials,
// no repetition, no empty lines, and none of the prefixes that git clients add.
func (e *endpoint) clean(raw string) string {
	raw = e.withoutSecrets(raw)
	var lines []string
	seen := map[string]bool{}
	size := 0
	for line := range strings.SplitSeq(strings.ReplaceAll(raw, "\r", "\n"), "\n") {
		// Again, for what was taken out may have stood in the middle of a secret.
		line = e.withoutSecrets(cleanLine(line))
		if line == "" || seen[line] {
			continue
		}
		seen[line] = true
		if size += len(line) + 1; size > maxServerText {
			lines = append(lines, "...")
			break
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// withoutSecrets puts stars in the place of credentials that a server has sent back.
func (e *endpoint) withoutSecrets(text string) string { return e.secrets.Text(text) }

func cleanLine(line string) string {
	text := strings.TrimSpace(plainLine(line))
	for _, prefix := range []string{"remote:", "ERROR:", "error:", "fatal:", "FATAL:", "ERR "} {
		text = strings.TrimSpace(strings.TrimPrefix(text, prefix))
	}
	// Lines that only draw something, as GitLab's frames and Bitbucket's pictures do.
	if !strings.ContainsFunc(text,
		func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '?' }) {
		return ""
	}
	return withoutStrokes(text)
}

// strokes are the characters of which servers draw lines before and behind a heading.
const strokes = "=-\u2014\u2013\u2500\u2501\u2550"

// withoutStrokes takes the drawn lines away from a heading, as GitHub has them: "—— Kind of secret ————". One
// character is a bullet and stays.
func withoutStrokes(text string) string {
	if rest := strings.TrimLeft(text, strokes); strings.HasPrefix(rest, " ") &&
		utf8.RuneCountInString(text[:len(text)-len(rest)]) > 1 {
		text = rest
	}
	if rest := strings.TrimRight(text, strokes); strings.HasSuffix(rest, " ") &&
		utf8.RuneCountInString(text[len(rest):]) > 1 {
		text = rest
	}
	return strings.TrimSpace(text)
}

// plainLine takes control characters and terminal sequences out of a line.
func plainLine(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); {
		if skip := escapeSequence(line[i:]); skip > 0 {
			i += skip
			continue
		}
		r, size := utf8.DecodeRuneInString(line[i:])
		i += size
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError && size == 1:
			b.WriteByte('?')
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			// Cf holds the characters that turn the direction of text around.
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// escapeSequence is the length of the terminal control sequence (ECMA-48) at the start of s, 0 when there is
// none.
func escapeSequence(s string) int {
	if len(s) < 2 || s[0] != 0x1b {
		return 0
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
		}
		return len(s)
	case ']', 'P', '_', '^':
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
		return len(s)
	}
	return 2
}

// oneLine is clean for a reason that stands in the middle of a sentence.
func (e *endpoint) oneLine(raw string) string {
	return serverwords.OneLine(e.clean(raw))
}

// noise are lines beside a push that are of no use to somebody who has not run git: its progress, the name of
// a commit that was never seen, headings without a statement, options of git push, and links to help for
// git's own users.
var noise = regexp.MustCompile(`^(?:` +
	`(?:Resolving|Compressing|Counting|Receiving|Writing|Unpacking|Updating|Enumerating|Checking|Processing) ` +
	`(?:deltas|objects|connectivity|references|\d+ references|changes)\b.*` +
	`|\* Checking \d+ references` +
	`|(?:- commit: )?[0-9a-f]{40}|Found \d+ violations?:|locations:|Trace: [0-9a-f]+|GitLab:` +
	`|Resolve the following (?:violations|secrets) before pushing again\.?` +
	`|(?:\(\?\) )?Learn how to resolve a blocked push|https://docs\.github\.com/\S+` +
	`|(?:\(\?\) )?This repository does not have Secret Scanning enabled.*|Visit the repository settings page,.*` +
	`|See https?://(?:git\.io|gh\.io)/\S+ for more information\.` +
	`|To skip secret push protection, add the following Git push option.*` +
	`)$`)

// useful is clean without noise, for the words beside a push.
func (e *endpoint) useful(raw string) string {
	lines := strings.Split(e.clean(raw), "\n")
	lines = slices.DeleteFunc(lines, noise.MatchString)
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "(?) ")
	}
	return strings.Join(lines, "\n")
}

// refusal turns the words with which a server ended a session into an error. It knows GitHub, GitLab, Gitea,
// Bitbucket, Gerrit, gitolite and plain git; what it does not know is a RejectedError with the server's
// words.
func (e *endpoint) refusal(svc service, raw string) error {
	text := e.clean(raw)
	lower := strings.ToLower(text)
	says := func(phrases ...string) bool {
		for _, p := range phrases {
			if strings.Contains(lower, p) {
				return true
			}
		}
		return false
	}
	write := svc == receivePack
	switch {
	case serverwords.AccessRemedy(text) != "":
		return &git.PermissionError{Remote: e.name, Write: write, Server: text}
	case says("too many", "rate limit", "abuse detection", "temporarily unavailable", "try again",
		"under maintenance", "in maintenance", "service unavailable", "timed out", "internal server error",
		"internal api", "connection reset", "cannot fork", "resource temporarily"):
		return &git.UnreachableError{Remote: e.name,
			Reason: "the server cannot answer now" + serverwords.Said(text), Next: e.afterIncident()}
	case says("repository not found", "does not appear to be a git repository", "repository does not exist",
		"could not be found", "no such repository", "cannot find repository", "project not found",
		"not a git repository", "no such project", "is not found"):
		return &git.NotFoundError{Remote: e.name, Server: text}
	case says("invalid username or", "authentication failed", "bad credentials", "password authentication",
		"no anonymous"):
		return &git.AuthError{Remote: e.name, Server: text}
	case says("read only", "read-only", "denied", "not allowed", "write access", "forbidden", "unauthorized",
		"not authorized", "not granted", "insufficient permission", "permission", "saml"):
		return &git.PermissionError{Remote: e.name, Write: write, Server: text}
	case text == "":
		return &git.UnreachableError{Remote: e.name, Reason: "the server ended the session without an answer"}
	}
	return &git.RejectedError{Remote: e.name, Reason: serverwords.OneLine(text)}
}
