package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// userAgent begins the program's user agent; the API server's audit log knows its requests by it.
const userAgent = "eksa-gitops/"

// world is one test's surroundings: a fresh stack with the management cluster up, a GitHub of its own, a
// working directory, and the environment the program runs in.
type world struct {
	t       testing.TB
	gh      *githubtest.Server
	token   string
	dir     string
	env     map[string]string
	tmp     string       // where the program puts temporary files
	outputs bytes.Buffer // all the program has printed
	proxied bool         // something stands between the program and the API server
	counted bool         // a test counts reads, of which a plan makes as many

	// For the search for secrets after each run: a Git server beside GitHub, and the cluster's own key.
	gitServer      *gittest.Server
	clusterKeyFile string
	inspected      *stack.Marker
}

// newWorld gives the test a stack on which the management cluster of mgmt.yaml is up, as eksctl anywhere
// leaves it. The test becomes a parallel one: as many run at once as there are stacks.
func newWorld(t testing.TB) *world {
	t.Helper()
	if test, ok := t.(*testing.T); ok {
		test.Parallel()
	}
	return newSerialWorld(t)
}

// newSerialWorld is newWorld for a test that has to be over before its parent goes on.
func newSerialWorld(t testing.TB) *world {
	t.Helper()
	gh := githubtest.Start(t)
	gh.AddUser("alice")
	return worldOn(t, freshStack(t), gh, gh.AddClassicToken("alice", "repo"))
}

// worldOn is a world around a stack and a GitHub with the user alice and a token of hers.
func worldOn(t testing.TB, s *stack.Stack, gh *githubtest.Server, token string) *world {
	t.Helper()
	w := &world{t: t, gh: gh, token: token, dir: t.TempDir(), tmp: t.TempDir()}
	w.env = map[string]string{
		"HOME":                       w.dir,
		"TMPDIR":                     w.tmp,
		"PATH":                       os.Getenv("PATH"),
		"TERM":                       "dumb",
		"LANG":                       "C.UTF-8",
		"KUBECONFIG":                 s.Kubeconfig(),
		"EKSA_GITHUB_TOKEN":          w.token,
		"EKSA_GITOPS_GITHUB_API_URL": w.gh.RootAPIURL(),
		"EKSA_GITOPS_GITHUB_GIT_URL": w.gh.GitURL(),
		"EKSA_GITOPS_GITHUB_SSH_URL": w.gh.SSHURL(),
		"EKSA_GITOPS_CA_FILE":        w.gh.CAFile(),
		"EKSA_GITOPS_TIMEOUT":        "3m",
	}
	w.write("mgmt.yaml", spec(t, "mgmt.yaml"))
	w.write("dev.yaml", spec(t, "dev.yaml"))
	return w
}

// spec returns a file of testdata with replacements made: old, new, old, new.
func spec(t testing.TB, name string, replacements ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(replacements...).Replace(string(content))
}

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// outcome is one finished run of the program.
type outcome struct {
	t              testing.TB
	args           []string
	stdout, stderr string
	code           int
	took           time.Duration
}

// run runs the program to its end.
func (w *world) run(args ...string) outcome {
	w.t.Helper()
	plan := w.planOf(args)
	o := w.start(args...).wait()
	plan.holds(w.t, o)
	return o
}

// process is the program while it runs.
type process struct {
	world          *world
	args           []string
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	began          time.Time
}

func (w *world) start(args ...string) *process {
	w.t.Helper()
	p := w.command(args)
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// runUnread runs the program with somebody at its standard error who goes away once a text is there.
func (w *world) runUnread(text string, args ...string) outcome {
	w.t.Helper()
	p := w.command(args)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	for part := make([]byte, 4096); !strings.Contains(p.stderr.String(), text); {
		n, err := stderr.Read(part)
		p.stderr.Write(part[:n])
		if err != nil {
			w.t.Fatalf("standard error ends without %q: %v\n%s", text, err, p.stderr.String())
		}
	}
	if err := stderr.Close(); err != nil {
		w.t.Fatal(err)
	}
	return p.wait()
}

// command is the program before it is started.
func (w *world) command(args []string) *process {
	w.t.Helper()
	p := &process{world: w, args: args, began: time.Now()}
	p.cmd = exec.CommandContext(w.t.Context(), suite.program, args...)
	p.cmd.Dir = w.dir
	for name, value := range w.env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout = &p.stdout
	p.cmd.WaitDelay = 5 * time.Second
	return p
}

func (p *process) wait() outcome {
	p.world.t.Helper()
	err := p.cmd.Wait()
	ended := time.Now()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		p.world.t.Fatal(err)
	}
	p.world.outputs.Write(p.stdout.Bytes())
	p.world.outputs.Write(p.stderr.Bytes())
	if _, measured := p.world.t.(*testing.B); !measured {
		p.world.inspect(p.args, p.stdout.Bytes(), p.stderr.Bytes())
		p.world.asPublished(p.args, p.cmd.ProcessState.ExitCode(), p.stdout.Bytes(), p.stderr.Bytes())
	}
	return outcome{p.world.t, p.args, p.stdout.String(), p.stderr.String(), p.cmd.ProcessState.ExitCode(),
		ended.Sub(p.began)}
}

