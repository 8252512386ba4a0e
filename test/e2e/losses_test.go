package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// The seed of the model of losses, and how many sequences it has: all of them with make reliability, a few in
// make test.
const (
	lossSeed      = 20261129
	lossSequences = 500
	lossSample    = 6
)

// lossFigures counts what was done, over all sequences.
type lossFigures struct {
	mu     sync.Mutex
	counts map[string]int
}

func (f *lossFigures) add(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[what]++
}

// losses is one sequence: a fleet whose Flux is kept from acting, whose repository is then edited as people
// do by mistake, and on which commands of ours are run. No Cluster object goes, and none comes, that the
// command line did not name.
type losses struct {
	*world
	random  *rand.Rand
	figures *lossFigures
	story   []string
	alive   map[string]string // the Cluster objects, and what each is known by
}

// TestLosses draws random edits of a fleet's repository and of its cluster, and holds after every command of
// ours: no Cluster object has gone, none has come, that the command line did not name.
func TestLosses(t *testing.T) {
	t.Parallel()
	sequences, first := lossSample, 0
	if extent := askedFor(t); !extent.sample() {
		sequences = lossSequences / extent.parts
		first = (extent.part - 1) * sequences
	}
	seed := uint64(lossSeed)
	if text := os.Getenv("EKSA_GITOPS_LOSS_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = given
	}
	figures := &lossFigures{counts: map[string]int{}}
	for n := first; n < first+sequences; n++ {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			l := &losses{world: newWorldIn(t, withDev()), random: rand.New(rand.NewPCG(seed, uint64(n))),
				figures: figures}
			l.run()
		})
	}
	t.Cleanup(func() {
		var told []string
		for _, what := range slices.Sorted(maps.Keys(figures.counts)) {
			told = append(told, fmt.Sprintf("%s %d", what, figures.counts[what]))
		}
		t.Logf("seed %d, sequences %d to %d: %s", seed, first, first+sequences-1, strings.Join(told, ", "))
	})
}

func (l *losses) tell(kind, what string) {
	l.story = append(l.story, kind+": "+what)
	l.figures.add(kind + ": " + what)
}

func (l *losses) run() {
	t := l.t
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what was done:\n%s", strings.Join(l.story, "\n"))
		}
	})
	l.env["EKSA_GITOPS_TIMEOUT"] = "15s"
	l.write("test.yaml", spec(t, "dev.yaml", "dev", "test", ".20", ".30"))
	edits := l.stopFlux()
	for range 1 + l.random.IntN(2) {
		l.edit(edits)
	}
	l.comeToRest()
	for range 2 + l.random.IntN(2) {
		l.command()
	}
}

// clusters are the Cluster objects that are not being deleted, by namespace and name.
func (l *losses) clusters() map[string]string {
	l.t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(reference(eksaGroup, "v1alpha1", "ClusterList", "", "").GroupVersionKind())
	if err := stackOf(l.t).Client().List(l.t.Context(), list); err != nil {
		l.t.Fatal(err)
	}
	all := map[string]string{}
	for _, item := range list.Items {
		if item.GetDeletionTimestamp() == nil {
			all[item.GetNamespace()+"/"+item.GetName()] = string(item.GetUID())
		}
	}
	return all
}

// check makes sure that only the named clusters have come or gone.
func (l *losses) check(after string, mayCome, mayGo []string) {
	l.t.Helper()
	now := l.clusters()
	for name, uid := range l.alive {
		if now[name] != uid && !slices.Contains(mayGo, name) {
			l.t.Fatalf("after %s, cluster %s is gone", after, name)
		}
	}
	for name, uid := range now {
		if l.alive[name] != uid && !slices.Contains(mayCome, name) {
			l.t.Fatalf("after %s, cluster %s has come", after, name)
		}
	}
	l.alive = now
}

