package lint

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// management is the cluster that manages the fleet; nil when it is not among its files.
func (f *fleet) management() *clusterspec.Cluster {
	if len(f.set.Clusters) > 0 && f.set.Clusters[0].Role() == clusterspec.RoleManagement {
		return f.set.Clusters[0]
	}
	return nil
}

// hasErrors says whether a file has errors already, so that nothing should be said about what is not in it.
func (f *fleet) hasErrors(file string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failing[file]
}

// checkClusters checks each cluster's directory, and each cluster against its place.
func (f *fleet) checkClusters() {
	for _, dir := range f.clusters {
		f.checkClusterDir(dir)
		f.checkApps(dir)
	}
	for _, c := range f.set.Clusters {
		f.checkPlace(c)
		f.checkGitOps(c)
	}
	f.checkNamespaces()
	f.checkEncrypted()
	f.checkFilters()
}

// checkNamespaces wants every object's namespace written down: Flux gives objects none of its own accord.
func (f *fleet) checkNamespaces() {
	if f.flux != nil && f.flux.targetNamespace != "" {
		return
	}
	f.checkOthersNamespaces()
	without := map[string][]*clusterspec.Object{} // by file
	look := func(objects []*clusterspec.Object) {
		for _, o := range objects {
			if !o.NamespaceGiven && !f.applied.files[o.File] && !slices.Contains(without[o.File], o) {
				without[o.File] = append(without[o.File], o)
			}
		}
	}
	for _, c := range f.set.Clusters {
		look(c.Objects)
	}
	look(f.set.Unused)
	for _, objects := range without {
		first := slices.MinFunc(objects, func(a, b *clusterspec.Object) int {
			return cmp.Compare(a.Line, b.Line)
		})
		p := clusterspec.Problem{Message: "the object has no namespace, without which Flux cannot apply it",
			Expected: "namespace: " + first.Namespace}
		if n := len(objects) - 1; n > 0 {
			others := map[bool]string{true: "another object of the file has",
				false: fmt.Sprintf("%d other objects of the file have", n)}[n == 1]
			p.Message = "this and " + others + " no namespace, without which Flux cannot apply them"
		}
		f.on(clusterspec.SeverityError, "namespace-missing", first, "metadata", p)
	}
}

// checkClusterDir checks the files of one eksa-system directory.
func (f *fleet) checkClusterDir(dir string) {
	spec := path.Join(dir, layout.SpecFile)
	listing := f.applied.kustomizationIn(dir)
	if !f.tree.isFile(spec) {
		f.checkNoSpec(dir, listing)
		return
	}
	_, reached := f.applied.files[spec]
	switch {
	case listing == "":
		f.at(clusterspec.SeverityWarning, "kustomization-missing", spec, nil, clusterspec.Problem{
			Message: "the directory has no kustomization.yaml; Flux applies every YAML file in it",
			Expected: path.Join(dir, layout.KustomizationFile) + " with " + layout.SpecFile +
				" in its resources",
		})
	case f.applied.mentioned[spec]:
	case f.hasErrors(listing):
		reached = true // why it is not read is told already
	case f.applied.kustomizations[dir] != nil:
		k := f.applied.kustomizations[dir]
		f.at(clusterspec.SeverityError, "spec-not-listed", listing, yamlnode.At(k.root, "resources"),
			clusterspec.Problem{
				Field: "resources",
				Message: fmt.Sprintf("%s is not listed, so that Flux deletes the cluster or never creates it",
					layout.SpecFile),
				Expected: "- " + layout.SpecFile,
			})
		reached = true
	}
	if !reached && !f.hasErrorsIn(f.root) {
		f.at(clusterspec.SeverityWarning, "not-applied", spec, nil, clusterspec.Problem{
			Message: "no kustomization leads here from " + f.shown() +
				", so that Flux does not apply the cluster",
		})
	}
	if f.applied.kustomizations[dir] != nil {
		f.checkUnlisted(dir, listing)
	}
	if len(f.byFile[spec]) == 0 && !f.hasErrors(spec) {
		f.at(clusterspec.SeverityError, "spec-missing", spec, nil, clusterspec.Problem{
			Message:  "there is no Cluster in the file",
			Expected: "the Cluster " + path.Base(path.Dir(dir)) + " and the objects that it refers to",
		})
	}
}

