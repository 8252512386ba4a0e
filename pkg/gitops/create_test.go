package gitops_test

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// template is a cluster file; NAME, and for a workload cluster MANAGEMENT, are replaced.
const template = `apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: Cluster
metadata:
  name: NAME
spec:
  kubernetesVersion: "1.33"
  controlPlaneConfiguration:
    count: 1
  workerNodeGroupConfigurations:
  - name: md-0
    count: 1
  clusterNetwork:
    cniConfig:
      cilium: {}
    pods:
      cidrBlocks: [192.168.0.0/16]
    services:
      cidrBlocks: [10.96.0.0/12]
  datacenterRef:
    kind: DockerDatacenterConfig
    name: NAME
  managementCluster:
    name: MANAGEMENT
  gitOpsRef:
    kind: FluxConfig
    name: NAME
---
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: DockerDatacenterConfig
metadata:
  name: NAME
spec: {}
---
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: FluxConfig
metadata:
  name: NAME
spec:
PROVIDER
`

const (
	onGitHub = "  github:\n    owner: octo\n    repository: fleet\n    personal: true"
	onGit    = "  git:\n    repositoryUrl: ssh://git@git.example.com/octo/fleet.git\n" +
		"    sshKeyAlgorithm: ecdsa"
)

// spec is a cluster file of a cluster that dev manages.
func spec(name, provider string) string {
	return strings.NewReplacer("NAME", name, "MANAGEMENT", "dev", "PROVIDER", provider).Replace(template)
}

func parse(t *testing.T, specs ...string) []*clusterspec.Cluster {
	t.Helper()
	var sources []clusterspec.Source
	for i, text := range specs {
		sources = append(sources, clusterspec.Source{Name: string(rune('a'+i)) + ".yaml", Data: []byte(text)})
	}
	set, err := clusterspec.Parse(sources)
	if err != nil {
		t.Fatal(err)
	}
	return set.Clusters
}

// on is what the command line would give for these files.
func on(t *testing.T, specs ...string) gitops.CreateOptions {
	t.Helper()
	options := gitops.CreateOptions{
		Clusters: parse(t, specs...),
		Settings: gitops.Settings{
			Author:      git.Identity{Name: "Ann", Email: "ann@example.com"},
			ToolVersion: "v1.2.3",
			Remote: facts.Remote{
				Web: "https://git.example.com/octo/fleet", Push: "https://git.example.com/octo/fleet.git",
				Cluster: "ssh://git@git.example.com/octo/fleet",
			},
		},
	}
	if options.Clusters[0].GitOps != nil && options.Clusters[0].GitOps.Git != nil {
		url := options.Clusters[0].GitOps.Git.RepositoryURL
		options.Remote = facts.Remote{Web: url, Push: url, Cluster: url}
		options.Source = &fluxinstall.SourceSecret{PrivateKey: operatorKey(t),
			KnownHosts: []byte("git.example.com ssh-ed25519 AAAA\n")}
	}
	return options
}

// operatorKey is a private key for a generic Git server, the same in every call.
func operatorKey(t *testing.T) secret.Value {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "")
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(string(pem.EncodeToMemory(block)))
}

// create runs Create, which must succeed.
func create(t *testing.T, w *world, options gitops.CreateOptions) *gitops.Result {
	t.Helper()
	result, err := gitops.Create(t.Context(), w.ports(nil), options)
	if err != nil || result.Failure != nil {
		t.Fatalf("error %v, failure %+v", err, result.Failure)
	}
	asPublished(t, result)
	return result
}

