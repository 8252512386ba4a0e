package e2e_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// scene is what a world looks like when a test begins. It is prepared once on each stack and brought back for
// each further test, which is quicker, and to the test the same: the programs that run are new ones, and
// everything that lasts is as it was, on both sides.
type scene struct {
	name string
	// on a world in which the management cluster of mgmt.yaml is up, as eksctl anywhere leaves it
	prepare func(*world)
}

// managed is the scene in which mgmt is managed through Git.
func managed() scene {
	return scene{"managed", func(w *world) { w.run("create", "cluster", "-f", "mgmt.yaml").exits(0) }}
}

// withDev is the scene in which mgmt is managed through Git and has the workload cluster dev.
func withDev() scene {
	return scene{"with dev", func(w *world) {
		managed().prepare(w)
		w.run("create", "cluster", "-f", "dev.yaml").exits(0)
	}}
}

// prepared is a scene on one stack.
type prepared struct {
	cluster *stack.State
	gh      *githubtest.Server
	github  *githubtest.State
	token   string
	dir     string // a copy of the working directory
	synced  bool   // Flux's Kustomization is there
}

// scenes are all that have been prepared, by stack and name.
type scenes struct {
	mu     sync.Mutex
	byName map[*stack.Stack]map[string]*prepared
}

func (s *scenes) get(on *stack.Stack, name string) *prepared {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[on][name]
}

func (s *scenes) put(on *stack.Stack, name string, p *prepared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName = map[*stack.Stack]map[string]*prepared{}
	}
	if s.byName[on] == nil {
		s.byName[on] = map[string]*prepared{}
	}
	s.byName[on][name] = p
}

// close ends the servers that the scenes were prepared with.
func (s *scenes) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, named := range s.byName {
		for _, p := range named {
			errs = append(errs, p.gh.Close(), os.RemoveAll(p.dir))
		}
	}
	return errors.Join(errs...)
}

// bring puts a stack, and the GitHub that belongs to it, into the scene, or, when that was not prepared yet,
// makes the stack fresh.
func (s *scenes) bring(name string) func(*stack.Stack, context.Context) error {
	return func(on *stack.Stack, ctx context.Context) error {
		p := s.get(on, name)
		if p == nil {
			return on.Reset(ctx)
		}
		// First GitHub: Flux must not see another one than it knows when it comes back.
		if err := p.gh.Restore(p.github); err != nil {
			return err
		}
		return on.Restore(ctx, p.cluster)
	}
}

// newWorldIn is newWorld with a scene prepared.
func newWorldIn(t testing.TB, s scene) *world {
	t.Helper()
	if test, ok := t.(*testing.T); ok {
		test.Parallel()
	}
	return newSerialWorldIn(t, s)
}

func newSerialWorldIn(t testing.TB, s scene) *world {
	t.Helper()
	on := takeStack(t, suite.scenes.bring(s.name))
	p := suite.scenes.get(on, s.name)
	if p == nil {
		p = prepare(t, on, s)
		if err := suite.scenes.bring(s.name)(on, t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.gh.Lend(t)
	w := worldOn(t, on, p.gh, p.token)
	if err := errors.Join(os.RemoveAll(w.dir), os.CopyFS(w.dir, os.DirFS(p.dir))); err != nil {
		t.Fatal(err)
	}
	if p.synced {
		// Flux looks at everything once when it starts.
		before := on.RestoredAt()
		waitFor(t, kustomization(), "Flux has looked", func(u *unstructured.Unstructured) bool {
			version, err := strconv.ParseInt(u.GetResourceVersion(), 10, 64)
			return err == nil && version > before && fluxReady(u) && conditionOf(u, "Reconciling") == ""
		})
	}
	return w
}

// prepare makes the scene on a stack and keeps it.
func prepare(t testing.TB, on *stack.Stack, s scene) *prepared {
	t.Helper()
	gh, err := githubtest.New(context.WithoutCancel(t.Context()), githubtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &prepared{gh: gh}
	done := false
	t.Cleanup(func() {
		if !done {
			gh.Close() // the test has failed already
		}
	})
	gh.AddUser("alice")
	p.token = gh.AddClassicToken("alice", "repo")
	w := worldOn(t, on, gh, p.token)
	s.prepare(w)
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kustomization().GroupVersionKind())
	if err := on.Client().List(t.Context(), list); err == nil && len(list.Items) > 0 {
		p.synced = true
	}
	if p.cluster, err = on.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.github, err = gh.Save(); err != nil {
		t.Fatal(err)
	}
	if p.dir, err = os.MkdirTemp("", "eksa-gitops-scene-"); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(p.dir, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	suite.scenes.put(on, s.name, p)
	done = true
	return p
}

func kustomization() *unstructured.Unstructured {
	return reference("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "flux-system", "flux-system")
}

// conditionOf is the status of a condition, empty when there is none.
func conditionOf(u *unstructured.Unstructured, kind string) string {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok && condition["type"] == kind {
			status, _ := condition["status"].(string)
			return status
		}
	}
	return ""
}
