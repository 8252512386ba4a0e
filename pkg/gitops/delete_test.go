package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// fleet is a world in which dev manages the given workload clusters through Git.
func fleetWorld(t *testing.T, provider string, workloads ...string) *world {
	t.Helper()
	w := newSmallWorld(t, provider)
	specs := []string{spec("dev", provider)}
	for _, name := range workloads {
		specs = append(specs, spec(name, provider))
	}
	create(t, w, on(t, specs...))
	w.forget()
	return w
}

// doomed is what the command line would give for these names.
func doomed(t *testing.T, provider string, names ...string) gitops.DeleteOptions {
	t.Helper()
	created := on(t, spec("dev", provider))
	options := gitops.DeleteOptions{Settings: created.Settings, ManagementCluster: "dev",
		GitOps: created.Clusters[0].GitOps}
	for _, name := range names {
		options.Clusters = append(options.Clusters, gitops.Doomed{Name: name})
	}
	return options
}

// deleteClusters runs Delete, which must succeed.
func deleteClusters(t *testing.T, w *world, options gitops.DeleteOptions) *gitops.Result {
	t.Helper()
	report := &reporter{}
	result, err := gitops.Delete(t.Context(), w.ports(report), options)
	if err != nil || result.Failure != nil {
		t.Fatalf("error %v, failure %+v", err, result.Failure)
	}
	report.check(t, result)
	return result
}

func clusterNames(w *world) (names []string) {
	for _, c := range w.state.Clusters {
		names = append(names, c.Name)
	}
	return names
}

func TestDelete_workload(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{onGitHub, onGit} {
		w := fleetWorld(t, provider, "w01", "w02", "w03")
		asked := 0
		options := doomed(t, provider, "w01", "w03")
		options.Confirm = func(_ context.Context, plan *gitops.Result) error {
			asked++
			if len(w.calls) > 0 {
				t.Errorf("asked after %v", w.calls)
			}
			equal(t, "plan", changesOf(plan), []string{
				"delete clusters/dev/w01/eksa-system/eksa-cluster.yaml",
				"delete clusters/dev/w01/eksa-system/kustomization.yaml",
				"delete clusters/dev/w03/eksa-system/eksa-cluster.yaml",
				"delete clusters/dev/w03/eksa-system/kustomization.yaml",
			})
			equal(t, "objects", plan.Clusters[0].Objects, []string{"Cluster default/w01",
				"DockerDatacenterConfig default/w01", "FluxConfig default/w01"})
			return nil
		}
		result := deleteClusters(t, w, options)
		equal(t, "effects", w.effects, []string{"Push main", "RequestReconcile flux-system/flux-system"})
		equal(t, "waits", w.waits, []string{"WaitSynced", "WaitGone w01", "WaitGone w03"})
		equal(t, "clusters", clusterNames(w), []string{"dev", "w02"})
		if asked != 1 || !result.Changed || result.Status != gitops.StatusDone || !result.Clusters[0].Gone ||
			!result.Clusters[1].Gone || w.fetches != 1 {
			t.Errorf("asked %d times, fetched %d times: %+v", asked, w.fetches, result)
		}
		for file := range w.branches["main"].files {
			if strings.Contains(file, "/w01/") || strings.Contains(file, "/w03/") {
				t.Errorf("%s is still there", file)
			}
		}
		w.forget()
		again := deleteClusters(t, w, options)
		if again.Changed || len(w.calls) > 0 || len(w.waits) > 0 || asked != 1 ||
			again.Status != gitops.StatusDone {
			t.Errorf("the second run called %v, waited for %v, asked %d times: %+v",
				w.calls, w.waits, asked, again)
		}
	}
}

