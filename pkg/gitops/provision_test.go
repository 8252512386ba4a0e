package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// provisioner makes clusters in a world. Its work is one write.
type provisioner struct {
	*world
	version string // which an upgrade gives the cluster; none leaves what the file says
}

func (p provisioner) Check(context.Context) (string, error) { return p.version, nil }

func (p provisioner) CheckLog(string) error { return p.readOnly }

func (p provisioner) Command(job gitops.ProvisionJob) string {
	return fmt.Sprintf("eksctl anywhere %s cluster -f %s.yaml", job.Verb, job.Cluster)
}

func (p provisioner) HasKubeconfig(name string) bool { return p.kubeconfigs[name] }

func (p provisioner) HasDeleted(name string) bool { return p.deleted[name] && !p.kubeconfigs[name] }

func (p provisioner) Forget(name string) (bool, error) {
	there := p.kubeconfigs[name]
	delete(p.kubeconfigs, name)
	if there {
		p.openClusterErr = p.leads()
	}
	return there, nil
}

// leads is what opening the management cluster gives: nothing leads to one that does not exist.
func (p provisioner) leads() error {
	if p.kubeconfigs["dev"] {
		return nil
	}
	return fmt.Errorf("looking for it: %w", gitops.ErrNoKubeconfig)
}

func (p provisioner) Run(ctx context.Context, job gitops.ProvisionJob) (string, error) {
	_, err := p.write(ctx, fmt.Sprintf("%s %s", job.Verb, job.Cluster), func() (bool, error) {
		if strings.Contains(string(job.Spec), "gitOpsRef") ||
			strings.Contains(string(job.Spec), "FluxConfig") {
			return false, errors.New("the file has a GitOps part")
		}
		switch job.Verb {
		case gitops.VerbCreate:
			p.kubeconfigs[job.Cluster] = true
			p.openClusterErr = p.leads()
			p.applyObjects(string(job.Spec))
			p.state.EKSAInstalled = true
			p.state.Clusters = append(p.state.Clusters, fluxinstall.ClusterInfo{
				Namespace: "default", Name: job.Cluster, ManagementCluster: job.ManagementCluster,
				Ready: true,
			})
		case gitops.VerbUpgrade:
			return p.change(job)
		case gitops.VerbDelete:
			for i, c := range p.state.Clusters {
				if c.Name == job.Cluster {
					p.state.Clusters[i].Deleting = true
				}
			}
			p.eksa()
			p.removeObjects(string(job.Spec))
		}
		return true, nil
	})
	p.deleted[job.Cluster] = err == nil && job.Verb == gitops.VerbDelete
	return job.Cluster + "/" + string(job.Verb) + ".log", err
}

// removeObjects takes the objects of a file away.
func (p provisioner) removeObjects(spec string) {
	for document := range strings.SplitSeq(spec, "\n---\n") {
		var fields map[string]any
		if yaml.Unmarshal([]byte(document), &fields) == nil && fields != nil {
			name := fluxinstall.ObjectName{Kind: fields["kind"].(string), Namespace: "default",
				Name: fields["metadata"].(map[string]any)["name"].(string)}
			delete(p.objects, name)
			delete(p.pauses, name)
			delete(p.refs, name.Name)
		}
	}
}

// change brings the objects to the file, past Flux, and refuses what eksctl anywhere refuses.
func (p provisioner) change(job gitops.ProvisionJob) (bool, error) {
	live := p.objects[fluxinstall.ObjectName{Kind: "Cluster", Namespace: "default", Name: job.Cluster}]
	if live["spec"].(map[string]any)["gitOpsRef"] != nil {
		return false, errors.New("once cluster.spec.gitOpsRef is set, it is immutable")
	}
	for document := range strings.SplitSeq(string(job.Spec), "\n---\n") {
		var fields map[string]any
		if err := yaml.Unmarshal([]byte(document), &fields); err != nil {
			return false, err
		}
		metadata := fields["metadata"].(map[string]any)
		name := fluxinstall.ObjectName{Kind: fields["kind"].(string), Namespace: "default",
			Name: metadata["name"].(string)}
		if len(p.pauses[name]) == 0 && p.objects[name] != nil {
			return false, fmt.Errorf("Flux is not kept from %v", name)
		}
		if p.version != "" && name.Kind == "Cluster" {
			fields["spec"].(map[string]any)["eksaVersion"] = p.version
		}
		p.objects[name] = fields
	}
	return true, nil
}

