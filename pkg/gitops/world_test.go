package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// errFault is what a call fails with when a test says so.
var errFault = errors.New("the connection broke")

// world is everything outside the program, in memory: a Git host with one repository, a management cluster,
// and a Flux that applies what is in the repository. Its zero value is of no use; see newWorld.
type world struct {
	mu sync.Mutex

	// The host. Without one the repository is on a generic Git server.
	noHost         bool
	exists         bool
	keys           []github.DeployKey
	lastKey        int64
	hostKey        string
	accessFindings []github.Finding
	unseen         []github.Unseen
	created        time.Time // when the repository was, as the host says
	viewer         github.Viewer
	accessErr      error
	hostKeysErr    error
	keyErr         error // what the host says to a new deploy key
	openHostErr    error
	// every name of the repository, as owner/name, and the present one; nil: any name is the present one
	names     map[string]string
	branchNow string // where the host leads from the name of a branch that is not there

	// The repository.
	branches    map[string]*tip
	standard    string            // the default branch; main when empty
	seed        map[string]string // what a new repository holds
	openRepoErr error
	fetchErr    error
	tooLarge    error // what walking the repository fails with
	// what the server says to the question whether these credentials may push
	denyPush error
	onFetch  func() error // decides on a fetch before fetchErr does
	onPush   func() error // decides on a push instead of the server
	// the server's history is cut off: nobody can say what it lacks
	shallow     bool
	races       []func(files map[string]string) // each is pushed by somebody else just before our next push
	raceForever bool

	// The cluster.
	state          fluxinstall.State
	namespace      bool
	record         *fluxinstall.AdoptionState // of a take-over
	rolled         fluxinstall.Rollover       // what WaitRolledOver was told
	rollErr        error                      // what it says
	private        bool                       // the source Secret is there
	publicKey      string
	unreadable     string // why the key in the source Secret cannot be read
	knownHosts     []byte
	components     string
	sync           string
	openClusterErr error
	inspectErr     error
	lacking        map[fluxinstall.Purpose]string // the namespaces in which the user lacks rights for it
	notReady       map[string]error
	syncErr        error
	versions       storedVersions
	running        map[string]string // the images of the pods, in place of those that they should have
	held           map[string]string // clusters whose finalizer does not go, and what WaitGone says
	stopped        bool              // Flux's controllers have no pods
	resources      fluxinstall.FluxResources
	gitOpsErr      error // what RemoveGitOps says
	// WaitSynced asks about the old revision before Flux looks at the repository
	slowFlux  bool
	afterPush func(w *world) // what others do between our push and Flux's look at the repository

	// gitOpsRef of clusters that Flux is held off
	refs map[string]any
	// those whose deletion the provisioner has recorded
	deleted map[string]bool
	// those that the provisioner keeps
	kubeconfigs map[string]bool
	// those of EKS Anywhere
	objects map[fluxinstall.ObjectName]map[string]any
	// of objects that Flux leaves alone
	pauses map[fluxinstall.ObjectName][]fluxinstall.Pause
	// decides on a dry run
	refuse    func(v fluxinstall.Verdict, object map[string]any) fluxinstall.Verdict
	dryRunErr error
	asked     int // how often

	local    map[string]string
	readOnly error                // why local files cannot be written
	edited   map[string]string    // what somebody has made of files that the run has read
	updated  []clusterspec.Source // the user's files that were brought up to date

	// What was written.
	calls   []string // every call of a writing method, in order
	effects []string // those that changed something
	waits   []string
	fetches int

	failBefore, failAfter int    // the number of the writing call that fails, from 1
	failCall              string // the first of these calls fails
	panics                bool   // it is a panic then, and no error
	faulty                bool   // whether it did
	// told before every writing and every waiting call
	onCall func(ctx context.Context, call string)
}

// tip is a branch.
type tip struct {
	head    string
	files   map[string]string
	history []past // the newest last
}

