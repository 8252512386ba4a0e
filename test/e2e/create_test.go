package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// The files that a management cluster brings into the repository.
var managementFiles = []string{
	"clusters/mgmt/flux-system/gotk-components.yaml",
	"clusters/mgmt/flux-system/gotk-sync.yaml",
	"clusters/mgmt/flux-system/kustomization.yaml",
	"clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml",
	"clusters/mgmt/mgmt/eksa-system/kustomization.yaml",
}

// The whole story of a user: a management cluster, run again, a workload cluster, its kubeconfig, and a
// change pushed with plain git.
func TestCreate_fromNothingToAppliedChange(t *testing.T) {
	w := newWorld(t)
	// a write that comes too early is one more, and they are counted
	w.gh.SetCreationLag(githubtest.Lag{Reads: 1, Git: 1})

	start := w.gh.Mark()
	first := w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
	if activity := w.gh.Since(start); activity.Pushes != 1 || len(activity.Mutations) != 2 {
		t.Errorf("%d pushes and the writes %v, want 1 push, the repository and the deploy key",
			activity.Pushes, activity.Mutations)
	}
	first.prints("Cluster mgmt is managed through Git.",
		w.gh.GitURL()+"alice/fleet (private, created by this run)", "Next:")
	repo := w.gh.Repo("alice/fleet")
	if repo == nil || !repo.Private() {
		t.Fatal("the repository was not created as a private one")
	}
	files := repo.Git().Files("main")
	if got := keys(files); !slices.Equal(got, managementFiles) {
		t.Errorf("files in the repository: %v, want %v", got, managementFiles)
	}
	if log := repo.Git().Log("main"); len(log) != 1 ||
		!strings.HasPrefix(log[0].Subject(), "Create cluster mgmt (Kubernetes 1.33)") {
		t.Errorf("log: %+v, want one commit", log)
	}
	committed := files["clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml"]
	for _, kept := range []string{"# One control plane node is enough for the lab.",
		"count: 1   # scaled through Git", "namespace: default"} {
		if !strings.Contains(committed, kept) {
			t.Errorf("eksa-cluster.yaml does not hold %q:\n%s", kept, committed)
		}
	}
	local, err := os.ReadFile(filepath.Join(w.dir, "mgmt", "mgmt-eks-a-cluster.yaml"))
	if err != nil || string(local) != committed {
		t.Errorf("the local copy differs from what is in Git (%v)", err)
	}
	deployKeys := repo.DeployKeys()
	if len(deployKeys) != 1 || !deployKeys[0].ReadOnly {
		t.Errorf("deploy keys: %+v, want one that is read-only", deployKeys)
	}
	head := repo.Git().Head("main")
	kustomization := object(t, "kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "flux-system",
		"flux-system")
	if applied := at(t, kustomization, "status", "lastAppliedRevision"); applied != "main@sha1:"+head {
		t.Errorf("Flux has applied %v, want main@sha1:%s", applied, head)
	}
	if ref := at(t, clusterObject(t, "mgmt"), "spec", "gitOpsRef", "name"); ref != "mgmt" {
		t.Errorf("the live Cluster's gitOpsRef is %v", ref)
	}

	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints(
		"Nothing to do: cluster mgmt is managed through Git.")
	before.writesNothing()

	start = w.gh.Mark()
	w.run("create", "cluster", "-f", "dev.yaml").exits(0).prints("Cluster dev is managed through Git.",
		"eksa-gitops get kubeconfig dev")
	if activity := w.gh.Since(start); activity.Pushes != 1 || len(activity.Mutations) != 0 {
		t.Errorf("%d pushes and the writes %v, want 1 push and no write", activity.Pushes, activity.Mutations)
	}
	want := slices.Sorted(slices.Values(append(slices.Clone(managementFiles),
		"clusters/mgmt/dev/eksa-system/eksa-cluster.yaml",
		"clusters/mgmt/dev/eksa-system/kustomization.yaml")))
	if got := keys(repo.Git().Files("main")); !slices.Equal(got, want) {
		t.Errorf("files in the repository: %v, want %v", got, want)
	}
	before = w.mark()
	w.run("create", "cluster", "-f", "dev.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()

	kubeconfig := w.run("get", "kubeconfig", "dev").exits(0).prints("kind: Config")
	w.run("get", "kubeconfig", "dev", "--file", "dev.kubeconfig").exits(0)
	info, err := os.Stat(filepath.Join(w.dir, "dev.kubeconfig"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("dev.kubeconfig: %v, mode %v, want 0600", err, info.Mode())
	}
	if content, err := os.ReadFile(filepath.Join(w.dir, "dev.kubeconfig")); err != nil ||
		string(content) != kubeconfig.stdout {
		t.Errorf("the file and standard output differ (%v)", err)
	}

	client := w.gh.GitClient(githubToken(w))
	clone, err := client.Clone(t.Context(), w.gh.GitURL()+"alice/fleet.git",
		filepath.Join(t.TempDir(), "fleet"))
	if err != nil {
		t.Fatal(err)
	}
	path := "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"
	clone.Write(path,
		strings.Replace(repo.Git().Files("main")[path], "count: 1   # scaled", "count: 3   # scaled", 1))
	if _, err := clone.Commit(t.Context(), "Scale dev to three workers"); err != nil {
		t.Fatal(err)
	}
	if err := clone.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	requestReconcile(t)
	waitFor(t, clusterObject(t, "dev"), "three workers", func(u *unstructured.Unstructured) bool {
		return at(t, u, "spec", "workerNodeGroupConfigurations", 0, "count") == int64(3)
	})
}

// Whatever of an earlier run is missing again is made good by the next one, and nothing else is touched.
func TestCreate_rerunRepairs(t *testing.T) {
	w := newWorldIn(t, managed())
	repo := w.gh.Repo("alice/fleet")
	head := repo.Git().Head("main")
	for _, tc := range []struct {
		name    string
		destroy func()
	}{
		{"deploy key", func() { removeDeployKeys(w, "alice/fleet") }},
		{"source secret", func() { remove(t, "", "v1", "Secret", "flux-system", "flux-system") }},
		{"sync objects", func() {
			// While nobody watches, so that Flux does not prune what the Kustomization had applied.
			stackOf(t).StopFlux()
			removeNow(t, "kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "flux-system", "flux-system")
			removeNow(t, "source.toolkit.fluxcd.io", "v1", "GitRepository", "flux-system", "flux-system")
			if err := stackOf(t).StartFlux(t.Context(), "flux-system"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		tc.destroy()
		out := w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
		out.prints("Cluster mgmt is managed through Git.")
		if got := repo.Git().Head("main"); got != head {
			t.Errorf("%s: the repository has a new commit %s", tc.name, got)
		}
		before := w.mark()
		w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
		before.writesNothing()
	}
}

func TestCreate_withoutGitOpsRef(t *testing.T) {
	w := newWorld(t)
	w.write("plain.yaml", withoutGitOps(spec(t, "mgmt.yaml")))
	before := w.mark()
	w.run("create", "cluster", "-f", "plain.yaml").exits(0).prints("GitOps is not configured")
	before.writesNothing()
}

func TestCreate_dryRunWritesNothing(t *testing.T) {
	w := newWorld(t)
	before := w.mark()
	out := w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0)
	out.prints("+++ b/clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml",
		"+# The management cluster of the Berlin site.", "nothing has been changed")
	out.tells("Create repository alice/fleet (private, planned)")
	before.writesNothing()
	if w.gh.Repo("alice/fleet") != nil {
		t.Error("a dry run created the repository")
	}
	if _, err := os.Stat(filepath.Join(w.dir, "mgmt")); err == nil {
		t.Error("a dry run wrote the local copy")
	}
	object := w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run", "-o", "json").exits(0).json()
	if object["status"] != "planned" || object["changed"] != false || object["dryRun"] != true {
		t.Errorf("result of a dry run: %v", object)
	}
	if diff, _ := at(t, object, "repository", "files", 3, "diff").(string); !strings.HasPrefix(diff,
		"--- /dev/null\n+++ b/clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml\n") {
		t.Errorf("diff of the fourth file: %.200s", diff)
	}
	before.writesNothing()
}

func TestCreate_json(t *testing.T) {
	w := newWorld(t)
	object := w.run("create", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0).json()
	head := w.gh.Repo("alice/fleet").Git().Head("main")
	for path, want := range map[string]any{
		"version": "eksa-gitops/v1", "command": "create cluster", "status": "done", "changed": true,
		"exitCode": 0.0, "repository.commit": head, "repository.created": true, "repository.pushed": true,
		"flux.ready": true, "flux.revision": "main@sha1:" + head, "flux.namespace": "flux-system",
	} {
		var steps []any
		for key := range strings.SplitSeq(path, ".") {
			steps = append(steps, key)
		}
		if got := at(t, object, steps...); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	again := w.run("create", "cluster", "-f", "mgmt.yaml", "-o", "json").exits(0).json()
	if again["changed"] != false || again["status"] != "done" {
		t.Errorf("second run: changed %v, status %v", again["changed"], again["status"])
	}
}
