package clusterspec

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

// APIVersion is the one version of EKS Anywhere's API.
const APIVersion = "anywhere.eks.amazonaws.com/v1alpha1"

const apiGroup = "anywhere.eks.amazonaws.com/"

// Parse reads and checks the sources together, as one run. The Set is never nil and holds what could be read.
// The error is nil or of type Problems: everything that is wrong, sorted by file, line and column, each
// mistake once. Warnings are in Set.Warnings in any case. Work and memory are bounded whatever the sources
// hold.
func Parse(sources []Source) (*Set, error) { return parse(sources, false) }

// ParseApplied is [Parse] for files in Git, which Flux applies again and again to clusters that are there:
// what only EKS Anywhere's command fills in when it creates a cluster, and what EKS Anywhere accepts once
// only, is an error.
func ParseApplied(sources []Source) (*Set, error) { return parse(sources, true) }

func parse(sources []Source, applied bool) (*Set, error) {
	p := &parser{set: &Set{}, sources: sources, objects: map[objectKey][]*report{},
		repeated: map[string]bool{}, applied: applied}
	p.read(sources)
	p.checkObjects()
	p.assemble()
	p.checkSet()
	return p.finish()
}

type objectKey struct{ kind, name string }

type parser struct {
	set      *Set
	sources  []Source
	problems Problems
	reports  []*report // one for each object, in the order of the files
	objects  map[objectKey][]*report
	// uncertain is set when a document could not be read, so that nothing can be said about objects that seem
	// to be missing.
	uncertain bool
	applied   bool                 // see ParseApplied
	repeated  map[string]bool      // kinds of which an object is there twice
	users     map[*Object]*Cluster // which cluster refers to an object
	names     map[string]*report   // clusters by name, including refused ones
}

func (p *parser) read(sources []Source) {
	var size int64
	for _, source := range sources {
		size += int64(len(source.Data))
	}
	if size > MaxTotalSize {
		p.problems = append(p.problems, tooLarge(sources[len(sources)-1].Name))
		p.uncertain = true
		return
	}
	limits := newLimits()
	for _, source := range sources {
		documents, problems := readDocuments(source, limits)
		for _, problem := range problems {
			if !slices.Contains([]string{"duplicate-key", "wrong-type", "separator", "empty-file"},
				problem.Rule) {
				p.uncertain = true
			}
		}
		p.problems = append(p.problems, problems...)
		for _, d := range documents {
			if r := p.classify(d); r != nil {
				p.add(r)
			} else {
				p.problems = append(p.problems, d.duplicateProblems()...)
			}
		}
	}
}

// classify makes an object of a document, or nil when it is not one of EKS Anywhere's spec kinds.
func (p *parser) classify(d *document) *report {
	apiVersion, kind := text(d.root, "apiVersion"), text(d.root, "kind")
	line, _ := d.position(d.root)
	o := &Object{
		APIVersion: apiVersion, Kind: kind, Name: text(d.root, "metadata", "name"),
		Namespace:      orDefault(text(d.root, "metadata", "namespace"), "default"),
		NamespaceGiven: text(d.root, "metadata", "namespace") != "", File: d.file, Line: line, document: d,
	}
	r := &report{object: o, applied: p.applied}
	_, ours := fields().kinds[kind]
	foreign := func() *report {
		w := r.add(SeverityWarning, "foreign-object", o.find("kind"), "",
			"not an object of EKS Anywhere's spec files; it is left out")
		w.Object = strings.TrimSpace(apiVersion + " " + o.Label())
		if kind == "List" {
			w.Message = "a List is left out; put its items into documents of their own"
		}
		p.problems = append(p.problems, r.problems...)
		return nil
	}
	switch {
	case kind == "":
		p.uncertain = true
		e := r.add(SeverityError, "required", o.find("kind"), "kind", "the document has no kind")
		e.Object, e.Expected = objectName(d.root), "Cluster, FluxConfig or another kind of EKS Anywhere"
		if d.ended > 0 {
			e.Message = fmt.Sprintf(`the document has no kind; the "..." on line %d ends the one before`,
				d.ended)
		}
		p.problems = append(p.problems, r.problems...)
		return nil
	case !ours && strings.HasPrefix(apiVersion, apiGroup):
		if slices.Contains(otherKinds, kind) {
			return foreign()
		}
		p.uncertain = true
		e := r.add(SeverityError, "unknown-kind", o.find("kind"), "kind", "EKS Anywhere has no such kind")
		e.Found, e.Suggestion = quote(kind), spelling.Nearest(kind, fields().order)
		if e.Suggestion == "" {
			e.Expected = "one of " + strings.Join(fields().order, ", ")
		}
		p.problems = append(p.problems, r.problems...)
		return nil
	case !ours:
		return foreign()
	case kind == "Cluster" && apiVersion != "" && !strings.HasPrefix(apiVersion, apiGroup) &&
		spelling.Nearest(apiVersion, []string{APIVersion}) == "":
		return foreign() // Cluster API has a Cluster too
	}
	return r
}

