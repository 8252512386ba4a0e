package sshkeys

import (
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// PassphraseError says that a private key is encrypted and its passphrase is missing or wrong. Ask for it and
// try again.
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
	return fmt.Sprintf("sshKeyAlgorithm is %s, but the private key %s is of algorithm %s",
		e.Want, e.Origin, e.Key)
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
