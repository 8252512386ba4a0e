package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
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

// TestDelete_foreignFiles leaves what others have put into the directories of clusters, and lets it build.
func TestDelete_foreignFiles(t *testing.T) {
	t.Parallel()
	const dir = "clusters/dev/w01/eksa-system/"
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n"
	for name, test := range map[string]struct {
		there map[string]string
		want  []string // changes beside those of the spec
		files map[string]string
		kept  []string
		wrong string // the finding
	}{
		"edited files of ours": {
			there: map[string]string{dir + "eksa-cluster.yaml": "# mine\nkind: Cluster\n",
				dir + "kustomization.yaml": "resources: [eksa-cluster.yaml, ../../base]\n"},
			want: []string{"delete " + dir + "kustomization.yaml"},
		},
		"a note": {
			there: map[string]string{dir + "NOTES.md": "x"},
			want:  []string{"delete " + dir + "kustomization.yaml"}, kept: []string{dir + "NOTES.md"},
		},
		"a listed manifest": {
			there: map[string]string{dir + "extra.yaml": configMap,
				dir + "kustomization.yaml": "resources:\n- extra.yaml\n- eksa-cluster.yaml\n"},
			want:  []string{"modify " + dir + "kustomization.yaml"},
			files: map[string]string{dir + "kustomization.yaml": "resources:\n- extra.yaml\n"},
			kept:  []string{dir + "extra.yaml"},
		},
		"a manifest that is not listed": {
			there: map[string]string{dir + "values.yaml": "a: b\n"},
			want:  []string{"modify " + dir + "kustomization.yaml"}, kept: []string{dir + "values.yaml"},
		},
		"a patch of what goes": {
			there: map[string]string{
				dir + "extra.yaml": configMap,
				dir + "patch.yaml": "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\n" +
					"metadata:\n  name: w01\n  namespace: default\nspec:\n  kubernetesVersion: \"1.34\"\n",
				dir + "kustomization.yaml": "resources:\n- extra.yaml\n- eksa-cluster.yaml\npatches:\n" +
					"- path: patch.yaml\n",
			},
			wrong: dir + "kustomization.yaml cannot go on without the cluster's files",
		},
		"named elsewhere": {
			there: map[string]string{"clusters/dev/kustomization.yaml": "resources:\n- flux-system\n" +
				"- dev/eksa-system\npatches:\n- path: w01/eksa-system/eksa-cluster.yaml\n"},
			wrong: "clusters/dev/kustomization.yaml cannot go on without the cluster's files: it names " +
				"them under patches",
		},
		"kustomizations all the way up": {
			there: map[string]string{
				"clusters/dev/w01/kustomization.yaml": "resources:\n- eksa-system\n",
				"clusters/dev/kustomization.yaml": "resources:\n- flux-system\n- dev/eksa-system\n" +
					"- w01\n",
				"clusters/dev/flux-system/x.yaml": configMap,
			},
			want: []string{"modify clusters/dev/kustomization.yaml", "delete " + dir + "kustomization.yaml",
				"delete clusters/dev/w01/kustomization.yaml"},
			files: map[string]string{"clusters/dev/kustomization.yaml": "resources:\n- flux-system\n" +
				"- dev/eksa-system\n"},
		},
		"a kustomization of nothing else": {
			there: map[string]string{"clusters/dev/w01/kustomization.yaml": "resources:\n- eksa-system\n",
				"clusters/dev/w01/values.yaml": "a: b\n"},
			want: []string{"delete " + dir + "kustomization.yaml",
				"modify clusters/dev/w01/kustomization.yaml"},
			kept: []string{"clusters/dev/w01/values.yaml"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fleetWorld(t, onGitHub, "w01")
			w.commitOther("main", func(files map[string]string) {
				for file, content := range test.there {
					files[file] = content
				}
			})
			w.flux()
			result, err := gitops.Delete(t.Context(), w.ports(nil), doomed(t, onGitHub, "w01"))
			if test.wrong != "" {
				refused := new(gitops.PreflightError)
				if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.wrong) ||
					len(w.effects) > 0 {
					t.Errorf("%v, wrote %v", err, w.effects)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, change := range changesOf(result) {
				if change != "delete "+dir+"eksa-cluster.yaml" {
					got = append(got, change)
				}
			}
			equal(t, "changes", got, test.want)
			equal(t, "kept", result.Kept, append([]string{}, test.kept...))
			for file, content := range test.files {
				if is := w.branches["main"].files[file]; is != content {
					t.Errorf("%s is\n%s", file, is)
				}
			}
			for _, change := range result.Repository.Files {
				if is, there := w.branches["main"].files[change.Path]; there != (change.Change != "delete") ||
					is != string(change.After) {
					t.Errorf("%s %s: there %v", change.Change, change.Path, there)
				}
			}
			// What is left passes lint as far as the directory goes, and the cluster can be created again
			// beside it, without a word of upgrade.
			for _, problem := range lintProblems(t, w.branches["main"].files) {
				if strings.Contains(problem, "w01") && strings.HasPrefix(problem, "error") &&
					!strings.Contains(problem, "extra.yaml") && !strings.Contains(problem, "values.yaml") {
					t.Errorf("lint: %s", problem)
				}
			}
			create(t, w, on(t, spec("w01", onGitHub)))
			if built := builtFrom(t, w.branches["main"].files, "clusters/dev/w01"); !strings.Contains(built,
				"kind: Cluster\n") {
				t.Errorf("Flux builds no cluster:\n%s", built)
			}
		})
	}
}

// TestDelete_broken refuses when Flux would not delete the cluster, and offers the halves.
func TestDelete_broken(t *testing.T) {
	t.Parallel()
	const halves = "eksa-gitops delete cluster w01 --from git, then eksa-gitops delete cluster w01 " +
		"--from cluster"
	for name, test := range map[string]struct {
		break_     func(*world)
		from       gitops.From
		want, hint string
	}{
		"suspended": {break_: func(w *world) { w.state.Flux.Kustomization.Suspended = true },
			want: "Kustomization flux-system/flux-system is suspended", hint: halves},
		"source suspended": {break_: func(w *world) { w.state.Flux.GitRepository.Suspended = true },
			want: "GitRepository flux-system/flux-system is suspended", hint: halves},
		"no pruning": {break_: func(w *world) { w.state.Flux.Kustomization.Prune = false },
			want: "does not delete what is no longer in Git", hint: halves},
		"no source": {break_: func(w *world) { w.state.Flux.GitRepository = nil },
			want: "there is no GitRepository flux-system/flux-system", hint: halves},
		"no Kustomization": {break_: func(w *world) { w.state.Flux.Kustomization = nil },
			want: "there is no Kustomization flux-system/flux-system", hint: halves},
		"no Flux": {break_: func(w *world) { w.state.Flux = fluxinstall.FluxState{} },
			want: "there is no Flux in namespace flux-system", hint: halves},
		"no controller": {break_: func(w *world) { w.state.Flux.Controllers = w.state.Flux.Controllers[1:] },
			want: "source-controller is not running", hint: halves},
		"source failing": {break_: func(w *world) {
			fail(&w.state.Flux.GitRepository.Conditions, "authentication required")
		},
			want: "GitRepository flux-system/flux-system is not ready (Failed): authentication required",
			hint: halves},
		"applying fails": {
			break_: func(w *world) { fail(&w.state.Flux.Kustomization.Conditions, "kustomize build failed") },
			want:   "is not ready (Failed): kustomize build failed", hint: halves},
		"others fail": {
			break_: func(w *world) {
				fail(&w.state.Flux.Kustomization.Conditions,
					"Cluster/default/w02 dry-run failed: no\nCluster/default/w01 configured\n")
			},
			want: "is not ready (Failed): Cluster/default/w02 dry-run failed: no", hint: halves,
		},
		"not Flux's": {break_: func(w *world) { w.state.Flux.Kustomization.Inventory = nil },
			want: "its files are in Git, but Flux does not manage the object", hint: halves},
		"marked": {break_: func(w *world) { w.state.Clusters[1].KeptByFlux = true },
			want: "which keeps Flux from deleting it", hint: halves},
		"paused": {break_: func(w *world) { w.state.Clusters[1].Paused = true },
			want: "cluster w01 is paused", hint: "allow-delete-when-paused=true"},
		"another manager": {break_: func(w *world) { w.state.Clusters[1].ManagementCluster = "ops" },
			want: "cluster w01 is managed by ops, not by dev", hint: "--kubeconfig"},
		"somebody's Flux": {
			break_: func(w *world) { w.state.Flux.Others = []fluxinstall.Other{{Description: "Helm"}} },
			want:   "Flux is already installed by somebody else: Helm"},
		"two of the name": {break_: func(w *world) {
			c := w.state.Clusters[1]
			c.Namespace = "x"
			w.state.Clusters = append(w.state.Clusters, c)
			w.commitOther("main", without("w01"))
		}, want: "there is a cluster w01 in each of the namespaces default, x", hint: "-f"},
		"only in cluster": {break_: func(w *world) {
			w.commitOther("main", without("w01"))
			w.state.Flux.Kustomization.Inventory = nil
		},
			want: "it is in the cluster only", hint: "--from cluster"},
		"Flux makes it new": {from: gitops.FromCluster, break_: func(*world) {},
			want: "has applied it and would create it again", hint: "suspend Flux first"},
		"another cluster": {break_: func(w *world) {
			w.state.Clusters[0].Name, w.state.Clusters[0].ManagementCluster = "ops", "ops"
		},
			want: "is the management cluster ops, not dev"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fleetWorld(t, onGitHub, "w01")
			test.break_(w)
			options := doomed(t, onGitHub, "w01")
			options.From = test.from
			result, err := gitops.Delete(t.Context(), w.ports(nil), options)
			refused := new(gitops.PreflightError)
			if !errors.As(err, &refused) || len(refused.Findings) != 1 ||
				!strings.Contains(refused.Findings[0].Message, test.want) ||
				!strings.Contains(refused.Findings[0].Hint, test.hint) {
				t.Errorf("%v, %+v", err, refused)
			}
			if strings.Contains(err.Error(), "configured") {
				t.Errorf("what is well is told: %v", err)
			}
			if len(w.calls) > 0 || result.Status != gitops.StatusRefused {
				t.Errorf("wrote %v, status %s", w.calls, result.Status)
			}
		})
	}
	t.Run("because of what goes", func(t *testing.T) {
		t.Parallel()
		w := fleetWorld(t, onGitHub, "w01")
		fail(&w.state.Flux.Kustomization.Conditions, "Cluster/default/w01 dry-run failed: field is immutable")
		deleteClusters(t, w, doomed(t, onGitHub, "w01"))
	})
}

