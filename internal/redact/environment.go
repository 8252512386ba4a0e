package redact

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parts of the names of variables that hold credentials.
var (
	credentialWords = []string{"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL",
		"PRIVATE_KEY", "APIKEY", "API_KEY", "ACCESS_KEY"}
	credentialSuffixes = []string{"_KEY", "_PASS", "_PWD", "_PAT"}
	// A variable that says where a credential is holds none.
	placeSuffixes = []string{"_FILE", "_PATH", "_DIR", "_URL", "_ENDPOINT", "_NAME"}
)

// isCredential says whether the name of a variable, or of a setting in an INI file, is that of a credential.
func isCredential(name string) bool {
	name = strings.ReplaceAll(strings.ToUpper(name), "-", "_")
	has := func(suffixes []string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
	}
	if has(placeSuffixes) {
		return false
	}
	return has(credentialSuffixes) || slices.ContainsFunc(credentialWords, func(w string) bool {
		return strings.Contains(name, w)
	})
}

// Environment are the secrets of an environment, whose entries are NAME=value: values of variables with the
// name of a credential, what they hold in base64, and the passwords in URLs (proxies).
func Environment(environ []string) []string {
	var found []string
	add := func(value string) {
		if tellable(value) {
			found = append(found, value)
		}
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.Contains(value, "://") || strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			for _, part := range AddressSecrets(value) {
				add(part)
			}
		}
		if !isCredential(name) {
			continue
		}
		for _, text := range append([]string{value}, decoded(value)...) {
			add(text)
			for line := range strings.Lines(text) {
				line = strings.TrimSpace(line)
				// EKSA_CLOUDSTACK_B64ENCODED_SECRET holds an INI file.
				if setting, rest, ok := strings.Cut(line, "="); ok &&
					isCredential(strings.TrimSpace(setting)) {
					add(strings.Trim(strings.TrimSpace(rest), `"'`))
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// decoded is what a value holds in base64, if that is text.
func decoded(value string) []string {
	value = strings.TrimSpace(value)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding,
		base64.RawURLEncoding} {
		content, err := encoding.DecodeString(value)
		if err != nil || len(content) < minSecret || !utf8.Valid(content) {
			continue
		}
		if !strings.ContainsFunc(string(content),
			func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) }) {
			return []string{string(content)}
		}
	}
	return nil
}
