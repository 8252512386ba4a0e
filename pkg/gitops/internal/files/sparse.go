package files

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
func (p *Planner) withCheckout(
	ctx context.Context, snapshot facts.SnapshotReader, made Rendering,
) (Rendering, error) {
	at := slices.IndexFunc(made.System, func(f layout.File) bool {
		return path.Base(f.Path) == layout.SyncFile
	})
	if at < 0 {
		return made, nil
	}
	file := made.System[at]
	before, err := p.syncInGit(ctx, snapshot, file)
	if err != nil {
		return made, err
	}
	made.System = slices.Clone(made.System)
	made.System[at].Content, err = p.syncFor(before)
	return made, err
}

// syncInGit reads gotk-sync.yaml of a snapshot, unless it is as it would be written.
func (p *Planner) syncInGit(ctx context.Context, snapshot facts.SnapshotReader,
	file layout.File) ([]byte, error) {
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
func (p *Planner) syncFor(before []byte) ([]byte, error) {
	options := syncOptions(p.Facts)
	options.SparseCheckout = p.checkoutFor(before)
	sync, err := fluxmanifests.Sync(options)
	if err != nil {
		return nil, fmt.Errorf("rendering Flux's sync objects: %w", err)
	}
	return sync, nil
}

// checkoutFor is what Flux shall fetch: what was asked for, else what Git has. One that somebody has extended
// stays when one is asked for.
func (p *Planner) checkoutFor(before []byte) fluxbuild.Checkout {
	have := fluxbuild.Checkout(fluxmanifests.SparseCheckout(before, p.Facts.Config().SystemNamespace))
	switch asked := p.Options.SparseCheckout; {
	case asked == nil:
		return have
	case !*asked:
		return nil
	case len(have) > 0 && have.HasDir(layout.RootDir(p.Facts.Config())):
		return have
	}
	return layout.SparseCheckout(p.Facts.Config())
}

// setCheckout has a gotk-sync.yaml of Git fetch what was asked for, in its lines. The error is a
// *facts.FoundError.
func (p *Planner) setCheckout(file string, before []byte) ([]byte, error) {
	if p.Options.SparseCheckout == nil {
		return before, nil
	}
	namespace := p.Facts.Config().SystemNamespace
	after, err := fluxmanifests.SetSparseCheckout(before, namespace, p.checkoutFor(before))
	if err != nil {
		return nil, facts.Found(facts.AreaSpec.Finding(fmt.Sprintf("%s: %v", file, err),
			"bring the GitRepository there into the form that flux bootstrap writes and push that first, "+
				"or replace the file with --overwrite"))
	}
	return after, nil
}

// asksSparse says whether the run was told to have Flux fetch its path alone.
func (p *Planner) asksSparse() bool {
	return p.Options.SparseCheckout != nil && *p.Options.SparseCheckout
}

// checkReach makes sure, when Flux shall fetch its path alone, that it needs nothing else of the repository.
// Its error is a *facts.FoundError, or says what could not be read. What works already is not looked at
// again.
func (p *Planner) checkReach(ctx context.Context, snapshot facts.SnapshotReader, plan *Plan) error {
	if p.Management == nil || plan.Later || !p.asksSparse() {
		return nil
	}
	_, checkout, _ := plan.Checkouts(p.Facts.Config())
	if len(checkout) == 0 {
		plan.Note("--sparse-checkout changes nothing: the path that Flux applies is the whole repository")
		return nil
	}
	state := p.Facts.Cluster()
	applied := snapshot != nil && state != nil && state.Applied(p.Facts.Config().Branch, snapshot.Head())
	syncFile := SyncFile(p.Facts.Config())
	if applied && !plan.ChangesFile(syncFile) {
		return nil
	}
	sync := plan.After[syncFile]
	if err := p.checkSparseField(plan, sync); err != nil {
		return err
	}
	settings := SyncSettings(sync, layout.SyncPath(p.Facts.Config()))
	reaches, err := At(ctx, snapshot, plan).Reaches(p.Facts.Config(), settings, checkout)
	if err != nil && !errors.As(err, new(*fluxbuild.Error)) {
		return err
	}
	live, err := p.reachesLive(ctx, checkout, plan.Note)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	var refused []facts.Finding
	for _, reach := range slices.Concat(reaches, live) {
		if reach.Object != "" && told[reach.Object+reach.Field] {
			continue // in Git as well as in the cluster
		}
		told[reach.Object+reach.Field] = true
		refused = append(refused, p.reachFinding(reach))
	}
	return facts.Found(refused...)
}

// checkSparseField makes sure that the planned definitions have the field: an older Flux refuses it, and with
// it everything.
func (p *Planner) checkSparseField(plan *Plan, sync []byte) error {
	unknown := new(lint.UnknownFieldError)
	err := p.Memory.Kinds(plan.System[layout.ComponentsFile]).UnknownField(SyncFile(p.Facts.Config()), sync)
	if errors.As(err, &unknown) && strings.HasPrefix(unknown.Field, "spec.sparseCheckout") {
		return facts.Found(facts.AreaSpec.Finding(fmt.Sprintf(
			"the Flux in Git (%s) does not have spec.sparseCheckout "+
				"yet, and would apply nothing any more with it", plan.FluxVersion()),
			"first bring Flux to the version of this program: eksa-gitops upgrade cluster -f FILE, "+
				"without --sparse-checkout"))
	}
	return nil
}
