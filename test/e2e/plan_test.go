package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
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

// planThenRun makes sure that a dry run writes nothing, tells by its exit code whether there is something to
// do, and names the steps of the run, all of them in their order; then that a run after which there is
// nothing to do is planned as such.
func planThenRun(t *testing.T, w *world, args ...string) {
	t.Helper()
	confirmed := args
	if args[0] == "delete" {
		confirmed = append(slices.Clone(args), "--yes")
	}
	before := w.mark()
	dry := append(slices.Clone(args), "--dry-run", "--detailed-exitcode", "-o", "json")
	plan := w.run(dry...).exits(7).json()
	before.writesNothing()
	if at(t, plan, "wouldChange") != true || at(t, plan, "exitCode") != 7.0 {
		t.Errorf("%s: the plan says wouldChange %v, exit code %v",
			args, at(t, plan, "wouldChange"), at(t, plan, "exitCode"))
	}
	result := w.run(append(slices.Clone(confirmed), "-o", "json")...).exits(0).json()
	doneAsPlanned(t, args, stepNames(t, plan), stepNames(t, result))
	if args[0] == "delete" {
		return
	}
	again := w.run(dry...).exits(0).json()
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
	w.run("create", "cluster", "-f", "mgmt.yaml", "--detailed-exitcode").exits(2).tells(
		"--detailed-exitcode is only for dry runs", "add --dry-run")
}

// TestCreate_refusedByTheServer: what an admission policy refuses is not committed: one such object would
// hold up Flux for every cluster of the path.
func TestCreate_refusedByTheServer(t *testing.T) {
	w := newWorldIn(t, managed())
	apply(t, `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: frozen},
  spec: {matchConstraints: {resourceRules: [{apiGroups: [anywhere.eks.amazonaws.com], apiVersions: ["*"], operations: [CREATE], resources: [clusters]}]},
  validations: [{expression: object.metadata.name != "dev", message: no new cluster before Monday}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: frozen}, spec: {policyName: frozen, validationActions: [Deny]}}
`)
	until(t, "the policy works",
		func() bool { return w.run("validate", "-f", "mgmt.yaml", "-f", "dev.yaml", "--server").code == 3 })
	before := w.mark()
	for _, dry := range [][]string{{"--dry-run"}, nil} {
		w.run(append([]string{"create", "cluster", "-f", "dev.yaml"}, dry...)...).exits(3).
			tells("cluster dev: Cluster dev: ", "no new cluster before Monday", "nothing has been changed")
	}
	before.writesNothing()

	binding := reference("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding",
		"", "frozen")
	if err := stackOf(t).Client().Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	until(t, "the policy works no longer",
		func() bool { return w.run("validate", "-f", "mgmt.yaml", "-f", "dev.yaml", "--server").code == 0 })
	w.run("create", "cluster", "-f", "dev.yaml").exits(0)
}

// TestPlan_refused: a dry run makes the checks of the run that it stands for: it ends with the same exit
// code, names the same causes, and writes nothing.
func TestPlan_refused(t *testing.T) {
	w := newFleetWorld(t)
	w.gh.SetPlan("alice", githubtest.PlanPaid) // protection of private repositories
	repo := w.gh.Repo("alice/fleet")
	w.write("w01.yaml", workload(t, "w01", 1))
	w.edit("dev.yaml", "1.33", "1.34")
	path, err := stackOf(t).KubeconfigFor("viewer")
	if err != nil {
		t.Fatal(err)
	}
	w.grant("viewer", documentedRoles(t)["eksa-gitops-view"])
	for _, f := range []struct {
		name   string
		break_ func() (heal func())
		env    map[string]string
		code   int
		tells  string
		runs   [][]string
	}{
		{
			name: "protected branch", code: 4,
			tells: "does not accept direct pushes: changes have to be made through a pull request",
			break_: func() func() {
				repo.Protect("main",
					githubtest.Protection{RequirePullRequest: true, Approvals: 1, EnforceAdmins: true})
				return func() { repo.Unprotect("main") }
			}, runs: [][]string{{"create", "cluster", "-f", "w01.yaml"},
				{"upgrade", "cluster", "-f", "dev.yaml"}, {"delete", "cluster", "dev"}},
		},
		{
			name: "revoked token", code: 4, tells: "Bad credentials",
			env: map[string]string{"EKSA_GITHUB_TOKEN": "ghp_sentinelrevoked00000000000000000000"},
			runs: [][]string{{"create", "cluster", "-f", "w01.yaml"},
				{"upgrade", "cluster", "-f", "dev.yaml"}, {"delete", "cluster", "dev"}},
		},
		{
			name: "user who may only look", code: 4, tells: "hint: the user needs a ",
			env: map[string]string{"KUBECONFIG": path}, runs: [][]string{
				{"upgrade", "cluster", "-f", "mgmt.yaml"}, {"delete", "cluster", "mgmt"},
				{"create", "cluster", "-f", "w01.yaml"}, {"upgrade", "cluster", "-f", "dev.yaml"}, {"delete",
					"cluster", "dev"},
				{"pause", "cluster", "dev"},
			},
		},
		{
			name: "archived repository", code: 4,
			tells: "repository alice/fleet is archived: nobody can write to it",
			break_: func() func() {
				repo.Archive()
				return func() {}
			}, runs: [][]string{{"create", "cluster", "-f", "w01.yaml"},
				{"upgrade", "cluster", "-f", "dev.yaml"}, {"delete", "cluster", "dev"}},
		},
	} {
		t.Run(f.name, func(t *testing.T) {
			if f.break_ != nil {
				defer f.break_()()
			}
			w := w.with(t, f.env)
			for _, args := range f.runs {
				before := w.mark()
				w.run(append(slices.Clone(args), "--dry-run")...).exits(f.code).tells(f.tells)
				before.writesNothing()
				if args[0] == "delete" {
					args = append(slices.Clone(args), "--yes")
				}
				w.run(args...).exits(f.code).tells(f.tells)
				before.writesNothing()
			}
		})
	}
}
