package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// TestCreate_fleet makes one commit for all clusters and follows them together.
func TestCreate_fleet(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.forget()
	report := &reporter{}
	result, err := gitops.Create(t.Context(), w.ports(report),
		on(t, spec("w01", onGitHub), spec("w02", onGitHub), spec("w03", onGitHub)))
	if err != nil {
		t.Fatal(err)
	}
	report.check(t, result)
	equal(t, "calls", w.calls, []string{"Push main", "RequestReconcile flux-system/flux-system",
		"SaveLocal w01", "SaveLocal w02", "SaveLocal w03"})
	if w.fetches != 1 {
		t.Errorf("%d fetches", w.fetches)
	}
	var told []string
	for _, line := range report.progress() {
		if text, ok := strings.CutPrefix(line, "Wait for 3 clusters to be Ready: "); ok {
			told = append(told, text)
		}
	}
	equal(t, "parts", told,
		[]string{"w01 waiting", "w02 waiting", "w03 waiting", "w01 done", "w02 done", "w03 done"})
	for _, c := range result.Clusters {
		if !c.Ready || c.Message != "" || c.ControlPlane == nil || *c.ControlPlane.Ready != 1 ||
			c.Workers.Ready != nil || c.Workers.Desired != 2 {
			t.Errorf("%+v", c)
		}
	}
}

// TestCreate_fleetNotReady names each cluster that is not Ready, with its cause.
func TestCreate_fleetNotReady(t *testing.T) {
	t.Parallel()
	for _, broken := range []int{1, 2, 13} {
		t.Run(fmt.Sprint(broken), func(t *testing.T) {
			t.Parallel()
			w := managed(t, onGitHub)
			var specs []string
			for i := range 15 {
				name := fmt.Sprintf("w%02d", i+1)
				specs = append(specs, spec(name, onGitHub))
				if i < broken {
					w.notReady[name] = &fluxinstall.NotReadyError{
						Object: "Cluster default/" + name, Reason: "Quota", Message: "no room for " + name,
						Next: hint.Plain("kubectl get " + name), Err: context.DeadlineExceeded,
					}
				}
			}
			result, err := gitops.Create(t.Context(), w.ports(nil), on(t, specs...))
			if !errors.As(err, new(*gitops.IncompleteError)) || !errors.Is(err, context.DeadlineExceeded) ||
				result.Status != gitops.StatusIncomplete {
				t.Fatalf("%v, %s", err, result.Status)
			}
			want := fmt.Sprintf("not every cluster is Ready: %d of 15 are not", broken)
			for i := range min(broken, 10) {
				want += fmt.Sprintf("\n  w%02d: Quota; no room for w%02d", i+1, i+1)
			}
			if broken == 13 {
				want += "\n  and 3 more"
			}
			if err.Error() != want {
				t.Errorf("error:\n%v\nwant:\n%s", err, want)
			}
			hint := "eksa-gitops status"
			if broken == 1 {
				hint = "kubectl get w01"
			}
			if result.Failure.Hint != hint {
				t.Errorf("hint %q, want %q", result.Failure.Hint, hint)
			}
			for i, c := range result.Clusters {
				want := gitops.ClusterResult{}
				if i < broken {
					want.Message = fmt.Sprintf("Cluster default/%s is not ready (Quota): no room for %s",
						c.Name, c.Name)
					want.Cause, want.Next = "Quota; no room for "+c.Name, "kubectl get "+c.Name
				}
				if c.Ready != (i >= broken) || c.Message != want.Message || c.Cause != want.Cause ||
					c.Next != want.Next {
					t.Errorf("%+v", c)
				}
			}
		})
	}
}

// TestCreate_fleetNotCreated has nothing to wait for when the commit did not come about.
func TestCreate_fleetNotCreated(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.onPush = func() error { return errFault }
	w.waits = nil
	result, err := gitops.Create(t.Context(), w.ports(nil),
		on(t, spec("w01", onGitHub), spec("w02", onGitHub)))
	if !errors.As(err, new(*gitops.IncompleteError)) || !errors.Is(err, errFault) {
		t.Errorf("%v", err)
	}
	if len(w.waits) > 0 {
		t.Errorf("waited for %v", w.waits)
	}
	for _, c := range result.Clusters {
		if c.Ready || !strings.HasPrefix(c.Message, "not created: ") {
			t.Errorf("%+v", c)
		}
	}
}
