package gitops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// specPlan is what an upgrade does to one cluster's file in Git.
type specPlan struct {
	cluster *clusterspec.Cluster // as the user's file has it
	path    string
	inGit   bool
	before  []byte // what is in Git
	after   []byte // what shall be

	ours      clusterspec.Source // the user's file as it would be in Git, with what EKS Anywhere filled in
	was       []facts.GitObject  // of before
	changes   []clusterspec.Change
	merged    []clusterspec.MergeEdit // the edits in Git that the user's file does not have
	conflicts []clusterspec.Conflict
	others    []git.Revision // the commits of others since ours
	notes     []string
}

// changed says whether the file in Git becomes another one.
func (p *specPlan) changed() bool { return !bytes.Equal(p.before, p.after) }

// planSpec works out what becomes of a cluster's file on top of a snapshot. Edits of the user's file and
// edits in Git are merged; where both changed the same, the plan has conflicts, and after holds the file's
// values.
func (u *upgradeRun) planSpec(ctx context.Context, snapshot Snapshot, c *clusterspec.Cluster, before []byte,
	inGit bool) (*specPlan, error) {
	p := &specPlan{cluster: c, path: layout.PathsOf(c).Spec, inGit: inGit, before: before}
	p.ours = clusterspec.Source{Name: c.Objects[0].File, Data: clusterspec.Render(c)}
	var err error
	first := u.first[p.path]
	if first == nil {
		first = &firstLook{text: before}
		u.first[p.path] = first
	}
	switch {
	case files.IsBlank(before) && !files.IsBlank(first.text):
		return nil, &takenOutError{cluster: c.Name, file: c.Objects[0].File}
	case files.IsBlank(before):
		p.inGit = false
		err = u.planFirst(p)
	default:
		err = u.planChange(ctx, snapshot, p)
	}
	if err != nil {
		return nil, err
	}
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: p.path, Data: p.after}})
	if err != nil {
		return nil, fmt.Errorf("checking the merged spec of cluster %s: %w", c.Name, err)
	}
	u.withVersion(p, set)
	return p, nil
}

// planFirst is the plan of a cluster that is not in Git yet: the live objects, if there are any, are taken
// over as they are.
func (u *upgradeRun) planFirst(p *specPlan) error {
	live, err := u.liveText(p.cluster)
	if err != nil {
		return err
	}
	if len(live) == 0 {
		p.after = p.ours.Data
		return nil
	}
	completed, err := clusterspec.Complete(p.ours, clusterspec.Source{Name: "the cluster", Data: live})
	if err != nil {
		return err
	}
	p.after = completed.Data
	overlaid, err := u.overlaidText(p.cluster, p.after)
	if err != nil {
		return err
	}
	p.changes = clusterspec.CompareSets(parseLeniently("the cluster", live), parseLeniently(p.path, overlaid))
	return nil
}

// planChange is the plan of a cluster that is in Git.
func (u *upgradeRun) planChange(ctx context.Context, snapshot Snapshot, p *specPlan) error {
	theirs, tools, err := clusterspec.WithoutToolAnnotations(clusterspec.Source{Name: p.path, Data: p.before})
	if err != nil {
		return u.unreadable(p, err)
	}
	for _, annotation := range tools {
		p.notes = append(p.notes, annotation+" leaves Git: a command line tool wrote it for itself")
	}
	was := parseLeniently(p.path, p.before)
	git := facts.GitCluster{Name: p.cluster.Name, Path: p.path}
	git.Parse(p.before)
	p.was = git.Objects
	if err := u.reconcileGitOpsKinds(p, was, theirs); err != nil {
		return u.unreadable(p, err)
	}
	if p.ours, err = clusterspec.Complete(p.ours, theirs); err != nil {
		return u.unreadable(p, err)
	}
	if bytes.Equal(p.ours.Data, p.before) {
		p.after = p.before
		return nil
	}
	history, err := u.history(ctx, snapshot, p)
	if err != nil {
		return err
	}
	base := clusterspec.Source{Name: p.path + " as it was written last", Data: history.base}
	p.others = history.since
	switch {
	case history.fuller:
		if base, err = clusterspec.Restrict(base, p.ours); err != nil {
			return u.unreadable(p, err)
		}
	case history.base == nil:
		if base, err = clusterspec.Common(p.ours, theirs); err != nil {
			return u.unreadable(p, err)
		}
	}
	merged, err := clusterspec.Merge(base, p.ours, theirs)
	if err != nil {
		return u.unreadable(p, err)
	}
	for _, edit := range merged.Edits {
		if edit.Side == clusterspec.SideTheirs {
			p.merged = append(p.merged, edit)
		}
	}
	p.conflicts, p.after = merged.Conflicts, merged.Overwriting
	p.changes = clusterspec.CompareSets(was, parseLeniently(p.path, p.after))
	if (history.base == nil || history.fuller) && len(p.merged) > 0 {
		p.notes = append(p.notes,
			fmt.Sprintf("no commit of eksa-gitops wrote %s, so that what only Git has is kept", p.path))
	}
	return nil
}

