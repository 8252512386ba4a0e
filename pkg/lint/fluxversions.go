package lint

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// unservedRule is about objects of Flux's in a version that the components beside them do not serve.
const unservedRule = "flux-version"

// CheckFluxVersions finds the objects of Flux's that its Kustomization applies from a directory and whose
// versions the kinds of gotk-components.yaml there do not serve, patches of such objects included. It is what
// [CheckRepository] says under the rule flux-version, without all else. The error is that of a Content that
// could not be read.
func CheckFluxVersions(tree Tree, root string, kinds FluxKinds) ([]clusterspec.Problem, error) {
	f := newFleet(&repositoryCheck{components: map[string]*componentsFile{}}, foldersOf(tree), root)
	f.read(nil)
	f.checkVersionsOf(kinds)
	if f.err != nil {
		return nil, f.err
	}
	problems := slices.DeleteFunc(f.problems, func(p clusterspec.Problem) bool {
		return p.Rule != unservedRule
	})
	slices.SortStableFunc(problems, func(a, b clusterspec.Problem) int {
		if order := strings.Compare(a.File, b.File); order != 0 {
			return order
		}
		return a.Line - b.Line
	})
	return problems, nil
}

// checkVersions wants every object of Flux's that is applied to have a version that Flux's own definitions
// serve: with one that they do not serve, Flux applies nothing at all.
func (f *fleet) checkVersions() {
	var kinds FluxKinds
	for _, dir := range f.primarySystem() {
		file := path.Join(dir, layout.ComponentsFile)
		if !f.tree.isFile(file) {
			return
		}
		if content, ok := f.content(file); ok {
			kinds = fluxKindsOf(f.shared.componentsOf(content).objects)
		}
	}
	f.checkVersionsOf(kinds)
}

func (f *fleet) checkVersionsOf(kinds FluxKinds) {
	if len(kinds) == 0 {
		return
	}
	files := map[string]bool{}
	for file := range f.applied.files {
		files[file] = true
	}
	for file := range f.applied.mentioned {
		files[file] = files[file] || isYAML(file)
	}
	for _, file := range f.fluxFiles() {
		files[file] = true
	}
	for _, file := range sortedKeys(files) {
		content, ok := f.contents[file] // only YAML was read
		if !ok || path.Base(file) == layout.ComponentsFile || !bytes.Contains(content, []byte(fluxGroups)) {
			continue
		}
		documents, problem := parseYAML(file, content)
		if problem != nil {
			continue // others say so
		}
		for _, o := range kinds.unserved(documents) {
			f.tellUnserved(file, &o)
		}
	}
	for _, dir := range sortedKeys(f.applied.kustomizations) {
		if k := f.applied.kustomizations[dir]; k != nil &&
			bytes.Contains(f.contents[k.file], []byte(fluxGroups)) {
			for _, o := range kinds.unservedPatches(k.root) {
				f.tellUnserved(k.file, &o)
			}
		}
	}
}

func (f *fleet) tellUnserved(file string, o *UnservedObject) {
	if !slices.Contains(f.versioned, file) {
		f.versioned = append(f.versioned, file)
	}
	f.report(clusterspec.Problem{
		Severity: clusterspec.SeverityError, Rule: unservedRule, File: file, Line: o.Line, Column: o.Column,
		Object: o.Object, Field: "apiVersion",
		Message: fmt.Sprintf("%s does not serve this version; %s", layout.ComponentsFile, f.breaks()),
		Found:   quote(o.APIVersion), Expected: o.Instead,
	})
}

// unservedPatches are the patches in a kustomization itself that are for objects in a version which is not
// served: kustomize then finds no object to patch, since the object itself has to have one that is.
func (kinds FluxKinds) unservedPatches(kustomization *yaml.Node) []UnservedObject {
	var list []UnservedObject
	look := func(text *yaml.Node) {
		if text == nil || text.Kind != yaml.ScalarNode || !strings.Contains(text.Value, fluxGroups) {
			return
		}
		documents, problem := parseYAML("", []byte(text.Value))
		if problem != nil {
			return
		}
		for _, o := range kinds.unserved(documents) {
			if text.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
				o.Line += text.Line // the text begins on the line after its mark
			} else {
				o.Line = text.Line
			}
			o.Column = text.Column
			list = append(list, o)
		}
	}
	each := func(field string, do func(*yaml.Node)) {
		if items := yamlnode.At(kustomization, field); items != nil && items.Kind == yaml.SequenceNode {
			for _, item := range items.Content {
				do(yamlnode.Follow(item))
			}
		}
	}
	each("patches", func(item *yaml.Node) { look(yamlnode.At(item, "patch")) })
	each("patchesStrategicMerge", look)
	return list
}
