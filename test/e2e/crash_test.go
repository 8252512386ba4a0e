package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// extent says how much of a matrix is asked for: of its full length the part-th of parts equal parts, or,
// when parts is 0, a sample. make reliability asks by the environment: EKSA_GITOPS_RELIABILITY is "full", or
// "2/40" for the second of forty parts.
type extent struct{ part, parts int }

func askedFor(t testing.TB) extent {
	t.Helper()
	value := os.Getenv("EKSA_GITOPS_RELIABILITY")
	switch value {
	case "":
		return extent{}
	case "full":
		return extent{1, 1}
	}
	var e extent
	if n, err := fmt.Sscanf(value, "%d/%d", &e.part, &e.parts); n != 2 || err != nil || e.part < 1 ||
		e.part > e.parts || fmt.Sprintf("%d/%d", e.part, e.parts) != value {
		t.Fatalf("EKSA_GITOPS_RELIABILITY is %q, want full or a part such as 2/40", value)
	}
	return e
}

func (e extent) sample() bool { return e.parts == 0 }

// takes says whether the part has a case: way j to break at the i-th chosen write of a scenario, the row-th.
// A sample takes one way for each write, and over all scenarios every way.
func (e extent) takes(row, i, j int) bool {
	ways := len(breakages())
	if e.sample() {
		return j == (sampled*row+i)%ways
	}
	return (row+i*ways+j)%e.parts == e.part-1
}

// breakage is one way to break a run at a write.
type breakage struct {
	name   string
	when   moment
	signal syscall.Signal // 0 for none
}

func breakages() []breakage {
	return []breakage{
		{"killed before", before, syscall.SIGKILL},
		{"killed after", after, syscall.SIGKILL},
		{"reply lost", lost, 0},
		{"interrupted before", before, syscall.SIGINT},
		{"interrupted after", after, syscall.SIGINT},
		{"terminated before", before, syscall.SIGTERM},
		{"terminated after", after, syscall.SIGTERM},
	}
}

// TestCrash breaks runs of the program right before and right after each of their external writes, which are
// counted at the servers. Each time the same command, given again, succeeds; the third run writes nothing;
// and what is there in the end is what a run that was never broken leaves.
func TestCrash(t *testing.T) {
	t.Parallel()
	length := askedFor(t)
	for row, scenario := range []struct {
		name   string
		begins func(testing.TB) *world
		args   []string
		always bool // also when only a sample is asked for
	}{
		{"create management", fresh, []string{"create", "cluster", "-f", "mgmt.yaml"}, true},
		{"create management over SSH", overSSH, []string{"create", "cluster", "-f", "mgmt.yaml"}, false},
		{"create workload", in(managed()), []string{"create", "cluster", "-f", "dev.yaml"}, false},
		{"create many", fresh, []string{"create", "cluster", "-f", "mgmt.yaml", "-f", "dev.yaml"}, false},
		{"delete workload", in(withDev()), []string{"delete", "cluster", "dev", "--yes"}, false},
		{"delete management", in(managed()), []string{"delete", "cluster", "mgmt", "--yes"}, true},
		{"upgrade enable", fresh, []string{"upgrade", "cluster", "-f", "mgmt.yaml"}, false},
		{"upgrade change", func(t testing.TB) *world {
			w := newSerialWorldIn(t, managed())
			w.write("mgmt.yaml", spec(t, "mgmt.yaml", "count: 1   # scaled", "count: 2   # scaled"))
			return w
		}, []string{"upgrade", "cluster", "-f", "mgmt.yaml"}, true},
		{"upgrade Flux", in(withOlderFlux()), []string{"upgrade", "cluster", "-f", "mgmt.yaml"}, false},
	} {
		if !scenario.always && length.sample() {
			continue
		}
		f := &figures{}
		t.Run(scenario.name, func(t *testing.T) {
			var whole string
			var writes []string
			if !t.Run("whole", func(t *testing.T) {
				w := scenario.begins(t)
				g := newGate(w)
				w.run(scenario.args...).exits(0)
				writes = g.seen()
				g.arm(0, never)
				w.run(scenario.args...).exits(0)
				if again := g.seen(); len(again) > 0 {
					t.Fatalf("a second run writes %v", again)
				}
				whole = w.endState()
			}) {
				return
			}
			if len(writes) == 0 {
				t.Fatal("nothing is written")
			}
			t.Logf("%d writes: %s", len(writes), strings.Join(writes, ", "))
			f.writes = len(writes)
			for i, n := range points(len(writes), length) {
				for j, b := range breakages() {
					if !length.takes(row, i, j) {
						continue
					}
					t.Run(fmt.Sprintf("%s write %d", b.name, n), func(t *testing.T) {
						t.Parallel()
						w := scenario.begins(t)
						t.Cleanup(func() { f.count(b, !t.Failed()) })
						g := newGate(w)
						g.arm(n, b.when)
						w.breakRun(g, b, scenario.args)
						g.arm(0, never)
						w.run(scenario.args...).exits(0)
						g.arm(0, never)
						w.run(scenario.args...).exits(0)
						if third := g.seen(); len(third) > 0 {
							t.Errorf("the third run writes %v", third)
						}
						if diff := firstDifference(w.endState(), whole); diff != "" {
							t.Errorf("the end differs from that of a whole run: %s", diff)
						}
					})
				}
			}
		})
		if doc := os.Getenv("EKSA_GITOPS_RELIABILITY_DOC"); doc != "" && f.writes > 0 {
			// After each scenario, so that a run that is cut short leaves what it has.
			if err := f.record(doc, scenario.name); err != nil {
				t.Error(err)
			}
		}
	}
}

