package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// A commit of somebody else's holds up the whole fleet: one of its clusters is refused by the webhook, after
// a dozen of other objects were applied, which Flux lists in the same message. The run that waits and status
// name that cluster, with what is said of it, once, and nothing else.
func TestFlux_refusedAmongMany(t *testing.T) {
	w := newFleetWorld(t)
	var teams strings.Builder
	for i := range 12 {
		fmt.Fprintf(&teams, "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: team-%d\n", i)
	}
	w.clone.Write("clusters/mgmt/teams.yaml", teams.String())
	w.clone.Write(devSpec, strings.Replace(w.file(devSpec), "host: 198.18.100.20", "host: 198.18.100.99", 1))
	if _, err := w.clone.Commit(t.Context(), "Change the fleet"); err != nil {
		t.Fatal(err)
	}
	if err := w.clone.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write("a.yaml", workload(t, "w-a", 1))
	w.write("b.yaml", workload(t, "w-b", 2))

	const words = `Cluster/default/dev dry-run failed (Invalid): admission webhook "validation.cluster.anywhere.amazonaws.com" denied the request: `
	const cause = "; EKS Anywhere does not allow spec.controlPlaneConfiguration.endpoint to change on a " +
		"cluster that exists: put the old value back in Git"
	args := []string{"create", "cluster", "-f", "a.yaml", "-f", "b.yaml", "--flux-timeout", "30s"}
	out := w.run(args...).exits(5).
		tells("Kustomization flux-system/flux-system is not ready (ReconciliationFailed): "+words, cause)
	saysNothingElse(t, out.stdout+out.stderr)
	problem := w.run("status").exits(5).prints("1 thing is not well", "seen:   ReconciliationFailed: "+words)
	saysNothingElse(t, problem.stdout+problem.stderr)
	if n := strings.Count(problem.stdout, words); n != 1 {
		t.Errorf("status says it %d times:\n%s", n, problem.stdout)
	}

	report := w.run("status", "-o", "json").exits(5).json()
	message, _ := at(t, report, "problems", 0, "message").(string)
	if !strings.HasPrefix(message, "ReconciliationFailed: "+words) ||
		at(t, report, "problems", 0, "cluster") != "dev" || at(t, report, "problems", 0, "file") != devSpec {
		t.Errorf("problem %v", at(t, report, "problems", 0))
	}
	saysNothingElse(t, message)
	// The whole of it is where Flux put it.
	whole := fmt.Sprint(at(t, report, "flux", "kustomization", "conditions"))
	if !strings.Contains(whole, words) || !strings.Contains(whole, "Namespace/team-11 created") {
		t.Errorf("conditions %s", whole)
	}
	result := w.run(append(args, "-o", "json")...).exits(5).json()
	failure, _ := at(t, result, "failure", "message").(string)
	if !strings.Contains(failure, words) {
		t.Errorf("failure %q", failure)
	}
	saysNothingElse(t, failure)
}

// saysNothingElse asserts that nothing is told of objects that are well.
func saysNothingElse(t *testing.T, text string) {
	t.Helper()
	for _, word := range []string{"Namespace/team-", " created\n", " configured\n", " unchanged\n"} {
		if strings.Contains(text, word) {
			t.Errorf("%q is in:\n%s", word, text)
		}
	}
}

// Kustomizations with fields that kustomize has deprecated: everything that builds them says what it has to
// say, and kustomize nothing.
func TestFlux_deprecatedKustomization(t *testing.T) {
	w := newFleetWorld(t)
	w.clone.Write("clusters/mgmt/dev/eksa-system/kustomization.yaml",
		"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: default\nbases:\n"+
			"- eksa-cluster.yaml\ncommonLabels:\n  team: fleet\npatchesStrategicMerge:\n- labels.yaml\n"+
			"patchesJson6902:\n- target: {group: anywhere.eks.amazonaws.com, version: v1alpha1, kind: "+
			"Cluster, name: dev}\n  patch: '[{\"op\": \"add\", \"path\": \"/metadata/annotations\", "+
			"\"value\": {\"team\": \"fleet\"}}]'\n")
	w.clone.Write("clusters/mgmt/dev/eksa-system/labels.yaml",
		"apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\nmetadata:\n  name: dev\n"+
			"  labels:\n    tier: one\n")
	w.clone.Write("clusters/mgmt/flux-system/kustomization.yaml",
		w.file("clusters/mgmt/flux-system/kustomization.yaml")+"patchesStrategicMerge:\n"+
			"- |-\n  apiVersion: apps/v1\n  kind: Deployment\n"+
			"  metadata: {name: source-controller, namespace: flux-system, labels: {tier: one}}\n")
	w.commit()
	w.until(statusArgs, 0, "All is well.")
	if labels := clusterObject(t, "dev").GetLabels(); labels["team"] != "fleet" || labels["tier"] != "one" {
		t.Fatalf("Flux has not built the kustomization: %v", labels)
	}

	w.write("a.yaml", workload(t, "w-a", 1))
	for _, args := range [][]string{
		{"status"},
		{"status", "dev"},
		{"get", "clusters"},
		{"lint", w.clone.Dir},
		{"create", "cluster", "-f", "a.yaml"},
		{"create", "cluster", "-f", "mgmt.yaml"},
		{"upgrade", "cluster", "-f", "mgmt.yaml"},
		{"delete", "cluster", "w-a", "--yes"},
	} {
		out := w.run(args...).exits(0)
		for _, word := range []string{"Warning", "is deprecated", "edit fix"} {
			if strings.Contains(out.stdout+out.stderr, word) {
				t.Errorf("eksa-gitops %s: %q is in:\n%s%s",
					strings.Join(args, " "), word, out.stdout, out.stderr)
			}
		}
		if args[0] == "status" && out.stderr != "" {
			t.Errorf("eksa-gitops %s tells:\n%s", strings.Join(args, " "), out.stderr)
		}
	}
}
