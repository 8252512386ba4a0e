package clusterspec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// mergeBase has what the cases below edit.
const mergeBase = `# the fleet's first cluster
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: Cluster
metadata:
  name: dev
  namespace: default
  labels: {team: a, stage: "test"}
spec:
  kubernetesVersion: "1.33" # next in May
  controlPlaneConfiguration:
    count: 3
    endpoint:
      host: 10.20.0.10
    machineGroupRef:
      kind: VSphereMachineConfig
      name: dev-cp
  workerNodeGroupConfigurations:
  # general work
  - name: md-0
    count: 2
    labels:
      pool: general
    machineGroupRef:
      kind: VSphereMachineConfig
      name: dev-md
  # large machines
  - name: md-1
    count: 1
    taints:
    - key: dedicated
      value: db
      effect: NoSchedule
    machineGroupRef:
      kind: VSphereMachineConfig
      name: dev-large
  clusterNetwork:
    pods:
      cidrBlocks:
      - 192.168.0.0/16
  datacenterRef:
    kind: VSphereDatacenterConfig
    name: dev
---
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: VSphereMachineConfig
metadata:
  name: dev-md
  namespace: default
spec:
  memoryMiB: 8192
  numCPUs: 2
  users:
  - name: capv
    sshAuthorizedKeys:
    - ssh-ed25519 AAAA ops
---
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: VSphereMachineConfig
metadata:
  name: dev-large
  namespace: default
spec:
  memoryMiB: 65536
`

const largeConfig = `---
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: VSphereMachineConfig
metadata:
  name: dev-large
  namespace: default
spec:
  memoryMiB: 65536
`

const largeGroup = `  # large machines
  - name: md-1
    count: 1
    taints:
    - key: dedicated
      value: db
      effect: NoSchedule
    machineGroupRef:
      kind: VSphereMachineConfig
      name: dev-large
`

// edit is a replacement in a text: old, new, old, new...
type edit []string

func (e edit) apply(t testing.TB, text string) string {
	t.Helper()
	for i := 0; i < len(e); i += 2 {
		if strings.Count(text, e[i]) != 1 {
			t.Fatalf("%q is %d times in the text", e[i], strings.Count(text, e[i]))
		}
		text = strings.Replace(text, e[i], e[i+1], 1)
	}
	return text
}

