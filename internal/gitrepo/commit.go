package gitrepo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// ChangeKind is what became of a file.
type ChangeKind int

// The kinds.
const (
	Added ChangeKind = iota + 1
	Modified
	Deleted
)

// Change is a file that a commit changes.
type Change struct {
	Path string
	Kind ChangeKind
}

// Commit is a commit that has been made and is not pushed yet. It does not change.
type Commit struct {
	hash    plumbing.Hash
	tree    plumbing.Hash
	parent  plumbing.Hash
	changes []Change
	objects []pack.Object
}

// Hash is the commit's name in hexadecimal.
func (c *Commit) Hash() string { return c.hash.String() }

// Tree is the name of the commit's root directory in hexadecimal.
func (c *Commit) Tree() string { return c.tree.String() }

// Parent is the name of the commit that this one is built on; empty for a first commit.
func (c *Commit) Parent() string {
	if c.parent.IsZero() {
		return ""
	}
	return c.parent.String()
}

// Changes are the files that the commit changes, sorted by path.
func (c *Commit) Changes() []Change { return append([]Change(nil), c.changes...) }

// Commit makes a commit on top of the snapshot, in memory. The work is in proportion to the files that are
// edited and the directories on the way to them. The same snapshot, edits and options give the same commit.
//
// The error is [git.ErrNoChange] when the tree would stay as it is, and a *PathError when a path is unsafe,
// or leads through something that is no directory, or to something that is no file.
func (s *Snapshot) Commit(edits []git.Edit, opts git.CommitOptions) (*Commit, error) {
	root, err := planEdits(edits)
	if err != nil {
		return nil, err
	}
	b := &treeBuilder{snapshot: s, commit: &Commit{parent: s.head}}
	tree, _, err := b.rewrite(s.root, root, "")
	if err != nil {
		return nil, err
	}
	if len(b.commit.changes) == 0 || tree == s.root {
		return nil, git.ErrNoChange
	}
	if tree.IsZero() {
		// Everything is deleted.
		tree = b.add(pack.Object{Kind: pack.Tree, Content: []byte{}})
	}
	b.commit.tree = tree
	slices.SortFunc(b.commit.changes, func(x, y Change) int { return strings.Compare(x.Path, y.Path) })
	if err := b.finish(opts); err != nil {
		return nil, err
	}
	return b.commit, nil
}

// editNode is a directory or a file that is to be changed.
type editNode struct {
	children map[string]*editNode // of a directory
	edit     *git.Edit            // of a file
}

// planEdits makes a tree of the edits.
func planEdits(edits []git.Edit) (*editNode, error) {
	root := &editNode{children: map[string]*editNode{}}
	for i := range edits {
		e := &edits[i]
		if err := checkPath(e.Path); err != nil {
			return nil, err
		}
		at := root
		names := strings.Split(e.Path, "/")
		for n, name := range names {
			next := at.children[name]
			last := n == len(names)-1
			switch {
			case next == nil && last:
				at.children[name] = &editNode{edit: e}
			case next == nil:
				next = &editNode{children: map[string]*editNode{}}
				at.children[name] = next
			case last || next.edit != nil:
				return nil, &git.PathError{Path: e.Path,
					Reason: "it is edited twice, or as a file and as a directory"}
			}
			at = next
		}
	}
	return root, nil
}

type treeBuilder struct {
	snapshot *Snapshot
	commit   *Commit
}

func (b *treeBuilder) add(o pack.Object) plumbing.Hash {
	o.Hash = pack.HashObject(pack.NewHash(), pack.ObjectType(o.Kind), o.Content)
	b.commit.objects = append(b.commit.objects, o)
	return o.Hash
}

