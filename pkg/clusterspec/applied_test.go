package clusterspec_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// TestParseApplied: what EKS Anywhere's command makes good when it creates a cluster is wrong in what Flux
// applies, also for a management cluster.
func TestParseApplied(t *testing.T) {
	t.Parallel()
	const (
		key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample ops"
		cni = "    cniConfig:\n      cilium: {}\n"
	)
	for name, test := range map[string]struct {
		spec          string
		edits         []string
		parsed, wrong string // what Parse and ParseApplied tell
	}{
		"well": {"vsphere-management-github", nil, "", ""},
		"key of a management cluster": {"vsphere-management-github", []string{key, `""`},
			`warning: 63:7: VSphereMachineConfig dev-cp: spec.users[0].sshAuthorizedKeys[0]: EKS Anywhere's webhook refuses a first user without an SSH key; expected a public key`,
			`63:7: VSphereMachineConfig dev-cp: spec.users[0].sshAuthorizedKeys[0]: EKS Anywhere's webhook refuses a first user without an SSH key; expected a public key`},
		"template of a management cluster": {"vsphere-management-github",
			[]string{"  template: /DC1/vm/Templates/ubuntu-2204-1.33\n", ""},
			`warning: 51:1: VSphereMachineConfig dev-cp: spec.template: EKS Anywhere's webhook refuses a machine config without a template; expected the path of a template`,
			`51:1: VSphereMachineConfig dev-cp: spec.template: EKS Anywhere's webhook refuses a machine config without a template; expected the path of a template`},
		"cni": {"vsphere-management-github", []string{cni, "    cni: cilium\n"},
			`warning: 21:10: Cluster dev: spec.clusterNetwork.cni: cni is deprecated; cniConfig is written to Git in its place; expected cniConfig`,
			`21:10: Cluster dev: spec.clusterNetwork.cni: EKS Anywhere accepts cni once, and refuses it when Flux applies it again; expected cniConfig: {cilium: {}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := edited(t, test.spec, test.edits...)
			if got := told(text); got != test.parsed {
				t.Errorf("Parse tells\n%s\nwant\n%s", got, test.parsed)
			}
			source := clusterspec.Source{Name: "spec.yaml", Data: []byte(text)}
			got := toldOf(clusterspec.ParseApplied([]clusterspec.Source{source}))
			if got != test.wrong {
				t.Errorf("ParseApplied tells\n%s\nwant\n%s", got, test.wrong)
			}
		})
	}
}
