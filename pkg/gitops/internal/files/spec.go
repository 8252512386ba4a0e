package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// SpecPlan is what an upgrade does to one cluster's file in Git.
type SpecPlan struct {
	Cluster *clusterspec.Cluster // as the user's file has it
	Path    string
	InGit   bool
	Before  []byte // what is in Git
	After   []byte // what shall be

	Ours      clusterspec.Source // the user's file as it would be in Git, with what EKS Anywhere filled in
	Was       []facts.GitObject  // of before
	Changes   []clusterspec.Change
	Merged    []clusterspec.MergeEdit // the edits in Git that the user's file does not have
	Conflicts []clusterspec.Conflict
	Others    []git.Revision // the commits of others since ours
	Notes     []string
	// VersionNote is the one of Notes that is about the version that the provisioner has made; empty without.
	VersionNote string
}

// Changed says whether the file in Git becomes another one.
func (p *SpecPlan) Changed() bool { return !bytes.Equal(p.Before, p.After) }

// planSpec works out what becomes of a cluster's file on top of a snapshot. Edits of the user's file and
// edits in Git are merged; where both changed the same, the plan has conflicts, and after holds the file's
// values.
func (u *UpgradePlanner) planSpec(ctx context.Context, snapshot facts.SnapshotReader, c *clusterspec.Cluster,
	before []byte, inGit bool) (*SpecPlan, error) {
	p := &SpecPlan{Cluster: c, Path: layout.PathsOf(c).Spec, InGit: inGit, Before: before}
	p.Ours = clusterspec.Source{Name: c.Objects[0].File, Data: clusterspec.Render(c)}
	var err error
	first := u.First[p.Path]
	if first == nil {
		first = &firstLook{text: before}
		u.First[p.Path] = first
	}
	switch {
	case IsBlank(before) && !IsBlank(first.text):
		return nil, facts.Found(facts.AreaSpec.Finding(
			fmt.Sprintf("cluster %s was taken out of Git by somebody else while this run was under way",
				c.Name),
			text.Command("if the cluster is to be there, create it again: eksa-gitops create cluster -f %s",
				c.Objects[0].File)))
	case IsBlank(before):
		p.InGit = false
		err = u.planFirst(p)
	default:
		err = u.planChange(ctx, snapshot, p)
	}
	if err != nil {
		return nil, err
	}
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: p.Path, Data: p.After}})
	if err != nil {
		return nil, fmt.Errorf("checking the merged spec of cluster %s: %w", c.Name, err)
	}
	u.withVersion(p, set)
	return p, nil
}

// planFirst is the plan of a cluster that is not in Git yet: the live objects, if there are any, are taken
// over as they are.
func (u *UpgradePlanner) planFirst(p *SpecPlan) error {
	live, err := u.liveText(p.Cluster)
	if err != nil {
		return err
	}
	if len(live) == 0 {
		p.After = p.Ours.Data
		return nil
	}
	completed, err := clusterspec.Complete(p.Ours, clusterspec.Source{Name: "the cluster", Data: live})
	if err != nil {
		return err
	}
	p.After = completed.Data
	overlaid, err := u.overlaidText(p.Cluster, p.After)
	if err != nil {
		return err
	}
	p.Changes = clusterspec.CompareSets(parseLeniently("the cluster", live), parseLeniently(p.Path, overlaid))
	return nil
}

// planChange is the plan of a cluster that is in Git.
func (u *UpgradePlanner) planChange(ctx context.Context, snapshot facts.SnapshotReader, p *SpecPlan) error {
	theirs, tools, err := clusterspec.WithoutToolAnnotations(clusterspec.Source{Name: p.Path, Data: p.Before})
	if err != nil {
		return u.unreadable(p, err)
	}
	for _, annotation := range tools {
		p.Notes = append(p.Notes, annotation+" leaves Git: a command line tool wrote it for itself")
	}
	was := parseLeniently(p.Path, p.Before)
	git := facts.GitCluster{Name: p.Cluster.Name, Path: p.Path}
	git.Parse(p.Before)
	p.Was = git.Objects
	if err := u.reconcileGitOpsKinds(p, was, theirs); err != nil {
		return u.unreadable(p, err)
	}
	if p.Ours, err = clusterspec.Complete(p.Ours, theirs); err != nil {
		return u.unreadable(p, err)
	}
	if bytes.Equal(p.Ours.Data, p.Before) {
		p.After = p.Before
		return nil
	}
	history, err := u.history(ctx, snapshot, p)
	if err != nil {
		return err
	}
	base := clusterspec.Source{Name: p.Path + " as it was written last", Data: history.base}
	p.Others = history.since
	switch {
	case history.fuller:
		if base, err = clusterspec.Restrict(base, p.Ours); err != nil {
			return u.unreadable(p, err)
		}
	case history.base == nil:
		if base, err = clusterspec.Common(p.Ours, theirs); err != nil {
			return u.unreadable(p, err)
		}
	}
	merged, err := clusterspec.Merge(base, p.Ours, theirs)
	if err != nil {
		return u.unreadable(p, err)
	}
	for _, edit := range merged.Edits {
		if edit.Side == clusterspec.SideTheirs {
			p.Merged = append(p.Merged, edit)
		}
	}
	p.Conflicts, p.After = merged.Conflicts, merged.Overwriting
	p.Changes = clusterspec.CompareSets(was, parseLeniently(p.Path, p.After))
	if (history.base == nil || history.fuller) && len(p.Merged) > 0 {
		p.Notes = append(p.Notes,
			fmt.Sprintf("no commit of eksa-gitops wrote %s, so that what only Git has is kept", p.Path))
	}
	return nil
}

