package fluxinstall

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// How Flux marks what a Kustomization has applied, and how it is told to leave an object alone (its
// documentation, Kustomization, "Garbage collection" and "Controlling the apply behavior").
const (
	ownerNameLabel      = kustomizeGroup + "/name"
	ownerNamespaceLabel = kustomizeGroup + "/namespace"
	pruneMark           = kustomizeGroup + "/prune"
	reconcileMark       = kustomizeGroup + "/reconcile"
	disabled            = "disabled"
)

// allowDeleteWhenPaused has EKS Anywhere delete a cluster that it otherwise leaves alone.
const allowDeleteWhenPaused = eksaGroup + "/allow-delete-when-paused"

// appliedBy is namespace/name of the Kustomization that applied the object; empty when none did.
func appliedBy(u *unstructured.Unstructured) string {
	labels := u.GetLabels()
	if labels[ownerNameLabel] == "" {
		return ""
	}
	return labels[ownerNamespaceLabel] + "/" + labels[ownerNameLabel]
}

// keptByFlux says whether Flux leaves the object when it is no longer in Git. Both marks count as labels and
// as annotations, and the one that stops applying stops deleting too.
func keptByFlux(u *unstructured.Unstructured) bool {
	return fluxbuild.Kept(u.Object)
}

// inventory is what a Kustomization has applied, as it notes it.
func inventory(u *unstructured.Unstructured) []string {
	entries, _, _ := unstructured.NestedSlice(u.Object, "status", "inventory", "entries")
	ids := make([]string, 0, len(entries))
	for _, entry := range entries {
		fields, _ := entry.(map[string]any)
		if id, ok := fields["id"].(string); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// AppliedCluster says whether the Kustomization has applied that Cluster object, so that it keeps it there,
// and deletes it once it is no longer in Git.
func (s *KustomizationState) AppliedCluster(namespace, name string) bool {
	return slices.Contains(s.Inventory,
		fluxbuild.Name{Group: eksaGroup, Kind: clusterKind().name, Namespace: namespace, Name: name}.ID())
}

// AppliedClusters are the Cluster objects that the Kustomization has applied.
func (s *KustomizationState) AppliedClusters() []ClusterName {
	var clusters []ClusterName
	for _, id := range s.Inventory {
		if of, ok := fluxbuild.ParseID(id); ok && of.Group == eksaGroup && of.Kind == clusterKind().name {
			clusters = append(clusters, ClusterName{Namespace: of.Namespace, Name: of.Name})
		}
	}
	return clusters
}

// InventoryOf is how a Kustomization would note the objects of some manifests in its inventory:
// namespace_name_group_kind. What cannot be read is left out.
func InventoryOf(manifests []byte) []string {
	var ids []string
	// what follows a document that cannot be read is left out, too
	_ = fluxmanifests.EachDocument(manifests, func(document []byte) error {
		var object struct {
			APIVersion, Kind string
			Metadata         struct{ Name, Namespace string }
		}
		if err := yaml.Unmarshal(document, &object); err != nil || object.Kind == "" {
			return err
		}
		group, _, grouped := strings.Cut(object.APIVersion, "/")
		if !grouped {
			group = ""
		}
		ids = append(ids, fluxbuild.Name{Group: group, Kind: object.Kind,
			Namespace: object.Metadata.Namespace, Name: object.Metadata.Name}.ID())
		return nil
	})
	return ids
}