// stopFlux keeps Flux from acting on the edits, in one of the ways in which that happens, and says which
// edits it is then kept from.
func (l *losses) stopFlux() []lossEdit {
	t := l.t
	repository := reference(sourceGroup, "v1", "GitRepository", "flux-system", "flux-system")
	cutOff := func() {
		requestReconcile(t)
		waitFor(t, repository, "Flux cannot fetch",
			func(u *unstructured.Unstructured) bool { return conditionOf(u, "Ready") == "False" })
	}
	broken := func() {
		l.push(gittest.Change{Message: "Break",
			Files: map[string]string{"clusters/mgmt/broken.yaml": "kind: [\n"}})
		stands(t)
	}
	// Commands refuse a Flux that is suspended before they look at anything else, so that the other ways have
	// more weight.
	ways := []struct {
		name   string
		weight int
		stop   func()
	}{
		{"the Kustomization is suspended", 1, func() { suspend(t, true) }},
		{"the GitRepository is suspended", 1, func() { patch(t, repository, `{"spec":{"suspend":true}}`) }},
		{"the controllers are scaled to zero", 2, l.scaleToZero},
		{pathGone, 2, func() {
			l.push(gittest.Change{Message: "Clean up", Delete: []string{"clusters/mgmt"}})
			stands(t)
		}},
		{"a file does not build", 3, broken},
		{"Flux is uninstalled by hand", 3, func() {
			l.scaleToZero()
			for _, object := range []*unstructured.Unstructured{kustomization(), repository} {
				removeNow(t, object.GroupVersionKind().Group, "v1", object.GetKind(), "flux-system",
					"flux-system")
			}
		}},
		{"the deploy key is removed", 3, func() {
			removeDeployKeys(l.world, "alice/fleet")
			cutOff()
		}},
		{"the Secret is deleted", 2, func() {
			remove(t, "", "v1", "Secret", "flux-system", "flux-system")
			cutOff()
		}},
		{"the Kustomization is being deleted", 2, func() {
			l.scaleToZero()
			// as in an installation that is not protected
			patch(t, kustomization(), `{"spec":{"deletionPolicy":"MirrorPrune"}}`)
			startDeletion(t, kustomization())
		}},
		{"Flux is an older one, and a file does not build", 1, func() {
			l.olderFlux()
			broken()
		}},
	}
	all := 0
	for _, way := range ways {
		all += way.weight
	}
	drawn := l.random.IntN(all)
	for _, way := range ways {
		if drawn -= way.weight; drawn < 0 {
			l.tell("Flux", way.name)
			way.stop()
			if way.name == pathGone {
				return nil
			}
			return lossEdits()
		}
	}
	panic("no way is drawn")
}

// pathGone is the way to stop Flux that leaves nothing to edit.
const pathGone = "the path is gone"

func (l *losses) scaleToZero() {
	for _, name := range []string{"kustomize-controller", "source-controller"} {
		scaleToZero(l.t, name)
	}
}

// lossEdit is a change of the branch, as somebody makes it by mistake.
type lossEdit struct {
	name   string
	change func(files map[string]string) gittest.Change
}

const devKustomization = "clusters/mgmt/dev/eksa-system/kustomization.yaml"

