package clusterspec_test

import "testing"

// TestParse_fieldOfAnotherKind: a field that another kind has is sent there, and not to where this kind has
// the name inside of something else; a kind of another provider does not count.
func TestParse_fieldOfAnotherKind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec  string
		edits []string
		want  string
	}{
		"machine field in the datacenter": {"vsphere-workload-github",
			[]string{"  server:", "  folder: /DC1/vm\n  server:"},
			`43:3: VSphereDatacenterConfig dev: spec.folder: the field belongs to a VSphereMachineConfig; expected it as spec.folder of that`},
		"datacenter field in the machine": {"tinkerbell-workload-github",
			[]string{"  hardwareSelector:", "  tinkerbellIP: 10.0.0.1\n  hardwareSelector:"},
			`52:3: TinkerbellMachineConfig dev-cp: spec.tinkerbellIP: the field belongs to a TinkerbellDatacenterConfig; expected it as spec.tinkerbellIP of that`},
		"machine field in the Cluster": {"nutanix-workload-github",
			[]string{"  clusterNetwork:", "  systemDiskSize: 40Gi\n  clusterNetwork:"},
			`20:3: Cluster dev: spec.systemDiskSize: the field belongs to a NutanixMachineConfig; expected it as spec.systemDiskSize of that`},
		"machine field in a worker group": {"vsphere-workload-github",
			[]string{"    count: 2", "    memoryMiB: 4096\n    count: 2"},
			`16:5: Cluster dev: spec.workerNodeGroupConfigurations[0].memoryMiB: the field belongs to a VSphereMachineConfig; expected it as spec.memoryMiB of that`},
		"Cluster's field in the FluxConfig": {"vsphere-workload-github",
			[]string{"  github:", "  kubernetesVersion: \"1.33\"\n  github:"},
			`90:3: FluxConfig dev: spec.kubernetesVersion: the field belongs to a Cluster; expected it as spec.kubernetesVersion of that`},
		"field of another provider": {"vsphere-workload-github",
			[]string{"  server:", "  tinkerbellIP: 10.0.0.1\n  server:"},
			`43:3: VSphereDatacenterConfig dev: spec.tinkerbellIP: there is no such field; expected one of server, datacenter, network, thumbprint, insecure, failureDomains`},
		"name of a GitOpsConfig": {"vsphere-workload-github",
			[]string{"    owner: octo", "    fluxSystemNamespace: flux-system\n    owner: octo"},
			`92:5: FluxConfig dev: spec.github.fluxSystemNamespace: the field has another name and place in a FluxConfig; expected it as spec.systemNamespace`},
		"name of a FluxConfig": {"vsphere-gitopsconfig",
			[]string{"  flux:", "  systemNamespace: flux-system\n  flux:"},
			"88:3: GitOpsConfig dev: spec.systemNamespace: the field has another name and place in a " +
				"GitOpsConfig; expected it as spec.flux.github.fluxSystemNamespace\n" +
				"warning: 84:7: GitOpsConfig dev: kind: GitOpsConfig is deprecated; expected a FluxConfig"},
		"kubelet's field beside it": {"vsphere-workload-github",
			[]string{"    count: 2", "    maxPods: 50\n    count: 2"},
			`16:5: Cluster dev: spec.workerNodeGroupConfigurations[0].maxPods: the field is in the wrong place; expected it at spec.workerNodeGroupConfigurations[0].kubeletConfiguration.maxPods`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := told(edited(t, test.spec, test.edits...)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// TestParse_unreplacedVariable: what a shell was to fill in is warned of once, where the field is right
// otherwise.
func TestParse_unreplacedVariable(t *testing.T) {
	t.Parallel()
	path := func(value string) []string {
		return []string{"  github:", "  clusterConfigPath: " + value + "\n  github:"}
	}
	const field = "FluxConfig dev: spec.clusterConfigPath: "
	for name, test := range map[string]struct {
		edits []string
		want  string
	}{
		"whole part": {path("clusters/$NAME"), "warning: 90:22: " + field +
			`this looks like a variable that was not replaced; found "$NAME"; expected what it stands for`},
		"in braces": {path("${ROOT}/clusters"), "warning: 90:22: " + field +
			`this looks like a variable that was not replaced; found "${ROOT}"; expected what it stands for`},
		"in a list": {[]string{"    - ssh-ed25519 " +
			"AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample ops", "    - $SSH_KEY"},
			`warning: 65:7: VSphereMachineConfig dev-cp: spec.users[0].sshAuthorizedKeys[0]: this looks like a variable that was not replaced; found "$SSH_KEY"; expected what it stands for`},
		"a dollar":      {path("clusters/a$b"), ""},
		"a price":       {path("clusters/$5"), ""},
		"wrong anyway":  {path("/$ROOT"), `90:22: ` + field + `the path is absolute; found "/$ROOT"; expected a path below the root of the repository, such as clusters/dev`},
		"another value": {path("clusters/dev"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := told(edited(t, "vsphere-workload-github", test.edits...)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
