package gitrepo_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// bigClusters is the size of the benchmark's repository: two files for each cluster, in bigCommits commits.
const (
	bigClusters = 10_000
	bigCommits  = 60
)

func clusterPath(n int) string {
	return fmt.Sprintf("clusters/mgmt/c%05d/eksa-system/eksa-cluster.yaml", n)
}

// clusterSpec has the size and the compressibility of a real one: some lines in common with all others, some its own.
func clusterSpec(n, workers int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\nmetadata:\n  name: c%05d\n  namespace: default\nspec:\n"+
		"  kubernetesVersion: \"1.33\"\n  workerNodeGroupConfigurations:\n  - count: %d\n    name: md-0\n    machineGroupRef:\n"+
		"      kind: VSphereMachineConfig\n      name: c%05d-wk\n", n, workers, n)
	for i := range 8 {
		fmt.Fprintf(&b, "    # %x\n", sha256.Sum256(fmt.Appendf(nil, "%d-%d", n, i)))
	}
	return b.String()
}

// generateBigRepository fills a repository through git fast-import, in about two seconds.
func generateBigRepository(tb testing.TB, repo *gittest.Repo) {
	tb.Helper()
	const kustomization = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: eksa-system\nresources:\n- eksa-cluster.yaml\n"
	cmd := exec.CommandContext(tb.Context(), "git", "-C", repo.Dir(), "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer in.Close() //nolint:errcheck // fast-import says what is wrong
		n := 0
		for commit := range bigCommits {
			fmt.Fprintf(in, "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 1\nx\n", 1_700_000_000+commit)
			for ; n < bigClusters*(commit+1)/bigCommits; n++ {
				spec := clusterSpec(n, 1)
				fmt.Fprintf(in, "M 100644 inline %s\ndata %d\n%s\n", clusterPath(n), len(spec), spec)
				fmt.Fprintf(in, "M 100644 inline %s\ndata %d\n%s\n", strings.Replace(clusterPath(n), "eksa-cluster", "kustomization", 1), len(kustomization), kustomization)
			}
			io.WriteString(in, "\n") //nolint:errcheck // as above
		}
	}()
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("git fast-import: %v\n%s", err, out)
	}
}

// One run: fetch, find out that a file differs, commit the change and push it, into a repository of 10,000 clusters.
func BenchmarkCommitInto10kClusters(b *testing.B) {
	for _, tr := range transports {
		for _, filter := range []string{"true", "false"} {
			b.Run(tr.name+"/filter="+filter, func(b *testing.B) {
				f := tr.start(b)
				repo := f.srv.AddRepo(repoName, gittest.WithConfig("uploadpack.allowFilter", filter))
				generateBigRepository(b, repo)
				remote := f.remote(repoName)
				remote.Stats = &gitrepo.Stats{}
				b.ResetTimer()
				var fetch, push time.Duration
				for n := range b.N {
					start := time.Now()
					s, err := gitrepo.Fetch(b.Context(), remote, "main")
					if err != nil {
						b.Fatal(err)
					}
					fetch += time.Since(start)
					edit := write(clusterPath(n%bigClusters), clusterSpec(n, n+2))
					if held, err := s.Holds(edit.Path, edit.Content); err != nil || held {
						b.Fatalf("holds: %v, %v", held, err)
					}
					c, err := s.Commit([]gitrepo.Edit{edit}, options("Scale"))
					if err != nil && !errors.Is(err, gitrepo.ErrNoChange) {
						b.Fatal(err)
					}
					start = time.Now()
					if err := s.Push(b.Context(), c); err != nil {
						b.Fatal(err)
					}
					push += time.Since(start)
					s.Close()
				}
				b.StopTimer()
				totals := remote.Stats.Totals()
				runs := float64(b.N)
				b.ReportMetric(fetch.Seconds()*1000/runs, "fetch-ms")
				b.ReportMetric(push.Seconds()*1000/runs, "push-ms")
				b.ReportMetric(float64(totals.Fetches)/runs, "fetches/op")
				b.ReportMetric(float64(totals.Pushes)/runs, "pushes/op")
				b.ReportMetric(float64(totals.Connections)/runs, "conns/op")
				b.ReportMetric(float64(totals.BytesReceived)/runs/1e6, "MB-in/op")
				b.ReportMetric(float64(totals.BytesSent)/runs/1e3, "kB-out/op")
			})
		}
	}
}
