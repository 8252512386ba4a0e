package fluxinstall

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// instanceLabel names, on everything of an installation of Flux, the namespace it was made for.
const instanceLabel = "app.kubernetes.io/instance"

// helmReleaseLabel is on what helm-controller makes for a HelmRelease, which may be in another namespace and
// so can own nothing.
const helmReleaseLabel = "helm.toolkit.fluxcd.io/name"

// fluxFinalizer is the one of all of Flux's controllers.
const fluxFinalizer = "finalizers.fluxcd.io"

// FluxObject is one object of a kind of Flux's: a Kustomization, a HelmRelease and so on. Without Flux's
// resource types there are none.
type FluxObject struct {
	Kind, Namespace, Name string
	// AppliedBy is namespace/name of the Kustomization that applied it; empty when somebody else did.
	AppliedBy string
	// Derived says that a controller made it for another object, such as the HelmChart of a HelmRelease.
	Derived bool
	Spec    map[string]any // as it is in the cluster
}

// String is kind namespace/name.
func (o FluxObject) String() string { return fmt.Sprintf("%s %s/%s", o.Kind, o.Namespace, o.Name) }

// FluxResources are what goes with Flux's resource types.
type FluxResources struct {
	Definitions int // the number of Flux's CRDs
	Objects     []FluxObject
}

// FluxResources lists all objects of Flux's kinds, in all namespaces, sorted. With kinds it lists those of
// these kinds only, and reads no others.
func (c *Cluster) FluxResources(ctx context.Context, kinds ...string) (FluxResources, error) {
	definitions, err := c.fluxDefinitions(ctx)
	if err != nil {
		return FluxResources{}, err
	}
	count := len(definitions)
	if len(kinds) > 0 {
		definitions = slices.DeleteFunc(definitions, func(d definition) bool {
			return !slices.Contains(kinds, d.kind.name)
		})
	}
	lists := make([][]FluxObject, len(definitions))
	reads := make([]func() error, len(definitions))
	for i, d := range definitions {
		reads[i] = func() error {
			items, err := c.list(ctx, d.kind, "")
			for _, item := range items {
				spec, _, _ := unstructured.NestedMap(item.Object, "spec")
				lists[i] = append(lists[i], FluxObject{
					Spec: spec,
					Kind: item.GetKind(), Namespace: item.GetNamespace(), Name: item.GetName(),
					AppliedBy: appliedBy(&item), Derived: len(item.GetOwnerReferences()) > 0 ||
						item.GetLabels()[helmReleaseLabel] != "",
				})
			}
			return err
		}
	}
	if err := together(reads...); err != nil {
		return FluxResources{}, err
	}
	objects := slices.Concat(lists...)
	slices.SortFunc(objects, func(a, b FluxObject) int { return strings.Compare(a.String(), b.String()) })
	return FluxResources{Definitions: count, Objects: objects}, nil
}

// definition is one of Flux's resource types.
type definition struct {
	name string // of the CRD
	kind kind
}

// fluxDefinitions lists Flux's CRDs. Those that tell whose installation it is, the GitRepository's and the
// Kustomization's, come last: what is removed in this order can still be recognised after a crash.
func (c *Cluster) fluxDefinitions(ctx context.Context) ([]definition, error) {
	items, err := c.list(ctx, crdKind(), "", client.MatchingLabels{fluxmanifests.PartOfLabel: "flux"})
	if err != nil {
		return nil, err
	}
	var list []definition
	for _, item := range items {
		if d, ok := definitionOf(&item); ok {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b definition) int {
		switch {
		case a.telling() && !b.telling():
			return 1
		case b.telling() && !a.telling():
			return -1
		}
		return strings.Compare(a.name, b.name)
	})
	return list, nil
}

// definitionOf reads a CRD, if it is one of Flux's.
func definitionOf(crd *unstructured.Unstructured) (definition, bool) {
	group := text(crd, "spec", "group")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	version := ""
	for _, v := range versions {
		fields, _ := v.(map[string]any)
		// The stored version is always served, and one conversion is spared.
		if stored, _ := fields["storage"].(bool); stored {
			version, _ = fields["name"].(string)
		}
	}
	return definition{crd.GetName(), kind{group, version, text(crd, "spec", "names", "kind")}},
		strings.HasSuffix(group, ".toolkit.fluxcd.io") && version != ""
}

