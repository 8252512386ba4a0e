package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// kustomizationFields are the fields that kustomize knows, old ones included. It refuses a file with any
// other.
var kustomizationFields = []string{
	"apiVersion", "kind", "metadata", "openapi", "namePrefix", "nameSuffix", "namespace", "commonLabels",
	"labels", "commonAnnotations", "patchesStrategicMerge", "patchesJson6902",
	"patches", "images", "imageTags", "replacements", "replicas", "vars", "sortOptions", "resources",
	"components", "crds", "bases", "configMapGenerator", "secretGenerator", "helmGlobals", "helmCharts",
	"helmChartInflationGenerator", "generatorOptions", "configurations", "generators", "transformers",
	"validators", "buildMetadata",
}

// replacedFields are the fields that kustomize has deprecated, and what has taken their place (its
// types.Kustomization.CheckDeprecatedFields, which tells whoever builds the file). They go on working.
var replacedFields = map[string]string{
	"bases": "resources", "commonLabels": "labels, with includeSelectors: true", "imageTags": "images",
	"patchesJson6902": "patches", "patchesStrategicMerge": "patches", "vars": "replacements",
}

// applied is what Flux makes of a directory: which files it applies, found by the rules of its
// kustomize-controller. Without a kustomization it takes every YAML file below, and a directory with a
// kustomization as that says.
type applied struct {
	fleet *fleet
	// files are the applied files, with whether a kustomization on the way gives their objects a namespace.
	files map[string]bool
	// mentioned are all files that some kustomization names, patches included.
	mentioned map[string]bool
	// kustomizations are those that were read, by directory; nil for one that is being read or could not be.
	kustomizations map[string]*kustomization
	loose          []string // files that no kustomization lists and that are taken for lying there
	// units are the directories that Flux has kustomize build, by their path, and unitOf the files that are
	// read for one.
	units  map[string]*unit
	unitOf map[string]*unit
}

// kustomization is what matters of a kustomization file.
type kustomization struct {
	file      string
	namespace string
	resources []reference // resources, bases and components
	others    []reference // patches, generators and so on: files only
	root      *yaml.Node
}

// reference is a path in a kustomization.
type reference struct {
	path  string
	field string
	node  *yaml.Node
}

func newApplied(fleet *fleet) *applied {
	a := &applied{
		fleet: fleet, files: map[string]bool{}, mentioned: map[string]bool{},
		kustomizations: map[string]*kustomization{}, units: map[string]*unit{}, unitOf: map[string]*unit{},
	}
	var whole *unit
	if settings := fleet.settings(); !settings.IsZero() {
		whole = &unit{dir: fleet.root, settings: settings}
		a.units[fleet.root] = whole
	}
	if file := a.kustomizationIn(fleet.root); file != "" {
		a.build(fleet.root, file, false, whole)
	} else {
		a.scan(fleet.root, whole)
	}
	return a
}

func (a *applied) kustomizationIn(dir string) string {
	for _, name := range kustomize.FileNames {
		if file := path.Join(dir, name); a.fleet.tree.isFile(file) {
			return file
		}
	}
	return ""
}

// scan takes a directory without a kustomization.
func (a *applied) scan(dir string, in *unit) {
	for _, name := range a.fleet.tree.children[dir] {
		child := path.Join(dir, name)
		node, isNode := a.fleet.tree.tree[child]
		switch {
		case isNode && node.Kind == NodeFile && isYAML(child):
			a.take(child, false, in)
			a.loose = append(a.loose, child)
		case isNode:
		default:
			if file := a.kustomizationIn(child); file != "" {
				a.build(child, file, false, in)
			} else {
				a.scan(child, in)
			}
		}
	}
}

// take notes a file that Flux applies.
func (a *applied) take(file string, namespaced bool, in *unit) {
	a.files[file] = a.files[file] || namespaced
	if in != nil {
		a.unitOf[file] = in
	}
}

