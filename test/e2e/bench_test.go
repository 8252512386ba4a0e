package e2e_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// BenchmarkCreate times the program as a process: a management cluster from nothing until Flux has applied
// it, the same in a repository with 10,000 clusters of others and there with a sparse checkout, the same
// again with nothing to do, and the program's start alone. The times of the steps go to the log (-v).
func BenchmarkCreate(b *testing.B) {
	b.Run("fresh", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			w := newWorld(b)
			b.StartTimer()
			out := w.run("create", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0)
			b.StopTimer()
			logSteps(b, out)
			b.StartTimer()
		}
	})
	for name, args := range map[string][]string{"many-fleets": nil,
		"many-fleets-sparse": {"--sparse-checkout"}} {
		b.Run(name, func(b *testing.B) {
			others := manyFleets(b)
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b)
				w.gh.AddRepo("alice/fleet", githubtest.DefaultBranch("main"), githubtest.Files(others))
				b.StartTimer()
				out := w.run(append([]string{"create", "cluster", "-f", "mgmt.yaml", "-o", "json"},
					args...)...).exits(0)
				b.StopTimer()
				logSteps(b, out)
				b.StartTimer()
			}
		})
	}
	b.Run("nothing-to-do", func(b *testing.B) {
		w := newWorld(b)
		w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
		for b.Loop() {
			out := w.run("create", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0)
			b.StopTimer()
			logSteps(b, out)
			b.StartTimer()
		}
	})
	b.Run("version", func(b *testing.B) {
		for b.Loop() {
			if err := exec.CommandContext(b.Context(), suite.program, "version").Run(); err != nil {
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

func logSteps(b *testing.B, out outcome) {
	b.Helper()
	steps, _ := out.json()["steps"].([]any)
	text := fmt.Sprintf("%v:", out.took)
	for _, s := range steps {
		step, _ := s.(map[string]any)
		text += fmt.Sprintf("\n  %5.0f ms  %v", step["durationMilliseconds"], step["step"])
	}
	b.Log(text)
}
