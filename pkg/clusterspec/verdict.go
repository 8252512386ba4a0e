package clusterspec

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Verdict is what happens when Flux applies a change.
type Verdict string

// The verdicts on a change.
const (
	VerdictApplied  Verdict = "applied"
	VerdictIgnored  Verdict = "ignored"
	VerdictRejected Verdict = "rejected"
	// VerdictReplaced is for a change of what an object is: its name, namespace, kind or group of apiVersion.
	// Flux deletes the object, of a Cluster with all its machines, and creates another.
	VerdictReplaced Verdict = "replaced"
)

// newWorkers says whether a change adds a worker group to a workload cluster, which the user documentation
// lists as a whole.
func (c *comparison) newWorkers(path string, before any) bool {
	return before == nil && c.old.role() == RoleWorkload &&
		strings.HasPrefix(path, "spec.workerNodeGroupConfigurations[") && strings.HasSuffix(path, "]")
}

// documentedHere narrows what the user documentation lists by what a table cannot say: on a management
// cluster the machine configs of workers only, of identity providers OIDC only.
func (c *comparison) documentedHere(path string, before, after any) bool {
	switch {
	case c.new.object.Kind == "VSphereMachineConfig" && c.new.cluster != nil &&
		c.new.role() == RoleManagement:
		return (&report{object: c.new.cluster.Objects[0]}).refersFromWorkers(c.new.object)
	case c.new.object.Kind == "Cluster" && path == "spec.identityProviderRefs":
		return iamName(before) == iamName(after)
	}
	return true
}

// serverDefaults are values that the API server or a mutating webhook puts in where there is none. An empty
// text is one; what a webhook makes of that is in [rewritings].
var serverDefaults = map[string]string{
	"FluxConfig spec.branch": defaultBranch, "GitOpsConfig spec.flux.github.branch": defaultBranch,
	"VSphereMachineConfig spec.osFamily": "bottlerocket", "AWSIamConfig spec.partition": "aws",
}

// means says whether two values that are written differently are the same to the webhooks: nothing is the
// same as what the server puts in, or else as an empty text, an empty list and false; and lists of texts are
// sets.
func (c *comparison) means(path string, f *field, before, after any) bool {
	fallback := serverDefaults[c.new.object.Kind+" "+path]
	plain := func(value any) any {
		switch v := value.(type) {
		case nil:
			return fallback
		case string:
			return v
		case bool:
			if !v {
				return fallback
			}
		case map[string]any:
			if len(v) == 0 && (path == "spec.clusterNetwork.dns" || path == "spec.managementCluster") {
				return fallback
			}
		case []any:
			if len(v) == 0 {
				return fallback
			}
			if f != nil && f.Type == "list" {
				return value // the names of objects in an order that matters
			}
			texts := make([]string, len(v))
			for i, item := range v {
				text, ok := item.(string)
				if !ok {
					return value
				}
				texts[i] = text
			}
			slices.Sort(texts)
			return texts
		}
		return value
	}
	return reflect.DeepEqual(plain(before), plain(after))
}

// nearestField finds the row of the deepest known parent of a path.
func (c *comparison) nearestField(path string) *field {
	f := fields().kinds[c.new.object.Kind]
	for _, part := range pathForm.FindAllStringSubmatch(path, -1) {
		next := f.children[part[0]]
		if strings.HasPrefix(part[0], "[") {
			next = f.item
		}
		if next == nil {
			break
		}
		f = next
	}
	return f
}

// tableVerdict looks the change of a field up; fields inherit from the field above.
func tableVerdict(f *field, role Role) (Verdict, string) {
	said, says := "", ""
	for ; f != nil && said == ""; f = f.parent {
		said = f.Change.Workload
		if role == RoleManagement {
			said = f.Change.Management
		}
		if says = f.Says; says == "" {
			says = immutable
		}
	}
	switch said {
	case "rejects":
		return VerdictRejected, says
	case "ignores":
		return VerdictIgnored, "set by the server"
	case "replaces":
		return VerdictReplaced, "Flux deletes the object and creates another"
	}
	return VerdictApplied, ""
}

