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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// Apply applies every document by server-side apply as "stack-admin", taking
// over fields of others. A document without a namespace goes to "default" when
// its kind has namespaces. Kinds that were defined just now, by the same YAML
// too, are waited for; a kind nobody has defined is an error after five seconds.
func (s *Stack) Apply(ctx context.Context, yaml []byte) error {
	objects, err := eksacontroller.Decode(yaml)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := s.apply(ctx, object, "stack"); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) apply(ctx context.Context, object *unstructured.Unstructured, manager string) error {
	namespaced, err := s.namespaced(ctx, object)
	if err != nil {
		return fmt.Errorf("applying %s: %w", describe(object), err)
	}
	if namespaced && object.GetNamespace() == "" {
		object.SetNamespace("default")
	}
	err = s.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(manager),
		client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("applying %s: %w", describe(object), err)
	}
	return nil
}

// namespaced reports whether objects of this kind have a namespace.
func (s *Stack) namespaced(ctx context.Context, object *unstructured.Unstructured) (bool, error) {
	for began := time.Now(); ; {
		namespaced, err := s.client.IsObjectNamespaced(object)
		if err == nil || time.Since(began) > 5*time.Second {
			return namespaced, err
		}
		if ended := sleep.For(ctx, 25*time.Millisecond); ended != nil {
			return false, err
		}
	}
}

// WaitFor reads obj again and again until ok says yes. An object that does not
// exist, or an API server that does not answer, is waited for too. what names
// the state that is waited for; it and the last known object are in the error
// when the context ends first.
func (s *Stack) WaitFor(ctx context.Context, obj client.Object, what string, ok func() bool) error {
	key := client.ObjectKeyFromObject(obj)
	for {
		err := s.client.Get(ctx, key, obj)
		if err == nil && ok() {
			return nil
		}
		if ended := sleep.For(ctx, 25*time.Millisecond); ended != nil {
			return fmt.Errorf("waiting for %s to be %s: %w",
				describe(obj), what, errors.Join(ended, lastState(obj, err)))
		}
	}
}

// lastState says what was last seen of an object.
func lastState(obj client.Object, err error) error {
	if err != nil {
		return err
	}
	object, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	return fmt.Errorf("its status is %v", object.Object["status"])
}

func describe(obj client.Object) string {
	kind := obj.GetObjectKind().GroupVersionKind().Kind
	if kind == "" {
		kind = strings.TrimPrefix(fmt.Sprintf("%T", obj), "*")
	}
	if obj.GetNamespace() == "" {
		return kind + " " + obj.GetName()
	}
	return kind + " " + obj.GetNamespace() + "/" + obj.GetName()
}

// waitNode waits until the node takes pods: until then nothing becomes Ready.
func (s *Stack) waitNode(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	node := eksacontroller.Object("v1", "Node", "", "node-0")
	err := s.WaitFor(ctx, node, "schedulable", func() bool {
		taints, _, _ := unstructured.NestedSlice(node.Object, "spec", "taints")
		phase, _, _ := unstructured.NestedString(node.Object, "status", "phase")
		return phase == "Running" && len(taints) == 0
	})
	if err != nil {
		return fmt.Errorf("%w\nkwok:\n%s\nkube-controller-manager:\n%s",
			err, s.Logs("kwok"), s.Logs("kube-controller-manager"))
	}
	return nil
}

// ignoreGone is nil for an object that does not exist any more.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
