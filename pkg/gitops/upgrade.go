package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// UpgradeOptions are what [Upgrade] works on. Overwrite lets the file's values win where the file and Git
// both changed a field.
type UpgradeOptions struct {
	CreateOptions
	// Sources are the user's files from which Clusters were read.
	Sources []clusterspec.Source
	// UpdateSources writes Sources back with what others changed in Git.
	UpdateSources bool
	// Adopt takes over a Flux that `flux bootstrap` has installed in the same namespace and that follows
	// another repository, branch or path. What it had applied from there stays in the cluster.
	Adopt bool
}

// Upgrade brings clusters that exist to what their files say. A cluster that is not in Git yet is put there,
// and Flux takes its objects over as they are: GitOps is enabled. One that is in Git is changed there: edits
// of the file and edits that others made in Git since are merged, the API server is asked whether it would
// take the result, and after the push the run waits until the objects carry the change and the clusters are
// Ready.
//
// The Result is never nil. The errors are *PreflightError (nothing was written), *IncompleteError (run it
// again to continue), those of a first write that failed, and the context's. Unlike a creation, an upgrade
// stops at a failure. Upgrade may be repeated.
func Upgrade(ctx context.Context, ports Ports, options UpgradeOptions) (*Result, error) {
	u := &upgradeRun{clustersRun: newClustersRun("upgrade cluster", ports, options.CreateOptions),
		asked: options, first: files.FirstLooks{}}
	u.adoptHint, u.adopting = "take it over with --adopt", options.Adopt && u.management != nil
	err := crash.Guarded(func() error { return u.do(ctx) })
	if err != nil && !errors.As(err, new(*PreflightError)) {
		_, wrote := u.steps.Results()
		if u.made.takenBack && u.newRepository == (github.RepoRef{}) {
			wrote = false
		}
		wrote = wrote || endedWaiting(err)
		switch refused := u.asFindings(err); {
		case !wrote && len(refused) > 0:
			err = &PreflightError{Findings: refused} // found while pushing, because somebody else was faster
		case !wrote:
			err = unchanged(err)
		case !errors.As(err, new(*IncompleteError)) && !errors.Is(ctx.Err(), context.Canceled):
			err = &IncompleteError{What: "the upgrade is not complete", Cause: err}
		}
		u.result.Failure = failureOf(u.steps.Failed, err)
		if wrote {
			u.result.Status = StatusIncomplete
		}
	}
	return u.end(ctx, err)
}

// upgradeRun is the state of one Upgrade.
type upgradeRun struct {
	*clustersRun
	asked UpgradeOptions

	live        []fluxinstall.LiveObject // the clusters' objects in the management cluster
	specs       []*files.SpecPlan        // of the snapshot that is built on
	first       files.FirstLooks
	provisioned []*files.SpecPlan    // of the clusters that the provisioner has to upgrade
	versions    map[string]string    // spec.eksaVersion as the provisioner has made it, by cluster
	updated     []clusterspec.Source // the user's files as this run left them
	unsaved     []string             // the clusters whose files were edited meanwhile, and were left
	flux        files.FluxPlan       // of the snapshot that is built on
}

func (u *upgradeRun) do(ctx context.Context) error {
	if len(u.managed) == 0 {
		return u.checkUnmanaged(ctx)
	}
	if err := u.render(ctx); err != nil {
		return err
	}
	if err := u.observe(ctx); err != nil {
		return err
	}
	u.tell()
	if err := u.steps.Perform(ctx, u.parts()); err != nil {
		return err
	}
	if u.settings.DryRun {
		u.result.Status = StatusPlanned
		return nil
	}
	return u.conclude(ctx)
}

// parts are those of an upgrade, which stops at the first failure. Clusters that the provisioner has to
// upgrade it upgrades while Flux leaves them alone; what is in Git then is what it has made.
func (u *upgradeRun) parts() step.Sequence {
	inGit := u.throughGit()
	if len(u.provisioned) > 0 {
		held := make([]heldCluster, 0, len(u.provisioned))
		for _, p := range u.provisioned {
			held = append(held, heldOf(p.Cluster))
		}
		inGit = step.Sequence{u.paused(held, append(u.upgradeClusters(), inGit...))}
	}
	return slices.Concat(
		step.Sequence{step.Telling(u.startRepositoryResult)},
		u.createRepository(),
		inGit,
		step.Sequence{
			step.When(u.checkCarried),
			step.When(func(ctx context.Context) step.Sequence { return u.awaitClusters(ctx, u.managed) }),
		},
	)
}

// throughGit writes Git and has Flux apply it.
func (u *upgradeRun) throughGit() step.Sequence {
	return step.Sequence{
		step.When(u.updateFiles),
		u.pushWithCredentials(commitWork{plan: u.planUpgrade, prepare: u.saveUpdates,
			message: u.upgradeMessage}),
		step.When(u.bringFlux),
		step.When(u.waitUpgraded),
		step.When(u.waitRolledOver),
		step.Silently(u.tellRunning),
	}
}

