package layout

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
)

// ControllerImages are the images that patches of a kustomization give Flux's controllers, by the names of
// their Deployments. Only patches that set nothing else count, as EKS Anywhere and this program write them. A
// file that cannot be read has none.
func ControllerImages(kustomization []byte) map[string]string {
	images := map[string]string{}
	var document yaml.Node
	if yaml.Unmarshal(kustomization, &document) != nil || len(document.Content) == 0 {
		return images
	}
	if patches := yamlnode.At(document.Content[0], "patches"); patches != nil {
		for _, item := range patches.Content {
			if patch := imagePatchOf(item); patch != nil {
				images[patch.controller] = patch.image.Value
			}
		}
	}
	return images
}

// SetControllerImages gives Flux's controllers other images in the kustomization of Flux's directory, as EKS
// Anywhere writes them: patches that are there and set nothing but an image get the new one, missing ones are
// added, and those of controllers that are gone are taken out, since kustomize refuses a patch of nothing.
// Everything else stays as it is, comments and formatting too, unless the list of patches is written in one
// line. The error says that the file is no kustomization, or that an image is none.
func SetControllerImages(kustomization []byte, namespace string, images map[string]string,
	gone []string) ([]byte, error) {
	if err := checkImages(images); err != nil {
		return nil, err
	}
	return editKustomization(kustomization, namespace, func(e *imageEdit) error {
		return e.edit(images, gone)
	})
}

// editKustomization edits the kustomization of Flux's directory.
func editKustomization(kustomization []byte, namespace string, edit func(*imageEdit) error) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(kustomization, &document); err != nil {
		return nil, fmt.Errorf("reading the kustomization of Flux's directory: %w", err)
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("reading the kustomization of Flux's directory: it is not an object")
	}
	e := &imageEdit{root: document.Content[0], lines: strings.SplitAfter(string(kustomization), "\n"),
		namespace: namespace}
	if err := edit(e); err != nil {
		return nil, err
	}
	if !e.changed {
		return kustomization, nil
	}
	content := []byte(strings.Join(e.lines, ""))
	if e.inPlace && sameYAML(content, e.root) {
		return content, nil
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("writing the kustomization of Flux's directory: %w", err)
	}
	return b.Bytes(), nil
}

// imageEdit edits a kustomization twice: its tree, which says what is meant, and its lines, which keep all
// else as it stands.
type imageEdit struct {
	root      *yaml.Node
	lines     []string
	namespace string
	changed   bool
	inPlace   bool // the lines have every edit
}

func (e *imageEdit) edit(images map[string]string, gone []string) error {
	e.inPlace = true
	patches := yamlnode.At(e.root, "patches")
	if patches != nil && patches.Kind != yaml.SequenceNode && !yamlnode.IsNull(patches) {
		return fmt.Errorf("reading the kustomization of Flux's directory: patches is not a list")
	}
	var there []string
	if patches != nil && patches.Kind == yaml.SequenceNode {
		e.inPlace = patches.Style&yaml.FlowStyle == 0
		patches.Content = slices.DeleteFunc(patches.Content, func(item *yaml.Node) bool {
			patch := imagePatchOf(item)
			if patch == nil {
				return false
			}
			if slices.Contains(gone, patch.controller) && len(item.Content) == 2 {
				e.cut(item.Line, lastLine(item))
				return true
			}
			there = append(there, patch.controller)
			if image := images[patch.controller]; image != "" && image != patch.image.Value {
				e.replace(patch, image)
			}
			return false
		})
	}
	var missing []string
	for _, name := range controllers {
		if images[name] != "" && !slices.Contains(there, name) && !slices.Contains(gone, name) {
			missing = append(missing, name)
		}
	}
	return e.add(patches, missing, images)
}

// replace gives a patch another image.
func (e *imageEdit) replace(patch *imagePatch, image string) {
	e.changed = true
	old, inner := patch.image.Value, strings.SplitAfter(patch.text.Value, "\n")
	at := patch.image.Line - 1
	inner[at] = strings.Replace(inner[at], old, image, 1)
	patch.text.Value = strings.Join(inner, "")
	// A literal block has its lines in the file as they are, below the one that begins it.
	if line := patch.text.Line + at; patch.text.Style&yaml.LiteralStyle != 0 && line < len(e.lines) {
		e.lines[line] = strings.Replace(e.lines[line], old, image, 1)
		return
	}
	e.inPlace = false
}

