package e2e_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// bootstrapped is a world in which somebody has installed Flux with the Flux CLI, for a repository and a path
// of their own.
func bootstrapped(t testing.TB, name, path string) (*world, *githubtest.Repo) {
	t.Helper()
	w := newWorld(t)
	ctx := t.Context()
	repo := w.gh.AddRepo(name, emptyRepo()...)
	cluster, err := fluxinstall.Connect(ctx, fluxinstall.KubeconfigOptions{
		Paths: []string{stackOf(t).AdminKubeconfig()}, UserAgent: "flux/v2.8.5"})
	if err != nil {
		t.Fatal(err)
	}
	components, err := fluxmanifests.Components(ctx, fluxmanifests.ComponentsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	components = []byte(older(string(components)))
	sync, err := fluxmanifests.Sync(fluxmanifests.SyncOptions{URL: w.gh.SSHURL() + name, Branch: "main",
		Path: "./" + path})
	if err != nil {
		t.Fatal(err)
	}
	commit := repo.Git().Commit(gittest.Change{Branch: "main", Message: "Add Flux v2.8.5 component manifests",
		Files: map[string]string{
			path + "/flux-system/gotk-components.yaml": string(components),
			path + "/flux-system/gotk-sync.yaml":       string(sync),
			path + "/flux-system/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\n" +
				"kind: Kustomization\nresources:\n- gotk-components.yaml\n- gotk-sync.yaml\n",
			path + "/apps/shop.yaml": "apiVersion: v1\nkind: ConfigMap\n" +
				"metadata: {name: shop, namespace: default}\ndata: {open: \"yes\"}\n",
			path + "/apps/cellar.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: cellar}\n",
		}})
	if _, err := cluster.EnsureNamespace(ctx, "flux-system"); err != nil {
		t.Fatal(err)
	}
	public, _, err := cluster.EnsureSourceSecret(ctx, fluxinstall.SourceSecret{Namespace: "flux-system",
		GenerateAlgorithm: "ecdsa", KnownHosts: []byte(w.gh.KnownHosts())})
	if err != nil {
		t.Fatal(err)
	}
	repo.AddDeployKey("flux-system", public, true)
	if _, err := cluster.EnsureComponents(ctx, components, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.EnsureSync(ctx, sync); err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := cluster.WaitSynced(limited,
		fluxinstall.SyncWait{Namespace: "flux-system", Name: "flux-system", Branch: "main", Commit: commit},
		nil); err != nil {
		t.Fatal(err)
	}
	return w, repo
}

// kept makes sure that what the old files had brought is still there, that nobody is about to delete it, and
// that Flux is on the new files and deletes again.
func kept(t testing.TB, w *world) {
	t.Helper()
	for _, o := range []*unstructured.Unstructured{object(t, "", "v1", "ConfigMap", "default", "shop"),
		object(t, "", "v1", "Namespace", "", "cellar")} {
		if o.GetDeletionTimestamp() != nil {
			t.Errorf("%s %s is being deleted", o.GetKind(), o.GetName())
		}
	}
	ks := object(t, kustomizeGroup, "v1", "Kustomization", "flux-system", "flux-system")
	if at(t, ks, "spec", "path") != "./clusters/mgmt" || at(t, ks, "spec", "prune") != true {
		t.Errorf("the Kustomization says %v", at(t, ks, "spec"))
	}
	git := object(t, sourceGroup, "v1", "GitRepository", "flux-system", "flux-system")
	if at(t, git, "spec", "url") != w.gh.SSHURL()+"alice/fleet" {
		t.Errorf("the GitRepository says %v", at(t, git, "spec"))
	}
	for _, o := range []*unstructured.Unstructured{ks, git} {
		for name := range o.GetAnnotations() {
			if strings.HasPrefix(name, "eksa-gitops") || name == "kustomize.toolkit.fluxcd.io/reconcile" {
				t.Errorf("%s still has the annotation %s", o.GetKind(), name)
			}
		}
	}
	entries, _ := at(t, ks, "status", "inventory", "entries").([]any)
	for _, entry := range entries {
		if id := at(t, entry, "id").(string); strings.Contains(id, "shop") || strings.Contains(id, "cellar") {
			t.Errorf("the inventory still has %s", id)
		}
	}
}

// TestAdopt takes over a plain bootstrap that follows another repository, or another path of the same one.
func TestAdopt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, repository, path string }{
		{"another repository", "alice/infra", "clusters/prod"},
		{"another repository, same path", "alice/infra", "clusters/mgmt"},
		{"another path", "alice/fleet", "prod"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, old := bootstrapped(t, test.repository, test.path)
			before := w.mark()
			w.run("create", "cluster", "-f", "mgmt.yaml").exits(3).tells(
				"eksa-gitops upgrade cluster --adopt")
			w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(3).tells("take it over with --adopt")
			plan := w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--adopt", "--dry-run").exits(0)
			plan.prints("ConfigMap default/shop", "Namespace cellar", "This was a dry run").tells(
				"follows branch main of "+w.gh.SSHURL()+test.repository+" and applies path ./"+test.path,
				"Have Flux delete nothing")
			before.writesNothing()

			out := w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--adopt").exits(0)
			out.prints("No longer managed through Git", "  ConfigMap default/shop\n", "  Namespace cellar\n",
				"taken over  from branch main of")
			kept(t, w)
			if got := image(t, "source-controller"); got != "ghcr.io/fluxcd/source-controller:v1.9.4" {
				t.Errorf("source-controller has image %s", got)
			}
			record := ""
			for _, line := range strings.Split(out.stdout, "\n") {
				if _, name, ok := strings.Cut(line, "kept in Secret flux-system/"); ok {
					record = name
				}
			}
			if _, there := exists(t, "", "v1", "Secret", "flux-system", record); !there {
				t.Errorf("there is no Secret %q", record)
			}
			keys := old.DeployKeys()
			if len(keys) == 0 {
				t.Fatal("the old repository's deploy key is gone")
			}
			encoded, _ := at(t, object(t, "", "v1", "Secret", "flux-system", record), "data",
				"identity.pub").(string)
			if public, err := base64.StdEncoding.DecodeString(encoded); err != nil ||
				!strings.Contains(string(public), strings.Fields(keys[0].Key)[1]) {
				t.Errorf("the record has the public key %q, want the old repository's %q (%v)",
					public, keys[0].Key, err)
			}
			again := w.mark()
			w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
			w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--adopt").exits(0).prints("Nothing to do")
			again.writesNothing()

			// What goes from the new files is deleted again, and what the old ones had brought is not.
			path := "clusters/mgmt/notes/notes.yaml"
			follows(t, w.push(gittest.Change{Branch: "main", Message: "Add notes", Files: map[string]string{
				path: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes, namespace: default}\n"}}))
			follows(t,
				w.push(gittest.Change{Branch: "main", Message: "Remove notes", Delete: []string{path}}))
			if _, there := exists(t, "", "v1", "ConfigMap", "default", "notes"); there {
				t.Error("Flux does not delete what is taken out of the new files")
			}
			kept(t, w)
		})
	}
}

// kill runs the program and kills it when it begins a step.
func (w *world) kill(step string, args ...string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), suite.program, args...)
	cmd.Dir = w.dir
	for name, value := range w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	var told strings.Builder
	begun := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		told.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), `"begin"`) && strings.Contains(lines.Text(), step) && !begun {
			begun = true
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait() // it was killed
	if !begun {
		w.t.Fatalf("the program has not begun %q:\n%s", step, told.String())
	}
}

