package gitops_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// fleetOfTwo is a world with a management cluster dev and a workload cluster w01, both managed through Git.
func fleetOfTwo(t *testing.T) *world {
	t.Helper()
	w := managed(t, onGitHub)
	create(t, w, on(t, spec("w01", onGitHub)))
	w.forget()
	return w
}

// fails has Flux say that it cannot apply anything, as it does when its path is not there.
func (w *world) fails() {
	ks := w.state.Flux.Kustomization
	ks.Ready = false
	ks.Conditions = []fluxinstall.Condition{{Type: "Ready", Status: "False", Reason: "ArtifactFailed",
		Message: "kustomization path not found"}}
}

// removed takes all files below a directory out of the branch.
func (w *world) removed(dir string) {
	w.commitOther("main", func(files map[string]string) {
		maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasPrefix(name, dir+"/") })
	})
}

// refusedWith makes sure that a run was refused before it wrote anything, with these findings.
func refusedWith(t *testing.T, w *world, err error, want ...string) {
	t.Helper()
	var preflight *gitops.PreflightError
	if !errors.As(err, &preflight) {
		t.Fatalf("got %v, want a refusal", err)
	}
	var got []string
	for _, f := range preflight.Findings {
		got = append(got, f.Message+"; "+f.Hint)
	}
	equal(t, "findings", got, want)
	if len(w.calls) > 0 {
		t.Errorf("a refused run wrote %v", w.calls)
	}
}

func foreseen(result *gitops.Result) []string {
	var all []string
	for _, c := range result.Consequences {
		line := string(c.Change) + " " + c.Object
		if !c.Asked {
			line += " unasked"
		}
		all = append(all, line)
	}
	return all
}

// TestConsequences_pathRemoved: what a push takes away with it is found before it, named, and refused.
func TestConsequences_pathRemoved(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"create", "upgrade"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			w := fleetOfTwo(t)
			w.removed("clusters/dev")
			gone := w.branches["main"].head[:7]
			w.fails()
			run := func(dry, restore bool) (*gitops.Result, error) {
				options := upgrading(t, spec("dev", onGitHub))
				options.DryRun, options.Meant.RestoreMissing = dry, restore
				if verb == "create" {
					return gitops.Create(t.Context(), w.ports(nil), options.CreateOptions)
				}
				return gitops.Upgrade(t.Context(), w.ports(nil), options)
			}
			want := fmt.Sprintf("Flux would delete Cluster default/w01 with all its machines: it has "+
				"applied it, and would not find it any more in clusters/dev of branch main; commit %s took "+
				"its files out; bring its files back with git revert %s, or with --restore-missing, which "+
				"makes them from the cluster; if it is meant: eksa-gitops delete cluster w01", gone, gone)
			for _, dry := range []bool{true, false} {
				result, err := run(dry, false)
				refusedWith(t, w, err, want)
				equal(t, "consequences", foreseen(result), []string{"delete Cluster default/w01 unasked"})
			}
			result, err := run(false, true)
			if err != nil || result.Failure != nil {
				t.Fatal(err, result.Failure)
			}
			files := w.branches["main"].files
			if !strings.Contains(files["clusters/dev/w01/eksa-system/eksa-cluster.yaml"], "name: w01") ||
				files["clusters/dev/w01/eksa-system/kustomization.yaml"] == "" {
				t.Errorf("the files of w01 are not back: %v", slices.Sorted(maps.Keys(files)))
			}
			if !slices.ContainsFunc(w.state.Clusters,
				func(c fluxinstall.ClusterInfo) bool { return c.Name == "w01" && !c.Deleting }) {
				t.Errorf("w01 is gone: %+v", w.state.Clusters)
			}
			if message := w.branches["main"].history[len(w.branches["main"].history)-
				1].message; !strings.Contains(message, "restore w01\n") {
				t.Errorf("the commit says %q", message)
			}
		})
	}
}

