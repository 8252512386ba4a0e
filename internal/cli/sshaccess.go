package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// The variables that hold the way to a generic Git server; the first three names are EKS Anywhere's.
const (
	privateKeyVariable = "EKSA_GIT_PRIVATE_KEY"
	passphraseVariable = "EKSA_GIT_SSH_KEY_PASSPHRASE"
	knownHostsVariable = "EKSA_GIT_KNOWN_HOSTS"
	agentVariable      = "SSH_AUTH_SOCK"

	clusterPassphraseVariable = "EKSA_GITOPS_CLUSTER_PRIVATE_KEY_PASSPHRASE"
)

// passphraseTries is how often ssh asks for a passphrase.
const passphraseTries = 3

// maxKnownHosts bounds what is read as a known-hosts file.
const maxKnownHosts = 16 << 20

// sshAccess is the way to a repository over SSH, for the operator and for the cluster.
type sshAccess struct {
	url        *sshkeys.URL
	identities *sshkeys.Identities
	knownHosts *sshkeys.KnownHosts
	clusterKey *sshkeys.Key // of its own; nil without one
	source     fluxinstall.SourceSecret
	operators  bool // the key in source is the operator's
	warnings   []string
}

// overSSH fills in what the git provider needs. What is wrong with keys and known hosts becomes a finding of the preflight, together
// with everything else that is wrong. A passphrase is asked for here, before the steps begin to draw.
func (w *wiring) overSSH(ctx context.Context, d *deps, o *gitOptions, f fleet) error {
	access, problems := openSSHAccess(ctx, d, f.config.Git, o.clusterPrivateKey, f.keepsFlux)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	for _, problem := range problems {
		if errors.Is(problem, ui.ErrInterrupted) {
			return &interruptedError{err: problem, resume: d.commandLine()}
		}
	}
	var push string
	if access.url != nil {
		push = access.url.String()
		w.settings.Remote = gitops.Remote{Web: push, Push: push, Cluster: f.config.Git.RepositoryURL}
	}
	for _, warning := range access.warnings {
		printLines(d.streams.Err, "warning", warning)
	}
	w.source, w.sourceIsOperators = &access.source, access.operators
	open := func(identities *sshkeys.Identities) func(context.Context) (gitops.Repository, error) {
		return func(context.Context) (gitops.Repository, error) {
			if err := errors.Join(problems...); err != nil {
				return nil, err
			}
			return remoteRepository{remote: gitrepo.Remote{
				URL: push, UserAgent: userAgent(), Auth: gitrepo.SSHAuth{Identities: identities, KnownHosts: access.knownHosts},
			}}, nil
		}
	}
	w.ports.OpenRepository = open(access.identities)
	if access.clusterKey != nil {
		w.ports.OpenClusterRepository = open(sshkeys.FromKey(access.clusterKey))
	}
	return nil
}

// openSSHAccess reads keys and known hosts. It returns all that is wrong with them.
func openSSHAccess(ctx context.Context, d *deps, config *clusterspec.GitConfig, clusterKeyFile string, forCluster bool) (*sshAccess, []error) {
	access := &sshAccess{}
	var problems []error
	var err error
	if access.url, err = sshkeys.ParseURL(config.RepositoryURL); err != nil {
		return access, []error{err}
	}
	if err := access.readKnownHosts(ctx, d); err != nil {
		problems = append(problems, err)
	}
	if err := access.readOperatorKey(ctx, d, forCluster && clusterKeyFile == ""); err != nil {
		problems = append(problems, err)
	}
	if forCluster {
		if err := access.readClusterKey(ctx, d, clusterKeyFile, config.SSHKeyAlgorithm); err != nil {
			problems = append(problems, err)
		}
	}
	return access, problems
}

