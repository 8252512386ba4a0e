package clusterspec

import (
	"fmt"
	"slices"
)

// checkSet holds the clusters of a run against each other.
func (p *parser) checkSet() {
	var management *Cluster
	for _, c := range p.set.Clusters {
		if c.Role() != RoleManagement {
			continue
		}
		if management != nil {
			r := p.names[c.Name]
			first := p.names[management.Name].object
			e := r.wrong("two-management-clusters", "metadata.name",
				fmt.Sprintf("a second management cluster: Cluster %s in %s:%d is one already", management.Name, first.File, first.Line))
			e.Found = quote(c.Name)
			e.Expected = "spec.managementCluster.name: " + management.Name + " in a workload cluster, or a run for each management cluster"
			continue
		}
		management = c
	}
	var first *Cluster
	for _, c := range p.set.Clusters {
		if c.Role() != RoleWorkload {
			continue
		}
		if management == nil && first == nil {
			first = c
		}
		if first != nil && c.ManagementCluster != first.ManagementCluster {
			o := p.names[first.Name].object
			e := p.names[c.Name].wrong("management-cluster", "spec.managementCluster.name",
				fmt.Sprintf("the cluster has another management cluster than Cluster %s in %s:%d", first.Name, o.File, o.Line))
			e.Found, e.Expected = quote(c.ManagementCluster), quote(first.ManagementCluster)+", or a run for each management cluster"
			e.Suggestion = nearest(c.ManagementCluster, []string{first.ManagementCluster})
			continue
		}
		if management != nil && c.ManagementCluster != management.Name {
			e := p.names[c.Name].wrong("management-cluster", "spec.managementCluster.name", "the cluster is managed by another cluster than the one in the files")
			e.Found, e.Expected = quote(c.ManagementCluster), quote(management.Name)
			e.Suggestion = nearest(c.ManagementCluster, []string{management.Name})
			continue
		}
		p.checkSameGitOps(management, c)
	}
}

// checkSameGitOps makes sure that a workload cluster has the GitOps settings of its management cluster, or of the first workload
// cluster when that is not among the files: EKS Anywhere refuses any difference.
func (p *parser) checkSameGitOps(management, c *Cluster) {
	reference := management
	if reference == nil {
		for _, other := range p.set.Clusters {
			if other.GitOps != nil && other.ManagementCluster == c.ManagementCluster {
				reference = other
				break
			}
		}
	}
	if reference == nil || reference == c || c.GitOps == nil {
		return
	}
	r := p.names[c.Name]
	if reference.GitOps == nil {
		if _, wanted := lookup(p.names[reference.Name].object.root(), "spec", "gitOpsRef"); wanted == nil {
			e := r.wrong("gitops-differs", "spec.gitOpsRef", fmt.Sprintf("the management cluster %s has no gitOpsRef", reference.Name))
			e.Expected = "GitOps on the management cluster first"
		}
		return
	}
	theirs, ours := reference.GitOps, c.GitOps
	if theirs.Kind != ours.Kind {
		e := r.wrong("gitops-differs", "spec.gitOpsRef.kind", fmt.Sprintf("Cluster %s has another kind of GitOps configuration", reference.Name))
		e.Found, e.Expected = quote(ours.Kind), theirs.Kind
		return
	}
	var config *report
	for _, candidate := range p.objects[objectKey{ours.Kind, ours.Name}] {
		if slices.Contains(c.Objects, candidate.object) {
			config = candidate
		}
	}
	if config == nil {
		return
	}
	at := fieldsOfGitOps(ours.Kind)
	differ := func(path, theirs, ours string) {
		if theirs != ours {
			e := config.wrong("gitops-differs", path, fmt.Sprintf("the setting differs from that of Cluster %s, and EKS Anywhere wants both the same", reference.Name))
			e.Found, e.Expected = quote(ours), quote(theirs)
		}
	}
	differ(at.systemNamespace, theirs.SystemNamespace, ours.SystemNamespace)
	differ(at.clusterConfigPath, theirs.ClusterConfigPath, ours.ClusterConfigPath)
	differ(at.branch, theirs.Branch, ours.Branch)
	switch {
	case theirs.GitHub != nil && ours.GitHub != nil:
		differ(at.owner, theirs.GitHub.Owner, ours.GitHub.Owner)
		differ(at.repository, theirs.GitHub.Repository, ours.GitHub.Repository)
		differ(at.personal, fmt.Sprint(theirs.GitHub.Personal), fmt.Sprint(ours.GitHub.Personal))
	case theirs.Git != nil && ours.Git != nil:
		differ("spec.git.repositoryUrl", theirs.Git.RepositoryURL, ours.Git.RepositoryURL)
		differ("spec.git.sshKeyAlgorithm", theirs.Git.SSHKeyAlgorithm, ours.Git.SSHKeyAlgorithm)
	default:
		e := config.wrong("gitops-differs", "spec", fmt.Sprintf("the Git provider is not that of Cluster %s", reference.Name))
		e.Expected = "github or git on both"
	}
}