// fresh is a world in which nothing is managed through Git yet.
func fresh(t testing.TB) *world { return newSerialWorld(t) }

func in(s scene) func(testing.TB) *world {
	return func(t testing.TB) *world { return newSerialWorldIn(t, s) }
}

// overSSH is fresh with a repository on an OpenSSH server.
func overSSH(t testing.TB) *world {
	w := withSSH(t, newSerialWorld(t), gittest.OpenSSHOptions{})
	w.git.AddRepo("acme/fleet")
	return w.world
}

// sampled is at how many writes of a scenario a sample breaks.
const sampled = 2

// points are the writes to break at: all of them, or, where there are many, the second and the one in the
// middle.
func points(writes int, length extent) []int {
	if length.sample() && writes > sampled {
		return []int{2, writes/2 + 1}
	}
	all := make([]int, writes)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// breakRun starts the program and breaks it at the write at which the gate is armed.
func (w *world) breakRun(g *gate, b breakage, args []string) {
	w.t.Helper()
	p, ended := g.hold(w, args)
	signalled := time.Now()
	if b.signal != 0 {
		if err := p.cmd.Process.Signal(b.signal); err != nil {
			w.t.Fatal(err)
		}
	}
	if b.signal == 0 {
		<-ended // with whatever code: the program may have seen that the write was done
		return
	}
	stopped := make(chan time.Duration, 1)
	go func() {
		for p.cmd.Process.Signal(syscall.Signal(0)) == nil && time.Since(signalled) < time.Minute {
			time.Sleep(2 * time.Millisecond)
		}
		stopped <- time.Since(signalled)
	}()
	start := w.startTime()
	took := <-stopped
	g.letGo()
	out := <-ended
	if b.signal == syscall.SIGKILL {
		return
	}
	if limit := time.Second * max(1, start/(100*time.Millisecond)); took > limit {
		w.t.Errorf("stopped %v after the signal, want at most %v", took, limit)
	}
	out.exits(130)
	if n := strings.Count(out.stderr, "continue with: "); n != 1 {
		w.t.Errorf("%d lines say how to continue, want 1:\n%s", n, out.stderr)
	}
}

// startTime is how long the program takes at the moment to start and say its version, which on a machine with
// time to spare is far less than a tenth of a second. A machine that takes longer gives nobody a processor in
// time.
func (w *world) startTime() time.Duration {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), suite.program, "version")
	cmd.Env = []string{"HOME=" + w.dir} // whatever the tests themselves are told
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("eksa-gitops version: %v\n%s", err, out)
	}
	return time.Since(began)
}

// endState describes all that a run leaves: the files on the branch, the deploy keys, and the cluster's
// objects, without what differs from run to run (identities, times, key material) and what controllers make
// of the objects.
func (w *world) endState() string {
	w.t.Helper()
	lines := w.settledObjects()
	holders := w.keyHolders()
	if w.gitServer != nil {
		for name, content := range w.gitServer.Repo("acme/fleet").Files("main") {
			lines = append(lines, fmt.Sprintf("file %s: %q", name, content))
		}
	}
	if repo := w.gh.Repo("alice/fleet"); repo != nil {
		for name, content := range repo.Git().Files("main") {
			lines = append(lines, fmt.Sprintf("file %s: %q", name, content))
		}
		for _, key := range repo.DeployKeys() {
			lines = append(lines,
				fmt.Sprintf("deploy key %s, read only %v, of %v", key.Title, key.ReadOnly, holders[key.Key]))
			delete(holders, key.Key)
		}
	}
	for _, secrets := range holders {
		lines = append(lines, fmt.Sprintf("a key of %v that is not registered", secrets))
	}
	slices.Sort(lines)
	return differing().ReplaceAllString(strings.Join(lines, "\n"), "(differs)")
}

