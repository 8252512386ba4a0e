package gitops

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// FluxMigrator prepares a cluster for definitions of Flux's resource types that serve other versions.
type FluxMigrator interface {
	// SurveyVersions looks at what the kinds lose compared with what is in the cluster, and writes nothing.
	SurveyVersions(ctx context.Context, namespace string,
		kinds []fluxinstall.KindVersions) (*fluxinstall.VersionSurvey, error)
	// MigrateVersions has objects stored in the version that stays. Each is written as it is, and the list of
	// versions last. Beside an error the result says what was done.
	MigrateVersions(ctx context.Context, dropped []fluxinstall.DroppedVersions,
		progress func(fluxinstall.Progress)) ([]fluxinstall.Migration, error)
}

// A release of Flux may drop versions of its kinds. With one object left in such a version, stored in the
// cluster or written in Git, Flux applies nothing any more, itself included, and no later commit helps. So
// what a run's components no longer have is looked for before its push, in the cluster and below the path in
// Git.

// stepMigrate has what is stored in versions that go stored in another. It comes before the push: Flux
// applies its new definitions at once.
const stepMigrate step.Name = "Migrate Flux's stored objects to versions that stay"

// checkStored looks at what the planned components take away in the cluster: what is stored in versions that
// go is migrated before the push, and what keeps that, or Flux, from working is a finding.
func (r *clustersRun) checkStored(ctx context.Context, found *findings) error {
	planner := r.planner()
	if len(found.list) > 0 || len(found.soft) > 0 || r.planned == nil || r.open.cluster == nil ||
		!planner.BringsComponents(r.snapshot, r.planned) {
		return nil
	}
	kinds := r.memory.Kinds(r.planned.System[layout.ComponentsFile])
	wanted := make([]fluxinstall.KindVersions, 0, len(kinds))
	for _, k := range kinds {
		wanted = append(wanted, fluxinstall.KindVersions{Definition: k.Definition, Group: k.Group,
			Kind: k.Kind, Versions: k.Versions, Served: k.Served})
	}
	survey, err := r.open.cluster.SurveyVersions(ctx, r.seen.Config().SystemNamespace, wanted)
	if err != nil {
		err = fmt.Errorf("looking at the versions in which Flux's objects are stored: %w", err)
		if facts.IsAccessError(err) {
			found.add(facts.AreaAccess, err)
			return nil
		}
		return err
	}
	version := r.planned.FluxVersion()
	for _, d := range survey.Dropped {
		if d.Stuck {
			found.addFinding(facts.AreaCluster.Finding(fmt.Sprintf(
				"CustomResourceDefinition %s stores objects "+
					"as %s, which Flux %s does not have any more: the API server would refuse the new "+
					"definition, and Flux would apply nothing any more", d.Definition, d.Storage, version),
				r.betweenHint(d)))
		}
		if m, possible := d.Migration(); possible {
			r.migrated = append(r.migrated, m)
		}
		r.noteWriters(&d, version)
	}
	for _, a := range survey.Applied {
		found.addFinding(facts.AreaCluster.Finding(
			fmt.Sprintf("Kustomization %s applies %s as %s, which Flux %s does not serve: it would apply "+
				"nothing any more", a.Kustomization, a.Object, a.APIVersion, version),
			text.Command("change the apiVersion where that Kustomization takes its files from, wait until "+
				"Flux has applied it (kubectl -n %s get kustomizations.kustomize.toolkit.fluxcd.io %s), "+
				"and run the command again", path.Dir(a.Kustomization), path.Base(a.Kustomization))))
	}
	for _, f := range lacking(survey.MissingRights) {
		found.addFinding(f)
	}
	r.dropped = survey.Dropped
	return nil
}

// noteWriters says of objects that somebody keeps past Flux in a version that goes: whoever writes them next
// needs another.
func (r *clustersRun) noteWriters(d *fluxinstall.DroppedVersions, version string) {
	writers := d.Writers
	const most = 5
	if n := len(writers) - most; n > 0 {
		writers = append(slices.Clone(writers[:most]), fmt.Sprintf("%d more", n))
	}
	if len(writers) > 0 {
		r.steps.Note(step.LevelWarning, fmt.Sprintf("Flux %s does not serve %s %s, in which was "+
			"written last: %s; whoever writes that again needs another apiVersion",
			version, d.Kind, strings.Join(d.Served, ", "), strings.Join(writers, ", ")))
	}
}

// The releases that have both, versions which are gone now and those in which objects are stored since. v2.7
// has dropped v1beta1 and v2beta1, v2.8 v1beta2 and v2beta2 (fluxcd/flux2, issues 5474 and 5711); the kinds
// of image automation came to v1 with v2.7 only, and v2.9 has dropped their v1beta2
// (fluxcd/image-reflector-controller, pull request 897).
const (
	releaseBetween      = "v2.6.4"
	releaseBetweenImage = "v2.8.5"
)

// betweenHint says how to get over a version that is stored and goes: by a release that has it and stores
// another.
func (r *clustersRun) betweenHint(d fluxinstall.DroppedVersions) string {
	release := releaseBetween
	if strings.HasPrefix(d.Group, "image.") && d.Storage == "v1beta2" {
		release = releaseBetweenImage
	}
	command := text.Command("flux install --version=%s", release)
	if r.seen.Config().SystemNamespace != defaultSystemNamespace {
		command += text.Command(" --namespace=%s", r.seen.Config().SystemNamespace)
	}
	if strings.HasPrefix(d.Group, "image.") {
		command += " --components-extra=image-reflector-controller,image-automation-controller"
	}
	components := path.Join(layout.SystemDir(r.seen.Config()), layout.ComponentsFile)
	return "first upgrade to Flux " + release +
		", which has the old version and stores a newer one: in a clone, " + command +
		text.Command(" --export > %s; commit and push it, wait until Flux has applied it (eksa-gitops "+
			"status), and run this command again", components)
}

// describeMigrations lists them in a few words.
func describeMigrations(migrations []fluxinstall.Migration) string {
	words := make([]string, 0, len(migrations))
	for _, m := range migrations {
		words = append(words, m.String())
	}
	return strings.Join(words, ", ")
}

// migrateStored has what is stored in versions that go stored in others.
func (r *clustersRun) migrateStored() step.Sequence {
	if len(r.migrated) == 0 {
		return nil
	}
	return step.Sequence{step.Action{
		Name: stepMigrate,
		Plan: step.Planned(step.Changed(describeMigrations(r.migrated))),
		Apply: func(ctx context.Context) (step.Effect, error) {
			done, err := r.open.cluster.MigrateVersions(ctx, r.dropped, r.progressOf(stepMigrate))
			r.migrated = done
			// Without any, somebody else has done it meanwhile.
			return step.Written(len(done) > 0, describeMigrations(done)), err
		},
	}}
}
