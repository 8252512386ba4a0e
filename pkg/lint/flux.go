package lint

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// fluxState is what the sync manifests of a fleet say.
type fluxState struct {
	file            string // gotk-sync.yaml
	namespace       string
	source          string // the GitRepository
	branch, url     string
	branchNode      *yaml.Node
	urlNode         *yaml.Node
	targetNamespace string
}

// componentsFile is what was found in Flux's components, which are large and often the same in several
// fleets.
type componentsFile struct {
	once    sync.Once
	objects []manifest
	problem *clusterspec.Problem
}

// manifest is one object of Flux's.
type manifest struct {
	kind, name, namespace string
	node                  *yaml.Node
}

// fluxFiles are Flux's own files in the fleet.
func (f *fleet) fluxFiles() []string {
	var out []string
	for _, dir := range f.systems {
		for _, name := range []string{layout.ComponentsFile, layout.SyncFile} {
			if file := path.Join(dir, name); f.tree.isFile(file) {
				out = append(out, file)
			}
		}
	}
	return out
}

// checkFlux makes sure that nothing happens to Flux through its own files: it applies them, too, and deletes
// what is not in them.
func (f *fleet) checkFlux() {
	for _, dir := range f.primarySystem() {
		listing := f.applied.kustomizationIn(dir)
		if listing == "" {
			f.at(clusterspec.SeverityWarning, "flux-incomplete", path.Join(dir, firstOf(f.tree, dir)), nil,
				clusterspec.Problem{
					Message: "Flux's directory has no " + layout.KustomizationFile +
						"; Flux applies every YAML file in it",
					Expected: "resources " + layout.ComponentsFile + " and " + layout.SyncFile,
				})
		} else if k := f.applied.kustomizations[dir]; k != nil {
			f.checkFluxKustomization(dir, k)
		} else if !f.hasErrors(listing) {
			f.at(clusterspec.SeverityError, "not-applied", listing, nil, clusterspec.Problem{
				Message:  "no kustomization leads here from " + f.shown() + ", so that Flux removes itself",
				Expected: dir + " among the resources",
			})
		}
		namespace := f.fluxNamespace(dir)
		if file := path.Join(dir, layout.ComponentsFile); f.tree.isFile(file) {
			f.checkComponents(namespace, file)
		}
		if file := path.Join(dir, layout.SyncFile); f.tree.isFile(file) {
			f.flux = f.checkSync(namespace, file)
		}
	}
}

// primarySystem is Flux's directory: of several, which are told as such, the one that holds its namespace's
// objects.
func (f *fleet) primarySystem() []string {
	if len(f.systems) < 2 {
		return f.systems
	}
	for _, dir := range f.systems {
		if content, ok := f.contents[path.Join(dir, layout.SyncFile)]; ok &&
			bytes.Contains(content, []byte("namespace: "+path.Base(dir)+"\n")) {
			return []string{dir}
		}
	}
	return f.systems[:1]
}

// fluxNamespace is the namespace of Flux's objects, which its directory has to be named after.
func (f *fleet) fluxNamespace(dir string) string {
	named := path.Base(dir)
	content, ok := f.contents[path.Join(dir, layout.ComponentsFile)]
	if !ok {
		return named
	}
	components := f.shared.componentsOf(content)
	isNamespace := func(name string) bool {
		return slices.ContainsFunc(components.objects, func(m manifest) bool {
			return m.kind == "Namespace" && (name == "" || m.name == name)
		})
	}
	if !isNamespace("") || isNamespace(named) {
		return named
	}
	sync, _ := manifestsIn("", f.contents[path.Join(dir, layout.SyncFile)])
	for _, m := range sync {
		if m.namespace != named && isNamespace(m.namespace) {
			f.at(clusterspec.SeverityError, "flux-namespace", path.Join(dir, layout.SyncFile), nil,
				clusterspec.Problem{
					Message: "Flux's directory is not named after its namespace", Found: quote(named),
					Expected: path.Join(f.root, m.namespace),
				})
			return m.namespace
		}
	}
	return named
}

func firstOf(f *folders, dir string) string {
	for _, name := range []string{layout.SyncFile, layout.ComponentsFile} {
		if f.isFile(path.Join(dir, name)) {
			return name
		}
	}
	return ""
}

