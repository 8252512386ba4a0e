package lint_test

import (
	"maps"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// brokenRepositories are the ways to break a repository, by what each shows. Each is compared with the whole
// one.
func brokenRepositories() map[string]func(repository) {
	spec, list := w01+"/eksa-cluster.yaml", w01+"/kustomization.yaml"
	configMap := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: default\n"
	all := map[string]func(repository){
		"nothing changed": func(repository) {},
		"user files are allowed": func(r repository) {
			r.put(w01+"/extra.yaml", configMap)
			r.put(w01+"/patch.yaml", "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\n"+
				"metadata:\n  name: w01\nspec:\n  kubernetesVersion: \"1.33\"\n")
			r.put(w01+"/notes.md", "x")
			r.put(w01+"/data.properties", "a=b\n")
			r.put(list, listing+"- extra.yaml\n- https://example.com/base.yaml\npatches:\n"+
				"- path: patch.yaml\nconfigMapGenerator:\n- name: g\n  files:\n  - key=data.properties\n")
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
			r.put(flux+"/kustomization.yaml", r.text(flux+"/kustomization.yaml")+"namespace: flux-system\n"+
				"patches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata:\n"+
				"      name: all\n      labels:\n        a: b\n  target:\n    kind: Deployment\n")
		},
		"version that Flux does not serve": func(r repository) {
			r.put(flux+"/gotk-components.yaml", definitions)
			r.replace(flux+"/gotk-sync.yaml", "source.toolkit.fluxcd.io/v1",
				"source.toolkit.fluxcd.io/v1beta2")
		},
		"images of an older Flux": func(r repository) {
			r.put(flux+"/gotk-components.yaml", controllersOf("v2.9.4", "v1.9.4", "v1.6.3"))
			r.put(flux+"/kustomization.yaml", pinnedBy()["gotk-patches.yaml of EKS Anywhere"].kustomization)
			r.put(flux+"/gotk-patches.yaml", imagePatch)
		},
		"sparse checkout": func(r repository) { r.fetchOnly("clusters/dev/") },
		"sparse checkout of a name's beginning": func(r repository) {
			r.fetchOnly("clusters/de")
			r.put("clusters/default/kustomization.yaml", "resources: [x.yaml]\n")
			r.put("clusters/default/x.yaml", configMap)
			r.put(list, listing+"- ../../../default\n")
		},
		"sparse checkout and a base outside": func(r repository) {
			r.fetchOnly("clusters/dev/")
			r.put("base/kustomization.yaml", "resources: [x.yaml]\n")
			r.put("base/x.yaml", configMap)
			r.put(list, listing+"- ../../../../base\n")
		},
		"sparse checkout and a patch outside": func(r repository) {
			r.fetchOnly("clusters/dev/")
			r.put("patch.yaml", "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\n"+
				"metadata:\n  name: w01\nspec: {}\n")
			r.put(list, listing+"patches:\n- path: ../../../../patch.yaml\n")
		},
		"sparse checkout and a Kustomization outside": func(r repository) {
			r.fetchOnly("clusters/dev/")
			r.put(root+"/infra.yaml", fluxManifest("Kustomization", "infra",
				"  interval: 10m\n  path: ./infra\n  prune: true\n  sourceRef:\n    kind: GitRepository\n"+
					"    name: flux-system\n    namespace: flux-system\n"))
			r.put("infra/x.yaml", configMap)
		},
		"sparse checkout and an ignore file outside": func(r repository) {
			r.put(".sourceignore", "/clusters/dev/old/\n")
			r.put(root+"/old/x.yaml", configMap)
			r.fetchOnly("clusters/dev/")
		},
		"sparse checkout without a cluster": func(r repository) {
			r.fetchOnly("clusters/dev/dev/", "clusters/dev/flux-system/")
		},
		"root kustomization that lists all": func(r repository) {
			r.put(root+"/kustomization.yaml",
				"resources: [dev/eksa-system, w01/eksa-system, w02/eksa-system, flux-system]\n")
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
			r.replace(root+"/w01/apps-sync.yaml",
				"  kubeConfig:\n    secretRef:\n      name: w01-kubeconfig\n", "")
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
			r.put(root+"/w01/apps-sync.yaml",
				"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: default\n")
		},
		"apps left when EKS Anywhere removed the spec": func(r repository) {
			r.addApps("w01")
			r.remove(w01)
		},

		"directory renamed":      func(r repository) { r.move(root+"/w01", root+"/w1") },
		"directory moved deeper": func(r repository) { r.move(root+"/w01", root+"/team/w01") },
		"spec in another file": func(r repository) {
			r.put(root+"/clusters.yaml", r.text(spec))
			r.remove(root + "/w01")
		},
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
		"another fleet's settings": func(r repository) {
			r.replace(spec, "repository: fleet", "repository: other")
		},
		"path that is not where it is": func(r repository) { r.move(root, "clusters/prod") },
		"no gitOpsRef": func(r repository) {
			r.replace(spec, "  gitOpsRef:\n    kind: FluxConfig\n    name: w01\n", "")
			r.put(spec, r.text(spec)[:strings.LastIndex(r.text(spec), "---\n")])
		},
		"another system namespace": func(r repository) {
			r.replace(mgmt+"/eksa-cluster.yaml", "  github:", "  systemNamespace: gitops-system\n  github:")
		},
		"names that differ in case only": func(r repository) { r.put(root+"/W01/notes.md", "x") },
		"no namespace": func(r repository) {
			r.replace(spec, "  namespace: default\n", "")
		},
		"version without quotes": func(r repository) { r.replace(spec, `"1.33"`, "1.30") },
		"unknown field": func(r repository) {
			r.replace(spec, "kubernetesVersion", "kubernetsVersion")
		},
		"object of the user in the spec": func(r repository) { r.put(spec, r.text(spec)+"---\n"+configMap) },
		"merge not finished": func(r repository) {
			r.put(spec, "<<<<<<< HEAD\n"+r.text(spec)+"=======\n>>>>>>> topic\n")
		},
		"not YAML":               func(r repository) { r.replace(spec, "    count: 3", "   count: 3") },
		"spec without a cluster": func(r repository) { r.put(spec, configMap) },
		"spec removed alone":     func(r repository) { r.remove(spec) },
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
		"kustomization of nothing": func(r repository) { r.put(list, "") },
		"kustomization is a list":  func(r repository) { r.put(list, "- eksa-cluster.yaml\n") },
		"kustomization resources no list": func(r repository) {
			r.put(list, "resources: eksa-cluster.yaml\n")
		},
		"kustomization misspelled": func(r repository) { r.replace(list, "resources", "resource") },
		"kustomization of Flux's kind": func(r repository) {
			r.replace(list, "kustomize.config.k8s.io/v1beta1", "kustomize.toolkit.fluxcd.io/v1")
		},
		"kustomization of another kind": func(r repository) {
			r.replace(list, "kind: Kustomization", "kind: Kustomize")
		},
		"kustomization not YAML": func(r repository) { r.put(list, "resources: [\n") },
		"kustomization missing":  func(r repository) { r.remove(list) },
		"kustomization lists others": func(r repository) {
			r.put(w01+"/x.yaml", configMap)
			r.put(list, "resources:\n- x.yaml\n")
		},
		"kustomization lists what is not": func(r repository) {
			r.put(list,
				listing+"- gone.yaml\n- ../../../../../etc/passwd\n- /etc/passwd\n- eksa-cluster.yaml\n"+
					"- ../../w02\n- ..\npatches:\n- path: p.yaml\npatchesStrategicMerge:\n- q.yaml\n- |-\n"+
					"  kind: X\nsecretGenerator:\n- name: s\n  files: [s=secret.txt]\n  env: e.env\n")
		},
		"unlisted file":               func(r repository) { r.put(w01+"/extra.yaml", configMap) },
		"file that is not Kubernetes": func(r repository) { r.put(root+"/values.yaml", "replicas: 1\n") },
		"file that is not YAML":       func(r repository) { r.put(root+"/values.yaml", "a: [\n") },
		"root kustomization forgets": func(r repository) {
			r.put(root+"/kustomization.yaml", "resources: [dev/eksa-system, w02/eksa-system]\n")
		},
		"root kustomization lists directories": func(r repository) {
			r.put(root+"/kustomization.yaml", "resources: [dev, w01, w02, flux-system]\n")
		},
		"link in place of the spec": func(r repository) { r[spec] = lint.Node{Kind: lint.NodeSymlink} },
		"link in place of a directory": func(r repository) {
			r.remove(root + "/w01")
			r[root+"/w01"] = lint.Node{Kind: lint.NodeSymlink}
		},
		"submodule": func(r repository) {
			r.remove(root + "/w01")
			r[root+"/w01"] = lint.Node{Kind: lint.NodeSubmodule}
		},
		"listed submodule": func(r repository) {
			r[w01+"/module"] = lint.Node{Kind: lint.NodeSubmodule}
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
			r.put(spec, "version https://git-lfs.github.com/spec/v1\n"+
				"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n")
		},
		"spec through another filter": func(r repository) {
			node := r[spec]
			node.Filter = "git-crypt"
			r[spec] = node
		},
		"ignored spec":                   func(r repository) { r[spec] = lint.Node{Ignored: true} },
		"spec left out by .sourceignore": func(r repository) { r.put(".sourceignore", "# not yet\nw01/\n") },
		"cluster left out by .sourceignore": func(r repository) {
			r.remove(list)
			r.put(root+"/.sourceignore", "w01\n")
		},
		"files that Flux leaves out by itself": func(r repository) {
			r.put(root+"/.sops.yaml", "creation_rules: []\n")
			r.put(root+"/.github/workflows/lint.yaml", "on: push\n")
		},
		"variables": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "  prune: true\n",
				"  prune: true\n  postBuild:\n    substitute:\n      workers: \"4\"\n    substituteFrom:\n"+
					"    - kind: Secret\n      name: site\n")
			r.replace(spec, "count: 2", "count: ${workers}")
			r.put(root+"/w02/eksa-system/eksa-cluster.yaml",
				strings.Replace(r.text(root+"/w02/eksa-system/eksa-cluster.yaml"), "name: w02",
					"name: ${who}", 1))
		},
		"ignored new cluster": func(r repository) {
			r[root+"/w03/eksa-system/eksa-cluster.yaml"] = lint.Node{Ignored: true}
			r[root+"/w03/eksa-system/kustomization.yaml"] = lint.Node{Ignored: true}
		},

		"sync missing": func(r repository) { r.remove(flux + "/gotk-sync.yaml") },
		"sync missing and not listed": func(r repository) {
			r.remove(flux + "/gotk-sync.yaml")
			r.replace(flux+"/kustomization.yaml", "- gotk-sync.yaml\n", "")
		},
		"sync not listed": func(r repository) {
			r.replace(flux+"/kustomization.yaml", "- gotk-sync.yaml\n", "")
		},
		"sync empty": func(r repository) { r.put(flux+"/gotk-sync.yaml", "") },
		"sync without a GitRepository": func(r repository) {
			r.put(flux+"/gotk-sync.yaml", sync[strings.Index(sync, "---\n"):])
		},
		"sync not YAML": func(r repository) { r.put(flux+"/gotk-sync.yaml", "a: [\n") },
		"sync points elsewhere": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "./clusters/dev", "./clusters/prod")
			r.replace(flux+"/gotk-sync.yaml", "branch: main", "branch: master")
			r.replace(flux+"/gotk-sync.yaml", "octo/fleet", "octo/other")
			r.replace(flux+"/gotk-sync.yaml", "    kind: GitRepository\n    name: flux-system",
				"    kind: GitRepository\n    name: flux")
		},
		"sync in another namespace": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "namespace: flux-system", "namespace: flux")
		},
		"sync suspended and not pruning": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "prune: true", "prune: false\n  suspend: true")
		},
		"components missing": func(r repository) { r.remove(flux + "/gotk-components.yaml") },
		"components without a controller": func(r repository) {
			r.put(flux+"/gotk-components.yaml", components[:strings.LastIndex(components, "---\n")])
		},
		"components in another namespace": func(r repository) {
			r.replace(flux+"/gotk-components.yaml", "namespace: flux-system", "namespace: flux")
		},
		"components empty": func(r repository) { r.put(flux+"/gotk-components.yaml", "# nothing\n") },
		"components of another version": func(r repository) {
			r.replace(flux+"/gotk-components.yaml", "v2.9.3", "v2.9.4")
		},
		"Flux's kustomization missing": func(r repository) { r.remove(flux + "/kustomization.yaml") },
		"Flux's kustomization with prefix": func(r repository) {
			r.put(flux+"/kustomization.yaml",
				r.text(flux+"/kustomization.yaml")+"namePrefix: x-\nnamespace: other\n")
		},
		"sync Kustomization renamed": func(r repository) {
			r.put(flux+"/gotk-sync.yaml", strings.Replace(sync, "kind: Kustomization\nmetadata:\n"+
				"  name: flux-system", "kind: Kustomization\nmetadata:\n  name: fleet", 1))
		},
		"source renamed": func(r repository) {
			r.put(flux+"/gotk-sync.yaml",
				strings.NewReplacer("kind: GitRepository\nmetadata:\n  name: flux-system",
					"kind: GitRepository\nmetadata:\n  name: fleet", "    kind: GitRepository\n"+
						"    name: flux-system", "    kind: GitRepository\n    name: fleet").Replace(sync))
		},
		"sync changed in all ways": func(r repository) {
			r.replace(flux+"/gotk-sync.yaml", "  prune: true\n",
				"  prune: false\n  force: true\n  deletionPolicy: Orphan\n  suspend: true\n  interval: 1h\n"+
					"  kubeConfig:\n    secretRef: {name: other}\n")
			r.replace(flux+"/gotk-sync.yaml", "  interval: 10m0s\n", "")
			r.replace(flux+"/gotk-sync.yaml", "branch: main", "branch: master")
			r.replace(flux+"/gotk-sync.yaml", "  interval: 1m0s\n",
				"  interval: 1m0s\n  ignore: |\n    /docs/\n  suspend: true\n")
		},
		"sync Kustomization renamed by kustomize": func(r repository) {
			r.put(flux+"/kustomization.yaml",
				r.text(flux+"/kustomization.yaml")+"patches:\n- patch: |-\n    - op: replace\n"+
					"      path: /metadata/name\n      value: fleet\n  target:\n    kind: Kustomization\n")
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
		"upgrade of the management cluster": func(r repository) {
			r.replace(mgmt+"/eksa-cluster.yaml", `"1.33"`, `"1.35"`)
		},
		"comment only": func(r repository) { r.put(spec, "# for the web team\n"+r.text(spec)) },
		"cluster in another namespace": func(r repository) {
			r.replace(spec, "namespace: default", "namespace: team")
		},
		"only the Cluster in another namespace": func(r repository) {
			r.put(spec, strings.Replace(r.text(spec), "namespace: default", "namespace: team", 1))
		},
		"management cluster in another namespace": func(r repository) {
			r.replace(mgmt+"/eksa-cluster.yaml", "namespace: default", "namespace: team")
		},
		"cluster of another group": func(r repository) {
			r.put(spec, strings.Replace(r.text(spec), "anywhere.eks.amazonaws.com/v1alpha1",
				"clusters.example.com/v1", 1))
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
			r.put(root+"/kustomization.yaml",
				"resources: [dev/eksa-system, w01/eksa-system, w02/eksa-system, flux-system]\n"+
					"namespace: team\n")
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
			r.put(list, listing+"patches:\n- patch: |-\n    - op: replace\n"+
				"      path: /spec/workerNodeGroupConfigurations/0/count\n      value: 7\n"+
				"    - op: replace\n      path: /spec/controlPlaneConfiguration/endpoint/host\n"+
				"      value: 10.21.0.77\n  target:\n    kind: Cluster\n")
		},
		"renamed by a patch": func(r repository) {
			r.put(list, listing+"patches:\n- patch: |-\n    - op: replace\n      path: /metadata/name\n"+
				"      value: w09\n  target:\n    kind: Cluster\n")
		},
		"renamed by a component": func(r repository) {
			r.put("components/prod/kustomization.yaml",
				"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: prod-\n")
			r.put(list, listing+"components:\n- ../../../../components/prod\n")
		},
		"patched into what is wrong": func(r repository) {
			r.put(list, listing+"patches:\n- patch: |-\n    - op: replace\n"+
				"      path: /spec/datacenterRef/name\n      value: other\n  target:\n    kind: Cluster\n")
		},
		"patch of nothing": func(r repository) {
			r.put(list, listing+"patches:\n- patch: |-\n    - op: remove\n      path: /spec/nothing\n"+
				"  target:\n    kind: Cluster\n")
		},
		"base from elsewhere": func(r repository) {
			r.put(list, listing+"- https://example.com/base?ref=v1\nnamePrefix: prod-\n")
		},
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
		"management cluster renamed": func(r repository) {
			r.replace(mgmt+"/eksa-cluster.yaml", "name: dev", "name: dev2")
		},
		"workload becomes a management cluster": func(r repository) {
			r.replace(spec, "managementCluster:\n    name: dev", "managementCluster:\n    name: w01")
		},
		"fleet removed": func(r repository) { r.remove(root) },
		"second fleet": func(r repository) {
			r.copy(root, "clusters/prod")
			for _, file := range []string{"dev/eksa-system/eksa-cluster.yaml",
				"w01/eksa-system/eksa-cluster.yaml", "w02/eksa-system/eksa-cluster.yaml",
				"flux-system/gotk-sync.yaml"} {
				r.put("clusters/prod/"+file, strings.NewReplacer("name: dev", "name: prod", "clusters/dev",
					"clusters/prod").Replace(r.text("clusters/prod/"+file)))
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
		"what only EKS Anywhere's command makes good": func(r repository) {
			r.replace(mgmt+"/eksa-cluster.yaml", "cniConfig:\n      cilium: {}", "cni: cilium")
			r.replace(mgmt+"/eksa-cluster.yaml", "  template: /DC1/vm/Templates/ubuntu-2204-1.33\n", "")
		},
		"secret changed": func(r repository) {
			r.replace(spec, "spec:\n  kubernetesVersion",
				"spec:\n  licenseToken: very-secret\n  kubernetesVersion")
		},
	}
	maps.Copy(all, brokenFetches())
	return all
}
