package layout_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/fixture"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

const (
	listing = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- eksa-cluster.yaml\n"
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
type repository map[string]layout.Node

func (r repository) put(name, content string) { r[name] = layout.Node{Content: layout.Bytes(content)} }

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
	maps.DeleteFunc(r, func(file string, _ layout.Node) bool { return file == name || strings.HasPrefix(file, name+"/") })
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
		c := &clusterspec.Cluster{Name: name, ManagementCluster: "dev", GitOps: &clusterspec.GitOps{ClusterConfigPath: root, SystemNamespace: "flux-system"}}
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
		add(name, strings.NewReplacer("name: dev", "name: "+name, "name: mgmt", "name: dev", "10.20.0.10", fmt.Sprintf("10.21.%d.%d", i/200, i%200+1)).Replace(workload))
	}
	r.put("clusters/dev/flux-system/gotk-components.yaml", components)
	r.put("clusters/dev/flux-system/gotk-sync.yaml", sync)
	r.put("clusters/dev/flux-system/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- gotk-components.yaml\n- gotk-sync.yaml\n")
	r.put("README.md", "# The fleet\n")
	return r
}

func check(tb testing.TB, tree, base layout.Tree) *layout.RepositoryReport {
	tb.Helper()
	report, err := layout.CheckRepository(tree, base, layout.Options{})
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

// brokenRepositories are the ways to break a repository, by what each shows. Each is compared with the whole one.
func brokenRepositories() map[string]func(repository) {
	spec, list := w01+"/eksa-cluster.yaml", w01+"/kustomization.yaml"
	configMap := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: default\n"
	return map[string]func(repository){
		"nothing changed": func(repository) {},
		"user files are allowed": func(r repository) {
			r.put(w01+"/extra.yaml", configMap)
			r.put(w01+"/patch.yaml", "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\nmetadata:\n  name: w01\nspec:\n  kubernetesVersion: \"1.33\"\n")
			r.put(w01+"/notes.md", "x")
			r.put(w01+"/data.properties", "a=b\n")
			r.put(list, listing+"- extra.yaml\n- https://example.com/base.yaml\npatches:\n- path: patch.yaml\nconfigMapGenerator:\n- name: g\n  files:\n  - key=data.properties\n")
			r.put(root+"/apps/app.yaml", configMap)
			r.put(root+"/apps/empty.yaml", "# nothing yet\n")
			r.put(root+"/apps/hidden/kustomization.yaml", "resources:\n- ../../../../shared\n")
			r.put("shared/kustomization.yaml", "resources:\n- x.yaml\n")
			r.put("shared/x.yaml", configMap)
			r.put("values.yaml", "a: 1\n")
		},
		"objects in several files": func(r repository) {
			documents := strings.Split(r.text(spec), "---\n")
			r.put(spec, strings.Join(documents[:2], "---\n"))
			r.put(w01+"/machines.yaml", strings.Join(documents[2:], "---\n"))
			r.put(list, listing+"- machines.yaml\n")
		},
		"namespace from the kustomization": func(r repository) {
			r.replace(spec, "  namespace: default\n", "")
			r.put(list, listing+"namespace: default\n")
		},
		"patches of Flux": func(r repository) {
			r.put(flux+"/kustomization.yaml", r.text(flux+"/kustomization.yaml")+"namespace: flux-system\npatches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata:\n      name: all\n      labels:\n        a: b\n  target:\n    kind: Deployment\n")
		},
		"version that Flux does not serve": func(r repository) {
			r.put(flux+"/gotk-components.yaml", definitions)
			r.replace(flux+"/gotk-sync.yaml", "source.toolkit.fluxcd.io/v1", "source.toolkit.fluxcd.io/v1beta2")
		},
		"images of an older Flux": func(r repository) {
			r.put(flux+"/gotk-components.yaml", controllersOf("v2.9.4", "v1.9.4", "v1.6.3"))
			r.put(flux+"/kustomization.yaml", pinnedBy()["gotk-patches.yaml of EKS Anywhere"].kustomization)
			r.put(flux+"/gotk-patches.yaml", imagePatch)
		},
		"root kustomization that lists all": func(r repository) {
			r.put(root+"/kustomization.yaml", "resources: [dev/eksa-system, w01/eksa-system, w02/eksa-system, flux-system]\n")
		},

		"apps": func(r repository) { r.addApps("w01", "dev") },
		"apps in use": func(r repository) {
			r.addApps("w01")
			r.put(root+"/w01/apps/kustomization.yaml", "resources:\n- app.yaml\n")
			r.put(root+"/w01/apps/app.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n")
		},
		"apps listed for the management cluster": func(r repository) {
			r.addApps("w01")
			r.put(root+"/w01/kustomization.yaml", "resources:\n- eksa-system\n- apps-sync.yaml\n- apps\n")
		},
		"apps without the kustomization that keeps them apart": func(r repository) {
			r.addApps("w01")
			r.remove(root + "/w01/kustomization.yaml")
		},
		"apps not applied": func(r repository) {
			r.addApps("w01")
			r.put(root+"/w01/kustomization.yaml", "resources:\n- eksa-system\n")
		},
		"apps without kubeConfig": func(r repository) {
			r.addApps("w01")
			r.replace(root+"/w01/apps-sync.yaml", "  kubeConfig:\n    secretRef:\n      name: w01-kubeconfig\n", "")
		},
		"apps in another namespace": func(r repository) {
			r.addApps("w01")
			r.replace(root+"/w01/apps-sync.yaml", "namespace: eksa-system", "namespace: apps")
		},
		"apps in no directory": func(r repository) {
			r.addApps("w01")
			r.replace(root+"/w01/apps-sync.yaml", "/w01/apps", "/w01/app")
		},
		"apps of nothing": func(r repository) {
			r.addApps("w01")
			r.put(root+"/w01/apps-sync.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: default\n")
		},
		"apps left when EKS Anywhere removed the spec": func(r repository) {
			r.addApps("w01")
			r.remove(w01)
		},

		"directory renamed":      func(r repository) { r.move(root+"/w01", root+"/w1") },
		"directory moved deeper": func(r repository) { r.move(root+"/w01", root+"/team/w01") },
		"spec in another file":   func(r repository) { r.put(root+"/clusters.yaml", r.text(spec)); r.remove(root + "/w01") },
		"two clusters in a file": func(r repository) {
			r.put(spec, r.text(spec)+"---\n"+r.text(root+"/w02/eksa-system/eksa-cluster.yaml"))
			r.remove(root + "/w02")
		},
		"copied and not renamed":    func(r repository) { r.copy(root+"/w01", root+"/a01") },
		"object of another cluster": func(r repository) { r.replace(spec, "name: w01-md", "name: w02-md") },
		"second management cluster": func(r repository) {
			r.copy(root+"/dev", root+"/two")
			r.replace(root+"/two/eksa-system/eksa-cluster.yaml", "name: dev", "name: two")
		},
		"managed by nobody": func(r repository) {
			r.replace(spec, "managementCluster:\n    name: dev", "managementCluster:\n    name: prod")
		},
		"another fleet's settings":     func(r repository) { r.replace(spec, "repository: fleet", "repository: other") },
		"path that is not where it is": func(r repository) { r.move(root, "clusters/prod") },
		"no gitOpsRef": func(r repository) {
			r.replace(spec, "  gitOpsRef:\n    kind: FluxConfig\n    name: w01\n", "")
			r.put(spec, r.text(spec)[:strings.LastIndex(r.text(spec), "---\n")])
		},
		"another system namespace": func(r repository) {
			r.replace(mgmt+"/eksa-cluster.yaml", "  github:", "  systemNamespace: gitops-system\n  github:")
		},
		"names that differ in case only": func(r repository) { r.put(root+"/W01/notes.md", "x") },
		"no namespace":                   func(r repository) { r.replace(spec, "  namespace: default\n", "") },
		"version without quotes":         func(r repository) { r.replace(spec, `"1.33"`, "1.30") },
		"unknown field":                  func(r repository) { r.replace(spec, "kubernetesVersion", "kubernetsVersion") },
		"object of the user in the spec": func(r repository) { r.put(spec, r.text(spec)+"---\n"+configMap) },
		"merge not finished":             func(r repository) { r.put(spec, "<<<<<<< HEAD\n"+r.text(spec)+"=======\n>>>>>>> topic\n") },
		"not YAML":                       func(r repository) { r.replace(spec, "    count: 3", "   count: 3") },
		"spec without a cluster":         func(r repository) { r.put(spec, configMap) },
		"spec removed alone":             func(r repository) { r.remove(spec) },
		"spec removed and not listed": func(r repository) {
			r.remove(spec)
			r.put(w01+"/x.yaml", configMap)
			r.put(list, "resources:\n- x.yaml\n")
		},
		"kustomization empty": func(r repository) {
			r.put(list, "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n")
		},
		"kustomization of an empty field": func(r repository) {
			r.put(list, "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n")
		},
		"kustomization of nothing":        func(r repository) { r.put(list, "") },
		"kustomization is a list":         func(r repository) { r.put(list, "- eksa-cluster.yaml\n") },
		"kustomization resources no list": func(r repository) { r.put(list, "resources: eksa-cluster.yaml\n") },
		"kustomization misspelled":        func(r repository) { r.replace(list, "resources", "resource") },
		"kustomization of Flux's kind": func(r repository) {
			r.replace(list, "kustomize.config.k8s.io/v1beta1", "kustomize.toolkit.fluxcd.io/v1")
		},
		"kustomization of another kind": func(r repository) { r.replace(list, "kind: Kustomization", "kind: Kustomize") },
		"kustomization not YAML":        func(r repository) { r.put(list, "resources: [\n") },
		"kustomization missing":         func(r repository) { r.remove(list) },
		"kustomization lists others":    func(r repository) { r.put(w01+"/x.yaml", configMap); r.put(list, "resources:\n- x.yaml\n") },
		"kustomization lists what is not": func(r repository) {
			r.put(list, listing+"- gone.yaml\n- ../../../../../etc/passwd\n- /etc/passwd\n- eksa-cluster.yaml\n- ../../w02\n- ..\npatches:\n- path: p.yaml\npatchesStrategicMerge:\n- q.yaml\n- |-\n  kind: X\nsecretGenerator:\n- name: s\n  files: [s=secret.txt]\n  env: e.env\n")
		},
		"unlisted file":               func(r repository) { r.put(w01+"/extra.yaml", configMap) },
		"file that is not Kubernetes": func(r repository) { r.put(root+"/values.yaml", "replicas: 1\n") },
		"file that is not YAML":       func(r repository) { r.put(root+"/values.yaml", "a: [\n") },
		"root kustomization forgets": func(r repository) {
			r.put(root+"/kustomization.yaml", "resources: [dev/eksa-system, w02/eksa-system]\n")
		},
		"root kustomization lists directories": func(r repository) { r.put(root+"/kustomization.yaml", "resources: [dev, w01, w02, flux-system]\n") },
		"link in place of the spec":            func(r repository) { r[spec] = layout.Node{Kind: layout.NodeSymlink} },
		"link in place of a directory":         func(r repository) { r.remove(root + "/w01"); r[root+"/w01"] = layout.Node{Kind: layout.NodeSymlink} },
		"submodule":                            func(r repository) { r.remove(root + "/w01"); r[root+"/w01"] = layout.Node{Kind: layout.NodeSubmodule} },
		"listed submodule": func(r repository) {
			r[w01+"/module"] = layout.Node{Kind: layout.NodeSubmodule}
			r.put(list, listing+"- module/x.yaml\n")
		},
		"spec in Git LFS": func(r repository) { node := r[spec]; node.Filter = "lfs"; r[spec] = node },
		"spec in Git LFS beside a target namespace": func(r repository) {
			node := r[spec]
			node.Filter = "lfs"
			r[spec] = node
			r.replace(flux+"/gotk-sync.yaml", "prune: true", "prune: true\n  targetNamespace: team")
		},
		"spec as Git LFS stores it": func(r repository) {
			r.put(spec, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n")
		},
		"spec through another filter":       func(r repository) { node := r[spec]; node.Filter = "git-crypt"; r[spec] = node },
		"ignored spec":                      func(r repository) { r[spec] = layout.Node{Ignored: true} },
		"spec left out by .sourceignore":    func(r repository) { r.put(".sourceignore", "# not yet\nw01/\n") },
		"cluster left out by .sourceignore": func(r repository) { r.remove(list); r.put(root+"/.sourceignore", "w01\n") },
		"files that Flux leaves out by itself": func(r repository) {
			r.put(root+"/.sops.yaml", "creation_rules: []\n")
			r.put(root+"/.github/workflows/lint.yaml", "on: push\n")
		},
		"variables": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "  prune: true\n", "  prune: true\n  postBuild:\n    substitute:\n      workers: \"4\"\n    substituteFrom:\n    - kind: Secret\n      name: site\n")
			r.replace(spec, "count: 2", "count: ${workers}")
			r.put(root+"/w02/eksa-system/eksa-cluster.yaml", strings.Replace(r.text(root+"/w02/eksa-system/eksa-cluster.yaml"), "name: w02", "name: ${who}", 1))
		},
		"ignored new cluster": func(r repository) {
			r[root+"/w03/eksa-system/eksa-cluster.yaml"] = layout.Node{Ignored: true}
			r[root+"/w03/eksa-system/kustomization.yaml"] = layout.Node{Ignored: true}
		},

		"sync missing": func(r repository) { r.remove(flux + "/gotk-sync.yaml") },
		"sync missing and not listed": func(r repository) {
			r.remove(flux + "/gotk-sync.yaml")
			r.replace(flux+"/kustomization.yaml", "- gotk-sync.yaml\n", "")
		},
		"sync not listed":              func(r repository) { r.replace(flux+"/kustomization.yaml", "- gotk-sync.yaml\n", "") },
		"sync empty":                   func(r repository) { r.put(flux+"/gotk-sync.yaml", "") },
		"sync without a GitRepository": func(r repository) { r.put(flux+"/gotk-sync.yaml", sync[strings.Index(sync, "---\n"):]) },
		"sync not YAML":                func(r repository) { r.put(flux+"/gotk-sync.yaml", "a: [\n") },
		"sync points elsewhere": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "./clusters/dev", "./clusters/prod")
			r.replace(flux+"/gotk-sync.yaml", "branch: main", "branch: master")
			r.replace(flux+"/gotk-sync.yaml", "octo/fleet", "octo/other")
			r.replace(flux+"/gotk-sync.yaml", "    kind: GitRepository\n    name: flux-system", "    kind: GitRepository\n    name: flux")
		},
		"sync in another namespace":      func(r repository) { r.replace(flux+"/gotk-sync.yaml", "namespace: flux-system", "namespace: flux") },
		"sync suspended and not pruning": func(r repository) { r.replace(flux+"/gotk-sync.yaml", "prune: true", "prune: false\n  suspend: true") },
		"components missing":             func(r repository) { r.remove(flux + "/gotk-components.yaml") },
		"components without a controller": func(r repository) {
			r.put(flux+"/gotk-components.yaml", components[:strings.LastIndex(components, "---\n")])
		},
		"components in another namespace": func(r repository) {
			r.replace(flux+"/gotk-components.yaml", "namespace: flux-system", "namespace: flux")
		},
		"components empty":              func(r repository) { r.put(flux+"/gotk-components.yaml", "# nothing\n") },
		"components of another version": func(r repository) { r.replace(flux+"/gotk-components.yaml", "v2.9.3", "v2.9.4") },
		"Flux's kustomization missing":  func(r repository) { r.remove(flux + "/kustomization.yaml") },
		"Flux's kustomization with prefix": func(r repository) {
			r.put(flux+"/kustomization.yaml", r.text(flux+"/kustomization.yaml")+"namePrefix: x-\nnamespace: other\n")
		},
		"sync Kustomization renamed": func(r repository) {
			r.put(flux+"/gotk-sync.yaml", strings.Replace(sync, "kind: Kustomization\nmetadata:\n  name: flux-system", "kind: Kustomization\nmetadata:\n  name: fleet", 1))
		},
		"source renamed": func(r repository) {
			r.put(flux+"/gotk-sync.yaml", strings.NewReplacer("kind: GitRepository\nmetadata:\n  name: flux-system", "kind: GitRepository\nmetadata:\n  name: fleet", "    kind: GitRepository\n    name: flux-system", "    kind: GitRepository\n    name: fleet").Replace(sync))
		},
		"sync changed in all ways": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "  prune: true\n", "  prune: false\n  force: true\n  deletionPolicy: Orphan\n  suspend: true\n  interval: 1h\n  kubeConfig:\n    secretRef: {name: other}\n")
			r.replace(flux+"/gotk-sync.yaml", "  interval: 10m0s\n", "")
			r.replace(flux+"/gotk-sync.yaml", "branch: main", "branch: master")
			r.replace(flux+"/gotk-sync.yaml", "  interval: 1m0s\n", "  interval: 1m0s\n  ignore: |\n    /*\n  suspend: true\n")
		},
		"sync Kustomization renamed by kustomize": func(r repository) {
			r.put(flux+"/kustomization.yaml", r.text(flux+"/kustomization.yaml")+"patches:\n- patch: |-\n    - op: replace\n      path: /metadata/name\n      value: fleet\n  target:\n    kind: Kustomization\n")
		},
		"Flux removed":             func(r repository) { r.remove(flux) },
		"Flux twice":               func(r repository) { r.copy(flux, root+"/flux2") },
		"Flux's directory renamed": func(r repository) { r.move(flux, root+"/gitops-system") },

		"scaled": func(r repository) { r.replace(spec, "count: 2", "count: 5") },
		"immutable on a workload cluster": func(r repository) {
			r.replace(spec, "10.21.0.1", "10.21.0.99")
			r.replace(spec, "osFamily: ubuntu", "osFamily: redhat")
			r.replace(spec, "count: 2", "count: 5")
			r.replace(spec, "insecure: false", "insecure: true")
		},
		"upgrade of the management cluster": func(r repository) { r.replace(mgmt+"/eksa-cluster.yaml", `"1.33"`, `"1.35"`) },
		"comment only":                      func(r repository) { r.put(spec, "# for the web team\n"+r.text(spec)) },
		"cluster in another namespace":      func(r repository) { r.replace(spec, "namespace: default", "namespace: team") },
		"only the Cluster in another namespace": func(r repository) {
			r.put(spec, strings.Replace(r.text(spec), "namespace: default", "namespace: team", 1))
		},
		"management cluster in another namespace": func(r repository) {
			r.replace(mgmt+"/eksa-cluster.yaml", "namespace: default", "namespace: team")
		},
		"cluster of another group": func(r repository) {
			r.put(spec, strings.Replace(r.text(spec), "anywhere.eks.amazonaws.com/v1alpha1", "clusters.example.com/v1", 1))
		},
		"cluster of another kind": func(r repository) {
			r.put(spec, strings.Replace(r.text(spec), "kind: Cluster", "kind: ClusterTemplate", 1))
		},
		"name prefix": func(r repository) { r.put(list, listing+"namePrefix: prod-\n") },
		"name suffix": func(r repository) {
			r.put(root+"/w01/kustomization.yaml", "resources: [eksa-system]\nnameSuffix: -2\n")
		},
		"namespace given": func(r repository) { r.put(list, listing+"namespace: team\n") },
		"name prefix of the management cluster": func(r repository) {
			r.put(mgmt+"/kustomization.yaml", listing+"namePrefix: prod-\n")
		},
		"namespace given above all": func(r repository) {
			r.put(root+"/kustomization.yaml", "resources: [dev/eksa-system, w01/eksa-system, w02/eksa-system, flux-system]\nnamespace: team\n")
		},
		"name prefix given by Flux": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "  prune: true\n", "  prune: true\n  namePrefix: prod-\n")
		},
		"namespace given by Flux": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "  prune: true\n", "  prune: true\n  targetNamespace: team\n")
		},
		"annotated for all": func(r repository) {
			r.put(list, listing+"commonAnnotations:\n  anywhere.eks.amazonaws.com/paused: \"true\"\n")
		},
		"patched": func(r repository) {
			r.put(list, listing+"patches:\n- patch: |-\n    - op: replace\n      path: /spec/workerNodeGroupConfigurations/0/count\n      value: 7\n    - op: replace\n      path: /spec/controlPlaneConfiguration/endpoint/host\n      value: 10.21.0.77\n  target:\n    kind: Cluster\n")
		},
		"renamed by a patch": func(r repository) {
			r.put(list, listing+"patches:\n- patch: |-\n    - op: replace\n      path: /metadata/name\n      value: w09\n  target:\n    kind: Cluster\n")
		},
		"renamed by a component": func(r repository) {
			r.put("components/prod/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: prod-\n")
			r.put(list, listing+"components:\n- ../../../../components/prod\n")
		},
		"patched into what is wrong": func(r repository) {
			r.put(list, listing+"patches:\n- patch: |-\n    - op: replace\n      path: /spec/datacenterRef/name\n      value: other\n  target:\n    kind: Cluster\n")
		},
		"patch of nothing": func(r repository) {
			r.put(list, listing+"patches:\n- patch: |-\n    - op: remove\n      path: /spec/nothing\n  target:\n    kind: Cluster\n")
		},
		"base from elsewhere": func(r repository) { r.put(list, listing+"- https://example.com/base?ref=v1\nnamePrefix: prod-\n") },
		"cluster added": func(r repository) {
			r.copy(root+"/w01", root+"/w03")
			r.replace(root+"/w03/eksa-system/eksa-cluster.yaml", "w01", "w03")
			r.replace(root+"/w03/eksa-system/eksa-cluster.yaml", "10.21.0.1", "10.21.0.3")
		},
		"cluster removed":             func(r repository) { r.remove(root + "/w01") },
		"cluster renamed in its file": func(r repository) { r.replace(spec, "w01", "w09") },
		"cluster renamed with its directory": func(r repository) {
			r.move(root+"/w01", root+"/w09")
			r.replace(root+"/w09/eksa-system/eksa-cluster.yaml", "w01", "w09")
		},
		"cluster moved to another fleet": func(r repository) { r.move(root+"/w01", "clusters/prod/w01") },
		"management cluster removed":     func(r repository) { r.remove(root + "/dev") },
		"management cluster renamed":     func(r repository) { r.replace(mgmt+"/eksa-cluster.yaml", "name: dev", "name: dev2") },
		"workload becomes a management cluster": func(r repository) {
			r.replace(spec, "managementCluster:\n    name: dev", "managementCluster:\n    name: w01")
		},
		"fleet removed": func(r repository) { r.remove(root) },
		"second fleet": func(r repository) {
			r.copy(root, "clusters/prod")
			for _, file := range []string{"dev/eksa-system/eksa-cluster.yaml", "w01/eksa-system/eksa-cluster.yaml", "w02/eksa-system/eksa-cluster.yaml", "flux-system/gotk-sync.yaml"} {
				r.put("clusters/prod/"+file, strings.NewReplacer("name: dev", "name: prod", "clusters/dev", "clusters/prod").Replace(r.text("clusters/prod/"+file)))
			}
			r.move("clusters/prod/dev", "clusters/prod/prod")
		},
		"fleet within a fleet": func(r repository) {
			r.copy(root, root+"/inner")
			r.replace(root+"/inner/flux-system/gotk-sync.yaml", "./clusters/dev", "./clusters/dev/inner")
			r.remove(root + "/inner/dev")
			r.remove(root + "/inner/w01")
			r.remove(root + "/inner/w02")
		},
		"secret changed": func(r repository) {
			r.replace(spec, "spec:\n  kubernetesVersion", "spec:\n  licenseToken: very-secret\n  kubernetesVersion")
		},
	}
}

