package fluxbuild

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
)

// Reach is where something that Flux builds leads out of what it checks out.
type Reach struct {
	// File and Line are where it stands; Line is 0 when that is not known. An object that is in no file has
	// none.
	File string
	Line int
	// Object is the object of Flux's whose field it is; empty for a kustomization.
	Object string
	Field  string // as resources[0]; empty for a file as a whole
	Value  string // as it is written there
	Target string // what it is, by its path in the repository
}

// Reaches finds where the build of a directory leads out of a checkout. It builds the directory with all
// files, watches which of them are looked at, and, when any lies outside, builds it without those. The built
// objects are those of all files. Its error is that of [Build] with all files; what was found until then is
// given all the same.
func Reaches(files Files, dir string, settings Settings, checkout Checkout) (*Built, []Reach, error) {
	watch := &watched{Files: files, checkout: checkout, outside: map[string]bool{}}
	built, err := Build(watch, dir, settings)
	var unbuilt *Error
	if err != nil && !errors.As(err, &unbuilt) {
		return nil, nil, err
	}
	found, readErr := watch.references()
	if readErr != nil {
		return nil, nil, readErr
	}
	found = append(found, watch.components(path.Clean(dir), settings)...)
	if len(found) > 0 || err != nil || len(watch.outside) == 0 {
		return built, found, err
	}
	// Nothing names what was looked at; it may still decide about the result.
	without, errWithout := Build(checkout.Of(files), dir, settings)
	switch {
	case errWithout != nil && !errors.As(errWithout, &unbuilt):
		return nil, nil, errWithout
	case errWithout != nil:
		target := slices.Sorted(maps.Keys(watch.outside))[0]
		found = append(found, Reach{File: path.Clean(dir), Target: target, Value: errWithout.Error()})
	case !sameObjects(built, without):
		found = append(found, watch.ignores()...)
	}
	return built, found, nil
}

func sameObjects(a, b *Built) bool {
	if len(a.Objects) != len(b.Objects) {
		return false
	}
	for i := range a.Objects {
		other := b.Find(a.Objects[i].Name)
		if other == nil || !a.Objects[i].Same(other) {
			return false
		}
	}
	return true
}

// watched are files that note what is looked at outside of a checkout, and which kustomizations are read in
// it.
type watched struct {
	Files
	checkout       Checkout
	outside        map[string]bool
	kustomizations []string
}

// IsFile implements [kustomize.Source].
func (w *watched) IsFile(name string) bool {
	is := w.Files.IsFile(name)
	if is && !w.checkout.HasFile(name) {
		w.outside[name] = true
	}
	return is
}

// IsDir implements [kustomize.Source].
func (w *watched) IsDir(name string) bool {
	is := w.Files.IsDir(name)
	if is && !w.checkout.HasDir(name) && !w.checkout.leadsTo(name) {
		w.outside[name] = true
	}
	return is
}

// Read implements [kustomize.Source].
func (w *watched) Read(name string) ([]byte, error) {
	listing := slices.Contains(kustomize.FileNames, path.Base(name)) && w.checkout.HasFile(name)
	if listing && !slices.Contains(w.kustomizations, name) {
		w.kustomizations = append(w.kustomizations, name)
	}
	return w.Files.Read(name)
}

// references finds the entries of kustomizations that lead out. What they say is followed by its text, too: a
// build that ends at something from elsewhere has not come to the rest.
func (w *watched) references() ([]Reach, error) {
	var found []Reach
	for i := 0; i < len(w.kustomizations); i++ {
		file := w.kustomizations[i]
		content, err := w.Files.Read(file)
		if err != nil {
			return nil, err
		}
		var root yaml.Node
		if yaml.Unmarshal(content, &root) != nil {
			continue // kustomize says so
		}
		eachText(&root, "", func(field string, node *yaml.Node) {
			target, leads := w.leads(path.Dir(file), node.Value)
			switch {
			case leads:
				found = append(found, Reach{
					File: file, Line: node.Line, Field: field, Value: node.Value, Target: target,
				})
			case target != "" && w.checkout.HasDir(target):
				w.enter(target)
			}
		})
	}
	slices.SortFunc(found, func(a, b Reach) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return found, nil
}

// enter has the kustomization of a directory looked through, too.
func (w *watched) enter(dir string) {
	for _, name := range kustomize.FileNames {
		if file := path.Join(dir, name); w.Files.IsFile(file) && !slices.Contains(w.kustomizations, file) {
			w.kustomizations = append(w.kustomizations, file)
		}
	}
}

// leads finds what a text in a kustomization names, and says whether that is outside. The target is empty
// when it names nothing.
func (w *watched) leads(dir, text string) (target string, out bool) {
	noPath := text == "" || len(text) > 1000 || strings.ContainsAny(text, "\n{") ||
		strings.HasPrefix(text, "/")
	if noPath || kustomize.IsRemote(text) {
		return "", false
	}
	for _, value := range []string{text, afterKey(text)} {
		target = path.Join(dir, value)
		above := target == ".." || strings.HasPrefix(target, "../")
		if above || !w.Files.IsFile(target) && !w.Files.IsDir(target) {
			continue
		}
		outside := !w.checkout.HasFile(target) && !w.checkout.HasDir(target) && !w.checkout.leadsTo(target)
		if outside && (strings.HasPrefix(value, "../") || w.touched(target)) {
			return target, true
		}
		return target, false
	}
	return "", false
}

// afterKey is the path in KEY=PATH, as generators have it.
func afterKey(text string) string {
	if _, after, keyed := strings.Cut(text, "="); keyed {
		return after
	}
	return text
}

// touched says whether the build has looked at a path, or at something in it.
func (w *watched) touched(target string) bool {
	for name := range w.outside {
		if name == target || strings.HasPrefix(name, target+"/") {
			return true
		}
	}
	return false
}

// components are the entries of Flux's own Kustomization that lead out.
func (w *watched) components(dir string, settings Settings) []Reach {
	var found []Reach
	for i, component := range settings.Components {
		if target, out := w.leads(dir, component); out {
			field := fmt.Sprintf("spec.components[%d]", i)
			found = append(found, Reach{Field: field, Value: component, Target: target})
		}
	}
	return found
}

// ignores are the .sourceignore files outside: what they leave out would be there without them.
func (w *watched) ignores() []Reach {
	var found []Reach
	for _, name := range slices.Sorted(maps.Keys(w.outside)) {
		if path.Base(name) == IgnoreFile {
			found = append(found, Reach{File: name, Target: name})
		}
	}
	return found
}

// eachText visits the texts of a document with their fields.
func eachText(node *yaml.Node, field string, visit func(field string, node *yaml.Node)) {
	switch node.Kind {
	case yaml.ScalarNode:
		visit(field, node)
	case yaml.DocumentNode:
		for _, child := range node.Content {
			eachText(child, field, visit)
		}
	case yaml.SequenceNode:
		for i, child := range node.Content {
			eachText(child, fmt.Sprintf("%s[%d]", field, i), visit)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			eachText(node.Content[i+1], strings.TrimPrefix(field+"."+node.Content[i].Value, "."), visit)
		}
	}
}

// documents reads the documents of a stream, as far as it is YAML.
func documents(content []byte) []*yaml.Node {
	var all []*yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(string(content)))
	for {
		var document yaml.Node
		if decoder.Decode(&document) != nil {
			return all // at its end, or at what is not YAML
		}
		if len(document.Content) == 1 {
			all = append(all, document.Content[0])
		}
	}
}
