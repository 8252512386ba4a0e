package redact

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/eksa-gitops/eksa-gitops/internal/repourl"
)

// Redactor hides secrets whose values it knows, as they are and in the forms in which programs print them:
// quoted, escaped, in hexadecimal, and in base64 at each of the three places at which a text can begin in it;
// and, as [Text] does, those that have the form of one. The zero value knows none. It may be used by several
// goroutines.
type Redactor struct {
	mu       sync.RWMutex
	replacer *strings.Replacer
	forms    []string // longest first
	longest  int      // bytes of the longest form
}

// New gives a redactor that knows some secrets.
func New(secrets ...string) *Redactor {
	r := &Redactor{}
	r.Know(secrets...)
	return r
}

// Know adds secrets. What is too short, or a common word, to be told from other text is left out: hiding it
// would hide half of what is shown, and tell the secret by what is missing. Each longer line of a secret is
// one, too. It may be repeated.
func (r *Redactor) Know(secrets ...string) {
	var forms []string
	for _, s := range secrets {
		if !tellable(s) {
			continue
		}
		forms = append(forms, formsOf(s)...)
		for line := range strings.Lines(s) {
			line = strings.TrimSpace(line)
			if line != s && len(line) >= 2*minSecret && !strings.HasPrefix(line, "-----") {
				forms = append(forms, formsOf(line)...)
			}
		}
	}
	if len(forms) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	forms = append(forms, r.forms...)
	// Where two begin at the same place, the longer one hides more.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	r.forms = slices.Compact(forms)
	r.longest = len(r.forms[0])
	pairs := make([]string, 0, 2*len(r.forms))
	for _, form := range r.forms {
		pairs = append(pairs, form, Mask)
	}
	r.replacer = strings.NewReplacer(pairs...)
}

// Text hides the secrets of a text. It may be repeated.
func (r *Redactor) Text(text string) string { return Text(r.known(text)) }

// Source is to [Source] what Text is to the function of that name.
func (r *Redactor) Source(text string) string { return Source(r.known(text)) }

func (r *Redactor) known(text string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.replacer == nil {
		return text
	}
	return r.replacer.Replace(text)
}

// Ranges are the places of what [Redactor.Source] hides in a text, as the function of that name gives them.
func (r *Redactor) Ranges(text string) [][2]int {
	found := sourceRanges(text)
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, form := range r.forms {
		for from := 0; ; {
			at := strings.Index(text[from:], form)
			if at < 0 {
				break
			}
			found = append(found, [2]int{from + at, from + at + len(form)})
			from += at + len(form)
		}
	}
	return joined(found)
}

// Prefix hides secrets in all of a text but its end, which may be the beginning of one. It returns what is
// ready and what is to be looked at again with what follows.
func (r *Redactor) Prefix(text string) (ready, rest string) {
	r.mu.RLock()
	cut := max(0, len(text)-max(0, r.longest-1))
	for moved := true; moved; {
		moved = false
		for _, form := range r.forms {
			// A secret that begins before the cut and ends behind it is hidden whole.
			from := max(0, cut-len(form)+1)
			if i := strings.Index(text[from:min(len(text), cut+len(form)-1)], form); i >= 0 && from+i < cut &&
				from+i+len(form) > cut {
				cut, moved = from+i+len(form), true
			}
		}
	}
	r.mu.RUnlock()
	return r.Text(text[:cut]), text[cut:]
}

// JSON hides the secrets in the strings of JSON, but for the names of fields; what was JSON stays JSON. What
// is none comes back as it was, with ok false.
func (r *Redactor) JSON(data []byte) (shown []byte, ok bool) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 ||
		trimmed[0] != '{' && trimmed[0] != '[' || !json.Valid(data) {
		return data, false
	}
	var b bytes.Buffer
	for from := 0; ; {
		open := bytes.IndexByte(data[from:], '"')
		if open < 0 {
			b.Write(data[from:])
			return b.Bytes(), true
		}
		open += from
		end := open + 1
		for ; data[end] != '"'; end++ {
			if data[end] == '\\' {
				end++
			}
		}
		end++
		b.Write(data[from:open])
		from = end
		literal := data[open:end]
		if rest := bytes.TrimLeft(data[end:], " \t\r\n"); len(rest) > 0 && rest[0] == ':' {
			b.Write(literal) // the name of a field
			continue
		}
		var value string
		if err := json.Unmarshal(literal, &value); err == nil {
			if hidden := r.Text(value); hidden != value {
				literal = quoted(hidden)
			}
		}
		b.Write(literal)
	}
}

// quoted is a text as JSON, without escapes for HTML.
func quoted(text string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	// A string can always be encoded, and a buffer written.
	_ = encoder.Encode(text)
	return bytes.TrimSpace(b.Bytes())
}

// AddressSecrets are what a URL has for secrets: its password, and the user, which may be a token, with it,
// as they are written and as they are meant; none when it has no user information. The URL may be malformed,
// or lack its scheme.
func AddressSecrets(address string) []string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "", address
	}
	end := userEnd(rest)
	if end < 0 {
		return nil
	}
	user, password, both := strings.Cut(rest[:end], ":")
	switch {
	case both && repourl.IsSSH(scheme):
		return []string{password}
	case repourl.IsSSH(scheme):
		return nil
	case !both:
		return []string{user}
	}
	found := []string{password, user + ":" + password}
	name, nameErr := url.PathUnescape(user)
	if plain, err := url.PathUnescape(password); err == nil && nameErr == nil && plain+name != password+user {
		found = append(found, plain, name+":"+plain)
	}
	return found
}

// minSecret is the length of the shortest text that is taken for a secret.
const minSecret = 4

// tellable says whether a secret can be told from other text.
func tellable(secret string) bool {
	switch {
	case len(secret) < minSecret:
		return false
	case len(secret) >= 2*minSecret:
		return true
	}
	return strings.ContainsFunc(secret, func(r rune) bool { return !unicode.IsLower(r) }) &&
		!slices.Contains([]string{"true", "false", "none", "null"}, strings.ToLower(secret))
}

// formsOf are the forms in which a secret is known.
func formsOf(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret),
		unquoted(strconv.Quote(secret)), strings.ReplaceAll(secret, "'", `'\''`)}
	if encoded, err := json.Marshal(secret); err == nil {
		forms = append(forms, unquoted(string(encoded)))
	}
	forms = append(forms, unquoted(string(quoted(secret))))
	hexadecimal := hex.EncodeToString([]byte(secret))
	forms = append(forms, hexadecimal, strings.ToUpper(hexadecimal))
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		forms = append(forms, encoding.EncodeToString([]byte(secret)))
		for before := range 3 {
			// The characters that depend on the secret alone.
			all := encoding.EncodeToString(append(make([]byte, before), secret...))
			first, last := (before*8+5)/6, (before+len(secret))*8/6
			if last-first >= minBase64 {
				forms = append(forms, all[first:last])
			}
		}
	}
	return forms
}

// minBase64 is how many characters of base64 are told apart from chance.
const minBase64 = 5

func unquoted(s string) string { return s[1 : len(s)-1] }
