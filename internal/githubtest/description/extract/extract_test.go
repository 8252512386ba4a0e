package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest/description"
)

// A package becomes files that hold the operations asked for, what they refer to, and of further servers and
// versions the differences; what was there before goes.
func TestExtract(t *testing.T) {
	t.Parallel()
	pkg, dir := t.TempDir(), t.TempDir()
	write := func(path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(pkg, "package.json"), `{"name":"@octokit/openapi","version":"1.2.3"}`)
	write(filepath.Join(pkg, "generated", "api.github.com.json"), `{
		"paths": {
			"/a": {"get": {"summary": "prose", "tags": ["a"], "operationId": "a/get", "responses": {"200": {"description": "prose", "content":
				{"application/json": {"schema": {"$ref": "#/components/schemas/outer"}, "examples": {"x": {}}}}}}},
				"put": {"operationId": "a/put", "responses": {}}},
			"/b": {"get": {"operationId": "b/get", "responses": {"200": {"$ref": "#/components/responses/never"}}}}},
		"components": {"schemas": {
			"outer": {"title": "Outer", "type": "object", "properties": {"description": {"type": "string"}, "inner": {"$ref": "#/components/schemas/inner"}},
				"required": ["description", "inner"], "x-github-breaking-changes": [{"version": "2030-01-01", "changeset": "c", "patch":
					[{"op": "remove", "path": "/properties/inner"}, {"op": "remove", "path": "/required/1"}]}]},
			"inner": {"type": "integer", "x-github-breaking-changes": [{"version": "2030-01-01", "patch": {"type": "string", "format": "a", "enum": null}}], "enum": [1]},
			"unused": {"type": "integer"}}}}`)
	write(filepath.Join(pkg, "generated", "ghes-9.1.json"), `{
		"paths": {"/a": {"get": {"operationId": "a/get", "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/outer"}}}}}}}},
		"components": {"schemas": {
			"outer": {"type": "object", "properties": {"description": {"type": "string"}, "inner": {"$ref": "#/components/schemas/inner"}}, "required": ["description", "inner"]},
			"inner": {"type": "integer"}}}}`)
	write(filepath.Join(pkg, "generated", "ghes-9.1.deref.json"), "no JSON")
	write(filepath.Join(dir, "ghes-8.0.2022-11-28.json"), "{}")
	for range 2 {
		if err := extract(pkg, dir, []description.Name{{Method: "GET", Path: "/a"}}); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"api.github.com.2022-11-28.json": `{
"package": "@octokit/openapi@1.2.3",
"server": "api.github.com",
"version": "2022-11-28",
"base": "",
"paths": {
"/a": {
"get": {"operationId":"a/get","responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/outer"}}}}}}
}},
"components": {
"schemas": {
"inner": {"enum":[1],"type":"integer"},
"outer": {"properties":{"description":{"type":"string"},"inner":{"$ref":"#/components/schemas/inner"}},"required":["description","inner"],"type":"object"}
}}
}
`,
			// inner, which nothing refers to any more, stays the base's.
			"api.github.com.2030-01-01.json": `{
"package": "@octokit/openapi@1.2.3",
"server": "api.github.com",
"version": "2030-01-01",
"base": "api.github.com.2022-11-28",
"paths": {},
"components": {
"schemas": {
"outer": {"properties":{"description":{"type":"string"}},"required":["description"],"type":"object"}
}}
}
`,
			"ghes-9.1.2022-11-28.json": `{
"package": "@octokit/openapi@1.2.3",
"server": "ghes-9.1",
"version": "2022-11-28",
"base": "api.github.com.2022-11-28",
"paths": {},
"components": {
"schemas": {
"inner": {"type":"integer"}
}}
}
`,
		}
		there, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(there) != len(want) {
			t.Errorf("%d files, want %d: %v", len(there), len(want), there)
		}
		for name, text := range want {
			got, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || string(got) != text {
				t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, text)
			}
		}
	}
	err := extract(pkg, dir, []description.Name{{Method: "POST", Path: "/a"}})
	if want := filepath.Join(pkg, "generated", "api.github.com.json") +
		": there is no operation POST /a"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	err = extract(pkg, dir, []description.Name{{Method: "GET", Path: "/b"}})
	if want := filepath.Join(pkg, "generated", "api.github.com.json") +
		": there is no #/components/responses/never"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Both kinds of patch, as far as GitHub uses them.
func TestPatched(t *testing.T) {
	t.Parallel()
	whole := object{"s": object{"a": object{"b": 1.0, "c": 2.0}, "list": []any{"x", "y"}, changesKey: []any{
		object{"version": "2", "patch": object{"a": object{"b": nil, "d": object{"e": 3.0}}}},
		object{"version": "3", "patch": []any{object{"op": "remove", "path": "/list/0"},
			object{"op": "replace", "path": "/a/c", "value": 4.0},
			object{"op": "remove", "path": "/gone/c"}}},
	}}}
	for version, want := range map[string]string{
		"1": `{"a":{"b":1,"c":2},"list":["x","y"]}`,
		"2": `{"a":{"c":2,"d":{"e":3}},"list":["x","y"]}`,
		"3": `{"a":{"c":4,"d":{"e":3}},"list":["y"]}`,
	} {
		f := &description.File{
			Paths: map[string]map[string]any{"p": {"s": stripped(patched(whole, version)["s"], false)}}}
		if got := string(f.Encode()); got != "{\n\"package\": \"\",\n\"server\": \"\",\n\"version\": "+
			"\"\",\n\"base\": \"\",\n\"paths\": {\n\"p\": {\n\"s\": "+want+"\n}},\n\"components\": {}\n}\n" {
			t.Errorf("version %s: %s", version, got)
		}
	}
}
