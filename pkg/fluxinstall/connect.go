package fluxinstall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// requestTimeout bounds one request to the API server. Watches are not bound by it.
const requestTimeout = 30 * time.Second

// KubeconfigOptions say how the management cluster is reached.
type KubeconfigOptions struct {
	// Paths are kubeconfig files, merged as kubectl merges them: the first to set a value wins.
	Paths []string
	// Context is the context to use; the current one when empty.
	Context string
	// Origin says in a few words where Paths came from, for messages.
	Origin string
	// UserAgent is how the program introduces itself.
	UserAgent string
}

// Cluster is the management cluster. Its methods may be used by several goroutines at once.
type Cluster struct {
	client client.WithWatch
	server string
	origin string
}

// Connect reads the kubeconfig and prepares the client; it does not talk to the cluster yet. A kubeconfig that cannot be used is a
// *KubeconfigError.
func Connect(ctx context.Context, options KubeconfigOptions) (*Cluster, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	config, err := loadKubeconfig(options)
	if err != nil {
		return nil, &KubeconfigError{Origin: options.Origin, Err: err}
	}
	config.UserAgent = options.UserAgent
	// The server protects itself (priority and fairness); throttling here would only make the program slow.
	config.QPS = -1
	config.Timeout = 0
	// The server's warnings would be printed to standard error by the library.
	config.WarningHandler = rest.NoWarnings{}
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, &KubeconfigError{Origin: options.Origin, Err: err}
	}
	httpClient.Transport = &boundedTransport{next: httpClient.Transport, timeout: requestTimeout}
	dynamic, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	if err != nil {
		return nil, &KubeconfigError{Origin: options.Origin, Err: err}
	}
	c, err := client.NewWithWatch(config, client.Options{
		HTTPClient: httpClient,
		Scheme:     runtime.NewScheme(),
		Mapper:     meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{knownKinds(), dynamic}},
	})
	if err != nil {
		return nil, &KubeconfigError{Origin: options.Origin, Err: err}
	}
	return &Cluster{client: c, server: config.Host, origin: options.Origin}, nil
}

func loadKubeconfig(options KubeconfigOptions) (*rest.Config, error) {
	found := false
	for _, path := range options.Paths {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.Size() == 0:
			return nil, fmt.Errorf("%s is empty", path)
		case err == nil:
			found = true
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	if !found {
		return nil, fmt.Errorf("%s does not exist", strings.Join(options.Paths, ", "))
	}
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: options.Paths}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: options.Context}).ClientConfig()
}

// The groups that hold what the package works with.
const (
	eksaGroup      = "anywhere.eks.amazonaws.com"
	sourceGroup    = "source.toolkit.fluxcd.io"
	kustomizeGroup = "kustomize.toolkit.fluxcd.io"
)

// knownKinds maps the kinds of Flux's installation and of EKS Anywhere without asking the server: discovery would cost more round
// trips than all else of a run that finds nothing to do. Kinds beyond these (somebody's own patches) are discovered.
func knownKinds() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, k := range []struct {
		group, version, kind string
		scope                meta.RESTScope
	}{
		{"", "v1", "Namespace", meta.RESTScopeRoot},
		{"", "v1", "Secret", meta.RESTScopeNamespace},
		{"", "v1", "Service", meta.RESTScopeNamespace},
		{"", "v1", "ServiceAccount", meta.RESTScopeNamespace},
		{"", "v1", "ResourceQuota", meta.RESTScopeNamespace},
		{"", "v1", "Pod", meta.RESTScopeNamespace},
		{"apps", "v1", "Deployment", meta.RESTScopeNamespace},
		{"apiextensions.k8s.io", "v1", "CustomResourceDefinition", meta.RESTScopeRoot},
		{"rbac.authorization.k8s.io", "v1", "ClusterRole", meta.RESTScopeRoot},
		{"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", meta.RESTScopeRoot},
		{sourceGroup, "v1", "GitRepository", meta.RESTScopeNamespace},
		{kustomizeGroup, "v1", "Kustomization", meta.RESTScopeNamespace},
		{eksaGroup, "v1alpha1", "Cluster", meta.RESTScopeNamespace},
		{eksaGroup, "v1alpha1", "FluxConfig", meta.RESTScopeNamespace},
		{eksaGroup, "v1alpha1", "GitOpsConfig", meta.RESTScopeNamespace},
		{"fluxcd.controlplane.io", "v1", "FluxInstance", meta.RESTScopeNamespace},
	} {
		mapper.Add(schema.GroupVersionKind{Group: k.group, Version: k.version, Kind: k.kind}, k.scope)
	}
	// The plural of NetworkPolicy is irregular.
	policies := schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}
	mapper.AddSpecific(policies.WithKind("NetworkPolicy"), policies.WithResource("networkpolicies"), policies.WithResource("networkpolicy"), meta.RESTScopeNamespace)
	return mapper
}
