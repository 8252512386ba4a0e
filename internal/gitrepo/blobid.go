package gitrepo

import (
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
)

// BlobID is the name, in hexadecimal, of a file with this content.
func BlobID(content []byte) string {
	return pack.HashObject(pack.NewHash(), plumbing.BlobObject, content).String()
}
