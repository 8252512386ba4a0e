package gitops

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Judge draws up the report of an observation: what is there, what is not well, and why. It reads nothing but the observation. The
// error is an *UnknownClusterError.
func Judge(o *Observation) (*Report, error) {
	j := &judge{Observation: o, report: &Report{
		Version: ResultVersion, Command: "status", Time: o.Time, ManagementCluster: o.ManagementCluster, Server: o.Survey.Server,
		Clusters: []ClusterStatus{}, Drift: []Difference{}, Problems: []Problem{},
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
		j.note("cluster %s has no gitOpsRef: either Flux has yet to apply its first commit, or this Flux is for something else", o.ManagementCluster)
	}
	if o.Config != nil {
		j.repository()
		j.deployKey()
		j.flux()
		j.judgeSource()
		j.judgeKey()
		j.judgeFlux()
		j.judgeRepository()
	}
	j.judgePauses()
	j.judgeClusters()
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
				Object: fmt.Sprintf("%s %s/%s", c.GitOpsKind, c.Namespace, c.GitOpsName), Message: fmt.Sprintf("it does not exist; the gitOpsRef of cluster %s names it", c.Name),
				Cause: "somebody deleted it, so that nothing says which repository the clusters are in", Next: j.createAgain(), Cluster: c.Name,
			}
		}
	}
	return nil
}

// judge is one Judge.
type judge struct {
	*Observation
	report *Report
	lost   bool // the repository does not have what Flux applied from it: nothing that follows from that is a problem of its own
}

func (j *judge) note(format string, args ...any) {
	j.report.Notes = append(j.report.Notes, fmt.Sprintf(format, args...))
}