// otherKinds are kinds of EKS Anywhere's API that have no place in a cluster file.
var otherKinds = []string{
	"AWSDatacenterConfig", "Bundles", "EKSARelease", "ControlPlaneUpgrade", "MachineDeploymentUpgrade",
	"NodeUpgrade",
}

func (p *parser) add(r *report) {
	o := r.object
	p.reports = append(p.reports, r)
	key := objectKey{o.Kind, o.Name}
	if o.Name == "" {
		p.uncertain = true
		return
	}
	for _, other := range p.objects[key] {
		if other.object.Namespace == o.Namespace {
			e := r.add(SeverityError, "duplicate-object", o.find("metadata.name"), "metadata.name",
				fmt.Sprintf("the object is already in %s:%d", other.object.File, other.object.Line))
			e.Found, e.Expected = o.Label()+" twice", "each object once"
			p.repeated[o.Kind] = true
			return
		}
	}
	p.objects[key] = append(p.objects[key], r)
}

// checkObjects runs the checks that need nothing but the object.
func (p *parser) checkObjects() {
	for _, r := range p.reports {
		r.checkFields()
		r.checkName()
		switch r.object.Kind {
		case "FluxConfig", "GitOpsConfig":
			r.checkGitOps()
		}
		r.checkRules()
		r.tellVariables()
	}
}

func (r *report) checkName() {
	o := r.object
	if o.Name != "" {
		switch {
		case o.Kind == "Cluster":
			r.checkClusterName("metadata.name", o.Name)
			// The name of the management cluster becomes a part of the default clusterConfigPath.
			if management := text(o.root(), "spec", "managementCluster", "name"); management != "" &&
				management != o.Name {
				r.checkClusterName("spec.managementCluster.name", management)
			}
		case !isDNSName(o.Name):
			e := r.wrong("name", "metadata.name", "not a name that Kubernetes accepts")
			e.Found, e.Expected = quote(o.Name), `lower-case letters, digits, "-" and "."`
		}
	}
	if !isDNSLabel(o.Namespace) {
		e := r.wrong("name", "metadata.namespace", "not a name that Kubernetes accepts for a namespace")
		e.Found, e.Expected = quote(o.Namespace), dnsLabelExpected
	}
}

// checkClusterName refuses what EKS Anywhere, Kubernetes or a file system would not take for the name of a
// cluster.
func (r *report) checkClusterName(path, name string) {
	switch {
	case !clusterNameForm.MatchString(name):
		e := r.wrong("name", path, "not a name that EKS Anywhere and Kubernetes accept for a cluster")
		e.Found, e.Expected = quote(name),
			`2 to 35 lower-case letters, digits and "-", a letter first and no "-" last`
	case windowsNames.MatchString(name):
		e := r.wrong("name", path, "the cluster's directory cannot be checked out on Windows")
		e.Found = quote(name)
	}
}

