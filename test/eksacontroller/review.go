package eksacontroller

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The words of EKS Anywhere's refusals.
const (
	fieldImmutable  = "field is immutable"
	configImmutable = "config is immutable"
)

// Review decides whether EKS Anywhere's webhooks would take a request; old is
// nil for a creation. It returns nil or an *apierrors.StatusError with reason
// Invalid (422) for changes, or BadRequest (400) for the creation of a
// self-managed cluster. Kinds without rules, and kinds that are not EKS
// Anywhere's, are never refused; nor are deletions, about which the webhooks
// are not asked (their markers name create and update alone).
func Review(operation admissionv1.Operation, old, new *unstructured.Unstructured) error {
	switch operation {
	case admissionv1.Create:
		return reviewCreate(new)
	case admissionv1.Update:
		return reviewUpdate(old, new)
	default:
		return nil
	}
}

func reviewCreate(cluster *unstructured.Unstructured) error {
	if cluster.GetKind() != "Cluster" || !selfManaged(cluster) {
		return nil
	}
	if annotated(cluster, Paused) || annotated(cluster, ManagedByCLI) {
		return nil
	}
	return apierrors.NewBadRequest(
		"creating new cluster on existing cluster is not supported for self managed clusters")
}

func reviewUpdate(old, new *unstructured.Unstructured) error {
	// An object that is going away loses its finalizers by updates.
	if new.GetDeletionTimestamp() != nil {
		return nil
	}
	rule := updateRules()[new.GetKind()]
	if rule == nil {
		return nil
	}
	c := &change{old: old, new: new}
	rule(c)
	if len(c.errors) == 0 {
		return nil
	}
	kind := schema.GroupKind{Group: group, Kind: new.GetKind()}
	return apierrors.NewInvalid(kind, new.GetName(), c.errors)
}

// updateRules are the rules for changes, by kind.
func updateRules() map[string]func(*change) {
	return map[string]func(*change){
		"Cluster":                    changeCluster,
		"VSphereDatacenterConfig":    unlessPaused(immutable("server", "datacenter", "network")),
		"VSphereMachineConfig":       unlessPaused(immutable("osFamily", "storagePolicyName")),
		"CloudStackDatacenterConfig": unlessPaused(changeAvailabilityZones),
		"CloudStackMachineConfig":    unlessPaused(immutable("affinity", "affinityGroupIds")),
		"NutanixDatacenterConfig":    unlessPaused(changeNutanixDatacenter),
		"NutanixMachineConfig":       unlessPaused(changeNutanixMachine),
		"SnowIPPool":                 immutable("pools"),
		"TinkerbellDatacenterConfig": changeTinkerbellDatacenter,
		"TinkerbellMachineConfig":    changeTinkerbellMachine,
		"FluxConfig":                 frozen,
		"GitOpsConfig":               frozen,
		"OIDCConfig":                 changeOIDC,
		"AWSIamConfig":               changeAWSIam,
	}
}

// change is an update under review.
type change struct {
	old, new *unstructured.Unstructured
	errors   field.ErrorList
}