// keyHolders are the Secrets that hold a private key for Git, by the public key that belongs to it, as GitHub
// lists keys.
func (w *world) keyHolders() map[string][]string {
	w.t.Helper()
	holders := map[string][]string{}
	for _, s := range w.liveSecrets(w.t.Context()) {
		encoded, there, _ := unstructured.NestedString(s.Object, "data", "identity")
		if !there {
			continue
		}
		private, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			w.t.Fatal(err)
		}
		signer, err := ssh.ParsePrivateKey(private)
		if err != nil {
			w.t.Fatalf("the key of Secret %s/%s: %v", s.GetNamespace(), s.GetName(), err)
		}
		public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		holders[public] = append(holders[public], "Secret "+s.GetNamespace()+"/"+s.GetName())
	}
	return holders
}

// settledObjects describes the cluster's objects once none of them is on its way out: what a run has deleted
// takes its time to go.
func (w *world) settledObjects() []string {
	w.t.Helper()
	derived := []string{"Event", "Lease", "Endpoints", "EndpointSlice", "Pod", "ReplicaSet",
		"ControllerRevision", "Node", "APIService", "CSINode", "IPAddress"}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for {
		var lines []string
		going, namespaces, inside := "", map[string]bool{}, map[string]string{}
		for _, list := range w.lists(ctx,
			func(kind schema.GroupVersionKind) bool { return !slices.Contains(derived, kind.Kind) }) {
			for _, item := range list.Items {
				if item.GetDeletionTimestamp() != nil {
					going = item.GetKind() + " " + item.GetNamespace() + "/" + item.GetName()
				}
				if item.GetKind() == "Namespace" {
					namespaces[item.GetName()] = true
				}
				inside[item.GetNamespace()] = item.GetKind() + " " + item.GetNamespace() + "/" +
					item.GetName()
				if item.GetKind() == "Service" && item.GetNamespace() == "default" &&
					item.GetName() == "kubernetes" {
					continue // it has the port of the stack's API server
				}
				lines = append(lines, describeObject(w, item))
			}
		}
		for namespace, name := range inside {
			if namespace != "" && !namespaces[namespace] {
				going = name // its kind was read before the namespace went
			}
		}
		if going == "" {
			return lines
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("%s does not go", going)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// differing is what differs between two stacks and two GitHubs: addresses, certificates, identities of
// owners.
func differing() *regexp.Regexp {
	return regexp.MustCompile(`127\.0\.0\.1:\d+|-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----|"caBundle":"[^"]*"|"uid":"[^"]*"|"[a-z-]*ca(-file)?(\.crt)?":"[^"]*"`)
}

func describeObject(w *world, u unstructured.Unstructured) string {
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields",
		"generation"} {
		unstructured.RemoveNestedField(u.Object, "metadata", field)
	}
	for _, annotation := range []string{"reconcile.fluxcd.io/requestedAt",
		"deployment.kubernetes.io/revision"} {
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations", annotation)
	}
	if len(u.GetAnnotations()) == 0 {
		u.SetAnnotations(nil)
	}
	delete(u.Object, "status")
	if data, ok := u.Object["data"].(map[string]any); ok && u.GetKind() == "Secret" {
		for key := range data {
			data[key] = "(secret)"
		}
	}
	for _, field := range []string{"clusterIP", "clusterIPs"} {
		unstructured.RemoveNestedField(u.Object, "spec", field)
	}
	content, err := json.Marshal(u.Object)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("object %s %s/%s: %s", u.GetKind(), u.GetNamespace(), u.GetName(), content)
}

// firstDifference shows the lines that only one of two descriptions has.
func firstDifference(have, want string) string {
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	var b strings.Builder
	for _, line := range h {
		if !slices.Contains(w, line) {
			fmt.Fprintf(&b, "\n+ %s", line)
		}
	}
	for _, line := range w {
		if !slices.Contains(h, line) {
			fmt.Fprintf(&b, "\n- %s", line)
		}
	}
	return b.String()
}