// managed is a world in which dev is managed through Git already.
func managed(t *testing.T, provider string) *world {
	t.Helper()
	w := newSmallWorld(t, provider)
	create(t, w, on(t, spec("dev", provider)))
	w.forget()
	return w
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func stepsOf(result *gitops.Result) []string {
	var steps []string
	for _, s := range result.Steps {
		steps = append(steps, string(s.Step)+": "+string(s.Outcome))
	}
	return steps
}

// fluxFirst is calls with the installation of Flux, which goes on beside what comes before its sync objects,
// in front.
func fluxFirst(t *testing.T, calls []string) []string {
	t.Helper()
	const install = "EnsureComponents"
	at, sync := slices.Index(calls, install), slices.Index(calls, "EnsureSync")
	if at < 0 {
		return calls
	}
	if sync >= 0 && sync < at {
		t.Errorf("sync objects come before Flux: %q", calls)
	}
	return slices.Concat([]string{install}, calls[:at], calls[at+1:])
}

// TestCreate_order holds the writing calls against the order that keeps the invariants: nothing follows the
// repository before the files are in it, no credentials are needed before they exist, and what a host may
// refuse comes before what it would leave behind. Flux's controllers, which follow nothing yet, start beside.
func TestCreate_order(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		provider string
		workload bool
		want     []string
	}{
		"management on GitHub": {onGitHub, false, []string{
			"EnsureComponents", "EnsureRepository octo/fleet", "EnsureNamespace flux-system",
			"EnsureSourceSecret flux-system/flux-system", "EnsureDeployKey eksa-gitops dev/flux-system",
			"Push main", "EnsureSync", "SaveLocal dev",
		}},
		"management on Git": {onGit, false, []string{
			"EnsureComponents", "EnsureNamespace flux-system", "EnsureSourceSecret flux-system/flux-system",
			"Push main", "EnsureSync", "SaveLocal dev",
		}},
		"workload on GitHub": {onGitHub, true,
			[]string{"Push main", "RequestReconcile flux-system/flux-system", "SaveLocal w01"}},
		"workload on Git": {onGit, true,
			[]string{"Push main", "RequestReconcile flux-system/flux-system", "SaveLocal w01"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.noHost = test.provider == onGit
			file := "dev"
			if test.workload {
				w, file = managed(t, test.provider), "w01"
			}
			result := create(t, w, on(t, spec(file, test.provider)))
			equal(t, "calls", fluxFirst(t, w.calls), test.want)
			equal(t, "effects", fluxFirst(t, w.effects), test.want)
			equal(t, "waits", w.waits, []string{"WaitSynced", "WaitCluster " + file})
			if result.Status != gitops.StatusDone || !result.Changed || !result.Repository.Pushed ||
				result.Repository.Created != (test.provider == onGitHub && !test.workload) {
				t.Errorf("result %+v, repository %+v", result, result.Repository)
			}
			if want := fluxinstall.Revision("main", w.branches["main"].head); result.Flux.Revision != want ||
				!result.Flux.Ready {
				t.Errorf("Flux %+v, want revision %s", result.Flux, want)
			}
		})
	}
}

// TestCreate_manyAtOnce creates a management cluster and two workload clusters with one commit.
func TestCreate_manyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	result := create(t, w, on(t, spec("w02", onGitHub), spec("dev", onGitHub), spec("w01", onGitHub)))
	equal(t, "calls", fluxFirst(t, w.calls), []string{
		"EnsureComponents", "EnsureRepository octo/fleet", "EnsureNamespace flux-system",
		"EnsureSourceSecret flux-system/flux-system", "EnsureDeployKey eksa-gitops dev/flux-system",
		"Push main", "EnsureSync", "SaveLocal dev", "SaveLocal w01", "SaveLocal w02",
	})
	for _, c := range result.Clusters {
		if !c.Ready || c.SpecPath != "clusters/dev/"+c.Name+"/eksa-system/eksa-cluster.yaml" ||
			c.LocalSpec != c.Name+"/"+c.Name+"-eks-a-cluster.yaml" {
			t.Errorf("%+v", c)
		}
	}
}

// TestCreate_repeated makes sure that a second run writes nothing and says so.
func TestCreate_repeated(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{onGitHub, onGit} {
		w := managed(t, provider)
		result := create(t, w, on(t, spec("dev", provider)))
		equal(t, "effects", w.effects, nil)
		// Flux reports that it has applied the commit, its own components among it: they are not looked at.
		want := []string{"EnsureNamespace flux-system", "EnsureSourceSecret flux-system/flux-system",
			"EnsureSync", "SaveLocal dev"}
		if provider == onGitHub {
			want = slices.Insert(want, 2, "EnsureDeployKey eksa-gitops dev/flux-system")
		}
		equal(t, "calls", w.calls, want)
		if result.Changed || result.Repository.Pushed || result.Status != gitops.StatusDone {
			t.Errorf("%+v", result)
		}
	}
}

// TestCreate_withoutGitOps leaves a cluster without gitOpsRef alone; no port is opened.
func TestCreate_withoutGitOps(t *testing.T) {
	t.Parallel()
	text, _, _ := strings.Cut(spec("dev", onGitHub),
		"---\napiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: FluxConfig")
	text = strings.Replace(text, "  gitOpsRef:\n    kind: FluxConfig\n    name: dev\n", "", 1)
	options := gitops.CreateOptions{Clusters: parse(t, text)}
	result, err := gitops.Create(context.Background(), gitops.Ports{}, options)
	if err != nil || result.Status != gitops.StatusNotConfigured || result.Changed || len(result.Steps) != 0 {
		t.Errorf("%+v, %v", result, err)
	}
}
