package gitops

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// SnapshotFiles reads files by their paths. An unsafe path is a *git.PathError.
type SnapshotFiles interface {
	// Lookup finds what is at a path, and false when there is nothing. Links are not followed.
	Lookup(path string) (git.Entry, bool, error)
	// List has the entries of a directory, "" being the root; one that does not exist has none.
	List(dir string) ([]git.Entry, error)
	// Holds says whether a file has exactly this content. Nothing is transferred for it.
	Holds(path string, content []byte) (bool, error)
	// ReadAll reads files, all of them or none.
	ReadAll(ctx context.Context, paths []string) (map[string][]byte, error)
}

// filePlan is what a run changes in one snapshot of the repository.
type filePlan struct {
	changes []FileChange
	notes   []string          // about files that stay as they are although ours would differ
	system  map[string][]byte // Flux's files as they are after the commit, by base name
	after   map[string][]byte // all the run's files as they are after the commit, by path
	gone    []string          // the paths that are no longer there after the commit
	later   bool              // it is on a commit that Flux has applied after the run's, so that nothing comes of it
}

func (p *filePlan) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// inPlace says whether Git has all of the plan already, in the state that it was made on.
func (p *filePlan) inPlace(snapshot Snapshot) bool {
	return snapshot != nil && len(p.changes) == 0 && snapshot.State() == git.BranchExists
}

// changesFile says whether the plan changes a file.
func (p *filePlan) changesFile(file string) bool {
	return slices.ContainsFunc(p.changes, func(c FileChange) bool { return c.Path == file })
}

// changesIn says whether the plan changes a file directly in a directory.
func (p *filePlan) changesIn(dir string) bool {
	return slices.ContainsFunc(p.changes, func(c FileChange) bool { return path.Dir(c.Path) == dir })
}

func (p *filePlan) edits() []git.Edit {
	edits := make([]git.Edit, 0, len(p.changes))
	for _, c := range p.changes {
		edits = append(edits, git.Edit{Path: c.Path, Content: c.After, Delete: c.Change == changeDelete})
	}
	return edits
}

// conflictError says that files in Git differ from what the run would write and that nobody said to overwrite them.
type conflictError struct {
	changes []FileChange
	upgrade bool // the run is an upgrade, so that its own files are merged and these are others
	// unlisting is a kustomization in the directory of a cluster that is not in Git, and that does not list the cluster's file.
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
		return fmt.Sprintf("the cluster is not in Git, and %s is there for other files: list %s under its resources, push, and run the same command again; or replace it with --overwrite", e.unlisting, layout.SpecFile)
	}
	if !e.upgrade {
		return "to change a cluster that is managed through Git: eksa-gitops upgrade cluster with the same file, which keeps what others changed there; --overwrite replaces it"
	}
	return "see the difference with --dry-run --overwrite; bring the file up to date with what is in Git, or replace that with --overwrite"
}

// planFiles compares the rendering with the snapshot at hand and keeps the plan. A spec that differs is a finding.
func (r *createRun) planFiles(ctx context.Context, found *findings) error {
	plan, err := r.compare(ctx, r.seen.snapshot)
	if conflict, ok := err.(*conflictError); ok {
		found.add(AreaSpec, conflict)
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
		found.add(AreaSpec, inTheWay)
		return nil
	}
	if err != nil {
		return err
	}
	r.seen.files = plan
	return nil
}

// isBlank says whether a file holds nothing, as one does that is not there, or that a failed installation by EKS Anywhere left.
func isBlank(text []byte) bool { return len(bytes.TrimSpace(text)) == 0 }

// compare works out what has to be written on top of snapshot; nil is a repository that does not exist yet.
func (r *createRun) compare(ctx context.Context, snapshot Snapshot) (*filePlan, error) {
	return r.compareOn(ctx, snapshot, false)
}

