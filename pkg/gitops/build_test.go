package gitops_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// TestObserve_built: what is compared with the cluster is what Flux builds, wherever in the path, or in
// Flux's own Kustomization, something is made of the cluster's file.
func TestObserve_built(t *testing.T) {
	t.Parallel()
	const patch = "patches:\n- target: {kind: Cluster, name: w01}\n  patch: |\n" +
		"    - {op: replace, path: /spec/kubernetesVersion, value: \"1.34\"}\n"
	const system = "clusters/dev/flux-system/"
	for name, test := range map[string]struct {
		change func(files map[string]string)
		want   string
	}{
		"as written": {func(map[string]string) {}, "w01 1.33"},
		"beside the spec": {func(f map[string]string) {
			f["clusters/dev/w01/eksa-system/kustomization.yaml"] = "resources: [eksa-cluster.yaml]\n" + patch
		}, "w01 1.34"},
		"above it": {func(f map[string]string) {
			f["clusters/dev/w01/kustomization.yaml"] = "resources: [eksa-system]\n" + patch
		}, "w01 1.34"},
		"at the root": {func(f map[string]string) {
			f["clusters/dev/kustomization.yaml"] =
				"resources: [dev/eksa-system, w01/eksa-system, flux-system]\n" + patch
		}, "w01 1.34"},
		"a name at the root": {func(f map[string]string) {
			f["clusters/dev/kustomization.yaml"] =
				"resources: [dev/eksa-system, w01/eksa-system, flux-system]\nnamePrefix: a-\n"
		}, "a-w01 1.33"},
		"one that lists none": {func(f map[string]string) {
			f["clusters/dev/kustomization.yaml"] = "resources: [dev/eksa-system, flux-system]\n"
		}, "w01 1.33"},
		"by Flux": {func(f map[string]string) {
			f[system+"gotk-sync.yaml"] = strings.Replace(f[system+"gotk-sync.yaml"], "  prune: true\n",
				"  prune: true\n  nameSuffix: -z\n", 1)
		}, "w01-z 1.33"},
		"by a variable": {func(f map[string]string) {
			f[system+"gotk-sync.yaml"] = strings.Replace(f[system+"gotk-sync.yaml"], "  prune: true\n",
				"  prune: true\n  postBuild: {substitute: {minor: \"34\"}}\n", 1)
			f[w01Spec] = strings.Replace(f[w01Spec], `"1.33"`, `"1.${minor}"`, 1)
		}, "w01 1.34"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fleet(t)
			w.commitOther("main", test.change)
			survey := surveyed()
			survey.Flux.Kustomization.AppliedRevision = fluxinstall.Revision("main", w.branches["main"].head)
			var wanted []fluxinstall.ObjectName
			observation, err := status.Observe(t.Context(), w.ports(nil), liveObjects{wanted: &wanted},
				status.Options{
					Config: on(t, spec("w01", onGitHub)).Clusters[0].GitOps, ManagementCluster: "dev",
					Survey: survey,
				})
			if err != nil || observation.GitErr != nil {
				t.Fatal(err, observation.GitErr)
			}
			var got []string
			for _, c := range observation.Git.Clusters {
				for _, o := range c.Objects {
					if spec, _ := o.Fields["spec"].(map[string]any); c.Name == "w01" && o.Kind == "Cluster" {
						version, _ := spec["kubernetesVersion"].(string)
						got = append(got, o.Name+" "+version)
					}
				}
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
