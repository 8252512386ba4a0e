package fluxmanifests

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"
	"github.com/fluxcd/flux2/v2/pkg/manifestgen/sync"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests/internal/release"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

//go:embed all:manifests
var embedded embed.FS

// The defaults of `flux bootstrap` (its Go module, cmd/flux/bootstrap.go and pkg/manifestgen).
const (
	defaultSyncInterval = time.Minute
	downloadTimeout     = time.Minute
)

// ComponentsOptions choose what of Flux is installed. The zero value is what `flux bootstrap` installs.
type ComponentsOptions struct {
	// Version is a Flux release (v2.9.4); the pinned [Version] when empty. Any other is downloaded.
	Version string
	// Namespace is where the controllers run; flux-system when empty.
	Namespace string
	// Components are the controllers, source-controller and kustomize-controller among them; Flux's four
	// default ones when empty.
	Components []string
	// ComponentsExtra are more controllers, beside Components or the default ones.
	ComponentsExtra []string
	// Registry holds the images; ghcr.io/fluxcd when empty.
	Registry string
	// ImagePullSecret is the name of a Secret in Namespace that the images are pulled with.
	ImagePullSecret string
	// ClusterDomain is the cluster's own DNS domain; cluster.local when empty.
	ClusterDomain string
	// TolerationKeys are taints that the controllers' pods tolerate.
	TolerationKeys []string
	// LogLevel is that of the controllers: debug, info or error; info when empty.
	LogLevel string
	// NoNetworkPolicy leaves the policies out that keep other pods away from the controllers.
	NoNetworkPolicy bool
	// OwnNamespaceOnly has the controllers see objects of their own namespace only.
	OwnNamespaceOnly bool
}

// Components returns gotk-components.yaml: the Namespace, CRDs, roles and controllers of a Flux version, as
// `flux bootstrap` of that version writes it. The same options give the same bytes. A *ReleaseError says that
// the release had to be downloaded and could not.
func Components(ctx context.Context, options ComponentsOptions) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	generate, err := options.generate()
	if err != nil {
		return nil, err
	}
	have := Complete() && generate.Version == Version
	if have && onlyNamespace(generate) {
		return rendered(generate.Namespace)
	}
	if have && !slices.ContainsFunc(generate.Components, notEmbedded) {
		return render(generate)
	}
	return download(ctx, generate)
}

// defaultGenerate are the generator's options for the zero ComponentsOptions.
func defaultGenerate() install.Options {
	generate := install.MakeDefaultOptions()
	generate.Version = Version
	generate.Timeout = downloadTimeout
	return generate
}

// generate puts the options into the generator's terms.
func (o *ComponentsOptions) generate() (install.Options, error) {
	generate := defaultGenerate()
	generate.Version = cmp.Or(o.Version, generate.Version)
	generate.Namespace = cmp.Or(o.Namespace, generate.Namespace)
	generate.Registry = cmp.Or(strings.TrimSuffix(o.Registry, "/"), generate.Registry)
	generate.ClusterDomain = cmp.Or(o.ClusterDomain, generate.ClusterDomain)
	generate.ImagePullSecret = o.ImagePullSecret
	generate.TolerationKeys = slices.Clone(o.TolerationKeys)
	generate.LogLevel = cmp.Or(o.LogLevel, generate.LogLevel)
	generate.NetworkPolicy, generate.WatchAllNamespaces = !o.NoNetworkPolicy, !o.OwnNamespaceOnly
	if err := CheckComponents(o.Components, o.ComponentsExtra); err != nil {
		return generate, err
	}
	generate.Components = o.Chosen()
	if !strings.HasPrefix(generate.Version, "v") {
		return generate, fmt.Errorf("%q is not a Flux release; releases are named like %s",
			generate.Version, Version)
	}
	return generate, nil
}

// DefaultComponents are the controllers that `flux bootstrap` installs unless it is told otherwise.
func DefaultComponents() []string { return slices.Clone(install.MakeDefaultOptions().Components) }

