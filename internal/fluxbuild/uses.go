package fluxbuild

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Use is what an object of Flux's takes from a GitRepository.
type Use struct {
	Field string
	Path  string // as it is written; empty is all of the repository
}

// The kinds of objects that take something from a GitRepository, as far as they say from where. An
// ImageUpdateAutomation is none: it clones the repository by itself.
var usingKinds = []string{"Kustomization", "HelmRelease", "HelmChart", "GitRepository", "ArtifactGenerator"}

// UsingKinds are the kinds that [LiveReaches] understands.
func UsingKinds() []string { return slices.Clone(usingKinds) }

// usesOf lists what an object with that name and spec takes from a GitRepository.
func usesOf(object Name, spec map[string]any, source Name) []Use {
	from := func(ref map[string]any) bool {
		return asText(ref["kind"]) == "GitRepository" && asText(ref["name"]) == source.Name &&
			cmp.Or(asText(ref["namespace"]), object.Namespace) == source.Namespace
	}
	switch object.Kind {
	case "Kustomization":
		if from(fieldsAt(spec, "sourceRef")) {
			return []Use{{"spec.path", asText(spec["path"])}}
		}
	case "HelmChart":
		if from(fieldsAt(spec, "sourceRef")) {
			return chartUses("spec", spec)
		}
	case "HelmRelease":
		if chart := fieldsAt(fieldsAt(spec, "chart"), "spec"); from(fieldsAt(chart, "sourceRef")) {
			return chartUses("spec.chart.spec", chart)
		}
	case "GitRepository":
		return includeUses(object, spec, source)
	case "ArtifactGenerator":
		return copyUses(spec, from)
	}
	return nil
}

// chartUses are the paths of a chart and of its values, all of them from the root of the repository.
func chartUses(at string, chart map[string]any) []Use {
	uses := []Use{{at + ".chart", asText(chart["chart"])}}
	values, _ := chart["valuesFiles"].([]any)
	for i, value := range values {
		uses = append(uses, Use{fmt.Sprintf("%s.valuesFiles[%d]", at, i), asText(value)})
	}
	return uses
}

// includeUses are the parts of the repository that another one includes.
func includeUses(object Name, spec map[string]any, source Name) []Use {
	var uses []Use
	includes, _ := spec["include"].([]any)
	for i, item := range includes {
		include, _ := item.(map[string]any)
		name := asText(fieldsAt(include, "repository")["name"])
		if object.Namespace == source.Namespace && name == source.Name {
			uses = append(uses, Use{fmt.Sprintf("spec.include[%d].fromPath", i), asText(include["fromPath"])})
		}
	}
	return uses
}

// copyUses are what an ArtifactGenerator copies: @ALIAS/PATH, where the path may be a pattern.
func copyUses(spec map[string]any, from func(map[string]any) bool) []Use {
	aliases := map[string]bool{}
	sources, _ := spec["sources"].([]any)
	for _, item := range sources {
		if ref, _ := item.(map[string]any); from(ref) {
			aliases[asText(ref["alias"])] = true
		}
	}
	var uses []Use
	artifacts, _ := spec["artifacts"].([]any)
	for i, item := range artifacts {
		artifact, _ := item.(map[string]any)
		copies, _ := artifact["copy"].([]any)
		for j, item := range copies {
			operation, _ := item.(map[string]any)
			alias, pattern, _ := strings.Cut(strings.TrimPrefix(asText(operation["from"]), "@"), "/")
			if at := strings.IndexAny(pattern, "*?[{"); at >= 0 {
				pattern = path.Dir(pattern[:at] + "x")
			}
			if aliases[alias] {
				uses = append(uses, Use{fmt.Sprintf("spec.artifacts[%d].copy[%d].from", i, j), pattern})
			}
		}
	}
	return uses
}

func fieldsAt(fields map[string]any, key string) map[string]any {
	inner, _ := fields[key].(map[string]any)
	return inner
}

func asText(value any) string {
	text, _ := value.(string)
	return text
}

