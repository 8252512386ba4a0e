package architecture_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestPublicAPI keeps pkg/ usable by other modules, which cannot name a type of internal/: they could not
// fill an option of such a type, write a port that takes one, or keep what a function returns.
func TestPublicAPI(t *testing.T) {
	t.Parallel()
	for _, pkg := range publicPackages(t) {
		for _, mention := range internalMentions(pkg) {
			t.Error(mention)
		}
	}
}

// TestPublicAPI_smallInterfaces keeps the ports such that somebody else can write one, and a fake of what a
// function needs: an interface has five methods, and a larger one is put together of such.
func TestPublicAPI_smallInterfaces(t *testing.T) {
	t.Parallel()
	for _, pkg := range publicPackages(t) {
		for _, name := range pkg.Scope().Names() {
			object, ok := pkg.Scope().Lookup(name).(*types.TypeName)
			if !ok || !object.Exported() {
				continue
			}
			if declared, ok := object.Type().Underlying().(*types.Interface); ok &&
				declared.NumExplicitMethods() > 5 {
				t.Errorf("%s.%s declares %d methods itself; five are enough for one interface",
					strings.TrimPrefix(pkg.Path(), module), name, declared.NumExplicitMethods())
			}
		}
	}
}

// publicPackages are the packages below pkg/ that other modules may import, as the compiler exports them.
func publicPackages(t *testing.T) []*types.Package {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Export",
		module+"pkg/...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	exports := map[string]string{}
	var public []string
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct{ ImportPath, Export string }
		err := decoder.Decode(&listed)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		exports[listed.ImportPath] = listed.Export
		if strings.HasPrefix(listed.ImportPath, module+"pkg/") && !isInternal(listed.ImportPath) {
			public = append(public, listed.ImportPath)
		}
	}
	if len(public) == 0 {
		t.Fatal("go list found no packages below pkg/")
	}
	read := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	var packages []*types.Package
	for _, path := range public {
		pkg, err := read.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, pkg)
	}
	return packages
}

// isInternal tells whether a package of ours is closed to other modules.
func isInternal(path string) bool {
	ours, ok := strings.CutPrefix(path, module)
	return ok && slices.Contains(strings.Split(ours, "/"), "internal")
}

// internalMentions are the exported declarations of a package in which a type of internal/ appears, each with
// that type.
func internalMentions(pkg *types.Package) []string {
	var found []string
	for _, name := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		look := &mentions{pkg: pkg, seen: map[types.Type]bool{}}
		look.declared(object)
		for _, internal := range slices.Compact(slices.Sorted(slices.Values(look.internal))) {
			found = append(found,
				fmt.Sprintf("%s.%s mentions %s", strings.TrimPrefix(pkg.Path(), module), name, internal))
		}
	}
	return found
}

// mentions gathers the types of internal/ that one declaration shows to its users.
type mentions struct {
	pkg      *types.Package
	seen     map[types.Type]bool
	internal []string
}

func (m *mentions) declared(object types.Object) {
	name, ok := object.(*types.TypeName)
	if !ok {
		m.inType(object.Type())
		return
	}
	if alias, ok := name.Type().(*types.Alias); ok {
		m.inType(alias.Rhs())
		return
	}
	m.inNamed(name.Type().(*types.Named))
}

// inNamed looks at what can be seen of a type of this package: what it is made of, and its methods, also
// those that embedded fields give.
func (m *mentions) inNamed(named *types.Named) {
	if m.seen[named] {
		return
	}
	m.seen[named] = true
	m.inType(named.Underlying())
	for method := range types.NewMethodSet(types.NewPointer(named)).Methods() {
		if method.Obj().Exported() {
			m.inType(method.Obj().Type())
		}
	}
}

func (m *mentions) inType(t types.Type) {
	switch t := t.(type) {
	case *types.Named:
		for argument := range t.TypeArgs().Types() {
			m.inType(argument)
		}
		m.named(t.Obj(), t)
	case *types.Alias:
		m.named(t.Obj(), t.Rhs())
	case *types.Pointer:
		m.inType(t.Elem())
	case *types.Slice:
		m.inType(t.Elem())
	case *types.Array:
		m.inType(t.Elem())
	case *types.Chan:
		m.inType(t.Elem())
	case *types.Map:
		m.inType(t.Key())
		m.inType(t.Elem())
	case *types.Signature:
		for parameter := range t.TypeParams().TypeParams() {
			m.inType(parameter.Constraint())
		}
		m.inType(t.Params())
		m.inType(t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			m.inType(v.Type())
		}
	case *types.Struct:
		for field := range t.Fields() {
			if field.Exported() || field.Embedded() {
				m.inField(field)
			}
		}
	case *types.Interface:
		for method := range t.Methods() {
			if method.Exported() {
				m.inType(method.Type())
			}
		}
		for embedded := range t.EmbeddedTypes() {
			m.inType(embedded)
		}
	case *types.Union:
		for term := range t.Terms() {
			m.inType(term.Type())
		}
	}
}

// inField looks at a field. An embedded one without an exported name shows nothing but the fields and methods
// that it gives.
func (m *mentions) inField(field *types.Var) {
	if field.Exported() {
		m.inType(field.Type())
		return
	}
	embedded := types.Unalias(field.Type())
	if pointer, ok := embedded.(*types.Pointer); ok {
		embedded = types.Unalias(pointer.Elem())
	}
	if structure, ok := embedded.Underlying().(*types.Struct); ok {
		m.inType(structure)
	}
}

// named looks at a name that is mentioned. Exported names of pkg/ are looked at where they are declared; what
// has no exported name can only be seen here.
func (m *mentions) named(name *types.TypeName, t types.Type) {
	switch {
	case name.Pkg() == nil:
	case isInternal(name.Pkg().Path()):
		m.internal = append(m.internal, strings.TrimPrefix(name.Pkg().Path(), module)+"."+name.Name())
	case name.Pkg() == m.pkg && !name.Exported():
		if named, ok := types.Unalias(t).(*types.Named); ok {
			m.inNamed(named)
		} else {
			m.inType(t)
		}
	}
}