func documented(f *field, role Role) bool {
	for ; f != nil; f = f.parent {
		if slices.Contains(f.GitOps, role) {
			return true
		}
	}
	return false
}

// acting says what an annotation does that came, went or changed.
func (c *comparison) acting(change *Change, path string, before, after any) {
	meaning, ignored := annotationChange(c.new.object.Kind, path, show(before), show(after))
	change.Message = cmp.Or(meaning, change.Message)
	if ignored {
		change.Verdict = VerdictIgnored
	}
}

// paused says whether the webhook skips the immutability of the object: when the stored one is paused, for
// the kinds that know that.
func (c *comparison) paused() bool {
	switch c.new.object.Kind {
	case "Cluster", "VSphereDatacenterConfig", "VSphereMachineConfig", "CloudStackDatacenterConfig",
		"CloudStackMachineConfig", "NutanixDatacenterConfig", "NutanixMachineConfig":
		return text(c.old.object.root(), "metadata", "annotations", "anywhere.eks.amazonaws.com/paused") ==
			"true"
	}
	return false
}

// scaleMessage is the webhook's answer to a change of size and version in one request.
const scaleMessage = "cannot perform scale up or down during rolling upgrades"

// versionRule says whether a rejection is one that holds for paused clusters, too: those about versions do.
func versionRule(path, message string) bool {
	return strings.HasSuffix(path, "kubernetesVersion") || path == "spec.eksaVersion" ||
		path == "spec.bundlesRef" || message == scaleMessage
}

// special holds the verdicts that depend on values.
func (c *comparison) special(change *Change, path string, before, after any) {
	reject := func(message string) { change.Verdict, change.Message = VerdictRejected, message }
	apply := func(message string) { change.Verdict, change.Message = VerdictApplied, message }
	switch kind := c.new.object.Kind; kind {
	case "Cluster":
		c.specialCluster(change, path, before, after)
	case "VSphereMachineConfig":
		switch users := items(c.new.object.root(), "spec", "users"); {
		case !within(path, "spec.users"):
		case len(users) == 0:
			reject("users is not set, please provide a user")
		case !hasKey(users[0]):
			reject("users[0].SshAuthorizedKeys is not set or is empty, please provide a valid ssh " +
				"authorized key")
		}
	case "CloudStackDatacenterConfig":
		if strings.HasPrefix(path, "spec.availabilityZones[") && strings.HasSuffix(path, "]") &&
			(before == nil || after == nil) {
			apply("")
			if !sharesZone(c.old.object, c.new.object) {
				reject("at least one AvailabilityZone must be shared between new and old " +
					"CloudStackDatacenterConfig specs")
			}
		}
	case "NutanixDatacenterConfig":
		if path == "spec.credentialRef" && after == nil {
			reject("credentialRef cannot be removed")
		}
	case "NutanixMachineConfig":
		frozen := []string{"spec.vcpuSockets", "spec.vcpusPerSocket", "spec.memorySize",
			"spec.systemDiskSize", "spec.users"}
		if c.controlPlaneOrEtcd() &&
			slices.ContainsFunc(frozen, func(f string) bool { return within(path, f) }) {
			reject(immutable)
		}
	case "TinkerbellDatacenterConfig":
		byCLI := text(c.new.object.root(), "metadata", "annotations",
			"anywhere.eks.amazonaws.com/managed-by-cli") == "true"
		if byCLI && (path == "spec.hookImagesURLPath" || path == "spec.skipLoadBalancerDeployment") {
			apply("accepted because of the annotation anywhere.eks.amazonaws.com/managed-by-cli")
		}
	case "TinkerbellMachineConfig":
		if within(path, "spec.users") && !sameFirstUser(c.old.object, c.new.object) {
			reject(immutable)
		}
	case "OIDCConfig":
		if strings.HasPrefix(path, "spec") && change.Role == RoleWorkload &&
			text(c.old.object.root(), "metadata", "annotations", "anywhere.eks.amazonaws.com/managed-by") ==
				"" {
			reject(configImmutable + " (the object has no anywhere.eks.amazonaws.com/managed-by " +
				"annotation, so it counts as a management cluster's)")
		}
	}
}

