package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// suggested is what a command that a person is told to type looks like: a program with what it is to do. In
// prose such words stand for themselves ("a kubectl", "git ignores it").
var suggested = regexp.MustCompile(`(?:^|[\s(,:;"'|=&])(?:` + strings.Join([]string{
	`git (?:-C |add|checkout|clone|config|diff|fetch|log|pull|push|refs|restore|revert|rm|show|sparse-checkout|update-index)\b`,
	`kubectl(?: --?[a-z%]| %s| (?:annotate|apply|delete|describe|edit|get|label|logs|patch|scale|wait)\b)`,
	`flux (?:get|install|reconcile|resume|suspend|uninstall)\b`,
	`eksa-gitops (?:convert|create|delete|get|lint|pause|resume|status|upgrade|validate|version)\b`,
	`eksctl anywhere (?:create|delete|generate|get|upgrade) `,
	`gh (?:api|auth|repo)\b`, `helm [a-z]+\b`, `ssh-(?:keygen|keyscan|add)\b`,
	`(?:rm|mv|cp|chmod|chown|mkdir) [-%$]`, `(?:export|unset) [A-Z%]`, `eval "`,
}, "|") + `)`)

// option is the end of a text to which the value of an option is added, or such a value inside.
var option = regexp.MustCompile(`(?:^|[\s(])--[a-z][a-z-]+[ =](?:%[a-z]|$)`)

var verb = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// A command that is suggested has nothing in it that a shell could take for more than a word: wherever values
// are put into one, that is done by text.Command, which quotes them, or each is quoted by text.ShellWord. The
// person who copies a line runs nothing that somebody else has put into a name.
func TestSuggestedCommands_quoteValues(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for _, dir := range []string{"internal/cli", "internal/diagnostics", "internal/eksctl",
		"internal/gitrepo", "internal/serverwords", "internal/sshkeys", "internal/ui", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, dir),
			func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") ||
					strings.HasSuffix(path, "_test.go") ||
					strings.Contains(filepath.ToSlash(path), "/internal/genmanifests/") {
					return err
				}
				source, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				for _, complaint := range unquotedCommands(t, path, source) {
					t.Error(strings.TrimPrefix(complaint, root+string(filepath.Separator)))
				}
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The test above finds what it is to find.
func TestSuggestedCommands_found(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`return fmt.Sprintf("see: git log -- %s", f)`:                      1,
		`return "see: kubectl get x " + f`:                                 1,
		`return "see: kubectl get x " + a + b`:                             2,
		`p.printf("  eksa-gitops resume cluster %s", f)`:                   1,
		`return fmt.Errorf("x; or --build %s", f)`:                         1,
		`return "x; or --build " + f`:                                      1,
		`return "see: git log -- " + text.Command("%s", f)`:                0,
		`return text.Command("see: git log -- %s", f)`:                     0,
		`return text.Command("see: git log -- '%s'", f)`:                   1,
		`return hint.Command("see: git log -- %s; %s", f, hint.Again)`:     0,
		`return hint.Command("see: git log -- '%s'", f)`:                   1,
		`return "see: git log; or " + hint.Run{Do: hint.Lint}.Hint()`:      0,
		`return hint.Text("see: git log -- %s", f)`:                        1,
		`return hint.Text("see: git log; or %s", hint.Run{Do: hint.Lint})`: 0,
		`return text.Command("see: git log -- %s %s", f)`:                  1,
		`return text.Command("see: git log -- %d", f)`:                     1,
		`return "see: git log -- " + text.ShellWord(f)`:                    0,
		`return fmt.Sprintf("see: git push %s", text.ShellWord(f))`:        0,
		`return "git ignores " + f`:                                        0,
		`return fmt.Sprintf("the git client of %s", f)`:                    0,
		`const c = "x"; return "git log " + c`:                             0,
		`return fmt.Sprintf("%s: first run: eksa-gitops status", f)`:       1,
		`return f + ": " + text.Command("first run: git log %s", f)`:       0,
		`return "git log" + fmt.Sprintf("; %s is %d", text.Command(a), 1)`: 1,
	} {
		source := "package x\nimport \"fmt\"\nfunc x() string {\n" + body + "\n}\n"
		if got := unquotedCommands(t, "x.go", []byte(source)); len(got) != want {
			t.Errorf("%s: %q", body, got)
		}
	}
}

