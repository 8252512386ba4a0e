package fluxinstall

import (
	"context"
	"fmt"
	"slices"
	"strings"

	shell "github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// eksaNamespace is where EKS Anywhere keeps its controllers and the kubeconfigs of the clusters it made.
const eksaNamespace = "eksa-system"

// eksaController is the Deployment that builds, changes and deletes clusters.
const eksaController = "eksa-controller-manager"

// Kubeconfig returns the kubeconfig of a cluster from the Secret where EKS Anywhere keeps it: key value of
// NAME-kubeconfig in namespace eksa-system. It is a *KubeconfigNotFoundError when there is none (yet).
func (c *Cluster) Kubeconfig(ctx context.Context, name string) (secret.Value, error) {
	object, err := c.get(ctx, secretKind(), eksaNamespace, name+"-kubeconfig")
	if err != nil {
		return secret.Value{}, fmt.Errorf("reading the kubeconfig of %s: %w", name, err)
	}
	if object != nil {
		if value := secretData(object)["value"]; len(value) > 0 {
			return secret.New(string(value)), nil
		}
	}
	missing := &KubeconfigNotFoundError{Name: name, Server: c.server}
	clusters, err := c.list(ctx, clusterKind(), "")
	if err != nil && !isForbidden(err) {
		return secret.Value{}, fmt.Errorf("reading the clusters: %w", err)
	}
	for _, item := range clusters {
		missing.Known = append(missing.Known, item.GetName())
	}
	return secret.Value{}, missing
}

// KubeconfigNotFoundError says that the management cluster holds no kubeconfig of that cluster.
type KubeconfigNotFoundError struct {
	Name, Server string
	Known        []string // the names of the Cluster objects that are there
}

// Error says what is missing where.
func (e *KubeconfigNotFoundError) Error() string {
	return fmt.Sprintf("the cluster at %s has no kubeconfig of %s: there is no Secret %s/%s-kubeconfig "+
		"with one", e.Server, e.Name, eksaNamespace, e.Name)
}

// Hint tells a cluster that is not up yet from a wrong name.
func (e *KubeconfigNotFoundError) Hint() string {
	switch {
	case slices.Contains(e.Known, e.Name):
		return shell.Command("EKS Anywhere writes it while it creates the cluster; look at: kubectl get "+
			"clusters.%s -A", eksaGroup)
	case len(e.Known) == 0:
		return "there are no EKS Anywhere clusters at all; is it the management cluster's kubeconfig?"
	default:
		return "the clusters there are: " + strings.Join(e.Known, ", ")
	}
}
