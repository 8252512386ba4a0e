// Package kustomize builds directories of a repository in memory, as Flux's kustomize-controller does,
// without a word of kustomize's own. Only importer of kustomize's builder.
package kustomize

//lint:file-ignore SA1019 the deprecated fields are what it is about

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Build builds the directory dir of files, which are given by their paths. Nothing is printed: kustomize
// writes to standard error when a kustomization has deprecated fields, and has no option against that, so it
// gets to see their present forms, which mean the same. A kustomization with fields for which there is none
// is an *UnsupportedError.
func Build(files map[string][]byte, dir string, bounds Bounds) (resmap.ResMap, error) {
	memory := filesys.MakeFsInMemory()
	for name, content := range files {
		if err := memory.WriteFile("/"+name, content); err != nil {
			return nil, err
		}
	}
	renewed := &renewing{FileSystem: memory}
	built, err := build(renewed, "/"+dir, bounds)
	if renewed.unsupported != nil {
		return nil, renewed.unsupported
	}
	return built, err
}

// UnsupportedError says that a kustomization has deprecated fields for which there is no present form of the
// same meaning.
type UnsupportedError struct {
	File  string // its path
	Field string
}

// Error names the file and the field.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s uses the field %s, which kustomize has deprecated and which is not supported here",
		e.File, e.Field)
}

// Hint says how to get rid of the field
// (https://kubectl.docs.kubernetes.io/references/kustomize/cmd/edit/fix).
func (e *UnsupportedError) Hint() string {
	command := "kustomize edit fix"
	if e.Field == "vars" {
		command += " --vars"
	}
	return "in a clone of the repository, in the directory of that file: " + command
}

// FileNames are the names under which kustomize looks for its file, in its order.
var FileNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// renewing is a file system in which no kustomization has deprecated fields.
type renewing struct {
	filesys.FileSystem
	unsupported error // the first
}

// ReadFile implements filesys.FileSystem.
func (r *renewing) ReadFile(name string) ([]byte, error) {
	content, err := r.FileSystem.ReadFile(name)
	if err != nil || !slices.Contains(FileNames, path.Base(name)) {
		return content, err
	}
	isFile := func(beside string) bool {
		target := path.Join(path.Dir(name), beside)
		return r.Exists(target) && !r.IsDir(target)
	}
	renewed, field := renew(content, isFile)
	if field != "" {
		err := &UnsupportedError{File: strings.TrimPrefix(name, "/"), Field: field}
		if r.unsupported == nil {
			r.unsupported = err
		}
		return nil, err
	}
	return renewed, nil
}

// renew gives the deprecated fields of a kustomization their present forms. What has none, or is no
// kustomization, stays byte by byte: what is wrong with it is for kustomize to say. field is the one that has
// no such form.
//
// The forms are those of `kustomize edit fix`, at the places where kustomize works on them
// (KustTarget.configureBuiltinTransformers): strategic merge patches before all others, labels after the
// other labels, JSON patches after names and labels, before replicas, images and replacements.
func renew(content []byte, isFile func(string) bool) (renewed []byte, field string) {
	var k types.Kustomization
	if k.Unmarshal(content) != nil || len(*k.CheckDeprecatedFields()) == 0 {
		return content, ""
	}
	if len(k.Vars) > 0 {
		return nil, "vars"
	}
	k.Vars = nil
	k.FixKustomization() // bases and imageTags
	renewMergePatches(&k, isFile)
	if !renewJSONPatches(&k) {
		return nil, "patchesJson6902"
	}
	if len(k.CommonLabels) > 0 {
		k.Labels = append(k.Labels, types.Label{Pairs: k.CommonLabels, IncludeSelectors: true})
	}
	k.CommonLabels = nil
	renewed, err := yaml.Marshal(k)
	if err != nil {
		return content, ""
	}
	return renewed, ""
}

// renewMergePatches moves patchesStrategicMerge, whose entries are files or patches themselves.
func renewMergePatches(k *types.Kustomization, isFile func(string) bool) {
	patches := make([]types.Patch, 0, len(k.PatchesStrategicMerge)+len(k.Patches))
	for _, patch := range k.PatchesStrategicMerge {
		if isFile(string(patch)) {
			patches = append(patches, types.Patch{Path: string(patch)})
		} else {
			patches = append(patches, types.Patch{Patch: string(patch)})
		}
	}
	k.Patches, k.PatchesStrategicMerge = append(patches, k.Patches...), nil
}

// renewJSONPatches moves patchesJson6902; false is that there is no other place for them that is known to
// mean the same.
func renewJSONPatches(k *types.Kustomization) bool {
	patches := k.PatchesJson6902
	k.PatchesJson6902 = nil
	between := k.Namespace != "" || k.NamePrefix != "" || k.NameSuffix != "" ||
		len(k.Labels)+len(k.CommonLabels)+len(k.CommonAnnotations) > 0
	switch {
	case len(patches) == 0:
		return true
	case !between:
		// Nothing happens between the two kinds of patches.
		k.Patches = append(k.Patches, patches...)
		return true
	case len(k.Images)+len(k.Replicas) > 0 && len(k.Configurations) > 0:
		return false // it may say where images and replicas are
	}
	// Transformers come after everything else, so that what follows the patches goes with them.
	var last []map[string]any
	add := func(kind string, fields map[string]any) {
		fields["apiVersion"], fields["kind"], fields["metadata"] = "builtin", kind,
			map[string]any{"name": fmt.Sprintf("renewed-%d", len(last))}
		last = append(last, fields)
	}
	for _, patch := range patches {
		add("PatchJson6902Transformer",
			map[string]any{"target": patch.Target, "path": patch.Path, "jsonOp": patch.Patch})
	}
	for _, replica := range k.Replicas {
		add("ReplicaCountTransformer", map[string]any{"replica": replica, "fieldSpecs": replicaFields()})
	}
	for _, image := range k.Images {
		add("ImageTagTransformer", map[string]any{"imageTag": image, "fieldSpecs": imageFields()})
	}
	if len(k.Replacements) > 0 {
		add("ReplacementTransformer", map[string]any{"replacements": k.Replacements})
	}
	k.Replicas, k.Images, k.Replacements = nil, nil, nil
	var transformers []string
	for _, fields := range last {
		text, err := yaml.Marshal(fields)
		if err != nil {
			return false
		}
		transformers = append(transformers, string(text))
	}
	k.Transformers = append(transformers, k.Transformers...)
	return true
}

// Where kustomize finds the number of replicas and images, by default (its package
// internal/konfig/builtinpluginconsts).

func replicaFields() []types.FieldSpec {
	var fields []types.FieldSpec
	for _, kind := range []string{"Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"} {
		field := types.FieldSpec{Path: "spec/replicas", CreateIfNotPresent: true}
		field.Kind = kind
		fields = append(fields, field)
	}
	return fields
}

func imageFields() []types.FieldSpec {
	var fields []types.FieldSpec
	for _, pod := range []string{"spec/", "spec/template/spec/", "spec/jobTemplate/spec/template/spec/"} {
		for _, field := range []string{"containers[]/image", "initContainers[]/image",
			"volumes[]/image/reference"} {
			fields = append(fields, types.FieldSpec{Path: pod + field, CreateIfNotPresent: true})
		}
	}
	return fields
}
