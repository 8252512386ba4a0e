package kustomize

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// A kind whose containers are merged by a key that only a schema of the repository's own knows.
const (
	machineSchema = `{"definitions": {
  "org.example.v1.Machine": {
    "x-kubernetes-group-version-kind": [{"group": "example.org", "version": "v1", "kind": "Machine"}],
    "properties": {"spec": {"type": "object", "properties": {"parts": {
      "type": "array", "items": {"type": "object"}, "x-kubernetes-patch-merge-key": "id", "x-kubernetes-patch-strategy": "merge"
    }}}}
  }}}`
	machine = "apiVersion: example.org/v1\nkind: Machine\nmetadata: {name: m}\n" +
		"spec: {parts: [{id: a, size: 1}, {id: b, size: 1}]}\n"
	machinePatch = "apiVersion: example.org/v1\nkind: Machine\nmetadata: {name: m}\n" +
		"spec: {parts: [{id: b, size: 2}]}\n"
)

// machines is a directory with such a kind, built with the schema or without.
func machines(openapi string) map[string][]byte {
	return map[string][]byte{
		"m/kustomization.yaml": []byte("resources: [machine.yaml]\npatches: [{path: patch.yaml}]\n" +
			openapi),
		"m/machine.yaml": []byte(machine), "m/patch.yaml": []byte(machinePatch),
		"m/schema.json": []byte(machineSchema), "m/none.json": []byte("{nothing"),
	}
}

// built is what a directory builds to, as one text.
func built(t *testing.T, files map[string][]byte, dir string) string {
	t.Helper()
	resources, err := Build(files, dir, Directory)
	if err != nil {
		return "error: " + err.Error()
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// Whatever was built before and is built beside it, a directory builds to what it alone would, and kinds are
// what they were: kustomize keeps the schema in variables. The data races are for the race detector.
func TestBuild_schemaOfOthers(t *testing.T) {
	t.Parallel()
	with, without := machines("openapi: {path: schema.json}\n"), machines("")
	none, old := machines("openapi: {path: none.json}\n"), machines("openapi: {version: v1.20.4}\n")
	wantWith, wantWithout := "- id: b\n    size: 2\n  - id: a\n    size: 1\n",
		"parts:\n  - id: b\n    size: 2\n"
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 4 {
				switch i % 5 {
				case 0:
					if got := built(t, with, "m"); !strings.Contains(got, wantWith) {
						t.Errorf("with its schema:\n%s", got)
					}
				case 1:
					if got := built(t, without, "m"); !strings.HasSuffix(got, wantWithout) {
						t.Errorf("without:\n%s", got)
					}
				case 2:
					if got := built(t, none, "m"); !strings.Contains(got, "invalid schema file") {
						t.Errorf("with a schema that is none:\n%s", got)
					}
				case 3:
					if got := built(t, old, "m"); !strings.Contains(got,
						"the specified OpenAPI version is not built in") {
						t.Errorf("with a version that is not there:\n%s", got)
					}
				default:
					got := fmt.Sprint(NeedsNamespace("apps/v1", "Deployment"), NeedsNamespace("v1", "Node"),
						NeedsNamespace("example.org/v1", "Machine"),
						NeedsNamespace("unknown.k8s.io/v1", "Machine"))
					if got != "true false false false" {
						t.Errorf("kinds: %s", got)
					}
				}
			}
		})
	}
	all.Wait()
}
