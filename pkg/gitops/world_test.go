package gitops_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// errFault is what a call fails with when a test says so.
var errFault = errors.New("the connection broke")

// world is everything outside the program, in memory: a Git host with one repository, a management cluster, and a Flux that applies
// what is in the repository. Its zero value is of no use; see newWorld.
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
	names          map[string]string // every name of the repository, as owner/name, and the present one; nil: any name is the present one
	branchNow      string            // where the host leads from the name of a branch that is not there

	// The repository.
	branches    map[string]*tip
	standard    string            // the default branch; main when empty
	seed        map[string]string // what a new repository holds
	openRepoErr error
	fetchErr    error
	tooLarge    error                           // what walking the repository fails with
	denyPush    error                           // what the server says to the question whether these credentials may push
	onFetch     func() error                    // decides on a fetch before fetchErr does
	onPush      func() error                    // decides on a push instead of the server
	shallow     bool                            // the server's history is cut off: nobody can say what it lacks
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
	notReady       map[string]error
	syncErr        error
	versions       storedVersions
	running        map[string]string // the images of the pods, in place of those that they should have
	held           map[string]string // clusters whose finalizer does not go, and what WaitGone says
	stopped        bool              // Flux's controllers have no pods
	resources      fluxinstall.FluxResources
	gitOpsErr      error          // what RemoveGitOps says
	slowFlux       bool           // WaitSynced asks about the old revision before Flux looks at the repository
	afterPush      func(w *world) // what others do between our push and Flux's look at the repository

	refs        map[string]any                                                         // gitOpsRef of clusters that Flux is held off
	deleted     map[string]bool                                                        // those whose deletion the provisioner has recorded
	kubeconfigs map[string]bool                                                        // those that the provisioner keeps
	objects     map[fluxinstall.ObjectName]map[string]any                              // those of EKS Anywhere
	pauses      map[fluxinstall.ObjectName][]fluxinstall.Pause                         // of objects that Flux leaves alone
	refuse      func(v fluxinstall.Verdict, object map[string]any) fluxinstall.Verdict // decides on a dry run
	dryRunErr   error

	local    map[string]string
	readOnly error                // why local files cannot be written
	edited   map[string]string    // what somebody has made of files that the run has read
	updated  []clusterspec.Source // the user's files that were brought up to date

	// What was written.
	calls   []string // every call of a writing method, in order
	effects []string // those that changed something
	waits   []string
	fetches int

	failBefore, failAfter int                                    // the number of the writing call that fails, from 1
	panics                bool                                   // it is a panic then, and no error
	faulty                bool                                   // whether it did
	onCall                func(ctx context.Context, call string) // told before every writing and every waiting call
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
			Clusters: []fluxinstall.ClusterInfo{{Namespace: "default", Name: "dev", ManagementCluster: "dev", Ready: true}},
		},
	}
}

// smallComponents stands for Flux's installation, of which the real one is large. A later version than ours is kept as it is in Git.
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

// newSmallWorld is a world with a repository, once it is created, that holds a small Flux already. Tests that are not about Flux's
// files are quicker with it.
func newSmallWorld(t *testing.T, provider string) *world {
	t.Helper()
	w := newWorld(t)
	w.noHost = provider == onGit
	w.seed = map[string]string{componentsPath: smallComponents, "README.md": "somebody's"}
	if w.noHost {
		w.commitSeed()
	}
	return w
}