// telling says whether the kind's objects tell whose installation Flux is.
func (d definition) telling() bool {
	return d.kind.name == gitRepositoryKind().name || d.kind.name == kustomizationKind().name
}

// Removal is what Uninstall did.
type Removal struct {
	// Removed are the objects that it deleted, by kind and name, in order.
	Removed []string
	// NamespaceKept says why the namespace stays: what else is in it. Empty when it went, or was not there.
	NamespaceKept string
}

// Uninstall removes Flux from the cluster and leaves alone what Flux has applied: it takes Flux's finalizers
// off the objects of Flux's kinds, and Flux's marks off EKS Anywhere's objects, deletes the controllers with
// all that belongs to them, then the resource types and their objects with them, the source's Secret, and the
// namespace if nothing else is in it.
//
// Flux has to be stopped (see [Cluster.StopFlux]); controllers that run make it fail before it has done
// anything: one of them would see a Kustomization go and delete all it had applied. It may be repeated after
// any failure. progress may be nil.
func (c *Cluster) Uninstall(ctx context.Context, namespace string, progress func(Progress)) (Removal, error) {
	u := &uninstaller{cluster: c, namespace: namespace, progress: progress}
	err := u.run(ctx)
	return u.removal, err
}

type uninstaller struct {
	cluster   *Cluster
	namespace string
	progress  func(Progress)
	removal   Removal
}

func (u *uninstaller) run(ctx context.Context) error {
	c := u.cluster
	deployments, err := c.list(ctx, deploymentKind(), u.namespace,
		client.MatchingLabels{fluxmanifests.PartOfLabel: "flux"})
	if err != nil {
		return err
	}
	pods, err := c.list(ctx, podKind(), u.namespace)
	if err != nil {
		return err
	}
	if problem := stillRunning(deployments, pods); problem != nil {
		return problem
	}
	definitions, err := c.fluxDefinitions(ctx)
	if err != nil {
		return err
	}
	if err := u.releaseApplied(ctx); err != nil {
		return err
	}
	report(u.progress, "taking Flux's finalizers off its objects")
	for _, d := range definitions {
		if err := u.releaseFinalizers(ctx, d.kind); err != nil {
			return err
		}
	}
	report(u.progress, "deleting the controllers")
	for _, k := range installedKinds() {
		if err := u.removeLabelled(ctx, k); err != nil {
			return err
		}
	}
	// The two kinds that tell whose installation it is go last.
	telling := slices.IndexFunc(definitions, definition.telling)
	if telling < 0 {
		telling = len(definitions)
	}
	for _, some := range [][]definition{definitions[:telling], definitions[telling:]} {
		if err := u.removeDefinitions(ctx, some); err != nil {
			return err
		}
	}
	if err := u.remove(ctx, secretKind(), u.namespace, fluxmanifests.SourceSecretName); err != nil {
		return err
	}
	return u.removeNamespace(ctx)
}

// installedKinds are what Flux's installation consists of apart from CRDs and the namespace, in the order in
// which they go.
func installedKinds() []kind {
	return []kind{
		deploymentKind(),
		{"", "v1", "Service"},
		{"networking.k8s.io", "v1", "NetworkPolicy"},
		{"", "v1", "ResourceQuota"},
		{"", "v1", "ServiceAccount"},
		{"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"},
		{"rbac.authorization.k8s.io", "v1", "ClusterRole"},
	}
}

// clusterScoped says whether objects of the kind have no namespace.
func clusterScoped(k kind) bool {
	mapping, err := knownKinds().RESTMapping(k.gvk().GroupKind(), k.version)
	return err == nil && mapping.Scope.Name() == meta.RESTScopeNameRoot
}

