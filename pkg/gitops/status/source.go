package status

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// What status judges of the repository, and of the key with which Flux reads it.

func (j *judge) repository() {
	r := &RepositoryStatus{URL: j.Remote.Web, Branch: j.Config.Branch, Path: layout.RootDir(j.Config)}
	j.report.Repository = r
	switch {
	case j.Git == nil:
		j.report.Unseen = append(j.report.Unseen, Unseen{What: "the repository", Reason: j.unseenReason(),
			Hint: hint.Of(j.unseenError()), Problem: true})
	case j.Git.State == git.BranchExists:
		tip := j.Git.Tip
		r.Seen, r.Commit, r.Author, r.Subject, r.Time = true, tip.Hash, tip.Author.Name, tip.Subject,
			timeOf(tip.When)
	default:
		r.Seen = true
	}
}

// unseenError is why the repository could not be looked at. That the host says there is none tells more than
// Git's refusal.
func (j *judge) unseenError() error {
	if j.Host != nil && errors.Is(j.Host.Err, github.ErrNotFound) {
		return j.Host.Err
	}
	return j.GitErr
}

func (j *judge) unseenReason() string {
	if err := j.unseenError(); err != nil {
		return text.Plain(err.Error())
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
			Object: object, Message: "GitHub has disabled it",
			Cause: "nobody can read or write what is in it: " + facts.NothingNew, Next: "its owner has to " +
				"turn to GitHub's support, or to the administrator of an enterprise server",
		})
	case repository != nil && repository.Archived:
		j.problem(Problem{
			Object: object, Message: "it is archived", Cause: "nobody can push to it; " + facts.NothingNew,
			Next: hint.Text("take it out of the archive in its settings: %s/settings", repository.URL),
		})
	}
	if repository != nil {
		if now := facts.PresentName(repository, facts.RefOf(j.Config)); now != "" {
			j.report.Repository.RenamedTo = now
			kind := j.Config.Kind
			if j.NoReference {
				kind = "FluxConfig" // in Git, which Flux has yet to apply
			}
			j.note("%s", facts.RenameText(facts.RefOf(j.Config), now, facts.LeaveOldName(kind)))
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
		j.problem(Problem{Object: lost.Object(), Message: lost.Message(), Cause: lost.Cause(),
			Next: hint.Plain(lost.Next())})
	}
}

// unseenRepository is that the repository is gone, or could not be looked at: it cannot be said that all is
// well.
func (j *judge) unseenRepository(object string) Problem {
	err := j.unseenError()
	p := Problem{
		Object: object, Message: j.unseenReason(), Next: hint.Of(err),
		Cause: "it was not looked at, so that nothing is said about what is in Git",
	}
	if !errors.Is(err, github.ErrNotFound) && !errors.As(err, new(*git.NotFoundError)) {
		return p
	}
	lost := &facts.Loss{Config: j.Config, Remote: j.Remote, Gone: true}
	p.Message, p.Next = "it does not exist any more, or the credentials may not see it: "+p.Message,
		hint.Plain(lost.Next())
	p.Cause = "when it is gone, " + lost.Cause()
	if source := j.Survey.Flux.GitRepository; source != nil && source.Ready {
		p.Cause = "Flux could read it when it looked last, so most likely it is the credentials; " + p.Cause
		return p
	}
	j.lost = true
	return p
}