func source(name, text string) clusterspec.Source {
	return clusterspec.Source{Name: name, Data: []byte(text)}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	const newGroup = `  # batch jobs
  - name: md-2
    count: 5 # many
    machineGroupRef: {kind: VSphereMachineConfig, name: dev-md}
`
	for name, c := range map[string]struct {
		ours, theirs edit
		want         edit     // from theirs; of the overwriting file when there are conflicts
		edits        []string // side, object, field, old → new
		conflicts    []string // object, field, base, ours, theirs
	}{
		"ours only, theirs is the base": {
			ours:  edit{"    count: 2\n", "    count: 4 # more\n", "# general work", "# all work"},
			want:  edit{"    count: 2\n", "    count: 4 # more\n", "# general work", "# all work"},
			edits: []string{"ours Cluster dev spec.workerNodeGroupConfigurations[md-0].count 2 → 4"},
		},
		"theirs only": {
			ours:   edit{"# general work", "# all work"},
			theirs: edit{"    count: 2\n", "    count: 4 # more\n"},
			edits:  []string{"theirs Cluster dev spec.workerNodeGroupConfigurations[md-0].count 2 → 4"},
		},
		"comments and formatting never conflict": {
			ours: edit{"# general work", "# ours", "{team: a, stage: \"test\"}", "{team: 'a', stage: test}"},
			theirs: edit{"# general work", "# theirs", "  labels: {team: a, stage: \"test\"}",
				"  labels:\n    stage: test\n    team: a"},
		},
		"different fields": {
			ours:   edit{"\"1.33\" # next in May", "\"1.34\" # done", "numCPUs: 2", "numCPUs: 4"},
			theirs: edit{"    count: 2\n", "    count: 4 # weekend\n", "# general work", "# all work"},
			want:   edit{"\"1.33\"", "\"1.34\"", "numCPUs: 2", "numCPUs: 4"},
			edits: []string{
				"ours Cluster dev spec.kubernetesVersion 1.33 → 1.34",
				"theirs Cluster dev spec.workerNodeGroupConfigurations[md-0].count 2 → 4",
				"ours VSphereMachineConfig dev-md spec.numCPUs 2 → 4",
			},
		},
		"the same on both sides": {
			ours:   edit{"\"1.33\"", "'1.34'", "numCPUs: 2", "numCPUs: 4"},
			theirs: edit{"\"1.33\"", "1.34"},
			want:   edit{"numCPUs: 2", "numCPUs: 4"},
			edits: []string{"both Cluster dev spec.kubernetesVersion 1.33 → 1.34",
				"ours VSphereMachineConfig dev-md spec.numCPUs 2 → 4"},
		},
		"one field, two values": {
			ours:   edit{"\"1.33\"", "\"1.34\"", "numCPUs: 2", "numCPUs: 4"},
			theirs: edit{"\"1.33\"", "\"1.35\"", "memoryMiB: 8192", "memoryMiB: 16384"},
			want:   edit{"\"1.35\"", "\"1.34\"", "numCPUs: 2", "numCPUs: 4"},
			edits: []string{
				"theirs VSphereMachineConfig dev-md spec.memoryMiB 8192 → 16384",
				"ours VSphereMachineConfig dev-md spec.numCPUs 2 → 4",
			},
			conflicts: []string{
				"Cluster dev spec.kubernetesVersion: 1.33, 1.34 at ours.yaml:9:22, 1.35 at theirs.yaml:9:22"},
		},
		"quotes stay": {
			ours:   edit{"\"1.33\"", "1.34", "stage: \"test\"", "stage: live"},
			theirs: edit{"\"1.33\"", "'1.33'", "    count: 2\n", "    count: 4\n"},
			want:   edit{"'1.33'", "'1.34'", "\"test\"", "\"live\""},
			edits: []string{
				"ours Cluster dev metadata.labels.stage test → live",
				"ours Cluster dev spec.kubernetesVersion 1.33 → 1.34",
				"theirs Cluster dev spec.workerNodeGroupConfigurations[md-0].count 2 → 4",
			},
		},
		"new groups on both sides": {
			ours:   edit{"  clusterNetwork:\n", newGroup + "  clusterNetwork:\n"},
			theirs: edit{"  # large machines\n", "  - name: md-9\n    count: 9\n  # large machines\n"},
			want:   edit{"  clusterNetwork:\n", newGroup + "  clusterNetwork:\n"},
			edits: []string{
				`ours Cluster dev spec.workerNodeGroupConfigurations[md-2]  → {"count":5,"machineGroupRef":{"kind":"VSphereMachineConfig","name":"dev-md"},"name":"md-2"}`,
				`theirs Cluster dev spec.workerNodeGroupConfigurations[md-9]  → {"count":9,"name":"md-9"}`,
			},
		},
		"a new group comes in the indentation of the file": {
			ours: edit{"  # general work\n", newGroup + "  # general work\n"},
			theirs: edit{"    - key: dedicated\n      value: db\n      effect: NoSchedule\n",
				"      - key: dedicated\n        value: db\n        effect: NoExecute\n"},
			want: edit{"  # general work\n", newGroup + "  # general work\n"},
			edits: []string{
				`theirs Cluster dev spec.workerNodeGroupConfigurations[md-1].taints[dedicated:NoExecute]  → {"effect":"NoExecute","key":"dedicated","value":"db"}`,
				`theirs Cluster dev spec.workerNodeGroupConfigurations[md-1].taints[dedicated:NoSchedule] {"effect":"NoSchedule","key":"dedicated","value":"db"} → `,
				`ours Cluster dev spec.workerNodeGroupConfigurations[md-2]  → {"count":5,"machineGroupRef":{"kind":"VSphereMachineConfig","name":"dev-md"},"name":"md-2"}`,
			},
		},
		"a group goes, another is scaled": {
			ours:   edit{largeGroup, "", largeConfig, ""},
			theirs: edit{"    count: 2\n", "    count: 4\n"},
			want:   edit{largeGroup, "", largeConfig, ""},
			edits: []string{
				"theirs Cluster dev spec.workerNodeGroupConfigurations[md-0].count 2 → 4",
				`ours Cluster dev spec.workerNodeGroupConfigurations[md-1] {"count":1,"machineGroupRef":{"kind":"VSphereMachineConfig","name":"dev-large"},"name":"md-1","taints":[{"effect":"NoSchedule","key":"dedicated","value":"db"}]} → `,
				"ours VSphereMachineConfig dev-large   → ",
			},
		},
		"a group goes that was scaled": {
			ours:   edit{largeGroup, ""},
			theirs: edit{"    count: 1\n", "    count: 2\n"},
			want:   edit{strings.Replace(largeGroup, "count: 1", "count: 2", 1), ""},
			conflicts: []string{
				`Cluster dev spec.workerNodeGroupConfigurations[md-1]: {"count":1,"machineGroupRef":{"kind":"VSphereMachineConfig","name":"dev-large"},"name":"md-1","taints":[{"effect":"NoSchedule","key":"dedicated","value":"db"}]}, ` +
					`absent at ours.yaml:17:3, {"count":2,"machineGroupRef":{"kind":"VSphereMachineConfig","name":"dev-large"},"name":"md-1","taints":[{"effect":"NoSchedule","key":"dedicated","value":"db"}]} at theirs.yaml:27:5`,
			},
		},
		"an object goes that was edited": {
			ours:      edit{largeConfig, ""},
			theirs:    edit{"memoryMiB: 65536", "memoryMiB: 131072"},
			want:      edit{strings.Replace(largeConfig, "65536", "131072", 1), ""},
			conflicts: []string{`VSphereMachineConfig dev-large : {"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"VSphereMachineConfig","metadata":{"name":"dev-large","namespace":"default"},"spec":{"memoryMiB":65536}}, absent at :0:0, {"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"VSphereMachineConfig","metadata":{"name":"dev-large","namespace":"default"},"spec":{"memoryMiB":131072}} at theirs.yaml:57:1`},
		},
		"another name is another object": {
			ours: edit{"metadata:\n  name: dev-large\n", "metadata:\n  name: dev-huge\n",
				"      name: dev-large\n", "      name: dev-huge\n"},
			theirs: edit{"    count: 2\n", "    count: 4\n"},
			want: edit{"metadata:\n  name: dev-large\n", "metadata:\n  name: dev-huge\n",
				"      name: dev-large\n", "      name: dev-huge\n"},
			edits: []string{
				"theirs Cluster dev spec.workerNodeGroupConfigurations[md-0].count 2 → 4",
				`ours Cluster dev spec.workerNodeGroupConfigurations[md-1].machineGroupRef {"kind":"VSphereMachineConfig","name":"dev-large"} → {"kind":"VSphereMachineConfig","name":"dev-huge"}`,
				"ours VSphereMachineConfig dev-huge   → ", "ours VSphereMachineConfig dev-large   → ",
			},
		},
		"half a reference from each side is no reference": {
			ours: edit{"kind: VSphereDatacenterConfig\n    name: dev",
				"kind: VSphereDatacenterConfig\n    name: other"},
			theirs: edit{"kind: VSphereDatacenterConfig\n    name: dev",
				"kind: NutanixDatacenterConfig\n    name: dev"},
			want: edit{"kind: NutanixDatacenterConfig\n    name: dev",
				"kind: VSphereDatacenterConfig\n    name: other"},
			conflicts: []string{
				`Cluster dev spec.datacenterRef: {"kind":"VSphereDatacenterConfig","name":"dev"}, {"kind":"VSphereDatacenterConfig","name":"other"} at ours.yaml:40:3, {"kind":"NutanixDatacenterConfig","name":"dev"} at theirs.yaml:40:3`,
			},
		},
		"keys of a map": {
			ours:   edit{"      pool: general\n", "      pool: general\n      # ours\n      zone: a\n"},
			theirs: edit{"      pool: general\n", "      pool: all # theirs\n"},
			want: edit{"      pool: all # theirs\n",
				"      pool: all # theirs\n      # ours\n      zone: a\n"},
			edits: []string{
				"theirs Cluster dev spec.workerNodeGroupConfigurations[md-0].labels.pool general → all",
				"ours Cluster dev spec.workerNodeGroupConfigurations[md-0].labels.zone  → a",
			},
		},
		"keys of a map in flow style": {
			ours:   edit{"stage: \"test\"}", "stage: \"test\", zone: a}"},
			theirs: edit{"team: a", "team: b"},
			want:   edit{"{team: b, stage: \"test\"}", "{team: b, stage: \"test\", zone: a}"},
			edits: []string{"theirs Cluster dev metadata.labels.team a → b",
				"ours Cluster dev metadata.labels.zone  → a"},
		},
		"a list without keys is one value": {
			ours:      edit{"      - 192.168.0.0/16\n", "      - 192.168.0.0/16\n      - 10.0.0.0/16\n"},
			theirs:    edit{"      - 192.168.0.0/16\n", "      - 172.16.0.0/16\n"},
			want:      edit{"      - 172.16.0.0/16\n", "      - 192.168.0.0/16\n      - 10.0.0.0/16\n"},
			conflicts: []string{`Cluster dev spec.clusterNetwork.pods.cidrBlocks: ["192.168.0.0/16"], ["192.168.0.0/16","10.0.0.0/16"] at ours.yaml:38:7, ["172.16.0.0/16"] at theirs.yaml:38:7`},
		},
		"a new field comes where ours has it": {
			ours: edit{"    endpoint:\n",
				"    # fewer\n    upgradeRolloutStrategy:\n      type: InPlace\n    endpoint:\n",
				"  clusterNetwork:\n", "  # new\n  eksaVersion: v0.26.0\n  clusterNetwork:\n"},
			theirs: edit{"    count: 3\n", "    count: 5\n"},
			want: edit{"    endpoint:\n",
				"    # fewer\n    upgradeRolloutStrategy:\n      type: InPlace\n    endpoint:\n",
				"  clusterNetwork:\n", "  # new\n  eksaVersion: v0.26.0\n  clusterNetwork:\n"},
			edits: []string{
				"theirs Cluster dev spec.controlPlaneConfiguration.count 3 → 5",
				`ours Cluster dev spec.controlPlaneConfiguration.upgradeRolloutStrategy  → {"type":"InPlace"}`,
				"ours Cluster dev spec.eksaVersion  → v0.26.0",
			},
		},
		"a field goes": {
			ours:   edit{"  labels: {team: a, stage: \"test\"}\n", ""},
			theirs: edit{"    count: 3\n", "    count: 5\n"},
			want:   edit{"  labels: {team: a, stage: \"test\"}\n", ""},
			edits: []string{
				`ours Cluster dev metadata.labels {"stage":"test","team":"a"} → `,
				"theirs Cluster dev spec.controlPlaneConfiguration.count 3 → 5",
			},
		},
		"new objects on both sides": {
			ours: edit{largeConfig, "--- # ours\n" +
				strings.TrimPrefix(strings.ReplaceAll(largeConfig, "dev-large", "dev-ours"), "---\n") +
				largeConfig},
			theirs: edit{largeConfig,
				largeConfig + strings.ReplaceAll(largeConfig, "dev-large", "dev-theirs")},
			want: edit{largeConfig, "---\n# ours\n" +
				strings.TrimPrefix(strings.ReplaceAll(largeConfig, "dev-large", "dev-ours"), "---\n") +
				largeConfig},
			edits: []string{"ours VSphereMachineConfig dev-ours   → ",
				"theirs VSphereMachineConfig dev-theirs   → "},
		},
		"groups change places, one is scaled": {
			ours:   edit{largeGroup, "", "  # general work\n", largeGroup + "  # general work\n"},
			theirs: edit{"    count: 2\n", "    count: 4\n"},
			want:   edit{largeGroup, "", "  # general work\n", largeGroup + "  # general work\n"},
			edits: []string{
				"ours Cluster dev spec.workerNodeGroupConfigurations in the order md-0, md-1 → in the " +
					"order md-1, md-0",
				"theirs Cluster dev spec.workerNodeGroupConfigurations[md-0].count 2 → 4",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := c.ours.apply(t, mergeBase), c.theirs.apply(t, mergeBase)
			merged, err := clusterspec.Merge(source("base.yaml", mergeBase), source("ours.yaml", ours),
				source("theirs.yaml", theirs))
			if err != nil {
				t.Fatal(err)
			}
			if want := c.want.apply(t, theirs); string(merged.Overwriting) != want {
				t.Errorf("merged:\n%s\nwant:\n%s", merged.Overwriting, want)
			}
			if conflicts := showConflicts(merged.Conflicts); !slices.Equal(conflicts, c.conflicts) {
				t.Errorf("conflicts:\n%s\nwant:\n%s",
					strings.Join(conflicts, "\n"), strings.Join(c.conflicts, "\n"))
			}
			if (merged.Data == nil) != (len(c.conflicts) > 0) {
				t.Errorf("%d bytes of data, %d conflicts", len(merged.Data), len(c.conflicts))
			}
			edits := showEdits(merged.Edits)
			if !slices.Equal(edits, c.edits) {
				t.Errorf("edits:\n%s\nwant:\n%s", strings.Join(edits, "\n"), strings.Join(c.edits, "\n"))
			}
			checkMergeLaws(t, mergeBase, ours, theirs, merged)
		})
	}
}

