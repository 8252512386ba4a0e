package gitops_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// planned runs a dry run, which must write nothing anywhere.
func planned(t *testing.T, w *world, options gitops.CreateOptions) *gitops.Result {
	t.Helper()
	before := w.describe()
	options.DryRun = true
	report := &reporter{}
	result, err := gitops.Create(t.Context(), w.ports(report), options)
	if err != nil || result.Status != gitops.StatusPlanned || !result.DryRun || result.Changed {
		t.Fatalf("%v, %+v", err, result)
	}
	if len(w.calls) > 0 || len(w.waits) > 0 || w.describe() != before {
		t.Errorf("a dry run wrote %v and waited for %v", w.calls, w.waits)
	}
	report.check(t, result)
	return result
}

// afterLooking are the steps that come after those that only look, whose order is not fixed.
func afterLooking(result *gitops.Result) []string { return stepsOf(result)[2:] }

func changesOf(result *gitops.Result) (all []string) {
	for _, c := range result.Repository.Files {
		all = append(all, string(c.Change)+" "+c.Path)
	}
	return all
}

// TestCreate_dryRun plans for what is there: nothing, a part, all of it.
func TestCreate_dryRun(t *testing.T) {
	t.Parallel()
	t.Run("fresh", func(t *testing.T) {
		t.Parallel()
		result := planned(t, newSmallWorld(t, onGitHub), on(t, spec("dev", onGitHub)))
		equal(t, "steps", afterLooking(result), []string{
			"Create repository octo/fleet: planned",
			"Prepare namespace flux-system and its Git credentials: planned",
			"Register the read-only deploy key: planned",
			"Push cluster files to branch main: planned",
			"Install Flux " + fluxmanifests.Version + ": planned",
			"Point Flux at the repository: planned",
			"Wait for Flux to apply the commit: planned",
			"Wait for cluster dev to be Ready: planned",
		})
		equal(t, "changes", changesOf(result), []string{
			"add " + specPath, "add " + kustomizationPath, "add " + componentsPath, "add " + syncPath,
			"add " + fluxKustomizationPath,
		})
	})
	t.Run("done on GitHub", func(t *testing.T) {
		t.Parallel()
		w := managed(t, onGitHub)
		result := planned(t, w, on(t, spec("dev", onGitHub)))
		equal(t, "steps", afterLooking(result), []string{
			"Prepare namespace flux-system and its Git credentials: unchanged",
			"Register the read-only deploy key: unchanged",
			"Push cluster files to branch main: unchanged",
			"Install Flux v99.1.0: unchanged",
			"Point Flux at the repository: unchanged",
			"Wait for Flux to apply the commit: unchanged",
			"Wait for cluster dev to be Ready: unchanged",
		})
		if len(result.Repository.Files) != 0 || result.Repository.Commit != w.branches["main"].head {
			t.Errorf("%+v", result.Repository)
		}
	})
	t.Run("done on Git", func(t *testing.T) {
		t.Parallel()
		result := planned(t, managed(t, onGit), on(t, spec("dev", onGit)))
		equal(t, "steps", afterLooking(result), []string{
			"Prepare namespace flux-system and its Git credentials: unchanged",
			"Push cluster files to branch main: unchanged",
			"Install Flux v99.1.0: unchanged",
			"Point Flux at the repository: unchanged",
			"Wait for Flux to apply the commit: unchanged",
			"Wait for cluster dev to be Ready: unchanged",
		})
	})
	t.Run("key not registered", func(t *testing.T) {
		t.Parallel()
		w := managed(t, onGitHub)
		w.keys[0].ReadOnly = false
		result := planned(t, w, on(t, spec("dev", onGitHub)))
		if got := afterLooking(result)[1]; got != "Register the read-only deploy key: planned" {
			t.Error(got)
		}
	})
	t.Run("workload", func(t *testing.T) {
		t.Parallel()
		w := managed(t, onGitHub)
		result := planned(t, w, on(t, spec("w01", onGitHub)))
		equal(t, "steps", afterLooking(result), []string{
			"Push cluster files to branch main: planned", "Wait for Flux to apply the commit: planned",
			"Wait for cluster w01 to be Ready: planned",
		})
		equal(t, "changes", changesOf(result), []string{
			"add clusters/dev/w01/eksa-system/eksa-cluster.yaml",
			"add clusters/dev/w01/eksa-system/kustomization.yaml",
		})
	})
	t.Run("overwrite", func(t *testing.T) {
		t.Parallel()
		w := managed(t, onGitHub)
		w.commitOther("main", func(files map[string]string) { files[specPath] = "other" })
		options := on(t, spec("dev", onGitHub))
		options.Overwrite = true
		result := planned(t, w, options)
		equal(t, "changes", changesOf(result), []string{"modify " + specPath})
		if c := result.Repository.Files[0]; string(c.Before) != "other" ||
			!strings.Contains(string(c.After), "kind: Cluster") {
			t.Errorf("from %q to %q", c.Before, c.After)
		}
	})
	t.Run("branch missing", func(t *testing.T) {
		t.Parallel()
		w := newSmallWorld(t, onGitHub)
		w.exists = true
		w.commitOther("other", func(files map[string]string) { files["a"] = "b" })
		result := planned(t, w, on(t, spec("dev", onGitHub)))
		if got := afterLooking(result); got[2] != "Push cluster files to branch main: planned" {
			t.Error(got)
		}
	})
}

// TestCreate_dryRunRefused finds in a dry run what a run would find.
func TestCreate_dryRunRefused(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.commitOther("main", func(files map[string]string) { files[specPath] = "other" })
	options := on(t, spec("dev", onGitHub))
	options.DryRun = true
	if findings := refused(t, w, options); len(findings) != 1 || findings[0].Area != facts.AreaSpec {
		t.Errorf("%+v", findings)
	}
}

// TestCreate_dryRunUnavailable tells why GitOps could not be set up now.
func TestCreate_dryRunUnavailable(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.accessErr = errors.Join(errors.New("no answer"), github.ErrUnavailable)
	result := planned(t, w, on(t, spec("dev", onGitHub)))
	if result.Failure == nil || result.Failure.Step != "Check access to the repository" ||
		!strings.Contains(result.Failure.Message, "no answer") {
		t.Errorf("%+v", result.Failure)
	}
}
