package gitrepo

import (
	"crypto"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// newHash is go-git's SHA-1, which notices attempts at a collision.
func newHash() hash.Hash { return hash.New(crypto.SHA1) }

// BlobID is the name, in hexadecimal, of a file with this content.
func BlobID(content []byte) string {
	return hashObject(newHash(), plumbing.BlobObject, content).String()
}

// hashObject names an object: the hash of its type, its size and its content.
func hashObject(h hash.Hash, t plumbing.ObjectType, content []byte) plumbing.Hash {
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
