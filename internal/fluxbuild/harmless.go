package fluxbuild

import (
	"regexp"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
)

// harmless are the fields of a kustomization, beside its resources, that change objects and not which objects
// there are. What they make of an object is worked out when somebody asks for its fields: to have kustomize
// build Flux's components takes half a second, and mostly nobody does.
func harmless(key string, value *yaml.Node) bool {
	switch key {
	case "commonAnnotations", "commonLabels", "labels", "images":
		return true
	case "patches":
		return value.Kind == yaml.SequenceNode && !hasOther(value.Content, keepsIdentity)
	}
	return false
}

func hasOther(nodes []*yaml.Node, is func(*yaml.Node) bool) bool {
	for _, node := range nodes {
		if !is(node) {
			return true
		}
	}
	return false
}

// keepsIdentity says whether a patch surely leaves an object its name and kind, deletes none, and builds
// whether it finds one or not: a strategic merge patch that is written there, and has a target, without
// options.
func keepsIdentity(patch *yaml.Node) bool {
	if patch.Kind != yaml.MappingNode || child(patch, "target") == nil {
		return false
	}
	for i := 0; i+1 < len(patch.Content); i += 2 {
		if key := patch.Content[i].Value; key != "patch" && key != "target" {
			return false
		}
	}
	text := scalar(patch, "patch")
	var merge yaml.Node
	if text == "" || strings.Contains(text, "$patch") || yaml.Unmarshal([]byte(text), &merge) != nil ||
		len(merge.Content) != 1 {
		return false
	}
	return merge.Content[0].Kind == yaml.MappingNode
}

// aSetting finds a field of a Kustomization object that is among the settings.
var aSetting = regexp.MustCompile(`(^|[\s,{"])(prune|targetNamespace|namePrefix|nameSuffix|commonMetadata|postBuild|patches|images|components)"?\s*:`)

// patchesSettings says whether a kustomization that keeps identities may change the settings of a
// Kustomization object.
func patchesSettings(kustomization *yaml.Node) bool {
	patches := child(kustomization, "patches")
	return patches != nil && hasOther(patches.Content, func(patch *yaml.Node) bool {
		return !aSetting.MatchString(scalar(patch, "patch"))
	})
}

// later is a directory that kustomize builds when somebody asks for the fields of one of its objects.
type later struct {
	once  sync.Once
	files Files
	dir   string
	// settings says that the settings of a Kustomization may be others when it is built.
	settings bool
	objects  map[Name]*Object
}

// text is what kustomize makes of an object; nil when it cannot be built.
func (l *later) text(name Name) []byte {
	l.once.Do(func() {
		l.objects = map[Name]*Object{}
		built, err := kustomize.BuildFrom(reading{l.files}, l.dir, nil)
		if err != nil {
			return
		}
		for _, r := range built.Resources() {
			if object, err := objectOf(r, l.dir); err == nil {
				l.objects[object.Name] = &object
			}
		}
	})
	if object := l.objects[name]; object != nil {
		return object.Text()
	}
	return nil
}
