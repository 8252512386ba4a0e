package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// PauseOptions are what [PauseClusters] and [ResumeClusters] work on.
type PauseOptions struct {
	Settings
	// Clusters are clusters of one management cluster, itself among them if need be. Without a namespace each
	// is the only one of its name.
	Clusters []fluxinstall.ClusterName
	// ManagementCluster is the name of the one that manages them.
	ManagementCluster string
	// GitOps is the configuration of the management cluster; nil when it has none.
	GitOps *clusterspec.GitOps
}

// PauseClusters has EKS Anywhere leave clusters alone, in a way that Flux does not undo: the annotation goes
// into the files that are in Git, in one commit, and the run waits until Flux has applied that and the live
// Clusters carry it. A cluster that is not in Git gets it on its object alone. What is paused already is left
// as it is.
//
// The Result is never nil. The errors are *PreflightError (nothing was written), *IncompleteError (run it
// again to continue), those of a first write that failed, and the context's. It may be repeated.
func PauseClusters(ctx context.Context, ports Ports, options PauseOptions) (*Result, error) {
	return newPauseRun("pause cluster", ports, options, true).finish(ctx)
}

// ResumeClusters ends what [PauseClusters] did, and any other pause of the clusters' objects by that
// annotation, in Git and on the live objects. Its results and errors are those of PauseClusters.
func ResumeClusters(ctx context.Context, ports Ports, options PauseOptions) (*Result, error) {
	return newPauseRun("resume cluster", ports, options, false).finish(ctx)
}

// pauseRun is the state of one of the two.
type pauseRun struct {
	*run
	options PauseOptions
	paused  bool // what the clusters shall be

	targets []*pauseTarget
}

// pauseTarget is one cluster as it was found.
type pauseTarget struct {
	fluxinstall.ClusterName
	live    *fluxinstall.ClusterInfo // nil without an object in the cluster
	inGit   bool
	objects []fluxinstall.ObjectName // of its file, or the Cluster alone
}

func newPauseRun(command string, ports Ports, options PauseOptions, paused bool) *pauseRun {
	told := facts.Told{Config: orWithoutGit(options.GitOps), ManagementCluster: options.ManagementCluster}
	p := &pauseRun{run: newRun(command, ports, options.Settings, told), options: options, paused: paused}
	for _, c := range options.Clusters {
		p.result.Clusters = append(p.result.Clusters, ClusterResult{
			Name: c.Name, Namespace: c.Namespace, Role: facts.RoleOf(c.Name, options.ManagementCluster),
			ManagementCluster: options.ManagementCluster,
		})
		p.targets = append(p.targets, &pauseTarget{ClusterName: c})
	}
	return p
}

// finish does it and completes the result.
func (p *pauseRun) finish(ctx context.Context) (*Result, error) {
	err := crash.Guarded(func() error { return p.do(ctx) })
	if err != nil && !errors.As(err, new(*PreflightError)) {
		_, changed := p.steps.Results()
		if (changed || endedWaiting(err)) && !errors.Is(ctx.Err(), context.Canceled) {
			p.result.Status = StatusIncomplete
			err = &IncompleteError{What: p.words("the pause is not complete", "the clusters are not resumed"),
				Cause: err}
		} else if !changed {
			err = unchanged(err)
		}
		p.result.Failure = failureOf(p.steps.Failed, err)
	}
	return p.end(ctx, err)
}

// words are those for the one or the other.
func (p *pauseRun) words(pause, resume string) string {
	if p.paused {
		return pause
	}
	return resume
}

func (p *pauseRun) do(ctx context.Context) error {
	if err := p.observe(ctx); err != nil {
		return err
	}
	if p.usesGit() {
		p.startRepositoryResult()
		p.result.Repository.Commit = p.snapshot.Head()
	}
	if err := p.steps.Perform(ctx, p.parts()); err != nil {
		return err
	}
	p.result.Status = StatusDone
	if p.settings.DryRun {
		p.result.Status = StatusPlanned
	}
	return nil
}

