package git

import (
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// HostKeyProblem is what is wrong with a host key.
type HostKeyProblem int

// The problems.
const (
	HostUnknown    HostKeyProblem = iota + 1 // no line for this host
	HostKeyChanged                           // lines for this host, with other keys
	HostKeyRevoked                           // a @revoked line for this key
	// a host certificate that does not hold: expired, for another host, or from another authority
	HostKeyInvalid
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
		fmt.Fprintf(&b, "the host key of %s is not the one in %s: offered %s, expected %s", e.Host, e.File,
			offered, joinKeys(e.Expected))
	case HostKeyRevoked:
		fmt.Fprintf(&b, "the host key of %s is revoked: offered %s, revoked as %s", e.Host, offered,
			joinKeys(e.Expected))
	case HostKeyInvalid:
		fmt.Fprintf(&b, "the host certificate of %s is not valid: %s (offered %s)", e.Host, e.Detail, offered)
	default:
		fmt.Fprintf(&b, "the host key of %s is not known: offered %s, and %s has no line for this host",
			e.Host, offered, e.File)
	}
	return b.String()
}

// Hint is the next action. It shows how to look, and never suggests to accept a key unseen.
func (e *HostKeyError) Hint() string {
	if e.Problem == HostKeyRevoked {
		return "do not connect: ask the server's administrator which keys are valid"
	}
	look := "compare with what the server's administrator publishes: " + e.scanCommand() +
		" | ssh-keygen -lf -"
	if e.PlainEntry {
		return fmt.Sprintf("%s has a line for the host without its port; write %s there if it is the same "+
			"server; %s", e.File, e.Host, look)
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
