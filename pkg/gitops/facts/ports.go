package facts

import (
	"context"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// The ports that only read. What pkg/gitops says of its ports, which are put together of these, holds for
// them.

// HostReader looks, and writes nothing.
type HostReader interface {
	// CheckAccess finds out what the credentials may do of what is going to be done. What is wrong is in the
	// Access, and the error is that of asking.
	CheckAccess(ctx context.Context, request github.AccessRequest) (*github.Access, error)
	// Repository describes a repository; [github.ErrNotFound] where the credentials can see none.
	Repository(ctx context.Context, repository github.RepoRef) (*github.Repository, error)
	// BranchName is what a branch is called now, after it was renamed, and empty where there is no such
	// branch.
	BranchName(ctx context.Context, repository github.RepoRef, branch string) (string, error)
	// DeployKeys are those of a repository; [github.ErrPermission] where the credentials may not see them.
	DeployKeys(ctx context.Context, repository github.RepoRef) ([]github.DeployKey, error)
	// HostKeys are the SSH keys of the host, as "algorithm base64"; [github.ErrNotFound] where it publishes
	// none.
	HostKeys(ctx context.Context) ([]string, error)
}

// SnapshotReader is what can be read of one fetched state of a branch. It does not change.
type SnapshotReader interface {
	SnapshotTip
	SnapshotFiles
	SnapshotWalker
	SnapshotHistory
}

// SnapshotTip says what the snapshot is of. Nothing is transferred for it.
type SnapshotTip interface {
	// State is what was found where the branch should be.
	State() git.BranchState
	// DefaultBranch is what the server names as default; empty when it does not say.
	DefaultBranch() string
	// Head is the commit in hexadecimal; empty without one.
	Head() string
	// Tip describes that commit; nil without one.
	Tip() *git.CommitInfo
	// HostKey is the key with which the server has proved who it is, in authorized_keys form; empty over
	// HTTPS.
	HostKey() string
}

// SnapshotFiles reads files by their paths. An unsafe path is a *git.PathError.
type SnapshotFiles interface {
	// Lookup finds what is at a path, and false when there is nothing. Links are not followed.
	Lookup(path string) (git.Entry, bool, error)
	// List has the entries of a directory, "" being the root; one that does not exist has none.
	List(dir string) ([]git.Entry, error)
	// Holds says whether a file has exactly this content. Nothing is transferred for it.
	Holds(path string, content []byte) (bool, error)
	// ReadAll reads files, all of them or none.
	ReadAll(ctx context.Context, paths []string) (map[string][]byte, error)
}

// SnapshotWalker goes through directories, which may be hostile.
type SnapshotWalker interface {
	// CheckSize is the error of Walk for a directory that is too large, without walking it.
	CheckSize(ctx context.Context, dir string) error
	// Walk visits all that is below a directory, "" being the root, each directory before what is in it. It
	// ends without an error when visit returns fs.SkipAll, and with any other error of visit. A directory
	// that holds more than anybody should look at is an error before the first visit.
	Walk(ctx context.Context, dir string, visit func(git.Entry) error) error
}

// SnapshotHistory looks into the past of a branch, as far as the question needs it.
type SnapshotHistory interface {
	// EachRevision visits the commits that changed a path, the newest first, until visit returns false.
	EachRevision(ctx context.Context, path string, visit func(git.Revision) bool) error
	// ReadAt reads a file as it was at a commit; fs.ErrNotExist when the history does not have it.
	ReadAt(ctx context.Context, commit, path string) ([]byte, error)
	// Behind counts the commits after another one, and looks at no more than most; known is false where that
	// is not enough to tell.
	Behind(ctx context.Context, commit string, most int) (count int, known bool, err error)
	// Lacks says whether a commit is surely not in the history; false where that cannot be told.
	Lacks(ctx context.Context, commit string) (bool, error)
}

// ClusterObserver reads the live objects of the management cluster; see [fluxinstall.Cluster.Objects].
type ClusterObserver interface {
	// Objects reads those of the names that exist, perhaps with others of their kinds. It writes nothing.
	Objects(ctx context.Context, names []fluxinstall.ObjectName) ([]fluxinstall.LiveObject, error)
}

// FluxLister lists objects of Flux in the management cluster.
type FluxLister interface {
	// FluxResources lists the objects of Flux's kinds, sorted; with kinds, those alone.
	FluxResources(ctx context.Context, kinds ...string) (fluxinstall.FluxResources, error)
}
