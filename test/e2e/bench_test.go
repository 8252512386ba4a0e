package e2e_test

import (
	"fmt"
	"os/exec"
	"testing"
)

// BenchmarkCreate times the program as a process: a management cluster from nothing until Flux has applied it, the same again with
// nothing to do, and the program's start alone. The times of the steps go to the log (-v).
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