// hasKey says whether a user can log in.
func hasKey(user *yaml.Node) bool {
	sshKeys := items(user, "sshAuthorizedKeys")
	return len(sshKeys) > 0 && sshKeys[0].Value != ""
}

func sharesZone(a, b *Object) bool {
	names := map[string]bool{}
	for _, zone := range items(a.root(), "spec", "availabilityZones") {
		names[text(zone, "name")] = true
	}
	for _, zone := range items(b.root(), "spec", "availabilityZones") {
		if names[text(zone, "name")] {
			return true
		}
	}
	return false
}

// controlPlaneOrEtcd says whether Nutanix's webhook takes a machine config for a management cluster's control
// plane or etcd. It goes by annotations of the stored object, which EKS Anywhere's command sets on what it
// creates, in the cluster and not always in Git.
func (c *comparison) controlPlaneOrEtcd() bool {
	annotation := func(name string) string {
		return text(c.old.object.root(), "metadata", "annotations", "anywhere.eks.amazonaws.com/"+name)
	}
	switch {
	case annotation("managed-by") != "":
		return false
	case annotation("control-plane") == "true" || annotation("etcd") == "true":
		return true
	case c.old.role() != RoleManagement:
		return false
	}
	for _, path := range []string{"spec.controlPlaneConfiguration.machineGroupRef",
		"spec.externalEtcdConfiguration.machineGroupRef"} {
		if ref, ok := referenceAt(c.old.cluster.Objects[0], path); ok && ref.kind == c.old.object.Kind &&
			ref.name == c.old.object.Name {
			return true
		}
	}
	return false
}

// sameFirstUser compares what Tinkerbell's webhook freezes.
func sameFirstUser(a, b *Object) bool {
	old, current := items(a.root(), "spec", "users"), items(b.root(), "spec", "users")
	if len(old) != len(current) {
		return false
	}
	if len(old) == 0 {
		return true
	}
	oldKeys, newKeys := items(old[0], "sshAuthorizedKeys"), items(current[0], "sshAuthorizedKeys")
	if text(old[0], "name") != text(current[0], "name") || len(oldKeys) != len(newKeys) {
		return false
	}
	return len(oldKeys) == 0 || bareKey(oldKeys[0].Value) == bareKey(newKeys[0].Value)
}

