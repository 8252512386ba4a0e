package lint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// unit is a directory of which Flux applies what kustomize makes of its files, and not the files as they are
// written. All other files are taken as they are, which costs nothing.
type unit struct {
	dir string
	// its kustomization; empty when there is none and only Flux's own settings change something
	file     string
	settings fluxbuild.Settings // of Flux's Kustomization, when they change what is built
	read     map[string][]byte  // the files that were read for it

	objects map[string][]fluxbuild.Object // by the file that they are from
	err     error                         // why it cannot be built
	unseen  []error                       // what is not looked at
}

// plainFields are the fields of a kustomization that change nothing about the objects that it lists.
var plainFields = []string{"apiVersion", "kind", "metadata", "resources", "bases", "generatorOptions",
	"buildMetadata", "openapi"}

// transforms says whether a kustomization makes something else of what it lists.
func transforms(root *yaml.Node) bool {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if !slices.Contains(plainFields, root.Content[i].Value) && !yamlnode.IsEmpty(root.Content[i+1]) {
			return true
		}
	}
	return false
}

// settings are those of the Kustomization that applies the fleet, in Flux's own directory.
func (f *fleet) settings() fluxbuild.Settings {
	for _, dir := range f.primarySystem() {
		objects, _ := manifestsIn("", f.contents[path.Join(dir, layout.SyncFile)])
		for _, m := range objects {
			var spec map[string]any
			if m.kind != "Kustomization" ||
				path.Join("/", yamlnode.Scalar(m.node, "spec", "path")) != path.Join("/", f.root) {
				continue
			}
			if value := yamlnode.At(m.node, "spec"); value == nil || value.Decode(&spec) != nil {
				continue
			}
			if settings, err := fluxbuild.SettingsOf(spec); err == nil {
				return settings
			}
		}
	}
	return fluxbuild.Settings{}
}

// buildUnits has kustomize build what it has to. What another state has built of the same files is taken from
// there.
func (f *fleet) buildUnits(other *fleet) {
	for _, dir := range sortedKeys(f.applied.units) {
		u := f.applied.units[dir]
		if other != nil && other.ignore == f.ignore {
			if same := other.applied.units[dir]; same != nil && f.builtAlready(u, same) {
				u.objects, u.unseen, u.read = same.objects, same.unseen, same.read
				continue
			}
		}
		files := &unitFiles{fleet: f, read: map[string][]byte{}}
		built, err := fluxbuild.Build(fluxbuild.Artifact(files, f.ignore.patterns), u.dir, u.settings)
		u.read = files.read
		switch {
		case fluxbuild.IsUnseen(err):
			u.unseen = []error{err}
			continue
		case err != nil:
			u.err = err
			continue
		}
		u.unseen, u.objects = built.Unseen, map[string][]fluxbuild.Object{}
		for _, o := range built.Objects {
			u.objects[o.File] = append(u.objects[o.File], o)
		}
	}
}

// builtAlready says whether another state has built a unit of the same files.
func (f *fleet) builtAlready(u, same *unit) bool {
	if same.err != nil || u.file != same.file || !u.settings.IsZero() || !same.settings.IsZero() {
		return false
	}
	for name, content := range same.read {
		if !f.tree.isFile(name) {
			return false
		}
		if own, ok := f.content(name); !ok || !bytes.Equal(own, content) {
			return false
		}
	}
	return true
}

// unitFiles gives the files of a state to the builder, and notes which were read.
type unitFiles struct {
	fleet *fleet
	read  map[string][]byte
}

func (u *unitFiles) IsDir(name string) bool { return u.fleet.tree.isDir(name) }

func (u *unitFiles) IsFile(name string) bool { return u.fleet.tree.isFile(name) }

func (u *unitFiles) List(dir string) []string { return u.fleet.tree.children[dir] }

func (u *unitFiles) Read(name string) ([]byte, error) {
	content, ok := u.fleet.content(name)
	if !ok {
		return nil, fmt.Errorf("reading %s", name)
	}
	u.read[name] = content
	return content, nil
}

// effective is what Flux applies of a file with objects of EKS Anywhere: the file as it is, or what kustomize
// makes of those objects.
func (f *fleet) effective(name string) []byte {
	u := f.applied.unitOf[name]
	if u == nil || u.objects == nil {
		return f.contents[name]
	}
	var texts [][]byte
	for _, o := range u.objects[name] {
		if o.APIVersion == clusterspec.APIVersion {
			texts = append(texts, bytes.TrimSpace(o.Text()))
		}
	}
	return bytes.Join(texts, []byte("\n---\n"))
}

// transformed says whether kustomize has made something else of a file.
func (f *fleet) transformed(name string) bool {
	u := f.applied.unitOf[name]
	return u != nil && u.objects != nil
}

