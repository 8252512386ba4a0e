package e2e_test

import (
	"testing"
)

// BenchmarkFleet creates 500 workload clusters in one run: until the commit is there, and until all are
// Ready.
func BenchmarkFleet(b *testing.B) {
	const clusters = 500
	for b.Loop() {
		b.StopTimer()
		w := newFleet(b)
		w.env["EKSA_GITOPS_TIMEOUT"], w.env["EKSA_GITOPS_FLUX_TIMEOUT"] = "15m", "15m"
		w.write("fleet.yaml", workloads(b, clusters))
		before := w.markRepository()
		b.StartTimer()
		run := w.start("create", "cluster", "-f", "fleet.yaml", "--progress", "json", "-o", "json")
		out := run.wait().exits(0)
		b.StopTimer()
		before.createsOneCommit()
		b.ReportMetric(pushed(b, run.began, out.stderr).Seconds(), "s-to-commit")
		logSteps(b, out)
		b.StartTimer()
	}
}
