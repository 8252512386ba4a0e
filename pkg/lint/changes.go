package lint

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// compare says what the changes from the base do.
func (p *pair) compare() {
	changed := p.changedFiles()
	switch {
	case !p.before.there():
		// A fleet that is new: its management cluster comes under GitOps, and is not created by it.
	case !p.after.there():
		p.fleetRemoved()
		return
	}
	if len(changed) > 0 {
		before, after := p.changedSets(changed)
		p.compareSets(before, after)
	}
	p.compareFlux()
	p.compareFluxObjects()
}

// unclear says whether nothing can be said about what became of a file's objects: it is not understood, or a
// kustomization on the way to it is not, or lists it although it is gone.
func (p *pair) unclear(name string) bool {
	f := p.after
	if u := f.applied.unitOf[name]; f.unclear[name] || f.told[name] || u != nil && u.err != nil {
		return true
	}
	for dir := path.Dir(name); inside(dir, p.root); dir = path.Dir(dir) {
		for _, file := range kustomize.FileNames {
			if _, reached := f.applied.files[name]; !reached && f.unbuilt[path.Join(dir, file)] {
				return true
			}
		}
		if dir == "." {
			break
		}
	}
	return false
}

// changedFiles are the files with objects of EKS Anywhere that are not the same in both states, or that Flux
// applies in only one.
func (p *pair) changedFiles() map[string]bool {
	changed := map[string]bool{}
	for _, name := range slices.Concat(p.before.specs, p.after.specs) {
		_, was := p.before.applied.files[name]
		_, is := p.after.applied.files[name]
		old, current := p.before.effective(name), p.after.effective(name)
		if (was != is || string(old) != string(current) || p.before.isSpec(name) != p.after.isSpec(name)) &&
			!p.unclear(name) {
			changed[name] = true
		}
	}
	return changed
}

// changedSets gives the clusters that changed files have a part in, before and after. Of the base only those
// are read.
func (p *pair) changedSets(changed map[string]bool) (before, after *clusterspec.Set) {
	after = restrict(p.after.appliedSet(), changed)
	needed := maps.Clone(changed)
	for _, c := range after.Clusters {
		for _, o := range c.Objects {
			needed[o.File] = true
		}
	}
	var sources []clusterspec.Source
	for _, name := range sortedKeys(needed) {
		if _, was := p.before.applied.files[name]; was && p.before.isSpec(name) {
			sources = append(sources, clusterspec.Source{Name: name, Data: p.before.effective(name)})
		}
	}
	if len(sources) == 0 {
		return &clusterspec.Set{}, after
	}
	set, _ := clusterspec.Parse(sources) // what was wrong in the base is not the concern of a change
	before = restrict(set, changed)
	// Of a cluster that has a part in the changed files in one state only, both states count.
	names := map[string]bool{}
	for _, c := range slices.Concat(before.Clusters, after.Clusters) {
		names[c.Name] = true
	}
	before.Clusters, after.Clusters = named(set.Clusters, names), named(p.after.appliedSet().Clusters, names)
	return before, after
}

func named(clusters []*clusterspec.Cluster, names map[string]bool) []*clusterspec.Cluster {
	var out []*clusterspec.Cluster
	for _, c := range clusters {
		if names[c.Name] {
			out = append(out, c)
		}
	}
	return out
}

// appliedSet is the set without what Flux does not apply.
func (f *fleet) appliedSet() *clusterspec.Set {
	if f.builtSet != nil {
		return f.builtSet
	}
	out := &clusterspec.Set{}
	for _, c := range f.set.Clusters {
		if _, ok := f.applied.files[c.Objects[0].File]; ok {
			out.Clusters = append(out.Clusters, c)
		}
	}
	for _, o := range f.set.Unused {
		if _, ok := f.applied.files[o.File]; ok {
			out.Unused = append(out.Unused, o)
		}
	}
	return out
}

// restrict keeps the clusters and objects that have something in the given files.
func restrict(set *clusterspec.Set, files map[string]bool) *clusterspec.Set {
	out := &clusterspec.Set{}
	for _, c := range set.Clusters {
		if slices.ContainsFunc(c.Objects, func(o *clusterspec.Object) bool { return files[o.File] }) {
			out.Clusters = append(out.Clusters, c)
		}
	}
	for _, o := range set.Unused {
		if files[o.File] {
			out.Unused = append(out.Unused, o)
		}
	}
	return out
}

