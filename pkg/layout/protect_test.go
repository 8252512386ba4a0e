package layout_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

const (
	plainSystem = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- gotk-components.yaml\n- gotk-sync.yaml\n"
	keep        = "kustomize.toolkit.fluxcd.io/prune: disabled"
)

// TestProtect: what is written for a new fleet, and what an existing one gets, keeps the same objects, and is left alone the next time.
func TestProtect(t *testing.T) {
	t.Parallel()
	imagePatch := "- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata:\n      name: helm-controller\n      namespace: flux-system\n    spec:\n      replicas: 2\n"
	system := func(content string) ([]byte, error) { return layout.ProtectSystem([]byte(content), "flux-system") }
	cluster := func(content string) ([]byte, error) { return layout.ProtectCluster([]byte(content)) }
	for name, test := range map[string]struct {
		protect func(string) ([]byte, error)
		before  string
		lines   []string // that are there afterwards, too
	}{
		"Flux's own":                    {system, plainSystem, strings.Split(plainSystem, "\n")},
		"EKS Anywhere's":                {system, strings.Replace(plainSystem, "resources", "namespace: flux-system\nresources", 1) + "patches:\n" + imagePatch, strings.Split(imagePatch, "\n")},
		"without last newline":          {system, strings.TrimSuffix(plainSystem, "\n"), []string{"- gotk-sync.yaml"}},
		"in one line":                   {system, "resources: [gotk-components.yaml, gotk-sync.yaml]\npatches: []\n", nil},
		"the cluster's":                 {cluster, listing, strings.Split(listing, "\n")},
		"EKS Anywhere's of the cluster": {cluster, strings.TrimSuffix(listing, "\n"), []string{"- eksa-cluster.yaml"}},
		"with annotations":              {cluster, listing + "commonAnnotations:\n  team: web # ours\n", []string{"  team: web # ours"}},
		"with empty annotations":        {cluster, listing + "commonAnnotations: {}\n", nil},
		"with none":                     {cluster, listing + "commonAnnotations:\n", nil},
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
			if again, err := test.protect(string(got)); err != nil || string(again) != string(got) || strings.Count(string(got), keep) != 1 {
				t.Errorf("a second time: %v\n%s\nafter\n%s", err, again, got)
			}
		})
	}
	for _, content := range []string{"- a\n", "a: [\n", ""} {
		for kind, protect := range map[string]func(string) ([]byte, error){"Flux": system, "cluster": cluster} {
			if got, err := protect(content); err == nil {
				t.Errorf("%s: %q became %q", kind, content, got)
			}
		}
	}
	if fresh, err := cluster(listing); err != nil || string(fresh) != string(layout.ManagementKustomization()) {
		t.Errorf("an existing cluster gets\n%s\na new one\n%s", fresh, layout.ManagementKustomization())
	}
}

// repositoryFiles gives a repository to the builder.
type repositoryFiles struct{ repository }

func (r repositoryFiles) IsFile(name string) bool { _, ok := r.repository[name]; return ok }

func (r repositoryFiles) IsDir(name string) bool { return len(r.List(name)) > 0 }

func (r repositoryFiles) Read(name string) ([]byte, error) { return []byte(r.text(name)), nil }

func (r repositoryFiles) List(dir string) []string {
	var names []string
	for file := range r.repository {
		if below, ok := strings.CutPrefix(file, dir+"/"); ok {
			name, _, _ := strings.Cut(below, "/")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestProtect_built: the management cluster's objects and what Flux cannot do without are kept; workload clusters, and controllers that an
// upgrade may take away, are not.
func TestProtect_built(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.put(mgmt+"/kustomization.yaml", string(layout.ManagementKustomization()))
	r.put(flux+"/gotk-components.yaml", components+"---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: helm-controller\n  namespace: flux-system\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: helmreleases.helm.toolkit.fluxcd.io\n")
	files, err := layout.SystemFiles(&clusterspec.GitOps{SystemNamespace: "flux-system", ClusterConfigPath: root}, layout.FluxFiles{})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file.Path, layout.KustomizationFile) {
			r.put(file.Path, string(file.Content))
		}
	}
	built, err := fluxbuild.Build(repositoryFiles{r}, root, fluxbuild.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	var kept, left []string
	for _, o := range built.Objects {
		if o.File == w01+"/eksa-cluster.yaml" || o.File == root+"/w02/eksa-system/eksa-cluster.yaml" {
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
		"Cluster default/dev", "CustomResourceDefinition gitrepositories.source.toolkit.fluxcd.io", "CustomResourceDefinition kustomizations.kustomize.toolkit.fluxcd.io",
		"Deployment flux-system/kustomize-controller", "Deployment flux-system/source-controller", "FluxConfig default/dev", "GitRepository flux-system/flux-system",
		"Kustomization flux-system/flux-system", "Namespace flux-system", "VSphereDatacenterConfig default/dev", "VSphereMachineConfig default/dev-cp", "VSphereMachineConfig default/dev-md",
	}
	if !slices.Equal(kept, wantKept) {
		t.Errorf("kept are %q, want %q", kept, wantKept)
	}
	if want := []string{"CustomResourceDefinition helmreleases.helm.toolkit.fluxcd.io", "Deployment flux-system/helm-controller"}; !slices.Equal(left, want) {
		t.Errorf("not kept are %q, want %q", left, want)
	}
}
