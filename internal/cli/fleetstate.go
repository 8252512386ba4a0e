package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// fleetOfState is the fleet that the management cluster itself speaks of: the repository that its gitOpsRef leads to. Its config is nil
// when it has none. One kubeconfig is one management cluster; name, which may be empty, is a cluster of it.
func fleetOfState(state *fluxinstall.State, name string) (fleet, error) {
	if !state.EKSAInstalled {
		return fleet{}, &notManagementError{
			message: fmt.Sprintf("the cluster at %s has no EKS Anywhere: there is no resource type clusters.anywhere.eks.amazonaws.com", state.Server),
			origin:  state.Origin,
		}
	}
	managements := state.ManagementClusters()
	if len(managements) == 0 {
		return fleet{}, &notManagementError{
			message: fmt.Sprintf("the cluster at %s holds no management Cluster object", state.Server), origin: state.Origin,
		}
	}
	management := managements[0].Name
	for _, c := range state.Clusters {
		// With several, which EKS Anywhere does not know, that of the cluster that was asked for counts.
		if c.Name == name && slices.ContainsFunc(managements, func(m fluxinstall.ClusterInfo) bool { return m.Name == c.ManagementCluster }) {
			management = c.ManagementCluster
		}
	}
	f := fleet{managementCluster: management, keepsFlux: name == management}
	live := state.GitOpsConfigOf(management)
	if live == nil {
		return f, nil
	}
	var err error
	f.config, err = clusterspec.GitOpsOf(live.Kind, live.Name, live.Spec, management)
	return f, err
}

// systemNamespaceOf is where Flux is according to the management cluster; empty when that does not say.
func systemNamespaceOf(name string) func(*fluxinstall.State) string {
	return func(state *fluxinstall.State) string {
		if f, err := fleetOfState(state, name); err == nil && f.config != nil {
			return f.config.SystemNamespace
		}
		return ""
	}
}

// notManagementError says that a kubeconfig leads to another cluster than a management cluster.
type notManagementError struct{ message, origin string }

func (e *notManagementError) Error() string { return e.message }
func (e *notManagementError) Hint() string {
	return strings.TrimSpace("choose the management cluster's kubeconfig with --kubeconfig; tried: " + e.origin)
}
