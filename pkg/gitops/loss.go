package gitops

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// loss is that the repository does not have what Flux has applied from it: it is gone, its branch is gone or has another name, or it is
// another repository under the old name. What is pushed then has nothing of what Flux has applied, and Flux deletes what it does not find
// any more, other clusters among it.
type loss struct {
	config  *clusterspec.GitOps
	remote  Remote
	applied string // the commit that Flux has applied last; empty when it has not yet

	gone       bool            // there is no repository, or none that the token can see
	state      git.BranchState // of the branch that Flux follows
	renamed    string          // what that branch is called now; empty when that is not known
	head       string          // the commit that the branch is at instead
	lacking    []string        // clusters that Flux has applied and whose files are not there
	registered *bool           // whether Flux's deploy key is registered there; nil when that is not known
}

// object is what is not as it should be.
func (l *loss) object() string {
	if l.state == git.BranchMissing {
		return "branch " + l.config.Branch
	}
	return "repository " + l.remote.Web
}

// message says what is seen.
func (l *loss) message() string {
	branch := l.config.Branch
	switch {
	case l.gone:
		return fmt.Sprintf("repository %s, whose branch %s Flux follows, does not exist any more, or the token may not see it", l.remote.Web, branch)
	case l.state == git.RepositoryEmpty:
		return fmt.Sprintf("repository %s is empty, so that there is no branch %s any more, which Flux follows", l.remote.Web, branch)
	case l.renamed != "":
		return fmt.Sprintf("branch %s of %s was renamed to %s, and Flux goes on looking for %s", branch, l.remote.Web, l.renamed, branch)
	case l.state == git.BranchMissing:
		return fmt.Sprintf("branch %s of %s, which Flux follows, does not exist any more", branch, l.remote.Web)
	}
	return fmt.Sprintf("Flux has applied commit %s, which is not in the history of branch %s of %s, now at %s; nor are there files of %s, which Flux has applied",
		short(l.applied), branch, l.remote.Web, short(l.head), clusterList(l.lacking))
}

// cause says what that means, in plain words.
func (l *loss) cause() string {
	switch {
	case l.state == git.RepositoryEmpty:
		return "it was created again under the old name, or all its branches were deleted" + l.keyText()
	case l.gone, l.state == git.BranchMissing:
		return nothingNew
	case l.registered != nil && !*l.registered:
		return "it is another repository under the old name" + l.keyText()
	case l.registered != nil:
		return "the history of the branch was rewritten" + l.keyText()
	}
	return "it is another repository under the old name, or the history of the branch was rewritten"
}

const nothingNew = "Flux keeps what it has applied, and applies nothing new"

func (l *loss) keyText() string {
	switch {
	case l.registered == nil:
		return ""
	case *l.registered:
		return ": Flux's deploy key is registered there"
	default:
		return ": Flux's deploy key is not registered there"
	}
}

// next says what helps. The branch in the configuration cannot follow a rename: EKS Anywhere's webhook takes no change of it.
func (l *loss) next() string {
	address, branch := l.remote.Push, "refs/heads/"+l.config.Branch
	restore := text.Command("git push %s %s:%s", address, l.applied, branch)
	if l.applied == "" {
		restore = text.Command("git push %s %s", address, l.config.Branch)
	}
	switch {
	case l.gone && l.config.GitHub != nil:
		return "have its owner restore it (GitHub keeps a deleted repository for 90 days), or use a token that may see it"
	case l.gone:
		return "restore it, or use a key that may read it"
	case l.renamed != "":
		return text.Command("rename it back (EKS Anywhere does not let spec.branch of a %s change), or push it under the old name as well, from any clone: git fetch %s %s && git push %s FETCH_HEAD:%s",
			l.config.Kind, address, l.renamed, address, branch)
	case l.state == git.BranchMissing:
		return "restore it from a clone that has what Flux applied last: " + restore
	case l.state == git.RepositoryEmpty:
		return l.swapBack("push the branch from a clone that has what Flux applied last: " + restore)
	case l.registered != nil && *l.registered:
		return "bring back what Flux applied last, from a clone that has it: " + strings.Replace(restore, "git push", "git push --force", 1)
	}
	return l.swapBack("push what Flux applied last, from a clone that has it: " + strings.Replace(restore, "git push", "git push --force", 1))
}

// swapBack offers to bring back the repository itself where it may exist under another name.
func (l *loss) swapBack(or string) string {
	if l.config.GitHub == nil {
		return or
	}
	return fmt.Sprintf("if the repository that Flux followed still exists under another name, rename this one and call that one %s again; else %s", refOfConfig(l.config), or)
}

