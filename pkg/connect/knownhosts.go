package connect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// maxKnownHosts bounds what is read as a known-hosts file.
const maxKnownHosts = 16 << 20

// readKnownHosts reads the file of known hosts for the server of a URL. The error is a *KnownHostsError, or
// that of reading.
func readKnownHosts(ctx context.Context, path string, server *sshkeys.URL) (*sshkeys.KnownHosts, error) {
	wrong := func(problem KnownHostsProblem, err error) error {
		return &KnownHostsError{Problem: problem, File: path, Host: server.Host, Port: server.Port, Err: err}
	}
	if path == "" {
		return nil, wrong(KnownHostsNotGiven, nil)
	}
	content, _, err := localfile.Read(ctx, path, maxKnownHosts)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, wrong(KnownHostsAbsent, err)
	case errors.As(err, new(*localfile.KindError)):
		return nil, wrong(KnownHostsDirectory, err)
	case errors.As(err, new(*localfile.TooLargeError)):
		return nil, wrong(KnownHostsTooLarge, err)
	case err != nil:
		return nil, wrong(KnownHostsUnread, err)
	}
	known, err := sshkeys.ParseKnownHosts(content, path)
	if err != nil {
		return nil, wrong(KnownHostsMalformed, err)
	}
	return known, nil
}

// knownHostsOfGitHub gives the lines of the file for a GitHub that publishes no host keys itself.
func (o Options) knownHostsOfGitHub(ctx context.Context, remote string) func() ([]byte, error) {
	return func() ([]byte, error) {
		server, err := sshkeys.ParseURL(remote)
		if err != nil {
			return nil, err
		}
		known, err := readKnownHosts(ctx, o.KnownHosts, server)
		if wrong, ok := errors.AsType[*KnownHostsError](err); ok && wrong.Problem == KnownHostsNotGiven {
			wrong.Unpublished = true
		}
		if err != nil {
			return nil, o.explain(err)
		}
		lines := known.LinesFor(server.Address())
		if lines == "" {
			return nil, o.explain(&KnownHostsError{
				Problem: KnownHostsWithoutHost, File: known.File(), Host: server.Host, Port: server.Port,
				Unpublished: true,
			})
		}
		return []byte(lines), nil
	}
}

// KnownHostsProblem is what is wrong with a file of known hosts.
type KnownHostsProblem int

// The problems.
const (
	KnownHostsNotGiven    KnownHostsProblem = iota + 1 // no file was named
	KnownHostsAbsent                                   // there is no such file
	KnownHostsDirectory                                // it is a directory
	KnownHostsTooLarge                                 // it is larger than any file of known hosts
	KnownHostsUnread                                   // it cannot be read, as Err says
	KnownHostsMalformed                                // it is not of that form, as Err says
	KnownHostsWithoutHost                              // it has no key of the host that Flux understands
)

// KnownHostsError says that host keys of a Git server cannot be checked, for want of a file of known hosts
// that has them.
type KnownHostsError struct {
	Problem KnownHostsProblem
	File    string // the file, if one was named
	Host    string // the server
	Port    int    // its SSH port
	// Unpublished says that the server is a GitHub which publishes no host keys.
	Unpublished bool
	Err         error // the cause; may be nil
}

func (e *KnownHostsError) Error() string {
	switch e.Problem {
	case KnownHostsNotGiven:
		if e.Unpublished {
			return fmt.Sprintf("%s publishes no SSH host keys, as GitHub Enterprise servers do not, and no "+
				"file of known hosts is given: Flux would trust no server", e.Host)
		}
		return fmt.Sprintf(
			"no file of known hosts is given: without one the host keys of %s cannot be checked", e.Host)
	case KnownHostsAbsent:
		return fmt.Sprintf("known hosts: there is no file %s", e.File)
	case KnownHostsDirectory:
		return fmt.Sprintf("known hosts: %s is a directory", e.File)
	case KnownHostsTooLarge:
		return fmt.Sprintf("known hosts: %s is larger than such a file may be (%d MiB)",
			e.File, e.MaxSize()>>20)
	case KnownHostsWithoutHost:
		return fmt.Sprintf("known hosts: %s has no host key of %s that Flux understands, and the server "+
			"publishes none", e.File, e.Host)
	}
	return fmt.Sprintf("known hosts: %v", e.Err)
}

// MaxSize is how many bytes are read of a file of known hosts.
func (e *KnownHostsError) MaxSize() int { return maxKnownHosts }

// Unwrap is the cause.
func (e *KnownHostsError) Unwrap() error { return e.Err }

// Hint is the next action; empty where the cause has to be put right.
func (e *KnownHostsError) Hint() string {
	if e.Problem == KnownHostsUnread {
		return ""
	}
	return "make one with: " + e.ScanCommand() + ", and compare its fingerprints (ssh-keygen -lf " +
		"known_hosts) with those that the server's administrator publishes"
}

// ScanCommand is the command that makes a file known_hosts of what the server says now, which proves nothing
// yet.
func (e *KnownHostsError) ScanCommand() string {
	if e.Port != 22 {
		return text.Command("ssh-keyscan -p %s %s > known_hosts", e.Port, e.Host)
	}
	return text.Command("ssh-keyscan %s > known_hosts", e.Host)
}

// NoKeyError says that there is nothing to log in to a Git server with: neither a key file nor an agent.
type NoKeyError struct{ Host string }

func (e *NoKeyError) Error() string {
	return fmt.Sprintf(
		"there is no private key to log in to %s with: neither a key file nor an SSH agent is given", e.Host)
}

// KeyFileError says that a private key cannot be used, or an agent in its place.
type KeyFileError struct {
	File    string // empty is the agent
	Cluster bool   // it is the key that Flux would read with
	Err     error  // what is wrong
}

func (e *KeyFileError) Error() string { return e.Err.Error() }

// Unwrap is what is wrong.
func (e *KeyFileError) Unwrap() error { return e.Err }

// Hint is the next action; empty when the cause has none.
func (e *KeyFileError) Hint() hint.Hint { return hint.Of(e.Err) }

// Locked says that the key's passphrase is missing, or wrong.
func (e *KeyFileError) Locked() (locked, wrong bool) {
	err, locked := errors.AsType[*sshkeys.PassphraseError](e.Err)
	return locked, locked && err.Wrong
}
