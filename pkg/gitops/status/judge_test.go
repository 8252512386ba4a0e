package status_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/schematest"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

const (
	commitOne = "1111111111111111111111111111111111111111"
	commitTwo = "2222222222222222222222222222222222222222"
	someKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJkZ3Vq9o1Yl0p1pQ2v4oN5x8m7J2c6b1tq3d9w0y7Ur"
)

// well is an observation of a management cluster and one workload cluster, with nothing wrong.
func well() *status.Observation {
	live := func(name string) fluxinstall.LiveCluster {
		return fluxinstall.LiveCluster{
			ClusterInfo: fluxinstall.ClusterInfo{
				Namespace: "default", Name: name, ManagementCluster: "mgmt", GitOpsKind: "FluxConfig",
				GitOpsName: name, KubernetesVersion: "1.33", Ready: true,
			},
			AppliedBy:    "flux-system/flux-system",
			ControlPlane: fluxinstall.Machines{Desired: 3, Ready: 3},
			Workers:      fluxinstall.Machines{Desired: 2, Ready: 2},
		}
	}
	inGit := func(name string) facts.GitCluster {
		return facts.GitCluster{Name: name, Path: "clusters/mgmt/" + name + "/eksa-system/eksa-cluster.yaml",
			Read: true, Objects: []facts.GitObject{
				asGit("{apiVersion: anywhere.eks.amazonaws.com/v1alpha1, kind: Cluster, metadata: {name: " +
					name + "}, spec: {kubernetesVersion: '1.33'}}"),
			}}
	}
	revision := fluxinstall.Revision("main", commitOne)
	survey := &fluxinstall.Survey{
		State: fluxinstall.State{
			Server: "https://127.0.0.1:6443", EKSAInstalled: true,
			Flux: fluxinstall.FluxState{
				Namespace: true, Version: "v2.9.4",
				Controllers: []fluxinstall.ControllerState{{Name: "kustomize-controller", Available: true},
					{Name: "source-controller", Available: true}},
				GitRepository: &fluxinstall.GitRepositoryState{Name: "flux-system",
					URL: "ssh://git@github.com/acme/fleet", Branch: "main",
					Secret: "flux-system", Revision: revision, Ready: true},
				Kustomization: &fluxinstall.KustomizationState{Name: "flux-system", Path: "./clusters/mgmt",
					AppliedRevision: revision, Ready: true},
				SourceSecret: &fluxinstall.SourceSecretState{PublicKey: someKey, Fingerprint: "SHA256:abc"},
			},
		},
		Namespace: "flux-system", Interval: "1m0s", Clusters: []fluxinstall.LiveCluster{live("mgmt"),
			live("dev")},
	}
	o := &status.Observation{
		Options: status.Options{
			Config: &clusterspec.GitOps{
				Kind: "FluxConfig", Name: "mgmt",
				SystemNamespace: "flux-system", ClusterConfigPath: "clusters/mgmt", Branch: "main",
				GitHub: &clusterspec.GitHubConfig{Owner: "acme", Repository: "fleet"},
			},
			ManagementCluster: "mgmt", Survey: survey,
			Remote: facts.Remote{Web: "https://github.com/acme/fleet",
				Push: "https://github.com/acme/fleet.git", Cluster: "ssh://git@github.com/acme/fleet"},
		},
		Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Git: &status.GitSight{State: git.BranchExists, Tip: git.CommitInfo{Hash: commitOne},
			Clusters: []facts.GitCluster{inGit("dev"), inGit("mgmt")}},
		Host: &status.HostSight{
			Repository: &github.Repository{Ref: github.RepoRef{Owner: "acme", Name: "fleet"},
				URL: "https://github.com/acme/fleet"},
			Keys: []github.DeployKey{{Title: "eksa-gitops", PublicKey: someKey + " comment", ReadOnly: true}},
		},
	}
	for _, c := range o.Git.Clusters {
		o.Live = append(o.Live, fluxinstall.LiveObject{Kind: "Cluster", Namespace: "default", Name: c.Name,
			Fields: c.Objects[0].Fields})
	}
	return o
}

