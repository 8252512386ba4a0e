package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// weakening lists, by identifier, what would take away from the verification of a server, and who may name it
// all the same.
var weakening = map[string][]string{
	"InsecureSkipVerify":    {},
	"InsecureIgnoreHostKey": {},
	"VerifyPeerCertificate": {},
	"VerifyConnection":      {},
	// To refuse a kubeconfig that has it.
	"InsecureSkipTLSVerify": {"pkg/fluxinstall"},
	// TLS 1.2, which is also what the Kubernetes client has
	"MinVersion": {"pkg/github", "internal/gitrepo"},
}

// mayStart are the packages that may start processes: each sees to what its children inherit.
var mayStart = []string{"internal/eksctl", "pkg/fluxmanifests/internal/genmanifests", "internal/gittest",
	"internal/githubtest"}

// No line of the program turns the verification of a server off, starts a process or goes around the type
// system, but where this test says so.
func TestNoShortcuts(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); path != root &&
				(strings.HasPrefix(name, ".") || name == "testdata" || name == "tools") ||
				path == filepath.Join(root, "test") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, source, 0)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		for _, imported := range file.Imports {
			switch strings.Trim(imported.Path.Value, `"`) {
			case "unsafe", "C":
				t.Errorf("%s imports %s", set.Position(imported.Pos()), imported.Path.Value)
			case "os/exec":
				if !slices.Contains(mayStart, dir) {
					t.Errorf("%s imports os/exec; only %v may start processes",
						set.Position(imported.Pos()), mayStart)
				}
			}
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if id, ok := node.(*ast.Ident); ok {
				if allowed, weak := weakening[id.Name]; weak && !slices.Contains(allowed, dir) &&
					dir != "internal/gittest" && dir != "internal/githubtest" {
					t.Errorf("%s names %s", set.Position(id.Pos()), id.Name)
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
