package facts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// Loss is that the repository does not have what Flux has applied from it: it is gone, its branch is gone or
// has another name, or it is another repository under the old name. What is pushed then has nothing of what
// Flux has applied, and Flux deletes what it does not find any more, other clusters among it.
type Loss struct {
	Config  *clusterspec.GitOps
	Remote  Remote
	Applied string // the commit that Flux has applied last; empty when it has not yet

	Gone       bool            // there is no repository, or none that the token can see
	State      git.BranchState // of the branch that Flux follows
	Renamed    string          // what that branch is called now; empty when that is not known
	Head       string          // the commit that the branch is at instead
	Lacking    []string        // clusters that Flux has applied and whose files are not there
	Registered *bool           // whether Flux's deploy key is registered there; nil when that is not known
}

// Object is what is not as it should be.
func (l *Loss) Object() string {
	if l.State == git.BranchMissing {
		return "branch " + l.Config.Branch
	}
	return "repository " + l.Remote.Web
}

// Message says what is seen.
func (l *Loss) Message() string {
	branch := l.Config.Branch
	switch {
	case l.Gone:
		return fmt.Sprintf("repository %s, whose branch %s Flux follows, does not exist any more, or the "+
			"token may not see it", l.Remote.Web, branch)
	case l.State == git.RepositoryEmpty:
		return fmt.Sprintf("repository %s is empty, so that there is no branch %s any more, which Flux "+
			"follows", l.Remote.Web, branch)
	case l.Renamed != "":
		return fmt.Sprintf("branch %s of %s was renamed to %s, and Flux goes on looking for %s",
			branch, l.Remote.Web, l.Renamed, branch)
	case l.State == git.BranchMissing:
		return fmt.Sprintf("branch %s of %s, which Flux follows, does not exist any more",
			branch, l.Remote.Web)
	}
	return fmt.Sprintf("Flux has applied commit %s, which is not in the history of branch %s of %s, "+
		"now at %s; nor are there files of %s, which Flux has applied",
		ShortCommit(l.Applied), branch, l.Remote.Web, ShortCommit(l.Head), ClusterList(l.Lacking))
}

// Cause says what that means, in plain words.
func (l *Loss) Cause() string {
	switch {
	case l.State == git.RepositoryEmpty:
		return "it was created again under the old name, or all its branches were deleted" + l.keyText()
	case l.Gone, l.State == git.BranchMissing:
		return NothingNew
	case l.Registered != nil && !*l.Registered:
		return "it is another repository under the old name" + l.keyText()
	case l.Registered != nil:
		return "the history of the branch was rewritten" + l.keyText()
	}
	return "it is another repository under the old name, or the history of the branch was rewritten"
}

// NothingNew is what it means that Flux cannot read the repository.
const NothingNew = "Flux keeps what it has applied, and applies nothing new"

func (l *Loss) keyText() string {
	switch {
	case l.Registered == nil:
		return ""
	case *l.Registered:
		return ": Flux's deploy key is registered there"
	default:
		return ": Flux's deploy key is not registered there"
	}
}

// Next says what helps. The branch in the configuration cannot follow a rename: EKS Anywhere's webhook takes
// no change of it.
func (l *Loss) Next() string {
	address, branch := l.Remote.Push, "refs/heads/"+l.Config.Branch
	restore := text.Command("git push %s %s:%s", address, l.Applied, branch)
	if l.Applied == "" {
		restore = text.Command("git push %s %s", address, l.Config.Branch)
	}
	switch {
	case l.Gone && l.Config.GitHub != nil:
		return "have its owner restore it (GitHub keeps a deleted repository for 90 days), or use a token " +
			"that may see it"
	case l.Gone:
		return "restore it, or use a key that may read it"
	case l.Renamed != "":
		return text.Command("rename it back (EKS Anywhere does not let spec.branch of a %s change), or "+
			"push it under the old name as well, from any clone: git fetch %s %s && git push %s "+
			"FETCH_HEAD:%s", l.Config.Kind, address, l.Renamed, address, branch)
	case l.State == git.BranchMissing:
		return "restore it from a clone that has what Flux applied last: " + restore
	case l.State == git.RepositoryEmpty:
		return l.swapBack("push the branch from a clone that has what Flux applied last: " + restore)
	case l.Registered != nil && *l.Registered:
		return "bring back what Flux applied last, from a clone that has it: " +
			strings.Replace(restore, "git push", "git push --force", 1)
	}
	return l.swapBack("push what Flux applied last, from a clone that has it: " +
		strings.Replace(restore, "git push", "git push --force", 1))
}

// swapBack offers to bring back the repository itself where it may exist under another name.
func (l *Loss) swapBack(or string) string {
	if l.Config.GitHub == nil {
		return or
	}
	return fmt.Sprintf("if the repository that Flux followed still exists under another name, rename this "+
		"one and call that one %s again; else %s", RefOf(l.Config), or)
}

// LackingClusters are the clusters that Flux has applied and that has says are not there, sorted.
func LackingClusters(ks *fluxinstall.KustomizationState, has func(name string) bool) []string {
	var lacking []string
	for _, c := range ks.AppliedClusters() {
		if !has(c.Name) {
			lacking = append(lacking, c.Name)
		}
	}
	slices.Sort(lacking)
	return slices.Compact(lacking)
}

// RewrittenText tells of a history that was rewritten without harm.
func RewrittenText(applied, branch string) string {
	return fmt.Sprintf("commit %s, which Flux applied last, is not in the history of branch %s any more: "+
		"it was rewritten; the files of all clusters that Flux has applied are there",
		ShortCommit(applied), branch)
}

// BranchNow is what a branch that is not there is called now: what the host redirects its name to, or else
// the default branch, if that has what Flux applied last; empty when nobody can tell. A redirect to the
// default branch alone proves nothing; see [github.Client.BranchName].
func BranchNow(ctx context.Context, host HostReader, snapshot SnapshotReader, config *clusterspec.GitOps,
	applied string) string {
	if snapshot.State() != git.BranchMissing {
		return ""
	}
	now, standard := "", snapshot.DefaultBranch()
	if host != nil && config.GitHub != nil {
		if name, err := host.BranchName(ctx, RefOf(config), config.Branch); err == nil &&
			name != config.Branch {
			now = name
		}
	}
	if now != "" && now != standard {
		return now
	}
	if _, has, err := snapshot.Behind(ctx, applied, MaxBehind); err != nil || !has {
		return ""
	}
	return standard
}