// checkUnmanaged is a run on files without gitOpsRef: nothing is to be done unless a cluster is managed
// through Git.
func (u *upgradeRun) checkUnmanaged(ctx context.Context) error {
	var found findings
	u.lookAtCluster(ctx, demands{judge: u.checkManagementCluster}, &found)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(found.list) == 0 {
		u.checkDetached(&found)
	}
	if err := found.refused(); err != nil {
		return err
	}
	u.result.Status = StatusNotConfigured
	return nil
}

// observe makes every check that reading can make, and asks the API server about the change.
func (u *upgradeRun) observe(ctx context.Context) error {
	var found findings
	if err := u.look(ctx, demands{judge: u.checkState}, &found); err != nil {
		return err
	}
	if err := u.takeBack(ctx, demands{judge: u.checkState}, &found); err != nil {
		return err
	}
	if u.seen.Cluster() != nil {
		u.checkDetached(&found)
	}
	u.noteForeignKey()
	u.sourceLater = u.adopts()
	u.checkHosts(&found)
	u.checkTogether(&found)
	u.checkSource(&found)
	u.checkFrozen(&found)
	u.checkLeaving(&found)
	u.checkNamespaces(&found)
	u.checkLoss(ctx, &found)
	u.noteRenamed()
	if len(found.list) == 0 && len(found.soft) == 0 {
		err := u.observeSpecs(ctx, &found)
		if err != nil {
			return err
		}
		if u.restore(ctx, &found); len(u.restored) > 0 && len(found.list) == 0 {
			if u.planned, err = u.planUpgrade(ctx, u.snapshot); err != nil {
				return err
			}
		}
		u.checkConsequences(ctx, &found)
		if err := u.checkStored(ctx, &found); err != nil {
			return fmt.Errorf("%w; %s", err, nothingChanged)
		}
		if len(found.list) == 0 {
			if err := u.checkLocal(&found); err != nil {
				return err
			}
		}
		u.checkRights(ctx, &found)
		u.observePush(ctx, &found)
		u.checkUpgrader(ctx, &found)
	}
	if len(found.list) == 0 && len(found.soft) == 0 && u.keepsFlux {
		u.noteAuthority()
		u.noteFormerKeys()
		u.noteUnseen()
		u.noteAsleep()
	}
	if len(found.list) == 0 && len(found.soft) == 0 {
		u.noteSparseElsewhere()
	}
	if err := found.refused(); err != nil {
		return err
	}
	if err := errors.Join(found.soft...); err != nil {
		u.steps.Failed = stepAccess
		return fmt.Errorf("%w; %s", err, nothingChanged)
	}
	return nil
}

// stepCompare looks at what the files would change.
const stepCompare step.Name = "Compare the files with Git and the cluster"

// observeSpecs reads the live objects, plans the change and has it judged. Its error is no verdict on the
// files.
func (u *upgradeRun) observeSpecs(ctx context.Context, found *findings) error {
	return u.steps.Do(stepCompare, func() (step.Effect, error) {
		var err error
		if u.live, err = u.readLive(ctx); err != nil {
			return step.Effect{}, err
		}
		u.checkExistence(found)
		if len(found.list) > 0 {
			return step.Effect{Outcome: step.OutcomeFailed}, nil
		}
		u.planned, err = u.planUpgrade(ctx, u.snapshot)
		if refused := u.asFindings(err); len(refused) > 0 {
			found.list = append(found.list, refused...)
			return step.Effect{Outcome: step.OutcomeFailed}, nil
		}
		if err != nil {
			return step.Effect{}, err
		}
		if err := u.judgeChanges(ctx, found); err != nil {
			return step.Effect{}, err
		}
		if len(found.list) > 0 {
			return step.Effect{Outcome: step.OutcomeFailed}, nil
		}
		return step.Effect{Outcome: step.OutcomeChecked, Detail: u.countChanges()}, nil
	})
}

