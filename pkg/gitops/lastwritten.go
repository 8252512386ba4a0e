package gitops

import (
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
)

// The trailers of the commits that this program makes: its version, and the names of the clusters whose files it wrote, with blanks
// between them.
const (
	trailerVersion  = "Eksa-Gitops-Version"
	trailerClusters = "Eksa-Gitops-Clusters"
)

// Wrote says whether a commit was made by this program to write the files of a cluster. It goes by the trailers at the end of the
// message. A commit that somebody squashed out of several has them further up, if at all, and does not count: what it left may be the
// others' work as well.
func Wrote(revision gitrepo.Revision, cluster string) bool {
	return slices.ContainsFunc(revision.Trailer(trailerClusters), func(names string) bool {
		return slices.Contains(strings.Fields(names), cluster)
	})
}

// LastWritten finds, among the revisions of a cluster's file with the newest first, the one that this program wrote last: what it left
// is the base that a later edit of the file and edits in Git have in common. It is false when there is none, or when the program took
// the file out after that; nothing is then known about who changed what.
func LastWritten(revisions []gitrepo.Revision, cluster string) (gitrepo.Revision, bool) {
	for _, r := range revisions {
		if Wrote(r, cluster) {
			return r, !r.Deleted
		}
	}
	return gitrepo.Revision{}, false
}
