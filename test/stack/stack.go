//go:build unix

package stack

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

//go:embed manifests
var manifests embed.FS

// FluxMode says who starts the Flux controllers.
type FluxMode int

const (
	// FluxManual leaves it to [Stack.StartFlux].
	FluxManual FluxMode = iota
	// FluxWhenInstalled runs the controllers for as long as their pods exist,
	// as a cluster does.
	FluxWhenInstalled
)

// Options of a stack. The zero value is good.
type Options struct {
	Bins     *Bins         // the programs; nil: those of Binaries(ctx, Progress)
	Progress io.Writer     // where the progress of a build is told; nil: nowhere
	Flux     FluxMode      // who starts the Flux controllers
	FluxEnv  []string      // environment ("NAME=value") of the Flux controllers, beside PATH, HOME and TMPDIR
	EKSAStep time.Duration // time between two conditions of an EKS-A cluster; 0: 50ms
}

// Stack is a running cluster. Its methods may be called from several
// goroutines, but those that stop or reset something disturb whoever uses it.
type Stack struct {
	options Options
	bins    Bins
	dir     string
	unlock  func()

	authority *authority
	ports     struct{ etcd, api *reservation }
	core      *processes // etcd and the API server, which live as long as the stack
	processes *processes // all others, which a reset starts anew
	config    *rest.Config
	http      *http.Client // of stack-admin
	client    client.WithWatch

	lifetime context.Context // ends with the stack; the parent of its background work
	end      context.CancelFunc

	mu        sync.Mutex // guards what follows: start, stop and reset exclude each other
	etcd, api *process
	eksa      *eksacontroller.Controller
	webhook   *eksacontroller.Webhook
	flux      *fluxRunner
	fresh     *State // what Reset brings back
	stopped   bool
	// restoredAt is the last resource version of what was brought back.
	restoredAt int64
}

// Start builds the programs when needed and starts a cluster, with the EKS-A
// custom resource definitions, webhook and controller in it. The context
// bounds the start only. When an error is returned nothing is left running and
// nothing is left on disk.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{options: o}
	if o.Bins != nil {
		s.bins = *o.Bins
	} else {
		bins, err := Binaries(ctx, o.Progress)
		if err != nil {
			return nil, err
		}
		s.bins = bins
	}
	// controller-runtime complains, with a stack trace, when nobody has said
	// where its log goes.
	ctrllog.SetLogger(logr.Discard())
	s.lifetime, s.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.mu.Lock()
	err := s.boot(ctx)
	s.mu.Unlock()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the stack: %w", err), s.Stop())
	}
	return s, nil
}