// TestDelete_crash breaks a run at every write, as TestCreate_crash does.
func TestDelete_crash(t *testing.T) {
	t.Parallel()
	for name, scenario := range map[string]struct {
		provider string
		from     gitops.From
		start    func(*testing.T, string) *world
		names    []string
	}{
		"workloads on GitHub": {onGitHub, gitops.FromBoth,
			func(t *testing.T, p string) *world { return fleetWorld(t, p, "w01", "w02") },
			[]string{"w01", "w02"}},
		"workload on Git": {onGit, gitops.FromBoth,
			func(t *testing.T, p string) *world { return fleetWorld(t, p, "w01") }, []string{"w01"}},
		"only from Git": {onGitHub, gitops.FromGit,
			func(t *testing.T, p string) *world { return fleetWorld(t, p, "w01") }, []string{"w01"}},
		"only from the cluster": {onGitHub, gitops.FromCluster, func(t *testing.T, p string) *world {
			w := fleetWorld(t, p, "w01")
			w.state.Flux.Kustomization.Suspended = true
			return w
		}, []string{"w01"}},
		"management on GitHub": {onGitHub, gitops.FromBoth,
			func(t *testing.T, p string) *world { return fleetWorld(t, p) }, []string{"dev"}},
		"management on Git": {onGit, gitops.FromBoth,
			func(t *testing.T, p string) *world { return fleetWorld(t, p) }, []string{"dev"}},
		"management without its repository": {onGitHub, gitops.FromCluster,
			func(t *testing.T, p string) *world { return fleetWorld(t, p) }, []string{"dev"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := doomed(t, scenario.provider, scenario.names...)
			options.From = scenario.from
			whole := scenario.start(t, scenario.provider)
			deleteClusters(t, whole, options)
			writes := len(whole.effects)
			if writes < 1 {
				t.Fatalf("only %v is written", whole.effects)
			}
			for n := 1; n <= len(whole.calls)+1; n++ {
				for _, when := range []string{"before", "after"} {
					t.Run(fmt.Sprintf("%s write %d", when, n), func(t *testing.T) {
						w := scenario.start(t, scenario.provider)
						w.failBefore = n
						if when == "after" {
							w.failBefore, w.failAfter = 0, n
						}
						result, err := gitops.Delete(t.Context(), w.ports(nil), options)
						if broke := err != nil; broke != w.faulty ||
							w.faulty && (result.Failure == nil || result.Status == gitops.StatusDone) {
							t.Fatalf("broken %v: error %v, %+v", w.faulty, err, result)
						}
						if w.faulty && !errors.Is(err, errFault) {
							t.Errorf("the error %v does not hold its cause", err)
						}
						w.forget()
						deleteClusters(t, w, options)
						w.forget()
						if third := deleteClusters(t, w, options); third.Changed || len(w.effects) > 0 {
							t.Errorf("the third run wrote %v; steps %v", w.effects, stepsOf(third))
						}
						if got, want := w.describe(), whole.describe(); got != want {
							t.Errorf("the end differs from that of a whole run:\n%s\nwant\n%s", got, want)
						}
					})
				}
			}
		})
	}
}

// TestDelete_goneAlready is no error, whatever is missing.
func TestDelete_goneAlready(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]func(w *world){
		"the cluster": func(*world) {},
		"the branch": func(w *world) {
			w.branches = map[string]*tip{"other": {head: hash("x"), files: map[string]string{"a": "b"}}}
		},
		"the repository": func(w *world) { w.exists = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fleetWorld(t, onGitHub)
			gone(w)
			result := deleteClusters(t, w, doomed(t, onGitHub, "w01"))
			if result.Changed || result.Status != gitops.StatusDone || !result.Clusters[0].Gone ||
				len(w.calls) > 0 {
				t.Errorf("wrote %v: %+v", w.calls, result)
			}
		})
	}
}