// FirstLooks is what a run found in Git when it looked there for the first time, by path, which is what it
// told the user about.
type FirstLooks map[string]*firstLook

type firstLook struct {
	text    []byte
	history *fileHistory // nil when it was not needed
}

// history is readHistory as of the run's first look. What others, this program among them, write to Git after
// that is an edit beside the user's, and not what the user's file said the last time: it is merged, or
// overlaps, and is never replaced unseen.
func (u *UpgradePlanner) history(ctx context.Context, snapshot facts.SnapshotReader,
	p *SpecPlan) (*fileHistory, error) {
	first := u.First[p.Path]
	if bytes.Equal(first.text, p.Before) {
		var err error
		first.history, err = readHistory(ctx, snapshot, p.Path, p.Cluster.Name)
		return first.history, err
	}
	var last []git.Revision
	err := snapshot.EachRevision(ctx, p.Path, func(r git.Revision) bool {
		last = append(last, r)
		return false
	})
	if err != nil {
		return nil, fmt.Errorf("reading the history of %s: %w", p.Path, err)
	}
	switch {
	case IsBlank(first.text):
		return &fileHistory{since: last}, nil
	case first.history == nil:
		// The file said what Git said.
		return &fileHistory{base: first.text, since: last}, nil
	}
	return &fileHistory{base: first.history.base, fuller: first.history.fuller, since: last}, nil
}

// unreadable decides on a file in Git that cannot be read: the user's takes its place if that is what they
// want.
func (u *UpgradePlanner) unreadable(p *SpecPlan, err error) error {
	var problems clusterspec.Problems
	if !errors.As(err, &problems) {
		return err
	}
	if u.Options.Overwrite {
		p.After = p.Ours.Data
		p.Notes = append(p.Notes, p.Path+" in Git cannot be read and is replaced")
		return nil
	}
	return facts.Found(facts.AreaSpec.Finding(
		fmt.Sprintf("the cluster's file in Git cannot be merged: %s", problems[0].String()),
		"repair "+p.Path+" in the repository, or replace it with --overwrite"))
}

// reconcileGitOpsKinds deals with a FluxConfig on one side and a GitOpsConfig on the other that say the same.
// EKS Anywhere's webhook freezes gitOpsRef of a workload cluster; a management cluster's may go from the
// deprecated kind to the new one.
func (u *UpgradePlanner) reconcileGitOpsKinds(p *SpecPlan, was *clusterspec.Set,
	theirs clusterspec.Source) error {
	var there *clusterspec.GitOps
	for _, c := range was.Clusters {
		if c.Name == p.Cluster.Name && c.GitOps != nil {
			there = c.GitOps
		}
	}
	file := p.Cluster.GitOps
	if there == nil || there.Kind == file.Kind {
		return nil
	}
	if p.Cluster.Role() == clusterspec.RoleManagement && file.Kind == "FluxConfig" {
		p.Notes = append(p.Notes, fmt.Sprintf("cluster %s: FluxConfig %s takes the place of GitOpsConfig "+
			"%s, which is deprecated and says the same; EKS Anywhere's webhooks allow that on a management "+
			"cluster, eksctl anywhere's own upgrade does not: give it this file from now on, and new "+
			"workload clusters a FluxConfig", p.Cluster.Name, file.Name, there.Name))
		return nil
	}
	kept, err := clusterspec.KeepGitOps(p.Ours, theirs)
	if err != nil {
		return err
	}
	p.Ours = kept
	why := "EKS Anywhere does not let the gitOpsRef of a workload cluster change"
	if p.Cluster.Role() == clusterspec.RoleManagement {
		why = "GitOpsConfig is deprecated"
	}
	p.Notes = append(p.Notes,
		fmt.Sprintf("cluster %s: %s %s stays in Git: %s %s of the file says the same, and %s",
			p.Cluster.Name, there.Kind, there.Name, file.Kind, file.Name, why))
	return nil
}

// parseLeniently reads a file for a comparison; what is wrong with it is for others to say.
func parseLeniently(name string, data []byte) *clusterspec.Set {
	set, _ := clusterspec.Parse([]clusterspec.Source{{Name: name, Data: data}})
	return set
}

// ObjectsIn are what Flux will apply of a cluster: the objects of its file, or what the directory's own
// kustomization makes of them.
func (p *SpecPlan) ObjectsIn(ctx context.Context, snapshot facts.SnapshotReader) ([]facts.GitObject, error) {
	git := facts.GitCluster{Name: p.Cluster.Name, Path: p.Path}
	git.Parse(p.After)
	dir := path.Dir(p.Path)
	kustomization := path.Join(dir, layout.KustomizationFile)
	if snapshot == nil || !p.InGit {
		return git.Objects, nil
	}
	plain, err := snapshot.Holds(kustomization, layout.ClusterKustomization())
	if err != nil || plain {
		return git.Objects, err
	}
	list, err := facts.FilesBelow(ctx, snapshot, path.Dir(dir))
	if err != nil || !slices.Contains(list, kustomization) {
		return git.Objects, err
	}
	contents, err := snapshot.ReadAll(ctx, list)
	if err != nil {
		return nil, err
	}
	contents[p.Path] = p.After
	plainObjects := git.Objects
	if BuildCluster(&git, list, contents); git.Broken != "" {
		return plainObjects, nil // it needs files from elsewhere, so that only Flux can build it
	}
	return git.Objects, nil
}