// at returns a field of the specs, nil where it is absent. An empty map or
// list is the same as none.
func (c *change) at(path ...string) (old, new any) {
	get := func(object *unstructured.Unstructured) any {
		value := nested[any](object, append([]string{"spec"}, path...)...)
		if v := reflect.ValueOf(value); v.IsValid() && v.IsZero() {
			return nil
		} else if v.IsValid() && (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0 {
			return nil
		}
		return value
	}
	return get(c.old), get(c.new)
}

func (c *change) changed(path ...string) bool {
	old, new := c.at(path...)
	return !reflect.DeepEqual(old, new)
}

func (c *change) forbid(detail string, path ...string) {
	c.errors = append(c.errors, field.Forbidden(field.NewPath("spec", path...), detail))
}

// keep forbids a change of a field.
func (c *change) keep(path ...string) {
	if c.changed(path...) {
		c.forbid(fieldImmutable, path...)
	}
}

func unlessPaused(rule func(*change)) func(*change) {
	return func(c *change) {
		if !annotated(c.old, Paused) {
			rule(c)
		}
	}
}

func immutable(fields ...string) func(*change) {
	return func(c *change) {
		for _, name := range fields {
			c.keep(name)
		}
	}
}

func frozen(c *change) {
	if c.changed() {
		c.forbid(configImmutable)
	}
}

func changeOIDC(c *change) {
	if c.old.GetAnnotations()[ManagedBy] == "" {
		frozen(c)
	}
}

func changeAWSIam(c *change) {
	for _, name := range []string{"awsRegion", "partition", "backendMode"} {
		if c.changed(name) {
			c.forbid(configImmutable, name)
		}
	}
}

func changeAvailabilityZones(c *change) {
	zones := func(object *unstructured.Unstructured) map[string]any {
		byName := map[string]any{}
		for _, zone := range nested[[]any](object, "spec", "availabilityZones") {
			if zone, ok := zone.(map[string]any); ok {
				byName[fmt.Sprint(zone["name"])] = zone
			}
		}
		return byName
	}
	old, new := zones(c.old), zones(c.new)
	shared := false
	for name, zone := range new {
		before, existed := old[name]
		shared = shared || existed
		if existed && !reflect.DeepEqual(before, zone) {
			c.forbid("availabilityZone is immutable", "availabilityZones", name)
		}
	}
	if len(old) > 0 && !shared {
		c.forbid("at least one availabilityZone must be shared between new and old", "availabilityZones")
	}
}

func changeNutanixDatacenter(c *change) {
	c.keep("endpoint")
	if old, new := c.at("credentialRef"); old != nil && new == nil {
		c.forbid("credentialRef cannot be removed", "credentialRef")
	}
}

func changeNutanixMachine(c *change) {
	fields := []string{"bootType", "osFamily", "cluster", "subnet"}
	managed := c.old.GetAnnotations()[ManagedBy] != ""
	if !managed && (annotated(c.old, controlPlaneAnnotation) || annotated(c.old, etcdAnnotation)) {
		fields = append(fields, "vcpuSockets", "vcpusPerSocket", "memorySize", "systemDiskSize", "users")
	}
	immutable(fields...)(c)
}

func changeTinkerbellDatacenter(c *change) {
	c.keep("tinkerbellIP")
	if !annotated(c.new, ManagedByCLI) {
		c.keep("hookImagesURLPath")
		c.keep("skipLoadBalancerDeployment")
	}
}

func changeTinkerbellMachine(c *change) {
	c.keep("osFamily")
	firstUser := func(object *unstructured.Unstructured) (users int, name, keys, firstKey any) {
		list := nested[[]any](object, "spec", "users")
		if len(list) == 0 {
			return 0, nil, 0, nil
		}
		user, _ := list[0].(map[string]any)
		authorized, _ := user["sshAuthorizedKeys"].([]any)
		if len(authorized) > 0 {
			firstKey = authorized[0]
		}
		return len(list), user["name"], len(authorized), firstKey
	}
	oldUsers, oldName, oldKeys, oldKey := firstUser(c.old)
	newUsers, newName, newKeys, newKey := firstUser(c.new)
	if oldUsers != newUsers || oldName != newName || oldKeys != newKeys || oldKey != newKey {
		c.forbid(fieldImmutable, "users")
	}
}

func changeCluster(c *change) {
	if !annotated(c.old, Paused) {
		changeClusterIdentity(c)
	}
	changeClusterVersions(c)
	if _, cni := c.at("clusterNetwork", "cni"); cni != nil &&
		nested[any](c.new, "spec", "clusterNetwork", "cniConfig") != nil {
		c.forbid("invalid format for cni plugin: both old and new formats used, use only the CNIConfig field",
			"clusterNetwork", "cni")
	}
	if nested[string](c.new, "spec", "datacenterRef", "kind") == "TinkerbellDatacenterConfig" {
		changeTinkerbellCluster(c)
	}
}

// changeClusterIdentity forbids changes of what a cluster is built on.
func changeClusterIdentity(c *change) {
	c.keep("managementCluster")
	c.keep("datacenterRef")
	if !c.sameEndpoint() {
		c.forbid(fieldImmutable, "controlPlaneConfiguration", "endpoint")
	}
	for _, name := range []string{"pods", "services", "dns", "nodes"} {
		c.keep("clusterNetwork", name)
	}
	c.keep("proxyConfiguration")
	if !selfManaged(c.old) {
		c.keep("gitOpsRef")
	}
	switch old, new := c.at("externalEtcdConfiguration"); {
	case old == nil && new != nil:
		c.forbid("cannot switch from stacked to external etcd topology", "externalEtcdConfiguration")
	case old != nil && new == nil:
		c.forbid("cannot switch from external to stacked etcd topology", "externalEtcdConfiguration")
	}
	old, new := iamRef(c.old), iamRef(c.new)
	if old != "" && new != "" && old != new {
		c.forbid(fieldImmutable, "identityProviderRefs")
	}
}

// sameEndpoint compares the endpoints; CloudStack's may name the default port
// or not.
func (c *change) sameEndpoint() bool {
	if !c.changed("controlPlaneConfiguration", "endpoint") {
		return true
	}
	if nested[string](c.new, "spec", "datacenterRef", "kind") != "CloudStackDatacenterConfig" {
		return false
	}
	host := func(object *unstructured.Unstructured) string {
		return strings.TrimSuffix(
			nested[string](object, "spec", "controlPlaneConfiguration", "endpoint", "host"), ":6443")
	}
	return host(c.old) == host(c.new)
}

func iamRef(cluster *unstructured.Unstructured) string {
	for _, ref := range nested[[]any](cluster, "spec", "identityProviderRefs") {
		if ref, ok := ref.(map[string]any); ok && ref["kind"] == "AWSIamConfig" {
			return fmt.Sprint(ref["name"])
		}
	}
	return ""
}

// changeClusterVersions holds whether or not the cluster is paused.
func changeClusterVersions(c *change) {
	oldEKSA, newEKSA := nested[string](c.old, "spec", "eksaVersion"),
		nested[string](c.new, "spec", "eksaVersion")
	switch {
	case oldEKSA != "" && newEKSA == "":
		c.forbid("field cannot be removed after setting", "eksaVersion")
	case oldEKSA != "" && !annotated(c.new, SkipVersionSkewCheck):
		c.step("eksaVersion", oldEKSA, newEKSA)
	}
	if old, new := c.at("bundlesRef"); old != nil && new == nil && newEKSA == "" {
		c.forbid("field cannot be removed after setting unless eksaVersion is set", "bundlesRef")
	}
	oldKube, newKube := nested[string](c.old, "spec", "kubernetesVersion"),
		nested[string](c.new, "spec", "kubernetesVersion")
	c.step("kubernetesVersion", oldKube, newKube)
	control, ok := minor(newKube)
	if !ok {
		return
	}
	for i, worker := range nested[[]any](c.new, "spec", "workerNodeGroupConfigurations") {
		worker, _ := worker.(map[string]any)
		version, _ := worker["kubernetesVersion"].(string)
		if own, ok := minor(version); ok && control-own > 2 {
			c.forbid(fmt.Sprintf("the control plane may be at most two minor versions above a worker group "+
				"(%s, %s)", newKube, version),
				"workerNodeGroupConfigurations", strconv.Itoa(i), "kubernetesVersion")
		}
	}
}

// step forbids a change of a version other than to a later patch or to the
// next minor.
func (c *change) step(name, old, new string) {
	from, ok1 := minor(old)
	to, ok2 := minor(new)
	switch {
	case !ok1 || !ok2:
	case to < from:
		c.forbid(fmt.Sprintf("%s downgrade is not supported (%s) (%s)", name, old, new), name)
	case to > from+1:
		c.forbid(fmt.Sprintf("only +1 minor version skew is supported, minor version skew detected %d: %s "+
			"(%s) (%s)", to-from, name, old, new),
			name)
	}
}

// minor is the second number of a version, such as 33 in "1.33" and "v1.33.2".
func minor(version string) (int, bool) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 2 {
		return 0, false
	}
	number, err := strconv.Atoi(parts[1])
	return number, err == nil
}

