package status

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/jsonform"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Judge draws up the report of an observation: what is there, what is not well, and why. It reads nothing but
// the observation. The error is an *UnknownClusterError.
func Judge(o *Observation) (*Report, error) {
	j := &judge{Observation: o, report: &Report{
		Version: jsonform.Version, Command: "status", Time: o.Time,
		ManagementCluster: o.ManagementCluster, Server: o.Survey.Server, Clusters: []ClusterStatus{},
		Drift: []facts.Difference{}, Problems: []Problem{},
	}}
	j.clusters()
	if o.Cluster != "" && len(j.report.Clusters) == 0 {
		return nil, j.unknown()
	}
	j.report.Drift = append(j.report.Drift, o.drift()...)
	if dangling := j.danglingReference(); dangling != nil {
		j.problem(*dangling)
	} else if o.Config == nil {
		j.note("GitOps is not configured: cluster %s has no gitOpsRef", o.ManagementCluster)
	} else if o.NoReference {
		j.note("cluster %s has no gitOpsRef: either Flux has yet to apply its first commit, or this Flux "+
			"is for something else", o.ManagementCluster)
	}
	if o.Config != nil {
		j.repository()
		j.deployKey()
		j.flux()
		j.judgeSource()
		j.judgeKey()
		j.judgeDeletions()
		j.judgeAhead()
		j.judgeSparse()
		j.judgeFlux()
		j.judgeRepository()
	}
	j.judgePauses()
	j.judgeClusters()
	j.judgeNested()
	j.judgeTools()
	j.judgeDrift()
	for _, text := range o.Survey.Unseen {
		j.unseen("a part of the cluster", text, "")
	}
	j.report.Healthy = len(j.report.Problems) == 0
	return j.report, nil
}

// danglingReference is the gitOpsRef of the management cluster that leads nowhere, if it does.
func (j *judge) danglingReference() *Problem {
	for _, c := range j.Survey.ManagementClusters() {
		if c.Name == j.ManagementCluster && c.GitOpsName != "" && j.Survey.GitOpsConfigOf(c.Name) == nil {
			return &Problem{
				Object:  fmt.Sprintf("%s %s/%s", c.GitOpsKind, c.Namespace, c.GitOpsName),
				Message: fmt.Sprintf("it does not exist; the gitOpsRef of cluster %s names it", c.Name),
				Cause:   "somebody deleted it, so that nothing says which repository the clusters are in",
				Next:    j.createCommand(), Cluster: c.Name,
			}
		}
	}
	return nil
}

// judge is one Judge.
type judge struct {
	*Observation
	report *Report
	// the repository does not have what Flux applied from it: nothing that follows from that is a problem of
	// its own
	lost bool
}

func (j *judge) note(format string, args ...any) {
	j.report.Notes = append(j.report.Notes, hint.Text(format, args...))
}

func (j *judge) unseen(what, reason string, help hint.Hint) {
	j.report.Unseen = append(j.report.Unseen, Unseen{What: what, Reason: text.Plain(reason), Hint: help})
}

func (j *judge) problem(p Problem) { j.report.Problems = append(j.report.Problems, p) }

func (j *judge) unknown() error {
	e := &UnknownClusterError{Name: j.Cluster, GitUnseen: j.Config != nil && j.Git == nil}
	for _, c := range j.Survey.Clusters {
		e.Known = append(e.Known, c.Name)
	}
	if j.Git != nil {
		for _, c := range j.Git.Clusters {
			e.Known = append(e.Known, c.Name)
		}
	}
	slices.Sort(e.Known)
	e.Known = slices.Compact(e.Known)
	return e
}

// upToDate says whether the branch's head is what Flux has applied last.
func (o *Observation) upToDate() bool {
	return o.Git != nil && o.Git.Tip.Hash != "" && o.appliedCommit() == o.Git.Tip.Hash
}

// createCommand is what repairs GitOps.
func (j *judge) createCommand() hint.Hint { return createCommand(j.ManagementCluster) }

// createCommand creates, or repairs, a cluster of which the reader has the file.
func createCommand(cluster string) hint.Hint {
	return hint.Command("%s, with the file of %s", hint.Run{Do: hint.Create, File: hint.AnyFile}, cluster)
}