func (j *judge) unseen(what, reason, hint string) {
	j.report.Unseen = append(j.report.Unseen, Unseen{What: what, Reason: reason, Hint: hint})
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

// createAgain is what repairs GitOps.
func (j *judge) createAgain() string {
	return fmt.Sprintf("eksa-gitops create cluster -f FILE, with the file of %s", j.ManagementCluster)
}

func (j *judge) repository() {
	r := &RepositoryStatus{URL: j.Remote.Web, Branch: j.Config.Branch, Path: layout.RootDir(j.Config)}
	j.report.Repository = r
	switch {
	case j.Git == nil:
		j.report.Unseen = append(j.report.Unseen, Unseen{What: "the repository", Reason: j.unseenReason(), Hint: hintOf(j.unseenError()), Problem: true})
	case j.Git.State == gitrepo.BranchExists:
		tip := j.Git.Tip
		r.Seen, r.Commit, r.Author, r.Subject, r.Time = true, tip.Hash, tip.Author.Name, tip.Subject, timeOf(tip.When)
	default:
		r.Seen = true
	}
}

// unseenError is why the repository could not be looked at. That the host says there is none tells more than Git's refusal.
func (j *judge) unseenError() error {
	if j.Host != nil && errors.Is(j.Host.Err, github.ErrNotFound) {
		return j.Host.Err
	}
	return j.GitErr
}

func (j *judge) unseenReason() string {
	if err := j.unseenError(); err != nil {
		return err.Error()
	}
	return "it was not looked at"
}

// judgeSource tells what is wrong with the repository itself, and comes before all that follows from that.
func (j *judge) judgeSource() {
	repository := (*github.Repository)(nil)
	if j.Host != nil {
		repository = j.Host.Repository
	}
	object := "repository " + j.Remote.Web
	switch {
	case repository != nil && repository.Disabled:
		j.problem(Problem{
			Object: object, Message: "GitHub has disabled it", Cause: "nobody can read or write what is in it: " + nothingNew,
			Next: "its owner has to turn to GitHub's support, or to the administrator of an enterprise server",
		})
	case repository != nil && repository.Archived:
		j.problem(Problem{
			Object: object, Message: "it is archived", Cause: "nobody can push to it; " + nothingNew,
			Next: "take it out of the archive in its settings: " + repository.URL + "/settings",
		})
	}
	if repository != nil {
		if now := presentName(repository, refOfConfig(j.Config)); now != "" {
			j.report.Repository.RenamedTo = now
			kind := j.Config.Kind
			if j.NoReference {
				kind = "FluxConfig" // in Git, which Flux has yet to apply
			}
			j.report.Notes = append(j.report.Notes, renameText(refOfConfig(j.Config), now, leaveOldName(kind)))
		}
	}
	if j.Git == nil {
		if repository == nil || !repository.Disabled {
			j.problem(j.unseenRepository(object))
		}
		return
	}
	if lost := j.loss(); lost != nil {
		j.lost = true
		j.problem(Problem{Object: lost.object(), Message: lost.message(), Cause: lost.cause(), Next: lost.next()})
	}
}

// unseenRepository is that the repository is gone, or could not be looked at: it cannot be said that all is well.
func (j *judge) unseenRepository(object string) Problem {
	err := j.unseenError()
	p := Problem{
		Object: object, Message: j.unseenReason(), Next: hintOf(err),
		Cause: "it was not looked at, so that nothing is said about what is in Git",
	}
	if !errors.Is(err, github.ErrNotFound) && !errors.As(err, new(*gitrepo.NotFoundError)) {
		return p
	}
	lost := &loss{config: j.Config, remote: j.Remote, gone: true}
	p.Message, p.Next = "it does not exist any more, or the credentials may not see it: "+p.Message, lost.next()
	p.Cause = "when it is gone, " + lost.cause()
	if source := j.Survey.Flux.GitRepository; source != nil && source.Ready {
		p.Cause = "Flux could read it when it looked last, so most likely it is the credentials; " + p.Cause
		return p
	}
	j.lost = true
	return p
}

// loss is what the branch does not have of what Flux has applied; nil when it has it, or Flux follows something else.
func (j *judge) loss() *loss {
	git, ks := j.Survey.Flux.GitRepository, j.Survey.Flux.Kustomization
	if !j.report.Flux.Installed || git != nil && (!j.follows(git.URL) || git.Branch != j.Config.Branch) || ks != nil && !samePath(ks.Path, layout.SyncPath(j.Config)) {
		return nil
	}
	l := &loss{config: j.Config, remote: j.Remote, applied: j.appliedCommit(), state: j.Git.State, renamed: j.Git.Renamed, head: j.Git.Tip.Hash}
	if j.report.DeployKey != nil {
		l.registered = j.report.DeployKey.Registered
	}
	switch {
	case j.Git.State != gitrepo.BranchExists:
		return l
	case !j.Git.Lacks || ks == nil:
		return nil
	}
	l.lacking = lackingClusters(ks, func(name string) bool {
		return slices.ContainsFunc(j.Git.Clusters, func(c GitCluster) bool { return c.Name == name })
	})
	if len(l.lacking) == 0 {
		j.report.Notes = append(j.report.Notes, rewrittenText(l.applied, j.Config.Branch))
		return nil
	}
	return l
}

// follows says whether a URL that Flux fetches from is the repository of the configuration.
func (j *judge) follows(url string) bool {
	other := github.RepoRef{}
	if j.Host != nil {
		other = j.Host.OtherName
	}
	return j.Remote.Cluster == "" || j.Remote.follows(j.Config, url, other)
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// deployKey holds the key in the cluster against those that the host knows.
func (j *judge) deployKey() {
	namespace := j.Survey.Namespace
	k := &DeployKeyStatus{Secret: namespace + "/" + fluxinstall.SourceSecretName}
	if source := j.Survey.Flux.GitRepository; source != nil && source.Secret != "" {
		k.Secret = namespace + "/" + source.Secret
	}
	j.report.DeployKey = k
	secret := j.Survey.Flux.SourceSecret
	if secret == nil {
		return
	}
	k.Fingerprint, k.PublicKey, k.Username = secret.Fingerprint, strings.TrimSpace(secret.PublicKey), secret.Username
	if j.Host == nil || secret.PublicKey == "" {
		return
	}
	if err := j.Host.KeysErr; err != nil {
		// A token that is missing, or a repository that is, is said once, with the repository.
		if j.GitErr == nil || j.GitErr.Error() != err.Error() && !errors.Is(err, github.ErrNotFound) {
			j.unseen("the deploy keys", err.Error(), hintOf(err))
		}
		return
	}
	i := slices.IndexFunc(j.Host.Keys, func(key github.DeployKey) bool { return key.SameMaterial(secret.PublicKey) })
	registered := i >= 0
	k.Registered = &registered
	if registered {
		readOnly := j.Host.Keys[i].ReadOnly
		k.ReadOnly, k.Title, k.Disabled = &readOnly, j.Host.Keys[i].Title, j.Host.Keys[i].Disabled
	}
}

// judgeKey comes first: without a key that the host knows nothing is fetched, whatever the objects say so far.
func (j *judge) judgeKey() {
	if j.Survey.Flux.GitRepository == nil {
		return
	}
	k := j.report.DeployKey
	switch {
	case j.Survey.Flux.SourceSecret == nil && j.Survey.Flux.GitRepository.Secret != "" && !j.secretUnseen():
		j.problem(Problem{
			Object: "Secret " + k.Secret, Message: "it does not exist",
			Cause: "Flux has no credentials to read the repository with", Next: j.createAgain(),
		})
	case k.Registered != nil && !*k.Registered && !j.lost:
		j.problem(Problem{
			Object: "deploy key " + k.Fingerprint, Message: fmt.Sprintf("the key in Secret %s is not among the deploy keys of %s", k.Secret, j.Remote.Web),
			Cause: "somebody removed it, or GitHub did when the token was deleted that had registered it: Flux cannot fetch any more",
			Next:  j.createAgain() + ": it registers the key again",
		})
	case k.Disabled:
		j.problem(Problem{
			Object: "deploy key " + k.Fingerprint, Message: fmt.Sprintf("it is registered at %s as %q and disabled", j.Remote.Web, k.Title),
			Cause: "the organization does not allow deploy keys: Flux cannot fetch any more",
			Next:  "have an owner of the organization allow them (organization settings, Deploy keys); Flux then goes on by itself",
		})
	case k.ReadOnly != nil && !*k.ReadOnly:
		j.note("the deploy key %s may write to the repository; reading is all that Flux needs (%s replaces it)", k.Fingerprint, j.createAgain())
	}
}

// secretUnseen says whether the Secret may be there, and only the right to read it is missing.
func (j *judge) secretUnseen() bool {
	return slices.ContainsFunc(j.Survey.Unseen, func(text string) bool { return strings.Contains(text, "secrets") })
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
		f.Controllers = append(f.Controllers, ControllerStatus{Name: c.Name, Image: c.Image, Ready: c.Available})
	}
	if git := live.GitRepository; git != nil {
		f.Source = &SyncObjectStatus{Name: git.Name, Ready: git.Ready, Suspended: git.Suspended, Conditions: conditionsOf(git.Conditions)}
		f.Fetched = git.Revision
	}
	if ks := live.Kustomization; ks != nil {
		f.Kustomization = &SyncObjectStatus{Name: ks.Name, Ready: ks.Ready, Suspended: ks.Suspended, Conditions: conditionsOf(ks.Conditions)}
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
		list = append(list, ConditionStatus{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message, Since: timeOf(c.Since)})
	}
	return list
}

func pauseStatus(p *fluxinstall.Pause) PauseStatus {
	return PauseStatus{Object: p.Object, Field: p.Field, Description: p.Describe(), By: p.By, Since: timeOf(p.Since), Resume: p.Resume}
}

// judgeFlux tells why nothing is fetched or applied.
func (j *judge) judgeFlux() {
	if !j.report.Flux.Installed {
		j.problem(Problem{
			Object: "Flux in namespace " + j.Survey.Namespace, Message: "it is not installed",
			Cause: "nothing that is in Git reaches the cluster", Next: j.createAgain(),
		})
		return
	}
	for _, other := range j.Survey.Flux.Others {
		j.problem(Problem{
			Object: "Flux", Message: "another installation: " + other.Description,
			Cause: "two installations fight over every object", Next: "kubectl get deployments -A -l app.kubernetes.io/part-of=flux",
		})
	}
	j.judgeSync()
	key := j.report.DeployKey
	keyGone := key.Registered != nil && !*key.Registered || key.Disabled
	for _, found := range j.Survey.Problems {
		if source := strings.HasPrefix(found.Object, "GitRepository "); source && (j.lost || keyGone && strings.Contains(found.Cause, "credentials")) {
			continue // that is why
		}
		j.problem(j.explain(found))
	}
}

// judgeSync makes sure that Flux follows what the GitOps configuration says.
func (j *judge) judgeSync() {
	if git := j.Survey.Flux.GitRepository; git != nil && (!j.follows(git.URL) || git.Branch != j.Config.Branch) {
		j.problem(Problem{
			Object: "GitRepository " + j.Survey.Namespace + "/" + git.Name, Message: fmt.Sprintf("it follows branch %s of %s", git.Branch, git.URL),
			Cause: fmt.Sprintf("%s %s says branch %s of %s", j.Config.Kind, j.Config.Name, j.Config.Branch, j.Remote.Cluster), Next: j.createAgain(),
		})
	}
	if ks := j.Survey.Flux.Kustomization; ks != nil && !samePath(ks.Path, layout.SyncPath(j.Config)) {
		j.problem(Problem{
			Object: "Kustomization " + j.Survey.Namespace + "/" + ks.Name, Message: "it applies path " + ks.Path,
			Cause: fmt.Sprintf("%s %s says %s", j.Config.Kind, j.Config.Name, layout.SyncPath(j.Config)), Next: j.createAgain(),
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
		p.Next = "in a clone of the repository, see what changed last: git log -p -1 -- " + p.File
	}
	return p
}

// fileOf finds the file that a problem blames, and the cluster it belongs to. A build that fails without naming a file is the fault of
// one that cannot be read.
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
		case found.Culprit != "" && slices.ContainsFunc(c.Objects, func(o GitObject) bool { return o.Kind+"/"+o.Namespace+"/"+o.Name == found.Culprit }):
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
	if j.Git.State != gitrepo.BranchExists && !j.lost {
		// Flux follows something else, which is told as well, or is not there.
		j.problem(Problem{
			Object: "branch " + j.Config.Branch, Message: "it is not in " + j.Remote.Web, Cause: "there is nothing that Flux could apply", Next: j.createAgain(),
		})
	}
	if j.lost || j.Git.State != gitrepo.BranchExists {
		return
	}
	if j.upToDate() || len(j.report.Problems) > 0 {
		return
	}
	f := j.report.Flux
	head := short(j.Git.Tip.Hash)
	distance := ""
	if j.Git.Behind > 0 {
		distance = ", " + countCommits(j.Git.Behind) + " behind"
	}
	applied := "nothing"
	if commit := j.appliedCommit(); commit != "" {
		applied = short(commit)
	}
	p := Problem{
		Object:  fmt.Sprintf("Kustomization %s/%s", j.Survey.Namespace, j.Survey.Namespace),
		Message: fmt.Sprintf("Flux has applied %s%s; the branch is at %s", applied, distance, head),
	}
	if commitOf(f.Fetched) == j.Git.Tip.Hash {
		p.Cause = "Flux has fetched the commit and is applying it"
		p.Next = fmt.Sprintf("eksa-gitops status --watch, or: kubectl -n %s logs deployment/kustomize-controller --tail 20", f.Namespace)
	} else {
		p.Cause = "Flux has not looked at the repository since the push"
		if f.Interval != "" {
			p.Cause += "; it does every " + f.Interval
		}
		p.Next = fmt.Sprintf("make it look now: kubectl -n %s annotate --overwrite gitrepositories.source.toolkit.fluxcd.io %s reconcile.fluxcd.io/requestedAt=\"$(date +%%s)\"", f.Namespace, f.Namespace)
	}
	j.problem(p)
}

func countCommits(n int) string {
	if n == 1 {
		return "1 commit"
	}
	return fmt.Sprintf("%d commits", n)
}

// clusters brings together what Git and the management cluster know, sorted: the management cluster first, then by name.
func (j *judge) clusters() {
	inGit := map[string]*GitCluster{}
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
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
}

func (j *judge) liveStatus(c *fluxinstall.LiveCluster) ClusterStatus {
	status := ClusterStatus{
		Name: c.Name, Namespace: c.Namespace, Role: roleOf(c.Name, c.ManagementCluster), ManagementCluster: c.ManagementCluster,
		KubernetesVersion: c.KubernetesVersion, ControlPlane: machineStatus(c.ControlPlane), Workers: machineStatus(c.Workers),
		Ready: c.Problem == nil, Deleting: c.Deleting, Created: timeOf(c.Created), FailureMessage: c.FailureMessage,
		Conditions: conditionsOf(c.Conditions),
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

func (j *judge) gitStatus(c *GitCluster) ClusterStatus {
	return ClusterStatus{
		Name: c.Name, Namespace: cmp.Or(c.Namespace, "default"), ManagementCluster: cmp.Or(c.ManagementCluster, j.ManagementCluster),
		Role: roleOf(c.Name, cmp.Or(c.ManagementCluster, j.ManagementCluster)), KubernetesVersion: c.KubernetesVersion, State: StateOnlyGit,
		ControlPlane: MachineStatus{Desired: c.ControlPlanes}, Workers: MachineStatus{Desired: c.Workers}, SpecPath: c.Path,
		Message: "there is no such Cluster object",
	}
}

func roleOf(name, managementCluster string) string {
	if name == managementCluster {
		return string(clusterspec.RoleManagement)
	}
	return string(clusterspec.RoleWorkload)
}

func machineStatus(m fluxinstall.Machines) MachineStatus {
	status := MachineStatus{Desired: m.Desired}
	if m.Ready >= 0 {
		status.Ready = &m.Ready
	}
	return status
}

// judgePauses says which objects are left alone, and by whom.
func (j *judge) judgePauses() {
	pause := func(cluster string, pauses []fluxinstall.Pause) {
		for _, p := range pauses {
			j.problem(Problem{
				Object: p.Object, Message: p.Describe(), Cause: "what changes in Git does not reach it, or is not worked on, until the annotation is gone",
				Next: "when it is meant to go on: " + p.Resume, Cluster: cluster,
			})
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
		if slices.ContainsFunc(c.Objects, func(o GitObject) bool {
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
		case c.State == StateOnlyGit && j.upToDate() && len(j.Survey.Problems) == 0:
			j.problem(Problem{
				Object: object, Message: "it is in Git, and not in the cluster although Flux has applied the commit", Cluster: c.Name, File: c.SpecPath,
				Cause: "Flux does not build its directory, for example because a kustomization above does not list it, or somebody deleted the object and Flux has not brought it back yet",
				Next:  fmt.Sprintf("kubectl -n %s describe kustomizations.kustomize.toolkit.fluxcd.io %s", j.Survey.Namespace, j.Survey.Namespace),
			})
		case c.State == StateOnlyCluster && !j.lost:
			j.problem(Problem{
				Object: object, Message: "it has a GitOps configuration, but no files in Git", Cluster: c.Name,
				Cause: "a change in Git cannot reach it: its files were never pushed, or they were removed without Flux deleting it",
				Next:  fmt.Sprintf("put its file into Git: eksa-gitops create cluster -f FILE, with the file of %s", c.Name),
			})
		}
	}
	for i := range j.Survey.Clusters {
		c := &j.Survey.Clusters[i]
		if c.Problem == nil || j.Cluster != "" && c.Name != j.Cluster || c.Problem.Reason == "Paused" && len(c.Pauses) > 0 {
			continue
		}
		p := j.explain(c.Problem)
		p.Cluster = c.Name
		j.problem(p)
	}
	j.judgeApps()
}

// judgeApps tells of clusters whose apps are not applied. Of one that is not Ready, that is no wonder.
func (j *judge) judgeApps() {
	if j.Config == nil {
		return
	}
	for i := range j.Survey.Clusters {
		c := &j.Survey.Clusters[i]
		role := clusterspec.RoleWorkload
		if c.ManagementCluster == c.Name {
			role = clusterspec.RoleManagement
		}
		for _, nested := range j.Survey.Nested {
			if c.Problem != nil || j.Cluster != "" && c.Name != j.Cluster || nested.Name != layout.AppsName(c.Name) || nested.Namespace != layout.AppsNamespace(j.Config, role) {
				continue
			}
			p := j.explain(nested.Problem)
			p.Cluster = c.Name
			j.problem(p)
		}
	}
}

// judgeDrift sums up the differences of each cluster: the fields are in the report.
func (j *judge) judgeDrift() {
	if j.LiveErr != nil {
		j.unseen("drift", j.LiveErr.Error(), hintOf(j.LiveErr))
	}
	if j.Git != nil && !j.Brief {
		for _, c := range j.Git.Clusters {
			if c.Broken != "" && (j.Cluster == "" || c.Name == j.Cluster) {
				j.report.NotCompared = append(j.report.NotCompared, NotCompared{Cluster: c.Name, Reason: c.Broken})
			}
		}
	}
	var objects []string
	first := map[string]*Difference{}
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
			p.Cause = "somebody deleted it; Flux makes it anew when it applies next"
			p.Next = "wait for Flux, or see: eksa-gitops status --watch"
		}
		if j.leftAlone(object) {
			p.Cause = "it differs from Git, and nothing puts it back while it is left alone"
			p.Next = "to keep the change, make it in Git; then let Flux work on it again"
		}
		j.problem(p)
	}
}

// Text is the difference in a few words.
func (d *Difference) Text() string {
	switch {
	case d.Field == "":
		return "it is in Git, and not in the cluster"
	case d.Live == "":
		return fmt.Sprintf("%s is not set; Git says %s", d.Field, d.Git)
	default:
		return fmt.Sprintf("%s is %s; Git says %s", d.Field, d.Live, d.Git)
	}
}

// leftAlone says whether Flux does not correct an object now.
func (j *judge) leftAlone(object string) bool {
	if slices.ContainsFunc(j.Survey.Pauses, func(p fluxinstall.Pause) bool { return strings.HasPrefix(p.Object, "Kustomization ") }) {
		return true
	}
	named := func(p fluxinstall.Pause) bool { return p.Object == object }
	return slices.ContainsFunc(j.Live, func(o fluxinstall.LiveObject) bool { return slices.ContainsFunc(o.Pauses, named) })
}
