package gitops

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// repositoryDescription is what a repository that this program creates is described as.
const repositoryDescription = "EKS Anywhere clusters, managed through Git by Flux"

// deployKeyAlgorithm is the default of `flux bootstrap` and of EKS Anywhere.
const deployKeyAlgorithm = "ecdsa"

// Pushes that lose a race are rebuilt on the new tip. Each loser needs one more round for every winner before it, so the bound is far
// above the number of writers that ever meet; the run's own time limit ends it first.
const (
	maxPushes    = 100
	raceBackOff  = 50 * time.Millisecond
	maxRaceDelay = 2 * time.Second
)

// apply brings the repository, the host, Flux and the cluster to what the specs say, in the order that keeps the invariants. Its
// error is why GitOps is not (wholly) enabled.
func (r *createRun) apply(ctx context.Context) error {
	if err := r.ensureRepository(ctx); err != nil {
		return err
	}
	if err := r.push(ctx); err != nil {
		return err
	}
	if r.management != nil {
		if err := r.installFlux(ctx); err != nil {
			return err
		}
	}
	return r.waitApplied(ctx)
}

// step runs one step and remembers which one failed.
func (r *createRun) step(step Step, do func() (Outcome, string, error)) error {
	err := r.steps.run(step, do)
	if err != nil {
		r.failedStep = step
	}
	return err
}

func (r *createRun) ensureRepository(ctx context.Context) error {
	r.result.Repository = &RepoResult{URL: r.options.Remote.Web, CloneURL: r.options.Remote.Push, Branch: r.config.Branch, Files: []FileChange{}}
	if r.seen.ports.host == nil || r.seen.access.Repository != nil {
		return nil
	}
	step := Step(fmt.Sprintf("Create repository %s", r.repoRef()))
	return r.step(step, func() (Outcome, string, error) {
		_, created, err := r.seen.ports.host.EnsureRepository(ctx, github.NewRepository{
			Ref: r.repoRef(), Personal: r.config.GitHub.Personal, Private: true, Description: repositoryDescription,
		})
		if err != nil {
			return "", "", err
		}
		r.result.Repository.Created = created
		if !created {
			return OutcomeUnchanged, "", nil
		}
		return OutcomeChanged, "private", nil
	})
}

func (r *createRun) stepPush() Step { return Step("Push cluster files to branch " + r.config.Branch) }

// push brings the files to the branch in one commit. A push that loses a race is rebuilt on what the winner pushed.
func (r *createRun) push(ctx context.Context) error {
	step := r.stepPush()
	return r.step(step, func() (Outcome, string, error) {
		snapshot, plan := r.seen.snapshot, r.seen.files
		for attempt := 1; ; attempt++ {
			var err error
			if snapshot == nil {
				snapshot, plan, err = r.refetch(ctx)
				if err != nil {
					return "", "", err
				}
			}
			r.seen.snapshot, r.seen.files = snapshot, plan
			r.commit = snapshot.Head()
			if len(plan.changes) == 0 && snapshot.State() == gitrepo.BranchExists {
				r.noteKept(plan)
				r.result.Repository.Commit = r.commit
				return OutcomeUnchanged, "at " + short(r.commit), nil
			}
			commit, err := snapshot.Commit(plan.edits(), r.commitOptions())
			if err != nil {
				return "", "", fmt.Errorf("making the commit: %w", err)
			}
			err = r.persist(ctx, step, func() error { return snapshot.Push(ctx, commit) })
			if err == nil {
				r.noteKept(plan)
				r.commit, r.pushed = commit.Hash(), true
				r.result.Repository.Commit, r.result.Repository.Pushed = commit.Hash(), true
				r.result.Repository.Files = plan.changes
				return OutcomeChanged, fmt.Sprintf("%s, commit %s", files(len(plan.changes)), short(commit.Hash())), nil
			}
			if !errors.As(err, new(*gitrepo.ConflictError)) || attempt == maxPushes {
				return "", "", fmt.Errorf("pushing to branch %s: %w", r.config.Branch, err)
			}
			r.steps.Progress(step, "somebody else pushed at the same moment; building on top of that")
			snapshot.Close()
			snapshot = nil
			if err := pause(ctx, attempt); err != nil {
				return "", "", err
			}
		}
	})
}

// refetch reads the branch again and plans on what is there now.
func (r *createRun) refetch(ctx context.Context) (Snapshot, *filePlan, error) {
	snapshot, err := r.fetch(ctx, r.stepPush())
	if err != nil {
		return nil, nil, fmt.Errorf("reading the repository: %w", err)
	}
	plan, err := r.compare(ctx, snapshot)
	return snapshot, plan, err
}