func showEdits(edits []clusterspec.MergeEdit) []string {
	var out []string
	for _, e := range edits {
		out = append(out, fmt.Sprintf("%s %s %s %s → %s", e.Side, e.Object, e.Field, e.Old, e.New))
	}
	return out
}

func showConflicts(conflicts []clusterspec.Conflict) []string {
	var out []string
	for _, c := range conflicts {
		value := func(text string, at clusterspec.Position) string {
			if text == "" {
				text = "absent"
			}
			return fmt.Sprintf("%s at %s:%d:%d", text, at.File, at.Line, at.Column)
		}
		out = append(out, fmt.Sprintf("%s %s: %s, %s, %s",
			c.Object, c.Field, c.Base, value(c.Ours, c.OursAt), value(c.Theirs, c.TheirsAt)))
	}
	return out
}

// checkMergeLaws holds a merge to what is promised of every one.
func checkMergeLaws(t testing.TB, base, ours, theirs string, merged *clusterspec.Merged) {
	t.Helper()
	must := func(base, ours, theirs string) *clusterspec.Merged {
		m, err := clusterspec.Merge(source("base.yaml", base), source("ours.yaml", ours),
			source("theirs.yaml", theirs))
		if err != nil {
			t.Fatalf("merging again: %v\n%s", err, theirs)
		}
		return m
	}
	result := string(merged.Overwriting)
	for what, again := range map[string]*clusterspec.Merged{
		"the merged file in Git": must(base, ours, result), "on top of theirs": must(theirs, result, theirs),
		"three times the result": must(result, result, result),
	} {
		if what == "the merged file in Git" && len(merged.Conflicts) > 0 {
			continue // the values that won stand against the base still
		}
		if string(again.Data) != result {
			t.Errorf("%s: merging again changes it:\n%s\n---- was ----\n%s", what, again.Overwriting, result)
		}
	}
	if same := must(base, base, theirs); string(same.Data) != theirs {
		t.Errorf("without an edit of ours, theirs is changed:\n%s", same.Overwriting)
	}
	if same := must(base, ours, base); string(same.Data) != ours {
		t.Errorf("without an edit of theirs, ours is changed:\n%s", same.Overwriting)
	}
	if same := must(base, theirs, theirs); string(same.Data) != theirs {
		t.Errorf("two equal sides are changed:\n%s", same.Overwriting)
	}
}