func (j *judge) flux() {
	live := &j.Survey.Flux
	f := &FluxStatus{
		Installed: len(live.Controllers) > 0 || live.GitRepository != nil || live.Kustomization != nil,
		Version:   live.Version, Namespace: j.Survey.Namespace, Interval: j.Survey.Interval,
		Controllers: []ControllerStatus{},
	}
	j.report.Flux = f
	for _, c := range live.Controllers {
		f.Controllers = append(f.Controllers, ControllerStatus{
			Name: c.Name, Image: c.Image, Ready: c.Available, Version: fluxmanifests.ImageVersion(c.Image),
			Asleep: c.Asleep,
		})
	}
	if git := live.GitRepository; git != nil {
		f.Source = &SyncObjectStatus{Name: git.Name, Ready: git.Ready, Suspended: git.Suspended,
			Deleting: git.Deleting, Conditions: conditionsOf(git.Conditions)}
		f.Fetched, f.SparseCheckout = git.Revision, git.SparseCheckout
	}
	if ks := live.Kustomization; ks != nil {
		f.Kustomization = &SyncObjectStatus{Name: ks.Name, Ready: ks.Ready, Suspended: ks.Suspended,
			Deleting: ks.Deleting, Conditions: conditionsOf(ks.Conditions)}
		f.Applied, f.Attempted = ks.AppliedRevision, ks.AttemptedRevision
	}
	for _, pause := range j.Survey.Pauses {
		f.Pauses = append(f.Pauses, pauseStatus(&pause))
	}
	if j.Git != nil && j.Git.Tip.Hash != "" && f.Installed {
		upToDate := j.upToDate()
		f.UpToDate = &upToDate
		if j.Git.Behind >= 0 {
			f.Behind = &j.Git.Behind
		}
	}
}

func conditionsOf(conditions []fluxinstall.Condition) []ConditionStatus {
	list := make([]ConditionStatus, 0, len(conditions))
	for _, c := range conditions {
		list = append(list, ConditionStatus{Type: c.Type, Status: c.Status, Reason: c.Reason,
			Message: c.Message, Since: timeOf(c.Since)})
	}
	return list
}

func pauseStatus(p *fluxinstall.Pause) PauseStatus {
	return PauseStatus{Object: p.Object, Field: p.Field, Description: p.Describe(), By: p.By,
		Since: timeOf(p.Since), Resume: p.Resume}
}

// judgeFlux tells why nothing is fetched or applied.
func (j *judge) judgeFlux() {
	if !j.report.Flux.Installed {
		j.problem(Problem{
			Object: "Flux in namespace " + j.Survey.Namespace, Message: "it is not installed",
			Cause: "nothing that is in Git reaches the cluster", Next: j.createCommand(),
		})
		return
	}
	for _, other := range j.Survey.Flux.Others {
		j.problem(Problem{
			Object: "Flux", Message: "another installation: " + other.Description,
			Cause: "two installations fight over every object",
			Next:  "kubectl get deployments -A -l app.kubernetes.io/part-of=flux",
		})
	}
	j.judgeReleases()
	j.judgeSync()
	key := j.report.DeployKey
	keyGone := key.Registered != nil && !*key.Registered || key.Disabled
	for _, found := range j.Survey.Problems {
		if source := strings.HasPrefix(found.Object, "GitRepository "); source &&
			(j.lost || keyGone && strings.Contains(found.Cause, "credentials")) {
			continue // that is why
		}
		p := j.explain(found)
		if d := j.wakes(found.Object); d != nil {
			p.Next = hint.Text("do not start it before the deletion of %s is stopped: %s", d.Object(), p.Next)
		}
		j.problem(p)
	}
}

// judgeSync makes sure that Flux follows what the GitOps configuration says.
func (j *judge) judgeSync() {
	if git := j.Survey.Flux.GitRepository; git != nil &&
		(!j.follows(git.URL) || git.Branch != j.Config.Branch) {
		j.problem(Problem{
			Object:  "GitRepository " + j.Survey.Namespace + "/" + git.Name,
			Message: fmt.Sprintf("it follows branch %s of %s", git.Branch, git.URL),
			Cause: fmt.Sprintf("%s %s says branch %s of %s",
				j.Config.Kind, j.Config.Name, j.Config.Branch, j.Remote.Cluster),
			Next: j.createCommand(),
		})
	}
	if ks := j.Survey.Flux.Kustomization; ks != nil && !facts.SamePath(ks.Path, layout.SyncPath(j.Config)) {
		j.problem(Problem{
			Object:  "Kustomization " + j.Survey.Namespace + "/" + ks.Name,
			Message: "it applies path " + ks.Path,
			Cause:   fmt.Sprintf("%s %s says %s", j.Config.Kind, j.Config.Name, layout.SyncPath(j.Config)),
			Next:    j.createCommand(),
		})
	}
}

