package fluxinstall

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// InspectOptions say what to look at.
type InspectOptions struct {
	// SystemNamespace is where Flux is expected; flux-system when empty.
	SystemNamespace string
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
}

// ClusterInfo is one EKS Anywhere Cluster object.
type ClusterInfo struct {
	Namespace, Name   string
	ManagementCluster string // its own name when it manages itself
	GitOpsKind        string // of gitOpsRef; empty without one
	GitOpsName        string
	Ready             bool
}

// LiveGitOps is a FluxConfig or GitOpsConfig object.
type LiveGitOps struct {
	Kind, Namespace, Name string
	Spec                  map[string]any
}

// FluxState is Flux as it is installed in the system namespace.
type FluxState struct {
	Namespace       bool   // whether the namespace exists
	Version         string // of the controllers' labels; empty when there are none
	GitRepository   *GitRepositoryState
	Kustomization   *KustomizationState
	SourcePublicKey string // of the source Secret, in authorized_keys form; empty without one
	// Others are installations that are not ours to touch.
	Others []Other
}

// GitRepositoryState is Flux's source.
type GitRepositoryState struct {
	Name, URL, Branch, Secret string
	Suspended                 bool
	Revision                  string // of the artifact: branch@sha1:commit
}

// KustomizationState is what Flux applies from the source.
type KustomizationState struct {
	Name, Path      string
	Suspended       bool
	AppliedRevision string
	Ready           bool // Ready is True for the current generation
}

