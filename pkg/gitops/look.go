package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// A run looks, and makes facts of what it sees; nothing but this file does that (TestFacts).

// The steps that only look.
const (
	stepAccess  step.Name = "Check access to the repository"
	stepCluster step.Name = "Check the management cluster"
)

// demands are what a command needs of the management cluster.
type demands struct {
	// judge finds what is not as the command needs it. Nothing that it is given of the host counts: that is
	// looked at in the same moment.
	judge func(facts.Facts) []facts.Finding
	// orAbsent says that the command goes on without a kubeconfig, and looks for other evidence of the
	// cluster.
	orAbsent bool
}

// look reads the repository and the management cluster at the same time. Its error is the context's, with
// what was under way then.
func (r *run) look(ctx context.Context, needs demands, found *findings) error {
	// Both begin here: otherwise chance decides which of the two is told first.
	r.steps.Begin(stepAccess)
	r.steps.Begin(stepCluster)
	var host facts.AtHost
	var cluster facts.AtCluster
	crash.Both(func() { host = r.observeRepository(ctx, found) },
		func() { cluster = r.observeCluster(ctx, needs, found) })
	r.seen = r.seen.WithHost(host).WithCluster(cluster)
	if ctx.Err() == nil {
		return nil
	}
	if err := found.unfinished(ctx); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// lookAtRepository is look at the repository alone.
func (r *run) lookAtRepository(ctx context.Context, found *findings) {
	r.seen = r.seen.WithHost(r.observeRepository(ctx, found))
}

// lookAtCluster is look at the management cluster alone, perhaps once more.
func (r *run) lookAtCluster(ctx context.Context, needs demands, found *findings) {
	r.seen = r.seen.WithCluster(r.observeCluster(ctx, needs, found))
}

// lookAway takes the management cluster for one that is gone.
func (r *run) lookAway() {
	r.seen = r.seen.WithCluster(facts.AtCluster{Absent: true, Cluster: &fluxinstall.State{}})
}

// lookReleased goes on with the management cluster as it is going to be when what is held is released.
func (r *run) lookReleased(state *fluxinstall.State) {
	cluster := r.seen.AtCluster()
	cluster.Cluster = state
	r.seen = r.seen.WithCluster(cluster)
}

func (r *run) observeRepository(ctx context.Context, found *findings) (seen facts.AtHost) {
	r.steps.Begin(stepAccess)
	outcome, detail := step.OutcomeFailed, ""
	defer func() { r.steps.End(stepAccess, outcome, detail) }()

	repo, err := r.ports.OpenRepository(ctx)
	if err != nil {
		found.addOpening(err)
		return seen
	}
	r.open.repo = repo
	exists := true
	if r.ports.OpenHost != nil {
		host, err := r.ports.OpenHost(ctx)
		if err != nil {
			found.add(facts.AreaAccess, err)
			return seen
		}
		r.open.host = host
		seen, exists, detail = r.observeHost(ctx, host, found)
		if detail == "" {
			return seen
		}
	}
	if !exists {
		outcome = step.OutcomeChecked
		return seen
	}
	var snapshot Snapshot
	recent := func() bool { return isNew(seen.Access) }
	crash.Both(
		func() { snapshot, err = r.fetchWhile(ctx, recent) },
		func() { r.observeClusterKey(ctx, recent, found) },
	)
	if err != nil {
		classifyFetch(fmt.Errorf("reading the repository: %w", err), found)
		return seen
	}
	r.snapshot = snapshot
	outcome = step.OutcomeChecked
	return seen
}

// observeHost asks the host's API. It returns what it has seen, whether the repository exists, and a few
// words about what was found, none when something is wrong.
func (r *run) observeHost(ctx context.Context, host Host,
	found *findings) (seen facts.AtHost, exists bool, detail string) {
	var known knownHosts
	var aside crash.Group
	if r.keepsFlux {
		aside.Go(func() { known = r.hostsOf(ctx, host, found) })
	}
	access, err := host.CheckAccess(ctx, github.AccessRequest{
		Ref: r.seen.RepoRef(), Personal: r.seen.Config().GitHub.Personal, Branch: r.seen.Config().Branch,
		NeedDeployKey: r.keepsFlux,
	})
	aside.Wait()
	seen.NoKnownHosts = known.none
	if err != nil {
		classifyHost(err, found)
		return seen, false, ""
	}
	seen.Access = access
	good := !known.wrong
	for _, f := range access.Findings {
		switch {
		case f.Severity == github.SeverityWarning:
			r.steps.Note(step.LevelWarning, joined(f.Message, f.Hint.String()))
		case f.Kind == github.KindAuth, f.Kind == github.KindPermission:
			found.addFinding(facts.Finding{Area: facts.AreaAccess, Message: f.Message, Hint: f.Hint.String()})
			good = false
		case f.Kind == github.KindConfig:
			found.addFinding(facts.Finding{Area: facts.AreaSpec, Message: f.Message, Hint: f.Hint.String()})
			good = false
		default:
			soft := &hintedError{message: f.Message, hint: f.Hint.String()}
			if f.Kind == github.KindPolicy {
				soft.is = github.ErrPolicy
			}
			if f.Name == github.FindingBranch {
				seen.BranchRule = soft
				continue
			}
			found.addSoft(soft)
			good = false
		}
	}
	if !good {
		return seen, false, ""
	}
	seen.KnownHosts = known.lines
	ref := r.seen.RepoRef().String()
	if access.Repository == nil {
		missing := ref + " does not exist"
		if r.keepsFlux { // so that it would make the repository
			missing += " yet"
		}
		return seen, false, missing
	}
	return seen, true, ref
}

// knownHosts are those of the host from which Flux reads.
type knownHosts struct {
	lines []byte
	none  error // why the operator can give none; see checkHosts
	wrong bool  // what is wrong is among the findings
}

// hostsOf gives known_hosts lines for the host from which Flux reads: the keys that it publishes over TLS,
// else those that the operator vouches for. What is wrong is added to what was found.
func (r *run) hostsOf(ctx context.Context, host Host, found *findings) (known knownHosts) {
	keys, err := host.HostKeys(ctx)
	switch {
	case errors.Is(err, github.ErrNotFound) && r.settings.KnownHosts != nil:
		known.lines, known.none = r.settings.KnownHosts()
		return known
	case err != nil:
		classifyHost(err, found)
		return knownHosts{wrong: true}
	}
	if known.lines, err = sshkeys.KnownHostsForKeys(r.seen.Remote().Cluster, keys); err != nil {
		found.add(facts.AreaSpec, fmt.Errorf("reading the host keys that GitHub publishes: %w", err))
		known.wrong = true
	}
	return known
}

func classifyHost(err error, found *findings) {
	switch {
	case facts.IsAccessError(err):
		found.add(facts.AreaAccess, err)
	case errors.Is(err, github.ErrUnavailable), errors.Is(err, github.ErrRateLimited), facts.IsRuleError(err):
		found.addSoft(err)
	default:
		found.add(facts.AreaSpec, err)
	}
}

func classifyFetch(err error, found *findings) {
	switch {
	case facts.IsAccessError(err), errors.As(err, new(*git.HostKeyError)):
		found.add(facts.AreaAccess, err)
	case errors.As(err, new(*git.NotFoundError)):
		found.add(facts.AreaSpec, err)
	default:
		found.addSoft(err)
	}
}

// observeCluster looks at the management cluster. What it cannot see is left as it was.
func (r *run) observeCluster(ctx context.Context, needs demands, found *findings) facts.AtCluster {
	r.steps.Begin(stepCluster)
	outcome, detail := step.OutcomeFailed, ""
	defer func() { r.steps.End(stepCluster, outcome, detail) }()

	seen := r.seen.AtCluster()
	cluster, err := r.ports.OpenCluster(ctx)
	if seen.Absent = needs.orAbsent && errors.Is(err, ErrNoKubeconfig); seen.Absent {
		seen.Cluster, seen.Unfound = &fluxinstall.State{}, err
		outcome, detail = step.OutcomeChecked, "no kubeconfig leads to "+r.seen.ManagementCluster()
		return seen
	}
	if err != nil {
		found.add(facts.AreaCluster, err)
		return seen
	}
	r.open.cluster = cluster
	state, err := cluster.Inspect(ctx,
		fluxinstall.InspectOptions{SystemNamespace: r.seen.Config().SystemNamespace, Purpose: r.purpose})
	if err != nil {
		found.add(facts.AreaCluster, fmt.Errorf("looking at the management cluster: %w", err))
		return seen
	}
	seen.Cluster = state
	if name, known := r.identify(ctx, &state.Flux); known {
		seen.OtherName = name
	}
	wrong := slices.Concat(needs.judge(r.seen.WithCluster(seen)), lacking(state.MissingRights))
	for _, f := range wrong {
		found.addFinding(f)
	}
	if len(wrong) == 0 {
		outcome, detail = step.OutcomeChecked,
			fmt.Sprintf("%s at %s", r.seen.ManagementCluster(), state.Server)
	}
	return seen
}

// identify finds out whether Flux follows the repository under another name; known is false where nobody
// could be asked.
func (r *run) identify(ctx context.Context, flux *fluxinstall.FluxState) (name github.RepoRef, known bool) {
	if r.seen.Config().GitHub == nil || r.ports.OpenHost == nil {
		return github.RepoRef{}, false
	}
	host, err := r.ports.OpenHost(ctx)
	if err != nil {
		return github.RepoRef{}, false // it is told of where the repository is looked at
	}
	return facts.OtherName(ctx, host, r.seen.Remote(), r.seen.Config(), flux), true
}
