//go:build unix

package stack

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// fluxController is one of Flux's programs.
type fluxController struct {
	name string // of its Deployment, and the value of its pods' label "app"
	// crds must be Established before it can start: it exits otherwise.
	crds []string
}

func fluxControllers() []fluxController {
	sources := []string{
		"gitrepositories.source.toolkit.fluxcd.io",
		"ocirepositories.source.toolkit.fluxcd.io",
		"buckets.source.toolkit.fluxcd.io",
		"helmrepositories.source.toolkit.fluxcd.io",
		"helmcharts.source.toolkit.fluxcd.io",
		"externalartifacts.source.toolkit.fluxcd.io",
	}
	return []fluxController{
		{"source-controller", sources},
		{"kustomize-controller", append([]string{"kustomizations.kustomize.toolkit.fluxcd.io"}, sources...)},
	}
}

// fluxRunner is the kubelet of Flux's pods: it runs one real program for each
// pod of source-controller and kustomize-controller that is Ready.
type fluxRunner struct {
	stack *Stack
	core  kubernetes.Interface

	mu     sync.Mutex         // guards cancel and ended; never held while waiting for the API server
	cancel context.CancelFunc // nil: the pods are not followed
	ended  chan struct{}

	work      sync.Mutex               // guards instances
	instances map[string]*fluxInstance // by namespace/controller
	// of the artifacts, by namespace: what a Service keeps when its pod changes
	addresses map[string]string
}

// fluxInstance is the program of one pod.
type fluxInstance struct {
	process *process
	podUID  string
	started time.Time
}

func newFluxRunner(s *Stack, addresses map[string]string) *fluxRunner {
	r := &fluxRunner{
		stack:     s,
		core:      kubernetes.NewForConfigOrDie(s.RESTConfig()),
		instances: map[string]*fluxInstance{},
		addresses: map[string]string{},
	}
	maps.Copy(r.addresses, addresses)
	return r
}

// still does something with the addresses of the artifacts while no program of
// Flux runs on: they are frozen.
func (r *fluxRunner) still(do func(addresses map[string]string)) {
	r.work.Lock()
	defer r.work.Unlock()
	for _, instance := range r.instances {
		instance.process.signal(unix.SIGSTOP)
		defer instance.process.signal(unix.SIGCONT)
		_ = waitFrozen(instance.process.cmd.Process.Pid) // one that has ended is frozen enough
	}
	do(r.addresses)
}

// StartFlux waits until the custom resource definitions of Flux are
// Established and the pods of source-controller and kustomize-controller in a
// namespace are Ready, starts both programs and waits until they work. From
// then on they live and die with their pods.
func (s *Stack) StartFlux(ctx context.Context, namespace string) error {
	s.mu.Lock()
	runner := s.flux
	s.mu.Unlock()
	runner.follow()
	for {
		missing := runner.missing(namespace)
		if len(missing) == 0 {
			return nil
		}
		if err := sleep.For(ctx, 25*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for %s in the namespace %s: %w; the end of its log:\n%s",
				strings.Join(missing, " and "), namespace, err, s.Logs(missing[0]))
		}
	}
}

// StopFlux kills the Flux controllers and keeps them down, whatever their
// pods do, until StartFlux.
func (s *Stack) StopFlux() {
	s.mu.Lock()
	runner := s.flux
	s.mu.Unlock()
	runner.stop()
}

// follow begins to watch the pods. It does nothing when that was begun.
func (r *fluxRunner) follow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(r.stack.lifetime)
	r.cancel, r.ended = cancel, make(chan struct{})
	go r.run(ctx, r.ended)
}

// stop ends the watching and the programs.
func (r *fluxRunner) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel == nil {
		return
	}
	r.cancel()
	<-r.ended
	r.cancel = nil
	r.work.Lock()
	defer r.work.Unlock()
	for key, instance := range r.instances {
		instance.process.kill()
		delete(r.instances, key)
	}
}

// missing names the controllers that do not work in a namespace.
func (r *fluxRunner) missing(namespace string) []string {
	r.work.Lock()
	defer r.work.Unlock()
	var names []string
	for _, controller := range fluxControllers() {
		instance := r.instances[namespace+"/"+controller.name]
		if instance == nil || !instance.process.alive() || !instance.works() {
			names = append(names, controller.name)
		}
	}
	return names
}

