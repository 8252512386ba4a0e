package gitops_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// runs are the commands that write, each on a fleet of dev and w01.
func runs(t *testing.T) map[string]func(*world) (*gitops.Result, error) {
	t.Helper()
	creating := func(name string) func(*world) (*gitops.Result, error) {
		return func(w *world) (*gitops.Result, error) {
			return gitops.Create(t.Context(), w.ports(nil), on(t, spec(name, onGitHub)))
		}
	}
	upgrading := func(name string) func(*world) (*gitops.Result, error) {
		return func(w *world) (*gitops.Result, error) {
			return gitops.Upgrade(t.Context(), w.ports(nil), upgrading(t, spec(name, onGitHub)))
		}
	}
	return map[string]func(*world) (*gitops.Result, error){
		"create management": creating("dev"), "create workload": creating("w02"),
		"upgrade management": upgrading("dev"), "upgrade workload": upgrading("w01"),
		"delete workload": func(w *world) (*gitops.Result, error) {
			return gitops.Delete(t.Context(), w.ports(nil), doomed(t, onGitHub, "w01"))
		},
		"pause": func(w *world) (*gitops.Result, error) {
			return gitops.PauseClusters(t.Context(), w.ports(nil), pausing(t, onGitHub, "w01"))
		},
	}
}

// What hangs or sleeps is found before anything is written, by every command, and by its dry run.
func TestAsleep_refused(t *testing.T) {
	t.Parallel()
	going := func(kind, namespace, name string) fluxinstall.Deletion {
		return fluxinstall.Deletion{Kind: kind, Namespace: namespace, Name: name,
			Finalizers: []string{"example.com/hold"}}
	}
	pruning := going("Kustomization", "flux-system", "flux-system")
	pruning.Takes, pruning.Asleep = []string{"Cluster default/w01"}, "kustomize-controller"
	others := pruning
	others.Namespace, others.Name = "team", "apps"
	awake := others
	awake.Asleep = ""
	management := going("Cluster", "default", "dev")
	management.Management = true
	delete_ := func(d ...fluxinstall.Deletion) func(*world) {
		return func(w *world) { w.state.Deletions = append(w.state.Deletions, d...) }
	}
	scaled := func(name string) func(*world) {
		return func(w *world) {
			for i := range w.state.Flux.Controllers {
				if c := &w.state.Flux.Controllers[i]; c.Name == name {
					c.Asleep, c.Available = true, false
				}
			}
		}
	}
	all := []string{"create management", "create workload", "upgrade management", "upgrade workload",
		"delete workload", "pause"}
	for name, test := range map[string]struct {
		prepare func(*world)
		want    string
		by      []string
	}{
		"Kustomization deleted": {delete_(pruning),
			"Kustomization flux-system/flux-system: it has been marked for deletion", all},
		"another would prune": {delete_(others),
			"Kustomization team/apps: it has been marked for deletion", all},
		"another goes with its owner": {delete_(awake), "", nil},
		"GitRepository deleted": {delete_(going("GitRepository", "flux-system", "flux-system")),
			"GitRepository flux-system/flux-system: it has been marked for deletion", all},
		"Secret deleted": {delete_(going("Secret", "flux-system", "flux-system")),
			"Secret flux-system/flux-system: it has been marked for deletion", all},
		"namespace deleted": {delete_(going("Namespace", "", "flux-system")),
			"Namespace flux-system: it has been marked for deletion", all},
		"controller deleted": {delete_(going("Deployment", "flux-system", "source-controller")),
			"Deployment flux-system/source-controller: it has been marked for deletion", all},
		"management cluster deleted": {delete_(management),
			"Cluster default/dev: it has been marked for deletion", all[:5]},
		"workload cluster deleted": {delete_(going("Cluster", "default", "w01")),
			"cluster w01 is being deleted: EKS Anywhere deletes its machines", []string{"upgrade workload"}},
		"somebody else's FluxConfig": {delete_(going("FluxConfig", "default", "w01")), "", nil},
		"kustomize-controller is asleep": {scaled("kustomize-controller"), "kustomize-controller",
			[]string{"create workload", "upgrade workload", "delete workload", "pause"}},
		"source-controller is asleep": {scaled("source-controller"), "source-controller",
			[]string{"create workload", "upgrade workload", "delete workload", "pause"}},
		"Kustomization suspended": {func(w *world) { w.state.Flux.Kustomization.Suspended = true },
			"Kustomization flux-system/flux-system is suspended", all},
		"GitRepository suspended": {func(w *world) { w.state.Flux.GitRepository.Suspended = true },
			"GitRepository flux-system/flux-system is suspended", all},
		"nothing": {func(*world) {}, "", nil},
		"stopped by a detachment of ours": {func(w *world) {
			w.state.Flux.Kustomization.Suspended, w.state.Flux.Kustomization.Stopped = true, true
		},
			"is suspended", []string{"create workload", "upgrade management", "upgrade workload",
				"delete workload", "pause"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, command := range test.by {
				w := fleet(t)
				test.prepare(w)
				before := w.describe()
				result, err := runs(t)[command](w)
				var refused *gitops.PreflightError
				if !errors.As(err, &refused) || result.Status != gitops.StatusRefused ||
					!strings.Contains(err.Error(), test.want) || refused.Findings[0].Hint == "" {
					t.Errorf("%s: error %v, status %s", command, err, result.Status)
				}
				if len(w.calls) > 0 || w.describe() != before {
					t.Errorf("%s: a refused run wrote %v", command, w.calls)
				}
			}
			for command, run := range runs(t) {
				if test.by != nil || command == "create management" {
					continue // that is not what it is about, or it has nothing to do
				}
				w := fleet(t)
				test.prepare(w)
				if _, err := run(w); errors.As(err, new(*gitops.PreflightError)) {
					t.Errorf("%s is refused: %v", command, err)
				}
			}
		})
	}
}

