package pack

import (
	"crypto"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// NewHash is go-git's SHA-1, which notices attempts at a collision.
func NewHash() hash.Hash { return hash.New(crypto.SHA1) }

// HashObject names an object: the hash of its type, its size and its content.
func HashObject(h hash.Hash, t plumbing.ObjectType, content []byte) plumbing.Hash {
	h.Reset()
	var header [32]byte
	head := append(header[:0], t.Bytes()...)
	head = append(head, ' ')
	head = strconv.AppendInt(head, int64(len(content)), 10)
	h.Write(append(head, 0))
	h.Write(content)
	var name plumbing.Hash
	h.Sum(name[:0])
	return name
}

// Object is an object to write. With a delta, it is also known as a difference to base, which the reader of
// the pack has.
type Object struct {
	Kind    byte
	Hash    plumbing.Hash
	Content []byte
	Base    plumbing.Hash
	Delta   []byte
}