// asGit reads YAML.
func asGit(text string) facts.GitObject {
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(text), &fields); err != nil {
		panic(err)
	}
	metadata, _ := fields["metadata"].(map[string]any)
	kind, _ := fields["kind"].(string)
	name, _ := metadata["name"].(string)
	return facts.GitObject{Kind: kind, Namespace: "default", Name: name, Fields: fields}
}

func judge(t *testing.T, o *status.Observation) *status.Report {
	t.Helper()
	report, err := status.Judge(o)
	if err != nil {
		t.Fatal(err)
	}
	if report.Healthy != (len(report.Problems) == 0) {
		t.Errorf("healthy %v with the problems %+v", report.Healthy, report.Problems)
	}
	if err := schematest.CheckValue(report); err != nil {
		t.Error(err)
	}
	hint.Reword(report, hint.Library{})
	return report
}

func TestJudge_well(t *testing.T) {
	t.Parallel()
	report := judge(t, well())
	if !report.Healthy || len(report.Drift)+len(report.Unseen)+len(report.Notes) > 0 {
		t.Errorf("%+v", report)
	}
	if k := report.DeployKey; k.Registered == nil || !*k.Registered || k.ReadOnly == nil || !*k.ReadOnly ||
		k.Title != "eksa-gitops" {
		t.Errorf("deploy key %+v", k)
	}
	if f := report.Flux; f.UpToDate == nil || !*f.UpToDate || f.Behind == nil || *f.Behind != 0 {
		t.Errorf("Flux %+v", f)
	}
	names := []string{report.Clusters[0].Name, report.Clusters[1].Name}
	if !reflect.DeepEqual(names, []string{"mgmt", "dev"}) || report.Clusters[1].Commit != commitOne ||
		report.Clusters[1].State != status.StateBoth {
		t.Errorf("clusters %+v", report.Clusters)
	}
}

// Each cause that can be told has one problem, with plain words and a next command, and no problem that
// merely follows from it.
func TestJudge_problems(t *testing.T) {
	t.Parallel()
	for name, tc := range troubles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := well()
			tc.change(o)
			report := judge(t, o)
			if len(report.Problems) != len(tc.want) {
				t.Fatalf("problems %+v, want %d", report.Problems, len(tc.want))
			}
			for i, want := range tc.want {
				parts := strings.Split(want, " | ")
				p := report.Problems[i]
				if p.Object != parts[0] || !strings.Contains(p.Cause, parts[1]) || p.File != parts[2] ||
					!strings.Contains(p.Next.String(), parts[3]) || p.Message == "" {
					t.Errorf("problem %+v, want %s", p, want)
				}
			}
		})
	}
}

// What cannot be looked at is said, and is no problem of the clusters. Of the repository it is one: without
// it nobody can say that all is well.
func TestJudge_unseen(t *testing.T) {
	t.Parallel()
	noToken := errors.New("EKSA_GITHUB_TOKEN is not set")
	for name, tc := range map[string]struct {
		change func(o *status.Observation)
		want   []status.Unseen
	}{
		"no token": {
			func(o *status.Observation) {
				o.Git, o.GitErr, o.Live, o.Host = nil, noToken, nil,
					&status.HostSight{Err: noToken, KeysErr: noToken}
			},
			[]status.Unseen{{What: "the repository", Reason: noToken.Error(), Problem: true}},
		},
		"keys only": {
			func(o *status.Observation) {
				o.Host.Keys, o.Host.KeysErr = nil, errors.New("no Administration")
			},
			[]status.Unseen{{What: "the deploy keys", Reason: "no Administration"}},
		},
		"no right to read objects": {
			func(o *status.Observation) { o.Live, o.LiveErr = nil, errors.New("forbidden") },
			[]status.Unseen{{What: "drift", Reason: "forbidden"}},
		},
		"no right to read the Secret": {
			func(o *status.Observation) {
				o.Survey.Flux.SourceSecret, o.Survey.Unseen = nil, []string{`cannot get resource "secrets"`}
			},
			[]status.Unseen{{What: "a part of the cluster", Reason: `cannot get resource "secrets"`}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := well()
			tc.change(o)
			report := judge(t, o)
			if report.Healthy == tc.want[0].Problem || !reflect.DeepEqual(report.Unseen, tc.want) {
				t.Errorf("problems %+v, unseen %+v, want %+v", report.Problems, report.Unseen, tc.want)
			}
		})
	}
}

