package fluxmanifests

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"
)

// componentLabel names the controller that an object belongs to; Flux's own installer sets it.
const componentLabel = "app.kubernetes.io/component"

// FluxItself is the name under which [CompareComponents] gives the release as a whole, with what belongs to
// no controller: the namespace, roles and network policies.
const FluxItself = "flux"

// ComponentChange is what differs in one of Flux's controllers, or in [FluxItself], between two versions of
// gotk-components.yaml.
type ComponentChange struct {
	Name string `json:"name"` // of the controller; "flux" for the release and what belongs to no controller
	// OldVersion is the tag or the digest of the image before; of "flux", the release. None is unknown.
	OldVersion string `json:"oldVersion,omitempty"`
	// NewVersion is the tag or the digest of the image after; of "flux", the release. None is unknown.
	NewVersion string `json:"newVersion,omitempty"`
	OldImage   string `json:"oldImage,omitempty"` // the whole image before; "flux" has none
	NewImage   string `json:"newImage,omitempty"` // the whole image after; "flux" has none
	Added      bool   `json:"added,omitempty"`    // whether it was not there before
	Removed    bool   `json:"removed,omitempty"`  // whether it is not there any more
	// Other says that something else than the image differs, such as arguments, limits, or the definitions of
	// its kinds.
	Other bool `json:"other,omitempty"`
}

// String gives the change in a few words: "source-controller v1.8.5 → v1.9.4".
func (c ComponentChange) String() string {
	switch {
	case c.Added:
		return strings.TrimSpace(c.Name+" "+c.NewVersion) + " (new)"
	case c.Removed:
		return strings.TrimSpace(c.Name+" "+c.OldVersion) + " (removed)"
	}
	text := strings.TrimSpace(c.Name + " " + c.NewVersion)
	if c.OldVersion != c.NewVersion {
		text = fmt.Sprintf("%s %s → %s",
			c.Name, cmp.Or(c.OldVersion, "unknown"), cmp.Or(c.NewVersion, "unknown"))
	}
	oldName, _ := splitImage(c.OldImage)
	newName, _ := splitImage(c.NewImage)
	switch {
	case oldName != newName:
		return fmt.Sprintf("%s (image %s → %s)", text, oldName, newName)
	case c.OldVersion == c.NewVersion && c.OldImage != c.NewImage:
		return text + " (another digest)"
	case c.OldVersion == c.NewVersion:
		return text + " (settings)"
	}
	return text
}

