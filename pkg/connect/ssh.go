package connect

import (
	"context"
	"errors"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// SSH is how to log in to a Git server.
type SSH struct {
	// Key is what the operator pushes with, AgentSocket the path of an SSH agent's socket. One of them is
	// needed; with both, the key is offered first.
	Key         KeyFile
	AgentSocket string
	// ClusterKey is the key that Flux reads with. Without one it is Key, for a cluster that has none.
	ClusterKey KeyFile
	// Ask is asked for the passphrase of a key for which there is none, and again when the one that it gave
	// is wrong, three times at most. Its error is one of the Problems; with [ErrNobody] the key stays locked,
	// and that is the problem. Nil asks nobody.
	Ask func(ctx context.Context, locked LockedKey) (secret.Value, error)
}

// KeyFile is a file with a private key.
type KeyFile struct {
	// File is its path; empty where there is none.
	File string
	// Passphrase is what opens it, if it is locked.
	Passphrase secret.Value
}

// LockedKey is a private key whose passphrase is asked for.
type LockedKey struct {
	File string
	// OnlyForCluster says that an agent signs with this key, so that the run goes on without an answer: the
	// key itself is only needed where the cluster has none yet.
	OnlyForCluster bool
}

// ErrNobody is what [SSH.Ask] returns when nobody can be asked.
var ErrNobody = errors.New("there is nobody to ask")

// passphraseTries is how often ssh asks for a passphrase.
const passphraseTries = 3

// sshAccess is the way to a repository over SSH, for the operator and for the cluster.
type sshAccess struct {
	options    Options
	url        *sshkeys.URL
	identities *sshkeys.Identities
	knownHosts *sshkeys.KnownHosts
	clusterKey *sshkeys.Key // of its own; nil without one
	source     fluxinstall.SourceSecret
	operators  bool // the key in source is the operator's
	warnings   []string
}

// overSSH fills in what the git provider needs.
func (w *Way) overSSH(ctx context.Context, o Options) error {
	access := &sshAccess{options: o}
	w.Problems = access.read(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var push string
	if access.url != nil {
		push = access.url.String()
		w.Settings.Remote = facts.Remote{Web: push, Push: push, Cluster: o.GitOps.Git.RepositoryURL}
	}
	w.Warnings = access.warnings
	w.Source, w.SourceIsOperators = &access.source, access.operators
	w.Ports.OpenRepository = openSSH(push, o, access.identities, access.knownHosts, w.Problems)
	if access.clusterKey != nil {
		w.Ports.OpenClusterRepository = openSSH(push, o, sshkeys.FromKey(access.clusterKey),
			access.knownHosts, w.Problems)
	}
	return nil
}

// read reads keys and known hosts. It returns all that is wrong with them.
func (a *sshAccess) read(ctx context.Context) []error {
	var err error
	if a.url, err = sshkeys.ParseURL(a.options.GitOps.Git.RepositoryURL); err != nil {
		return []error{err}
	}
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, a.options.explain(err))
		}
	}
	note(a.readKnownHosts(ctx))
	note(a.readOperatorKey(ctx))
	if a.options.KeepsFlux {
		note(a.readClusterKey(ctx))
	}
	return problems
}

func (a *sshAccess) readKnownHosts(ctx context.Context) error {
	known, err := readKnownHosts(ctx, a.options.KnownHosts, a.url)
	if err != nil {
		return err
	}
	for _, problem := range known.Problems() {
		a.warnings = append(a.warnings, "known hosts: "+problem)
	}
	a.knownHosts = known
	a.source.KnownHosts = []byte(known.LinesFor(a.url.Address()))
	return nil
}

// readOperatorKey finds the identities to push with. The cluster gets the operator's key when it has none of
// its own, so that then the key itself is needed, and not only an agent that signs with it.
func (a *sshAccess) readOperatorKey(ctx context.Context) error {
	settings := a.options.SSH
	if settings.Key.File == "" && settings.AgentSocket == "" {
		return &NoKeyError{Host: a.url.Host}
	}
	source := sshkeys.Source{KeyFile: settings.Key.File, Passphrase: settings.Key.Passphrase,
		AgentSocket: settings.AgentSocket}
	identities, err := sshkeys.Select(ctx, source)
	shared := a.options.KeepsFlux && settings.ClusterKey.File == ""
	// An agent may sign with the key of a locked file, but does not hand it on: asking now spares a second
	// run.
	onlyForCluster := err == nil && source.KeyFile != "" && shared && identities.Key() == nil
	if onlyForCluster || errors.As(err, new(*sshkeys.PassphraseError)) {
		var asked error
		_, source.Passphrase, asked = a.loadKey(ctx, settings.Key, onlyForCluster)
		switch {
		case asked == nil:
			identities, err = sshkeys.Select(ctx, source)
		case !onlyForCluster || !errors.As(asked, new(*sshkeys.PassphraseError)):
			err = asked
		}
	}
	if err != nil {
		return &KeyFileError{File: settings.Key.File, Err: err}
	}
	a.identities = identities
	if key := a.identities.Key(); key != nil && key.Warning() != "" {
		a.warnings = append(a.warnings, key.Warning())
	}
	return nil
}

// readClusterKey finds the key that Flux gets. sshKeyAlgorithm describes that one.
func (a *sshAccess) readClusterKey(ctx context.Context) error {
	var key *sshkeys.Key
	if given := a.options.SSH.ClusterKey; given.File != "" {
		var err error
		if key, _, err = a.loadKey(ctx, given, false); err != nil {
			return &KeyFileError{File: given.File, Cluster: true, Err: err}
		}
		if key.Warning() != "" && !slices.Contains(a.warnings, key.Warning()) {
			a.warnings = append(a.warnings, key.Warning())
		}
		a.clusterKey = key
	} else if a.identities != nil {
		key, a.operators = a.identities.Key(), true
	}
	if key == nil {
		return nil // the preflight knows whether the cluster has one already
	}
	// The operator's own key goes into a cluster that has none, and only there it matters of which kind it
	// is: preflight knows.
	if !a.operators {
		if err := key.CheckAlgorithm(a.options.GitOps.Git.SSHKeyAlgorithm); err != nil {
			return err
		}
	}
	var err error
	a.source.PrivateKey, err = key.PrivatePEM()
	return err
}

// loadKey reads a private key, and says with which passphrase. When only the passphrase is missing, it asks,
// as often as ssh does.
func (a *sshAccess) loadKey(ctx context.Context, file KeyFile,
	onlyForCluster bool) (*sshkeys.Key, secret.Value, error) {
	passphrase := file.Passphrase
	key, err := sshkeys.LoadKey(ctx, file.File, passphrase)
	for try := 1; try <= passphraseTries; try++ {
		locked, ok := errors.AsType[*sshkeys.PassphraseError](err)
		if !ok || a.options.SSH.Ask == nil || locked.Wrong && try == 1 {
			break // a passphrase that was given and is wrong is for its giver to put right
		}
		entered, asked := a.options.SSH.Ask(ctx, LockedKey{File: file.File, OnlyForCluster: onlyForCluster})
		if errors.Is(asked, ErrNobody) {
			break
		}
		if asked != nil {
			return nil, secret.Value{}, asked
		}
		if !entered.IsZero() {
			passphrase = entered
			key, err = sshkeys.LoadKey(ctx, file.File, entered)
		}
	}
	return key, passphrase, err
}