// provisioned are the ways into the world with a provisioner.
func (w *world) provisioned() gitops.Ports {
	ports := w.ports(nil)
	ports.Provisioner = provisioner{world: w}
	return ports
}

// bare is a world without a management cluster.
func bare(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.state.Clusters, w.state.EKSAInstalled = nil, false
	w.openClusterErr = provisioner{world: w}.leads()
	return w
}

// TestProvision_crash breaks runs with a provisioner at every write, its own work included, before and after
// the effect. A second run finishes the work, a third writes nothing, nothing stays paused, and the end is
// that of a run that was never broken.
func TestProvision_crash(t *testing.T) {
	t.Parallel()
	changed := edited(t, spec("w01", onGitHub), version, version34)
	creating := func(specs ...string) func(*testing.T, *world) (*gitops.Result, error) {
		return func(t *testing.T, w *world) (*gitops.Result, error) {
			return gitops.Create(t.Context(), w.provisioned(), on(t, specs...))
		}
	}
	deleting := func(name string) func(*testing.T, *world) (*gitops.Result, error) {
		return func(t *testing.T, w *world) (*gitops.Result, error) {
			options := doomed(t, onGitHub, name)
			options.Specs = map[string]*clusterspec.Cluster{name: parse(t, spec(name, onGitHub))[0]}
			return gitops.Delete(t.Context(), w.provisioned(), options)
		}
	}
	existing := func(t *testing.T, workloads ...string) *world {
		w := fleetWorld(t, onGitHub, workloads...)
		w.kubeconfigs["dev"] = true
		return w
	}
	for name, scenario := range map[string]struct {
		start func(*testing.T) *world
		run   func(*testing.T, *world) (*gitops.Result, error)
		least int
	}{
		"create a management cluster": {bare, creating(spec("dev", onGitHub)), 6},
		"create a workload cluster": {func(t *testing.T) *world { return existing(t) },
			creating(spec("w01", onGitHub)), 4},
		"create both": {bare, creating(spec("dev", onGitHub), spec("w01", onGitHub)), 8},
		"upgrade": {func(t *testing.T) *world { return existing(t, "w01") },
			func(t *testing.T, w *world) (*gitops.Result, error) {
				return gitops.Upgrade(t.Context(), w.provisioned(), upgrading(t, changed))
			}, 5},
		"delete a workload cluster": {func(t *testing.T) *world { return existing(t, "w01") },
			deleting("w01"), 3},
		"delete a management cluster": {func(t *testing.T) *world { return existing(t) }, deleting("dev"), 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := scenario.start(t)
			if result, err := scenario.run(t, whole); err != nil || result.Failure != nil {
				t.Fatalf("error %v, failure %+v", err, result.Failure)
			}
			if len(whole.effects) < scenario.least {
				t.Fatalf("only %v is written", whole.effects)
			}
			every := 1
			if testing.Short() {
				every = 3 // the race detector has seen all of it then
			}
			for n := 1; n <= len(whole.calls); n += every {
				for _, when := range []string{"before", "after"} {
					w := scenario.start(t)
					w.forget()
					w.failBefore = n
					if when == "after" {
						w.failBefore, w.failAfter = 0, n
					}
					result, err := scenario.run(t, w)
					if broke := err != nil || result.Failure != nil; broke != w.faulty ||
						w.faulty && result.Status == gitops.StatusDone {
						t.Fatalf("%s write %d (%s): broken %v, error %v, status %s",
							when, n, whole.calls[n-1], w.faulty, err, result.Status)
					}
					for again := 2; again <= 3; again++ {
						w.forget()
						result, err = scenario.run(t, w)
						if left := new(gitops.PreflightError); errors.As(err, &left) &&
							strings.Contains(left.Findings[0].Hint,
								"remove what is left of it in Git, and its deploy key, with --from git") {
							// That the cluster is gone, and not only out of reach, is for a person to say.
							options := doomed(t, onGitHub, "dev")
							options.Specs, options.From =
								map[string]*clusterspec.Cluster{"dev": parse(t, spec("dev", onGitHub))[0]},
								gitops.FromGit
							result, err = gitops.Delete(t.Context(), w.provisioned(), options)
						}
						if err != nil || result.Failure != nil {
							t.Fatalf("%s write %d (%s): run %d: error %v, failure %+v",
								when, n, whole.calls[n-1], again, err, result.Failure)
						}
					}
					if result.Changed || len(w.effects) > 0 {
						t.Errorf("%s write %d (%s): the third run wrote %v",
							when, n, whole.calls[n-1], w.effects)
					}
					if got, want := w.describe(), whole.describe(); got != want || len(w.pauses) > 0 ||
						len(w.refs) > 0 {
						t.Errorf("%s write %d (%s): paused %v, the end differs from that of a whole run:\n"+
							"%s\nwant\n%s", when, n, whole.calls[n-1], w.pauses, got, want)
					}
				}
			}
		})
	}
}

