package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// clusters brings together what Git and the management cluster know, sorted: the management cluster first,
// then by name.
func (j *judge) clusters() {
	inGit := map[string]*facts.GitCluster{}
	if j.Git != nil {
		for i := range j.Git.Clusters {
			inGit[j.Git.Clusters[i].Name] = &j.Git.Clusters[i]
		}
	}
	gitSeen := j.Config != nil && j.Git != nil
	live := map[string]bool{}
	for i := range j.Survey.Clusters {
		c := &j.Survey.Clusters[i]
		live[c.Name] = true
		if j.Cluster != "" && c.Name != j.Cluster {
			continue
		}
		status := j.liveStatus(c)
		switch git := inGit[c.Name]; {
		case git != nil:
			status.SpecPath = git.Path
		case gitSeen && c.GitOpsKind == "" && c.AppliedBy == "", j.Config == nil:
			status.State = StateUnmanaged
		case gitSeen:
			status.State = StateOnlyCluster
		}
		j.report.Clusters = append(j.report.Clusters, status)
	}
	if j.Git != nil {
		for _, c := range j.Git.Clusters {
			if live[c.Name] || j.Cluster != "" && c.Name != j.Cluster {
				continue
			}
			j.report.Clusters = append(j.report.Clusters, j.gitStatus(&c))
		}
	}
	slices.SortFunc(j.report.Clusters, func(a, b ClusterStatus) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Namespace, b.Namespace))
	})
}

func (j *judge) liveStatus(c *fluxinstall.LiveCluster) ClusterStatus {
	status := ClusterStatus{
		Name: c.Name, Namespace: c.Namespace, Role: facts.RoleOf(c.Name, c.ManagementCluster),
		ManagementCluster: c.ManagementCluster, KubernetesVersion: c.KubernetesVersion,
		ControlPlane: facts.MachineStatusOf(c.ControlPlane), Workers: facts.MachineStatusOf(c.Workers),
		Ready: c.Problem == nil, Deleting: c.Deleting, Created: timeOf(c.Created),
		FailureMessage: c.FailureMessage, Conditions: conditionsOf(c.Conditions),
	}
	if c.Problem != nil {
		status.Message = c.Problem.Error()
	}
	if c.AppliedBy == j.Survey.Namespace+"/"+j.Survey.Namespace {
		status.Commit = j.appliedCommit()
	}
	for _, pause := range c.Pauses {
		status.Paused = append(status.Paused, pauseStatus(&pause))
	}
	return status
}

func (j *judge) gitStatus(c *facts.GitCluster) ClusterStatus {
	return ClusterStatus{
		Name: c.Name, Namespace: cmp.Or(c.Namespace, "default"),
		ManagementCluster: cmp.Or(c.ManagementCluster, j.ManagementCluster),
		Role:              facts.RoleOf(c.Name, cmp.Or(c.ManagementCluster, j.ManagementCluster)),
		KubernetesVersion: c.KubernetesVersion,
		State:             StateOnlyGit, ControlPlane: facts.MachineStatus{Desired: c.ControlPlanes},
		Workers: facts.MachineStatus{Desired: c.Workers}, SpecPath: c.Path,
		Message: "there is no such Cluster object",
	}
}

// judgePauses says which objects are left alone, and by whom.
func (j *judge) judgePauses() {
	pause := func(cluster string, pauses []fluxinstall.Pause) {
		for _, p := range pauses {
			j.problem(j.pauseProblem(cluster, &p))
		}
	}
	for i := range j.Survey.Clusters {
		if c := &j.Survey.Clusters[i]; j.Cluster == "" || c.Name == j.Cluster {
			pause(c.Name, c.Pauses)
		}
	}
	for _, object := range j.Live {
		if object.Kind != "Cluster" && len(object.Pauses) > 0 {
			if cluster, mine := j.clusterOf(&object); mine {
				pause(cluster, object.Pauses)
			}
		}
	}
}

// clusterOf is the cluster whose files hold an object; mine says that it is one that is asked about.
func (j *judge) clusterOf(object *fluxinstall.LiveObject) (cluster string, mine bool) {
	if j.Git == nil {
		return "", j.Cluster == ""
	}
	for i := range j.Git.Clusters {
		c := &j.Git.Clusters[i]
		if slices.ContainsFunc(c.Objects, func(o facts.GitObject) bool {
			return o.Kind == object.Kind && o.Namespace == object.Namespace && o.Name == object.Name
		}) {
			return c.Name, true
		}
	}
	return "", j.Cluster == ""
}

