package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

const (
	mgmtFile = "clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml"
	devFile  = "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"
)

func vsphere(t testing.TB, kind, name string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "anywhere.eks.amazonaws.com", "v1alpha1", kind, "default", name)
}

// edit changes a file of the user: old, new, old, new. Each text has to be there.
func (w *world) edit(name string, pairs ...string) {
	w.t.Helper()
	content := w.read(name)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(content, pairs[i]) {
			w.t.Fatalf("%s does not hold %q:\n%s", name, pairs[i], content)
		}
		content = strings.Replace(content, pairs[i], pairs[i+1], 1)
	}
	w.write(name, content)
}

func (w *world) read(name string) string {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(content)
}

// TestUpgrade_enable takes over a management cluster that eksctl anywhere made: with its annotations, its
// version and its health checks, which no file names. Nothing of it changes but the reference.
func TestUpgrade_enable(t *testing.T) {
	w := newWorld(t)
	patch(t, clusterObject(t, "mgmt"),
		`{"metadata":{"annotations":{"anywhere.eks.amazonaws.com/management-components-version":"v0.26.0"}},
		"spec":{"machineHealthCheck":{"maxUnhealthy":"100%"},"workerNodeGroupConfigurations":[{"name":"md-0","count":1,
		"machineGroupRef":{"kind":"VSphereMachineConfig","name":"mgmt-md"},"machineHealthCheck":{"maxUnhealthy":"40%"}}]}}`)
	patch(t, vsphere(t, "VSphereMachineConfig", "mgmt-cp"),
		`{"metadata":{"annotations":{"anywhere.eks.amazonaws.com/control-plane":"true"}}}`)
	objects := map[string]*unstructured.Unstructured{}
	for _, name := range []string{"mgmt-cp", "mgmt-md"} {
		objects[name] = vsphere(t, "VSphereMachineConfig", name)
	}
	objects["mgmt"] = vsphere(t, "VSphereDatacenterConfig", "mgmt")
	before := clusterObject(t, "mgmt")

	plan := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0).prints("+kind: FluxConfig",
		"This was a dry run").tells(`change of cluster mgmt: Cluster mgmt: spec.gitOpsRef: (none) → {"kind":"FluxConfig","name":"mgmt"}: applied`)
	plan.writesNothing()

	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt matches the file.")
	for name, old := range objects {
		now := vsphere(t, old.GetKind(), name)
		if now.GetGeneration() != old.GetGeneration() || now.GetUID() != old.GetUID() {
			t.Errorf("%s %s is at generation %d, was at %d",
				old.GetKind(), name, now.GetGeneration(), old.GetGeneration())
		}
		for key, value := range old.GetAnnotations() {
			if now.GetAnnotations()[key] != value {
				t.Errorf("%s %s has lost the annotation %s", old.GetKind(), name, key)
			}
		}
	}
	after := clusterObject(t, "mgmt")
	if after.GetGeneration() != before.GetGeneration()+1 ||
		after.GetAnnotations()["anywhere.eks.amazonaws.com/management-components-version"] != "v0.26.0" {
		t.Errorf("the Cluster is at generation %d, was at %d; annotations %v",
			after.GetGeneration(), before.GetGeneration(), after.GetAnnotations())
	}
	spec := before.Object["spec"].(map[string]any)
	spec["gitOpsRef"] = map[string]any{"kind": "FluxConfig", "name": "mgmt"}
	if got, want := fmt.Sprint(after.Object["spec"]), fmt.Sprint(spec); got != want {
		t.Errorf("the Cluster's spec is\n%s\nwant\n%s", got, want)
	}

	again := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints(
		"Nothing to do: cluster mgmt matches the file.")
	// the health check of the workers is in Git and not in the file
	w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(3)
	again.writesNothing()
}

// TestUpgrade_enableWorkload: EKS Anywhere refuses it, which is said before anything is done.
func TestUpgrade_enableWorkload(t *testing.T) {
	w := newWorldIn(t, managed())
	apply(t, strings.Replace(withoutGitOps(w.read("dev.yaml")),
		"  gitOpsRef:\n    kind: FluxConfig\n    name: dev\n", "", 1))
	before := w.mark()
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(3).tells(
		"cluster dev exists without gitOpsRef, and EKS Anywhere refuses to add one to a workload cluster",
		"hint: create the cluster again", "nothing has been changed")
	w.write("other.yaml", strings.ReplaceAll(w.read("dev.yaml"), "name: dev", "name: w77"))
	w.run("upgrade", "cluster", "-f", "other.yaml").exits(3).tells("there is no cluster w77",
		"eksa-gitops create cluster -f other.yaml")
	before.writesNothing()
}