// The repository that Flux fetches is compared as its host does: GitHub knows no case, a generic Git server does.
func TestCheckRepository_sourceCase(t *testing.T) {
	t.Parallel()
	sources := func(url, provider string) (n int) {
		r := newRepository(t)
		r.replace(flux+"/gotk-sync.yaml", "ssh://git@github.com/octo/fleet", url)
		if provider != "" {
			spec := root + "/dev/eksa-system/eksa-cluster.yaml"
			r.put(spec, regexp.MustCompile(`(?m)^  github:\n(    .*\n)+`).ReplaceAllString(r.text(spec), provider))
		}
		for _, p := range check(t, layout.Tree(r), nil).Problems {
			if p.Rule == "flux-source" {
				n++
			}
		}
		return n
	}
	const git = "  git:\n    repositoryUrl: ssh://git@git.example.com/octo/fleet.git\n"
	for _, tc := range []struct {
		url, provider string
		want          int
	}{
		{"ssh://git@github.com/Octo/FLEET.git", "", 0},
		{"ssh://git@git.example.com/octo/fleet", git, 0},
		{"ssh://git@git.example.com/octo/Fleet", git, 1},
	} {
		if got := sources(tc.url, tc.provider); got != tc.want {
			t.Errorf("%s: %d findings, want %d", tc.url, got, tc.want)
		}
	}
}

