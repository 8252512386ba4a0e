package layout

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
)

// What must not be deleted by a mistake in Git says so to Flux: the management cluster's own objects, and
// what Flux cannot do without. With the annotation they stay when they are taken out of the repository, and
// when the Kustomization that applies them is deleted. Only kustomizations say it: Flux's own files stay as
// `flux bootstrap` writes them, and cluster files as their users do.
//
// Kustomizations beside Flux's own files also get the deletionPolicy Orphan. One that somebody has renamed
// there is another one, which works beside the one that was; when the mistake is taken back it goes, and must
// not take along what both have applied.
const (
	KeepAnnotation = "kustomize.toolkit.fluxcd.io/prune"
	KeepValue      = "disabled"
)

// ProtectionMark is what the objects carry that Flux does not delete, as a kustomization says it.
const ProtectionMark = KeepAnnotation + ": " + KeepValue

const orphanPolicy = "deletionPolicy: Orphan"

// IsProtection says whether a patch is one of those that protect Flux, which leave what Flux does as it is.
func IsProtection(patch []byte) bool {
	return bytes.Contains(patch, []byte(ProtectionMark)) || bytes.Contains(patch, []byte(orphanPolicy))
}

// ManagementKustomization is the kustomization of the management cluster's directory.
func ManagementKustomization() []byte {
	return append(ClusterKustomization(), keepAll...)
}

// keepAll has kustomize mark everything that a kustomization lists.
const keepAll = "commonAnnotations: # no mistake in Git shall delete the management cluster\n  " +
	KeepAnnotation + ": " + KeepValue + "\n"

// systemKept are the objects of Flux's directory, by name, without which Flux does not work or not fetch from
// the repository, and CRDs with which every Kustomization would go. The controllers that one can do without
// are not among them: an upgrade may take them away.
func systemKept(namespace string) string {
	return namespace + "|(crd-controller|cluster-reconciler)-" + namespace +
		`|(source|kustomize)-controller|.*\.(source|kustomize)\.toolkit\.fluxcd\.io`
}

// keepPatches are the entries in the patches of Flux's kustomization that protect them. What a patch says to
// be about does not count: target does.
func keepPatches(namespace string) string {
	return `- patch: |- # no mistake in Git shall delete Flux
    apiVersion: kustomize.toolkit.fluxcd.io/v1
    kind: Kustomization
    metadata:
      name: ` + namespace + `
      annotations:
        ` + KeepAnnotation + `: ` + KeepValue + `
  target:
    name: ` + systemKept(namespace) + `
- patch: |-
    apiVersion: kustomize.toolkit.fluxcd.io/v1
    kind: Kustomization
    metadata:
      name: ` + namespace + `
    spec:
      ` + orphanPolicy + `
  target:
    group: kustomize.toolkit.fluxcd.io
    kind: Kustomization
`
}

// ProtectSystem adds to the kustomization of Flux's directory what keeps Flux from deleting itself after a
// mistake in Git. One that has that in any form, and any that marks objects so, stays as it is, and so does
// everything else in the file. The error says that the file is no kustomization.
func ProtectSystem(kustomization []byte, namespace string) ([]byte, error) {
	return editKustomization(kustomization, namespace, func(e *imageEdit) error {
		patches := yamlnode.At(e.root, "patches")
		if patches != nil && patches.Kind != yaml.SequenceNode && !yamlnode.IsNull(patches) {
			return fmt.Errorf("reading the kustomization of Flux's directory: patches is not a list")
		}
		if bytes.Contains(kustomization, []byte(KeepAnnotation)) {
			return nil
		}
		e.inPlace = patches == nil || patches.Style&yaml.FlowStyle == 0
		return e.appendPatches(patches, keepPatches(namespace))
	})
}

// ProtectCluster adds to the kustomization of a management cluster's directory what keeps Flux from deleting
// the cluster after a mistake in Git. One that has that in any form stays as it is, and so does everything
// else in the file. The error says that the file is no kustomization.
func ProtectCluster(kustomization []byte) ([]byte, error) {
	if bytes.Contains(kustomization, []byte(KeepAnnotation)) {
		return kustomization, nil
	}
	var document yaml.Node
	if err := yaml.Unmarshal(kustomization, &document); err != nil {
		return nil, fmt.Errorf("reading the kustomization of the cluster's directory: %w", err)
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("reading the kustomization of the cluster's directory: it is not an object")
	}
	root := document.Content[0]
	scalar := func(value string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	}
	there := yamlnode.At(root, "commonAnnotations")
	if there == nil || yamlnode.IsNull(there) {
		root.Content = slices.DeleteFunc(root.Content, func(node *yaml.Node) bool {
			return node == there || there != nil && node.Value == "commonAnnotations"
		})
		added := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map",
			Content: []*yaml.Node{scalar(KeepAnnotation), scalar(KeepValue)}}
		root.Content = append(root.Content, scalar("commonAnnotations"), added)
		text := string(kustomization)
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if content := []byte(text + keepAll); sameYAML(content, root) {
			return content, nil
		}
	} else {
		there.Content = append(there.Content, scalar(KeepAnnotation), scalar(KeepValue))
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("writing the kustomization of the cluster's directory: %w", err)
	}
	return b.Bytes(), nil
}
