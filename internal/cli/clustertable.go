package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// clusterColumns are the headers of a table of clusters.
func clusterColumns(namespaces, wide bool) []string {
	columns := []string{"NAME", "ROLE", "VERSION", "CONTROL PLANE", "WORKERS", "READY", "COMMIT",
		"AGE", "STATE"}
	if namespaces {
		columns = append([]string{"NAMESPACE"}, columns...)
	}
	if wide {
		columns = append(columns, "MANAGEMENT CLUSTER", "SPEC", "MESSAGE")
	}
	return columns
}

// clusterCells are one cluster's cells.
func clusterCells(now time.Time, c *status.ClusterStatus, namespaces, wide bool) []string {
	ready := "False"
	switch {
	case c.State == status.StateOnlyGit:
		ready = "-"
	case c.Ready:
		ready = "True"
	}
	created := "-"
	if c.Created != nil {
		created = age(now.Sub(*c.Created))
	}
	cells := []string{
		c.Name, string(c.Role), orDash(c.KubernetesVersion), machines(c.ControlPlane), machines(c.Workers),
		ready, orDash(c.Commit[:min(7, len(c.Commit))]), created, orDash(clusterState(c)),
	}
	if namespaces {
		cells = append([]string{c.Namespace}, cells...)
	}
	if wide {
		cells = append(cells, c.ManagementCluster, orDash(c.SpecPath), orDash(c.Message))
	}
	return cells
}

// clusterState is the one word on what is special.
func clusterState(c *status.ClusterStatus) string {
	var states []string
	if c.State != "" {
		states = append(states, string(c.State))
	}
	if len(c.Paused) > 0 {
		states = append(states, "paused")
	}
	if c.Deleting {
		states = append(states, "being deleted")
	}
	return strings.Join(states, ", ")
}

func machines(m facts.MachineStatus) string {
	if m.Ready == nil {
		return fmt.Sprintf("?/%d", m.Desired)
	}
	return fmt.Sprintf("%d/%d", *m.Ready, m.Desired)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
