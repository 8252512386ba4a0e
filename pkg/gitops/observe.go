package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// ClusterInspector looks at what a run is going to change, and writes nothing.
type ClusterInspector interface {
	// Inspect reads what the other methods would change, and what tells whether they may.
	Inspect(ctx context.Context, options fluxinstall.InspectOptions) (*fluxinstall.State, error)
	// DryRunApply asks the API server about each object, in the given order, as if Flux applied it. The error
	// is for what is no verdict on an object; verdicts on others may come beside it.
	DryRunApply(ctx context.Context, objects []map[string]any) ([]fluxinstall.Verdict, error)
	// FluxResources lists the objects of Flux's kinds, sorted; with kinds, those alone.
	FluxResources(ctx context.Context, kinds ...string) (fluxinstall.FluxResources, error)
	// RunningControllers reads which images of Flux's controllers run.
	RunningControllers(ctx context.Context, namespace string) ([]fluxinstall.RunningController, error)
	// MissingRights are those that a purpose needs in a namespace and the whole cluster, and the user does
	// not have. A server that does not say is taken to give them.
	MissingRights(ctx context.Context, purpose fluxinstall.Purpose,
		namespace string) []*fluxinstall.MissingRight
}

// The steps that only look.
const (
	stepAccess  step.Name = "Check access to the repository"
	stepCluster step.Name = "Check the management cluster"
)

// demands are what a command needs of the management cluster.
type demands struct {
	// judge finds what is not as the command needs it.
	judge func(*fluxinstall.State) []Finding
	// orAbsent says that the command goes on without a kubeconfig, and looks for other evidence of the
	// cluster.
	orAbsent bool
}

// observe makes every check that reading can make. What has to be put right first is a *PreflightError with
// all of it. An unreachable host or a protected branch does not stop a creation: it becomes r.gitOpsError.
func (r *createRun) observe(ctx context.Context) error {
	var found findings
	if err := r.look(ctx, r.demands(), &found); err != nil {
		return err
	}
	if err := r.takeBack(ctx, r.demands(), &found); err != nil {
		return err
	}
	r.checkCopies(&found, r.copies())
	r.checkUnbuilt(ctx, &found)
	r.checkProvisioner(ctx, &found)
	r.checkHosts(&found)
	r.checkTogether(&found)
	r.checkSource(&found)
	r.checkFrozen(&found)
	r.checkLeaving(&found)
	r.checkNamespaces(&found)
	r.checkLoss(ctx, &found)
	r.noteRenamed()
	if len(found.list) == 0 && len(found.soft) == 0 {
		if err := r.planFiles(ctx, &found); err != nil {
			found.addSoft(err)
		}
		if r.restore(ctx, &found); len(r.restored) > 0 && len(found.list) == 0 {
			if err := r.planFiles(ctx, &found); err != nil {
				found.addSoft(err)
			}
		}
		r.checkConsequences(ctx, &found)
		r.checkAdmitted(ctx, &found)
		if err := r.checkStored(ctx, &found); err != nil {
			return err
		}
		r.checkRights(ctx, &found)
		r.observePush(ctx, &found)
	}
	if len(found.list) == 0 && len(found.soft) == 0 && r.keepsFlux {
		r.noteAuthority()
		r.noteFormerKeys()
		r.noteUnseen()
		r.noteAsleep()
	}
	if len(found.list) == 0 && len(found.soft) == 0 {
		r.noteSparseElsewhere()
		r.suggestSparse(ctx)
	}
	if err := found.refused(); err != nil {
		return err
	}
	if len(found.soft) > 0 {
		r.gitOpsError, r.gitOpsStep = errors.Join(found.soft...), stepAccess
	}
	return nil
}