func isYAML(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// build takes a directory by its kustomization, as a part of a unit, or of none.
func (a *applied) build(dir, file string, namespaced bool, in *unit) {
	k := a.fleet.readKustomization(file)
	a.kustomizations[dir] = k
	if k == nil {
		return
	}
	a.fleet.kustomizationFiles = append(a.fleet.kustomizationFiles, file)
	namespaced = namespaced || k.namespace != ""
	if in == nil && transforms(k.root) {
		in = &unit{dir: dir, file: file}
		a.units[dir] = in
	}
	listed := map[string]bool{}
	for _, ref := range k.resources {
		target, local := a.resolve(dir, k, ref)
		if !local {
			continue
		}
		if listed[target] {
			a.fleet.at(clusterspec.SeverityError, "listed-twice", k.file, ref.node, clusterspec.Problem{
				Field: ref.field, Message: "the resource is listed twice, and kustomize then builds nothing",
				Found: quote(ref.path),
			})
			continue
		}
		listed[target] = true
		switch {
		case a.fleet.tree.isFile(target):
			a.mentioned[target] = true
			a.take(target, namespaced, in)
		case a.fleet.tree.isDir(target):
			a.follow(target, k, ref, namespaced, in)
		default:
			a.missing(target, k, ref)
		}
	}
	for _, ref := range k.others {
		target, local := a.resolve(dir, k, ref)
		switch {
		case !local:
		case a.fleet.tree.isFile(target):
			a.mentioned[target] = true
		case a.fleet.tree.isDir(target) &&
			slices.Contains([]string{"generators", "transformers", "validators"},
				strings.TrimRight(ref.field, "[]0123456789")):
		default:
			a.missing(target, k, ref)
		}
	}
}

// follow goes into a directory that a kustomization lists.
func (a *applied) follow(target string, k *kustomization, ref reference, namespaced bool, in *unit) {
	if target == a.fleet.root || inside(path.Dir(k.file), target) {
		a.fleet.at(clusterspec.SeverityError, "kustomization-cycle", k.file, ref.node, clusterspec.Problem{
			Field:   ref.field,
			Message: "the directory contains this kustomization itself, and kustomize then builds nothing",
			Found:   quote(ref.path),
		})
		return
	}
	if _, again := a.kustomizations[target]; again {
		return
	}
	file := a.kustomizationIn(target)
	if file == "" {
		for _, name := range kustomize.FileNames {
			if _, node := a.fleet.inTheWay(path.Join(target, name)); node != nil {
				a.missing(path.Join(target, name), k, ref)
				return
			}
		}
		a.fleet.at(clusterspec.SeverityError, "missing-resource", k.file, ref.node, clusterspec.Problem{
			Field:   ref.field,
			Message: "the directory has no kustomization.yaml; " + a.fleet.breaks(), Found: quote(ref.path),
			Expected: "a kustomization.yaml in " + target + ", or its files listed one by one",
		})
		return
	}
	a.build(target, file, namespaced, in)
}

// resolve finds what a reference means in the repository; false is something that is not looked at, or was
// refused.
func (a *applied) resolve(dir string, k *kustomization, ref reference) (string, bool) {
	if kustomize.IsRemote(ref.path) {
		return "", false
	}
	target := path.Join(dir, ref.path)
	if strings.HasPrefix(ref.path, "/") || target == ".." || strings.HasPrefix(target, "../") {
		a.fleet.at(clusterspec.SeverityError, "outside-repository", k.file, ref.node, clusterspec.Problem{
			Field: ref.field, Message: "the path leads out of the repository; " + a.fleet.breaks(),
			Found: quote(ref.path), Expected: "a path relative to " + path.Dir(k.file),
		})
		return "", false
	}
	return target, true
}

// missing reports what a kustomization lists and Flux will not find.
func (a *applied) missing(target string, k *kustomization, ref reference) {
	p := clusterspec.Problem{Field: ref.field, Found: quote(ref.path)}
	rule := "missing-resource"
	switch blocking, node := a.fleet.inTheWay(target); {
	case a.fleet.outside(target):
		rule = outsideRule
		out := a.fleet.sparse.outsideProblem(target)
		p.Message, p.Expected = out.Message, out.Expected
	case node == nil:
		p.Message = "there is no such file or directory"
		p.Expected = a.expected(target, k)
	case node.Kind == NodeSymlink:
		rule, p.Message, p.Expected = "symlink", blocking+
			" is a symbolic link, which Flux leaves out of what it fetches", "a copy of what it stands for"
	case node.Kind == NodeSubmodule:
		rule, p.Message, p.Expected = "submodule",
			blocking+" is a submodule, whose files Flux does not fetch", "a copy of what it stands for"
	case node.Kind == nodeLeftOut:
		rule, p.Message, p.Expected = "ignored-file", blocking+" is "+node.phrase(), node.remedy()
	default:
		rule, p.Message, p.Expected = "ignored-file",
			"git ignores "+blocking+", so that it will not be in the commit",
			text.Command("git add --force %s, or another rule in .gitignore", blocking)
	}
	p.Message += "; " + a.fleet.breaks()
	a.fleet.told[target] = true
	a.fleet.at(clusterspec.SeverityError, rule, k.file, ref.node, p)
	a.fleet.stopsAt(k.file)
}

// expected says what would put a missing resource right.
func (a *applied) expected(target string, k *kustomization) string {
	switch base := path.Base(target); {
	case (base == layout.SyncFile || base == layout.ComponentsFile) &&
		path.Dir(path.Dir(target)) == a.fleet.root:
		return target + " as it was; without the entry Flux would remove itself"
	case base == layout.SpecFile && path.Base(path.Dir(target)) == layout.ClusterSubdir:
		return "the cluster's spec, or to delete the cluster the whole directory " +
			path.Dir(path.Dir(target)) + " removed"
	}
	return target + ", or the entry removed"
}

// inTheWay finds the link, submodule or ignored node that is at a path or above it.
func (f *fleet) inTheWay(target string) (string, *Node) {
	for name := target; name != "."; name = path.Dir(name) {
		if node, ok := f.tree.tree[name]; ok && (node.Kind != NodeFile || node.Ignored) {
			return name, &node
		}
	}
	return "", nil
}

// readKustomization reads a kustomization file, or reports why that cannot be done and returns nil.
func (f *fleet) readKustomization(file string) *kustomization {
	content, ok := f.content(file)
	if !ok {
		return nil
	}
	documents, problem := parseYAML(file, content)
	if problem == nil {
		// kustomize reads it with Kubernetes' reader.
		if unlike := clusterspec.CheckReadings(clusterspec.Source{Name: file, Data: content}); len(unlike) >
			0 {
			problem = &unlike[0]
		}
	}
	if problem != nil {
		problem.Message += "; " + f.breaks()
		f.report(*problem)
		return nil
	}
	if len(documents) == 0 {
		f.fail("kustomization", file, nil, "the kustomization is empty; "+f.breaks(), "",
			"a list of resources")
		return nil
	}
	root := documents[0]
	if root.Kind != yaml.MappingNode {
		f.fail("kustomization", file, root, "the kustomization is not an object; "+f.breaks(), "", "")
		return nil
	}
	if isEmptyKustomization(root) {
		f.fail("kustomization", file, yamlnode.At(root, "resources"),
			"the kustomization lists nothing, which kustomize refuses; "+f.breaks(), "",
			"a list of resources, or no directory")
		return nil
	}
	k := &kustomization{file: file, root: root, namespace: yamlnode.Scalar(root, "namespace")}
	f.checkKustomizationFields(k)
	for _, field := range []string{"resources", "bases", "components"} {
		k.resources = append(k.resources, f.references(file, root, field, false)...)
	}
	for _, field := range []string{"crds", "configurations"} {
		k.others = append(k.others, f.references(file, root, field, false)...)
	}
	for _, field := range []string{"patchesStrategicMerge", "generators", "transformers", "validators"} {
		k.others = append(k.others, f.references(file, root, field, true)...)
	}
	for _, field := range []string{"patches", "patchesJson6902", "replacements"} {
		k.others = append(k.others, pathsIn(root, field, "path")...)
	}
	for _, field := range []string{"configMapGenerator", "secretGenerator"} {
		k.others = append(k.others, pathsIn(root, field, "files", "envs", "env")...)
	}
	return k
}

// isEmptyKustomization says whether nothing is in a kustomization but what it is. An empty list is something
// to kustomize.
func isEmptyKustomization(root *yaml.Node) bool {
	for i := 0; i+1 < len(root.Content); i += 2 {
		value := yamlnode.Follow(root.Content[i+1])
		if empty := yamlnode.IsNull(value) || value.Kind == yaml.ScalarNode && value.Value == ""; !empty &&
			!slices.Contains([]string{"apiVersion", "kind"}, root.Content[i].Value) {
			return false
		}
	}
	return true
}

// checkKustomizationFields reports what kustomize would refuse the whole file for.
func (f *fleet) checkKustomizationFields(k *kustomization) {
	kind := yamlnode.Scalar(k.root, "kind")
	if version := yamlnode.Scalar(k.root, "apiVersion"); strings.HasPrefix(version,
		"kustomize.toolkit.fluxcd.io/") {
		f.fail("kustomization", k.file, yamlnode.At(k.root, "apiVersion"),
			"this is the apiVersion of Flux's Kustomization object, not that of kustomize's file; "+
				f.breaks(), quote(version), "kustomize.config.k8s.io/v1beta1")
	} else if want := map[bool]string{true: "kustomize.config.k8s.io/v1alpha1",
		false: "kustomize.config.k8s.io/v1beta1"}[kind == "Component"]; version != "" && version != want {
		f.fail("kustomization", k.file, yamlnode.At(k.root, "apiVersion"),
			"not the apiVersion of a kustomization; "+f.breaks(), quote(version), want)
	}
	if kind != "" && kind != "Kustomization" && kind != "Component" {
		f.fail("kustomization", k.file, yamlnode.At(k.root, "kind"),
			"not the kind of a kustomization; "+f.breaks(), quote(kind), "Kustomization")
	}
	for i := 0; i+1 < len(k.root.Content); i += 2 {
		key := k.root.Content[i]
		if !slices.ContainsFunc(kustomizationFields,
			func(known string) bool { return strings.EqualFold(known, key.Value) }) {
			f.at(clusterspec.SeverityError, "kustomization", k.file, key, clusterspec.Problem{
				Field: key.Value, Message: "kustomize has no such field; " + f.breaks(),
				Suggestion: spelling.Nearest(key.Value, kustomizationFields),
			})
		}
		if instead := replacedFields[key.Value]; instead != "" {
			f.at(clusterspec.SeverityNotice, "kustomization-deprecated", k.file, key, clusterspec.Problem{
				Field: key.Value, Message: "kustomize has deprecated the field; it still works",
				Expected: instead,
			})
		}
	}
}

// references reads a list of paths. Inline is for lists that may hold YAML in the place of a path.
func (f *fleet) references(file string, root *yaml.Node, field string, inline bool) []reference {
	list := yamlnode.At(root, field)
	if list == nil || list.Kind == yaml.ScalarNode && list.Value == "" {
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		f.fail("kustomization", file, list, field+" is not a list; "+f.breaks(), "",
			"one line with \"- \" for each")
		return nil
	}
	var out []reference
	for i, item := range list.Content {
		item = yamlnode.Follow(item)
		if item.Kind != yaml.ScalarNode ||
			inline && (strings.ContainsAny(item.Value, "\n{") || strings.Contains(item.Value, ": ")) {
			continue
		}
		out = append(out, reference{path: item.Value, field: fmt.Sprintf("%s[%d]", field, i), node: item})
	}
	return out
}

// pathsIn collects paths from the items of a list: from fields that hold one, and from those that hold a list
// of KEY=PATH.
func pathsIn(root *yaml.Node, field string, names ...string) []reference {
	list := yamlnode.At(root, field)
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	var out []reference
	for i, item := range list.Content {
		for _, name := range names {
			value := yamlnode.At(yamlnode.Follow(item), name)
			if value == nil {
				continue
			}
			values := []*yaml.Node{value}
			if value.Kind == yaml.SequenceNode {
				values = value.Content
			}
			for _, v := range values {
				v = yamlnode.Follow(v)
				if v.Kind != yaml.ScalarNode || v.Value == "" {
					continue
				}
				target := v.Value
				if _, after, keyed := strings.Cut(target, "="); keyed && name != "path" {
					target = after
				}
				out = append(out,
					reference{path: target, field: fmt.Sprintf("%s[%d].%s", field, i, name), node: v})
			}
		}
	}
	return out
}
