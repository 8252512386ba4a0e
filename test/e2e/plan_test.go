package e2e_test

import (
	"slices"
	"strings"
	"testing"
)

// stepNames are the steps of a result, in order.
func stepNames(t testing.TB, result map[string]any) []string {
	t.Helper()
	var names []string
	for _, entry := range at(t, result, "steps").([]any) {
		names = append(names, at(t, entry, "step").(string))
	}
	return names
}

// planThenRun makes sure that a dry run writes nothing, tells by its exit code whether there is something to do, and names the steps of the run,
// all of them in their order; then that a run after which there is nothing to do is planned as such.
func planThenRun(t *testing.T, w *world, args ...string) {
	t.Helper()
	confirmed := args
	if args[0] == "delete" {
		confirmed = append(slices.Clone(args), "--yes")
	}
	before := w.mark()
	plan := w.run(append(slices.Clone(args), "--dry-run", "--detailed-exitcode", "-o", "json")...).exits(7).json()
	before.writesNothing()
	if at(t, plan, "wouldChange") != true || at(t, plan, "exitCode") != 7.0 {
		t.Errorf("%s: the plan says wouldChange %v, exit code %v", args, at(t, plan, "wouldChange"), at(t, plan, "exitCode"))
	}
	result := w.run(append(slices.Clone(confirmed), "-o", "json")...).exits(0).json()
	looking := func(names []string) []string { // two of them begin at the same time
		slices.Sort(names[:2])
		return names
	}
	planned, done := looking(stepNames(t, plan)), looking(stepNames(t, result))
	if !slices.Equal(planned, done) {
		t.Errorf("%s: planned\n\t%s\nand done\n\t%s", args, strings.Join(planned, "\n\t"), strings.Join(done, "\n\t"))
	}
	if args[0] == "delete" {
		return
	}
	again := w.run(append(slices.Clone(args), "--dry-run", "--detailed-exitcode", "-o", "json")...).exits(0).json()
	if at(t, again, "wouldChange") != false {
		t.Errorf("%s: planned again, it would change something", args)
	}
}

// TestPlan plans each command of a cluster's life and runs it.
func TestPlan(t *testing.T) {
	w := newWorld(t)
	planThenRun(t, w, "create", "cluster", "-f", "mgmt.yaml")
	planThenRun(t, w, "create", "cluster", "-f", "dev.yaml")
	w.write("dev.yaml", strings.Replace(spec(t, "dev.yaml"), "count: 1   #", "count: 2   #", 1))
	planThenRun(t, w, "upgrade", "cluster", "-f", "dev.yaml")
	planThenRun(t, w, "pause", "cluster", "dev")
	planThenRun(t, w, "resume", "cluster", "dev")
	planThenRun(t, w, "delete", "cluster", "dev")
	planThenRun(t, w, "delete", "cluster", "mgmt")
	w.run("create", "cluster", "-f", "mgmt.yaml", "--detailed-exitcode").exits(2).tells("--detailed-exitcode is only for dry runs", "add --dry-run")
}

// TestCreate_refusedByTheServer: what an admission policy refuses is not committed: one such object would hold up Flux for every cluster of
// the path.
func TestCreate_refusedByTheServer(t *testing.T) {
	w := newWorldIn(t, managed())
	apply(t, `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: frozen},
  spec: {matchConstraints: {resourceRules: [{apiGroups: [anywhere.eks.amazonaws.com], apiVersions: ["*"], operations: [CREATE], resources: [clusters]}]},
  validations: [{expression: "false", message: no new cluster before Monday}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: frozen}, spec: {policyName: frozen, validationActions: [Deny]}}
`)
	until(t, "the policy works", func() bool { return w.run("validate", "-f", "mgmt.yaml", "-f", "dev.yaml", "--server").code == 3 })
	before := w.mark()
	for _, dry := range [][]string{{"--dry-run"}, nil} {
		w.run(append([]string{"create", "cluster", "-f", "dev.yaml"}, dry...)...).exits(3).
			tells("cluster dev: Cluster dev: ", "no new cluster before Monday", "nothing has been changed")
	}
	before.writesNothing()
}
