package fluxinstall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// SyncWait says what WaitSynced waits for.
type SyncWait struct {
	Namespace, Name string // of the GitRepository and the Kustomization
	Branch, Commit  string
	// Accept decides on a revision that Flux has fetched and applied and that is not the commit: somebody may
	// have pushed after it. Nil accepts none. It is called once for each such revision.
	Accept func(revision string) bool
}

// WaitSynced waits until the GitRepository has fetched the commit, the Kustomization has applied it and
// reports Ready for its current generation, and the controllers are available. Progress, which may be nil, is
// told when it changes, problems included. A suspended or stalled object ends the wait at once: no time makes
// it go on. That, and a time limit, are a *NotReadyError with the cause; an API server that does not answer
// by then is an *UnreachableError.
func (c *Cluster) WaitSynced(ctx context.Context, wait SyncWait, progress func(Progress)) error {
	w := &syncWaiter{cluster: c, wait: wait, story: story{progress: progress}, accepted: map[string]bool{}}
	err := c.until(ctx, []watched{
		{gitRepositoryKind(), wait.Namespace, wait.Name},
		{kustomizationKind(), wait.Namespace, wait.Name},
		{deploymentKind(), wait.Namespace, ""},
		{podKind(), wait.Namespace, ""},
	}, func() (bool, error) { return w.look(ctx) })
	return w.explain(ctx, err)
}

// story is what a wait has seen: the last thing that was not well, for the moment the wait ends.
type story struct {
	progress func(Progress)
	last     *NotReadyError
	shown    string
}

// notYet remembers and tells what is not well; waiting goes on.
func (s *story) notYet(problem *NotReadyError) {
	s.last = problem
	if text := problem.Error(); text != s.shown {
		s.shown = text
		report(s.progress, "%s", text)
	}
}

// explain turns the end of a time limit into the cause that was seen last. Other ends speak for themselves.
func (s *story) explain(ctx context.Context, err error) error {
	if err == nil || s.last == nil || isTyped(err) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	s.last.Err = err
	return s.last
}

// syncWaiter is one WaitSynced.
type syncWaiter struct {
	story
	cluster  *Cluster
	wait     SyncWait
	accepted map[string]bool
}

func (w *syncWaiter) look(ctx context.Context) (bool, error) {
	var git, ks *unstructured.Unstructured
	err := together(
		func() (err error) {
			git, err = w.cluster.fetch(ctx, gitRepositoryKind(), w.wait.Namespace, w.wait.Name)
			return err
		},
		func() (err error) {
			ks, err = w.cluster.fetch(ctx, kustomizationKind(), w.wait.Namespace, w.wait.Name)
			return err
		},
	)
	if err != nil {
		return false, err
	}
	deployments, pods, err := w.cluster.controllers(ctx, w.wait.Namespace)
	if err != nil {
		return false, err
	}
	problems := syncProblems(git, ks, w.wait, deployments, pods)
	if git != nil && ks != nil {
		fetched, synced := w.synced(git, ks)
		if len(problems) == 0 && synced {
			return true, nil
		}
		if len(problems) == 0 {
			problems = append(problems, waitingFor(git, ks, Revision(w.wait.Branch, w.wait.Commit), fetched))
		}
	}
	if problems[0].final {
		return false, problems[0]
	}
	w.notYet(problems[0])
	return false, nil
}

// syncProblems are what keeps Flux from fetching and applying what is in Git, the cause of the others first:
// nothing can be said of objects that do not exist, no object goes on while it is suspended, none is worked
// on without its controller, fetching comes before applying, and other controllers come last. Every wait and
// every look at Flux judges by it.
func syncProblems(git, ks *unstructured.Unstructured, wait SyncWait,
	deployments, pods []unstructured.Unstructured) []*NotReadyError {
	if problem := missing(git, ks, wait); problem != nil {
		return append([]*NotReadyError{problem}, controllerProblems(wait.Namespace, deployments, pods)...)
	}
	problems := stopped(git, ks)
	var others []*NotReadyError
	for _, problem := range controllerProblems(wait.Namespace, deployments, pods) {
		_, name, _ := strings.Cut(problem.Object, "/")
		if hard := problem.Reason != "" || problem.Cause != ""; hard &&
			slices.Contains(fluxmanifests.RequiredControllers(), name) {
			problems = append(problems, problem)
		} else {
			others = append(others, problem)
		}
	}
	if problem := firstProblem(git, ks); problem != nil &&
		!slices.ContainsFunc(problems, func(p *NotReadyError) bool { return p.Object == problem.Object }) {
		problems = append(problems, problem)
	}
	return append(problems, others...)
}

// missing says which of the two objects does not exist.
func missing(git, ks *unstructured.Unstructured, wait SyncWait) *NotReadyError {
	message := ""
	switch {
	case git == nil && ks == nil:
		message = fmt.Sprintf("its GitRepository and Kustomization %s do not exist", wait.Name)
	case git == nil:
		message = fmt.Sprintf("its GitRepository %s does not exist", wait.Name)
	case ks == nil:
		message = fmt.Sprintf("its Kustomization %s does not exist", wait.Name)
	default:
		return nil
	}
	return &NotReadyError{
		Object:  "Flux in namespace " + wait.Namespace,
		Message: message, Next: hint.Command("kubectl -n %s get gitrepositories.%s,kustomizations.%s",
			wait.Namespace, sourceGroup, kustomizeGroup),
	}
}

