//go:build unix

package stack_test

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// A stack is lent to one at a time, each time as it was prepared.
func TestPool(t *testing.T) {
	bins, err := stack.Binaries(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	prepared := 0
	pool := stack.NewPool(1, stack.Options{Bins: &bins}, func(ctx context.Context, s *stack.Stack) error {
		prepared++
		return s.SeedManagementCluster(ctx, managementCluster)
	})
	first, giveBack, err := pool.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	trace := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "trace"}}
	if err := first.Client().Create(t.Context(), trace); err != nil {
		t.Fatal(err)
	}

	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := pool.Take(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("while it is lent: %v, want canceled", err)
	}

	giveBack()
	second, giveBack, err := pool.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second != first || prepared != 1 {
		t.Errorf("lent again: the same stack %v, prepared %d times", second == first, prepared)
	}
	if err := second.Client().Get(t.Context(), client.ObjectKeyFromObject(trace),
		trace); !apierrors.IsNotFound(err) {
		t.Errorf("lent again: what was created before: %v, want NotFound", err)
	}
	mgmt := clusterNamed("mgmt")
	if err := second.Client().Get(t.Context(), client.ObjectKeyFromObject(mgmt), mgmt); err != nil ||
		!eksacontroller.Ready(mgmt) {
		t.Errorf("lent again: the management cluster is not ready (%v)", err)
	}
	giveBack()
	if err := errors.Join(pool.Stop(), leftOver(first.Dir())); err != nil {
		t.Error(err)
	}
}
