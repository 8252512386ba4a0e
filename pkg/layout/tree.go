package layout

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"
)

// Tree is one state of a repository: everything in it by its slash path relative to the root, without directories.
type Tree map[string]Node

// Node is one entry of a [Tree].
type Node struct {
	Kind NodeKind
	// Ignored is set for what lies in a work tree but will not be committed. It may be a directory, as one node.
	Ignored bool
	// Content is needed for files only.
	Content Content
}

// NodeKind is what a node is.
type NodeKind int

// The kinds of nodes.
const (
	NodeFile NodeKind = iota
	NodeSymlink
	NodeSubmodule
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

// TreeOf makes a tree of files in memory.
func TreeOf(files []File) Tree {
	tree := Tree{}
	for _, f := range files {
		tree[f.Path] = Node{Content: Bytes(f.Content)}
	}
	return tree
}

// folders is a tree with its directories: the names in each, sorted, by its path; "." is the root. What git ignores is not in it.
type folders struct {
	tree     Tree
	children map[string][]string
}

func foldersOf(tree Tree) *folders {
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
	return f
}

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
