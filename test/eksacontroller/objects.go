package eksacontroller

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// APIVersion of all kinds of EKS Anywhere.
const APIVersion = "anywhere.eks.amazonaws.com/v1alpha1"

// SystemNamespace holds kubeconfigs, Bundles and EKSAReleases.
const SystemNamespace = "eksa-system"

// Finalizer of a Cluster.
const Finalizer = "clusters.anywhere.eks.amazonaws.com/finalizer"

// Annotations that controller and webhook heed.
const (
	Paused                = "anywhere.eks.amazonaws.com/paused"
	ManagedByCLI          = "anywhere.eks.amazonaws.com/managed-by-cli"
	ManagedBy             = "anywhere.eks.amazonaws.com/managed-by"
	AllowDeleteWhenPaused = "anywhere.eks.amazonaws.com/allow-delete-when-paused"
	SkipVersionSkewCheck  = "anywhere.eks.amazonaws.com/skip-eksa-version-skew-check"

	controlPlaneAnnotation = "anywhere.eks.amazonaws.com/control-plane"
	etcdAnnotation         = "anywhere.eks.amazonaws.com/etcd"
)

// Object is an object with nothing but its identity; namespace may be empty.
func Object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind))
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// Decode reads the documents of a YAML stream; empty ones are left out.
func Decode(stream []byte) ([]*unstructured.Unstructured, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(stream)))
	var objects []*unstructured.Unstructured
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("splitting YAML: %w", err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return nil, fmt.Errorf("reading YAML: %w", err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if object.GetKind() == "" || object.GetAPIVersion() == "" {
			return nil, fmt.Errorf("reading YAML: document %d has no kind or no apiVersion", len(objects)+1)
		}
		objects = append(objects, object)
	}
}

// ConditionTrue reports whether status.conditions has a condition of a type
// with the status "True".
func ConditionTrue(object *unstructured.Unstructured, kind string) bool {
	return conditionOf(object, kind)["status"] == "True"
}

// Ready reports whether the controller is done with the present generation of
// a Cluster, and all is well.
func Ready(cluster *unstructured.Unstructured) bool {
	observed, _, _ := unstructured.NestedInt64(cluster.Object, "status", "observedGeneration")
	return observed == cluster.GetGeneration() && ConditionTrue(cluster, "Ready")
}

// ReleaseName is the name of the EKSARelease of a version.
func ReleaseName(version string) string {
	return "eksa-" + strings.NewReplacer(".", "-", "+", "-plus-").Replace(version)
}

// conditionOf returns a condition, nil when there is none of the type.
func conditionOf(object *unstructured.Unstructured, kind string) map[string]any {
	for _, condition := range nested[[]any](object, "status", "conditions") {
		if condition, ok := condition.(map[string]any); ok && condition["type"] == kind {
			return condition
		}
	}
	return nil
}

// nested is a field of an object, the zero value when it is absent or of
// another type.
func nested[T any](object *unstructured.Unstructured, fields ...string) T {
	var zero T
	if object == nil {
		return zero
	}
	value, found, err := unstructured.NestedFieldNoCopy(object.Object, fields...)
	if err != nil || !found {
		return zero
	}
	typed, ok := value.(T)
	if !ok {
		return zero
	}
	return typed
}

// selfManaged reports whether a Cluster manages itself.
func selfManaged(cluster *unstructured.Unstructured) bool {
	manager := nested[string](cluster, "spec", "managementCluster", "name")
	return manager == "" || manager == cluster.GetName()
}

func annotated(object *unstructured.Unstructured, annotation string) bool {
	return object.GetAnnotations()[annotation] == "true"
}