// TestUpgrade_rejected: what the webhooks refuse is refused before the commit, field by field.
func TestUpgrade_rejected(t *testing.T) {
	w := newFleetWorld(t)
	before := w.mark()
	w.edit("dev.yaml", "198.18.100.20", "198.18.100.99", "192.168.0.0/16", "172.20.0.0/16",
		"server: vcenter.example.com", "server: other.example.com", "osFamily: ubuntu", "osFamily: redhat")
	out := w.run("upgrade", "cluster", "-f", "dev.yaml").exits(3).
		tells("cluster dev: Cluster dev: spec.controlPlaneConfiguration.endpoint.host: 198.18.100.20 "+
			"→ 198.18.100.99: rejected: field is immutable",
			`cluster dev: Cluster dev: spec.clusterNetwork.pods.cidrBlocks: ["192.168.0.0/16"] → ["172.20.0.0/16"]: rejected: field is immutable`,
			"cluster dev: VSphereDatacenterConfig dev: spec.server: vcenter.example.com → "+
				"other.example.com: rejected: field is immutable", "cluster dev: VSphereMachineConfig "+
				"dev-cp: spec.osFamily: ubuntu → redhat: rejected: field is immutable",
			"hint: give the field its old value in dev.yaml", "nothing has been changed")
	if n := strings.Count(out.stderr, "eksa-gitops: error: cluster dev"); n != 4 {
		t.Errorf("%d errors, want 4:\n%s", n, out.stderr)
	}
	result := w.run("upgrade", "cluster", "-f", "dev.yaml", "-o", "json").exits(3).json()
	if at(t, result, "status") != "refused" || len(at(t, result, "clusters", 0, "changes").([]any)) != 4 ||
		len(at(t, result, "failure", "findings").([]any)) != 4 {
		t.Errorf("result %v", result)
	}
	// What only the API server knows is refused, too.
	w.write("dev.yaml",
		strings.Replace(spec(t, "dev.yaml"), "insecure: false", "insecure: false\n  failureDomains: many", 1))
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(3).tells("failureDomains")
	before.writesNothing()
}

// TestUpgrade_gitMovedOn: a colleague has changed the spec in Git since the file was written, on GitHub and
// on an SSH server.
func TestUpgrade_gitMovedOn(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"GitHub", "OpenSSH"} {
		t.Run(server, func(t *testing.T) {
			var w *world
			var repo *gittest.Repo
			if server == "GitHub" {
				w = newWorldIn(t, withDev())
				repo = w.gh.Repo("alice/fleet").Git()
			} else {
				ssh := newSSHWorld(t)
				w, repo = ssh.world, ssh.git.AddRepo("acme/fleet")
				w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
				w.run("create", "cluster", "-f", "dev.yaml").exits(0)
			}
			colleague := func(pairs ...string) {
				t.Helper()
				content, _ := repo.File("main", devFile)
				for i := 0; i < len(pairs); i += 2 {
					if !strings.Contains(content, pairs[i]) {
						t.Fatalf("Git does not hold %q:\n%s", pairs[i], content)
					}
					content = strings.Replace(content, pairs[i], pairs[i+1], 1)
				}
				repo.Commit(gittest.Change{Branch: "main", Message: "Change dev", Author: "Bob",
					Files: map[string]string{devFile: content}})
			}
			inGit := func(texts ...string) {
				t.Helper()
				content, _ := repo.File("main", devFile)
				for _, text := range texts {
					if !strings.Contains(content, text) {
						t.Errorf("Git does not hold %q:\n%s", text, content)
					}
				}
			}

			// Edits that do not overlap are merged; the colleague's comment stays.
			colleague("count: 1   # scaled through Git", "count: 4   # Bob needs four")
			w.edit("dev.yaml", `kubernetesVersion: "1.33"`, `kubernetesVersion: "1.34"`)
			w.run("upgrade", "cluster", "-f", "dev.yaml").exits(0).tells("kept from Git, cluster dev: "+
				"Cluster dev: spec.workerNodeGroupConfigurations[md-0].count: 1 → 4, by Bob on",
				"--update-file writes it there",
				"change of cluster dev: Cluster dev: spec.kubernetesVersion: 1.33 → 1.34: applied")
			inGit("count: 4   # Bob needs four", `kubernetesVersion: "1.34"`,
				"# One control plane node is enough for the lab.")
			live := clusterObject(t, "dev")
			if at(t, live, "spec", "workerNodeGroupConfigurations", 0, "count") != int64(4) ||
				at(t, live, "spec", "kubernetesVersion") != "1.34" {
				t.Errorf("the live Cluster is %v", live.Object["spec"])
			}

			// Overlapping ones are refused with both values.
			colleague("numCPUs: 2", "numCPUs: 3", "memoryMiB: 8192", "memoryMiB: 9216")
			w.edit("dev.yaml", "numCPUs: 2", "numCPUs: 4")
			before := w.mark()
			w.run("upgrade", "cluster", "-f", "dev.yaml").exits(3).
				tells("cluster dev: VSphereMachineConfig dev-cp: spec.numCPUs: the file says 4 (dev.yaml:",
					"Git says 3, original value: 2; in Git it was changed by Bob", "--overwrite",
					"nothing has been changed")
			before.leavesClusterAlone()
			w.run("upgrade", "cluster", "-f", "dev.yaml", "--overwrite").exits(0)
			inGit("numCPUs: 4", "memoryMiB: 9216", "count: 4   # Bob needs four")

			// The file is brought up to date on demand, and keeps what is the user's.
			w.run("upgrade", "cluster", "-f", "dev.yaml", "--update-file", "--dry-run").exits(0).prints(
				"-      count: 1   # scaled through Git", "This was a dry run")
			w.run("upgrade", "cluster", "-f", "dev.yaml", "--update-file").exits(0).prints(
				"updated     dev.yaml")
			file := w.read("dev.yaml")
			for _, text := range []string{"count: 4", "memoryMiB: 9216", "numCPUs: 4",
				`kubernetesVersion: "1.34"`, "# A workload cluster for the developers."} {
				if !strings.Contains(file, text) {
					t.Errorf("dev.yaml does not hold %q:\n%s", text, file)
				}
			}
			before = w.mark()
			w.run("upgrade", "cluster", "-f", "dev.yaml", "--update-file").exits(0).prints("Nothing to do")
			before.leavesClusterAlone()
			if log := repo.Log("main"); len(log) != 6 {
				t.Errorf("%d commits, want 6: %+v", len(log), log)
			}
		})
	}
}

