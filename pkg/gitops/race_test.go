package gitops_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

func count(list []string, prefix string) (n int) {
	for _, entry := range list {
		if strings.HasPrefix(entry, prefix) {
			n++
		}
	}
	return n
}

// TestCreate_lostRace rebuilds a commit on what somebody else pushed, and loses nothing of that.
func TestCreate_lostRace(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.races = []func(map[string]string){
		func(files map[string]string) { files["other.txt"] = "first" },
		func(files map[string]string) { files["clusters/dev/w09/eksa-system/kustomization.yaml"] = "second" },
	}
	report := &reporter{}
	result, err := gitops.Create(t.Context(), w.ports(report), on(t, spec("w01", onGitHub)))
	if err != nil || result.Status != gitops.StatusDone {
		t.Fatalf("%v, %+v", err, result.Failure)
	}
	equal(t, "calls", w.calls, []string{"Push main", "Push main", "Push main",
		"RequestReconcile flux-system/flux-system", "SaveLocal w01"})
	files := w.branches["main"].files
	if files["other.txt"] != "first" ||
		files["clusters/dev/w09/eksa-system/kustomization.yaml"] != "second" || files["README.md"] == "" ||
		files["clusters/dev/w01/eksa-system/eksa-cluster.yaml"] == "" {
		t.Errorf("the branch holds %v", files)
	}
	if got := count(report.progress(), "Push cluster files to branch main: somebody else pushed"); got != 2 {
		t.Errorf("told of %d lost races: %v", got, report.progress())
	}
	if result.Repository.Commit != w.branches["main"].head || len(result.Repository.Files) != 2 {
		t.Errorf("%+v", result.Repository)
	}
}

// TestCreate_raceForTheSameCluster is lost to a run that created the same cluster: there is nothing left to
// push.
func TestCreate_raceForTheSameCluster(t *testing.T) {
	t.Parallel()
	whole := managed(t, onGitHub)
	create(t, whole, on(t, spec("w01", onGitHub)))
	for name, test := range map[string]struct {
		content func(string) string
		pushed  int
		status  gitops.Status
	}{
		"with the same spec": {func(spec string) string { return spec }, 1, gitops.StatusDone},
		"with another spec": {func(spec string) string { return spec + "# mine\n" }, 1,
			gitops.StatusIncomplete},
		"with an empty file":  {func(string) string { return " \n" }, 2, gitops.StatusDone},
		"nothing in the file": {func(string) string { return "" }, 2, gitops.StatusDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := managed(t, onGitHub)
			w.races = []func(map[string]string){func(files map[string]string) {
				for file, content := range whole.branches["main"].files {
					if strings.HasPrefix(file, "clusters/dev/w01/") {
						files[file] = content
					}
				}
				const file = "clusters/dev/w01/eksa-system/eksa-cluster.yaml"
				files[file] = test.content(files[file])
			}}
			result, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("w01", onGitHub)))
			if result.Status != test.status || (err == nil) != (test.status == gitops.StatusDone) {
				t.Fatalf("%s, %v", result.Status, err)
			}
			if got := count(w.calls, "Push"); got != test.pushed {
				t.Errorf("pushed %d times, want %d", got, test.pushed)
			}
			if result.Repository.Pushed != (test.pushed == 2) {
				t.Errorf("%+v", result.Repository)
			}
			if test.status == gitops.StatusIncomplete &&
				!strings.Contains(err.Error(), "clusters/dev/w01/eksa-system/eksa-cluster.yaml") {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
}

// TestCreate_endlessRace gives up at last. Its clock is not the real one.
func TestCreate_endlessRace(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	options := on(t, spec("w01", onGitHub))
	w.raceForever = true
	synctest.Test(t, func(t *testing.T) {
		result, err := gitops.Create(t.Context(), w.ports(nil), options)
		if !errors.As(err, new(*git.ConflictError)) || !errors.As(err, new(*gitops.IncompleteError)) {
			t.Errorf("%v", err)
		}
		if result.Failure == nil || result.Status != gitops.StatusIncomplete {
			t.Errorf("%s, %+v", result.Status, result.Failure)
		}
	})
	if pushes := count(w.calls, "Push"); pushes != 100 {
		t.Errorf("pushed %d times", pushes)
	}
	if slices.Contains(w.calls, "RequestReconcile flux-system/flux-system") {
		t.Error("went on after the push failed")
	}
}

// TestCreate_overtaken accepts what Flux applies when somebody else's commit comes right after ours: it holds
// all our files, or a change of what was created. One that takes them away is told of, and not waited for.
func TestCreate_overtaken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before func(files map[string]string)
		after  func(files map[string]string)
		status gitops.Status
		told   string // in a note, or as the error
	}{
		"by another file": {nil, func(files map[string]string) { files["other.txt"] = "x" },
			gitops.StatusDone, ""},
		"by the removal of ours": {nil,
			func(files map[string]string) { delete(files, "clusters/dev/w01/eksa-system/eksa-cluster.yaml") },
			gitops.StatusIncomplete,
			"): clusters/dev/w01/eksa-system/eksa-cluster.yaml was taken out of Git"},
		"by a change of ours": {nil, func(files map[string]string) {
			files["clusters/dev/w01/eksa-system/eksa-cluster.yaml"] += "# theirs\n"
		},
			gitops.StatusDone, "somebody else changed clusters/dev/w01/eksa-system/eksa-cluster.yaml right " +
				"after this run: commit "},
		// A file that stays as it is in Git differs from ours before and after.
		"with a kustomization that is kept": {
			func(files map[string]string) {
				files["clusters/dev/w01/eksa-system/kustomization.yaml"] = "resources:\n" +
					"- eksa-cluster.yaml\n- more.yaml\n"
			},
			func(files map[string]string) { files["other.txt"] = "x" }, gitops.StatusDone, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := managed(t, onGitHub)
			if test.before != nil {
				w.commitOther("main", test.before)
			}
			w.afterPush = func(w *world) { w.commitOther("main", test.after) }
			report := &reporter{}
			result, err := gitops.Create(t.Context(), w.ports(report), on(t, spec("w01", onGitHub)))
			if result.Status != test.status || (err == nil) != (test.status == gitops.StatusDone) {
				t.Errorf("%s, %v", result.Status, err)
			}
			told := fmt.Sprint(report.events, err)
			if !strings.Contains(told, test.told) ||
				test.told == "" && strings.Contains(told, "somebody else") {
				t.Errorf("%q is not told: %s", test.told, told)
			}
		})
	}
}

// TestCreate_overtakenWithOtherFlux is the same for Flux's own files: the components that stay as they are in
// Git do not hide that the commit was applied.
func TestCreate_overtakenWithOtherFlux(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	w.afterPush = func(w *world) {
		w.commitOther("main", func(files map[string]string) { files["other.txt"] = "x" })
	}
	result, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("dev", onGitHub)))
	if err != nil || result.Status != gitops.StatusDone {
		t.Errorf("%s, %v, %+v", result.Status, err, result.Failure)
	}
}

// TestCreate_slowFlux does not read the repository again for a revision that Flux had applied before the
// push.
func TestCreate_slowFlux(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.slowFlux = true
	result := create(t, w, on(t, spec("w01", onGitHub)))
	if want := fluxinstall.Revision("main", w.branches["main"].head); result.Flux.Revision != want ||
		!result.Clusters[0].Ready {
		t.Errorf("%+v, want %s", result.Flux, want)
	}
	if w.fetches != 1 {
		t.Errorf("read the repository %d times", w.fetches)
	}
}