// pausing is what the command line would give for these names.
func pausing(t *testing.T, provider string, names ...string) gitops.PauseOptions {
	t.Helper()
	options := gitops.PauseOptions{Settings: on(t, spec("dev", provider)).Settings, ManagementCluster: "dev",
		GitOps: doomed(t, provider).GitOps}
	for _, name := range names {
		options.Clusters = append(options.Clusters, fluxinstall.ClusterName{Name: name})
	}
	return options
}

// A pause of a cluster in Git is a commit, one of another cluster is a write to its object; both may be
// repeated and taken back.
func TestPauseClusters(t *testing.T) {
	t.Parallel()
	const line = "anywhere.eks.amazonaws.com/paused: \"true\""
	w := fleet(t)
	before := w.branches["main"].files[w01Spec]
	set := func(run func(context.Context, gitops.Ports, gitops.PauseOptions) (*gitops.Result, error),
		names ...string) *gitops.Result {
		t.Helper()
		result, err := run(t.Context(), w.ports(nil), pausing(t, onGitHub, names...))
		if err != nil || result.Status != gitops.StatusDone {
			t.Fatalf("error %v, status %s", err, result.Status)
		}
		return result
	}
	result := set(gitops.PauseClusters, "w01")
	if !result.Changed || !result.Clusters[0].Paused || !w.state.Clusters[1].Paused ||
		strings.Count(w.branches["main"].files[w01Spec], line) != 1 {
		t.Errorf("%+v\n%s", result, w.branches["main"].files[w01Spec])
	}
	w.forget()
	if again := set(gitops.PauseClusters, "w01"); again.Changed || len(w.calls) > 0 {
		t.Errorf("again: %v", w.calls)
	}
	set(gitops.ResumeClusters, "w01", "dev")
	if w.state.Clusters[1].Paused || w.branches["main"].files[w01Spec] != before {
		t.Errorf("resumed:\n%s", w.branches["main"].files[w01Spec])
	}
	w.forget()
	if again := set(gitops.ResumeClusters, "w01"); again.Changed || len(w.calls) > 0 {
		t.Errorf("again: %v", w.calls)
	}

	// One that is not in Git.
	w.state.Clusters = append(w.state.Clusters,
		fluxinstall.ClusterInfo{Namespace: "default", Name: "lone", ManagementCluster: "dev"})
	options := pausing(t, onGitHub, "lone")
	options.DryRun = true
	if planned, err := gitops.PauseClusters(t.Context(), w.ports(nil), options); err != nil ||
		planned.Status != gitops.StatusPlanned || len(w.calls) > 0 {
		t.Errorf("error %v, %+v, calls %v", err, planned, w.calls)
	}
	if result := set(gitops.PauseClusters, "lone"); result.Repository != nil || !w.state.Clusters[2].Paused ||
		len(w.calls) != 1 {
		t.Errorf("%+v, calls %v", result, w.calls)
	}

	// One that an upgrade holds, and one that nobody knows.
	w.forget()
	w.state.Clusters[1].Held = &fluxinstall.Pause{By: "eksa-gitops (alice@laptop)"}
	for name, want := range map[string]string{
		"w01":    "an upgrade by eksa-gitops (alice@laptop) is at work on it",
		"nobody": "there is no cluster nobody, neither in Git nor in the management cluster"} {
		if _, err := gitops.PauseClusters(t.Context(), w.ports(nil),
			pausing(t, onGitHub, name)); !errors.As(err, new(*gitops.PreflightError)) ||
			!strings.Contains(err.Error(), want) || len(w.calls) > 0 {
			t.Errorf("%s: %v, calls %v", name, err, w.calls)
		}
	}
}

// A detachment goes on whatever is being deleted of what it takes off the cluster, unless clusters go with
// that.
func TestAsleep_detached(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		deletion fluxinstall.Deletion
		refused  bool
	}{
		"takes clusters along": {fluxinstall.Deletion{Kind: "Kustomization", Namespace: "flux-system",
			Name: "flux-system", Takes: []string{"Cluster default/dev"}, Asleep: "kustomize-controller"},
			true},
		"takes nothing along": {fluxinstall.Deletion{Kind: "Kustomization", Namespace: "flux-system",
			Name: "flux-system", Asleep: "kustomize-controller"},
			false},
		"another's": {fluxinstall.Deletion{Kind: "Kustomization", Namespace: "team", Name: "apps",
			Takes: []string{"ConfigMap team/a"}, Asleep: "kustomize-controller"},
			false},
		"the namespace": {fluxinstall.Deletion{Kind: "Namespace", Name: "flux-system"}, false},
	} {
		w := fleetWorld(t, onGitHub)
		w.state.Deletions = []fluxinstall.Deletion{test.deletion}
		_, err := gitops.Delete(t.Context(), w.ports(nil), doomed(t, onGitHub, "dev"))
		if refused := errors.As(err, new(*gitops.PreflightError)); refused != test.refused ||
			!refused && err != nil || refused && len(w.calls) > 0 {
			t.Errorf("%s: %v, calls %v", name, err, w.calls)
		}
	}
}