// loss is what the branch does not have of what Flux has applied; nil when it has it, or Flux follows
// something else.
func (j *judge) loss() *facts.Loss {
	source, ks := j.Survey.Flux.GitRepository, j.Survey.Flux.Kustomization
	if !j.report.Flux.Installed ||
		source != nil && (!j.follows(source.URL) || source.Branch != j.Config.Branch) ||
		ks != nil && !facts.SamePath(ks.Path, layout.SyncPath(j.Config)) {
		return nil
	}
	l := &facts.Loss{Config: j.Config, Remote: j.Remote, Applied: j.appliedCommit(), State: j.Git.State,
		Renamed: j.Git.Renamed, Head: j.Git.Tip.Hash}
	if j.report.DeployKey != nil {
		l.Registered = j.report.DeployKey.Registered
	}
	switch {
	case j.Git.State != git.BranchExists:
		return l
	case !j.Git.Lacks || ks == nil:
		return nil
	}
	l.Lacking = facts.LackingClusters(ks, func(name string) bool {
		return slices.ContainsFunc(j.Git.Clusters, func(c facts.GitCluster) bool { return c.Name == name })
	})
	if len(l.Lacking) == 0 {
		j.note("%s", facts.RewrittenText(l.Applied, j.Config.Branch))
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
	return j.Remote.Cluster == "" || j.Remote.Follows(j.Config, url, other)
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
	k := &DeployKeyStatus{Secret: namespace + "/" + fluxmanifests.SourceSecretName}
	if source := j.Survey.Flux.GitRepository; source != nil && source.Secret != "" {
		k.Secret = namespace + "/" + source.Secret
	}
	j.report.DeployKey = k
	secret := j.Survey.Flux.SourceSecret
	if secret == nil {
		return
	}
	k.Fingerprint, k.PublicKey, k.Username = secret.Fingerprint, strings.TrimSpace(secret.PublicKey),
		secret.Username
	if j.Host == nil || secret.PublicKey == "" {
		return
	}
	if err := j.Host.KeysErr; err != nil {
		// A token that is missing, or a repository that is, is said once, with the repository.
		if j.GitErr == nil || j.GitErr.Error() != err.Error() && !errors.Is(err, github.ErrNotFound) {
			j.unseen("the deploy keys", err.Error(), hint.Of(err))
		}
		return
	}
	i := slices.IndexFunc(j.Host.Keys, func(key github.DeployKey) bool {
		return key.SameMaterial(secret.PublicKey)
	})
	registered := i >= 0
	k.Registered = &registered
	if registered {
		readOnly := j.Host.Keys[i].ReadOnly
		k.ReadOnly, k.Title, k.Disabled = &readOnly, j.Host.Keys[i].Title, j.Host.Keys[i].Disabled
	}
}

// judgeKey comes first: without a key that the host knows nothing is fetched, whatever the objects say so
// far.
func (j *judge) judgeKey() {
	if j.Survey.Flux.GitRepository == nil {
		return
	}
	k := j.report.DeployKey
	switch secret := j.Survey.Flux.SourceSecret; {
	case secret != nil && secret.Unreadable != "":
		j.problem(Problem{
			Object:  "Secret " + k.Secret,
			Message: "it contains a private key that cannot be read: " + secret.Unreadable,
			Cause:   "Flux cannot read the repository with it either", Next: (&fluxinstall.UnreadableKeyError{
				Namespace: j.Survey.Namespace, Name: fluxmanifests.SourceSecretName}).Hint(),
		})
	case j.Survey.Flux.SourceSecret == nil && j.Survey.Flux.GitRepository.Secret != "" && !j.secretUnseen():
		j.problem(Problem{
			Object: "Secret " + k.Secret, Message: "it does not exist",
			Cause: "Flux has no credentials to read the repository with", Next: j.createCommand(),
		})
	case k.Registered != nil && !*k.Registered && !j.lost:
		j.problem(Problem{
			Object: "deploy key " + k.Fingerprint, Message: fmt.Sprintf(
				"the key in Secret %s is not among the deploy keys of %s", k.Secret, j.Remote.Web),
			Cause: "somebody removed it, or GitHub did when the token was deleted that had registered it: " +
				"Flux cannot fetch any more",
			Next: j.createCommand() + ": it registers the key again",
		})
	case k.Disabled:
		j.problem(Problem{
			Object:  "deploy key " + k.Fingerprint,
			Message: fmt.Sprintf("it is registered at %s as %q and disabled", j.Remote.Web, k.Title),
			Cause:   "the organization does not allow deploy keys: Flux cannot fetch any more",
			Next: "have an owner of the organization allow them (organization settings, Deploy keys); Flux " +
				"then goes on by itself",
		})
	case k.ReadOnly != nil && !*k.ReadOnly:
		j.note(
			"the deploy key %s may write to the repository; reading is all that Flux needs (%s replaces it)",
			k.Fingerprint, j.createCommand())
	}
}

// secretUnseen says whether the Secret may be there, and only the right to read it is missing.
func (j *judge) secretUnseen() bool {
	return slices.ContainsFunc(j.Survey.Unseen, func(text string) bool {
		return strings.Contains(text, "secrets")
	})
}
