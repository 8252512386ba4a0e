//go:build unix

package fluxinstall_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// The whole installation: from nothing, again, after Flux has taken over, with damage, and with a change in
// Git.
func TestInstall(t *testing.T) {
	w := newWorld(t)
	before := w.inspect()
	if !before.EKSAInstalled || before.Flux.Namespace || before.Flux.Version != "" ||
		before.Flux.GitRepository != nil || before.Flux.SourceSecret != nil || len(before.Flux.Others) != 0 {
		t.Errorf("before: %+v", before)
	}
	if clusters := before.ManagementClusters(); len(clusters) != 1 || clusters[0].Name != "mgmt" ||
		!clusters[0].Ready || clusters[0].KubernetesVersion != "1.33" {
		t.Errorf("management clusters: %+v", clusters)
	}

	first := w.install(true)
	// The namespace is there before the components; all else is new.
	if !first.namespace || !first.secret || len(first.components.Created) != 31 ||
		!slices.Equal(first.components.Configured, []string{"Namespace/" + namespace}) ||
		len(first.components.Unchanged) != 0 {
		t.Errorf("first run: %+v", first)
	}
	if want := []string{"GitRepository/gitops/gitops", "Kustomization/gitops/gitops"}; !slices.Equal(
		first.sync.Created, want) {
		t.Errorf("first run: sync objects %v", first.sync.Created)
	}
	w.synced()

	state := w.inspect()
	if !state.Applied(branch, w.commit) {
		t.Errorf("it is not applied: %+v", state.Flux)
	}
	if flux := state.Flux; !flux.Namespace || flux.Version != fluxmanifests.Version ||
		len(flux.Controllers) != 4 || flux.GitRepository.URL != w.git.SSHURL("acme/fleet") ||
		flux.GitRepository.Secret != "flux-system" || flux.Kustomization.Path != "./"+repoPath ||
		!strings.HasPrefix(flux.SourceSecret.Fingerprint, "SHA256:") || len(flux.Others) != 0 {
		t.Errorf("flux: %+v", state.Flux)
	}
	if image := state.Flux.Controllers[0].Image; image != "ghcr.io/fluxcd/helm-controller:v1.6.3" {
		t.Errorf("image %s", image)
	}

	// kustomize-controller manages the same objects now. There is nothing to do, and nothing is done.
	mark, began := w.mark(), time.Now()
	if again := w.install(false); again.any() {
		t.Errorf("second run: %+v", again)
	}
	w.synced()
	t.Logf("second run in %s", time.Since(began))
	if got := w.writes(mark); len(got) != 0 {
		t.Errorf("second run wrote %v", got)
	}
	for _, manager := range w.object("apps/v1", "Deployment", namespace,
		"source-controller").GetManagedFields() {
		if manager.Operation == "Apply" && manager.Manager != "flux" &&
			manager.Manager != "kustomize-controller" {
			t.Errorf("manager %s", manager.Manager)
		}
	}

	// What somebody broke is repaired, and only that.
	if err := w.stack.Client().Delete(t.Context(),
		w.object("v1", "Service", namespace, "webhook-receiver")); err != nil {
		t.Fatal(err)
	}
	w.patch(eksacontroller.Object("apps/v1", "Deployment", namespace, "helm-controller"),
		`{"spec":{"template":{"spec":{"containers":[{"name":"manager","image":"example.com/other:v1"}]}}}}`)
	mark = w.mark()
	repaired := w.install(false)
	if !slices.Equal(repaired.components.Created, []string{"Service/gitops/webhook-receiver"}) ||
		!slices.Equal(repaired.components.Configured, []string{"Deployment/gitops/helm-controller"}) {
		t.Errorf("repair: %+v", repaired.components)
	}
	if got, want := w.writes(mark), []string{"patch deployments helm-controller",
		"patch services webhook-receiver"}; !slices.Equal(got, want) {
		t.Errorf("repair wrote %v, want %v", got, want)
	}

	// A commit of somebody else is fetched at once when asked for, not at Flux's next look in a minute.
	w.push(map[string]string{repoPath + "/note.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: " +
		"note, namespace: default}, data: {commit: two}}"})
	mark, began = w.mark(), time.Now()
	if err := w.cluster.RequestReconcile(t.Context(), namespace, namespace); err != nil {
		t.Fatal(err)
	}
	w.synced()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	w.object("v1", "ConfigMap", "default", "note")
	if got, want := w.writes(mark), []string{"patch gitrepositories gitops"}; !slices.Equal(got, want) {
		t.Errorf("asking wrote %v, want %v", got, want)
	}
}

// A later commit that includes ours is as good, if the caller says so.
func TestWaitSynced_laterCommit(t *testing.T) {
	w := newWorld(t)
	ours := w.commit
	later := w.push(map[string]string{"README.md": "fleet\n"})
	w.install(true)
	var asked []string
	wait := w.wait()
	wait.Commit = ours
	wait.Accept = func(revision string) bool { asked = append(asked, revision); return true }
	if err := w.cluster.WaitSynced(t.Context(), wait, nil); err != nil {
		t.Fatal(err)
	}
	if want := []string{"main@sha1:" + later}; !slices.Equal(asked, want) {
		t.Errorf("asked about %v, want %v", asked, want)
	}
}

// A run that was interrupted anywhere is completed by the next.
func TestInstall_continues(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	components, _ := w.built()
	// Half an installation: CRDs and some objects, applied by nobody in particular, in a namespace without
	// labels.
	if _, err := w.cluster.EnsureNamespace(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(components), "\n---\n")
	if _, err := w.cluster.EnsureComponents(ctx,
		[]byte(strings.Join(documents[:len(documents)/2], "\n---\n")), nil); err != nil {
		t.Fatal(err)
	}
	done := w.install(true)
	if done.namespace || len(done.components.Created) == 0 || len(done.components.Unchanged) == 0 {
		t.Errorf("%+v", done)
	}
	w.synced()
}