func (u *upgradeRun) countChanges() string {
	n := 0
	for _, p := range u.specs {
		n += len(p.Changes)
	}
	switch n {
	case 0:
		return "no change"
	case 1:
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}

// readLive reads the objects of the clusters' files, the user's and those in Git, as they are in the
// management cluster.
func (u *upgradeRun) readLive(ctx context.Context) ([]fluxinstall.LiveObject, error) {
	var list []fluxinstall.ObjectName
	add := func(kind, namespace, name string) {
		o := fluxinstall.ObjectName{Kind: kind, Namespace: namespace, Name: name}
		if slices.Contains(clusterspec.Kinds(), kind) && !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	inGit, err := u.upgradePlanner().ReadSpecs(ctx, u.snapshot)
	if err != nil {
		return nil, fmt.Errorf("reading the repository: %w", err)
	}
	for _, c := range u.managed {
		for _, o := range c.Objects {
			add(o.Kind, o.Namespace, o.Name)
		}
		git := facts.GitCluster{Name: c.Name}
		git.Parse(inGit[layout.PathsOf(c).Spec])
		for _, o := range git.Objects {
			add(o.Kind, o.Namespace, o.Name)
		}
	}
	live, err := u.open.cluster.Objects(ctx, list)
	if err != nil {
		return nil, fmt.Errorf("reading the clusters' objects: %w", err)
	}
	if u.asReleased {
		for i := range live {
			live[i] = fluxinstall.Released(live[i])
		}
	}
	return live, nil
}

// planUpgrade works out what has to be written on top of snapshot. It is the planner of the push, too: what
// others pushed meanwhile is merged again.
func (u *upgradeRun) planUpgrade(ctx context.Context, snapshot Snapshot) (*files.Plan, error) {
	return u.planUpgradeOn(ctx, snapshot, false)
}

func (u *upgradeRun) planUpgradeOn(ctx context.Context, snapshot Snapshot, later bool) (*files.Plan, error) {
	planner := u.upgradePlanner()
	planner.Later = later
	planned, err := planner.Plan(ctx, snapshot)
	for _, note := range planned.Notes {
		u.steps.Note(step.LevelInfo, note)
	}
	u.specs, u.flux = planned.Specs, planned.Flux
	if len(u.specs) == len(u.managed) {
		u.recordPlans()
	}
	return planned.Plan, err
}

func (u *upgradeRun) upgradePlanner() *files.UpgradePlanner {
	return &files.UpgradePlanner{Planner: u.planner(), Live: u.live, First: u.first, Versions: u.versions}
}

// asFindings gives an error that is about the files as findings; none for others.
func (u *upgradeRun) asFindings(err error) []facts.Finding {
	if changed := new(sourceChangedError); errors.As(err, &changed) {
		return []facts.Finding{facts.AreaLocal.Finding(changed.Error(), changed.Hint())}
	}
	if found := new(facts.FoundError); errors.As(err, &found) {
		return found.Findings
	}
	if conflict := new(files.ConflictError); errors.As(err, &conflict) {
		conflict.Upgrade = true
		return []facts.Finding{facts.AreaSpec.Finding(conflict.Error(), conflict.Hint())}
	}
	var problems clusterspec.Problems
	if errors.As(err, &problems) {
		var list []facts.Finding
		for _, p := range problems {
			list = append(list, facts.AreaSpec.Finding("of the file as it would be in Git: "+p.String(), ""))
		}
		return list
	}
	return nil
}

// recordPlans puts what was worked out into the result.
func (u *upgradeRun) recordPlans() {
	for _, p := range u.specs {
		record := u.clusterResult(p.Cluster.Name)
		record.SpecPath, record.Changes, record.Merged, record.Conflicts = p.Path, p.Changes, p.Merged,
			p.Conflicts
		record.Drift = u.drift(p)
	}
}

// upgradeMessage is the commit's message. Clusters into which others' edits were merged, but not into the
// user's file, are named, so that the next run knows what the file says.
func (u *upgradeRun) upgradeMessage() string {
	var all, merged []string
	for _, p := range u.specs {
		all = append(all, p.Cluster.Name)
		if u.lacksMerged(p) {
			merged = append(merged, p.Cluster.Name)
		}
	}
	message := u.commitMessage(u.upgradeSubject()+u.restoredText(), slices.Concat(all, u.restored))
	if len(merged) > 0 {
		message += fmt.Sprintf("%s: %s\n", facts.TrailerMerged, strings.Join(merged, " "))
	}
	return message
}

func (u *upgradeRun) upgradeSubject() string {
	var changing []*files.SpecPlan
	for _, p := range u.specs {
		if p.Changed() {
			changing = append(changing, p)
		}
	}
	switch {
	case len(changing) == 0 && u.flux.Changes != nil && u.flux.Changes[0].Name == fluxmanifests.FluxItself &&
		u.flux.Changes[0].OldVersion != u.flux.Changes[0].NewVersion:
		return fmt.Sprintf("Upgrade Flux from %s to %s",
			u.flux.Changes[0].OldVersion, u.flux.Changes[0].NewVersion)
	case len(changing) == 0:
		return "Update the files of Flux"
	case len(changing) > 1:
		return fmt.Sprintf("Change %d clusters", len(changing))
	}
	p := changing[0]
	if !p.InGit {
		return fmt.Sprintf("Enable GitOps for cluster %s", p.Cluster.Name)
	}
	for _, c := range p.Changes {
		if c.Object == "Cluster "+p.Cluster.Name && c.Field == "spec.kubernetesVersion" {
			return fmt.Sprintf("Upgrade cluster %s to Kubernetes %s", p.Cluster.Name, c.New)
		}
	}
	return "Change cluster " + p.Cluster.Name
}

// conclude draws up the result of an upgrade that has come to its end, and keeps a copy of each spec.
func (u *upgradeRun) conclude(ctx context.Context) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	u.result.Status = StatusDone
	if err := errors.Join(u.checkSaved(), u.saveMerged(ctx)); err != nil {
		u.result.Status = StatusIncomplete
		return &IncompleteError{What: "the run did not do all it should", Cause: errors.Join(u.notReady, err)}
	}
	if u.notReady != nil {
		u.result.Status = StatusIncomplete
		return unready(u.notReady)
	}
	return nil
}