func TestJudge_states(t *testing.T) {
	t.Parallel()
	o := well()
	unmanaged := o.Survey.Clusters[1]
	unmanaged.Name, unmanaged.GitOpsKind, unmanaged.GitOpsName, unmanaged.AppliedBy = "pets", "", "", ""
	lost := o.Survey.Clusters[1]
	lost.Name = "lost"
	o.Survey.Clusters = append(o.Survey.Clusters, unmanaged, lost)
	o.Git.Clusters = append(o.Git.Clusters, facts.GitCluster{
		Name: "new", Path: "clusters/mgmt/new/eksa-system/eksa-cluster.yaml", Read: true, Namespace: "fleet",
		ManagementCluster: "mgmt", KubernetesVersion: "1.34", ControlPlanes: 3, Workers: 5,
	})
	var got []string
	for _, c := range judge(t, o).Clusters {
		got = append(got, fmt.Sprintf("%s/%s %s %q %s %d/%d", c.Namespace, c.Name, c.Role, c.State,
			c.KubernetesVersion, c.ControlPlane.Desired, c.Workers.Desired))
	}
	equal(t, "clusters", got, []string{
		`default/mgmt management "" 1.33 3/2`,
		`default/dev workload "" 1.33 3/2`,
		`default/lost workload "only in the cluster" 1.33 3/2`,
		`fleet/new workload "only in Git" 1.34 3/5`,
		`default/pets workload "not in Git (not managed through Git)" 1.33 3/2`,
	})
}

// Nobody is told to create a cluster that is being deleted.
func TestJudge_deletingIsNotToBeCreated(t *testing.T) {
	t.Parallel()
	for _, deleting := range []bool{false, true} {
		o := well()
		going := o.Survey.Clusters[1]
		going.Name, going.Deleting = "going", deleting
		o.Survey.Clusters = append(o.Survey.Clusters, going)
		advised := false
		for _, p := range judge(t, o).Problems {
			advised = advised || p.Cluster == "going" && strings.Contains(p.Next.String(), "create cluster")
		}
		if advised == deleting {
			t.Errorf("deleting %t: create is advised: %t", deleting, advised)
		}
	}
}

func TestJudge_unknownCluster(t *testing.T) {
	t.Parallel()
	o := well()
	o.Cluster = "dve"
	_, err := status.Judge(o)
	unknown, ok := errors.AsType[*status.UnknownClusterError](err)
	if !ok || !reflect.DeepEqual(unknown.Known, []string{"dev", "mgmt"}) ||
		unknown.Hint() != "the clusters there are: dev, mgmt" {
		t.Errorf("error %v, %+v", err, unknown)
	}
}

func TestJudge_notConfigured(t *testing.T) {
	t.Parallel()
	o := well()
	o.Config, o.Git, o.Live, o.Host = nil, nil, nil, nil
	report := judge(t, o)
	if !report.Healthy || report.Repository != nil || report.Flux != nil || len(report.Notes) != 1 ||
		report.Clusters[1].State != status.StateUnmanaged {
		t.Errorf("%+v", report)
	}
}

