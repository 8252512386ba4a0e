package eksacontroller

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// schemas holds, for the kinds whose fields matter to GitOps, the OpenAPI
// schema of the spec. The spec of any other kind takes everything.
//
//go:embed schemas
var schemas embed.FS

const group = "anywhere.eks.amazonaws.com"

// Kinds are the kinds of EKS Anywhere that CRDs defines.
func Kinds() []string {
	return []string{
		"Cluster",
		"VSphereDatacenterConfig", "VSphereMachineConfig",
		"CloudStackDatacenterConfig", "CloudStackMachineConfig",
		"NutanixDatacenterConfig", "NutanixMachineConfig",
		"SnowDatacenterConfig", "SnowMachineConfig", "SnowIPPool",
		"TinkerbellDatacenterConfig", "TinkerbellMachineConfig", "TinkerbellTemplateConfig",
		"DockerDatacenterConfig",
		"FluxConfig", "GitOpsConfig",
		"OIDCConfig", "AWSIamConfig",
		"Bundles", "EKSARelease",
	}
}

// plural is the name of a kind's resource.
func plural(kind string) string {
	name := strings.ToLower(kind)
	if strings.HasSuffix(name, "s") {
		return name
	}
	return name + "s"
}

// resourceKind is a kind and the group that it belongs to.
type resourceKind struct{ group, kind string }

// definedKinds are the kinds that CRDs defines.
func definedKinds() []resourceKind {
	var kinds []resourceKind
	for _, kind := range Kinds() {
		kinds = append(kinds, resourceKind{group, kind})
	}
	for _, kind := range PackageKinds() {
		kinds = append(kinds, resourceKind{packagesGroup, kind})
	}
	return kinds
}

// CRDs is the YAML of the definitions of all Kinds and PackageKinds, all with
// a status subresource.
func CRDs() ([]byte, error) {
	var documents [][]byte
	for _, defined := range definedKinds() {
		definition, err := definition(defined.group, defined.kind)
		if err != nil {
			return nil, fmt.Errorf("defining %s: %w", defined.kind, err)
		}
		document, err := yaml.Marshal(definition)
		if err != nil {
			return nil, fmt.Errorf("defining %s: %w", defined.kind, err)
		}
		documents = append(documents, document)
	}
	return bytes.Join(documents, []byte("---\n")), nil
}

func definition(group, kind string) (map[string]any, error) {
	var spec any = map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	content, err := schemas.ReadFile("schemas/" + strings.ToLower(kind) + ".yaml")
	if err == nil {
		spec = nil
		if err := yaml.UnmarshalStrict(content, &spec); err != nil {
			return nil, err
		}
	}
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]any{"name": plural(kind) + "." + group},
		"spec": map[string]any{
			"group": group,
			"scope": "Namespaced",
			"names": map[string]any{
				"kind": kind, "listKind": kind + "List",
				"singular": strings.ToLower(kind), "plural": plural(kind),
			},
			"versions": []any{map[string]any{
				"name": "v1alpha1", "served": true, "storage": true,
				"subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object",
					"properties": map[string]any{
						"apiVersion": map[string]any{"type": "string"},
						"kind":       map[string]any{"type": "string"},
						"metadata":   map[string]any{"type": "object"},
						"spec":       spec,
						"status": map[string]any{"type": "object",
							"x-kubernetes-preserve-unknown-fields": true},
					},
				}},
			}},
		},
	}, nil
}

// WaitEstablished waits until the API server serves all that CRDs defines.
func WaitEstablished(ctx context.Context, c client.Client) error {
	for _, defined := range definedKinds() {
		name := plural(defined.kind) + "." + defined.group
		definition := Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
		for {
			err := c.Get(ctx, client.ObjectKeyFromObject(definition), definition)
			if err == nil && ConditionTrue(definition, "Established") {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting for %s to be established: %w", name, context.Cause(ctx))
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}