// exits asserts the exit code.
func (o outcome) exits(code int) outcome {
	o.t.Helper()
	if o.code != code {
		o.t.Fatalf("eksa-gitops %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s",
			strings.Join(o.args, " "), o.code, code, o.stdout, o.stderr)
	}
	return o
}

// prints asserts that standard output holds all texts.
func (o outcome) prints(texts ...string) outcome {
	o.t.Helper()
	return o.holds("stdout", o.stdout, texts)
}

// tells asserts that standard error holds all texts.
func (o outcome) tells(texts ...string) outcome {
	o.t.Helper()
	return o.holds("stderr", o.stderr, texts)
}

func (o outcome) holds(name, have string, texts []string) outcome {
	o.t.Helper()
	for _, text := range texts {
		if !strings.Contains(have, text) {
			o.t.Errorf("eksa-gitops %s: %s does not hold %q:\nstdout:\n%s\nstderr:\n%s",
				strings.Join(o.args, " "), name, text, o.stdout, o.stderr)
		}
	}
	return o
}

// json decodes the one object that -o json prints.
func (o outcome) json() map[string]any {
	o.t.Helper()
	decoder := json.NewDecoder(strings.NewReader(o.stdout))
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		o.t.Fatalf("stdout is no JSON object: %v\nstdout:\n%s\nstderr:\n%s", err, o.stdout, o.stderr)
	}
	if decoder.More() {
		o.t.Errorf("stdout holds more than one object:\n%s", o.stdout)
	}
	return object
}

// mark remembers how much has happened at every server.
type mark struct {
	world   *world
	github  githubtest.Mark
	cluster stack.Marker
}

func (w *world) mark() mark {
	w.t.Helper()
	cluster, err := stackOf(w.t).Mark(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return mark{w, w.gh.Mark(), cluster}
}

// writesNothing asserts that since the mark nobody changed anything at GitHub or in Git, and the program
// nothing in the cluster.
func (m mark) writesNothing() {
	m.world.t.Helper()
	activity := m.world.gh.Since(m.github)
	if len(activity.Mutations) > 0 || activity.Pushes > 0 {
		m.world.t.Errorf("GitHub saw %d pushes and the writes %v, want none",
			activity.Pushes, activity.Mutations)
	}
	m.leavesClusterAlone()
}

func (m mark) leavesClusterAlone() {
	m.world.t.Helper()
	if requests := m.clusterWrites(); len(requests) > 0 {
		m.world.t.Errorf("the API server saw the writes %v, want none", requests)
	}
}

func (m mark) clusterWrites() []stack.Request {
	m.world.t.Helper()
	requests, err := stackOf(m.world.t).MutatingRequests(m.world.t.Context(), userAgent, m.cluster)
	if err != nil {
		m.world.t.Fatal(err)
	}
	return requests
}

// object reads one object of the cluster.
func object(t testing.TB, group, version, kind, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
	if err := stackOf(t).Client().Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name},
		u); err != nil {
		t.Fatalf("reading %s %s/%s: %v", kind, namespace, name, err)
	}
	return u
}

func clusterObject(t testing.TB, name string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "anywhere.eks.amazonaws.com", "v1alpha1", "Cluster", "default", name)
}

// at reads a field of an object by its path; numbers in the path are list positions.
func at(t testing.TB, object any, path ...any) any {
	t.Helper()
	if u, ok := object.(*unstructured.Unstructured); ok {
		object = u.Object
	}
	for _, key := range path {
		switch k := key.(type) {
		case string:
			m, ok := object.(map[string]any)
			if !ok {
				t.Fatalf("no map at %v of %v", k, path)
			}
			object = m[k]
		case int:
			l, ok := object.([]any)
			if !ok || k >= len(l) {
				t.Fatalf("no list item at %v of %v", k, path)
			}
			object = l[k]
		}
	}
	return object
}

// waitFor waits until a cluster object passes the test.
func waitFor(t testing.TB, u *unstructured.Unstructured, what string,
	ok func(*unstructured.Unstructured) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := stackOf(t).WaitFor(ctx, u, what, func() bool { return ok(u) }); err != nil {
		t.Fatal(err)
	}
}
