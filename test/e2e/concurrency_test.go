package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// overtake starts a run, holds its n-th write, has another run go from its beginning to its end meanwhile,
// and lets the first one go on.
func (w *world) overtake(g *gate, n int, args []string, other func()) outcome {
	w.t.Helper()
	g.arm(n, late)
	_, ended := g.hold(w, args)
	other()
	g.letGo()
	return <-ended
}

// withCount is the spec of a workload cluster with so many workers.
func withCount(t testing.TB, name string, count int) string {
	t.Helper()
	return strings.Replace(workload(t, name, 1), "count: 1 ", fmt.Sprintf("count: %d ", count), 1)
}

// agrees makes sure that Git and the cluster have the same number of workers for a cluster, and that it is
// this one.
func agrees(t testing.TB, files map[string]string, name string, count int) {
	t.Helper()
	if text := files["clusters/mgmt/"+name+"/eksa-system/eksa-cluster.yaml"]; !strings.Contains(text,
		fmt.Sprintf("count: %d ", count)) {
		t.Errorf("Git does not say count: %d for %s:\n%s", count, name, text)
	}
	if got := at(t, clusterObject(t, name), "spec", "workerNodeGroupConfigurations", 0, "count"); got !=
		int64(count) {
		t.Errorf("cluster %s has count %v, want %d", name, got, count)
	}
}

// TestConcurrency_sameCluster: two runs are about one cluster. In the end there is what one of them wanted,
// as a whole, and the other one says that it did not get its way, or that there was nothing left to do.
func TestConcurrency_sameCluster(t *testing.T) {
	w := newWorldIn(t, withDev())
	g := newGate(w)
	t.Run("two creations", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", withCount(t, "twin", 1))
		w.write("two.yaml", withCount(t, "twin", 2))
		out := w.overtake(g, 1, []string{"create", "cluster", "-f", "one.yaml"}, func() {
			w.run("create", "cluster", "-f", "two.yaml").exits(0)
		})
		out.exits(5).tells("somebody else was faster (commit ", ": Create cluster twin (Kubernetes 1.33)): ",
			"to change a cluster that is managed through Git: eksa-gitops upgrade cluster")
		agrees(t, w.files(), "twin", 2)
	})
	t.Run("two changes", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 3 "))
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 4 "))
		out := w.overtake(g, 1, []string{"upgrade", "cluster", "-f", "one.yaml"}, func() {
			w.run("upgrade", "cluster", "-f", "two.yaml").exits(0)
		})
		out.exits(3).tells("the file says 3 (one.yaml:",
			"Git says 4, original value: 1; in Git it was changed by ", "run the command with --overwrite",
			"nothing has been changed")
		agrees(t, w.files(), "dev", 4)
	})
	t.Run("two changes, one with --overwrite", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 5 "))
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 6 "))
		out := w.overtake(g, 1, []string{"upgrade", "cluster", "-f", "one.yaml", "--overwrite"}, func() {
			w.run("upgrade", "cluster", "-f", "two.yaml").exits(0)
		})
		out.exits(0).prints("Cluster dev matches the file.")
		agrees(t, w.files(), "dev", 5)
	})
	t.Run("two changes of different fields", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 6 "))
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 5 ", "count: 1\n", "count: 3\n"))
		out := w.overtake(g, 1, []string{"upgrade", "cluster", "-f", "one.yaml"}, func() {
			w.run("upgrade", "cluster", "-f", "two.yaml").exits(0)
		})
		out.exits(0).prints("Cluster dev matches Git; the file differs in 1 field.")
		agrees(t, w.files(), "dev", 6)
		if got := at(t, clusterObject(t, "dev"), "spec", "controlPlaneConfiguration", "count"); got !=
			int64(3) {
			t.Errorf("the control plane has count %v, want the other run's 3", got)
		}
	})
	t.Run("a change and a deletion", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", withCount(t, "twin", 7))
		out := w.overtake(g, 1, []string{"upgrade", "cluster", "-f", "one.yaml"}, func() {
			w.run("delete", "cluster", "twin", "--yes").exits(0)
		})
		out.exits(3).tells("cluster twin was taken out of Git by somebody else while this run was under way",
			"create it again: eksa-gitops create cluster -f one.yaml", "nothing has been changed")
		if hasCluster(t, "twin") {
			t.Error("the cluster is there")
		}
	})
	t.Run("a deletion and a change", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 8 "))
		out := w.overtake(g, 1, []string{"delete", "cluster", "dev", "--yes"}, func() {
			w.run("upgrade", "cluster", "-f", "one.yaml", "--overwrite").exits(0)
		})
		out.exits(0).prints("Cluster dev is gone.")
		if hasCluster(t, "dev") {
			t.Error("the cluster is there")
		}
	})
	t.Run("two deletions", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", withCount(t, "twin", 1))
		w.run("create", "cluster", "-f", "one.yaml").exits(0)
		out := w.overtake(g, 1, []string{"delete", "cluster", "twin", "--yes"}, func() {
			w.run("delete", "cluster", "twin", "--yes").exits(0)
		})
		out.exits(0).prints("Nothing to do: cluster twin is gone.")
	})
}