// TestDelete_held ends with what holds the cluster up; others go all the same, and the next run needs no
// commit and no Flux.
func TestDelete_held(t *testing.T) {
	t.Parallel()
	w := fleetWorld(t, onGitHub, "w01", "w02")
	w.held["w01"] = "blocked by finalizer machines"
	options := doomed(t, onGitHub, "w01", "w02")
	result, err := gitops.Delete(t.Context(), w.ports(nil), options)
	incomplete := new(gitops.IncompleteError)
	if !errors.As(err, &incomplete) ||
		!strings.Contains(err.Error(), "Cluster default/w01 is not gone: blocked by finalizer machines") ||
		result.Status != gitops.StatusIncomplete {
		t.Errorf("%v, %s", err, result.Status)
	}
	if result.Clusters[0].Gone || result.Clusters[0].Message == "" || !result.Clusters[1].Gone {
		t.Errorf("%+v", result.Clusters)
	}
	w.forget()
	w.state.Flux.Kustomization.Suspended = true
	options.Confirm = func(context.Context, *gitops.Result) error { t.Error("asked again"); return nil }
	if _, err := gitops.Delete(t.Context(), w.ports(nil), options); !errors.As(err, &incomplete) ||
		len(w.effects) > 0 {
		t.Errorf("%v, wrote %v", err, w.effects)
	}
	w.held = nil
	deleteClusters(t, w, options)
}

// TestDelete_race builds the deletion on what somebody else has pushed in the meantime.
func TestDelete_race(t *testing.T) {
	t.Parallel()
	w := fleetWorld(t, onGitHub, "w01", "w02")
	w.races = []func(map[string]string){
		func(files map[string]string) { files["other.txt"] = "x" },
		func(files map[string]string) { files["clusters/dev/w01/NOTES.md"] = "x" },
	}
	deleteClusters(t, w, doomed(t, onGitHub, "w01"))
	files := w.branches["main"].files
	if files["other.txt"] == "" || files["clusters/dev/w01/NOTES.md"] == "" ||
		files["clusters/dev/w02/eksa-system/eksa-cluster.yaml"] == "" ||
		files["clusters/dev/w01/eksa-system/eksa-cluster.yaml"] != "" {
		t.Errorf("%v", files)
	}
	// Somebody pushes a workload cluster while Flux stops already.
	w = fleetWorld(t, onGitHub)
	w.races = []func(map[string]string){func(files map[string]string) {
		files["clusters/dev/w09/eksa-system/eksa-cluster.yaml"] = "x"
	}}
	_, err := gitops.Delete(t.Context(), w.ports(nil), doomed(t, onGitHub, "dev"))
	if err == nil || !strings.Contains(err.Error(), "somebody has pushed w09 in the meantime") ||
		w.branches["main"].files[specPath] == "" {
		t.Errorf("%v", err)
	}
}

// TestDelete_declined writes nothing.
func TestDelete_declined(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"w01", "dev"} {
		w := fleetWorld(t, onGitHub)
		if name == "w01" {
			w = fleetWorld(t, onGitHub, "w01")
		}
		no := errors.New("no")
		options := doomed(t, onGitHub, name)
		options.Confirm = func(context.Context, *gitops.Result) error { return no }
		result, err := gitops.Delete(t.Context(), w.ports(nil), options)
		if !errors.Is(err, no) || len(w.calls) > 0 || result.Status != gitops.StatusRefused ||
			result.Changed {
			t.Errorf("%v, wrote %v, %+v", err, w.calls, result)
		}
		// A dry run asks nobody.
		options.DryRun = true
		if result := deleteClusters(t, w, options); result.Status != gitops.StatusPlanned ||
			len(w.calls) > 0 || len(result.Repository.Files) == 0 {
			t.Errorf("wrote %v, %+v", w.calls, result)
		}
	}
}

// TestDelete_repositoryUnreachable ends before anything is begun, and offers the half that needs no
// repository.
func TestDelete_repositoryUnreachable(t *testing.T) {
	t.Parallel()
	w := fleetWorld(t, onGitHub, "w01")
	w.accessErr = github.ErrUnavailable
	result, err := gitops.Delete(t.Context(), w.ports(nil), doomed(t, onGitHub, "w01"))
	if !errors.Is(err, github.ErrUnavailable) || len(w.calls) > 0 || result.Status != gitops.StatusRefused ||
		!strings.Contains(result.Failure.Hint, "eksa-gitops delete cluster w01 --from cluster") ||
		!strings.Contains(result.Failure.Message, "nothing has been changed") {
		t.Errorf("%v, %+v", err, result.Failure)
	}
}