// hasErrorsIn says whether a kustomization directly in dir has errors.
func (f *fleet) hasErrorsIn(dir string) bool {
	return slices.ContainsFunc(kustomize.FileNames, func(name string) bool {
		return f.hasErrors(path.Join(dir, name))
	})
}

// checkNoSpec is for a cluster's directory whose spec is gone.
func (f *fleet) checkNoSpec(dir, listing string) {
	spec := path.Join(dir, layout.SpecFile)
	if f.told[spec] || f.hasErrors(listing) {
		return // the kustomization that lists it has an error already
	}
	if content, ok := f.content(listing); ok &&
		(bytes.Equal(content, layout.InertKustomization()) || listsOthersOnly(content)) {
		return // a deletion has left it, for the sake of files of others
	}
	p := clusterspec.Problem{
		Message: fmt.Sprintf("the directory has no %s, where EKS Anywhere reads and writes the cluster",
			layout.SpecFile),
		Expected: spec + ", or to delete the cluster the whole directory " + path.Dir(dir) + " removed",
	}
	if blocking, node := f.inTheWay(spec); node != nil {
		f.told[blocking] = true
		p.Message = spec + " is " + node.phrase() + ", where EKS Anywhere reads and writes the cluster"
		p.Expected = "a file"
	}
	f.at(clusterspec.SeverityError, "spec-missing", listing, nil, p)
}

func (n *Node) phrase() string {
	switch {
	case n.Kind == NodeSymlink:
		return "a symbolic link, which Flux leaves out of what it fetches"
	case n.Kind == NodeSubmodule:
		return "a submodule, whose files Flux does not fetch"
	case n.ignoredBy != "":
		return "left out of what Flux fetches, by spec.ignore of the GitRepository in " + n.ignoredBy
	case n.Kind == nodeLeftOut:
		return "left out of what Flux fetches, by a .sourceignore or by Flux itself"
	}
	return "ignored by git, so that it will not be in the commit"
}

// remedy is what gets a file that is left out to Flux.
func (n *Node) remedy() string {
	if n.ignoredBy != "" {
		return "other patterns in spec.ignore"
	}
	if n.Kind == nodeLeftOut {
		return "another rule in .sourceignore, or another name"
	}
	return "another rule in .gitignore, or git add --force"
}

// checkUnlisted finds files beside the spec that somebody forgot to list.
func (f *fleet) checkUnlisted(dir, listing string) {
	for _, name := range f.tree.children[dir] {
		file := path.Join(dir, name)
		if name == layout.SpecFile || file == listing || !isYAML(name) || strings.HasPrefix(name, ".") ||
			!f.tree.isFile(file) || f.applied.mentioned[file] {
			continue
		}
		if _, used := f.applied.files[file]; used {
			continue
		}
		f.at(clusterspec.SeverityWarning, "unlisted-file", file, nil, clusterspec.Problem{
			Message:  "no kustomization lists the file, so that Flux does not apply it",
			Expected: "- " + name + " in " + listing,
		})
	}
}

