package description

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// GitHub is the server that is no enterprise server.
const GitHub = "api.github.com"

//go:embed *.json
var recorded embed.FS

// names are the recorded files without their ending: a server and a version of the API.
var names = sync.OnceValue(func() []string {
	files, err := fs.Glob(recorded, "*.json")
	if err != nil {
		panic(err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".json")
	}
	slices.Sort(files)
	return files
})

// documents are the descriptions, read when they are asked for, since most processes need one.
var documents = sync.OnceValue(func() map[string]func() *document {
	all := map[string]func() *document{}
	for _, name := range names() {
		all[name] = sync.OnceValue(func() *document {
			d, err := load(name)
			if err != nil {
				panic(fmt.Sprintf("description %s: %v", name, err))
			}
			return d
		})
	}
	return all
})

// document is one description.
type document struct {
	name string
	spec *openapi3.T
}

func read(name string) (*File, error) {
	content, err := recorded.ReadFile(name + ".json")
	if err != nil {
		return nil, err
	}
	f := &File{}
	return f, json.Unmarshal(content, f)
}

func load(name string) (*document, error) {
	f, err := read(name)
	if err != nil {
		return nil, err
	}
	if f.Base != "" {
		base, err := read(f.Base)
		if err != nil {
			return nil, err
		}
		f.Paths, f.Components = over(base.Paths, f.Paths), over(base.Components, f.Components)
	}
	whole, err := json.Marshal(map[string]any{"openapi": "3.0.3",
		"info": map[string]any{"title": f.Server, "version": f.Version}, "paths": f.Paths,
		"components": f.Components})
	if err != nil {
		return nil, err
	}
	spec, err := openapi3.NewLoader().LoadFromData(whole)
	if err != nil {
		return nil, err
	}
	return &document{name, spec}, nil
}

func over(base, own map[string]map[string]any) map[string]map[string]any {
	for group, entries := range own {
		if base[group] == nil {
			base[group] = map[string]any{}
		}
		maps.Copy(base[group], entries)
	}
	return base
}

// Operation is an operation as one server describes it in one version of its API.
type Operation struct {
	document *document
	route    *routers.Route
}

// Enterprise gives an operation as all enterprise servers describe it, oldest first.
func Enterprise(n Name) []*Operation {
	var operations []*Operation
	for _, name := range names() {
		if !strings.HasPrefix(name, GitHub+".") {
			operations = append(operations, operation(name, n))
		}
	}
	return operations
}

// Cloud gives an operation as github.com describes it in a version of the API.
func Cloud(version string, n Name) []*Operation {
	return []*Operation{operation(GitHub+"."+version, n)}
}

func operation(name string, n Name) *Operation {
	d := documents()[name]()
	item := d.spec.Paths.Value(n.Path)
	if item == nil || item.GetOperation(n.Method) == nil {
		panic(fmt.Sprintf("%s %s is not in the recorded description of %s; renew it with command extract",
			n.Method, n.Path, name))
	}
	return &Operation{d, &routers.Route{Spec: d.spec, Path: n.Path, PathItem: item, Method: n.Method,
		Operation: item.GetOperation(n.Method)}}
}

// String names the description that the operation is from.
func (o *Operation) String() string { return o.document.name }
