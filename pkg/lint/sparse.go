package lint

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// outsideRule is about what Flux needs and does not fetch.
const outsideRule = "outside-checkout"

// sparse is what a fleet's Flux fetches of the repository, where that is not all of it.
type sparse struct {
	checkout fluxbuild.Checkout
	source   fluxbuild.Name
	file     string     // gotk-sync.yaml
	node     *yaml.Node // the field there
	whole    *folders   // with what is not fetched
}

// sourceField finds a field in the spec of a fleet's GitRepository; nil is none.
func sourceField(tree *folders, root, field string) (file string, source fluxbuild.Name, node *yaml.Node) {
	for _, name := range tree.children[root] {
		file := path.Join(root, name, layout.SyncFile)
		if entry, there := tree.tree[file]; !there || entry.Ignored ||
			entry.Kind != NodeFile && entry.Kind != nodeLeftOut {
			continue
		}
		content, err := tree.tree[file].Content.Read()
		if err != nil || !bytes.Contains(content, []byte(field)) {
			continue // the error shows where all files are read
		}
		objects, _ := manifestsIn(file, content)
		for _, m := range objects {
			node := yamlnode.Follow(yamlnode.At(m.node, "spec", field))
			if m.kind == "GitRepository" && m.name == name && node != nil {
				return file, fluxbuild.Name{Kind: m.kind, Namespace: m.namespace, Name: m.name}, node
			}
		}
	}
	return "", fluxbuild.Name{}, nil
}

// sparseOf reads what a fleet's Flux fetches; nil is all of the repository.
func sparseOf(tree *folders, root string) *sparse {
	file, source, list := sourceField(tree, root, "sparseCheckout")
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		return nil
	}
	s := &sparse{file: file, node: list, whole: tree, source: source}
	for _, item := range list.Content {
		s.checkout = append(s.checkout, yamlnode.Follow(item).Value)
	}
	return s
}

// fetched is the part of the repository that is fetched, without what else is left out. It costs in
// proportion to that part.
func (s *sparse) fetched(ignore ignored) *folders {
	part := Tree{}
	take := func(name string) { part[name] = s.whole.tree[name].unjudged() }
	for _, entry := range s.checkout {
		parent, beginning := path.Split(strings.TrimPrefix(entry, "./"))
		parent = path.Clean(parent)
		siblings := s.whole.children[parent]
		at, _ := slices.BinarySearch(siblings, beginning)
		for _, name := range siblings[at:] {
			if !strings.HasPrefix(name, beginning) {
				break
			}
			child := path.Join(parent, name)
			if _, isNode := s.whole.tree[child]; isNode {
				take(child)
				continue
			}
			for _, file := range s.whole.below(child) {
				take(file)
			}
		}
	}
	return foldersWithout(part, ignore)
}

// fetchedOf gives the fleet only what its Flux fetches. A part that lacks something of the fleet itself is
// told, and all is looked at.
func (f *fleet) fetchedOf(tree *folders) {
	f.ignore, f.sparse = ignoredBy(tree, f.root), sparseOf(tree, f.root)
	switch {
	case f.sparse != nil && f.sparse.checkout.HasDir(f.root):
		f.tree = f.sparse.fetched(f.ignore)
	case f.ignore.patterns != "":
		f.tree = tree.without(f.ignore)
	}
}

// shown is what is fetched, for people.
func (s *sparse) shown() string { return strings.Join(s.checkout, ", ") }

// outsideProblem is what is said of something that is there and not fetched.
func (s *sparse) outsideProblem(target string) clusterspec.Problem {
	everything := hint.Run{Do: hint.Upgrade, File: hint.AnyFile,
		With: []hint.Setting{hint.SparseCheckout.Off()}}.Hint()
	return clusterspec.Problem{
		Message: fmt.Sprintf("%s is not in what Flux fetches of the repository "+
			"(spec.sparseCheckout in %s: %s)", target, s.file, s.shown()),
		Expected: "it in there; or all of the repository fetched: " + everything.String(),
		Help:     everything,
	}
}

// outside says whether something is in the repository and not fetched.
func (f *fleet) outside(target string) bool {
	s := f.sparse
	if s == nil || s.checkout.HasFile(target) || s.checkout.HasDir(target) {
		return false
	}
	return s.whole.isFile(target) || s.whole.isDir(target)
}

// checkReach tells what Flux needs of the fleet and does not fetch.
func (f *fleet) checkReach() {
	s := f.sparse
	if s == nil {
		return
	}
	if !s.checkout.HasDir(f.root) {
		f.at(clusterspec.SeverityError, outsideRule, s.file, s.node, clusterspec.Problem{
			Object: s.source.Kind + " " + s.source.Name, Field: "spec.sparseCheckout",
			Found: quote(s.shown()), Expected: quote(f.root + "/"),
			Message: "Flux does not fetch all of the path that it applies, " +
				"and deletes what it has applied from the rest",
		})
		return
	}
	_, reaches, err := fluxbuild.ReachesOf(wholeFiles{f}, f.root, f.settings(), s.source, s.checkout)
	if err != nil && len(reaches) == 0 {
		return // it is told where files are read and built
	}
	told := map[string]bool{}
	for _, p := range f.problems {
		if p.Rule == outsideRule {
			told[fmt.Sprint(p.File, p.Line)] = true
		}
	}
	for _, reach := range reaches {
		if reach.File == "" { // a setting of Flux's own Kustomization
			reach.File = s.file
		}
		if told[fmt.Sprint(reach.File, reach.Line)] {
			continue
		}
		p := s.outsideProblem(reach.Target)
		p.Severity, p.Rule = clusterspec.SeverityError, outsideRule
		p.File, p.Line, p.Column = reach.File, max(reach.Line, 1), 1
		p.Object, p.Field, p.Found = objectLabel(reach.Object), reach.Field, quote(reach.Value)
		if reach.Field == "" {
			p.Message, p.Found = "Flux does not heed this file: "+p.Message, ""
		}
		f.report(p)
	}
}

// objectLabel is kind and name of an object that is given with its namespace.
func objectLabel(object string) string {
	kind, name, _ := strings.Cut(object, " ")
	if _, inNamespace, ok := strings.Cut(name, "/"); ok {
		return kind + " " + inNamespace
	}
	return object
}

// wholeFiles are the files of the repository, whether they are fetched or not.
type wholeFiles struct{ fleet *fleet }

// IsDir implements [fluxbuild.Files], as the other methods do.
func (w wholeFiles) IsDir(name string) bool { return w.fleet.sparse.whole.isDir(name) }

// IsFile says whether there is a file.
func (w wholeFiles) IsFile(name string) bool {
	node, ok := w.fleet.sparse.whole.tree[name]
	return ok && !node.Ignored && (node.Kind == NodeFile || node.Kind == nodeLeftOut)
}

// List names what is in a directory.
func (w wholeFiles) List(dir string) []string { return w.fleet.sparse.whole.children[dir] }

// Read reads a file.
func (w wholeFiles) Read(name string) ([]byte, error) {
	if content, ok := w.fleet.contents[name]; ok {
		return content, nil
	}
	return w.fleet.sparse.whole.tree[name].Content.Read()
}

// stopsAt notes that a file keeps Flux from building the fleet.
func (f *fleet) stopsAt(file string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken, f.unbuilt[file] = true, true
}
