package gitops_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// panicScenario is a command on a world in which it has something to do.
type panicScenario struct {
	start func(*testing.T) *world
	run   func(*testing.T, *world, gitops.Ports) (*gitops.Result, error)
}

func panicScenarios(t *testing.T) map[string]panicScenario {
	t.Helper()
	changed := edited(t, spec("w01", onGitHub), version, version34)
	existing := func(t *testing.T) *world {
		w := fleetWorld(t, onGitHub, "w01")
		w.kubeconfigs["dev"] = true
		w.forget()
		return w
	}
	return map[string]panicScenario{
		"create": {
			func(t *testing.T) *world { return newSmallWorld(t, onGitHub) },
			func(t *testing.T, _ *world, ports gitops.Ports) (*gitops.Result, error) {
				return gitops.Create(t.Context(), ports, on(t, spec("dev", onGitHub), spec("w01", onGitHub)))
			},
		},
		"create over SSH": {
			func(t *testing.T) *world { return newSmallWorld(t, onGit) },
			func(t *testing.T, _ *world, ports gitops.Ports) (*gitops.Result, error) {
				return gitops.Create(t.Context(), ports, on(t, spec("dev", onGit)))
			},
		},
		"upgrade": {existing, func(t *testing.T, _ *world, ports gitops.Ports) (*gitops.Result, error) {
			return gitops.Upgrade(t.Context(), ports, upgrading(t, changed))
		}},
		"upgrade with eksctl": {existing,
			func(t *testing.T, w *world, ports gitops.Ports) (*gitops.Result, error) {
				ports.Provisioner = w.provisioned().Provisioner
				return gitops.Upgrade(t.Context(), ports, upgrading(t, changed))
			}},
		"delete": {existing, func(t *testing.T, _ *world, ports gitops.Ports) (*gitops.Result, error) {
			return gitops.Delete(t.Context(), ports, doomed(t, onGitHub, "w01"))
		}},
		"delete with eksctl": {existing,
			func(t *testing.T, w *world, ports gitops.Ports) (*gitops.Result, error) {
				ports.Provisioner = w.provisioned().Provisioner
				options := doomed(t, onGitHub, "w01")
				options.Specs = map[string]*clusterspec.Cluster{"w01": parse(t, spec("w01", onGitHub))[0]}
				return gitops.Delete(t.Context(), ports, options)
			}},
		"pause": {existing, func(t *testing.T, _ *world, ports gitops.Ports) (*gitops.Result, error) {
			return gitops.PauseClusters(t.Context(), ports, gitops.PauseOptions{
				Settings: doomed(t, onGitHub, "w01").Settings, ManagementCluster: "dev",
				GitOps:   parse(t, spec("dev", onGitHub))[0].GitOps,
				Clusters: []fluxinstall.ClusterName{{Name: "w01"}},
			})
		}},
	}
}

// TestPanic_writes has a panic at every call that writes, before and after the effect. None gets out: each is
// the run's error, the result says that it is incomplete, Flux is not kept from anything any more, and the
// same command finishes the job.
func TestPanic_writes(t *testing.T) {
	t.Parallel()
	for name, scenario := range panicScenarios(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := scenario.start(t)
			if result, err := scenario.run(t, whole, whole.ports(nil)); err != nil || result.Failure != nil {
				t.Fatalf("error %v, failure %+v", err, result.Failure)
			}
			for n, call := range whole.calls {
				for _, when := range []string{"before", "after"} {
					w := scenario.start(t)
					w.panics, w.failBefore = true, n+1
					if when == "after" {
						w.failBefore, w.failAfter = 0, n+1
					}
					report := &reporter{}
					result, err := scenario.run(t, w, w.ports(report))
					if !w.faulty {
						t.Fatalf("%s %s: it was not called", when, call)
					}
					checkPanic(t, when+" "+call, result, err)
					report.check(t, result)
					if left := errors.As(err,
						new(*gitops.StillPausedError)); left != strings.HasPrefix(call, "Release") ||
						!left && len(w.pauses) > 0 {
						t.Errorf("%s %s: paused %v, told %v", when, call, w.pauses, left)
					}
					for again := 2; again <= 3; again++ {
						w.forget()
						if result, err = scenario.run(t, w, w.ports(nil)); err != nil ||
							result.Failure != nil {
							t.Fatalf("%s %s: run %d: error %v, failure %+v",
								when, call, again, err, result.Failure)
						}
					}
					if result.Changed || len(w.effects) > 0 || len(w.pauses) > 0 {
						t.Errorf("%s %s: the third run wrote %v; paused %v", when, call, w.effects, w.pauses)
					}
					if got, want := w.describe(), whole.describe(); got != want {
						t.Errorf("%s %s: the end differs from that of a whole run:\n%s\nwant\n%s",
							when, call, got, want)
					}
				}
			}
		})
	}
}

