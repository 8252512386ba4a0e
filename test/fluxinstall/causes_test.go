//go:build unix

package fluxinstall_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// waiting is a WaitSynced in the background whose progress can be waited for.
type waiting struct {
	t      *testing.T
	told   chan string
	result chan error
	cancel context.CancelFunc
}

// begin starts waiting for the last commit; limit is the time limit.
func (w *world) begin(limit time.Duration) *waiting {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	w.t.Cleanup(cancel)
	b := &waiting{t: w.t, told: make(chan string, 1000), result: make(chan error, 1), cancel: cancel}
	go func() {
		b.result <- w.cluster.WaitSynced(ctx, w.wait(), func(p fluxinstall.Progress) { b.told <- p.Message })
	}()
	return b
}

// hears waits until progress holds all of the texts.
func (b *waiting) hears(texts ...string) {
	b.t.Helper()
	var heard []string
	deadline := time.After(patience)
	for {
		select {
		case message := <-b.told:
			heard = append(heard, message)
			if !slices.ContainsFunc(texts,
				func(text string) bool { return !strings.Contains(message, text) }) {
				return
			}
		case err := <-b.result:
			b.t.Fatalf("the wait has ended: %v; heard:\n%s", err, strings.Join(heard, "\n"))
		case <-deadline:
			b.t.Fatalf("did not hear %q; heard:\n%s", texts, strings.Join(heard, "\n"))
		}
	}
}

// ends waits for the wait's end.
func (b *waiting) ends() error {
	b.t.Helper()
	select {
	case err := <-b.result:
		return err
	case <-time.After(patience):
		b.t.Fatal("the wait does not end")
		return nil
	}
}

func (w *world) reconcile() {
	w.t.Helper()
	if err := w.cluster.RequestReconcile(w.t.Context(), namespace, namespace); err != nil {
		w.t.Fatal(err)
	}
}

// What is wrong with the Git side is told while waiting, in Flux's words and in plain ones; and repairing it
// ends the wait well.
func TestWaitSynced_credentials(t *testing.T) {
	w := newWorld(t)
	w.install(false) // the key is not registered
	wait := w.begin(patience)
	wait.hears("GitRepository gitops/gitops is not ready (GitOperationFailed)",
		"most likely its public key is not registered")

	w.allow(w.inspect().Flux.SourcePublicKey)
	w.reconcile()
	if err := wait.ends(); err != nil {
		t.Fatal(err)
	}

	// The server's host keys change: Flux must not follow.
	w.git.ChangeHostKeys()
	w.push(map[string]string{"README.md": "two\n"})
	w.reconcile()
	wait = w.begin(patience)
	wait.hears("GitRepository gitops/gitops is not ready (GitOperationFailed)",
		"not in the Secret's known_hosts")
	if w.inspect().Applied(branch, w.commit) {
		t.Error("it is called applied")
	}
	if _, changed, err := w.cluster.EnsureSourceSecret(t.Context(), w.source()); err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	w.reconcile()
	if err := wait.ends(); err != nil {
		t.Fatal(err)
	}
}

// What is wrong in the repository is told while waiting; the time limit gives it as the error.
func TestWaitSynced_repository(t *testing.T) {
	w := newWorld(t)
	w.install(true)
	w.synced()

	broken := repoPath + "/mgmt/eksa-system/kustomization.yaml"
	w.push(map[string]string{broken: "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" +
		"resources:\n- eksa-cluster.yaml\n- missing.yaml\n"})
	w.reconcile()
	wait := w.begin(20 * time.Second)
	wait.hears("Kustomization gitops/gitops is not ready (BuildFailed): kustomize build failed",
		"missing.yaml", "a file in the repository cannot be built")
	err := wait.ends()
	var notReady *fluxinstall.NotReadyError
	if !errors.As(err, &notReady) || !errors.Is(err, context.DeadlineExceeded) ||
		notReady.Reason != "BuildFailed" ||
		notReady.Next != "kubectl -n gitops describe kustomization.kustomize.toolkit.fluxcd.io gitops" {
		t.Errorf("error %#v", err)
	}

	// Repaired, but now EKS Anywhere's webhook refuses the change.
	immutable := strings.Replace(w.files[repoPath+"/mgmt/eksa-system/eksa-cluster.yaml"], "192.168.0.0/16",
		"172.16.0.0/16", 1)
	w.push(map[string]string{broken: w.files[broken],
		repoPath + "/mgmt/eksa-system/eksa-cluster.yaml": immutable})
	w.reconcile()
	wait = w.begin(patience)
	wait.hears("Kustomization gitops/gitops is not ready (ReconciliationFailed): Cluster/default/mgmt",
		"immutable", "EKS Anywhere does not allow spec.clusterNetwork.pods to change")

	// Put back. The Kustomization would try again in ten minutes; the new commit makes it do so now.
	good := w.push(map[string]string{repoPath + "/mgmt/eksa-system/eksa-cluster.yaml": w.files[repoPath+
		"/mgmt/eksa-system/eksa-cluster.yaml"]})
	w.reconcile()
	wait.cancel()
	if err := wait.ends(); !errors.Is(err, context.Canceled) ||
		errors.As(err, new(*fluxinstall.NotReadyError)) {
		t.Errorf("interrupted: %v", err)
	}
	w.commit = good
	w.synced()
}

