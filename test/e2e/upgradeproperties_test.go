package e2e_test

import (
	"strings"
	"testing"
)

// change is one property that the user documentation lists, with where it is in the live objects afterwards.
type change struct {
	name     string
	edit     []string
	told     string // of the change
	kind, of string // the live object
	path     []any
	want     any
}

// TestUpgrade_properties changes every property that the user documentation lists for GitOps, on a management
// cluster and on a workload cluster, one run each.
func TestUpgrade_properties(t *testing.T) {
	t.Parallel()
	workerMachines := func(cluster string) []change {
		config := cluster + "-md"
		machine := func(name, old, new, field string, want any) change {
			return change{name: name, edit: []string{"name: " + config + "\nspec:\n  datastore: ",
				"name: " + config + "\nspec:\n  datastore: ", old, new},
				told: "VSphereMachineConfig " + config + ": spec." + field, kind: "VSphereMachineConfig",
				of: config, path: []any{"spec", field}, want: want}
		}
		return []change{
			{name: "worker count", edit: []string{"count: 1   # scaled", "count: 3   # scaled"},
				told: "spec.workerNodeGroupConfigurations[md-0].count: 1 → 3: applied", kind: "Cluster",
				of: cluster, path: []any{"spec", "workerNodeGroupConfigurations", 0, "count"},
				want: int64(3)},
			machine("disk", "diskGiB: 50", "diskGiB: 60", "diskGiB", int64(60)),
			machine("memory", "memoryMiB: 16384", "memoryMiB: 32768", "memoryMiB", int64(32768)),
			machine("processors", "numCPUs: 4", "numCPUs: 6", "numCPUs", int64(6)),
		}
	}
	// The last VSphereMachineConfig of a file is the workers'.
	last := func(name, field, old, new string, cluster string) change {
		return change{name: name, edit: []string{"LAST " + old, new},
			told: "VSphereMachineConfig " + cluster + "-md: spec." + field, kind: "VSphereMachineConfig",
			of: cluster + "-md", path: []any{"spec", field},
			want: strings.TrimSpace(new[strings.Index(new, ":")+1:])}
	}
	both := func(cluster string) []change {
		return append(workerMachines(cluster), last("datastore", "datastore",
			"datastore: /berlin/datastore/ds1", "datastore: /berlin/datastore/ds2", cluster),
			last("folder", "folder", "folder: /berlin/vm/eks", "folder: /berlin/vm/eks2", cluster),
			last("resource pool", "resourcePool", "resourcePool: /berlin/host/cluster/Resources",
				"resourcePool: /berlin/host/cluster/Resources/eks", cluster),
			last("template", "template", "template: /berlin/vm/templates/ubuntu-1.33",
				"template: /berlin/vm/templates/ubuntu-1.33-2", cluster),
			change{name: "users",
				edit: []string{"LAST AAAAC3NzaC1lZDI1NTE5AAAAIJkZ3Vq9o1Yl0p1pQ2v4oN5x8m7J2c6b1tq3d9w0y7Ur " +
					"lab", "AAAAC3NzaC1lZDI1NTE5AAAAIJkZ3Vq9o1Yl0p1pQ2v4oN5x8m7J2c6b1tq3d9w0y7Ur lab2"},
				told: "VSphereMachineConfig " + cluster + "-md: spec.users[capv].sshAuthorizedKeys",
				kind: "VSphereMachineConfig", of: cluster + "-md",
				path: []any{"spec", "users", 0, "sshAuthorizedKeys", 0}, want: "ssh-ed25519 " +
					"AAAAC3NzaC1lZDI1NTE5AAAAIJkZ3Vq9o1Yl0p1pQ2v4oN5x8m7J2c6b1tq3d9w0y7Ur lab2"},
			change{name: "another machine config", edit: []string{"name: " + cluster + "-md\n  datacenterRef",
				"name: " + cluster + "-md2\n  datacenterRef", "  name: " + cluster + "-md\nspec",
				"  name: " + cluster + "-md2\nspec"},
				told: "spec.workerNodeGroupConfigurations[md-0].machineGroupRef.name: " + cluster + "-md → " +
					cluster + "-md2: applied",
				kind: "Cluster", of: cluster,
				path: []any{"spec", "workerNodeGroupConfigurations", 0, "machineGroupRef", "name"},
				want: cluster + "-md2"},
		)
	}
	oidc := "---\napiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: OIDCConfig\nmetadata:\n" +
		"  namespace: default\n  name: dev\n  annotations:\n    anywhere.eks.amazonaws.com/managed-by: " +
		"mgmt\nspec:\n  clientId: kubernetes\n  issuerUrl: https://oidc.example.com\n"
	workload := []change{
		{name: "Kubernetes version", edit: []string{`kubernetesVersion: "1.33"`, `kubernetesVersion: "1.34"`},
			told: "spec.kubernetesVersion: 1.33 → 1.34: applied", kind: "Cluster", of: "dev",
			path: []any{"spec", "kubernetesVersion"}, want: "1.34"},
		{name: "control plane count", edit: []string{"count: 1\n    endpoint", "count: 3\n    endpoint"},
			told: "spec.controlPlaneConfiguration.count: 1 → 3: applied", kind: "Cluster", of: "dev",
			path: []any{"spec", "controlPlaneConfiguration", "count"}, want: int64(3)},
		{name: "control plane machines", edit: []string{"memoryMiB: 8192", "memoryMiB: 10240"},
			told: "VSphereMachineConfig dev-cp: spec.memoryMiB: 8192 → 10240: applied",
			kind: "VSphereMachineConfig", of: "dev-cp", path: []any{"spec", "memoryMiB"}, want: int64(10240)},
		{name: "identity provider", edit: []string{"  managementCluster:\n", "  identityProviderRefs:\n" +
			"  - kind: OIDCConfig\n    name: dev\n  managementCluster:\n", "END", oidc},
			told: "OIDCConfig dev: applied: the object is created", kind: "OIDCConfig", of: "dev",
			path: []any{"spec", "clientId"}, want: "kubernetes"},
		{name: "OIDC client", edit: []string{"clientId: kubernetes", "clientId: fleet"},
			told: "OIDCConfig dev: spec.clientId: kubernetes → fleet: applied", kind: "OIDCConfig", of: "dev",
			path: []any{"spec", "clientId"}, want: "fleet"},
		{name: "control plane machine config", edit: []string{"name: dev-cp\n  workerNode",
			"name: dev-cp2\n  workerNode", "  name: dev-cp\nspec", "  name: dev-cp2\nspec"},
			told: "spec.controlPlaneConfiguration.machineGroupRef.name: dev-cp → dev-cp2: applied",
			kind: "Cluster", of: "dev",
			path: []any{"spec", "controlPlaneConfiguration", "machineGroupRef", "name"}, want: "dev-cp2"},
		{name: "new worker group", edit: []string{"  datacenterRef", "    - name: md-1\n      count: 2\n" +
			"      machineGroupRef: {kind: VSphereMachineConfig, name: dev-md2}\n  datacenterRef"},
			told: "spec.workerNodeGroupConfigurations[md-1]", kind: "Cluster", of: "dev",
			path: []any{"spec", "workerNodeGroupConfigurations", 1, "count"}, want: int64(2)},
	}
	for _, cluster := range []struct {
		name    string
		changes []change
	}{{"mgmt", both("mgmt")}, {"dev", append(both("dev"), workload...)}} {
		t.Run(cluster.name, func(t *testing.T) {
			w := newWorldIn(t, managed())
			if cluster.name == "dev" {
				w.run("create", "cluster", "-f", "dev.yaml").exits(0)
			}
			file := cluster.name + ".yaml"
			for _, c := range cluster.changes {
				content := w.read(file)
				for i := 0; i < len(c.edit); i += 2 {
					old, fromEnd := strings.CutPrefix(c.edit[i], "LAST ")
					at := strings.Index(content, old)
					if fromEnd {
						at = strings.LastIndex(content, old)
					}
					switch {
					case c.edit[i] == "END":
						content += c.edit[i+1]
					case at < 0:
						t.Fatalf("%s: %q is not in\n%s", c.name, old, content)
					default:
						content = content[:at] + c.edit[i+1] + content[at+len(old):]
					}
				}
				w.write(file, content)
				w.run("upgrade", "cluster", "-f", file).exits(0).tells(c.told).prints("Cluster " +
					cluster.name + " matches the file.")
				if got := at(t, vsphere(t, c.kind, c.of), c.path...); got != c.want {
					t.Errorf("%s: the live %s %s has %v, want %v", c.name, c.kind, c.of, got, c.want)
				}
				live := clusterObject(t, cluster.name)
				if observed := at(t, live, "status", "observedGeneration"); observed != live.GetGeneration() {
					t.Errorf("%s: the Cluster is at generation %d, EKS Anywhere has seen %v",
						c.name, live.GetGeneration(), observed)
				}
			}
			before := w.mark()
			w.run("upgrade", "cluster", "-f", file).exits(0).prints("Nothing to do")
			before.writesNothing()
		})
	}
}
