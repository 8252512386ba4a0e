package gitops

import (
	"context"
	"errors"

	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// What a port promises holds for each of its methods: when ctx is done they return its cause, and where
// nothing else is said they may be repeated at any time, also after an error or a lost reply, and nobody
// loses anything by it. A port is put together of interfaces that are declared where they are used; those
// that only read are in pkg/gitops/facts.

// Host is the service that holds the repository and has an API for it. A generic Git server has none. The
// errors match those of pkg/github ([github.ErrNotFound], [github.ErrPermission], [github.ErrUnavailable] and
// so on).
type Host interface {
	facts.HostReader
	HostWriter
}

// HostWriter creates and deletes. Its methods write only a difference, and say whether they wrote.
type HostWriter interface {
	// EnsureRepository creates a repository without a commit, unless there is one, which is left as it is.
	EnsureRepository(ctx context.Context, repository github.NewRepository) (*github.Repository, bool, error)
	// EnsureDeployKey registers a key. Keys are compared by their material; others are left alone unless the
	// key says otherwise.
	EnsureDeployKey(ctx context.Context, repository github.RepoRef, key github.DeployKey) (bool, error)
	// DeleteDeployKey takes a key off. One that is gone is no error.
	DeleteDeployKey(ctx context.Context, repository github.RepoRef, id int64) error
}

// Repository is the Git repository as it is reached for fetching and pushing.
type Repository interface {
	// Fetch reads the tip of a branch. A branch or a commit that is not there is a state of the Snapshot and
	// no error. The errors are those of pkg/git: *git.AuthError, *git.PermissionError, *git.NotFoundError,
	// *git.HostKeyError, *git.UnreachableError and so on; after one that is [git.ErrTransient] a run tries
	// again.
	Fetch(ctx context.Context, branch string) (Snapshot, error)
}

// Snapshot is one fetched state of a branch. It does not change. Errors of reading what was not fetched yet
// are those of [Repository.Fetch].
type Snapshot interface {
	facts.SnapshotReader
	SnapshotPusher
	// Close gives up the connection, if one is kept. It may be called more than once.
	Close()
}

// Cluster is the management cluster. The errors are those of pkg/fluxinstall: *fluxinstall.UnreachableError,
// *fluxinstall.ForbiddenError, *fluxinstall.RefusedError for what a webhook is against, and
// *fluxinstall.NotReadyError where a wait ends for another reason than the context's. A progress may be nil.
type Cluster interface {
	ClusterInspector
	facts.ClusterObserver
	ClusterWaiter
	KubeconfigReader
	SourceKeeper
	FluxInstaller
	FluxMigrator
	FluxAdopter
	FluxRemover
	ClusterDeleter
	ClusterHolder
}

// ErrNoKubeconfig is what [Ports.OpenCluster] returns, or wraps, when no kubeconfig leads to the management
// cluster. It says nothing about the cluster: a command that is started in another directory finds none
// either.
var ErrNoKubeconfig = errors.New("there is no kubeconfig")

// Ports opens the outside world. The functions are called during preflight, so that a missing credential and
// a missing kubeconfig are reported together; an error that joins several is reported as several findings.
// OpenHost is nil for a generic Git server.
type Ports struct {
	OpenHost       func(ctx context.Context) (Host, error)
	OpenRepository func(ctx context.Context) (Repository, error)
	// OpenClusterRepository opens the repository with the key that the cluster gets, when that is a key of
	// its own. Nil otherwise.
	OpenClusterRepository func(ctx context.Context) (Repository, error)
	OpenCluster           func(ctx context.Context) (Cluster, error)
	Report                step.Reporter
	// Local writes files for the person who runs the command. Nil writes none.
	Local LocalFiles
	// Provisioner makes, changes and deletes the clusters themselves. Nil leaves that to others: a management
	// cluster is there already, and EKS Anywhere's controller makes a workload cluster from what Flux
	// applies.
	Provisioner Provisioner
	// Shield keeps further interrupts from ending the process until its result is called: what has been begun
	// is taken back first. Nil shields from nothing.
	Shield func() (end func())
}