func fail(conditions *[]fluxinstall.Condition, message string) {
	*conditions = []fluxinstall.Condition{{Type: "Ready", Status: "False", Reason: "Failed",
		Message: message}}
}

func without(cluster string) func(files map[string]string) {
	return func(files map[string]string) {
		for file := range files {
			if strings.Contains(file, "/"+cluster+"/") {
				delete(files, file)
			}
		}
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

// lintProblems are what lint says of files, as "severity rule file: message".
func lintProblems(t *testing.T, files map[string]string) []string {
	t.Helper()
	tree := lint.Tree{}
	for name, content := range files {
		tree[name] = lint.Node{Content: lint.Bytes(content)}
	}
	report, err := lint.CheckRepository(tree, nil, lint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var problems []string
	for _, p := range report.Problems {
		problems = append(problems, fmt.Sprintf("%s %s %s: %s", p.Severity, p.Rule, p.File, p.Message))
	}
	return problems
}

// builtFrom is what Flux makes of a cluster's directory.
func builtFrom(t *testing.T, files map[string]string, dir string) string {
	t.Helper()
	contents := map[string][]byte{}
	for name, content := range files {
		contents[name] = []byte(content)
	}
	if _, there := contents[dir+"/kustomization.yaml"]; !there {
		dir += "/eksa-system"
	}
	built, err := kustomize.Build(contents, dir, kustomize.AllFiles)
	if err != nil {
		t.Fatalf("%s does not build: %v", dir, err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
