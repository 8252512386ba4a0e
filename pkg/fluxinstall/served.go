package fluxinstall

import (
	"context"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fluxGroups is how the groups of all of Flux's kinds end.
const fluxGroups = ".toolkit.fluxcd.io"

// servedClient finds Flux's objects whatever version the server has of their kinds: a Flux that is older than
// this program serves others. A version that is not served looks like objects that do not exist, and from
// that much would follow. Only when the server does not have the version that was asked for is it asked which
// it has.
type servedClient struct {
	client.WithWatch
	discovery discovery.DiscoveryInterface

	mu    sync.Mutex
	known map[schema.GroupKind]string // versions that the server had in place of the one that was asked for
}

// Get implements client.Reader.
func (s *servedClient) Get(ctx context.Context, key client.ObjectKey, object client.Object,
	options ...client.GetOption) error {
	return s.as(ctx, object, func() error { return s.WithWatch.Get(ctx, key, object, options...) })
}

// List implements client.Reader.
func (s *servedClient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return s.as(ctx, list, func() error { return s.WithWatch.List(ctx, list, options...) })
}

// Watch implements client.WithWatch.
func (s *servedClient) Watch(ctx context.Context, list client.ObjectList,
	options ...client.ListOption) (events watch.Interface, err error) {
	err = s.as(ctx, list, func() error {
		events, err = s.WithWatch.Watch(ctx, list, options...)
		return err
	})
	return events, err
}

// Delete implements client.Writer.
func (s *servedClient) Delete(ctx context.Context, object client.Object,
	options ...client.DeleteOption) error {
	return s.as(ctx, object, func() error { return s.WithWatch.Delete(ctx, object, options...) })
}

// Patch implements client.Writer. What is applied says its version itself.
func (s *servedClient) Patch(ctx context.Context, object client.Object, patch client.Patch,
	options ...client.PatchOption) error {
	if patch.Type() == types.ApplyPatchType {
		return s.WithWatch.Patch(ctx, object, patch, options...)
	}
	return s.as(ctx, object, func() error { return s.WithWatch.Patch(ctx, object, patch, options...) })
}

// as does something with an object, or a list of them, in a version that the server has.
func (s *servedClient) as(ctx context.Context, object runtime.Object, do func() error) error {
	asked := object.GetObjectKind().GroupVersionKind()
	if !strings.HasSuffix(asked.Group, fluxGroups) {
		return do()
	}
	kind := schema.GroupKind{Group: asked.Group, Kind: asked.Kind}
	if _, list := object.(*unstructured.UnstructuredList); list {
		kind.Kind = strings.TrimSuffix(asked.Kind, "List")
	}
	s.mu.Lock()
	version := s.known[kind]
	s.mu.Unlock()
	if version == "" {
		version = asked.Version
	}
	in := func(version string) error {
		object.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Group: asked.Group,
			Version: version, Kind: asked.Kind})
		return do()
	}
	err := in(version)
	if !notServed(err) {
		return err
	}
	served, lookErr := s.served(ctx, kind)
	if lookErr != nil {
		return lookErr // that it does not exist is not known
	}
	if served == "" || served == version {
		return err
	}
	s.mu.Lock()
	s.known[kind] = served
	s.mu.Unlock()
	return in(served)
}

// notServed says whether an error is about the version rather than about the object: a server names an object
// that does not exist, and of a path that it does not have it only says that there is none.
func notServed(err error) bool {
	return meta.IsNoMatchError(err) ||
		apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// served is the version of a kind that the server prefers; empty when it does not have the kind.
func (s *servedClient) served(ctx context.Context, kind schema.GroupKind) (string, error) {
	var group metav1.APIGroup
	err := s.discovery.RESTClient().Get().AbsPath("/apis/" + kind.Group).Do(ctx).Into(&group)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, version := range group.Versions {
		var resources metav1.APIResourceList
		err :=
			s.discovery.RESTClient().Get().AbsPath("/apis/" + version.GroupVersion).Do(ctx).Into(&resources)
		if apierrors.IsNotFound(err) {
			continue // taken away just now
		}
		if err != nil {
			return "", err
		}
		for _, resource := range resources.APIResources {
			if resource.Kind == kind.Kind && !strings.Contains(resource.Name, "/") {
				return version.Version, nil
			}
		}
	}
	return "", nil
}
