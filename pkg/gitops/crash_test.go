package gitops_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// TestCreate_crash breaks a run at every write, once before the write has its effect and once after it, when
// only the answer is lost. Each time a second run has to finish the work, and a third has to find nothing to
// do. What is there at the end is what a run that was never broken leaves.
func TestCreate_crash(t *testing.T) {
	t.Parallel()
	for name, scenario := range map[string]struct {
		start func(*testing.T) *world
		specs []string
	}{
		"management on GitHub": {func(t *testing.T) *world { return newSmallWorld(t, onGitHub) },
			[]string{spec("dev", onGitHub)}},
		"management on Git": {func(t *testing.T) *world { return newSmallWorld(t, onGit) },
			[]string{spec("dev", onGit)}},
		"workload on GitHub": {func(t *testing.T) *world { return managed(t, onGitHub) },
			[]string{spec("w01", onGitHub)}},
		"all at once": {func(t *testing.T) *world { return newSmallWorld(t, onGitHub) },
			[]string{spec("dev", onGitHub), spec("w01", onGitHub)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := scenario.start(t)
			create(t, whole, on(t, scenario.specs...))
			writes := len(whole.effects)
			if writes < 3 {
				t.Fatalf("only %v is written", whole.effects)
			}
			for n := 1; n <= writes+1; n++ {
				for _, when := range []string{"before", "after"} {
					t.Run(fmt.Sprintf("%s write %d", when, n), func(t *testing.T) {
						w := scenario.start(t)
						w.failBefore = n
						if when == "after" {
							w.failBefore, w.failAfter = 0, n
						}
						result, err := gitops.Create(t.Context(), w.ports(nil), on(t, scenario.specs...))
						if broke := err != nil || result.Failure != nil; broke != w.faulty ||
							w.faulty != (n <= writes) {
							t.Fatalf("write %d of %d: broken %v, told %v: error %v, failure %+v",
								n, writes, w.faulty, broke, err, result.Failure)
						}
						if w.faulty && result.Status == gitops.StatusDone {
							t.Errorf("the status of a broken run is %q", result.Status)
						}
						if w.faulty && err != nil && !errors.Is(err, errFault) {
							t.Errorf("the error %v does not hold its cause", err)
						}
						w.forget()
						create(t, w, on(t, scenario.specs...))
						w.forget()
						if third := create(t, w, on(t, scenario.specs...)); third.Changed ||
							len(w.effects) > 0 {
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
