//go:build unix

// Package fluxinstall_test runs package fluxinstall against a real API server, a real Git server and the real
// Flux controllers.
package fluxinstall_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// pool has the stacks, of which each test has one for itself: with a management cluster.
var pool *stack.Pool

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	mgmt, err := os.ReadFile("testdata/mgmt.yaml")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	pool = stack.NewPool(0, stack.Options{Flux: stack.FluxWhenInstalled, Progress: os.Stderr},
		func(ctx context.Context, s *stack.Stack) error {
			return s.SeedManagementCluster(ctx, mgmt)
		})
	defer pool.Stop()
	return m.Run()
}

const (
	userAgent = "eksa-gitops/test"
	namespace = "gitops" // not the default, on purpose: nothing may have that built in
	branch    = "main"
	repoPath  = "clusters/mgmt"
	systemDir = repoPath + "/" + namespace
)

// world is one test's surroundings: a fresh cluster with a management cluster, and a Git server with a
// repository that holds Flux's files and the cluster's.
type world struct {
	t       *testing.T
	stack   *stack.Stack
	git     *gittest.Server
	repo    *gittest.Repo
	cluster *fluxinstall.Cluster
	commit  string
	files   map[string]string // Flux's, by path
}

// newWorld makes a world. The test becomes a parallel one: as many run at once as there are stacks.
func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	ctx := t.Context()
	mgmt, err := os.ReadFile("testdata/mgmt.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, giveBack, err := pool.Take(ctx)
	if err != nil {
		t.Fatalf("getting a fresh stack: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Report())
		}
		giveBack()
	})
	w := &world{t: t, stack: s, git: gittest.Start(t), cluster: connect(t, s.Kubeconfig())}
	w.repo = w.git.AddRepo("acme/fleet")
	components, err := fluxmanifests.Components(ctx, fluxmanifests.ComponentsOptions{Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	sync, err := fluxmanifests.Sync(fluxmanifests.SyncOptions{Namespace: namespace,
		URL: w.git.SSHURL("acme/fleet"), Branch: branch, Path: repoPath})
	if err != nil {
		t.Fatal(err)
	}
	w.files = map[string]string{
		systemDir + "/gotk-components.yaml": string(components),
		systemDir + "/gotk-sync.yaml":       string(sync),
		systemDir + "/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\n" +
			"kind: Kustomization\nresources:\n- gotk-components.yaml\n- gotk-sync.yaml\n",
		repoPath + "/mgmt/eksa-system/eksa-cluster.yaml": string(mgmt),
		repoPath + "/mgmt/eksa-system/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\n" +
			"kind: Kustomization\nresources:\n- eksa-cluster.yaml\n",
	}
	w.commit = w.repo.Commit(gittest.Change{Branch: branch, Message: "Create cluster mgmt", Files: w.files})
	return w
}

func connect(t *testing.T, kubeconfig string) *fluxinstall.Cluster {
	t.Helper()
	c, err := fluxinstall.Connect(t.Context(),
		fluxinstall.KubeconfigOptions{Paths: []string{kubeconfig}, Origin: "the test", UserAgent: userAgent})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// push commits a change, as another user would, and remembers the commit.
func (w *world) push(files map[string]string, deleted ...string) string {
	w.t.Helper()
	w.commit = w.repo.Commit(gittest.Change{Branch: branch, Message: "Change", Files: files, Delete: deleted})
	return w.commit
}

// source is what the Secret should hold.
func (w *world) source() fluxinstall.SourceSecret {
	return fluxinstall.SourceSecret{Namespace: namespace, KnownHosts: []byte(w.git.KnownHosts())}
}

// allow registers a public key as a read-only deploy key.
func (w *world) allow(publicKey string) {
	w.t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(publicKey))
	if err != nil {
		w.t.Fatal(err)
	}
	w.git.Accounts().AddKey(key, "deploy", gittest.Read, "acme/fleet")
}

// built are Flux's objects as the repository has them.
func (w *world) built() (components, sync []byte) {
	w.t.Helper()
	files := map[string][]byte{}
	for name, content := range w.files {
		if path.Dir(name) == systemDir {
			files[path.Base(name)] = []byte(content)
		}
	}
	components, sync, err := fluxmanifests.BuildSystem(files)
	if err != nil {
		w.t.Fatal(err)
	}
	return components, sync
}

// changes is what each writing step did.
type changes struct {
	namespace, secret bool
	components, sync  fluxinstall.ChangeSet
}

func (c changes) any() bool {
	return c.namespace || c.secret || c.components.Changed() > 0 || c.sync.Changed() > 0
}

// install runs every writing step once, in the order that pkg/gitops does. register says whether the public
// key is registered.
func (w *world) install(register bool) changes {
	w.t.Helper()
	ctx := w.t.Context()
	var done changes
	var err error
	if done.namespace, err = w.cluster.EnsureNamespace(ctx, namespace); err != nil {
		w.t.Fatal(err)
	}
	public, changed, err := w.cluster.EnsureSourceSecret(ctx, w.source())
	if err != nil {
		w.t.Fatal(err)
	}
	done.secret = changed
	if register {
		w.allow(public)
	}
	components, sync := w.built()
	began := time.Now()
	if done.components, err = w.cluster.EnsureComponents(ctx, components,
		func(p fluxinstall.Progress) { w.t.Logf("%s: %s", time.Since(began), p.Message) }); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("EnsureComponents: %d created, %d configured, %d unchanged in %s", len(done.components.Created),
		len(done.components.Configured), len(done.components.Unchanged), time.Since(began))
	if done.sync, err = w.cluster.EnsureSync(ctx, sync); err != nil {
		w.t.Fatal(err)
	}
	return done
}

// patience is how long a test waits for what has to come. It is no statement about speed: a machine that runs
// everything else at the same time may take minutes for what takes seconds.
const patience = 5 * time.Minute

func (w *world) wait() fluxinstall.SyncWait {
	return fluxinstall.SyncWait{Namespace: namespace, Name: namespace, Branch: branch, Commit: w.commit}
}

// synced waits until Flux reports the last commit.
func (w *world) synced() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	began := time.Now()
	told := func(p fluxinstall.Progress) { w.t.Logf("%s: %s", time.Since(began), p.Message) }
	if err := w.cluster.WaitSynced(ctx, w.wait(), told); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("synced after %s", time.Since(began))
}