// TestProvision_order: what is done in which order.
func TestProvision_order(t *testing.T) {
	t.Parallel()
	w := bare(t)
	result, err := gitops.Create(t.Context(), w.provisioned(), on(t, spec("dev", onGitHub)))
	if err != nil || result.Failure != nil || w.effects[0] != "create dev" {
		t.Fatalf("error %v, effects %v", err, w.effects)
	}
	if got := *result.Clusters[0].Provision; got != (gitops.ProvisionResult{Verb: "create",
		Command: "eksctl anywhere create cluster -f dev.yaml", Log: "dev/create.log", Done: true}) {
		t.Errorf("provision %+v", got)
	}
	w.forget()
	if _, err := gitops.Create(t.Context(), w.provisioned(), on(t, spec("w01", onGitHub))); err != nil {
		t.Fatal(err)
	}
	equal(t, "creation", w.calls[:3], []string{"create w01", "AdoptGitOps default/w01", "Push main"})
	w.forget()
	changed := edited(t, spec("w01", onGitHub), version, version34)
	if _, err := gitops.Upgrade(t.Context(), w.provisioned(), upgrading(t, changed)); err != nil {
		t.Fatal(err)
	}
	equal(t, "upgrade", w.calls, []string{"Hold w01", "upgrade w01", "Push main",
		"RequestReconcile flux-system/flux-system", "Release w01", "SaveLocal w01"})
	w.forget()
	options := doomed(t, onGitHub, "w01")
	options.Specs = map[string]*clusterspec.Cluster{"w01": parse(t, changed)[0]}
	if _, err := gitops.Delete(t.Context(), w.provisioned(), options); err != nil {
		t.Fatal(err)
	}
	equal(t, "deletion", w.calls, []string{"Hold w01", "Push main",
		"RequestReconcile flux-system/flux-system", "delete w01", "Release w01"})
}

