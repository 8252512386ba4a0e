package clusterspec_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// TestCompareSets_stored: what a mutating webhook makes the same is no change, however it is written; what is
// still another value keeps its verdict.
func TestCompareSets_stored(t *testing.T) {
	t.Parallel()
	const (
		same    = " (it means the same as before: EKS Anywhere "
		key     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGExHjruDqUjZVqWvyfuvZwgPDJlMgBqd2lg95MpTqk"
		fixture = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample ops"
		another = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDH1kNxBYH6nbfjVsdmZb6h0HkxSsAtXDZgyZmtqpXJr"
		network = "/DC1/network/eksa"
		cilium  = "    cniConfig:\n      cilium: {}\n"
		secure  = `thumbprint: ""` + "\n  insecure: false"
		moved   = same + "moves it into availabilityZones)\n"
		zones   = "  domain: ROOT\n  account: admin\n" +
			"  managementApiEndpoint: https://cloudstack.example.com/client/api\n" +
			"  zones:\n  - name: zone1\n    network:\n      name: guest\n"
		zone = `{"account":"admin","credentialsRef":"global","domain":"ROOT",` +
			`"managementApiEndpoint":"https://cloudstack.example.com/client/api","name":"default-az-0",` +
			`"zone":{"name":"zone1","network":{"name":"guest"}}}`
		at = "TinkerbellMachineConfig dev-cp: spec.users[ec2-user].sshAuthorizedKeys: "
	)
	firstKey := func(line string) []string { return []string{fixture, line} }
	for name, test := range map[string]struct {
		spec          string
		before, after []string
		want          string
	}{
		"network made absolute": {"vsphere-workload-github", []string{network, "eksa"}, nil,
			"applied VSphereDatacenterConfig dev: spec.network: eksa -> /DC1/network/eksa" + same +
				"stores a name as a path among the networks of the datacenter)"},
		"network made relative": {"vsphere-workload-github", nil, []string{network, "eksa"},
			"applied VSphereDatacenterConfig dev: spec.network: /DC1/network/eksa -> eksa" + same +
				"stores a name as a path among the networks of the datacenter)"},
		"another network": {"vsphere-workload-github", []string{network, "eksa"},
			[]string{network, "/DC1/network/other"}, "rejected VSphereDatacenterConfig dev: spec.network: " +
				"eksa -> /DC1/network/other (field is immutable)"},
		"network with the datacenter": {"vsphere-workload-github", []string{network, "eksa"},
			[]string{"datacenter: DC1", "datacenter: DC2", network, "eksa"},
			"rejected VSphereDatacenterConfig dev: spec.datacenter: DC1 -> DC2 (field is immutable)"},
		"thumbprint that is dropped": {"vsphere-workload-github", []string{secure, "insecure: true"},
			[]string{secure, "insecure: true\n  thumbprint: AB:CD"},
			"applied VSphereDatacenterConfig dev: spec.thumbprint:  -> AB:CD" + same +
				"drops it when insecure is true)"},
		"memory that is raised": {"vsphere-workload-github",
			[]string{"memoryMiB: 8192", "memoryMiB: 1024"}, []string{"memoryMiB: 8192", "memoryMiB: 2048"},
			"applied documented VSphereMachineConfig dev-cp: spec.memoryMiB: 1024 -> 2048" + same +
				"raises less than 2048 to 2048)"},
		"memory that is not raised": {"vsphere-workload-github",
			[]string{"memoryMiB: 8192", "memoryMiB: 1024"}, []string{"memoryMiB: 8192", "memoryMiB: 4096"},
			"applied documented VSphereMachineConfig dev-cp: spec.memoryMiB: 1024 -> 4096"},
		"comment of the first key": {"tinkerbell-workload-github", firstKey(key + " old@comment"),
			firstKey(key + " new@comment"), `applied ` + at + `["` + key + ` old@comment"] -> ["` + key +
				` new@comment"]` + same + "drops the comment of the first user's first key)"},
		"comment and key": {"tinkerbell-workload-github", firstKey(key + " old@comment"),
			firstKey(another + " old@comment"), `rejected ` + at + `["` + key + ` old@comment"] -> ["` +
				another + ` old@comment"] (field is immutable)`},
		"comment and second key": {"tinkerbell-workload-github",
			firstKey(key + " old@comment\n    - ssh-rsa AAAA"),
			firstKey(key + " new@comment\n    - ssh-rsa BBBB"),
			`applied ` + at + `["` + key + ` old@comment","ssh-rsa AAAA"] -> ["` + key +
				` new@comment","ssh-rsa BBBB"] (not among the fields that EKS Anywhere documents for GitOps ` +
				`on a workload cluster)`},
		"comment of a text that is no key": {"tinkerbell-workload-github", firstKey("ssh-rsa AAAA old"),
			firstKey("ssh-rsa AAAA new"),
			`rejected ` + at + `["ssh-rsa AAAA old"] -> ["ssh-rsa AAAA new"] (field is immutable)`},
		"cni in its new form": {"vsphere-workload-github", []string{cilium, "    cni: cilium\n"}, nil,
			"applied Cluster dev: spec.clusterNetwork.cni: cilium -> " + same + "stores it as cniConfig)\n" +
				`applied Cluster dev: spec.clusterNetwork.cniConfig:  -> {"cilium":{}} (it means the same as before)`},
		"zones in their new form": {"cloudstack-legacy-zones", nil, []string{zones,
			"  availabilityZones:\n  - name: default-az-0\n    credentialsRef: global\n    domain: ROOT\n" +
				"    account: admin\n    managementApiEndpoint: https://cloudstack.example.com/client/api\n" +
				"    zone: {name: zone1, network: {name: guest}}\n"},
			"applied CloudStackDatacenterConfig dev: spec.account: admin -> " + moved +
				`applied CloudStackDatacenterConfig dev: spec.availabilityZones:  -> [` + zone +
				`] (it means the same as before)` + "\n" +
				"applied CloudStackDatacenterConfig dev: spec.domain: ROOT -> " + moved +
				"applied CloudStackDatacenterConfig dev: spec.managementApiEndpoint: " +
				"https://cloudstack.example.com/client/api -> " + moved +
				`applied CloudStackDatacenterConfig dev: spec.zones: [{"name":"zone1","network":{"name":"guest"}}] -> ` +
				same + "moves it into availabilityZones)"},
		"zones in a new form that says other things": {"cloudstack-legacy-zones", nil, []string{zones,
			"  availabilityZones:\n  - name: default-az-0\n    credentialsRef: other\n    domain: ROOT\n" +
				"    account: admin\n    managementApiEndpoint: https://cloudstack.example.com/client/api\n" +
				"    zone: {name: zone1, network: {name: guest}}\n"},
			"applied CloudStackDatacenterConfig dev: spec.account: admin -> " + moved +
				`rejected CloudStackDatacenterConfig dev: spec.availabilityZones:  -> [` +
				strings.Replace(zone, "global", "other", 1) + "] (availabilityZone is immutable)\n" +
				"applied CloudStackDatacenterConfig dev: spec.domain: ROOT -> " + moved +
				"applied CloudStackDatacenterConfig dev: spec.managementApiEndpoint: " +
				"https://cloudstack.example.com/client/api -> " + moved +
				`applied CloudStackDatacenterConfig dev: spec.zones: [{"name":"zone1","network":{"name":"guest"}}] -> ` +
				same + "moves it into availabilityZones)"},
		"operating system by default": {"vsphere-bottlerocket",
			[]string{"osFamily: bottlerocket", `osFamily: ""`}, nil,
			"applied VSphereMachineConfig dev-cp: spec.osFamily:  -> bottlerocket" + same +
				"takes an empty one for bottlerocket)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edit := func(edits []string) *clusterspec.Set {
				text := readSpec(t, test.spec)
				for i := 0; i < len(edits); i += 2 {
					text = mustReplace(t, text, edits[i], edits[i+1])
				}
				return parseText(text)
			}
			got := verdicts(clusterspec.CompareSets(edit(test.before), edit(test.after)))
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// TestStored leaves the object that it is given as it is.
func TestStored(t *testing.T) {
	t.Parallel()
	object := func(network string, memory int64) map[string]any {
		return map[string]any{"kind": "VSphereDatacenterConfig", "spec": map[string]any{
			"datacenter": "DC1", "network": network, "thumbprint": "", "memoryMiB": memory}}
	}
	given := object("eksa", 1024)
	for kind, want := range map[string]map[string]any{
		"VSphereDatacenterConfig": object("/DC1/network/eksa", 1024),
		"OIDCConfig":              object("eksa", 1024),
		"ConfigMap":               object("eksa", 1024),
	} {
		if got := clusterspec.Stored(kind, given); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is stored as %v, want %v", kind, got, want)
		}
	}
	if !reflect.DeepEqual(given, object("eksa", 1024)) {
		t.Errorf("the object has become %v", given)
	}
	if got := clusterspec.Stored("Cluster", map[string]any{"spec": "text"}); got["spec"] != "text" {
		t.Errorf("what is not an object has become %v", got)
	}
}

// TestCompareSets_pairs judges real changes, which went wrong once.
func TestCompareSets_pairs(t *testing.T) {
	t.Parallel()
	const dir = "../../testdata/changes"
	files, err := filepath.Glob(filepath.Join(dir, "*.old.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pairs: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".old.yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			before, err := parseFile(t, file)
			if err != nil {
				t.Fatal(err)
			}
			after, err := parseFile(t, name+".new.yaml")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".out", verdicts(clusterspec.CompareSets(before, after))+"\n")
		})
	}
}

// TestChange_apart: values that begin alike are shortened so that they can be told apart.
func TestChange_apart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 10)
	for name, test := range map[string]struct{ before, after, want string }{
		"short":     {"a", "b", "a → b"},
		"beginning": {"a" + long, "b" + long, "a" + long[:79] + "… → b" + long[:79] + "…"},
		"end":       {long + "a", long + "b", "…45678901234567890123456789a → …45678901234567890123456789b"},
		"added":     {"", long, "(none) → " + long[:80] + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clusterspec.Change{Object: "Cluster dev", Field: "spec.x", Old: test.before, New: test.after,
				Verdict: clusterspec.VerdictApplied}
			if want := "Cluster dev: spec.x: " + test.want + ": applied"; c.String() != want {
				t.Errorf("got  %s\nwant %s", c, want)
			}
		})
	}
}
