package architecture_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fileFunctions are the functions of package os that write files, or read them without a bound, and wait for
// whoever is at the other end of a pipe.
var fileFunctions = []string{
	"Chmod", "Chown", "Chtimes", "CopyFS", "Create", "CreateTemp", "Lchown", "Link", "Mkdir", "MkdirAll",
	"MkdirTemp", "NewFile", "Open", "OpenFile", "OpenInRoot", "OpenRoot", "ReadFile", "Remove", "RemoveAll",
	"Rename", "Symlink", "Truncate", "WriteFile",
}

// mayUse names, by file, the functions that are used outside the room for files, and why that is no harm.
var mayUse = map[string][]string{
	"internal/ui/terminal_unix.go":    {"OpenFile"}, // the terminal, to ask for a passphrase
	"internal/ui/terminal_windows.go": {"OpenFile"},
	// cluster files, under a context and with one bound for all of them
	"pkg/clusterspec/source.go": {"Open"},
}

// TestFiles: nothing in the program reads or writes files but the room for that, internal/localfile, which
// does it without harm.
func TestFiles(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir",
		"./cmd/eksa-gitops")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	used := map[string][]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var pkg struct{ ImportPath, Dir string }
		if err := decoder.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		room, ours := strings.CutPrefix(pkg.ImportPath, module)
		if !ours || room == "internal/localfile" {
			continue
		}
		files, err := filepath.Glob(filepath.Join(pkg.Dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no files, %v", room, err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				name := room + "/" + filepath.Base(file)
				used[name] = fileFunctionsIn(t, file)
			}
		}
	}
	if len(used) < 100 {
		t.Errorf("only %d files were looked at", len(used))
	}
	for name, functions := range used {
		for _, function := range functions {
			if !slices.Contains(mayUse[name], function) {
				t.Errorf("%s uses os.%s; files are read and written by internal/localfile alone",
					name, function)
			}
		}
	}
	for name, functions := range mayUse {
		for _, function := range functions {
			if !slices.Contains(used[name], function) {
				t.Errorf("%s does not use os.%s any more: take it out of the table of this test",
					name, function)
			}
		}
	}
}

// fileFunctionsIn lists the file functions that a source uses.
func fileFunctionsIn(t *testing.T, path string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, imported := range parsed.Imports {
		switch from, _ := strconv.Unquote(imported.Path.Value); {
		case from == "io/ioutil":
			return []string{"WriteFile"}
		case from == "os" && imported.Name != nil:
			names[imported.Name.Name] = true
		case from == "os":
			names["os"] = true
		}
	}
	var used []string
	ast.Inspect(parsed, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if of, ok := selector.X.(*ast.Ident); ok && names[of.Name] &&
				slices.Contains(fileFunctions, selector.Sel.Name) {
				used = append(used, selector.Sel.Name)
			}
		}
		return true
	})
	return used
}
