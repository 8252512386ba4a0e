package lint

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
)

// Tree is one state of a repository: everything in it by its slash path relative to the root, without
// directories.
type Tree map[string]Node

// Node is one entry of a [Tree].
type Node struct {
	Kind NodeKind
	// Ignored is set for what lies in a work tree but will not be committed. It may be a directory, as one
	// node.
	Ignored bool
	// Filter is set for a file of a work tree that a git filter, such as lfs, makes another content of when
	// it is committed.
	Filter string
	// Content is needed for files only.
	Content Content
	// ignoredBy is the file that has Flux leave a file out which would be fetched without it.
	ignoredBy string
}

// NodeKind is what a node is.
type NodeKind int

// The kinds of nodes.
const (
	NodeFile NodeKind = iota
	NodeSymlink
	NodeSubmodule
	// nodeLeftOut is a file that Flux's source-controller leaves out of what it fetches.
	nodeLeftOut
)

// Content is where the bytes of a file come from. Its methods may be called at the same time.
type Content interface {
	Read() ([]byte, error)
	// Holds says whether the file has exactly these bytes; it may cost less than reading them.
	Holds(content []byte) bool
}

// Bytes is content in memory.
type Bytes []byte

// Read gives the bytes.
func (b Bytes) Read() ([]byte, error) { return b, nil }

// Holds compares the bytes.
func (b Bytes) Holds(content []byte) bool { return bytes.Equal(b, content) }

// folders is a tree with its directories: the names in each, sorted, by its path; "." is the root. What git
// ignores is not in it.
type folders struct {
	tree     Tree
	children map[string][]string
}

func foldersOf(tree Tree) *folders { return foldersWithout(tree, ignored{}) }

// ignored is what spec.ignore of a fleet's GitRepository has Flux leave out, beside what it leaves out of
// every repository.
type ignored struct{ patterns, file string }

// ignoredBy reads what a fleet's Flux leaves out.
func ignoredBy(tree *folders, root string) ignored {
	file, _, node := sourceField(tree, root, "ignore")
	if node == nil || node.Kind != yaml.ScalarNode {
		return ignored{}
	}
	return ignored{node.Value, file}
}

// without is the tree as a Flux fetches it that leaves out more, or less, than others.
func (f *folders) without(ignore ignored) *folders {
	tree := make(Tree, len(f.tree))
	for name, node := range f.tree {
		tree[name] = node.unjudged()
	}
	return foldersWithout(tree, ignore)
}

// unjudged is the node before anything was said about what Flux leaves out, which may depend on other files.
func (n Node) unjudged() Node {
	if n.Kind == nodeLeftOut {
		n.Kind = NodeFile
	}
	return n
}

func foldersWithout(tree Tree, ignore ignored) *folders {
	f := &folders{tree: tree, children: map[string][]string{}}
	seen := map[string]bool{}
	for name, node := range tree {
		if node.Ignored {
			continue
		}
		for child := name; child != "." && !seen[child]; {
			seen[child] = true
			dir := path.Dir(child)
			f.children[dir] = append(f.children[dir], path.Base(child))
			child = dir
		}
	}
	for _, names := range f.children {
		slices.Sort(names)
	}
	f.leaveOut(ignore)
	return f
}

// leaveOut marks the YAML files that Flux does not fetch: what a .sourceignore or spec.ignore names, and what
// source-controller leaves out by itself.
func (f *folders) leaveOut(ignore ignored) {
	files := treeFiles{f}
	fetched, others := fluxbuild.Artifact(files, ignore.patterns), fluxbuild.Artifact(files, "")
	var left []string
	for name := range f.tree {
		if isYAML(name) && files.IsFile(name) && !fetched.IsFile(name) {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return
	}
	f.tree = maps.Clone(f.tree)
	for _, name := range left {
		node := f.tree[name]
		node.Kind = nodeLeftOut
		if ignore.patterns != "" && others.IsFile(name) {
			node.ignoredBy = ignore.file
		}
		f.tree[name] = node
	}
}

// treeFiles gives the files of a tree as they are, for what decides which of them Flux fetches.
type treeFiles struct{ *folders }

// IsDir implements [fluxbuild.Files], as the other methods do.
func (t treeFiles) IsDir(name string) bool { return t.isDir(name) }

// IsFile says whether there is a file.
func (t treeFiles) IsFile(name string) bool { return t.isFile(name) }

// List names what is in a directory.
func (t treeFiles) List(dir string) []string { return t.children[dir] }

// Read reads a file.
func (t treeFiles) Read(name string) ([]byte, error) { return t.tree[name].Content.Read() }

// isFile says whether there is a file that a commit would hold; links and submodules are none.
func (f *folders) isFile(name string) bool {
	node, ok := f.tree[name]
	return ok && node.Kind == NodeFile && !node.Ignored
}

func (f *folders) isDir(name string) bool { return len(f.children[name]) > 0 }

// below lists the files below a directory, sorted.
func (f *folders) below(dir string) []string {
	var out []string
	var walk func(string)
	walk = func(dir string) {
		for _, name := range f.children[dir] {
			child := path.Join(dir, name)
			if _, isNode := f.tree[child]; isNode {
				out = append(out, child)
				continue
			}
			walk(child)
		}
	}
	walk(dir)
	return out
}

// inside says whether a path is dir or below it.
func inside(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