// parts are those of a pause and of its end.
func (p *pauseRun) parts() step.Sequence {
	var parts step.Sequence
	if p.usesGit() {
		parts = step.Sequence{p.push(commitWork{plan: p.planFiles, message: p.message}),
			p.waitApplied(p.planFiles)}
	}
	for _, t := range p.targets {
		parts = append(parts, p.mark(t))
	}
	return parts
}

// usesGit says whether the file of a cluster is in Git.
func (p *pauseRun) usesGit() bool {
	return slices.ContainsFunc(p.targets, func(t *pauseTarget) bool { return t.inGit })
}

// checkState judges the management cluster as far as every run needs it. What Flux has to do is judged when
// it is known whether a cluster is in Git.
func (p *pauseRun) checkState(seen facts.Facts) []facts.Finding {
	if wrong := p.checkManagementCluster(seen); wrong != nil || p.options.GitOps == nil {
		return wrong
	}
	return p.checkFlux(seen)
}

// observe looks at both sides and makes every check that reading can make.
func (p *pauseRun) observe(ctx context.Context) error {
	var found findings
	if p.options.GitOps == nil {
		p.lookAtCluster(ctx, demands{judge: p.checkState}, &found)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	} else if err := p.look(ctx, demands{judge: p.checkState}, &found); err != nil {
		return err
	}
	p.noteRenamed()
	if len(found.list) == 0 && len(found.soft) == 0 {
		var err error
		if p.planned, err = p.planFiles(ctx, p.snapshot); err != nil {
			var problems clusterspec.Problems
			switch {
			case found.addAll(err):
			case errors.As(err, &problems):
				found.addFinding(facts.AreaSpec.Finding(
					"the cluster's file in Git cannot be read: "+problems[0].String(),
					"fix it in the repository, and run the same command again"))
			default:
				return err
			}
		}
		p.findTargets(&found)
		if p.usesGit() {
			for _, f := range p.checkSync() {
				found.addFinding(f)
			}
			p.checkLoss(ctx, &found)
			p.checkRights(ctx, &found, p.intents()...)
			p.observePush(ctx, &found)
		} else if p.options.GitOps != nil {
			if lost := p.lookForLoss(ctx, &found); lost != nil {
				p.steps.Note(step.LevelWarning,
					lost.Message()+"; so it is done on the objects in the cluster alone")
			}
		}
		if !p.usesGit() {
			p.checkRights(ctx, &found, p.intents()...)
		}
	}
	if err := found.refused(); err != nil {
		return err
	}
	if err := errors.Join(found.soft...); err != nil {
		p.steps.Failed = stepAccess
		return fmt.Errorf("%w; %s", err, nothingChanged)
	}
	return nil
}

// checkSync makes sure that Flux applies what is pushed. A Cluster that is being deleted may be paused: that
// keeps EKS Anywhere from going on.
func (p *pauseRun) checkSync() []facts.Finding {
	state := *p.seen.Cluster()
	state.Deletions = slices.DeleteFunc(slices.Clone(state.Deletions), func(d fluxinstall.Deletion) bool {
		return d.Kind == "Cluster"
	})
	wrong := p.checkHanging(&state)
	if len(wrong) == 0 {
		wrong = p.checkAsleep(&state)
	}
	if flux := &state.Flux; flux.GitRepository == nil || flux.Kustomization == nil {
		wrong = append(wrong, facts.AreaCluster.Finding(
			"there is no Flux in namespace "+p.seen.Config().SystemNamespace+" that would apply the change",
			"eksa-gitops status"))
	}
	return wrong
}

