package fluxinstall

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// The groups that hold what the package works with.
const (
	eksaGroup      = "anywhere.eks.amazonaws.com"
	sourceGroup    = fluxmanifests.SourceGroup
	kustomizeGroup = fluxmanifests.KustomizeGroup
	crdGroup       = "apiextensions.k8s.io"
)

// kind is a resource type. Objects are read without Go types of their own: what a newer EKS Anywhere or Flux
// adds is carried along unharmed.
type kind struct{ group, version, name string }

// The kinds that are read or written by name. Those of Flux are given in the version that this program
// brings; [servedClient] takes another when the server has not got it.
func namespaceKind() kind     { return kind{"", "v1", "Namespace"} }
func secretKind() kind        { return kind{"", "v1", "Secret"} }
func podKind() kind           { return kind{"", "v1", "Pod"} }
func deploymentKind() kind    { return kind{"apps", "v1", "Deployment"} }
func crdKind() kind           { return kind{crdGroup, "v1", "CustomResourceDefinition"} }
func gitRepositoryKind() kind { return kind{sourceGroup, "v1", "GitRepository"} }
func kustomizationKind() kind { return kind{kustomizeGroup, "v1", "Kustomization"} }
func clusterKind() kind       { return kind{eksaGroup, "v1alpha1", "Cluster"} }
func fluxConfigKind() kind    { return kind{eksaGroup, "v1alpha1", "FluxConfig"} }
func gitOpsConfigKind() kind  { return kind{eksaGroup, "v1alpha1", "GitOpsConfig"} }

// The questions about one's own rights.
func rulesReviewKind() kind  { return kind{"authorization.k8s.io", "v1", "SelfSubjectRulesReview"} }
func accessReviewKind() kind { return kind{"authorization.k8s.io", "v1", "SelfSubjectAccessReview"} }

// eksaKind is a kind of EKS Anywhere by its name.
func eksaKind(name string) kind { return kind{eksaGroup, "v1alpha1", name} }

// eksaKinds are the kinds that a cluster file may hold beside those that are read by name.
func eksaKinds() []string {
	return []string{
		"VSphereDatacenterConfig", "VSphereMachineConfig", "CloudStackDatacenterConfig",
		"CloudStackMachineConfig", "NutanixDatacenterConfig", "NutanixMachineConfig", "SnowDatacenterConfig",
		"SnowMachineConfig", "SnowIPPool", "TinkerbellDatacenterConfig", "TinkerbellMachineConfig",
		"TinkerbellTemplateConfig", "DockerDatacenterConfig",
		"OIDCConfig", "AWSIamConfig",
	}
}

// The kinds of Cluster API that count a cluster's machines. EKS Anywhere installs v1beta1; later versions of
// Cluster API serve v1beta2, and in the end that alone.
func controlPlaneKind(version string) kind {
	return kind{"controlplane.cluster.x-k8s.io", version, "KubeadmControlPlane"}
}
func machinesKind(version string) kind { return kind{"cluster.x-k8s.io", version, "MachineDeployment"} }

// fluxInstanceKind is flux-operator's, which installs Flux its own way.
func fluxInstanceKind() kind { return kind{"fluxcd.controlplane.io", "v1", "FluxInstance"} }

func (k kind) gvk() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: k.group, Version: k.version, Kind: k.name}
}

// object is a new object of the kind with nothing but its name; namespace is empty for kinds that have none.
func (k kind) object(namespace, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(k.gvk())
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

func (k kind) objectList() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: k.group, Version: k.version,
		Kind: k.name + "List"})
	return list
}

// knownKinds maps the kinds of Flux's installation and of EKS Anywhere without asking the server: discovery
// would cost more round trips than all else of a run that finds nothing to do. Kinds beyond these (somebody's
// own patches) are discovered.
func knownKinds() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, k := range []kind{
		namespaceKind(), crdKind(), rulesReviewKind(), accessReviewKind(),
		{"rbac.authorization.k8s.io", "v1", "ClusterRole"},
		{"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"},
	} {
		mapper.Add(k.gvk(), meta.RESTScopeRoot)
	}
	for _, k := range []kind{
		secretKind(), podKind(), deploymentKind(), gitRepositoryKind(), kustomizationKind(),
		clusterKind(), fluxConfigKind(), gitOpsConfigKind(), fluxInstanceKind(),
		controlPlaneKind("v1beta1"), controlPlaneKind("v1beta2"), machinesKind("v1beta1"),
		machinesKind("v1beta2"),
		{"", "v1", "Service"},
		{"", "v1", "ServiceAccount"},
		{"", "v1", "ResourceQuota"},
	} {
		mapper.Add(k.gvk(), meta.RESTScopeNamespace)
	}
	for _, name := range eksaKinds() {
		mapper.Add(eksaKind(name).gvk(), meta.RESTScopeNamespace)
	}
	// An older Flux serves these; see servedClient.
	for _, k := range []kind{gitRepositoryKind(), kustomizationKind()} {
		for _, version := range []string{"v1beta1", "v1beta2"} {
			mapper.Add(kind{k.group, version, k.name}.gvk(), meta.RESTScopeNamespace)
		}
	}
	// The plural of NetworkPolicy is irregular.
	policies := schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}
	mapper.AddSpecific(policies.WithKind("NetworkPolicy"), policies.WithResource("networkpolicies"),
		policies.WithResource("networkpolicy"), meta.RESTScopeNamespace)
	return mapper
}

// get reads one object; nil when it, or its resource type, does not exist. Passing failures are retried.
func (c *Cluster) get(ctx context.Context, k kind,
	namespace, name string) (object *unstructured.Unstructured, err error) {
	err = c.retry(ctx, func() error {
		object, err = c.fetch(ctx, k, namespace, name)
		return err
	})
	return object, err
}

// fetch is get with one try and the client library's own error.
func (c *Cluster) fetch(ctx context.Context, k kind,
	namespace, name string) (*unstructured.Unstructured, error) {
	u := k.object(namespace, name)
	err := c.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, u)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return u, nil
}

// list reads the objects of a kind, in all namespaces when namespace is empty. It returns nil when the
// resource type does not exist, and an empty list when only objects are missing. Passing failures are
// retried.
func (c *Cluster) list(ctx context.Context, k kind, namespace string,
	options ...client.ListOption) (items []unstructured.Unstructured, err error) {
	err = c.retry(ctx, func() error {
		items, err = c.fetchAll(ctx, k, namespace, options...)
		return err
	})
	return items, err
}

// fetchAll is list with one try and the client library's own error.
func (c *Cluster) fetchAll(ctx context.Context, k kind, namespace string,
	options ...client.ListOption) ([]unstructured.Unstructured, error) {
	list := k.objectList()
	err := c.client.List(ctx, list, append(options, client.InNamespace(namespace))...)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if list.Items == nil {
		return []unstructured.Unstructured{}, nil
	}
	return list.Items, nil
}
