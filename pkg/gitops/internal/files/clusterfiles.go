package files

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// ConflictError says that files in Git differ from what the run would write and that nobody said to overwrite
// them.
type ConflictError struct {
	Changes []layout.FileChange
	Upgrade bool // the run is an upgrade, so that its own files are merged and these are others
	// unlisting is a kustomization in the directory of a cluster that is not in Git, and that does not list
	// the cluster's file.
	unlisting string
}

func (e *ConflictError) Error() string {
	paths := make([]string, 0, len(e.Changes))
	for _, c := range e.Changes {
		paths = append(paths, c.Path)
	}
	return "the repository differs from the spec in " + strings.Join(paths, ", ")
}

func (e *ConflictError) Hint() string {
	if e.unlisting != "" && len(e.Changes) == 1 {
		return fmt.Sprintf("the cluster is not in Git, and %s is there for other files: list %s under its "+
			"resources, push, and run the same command again; or replace it with --overwrite",
			e.unlisting, layout.SpecFile)
	}
	if !e.Upgrade {
		return "to change a cluster that is managed through Git: eksa-gitops upgrade cluster with the same " +
			"file, which keeps what others changed there; --overwrite replaces it"
	}
	return "see the difference with --dry-run --overwrite; bring the file up to date with what is in Git, " +
		"or replace that with --overwrite"
}

// compareFiles adds to a plan what files that were made in any way change. replace says of a cluster's file
// whether it may take the place of another content.
func (p *Planner) compareFiles(ctx context.Context, snapshot facts.SnapshotReader, plan *Plan, made Rendering,
	replace func(path string) bool) error {
	made, err := p.withCheckout(ctx, snapshot, made)
	if err != nil {
		return err
	}
	wanted := slices.Concat(made.Files, made.System)
	for _, file := range wanted {
		plan.After[file.Path] = file.Content
	}
	existing, err := Differing(ctx, snapshot, wanted)
	if err != nil {
		return err
	}
	var conflicts []layout.FileChange
	unlisting := ""
	for _, file := range made.Files {
		before, differs := existing[file.Path]
		switch {
		case !differs:
			plan.Add(snapshot, file)
		case p.lacksProtection(file.Path, before) && ListsResources(before, layout.SpecFile):
			plan.After[file.Path] = before
			plan.Notes = append(plan.Notes, unprotectedNote(file.Path))
		case path.Base(file.Path) == layout.KustomizationFile &&
			ListsResources(before, layout.SpecFile):
			plan.After[file.Path] = before
			plan.Notes = append(plan.Notes,
				file.Path+" is kept as it is in Git: it lists the cluster's file and more or other things")
		case replace(file.Path) || IsBlank(before) || bytes.Equal(before, layout.InertKustomization()):
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
		case path.Base(file.Path) == layout.KustomizationFile && plan.AddsSpecBeside(file.Path) &&
			Listed(before) != nil:
			// It stays from before the cluster was deleted, for the sake of files of others.
			plan.After[file.Path] = Listed(before)
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: Listed(before)})
		default:
			conflicts = append(conflicts, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
			if path.Base(file.Path) == layout.KustomizationFile && plan.AddsSpecBeside(file.Path) {
				unlisting = file.Path
			}
		}
	}
	if err := p.reopen(snapshot, plan); err != nil {
		return err
	}
	for _, file := range made.System {
		base := path.Base(file.Path)
		plan.System[base] = file.Content
		before, differs := existing[file.Path]
		was := before
		if base == layout.SyncFile && differs && !IsBlank(before) && !p.Options.Overwrite {
			if before, err = p.servedSync(file.Path, was, plan.System[layout.ComponentsFile],
				plan.Note); err != nil {
				return err
			}
			if before, err = p.setCheckout(file.Path, before); err != nil {
				return err
			}
		}
		switch {
		case !differs:
			plan.Add(snapshot, file)
		case base == layout.SyncFile && !bytes.Equal(was, before) && SameObjects(before, file.Content):
			plan.System[base], plan.After[file.Path] = before, before
			plan.Changes = append(plan.Changes,
				layout.FileChange{Path: file.Path, Change: layout.FileModify, Before: was, After: before})
		case IsBlank(before):
			// EKS Anywhere leaves an empty gotk-sync.yaml when its own installation fails half way.
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
		case base == layout.SyncFile && !SameObjects(before, file.Content):
			if !p.Options.Overwrite {
				conflicts = append(conflicts, layout.FileChange{Path: file.Path, Change: layout.FileModify,
					Before: before, After: file.Content})
				continue
			}
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
		case base == layout.KustomizationFile &&
			!ListsResources(before, layout.ComponentsFile, layout.SyncFile):
			if !p.Options.Overwrite {
				conflicts = append(conflicts, layout.FileChange{Path: file.Path, Change: layout.FileModify,
					Before: before, After: file.Content})
				continue
			}
			plan.Changes = append(plan.Changes, layout.FileChange{Path: file.Path, Change: layout.FileModify,
				Before: before, After: file.Content})
		case p.lacksProtection(file.Path, before):
			plan.System[base], plan.After[file.Path] = before, before
			plan.Notes = append(plan.Notes, unprotectedNote(file.Path))
		default:
			plan.System[base], plan.After[file.Path] = before, before
			plan.Notes = append(plan.Notes, KeptNote(file.Path, before))
		}
	}
	if len(conflicts) > 0 {
		return &ConflictError{Changes: conflicts, unlisting: unlisting}
	}
	sortChanges(plan)
	return nil
}

// reopen has Flux look into the directories of clusters again in which a deletion has left a kustomization
// that builds to nothing, for the sake of files of others.
func (p *Planner) reopen(snapshot facts.SnapshotReader, plan *Plan) error {
	if snapshot == nil {
		return nil
	}
	for _, c := range p.Managed {
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