func (f *fleet) checkFluxKustomization(dir string, k *kustomization) {
	for _, name := range []string{layout.ComponentsFile, layout.SyncFile} {
		file := path.Join(dir, name)
		if f.applied.mentioned[file] || f.told[file] {
			continue
		}
		p := clusterspec.Problem{Field: "resources",
			Message: name + " is not listed, so that Flux removes itself", Expected: "- " + name}
		if !f.tree.isFile(file) {
			p.Message = name + " is missing, so that Flux removes itself"
			p.Expected = file + ", listed here"
		}
		f.at(clusterspec.SeverityError, "flux-incomplete", k.file, yamlnode.At(k.root, "resources"), p)
	}
	if k.namespace != "" && k.namespace != path.Base(dir) {
		f.at(clusterspec.SeverityError, "flux-namespace", k.file, yamlnode.At(k.root, "namespace"),
			clusterspec.Problem{
				Field:   "namespace",
				Message: "Flux would be moved to another namespace than that of its directory",
				Found:   quote(k.namespace), Expected: quote(path.Base(dir)),
			})
	}
	for _, field := range []string{"namePrefix", "nameSuffix"} {
		if value := yamlnode.Scalar(k.root, field); value != "" {
			f.at(clusterspec.SeverityError, "flux-incomplete", k.file, yamlnode.At(k.root, field),
				clusterspec.Problem{
					Field:   field,
					Message: "Flux's objects would get other names, so that Flux removes itself",
					Found:   quote(value), Expected: "Flux's own names",
				})
		}
	}
}

// checkComponents wants what Flux cannot do without: its namespace, the two controllers that fetch and apply,
// and their kinds.
func (f *fleet) checkComponents(namespace, file string) {
	content, ok := f.content(file)
	if !ok {
		return
	}
	found := f.shared.componentsOf(content)
	if found.problem != nil {
		p := *found.problem
		p.File, p.Message = file, p.Message+"; "+f.breaks()
		f.report(p)
		return
	}
	if len(found.objects) == 0 {
		f.fail("flux-incomplete", file, nil, "the file contains no objects, so that Flux removes itself", "",
			"the manifests that flux install --export prints")
		return
	}
	for _, want := range []manifest{
		{kind: "Namespace", name: namespace},
		{kind: "CustomResourceDefinition", name: "gitrepositories.source.toolkit.fluxcd.io"},
		{kind: "CustomResourceDefinition", name: "kustomizations.kustomize.toolkit.fluxcd.io"},
		{kind: "Deployment", name: "source-controller", namespace: namespace},
		{kind: "Deployment", name: "kustomize-controller", namespace: namespace},
	} {
		at := slices.IndexFunc(found.objects, func(m manifest) bool {
			return m.kind == want.kind && m.name == want.name
		})
		switch {
		case at < 0:
			f.fail("flux-incomplete", file, nil,
				"Flux's "+want.kind+" "+want.name+" is not in the file, so that Flux deletes it", "",
				"the manifests that flux install --export prints")
		case want.namespace != "" && found.objects[at].namespace != want.namespace:
			f.at(clusterspec.SeverityError, "flux-namespace", file, found.objects[at].node,
				clusterspec.Problem{
					Object: want.kind + " " + want.name, Field: "metadata.namespace",
					Message: "not the namespace that Flux's directory is named after",
					Found:   quote(found.objects[at].namespace), Expected: quote(want.namespace),
				})
		}
	}
}

func (r *repositoryCheck) componentsOf(content []byte) *componentsFile {
	r.mu.Lock()
	found := r.components[string(content)]
	if found == nil {
		found = &componentsFile{}
		r.components[string(content)] = found
	}
	r.mu.Unlock()
	found.once.Do(func() { found.objects, found.problem = manifestsIn("", content) })
	return found
}

// manifestsIn lists the objects of a file.
func manifestsIn(file string, content []byte) ([]manifest, *clusterspec.Problem) {
	documents, problem := parseYAML(file, content)
	if problem != nil {
		return nil, problem
	}
	var out []manifest
	for _, document := range documents {
		out = append(out, manifest{
			kind: yamlnode.Scalar(document, "kind"), name: yamlnode.Scalar(document, "metadata", "name"),
			namespace: yamlnode.Scalar(document, "metadata", "namespace"), node: document,
		})
	}
	return out, nil
}