// CompareComponents says what differs between two versions of gotk-components.yaml, controller by controller:
// FluxItself first, then the controllers of after in the order of the file, then those that are gone. Either
// may be empty. Comments, the order of objects and the label that repeats the release make no difference. To
// see the images that patches put in, compare what [BuildSystem] returns.
//
// The error says that one of them cannot be read.
func CompareComponents(before, after []byte) ([]ComponentChange, error) {
	old, err := readComponents(before)
	if err != nil {
		return nil, fmt.Errorf("reading Flux's components as they were: %w", err)
	}
	current, err := readComponents(after)
	if err != nil {
		return nil, fmt.Errorf("reading Flux's components as they will be: %w", err)
	}
	var changes []ComponentChange
	for _, name := range slices.Concat(current.order, slices.Sorted(maps.Keys(old.byName))) {
		was, is := old.byName[name], current.byName[name]
		change := ComponentChange{Name: name, Added: was == nil, Removed: is == nil}
		if was != nil {
			change.OldImage, change.OldVersion = was.image, was.version
		}
		if is != nil {
			change.NewImage, change.NewVersion = is.image, is.version
		}
		done := is != nil && slices.ContainsFunc(changes, func(c ComponentChange) bool {
			return c.Name == name
		})
		change.Other = was != nil && is != nil && !reflect.DeepEqual(was.objects, is.objects)
		if done || !change.Added && !change.Removed && !change.Other && change.OldImage == change.NewImage &&
			change.OldVersion == change.NewVersion {
			continue
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// componentSet is a gotk-components.yaml by controllers.
type componentSet struct {
	byName map[string]*component
	order  []string // FluxItself first
}

// component is one controller, or FluxItself.
type component struct {
	image, version string
	objects        map[string]any // all but the image and the release's label, by kind, namespace and name
}

func readComponents(content []byte) (*componentSet, error) {
	set := &componentSet{byName: map[string]*component{}}
	var order []string
	err := EachDocument(content, func(document []byte) error {
		var object map[string]any
		if err := yaml.Unmarshal(document, &object); err != nil {
			return err
		}
		if object == nil {
			return nil
		}
		metadata := fieldsOf(object, "metadata")
		labels := fieldsOf(metadata, "labels")
		name, _ := labels[componentLabel].(string)
		if name == "" {
			name = FluxItself
		}
		if set.byName[name] == nil {
			set.byName[name] = &component{objects: map[string]any{}}
			order = append(order, name)
		}
		part := set.byName[name]
		if release, _ := labels[VersionLabel].(string); name == FluxItself && part.version == "" &&
			labels[PartOfLabel] == "flux" {
			part.version = release
		}
		withoutRelease(object)
		if image := takeImage(object); image != "" && object["kind"] == "Deployment" &&
			metadata["name"] == name {
			part.image = image
			_, part.version = splitImage(image)
		}
		part.objects[fmt.Sprint(object["apiVersion"], " ", object["kind"], " ", metadata["namespace"], "/",
			metadata["name"])] = object
		return nil
	})
	if set.byName[FluxItself] != nil {
		set.order = []string{FluxItself}
	}
	for _, name := range order {
		if name != FluxItself {
			set.order = append(set.order, name)
		}
	}
	return set, err
}

func fieldsOf(object map[string]any, name string) map[string]any {
	inner, _ := object[name].(map[string]any)
	return inner
}

// withoutRelease takes the label with Flux's release off everything, pod templates included: it changes with
// every release.
func withoutRelease(value any) {
	switch value := value.(type) {
	case map[string]any:
		if labels, ok := value["labels"].(map[string]any); ok {
			delete(labels, VersionLabel)
		}
		for _, child := range value {
			withoutRelease(child)
		}
	case []any:
		for _, child := range value {
			withoutRelease(child)
		}
	}
}

// takeImage takes the image of a Deployment's controller out of it.
func takeImage(object map[string]any) string {
	pod := fieldsOf(fieldsOf(fieldsOf(object, "spec"), "template"), "spec")
	containers, _ := pod["containers"].([]any)
	for _, item := range containers {
		if container, ok := item.(map[string]any); ok && container["name"] == ManagerContainer {
			image, _ := container["image"].(string)
			delete(container, "image")
			return image
		}
	}
	return ""
}

// ImageVersion is the tag of an image, or its digest when it has no tag.
func ImageVersion(image string) string {
	_, version := splitImage(image)
	return version
}

// splitImage splits an image into its name and its tag, or its digest when it has no tag.
func splitImage(image string) (name, tag string) {
	name, digest, _ := strings.Cut(image, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		return name[:colon], name[colon+1:]
	}
	return name, digest
}

// CompareVersions compares two versions by Semantic Versioning, with or without the leading v: negative when
// a is older than b, zero when they are the same, positive when a is newer. A pre-release is older than its
// release. The error names what is no version.
func CompareVersions(a, b string) (int, error) {
	left, err := version.ParseSemantic(a)
	if err != nil {
		return 0, fmt.Errorf("comparing Flux versions: %q is not a version", a)
	}
	right, err := version.ParseSemantic(b)
	if err != nil {
		return 0, fmt.Errorf("comparing Flux versions: %q is not a version", b)
	}
	switch {
	case left.LessThan(right):
		return -1, nil
	case right.LessThan(left):
		return 1, nil
	}
	return 0, nil
}