// TestUpgrade_drift reports what somebody changed in the cluster behind Git's back.
func TestUpgrade_drift(t *testing.T) {
	w := newFleetWorld(t)
	patch(t, vsphere(t, "VSphereMachineConfig", "dev-md"), `{"spec":{"numCPUs":9}}`)
	w.edit("dev.yaml", "memoryMiB: 8192", "memoryMiB: 10240")
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(0).tells("drift of cluster dev: " +
		"VSphereMachineConfig default/dev-md: spec.numCPUs: Git says 4, the cluster has 9")
	if got := at(t, vsphere(t, "VSphereMachineConfig", "dev-md"), "spec", "numCPUs"); got != int64(4) {
		t.Errorf("dev-md has %v processors, want 4 again", got)
	}
}

// TestUpgrade_leftAlone: an object that Flux is told to leave alone is found before the commit.
func TestUpgrade_leftAlone(t *testing.T) {
	w := newFleetWorld(t)
	patch(t, vsphere(t, "VSphereMachineConfig", "dev-md"),
		`{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":"disabled"}}}`)
	before := w.mark()
	w.edit("dev.yaml", "numCPUs: 4", "numCPUs: 6")
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(3).tells("VSphereMachineConfig default/dev-md",
		"so that Flux would not apply the change", "reconcile-")
	before.writesNothing()
}

// TestUpgrade_referenceTakenOut explains how to detach, and does nothing.
func TestUpgrade_referenceTakenOut(t *testing.T) {
	w := newFleetWorld(t)
	before := w.mark()
	w.write("mgmt.yaml", withoutGitOps(w.read("mgmt.yaml")))
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(3).tells(
		"cluster mgmt is managed through Git (it refers to FluxConfig mgmt), and its file has no gitOpsRef",
		"to detach the cluster, which goes on running: eksa-gitops delete cluster mgmt",
		"nothing has been changed")
	w.edit("dev.yaml", "  gitOpsRef:\n    kind: FluxConfig\n    name: dev\n", "")
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(3).tells(
		"EKS Anywhere's webhook does not let a workload cluster's gitOpsRef go")
	before.writesNothing()
}