func (a *sshAccess) readKnownHosts(ctx context.Context, d *deps) error {
	known, err := readKnownHosts(ctx, d, a.url)
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

// readKnownHosts reads the file of known hosts that the environment names, for the server of a URL.
func readKnownHosts(ctx context.Context, d *deps, server *sshkeys.URL) (*sshkeys.KnownHosts, error) {
	path := d.getenv(knownHostsVariable)
	howTo := makeKnownHosts(server)
	if path == "" {
		return nil, &accessError{message: fmt.Sprintf("%s is not set: without a known-hosts file the host keys of %s cannot be checked", knownHostsVariable, server.Host), hint: howTo}
	}
	content, _, err := localfile.Read(ctx, path, maxKnownHosts)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &accessError{message: fmt.Sprintf("%s=%s: there is no such file", knownHostsVariable, path), hint: howTo}
	case errors.As(err, new(*localfile.KindError)):
		return nil, &accessError{message: fmt.Sprintf("%s=%s is a directory, not a known-hosts file", knownHostsVariable, path), hint: howTo}
	case errors.As(err, new(*localfile.TooLargeError)):
		return nil, &accessError{message: fmt.Sprintf("%s=%s is larger than a known-hosts file may be (%d MiB)", knownHostsVariable, path, maxKnownHosts>>20), hint: howTo}
	case err != nil:
		return nil, fmt.Errorf("%s: %w", knownHostsVariable, err)
	}
	known, err := sshkeys.ParseKnownHosts(content, path)
	if err != nil {
		return nil, &accessError{message: fmt.Sprintf("%s: %v", knownHostsVariable, err), hint: howTo}
	}
	return known, nil
}

// makeKnownHosts says how a file of known hosts is made for a server.
func makeKnownHosts(server *sshkeys.URL) string {
	scan := text.Command("ssh-keyscan %s > known_hosts", server.Host)
	if server.Port != 22 {
		scan = text.Command("ssh-keyscan -p %s %s > known_hosts", server.Port, server.Host)
	}
	return "make one with: " + scan + ", compare its fingerprints (ssh-keygen -lf known_hosts) with those that the server's administrator publishes, then: export " + knownHostsVariable + "=known_hosts"
}

// knownHostsOfGitHub gives the lines of the file that the environment names for a GitHub that publishes no host keys itself.
func knownHostsOfGitHub(ctx context.Context, d *deps, remote string) func() ([]byte, error) {
	return func() ([]byte, error) {
		server, err := sshkeys.ParseURL(remote)
		if err != nil {
			return nil, err
		}
		if d.getenv(knownHostsVariable) == "" {
			return nil, &accessError{
				message: fmt.Sprintf("%s publishes no SSH host keys (GET /meta), as GitHub Enterprise servers do not, and %s is not set: Flux would trust no server", server.Host, knownHostsVariable),
				hint:    makeKnownHosts(server),
			}
		}
		known, err := readKnownHosts(ctx, d, server)
		if err != nil {
			return nil, err
		}
		lines := known.LinesFor(server.Address())
		if lines == "" {
			return nil, &accessError{
				message: fmt.Sprintf("%s=%s has no host key of %s that Flux understands, and the server publishes none (GET /meta)", knownHostsVariable, known.File(), server.Host),
				hint:    makeKnownHosts(server),
			}
		}
		return []byte(lines), nil
	}
}