// A Kustomization that failed for a reason outside Git tries again when asked, although there is no new
// commit.
func TestRequestReconcile_failed(t *testing.T) {
	w := newWorld(t)
	// Flux may not write the Cluster while a policy of the cluster is against it.
	policy := `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: frozen},
  spec: {matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]},
  matchConditions: [{name: ours, expression: "object.metadata.name == 'note'"}], validations: [{expression: "false", message: maintenance}]}}`
	binding := `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: frozen}, spec: {policyName: frozen, validationActions: [Deny]}}`
	if err := w.stack.Apply(t.Context(), []byte(policy+"\n---\n"+binding)); err != nil {
		t.Fatal(err)
	}
	w.push(map[string]string{repoPath + "/note.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: " +
		"note, namespace: default}}"})
	// The policy takes a moment to work.
	w.untilRefused("{apiVersion: v1, kind: ConfigMap, metadata: {name: note, namespace: kube-system}}")
	w.install(true)
	wait := w.begin(patience)
	wait.hears("Kustomization gitops/gitops is not ready (ReconciliationFailed)", "maintenance")
	for _, kind := range []string{"ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"} {
		if err := w.stack.Client().Delete(t.Context(),
			eksacontroller.Object("admissionregistration.k8s.io/v1", kind, "", "frozen")); err != nil {
			t.Fatal(err)
		}
	}
	// Asked until the policy is gone for the API server, too: each asking is one more try.
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if err := w.cluster.RequestReconcile(t.Context(), namespace, namespace); err != nil {
				t.Error(err)
				return
			}
			select {
			case err := <-wait.result:
				if err != nil {
					t.Error(err)
				}
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
	<-done
}

// Nothing goes on by itself: the wait ends at once.
func TestWaitSynced_stopped(t *testing.T) {
	w := newWorld(t)
	w.install(true)
	w.synced()
	w.push(map[string]string{"README.md": "two\n"})
	w.patch(kustomization(), `{"spec":{"suspend":true}}`)
	err := w.begin(patience).ends()
	var notReady *fluxinstall.NotReadyError
	if !errors.As(err, &notReady) || notReady.Reason != "Suspended" ||
		notReady.Object != "Kustomization gitops/gitops" || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("suspended: %v", err)
	}
	if w.inspect().Applied(branch, w.commit) {
		t.Error("it is called applied")
	}
	// EnsureSync has its own opinion of what it is asked to write, and that says nothing about suspend.
	_, sync := w.built()
	if changes, err := w.cluster.EnsureSync(t.Context(), sync); err != nil || changes.Changed() != 0 {
		t.Errorf("%+v, %v", changes, err)
	}
	w.patch(kustomization(), `{"spec":{"suspend":null}}`)
	w.reconcile()
	w.synced()

	// Somebody deletes an object: waiting goes on and says so.
	w.patch(gitRepository(), `{"metadata":{"finalizers":null}}`)
	w.patch(kustomization(), `{"metadata":{"finalizers":null}}`)
	if err := w.stack.Client().Delete(t.Context(), kustomization()); err != nil {
		t.Fatal(err)
	}
	wait := w.begin(patience)
	wait.hears("Flux in namespace gitops is not ready: its Kustomization gitops does not exist")
	if _, err := w.cluster.EnsureSync(t.Context(), sync); err != nil {
		t.Fatal(err)
	}
	if err := wait.ends(); err != nil {
		t.Error(err)
	}
}

// A controller whose pods cannot be made is named, with the reason.
func TestWaitSynced_controller(t *testing.T) {
	w := newWorld(t)
	if _, err := w.cluster.EnsureNamespace(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	if err := w.stack.Apply(t.Context(), []byte("{apiVersion: v1, kind: ResourceQuota, metadata: {name: "+
		"full, namespace: gitops}, spec: {hard: {pods: 0}}}")); err != nil {
		t.Fatal(err)
	}
	// The quota takes a moment to work.
	w.untilRefused("{apiVersion: v1, kind: Pod, metadata: {name: probe, namespace: gitops}, spec: " +
		"{containers: [{name: a, image: a}]}}")
	w.install(true)
	wait := w.begin(patience)
	wait.hears("is not ready (FailedCreate)", "exceeded quota: full",
		"a resource quota of the namespace is used up")
	if err := w.stack.Client().Delete(t.Context(), w.object("v1", "ResourceQuota", namespace, "full")); err !=
		nil {
		t.Fatal(err)
	}
	if err := wait.ends(); err != nil {
		t.Fatal(err)
	}
}

// A controller whose pods do not start is named, with what they wait for.
func TestWaitSynced_image(t *testing.T) {
	w := newWorld(t)
	release, err := w.stack.HoldPods(t.Context(), namespace, "source-controller", "ImagePullBackOff")
	if err != nil {
		t.Fatal(err)
	}
	w.install(true)
	wait := w.begin(patience)
	wait.hears("Deployment gitops/source-controller is not ready (ImagePullBackOff)",
		"the image cannot be pulled")
	if err := release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := wait.ends(); err != nil {
		t.Fatal(err)
	}
}
