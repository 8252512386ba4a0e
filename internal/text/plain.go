package text

import "regexp"

// programmers are sentences of the standard library and of client libraries that say to a programmer what
// went wrong, and what they come to for a person.
var programmers = []struct {
	said  *regexp.Regexp
	plain string
}{
	{regexp.MustCompile(`strconv\.ParseBool: parsing "(?:[^"\\]|\\.)*": invalid syntax`),
		"must be true or false"},
	{regexp.MustCompile(`strconv\.(?:ParseU?[Ii]nt|Atoi): parsing "(?:[^"\\]|\\.)*": invalid syntax`),
		"must be a whole number"},
	{regexp.MustCompile(`strconv\.ParseFloat: parsing "(?:[^"\\]|\\.)*": invalid syntax`),
		"must be a number"},
	{regexp.MustCompile(`strconv\.\w+: parsing "(?:[^"\\]|\\.)*": value out of range`),
		"is too large or too small"},
	{regexp.MustCompile(`time: (?:invalid duration|missing unit in duration|unknown unit "[^"]*" in duration) "(?:[^"\\]|\\.)*"`),
		"must be a time such as 30s, 10m or 1h30m"},
	{regexp.MustCompile(`(?:net/http: request canceled(?: while waiting for connection)?|context deadline exceeded) \(Client\.Timeout exceeded while awaiting headers\)`),
		"no answer in time"},
	{regexp.MustCompile(`client rate limiter Wait returned an error: context deadline exceeded`),
		"no answer in time"},
	{regexp.MustCompile(`context deadline exceeded`), "it took too long"},
	{regexp.MustCompile(`context canceled`), "interrupted"},
}

// Plain is a text of this program in words for a person, where a library has put its own into it. What others
// say and is quoted, such as the conditions of Flux's objects, is not for this function: there the words
// themselves are the evidence.
func Plain(s string) string {
	for _, p := range programmers {
		s = p.said.ReplaceAllLiteralString(s, p.plain)
	}
	return s
}
