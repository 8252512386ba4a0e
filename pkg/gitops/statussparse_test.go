package gitops_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// TestStatus_sparse: status shows what Flux fetches, suggests to fetch less where that works, and names the
// line when something is missing.
func TestStatus_sparse(t *testing.T) {
	t.Parallel()
	others := func(files map[string]string) {
		for i := range 1001 {
			files[fmt.Sprintf("others/%d.txt", i)] = "x"
		}
	}
	leadsOut := func(files map[string]string) {
		files["clusters/dev/infra/kustomization.yaml"] = "resources:\n- ../../../base\n"
		files["base/kustomization.yaml"] = "resources: [x.yaml]\n"
		files["base/x.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n"
	}
	apps := fluxinstall.LiveObject{Kind: "Kustomization", Namespace: "shop", Name: "apps",
		Fields: map[string]any{"spec": map[string]any{
			"path": "./apps", "sourceRef": map[string]any{"kind": "GitRepository", "name": "flux-system",
				"namespace": "flux-system"}}}}
	const suggestion hint.Hint = "more than 1000 files of the repository are outside of clusters/dev, and " +
		"Flux fetches and unpacks all of them at every commit of anybody; it needs none of them: " +
		"eksa-gitops upgrade cluster -f FILE --sparse-checkout has it fetch that directory alone"
	missing := status.Problem{
		Object: "GitRepository flux-system/flux-system", File: "clusters/dev/infra/kustomization.yaml",
		Message: `clusters/dev/infra/kustomization.yaml:2: resources[0] is "../../../base", which is outside of ` +
			`clusters/dev`,
		Cause: "its spec.sparseCheckout has Flux fetch no more than that, " +
			"so that it cannot build what needs more",
		Next: "correct that file and push; or have Flux fetch everything: eksa-gitops upgrade cluster -f " +
			"FILE --sparse-checkout=false",
	}
	for name, test := range map[string]struct {
		edit             func(files map[string]string)
		live             []string
		fails            bool
		also             []fluxinstall.LiveObject
		suggests, misses bool
	}{
		"few files":       {edit: func(map[string]string) {}},
		"many files":      {edit: others, suggests: true},
		"it is on":        {edit: others, live: []string{"clusters/dev/"}},
		"more is needed":  {edit: func(f map[string]string) { others(f); leadsOut(f) }},
		"more is applied": {edit: others, also: []fluxinstall.LiveObject{apps}},
		"it is in Git": {edit: func(f map[string]string) {
			others(f)
			f[systemSync] = syncWith(t,
				"clusters/dev/")
		}},
		"something is missed": {edit: leadsOut, live: []string{"clusters/dev/"}, fails: true, misses: true},
	} {
		w := fleetWorld(t, onGitHub, "w01")
		w.commitOther("main", test.edit)
		w.flux()
		state := w.state
		state.Flux.GitRepository.SparseCheckout = test.live
		if test.fails {
			state.Flux.Kustomization.Conditions = []fluxinstall.Condition{{Type: "Ready", Status: "False",
				Message: "no such file"}}
		}
		options := status.Options{
			Config: on(t, spec("dev", onGitHub)).Clusters[0].GitOps, ManagementCluster: "dev", Remote: on(t,
				spec("dev", onGitHub)).Remote,
			Survey: &fluxinstall.Survey{State: state, Namespace: "flux-system", Kustomizations: test.also},
		}
		observation, err := status.Observe(t.Context(), w.ports(nil),
			liveObjects{wanted: new([]fluxinstall.ObjectName)}, options)
		if err != nil {
			t.Fatal(err)
		}
		report, err := status.Judge(observation)
		if err != nil {
			t.Fatal(err)
		}
		asPublished(t, report)
		if got := slices.Contains(report.Notes,
			suggestion); got != test.suggests || !slices.Equal(report.Flux.SparseCheckout, test.live) {
			t.Errorf("%s: notes %q, fetches %q", name, report.Notes, report.Flux.SparseCheckout)
		}
		if got := slices.Contains(report.Problems, missing); got != test.misses {
			t.Errorf("%s: problems %+v", name, report.Problems)
		}
	}
}

// TestStatus_sparseWidened: a watch, which looks into Git again only after a while, tells of nothing that is
// missed once Flux goes on.
func TestStatus_sparseWidened(t *testing.T) {
	t.Parallel()
	w := fleetWorld(t, onGitHub, "w01")
	w.commitOther("main", func(files map[string]string) {
		files["clusters/dev/infra/kustomization.yaml"] = "resources:\n- ../../../base\n"
		files["base/kustomization.yaml"] = "resources: []\n"
	})
	w.flux()
	options := on(t, spec("dev", onGitHub))
	looked := status.Options{
		Config: options.Clusters[0].GitOps, ManagementCluster: "dev", Remote: options.Remote,
		MaxAge: time.Hour, Survey: &fluxinstall.Survey{State: w.state, Namespace: "flux-system"},
	}
	fetches := 0
	for _, fails := range []bool{true, false} {
		flux := &looked.Survey.Flux
		flux.GitRepository.SparseCheckout, flux.Kustomization.Conditions = nil, nil
		if fails {
			flux.GitRepository.SparseCheckout = []string{"clusters/dev/"}
			flux.Kustomization.Conditions = []fluxinstall.Condition{{Type: "Ready", Status: "False"}}
			fetches = w.fetches + 1
		}
		objects := liveObjects{wanted: new([]fluxinstall.ObjectName)}
		observation, err := status.Observe(t.Context(), w.ports(nil), objects, looked)
		if err != nil || w.fetches != fetches {
			t.Fatalf("%v, %d fetches, want %d", err, w.fetches, fetches)
		}
		report, err := status.Judge(observation)
		if err != nil {
			t.Fatal(err)
		}
		told := slices.ContainsFunc(report.Problems, func(p status.Problem) bool {
			return p.File == "clusters/dev/infra/kustomization.yaml"
		})
		if told != fails {
			t.Errorf("failing %v: problems %+v", fails, report.Problems)
		}
		looked.Before = observation
	}
}