// Chosen are the controllers that the options ask for, each once.
func (o *ComponentsOptions) Chosen() []string {
	chosen := slices.Clone(o.Components)
	if len(chosen) == 0 {
		chosen = DefaultComponents()
	}
	for _, extra := range o.ComponentsExtra {
		if !slices.Contains(chosen, extra) {
			chosen = append(chosen, extra)
		}
	}
	return chosen
}

// CheckComponents says what is wrong with a choice of controllers: components in the place of Flux's default
// ones, unless there are none, and extra ones. Flux cannot do without those that fetch and apply.
func CheckComponents(components, extra []string) error {
	defaults := install.MakeDefaultOptions()
	known := slices.Sorted(slices.Values(slices.Concat(defaults.Components, defaults.ComponentsExtra)))
	seen := map[string]bool{}
	for _, component := range slices.Concat(components, extra) {
		if !slices.Contains(known, component) {
			return fmt.Errorf("flux has no component %q; it has: %s", component, strings.Join(known, ", "))
		}
	}
	for _, component := range components {
		if seen[component] {
			return fmt.Errorf("the component %s is named twice", component)
		}
		seen[component] = true
	}
	for _, required := range RequiredControllers() {
		if len(components) > 0 && !seen[required] && !slices.Contains(extra, required) {
			return fmt.Errorf("the components of flux must include %s: without it nothing is fetched or "+
				"applied any more", required)
		}
	}
	return nil
}

// onlyNamespace says whether nothing differs from the defaults but perhaps the namespace, and that is a plain
// word in YAML.
func onlyNamespace(generate install.Options) bool {
	namespace := generate.Namespace
	generate.Namespace = DefaultNamespace
	if !reflect.DeepEqual(generate, defaultGenerate()) {
		return false
	}
	return plainWord(namespace)
}

// plainWord says whether a name is itself in YAML, without quotes.
func plainWord(name string) bool {
	written, err := yaml.Marshal(name)
	return err == nil && string(written) == name+"\n"
}

// rendered is the installation with default options as it was rendered at build time, in a namespace. The
// generator, too, only puts another name in the place of the default one (a test compares the two); running
// it takes some 100 times as long.
func rendered(namespace string) ([]byte, error) {
	content, err := embedded.ReadFile("manifests/" + release.Default)
	if err != nil {
		return nil, fmt.Errorf("reading Flux's manifests: %w", err)
	}
	if namespace != DefaultNamespace {
		content = bytes.ReplaceAll(content, []byte(DefaultNamespace), []byte(namespace))
	}
	return content, nil
}

// Carried says whether components are those that the program carries for a namespace, byte for byte: what
// [Components] gives for default options.
func Carried(components []byte, namespace string) bool {
	own, err := rendered(namespace)
	return err == nil && plainWord(namespace) && bytes.Equal(components, own)
}

// notEmbedded says whether the program carries no manifests of a component: of Flux's extra ones, which few
// use.
func notEmbedded(component string) bool {
	_, err := fs.Stat(embedded, "manifests/"+component+".yaml")
	return err != nil
}

// render runs Flux's own generator over the embedded files.
func render(generate install.Options) ([]byte, error) {
	dir, err := unpack()
	if err != nil {
		return nil, fmt.Errorf("unpacking Flux's manifests: %w", err)
	}
	defer dir.Remove() // what is left lies among the temporary files
	manifest, err := install.Generate(generate, dir.Dir())
	if err != nil {
		return nil, fmt.Errorf("generating Flux %s: %w", generate.Version, err)
	}
	return []byte(manifest.Content), nil
}

