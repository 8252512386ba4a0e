package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// The seed of the soak test, and how many operations it makes: all of them with make reliability, a few in
// make test.
const (
	soakSeed       = 20261123
	soakOperations = 200
	soakSample     = 12
)

// soakFields are the fields that change: as the text of a file has them.
func soakFields() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"control plane": regexp.MustCompile(`(?m)^(    count: )\d+`),
		"workers":       regexp.MustCompile(`(?m)^(      count: )\d+`),
	}
}

// soakCluster is what is known of a workload cluster: the fields in the user's file, in Git, and in the
// user's file as it was when this program wrote it to Git last.
type soakCluster struct {
	number          int
	file, git, base map[string]int
}

// merge is what an upgrade has to make of a cluster: the fields in Git after it, and whether the user's file
// and Git are in each other's way.
func (c *soakCluster) merge() (after map[string]int, overlap bool) {
	after = map[string]int{}
	for field := range soakFields() {
		ours, theirs, base := c.file[field], c.git[field], c.base[field]
		switch {
		case ours == base:
			after[field] = theirs
		case theirs == base, theirs == ours:
			after[field] = ours
		default:
			after[field], overlap = ours, true
		}
	}
	return after, overlap
}

// soak is one long run of random operations, of which each leaves everything whole.
type soak struct {
	*world
	random   *rand.Rand
	gate     *gate
	api      *apiFaults
	clusters map[string]*soakCluster
	foreign  map[string]string // files of others, by path
	key      string            // a deploy key of somebody else
	object   *corev1.ConfigMap // an object of somebody else
	heads    []string          // that the branch has had
	story    []string
	counts   map[string]int
}

// TestSoak makes random operations, by this program and by others, with faults and with runs that are broken
// off, and looks after each whether Git, the cluster and the keys agree, and whether anything was touched
// that is not ours. Which they are follows from the seed.
func TestSoak(t *testing.T) {
	seed, operations := uint64(soakSeed), soakSample
	if !askedFor(t).sample() {
		operations = soakOperations
	}
	if text := os.Getenv("EKSA_GITOPS_SOAK_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = given
	}
	s := &soak{world: newWorldIn(t, managed()), random: rand.New(rand.NewPCG(seed, seed)), api: &apiFaults{},
		clusters: map[string]*soakCluster{}, foreign: map[string]string{}, counts: map[string]int{}}
	s.begin()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("EKSA_GITOPS_SOAK_SEED=%d, operation %d of %d:\n%s",
				seed, len(s.story), operations, strings.Join(s.story[max(0, len(s.story)-10):], "\n"))
		}
	})
	for range operations {
		s.operate()
		s.check()
	}
	var figures []string
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		figures = append(figures, fmt.Sprintf("%s %d", what, s.counts[what]))
	}
	t.Logf("seed %d: %s", seed, strings.Join(figures, ", "))
	if doc := os.Getenv("EKSA_GITOPS_RELIABILITY_DOC"); doc != "" {
		table := fmt.Sprintf("Seed %d, %d operations, after each of which all invariants held:\n\n"+
			"| what | times |\n|---|---|\n", seed, operations)
		for _, what := range slices.Sorted(maps.Keys(s.counts)) {
			table += fmt.Sprintf("| %s | %d |\n", what, s.counts[what])
		}
		if err := fill(doc, soakBegin, soakEnd, func(string) string { return table }); err != nil {
			t.Error(err)
		}
	}
}

// begin puts gate and faults in front of the servers, and things of others beside ours.
func (s *soak) begin() {
	s.t.Helper()
	s.gate = newGateBefore(s.world, s.api.wrap)
	for path, content := range s.files() {
		s.foreign[path] = content // Flux's files and those of mgmt do not change either
	}
	key := gittest.NewKey(s.t, gittest.ED25519).AuthorizedKey()
	s.gh.Repo("alice/fleet").AddDeployKey("the backup", key, true)
	s.key = key
	s.object = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "theirs"},
		Data: map[string]string{"a": "b"}}
	if err := stackOf(s.t).Client().Create(s.t.Context(), s.object); err != nil {
		s.t.Fatal(err)
	}
	s.heads = []string{s.gh.Repo("alice/fleet").Git().Head("main")}
}

