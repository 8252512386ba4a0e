package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/connect"
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

// ssh is the way to a generic Git server as the environment and the flags say.
func (o *gitOptions) ssh(d *deps) connect.SSH {
	return connect.SSH{
		Key: connect.KeyFile{File: d.getenv(privateKeyVariable),
			Passphrase: secret.New(d.getenv(passphraseVariable))},
		AgentSocket: d.getenv(agentVariable),
		ClusterKey: connect.KeyFile{File: o.clusterPrivateKey,
			Passphrase: secret.New(d.getenv(clusterPassphraseVariable))},
		Ask: d.askPassphrase,
	}
}

// askPassphrase asks on the terminal.
func (d *deps) askPassphrase(ctx context.Context, locked connect.LockedKey) (secret.Value, error) {
	if locked.OnlyForCluster && !d.streams.InTTY {
		return secret.Value{}, connect.ErrNobody
	}
	entered, err := ui.AskSecret(ctx, d.streams, fmt.Sprintf("Passphrase for %s:", locked.File))
	if errors.Is(err, ui.ErrNoTerminal) {
		return secret.Value{}, connect.ErrNobody
	}
	if !entered.IsZero() {
		d.redactor.Know(entered.Reveal())
	}
	return entered, err
}

// explainAccess says what is wrong with a credential in the words of whoever runs the command: the variables
// and flags that name it.
func explainAccess(err error) error {
	if hosts, ok := errors.AsType[*connect.KnownHostsError](err); ok {
		return explainKnownHosts(hosts)
	}
	if none, ok := errors.AsType[*connect.NoKeyError](err); ok {
		return &accessError{
			message: fmt.Sprintf("there is no private key to log in to %s with: neither %s nor %s is set",
				none.Host, privateKeyVariable, agentVariable),
			hint: fmt.Sprintf("export %s=FILE, or start an agent: eval \"$(ssh-agent -s)\" && ssh-add FILE",
				privateKeyVariable),
		}
	}
	if key, ok := errors.AsType[*connect.KeyFileError](err); ok {
		return explainKey(key)
	}
	return err
}

func explainKnownHosts(e *connect.KnownHostsError) error {
	message := ""
	switch e.Problem {
	case connect.KnownHostsNotGiven:
		message =
			fmt.Sprintf("%s is not set: without a known-hosts file the host keys of %s cannot be checked",
				knownHostsVariable, e.Host)
		if e.Unpublished {
			message = fmt.Sprintf("%s publishes no SSH host keys (GET /meta), as GitHub Enterprise servers "+
				"do not, and %s is not set: Flux would trust no server", e.Host, knownHostsVariable)
		}
	case connect.KnownHostsAbsent:
		message = fmt.Sprintf("%s=%s: there is no such file", knownHostsVariable, e.File)
	case connect.KnownHostsDirectory:
		message = fmt.Sprintf("%s=%s is a directory, not a known-hosts file", knownHostsVariable, e.File)
	case connect.KnownHostsTooLarge:
		message = fmt.Sprintf("%s=%s is larger than a known-hosts file may be (%d MiB)",
			knownHostsVariable, e.File, e.MaxSize()>>20)
	case connect.KnownHostsMalformed:
		message = fmt.Sprintf("%s: %v", knownHostsVariable, e.Err)
	case connect.KnownHostsWithoutHost:
		message = fmt.Sprintf("%s=%s has no host key of %s that Flux understands, and the server publishes "+
			"none (GET /meta)", knownHostsVariable, e.File, e.Host)
	default:
		return fmt.Errorf("%s: %w", knownHostsVariable, e.Err)
	}
	return &accessError{
		message: message,
		hint: "make one with: " + e.ScanCommand() + ", compare its fingerprints (ssh-keygen -lf " +
			"known_hosts) with those that the server's administrator publishes, then: export " +
			knownHostsVariable + "=known_hosts",
	}
}

// explainKey says where the file was named and which variable takes its passphrase.
func explainKey(e *connect.KeyFileError) error {
	named, variable := privateKeyVariable, passphraseVariable
	if e.Cluster {
		named, variable = "--cluster-private-key", clusterPassphraseVariable
	}
	locked, wrong := e.Locked()
	switch {
	case wrong:
		return &accessError{message: e.Error(), hint: text.Command("check the passphrase with: ssh-keygen "+
			"-y -f %s; it is taken from %s, or asked for on a terminal", e.File, variable)}
	case locked:
		hint := fmt.Sprintf("put it into %s, or run the command on a terminal, where it is asked for",
			variable)
		if variable == passphraseVariable {
			hint += text.Command("; or load the key into an SSH agent with: ssh-add %s", e.File)
		}
		return &accessError{message: e.Error(), hint: hint}
	}
	return fmt.Errorf("%s: %w", named, e.Err)
}

// accessError is a credential that is missing or cannot be used, with the next action.
type accessError struct{ message, hint string }

func (e *accessError) Error() string { return e.message }
func (e *accessError) Hint() string  { return e.hint }