func lossEdits() []lossEdit {
	fixed := func(name string, change gittest.Change) lossEdit {
		return lossEdit{name, func(map[string]string) gittest.Change { return change }}
	}
	transformed := func(line string) string {
		return "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" +
			line + "\nresources:\n- eksa-cluster.yaml\n"
	}
	replaced := func(name, file, from, to string) lossEdit {
		return lossEdit{name, func(files map[string]string) gittest.Change {
			if !strings.Contains(files[file], from) {
				return gittest.Change{}
			}
			return gittest.Change{Files: map[string]string{file: strings.Replace(files[file], from, to, 1)}}
		}}
	}
	return []lossEdit{
		fixed("the path is removed", gittest.Change{Delete: []string{"clusters/mgmt"}}),
		fixed("dev is removed", gittest.Change{Delete: []string{"clusters/mgmt/dev"}}),
		fixed("mgmt is removed", gittest.Change{Delete: []string{"clusters/mgmt/mgmt"}}),
		fixed("Flux is removed", gittest.Change{Delete: []string{"clusters/mgmt/flux-system"}}),
		fixed("dev gets a prefix",
			gittest.Change{Files: map[string]string{devKustomization: transformed("namePrefix: prod-")}}),
		fixed("dev gets a namespace",
			gittest.Change{Files: map[string]string{devKustomization: transformed("namespace: other")}}),
		fixed("the path gets a kustomization", gittest.Change{Files: map[string]string{
			"clusters/mgmt/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\n" +
				"kind: Kustomization\nresources:\n- flux-system\n- mgmt/eksa-system\n"}}),
		fixed("the path gets a prefix", gittest.Change{Files: map[string]string{
			"clusters/mgmt/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\n" +
				"kind: Kustomization\nnamePrefix: prod-\nresources:\n- flux-system\n- mgmt/eksa-system\n" +
				"- dev/eksa-system\n"}}),
		fixed("a file does not build",
			gittest.Change{Files: map[string]string{"clusters/mgmt/mgmt/broken.yaml": "kind: [\n"}}),
		{"a cluster is added", func(files map[string]string) gittest.Change {
			from := files["clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"]
			if from == "" {
				return gittest.Change{}
			}
			return gittest.Change{Files: map[string]string{
				"clusters/mgmt/extra/eksa-system/eksa-cluster.yaml": strings.NewReplacer("dev", "extra",
					".20", ".40").Replace(from),
				"clusters/mgmt/extra/eksa-system/kustomization.yaml": transformed(""),
			}}
		}},
		{"dev's directory is renamed", func(files map[string]string) gittest.Change {
			if files[devKustomization] == "" {
				return gittest.Change{}
			}
			return gittest.Change{Delete: []string{"clusters/mgmt/dev"}, Files: map[string]string{
				"clusters/mgmt/dev2/eksa-system/eksa-cluster.yaml":  files["clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"],
				"clusters/mgmt/dev2/eksa-system/kustomization.yaml": files[devKustomization],
			}}
		}},
		replaced("dev is renamed", "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml", "  name: dev\n",
			"  name: dev3\n"),
		replaced("dev changes its namespace", "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml",
			"  namespace: default\n", "  namespace: other\n"),
		replaced("the Kustomization is renamed", syncFile, "kind: Kustomization\nmetadata:\n"+
			"  name: flux-system", "kind: Kustomization\nmetadata:\n  name: fleet"),
		replaced("the Kustomization gets a target namespace", syncFile, "  prune: true\n",
			"  prune: true\n  targetNamespace: other\n"),
		replaced("the Kustomization gets another path", syncFile, "path: ./clusters/mgmt\n",
			"path: ./clusters/other\n"),
		{"the history is replaced", func(map[string]string) gittest.Change {
			return gittest.Change{Branch: "anew", Files: map[string]string{"README.md": "fleet\n"}}
		}},
	}
}

// edit makes a random edit; without edits to choose from, none is safe.
func (l *losses) edit(edits []lossEdit) {
	if len(edits) == 0 {
		return
	}
	e := edits[l.random.IntN(len(edits))]
	change := e.change(l.files())
	if len(change.Files)+len(change.Delete) == 0 {
		return
	}
	for i := len(change.Delete) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(keys(l.files()),
			func(name string) bool { return strings.HasPrefix(name, change.Delete[i]+"/") }) {
			return
		}
	}
	l.tell("edit", e.name)
	change.Message = e.name
	anew := change.Branch != ""
	if !anew {
		change.Branch = "main"
	}
	commit := l.push(change)
	if git := l.gh.Repo("alice/fleet").Git(); anew {
		git.Git("update-ref", "refs/heads/main", commit)
		git.DeleteBranch("anew")
	}
}