func (s *soak) tell(format string, args ...any) {
	s.story = append(s.story, fmt.Sprintf("%3d. ", len(s.story)+1)+fmt.Sprintf(format, args...))
}

// pick is one of a list, by chance.
func pick[T any](s *soak, list []T) T { return list[s.random.IntN(len(list))] }

// with is the text of a spec with fields set.
func with(text string, fields map[string]int) string {
	for field, pattern := range soakFields() {
		text = pattern.ReplaceAllString(text, "${1}"+strconv.Itoa(fields[field]))
	}
	return text
}

func (s *soak) values() map[string]int {
	return map[string]int{"control plane": pick(s, []int{1, 3, 5}), "workers": 1 + s.random.IntN(5)}
}

// job is a run of the program that changes something, and what it has to come to.
type job struct {
	what   string
	args   []string
	settle func() // what is known once the run has succeeded
}

// job chooses a run.
func (s *soak) job() job { return s.jobOf(s.random.IntN(10)) }

// jobOf is the creation of a cluster for choices below 3, a change below 8, and else a deletion. Without
// clusters it is a creation.
func (s *soak) jobOf(choice int) job {
	s.t.Helper()
	names := slices.Sorted(maps.Keys(s.clusters))
	if len(names) == 0 || len(names) < 4 && choice < 3 {
		number := s.random.IntN(6)
		for s.clusters[fmt.Sprintf("n%d", number)] != nil {
			number = (number + 1) % 6
		}
		name, fields := fmt.Sprintf("n%d", number), s.values()
		s.write(name+".yaml", with(workload(s.t, name, number), fields))
		return job{"create", []string{"create", "cluster", "-f", name + ".yaml"}, func() {
			s.clusters[name] = &soakCluster{number, fields, maps.Clone(fields), maps.Clone(fields)}
		}}
	}
	name := pick(s, names)
	c := s.clusters[name]
	if choice >= 8 {
		return job{"delete", []string{"delete", "cluster", name, "--yes"}, func() {
			delete(s.clusters, name)
		}}
	}
	for {
		c.file = s.values()
		after, overlap := c.merge()
		if maps.Equal(after, c.git) {
			continue // nothing to commit
		}
		s.write(name+".yaml", with(workload(s.t, name, c.number), c.file))
		args := []string{"upgrade", "cluster", "-f", name + ".yaml"}
		if overlap {
			s.run(args...).exits(3).tells("Git says ", "nothing has been changed")
			s.counts["overlap refused"]++
			args = append(args, "--overwrite")
		}
		return job{"change", args, func() { c.git, c.base = after, maps.Clone(c.file) }}
	}
}

// operate makes one operation.
func (s *soak) operate() {
	s.t.Helper()
	// The first ones are always the same, so that even a sample has a change that meets one by others.
	switch len(s.story) {
	case 0:
		s.plain(s.jobOf(0))
		return
	case 1:
		s.push()
		return
	case 2:
		s.plain(s.jobOf(5))
		return
	}
	switch choice := s.random.IntN(20); {
	case choice < 3 && len(s.clusters) > 0:
		s.push()
	case choice < 4:
		path := fmt.Sprintf("docs/%d.md", s.random.IntN(5))
		s.foreign[path] = fmt.Sprintf("note %d\n", s.random.IntN(1000))
		s.tell("others write %s", path)
		s.counts["push by others, another file"]++
		follows(s.t, s.world.push(gittest.Change{Branch: "main", Message: "Notes",
			Files: map[string]string{path: s.foreign[path]}}))
	case choice < 10:
		s.plain(s.job())
	case choice < 14:
		s.passing(s.job())
	case choice < 16:
		s.lasting(s.job())
	default:
		s.broken(s.job())
	}
}

// plain makes a run that nothing is in the way of.
func (s *soak) plain(j job) {
	s.t.Helper()
	s.tell("%s: %v", j.what, j.args)
	s.counts[j.what]++
	s.run(j.args...).exits(0)
	s.settle(j)
}

// settle makes sure that the same command, given again, writes nothing, and notes what is there now.
func (s *soak) settle(j job) {
	s.t.Helper()
	before := s.mark()
	s.run(j.args...).exits(0)
	before.writesNothing()
	j.settle()
}