// works reads from the log that the workers were started since the program
// was.
func (i *fluxInstance) works() bool {
	content, err := os.ReadFile(i.process.log)
	if err != nil {
		return false
	}
	_, own, found := strings.Cut(string(content), i.banner())
	return found && strings.Contains(own, "Starting workers")
}

// banner stands in the log at the start of an instance.
func (i *fluxInstance) banner() string { return "--- pod " + i.podUID + "\n" }

// run compares pods with programs whenever a pod changes, and every so often
// while something is amiss. An API server that cannot be reached stops
// nothing: programs go on, as containers do.
func (r *fluxRunner) run(ctx context.Context, ended chan<- struct{}) {
	defer close(ended)
	for ctx.Err() == nil {
		version, settled := r.reconcile(ctx)
		if settled {
			r.waitForChange(ctx, version)
		} else {
			_ = sleep.For(ctx, 100*time.Millisecond)
		}
	}
}

// reconcile makes programs follow pods. settled says that nothing is left to
// do until a pod changes from what it was at version. Errors are not told:
// what cannot be read or started now is tried again.
func (r *fluxRunner) reconcile(ctx context.Context) (version string, settled bool) {
	list, err := r.core.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: fluxPods()})
	if err != nil {
		return "", false
	}
	settled, err = r.compare(ctx, list.Items)
	return list.ResourceVersion, settled && err == nil
}

// waitForChange returns when a pod of Flux changes, or after two seconds, so
// that a program that died is noticed.
func (r *fluxRunner) waitForChange(ctx context.Context, version string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	watcher, err := r.core.CoreV1().Pods("").Watch(ctx,
		metav1.ListOptions{LabelSelector: fluxPods(), ResourceVersion: version})
	if err != nil {
		_ = sleep.For(ctx, 100*time.Millisecond)
		return
	}
	defer watcher.Stop()
	select {
	case <-watcher.ResultChan():
	case <-ctx.Done():
	}
}

func fluxPods() string {
	var names []string
	for _, controller := range fluxControllers() {
		names = append(names, controller.name)
	}
	return "app in (" + strings.Join(names, ",") + ")"
}

// compare does what reconcile promises for the given pods.
func (r *fluxRunner) compare(ctx context.Context, pods []corev1.Pod) (settled bool, err error) {
	r.work.Lock()
	defer r.work.Unlock()
	wanted := wantedPods(pods)
	for key, instance := range r.instances {
		if pod := wanted[key]; pod == nil || string(pod.UID) != instance.podUID {
			instance.process.kill()
			delete(r.instances, key)
		}
	}
	settled = true
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		instance := r.instances[key]
		if instance != nil && instance.process.alive() {
			continue
		}
		if instance != nil && time.Since(instance.started) < time.Second {
			settled = false // it died at once: not again at once
			continue
		}
		if instance != nil {
			delete(r.addresses, wanted[key].Namespace) // it may be taken
		}
		started, err := r.launch(ctx, wanted[key])
		if err != nil {
			return false, err
		}
		if started == nil {
			settled = false
			continue
		}
		r.instances[key] = started
	}
	return settled, nil
}

