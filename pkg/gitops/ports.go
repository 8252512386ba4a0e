package gitops

import (
	"context"
	"errors"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// Host is the service that holds the repository and has an API for it. A generic Git server has none.
// Every method may be repeated; the Ensure methods write only a difference and say whether they wrote.
type Host interface {
	HostReader
	EnsureRepository(ctx context.Context, repository github.NewRepository) (*github.Repository, bool, error)
	EnsureDeployKey(ctx context.Context, repository github.RepoRef, key github.DeployKey) (bool, error)
	DeleteDeployKey(ctx context.Context, repository github.RepoRef, id int64) error
}

// HostReader looks, and writes nothing.
type HostReader interface {
	CheckAccess(ctx context.Context, request github.AccessRequest) (*github.Access, error)
	Repository(ctx context.Context, repository github.RepoRef) (*github.Repository, error)
	BranchName(ctx context.Context, repository github.RepoRef, branch string) (string, error)
	DeployKeys(ctx context.Context, repository github.RepoRef) ([]github.DeployKey, error)
	HostKeys(ctx context.Context) ([]string, error)
}

// Repository is the Git repository as it is reached for fetching and pushing.
type Repository interface {
	// Fetch reads the tip of a branch.
	Fetch(ctx context.Context, branch string) (Snapshot, error)
}

// Snapshot is one fetched state of a branch.
type Snapshot interface {
	State() git.BranchState
	DefaultBranch() string
	Head() string
	Tip() *git.CommitInfo
	Behind(ctx context.Context, commit string, most int) (count int, known bool, err error)
	Lacks(ctx context.Context, commit string) (bool, error)
	Lookup(path string) (git.Entry, bool, error)
	List(dir string) ([]git.Entry, error)
	CheckSize(ctx context.Context, dir string) error
	Walk(ctx context.Context, dir string, visit func(git.Entry) error) error
	Holds(path string, content []byte) (bool, error)
	ReadAll(ctx context.Context, paths []string) (map[string][]byte, error)
	Commit(edits []git.Edit, options git.CommitOptions) (Commit, error)
	EachRevision(ctx context.Context, path string, visit func(git.Revision) bool) error
	ReadAt(ctx context.Context, commit, path string) ([]byte, error)
	HostKey() string
	CheckPush(ctx context.Context) error
	Push(ctx context.Context, commit Commit) error
	Close()
}

// Commit is a commit that a [Snapshot] has made, and that this Snapshot alone can push.
type Commit interface {
	// Hash is its name in hexadecimal.
	Hash() string
}

// Cluster is the management cluster. Every method may be repeated; the Ensure methods write only a difference.
type Cluster interface {
	ClusterReader
	ClusterWriter
	ClusterHolder
}

// ClusterReader looks and waits, and writes nothing.
type ClusterReader interface {
	Inspect(ctx context.Context, options fluxinstall.InspectOptions) (*fluxinstall.State, error)
	WaitSynced(ctx context.Context, wait fluxinstall.SyncWait, progress func(fluxinstall.Progress)) error
	WaitCluster(ctx context.Context, namespace, name string, progress func(fluxinstall.Progress)) error
	WaitClusters(ctx context.Context, names []fluxinstall.ClusterName, changed func(fluxinstall.LiveCluster)) ([]fluxinstall.LiveCluster, error)
	Kubeconfig(ctx context.Context, name string) (secret.Value, error)
	WaitGone(ctx context.Context, namespace, name string, progress func(fluxinstall.Progress)) error
	FluxResources(ctx context.Context, kinds ...string) (fluxinstall.FluxResources, error)
	SurveyVersions(ctx context.Context, namespace string, kinds []fluxinstall.KindVersions) (*fluxinstall.VersionSurvey, error)
	RunningControllers(ctx context.Context, namespace string) ([]fluxinstall.RunningController, error)
	DryRunApply(ctx context.Context, objects []map[string]any) ([]fluxinstall.Verdict, error)
	ClusterObserver
}

// ClusterWriter installs Flux and its objects.
type ClusterWriter interface {
	EnsureNamespace(ctx context.Context, name string) (bool, error)
	EnsureSourceSecret(ctx context.Context, source fluxinstall.SourceSecret) (publicKey string, changed bool, err error)
	RemoveSource(ctx context.Context, namespace, publicKey string, withNamespace bool) (removed []string, err error)
	EnsureComponents(ctx context.Context, manifests []byte, progress func(fluxinstall.Progress)) (fluxinstall.ChangeSet, error)
	EnsureSync(ctx context.Context, manifests []byte) (fluxinstall.ChangeSet, error)
	MigrateVersions(ctx context.Context, dropped []fluxinstall.DroppedVersions, progress func(fluxinstall.Progress)) ([]fluxinstall.Migration, error)
	RequestReconcile(ctx context.Context, namespace, name string) error
	WaitRolledOver(ctx context.Context, wait fluxinstall.Rollover, progress func(fluxinstall.Progress)) error
	FluxAdopter
	ClusterRemover
}

// FluxAdopter takes over a Flux that follows something else, in the order of the methods. Every method may be repeated, and says whether
// it wrote.
type FluxAdopter interface {
	RecordFlux(ctx context.Context, namespace string) (record string, changed bool, err error)
	HoldPruning(ctx context.Context, namespace, record string, progress func(fluxinstall.Progress)) (bool, error)
	Repoint(ctx context.Context, namespace string, sync []byte) (bool, error)
	EndAdoption(ctx context.Context, namespace string, sync []byte) (bool, error)
}

// ClusterRemover deletes clusters and takes Flux off its cluster. Every method may be repeated, and says whether it wrote.
type ClusterRemover interface {
	DeleteCluster(ctx context.Context, namespace, name string) (bool, error)
	StopFlux(ctx context.Context, namespace string, progress func(fluxinstall.Progress)) (bool, error)
	Uninstall(ctx context.Context, namespace string, progress func(fluxinstall.Progress)) (fluxinstall.Removal, error)
	RemoveGitOps(ctx context.Context, namespace, name, configKind, config string) (bool, error)
}

// ClusterHolder keeps Flux off a cluster's objects while a provisioner changes them past Git, and EKS Anywhere off a cluster. Every method
// may be repeated.
type ClusterHolder interface {
	Hold(ctx context.Context, request fluxinstall.HoldRequest) (fluxinstall.Held, error)
	Release(ctx context.Context, namespace, cluster string, objects []fluxinstall.ObjectName) (bool, error)
	AdoptGitOps(ctx context.Context, namespace, name string, config map[string]any) (bool, error)
	SetPaused(ctx context.Context, object fluxinstall.ObjectName, paused bool) (bool, error)
}

// ErrNoKubeconfig is what [Ports.OpenCluster] returns, or wraps, when no kubeconfig leads to the management cluster. It says nothing about
// the cluster: a command that is started in another directory finds none either.
var ErrNoKubeconfig = errors.New("there is no kubeconfig")

// Ports opens the outside world. The functions are called during preflight, so that a missing credential and a missing kubeconfig
// are reported together; an error that joins several is reported as several findings. OpenHost is nil for a generic Git server.
type Ports struct {
	OpenHost       func(ctx context.Context) (Host, error)
	OpenRepository func(ctx context.Context) (Repository, error)
	// OpenClusterRepository opens the repository with the key that the cluster gets, when that is a key of its own. Nil otherwise.
	OpenClusterRepository func(ctx context.Context) (Repository, error)
	OpenCluster           func(ctx context.Context) (Cluster, error)
	Report                Reporter
	// Local writes files for the person who runs the command. Nil writes none.
	Local LocalFiles
	// Provisioner makes, changes and deletes the clusters themselves. Nil leaves that to others: a management cluster is there already,
	// and EKS Anywhere's controller makes a workload cluster from what Flux applies.
	Provisioner Provisioner
	// Shield keeps further interrupts from ending the process until its result is called: what has been begun is taken back first. Nil
	// shields from nothing.
	Shield func() (end func())
}
