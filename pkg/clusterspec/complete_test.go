package clusterspec_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// TestCommon: what two files say alike is left, items of lists by their keys.
func TestCommon(t *testing.T) {
	t.Parallel()
	theirs := mustReplace(t, mustReplace(t, mergeBase, "count: 2", "count: 5"), "kubernetesVersion:",
		"eksaVersion: v0.26.0\n  kubernetesVersion:")
	shared, err := clusterspec.Common(source("ours.yaml", mergeBase), source("theirs.yaml", theirs))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(shared.Data); strings.Contains(text, "count: 2") ||
		strings.Contains(text, "eksaVersion") || !strings.Contains(text, "kubernetesVersion") ||
		!strings.Contains(text, "name: md-0") {
		t.Errorf("in common is\n%s", text)
	}
	merged, err := clusterspec.Merge(shared, source("ours.yaml", mergeBase), source("theirs.yaml", theirs))
	if err != nil {
		t.Fatal(err)
	}
	if len(merged.Conflicts) != 1 ||
		merged.Conflicts[0].Field != "spec.workerNodeGroupConfigurations[md-0].count" ||
		len(merged.Edits) != 1 || merged.Edits[0].Field != "spec.eksaVersion" {
		t.Errorf("conflicts %+v, edits %+v", merged.Conflicts, merged.Edits)
	}
	if _, err := clusterspec.Common(source("ours.yaml", "a: ["), source("theirs.yaml", theirs)); err == nil {
		t.Error("a broken file is no error")
	}
}

// TestRestrict: defaults that another program wrote down are no part of the base, so that the user's file
// does not seem to take them out.
func TestRestrict(t *testing.T) {
	t.Parallel()
	written := mustReplace(t, mergeBase, "kubernetesVersion:", "eksaVersion: v0.26.0\n  kubernetesVersion:")
	written = mustReplace(t, written, "    count: 2\n",
		"    count: 2\n    machineHealthCheck: {maxUnhealthy: 40%}\n")
	ours := mustReplace(t, mergeBase, "count: 2", "count: 3")
	base, err := clusterspec.Restrict(source("base.yaml", written), source("ours.yaml", ours))
	if err != nil {
		t.Fatal(err)
	}
	merged, err := clusterspec.Merge(base, source("ours.yaml", ours), source("theirs.yaml", written))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(merged.Data); !strings.Contains(text, "count: 3") ||
		!strings.Contains(text, "eksaVersion: v0.26.0") || !strings.Contains(text, "maxUnhealthy: 40%") {
		t.Errorf("merged is\n%s\nconflicts %+v", text, merged.Conflicts)
	}
}

// TestComplete: what EKS Anywhere filled in inside of lists stays, nothing else is added.
func TestComplete(t *testing.T) {
	t.Parallel()
	live := mustReplace(t, mergeBase, "kubernetesVersion:", "eksaVersion: v0.26.0\n  kubernetesVersion:")
	live = mustReplace(t, live, "    count: 2\n", "    count: 7\n"+
		"    machineHealthCheck: {maxUnhealthy: 40%}\n    taints: [{key: a, effect: NoSchedule}]\n")
	got, err := clusterspec.Complete(source("ours.yaml", mergeBase), source("the cluster", live))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(got.Data); !strings.Contains(text, "maxUnhealthy: 40%") ||
		strings.Contains(text, "eksaVersion") || strings.Contains(text, "key: a") ||
		!strings.Contains(text, "count: 2") {
		t.Errorf("completed is\n%s", text)
	}
	same, err := clusterspec.Complete(source("ours.yaml", mergeBase), source("the cluster", mergeBase))
	if err != nil || string(same.Data) != mergeBase {
		t.Errorf("error %v; a complete file became\n%s", err, same.Data)
	}
}

// TestKeepGitOps: the reference and its object are those of the other file, the rest is the user's.
func TestKeepGitOps(t *testing.T) {
	t.Parallel()
	file, current := readSpec(t, "vsphere-management-github"), readSpec(t, "vsphere-gitopsconfig")
	got, err := clusterspec.KeepGitOps(source("file.yaml", file), source("git.yaml", current))
	if err != nil {
		t.Fatal(err)
	}
	set, err := clusterspec.Parse([]clusterspec.Source{got})
	if err != nil || set.Clusters[0].GitOps.Kind != "GitOpsConfig" ||
		strings.Contains(string(got.Data), "FluxConfig") {
		t.Errorf("error %v\n%s", err, got.Data)
	}
}
