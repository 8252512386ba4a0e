package sshkeys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// agentTimeout bounds an agent's answer to a listing. A signature may take as long as the caller's context: a
// hardware key waits for a touch.
const agentTimeout = 10 * time.Second

// Source says where identities come from: a key file, an agent, or both.
type Source struct {
	// KeyFile is the path of a private key, Passphrase what decrypts it if it is encrypted.
	KeyFile    string
	Passphrase secret.Value
	// AgentSocket is the path of an agent's socket: the content of SSH_AUTH_SOCK.
	AgentSocket string
}

// Identities are what a client proves itself with, in the order in which they are offered: the key file
// first, then the agent's keys. They may be used by several connections at the same time.
type Identities struct {
	key    *Key
	socket string
	// only is the one key that the agent is asked for; nil is all.
	only ssh.PublicKey
	from string // the file that only came from
}

// Select finds the identities of a source. When the key file is encrypted and no passphrase is given, but the
// agent holds the same key, the agent's is used.
//
// The error is a *PassphraseError when only a passphrase is missing, a *KeyError when the file cannot be
// used, an *AgentError when the agent is all there is and it cannot be used.
func Select(ctx context.Context, source Source) (*Identities, error) {
	if source.KeyFile == "" {
		return selectAgent(ctx, source.AgentSocket)
	}
	key, err := LoadKey(ctx, source.KeyFile, source.Passphrase)
	if err == nil {
		// The file's key is the named one. The agent stands by for servers that know the user by another.
		return &Identities{key: key, socket: source.AgentSocket}, nil
	}
	locked, ok := errors.AsType[*PassphraseError](err)
	if !ok || locked.Wrong || source.AgentSocket == "" {
		return nil, err
	}
	public := locked.Public
	if public == nil {
		public = publicBeside(source.KeyFile)
	}
	if public == nil || !agentHolds(ctx, source.AgentSocket, public) {
		return nil, err
	}
	return &Identities{socket: source.AgentSocket, only: public, from: source.KeyFile}, nil
}