// wantedPods are the pods whose programs should run, by namespace and
// controller: the newest Ready one of each, so that of two pods during a
// rollout one works, as leader election would have it.
func wantedPods(pods []corev1.Pod) map[string]*corev1.Pod {
	wanted := map[string]*corev1.Pod{}
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp != nil || !podReady(pod) {
			continue
		}
		key := pod.Namespace + "/" + pod.Labels["app"]
		if have := wanted[key]; have == nil || have.CreationTimestamp.Before(&pod.CreationTimestamp) {
			wanted[key] = pod
		}
	}
	return wanted
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// launch starts the program of a pod, with the arguments of its container and
// the token of its service account; nil when its custom resource definitions
// are not there yet.
func (r *fluxRunner) launch(ctx context.Context, pod *corev1.Pod) (*fluxInstance, error) {
	s := r.stack
	controller, command, err := s.fluxProgram(pod.Labels["app"])
	if err != nil {
		return nil, err
	}
	established, err := s.established(ctx, controller.crds)
	if err != nil || !established {
		return nil, err
	}
	home := filepath.Join(s.fluxDir(), string(pod.UID))
	if err := os.MkdirAll(filepath.Join(home, "data"), 0o700); err != nil {
		return nil, err
	}
	kubeconfig, err := r.podKubeconfig(ctx, pod, home)
	if err != nil {
		return nil, err
	}
	instance := &fluxInstance{podUID: string(pod.UID), started: time.Now()}
	log, err := os.OpenFile(filepath.Join(s.dir, "log", controller.name+".log"),
		os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if _, err := log.WriteString(instance.banner()); err != nil {
		return nil, err
	}
	address := ""
	if controller.name == "source-controller" {
		if address, err = r.storageAddress(pod.Namespace); err != nil {
			return nil, err
		}
	}
	args := fluxArgs(pod, controller.name, home, address)
	env := append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "GOGC=" + collectSeldom,
		"KUBECONFIG=" + kubeconfig, "RUNTIME_NAMESPACE=" + pod.Namespace,
	}, s.options.FluxEnv...)
	instance.process, err = s.processes.start(controller.name, command, env, args...)
	return instance, err
}

// storageAddress is where the source-controller of a namespace serves its artifacts, the same for every pod
// of it.
func (r *fluxRunner) storageAddress(namespace string) (string, error) {
	if address := r.addresses[namespace]; address != "" {
		return address, nil
	}
	address, err := freeAddress()
	if err == nil {
		r.addresses[namespace] = address
	}
	return address, err
}

// fluxArgs are the arguments of the pod's container, then ours: the last of a
// flag counts.
func fluxArgs(pod *corev1.Pod, controller, home, address string) []string {
	var args []string
	for _, container := range pod.Spec.Containers {
		for _, arg := range container.Args {
			args = append(args, strings.ReplaceAll(arg, "$(RUNTIME_NAMESPACE)", pod.Namespace))
		}
	}
	args = append(args,
		"--enable-leader-election=false",
		"--events-addr=", // there is no notification-controller
		"--metrics-addr=127.0.0.1:0",
		"--health-addr=127.0.0.1:0",
		"--requeue-dependency=500ms",
		"--min-retry-delay=100ms",
		"--max-retry-delay=2s",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
	)
	if controller != "source-controller" {
		return args
	}
	return append(args,
		"--storage-path="+filepath.Join(home, "data"),
		"--storage-addr="+address,
		"--storage-adv-addr="+address,
	)
}

// freeAddress is a loopback address that is free now. Should somebody take it
// before source-controller does, that exits, and is started anew with another.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return "127.0.0.1:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), nil
}

func (s *Stack) fluxProgram(name string) (fluxController, Command, error) {
	for _, controller := range fluxControllers() {
		if controller.name == name {
			return controller, map[string]Command{
				"source-controller":    s.bins.SourceController,
				"kustomize-controller": s.bins.KustomizeController,
			}[name], nil
		}
	}
	return fluxController{}, nil, fmt.Errorf("%s is no Flux controller the stack has", name)
}

// podKubeconfig writes a kubeconfig with a token of the pod's service account:
// the program has the rights that were installed for it, and no others.
func (r *fluxRunner) podKubeconfig(ctx context.Context, pod *corev1.Pod, home string) (string, error) {
	account := pod.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	seconds := int64(24 * 60 * 60)
	token, err := r.core.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}},
		metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("getting a token of the service account %s/%s: %w", pod.Namespace, account, err)
	}
	path := filepath.Join(home, "kubeconfig.yaml")
	return path, r.stack.authority.writeKubeconfig(path, r.stack.server(),
		&clientcmdapi.AuthInfo{Token: token.Status.Token})
}

// established reports whether all the named definitions are served.
func (s *Stack) established(ctx context.Context, names []string) (bool, error) {
	for _, name := range names {
		definition := eksacontroller.Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(definition), definition); err != nil {
			return false, ignoreGone(err)
		}
		if !eksacontroller.ConditionTrue(definition, "Established") {
			return false, nil
		}
	}
	return true, nil
}