// TestCheckRepository breaks a repository in every way there is and compares all that is said with testdata/lint/repository.txt.
func TestCheckRepository(t *testing.T) {
	t.Parallel()
	const file = "../../testdata/lint/repository.txt"
	golden := map[string]string{}
	content, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for section := range strings.SplitSeq(string(content), "\n## ") {
		name, text, _ := strings.Cut(section, "\n")
		golden[strings.TrimPrefix(name, "## ")] = strings.TrimSuffix(text, "\n")
	}
	got := map[string]string{}
	cases := brokenRepositories()
	known := map[string]bool{}
	for _, rule := range layout.Rules() {
		known[rule.Name] = false
	}
	for name, damage := range cases {
		r := newRepository(t)
		damage(r)
		report, err := layout.CheckRepository(layout.Tree(r), layout.Tree(newRepository(t)), layout.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Problems {
			if _, ours := known[p.Rule]; ours {
				known[p.Rule] = true
			}
		}
		got[name] = describeReport(report)
		// Without a base there are the same problems, but for what the change does.
		for _, p := range check(t, layout.Tree(r), nil).Problems {
			if !slices.Contains(report.Problems, p) && !slices.Contains([]string{"flux-missing", "no-management-cluster", "no-clusters"}, p.Rule) {
				t.Errorf("%s: only without a base: %s", name, p)
			}
		}
	}
	for rule, seen := range known {
		if alone := []string{"no-clusters", "no-management-cluster", "flux-missing", "change-ignored"}; !seen && !slices.Contains(alone, rule) {
			t.Errorf("no repository breaks rule %s", rule)
		}
	}
	if *update {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(got)) {
			b.WriteString("## " + name + "\n" + got[name] + "\n\n")
		}
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(b.String(), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name := range cases {
		if want := strings.TrimSpace(golden[name]); strings.TrimSpace(got[name]) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got[name], want)
		}
	}
	if len(golden) != len(cases) {
		t.Errorf("%d repositories, %d in the golden file", len(cases), len(golden))
	}
}