// Only fields that Git sets are compared, and what the server fills in is no drift.
func TestJudge_drift(t *testing.T) {
	t.Parallel()
	const git = `{apiVersion: a/v1, kind: Cluster, metadata: {name: dev, labels: {team: a}, annotations: {a.b/c: x}}, spec: {
		count: 3, name: dev, on: true, empty: "", none: null, items: [{name: md-0, count: 1}], list: [a, b], proxy: {httpProxy: "http://u:p4ss@proxy"}}}`
	live := func(old, new string) string {
		text := strings.Replace(`{apiVersion: a/v1, kind: Cluster, metadata: {name: dev, uid: 1, labels: {team: a, other: b}, annotations: {a.b/c: x}}, spec: {
		count: 3, name: dev, on: true, items: [{name: md-0, count: 1, defaulted: x}], list: [a, b], proxy: {httpProxy: "http://u:p4ss@proxy"}, defaulted: {a: 1}}, status: {x: 1}}`,
			old, new, 1)
		return text
	}
	for name, tc := range map[string]struct {
		old, new string
		want     []facts.Difference
	}{
		"nothing":  {"", "", nil},
		"a number": {"count: 3", "count: 5", []facts.Difference{{Field: "spec.count", Git: "3", Live: "5"}}},
		"a float":  {"count: 3", "count: 3.0", nil},
		"a type": {"count: 3", `count: "3"`,
			[]facts.Difference{{Field: "spec.count", Git: "3", Live: `"3"`}}},
		"gone": {"count: 3,", "", []facts.Difference{{Field: "spec.count", Git: "3"}}},
		"a label": {"team: a", "team: b",
			[]facts.Difference{{Field: "metadata.labels.team", Git: "a", Live: "b"}}},
		"an annotation": {"a.b/c: x", "a.b/c: z",
			[]facts.Difference{{Field: `metadata.annotations["a.b/c"]`, Git: "x", Live: "z"}}},
		"in an item": {"md-0, count: 1", "md-0, count: 2",
			[]facts.Difference{{Field: "spec.items[md-0].count", Git: "1", Live: "2"}}},
		"one more item": {"list: [a, b]", "list: [a, b, c]",
			[]facts.Difference{{Field: "spec.list", Git: `["a","b"]`, Live: `["a","b","c"]`}}},
		"an item": {"list: [a, b]", "list: [a, c]",
			[]facts.Difference{{Field: "spec.list[1]", Git: "b", Live: "c"}}},
		"a credential": {"u:p4ss@proxy", "u:0ther@proxy", []facts.Difference{{Field: "spec.proxy.httpProxy",
			Git: "http://***@proxy", Live: "http://***@proxy (another one)"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := well()
			o.Git.Clusters[0].Objects = []facts.GitObject{asGit(git)}
			o.Live[0].Fields = asGit(live(tc.old, tc.new)).Fields
			for i := range tc.want {
				tc.want[i].Cluster, tc.want[i].Object = "dev", "Cluster default/dev"
			}
			report := judge(t, o)
			if len(report.Drift)+len(tc.want) > 0 && !reflect.DeepEqual(report.Drift, tc.want) {
				t.Errorf("drift %+v, want %+v", report.Drift, tc.want)
			}
		})
	}
	t.Run("an object is missing", func(t *testing.T) {
		t.Parallel()
		o := well()
		o.Git.Clusters[0].Objects = append(o.Git.Clusters[0].Objects,
			asGit("{kind: VSphereMachineConfig, metadata: {name: dev-cp}}"),
			asGit("{kind: ConfigMap, metadata: {name: not-ours}}"))
		if report := judge(t, o); len(report.Drift) != 1 ||
			report.Drift[0].Text() != "it is in Git, and not in the cluster" {
			t.Errorf("%+v", report.Drift)
		}
	})
	t.Run("Git says not to correct it", func(t *testing.T) {
		t.Parallel()
		o := well()
		o.Git.Clusters[0].Objects = append(o.Git.Clusters[0].Objects, asGit("{kind: VSphereMachineConfig, "+
			"metadata: {name: dev-cp, annotations: {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}}}"))
		if report := judge(t, o); len(report.Drift) != 0 {
			t.Errorf("%+v", report.Drift)
		}
	})
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}
