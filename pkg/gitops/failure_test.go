package gitops_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// TestCreate_gitOpsFailed breaks each step that writes for GitOps. The management cluster stays created: it
// is waited for, its copy is written, and there is no error.
func TestCreate_gitOpsFailed(t *testing.T) {
	t.Parallel()
	const credentials = "Prepare namespace flux-system and its Git credentials"
	for call, name := range map[string]step.Name{
		"EnsureRepository octo/fleet":                 "Create repository octo/fleet",
		"EnsureNamespace flux-system":                 credentials,
		"EnsureSourceSecret flux-system/flux-system":  credentials,
		"EnsureDeployKey eksa-gitops dev/flux-system": "Register the read-only deploy key",
		"Push main":        "Push cluster files to branch main",
		"EnsureComponents": "Install Flux " + fluxmanifests.Version,
		"EnsureSync":       "Point Flux at the repository",
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.failCall = call
			report := &reporter{}
			result, err := gitops.Create(t.Context(), w.ports(report), on(t, spec("dev", onGitHub)))
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != gitops.StatusGitOpsFailed || result.Failure == nil ||
				result.Failure.Step != name || !strings.Contains(result.Failure.Message, errFault.Error()) {
				t.Errorf("%s, %+v", result.Status, result.Failure)
			}
			equal(t, "waits", w.waits, []string{"WaitCluster dev"})
			if len(w.local) != 1 || result.Clusters[0].LocalSpec == "" || !result.Clusters[0].Ready {
				t.Errorf("local copies %v, cluster %+v", w.local, result.Clusters[0])
			}
			if !w.faulty || !result.Changed {
				t.Errorf("faulty %v, changed %v", w.faulty, result.Changed)
			}
			report.check(t, result)
			for _, s := range result.Steps {
				if (s.Outcome == step.OutcomeFailed) != (s.Step == name) {
					t.Errorf("step %s is %s", s.Step, s.Outcome)
				}
			}
		})
	}
}

// TestUpgrade_fluxDoesNotApply: a run that changes nothing, and whose wait does not end well, is not an
// unexpected failure: it can be continued.
func TestUpgrade_fluxDoesNotApply(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.syncErr = &fluxinstall.NotReadyError{Object: "Kustomization flux-system/flux-system",
		Message: "BuildFailed", Next: "flux get kustomizations"}
	result, err := gitops.Upgrade(t.Context(), w.ports(nil), upgrading(t, spec("dev", onGitHub)))
	if !errors.As(err, new(*gitops.IncompleteError)) || result.Status != gitops.StatusIncomplete ||
		result.Changed || result.Failure.Hint != "flux get kustomizations" {
		t.Errorf("error %v, result %+v", err, result)
	}
}

// TestCreate_fluxNeverApplies has a Flux that does not get ready, in its own words.
func TestCreate_fluxNeverApplies(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	w.syncErr = &fluxinstall.NotReadyError{Object: "GitRepository flux-system/flux-system",
		Message: "authentication required", Next: "flux get sources git"}
	result, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("dev", onGitHub)))
	if err != nil || result.Status != gitops.StatusGitOpsFailed {
		t.Fatalf("%v, %s", err, result.Status)
	}
	if f := result.Failure; !strings.HasPrefix(string(f.Step), "Wait for Flux to apply ") ||
		!strings.Contains(f.Message, "authentication required") || f.Hint != "flux get sources git" {
		t.Errorf("%+v", f)
	}
	if result.Flux == nil || result.Flux.Ready || result.Repository.Commit == "" {
		t.Errorf("%+v, %+v", result.Flux, result.Repository)
	}
}

// TestCreate_workloadNotCreated fails before Flux could create a workload cluster: that is not done, and the
// error tells the cause.
func TestCreate_workloadNotCreated(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	w.failBefore = 1
	result, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("w01", onGitHub)))
	var incomplete *gitops.IncompleteError
	if !errors.As(err, &incomplete) || !errors.Is(err, errFault) || !strings.Contains(err.Error(), "w01") {
		t.Fatalf("%v", err)
	}
	if result.Status != gitops.StatusIncomplete || result.Failure == nil ||
		result.Failure.Step != "Push cluster files to branch main" {
		t.Errorf("%s, %+v", result.Status, result.Failure)
	}
	if c := result.Clusters[0]; c.Ready || c.Message == "" || c.LocalSpec == "" {
		t.Errorf("%+v", c)
	}
	if len(w.waits) > 0 {
		t.Errorf("waited for %v", w.waits)
	}
}

// TestCreate_workloadThere has a workload cluster that exists already: a failure of GitOps does not undo
// that.
func TestCreate_workloadThere(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	create(t, w, on(t, spec("w01", onGitHub)))
	w.forget()
	w.fetchErr = errors.New("no route to host")
	result, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("w01", onGitHub)))
	if err != nil || result.Status != gitops.StatusGitOpsFailed || !result.Clusters[0].Ready {
		t.Errorf("%v, %+v", err, result)
	}
	equal(t, "calls", w.calls, []string{"SaveLocal w01"})
}

