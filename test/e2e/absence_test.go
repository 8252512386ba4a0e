package e2e_test

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// move takes the world to a new directory with the clusters' files, as somebody who has changed directories
// is.
func (w *world) move(t *testing.T) {
	t.Helper()
	w.dir = t.TempDir()
	w.write("mgmt.yaml", spec(t, "mgmt.yaml"))
	w.write("dev.yaml", spec(t, "dev.yaml"))
}

// A kubeconfig that is not found from here proves nothing: the live cluster's files stay in Git, its deploy
// key at GitHub, and it is not built a second time. Only a person's word, or the cluster's own, counts.
func TestAbsence_elsewhere(t *testing.T) {
	w := newProvisionedFleet(t)
	home := w.dir
	remove := []string{"delete", "cluster", "-f", "mgmt.yaml", "--provisioner", "eksctl", "--yes"}
	create := []string{"create", "cluster", "-f", "mgmt.yaml", "--provisioner", "eksctl"}
	relative := "mgmt/mgmt-eks-a-cluster.kubeconfig"
	for _, env := range []string{"", relative} {
		w.move(t)
		w.env["KUBECONFIG"] = env
		before := w.mark()
		for _, dry := range []bool{true, false} {
			args := func(command []string) []string {
				if dry {
					return append(append([]string{}, command...), "--dry-run")
				}
				return command
			}
			w.run(args(remove)...).exits(3).
				tells("no kubeconfig leads to management cluster mgmt, which does not mean that it is gone",
					filepath.Join(w.dir, relative)+" (does not exist)",
					"remove what is left of it in Git, and its deploy key, with --from git")
			w.run(args(create)...).exits(3).tells("there are signs that it was built already",
				`deploy key "eksa-gitops mgmt/flux-system" of alice/fleet`, managementFiles[0]+" in Git",
				filepath.Join(w.dir, relative)+" (does not exist)", "add --build mgmt")
		}
		w.run("status").exits(3).tells(w.dir)
		before.writesNothing()
	}
	if calls := w.calls(); calls != nil {
		t.Errorf("eksctl was called: %v", calls)
	}
	w.dir = home
	w.env["KUBECONFIG"] = relative
	w.run("status").exits(0).prints("All is well.")
}

// emptyCluster is an API server on which there is nothing, and a kubeconfig for it.
func emptyCluster(t *testing.T) (kubeconfig string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"not found"}`)
	}))
	t.Cleanup(server.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: it
contexts: [{name: it, context: {cluster: it, user: it}}]
clusters: [{name: it, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: it, user: {token: none}}]
`, server.URL, base64.StdEncoding.EncodeToString(authority))
}

// Without --kubeconfig and KUBECONFIG the commands look where the flag's help says, and take no workload
// cluster for its management cluster.
func TestAbsence_folders(t *testing.T) {
	w := newProvisionedFleet(t, "dev")
	w.env["KUBECONFIG"] = ""
	own := filepath.Join("dev", "dev-eks-a-cluster.kubeconfig")
	w.write(own, emptyCluster(t))

	// The file beside dev's kubeconfig says that mgmt manages it.
	w.run("status").exits(0).prints("All is well.")
	w.run("status", "dev").exits(0)
	w.run("status", "mgmt").exits(0)
	w.run("get", "clusters").exits(0).prints("dev", "mgmt")
	w.run("get", "kubeconfig", "dev").exits(0).prints("clusters:")
	w.run("delete", "cluster", "dev", "--dry-run").exits(0).prints(
		"Cluster dev (namespace default, Kubernetes 1.33) will be deleted")

	// Nothing says so any more: dev's own kubeconfig is told as what it is, whichever command would take it.
	if err := os.Remove(filepath.Join(w.dir, "dev", "dev-eks-a-cluster.yaml")); err != nil {
		t.Fatal(err)
	}
	before := w.mark()
	for _, args := range [][]string{{"status", "dev"}, {"get", "kubeconfig", "dev"},
		{"delete", "cluster", "dev", "--yes"}} {
		w.run(args...).exits(3).tells(own+" leads to cluster dev at https://127.0.0.1:",
			"which is not a management cluster", "--kubeconfig FILE")
	}
	w.run("status").exits(3).tells("there are several", own, "mgmt/mgmt-eks-a-cluster.kubeconfig")

	// The only kubeconfig there is, of another fleet than the cluster's, proves nothing about the cluster.
	if err := os.RemoveAll(filepath.Join(w.dir, "dev")); err != nil {
		t.Fatal(err)
	}
	w.run("delete", "cluster", "prod", "--yes").exits(3).tells(
		"mgmt/mgmt-eks-a-cluster.kubeconfig leads to management cluster mgmt at ",
		"which has no cluster prod")
	before.writesNothing()

	// A relative KUBECONFIG that leads nowhere from here is named whole.
	w.move(t)
	w.env["KUBECONFIG"] = own
	w.run("status").exits(3).tells("KUBECONFIG="+own, filepath.Join(w.dir, own)+" does not exist")
	w.env["KUBECONFIG"] = ""
	w.run("status").exits(3).tells(filepath.Join(w.dir, "NAME", "NAME-eks-a-cluster.kubeconfig") +
		" (of any NAME: none exists)")
	w.run("delete", "cluster", "dev", "--yes").exits(3).tells(filepath.Join(w.dir, own) + " (does not exist)")
}
