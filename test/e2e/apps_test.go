package e2e_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

const appMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: default\n"

// useStackFor makes the kubeconfig of a workload cluster lead to the stack's API server, which stands in for
// the cluster: of the clusters that the stack's EKS Anywhere makes, there are only objects. The user is one
// of its own.
func useStackFor(t testing.TB, cluster string) {
	t.Helper()
	user := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default",
		Name: cluster + "-admin"}}
	binding := fmt.Sprintf(
		"{apiVersion: v1, kind: ServiceAccount, metadata: {name: %[1]s, namespace: default}}\n---\n"+
			"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: %[1]s}, "+
			"subjects: [{kind: ServiceAccount, name: %[1]s, namespace: default}], roleRef: {apiGroup: "+
			"rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}", user.Name)
	if err := stackOf(t).Apply(t.Context(), []byte(binding)); err != nil {
		t.Fatal(err)
	}
	token := &authenticationv1.TokenRequest{}
	if err := stackOf(t).Client().SubResource("token").Create(t.Context(), user, token); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(stackOf(t).Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &api.AuthInfo{Token: token.Status.Token}
	}
	kubeconfig, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	patch(t, reference("", "v1", "Secret", "eksa-system", cluster+"-kubeconfig"),
		fmt.Sprintf(`{"data":{"value":%q}}`, base64.StdEncoding.EncodeToString(kubeconfig)))
}

func fluxReady(u *unstructured.Unstructured) bool {
	return conditionOf(u, "Ready") == "True"
}

// --with-apps makes a directory whose content Flux applies to the workload cluster through its kubeconfig,
// and to no other. It works empty; later runs leave it alone; deletion takes it along, and keeps people's
// apps without applying them to the management cluster.
func TestApps(t *testing.T) {
	w := newFleet(t)
	w.run("create", "cluster", "-f", "dev.yaml", "--with-apps").exits(0).tells("5 files")
	w.run("create", "cluster", "-f", "mgmt.yaml", "--with-apps").exits(0).tells("3 files")
	before := w.mark()
	w.run("create", "cluster", "-f", "dev.yaml", "--with-apps").exits(0).prints("Nothing to do")
	w.run("create", "cluster", "-f", "dev.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()

	// Empty: the management cluster's applies nothing, without error.
	own := reference(kustomizeGroup, "v1", "Kustomization", "flux-system", "mgmt-apps")
	waitFor(t, own, "Ready", fluxReady)

	// An app goes nowhere as long as the workload cluster cannot be reached, not to the management cluster
	// either.
	w.push(gittest.Change{Files: map[string]string{
		"clusters/mgmt/dev/apps/kustomization.yaml":  "resources:\n- app.yaml\n",
		"clusters/mgmt/dev/apps/app.yaml":            fmt.Sprintf(appMap, "of-dev"),
		"clusters/mgmt/mgmt/apps/kustomization.yaml": "resources:\n- app.yaml\n",
		"clusters/mgmt/mgmt/apps/app.yaml":           fmt.Sprintf(appMap, "of-mgmt"),
	}})
	commit := w.gh.Repo("alice/fleet").Git().Head("main")
	reconcile := func(kind, namespace, name string) {
		group := map[string]string{"GitRepository": sourceGroup, "Kustomization": kustomizeGroup}[kind]
		patch(t, reference(group, "v1", kind, namespace, name),
			fmt.Sprintf(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`, commit+name))
	}
	reconcile("GitRepository", "flux-system", "flux-system")
	waitFor(t, reference("", "v1", "ConfigMap", "default", "of-mgmt"), "there",
		func(*unstructured.Unstructured) bool { return true })
	root := reference(kustomizeGroup, "v1", "Kustomization", "flux-system", "flux-system")
	waitFor(t, root, "the commit applied", func(u *unstructured.Unstructured) bool {
		return strings.HasSuffix(fmt.Sprint(at(t, u, "status", "lastAppliedRevision")), commit)
	})
	if _, there := exists(t, "", "v1", "ConfigMap", "default", "of-dev"); there {
		t.Fatal("the app of dev is in the management cluster")
	}
	w.until(statusArgs, 5, "Kustomization eksa-system/dev-apps")
	useStackFor(t, "dev")
	reconcile("Kustomization", "eksa-system", "dev-apps")
	waitFor(t, reference("", "v1", "ConfigMap", "default", "of-dev"), "applied by dev-apps",
		func(u *unstructured.Unstructured) bool {
			return u.GetLabels()[kustomizeGroup+"/name"] == "dev-apps"
		})
	w.until(statusArgs, 0, "All is well.")

	// An upgrade and a run that knows nothing of the apps leave them alone.
	files := w.files()
	w.run("create", "cluster", "-f", "dev.yaml", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	for file, content := range w.files() {
		if files[file] != content {
			t.Errorf("%s has changed", file)
		}
	}

	deleted := w.run("delete", "cluster", "dev", "--yes").exits(0)
	deleted.prints("Cluster dev is gone", "clusters/mgmt/dev/apps/app.yaml")
	if _, there := exists(t, kustomizeGroup, "v1", "Kustomization", "eksa-system", "dev-apps"); there {
		t.Error("the Flux Kustomization of dev's apps is still there")
	}
	for _, file := range keys(w.files()) {
		if strings.HasPrefix(file, "clusters/mgmt/dev/") && !strings.Contains(file, "/apps/") &&
			file != "clusters/mgmt/dev/kustomization.yaml" {
			t.Errorf("%s is still in Git", file)
		}
	}
	w.until(statusArgs, 0, "All is well.")
	w.run("delete", "cluster", "mgmt", "--yes").exits(0)
	w.detached()
	for _, file := range []string{"apps-sync.yaml", "kustomization.yaml"} {
		if w.files()["clusters/mgmt/mgmt/"+file] != "" {
			t.Errorf("%s of mgmt is still in Git", file)
		}
	}
}