func (c *comparison) specialCluster(change *Change, path string, before, after any) {
	reject := func(message string) { change.Verdict, change.Message = VerdictRejected, message }
	tinkerbell := c.new.cluster != nil && c.new.cluster.Provider == "tinkerbell"
	switch {
	case path == "metadata.namespace":
		change.Message = "Flux deletes the cluster with all its machines and creates another"
		if replacement := (Change{}); c.old.role() == RoleManagement {
			if c.new.guarded(&replacement, false); replacement.Verdict == VerdictRejected {
				reject(replacement.Message)
			}
		}
	case within(path, "spec.managementCluster"):
		if c.old.role() == RoleManagement && c.new.role() == RoleManagement {
			change.Verdict, change.Message = VerdictApplied, "the cluster manages itself as before"
		}
	case path == "spec.kubernetesVersion":
		if message := skew(before, after); message != "" {
			reject(message)
		}
	case strings.HasPrefix(path, "spec.workerNodeGroupConfigurations[") &&
		strings.HasSuffix(path, "].kubernetesVersion"):
		if message := c.workerSkew(before, after); message != "" {
			reject(message)
		}
	case within("spec.clusterNetwork.cniConfig.cilium.skipUpgrade", path):
		const skip = "spec.clusterNetwork.cniConfig.cilium.skipUpgrade"
		if flag(c.old.object.root(), keys(skip)...) && !flag(c.new.object.root(), keys(skip)...) &&
			c.reviewedBefore(24) {
			reject("cannot toggle off skipUpgrade once enabled")
		}
	case strings.HasPrefix(path, "spec.workerNodeGroupConfigurations["):
		c.specialScaling(change, path)
	case path == "spec.externalEtcdConfiguration" && before == nil:
		reject("cannot switch from stacked to external etcd topology")
	case path == "spec.externalEtcdConfiguration" && after == nil:
		reject("cannot switch from external to stacked etcd topology")
	case path == "spec.controlPlaneConfiguration.endpoint.host" && c.new.cluster != nil &&
		c.new.cluster.Provider == "cloudstack":
		if strings.TrimSuffix(show(before), ":6443") == strings.TrimSuffix(show(after), ":6443") {
			change.Verdict, change.Message = VerdictApplied, "6443 is also the default port"
		}
	case path == "spec.identityProviderRefs":
		old, current := iamName(before), iamName(after)
		if old != "" && current != "" && old != current {
			reject(immutable)
		}
	case path == "spec.eksaVersion" || path == "spec.bundlesRef":
		c.specialEksaVersion(change, path, before, after)
	case within(path, "spec.gitOpsRef") && change.Role == RoleManagement && before != nil:
		change.Message = "the webhook accepts it, but eksctl anywhere upgrade refuses to change a gitOpsRef"
	}
	if !tinkerbell {
		return
	}
	for _, name := range []string{".labels", ".taints"} {
		if strings.HasPrefix(path, "spec.controlPlaneConfiguration"+name) ||
			strings.HasPrefix(path, "spec.workerNodeGroupConfigurations[") &&
				strings.Contains(path, "]"+name) {
			reject(immutable)
		}
	}
	scales := path == "spec.controlPlaneConfiguration.count" || strings.HasPrefix(path,
		"spec.workerNodeGroupConfigurations[") &&
		(strings.HasSuffix(path, "].count") || strings.HasSuffix(path, "]") && strings.Count(path, "[") == 1)
	if scales && c.old.cluster != nil && c.old.cluster.KubernetesVersion != c.new.cluster.KubernetesVersion {
		reject(scaleMessage)
	}
}

// specialScaling is about the size of a worker group that the cluster autoscaler works on.
func (c *comparison) specialScaling(change *Change, path string) {
	index, field, _ := strings.Cut(strings.TrimPrefix(path, "spec.workerNodeGroupConfigurations["), "].")
	groups := items(c.new.object.root(), "spec", "workerNodeGroupConfigurations")
	at, err := strconv.Atoi(index)
	if err != nil || at >= len(groups) || field != "count" && !within(field, "autoscalingConfiguration") {
		return
	}
	_, scaling := lookup(groups[at], "autoscalingConfiguration")
	if scaling == nil {
		return
	}
	least, bounded := integer(scaling, "minCount")
	most, limited := integer(scaling, "maxCount")
	count, counted := integer(groups[at], "count")
	counted = counted && limited // without a maximum the specification has another error
	switch {
	case bounded && limited && least > most:
		change.Verdict, change.Message = VerdictRejected, "min count must be no greater than max count"
	case counted && least > count:
		change.Verdict, change.Message = VerdictRejected, "min count must be less than or equal to count"
	case counted && most < count:
		change.Verdict, change.Message = VerdictRejected, "max count must be greater than or equal to count"
	case field == "count":
		change.Verdict, change.Message = VerdictIgnored, "the cluster autoscaler decides how many machines "+
			"there are, from minCount to maxCount"
	}
}

// reviewedBefore says whether the webhook is known to be of a release before v0.minor: it is the management
// cluster's.
func (c *comparison) reviewedBefore(minor int) bool {
	of, known := releaseMinor(text(c.old.object.root(), "spec", "eksaVersion"))
	return known && c.old.role() == RoleManagement && of < minor
}

