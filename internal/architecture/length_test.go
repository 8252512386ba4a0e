package architecture_test

import (
	"bytes"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	// mostLines is how long a file of Go may be. One that grows beyond is about several things, each of which
	// has a name.
	mostLines = 500
	// mostColumns is how long a line of Go may be, a tab counting as four columns.
	mostColumns = 110
	tabColumns  = 4
)

// TestFileLength holds every file of Go to a length in which a reader keeps its subject in mind, tests
// included.
func TestFileLength(t *testing.T) {
	t.Parallel()
	eachGoFile(t, func(name string, content []byte) {
		if lines := bytes.Count(content, []byte("\n")); lines > mostLines {
			t.Errorf("%s has %d lines, of at most %d: split it by subject", name, lines, mostLines)
		}
	})
}

// TestLineLength holds every line of Go to a length that fits beside another file, unless no break would make
// it shorter.
func TestLineLength(t *testing.T) {
	t.Parallel()
	eachGoFile(t, func(name string, content []byte) {
		for _, long := range longLines(content) {
			t.Errorf("%s:%d has %d columns, of at most %d: break it",
				name, long.line, long.columns, mostColumns)
		}
	})
}

// TestLineLength_exemptions tells which lines may be longer: those within raw strings, and those that one
// word makes too long.
func TestLineLength_exemptions(t *testing.T) {
	t.Parallel()
	word, words := strings.Repeat("x", mostColumns), strings.Repeat("xx ", mostColumns/3)
	for source, want := range map[string]int{
		"var a = `" + words + "`":                          0,
		"var a = `\n" + words + "\n`":                      0,
		"var a = f(b, c,\n\t`" + words + "`)":              0,
		"var a = `\n\"" + words + "\"\n`":                  0,
		"var a = f(b, c, `" + words + "`)":                 0, // it fits on no line
		"var a = f(b, c, `" + words[:mostColumns-9] + "`)": 3,
		"var a = \"" + word + "\"":                         0,
		"var a = \"" + words + "\"":                        3,
		"// " + word:                                       0,
		"// See " + word + ".":                             3,
		"// " + words + ".":                                3,
		"var a = b // " + words:                            3,
		"var a = " + strings.Repeat("b + ", 30) + "c":      3,
		"\t\t// " + strings.Repeat("xx ", 33) + "xxxx":     3, // tabs are four columns
		"\t\t// " + strings.Repeat("ää ", 33):              0, // and characters one
	} {
		got := longLines([]byte("package p\n\n" + source + "\n"))
		switch {
		case want == 0 && len(got) > 0:
			t.Errorf("%s: line %d is too long", source, got[0].line)
		case want > 0 && (len(got) != 1 || got[0].line != want):
			t.Errorf("%s: found %v, want line %d", source, got, want)
		}
	}
}

// longLine is a line that is too long, and could be broken.
type longLine struct{ line, columns int }

// longLines finds the lines of a file that are too long for no good reason.
func longLines(content []byte) []longLine {
	var found []longLine
	var tokens []goToken
	for n, line := range strings.Split(string(content), "\n") {
		if columns(line) <= mostColumns {
			continue
		}
		if tokens == nil {
			tokens = goTokens(content)
		}
		if !unbreakable(line, n+1, tokens) {
			found = append(found, longLine{n + 1, columns(line)})
		}
	}
	return found
}

func columns(text string) int {
	return utf8.RuneCountInString(text) + (tabColumns-1)*strings.Count(text, "\t")
}

// goToken is a token, or a comment, and where it stands.
type goToken struct {
	token       token.Token
	text        string
	first, last int // its lines
	column      int // the columns before it
}

func goTokens(content []byte) []goToken {
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(content))
	var s scanner.Scanner
	s.Init(file, content, nil, scanner.ScanComments)
	var tokens []goToken
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return tokens
		}
		if tok == token.SEMICOLON && text == "\n" {
			continue
		}
		if text == "" {
			text = tok.String()
		}
		at, start := file.Position(pos), file.LineStart(file.Line(pos))
		tokens = append(tokens, goToken{tok, text, at.Line, at.Line + strings.Count(text, "\n"),
			columns(string(content[file.Offset(start):at.Offset]))})
	}
}

// ends are the tokens that stay on the line of the token before them.
var ends = []token.Token{token.COMMA, token.RPAREN, token.RBRACE, token.RBRACK, token.LBRACE, token.ADD,
	token.LAND,
	token.LOR, token.SEMICOLON}

// unbreakable says that a line is too long for one word alone: a raw string, a string or a comment without a
// space, or a name, before which the line cannot end or which would be too long on a line of its own.
func unbreakable(line string, n int, tokens []goToken) bool {
	indent := columns(line[:len(line)-len(strings.TrimLeft(line, "\t "))])
	canEnd := false // before the token
	for i, t := range tokens {
		if t.first > n || t.last < n {
			continue
		}
		text, from := t.text, t.column
		if t.first != t.last {
			text = strings.Split(text, "\n")[n-t.first]
		}
		if t.first < n {
			from = 0
		}
		to := from + columns(text)
		for j := i + 1; t.last == n && j < len(tokens) && tokens[j].first == n &&
			slices.Contains(ends, tokens[j].token); j++ {
			to = tokens[j].column + columns(tokens[j].text)
		}
		if from <= mostColumns && to > mostColumns {
			switch {
			case t.token == token.COMMENT:
				return from == indent && len(strings.Fields(text)) <= 2
			case t.token == token.STRING && (t.text[0] == '`' || !strings.Contains(text, " ")),
				t.token == token.IDENT:
				return t.first < n || !canEnd || indent+tabColumns+columns(text) > mostColumns
			}
			return false
		}
		canEnd = canEnd || t.token == token.COMMA || t.token == token.ADD || t.token == token.LAND ||
			t.token == token.LOR
	}
	return false
}

// eachGoFile shows every file of Go of the repository, of all its modules.
func eachGoFile(t *testing.T, show func(name string, content []byte)) {
	t.Helper()
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		show(filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 400 {
		t.Errorf("only %d files were looked at", files)
	}
}
