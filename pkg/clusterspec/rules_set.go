package clusterspec

import (
	"fmt"
	"maps"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

// checkSet holds the clusters of a run against each other.
func (p *parser) checkSet() {
	p.checkReleases()
	p.checkBetween()
	var management *Cluster
	for _, c := range p.set.Clusters {
		if c.Role() != RoleManagement {
			continue
		}
		if management != nil {
			r := p.names[c.Name]
			if r.known("spec.managementCluster.name") || r.strayIn("spec.managementCluster") {
				continue // so it is most likely a workload cluster
			}
			first := p.names[management.Name].object
			e := r.wrong("two-management-clusters", "metadata.name",
				fmt.Sprintf("a second management cluster: Cluster %s in %s:%d is one already",
					management.Name, first.File, first.Line))
			e.Found = quote(c.Name)
			e.Expected = "spec.managementCluster.name: " + management.Name +
				" in a workload cluster, or a run for each management cluster"
			continue
		}
		management = c
	}
	var workloads []*Cluster
	for _, c := range p.set.Clusters {
		if c.Role() == RoleWorkload {
			workloads = append(workloads, c)
		}
	}
	if p.otherManagement(management, workloads) {
		return
	}
	var first *Cluster
	reference := management
	for _, c := range workloads {
		if reference == nil && c.GitOps != nil {
			reference = c
		}
	}
	var differences []difference
	compared := 0
	for _, c := range workloads {
		if management == nil && first == nil {
			first = c
		}
		if first != nil && c.ManagementCluster != first.ManagementCluster {
			o := p.names[first.Name].object
			e := p.names[c.Name].wrong("management-cluster", "spec.managementCluster.name",
				fmt.Sprintf("the cluster has another management cluster than Cluster %s in %s:%d",
					first.Name, o.File, o.Line))
			e.Found, e.Expected = quote(c.ManagementCluster),
				quote(first.ManagementCluster)+", or a run for each management cluster"
			e.Suggestion = spelling.Nearest(c.ManagementCluster, []string{first.ManagementCluster})
			continue
		}
		if management != nil && c.ManagementCluster != management.Name {
			e := p.names[c.Name].wrong("management-cluster", "spec.managementCluster.name",
				"the cluster is managed by another cluster than the one in the files")
			e.Found, e.Expected = quote(c.ManagementCluster), quote(management.Name)
			e.Suggestion = spelling.Nearest(c.ManagementCluster, []string{management.Name})
			continue
		}
		if found, ok := p.compareGitOps(reference, c); ok {
			differences = append(differences, found...)
			compared++
		}
	}
	p.tellDifferences(reference, differences, compared)
}

// otherManagement says whether all workload clusters name one management cluster that is not the one in the
// files, and reports that once: it is the management cluster that has another name, or is the wrong one.
func (p *parser) otherManagement(management *Cluster, workloads []*Cluster) bool {
	if management == nil || len(workloads) == 0 || workloads[0].ManagementCluster == management.Name {
		return false
	}
	for _, c := range workloads {
		if c.ManagementCluster != workloads[0].ManagementCluster {
			return false
		}
	}
	r := p.names[management.Name]
	if r.known("metadata.name") {
		return true // a wrong name is not what the others are to have
	}
	if len(workloads) == 1 {
		return false
	}
	name := workloads[0].ManagementCluster
	e := r.wrong("management-cluster", "metadata.name",
		fmt.Sprintf("the %d other clusters in the files are managed by another cluster", len(workloads)))
	e.Found, e.Expected = quote(management.Name), quote(name)+", or a run for each management cluster"
	e.Suggestion = spelling.Nearest(management.Name, []string{name})
	return true
}

// difference is something in which a workload cluster's GitOps is not like that of its management cluster.
// When all workload clusters have it alike it is one of the management cluster.
type difference struct {
	in                       *report // the workload cluster's object
	path, what, ours, theirs string  // what differs, in words for a message
	of                       *report // the management cluster's object, and its field
	ofPath                   string
}

// tellDifferences reports each difference once.
func (p *parser) tellDifferences(reference *Cluster, differences []difference, compared int) {
	byPath := map[string][]difference{}
	for _, d := range differences {
		byPath[d.path] = append(byPath[d.path], d)
	}
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		found := byPath[path]
		alike := !slices.ContainsFunc(found, func(d difference) bool { return d.ours != found[0].ours })
		if alike && compared > 1 && len(found) == compared && reference.Role() == RoleManagement {
			d := found[0]
			if path == "spec.gitOpsRef" {
				e := d.of.wrong("gitops-differs", d.ofPath, fmt.Sprintf("the %d workload clusters in the "+
					"files have a gitOpsRef, and their management cluster has none", compared))
				e.Expected = "a reference to a FluxConfig"
				continue
			}
			e := d.of.wrong("gitops-differs", d.ofPath, fmt.Sprintf("%s is not that of the %d workload "+
				"clusters in the files, and EKS Anywhere requires all to be the same", d.what, compared))
			e.Found, e.Expected = d.theirs, d.ours
			continue
		}
		for _, d := range found {
			if path == "spec.gitOpsRef" {
				e := d.in.wrong("gitops-differs", path,
					fmt.Sprintf("the management cluster %s has no gitOpsRef", reference.Name))
				e.Expected = "GitOps on the management cluster first"
				continue
			}
			e := d.in.wrong("gitops-differs", path,
				fmt.Sprintf("%s is not that of Cluster %s, and EKS Anywhere requires both to be the same",
					d.what, reference.Name))
			e.Found, e.Expected = d.ours, d.theirs
		}
	}
}

