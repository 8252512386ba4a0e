package e2e_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// BenchmarkCreate times the program as a process: a management cluster from nothing until Flux has applied
// it, the same in a repository with 10,000 clusters of others and there with a sparse checkout, the same
// again with nothing to do, and the program's start alone. With -50ms GitHub and the API server are so far
// away that a question and its answer take 50 ms. The times of the steps go to the log (-v).
func BenchmarkCreate(b *testing.B) {
	for name, roundTrip := range map[string]time.Duration{"": 0, "-50ms": 50 * time.Millisecond} {
		b.Run("fresh"+name, func(b *testing.B) {
			var steps timed
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b)
				if roundTrip > 0 {
					w.far(roundTrip)
				}
				b.StartTimer()
				out := w.run("create", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0)
				b.StopTimer()
				steps.add(b, out)
				b.StartTimer()
			}
			steps.report(b)
		})
		b.Run("nothing-to-do"+name, func(b *testing.B) {
			w := newWorld(b)
			if roundTrip > 0 {
				w.far(roundTrip)
			}
			w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
			var steps timed
			for b.Loop() {
				out := w.run("create", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0)
				b.StopTimer()
				steps.add(b, out)
				b.StartTimer()
			}
			steps.report(b)
		})
	}
	for name, args := range map[string][]string{"many-fleets": nil,
		"many-fleets-sparse": {"--sparse-checkout"}} {
		b.Run(name, func(b *testing.B) {
			others := manyFleets(b)
			var steps timed
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b)
				w.gh.AddRepo("alice/fleet", githubtest.DefaultBranch("main"), githubtest.Files(others))
				b.StartTimer()
				out := w.run(append([]string{"create", "cluster", "-f", "mgmt.yaml", "-o", "json"},
					args...)...).exits(0)
				b.StopTimer()
				steps.add(b, out)
				b.StartTimer()
			}
			steps.report(b)
		})
	}
	b.Run("version", func(b *testing.B) {
		for b.Loop() {
			cmd := exec.CommandContext(b.Context(), suite.program, "version")
			cmd.Env = []string{"HOME=" + b.TempDir()}
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// manyFleets are the files of 10,000 clusters of a hundred other management clusters.
func manyFleets(b *testing.B) map[string]string {
	b.Helper()
	dev, files := spec(b, "dev.yaml"), map[string]string{}
	for n := range 10_000 {
		name := fmt.Sprintf("c%05d", n)
		dir := fmt.Sprintf("clusters/other%02d/%s/eksa-system/", n%100, name)
		files[dir+"eksa-cluster.yaml"] = strings.ReplaceAll(dev, "dev", name)
		files[dir+"kustomization.yaml"] = "resources:\n- eksa-cluster.yaml\n"
	}
	return files
}

// timed is how long runs took, and how much of it they waited for Flux and for EKS Anywhere.
type timed struct{ whole, waits []time.Duration }

func (d *timed) add(b *testing.B, out outcome) {
	b.Helper()
	d.whole, d.waits = append(d.whole, out.took), append(d.waits, logSteps(b, out))
}

// logSteps puts the times of a run's steps into the log, and gives that of the waits.
func logSteps(b *testing.B, out outcome) (waits time.Duration) {
	b.Helper()
	steps, _ := out.json()["steps"].([]any)
	text := fmt.Sprintf("%v:", out.took)
	for _, s := range steps {
		step, _ := s.(map[string]any)
		name, _ := step["step"].(string)
		took, _ := step["durationMilliseconds"].(float64)
		if strings.HasPrefix(name, "Wait for ") {
			waits += time.Duration(took) * time.Millisecond
		}
		text += fmt.Sprintf("\n  %5.0f ms  %s", took, name)
	}
	b.Log(text)
	return waits
}

// median is that of the whole, in seconds.
func (d *timed) median() float64 { return median(d.whole) }

func median(times []time.Duration) float64 {
	return slices.Sorted(slices.Values(times))[len(times)/2].Seconds()
}

// report gives medians: of the whole, of the waits, and of the program's own part, which is the rest.
func (d *timed) report(b *testing.B) {
	b.Helper()
	own := make([]time.Duration, len(d.whole))
	for i := range own {
		own[i] = d.whole[i] - d.waits[i]
	}
	b.ReportMetric(d.median(), "s-median")
	b.ReportMetric(median(d.waits), "s-waits")
	b.ReportMetric(median(own), "s-own")
}