func (p *pair) compareSets(before, after *clusterspec.Set) {
	names := func(set *clusterspec.Set) map[string]*clusterspec.Cluster {
		out := map[string]*clusterspec.Cluster{}
		for _, c := range set.Clusters {
			out[c.Name] = c
		}
		return out
	}
	old, current := names(before), names(after)
	// Without another management cluster there is none that a new one could be created beside: it is there,
	// and comes under GitOps.
	isManagement := func(c *clusterspec.Cluster) bool { return c.Role() == clusterspec.RoleManagement }
	adopted := !slices.ContainsFunc(before.Clusters, isManagement)
	for _, c := range p.after.set.Clusters {
		adopted = adopted && (!isManagement(c) || c == p.after.management())
	}
	refused, refusedFields := p.refused()
	renamed := p.renames(old, current)
	for _, change := range clusterspec.CompareSets(before, after) {
		if !p.changedHere(change) {
			continue
		}
		p.place(&change, after)
		hideSecrets(&change)
		removed := change.File != "" && !p.after.tree.isFile(change.File)
		isCluster := change.Field == "" && change.Object == "Cluster "+change.Cluster
		switch {
		case isCluster && old[change.Cluster] == nil && change.Role == clusterspec.RoleManagement && adopted:
			change.Verdict, change.Message, change.Documented = clusterspec.VerdictApplied,
				"the cluster comes under GitOps", true
		case isCluster && current[change.Cluster] == nil && change.Role == clusterspec.RoleManagement:
			change.Message = p.managementDeleted()
		case isCluster && renamed[change.Cluster] != "" && change.Verdict == clusterspec.VerdictApplied:
			change.Verdict, change.Documented, change.Message = clusterspec.VerdictReplaced, false,
				renamed[change.Cluster]
		case change.Field != "" && !removed:
			problem, ok := refused[position{change.File, change.Line, change.Column}]
			if !ok {
				problem, ok = refusedFields[change.File+" "+change.Object+" "+change.Field]
			}
			if ok && change.Verdict != clusterspec.VerdictReplaced &&
				(change.Verdict != clusterspec.VerdictRejected || problem.Rule == "unquoted-version") {
				change.Verdict, change.Message = clusterspec.VerdictRejected, problem.Message
			}
		}
		p.changes = append(p.changes, Change{Fleet: p.root, Change: change,
			Removed: removed || current[change.Cluster] == nil && old[change.Cluster] != nil})
	}
	whole := map[string]bool{}
	for _, name := range sortedKeys(old) {
		if current[name] == nil {
			whole[name] = true
			p.clusterDeleted(old[name], old, current)
		}
	}
	for _, name := range sortedKeys(current) {
		if old[name] == nil {
			whole[name] = true
			p.clusterCreated(current[name], old, current, adopted)
		}
	}
	for _, change := range p.changes {
		_, told := refused[position{change.File, change.Line, change.Column}]
		_, toldOfField := refusedFields[change.File+" "+change.Object+" "+change.Field]
		told = told || toldOfField
		if !whole[change.Cluster] && (!told || change.Verdict != clusterspec.VerdictRejected) {
			p.tell(change)
		}
	}
}

// hideSecrets takes secrets out of the values of a change, which clusterspec has done with what it knows.
func hideSecrets(change *clusterspec.Change) {
	key := change.Field[strings.LastIndexByte(change.Field, '.')+1:] + ": "
	for _, value := range []*string{&change.Old, &change.New} {
		if *value != "" {
			*value = strings.TrimPrefix(redact.Source(key+*value), key)
		}
	}
}

// position is where a problem or a change is.
type position struct {
	file         string
	line, column int
}

// refused are the errors that values have already, by their position and by file, object and field.
func (p *pair) refused() (map[position]clusterspec.Problem, map[string]clusterspec.Problem) {
	at, of := map[position]clusterspec.Problem{}, map[string]clusterspec.Problem{}
	for _, problem := range p.after.problems {
		if problem.Severity == clusterspec.SeverityError && problem.Line > 0 && problem.Field != "" {
			at[position{problem.File, problem.Line, problem.Column}] = problem
			of[problem.File+" "+problem.Object+" "+problem.Field] = problem
		}
	}
	return at, of
}

// changedHere leaves out what only seems to have changed because a file is not understood.
func (p *pair) changedHere(change clusterspec.Change) bool { return !p.unclear(change.File) }

