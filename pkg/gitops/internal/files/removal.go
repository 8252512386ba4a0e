package files

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
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Removal works out which files of a snapshot go with clusters, and what has to change for the rest to go on
// building.
type Removal struct {
	ctx      context.Context // one planning is one call
	snapshot facts.SnapshotReader
	config   *clusterspec.GitOps
	Plan     *Plan

	files   map[string]bool   // what is below the roots that were walked; false is gone after the plan
	content map[string][]byte // of what was read
	// Objects are those in the specs that go, by cluster.
	Objects map[string][]string
	// Dependents are the objects elsewhere that go with a cluster.
	Dependents map[string][]string
	// specDirs are the eksa-system directories of the clusters that go; somebody may have removed them
	// before.
	specDirs []string
	// Namespaces of the Cluster objects in the removed specs, by cluster.
	Namespaces map[string]string
}

// NewRemoval reads the directories of a snapshot. Without the branch there is nothing to remove.
func NewRemoval(ctx context.Context, snapshot facts.SnapshotReader,
	config *clusterspec.GitOps) (*Removal, error) {
	r := &Removal{
		ctx: ctx, snapshot: snapshot, config: config, Plan: &Plan{},
		files: map[string]bool{}, content: map[string][]byte{}, Objects: map[string][]string{},
		Dependents: map[string][]string{}, Namespaces: map[string]string{},
	}
	if snapshot == nil || snapshot.State() != git.BranchExists {
		return r, nil
	}
	return r, r.walk(layout.RootDir(config))
}

