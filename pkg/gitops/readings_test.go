package gitops_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// What the program carries is not read again by each run, so that it is read here.
func TestCarried_readAlike(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{"flux-system", "gitops"} {
		components, err := fluxmanifests.Components(t.Context(),
			fluxmanifests.ComponentsOptions{Namespace: namespace})
		if err != nil {
			t.Fatal(err)
		}
		if !fluxmanifests.Carried(components, namespace) {
			t.Errorf("namespace %s: it is not taken for carried", namespace)
		}
		for _, problem := range clusterspec.CheckReadings(clusterspec.Source{Name: namespace,
			Data: components}) {
			t.Errorf("namespace %s: %s", namespace, problem)
		}
		if fluxmanifests.Carried(append(components, '\n'), namespace) {
			t.Errorf("namespace %s: what somebody changed is taken for carried", namespace)
		}
	}
}
