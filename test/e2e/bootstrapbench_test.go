package e2e_test

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// BenchmarkBootstrap times a creation and `flux bootstrap git`, with the command that EKSA_GITOPS_BENCH_FLUX
// names, in turn: each from nothing over OpenSSH until Flux has applied the commit, and again with nothing to
// do. The metrics are medians; the ratios are those of the medians.
func BenchmarkBootstrap(b *testing.B) {
	flux := os.Getenv("EKSA_GITOPS_BENCH_FLUX")
	if flux == "" {
		b.Skip("EKSA_GITOPS_BENCH_FLUX names no flux command")
	}
	for name, roundTrip := range map[string]time.Duration{"loopback": 0, "50ms": 50 * time.Millisecond} {
		b.Run(name, func(b *testing.B) {
			var ours, theirs, oursAgain, theirsAgain timed
			for b.Loop() {
				w := farOverSSH(b, roundTrip)
				create := func() time.Duration {
					out := w.run("create", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0)
					logSteps(b, out)
					return out.took
				}
				ours.whole, oursAgain.whole = append(ours.whole, create()), append(oursAgain.whole, create())
				w = farOverSSH(b, roundTrip)
				theirs.whole = append(theirs.whole, w.bootstrap(flux))
				theirsAgain.whole = append(theirsAgain.whole, w.bootstrap(flux))
			}
			b.ReportMetric(ours.median(), "s-create")
			b.ReportMetric(theirs.median(), "s-bootstrap")
			b.ReportMetric(ours.median()/theirs.median(), "ratio")
			b.ReportMetric(oursAgain.median(), "s-create-again")
			b.ReportMetric(theirsAgain.median(), "s-bootstrap-again")
			b.ReportMetric(oursAgain.median()/theirsAgain.median(), "ratio-again")
		})
	}
}

// farOverSSH is a fresh world with an OpenSSH server, as far away as roundTrip says.
func farOverSSH(b *testing.B, roundTrip time.Duration) *sshWorld {
	b.Helper()
	w := newSSHWorld(b)
	w.git.AddRepo("acme/fleet")
	w.url = w.ssh.URL("acme/fleet")
	if roundTrip > 0 {
		w.world.far(roundTrip)
		w.url = throughDelay(b, w.url, roundTrip/2)
		w.write("mgmt.yaml", w.spec("mgmt.yaml"))
		w.know(w.ssh.KnownHosts() + knownHostsAs(b, w.ssh.KnownHosts(), w.url))
	}
	return w
}

// bootstrap runs flux for the repository and says how long it took.
func (w *sshWorld) bootstrap(flux string) time.Duration {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), flux, "bootstrap", "git", "--url", w.url, "--branch", "main",
		"--path", "clusters/mgmt", "--private-key-file", w.operatorFile, "--silent", "--timeout", "3m")
	cmd.Dir, cmd.Env = w.dir, []string{"HOME=" + w.dir, "KUBECONFIG=" + w.env["KUBECONFIG"],
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + w.tmp}
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("flux bootstrap: %v\n%s", err, out)
	}
	return time.Since(began)
}
