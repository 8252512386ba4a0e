package clusterspec_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

var metadataName = regexp.MustCompile(`(metadata:\n  name: [^\n]*\n)`)

// TestCompareSets_otherNamespace: an object in another namespace is another object, which Flux deletes and
// creates.
func TestCompareSets_otherNamespace(t *testing.T) {
	t.Parallel()
	const team = "${1}  namespace: team\n"
	for name, test := range map[string]struct {
		spec, replacement string
		want              []string
	}{
		"a workload cluster": {"vsphere-workload-github", team, []string{
			"Cluster dev: metadata.namespace: default → team: replaced: Flux deletes the cluster with all " +
				"its machines and creates another",
			"FluxConfig dev: metadata.namespace: default → team: replaced: Flux deletes the object and " +
				"creates another",
			"VSphereDatacenterConfig dev: metadata.namespace: default → team: replaced: Flux deletes the " +
				"object and creates another",
			"VSphereMachineConfig dev-cp: metadata.namespace: default → team: replaced: Flux deletes the " +
				"object and creates another",
			"VSphereMachineConfig dev-md: metadata.namespace: default → team: replaced: Flux deletes the " +
				"object and creates another",
		}},
		"a management cluster": {"vsphere-management-github", team, []string{
			"Cluster dev: metadata.namespace: default → team: rejected: creating a self-managed cluster on " +
				"existing management cluster is not supported",
			"FluxConfig dev: metadata.namespace: default → team: replaced: Flux deletes the object and " +
				"creates another",
			"VSphereDatacenterConfig dev: metadata.namespace: default → team: replaced: Flux deletes the " +
				"object and creates another",
			"VSphereMachineConfig dev-cp: metadata.namespace: default → team: replaced: Flux deletes the " +
				"object and creates another",
			"VSphereMachineConfig dev-md: metadata.namespace: default → team: replaced: Flux deletes the " +
				"object and creates another",
		}},
		"the default, written down": {"vsphere-workload-github", "${1}  namespace: default\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := readSpec(t, test.spec)
			var got []string
			for _, c := range clusterspec.CompareSets(parseText(before),
				parseText(metadataName.ReplaceAllString(before, test.replacement))) {
				got = append(got, c.String())
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// TestFieldReference_identity: the page of fields says of every field that is a part of an object's identity
// what a change of it does.
func TestFieldReference_identity(t *testing.T) {
	t.Parallel()
	page := string(clusterspec.FieldReference())
	for _, field := range []string{"apiVersion", "kind", "metadata.name", "metadata.namespace"} {
		line := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(field) + "` .*$").FindString(page)
		if !strings.Contains(line, "| replaced |") {
			t.Errorf("%s: %q", field, line)
		}
	}
}