// TestProvision_creationGoesOn: a GitOps part that cannot be had does not keep a cluster from being made,
// whenever that comes to light.
func TestProvision_creationGoesOn(t *testing.T) {
	t.Parallel()
	for name, break_ := range map[string]func(w *world){
		"before": func(w *world) { w.fetchErr = errFault }, // and a person says that it is to be built
		"later":  func(w *world) { w.onPush = func() error { return errFault } },
	} {
		w := bare(t)
		// Flux's files would be a sign of a cluster that was built
		w.seed = map[string]string{"README.md": "somebody's"}
		w.commitSeed()
		w.exists = true
		break_(w)
		options := on(t, spec("dev", onGitHub))
		if name == "before" {
			options.Meant.Build = []string{"dev"}
		}
		result, err := gitops.Create(t.Context(), w.provisioned(), options)
		if err != nil || result.Status != gitops.StatusGitOpsFailed ||
			!w.state.HasCluster("default", "dev") || !result.Clusters[0].Ready {
			t.Errorf("%s: error %v, status %s, clusters %v", name, err, result.Status, w.state.Clusters)
		}
	}
}

// TestProvision_interrupted: an interrupt while the provisioner works takes the pause back all the same, with
// a context of its own.
func TestProvision_interrupted(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	w.kubeconfigs["dev"] = true
	ctx, cancel := context.WithCancel(t.Context())
	shielded := 0
	w.onCall = func(_ context.Context, call string) {
		if call == "upgrade w01" {
			cancel()
		}
	}
	ports := w.provisioned()
	ports.Shield = func() func() { shielded++; return func() { shielded += 10 } }
	result, err := gitops.Upgrade(ctx, ports,
		upgrading(t, edited(t, spec("w01", onGitHub), version, version34)))
	if !errors.Is(err, context.Canceled) || result.Status != gitops.StatusInterrupted {
		t.Errorf("error %v, status %s", err, result.Status)
	}
	equal(t, "calls", w.calls, []string{"Hold w01", "Release w01"})
	if len(w.pauses) > 0 || shielded != 11 {
		t.Errorf("paused %v, shield %d", w.pauses, shielded)
	}
}

// TestProvision_stillPaused: a pause that cannot be taken back is named, with the commands that end it.
func TestProvision_stillPaused(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	w.failBefore = 5 // Release
	_, err := gitops.Upgrade(t.Context(), w.provisioned(),
		upgrading(t, edited(t, spec("w01", onGitHub), version, version34)))
	var left *gitops.StillPausedError
	if !errors.As(err, &left) || left.Cluster != "w01" ||
		!strings.Contains(err.Error(), "Flux is still paused on Cluster default/w01") ||
		!errors.Is(err, errFault) {
		t.Fatalf("%v; calls %v", err, w.calls)
	}
	if got := left.Hint(); got !=
		"the same command, run again, takes it back; by hand: kubectl annotate w01" {
		t.Errorf("hint %q", got)
	}
}

// TestProvision_version: another version of the provisioner is a reason to upgrade, and Git, where it names
// one, follows; in Flux's hands the old one would be refused.
func TestProvision_version(t *testing.T) {
	t.Parallel()
	file := edited(t, spec("w01", onGitHub), version, version+"\n  eksaVersion: v0.26.0 # ours")
	w := managed(t, onGitHub)
	create(t, w, on(t, file))
	w.kubeconfigs["dev"] = true
	run := func(file string) {
		t.Helper()
		w.forget()
		ports := w.ports(nil)
		ports.Provisioner = provisioner{world: w, version: "v0.27.0"}
		if result, err := gitops.Upgrade(t.Context(), ports, upgrading(t, file)); err != nil ||
			result.Failure != nil {
			t.Fatalf("error %v", err)
		}
	}
	run(file)
	equal(t, "calls", w.calls[:3], []string{"Hold w01", "upgrade w01", "Push main"})
	if got := w.branches["main"].files[w01Spec]; !strings.Contains(got, "eksaVersion: v0.27.0 # ours") {
		t.Errorf("Git holds\n%s", got)
	}
	run(edited(t, file, "v0.26.0", "v0.27.0"))
	if len(w.effects) > 0 {
		t.Errorf("the second run wrote %v", w.effects)
	}
}
