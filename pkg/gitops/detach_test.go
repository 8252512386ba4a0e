package gitops_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

func TestDelete_management(t *testing.T) {
	t.Parallel()
	w := fleetWorld(t, onGitHub)
	w.commitOther("main", func(files map[string]string) { files["clusters/dev/flux-system/NOTES.md"] = "x" })
	w.keys = append(w.keys,
		github.DeployKey{ID: 99, Title: "eksa-gitops dev/flux-system", PublicKey: w.hostKey, ReadOnly: true})
	w.resources.Objects = []fluxinstall.FluxObject{
		{Kind: "Kustomization", Namespace: "apps", Name: "apps", AppliedBy: "flux-system/flux-system"},
		{Kind: "HelmRelease", Namespace: "apps", Name: "shop", AppliedBy: "apps/apps"},
		{Kind: "HelmChart", Namespace: "flux-system", Name: "apps-shop", Derived: true},
	}
	result := deleteClusters(t, w, doomed(t, onGitHub, "dev"))
	equal(t, "effects", w.effects,
		[]string{"StopFlux", "Push main", "DeleteDeployKey", "Uninstall", "RemoveGitOps default/dev"})
	equal(t, "steps", afterLooking(result), []string{
		"Stop Flux: changed", "Push cluster files to branch main: changed", "Remove the deploy key: changed",
		"Uninstall Flux: changed", "Take the GitOps configuration off the cluster: changed",
	})
	equal(t, "kept", result.Kept, []string{"clusters/dev/flux-system/NOTES.md"})
	equal(t, "clusters", clusterNames(w), []string{"dev"})
	if len(w.keys) != 1 || w.keys[0].ID != 99 {
		t.Errorf("deploy keys: %+v", w.keys)
	}
	if w.state.Clusters[0].Deleting {
		t.Error("the management cluster is being deleted")
	}
	// Whoever has the file, and whoever has only the name, finds nothing to do.
	w.forget()
	options := doomed(t, onGitHub, "dev")
	for _, config := range []*clusterspec.GitOps{options.GitOps, nil} {
		options.GitOps = config
		if again := deleteClusters(t, w, options); again.Changed || len(w.calls) > 0 {
			t.Errorf("the second run called %v", w.calls)
		}
	}
}

// TestDelete_managementRefused touches nothing as long as anything would be lost.
func TestDelete_managementRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		names  []string
		from   gitops.From
		change func(*world)
		want   string
	}{
		"workloads in Git": {change: func(*world) {}, want: "1 workload cluster is still in Git: w01"},
		"workloads in the cluster": {change: func(w *world) { w.commitOther("main", without("w01")) },
			want: "1 workload cluster is still in the cluster, put there by Flux: w01"},
		"together with a workload": {names: []string{"dev", "w01"}, change: func(*world) {},
			want: "dev manages the other clusters"},
		"the files alone": {from: gitops.FromGit, change: func(*world) {},
			want: "the files of management cluster dev cannot go first"},
		"somebody's Flux": {
			change: func(w *world) { w.state.Flux.Others = []fluxinstall.Other{{Description: "Helm"}} },
			want:   "Flux is already installed by somebody else: Helm"},
		"another path": {change: func(w *world) { w.state.Flux.Kustomization.Path = "./elsewhere" },
			want: "applies path ./elsewhere"},
		"another repository": {
			change: func(w *world) { w.state.Flux.GitRepository.URL = "ssh://git@example.com/x" },
			want:   "follows branch main of ssh://git@example.com/x"},
		"objects of somebody": {change: func(w *world) {
			w.resources.Objects = []fluxinstall.FluxObject{{Kind: "HelmRelease", Namespace: "a", Name: "b"}}
		}, want: "other objects need Flux, and did not come from this repository: HelmRelease a/b"},
		"controllers of nobody": {change: func(w *world) {
			w.state.Flux.GitRepository, w.state.Flux.Kustomization = nil, nil
			w.commitOther("main", func(files map[string]string) { delete(files, componentsPath) })
		}, want: "nothing says that this repository installed them"},
		"a name that is a path": {names: []string{"../dev"}, change: func(*world) {},
			want: `"../dev" is not a cluster name`},
		"without a repository": {names: []string{"w01"}, from: gitops.FromGit, change: nil,
			want: "has no gitOpsRef, so its repository is not known"},
		"a credential that fails": {change: func(w *world) {
			w.accessFindings = []github.Finding{{Kind: github.KindPermission, Message: "no right"}}
		}, want: "no right"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fleetWorld(t, onGitHub, "w01")
			if test.names == nil {
				test.names = []string{"dev"}
			}
			options := doomed(t, onGitHub, test.names...)
			options.From = test.from
			if test.change == nil {
				options.GitOps = nil
			} else {
				test.change(w)
			}
			_, err := gitops.Delete(t.Context(), w.ports(nil), options)
			refused := new(gitops.PreflightError)
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) || len(w.calls) > 0 {
				t.Errorf("%v, wrote %v", err, w.calls)
			}
		})
	}
}

// TestDelete_gitOpsRefStays when a webhook is against it, which is no failure.
func TestDelete_gitOpsRefStays(t *testing.T) {
	t.Parallel()
	w := fleetWorld(t, onGitHub)
	w.gitOpsErr = &fluxinstall.RefusedError{Server: "x",
		Err: errors.New("spec.gitOpsRef: field is immutable")}
	report := &reporter{}
	result, err := gitops.Delete(t.Context(), w.ports(report), doomed(t, onGitHub, "dev"))
	if err != nil || result.Status != gitops.StatusDone || !strings.Contains(fmt.Sprint(report.notes()),
		"spec.gitOpsRef of cluster dev stays, which does no harm: spec.gitOpsRef: field is immutable") {
		t.Errorf("%v, %+v, %v", err, result, report.notes())
	}
}
