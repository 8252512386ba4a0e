package gitops

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// LocalFiles are the files that a run leaves with the person who runs it. They are that person's: one that
// this program has not written exactly as it stands there is never replaced.
type LocalFiles interface {
	// CheckCopy says whether SaveCopy could write the copy of a cluster's file; nil content is any. It writes
	// nothing.
	CheckCopy(cluster string, content []byte) error
	// SaveCopy writes <name>/<name>-eks-a-cluster.yaml, where EKS Anywhere looks for it. A file that is there
	// is replaced only when written says that Git has, or had, its content; otherwise the copy goes beside it
	// or is left out.
	SaveCopy(cluster string, content []byte, written func([]byte) bool) (LocalCopy, error)
	// CheckUpdate says whether Update could write a file that a person has named. It writes nothing.
	CheckUpdate(name string) error
	// Update writes a file that a person has named, if it still holds what was read from it, and says whether
	// it did.
	Update(file clusterspec.Source, was []byte) (bool, error)
}

// LocalCopy is what became of the local copy of a cluster's file.
type LocalCopy struct {
	Path string // where it is; empty when it was left out
	Kept string // the file in its place that is the user's and stays as it is; empty without one
}

// checkCopies finds what would keep the copies from being written when all else is done.
func (r *run) checkCopies(found *findings, copies map[string][]byte) {
	if r.ports.Local == nil {
		return
	}
	for _, c := range r.result.Clusters {
		content, ok := copies[c.Name]
		if !ok {
			continue
		}
		if err := r.ports.Local.CheckCopy(c.Name, content); err != nil {
			found.addLocal(fmt.Errorf("the local copy of the cluster's file cannot be written: %w", err))
		}
	}
}

// addLocal adds what is wrong on this machine, once for all clusters that it is in the way of.
func (f *findings) addLocal(err error) {
	finding := facts.Finding{Area: facts.AreaLocal, Message: err.Error(), Hint: facts.HintOf(err)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.list, finding) {
		f.list = append(f.list, finding)
	}
}

// saveCopy keeps the local copy of a cluster's file, and says where.
func (r *run) saveCopy(ctx context.Context, name, path string, content []byte) error {
	saved, err := r.ports.Local.SaveCopy(name, content, func(there []byte) bool {
		return r.isInGit(ctx, path, there)
	})
	if err != nil {
		return fmt.Errorf("writing the local copy of cluster %s: %w", name, err)
	}
	record := r.clusterResult(name)
	record.LocalSpec, record.LocalSpecKept = saved.Path, saved.Kept
	return nil
}

// isInGit says whether Git has, or had in the history of the branch, exactly this content at a path, so that
// nothing is lost with a copy of it. What cannot be found out is no.
func (r *run) isInGit(ctx context.Context, path string, content []byte) bool {
	if r.snapshot == nil {
		return false
	}
	found, blob := false, git.BlobID(content)
	err := r.snapshot.EachRevision(ctx, path, func(revision git.Revision) bool {
		found = !revision.Deleted && revision.BlobID == blob
		return !found
	})
	return err == nil && found
}

// saveCopies keeps the local copies of a creation.
func (r *createRun) saveCopies(ctx context.Context) error {
	if r.ports.Local == nil {
		return nil
	}
	for _, c := range r.managed {
		if err := r.saveCopy(ctx, c.Name, layout.PathsOf(c).Spec, layout.LocalSpec(c)); err != nil {
			return err
		}
	}
	return nil
}

// copies are what the local copies of a creation hold, by cluster.
func (r *createRun) copies() map[string][]byte {
	copies := map[string][]byte{}
	for _, c := range r.managed {
		copies[c.Name] = layout.LocalSpec(c)
	}
	return copies
}

// saveMerged writes the local copies of an upgrade, which hold what is in Git.
func (u *upgradeRun) saveMerged(ctx context.Context) error {
	if u.ports.Local == nil {
		return nil
	}
	for _, p := range u.specs {
		if err := u.saveCopy(ctx, p.Cluster.Name, p.Path, p.After); err != nil {
			return err
		}
	}
	return nil
}

// checkLocal finds what would keep the files of an upgrade from being written.
func (u *upgradeRun) checkLocal(found *findings) error {
	copies := map[string][]byte{}
	for _, p := range u.specs {
		copies[p.Cluster.Name] = p.After
	}
	u.checkCopies(found, copies)
	updates, err := u.sourceUpdates()
	if err != nil {
		return err
	}
	for _, update := range updates {
		if err := u.ports.Local.CheckUpdate(update.file.Name); err != nil {
			found.addLocal(fmt.Errorf("--update-file cannot write %s: %w", update.file.Name, err))
		}
	}
	return nil
}

// sourceUpdate is what one cluster changes in a file of the user's.
type sourceUpdate struct {
	cluster string
	file    clusterspec.Source // as it shall be
	was     []byte
}