// assemble finds the clusters and what belongs to them.
func (p *parser) assemble() {
	p.users, p.names = map[*Object]*Cluster{}, map[string]*report{}
	for _, r := range p.reports {
		if r.object.Kind != "Cluster" || r.object.Name == "" ||
			slices.ContainsFunc(r.problems, func(e Problem) bool { return e.Rule == "duplicate-object" }) {
			continue
		}
		if other, twice := p.names[r.object.Name]; twice {
			e := r.wrong("duplicate-object", "metadata.name", fmt.Sprintf(
				"a cluster of this name is already in %s:%d, and both would have the same directory",
				other.object.File, other.object.Line))
			e.Found = quote(r.object.Name)
			continue
		}
		p.names[r.object.Name] = r
		c := p.cluster(r)
		p.set.Clusters = append(p.set.Clusters, c)
		p.checkInCluster(c)
	}
	slices.SortStableFunc(p.set.Clusters, func(a, b *Cluster) int {
		return cmp.Or(cmp.Compare(b2i(a.Role() != RoleManagement), b2i(b.Role() != RoleManagement)),
			cmp.Compare(a.Name, b.Name))
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cluster gathers one cluster.
func (p *parser) cluster(r *report) *Cluster {
	o := r.object
	root := o.root()
	c := &Cluster{
		Name: o.Name, Namespace: o.Namespace,
		Provider:          providerOf(text(root, "spec", "datacenterRef", "kind")),
		ManagementCluster: orDefault(text(root, "spec", "managementCluster", "name"), o.Name),
		Objects:           []*Object{o},
	}
	if _, version := lookup(root, "spec", "kubernetesVersion"); version != nil {
		c.KubernetesVersion = version.Value
	}
	if count, ok := integer(root, "spec", "controlPlaneConfiguration", "count"); ok {
		c.ControlPlaneCount = int(count)
	}
	for _, group := range items(root, "spec", "workerNodeGroupConfigurations") {
		c.WorkerCount += workerCount(group)
	}
	p.resolveReferences(c, r)
	slices.SortStableFunc(c.Objects, func(a, b *Object) int {
		return cmp.Or(cmp.Compare(writingOrder(a.Kind), writingOrder(b.Kind)), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Kind, b.Kind))
	})
	return c
}

// workerCount is the number of machines a group starts with.
func workerCount(group *yaml.Node) int {
	if count, ok := integer(group, "count"); ok {
		return int(count)
	}
	if least, ok := integer(group, "autoscalingConfiguration", "minCount"); ok {
		return int(least)
	}
	return 1
}

// writingOrder is the place of a kind in a file, as EKS Anywhere writes them.
func writingOrder(kind string) int {
	switch {
	case kind == "Cluster":
		return 0
	case strings.HasSuffix(kind, "DatacenterConfig"):
		return 1
	case strings.HasSuffix(kind, "MachineConfig"):
		return 2
	}
	return 3 + slices.Index([]string{"GitOpsConfig", "FluxConfig", "OIDCConfig", "AWSIamConfig",
		"TinkerbellTemplateConfig", "SnowIPPool"}, kind)
}

// finish sorts what was found and adds what is missing as a whole.
func (p *parser) finish() (*Set, error) {
	for _, r := range p.reports {
		p.problems = append(p.problems, r.problems...)
	}
	failed := slices.ContainsFunc(p.problems, func(e Problem) bool { return e.Severity == SeverityError })
	// Of nothing but empty files that has been said.
	onlyEmpty := len(p.reports) == 0 && slices.ContainsFunc(p.problems, func(e Problem) bool {
		return e.Rule == "empty-file"
	})
	if len(p.set.Clusters) == 0 && !p.uncertain && !onlyEmpty && len(p.names) == 0 {
		p.problems = append(p.problems, p.noCluster())
		failed = true
	}
	for _, r := range p.reports {
		if r.object.Kind == "Cluster" || p.users[r.object] != nil {
			continue
		}
		p.set.Unused = append(p.set.Unused, r.object)
		if !failed {
			w := r.add(SeverityWarning, "unreferenced", r.object.root(), "",
				"no Cluster refers to the object; it is left out")
			p.problems = append(p.problems, *w)
		}
	}
	var failures, warnings Problems
	for _, problem := range withoutSecrets(p.problems.sorted(), p.sources...) {
		if problem.Severity == SeverityError {
			failures = append(failures, problem)
		} else {
			warnings = append(warnings, problem)
		}
	}
	failures, p.set.Warnings = failures.bounded(), warnings.bounded()
	if len(failures) > 0 {
		return p.set, failures
	}
	return p.set, nil
}

func (p *parser) noCluster() Problem {
	e := Problem{Severity: SeverityError, Rule: "no-cluster", Message: "no cluster in the files",
		Expected: "a document of kind Cluster and apiVersion " + APIVersion}
	found := map[string]bool{}
	for _, r := range p.reports {
		found[r.object.Kind] = true
		e.File = cmp.Or(e.File, r.object.File)
	}
	for _, other := range p.problems {
		e.File = cmp.Or(e.File, other.File)
		if other.Rule == "foreign-object" {
			found[other.Object] = true
		}
	}
	const most = 8
	if names := slices.Sorted(maps.Keys(found)); len(names) > most {
		e.Found = fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
	} else {
		e.Found = strings.Join(names, ", ")
	}
	return e
}
