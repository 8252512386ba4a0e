package gitops_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// commitTwo is a commit that no world has.
const commitTwo = "2222222222222222222222222222222222222222"

// surveyed is what a look at a management cluster and one workload cluster brings, with nothing wrong.
func surveyed() *fluxinstall.Survey {
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
	revision := fluxinstall.Revision("main", "1111111111111111111111111111111111111111")
	return &fluxinstall.Survey{
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
				SourceSecret: &fluxinstall.SourceSecretState{PublicKey: "ssh-ed25519 " +
					"AAAAC3NzaC1lZDI1NTE5AAAAIJkZ3Vq9o1Yl0p1pQ2v4oN5x8m7J2c6b1tq3d9w0y7Ur",
					Fingerprint: "SHA256:abc"},
			},
		},
		Namespace: "flux-system", Interval: "1m0s", Clusters: []fluxinstall.LiveCluster{live("mgmt"),
			live("dev")},
	}
}

// liveObjects answers with the same objects always, and remembers what was wanted.
type liveObjects struct {
	objects []fluxinstall.LiveObject
	wanted  *[]fluxinstall.ObjectName
}

func (l liveObjects) Objects(_ context.Context,
	names []fluxinstall.ObjectName) ([]fluxinstall.LiveObject, error) {
	*l.wanted = names
	return l.objects, nil
}

// Observe reads what Judge needs, and writes nothing.
func TestObserve(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	create(t, w, on(t, spec("w01", onGitHub)))
	own := "clusters/dev/own/eksa-system/"
	w.commitOther("main", func(files map[string]string) {
		files["clusters/dev/broken/eksa-system/eksa-cluster.yaml"] = "a: b: c"
		files["clusters/dev/notes/README.md"] = "no cluster"
		files[own+"eksa-cluster.yaml"] = "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\n" +
			"metadata:\n  name: own\n  namespace: default\nspec:\n  kubernetesVersion: \"1.32\"\n"
		files[own+"kustomization.yaml"] = "resources:\n- eksa-cluster.yaml\npatches:\n- target:\n" +
			"    kind: Cluster\n  patch: |\n    - op: replace\n      path: /spec/kubernetesVersion\n" +
			"      value: \"1.33\"\n"
	})
	w.forget()
	survey := surveyed()
	survey.Flux.Kustomization.AppliedRevision = fluxinstall.Revision("main", w.branches["main"].head)
	var wanted []fluxinstall.ObjectName
	options := status.Options{Config: on(t, spec("w01", onGitHub)).Clusters[0].GitOps,
		ManagementCluster: "dev", Survey: survey, MaxAge: time.Hour}
	observation, err := status.Observe(t.Context(), w.ports(nil), liveObjects{wanted: &wanted}, options)
	if err != nil || observation.GitErr != nil || observation.Host.KeysErr != nil {
		t.Fatal(err, observation.GitErr, observation.Host.KeysErr)
	}
	var got []string
	for _, c := range observation.Git.Clusters {
		version := ""
		for _, o := range c.Objects {
			if o.Kind == "Cluster" {
				spec, _ := o.Fields["spec"].(map[string]any)
				version, _ = spec["kubernetesVersion"].(string)
			}
		}
		got = append(got, fmt.Sprintf("%s %s broken %v", c.Name, version, c.Broken != ""))
	}
	equal(t, "clusters", got, []string{"broken  broken true", "dev 1.33 broken false",
		"own 1.33 broken false", "w01 1.33 broken false"})
	if len(observation.Git.Sync) != 2 || observation.Git.Behind != 0 || len(observation.Host.Keys) != 1 {
		t.Errorf("%+v", observation)
	}
	if !slices.Contains(wanted,
		fluxinstall.ObjectName{Kind: "DockerDatacenterConfig", Namespace: "default", Name: "w01"}) {
		t.Errorf("wanted %v", wanted)
	}
	if len(w.calls) > 0 {
		t.Errorf("it wrote: %v", w.calls)
	}

	// A watch does not ask the Git server each time.
	fetches := w.fetches
	options.Before = observation
	again, err := status.Observe(t.Context(), w.ports(nil), liveObjects{wanted: &wanted}, options)
	if err != nil || w.fetches != fetches || again.Git == nil {
		t.Errorf("%v: %d fetches, want %d", err, w.fetches, fetches)
	}
	moved := *survey
	moved.Flux.GitRepository = &fluxinstall.GitRepositoryState{Revision: fluxinstall.Revision("main",
		commitTwo)}
	options.Survey, options.Before = &moved, again
	if _, err := status.Observe(t.Context(), w.ports(nil), liveObjects{wanted: &wanted},
		options); err != nil || w.fetches != fetches+1 {
		t.Errorf("%v: %d fetches, want one more than %d, since Flux has fetched another commit",
			err, w.fetches, fetches)
	}
}