// unquotedCommands says what is wrong with the commands that a file suggests.
func unquotedCommands(t *testing.T, path string, source []byte) []string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	complain := func(node ast.Node, what string) {
		wrong = append(wrong, set.Position(node.Pos()).String()+": "+what)
	}
	constants := constantsOf(file)
	inside := map[ast.Node]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			format, values := formatOf(node)
			if format == "" {
				return true
			}
			if isCommand(node) {
				if strings.Count(format, "%s") != len(values) ||
					len(verb.FindAllString(format, -1)) != len(values) {
					complain(node, "the verbs of Command are one %s for each value")
				}
				if strings.Contains(format, "'%s") || strings.Contains(format, `"%s`) ||
					strings.Contains(format, "%s'") || strings.Contains(format, `%s"`) {
					complain(node, "Command quotes its values itself")
				}
				return true
			}
			if !suggested.MatchString(format) && !option.MatchString(format) {
				return true
			}
			for _, value := range values {
				if !quoted(value, constants) {
					complain(value, "a value in a suggested command: use text.Command")
					break
				}
			}
		case *ast.BinaryExpr:
			if node.Op != token.ADD || inside[node] {
				return true
			}
			parts := partsOf(node, inside)
			command := false
			for _, part := range parts {
				if literal := literalOf(part); literal != "" {
					command = command || suggested.MatchString(literal) || option.MatchString(literal)
					continue
				}
				if command && !quoted(part, constants) {
					complain(part, "a value is added to a suggested command: use text.Command")
				}
			}
		}
		return true
	})
	return wrong
}

// formatOf is the format of a call that has one, and what goes into it.
func formatOf(call *ast.CallExpr) (string, []ast.Expr) {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		name = f.Sel.Name
	case *ast.Ident:
		name = f.Name
	}
	if !isCall(call, "hint", "Text") && !strings.HasSuffix(strings.ToLower(name), "f") &&
		!slices.Contains([]string{"Command", "section", "detail", "note"}, name) {
		return "", nil
	}
	for i, arg := range call.Args {
		if literal := literalOf(arg); strings.Contains(literal, "%") && verb.MatchString(literal) {
			return literal, call.Args[i+1:]
		}
	}
	return "", nil
}

func partsOf(expr ast.Expr, inside map[ast.Node]bool) []ast.Expr {
	sum, ok := expr.(*ast.BinaryExpr)
	if !ok || sum.Op != token.ADD {
		return []ast.Expr{expr}
	}
	inside[sum] = true
	return append(partsOf(sum.X, inside), partsOf(sum.Y, inside)...)
}

func literalOf(expr ast.Expr) string {
	if literal, ok := expr.(*ast.BasicLit); ok && literal.Kind == token.STRING {
		text, _ := strconv.Unquote(literal.Value)
		return text
	}
	if sum, ok := expr.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		return literalOf(sum.X) + literalOf(sum.Y)
	}
	return ""
}

// isCommand says whether an expression is a suggested command whose values are quoted.
func isCommand(expr ast.Expr) bool {
	return isCall(expr, "text", "Command") || isCall(expr, "hint", "Command")
}

func isCall(expr ast.Expr, pkg, name string) bool {
	call, ok := expr.(*ast.CallExpr)
	if !ok {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := selector.X.(*ast.Ident)
	return ok && (of.Name == pkg || pkg == "text" && of.Name == "shell") && selector.Sel.Name == name
}

// quoted says whether an expression is safe in a command: a word or a command made by package text, a
// constant, or a number.
func quoted(expr ast.Expr, constants map[string]bool) bool {
	switch e := expr.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return constants[e.Name]
	case *ast.SelectorExpr: // an option or an operation of ours, which is worded by who prints it
		of, ok := e.X.(*ast.Ident)
		return ok && of.Name == "hint"
	case *ast.CompositeLit:
		return quotedReference(e)
	case *ast.BinaryExpr:
		return quoted(e.X, constants) && quoted(e.Y, constants)
	case *ast.CallExpr:
		if isCommand(e) || isCall(e, "hint", "Text") || isCall(e, "text", "ShellWord") {
			return true // a Hint is looked at where it is made
		}
		name := ""
		switch f := e.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
		}
		if method, ok := e.Fun.(*ast.SelectorExpr); ok && name == "Hint" { // of something of ours
			return quoted(method.X, constants)
		}
		return name == "len" || name == "count" || strings.HasSuffix(strings.ToLower(name), "command")
	}
	return false
}

// quotedReference says whether a literal is of a type of package hint, which words quote.
func quotedReference(literal *ast.CompositeLit) bool {
	selector, ok := literal.Type.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := selector.X.(*ast.Ident)
	return ok && of.Name == "hint"
}

// constantsOf are the names that a file's package, as far as the file tells, has for constants: those
// declared as such. Constants of other files are put into formats by text.Command as any value.
func constantsOf(file *ast.File) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		if declaration, ok := node.(*ast.GenDecl); ok && declaration.Tok == token.CONST {
			for _, spec := range declaration.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					names[name.Name] = true
				}
			}
		}
		return true
	})
	return names
}