// past is one commit of a branch.
type past struct {
	hash, message, author string
	files                 map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	pair, err := sshkeys.Generate("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		hostKey:  pair.AuthorizedKey,
		branches: map[string]*tip{},
		local:    map[string]string{},
		objects:  map[fluxinstall.ObjectName]map[string]any{},
		pauses:   map[fluxinstall.ObjectName][]fluxinstall.Pause{},
		held:     map[string]string{},
		refs:     map[string]any{},

		kubeconfigs: map[string]bool{}, deleted: map[string]bool{},
		notReady: map[string]error{},
		state: fluxinstall.State{
			Server: "https://127.0.0.1:6443", Origin: "KUBECONFIG", EKSAInstalled: true,
			Clusters: []fluxinstall.ClusterInfo{{Namespace: "default", Name: "dev", ManagementCluster: "dev",
				Ready: true}},
		},
	}
}

// smallComponents stands for Flux's installation, of which the real one is large. A later version than ours
// is kept as it is in Git.
const smallComponents = `apiVersion: v1
kind: Namespace
metadata:
  name: flux-system
  labels:
    app.kubernetes.io/part-of: flux
    app.kubernetes.io/version: v99.1.0
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: source-controller
  namespace: flux-system
  labels:
    app.kubernetes.io/part-of: flux
    app.kubernetes.io/version: v99.1.0
spec:
  template:
    spec:
      containers:
      - name: manager
        image: ghcr.io/fluxcd/source-controller:v99.1.0
`

const componentsPath = "clusters/dev/flux-system/gotk-components.yaml"

// newSmallWorld is a world with a repository that holds a small Flux already. Tests that are not about Flux's
// files are quicker with it.
func newSmallWorld(t *testing.T, provider string) *world {
	t.Helper()
	w := newWorld(t)
	w.noHost, w.exists = provider == onGit, provider != onGit
	w.seed = map[string]string{componentsPath: smallComponents, "README.md": "somebody's"}
	w.commitSeed()
	return w
}

// ports are the ways into the world.
func (w *world) ports(report step.Reporter) gitops.Ports {
	ports := gitops.Ports{
		OpenRepository: func(context.Context) (gitops.Repository, error) {
			return repository{w}, w.openRepoErr
		},
		OpenCluster: func(context.Context) (gitops.Cluster, error) { return cluster{w}, w.openClusterErr },
		Report:      report,
		Local:       localFiles{w},
	}
	if !w.noHost {
		ports.OpenHost = func(context.Context) (gitops.Host, error) { return host{w}, w.openHostErr }
	}
	return ports
}

