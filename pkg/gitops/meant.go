package gitops

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// All stands for everything in the lists of [Meant].
const All = "all"

// Meant are consequences that a person has said are meant. Without a word, a run does not have Flux build a
// cluster that it is not about, nor delete anything but what it is about.
type Meant struct {
	// Build names clusters that are in Git and not alive, and that may be built when Flux starts to apply
	// what is in Git, or by a provisioner although there are signs that they were built already; All is any.
	Build []string
	// Prune names objects, as "Kind namespace/name" or "Kind/namespace/name", that Flux may delete because
	// they are not in Git any more; All is any. A Cluster is never among them: that is what [Delete] is for.
	Prune []string
	// RestoreMissing writes the files of live clusters back into Git that Flux has applied and that are not
	// there any more.
	RestoreMissing bool
}

func (m *Meant) builds(name string) bool {
	return slices.Contains(m.Build, All) || slices.Contains(m.Build, name)
}

func (m *Meant) prunes(object string) bool {
	return slices.Contains(m.Prune, All) || slices.ContainsFunc(m.Prune, func(p string) bool {
		return p == object || strings.Replace(p, "/", " ", 1) == object
	})
}

// foresight is what a forecast has to know of the run.
func (r *run) foresight() files.Foresight {
	of := files.Foresight{Facts: r.seen, KeepsFlux: r.keepsFlux, Adopting: r.adopting, Asked: r.asks,
		Named: r.isNamed}
	if r.open.cluster != nil {
		of.Observer = r.open.cluster
	}
	return of
}

// foresee works out what Flux does once it applies a plan on top of a snapshot, and marks what was asked for.
func (r *run) foresee(ctx context.Context, snapshot Snapshot, plan *files.Plan) ([]files.Foreseen, error) {
	f, err := files.NewForecast(ctx, r.foresight(), snapshot, plan)
	if err != nil {
		return nil, fmt.Errorf("working out what Flux makes of %s: %w", layout.RootDir(r.seen.Config()), err)
	}
	for _, unseen := range f.Unseen {
		r.steps.Note(step.LevelInfo, "what Flux makes of the whole path cannot be told: "+unseen.Error())
	}
	all, err := f.Consequences()
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Asked = all[i].Asked || r.asks(&all[i], plan)
	}
	return all, nil
}

// asks says whether the run was told to do something.
func (r *run) asks(c *files.Foreseen, plan *files.Plan) bool {
	isCluster := c.IsCluster()
	switch {
	case c.Change == facts.ConsequenceCreate:
		return !r.removes && r.isNamed(c.Name) || r.meant.builds(c.Name.Name)
	case c.Change != facts.ConsequenceDelete:
		return true
	case isCluster:
		return r.removes && r.isNamed(c.Name)
	case c.Name.Group == files.KustomizeGroup || c.Name.Group == files.SourceGroup:
		if c.Name.Namespace == r.seen.Config().SystemNamespace &&
			c.Name.Name == r.seen.Config().SystemNamespace {
			return false
		}
	}
	// A deletion shows the files that it takes out, and asks about them.
	return r.removes && plan.ChangesFile(c.File) || r.inNamedDir(c.File) || r.meant.prunes(c.Object)
}

// isNamed says whether a Cluster object is one that the run is about.
func (r *run) isNamed(name fluxbuild.Name) bool {
	return slices.ContainsFunc(r.result.Clusters, func(c ClusterResult) bool {
		return c.Name == name.Name && (c.Namespace == name.Namespace || c.Namespace == "" ||
			c.Namespace == "default" && name.Namespace == "")
	})
}

// inNamedDir says whether a file is in the directory of a cluster that the run is about.
func (r *run) inNamedDir(file string) bool {
	return file != "" && slices.ContainsFunc(r.result.Clusters, func(c ClusterResult) bool {
		return strings.HasPrefix(file, layout.PathsIn(r.seen.Config(), c.Name).Cluster+"/")
	})
}

// checkConsequences makes sure that Flux does nothing that nobody asked for when it applies what the run is
// going to leave in Git.
func (r *run) checkConsequences(ctx context.Context, found *findings) {
	if len(found.list) > 0 || len(found.soft) > 0 || r.planned == nil {
		return
	}
	if err := r.guard(ctx, r.snapshot, r.planned); err != nil && !found.addAll(err) {
		classifyFetch(err, found)
	}
}

