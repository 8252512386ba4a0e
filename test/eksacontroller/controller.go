package eksacontroller

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Options of a Controller.
type Options struct {
	// needs the right to read and write everything of EKS Anywhere, Secrets and namespaces
	Config *rest.Config
	Step   time.Duration // time between two conditions; 0: 50ms
	Log    logr.Logger   // the zero value is silent
}

// Controller is a running EKS-A test controller.
type Controller struct {
	step   time.Duration
	client client.Client // reads the server, not a cache: a test may look at what it just wrote
	faults *faults

	pokes  chan event.TypedGenericEvent[types.NamespacedName]
	cache  cache.Cache
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of the manager; valid once done is closed
}

// Start starts a controller; the kinds must be served. It ends with the
// context, or by Stop.
func Start(ctx context.Context, o Options) (*Controller, error) {
	if o.Step == 0 {
		o.Step = 50 * time.Millisecond
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	skipNames := true // several stacks in one process are several controllers of one name
	m, err := manager.New(o.Config, manager.Options{
		Logger:                  o.Log,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		Controller:              config.Controller{SkipNameValidation: &skipNames},
		GracefulShutdownTimeout: new(time.Duration),
	})
	if err != nil {
		return nil, fmt.Errorf("making the controller: %w", err)
	}
	direct, err := client.New(o.Config, client.Options{Scheme: m.GetScheme(), Mapper: m.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("making the controller: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &Controller{
		step: o.Step, client: direct, faults: newFaults(),
		pokes:  make(chan event.TypedGenericEvent[types.NamespacedName], 64),
		cache:  m.GetCache(),
		cancel: cancel, done: make(chan struct{}),
	}
	if err := c.watch(m); err != nil {
		cancel()
		return nil, fmt.Errorf("making the controller: %w", err)
	}
	go func() {
		defer close(c.done)
		c.err = m.Start(ctx)
	}()
	return c, nil
}

// WaitSynced waits until the controller sees the clusters there are.
func (c *Controller) WaitSynced(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	synced := make(chan error, 1)
	go func() {
		_, err := c.cache.GetInformer(ctx, Object(APIVersion, "Cluster", "", ""))
		synced <- err
	}()
	select {
	case err := <-synced:
		return err
	case <-c.done:
		return fmt.Errorf("the controller ended: %w", c.err)
	}
}

// Stop ends the controller and waits until it has.
func (c *Controller) Stop() {
	c.cancel()
	<-c.done
}

// watch has the controller look at a Cluster when its spec or its annotations
// change, not when its status does: that is the controller's own doing. The
// objects a Cluster refers to are not watched; one that misses some is looked
// at again and again.
func (c *Controller) watch(m manager.Manager) error {
	return builder.ControllerManagedBy(m).
		Named("eksa-test-controller").
		For(Object(APIVersion, "Cluster", "", ""), builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		// Poked by a test that set or healed a fault.
		WatchesRawSource(source.TypedChannel(c.pokes,
			handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
				GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName],
					queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
					queue.Add(reconcile.Request{NamespacedName: e.Object})
				},
			})).
		Complete(c)
}

func (c *Controller) poke(key types.NamespacedName) {
	select {
	case c.pokes <- event.TypedGenericEvent[types.NamespacedName]{Object: key}:
	case <-c.done:
	}
}

// Reconcile takes a Cluster one step on.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := Object(APIVersion, "Cluster", request.Namespace, request.Name)
	if err := c.client.Get(ctx, request.NamespacedName, cluster); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	again, err := c.advance(ctx, cluster)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return reconcile.Result{RequeueAfter: time.Millisecond}, nil // it changed under our hands
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if again {
		return reconcile.Result{RequeueAfter: c.step}, nil
	}
	return reconcile.Result{}, nil
}

// advance does the next thing there is to do for a cluster; again says that
// there is more.
func (c *Controller) advance(ctx context.Context,
	cluster *unstructured.Unstructured) (again bool, err error) {
	paused := annotated(cluster, Paused)
	if cluster.GetDeletionTimestamp() != nil {
		if selfManaged(cluster) && !annotated(cluster, ManagedByCLI) {
			return false, c.refuseDeletion(ctx, cluster)
		}
		if paused && !annotated(cluster, AllowDeleteWhenPaused) {
			return false, nil
		}
		return c.remove(ctx, cluster)
	}
	if paused {
		return false, nil
	}
	if changed, err := c.adopt(ctx, cluster); changed || err != nil {
		return true, err
	}
	fail, err := c.examine(ctx, cluster)
	if err != nil {
		return false, err
	}
	key := client.ObjectKeyFromObject(cluster)
	fault, forced, _ := c.faultOf(key)
	if forced != nil {
		fail = forced
	}
	before := cluster.DeepCopy()
	again = nextStatus(cluster, fail, fault) || fail != nil && forced == nil
	if ConditionTrue(cluster, ControlPlaneInitialized) {
		if err := c.writeKubeconfig(ctx, cluster); err != nil {
			return false, err
		}
		if err := c.makePackagesNamespace(ctx, cluster); err != nil {
			return false, err
		}
	}
	if statusEqual(before, cluster) {
		return again, nil
	}
	if err := c.client.Status().Update(ctx, cluster, client.FieldOwner(fieldOwner)); err != nil {
		return false, fmt.Errorf("setting the status of %s: %w", key, err)
	}
	return again, nil
}