// describeReport is what the golden file holds of a report. What clusterspec says of the specs is tested there, and is here only as far
// as it is put into other words.
func describeReport(report *layout.RepositoryReport) string {
	shown := map[string]bool{"duplicate-object": true, "two-management-clusters": true, "foreign-object": true}
	for _, rule := range layout.Rules() {
		shown[rule.Name] = true
	}
	var lines []string
	for _, p := range report.Problems {
		switch {
		case shown[p.Rule]:
			lines = append(lines, fmt.Sprintf("%s %s: %s", p.Severity, p.Rule, p))
		case p.Rule == "unquoted-version" || p.Rule == "not-yaml":
			lines = append(lines, fmt.Sprintf("%s %s: %s:%d:%d", p.Severity, p.Rule, p.File, p.Line, p.Column))
		}
	}
	for _, c := range report.Changes {
		line := fmt.Sprintf("%s: %s %s of %s in %s", c.Verdict, c.Object, c.Field, c.Cluster, c.Fleet)
		if c.Field != "" {
			line += fmt.Sprintf(": %q to %q", c.Old, c.New)
		}
		if c.Message != "" && c.Field == "" {
			line += ": " + c.Message
		}
		lines = append(lines, line)
	}
	for _, f := range report.Fleets {
		if f.Broken {
			lines = append(lines, "Flux applies nothing of "+f.Path)
		}
	}
	return strings.Join(lines, "\n")
}