func (j *judge) judgeClusters() {
	for i := range j.report.Clusters {
		c := &j.report.Clusters[i]
		object := fmt.Sprintf("Cluster %s/%s", c.Namespace, c.Name)
		switch {
		case c.State == StateOnlyGit && j.upToDate() && len(j.Survey.Problems) == 0 &&
			j.hasApplied(c.Namespace, c.Name):
			j.problem(Problem{
				Object:  object,
				Message: "it is in Git, and somebody deleted it in the cluster",
				Cluster: c.Name, File: c.SpecPath,
				Cause: "Flux has applied it, and creates it again when it applies next; EKS Anywhere then " +
					"builds the cluster with new machines",
				Next: hint.Text("to be rid of the cluster, take it out of Git: %s; else wait for Flux",
					hint.Run{Do: hint.Delete, Clusters: []string{c.Name}}),
			})
		case c.State == StateOnlyGit && j.upToDate() && len(j.Survey.Problems) == 0:
			j.problem(Problem{
				Object:  object,
				Message: "it is in Git, and not in the cluster although Flux has applied the commit",
				Cluster: c.Name, File: c.SpecPath,
				Cause: "Flux does not build its directory, for example because a kustomization above does " +
					"not list it",
				Next: hint.Command("kubectl -n %s describe kustomizations.kustomize.toolkit.fluxcd.io %s",
					j.Survey.Namespace, j.Survey.Namespace),
			})
		// one that goes has its own problem, if it hangs
		case c.State == StateOnlyCluster && !j.lost && !c.Deleting:
			j.problem(Problem{
				Object: object, Message: "it has a GitOps configuration, but no files in Git",
				Cluster: c.Name, Cause: "a change in Git cannot reach it: its files were never pushed, or " +
					"they were removed without Flux deleting it",
				Next: "put its file into Git: " + createCommand(c.Name),
			})
		}
	}
	for i := range j.Survey.Clusters {
		c := &j.Survey.Clusters[i]
		if c.Problem == nil || j.deleting(fmt.Sprintf("Cluster %s/%s", c.Namespace, c.Name)) ||
			j.Cluster != "" && c.Name != j.Cluster || c.Problem.Reason == "Paused" && len(c.Pauses) > 0 {
			continue
		}
		p := j.explain(c.Problem)
		p.Cluster = c.Name
		j.problem(p)
	}
}

// hasApplied says whether a Cluster is among what Flux has applied.
func (j *judge) hasApplied(namespace, name string) bool {
	if j.Survey.Flux.Kustomization == nil {
		return false
	}
	return slices.ContainsFunc(j.Survey.Flux.Kustomization.Inventory, func(id string) bool {
		applied, ok := fluxbuild.ParseID(id)
		return ok && applied.Kind == "Cluster" && applied.Namespace == namespace && applied.Name == name &&
			strings.HasPrefix(clusterspec.APIVersion, applied.Group+"/")
	})
}

// judgeDrift sums up the differences of each cluster: the fields are in the report.
func (j *judge) judgeDrift() {
	if j.LiveErr != nil {
		j.unseen("drift", j.LiveErr.Error(), hint.Of(j.LiveErr))
	}
	if j.Git != nil && !j.Brief {
		for _, c := range j.Git.Clusters {
			if c.Broken != "" && (j.Cluster == "" || c.Name == j.Cluster) {
				j.report.NotCompared = append(j.report.NotCompared,
					NotCompared{Cluster: c.Name, Reason: c.Broken})
			}
		}
	}
	var objects []string
	first, refused := map[string]*facts.Difference{}, map[string]string{}
	counts := map[string]int{}
	for i := range j.report.Drift {
		d := &j.report.Drift[i]
		if d.Pending {
			continue
		}
		if first[d.Object] == nil {
			objects = append(objects, d.Object)
			first[d.Object] = d
		}
		counts[d.Object]++
		if why := refusedBack(d); why != "" && refused[d.Object] == "" {
			first[d.Object], refused[d.Object] = d, why
		}
	}
	for _, object := range objects {
		d := first[object]
		p := Problem{
			Object: object, Cluster: d.Cluster, Message: d.Text(),
			Cause: "somebody changed it in the cluster; Flux puts back what Git says when it applies next",
			Next:  "to keep the change, make it in Git; else wait for Flux",
		}
		if n := counts[object]; n > 1 {
			p.Message += fmt.Sprintf(" (and %d more)", n-1)
		}
		if d.Field == "" {
			p.Cause = "somebody deleted it; Flux creates it again when it applies next"
			p.Next = "wait for Flux, or see: " + hint.WatchStatus.Hint()
		}
		if why := refused[object]; why != "" {
			p.Cause = "somebody changed it in the cluster, and Flux cannot put back what Git says: " + why
			p.Next = hint.Text("let Git follow: put %s: %q into the file of %s, then run %s",
				d.Field, d.Live, d.Cluster, hint.Run{Do: hint.Upgrade, File: hint.AnyFile})
		}
		if j.leftAlone(object) && refused[object] == "" {
			p.Cause = "it differs from Git, and nothing puts it back while it is left alone"
			p.Next = "to keep the change, make it in Git; then let Flux work on it again"
		}
		j.problem(p)
	}
}

// refusedBack says why EKS Anywhere does not let Flux put back what Git says; empty when it does.
func refusedBack(d *facts.Difference) string {
	if !strings.HasPrefix(d.Object, "Cluster ") {
		return ""
	}
	return clusterspec.RefusedVersion(d.Field, d.Live, d.Git)
}

// leftAlone says whether Flux does not correct an object now.
func (j *judge) leftAlone(object string) bool {
	if slices.ContainsFunc(j.Survey.Pauses,
		func(p fluxinstall.Pause) bool { return strings.HasPrefix(p.Object, "Kustomization ") }) {
		return true
	}
	named := func(p fluxinstall.Pause) bool { return p.Object == object }
	return slices.ContainsFunc(j.Live, func(o fluxinstall.LiveObject) bool {
		return slices.ContainsFunc(o.Pauses, named)
	})
}
