package lint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// RepositoryReport is what [CheckRepository] found.
type RepositoryReport struct {
	// Problems are sorted by file, line and column. With a base they hold what its changes mean, too, as
	// notices, warnings and errors with a rule that begins with "change-" or says what happens to a cluster
	// or to Flux.
	Problems []clusterspec.Problem
	// Fleets are sorted by path.
	Fleets []Fleet
	// Changes are all changes of EKS Anywhere's and Flux's objects from the base, by fleet and in it by
	// cluster, object and field.
	Changes []Change
	// Files are those that were checked, sorted; Sources their contents by name.
	Files   []string
	Sources map[string][]byte
}

// Fleet is a management cluster with its workload clusters: what one Flux applies.
type Fleet struct {
	Path string `json:"path"` // relative to the root of the repository
	// ManagementCluster is the cluster's name; none when its directory is not in the repository.
	ManagementCluster string         `json:"managementCluster,omitempty"`
	Clusters          []FleetCluster `json:"clusters"` // the management cluster first, then by name
	// Broken says that Flux cannot build or apply the fleet as a whole, so that it applies nothing of it.
	Broken bool `json:"broken"`
}

// FleetCluster is one cluster of a fleet.
type FleetCluster struct {
	Name string           `json:"name"` // of the Cluster object
	Role clusterspec.Role `json:"role"` // whether it manages itself
	File string           `json:"file"` // the file that the Cluster object is in
}

// Change is a change of one object or field.
type Change struct {
	Fleet string `json:"fleet"` // the path of the fleet that it is in
	clusterspec.Change
	// Removed says that the file is one of the base that is not there any more.
	Removed bool `json:"removed,omitempty"`
}

// Options narrow a check.
type Options struct {
	// Within is a directory: fleets that have nothing in it are not read, and only problems and changes in it
	// are reported. Empty is the whole repository.
	Within string
}

// CheckRepository checks a GitOps repository: that everything is where EKS Anywhere and Flux look for it,
// that Flux can build what it applies, and every spec. The fleets are found by their files: Flux's own, and
// <cluster>/eksa-system/eksa-cluster.yaml.
//
// With a base, an earlier state of the same repository, it also says what each change between the two does. A
// nil base is none. A file that both states share is read and checked once.
//
// The error is that of a Content that could not be read; everything about the repository is in the report.
func CheckRepository(tree, base Tree, options Options) (*RepositoryReport, error) {
	within := cmp.Or(path.Clean(cmp.Or(options.Within, ".")), ".")
	after := foldersOf(tree)
	var before *folders
	roots := fleetRoots(after)
	if base != nil {
		before = foldersOf(base)
		for root := range fleetRoots(before) {
			// A fleet of the base may have lost the files that say where its root is.
			if !slices.ContainsFunc(sortedKeys(roots),
				func(known string) bool { return inside(root, known) && known != "." }) ||
				roots[root] {
				roots[root] = true
			}
		}
	}
	for root := range roots {
		if !inside(root, within) && !inside(within, root) {
			delete(roots, root)
		}
	}
	r := &repositoryCheck{components: map[string]*componentsFile{}}
	pairs := make([]*pair, 0, len(roots))
	for _, root := range sortedKeys(roots) {
		pairs = append(pairs, &pair{root: root, shared: r, after: newFleet(r, after, root), others: roots})
		if before != nil {
			pairs[len(pairs)-1].before = newFleet(r, before, root)
		}
	}
	each(pairs, (*pair).run)
	return r.collect(pairs, within)
}

// repositoryCheck is what the checks of all fleets share.
type repositoryCheck struct {
	mu         sync.Mutex
	components map[string]*componentsFile // what was found in Flux's components, by content
}

// pair is one fleet in both states.
type pair struct {
	root          string
	shared        *repositoryCheck
	others        map[string]bool // all fleets' roots
	before, after *fleet          // before is nil without a base
	changes       []Change
}

// each runs a function for all items, as many at a time as there are processors.
func each[T any](items []T, run func(T)) {
	var wg crash.Group
	slots := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))
	for _, item := range items {
		slots <- struct{}{}
		wg.Go(func() {
			run(item)
			<-slots
		})
	}
	wg.Wait()
}

