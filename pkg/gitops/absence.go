package gitops

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// That nothing was found is no evidence that nothing is there: the same command, started in another
// directory, finds no kubeconfig. A management cluster is taken for one that does not exist only when
// something that would know of it was looked at and does not, or when a person says so: `create --build`,
// `delete --from git`.

// checkUnbuilt makes sure that the provisioner does not build a management cluster a second time, when no
// kubeconfig leads to it. The repository knows: a cluster that was built has its files there, and its Flux a
// deploy key.
func (r *createRun) checkUnbuilt(ctx context.Context, found *findings) {
	if !r.seen.Absent() || r.management == nil || r.meant.builds(r.management.Name) {
		return
	}
	name := r.management.Name
	build := text.Command("to build it anyway, add --build %s", name)
	signs, err := r.signsOfLife(ctx)
	switch {
	case len(signs) > 0:
		found.addFinding(facts.AreaCluster.Finding(
			fmt.Sprintf("no kubeconfig leads to management cluster %s, and there are signs that "+
				"it was built already: %s; %v", name, strings.Join(signs, ", "), r.seen.Unfound()),
			joinedHints(facts.HintOf(r.seen.Unfound()), build)))
	case err != nil:
		found.addFinding(facts.AreaCluster.Finding(
			fmt.Sprintf("no kubeconfig leads to management cluster %s, and the repository, which would "+
				"tell whether it was built already, cannot be looked at: %v; %v", name, err,
				r.seen.Unfound()),
			joinedHints(facts.HintOf(r.seen.Unfound()),
				"run the same command again when the repository can be looked at; "+build)))
	}
}

// signsOfLife are what the repository has of a management cluster. The error is why it could not be looked
// at; one that does not exist was.
func (r *createRun) signsOfLife(ctx context.Context) ([]string, error) {
	var signs []string
	var unseen error
	if access := r.seen.Access(); access != nil {
		for _, f := range access.Findings {
			if f.Severity == github.SeverityError && f.Kind != github.KindPolicy {
				unseen = errors.Join(unseen, errors.New(f.Message))
			}
		}
		title := deployKeyTitle(r.management.Name, r.seen.Config().SystemNamespace)
		if slices.ContainsFunc(access.DeployKeys, func(k github.DeployKey) bool { return k.Title == title }) {
			signs = append(signs, fmt.Sprintf("deploy key %q of %s", title, r.seen.RepoRef()))
		}
		if access.Repository == nil {
			return signs, unseen // without an error it does not exist
		}
	}
	snapshot := r.snapshot
	if snapshot == nil {
		// It was not reached, or a rule of the host was in the way, which does not keep anybody from reading.
		if r.open.repo == nil || r.open.host != nil && r.seen.Access() == nil {
			return signs, errors.New("it did not answer")
		}
		var err error
		if snapshot, err = r.open.repo.Fetch(ctx, r.seen.Config().Branch); err != nil {
			return signs, err
		}
		r.snapshots = append(r.snapshots, snapshot)
	}
	if snapshot.State() != git.BranchExists {
		return signs, unseen
	}
	system := layout.SystemDir(r.seen.Config())
	for _, file := range []string{layout.PathsIn(r.seen.Config(), r.management.Name).Spec,
		path.Join(system, layout.ComponentsFile), path.Join(system, layout.SyncFile)} {
		if _, there, err := snapshot.Lookup(file); err != nil {
			return signs, fmt.Errorf("looking for %s: %w", file, err)
		} else if there {
			signs = append(signs, file+" in Git")
		}
	}
	return signs, unseen
}

// checkGone makes sure that a management cluster to which no kubeconfig leads is not taken for one that is
// gone: its files would go, and its Flux, which may well be running, would delete what it does not find any
// more. Only when nothing is left to take away, and the provisioner's own record says that it has deleted the
// cluster, there is nothing to say.
func (d *deleteRun) checkGone(found *findings) {
	deleted := d.ports.Provisioner.HasDeleted(d.seen.ManagementCluster())
	left := len(d.planned.Changes) > 0 || len(d.attached.keys) > 0
	switch {
	case deleted && !left:
		return
	case deleted:
		found.addFinding(facts.AreaCluster.Finding(fmt.Sprintf(
			"no kubeconfig leads to management cluster %s; "+
				"eksctl anywhere has deleted one of that name from this directory, and something of it "+
				"is left in Git: you have to say whether that is of the same cluster",
			d.seen.ManagementCluster()), hintRest))
	default:
		found.addFinding(facts.AreaCluster.Finding(fmt.Sprintf(
			"no kubeconfig leads to management cluster %s, which does not mean that it is gone: %v",
			d.seen.ManagementCluster(), d.seen.Unfound()), joinedHints(facts.HintOf(d.seen.Unfound()),
			hintRest)))
	}
}

// hintRest says how a person says that a management cluster is gone.
const hintRest = "if the cluster has been deleted already, remove what is left of it in Git, and its " +
	"deploy key, with --from git"