// TestConsequences_cutOff: a run that gives Flux back the way to the repository has it apply all that it has
// missed. What nobody asked for among that is refused, whether Flux says already that it cannot fetch or not.
func TestConsequences_cutOff(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(w *world){
		"Flux says so": func(w *world) {
			w.state.Flux.GitRepository.Conditions = []fluxinstall.Condition{{Type: "Ready", Status: "False",
				Reason: "GitOperationFailed", Message: "unable to authenticate"}}
		},
		"the deploy key is removed":  func(w *world) { w.keys = nil },
		"the deploy key is disabled": func(w *world) { w.keys[0].Disabled = true },
		"the Secret is gone":         func(w *world) { w.private, w.publicKey = false, "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fleetOfTwo(t)
			w.removed("clusters/dev/w01")
			gone := w.branches["main"].head[:7]
			w.commitOther("main", func(files map[string]string) {
				files["clusters/dev/extra/eksa-system/eksa-cluster.yaml"] = spec("extra", onGitHub)
			})
			cut(w)
			deleted := fmt.Sprintf("Flux would delete Cluster default/w01 with all its machines: it has "+
				"applied it, and would not find it any more in clusters/dev of branch main; commit %s took "+
				"its files out; bring its files back with git revert %s, or with --restore-missing, which "+
				"makes them from the cluster; if it is meant: eksa-gitops delete cluster w01", gone, gone)
			built := "EKS Anywhere would build cluster extra: in Git, but not in management cluster dev; " +
				"say that this is meant: --build extra; or take them out of Git: git rm -r clusters/dev/extra"
			for _, dry := range []bool{true, false} {
				options := upgrading(t, spec("dev", onGitHub))
				options.DryRun = dry
				result, err := gitops.Create(t.Context(), w.ports(nil), options.CreateOptions)
				refusedWith(t, w, err, deleted, built)
				equal(t, "consequences", foreseen(result),
					[]string{"delete Cluster default/w01 unasked", "create Cluster extra unasked"})
				_, err = gitops.Upgrade(t.Context(), w.ports(nil), options)
				refusedWith(t, w, err, deleted, built)
			}
			// A run that does not look after Flux lets it stand.
			if _, err := gitops.Create(t.Context(), w.ports(nil),
				dry(on(t, spec("w02", onGitHub)))); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestConsequences_cutOffUntilPushed: what Flux lacks it gets after the push. Before, it would delete what
// the run brings back.
func TestConsequences_cutOffUntilPushed(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"create", "upgrade"} {
		w := fleetOfTwo(t)
		w.removed("clusters/dev/w01")
		w.keys = nil
		options := upgrading(t, spec("dev", onGitHub), spec("w01", onGitHub))
		run := func(dry bool) (*gitops.Result, error) {
			options.DryRun = dry
			if verb == "create" {
				return gitops.Create(t.Context(), w.ports(nil), options.CreateOptions)
			}
			return gitops.Upgrade(t.Context(), w.ports(nil), options)
		}
		for _, dry := range []bool{true, false} {
			result, err := run(dry)
			if err != nil || result.Failure != nil {
				t.Fatalf("%s: %v, %+v", verb, err, result.Failure)
			}
			var order []string
			for _, step := range result.Steps {
				if s := string(step.Step); strings.HasPrefix(s, "Push ") ||
					strings.HasPrefix(s, "Register ") {
					order = append(order, s)
				}
			}
			equal(t, verb, order,
				[]string{"Push cluster files to branch main", "Register the read-only deploy key"})
		}
		push, key := slices.Index(w.calls, "Push main"),
			slices.Index(w.calls, "EnsureDeployKey eksa-gitops dev/flux-system")
		if push < 0 || key < push {
			t.Errorf("%s: calls %v", verb, w.calls)
		}
	}
}

func dry(options gitops.CreateOptions) gitops.CreateOptions {
	options.DryRun = true
	return options
}

// TestConsequences_fluxGoes: a workload cluster's files alone would have Flux remove itself.
func TestConsequences_fluxGoes(t *testing.T) {
	t.Parallel()
	w := fleetOfTwo(t)
	w.removed("clusters/dev")
	w.fails()
	w.state.Flux.Kustomization.Inventory = append(w.state.Flux.Kustomization.Inventory,
		"flux-system_kustomize-controller_apps_Deployment",
		"flux-system_flux-system_kustomize.toolkit.fluxcd.io_Kustomization")
	_, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("w02", onGitHub)))
	if err == nil || !strings.Contains(err.Error(), "Flux would delete itself: Deployment "+
		"flux-system/kustomize-controller, Kustomization flux-system/flux-system") {
		t.Errorf("got %v", err)
	}
}

