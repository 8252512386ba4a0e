package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

// startTimeout bounds every single wait of a start, on a machine that is busy
// with other things.
const startTimeout = 90 * time.Second

// boot brings a prepared stack up for the first time.
func (s *Stack) boot(ctx context.Context) error {
	if err := s.startControlPlane(ctx); err != nil {
		return err
	}
	var err error
	if s.client, err = client.NewWithWatch(s.config, client.Options{}); err != nil {
		return err
	}
	if err := s.installBaseline(ctx); err != nil {
		return err
	}
	if s.fresh, err = s.snapshot(ctx, nil); err != nil {
		return fmt.Errorf("keeping a copy of the fresh cluster: %w", err)
	}
	return s.startControllers(ctx, nil)
}

// startControlPlane starts etcd and what runs on it, and returns when the API
// server says that it is ready.
func (s *Stack) startControlPlane(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.startEtcd(); err != nil {
		return err
	}
	if err := s.startAPIServer(); err != nil {
		return err
	}
	if err := s.waitReady(ctx, "/readyz"); err != nil {
		return err
	}
	return s.startFollowers()
}

func (s *Stack) startEtcd() (err error) {
	address := s.database().address
	s.etcd, err = s.core.start("etcd", s.bins.Etcd, s.env(),
		"--data-dir", s.etcdDir(),
		"--listen-client-urls", address,
		"--advertise-client-urls", address,
		"--listen-peer-urls", "http://127.0.0.1:0", // nobody comes
		"--socket-reuse-port",
		"--unsafe-no-fsync",
		"--max-request-bytes", "10000000", // an object is put back whole, in base64
		"--log-level", "warn",
	)
	return err
}

func (s *Stack) database() database {
	return database{"http://127.0.0.1:" + strconv.Itoa(s.ports.etcd.port)}
}

func (s *Stack) etcdDir() string { return filepath.Join(s.dir, "etcd") }

func (s *Stack) fluxDir() string { return filepath.Join(s.dir, "flux") }

// startFollowers starts the programs that work against the API server.
func (s *Stack) startFollowers() error {
	start := func(name string, command Command, args ...string) error {
		return s.processes.keep(name, command, s.env(), args...)
	}
	return errors.Join(
		start("kube-controller-manager", s.bins.ControllerManager,
			"--kubeconfig", s.kubeconfigPath("system:kube-controller-manager"),
			"--service-account-private-key-file", filepath.Join(s.dir, "service-accounts.key"),
			"--secure-port", "0",
			"--leader-elect=false",
			// Only what can matter here; the others cost time and memory.
			"--controllers", "namespace-controller,garbage-collector-controller,deployment-controller,"+
				"replicaset-controller,statefulset-controller,job-controller,serviceaccount-controller,"+
				"clusterrole-aggregation-controller,resourcequota-controller,node-lifecycle-controller,"+
				"pod-garbage-collector-controller",
			"--kube-api-qps", "500", "--kube-api-burst", "1000",
			"--concurrent-namespace-syncs", "10",
			// No heartbeat comes; a node is never lost here.
			"--node-monitor-grace-period", "24h",
		),
		start("kube-scheduler", s.bins.Scheduler,
			"--kubeconfig", s.kubeconfigPath("system:kube-scheduler"),
			"--secure-port", "0",
			"--leader-elect=false",
		),
		start("kwok", s.bins.Kwok,
			"--kubeconfig", s.kubeconfigPath("kwok"),
			"--config", filepath.Join(s.dir, "kwok.yaml"),
			"--manage-all-nodes=true",
			// No leases: a reset brings back that of the kwok before, which a new
			// one would let run out first.
			"--node-lease-duration-seconds=0",
			"--node-port", "0", // no kubelet API
		),
	)
}

// installBaseline puts into a new cluster what every stack holds.
func (s *Stack) installBaseline(ctx context.Context) error {
	baseline, err := manifests.ReadFile("manifests/baseline.yaml")
	if err != nil {
		return err
	}
	definitions, err := eksacontroller.CRDs()
	if err != nil {
		return err
	}
	if err := s.Apply(ctx, bytes.Join([][]byte{baseline, definitions}, []byte("\n---\n"))); err != nil {
		return fmt.Errorf("installing the baseline: %w", err)
	}
	if err := eksacontroller.WaitEstablished(ctx, s.client); err != nil {
		return err
	}
	if err := s.webhook.Register(ctx, s.client); err != nil {
		return err
	}
	return s.waitNode(ctx)
}

// startControllers starts what this process itself does in the cluster. The
// addresses are those at which Flux's artifacts are expected.
func (s *Stack) startControllers(ctx context.Context, addresses map[string]string) error {
	config, err := s.restConfig("eks-a-controller")
	if err != nil {
		return err
	}
	s.eksa, err = eksacontroller.Start(s.lifetime,
		eksacontroller.Options{Config: config, Step: s.options.EKSAStep})
	if err != nil {
		return fmt.Errorf("starting the EKS-A test controller: %w", err)
	}
	if err := s.eksa.WaitSynced(ctx); err != nil {
		return fmt.Errorf("starting the EKS-A test controller: %w", err)
	}
	s.flux = newFluxRunner(s, addresses)
	if s.options.Flux == FluxWhenInstalled {
		s.flux.follow()
	}
	return nil
}

func (s *Stack) stopControllers() {
	if s.flux != nil {
		s.flux.stop()
		s.flux = nil
	}
	if s.eksa != nil {
		s.eksa.Stop()
		s.eksa = nil
	}
}