// guard is checkConsequences for any plan on a snapshot. What nobody has asked for is a *facts.FoundError.
func (r *run) guard(ctx context.Context, snapshot Snapshot, plan *files.Plan) error {
	switch {
	case r.unguarded:
		return nil
	case r.seen.Cluster() == nil:
		return r.guardBuilt(ctx, snapshot, plan)
	}
	all, err := r.foresee(ctx, snapshot, plan)
	if err != nil {
		return err
	}
	r.result.Consequences = files.Told(all)
	return facts.Found(r.unasked(ctx, snapshot, all)...)
}

// guardBuilt is guard for a deletion that does not look at the cluster: the clusters that leave Git are those
// that were named. A kustomization may make another one of a cluster's file.
func (r *run) guardBuilt(ctx context.Context, snapshot Snapshot, plan *files.Plan) error {
	going, err := files.ClustersLeaving(ctx, r.seen, snapshot, plan)
	if err != nil {
		return fmt.Errorf("working out what leaves %s: %w", layout.RootDir(r.seen.Config()), err)
	}
	var refused []facts.Finding
	for _, c := range going {
		if r.isNamed(c.Name) {
			continue
		}
		refused = append(refused, facts.AreaSpec.Finding(fmt.Sprintf(
			"Flux would delete %s with all its machines: that is what Flux builds from %s", c.Object, c.File),
			text.Command("see what makes another cluster of it: git grep -nE "+
				"'namePrefix|nameSuffix|namespace|patches' -- %s; correct that, or, if this cluster "+
				"is meant, take its files out by hand: git rm -r %s",
				layout.RootDir(r.seen.Config()), r.placeOf(&c))))
	}
	return facts.Found(refused...)
}

// unasked words what nobody has asked for.
func (r *run) unasked(ctx context.Context, snapshot Snapshot, all []files.Foreseen) []facts.Finding {
	var built, clusters, flux, objects []*files.Foreseen
	for i := range all {
		c := &all[i]
		switch {
		case c.Asked:
		case c.Change == facts.ConsequenceCreate:
			built = append(built, c)
		case c.IsCluster():
			clusters = append(clusters, c)
		case c.Name.Namespace == r.seen.Config().SystemNamespace &&
			slices.Contains([]string{files.KustomizeGroup, files.SourceGroup, "apps"}, c.Name.Group):
			flux = append(flux, c)
		default:
			objects = append(objects, c)
		}
	}
	var found []facts.Finding
	for _, c := range clusters {
		// What belongs to a cluster goes with it, and is not told again.
		objects = slices.DeleteFunc(objects, func(o *files.Foreseen) bool { return o.Owner == c.Name })
		successor := r.successorOf(c, all)
		built = slices.DeleteFunc(built, func(b *files.Foreseen) bool { return b == successor })
		found = append(found, r.clusterGoes(ctx, snapshot, c, successor))
	}
	if len(flux) > 0 {
		found = append(found, facts.AreaCluster.Finding(
			fmt.Sprintf("Flux would delete itself: %s, which it has applied, would not be in what it finds "+
				"in %s", facts.ObjectList(namesOfObjects(flux)), layout.RootDir(r.seen.Config())),
			text.Command("bring its files back first: eksa-gitops create cluster -f with the file of %s",
				r.seen.ManagementCluster())))
	}
	if len(objects) > 0 {
		found = append(found, facts.AreaCluster.Finding(fmt.Sprintf(
			"Flux would delete %s, which it has applied and would not find any more in %s of branch %s",
			facts.ObjectList(namesOfObjects(objects)), layout.RootDir(r.seen.Config()),
			r.seen.Config().Branch),
			"bring their files back, or say that they may go: "+r.pruneFlag(objects)))
	}
	if len(built) > 0 {
		found = append(found, r.wouldBuild(built))
	}
	return found
}

// pruneFlag is the option that lets objects go.
func (r *run) pruneFlag(objects []*files.Foreseen) string {
	const few = 3
	if len(objects) > few {
		return "--prune " + All
	}
	var names []string
	for _, c := range objects {
		names = append(names, strings.Replace(c.Object, " ", "/", 1))
	}
	return text.Command("--prune %s", strings.Join(names, ","))
}

