package fluxinstall

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"
	"github.com/fluxcd/flux2/v2/pkg/manifestgen/sync"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall/internal/release"
)

//go:embed all:manifests
var embedded embed.FS

// The defaults of `flux bootstrap` (its Go module, cmd/flux/bootstrap.go and pkg/manifestgen).
const (
	defaultSyncInterval = time.Minute
	downloadTimeout     = time.Minute
)

// SourceSecretName is the Secret that Flux reads Git with: the default of `flux bootstrap --secret-name`, whatever the namespace.
const SourceSecretName = "flux-system"

// ComponentsOptions choose what of Flux is installed. The zero value is what `flux bootstrap` installs.
type ComponentsOptions struct {
	// Namespace is where the controllers run; flux-system when empty.
	Namespace string
	// Components are the controllers; Flux's four default ones when empty.
	Components []string
	// Registry holds the images; ghcr.io/fluxcd when empty.
	Registry string
	// ImagePullSecret is the name of a Secret in Namespace that the images are pulled with.
	ImagePullSecret string
}

// Components returns gotk-components.yaml: the Namespace, CRDs, roles and controllers of the pinned Flux version, as `flux bootstrap`
// of that version writes it. The same options give the same bytes.
func Components(ctx context.Context, options ComponentsOptions) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	generate := install.MakeDefaultOptions()
	generate.Version = Version
	generate.Timeout = downloadTimeout
	if options.Namespace != "" {
		generate.Namespace = options.Namespace
	}
	if len(options.Components) > 0 {
		generate.Components = slices.Clone(options.Components)
	}
	if options.Registry != "" {
		generate.Registry = options.Registry
	}
	generate.ImagePullSecret = options.ImagePullSecret
	if reflect.DeepEqual(options.normalised(), ComponentsOptions{}) {
		if content, err := embedded.ReadFile("manifests/" + release.Default); err == nil && complete() {
			return content, nil
		}
	}
	dir, err := unpack()
	if err != nil {
		return nil, fmt.Errorf("unpacking Flux's manifests: %w", err)
	}
	if dir != "" {
		defer os.RemoveAll(dir)
	}
	manifest, err := install.Generate(generate, dir)
	if err != nil && dir == "" {
		return nil, fmt.Errorf("this program was built without Flux's manifests, and downloading release %s did not work: %w", Version, err)
	}
	if err != nil {
		return nil, fmt.Errorf("generating Flux %s: %w", Version, err)
	}
	return []byte(manifest.Content), nil
}

// normalised takes out what says no more than the default.
func (o ComponentsOptions) normalised() ComponentsOptions {
	defaults := install.MakeDefaultOptions()
	if o.Namespace == defaults.Namespace {
		o.Namespace = ""
	}
	if slices.Equal(o.Components, defaults.Components) || len(o.Components) == 0 {
		o.Components = nil
	}
	if o.Registry == defaults.Registry {
		o.Registry = ""
	}
	return o
}

// complete says whether the program was built with the manifests of its Flux version.
func complete() bool {
	version, err := embedded.ReadFile("manifests/" + release.Marker)
	return err == nil && string(version) == Version
}

// unpack writes the embedded files into a new directory, which the caller removes. It returns "" when the program has none.
func unpack() (string, error) {
	if !complete() {
		return "", nil
	}
	files, err := fs.Sub(embedded, "manifests")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "eksa-gitops-flux-")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	// The generator resolves paths; a temporary directory may be reached through a link (as on macOS).
	return filepath.EvalSymlinks(dir)
}

// SyncOptions say what Flux follows and applies.
type SyncOptions struct {
	Namespace string // also the name of the objects; flux-system when empty
	URL       string // as Flux reaches the repository
	Branch    string
	Path      string // of the Kustomization, as ./clusters/mgmt
}

// Sync returns gotk-sync.yaml: the GitRepository and the Kustomization, as `flux bootstrap` writes them.
func Sync(options SyncOptions) ([]byte, error) {
	generate := sync.MakeDefaultOptions()
	generate.Interval = defaultSyncInterval
	if options.Namespace != "" {
		generate.Namespace, generate.Name = options.Namespace, options.Namespace
	}
	generate.Secret = SourceSecretName
	generate.URL, generate.Branch, generate.TargetPath = options.URL, options.Branch, options.Path
	manifest, err := sync.Generate(generate)
	if err != nil {
		return nil, fmt.Errorf("generating the sync manifests: %w", err)
	}
	return []byte(manifest.Content), nil
}

// ComponentVersion reads from gotk-components.yaml which Flux it is, and the image of each controller by Deployment name.
func ComponentVersion(components []byte) (version string, images map[string]string, err error) {
	images = map[string]string{}
	err = eachDocument(components, func(document []byte) error {
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
		if v := object.Metadata.Labels[versionLabel]; v != "" && object.Metadata.Labels[partOfLabel] == "flux" && version == "" {
			version = v
		}
		if object.Kind != "Deployment" {
			return nil
		}
		for _, container := range object.Spec.Template.Spec.Containers {
			if container.Name == "manager" {
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

// The labels that Flux's own installer sets.
const (
	versionLabel = "app.kubernetes.io/version"
	partOfLabel  = "app.kubernetes.io/part-of"
)

// BuildSystem builds the files of Flux's folder (by base name: kustomization.yaml and what it lists) as Flux itself will, patches
// included, and returns the installation and the sync objects apart.
func BuildSystem(files map[string][]byte) (components, sync []byte, err error) {
	memory := filesys.MakeFsInMemory()
	for name, content := range files {
		if err := memory.WriteFile("/flux/"+name, content); err != nil {
			return nil, nil, err
		}
	}
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = types.LoadRestrictionsRootOnly
	resources, err := krusty.MakeKustomizer(options).Run(memory, "/flux")
	if err != nil {
		return nil, nil, err
	}
	var installation, objects [][]byte
	for _, resource := range resources.Resources() {
		content, err := resource.AsYAML()
		if err != nil {
			return nil, nil, err
		}
		switch resource.GetGvk().Group {
		case "source.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io":
			objects = append(objects, content)
		default:
			installation = append(installation, content)
		}
	}
	separator := []byte("---\n")
	return bytes.Join(installation, separator), bytes.Join(objects, separator), nil
}

// eachDocument calls do with every document of a multi-document file that holds something.
func eachDocument(content []byte, do func([]byte) error) error {
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
