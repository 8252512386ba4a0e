package gitops_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// namesOf are the steps of a run, in order.
func namesOf(result *gitops.Result) []string {
	names := []string{}
	for _, s := range result.Steps {
		// of the small components of a world
		names = append(names, strings.ReplaceAll(string(s.Step), "v99.1.0", fluxmanifests.Version))
	}
	return names
}

// stepsScenario is a command, dry or not, on a world.
type stepsScenario struct {
	start func(*testing.T) *world
	run   func(t *testing.T, w *world, dry bool) (*gitops.Result, error)
	// fails says that the run is not well in the end, as the dry run cannot know.
	fails bool
}

func stepsScenarios(t *testing.T) map[string]stepsScenario {
	t.Helper()
	existing := func(provider string, workloads ...string) func(*testing.T) *world {
		return func(t *testing.T) *world {
			t.Helper()
			w := fleetWorld(t, provider, workloads...)
			w.kubeconfigs["dev"] = true
			w.forget()
			return w
		}
	}
	empty := func(provider string) func(*testing.T) *world {
		return func(t *testing.T) *world { t.Helper(); return newSmallWorld(t, provider) }
	}
	creating := func(change func(*testing.T, *world, *gitops.CreateOptions) gitops.Ports,
		specs ...string) func(*testing.T, *world, bool) (*gitops.Result, error) {
		return func(t *testing.T, w *world, dry bool) (*gitops.Result, error) {
			t.Helper()
			options := on(t, specs...)
			options.DryRun = dry
			return gitops.Create(t.Context(), change(t, w, &options), options)
		}
	}
	upgradingWith := func(change func(*testing.T, *world, *gitops.UpgradeOptions) gitops.Ports,
		specs ...string) func(*testing.T, *world, bool) (*gitops.Result, error) {
		return func(t *testing.T, w *world, dry bool) (*gitops.Result, error) {
			t.Helper()
			options := upgrading(t, specs...)
			options.DryRun = dry
			return gitops.Upgrade(t.Context(), change(t, w, &options), options)
		}
	}
	deleting := func(change func(*testing.T, *world, *gitops.DeleteOptions) gitops.Ports, provider string,
		names ...string) func(*testing.T, *world, bool) (*gitops.Result, error) {
		return func(t *testing.T, w *world, dry bool) (*gitops.Result, error) {
			t.Helper()
			options := doomed(t, provider, names...)
			options.DryRun = dry
			return gitops.Delete(t.Context(), change(t, w, &options), options)
		}
	}
	marking := func(mark func(*testing.T, gitops.Ports, gitops.PauseOptions) (*gitops.Result, error),
		names ...string) func(*testing.T, *world, bool) (*gitops.Result, error) {
		return func(t *testing.T, w *world, dry bool) (*gitops.Result, error) {
			t.Helper()
			options := pausing(t, onGitHub, names...)
			options.DryRun = dry
			return mark(t, w.ports(nil), options)
		}
	}
	createPlain := func(_ *testing.T, w *world, _ *gitops.CreateOptions) gitops.Ports { return w.ports(nil) }
	createMade := func(_ *testing.T, w *world, _ *gitops.CreateOptions) gitops.Ports {
		return w.provisioned()
	}
	upgradePlain := func(_ *testing.T, w *world, _ *gitops.UpgradeOptions) gitops.Ports {
		return w.ports(nil)
	}
	upgradeMade := func(_ *testing.T, w *world, _ *gitops.UpgradeOptions) gitops.Ports {
		return w.provisioned()
	}
	deletePlain := func(_ *testing.T, w *world, _ *gitops.DeleteOptions) gitops.Ports { return w.ports(nil) }
	deleteFrom := func(from gitops.From) func(*testing.T, *world, *gitops.DeleteOptions) gitops.Ports {
		return func(_ *testing.T, w *world, options *gitops.DeleteOptions) gitops.Ports {
			options.From = from
			return w.ports(nil)
		}
	}
	deleteMade := func(from gitops.From) func(*testing.T, *world, *gitops.DeleteOptions) gitops.Ports {
		return func(t *testing.T, w *world, options *gitops.DeleteOptions) gitops.Ports {
			t.Helper()
			options.From = from
			options.Specs = map[string]*clusterspec.Cluster{}
			for _, c := range options.Clusters {
				options.Specs[c.Name] = parse(t, spec(c.Name, onGitHub))[0]
			}
			return w.provisioned()
		}
	}
	suspended := func(t *testing.T) *world {
		t.Helper()
		w := existing(onGitHub, "w01")(t)
		w.state.Flux.Kustomization.Suspended = true
		return w
	}
	stopped := func(t *testing.T) *world {
		t.Helper()
		w := olderFluxWorld(t)
		for i := range w.state.Flux.Controllers {
			w.state.Flux.Controllers[i].Available = false
		}
		return w
	}
	pause := func(t *testing.T, ports gitops.Ports, options gitops.PauseOptions) (*gitops.Result, error) {
		t.Helper()
		return gitops.PauseClusters(t.Context(), ports, options)
	}
	resume := func(t *testing.T, ports gitops.Ports, options gitops.PauseOptions) (*gitops.Result, error) {
		t.Helper()
		return gitops.ResumeClusters(t.Context(), ports, options)
	}
	dev, w01, w02 := spec("dev", onGitHub), spec("w01", onGitHub), spec("w02", onGitHub)
	changed := edited(t, w01, version, version34)
	return map[string]stepsScenario{
		"create": {start: empty(onGitHub), run: creating(createPlain, dev)},
		"create over SSH": {start: empty(onGit),
			run: creating(createPlain, spec("dev", onGit))},
		"create a fleet":                {start: empty(onGitHub), run: creating(createPlain, dev, w01)},
		"create again":                  {start: existing(onGitHub), run: creating(createPlain, dev)},
		"create a workload":             {start: existing(onGitHub), run: creating(createPlain, w01)},
		"create with eksctl":            {start: bare, run: creating(createMade, dev)},
		"create all with eksctl":        {start: bare, run: creating(createMade, dev, w01, w02)},
		"create a workload with eksctl": {start: existing(onGitHub), run: creating(createMade, w01)},
		"create without the host": {start: func(t *testing.T) *world {
			t.Helper()
			w := empty(onGitHub)(t)
			w.accessErr = fmt.Errorf("%w: no route to host", github.ErrUnavailable)
			return w
		}, run: creating(createPlain, dev), fails: true},

		"upgrade":       {start: existing(onGitHub, "w01"), run: upgradingWith(upgradePlain, changed)},
		"upgrade again": {start: existing(onGitHub, "w01"), run: upgradingWith(upgradePlain, w01)},
		"upgrade several": {start: existing(onGitHub, "w01", "w02"),
			run: upgradingWith(upgradePlain, changed, w02)},
		"upgrade with eksctl": {start: existing(onGitHub, "w01"), run: upgradingWith(upgradeMade, changed)},
		"upgrade all with eksctl": {start: existing(onGitHub, "w01", "w02"),
			run: upgradingWith(upgradeMade, changed, edited(t, w02, version, version34))},
		"upgrade Flux":           {start: olderFluxWorld, run: upgradingWith(upgradePlain, dev)},
		"upgrade a stopped Flux": {start: stopped, run: upgradingWith(upgradePlain, dev)},
		"migrate": {start: func(t *testing.T) *world {
			t.Helper()
			w := olderFluxWorld(t)
			w.versions.dropped = storedOlder()
			return w
		}, run: upgradingWith(upgradePlain, dev)},
		"take over": {start: bootstrappedWorld,
			run: upgradingWith(func(_ *testing.T, w *world, options *gitops.UpgradeOptions) gitops.Ports {
				options.Adopt = true
				return w.ports(nil)
			}, dev)},
		"update the file": {start: func(t *testing.T) *world {
			t.Helper()
			w := fleet(t)
			w.inGit(t, workersOf("1"), workersOf("5"))
			w.forget()
			return w
		}, run: upgradingWith(func(_ *testing.T, w *world, options *gitops.UpgradeOptions) gitops.Ports {
			options.UpdateSources = true
			return w.ports(nil)
		}, changed)},

		"delete": {start: existing(onGitHub, "w01"), run: deleting(deletePlain, onGitHub, "w01")},
		"delete two": {start: existing(onGitHub, "w01", "w02"),
			run: deleting(deletePlain, onGitHub, "w01", "w02")},
		"delete what is gone": {start: existing(onGitHub), run: deleting(deletePlain, onGitHub, "w01")},
		"delete from Git": {start: existing(onGitHub, "w01"),
			run: deleting(deleteFrom(gitops.FromGit), onGitHub, "w01")},
		"delete from the cluster": {start: suspended,
			run: deleting(deleteFrom(gitops.FromCluster), onGitHub, "w01")},
		"delete with eksctl": {start: existing(onGitHub, "w01"),
			run: deleting(deleteMade(gitops.FromBoth), onGitHub, "w01")},
		"delete two with eksctl": {start: existing(onGitHub, "w01", "w02"),
			run: deleting(deleteMade(gitops.FromBoth), onGitHub, "w01", "w02")},
		"detach":          {start: existing(onGitHub), run: deleting(deletePlain, onGitHub, "dev")},
		"detach over SSH": {start: existing(onGit), run: deleting(deletePlain, onGit, "dev")},
		"detach in the cluster": {start: existing(onGitHub),
			run: deleting(deleteFrom(gitops.FromCluster), onGitHub, "dev")},
		"delete the management": {start: existing(onGitHub),
			run: deleting(deleteMade(gitops.FromBoth), onGitHub, "dev")},

		"pause":     {start: existing(onGitHub, "w01"), run: marking(pause, "w01")},
		"pause all": {start: existing(onGitHub, "w01"), run: marking(pause, "dev", "w01")},
		"resume":    {start: existing(onGitHub, "w01"), run: marking(resume, "w01")},
	}
}