// look reads the repository and the management cluster at the same time. Its error is the context's, with
// what was under way then.
func (r *run) look(ctx context.Context, needs demands, found *findings) error {
	// Both begin here: otherwise chance decides which of the two is told first.
	r.steps.Begin(stepAccess)
	r.steps.Begin(stepCluster)
	crash.Both(func() { r.observeRepository(ctx, found) }, func() { r.observeCluster(ctx, needs, found) })
	if ctx.Err() == nil {
		return nil
	}
	if err := found.unfinished(ctx); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (r *run) observeRepository(ctx context.Context, found *findings) {
	r.steps.Begin(stepAccess)
	outcome, detail := step.OutcomeFailed, ""
	defer func() { r.steps.End(stepAccess, outcome, detail) }()

	repo, err := r.ports.OpenRepository(ctx)
	if err != nil {
		found.addOpening(err)
		return
	}
	r.open.repo = repo
	exists := true
	if r.ports.OpenHost != nil {
		host, err := r.ports.OpenHost(ctx)
		if err != nil {
			found.add(AreaAccess, err)
			return
		}
		r.open.host = host
		exists, detail = r.observeHost(ctx, host, found)
		if detail == "" {
			return
		}
	}
	if !exists {
		outcome = step.OutcomeChecked
		return
	}
	var snapshot Snapshot
	crash.Both(
		func() { snapshot, err = r.fetch(ctx) },
		func() { r.observeClusterKey(ctx, found) },
	)
	if err != nil {
		classifyFetch(fmt.Errorf("reading the repository: %w", err), found)
		return
	}
	r.snapshot = snapshot
	outcome = step.OutcomeChecked
}

// observeHost asks the host's API. It returns whether the repository exists and a few words about what was
// found, none when something is wrong.
func (r *run) observeHost(ctx context.Context, host Host, found *findings) (exists bool, detail string) {
	var known []byte
	trusted := true
	var aside crash.Group
	if r.keepsFlux {
		aside.Go(func() { known, trusted = r.hostsOf(ctx, host, found) })
	}
	access, err := host.CheckAccess(ctx, github.AccessRequest{
		Ref: r.seen.RepoRef(), Personal: r.seen.Config.GitHub.Personal, Branch: r.seen.Config.Branch,
		NeedDeployKey: r.keepsFlux,
	})
	aside.Wait()
	if err != nil {
		classifyHost(err, found)
		return false, ""
	}
	r.seen.Access = access
	good := trusted
	for _, f := range access.Findings {
		switch {
		case f.Severity == github.SeverityWarning:
			r.steps.Note(step.LevelWarning, joined(f.Message, f.Hint.String()))
		case f.Kind == github.KindAuth, f.Kind == github.KindPermission:
			found.addFinding(Finding{Area: AreaAccess, Message: f.Message, Hint: f.Hint.String()})
			good = false
		case f.Kind == github.KindConfig:
			found.addFinding(Finding{Area: AreaSpec, Message: f.Message, Hint: f.Hint.String()})
			good = false
		default:
			soft := &hintedError{message: f.Message, hint: f.Hint.String()}
			if f.Kind == github.KindPolicy {
				soft.is = github.ErrPolicy
			}
			found.addSoft(soft)
			good = false
		}
	}
	if !good {
		return false, ""
	}
	r.seen.KnownHosts = known
	ref := r.seen.RepoRef().String()
	if access.Repository == nil {
		missing := ref + " does not exist"
		if r.keepsFlux { // so that it would make the repository
			missing += " yet"
		}
		return false, missing
	}
	return true, ref
}

// hostsOf gives known_hosts lines for the host from which Flux reads: the keys that it publishes over TLS,
// else those that the operator vouches for. What is wrong is added to what was found; see checkHosts for what
// the operator cannot give.
func (r *run) hostsOf(ctx context.Context, host Host, found *findings) (known []byte, ok bool) {
	keys, err := host.HostKeys(ctx)
	switch {
	case errors.Is(err, github.ErrNotFound) && r.settings.KnownHosts != nil:
		known, r.seen.NoKnownHosts = r.settings.KnownHosts()
		return known, true
	case err != nil:
		classifyHost(err, found)
		return nil, false
	}
	if known, err = sshkeys.KnownHostsForKeys(r.seen.Remote.Cluster, keys); err != nil {
		found.add(AreaSpec, fmt.Errorf("reading the host keys that GitHub publishes: %w", err))
	}
	return known, err == nil
}

// checkHosts makes sure that Flux knows the host's keys when the operator gives none: those with which it
// reads the repository already are good enough.
func (r *run) checkHosts(found *findings) {
	if r.seen.NoKnownHosts == nil || r.seen.Cluster == nil {
		return
	}
	flux := &r.seen.Cluster.Flux
	if flux.GitRepository == nil || r.seen.FollowsOther(flux) || flux.SourceSecret == nil ||
		len(flux.SourceSecret.KnownHosts) == 0 {
		found.add(AreaAccess, r.seen.NoKnownHosts)
	}
}

func classifyHost(err error, found *findings) {
	switch {
	case facts.IsAccessError(err):
		found.add(AreaAccess, err)
	case errors.Is(err, github.ErrUnavailable), errors.Is(err, github.ErrRateLimited), facts.IsRuleError(err):
		found.addSoft(err)
	default:
		found.add(AreaSpec, err)
	}
}

func classifyFetch(err error, found *findings) {
	switch {
	case facts.IsAccessError(err), errors.As(err, new(*git.HostKeyError)):
		found.add(AreaAccess, err)
	case errors.As(err, new(*git.NotFoundError)):
		found.add(AreaSpec, err)
	default:
		found.addSoft(err)
	}
}

func (r *run) observeCluster(ctx context.Context, needs demands, found *findings) {
	r.steps.Begin(stepCluster)
	outcome, detail := step.OutcomeFailed, ""
	defer func() { r.steps.End(stepCluster, outcome, detail) }()

	cluster, err := r.ports.OpenCluster(ctx)
	if r.seen.Absent = needs.orAbsent && errors.Is(err, ErrNoKubeconfig); r.seen.Absent {
		r.seen.Cluster, r.seen.Unfound = &fluxinstall.State{}, err
		outcome, detail = step.OutcomeChecked, "no kubeconfig leads to "+r.seen.ManagementCluster
		return
	}
	if err != nil {
		found.add(AreaCluster, err)
		return
	}
	r.open.cluster = cluster
	state, err := cluster.Inspect(ctx,
		fluxinstall.InspectOptions{SystemNamespace: r.seen.Config.SystemNamespace, Purpose: r.purpose})
	if err != nil {
		found.add(AreaCluster, fmt.Errorf("looking at the management cluster: %w", err))
		return
	}
	r.seen.Cluster = state
	r.identify(ctx, &state.Flux)
	wrong := slices.Concat(needs.judge(state), lacking(state.MissingRights))
	for _, f := range wrong {
		found.addFinding(f)
	}
	if len(wrong) == 0 {
		outcome, detail = step.OutcomeChecked, fmt.Sprintf("%s at %s", r.seen.ManagementCluster, state.Server)
	}
}

// checkCluster holds what is in the cluster against what the spec expects to find there.
func (r *run) checkCluster(state *fluxinstall.State) []Finding {
	if wrong := r.checkManagementCluster(state); wrong != nil {
		return wrong
	}
	wrong := slices.Concat(r.checkFlux(state), r.checkHanging(state))
	if len(wrong) == 0 {
		wrong = r.checkAsleep(state)
	}
	if !r.keepsFlux && (state.Flux.GitRepository == nil || state.Flux.Kustomization == nil) {
		wrong = append(wrong,
			Finding{AreaCluster, fmt.Sprintf("management cluster %s is not managed through Git yet: there "+
				"is no Flux in namespace %s", r.seen.ManagementCluster, r.seen.Config.SystemNamespace),
				text.Command("first run: eksa-gitops create cluster -f with the file of %s",
					r.seen.ManagementCluster)})
	}
	return wrong
}

// checkManagementCluster makes sure that the cluster is the management cluster that is meant; nil when it is.
func (r *run) checkManagementCluster(state *fluxinstall.State) []Finding {
	want := r.seen.ManagementCluster
	if !state.EKSAInstalled {
		return []Finding{{AreaCluster, fmt.Sprintf("the cluster at %s has no EKS Anywhere: there is "+
			"no resource type clusters.anywhere.eks.amazonaws.com", state.Server),
			"create the management cluster with eksctl anywhere, or choose another kubeconfig with " +
				"--kubeconfig; tried: " + state.Origin}}
	}
	var names []string
	for _, c := range state.ManagementClusters() {
		if c.Name == want {
			return nil
		}
		names = append(names, c.Name)
	}
	if len(names) == 0 {
		return []Finding{{AreaCluster, fmt.Sprintf(
			"the cluster at %s has no management Cluster object; the spec names %s", state.Server, want),
			"choose the management cluster's kubeconfig with --kubeconfig; tried: " + state.Origin}}
	}
	return []Finding{{AreaCluster, fmt.Sprintf("the cluster at %s is the management cluster %s, not %s",
		state.Server, strings.Join(names, ", "), want),
		"choose the kubeconfig of " + want + " with --kubeconfig; tried: " + state.Origin}}
}

// checkFlux makes sure that what is installed is ours to use: nothing there, or the same repository, branch
// and path.
func (r *run) checkFlux(state *fluxinstall.State) []Finding {
	var wrong []Finding
	for _, other := range state.Flux.Others {
		wrong = append(wrong, Finding{AreaCluster,
			"Flux is already installed by somebody else: " + other.Description, otherHint(other)})
	}
	// What those two install follows what they say; that it is something else is no finding of its own.
	kept := func(o fluxinstall.Other) bool {
		return o.Installer == fluxinstall.InstallerOperator || o.Installer == fluxinstall.InstallerHelm
	}
	if r.adopting || slices.ContainsFunc(state.Flux.Others, kept) {
		return wrong
	}
	namespace := r.seen.Config.SystemNamespace
	if a := state.Flux.Adoption; a != nil && r.adoptHint != "" {
		return []Finding{{AreaCluster, fmt.Sprintf("a run that was cut off began to take over the Flux in "+
			"namespace %s, which followed branch %s of %s; until that is done Flux deletes nothing",
			namespace, a.Branch, a.URL),
			"go on: " + r.adoptHint}}
	}
	orAdopt := ""
	if r.adoptHint != "" && r.keepsFlux {
		orAdopt = "; or " + r.adoptHint
	}
	if git := state.Flux.GitRepository; git != nil {
		if !r.seen.SameSource(git.URL) || git.Branch != r.seen.Config.Branch {
			wrong = append(wrong, Finding{AreaCluster,
				fmt.Sprintf("GitRepository %s/%s follows branch %s of %s; the spec says branch %s of %s",
					namespace, git.Name, git.Branch, git.URL, r.seen.Config.Branch, r.seen.Remote.Cluster),
				"put the repository and branch that are in use into the spec, or remove the GitRepository " +
					"first" + orAdopt})
		}
	}
	if ks := state.Flux.Kustomization; ks != nil && !facts.SamePath(ks.Path, layout.SyncPath(r.seen.Config)) {
		wrong = append(wrong, Finding{AreaCluster,
			fmt.Sprintf("Kustomization %s/%s applies path %s; the spec says %s",
				namespace, ks.Name, ks.Path, layout.SyncPath(r.seen.Config)),
			text.Command("put the path that is in use into spec.clusterConfigPath, or first suspend the "+
				"Kustomization (flux suspend kustomization %s -n %s) and then remove it: Flux deletes "+
				"all that one which is not suspended has applied, clusters included", ks.Name, namespace) +
				orAdopt})
	}
	return wrong
}

// otherHint says what can be done about an installation that is not taken over.
func otherHint(other fluxinstall.Other) string {
	switch other.Installer {
	case fluxinstall.InstallerOperator:
		return text.Command("flux-operator would undo what eksa-gitops does to Flux, with --adopt or "+
			"without: either keep it, and commit the cluster's files by hand to what its spec.sync "+
			"follows, or have it let go of Flux (annotate fluxinstance %s in namespace %s with "+
			"fluxcd.controlplane.io/prune=disabled and delete it), and take over what is left with "+
			"eksa-gitops upgrade cluster --adopt", other.Name, other.Namespace)
	case fluxinstall.InstallerHelm:
		return text.Command("Helm would undo what eksa-gitops does to Flux, with --adopt or without: "+
			"uninstall the release first (helm uninstall %s), with all Kustomizations suspended and Flux's "+
			"CRDs kept, since everything of Flux's kinds is deleted with them, and run this command again",
			other.Name)
	case fluxinstall.InstallerElsewhere:
		return text.Command("a cluster has one Flux: put systemNamespace: %s into the spec "+
			"to use that one, or remove it first (flux uninstall --namespace=%s --keep-namespace) with its "+
			"Kustomizations suspended", other.Namespace, other.Namespace)
	}
	return "remove it first, or keep using it; eksa-gitops does not take over another installation"
}

// checkTogether compares the spec of workload clusters with the GitOps configuration of their management
// cluster. EKS Anywhere demands equal specs and different names (eksctl anywhere's create validations).
func (r *clustersRun) checkTogether(found *findings) {
	if r.seen.Cluster == nil || r.management != nil {
		return
	}
	for _, c := range r.managed {
		if c.Role() != clusterspec.RoleWorkload {
			continue
		}
		live := r.seen.Cluster.GitOpsConfigOf(c.ManagementCluster)
		if live == nil {
			continue
		}
		if live.Kind == c.GitOps.Kind && live.Name == c.GitOps.Name && live.Namespace == c.Namespace {
			found.addFinding(Finding{AreaSpec, fmt.Sprintf("cluster %s: %s %s is the management cluster's "+
				"own; a workload cluster needs one of another name", c.Name, live.Kind, live.Name),
				fmt.Sprintf("rename it, for example to %s, in the %s and in spec.gitOpsRef.name of the "+
					"Cluster", c.Name, live.Kind)})
		}
		for _, difference := range gitOpsDifferences(live.Spec, c.GitOps) {
			hint := "a workload cluster's GitOps configuration has to be the same as its management cluster's"
			if r.sameButName(difference) {
				hint = fmt.Sprintf("write %s, as the management cluster has it: both names lead to the "+
					"same repository, but EKS Anywhere compares the texts", difference.live)
			}
			found.addFinding(Finding{AreaSpec,
				fmt.Sprintf("cluster %s: %s %s: %s", c.Name, c.GitOps.Kind, c.GitOps.Name, difference), hint})
		}
	}
}