// download renders a release from its published manifests. The generator knows no context: one that ends
// leaves it behind until its own time limit.
func download(ctx context.Context, generate install.Options) ([]byte, error) {
	if deadline, limited := ctx.Deadline(); limited {
		generate.Timeout = min(generate.Timeout, time.Until(deadline))
	}
	type result struct {
		content []byte
		err     error
	}
	done := crash.Go(func() result {
		manifest, err := install.Generate(generate, "")
		if err != nil {
			return result{err: &ReleaseError{Version: generate.Version,
				Pinned: generate.Version == Version && !Complete(), Extra: notDefault(generate.Components),
				Err: err}}
		}
		return result{content: []byte(manifest.Content)}
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case given := <-done:
		r := given.Value()
		return r.content, r.err
	}
}

// ReleaseError says that the manifests of a Flux release are not in the program and could not be downloaded.
type ReleaseError struct {
	Version string
	Pinned  bool // it is the version that the program is made for, and a complete build would carry it
	// Extra are the components that no build carries.
	Extra []string
	Err   error
}

// notDefault are the components that `flux bootstrap` does not install by itself.
func notDefault(components []string) []string {
	return slices.DeleteFunc(slices.Clone(components), func(c string) bool {
		return slices.Contains(DefaultComponents(), c)
	})
}

// Error says why a download was needed.
func (e *ReleaseError) Error() string {
	if e.Pinned {
		return fmt.Sprintf("this program was built without Flux's manifests, and downloading release %s "+
			"did not work: %v", e.Version, e.Err)
	}
	if len(e.Extra) > 0 {
		return fmt.Sprintf("downloading Flux %s, which this program does not carry with %s, did not work: %v",
			e.Version, strings.Join(e.Extra, ", "), e.Err)
	}
	return fmt.Sprintf("downloading Flux %s did not work: %v", e.Version, e.Err)
}

// Unwrap returns the cause.
func (e *ReleaseError) Unwrap() error { return e.Err }

// Hint names the way without a download.
func (e *ReleaseError) Hint() hint.Hint {
	if e.Pinned {
		return "use a released program, or build one with the manifests inside: make build"
	}
	if len(e.Extra) > 0 {
		return hint.Text("without access to the download, leave these components out (%s, %s)",
			hint.ComponentsExtra, hint.Components)
	}
	return "without access to the download, install the version that the program carries: " + Version
}

// Complete says whether the program was built with the manifests of its Flux version. They are generated, not
// committed: a program that is built without them downloads them.
func Complete() bool {
	marker, err := embedded.ReadFile("manifests/" + release.Marker)
	version, _, _ := strings.Cut(string(marker), "\n")
	return err == nil && version == Version
}

// unpack writes the embedded files into a new directory, which the caller removes.
func unpack() (*localfile.Private, error) {
	files, err := fs.Sub(embedded, "manifests")
	if err != nil {
		return nil, err
	}
	dir, err := localfile.NewPrivate()
	if err != nil {
		return nil, err
	}
	if err := dir.CopyFS(files); err != nil {
		return nil, errors.Join(err, dir.Remove())
	}
	return dir, nil
}

// SyncOptions say what Flux follows and applies.
type SyncOptions struct {
	Namespace  string        // flux-system when empty
	Name       string        // of the GitRepository and the Kustomization; the namespace's when empty
	URL        string        // as Flux reaches the repository
	Branch     string        // main when empty
	SecretName string        // of the source Secret; [SourceSecretName] when empty
	Path       string        // of the Kustomization, as ./clusters/mgmt
	Interval   time.Duration // at which Flux looks at the repository; a minute when zero
	// SparseCheckout are the beginnings of the paths that Flux fetches, as `flux bootstrap --sparse-checkout`
	// is given them; all when empty.
	SparseCheckout []string
}

// Sync returns gotk-sync.yaml: the GitRepository and the Kustomization, as `flux bootstrap` writes them.
func Sync(options SyncOptions) ([]byte, error) {
	if options.URL == "" {
		return nil, errors.New("generating the sync manifests: the repository's URL is missing")
	}
	generate := sync.MakeDefaultOptions()
	generate.Interval = cmp.Or(options.Interval, defaultSyncInterval)
	generate.Namespace = cmp.Or(options.Namespace, generate.Namespace)
	generate.Name = cmp.Or(options.Name, generate.Namespace)
	generate.Secret = cmp.Or(options.SecretName, SourceSecretName)
	generate.Branch = cmp.Or(options.Branch, generate.Branch)
	generate.URL, generate.TargetPath = options.URL, options.Path
	generate.SparseCheckout = options.SparseCheckout
	manifest, err := sync.Generate(generate)
	if err != nil {
		return nil, fmt.Errorf("generating the sync manifests: %w", err)
	}
	return []byte(manifest.Content), nil
}
