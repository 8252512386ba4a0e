package facts

import (
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Facts are what a run, or a look, has been told of a repository and its management cluster, and what it has
// seen of the two. They are a value that does not change: whoever looks collects what it sees in an [AtHost]
// and an [AtCluster], and makes facts of them. They are seen once, before the first step; only a run that has
// the management cluster itself made or changed looks at that again. The methods look at nothing.
type Facts struct {
	told    Told
	host    AtHost
	cluster AtCluster
}

// Told is what is known before anything is looked at.
type Told struct {
	// Config says where the repository, its branch and Flux are, and Remote how the repository is reached.
	Config *clusterspec.GitOps
	Remote Remote
	// ManagementCluster is its name.
	ManagementCluster string
}

// AtHost is what was seen at the Git host.
type AtHost struct {
	// Access is what the host's API says; nil without one, or when it was not asked.
	Access *github.Access
	// KnownHosts are of a host with an API, for Flux; empty keeps those in the cluster.
	KnownHosts []byte
	// NoKnownHosts is why the operator can give none for a host that publishes none.
	NoKnownHosts error
}

// AtCluster is what was seen at the management cluster.
type AtCluster struct {
	// Cluster is what is in it; nil when it could not be looked at.
	Cluster *fluxinstall.State
	// OtherName is how Flux calls the repository, when that is another name and the host says that it is the
	// same one.
	OtherName github.RepoRef
	// Absent says that the run cannot look at the management cluster; Unfound is where a kubeconfig was
	// looked for.
	Absent  bool
	Unfound error
}

// New are facts of which nothing was seen yet.
func New(told Told) Facts { return Facts{told: told} }

// WithHost are the same facts with what was seen at the host.
func (f Facts) WithHost(seen AtHost) Facts {
	f.host = seen
	return f
}

// WithCluster are the same facts with what was seen at the management cluster.
func (f Facts) WithCluster(seen AtCluster) Facts {
	f.cluster = seen
	return f
}

// AtCluster is what was seen at the management cluster, to begin another look with.
func (f Facts) AtCluster() AtCluster { return f.cluster }

// Config says where the repository, its branch and Flux are.
func (f Facts) Config() *clusterspec.GitOps { return f.told.Config }

// Remote says how the repository is reached.
func (f Facts) Remote() Remote { return f.told.Remote }

// ManagementCluster is its name.
func (f Facts) ManagementCluster() string { return f.told.ManagementCluster }

// Access is what the host's API says; nil without one, or when it was not asked.
func (f Facts) Access() *github.Access { return f.host.Access }

// KnownHosts are of a host with an API, for Flux; empty keeps those in the cluster.
func (f Facts) KnownHosts() []byte { return f.host.KnownHosts }

// NoKnownHosts is why the operator can give none for a host that publishes none.
func (f Facts) NoKnownHosts() error { return f.host.NoKnownHosts }

// OtherName is how Flux calls the repository, when that is another name of the same one.
func (f Facts) OtherName() github.RepoRef { return f.cluster.OtherName }

// Cluster is what is in the management cluster; nil when it could not be looked at. Nobody writes into it.
func (f Facts) Cluster() *fluxinstall.State { return f.cluster.Cluster }

// Absent says that the run cannot look at the management cluster.
func (f Facts) Absent() bool { return f.cluster.Absent }

// Unfound is where a kubeconfig was looked for; nil when one was found.
func (f Facts) Unfound() error { return f.cluster.Unfound }

// RepoRef is the repository on a host that has an API; zero on a generic Git server.
func (f Facts) RepoRef() github.RepoRef { return RefOf(f.Config()) }

// SameSource says whether a URL that Flux fetches from is the run's repository.
func (f Facts) SameSource(url string) bool {
	return f.Remote().Follows(f.Config(), url, f.OtherName())
}

// Renamed is the present name of the repository when that is not the one in the spec; none otherwise.
func (f Facts) Renamed() string {
	if f.Access() == nil || f.Access().Repository == nil {
		return ""
	}
	return PresentName(f.Access().Repository, f.RepoRef())
}

// FollowsOther says whether the Flux of a bootstrap in our namespace follows another repository or branch, or
// applies another path.
func (f Facts) FollowsOther(flux *fluxinstall.FluxState) bool {
	git, ks := flux.GitRepository, flux.Kustomization
	return git != nil && (!f.SameSource(git.URL) || git.Branch != f.Config().Branch) ||
		ks != nil && !SamePath(ks.Path, layout.SyncPath(f.Config()))
}

// FluxRuns says whether Flux is there, follows the branch, and is at work, if perhaps without success.
func (f Facts) FluxRuns() bool {
	if f.Cluster() == nil {
		return false
	}
	flux := &f.Cluster().Flux
	git, ks := flux.GitRepository, flux.Kustomization
	return git != nil && ks != nil && flux.Adoption == nil && !f.FollowsOther(flux) &&
		SamePath(ks.Path, layout.SyncPath(f.Config())) && !git.Suspended && !ks.Suspended && flux.Working()
}

// FluxCutOff says whether Flux does not get at the repository: it says so, or has nothing to read it with
// that the host would let in, so that it is going to say so. A run that looks after Flux gives it what it
// lacks, and so has it apply whatever it has missed.
func (f Facts) FluxCutOff() bool {
	flux := &f.Cluster().Flux
	if flux.GitRepository == nil || Failing(flux.GitRepository.Conditions) != nil ||
		flux.SourceSecret == nil {
		return true
	}
	access := f.Access()
	return access != nil && access.Repository != nil && !f.SourceKeyRegistered()
}

// FluxFails says of a Flux that runs whether it cannot apply what is in the branch.
func (f Facts) FluxFails() bool { return Failing(f.Cluster().Flux.Kustomization.Conditions) != nil }

// SourceKeyRegistered says whether the key that Flux has is among the deploy keys that were seen, and opens
// the repository.
func (f Facts) SourceKeyRegistered() bool {
	return slices.ContainsFunc(f.Access().DeployKeys, func(k github.DeployKey) bool {
		return !k.Disabled && k.SameMaterial(f.Cluster().Flux.SourcePublicKey)
	})
}

// LooksRebuilt says whether the management cluster knows no other cluster and has never had a Flux.
func (f Facts) LooksRebuilt() bool {
	state := f.Cluster()
	if state == nil {
		return true
	}
	for _, c := range state.Clusters {
		if c.ManagementCluster != c.Name {
			return false
		}
	}
	return state.Flux.Kustomization == nil
}

// Failing is the condition with which a controller says that it failed, or that it has given up.
func Failing(conditions []fluxinstall.Condition) *fluxinstall.Condition {
	for i, c := range conditions {
		if c.Type == "Ready" && c.Status == "False" || c.Type == "Stalled" && c.Status == "True" {
			return &conditions[i]
		}
	}
	return nil
}

// SamePath says whether two texts are the same path in a repository, in whatever way they begin and end.
func SamePath(a, b string) bool {
	clean := func(p string) string { return strings.Trim(strings.TrimPrefix(p, "./"), "/") }
	return clean(a) == clean(b)
}

// CommitOf is the commit in a revision as Flux writes it.
func CommitOf(revision string) string {
	_, commit, _ := strings.Cut(revision, ":")
	return commit
}

// MaxBehind is how many commits are looked through for the one that Flux has applied.
const MaxBehind = 200
