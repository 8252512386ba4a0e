package gitops

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// changeDelete is the kind of a [FileChange] that takes a file away.
const changeDelete = "delete"

// removal works out which files of a snapshot go with clusters, and what has to change for the rest to go on building.
type removal struct {
	ctx      context.Context // one planning is one call
	snapshot Snapshot
	config   *clusterspec.GitOps
	plan     *filePlan

	files   map[string]bool   // what is below the roots that were walked; false is gone after the plan
	content map[string][]byte // of what was read
	objects map[string][]string
	// dependents are the objects elsewhere that go with a cluster.
	dependents map[string][]string
	// specDirs are the eksa-system directories of the clusters that go; somebody may have removed them before.
	specDirs []string
	// namespaces of the Cluster objects in the removed specs, by cluster.
	namespaces map[string]string
}

// entangledError says that files of somebody else would not build without what goes, and that no program should guess what they mean.
type entangledError struct{ file, reason string }

func (e *entangledError) Error() string {
	return fmt.Sprintf("%s cannot go on without the cluster's files: %s", e.file, e.reason)
}

func (e *entangledError) Hint() string {
	return "take that out of " + e.file + " by hand, push, and run the same command again"
}

// newRemoval reads the directories of a snapshot. Without the branch there is nothing to remove.
func newRemoval(ctx context.Context, snapshot Snapshot, config *clusterspec.GitOps) (*removal, error) {
	r := &removal{
		ctx: ctx, snapshot: snapshot, config: config, plan: &filePlan{},
		files: map[string]bool{}, content: map[string][]byte{}, objects: map[string][]string{}, dependents: map[string][]string{}, namespaces: map[string]string{},
	}
	if snapshot == nil || snapshot.State() != git.BranchExists {
		return r, nil
	}
	return r, r.walk(layout.RootDir(config))
}

// walk notes the files below a directory.
func (r *removal) walk(dir string) error {
	if dir == "." {
		dir = ""
	}
	err := r.snapshot.Walk(r.ctx, dir, func(entry git.Entry) error {
		if entry.Mode != git.Dir {
			r.files[entry.Path] = true
		}
		return nil
	})
	if errors.As(err, new(*git.PathError)) {
		return nil // a file is there; nothing of ours is below
	}
	if err != nil {
		return fmt.Errorf("reading directory %q of the repository: %w", cmp.Or(dir, "/"), err)
	}
	return nil
}

// clusters names the clusters that have files in Git, sorted.
func (r *removal) clusters() []string {
	var names []string
	for file := range r.files {
		dir := path.Dir(path.Dir(file))
		if file == path.Join(dir, layout.ClusterSubdir, layout.SpecFile) && path.Join(dir) == path.Join(layout.RootDir(r.config), path.Base(dir)) {
			names = append(names, path.Base(dir))
		}
	}
	slices.Sort(names)
	return names
}

// clusterFiles are the files of a cluster that are there: what layout writes, edited or not. Of the apps scaffold, the kustomizations are
// made to be edited, and then somebody else's.
func (r *removal) clusterFiles(name string) []string {
	paths := layout.PathsIn(r.config, name)
	files := r.there(paths.Spec, paths.Kustomization, paths.AppsSync)
	if r.holds(paths.AppsKustomization, layout.EmptyApps()) {
		files = append(files, paths.AppsKustomization)
	}
	return files
}

// holds says whether a file is there and is as we write it.
func (r *removal) holds(file string, content []byte) bool {
	if !r.files[file] {
		return false
	}
	same, err := r.snapshot.Holds(file, content)
	return err == nil && same
}

// systemFiles are Flux's files that are there.
func (r *removal) systemFiles() []string {
	dir := layout.SystemDir(r.config)
	return r.there(path.Join(dir, layout.ComponentsFile), path.Join(dir, layout.SyncFile), path.Join(dir, layout.KustomizationFile))
}

func (r *removal) there(paths ...string) []string {
	return slices.DeleteFunc(paths, func(file string) bool { return !r.files[file] })
}

// below lists what stays below a directory, sorted.
func (r *removal) below(dir string) []string {
	prefix := dir + "/"
	if dir == "." {
		prefix = ""
	}
	var list []string
	for file, stays := range r.files {
		if stays && strings.HasPrefix(file, prefix) {
			list = append(list, file)
		}
	}
	slices.Sort(list)
	return list
}

// read brings the contents of files here, in one transfer.
func (r *removal) read(files []string) error {
	files = slices.DeleteFunc(slices.Clone(files), func(file string) bool { _, here := r.content[file]; return here })
	if len(files) == 0 {
		return nil
	}
	contents, err := r.snapshot.ReadAll(r.ctx, files)
	if err != nil {
		return err
	}
	for file, content := range contents {
		r.content[file] = content
	}
	return nil
}

