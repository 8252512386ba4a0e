package gitrepo

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
)

// treeEntry is one entry of a directory object: "MODE NAME\0HASH". The name and raw are parts of the object.
type treeEntry struct {
	mode filemode.FileMode
	name []byte
	hash plumbing.Hash
	raw  []byte
}

// nextEntry splits the first entry off a directory object.
func nextEntry(tree []byte) (treeEntry, []byte, error) {
	const hashSize = len(plumbing.Hash{})
	space := bytes.IndexByte(tree, ' ')
	if space < 1 || space > 6 {
		return treeEntry{}, nil, pack.Damaged("a malformed directory")
	}
	mode, err := strconv.ParseUint(string(tree[:space]), 8, 32)
	if err != nil {
		return treeEntry{}, nil, pack.Damaged("a malformed directory")
	}
	end := bytes.IndexByte(tree[space+1:], 0)
	if end < 1 || len(tree)-space-2-end < hashSize {
		return treeEntry{}, nil, pack.Damaged("a malformed directory")
	}
	end += space + 1
	e := treeEntry{mode: filemode.FileMode(mode), name: tree[space+1 : end], raw: tree[:end+1+hashSize]}
	copy(e.hash[:], tree[end+1:])
	return e, tree[len(e.raw):], nil
}

// findEntry looks a name up in a directory object.
func findEntry(tree []byte, name string) (treeEntry, bool, error) {
	for len(tree) > 0 {
		e, rest, err := nextEntry(tree)
		if err != nil {
			return treeEntry{}, false, err
		}
		if string(e.name) == name {
			return e, true, nil
		}
		tree = rest
	}
	return treeEntry{}, false, nil
}

// treeChange puts an entry into a directory, or takes it out when the mode is zero.
type treeChange struct {
	name string
	mode filemode.FileMode
	hash plumbing.Hash
}

// sortKey is the order of entries in a directory object: directories as if their names ended in a slash.
func sortKey(name string, mode filemode.FileMode) string {
	if mode == filemode.Dir {
		return name + "/"
	}
	return name
}

// rewriteTree applies changes to a directory object, and says how the new one comes out of the old.
// Everything else stays as it is, byte by byte.
func rewriteTree(tree []byte, changes []treeChange) (content, delta []byte, err error) {
	gone := make(map[string]bool, len(changes))
	var added []treeChange
	size := len(tree)
	for _, c := range changes {
		gone[c.name] = true
		if c.mode != 0 {
			added = append(added, c)
			size += len(c.name) + 28
		}
	}
	sort.Slice(added, func(i, j int) bool {
		return sortKey(added[i].name, added[i].mode) < sortKey(added[j].name, added[j].mode)
	})
	out := pack.DeltaWriter{Content: make([]byte, 0, size)}
	at := 0
	for at < len(tree) {
		e, _, err := nextEntry(tree[at:])
		if err != nil {
			return nil, nil, err
		}
		begin := at
		at += len(e.raw)
		for len(added) > 0 && sortKey(added[0].name, added[0].mode) <= sortKey(string(e.name), e.mode) {
			out.Insert(entryBytes(added[0]))
			added = added[1:]
		}
		if !gone[string(e.name)] {
			out.Copy(begin, e.raw)
		}
	}
	for _, c := range added {
		out.Insert(entryBytes(c))
	}
	return out.Content, out.Finish(len(tree)), nil
}

func entryBytes(c treeChange) []byte {
	return append(fmt.Appendf(nil, "%o %s\x00", uint32(c.mode), c.name), c.hash[:]...)
}

// nameOrder are the places of a directory's entries in its object, in the order of their names.
type nameOrder []uint32

// wideDirectory is the size in bytes from which on a directory's names are put in order once, in the place of
// being looked through each time: a hundred entries.
const wideDirectory = 4 << 10

// find looks a name up in a directory. Git's own order is not relied on, as anybody may have written the
// directory; of two entries with one name it is the first that counts.
func (s *Snapshot) find(id plumbing.Hash, tree []byte, name string) (treeEntry, bool, error) {
	if len(tree) < wideDirectory {
		return findEntry(tree, name)
	}
	order, known := s.wide[id]
	if !known {
		var err error
		if order, err = orderNames(tree); err != nil {
			return treeEntry{}, false, err
		}
		if s.wide == nil {
			s.wide = map[plumbing.Hash]nameOrder{}
		}
		s.wide[id] = order
	}
	i := sort.Search(len(order), func(i int) bool { return string(nameAt(tree, order[i])) >= name })
	if i == len(order) || string(nameAt(tree, order[i])) != name {
		return treeEntry{}, false, nil
	}
	e, _, err := nextEntry(tree[order[i]:])
	return e, err == nil, err
}

func orderNames(tree []byte) (nameOrder, error) {
	order := make(nameOrder, 0, len(tree)/32)
	for at := 0; at < len(tree); {
		e, _, err := nextEntry(tree[at:])
		if err != nil {
			return nil, err
		}
		order = append(order, uint32(at)) // objects are smaller, see Limits
		at += len(e.raw)
	}
	slices.SortStableFunc(order,
		func(a, b uint32) int { return bytes.Compare(nameAt(tree, a), nameAt(tree, b)) })
	return order, nil
}

// nameAt is the name of the entry at a place, which has been read before.
func nameAt(tree []byte, at uint32) []byte {
	_, rest, _ := bytes.Cut(tree[at:], []byte(" "))
	name, _, _ := bytes.Cut(rest, []byte("\x00"))
	return name
}