// push changes a field of a cluster in Git, as somebody else.
func (s *soak) push() {
	s.t.Helper()
	name := pick(s, slices.Sorted(maps.Keys(s.clusters)))
	c := s.clusters[name]
	c.git = s.values()
	path := "clusters/mgmt/" + name + "/eksa-system/eksa-cluster.yaml"
	s.tell("others change %s to %v", name, c.git)
	s.counts["push by others, a cluster"]++
	follows(s.t, s.world.push(gittest.Change{Branch: "main", Message: "Scale " + name,
		Files: map[string]string{path: with(s.files()[path], c.git)}}))
}

// passing makes a run with a fault that passes by itself.
func (s *soak) passing(j job) {
	s.t.Helper()
	once := githubtest.Times(1)
	const reading = "GET /repos/alice/fleet"
	fault := pick(s, []struct {
		name   string
		strike func() (off func())
	}{
		{"GitHub 502",
			func() func() { return s.gh.Break(reading, githubtest.Respond(502, ""), githubtest.Times(2)) }},
		{"GitHub rate limit",
			func() func() { return s.gh.Break(reading, githubtest.SecondaryRateLimit(time.Second), once) }},
		{"GitHub closes the connection",
			func() func() { return s.gh.Break(reading, githubtest.CloseConnection(), once) }},
		{"Git fetch cut", func() func() {
			return s.gh.InjectGit(gittest.Fault{Kind: gittest.DropAfter, Service: gittest.Fetch, Bytes: 300,
				Times: 1})
		}},
		{"Git push cut", func() func() {
			return s.gh.InjectGit(gittest.Fault{Kind: gittest.DropAfter, Service: gittest.Push, Bytes: 300,
				Times: 1})
		}},
		{"Git push, lost answer", func() func() {
			return s.gh.InjectGit(gittest.Fault{Kind: gittest.LoseReply, Service: gittest.Push, Times: 1})
		}},
		{"Kubernetes 429", func() func() {
			return s.api.strike("PATCH", "/gitrepositories/", 1,
				refusing(429, metav1.StatusReasonTooManyRequests, "too many requests", "Retry-After", "1"))
		}},
		{"Kubernetes 503", func() func() {
			return s.api.strike("GET", "/clusters", 2,
				refusing(503, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down"))
		}},
		{"Kubernetes conflict", func() func() {
			return s.api.strike("PATCH", "/gitrepositories/", 2,
				refusing(409, metav1.StatusReasonConflict, "the object has been modified"))
		}},
	})
	s.tell("%s with %s: %v", j.what, fault.name, j.args)
	s.counts["passing fault: "+fault.name]++
	off := fault.strike()
	out := s.run(j.args...)
	off()
	out.exits(0)
	s.settle(j)
}

// lasting makes a run with a fault that does not pass, and repeats it without.
func (s *soak) lasting(j job) {
	s.t.Helper()
	repo := s.gh.Repo("alice/fleet").Git()
	fault := pick(s, []struct {
		name   string
		strike func() (off func())
	}{
		{"token refused", func() func() {
			return s.gh.Break("GET /repos/alice/fleet",
				githubtest.Respond(401, `{"message":"Bad credentials"}`))
		}},
		{"push refused by a hook", func() func() {
			repo.SetHook("pre-receive", "#!/bin/sh\nexit 1\n")
			return func() { repo.SetHook("pre-receive", "") }
		}},
		{"right missing", func() func() {
			return s.api.strike("PATCH", "/gitrepositories/", 0, refusing(403, metav1.StatusReasonForbidden,
				`gitrepositories.source.toolkit.fluxcd.io "flux-system" is forbidden: User "operator" cannot patch resource "gitrepositories" in API group "source.toolkit.fluxcd.io" in the namespace "flux-system"`))
		}},
	})
	s.tell("%s with %s: %v", j.what, fault.name, j.args)
	s.counts["lasting fault: "+fault.name]++
	off := fault.strike()
	out := s.run(j.args...)
	off()
	if out.code == 0 {
		s.t.Errorf("the run succeeds:\n%s\n%s", out.stdout, out.stderr)
	}
	s.run(j.args...).exits(0)
	s.settle(j)
}

// broken breaks a run at a write, and repeats it.
func (s *soak) broken(j job) {
	s.t.Helper()
	// each of the runs has two writes: the push, and the word to Flux
	b, n := pick(s, breakages()), 1+s.random.IntN(2)
	s.tell("%s, %s write %d: %v", j.what, b.name, n, j.args)
	kind := "run interrupted"
	switch b.signal {
	case 0:
		kind = "run whose answer is lost"
	case syscall.SIGKILL:
		kind = "run killed"
	}
	s.counts[kind]++
	s.gate.arm(n, b.when)
	s.breakRun(s.gate, b, j.args)
	s.gate.arm(0, never)
	s.run(j.args...).exits(0)
	s.settle(j)
}

// check looks whether all invariants hold.
func (s *soak) check() {
	s.t.Helper()
	repo := s.gh.Repo("alice/fleet")
	files := s.files()

	// Git holds what it should, and nothing foreign was touched.
	want := maps.Clone(s.foreign)
	for name := range s.clusters {
		for _, file := range []string{"eksa-cluster.yaml", "kustomization.yaml"} {
			path := "clusters/mgmt/" + name + "/eksa-system/" + file
			want[path] = files[path]
		}
	}
	if !slices.Equal(keys(files), keys(want)) {
		s.t.Errorf("files in Git: %v, want %v", keys(files), keys(want))
	}
	for path, content := range s.foreign {
		if files[path] != content {
			s.t.Errorf("%s was changed:\n%s", path, files[path])
		}
	}
	// Git and the cluster agree.
	for name, c := range s.clusters {
		text := files["clusters/mgmt/"+name+"/eksa-system/eksa-cluster.yaml"]
		if text != with(text, c.git) {
			s.t.Errorf("Git does not have %v for %s:\n%s", c.git, name, text)
		}
		if !hasCluster(s.t, name) {
			s.t.Errorf("cluster %s is not there", name)
			continue
		}
		live := clusterObject(s.t, name)
		have := map[string]any{"control plane": at(s.t, live, "spec", "controlPlaneConfiguration", "count"),
			"workers": at(s.t, live, "spec", "workerNodeGroupConfigurations", 0, "count")}
		for field, value := range c.git {
			if have[field] != int64(value) {
				s.t.Errorf("cluster %s: %s is %v, want %d", name, field, have[field], value)
			}
		}
	}
	for number := range 6 {
		if name := fmt.Sprintf("n%d", number); s.clusters[name] == nil && hasCluster(s.t, name) {
			s.t.Errorf("cluster %s is still there", name)
		}
	}
	// Of the deploy keys, one is Flux's and one somebody else's.
	holders, own, theirs := s.keyHolders(), 0, 0
	for _, key := range repo.DeployKeys() {
		switch {
		case key.Key == s.key:
			theirs++
		case slices.Equal(holders[key.Key], []string{"Secret flux-system/flux-system"}):
			own++
			if !key.ReadOnly {
				s.t.Errorf("deploy key %s may write", key.Title)
			}
		default:
			s.t.Errorf("deploy key %s is nobody's", key.Title)
		}
	}
	if own != 1 || theirs != 1 {
		s.t.Errorf("%d deploy keys of Flux and %d of others, want one of each", own, theirs)
	}
	// Nobody else's object was touched.
	now := &corev1.ConfigMap{}
	if err := stackOf(s.t).Client().Get(s.t.Context(), client.ObjectKeyFromObject(s.object),
		now); err != nil || now.ResourceVersion != s.object.ResourceVersion {
		s.t.Errorf("the object of somebody else was touched: %v", err)
	}
	// History only grows, in one line.
	head := repo.Git().Head("main")
	if base := strings.TrimSpace(repo.Git().Git("merge-base", s.heads[len(s.heads)-1], head)); base !=
		s.heads[len(s.heads)-1] {
		s.t.Errorf("%s is no longer in the history of %s", s.heads[len(s.heads)-1], head)
	}
	s.heads = append(s.heads, head)
	isLinear(s.t, repo.Git())
	// The program itself finds nothing wrong.
	dir := s.t.TempDir()
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.run("lint", dir).exits(0)
	s.run("status").exits(0)
	if s.t.Failed() {
		s.t.FailNow()
	}
}