// walk notes the files below a directory.
func (r *Removal) walk(dir string) error {
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

// Clusters names the clusters that have files in Git, sorted.
func (r *Removal) Clusters() []string {
	var names []string
	for file := range r.files {
		dir := path.Dir(path.Dir(file))
		if file == path.Join(dir, layout.ClusterSubdir, layout.SpecFile) &&
			path.Join(dir) == path.Join(layout.RootDir(r.config), path.Base(dir)) {
			names = append(names, path.Base(dir))
		}
	}
	slices.Sort(names)
	return names
}

// clusterFiles are the files of a cluster that are there: what layout writes, edited or not. Of the apps
// scaffold, the kustomizations are made to be edited, and then somebody else's.
func (r *Removal) clusterFiles(name string) []string {
	paths := layout.PathsIn(r.config, name)
	files := r.there(paths.Spec, paths.Kustomization, paths.AppsSync)
	if r.holds(paths.AppsKustomization, layout.EmptyApps()) {
		files = append(files, paths.AppsKustomization)
	}
	return files
}

// holds says whether a file is there and is as we write it.
func (r *Removal) holds(file string, content []byte) bool {
	if !r.files[file] {
		return false
	}
	same, err := r.snapshot.Holds(file, content)
	return err == nil && same
}

// systemFiles are Flux's files that are there.
func (r *Removal) systemFiles() []string {
	dir := layout.SystemDir(r.config)
	return r.there(path.Join(dir, layout.ComponentsFile), path.Join(dir, layout.SyncFile),
		path.Join(dir, layout.KustomizationFile))
}

func (r *Removal) there(paths ...string) []string {
	return slices.DeleteFunc(paths, func(file string) bool { return !r.files[file] })
}

// below lists what stays below a directory, sorted.
func (r *Removal) below(dir string) []string {
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
func (r *Removal) read(files []string) error {
	files = slices.DeleteFunc(slices.Clone(files),
		func(file string) bool { _, here := r.content[file]; return here })
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

// RemoveWorkloads plans the removal of clusters' files, and of what other kustomizations say about them.
func (r *Removal) RemoveWorkloads(names []string) error {
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
	if len(r.Plan.Changes) == 0 {
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
func (r *Removal) removeCluster(name string) {
	for _, file := range r.clusterFiles(name) {
		if path.Base(file) == layout.SpecFile {
			r.Objects[name], r.Namespaces[name] = objectsOf(r.content[file], name)
		}
		r.remove(file)
	}
}

// noteKept tells of the files that stay in a cluster's directory.
func (r *Removal) noteKept(name string) {
	if kept := r.Kept(layout.PathsIn(r.config, name).Cluster); len(kept) > 0 {
		r.Plan.Notes = append(r.Plan.Notes,
			fmt.Sprintf("directory %s stays, because it contains files that are not from eksa-gitops: %s",
				layout.PathsIn(r.config, name).Cluster, strings.Join(kept, ", ")))
	}
}

func (r *Removal) remove(file string) {
	r.files[file] = false
	r.Plan.Gone = append(r.Plan.Gone, file)
	r.Plan.Changes = append(r.Plan.Changes,
		layout.FileChange{Path: file, Change: layout.FileDelete, Before: r.content[file]})
}

// keepBuilding sees to the files that stay beside a cluster's: a kustomization that lists them stays with
// them, and without the cluster.
func (r *Removal) keepBuilding(name string) error {
	file := layout.PathsIn(r.config, name).Kustomization
	dir := path.Dir(file)
	stay := r.below(dir)
	if len(stay) == 0 || !slices.Contains(r.Plan.Gone, file) {
		return nil
	}
	rest, err := layout.Unlist(file, r.content[file], r.isGone)
	if err != nil {
		return entangled(file, err.Error())
	}
	if len(rest.Others) > 0 {
		return entangled(file, "it names them under "+strings.Join(rest.Others, ", "))
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

// entangled says that a file of somebody else would not build without what goes, and that no program should
// guess what it means.
func entangled(file, reason string) error {
	return facts.Found(facts.AreaSpec.Finding(
		fmt.Sprintf("%s cannot go on without the cluster's files: %s", file, reason),
		"take that out of "+file+" by hand, push, and run the same command again"))
}

// keep makes a modification out of a deletion, or plans one.
func (r *Removal) keep(file string, content []byte) {
	at := slices.IndexFunc(r.Plan.Changes, func(c layout.FileChange) bool { return c.Path == file })
	if at < 0 {
		r.Plan.Changes = append(r.Plan.Changes, layout.FileChange{Path: file, Before: r.content[file]})
		at = len(r.Plan.Changes) - 1
	}
	r.Plan.Changes[at].Change, r.Plan.Changes[at].After = layout.FileModify, content
	r.Plan.Gone = slices.DeleteFunc(r.Plan.Gone, func(gone string) bool { return gone == file })
	r.files[file] = true
}

// checkBuild finds out whether a kustomization that built before still does: a patch may have been for what
// is gone.
func (r *Removal) checkBuild(file string, content []byte, beside []string) error {
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
		return entangled(file, err.Error())
	}
	return nil
}

// isGone says whether a path is that of a file that goes, or of a directory that nothing describes any more.
func (r *Removal) isGone(name string) bool {
	if slices.Contains(r.Plan.Gone, name) || slices.Contains(r.specDirs, name) && len(r.below(name)) == 0 {
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

// otherKustomizations lists the kustomizations below P that are not as we write them for a cluster, the
// deepest first.
func (r *Removal) otherKustomizations() ([]string, error) {
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

// unlist takes what is gone out of the kustomizations of others that list it. One that lists nothing else
// goes too, or says nothing from now on when there are manifests beside it.
func (r *Removal) unlist(kustomizations []string) error {
	for _, file := range kustomizations {
		if !r.files[file] ||
			slices.ContainsFunc(r.Plan.Changes, func(c layout.FileChange) bool { return c.Path == file }) {
			continue
		}
		rest, err := layout.Unlist(file, r.content[file], r.isGone)
		if err != nil {
			continue // it did not build before either
		}
		if len(rest.Others) > 0 {
			return entangled(file, "it names them under "+strings.Join(rest.Others, ", "))
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
		r.Plan.Notes = append(r.Plan.Notes,
			fmt.Sprintf("%s no longer lists %s", file, strings.Join(rest.Removed, ", ")))
	}
	return nil
}

// RemoveManagement plans the removal of the management cluster's files and Flux's own. What others have put
// beside them stays as it is: nothing builds it any more.
func (r *Removal) RemoveManagement(name string) error {
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
	if kept := r.Kept(layout.SystemDir(r.config)); len(kept) > 0 {
		r.Plan.Notes = append(r.Plan.Notes,
			fmt.Sprintf("directory %s stays, because it contains files that are not from eksa-gitops: %s",
				layout.SystemDir(r.config), strings.Join(kept, ", ")))
	}
	return nil
}

// Kept lists the files of others in the directories of clusters that stay as they are, sorted. One that is
// changed is among the changes.
func (r *Removal) Kept(dirs ...string) []string {
	kept := []string{}
	for _, dir := range dirs {
		kept = append(kept, slices.DeleteFunc(r.below(dir), r.Plan.ChangesFile)...)
	}
	slices.Sort(kept)
	return kept
}

// Finish puts the plan in order.
func (r *Removal) Finish() *Plan {
	slices.SortFunc(r.Plan.Changes,
		func(a, b layout.FileChange) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(r.Plan.Gone)
	return r.Plan
}

// objectsOf lists the objects of a file, as kind namespace/name, and finds the namespace of a Cluster object
// in it. What is no YAML is left out.
func objectsOf(content []byte, cluster string) (objects []string, namespace string) {
	for document := range yamlnode.Documents(content) {
		var object struct {
			APIVersion, Kind string
			Metadata         struct{ Namespace, Name string }
		}
		if yaml.Unmarshal(document, &object) != nil || object.Kind == "" || object.Metadata.Name == "" {
			continue
		}
		in := cmp.Or(object.Metadata.Namespace, "default")
		if object.Kind == "Cluster" && object.Metadata.Name == cluster &&
			strings.HasPrefix(object.APIVersion, "anywhere.eks.amazonaws.com/") {
			namespace = in
		}
		objects = append(objects, fmt.Sprintf("%s %s/%s", object.Kind, in, object.Metadata.Name))
	}
	return objects, namespace
}