func (c *comparison) specialEksaVersion(change *Change, path string, before, after any) {
	switch {
	case after == nil && before != nil &&
		(path == "spec.eksaVersion" || text(c.new.object.root(), "spec", "eksaVersion") == ""):
		change.Verdict, change.Message = VerdictRejected, "field cannot be removed after setting"
	case path == "spec.eksaVersion" && before != nil && after != nil:
		old, oldOK := releaseMinor(show(before))
		current, newOK := releaseMinor(show(after))
		skip := text(c.new.object.root(), "metadata", "annotations",
			"anywhere.eks.amazonaws.com/skip-eksa-version-skew-check") == "true"
		if oldOK && newOK && !skip && (current < old || current > old+1) {
			change.Verdict, change.Message = VerdictRejected, eksaVersionStep
			return
		}
		fallthrough
	case path == "spec.eksaVersion" && change.Role == RoleManagement:
		if change.Role == RoleManagement {
			change.Message = "EKS Anywhere documents that a management cluster's version is changed with " +
				"eksctl anywhere upgrade, not through Git"
		}
	}
}

// releaseMinor gives 26 for v0.26.1, and counts a major version as a thousand.
func releaseMinor(version string) (int, bool) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 3 {
		return 0, false
	}
	major, errMajor := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return major*1000 + minor, errMajor == nil && errMinor == nil
}

func iamName(refs any) string {
	list, _ := refs.([]any)
	for _, ref := range list {
		if object, ok := ref.(map[string]any); ok && object["kind"] == "AWSIamConfig" {
			name, _ := object["name"].(string)
			return name
		}
	}
	return ""
}

// workerSkew says why a worker group's own version cannot change: one that is added is an upgrade from the
// cluster's, and one that is taken away an upgrade to the cluster's, which must not change with it.
func (c *comparison) workerSkew(before, after any) string {
	_, old := lookup(c.old.object.root(), "spec", "kubernetesVersion")
	_, current := lookup(c.new.object.root(), "spec", "kubernetesVersion")
	if old == nil || current == nil {
		return ""
	}
	switch {
	case before == nil:
		return skew(old.Value, after)
	case after == nil && old.Value != current.Value:
		return "can't simultaneously remove worker kubernetesVersion and upgrade cluster level " +
			"kubernetesVersion: " + current.Value
	case after == nil:
		return skew(before, current.Value)
	}
	return skew(before, after)
}

// RefusedVersion says why EKS Anywhere does not let a field of a Cluster go from one value to another: a
// version that would go down, or too far up. It is empty when it does, and for fields that hold no version.
func RefusedVersion(field, from, to string) string {
	switch {
	case strings.HasSuffix(field, "kubernetesVersion"):
		return skew(from, to)
	case field == "spec.eksaVersion":
		old, oldOK := releaseMinor(from)
		if current, newOK := releaseMinor(to); oldOK && newOK && (current < old || current > old+1) {
			return eksaVersionStep
		}
	}
	return ""
}

// eksaVersionStep is why spec.eksaVersion cannot be any other.
const eksaVersionStep = "EKS Anywhere is upgraded by one minor version at a time, and not back"

// skew says why Kubernetes cannot go from one version to the other.
func skew(before, after any) string {
	old, oldErr := strconv.Atoi(strings.TrimPrefix(show(before), "1."))
	current, newErr := strconv.Atoi(strings.TrimPrefix(show(after), "1."))
	switch {
	case oldErr != nil || newErr != nil:
		return ""
	case current < old:
		return fmt.Sprintf("Kubernetes cannot be downgraded from 1.%d to 1.%d", old, current)
	case current > old+1:
		return fmt.Sprintf("only +1 minor version skew is supported; from 1.%d that is 1.%d", old, old+1)
	}
	return ""
}
