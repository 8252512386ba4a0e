package status

import (
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// What status judges of what hangs or sleeps: deletions under way, and Kustomizations below Flux's own.

// judgeDeletions tells of deletions under way, before all that follows from them. A cluster that leaves Git
// is deleted, as it should be: only one whose files are still there is told of, and a management cluster,
// which nothing should delete.
func (j *judge) judgeDeletions() {
	for i := range j.Survey.Deletions {
		d := &j.Survey.Deletions[i]
		p := Problem{Object: d.Object(), Message: d.Describe(), Cause: d.Meaning(), Next: d.Next()}
		if d.Kind == "Cluster" {
			if j.Cluster != "" && d.Name != j.Cluster || !d.Management && !j.inGit(d.Name) {
				continue
			}
			p.Cluster = d.Name
		}
		if d.Kind == "FluxConfig" || d.Kind == "GitOpsConfig" {
			live := j.Survey.GitOpsConfigOf(j.ManagementCluster)
			if live == nil || live.Kind != d.Kind || live.Namespace != d.Namespace || live.Name != d.Name {
				continue
			}
		}
		j.problem(p)
	}
}

// inGit says whether a cluster's files are in Git.
func (j *judge) inGit(name string) bool {
	return j.Git != nil && slices.ContainsFunc(j.Git.Clusters, func(c facts.GitCluster) bool {
		return c.Name == name
	})
}

// deleting says whether the problem of an object is told of as its deletion already.
func (j *judge) deleting(object string) bool {
	return slices.ContainsFunc(j.report.Problems, func(p Problem) bool {
		return p.Object == object && strings.HasPrefix(p.Message, deletingWords)
	})
}

// deletingWords begin what [fluxinstall.Deletion.Describe] says.
const deletingWords = "it has been marked for deletion since "

// wakes says which deletion goes on as soon as a controller that is scaled to zero runs again; nil when none
// does.
func (j *judge) wakes(object string) *fluxinstall.Deletion {
	for i := range j.Survey.Deletions {
		d := &j.Survey.Deletions[i]
		if d.Asleep != "" && len(d.Takes) > 0 && object == "Deployment "+j.Survey.Namespace+"/"+d.Asleep {
			return d
		}
	}
	return nil
}

// judgeNested tells of Kustomizations of the repository that are not well. That the apps of a cluster are not
// applied that is not Ready is no wonder.
func (j *judge) judgeNested() {
	if j.Config == nil {
		return
	}
	for _, nested := range j.Survey.Nested {
		cluster := j.clusterOfApps(&nested)
		if cluster == nil {
			if j.Cluster == "" {
				j.problem(j.explain(nested.Problem))
			}
			continue
		}
		if cluster.Problem != nil || j.Cluster != "" && cluster.Name != j.Cluster {
			continue
		}
		p := j.explain(nested.Problem)
		p.Cluster = cluster.Name
		j.problem(p)
	}
}

// clusterOfApps is the cluster whose apps a Kustomization applies; nil when it is another one.
func (j *judge) clusterOfApps(nested *fluxinstall.NestedProblem) *fluxinstall.LiveCluster {
	for i := range j.Survey.Clusters {
		c := &j.Survey.Clusters[i]
		role := clusterspec.RoleWorkload
		if c.ManagementCluster == c.Name {
			role = clusterspec.RoleManagement
		}
		if nested.Name == layout.AppsName(c.Name) &&
			nested.Namespace == layout.AppsNamespace(j.Config, role) {
			return c
		}
	}
	return nil
}