// Passing faults of a Git server are tried again after about 0.5, 1, 2 and 4 s, or when the server says.
const (
	gitTries        = 5
	gitFirstBackOff = 500 * time.Millisecond
	gitMaxBackOff   = 30 * time.Second
)

// persist repeats do while the Git server fails for a passing reason. do has to be safe to repeat.
func (r *createRun) persist(ctx context.Context, step Step, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || !errors.Is(err, gitrepo.ErrTransient) || try == gitTries {
			return err
		}
		limit := gitFirstBackOff << (try - 1)
		wait := limit/2 + rand.N(limit) //nolint:gosec // spreading out needs no secrecy
		var unreachable *gitrepo.UnreachableError
		if errors.As(err, &unreachable) && unreachable.RetryAfter > 0 {
			wait = min(unreachable.RetryAfter, gitMaxBackOff)
		}
		r.steps.Progress(step, fmt.Sprintf("%v; trying again in %s", err, wait.Round(100*time.Millisecond)))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// fetch reads the branch, trying again where that may help.
func (r *createRun) fetch(ctx context.Context, step Step) (Snapshot, error) {
	var snapshot Snapshot
	err := r.persist(ctx, step, func() error {
		var err error
		snapshot, err = r.seen.ports.repo.Fetch(ctx, r.config.Branch)
		return err
	})
	if err == nil {
		r.snapshots = append(r.snapshots, snapshot)
	}
	return snapshot, err
}

// pause waits between two pushes, longer and more at random with every lost race, so that many writers spread out.
func pause(ctx context.Context, attempt int) error {
	limit := min(raceBackOff<<min(attempt, 10), maxRaceDelay)
	timer := time.NewTimer(rand.N(limit)) //nolint:gosec // spreading out needs no secrecy
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func (r *createRun) noteKept(plan *filePlan) {
	for _, note := range plan.notes {
		r.steps.Note(LevelInfo, note)
	}
}

// commitOptions says who commits and why. The subject names the clusters; the trailers say which program made it and from what.
func (r *createRun) commitOptions() gitrepo.CommitOptions {
	names := make([]string, 0, len(r.managed))
	for _, c := range r.managed {
		names = append(names, c.Name)
	}
	return gitrepo.CommitOptions{
		Message: fmt.Sprintf("%s\n\nEksa-Gitops-Version: %s\nEksa-Gitops-Clusters: %s\n", commitSubject(r.managed), r.options.ToolVersion, strings.Join(names, " ")),
		Author:  r.options.Author, Committer: r.options.Committer,
		When: time.Now(),
	}
}

func commitSubject(clusters []*clusterspec.Cluster) string {
	if len(clusters) > 1 {
		return fmt.Sprintf("Create %d clusters", len(clusters))
	}
	c := clusters[0]
	if c.KubernetesVersion == "" {
		return "Create cluster " + c.Name
	}
	return fmt.Sprintf("Create cluster %s (Kubernetes %s)", c.Name, c.KubernetesVersion)
}

// installFlux prepares the source's credentials, then installs the controllers, then points them at the repository.
func (r *createRun) installFlux(ctx context.Context) error {
	if err := r.ensureSource(ctx); err != nil {
		return err
	}
	components, sync, err := fluxinstall.BuildSystem(r.seen.files.system)
	if err != nil {
		r.failedStep = "Install Flux"
		return fmt.Errorf("building %s as it is in Git: %w", layout.SystemDir(r.config), err)
	}
	version, _, err := fluxinstall.ComponentVersion(components)
	if err != nil {
		version = fluxinstall.Version
	}
	r.result.Flux = &FluxResult{Version: version, Namespace: r.config.SystemNamespace, URL: r.options.Remote.Cluster, Path: layout.SyncPath(r.config)}
	install := Step("Install Flux " + version)
	err = r.step(install, func() (Outcome, string, error) {
		// When Flux itself reports that it applied this very commit, its components are what Git says: it applies them too.
		if r.seen.cluster.Applied(r.config.Branch, r.commit) {
			return OutcomeUnchanged, "", nil
		}
		changes, err := r.seen.ports.cluster.EnsureComponents(ctx, components, func(p fluxinstall.Progress) { r.steps.Progress(install, p.Message) })
		if err != nil {
			return "", "", fmt.Errorf("installing Flux: %w", err)
		}
		return changeOutcome(changes)
	})
	if err != nil {
		return err
	}
	return r.step("Point Flux at the repository", func() (Outcome, string, error) {
		changes, err := r.seen.ports.cluster.EnsureSync(ctx, sync)
		if err != nil {
			return "", "", fmt.Errorf("pointing Flux at %s: %w", r.options.Remote.Cluster, err)
		}
		return changeOutcome(changes)
	})
}

func changeOutcome(changes fluxinstall.ChangeSet) (Outcome, string, error) {
	if changes.Changed() == 0 {
		return OutcomeUnchanged, "", nil
	}
	return OutcomeChanged, fmt.Sprintf("%d objects", changes.Changed()), nil
}

// ensureSource makes the Secret that Flux reads the repository with and, on GitHub, registers its public key. The key is taken from
// the Secret when that exists, so that whatever an earlier run left is completed, never replaced.
func (r *createRun) ensureSource(ctx context.Context) error {
	cluster, namespace := r.seen.ports.cluster, r.config.SystemNamespace
	var public string
	err := r.step(Step("Prepare namespace "+namespace+" and its Git credentials"), func() (Outcome, string, error) {
		created, err := cluster.EnsureNamespace(ctx, namespace)
		if err != nil {
			return "", "", fmt.Errorf("creating namespace %s: %w", namespace, err)
		}
		source, err := r.sourceSecret(namespace)
		if err != nil {
			return "", "", err
		}
		key, changed, err := cluster.EnsureSourceSecret(ctx, source)
		if err != nil {
			return "", "", fmt.Errorf("writing Secret %s/%s: %w", namespace, source.Name, err)
		}
		public = key
		if !created && !changed {
			return OutcomeUnchanged, "", nil
		}
		return OutcomeChanged, "", nil
	})
	if err != nil || r.seen.ports.host == nil {
		return err
	}
	return r.step("Register the read-only deploy key", func() (Outcome, string, error) {
		changed, err := r.seen.ports.host.EnsureDeployKey(ctx, r.repoRef(), github.DeployKey{Title: r.deployKeyTitle(), PublicKey: public, ReadOnly: true})
		if err != nil {
			return "", "", err
		}
		if !changed {
			return OutcomeUnchanged, "", nil
		}
		return OutcomeChanged, r.deployKeyTitle(), nil
	})
}

func (r *createRun) deployKeyTitle() string {
	return fmt.Sprintf("eksa-gitops %s/%s", r.management.Name, r.config.SystemNamespace)
}

// waitApplied waits until Flux reports the commit. Flux looks at the repository once a minute by itself; after a push it is told to
// look now.
func (r *createRun) waitApplied(ctx context.Context) error {
	namespace := r.config.SystemNamespace
	step := Step("Wait for Flux to apply " + short(r.commit))
	return r.step(step, func() (Outcome, string, error) {
		cluster := r.seen.ports.cluster
		if r.seen.cluster.Flux.GitRepository != nil && !r.seen.cluster.Applied(r.config.Branch, r.commit) {
			if err := cluster.RequestReconcile(ctx, namespace, namespace); err != nil {
				return "", "", fmt.Errorf("asking Flux to look at the repository now: %w", err)
			}
		}
		ctx, cancel := context.WithTimeout(ctx, r.options.FluxTimeout)
		defer cancel()
		var applied string
		err := cluster.WaitSynced(ctx, fluxinstall.SyncWait{
			Namespace: namespace, Name: namespace, Branch: r.config.Branch, Commit: r.commit,
			Accept: func(revision string) bool {
				if !r.includesCommit(ctx, revision) {
					return false
				}
				applied = revision
				return true
			},
		}, func(p fluxinstall.Progress) { r.steps.Progress(step, p.Message) })
		if err != nil {
			return "", "", fmt.Errorf("waiting for Flux to apply %s: %w", short(r.commit), err)
		}
		if applied == "" {
			applied = r.config.Branch + "@sha1:" + r.commit
		}
		if r.result.Flux == nil {
			r.result.Flux = &FluxResult{Version: r.seen.cluster.Flux.Version, Namespace: namespace, URL: r.options.Remote.Cluster, Path: layout.SyncPath(r.config)}
		}
		r.result.Flux.Revision, r.result.Flux.Ready = applied, true
		return OutcomeChecked, "", nil
	})
}

// includesCommit says whether a revision that is not ours is a later one that still holds all our files: somebody pushed right after
// us, and Flux has applied both.
func (r *createRun) includesCommit(ctx context.Context, revision string) bool {
	if before := r.seen.cluster.Flux.Kustomization; before != nil && before.AppliedRevision == revision {
		return false // Flux has not looked since the push
	}
	snapshot, err := r.fetch(ctx, r.stepPush())
	if err != nil || !strings.HasSuffix(revision, ":"+snapshot.Head()) {
		return false
	}
	for path, content := range r.seen.files.after {
		if same, err := snapshot.Holds(path, content); err != nil || !same {
			return false
		}
	}
	return true
}

func short(commit string) string { return commit[:min(7, len(commit))] }

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