// TestConcurrency_afterPush: others are about the same cluster after a run has pushed and before Flux has
// looked, or while the cluster is waited for. The run does not wait for what does not come any more, and says
// who did what.
func TestConcurrency_afterPush(t *testing.T) {
	w := newWorldIn(t, withDev())
	// Long enough that a run that waits for what does not come is told from one that does not.
	w.env["EKSA_GITOPS_TIMEOUT"], w.env["EKSA_GITOPS_FLUX_TIMEOUT"] = "8m", "8m"
	g := newGate(w)
	const wordToFlux = 2
	pushed := func(w *world, message string, change func(string) string) {
		const path = "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"
		follows(w.t, w.push(gittest.Change{Branch: "main", Message: message,
			Files: map[string]string{path: change(w.files()[path])}}))
	}
	replaced := func(old, by string) func(string) string {
		return func(text string) string { return strings.Replace(text, old, by, 1) }
	}
	t.Run("a creation and a deletion", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", withCount(t, "twin", 1))
		out := w.overtake(g, wordToFlux, []string{"create", "cluster", "-f", "one.yaml"}, func() {
			w.run("delete", "cluster", "twin", "--yes").exits(0)
		})
		out.exits(5).tells("somebody else pushed before Flux had applied ",
			"by eksa-gitops: Delete cluster twin): clusters/mgmt/twin/eksa-system/", " was taken out of Git",
			"run the same command again only if you still want this done")
		if hasCluster(t, "twin") {
			t.Error("the cluster is there")
		}
	})
	t.Run("a creation and a change", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", withCount(t, "twin", 1))
		w.write("two.yaml", withCount(t, "twin", 2))
		out := w.overtake(g, wordToFlux, []string{"create", "cluster", "-f", "one.yaml"}, func() {
			w.run("upgrade", "cluster", "-f", "two.yaml").exits(0)
		})
		out.exits(0).prints("Cluster twin is managed through Git.").tells("warning: somebody else changed "+
			"clusters/mgmt/twin/eksa-system/eksa-cluster.yaml right after this run: commit ",
			" by eksa-gitops: Change cluster twin")
		agrees(t, w.files(), "twin", 2)
	})
	t.Run("two changes", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 3 "))
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 4 "))
		out := w.overtake(g, wordToFlux, []string{"upgrade", "cluster", "-f", "one.yaml"}, func() {
			w.run("upgrade", "cluster", "-f", "two.yaml").exits(0)
		})
		out.exits(5).tells("somebody else pushed before Flux had applied ",
			"by eksa-gitops: Change cluster dev): ", "the file says 3 (one.yaml:", "Git says 4",
			"--overwrite")
		agrees(t, w.files(), "dev", 4)
	})
	t.Run("a change and a push that keeps it", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 5 "))
		out := w.overtake(g, wordToFlux, []string{"upgrade", "cluster", "-f", "two.yaml"}, func() {
			pushed(w, "Grow the control plane", replaced("count: 1\n", "count: 3\n"))
		})
		out.exits(0).prints("Cluster dev matches the file.").tells("right after this run: commit ",
			": Grow the control plane")
		agrees(t, w.files(), "dev", 5)
		if got := at(t, clusterObject(t, "dev"), "spec", "controlPlaneConfiguration", "count"); got !=
			int64(3) {
			t.Errorf("the control plane has count %v, want the other's 3", got)
		}
	})
	t.Run("a change and its reversal", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 6 "))
		out := w.overtake(g, wordToFlux, []string{"upgrade", "cluster", "-f", "two.yaml"}, func() {
			pushed(w, "Revert it", replaced("count: 6 ", "count: 5 "))
		})
		out.exits(5).tells(": Revert it): cluster dev: Cluster dev: " +
			"spec.workerNodeGroupConfigurations[md-0].count is 5 in Git now")
		agrees(t, w.files(), "dev", 5)
	})
	t.Run("a change and a deletion", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", withCount(t, "twin", 7))
		out := w.overtake(g, wordToFlux, []string{"upgrade", "cluster", "-f", "one.yaml"}, func() {
			w.run("delete", "cluster", "twin", "--yes").exits(0)
		})
		out.exits(5).tells("by eksa-gitops: Delete cluster twin): cluster twin was taken out of Git by "+
			"somebody else while this run was under way",
			"create it again: eksa-gitops create cluster -f one.yaml")
		if hasCluster(t, "twin") {
			t.Error("the cluster is there")
		}
	})
	t.Run("a deletion and a creation", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 6 "))
		out := w.overtake(g, wordToFlux, []string{"delete", "cluster", "dev", "--yes"}, func() {
			w.run("create", "cluster", "-f", "two.yaml").exits(0)
		})
		out.exits(5).tells("the deletion is not complete: somebody else pushed before Flux had applied ",
			"by eksa-gitops: Create cluster dev (Kubernetes 1.33)): clusters/mgmt/dev/eksa-system/",
			" is there again")
		agrees(t, w.files(), "dev", 6)
	})
	t.Run("a deletion while the cluster is built", func(t *testing.T) {
		w := w.with(t, nil)
		g.arm(0, never)
		looked := make(chan struct{})
		var once sync.Once
		w.env["KUBECONFIG"] = w.proxy(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/clusters/twin") {
					next.ServeHTTP(answer, r)
					return
				}
				seen := httptest.NewRecorder()
				next.ServeHTTP(seen, r)
				maps.Copy(answer.Header(), seen.Header())
				answer.WriteHeader(seen.Code)
				_, _ = answer.Write(seen.Body.Bytes())
				if seen.Code == http.StatusOK {
					once.Do(func() { close(looked) })
				}
			})
		})
		stackOf(t).EKSA().KeepNotReady("default", "twin", eksacontroller.Fault{})
		w.write("one.yaml", withCount(t, "twin", 1))
		p := w.start("create", "cluster", "-f", "one.yaml")
		select {
		case <-looked:
		case <-time.After(2 * time.Minute):
			t.Fatal("the run does not look at the cluster")
		}
		w.run("delete", "cluster", "twin", "--yes").exits(0)
		p.wait().exits(5).tells(
			"Cluster default/twin was deleted: somebody else did that while this run waited for it")
	})
}

