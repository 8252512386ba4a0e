package lint_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

const (
	listing = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n" +
		"- eksa-cluster.yaml\n"
	// components is what lint wants to see of Flux's, which are much larger.
	components = `# Flux Version: v2.9.3
apiVersion: v1
kind: Namespace
metadata:
  name: flux-system
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gitrepositories.source.toolkit.fluxcd.io
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: kustomizations.kustomize.toolkit.fluxcd.io
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: source-controller
  namespace: flux-system
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: kustomize-controller
  namespace: flux-system
`
	sync = `apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata:
  name: flux-system
  namespace: flux-system
spec:
  interval: 1m0s
  ref:
    branch: main
  secretRef:
    name: flux-system
  url: ssh://git@github.com/octo/fleet
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: flux-system
  namespace: flux-system
spec:
  interval: 10m0s
  path: ./clusters/dev
  prune: true
  sourceRef:
    kind: GitRepository
    name: flux-system
`
)

// repository is a tree to break.
type repository map[string]lint.Node

func (r repository) put(name, content string) { r[name] = lint.Node{Content: lint.Bytes(content)} }

func (r repository) text(name string) string {
	content, err := r[name].Content.Read()
	if err != nil {
		panic(err)
	}
	return string(content)
}

// replace replaces all occurrences, of which there must be one.
func (r repository) replace(name, before, after string) {
	content := r.text(name)
	if !strings.Contains(content, before) {
		panic(name + " does not hold " + before)
	}
	r.put(name, strings.ReplaceAll(content, before, after))
}

// remove removes a file or everything below a directory.
func (r repository) remove(name string) {
	before := len(r)
	maps.DeleteFunc(r,
		func(file string, _ lint.Node) bool { return file == name || strings.HasPrefix(file, name+"/") })
	if len(r) == before {
		panic("there is no " + name)
	}
}

// move renames a directory.
func (r repository) move(from, to string) {
	r.copy(from, to)
	r.remove(from)
}

func (r repository) copy(from, to string) {
	for _, name := range slices.Collect(maps.Keys(r)) {
		if rest, ok := strings.CutPrefix(name, from+"/"); ok {
			r[to+"/"+rest] = r[name]
		}
	}
}

// addApps adds the apps scaffold of clusters.
func (r repository) addApps(names ...string) {
	for _, name := range names {
		c := &clusterspec.Cluster{Name: name, ManagementCluster: "dev",
			GitOps: &clusterspec.GitOps{ClusterConfigPath: root, SystemNamespace: "flux-system"}}
		files, err := layout.AppsFiles(c)
		if err != nil {
			panic(err)
		}
		for _, file := range files {
			r.put(file.Path, string(file.Content))
		}
	}
}

var nameWithoutNamespace = regexp.MustCompile(`(metadata:\n  name: [^\n]*\n)`)

// newRepository is a fleet in clusters/dev: management cluster dev, workload clusters w01 and w02, Flux.
func newRepository(tb testing.TB) repository {
	tb.Helper()
	return fleetOf(tb, 3)
}

// fleetOf is a fleet of so many clusters.
func fleetOf(tb testing.TB, clusters int) repository {
	tb.Helper()
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join("../../testdata/specs/valid", name+".yaml"))
		if err != nil {
			tb.Fatal(err)
		}
		return nameWithoutNamespace.ReplaceAllString(string(content), "${1}  namespace: default\n")
	}
	r := repository{}
	add := func(name, spec string) {
		r.put("clusters/dev/"+name+"/eksa-system/eksa-cluster.yaml", spec)
		r.put("clusters/dev/"+name+"/eksa-system/kustomization.yaml", listing)
	}
	add("dev", read("vsphere-management-github"))
	workload := read("vsphere-workload-github")
	for i := range clusters - 1 {
		name := fmt.Sprintf("w%02d", i+1)
		add(name, strings.NewReplacer("name: dev", "name: "+name, "name: mgmt", "name: dev", "10.20.0.10",
			fmt.Sprintf("10.21.%d.%d", i/200, i%200+1)).Replace(workload))
	}
	r.put("clusters/dev/flux-system/gotk-components.yaml", components)
	r.put("clusters/dev/flux-system/gotk-sync.yaml", sync)
	r.put("clusters/dev/flux-system/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\n"+
		"kind: Kustomization\nresources:\n- gotk-components.yaml\n- gotk-sync.yaml\n")
	r.put("README.md", "# The fleet\n")
	return r
}

func check(tb testing.TB, tree, base lint.Tree) *lint.RepositoryReport {
	tb.Helper()
	report, err := lint.CheckRepository(tree, base, lint.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

// Directories and files of the repository under test.
const (
	root = "clusters/dev"
	mgmt = root + "/dev/eksa-system"
	w01  = root + "/w01/eksa-system"
	flux = root + "/flux-system"
)
