package fluxinstall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

// requestTimeout bounds one request to the API server. Watches are not bound by it.
const requestTimeout = 30 * time.Second

// KubeconfigOptions say how the management cluster is reached.
type KubeconfigOptions struct {
	// Paths are kubeconfig files, merged as kubectl merges them: the first to set a value wins, files that do
	// not exist are left out.
	Paths []string
	// Context is the context to use; the current one when empty.
	Context string
	// Origin says in a few words where Paths came from, for messages; the paths themselves when empty.
	Origin string
	// UserAgent is how the program introduces itself.
	UserAgent string
	// OnRetry is told when the API server has to be waited for, at most once every second. It is called by
	// one goroutine at a time and should return at once.
	OnRetry func(RetryEvent)
}

// Cluster is the management cluster. Its methods may be used by several goroutines at once.
type Cluster struct {
	client    client.WithWatch // finds Flux's objects in whatever version is served
	exact     client.WithWatch // takes the version that an object says
	server    string
	origin    string
	namespace string
	backoff   backoff
	contact   *contact
}

// Connect reads the kubeconfig and prepares the client; it does not talk to the cluster yet. A kubeconfig
// that cannot be used is a *KubeconfigError.
func Connect(ctx context.Context, options KubeconfigOptions) (*Cluster, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if options.Origin == "" {
		options.Origin = strings.Join(options.Paths, ", ")
	}
	type result struct {
		cluster *Cluster
		err     error
	}
	done := crash.Go(func() result {
		// The library knows no context, and a kubeconfig may name files that are pipes: it is left behind
		// then.
		c, err := connect(options)
		return result{c, err}
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case answer := <-done:
		r := answer.Value()
		if r.err != nil {
			return nil, &KubeconfigError{Origin: options.Origin, Err: r.err}
		}
		return r.cluster, nil
	}
}

func connect(options KubeconfigOptions) (*Cluster, error) {
	config, namespace, err := loadKubeconfig(options)
	if err != nil {
		return nil, err
	}
	config.UserAgent = options.UserAgent
	c, err := newCluster(config, options.Origin, requestTimeout)
	if err != nil {
		return nil, err
	}
	c.namespace = namespace
	c.contact.server, c.contact.to = c.server, options.OnRetry
	return c, nil
}

// Namespace is the one of the kubeconfig's context, as kubectl would use it.
func (c *Cluster) Namespace() string { return c.namespace }

func newCluster(config *rest.Config, origin string, timeout time.Duration) (*Cluster, error) {
	// The server protects itself (priority and fairness); throttling here would only make the program slow.
	config.QPS = -1
	// The transport bounds each request, and leaves watches alone.
	config.Timeout = 0
	// The server's warnings would be printed to standard error by the library.
	config.WarningHandler = rest.NoWarnings{}
	bounded := &boundedTransport{timeout: timeout, proxy: config.Proxy}
	if bounded.proxy == nil {
		bounded.proxy = http.ProxyFromEnvironment
	}
	// Credentials are added further out: the time that a plugin takes for them is not the server's.
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		bounded.next = next
		return bounded
	})
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	if config.ExecProvider != nil {
		transport = &pluginTransport{next: transport, plugin: config.ExecProvider, origin: origin,
			contact: &bounded.contact}
	}
	httpClient := &http.Client{Transport: transport, CheckRedirect: stayOnHost}
	dynamic, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{
		HTTPClient: httpClient,
		Scheme:     runtime.NewScheme(),
		Mapper:     meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{knownKinds(), dynamic}},
	})
	if err != nil {
		return nil, err
	}
	finder, err := discovery.NewDiscoveryClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, err
	}
	exact := quietClient{c}
	served := &servedClient{WithWatch: exact, discovery: finder, known: map[schema.GroupKind]string{}}
	return &Cluster{client: served, exact: exact, server: redact.Address(config.Host), origin: origin,
		backoff: defaultBackoff(), contact: &bounded.contact}, nil
}

