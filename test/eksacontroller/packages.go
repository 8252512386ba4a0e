package eksacontroller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const packagesGroup = "packages.eks.amazonaws.com"

// PackagesAPIVersion of the kinds of curated packages.
const PackagesAPIVersion = packagesGroup + "/v1alpha1"

// PackageKinds are the kinds of curated packages that CRDs defines. Nobody
// acts on their objects here.
func PackageKinds() []string {
	return []string{"Package", "PackageBundle", "PackageBundleController"}
}

// PackagesNamespace is where the packages of a workload cluster are managed.
// As EKS Anywhere does, the controller makes it with the cluster and removes
// it with the cluster, with all that is in it.
func PackagesNamespace(cluster string) string { return "eksa-packages-" + cluster }

func (c *Controller) makePackagesNamespace(ctx context.Context, cluster *unstructured.Unstructured) error {
	if selfManaged(cluster) {
		return nil
	}
	namespace := Object("v1", "Namespace", "", PackagesNamespace(cluster.GetName()))
	err := c.client.Create(ctx, namespace, client.FieldOwner(fieldOwner))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the namespace of the packages of %s: %w", cluster.GetName(), err)
	}
	return nil
}

func (c *Controller) removePackagesNamespace(ctx context.Context, cluster *unstructured.Unstructured) error {
	if selfManaged(cluster) {
		return nil
	}
	err := c.client.Delete(ctx, Object("v1", "Namespace", "", PackagesNamespace(cluster.GetName())))
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("removing the namespace of the packages of %s: %w", cluster.GetName(), err)
	}
	return nil
}
