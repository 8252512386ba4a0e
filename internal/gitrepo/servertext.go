package gitrepo

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxServerText bounds how much of a server's words is kept.
const maxServerText = 4 << 10

// clean makes a server's words fit to be shown: no control characters or terminal sequences, no credentials, no repetition, no empty
// lines, and none of the prefixes that git clients add.
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
func (e *endpoint) withoutSecrets(text string) string {
	for _, s := range e.secrets {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}

func cleanLine(line string) string {
	text := strings.TrimSpace(plainLine(line))
	for _, prefix := range []string{"remote:", "ERROR:", "error:", "fatal:", "FATAL:", "ERR "} {
		text = strings.TrimSpace(strings.TrimPrefix(text, prefix))
	}
	// Lines that only draw something, as GitLab's frames do.
	if strings.Trim(text, "=-*#_~ ") == "" {
		return ""
	}
	return text
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

// escapeSequence is the length of the terminal control sequence (ECMA-48) at the start of s, 0 when there is none.
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
	return strings.ReplaceAll(e.clean(raw), "\n", "; ")
}

// refusal turns the words with which a server ended a session into an error. It knows GitHub, GitLab, Gitea, Bitbucket, Gerrit,
// gitolite and plain git; what it does not know is a RejectedError with the server's words.
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
	case says("too many", "rate limit", "temporarily unavailable", "try again", "under maintenance", "in maintenance", "service unavailable",
		"timed out", "internal server error", "connection reset", "cannot fork", "resource temporarily"):
		return &UnreachableError{Remote: e.name, Reason: "the server cannot answer now" + said(text)}
	case says("repository not found", "does not appear to be a git repository", "repository does not exist", "could not be found",
		"no such repository", "cannot find repository", "project not found", "not a git repository", "no such project", "is not found"):
		return &NotFoundError{Remote: e.name, Server: text}
	case says("invalid username or", "authentication failed", "bad credentials", "password authentication", "no anonymous"):
		return &AuthError{Remote: e.name, Server: text}
	case says("read only", "read-only", "denied", "not allowed", "write access", "forbidden", "unauthorized", "not authorized", "not granted",
		"insufficient permission", "permission", "saml"):
		return &PermissionError{Remote: e.name, Write: write, Server: text}
	case text == "":
		return &UnreachableError{Remote: e.name, Reason: "the server ended the session without an answer"}
	}
	return &RejectedError{Remote: e.name, Reason: strings.ReplaceAll(text, "\n", "; ")}
}