// Other describes an installation of Flux by somebody else.
type Other struct{ Description string }

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
func (s *State) HasCluster(namespace, name string) bool {
	for _, c := range s.Clusters {
		if c.Namespace == namespace && c.Name == name {
			return true
		}
	}
	return false
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

// Applied says whether Flux reports that it has fetched and applied exactly that commit, is well, and is not suspended. Flux applies
// its own components too, so they are as Git says then.
func (s *State) Applied(branch, commit string) bool {
	revision := Revision(branch, commit)
	git, ks := s.Flux.GitRepository, s.Flux.Kustomization
	return git != nil && ks != nil && commit != "" && !git.Suspended && !ks.Suspended &&
		git.Revision == revision && ks.AppliedRevision == revision && ks.Ready
}

// Revision is how Flux writes a commit of a branch.
func Revision(branch, commit string) string { return branch + "@sha1:" + commit }

// Inspect reads what the other methods would change, and what tells whether they may. It writes nothing. The errors are
// *UnreachableError, *ForbiddenError and the context's.
func (c *Cluster) Inspect(ctx context.Context, options InspectOptions) (*State, error) {
	namespace := options.SystemNamespace
	if namespace == "" {
		namespace = "flux-system"
	}
	state := &State{Server: c.server, Origin: c.origin}
	// One request first: when the server cannot be reached, one error says so.
	clusters, err := c.list(ctx, eksaGroup, "v1alpha1", "Cluster", "")
	if err != nil {
		return nil, err
	}
	state.EKSAInstalled = clusters != nil
	for _, item := range clusters {
		state.Clusters = append(state.Clusters, clusterInfo(&item))
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var firstErr error
	look := func(read func() error) {
		group.Go(func() {
			if err := read(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if firstErr == nil {
					firstErr = err
				}
			}
		})
	}
	var fluxConfigs, gitOpsConfigs, repositories, instances, deployments []unstructured.Unstructured
	look(func() (err error) {
		fluxConfigs, err = c.list(ctx, eksaGroup, "v1alpha1", "FluxConfig", "")
		return err
	})
	look(func() (err error) {
		gitOpsConfigs, err = c.list(ctx, eksaGroup, "v1alpha1", "GitOpsConfig", "")
		return err
	})
	look(func() (err error) {
		repositories, err = c.list(ctx, sourceGroup, "v1", "GitRepository", "")
		return err
	})
	look(func() (err error) {
		instances, err = c.list(ctx, "fluxcd.controlplane.io", "v1", "FluxInstance", "")
		return err
	})
	look(func() (err error) {
		deployments, err = c.list(ctx, "apps", "v1", "Deployment", "", client.MatchingLabels{partOfLabel: "flux"})
		return err
	})
	look(func() error {
		ks, err := c.get(ctx, kustomizeGroup, "v1", "Kustomization", namespace, namespace)
		if ks != nil {
			state.Flux.Kustomization = kustomizationState(ks)
		}
		return err
	})
	look(func() error {
		ns, err := c.get(ctx, "", "v1", "Namespace", "", namespace)
		state.Flux.Namespace = ns != nil
		return err
	})
	look(func() error {
		secret, err := c.get(ctx, "", "v1", "Secret", namespace, SourceSecretName)
		if secret != nil {
			state.Flux.SourcePublicKey = publicKeyOf(secret)
		}
		return err
	})
	group.Wait()
	if firstErr != nil {
		return nil, firstErr
	}
	for _, configs := range [][]unstructured.Unstructured{fluxConfigs, gitOpsConfigs} {
		for _, item := range configs {
			spec, _, _ := unstructured.NestedMap(item.Object, "spec")
			state.GitOps = append(state.GitOps, LiveGitOps{Kind: item.GetKind(), Namespace: item.GetNamespace(), Name: item.GetName(), Spec: spec})
		}
	}
	state.Flux.sort(namespace, repositories, instances, deployments)
	return state, nil
}

// sort tells our installation from others'.
func (f *FluxState) sort(namespace string, repositories, instances, deployments []unstructured.Unstructured) {
	for _, item := range repositories {
		if item.GetNamespace() == namespace && item.GetName() == namespace {
			f.GitRepository = gitRepositoryState(&item)
		}
	}
	for _, item := range instances {
		f.Others = append(f.Others, Other{fmt.Sprintf("FluxInstance %s/%s of flux-operator", item.GetNamespace(), item.GetName())})
	}
	elsewhere := map[string]bool{}
	for _, item := range deployments {
		helm := item.GetLabels()["app.kubernetes.io/managed-by"] == "Helm"
		switch {
		case helm:
			f.Others = append(f.Others, Other{fmt.Sprintf("Deployment %s/%s belongs to a Helm release", item.GetNamespace(), item.GetName())})
		case item.GetNamespace() == namespace:
			if f.Version == "" {
				f.Version = item.GetLabels()[versionLabel]
			}
		case !elsewhere[item.GetNamespace()]:
			// Flux's CRDs and cluster roles exist once: two installations would fight over every object.
			elsewhere[item.GetNamespace()] = true
			f.Others = append(f.Others, Other{fmt.Sprintf("its controllers run in namespace %s, the spec says %s", item.GetNamespace(), namespace)})
		}
	}
}

func clusterInfo(u *unstructured.Unstructured) ClusterInfo {
	info := ClusterInfo{Namespace: u.GetNamespace(), Name: u.GetName()}
	info.ManagementCluster, _, _ = unstructured.NestedString(u.Object, "spec", "managementCluster", "name")
	if info.ManagementCluster == "" {
		info.ManagementCluster = info.Name
	}
	info.GitOpsKind, _, _ = unstructured.NestedString(u.Object, "spec", "gitOpsRef", "kind")
	info.GitOpsName, _, _ = unstructured.NestedString(u.Object, "spec", "gitOpsRef", "name")
	info.Ready = readyNow(u)
	return info
}

func gitRepositoryState(u *unstructured.Unstructured) *GitRepositoryState {
	s := &GitRepositoryState{Name: u.GetName()}
	s.URL, _, _ = unstructured.NestedString(u.Object, "spec", "url")
	s.Branch, _, _ = unstructured.NestedString(u.Object, "spec", "ref", "branch")
	s.Secret, _, _ = unstructured.NestedString(u.Object, "spec", "secretRef", "name")
	s.Suspended, _, _ = unstructured.NestedBool(u.Object, "spec", "suspend")
	s.Revision, _, _ = unstructured.NestedString(u.Object, "status", "artifact", "revision")
	return s
}

func kustomizationState(u *unstructured.Unstructured) *KustomizationState {
	s := &KustomizationState{Name: u.GetName(), Ready: readyNow(u)}
	s.Path, _, _ = unstructured.NestedString(u.Object, "spec", "path")
	s.Suspended, _, _ = unstructured.NestedBool(u.Object, "spec", "suspend")
	s.AppliedRevision, _, _ = unstructured.NestedString(u.Object, "status", "lastAppliedRevision")
	return s
}

// get reads one object; nil when it, or its resource type, does not exist.
func (c *Cluster) get(ctx context.Context, group, version, kind, namespace, name string) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
	err := c.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, u)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.classify(ctx, err)
	}
	return u, nil
}

// list reads the objects of a kind. It returns nil when the resource type does not exist, and an empty list when only objects are
// missing.
func (c *Cluster) list(ctx context.Context, group, version, kind, namespace string, options ...client.ListOption) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: kind + "List"})
	err := c.client.List(ctx, list, append(options, client.InNamespace(namespace))...)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.classify(ctx, err)
	}
	if list.Items == nil {
		return []unstructured.Unstructured{}, nil
	}
	return list.Items, nil
}