// explain adds to what Flux reports the file of the repository that is to blame.
func (j *judge) explain(found *fluxinstall.NotReadyError) Problem {
	message := strings.TrimSpace(found.Message)
	if found.Reason != "" {
		message = found.Reason + ": " + message
	}
	p := Problem{Object: found.Object, Message: message, Cause: found.Cause, Next: found.Next}
	p.File, p.Cluster = j.fileOf(found)
	if p.File != "" {
		p.Next = hint.Command("in a clone of the repository, see what changed last: git log -p -1 -- %s",
			p.File)
	}
	return p
}

// fileOf finds the file that a problem blames, and the cluster it belongs to. A build that fails without
// naming a file is the fault of one that cannot be read.
func (j *judge) fileOf(found *fluxinstall.NotReadyError) (file, cluster string) {
	if j.Git == nil {
		if found.CulpritIsFile() {
			return found.Culprit, ""
		}
		return "", ""
	}
	for i := range j.Git.Clusters {
		c := &j.Git.Clusters[i]
		dir := path.Dir(path.Dir(c.Path))
		switch {
		case found.CulpritIsFile() && (found.Culprit == dir || strings.HasPrefix(found.Culprit, dir+"/")):
			if found.Culprit == dir || found.Culprit == path.Dir(c.Path) {
				return c.Path, c.Name
			}
			return found.Culprit, c.Name
		case found.Culprit != "" && slices.ContainsFunc(c.Objects, func(o facts.GitObject) bool {
			return o.Kind+"/"+o.Namespace+"/"+o.Name == found.Culprit
		}):
			return c.Path, c.Name
		case found.Culprit == "" && found.Reason == "BuildFailed" && c.Read && len(c.Objects) == 0:
			return c.Path, c.Name
		}
	}
	if found.CulpritIsFile() {
		return found.Culprit, ""
	}
	return "", ""
}

// judgeRepository says that what is in Git has not arrived, when nothing else has said why.
func (j *judge) judgeRepository() {
	if j.Git == nil || !j.report.Flux.Installed {
		return
	}
	if j.Git.State != git.BranchExists && !j.lost {
		// Flux follows something else, which is told as well, or is not there.
		j.problem(Problem{
			Object: "branch " + j.Config.Branch, Message: "it is not in " + j.Remote.Web,
			Cause: "there is nothing that Flux could apply", Next: j.createCommand(),
		})
	}
	if j.lost || j.Git.State != git.BranchExists {
		return
	}
	if j.upToDate() || len(j.report.Problems) > 0 {
		return
	}
	f := j.report.Flux
	head := facts.ShortCommit(j.Git.Tip.Hash)
	distance := ""
	if j.Git.Behind > 0 {
		distance = ", " + countCommits(j.Git.Behind) + " behind"
	}
	applied := "nothing"
	if commit := j.appliedCommit(); commit != "" {
		applied = facts.ShortCommit(commit)
	}
	p := Problem{
		Object:  fmt.Sprintf("Kustomization %s/%s", j.Survey.Namespace, j.Survey.Namespace),
		Message: fmt.Sprintf("Flux has applied %s%s; the branch is at %s", applied, distance, head),
	}
	if facts.CommitOf(f.Fetched) == j.Git.Tip.Hash {
		p.Cause = "Flux has fetched the commit and is applying it"
		p.Next = hint.Command("%s, or: kubectl -n %s logs deployment/kustomize-controller --tail 20",
			hint.WatchStatus, f.Namespace)
	} else {
		p.Cause = "Flux has not looked at the repository since the push"
		if f.Interval != "" {
			p.Cause += "; it does every " + f.Interval
		}
		p.Next = hint.Command("make it look now: kubectl -n %s annotate --overwrite "+
			"gitrepositories.source.toolkit.fluxcd.io %s reconcile.fluxcd.io/requestedAt=",
			f.Namespace, f.Namespace) +
			`"$(date +%s)"`
	}
	j.problem(p)
}

func countCommits(n int) string {
	if n == 1 {
		return "1 commit"
	}
	return fmt.Sprintf("%d commits", n)
}
