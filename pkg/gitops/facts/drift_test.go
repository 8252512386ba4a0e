package facts_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// TestDifferences_stored: what EKS Anywhere's webhooks rewrite is no drift, and is compared as they store it.
func TestDifferences_stored(t *testing.T) {
	t.Parallel()
	const (
		datacenter = "kind: VSphereDatacenterConfig\nmetadata: {name: dev}\nspec: {datacenter: DC1, "
		machines   = "kind: VSphereMachineConfig\nmetadata: {name: dev}\nspec: "
		key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGExHjruDqUjZVqWvyfuvZwgPDJlMgBqd2lg95MpTqk"
		tinkerbell = "kind: TinkerbellMachineConfig\nmetadata: {name: dev}\nspec: {users: [{name: a, " +
			"sshAuthorizedKeys: ["
		cluster = "kind: Cluster\nmetadata: {name: dev}\nspec: {clusterNetwork: "
		zones   = "kind: CloudStackDatacenterConfig\nmetadata: {name: dev}\nspec: "
		zone    = "zone: {name: z, network: {name: n}}"
	)
	for name, test := range map[string]struct{ git, live, want string }{
		"network": {datacenter + "network: eksa}", datacenter + "network: /DC1/network/eksa}", ""},
		"another network": {datacenter + "network: eksa}", datacenter + "network: /DC1/network/other}",
			"VSphereDatacenterConfig default/dev: spec.network: Git says /DC1/network/eksa, " +
				"the cluster has /DC1/network/other"},
		"thumbprint": {datacenter + "insecure: true, thumbprint: 'AB:CD'}",
			datacenter + "insecure: true}", ""},
		"thumbprint that counts": {datacenter + "insecure: false, thumbprint: 'AB:CD'}",
			datacenter + "insecure: false}", "VSphereDatacenterConfig default/dev: spec.thumbprint: " +
				"Git says AB:CD, the cluster has nothing"},
		"memory": {machines + "{memoryMiB: 1024}", machines + "{memoryMiB: 2048}", ""},
		"zeros": {machines + "{memoryMiB: 0, numCPUs: 0, osFamily: ''}",
			machines + "{memoryMiB: 8192, numCPUs: 2, osFamily: bottlerocket}", ""},
		"comment of the first key": {tinkerbell + key + " me@here, " + key + " two]}]}",
			tinkerbell + key + ", " + key + " two]}]}", ""},
		"comment of the second key": {tinkerbell + key + " me@here, " + key + " two]}]}",
			tinkerbell + key + ", " + key + "]}]}", "TinkerbellMachineConfig default/dev: " +
				"spec.users[a].sshAuthorizedKeys[1]: Git says " + key + " two, the cluster has " + key},
		"cni": {cluster + "{cni: cilium}}", cluster + "{cniConfig: {cilium: {}}}}", ""},
		"zones": {zones + "{account: a, domain: d, zones: [{name: z, network: {name: n}}]}",
			zones + "{availabilityZones: [{name: default-az-0, account: a, domain: d, " + zone +
				", credentialsRef: global}]}", ""},
		"another zone": {zones + "{domain: d, zones: [{name: z, network: {name: n}}]}",
			zones + "{availabilityZones: [{name: default-az-0, domain: e, " + zone +
				", credentialsRef: global}]}", "CloudStackDatacenterConfig default/dev: " +
				"spec.availabilityZones[default-az-0].domain: Git says d, the cluster has e"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			git, live := facts.DecodeObjects([]byte(test.git)), facts.DecodeObjects([]byte(test.live))
			if len(git) != 1 || len(live) != 1 {
				t.Fatalf("%d and %d objects", len(git), len(live))
			}
			got := ""
			for _, d := range facts.Differences(git[0], &fluxinstall.LiveObject{Fields: live[0].Fields}) {
				got += d.String()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