// firstLook is what the run found in Git when it looked for the first time, which is what it told the user
// about.
type firstLook struct {
	text    []byte
	history *fileHistory // nil when it was not needed
}

// history is readHistory as of the run's first look. What others, this program among them, write to Git after
// that is an edit beside the user's, and not what the user's file said the last time: it is merged, or
// overlaps, and is never replaced unseen.
func (u *upgradeRun) history(ctx context.Context, snapshot Snapshot, p *specPlan) (*fileHistory, error) {
	first := u.first[p.path]
	if bytes.Equal(first.text, p.before) {
		var err error
		first.history, err = readHistory(ctx, snapshot, p.path, p.cluster.Name)
		return first.history, err
	}
	var last []git.Revision
	err := snapshot.EachRevision(ctx, p.path, func(r git.Revision) bool {
		last = append(last, r)
		return false
	})
	if err != nil {
		return nil, fmt.Errorf("reading the history of %s: %w", p.path, err)
	}
	switch {
	case files.IsBlank(first.text):
		return &fileHistory{since: last}, nil
	case first.history == nil:
		// The file said what Git said.
		return &fileHistory{base: first.text, since: last}, nil
	}
	return &fileHistory{base: first.history.base, fuller: first.history.fuller, since: last}, nil
}

// takenOutError says that a cluster left Git while a run was about to change it.
type takenOutError struct{ cluster, file string }

func (e *takenOutError) Error() string {
	return fmt.Sprintf("cluster %s was taken out of Git by somebody else while this run was under way",
		e.cluster)
}

func (e *takenOutError) Hint() string {
	return text.Command("if the cluster is to be there, create it again: eksa-gitops create cluster -f %s",
		e.file)
}

// unreadable decides on a file in Git that cannot be read: the user's takes its place if that is what they
// want.
func (u *upgradeRun) unreadable(p *specPlan, err error) error {
	var problems clusterspec.Problems
	if !errors.As(err, &problems) {
		return err
	}
	if u.options.Overwrite {
		p.after = p.ours.Data
		p.notes = append(p.notes, p.path+" in Git cannot be read and is replaced")
		return nil
	}
	return &unreadableError{path: p.path, problems: problems}
}

// unreadableError says that a cluster's file in Git is broken.
type unreadableError struct {
	path     string
	problems clusterspec.Problems
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("the cluster's file in Git cannot be merged: %s", e.problems[0].String())
}
func (e *unreadableError) Hint() string {
	return "repair " + e.path + " in the repository, or replace it with --overwrite"
}