func (w *world) inspect() *fluxinstall.State {
	w.t.Helper()
	began := time.Now()
	state, err := w.cluster.Inspect(w.t.Context(), fluxinstall.InspectOptions{SystemNamespace: namespace})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("inspected in %s", time.Since(began))
	return state
}

// writes are the mutating requests of the package since mark.
func (w *world) writes(mark stack.Marker) []string {
	w.t.Helper()
	requests, err := w.stack.MutatingRequests(w.t.Context(), userAgent, mark)
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, r := range requests {
		list = append(list, strings.Join(strings.Fields(r.Verb+" "+r.Resource+" "+r.Name), " "))
	}
	slices.Sort(list)
	return list
}

func (w *world) mark() stack.Marker {
	w.t.Helper()
	mark, err := w.stack.Mark(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return mark
}

// reads one object as the stack's administrator.
func (w *world) object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	w.t.Helper()
	u := eksacontroller.Object(apiVersion, kind, namespace, name)
	if err := w.stack.Client().Get(w.t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
		w.t.Fatal(err)
	}
	return u
}

func (w *world) patch(u *unstructured.Unstructured, content string) {
	w.t.Helper()
	if err := w.stack.Client().Patch(w.t.Context(), u,
		client.RawPatch(types.MergePatchType, []byte(content))); err != nil {
		w.t.Fatal(err)
	}
}

// untilRefused asks the API server to create an object, without doing it, until it refuses.
func (w *world) untilRefused(object string) {
	w.t.Helper()
	objects, err := eksacontroller.Decode([]byte(object))
	if err != nil {
		w.t.Fatal(err)
	}
	for deadline := time.Now().Add(
		patience); w.stack.Client().Create(w.t.Context(), objects[0].DeepCopy(), client.DryRunAll) == nil; {
		if time.Now().After(deadline) {
			w.t.Fatalf("not refused: %s", object)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func gitRepository() *unstructured.Unstructured {
	return eksacontroller.Object("source.toolkit.fluxcd.io/v1", "GitRepository", namespace, namespace)
}

func kustomization() *unstructured.Unstructured {
	return eksacontroller.Object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", namespace, namespace)
}