// prepare makes all that outlives a Reset: directory, certificates, ports,
// kubeconfigs, clients and the webhook's server.
func (s *Stack) prepare(ctx context.Context) error {
	dir, unlock, err := newDirectory(ctx)
	if err != nil {
		return err
	}
	s.dir, s.unlock = dir, unlock
	for _, sub := range []string{"log", "kubeconfig", "audit", "flux", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	s.core, s.processes = newProcesses(filepath.Join(dir, "log")), newProcesses(filepath.Join(dir, "log"))
	if s.ports.etcd, err = reservePort(); err != nil {
		return err
	}
	if s.ports.api, err = reservePort(); err != nil {
		return err
	}
	if s.authority, err = newAuthority(); err != nil {
		return fmt.Errorf("making the stack's certificates: %w", err)
	}
	if err := s.authority.writeServerFiles(dir); err != nil {
		return fmt.Errorf("making the stack's certificates: %w", err)
	}
	for _, name := range []string{"audit-policy.yaml", "kwok.yaml"} {
		content, err := manifests.ReadFile("manifests/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	for user, groups := range map[string][]string{
		"operator":                       nil, // bound to cluster-admin by the baseline
		"stack-admin":                    {"system:masters"},
		"kwok":                           {"system:masters"},
		"eks-a-controller":               {"system:masters"},
		"system:kube-controller-manager": {"system:masters"},
		"system:kube-scheduler":          nil,
	} {
		if _, err := s.KubeconfigFor(user, groups...); err != nil {
			return err
		}
	}
	if s.config, err = s.restConfig("stack-admin"); err != nil {
		return err
	}
	config := rest.CopyConfig(s.config)
	config.Timeout = 5 * time.Second // it may stand still
	if s.http, err = rest.HTTPClientFor(config); err != nil {
		return err
	}
	s.webhook, err = eksacontroller.Serve()
	return err
}

// Keep makes the cluster as it is now the one that Reset brings back.
func (s *Stack) Keep(ctx context.Context) error {
	state, err := s.Save(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.fresh
	s.fresh = state
	return old.remove()
}

// Reset brings the cluster back to what Start returned, or was at the last
// Keep, as Restore does.
func (s *Stack) Reset(ctx context.Context) error { return s.bringBack(ctx, nil) }

// Restore brings the cluster back to a state: the database holds what the copy
// does, and every program but etcd and the API server, whose start takes longer
// than most tests, is started anew. Ports, kubeconfigs and certificates stay.
// Faults end. A frozen or stopped API server comes back. What objects the
// caller watches or has cached changes as if somebody had changed the cluster.
func (s *Stack) Restore(ctx context.Context, state *State) error { return s.bringBack(ctx, state) }

// RestoredAt is the last resource version of what Restore or Reset brought
// back: what has a higher one was written since.
func (s *Stack) RestoredAt() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restoredAt
}

// bringBack is Restore; nil is the fresh state.
func (s *Stack) bringBack(ctx context.Context, state *State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == nil {
		state = s.fresh
	}
	s.stopControllers()
	s.processes.killAll()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.putBack(ctx, state); err != nil {
		return fmt.Errorf("putting back the cluster: %w", err)
	}
	if err := s.startFollowers(); err != nil {
		return fmt.Errorf("restarting the stack: %w", err)
	}
	// The new client knows nothing of the kinds that were served before.
	var err error
	if s.client, err = client.NewWithWatch(s.config, client.Options{}); err != nil {
		return err
	}
	// Ready, to the API server, does not mean that it serves what CRDs define.
	if err := s.webhook.WaitActive(ctx, s.client); err != nil {
		return err
	}
	return s.startControllers(ctx, state.addresses)
}

// Stop ends the stack: no process and no file of it is left. Calling it again
// does nothing.
func (s *Stack) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	s.stopControllers()
	s.end()
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
	if s.webhook != nil {
		s.webhook.Close()
	}
	for _, set := range []*processes{s.processes, s.core} {
		if set != nil {
			set.close()
		}
	}
	for _, port := range []*reservation{s.ports.etcd, s.ports.api} {
		if port != nil {
			port.release()
		}
	}
	if s.dir == "" {
		return nil
	}
	err := os.RemoveAll(s.dir)
	s.unlock()
	if err != nil {
		return fmt.Errorf("removing the stack's directory: %w", err)
	}
	return nil
}

// Dir is the directory below which everything of the stack lies.
func (s *Stack) Dir() string { return s.dir }

// Kubeconfig is the path of the kubeconfig for the program under test: user
// "operator", who may do everything.
func (s *Stack) Kubeconfig() string { return s.kubeconfigPath("operator") }

// AdminKubeconfig is the path of the kubeconfig for a test's own looks and
// changes: user "stack-admin".
func (s *Stack) AdminKubeconfig() string { return s.kubeconfigPath("stack-admin") }

// KubeconfigFor makes a kubeconfig for any user. What that user may do is
// decided by RBAC objects and by nothing else, except that the group
// system:masters may do everything.
func (s *Stack) KubeconfigFor(user string, groups ...string) (path string, err error) {
	certificate, key, err := s.authority.user(user, groups)
	if err != nil {
		return "", fmt.Errorf("making a certificate for %s: %w", user, err)
	}
	path = s.kubeconfigPath(user)
	return path, s.authority.writeKubeconfig(path, s.server(), &clientcmdapi.AuthInfo{
		ClientCertificateData: certificate,
		ClientKeyData:         key,
	})
}

func (s *Stack) kubeconfigPath(user string) string {
	return filepath.Join(s.dir, "kubeconfig", fileName(user)+".yaml")
}

func (s *Stack) server() string { return "https://127.0.0.1:" + strconv.Itoa(s.ports.api.port) }

// RESTConfig is the client configuration of "stack-admin", without a limit to
// its rate.
func (s *Stack) RESTConfig() *rest.Config { return rest.CopyConfig(s.config) }

// Client is a client of "stack-admin". It knows the built-in kinds; use
// unstructured objects for others. Reset replaces it.
func (s *Stack) Client() client.WithWatch { return s.client }

// EKSA is the EKS-A test controller, to provoke faults. Reset replaces it.
func (s *Stack) EKSA() *eksacontroller.Controller { return s.eksa }

// Logs returns the last lines of what a part wrote: "etcd", "kube-apiserver",
// "kube-controller-manager", "kube-scheduler", "kwok", "source-controller",
// "kustomize-controller". "" when it wrote nothing.
func (s *Stack) Logs(part string) string {
	return tail(filepath.Join(s.dir, "log", part+".log"), 100)
}

// Report is the end of what each part wrote, for the log of a test that failed.
func (s *Stack) Report() string {
	var report strings.Builder
	for _, part := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
		"kwok", "source-controller", "kustomize-controller"} {
		fmt.Fprintf(&report, "--- %s ---\n%s\n", part, tail(filepath.Join(s.dir, "log", part+".log"), 15))
	}
	return report.String()
}

// restConfig reads back the kubeconfig of a user.
func (s *Stack) restConfig(user string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfigPath(user))
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", user, err)
	}
	config.QPS = -1
	config.UserAgent = user
	return config, nil
}

// collectSeldom is the GOGC of every program: they live for seconds, and a
// sixth of their time would go into collecting what needs no collecting.
const collectSeldom = "400"

// env is the environment of every program: of ours only what they need, so
// that proxies, agents and kubeconfigs of whoever runs the tests stay out.
func (s *Stack) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.dir,
		"GOGC=" + collectSeldom,
		"TMPDIR=" + filepath.Join(s.dir, "tmp"),
	}
}
