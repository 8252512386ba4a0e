package diagnostics

import (
	"regexp"
	"unicode/utf8"
)

// Where secrets stand in text that is shown: the credentials of a URL, and the value of a key that is named like one, in YAML and in
// JSON. The second group of each is the secret.
var secretForms = []*regexp.Regexp{
	regexp.MustCompile(`(://[^/\s:@"']*:)([^/\s"']*)@`),
	regexp.MustCompile(`(?i)((?:password|passwd|token|secret_?access_?key|private_?key)["']?\s*:\s+|(?:password|passwd|token|secret_?access_?key|private_?key)":)("[^"]*"|'[^']*'|[^\s,}\]#][^,}\]#]*)`),
}

// secretMark stands in the place of a secret.
const secretMark = "***"

// Redact replaces what looks like a secret by ***: the password in a URL, and values of keys such as licenseToken. What is checked is
// shown in logs of continuous integration, which more people can read than the files.
func Redact(text string) string {
	for _, form := range secretForms {
		text = form.ReplaceAllStringFunc(text, func(match string) string {
			at := form.FindStringSubmatchIndex(match)
			return match[:at[4]] + secretMark + match[at[5]:]
		})
	}
	return text
}

// secretRanges finds the secrets of a line, as pairs of character positions.
func secretRanges(line string) [][2]int {
	var ranges [][2]int
	for _, form := range secretForms {
		for _, at := range form.FindAllStringSubmatchIndex(line, -1) {
			from := utf8.RuneCountInString(line[:at[4]])
			ranges = append(ranges, [2]int{from, from + utf8.RuneCountInString(line[at[4]:at[5]])})
		}
	}
	return ranges
}