// write is one call of a writing method. The effect says whether it changed anything.
func (w *world) write(ctx context.Context, call string, effect func() (bool, error)) (bool, error) {
	if w.onCall != nil {
		w.onCall(ctx, call)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	w.calls = append(w.calls, call)
	if len(w.calls) == w.failBefore || call == w.failCall && !w.faulty {
		return false, w.fault()
	}
	changed, err := effect()
	if err != nil {
		return false, err
	}
	if changed {
		w.effects = append(w.effects, call)
	}
	if len(w.calls) == w.failAfter {
		return false, w.fault()
	}
	return changed, nil
}

// fault is how a call fails.
func (w *world) fault() error {
	w.faulty = true
	if w.panics {
		panic(errFault)
	}
	return errFault
}

// forget starts a new count of calls, without faults.
func (w *world) forget() {
	w.calls, w.effects, w.waits, w.fetches = nil, nil, nil, 0
	w.failBefore, w.failAfter, w.failCall, w.faulty = 0, 0, "", false
}

// localFiles are the files of the person who runs the program.
type localFiles struct{ *world }

func (w localFiles) CheckCopy(string, []byte) error { return w.readOnly }

func (w localFiles) SaveCopy(name string, content []byte,
	written func([]byte) bool) (gitops.LocalCopy, error) {
	file := name + "/" + name + "-eks-a-cluster.yaml"
	saved := gitops.LocalCopy{Path: file}
	_, err := w.write(context.Background(), "SaveLocal "+name, func() (bool, error) {
		there, ok := w.local[file]
		if ok && there != string(content) && !written([]byte(there)) {
			saved = gitops.LocalCopy{Path: file + ".beside", Kept: file}
		}
		changed := w.local[saved.Path] != string(content)
		w.local[saved.Path] = string(content)
		return changed, nil
	})
	return saved, err
}

func (w localFiles) CheckUpdate(string) error { return w.readOnly }

func (w localFiles) Update(file clusterspec.Source, was []byte) (bool, error) {
	if edited, ok := w.edited[file.Name]; ok && edited != string(was) {
		return false, nil
	}
	w.updated = append(w.updated, file)
	return true, nil
}

// brokenFiles cannot be written.
type brokenFiles struct {
	localFiles
	err error
}

func (b brokenFiles) SaveCopy(string, []byte, func([]byte) bool) (gitops.LocalCopy, error) {
	return gitops.LocalCopy{}, b.err
}

// describe is all that lasts, without what differs from run to run: hashes and generated keys.
func (w *world) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "repository %v\n", w.exists)
	for _, key := range w.keys {
		fmt.Fprintf(&b, "deploy key %q read-only %v, of the Secret %v\n", key.Title, key.ReadOnly,
			key.SameMaterial(w.publicKey))
	}
	for _, branch := range slices.Sorted(maps.Keys(w.branches)) {
		files := w.branches[branch].files
		for _, file := range slices.Sorted(maps.Keys(files)) {
			fmt.Fprintf(&b, "%s:%s\n%s\n", branch, file, files[file])
		}
		fmt.Fprintf(&b, "%s applied %v\n", branch, w.state.Applied(branch, w.branches[branch].head))
	}
	for _, file := range slices.Sorted(maps.Keys(w.local)) {
		fmt.Fprintf(&b, "local %s\n%s\n", file, w.local[file])
	}
	fmt.Fprintf(&b, "namespace %v, Secret %v\ncomponents\n%s\nsync\n%s\nclusters %v\n", w.namespace,
		w.private, w.components, w.sync, w.state.Clusters)
	return b.String()
}

// tip is the branch's, made when it is not there.
func (w *world) tip(branch string) *tip {
	if w.branches[branch] == nil {
		w.branches[branch] = &tip{files: map[string]string{}}
	}
	return w.branches[branch]
}

// commitOther is a commit by somebody else.
func (w *world) commitOther(branch string, edit func(files map[string]string)) {
	at := w.tip(branch)
	edit(at.files)
	at.head = hash(at.head + fmt.Sprint(at.files))
	at.history = append(at.history,
		past{hash: at.head, message: "Change something", author: "Alice", files: maps.Clone(at.files)})
}

// commitSeed fills a new repository.
func (w *world) commitSeed() {
	if len(w.seed) > 0 {
		w.commitOther("main", func(files map[string]string) { maps.Copy(files, w.seed) })
	}
}

// hash makes the name of a commit out of a text.
func hash(text string) string {
	commit, err := new(gitrepo.Snapshot).Commit([]git.Edit{{Path: "text", Content: []byte(text)}},
		git.CommitOptions{})
	if err != nil {
		panic(err)
	}
	return commit.Hash()
}

// flux does what the controllers do in one round: fetch, apply, and create the clusters.
func (w *world) flux() {
	source, apply := w.state.Flux.GitRepository, w.state.Flux.Kustomization
	if source == nil || apply == nil || w.components == "" || !w.private || source.Suspended ||
		apply.Suspended || w.stopped {
		return
	}
	if !w.noHost &&
		!slices.ContainsFunc(w.keys, func(k github.DeployKey) bool { return k.SameMaterial(w.publicKey) }) {
		return
	}
	at := w.branches[source.Branch]
	if at == nil {
		return
	}
	revision := fluxinstall.Revision(source.Branch, at.head)
	source.Revision, source.Ready, apply.AppliedRevision, apply.Ready = revision, true, revision, true
	apply.Prune = w.state.Flux.Adoption == nil
	root := strings.TrimPrefix(apply.Path, "./")
	before := apply.Inventory
	apply.Inventory = nil
	for _, file := range slices.Sorted(maps.Keys(at.files)) {
		if strings.HasPrefix(file, root+"/") && path.Base(file) == "eksa-cluster.yaml" {
			w.createCluster(at.files[file])
			if strings.Contains(at.files[path.Join(path.Dir(file), layout.KustomizationFile)],
				layout.ProtectionMark) {
				w.keep(at.files[file])
			}
		}
	}
	for i, c := range w.state.Clusters {
		if apply.Prune && c.Held == nil && !c.KeptByFlux && slices.Contains(before, inventoryID(c)) &&
			!slices.Contains(apply.Inventory, inventoryID(c)) {
			w.state.Clusters[i].Deleting = true
		}
	}
	w.eksa()
}

