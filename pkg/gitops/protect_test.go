package gitops_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

const (
	devKustomization  = "clusters/dev/dev/eksa-system/kustomization.yaml"
	fluxKustomization = "clusters/dev/flux-system/kustomization.yaml"
	plainFlux         = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n" +
		"- gotk-components.yaml\n- gotk-sync.yaml\n"
)

// TestUpgrade_protects: an installation from before Flux was told what not to delete gets that with the next
// upgrade, in one commit, and a dry run shows it; a creation leaves it alone and says so.
func TestUpgrade_protects(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	files := w.branches["main"].files
	protected := map[string]string{devKustomization: files[devKustomization],
		fluxKustomization: files[fluxKustomization]}
	for file, content := range protected {
		if !strings.Contains(content, layout.ProtectionMark) {
			t.Fatalf("a new fleet has no protection in %s:\n%s", file, content)
		}
	}
	if content := files["clusters/dev/w01/eksa-system/kustomization.yaml"]; strings.Contains(content,
		layout.ProtectionMark) {
		t.Errorf("a workload cluster is protected:\n%s", content)
	}
	files[devKustomization], files[fluxKustomization] = string(layout.ClusterKustomization()), plainFlux
	w.forget()

	create(t, w, on(t, spec("dev", onGitHub)))
	if pushes(w) > 0 {
		t.Errorf("a creation wrote %v", w.effects)
	}
	w.forget()
	options := upgrading(t, spec("dev", onGitHub))
	options.DryRun = true
	result := upgrade(t, w, options)
	if len(w.effects) > 0 {
		t.Errorf("a dry run wrote %v", w.effects)
	}
	var planned []string
	for _, c := range result.Repository.Files {
		planned = append(planned, string(c.Change)+" "+c.Path)
	}
	if want := []string{"modify " + devKustomization, "modify " + fluxKustomization}; !slices.Equal(planned,
		want) {
		t.Errorf("the dry run shows %q, want %q", planned, want)
	}
	upgrade(t, w, upgrading(t, spec("dev", onGitHub)))
	if pushes(w) != 1 {
		t.Errorf("one commit is to be pushed: %v", w.effects)
	}
	for file, content := range protected {
		if got := w.branches["main"].files[file]; got != content {
			t.Errorf("%s is\n%s\nand of a new fleet\n%s", file, got, content)
		}
	}
	w.forget()
	upgrade(t, w, upgrading(t, spec("dev", onGitHub)))
	if len(w.effects) > 0 {
		t.Errorf("a second upgrade wrote %v", w.effects)
	}
}

// pushes counts them.
func pushes(w *world) int {
	return len(slices.DeleteFunc(slices.Clone(w.effects), func(effect string) bool {
		return !strings.HasPrefix(effect, "Push")
	}))
}
