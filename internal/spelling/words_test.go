package spelling_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// banned are phrases over which readers stumbled, and what is said instead. A new one belongs here as soon as
// it has been reworded everywhere.
var banned = []struct{ phrase, instead string }{
	{`\banew\b`, "again"},
	{`\b(is|are|was|were) none\b`, "is not a ..."},
	{`\b(is|are|was|were) no [a-z]`, "is not a ..."},
	{`\bputs? (it|that|this|them )?right\b`, "fix"},
	{`\b(holds?|held) (it |them )?up\b`, "block"},
	{`\bholds (only|no|a|an|the|other|several|more|something)\b`, "contains"},
	{`\bEKS Anywhere wants\b`, "requires"},
	{`\bwanted is\b`, "must be"},
	{`\btakes no such\b`, "does not accept"},
	{`\bdoes not take (the|this)\b`, "rejects, does not accept"},
	{`\ball the same:`, "anyway"},
	{`\bfor (want|the sake) of\b`, "without, because of"},
	{`\b(in|are in) force\b`, "apply"},
	{`\bhas a meaning\b`, "works only with"},
	{`\bis made so\b`, "is created that way"},
	{`\bis meant to (go on|work)\b`, "to resume, to start again"},
	{`\bunasked\b`, "by itself"},
	{`\b(will|would) stand in Git\b`, "be in Git"},
	{`\bcomes? to (no|a) verdict\b`, "decide"},
	{`\bwhat is done is kept\b`, "finished steps are kept"},
	{`\bthe one that was\b`, "the old one"},
	{`\bas (the file|Git) says[.;]`, "matches"},
}

// fine are the readings of a banned phrase that everybody understands.
var fine = regexp.MustCompile(`(?i)\b(there|here|it) (is|are|was|were) none\b|\bthere (is|are|was|were) no [a-z]|\b(is|are|was|were) no (longer|more)\b`)

// TestPlainWords reads every text that the program may print, and the documents of its users, for phrases
// that are banned.
func TestPlainWords(t *testing.T) {
	t.Parallel()
	phrases := make([]*regexp.Regexp, len(banned))
	for i, b := range banned {
		phrases[i] = regexp.MustCompile(b.phrase)
	}
	check := func(place, text string) {
		text = fine.ReplaceAllString(text, "")
		for i, phrase := range phrases {
			if found := phrase.FindString(text); found != "" {
				t.Errorf("%s: %q in %.160q; plainer: %s", place, found, text, banned[i].instead)
			}
		}
	}
	root := filepath.Join("..", "..")
	read := 0
	for _, directory := range []string{"cmd", "internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, directory),
			func(path string, entry fs.DirEntry, err error) error {
				switch {
				case err != nil:
					return err
				case entry.IsDir() && (entry.Name() == "testdata" || strings.HasSuffix(path, "test")):
					return fs.SkipDir
				case entry.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
					return nil
				}
				read++
				return literals(path, check)
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(documents, filepath.Join(root, "README.md")) {
		// The last two are written for those who work on the program.
		if base := filepath.Base(path); base == "design.md" || base == "reliability.md" {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read++
		for i, paragraph := range strings.Split(string(content), "\n\n") {
			check(path+", paragraph "+strconv.Itoa(i+1), strings.Join(strings.Fields(paragraph), " "))
		}
	}
	if read < 100 {
		t.Errorf("only %d files were read", read)
	}
}

// literals has every string in the source at path checked.
func literals(path string, check func(place, text string)) error {
	files := token.NewFileSet()
	source, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(source, func(node ast.Node) bool {
		expression, ok := node.(ast.Expr)
		if !ok {
			return true
		}
		text, whole := literal(expression)
		if text != "" {
			check(files.Position(expression.Pos()).String(), strings.Join(strings.Fields(text), " "))
		}
		return !whole
	})
	return nil
}

// literal is the text of a string, which may be put together of several; whole says that it is nothing else.
// Of one that is put together with other things it is empty: its parts are looked at one by one.
func literal(expression ast.Expr) (text string, whole bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
	case *ast.BinaryExpr:
		left, leftWhole := literal(e.X)
		right, rightWhole := literal(e.Y)
		if e.Op == token.ADD && leftWhole && rightWhole {
			return left + right, true
		}
	}
	return "", false
}