func inventoryID(c fluxinstall.ClusterInfo) string {
	return c.Namespace + "_" + c.Name + "_anywhere.eks.amazonaws.com_Cluster"
}

// keep marks the objects of a file as not to be deleted by Flux, as the kustomization beside it says.
func (w *world) keep(spec string) {
	for object, fields := range w.objects {
		if !strings.Contains(spec, "kind: "+object.Kind+"\nmetadata:\n  name: "+object.Name+"\n") {
			continue
		}
		fields = maps.Clone(fields)
		metadata, _ := fields["metadata"].(map[string]any)
		metadata = maps.Clone(metadata)
		annotations, _ := metadata["annotations"].(map[string]any)
		annotations = maps.Clone(annotations)
		if annotations == nil {
			annotations = map[string]any{}
		}
		annotations["kustomize.toolkit.fluxcd.io/prune"] = "disabled"
		metadata["annotations"], fields["metadata"] = annotations, metadata
		w.objects[object] = fields
		for i, c := range w.state.Clusters {
			w.state.Clusters[i].KeptByFlux = c.KeptByFlux || object.Kind == "Cluster" && object.Name == c.Name
		}
	}
}

// eksa does what EKS Anywhere's controller does: it ends the clusters that are being deleted.
func (w *world) eksa() {
	w.state.Clusters = slices.DeleteFunc(w.state.Clusters, func(c fluxinstall.ClusterInfo) bool {
		return c.Deleting && w.held[c.Name] == ""
	})
}

// applyObjects puts the objects of a file into the cluster, but for those that Flux is told to leave alone.
func (w *world) applyObjects(spec string) {
	for document := range strings.SplitSeq(spec, "\n---\n") {
		var fields map[string]any
		if yaml.Unmarshal([]byte(document), &fields) != nil || fields == nil {
			continue
		}
		metadata, _ := fields["metadata"].(map[string]any)
		kind, _ := fields["kind"].(string)
		name, _ := metadata["name"].(string)
		object := fluxinstall.ObjectName{Kind: kind, Namespace: "default", Name: name}
		if len(w.pauses[object]) == 0 {
			w.objects[object] = fields
		}
	}
}

func (w *world) createCluster(spec string) {
	w.applyObjects(spec)
	for document := range strings.SplitSeq(spec, "\n---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Spec     struct {
				ManagementCluster struct{ Name string }
				GitOpsRef         struct{ Kind, Name string }
			}
		}
		if yaml.Unmarshal([]byte(document), &object) != nil || object.Kind != "Cluster" {
			continue
		}
		management := object.Spec.ManagementCluster.Name
		if management == "" {
			management = object.Metadata.Name
		}
		if !w.state.HasCluster(object.Metadata.Namespace, object.Metadata.Name) {
			w.state.Clusters = append(w.state.Clusters, fluxinstall.ClusterInfo{
				Namespace: object.Metadata.Namespace, Name: object.Metadata.Name,
				ManagementCluster: management, Ready: true,
			})
		}
		for i, c := range w.state.Clusters {
			if c.Namespace == object.Metadata.Namespace && c.Name == object.Metadata.Name {
				c.GitOpsKind, c.GitOpsName, c.AppliedBy = object.Spec.GitOpsRef.Kind,
					object.Spec.GitOpsRef.Name, "flux-system/flux-system"
				w.state.Clusters[i] = c
				w.state.Flux.Kustomization.Inventory = append(w.state.Flux.Kustomization.Inventory,
					inventoryID(c))
			}
		}
	}
}