// fleetRoots finds the directories that Flux applies: those that Flux's own directories are in, and for
// clusters that are below none of them the directory that the cluster's directory is in.
func fleetRoots(f *folders) map[string]bool {
	roots := map[string]bool{}
	for dir, names := range f.children {
		if slices.Contains(names, layout.SyncFile) || slices.Contains(names, layout.ComponentsFile) {
			roots[path.Dir(dir)] = true
		}
	}
	withFlux := sortedKeys(roots)
	for dir := range f.children {
		if path.Base(dir) != layout.ClusterSubdir || !isClusterDir(f, dir) {
			continue
		}
		root := path.Dir(path.Dir(dir))
		if !slices.ContainsFunc(withFlux, func(known string) bool { return inside(root, known) }) {
			roots[root] = true
		}
	}
	return roots
}

// isClusterDir says whether an eksa-system directory is one of a cluster: it has the spec, or the
// kustomization that a removed spec leaves behind.
func isClusterDir(f *folders, dir string) bool {
	names := f.children[dir]
	return slices.Contains(names, layout.SpecFile) ||
		slices.Contains(names, layout.KustomizationFile) && path.Dir(dir) != "."
}

// fleet is one fleet in one state of the repository.
type fleet struct {
	shared   *repositoryCheck
	tree     *folders
	sparse   *sparse // nil when Flux fetches all of the repository
	ignore   ignored // what its Flux leaves out beside what every Flux does
	root     string
	contents map[string][]byte
	applied  *applied
	systems  []string // Flux's directories
	clusters []string // the eksa-system directories
	specs    []string // the files that hold objects of EKS Anywhere, sorted
	set      *clusterspec.Set
	// builtSet is the set that kustomize makes of the files; nil when it is set. asWritten are files that
	// were read by themselves.
	builtSet  *clusterspec.Set
	asWritten map[string]*clusterspec.Set
	// byFile are the clusters by the file that their Cluster is in.
	byFile             map[string][]*clusterspec.Cluster
	kustomizationFiles []string
	flux               *fluxState
	// files with objects or images of Flux's in versions that do not fit its components
	versioned []string

	mu       sync.Mutex
	problems []clusterspec.Problem
	failing  map[string]bool // files with errors
	unbuilt  map[string]bool // files that keep Flux from building the fleet
	// files that are not understood, so that nothing can be said about what is not in them
	unclear map[string]bool
	told    map[string]bool // paths that a problem says enough about
	broken  bool
	err     error
}

func newFleet(shared *repositoryCheck, tree *folders, root string) *fleet {
	f := &fleet{
		shared: shared, tree: tree, root: root, contents: map[string][]byte{}, told: map[string]bool{},
		byFile: map[string][]*clusterspec.Cluster{}, set: &clusterspec.Set{},
		asWritten: map[string]*clusterspec.Set{}, failing: map[string]bool{}, unclear: map[string]bool{},
		unbuilt: map[string]bool{},
	}
	f.fetchedOf(tree)
	return f
}

// there says whether the state holds anything of the fleet.
func (f *fleet) there() bool { return f.tree.isDir(f.root) }

// breaks is the consequence of most mistakes in what Flux builds.
func (f *fleet) breaks() string { return "Flux then applies nothing of " + f.shown() }

// shown is the fleet's path for people.
func (f *fleet) shown() string {
	if f.root == "." {
		return "the repository"
	}
	return f.root
}

// run checks a fleet, and compares it with its base.
func (p *pair) run() {
	p.after.read(nil)
	p.after.buildUnits(nil)
	if p.after.there() {
		var wg crash.Group
		wg.Go(p.after.checkFlux)
		wg.Go(p.after.checkNames)
		p.after.parse()
		wg.Wait()
		p.after.checkClusters()
		p.after.checkManagement()
		p.after.checkNested(p.others)
		p.after.checkVersions()
		p.after.checkPins()
		p.after.parseBuilt()
		p.after.checkUnits()
		p.after.checkReach()
	}
	if p.before != nil {
		p.before.read(p.after)
		p.before.buildUnits(p.after)
		p.compare()
	}
}