// ports are the ways into the world.
func (w *world) ports(report gitops.Reporter) gitops.Ports {
	ports := gitops.Ports{
		OpenRepository: func(context.Context) (gitops.Repository, error) { return repository{w}, w.openRepoErr },
		OpenCluster:    func(context.Context) (gitops.Cluster, error) { return cluster{w}, w.openClusterErr },
		Report:         report,
		Local:          localFiles{w},
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
	if err := ctx.Err(); err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
	if len(w.calls) == w.failBefore {
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
	w.failBefore, w.failAfter, w.faulty = 0, 0, false
}

// localFiles are the files of the person who runs the program.
type localFiles struct{ *world }

func (w localFiles) CheckCopy(string, []byte) error { return w.readOnly }

func (w localFiles) SaveCopy(name string, content []byte, written func([]byte) bool) (gitops.LocalCopy, error) {
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
		fmt.Fprintf(&b, "deploy key %q read-only %v, of the Secret %v\n", key.Title, key.ReadOnly, key.SameMaterial(w.publicKey))
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
	fmt.Fprintf(&b, "namespace %v, Secret %v\ncomponents\n%s\nsync\n%s\nclusters %v\n", w.namespace, w.private, w.components, w.sync, w.state.Clusters)
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
	at.history = append(at.history, past{hash: at.head, message: "Change something", author: "Alice", files: maps.Clone(at.files)})
}

// commitSeed fills a new repository.
func (w *world) commitSeed() {
	if len(w.seed) > 0 {
		w.commitOther("main", func(files map[string]string) { maps.Copy(files, w.seed) })
	}
}

// hash makes the name of a commit out of a text.
func hash(text string) string {
	commit, err := new(gitrepo.Snapshot).Commit([]gitrepo.Edit{{Path: "text", Content: []byte(text)}}, gitrepo.CommitOptions{})
	if err != nil {
		panic(err)
	}
	return commit.Hash()
}

// flux does what the controllers do in one round: fetch, apply, and create the clusters.
func (w *world) flux() {
	source, apply := w.state.Flux.GitRepository, w.state.Flux.Kustomization
	if source == nil || apply == nil || w.components == "" || !w.private || source.Suspended || apply.Suspended || w.stopped {
		return
	}
	if !w.noHost && !slices.ContainsFunc(w.keys, func(k github.DeployKey) bool { return k.SameMaterial(w.publicKey) }) {
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
			if strings.Contains(at.files[path.Join(path.Dir(file), layout.KustomizationFile)], layout.ProtectionMark) {
				w.keep(at.files[file])
			}
		}
	}
	for i, c := range w.state.Clusters {
		if apply.Prune && c.Held == nil && !c.KeptByFlux && slices.Contains(before, inventoryID(c)) && !slices.Contains(apply.Inventory, inventoryID(c)) {
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
	w.state.Clusters = slices.DeleteFunc(w.state.Clusters, func(c fluxinstall.ClusterInfo) bool { return c.Deleting && w.held[c.Name] == "" })
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
				Namespace: object.Metadata.Namespace, Name: object.Metadata.Name, ManagementCluster: management, Ready: true,
			})
		}
		for i, c := range w.state.Clusters {
			if c.Namespace == object.Metadata.Namespace && c.Name == object.Metadata.Name {
				c.GitOpsKind, c.GitOpsName, c.AppliedBy = object.Spec.GitOpsRef.Kind, object.Spec.GitOpsRef.Name, "flux-system/flux-system"
				w.state.Clusters[i] = c
				w.state.Flux.Kustomization.Inventory = append(w.state.Flux.Kustomization.Inventory, inventoryID(c))
			}
		}
	}
}

// host is the world's Git host.
type host struct{ *world }

func (h host) CheckAccess(ctx context.Context, request github.AccessRequest) (*github.Access, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.accessErr != nil {
		return nil, h.accessErr
	}
	access := &github.Access{Viewer: h.viewer, Findings: h.accessFindings, Unseen: h.unseen}
	if h.exists {
		access.Repository = &github.Repository{Ref: h.present(request.Ref), Private: true, Created: h.created}
		access.DeployKeys = slices.Clone(h.keys)
	}
	return access, ctx.Err()
}

// present is the name that a repository has now, none when there is no such repository.
func (w *world) present(name github.RepoRef) github.RepoRef {
	if w.names == nil {
		return name
	}
	owner, now, _ := strings.Cut(w.names[strings.ToLower(name.String())], "/")
	return github.RepoRef{Owner: owner, Name: now}
}

func (h host) Repository(_ context.Context, name github.RepoRef) (*github.Repository, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.present(name)
	if !h.exists || now.Name == "" {
		return nil, fmt.Errorf("reading repository %s: %w", name, github.ErrNotFound)
	}
	return &github.Repository{Ref: now, URL: "https://git.example.com/" + now.String(), Private: true}, nil
}

func (h host) BranchName(_ context.Context, _ github.RepoRef, branch string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.branches[branch] != nil {
		return branch, nil
	}
	return h.branchNow, nil
}

func (h host) EnsureRepository(ctx context.Context, wanted github.NewRepository) (*github.Repository, bool, error) {
	created, err := h.write(ctx, "EnsureRepository "+wanted.Ref.String(), func() (bool, error) {
		if h.exists {
			return false, nil
		}
		h.exists = true
		h.commitSeed()
		return true, nil
	})
	return &github.Repository{Ref: wanted.Ref, Private: wanted.Private}, created, err
}

