package gitops_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

const w01Spec = "clusters/dev/w01/eksa-system/eksa-cluster.yaml"

// upgrading is what the command line would give upgrade for these files.
func upgrading(t *testing.T, specs ...string) gitops.UpgradeOptions {
	t.Helper()
	options := gitops.UpgradeOptions{CreateOptions: on(t, specs...)}
	for i, text := range specs {
		options.Sources = append(options.Sources,
			clusterspec.Source{Name: string(rune('a'+i)) + ".yaml", Data: []byte(text)})
	}
	return options
}

func upgrade(t *testing.T, w *world, options gitops.UpgradeOptions) *gitops.Result {
	t.Helper()
	result, err := gitops.Upgrade(t.Context(), w.ports(nil), options)
	if err != nil || result.Failure != nil {
		t.Fatalf("error %v, failure %+v", err, result.Failure)
	}
	asPublished(t, result)
	return result
}

// fleet is a world in which dev and its workload cluster w01 are managed through Git.
func fleet(t *testing.T) *world {
	t.Helper()
	w := managed(t, onGitHub)
	create(t, w, on(t, spec("w01", onGitHub)))
	w.forget()
	return w
}

// edited is a file with some texts replaced, each of which has to be there.
func edited(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%q is not in\n%s", pairs[i], text)
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// inGit is an edit of w01's file by somebody else.
func (w *world) inGit(t *testing.T, pairs ...string) {
	t.Helper()
	w.commitOther("main",
		func(files map[string]string) { files[w01Spec] = edited(t, files[w01Spec], pairs...) })
}

func fieldChanges(result *gitops.Result, name string) (lines []string) {
	for _, c := range result.Clusters {
		if c.Name == name {
			for _, change := range c.Changes {
				lines = append(lines, change.String())
			}
		}
	}
	return lines
}

// refusals are the findings of a run that was refused.
func refusals(t *testing.T, w *world, options gitops.UpgradeOptions) (messages []string) {
	t.Helper()
	before := w.describe()
	result, err := gitops.Upgrade(t.Context(), w.ports(nil), options)
	var refused *gitops.PreflightError
	if !errors.As(err, &refused) || result.Status != gitops.StatusRefused {
		t.Fatalf("error %v, status %s", err, result.Status)
	}
	if len(w.calls) > 0 || w.describe() != before {
		t.Errorf("a refused run wrote %v", w.calls)
	}
	for _, f := range refused.Findings {
		messages = append(messages, string(f.Area)+": "+f.Message+" | "+f.Hint)
	}
	return messages
}

// workersOf is the worker group with so many machines.
func workersOf(count string) string { return "- name: md-0\n    count: " + count }

const (
	version   = `kubernetesVersion: "1.33"`
	version34 = `kubernetesVersion: "1.34"`
)

// TestUpgrade_change: the file differs from Git in one field.
func TestUpgrade_change(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	changed := edited(t, spec("w01", onGitHub), version, version34)
	result := upgrade(t, w, upgrading(t, changed))
	equal(t, "calls", w.calls,
		[]string{"Push main", "RequestReconcile flux-system/flux-system", "SaveLocal w01"})
	equal(t, "changes", fieldChanges(result, "w01"),
		[]string{"Cluster w01: spec.kubernetesVersion: 1.33 → 1.34: applied"})
	if got := w.branches["main"].files[w01Spec]; !strings.Contains(got, version34) {
		t.Errorf("Git holds\n%s", got)
	}
	history := w.branches["main"].history
	if got, want := history[len(history)-1].message, "Upgrade cluster w01 to Kubernetes 1.34\n\n"+
		"Eksa-Gitops-Version: v1.2.3\nEksa-Gitops-Clusters: w01\n"; got != want {
		t.Errorf("the commit says %q, want %q", got, want)
	}
	w.forget()
	if again := upgrade(t, w, upgrading(t, changed)); again.Changed || len(w.effects) > 0 ||
		len(fieldChanges(again, "w01")) > 0 {
		t.Errorf("a second run wrote %v", w.effects)
	}
}

// TestUpgrade_merge: somebody changed another field in Git. Both edits are in Git then, however often the
// file is given again, and the file gets that of Git when that is asked for.
func TestUpgrade_merge(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	w.inGit(t, workersOf("1"), workersOf("5"))
	file := edited(t, spec("w01", onGitHub), version, version34)
	result := upgrade(t, w, upgrading(t, file))
	merged := result.Clusters[0].Merged
	if len(merged) != 1 || merged[0].Old != "1" || merged[0].New != "5" {
		t.Errorf("merged %+v", merged)
	}
	holds := func(count, kubernetes string) {
		t.Helper()
		if got := w.branches["main"].files[w01Spec]; !strings.Contains(got, workersOf(count)) ||
			!strings.Contains(got, kubernetes) {
			t.Fatalf("Git holds\n%s", got)
		}
	}
	holds("5", version34)
	w.forget()
	if again := upgrade(t, w, upgrading(t, file)); again.Changed {
		t.Errorf("a second run wrote %v", w.effects)
	}
	// The file still says 1. That is no edit, since it said so before the edit in Git.
	file = edited(t, file, version34, `kubernetesVersion: "1.35"`)
	upgrade(t, w, upgrading(t, file))
	holds("5", `kubernetesVersion: "1.35"`)

	options := upgrading(t, file)
	options.UpdateSources = true
	w.forget()
	updated := upgrade(t, w, options)
	written := w.updated
	if len(written) != 1 || string(written[0].Data) != edited(t, file, workersOf("1"), workersOf("5")) ||
		updated.Changed != false && len(w.effects) > 0 {
		t.Errorf("written %s, effects %v", written, w.effects)
	}
	if len(updated.LocalFiles) != 1 || updated.LocalFiles[0].Path != "a.yaml" {
		t.Errorf("local files %+v", updated.LocalFiles)
	}
	// No commit says that the file got the 5, so that another value of the same field counts as an overlap.
	// Other fields do not.
	file = string(written[0].Data)
	options = upgrading(t, edited(t, file, workersOf("5"), workersOf("7")))
	w.forget()
	if got := refusals(t, w, options); len(got) != 1 || !strings.Contains(got[0], "the file says 7") {
		t.Errorf("findings %q", got)
	}
	options.Overwrite = true
	upgrade(t, w, options)
	holds("7", `kubernetesVersion: "1.35"`)
}

// TestUpgrade_overlap: the same field was changed in both places.
func TestUpgrade_overlap(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	w.inGit(t, workersOf("1"), workersOf("5"), version, version34)
	file := edited(t, spec("w01", onGitHub), workersOf("1"), workersOf("3"))
	options := upgrading(t, file)
	got := refusals(t, w, options)
	if len(got) != 1 || !strings.HasPrefix(got[0], "spec: cluster w01: Cluster w01: spec.") ||
		!strings.Contains(got[0], "the file says 3 (a.yaml:11)") ||
		!strings.Contains(got[0], "Git says 5, original value: 1; in Git it was changed by Alice") ||
		!strings.Contains(got[0], "--overwrite") {
		t.Errorf("findings %q", got)
	}
	options.Overwrite = true
	result := upgrade(t, w, options)
	if text := w.branches["main"].files[w01Spec]; !strings.Contains(text, workersOf("3")) ||
		!strings.Contains(text, version34) {
		t.Errorf("Git holds\n%s", text)
	}
	if len(result.Clusters[0].Conflicts) != 1 {
		t.Errorf("conflicts %+v", result.Clusters[0].Conflicts)
	}
}

// TestUpgrade_several changes two clusters in one commit, and asks the API server once about all of it.
func TestUpgrade_several(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	w.asked = 0
	upgrade(t, w, upgrading(t, edited(t, spec("dev", onGitHub), workersOf("1"), workersOf("2")),
		edited(t, spec("w01", onGitHub), version, version34)))
	if w.asked != 1 {
		t.Errorf("asked the API server %d times", w.asked)
	}
	if n := count(w.calls, "Push"); n != 1 {
		t.Errorf("%d pushes", n)
	}
	history := w.branches["main"].history
	if got := history[len(history)-1].message; !strings.HasPrefix(got, "Change 2 clusters\n") ||
		!strings.Contains(got, "Eksa-Gitops-Clusters: dev w01\n") {
		t.Errorf("the commit says %q", got)
	}
}

// TestUpgrade_race: somebody pushes at the same moment. An edit of another field is merged, one of the same
// field is refused.
func TestUpgrade_race(t *testing.T) {
	t.Parallel()
	file := edited(t, spec("w01", onGitHub), workersOf("1"), workersOf("3"))
	w := fleet(t)
	w.races = []func(map[string]string){func(files map[string]string) {
		files[w01Spec] = edited(t, files[w01Spec], version, version34)
	}}
	upgrade(t, w, upgrading(t, file))
	if text := w.branches["main"].files[w01Spec]; !strings.Contains(text, workersOf("3")) ||
		!strings.Contains(text, version34) {
		t.Errorf("Git holds\n%s", text)
	}
	w = fleet(t)
	w.races = []func(map[string]string){func(files map[string]string) {
		files[w01Spec] = edited(t, files[w01Spec], workersOf("1"), workersOf("9"))
	}}
	result, err := gitops.Upgrade(t.Context(), w.ports(nil), upgrading(t, file))
	if err == nil || !strings.Contains(err.Error(), "Git says 9") || !slices.Equal(w.effects, nil) {
		t.Errorf("error %v, status %s, wrote %v", err, result.Status, w.effects)
	}
}

// TestUpgrade_rejected names every field that EKS Anywhere would reject, and writes nothing.
func TestUpgrade_rejected(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	w.refuse = func(v fluxinstall.Verdict, object map[string]any) fluxinstall.Verdict {
		if v.Kind == "Cluster" {
			v.Refusal, v.Webhook, v.Message = fluxinstall.RefusedByAdmission,
				"validation.cluster.anywhere.amazonaws.com", "field is immutable"
			v.Causes = []fluxinstall.Cause{{Field: "spec.clusterNetwork.pods", Message: "field is immutable"}}
		}
		return v
	}
	file := edited(t, spec("w01", onGitHub), version, `kubernetesVersion: "1.36"`, "192.168.0.0/16",
		"172.20.0.0/16")
	got := refusals(t, w, upgrading(t, file))
	want := []string{
		`spec: cluster w01: Cluster w01: spec.clusterNetwork.pods.cidrBlocks: ["192.168.0.0/16"] → ["172.20.0.0/16"]: rejected: field is immutable | give the field its old value in a.yaml`,
		`spec: cluster w01: Cluster w01: spec.kubernetesVersion: 1.33 → 1.36: rejected: only +1 minor version skew is supported; from 1.33 that is 1.34 | give the field its old value in a.yaml`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// inNamespace is a file whose objects are all in a namespace.
func inNamespace(text, namespace string) string {
	return regexp.MustCompile(`(metadata:\n  name: [^\n]*\n)(  namespace: [^\n]*\n)?`).ReplaceAllString(text,
		"${1}  namespace: "+namespace+"\n")
}

// TestUpgrade_refused: what makes an upgrade impossible is said before anything is written.
func TestUpgrade_refused(t *testing.T) {
	t.Parallel()
	noRef := func(name string) string {
		return edited(t, spec(name, onGitHub), "  gitOpsRef:\n    kind: FluxConfig\n    name: "+name+"\n", "")
	}
	for name, test := range map[string]struct {
		prepare func(w *world)
		file    string
		want    string
	}{
		"no such cluster": {nil, spec("w07", onGitHub), "there is no cluster w07 in namespace default of " +
			"management cluster dev, nor in Git | create it: eksa-gitops create cluster -f a.yaml"},
		"in another namespace": {nil, inNamespace(spec("w01", onGitHub), "team"),
			"cluster w01: the file puts it into namespace team, and it lives in namespace default; Flux " +
				"would delete the cluster with all its machines and create another | put the old value " +
				"back (a.yaml:5); if that is what you want, delete the cluster and then create it: " +
				"eksa-gitops delete cluster w01, eksa-gitops create cluster -f a.yaml"},
		"in another namespace, not applied yet": {func(w *world) { w.state.Clusters = w.state.Clusters[:1] },
			inNamespace(spec("w01", onGitHub), "team"), "cluster w01: metadata.namespace: default → team; " +
				"Flux would delete the cluster with all its machines and create another"},
		"management, in another namespace": {nil, inNamespace(spec("dev", onGitHub), "team"),
			"cluster dev: the file puts it into namespace team, and it lives in namespace default; Flux " +
				"would delete the cluster with all its machines and create another | put the old value " +
				"back (a.yaml:5)"},
		"workload without GitOps": {func(w *world) { w.state.Clusters[1].GitOpsName = "" },
			spec("w01", onGitHub), "refuses to add one to a workload cluster"},
		"gitOpsRef taken out": {nil, noRef("w01"), "cluster w01 is managed through Git (it refers to " +
			"FluxConfig w01), and its file has no gitOpsRef"},
		"management, taken out": {nil, noRef("dev"),
			"to detach the cluster, which goes on running: eksa-gitops delete cluster dev"},
		"paused": {func(w *world) { w.state.Clusters[1].Paused = true }, spec("w01", onGitHub),
			"to resume: eksa-gitops resume cluster w01"},
		"deleted": {func(w *world) {
			w.state.Clusters[1].Deleting = true
			w.state.Deletions = []fluxinstall.Deletion{{Kind: "Cluster", Namespace: "default", Name: "w01"}}
		}, spec("w01", onGitHub), "cluster w01 is being deleted: EKS Anywhere deletes its machines; a " +
			"deletion cannot be taken back"},
		"Flux suspended": {func(w *world) { w.state.Flux.Kustomization.Suspended = true },
			spec("w01", onGitHub), "Kustomization flux-system/flux-system is suspended"},
		"another repository": {func(w *world) {
			w.state.GitOps = []fluxinstall.LiveGitOps{{Kind: "FluxConfig", Namespace: "default", Name: "dev",
				Spec: map[string]any{
					"github": map[string]any{"owner": "octo", "repository": "fleet", "personal": true},
				}}}
		}, edited(t, spec("dev", onGitHub), "repository: fleet", "repository: other"), `cluster dev: FluxConfig dev: github.repository is "other", the management cluster has "fleet"; EKS Anywhere freezes it`},
		"Flux leaves object alone": {func(w *world) {
			w.pauses[fluxinstall.ObjectName{Kind: "Cluster", Namespace: "default", Name: "w01"}] =
				[]fluxinstall.Pause{{Object: "Cluster default/w01",
					Field: "kustomize.toolkit.fluxcd.io/reconcile", Resume: "kubectl annotate"}}
		}, edited(t, spec("w01", onGitHub), workersOf("1"), workersOf("3")),
			"so that Flux would not apply the change | kubectl annotate"},
		"broken in Git": {func(w *world) { w.branches["main"].files[w01Spec] = "kind: [\n" },
			spec("w01", onGitHub), "the cluster's file in Git cannot be merged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fleet(t)
			if test.prepare != nil {
				test.prepare(w)
			}
			got := refusals(t, w, upgrading(t, test.file))
			if len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("findings %q, want %q", got, test.want)
			}
		})
	}
}

// TestUpgrade_enable puts a running cluster into Git and takes its objects over as they are.
func TestUpgrade_enable(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	file := spec("dev", onGitHub)
	w.applyObjects(
		strings.ReplaceAll(edited(t, file, "  gitOpsRef:\n    kind: FluxConfig\n    name: dev\n", ""),
			"kind: FluxConfig", "kind: Other"))
	result := upgrade(t, w, upgrading(t, file))
	equal(t, "calls", fluxFirst(t, w.calls), []string{
		"EnsureComponents", "EnsureNamespace flux-system",
		"EnsureSourceSecret flux-system/flux-system", "EnsureDeployKey eksa-gitops dev/flux-system",
		"Push main", "EnsureSync", "SaveLocal dev",
	})
	equal(t, "changes", fieldChanges(result, "dev"), []string{
		`Cluster dev: spec.gitOpsRef: (none) → {"kind":"FluxConfig","name":"dev"}: applied: not among the fields that EKS Anywhere documents for GitOps on a management cluster`,
		"FluxConfig dev: applied: the object is created",
	})
	w.forget()
	if again := upgrade(t, w, upgrading(t, file)); again.Changed {
		t.Errorf("a second run wrote %v", w.effects)
	}
}

// TestUpgrade_crash breaks a run at every write, before and after its effect. A second run finishes the work,
// a third finds nothing to do, and the end is that of a run that was never broken.
func TestUpgrade_crash(t *testing.T) {
	t.Parallel()
	changed := edited(t, spec("w01", onGitHub), version, version34)
	for name, scenario := range map[string]struct {
		start func(*testing.T) *world
		file  string
	}{
		"enable": {func(t *testing.T) *world {
			w := newSmallWorld(t, onGitHub)
			w.applyObjects(edited(t, spec("dev", onGitHub),
				"  gitOpsRef:\n    kind: FluxConfig\n    name: dev\n", "", "kind: FluxConfig", "kind: Other"))
			return w
		}, spec("dev", onGitHub)},
		"change": {fleet, changed},
		"merge": {func(t *testing.T) *world {
			w := fleet(t)
			w.inGit(t, workersOf("1"), workersOf("5"))
			return w
		}, changed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := scenario.start(t)
			upgrade(t, whole, upgrading(t, scenario.file))
			writes := len(whole.effects)
			if writes < 3 {
				t.Fatalf("only %v is written", whole.effects)
			}
			for n := 1; n <= writes; n++ {
				for _, when := range []string{"before", "after"} {
					w := scenario.start(t)
					w.forget()
					w.failBefore = n
					if when == "after" {
						w.failBefore, w.failAfter = 0, n
					}
					result, err := gitops.Upgrade(t.Context(), w.ports(nil), upgrading(t, scenario.file))
					if err == nil || !errors.Is(err, errFault) || result.Status == gitops.StatusDone ||
						result.Failure == nil {
						t.Fatalf("%s write %d: error %v, status %s", when, n, err, result.Status)
					}
					w.forget()
					upgrade(t, w, upgrading(t, scenario.file))
					w.forget()
					if third := upgrade(t, w, upgrading(t, scenario.file)); third.Changed ||
						len(w.effects) > 0 {
						t.Errorf("%s write %d: the third run wrote %v", when, n, w.effects)
					}
					if got, want := w.describe(), whole.describe(); got != want {
						t.Errorf("%s write %d: the end differs from that of a whole run:\n%s\nwant\n%s",
							when, n, got, want)
					}
				}
			}
		})
	}
}

