package gitops

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
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

// bringsComponents says whether what a plan has of Flux's components is going to be applied by the run, or by
// Flux after its push.
func (r *clustersRun) bringsComponents(snapshot Snapshot, plan *files.Plan) bool {
	if r.management == nil || r.seen.Cluster() == nil || plan.Later {
		return false
	}
	return plan.ChangesIn(layout.SystemDir(r.seen.Config())) || snapshot == nil ||
		!r.seen.Cluster().Applied(r.seen.Config().Branch, snapshot.Head())
}

// unserved says that files below the path hold objects of Flux's in versions that the components of a release
// do not serve.
func unserved(problems []clusterspec.Problem, version string) error {
	err := &facts.FoundError{ForAll: "change the apiVersion, commit and push that, and run the command again"}
	for _, p := range problems {
		err.Findings = append(err.Findings, facts.AreaSpec.Finding(
			fmt.Sprintf("%s:%d: %s has apiVersion %s, which Flux %s does not serve: Flux would apply "+
				"nothing any more", p.File, p.Line, p.Object, strings.Trim(p.Found, `"`), version),
			fmt.Sprintf("write apiVersion: %s there, see whether its fields are the same in that version, "+
				"and push that first", p.Expected)))
	}
	return err
}

// checkFiles makes sure that no file below the path has an object of Flux's in a version that the planned
// components do not serve. Its error is a *facts.FoundError, or says that the repository could not be read.
func (r *clustersRun) checkFiles(ctx context.Context, snapshot Snapshot, plan *files.Plan) error {
	if !r.bringsComponents(snapshot, plan) {
		return nil
	}
	kinds := r.kindsOf(plan.System[layout.ComponentsFile])
	tree, there := lint.Tree{}, files.At(ctx, snapshot, nil)
	if len(kinds) > 0 {
		if err := there.Prefetch(layout.RootDir(r.seen.Config())); err != nil {
			return fmt.Errorf("reading the files below %s: %w", layout.RootDir(r.seen.Config()), err)
		}
	}
	for file, content := range there.Contents {
		tree[file] = lint.Node{Content: lint.Bytes(content)}
	}
	for _, gone := range plan.Gone {
		delete(tree, gone)
	}
	for file, content := range plan.After {
		tree[file] = lint.Node{Content: lint.Bytes(content)}
	}
	for base, content := range plan.System {
		tree[path.Join(layout.SystemDir(r.seen.Config()), base)] = lint.Node{Content: lint.Bytes(content)}
	}
	problems, err := lint.CheckFluxVersions(tree, layout.RootDir(r.seen.Config()), kinds)
	if err != nil {
		return err
	}
	if len(problems) == 0 {
		return nil
	}
	return unserved(problems, r.plannedVersion(plan))
}

// kindsOf reads the kinds of components, which are large, once as long as they are the same. Components that
// cannot be read have none: they are kept as they are, whatever they are.
func (r *clustersRun) kindsOf(components []byte) lint.FluxKinds {
	if !bytes.Equal(components, r.kindsRead) {
		r.kinds, _ = lint.ReadFluxKinds(components)
		r.kindsRead = components
	}
	return r.kinds
}

// plannedVersion is the release of the planned components.
func (r *clustersRun) plannedVersion(plan *files.Plan) string {
	version, _, err := fluxmanifests.ComponentVersion(plan.System[layout.ComponentsFile])
	if err != nil {
		return fluxmanifests.Version
	}
	return version
}

// servedSync gives the objects of a sync file versions that the planned components serve, and notes each. The
// error is a *fluxRefusal.
func (r *clustersRun) servedSync(file string, before, components []byte,
	note func(format string, args ...any)) ([]byte, error) {
	after, changed, err := r.kindsOf(components).UpdateVersions(file, before)
	if err != nil {
		return nil, &fluxRefusal{facts.AreaSpec,
			fmt.Sprintf("%v, which the definitions of Flux do not serve in the version that the file has",
				err),
			"bring the file to that version by hand and push that first, or replace it with --overwrite"}
	}
	for _, o := range changed {
		note("%s: %s gets apiVersion %s instead of %s, which is no longer served",
			file, o.Object, o.Instead, o.APIVersion)
	}
	return after, nil
}

// checkStored looks at what the planned components take away in the cluster: what is stored in versions that
// go is migrated before the push, and what keeps that, or Flux, from working is a finding.
func (r *clustersRun) checkStored(ctx context.Context, found *findings) error {
	if len(found.list) > 0 || len(found.soft) > 0 || r.planned == nil || r.open.cluster == nil ||
		!r.bringsComponents(r.snapshot, r.planned) {
		return nil
	}
	kinds := r.kindsOf(r.planned.System[layout.ComponentsFile])
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
	version := r.plannedVersion(r.planned)
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