func (h host) EnsureDeployKey(ctx context.Context, _ github.RepoRef, key github.DeployKey) (bool, error) {
	return h.write(ctx, "EnsureDeployKey "+key.Title, func() (bool, error) {
		for _, have := range h.keys {
			if have.SameMaterial(key.PublicKey) && have.ReadOnly == key.ReadOnly {
				return false, nil
			}
		}
		if h.keyErr != nil {
			return false, h.keyErr
		}
		h.lastKey++
		key.ID = h.lastKey
		h.keys = append(h.keys, key)
		return true, nil
	})
}

func (h host) DeployKeys(context.Context, github.RepoRef) ([]github.DeployKey, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.keys), nil
}

func (h host) DeleteDeployKey(ctx context.Context, _ github.RepoRef, id int64) error {
	_, err := h.write(ctx, "DeleteDeployKey", func() (bool, error) {
		before := len(h.keys)
		h.keys = slices.DeleteFunc(h.keys, func(k github.DeployKey) bool { return k.ID == id })
		return len(h.keys) < before, nil
	})
	return err
}

func (h host) HostKeys(context.Context) ([]string, error) { return []string{h.hostKey}, h.hostKeysErr }

// repository is the world's repository.
type repository struct{ *world }

func (r repository) Fetch(ctx context.Context, branch string) (gitops.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetches++
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.onFetch != nil {
		if err := r.onFetch(); err != nil {
			return nil, err
		}
	}
	if r.fetchErr != nil {
		return nil, r.fetchErr
	}
	if !r.noHost && !r.exists {
		return nil, &gitrepo.NotFoundError{Remote: "https://git.example.com/octo/fleet.git"}
	}
	s := &snapshot{world: r.world, branch: branch, state: gitrepo.RepositoryEmpty, files: map[string]string{}, made: map[*gitrepo.Commit][]gitrepo.Edit{}, messages: map[*gitrepo.Commit]string{}}
	if len(r.branches) > 0 {
		s.state = gitrepo.BranchMissing
		if at := r.branches[s.DefaultBranch()]; at != nil {
			s.history = slices.Clone(at.history)
		}
	}
	if at := r.branches[branch]; at != nil {
		s.state, s.head, s.files, s.history = gitrepo.BranchExists, at.head, maps.Clone(at.files), slices.Clone(at.history)
	}
	return s, nil
}

// snapshot is a branch as it was when it was fetched.
type snapshot struct {
	world  *world
	branch string
	state  gitrepo.BranchState
	head   string
	files  map[string]string
	made   map[*gitrepo.Commit][]gitrepo.Edit

	messages map[*gitrepo.Commit]string
	history  []past
}

func (s *snapshot) State() gitrepo.BranchState { return s.state }
func (s *snapshot) DefaultBranch() string      { return cmp.Or(s.world.standard, "main") }
func (s *snapshot) Head() string               { return s.head }
func (s *snapshot) HostKey() string            { return s.world.hostKey }
func (s *snapshot) Close()                     {}

func (s *snapshot) CheckPush(context.Context) error { return s.world.denyPush }

func (s *snapshot) Lookup(file string) (gitrepo.Entry, bool, error) {
	_, there := s.files[file]
	return gitrepo.Entry{Name: path.Base(file), Path: file, Mode: gitrepo.File}, there, nil
}

func (s *snapshot) List(dir string) ([]gitrepo.Entry, error) {
	seen := map[string]gitrepo.Entry{}
	for file := range s.files {
		rest, below := strings.CutPrefix("/"+file, path.Join("/", dir)+"/")
		if !below {
			continue
		}
		name, _, isDir := strings.Cut(rest, "/")
		entry := gitrepo.Entry{Name: name, Path: path.Join(dir, name), Mode: gitrepo.File}
		if isDir {
			entry.Mode = gitrepo.Dir
		}
		seen[name] = entry
	}
	var entries []gitrepo.Entry
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		entries = append(entries, seen[name])
	}
	return entries, nil
}

func (s *snapshot) CheckSize(context.Context, string) error { return s.world.tooLarge }

