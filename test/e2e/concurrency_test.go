package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// overtake starts a run, holds its n-th write, has another run go from its beginning to its end meanwhile, and lets the first one go on.
func (w *world) overtake(g *gate, n int, args []string, other func()) outcome {
	w.t.Helper()
	g.arm(n, late)
	_, ended := g.hold(w, args)
	other()
	g.letGo()
	return <-ended
}

// agrees makes sure that Git and the cluster have the same number of workers for a cluster, and that it is this one.
func agrees(t testing.TB, files map[string]string, name string, count int) {
	t.Helper()
	if text := files["clusters/mgmt/"+name+"/eksa-system/eksa-cluster.yaml"]; !strings.Contains(text, fmt.Sprintf("count: %d ", count)) {
		t.Errorf("Git does not say count: %d for %s:\n%s", count, name, text)
	}
	if got := at(t, clusterObject(t, name), "spec", "workerNodeGroupConfigurations", 0, "count"); got != int64(count) {
		t.Errorf("cluster %s has count %v, want %d", name, got, count)
	}
}

// TestConcurrency_sameCluster: two runs are about one cluster. In the end there is what one of them wanted, as a whole, and the other one
// says that it did not get its way, or that there was nothing left to do.
func TestConcurrency_sameCluster(t *testing.T) {
	w := newWorldIn(t, withDev())
	g := newGate(w)
	withCount := func(name string, count int) string {
		return strings.Replace(workload(t, name, 1), "count: 1 ", fmt.Sprintf("count: %d ", count), 1)
	}
	t.Run("two creations", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", withCount("twin", 1))
		w.write("two.yaml", withCount("twin", 2))
		out := w.overtake(g, 1, []string{"create", "cluster", "-f", "one.yaml"}, func() { w.run("create", "cluster", "-f", "two.yaml").exits(0) })
		out.exits(5).tells("somebody else was faster (commit ", ": Create cluster twin (Kubernetes 1.33)): ", "to change a cluster that is managed through Git: eksa-gitops upgrade cluster")
		agrees(t, w.files(), "twin", 2)
	})
	t.Run("two changes", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 3 "))
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 4 "))
		out := w.overtake(g, 1, []string{"upgrade", "cluster", "-f", "one.yaml"}, func() { w.run("upgrade", "cluster", "-f", "two.yaml").exits(0) })
		out.exits(3).tells("the file says 3 (one.yaml:", "Git says 4, before both it was 1; in Git it was changed by ", "run the command with --overwrite", "nothing has been changed")
		agrees(t, w.files(), "dev", 4)
	})
	t.Run("two changes, one with --overwrite", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 5 "))
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 6 "))
		out := w.overtake(g, 1, []string{"upgrade", "cluster", "-f", "one.yaml", "--overwrite"}, func() { w.run("upgrade", "cluster", "-f", "two.yaml").exits(0) })
		out.exits(0).prints("Cluster dev is as the file says.")
		agrees(t, w.files(), "dev", 5)
	})
	t.Run("two changes of different fields", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 6 "))
		w.write("two.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 5 ", "count: 1\n", "count: 3\n"))
		out := w.overtake(g, 1, []string{"upgrade", "cluster", "-f", "one.yaml"}, func() { w.run("upgrade", "cluster", "-f", "two.yaml").exits(0) })
		out.exits(0).prints("Cluster dev is as the file says")
		agrees(t, w.files(), "dev", 6)
		if got := at(t, clusterObject(t, "dev"), "spec", "controlPlaneConfiguration", "count"); got != int64(3) {
			t.Errorf("the control plane has count %v, want the other run's 3", got)
		}
	})
	t.Run("a change and a deletion", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", withCount("twin", 7))
		out := w.overtake(g, 1, []string{"upgrade", "cluster", "-f", "one.yaml"}, func() { w.run("delete", "cluster", "twin", "--yes").exits(0) })
		out.exits(3).tells("cluster twin was taken out of Git by somebody else while this run was under way", "create it again: eksa-gitops create cluster -f one.yaml", "nothing has been changed")
		if hasCluster(t, "twin") {
			t.Error("the cluster is there")
		}
	})
	t.Run("a deletion and a change", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", spec(t, "dev.yaml", "count: 1 ", "count: 8 "))
		out := w.overtake(g, 1, []string{"delete", "cluster", "dev", "--yes"}, func() { w.run("upgrade", "cluster", "-f", "one.yaml", "--overwrite").exits(0) })
		out.exits(0).prints("Cluster dev is gone.")
		if hasCluster(t, "dev") {
			t.Error("the cluster is there")
		}
	})
	t.Run("two deletions", func(t *testing.T) {
		w := w.with(t, nil)
		w.write("one.yaml", withCount("twin", 1))
		w.run("create", "cluster", "-f", "one.yaml").exits(0)
		out := w.overtake(g, 1, []string{"delete", "cluster", "twin", "--yes"}, func() { w.run("delete", "cluster", "twin", "--yes").exits(0) })
		out.exits(0).prints("Nothing to do: cluster twin is gone.")
	})
}

// TestConcurrency_sameManagementCluster: two creations of one management cluster, from nothing. The second begins and ends while the
// first is about to make the repository, to push, or to register its key.
func TestConcurrency_sameManagementCluster(t *testing.T) {
	t.Parallel()
	for write, n := range map[string]int{"the repository": 1, "the push": 2, "the registration of the key": 5} {
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

// TestConcurrency_mixed: creations, changes and deletions of different clusters at the same moment all succeed.
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
		runs = append(runs, []string{"create", "cluster", "-f", name + ".yaml"}, []string{"upgrade", "cluster", "-f", changed + ".yaml"},
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
