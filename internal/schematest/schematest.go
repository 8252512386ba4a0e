// Package schematest holds what the program prints as JSON against the schemas in docs/schema, for tests:
// more strictly than they are published, since a field that a schema does not have is a fault of the program
// or of the schema.
package schematest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schemas are the published schemas, closed. They may be used by several goroutines at once.
type Schemas struct {
	byName map[string]*jsonschema.Schema
}

// suffix ends the name of every schema's file.
const suffix = ".schema.json"

// Published reads, once, the schemas that consumers have: docs/schema of the repository in which the test is
// run.
var Published = sync.OnceValues(func() (*Schemas, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		schemas := filepath.Join(dir, "docs", "schema")
		if info, err := os.Stat(schemas); err == nil && info.IsDir() {
			return Read(schemas)
		}
		above := filepath.Dir(dir)
		if above == dir {
			return nil, errors.New("the test is not run in the repository: there is no docs/schema above it")
		}
		dir = above
	}
})

// CheckValue holds the JSON form of a value against the published schema of its kind.
func CheckValue(value any) error {
	schemas, err := Published()
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := schemas.Check(text); err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	return nil
}

// Read reads the schemas in a directory.
func Read(dir string) (*Schemas, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no schemas", dir)
	}
	schemas := &Schemas{byName: map[string]*jsonschema.Schema{}}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		schema, err := compile(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		schemas.byName[strings.TrimSuffix(filepath.Base(file), suffix)] = schema
	}
	return schemas, nil
}

// compile reads a schema and closes it.
func compile(content []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	object, ok := document.(map[string]any)
	id, named := object["$id"].(string)
	if !ok || !named {
		return nil, errors.New("it has no $id")
	}
	closeObjects(object)
	definitions, _ := object["$defs"].(map[string]any)
	for _, definition := range definitions {
		closeObjects(definition)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource(id, object); err != nil {
		return nil, err
	}
	return compiler.Compile(id)
}

// closeObjects takes fields that a schema does not have out of what it allows, at whatever depth.
func closeObjects(schema any) {
	object, ok := schema.(map[string]any)
	if !ok {
		return
	}
	closeObjects(object["items"])
	properties, ok := object["properties"].(map[string]any)
	if !ok {
		return
	}
	object["additionalProperties"] = false
	for _, property := range properties {
		closeObjects(property)
	}
}

// Names are those of all schemas, sorted.
func (s *Schemas) Names() []string { return slices.Sorted(maps.Keys(s.byName)) }

// Check holds a stream of JSON objects, as the program prints them, each against the schema of its kind. Its
// error says what is wrong with the first that is; an empty stream is an error, too.
func (s *Schemas) Check(printed []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(printed))
	decoder.UseNumber() // an integer is told from a number by how it is written
	for count := 0; ; count++ {
		var object map[string]any
		err := decoder.Decode(&object)
		switch {
		case errors.Is(err, io.EOF) && count == 0:
			return errors.New("nothing was printed")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("no JSON object: %w", err)
		}
		if err := s.checkObject(object); err != nil {
			return err
		}
	}
}

func (s *Schemas) checkObject(object map[string]any) error {
	name := kindOf(object)
	schema := s.byName[name]
	if schema == nil {
		return fmt.Errorf("an object of %q is of no kind that has a schema", object["command"])
	}
	if err := schema.Validate(object); err != nil {
		return fmt.Errorf("an object is not as docs/schema/%s%s says: %w", name, suffix, err)
	}
	return nil
}

// kindOf is the name of the schema that an object belongs to, by what it says of itself. A consumer tells
// them apart in the same way.
func kindOf(object map[string]any) string {
	command, _ := object["command"].(string)
	switch {
	case object["event"] != nil:
		return "event"
	case object["status"] != nil:
		return "run"
	case object["goVersion"] != nil:
		return "version"
	}
	return strings.ReplaceAll(command, " ", "-")
}
