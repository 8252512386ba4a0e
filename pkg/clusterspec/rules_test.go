package clusterspec_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// edited gives a spec file of the corpus with texts replaced, each where it stands first: old, new, old, new…
func edited(t *testing.T, spec string, edits ...string) string {
	t.Helper()
	text := readSpec(t, spec)
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("%s has no %q", spec, edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	return text
}

// told gives all that is wrong with a file, and all warnings, one a line and without the file's name.
func told(text string) string {
	return toldOf(clusterspec.Parse([]clusterspec.Source{{Name: "spec.yaml", Data: []byte(text)}}))
}

// toldOf is told of what has been read.
func toldOf(set *clusterspec.Set, err error) string {
	lines := []string{}
	if err != nil {
		lines = append(lines, err.Error())
	}
	for _, w := range set.Warnings {
		lines = append(lines, "warning: "+w.String())
	}
	return fileName.ReplaceAllString(strings.Join(lines, "\n"), "$1")
}

var fileName = regexp.MustCompile(`(?m)^(warning: )?spec\.yaml:`)

// TestParse_rulesBesideTheWebhooks holds each rule of EKS Anywhere's validators, which are in no CRD and no
// webhook, against a file that breaks it and against a neighbour that does not.
func TestParse_rulesBesideTheWebhooks(t *testing.T) {
	t.Parallel()
	const (
		group       = "  - name: md-0\n    count: 2 # scaled through Git\n"
		strategy    = "    upgradeRolloutStrategy: "
		control     = "    count: 3\n    endpoint"
		secondGroup = "  clusterNetwork:"
	)
	at := func(value string) []string { return []string{control, value + control} }
	workers := func(value string) []string { return []string{group, group + value} }
	both := func(value string) []string { return append(at(value), workers(value)...) }
	for name, test := range map[string]struct {
		spec  string
		edits []string
		want  string
	}{
		"endpoint of vSphere: IPv6": {"vsphere-workload-github", []string{"10.20.0.10", `"fd00::10"`}, ""},
		"endpoint of Nutanix: name": {
			"nutanix-workload-github",
			[]string{"10.20.0.10", "cp.example.com"},
			`10:13: Cluster dev: spec.controlPlaneConfiguration.endpoint.host: Nutanix needs an IP address; found "cp.example.com"; expected an IP address`},
		"endpoint of Tinkerbell: name": {"tinkerbell-workload-github",
			[]string{"10.20.0.10", "cp.example.com"}, ""},
		"endpoint with a zone": {"vsphere-workload-github",
			[]string{"10.20.0.10", `"fe80::1%eth0"`},
			`10:13: Cluster dev: spec.controlPlaneConfiguration.endpoint.host: vSphere needs an IP address; found "fe80::1%eth0"; expected an IP address`},

		"rolling update": {"vsphere-workload-github",
			both(strategy + "{type: RollingUpdate, rollingUpdate: {maxSurge: 1}}\n"), ""},
		"rolling update of the machines": {"vsphere-workload-github",
			at(strategy + "{type: RollingUpdate}\n"),
			`8:5: Cluster dev: spec.controlPlaneConfiguration.upgradeRolloutStrategy.rollingUpdate: the field is required with type RollingUpdate; expected an object with maxSurge, such as rollingUpdate: {maxSurge: 1}`},
		"in place on bare metal": {"tinkerbell-workload-github", both(strategy + "{type: InPlace}\n"), ""},
		"in place for workers only": {"tinkerbell-workload-github", workers(strategy + "{type: InPlace}\n"),
			`17:36: Cluster dev: spec.workerNodeGroupConfigurations[0].upgradeRolloutStrategy.type: workers are upgraded in another way than the control plane, and EKS Anywhere requires one way for all; found InPlace; expected type RollingUpdate`},
		"in place with Red Hat": {"tinkerbell-workload-github", append(both(strategy+"{type: InPlace}\n"),
			"osFamily: ubuntu", "osFamily: redhat", "osFamily: ubuntu", "osFamily: redhat"),
			`8:36: Cluster dev: spec.controlPlaneConfiguration.upgradeRolloutStrategy.type: machines are upgraded in place with Ubuntu only; found osFamily redhat in TinkerbellMachineConfig dev-cp; expected type RollingUpdate, or osFamily ubuntu
18:36: Cluster dev: spec.workerNodeGroupConfigurations[0].upgradeRolloutStrategy.type: machines are upgraded in place with Ubuntu only; found osFamily redhat in TinkerbellMachineConfig dev-md; expected type RollingUpdate, or osFamily ubuntu`},
		"autoscaling without in place": {"tinkerbell-workload-github",
			workers("    autoscalingConfiguration: {minCount: 1, maxCount: 3}\n"), ""},

		"Cilium overlay": {"vsphere-workload-github",
			[]string{"cilium: {}", "cilium: {routingMode: overlay}"}, ""},
		"Cilium direct with a block": {"vsphere-workload-github",
			[]string{"cilium: {}", "cilium: {routingMode: direct, ipv4NativeRoutingCIDR: 10.0.0.0/8}"}, ""},

		"kubelet": {"vsphere-workload-github",
			both("    kubeletConfiguration: {kind: KubeletConfiguration, apiVersion: " +
				"kubelet.config.k8s.io/v1beta1, maxPods: 50, evictionHard: {memory.available: 200Mi}, " +
				"registerWithTaints: [{key: a, effect: NoSchedule}], featureGates: {X: true}}\n"),
			""},
		"kubelet of a wrong type": {"vsphere-workload-github", at(
			"    kubeletConfiguration: {kind: KubeletConfiguration, maxPods: \"50\", syncFrequency: 60}\n"),
			`8:65: Cluster dev: spec.controlPlaneConfiguration.kubeletConfiguration.maxPods: the value has the wrong type; found the string "50"; expected 50, without quotes
8:86: Cluster dev: spec.controlPlaneConfiguration.kubeletConfiguration.syncFrequency: the value has the wrong type; found the integer 60; expected a duration such as 10m or 1h30m`},
		"kubelet of another kind": {"vsphere-workload-github",
			at("    kubeletConfiguration: {kind: Kubelet, maxPods: 50}\n"),
			`warning: 8:34: Cluster dev: spec.controlPlaneConfiguration.kubeletConfiguration.kind: the settings are read as a KubeletConfiguration, whatever their kind; found "Kubelet"; expected KubeletConfiguration`},
		"kubelet's ID empty": {"vsphere-workload-github",
			at("    kubeletConfiguration: {kind: KubeletConfiguration, cloudProvider: x}\n"),
			`8:56: Cluster dev: spec.controlPlaneConfiguration.kubeletConfiguration.cloudProvider: there is no such field`},
		"kubelet on Bottlerocket": {"vsphere-bottlerocket",
			at("    kubeletConfiguration: {kind: KubeletConfiguration, maxPods: 50}\n"), ""},
		"audit policy": {"vsphere-workload-github", at("    auditPolicyContent: |\n" +
			"      apiVersion: audit.k8s.io/v1\n      kind: Policy\n      rules: [{level: None}]\n"),
			""},

		"mirror verified on Bottlerocket": {"vsphere-bottlerocket", []string{"  clusterNetwork:",
			"  registryMirrorConfiguration: {endpoint: 10.0.0.9}\n  clusterNetwork:"},
			""},
		"mirror not verified on Ubuntu": {"vsphere-workload-github", []string{"  clusterNetwork:",
			"  registryMirrorConfiguration: {endpoint: 10.0.0.9, insecureSkipVerify: true}\n" +
				"  clusterNetwork:"},
			""},
		"resources of packages": {"vsphere-management-github", []string{"  clusterNetwork:", "  packages: " +
			"{controller: {resources: {requests: {cpu: \"1\", memory: 1Gi}}}}\n  clusterNetwork:"},
			""},

		"network by name": {"vsphere-workload-github", []string{"/DC1/network/eksa", "eksa"}, ""},
		"network in a folder": {"vsphere-workload-github",
			[]string{"/DC1/network/eksa", "/DC1/network/folder/eksa"}, ""},
		"failure domain in it": {"vsphere-failure-domains", nil, ""},
		"failure domain's network": {"vsphere-failure-domains", []string{"/DC1/network/a", "/DC1/vm/a"},
			`52:14: VSphereDatacenterConfig dev: spec.failureDomains[0].network: the network is not among the networks of the datacenter; found "/DC1/vm/a"; expected a path that starts with /DC1/network/`},
		"one osFamily without external etcd": {"vsphere-workload-github",
			[]string{"osFamily: ubuntu", "osFamily: redhat"}, ""},

		"Nutanix image by UUID": {"nutanix-workload-github",
			[]string{"type: name\n    name: ubuntu-2204-1.33", "type: uuid\n    uuid: 0-1"}, ""},
		"Nutanix image of another version": {"nutanix-workload-github",
			[]string{"name: ubuntu-2204-1.33", "name: ubuntu-2204-1.32"},
			`61:11: NutanixMachineConfig dev-cp: spec.image.name: the name of the image does not contain the Kubernetes version of the control plane; found "ubuntu-2204-1.32"; expected a name with 1.33 in it, such as ubuntu-2204-1.33`},
		"Nutanix image of workers behind": {"nutanix-workload-github",
			[]string{group, group + "    kubernetesVersion: \"1.32\"\n"},
			`86:11: NutanixMachineConfig dev-md: spec.image.name: the name of the image does not contain the Kubernetes version of worker group md-0; found "ubuntu-2204-1.33"; expected a name with 1.32 in it, such as ubuntu-2204-1.32`},
		"Nutanix boot type": {"nutanix-workload-github",
			[]string{"  osFamily", "  bootType: uefi\n  osFamily"}, ""},
		"Nutanix boot type empty": {"nutanix-workload-github",
			[]string{"  osFamily", "  bootType: \"\"\n  osFamily"},
			`54:13: NutanixMachineConfig dev-cp: spec.bootType: the field may be left out, but not be empty; found an empty string; expected one of legacy, uefi, or no such field`},
		"Nutanix disk of 40G": {"nutanix-workload-github",
			[]string{"systemDiskSize: 40Gi", "systemDiskSize: 40G"},
			`58:19: NutanixMachineConfig dev-cp: spec.systemDiskSize: less than EKS Anywhere accepts for a machine; found "40G"; expected at least 40Gi`},
		"Nutanix failure domain": {"nutanix-workload-github", []string{"  credentialRef",
			"  failureDomains:\n  - name: fd\n    cluster: {type: name, name: pe1}\n" +
				"    subnets: [{type: name, name: s}]\n  credentialRef"},
			""},
		"Nutanix failure domain, its name too long": {"nutanix-workload-github", []string{"  credentialRef",
			"  failureDomains:\n  - name: " + strings.Repeat("a", 65) + "\n    cluster: {type: name, name: " +
				"pe1}\n    subnets: [{type: name, name: s}]\n  credentialRef"},
			`46:11: NutanixDatacenterConfig dev: spec.failureDomains[0].name: the value is not allowed; found "` +
				strings.Repeat("a", 60) +
				`…"; expected at most 64 lower-case letters, digits and "-", with a letter or digit at both ends`},
		"Nutanix workers spread": {"nutanix-workload-github", []string{"name: md-0", "name: dev-md",
			"  credentialRef", "  failureDomains:\n  - {name: f1, cluster: {type: name, name: a}, subnets: " +
				"[{type: name, name: s}], workerMachineGroups: [dev-md]}\n  - {name: f2, " +
				"cluster: {type: name, name: b}, subnets: [{type: name, name: s}]}\n  credentialRef"},
			""},
		"Nutanix workers spread too far": {"nutanix-workload-github", []string{"name: md-0", "name: dev-md",
			"  credentialRef", "  failureDomains:\n  - {name: f1, cluster: {type: name, name: a}, subnets: " +
				"[{type: name, name: s}], workerMachineGroups: [dev-md]}\n  credentialRef"},
			`46:104: NutanixDatacenterConfig dev: spec.failureDomains[0].workerMachineGroups[0]: the group has more machines than there are failure domains; found count 2; expected at most 1`},
		"Nutanix workers by their machine config": {"nutanix-workload-github",
			[]string{"  credentialRef", "  failureDomains:\n  - {name: f1, cluster: {type: name, name: a}, " +
				"subnets: [{type: name, name: s}], workerMachineGroups: [dev-md]}\n  credentialRef"},
			`46:104: NutanixDatacenterConfig dev: spec.failureDomains[0].workerMachineGroups[0]: EKS Anywhere looks for worker groups and for their machine configs of that name, and finds only a machine config; found "dev-md"; expected a worker group whose name and machineGroupRef.name are the same`},

		"bare-metal image in each machine config": {"tinkerbell-workload-github",
			[]string{"  osImageURL: https://images.example.com/ubuntu-2204-1.33.gz\n", "",
				"  osFamily: ubuntu\n  hardwareSelector:\n    type: cp", "  osFamily: ubuntu\n" +
					"  osImageURL: https://images.example.com/u_1_33.gz\n  hardwareSelector:\n    type: cp",
				"  osFamily: ubuntu\n  hardwareSelector:\n    type: md", "  osFamily: ubuntu\n" +
					"  osImageURL: https://images.example.com/u133.gz\n  hardwareSelector:\n    type: md"},
			""},
		"bare-metal image in one machine config": {"tinkerbell-workload-github",
			[]string{"  osImageURL: https://images.example.com/ubuntu-2204-1.33.gz\n", "",
				"  osFamily: ubuntu\n  hardwareSelector:\n    type: cp", "  osFamily: ubuntu\n" +
					"  osImageURL: https://images.example.com/u-1-33.gz\n  hardwareSelector:\n    type: cp"},
			`63:1: TinkerbellMachineConfig dev-md: spec.osImageURL: the field is required where the datacenter config has none; expected a URL with 1.33 in it, such as https://host/ubuntu-2204-1.33.gz`},
		"bare-metal image of workers behind": {"tinkerbell-workload-github",
			[]string{group, group + "    kubernetesVersion: \"1.32\"\n"},
			`45:15: TinkerbellDatacenterConfig dev: spec.osImageURL: the name of the image does not contain a Kubernetes version of the cluster; found "https://images.example.com/ubuntu-2204-1.33.gz"; expected a URL with 1.32 in it, such as https://host/ubuntu-2204-1.32.gz`},
		"Bottlerocket on bare metal": {"tinkerbell-workload-github",
			[]string{`"1.33"`, "\"1.28\"\n  eksaVersion: v0.19.0", "ubuntu-2204-1.33", "br-1.28",
				"osFamily: ubuntu", "osFamily: bottlerocket", "osFamily: ubuntu", "osFamily: bottlerocket"},
			""},
		"Bottlerocket's own image": {"tinkerbell-workload-github", []string{`"1.33"`, "\"1.28\"\n" +
			"  eksaVersion: v0.19.0", "  osImageURL: https://images.example.com/ubuntu-2204-1.33.gz\n", "",
			"osFamily: ubuntu", "osFamily: bottlerocket", "osFamily: ubuntu", "osFamily: bottlerocket"},
			""},
		"ISO": {"tinkerbell-workload-github", []string{"  osImageURL",
			"  isoBoot: true\n  hookIsoURL: https://i.example.com/hook.iso\n  osImageURL"},
			""},
		"proxy and hook images": {"tinkerbell-workload-github", []string{"  clusterNetwork:",
			"  proxyConfiguration: {httpProxy: \"10.1.1.1:3128\", httpsProxy: \"10.1.1.1:3128\"}\n" +
				"  clusterNetwork:", "  osImageURL",
			"  hookImagesURLPath: http://10.1.1.2/hook\n  osImageURL"},
			""},
		"template reference by name": {"tinkerbell-template", nil, ""},
		"template reference without a kind": {"tinkerbell-workload-github",
			[]string{"  hardwareSelector:", "  templateRef: {name: dev}\n  hardwareSelector:"},
			`52:3: TinkerbellMachineConfig dev-cp: spec.templateRef.kind: the field is required; expected TinkerbellTemplateConfig`},

		"Snow with fixed addresses and external etcd": {"snow-workload-github",
			[]string{secondGroup, "  externalEtcdConfiguration: {count: 3, machineGroupRef: " +
				"{kind: SnowMachineConfig, name: dev-cp}}\n" + secondGroup},
			""},
		"Snow identity half empty": {"snow-workload-github",
			[]string{"{kind: Secret, name: dev-snow-credentials}", "{kind: Secret, name: \"\"}"},
			`42:42: SnowDatacenterConfig dev: spec.identityRef.name: the field is required; found an empty string; expected a string`},
		"Snow identity empty": {"snow-workload-github",
			[]string{"{kind: Secret, name: dev-snow-credentials}", "{kind: \"\", name: \"\"}"},
			`42:8: SnowDatacenterConfig dev: spec.identityRef: only EKS Anywhere's command fills in the reference to the credentials; what Flux applies is refused without it; expected kind: Secret and a name, such as dev-snow-credentials`},
		"Snow without a key": {"snow-workload-github", []string{"  sshKeyName: ops\n", ""},
			`48:1: SnowMachineConfig dev-cp: spec.sshKeyName: only EKS Anywhere's command makes an SSH key where none is named; what Flux applies is refused without one; expected the name of a key on the devices`},

		"etcd encryption": {"vsphere-workload-github", []string{"  clusterNetwork:", "  etcdEncryption:\n" +
			"  - providers: [{kms: {name: k, socketListenAddress: \"unix:///run/kms.sock\"}}]\n" +
			"    resources: [secrets]\n  clusterNetwork:"},
			`warning: 20:3: Cluster dev: spec.etcdEncryption: EKS Anywhere accepts this for an existing cluster and refuses it when one is created`},
		"etcd encryption over TCP, twice": {"vsphere-workload-github", []string{"  clusterNetwork:",
			"  etcdEncryption:\n  - &one\n    providers: [{kms: {name: k, socketListenAddress: " +
				"\"tcp://1.2.3.4\"}}]\n    resources: [secrets]\n  - *one\n  clusterNetwork:"},
			`20:3: Cluster dev: spec.etcdEncryption: the list is too long; found 2 items; expected at most 1
22:54: Cluster dev: spec.etcdEncryption[0].providers[0].kms.socketListenAddress: the value is not allowed; found "tcp://1.2.3.4"; expected a socket such as unix:///var/run/kmsplugin/socket.sock
22:54: Cluster dev: spec.etcdEncryption[1].providers[0].kms.socketListenAddress: the value is not allowed; found "tcp://1.2.3.4"; expected a socket such as unix:///var/run/kmsplugin/socket.sock`},
		"eksaVersion empty": {"vsphere-workload-github",
			[]string{"  clusterNetwork:", "  eksaVersion: \"\"\n  clusterNetwork:"},
			`20:16: Cluster dev: spec.eksaVersion: the field may be left out, but not be empty; found an empty string; expected a semantic version such as v0.26.0, or no such field`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := told(edited(t, test.spec, test.edits...)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