func clusterList(names []string) string {
	if len(names) == 1 {
		return "cluster " + names[0]
	}
	const most = 5
	if n := len(names); n > most {
		return fmt.Sprintf("clusters %s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return "clusters " + strings.Join(names, ", ")
}

// lackingClusters are the clusters that Flux has applied and that has says are not there, sorted.
func lackingClusters(ks *fluxinstall.KustomizationState, has func(name string) bool) []string {
	var lacking []string
	for _, c := range ks.AppliedClusters() {
		if !has(c.Name) {
			lacking = append(lacking, c.Name)
		}
	}
	slices.Sort(lacking)
	return slices.Compact(lacking)
}

// checkLoss makes sure that the repository has what Flux has applied from it. A run that finds neither the repository nor the branch may
// make them only while Flux has not applied anything.
func (r *run) checkLoss(ctx context.Context, found *findings) {
	lost := r.lookForLoss(ctx, found)
	if lost == nil {
		return
	}
	if r.meant.RestoreMissing && !lost.gone && lost.renamed == "" {
		r.steps.Note(LevelWarning, lost.message()+"; the files of running clusters go there")
		return
	}
	message := lost.message()
	if cause := lost.cause(); !lost.gone && lost.state != git.BranchMissing {
		message += " (" + cause + ")"
	}
	found.addFinding(Finding{AreaCluster,
		message + "; what is pushed now would have Flux delete everything else it has applied, other clusters included",
		lost.next() + r.orRestore(lost) + "; until then Flux keeps what it has applied"})
}

// lookForLoss is findLoss for a run that has found nothing wrong so far; nil as well where Flux follows nothing of the run's.
func (r *run) lookForLoss(ctx context.Context, found *findings) *loss {
	if len(found.list) > 0 || len(found.soft) > 0 || r.seen.cluster == nil {
		return nil
	}
	flux := &r.seen.cluster.Flux
	git, ks := flux.GitRepository, flux.Kustomization
	if git == nil || ks == nil || flux.Adoption != nil || r.followsOther(flux) {
		return nil
	}
	lost, err := r.findLoss(ctx, ks)
	if err != nil {
		classifyFetch(fmt.Errorf("looking for what Flux has applied in the repository's history: %w", err), found)
	}
	return lost
}

// orRestore offers to go on with another repository or history.
func (r *run) orRestore(lost *loss) string {
	if r.removes || lost.gone || lost.renamed != "" || !r.keepsFlux {
		return ""
	}
	return "; or go on with what is there, and add --restore-missing, which makes the files of running clusters again"
}

// findLoss returns nil when the branch has what Flux has applied, or when Flux has yet to apply something.
func (r *run) findLoss(ctx context.Context, ks *fluxinstall.KustomizationState) (*loss, error) {
	l := &loss{config: r.config, remote: r.settings.Remote, applied: commitOf(ks.AppliedRevision)}
	snapshot := r.seen.snapshot
	if snapshot == nil || snapshot.State() != git.BranchExists {
		if l.applied == "" && r.keepsFlux {
			return nil, nil
		}
		if l.gone = snapshot == nil; !l.gone {
			l.state = snapshot.State()
			l.renamed = branchNow(ctx, r.seen.ports.host, snapshot, r.config, l.applied)
			l.registered = r.fluxKeyRegistered(ctx)
		}
		return l, nil
	}
	if branch, _, _ := strings.Cut(ks.AppliedRevision, "@"); l.applied == "" || branch != r.config.Branch {
		return nil, nil
	}
	lacks, err := r.lacks(ctx, snapshot, l.applied)
	if lacks {
		// Others may have pushed, and Flux applied that, between the look at the repository and the one at the cluster.
		if snapshot, err = r.fetch(ctx); err == nil {
			r.seen.snapshot = snapshot
			lacks, err = r.lacks(ctx, snapshot, l.applied)
		}
	}
	if err != nil || !lacks {
		return nil, err
	}
	l.state, l.head = snapshot.State(), snapshot.Head()
	l.lacking = lackingClusters(ks, func(name string) bool {
		_, there, err := snapshot.Lookup(layout.PathsIn(r.config, name).Spec)
		return err != nil || there
	})
	if len(l.lacking) == 0 {
		r.steps.Note(LevelWarning, rewrittenText(l.applied, r.config.Branch))
		return nil, nil
	}
	l.registered = r.fluxKeyRegistered(ctx)
	return l, nil
}

// rewrittenText tells of a history that was rewritten without harm.
func rewrittenText(applied, branch string) string {
	return fmt.Sprintf("commit %s, which Flux applied last, is not in the history of branch %s any more: it was rewritten; the files of all clusters that Flux has applied are there", short(applied), branch)
}

func (r *run) lacks(ctx context.Context, snapshot Snapshot, commit string) (bool, error) {
	if snapshot.Head() == commit {
		return false, nil
	}
	var lacks bool
	err := r.persist(ctx, func() (err error) {
		lacks, err = snapshot.Lacks(ctx, commit)
		return err
	})
	return lacks, err
}

// branchNow is what a branch that is not there is called now: what the host redirects its name to, or else the default branch, if that
// has what Flux applied last; empty when nobody can tell. A redirect to the default branch alone proves nothing; see
// [github.Client.BranchName].
func branchNow(ctx context.Context, host Host, snapshot Snapshot, config *clusterspec.GitOps, applied string) string {
	if snapshot.State() != git.BranchMissing {
		return ""
	}
	now, standard := "", snapshot.DefaultBranch()
	if host != nil && config.GitHub != nil {
		if name, err := host.BranchName(ctx, refOfConfig(config), config.Branch); err == nil && name != config.Branch {
			now = name
		}
	}
	if now != "" && now != standard {
		return now
	}
	if _, has, err := snapshot.Behind(ctx, applied, maxBehind); err != nil || !has {
		return ""
	}
	return standard
}

// fluxKeyRegistered says whether the host knows the key with which Flux reads the repository; nil when nobody can tell.
func (r *run) fluxKeyRegistered(ctx context.Context) *bool {
	if r.seen.ports.host == nil || r.seen.cluster.Flux.SourcePublicKey == "" {
		return nil
	}
	keys, err := r.seen.ports.host.DeployKeys(ctx, r.repoRef())
	if err != nil {
		return nil // the token may not read them
	}
	registered := slices.ContainsFunc(keys, func(k github.DeployKey) bool { return k.SameMaterial(r.seen.cluster.Flux.SourcePublicKey) })
	return &registered
}