func namesOfObjects(list []*files.Foreseen) []string {
	names := make([]string, 0, len(list))
	for _, c := range list {
		names = append(names, c.Object)
	}
	return names
}

// successorOf is the Cluster that would be built from the file of one that goes: the same under another name.
// Nil without one.
func (r *run) successorOf(c *files.Foreseen, all []files.Foreseen) *files.Foreseen {
	spec := layout.PathsIn(r.seen.Config(), c.Name.Name).Spec
	for i := range all {
		other := &all[i]
		if other.Change == facts.ConsequenceCreate && other.IsCluster() && other.File != "" &&
			(other.File == c.File || other.File == spec) {
			return other
		}
	}
	return nil
}

// clusterGoes is the finding that Flux would delete a cluster.
func (r *run) clusterGoes(ctx context.Context, snapshot Snapshot, c,
	successor *files.Foreseen) facts.Finding {
	spec := layout.PathsIn(r.seen.Config(), c.Name.Name).Spec
	if successor != nil {
		return facts.AreaSpec.Finding(
			fmt.Sprintf("Flux would delete %s with all its machines and have %s built: a cluster's name "+
				"and namespace are what it is known by, and cannot be changed", c.Object, successor.Object),
			text.Command("leave them as they are; if another cluster is meant to take its place: "+
				"eksa-gitops delete cluster %s, then eksa-gitops create cluster", c.Name.Name))
	}
	message := fmt.Sprintf("Flux would delete %s with all its machines: it has applied it, and would not "+
		"find it any more in %s of branch %s", c.Object, layout.RootDir(r.seen.Config()),
		r.seen.Config().Branch)
	back := "bring its files back with --restore-missing, which makes them from the cluster"
	if commit := r.removedBy(ctx, snapshot, spec); commit != "" {
		message += "; commit " + facts.ShortCommit(commit) + " took its files out"
		back = text.Command("bring its files back with git revert %s, or with --restore-missing, which "+
			"makes them from the cluster", facts.ShortCommit(commit))
	}
	return facts.AreaCluster.Finding(message,
		back+text.Command("; if it is meant: eksa-gitops delete cluster %s", c.Name.Name))
}

// removedBy is the commit that took a file out of the branch; empty when that is not known.
func (r *run) removedBy(ctx context.Context, snapshot Snapshot, file string) (commit string) {
	if snapshot == nil || snapshot.Head() == "" {
		return ""
	}
	// What cannot be looked at leaves the message without its commit.
	_ = snapshot.EachRevision(ctx, file, func(revision git.Revision) bool {
		if revision.Deleted {
			commit = revision.Commit
		}
		return false
	})
	return commit
}

// wouldBuild is the finding that clusters would be built that nobody asked for.
func (r *run) wouldBuild(built []*files.Foreseen) facts.Finding {
	var names, removals []string
	for _, c := range built {
		names = append(names, c.Name.Name)
		removals = append(removals, r.placeOf(c))
	}
	message := fmt.Sprintf("EKS Anywhere would build %s: in Git, but not in management cluster %s",
		facts.ClusterList(names), r.seen.ManagementCluster())
	if r.seen.LooksRebuilt() {
		message += "; this looks like a rebuilt management cluster, and clusters of the former one that " +
			"still run would be built a second time, with the same addresses"
	}
	hint := text.Command("say that this is meant: --build %s", strings.Join(names, ","))
	const few = 3
	if len(names) > few {
		hint = "say that this is meant: --build " + All
	}
	if len(removals) <= few {
		hint += text.Command("; or take them out of Git: git rm -r %s", removals)
	}
	return facts.AreaCluster.Finding(message, hint)
}

// placeOf is what has to leave Git for a cluster to do so: its directory.
func (r *run) placeOf(c *files.Foreseen) string {
	root := layout.RootDir(r.seen.Config())
	below := strings.TrimPrefix(c.File, strings.TrimPrefix(root+"/", "./"))
	if first, _, deeper := strings.Cut(below, "/"); deeper && below != c.File || deeper && root == "." {
		return path.Join(root, first)
	}
	return cmp.Or(c.File, layout.PathsIn(r.seen.Config(), c.Name.Name).Cluster)
}
