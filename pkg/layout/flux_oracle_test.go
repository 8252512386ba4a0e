package layout_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// TestCheckRepository_agreesWithFlux builds every broken repository with the packages of Flux's kustomize-controller, which say whether
// it can be built.
func TestCheckRepository_agreesWithFlux(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kustomize takes its time")
	}
	// What keeps Flux from applying what it has built, or what only a real remote address would show.
	beyondBuild := map[string]bool{"no namespace": true, "user files are allowed": true, "base from elsewhere": true, "cluster of another kind": true}
	for name, damage := range brokenRepositories() {
		if beyondBuild[name] {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			damage(r)
			broken := slices.ContainsFunc(check(t, layout.Tree(r), nil).Fleets, func(f layout.Fleet) bool { return f.Broken && f.Path == root })
			if err := buildAsFlux(t, r); (err != nil) != broken {
				t.Errorf("broken is %t, Flux says %v", broken, err)
			}
		})
	}
}

// buildAsFlux is what kustomize-controller does with the path clusters/dev of an artifact, which has neither links nor submodules.
func buildAsFlux(t *testing.T, r repository) error {
	t.Helper()
	dir := t.TempDir()
	for name, node := range r {
		if node.Kind != layout.NodeFile || node.Ignored {
			continue
		}
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(r.text(name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(dir, root)
	if _, err := os.Stat(target); err != nil {
		return nil // the controller fails, but there is no fleet that could be broken
	}
	object := unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	if _, err := kustomize.NewGeneratorWithIgnore(dir, "", object).WriteFile(target); err != nil {
		return err
	}
	_, err := kustomize.SecureBuild(dir, target, false)
	return err
}