func (s *snapshot) Walk(_ context.Context, dir string, visit func(gitrepo.Entry) error) error {
	if s.world.tooLarge != nil {
		return s.world.tooLarge
	}
	for _, file := range slices.Sorted(maps.Keys(s.files)) {
		if _, below := strings.CutPrefix("/"+file, strings.TrimSuffix(path.Join("/", dir), "/")+"/"); !below {
			continue
		}
		if err := visit(gitrepo.Entry{Name: path.Base(file), Path: file, Mode: gitrepo.File}); err != nil {
			if errors.Is(err, fs.SkipAll) {
				return nil
			}
			return err
		}
	}
	return nil
}

func (s *snapshot) Tip() *gitrepo.CommitInfo {
	if s.head == "" {
		return nil
	}
	return &gitrepo.CommitInfo{Hash: s.head, Author: gitrepo.Identity{Name: "Alice"}, Subject: "Change something"}
}

func (s *snapshot) Behind(_ context.Context, commit string, _ int) (int, bool, error) {
	lacks, err := s.Lacks(context.Background(), commit)
	return 0, !lacks && err == nil, err
}

func (s *snapshot) Lacks(_ context.Context, commit string) (bool, error) {
	return !s.world.shallow && commit != s.head && !slices.ContainsFunc(s.history, func(p past) bool { return p.hash == commit }), nil
}

func (s *snapshot) Holds(file string, content []byte) (bool, error) {
	have, there := s.files[file]
	return there && have == string(content), nil
}

func (s *snapshot) ReadAll(_ context.Context, paths []string) (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, file := range paths {
		all[file] = []byte(s.files[file])
	}
	return all, nil
}

func (s *snapshot) EachRevision(_ context.Context, file string, visit func(gitrepo.Revision) bool) error {
	for i, commit := range slices.Backward(s.history) {
		before := map[string]string{}
		if i > 0 {
			before = s.history[i-1].files
		}
		content, there := commit.files[file]
		if old, was := before[file]; was == there && old == content {
			continue
		}
		r := gitrepo.Revision{Commit: commit.hash, Author: commit.author, Message: commit.message, Deleted: !there}
		if there {
			r.BlobID = gitrepo.BlobID([]byte(content))
		}
		for line := range strings.Lines(commit.message) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
				r.Trailers = append(r.Trailers, gitrepo.Trailer{Key: key, Value: value})
			}
		}
		if !visit(r) {
			return nil
		}
	}
	return nil
}

func (s *snapshot) ReadAt(_ context.Context, commit, file string) ([]byte, error) {
	for _, c := range s.history {
		if c.hash == commit {
			return []byte(c.files[file]), nil
		}
	}
	return nil, fs.ErrNotExist
}

// Commit makes a real commit of the edits. The tip that it is built on goes into the message, so that its name depends on that.
func (s *snapshot) Commit(edits []gitrepo.Edit, options gitrepo.CommitOptions) (*gitrepo.Commit, error) {
	message := options.Message
	options.Message += "on " + s.head
	// The commit is made on nothing, from which nothing can be deleted.
	named := slices.Clone(edits)
	for i, edit := range named {
		if edit.Delete {
			named[i] = gitrepo.Edit{Path: edit.Path, Content: []byte("deleted")}
		}
	}
	commit, err := new(gitrepo.Snapshot).Commit(named, options)
	if err != nil {
		return nil, err
	}
	s.made[commit], s.messages[commit] = edits, message
	return commit, nil
}

func (s *snapshot) Push(ctx context.Context, commit *gitrepo.Commit) error {
	w := s.world
	_, err := w.write(ctx, "Push "+s.branch, func() (bool, error) {
		if w.onPush != nil {
			if err := w.onPush(); err != nil {
				return false, err
			}
		}
		if len(w.races) > 0 || w.raceForever {
			w.commitOther(s.branch, func(files map[string]string) {
				if w.raceForever {
					files["other.txt"] += "x"
					return
				}
				w.races[0](files)
				w.races = w.races[1:]
			})
		}
		at := w.tip(s.branch)
		if at.head == commit.Hash() {
			return false, nil // it arrived before
		}
		if at.head != s.head {
			return false, &gitrepo.ConflictError{Branch: s.branch, Expected: s.head, Actual: at.head}
		}
		for _, edit := range s.made[commit] {
			if edit.Delete {
				delete(at.files, edit.Path)
				continue
			}
			at.files[edit.Path] = string(edit.Content)
		}
		at.head = commit.Hash()
		at.history = append(at.history, past{hash: at.head, message: s.messages[commit], author: "eksa-gitops", files: maps.Clone(at.files)})
		if w.afterPush != nil {
			w.afterPush(w)
		}
		return true, nil
	})
	return err
}

