package files_test

import (
	"reflect"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// TestPlanner_again: a plan follows from what the planner is given, and is the same each time; of a
// repository that does not exist, it is what was rendered.
func TestPlanner_again(t *testing.T) {
	t.Parallel()
	sources, err := clusterspec.ReadPaths(t.Context(),
		[]string{"../../../../testdata/specs/valid/docker-workload-github.yaml"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := clusterspec.Parse(sources)
	if err != nil {
		t.Fatal(err)
	}
	clusters := set.Clusters
	seen := facts.New(facts.Told{Config: clusters[0].GitOps,
		ManagementCluster: clusters[0].ManagementCluster})
	rendered, err := files.Render(t.Context(), seen, clusters, false, files.Options{WithApps: true})
	if err != nil {
		t.Fatal(err)
	}
	planner := files.Planner{Facts: seen, Managed: clusters, Rendering: rendered, Memory: &files.Memory{}}
	first, err := planner.Create(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := planner.Create(t.Context(), nil); err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("planned again: %v, %v, first it was %v", again, err, first)
	}
	want := map[string]string{}
	for _, file := range append(rendered.Files, rendered.Apps...) {
		want[file.Path] = string(file.Content)
	}
	got := map[string]string{}
	for _, c := range first.Changes {
		if got[c.Path] = string(c.After); c.Change != layout.FileAdd || c.Before != nil {
			t.Errorf("%s: %s, before %q", c.Path, c.Change, c.Before)
		}
	}
	if len(want) == 0 || !reflect.DeepEqual(got, want) || len(first.Notes) > 0 {
		t.Errorf("planned %v with notes %v, want %v", got, first.Notes, want)
	}
}
