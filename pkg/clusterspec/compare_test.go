package clusterspec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

func readSpec(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus, "valid", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// mustReplace makes sure that a test changes what it means to change.
func mustReplace(t testing.TB, text, old, replacement string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("%q is not in\n%s", old, text)
	}
	return strings.Replace(text, old, replacement, 1)
}

func parseText(text string) *clusterspec.Set {
	set, _ := clusterspec.Parse([]clusterspec.Source{{Name: "spec.yaml", Data: []byte(text)}})
	return set
}

func TestCompareSets(t *testing.T) {
	t.Parallel()
	const paused = "  annotations:\n    anywhere.eks.amazonaws.com/paused: \"true\"\nspec:\n" +
		"  kubernetesVersion"
	for _, test := range []struct {
		name, spec string
		edits      []string // old, new, old, new…
		want       string
	}{
		{"nothing", "vsphere-management-github", nil, ""},
		{"comment and order", "vsphere-management-github", []string{"    count: 3\n    endpoint:\n" +
			"      host: 10.20.0.10\n", "    # three\n    endpoint: {host: 10.20.0.10}\n    count: 3\n"},
			""},
		{"namespace default", "vsphere-management-github",
			[]string{"  name: dev\nspec", "  name: dev\n  namespace: default\nspec"}, ""},
		{"scale workers", "vsphere-management-github", []string{"count: 2", "count: 3"},
			"applied documented spec.workerNodeGroupConfigurations[md-0].count 2 -> 3"},
		{"control plane of management", "vsphere-management-github", []string{"count: 3", "count: 5"},
			"applied spec.controlPlaneConfiguration.count 3 -> 5 (not among the fields that EKS Anywhere " +
				"documents for GitOps on a management cluster)"},
		{"control plane of workload", "vsphere-workload-github", []string{"count: 3", "count: 5"},
			"applied documented spec.controlPlaneConfiguration.count 3 -> 5"},
		{"upgrade", "vsphere-workload-github", []string{`"1.33"`, `"1.34"`},
			"applied documented spec.kubernetesVersion 1.33 -> 1.34"},
		{"upgrade by two", "vsphere-workload-github", []string{`"1.33"`, `"1.35"`},
			"rejected documented spec.kubernetesVersion 1.33 -> 1.35 (only +1 minor version skew is " +
				"supported; from 1.33 that is 1.34)"},
		{"downgrade", "vsphere-workload-github", []string{`"1.33"`, `"1.32"`}, "rejected documented " +
			"spec.kubernetesVersion 1.33 -> 1.32 (Kubernetes cannot be downgraded from 1.33 to 1.32)"},
		{"endpoint", "vsphere-workload-github", []string{"10.20.0.10", "10.20.0.20"}, "rejected " +
			"spec.controlPlaneConfiguration.endpoint.host 10.20.0.10 -> 10.20.0.20 (field is immutable)"},
		{"endpoint with port", "cloudstack-workload-github",
			[]string{"host: 10.20.0.10", "host: 10.20.0.10:6443"},
			"applied spec.controlPlaneConfiguration.endpoint.host 10.20.0.10 -> 10.20.0.10:6443 (6443 is " +
				"also the default port)"},
		{"pods", "vsphere-workload-github", []string{"192.168.0.0/16", "172.16.0.0/16"}, `rejected spec.clusterNetwork.pods.cidrBlocks ["192.168.0.0/16"] -> ["172.16.0.0/16"] (field is immutable)`},
		{"gitops of workload", "vsphere-workload-github",
			[]string{"kind: FluxConfig\n    name: dev", "kind: FluxConfig\n    name: other"},
			"rejected spec.gitOpsRef.name dev -> other (field is immutable)"},
		{"etcd added", "vsphere-workload-github",
			[]string{"  managementCluster", "  externalEtcdConfiguration: {count: 3}\n  managementCluster"},
			`rejected spec.externalEtcdConfiguration  -> {"count":3} (cannot switch from stacked to external etcd topology)`},
		{"self-managed by name", "vsphere-management-github",
			[]string{"  gitOpsRef", "  managementCluster: {name: dev}\n  gitOpsRef"},
			`applied spec.managementCluster  -> {"name":"dev"} (the cluster manages itself as before)`},
		{"worker group added", "vsphere-workload-github",
			[]string{"  clusterNetwork:\n", "  - name: md-1\n    count: 1\n  clusterNetwork:\n"},
			`applied documented spec.workerNodeGroupConfigurations[md-1]  -> {"count":1,"name":"md-1"}`},
		{"status and uid", "server-set-fields",
			[]string{"observedGeneration: 3", "observedGeneration: 4", "uid: 1c9f", "uid: 1c9e"},
			"ignored metadata.uid 1c9f -> 1c9e (set by the server)"},
		{"CLI annotation", "only-cli-annotations", []string{"v0.26.0", "v0.26.1"},
			"applied metadata.annotations[anywhere.eks.amazonaws.com/management-components-version] " +
				"v0.26.0 -> v0.26.1 (EKS Anywhere's command line notes there which version it has " +
				"installed; from Git, Flux puts an old one back)"},
		{"FluxConfig", "vsphere-management-github", []string{"repository: fleet", "repository: fleet2"},
			"rejected spec.github.repository fleet -> fleet2 (config is immutable)"},
		{"FluxConfig default dropped", "custom-path-branch-namespace", []string{"  branch: release/v1\n", ""},
			"rejected spec.branch release/v1 ->  (config is immutable)"},
		{"machine memory of workers", "vsphere-management-github",
			[]string{"name: dev-md\nspec:", "name: dev-md\nspec:\n  storagePolicyName: \"\""},
			"applied spec.storagePolicyName  ->  (it means the same as before)"},
		{"machine memory of control plane", "vsphere-management-github",
			[]string{"memoryMiB: 8192", "memoryMiB: 16384"}, "applied spec.memoryMiB 8192 -> 16384 (not " +
				"among the fields that EKS Anywhere documents for GitOps on a management cluster)"},
		{"machine memory of a workload", "vsphere-workload-github",
			[]string{"memoryMiB: 8192", "memoryMiB: 16384"},
			"applied documented spec.memoryMiB 8192 -> 16384"},
		{"machine OS", "vsphere-management-github", []string{"osFamily: ubuntu", "osFamily: redhat"},
			"rejected spec.osFamily ubuntu -> redhat (field is immutable)"},
		{"users removed", "vsphere-management-github",
			[]string{"  users:\n  - name: capv\n    sshAuthorizedKeys:\n    - ssh-ed25519 " +
				"AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample ops\n", ""},
			`rejected spec.users [{"name":"capv","sshAuthorizedKeys":["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample ops"]}] ->  (users is not set, please provide a user)`},
		{"paused", "vsphere-workload-github",
			[]string{"spec:\n  kubernetesVersion", paused, "10.20.0.10", "10.20.0.20"},
			"metadata.annotations and rejected"},
		{"zone changed", "cloudstack-workload-github", []string{"domain: ROOT", "domain: ROOT/x"},
			"rejected documented spec.availabilityZones[az-1].domain ROOT -> ROOT/x (availabilityZone is " +
				"immutable)"},
		{"zone renamed", "cloudstack-workload-github", []string{"name: az-1", "name: az-2"}, "two rejected"},
		{"nutanix control plane", "nutanix-management-github", []string{"memorySize: 4Gi", "memorySize: 8Gi"},
			"rejected spec.memorySize 4Gi -> 8Gi (field is immutable)"},
		{"nutanix control plane of a workload", "nutanix-workload-github",
			[]string{"memorySize: 4Gi", "memorySize: 8Gi"}, "applied documented spec.memorySize 4Gi -> 8Gi"},
		{"nutanix credential", "nutanix-workload-github",
			[]string{"  credentialRef:\n    kind: Secret\n    name: nutanix-credentials\n", ""},
			`rejected spec.credentialRef {"kind":"Secret","name":"nutanix-credentials"} ->  (credentialRef cannot be removed)`},
		{"tinkerbell key", "tinkerbell-workload-github", []string{"ssh-ed25519", "ssh-rsa"}, `one rejected`},
		{"tinkerbell template written as none", "tinkerbell-workload-github",
			[]string{"  hardwareSelector:", "  templateRef: {}\n  hardwareSelector:"}, ""},
		{"tinkerbell template written as none, in full", "tinkerbell-workload-github",
			[]string{"  hardwareSelector:", "  templateRef: {kind: \"\", name: \"\"}\n  hardwareSelector:"},
			""},
		{"tinkerbell labels", "tinkerbell-workload-github",
			[]string{"    count: 3\n", "    count: 3\n    labels: {a: b}\n"},
			`rejected spec.controlPlaneConfiguration.labels  -> {"a":"b"} (field is immutable)`},
		{"tinkerbell scale and upgrade", "tinkerbell-workload-github",
			[]string{`"1.33"`, `"1.34"`, "count: 2", "count: 3"},
			"applied documented spec.kubernetesVersion 1.33 -> 1.34\n" +
				"rejected documented spec.workerNodeGroupConfigurations[md-0].count 2 -> 3 (cannot perform " +
				"scale up or down during rolling upgrades)"},
		{"OIDC of management", "oidc-and-iam", []string{"clientId: kubernetes", "clientId: other"},
			"rejected spec.clientId kubernetes -> other (config is immutable)"},
		{"IAM roles", "oidc-and-iam", []string{"username: ops", "username: admin"}, "one applied"},
		{"IAM region", "oidc-and-iam", []string{"eu-west-1", "eu-west-2"},
			"rejected spec.awsRegion eu-west-1 -> eu-west-2 (config is immutable)"},
		{"IAM reference", "oidc-and-iam",
			[]string{"kind: AWSIamConfig\n    name: dev", "kind: AWSIamConfig\n    name: other"},
			"one rejected"},
		{"label", "taints-and-labels", []string{"tier: control", "tier: plane"},
			"applied spec.controlPlaneConfiguration.labels.tier control -> plane (not among the fields " +
				"that EKS Anywhere documents for GitOps on a management cluster)"},
		{"eksaVersion removed", "eksa-version-workload", []string{"  eksaVersion: v0.25.1\n", ""},
			"rejected spec.eksaVersion v0.25.1 ->  (field cannot be removed after setting)"},
		{"eksaVersion raised", "eksa-version-workload", []string{"v0.25.1", "v0.26.0"},
			"applied spec.eksaVersion v0.25.1 -> v0.26.0 (not among the fields that EKS Anywhere documents " +
				"for GitOps on a workload cluster)"},
		{"eksaVersion raised by two", "eksa-version-workload", []string{"v0.25.1", "v0.27.0"},
			"rejected spec.eksaVersion v0.25.1 -> v0.27.0 (EKS Anywhere is upgraded by one minor version " +
				"at a time, and not back)"},
		{"unquoted version", "vsphere-workload-github", []string{`"1.33"`, "1.33"}, ""},
		{"unquoted version, upgraded", "vsphere-workload-github", []string{`"1.33"`, "1.34"},
			"applied documented spec.kubernetesVersion 1.33 -> 1.34"},
		{"key without a value", "vsphere-management-github",
			[]string{"    count: 2", "    labels:\n    count: 2"}, ""},
		{"taint", "taints-and-labels", []string{"effect: NoSchedule", "effect: NoExecute"}, "two applied"},
		{"GitOps on a management cluster", "vsphere-no-gitops",
			[]string{"    name: dev\n---", "    name: dev\n  gitOpsRef: {kind: FluxConfig, name: dev}\n---"},
			`applied spec.gitOpsRef  -> {"kind":"FluxConfig","name":"dev"} (not among the fields that EKS Anywhere documents for GitOps on a management cluster)`},
		{"GitOps on a workload cluster", "workload-without-gitops", []string{"  managementCluster:\n",
			"  gitOpsRef: {kind: FluxConfig, name: dev}\n  managementCluster:\n"},
			`rejected spec.gitOpsRef  -> {"kind":"FluxConfig","name":"dev"} (field is immutable)`},
		{"first group named", "unnamed-first-group", []string{"workerNodeGroupConfigurations:\n  - ",
			"workerNodeGroupConfigurations:\n  - name: md-0\n    "},
			""},
		{"object removed", "management-and-workloads",
			[]string{"kind: Cluster\nmetadata:\n  name: w01", "kind: ConfigMap\nmetadata:\n  name: w01"},
			"cluster removed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := readSpec(t, test.spec)
			after := before
			for i := 0; i < len(test.edits); i += 2 {
				after = mustReplace(t, after, test.edits[i], test.edits[i+1])
			}
			changes := clusterspec.CompareSets(parseText(before), parseText(after))
			var lines []string
			for _, c := range changes {
				line := string(c.Verdict)
				if c.Documented {
					line += " documented"
				}
				line += fmt.Sprintf(" %s %s -> %s", c.Field, c.Old, c.New)
				if c.Message != "" {
					line += " (" + c.Message + ")"
				}
				lines = append(lines, line)
				if c.File != "spec.yaml" || c.Line == 0 || c.Column == 0 || c.Object == "" {
					t.Errorf("no position: %+v", c)
				}
			}
			got := strings.Join(lines, "\n")
			count := func(verdict clusterspec.Verdict) (n int) {
				for _, c := range changes {
					if c.Verdict == verdict {
						n++
					}
				}
				return n
			}
			switch test.want {
			case "one rejected", "one applied", "two rejected", "two applied":
				verdict := clusterspec.VerdictRejected
				if strings.HasSuffix(test.want, "applied") {
					verdict = clusterspec.VerdictApplied
				}
				want := 1 + strings.Count(test.want, "two")
				if count(verdict) != want || len(changes) != want {
					t.Errorf("got\n%s", got)
				}
			case "metadata.annotations and rejected":
				// Adding the annotation in the same change is too late: the stored object counts.
				if count(clusterspec.VerdictRejected) != 1 || len(changes) != 2 {
					t.Errorf("got\n%s", got)
				}
				reversed := clusterspec.CompareSets(parseText(after), parseText(before))
				if len(reversed) != 2 || reversed[1].Verdict != clusterspec.VerdictApplied ||
					!strings.Contains(reversed[1].Message, "paused") {
					t.Errorf("of a paused object: %+v", reversed)
				}
			case "cluster removed":
				if !strings.Contains(got,
					"applied documented    ->  (the cluster is deleted with all its machines)") &&
					!strings.Contains(got, "the cluster is deleted") {
					t.Errorf("got\n%s", got)
				}
			default:
				if got != test.want {
					t.Errorf("got\n%s\nwant\n%s", got, test.want)
				}
			}
		})
	}
}

