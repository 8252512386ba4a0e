//go:build unix

package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// holdAnnotation on a pod keeps kwok from making it Ready; its value is the
// reason its containers wait for. See manifests/kwok.yaml.
const holdAnnotation = "stack.eksa-gitops.dev/hold"

// HoldPods keeps the pods of a namespace whose names begin with prefix, and
// that are created from now on, away from Ready. Their containers wait for
// reason, as a kubelet would report it: "ImagePullBackOff",
// "CrashLoopBackOff". release lets them become Ready and ends the hold; it may
// be called again. The namespace need not exist yet.
//
// The mark is put on the pods by the API server (a MutatingAdmissionPolicy),
// so the program under test can neither see nor undo it in its own objects.
func (s *Stack) HoldPods(ctx context.Context,
	namespace, prefix, reason string) (release func(context.Context) error, err error) {
	name := "hold." + fileName(namespace+"."+prefix)
	policy := eksacontroller.Object("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "", name)
	policy.Object["spec"] = map[string]any{
		"failurePolicy":      "Fail",
		"reinvocationPolicy": "Never",
		"matchConstraints": map[string]any{
			"resourceRules": []any{map[string]any{
				"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"},
				"resources": []any{"pods"},
			}},
		},
		"matchConditions": []any{map[string]any{
			"name": "held",
			// The pods of a ReplicaSet have no name yet, and asking request.name
			// for it is an error, which fails their creation.
			"expression": fmt.Sprintf("object.metadata.?name.orValue('') == %q || "+
				"request.namespace == %q && (object.metadata.?name.orValue('').startsWith(%q) || "+
				"object.metadata.?generateName.orValue('').startsWith(%q))", name, namespace, prefix, prefix),
		}},
		"mutations": []any{map[string]any{
			"patchType": "ApplyConfiguration",
			"applyConfiguration": map[string]any{
				"expression": fmt.Sprintf("Object{metadata: Object.metadata{annotations: {%q: %q}}}",
					holdAnnotation, reason),
			},
		}},
	}
	binding := eksacontroller.Object("admissionregistration.k8s.io/v1",
		"MutatingAdmissionPolicyBinding", "", name)
	binding.Object["spec"] = map[string]any{"policyName": name}
	release = func(ctx context.Context) error {
		return errors.Join(
			ignoreGone(s.client.Delete(ctx, binding)),
			ignoreGone(s.client.Delete(ctx, policy)),
			s.waitHold(ctx, name, false),
			s.releasePods(ctx, namespace, prefix),
		)
	}
	for _, object := range []*unstructured.Unstructured{policy, binding} {
		if err := s.apply(ctx, object.DeepCopy(), "stack"); err != nil {
			return nil, err
		}
	}
	return release, s.waitHold(ctx, name, true)
}

// waitHold waits until the API server has taken note of a policy, or of its
// end, which it does some time after the request that made it. The dry run of
// a pod that every hold includes shows it.
func (s *Stack) waitHold(ctx context.Context, name string, want bool) error {
	for {
		probe := eksacontroller.Object("v1", "Pod", "default", name)
		probe.Object["spec"] = map[string]any{"containers": []any{map[string]any{"name": "probe",
			"image": "probe"}}}
		if err := s.client.Create(ctx, probe, client.DryRunAll); err != nil &&
			!apierrors.IsServerTimeout(err) {
			return fmt.Errorf("probing the hold of pods: %w", err)
		}
		if _, held := probe.GetAnnotations()[holdAnnotation]; held == want {
			return nil
		}
		if err := sleep.For(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for the API server to take note of the hold: %w", err)
		}
	}
}

// releasePods takes the mark off the pods that have it.
func (s *Stack) releasePods(ctx context.Context, namespace, prefix string) error {
	pods := &unstructured.UnstructuredList{}
	pods.SetGroupVersionKind(eksacontroller.Object("v1", "Pod", "", "").GroupVersionKind())
	if err := s.client.List(ctx, pods, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing the held pods: %w", err)
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}}}`, holdAnnotation)
	for i := range pods.Items {
		pod := &pods.Items[i]
		if _, held := pod.GetAnnotations()[holdAnnotation]; !held ||
			!strings.HasPrefix(pod.GetName(), prefix) {
			continue
		}
		if err := ignoreGone(s.client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch))); err !=
			nil {
			return fmt.Errorf("releasing the pod %s: %w", pod.GetName(), err)
		}
	}
	return nil
}

// fileName makes a name that is safe as a file's and as an object's.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}
