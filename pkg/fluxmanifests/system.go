package fluxmanifests

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
)

// crdKindName is the kind that makes up four fifths of Flux's manifests.
const crdKindName = "CustomResourceDefinition"

// ComponentVersion reads from gotk-components.yaml which Flux it is, and the image of each controller by
// Deployment name.
func ComponentVersion(components []byte) (version string, images map[string]string, err error) {
	images = map[string]string{}
	err = EachDocument(components, func(document []byte) error {
		if version != "" && field(document, "kind") == crdKindName {
			return nil
		}
		var object struct {
			Kind     string
			Metadata struct {
				Name   string
				Labels map[string]string
			}
			Spec struct {
				Template struct {
					Spec struct {
						Containers []struct{ Name, Image string }
					}
				}
			}
		}
		if err := yaml.Unmarshal(document, &object); err != nil {
			return err
		}
		if v := object.Metadata.Labels[VersionLabel]; v != "" &&
			object.Metadata.Labels[PartOfLabel] == "flux" && version == "" {
			version = v
		}
		if object.Kind != "Deployment" {
			return nil
		}
		for _, container := range object.Spec.Template.Spec.Containers {
			if container.Name == ManagerContainer {
				images[object.Metadata.Name] = container.Image
			}
		}
		return nil
	})
	if err == nil && version == "" {
		err = errors.New("no object carries Flux's version label")
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading Flux's components: %w", err)
	}
	return version, images, nil
}

// BuildSystem builds the files of Flux's folder (by base name: kustomization.yaml and what it lists) as Flux
// itself will, patches included, and returns the installation and the sync objects apart.
func BuildSystem(files map[string][]byte) (components, sync []byte, err error) {
	folder := make(map[string][]byte, len(files))
	var installation, objects [][]byte
	apart := leavesDefinitionsAlone(files)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		if apart && name != kustomizationFile {
			definitions, rest, err := splitDefinitions(content)
			if err != nil {
				return nil, nil, fmt.Errorf("reading %s: %w", name, err)
			}
			if len(rest) > 0 { // kustomize refuses an empty file
				installation, content = append(installation, definitions...), rest
			}
		}
		folder["flux/"+name] = content
	}
	resources, err := kustomize.Build(folder, "flux", kustomize.Directory)
	if unsupported := new(kustomize.UnsupportedError); errors.As(err, &unsupported) {
		unsupported.File = strings.TrimPrefix(unsupported.File, "flux/") // the files are given by base name
	}
	if err != nil {
		return nil, nil, err
	}
	for _, resource := range resources.Resources() {
		content, err := resource.AsYAML()
		if err != nil {
			return nil, nil, err
		}
		switch resource.GetGvk().Group {
		case SourceGroup, KustomizeGroup:
			objects = append(objects, content)
		default:
			installation = append(installation, content)
		}
	}
	separator := []byte("---\n")
	return bytes.Join(installation, separator), bytes.Join(objects, separator), nil
}

// kustomizationFile is where a folder says what is built of it. Its other spellings are built, too, only not
// as quickly.
const kustomizationFile = "kustomization.yaml"

// leavesDefinitionsAlone says whether building certainly changes no CRD, so that they need not be built: the
// folder's files are listed and nothing else, other kinds are patched by name, and a namespace is given,
// which a CRD does not have. All of what Flux and EKS Anywhere write is so, and is built in a fifth of the
// time.
func leavesDefinitionsAlone(files map[string][]byte) bool {
	var kustomization struct {
		APIVersion string        `json:"apiVersion"`
		Kind       string        `json:"kind"`
		Namespace  string        `json:"namespace"`
		Resources  []string      `json:"resources"`
		Patches    []inlinePatch `json:"patches"`
	}
	if err := yaml.UnmarshalStrict(files[kustomizationFile], &kustomization); err != nil {
		return false
	}
	listed := map[string]bool{kustomizationFile: true}
	for _, resource := range kustomization.Resources {
		listed[resource] = true
	}
	for name, content := range files {
		// A file that is not listed is not built. A CRD that converts between versions names a Service in a
		// namespace.
		if !listed[name] || bytes.Contains(content, []byte(" conversion:")) {
			return false
		}
	}
	for _, p := range kustomization.Patches {
		patched := false
		err := EachDocument([]byte(p.Patch), func(document []byte) error {
			patched = true
			if kind := field(document, "kind"); !plainKind.MatchString(kind) || kind == crdKindName {
				return errors.New("it may be of a CRD")
			}
			return nil
		})
		if err != nil || !patched {
			return false
		}
	}
	return true
}

// plainKind is a kind as it is usually written, without quotes.
var plainKind = regexp.MustCompile(`^[A-Za-z]+$`)

// inlinePatch is a patch that names its object itself; with a target or in a file of its own it is not read.
type inlinePatch struct {
	Patch string `json:"patch"`
}

// splitDefinitions takes the CRDs out of a file.
func splitDefinitions(content []byte) (definitions [][]byte, rest []byte, err error) {
	var others [][]byte
	err = EachDocument(content, func(document []byte) error {
		if field(document, "kind") == crdKindName {
			definitions = append(definitions, append(bytes.TrimSpace(document), '\n'))
		} else {
			others = append(others, document)
		}
		return nil
	})
	return definitions, bytes.Join(others, []byte("---\n")), err
}

// field is a plain top-level field of a document, or "" when it is not written in the usual way.
func field(document []byte, name string) string {
	for line := range bytes.Lines(document) {
		if value, found := bytes.CutPrefix(line, []byte(name+": ")); found {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// EachDocument calls do with every document of a multi-document file that holds something. The document is
// do's to keep.
func EachDocument(content []byte, do func([]byte) error) error {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(document)) == "" {
			continue
		}
		if err := do(document); err != nil {
			return err
		}
	}
}

// CheckBuild builds the directory dir out of files, which are given by their paths, as Flux itself will, and
// says why that fails.
func CheckBuild(files map[string][]byte, dir string) error {
	// as Flux's controller, which bounds it to the repository
	_, err := kustomize.Build(files, dir, kustomize.AllFiles)
	return err
}