// cut takes lines out, counted from 1.
func (e *imageEdit) cut(from, to int) {
	e.changed = true
	for line := from; line <= to && line <= len(e.lines); line++ {
		e.lines[line-1] = ""
	}
}

// add appends patches for controllers that have none, and takes the list out when nothing is left in it.
func (e *imageEdit) add(patches *yaml.Node, missing []string, images map[string]string) error {
	if len(missing) == 0 {
		if patches != nil && patches.Kind == yaml.SequenceNode && len(patches.Content) == 0 && e.changed {
			for i := 0; i+1 < len(e.root.Content); i += 2 {
				if e.root.Content[i+1] == patches {
					e.cut(e.root.Content[i].Line, e.root.Content[i].Line)
					e.root.Content = slices.Delete(e.root.Content, i, i+2)
					break
				}
			}
		}
		return nil
	}
	wanted := map[string]string{}
	for _, name := range missing {
		wanted[name] = images[name]
	}
	return e.appendPatches(patches, imagePatches(e.namespace, wanted))
}

// appendPatches puts entries at the end of the list of patches, which is made when there is none.
func (e *imageEdit) appendPatches(patches *yaml.Node, text string) error {
	e.changed = true
	var made yaml.Node
	if err := yaml.Unmarshal([]byte(text), &made); err != nil {
		return fmt.Errorf("writing the kustomization of Flux's directory: %w", err)
	}
	if last := len(e.lines) - 1; e.lines[last] != "" && !strings.HasSuffix(e.lines[last], "\n") {
		e.lines[last] += "\n"
	}
	switch {
	case patches == nil:
		key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "patches"}
		e.root.Content = append(e.root.Content, key, made.Content[0])
		e.lines = append(e.lines, "patches:\n"+text)
	case patches.Kind != yaml.SequenceNode || len(patches.Content) == 0:
		patches.Kind, patches.Tag, patches.Value, patches.Style, patches.Content = yaml.SequenceNode, "!!seq",
			"", 0, made.Content[0].Content
		e.inPlace = false
	default:
		final := patches.Content[len(patches.Content)-1]
		patches.Content = append(patches.Content, made.Content[0].Content...)
		indent := strings.Repeat(" ", max(0, patches.Column-1))
		var b strings.Builder
		for line := range strings.Lines(text) {
			b.WriteString(indent + line)
		}
		if at := lastLine(final); at <= len(e.lines) {
			e.lines[at-1] += b.String()
		} else {
			e.inPlace = false
		}
	}
	return nil
}

// imagePatch is an entry of patches that gives a controller an image and does nothing else.
type imagePatch struct {
	controller string
	text       *yaml.Node // the patch as it stands in the file
	image      *yaml.Node // in the patch's own lines
}

func imagePatchOf(item *yaml.Node) *imagePatch {
	text := yamlnode.At(item, "patch")
	if text == nil || text.Kind != yaml.ScalarNode {
		return nil
	}
	var document yaml.Node
	if yaml.Unmarshal([]byte(text.Value), &document) != nil || len(document.Content) == 0 {
		return nil
	}
	patch := document.Content[0]
	name, image := yamlnode.Scalar(patch, "metadata", "name"), (*yaml.Node)(nil)
	for at, leaf := range yamlnode.Leaves(patch) {
		switch at {
		case "apiVersion", "kind", "metadata.name", "metadata.namespace":
		case "spec.template.spec.containers[0].name":
			if leaf.Text != "manager" {
				return nil
			}
		case "spec.template.spec.containers[0].image":
			image = leaf.Node
		default:
			return nil
		}
	}
	if yamlnode.Scalar(patch, "kind") != "Deployment" || !slices.Contains(controllers, name) ||
		image == nil || image.Value == "" {
		return nil
	}
	return &imagePatch{controller: name, text: text, image: image}
}

// lastLine is the last line of a node in its file.
func lastLine(node *yaml.Node) int {
	last := node.Line
	if node.Kind == yaml.ScalarNode {
		switch {
		case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
			last += strings.Count(strings.TrimRight(node.Value, "\n"), "\n") + 1
		default:
			last += strings.Count(node.Value, "\n")
		}
	}
	for _, child := range node.Content {
		last = max(last, lastLine(child))
	}
	return last
}