// publicBeside reads the public key that ssh-keygen writes beside a private one; nil when there is none. It
// only chooses among the agent's keys, so that nothing has to be believed.
func publicBeside(path string) ssh.PublicKey {
	content, err := localfile.ReadRegular(path+".pub", maxKeyFile)
	if err != nil {
		return nil
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(content)
	if err != nil {
		return nil
	}
	return public
}

func selectAgent(ctx context.Context, socket string) (*Identities, error) {
	if socket == "" {
		return nil, &AgentError{Socket: "(none)", Reason: "no private key and no agent are given",
			Next: "name a private key file, or start an agent and set SSH_AUTH_SOCK"}
	}
	ids := &Identities{socket: socket}
	open, err := ids.Open(ctx)
	if err != nil {
		return nil, err
	}
	return ids, open.Close()
}

func agentHolds(ctx context.Context, socket string, public ssh.PublicKey) bool {
	open, err := (&Identities{socket: socket, only: public}).Open(ctx)
	if err != nil {
		return false
	}
	defer open.Close()
	return len(open.Signers) > 0
}

// FromKey makes identities of one key that is in memory.
func FromKey(key *Key) *Identities { return &Identities{key: key} }

// Key is the key from the file, nil when an agent signs.
func (i *Identities) Key() *Key { return i.key }

// Opened are identities that are ready to sign, until Close.
type Opened struct {
	// Signers are in the order in which they are offered. RSA keys sign with SHA-2 only.
	Signers []ssh.Signer
	// Names describe the signers, in the same order: algorithm, fingerprint, and the file or the agent's
	// comment.
	Names []string
	// Skipped names what is not offered, and why.
	Skipped []string
	// AgentProblem is why the agent is left out although one is given and the key file works without it; nil
	// when all is well.
	AgentProblem error

	conn net.Conn
	stop func() bool
}

// Close gives up the connection to the agent. The signers of an agent cannot sign afterwards.
func (o *Opened) Close() error {
	if o.conn == nil {
		return nil
	}
	o.stop()
	return o.conn.Close()
}

// Open makes the identities ready. A hung agent is left when ctx is done. An agent that cannot be used is an
// *AgentError only when there is no key file.
func (i *Identities) Open(ctx context.Context) (*Opened, error) {
	o := &Opened{}
	if i.key != nil {
		o.add(i.key.signer, i.key.origin)
	}
	if i.socket == "" {
		return o, nil
	}
	if err := i.openAgent(ctx, o); err != nil {
		if i.key == nil {
			return nil, err
		}
		o.AgentProblem = err
	}
	return o, nil
}

func (o *Opened) add(s ssh.Signer, name string) {
	o.Signers = append(o.Signers, s)
	o.Names = append(o.Names,
		fmt.Sprintf("%s %s (%s)", s.PublicKey().Type(), ssh.FingerprintSHA256(s.PublicKey()), name))
}

func (i *Identities) openAgent(ctx context.Context, o *Opened) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", i.socket)
	if err != nil {
		return &AgentError{Socket: i.socket, Reason: dialReason(err),
			Next: "start it with: eval \"$(ssh-agent)\", then: ssh-add"}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	fail := func(reason, next string) error {
		stop()
		conn.Close()
		return &AgentError{Socket: i.socket, Reason: reason, Next: next}
	}
	if err := conn.SetDeadline(time.Now().Add(agentTimeout)); err != nil {
		return fail(err.Error(), "")
	}
	client := agent.NewClient(conn)
	listed, err := client.List()
	if err != nil {
		return fail("it does not answer: "+err.Error(), "restart it, or name a private key file")
	}
	signers, err := client.Signers()
	if err != nil || len(signers) != len(listed) {
		return fail("it does not answer", "restart it, or name a private key file")
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return fail(err.Error(), "")
	}
	offered := len(o.Signers)
	for n, s := range signers {
		i.addAgentKey(o, s, listed[n].Comment)
	}
	if len(o.Signers) == offered && i.key == nil {
		return fail("it has no key that can be used", "add one with: ssh-add")
	}
	o.conn, o.stop = conn, stop
	return nil
}

func (i *Identities) addAgentKey(o *Opened, s ssh.Signer, comment string) {
	public := s.PublicKey()
	switch {
	case i.only != nil && !bytes.Equal(i.only.Marshal(), public.Marshal()):
		return
	case i.key != nil && bytes.Equal(i.key.Public().Marshal(), public.Marshal()):
		return // offered already
	}
	name := "agent: " + printable(comment)
	if i.from != "" {
		name = i.from + ", by the agent"
	}
	restricted, err := acceptAgentKey(s)
	if err != nil {
		o.Skipped = append(o.Skipped, fmt.Sprintf("%s (%s): %v", ssh.FingerprintSHA256(public), name, err))
		return
	}
	o.add(restricted, name)
}

// acceptAgentKey refuses what a file would be refused for. Keys that a certificate or a hardware token comes
// with are left to the server.
func acceptAgentKey(s ssh.Signer) (ssh.Signer, error) {
	// An agent's key shows its wire format only.
	parsed, err := ssh.ParsePublicKey(s.PublicKey().Marshal())
	if err != nil {
		return nil, errors.New("a kind of key that is not supported")
	}
	if parsed.Type() == typeDSA {
		return nil, errors.New(refuseDSA)
	}
	if c, ok := parsed.(ssh.CryptoPublicKey); ok {
		if reason := refusal(c.CryptoPublicKey()); reason != "" {
			return nil, errors.New(reason)
		}
	}
	return restrict(s)
}

func dialReason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// printable takes control characters out of text that came from elsewhere.
func printable(s string) string {
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return -1
		}
		return r
	}, []byte(s)))
}