// TestSteps_planned: a dry run tells the steps that the run then does, all of them, in their order, and
// writes nothing.
func TestSteps_planned(t *testing.T) {
	t.Parallel()
	for name, scenario := range stepsScenarios(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := scenario.start(t)
			before := w.describe()
			plan, err := scenario.run(t, w, true)
			if err != nil || plan.Status != gitops.StatusPlanned || plan.Changed {
				t.Fatalf("planned: error %v, %+v", err, plan)
			}
			if len(w.calls) > 0 || len(w.waits) > 0 || w.describe() != before {
				t.Errorf("a dry run wrote %v and waited for %v", w.calls, w.waits)
			}
			result, err := scenario.run(t, w, false)
			if failed := err != nil || result.Failure != nil; failed != scenario.fails {
				t.Fatalf("error %v, failure %+v", err, result.Failure)
			}
			asPublished(t, plan)
			asPublished(t, result)
			equal(t, "steps", namesOf(plan), namesOf(result))
			for i, was := range plan.Steps {
				did := result.Steps[i].Outcome
				if strings.HasPrefix(string(was.Step), "Resume Flux ") {
					continue // what is deleted or applied anew meanwhile is not held any more
				}
				if changed := did == step.OutcomeChanged; changed != (was.Outcome == step.OutcomePlanned) &&
					did != step.OutcomeChecked {
					t.Errorf("%s: planned %s, done %s", was.Step, was.Outcome, did)
				}
			}
		})
	}
}