// findTargets brings together what is known of each cluster.
func (p *pauseRun) findTargets(found *findings) {
	var known []string
	for _, live := range p.seen.Cluster().Clusters {
		known = append(known, live.Name)
	}
	for i, t := range p.targets {
		for j, live := range p.seen.Cluster().Clusters {
			if live.Name != t.Name || t.Namespace != "" && live.Namespace != t.Namespace {
				continue
			}
			if t.live != nil {
				found.addFinding(facts.AreaSpec.Finding(
					fmt.Sprintf("there is a cluster %s in more than one namespace: %s and %s",
						t.Name, t.live.Namespace, live.Namespace),
					"choose one with --namespace"))
			}
			t.live = &p.seen.Cluster().Clusters[j]
		}
		switch {
		case t.live == nil && !t.inGit:
			slices.Sort(known)
			found.addFinding(facts.AreaSpec.Finding(
				fmt.Sprintf("there is no cluster %s, neither in Git nor in the management cluster", t.Name),
				"the clusters there are: "+strings.Join(known, ", ")))
		case t.live != nil && t.live.Held != nil:
			found.addFinding(facts.AreaCluster.Finding(fmt.Sprintf(
				"cluster %s: an upgrade by %s is at work on it, or was cut off, and pauses it itself",
				t.Name, t.live.Held.By), text.Command("eksa-gitops status %s", t.Name)))
		}
		if t.live != nil {
			t.Namespace = t.live.Namespace
		}
		if t.Namespace == "" {
			t.Namespace = "default"
		}
		cluster := fluxinstall.ObjectName{Kind: "Cluster", Namespace: t.Namespace, Name: t.Name}
		if !slices.Contains(t.objects, cluster) {
			t.objects = append(t.objects, cluster)
		}
		record := &p.result.Clusters[i]
		record.Namespace = t.Namespace
		if t.live != nil {
			record.KubernetesVersion, record.Paused = t.live.KubernetesVersion, t.live.Paused
		}
		if t.inGit {
			record.SpecPath = layout.PathsIn(p.seen.Config(), t.Name).Spec
		}
	}
}

// planFiles is the planner: the annotation in the files that are there, or out of them.
func (p *pauseRun) planFiles(ctx context.Context, snapshot Snapshot) (*files.Plan, error) {
	if p.options.GitOps == nil || snapshot == nil || snapshot.State() != git.BranchExists {
		return &files.Plan{After: map[string][]byte{}}, nil
	}
	names := make([]string, 0, len(p.targets))
	for _, t := range p.targets {
		names = append(names, t.Name)
	}
	pause, err := files.PlanPause(ctx, p.seen, snapshot, names, p.paused)
	for _, t := range p.targets {
		var objects []fluxinstall.ObjectName
		if objects, t.inGit = pause.Objects[t.Name]; t.inGit {
			t.objects = objects
		}
	}
	return pause.Plan, err
}

// message is that of the commit. It does not say that the clusters' files were written: what a user's file
// says is not in it, so that the next upgrade with one keeps the pause as an edit of somebody else.
func (p *pauseRun) message() string {
	names := make([]string, 0, len(p.targets))
	for _, t := range p.targets {
		names = append(names, t.Name)
	}
	verb := p.words("Pause", "Resume")
	subject := fmt.Sprintf("%s cluster %s", verb, names[0])
	if len(names) > 1 {
		subject = fmt.Sprintf("%s %d clusters", verb, len(names))
	}
	return fmt.Sprintf("%s\n\n%s: %s\n", subject, facts.TrailerVersion, p.settings.ToolVersion)
}

func (p *pauseRun) stepMark(name string) step.Name {
	return step.Name(fmt.Sprintf(
		p.words("Pause EKS Anywhere's work on cluster %s", "Resume EKS Anywhere's work on cluster %s"), name))
}

// mark brings the live objects to it. Flux has done that where Git says so, but for what somebody has put on
// an object beside Git, and for an object that Flux is told to leave alone.
func (p *pauseRun) mark(t *pauseTarget) step.Action {
	return step.Action{
		Name: p.stepMark(t.Name),
		Plan: step.Planned(step.Written(t.live == nil || t.live.Paused != p.paused, "")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			if t.live == nil {
				return step.Effect{Outcome: step.OutcomeUnchanged,
					Detail: "there is no such object yet; it will be created that way"}, nil
			}
			changed := false
			for _, name := range t.objects {
				if p.paused && name.Kind != "Cluster" {
					continue
				}
				did, err := p.open.cluster.SetPaused(ctx, name, p.paused)
				if err != nil {
					return step.Effect{}, fmt.Errorf("%s %s/%s: %w",
						name.Kind, name.Namespace, name.Name, err)
				}
				changed = changed || did
			}
			p.clusterResult(t.Name).Paused = p.paused
			return step.Written(changed, ""), nil
		},
	}
}