// cluster is the world's management cluster.
type cluster struct{ *world }

func (c cluster) Inspect(ctx context.Context, _ fluxinstall.InspectOptions) (*fluxinstall.State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.inspectErr != nil {
		return nil, c.inspectErr
	}
	state := c.state
	state.Clusters = slices.Clone(c.state.Clusters)
	state.Flux.Namespace, state.Flux.SourcePublicKey = c.namespace, c.publicKey
	if c.private {
		state.Flux.SourceSecret = &fluxinstall.SourceSecretState{PublicKey: c.publicKey, Unreadable: c.unreadable, KnownHosts: c.knownHosts}
	}
	if git := c.state.Flux.GitRepository; git != nil {
		is := *git
		state.Flux.GitRepository = &is
	}
	if ks := c.state.Flux.Kustomization; ks != nil {
		is := *ks
		state.Flux.Kustomization = &is
	}
	return &state, nil
}

func (c cluster) EnsureNamespace(ctx context.Context, name string) (bool, error) {
	return c.write(ctx, "EnsureNamespace "+name, func() (bool, error) {
		created := !c.namespace
		c.namespace = true
		return created, nil
	})
}

func (c cluster) EnsureSourceSecret(ctx context.Context, source fluxinstall.SourceSecret) (string, bool, error) {
	changed, err := c.write(ctx, "EnsureSourceSecret "+source.Namespace+"/"+source.Name, func() (bool, error) {
		public := c.publicKey
		switch {
		case c.private && c.unreadable != "" && (source.PrivateKey.IsZero() || source.ForWantOfAnother):
			return false, errors.New("a key that cannot be read would be replaced")
		case !source.PrivateKey.IsZero() && !(source.ForWantOfAnother && c.private && c.publicKey != "" && c.publicKey != source.Unwanted):
			key, err := sshkeys.ParseKey([]byte(source.PrivateKey.Reveal()), source.Passphrase, "given")
			if err != nil {
				return false, err
			}
			public = key.AuthorizedKey()
		case !c.private, source.Unwanted != "" && source.Unwanted == c.publicKey:
			pair, err := sshkeys.Generate("ed25519")
			if err != nil {
				return false, err
			}
			public = pair.AuthorizedKey
		}
		known := source.KnownHosts
		if len(known) == 0 {
			known = c.knownHosts
		}
		if c.private && c.publicKey == public && bytes.Equal(c.knownHosts, known) {
			return false, nil
		}
		c.private, c.publicKey, c.knownHosts = true, public, known
		return true, nil
	})
	if err != nil {
		return "", false, err
	}
	return c.publicKey, changed, nil
}

func (c cluster) RemoveSource(ctx context.Context, namespace, publicKey string, withNamespace bool) ([]string, error) {
	var removed []string
	_, err := c.write(ctx, "RemoveSource "+namespace, func() (bool, error) {
		if c.private && c.publicKey == publicKey {
			c.private, c.publicKey, c.knownHosts = false, "", nil
			removed = append(removed, "Secret "+namespace+"/flux-system")
		}
		if withNamespace {
			c.namespace = false
			removed = append(removed, "namespace "+namespace)
		}
		return len(removed) > 0, nil
	})
	return removed, err
}

func (c cluster) EnsureComponents(ctx context.Context, manifests []byte, _ func(fluxinstall.Progress)) (fluxinstall.ChangeSet, error) {
	changed, err := c.write(ctx, "EnsureComponents", func() (bool, error) {
		changed := c.components != string(manifests)
		c.components, c.stopped = string(manifests), false
		c.state.Flux.Controllers = []fluxinstall.ControllerState{{Name: "source-controller", Available: true}, {Name: "kustomize-controller", Available: true}}
		return changed, nil
	})
	return changeSet(changed), err
}