// asGitOpsConfig gives a file the deprecated kind.
func asGitOpsConfig(content string) string {
	content = strings.Replace(content, "kind: FluxConfig\n    name", "kind: GitOpsConfig\n    name", 1)
	content = strings.Replace(content, "kind: FluxConfig\nmetadata", "kind: GitOpsConfig\nmetadata", 1)
	return strings.Replace(content,
		"  github:\n    personal: true\n    owner: alice\n    repository: fleet\n",
		"  flux:\n    github:\n      personal: true\n      owner: alice\n      repository: fleet\n", 1)
}

// TestUpgrade_gitOpsConfig: GitOpsConfig in Git and FluxConfig in the file say the same. The management
// cluster changes over; a workload cluster keeps what EKS Anywhere has frozen, and everything else of the
// file is done.
func TestUpgrade_gitOpsConfig(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"mgmt", "dev"} {
		w.write("old.yaml", asGitOpsConfig(w.read(name+".yaml")))
		w.run("create", "cluster", "-f", "old.yaml").exits(0)
	}
	w.edit("dev.yaml", "count: 1   # scaled", "count: 2   # scaled")
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(0).tells(
		"cluster dev: GitOpsConfig dev stays in Git: FluxConfig dev of the file says the same, and EKS " +
			"Anywhere does not let the gitOpsRef of a workload cluster change")
	live := clusterObject(t, "dev")
	if at(t, live, "spec", "workerNodeGroupConfigurations", 0, "count") != int64(2) ||
		at(t, live, "spec", "gitOpsRef", "kind") != "GitOpsConfig" {
		t.Errorf("the live Cluster is %v", live.Object["spec"])
	}
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).tells(
		"FluxConfig mgmt takes the place of GitOpsConfig mgmt")
	if kind := at(t, clusterObject(t, "mgmt"), "spec", "gitOpsRef", "kind"); kind != "FluxConfig" {
		t.Errorf("mgmt's gitOpsRef is a %v", kind)
	}
	before := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()
}

// TestUpgrade_madeByEksctl changes a cluster whose repository eksctl anywhere wrote: with sorted keys,
// without comments, with the version and the health checks that it fills in. None of that is lost, and the
// file need not have it.
func TestUpgrade_madeByEksctl(t *testing.T) {
	w := newWorldIn(t, managed())
	repo := w.gh.Repo("alice/fleet").Git()
	files := repo.Files("main")
	var documents []string
	for document := range strings.SplitSeq(files[mgmtFile], "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if spec := object["spec"].(map[string]any); object["kind"] == "Cluster" {
			spec["eksaVersion"] = stack.EKSAVersion
			spec["machineHealthCheck"] = map[string]any{"maxUnhealthy": "100%"}
			spec["workerNodeGroupConfigurations"].([]any)[0].(map[string]any)["machineHealthCheck"] =
				map[string]any{"maxUnhealthy": "40%"}
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(text))
	}
	files[mgmtFile] = strings.Join(documents, "\n---\n") + "\n---\n"
	repo.Commit(gittest.Change{Branch: "eksa", Author: "EKS-A",
		Message: "Initial commit of cluster configuration; generated by EKS-A CLI", Files: files})
	repo.Git("update-ref", "refs/heads/main", "refs/heads/eksa")
	requestReconcile(t)
	waitFor(t, clusterObject(t, "mgmt"), "EKS Anywhere's health check",
		func(u *unstructured.Unstructured) bool {
			return at(t, u, "spec", "machineHealthCheck") != nil
		})

	w.edit("mgmt.yaml", "count: 1   # scaled", "count: 3   # scaled")
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).tells("no commit of eksa-gitops wrote "+mgmtFile+
		", so that what only Git has is kept", "change of cluster mgmt: Cluster mgmt: "+
		"spec.workerNodeGroupConfigurations[md-0].count: 1 → 3: applied")
	spec := clusterObject(t, "mgmt").Object["spec"]
	if at(t, spec, "workerNodeGroupConfigurations", 0, "count") != int64(3) ||
		at(t, spec, "eksaVersion") != stack.EKSAVersion ||
		at(t, spec, "workerNodeGroupConfigurations", 0, "machineHealthCheck", "maxUnhealthy") != "40%" ||
		at(t, spec, "machineHealthCheck", "maxUnhealthy") != "100%" {
		t.Errorf("the live Cluster is %v", spec)
	}
	before := w.mark()
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()
	w.edit("mgmt.yaml", "count: 3   # scaled", "count: 2   # scaled")
	w.run("upgrade", "cluster", "-f", "mgmt.yaml").exits(0).tells("count: 3 → 2: applied")
}