// verdicts gives changes as lines.
func verdicts(changes []clusterspec.Change) string {
	var lines []string
	for _, c := range changes {
		line := string(c.Verdict)
		if c.Documented {
			line += " documented"
		}
		line += fmt.Sprintf(" %s: %s: %s -> %s", c.Object, c.Field, c.Old, c.New)
		if c.Message != "" {
			line += " (" + c.Message + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestCompareSets_wholeClusters(t *testing.T) {
	t.Parallel()
	management, workload := parseText(readSpec(t, "docker-management-github")),
		parseText(readSpec(t, "docker-workload-github"))
	empty := &clusterspec.Set{}
	for _, test := range []struct {
		before, after *clusterspec.Set
		verdict       clusterspec.Verdict
		message       string
	}{
		{empty, workload, clusterspec.VerdictApplied, "the cluster is created with all its machines"},
		{workload, empty, clusterspec.VerdictApplied, "the cluster is deleted with all its machines"},
		{empty, management, clusterspec.VerdictRejected,
			"creating a self-managed cluster on existing management cluster is not supported"},
		{management, empty, clusterspec.VerdictRejected,
			"deleting a management cluster's own Cluster is refused"},
	} {
		changes := clusterspec.CompareSets(test.before, test.after)
		if len(changes) != 3 || changes[0].Object != "Cluster dev" || changes[0].Verdict != test.verdict ||
			changes[0].Message != test.message {
			t.Errorf("want %s, got %+v", test.message, changes)
		}
	}
	annotated := func(spec, annotations string, edits ...string) *clusterspec.Set {
		text := mustReplace(t, readSpec(t, spec), "  name: dev\nspec:\n  kub",
			"  name: dev\n  annotations: {"+annotations+"}\nspec:\n  kub")
		for i := 0; i < len(edits); i += 2 {
			text = mustReplace(t, text, edits[i], edits[i+1])
		}
		return parseText(text)
	}
	const prefix = "anywhere.eks.amazonaws.com/"
	encrypted := []string{"  gitOpsRef", "  etcdEncryption: [{providers: [{kms: {name: a, " +
		"socketListenAddress: b}}], resources: [secrets]}]\n  gitOpsRef"}
	for _, test := range []struct {
		name          string
		before, after *clusterspec.Set
		want          string
	}{
		{"paused management cluster created", empty,
			annotated("docker-management-github", prefix+"paused: 'true'"),
			"applied the cluster is created with all its machines"},
		{"by the command line tool", annotated("docker-management-github", prefix+"managed-by-cli: 'true'"),
			empty, "applied the cluster is deleted with all its machines"},
		{"paused workload cluster deleted", annotated("docker-workload-github", prefix+"paused: 'true'"),
			empty, "ignored EKS Anywhere does not delete a paused cluster unless it is annotated with " +
				prefix + "allow-delete-when-paused"},
		{"paused workload cluster may be deleted", annotated("docker-workload-github",
			prefix+"paused: 'true', "+prefix+"allow-delete-when-paused: 'true'"),
			empty, "applied the cluster is deleted with all its machines"},
		{"created with encryption", empty, annotated("vsphere-workload-github", "a: b", encrypted...),
			"rejected etcdEncryption is not supported during cluster creation"},
	} {
		if changes := clusterspec.CompareSets(test.before,
			test.after); string(changes[0].Verdict)+" "+changes[0].Message != test.want ||
			changes[0].Object != "Cluster dev" {
			t.Errorf("%s: got %+v, want %s", test.name, changes[0], test.want)
		}
	}
	if changes := clusterspec.CompareSets(nil, nil); len(changes) != 0 {
		t.Errorf("of nothing: %v", changes)
	}
}

// TestCompareSets_order: where the order of a list means something, another order is a change.
func TestCompareSets_order(t *testing.T) {
	t.Parallel()
	const first, second = "  - name: ec2-user\n    sshAuthorizedKeys:\n" +
		"    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample ops\n",
		"  - name: second\n    sshAuthorizedKeys: [ssh-ed25519 AAAA]\n"
	tinkerbell := mustReplace(t, readSpec(t, "tinkerbell-workload-github"), first, first+second)
	changes := clusterspec.CompareSets(parseText(tinkerbell),
		parseText(mustReplace(t, tinkerbell, first+second, second+first)))
	if len(changes) != 1 || changes[0].Field != "spec.users" || changes[0].Old != `["ec2-user","second"]` ||
		changes[0].New != `["second","ec2-user"]` || changes[0].Verdict != clusterspec.VerdictRejected {
		t.Errorf("Tinkerbell's users: %+v", changes)
	}
	vsphere := readSpec(t, "vsphere-management-github")
	const group = "  - name: md-9\n    count: 1\n" +
		"    machineGroupRef: {kind: VSphereMachineConfig, name: dev-md}\n"
	before, after := mustReplace(t, vsphere, "  - name: md-0\n", group+"  - name: md-0\n"),
		mustReplace(t, vsphere, "  clusterNetwork:\n", group+"  clusterNetwork:\n")
	if changes := clusterspec.CompareSets(parseText(before), parseText(after)); len(changes) != 0 {
		t.Errorf("worker groups: %+v", changes)
	}
}

func TestChange_String(t *testing.T) {
	t.Parallel()
	before := readSpec(t, "vsphere-workload-github")
	after := mustReplace(t, mustReplace(t, before, `"1.33"`, `"1.35"`), "count: 2", "count: 3")
	after = mustReplace(t, after, "  clusterNetwork:\n",
		"  - {name: md-7, count: 1, labels: {"+strings.Repeat("a", 60)+": \"b  c\"}}\n  clusterNetwork:\n")
	changes := clusterspec.CompareSets(parseText(before), parseText(after))
	var got []string
	for _, c := range changes {
		got = append(got, c.String())
	}
	want := []string{
		"Cluster dev: spec.kubernetesVersion: 1.33 → 1.35: rejected: only +1 minor version skew is " +
			"supported; from 1.33 that is 1.34",
		"Cluster dev: spec.workerNodeGroupConfigurations[md-0].count: 2 → 3: applied",
		`Cluster dev: spec.workerNodeGroupConfigurations[md-7]: (none) → {"count":1,"labels":{"` +
			strings.Repeat("a", 58) + "…: applied",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if rejected := clusterspec.WithVerdict(changes, clusterspec.VerdictRejected); len(rejected) != 1 ||
		rejected[0].Field != "spec.kubernetesVersion" {
		t.Errorf("rejected: %+v", rejected)
	}
	removed := clusterspec.CompareSets(parseText(before),
		parseText(mustReplace(t, before, "kind: FluxConfig\nmetadata", "kind: Other\nmetadata")))
	if len(removed) != 1 || removed[0].String() != "FluxConfig dev: applied: the object is deleted" {
		t.Errorf("removed: %+v", removed)
	}
}

// TestRefusedVersion: a version does not go down, and Kubernetes only up by one minor version.
func TestRefusedVersion(t *testing.T) {
	t.Parallel()
	const workers = "spec.workerNodeGroupConfigurations[md-0].kubernetesVersion"
	for _, test := range []struct{ field, from, to, want string }{
		{"spec.kubernetesVersion", "1.33", "1.34", ""},
		{"spec.kubernetesVersion", "1.34", "1.33", "Kubernetes cannot be downgraded from 1.34 to 1.33"},
		{workers, "1.34", "1.33", "Kubernetes cannot be downgraded from 1.34 to 1.33"},
		{"spec.eksaVersion", "v0.25.0", "v0.26.0", ""},
		{"spec.eksaVersion", "v0.26.1", "v0.26.0", ""},
		{"spec.eksaVersion", "v0.26.1", "v0.25.3", "EKS Anywhere is upgraded by one minor version at a " +
			"time, and not back"},
		{"spec.eksaVersion", "latest", "v0.26.0", ""},
		{"spec.controlPlaneConfiguration.count", "5", "3", ""},
	} {
		if got := clusterspec.RefusedVersion(test.field, test.from, test.to); got != test.want {
			t.Errorf("%s from %s to %s: %q, want %q", test.field, test.from, test.to, got, test.want)
		}
	}
}
