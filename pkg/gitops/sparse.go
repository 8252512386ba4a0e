package gitops

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// Which part of the repository Flux fetches. In a repository of many fleets nearly all of the time until a
// commit is applied goes into files of others, at every commit of anybody. spec.sparseCheckout of the
// GitRepository leaves them out. It is in gotk-sync.yaml in Git and nowhere else: what is there is kept until
// somebody asks for something else. What Flux needs from outside would be missing then, so that it is looked
// for before, by building the path without the rest.

// withCheckout gives the rendered gotk-sync.yaml the part of the repository that it has in a snapshot, or
// that was asked for.
func (r *clustersRun) withCheckout(
	ctx context.Context, snapshot Snapshot, made rendering,
) (rendering, error) {
	at := slices.IndexFunc(made.system, func(f layout.File) bool {
		return path.Base(f.Path) == layout.SyncFile
	})
	if at < 0 {
		return made, nil
	}
	file := made.system[at]
	before, err := r.syncInGit(ctx, snapshot, file)
	if err != nil {
		return made, err
	}
	made.system = slices.Clone(made.system)
	made.system[at].Content, err = r.syncFor(before)
	return made, err
}

// syncInGit reads gotk-sync.yaml of a snapshot, unless it is as it would be written.
func (r *clustersRun) syncInGit(ctx context.Context, snapshot Snapshot, file layout.File) ([]byte, error) {
	if snapshot == nil {
		return nil, nil
	}
	if _, there, err := snapshot.Lookup(file.Path); err != nil || !there {
		return nil, nil // what is in the way of it is told where files are compared
	}
	if same, err := snapshot.Holds(file.Path, file.Content); err == nil && same {
		return file.Content, nil
	}
	contents, err := snapshot.ReadAll(ctx, []string{file.Path})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file.Path, err)
	}
	return contents[file.Path], nil
}

// syncFor renders gotk-sync.yaml for what it says in Git about the part that is fetched.
func (r *clustersRun) syncFor(before []byte) ([]byte, error) {
	options := r.syncOptions()
	options.SparseCheckout = r.checkoutFor(before)
	sync, err := fluxmanifests.Sync(options)
	return sync, wrapped("rendering Flux's sync objects", err)
}

// checkoutFor is what Flux shall fetch: what was asked for, else what Git has. One that somebody has extended
// stays when one is asked for.
func (r *clustersRun) checkoutFor(before []byte) fluxbuild.Checkout {
	have := fluxbuild.Checkout(fluxmanifests.SparseCheckout(before, r.seen.Config().SystemNamespace))
	switch asked := r.options.SparseCheckout; {
	case asked == nil:
		return have
	case !*asked:
		return nil
	case len(have) > 0 && have.HasDir(layout.RootDir(r.seen.Config())):
		return have
	}
	return layout.SparseCheckout(r.seen.Config())
}

// setCheckout has a gotk-sync.yaml of Git fetch what was asked for, in its lines. The error is a
// *fluxRefusal.
func (r *clustersRun) setCheckout(file string, before []byte) ([]byte, error) {
	if r.options.SparseCheckout == nil {
		return before, nil
	}
	namespace := r.seen.Config().SystemNamespace
	after, err := fluxmanifests.SetSparseCheckout(before, namespace, r.checkoutFor(before))
	if err != nil {
		return nil, &fluxRefusal{facts.AreaSpec, fmt.Sprintf("%s: %v", file, err),
			"bring the GitRepository there into the form that flux bootstrap writes and push that first, " +
				"or replace the file with --overwrite"}
	}
	return after, nil
}

// asksSparse says whether the run was told to have Flux fetch its path alone.
func (r *clustersRun) asksSparse() bool {
	return r.options.SparseCheckout != nil && *r.options.SparseCheckout
}

// checkReach makes sure, when Flux shall fetch its path alone, that it needs nothing else of the repository.
// Its error is a *facts.FoundError, or says what could not be read. What works already is not looked at
// again.
func (r *clustersRun) checkReach(ctx context.Context, snapshot Snapshot, plan *files.Plan) error {
	if r.management == nil || plan.Later || !r.asksSparse() {
		return nil
	}
	_, checkout, _ := plan.Checkouts(r.seen.Config())
	if len(checkout) == 0 {
		plan.Note("--sparse-checkout changes nothing: the path that Flux applies is the whole repository")
		return nil
	}
	state := r.seen.Cluster()
	applied := snapshot != nil && state != nil && state.Applied(r.seen.Config().Branch, snapshot.Head())
	syncFile := files.SyncFile(r.seen.Config())
	if applied && !plan.ChangesFile(syncFile) {
		return nil
	}
	sync := plan.After[syncFile]
	if err := r.checkSparseField(plan, sync); err != nil {
		return err
	}
	settings := files.SyncSettings(sync, layout.SyncPath(r.seen.Config()))
	reaches, err := files.At(ctx, snapshot, plan).Reaches(r.seen.Config(), settings, checkout)
	if err != nil && !errors.As(err, new(*fluxbuild.Error)) {
		return err
	}
	live, err := r.reachesLive(ctx, checkout, plan.Note)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	refused := &facts.FoundError{}
	for _, reach := range slices.Concat(reaches, live) {
		if reach.Object != "" && told[reach.Object+reach.Field] {
			continue // in Git as well as in the cluster
		}
		told[reach.Object+reach.Field] = true
		refused.Findings = append(refused.Findings, r.reachFinding(reach))
	}
	if len(refused.Findings) > 0 {
		return refused
	}
	return nil
}

// checkSparseField makes sure that the planned definitions have the field: an older Flux refuses it, and with
// it everything.
func (r *clustersRun) checkSparseField(plan *files.Plan, sync []byte) error {
	unknown := new(lint.UnknownFieldError)
	err := r.kindsOf(plan.System[layout.ComponentsFile]).UnknownField(files.SyncFile(r.seen.Config()), sync)
	if errors.As(err, &unknown) && strings.HasPrefix(unknown.Field, "spec.sparseCheckout") {
		return &fluxRefusal{facts.AreaSpec, fmt.Sprintf(
			"the Flux in Git (%s) does not have spec.sparseCheckout "+
				"yet, and would apply nothing any more with it", r.plannedVersion(plan)),
			"first bring Flux to the version of this program: eksa-gitops upgrade cluster -f FILE, " +
				"without --sparse-checkout"}
	}
	return nil
}

// fetchesTooLittle says whether Flux fails with a part of the repository that the run widens: it cannot apply
// the commit that says so, and the GitRepository has to be written for it.
func (r *run) fetchesTooLittle() bool {
	flux := &r.seen.Cluster().Flux
	if flux.GitRepository == nil || flux.Kustomization == nil || r.planned == nil {
		return false
	}
	if len(flux.GitRepository.SparseCheckout) == 0 || !r.seen.FluxFails() {
		return false
	}
	_, after, says := r.planned.Checkouts(r.seen.Config())
	return says && !slices.Equal(after, flux.GitRepository.SparseCheckout)
}
