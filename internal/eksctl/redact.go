package eksctl

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
	"unicode"
	"unicode/utf8"
)

// mask stands for a secret.
const mask = "***"

// redactor hides secrets in text, as they are and in the forms in which programs print them: quoted, escaped, in hexadecimal, and in
// base64 at each of the three places at which a text can begin in it.
type redactor struct {
	replacer *strings.Replacer
	forms    []string // longest first
	longest  int      // bytes of the longest form
}

func newRedactor(secrets []string) *redactor {
	var forms []string
	for _, s := range secrets {
		forms = append(forms, formsOf(s)...)
	}
	// Where two begin at the same place, the longer one hides more.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	forms = slices.Compact(forms)
	r := &redactor{forms: forms}
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		r.longest = max(r.longest, len(form))
		pairs = append(pairs, form, mask)
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

func (r *redactor) text(s string) string { return r.replacer.Replace(s) }

// prefix hides secrets in all of a text but its end, which may be the beginning of one. It returns what is ready and what is to be
// looked at again with what follows.
func (r *redactor) prefix(s string) (ready, rest string) {
	cut := max(0, len(s)-max(0, r.longest-1))
	for moved := true; moved; {
		moved = false
		for _, form := range r.forms {
			// A secret that begins before the cut and ends behind it is hidden whole.
			from := max(0, cut-len(form)+1)
			if i := strings.Index(s[from:min(len(s), cut+len(form)-1)], form); i >= 0 && from+i < cut && from+i+len(form) > cut {
				cut, moved = from+i+len(form), true
			}
		}
	}
	return r.text(s[:cut]), s[cut:]
}

// formsOf are the forms in which a secret is known.
func formsOf(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), unquoted(strconv.Quote(secret)), strings.ReplaceAll(secret, "'", `'\''`)}
	if encoded, err := json.Marshal(secret); err == nil {
		forms = append(forms, unquoted(string(encoded)))
	}
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(secret) == nil {
		forms = append(forms, unquoted(strings.TrimSpace(plain.String())))
	}
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

// decoded is what a value holds in base64, if that is text.
func decoded(value string) []string {
	value = strings.TrimSpace(value)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		content, err := encoding.DecodeString(value)
		if err != nil || len(content) < minSecret || !utf8.Valid(content) {
			continue
		}
		if !strings.ContainsFunc(string(content), func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) }) {
			return []string{string(content)}
		}
	}
	return nil
}