// TestConsequences_rebuilt: clusters that are in Git and not alive are built when a person says so.
func TestConsequences_rebuilt(t *testing.T) {
	t.Parallel()
	before := fleetOfTwo(t)
	rebuilt := func(t *testing.T) *world {
		w := newSmallWorld(t, onGitHub)
		w.exists = true
		w.branches["main"] = &tip{head: before.branches["main"].head,
			files: maps.Clone(before.branches["main"].files)}
		return w
	}
	const want = "EKS Anywhere would build cluster w01: in Git, but not in management cluster dev; this " +
		"looks like a rebuilt management cluster, and clusters of the former one that still run would be " +
		"built a second time, with the same addresses; say that this is meant: --build w01; or take them " +
		"out of Git: git rm -r clusters/dev/w01"
	w := rebuilt(t)
	options := on(t, spec("dev", onGitHub))
	for _, dry := range []bool{true, false} {
		options.DryRun = dry
		result, err := gitops.Create(t.Context(), w.ports(nil), options)
		refusedWith(t, w, err, want)
		equal(t, "consequences", foreseen(result), []string{"create Cluster default/w01 unasked"})
	}
	for _, word := range []string{"w01", "all"} {
		w := rebuilt(t)
		options := on(t, spec("dev", onGitHub))
		options.Meant.Build = []string{word}
		result := create(t, w, options)
		equal(t, "consequences", foreseen(result), []string{"create Cluster default/w01"})
	}
}

// TestConsequences_leftOut: Flux does not build what spec.ignore of its GitRepository leaves out.
func TestConsequences_leftOut(t *testing.T) {
	t.Parallel()
	for ignore, want := range map[string][]string{
		"": {"create Cluster default/w02"}, "/clusters/dev/w01/": {"create Cluster default/w02"},
		"/clusters/dev/w02/": nil, "eksa-cluster.yaml\nkustomization.yaml": nil,
	} {
		w := fleetOfTwo(t)
		w.state.Flux.GitRepository.Ignore = ignore
		options := on(t, spec("w02", onGitHub))
		options.DryRun = true
		result, err := gitops.Create(t.Context(), w.ports(nil), options)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "consequences of leaving out "+ignore, foreseen(result), want)
	}
}

// TestConsequences_transformed: it is what kustomize makes of the files that counts.
func TestConsequences_transformed(t *testing.T) {
	t.Parallel()
	w := fleetOfTwo(t)
	w.commitOther("main", func(files map[string]string) {
		files["clusters/dev/w02/eksa-system/kustomization.yaml"] = "namePrefix: prod-\nresources:\n" +
			"- eksa-cluster.yaml\n"
	})
	_, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("w02", onGitHub)))
	refusedWith(t, w, err,
		"EKS Anywhere would build cluster prod-w02: in Git, but not in management cluster dev; say that "+
			"this is meant: --build prod-w02; or take them out of Git: git rm -r clusters/dev/w02")
}

// TestConsequences_deletedFromGit: a deletion that does not look at the cluster takes out of Git what Flux
// builds the named clusters from, and nothing else.
func TestConsequences_deletedFromGit(t *testing.T) {
	t.Parallel()
	const file = "clusters/dev/w01/eksa-system/kustomization.yaml"
	const path = "resources: [flux-system, dev/eksa-system, w01/eksa-system]\n"
	for name, tc := range map[string]struct {
		change func(files map[string]string)
		other  string
	}{
		"in its directory": {
			func(files map[string]string) { files[file] = "namePrefix: prod-\n" + files[file] },
			"default/prod-w01"},
		"for the path": {func(files map[string]string) {
			files["clusters/dev/kustomization.yaml"] = "namePrefix: prod-\n" + path
		},
			"default/prod-w01"},
		// All others get it, too, before and after: they do not leave.
		"a namespace by Flux's Kustomization": {func(files map[string]string) {
			files["clusters/dev/kustomization.yaml"] = path
			files[syncPath] = edited(t, files[syncPath], "  prune: true\n",
				"  prune: true\n  targetNamespace: other\n")
		}, "other/w01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fleetOfTwo(t)
			w.commitOther("main", tc.change)
			options := doomed(t, onGitHub, "w01")
			options.From = gitops.FromGit
			_, err := gitops.Delete(t.Context(), w.ports(nil), options)
			refusedWith(t, w, err, "Flux would delete Cluster "+tc.other+
				" with all its machines: that is what Flux builds from "+
				"clusters/dev/w01/eksa-system/eksa-cluster.yaml; see what makes another cluster of it: git "+
				"grep -nE 'namePrefix|nameSuffix|namespace|patches' -- clusters/dev; correct that, or, if "+
				"this cluster is meant, take its files out by hand: git rm -r clusters/dev/w01")
			if w.branches["main"].files[file] == "" {
				t.Error("it is gone from Git")
			}
		})
	}
	w := fleetOfTwo(t)
	options := doomed(t, onGitHub, "w01")
	options.From = gitops.FromGit
	deleteClusters(t, w, options)
	if w.branches["main"].files[file] != "" {
		t.Error("it is still in Git")
	}
}

