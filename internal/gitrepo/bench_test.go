package gitrepo_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// bigClusters is the size of the benchmark's repository: two files for each cluster, in bigCommits commits.
const (
	bigClusters = 10_000
	bigCommits  = 60
)

func clusterPath(n int) string {
	return fmt.Sprintf("clusters/mgmt/c%05d/eksa-system/eksa-cluster.yaml", n)
}

// clusterSpec has the size and the compressibility of a real one: some lines in common with all others, some
// its own.
func clusterSpec(n, workers int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\nmetadata:\n"+
		"  name: c%05d\n  namespace: default\nspec:\n  kubernetesVersion: \"1.33\"\n"+
		"  workerNodeGroupConfigurations:\n  - count: %d\n    name: md-0\n    machineGroupRef:\n"+
		"      kind: VSphereMachineConfig\n      name: c%05d-wk\n", n, workers, n)
	for i := range 8 {
		fmt.Fprintf(&b, "    # %x\n", sha256.Sum256(fmt.Appendf(nil, "%d-%d", n, i)))
	}
	return b.String()
}

// generateBigRepository fills a repository through git fast-import, in about two seconds: two files for each
// cluster, in so many commits.
func generateBigRepository(tb testing.TB, repo *gittest.Repo, clusters, commits int) {
	tb.Helper()
	const kustomization = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" +
		"namespace: eksa-system\nresources:\n- eksa-cluster.yaml\n"
	cmd := exec.CommandContext(tb.Context(), "git", "-C", repo.Dir(), "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer in.Close() // fast-import says what is wrong
		n := 0
		for commit := range commits {
			fmt.Fprintf(in, "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 1\nx\n",
				1_700_000_000+commit)
			for ; n < clusters*(commit+1)/commits; n++ {
				spec := clusterSpec(n, 1)
				fmt.Fprintf(in, "M 100644 inline %s\ndata %d\n%s\n", clusterPath(n), len(spec), spec)
				fmt.Fprintf(in, "M 100644 inline %s\ndata %d\n%s\n",
					strings.Replace(clusterPath(n), "eksa-cluster", "kustomization", 1), len(kustomization),
					kustomization)
			}
			io.WriteString(in, "\n")
		}
	}()
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("git fast-import: %v\n%s", err, out)
	}
}

// memoryEnv tells the test binary, run again as a process of its own, which repository to commit to.
const memoryEnv = "GITREPO_PEAK_MEMORY"

// peak is what such a process reports.
type peak struct {
	RSS     int64 // kB, the most that was resident
	Elapsed time.Duration
}

// memoryJob is what such a process is told.
type memoryJob struct{ URL, Key, KnownHosts string }

