package gitops_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// TestVerdict_fluxGoesOn has creations that cannot do their GitOps part. The result says what Flux did
// before, as far as that still holds.
func TestVerdict_fluxGoesOn(t *testing.T) {
	t.Parallel()
	archived := []github.Finding{{Severity: github.SeverityError, Kind: github.KindPolicy,
		Message: "repository octo/fleet is archived: nobody can write to it"}}
	applied := func(w *world) string { return fluxinstall.Revision("main", w.branches["main"].head) }
	for _, test := range []struct {
		name     string
		change   func(w *world)
		clusters []string
		ready    bool // Flux goes on
		none     bool // there is nothing to say about Flux
	}{
		{name: "archived, nothing to do", change: func(w *world) { w.accessFindings = archived },
			clusters: []string{"dev"}, ready: true},
		{name: "archived, Flux is not Ready", change: func(w *world) {
			w.accessFindings = archived
			w.state.Flux.Kustomization.Ready = false
		}, clusters: []string{"dev"}, none: true},
		{name: "the push is refused", change: func(w *world) { w.onPush = func() error { return errFault } },
			clusters: []string{"w01"}, ready: true},
		{name: "after the push", change: func(w *world) { w.syncErr = errFault }, clusters: []string{"w01"}},
	} {
		for _, dryRun := range []bool{false, true} {
			if dryRun && !strings.HasPrefix(test.name, "archived") {
				continue // it shows in a real run only
			}
			w := managed(t, onGitHub)
			before := applied(w)
			test.change(w)
			var specs []string
			for _, name := range test.clusters {
				specs = append(specs, spec(name, onGitHub))
			}
			options := on(t, specs...)
			options.DryRun = dryRun
			result, _ := gitops.Create(t.Context(), w.ports(nil), options)
			if result.Failure == nil {
				t.Fatalf("%s: it did not fail: %s", test.name, result.Status)
			}
			switch flux := result.Flux; {
			case test.none:
				if flux != nil {
					t.Errorf("%s: Flux %+v", test.name, flux)
				}
			case flux == nil || flux.Ready != test.ready || flux.Revision != before:
				t.Errorf("%s: Flux %+v, want %s, goes on %v", test.name, flux, before, test.ready)
			}
		}
	}
	// Nothing was there before.
	w := newSmallWorld(t, onGitHub)
	w.failBefore = 1
	result, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("dev", onGitHub)))
	if err != nil || result.Status != gitops.StatusGitOpsFailed || result.Flux != nil {
		t.Errorf("error %v, status %s, Flux %+v", err, result.Status, result.Flux)
	}
}

// TestVerdict_timeIsOver has runs whose time is over at different moments. A cluster that was Ready when it
// was looked at is not called unready, and one that nobody saw is not either.
func TestVerdict_timeIsOver(t *testing.T) {
	t.Parallel()
	hang := func(beginning string) func(*world) {
		return func(w *world) {
			w.onCall = func(ctx context.Context, call string) {
				if strings.HasPrefix(call, beginning) {
					<-ctx.Done()
				}
			}
		}
	}
	for _, test := range []struct {
		name     string
		change   func(w *world)
		clusters []string
		want     string
		ready    bool // the first cluster
	}{
		{"at the push", hang("Push"), []string{"dev"}, "the run did not finish: ", true},
		{"at the push, two clusters", hang("Push"), []string{"dev", "w01"},
			"not every cluster is Ready: 1 of 2 are not\n  w01: not created", true},
		{"while Flux applies", hang("WaitSynced"), []string{"dev"},
			"the run did not finish: waiting for Flux to apply ", true},
		{"while the cluster is looked at", hang("WaitCluster"), []string{"dev"},
			"whether every cluster is Ready was not seen: ", false},
		{"while clusters are looked at", hang("WaitCluster"), []string{"dev", "w01"},
			"whether every cluster is Ready was not seen: ", false},
		{"the cluster was not Ready", func(w *world) {
			hang("Push")(w)
			w.state.Clusters[0].Ready = false
		}, []string{"dev"}, "whether every cluster is Ready was not seen: ", false},
		{"the cluster is seen not to be Ready", func(w *world) {
			w.notReady["dev"] = &fluxinstall.NotReadyError{Object: "Cluster default/dev",
				Message: "no capacity"}
		}, []string{"dev"}, "not every cluster is Ready: ", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t, onGitHub)
			test.change(w)
			var specs []string
			for _, name := range test.clusters {
				specs = append(specs, spec(name, onGitHub))
			}
			options := on(t, specs...)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				result, err := gitops.Create(ctx, w.ports(nil), options)
				if !errors.As(err, new(*gitops.IncompleteError)) ||
					!strings.HasPrefix(err.Error(), test.want) || result.Status != gitops.StatusIncomplete {
					t.Errorf("status %s, error %v", result.Status, err)
				}
				if result.Clusters[0].Ready != test.ready {
					t.Errorf("%+v", result.Clusters[0])
				}
			})
		})
	}
}

// TestBranchRule: a branch that became protected stops a run that has something to push, and no other.
func TestBranchRule(t *testing.T) {
	t.Parallel()
	protected := func() *world {
		w := fleet(t)
		w.accessFindings = []github.Finding{{Name: github.FindingBranch, Severity: github.SeverityError,
			Kind: github.KindPolicy, Message: "branch main does not accept direct pushes", Hint: "ask"}}
		return w
	}
	for name, dry := range map[string]bool{"run": false, "dry run": true} {
		w := protected()
		options := on(t, spec("dev", onGitHub), spec("w01", onGitHub))
		options.DryRun = dry
		result, err := gitops.Create(t.Context(), w.ports(nil), options)
		if err != nil || result.Failure != nil || result.Changed || len(w.effects) > 0 {
			t.Errorf("%s of create: error %v, failure %+v, written %v", name, err, result.Failure, w.effects)
		}
		again := upgrading(t, spec("w01", onGitHub))
		again.DryRun = dry
		if result, err := gitops.Upgrade(t.Context(), w.ports(nil), again); err != nil || result.Changed ||
			len(w.effects) > 0 {
			t.Errorf("%s of upgrade: error %v, written %v", name, err, w.effects)
		}

		options = on(t, spec("w02", onGitHub))
		options.DryRun = dry
		result, _ = gitops.Create(t.Context(), w.ports(nil), options)
		if f := result.Failure; f == nil || !strings.Contains(f.Message, "does not accept direct pushes") {
			t.Errorf("%s of create with a push: failure %+v", name, f)
		}
		changing := upgrading(t, edited(t, spec("w01", onGitHub), version, version34))
		changing.DryRun = dry
		w = protected()
		_, err = gitops.Upgrade(t.Context(), w.ports(nil), changing)
		if !errors.Is(err, github.ErrPolicy) || len(w.effects) > 0 {
			t.Errorf("%s of upgrade with a push: error %v, written %v", name, err, w.effects)
		}
	}
}
