package eksacontroller

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// failure is what stands in status.failureReason and status.failureMessage.
type failure struct{ reason, message string }

// Reasons of a failure that the controller finds by itself.
const (
	MissingDependentObjects     = "MissingDependentObjects"
	ManagementClusterRefInvalid = "ManagementClusterRefInvalid"
	EksaVersionInvalid          = "EksaVersionInvalid"
)

// reference is a Cluster's {kind, name}.
type reference struct{ kind, name string }

// examine makes the cluster the owner of what it refers to, and says what
// makes it impossible, if anything does.
func (c *Controller) examine(ctx context.Context, cluster *unstructured.Unstructured) (*failure, error) {
	for _, ref := range references(cluster) {
		child, err := c.get(ctx, ref.kind, cluster.GetNamespace(), ref.name)
		if err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", ref.kind, ref.name, err)
		}
		if child == nil {
			missing := apierrors.NewNotFound(schema.GroupResource{Group: group, Resource: plural(ref.kind)},
				ref.name)
			return &failure{MissingDependentObjects,
				"Dependent cluster objects don't exist: " + missing.Error()}, nil
		}
		if err := c.own(ctx, cluster, child); err != nil {
			return nil, err
		}
	}
	return c.examineVersions(ctx, cluster)
}

// childKinds are the kinds a Cluster may refer to.
func childKinds() []string {
	var kinds []string
	for _, kind := range Kinds() {
		switch kind {
		case "Cluster", "Bundles", "EKSARelease", "SnowIPPool", "TinkerbellTemplateConfig":
		default:
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// references are the objects that must exist in the cluster's namespace, each
// once.
func references(cluster *unstructured.Unstructured) []reference {
	var refs []reference
	add := func(value any) {
		ref, ok := value.(map[string]any)
		if !ok {
			return
		}
		kind, _ := ref["kind"].(string)
		name, _ := ref["name"].(string)
		r := reference{kind, name}
		// The API server would not know what a made-up kind is.
		if name != "" && slices.Contains(childKinds(), kind) && !slices.Contains(refs, r) {
			refs = append(refs, r)
		}
	}
	add(nested[any](cluster, "spec", "datacenterRef"))
	add(nested[any](cluster, "spec", "controlPlaneConfiguration", "machineGroupRef"))
	add(nested[any](cluster, "spec", "externalEtcdConfiguration", "machineGroupRef"))
	for _, worker := range nested[[]any](cluster, "spec", "workerNodeGroupConfigurations") {
		if worker, ok := worker.(map[string]any); ok {
			add(worker["machineGroupRef"])
		}
	}
	add(nested[any](cluster, "spec", "gitOpsRef"))
	for _, ref := range nested[[]any](cluster, "spec", "identityProviderRefs") {
		add(ref)
	}
	return refs
}

// own adds the cluster to a child's owners. The garbage collector deletes the
// child when the last of them is gone.
func (c *Controller) own(ctx context.Context, cluster, child *unstructured.Unstructured) error {
	before := child.DeepCopy()
	if err := controllerutil.SetOwnerReference(cluster, child, c.client.Scheme()); err != nil {
		return fmt.Errorf("owning %s %s: %w", child.GetKind(), child.GetName(), err)
	}
	if slices.EqualFunc(before.GetOwnerReferences(), child.GetOwnerReferences(),
		func(a, b metav1.OwnerReference) bool { return a.UID == b.UID && a.Name == b.Name }) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.client.Patch(ctx, child, patch, client.FieldOwner(fieldOwner)); err != nil {
		return fmt.Errorf("owning %s %s: %w", child.GetKind(), child.GetName(), err)
	}
	return nil
}

// examineVersions checks a managed cluster against its management cluster.
func (c *Controller) examineVersions(ctx context.Context,
	cluster *unstructured.Unstructured) (*failure, error) {
	if selfManaged(cluster) {
		return nil, nil
	}
	name := nested[string](cluster, "spec", "managementCluster", "name")
	manager, err := c.managerOf(ctx, cluster)
	if err != nil {
		return nil, err
	}
	if manager == nil {
		return &failure{ManagementClusterRefInvalid,
			fmt.Sprintf("Management cluster %s does not exist", name)}, nil
	}
	if !selfManaged(manager) {
		return &failure{ManagementClusterRefInvalid,
			fmt.Sprintf("%s is not a valid management cluster", name)}, nil
	}
	version := nested[string](cluster, "spec", "eksaVersion")
	if version == "" {
		return nil, nil
	}
	own, ok1 := minor(version)
	its, ok2 := minor(nested[string](manager, "spec", "eksaVersion"))
	if ok1 && ok2 && own > its {
		return &failure{EksaVersionInvalid,
			fmt.Sprintf("eksaVersion %s is above that of management cluster %s", version, name)}, nil
	}
	release, err := c.get(ctx, "EKSARelease", SystemNamespace, ReleaseName(version))
	if err != nil {
		return nil, err
	}
	if release == nil {
		return &failure{EksaVersionInvalid,
			fmt.Sprintf("EKSARelease %s not found", ReleaseName(version))}, nil
	}
	return nil, nil
}
