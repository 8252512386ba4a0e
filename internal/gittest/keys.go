package gittest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Algorithm is a kind of SSH key.
type Algorithm string

// The algorithms of host and user keys. RSA keys have 2048 bits, ECDSA keys are on the curve given.
const (
	ED25519  Algorithm = "ed25519"
	ECDSA256 Algorithm = "ecdsa-p256"
	ECDSA384 Algorithm = "ecdsa-p384"
	RSA      Algorithm = "rsa"
)

// Key is an SSH key pair of a client.
type Key struct {
	PEM    []byte // private key in OpenSSH's format
	signer ssh.Signer
}

// NewKey makes a key pair without a passphrase.
func NewKey(tb TB, algorithm Algorithm) *Key {
	tb.Helper()
	k, err := GenerateKey(algorithm, "")
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return k
}

// GenerateKey makes a key pair whose PEM is encrypted when the passphrase is not empty.
func GenerateKey(algorithm Algorithm, passphrase string) (*Key, error) {
	private, err := generate(algorithm)
	if err != nil {
		return nil, fmt.Errorf("generating an SSH key: %w", err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		return nil, fmt.Errorf("encoding an SSH key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	return &Key{PEM: pem.EncodeToMemory(block), signer: signer}, nil
}

func generate(algorithm Algorithm) (crypto.PrivateKey, error) {
	switch algorithm {
	case ED25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case ECDSA256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSA384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA:
		return rsa.GenerateKey(rand.Reader, 2048)
	default:
		return nil, fmt.Errorf("unknown algorithm %q", algorithm)
	}
}

// Public is the public half.
func (k *Key) Public() ssh.PublicKey { return k.signer.PublicKey() }

// Signer signs with the private half.
func (k *Key) Signer() ssh.Signer { return k.signer }

// AuthorizedKey is the public half as one line of an authorized_keys file, without a comment and without a
// line feed.
func (k *Key) AuthorizedKey() string { return authorizedKey(k.Public()) }

// Fingerprint is the SHA-256 fingerprint as ssh-keygen -l shows it.
func (k *Key) Fingerprint() string { return ssh.FingerprintSHA256(k.Public()) }

// File writes the private key, readable by its owner alone, into a directory and returns its path.
func (k *Key) File(dir string) (string, error) {
	path := filepath.Join(dir,
		"id_"+strings.ReplaceAll(strings.TrimPrefix(k.Fingerprint(), "SHA256:"), "/", "_"))
	return path, os.WriteFile(path, k.PEM, 0o600)
}

func authorizedKey(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// sharedRSAHostKey makes one RSA key in the life of the process: making one takes longer than everything else
// that a server needs, and servers are told apart by their other host keys and by their ports.
var sharedRSAHostKey = sync.OnceValues(func() (crypto.PrivateKey, error) { return generate(RSA) })

// newHostKeys makes host keys of the three kinds that GitHub has, in the order in which a server offers them.
func newHostKeys(rsaKey crypto.PrivateKey) ([]ssh.Signer, error) {
	var signers []ssh.Signer
	for _, a := range []Algorithm{ED25519, ECDSA256, RSA} {
		private := rsaKey
		if a != RSA {
			var err error
			if private, err = generate(a); err != nil {
				return nil, fmt.Errorf("generating host keys: %w", err)
			}
		}
		signer, err := ssh.NewSignerFromKey(private)
		if err != nil {
			return nil, err
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// HostKeys are the public host keys of the SSH server: Ed25519, ECDSA and RSA.
func (s *Server) HostKeys() []ssh.PublicKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]ssh.PublicKey, len(s.hostKeys))
	for i, k := range s.hostKeys {
		keys[i] = k.PublicKey()
	}
	return keys
}

// ChangeHostKeys replaces all host keys of the SSH server, as after a rotation or by an attacker in the
// middle. Connections that are open stay open.
func (s *Server) ChangeHostKeys() {
	rsaKey, err := generate(RSA)
	if !s.must(err) {
		return
	}
	keys, err := newHostKeys(rsaKey)
	if !s.must(err) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hostKeys = keys
}

// KnownHosts are lines for a known_hosts file, one for each host key, in the form "[127.0.0.1]:PORT ALGORITHM
// KEY".
func (s *Server) KnownHosts() string { return knownHosts(s.SSHAddr(), s.HostKeys()) }

// KnownHostsFile writes KnownHosts to a file and returns its path. After ChangeHostKeys it has to be called
// again.
func (s *Server) KnownHostsFile() string {
	path := filepath.Join(s.dir, "known_hosts")
	s.must(writeFile(path, s.KnownHosts()))
	return path
}

func knownHosts(addr string, keys []ssh.PublicKey) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "[%s]:%s %s\n", host, port, authorizedKey(k))
	}
	return b.String()
}

// writeFile replaces a file as a whole, so that a process that reads it at the same time never sees half of
// it.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