// checkSync reads what Flux fetches and applies. The result is nil when that cannot be found out.
func (f *fleet) checkSync(namespace, file string) *fluxState {
	content, ok := f.content(file)
	if !ok {
		return nil
	}
	if len(bytes.TrimSpace(content)) == 0 {
		f.fail("flux-incomplete", file, nil,
			"the file is empty: EKS Anywhere leaves it so when it could not install Flux", "",
			"the GitRepository and the Kustomization that flux bootstrap writes")
		return nil
	}
	objects, problem := manifestsIn(file, content)
	if problem != nil {
		problem.Message += "; " + f.breaks()
		f.report(*problem)
		return nil
	}
	source := f.syncObject(file, namespace, "GitRepository", objects)
	sync := f.syncObject(file, namespace, "Kustomization", objects)
	state := &fluxState{file: file, namespace: namespace}
	if sync != nil {
		f.checkSyncKustomization(file, sync, source)
		state.targetNamespace = yamlnode.Scalar(sync.node, "spec", "targetNamespace")
	}
	if source != nil {
		state.source = "GitRepository " + source.name
		state.branch, state.branchNode = yamlnode.Scalar(source.node, "spec", "ref", "branch"),
			yamlnode.At(source.node, "spec", "ref", "branch")
		state.url, state.urlNode = yamlnode.Scalar(source.node, "spec", "url"),
			yamlnode.At(source.node, "spec", "url")
		f.checkSuspended(file, source, "Flux fetches nothing any more")
	}
	return state
}

// syncObject finds one of the two objects; users may have put others into the file.
func (f *fleet) syncObject(file, namespace, kind string, objects []manifest) *manifest {
	var candidates []*manifest
	for i := range objects {
		if objects[i].kind == kind {
			candidates = append(candidates, &objects[i])
		}
	}
	at := slices.IndexFunc(candidates, func(m *manifest) bool { return m.name == namespace })
	switch {
	case len(candidates) == 0:
		f.fail("flux-incomplete", file, nil, "Flux's "+kind+" "+namespace+
			" is not in the file, so that Flux deletes it and applies nothing any more",
			"", kind+" "+namespace)
		return nil
	case at < 0:
		at = 0
	}
	found := candidates[at]
	if found.namespace != namespace {
		node := yamlnode.At(found.node, "metadata", "namespace")
		if node == nil {
			node = found.node
		}
		f.at(clusterspec.SeverityError, "flux-namespace", file, node, clusterspec.Problem{
			Object: kind + " " + found.name, Field: "metadata.namespace",
			Message: "not the namespace that Flux's directory is named after", Found: quote(found.namespace),
			Expected: quote(namespace),
		})
	}
	return found
}

func (f *fleet) checkSyncKustomization(file string, sync, source *manifest) {
	object := "Kustomization " + sync.name
	at := func(severity clusterspec.Severity, rule, field, message, found, expected string) {
		node := yamlnode.At(sync.node, strings.Split(field, ".")...)
		if node == nil {
			node = sync.node
		}
		f.at(severity, rule, file, node, clusterspec.Problem{Object: object, Field: field, Message: message,
			Found: found, Expected: expected})
	}
	want := layout.SyncPath(&clusterspec.GitOps{ClusterConfigPath: f.root})
	if given := yamlnode.Scalar(sync.node, "spec", "path"); path.Join("/", given) != path.Join("/", f.root) {
		at(clusterspec.SeverityError, "flux-path", "spec.path", "Flux applies another directory than the "+
			"one that this file is in, and deletes what it applied from here", quote(given), quote(want))
	}
	if kind := yamlnode.Scalar(sync.node, "spec", "sourceRef", "kind"); kind != "GitRepository" {
		at(clusterspec.SeverityError, "flux-source", "spec.sourceRef.kind",
			"Flux's Kustomization does not take its files from the Git repository", quote(kind),
			"GitRepository")
	} else if name := yamlnode.Scalar(sync.node, "spec", "sourceRef", "name"); source != nil &&
		name != source.name {
		at(clusterspec.SeverityError, "flux-source", "spec.sourceRef.name",
			"there is no such GitRepository in the file", quote(name), quote(source.name))
	}
	if yamlnode.Scalar(sync.node, "spec", "prune") != "true" {
		at(clusterspec.SeverityWarning, "flux-prune", "spec.prune", "Flux deletes nothing that is taken "+
			"out of the repository: to remove a cluster's directory does not delete the cluster", "", "true")
	}
	f.checkSuspended(file, sync, "Flux applies nothing any more")
}

func (f *fleet) checkSuspended(file string, m *manifest, effect string) {
	if yamlnode.Scalar(m.node, "spec", "suspend") != "true" {
		return
	}
	f.at(clusterspec.SeverityWarning, "flux-suspended", file, yamlnode.At(m.node, "spec", "suspend"),
		clusterspec.Problem{
			Object: m.kind + " " + m.name, Field: "spec.suspend",
			Message: "the object is suspended: " + effect, Expected: "no suspend, or false",
		})
}
