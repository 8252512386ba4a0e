package kustomize

import (
	"fmt"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// kustomize keeps the schema of objects in variables of its package kyaml/openapi, which it reads without the
// lock that it holds to write them: two builds at a time are a data race. Flux's kustomize-controller has a
// lock around its builds for the same reason.
var schema sync.Mutex

// build runs kustomize alone.
func build(files filesys.FileSystem, dir string, bounds Bounds) (built resmap.ResMap, err error) {
	schema.Lock()
	defer schema.Unlock()
	defer forgetSchema()
	defer func() {
		// A schema that is none is a panic there (kyaml/openapi, initSchema).
		if reason := recover(); reason != nil {
			built, err = nil, fmt.Errorf("kustomize failed: %v", reason)
		}
	}()
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = bounds
	return krusty.MakeKustomizer(options).Run(files, dir)
}

// forgetSchema has the next build start with the schema that is built in: kustomize keeps one that a
// kustomization brought (its field openapi).
func forgetSchema() {
	if openapi.GetSchemaVersion() != builtIn {
		openapi.ResetOpenAPI()
	}
}

// builtIn is the schema of a process that has built nothing.
var builtIn = openapi.GetSchemaVersion()

// isNamespaced is what the schema that is built in says of a kind; known is false where it has none.
func isNamespaced(apiVersion, kind string) (namespaced, known bool) {
	schema.Lock()
	defer schema.Unlock()
	return openapi.IsNamespaceScoped(yaml.TypeMeta{APIVersion: apiVersion, Kind: kind})
}

// Bounds says which files a kustomization may name.
type Bounds = types.LoadRestrictions

// The bounds: those below the directory that is built, or all files that are given.
const (
	Directory = types.LoadRestrictionsRootOnly
	AllFiles  = types.LoadRestrictionsNone
)