// TestMerge_noBase: without a base every difference is a conflict, and no difference is none.
func TestMerge_noBase(t *testing.T) {
	t.Parallel()
	theirs := edit{"    count: 2\n", "    count: 4\n", "      pool: general\n", "      pool: general\n" +
		"      zone: a\n", "      - 192.168.0.0/16\n", "      - 172.16.0.0/16\n"}.apply(t, mergeBase)
	merged, err := clusterspec.Merge(clusterspec.Source{}, source("ours.yaml", mergeBase),
		source("theirs.yaml", theirs))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`Cluster dev spec.clusterNetwork.pods.cidrBlocks: , ["192.168.0.0/16"] at ours.yaml:38:7, ["172.16.0.0/16"] at theirs.yaml:39:7`,
		"Cluster dev spec.workerNodeGroupConfigurations[md-0].count: , 2 at ours.yaml:20:12, 4 at " +
			"theirs.yaml:20:12",
		"Cluster dev spec.workerNodeGroupConfigurations[md-0].labels.zone: , absent at ours.yaml:21:5, a " +
			"at theirs.yaml:23:13",
	}
	if got := showConflicts(merged.Conflicts); !slices.Equal(got, want) || merged.Data != nil ||
		string(merged.Overwriting) != mergeBase || merged.Edits != nil {
		t.Errorf("conflicts:\n%s\nedits %v, data %q, overwriting:\n%s",
			strings.Join(got, "\n"), merged.Edits, merged.Data, merged.Overwriting)
	}
	same, err := clusterspec.Merge(clusterspec.Source{}, source("ours.yaml", mergeBase+"# end\n"),
		source("theirs.yaml", mergeBase))
	if err != nil || string(same.Data) != mergeBase {
		t.Errorf("equal values: %v, %+v", err, same)
	}
}

