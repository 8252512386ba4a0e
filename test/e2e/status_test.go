package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

const devSpec = "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"

// fleetWorld is a world with a management cluster and a workload cluster that are managed through Git, and a
// clone of the repository.
type fleetWorld struct {
	*world
	clone *gittest.WorkTree
}

func newFleetWorld(t testing.TB) *fleetWorld {
	t.Helper()
	w := newWorldIn(t, withDev())
	clone, err := w.gh.GitClient(githubToken(w)).Clone(t.Context(), w.gh.GitURL()+"alice/fleet.git",
		filepath.Join(t.TempDir(), "fleet"))
	if err != nil {
		t.Fatal(err)
	}
	return &fleetWorld{w, clone}
}

// push writes a file, pushes it and makes Flux look.
func (w *fleetWorld) push(path, content string) {
	w.t.Helper()
	w.clone.Write(path, content)
	w.commit()
}

func (w *fleetWorld) commit() {
	w.t.Helper()
	if _, err := w.clone.Commit(w.t.Context(), "Change the fleet"); err != nil {
		w.t.Fatal(err)
	}
	if err := w.clone.Push(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	requestReconcile(w.t)
}

func (w *fleetWorld) file(path string) string {
	return w.gh.Repo("alice/fleet").Git().Files("main")[path]
}

// until runs the program until it exits with the code and prints all texts: what is asserted takes Flux a
// moment.
func (w *world) until(args []string, code int, texts ...string) outcome {
	w.t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for {
		out := w.run(args...)
		good := out.code == code
		for _, text := range texts {
			good = good && strings.Contains(out.stdout, text)
		}
		if good {
			return out
		}
		if time.Now().After(deadline) {
			return out.exits(code).prints(texts...)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

var statusArgs = []string{"status"}

// lastProblem is what the end of the page has to be: the object, what is seen, the cause and the next
// command.
func lastProblem(out outcome) string {
	_, problems, _ := strings.Cut(out.stdout, "not well:")
	return problems
}

// One fleet through everything that users have suffered: each time the page says why, in plain words, and
// what is next; and it writes nothing.
func TestStatus_causes(t *testing.T) {
	w := newFleetWorld(t)
	before := w.mark()
	w.run("status").exits(0).prints("2 of 2 Ready", "read-only", "4 of 4 controllers ready", "up to date",
		"Drift        none", "All is well.")
	w.run("status", "dev").exits(0).prints("ControlPlaneReady", "All is well.")
	report := w.run("status", "-o", "json").exits(0).json()
	if report["healthy"] != true || at(t, report, "deployKey", "registered") != true ||
		at(t, report, "flux", "behind") != float64(0) {
		t.Errorf("report %v", report)
	}
	w.run("status", "dve").exits(3).tells("there is no cluster dve", "the clusters there are: dev, mgmt")
	before.writesNothing()
	good := w.file(devSpec)

	t.Run("an immutable field, refused by a webhook", func(t *testing.T) {
		w.push(devSpec, strings.Replace(good, "host: 198.18.100.20", "host: 198.18.100.99", 1))
		out := w.until(statusArgs, 5,
			"EKS Anywhere does not allow spec.controlPlaneConfiguration.endpoint to change",
			"git log -p -1 -- "+devSpec)
		out.prints("1 thing is not well", "1 commit behind")
	})
	t.Run("a build error in another cluster's file", func(t *testing.T) {
		w.push(devSpec, strings.Replace(good, "host: 198.18.100.20", "host: : 198.18.100.99", 1))
		w.until([]string{"status", "mgmt"}, 5, "BuildFailed: kustomize build failed: "+devSpec+
			": MalformedYAMLError", "blocks every cluster below the path", "file:   "+devSpec)
	})
	t.Run("a CRD that is not there", func(t *testing.T) {
		w.push(devSpec, good+"---\napiVersion: apps.example.com/v1\nkind: Widget\nmetadata:\n  name: one\n"+
			"  namespace: default\n")
		w.until(statusArgs, 5, "its CRD is missing", "kubectl api-resources --api-group apps.example.com")
	})
	t.Run("a quota that is used up", func(t *testing.T) {
		apply(t, `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"small","namespace":"default"},"spec":{"hard":{"count/configmaps":"0"}}}`)
		w.push(devSpec,
			good+"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\n  namespace: default\n")
		w.until(statusArgs, 5, "a resource quota of the namespace is used up",
			"kubectl -n default describe resourcequotas")
		remove(t, "", "v1", "ResourceQuota", "default", "small")
	})
	w.push(devSpec, good)
	w.until(statusArgs, 0, "All is well.")

	t.Run("suspended", func(t *testing.T) {
		patch(t,
			reference("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "flux-system", "flux-system"),
			`{"spec":{"suspend":true}}`)
		out := w.run("status").exits(5).prints("SUSPENDED", "Suspended: suspended since ",
			"resume it: kubectl -n flux-system patch kustomization")
		// Taken at its word, the next command repairs it.
		if !strings.Contains(out.stdout, `{"spec":{"suspend":false}}`) {
			t.Error(out.stdout)
		}
		patch(t,
			reference("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "flux-system", "flux-system"),
			`{"spec":{"suspend":false}}`)
	})
	t.Run("paused, and changed meanwhile", func(t *testing.T) {
		patch(t, clusterObject(t, "dev"), `{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":"disabled"}},"spec":{"workerNodeGroupConfigurations":[{"name":"md-0","count":4,"machineGroupRef":{"kind":"VSphereMachineConfig","name":"dev-md"}}]}}`)
		patch(t,
			reference("anywhere.eks.amazonaws.com", "v1alpha1", "VSphereMachineConfig", "default", "dev-md"),
			`{"metadata":{"annotations":{"anywhere.eks.amazonaws.com/paused":"true"}}}`)
		w.until(statusArgs, 5,
			"Flux leaves it alone since ",
			"annotate clusters.anywhere.eks.amazonaws.com dev kustomize.toolkit.fluxcd.io/reconcile-",
			"EKS Anywhere leaves it alone since ", "annotate "+
				"vspheremachineconfigs.anywhere.eks.amazonaws.com dev-md anywhere.eks.amazonaws.com/paused-",
			"Cluster default/dev: spec.workerNodeGroupConfigurations[md-0].count is 4; Git says 1",
			"nothing puts it back while it is left alone")
		report := w.run("status", "-o", "json").exits(5).json()
		drift, _ := report["drift"].([]any)
		if len(drift) != 1 || at(t, drift, 0, "git") != "1" || at(t, drift, 0, "live") != "4" ||
			report["exitCode"] != float64(5) {
			t.Errorf("drift %v, exit code %v", drift, report["exitCode"])
		}
		w.run("get", "clusters").exits(0).prints("paused")
		patch(t, clusterObject(t, "dev"),
			`{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":null}}}`)
		patch(t,
			reference("anywhere.eks.amazonaws.com", "v1alpha1", "VSphereMachineConfig", "default", "dev-md"),
			`{"metadata":{"annotations":{"anywhere.eks.amazonaws.com/paused":null}}}`)
		requestApply(t)
		w.until(statusArgs, 0, "All is well.")
	})
	t.Run("a controller that cannot pull its image", func(t *testing.T) {
		release, err := stackOf(t).HoldPods(t.Context(), "flux-system", "kustomize-controller",
			"ImagePullBackOff")
		if err != nil {
			t.Fatal(err)
		}
		patch(t, reference("apps", "v1", "Deployment", "flux-system", "kustomize-controller"),
			`{"spec":{"template":{"metadata":{"annotations":{"rolled":"now"}}}}}`)
		w.until(statusArgs, 5, "Deployment flux-system/kustomize-controller", "ImagePullBackOff",
			"the image cannot be pulled", "describe pods -l app=kustomize-controller")
		if err := release(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.until(statusArgs, 0, "All is well.")
	})
	t.Run("a host key that is not known", func(t *testing.T) {
		w.gh.ChangeHostKeys()
		requestReconcile(t)
		w.until(statusArgs, 5, "shows a host key that is not in the Secret's known_hosts",
			"eksa-gitops create cluster -f FILE")
		w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
		w.until(statusArgs, 0, "All is well.")
	})
	t.Run("the deploy key was deleted", func(t *testing.T) {
		removeDeployKeys(w.world, "alice/fleet")
		// It is seen before Flux has noticed, and stays one problem afterwards.
		w.run("status").exits(5).prints("is NOT registered", "1 thing is not well",
			"it registers the key again")
		requestReconcile(t)
		out := w.until(statusArgs, 5, "NOT ready (GitOperationFailed)")
		if strings.Count(lastProblem(out), "next:") != 1 {
			t.Errorf("more than one problem:\n%s", out.stdout)
		}
		w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
		w.until(statusArgs, 0, "All is well.")
	})
	t.Run("Git cannot be looked at", func(t *testing.T) {
		token := w.env["EKSA_GITHUB_TOKEN"]
		w.env["EKSA_GITHUB_TOKEN"] = ""
		w.run("status").exits(5).prints("head       not seen", "seen:   EKSA_GITHUB_TOKEN is not set",
			"2 of 2 Ready", "1 thing is not well", "it was not looked at")
		w.run("get", "clusters").exits(0).prints("mgmt",
			"dev").tells("some states are not known: EKSA_GITHUB_TOKEN is not set")
		w.env["EKSA_GITHUB_TOKEN"] = token
		url := w.env["EKSA_GITOPS_GITHUB_GIT_URL"]
		w.env["EKSA_GITOPS_GITHUB_GIT_URL"] = "https://127.0.0.1:1/"
		w.run("status").exits(5).prints("1. repository https://127.0.0.1:1/alice/fleet", "connection refused",
			"it was not looked at", "read-only")
		w.env["EKSA_GITOPS_GITHUB_GIT_URL"] = url
	})
	t.Run("the Secret is gone", func(t *testing.T) {
		remove(t, "", "v1", "Secret", "flux-system", "flux-system")
		w.until(statusArgs, 5, "Secret flux-system/flux-system", "Flux has no credentials")
	})
}

// requestApply makes Flux apply now, whatever it has fetched.
func requestApply(t testing.TB) {
	t.Helper()
	patch(t, reference("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "flux-system", "flux-system"),
		fmt.Sprintf(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`,
			time.Now().Format(time.RFC3339Nano)))
}

func apply(t testing.TB, content string) {
	t.Helper()
	if err := stackOf(t).Apply(t.Context(), []byte(content)); err != nil {
		t.Fatal(err)
	}
}

// A cluster that is only in Git or only in the management cluster is seen.
func TestGetClusters(t *testing.T) {
	w := newFleetWorld(t)
	before := w.mark()
	w.run("get", "clusters").exits(0).prints("NAME", "mgmt   management   1.33",
		"dev    workload     1.33      1/1")
	w.run("get", "clusters", "-n", "other").exits(0).tells(
		"no clusters found in namespace other; 2 clusters are in other namespaces: add -A")
	w.run("get", "clusters", "-A", "-o", "wide").exits(0).prints("NAMESPACE", "default", "MESSAGE", devSpec)
	if out := w.run("get", "clusters", "-o", "name").exits(0); out.stdout !=
		"cluster.anywhere.eks.amazonaws.com/mgmt\ncluster.anywhere.eks.amazonaws.com/dev\n" {
		t.Error(out.stdout)
	}
	w.run("get", "clusters", "dev", "-o", "yaml").exits(0).prints("clusters:\n- commit: ", "name: dev")
	w.run("get", "clusters", "dve").exits(3).tells("there is no cluster dve", "default/mgmt, default/dev")
	before.writesNothing()

	// Only in the cluster, without and with GitOps; only in Git, before and after Flux has applied the
	// commit.
	suspend := func(on bool) {
		patch(t,
			reference("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "flux-system", "flux-system"),
			fmt.Sprintf(`{"spec":{"suspend":%v}}`, on))
	}
	pets := strings.Replace(spec(t, "dev.yaml", "dev", "pets", ".20", ".30"),
		"  gitOpsRef:\n    kind: FluxConfig\n    name: pets\n", "", 1)
	apply(t, strings.Split(pets, "---\n")[0])
	suspend(true)
	w.clone.Write("clusters/mgmt/new/eksa-system/eksa-cluster.yaml",
		spec(t, "dev.yaml", "dev", "new", ".20", ".40"))
	w.clone.Write("clusters/mgmt/new/eksa-system/kustomization.yaml", "resources:\n- eksa-cluster.yaml\n")
	w.clone.Remove("clusters/mgmt/dev")
	w.commit()
	out := w.run("get", "clusters").exits(0)
	for name, state := range map[string]string{"new": "only in Git", "dev": "only in the cluster",
		"pets": "not in Git (not managed through Git)"} {
		if !strings.Contains(row(out.stdout, name), state) {
			t.Errorf("%s is not %q:\n%s", name, state, out.stdout)
		}
	}
	w.run("status", "new").exits(5).prints("only in Git")
	result := w.run("get", "clusters", "new", "-o", "json").exits(0).json()
	if at(t, result, "clusters", 0, "state") != "only in Git" ||
		at(t, result, "clusters", 0, "workers", "desired") != float64(1) {
		t.Errorf("%v", result)
	}
}

// row is the line of a table that begins with a name.
func row(table, name string) string {
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, name+" ") {
			return line
		}
	}
	return ""
}

// A watch shows every change once, and ends without a story when it is interrupted.
func TestStatus_watch(t *testing.T) {
	w := newFleetWorld(t)
	page := w.start("status", "--watch", "-o", "json")
	list := w.start("get", "clusters", "--watch")
	time.Sleep(2 * time.Second) // both have looked once; what comes later is a change
	patch(t, reference("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "flux-system", "flux-system"),
		`{"spec":{"suspend":true}}`)
	patch(t, clusterObject(t, "dev"),
		`{"metadata":{"annotations":{"anywhere.eks.amazonaws.com/paused":"true"}}}`)
	time.Sleep(8 * time.Second) // two looks
	for _, p := range []*process{page, list} {
		if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	out := page.wait().exits(130)
	if out.stderr != "" {
		t.Errorf("stderr:\n%s", out.stderr)
	}
	decoder := json.NewDecoder(strings.NewReader(out.stdout))
	var healthy []any
	for decoder.More() {
		var report map[string]any
		if err := decoder.Decode(&report); err != nil {
			t.Fatal(err)
		}
		healthy = append(healthy, report["healthy"])
	}
	if len(healthy) < 2 || healthy[0] != true || healthy[len(healthy)-1] != false {
		t.Errorf("healthy: %v", healthy)
	}
	rows := list.wait().exits(130)
	if lines := strings.Split(strings.TrimSpace(rows.stdout), "\n"); len(lines) != 4 ||
		!strings.Contains(lines[3], "dev") || !strings.Contains(lines[3], "paused") ||
		strings.Index(lines[2], "workload") != strings.Index(lines[3], "workload") {
		t.Errorf("rows:\n%s", rows.stdout)
	}
}

// Without a GitOps configuration there is the cluster to look at.
func TestStatus_notConfigured(t *testing.T) {
	w := newWorld(t)
	before := w.mark()
	w.run("status").exits(0).prints("1 of 1 Ready", "GitOps is not configured: cluster mgmt has no gitOpsRef",
		"All is well.")
	w.run("get", "clusters").exits(0).prints("not in Git (not managed through Git)")
	before.writesNothing()
}

// At a time limit the cause is the last thing that is printed, and it is the one that status names.
func TestCreate_timeLimitNamesCause(t *testing.T) {
	w := newWorld(t)
	release, err := stackOf(t).HoldPods(t.Context(), "flux-system", "source-controller", "ImagePullBackOff")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := release(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	out := w.run("create", "cluster", "-f", "mgmt.yaml", "--flux-timeout", "4s").exits(5)
	const cause, next = "the image cannot be pulled: look at the registry, its credentials and the network",
		"kubectl -n flux-system describe pods -l app=source-controller"
	lines := strings.Split(strings.TrimSpace(out.stderr), "\n")
	last := lines[max(0, len(lines)-2):]
	if !strings.Contains(last[0], "cause: ") || !strings.Contains(last[0],
		"Deployment flux-system/source-controller is not ready (ImagePullBackOff)") ||
		!strings.HasSuffix(last[0], cause) || last[1] != "eksa-gitops: hint: "+next {
		t.Errorf("the last lines are %q", last)
	}
	w.run("status").exits(5).prints("1. Deployment flux-system/source-controller", "cause:  "+cause,
		"next:   "+next)
}

// A generic Git server has no API: the key's registration cannot be told, the rest can.
func TestStatus_openSSH(t *testing.T) {
	w := newSSHWorld(t)
	w.git.AddRepo("acme/fleet")
	w.run("create", "cluster", "-f", "mgmt.yaml", "--cluster-private-key", w.clusterFile).exits(0)
	w.until(statusArgs, 0, w.cluster.Fingerprint()+" in Secret flux-system/flux-system", "All is well.")
	delete(w.env, "EKSA_GIT_PRIVATE_KEY")
	w.run("status").exits(5).prints("seen:   there is no private key", "it was not looked at")
}

// Merging takes nothing away that leads elsewhere, keeps what was there, and writes nothing the second time.
func TestGetKubeconfig_merge(t *testing.T) {
	w := newFleetWorld(t)
	management, err := os.ReadFile(stackOf(t).Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.dir, "config")
	if err := os.WriteFile(path, management, 0o644); err != nil {
		t.Fatal(err)
	}
	w.env["KUBECONFIG"] = path + string(filepath.ListSeparator) + filepath.Join(w.dir, "other")
	waitFor(t, reference("", "v1", "Secret", "eksa-system", "dev-kubeconfig"), "the kubeconfig",
		func(u *unstructured.Unstructured) bool { return u.GetUID() != "" })

	w.run("get", "kubeconfig", "dev", "--merge").exits(0).tells("added context dev to "+path,
		"what it was before is in "+path+".eksa-gitops.bak", "kubectl --context dev get nodes")
	for file, want := range map[string]struct {
		holds string
		mode  os.FileMode
	}{path: {"name: dev-admin", 0o644}, path + ".eksa-gitops.bak": {string(management), 0o600}} {
		content, err := os.ReadFile(file)
		info, statErr := os.Stat(file)
		if err != nil || statErr != nil || info.Mode().Perm() != want.mode ||
			!strings.Contains(string(content), want.holds) {
			t.Errorf("%s: %v, mode %v, want %v:\n%s", file, err, info.Mode(), want.mode, content)
		}
	}
	merged, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	w.run("get", "kubeconfig", "dev", "--merge").exits(0).tells("context dev in " + path + " is up to date")
	if again, err := os.Stat(path); err != nil || !again.ModTime().Equal(merged.ModTime()) {
		t.Errorf("it was written again (%v)", err)
	}
	// The current context still leads to the management cluster.
	w.run("status").exits(0)
	// A link is followed, not replaced; a lock of somebody else is waited for, and then named.
	link := filepath.Join(w.dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	both := w.env["KUBECONFIG"]
	w.env["KUBECONFIG"] = link
	w.run("get", "kubeconfig", "dev", "--merge", "--context-name", "linked").exits(0).tells(
		"added context linked to " + path)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is one no more (%v)", err)
	}
	w.write("config.lock", "")
	w.run("get", "kubeconfig", "dev", "--merge", "--context-name", "late").exits(1).tells(
		"the kubeconfig is locked", "rm "+path+".lock")
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	w.env["KUBECONFIG"] = both

	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	taken := strings.Replace(string(content), "server: https://dev", "server: https://elsewhere", 1)
	if taken == string(content) {
		taken = replaceServerOf(t, string(content), "dev")
	}
	if err := os.WriteFile(path, []byte(taken), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("get", "kubeconfig", "dev", "--merge").exits(3).tells(
		"there is a context dev already, which leads to another server", "--context-name", "--overwrite")
	if after, err := os.ReadFile(path); err != nil || string(after) != taken {
		t.Errorf("the file was changed (%v)", err)
	}
	w.run("get", "kubeconfig", "dev", "--merge", "--context-name", "lab", "--set-current").exits(0).tells(
		"added context lab", "it is the current context")
	// the current context is the workload cluster's now
	w.run("get", "kubeconfig", "dev", "--merge", "--overwrite").exits(3)
}

// replaceServerOf changes the address of a cluster in a kubeconfig as it is written: the entry's server is
// the line before its name.
func replaceServerOf(t testing.TB, content, name string) string {
	t.Helper()
	lines := strings.Split(content, "\n")
	for i, line := range lines {
		if line == "  name: "+name && strings.Contains(lines[i-1], "server: ") {
			lines[i-1] = "    server: https://elsewhere:6443"
			return strings.Join(lines, "\n")
		}
	}
	t.Fatalf("no cluster %s in:\n%s", name, content)
	return ""
}