// TestConcurrency_sameManagementCluster: two creations of one management cluster, from nothing. The second
// begins and ends while the first is about to make the repository, to push, or to register its key.
func TestConcurrency_sameManagementCluster(t *testing.T) {
	t.Parallel()
	for write, n := range map[string]int{"the repository": 1, "the push": 2,
		"the registration of the key": 5} {
		t.Run(write, func(t *testing.T) {
			w := newWorld(t)
			g := newGate(w)
			create := []string{"create", "cluster", "-f", "mgmt.yaml"}
			out := w.overtake(g, n, create, func() { w.run(create...).exits(0) })
			out.exits(0)
			g.arm(0, never)
			w.run(create...).exits(0).prints("Nothing to do")
			if again := g.seen(); len(again) > 0 {
				t.Errorf("a third run writes %v", again)
			}
			repo := w.gh.Repo("alice/fleet")
			if log := repo.Git().Log("main"); len(log) != 1 {
				t.Errorf("%d commits, want one: %+v", len(log), log)
			}
			holders := w.keyHolders()
			for _, key := range repo.DeployKeys() {
				if !slices.Equal(holders[key.Key], []string{"Secret flux-system/flux-system"}) {
					t.Errorf("deploy key %s is of %v", key.Title, holders[key.Key])
				}
			}
			if len(repo.DeployKeys()) != 1 {
				t.Errorf("deploy keys: %+v, want one", repo.DeployKeys())
			}
		})
	}
}