// rewrite applies the edits below a directory and returns its new name: zero when nothing is left in it. The
// directory at the zero hash is one that does not exist yet.
func (b *treeBuilder) rewrite(dir plumbing.Hash, node *editNode,
	prefix string) (name plumbing.Hash, changed bool, err error) {
	old, err := b.snapshot.tree(dir)
	if err != nil {
		return dir, false, err
	}
	names := make([]string, 0, len(node.children))
	for name := range node.children {
		names = append(names, name)
	}
	slices.Sort(names)
	var changes []treeChange
	for _, name := range names {
		found, exists, err := findEntry(old, name)
		if err != nil {
			return dir, false, b.snapshot.damage(err)
		}
		change, changed, err := b.rewriteEntry(found, exists, node.children[name], prefix+name)
		if err != nil {
			return dir, false, err
		}
		if changed {
			change.name = name
			changes = append(changes, change)
		}
	}
	if len(changes) == 0 {
		return dir, false, nil
	}
	content, delta, err := rewriteTree(old, changes)
	if err != nil {
		return dir, false, b.snapshot.damage(err)
	}
	if len(content) == 0 {
		return plumbing.ZeroHash, true, nil
	}
	if len(old) == 0 {
		delta = nil
	}
	return b.add(pack.Object{Kind: pack.Tree, Content: content, Base: dir, Delta: delta}), true, nil
}

func (b *treeBuilder) rewriteEntry(found treeEntry, exists bool, node *editNode,
	path string) (treeChange, bool, error) {
	mode, _ := modeOf(found.mode)
	if node.edit == nil {
		if exists && mode != git.Dir {
			return treeChange{}, false, &git.PathError{Path: firstPath(node, path), Entry: path, Mode: mode}
		}
		sub, changed, err := b.rewrite(found.hash, node, path+"/")
		if err != nil || !changed {
			return treeChange{}, false, err
		}
		if sub.IsZero() {
			return treeChange{}, exists, nil
		}
		return treeChange{mode: filemode.Dir, hash: sub}, true, nil
	}
	if exists && !mode.IsFile() {
		return treeChange{}, false, &git.PathError{Path: path, Entry: path, Mode: mode}
	}
	if node.edit.Delete {
		if exists {
			b.commit.changes = append(b.commit.changes, Change{Path: path, Kind: Deleted})
		}
		return treeChange{}, exists, nil
	}
	blob := pack.Object{Kind: pack.Blob, Content: node.edit.Content}
	change := treeChange{mode: filemode.Regular,
		hash: pack.HashObject(pack.NewHash(), plumbing.BlobObject, blob.Content)}
	kind := Added
	if exists {
		if change.hash == found.hash {
			return treeChange{}, false, nil
		}
		kind, change.mode = Modified, found.mode
	}
	b.add(blob)
	b.commit.changes = append(b.commit.changes, Change{Path: path, Kind: kind})
	return change, true, nil
}

// firstPath is the first edited path below a node, for errors.
func firstPath(node *editNode, path string) string {
	for node.edit == nil {
		names := make([]string, 0, len(node.children))
		for name := range node.children {
			names = append(names, name)
		}
		first := slices.Min(names)
		path, node = path+"/"+first, node.children[first]
	}
	return path
}

// finish makes the commit object.
func (b *treeBuilder) finish(opts git.CommitOptions) error {
	if opts.Committer == (git.Identity{}) {
		opts.Committer = opts.Author
	}
	message := opts.Message
	if !strings.HasSuffix(message, "\n") {
		message += "\n"
	}
	c := &object.Commit{
		Author:    signature(opts.Author, opts.When),
		Committer: signature(opts.Committer, opts.When),
		Message:   message,
		TreeHash:  b.commit.tree,
	}
	if !b.commit.parent.IsZero() {
		c.ParentHashes = []plumbing.Hash{b.commit.parent}
	}
	var encoded plumbing.MemoryObject
	if err := c.Encode(&encoded); err != nil {
		return fmt.Errorf("making the commit: %w", err)
	}
	reader, err := encoded.Reader()
	if err != nil {
		return fmt.Errorf("making the commit: %w", err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		return fmt.Errorf("making the commit: %w", err)
	}
	b.commit.hash = b.add(pack.Object{Kind: pack.Commit, Content: content})
	return nil
}

// signature takes out what would end a name or an address in a commit object (git does the same).
func signature(id git.Identity, when time.Time) object.Signature {
	strip := func(s string) string {
		s = strings.Map(func(r rune) rune {
			if r < ' ' || r == '<' || r == '>' || r == 0x7f {
				return -1
			}
			return r
		}, s)
		return strings.Trim(s, " .,:;\"\\'")
	}
	return object.Signature{Name: strip(id.Name), Email: strip(id.Email), When: when}
}