// checkPlace compares a cluster with the directory that it is in.
func (f *fleet) checkPlace(c *clusterspec.Cluster) {
	o := c.Objects[0]
	want := path.Join(f.root, c.Name, layout.ClusterSubdir, layout.SpecFile)
	dir := path.Dir(o.File)
	switch first := f.byFile[o.File][0]; {
	case o.File == want && first != c:
	case o.File == want:
		return
	case path.Base(o.File) != layout.SpecFile || path.Base(dir) != layout.ClusterSubdir:
		f.on(clusterspec.SeverityWarning, "misplaced", o, "metadata.name", clusterspec.Problem{
			Message: "Flux applies the cluster, but EKS Anywhere and eksa-gitops look for it in " +
				"another file",
			Expected: want,
		})
		return
	case first != c:
	case path.Dir(path.Dir(dir)) != f.root:
		f.on(clusterspec.SeverityError, "misplaced", o, "metadata.name", clusterspec.Problem{
			Message: "the cluster's directory is not directly in " + f.shown() +
				"; EKS Anywhere would write the cluster a second time",
			Expected: want,
		})
		return
	default:
		f.on(clusterspec.SeverityError, "directory-name", o, "metadata.name", clusterspec.Problem{
			Message: "the name of the cluster is not that of its directory; EKS Anywhere would write the " +
				"cluster a second time",
			Found: quote(c.Name), Expected: fmt.Sprintf("%s, or the directory renamed to %s",
				path.Base(path.Dir(dir)), path.Join(f.root, c.Name)),
		})
		return
	}
	f.on(clusterspec.SeverityError, "two-clusters", o, "metadata.name", clusterspec.Problem{
		Message: "a second cluster in the file; EKS Anywhere refuses to read it", Found: quote(c.Name),
		Expected: want,
	})
}

// checkGitOps compares the cluster's GitOps settings with where its files are.
func (f *fleet) checkGitOps(c *clusterspec.Cluster) {
	if c.GitOps == nil {
		if !f.hasErrors(c.Objects[0].File) {
			f.on(clusterspec.SeverityWarning, "no-gitops", c.Objects[0], "spec", clusterspec.Problem{
				Message: "the cluster has no gitOpsRef, so that EKS Anywhere does not know that it is " +
					"managed through Git",
				Expected: "gitOpsRef",
			})
		}
		return
	}
	config := c.Objects[slices.IndexFunc(c.Objects, func(o *clusterspec.Object) bool {
		return o.Kind == c.GitOps.Kind
	})]
	prefix, system := "spec.", "spec.systemNamespace"
	if config.Kind == "GitOpsConfig" {
		prefix, system = "spec.flux.github.", "spec.flux.github.fluxSystemNamespace"
	}
	differs := func(rule, field, message, found, expected string) {
		f.on(clusterspec.SeverityError, rule, config, field,
			clusterspec.Problem{Message: message, Found: quote(found), Expected: quote(expected)})
	}
	if layout.RootDir(c.GitOps) != f.root && !f.derivedPath(c, config) {
		differs("config-path", prefix+"clusterConfigPath",
			"the clusters are not where the path says; EKS Anywhere would write them a second time",
			c.GitOps.ClusterConfigPath, f.root)
	}
	if f.flux != nil && f.flux.namespace != c.GitOps.SystemNamespace {
		differs("system-namespace", system, "Flux is in another namespace", c.GitOps.SystemNamespace,
			f.flux.namespace)
	}
	if f.flux == nil || c.Role() != clusterspec.RoleManagement {
		return
	}
	if f.flux.branch != "" && f.flux.branch != c.GitOps.Branch {
		f.at(clusterspec.SeverityWarning, "flux-source", f.flux.file, f.flux.branchNode, clusterspec.Problem{
			Object: f.flux.source, Field: "spec.ref.branch",
			Message: fmt.Sprintf("Flux follows another branch than %s says", config.Label()),
			Found:   quote(f.flux.branch), Expected: quote(c.GitOps.Branch),
		})
	}
	if want := repositoryOf(c.GitOps); f.flux.url != "" &&
		!sameRepository(f.flux.url, want, c.GitOps.GitHub != nil) {
		f.at(clusterspec.SeverityWarning, "flux-source", f.flux.file, f.flux.urlNode, clusterspec.Problem{
			Object: f.flux.source, Field: "spec.url",
			Message: fmt.Sprintf("Flux fetches another repository than %s says", config.Label()),
			Found:   quote(f.flux.url), Expected: quote(want),
		})
	}
}

