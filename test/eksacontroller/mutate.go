package eksacontroller

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Mutate makes of an object what EKS Anywhere's mutating webhooks store of
// it, which the validating ones compare then. Values that are there are
// rewritten; the defaults of those that are missing are left out, since no
// test needs them.
func Mutate(object *unstructured.Unstructured) {
	spec, ok := object.Object["spec"].(map[string]any)
	rule := mutations()[object.GetKind()]
	if !ok || rule == nil {
		return
	}
	rule(spec)
}

// mutations are the rules by which specs are rewritten, by kind.
func mutations() map[string]func(spec map[string]any) {
	return map[string]func(map[string]any){
		"Cluster":                    mutateCluster,
		"VSphereDatacenterConfig":    mutateVSphereDatacenter,
		"VSphereMachineConfig":       mutateVSphereMachine,
		"CloudStackDatacenterConfig": mutateCloudStackDatacenter,
		"TinkerbellMachineConfig":    mutateTinkerbellMachine,
	}
}

// mutatedKinds are the kinds whose objects are rewritten.
func mutatedKinds() []string {
	var kinds []string
	for kind := range mutations() {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// mutateCluster moves cni into cniConfig, unless that is there, too; both are
// refused then.
func mutateCluster(spec map[string]any) {
	network, _ := spec["clusterNetwork"].(map[string]any)
	plugin, _ := network["cni"].(string)
	if plugin == "" || network["cniConfig"] != nil {
		return
	}
	delete(network, "cni")
	network["cniConfig"] = map[string]any{strings.TrimSuffix(plugin, "-enterprise"): map[string]any{}}
}

func mutateVSphereDatacenter(spec map[string]any) {
	prefix := "/" + fmt.Sprint(spec["datacenter"])
	if network, _ := spec["network"].(string); network != "" && !strings.HasPrefix(network, prefix) {
		spec["network"] = prefix + "/network/" + network
	}
	if spec["insecure"] == true && spec["thumbprint"] != nil {
		spec["thumbprint"] = ""
	}
}

func mutateVSphereMachine(spec map[string]any) {
	switch memory := spec["memoryMiB"].(type) {
	case int64:
		spec["memoryMiB"] = max(memory, 2048)
	case float64:
		spec["memoryMiB"] = max(memory, 2048)
	}
}

func mutateCloudStackDatacenter(spec map[string]any) {
	zones, _ := spec["zones"].([]any)
	if spec["availabilityZones"] == nil && len(zones) > 0 {
		var moved []any
		for i, zone := range zones {
			one := map[string]any{"name": fmt.Sprintf("default-az-%d", i), "zone": zone,
				"credentialsRef": "global"}
			for _, name := range []string{"account", "domain", "managementApiEndpoint"} {
				if spec[name] != nil {
					one[name] = spec[name]
				}
			}
			moved = append(moved, one)
		}
		spec["availabilityZones"] = moved
	}
	for _, name := range []string{"zones", "account", "domain", "managementApiEndpoint"} {
		delete(spec, name)
	}
}

// mutateTinkerbellMachine drops the comment of the first user's first key.
func mutateTinkerbellMachine(spec map[string]any) {
	users, _ := spec["users"].([]any)
	if len(users) == 0 {
		return
	}
	user, _ := users[0].(map[string]any)
	keys, _ := user["sshAuthorizedKeys"].([]any)
	if len(keys) == 0 {
		return
	}
	line, _ := keys[0].(string)
	if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
		keys[0] = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	}
}

// mutated answers a request to the mutating webhook.
func mutated(request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	object, err := decodeRaw(request.Object)
	if err != nil || object == nil {
		return &admissionv1.AdmissionResponse{Allowed: true}, err
	}
	before := object.DeepCopy()
	if Mutate(object); reflect.DeepEqual(before.Object, object.Object) {
		return &admissionv1.AdmissionResponse{Allowed: true}, nil
	}
	patch, err := json.Marshal([]any{map[string]any{
		"op": "replace", "path": "/spec", "value": object.Object["spec"],
	}})
	if err != nil {
		return nil, err
	}
	kind := admissionv1.PatchTypeJSONPatch
	return &admissionv1.AdmissionResponse{Allowed: true, Patch: patch, PatchType: &kind}, nil
}
