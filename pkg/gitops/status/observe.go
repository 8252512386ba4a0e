package status

import (
	"context"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Options say what [Observe] looks at.
type Options struct {
	// Config is nil when the management cluster has no GitOps configuration: then there is nothing but the
	// cluster to look at.
	Config *clusterspec.GitOps
	// NoReference says that Config is what Flux follows, because the management cluster itself has no
	// gitOpsRef (yet).
	NoReference       bool
	ManagementCluster string
	Remote            facts.Remote
	// Survey is what is in the management cluster.
	Survey *fluxinstall.Survey
	// Cluster is the one cluster that is asked about; empty is all of them.
	Cluster string
	// Brief leaves out the deploy key and the contents of what is in Git and in the cluster both.
	Brief bool
	// Before is what an earlier Observe of the same repository saw. What it saw of Git is used again while it
	// is younger than MaxAge, unless Flux has fetched another commit meanwhile.
	Before *Observation
	MaxAge time.Duration
}

// Observation is all that a [Report] is made of.
type Observation struct {
	Options
	Time time.Time

	// Git is what the branch holds; nil when it could not be read, for the reason in GitErr.
	Git    *GitSight
	GitErr error
	// Host is what the host's API says; nil when there is none, or it was not asked.
	Host *HostSight
	// Live are the objects of the cluster that are in Git, and perhaps more of their kinds.
	Live    []fluxinstall.LiveObject
	LiveErr error
}

// HostSight is what the API of a repository's host says of it.
type HostSight struct {
	// Repository is nil when the host did not tell, for the reason in Err.
	Repository *github.Repository
	Err        error
	// Keys are the repository's deploy keys; KeysErr is why the host did not tell.
	Keys    []github.DeployKey
	KeysErr error
	// OtherName is how Flux calls the repository, when that is another name for it than the configuration
	// has.
	OtherName github.RepoRef
}

// GitSight is what a branch holds.
type GitSight struct {
	Time   time.Time // when it was fetched
	State  git.BranchState
	Tip    git.CommitInfo // zero without a commit
	Behind int            // how many commits Flux has not applied, -1 when that is not known
	// Lacks says that the commit which Flux has applied last is surely not in the branch's history.
	Lacks bool
	// Renamed is what a branch that is not there is called now; empty when that is not known.
	Renamed string
	// Clusters are those below the path, sorted by name.
	Clusters []facts.GitCluster
	// Sync are the GitRepository and the Kustomization; nil when patches in the repository may change them.
	Sync []facts.GitObject
	// Ahead is what Flux does when it applies the tip; nil when it was not looked at.
	Ahead *Ahead
	// AheadErr is why it could not be worked out.
	AheadErr error
	// SystemFiles says whether Flux's own directory is there.
	SystemFiles bool

	sparse sparseSight
}

// Observe looks at the repository, its host and the objects of the management cluster. It writes nothing.
// What cannot be looked at is noted in the observation; its error is the context's alone.
func Observe(ctx context.Context, ports gitops.Ports, observer facts.ClusterObserver,
	options Options) (*Observation, error) {
	o := &Observation{Options: options, Time: time.Now()}
	o.Before = nil
	if options.Config != nil && !o.reuse(options.Before) {
		crash.Both(
			func() { o.Git, o.GitErr = o.observeGit(ctx, ports, observer) },
			func() { o.observeHost(ctx, ports) },
		)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	o.Live = options.Survey.Objects
	if names := o.namesInGit(); len(names) > 0 {
		var more []fluxinstall.LiveObject
		more, o.LiveErr = observer.Objects(ctx, names)
		o.Live = slices.Concat(o.Live, more)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return o, nil
}

// reuse takes over what an earlier observation saw of Git, when that is still good.
func (o *Observation) reuse(before *Observation) bool {
	if before == nil || before.Git == nil || o.Time.Sub(before.Git.Time) >= o.MaxAge {
		return false
	}
	if fetched := facts.CommitOf(o.fetchedRevision()); fetched != "" &&
		fetched != facts.CommitOf(before.fetchedRevision()) && fetched != before.Git.Tip.Hash {
		return false
	}
	o.Git, o.Host = before.Git, before.Host
	if o.appliedCommit() != before.appliedCommit() {
		seen := *before.Git
		seen.Behind, seen.Lacks, seen.Ahead = -1, false, nil
		if o.appliedCommit() == seen.Tip.Hash {
			seen.Behind = 0
		}
		o.Git = &seen
	}
	return true
}

func (o *Observation) fetchedRevision() string {
	if git := o.Survey.Flux.GitRepository; git != nil {
		return git.Revision
	}
	return ""
}

// appliedCommit is the commit that Flux has applied last; empty without one.
func (o *Observation) appliedCommit() string {
	if ks := o.Survey.Flux.Kustomization; ks != nil {
		return facts.CommitOf(ks.AppliedRevision)
	}
	return ""
}

// observeHost asks the host for what Git does not tell.
func (o *Observation) observeHost(ctx context.Context, ports gitops.Ports) {
	if ports.OpenHost == nil || o.Brief || o.Config.GitHub == nil {
		return
	}
	o.Host = &HostSight{}
	host, err := ports.OpenHost(ctx)
	if err != nil {
		o.Host.Err, o.Host.KeysErr = err, err
		return
	}
	ref := facts.RefOf(o.Config)
	crash.Both(
		func() { o.Host.Repository, o.Host.Err = host.Repository(ctx, ref) },
		func() { o.Host.Keys, o.Host.KeysErr = host.DeployKeys(ctx, ref) },
	)
	o.Host.OtherName = facts.OtherName(ctx, host, o.Remote, o.Config, &o.Survey.Flux)
}

// observeGit reads the tip of the branch and the specs below the path.
func (o *Observation) observeGit(ctx context.Context, ports gitops.Ports,
	observer facts.ClusterObserver) (*GitSight, error) {
	repository, err := ports.OpenRepository(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, err := repository.Fetch(ctx, o.Config.Branch)
	if err != nil {
		// A public repository can be read without a token; of any other, that it is missing says more than
		// the server's refusal.
		if ports.OpenHost != nil && facts.IsAccessError(err) {
			if _, missing := ports.OpenHost(ctx); missing != nil {
				err = missing
			}
		}
		return nil, err
	}
	defer snapshot.Close()
	seen := &GitSight{Time: time.Now(), State: snapshot.State(), Behind: -1}
	applied := o.appliedCommit()
	if seen.State != git.BranchExists {
		if !o.Brief {
			seen.Renamed = facts.BranchNow(ctx, o.openHost(ctx, ports), snapshot, o.Config, applied)
		}
		return seen, nil
	}
	if tip := snapshot.Tip(); tip != nil {
		seen.Tip = *tip
	}
	if seen.Clusters, err = facts.ClustersIn(snapshot, o.Config, o.ManagementCluster); err != nil {
		return nil, err
	}
	if err := o.readSpecs(ctx, snapshot, seen); err != nil {
		return nil, err
	}
	if !o.Brief {
		seen.Ahead, seen.AheadErr = o.lookAhead(ctx, snapshot, observer)
		seen.sparse = o.lookSparse(ctx, snapshot, seen.Sync)
	}
	if applied != "" && !o.Brief {
		if count, known, err := snapshot.Behind(ctx, applied, facts.MaxBehind); err == nil && known {
			seen.Behind = count
		} else if err == nil {
			// what cannot be looked at is not said to lack anything
			seen.Lacks, _ = snapshot.Lacks(ctx, applied)
		}
	}
	return seen, nil
}

// openHost is the host, nil when there is none or it cannot be opened.
func (o *Observation) openHost(ctx context.Context, ports gitops.Ports) gitops.Host {
	if ports.OpenHost == nil {
		return nil
	}
	host, err := ports.OpenHost(ctx)
	if err != nil {
		return nil
	}
	return host
}

// wants says whether a cluster's files are worth reading: in a brief look only those of clusters about which
// the management cluster says nothing.
func (o *Observation) wants(c *facts.GitCluster) bool {
	if o.Cluster != "" && c.Name != o.Cluster {
		return false
	}
	return !o.Brief || !slices.ContainsFunc(o.Survey.Clusters, func(live fluxinstall.LiveCluster) bool {
		return live.Name == c.Name
	})
}

// readSpecs reads the wanted clusters' specs and Flux's sync objects with one transfer.
func (o *Observation) readSpecs(ctx context.Context, snapshot facts.SnapshotReader, seen *GitSight) error {
	var paths []string
	own := map[string][]string{} // the files of directories whose kustomization is somebody's own
	for i := range seen.Clusters {
		c := &seen.Clusters[i]
		if !o.wants(c) {
			continue
		}
		paths = append(paths, c.Path)
		dir := path.Dir(c.Path)
		plain, err := snapshot.Holds(path.Join(dir, layout.KustomizationFile), layout.ClusterKustomization())
		if err != nil || o.Brief || plain && !hasKustomization(snapshot, path.Dir(dir)) {
			continue
		}
		files, err := facts.FilesBelow(ctx, snapshot, path.Dir(dir))
		if err != nil {
			return err
		}
		own[c.Name] = files
		paths = append(paths, files...)
	}
	system := layout.SystemDir(o.Config)
	syncFile, kustomization := path.Join(system, layout.SyncFile), path.Join(system, layout.KustomizationFile)
	_, hasSync, _ := snapshot.Lookup(syncFile)
	_, hasKustomization, _ := snapshot.Lookup(kustomization)
	seen.SystemFiles = hasSync && hasKustomization
	if seen.SystemFiles && !o.Brief {
		paths = append(paths, syncFile, kustomization)
	}
	if len(paths) == 0 {
		return nil
	}
	slices.Sort(paths)
	contents, err := snapshot.ReadAll(ctx, slices.Compact(paths))
	if err != nil {
		return err
	}
	if seen.SystemFiles && !o.Brief && patchesOnlyDeployments(contents[kustomization]) {
		seen.Sync = facts.DecodeObjects(contents[syncFile])
	}
	parseSpecs(seen.Clusters, contents)
	for i := range seen.Clusters {
		if list, ok := own[seen.Clusters[i].Name]; ok {
			files.BuildCluster(&seen.Clusters[i], list, contents)
		}
	}
	if o.Brief {
		return nil
	}
	return o.buildPath(ctx, snapshot, seen, contents[syncFile])
}

// parseSpecs reads the specs, several at a time: with many clusters it is what takes longest.
func parseSpecs(clusters []facts.GitCluster, contents map[string][]byte) {
	var group crash.Group
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(clusters); i += workers {
				if content, ok := contents[clusters[i].Path]; ok {
					clusters[i].Parse(content)
				}
			}
		})
	}
	group.Wait()
}

// namesInGit are the objects of EKS Anywhere that have to be read to compare, beside those of the survey.
func (o *Observation) namesInGit() []fluxinstall.ObjectName {
	if o.Git == nil || o.Brief {
		return nil
	}
	kinds := clusterspec.Kinds()
	var names []fluxinstall.ObjectName
	for _, c := range o.Git.Clusters {
		for _, object := range c.Objects {
			if slices.Contains(kinds, object.Kind) && !o.Survey.Holds(object.Kind) {
				names = append(names, facts.NameOf(object))
			}
		}
	}
	return names
}

// UnknownClusterError says that a cluster is neither in Git nor in the management cluster.
type UnknownClusterError struct {
	Name  string
	Known []string
	// GitUnseen says that Git could not be looked at.
	GitUnseen bool
}

// Error names the cluster and where it was looked for.
func (e *UnknownClusterError) Error() string {
	if e.GitUnseen {
		return fmt.Sprintf("there is no cluster %s in the management cluster, and Git could not be looked at",
			e.Name)
	}
	return fmt.Sprintf("there is no cluster %s, neither in Git nor in the management cluster", e.Name)
}

// Hint names the clusters that there are.
func (e *UnknownClusterError) Hint() hint.Hint {
	const most = 10
	switch {
	case len(e.Known) == 0:
		return "there are no clusters at all; is it the management cluster's kubeconfig?"
	case len(e.Known) > most:
		return hint.Text("there are %d clusters; list them with: %s", len(e.Known), hint.GetClusters)
	default:
		return hint.Text("the clusters there are: %s", strings.Join(e.Known, ", "))
	}
}