// derivedPath says whether the path is EKS Anywhere's default, made of the name of a management cluster that
// is told to be wrong.
func (f *fleet) derivedPath(c *clusterspec.Cluster, config *clusterspec.Object) bool {
	spec, _ := config.Decoded()["spec"].(map[string]any)
	if config.Kind == "GitOpsConfig" {
		inner, _ := spec["flux"].(map[string]any)
		spec, _ = inner["github"].(map[string]any)
	}
	if spec["clusterConfigPath"] != nil {
		return false
	}
	management := f.management()
	if c.Role() == clusterspec.RoleManagement {
		return c != management || path.Base(path.Dir(path.Dir(c.Objects[0].File))) != c.Name
	}
	return management != nil && c.ManagementCluster != management.Name
}

func repositoryOf(g *clusterspec.GitOps) string {
	if g.GitHub != nil {
		return "https://github.com/" + g.GitHub.Owner + "/" + g.GitHub.Repository
	}
	if g.Git != nil {
		return g.Git.RepositoryURL
	}
	return ""
}

// sameRepository compares two addresses by what they have in common over SSH and HTTPS: their path, whose
// case matters but on GitHub.
func sameRepository(a, b string, onGitHub bool) bool {
	a, b = repositoryPath(a), repositoryPath(b)
	return b == "" || a == b || onGitHub && strings.EqualFold(a, b)
}

func repositoryPath(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if ok {
		_, rest, _ = strings.Cut(rest, "/")
	} else if _, after, scp := strings.Cut(url, ":"); scp {
		rest = after
	}
	return strings.TrimSuffix(strings.Trim(rest, "/"), ".git")
}

// checkManagement wants the management cluster and its Flux.
func (f *fleet) checkManagement() {
	management := f.management()
	if management == nil {
		if len(f.set.Clusters) == 0 || slices.ContainsFunc(f.specs, f.hasErrors) {
			return
		}
		c := f.set.Clusters[0]
		message := "the management cluster has no directory here"
		if len(f.systems) == 0 {
			message = "neither the management cluster nor Flux has a directory here; only Flux on that " +
				"cluster applies these files"
		}
		f.on(clusterspec.SeverityWarning, "no-management-cluster", c.Objects[0],
			"spec.managementCluster.name", clusterspec.Problem{
				Message: message, Found: quote(c.ManagementCluster), Expected: path.Join(f.root,
					c.ManagementCluster, layout.ClusterSubdir, layout.SpecFile),
			})
		return
	}
	switch {
	case management.GitOps == nil:
	case len(f.systems) == 0:
		dir := path.Join(f.root, management.GitOps.SystemNamespace)
		if slices.ContainsFunc([]string{layout.ComponentsFile, layout.SyncFile, layout.KustomizationFile},
			func(name string) bool { return f.told[path.Join(dir, name)] }) {
			return
		}
		f.on(clusterspec.SeverityError, "flux-missing", management.Objects[0], "spec.gitOpsRef",
			clusterspec.Problem{
				Message: "Flux's own files are missing; a Flux that was installed from them removes itself",
				Expected: strings.Join([]string{path.Join(dir, layout.ComponentsFile), layout.SyncFile,
					layout.KustomizationFile},
					", "),
			})
	case len(f.systems) > 1:
		f.at(clusterspec.SeverityError, "two-flux", path.Join(f.systems[1], layout.SyncFile), nil,
			clusterspec.Problem{
				Message: "a second Flux for the same path, which would delete what the first one applies",
				Found:   f.systems[1], Expected: f.systems[0] + " only",
			})
	}
}

// checkNested makes sure that no other fleet's files are among what this one's Flux applies.
func (f *fleet) checkNested(others map[string]bool) {
	if len(f.systems) == 0 {
		return
	}
	for _, other := range sortedKeys(others) {
		if other == f.root || !inside(other, f.root) {
			continue
		}
		for _, name := range sortedKeys(f.applied.files) {
			if path.Base(name) == layout.SyncFile && inside(name, other) {
				f.at(clusterspec.SeverityError, "nested-fleet", name, nil, clusterspec.Problem{
					Message: fmt.Sprintf(
						"the Flux of %s applies this one's files, too, since they lie below its path",
						f.shown()),
					Expected: "paths that do not contain each other",
				})
			}
		}
	}
}