// TestCreate_clusterNotReady names each cluster that is not Ready, with its own words and hint.
func TestCreate_clusterNotReady(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	w.notReady["w01"] = &fluxinstall.NotReadyError{Object: "Cluster default/w01", Message: "no capacity",
		Next: "kubectl describe cluster w01"}
	result, err := gitops.Create(t.Context(), w.ports(nil),
		on(t, spec("dev", onGitHub), spec("w01", onGitHub), spec("w02", onGitHub)))
	if !errors.As(err, new(*gitops.IncompleteError)) || !strings.Contains(err.Error(), "no capacity") ||
		result.Status != gitops.StatusIncomplete {
		t.Fatalf("%v, %s", err, result.Status)
	}
	for _, c := range result.Clusters {
		if want := c.Name != "w01"; c.Ready != want || (c.Message == "") != want || c.LocalSpec == "" {
			t.Errorf("%+v", c)
		}
	}
	if result.Failure.Hint != "kubectl describe cluster w01" {
		t.Errorf("%+v", result.Failure)
	}
	if !result.Flux.Ready {
		t.Errorf("%+v", result.Flux)
	}
}

// TestCreate_localCopyFails has no room for the local copy. The run did all else, and says how it ended.
func TestCreate_localCopyFails(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	ports := w.ports(nil)
	ports.Local = brokenFiles{localFiles{w}, errFault}
	result, err := gitops.Create(t.Context(), ports, on(t, spec("dev", onGitHub)))
	if !errors.Is(err, errFault) || !errors.As(err, new(*gitops.IncompleteError)) {
		t.Errorf("error %v", err)
	}
	if result.Status != gitops.StatusIncomplete || result.Failure == nil || !result.Clusters[0].Ready ||
		!result.Flux.Ready {
		t.Errorf("status %q, %+v", result.Status, result.Failure)
	}
}

// TestCreate_localCopyFailsToo loses the local copy after GitOps failed: the failure that is told is still
// that of GitOps.
func TestCreate_localCopyFailsToo(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	w.failCall = "Push main"
	ports := w.ports(nil)
	ports.Local = brokenFiles{localFiles{w}, errors.New("disk full")}
	result, err := gitops.Create(t.Context(), ports, on(t, spec("dev", onGitHub)))
	if err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v", err)
	}
	if result.Failure == nil || result.Failure.Step != "Push cluster files to branch main" {
		t.Errorf("status %q, %+v", result.Status, result.Failure)
	}
}

// TestCreate_cannotRender fails before it has looked at anything, and says that nothing was written.
func TestCreate_cannotRender(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	options := on(t, spec("dev", onGitHub))
	options.Images = map[string]string{"other-controller": "registry.example.com/other:v1"}
	result, err := gitops.Create(t.Context(), w.ports(nil), options)
	if err == nil || !strings.Contains(err.Error(), "other-controller") ||
		result.Status != gitops.StatusRefused || result.Failure == nil {
		t.Errorf("%v, status %q, %+v", err, result.Status, result.Failure)
	}
	if len(w.calls) > 0 || w.fetches > 0 {
		t.Errorf("calls %v, %d fetches", w.calls, w.fetches)
	}
}

// TestCreate_withoutLocalCopy writes none when nobody wants one.
func TestCreate_withoutLocalCopy(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGit)
	ports := w.ports(nil)
	ports.Local = nil
	result, err := gitops.Create(t.Context(), ports, on(t, spec("dev", onGit)))
	if err != nil || result.Status != gitops.StatusDone || result.Clusters[0].LocalSpec != "" {
		t.Errorf("%v, %+v", err, result)
	}
}

// TestCreate_pushRefused tells the server's reason and what to do about it.
func TestCreate_pushRefused(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	// so that the run goes on to Flux if the push is thought to have worked
	w.state.Flux.GitRepository.Revision = ""
	rejected := &git.RejectedError{Branch: "main", Reason: "protected branch hook declined"}
	w.onPush = func() error { return rejected }
	w.commitOther("main", func(files map[string]string) { delete(files, specPath) })
	result, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("dev", onGitHub)))
	if err != nil || result.Status != gitops.StatusGitOpsFailed {
		t.Fatalf("%v, %s", err, result.Status)
	}
	if f := result.Failure; !strings.Contains(f.Message, "protected branch hook declined") ||
		f.Hint != rejected.Hint().String() || f.Hint == "" {
		t.Errorf("%+v", f)
	}
	// What is there was not made by this run, and stays.
	equal(t, "calls", w.calls, []string{
		"EnsureNamespace flux-system", "EnsureSourceSecret flux-system/flux-system",
		"EnsureDeployKey eksa-gitops dev/flux-system", "Push main", "SaveLocal dev",
	})
}