// command runs a random command of ours, lets Flux do what it then does, and looks.
func (l *losses) command() {
	type command struct {
		args          []string
		mayCome, goes []string
	}
	commands := []command{
		{args: []string{"create", "cluster", "-f", "mgmt.yaml"}},
		{args: []string{"create", "cluster", "-f", "mgmt.yaml"}},
		{args: []string{"create", "cluster", "-f", "dev.yaml"}},
		{args: []string{"create", "cluster", "-f", "mgmt.yaml", "-f", "dev.yaml"}},
		{args: []string{"create", "cluster", "-f", "test.yaml"}, mayCome: []string{"default/test"}},
		{args: []string{"create", "cluster", "-f", "mgmt.yaml", "--overwrite"}},
		{args: []string{"create", "cluster", "-f", "mgmt.yaml", "--restore-missing"}},
		{args: []string{"create", "cluster", "-f", "mgmt.yaml", "--restore-missing", "--prune", "all"}},
		{args: []string{"create", "cluster", "-f", "mgmt.yaml", "--build", "extra"},
			mayCome: []string{"default/extra"}},
		{args: []string{"upgrade", "cluster", "-f", "mgmt.yaml"}},
		{args: []string{"upgrade", "cluster", "-f", "dev.yaml"}},
		{args: []string{"upgrade", "cluster", "-f", "mgmt.yaml", "-f", "dev.yaml", "--overwrite"}},
		{args: []string{"upgrade", "cluster", "-f", "mgmt.yaml", "--restore-missing"}},
		{args: []string{"upgrade", "cluster", "-f", "mgmt.yaml", "--adopt"}},
		{args: []string{"delete", "cluster", "dev", "--yes"}, goes: []string{"default/dev"}},
		{args: []string{"delete", "cluster", "dev", "--from", "git", "--yes"}, goes: []string{"default/dev"}},
		{args: []string{"status"}},
	}
	c := commands[l.random.IntN(len(commands))]
	if l.random.IntN(6) == 0 {
		c.args = append(slices.Clone(c.args), "--dry-run")
		if c.args[0] == "status" {
			c.args = []string{"get", "clusters"}
		}
		c.mayCome, c.goes = nil, nil
	}
	on, name := l.world, strings.Join(c.args, " ")
	if l.random.IntN(8) == 0 {
		on, name = l.with(l.t, map[string]string{"KUBECONFIG": ""}), name+", without a kubeconfig"
		c.mayCome, c.goes = nil, nil
		if c.args[0] == "delete" && slices.Contains(c.args, "git") {
			c.goes = []string{"default/dev"} // a person's word
		}
	}
	out := on.run(c.args...)
	l.tell("command", fmt.Sprintf("%s: exit code %d", name, out.code))
	l.story = append(l.story, out.stdout+out.stderr)
	if !slices.Contains([]int{0, 3, 4, 5}, out.code) {
		l.t.Errorf("%s ends with %d", name, out.code)
	}
	l.settle()
	l.check(name, c.mayCome, c.goes)
}

// comeToRest lets Flux do all that it would of the edits, which may undo what keeps it from acting, such as a
// file that does not build: what it does then is none of ours. It may take more than one try, as when kinds
// are new to the API server.
func (l *losses) comeToRest() {
	const most = 5
	before := ""
	for range most {
		l.settle()
		l.alive = l.clusters()
		ks, _ := exists(l.t, kustomizeGroup, "v1", "Kustomization", "flux-system", "flux-system")
		applied, _, _ := unstructured.NestedString(ks.Object, "status", "lastAppliedRevision")
		now := fmt.Sprint(l.alive, conditionOf(ks, "Ready"), applied)
		if now == before {
			return
		}
		before = now
	}
}

// settle lets Flux do what it would, as far as it runs.
func (l *losses) settle() {
	t := l.t
	t.Helper()
	ks, there := exists(t, kustomizeGroup, "v1", "Kustomization", "flux-system", "flux-system")
	deleting := there && ks.GetDeletionTimestamp() != nil
	if suspended, _, _ := unstructured.NestedBool(ks.Object, "spec", "suspend"); !there || suspended {
		return
	}
	for _, name := range []string{"source-controller", "kustomize-controller"} {
		u, there := exists(t, "apps", "v1", "Deployment", "flux-system", name)
		if replicas, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas"); !there || replicas == 0 {
			return
		}
	}
	if deleting {
		waitGone(t, ks) // its finalizer has done what it does
		return
	}
	git, there := exists(t, sourceGroup, "v1", "GitRepository", "flux-system", "flux-system")
	for _, object := range []*unstructured.Unstructured{git, ks} {
		if suspended, _, _ := unstructured.NestedBool(object.Object, "spec", "suspend"); !there || suspended {
			return
		}
		request := time.Now().Format(time.RFC3339Nano)
		patch(t,
			reference(object.GroupVersionKind().Group, "v1", object.GetKind(), "flux-system", "flux-system"),
			fmt.Sprintf(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`, request))
		waitFor(t,
			reference(object.GroupVersionKind().Group, "v1", object.GetKind(), "flux-system", "flux-system"),
			"Flux has looked at "+object.GetKind(), func(u *unstructured.Unstructured) bool {
				handled, _, _ := unstructured.NestedString(u.Object, "status", "lastHandledReconcileAt")
				return handled == request
			})
	}
}