// TestPanic_everywhere has a panic at every single thing that a run tells its reporter, which it does from
// all of its goroutines, and at every port that it opens.
func TestPanic_everywhere(t *testing.T) {
	t.Parallel()
	for name, scenario := range panicScenarios(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			count := &breaking{}
			whole := scenario.start(t)
			if _, err := scenario.run(t, whole, whole.ports(count)); err != nil {
				t.Fatal(err)
			}
			if count.told < 8 {
				t.Fatalf("it told only %d things", count.told)
			}
			for n := 1; n <= count.told; n++ {
				w := scenario.start(t)
				result, err := scenario.run(t, w, w.ports(&breaking{at: n}))
				checkPanic(t, "report", result, err)
				if len(w.pauses) > 0 && !errors.As(err, new(*gitops.StillPausedError)) {
					t.Errorf("report %d: paused %v, and nobody is told: %v", n, w.pauses, err)
				}
			}
			for port, breaks := range map[string]func(*gitops.Ports){
				"host": func(p *gitops.Ports) {
					p.OpenHost = func(context.Context) (gitops.Host, error) { panic(errFault) }
				},
				"repository": func(p *gitops.Ports) {
					p.OpenRepository = func(context.Context) (gitops.Repository, error) { panic(errFault) }
				},
				"cluster": func(p *gitops.Ports) {
					p.OpenCluster = func(context.Context) (gitops.Cluster, error) { panic(errFault) }
				},
			} {
				w := scenario.start(t)
				ports := w.ports(nil)
				if port == "host" && ports.OpenHost == nil {
					continue
				}
				breaks(&ports)
				result, err := scenario.run(t, w, ports)
				checkPanic(t, port, result, err)
				if len(w.effects) > 0 {
					t.Errorf("%s: wrote %v", port, w.effects)
				}
			}
			w := scenario.start(t)
			w.onFetch = func() error { panic(errFault) }
			result, err := scenario.run(t, w, w.ports(nil))
			checkPanic(t, "fetch", result, err)
		})
	}
}

func checkPanic(t *testing.T, when string, result *gitops.Result, err error) {
	t.Helper()
	if crash.In(err) == nil || !errors.Is(err, errFault) ||
		!strings.Contains(string(crash.In(err).Stack), "gitops_test.") {
		t.Fatalf("%s: error %v", when, err)
	}
	if result.Status != gitops.StatusIncomplete || result.Failure == nil ||
		!strings.Contains(result.Failure.Message, errFault.Error()) {
		t.Errorf("%s: status %s, failure %+v", when, result.Status, result.Failure)
	}
}

// breaking is a reporter that panics at one thing that it is told.
type breaking struct {
	mu       sync.Mutex
	told, at int
}

func (b *breaking) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.told++; b.told == b.at {
		panic(errFault)
	}
}

func (b *breaking) Begin(step.Name)                     { b.tell() }
func (b *breaking) Progress(step.Name, string)          { b.tell() }
func (b *breaking) Part(step.Name, step.Part)           { b.tell() }
func (b *breaking) End(step.Name, step.Outcome, string) { b.tell() }
func (b *breaking) Note(step.Level, string)             { b.tell() }