// TestCheckRepository_withoutBase shows what a base would say better.
func TestCheckRepository_withoutBase(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		damage func(repository)
		want   string
	}{
		"nothing": {func(r repository) { r.remove("clusters") }, "error no-clusters: there is no cluster in the repository; expected <path>/<cluster>/eksa-system/eksa-cluster.yaml"},
		"no Flux": {
			func(r repository) { r.remove(flux) },
			"error flux-missing: clusters/dev/dev/eksa-system/eksa-cluster.yaml:33:3: Cluster dev: spec.gitOpsRef: Flux's own files are missing; a Flux that was installed from them removes itself; expected clusters/dev/flux-system/gotk-components.yaml, gotk-sync.yaml, kustomization.yaml",
		},
		"no management cluster": {
			func(r repository) { r.remove(root + "/dev") },
			`warning no-management-cluster: clusters/dev/w01/eksa-system/eksa-cluster.yaml:34:11: Cluster w01: spec.managementCluster.name: the management cluster has no directory here; found "dev"; expected clusters/dev/dev/eksa-system/eksa-cluster.yaml`,
		},
		"workload clusters only": {
			func(r repository) { r.remove(root + "/dev"); r.remove(flux) },
			`warning no-management-cluster: clusters/dev/w01/eksa-system/eksa-cluster.yaml:34:11: Cluster w01: spec.managementCluster.name: neither the management cluster nor Flux has a directory here; only Flux on that cluster applies these files; found "dev"; expected clusters/dev/dev/eksa-system/eksa-cluster.yaml`,
		},
	} {
		r := newRepository(t)
		test.damage(r)
		if got := describeReport(check(t, layout.Tree(r), nil)); got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, test.want)
		}
	}
}

