package gitops_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// BenchmarkStatus observes and judges 500 workload clusters, with servers that answer at once: what is left
// is the program's own time, above all reading 500 specs and comparing some 2,500 objects.
func BenchmarkStatus(b *testing.B) {
	const clusters = 500
	options := status.Options{Config: &clusterspec.GitOps{
		Kind: "FluxConfig", Name: "mgmt", SystemNamespace: "flux-system", ClusterConfigPath: "clusters/mgmt",
		Branch: "main", GitHub: &clusterspec.GitHubConfig{Owner: "acme", Repository: "fleet"},
	}, ManagementCluster: "mgmt", Survey: surveyed()}
	w := &world{noHost: true, branches: map[string]*tip{}}
	var live []fluxinstall.LiveObject
	w.commitOther("main", func(files map[string]string) {
		for i := range clusters {
			name := fmt.Sprintf("w%04d", i)
			content := strings.ReplaceAll(spec("w01", onGitHub), "w01", name)
			files["clusters/mgmt/"+name+"/eksa-system/eksa-cluster.yaml"] = content
			files["clusters/mgmt/"+name+"/eksa-system/kustomization.yaml"] = "apiVersion: " +
				"kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- eksa-cluster.yaml\n"
			template := options.Survey.Clusters[1]
			template.Name = name
			options.Survey.Clusters = append(options.Survey.Clusters, template)
		}
	})
	var wanted []fluxinstall.ObjectName
	observer := liveObjects{wanted: &wanted}
	first, err := status.Observe(b.Context(), w.ports(nil), observer, options)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range first.Git.Clusters {
		for _, o := range c.Objects {
			live = append(live,
				fluxinstall.LiveObject{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Fields: o.Fields})
		}
	}
	observer.objects = live
	options.Survey.Flux.Kustomization.AppliedRevision = fluxinstall.Revision("main", first.Git.Tip.Hash)
	b.ReportAllocs()
	for b.Loop() {
		observation, err := status.Observe(b.Context(), w.ports(nil), observer, options)
		if err != nil {
			b.Fatal(err)
		}
		report, err := status.Judge(observation)
		if err != nil || len(report.Drift) != 0 || len(report.Clusters) != clusters+2 {
			b.Fatalf("%v, %d clusters, drift %v", err, len(report.Clusters), report.Drift)
		}
	}
}
