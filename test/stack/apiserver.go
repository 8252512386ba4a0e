//go:build unix

package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	apidiscovery "k8s.io/api/apidiscovery/v2"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
)

func (s *Stack) startAPIServer() (err error) {
	file := func(name string) string { return filepath.Join(s.dir, name) }
	s.api, err = s.core.start("kube-apiserver", s.bins.APIServer, s.env(),
		"--etcd-servers", s.database().address,
		"--bind-address", "127.0.0.1",
		"--advertise-address", "127.0.0.1",
		"--secure-port", strconv.Itoa(s.ports.api.port),
		"--permit-port-sharing",
		"--endpoint-reconciler-type", "none",
		"--cert-dir", s.dir,
		"--tls-cert-file", file("apiserver.crt"),
		"--tls-private-key-file", file("apiserver.key"),
		"--client-ca-file", file("ca.crt"),
		"--service-account-issuer", "https://kubernetes.default",
		"--service-account-key-file", file("service-accounts.key"),
		"--service-account-signing-key-file", file("service-accounts.key"),
		"--authorization-mode", "RBAC",
		"--service-cluster-ip-range", "10.96.0.0/16",
		// Pods would have to wait for their namespace's service account.
		"--disable-admission-plugins", "ServiceAccount",
		"--allow-privileged",
		"--enable-priority-and-fairness=false",
		"--profiling=false",
		"--audit-policy-file", file("audit-policy.yaml"),
		"--audit-log-path", s.auditLog(),
		"--audit-log-mode", "blocking",
		"--audit-log-maxsize", "10000", // one file, so that a Marker is an offset
	)
	return err
}

// readyAgain is where an API server says that it is ready but for what only an
// empty database waits for: its roles and priority classes, which it makes,
// or finds to be there, a second after its start.
const readyAgain = "/readyz?exclude=poststarthook/rbac/bootstrap-roles&exclude=poststarthook/scheduling/bootstrap-system-priority-classes"

// waitReady waits until the API server says at a path that it is ready, or has
// died.
func (s *Stack) waitReady(ctx context.Context, path string) error {
	for {
		if _, err := s.get(ctx, path, ""); err == nil {
			return nil
		}
		for _, part := range []*process{s.etcd, s.api} {
			if !part.alive() {
				return part.ended()
			}
		}
		if err := sleep.For(ctx, 20*time.Millisecond); err != nil {
			err = fmt.Errorf("waiting for the API server: %w", err)
			if errors.Is(err, context.DeadlineExceeded) { // not when the caller has had enough
				err = fmt.Errorf("%w; the end of its log:\n%s", err, tail(s.api.log, 15))
			}
			return err
		}
	}
}

// get asks the API server for what it answers at a path.
func (s *Stack) get(ctx context.Context, path, accept string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.Host+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, response.Status)
	}
	return content, err
}

// served lists what the API server says that it serves, but for the oldest kinds of Kubernetes.
func (s *Stack) served(ctx context.Context) (map[resource]bool, error) {
	content, err := s.get(ctx, "/apis",
		"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	if err != nil {
		return nil, err
	}
	var list apidiscovery.APIGroupDiscoveryList
	if err := json.Unmarshal(content, &list); err != nil {
		return nil, fmt.Errorf("/apis: %w", err)
	}
	all := map[resource]bool{}
	for _, group := range list.Items {
		for _, version := range group.Versions {
			for _, r := range version.Resources {
				all[resource{group.Name, version.Version, r.Resource}] = true
			}
		}
	}
	return all, nil
}

// StopAPIServer ends the API server: connections are refused, and those that
// are open break, until StartAPIServer.
func (s *Stack) StopAPIServer() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.api.alive() {
		return errors.New("stopping the API server: it does not run")
	}
	s.api.kill()
	return nil
}

// StartAPIServer starts the API server again, on the same port and with the
// same data, and returns when it is ready. It does nothing when the API server
// runs.
func (s *Stack) StartAPIServer(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.api.alive() {
		if err := s.startAPIServer(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return s.waitReady(ctx, "/readyz")
}

// FreezeAPIServer stops the API server in its tracks: connections are still
// accepted by the kernel but nothing is answered, until ThawAPIServer.
func (s *Stack) FreezeAPIServer() error { return s.signalAPIServer(unix.SIGSTOP) }

// ThawAPIServer ends FreezeAPIServer.
func (s *Stack) ThawAPIServer() error { return s.signalAPIServer(unix.SIGCONT) }

func (s *Stack) signalAPIServer(signal unix.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.api.alive() {
		return s.api.ended()
	}
	s.api.signal(signal)
	return nil
}
