package eksacontroller

import (
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// object makes an object of "Kind name annotation annotation..." and the YAML
// of its spec.
func object(t *testing.T, head, spec string) *unstructured.Unstructured {
	t.Helper()
	if head == "" {
		return nil
	}
	words := strings.Fields(head)
	var annotations []string
	for _, name := range words[2:] {
		annotations = append(annotations, fmt.Sprintf("anywhere.eks.amazonaws.com/%s: 'true'", name))
	}
	objects, err := Decode(fmt.Appendf(nil,
		"{apiVersion: %s, kind: %s, metadata: {name: %s, annotations: {%s}}, spec: {%s}}", APIVersion,
		words[0], words[1], strings.Join(annotations, ", "), spec))
	if err != nil {
		t.Fatal(err)
	}
	return objects[0]
}

func TestReview_updates(t *testing.T) {
	t.Parallel()
	const (
		self    = "managementCluster: {name: c}"
		managed = "managementCluster: {name: m}"
	)
	for _, test := range []struct {
		head, old, new string
		want           string // "" is: allowed
	}{
		{"Cluster c", self + ", gitOpsRef: {name: a}", self + ", gitOpsRef: {name: b}", ""},
		{"Cluster c", managed + ", gitOpsRef: {name: a}", managed + ", gitOpsRef: {name: b}",
			"spec.gitOpsRef: Forbidden: field is immutable"},
		{"Cluster c", managed, managed + ", gitOpsRef: {name: b}",
			"spec.gitOpsRef: Forbidden: field is immutable"},
		{"Cluster c paused", managed, managed + ", gitOpsRef: {name: b}", ""},
		{"Cluster c", "", self, "spec.managementCluster: Forbidden: field is immutable"},
		{"Cluster c", "datacenterRef: {name: a}", "datacenterRef: {name: b}",
			"spec.datacenterRef: Forbidden: field is immutable"},
		{"Cluster c", "controlPlaneConfiguration: {endpoint: {host: a}}",
			"controlPlaneConfiguration: {endpoint: {host: b}}", "spec.controlPlaneConfiguration.endpoint"},
		{"Cluster c", "datacenterRef: {kind: CloudStackDatacenterConfig}, controlPlaneConfiguration: " +
			"{endpoint: {host: a}}", "datacenterRef: {kind: CloudStackDatacenterConfig}, " +
			"controlPlaneConfiguration: {endpoint: {host: 'a:6443'}}", ""},
		{"Cluster c", "clusterNetwork: {pods: {cidrBlocks: [a]}}",
			"clusterNetwork: {pods: {cidrBlocks: [b]}}", "spec.clusterNetwork.pods"},
		{"Cluster c", "clusterNetwork: {dns: {}}", "clusterNetwork: {}", ""},
		{"Cluster c", "clusterNetwork: {cniConfig: {cilium: {}}}",
			"clusterNetwork: {cniConfig: {cilium: {a: b}}}", ""},
		{"Cluster c", "proxyConfiguration: {httpProxy: a}", "proxyConfiguration: {httpProxy: b}",
			"spec.proxyConfiguration"},
		{"Cluster c", "", "externalEtcdConfiguration: {count: 3}",
			"cannot switch from stacked to external etcd topology"},
		{"Cluster c", "externalEtcdConfiguration: {count: 3}", "",
			"cannot switch from external to stacked etcd topology"},
		{"Cluster c", "externalEtcdConfiguration: {count: 3}", "externalEtcdConfiguration: {count: 5}", ""},
		{"Cluster c", "", "identityProviderRefs: [{kind: AWSIamConfig, name: a}]", ""},
		{"Cluster c", "identityProviderRefs: [{kind: AWSIamConfig, name: a}]",
			"identityProviderRefs: [{kind: AWSIamConfig, name: b}]", "spec.identityProviderRefs"},
		{"Cluster c", "kubernetesVersion: '1.33'", "kubernetesVersion: '1.34'", ""},
		{"Cluster c", "kubernetesVersion: '1.33'", "kubernetesVersion: '1.35'",
			"only +1 minor version skew is supported"},
		{"Cluster c paused", "kubernetesVersion: '1.33'", "kubernetesVersion: '1.32'",
			"kubernetesVersion downgrade is not supported"},
		{"Cluster c",
			"kubernetesVersion: '1.33', workerNodeGroupConfigurations: [{kubernetesVersion: '1.31'}]",
			"kubernetesVersion: '1.34', workerNodeGroupConfigurations: [{kubernetesVersion: '1.31'}]",
			"at most two minor versions"},
		{"Cluster c", "eksaVersion: v0.25.0", "",
			"spec.eksaVersion: Forbidden: field cannot be removed after setting"},
		{"Cluster c", "eksaVersion: v0.25.0", "eksaVersion: v0.26.1", ""},
		{"Cluster c", "eksaVersion: v0.25.0", "eksaVersion: v0.27.0",
			"only +1 minor version skew is supported"},
		{"Cluster c skip-eksa-version-skew-check", "eksaVersion: v0.25.0", "eksaVersion: v0.27.0", ""},
		{"Cluster c", "controlPlaneConfiguration: {count: 1, labels: {a: b}}",
			"controlPlaneConfiguration: {count: 3, labels: {a: c}}", ""},
		{"Cluster c",
			"datacenterRef: {kind: TinkerbellDatacenterConfig}, controlPlaneConfiguration: {labels: {a: b}}",
			"datacenterRef: {kind: TinkerbellDatacenterConfig}, controlPlaneConfiguration: {labels: {a: c}}",
			"spec.controlPlaneConfiguration.labels"},
		{"Cluster c", "datacenterRef: {kind: TinkerbellDatacenterConfig}, kubernetesVersion: '1.33', " +
			"controlPlaneConfiguration: {count: 1}", "datacenterRef: {kind: TinkerbellDatacenterConfig}, " +
			"kubernetesVersion: '1.34', controlPlaneConfiguration: {count: 3}",
			"cannot perform scale up or down during rolling upgrades"},

		{"VSphereDatacenterConfig d", "server: a", "server: b", "spec.server: Forbidden: field is immutable"},
		{"VSphereDatacenterConfig d", "server: a, thumbprint: a", "server: a, thumbprint: b", ""},
		{"VSphereDatacenterConfig d paused", "server: a", "server: b", ""},
		{"VSphereMachineConfig d", "osFamily: a, memoryMiB: 1", "osFamily: b, memoryMiB: 2", "spec.osFamily"},
		{"VSphereMachineConfig d", "memoryMiB: 1", "memoryMiB: 2", ""},
		{"CloudStackDatacenterConfig d", "availabilityZones: [{name: a, x: 1}]",
			"availabilityZones: [{name: a, x: 2}]", "availabilityZone is immutable"},
		{"CloudStackDatacenterConfig d", "availabilityZones: [{name: a}]", "availabilityZones: [{name: b}]",
			"at least one availabilityZone"},
		{"CloudStackDatacenterConfig d", "availabilityZones: [{name: a}]",
			"availabilityZones: [{name: b}, {name: a}]", ""},
		{"CloudStackMachineConfig d", "affinity: pro", "affinity: anti", "spec.affinity"},
		{"NutanixDatacenterConfig d", "endpoint: a", "endpoint: b", "spec.endpoint"},
		{"NutanixDatacenterConfig d", "credentialRef: {name: a}", "", "credentialRef cannot be removed"},
		{"NutanixMachineConfig d", "memorySize: 1", "memorySize: 2", ""},
		{"NutanixMachineConfig d", "subnet: {name: a}", "subnet: {name: b}", "spec.subnet"},
		{"NutanixMachineConfig d control-plane", "memorySize: 1", "memorySize: 2", "spec.memorySize"},
		{"NutanixMachineConfig d control-plane managed-by", "memorySize: 1", "memorySize: 2", ""},
		{"SnowMachineConfig d", "amiID: a", "amiID: b", ""},
		{"SnowIPPool d", "pools: [{ipStart: a}]", "pools: [{ipStart: b}]", "spec.pools"},
		{"TinkerbellDatacenterConfig d", "tinkerbellIP: a", "tinkerbellIP: b", "spec.tinkerbellIP"},
		{"TinkerbellDatacenterConfig d", "hookImagesURLPath: a", "hookImagesURLPath: b",
			"spec.hookImagesURLPath"},
		{"TinkerbellDatacenterConfig d managed-by-cli", "hookImagesURLPath: a", "hookImagesURLPath: b", ""},
		{"TinkerbellMachineConfig d", "users: [{name: a, sshAuthorizedKeys: [k]}]",
			"users: [{name: a, sshAuthorizedKeys: [l]}]", "spec.users"},
		{"TinkerbellMachineConfig d", "templateRef: {name: a}", "templateRef: {name: b}", ""},
		{"TinkerbellTemplateConfig d", "template: a", "template: b", ""},
		{"DockerDatacenterConfig d", "a: b", "a: c", ""},
		{"FluxConfig f", "branch: a", "branch: b", "spec: Forbidden: config is immutable"},
		{"FluxConfig f paused", "branch: a", "", "spec: Forbidden: config is immutable"},
		{"FluxConfig f", "branch: a", "branch: a", ""},
		{"GitOpsConfig f", "flux: {github: {branch: a}}", "flux: {github: {branch: b}}",
			"spec: Forbidden: config is immutable"},
		{"OIDCConfig o", "clientId: a", "clientId: b", "spec: Forbidden: config is immutable"},
		{"OIDCConfig o managed-by", "clientId: a", "clientId: b", ""},
		{"AWSIamConfig a", "awsRegion: a", "awsRegion: b", "spec.awsRegion: Forbidden: config is immutable"},
		{"AWSIamConfig a", "mapRoles: [a]", "mapRoles: [b]", ""},
	} {
		err := Review(admissionv1.Update, object(t, test.head, test.old), object(t, test.head, test.new))
		switch {
		case test.want == "" && err != nil, test.want != "" && err == nil,
			test.want != "" && !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: {%s} to {%s}: %v, want %q", test.head, test.old, test.new, err, test.want)
		}
	}
}

func TestReview_createAndDelete(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		operation  admissionv1.Operation
		head, spec string
		allowed    bool
	}{
		{admissionv1.Create, "Cluster c", "", false},
		{admissionv1.Create, "Cluster c", "managementCluster: {name: c}", false},
		{admissionv1.Create, "Cluster c paused", "", true},
		{admissionv1.Create, "Cluster c managed-by-cli", "", true},
		{admissionv1.Create, "Cluster c", "managementCluster: {name: m}", true},
		{admissionv1.Create, "GitOpsConfig c", "", true},
		{admissionv1.Delete, "Cluster c", "", true},
		{admissionv1.Delete, "Cluster c paused", "", true},
		{admissionv1.Delete, "Cluster c managed-by-cli", "", true},
		{admissionv1.Delete, "Cluster c", "managementCluster: {name: m}", true},
		{admissionv1.Delete, "FluxConfig c", "", true},
	} {
		old, new := object(t, test.head, test.spec), (*unstructured.Unstructured)(nil)
		if test.operation == admissionv1.Create {
			old, new = new, old
		}
		if err := Review(test.operation, old, new); (err == nil) != test.allowed {
			t.Errorf("%s of %s {%s}: %v, want allowed %t",
				test.operation, test.head, test.spec, err, test.allowed)
		}
	}
}