func TestMerge_unreadable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ base, ours, theirs, want string }{
		"theirs is no YAML":      {mergeBase, mergeBase, "kind: Cluster\n  x: y\n", `theirs.yaml:2:3: not valid YAML: a second "key: value" on the line, or one that does not fit the indentation of those above; expected a line for each; quotes around a value with ": " in it`},
		"theirs has a key twice": {mergeBase, mergeBase, "kind: Cluster\nkind: Cluster\n", `theirs.yaml:2:1: Cluster: kind: the key is already on line 1; found "kind" twice; expected each key once`},
		"ours has an object twice": {mergeBase, mergeBase + largeConfig, mergeBase,
			"ours.yaml:65:1: VSphereMachineConfig dev-large: the object is already in ours.yaml:57"},
		"theirs is empty": {mergeBase, mergeBase, "",
			"theirs.yaml: the file is empty; expected a YAML document of kind Cluster"},
		"base and theirs are wrong": {"a: [\n", mergeBase, "b: [\n",
			"base.yaml:1:1: not valid YAML: did not find expected node content\n" +
				"theirs.yaml:1:1: not valid YAML: did not find expected node content"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := clusterspec.Merge(source("base.yaml", c.base), source("ours.yaml", c.ours),
				source("theirs.yaml", c.theirs))
			if problems, ok := err.(clusterspec.Problems); !ok || problems.Error() != c.want {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestUpdateSources: the user's file gets the edits and stays the user's.
func TestUpdateSources(t *testing.T) {
	t.Parallel()
	cluster, machines, _ := strings.Cut(edit{"  namespace: default\n  labels", "  labels",
		"  name: dev-md\n  namespace: default\n", "  name: dev-md\n"}.apply(t, mergeBase),
		"---\n")
	cluster = strings.ReplaceAll(cluster, "\n", "\r\n")
	files := []clusterspec.Source{source("cluster.yaml", cluster), source("machines.yaml", machines),
		source("other.yaml", "kind: Other\nmetadata: {name: x}\n")}
	after := edit{"    count: 2\n", "    count: 4\n", largeConfig,
		largeConfig + strings.ReplaceAll(largeConfig, "dev-large", "dev-new")}.apply(t, mergeBase)
	changed, err := clusterspec.UpdateSources(files, source("before", mergeBase), source("after", after))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		edit{"    count: 2\r\n", "    count: 4\r\n"}.apply(t, cluster),
		machines + strings.ReplaceAll(largeConfig, "dev-large", "dev-new"),
	}
	if len(changed) != 2 || string(changed[0].Data) != want[0] || string(changed[1].Data) != want[1] ||
		changed[1].Name != "machines.yaml" {
		t.Errorf("changed %q\nwant %q", changed, want)
	}
	if none, err := clusterspec.UpdateSources(files, source("before", mergeBase),
		source("after", mergeBase)); err != nil || none != nil {
		t.Errorf("nothing to do: %v, %v", none, err)
	}
}
