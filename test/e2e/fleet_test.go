package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// workload is the spec of a workload cluster of its own name and address.
func workload(t testing.TB, name string, number int) string {
	t.Helper()
	return spec(t, "dev.yaml", "name: dev", "name: "+name, "198.18.100.20",
		fmt.Sprintf("198.19.%d.%d", number/250, number%250+1))
}

// workloads are the specs of many in one file.
func workloads(t testing.TB, count int) string {
	t.Helper()
	var fleet strings.Builder
	for i := range count {
		fmt.Fprintf(&fleet, "---\n%s", workload(t, fmt.Sprintf("w%04d", i), i))
	}
	return fleet.String()
}

// repositoryMark remembers what has happened to the repository.
type repositoryMark struct {
	mark
	counts  gittest.Counts
	commits int
}

func (w *world) markRepository() repositoryMark {
	w.counted = true
	w.t.Helper()
	repo := w.gh.Repo("alice/fleet").Git()
	return repositoryMark{w.mark(), repo.Counts(), len(repo.Log("main"))}
}

// createsOneCommit asserts what a run of many clusters did at the server: one fetch of the tree, one of the
// clusters that new ones are held against, one push, one commit. The program speaks HTTPS; Flux fetches over
// SSH.
func (m repositoryMark) createsOneCommit() {
	m.world.t.Helper()
	repo := m.world.gh.Repo("alice/fleet").Git()
	counts := repo.Counts().Sub(m.counts)
	if counts.OverHTTP != 2 || counts.Pushes != 1 {
		m.world.t.Errorf("the repository saw %d fetches and %d pushes, want 2 and 1",
			counts.OverHTTP, counts.Pushes)
	}
	if writes := m.world.gh.Since(m.github).Mutations; len(writes) > 0 {
		m.world.t.Errorf("GitHub saw the writes %v", writes)
	}
	if got := len(repo.Log("main")); got != m.commits+1 {
		m.world.t.Errorf("the branch has %d commits, want one more than %d", got, m.commits)
	}
}

