package clusterspec

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var yamlErrorForm = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

const cannotStart = "found character that cannot start any token"

// yamlCauses say what the YAML parser's errors mostly come from.
var yamlCauses = map[string]struct{ message, expected string }{
	"did not find expected key": {
		"the line does not fit the indentation of those above",
		"the indentation of the other keys of the same object",
	},
	"did not find expected '-' indicator": {
		"the line does not fit the list above",
		`"- " in the same column as before the other items, or less indentation`,
	},
	"mapping values are not allowed in this context": {
		`a second "key: value" on the line, or one that does not fit the indentation of those above`,
		`a line for each; quotes around a value with ": " in it`,
	},
	"could not find expected ':'":    {"the line has no colon", "key: value"},
	"found unexpected end of stream": {"a quote is not closed", "a closing quote"},
	cannotStart: {"the value begins with a character that YAML keeps for itself",
		"quotes around the value"},
}

// syntaxProblem turns the parser's error into a position and an explanation of the usual causes.
func (d *document) syntaxProblem(err error, limits *limits) Problem {
	p := d.problem("not-yaml", nil, "not valid YAML: "+err.Error())
	match := yamlErrorForm.FindStringSubmatch(err.Error())
	if match == nil {
		return p
	}
	p.Message = "not valid YAML: " + match[2]
	lines := strings.Split(d.body, "\n")
	if at := slices.IndexFunc(lines,
		func(line string) bool { return strings.HasPrefix(line, "<<<<<<< ") }); at >= 0 {
		p.Line, p.Column, p.Message, p.Found, p.Expected = d.firstLine+at,
			1, "a merge conflict of Git is not resolved", quote(lines[at]),
			"one of the two sides, without the markers"
		return p
	}
	line, _ := strconv.Atoi(match[1])
	// The parser may name a line behind the last one, none at all for an error on the first, or the one on
	// which the surrounding value begins.
	line = min(max(line, 1), len(lines))
	if limits.searches > 0 {
		limits.searches--
		if exact := firstBadLine(d.body); exact > 0 {
			line = exact
		}
	}
	if tab := strings.IndexByte(lines[line-1], '\t'); tab >= 0 && strings.TrimSpace(lines[line-1]) == "" &&
		match[2] == cannotStart {
		p.Line, p.Column = d.firstLine+line-1, tab+1
		p.Message, p.Found, p.Expected = "not valid YAML for EKS Anywhere: a tab in an empty line",
			"a tab", "nothing"
		return p
	}
	for line > 1 && strings.TrimSpace(lines[line-1]) == "" {
		line--
	}
	// A tab is the most frequent cause, and the parser notices it late: look at the line and its neighbours.
	for _, candidate := range []int{line, line - 1, line + 1} {
		if candidate < 1 || candidate > len(lines) {
			continue
		}
		if column, name := strangeIndent(lines[candidate-1]); column > 0 {
			p.Line, p.Column = d.firstLine+candidate-1, column
			p.Message, p.Found, p.Expected = "not valid YAML: "+name+" in the indentation", name, "spaces"
			return p
		}
	}
	text := lines[line-1]
	p.Line = d.firstLine + line - 1
	p.Column = len(text) - len(strings.TrimLeft(text, " ")) + 1
	if cause, known := yamlCauses[match[2]]; known {
		p.Message, p.Expected = "not valid YAML: "+cause.message, cause.expected
	}
	trimmed := strings.TrimLeft(text, " -")
	switch {
	case match[2] == "could not find expected ':'" && noBlankForm.MatchString(trimmed):
		p.Message, p.Found = "not valid YAML: there is no blank after the colon", quote(trimmed)
		p.Expected = noBlankForm.ReplaceAllString(trimmed, "$1: $2")
	case match[2] == "found unexpected end of stream":
		if open := strings.IndexAny(text, `"'`); open >= 0 {
			p.Column = utf8.RuneCountInString(text[:open]) + 1
		}
	case strings.HasPrefix(match[2], "mapping values"):
		if first := strings.Index(text, ": "); first >= 0 {
			if second := strings.Index(text[first+1:], ": "); second >= 0 {
				p.Column = utf8.RuneCountInString(text[:first+1+second]) + 1
				p.Message = `not valid YAML: a second "key: value" on the line`
			}
		}
	}
	return p
}

