package fluxinstall

import (
	"cmp"
	"context"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// InspectOptions say what to look at.
type InspectOptions struct {
	// SystemNamespace is where Flux is expected; flux-system when empty.
	SystemNamespace string
	// Purpose is what the run is going to do, whose rights are looked for: to install Flux only when it is
	// not there as a whole.
	Purpose Purpose
}

// State is what is in the management cluster.
type State struct {
	Server string // the API server's URL
	Origin string // where the kubeconfig came from
	// EKSAInstalled says whether the cluster has EKS Anywhere's Cluster resource.
	EKSAInstalled bool
	Clusters      []ClusterInfo
	GitOps        []LiveGitOps
	Flux          FluxState
	// Deletions are those that are under way of what Flux and the clusters hang on, the most telling first.
	Deletions []Deletion
	// MissingRights are those that the purpose needs and the user does not have.
	MissingRights []*MissingRight
}

// ClusterInfo is one EKS Anywhere Cluster object.
type ClusterInfo struct {
	Namespace, Name   string
	ManagementCluster string // its own name when it manages itself
	// of gitOpsRef, or of the one that a hold has taken off for its length; empty without one
	GitOpsKind        string
	GitOpsName        string
	KubernetesVersion string
	Paused            bool // annotated so that EKS Anywhere does not work on it
	Ready             bool // Ready is True for the current generation
	FailureMessage    string
	Conditions        []Condition

	Deleting       bool   // its deletion has begun
	AllowsDeletion bool   // annotated so that EKS Anywhere deletes it even when it is paused
	AppliedBy      string // namespace/name of the Kustomization of Flux that applied it; empty when none did
	// this program's hold on it, which a run that is over should have released; see [Cluster.Hold]
	Held       *Pause
	KeptByFlux bool // annotated so that Flux does not delete it when it is no longer in Git

	released *ClusterInfo // what it is without the hold; nil where there is none
}

// LiveGitOps is a FluxConfig or GitOpsConfig object.
type LiveGitOps struct {
	Kind, Namespace, Name string
	Spec                  map[string]any
}

// ManagementClusters are the Cluster objects that manage themselves.
func (s *State) ManagementClusters() []ClusterInfo {
	var list []ClusterInfo
	for _, c := range s.Clusters {
		if c.ManagementCluster == c.Name {
			list = append(list, c)
		}
	}
	return list
}

// HasCluster says whether a Cluster object of that name exists.
func (s *State) HasCluster(namespace, name string) bool { return s.Cluster(namespace, name) != nil }

// Cluster is the Cluster object of that name, or nil.
func (s *State) Cluster(namespace, name string) *ClusterInfo {
	for i, c := range s.Clusters {
		if c.Namespace == namespace && c.Name == name {
			return &s.Clusters[i]
		}
	}
	return nil
}

// Released is the state in which a cluster's hold is taken back, as [Cluster.Release] does it: for a dry run.
// The state itself stays as it is.
func (s *State) Released(namespace, name string) *State {
	after := *s
	after.Clusters = slices.Clone(s.Clusters)
	for i, c := range after.Clusters {
		if c.Namespace != namespace || c.Name != name || c.Held == nil {
			continue
		}
		if c.released != nil {
			after.Clusters[i] = *c.released
		}
		after.Clusters[i].Held = nil
	}
	return &after
}

// GitOpsConfigOf is the GitOps configuration that a management cluster refers to, or nil.
func (s *State) GitOpsConfigOf(managementCluster string) *LiveGitOps {
	for _, c := range s.ManagementClusters() {
		if c.Name != managementCluster {
			continue
		}
		for i, g := range s.GitOps {
			if g.Kind == c.GitOpsKind && g.Name == c.GitOpsName && g.Namespace == c.Namespace {
				return &s.GitOps[i]
			}
		}
	}
	return nil
}

// AbandonedGitOps is the GitOps configuration of a management cluster that no cluster refers to any more, or
// nil. That is what is left when [Cluster.RemoveGitOps] is cut off between its two writes. It is the
// cluster's when it has its name, as EKS Anywhere gives it, or when its path in the repository ends with
// that.
func (s *State) AbandonedGitOps(managementCluster string) *LiveGitOps {
	var found *LiveGitOps
	for _, c := range s.ManagementClusters() {
		if c.Name != managementCluster || c.GitOpsName != "" {
			continue
		}
		for i, g := range s.GitOps {
			referredTo := slices.ContainsFunc(s.Clusters, func(other ClusterInfo) bool {
				return other.Namespace == g.Namespace && other.GitOpsName == g.Name
			})
			if g.Namespace != c.Namespace || referredTo ||
				g.Name != c.Name && path.Base(g.clusterPath()) != c.Name {
				continue
			}
			switch {
			case found != nil && found.Name != g.Name:
				return nil // whose is it?
			case found == nil || g.Kind == gitOpsConfigKind().name:
				// EKS Anywhere makes a FluxConfig beside a GitOpsConfig.
				found = &s.GitOps[i]
			}
		}
	}
	return found
}

// clusterPath is clusterConfigPath, which the two kinds have in different places.
func (g *LiveGitOps) clusterPath() string {
	for _, fields := range [][]string{{"clusterConfigPath"}, {"flux", "github", "clusterConfigPath"}} {
		if p, _, _ := unstructured.NestedString(g.Spec, fields...); p != "" {
			return p
		}
	}
	return ""
}

// Inspect reads what the other methods would change, and what tells whether they may. It writes nothing. The
// errors are *UnreachableError, *ForbiddenError and the context's.
func (c *Cluster) Inspect(ctx context.Context, options InspectOptions) (*State, error) {
	namespace := cmp.Or(options.SystemNamespace, fluxmanifests.DefaultNamespace)
	state := &State{Server: c.server, Origin: c.origin}
	// One request first: when the server cannot be reached, one error says so.
	clusters, err := c.list(ctx, clusterKind(), "")
	if err != nil {
		return nil, err
	}
	state.EKSAInstalled = clusters != nil
	for _, item := range clusters {
		state.Clusters = append(state.Clusters, clusterInfo(&item))
	}
	var found fluxObjects
	var fluxConfigs, gitOpsConfigs []unstructured.Unstructured
	err = together(
		func() (err error) { fluxConfigs, err = c.list(ctx, fluxConfigKind(), ""); return err },
		func() (err error) { gitOpsConfigs, err = c.list(ctx, gitOpsConfigKind(), ""); return err },
		func() (err error) { found.repositories, err = c.list(ctx, gitRepositoryKind(), ""); return err },
		func() (err error) {
			found.kustomization, err = c.get(ctx, kustomizationKind(), namespace, namespace)
			return err
		},
		func() (err error) {
			// One that is being deleted takes what it has applied along, wherever it is.
			found.kustomizations, err = c.list(ctx, kustomizationKind(), "")
			return ignoreForbidden(err)
		},
		func() (err error) {
			found.deployments, err = c.list(ctx, deploymentKind(), "",
				client.MatchingLabels{fluxmanifests.PartOfLabel: "flux"})
			return err
		},
		func() (err error) { found.namespace, err = c.get(ctx, namespaceKind(), "", namespace); return err },
		func() (err error) {
			found.secret, err = c.get(ctx, secretKind(), namespace, fluxmanifests.SourceSecretName)
			return err
		},
		func() (err error) {
			found.instances, err = c.list(ctx, fluxInstanceKind(), "")
			if isForbidden(err) {
				// Most clusters have no flux-operator, and a role need not know of it.
				return nil
			}
			return err
		},
	)
	if err != nil {
		return nil, err
	}
	for _, item := range slices.Concat(fluxConfigs, gitOpsConfigs) {
		spec, _, _ := unstructured.NestedMap(item.Object, "spec")
		state.GitOps = append(state.GitOps, LiveGitOps{Kind: item.GetKind(), Namespace: item.GetNamespace(),
			Name: item.GetName(), Spec: spec})
	}
	state.Flux = found.state(namespace)
	state.Deletions = found.deletions(namespace, slices.Concat(clusters, fluxConfigs, gitOpsConfigs))
	if state.Flux.Adoption, err = c.adoption(ctx, found.kustomization); err != nil {
		return nil, err
	}
	if installed := state.Flux.GitRepository != nil &&
		state.Flux.Kustomization != nil; options.Purpose != ForInstalling || !installed {
		state.MissingRights = c.MissingRights(ctx, options.Purpose, namespace)
	}
	return state, nil
}

// together runs the functions at the same time and returns the first error in their order.
func together(reads ...func() error) error {
	errs := make([]error, len(reads))
	var group crash.Group
	for i, read := range reads {
		group.Go(func() { errs[i] = read() })
	}
	group.Wait()
	return cmp.Or(errs...)
}

func clusterInfo(u *unstructured.Unstructured) ClusterInfo {
	info := ClusterInfo{
		Namespace:         u.GetNamespace(),
		Name:              u.GetName(),
		ManagementCluster: cmp.Or(text(u, "spec", "managementCluster", "name"), u.GetName()),
		GitOpsKind:        text(u, "spec", "gitOpsRef", "kind"),
		GitOpsName:        text(u, "spec", "gitOpsRef", "name"),
		KubernetesVersion: text(u, "spec", "kubernetesVersion"),
		Paused:            isPaused(u),
		Ready:             readyNow(u),
		FailureMessage:    text(u, "status", "failureMessage"),
		Conditions:        conditions(u),
		Deleting:          u.GetDeletionTimestamp() != nil,
		AllowsDeletion:    u.GetAnnotations()[allowDeleteWhenPaused] == "true",
		AppliedBy:         appliedBy(u),
		KeptByFlux:        keptByFlux(u),
	}
	if record := holdOf(u); record != nil {
		after := clusterInfo(released(u))
		info.released = &after
		info.Held = &Pause{Object: objectName(u), Field: reconcileAnnotation, By: heldBy(record),
			Since: record.Since, Resume: undo(u, record)}
		if kind, ok := record.GitOpsRef["kind"].(string); ok && info.GitOpsName == "" {
			name, _ := record.GitOpsRef["name"].(string)
			info.GitOpsKind, info.GitOpsName = kind, name
		}
	}
	return info
}

// isPaused says whether EKS Anywhere leaves the cluster alone.
func isPaused(u *unstructured.Unstructured) bool {
	return u.GetAnnotations()[pausedAnnotation] == "true"
}

// text is a string field of an object, or "" when it is not there.
func text(u *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(u.Object, path...)
	return value
}
