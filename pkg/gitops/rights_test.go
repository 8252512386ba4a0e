package gitops_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// TestRights_refused: what the user may not do in the cluster is told before anything is written, by the dry
// run as by the run, and only where it would be done.
func TestRights_refused(t *testing.T) {
	t.Parallel()
	create := func(dry bool, w *world) (*gitops.Result, error) {
		options := on(t, spec("w02", onGitHub))
		options.DryRun = dry
		return gitops.Create(t.Context(), w.ports(nil), options)
	}
	upgrade := func(dry bool, w *world) (*gitops.Result, error) {
		options := upgrading(t, edited(t, spec("w01", onGitHub), workersOf("1"), workersOf("2")))
		options.DryRun = dry
		return gitops.Upgrade(t.Context(), w.ports(nil), options)
	}
	nothing := func(dry bool, w *world) (*gitops.Result, error) {
		options := upgrading(t, spec("w01", onGitHub))
		options.DryRun = dry
		return gitops.Upgrade(t.Context(), w.ports(nil), options)
	}
	delete_ := func(name string, from gitops.From) func(bool, *world) (*gitops.Result, error) {
		return func(dry bool, w *world) (*gitops.Result, error) {
			options := doomed(t, onGitHub, name)
			options.From, options.DryRun = from, dry
			return gitops.Delete(t.Context(), w.ports(nil), options)
		}
	}
	pause := func(name string) func(bool, *world) (*gitops.Result, error) {
		return func(dry bool, w *world) (*gitops.Result, error) {
			options := pausing(t, onGitHub, name)
			options.DryRun = dry
			return gitops.PauseClusters(t.Context(), w.ports(nil), options)
		}
	}
	for name, test := range map[string]struct {
		lacking   fluxinstall.Purpose
		namespace string
		run       func(dry bool, w *world) (*gitops.Result, error)
		refused   bool
	}{
		"create":                     {fluxinstall.ForFollowing, "flux-system", create, true},
		"upgrade":                    {fluxinstall.ForFollowing, "flux-system", upgrade, true},
		"upgrade with nothing to do": {fluxinstall.ForFollowing, "flux-system", nothing, false},
		"delete": {fluxinstall.ForFollowing, "flux-system",
			delete_("w01", gitops.FromBoth), true},
		"delete from the cluster": {fluxinstall.ForDeleting, "default",
			delete_("alone", gitops.FromCluster), true},
		"pause in Git":         {fluxinstall.ForFollowing, "flux-system", pause("w01"), true},
		"pause in the cluster": {fluxinstall.ForMarking, "default", pause("alone"), true},
		"needs no marks":       {fluxinstall.ForMarking, "default", pause("w01"), false},
		"needs no deletion":    {fluxinstall.ForDeleting, "default", delete_("w01", gitops.FromBoth), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, dry := range []bool{true, false} {
				w := fleet(t)
				w.state.Clusters = append(w.state.Clusters, fluxinstall.ClusterInfo{
					Namespace: "default", Name: "alone", ManagementCluster: "dev", Ready: true,
				})
				w.lacking = map[fluxinstall.Purpose]string{test.lacking: test.namespace}
				before := w.describe()
				result, err := test.run(dry, w)
				refused := new(gitops.PreflightError)
				if !test.refused {
					if errors.As(err, &refused) {
						t.Errorf("dry run %t: refused: %v", dry, err)
					}
					continue
				}
				want := fmt.Sprintf("the user of the kubeconfig may not patch purpose%d in namespace %s",
					test.lacking, test.namespace)
				if !errors.As(err, &refused) || result.Status != gitops.StatusRefused ||
					len(refused.Findings) != 1 || refused.Findings[0].Area != facts.AreaAccess ||
					refused.Findings[0].Message != want {
					t.Errorf("dry run %t: %v, %s", dry, err, result.Status)
				}
				if len(w.calls) > 0 || w.describe() != before {
					t.Errorf("dry run %t: wrote %v", dry, w.calls)
				}
			}
		})
	}
}
