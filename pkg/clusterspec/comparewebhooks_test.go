package clusterspec_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// TestCompareSets_webhooks: what the verdict of EKS Anywhere's webhooks depends on beside the field: the
// stored value, the role the stored object has, annotations, other fields, and what values mean.
func TestCompareSets_webhooks(t *testing.T) {
	t.Parallel()
	const (
		undocumented = " (not among the fields that EKS Anywhere documents for GitOps on a %s cluster)"
		same         = " (it means the same as before)"
		cilium       = "cilium: {}"
		ref          = "  gitOpsRef"
		bounds       = ".autoscalingConfiguration."
		annotation   = "  annotations: {anywhere.eks.amazonaws.com/%s}\n"
	)
	onManagement, onWorkload := fmt.Sprintf(undocumented, "management"), fmt.Sprintf(undocumented, "workload")
	withVersion := func(version string) []string {
		return []string{"    count: 2 #", "    kubernetesVersion: \"" + version + "\"\n    count: 2 #"}
	}
	autoscaled := func(count, least, most int) []string {
		return []string{"    count: 2 # scaled through Git\n", fmt.Sprintf("    count: %d\n"+
			"    autoscalingConfiguration: {minCount: %d, maxCount: %d}\n", count, least, most)}
	}
	for _, test := range []struct {
		name, spec    string
		before, after []string // edits: old, new, old, new…
		want          string
	}{
		{"skipUpgrade on", "vsphere-workload-github", nil, []string{cilium, "cilium: {skipUpgrade: true}"},
			"applied Cluster dev: spec.clusterNetwork.cniConfig.cilium.skipUpgrade:  -> true" + onWorkload},
		{"skipUpgrade off", "vsphere-workload-github", []string{cilium, "cilium: {skipUpgrade: true}"},
			[]string{cilium, "cilium: {skipUpgrade: false}"},
			"applied Cluster dev: spec.clusterNetwork.cniConfig.cilium.skipUpgrade: true -> false" +
				onWorkload},
		{"skipUpgrade off under v0.24", "vsphere-management-github",
			[]string{cilium, "cilium: {skipUpgrade: true}", ref, "  eksaVersion: v0.24.0\n" + ref},
			[]string{ref, "  eksaVersion: v0.24.0\n" + ref},
			"applied Cluster dev: spec.clusterNetwork.cniConfig.cilium.skipUpgrade: true -> " + onManagement},
		{"skipUpgrade off before v0.24", "vsphere-management-github",
			[]string{cilium, "cilium: {skipUpgrade: true}", ref, "  eksaVersion: v0.23.7\n" + ref},
			[]string{ref, "  eksaVersion: v0.23.7\n" + ref},
			"rejected Cluster dev: spec.clusterNetwork.cniConfig.cilium.skipUpgrade: true ->  (cannot " +
				"toggle off skipUpgrade once enabled)"},
		{"CNI with the same skipUpgrade", "vsphere-workload-github",
			[]string{cilium, "cilium: {skipUpgrade: true}"},
			[]string{cilium, "cilium: {skipUpgrade: true, egressMasqueradeInterfaces: eth0}"},
			"applied Cluster dev: spec.clusterNetwork.cniConfig.cilium.egressMasqueradeInterfaces:  -> eth0" +
				onWorkload},
		{"empty dns", "vsphere-workload-github", nil, []string{"    pods:", "    dns: {}\n    pods:"},
			"applied Cluster dev: spec.clusterNetwork.dns:  -> {}" + same},
		{"dns", "vsphere-workload-github", nil,
			[]string{"    pods:", "    dns: {resolvConf: {path: /etc/r}}\n    pods:"},
			`rejected Cluster dev: spec.clusterNetwork.dns:  -> {"resolvConf":{"path":"/etc/r"}} (field is immutable)`},
		{"empty nodes", "vsphere-workload-github", nil, []string{"    pods:", "    nodes: {}\n    pods:"},
			"rejected Cluster dev: spec.clusterNetwork.nodes:  -> {} (field is immutable)"},
		{"default node mask", "vsphere-workload-github", []string{"    pods:", "    nodes: {}\n    pods:"},
			[]string{"    pods:", "    nodes: {cidrMaskSize: 24}\n    pods:"},
			"rejected Cluster dev: spec.clusterNetwork.nodes.cidrMaskSize:  -> 24 (field is immutable)"},
		{"order of noProxy", "vsphere-workload-github", []string{ref,
			"  proxyConfiguration: {httpProxy: 'p:1', httpsProxy: 'p:1', noProxy: [a, b]}\n" + ref},
			[]string{ref,
				"  proxyConfiguration: {httpProxy: 'p:1', httpsProxy: 'p:1', noProxy: [b, a]}\n" + ref},
			`applied Cluster dev: spec.proxyConfiguration.noProxy: ["a","b"] -> ["b","a"]` + same},
		{"noProxy", "vsphere-workload-github", []string{ref,
			"  proxyConfiguration: {httpProxy: 'p:1', httpsProxy: 'p:1', noProxy: [a, b]}\n" + ref},
			[]string{ref,
				"  proxyConfiguration: {httpProxy: 'p:1', httpsProxy: 'p:1', noProxy: [a, a]}\n" + ref},
			`rejected Cluster dev: spec.proxyConfiguration.noProxy: ["a","b"] -> ["a","a"] (field is immutable)`},
		{"endpoint removed", "vsphere-workload-github", nil,
			[]string{"    endpoint:\n      host: 10.20.0.10\n", ""},
			`rejected Cluster dev: spec.controlPlaneConfiguration.endpoint: {"host":"10.20.0.10"} ->  (field is immutable)`},
		{"datacenter", "vsphere-workload-github", nil, []string{"kind: VSphereDatacenterConfig\n" +
			"    name: dev", "kind: VSphereDatacenterConfig\n    name: other"},
			"rejected Cluster dev: spec.datacenterRef.name: dev -> other (field is immutable)"},
		{"management cluster", "vsphere-workload-github", nil, []string{"name: mgmt", "name: other"},
			"rejected Cluster dev: spec.managementCluster.name: mgmt -> other (field is immutable)"},
		{"becomes a management cluster",
			"vsphere-workload-github", nil, []string{"  managementCluster:\n    name: mgmt\n", ""},
			`rejected Cluster dev: spec.managementCluster: {"name":"mgmt"} ->  (field is immutable)`},
		{"empty managementCluster", "vsphere-management-github", nil,
			[]string{ref, "  managementCluster: {}\n" + ref},
			"applied Cluster dev: spec.managementCluster:  -> {} (the cluster manages itself as before)"},
		{"GitOps of a management cluster set", "vsphere-management-github",
			[]string{"  gitOpsRef:\n    kind: FluxConfig\n    name: dev\n", ""}, nil,
			`applied Cluster dev: spec.gitOpsRef:  -> {"kind":"FluxConfig","name":"dev"}` + onManagement},
		{"GitOps of a management cluster changed", "vsphere-management-github", nil,
			[]string{"kind: FluxConfig\n    name: dev", "kind: FluxConfig\n    name: other"},
			"applied Cluster dev: spec.gitOpsRef.name: dev -> other (the webhook accepts it, but eksctl " +
				"anywhere upgrade refuses to change a gitOpsRef)"},
		{"GitOps of a workload cluster set", "vsphere-workload-github",
			[]string{"  gitOpsRef:\n    kind: FluxConfig\n    name: dev\n", ""}, nil,
			`rejected Cluster dev: spec.gitOpsRef:  -> {"kind":"FluxConfig","name":"dev"} (field is immutable)`},
		{"external etcd removed", "vsphere-external-etcd", nil,
			[]string{"  externalEtcdConfiguration:\n    count: 3\n    machineGroupRef:\n" +
				"      kind: VSphereMachineConfig\n      name: dev-etcd\n", ""},
			`rejected Cluster dev: spec.externalEtcdConfiguration: {"count":3,"machineGroupRef":{"kind":"VSphereMachineConfig","name":"dev-etcd"}} ->  (cannot switch from external to stacked etcd topology)`},
		{"external etcd count", "vsphere-external-etcd", nil, []string{"  externalEtcdConfiguration:\n" +
			"    count: 3", "  externalEtcdConfiguration:\n    count: 5"},
			"applied Cluster dev: spec.externalEtcdConfiguration.count: 3 -> 5" + onManagement},

		{"own version of workers, older", "vsphere-workload-github", nil, withVersion("1.32"), "rejected " +
			"documented Cluster dev: spec.workerNodeGroupConfigurations[md-0].kubernetesVersion:  -> 1.32 " +
			"(Kubernetes cannot be downgraded from 1.33 to 1.32)"},
		{"own version of workers, the same", "vsphere-workload-github", nil, withVersion("1.33"), "applied " +
			"documented Cluster dev: spec.workerNodeGroupConfigurations[md-0].kubernetesVersion:  -> 1.33"},
		{"own version of workers, raised by two", "vsphere-workload-github",
			withVersion("1.31"), withVersion("1.33"),
			"rejected documented Cluster dev: spec.workerNodeGroupConfigurations[md-0].kubernetesVersion: " +
				"1.31 -> 1.33 (only +1 minor version skew is supported; from 1.31 that is 1.32)"},
		{"own version of workers removed", "vsphere-workload-github", withVersion("1.32"), nil, "applied " +
			"documented Cluster dev: spec.workerNodeGroupConfigurations[md-0].kubernetesVersion: 1.32 -> "},
		{"own version of workers removed, too old", "vsphere-workload-github", withVersion("1.31"), nil,
			"rejected documented Cluster dev: spec.workerNodeGroupConfigurations[md-0].kubernetesVersion: " +
				"1.31 ->  (only +1 minor version skew is supported; from 1.31 that is 1.32)"},
		{"own version of workers removed in an upgrade", "vsphere-workload-github", withVersion("1.33"),
			[]string{`kubernetesVersion: "1.33"`, `kubernetesVersion: "1.34"`},
			"applied documented Cluster dev: spec.kubernetesVersion: 1.33 -> 1.34\nrejected documented " +
				"Cluster dev: spec.workerNodeGroupConfigurations[md-0].kubernetesVersion: 1.33 ->  (can't " +
				"simultaneously remove worker kubernetesVersion and upgrade cluster level " +
				"kubernetesVersion: 1.34)"},
		{"versions of a paused cluster", "vsphere-workload-github", []string{"  name: dev\nspec:\n  kub",
			"  name: dev\n" + fmt.Sprintf(annotation, "paused: 'true'") + "spec:\n  kub"},
			[]string{"  name: dev\nspec:\n  kub", "  name: dev\n" +
				fmt.Sprintf(annotation, "paused: 'true'") + "spec:\n  kub", `"1.33"`, `"1.35"`},
			"rejected documented Cluster dev: spec.kubernetesVersion: 1.33 -> 1.35 (only +1 minor version " +
				"skew is supported; from 1.33 that is 1.34)"},
		{"default name and count of the first group", "vsphere-workload-github",
			[]string{"  - name: md-0\n    count: 2 # scaled through Git\n", "  -\n"},
			[]string{"    count: 2 #", "    count: 1 #"}, ""},
		{"default count with autoscaling",
			"vsphere-workload-github", []string{"    count: 2 # scaled through Git\n",
				"    autoscalingConfiguration: {minCount: 2, maxCount: 4}\n"},
			[]string{"    count: 2 # scaled through Git\n",
				"    count: 2\n    autoscalingConfiguration: {minCount: 2, maxCount: 4}\n"},
			""},

		{"count with autoscaling", "vsphere-workload-github", autoscaled(2, 2, 4), autoscaled(3, 2, 4),
			"ignored documented Cluster dev: spec.workerNodeGroupConfigurations[md-0].count: 2 -> 3 (the " +
				"cluster autoscaler decides how many machines there are, from minCount to maxCount)"},
		{"bounds of autoscaling", "vsphere-workload-github", autoscaled(2, 2, 4), autoscaled(2, 1, 5),
			"applied Cluster dev: spec.workerNodeGroupConfigurations[md-0]" + bounds + "maxCount: 4 -> 5" +
				onWorkload + "\n" + "applied Cluster dev: spec.workerNodeGroupConfigurations[md-0]" + bounds +
				"minCount: 2 -> 1" + onWorkload},
		{"maxCount below count", "vsphere-workload-github", autoscaled(3, 2, 4), autoscaled(3, 2, 2),
			"rejected Cluster dev: spec.workerNodeGroupConfigurations[md-0]" + bounds + "maxCount: " +
				"4 -> 2 (max count must be greater than or equal to count)"},
		{"minCount above count", "vsphere-workload-github", autoscaled(3, 2, 4), autoscaled(3, 4, 4),
			"rejected Cluster dev: spec.workerNodeGroupConfigurations[md-0]" + bounds + "minCount: " +
				"2 -> 4 (min count must be less than or equal to count)"},
		{"count above maxCount", "vsphere-workload-github", autoscaled(3, 2, 4), autoscaled(5, 2, 4),
			"rejected documented Cluster dev: spec.workerNodeGroupConfigurations[md-0].count: 3 -> 5 " +
				"(max count must be greater than or equal to count)"},
		{"Tinkerbell group added in an upgrade", "tinkerbell-workload-github", nil, []string{`"1.33"`,
			`"1.34"`, "  clusterNetwork:\n", "  - name: md-1\n    count: 1\n  clusterNetwork:\n"},
			"applied documented Cluster dev: spec.kubernetesVersion: 1.33 -> 1.34\n" +
				`rejected documented Cluster dev: spec.workerNodeGroupConfigurations[md-1]:  -> {"count":1,"name":"md-1"} (cannot perform scale up or down during rolling upgrades)`},
		{"Tinkerbell group added", "tinkerbell-workload-github", nil,
			[]string{"  clusterNetwork:\n", "  - name: md-1\n    count: 1\n  clusterNetwork:\n"},
			`applied documented Cluster dev: spec.workerNodeGroupConfigurations[md-1]:  -> {"count":1,"name":"md-1"}`},
		{"Tinkerbell labels of workers", "tinkerbell-workload-github", nil,
			[]string{"    count: 2 #", "    labels: {a: b}\n    count: 2 #"},
			`rejected Cluster dev: spec.workerNodeGroupConfigurations[md-0].labels:  -> {"a":"b"} (field is immutable)`},
		{"Tinkerbell taints of a paused cluster", "tinkerbell-workload-github", []string{"  name: dev\n" +
			"spec:\n  kub", "  name: dev\n" + fmt.Sprintf(annotation, "paused: 'true'") + "spec:\n  kub"},
			[]string{"  name: dev\nspec:\n  kub",
				"  name: dev\n" + fmt.Sprintf(annotation, "paused: 'true'") + "spec:\n  kub",
				"    count: 3\n", "    count: 3\n    taints: []\n"},
			"applied Cluster dev: spec.controlPlaneConfiguration.taints:  -> []" + same},
		{"Tinkerbell load balancer", "tinkerbell-workload-github", nil,
			[]string{"  tinkerbellIP", "  skipLoadBalancerDeployment: true\n  tinkerbellIP"},
			"rejected TinkerbellDatacenterConfig dev: spec.skipLoadBalancerDeployment:  -> true (field is " +
				"immutable)"},
		{"Tinkerbell load balancer, said to be the default", "tinkerbell-workload-github", nil,
			[]string{"  tinkerbellIP", "  skipLoadBalancerDeployment: false\n  tinkerbellIP"},
			"applied TinkerbellDatacenterConfig dev: spec.skipLoadBalancerDeployment:  -> false" + same},
		{"Tinkerbell hook by the command line tool", "tinkerbell-workload-github", nil,
			[]string{"  name: dev\nspec:\n  tinkerbellIP",
				"  name: dev\n" + fmt.Sprintf(annotation, "managed-by-cli: 'true'") +
					"spec:\n  hookImagesURLPath: https://h/x\n  tinkerbellIP"},
			"applied TinkerbellDatacenterConfig dev: " +
				"metadata.annotations[anywhere.eks.amazonaws.com/managed-by-cli]:  -> true (EKS Anywhere " +
				"thinks that its command line is working on the object: it leaves the machines alone, and " +
				"lets a Cluster be deleted, a management cluster's, too)\n" +
				"applied TinkerbellDatacenterConfig dev: spec.hookImagesURLPath:  -> https://h/x (accepted " +
				"because of the annotation anywhere.eks.amazonaws.com/managed-by-cli)"},
		{"Tinkerbell image of machines", "tinkerbell-workload-github",
			[]string{"  hardwareSelector:", "  osImageURL: https://h/1-33.gz\n  hardwareSelector:"},
			[]string{"  hardwareSelector:", "  osImageURL: https://h/new-1-33.gz\n  hardwareSelector:"},
			"applied documented TinkerbellMachineConfig dev-cp: spec.osImageURL: https://h/1-33.gz -> " +
				"https://h/new-1-33.gz"},
		{"Tinkerbell IP", "tinkerbell-workload-github", nil, []string{"10.20.0.11", "10.20.0.12"},
			"rejected TinkerbellDatacenterConfig dev: spec.tinkerbellIP: 10.20.0.11 -> 10.20.0.12 (field " +
				"is immutable)"},
		{"Tinkerbell second key", "tinkerbell-workload-github", nil,
			[]string{"Example ops\n", "Example ops\n    - ssh-rsa AAAA\n"}, "one rejected"},

		{"vSphere network", "vsphere-workload-github", nil,
			[]string{"/DC1/network/eksa", "/DC1/network/other"}, "rejected VSphereDatacenterConfig dev: " +
				"spec.network: /DC1/network/eksa -> /DC1/network/other (field is immutable)"},
		{"vSphere thumbprint", "vsphere-workload-github", nil,
			[]string{`thumbprint: ""`, "thumbprint: AB:CD"},
			"applied VSphereDatacenterConfig dev: spec.thumbprint:  -> AB:CD" + onWorkload},
		{"vSphere default OS", "vsphere-bottlerocket", []string{"osFamily: bottlerocket", "diskGiB: 26"},
			[]string{"osFamily: bottlerocket", "osFamily: bottlerocket\n  diskGiB: 26"},
			"applied VSphereMachineConfig dev-cp: spec.osFamily:  -> bottlerocket" + same},
		{"vSphere key emptied", "vsphere-workload-github", nil, []string{
			"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample ops", `""`},
			"one rejected"},
		{"vSphere second user", "vsphere-workload-github", nil,
			[]string{"  users:\n", "  users:\n  - name: more\n    sshAuthorizedKeys: [ssh-rsa AAAA]\n"},
			`applied documented VSphereMachineConfig dev-cp: spec.users[more]:  -> {"name":"more","sshAuthorizedKeys":["ssh-rsa AAAA"]}`},
		{"zone added", "cloudstack-workload-github", nil,
			[]string{"  availabilityZones:\n", "  availabilityZones:\n  - {name: az-2}\n"},
			`applied documented CloudStackDatacenterConfig dev: spec.availabilityZones[az-2]:  -> {"name":"az-2"}`},
		{"all zones replaced", "cloudstack-workload-github", nil, []string{"name: az-1", "name: az-2"},
			"two rejected"},
		{"CloudStack affinity", "cloudstack-workload-github", nil,
			[]string{"  users:", "  affinity: anti\n  users:"},
			"rejected CloudStackMachineConfig dev-cp: spec.affinity:  -> anti (field is immutable)"},
		{"CloudStack offering", "cloudstack-workload-github", nil,
			[]string{"name: m4-large", "name: m4-small"}, "applied documented CloudStackMachineConfig " +
				"dev-cp: spec.computeOffering.name: m4-large -> m4-small"},

		{"Nutanix endpoint", "nutanix-workload-github", nil,
			[]string{"prism.example.com", "prism2.example.com"}, "rejected NutanixDatacenterConfig dev: " +
				"spec.endpoint: prism.example.com -> prism2.example.com (field is immutable)"},
		{"Nutanix subnet", "nutanix-workload-github", nil, []string{"name: vlan10", "name: vlan11"},
			"rejected NutanixMachineConfig dev-cp: spec.subnet.name: vlan10 -> vlan11 (field is immutable)"},
		{"Nutanix workers' memory", "nutanix-management-github",
			[]string{"memorySize: 4Gi", "memorySize: 8Gi"},
			[]string{"memorySize: 4Gi", "memorySize: 8Gi", "memorySize: 4Gi", "memorySize: 16Gi"},
			"applied NutanixMachineConfig dev-md: spec.memorySize: 4Gi -> 16Gi" + onManagement},
		{"Nutanix annotated as managed", "nutanix-management-github", []string{"  name: dev-cp\nspec",
			"  name: dev-cp\n" + fmt.Sprintf(annotation, "managed-by: m") + "spec"},
			[]string{"  name: dev-cp\nspec", "  name: dev-cp\n" +
				fmt.Sprintf(annotation, "managed-by: m") + "spec", "memorySize: 4Gi", "memorySize: 8Gi"},
			"applied NutanixMachineConfig dev-cp: spec.memorySize: 4Gi -> 8Gi" + onManagement},
		{"Nutanix annotated as etcd", "nutanix-workload-github", []string{"  name: dev-cp\nspec",
			"  name: dev-cp\n" + fmt.Sprintf(annotation, "etcd: 'true'") + "spec"},
			[]string{"  name: dev-cp\nspec", "  name: dev-cp\n" +
				fmt.Sprintf(annotation, "etcd: 'true'") + "spec", "memorySize: 4Gi", "memorySize: 8Gi"},
			"rejected documented NutanixMachineConfig dev-cp: spec.memorySize: 4Gi -> 8Gi (field is " +
				"immutable)"},
		{"Snow pool", "snow-workload-github", nil, []string{"10.20.2.20", "10.20.2.30"}, "one rejected"},
		{"Snow devices", "snow-workload-github", nil, []string{"  - 10.20.1.2", "  - 10.20.1.3"},
			`applied documented SnowMachineConfig dev-cp: spec.devices: ["10.20.1.2"] -> ["10.20.1.3"]`},

		{"FluxConfig default said", "vsphere-management-github", nil, []string{"spec:\n  github:\n" +
			"    personal: true", "spec:\n  branch: main\n  github:\n    personal: true"},
			"applied FluxConfig dev: spec.branch:  -> main" + same},
		{"FluxConfig empty branch", "vsphere-management-github", nil, []string{"spec:\n  github:\n" +
			"    personal: true", "spec:\n  branch: \"\"\n  github:\n    personal: true"},
			"rejected FluxConfig dev: spec.branch:  ->  (config is immutable)"},
		{"FluxConfig default that the server does not know", "vsphere-management-github", nil,
			[]string{"spec:\n  github:\n    personal: true",
				"spec:\n  systemNamespace: flux-system\n  github:\n    personal: true"},
			"rejected FluxConfig dev: spec.systemNamespace:  -> flux-system (config is immutable)"},
		{"FluxConfig not personal said", "organization", []string{"    personal: false\n", ""}, nil,
			"applied FluxConfig dev: spec.github.personal:  -> false" + same},
		{"FluxConfig paused", "vsphere-management-github", []string{"  name: dev\nspec:\n  github",
			"  name: dev\n" + fmt.Sprintf(annotation, "paused: 'true'") + "spec:\n  github"},
			[]string{"  name: dev\nspec:\n  github", "  name: dev\n" +
				fmt.Sprintf(annotation, "paused: 'true'") + "spec:\n  github", "owner: octo", "owner: cat"},
			"rejected FluxConfig dev: spec.github.owner: octo -> cat (config is immutable)"},
		{"GitOpsConfig", "vsphere-gitopsconfig", nil, []string{"owner: octo", "owner: cat"},
			"rejected GitOpsConfig dev: spec.flux.github.owner: octo -> cat (config is immutable)"},
		{"IAM partition said", "oidc-and-iam", nil, []string{"  awsRegion", "  partition: aws\n  awsRegion"},
			"applied AWSIamConfig dev: spec.partition:  -> aws" + same},
		{"OIDC of a managed cluster", "oidc-and-iam",
			[]string{"  gitOpsRef", "  managementCluster: {name: mgmt}\n  gitOpsRef", "kind: OIDCConfig\n" +
				"metadata:\n", "kind: OIDCConfig\nmetadata:\n" + fmt.Sprintf(annotation, "managed-by: mgmt")},
			[]string{"  gitOpsRef", "  managementCluster: {name: mgmt}\n  gitOpsRef", "kind: OIDCConfig\n" +
				"metadata:\n", "kind: OIDCConfig\nmetadata:\n" + fmt.Sprintf(annotation, "managed-by: mgmt"),
				"clientId: kubernetes", "clientId: other"},
			"applied documented OIDCConfig dev: spec.clientId: kubernetes -> other"},
		{"OIDC of a managed cluster without the annotation", "oidc-and-iam",
			[]string{"  gitOpsRef", "  managementCluster: {name: mgmt}\n  gitOpsRef"}, []string{"  gitOpsRef",
				"  managementCluster: {name: mgmt}\n  gitOpsRef", "clientId: kubernetes", "clientId: other"},
			"rejected documented OIDCConfig dev: spec.clientId: kubernetes -> other (config is immutable " +
				"(the object has no anywhere.eks.amazonaws.com/managed-by annotation, so it counts as a " +
				"management cluster's))"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			edit := func(edits []string) *clusterspec.Set {
				text := readSpec(t, test.spec)
				for i := 0; i < len(edits); i += 2 {
					text = mustReplace(t, text, edits[i], edits[i+1])
				}
				return parseText(text)
			}
			changes := clusterspec.CompareSets(edit(test.before), edit(test.after))
			rejected := 0
			for _, c := range changes {
				if c.Verdict == clusterspec.VerdictRejected {
					rejected++
				}
			}
			switch got := verdicts(changes); test.want {
			case "one rejected", "two rejected":
				if want := 1 + strings.Count(test.want, "two"); rejected != want || len(changes) != want {
					t.Errorf("got\n%s", got)
				}
			default:
				if got != test.want {
					t.Errorf("got\n%s\nwant\n%s", got, test.want)
				}
			}
		})
	}
}