// What Judge says of the repository itself, Observe has seen: its present name, that of its branch, whether
// Flux calls it otherwise, and what its history lacks.
func TestObserve_identity(t *testing.T) {
	t.Parallel()
	look := func(t *testing.T, change func(w *world)) *status.Report {
		t.Helper()
		w := fleetWorld(t, onGitHub, "w01")
		w.live("FluxConfig", "dev", frozenConfig("fleet"))
		state := w.state
		state.Flux.SourceSecret = &fluxinstall.SourceSecretState{PublicKey: w.publicKey}
		survey := &fluxinstall.Survey{State: state, Namespace: "flux-system"}
		for _, c := range state.Clusters {
			survey.Clusters = append(survey.Clusters,
				fluxinstall.LiveCluster{ClusterInfo: c, AppliedBy: c.AppliedBy})
		}
		change(w)
		options := on(t, spec("dev", onGitHub))
		observation, err := status.Observe(t.Context(), w.ports(nil),
			liveObjects{wanted: new([]fluxinstall.ObjectName)}, status.Options{
				Config: options.Clusters[0].GitOps, ManagementCluster: "dev", Survey: survey,
				Remote: options.Remote,
			})
		if err != nil {
			t.Fatal(err)
		}
		report, err := status.Judge(observation)
		if err != nil {
			t.Fatal(err)
		}
		asPublished(t, report)
		return report
	}
	seen := func(r *status.Report) (objects []string) {
		for _, p := range r.Problems {
			if !strings.HasPrefix(p.Object, "DockerDatacenterConfig ") &&
				!strings.HasPrefix(p.Object, "FluxConfig ") && !strings.HasPrefix(p.Object, "Cluster ") {
				objects = append(objects, p.Object+": "+p.Cause)
			}
		}
		return objects
	}
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		r := look(t, func(*world) {})
		equal(t, "problems", seen(r), nil)
		if r.Repository.RenamedTo != "" || len(r.Notes) > 0 {
			t.Errorf("renamed to %q, notes %q", r.Repository.RenamedTo, r.Notes)
		}
	})
	t.Run("renamed", func(t *testing.T) {
		t.Parallel()
		r := look(t, estate)
		equal(t, "problems", seen(r), nil)
		equal(t, "notes", r.Notes, []hint.Hint{hint.Plain(strings.TrimPrefix(nothingText, "warning: "))})
		if r.Repository.RenamedTo != "octo/estate" {
			t.Errorf("renamed to %q", r.Repository.RenamedTo)
		}
	})
	t.Run("Flux has the new name", func(t *testing.T) {
		t.Parallel()
		r := look(t, func(w *world) {
			estate(w)
			w.state.Flux.GitRepository.URL = "ssh://git@git.example.com/octo/estate"
		})
		equal(t, "problems", seen(r), nil)
	})
	t.Run("Flux follows another repository", func(t *testing.T) {
		t.Parallel()
		r := look(t, func(w *world) {
			w.names = map[string]string{"octo/fleet": "octo/fleet", "octo/old": "octo/old"}
			w.state.Flux.GitRepository.URL = "ssh://git@git.example.com/octo/old"
		})
		equal(t, "problems", seen(r), []string{"GitRepository flux-system/flux-system: FluxConfig dev says " +
			"branch main of ssh://git@git.example.com/octo/fleet"})
	})
	t.Run("branch renamed", func(t *testing.T) {
		t.Parallel()
		r := look(t, func(w *world) {
			w.branches, w.standard, w.branchNow = map[string]*tip{"trunk": w.branches["main"]},
				"trunk", "trunk"
		})
		equal(t, "problems", seen(r),
			[]string{"branch main: Flux keeps what it has applied, and applies nothing new"})
		if want := "branch main of https://git.example.com/octo/fleet was renamed to trunk, and Flux goes " +
			"on looking for main"; r.Problems[0].Message != want {
			t.Errorf("message %q, want %q", r.Problems[0].Message, want)
		}
	})
	t.Run("another repository", func(t *testing.T) {
		t.Parallel()
		r := look(t, func(w *world) {
			w.keys, w.branches = nil, map[string]*tip{}
			w.commitOther("main", func(files map[string]string) { files["README.md"] = "another" })
		})
		equal(t, "problems", seen(r), []string{"repository https://git.example.com/octo/fleet: it is " +
			"another repository under the old name: Flux's deploy key is not registered there"})
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		r := look(t, func(w *world) { w.exists, w.branches = false, map[string]*tip{} })
		if p := r.Problems[0]; p.Object != "repository https://git.example.com/octo/fleet" ||
			!strings.HasPrefix(p.Message, "it does not exist any more, or the credentials may not see it: ") {
			t.Errorf("%+v", p)
		}
	})
}