func (r *createRun) compareOn(ctx context.Context, snapshot Snapshot, later bool) (*filePlan, error) {
	plan := newFilePlan(later)
	if err := r.compareFiles(ctx, snapshot, plan, r.rendered, func(string) bool { return r.options.Overwrite }); err != nil {
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
	return plan, r.checkFiles(ctx, snapshot, plan)
}

func newFilePlan(later bool) *filePlan {
	return &filePlan{system: map[string][]byte{}, after: map[string][]byte{}, later: later}
}

// compareFiles is compare for files that were made in any way. replace says of a cluster's file whether it may take the place of another
// content.
func (r *clustersRun) compareFiles(ctx context.Context, snapshot Snapshot, plan *filePlan, made rendering, replace func(path string) bool) error {
	wanted := slices.Concat(made.files, made.system)
	for _, file := range wanted {
		plan.after[file.Path] = file.Content
	}
	existing, err := differing(ctx, snapshot, wanted)
	if err != nil {
		return err
	}
	var conflicts []FileChange
	unlisting := ""
	for _, file := range made.files {
		before, differs := existing[file.Path]
		switch {
		case !differs:
			plan.add(snapshot, file)
		case r.lacksProtection(file.Path, before) && listsResources(before, layout.SpecFile):
			plan.after[file.Path] = before
			plan.notes = append(plan.notes, unprotectedNote(file.Path))
		case path.Base(file.Path) == layout.KustomizationFile && listsResources(before, layout.SpecFile):
			plan.after[file.Path] = before
			plan.notes = append(plan.notes, file.Path+" is kept as it is in Git: it lists the cluster's file and more or other things")
		case replace(file.Path) || isBlank(before) || bytes.Equal(before, layout.InertKustomization()):
			plan.changes = append(plan.changes, FileChange{Path: file.Path, Change: "modify", Before: before, After: file.Content})
		case path.Base(file.Path) == layout.KustomizationFile && plan.addsSpecBeside(file.Path) && listed(before) != nil:
			// It stays from before the cluster was deleted, for the sake of files of others.
			plan.after[file.Path] = listed(before)
			plan.changes = append(plan.changes, FileChange{Path: file.Path, Change: "modify", Before: before, After: listed(before)})
		default:
			conflicts = append(conflicts, FileChange{Path: file.Path, Change: "modify", Before: before, After: file.Content})
			if path.Base(file.Path) == layout.KustomizationFile && plan.addsSpecBeside(file.Path) {
				unlisting = file.Path
			}
		}
	}
	if err := r.reopen(snapshot, plan); err != nil {
		return err
	}
	for _, file := range made.system {
		base := path.Base(file.Path)
		plan.system[base] = file.Content
		before, differs := existing[file.Path]
		was := before
		if base == layout.SyncFile && differs && !isBlank(before) && !r.options.Overwrite {
			if before, err = r.servedSync(file.Path, was, plan.system[layout.ComponentsFile], plan.note); err != nil {
				return err
			}
		}
		switch {
		case !differs:
			plan.add(snapshot, file)
		case base == layout.SyncFile && !bytes.Equal(was, before) && sameObjects(before, file.Content):
			plan.system[base], plan.after[file.Path] = before, before
			plan.changes = append(plan.changes, FileChange{Path: file.Path, Change: "modify", Before: was, After: before})
		case isBlank(before):
			// EKS Anywhere leaves an empty gotk-sync.yaml when its own installation fails half way.
			plan.changes = append(plan.changes, FileChange{Path: file.Path, Change: "modify", Before: before, After: file.Content})
		case base == layout.SyncFile && !sameObjects(before, file.Content):
			if !r.options.Overwrite {
				conflicts = append(conflicts, FileChange{Path: file.Path, Change: "modify", Before: before, After: file.Content})
				continue
			}
			plan.changes = append(plan.changes, FileChange{Path: file.Path, Change: "modify", Before: before, After: file.Content})
		case base == layout.KustomizationFile && !listsResources(before, layout.ComponentsFile, layout.SyncFile):
			if !r.options.Overwrite {
				conflicts = append(conflicts, FileChange{Path: file.Path, Change: "modify", Before: before, After: file.Content})
				continue
			}
			plan.changes = append(plan.changes, FileChange{Path: file.Path, Change: "modify", Before: before, After: file.Content})
		case r.lacksProtection(file.Path, before):
			plan.system[base], plan.after[file.Path] = before, before
			plan.notes = append(plan.notes, unprotectedNote(file.Path))
		default:
			plan.system[base], plan.after[file.Path] = before, before
			plan.notes = append(plan.notes, keptNote(file.Path, before))
		}
	}
	if len(conflicts) > 0 {
		return &conflictError{changes: conflicts, unlisting: unlisting}
	}
	slices.SortFunc(plan.changes, func(a, b FileChange) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

// addsSpecBeside says whether the plan adds a cluster's file in the directory of a file.
func (p *filePlan) addsSpecBeside(file string) bool {
	spec := path.Join(path.Dir(file), layout.SpecFile)
	return slices.ContainsFunc(p.changes, func(c FileChange) bool { return c.Path == spec && c.Change == "add" })
}

// listed is a kustomization with the cluster's file among its resources; nil when it cannot be put there.
func listed(kustomization []byte) []byte {
	if content, ok := layout.List(kustomization, layout.SpecFile); ok {
		return content
	}
	return nil
}

// reopen has Flux look into the directories of clusters again in which a deletion has left a kustomization that builds to nothing, for the
// sake of files of others.
func (r *clustersRun) reopen(snapshot Snapshot, plan *filePlan) error {
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
			plan.after[file] = content
			plan.changes = append(plan.changes, FileChange{Path: file, Change: "modify", Before: inert, After: content})
		}
	}
	return nil
}

// add plans a file that is absent; one that is there, and does not differ, needs nothing.
func (p *filePlan) add(snapshot Snapshot, file layout.File) {
	if snapshot != nil {
		if _, there, err := snapshot.Lookup(file.Path); err == nil && there {
			return
		}
	}
	p.changes = append(p.changes, FileChange{Path: file.Path, Change: "add", After: file.Content})
}

// differing reads those of the wanted files that are in the snapshot with other content. Files that are the same are recognised by
// their blob IDs and not transferred.
func differing(ctx context.Context, snapshot Snapshot, wanted []layout.File) (map[string][]byte, error) {
	if snapshot == nil {
		return nil, nil
	}
	var paths []string
	for _, file := range wanted {
		_, there, err := snapshot.Lookup(file.Path)
		if err != nil {
			return nil, fmt.Errorf("looking for %s in the repository: %w", file.Path, err)
		}
		if !there {
			continue
		}
		same, err := snapshot.Holds(file.Path, file.Content)
		if err != nil {
			return nil, fmt.Errorf("comparing %s with the repository: %w", file.Path, err)
		}
		if !same {
			paths = append(paths, file.Path)
		}
	}
	if len(paths) == 0 {
		return nil, nil
	}
	return snapshot.ReadAll(ctx, paths)
}

// keptNote says why one of Flux's files stays as it is.
func keptNote(file string, before []byte) string {
	if path.Base(file) != layout.ComponentsFile {
		return file + " is kept as it is in Git"
	}
	there, _, err := fluxmanifests.ComponentVersion(before)
	if err != nil || there == fluxmanifests.Version {
		return file + " is kept as it is in Git, where it has been edited"
	}
	return fmt.Sprintf("%s is kept as it is in Git: Flux %s (this program would install %s)", file, there, fluxmanifests.Version)
}

// listsResources says whether a kustomization lists all of the given files.
func listsResources(content []byte, files ...string) bool {
	var kustomization struct {
		Resources []string `json:"resources"`
	}
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		return false
	}
	for _, file := range files {
		if !slices.ContainsFunc(kustomization.Resources, func(r string) bool { return path.Clean(r) == file }) {
			return false
		}
	}
	return true
}

// sameObjects says whether two multi-document files hold the same objects apart from comments and formatting.
func sameObjects(a, b []byte) bool {
	left, errLeft := canonical(a)
	right, errRight := canonical(b)
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}

func canonical(content []byte) ([]byte, error) {
	var documents []string
	for document := range strings.SplitSeq("\n"+string(content), "\n---") {
		var object any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return nil, err
		}
		if object == nil {
			continue
		}
		encoded, err := yaml.Marshal(object)
		if err != nil {
			return nil, err
		}
		documents = append(documents, string(encoded))
	}
	slices.Sort(documents)
	return []byte(strings.Join(documents, "---\n")), nil
}
