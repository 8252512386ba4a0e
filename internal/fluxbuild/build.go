package fluxbuild

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
)

// Files are the files of one state of a repository, by their slash paths from its root; the root itself is
// ".".
type Files interface {
	kustomize.Source
	// List names what is in a directory, sorted; links and submodules may be among it.
	List(dir string) []string
}

// Built is what Flux makes of a directory.
type Built struct {
	Objects []Object
	// Unseen are the directories of which nothing is known, because they take something from elsewhere; the
	// errors say what.
	Unseen []error
}

// Find returns an object by its identity, or nil.
func (b *Built) Find(name Name) *Object {
	for i := range b.Objects {
		if b.Objects[i].Name == name {
			return &b.Objects[i]
		}
	}
	return nil
}

// Error says that Flux cannot build a directory, so that it applies nothing of it.
type Error struct {
	Dir string
	Err error
}

// Error says why.
func (e *Error) Error() string { return fmt.Sprintf("Flux cannot build %s: %v", e.Dir, e.Err) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrAbsent is the cause when there is no such directory.
var ErrAbsent = errors.New("there is no such directory")

// Build gives the objects that Flux applies of a directory, with the settings of its Kustomization, of what
// source-controller fetches; see [Artifact], which says so with further patterns. What Flux cannot build is
// an *Error;
// other errors are those of reading.
func Build(files Files, dir string, settings Settings) (*Built, error) {
	dir = path.Clean(dir)
	if _, fetched := files.(*artifact); !fetched {
		files = Artifact(files, "")
	}
	b := &build{files: files, root: dir, ids: map[Name]string{}}
	if !files.IsDir(dir) {
		return nil, &Error{dir, ErrAbsent}
	}
	var err error
	switch own := b.kustomizationIn(dir); {
	case !settings.plain():
		err = b.transformed(dir, own, settings)
	case own == "":
		err = b.scan(dir)
	default:
		err = b.kustomization(dir)
	}
	if err == nil {
		err = b.finish(settings)
	}
	if err == nil {
		err = b.unique()
	}
	if err != nil {
		return nil, b.wrap(err)
	}
	return &b.built, nil
}

// BuildFile gives the objects of one file, as of one that lies in a directory without a kustomization. The
// errors are those of [Build].
func BuildFile(files Files, name string) (*Built, error) {
	b := &build{files: files, root: name, ids: map[Name]string{}}
	err := b.file(name)
	if err == nil {
		err = b.unique()
	}
	if err != nil {
		return nil, b.wrap(err)
	}
	return &b.built, nil
}

// readError is a file that could not be had, which says nothing about what Flux can build.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

type build struct {
	files Files
	root  string
	built Built
	ids   map[Name]string
}

func (b *build) wrap(err error) error {
	var read readError
	var built *Error
	switch {
	case errors.As(err, &read):
		return read.error
	case errors.As(err, &built):
		return built
	}
	return &Error{b.root, err}
}

// unique makes sure that no object is there twice, which kustomize refuses.
func (b *build) unique() error {
	for i := range b.built.Objects {
		o := &b.built.Objects[i]
		if first, twice := b.ids[o.Name]; twice {
			return fmt.Errorf("%s is in %s and in %s", o.Name, first, cmp.Or(o.File, "what is generated"))
		}
		b.ids[o.Name] = o.File
	}
	return nil
}

func (b *build) kustomizationIn(dir string) string {
	for _, name := range kustomize.FileNames {
		if file := path.Join(dir, name); b.files.IsFile(file) {
			return file
		}
	}
	return ""
}

// scan takes a directory without a kustomization: all YAML files in it and below, and directories with a
// kustomization as that says.
func (b *build) scan(dir string) error {
	for _, name := range b.files.List(dir) {
		child := path.Join(dir, name)
		var err error
		switch {
		case b.files.IsFile(child):
			if isYAML(child) {
				err = b.file(child)
			}
		case !b.files.IsDir(child):
		case b.kustomizationIn(child) != "":
			if err = b.kustomization(child); b.elsewhere(err) {
				err = nil
			}
		default:
			err = b.scan(child)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// IsUnseen says whether an error is that something is not looked at here, which Flux may well be able to
// build: what is from elsewhere, and fields of kustomize that are not supported here.
func IsUnseen(err error) bool {
	var remote *kustomize.RemoteError
	var unsupported *kustomize.UnsupportedError
	return errors.As(err, &remote) || errors.As(err, &unsupported)
}

// elsewhere notes what is not looked at because it is from elsewhere.
func (b *build) elsewhere(err error) bool {
	if IsUnseen(err) {
		b.built.Unseen = append(b.built.Unseen, err)
		return true
	}
	return false
}

func isYAML(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// kustomization takes a directory by its kustomization. One that only lists resources is followed without
// kustomize, which would take a hundred times as long.
func (b *build) kustomization(dir string) error {
	resources, untouched, settings, plain, err := b.plain(dir)
	if err != nil {
		return err
	}
	if !plain {
		return b.kustomize(b.files, dir, nil)
	}
	before := len(b.built.Objects)
	for _, entry := range resources {
		target := path.Join(dir, entry)
		switch {
		case b.files.IsFile(target):
			err = b.file(target)
		case b.kustomizationIn(target) != "":
			err = b.kustomization(target)
		default:
			err = fmt.Errorf("%s lists %s, where there is nothing to build",
				path.Join(dir, kustomize.FileNames[0]), entry)
		}
		if err != nil {
			b.built.Objects = b.built.Objects[:before]
			return err
		}
	}
	if !untouched {
		built := &later{files: b.files, dir: dir, settings: settings}
		for i := range b.built.Objects[before:] {
			b.built.Objects[before+i].later = built
		}
	}
	return nil
}

// plain reads the resources of a kustomization that decides nothing else about which objects there are; false
// is for any other.
//
// untouched says that it has nothing else; other fields that are there are [harmless]. settings says that
// they may change what a Kustomization object says of the build.
func (b *build) plain(dir string) (resources []string, untouched, settings, plain bool, err error) {
	var file string
	for _, name := range kustomize.FileNames {
		if candidate := path.Join(dir, name); b.files.IsFile(candidate) {
			if file != "" {
				return nil, false, false, false, nil // two of them, which kustomize refuses
			}
			file = candidate
		}
	}
	content, err := b.read(file)
	if err != nil {
		return nil, false, false, false, err
	}
	var root yaml.Node
	if yaml.Unmarshal(content, &root) != nil || root.Kind != yaml.DocumentNode ||
		root.Content[0].Kind != yaml.MappingNode {
		return nil, false, false, false, nil
	}
	untouched = true
	fields := root.Content[0].Content
	seen := map[string]bool{}
	for i := 0; i+1 < len(fields); i += 2 {
		key, value := fields[i].Value, fields[i+1]
		again := seen[key]
		seen[key] = true
		switch {
		case again:
			return nil, false, false, false, nil
		case key == "apiVersion" && value.Value == "kustomize.config.k8s.io/v1beta1",
			key == "kind" && value.Value == "Kustomization":
		case key == "resources" && value.Kind == yaml.SequenceNode && len(value.Content) > 0:
			for _, item := range value.Content {
				if item.Kind != yaml.ScalarNode || !isLocal(dir, item.Value) ||
					slices.Contains(resources, item.Value) {
					return nil, false, false, false, nil
				}
				resources = append(resources, item.Value)
			}
		case harmless(key, value):
			untouched = false
		default:
			return nil, false, false, false, nil
		}
	}
	return resources, untouched, patchesSettings(root.Content[0]), len(resources) > 0, nil
}

// isLocal says whether an entry is a path below the directory.
func isLocal(dir, entry string) bool {
	if entry == "" || strings.HasPrefix(entry, "/") || kustomize.IsRemote(entry) {
		return false
	}
	clean := path.Clean(entry)
	return clean != "." && clean != ".." && !strings.HasPrefix(clean, "../") && dir != ""
}

func (b *build) read(file string) ([]byte, error) {
	content, err := b.files.Read(file)
	if err != nil {
		return nil, readError{fmt.Errorf("reading %s: %w", file, err)}
	}
	return content, nil
}

// file takes the objects of a file.
func (b *build) file(name string) error {
	content, err := b.read(name)
	if err != nil {
		return err
	}
	lines := bytes.Split(content, []byte("\n"))
	var starts []int
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var nodes []*yaml.Node
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s is not valid YAML: %w", name, err)
		}
		if len(document.Content) == 1 && document.Content[0].Tag != "!!null" {
			nodes, starts = append(nodes, document.Content[0]), append(starts, document.Content[0].Line)
		}
	}
	for i, node := range nodes {
		end := len(lines)
		if i+1 < len(starts) {
			end = starts[i+1] - 1
		}
		if err := b.document(name, node, documentText(lines, starts[i]-1, end)); err != nil {
			return err
		}
	}
	return nil
}

// documentText is a document's lines, up to the separator.
func documentText(lines [][]byte, from, to int) []byte {
	for i := from; i < to; i++ {
		if i > from &&
			(bytes.HasPrefix(lines[i], []byte("---")) || bytes.HasPrefix(lines[i], []byte("..."))) {
			to = i
		}
	}
	text := bytes.Join(lines[from:to], []byte("\n"))
	if after, found := bytes.CutPrefix(text, []byte("---")); found {
		return after
	}
	return text
}

// document takes one object, or the objects of a list.
func (b *build) document(file string, node *yaml.Node, text []byte) error {
	apiVersion, kind := scalar(node, "apiVersion"), scalar(node, "kind")
	metadata := child(node, "metadata")
	if apiVersion == "" || kind == "" {
		return fmt.Errorf("%s:%d is not a Kubernetes object: it has no apiVersion or no kind",
			file, node.Line)
	}
	if items := child(node, "items"); strings.HasSuffix(kind, "List") && items != nil &&
		items.Kind == yaml.SequenceNode {
		for _, item := range items.Content {
			text, err := yaml.Marshal(item)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", file, item.Line, err)
			}
			if err := b.document(file, item, text); err != nil {
				return err
			}
		}
		return nil
	}
	name := scalar(metadata, "name")
	if name == "" {
		return fmt.Errorf("%s:%d is not a Kubernetes object: it has no metadata.name", file, node.Line)
	}
	b.built.Objects = append(b.built.Objects, Object{
		Name: Name{Group: groupOf(apiVersion), Kind: kind, Namespace: scalar(metadata, "namespace"),
			Name: name},
		APIVersion: apiVersion, File: file, Line: node.Line, text: text,
	})
	return nil
}

func groupOf(apiVersion string) string {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return ""
	}
	return group
}

func child(node *yaml.Node, key string) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

func scalar(node *yaml.Node, key string) string {
	value := child(node, key)
	for value != nil && value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	if value == nil || value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
		return ""
	}
	return value.Value
}