// sourceUpdates are what brings the user's own files to what is in Git after the run, one after the other.
func (u *upgradeRun) sourceUpdates() ([]sourceUpdate, error) {
	if !u.asked.UpdateSources || u.ports.Local == nil {
		return nil, nil
	}
	sources := slices.Clone(u.sources())
	var updates []sourceUpdate
	for _, p := range u.specs {
		if len(p.Merged) == 0 {
			continue
		}
		before := clusterspec.Source{Name: p.Path, Data: clusterspec.Render(p.Cluster)}
		changed, err := clusterspec.UpdateSources(sources, before,
			clusterspec.Source{Name: p.Path, Data: p.After})
		if err != nil {
			return nil, fmt.Errorf("bringing the file of cluster %s up to date: %w", p.Cluster.Name, err)
		}
		for _, source := range changed {
			i := slices.IndexFunc(sources, func(s clusterspec.Source) bool { return s.Name == source.Name })
			updates = append(updates, sourceUpdate{p.Cluster.Name, source, sources[i].Data})
			sources[i] = source
		}
	}
	return updates, nil
}

// sources are the user's files as this run has left them.
func (u *upgradeRun) sources() []clusterspec.Source {
	if u.updated == nil {
		u.updated = slices.Clone(u.asked.Sources)
	}
	return u.updated
}

// updateFiles brings the user's own files to what is in Git after the run. It comes before the push: a file
// that has what Git has is right whether the push succeeds or not, while a commit that says so of a file that
// has it not would mislead the next run.
func (u *upgradeRun) updateFiles(context.Context) step.Sequence {
	updates, err := u.sourceUpdates()
	if err != nil {
		return step.Sequence{step.Fail{Err: err}}
	}
	var names []string
	for _, update := range updates {
		if !slices.Contains(names, update.file.Name) {
			names = append(names, update.file.Name)
		}
	}
	var name step.Name
	switch len(names) {
	case 0:
		return nil
	case 1:
		name = step.Name(fmt.Sprintf("Bring %s up to date", names[0]))
	default:
		name = step.Name(fmt.Sprintf("Bring %d files up to date", len(names)))
	}
	return step.Sequence{step.Action{
		Name: name,
		Plan: func(context.Context) (step.Effect, error) {
			for _, update := range updates {
				u.noteSource(update.file, update.was)
			}
			return step.Changed(""), nil
		},
		Apply: func(ctx context.Context) (step.Effect, error) {
			before := len(u.unsaved)
			if err := u.saveUpdates(ctx); err != nil {
				return step.Effect{}, err
			}
			if len(u.unsaved) > before {
				return step.Effect{Outcome: step.OutcomeSkipped, Detail: "edited meanwhile"}, nil
			}
			return step.Changed(""), nil
		},
	}}
}

// saveUpdates writes the user's files. One that was edited since it was read is left as it is; its clusters
// are in unsaved.
func (u *upgradeRun) saveUpdates(context.Context) error {
	updates, err := u.sourceUpdates()
	if err != nil {
		return err
	}
	for _, update := range updates {
		written, err := u.ports.Local.Update(update.file, update.was)
		if err != nil {
			return fmt.Errorf("bringing %s up to date: %w", update.file.Name, err)
		}
		if !written {
			u.keepSource(update.file.Name, update.cluster)
			continue
		}
		u.noteSource(update.file, update.was)
		sources := u.sources()
		sources[slices.IndexFunc(sources, func(s clusterspec.Source) bool {
			return s.Name == update.file.Name
		})] = update.file
	}
	return nil
}

// noteSource puts a file that the run brings up to date into the result.
func (u *upgradeRun) noteSource(source clusterspec.Source, before []byte) {
	for i, f := range u.result.LocalFiles {
		if f.Path == source.Name {
			u.result.LocalFiles[i].After = source.Data
			return
		}
	}
	u.result.LocalFiles = append(u.result.LocalFiles,
		layout.FileChange{Path: source.Name, Change: layout.FileModify, Before: before, After: source.Data})
}

// keepSource notes a file that was edited during the run.
func (u *upgradeRun) keepSource(name, cluster string) {
	if !slices.Contains(u.unsaved, cluster) {
		u.unsaved = append(u.unsaved, cluster)
	}
	u.result.LocalFiles = slices.DeleteFunc(u.result.LocalFiles, func(f layout.FileChange) bool {
		return f.Path == name
	})
	u.result.LocalFiles = append(u.result.LocalFiles, layout.FileChange{Path: name, Change: layout.FileKeep})
}

// lacksMerged says whether the user's file does not get what was merged into the one in Git.
func (u *upgradeRun) lacksMerged(p *files.SpecPlan) bool {
	return len(p.Merged) > 0 && (!u.asked.UpdateSources || slices.Contains(u.unsaved, p.Cluster.Name))
}

// checkSaved says which files could not be brought up to date.
func (u *upgradeRun) checkSaved() error {
	var names []string
	for _, f := range u.result.LocalFiles {
		if f.Change == layout.FileKeep {
			names = append(names, f.Path)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &sourceChangedError{files: names}
}

// sourceChangedError says that files of the user's were edited during the run.
type sourceChangedError struct{ files []string }

func (e *sourceChangedError) Error() string {
	verb := "has"
	if len(e.files) > 1 {
		verb = "have"
	}
	return fmt.Sprintf("%s %s changed since the run has read it, and was not brought up to date",
		strings.Join(e.files, ", "), verb)
}

// Hint is the next action.
func (e *sourceChangedError) Hint() string {
	return "run the same command again: it reads the file again, with what was edited"
}
