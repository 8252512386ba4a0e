package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writers name the fields of a run that only one file writes: what it has seen, which is immutable once it
// has looked, and the commit, which only the push sets. The compiler holds that nobody writes a field of
// facts.Facts; it takes a test that a run gets other facts only where it looks, and that nobody writes into
// what they lead to.
var writers = map[string]string{"seen": "look.go", "commit": "engine.go"}

func TestFacts(t *testing.T) {
	t.Parallel()
	for field, writer := range writers {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			checkWriter(t, field, writer)
		})
	}
}

func checkWriter(t *testing.T, field, writer string) {
	t.Helper()
	files, err := filepath.Glob("../../pkg/gitops/*.go")
	if err != nil {
		t.Fatal(err)
	}
	replaced := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range writesOf(file, field) {
			if w.whole && filepath.Base(path) == writer {
				replaced++
				continue
			}
			t.Errorf("%s writes %s of a run: only %s does, and only the whole",
				set.Position(w.at), field, writer)
		}
	}
	if replaced == 0 {
		t.Errorf("%s does not write %s: this test looks at the wrong place", writer, field)
	}
}

func TestFacts_finds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]bool{
		"r.seen = other":                                                   {true},
		"r.seen, err = look()":                                             {true},
		"r.seen.cluster.Absent = true":                                     {false},
		"r.seen.Cluster().Flux.Version = version":                          {false},
		"r.seen.Cluster().Clusters[0].Name, b = c, d":                      {false},
		"r.seen.Cluster().Count++":                                         {false},
		"change(&r.seen)":                                                  {false},
		"seen := r.seen; state := *seen.Cluster()":                         nil,
		"if r.seen == other { flux := &r.seen.Cluster().Flux; use(flux) }": nil,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "a.go", "package a\nfunc f() { "+text+" }", 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []bool
		for _, w := range writesOf(file, "seen") {
			got = append(got, w.whole)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: found %v, want %v", text, got, want)
		}
	}
}

// writeOfField is a place that gives a field another value, or changes a part of it.
type writeOfField struct {
	at    token.Pos
	whole bool
}

func writesOf(file *ast.File, field string) []writeOfField {
	var found []writeOfField
	written := func(target ast.Expr) {
		if whole, ok := reaches(target, field); ok {
			found = append(found, writeOfField{target.Pos(), whole})
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.AssignStmt:
			for _, target := range n.Lhs {
				written(target)
			}
		case *ast.IncDecStmt:
			written(n.X)
		case *ast.UnaryExpr:
			if whole, ok := reaches(n.X, field); n.Op == token.AND && ok && whole {
				found = append(found, writeOfField{at: n.Pos()})
			}
		}
		return true
	})
	return found
}

// reaches says whether an expression leads to a field of that name, and whether it is that field.
func reaches(e ast.Expr, field string) (whole, ok bool) {
	for whole = true; ; whole = false {
		switch n := e.(type) {
		case *ast.SelectorExpr:
			if n.Sel.Name == field {
				return whole, true
			}
			e = n.X
		case *ast.CallExpr:
			e = n.Fun
		case *ast.IndexExpr:
			e = n.X
		case *ast.StarExpr:
			e = n.X
		case *ast.ParenExpr:
			e = n.X
		default:
			return false, false
		}
	}
}
