package gitops

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// conflictError says that files in Git differ from what the run would write and that nobody said to overwrite
// them.
type conflictError struct {
	changes []layout.FileChange
	upgrade bool // the run is an upgrade, so that its own files are merged and these are others
	// unlisting is a kustomization in the directory of a cluster that is not in Git, and that does not list
	// the cluster's file.
	unlisting string
}

func (e *conflictError) Error() string {
	paths := make([]string, 0, len(e.changes))
	for _, c := range e.changes {
		paths = append(paths, c.Path)
	}
	return "the repository differs from the spec in " + strings.Join(paths, ", ")
}

func (e *conflictError) Hint() string {
	if e.unlisting != "" && len(e.changes) == 1 {
		return fmt.Sprintf("the cluster is not in Git, and %s is there for other files: list %s under its "+
			"resources, push, and run the same command again; or replace it with --overwrite",
			e.unlisting, layout.SpecFile)
	}
	if !e.upgrade {
		return "to change a cluster that is managed through Git: eksa-gitops upgrade cluster with the same " +
			"file, which keeps what others changed there; --overwrite replaces it"
	}
	return "see the difference with --dry-run --overwrite; bring the file up to date with what is in Git, " +
		"or replace that with --overwrite"
}

// planFiles compares the rendering with the snapshot at hand and keeps the plan. A spec that differs is a
// finding.
func (r *createRun) planFiles(ctx context.Context, found *findings) error {
	plan, err := r.compare(ctx, r.snapshot)
	if conflict, ok := err.(*conflictError); ok {
		found.add(facts.AreaSpec, conflict)
		return nil
	}
	if found.addAll(err) {
		return nil
	}
	if refusal, ok := asRefusal(err); ok {
		found.addFinding(refusal)
		return nil
	}
	if inTheWay, ok := err.(*appsError); ok {
		found.add(facts.AreaSpec, inTheWay)
		return nil
	}
	if err != nil {
		return err
	}
	r.planned = plan
	return nil
}

// compare works out what has to be written on top of snapshot; nil is a repository that does not exist yet.
func (r *createRun) compare(ctx context.Context, snapshot Snapshot) (*files.Plan, error) {
	return r.compareOn(ctx, snapshot, false)
}

func (r *createRun) compareOn(ctx context.Context, snapshot Snapshot, later bool) (*files.Plan, error) {
	plan := files.NewPlan(later)
	if err := r.compareFiles(ctx, snapshot, plan, r.rendered,
		func(string) bool { return r.options.Overwrite }); err != nil {
		return nil, err
	}
	if err := r.addApps(ctx, snapshot, plan); err != nil {
		return nil, err
	}
	if err := r.checkBetween(ctx, snapshot); err != nil {
		return nil, err
	}
	if err := r.checkBuilt(ctx, snapshot, plan); err != nil {
		return nil, err
	}
	if err := r.checkReadings(plan); err != nil {
		return nil, err
	}
	if err := r.checkReach(ctx, snapshot, plan); err != nil {
		return nil, err
	}
	return plan, r.checkFiles(ctx, snapshot, plan)
}