// checkNames looks at everything below the fleet's path: links and submodules, which Flux does not fetch,
// names that some file systems cannot tell apart, and files that would make Flux's build fail.
func (f *fleet) checkNames() {
	for _, dir := range sortedKeys(f.tree.children) {
		if !inside(dir, f.root) {
			continue
		}
		seen := map[string]string{}
		for _, name := range f.tree.children[dir] {
			folded := strings.ToLower(name)
			if other, twice := seen[folded]; twice {
				f.at(clusterspec.SeverityWarning, "case-collision", f.firstFile(path.Join(dir, name)), nil,
					clusterspec.Problem{
						Message: "the name differs from another only in upper and lower case, and cannot " +
							"be checked out beside it on macOS and Windows",
						Found: quote(name), Expected: "a name other than " + path.Join(dir, other),
					})
			}
			seen[folded] = name
		}
	}
	for name, node := range f.tree.tree {
		if node.Kind == NodeFile && !node.Ignored || !inside(name, f.root) || f.told[name] {
			continue
		}
		if node.Ignored || node.Kind == nodeLeftOut {
			if path.Base(path.Dir(name)) == layout.ClusterSubdir && isYAML(name) {
				f.report(clusterspec.Problem{
					Severity: clusterspec.SeverityWarning, Rule: "ignored-file", File: name,
					Message: path.Base(name) + " is " + node.phrase(), Expected: node.remedy(),
				})
			}
			continue
		}
		rule := map[NodeKind]string{NodeSymlink: "symlink", NodeSubmodule: "submodule"}[node.Kind]
		f.report(clusterspec.Problem{
			Severity: clusterspec.SeverityWarning, Rule: rule, File: name,
			Message: path.Base(name) + " is " + node.phrase(), Expected: "a copy of what it stands for",
		})
	}
	for _, name := range f.applied.loose {
		if !f.isSpec(name) {
			f.checkKubernetes(name)
		}
	}
}

// firstFile is a file to show a problem of a directory at.
func (f *fleet) firstFile(name string) string {
	if below := f.tree.below(name); len(below) > 0 {
		return below[0]
	}
	return name
}

// checkKubernetes looks at a file of the user's that Flux takes for manifests only because of where it lies.
func (f *fleet) checkKubernetes(name string) {
	content, ok := f.content(name)
	if !ok || len(bytes.TrimSpace(content)) == 0 {
		return
	}
	documents, problem := parseYAML(name, content)
	if problem != nil {
		problem.Message += "; " + f.breaks()
		f.report(*problem)
		return
	}
	for _, document := range documents {
		if yamlnode.Scalar(document, "kind") == "" || yamlnode.Scalar(document, "apiVersion") == "" {
			f.at(clusterspec.SeverityError, "not-kubernetes", name, document, clusterspec.Problem{
				Message: "Flux reads every YAML file below " + f.shown() +
					" as Kubernetes objects, and this is not one (no apiVersion or kind); " + f.breaks(),
				Expected: "the file elsewhere, or in a directory whose kustomization.yaml does not list it",
			})
			return
		}
	}
}

// listsOthersOnly says whether a kustomization lists something, and not the cluster's file.
func listsOthersOnly(content []byte) bool {
	var document yaml.Node
	if yaml.Unmarshal(content, &document) != nil || len(document.Content) == 0 {
		return false
	}
	list := yamlnode.At(document.Content[0], "resources")
	return list != nil && list.Kind == yaml.SequenceNode && len(list.Content) > 0 &&
		!slices.ContainsFunc(list.Content, func(entry *yaml.Node) bool {
			return path.Clean(entry.Value) == layout.SpecFile
		})
}