// TestPeakMemoryProcess is the body of the process that BenchmarkPeakMemory10kClusters measures.
func TestPeakMemoryProcess(t *testing.T) {
	text := os.Getenv(memoryEnv)
	if text == "" {
		t.Skip("only run by BenchmarkPeakMemory10kClusters")
	}
	var job memoryJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	key, err := sshkeys.LoadKey(t.Context(), job.Key, secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	known, err := sshkeys.ParseKnownHosts([]byte(job.KnownHosts), "known_hosts")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	s := mustFetch(t, gitrepo.Remote{URL: job.URL,
		Auth: gitrepo.SSHAuth{Identities: sshkeys.FromKey(key), KnownHosts: known}},
		"main")
	if err := s.Push(t.Context(),
		mustCommit(t, s, write(clusterPath(int(start.UnixNano()%bigClusters)), start.String()))); err != nil {
		t.Fatal(err)
	}
	elapsed := time.Since(start)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	p := peak{Elapsed: elapsed}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if _, err := fmt.Sscan(rest, &p.RSS); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("peak %s\n", out)
}

// The most memory that a process needs for one run against the repository of 10,000 clusters, this test
// binary's own included.
func BenchmarkPeakMemory10kClusters(b *testing.B) {
	for _, filter := range []string{"true", "false"} {
		b.Run("filter="+filter, func(b *testing.B) {
			srv := gittest.Start(b)
			repo := srv.AddRepo(repoName, gittest.WithConfig("uploadpack.allowFilter", filter))
			generateBigRepository(b, repo, bigClusters, bigCommits)
			key := gittest.NewKey(b, gittest.ED25519)
			srv.Accounts().AddKey(key.Public(), "alice", gittest.Write)
			file, err := key.File(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			job, err := json.Marshal(memoryJob{URL: srv.SSHURL(repoName), Key: file,
				KnownHosts: srv.KnownHosts()})
			if err != nil {
				b.Fatal(err)
			}
			var most peak
			for b.Loop() {
				// this binary
				cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestPeakMemoryProcess$",
					"-test.v")
				cmd.Env = append(os.Environ(), memoryEnv+"="+string(job))
				out, err := cmd.CombinedOutput()
				if err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				var p peak
				_, text, _ := strings.Cut(string(out), "peak ")
				text, _, _ = strings.Cut(text, "\n")
				if err := json.Unmarshal([]byte(text), &p); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				most = peak{max(most.RSS, p.RSS), max(most.Elapsed, p.Elapsed)}
			}
			b.ReportMetric(float64(most.RSS)/1000, "peak-MB")
			b.ReportMetric(float64(most.Elapsed.Milliseconds()), "run-ms")
		})
	}
}

// One run into a repository of 10,000 clusters, over every transport, with and without filters at the server.
func BenchmarkCommitInto10kClusters(b *testing.B) {
	for _, tr := range transports {
		for _, filter := range []string{"true", "false"} {
			b.Run(tr.name+"/filter="+filter, func(b *testing.B) {
				f := tr.start(b)
				repo := f.srv.AddRepo(repoName, gittest.WithConfig("uploadpack.allowFilter", filter))
				generateBigRepository(b, repo, bigClusters, bigCommits)
				benchmarkRuns(b, f.remote(repoName), bigClusters)
			})
		}
	}
}

// What a run costs as the repository and its history grow.
func BenchmarkGrowth(b *testing.B) {
	for _, size := range []struct{ clusters, commits int }{{100, 60}, {1000, 60}, {10_000, 60},
		{10_000, 600}} {
		b.Run(fmt.Sprintf("clusters=%d/commits=%d", size.clusters, size.commits), func(b *testing.B) {
			f := startSSH(b)
			generateBigRepository(b, f.srv.AddRepo(repoName), size.clusters, size.commits)
			benchmarkRuns(b, f.remote(repoName), size.clusters)
		})
	}
}

// benchmarkRuns measures runs: fetch, find out that a file differs, commit the change and push it.
func benchmarkRuns(b *testing.B, remote gitrepo.Remote, clusters int) {
	b.Helper()
	remote.Stats = &gitrepo.Stats{}
	var fetch, push time.Duration
	runs := 0
	for b.Loop() {
		start := time.Now()
		s, err := gitrepo.Fetch(b.Context(), remote, "main")
		if err != nil {
			b.Fatal(err)
		}
		fetch += time.Since(start)
		edit := write(clusterPath(runs%clusters), clusterSpec(runs, runs+2))
		if held, err := s.Holds(edit.Path, edit.Content); err != nil || held {
			b.Fatalf("holds: %v, %v", held, err)
		}
		c, err := s.Commit([]git.Edit{edit}, options("Scale"))
		if err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		if err := s.Push(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		push += time.Since(start)
		s.Close()
		runs++
	}
	totals := remote.Stats.Totals()
	each := func(total float64, unit string) { b.ReportMetric(total/float64(runs), unit) }
	each(fetch.Seconds()*1000, "fetch-ms/op")
	each(push.Seconds()*1000, "push-ms/op")
	each(float64(totals.Fetches), "fetches/op")
	each(float64(totals.Pushes), "pushes/op")
	each(float64(totals.Connections), "connections/op")
	each(float64(totals.BytesReceived)/1e6, "MB-in/op")
	each(float64(totals.BytesSent)/1e3, "kB-out/op")
}