// TestConcurrency_mixed: creations, changes and deletions of different clusters at the same moment all
// succeed.
func TestConcurrency_mixed(t *testing.T) {
	const each = 3
	w := newWorldIn(t, managed())
	w.env["EKSA_GITOPS_TIMEOUT"], w.env["EKSA_GITOPS_FLUX_TIMEOUT"] = "8m", "8m"
	var there []string
	for i := range 2 * each {
		name := fmt.Sprintf("w%d", i)
		w.write(name+".yaml", workload(t, name, i))
		there = append(there, "-f", name+".yaml")
	}
	w.run(append([]string{"create", "cluster"}, there...)...).exits(0)
	repo := w.gh.Repo("alice/fleet").Git()
	before := len(repo.Log("main"))

	var runs [][]string
	want := map[string]int{} // count by name
	for i := range each {
		name := fmt.Sprintf("new%d", i)
		w.write(name+".yaml", workload(t, name, 10+i))
		want[name] = 1
		changed := fmt.Sprintf("w%d", i)
		w.write(changed+".yaml", strings.Replace(workload(t, changed, i), "count: 1 ", "count: 2 ", 1))
		want[changed] = 2
		runs = append(runs, []string{"create", "cluster", "-f", name + ".yaml"},
			[]string{"upgrade", "cluster", "-f", changed + ".yaml"},
			[]string{"delete", "cluster", fmt.Sprintf("w%d", each+i), "--yes"})
	}
	var processes []*process
	for _, run := range runs {
		processes = append(processes, w.start(run...))
	}
	for _, p := range processes {
		p.wait().exits(0)
	}

	var have []string
	files := w.files()
	for path := range files {
		name, isSpec := strings.CutSuffix(path, "/eksa-system/eksa-cluster.yaml")
		name = strings.TrimPrefix(name, "clusters/mgmt/")
		if !isSpec || name == "mgmt" {
			continue
		}
		have = append(have, name)
		agrees(t, files, name, want[name])
	}
	slices.Sort(have)
	if names := slices.Sorted(maps.Keys(want)); !slices.Equal(have, names) {
		t.Errorf("clusters in Git: %v, want %v", have, names)
	}
	for i := range each {
		if name := fmt.Sprintf("w%d", each+i); hasCluster(t, name) {
			t.Errorf("cluster %s is there", name)
		}
	}
	if commits := len(repo.Log("main")) - before; commits != len(runs) {
		t.Errorf("%d commits, want one for each of %d runs", commits, len(runs))
	}
	isLinear(t, repo)
	mark := w.mark()
	for _, run := range runs {
		w.run(run...).exits(0)
	}
	mark.writesNothing()
}
