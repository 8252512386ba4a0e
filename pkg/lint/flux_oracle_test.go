package lint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/kustomize"
	"github.com/fluxcd/pkg/sourceignore"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// TestCheckRepository_agreesWithFlux builds every broken repository with the packages of Flux's
// kustomize-controller, which say whether it can be built.
func TestCheckRepository_agreesWithFlux(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kustomize takes its time")
	}
	// What keeps Flux from applying what it has built, or what only a real remote address would show.
	beyondBuild := map[string]bool{"no namespace": true, "user files are allowed": true,
		"base from elsewhere": true, "cluster of another kind": true,
		"Secret that Flux does not decrypt": true, "encrypted Secret among others": true}
	for name, damage := range brokenRepositories() {
		if beyondBuild[name] {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			damage(r)
			broken := slices.ContainsFunc(check(t, lint.Tree(r), nil).Fleets, func(f lint.Fleet) bool {
				return f.Broken && f.Path == root
			})
			if err := buildAsFlux(t, r); (err != nil) != broken {
				t.Errorf("broken is %t, Flux says %v", broken, err)
			}
		})
	}
}

// buildAsFlux is what kustomize-controller does with the path clusters/dev of an artifact, which has neither
// links nor submodules.
func buildAsFlux(t *testing.T, r repository) error {
	t.Helper()
	dir := t.TempDir()
	for name, node := range r {
		if node.Kind != lint.NodeFile || node.Ignored || !r.fetches(name) {
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
	leaveOutAsFlux(t, dir, r.leftOut())
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

// leaveOutAsFlux removes what source-controller does not put into an artifact.
func leaveOutAsFlux(t *testing.T, dir, ignore string) {
	t.Helper()
	domain := strings.Split(dir, string(filepath.Separator))
	patterns, err := sourceignore.LoadIgnorePatterns(dir, domain)
	if err != nil {
		t.Fatal(err)
	}
	patterns = append(patterns, sourceignore.ReadPatterns(strings.NewReader(ignore), domain)...)
	matcher := sourceignore.NewDefaultMatcher(patterns, domain)
	err = filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || !matcher.Match(strings.Split(name, string(filepath.Separator)), entry.IsDir()) {
			return err
		}
		if err := os.RemoveAll(name); err != nil {
			return err
		}
		if entry.IsDir() {
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