// readOperatorKey finds the identities to push with. The cluster gets the operator's key when it has none of its own, so that then the
// key itself is needed, and not only an agent that signs with it.
func (a *sshAccess) readOperatorKey(ctx context.Context, d *deps, shared bool) error {
	source := sshkeys.Source{KeyFile: d.getenv(privateKeyVariable), Passphrase: secret.New(d.getenv(passphraseVariable)), AgentSocket: d.getenv(agentVariable)}
	if source.KeyFile == "" && source.AgentSocket == "" {
		return &accessError{
			message: fmt.Sprintf("there is no private key to log in to %s with: neither %s nor %s is set", a.url.Host, privateKeyVariable, agentVariable),
			hint:    fmt.Sprintf("export %s=FILE, or start an agent: eval \"$(ssh-agent -s)\" && ssh-add FILE", privateKeyVariable),
		}
	}
	var err error
	a.identities, err = sshkeys.Select(ctx, source)
	// An agent may sign with the key of a locked file, but does not hand it on: asking now spares a second run.
	locked := err == nil && source.KeyFile != "" && shared && a.identities.Key() == nil && d.streams.InTTY
	if locked || errors.As(err, new(*sshkeys.PassphraseError)) {
		if _, source.Passphrase, err = loadKey(ctx, d, source.KeyFile, source.Passphrase); err == nil {
			a.identities, err = sshkeys.Select(ctx, source)
		}
	}
	if err != nil {
		return aboutKey(err, privateKeyVariable, passphraseVariable)
	}
	if key := a.identities.Key(); key != nil && key.Warning() != "" {
		a.warnings = append(a.warnings, key.Warning())
	}
	return nil
}

// readClusterKey finds the key that Flux gets. sshKeyAlgorithm describes that one.
func (a *sshAccess) readClusterKey(ctx context.Context, d *deps, file, algorithm string) error {
	var key *sshkeys.Key
	if file != "" {
		var err error
		if key, _, err = loadKey(ctx, d, file, secret.New(d.getenv(clusterPassphraseVariable))); err != nil {
			return aboutKey(err, "--cluster-private-key", clusterPassphraseVariable)
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
	// The operator's own key goes into a cluster that has none, and only there it matters of which kind it is: preflight knows.
	if !a.operators {
		if err := key.CheckAlgorithm(algorithm); err != nil {
			return err
		}
	}
	var err error
	a.source.PrivateKey, err = key.PrivatePEM()
	return err
}

// loadKey reads a private key, and says with which passphrase. When only the passphrase is missing, it asks on the terminal, as often
// as ssh does.
func loadKey(ctx context.Context, d *deps, path string, passphrase secret.Value) (*sshkeys.Key, secret.Value, error) {
	key, err := sshkeys.LoadKey(ctx, path, passphrase)
	for try := 1; try <= passphraseTries; try++ {
		locked, ok := errors.AsType[*sshkeys.PassphraseError](err)
		if !ok || locked.Wrong && try == 1 {
			break // a passphrase that was given and is wrong is for its giver to put right
		}
		entered, asked := ui.AskSecret(ctx, d.streams, fmt.Sprintf("Passphrase for %s:", path))
		if errors.Is(asked, ui.ErrNoTerminal) {
			break
		}
		if asked != nil {
			return nil, secret.Value{}, asked
		}
		if !entered.IsZero() {
			passphrase = entered
			d.redactor.Know(entered.Reveal())
			key, err = sshkeys.LoadKey(ctx, path, entered)
		}
	}
	return key, passphrase, err
}

// aboutKey says where the file was named and which variable takes its passphrase, which the SSH room cannot know.
func aboutKey(err error, named, variable string) error {
	if locked, ok := errors.AsType[*sshkeys.PassphraseError](err); ok {
		if locked.Wrong {
			return &accessError{message: locked.Error(), hint: text.Command("check the passphrase with: ssh-keygen -y -f %s; it is taken from %s, or asked for on a terminal", locked.Origin, variable)}
		}
		hint := fmt.Sprintf("put it into %s, or run the command on a terminal, where it is asked for", variable)
		if variable == passphraseVariable {
			hint += text.Command("; or load the key into an SSH agent with: ssh-add %s", locked.Origin)
		}
		return &accessError{message: locked.Error(), hint: hint}
	}
	return fmt.Errorf("%s: %w", named, err)
}

// accessError is a credential that is missing or cannot be used, with the next action.
type accessError struct{ message, hint string }

func (e *accessError) Error() string { return e.message }
func (e *accessError) Hint() string  { return e.hint }