func (c cluster) EnsureSync(ctx context.Context, manifests []byte) (fluxinstall.ChangeSet, error) {
	changed, err := c.write(ctx, "EnsureSync", func() (bool, error) {
		if c.sync == string(manifests) {
			return false, nil
		}
		c.sync = string(manifests)
		for document := range bytes.SplitSeq(manifests, []byte("\n---\n")) {
			var object struct {
				Kind     string
				Metadata struct{ Name string }
				Spec     struct {
					URL, Path string
					Ref       struct{ Branch string }
				}
			}
			if err := yaml.Unmarshal(document, &object); err != nil {
				return false, err
			}
			switch object.Kind {
			case "GitRepository":
				c.state.Flux.GitRepository = &fluxinstall.GitRepositoryState{Name: object.Metadata.Name, URL: object.Spec.URL, Branch: object.Spec.Ref.Branch}
			case "Kustomization":
				c.state.Flux.Kustomization = &fluxinstall.KustomizationState{Name: object.Metadata.Name, Path: object.Spec.Path}
			}
		}
		return true, nil
	})
	return changeSet(changed), err
}

func (c cluster) RequestReconcile(ctx context.Context, namespace, name string) error {
	_, err := c.write(ctx, "RequestReconcile "+namespace+"/"+name, func() (bool, error) { return true, nil })
	return err
}

func (c cluster) WaitSynced(ctx context.Context, wait fluxinstall.SyncWait, progress func(fluxinstall.Progress)) error {
	if err := c.wait(ctx, "WaitSynced"); err != nil {
		return err
	}
	progress(fluxinstall.Progress{Message: "waiting for " + wait.Commit})
	c.mu.Lock()
	if c.syncErr != nil {
		defer c.mu.Unlock()
		return c.syncErr
	}
	if ks := c.state.Flux.Kustomization; c.slowFlux && ks != nil && ks.AppliedRevision != "" {
		old := ks.AppliedRevision
		c.mu.Unlock()
		if wait.Accept(old) {
			return nil
		}
		c.mu.Lock()
	}
	c.flux()
	applied := ""
	if ks := c.state.Flux.Kustomization; ks != nil {
		applied = ks.AppliedRevision
	}
	c.mu.Unlock()
	if applied == fluxinstall.Revision(wait.Branch, wait.Commit) || wait.Accept != nil && applied != "" && wait.Accept(applied) {
		return nil
	}
	return &fluxinstall.NotReadyError{Object: "Kustomization " + wait.Namespace + "/" + wait.Name, Message: "applied revision is " + applied, Next: "flux get all", Err: context.DeadlineExceeded}
}

func (c cluster) WaitCluster(ctx context.Context, namespace, name string, progress func(fluxinstall.Progress)) error {
	if err := c.wait(ctx, "WaitCluster "+name); err != nil {
		return err
	}
	progress(fluxinstall.Progress{Message: "looking"})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.notReady[name]; err != nil {
		return err
	}
	if !c.state.HasCluster(namespace, name) {
		return &fluxinstall.NotReadyError{Object: "Cluster " + namespace + "/" + name, Message: "there is no such object", Err: context.DeadlineExceeded}
	}
	return nil
}

func (c cluster) WaitClusters(ctx context.Context, names []fluxinstall.ClusterName, changed func(fluxinstall.LiveCluster)) ([]fluxinstall.LiveCluster, error) {
	var fleet []fluxinstall.LiveCluster
	var last error
	for _, name := range names {
		live := fluxinstall.LiveCluster{ClusterInfo: fluxinstall.ClusterInfo{Namespace: name.Namespace, Name: name.Name, Ready: true},
			ControlPlane: fluxinstall.Machines{Desired: 1, Ready: 1}, Workers: fluxinstall.Machines{Desired: 2, Ready: -1}}
		if err := c.WaitCluster(ctx, name.Namespace, name.Name, func(fluxinstall.Progress) {}); err != nil {
			if !errors.As(err, &live.Problem) {
				return nil, err
			}
			live.Ready, last = false, live.Problem.Err
		}
		changed(live)
		fleet = append(fleet, live)
	}
	return fleet, last
}

func (c cluster) FluxResources(_ context.Context, kinds ...string) (fluxinstall.FluxResources, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	resources := c.resources
	if c.components != "" {
		resources.Definitions += 11
	}
	for kind, there := range map[string]bool{"GitRepository": c.state.Flux.GitRepository != nil, "Kustomization": c.state.Flux.Kustomization != nil} {
		if there {
			resources.Objects = append(slices.Clone(resources.Objects), fluxinstall.FluxObject{Kind: kind, Namespace: "flux-system", Name: "flux-system", AppliedBy: "flux-system/flux-system"})
		}
	}
	if len(kinds) > 0 {
		resources.Objects = slices.DeleteFunc(slices.Clone(resources.Objects), func(o fluxinstall.FluxObject) bool { return !slices.Contains(kinds, o.Kind) })
	}
	return resources, nil
}

