package e2e_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// forgetLogs takes the logs of a cluster away, so that waitLog sees the next one's.
func (w *world) forgetLogs(cluster string) {
	w.t.Helper()
	logs, err := filepath.Glob(filepath.Join(w.dir, cluster, "*-eksctl-*.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range logs {
		if err := os.Remove(path); err != nil {
			w.t.Fatal(err)
		}
	}
}

// cleanPrivate removes what a killed run cannot.
func (w *world) cleanPrivate() {
	w.t.Helper()
	left, err := filepath.Glob(filepath.Join(w.env["TMPDIR"], "eksa-gitops-*"))
	if err != nil || len(left) != 1 {
		w.t.Fatalf("private directories: %v, %v", left, err)
	}
	if err := os.RemoveAll(left[0]); err != nil {
		w.t.Fatal(err)
	}
}

// A workload cluster leaves Git, then eksctl deletes it; a failure in between is gone on from. Then the
// management cluster goes, and with it what is left in Git and at GitHub.
func TestProvision_delete(t *testing.T) {
	w := newProvisionedFleet(t, "dev")
	remove := []string{"delete", "cluster", "-f", "dev.yaml", "--provisioner", "eksctl", "--yes"}
	w.run("delete", "cluster", "dev", "--provisioner", "eksctl", "--yes").exits(2).tells(
		"--provisioner eksctl needs the clusters' files", "-f dev/dev-eks-a-cluster.yaml")
	before := w.mark()
	w.run(append(remove, "--dry-run")...).exits(0).prints(
		"Cluster dev (namespace default, Kubernetes 1.33) will be deleted, with all its machines:",
		"run     eksctl anywhere delete cluster -f dev.yaml --kubeconfig mgmt/mgmt-eks-a-cluster.kubeconfig",
		"This was a dry run").tells("Delete cluster dev with eksctl anywhere (eksctl anywhere delete cluster")
	w.run("delete", "cluster", "-f", "mgmt.yaml", "--provisioner", "eksctl", "--yes").exits(3).tells(
		"1 workload cluster is there, which management cluster mgmt manages: dev")
	before.writesNothing()
	if calls := w.calls(); calls != nil {
		t.Errorf("eksctl was called: %v", calls)
	}

	w.env["FAKE_EKSCTL"] = "fail-late"
	w.run(remove...).exits(5).tells("cluster dev was not deleted: eksctl anywhere delete cluster",
		"failed with exit code 255")
	if !hasCluster(t, "dev") || w.files()[devFiles[0]] != "" {
		t.Errorf("dev is gone (%v), or still in Git: %v", !hasCluster(t, "dev"), keys(w.files()))
	}
	assertNotPaused(t, "dev")
	delete(w.env, "FAKE_EKSCTL")
	w.run(remove...).exits(0).prints("Cluster dev is gone.",
		"eksctl log  dev/dev-eksctl-delete-").tells("Cluster deleted!")
	if hasCluster(t, "dev") {
		t.Error("dev is still there")
	}
	before = w.mark()
	w.run(remove...).exits(0).prints("Nothing to do: cluster dev is gone.")
	before.writesNothing()

	remove[3] = "mgmt.yaml"
	kubeconfig := filepath.Join(w.dir, "mgmt", "mgmt-eks-a-cluster.kubeconfig")
	before = w.mark()
	w.run(append(remove, "--dry-run")...).exits(0).prints("Management cluster mgmt (namespace default, "+
		"Kubernetes 1.33) will be deleted, with all its machines and all that runs on it:",
		"run     eksctl anywhere delete cluster -f mgmt.yaml",
		"delete  clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml")
	w.run(append(remove, "--from", "git")...).exits(3).tells("management cluster mgmt is still there",
		"delete it from both")
	before.writesNothing()
	w.env["FAKE_EKSCTL"] = "fail-late"
	w.run(remove...).exits(5).tells("cluster mgmt was not deleted",
		"Flux has stopped, and nothing has left Git", "continue with: eksa-gitops delete cluster")
	if !hasCluster(t, "mgmt") || len(w.files()) != len(managementFiles) {
		t.Errorf("after a failure: mgmt there %v, files %v", hasCluster(t, "mgmt"), keys(w.files()))
	}

	// eksctl deletes the cluster, and the program dies before it has cleaned up: what is left then, the next
	// run removes.
	w.env["FAKE_EKSCTL"] = ""
	heal := w.gh.Break("* /**", githubtest.Respond(503, "down"))
	before = w.mark()
	w.run(remove...).exits(1).tells("nothing has been changed")
	heal()
	before.writesNothing()
	w.run(remove...).exits(0).prints("Cluster mgmt is gone.", "eksctl log  mgmt/mgmt-eksctl-delete-").tells(
		"Stop Flux", "Cluster deleted!", "Remove the deploy key")
	repo := w.gh.Repo("alice/fleet")
	if hasCluster(t, "mgmt") || len(w.files()) != 0 || len(repo.DeployKeys()) != 0 {
		t.Errorf("mgmt there %v, files %v, deploy keys %v",
			hasCluster(t, "mgmt"), keys(w.files()), repo.DeployKeys())
	}
	if _, err := os.Stat(kubeconfig); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the kubeconfig of a cluster that is gone: %v", err)
	}
	before = w.mark()
	w.run(remove...).exits(0).prints("Nothing to do: cluster mgmt is gone.")
	before.writesNothing()
}

// The management cluster is gone, and what is left of it is not. That it is gone a person says; the file says
// where the rest is.
func TestProvision_deleteRest(t *testing.T) {
	w := newProvisionedFleet(t)
	if err := os.Remove(filepath.Join(w.dir, "mgmt", "mgmt-eks-a-cluster.kubeconfig")); err != nil {
		t.Fatal(err)
	}
	remove := []string{"delete", "cluster", "-f", "mgmt.yaml", "--provisioner", "eksctl"}
	before := w.mark()
	w.run(append(remove, "--yes")...).exits(3).tells("which does not mean that it is gone")
	rest := append(remove, "--from", "git")
	w.run(append(rest, "--dry-run")...).exits(0).prints("What is left of management cluster mgmt will be "+
		"removed; --from git says that the cluster itself no longer exists:",
		"delete  clusters/mgmt/flux-system/gotk-sync.yaml")
	before.writesNothing()
	w.run(append(rest, "--yes")...).exits(0).prints("Cluster mgmt is not in Git any more.").tells(
		"management cluster mgmt is assumed to be gone because of --from git",
		"Remove the deploy key (eksa-gitops mgmt/flux-system)")
	if repo := w.gh.Repo("alice/fleet"); len(w.files()) != 0 || len(repo.DeployKeys()) != 0 {
		t.Errorf("files %v, deploy keys %v", keys(w.files()), repo.DeployKeys())
	}
	if calls := w.calls(); calls != nil {
		t.Errorf("eksctl was called: %v", calls)
	}
	before = w.mark()
	w.run(append(rest, "--yes")...).exits(0).prints("Nothing to do")
	before.writesNothing()
}
