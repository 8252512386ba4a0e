package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayStartGoroutines are internal/crash, which keeps panics from ending the process, and what is not the
// program.
var mayStartGoroutines = []string{
	"internal/crash", "internal/architecture", "internal/docgen", "internal/githubtest", "internal/gittest",
	"internal/tools", "pkg/fluxmanifests/internal",
}

// TestGoroutines holds that the program starts goroutines through internal/crash alone: a panic in any other
// ends the process at once, with exit code 2, and nothing is taken back.
func TestGoroutines(t *testing.T) {
	t.Parallel()
	files := 0
	for _, root := range []string{"cmd", "internal", "pkg"} {
		err := filepath.WalkDir("../../"+root, func(path string, entry fs.DirEntry, err error) error {
			name := strings.TrimPrefix(path, "../../")
			switch {
			case err != nil:
				return err
			case entry.IsDir() && slices.Contains(mayStartGoroutines, name):
				return filepath.SkipDir
			case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			files++
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				switch n := node.(type) {
				case *ast.GoStmt:
					t.Errorf("%s:%d starts a goroutine: use internal/crash", name, set.Position(n.Pos()).Line)
				case *ast.SelectorExpr:
					if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "sync" && n.Sel.Name == "WaitGroup" {
						t.Errorf("%s:%d has a sync.WaitGroup: use crash.Group",
							name, set.Position(n.Pos()).Line)
					}
				case *ast.ImportSpec:
					if strings.Contains(n.Path.Value, "sync/errgroup") {
						t.Errorf("%s imports errgroup: use crash.Group", name)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}
