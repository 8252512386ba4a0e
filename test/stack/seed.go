//go:build unix

package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// EKSAVersion is what a management cluster gets as spec.eksaVersion when its
// file has none.
const EKSAVersion = "v0.26.0"

// SeedManagementCluster puts a management cluster into the stack as `eksctl
// anywhere create cluster` leaves one that knows nothing of GitOps: its objects
// applied by eks-a-cli, spec.eksaVersion set, an EKSARelease and Bundles for
// it, no gitOpsRef and no FluxConfig or GitOpsConfig (they are left out when
// the file has them), the annotation managed-by-cli gone again, and everything
// Ready. It returns the context's error when that does not come to pass.
func (s *Stack) SeedManagementCluster(ctx context.Context, yaml []byte) error {
	objects, err := eksacontroller.Decode(yaml)
	if err != nil {
		return err
	}
	var cluster *unstructured.Unstructured
	for _, object := range objects {
		switch object.GetKind() {
		case "Cluster":
			if cluster != nil {
				return errors.New("seeding a management cluster: the file has more than one")
			}
			cluster = object
		case "FluxConfig", "GitOpsConfig":
			continue
		}
	}
	if cluster == nil {
		return errors.New("seeding a management cluster: the file has none")
	}
	prepareAsCLI(cluster)
	release := releaseObjects(cluster)
	for _, object := range append(release, objects...) {
		if kind := object.GetKind(); kind == "FluxConfig" || kind == "GitOpsConfig" {
			continue
		}
		if err := s.apply(ctx, object, "eks-a-cli"); err != nil {
			return err
		}
	}
	if err := s.WaitFor(ctx, cluster, "Ready", func() bool { return eksacontroller.Ready(cluster) }); err !=
		nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}}}`, eksacontroller.ManagedByCLI)
	if err := s.client.Patch(ctx, cluster, client.RawPatch(types.MergePatchType, patch),
		client.FieldOwner("eks-a-cli")); err != nil {
		return fmt.Errorf("removing the annotation of the CLI: %w", err)
	}
	return nil
}

// prepareAsCLI changes a cluster of a file into what the CLI applies.
func prepareAsCLI(cluster *unstructured.Unstructured) {
	annotations := cluster.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[eksacontroller.ManagedByCLI] = "true"
	cluster.SetAnnotations(annotations)
	unstructured.RemoveNestedField(cluster.Object, "spec", "gitOpsRef")
	unstructured.RemoveNestedField(cluster.Object, "status")
	if version, _, _ := unstructured.NestedString(cluster.Object, "spec", "eksaVersion"); version == "" {
		_ = unstructured.SetNestedField(cluster.Object, EKSAVersion, "spec", "eksaVersion")
	}
}

// releaseObjects are the EKSARelease and the Bundles of a cluster's version.
func releaseObjects(cluster *unstructured.Unstructured) []*unstructured.Unstructured {
	version, _, _ := unstructured.NestedString(cluster.Object, "spec", "eksaVersion")
	kubernetes, _, _ := unstructured.NestedString(cluster.Object, "spec", "kubernetesVersion")
	bundles := eksacontroller.Object(eksacontroller.APIVersion, "Bundles", "eksa-system", "bundles-1")
	bundles.Object["spec"] = map[string]any{
		"number":        int64(1),
		"cliMinVersion": version,
		"cliMaxVersion": version,
		"versionsBundles": []any{map[string]any{
			"kubeVersion": strings.TrimPrefix(kubernetes, "v"),
			"flux":        map[string]any{"version": "v2.9.4"},
		}},
	}
	release := eksacontroller.Object(eksacontroller.APIVersion, "EKSARelease", "eksa-system",
		eksacontroller.ReleaseName(version))
	release.Object["spec"] = map[string]any{
		"version": version,
		"bundlesRef": map[string]any{"apiVersion": eksacontroller.APIVersion, "name": "bundles-1",
			"namespace": "eksa-system"},
	}
	return []*unstructured.Unstructured{bundles, release}
}
