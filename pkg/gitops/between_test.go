package gitops_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// TestCreate_againstClustersInGit: a cluster is held against those in Git, and nothing is written when EKS
// Anywhere would refuse it for what one of them is.
func TestCreate_againstClustersInGit(t *testing.T) {
	t.Parallel()
	with := func(name, version string) string {
		return strings.Replace(spec(name, onGitHub), "spec:\n", "spec:\n  eksaVersion: "+version+"\n", 1)
	}
	w := newSmallWorld(t, onGitHub)
	create(t, w, on(t, with("dev", "v0.25.1")))
	w.forget()

	_, err := gitops.Create(t.Context(), w.ports(nil), on(t, with("w01", "v0.26.0")))
	var refused *gitops.PreflightError
	if !errors.As(err, &refused) || len(refused.Findings) != 1 {
		t.Fatalf("got %v", err)
	}
	want := facts.Finding{
		Area:    facts.AreaSpec,
		Message: `a.yaml:6:16: Cluster w01: spec.eksaVersion: the cluster would be above its management cluster dev in clusters/dev/dev/eksa-system/eksa-cluster.yaml:1; found "v0.26.0"; expected at most v0.25.1, or the management cluster first`,
		Hint:    "change a.yaml, or the cluster in Git, and run the same command again",
	}
	if refused.Findings[0] != want {
		t.Errorf("got\n%+v\nwant\n%+v", refused.Findings[0], want)
	}
	if len(w.calls) > 0 {
		t.Errorf("written: %v", w.calls)
	}
	create(t, w, on(t, with("w01", "v0.25.1")))
	create(t, w, on(t, with("w01", "v0.25.1"))) // it is not held against itself
}