// maxSearch bounds the bytes that are read again to find the line of an error.
const maxSearch = 2 << 20

// firstBadLine gives the line, from 1, with which a text stops to be YAML: all that stands before it is. 0
// when that would take long.
func firstBadLine(body string) int {
	lines := strings.SplitAfter(body, "\n")
	if len(body)*len(lines)/2 > maxSearch {
		return 0
	}
	end := len(body)
	for i := range slices.Backward(lines) {
		end -= len(lines[i])
		var root yaml.Node
		if yaml.Unmarshal([]byte(body[:end]), &root) == nil {
			return i + 1
		}
	}
	return 0
}

// strangeIndent finds what looks like a space in the indentation of a line and is none, with its column from
// 1; 0 is nothing.
func strangeIndent(line string) (column int, name string) {
	if strings.TrimSpace(line) == "" {
		return 0, ""
	}
	for _, c := range line {
		column++
		switch {
		case c == ' ':
		case c == '\t':
			return column, "a tab"
		case c == '\u00A0' || c == '\uFEFF' || c == '\u200B' || c > unicode.MaxASCII && unicode.IsSpace(c):
			return column, "a blank that is not a plain space (" +
				strings.TrimPrefix(strconv.QuoteToASCII(string(c)), "")[1:7] + ")"
		default:
			return 0, ""
		}
	}
	return 0, ""
}

// almostSeparator is what people write for "---".
var almostSeparator = regexp.MustCompile(`^(-{2}|-{4,}|[\x{2014}\x{2013}]+-*)[ \t]*$`)

// missingSeparator finds the line in the body, from 1, with which a second object begins without a separator,
// or with something that looks like one when the text is not YAML; 0 is none. What then follows from it is no
// mistake of its own.
func (d *document) missingSeparator(broken bool) (int, Problem) {
	if broken {
		for i, line := range strings.Split(d.body, "\n") {
			if i > 0 && almostSeparator.MatchString(line) {
				p := d.problem("separator", &yaml.Node{Line: i + 1, Column: 1},
					"not the line that separates documents")
				p.Found, p.Expected = quote(strings.TrimSpace(line)), "---"
				return i + 1, p
			}
		}
		return 0, Problem{}
	}
	if d.root == nil || d.inline || d.root.Style&yaml.FlowStyle != 0 {
		return 0, Problem{}
	}
	seen, first, count := map[string]bool{}, (*yaml.Node)(nil), 0
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		key := d.root.Content[i]
		if !slices.Contains([]string{"apiVersion", "kind", "metadata", "spec"}, key.Value) {
			continue
		}
		if seen[key.Value] {
			if count++; first == nil {
				first = key
			}
		}
		seen[key.Value] = true
	}
	if count < 2 || first.Line < 2 {
		return 0, Problem{}
	}
	p := d.problem("separator", first, "a second object begins without a line --- before it")
	p.Object, p.Found, p.Expected = objectName(d.root), quote(first.Value)+" twice",
		"--- on a line of its own"
	return first.Line, p
}

// splitAt cuts a chunk before a line, from 1; without takes that line out.
func (c chunk) splitAt(line int, without bool) []chunk {
	lines := strings.SplitAfter(c.text, "\n")
	first, second := c, chunk{text: strings.Join(lines[line-1:], ""), firstLine: c.firstLine + line - 1}
	first.text, first.comment = strings.Join(lines[:line-1], ""), ""
	if without {
		second.text, second.firstLine = strings.Join(lines[line:], ""), second.firstLine+1
	}
	return []chunk{first, second}
}