// removeWorkloads plans the removal of clusters' files, and of what other kustomizations say about them.
func (r *removal) removeWorkloads(names []string) error {
	var ours []string
	for _, name := range names {
		ours = append(ours, r.clusterFiles(name)...)
	}
	kustomizations, err := r.otherKustomizations()
	if err != nil {
		return err
	}
	if err := r.read(slices.Concat(ours, kustomizations, r.manifests())); err != nil {
		return fmt.Errorf("reading the files that go: %w", err)
	}
	for _, name := range names {
		r.removeCluster(name)
		if len(ours) > 0 {
			r.specDirs = append(r.specDirs, path.Dir(layout.PathsIn(r.config, name).Spec))
		}
	}
	if err := r.removeDependents(names); err != nil {
		return err
	}
	if len(r.plan.changes) == 0 {
		return nil
	}
	for _, name := range names {
		if err := r.keepBuilding(name); err != nil {
			return err
		}
	}
	if err := r.unlist(kustomizations); err != nil {
		return err
	}
	for _, name := range names {
		r.noteKept(name)
	}
	return nil
}

// removeCluster plans the deletion of one cluster's files.
func (r *removal) removeCluster(name string) {
	for _, file := range r.clusterFiles(name) {
		if path.Base(file) == layout.SpecFile {
			r.objects[name], r.namespaces[name] = objectsOf(r.content[file], name)
		}
		r.remove(file)
	}
}

// noteKept tells of the files that stay in a cluster's directory.
func (r *removal) noteKept(name string) {
	if kept := r.kept(layout.PathsIn(r.config, name).Cluster); len(kept) > 0 {
		r.plan.notes = append(r.plan.notes, fmt.Sprintf("directory %s stays, because it contains files that are not from eksa-gitops: %s",
			layout.PathsIn(r.config, name).Cluster, strings.Join(kept, ", ")))
	}
}

func (r *removal) remove(file string) {
	r.files[file] = false
	r.plan.gone = append(r.plan.gone, file)
	r.plan.changes = append(r.plan.changes, FileChange{Path: file, Change: changeDelete, Before: r.content[file]})
}

// keepBuilding sees to the files that stay beside a cluster's: a kustomization that lists them stays with them, and without the cluster.
func (r *removal) keepBuilding(name string) error {
	file := layout.PathsIn(r.config, name).Kustomization
	dir := path.Dir(file)
	stay := r.below(dir)
	if len(stay) == 0 || !slices.Contains(r.plan.gone, file) {
		return nil
	}
	rest, err := layout.Unlist(file, r.content[file], r.isGone)
	if err != nil {
		return &entangledError{file, err.Error()}
	}
	if len(rest.Others) > 0 {
		return &entangledError{file, "it names them under " + strings.Join(rest.Others, ", ")}
	}
	content := rest.Content
	if rest.Empty {
		if !slices.ContainsFunc(stay, layout.IsManifest) {
			return nil
		}
		content = layout.InertKustomization()
	}
	if err := r.checkBuild(file, content, stay); err != nil {
		return err
	}
	r.keep(file, content)
	return nil
}

// keep makes a modification out of a deletion, or plans one.
func (r *removal) keep(file string, content []byte) {
	at := slices.IndexFunc(r.plan.changes, func(c FileChange) bool { return c.Path == file })
	if at < 0 {
		r.plan.changes = append(r.plan.changes, FileChange{Path: file, Before: r.content[file]})
		at = len(r.plan.changes) - 1
	}
	r.plan.changes[at].Change, r.plan.changes[at].After = "modify", content
	r.plan.gone = slices.DeleteFunc(r.plan.gone, func(gone string) bool { return gone == file })
	r.files[file] = true
}

// checkBuild finds out whether a kustomization that built before still does: a patch may have been for what is gone.
func (r *removal) checkBuild(file string, content []byte, beside []string) error {
	dir := path.Dir(file)
	before := map[string][]byte{}
	for name, text := range r.content {
		if strings.HasPrefix(name, dir+"/") {
			before[name] = text
		}
	}
	if fluxmanifests.CheckBuild(before, dir) != nil {
		return nil // it does not build from these files alone; what it is made of cannot be judged here
	}
	after := map[string][]byte{}
	for _, name := range beside {
		after[name] = r.content[name]
	}
	after[file] = content
	if err := fluxmanifests.CheckBuild(after, dir); err != nil {
		return &entangledError{file, err.Error()}
	}
	return nil
}

// isGone says whether a path is that of a file that goes, or of a directory that nothing describes any more.
func (r *removal) isGone(name string) bool {
	if slices.Contains(r.plan.gone, name) || slices.Contains(r.specDirs, name) && len(r.below(name)) == 0 {
		return true
	}
	described := false
	for _, base := range kustomize.FileNames {
		stays, was := r.files[path.Join(name, base)]
		if stays {
			return false
		}
		described = described || was
	}
	return described
}

