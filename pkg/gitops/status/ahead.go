package status

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Ahead is what Flux does when it applies what is in Git.
type Ahead struct {
	// Absent says that the path which Flux applies is not there.
	Absent bool
	// Consequences are what Flux does then; it has not yet.
	Consequences []facts.Consequence
	// Standing says that Flux does not do it by itself: it is not there, suspended or failing, or does not
	// get at the repository.
	Standing bool
}

// lookAhead works out what Flux does when it applies the tip of a branch, unless it has.
func (o *Observation) lookAhead(ctx context.Context, snapshot facts.SnapshotReader,
	observer facts.ClusterObserver) (*Ahead, error) {
	seen, flux := o.facts(), &o.Survey.Flux
	if seen.Cluster().Applied(o.Config.Branch, snapshot.Head()) {
		return &Ahead{}, nil
	}
	if flux.GitRepository == nil && flux.Kustomization == nil && len(flux.Controllers) == 0 &&
		len(o.Survey.GitOps) == 0 {
		return &Ahead{}, nil
	}
	ahead := &Ahead{Standing: !seen.FluxRuns() || seen.FluxFails() || seen.FluxCutOff()}
	f, err := files.TipForecast(ctx, files.Foresight{Facts: seen, Observer: observer}, snapshot)
	if err != nil {
		return nil, err
	}
	ahead.Absent = errors.Is(f.Unbuilt, fluxbuild.ErrAbsent)
	all, err := f.Consequences()
	ahead.Consequences = files.Told(all)
	return ahead, err
}

// facts are what the survey says, as far as it can be told without the host.
func (o *Observation) facts() facts.Facts {
	told := facts.Told{Config: o.Config, Remote: o.Remote, ManagementCluster: o.ManagementCluster}
	return facts.New(told).WithCluster(facts.AtCluster{Cluster: &o.Survey.State})
}

// judgeAhead tells what Flux would do that nobody may want, while it can still be kept from it.
func (j *judge) judgeAhead() {
	if j.Git != nil && j.Git.AheadErr != nil {
		j.unseen("what Flux makes of "+layout.RootDir(j.Config), j.Git.AheadErr.Error(), "")
	}
	if j.Git == nil || j.Git.State != git.BranchExists || j.Git.Ahead == nil || j.lost {
		return
	}
	ahead := j.Git.Ahead
	object := fmt.Sprintf("path %s of branch %s", layout.RootDir(j.Config), j.Config.Branch)
	if ahead.Absent && len(j.appliedClusters()) > 0 {
		j.problem(Problem{
			Object: object, Message: "there is no such directory in Git; Flux has applied " +
				facts.ClusterList(j.appliedClusters()) + " from it",
			Cause: facts.NothingNew + "; what is not in the path when it is there again is deleted",
			Next: hint.Text("bring back all of it: revert the commit that took it out (git revert), or %s, "+
				"and %s", j.createCommand(), hint.RestoreMissing),
		})
		return
	}
	var goes, comes []string
	for _, c := range ahead.Consequences {
		switch c.Change {
		case facts.ConsequenceDelete:
			goes = append(goes, c.Object)
		case facts.ConsequenceCreate:
			comes = append(comes, c.Object)
		}
	}
	if len(goes)+len(comes) == 0 {
		return
	}
	var what []string
	if len(goes) > 0 {
		what = append(what, "deletes "+facts.ObjectList(goes))
	}
	if len(comes) > 0 {
		what = append(what, "creates "+facts.ObjectList(comes)+", which EKS Anywhere builds")
	}
	if !ahead.Standing {
		j.note("Flux is about to apply commit %s of branch %s: it %s",
			facts.ShortCommit(j.Git.Tip.Hash), j.Config.Branch, strings.Join(what, " and "))
		return
	}
	p := Problem{
		Object: object, Message: fmt.Sprintf("when Flux applies commit %s, it %s",
			facts.ShortCommit(j.Git.Tip.Hash), strings.Join(what, " and ")),
		Cause: "Flux has not applied that commit, and does not now", Next: hint.Command(
			"see that this is meant before Flux runs again: git log -p -- %s", layout.RootDir(j.Config)),
	}
	if len(comes) > 0 && j.looksRebuilt() {
		p.Cause = "this looks like a rebuilt management cluster: clusters of the former one that still run " +
			"would be built a second time, with the same addresses"
	}
	j.problem(p)
}

func (j *judge) looksRebuilt() bool {
	return j.facts().LooksRebuilt()
}

// appliedClusters are the workload clusters that Flux has applied.
func (j *judge) appliedClusters() []string {
	ks := j.Survey.Flux.Kustomization
	if ks == nil {
		return nil
	}
	return facts.LackingClusters(ks, func(string) bool { return false })
}
