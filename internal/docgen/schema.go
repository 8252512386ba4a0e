package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/invopop/jsonschema"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/internal/jsonform"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// module is the path of our packages; what is reflected of others has neither comments nor constants here.
const module = "github.com/eksa-gitops/eksa-gitops"

// schemaBase begins the $id of every schema. It is a name, behind which nothing need be found, and holds the
// version of the forms: within it fields are only ever added.
const schemaBase = "https://" + module + "/schema/v1/"

// schemas renders the schema of every form that the program prints, and a page that lists them, by file name.
// It reads the sources of the module below the working directory, which have the comments and constants.
func schemas(forms []cli.Form) (map[string][]byte, error) {
	comments := &jsonschema.Reflector{}
	for _, dir := range []string{"internal", "pkg"} {
		if err := comments.AddGoComments(module, dir, jsonschema.WithFullComment()); err != nil {
			return nil, fmt.Errorf("reading the comments of %s: %w", dir, err)
		}
	}
	page, err := schemaPage(forms)
	if err != nil {
		return nil, fmt.Errorf("the page of schemas: %w", err)
	}
	files := map[string][]byte{"README.md": page}
	for _, form := range forms {
		w := &schemaWriter{
			comments: comments.CommentMap, values: map[reflect.Type][]any{}, named: map[string]reflect.Type{},
		}
		content, err := w.write(form)
		if err != nil {
			return nil, fmt.Errorf("the schema of %s: %w", form.Name, err)
		}
		files[schemaFile(form)] = content
	}
	return files, nil
}

func schemaFile(form cli.Form) string { return form.Name + ".schema.json" }

// schemaWriter makes the schema of one form.
type schemaWriter struct {
	comments map[string]string // by package, type and field
	values   map[reflect.Type][]any
	named    map[string]reflect.Type // definitions by name
	faults   []error
}

func (w *schemaWriter) write(form cli.Form) ([]byte, error) {
	reflector := jsonschema.Reflector{
		// Fields are only ever added within a version: who reads an object has to accept those that it does
		// not know.
		AllowAdditionalProperties: true,
		Anonymous:                 true, // the $id is ours
		ExpandedStruct:            true,
		LookupComment:             w.comment,
		Mapper:                    w.enum,
		Namer:                     w.name,
	}
	schema := reflector.Reflect(form.Value)
	schema.ID = jsonschema.ID(schemaBase + schemaFile(form))
	schema.Title = "eksa-gitops: " + form.Title
	if command, ok := schema.Properties.Get("command"); ok {
		version, _ := schema.Properties.Get("version")
		version.Const = jsonform.Version
		if len(form.Commands) == 1 {
			command.Const = form.Commands[0]
		}
	}
	if len(w.faults) > 0 {
		return nil, errors.Join(w.faults...)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(schema)
	return out.Bytes(), err
}

// definitions are the names in a schema of types whose own name says enough only beside that of their
// package.
var definitions = map[reflect.Type]string{reflect.TypeFor[step.Result](): "StepResult"}

// name makes sure that two types of a schema do not share a definition.
func (w *schemaWriter) name(t reflect.Type) string {
	name := cmp.Or(definitions[t], t.Name())
	if name == "" {
		return ""
	}
	if other, taken := w.named[name]; taken && other != t {
		w.faults = append(w.faults, fmt.Errorf("%s and %s have one name", other, t))
	}
	w.named[name] = t
	return name
}

// comment is the Go comment of a type, or of its field, without the name that it begins with, which is Go's.
// One that is missing is a fault.
func (w *schemaWriter) comment(t reflect.Type, field string) string {
	if t.Name() == "" {
		return ""
	}
	key, name := t.PkgPath()+"."+t.Name(), t.Name()
	if field != "" {
		key, name = key+"."+field, field
	}
	text := strings.Join(strings.Fields(w.comments[key]), " ")
	if text == "" {
		w.faults = append(w.faults, fmt.Errorf("%s has no comment", key))
	}
	if rest, ok := strings.CutPrefix(text, name+" "); ok {
		text = strings.TrimSpace(beingWord.ReplaceAllString(rest, ""))
	}
	return docLink.ReplaceAllString(text, "$1")
}

var (
	beingWord = regexp.MustCompile(`^(?:is|are),? `) // what a comment begins with after the name
	docLink   = regexp.MustCompile(`\[(?:[a-z]\w*\.)?([A-Z]\w*)\]`)
)

// enum is the schema of a type of texts with exported constants: these are all the values that it has. Other
// types have none.
func (w *schemaWriter) enum(t reflect.Type) *jsonschema.Schema {
	if t.Kind() != reflect.String || !strings.HasPrefix(t.PkgPath(), module+"/") {
		return nil
	}
	if _, known := w.values[t]; !known {
		values, err := constantsOf(t)
		if err != nil {
			w.faults = append(w.faults, err)
		}
		w.values[t] = values
	}
	if len(w.values[t]) == 0 {
		return nil
	}
	return &jsonschema.Schema{Type: "string", Enum: slices.Clone(w.values[t])}
}

// constantsOf reads the exported constants of a type from the sources of its package, in their order. An
// empty one stands for what is left out.
func constantsOf(t reflect.Type) ([]any, error) {
	dir := strings.TrimPrefix(t.PkgPath(), module+"/")
	names, err := filepath.Glob(filepath.Join(filepath.FromSlash(dir), "*.go"))
	if err != nil {
		return nil, err
	}
	var values []any
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, declaration := range file.Decls {
			constants, ok := declaration.(*ast.GenDecl)
			if !ok || constants.Tok != token.CONST || strings.HasSuffix(name, "_test.go") {
				continue
			}
			for _, spec := range constants.Specs {
				spec := spec.(*ast.ValueSpec)
				if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != t.Name() ||
					!spec.Names[0].IsExported() {
					continue
				}
				literal, ok := spec.Values[0].(*ast.BasicLit)
				if !ok {
					return nil, fmt.Errorf("%s: the value of %s is not a literal", name, spec.Names[0])
				}
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					return nil, fmt.Errorf("%s: the value of %s: %w", name, spec.Names[0], err)
				}
				if value != "" {
					values = append(values, value)
				}
			}
		}
	}
	return values, nil
}

//go:embed schemas.md.tmpl
var schemaPageText string

// schemaPage lists the schemas, and what prints an object of each.
func schemaPage(forms []cli.Form) ([]byte, error) {
	page, err := template.New("").Parse(schemaPageText)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = page.Execute(&out, forms)
	return out.Bytes(), err
}
