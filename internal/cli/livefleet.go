package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// doomedFleet finds out from the management cluster itself which fleet a cluster of that name belongs to, for
// a deletion that gets no file: the repository is the one of its gitOpsRef; see fleetOfState. A reference
// that leads nowhere is an error. A deletion may have been cut off right before its end: a management cluster
// that refers to no GitOps configuration any more, and has one, is of that one's repository.
func doomedFleet(ctx context.Context, d *deps, c *connection, name string) (fleet, error) {
	cluster, err := c.cluster.openFor(ctx, d, name, true)
	if err != nil {
		return fleet{}, err
	}
	state, err := cluster.Inspect(ctx, fluxinstall.InspectOptions{})
	if err != nil {
		return fleet{}, fmt.Errorf("looking at the management cluster: %w", err)
	}
	f, err := fleetOfState(state, name)
	if err != nil || f.config != nil {
		return f, err
	}
	if left := state.AbandonedGitOps(name); left != nil && f.managementCluster == name {
		f.config, err = clusterspec.GitOpsOf(left.Kind, left.Name, left.Spec, name)
		return f, err
	}
	return f, danglingGitOps(state, f.managementCluster)
}

// fleetOfState is the fleet of a cluster as the management cluster's own objects have it. A cluster that is
// not there belongs to the only management cluster. The config is nil when the management cluster has no
// gitOpsRef, or one that leads nowhere.
func fleetOfState(state *fluxinstall.State, name string) (fleet, error) {
	management, err := managementOf(state, name)
	if err != nil {
		return fleet{}, err
	}
	f := fleet{managementCluster: management}
	if live := state.GitOpsConfigOf(management); live != nil {
		f.config, err = clusterspec.GitOpsOf(live.Kind, live.Name, live.Spec, management)
	}
	return f, err
}

// danglingGitOps is an error when the management cluster refers to a GitOps configuration that is not there.
func danglingGitOps(state *fluxinstall.State, management string) error {
	for _, c := range state.ManagementClusters() {
		if c.Name == management && c.GitOpsName != "" {
			return &fleetError{
				message: fmt.Sprintf("management cluster %s refers to %s %s, which does not exist, so its "+
					"repository is not known", management, c.GitOpsKind, c.GitOpsName),
				hint: "name the cluster's file with -f",
			}
		}
	}
	return nil
}

// managementOf names the management cluster of a cluster, or the only one there is.
func managementOf(state *fluxinstall.State, name string) (string, error) {
	for _, c := range state.Clusters {
		if c.Name == name {
			return c.ManagementCluster, nil
		}
	}
	var names []string
	for _, c := range state.ManagementClusters() {
		names = append(names, c.Name)
	}
	switch {
	case len(names) == 1:
		return names[0], nil
	case !state.EKSAInstalled:
		return "", &fleetError{
			message: fmt.Sprintf("the cluster at %s has no EKS Anywhere: there is no resource type "+
				"clusters.anywhere.eks.amazonaws.com", state.Server),
			hint: "choose the management cluster's kubeconfig with --kubeconfig; tried: " + state.Origin,
		}
	case len(names) == 0:
		return "", &fleetError{
			message: fmt.Sprintf("the cluster at %s has no management Cluster object", state.Server),
			hint:    "choose the management cluster's kubeconfig with --kubeconfig; tried: " + state.Origin,
		}
	default:
		return "", &fleetError{
			message: fmt.Sprintf(
				"the cluster at %s has several management Cluster objects (%s), and none is called %s",
				state.Server, strings.Join(names, ", "), name),
			hint: "name the cluster's file with -f, which says whose it is",
		}
	}
}

// fleetError says that a kubeconfig does not lead to the management cluster that is looked for.
type fleetError struct{ message, hint string }

func (e *fleetError) Error() string { return e.message }
func (e *fleetError) Hint() string  { return e.hint }
