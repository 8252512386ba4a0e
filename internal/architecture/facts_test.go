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

// looks is the file in which runs look and make facts of what they see.
const looks = "look.go"

// TestFacts: what a run has seen is immutable once it has looked. The compiler holds that of a value of
// facts.Facts, whose fields nobody else can name; this test, that a run gets others only where it looks, and
// that nobody writes into what they lead to.
func TestFacts(t *testing.T) {
	t.Parallel()
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
		for _, w := range writesOfFacts(file) {
			if w.whole && filepath.Base(path) == looks {
				replaced++
				continue
			}
			t.Errorf("%s writes what the run has seen: only %s does, and only the whole",
				set.Position(w.at), looks)
		}
	}
	if replaced == 0 {
		t.Errorf("%s makes no facts: this test looks at the wrong place", looks)
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
		for _, w := range writesOfFacts(file) {
			got = append(got, w.whole)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: found %v, want %v", text, got, want)
		}
	}
}

// writeOfFacts is a place that gives the field seen of a run another value, or changes a part of it.
type writeOfFacts struct {
	at    token.Pos
	whole bool
}

func writesOfFacts(file *ast.File) []writeOfFacts {
	var found []writeOfFacts
	written := func(target ast.Expr) {
		if whole, ok := reachesFacts(target); ok {
			found = append(found, writeOfFacts{target.Pos(), whole})
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
			if whole, ok := reachesFacts(n.X); n.Op == token.AND && ok && whole {
				found = append(found, writeOfFacts{at: n.Pos()})
			}
		}
		return true
	})
	return found
}

// reachesFacts says whether an expression leads to a field seen, and whether it is that field.
func reachesFacts(e ast.Expr) (whole, ok bool) {
	for whole = true; ; whole = false {
		switch n := e.(type) {
		case *ast.SelectorExpr:
			if n.Sel.Name == "seen" {
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
