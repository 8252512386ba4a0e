package gitops

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// The trailers of the commits that this program makes: its version, the names of the clusters whose files it wrote, with blanks
// between them, and the names of those among them into which it merged what others had written to Git and the user's file did not get.
const (
	trailerVersion  = "Eksa-Gitops-Version"
	trailerClusters = "Eksa-Gitops-Clusters"
	trailerMerged   = "Eksa-Gitops-Merged"
)

// Wrote says whether a commit was made by this program to write the files of a cluster. It goes by the trailers at the end of the
// message. A commit that somebody squashed out of several has them further up, if at all, and does not count: what it left may be the
// others' work as well.
func Wrote(revision gitrepo.Revision, cluster string) bool {
	return names(revision, trailerClusters, cluster)
}

// names says whether one of a commit's trailers lists a cluster.
func names(revision gitrepo.Revision, trailer, cluster string) bool {
	return slices.ContainsFunc(revision.Trailer(trailer), func(names string) bool {
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

// fileHistory is what the branch's history says about a cluster's file.
type fileHistory struct {
	// base is what the user's file said when this program wrote it to Git last; nil when that is not known.
	base []byte
	// since are the revisions by others after that, the newest first.
	since []gitrepo.Revision
}

// readHistory works out from the history of a cluster's file what the user's own file said the last time. That is what the commit left,
// or, when others' edits were merged into it that the user's file did not get, what it left without those. Were they in the base, the
// user's file would seem to take them back.
func readHistory(ctx context.Context, snapshot Snapshot, path, cluster string) (*fileHistory, error) {
	var revisions []gitrepo.Revision
	err := snapshot.EachRevision(ctx, path, func(r gitrepo.Revision) bool {
		revisions = append(revisions, r)
		return !r.Deleted && (!Wrote(r, cluster) || names(r, trailerMerged, cluster))
	})
	if err != nil {
		return nil, fmt.Errorf("reading the history of %s: %w", path, err)
	}
	history := &fileHistory{since: revisions}
	for i, r := range revisions {
		if r.Deleted {
			history.since = revisions[:i]
			return history, nil
		}
		if Wrote(r, cluster) {
			history.since = revisions[:i]
			history.base, err = usersFile(ctx, snapshot, path, cluster, revisions[i:])
			return history, err
		}
	}
	return history, nil
}

// usersFile is the user's file as of the first of some revisions, which is one by this program.
func usersFile(ctx context.Context, snapshot Snapshot, path, cluster string, revisions []gitrepo.Revision) ([]byte, error) {
	written, err := readRevision(ctx, snapshot, path, revisions[0])
	if err != nil || !names(revisions[0], trailerMerged, cluster) {
		return written, err
	}
	older := revisions[1:]
	own := slices.IndexFunc(older, func(r gitrepo.Revision) bool { return !r.Deleted && Wrote(r, cluster) })
	if own < 0 {
		return written, nil
	}
	before, err := usersFile(ctx, snapshot, path, cluster, older[own:])
	if err != nil {
		return nil, err
	}
	parent, err := readRevision(ctx, snapshot, path, older[0])
	if err != nil {
		return nil, err
	}
	undone, err := clusterspec.Merge(clusterspec.Source{Name: path, Data: parent}, clusterspec.Source{Name: path, Data: written}, clusterspec.Source{Name: path, Data: before})
	if problems := (clusterspec.Problems)(nil); errors.As(err, &problems) {
		return nil, nil // somebody had left what cannot be read there; nothing is known then
	}
	if err != nil {
		return nil, err
	}
	return undone.Overwriting, nil
}

func readRevision(ctx context.Context, snapshot Snapshot, path string, r gitrepo.Revision) ([]byte, error) {
	content, err := snapshot.ReadAt(ctx, r.Commit, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s as it was at commit %s: %w", path, short(r.Commit), err)
	}
	return content, nil
}