// tell makes a problem of a change.
func (p *pair) tell(change Change) {
	problem := clusterspec.Problem{
		File: change.File, Line: change.Line, Column: change.Column, Object: change.Object,
		Field: change.Field, Severity: clusterspec.SeverityNotice, Rule: "change-applied",
		Message: describe(change),
	}
	switch change.Verdict {
	case clusterspec.VerdictRejected:
		problem.Severity, problem.Rule = clusterspec.SeverityError, "change-rejected"
	case clusterspec.VerdictReplaced:
		problem.Severity, problem.Rule = clusterspec.SeverityError, "change-replaces"
		if change.Object == "Cluster "+change.Cluster {
			problem.Rule, problem.Expected = "cluster-replaced", replaceDeliberately
		}
	case clusterspec.VerdictIgnored:
		problem.Severity, problem.Rule = clusterspec.SeverityWarning, "change-ignored"
	}
	p.after.report(problem)
}

// describe says a change and what becomes of it in a sentence.
func describe(change Change) string {
	what := ""
	switch {
	case change.Field == "":
		return cmp.Or(change.Message, "the object is changed")
	case change.Old == "":
		what = "set to " + short(change.New)
	case change.New == "":
		what = short(change.Old) + " removed"
	default:
		what = short(change.Old) + " → " + short(change.New)
	}
	role := ""
	if change.Role != "" {
		role = " on this " + string(change.Role) + " cluster"
	}
	verdict := "applied by GitOps" + role
	switch change.Verdict {
	case clusterspec.VerdictRejected:
		verdict = "rejected as immutable" + role
		if change.Message != "" && !strings.Contains(change.Message, "immutable") {
			verdict = "rejected" + role
		}
	case clusterspec.VerdictReplaced:
		verdict = "replaced" + role
	case clusterspec.VerdictIgnored:
		verdict = "ignored" + role
	}
	if change.Message != "" {
		verdict += ": " + change.Message
	}
	return what + "; " + verdict
}

// short shows a value, shortened in its middle.
func short(value string) string {
	runes := []rune(strings.Join(strings.Fields(value), " "))
	const most = 60
	if len(runes) > most {
		return string(runes[:most/2]) + "…" + string(runes[len(runes)-most/2:])
	}
	return string(runes)
}

// clusterDeleted tells that a cluster is no longer among what Flux applies.
func (p *pair) clusterDeleted(c *clusterspec.Cluster, old, current map[string]*clusterspec.Cluster) {
	o := c.Objects[0]
	problem := clusterspec.Problem{Severity: clusterspec.SeverityNotice, Rule: "cluster-deleted",
		File: o.File, Object: o.Label()}
	if other := renamedTo(c, old, current); other != nil {
		problem.Severity, problem.Rule, problem.Expected = clusterspec.SeverityError, "cluster-renamed",
			replaceDeliberately
		problem.File, problem.Object = other.Objects[0].File, other.Objects[0].Label()
		problem.Line, problem.Column = p.after.position(other.Objects[0], "metadata.name")
		problem.Message = fmt.Sprintf("a cluster cannot be renamed: this deletes cluster %s with all its "+
			"machines, and creates %s", c.Name, other.Name)
		if c.Role() == clusterspec.RoleManagement {
			problem.Message = fmt.Sprintf("a management cluster cannot be renamed: EKS Anywhere refuses to "+
				"delete %s and to create %s", c.Name, other.Name)
			problem.Expected = ""
		}
		p.after.report(problem)
		return
	}
	if p.otherObject(c) {
		problem.Severity, problem.Rule, problem.Expected = clusterspec.SeverityError, "cluster-replaced",
			replaceDeliberately
		problem.Message = "the object at its place has another kind or group of apiVersion, so that the " +
			"cluster is deleted with all its machines"
		p.after.report(problem)
		return
	}
	problem.Message = "the cluster is deleted with all its machines"
	if _, applied := p.after.applied.files[o.File]; !applied && p.after.tree.isFile(o.File) {
		problem.Message += ": its file is still there, but Flux does not apply it any more"
	}
	if c.Role() == clusterspec.RoleManagement {
		problem.Severity, problem.Rule, problem.Message = clusterspec.SeverityError, "management-deleted",
			p.managementDeleted()
		p.after.problems = slices.DeleteFunc(p.after.problems, func(other clusterspec.Problem) bool {
			return other.Rule == "no-management-cluster"
		})
	}
	p.after.report(problem)
}