// TestConsequences_identity: a change of the namespace is a deletion and a creation, and is refused by both
// commands.
func TestConsequences_identity(t *testing.T) {
	t.Parallel()
	const want = "cluster w01: the file puts it into namespace other, and it lives in namespace default; " +
		"Flux would delete the cluster with all its machines and create another; put the old value back " +
		"(a.yaml:5); if that is what you want, delete the cluster and then create it: eksa-gitops delete " +
		"cluster w01, eksa-gitops create cluster -f a.yaml"
	moved := strings.ReplaceAll(spec("w01", onGitHub), "metadata:\n  name: w01\n",
		"metadata:\n  name: w01\n  namespace: other\n")
	w := fleetOfTwo(t)
	_, err := gitops.Upgrade(t.Context(), w.ports(nil), upgrading(t, moved))
	refusedWith(t, w, err, want)
	options := on(t, moved)
	options.Overwrite = true
	_, err = gitops.Create(t.Context(), w.ports(nil), options)
	refusedWith(t, w, err, want)
}

// TestConsequences_objects: other objects go when a person says so.
func TestConsequences_objects(t *testing.T) {
	t.Parallel()
	w := fleetOfTwo(t)
	w.state.Flux.Kustomization.Suspended, w.state.Flux.Kustomization.Stopped = true, true
	w.state.Flux.Kustomization.Inventory = append(w.state.Flux.Kustomization.Inventory,
		"apps_settings__ConfigMap", "flux-system_old_networking.k8s.io_NetworkPolicy")
	options := on(t, spec("dev", onGitHub))
	_, err := gitops.Create(t.Context(), w.ports(nil), options)
	refusedWith(t, w, err, "Flux would delete ConfigMap apps/settings, which it has applied and would not "+
		"find any more in clusters/dev of branch main; bring their files back, or say that they may go: "+
		"--prune ConfigMap/apps/settings")
	options.Meant.Prune = []string{"ConfigMap/apps/settings"}
	equal(t, "consequences", foreseen(create(t, w, options)), []string{"delete ConfigMap apps/settings"})
}

// TestConsequences_delete: a deletion takes its own cluster and nothing else.
func TestConsequences_delete(t *testing.T) {
	t.Parallel()
	w := fleetOfTwo(t)
	options := gitops.DeleteOptions{
		Settings: on(t, spec("w01", onGitHub)).Settings, Clusters: []gitops.Doomed{{Name: "w01"}},
		ManagementCluster: "dev", GitOps: parse(t, spec("dev", onGitHub))[0].GitOps,
	}
	w.commitOther("main", func(files map[string]string) {
		files["clusters/dev/w01/more/kustomization.yaml"] = "resources:\n- other.yaml\n"
		files["clusters/dev/w01/more/other.yaml"] = "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\n" +
			"kind: Cluster\nmetadata:\n  name: other\n  namespace: default\n"
		files["clusters/dev/w01/kustomization.yaml"] = "resources:\n- eksa-system\n- more\n"
	})
	options.DryRun = true
	result, err := gitops.Delete(t.Context(), w.ports(nil), options)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "consequences", foreseen(result), []string{"delete Cluster default/w01",
		"delete DockerDatacenterConfig default/w01", "delete FluxConfig default/w01"})
}