// configOf gives the report of a cluster's FluxConfig or GitOpsConfig; nil when it has none.
func (p *parser) configOf(c *Cluster) *report {
	if c == nil || c.GitOps == nil {
		return nil
	}
	for _, candidate := range p.objects[objectKey{c.GitOps.Kind, c.GitOps.Name}] {
		if slices.Contains(c.Objects, candidate.object) {
			return candidate
		}
	}
	return nil
}

// broken says whether an object has errors, so that its values are not to be compared with.
func (r *report) broken() bool {
	return r != nil && slices.ContainsFunc(r.problems, func(p Problem) bool {
		return p.Severity == SeverityError
	})
}

// compareGitOps gives the differences between the GitOps of a workload cluster and that of its management
// cluster, or of the first workload cluster when that is not among the files: EKS Anywhere refuses any. The
// second result is false when there is nothing to compare with.
func (p *parser) compareGitOps(reference, c *Cluster) ([]difference, bool) {
	if reference == nil || reference == c || c.GitOps == nil ||
		p.names[reference.Name].known("spec.gitOpsRef") || p.configOf(reference).broken() {
		return nil, false
	}
	cluster, referenceCluster := p.names[c.Name], p.names[reference.Name]
	if reference.GitOps == nil {
		if referenceCluster.present("spec", "gitOpsRef") || reference.Role() != RoleManagement {
			return nil, false
		}
		return []difference{{in: cluster, path: "spec.gitOpsRef", of: referenceCluster,
			ofPath: "spec.gitOpsRef"}}, true
	}
	theirs, ours := reference.GitOps, c.GitOps
	if theirs.Kind != ours.Kind {
		return []difference{{in: cluster, path: "spec.gitOpsRef.kind",
			what: "the kind of GitOps configuration", ours: ours.Kind, theirs: theirs.Kind,
			of: referenceCluster, ofPath: "spec.gitOpsRef.kind"}}, true
	}
	config, referenceConfig := p.configOf(c), p.configOf(reference)
	if config == nil || referenceConfig == nil || config.broken() {
		return nil, false
	}
	var differences []difference
	at := fieldsOfGitOps(ours.Kind)
	differ := func(path, theirs, ours string) {
		if theirs != ours {
			differences = append(differences, difference{in: config, path: path, what: "the setting",
				ours: quote(ours), theirs: quote(theirs), of: referenceConfig, ofPath: path})
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
		provider := func(g *GitOps) string {
			if g.GitHub != nil {
				return "spec.github"
			}
			return "spec.git"
		}
		differences = append(differences, difference{
			in: config, path: provider(ours), what: "the Git provider", ours: provider(ours),
			theirs: provider(theirs), of: referenceConfig, ofPath: provider(theirs),
		})
	}
	return differences, true
}