// tellMoves finds clusters that went from one fleet to another.
func tellMoves(pairs []*pair) {
	created := map[string]*pair{}
	for _, p := range pairs {
		for _, problem := range p.after.problems {
			if problem.Rule == "cluster-created" {
				created[problem.Object] = p
			}
		}
	}
	for _, p := range pairs {
		for i, problem := range p.after.problems {
			to := created[problem.Object]
			if problem.Rule != "cluster-deleted" || to == nil || to == p {
				continue
			}
			problem.Severity, problem.Rule, problem.Expected = clusterspec.SeverityError, "cluster-moved",
				replaceDeliberately
			problem.Message = fmt.Sprintf("moving the cluster from %s to %s deletes it with all its "+
				"machines and creates it again", p.root, to.root)
			p.after.problems[i] = problem
		}
	}
}

// managementDeleted says what happens when the management cluster goes.
func (p *pair) managementDeleted() string {
	message := "deleting a management cluster's own Cluster is refused"
	var workloads []string
	for _, c := range p.after.set.Clusters {
		if c.Role() == clusterspec.RoleWorkload {
			workloads = append(workloads, c.Name)
		}
	}
	if len(workloads) > 0 {
		message += ", and it manages " + someOf(workloads)
	}
	return message
}

func someOf(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// sameCluster says whether two clusters of different names are probably meant to be one: they are in the same
// file, or have the same address.
func sameCluster(a, b *clusterspec.Cluster) bool {
	host := func(c *clusterspec.Cluster) string {
		spec, _ := c.Objects[0].Decoded()["spec"].(map[string]any)
		controlPlane, _ := spec["controlPlaneConfiguration"].(map[string]any)
		endpoint, _ := controlPlane["endpoint"].(map[string]any)
		host, _ := endpoint["host"].(string)
		return host
	}
	return a.Objects[0].File == b.Objects[0].File || host(a) != "" && host(a) == host(b)
}

func (p *pair) clusterCreated(c *clusterspec.Cluster, old, current map[string]*clusterspec.Cluster,
	adopted bool) {
	o := c.Objects[0]
	for _, other := range old {
		if current[other.Name] == nil && sameCluster(other, c) {
			return // told as renamed
		}
	}
	problem := clusterspec.Problem{Severity: clusterspec.SeverityNotice, Rule: "cluster-created",
		File: o.File, Object: o.Label(), Message: "the cluster is created with all its machines"}
	problem.Line, problem.Column = p.after.position(o, "metadata.name")
	if c.Role() == clusterspec.RoleManagement {
		problem.Message = "the management cluster comes under GitOps"
		if !adopted {
			if slices.ContainsFunc(p.after.problems, func(other clusterspec.Problem) bool {
				return other.Rule == "two-management-clusters" && other.Object == problem.Object
			}) {
				return
			}
			problem.Severity, problem.Rule = clusterspec.SeverityError, "change-rejected"
			problem.Message =
				"creating a self-managed cluster on existing management cluster is not supported"
			problem.Expected =
				"spec.managementCluster.name, or a path of its own for a second management cluster"
		}
	}
	p.after.report(problem)
}

// fleetRemoved is for a fleet whose directory is gone.
func (p *pair) fleetRemoved() {
	before := p.before
	before.parse()
	for _, c := range before.set.Clusters {
		o := c.Objects[0]
		line, column := o.Position("")
		p.changes = append(p.changes, Change{Fleet: p.root, Removed: true, Change: clusterspec.Change{
			Cluster: c.Name, Role: c.Role(), Object: o.Label(), Verdict: clusterspec.VerdictIgnored,
			File: o.File, Line: line, Column: column,
			Message: "the whole path is gone: Flux finds nothing to apply, and deletes nothing",
		}})
	}
	file := path.Join(p.root, "")
	if len(before.systems) > 0 {
		file = path.Join(before.systems[0], firstOf(before.tree, before.systems[0]))
	} else if len(before.specs) > 0 {
		file = before.specs[0]
	}
	detach := hint.Delete.Hint()
	p.after.report(clusterspec.Problem{
		Severity: clusterspec.SeverityWarning, Rule: "fleet-removed", File: file,
		Message: p.root + " is gone as a whole: a Flux that still follows it fails from then " +
			"on and deletes nothing, and the clusters stay as they are",
		Expected: detach.String() + ", to delete the clusters", Help: detach,
	})
}