func (c cluster) DeleteCluster(ctx context.Context, namespace, name string) (bool, error) {
	return c.write(ctx, "DeleteCluster "+namespace+"/"+name, func() (bool, error) {
		for i, have := range c.state.Clusters {
			if have.Namespace == namespace && have.Name == name && !have.Deleting {
				c.state.Clusters[i].Deleting = true
				return true, nil
			}
		}
		return false, nil
	})
}

func (c cluster) WaitGone(ctx context.Context, namespace, name string, progress func(fluxinstall.Progress)) error {
	if err := c.wait(ctx, "WaitGone "+name); err != nil {
		return err
	}
	progress(fluxinstall.Progress{Message: "it is being deleted"})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eksa()
	if c.state.HasCluster(namespace, name) {
		return &fluxinstall.NotReadyError{Object: "Cluster " + namespace + "/" + name, State: "is not gone", Message: c.held[name], Err: context.DeadlineExceeded}
	}
	return nil
}

func (c cluster) StopFlux(ctx context.Context, _ string, _ func(fluxinstall.Progress)) (bool, error) {
	return c.write(ctx, "StopFlux", func() (bool, error) {
		flux := &c.state.Flux
		changed := len(flux.Controllers) > 0 && !c.stopped
		c.stopped = true
		if flux.GitRepository != nil && !flux.GitRepository.Suspended {
			flux.GitRepository.Suspended, changed = true, true
		}
		if flux.Kustomization != nil && !flux.Kustomization.Suspended {
			flux.Kustomization.Suspended, changed = true, true
		}
		return changed, nil
	})
}

func (c cluster) Uninstall(ctx context.Context, namespace string, _ func(fluxinstall.Progress)) (fluxinstall.Removal, error) {
	var removal fluxinstall.Removal
	_, err := c.write(ctx, "Uninstall", func() (bool, error) {
		if !c.stopped {
			return false, errors.New("Flux is running")
		}
		if c.components == "" && !c.namespace && !c.private {
			return false, nil
		}
		c.state.Flux = fluxinstall.FluxState{}
		c.components, c.sync, c.namespace, c.private, c.publicKey, c.knownHosts = "", "", false, false, "", nil
		removal.Removed = []string{"Namespace " + namespace}
		return true, nil
	})
	return removal, err
}

func (c cluster) RemoveGitOps(ctx context.Context, namespace, name, _, config string) (bool, error) {
	return c.write(ctx, "RemoveGitOps "+namespace+"/"+name, func() (bool, error) {
		if c.gitOpsErr != nil {
			return false, c.gitOpsErr
		}
		for i, have := range c.state.Clusters {
			if have.Name == name && have.GitOpsName == config {
				c.state.Clusters[i].GitOpsKind, c.state.Clusters[i].GitOpsName = "", ""
				return true, nil
			}
		}
		return false, nil
	})
}

func (c cluster) Hold(ctx context.Context, request fluxinstall.HoldRequest) (fluxinstall.Held, error) {
	held := fluxinstall.Held{Undo: []string{"kubectl annotate " + request.Cluster}}
	changed, err := c.write(ctx, "Hold "+request.Cluster, func() (bool, error) {
		changed := false
		for _, name := range request.Objects {
			pause := fluxinstall.Pause{Object: name.Kind + " default/" + name.Name, Field: "kustomize.toolkit.fluxcd.io/reconcile", By: request.By}
			if c.objects[name] == nil || len(c.pauses[name]) > 0 {
				continue
			}
			changed = true
			c.pauses[name] = []fluxinstall.Pause{pause}
			if name.Kind == "Cluster" {
				spec := c.objects[name]["spec"].(map[string]any)
				c.refs[name.Name] = spec["gitOpsRef"]
				delete(spec, "gitOpsRef")
				c.hold(name.Name, &pause)
			}
		}
		return changed, nil
	})
	held.Changed = changed
	for _, o := range request.Objects {
		held.Objects = append(held.Objects, fmt.Sprintf("%s %s/%s", o.Kind, o.Namespace, o.Name))
	}
	return held, err
}