// otherKustomizations lists the kustomizations below P that are not as we write them for a cluster, the deepest first.
func (r *removal) otherKustomizations() ([]string, error) {
	var list []string
	for file := range r.files {
		if !layout.IsKustomization(file) {
			continue
		}
		ours := false
		for _, content := range [][]byte{layout.ClusterKustomization(), layout.ManagementKustomization()} {
			same, err := r.snapshot.Holds(file, content)
			if err != nil {
				return nil, fmt.Errorf("comparing %s with the repository: %w", file, err)
			}
			ours = ours || same
		}
		if !ours {
			list = append(list, file)
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(b, "/"), strings.Count(a, "/")), strings.Compare(a, b))
	})
	return list, nil
}

// unlist takes what is gone out of the kustomizations of others that list it. One that lists nothing else goes too, or says nothing
// from now on when there are manifests beside it.
func (r *removal) unlist(kustomizations []string) error {
	for _, file := range kustomizations {
		if !r.files[file] || slices.ContainsFunc(r.plan.changes, func(c FileChange) bool { return c.Path == file }) {
			continue
		}
		rest, err := layout.Unlist(file, r.content[file], r.isGone)
		if err != nil {
			continue // it did not build before either
		}
		if len(rest.Others) > 0 {
			return &entangledError{file, "it names them under " + strings.Join(rest.Others, ", ")}
		}
		switch dir := path.Dir(file); {
		case len(rest.Removed) == 0:
			continue
		case !rest.Empty:
			if err := r.checkBuild(file, rest.Content, r.below(dir)); err != nil {
				return err
			}
			r.keep(file, rest.Content)
		case slices.ContainsFunc(r.below(dir), func(other string) bool {
			return other != file && (layout.IsManifest(other) || layout.IsKustomization(other))
		}):
			r.keep(file, layout.InertKustomization())
		case bytes.Equal(r.content[file], layout.ScaffoldKustomization()):
			r.remove(file)
			continue
		default:
			r.remove(file)
		}
		r.plan.notes = append(r.plan.notes, fmt.Sprintf("%s no longer lists %s", file, strings.Join(rest.Removed, ", ")))
	}
	return nil
}

// removeManagement plans the removal of the management cluster's files and Flux's own. What others have put beside them stays as it is:
// nothing builds it any more.
func (r *removal) removeManagement(name string) error {
	ours := slices.Concat(r.clusterFiles(name), r.systemFiles())
	scaffold := layout.PathsIn(r.config, name).ClusterKustomization
	if r.holds(scaffold, layout.ScaffoldKustomization()) {
		ours = append(ours, scaffold)
	} else {
		scaffold = ""
	}
	if err := r.read(ours); err != nil {
		return fmt.Errorf("reading the files that go: %w", err)
	}
	r.removeCluster(name)
	if scaffold != "" {
		r.remove(scaffold)
	}
	for _, file := range r.systemFiles() {
		r.remove(file)
	}
	r.noteKept(name)
	if kept := r.kept(layout.SystemDir(r.config)); len(kept) > 0 {
		r.plan.notes = append(r.plan.notes, fmt.Sprintf("directory %s stays, because it contains files that are not from eksa-gitops: %s",
			layout.SystemDir(r.config), strings.Join(kept, ", ")))
	}
	return nil
}

// kept lists the files of others in the directories of clusters that stay as they are, sorted. One that is changed is among the changes.
func (r *removal) kept(dirs ...string) []string {
	kept := []string{}
	for _, dir := range dirs {
		kept = append(kept, slices.DeleteFunc(r.below(dir), r.plan.changesFile)...)
	}
	slices.Sort(kept)
	return kept
}

// finish puts the plan in order.
func (r *removal) finish() *filePlan {
	slices.SortFunc(r.plan.changes, func(a, b FileChange) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(r.plan.gone)
	return r.plan
}

// objectsOf lists the objects of a file, as kind namespace/name, and finds the namespace of a Cluster object in it. What is no YAML is
// left out.
func objectsOf(content []byte, cluster string) (objects []string, namespace string) {
	for document := range bytes.SplitSeq(append([]byte("\n"), content...), []byte("\n---")) {
		var object struct {
			APIVersion, Kind string
			Metadata         struct{ Namespace, Name string }
		}
		if yaml.Unmarshal(document, &object) != nil || object.Kind == "" || object.Metadata.Name == "" {
			continue
		}
		in := cmp.Or(object.Metadata.Namespace, "default")
		if object.Kind == "Cluster" && object.Metadata.Name == cluster && strings.HasPrefix(object.APIVersion, "anywhere.eks.amazonaws.com/") {
			namespace = in
		}
		objects = append(objects, fmt.Sprintf("%s %s/%s", object.Kind, in, object.Metadata.Name))
	}
	return objects, namespace
}
