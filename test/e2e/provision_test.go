package e2e_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// vspherePassword is in the environment of eksctl, which prints it.
const vspherePassword = "s3ntinel-Passw0rd"

// fakeEksctl is the directory of the fake eksctl, which is built once.
var fakeEksctl = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "eksa-gitops-fakeeksctl-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "eksctl")
	cmd := exec.Command("go", "build", "-o", program, "../fakeeksctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the fake eksctl: %w\n%s", err, out)
	}
	return dir, os.Symlink(program, filepath.Join(dir, "eksctl-anywhere"))
})

// newProvisioned is a world with eksctl on PATH. Its management cluster is up unless bare says that it does
// not exist yet.
func newProvisioned(t *testing.T, bare bool) *world {
	t.Helper()
	w := newWorld(t)
	dir, err := fakeEksctl()
	if err != nil {
		t.Fatal(err)
	}
	w.env["PATH"] = dir + string(os.PathListSeparator) + os.Getenv("PATH")
	w.env["FAKE_EKSCTL_CALLS"] = filepath.Join(t.TempDir(), "calls")
	w.env["FAKE_EKSCTL_CLUSTER"] = w.env["KUBECONFIG"]
	w.env["EKSA_VSPHERE_PASSWORD"] = vspherePassword
	w.env["TMPDIR"] = t.TempDir()
	if bare {
		delete(w.env, "KUBECONFIG")
		cluster := clusterObject(t, "mgmt")
		patch(t, cluster,
			fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}}}`, eksacontroller.ManagedByCLI))
		remove(t, eksaGroup, "v1alpha1", "Cluster", "default", "mgmt")
		// What it owns goes with it.
		waitGone(t, reference(eksaGroup, "v1alpha1", "VSphereDatacenterConfig", "default", "mgmt"))
		waitGone(t, reference(eksaGroup, "v1alpha1", "VSphereMachineConfig", "default", "mgmt-cp"))
		waitGone(t, reference(eksaGroup, "v1alpha1", "VSphereMachineConfig", "default", "mgmt-md"))
	} else {
		w.env["KUBECONFIG"] = ""
		w.copyKubeconfig("mgmt")
	}
	t.Cleanup(func() { w.assertEksctlClean() })
	return w
}

// copyKubeconfig leaves the kubeconfig of a cluster where eksctl anywhere does.
func (w *world) copyKubeconfig(cluster string) {
	w.t.Helper()
	content, err := os.ReadFile(w.env["FAKE_EKSCTL_CLUSTER"])
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(w.dir, cluster), 0o755); err != nil {
		w.t.Fatal(err)
	}
	w.write(filepath.Join(cluster, cluster+"-eks-a-cluster.kubeconfig"), string(content))
}

// calls are the calls of eksctl so far, but for the questions for its version.
func (w *world) calls() []string {
	w.t.Helper()
	content, err := os.ReadFile(w.env["FAKE_EKSCTL_CALLS"])
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

// assertEksctlClean makes sure that no secret of eksctl's environment has come out, that nothing of ours has
// gone into it, and that no private file is left.
func (w *world) assertEksctlClean() {
	if left, err := os.ReadDir(w.env["TMPDIR"]); err != nil || len(left) > 0 {
		w.t.Errorf("private files are left: %v (%v)", left, err)
	}
	texts := map[string]string{"the program's output": w.outputs.String()}
	logs, err := filepath.Glob(filepath.Join(w.dir, "*", "*-eksctl-*.log"))
	if err != nil {
		w.t.Error(err)
	}
	for _, path := range logs {
		content, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || info.Mode().Perm() != 0o600 {
			w.t.Errorf("%s: %v, mode %v", path, err, info.Mode())
		}
		texts[path] = string(content)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("admin:" + vspherePassword))
	for where, text := range texts {
		for _, secret := range []string{vspherePassword, vspherePassword[:9], encoded, encoded[12:],
			"none of my business", "\x1b[31m"} {
			if strings.Contains(text, secret) {
				w.t.Errorf("%s holds %q:\n%s", where, secret, text)
			}
		}
	}
}

// From nothing to a management cluster and a workload cluster, both made by eksctl anywhere and managed
// through Git.
func TestProvision_create(t *testing.T) {
	w := newProvisioned(t, true)
	create := []string{"create", "cluster", "-f", "mgmt.yaml", "--provisioner", "eksctl"}

	before := w.mark()
	dry := w.run(append(create, "--dry-run")...).exits(0)
	dry.tells("Check the management cluster (no kubeconfig leads to mgmt)", "Check eksctl anywhere (v0.26.0)",
		"Create cluster mgmt with eksctl anywhere (eksctl anywhere create cluster -f mgmt.yaml, planned)",
		"Create repository alice/fleet (private, planned)")
	before.writesNothing()
	if calls := w.calls(); calls != nil {
		t.Errorf("a dry run called eksctl: %v", calls)
	}

	first := w.run(create...).exits(0)
	first.prints("Cluster mgmt is managed through Git.",
		"eksctl log  mgmt/mgmt-eksctl-create-").tells("eksctl| Creating new workload cluster",
		"eksctl| govc login -u admin -p ***", `eksctl| \x1b[31mred\x1b[0m`, "Cluster created!")
	if calls := w.calls(); len(calls) != 1 ||
		!strings.HasPrefix(calls[0], "anywhere create cluster -f "+w.env["TMPDIR"]) {
		t.Errorf("eksctl was called: %v", calls)
	}
	if ref := at(t, clusterObject(t, "mgmt"), "spec", "gitOpsRef", "name"); ref != "mgmt" {
		t.Errorf("gitOpsRef of the live cluster: %v", ref)
	}
	before = w.mark()
	w.run(create...).exits(0).prints("Nothing to do: cluster mgmt is managed through Git.")
	// KUBECONFIG may still be about another cluster; the file that eksctl leaves is the one of this one.
	w.env["KUBECONFIG"] = "/nowhere/at-all"
	w.run(create...).exits(0).prints("Nothing to do")
	delete(w.env, "KUBECONFIG")
	before.writesNothing()

	create[3] = "dev.yaml"
	result := w.run(append(create, "-o", "json")...).exits(0).json()
	provision := at(t, result, "clusters", 0, "provision")
	if at(t, provision, "command") !=
		"eksctl anywhere create cluster -f dev.yaml --kubeconfig mgmt/mgmt-eks-a-cluster.kubeconfig" ||
		at(t, provision, "done") != true {
		t.Errorf("provision: %v", provision)
	}
	dev := clusterObject(t, "dev")
	if at(t, dev, "spec", "gitOpsRef", "name") != "dev" || dev.GetAnnotations()[eksacontroller.Paused] != "" {
		t.Errorf("dev: %v, annotations %v", at(t, dev, "spec", "gitOpsRef"), dev.GetAnnotations())
	}
	if applied := dev.GetLabels()["kustomize.toolkit.fluxcd.io/name"]; applied != "flux-system" {
		t.Errorf("Flux does not manage dev: %v", dev.GetLabels())
	}
	if files := w.files(); files[devFiles[0]] == "" || !strings.Contains(files[devFiles[0]], "gitOpsRef") {
		t.Errorf("dev in Git: %v", keys(files))
	}
	before = w.mark()
	w.run(create...).exits(0).prints("Nothing to do")
	before.writesNothing()
	if calls := w.calls(); len(calls) != 2 {
		t.Errorf("eksctl was called: %v", calls)
	}
	w.run("status", "mgmt").exits(0).prints("All is well.")
}

// eksctl fails: nothing of GitOps has been begun, the last lines say why, and the next run goes on. A
// creation that broke off half way is one that eksctl itself does not continue, which is said before anything
// is done.
func TestProvision_createFails(t *testing.T) {
	w := newProvisioned(t, true)
	create := []string{"create", "cluster", "-f", "mgmt.yaml", "--provisioner", "eksctl"}
	before := w.mark()
	w.env["FAKE_EKSCTL"] = "fail"
	w.run(create...).exits(5).tells(
		"cluster mgmt was not created: eksctl anywhere create cluster -f mgmt.yaml failed with exit code 255",
		"no route to host", "all of its output is in mgmt/mgmt-eksctl-create-",
		"continue with: eksa-gitops create cluster -f mgmt.yaml --provisioner eksctl")
	before.writesNothing()

	w.env["FAKE_EKSCTL"] = "fail-late"
	// Nothing is offered to continue with: it would not work.
	if late := w.run(create...).exits(5).tells("timed out", "an unfinished creation of mgmt",
		"delete what it has made"); strings.Contains(late.stderr, "continue with") {
		t.Errorf("a command is offered that is refused:\n%s", late.stderr)
	}
	delete(w.env, "FAKE_EKSCTL")
	calls := len(w.calls())
	w.run(create...).exits(3).tells("has no management Cluster object", "an unfinished creation of mgmt",
		"delete what it has made")
	before.writesNothing()
	if len(w.calls()) != calls {
		t.Error("eksctl was called all the same")
	}
	if err := os.RemoveAll(filepath.Join(w.dir, "mgmt")); err != nil {
		t.Fatal(err)
	}
	w.run(create...).exits(0).prints("Cluster mgmt is managed through Git.")

	// A workload cluster is there as soon as its objects are: the next run waits for it and goes on with Git.
	create[3] = "dev.yaml"
	w.env["FAKE_EKSCTL"] = "fail-late"
	w.run(create...).exits(5).tells("cluster dev was not created", "waiting for cluster to be ready")
	if w.files()[devFiles[0]] != "" {
		t.Error("dev is in Git")
	}
	calls = len(w.calls())
	w.run(create...).exits(0).prints("Cluster dev is managed through Git.")
	if len(w.calls()) != calls {
		t.Error("eksctl was called again")
	}
	w.env["PATH"] = "/usr/bin:/bin"
	w.write("test.yaml", spec(t, "dev.yaml", "name: dev", "name: test", "198.18.100.20", "198.18.100.21"))
	before = w.mark()
	w.run("create", "cluster", "-f", "test.yaml", "--provisioner", "eksctl").exits(3).tells(
		"eksctl is not on PATH", "install eksctl and its plugin")
	before.writesNothing()
}

// GitOps that cannot be enabled does not keep the cluster from being made, whether that is known before or
// comes to light later.
func TestProvision_createWithoutGitHub(t *testing.T) {
	w := newProvisioned(t, true)
	heal := w.gh.Break("* /**", githubtest.Respond(503, "down"))
	create := []string{"create", "cluster", "-f", "mgmt.yaml", "--provisioner", "eksctl"}
	// Whether mgmt was built already, from another directory, nobody can say now; that it was not is for a
	// person to say.
	w.run(create...).exits(3).tells("which would tell whether it was built already, cannot be looked at",
		"add --build mgmt")
	w.run(append(create, "--build", "mgmt")...).exits(0).tells("Cluster created!",
		"cluster mgmt is up, but GitOps is NOT enabled")
	if !hasCluster(t, "mgmt") || len(w.calls()) != 1 {
		t.Errorf("mgmt was not made: %v", w.calls())
	}
	heal()
	w.run(create...).exits(0).prints("Cluster mgmt is managed through Git.")
	if len(w.calls()) != 1 {
		t.Errorf("eksctl was called again: %v", w.calls())
	}
}

// An interrupt reaches eksctl, ends the run with 130 and leaves no private file; a second one kills an eksctl
// that does not heed the first.
func TestProvision_createInterrupted(t *testing.T) {
	w := newProvisioned(t, true)
	before := w.mark()
	for _, tc := range []struct {
		mode    string
		signals int
	}{{"hang", 1}, {"stubborn", 2}} {
		w.env["FAKE_EKSCTL"] = tc.mode
		p := w.start("create", "cluster", "-f", "mgmt.yaml", "--provisioner", "eksctl")
		w.waitLog("mgmt", "hanging")
		for i := range tc.signals {
			if i > 0 {
				w.waitLog("mgmt", "a second Ctrl-C kills it")
			}
			if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
		out := p.wait().exits(130)
		out.tells("interrupted",
			"continue with: eksa-gitops create cluster -f mgmt.yaml --provisioner eksctl")
		if out.took > 30*time.Second {
			t.Errorf("%s: it took %s", tc.mode, out.took)
		}
		if err := os.RemoveAll(filepath.Join(w.dir, "mgmt")); err != nil {
			t.Fatal(err)
		}
	}
	before.writesNothing()
}

// waitLog waits until a log of eksctl's work on a cluster holds a text.
func (w *world) waitLog(cluster, text string) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		logs, err := filepath.Glob(filepath.Join(w.dir, cluster, "*-eksctl-*.log"))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, path := range logs {
			if content, err := os.ReadFile(path); err == nil && strings.Contains(string(content), text) {
				return
			}
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("no log of %s holds %q: %v", cluster, text, logs)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// newProvisionedFleet is a world in which mgmt, and with it dev, is managed through Git, and eksctl anywhere
// is there to upgrade them.
func newProvisionedFleet(t *testing.T, workloads ...string) *world {
	t.Helper()
	w := newProvisioned(t, false)
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
	for _, name := range workloads {
		w.run("create", "cluster", "-f", name+".yaml", "--kubeconfig",
			"mgmt/mgmt-eks-a-cluster.kubeconfig").exits(0)
	}
	return w
}

// paused are the annotations that pause a Cluster, and whether gitOpsRef is off.
func paused(t *testing.T, name string) (annotations []string, refOff bool) {
	t.Helper()
	cluster := clusterObject(t, name)
	for _, a := range []string{"kustomize.toolkit.fluxcd.io/reconcile", "eksa-gitops/paused",
		eksacontroller.Paused} {
		if cluster.GetAnnotations()[a] != "" {
			annotations = append(annotations, a)
		}
	}
	return annotations, at(t, cluster, "spec", "gitOpsRef") == nil
}

func assertNotPaused(t *testing.T, name string) {
	t.Helper()
	if annotations, refOff := paused(t, name); len(annotations) > 0 || refOff {
		t.Errorf("%s is left paused: %v, gitOpsRef off: %v", name, annotations, refOff)
	}
}

// scale changes the number of workers in a cluster's file.
func (w *world) scale(name string, from, to int) {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.dir, name+".yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	changed := strings.Replace(string(content), fmt.Sprintf("count: %d   # scaled", from),
		fmt.Sprintf("count: %d   # scaled", to), 1)
	if changed == string(content) {
		w.t.Fatalf("%s.yaml has no such count:\n%s", name, content)
	}
	w.write(name+".yaml", changed)
}

func workers(t *testing.T, name string) any {
	t.Helper()
	return at(t, clusterObject(t, name), "spec", "workerNodeGroupConfigurations", 0, "count")
}

// A management cluster and a workload cluster are upgraded by eksctl anywhere while Flux leaves them alone,
// then Git follows.
func TestProvision_upgrade(t *testing.T) {
	w := newProvisionedFleet(t, "dev")
	for _, name := range []string{"mgmt", "dev"} {
		upgrade := []string{"upgrade", "cluster", "-f", name + ".yaml", "--provisioner", "eksctl"}
		calls := len(w.calls())
		before := w.mark()
		w.run(upgrade...).exits(0).prints("Nothing to do")
		before.writesNothing()
		w.scale(name, 1, 2)
		w.run(append(upgrade, "--dry-run")...).exits(0).tells("Upgrade cluster "+name+
			" with eksctl anywhere (eksctl anywhere upgrade cluster -f "+name+".yaml", "planned)")
		before.writesNothing()
		if len(w.calls()) != calls {
			t.Errorf("%s: eksctl was called: %v", name, w.calls())
		}

		w.run(upgrade...).exits(0).prints("luster "+name+" matches the file.", "eksctl log").
			tells("Pause Flux on cluster "+name, "Cluster upgraded!", "Resume Flux on cluster "+name)
		assertNotPaused(t, name)
		if got := workers(t, name); got != int64(2) {
			t.Errorf("%s has %v workers", name, got)
		}
		if managers := clusterObject(t, name).GetManagedFields(); !strings.Contains(fmt.Sprint(managers),
			"eks-a-cli") {
			t.Errorf("%s: eksctl has not written it: %v", name, managers)
		}
		before = w.mark()
		w.run(upgrade...).exits(0).prints("Nothing to do")
		before.writesNothing()
		if len(w.calls()) != calls+1 {
			t.Errorf("%s: eksctl was called: %v", name, w.calls())
		}
	}
	w.run("status", "mgmt").exits(0).prints("All is well.")
}

// Whatever becomes of eksctl, Flux is let go again; what a killed run has left is shown by status, and the
// next run takes it back.
func TestProvision_upgradeFails(t *testing.T) {
	w := newProvisionedFleet(t, "dev")
	ends := map[string]syscall.Signal{"mgmt": syscall.SIGINT, "dev": syscall.SIGHUP}
	for _, name := range []string{"mgmt", "dev"} {
		upgrade := []string{"upgrade", "cluster", "-f", name + ".yaml", "--provisioner", "eksctl"}
		head := w.gh.Repo("alice/fleet").Git().Head("main")
		w.scale(name, 1, 3)
		for _, mode := range []string{"fail", "fail-late"} {
			w.env["FAKE_EKSCTL"] = mode
			w.run(upgrade...).exits(5).tells("cluster "+name+
				" was not upgraded: eksctl anywhere upgrade cluster -f "+name+".yaml",
				"failed with exit code 255", "all of its output is in "+name+"/",
				"continue with: eksa-gitops upgrade cluster -f "+name+".yaml --provisioner eksctl")
			assertNotPaused(t, name)
		}
		w.env["FAKE_EKSCTL"] = "hang-late"
		p := w.start(upgrade...)
		w.waitLog(name, "hanging")
		if annotations, refOff := paused(t, name); len(annotations) != 2 || !refOff {
			t.Errorf("%s during the upgrade: %v, gitOpsRef off: %v", name, annotations, refOff)
		}
		w.run("status", name, "--kubeconfig", "mgmt/mgmt-eks-a-cluster.kubeconfig").exits(5).prints(
			"by eksa-gitops (", "@")
		if err := p.cmd.Process.Signal(ends[name]); err != nil {
			t.Fatal(err)
		}
		p.wait().exits(130).tells("Resume Flux on cluster " + name)
		assertNotPaused(t, name)
		w.forgetLogs(name)
		w.runUnread("Pause Flux on cluster "+name, upgrade...).exits(141)
		assertNotPaused(t, name)
		w.forgetLogs(name)

		// The program itself is killed: nobody takes the pause back, until the next run.
		p = w.start(upgrade...)
		w.waitLog(name, "hanging")
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait()
		w.cleanPrivate()
		w.run("status", name, "--kubeconfig", "mgmt/mgmt-eks-a-cluster.kubeconfig").exits(5).prints(
			"by eksa-gitops (", "kubectl -n default ")
		delete(w.env, "FAKE_EKSCTL")
		if got := w.gh.Repo("alice/fleet").Git().Head("main"); got != head {
			t.Errorf("%s: Git has a new commit", name)
		}
		w.run(append(upgrade, "--dry-run")...).exits(0).tells("a run was broken off and has left that",
			"Resume Flux on cluster "+name+" (planned)")
		w.run(upgrade...).exits(0).tells("a run was broken off and has left that; it is taken back")
		assertNotPaused(t, name)
		if got := workers(t, name); got != int64(3) {
			t.Errorf("%s has %v workers", name, got)
		}
		before := w.mark()
		w.run(upgrade...).exits(0).prints("Nothing to do")
		before.writesNothing()
	}
}

// The connection to the cluster is lost while eksctl works: the run says what is left paused and how it ends,
// and the next one heals it.
func TestProvision_upgradeLosesConnection(t *testing.T) {
	w := newProvisionedFleet(t)
	upgrade := []string{"upgrade", "cluster", "-f", "mgmt.yaml", "--provisioner", "eksctl"}
	w.scale("mgmt", 1, 2)
	w.env["FAKE_EKSCTL"] = "hang-late"
	p := w.start(upgrade...)
	w.waitLog("mgmt", "hanging")
	if err := stackOf(t).FreezeAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	out := p.wait().exits(130)
	out.tells("Flux is still paused on Cluster default/mgmt", "the same command, run again, takes it back; "+
		"by hand: kubectl -n default patch clusters.anywhere.eks.amazonaws.com mgmt --type merge")
	if out.took > 90*time.Second {
		t.Errorf("it took %s", out.took)
	}
	if err := stackOf(t).ThawAPIServer(); err != nil {
		t.Fatal(err)
	}
	delete(w.env, "FAKE_EKSCTL")
	w.env["EKSA_GITOPS_TIMEOUT"] = "4m" // Flux's controllers have to come back, too
	w.run(upgrade...).exits(0).tells("it is taken back")
	assertNotPaused(t, "mgmt")
}