// read gets the contents and finds out what Flux applies. The contents that another state shares are taken
// from there.
func (f *fleet) read(other *fleet) {
	var names []string
	for _, name := range f.tree.below(f.root) {
		if f.tree.isFile(name) && (isYAML(name) || path.Base(name) == "Kustomization") {
			names = append(names, name)
		}
	}
	var known map[string][]byte
	if other != nil {
		known = other.contents
	}
	const batch = 64
	each(slices.Collect(slices.Chunk(names, batch)), func(names []string) {
		contents := make(map[string][]byte, len(names))
		var failure error
		for _, name := range names {
			content, err := contentOf(f.tree.tree[name], known, name)
			if err != nil {
				failure = cmp.Or(failure, fmt.Errorf("reading %s: %w", name, err))
				continue
			}
			contents[name] = content
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for name, content := range contents {
			f.contents[name] = content
		}
		if f.err == nil {
			f.err = failure
		}
	})
	systems, clusters := map[string]bool{}, map[string]bool{}
	for _, name := range names {
		dir := path.Dir(name)
		switch base := path.Base(name); {
		case (base == layout.SyncFile || base == layout.ComponentsFile) && path.Dir(dir) == f.root:
			systems[dir] = true
		case path.Base(dir) == layout.ClusterSubdir && isClusterDir(f.tree, dir):
			clusters[dir] = true
		}
	}
	f.systems, f.clusters = sortedKeys(systems), sortedKeys(clusters)
	f.applied = newApplied(f)
	f.findSpecs()
}

func contentOf(node Node, known map[string][]byte, name string) ([]byte, error) {
	if content, ok := known[name]; ok && node.Content.Holds(content) {
		return content, nil
	}
	return node.Content.Read()
}

// content gives a file's content; false when it could not be read.
func (f *fleet) content(name string) ([]byte, bool) {
	if content, ok := f.contents[name]; ok {
		return content, true
	}
	content, err := f.tree.tree[name].Content.Read()
	if err != nil {
		f.err = cmp.Or(f.err, fmt.Errorf("reading %s: %w", name, err))
		return nil, false
	}
	f.contents[name] = content
	return content, true
}

// findSpecs lists the files that hold objects of EKS Anywhere and that Flux applies, and the clusters' own
// whether it does or not.
func (f *fleet) findSpecs() {
	specs := map[string]bool{}
	for _, dir := range f.clusters {
		if spec := path.Join(dir, layout.SpecFile); f.tree.isFile(spec) {
			specs[spec] = true
		}
	}
	for name := range f.applied.files {
		if specs[name] || slices.Contains(f.systems, path.Dir(name)) {
			continue
		}
		if content, ok := f.content(name); ok && bytes.Contains(content, []byte(clusterspec.APIVersion)) {
			specs[name] = true
		}
	}
	f.specs = sortedKeys(specs)
}

// isSpec says whether a file holds objects of EKS Anywhere.
func (f *fleet) isSpec(name string) bool {
	_, found := slices.BinarySearch(f.specs, name)
	return found
}

// parse reads all specs of the fleet together.
func (f *fleet) parse() {
	if len(f.specs) == 0 {
		return
	}
	sources := make([]clusterspec.Source, 0, len(f.specs))
	conflicts := map[string]bool{}
	for _, name := range f.specs {
		content, ok := f.content(name)
		if !ok {
			continue
		}
		if line := conflictMarker(content); line > 0 {
			conflicts[name] = true
			f.report(clusterspec.Problem{
				Severity: clusterspec.SeverityError, Rule: "conflict-marker", File: name, Line: line,
				Column: 1, Message: "the file contains the marks of a merge that was not finished",
			})
		}
		sources = append(sources, clusterspec.Source{Name: name, Data: content})
	}
	// Of two files with the same cluster the one in the cluster's own directory is the original.
	slices.SortStableFunc(sources,
		func(a, b clusterspec.Source) int { return cmp.Compare(foreignName(a), foreignName(b)) })
	set, err := clusterspec.ParseApplied(sources)
	f.set = set
	var problems clusterspec.Problems
	errors.As(err, &problems)
	copies := map[string]bool{} // files with a cluster that is in another file already
	for _, p := range problems {
		copies[p.File] = copies[p.File] ||
			p.Rule == "duplicate-object" && strings.HasPrefix(p.Object, "Cluster ")
	}
	for _, p := range slices.Concat(problems, set.Warnings) {
		switch {
		case conflicts[p.File] && p.Rule == "not-yaml":
			continue
		case copies[p.File] && p.Rule == "duplicate-object":
			if !strings.HasPrefix(p.Object, "Cluster ") {
				continue
			}
			p.Message = strings.Replace(p.Message, "the object is already", "the cluster is already", 1)
			p.Found, p.Expected = "", "another name here and for all objects of the file, or the file removed"
		}
		if p, keep := inRepository(p); keep {
			f.report(p)
		}
	}
	for _, c := range set.Clusters {
		f.byFile[c.Objects[0].File] = append(f.byFile[c.Objects[0].File], c)
	}
}

// foreignName is 1 for a file that does not name the cluster whose directory it is in, else 0.
func foreignName(s clusterspec.Source) int {
	if bytes.Contains(s.Data, []byte("name: "+path.Base(path.Dir(path.Dir(s.Name)))+"\n")) {
		return 0
	}
	return 1
}

// collect puts the fleets' findings together.
func (r *repositoryCheck) collect(pairs []*pair, within string) (*RepositoryReport, error) {
	out := &RepositoryReport{Fleets: []Fleet{}, Changes: []Change{}, Sources: map[string][]byte{}}
	files := map[string]bool{}
	found := false
	tellMoves(pairs)
	for _, p := range pairs {
		for _, f := range []*fleet{p.after, p.before} {
			if f != nil && f.err != nil {
				return nil, f.err
			}
		}
		f := p.after
		found = found || f.there() || p.before != nil && p.before.there()
		for _, problem := range f.problems {
			if inside(problem.File, within) {
				out.Problems = append(out.Problems, problem)
			}
		}
		// The management cluster comes first, as everywhere.
		slices.SortStableFunc(p.changes, func(a, b Change) int {
			return cmp.Compare(roleOrder(a.Role), roleOrder(b.Role))
		})
		for _, change := range p.changes {
			if inside(change.File, within) {
				out.Changes = append(out.Changes, change)
			}
		}
		for _, name := range slices.Concat(f.specs, f.kustomizationFiles, f.fluxFiles(), f.applied.loose,
			f.versioned) {
			if inside(name, within) {
				files[name] = true
				out.Sources[name] = f.contents[name]
			}
		}
		if f.there() {
			out.Fleets = append(out.Fleets, f.summary(within))
		}
	}
	if !found {
		out.Problems = append(out.Problems, clusterspec.Problem{
			Severity: clusterspec.SeverityError, Rule: "no-clusters", Message: "there is no cluster in " +
				map[bool]string{true: "the repository", false: within}[within == "."],
			Expected: "<path>/<cluster>/" + path.Join(layout.ClusterSubdir, layout.SpecFile),
		})
	}
	out.Files = sortedKeys(files)
	slices.SortStableFunc(out.Problems, func(a, b clusterspec.Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Object, b.Object), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Message, b.Message),
		)
	})
	out.Problems = slices.Compact(out.Problems)
	return out, nil
}

func roleOrder(role clusterspec.Role) int {
	return slices.Index([]clusterspec.Role{clusterspec.RoleManagement, clusterspec.RoleWorkload, ""}, role)
}

func (f *fleet) summary(within string) Fleet {
	out := Fleet{Path: f.root, Clusters: []FleetCluster{}, Broken: f.broken}
	for _, c := range f.set.Clusters {
		if c.Role() == clusterspec.RoleManagement && out.ManagementCluster == "" {
			out.ManagementCluster = c.Name
		}
		if file := c.Objects[0].File; inside(file, within) {
			out.Clusters = append(out.Clusters, FleetCluster{Name: c.Name, Role: c.Role(), File: file})
		}
	}
	return out
}