// Clusters come from a directory, several -f, and one file with several of them. All are checked before
// anything is written, one commit holds them all, and the table has a line for each. One that does not become
// Ready makes the exit code 5 and is named with its cause.
func TestFleet_create(t *testing.T) {
	w := newFleet(t)
	if err := os.Mkdir(filepath.Join(w.dir, "more"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.write("more/a.yaml", workload(t, "w-a", 1))
	w.write("more/b.yaml", workload(t, "w-b", 2))
	w.write("two.yaml", workload(t, "w-c", 3)+"---\n"+workload(t, "w-d", 4))
	w.write("bad.yaml", strings.Replace(workload(t, "w-e", 5), "count: 1", "count: one", 1))
	args := []string{"create", "cluster", "-f", "more", "-f", "two.yaml", "-f", "dev.yaml"}

	before := w.mark()
	w.run(append(args, "-f", "bad.yaml")...).exits(3).tells("bad.yaml", "nothing has been changed")
	before.writesNothing()

	stackOf(t).EKSA().Fail("default", "w-c", "QuotaExceeded", "no room for c")
	creation := w.markRepository()
	out := w.run(append(args, "--timeout", "40s")...).exits(5)
	creation.createsOneCommit()
	out.tells("not every cluster is Ready: 1 of 5 are not", "  w-c: QuotaExceeded; no room for c",
		"continue with: eksa-gitops create cluster -f more")
	if want := rows(
		"NAME VERSION NODES READY CAUSE", "dev 1.33 2/2 True -", "w-a 1.33 2/2 True -", "w-b 1.33 2/2 True -",
		"w-c 1.33 ?/2 False QuotaExceeded; no room for c", "w-d 1.33 2/2 True -",
	); !strings.Contains(rows(strings.Split(out.stdout, "\n")...), want) {
		t.Errorf("there is no such table:\n%s\nin:\n%s", want, out.stdout)
	}
	if n := strings.Count(out.stderr, "\n"); n > 60 {
		t.Errorf("%d lines for five clusters:\n%s", n, out.stderr)
	}

	// The same as one object; nothing is written again.
	before = w.mark()
	result := w.run(append(args, "--timeout", "6s", "-o", "json", "--progress", "json")...).exits(5).json()
	before.writesNothing()
	for i, name := range []string{"dev", "w-a", "w-b", "w-c", "w-d"} {
		c := at(t, result, "clusters", i)
		if at(t, c, "name") != name || at(t, c, "ready") != (name != "w-c") ||
			at(t, c, "controlPlane", "desired") != float64(1) {
			t.Errorf("cluster %d is %v", i, c)
		}
		if message, _ := at(t, c, "message").(string); name == "w-c" &&
			!strings.Contains(message, "no room for c") {
			t.Errorf("cluster c is %v", c)
		}
	}
	stackOf(t).EKSA().Heal("default", "w-c")
	before = w.mark()
	w.run(args...).exits(0).prints("Nothing to do: 5 clusters are managed through Git.")
	before.writesNothing()
}

// rows joins lines whose blanks are made one.
func rows(lines ...string) string {
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return strings.Join(lines, "\n")
}

// racers is how many processes meet in one branch.
const racers = 32

// Processes that create different clusters in one branch at the same moment all succeed: each makes one
// commit on top of the others', and no file is lost.
func TestFleet_race(t *testing.T) {
	w := newFleet(t)
	w.env["EKSA_GITOPS_TIMEOUT"], w.env["EKSA_GITOPS_FLUX_TIMEOUT"] = "8m", "8m"
	repo := w.gh.Repo("alice/fleet").Git()
	before := repo.Log("main")
	var names []string
	for i := range racers {
		name := fmt.Sprintf("r%02d", i)
		names = append(names, name)
		w.write(name+".yaml", workload(t, name, i))
	}
	mark := w.mark()
	var processes []*process
	for _, name := range names {
		processes = append(processes, w.start("create", "cluster", "-f", name+".yaml", "--progress", "json"))
	}
	var took []time.Duration
	lost := 0
	for _, p := range processes {
		out := p.wait().exits(0)
		took = append(took, pushed(t, p.began, out.stderr))
		lost += strings.Count(out.stderr, "somebody else pushed at the same moment")
	}
	slices.Sort(took)
	t.Logf("pushed after %v (first), %v (middle), %v (last); %d pushes lost the race",
		took[0], took[racers/2], took[racers-1], lost)
	t.Log("requests at GitHub:", len(w.gh.Since(mark.github).Requests), "pushes:",
		w.gh.Since(mark.github).Pushes)

	files := w.files()
	for _, name := range names {
		for _, file := range []string{"eksa-cluster.yaml", "kustomization.yaml"} {
			if files["clusters/mgmt/"+name+"/eksa-system/"+file] == "" {
				t.Errorf("%s of %s is lost", file, name)
			}
		}
		if !hasCluster(t, name) {
			t.Errorf("cluster %s is not there", name)
		}
	}
	log := repo.Log("main")
	if len(log) != len(before)+racers {
		t.Errorf("%d commits, want one for each of %d runs", len(log)-len(before), racers)
	}
	isLinear(t, repo)
	created := map[string]bool{}
	for _, entry := range log[:len(log)-len(before)] {
		created[entry.Subject()] = true
	}
	for _, name := range names {
		if !created["Create cluster "+name+" (Kubernetes 1.33)"] {
			t.Errorf("no commit creates %s", name)
		}
	}
}

// isLinear makes sure that the branch has no merges.
func isLinear(t testing.TB, repo *gittest.Repo) {
	t.Helper()
	if merges := strings.TrimSpace(repo.Git("rev-list", "--min-parents=2", "main")); merges != "" {
		t.Errorf("the history is not linear: %s", merges)
	}
}

// pushed is how long after its start a run with --progress=json had pushed.
func pushed(t testing.TB, began time.Time, stderr string) time.Duration {
	t.Helper()
	scanner := bufio.NewScanner(strings.NewReader(stderr))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var event struct {
			Time        time.Time
			Event, Step string
		}
		if json.Unmarshal(scanner.Bytes(), &event) == nil && event.Event == "end" &&
			strings.HasPrefix(event.Step, "Push cluster files") {
			return event.Time.Sub(began).Round(time.Millisecond)
		}
	}
	t.Fatalf("the run tells of no push:\n%s", stderr)
	return 0
}
