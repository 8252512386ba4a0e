package fluxmanifests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
)

// sparseField is the field of a GitRepository that says which part of the repository Flux fetches.
const sparseField = "sparseCheckout"

// SparseCheckout reads from sync manifests which part of the repository Flux fetches: the spec.sparseCheckout
// of the GitRepository with that name and namespace. Nothing is the whole repository, and what cannot be
// read.
func SparseCheckout(sync []byte, namespace string) []string {
	spec, err := sourceSpec(sync, namespace)
	if err != nil {
		return nil
	}
	return sparseOf(spec)
}

// Ignore reads from sync manifests what Flux leaves out of the repository beside what it leaves out of every
// one: the spec.ignore of the GitRepository with that name and namespace. What cannot be read is nothing.
func Ignore(sync []byte, namespace string) string {
	spec, err := sourceSpec(sync, namespace)
	if err != nil {
		return ""
	}
	return yamlnode.Scalar(spec, "ignore")
}

func sparseOf(spec *yaml.Node) []string {
	list := yamlnode.Follow(yamlnode.At(spec, sparseField))
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	var dirs []string
	for _, item := range list.Content {
		dirs = append(dirs, yamlnode.Follow(item).Value)
	}
	return dirs
}

// SetSparseCheckout has the GitRepository of sync manifests fetch only what begins with one of dirs, or
// everything when there are none. Its lines are edited, so that all else stays as it stands; into a file as
// [Sync] writes it, the field goes where that puts it. The error says why the file cannot be edited.
func SetSparseCheckout(sync []byte, namespace string, dirs []string) ([]byte, error) {
	spec, err := sourceSpec(sync, namespace)
	if err != nil {
		return nil, err
	}
	if slices.Equal(sparseOf(spec), dirs) {
		return sync, nil
	}
	if spec.Style&yaml.FlowStyle != 0 {
		return nil, errInPlace
	}
	lines := strings.SplitAfter(string(sync), "\n")
	at := slices.IndexFunc(spec.Content, func(n *yaml.Node) bool { return n.Value == sparseField })
	if at >= 0 && at%2 == 0 {
		from := spec.Content[at].Line - 1
		to := lastLine(spec.Content[at+1])
		lines = slices.Delete(lines, from, to)
		if spec, err = sourceSpec([]byte(strings.Join(lines, "")), namespace); err != nil {
			return nil, errInPlace
		}
	}
	if len(dirs) > 0 {
		if lines, err = insertSparse(lines, spec, dirs); err != nil {
			return nil, err
		}
	}
	after := []byte(strings.Join(lines, ""))
	spec, err = sourceSpec(after, namespace)
	if err != nil || !slices.Equal(sparseOf(spec), dirs) || !sameButSparse(sync, after) {
		return nil, errInPlace
	}
	return after, nil
}

var errInPlace = errors.New("spec.sparseCheckout of the GitRepository is written in a way " +
	"that cannot be changed in place")

// insertSparse adds the field before the first one that comes after it in the alphabet, as the generator has
// them.
func insertSparse(lines []string, spec *yaml.Node, dirs []string) ([]string, error) {
	if len(spec.Content) == 0 {
		return nil, errInPlace
	}
	indent := strings.Repeat(" ", spec.Content[0].Column-1)
	field, err := yaml.Marshal(dirs)
	if err != nil {
		return nil, err
	}
	text := indent + sparseField + ":\n"
	for line := range strings.Lines(string(field)) {
		text += indent + line
	}
	at := lastLine(spec)
	for i := 0; i < len(spec.Content); i += 2 {
		if spec.Content[i].Value > sparseField {
			at = spec.Content[i].Line - 1
			// What is said of a field stays with it.
			for at > 0 && strings.HasPrefix(strings.TrimSpace(lines[at-1]), "#") {
				at--
			}
			break
		}
	}
	if at > 0 && !strings.HasSuffix(lines[at-1], "\n") {
		lines[at-1] += "\n"
	}
	return slices.Insert(lines, at, text), nil
}

// lastLine is the last line that a value stands in, counted from 1.
func lastLine(node *yaml.Node) int {
	last := node.Line
	if node.Kind == yaml.ScalarNode && node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		last += strings.Count(node.Value, "\n")
	}
	for _, child := range node.Content {
		last = max(last, lastLine(child))
	}
	return last
}

// sourceSpec finds the spec of the GitRepository.
func sourceSpec(sync []byte, namespace string) (*yaml.Node, error) {
	documents, err := documentsOf(sync)
	if err != nil {
		return nil, err
	}
	for _, document := range documents {
		name := yamlnode.Scalar(document, "metadata", "name")
		in := yamlnode.Scalar(document, "metadata", "namespace")
		if yamlnode.Scalar(document, "kind") != "GitRepository" || name != namespace || in != namespace {
			continue
		}
		if spec := yamlnode.At(document, "spec"); spec != nil && spec.Kind == yaml.MappingNode {
			return spec, nil
		}
	}
	return nil, fmt.Errorf("it has no GitRepository %s/%s with a spec", namespace, namespace)
}

func documentsOf(content []byte) ([]*yaml.Node, error) {
	var documents []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("it is not valid YAML: %w", err)
		}
		if len(document.Content) == 1 {
			documents = append(documents, document.Content[0])
		}
	}
}

// sameButSparse says whether two states of a file differ in nothing but the field.
func sameButSparse(a, b []byte) bool {
	left, right := leavesWithoutSparse(a), leavesWithoutSparse(b)
	return left != nil && slices.Equal(left, right)
}

func leavesWithoutSparse(content []byte) []string {
	documents, err := documentsOf(content)
	if err != nil {
		return nil
	}
	var all []string
	for i, document := range documents {
		for field, leaf := range yamlnode.Leaves(document) {
			if !strings.HasPrefix(field, "spec."+sparseField) {
				all = append(all, fmt.Sprintf("%d %s %s", i, field, leaf.Text))
			}
		}
	}
	slices.Sort(all)
	return all
}
