package layout_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

const (
	plainSystem = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n" +
		"- gotk-components.yaml\n- gotk-sync.yaml\n"
	listing = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n" +
		"- eksa-cluster.yaml\n"
	keep = "kustomize.toolkit.fluxcd.io/prune: disabled"
)

// TestProtect: what is written for a new fleet, and what an existing one gets, keeps the same objects, and is
// left alone the next time.
func TestProtect(t *testing.T) {
	t.Parallel()
	imagePatch := "- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata:\n" +
		"      name: helm-controller\n      namespace: flux-system\n    spec:\n      replicas: 2\n"
	system := func(content string) ([]byte, error) {
		return layout.ProtectSystem([]byte(content), "flux-system")
	}
	cluster := func(content string) ([]byte, error) { return layout.ProtectCluster([]byte(content)) }
	for name, test := range map[string]struct {
		protect func(string) ([]byte, error)
		before  string
		lines   []string // that are there afterwards, too
	}{
		"Flux's own": {system, plainSystem, strings.Split(plainSystem, "\n")},
		"EKS Anywhere's": {system,
			strings.Replace(plainSystem, "resources", "namespace: flux-system\nresources", 1) + "patches:\n" +
				imagePatch,
			strings.Split(imagePatch, "\n")},
		"without last newline": {system, strings.TrimSuffix(plainSystem, "\n"), []string{"- gotk-sync.yaml"}},
		"in one line": {system,
			"resources: [gotk-components.yaml, gotk-sync.yaml]\npatches: []\n", nil},
		"the cluster's": {cluster, listing, strings.Split(listing, "\n")},
		"EKS Anywhere's of the cluster": {cluster, strings.TrimSuffix(listing, "\n"),
			[]string{"- eksa-cluster.yaml"}},
		"with annotations": {cluster, listing + "commonAnnotations:\n  team: web # ours\n",
			[]string{"  team: web # ours"}},
		"with empty annotations": {cluster, listing + "commonAnnotations: {}\n", nil},
		"with none":              {cluster, listing + "commonAnnotations:\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.protect(test.before)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range test.lines {
				if !strings.Contains(string(got), line) {
					t.Errorf("%q is not in\n%s", line, got)
				}
			}
			if again, err := test.protect(string(got)); err != nil || string(again) != string(got) ||
				strings.Count(string(got), keep) != 1 {
				t.Errorf("a second time: %v\n%s\nafter\n%s", err, again, got)
			}
		})
	}
	for _, content := range []string{"- a\n", "a: [\n", ""} {
		for kind, protect := range map[string]func(string) ([]byte, error){"Flux": system,
			"cluster": cluster} {
			if got, err := protect(content); err == nil {
				t.Errorf("%s: %q became %q", kind, content, got)
			}
		}
	}
	if fresh, err := cluster(listing); err != nil ||
		string(fresh) != string(layout.ManagementKustomization()) {
		t.Errorf("an existing cluster gets\n%s\na new one\n%s", fresh, layout.ManagementKustomization())
	}
}

// tree gives files in memory to the builder.
type tree map[string]string

func (r tree) IsFile(name string) bool { _, ok := r[name]; return ok }

func (r tree) IsDir(name string) bool { return len(r.List(name)) > 0 }

func (r tree) Read(name string) ([]byte, error) { return []byte(r[name]), nil }