// kustomize has kustomize build a directory.
func (b *build) kustomize(files kustomize.Source, dir string, edit func(*types.Kustomization)) error {
	built, err := kustomize.BuildFrom(reading{files}, dir, edit)
	if err != nil {
		return err
	}
	for _, r := range built.Resources() {
		object, err := objectOf(r, dir)
		if err != nil {
			return err
		}
		b.built.Objects = append(b.built.Objects, object)
	}
	return nil
}

// reading tells errors of reading from those of building.
type reading struct{ kustomize.Source }

// Read implements [kustomize.Source].
func (r reading) Read(name string) ([]byte, error) {
	content, err := r.Source.Read(name)
	if err != nil {
		return nil, readError{fmt.Errorf("reading %s: %w", name, err)}
	}
	return content, nil
}

// objectOf takes an object out of kustomize's hands, without the mark that says where it is from.
func objectOf(r *resource.Resource, dir string) (Object, error) {
	var o Object
	origin, err := r.GetOrigin()
	if err != nil {
		return o, err
	}
	if origin != nil && origin.Path != "" && origin.Repo == "" {
		o.File = path.Join(dir, origin.Path)
	}
	if err := r.SetOrigin(nil); err != nil {
		return o, err
	}
	o.resource = r
	gvk := r.GetGvk()
	o.Name = Name{Group: gvk.Group, Kind: gvk.Kind, Namespace: r.GetNamespace(), Name: r.GetName()}
	o.APIVersion = gvk.ApiVersion()
	return o, nil
}