// TestCreate_refused has the host refuse the deploy key, or the push, for good. What this run alone has made
// is taken back; what was there stays, and so does everything after a failure that may pass.
func TestCreate_refused(t *testing.T) {
	t.Parallel()
	policy := fmt.Errorf("%w: Deploy keys are disabled for this repository", github.ErrPolicy)
	rule := &git.RejectedError{Branch: "main", Reason: "protected branch hook declined"}
	passing := fmt.Errorf("%w: bad gateway", github.ErrUnavailable)
	const taken = "Take back what this run has made"
	absent := func(w *world) { w.exists, w.seed, w.branches = false, nil, map[string]*tip{} }
	for name, test := range map[string]struct {
		setUp   func(w *world)
		keyErr  error
		pushErr error
		effects []string
		left    []any // namespace, Secret, number of deploy keys
		step    string
		notes   []string
	}{
		"deploy key": {absent, policy, nil,
			[]string{"EnsureComponents", "EnsureRepository octo/fleet", "EnsureNamespace flux-system",
				"EnsureSourceSecret flux-system/flux-system", "RemoveComponents", "RemoveSource flux-system",
				"SaveLocal dev"},
			[]any{false, false, 0}, taken + ": Flux's 1 object, Secret flux-system/flux-system, namespace " +
				"flux-system",
			[]string{"info: repository octo/fleet, which this run has created, stays and is empty; the " +
				"next run uses it"}},
		"push": {absent, nil, rule, []string{"EnsureComponents", "EnsureRepository octo/fleet",
			"EnsureNamespace flux-system", "EnsureSourceSecret flux-system/flux-system",
			"EnsureDeployKey eksa-gitops dev/flux-system", "DeleteDeployKey", "RemoveComponents",
			"RemoveSource flux-system", "SaveLocal dev"},
			[]any{false, false, 0}, taken + ": deploy key eksa-gitops dev/flux-system, Flux's 1 object, " +
				"Secret flux-system/flux-system, namespace flux-system",
			[]string{"info: repository octo/fleet, which this run has created, stays and is empty; the " +
				"next run uses it"}},
		"deploy key, with a namespace of others": {func(w *world) { w.namespace = true },
			policy, nil, []string{"EnsureComponents", "EnsureSourceSecret flux-system/flux-system",
				"RemoveComponents", "RemoveSource flux-system", "SaveLocal dev"},
			[]any{true, false, 0}, taken + ": Flux's 1 object, Secret flux-system/flux-system", nil},
		"deploy key, which an earlier run has made": {
			func(w *world) { w.namespace, w.private, w.publicKey = true, true, w.hostKey },
			policy, nil, []string{"EnsureComponents", "EnsureSourceSecret flux-system/flux-system",
				"RemoveComponents", "SaveLocal dev"},
			[]any{true, true, 0}, taken + ": Flux's 1 object", nil},
		"a failure that may pass": {absent, passing, nil, []string{"EnsureComponents",
			"EnsureRepository octo/fleet", "EnsureNamespace flux-system",
			"EnsureSourceSecret flux-system/flux-system", "SaveLocal dev"},
			[]any{true, true, 0}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t, onGitHub)
			if test.setUp != nil {
				test.setUp(w)
			}
			w.keyErr = test.keyErr
			if test.pushErr != nil {
				w.onPush = func() error { return test.pushErr }
			}
			report := &reporter{}
			result, err := gitops.Create(t.Context(), w.ports(report), on(t, spec("dev", onGitHub)))
			if err != nil || result.Status != gitops.StatusGitOpsFailed || result.Failure.Step == taken {
				t.Fatalf("%v, %s, %+v", err, result.Status, result.Failure)
			}
			equal(t, "effects", fluxFirst(t, w.effects), test.effects)
			if taken := slices.Contains(test.effects, "RemoveComponents"); taken != (w.components == "") {
				t.Errorf("Flux is taken back: %v", !taken)
			}
			equal(t, "left", []any{w.namespace, w.private, len(w.keys)}, test.left)
			var told string
			for _, s := range result.Steps {
				if s.Step == taken {
					told = taken + ": " + s.Detail
				}
			}
			if told != test.step {
				t.Errorf("told %q, want %q", told, test.step)
			}
			equal(t, "notes", slices.DeleteFunc(report.notes(), func(note string) bool {
				return !strings.HasPrefix(note, "info: repository ")
			}),
				test.notes)
			// The rule is gone: the same command again does all of it.
			w.keyErr, w.onPush = nil, nil
			if again := create(t, w, on(t, spec("dev", onGitHub))); again.Status != gitops.StatusDone ||
				len(w.keys) != 1 {
				t.Errorf("again: %s, %d keys", again.Status, len(w.keys))
			}
		})
	}
}