// compareFiles is compare for files that were made in any way. replace says of a cluster's file whether it
// may take the place of another content.
func (r *clustersRun) compareFiles(ctx context.Context, snapshot Snapshot, plan *files.Plan, made rendering,
	replace func(path string) bool) error {
	made, err := r.withCheckout(ctx, snapshot, made)
	if err != nil {
		return err
	}
	wanted := slices.Concat(made.files, made.system)
	for _, file := range wanted {
		plan.After[file.Path] = file.Content
	}
	existing, err := files.Differing(ctx, snapshot, wanted)
	if err != nil {
		return err
	}
	var conflicts []layout.FileChange
	unlisting := ""
	for _, file := range made.files {
		before, differs := existing[file.Path]
		switch {
		case !differs:
			plan.Add(snapshot, file)
		case r.lacksProtection(file.Path, before) && files.ListsResources(before, layout.SpecFile):
			plan.After[file.Path] = before
			plan.Notes = append(plan.Notes, unprotectedNote(file.Path))
		case path.Base(file.Path) == layout.KustomizationFile &&
			files.ListsResources(before, layout.SpecFile):
			plan.After[file.Path] = before
			plan.Notes = append(plan.Notes,
				file.Path+" is kept as it is in Git: it lists the cluster's file and more or other things")
		case replace(file.Path) || files.IsBlank(before) || bytes.Equal(before, layout.InertKustomization()):
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
		case path.Base(file.Path) == layout.KustomizationFile && plan.AddsSpecBeside(file.Path) &&
			files.Listed(before) != nil:
			// It stays from before the cluster was deleted, for the sake of files of others.
			plan.After[file.Path] = files.Listed(before)
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: files.Listed(before)})
		default:
			conflicts = append(conflicts, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
			if path.Base(file.Path) == layout.KustomizationFile && plan.AddsSpecBeside(file.Path) {
				unlisting = file.Path
			}
		}
	}
	if err := r.reopen(snapshot, plan); err != nil {
		return err
	}
	for _, file := range made.system {
		base := path.Base(file.Path)
		plan.System[base] = file.Content
		before, differs := existing[file.Path]
		was := before
		if base == layout.SyncFile && differs && !files.IsBlank(before) && !r.options.Overwrite {
			if before, err = r.servedSync(file.Path, was, plan.System[layout.ComponentsFile],
				plan.Note); err != nil {
				return err
			}
			if before, err = r.setCheckout(file.Path, before); err != nil {
				return err
			}
		}
		switch {
		case !differs:
			plan.Add(snapshot, file)
		case base == layout.SyncFile && !bytes.Equal(was, before) && files.SameObjects(before, file.Content):
			plan.System[base], plan.After[file.Path] = before, before
			plan.Changes = append(plan.Changes,
				layout.FileChange{Path: file.Path, Change: layout.FileModify, Before: was, After: before})
		case files.IsBlank(before):
			// EKS Anywhere leaves an empty gotk-sync.yaml when its own installation fails half way.
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
		case base == layout.SyncFile && !files.SameObjects(before, file.Content):
			if !r.options.Overwrite {
				conflicts = append(conflicts, layout.FileChange{Path: file.Path, Change: layout.FileModify,
					Before: before, After: file.Content})
				continue
			}
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
		case base == layout.KustomizationFile &&
			!files.ListsResources(before, layout.ComponentsFile, layout.SyncFile):
			if !r.options.Overwrite {
				conflicts = append(conflicts, layout.FileChange{Path: file.Path, Change: layout.FileModify,
					Before: before, After: file.Content})
				continue
			}
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
		case r.lacksProtection(file.Path, before):
			plan.System[base], plan.After[file.Path] = before, before
			plan.Notes = append(plan.Notes, unprotectedNote(file.Path))
		default:
			plan.System[base], plan.After[file.Path] = before, before
			plan.Notes = append(plan.Notes, files.KeptNote(file.Path, before))
		}
	}
	if len(conflicts) > 0 {
		return &conflictError{changes: conflicts, unlisting: unlisting}
	}
	slices.SortFunc(plan.Changes, func(a, b layout.FileChange) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

// reopen has Flux look into the directories of clusters again in which a deletion has left a kustomization
// that builds to nothing, for the sake of files of others.
func (r *clustersRun) reopen(snapshot Snapshot, plan *files.Plan) error {
	if snapshot == nil {
		return nil
	}
	for _, c := range r.managed {
		file, inert := layout.PathsOf(c).ClusterKustomization, layout.InertKustomization()
		if _, there, err := snapshot.Lookup(file); err != nil || !there {
			continue // what is in the way of it is told where files are compared
		}
		closed, err := snapshot.Holds(file, inert)
		if err != nil {
			return fmt.Errorf("comparing %s with the repository: %w", file, err)
		}
		if closed {
			content := layout.ReopenedKustomization()
			plan.After[file] = content
			plan.Changes = append(plan.Changes,
				layout.FileChange{Path: file, Change: layout.FileModify, Before: inert, After: content})
		}
	}
	return nil
}