// TestUpgrade_enableRefused has the host refuse the deploy key, or the push, of a cluster that is to come
// under GitOps. What the run has made for it is taken back, so that nothing has been changed.
func TestUpgrade_enableRefused(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(w *world){
		"deploy key": func(w *world) {
			w.keyErr = fmt.Errorf("%w: Deploy keys are disabled for this repository", github.ErrPolicy)
		},
		"push": func(w *world) {
			w.onPush = func() error {
				return &git.RejectedError{Branch: "main", Reason: "protected branch hook declined"}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t, onGitHub)
			file := spec("dev", onGitHub)
			w.applyObjects(
				strings.ReplaceAll(edited(t, file, "  gitOpsRef:\n    kind: FluxConfig\n    name: dev\n", ""),
					"kind: FluxConfig", "kind: Other"))
			refuse(w)
			result, err := gitops.Upgrade(t.Context(), w.ports(nil), upgrading(t, file))
			if !facts.IsRuleError(err) || errors.As(err, new(*gitops.IncompleteError)) ||
				!strings.HasSuffix(err.Error(), "nothing has been changed") {
				t.Errorf("%v, status %s", err, result.Status)
			}
			equal(t, "left", []any{w.namespace, w.private, len(w.keys), w.components,
				len(w.branches["main"].history)}, []any{false, false, 0, "", 1})
		})
	}
}
