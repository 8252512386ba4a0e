package lint

import (
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
)

// UnknownField finds the first field of an object of Flux's in a file that the definitions do not have in the
// version that it is in: the API server would refuse the object. The error is an *UnknownFieldError, or says
// that the file cannot be read.
func (kinds FluxKinds) UnknownField(file string, content []byte) error {
	documents, problem := parseYAML(file, content)
	if problem != nil {
		return fmt.Errorf("%s: %s", file, problem.Message)
	}
	for _, document := range documents {
		apiVersion, kind := yamlnode.Scalar(document, "apiVersion"), yamlnode.Scalar(document, "kind")
		k, version := kinds.of(apiVersion, kind)
		if k == nil || !slices.Contains(k.Served, version) || k.schemas[version] == nil {
			continue
		}
		field, node := unknownField(k.schemas[version], yamlnode.At(document, "spec"), "spec")
		if node == nil {
			continue
		}
		object := kind + " " + yamlnode.Scalar(document, "metadata", "name")
		return &UnknownFieldError{
			File: file, Line: node.Line, Object: object, Field: field, APIVersion: apiVersion,
		}
	}
	return nil
}