// reconcileGitOpsKinds deals with a FluxConfig on one side and a GitOpsConfig on the other that say the same.
// EKS Anywhere's webhook freezes gitOpsRef of a workload cluster; a management cluster's may go from the
// deprecated kind to the new one.
func (u *upgradeRun) reconcileGitOpsKinds(p *specPlan, was *clusterspec.Set,
	theirs clusterspec.Source) error {
	var there *clusterspec.GitOps
	for _, c := range was.Clusters {
		if c.Name == p.cluster.Name && c.GitOps != nil {
			there = c.GitOps
		}
	}
	file := p.cluster.GitOps
	if there == nil || there.Kind == file.Kind {
		return nil
	}
	if p.cluster.Role() == clusterspec.RoleManagement && file.Kind == "FluxConfig" {
		p.notes = append(p.notes, fmt.Sprintf("cluster %s: FluxConfig %s takes the place of GitOpsConfig "+
			"%s, which is deprecated and says the same; EKS Anywhere's webhooks allow that on a management "+
			"cluster, eksctl anywhere's own upgrade does not: give it this file from now on, and new "+
			"workload clusters a FluxConfig", p.cluster.Name, file.Name, there.Name))
		return nil
	}
	kept, err := clusterspec.KeepGitOps(p.ours, theirs)
	if err != nil {
		return err
	}
	p.ours = kept
	why := "EKS Anywhere does not let the gitOpsRef of a workload cluster change"
	if p.cluster.Role() == clusterspec.RoleManagement {
		why = "GitOpsConfig is deprecated"
	}
	p.notes = append(p.notes,
		fmt.Sprintf("cluster %s: %s %s stays in Git: %s %s of the file says the same, and %s",
			p.cluster.Name, there.Kind, there.Name, file.Kind, file.Name, why))
	return nil
}

// parseLeniently reads a file for a comparison; what is wrong with it is for others to say.
func parseLeniently(name string, data []byte) *clusterspec.Set {
	set, _ := clusterspec.Parse([]clusterspec.Source{{Name: name, Data: data}})
	return set
}

// liveText is what the management cluster holds of a cluster's objects, as a file; empty when there is
// nothing.
func (u *upgradeRun) liveText(c *clusterspec.Cluster) ([]byte, error) {
	var documents [][]byte
	for _, o := range c.Objects {
		live := u.liveObject(o.Kind, o.Namespace, o.Name)
		if live == nil {
			continue
		}
		text, err := yaml.Marshal(essence(live.Fields))
		if err != nil {
			return nil, fmt.Errorf("writing down %s %s of the cluster: %w", o.Kind, o.Name, err)
		}
		documents = append(documents, text)
	}
	return bytes.Join(documents, []byte("---\n")), nil
}

// overlaidText is what the live objects become when a file is applied to them.
func (u *upgradeRun) overlaidText(c *clusterspec.Cluster, file []byte) ([]byte, error) {
	git := facts.GitCluster{Name: c.Name}
	git.Parse(file)
	var documents [][]byte
	for _, o := range git.Objects {
		fields := any(o.Fields)
		if live := u.liveObject(o.Kind, o.Namespace, o.Name); live != nil {
			fields = overlay(essence(live.Fields), o.Fields)
		}
		text, err := yaml.Marshal(fields)
		if err != nil {
			return nil, fmt.Errorf("writing down %s %s: %w", o.Kind, o.Name, err)
		}
		documents = append(documents, text)
	}
	return bytes.Join(documents, []byte("---\n")), nil
}

// essence is an object without what the server and controllers write.
func essence(fields map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range fields {
		if name != "status" && name != "metadata" {
			out[name] = value
		}
	}
	metadata, _ := fields["metadata"].(map[string]any)
	kept := map[string]any{}
	for _, name := range []string{"name", "namespace", "annotations"} {
		if value, ok := metadata[name]; ok {
			kept[name] = value
		}
	}
	out["metadata"] = kept
	return out
}

// overlay gives what becomes of a live value when another is applied to it, as [compareFields] sees it: maps
// are merged; a list is replaced, and what is filled into its items stays as long as there are as many.
func overlay(live, applied any) any {
	switch applied := applied.(type) {
	case map[string]any:
		before, ok := live.(map[string]any)
		if !ok {
			return applied
		}
		out := make(map[string]any, len(before))
		for name, value := range before {
			out[name] = value
		}
		for name, value := range applied {
			out[name] = overlay(before[name], value)
		}
		return out
	case []any:
		before, ok := live.([]any)
		if !ok || len(before) != len(applied) {
			return applied
		}
		out := make([]any, len(applied))
		for i := range applied {
			out[i] = overlay(before[i], applied[i])
		}
		return out
	case nil:
		return live
	}
	return applied
}

