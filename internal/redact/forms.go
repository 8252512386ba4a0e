package redact

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eksa-gitops/eksa-gitops/internal/repourl"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// Mask stands in the place of a secret.
var Mask = secret.Value{}.String()

// Text replaces what has the form of a secret by [Mask]: what stands before the @ of a URL (of one over SSH
// only a password: its user is no secret), the credentials of an HTTP header, a private key, and tokens that
// say what they are. It may be repeated.
func Text(text string) string { return mask(text, ranges(text)) }

// Source is [Text] for lines of YAML and JSON, where values of keys that are named like a secret are hidden,
// too. In a sentence such words stand before other things.
func Source(text string) string { return mask(text, sourceRanges(text)) }

// Ranges are the places of what [Source] hides, as pairs of byte positions in order. None is inside another.
func Ranges(text string) [][2]int { return joined(sourceRanges(text)) }

func sourceRanges(text string) [][2]int {
	found := ranges(text)
	for _, at := range keyValue.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, [2]int{at[4], at[5]})
	}
	return found
}

// Address is [Text] for one address of a server, which may lack its scheme, as that of a proxy may.
func Address(address string) string {
	if shown := Text(address); shown != address || strings.Contains(address, "://") {
		return shown
	}
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return Mask + address[at:]
	}
	return address
}

var (
	// The second group is the secret.
	keyValue = regexp.MustCompile(`(?i)((?:password|passwd|token|secret_?access_?key|private_?key)["']?\s*:\s+|(?:password|passwd|token|secret_?access_?key|private_?key)":)("[^"]*"|'[^']*'|[^\s,}\]#][^,}\]#]*)`)
	// Basic and bearer credentials, with or without the header's name before them.
	header     = regexp.MustCompile(`(?i)\b(basic|bearer) +([a-z0-9+/_.~-]{8,}=*)`)
	privateKey = regexp.MustCompile(
		`(?s)-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`)
	ownName = regexp.MustCompile(
		`\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})`)
)

func ranges(text string) [][2]int {
	found := addressRanges(text)
	if strings.Contains(text, "PRIVATE KEY-----") {
		for _, at := range privateKey.FindAllStringSubmatchIndex(text, -1) {
			found = append(found, [2]int{at[4], at[5]})
		}
	}
	if strings.Contains(text, "gh") || strings.Contains(text, "glpat-") {
		for _, at := range ownName.FindAllStringIndex(text, -1) {
			found = append(found, [2]int{at[0], at[1]})
		}
	}
	for _, at := range header.FindAllStringSubmatchIndex(text, -1) {
		// "basic authentication" is said of servers; no credential has the letters of a word alone.
		if word := text[at[4]:at[5]]; strings.ContainsFunc(word[1:],
			func(r rune) bool { return !unicode.IsLower(r) && r != '.' && r != '-' }) {
			found = append(found, [2]int{at[4], at[5]})
		}
	}
	return found
}

// addressRanges finds the secrets of the URLs in a text. Passwords are written into URLs without the escapes
// that they need, so that a URL that is none has them, too; and what says why it is none quotes a part of it.
func addressRanges(text string) [][2]int {
	var found [][2]int
	for from := 0; ; {
		at := strings.Index(text[from:], "://")
		if at < 0 {
			break
		}
		at += from
		scheme := at
		for scheme > 0 && isScheme(text[scheme-1]) {
			scheme--
		}
		start := at + len("://")
		run := text[start : start+runLength(text[start:], quotes)]
		from = start
		end := userEnd(run)
		if end < 0 && badAuthority(run) {
			// It may be a password with a quote in it.
			run = text[start : start+runLength(text[start:], "")]
			end = userEnd(run)
		}
		if end < 0 {
			continue
		}
		first := start
		if repourl.IsSSH(text[scheme:at]) {
			colon := strings.IndexByte(run[:end], ':')
			if colon < 0 {
				continue
			}
			first += colon + 1
		}
		if hidden := text[first : start+end]; hidden != Mask && hidden != "git" && hidden != "" {
			found = append(found, [2]int{first, start + end})
		}
		from = start + end
	}
	if len(found) > 0 {
		for _, at := range badPart.FindAllStringSubmatchIndex(text, -1) {
			found = append(found, [2]int{at[2], at[3]})
		}
	}
	return found
}

// badPart is what net/url quotes of a URL that it cannot read.
var badPart = regexp.MustCompile(`invalid (?:port|URL escape|character) ("(?:[^"\\]|\\.)*")`)

func isScheme(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' ||
		c == '.' || c == '-'
}

// maxURL bounds, in bytes, how far is looked for the end of what stands before an @.
const maxURL = 8 << 10

// quotes are what a URL is put into, and end it.
const quotes = "\"`<>"

// runLength is how far a URL can go: up to a blank, a control character or one of the ends. One behind a
// backslash is a part of it, in a text that was quoted.
func runLength(text, ends string) int {
	text = text[:min(len(text), maxURL)]
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\\' && i+size < len(text):
			_, next := utf8.DecodeRuneInString(text[i+size:])
			size += next
		case strings.ContainsRune(ends, r) || unicode.IsSpace(r) || unicode.IsControl(r):
			return i
		}
		i += size
	}
	return len(text)
}

// userEnd is where the user information of a URL ends, given what follows its scheme; -1 without any.
func userEnd(run string) int {
	authority := run
	if end := strings.IndexAny(run, "/?#"); end >= 0 {
		authority = run[:end]
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		return at
	}
	if !badAuthority(run) {
		return -1
	}
	if strings.HasSuffix(authority, "…") || strings.HasSuffix(authority, "...") {
		return len(authority) // cut short
	}
	return strings.LastIndexByte(run, '@')
}

// badAuthority says whether what should be the port of a URL is no number. That is so when there is a slash
// in a password, which ends the authority for all who read the URL.
func badAuthority(run string) bool {
	if end := strings.IndexAny(run, "/?#"); end >= 0 {
		run = run[:end]
	}
	_, port, _ := strings.Cut(run, ":")
	return !strings.HasPrefix(run, "[") && strings.Trim(port, "0123456789") != ""
}

// joined are ranges in order, those that overlap as one.
func joined(found [][2]int) [][2]int {
	slices.SortFunc(found, func(a, b [2]int) int { return cmp.Or(a[0]-b[0], a[1]-b[1]) })
	var out [][2]int
	for _, r := range found {
		if r[0] == r[1] {
			continue
		}
		if last := len(out) - 1; last >= 0 && r[0] < out[last][1] {
			out[last][1] = max(out[last][1], r[1])
			continue
		}
		out = append(out, r)
	}
	return out
}

func mask(text string, found [][2]int) string {
	if len(found) == 0 {
		return text
	}
	var b strings.Builder
	from := 0
	for _, r := range joined(found) {
		b.WriteString(text[from:r[0]] + Mask)
		from = r[1]
	}
	b.WriteString(text[from:])
	return b.String()
}