// target is the path in the repository of what is used; "." is all of it. Flux does not let one lead out of
// the repository.
func (u Use) target() string { return cmp.Or(strings.TrimPrefix(path.Clean("/"+u.Path), "/"), ".") }

// outside says whether what is used is not wholly in a checkout.
func (u Use) outside(checkout Checkout) bool {
	target := u.target()
	return !checkout.HasDir(target) && (target == "." || !checkout.HasFile(target))
}

// reach is the use as an object has it.
func (u Use) reach(object Name) Reach {
	return Reach{Object: object.String(), Field: u.Field, Value: u.Path, Target: u.target()}
}

// LiveReaches are the uses of an object in the cluster that lie outside of a checkout.
func LiveReaches(object Name, spec map[string]any, source Name, checkout Checkout) []Reach {
	var found []Reach
	for _, use := range usesOf(object, spec, source) {
		if use.outside(checkout) {
			found = append(found, use.reach(object))
		}
	}
	return found
}

// ReachesOf finds where a directory, and what its objects have Flux build from the same GitRepository, leads
// out of a checkout. The built objects are those of the directory alone. The error is that of [Build] for the
// directory: what cannot be built below it is for Flux to say.
func ReachesOf(
	files Files, dir string, settings Settings, source Name, checkout Checkout,
) (*Built, []Reach, error) {
	built, found, err := Reaches(files, dir, settings, checkout)
	if err != nil {
		return built, found, err
	}
	seen := map[string]bool{path.Clean(dir): true}
	pending := usingObjects(built)
	for len(pending) > 0 {
		object := pending[0]
		pending = pending[1:]
		spec := fieldsAt(object.Fields(), "spec")
		for _, use := range usesOf(object.Name, spec, source) {
			if use.outside(checkout) {
				found = append(found, reachOf(files, object, use))
				continue
			}
			inside := use.target()
			if object.Kind != "Kustomization" || seen[inside] || !files.IsDir(inside) {
				continue
			}
			seen[inside] = true
			its, err := object.Settings()
			if err != nil {
				continue // the API server says so
			}
			below, more, err := Reaches(files, inside, its, checkout)
			if err != nil && !errors.As(err, new(*Error)) {
				return nil, nil, err
			}
			for _, reach := range more {
				if reach.File == "" { // a field of the object itself
					at := reachOf(files, object, Use{Field: reach.Field})
					reach.File, reach.Line, reach.Object = at.File, at.Line, at.Object
				}
				found = append(found, reach)
			}
			if below != nil {
				pending = append(pending, usingObjects(below)...)
			}
		}
	}
	return built, found, nil
}

// usingObjects are those of the built objects that may take something from a GitRepository.
func usingObjects(built *Built) []*Object {
	var found []*Object
	for i := range built.Objects {
		o := &built.Objects[i]
		if strings.HasSuffix(o.Group, ".fluxcd.io") && slices.Contains(usingKinds, o.Kind) {
			found = append(found, o)
		}
	}
	return found
}

// reachOf says where an object uses something.
func reachOf(files Files, object *Object, use Use) Reach {
	reach := use.reach(object.Name)
	reach.File, reach.Line = object.File, object.Line
	if object.File == "" {
		return reach
	}
	content, err := files.Read(object.File)
	if err != nil {
		return reach // where it stands is all that is lost
	}
	for _, document := range documents(content) {
		name := scalar(child(document, "metadata"), "name")
		if scalar(document, "kind") != object.Kind || name != object.Name.Name {
			continue
		}
		reach.Line = nodeAt(document, use.Field).Line
	}
	return reach
}

// nodeAt follows a field such as spec.include[0].fromPath as far as it is there.
func nodeAt(node *yaml.Node, field string) *yaml.Node {
	for key := range strings.SplitSeq(field, ".") {
		key, item, isItem := strings.Cut(key, "[")
		below := child(node, key)
		if below == nil {
			break
		}
		node = below
		at, err := strconv.Atoi(strings.TrimSuffix(item, "]"))
		if isItem && err == nil && at < len(node.Content) {
			node = node.Content[at]
		}
	}
	return node
}
