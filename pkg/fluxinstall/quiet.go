package fluxinstall

import (
	"context"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// quietClient keeps the Kubernetes libraries from logging to standard error, which belongs to the program:
// what they have to say is in the errors they return. They take their logger from the context.
type quietClient struct{ client.WithWatch }

// quiet is a context whose logger has nowhere to write to.
func quiet(ctx context.Context) context.Context { return log.IntoContext(ctx, log.Log.WithSink(nil)) }

// Get implements client.Reader.
func (q quietClient) Get(ctx context.Context, key client.ObjectKey, object client.Object,
	options ...client.GetOption) error {
	return q.WithWatch.Get(quiet(ctx), key, object, options...)
}

// List implements client.Reader.
func (q quietClient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return q.WithWatch.List(quiet(ctx), list, options...)
}

// Create implements client.Writer.
func (q quietClient) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return q.WithWatch.Create(quiet(ctx), object, options...)
}

// Patch implements client.Writer.
func (q quietClient) Patch(ctx context.Context, object client.Object, patch client.Patch,
	options ...client.PatchOption) error {
	return q.WithWatch.Patch(quiet(ctx), object, patch, options...)
}

// Apply implements client.Writer.
func (q quietClient) Apply(ctx context.Context, object runtime.ApplyConfiguration,
	options ...client.ApplyOption) error {
	return q.WithWatch.Apply(quiet(ctx), object, options...)
}

// Watch implements client.WithWatch.
func (q quietClient) Watch(ctx context.Context, list client.ObjectList,
	options ...client.ListOption) (watch.Interface, error) {
	return q.WithWatch.Watch(quiet(ctx), list, options...)
}

// DiscardLogs keeps the Kubernetes libraries from logging to standard error for the whole process, where they
// do it without a context. It is for programs, whose standard error is their own, and is called before
// anything else.
func DiscardLogs() {
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())
}