func changeTinkerbellCluster(c *change) {
	if !annotated(c.old, Paused) {
		c.keep("controlPlaneConfiguration", "labels")
		c.keep("controlPlaneConfiguration", "taints")
	}
	old, new := workerGroups(c.old), workerGroups(c.new)
	scaled := c.changed("controlPlaneConfiguration", "count") || len(old) != len(new)
	for name, group := range new {
		before, existed := old[name]
		if !existed {
			scaled = true
			continue
		}
		scaled = scaled || !reflect.DeepEqual(before["count"], group["count"])
		if !annotated(c.old, Paused) && !reflect.DeepEqual(before["labels"], group["labels"]) {
			c.forbid(fieldImmutable, "workerNodeGroupConfigurations", name, "labels")
		}
	}
	if scaled && c.changed("kubernetesVersion") {
		c.forbid("cannot perform scale up or down during rolling upgrades. Previous configuration and new " +
			"configuration must have the same count")
	}
}

func workerGroups(cluster *unstructured.Unstructured) map[string]map[string]any {
	groups := map[string]map[string]any{}
	for _, group := range nested[[]any](cluster, "spec", "workerNodeGroupConfigurations") {
		if group, ok := group.(map[string]any); ok {
			groups[fmt.Sprint(group["name"])] = group
		}
	}
	return groups
}

// reviewedKinds are the kinds the webhook is asked about.
func reviewedKinds() []string {
	var kinds []string
	for kind := range updateRules() {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}