// stopped says what will not go on by itself: somebody suspended it, or its controller has given up until its
// spec changes.
func stopped(objects ...*unstructured.Unstructured) []*NotReadyError {
	var problems []*NotReadyError
	for _, object := range objects {
		if pause := suspension(object); pause != nil {
			problems = append(problems, &NotReadyError{
				Object: objectName(object), Reason: "Suspended",
				Message: pause.words("suspended", "somebody suspended it") + ", so that nothing is applied",
				Next:    hint.Plain("resume it: " + pause.Resume), final: true,
			})
		} else if stalled := conditionOf(object, "Stalled"); stalled.Status == "True" &&
			stalled.current(object) {
			problem := problemOf(object, stalled)
			problem.final = true
			problems = append(problems, problem)
		}
	}
	return problems
}

// synced returns the fetched revision and says whether both objects report the wanted one, or the same later
// one that the caller accepts.
func (w *syncWaiter) synced(git, ks *unstructured.Unstructured) (fetched string, ok bool) {
	fetched = text(git, "status", "artifact", "revision")
	if fetched == "" || fetched != text(ks, "status", "lastAppliedRevision") || !readyNow(git) ||
		!readyNow(ks) {
		return fetched, false
	}
	if fetched == Revision(w.wait.Branch, w.wait.Commit) {
		return fetched, true
	}
	if w.wait.Accept == nil {
		return fetched, false
	}
	if _, asked := w.accepted[fetched]; !asked {
		w.accepted[fetched] = w.wait.Accept(fetched)
	}
	return fetched, w.accepted[fetched]
}

// firstProblem is the first thing that Flux itself says is wrong: fetching comes before applying.
func firstProblem(git, ks *unstructured.Unstructured) *NotReadyError {
	if ready := conditionOf(git, "Ready"); ready.Status == "False" && ready.current(git) {
		return problemOf(git, ready)
	}
	ready := conditionOf(ks, "Ready")
	switch {
	case ready.Status != "False" || !ready.current(ks):
		return nil
	case ready.Reason == "DependencyNotReady":
		return nil
	case ready.Reason == "ArtifactFailed" && strings.Contains(ready.Message, "artifact not found"):
		// The source not being fetched yet is no problem of its own.
		return nil
	case ready.Reason != "ArtifactFailed" && attemptedBefore(git, ks):
		// It failed with an earlier commit and has not tried this one.
		return nil
	}
	return problemOf(ks, ready)
}

// attemptedBefore says whether the Kustomization's status is about another commit than the one the source has
// now.
func attemptedBefore(git, ks *unstructured.Unstructured) bool {
	attempted, fetched := text(ks, "status", "lastAttemptedRevision"),
		text(git, "status", "artifact", "revision")
	return attempted != "" && fetched != "" && attempted != fetched
}

// problemOf makes a problem of a condition of Flux.
func problemOf(object *unstructured.Unstructured, condition Condition) *NotReadyError {
	return (&NotReadyError{
		Object: objectName(object), Reason: condition.Reason, Message: condition.Words(), Next: hint.Command(
			"kubectl -n %s describe %s %s", object.GetNamespace(), resourceOf(object), object.GetName()),
	}).explained(withoutChanges(condition.Message))
}

// waitingFor describes a wait in which nothing is wrong so far.
func waitingFor(git, ks *unstructured.Unstructured, revision, fetched string) *NotReadyError {
	if fetched != revision {
		have := "nothing yet"
		if fetched != "" {
			have = fetched
		}
		return &NotReadyError{Object: objectName(git), Message: "it has fetched " + have,
			Next: logsOf(git.GetNamespace(), fluxmanifests.SourceController)}
	}
	message := "it has fetched the commit and is applying it"
	if ready := conditionOf(ks, "Ready"); ready.Message != "" &&
		(ready.Status == "Unknown" || ready.Reason == "DependencyNotReady") {
		message = ready.Words()
	}
	return &NotReadyError{Object: objectName(ks), Message: message,
		Next: logsOf(ks.GetNamespace(), fluxmanifests.KustomizeController)}
}

func logsOf(namespace, controller string) hint.Hint {
	return hint.Command("kubectl -n %s logs deployment/%s --tail 20", namespace, controller)
}

func objectName(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetKind() + " " + object.GetName()
	}
	return fmt.Sprintf("%s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
}

// resourceOf is what kubectl calls the object's kind, with the group: other tools have kinds of the same
// name.
func resourceOf(object *unstructured.Unstructured) string {
	gvk := object.GroupVersionKind()
	resource := strings.ToLower(gvk.Kind)
	if gvk.Group == "" {
		return resource
	}
	return resource + "." + gvk.Group
}
