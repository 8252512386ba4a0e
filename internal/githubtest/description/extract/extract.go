package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest/description"
)

type object = map[string]any

// extract writes what package holds about the operations into one file a server and version, in place of
// those that are there.
func extract(pkg, dir string, operations []description.Name) error {
	var manifest struct{ Name, Version string }
	if err := read(filepath.Join(pkg, "package.json"), &manifest); err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(pkg, "generated", "ghes-*.json"))
	if err != nil {
		return err
	}
	slices.Sort(sources)
	sources = append([]string{filepath.Join(pkg, "generated", "api.github.com.json")}, sources...)
	written := []string{}
	var base *description.File
	for _, source := range sources {
		if strings.HasSuffix(source, ".deref.json") {
			continue
		}
		var whole object
		if err := read(source, &whole); err != nil {
			return err
		}
		server := strings.TrimSuffix(filepath.Base(source), ".json")
		for _, version := range append([]string{description.FirstVersion}, newerVersions(whole)...) {
			f, err := record(patched(whole, version), operations)
			if err != nil {
				return fmt.Errorf("%s: %w", source, err)
			}
			f.Package, f.Server, f.Version = manifest.Name+"@"+manifest.Version, server, version
			if base == nil {
				base = f
			} else {
				f = without(f, base)
			}
			name := server + "." + version + ".json"
			// as readable as the sources
			if err := os.WriteFile(filepath.Join(dir, name), f.Encode(), 0o644); err != nil {
				return err
			}
			written = append(written, name)
		}
	}
	return removeOthers(dir, written)
}

func read(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func removeOthers(dir string, written []string) error {
	there, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range there {
		if !slices.Contains(written, filepath.Base(path)) {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// record takes the operations with all that they refer to.
func record(whole object, operations []description.Name) (*description.File, error) {
	f := &description.File{Paths: map[string]map[string]any{}, Components: map[string]map[string]any{}}
	paths, _ := whole["paths"].(object)
	components, _ := whole["components"].(object)
	var follow func(any) error
	follow = func(value any) error {
		switch v := value.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok {
				kind, name, _ := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
				if _, done := f.Components[kind][name]; done {
					return nil
				}
				group, _ := components[kind].(object)
				component, there := group[name]
				if !there {
					return fmt.Errorf("there is no %s", ref)
				}
				if f.Components[kind] == nil {
					f.Components[kind] = map[string]any{}
				}
				component = stripped(component, false)
				f.Components[kind][name] = component
				return follow(component)
			}
			for _, child := range v {
				if err := follow(child); err != nil {
					return err
				}
			}
		case []any:
			for _, child := range v {
				if err := follow(child); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, name := range operations {
		item, _ := paths[name.Path].(object)
		operation, there := item[strings.ToLower(name.Method)]
		if !there {
			return nil, fmt.Errorf("there is no operation %s %s", name.Method, name.Path)
		}
		operation = stripped(operation, false)
		if f.Paths[name.Path] == nil {
			f.Paths[name.Path] = map[string]any{}
		}
		f.Paths[name.Path][strings.ToLower(name.Method)] = operation
		if err := follow(operation); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// prose are the keys that decide nothing.
var prose = []string{"description", "summary", "title", "tags", "example", "examples", "externalDocs",
	"default", "deprecated"}

// stripped leaves out prose and extensions. Names says that the keys are names that GitHub gave, as those of
// properties are.
func stripped(value any, names bool) any {
	switch v := value.(type) {
	case object:
		kept := object{}
		for key, child := range v {
			if !names && (slices.Contains(prose, key) || strings.HasPrefix(key, "x-")) {
				continue
			}
			kept[key] = stripped(child,
				!names && (key == "properties" || key == "responses" || key == "headers"))
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i, child := range v {
			kept[i] = stripped(child, false)
		}
		return kept
	}
	return value
}

// without leaves out what is the same in another file, which the reader puts under this one.
func without(f, base *description.File) *description.File {
	rest := *f
	rest.Base = base.Server + "." + base.Version
	rest.Paths, rest.Components = differing(f.Paths, base.Paths), differing(f.Components, base.Components)
	return &rest
}

func differing(all, same map[string]map[string]any) map[string]map[string]any {
	rest := map[string]map[string]any{}
	for group, entries := range all {
		own := maps.Clone(entries)
		maps.DeleteFunc(own,
			func(name string, value any) bool { return reflect.DeepEqual(value, same[group][name]) })
		if len(own) > 0 {
			rest[group] = own
		}
	}
	return rest
}
