package sshkeys

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// PassphraseError says that a private key is encrypted and its passphrase is missing or wrong. Ask for it and try again.
type PassphraseError struct {
	Origin string // the file
	Wrong  bool   // one was given and does not fit
	// Public is the key's public half where the format shows it without the passphrase; nil elsewhere.
	Public ssh.PublicKey
}

func (e *PassphraseError) Error() string {
	if e.Wrong {
		return fmt.Sprintf("the passphrase for the private key %s is wrong", e.Origin)
	}
	return fmt.Sprintf("the private key %s is protected by a passphrase", e.Origin)
}

// Hint is the next action.
func (e *PassphraseError) Hint() string {
	if e.Wrong {
		return text.Command("check the passphrase with: ssh-keygen -y -f %s", e.Origin)
	}
	return text.Command("give its passphrase, or load the key into an SSH agent with: ssh-add %s", e.Origin)
}

// KeyError says that a private key cannot be used, and why.
type KeyError struct {
	Origin string // the file
	Reason string
	Next   string // the next action; may be empty
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("the private key %s cannot be used: %s", e.Origin, e.Reason)
}

// Hint is the next action.
func (e *KeyError) Hint() string { return e.Next }

// AlgorithmError says that a key is of another family than the spec names.
type AlgorithmError struct {
	Origin string
	Key    Algorithm // the key's
	Want   Algorithm // the spec's
}

func (e *AlgorithmError) Error() string {
	return fmt.Sprintf("sshKeyAlgorithm is %s, but the private key %s is of algorithm %s", e.Want, e.Origin, e.Key)
}

// Hint is the next action.
func (e *AlgorithmError) Hint() string {
	return fmt.Sprintf("set sshKeyAlgorithm to %s, or use a key of algorithm %s", e.Key, e.Want)
}

// AgentError says that the SSH agent cannot be used, or has nothing to offer.
type AgentError struct {
	Socket string
	Reason string
	Next   string
}

func (e *AgentError) Error() string {
	return fmt.Sprintf("the SSH agent at %s cannot be used: %s", e.Socket, e.Reason)
}

// Hint is the next action.
func (e *AgentError) Hint() string { return e.Next }

// HostKeyProblem is what is wrong with a host key.
type HostKeyProblem int

// The problems.
const (
	HostUnknown    HostKeyProblem = iota + 1 // no line for this host
	HostKeyChanged                           // lines for this host, with other keys
	HostKeyRevoked                           // a @revoked line for this key
	HostKeyInvalid                           // a host certificate that does not hold: expired, for another host, or from another authority
)

// KnownKey is a key that a known_hosts file has for a host, and where.
type KnownKey struct {
	Type        string // such as ssh-ed25519
	Fingerprint string // SHA256:...
	File        string
	Line        int
	Authority   bool // the key signs host certificates and is not itself a host key
}

// String is the key in one phrase.
func (k KnownKey) String() string {
	authority := ""
	if k.Authority {
		authority = " (certificate authority)"
	}
	return fmt.Sprintf("%s %s%s (%s:%d)", k.Type, k.Fingerprint, authority, k.File, k.Line)
}

// HostKeyError says that a server could not prove who it is. It never goes away by trying again.
type HostKeyError struct {
	Host        string // as in the known_hosts file: host, or [host]:port
	Problem     HostKeyProblem
	Type        string     // of the key that the server offered
	Fingerprint string     // of the key that the server offered, SHA256:...
	Expected    []KnownKey // what the file has for the host; for HostKeyRevoked the line that revokes
	File        string     // the known_hosts file
	Detail      string     // for HostKeyInvalid: what does not hold
	// PlainEntry says that the file has lines for the host without its port, which do not count.
	PlainEntry bool
}

func (e *HostKeyError) Error() string {
	var b strings.Builder
	offered := e.Type + " " + e.Fingerprint
	switch e.Problem {
	case HostKeyChanged:
		fmt.Fprintf(&b, "the host key of %s is not the one in %s: offered %s, expected %s", e.Host, e.File, offered, joinKeys(e.Expected))
	case HostKeyRevoked:
		fmt.Fprintf(&b, "the host key of %s is revoked: offered %s, revoked as %s", e.Host, offered, joinKeys(e.Expected))
	case HostKeyInvalid:
		fmt.Fprintf(&b, "the host certificate of %s is not valid: %s (offered %s)", e.Host, e.Detail, offered)
	default:
		fmt.Fprintf(&b, "the host key of %s is not known: offered %s, and %s has no line for this host", e.Host, offered, e.File)
	}
	return b.String()
}

// Hint is the next action. It shows how to look, and never suggests to accept a key unseen.
func (e *HostKeyError) Hint() string {
	if e.Problem == HostKeyRevoked {
		return "do not connect: ask the server's administrator which keys are valid"
	}
	look := "compare with what the server's administrator publishes: " + e.scanCommand() + " | ssh-keygen -lf -"
	if e.PlainEntry {
		return fmt.Sprintf("%s has a line for the host without its port; write %s there if it is the same server; %s", e.File, e.Host, look)
	}
	return look
}

func (e *HostKeyError) scanCommand() string {
	host, port, ok := strings.Cut(strings.TrimPrefix(e.Host, "["), "]:")
	if !strings.HasPrefix(e.Host, "[") || !ok {
		return text.Command("ssh-keyscan %s", e.Host)
	}
	return text.Command("ssh-keyscan -p %s %s", port, host)
}

func joinKeys(keys []KnownKey) string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.String()
	}
	return strings.Join(texts, " or ")
}