// What an installation has created is taken back, and nothing else: neither what was there before nor the
// namespace.
func TestRemoveComponents(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	components, _ := w.built()
	documents := strings.Split(string(components), "\n---\n")
	before, err := w.cluster.EnsureComponents(ctx,
		[]byte(strings.Join(documents[:len(documents)/2], "\n---\n")), nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := w.cluster.EnsureComponents(ctx, components, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(before.Created) == 0 || len(made.Created) == 0 {
		t.Fatalf("before %+v, then %+v", before, made)
	}
	removed, err := w.cluster.RemoveComponents(ctx, components, made)
	slices.Sort(removed)
	if err != nil || !slices.Equal(removed, made.Created) {
		t.Errorf("removed %q, want %q: %v", removed, made.Created, err)
	}
	if again, err := w.cluster.RemoveComponents(ctx, components, made); err != nil || len(again) > 0 {
		t.Errorf("a second time removed %q: %v", again, err)
	}
	after, err := w.cluster.EnsureComponents(ctx, components, nil)
	if err != nil || !slices.Equal(after.Created, made.Created) ||
		!slices.Equal(after.Unchanged, before.Created) {
		t.Errorf("installed again: %+v; %v", after, err)
	}
}

// A namespace that is on its way out is waited for.
func TestEnsureNamespace_terminating(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.stack.Apply(ctx, []byte("{apiVersion: v1, kind: Namespace, metadata: {name: gitops}}\n---\n"+
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: held, namespace: gitops, finalizers: "+
		"[example.com/held]}}\n")); err != nil {
		t.Fatal(err)
	}
	ns := w.object("v1", "Namespace", "", namespace)
	first := ns.GetUID()
	if err := w.stack.Client().Delete(ctx, ns); err != nil {
		t.Fatal(err)
	}
	if state := w.inspect(); !state.Flux.Terminating {
		t.Errorf("it is not seen as terminating: %+v", state.Flux)
	}
	result := make(chan error, 1)
	go func() {
		created, err := w.cluster.EnsureNamespace(ctx, namespace)
		if err == nil && !created {
			t.Error("it was not created")
		}
		result <- err
	}()
	w.patch(eksacontroller.Object("v1", "ConfigMap", namespace, "held"), `{"metadata":{"finalizers":null}}`)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if second := w.object("v1", "Namespace", "", namespace).GetUID(); second == first {
		t.Error("it is the old one")
	}
}

// Somebody else's Flux is seen for what it is.
func TestInspect_others(t *testing.T) {
	w := newWorld(t)
	deployment := func(namespace, name, labels string) string {
		return `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: ` + namespace + `, name: ` +
			name + `, labels: {app.kubernetes.io/part-of: flux` + labels + `}},
  spec: {replicas: 0, selector: {matchLabels: {app: ` + name + `}}, template: {metadata: {labels: {app: ` +
			name + `}}, spec: {containers: [{name: manager, image: example.com/a:v1}]}}}}`
	}
	err := w.stack.Apply(t.Context(), []byte(strings.Join([]string{
		"{apiVersion: v1, kind: Namespace, metadata: {name: gitops}}",
		"{apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}",
		deployment("flux-system", "source-controller", ""),
		deployment("gitops", "helm-controller",
			", app.kubernetes.io/managed-by: Helm, app.kubernetes.io/instance: flux2"),
	}, "\n---\n")))
	if err != nil {
		t.Fatal(err)
	}
	want := []fluxinstall.Other{
		{Description: "its controllers run in namespace flux-system, the spec says gitops",
			Installer: fluxinstall.InstallerElsewhere, Namespace: "flux-system"},
		{Description: "its controllers in namespace gitops belong to Helm release flux2",
			Installer: fluxinstall.InstallerHelm, Namespace: "gitops", Name: "flux2"},
	}
	if got := w.inspect().Flux.Others; !slices.Equal(got, want) {
		t.Errorf("others %v, want %v", got, want)
	}
}

// The Secret on a real server: made once, repaired where it differs, never rotated.
func TestEnsureSourceSecret(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if _, err := w.cluster.EnsureNamespace(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	step := func(what string, source fluxinstall.SourceSecret, wantWrites ...string) string {
		t.Helper()
		mark := w.mark()
		public, changed, err := w.cluster.EnsureSourceSecret(ctx, source)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if changed != (len(wantWrites) > 0) {
			t.Errorf("%s: changed %v", what, changed)
		}
		if got := w.writes(mark); !slices.Equal(got, wantWrites) {
			t.Errorf("%s: writes %v, want %v", what, got, wantWrites)
		}
		return public
	}
	first := step("new", w.source(), "create secrets")
	if got := step("again", w.source()); got != first {
		t.Error("again: another key")
	}
	w.patch(eksacontroller.Object("v1", "Secret", namespace, "flux-system"),
		`{"stringData":{"known_hosts":"old","identity.pub":"wrong"}}`)
	if got := step("damaged", w.source(), "patch secrets flux-system"); got != first {
		t.Error("damaged: another key")
	}
	if err := w.stack.Client().Delete(ctx, w.object("v1", "Secret", namespace, "flux-system"),
		client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	if got := step("deleted", w.source(), "create secrets"); got == first {
		t.Error("deleted: the same key")
	}
}