// TestAdopt_cutOff kills the run at different moments. Nothing is ever deleted, and the next run goes on.
func TestAdopt_cutOff(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"Push cluster files", "Have Flux delete nothing",
		"Register the read-only deploy key", "Point Flux at the repository",
		"Wait for Flux to apply the new files", "Let Flux delete again"} {
		t.Run(step, func(t *testing.T) {
			w, _ := bootstrapped(t, "alice/infra", "clusters/prod")
			w.kill(step, "upgrade", "cluster", "-f", "mgmt.yaml", "--adopt", "--progress", "json")
			second := w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--adopt").exits(0)
			second.prints("ConfigMap default/shop")
			kept(t, w)
			again := w.mark()
			w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
			again.writesNothing()
		})
	}
}

// TestAdopt_overtaken: others change the cluster in Git after the take-over's push and before Flux has
// looked. Flux is taken over all the same, and deletes again; then the run says what they did.
func TestAdopt_overtaken(t *testing.T) {
	w, _ := bootstrapped(t, "alice/infra", "clusters/prod")
	g := newGate(w)
	const path, wordToFlux = "clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml", 10
	adopt := []string{"upgrade", "cluster", "-f", "mgmt.yaml", "--adopt"}
	out := w.overtake(g, wordToFlux, adopt, func() {
		grown := strings.Replace(w.files()[path], "count: 1   # scaled", "count: 2   # scaled", 1)
		w.push(gittest.Change{Branch: "main", Message: "Grow", Files: map[string]string{path: grown}})
	})
	out.exits(5).tells("no longer managed through Git: ConfigMap default/shop", "✓ Let Flux delete again",
		"somebody else pushed before Flux had applied ", ": Grow): cluster mgmt: ",
		"the file says 1 (mgmt.yaml:18), Git says 2")
	kept(t, w)
	w.edit("mgmt.yaml", "count: 1   # scaled", "count: 2   # scaled")
	w.run(adopt...).exits(0)
	before := w.mark()
	w.run(adopt...).exits(0).prints("Nothing to do")
	before.writesNothing()
	kept(t, w)
	if got := at(t, clusterObject(t, "mgmt"), "spec", "workerNodeGroupConfigurations", 0, "count"); got !=
		int64(2) {
		t.Errorf("the cluster has count %v, want the other's 2", got)
	}
}