// fieldOwner is the name the controller's changes go by.
const fieldOwner = "eks-a-controller"

// adopt adds the finalizer and lets a managed cluster without a version have
// that of its management cluster. changed says that there was something to do.
func (c *Controller) adopt(ctx context.Context,
	cluster *unstructured.Unstructured) (changed bool, err error) {
	before := cluster.DeepCopy()
	changed = controllerutil.AddFinalizer(cluster, Finalizer)
	bundles := nested[map[string]any](cluster, "spec", "bundlesRef")
	if !selfManaged(cluster) && bundles == nil && nested[string](cluster, "spec", "eksaVersion") == "" {
		manager, err := c.managerOf(ctx, cluster)
		if err != nil {
			return false, err
		}
		if version := nested[string](manager, "spec", "eksaVersion"); version != "" {
			if err := unstructured.SetNestedField(cluster.Object, version, "spec",
				"eksaVersion"); err != nil {
				return false, err
			}
			changed = true
		}
	}
	if !changed {
		return false, nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return true, c.client.Patch(ctx, cluster, patch, client.FieldOwner(fieldOwner))
}

// remove ends a cluster that is being deleted: after a while its kubeconfig,
// the namespace of its packages and its finalizer go.
func (c *Controller) remove(ctx context.Context, cluster *unstructured.Unstructured) (again bool, err error) {
	if !controllerutil.ContainsFinalizer(cluster, Finalizer) {
		return false, nil
	}
	if _, _, held := c.faultOf(client.ObjectKeyFromObject(cluster)); held {
		return false, nil
	}
	if time.Since(cluster.GetDeletionTimestamp().Time) < 2*c.step {
		return true, nil
	}
	if err := c.client.Delete(ctx, kubeconfigSecret(cluster.GetName())); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("deleting the kubeconfig of %s: %w", cluster.GetName(), err)
	}
	if err := c.removePackagesNamespace(ctx, cluster); err != nil {
		return false, err
	}
	before := cluster.DeepCopy()
	controllerutil.RemoveFinalizer(cluster, Finalizer)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return false, client.IgnoreNotFound(c.client.Patch(ctx, cluster, patch, client.FieldOwner(fieldOwner)))
}

// refuseDeletion says that a self-managed cluster is not deleted. Its deletion
// has begun all the same, and nothing can take that back: the finalizer keeps
// it.
func (c *Controller) refuseDeletion(ctx context.Context, cluster *unstructured.Unstructured) error {
	const refusal = "deleting self-managed clusters is not supported"
	if nested[string](cluster, "status", "failureMessage") == refusal {
		return nil
	}
	if err := unstructured.SetNestedField(cluster.Object, refusal, "status", "failureMessage"); err != nil {
		return err
	}
	if err := c.client.Status().Update(ctx, cluster, client.FieldOwner(fieldOwner)); err != nil {
		return fmt.Errorf("setting the status of %s: %w", client.ObjectKeyFromObject(cluster), err)
	}
	return nil
}

// managerOf finds the management cluster of a cluster, in whatever namespace
// it is: the reference has only a name. That of the cluster's own namespace
// comes first. Nil when there is none.
func (c *Controller) managerOf(ctx context.Context,
	cluster *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	name := nested[string](cluster, "spec", "managementCluster", "name")
	if found, err := c.get(ctx, "Cluster", cluster.GetNamespace(), name); found != nil || err != nil {
		return found, err
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(Object(APIVersion, "ClusterList", "", "").GroupVersionKind())
	if err := c.client.List(ctx, list); err != nil {
		return nil, fmt.Errorf("looking for management cluster %s: %w", name, err)
	}
	for i := range list.Items {
		if list.Items[i].GetName() == name {
			return &list.Items[i], nil
		}
	}
	return nil, nil
}

// get reads an object of EKS Anywhere; nil when there is none.
func (c *Controller) get(ctx context.Context,
	kind, namespace, name string) (*unstructured.Unstructured, error) {
	object := Object(APIVersion, kind, namespace, name)
	err := c.client.Get(ctx, client.ObjectKeyFromObject(object), object)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return object, err
}