// checkUnits says what of the fleet cannot be built, or not be looked at.
func (f *fleet) checkUnits() {
	for _, dir := range sortedKeys(f.applied.units) {
		u := f.applied.units[dir]
		at := cmp.Or(u.file, dir)
		for _, unseen := range u.unseen {
			var built *fluxbuild.Error
			if errors.As(unseen, &built) {
				unseen = built.Err
			}
			f.at(clusterspec.SeverityNotice, "not-looked-at", at, nil, clusterspec.Problem{
				Message: "what Flux makes of this directory is not known here, and its files are checked " +
					"as they are written: " + oneLine(unseen),
			})
		}
		if u.err != nil && !f.hasErrorsBelow(dir) {
			cause := u.err
			var built *fluxbuild.Error
			if errors.As(cause, &built) {
				cause = built.Err
			}
			f.fail("kustomization", at, nil,
				"kustomize cannot build the directory: "+oneLine(cause)+"; "+f.breaks(), "", "")
		}
	}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// hasErrorsBelow says whether a file below a directory has errors, which tell more than kustomize does.
func (f *fleet) hasErrorsBelow(dir string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for file := range f.failing {
		if inside(file, dir) {
			return true
		}
	}
	return false
}

// parseBuilt reads the clusters as kustomize makes them, when it makes them, and reports what is wrong with
// these and not with the files.
func (f *fleet) parseBuilt() {
	if !slices.ContainsFunc(f.specs, f.transformed) {
		return
	}
	var sources []clusterspec.Source
	for _, name := range f.specs {
		if _, applied := f.applied.files[name]; applied {
			sources = append(sources, clusterspec.Source{Name: name, Data: f.effective(name)})
		}
	}
	set, err := clusterspec.ParseApplied(sources)
	f.builtSet = set
	var problems clusterspec.Problems
	errors.As(err, &problems)
	told := map[string]bool{}
	key := func(p clusterspec.Problem) string {
		kind, _, _ := strings.Cut(p.Object, " ")
		return strings.Join([]string{p.File, p.Rule, kind, p.Field}, " ")
	}
	for _, p := range f.problems {
		told[key(p)] = true
	}
	for _, c := range set.Clusters {
		if o := c.Objects[0]; f.transformed(o.File) {
			f.checkBuiltName(c, o)
		}
	}
	for _, p := range problems {
		if !f.transformed(p.File) || told[key(p)] || f.hasErrors(p.File) {
			continue
		}
		if p, keep := inRepository(p); keep {
			p.Line, p.Column = f.writtenAt(p.File, p.Object, p.Field)
			p.Message = "in what Flux builds of the file: " + p.Message
			f.report(p)
		}
	}
}

// checkBuiltName wants a cluster to be applied under the name and in the namespace that its file says, by
// which EKS Anywhere and this program know it.
func (f *fleet) checkBuiltName(c *clusterspec.Cluster, o *clusterspec.Object) {
	written := f.written(o.File, o.Label())
	if written == nil ||
		written.Name == o.Name && (written.Namespace == o.Namespace || !written.NamespaceGiven) {
		return
	}
	u := f.applied.unitOf[o.File]
	line, column := written.Position("metadata.name")
	f.report(clusterspec.Problem{
		Severity: clusterspec.SeverityError, Rule: "cluster-transformed", File: o.File,
		Line: line, Column: column, Object: written.Label(), Field: "metadata", Message: fmt.Sprintf(
			"%s turns this cluster into %s/%s, while EKS Anywhere and eksa-gitops go by what the file says",
			cmp.Or(u.file, "the Kustomization of Flux"), o.Namespace, c.Name),
		Found:    quote(written.Namespace + "/" + written.Name),
		Expected: "a kustomization that leaves the names and namespaces of clusters as they are",
	})
}

// written finds the object in a file, as it is written there, of which kustomize has made another; nil when
// it is not known.
func (f *fleet) written(file, label string) *clusterspec.Object {
	kind, name, _ := strings.Cut(label, " ")
	f.mu.Lock()
	set := f.asWritten[file]
	f.mu.Unlock()
	if set == nil {
		// only positions are asked for
		set, _ = clusterspec.Parse([]clusterspec.Source{{Name: file, Data: f.contents[file]}})
		f.mu.Lock()
		f.asWritten[file] = set
		f.mu.Unlock()
	}
	objects := slices.Clone(set.Unused)
	for _, c := range set.Clusters {
		objects = append(objects, c.Objects...)
	}
	var best *clusterspec.Object
	for _, o := range objects {
		switch {
		case o.Kind != kind:
		case o.Name == name:
			return o
		case best == nil, strings.Contains(name, o.Name) &&
			(len(o.Name) > len(best.Name) || !strings.Contains(name, best.Name)):
			best = o
		}
	}
	return best
}

// writtenAt is where an object's field stands in its file, when kustomize has made another object of it.
func (f *fleet) writtenAt(file, label, field string) (line, column int) {
	if o := f.written(file, label); o != nil {
		return o.Position(field)
	}
	return 1, 1
}

// position is where a field of an object stands in its file.
func (f *fleet) position(o *clusterspec.Object, field string) (line, column int) {
	if f.transformed(o.File) {
		return f.writtenAt(o.File, o.Label(), field)
	}
	return o.Position(field)
}