func (r tree) List(dir string) []string {
	var names []string
	for file := range r {
		if below, ok := strings.CutPrefix(file, dir+"/"); ok {
			name, _, _ := strings.Cut(below, "/")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// protectedFleet is a fleet in clusters/dev: management cluster dev, workload cluster w01, and the objects of
// Flux that matter.
func protectedFleet(t *testing.T) tree {
	t.Helper()
	r := tree{}
	rename := strings.NewReplacer("name: dev", "name: w01", "name: mgmt", "name: dev")
	for name, from := range map[string]string{"dev": "vsphere-management-github",
		"w01": "vsphere-workload-github"} {
		spec, err := os.ReadFile("../../testdata/specs/valid/" + from + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile(`(metadata:\n  name: [^\n]*\n)`).ReplaceAllString(string(spec),
			"${1}  namespace: default\n")
		if name == "w01" {
			text = rename.Replace(text)
		}
		r["clusters/dev/"+name+"/eksa-system/eksa-cluster.yaml"] = text
		r["clusters/dev/"+name+"/eksa-system/kustomization.yaml"] = listing
	}
	r["clusters/dev/dev/eksa-system/kustomization.yaml"] = string(layout.ManagementKustomization())
	objects := func(list ...[3]string) (text string) {
		for _, o := range list {
			text += "---\napiVersion: " + o[0] + "\nkind: " + o[1] + "\nmetadata:\n  name: " + o[2] + "\n"
			if !slices.Contains([]string{"Namespace", "CustomResourceDefinition"}, o[1]) {
				text += "  namespace: flux-system\n"
			}
		}
		return text
	}
	r["clusters/dev/flux-system/gotk-components.yaml"] = objects(
		[3]string{"v1", "Namespace", "flux-system"},
		[3]string{"apiextensions.k8s.io/v1", "CustomResourceDefinition",
			"gitrepositories.source.toolkit.fluxcd.io"},
		[3]string{"apiextensions.k8s.io/v1", "CustomResourceDefinition",
			"kustomizations.kustomize.toolkit.fluxcd.io"},
		[3]string{"apiextensions.k8s.io/v1", "CustomResourceDefinition",
			"helmreleases.helm.toolkit.fluxcd.io"},
		[3]string{"apps/v1", "Deployment", "source-controller"},
		[3]string{"apps/v1", "Deployment", "kustomize-controller"},
		[3]string{"apps/v1", "Deployment", "helm-controller"},
	)
	r["clusters/dev/flux-system/gotk-sync.yaml"] = objects(
		[3]string{"source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system"},
		[3]string{"kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system"},
	)
	return r
}

// TestProtect_built: the management cluster's objects and what Flux cannot do without are kept; workload
// clusters, and controllers that an upgrade may take away, are not.
func TestProtect_built(t *testing.T) {
	t.Parallel()
	r := protectedFleet(t)
	files, err := layout.SystemFiles(
		&clusterspec.GitOps{SystemNamespace: "flux-system", ClusterConfigPath: "clusters/dev"},
		layout.FluxFiles{})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file.Path, layout.KustomizationFile) {
			r[file.Path] = string(file.Content)
		}
	}
	built, err := fluxbuild.Build(r, "clusters/dev", fluxbuild.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	var kept, left []string
	for _, o := range built.Objects {
		if o.File == "clusters/dev/w01/eksa-system/eksa-cluster.yaml" {
			if fluxbuild.Kept(o.Fields()) {
				t.Errorf("%s of a workload cluster is kept", o.Name)
			}
			continue
		}
		if fluxbuild.Kept(o.Fields()) {
			kept = append(kept, o.Name.String())
		} else {
			left = append(left, o.Name.String())
		}
	}
	slices.Sort(kept)
	slices.Sort(left)
	wantKept := []string{
		"Cluster default/dev", "CustomResourceDefinition gitrepositories.source.toolkit.fluxcd.io",
		"CustomResourceDefinition kustomizations.kustomize.toolkit.fluxcd.io",
		"Deployment flux-system/kustomize-controller", "Deployment flux-system/source-controller",
		"FluxConfig default/dev", "GitRepository flux-system/flux-system",
		"Kustomization flux-system/flux-system", "Namespace flux-system",
		"VSphereDatacenterConfig default/dev", "VSphereMachineConfig default/dev-cp",
		"VSphereMachineConfig default/dev-md",
	}
	if !slices.Equal(kept, wantKept) {
		t.Errorf("kept are %q, want %q", kept, wantKept)
	}
	if want := []string{"CustomResourceDefinition helmreleases.helm.toolkit.fluxcd.io",
		"Deployment flux-system/helm-controller"}; !slices.Equal(left, want) {
		t.Errorf("not kept are %q, want %q", left, want)
	}
}