// hold notes in a cluster's state what keeps Flux from it.
func (w *world) hold(name string, pause *fluxinstall.Pause) {
	for i := range w.state.Clusters {
		if w.state.Clusters[i].Name == name {
			w.state.Clusters[i].Held = pause
		}
	}
}

func (c cluster) Release(ctx context.Context, _, name string, _ []fluxinstall.ObjectName) (bool, error) {
	return c.write(ctx, "Release "+name, func() (bool, error) {
		there := len(c.pauses) > 0
		clear(c.pauses)
		c.hold(name, nil)
		if object := c.objects[fluxinstall.ObjectName{Kind: "Cluster", Namespace: "default", Name: name}]; object != nil && c.refs[name] != nil {
			object["spec"].(map[string]any)["gitOpsRef"] = c.refs[name]
			delete(c.refs, name)
		}
		return there, nil
	})
}

func (c cluster) AdoptGitOps(ctx context.Context, namespace, name string, config map[string]any) (bool, error) {
	return c.write(ctx, "AdoptGitOps "+namespace+"/"+name, func() (bool, error) {
		for i, have := range c.state.Clusters {
			if have.Name == name && have.GitOpsName == "" {
				metadata, _ := config["metadata"].(map[string]any)
				c.state.Clusters[i].GitOpsKind, c.state.Clusters[i].GitOpsName = fmt.Sprint(config["kind"]), fmt.Sprint(metadata["name"])
				return true, nil
			}
		}
		return false, nil
	})
}

func (c cluster) SetPaused(ctx context.Context, object fluxinstall.ObjectName, paused bool) (bool, error) {
	i := slices.IndexFunc(c.state.Clusters, func(have fluxinstall.ClusterInfo) bool {
		return have.Namespace == object.Namespace && have.Name == object.Name
	})
	if object.Kind != "Cluster" || i < 0 || c.state.Clusters[i].Paused == paused {
		return false, nil
	}
	return c.write(ctx, fmt.Sprintf("SetPaused %s %v", object.Name, paused), func() (bool, error) {
		c.state.Clusters[i].Paused = paused
		return true, nil
	})
}

// Objects gives the live objects, as Flux has applied them or as a test has put them there.
func (c cluster) Objects(_ context.Context, names []fluxinstall.ObjectName) ([]fluxinstall.LiveObject, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var objects []fluxinstall.LiveObject
	for _, name := range names {
		if fields := c.objects[name]; fields != nil {
			objects = append(objects, fluxinstall.LiveObject{Kind: name.Kind, Namespace: name.Namespace, Name: name.Name, Fields: fields, Pauses: c.pauses[name]})
		}
	}
	return objects, nil
}

func (c cluster) DryRunApply(_ context.Context, objects []map[string]any) ([]fluxinstall.Verdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	verdicts := make([]fluxinstall.Verdict, len(objects))
	for i, object := range objects {
		metadata, _ := object["metadata"].(map[string]any)
		kind, _ := object["kind"].(string)
		name, _ := metadata["name"].(string)
		verdicts[i] = fluxinstall.Verdict{Kind: kind, Namespace: "default", Name: name}
		fields, _ := object["spec"].(map[string]any)
		if live := c.state.Cluster("default", name); kind == "Cluster" && live != nil && live.ManagementCluster != name && live.GitOpsName == "" && fields["gitOpsRef"] != nil {
			verdicts[i].Refusal, verdicts[i].Causes = fluxinstall.RefusedByAdmission, []fluxinstall.Cause{{Field: "spec.gitOpsRef", Message: "Forbidden: field is immutable"}}
		}
		if c.refuse != nil {
			verdicts[i] = c.refuse(verdicts[i], object)
		}
	}
	return verdicts, c.dryRunErr
}

func (w *world) wait(ctx context.Context, call string) error {
	if w.onCall != nil {
		w.onCall(ctx, call)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = append(w.waits, call)
	return ctx.Err()
}

func (c cluster) Kubeconfig(context.Context, string) (secret.Value, error) {
	return secret.Value{}, errors.New("nobody should ask")
}

func changeSet(changed bool) fluxinstall.ChangeSet {
	if changed {
		return fluxinstall.ChangeSet{Created: []string{"one"}}
	}
	return fluxinstall.ChangeSet{Unchanged: []string{"one"}}
}