// loadKubeconfig merges the files and resolves the context with its namespace. Its errors name files and
// contexts, never what a user entry holds.
func loadKubeconfig(options KubeconfigOptions) (config *rest.Config, namespace string, err error) {
	if len(options.Paths) == 0 {
		return nil, "", errors.New("no file is named")
	}
	content := false
	var missing []string
	for _, path := range options.Paths {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, path+" does not exist")
		case err != nil:
			return nil, "", err
		case info.IsDir():
			return nil, "", fmt.Errorf("%s is a directory", path)
		case !info.Mode().IsRegular():
			return nil, "",
				fmt.Errorf("%s is not a regular file, such as a pipe; put the kubeconfig into a file", path)
		case info.Size() == 0:
			missing = append(missing, path+" is empty")
		default:
			content = true
		}
	}
	if !content {
		return nil, "", errors.New(strings.Join(missing, ", "))
	}
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: options.Paths}
	merged, err := rules.Load()
	if err != nil {
		return nil, "", unreadable(options.Paths)
	}
	name := options.Context
	if name == "" {
		name = merged.CurrentContext
	}
	contexts := strings.Join(slices.Sorted(maps.Keys(merged.Contexts)), ", ")
	switch chosen, there := merged.Contexts[name]; {
	case len(merged.Contexts) == 0:
		return nil, "", errors.New("it contains no contexts; is it a kubeconfig?")
	case name == "":
		return nil, "", fmt.Errorf("it has no current context; its contexts are: %s", contexts)
	case !there:
		return nil, "", fmt.Errorf("it has no context %q; its contexts are: %s", name, contexts)
	case merged.Clusters[chosen.Cluster] == nil:
		return nil, "", fmt.Errorf("its context %q names cluster %q, which it does not have",
			name, chosen.Cluster)
	case chosen.AuthInfo != "" && merged.AuthInfos[chosen.AuthInfo] == nil:
		return nil, "", fmt.Errorf("its context %q names user %q, which it does not have",
			name, chosen.AuthInfo)
	}
	if chosen := merged.Clusters[merged.Contexts[name].Cluster]; chosen != nil {
		if err := checkServer(merged.Contexts[name].Cluster, chosen); err != nil {
			return nil, "", err
		}
	}
	resolved := clientcmd.NewNonInteractiveClientConfig(*merged, name, &clientcmd.ConfigOverrides{}, rules)
	if namespace, _, err = resolved.Namespace(); err != nil {
		return nil, "", withoutCredentials(err, merged)
	}
	if config, err = resolved.ClientConfig(); err != nil {
		return nil, "", withoutCredentials(err, merged)
	}
	if server, _, err := rest.DefaultServerUrlFor(config); err == nil && server.Scheme != "https" &&
		!isLoopback(server.Hostname()) {
		return nil, "", fmt.Errorf("its cluster %q has a server without https://, so that anybody on the "+
			"way could read the credentials", merged.Contexts[name].Cluster)
	}
	return config, namespace, nil
}

// checkServer refuses a way to the API server on which somebody else could listen: a private key is going to
// be sent there, and the user's credentials are with every request. Errors do not show the proxy's address,
// which may hold a password.
func checkServer(name string, cluster *clientcmdapi.Cluster) error {
	if cluster.InsecureSkipTLSVerify {
		return fmt.Errorf("its cluster %q has insecure-skip-tls-verify, so that anybody could take the API "+
			"server's place; put the server's certificate authority into certificate-authority-data", name)
	}
	if cluster.ProxyURL == "" {
		return nil
	}
	proxy, err := url.Parse(cluster.ProxyURL)
	if err != nil || proxy.Host == "" || !slices.Contains([]string{"http", "https", "socks5"}, proxy.Scheme) {
		return fmt.Errorf("its cluster %q has a proxy-url that is not a proxy's address; write it as "+
			"http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT", name)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Contexts are the names of the contexts in kubeconfig files, taken together. What cannot be read has none:
// they are an offer to somebody who types.
func Contexts(paths []string) []string {
	merged, err := (&clientcmd.ClientConfigLoadingRules{Precedence: paths}).Load()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(merged.Contexts))
}
