package gitops_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

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
