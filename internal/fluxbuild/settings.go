package fluxbuild

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
)

// Settings are the fields of Flux's Kustomization object that change what it makes of a directory.
type Settings struct {
	// Prune says whether Flux deletes what is no longer there; nil when that is not said. It changes nothing
	// about what is built.
	Prune           *bool         `json:"prune"`
	TargetNamespace string        `json:"targetNamespace"`
	NamePrefix      string        `json:"namePrefix"`
	NameSuffix      string        `json:"nameSuffix"`
	Patches         []types.Patch `json:"patches"`
	Images          []types.Image `json:"images"`
	Components      []string      `json:"components"`
	PostBuild       *PostBuild    `json:"postBuild"`
	CommonMetadata  *Metadata     `json:"commonMetadata"`
}

// SettingsOf reads the settings in the spec of a Kustomization.
func SettingsOf(spec map[string]any) (Settings, error) {
	var s Settings
	text, err := json.Marshal(spec)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// Settings reads the settings of a Kustomization object.
func (o *Object) Settings() (Settings, error) {
	text := o.text
	if o.later == nil || o.later.settings {
		text = o.Text()
	}
	var object struct {
		Spec Settings `json:"spec"`
	}
	return object.Spec, yaml.Unmarshal(text, &object)
}

// IsZero says whether the settings change nothing of what is built.
func (s *Settings) IsZero() bool {
	return s.plain() && s.PostBuild == nil && s.CommonMetadata == nil
}

// plain says whether kustomize has nothing to do for the settings.
func (s *Settings) plain() bool {
	return s.TargetNamespace == "" && s.NamePrefix == "" && s.NameSuffix == "" &&
		len(s.Patches)+len(s.Images)+len(s.Components) == 0
}

// WithoutPrune is what decides about the build.
func (s Settings) WithoutPrune() Settings {
	s.Prune = nil
	return s
}

// transformed builds a directory as Flux does with settings: they are added to the directory's kustomization,
// which is made when there is none.
func (b *build) transformed(dir, own string, settings Settings) error {
	var files Files = b.files
	if own == "" {
		k := types.Kustomization{
			TypeMeta:  types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
			Resources: b.generated(dir, dir)}
		text, err := yaml.Marshal(k)
		if err != nil {
			return err
		}
		files = overlay{Files: files, name: path.Join(dir, kustomize.FileNames[0]), content: text}
	}
	return b.kustomize(files, dir, func(k *types.Kustomization) {
		if settings.TargetNamespace != "" {
			k.Namespace = settings.TargetNamespace
		}
		if settings.NamePrefix != "" {
			k.NamePrefix = settings.NamePrefix
		}
		if settings.NameSuffix != "" {
			k.NameSuffix = settings.NameSuffix
		}
		k.Patches = append(k.Patches, settings.Patches...)
		k.Images = append(k.Images, settings.Images...)
		for _, component := range settings.Components {
			if !slices.Contains(k.Components, component) {
				k.Components = append(k.Components, component)
			}
		}
	})
}

// generated are the resources of the kustomization that Flux makes for a directory without one.
func (b *build) generated(root, dir string) []string {
	var resources []string
	for _, name := range b.files.List(dir) {
		child := path.Join(dir, name)
		relative := strings.TrimPrefix(strings.TrimPrefix(child, root), "/")
		switch {
		case b.files.IsFile(child) && isYAML(child), b.files.IsDir(child) && b.kustomizationIn(child) != "":
			resources = append(resources, relative)
		case b.files.IsDir(child):
			resources = append(resources, b.generated(root, child)...)
		}
	}
	return resources
}

// overlay is files with one more.
type overlay struct {
	Files
	name    string
	content []byte
}

// IsFile implements [kustomize.Source].
func (o overlay) IsFile(name string) bool { return name == o.name || o.Files.IsFile(name) }

// Read implements [kustomize.Source].
func (o overlay) Read(name string) ([]byte, error) {
	if name == o.name {
		return o.content, nil
	}
	return o.Files.Read(name)
}