func (u *upgradeRun) liveObject(kind, namespace, name string) *fluxinstall.LiveObject {
	for i, o := range u.live {
		if o.Kind == kind && o.Namespace == namespace && o.Name == name {
			return &u.live[i]
		}
	}
	return nil
}

// objects are what Flux will apply of a cluster: the objects of its file, or what the directory's own
// kustomization makes of them.
func (p *specPlan) objects(ctx context.Context, snapshot Snapshot) ([]facts.GitObject, error) {
	git := facts.GitCluster{Name: p.cluster.Name, Path: p.path}
	git.Parse(p.after)
	dir := path.Dir(p.path)
	kustomization := path.Join(dir, layout.KustomizationFile)
	if snapshot == nil || !p.inGit {
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
	contents[p.path] = p.after
	plainObjects := git.Objects
	if files.BuildCluster(&git, list, contents); git.Broken != "" {
		return plainObjects, nil // it needs files from elsewhere, so that only Flux can build it
	}
	return git.Objects, nil
}

// describeConflict tells of a field that the file and Git changed, each in its own way.
func (p *specPlan) describeConflict(c clusterspec.Conflict) string {
	said := func(value string) string {
		if value == "" {
			return "nothing"
		}
		return value
	}
	text := fmt.Sprintf("cluster %s: %s", p.cluster.Name, c.Object)
	if c.Field != "" {
		text += ": " + c.Field
	}
	text += fmt.Sprintf(": the file says %s (%s), Git says %s",
		said(c.Ours), p.placeOf(c.Object, c.Field), said(c.Theirs))
	if c.Base != "" {
		text += ", original value: " + c.Base
	}
	if len(p.others) > 0 {
		text += "; in Git it was changed by " + revisionText(p.others[0])
	}
	return text
}

// placeOf is where a field stands in the user's own file, as file:line. Items of lists are shown by what
// tells them apart.
func (p *specPlan) placeOf(label, field string) string {
	for _, o := range p.cluster.Objects {
		if o.Label() == label {
			line, _ := o.Position(indexed(o.Decoded(), field))
			return fmt.Sprintf("%s:%d", o.File, line)
		}
	}
	return p.ours.Name
}

// shownItem is an item of a list in a field as it is shown: its name, or the values of its keys with colons
// between them.
var shownItem = regexp.MustCompile(`^(.*?)\[([^\]]+)\](.*)$`)

// indexed gives a field in which items are shown by names one in which they have their places in the list: as
// the positions in a file are asked for.
func indexed(object map[string]any, field string) string {
	parts := shownItem.FindStringSubmatch(field)
	if parts == nil {
		return field
	}
	at := any(object)
	for name := range strings.SplitSeq(parts[1], ".") {
		fields, _ := at.(map[string]any)
		at = fields[name]
	}
	list, _ := at.([]any)
	for i, item := range list {
		fields, _ := item.(map[string]any)
		first, _, _ := strings.Cut(parts[2], ":")
		for _, value := range fields {
			if fmt.Sprint(value) != parts[2] && fmt.Sprint(value) != first {
				continue
			}
			below := indexed(fields, strings.TrimPrefix(parts[3], "."))
			if strings.HasPrefix(parts[3], ".") {
				below = "." + below
			}
			return fmt.Sprintf("%s[%d]%s", parts[1], i, below)
		}
	}
	return parts[1]
}

// revisionText names a commit for a person.
func revisionText(r git.Revision) string {
	subject, _, _ := strings.Cut(r.Message, "\n")
	return fmt.Sprintf("%s on %s (%s %s)",
		r.Author, r.When.UTC().Format("2006-01-02"), facts.ShortCommit(r.Commit), subject)
}

// describeEdit tells of an edit in Git that the file does not have.
func (p *specPlan) describeEdit(e clusterspec.MergeEdit) string {
	value := func(v string) string {
		if v == "" {
			return "(none)"
		}
		return v
	}
	what := e.Object
	if e.Field != "" {
		what += ": " + e.Field
	}
	switch {
	case e.Field == "" && e.New == "":
		return what + ": removed"
	case e.Field == "":
		return what + ": added"
	}
	return fmt.Sprintf("%s: %s → %s", what, value(e.Old), value(e.New))
}
