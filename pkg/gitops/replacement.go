package gitops

import (
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
)

// What a cluster is called and where it is, is what it is: with another name or namespace in Git, Flux
// deletes the cluster that was and creates another.

// checkNamespaces refuses files that would put a cluster into another namespace than the one that it lives
// in.
func (r *clustersRun) checkNamespaces(found *findings) {
	if r.seen.Cluster() == nil {
		return
	}
	for _, c := range r.options.Clusters {
		if r.seen.Cluster().Cluster(c.Namespace, c.Name) != nil {
			continue
		}
		for _, live := range r.seen.Cluster().Clusters {
			if live.Name == c.Name {
				found.addFinding(replacementFinding(c,
					fmt.Sprintf("the file puts it into namespace %s, and it lives in namespace %s",
						c.Namespace, live.Namespace)))
			}
		}
	}
}

// refuseReplacement refuses a change of a file in Git by which Flux would delete the cluster and create
// another.
func (u *upgradeRun) refuseReplacement(p *files.SpecPlan, found *findings) {
	for _, c := range p.Changes {
		if c.Verdict == clusterspec.VerdictReplaced && c.Object == "Cluster "+p.Cluster.Name {
			found.addFinding(replacementFinding(p.Cluster, fmt.Sprintf("%s: %s → %s", c.Field, c.Old, c.New)))
		}
	}
}

func replacementFinding(c *clusterspec.Cluster, what string) facts.Finding {
	line, _ := c.Objects[0].Position("metadata.namespace")
	finding := facts.AreaSpec.Finding(
		fmt.Sprintf("cluster %s: %s; Flux would delete the cluster with all its machines and create another",
			c.Name, what),
		fmt.Sprintf("put the old value back (%s:%d)", c.Objects[0].File, line))
	if c.Role() == clusterspec.RoleWorkload {
		finding.Hint += text.Command("; if that is what you want, delete the cluster and then create it: "+
			"eksa-gitops delete cluster %s, eksa-gitops create cluster -f %s", c.Name, c.Objects[0].File)
	}
	return finding
}
