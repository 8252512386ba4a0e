package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkStatus times status and get clusters as processes on a fleet of 500 workload clusters that Flux
// has applied.
func BenchmarkStatus(b *testing.B) {
	const clusters = 500
	w := newWorld(b)
	w.env["EKSA_GITOPS_TIMEOUT"], w.env["EKSA_GITOPS_FLUX_TIMEOUT"] = "15m", "15m"
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
	var fleet strings.Builder
	for i := range clusters {
		name := fmt.Sprintf("w%04d", i)
		fmt.Fprintf(&fleet, "---\n%s", spec(b, "dev.yaml", "name: dev", "name: "+name, "198.18.100.20",
			fmt.Sprintf("198.19.%d.%d", i/250, i%250+1)))
	}
	w.write("fleet.yaml", fleet.String())
	w.run("create", "cluster", "-f", "fleet.yaml").exits(0)
	w.until(statusArgs, 0, "501 of 501 Ready")
	for name, args := range map[string][]string{
		"status": {"status"}, "status-one": {"status", "w0250"}, "get-clusters": {"get", "clusters"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				w.run(args...).exits(0)
			}
		})
	}
}
