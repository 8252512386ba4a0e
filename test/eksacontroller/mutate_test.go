package eksacontroller

import (
	"reflect"
	"testing"
)

func TestMutate(t *testing.T) {
	t.Parallel()
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGExHjruDqUjZVqWvyfuvZwgPDJlMgBqd2lg95MpTqk"
	for _, test := range []struct{ head, spec, want string }{
		{"Cluster c", "clusterNetwork: {cni: cilium}", "clusterNetwork: {cniConfig: {cilium: {}}}"},
		{"Cluster c", "clusterNetwork: {cni: cilium-enterprise}",
			"clusterNetwork: {cniConfig: {cilium: {}}}"},
		{"Cluster c", "clusterNetwork: {cni: cilium, cniConfig: {cilium: {}}}",
			"clusterNetwork: {cni: cilium, cniConfig: {cilium: {}}}"},
		{"VSphereDatacenterConfig d", "datacenter: DC1, network: eksa",
			"datacenter: DC1, network: /DC1/network/eksa"},
		{"VSphereDatacenterConfig d", "datacenter: DC1, network: /DC1/network/eksa",
			"datacenter: DC1, network: /DC1/network/eksa"},
		{"VSphereDatacenterConfig d", "insecure: true, thumbprint: 'AB:CD'",
			"insecure: true, thumbprint: ''"},
		{"VSphereDatacenterConfig d", "insecure: false, thumbprint: 'AB:CD'",
			"insecure: false, thumbprint: 'AB:CD'"},
		{"VSphereMachineConfig m", "memoryMiB: 1024", "memoryMiB: 2048"},
		{"VSphereMachineConfig m", "memoryMiB: 4096", "memoryMiB: 4096"},
		{"TinkerbellMachineConfig m", "users: [{sshAuthorizedKeys: [" + key + " a@b, " + key + " c]}]",
			"users: [{sshAuthorizedKeys: [" + key + ", " + key + " c]}]"},
		{"TinkerbellMachineConfig m", "users: [{sshAuthorizedKeys: [ssh-rsa AAAA c]}]",
			"users: [{sshAuthorizedKeys: [ssh-rsa AAAA c]}]"},
		{"CloudStackDatacenterConfig d", "domain: D, zones: [{name: z}]", "availabilityZones: " +
			"[{name: default-az-0, zone: {name: z}, credentialsRef: global, domain: D}]"},
		{"OIDCConfig o", "clientId: a", "clientId: a"},
	} {
		got, want := object(t, test.head, test.spec), object(t, test.head, test.want)
		if Mutate(got); !reflect.DeepEqual(got.Object, want.Object) {
			t.Errorf("%s: %s becomes\n%v\nwant\n%v", test.head, test.spec, got.Object["spec"],
				want.Object["spec"])
		}
	}
}