// TestAdopt_failure: the new files cannot be applied at first, while Flux has applied some of them. Nothing
// is deleted meanwhile.
func TestAdopt_failure(t *testing.T) {
	w, _ := bootstrapped(t, "alice/infra", "clusters/prod")
	w.gh.AddRepo("alice/fleet",
		githubtest.Files(map[string]string{"clusters/mgmt/broken/broken.yaml": "apiVersion: v1\n" +
			"kind: ConfigMap\nmetadata: {name: broken, namespace: nowhere}\n"}))
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--adopt", "--flux-timeout", "8s").exits(5).tells(
		"nowhere")
	ks := object(t, kustomizeGroup, "v1", "Kustomization", "flux-system", "flux-system")
	if at(t, ks, "spec", "prune") != false {
		t.Errorf("the Kustomization deletes: %v", at(t, ks, "spec"))
	}
	before := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(3).tells("a run that was cut off began to take over",
		"--adopt")
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(3).tells("a run that was cut off began to take over",
		"eksa-gitops upgrade cluster --adopt")
	before.writesNothing()
	w.push(gittest.Change{Branch: "main", Message: "Mend it",
		Delete: []string{"clusters/mgmt/broken/broken.yaml"}})
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--adopt").exits(0).prints("ConfigMap default/shop")
	kept(t, w)
}

// TestAdopt_others: what Helm or flux-operator keeps, and what runs in another namespace, is described and
// left alone.
func TestAdopt_others(t *testing.T) {
	w, _ := bootstrapped(t, "alice/infra", "clusters/prod")
	stackOf(t).StopFlux()
	label := func(content string) {
		for _, name := range []string{"source-controller", "kustomize-controller", "helm-controller",
			"notification-controller"} {
			patch(t, reference("apps", "v1", "Deployment", "flux-system", name), content)
		}
	}
	label(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"Helm","helm.sh/chart":"flux2-2.18.0"},"annotations":{"meta.helm.sh/release-name":"flux2","meta.helm.sh/release-namespace":"flux-system"}}}`)
	refused := func(texts ...string) {
		t.Helper()
		before := w.mark()
		w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--adopt").exits(3).tells(texts...)
		before.writesNothing()
	}
	refused("belong to Helm release flux2 (chart flux2-2.18.0); it follows branch main of "+w.gh.SSHURL()+
		"alice/infra and applies path ./clusters/prod", "helm uninstall flux2")
	label(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":null},"annotations":{"meta.helm.sh/release-name":null}}}`)

	if err := stackOf(t).Apply(t.Context(), []byte(fluxInstanceDefinition)); err != nil {
		t.Fatal(err)
	}
	if err := stackOf(t).Apply(t.Context(), []byte(fmt.Sprintf(`apiVersion: fluxcd.controlplane.io/v1
kind: FluxInstance
metadata: {name: flux, namespace: flux-system}
spec:
  distribution: {version: 2.8.x, registry: ghcr.io/fluxcd}
  sync: {kind: GitRepository, url: %salice/infra, ref: refs/heads/main, path: clusters/prod}
`, w.gh.SSHURL()))); err != nil {
		t.Fatal(err)
	}
	refused("FluxInstance flux-system/flux of flux-operator keeps Flux 2.8.x; it follows refs/heads/main of "+
		w.gh.SSHURL()+"alice/infra and applies path clusters/prod", "flux-operator would undo")
	remove(t, "fluxcd.controlplane.io", "v1", "FluxInstance", "flux-system", "flux")

	w.edit("mgmt.yaml", "  github:\n    personal: true\n",
		"  systemNamespace: gitops\n  github:\n    personal: true\n")
	refused("its controllers run in namespace flux-system, the spec says gitops; it follows branch main of",
		"put systemNamespace: flux-system into the spec")
}

const fluxInstanceDefinition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: fluxinstances.fluxcd.controlplane.io}
spec:
  group: fluxcd.controlplane.io
  scope: Namespaced
  names: {kind: FluxInstance, listKind: FluxInstanceList, plural: fluxinstances, singular: fluxinstance}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`
