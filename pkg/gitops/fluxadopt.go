package gitops

import (
	"context"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// FluxAdopter takes over a Flux that follows something else, in the order of the methods. They say whether
// they wrote.
type FluxAdopter interface {
	// RecordFlux keeps what Flux follows now, its credentials included, and returns the record's name. That
	// of a take-over under way stays as it is.
	RecordFlux(ctx context.Context, namespace string) (record string, changed bool, err error)
	// HoldPruning has Flux delete and apply nothing, and waits until a round that was under way is over.
	HoldPruning(ctx context.Context, namespace, record string,
		progress func(fluxinstall.Progress)) (bool, error)
	// Repoint has Flux follow what the manifests say. It still deletes and applies nothing.
	Repoint(ctx context.Context, namespace string, sync []byte) (bool, error)
	// EndAdoption ends what HoldPruning began.
	EndAdoption(ctx context.Context, namespace string, sync []byte) (bool, error)
}

// adopts says whether the run takes over a Flux that follows something else, or goes on with that.
func (u *upgradeRun) adopts() bool {
	if u.management == nil || u.seen.Cluster() == nil || !u.asked.Adopt {
		return false
	}
	flux := &u.seen.Cluster().Flux
	return flux.Adoption != nil || u.seen.FollowsOther(flux)
}

// adopted is what Flux followed before; from the record when a take-over is under way.
func (u *upgradeRun) adopted() *Adopted {
	flux := &u.seen.Cluster().Flux
	if a := flux.Adoption; a != nil {
		return &Adopted{URL: redact.Address(a.URL), Branch: a.Branch, Path: a.Path,
			Record: u.seen.Config().SystemNamespace + "/" + a.Record, Settings: a.Settings,
			Unmanaged: []string{}}
	}
	adopted := &Adopted{Unmanaged: []string{}}
	if git := flux.GitRepository; git != nil {
		adopted.URL, adopted.Branch = redact.Address(git.URL), git.Branch
	}
	if ks := flux.Kustomization; ks != nil {
		adopted.Path = ks.Path
	}
	return adopted
}

// noteForeignKey remembers the key of the source Secret when it is for another repository: a deploy key of
// GitHub cannot be used for two.
func (u *upgradeRun) noteForeignKey() {
	if !u.adopts() {
		return
	}
	flux := &u.seen.Cluster().Flux
	switch {
	case flux.Adoption != nil:
		if flux.Adoption.URL != "" && !u.seen.SameSource(flux.Adoption.URL) {
			u.foreignKey = flux.Adoption.PublicKey
		}
	case flux.GitRepository != nil && !u.seen.SameSource(flux.GitRepository.URL):
		u.foreignKey = flux.SourcePublicKey
	}
}

// checkAdoption makes sure that a Flux that follows something else can be taken over.
func (u *upgradeRun) checkAdoption(seen facts.Facts) []facts.Finding {
	flux := &seen.Cluster().Flux
	namespace := seen.Config().SystemNamespace
	if !u.asked.Adopt || u.management == nil || flux.Adoption == nil && !seen.FollowsOther(flux) {
		return nil
	}
	if flux.GitRepository == nil || flux.Kustomization == nil {
		return []facts.Finding{facts.AreaCluster.Finding(fmt.Sprintf(
			"only one of GitRepository and Kustomization %s/%s "+
				"exists, so that there is no Flux of a bootstrap to take over", namespace, namespace),
			text.Command("kubectl -n %s get "+
				"gitrepositories.source.toolkit.fluxcd.io,kustomizations.kustomize.toolkit.fluxcd.io",
				namespace))}
	}
	if !flux.Working() {
		return []facts.Finding{facts.AreaCluster.Finding(
			fmt.Sprintf("the Flux in namespace %s does not run: source-controller and kustomize-controller "+
				"have to be available for it to be taken over", namespace),
			text.Command("kubectl -n %s describe deployments source-controller kustomize-controller",
				namespace))}
	}
	return nil
}

// tellFlux says what the run is about to change in Flux.
func (u *upgradeRun) tellFlux() {
	for _, c := range u.flux.Changes {
		u.steps.Note(step.LevelInfo, "change of Flux: "+c.String())
	}
	if !u.adopts() {
		return
	}
	from := u.adopted()
	version := ""
	if v := u.seen.Cluster().Flux.Version; v != "" {
		version = " " + v
	}
	u.steps.Note(step.LevelWarning,
		fmt.Sprintf("takes over Flux%s in namespace %s, which follows branch %s of %s and applies path %s; "+
			"what it has applied from there stays in the cluster and is no longer managed through Git",
			version, u.seen.Config().SystemNamespace, from.Branch, from.URL, from.Path))
	if !u.seen.SameSource(from.URL) {
		u.steps.Note(step.LevelWarning, fmt.Sprintf("Secret %s/%s, with which Flux reads that repository, "+
			"gets a key for %s; the old content is kept in a Secret of its own",
			u.seen.Config().SystemNamespace, fluxmanifests.SourceSecretName, u.seen.Remote().Cluster))
	}
	if a := u.seen.Cluster().Flux.Adoption; a != nil {
		u.steps.Note(step.LevelInfo, "an earlier run began to take it over; this one goes on")
	}
}

// The steps of a take-over.
const (
	stepRecord  step.Name = "Keep what Flux follows now in a Secret"
	stepHold    step.Name = "Have Flux delete nothing"
	stepRepoint step.Name = "Point Flux at the repository"
	stepNewOnly step.Name = "Wait for Flux to apply the new files with nothing deleted"
	stepRelease step.Name = "Let Flux delete again what goes from the new files"
)

// adopt takes over a Flux that follows something else. Until Flux has applied the new files once, and so has
// them and nothing else in its inventory, it deletes nothing: pointed elsewhere, it would otherwise delete
// all that it applied before. The order makes a run that is cut off anywhere repeatable: the record of what
// was there comes first, and the mark that names it goes last.
func (u *upgradeRun) adopt() step.Sequence {
	namespace := u.seen.Config().SystemNamespace
	flux := &u.seen.Cluster().Flux
	var record string // the Secret's name
	var sync []byte
	var had []string // what Flux had applied before
	did := func(changed bool, detail, what string, err error) (step.Effect, error) {
		return step.Written(changed, detail), wrapped(what, err)
	}
	begin := step.Telling(func() {
		u.noteFlux()
		u.result.Flux.Adopted = u.adopted()
		if u.settings.DryRun {
			u.result.Flux.Adopted.Unmanaged = unmanagedObjects(inventoryBefore(flux), u.plannedInventory())
		}
	})
	build := step.Silently(func(context.Context) (err error) {
		_, sync, err = u.buildPushed(stepRepoint)
		return err
	})
	keep := step.Action{
		Name: stepRecord,
		Plan: step.Planned(step.Written(flux.Adoption == nil, "")),
		Apply: func(ctx context.Context) (_ step.Effect, err error) {
			var changed bool
			record, changed, err = u.open.cluster.RecordFlux(ctx, namespace)
			return did(changed, namespace+"/"+record, "keeping what Flux follows now", err)
		},
	}
	look := step.Silently(func(ctx context.Context) error {
		u.result.Flux.Adopted.Record = namespace + "/" + record
		// From now on the record is what is known of the old files: another run may have held Flux before.
		before, err := u.open.cluster.Inspect(ctx, fluxinstall.InspectOptions{SystemNamespace: namespace})
		if err != nil {
			return fmt.Errorf("looking at Flux: %w", err)
		}
		had = inventoryBefore(&before.Flux)
		return nil
	})
	hold := step.Action{
		Name: stepHold,
		Plan: step.Planned(step.Written(flux.Adoption == nil || flux.Kustomization.Prune, "")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			changed, err := u.open.cluster.HoldPruning(ctx, namespace, record, u.progressOf(stepHold))
			return did(changed, "", "having Flux delete nothing", err)
		},
	}
	repoint := step.Action{
		Name: stepRepoint,
		Plan: step.Planned(step.Written(u.seen.FollowsOther(flux), "")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			changed, err := u.open.cluster.Repoint(ctx, namespace, sync)
			return did(changed, "", "pointing Flux at "+u.seen.Remote().Cluster, err)
		},
	}
	newOnly := step.Action{
		Name:  stepNewOnly,
		Plan:  step.Planned(step.Checked()),
		Apply: func(ctx context.Context) (step.Effect, error) { return u.waitNewOnly(ctx, had) },
	}
	release := step.Action{
		Name: stepRelease,
		Plan: step.Planned(step.Changed("")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			changed, err := u.open.cluster.EndAdoption(ctx, namespace, sync)
			return did(changed, "", "letting Flux delete again", err)
		},
	}
	foretell := step.Telling(func() {
		if !u.settings.DryRun {
			return
		}
		for _, object := range u.result.Flux.Adopted.Unmanaged {
			u.steps.Note(step.LevelWarning, "would no longer be managed through Git: "+object)
		}
	})
	return slices.Concat(step.Sequence{begin, build, keep, look, hold}, u.ensureSource(),
		step.Sequence{repoint, newOnly, release, foretell})
}

func wrapped(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// inventoryBefore is what Flux had applied before its take-over.
func inventoryBefore(flux *fluxinstall.FluxState) []string {
	switch {
	case flux.Adoption != nil:
		return flux.Adoption.Inventory
	case flux.Kustomization != nil:
		return flux.Kustomization.Inventory
	}
	return nil
}

// waitNewOnly waits until Flux's inventory is that of the new files, and notes what is not in it any more. It
// may be that of a later commit, whatever others did in it: nothing is left of the old files then. What that
// means for the run is judged once Flux may delete again.
func (u *upgradeRun) waitNewOnly(ctx context.Context, had []string) (step.Effect, error) {
	cluster, namespace := u.open.cluster, u.seen.Config().SystemNamespace
	if err := cluster.RequestReconcile(ctx, namespace, namespace); err != nil {
		return step.Effect{}, fmt.Errorf("asking Flux to look at the repository now: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, u.settings.FluxTimeout)
	defer cancel()
	defer u.nudge(limited)()
	err := cluster.WaitSynced(limited, fluxinstall.SyncWait{
		Namespace: namespace, Name: namespace, Branch: u.seen.Config().Branch, Commit: u.commit,
		Accept: func(revision string) bool { return u.appliedLater(limited, revision) != nil },
	}, u.progressOf(stepNewOnly))
	if err != nil {
		return step.Effect{}, fmt.Errorf("waiting for Flux to apply %s: %w", facts.ShortCommit(u.commit), err)
	}
	after, err := cluster.Inspect(ctx, fluxinstall.InspectOptions{SystemNamespace: namespace})
	if err != nil {
		return step.Effect{}, fmt.Errorf("looking at what Flux has applied: %w", err)
	}
	ks := after.Flux.Kustomization
	if ks == nil || ks.Prune || u.seen.FollowsOther(&after.Flux) {
		return step.Effect{}, fmt.Errorf(
			"somebody changed Flux's GitRepository or Kustomization meanwhile; run the command again")
	}
	u.result.Flux.Adopted.Unmanaged = unmanagedObjects(had, ks.Inventory)
	for _, object := range u.result.Flux.Adopted.Unmanaged {
		u.steps.Note(step.LevelWarning, "no longer managed through Git: "+object)
	}
	return step.Checked(), nil
}

// unmanagedObjects are the entries of one inventory that are not in another, as kind namespace/name.
func unmanagedObjects(had, has []string) []string {
	objects := []string{}
	for _, id := range had {
		if !slices.Contains(has, id) {
			objects = append(objects, fluxbuild.ObjectOf(id))
		}
	}
	slices.Sort(objects)
	return objects
}

// plannedInventory is what Flux will have applied of the files of this run, as it notes it. Files of others
// below the same path are not looked at.
func (u *upgradeRun) plannedInventory() []string {
	var files [][]byte
	if components, sync, err := u.memory.Build(u.planned.System); err == nil {
		files = append(files, components, sync)
	}
	for _, p := range u.specs {
		files = append(files, p.After)
	}
	var ids []string
	for _, content := range files {
		ids = append(ids, fluxinstall.InventoryOf(content)...)
	}
	return ids
}
