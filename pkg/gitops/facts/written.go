package facts

import (
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// The trailers of the commits that this program makes: its version, the names of the clusters whose files it
// wrote, with blanks between them, and the names of those among them into which it merged what others had
// written to Git and the user's file did not get.
const (
	TrailerVersion  = "Eksa-Gitops-Version"
	TrailerClusters = "Eksa-Gitops-Clusters"
	TrailerMerged   = "Eksa-Gitops-Merged"
)

// Wrote says whether a commit was made by this program to write the files of a cluster. It goes by the
// trailers at the end of the message. A commit that somebody squashed out of several has them further up, if
// at all, and does not count: what it left may be the others' work as well.
func Wrote(revision git.Revision, cluster string) bool {
	return NamesCluster(revision, TrailerClusters, cluster)
}

// NamesCluster says whether one of a commit's trailers lists a cluster.
func NamesCluster(revision git.Revision, trailer, cluster string) bool {
	return slices.ContainsFunc(revision.Trailer(trailer), func(names string) bool {
		return slices.Contains(strings.Fields(names), cluster)
	})
}

// LastWritten finds, among the revisions of a cluster's file with the newest first, the one that this program
// wrote last: what it left is the base that a later edit of the file and edits in Git have in common. It is
// false when there is none, or when the program took the file out after that; nothing is then known about who
// changed what.
func LastWritten(revisions []git.Revision, cluster string) (git.Revision, bool) {
	for _, r := range revisions {
		if Wrote(r, cluster) {
			return r, !r.Deleted
		}
	}
	return git.Revision{}, false
}