// TestCheckRepository_firstCommit compares with a state before there was any cluster.
func TestCheckRepository_firstCommit(t *testing.T) {
	t.Parallel()
	report := check(t, layout.Tree(newRepository(t)), layout.Tree{})
	for _, p := range report.Problems {
		if p.Rule != "cluster-created" || p.Severity != clusterspec.SeverityNotice {
			t.Error(p)
		}
	}
	if len(report.Problems) != 3 || len(report.Changes) != 15 {
		t.Errorf("%d problems, %d changes", len(report.Problems), len(report.Changes))
	}
}

// TestCheckRepository_within reports what is in one directory, with the rest of the fleet known.
func TestCheckRepository_within(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	for _, name := range []string{"w01", "w02"} {
		r.replace(root+"/"+name+"/eksa-system/eksa-cluster.yaml", "count: 2", "cuont: 2")
	}
	for within, want := range map[string][]string{
		"": {root + "/w01", root + "/w02"}, ".": {root + "/w01", root + "/w02"}, root: {root + "/w01", root + "/w02"}, root + "/w02": {root + "/w02"}, root + "/w02/eksa-system": {root + "/w02"},
		flux: nil, "docs": {""}, "clusters/dev2": {""},
	} {
		report, err := layout.CheckRepository(layout.Tree(r), nil, layout.Options{Within: within})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range report.Problems {
			got = append(got, strings.TrimSuffix(p.File, "/eksa-system/eksa-cluster.yaml"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", within, report.Problems, want)
		}
	}
}

// TestCheckRepository_goldenTrees lints every tree that the package writes.
func TestCheckRepository_goldenTrees(t *testing.T) {
	t.Parallel()
	files, err := fixture.Glob("../../testdata/layout/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden trees: %v", err)
	}
	for _, file := range files {
		golden, err := readArchive(file)
		if err != nil {
			t.Fatal(err)
		}
		r := repository{}
		for _, f := range golden.files[1:] {
			dir, base := filepath.Split(f.Path)
			namespace := filepath.Base(dir)
			switch base {
			case "without-gitops":
				continue
			case layout.ComponentsFile:
				f.Content = []byte(strings.ReplaceAll(components, "flux-system", namespace))
			case layout.SyncFile:
				f.Content = []byte(strings.NewReplacer("./clusters/dev", "./"+filepath.Dir(filepath.Clean(dir)), "flux-system", namespace).Replace(syncFor(golden)))
			}
			r.put(f.Path, string(f.Content))
		}
		workload := strings.Contains(file, "-workload-")
		problems := check(t, layout.Tree(r), nil).Problems
		for _, p := range problems {
			if p.Severity == clusterspec.SeverityError || p.Rule != "no-management-cluster" && p.Rule != "deprecated" && p.Rule != "vsphere" && p.Rule != "release" {
				t.Errorf("%s: %s %s", file, p.Rule, p)
			}
		}
		if alone := slices.ContainsFunc(problems, func(p clusterspec.Problem) bool { return p.Rule == "no-management-cluster" }); alone != workload {
			t.Errorf("%s: %v", file, problems)
		}
	}
}

// syncFor is Flux's sync manifest for the branch and the repository of a golden tree.
func syncFor(golden *archive) string {
	text := string(golden.files[0].Content)
	branch, url := "main", "ssh://git@github.com/octo/fleet"
	if found := regexp.MustCompile(`branch: (\S+)`).FindStringSubmatch(text); found != nil {
		branch = found[1]
	}
	if found := regexp.MustCompile(`repositoryUrl: (\S+)`).FindStringSubmatch(text); found != nil {
		url = found[1]
	}
	return strings.NewReplacer("branch: main", "branch: "+branch, "ssh://git@github.com/octo/fleet", url).Replace(sync)
}

// FuzzCheckRepository reads files of Flux's and kustomize's that anybody may have written in a pull request: it ends, whatever is in them.
func FuzzCheckRepository(f *testing.F) {
	f.Add(listing, sync)
	f.Add("a: &a [*a]\nresources: *a\n", "a: &a {b: *a}\nkind: Kustomization\nmetadata: {name: flux-system}\n")
	f.Add("resources: {}\npatches: [[]]\nbases: [..]\n", "kind: GitRepository\n---\n- 1\n")
	f.Add("<<<<<<< a\n>>>>>>> b\n", "%YAML 9\n")
	f.Fuzz(func(t *testing.T, listing, sync string) {
		r := repository{}
		r.put(w01+"/kustomization.yaml", listing)
		r.put(w01+"/eksa-cluster.yaml", "")
		r.put(flux+"/kustomization.yaml", listing)
		r.put(flux+"/gotk-sync.yaml", sync)
		r.put(flux+"/gotk-components.yaml", sync)
		base := maps.Clone(r)
		base.put(flux+"/gotk-sync.yaml", sync+"\n# changed\n")
		check(t, layout.Tree(r), layout.Tree(base))
	})
}

// BenchmarkCheckRepository checks 1,000 clusters, alone and against a base in which one is different.
func BenchmarkCheckRepository(b *testing.B) {
	tree, base := fleetOf(b, 1000), fleetOf(b, 1000)
	base.replace(w01+"/eksa-cluster.yaml", "count: 2", "count: 3")
	for name, base := range map[string]layout.Tree{"alone": nil, "base": layout.Tree(base)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				report := check(b, layout.Tree(tree), base)
				if len(report.Fleets[0].Clusters) != 1000 || base != nil && len(report.Changes) != 1 {
					b.Fatalf("%v", report.Problems)
				}
			}
		})
	}
}