// removeLabelled deletes the objects of a kind that carry the marks of Flux's installation in this namespace.
func (u *uninstaller) removeLabelled(ctx context.Context, k kind) error {
	labels := client.MatchingLabels{fluxmanifests.PartOfLabel: "flux"}
	namespace := u.namespace
	if clusterScoped(k) {
		// They exist once in the cluster, and say by a label whose they are.
		labels[instanceLabel], namespace = u.namespace, ""
	}
	items, err := u.cluster.list(ctx, k, namespace, labels)
	if err != nil {
		return err
	}
	for _, item := range items {
		if byHelm(&item) {
			continue
		}
		if err := u.remove(ctx, k, item.GetNamespace(), item.GetName()); err != nil {
			return err
		}
	}
	return nil
}

func (u *uninstaller) remove(ctx context.Context, k kind, namespace, name string) error {
	changed, err := u.cluster.removeObject(ctx, k, namespace, name)
	if changed {
		u.removal.Removed = append(u.removal.Removed, k.name+" "+name)
	}
	return err
}

// releaseApplied takes Flux's marks off the objects of EKS Anywhere that the Kustomization has applied. They
// say who manages an object, and nobody does any more.
func (u *uninstaller) releaseApplied(ctx context.Context) error {
	c := u.cluster
	ks, err := c.get(ctx, kustomizationKind(), u.namespace, u.namespace)
	if err != nil || ks == nil {
		return err
	}
	patch := client.RawPatch(types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"labels":{%q:null,%q:null}}}`, ownerNameLabel, ownerNamespaceLabel))
	for _, id := range inventory(ks) {
		// No part of it holds an underscore (RFC 1123 names).
		parts := strings.Split(id, "_")
		if len(parts) != 4 || parts[2] != eksaGroup {
			continue
		}
		k := kind{eksaGroup, "v1alpha1", parts[3]}
		err := c.retry(ctx, func() error {
			object, err := c.fetch(ctx, k, parts[0], parts[1])
			if err != nil || object == nil || appliedBy(object) != u.namespace+"/"+u.namespace {
				return err
			}
			return client.IgnoreNotFound(c.client.Patch(ctx, object, patch, client.FieldOwner(fieldManager)))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// releaseFinalizers takes Flux's finalizer off the objects of one of its kinds, on which no controller works
// any more. Finalizers of others stay.
func (u *uninstaller) releaseFinalizers(ctx context.Context, k kind) error {
	c := u.cluster
	items, err := c.list(ctx, k, "")
	if err != nil {
		return err
	}
	for _, item := range items {
		err := c.retry(ctx, func() error {
			object, err := c.fetch(ctx, k, item.GetNamespace(), item.GetName())
			if err != nil || object == nil || !slices.Contains(object.GetFinalizers(), fluxFinalizer) {
				return err
			}
			others := slices.DeleteFunc(object.GetFinalizers(), func(f string) bool {
				return f == fluxFinalizer
			})
			patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
				"resourceVersion": object.GetResourceVersion(), "finalizers": others}})
			if err != nil {
				return err
			}
			return client.IgnoreNotFound(c.client.Patch(ctx, object,
				client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldManager)))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// definitionGone bounds the wait for CRDs. Their objects go with them, which takes Kubernetes one request
// each.
const definitionGone = time.Minute

// removeDefinitions deletes CRDs, and their objects with them, and waits until they are gone. Objects that
// somebody else's finalizer holds up are named.
func (u *uninstaller) removeDefinitions(ctx context.Context, definitions []definition) error {
	for _, d := range definitions {
		if err := u.remove(ctx, crdKind(), "", d.name); err != nil {
			return err
		}
	}
	limited, cancel := context.WithTimeout(ctx, definitionGone)
	defer cancel()
	for _, d := range definitions {
		report(u.progress, "waiting until CRD %s is gone", d.name)
		if err := u.waitDefinitionGone(limited, d); err != nil {
			return err
		}
	}
	return nil
}

func (u *uninstaller) waitDefinitionGone(ctx context.Context, d definition) error {
	s := &story{progress: u.progress}
	c := u.cluster
	err := c.until(ctx, []watched{{crdKind(), "", d.name}}, func() (bool, error) {
		crd, err := c.fetch(ctx, crdKind(), "", d.name)
		if err != nil || crd == nil {
			return crd == nil, err
		}
		items, err := c.fetchAll(ctx, d.kind, "")
		if err != nil && !apierrors.IsMethodNotSupported(err) {
			return false, err
		}
		s.notYet(heldUp(d, items))
		return false, nil
	})
	return s.explain(ctx, err)
}

// heldUp says why a CRD that is deleted is still there.
func heldUp(d definition, items []unstructured.Unstructured) *NotReadyError {
	problem := &NotReadyError{
		Object: "CustomResourceDefinition " + d.name, State: "is not gone",
		Message: "Kubernetes is deleting its objects",
		Next:    hint.Command("kubectl get crd %s -o yaml", d.name),
	}
	for _, item := range items {
		if finalizers := item.GetFinalizers(); len(finalizers) > 0 {
			problem.Message = fmt.Sprintf("its %s is blocked by finalizer %s",
				objectName(&item), strings.Join(finalizers, ", "))
			problem.Next = hint.Command("kubectl -n %s get %s %s -o yaml",
				item.GetNamespace(), resourceOf(&item), item.GetName())
			break
		}
	}
	return problem
}

// removeNamespace deletes the namespace when Flux's installation made it and nothing else is in it.
func (u *uninstaller) removeNamespace(ctx context.Context) error {
	c := u.cluster
	namespace, err := c.get(ctx, namespaceKind(), "", u.namespace)
	if err != nil || namespace == nil || namespace.GetDeletionTimestamp() != nil {
		return err
	}
	if namespace.GetLabels()[fluxmanifests.PartOfLabel] != "flux" {
		u.removal.NamespaceKept = "it does not come from Flux's installation"
		return nil
	}
	kept, err := c.otherContents(ctx, u.namespace)
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		more := ""
		if n := len(kept) - 3; n > 0 {
			kept, more = kept[:3], fmt.Sprintf(" and %d more", n)
		}
		u.removal.NamespaceKept = "it holds " + strings.Join(kept, ", ") + more
		return nil
	}
	return u.remove(ctx, namespaceKind(), "", u.namespace)
}

// keptKinds are what people put into a namespace. Their presence keeps it; what Kubernetes itself puts there
// does not.
func keptKinds() []kind {
	return []kind{
		secretKind(), deploymentKind(), clusterKind(), fluxConfigKind(), gitOpsConfigKind(),
		{"", "v1", "ConfigMap"}, {"", "v1", "Service"}, {"", "v1", "ServiceAccount"}, {"", "v1",
			"PersistentVolumeClaim"},
		{"apps", "v1", "StatefulSet"}, {"apps", "v1", "DaemonSet"}, {"batch", "v1", "Job"}, {"batch", "v1",
			"CronJob"},
		{"rbac.authorization.k8s.io", "v1", "Role"}, {"rbac.authorization.k8s.io", "v1", "RoleBinding"},
		{"networking.k8s.io", "v1", "Ingress"}, {"networking.k8s.io", "v1", "NetworkPolicy"}, podKind(),
	}
}

// otherContents names what is in a namespace besides what goes anyway.
func (c *Cluster) otherContents(ctx context.Context, namespace string) ([]string, error) {
	kinds := keptKinds()
	lists := make([][]string, len(kinds))
	reads := make([]func() error, len(kinds))
	for i, k := range kinds {
		reads[i] = func() error {
			items, err := c.list(ctx, k, namespace)
			for _, item := range items {
				if !goesAlong(&item) {
					lists[i] = append(lists[i], k.name+" "+item.GetName())
				}
			}
			return err
		}
	}
	err := together(reads...)
	return slices.Concat(lists...), err
}

// goesAlong says whether an object is nobody's loss: on its way already, part of another one, or made by
// Kubernetes or Flux.
func goesAlong(u *unstructured.Unstructured) bool {
	switch {
	case u.GetDeletionTimestamp() != nil, len(u.GetOwnerReferences()) > 0,
		u.GetLabels()[fluxmanifests.PartOfLabel] == "flux":
		return true
	case u.GetKind() == "ConfigMap" && u.GetName() == "kube-root-ca.crt",
		u.GetKind() == "ServiceAccount" && u.GetName() == "default":
		return true
	case u.GetKind() == "Secret" && u.Object["type"] == "kubernetes.io/service-account-token":
		return true
	}
	return false
}
