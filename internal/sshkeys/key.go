package sshkeys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// Algorithm is a family of keys, named as in the sshKeyAlgorithm field of a FluxConfig.
type Algorithm string

// The families. ECDSA stands for the curves P-256, P-384 and P-521.
const (
	RSA     Algorithm = "rsa"
	ECDSA   Algorithm = "ecdsa"
	Ed25519 Algorithm = "ed25519"
)

// minRSABits is the shortest RSA key that is accepted: NIST SP 800-57 disallows shorter ones since 2014.
const minRSABits = 2048

// maxKeyFile bounds what is read as a private key. The longest real ones, RSA with 16384 bits, have 13 KB.
const maxKeyFile = 64 << 10

// Key is an unlocked private key. It is made by [ParseKey] and [LoadKey] and does not change.
type Key struct {
	signer  ssh.Signer
	private crypto.Signer
	origin  string
	warning string
}

// ParseKey reads a private key in OpenSSH's format, PEM (PKCS#1, SEC 1) or PKCS#8, encrypted or not. The
// origin, such as the file's path, is used in errors. The passphrase is used only when the content is
// encrypted.
//
// The error is a *PassphraseError when the content is encrypted and the passphrase is missing or wrong, and a
// *KeyError when the content is no private key or one that is refused.
func ParseKey(content []byte, passphrase secret.Value, origin string) (*Key, error) {
	raw, err := parsePrivateKey(content, passphrase, origin)
	if err != nil {
		return nil, err
	}
	return newKey(raw, origin)
}

// LoadKey reads a private key from a file as [ParseKey] does. A file that others may read is accepted with a
// [Key.Warning]. The error may be the context's cause, too: what the path leads to may be a pipe.
func LoadKey(ctx context.Context, path string, passphrase secret.Value) (*Key, error) {
	content, warning, err := readKeyFile(ctx, path)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(content, passphrase, path)
	if err != nil {
		return nil, err
	}
	key.warning = warning
	return key, nil
}

func readKeyFile(ctx context.Context, path string) (content []byte, warning string, err error) {
	content, info, err := localfile.Read(ctx, path, maxKeyFile)
	switch {
	case errors.As(err, new(*localfile.KindError)):
		return nil, "", &KeyError{Origin: path, Reason: "it is a directory",
			Next: "name the private key file in it"}
	case errors.As(err, new(*localfile.TooLargeError)):
		return nil, "", &KeyError{Origin: path,
			Reason: fmt.Sprintf("it has more than %d bytes, which no private key has", maxKeyFile)}
	case err != nil:
		return nil, "", fmt.Errorf("reading the private key: %w", err)
	}
	return content, modeWarning(path, info.Mode()), nil
}

// modeWarning says what OpenSSH says about a private key that others may read. Windows has no such modes.
func modeWarning(path string, mode os.FileMode) string {
	if runtime.GOOS == "windows" || mode.Perm()&0o077 == 0 {
		return ""
	}
	return fmt.Sprintf("permissions %#o for %s are too open: others can read the private key, and OpenSSH "+
		"would refuse it (chmod 600 %[2]s)", mode.Perm(), path)
}

func newKey(raw any, origin string) (*Key, error) {
	if reason := refusal(raw); reason != "" {
		return nil, &KeyError{Origin: origin, Reason: reason, Next: nextKey}
	}
	if p, ok := raw.(*ed25519.PrivateKey); ok {
		raw = *p
	}
	private, ok := raw.(crypto.Signer)
	if !ok {
		return nil, &KeyError{Origin: origin, Reason: fmt.Sprintf("keys of type %T are not supported", raw)}
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		return nil, &KeyError{Origin: origin, Reason: err.Error()}
	}
	signer, err = restrict(signer)
	if err != nil {
		return nil, &KeyError{Origin: origin, Reason: err.Error()}
	}
	return &Key{signer: signer, private: private, origin: origin}, nil
}

// typeDSA is the name of DSA keys in SSH.
const typeDSA = "ssh-dss"

const refuseDSA = "DSA keys are not secure; servers and Flux refuse them"

// isDSA says whether a PEM block holds a DSA key; OpenSSH's own format begins with the public key, and with
// that the key's type.
func isDSA(block *pem.Block) bool {
	return block.Type == "DSA PRIVATE KEY" ||
		block.Type == "OPENSSH PRIVATE KEY" && bytes.Contains(block.Bytes, []byte(typeDSA))
}

// nextKey is the advice for keys that are refused.
const nextKey = "make a new one with: ssh-keygen -t ecdsa"

// refusal says why a private or public key is not accepted, and nothing when it is.
func refusal(raw any) string {
	switch k := raw.(type) {
	case *rsa.PrivateKey:
		return refuseRSA(&k.PublicKey)
	case *rsa.PublicKey:
		return refuseRSA(k)
	case *ecdsa.PrivateKey:
		return refuseCurve(k.Curve)
	case *ecdsa.PublicKey:
		return refuseCurve(k.Curve)
	}
	return ""
}

func refuseRSA(k *rsa.PublicKey) string {
	if bits := k.N.BitLen(); bits < minRSABits {
		return fmt.Sprintf("the RSA key has %d bits; at least %d are needed", bits, minRSABits)
	}
	return ""
}

func refuseCurve(c elliptic.Curve) string {
	switch c {
	case elliptic.P256(), elliptic.P384(), elliptic.P521():
		return ""
	}
	return fmt.Sprintf("the curve %s is not used in SSH; use P-256, P-384 or P-521", c.Params().Name)
}

// restrict takes SHA-1 signatures away from RSA keys.
func restrict(s ssh.Signer) (ssh.Signer, error) {
	if s.PublicKey().Type() != ssh.KeyAlgoRSA {
		return s, nil
	}
	as, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return nil, errors.New("the RSA key cannot sign with SHA-2")
	}
	return ssh.NewSignerWithAlgorithms(as, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
}

// Algorithm is the key's family.
func (k *Key) Algorithm() Algorithm { return algorithmOf(k.signer.PublicKey()) }

func algorithmOf(p ssh.PublicKey) Algorithm {
	switch p.Type() {
	case ssh.KeyAlgoRSA:
		return RSA
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKECDSA256:
		return ECDSA
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519:
		return Ed25519
	}
	return Algorithm(p.Type())
}

// CheckAlgorithm compares the key with a sshKeyAlgorithm field: empty, rsa, ecdsa or ed25519. The error is an
// *AlgorithmError.
func (k *Key) CheckAlgorithm(want string) error {
	if want == "" || Algorithm(strings.ToLower(want)) == k.Algorithm() {
		return nil
	}
	return &AlgorithmError{Origin: k.origin, Key: k.Algorithm(), Want: Algorithm(want)}
}

// Public is the public half.
func (k *Key) Public() ssh.PublicKey { return k.signer.PublicKey() }

// Signer signs with the private half; RSA keys sign with SHA-2 only.
func (k *Key) Signer() ssh.Signer { return k.signer }

// Fingerprint is the SHA-256 fingerprint of the public half, as ssh-keygen -l prints it.
func (k *Key) Fingerprint() string { return ssh.FingerprintSHA256(k.Public()) }

// AuthorizedKey is the public half as a line of an authorized_keys file, without a comment and line end: the
// form in which deploy keys are registered.
func (k *Key) AuthorizedKey() string { return AuthorizedKey(k.Public()) }

// AuthorizedKey is a public key as a line of an authorized_keys file, without a comment and line end.
func AuthorizedKey(p ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p)))
}

// Origin is where the key came from, such as the file's path.
func (k *Key) Origin() string { return k.origin }

// Warning is a sentence about a private key file that others may read; empty when all is well.
func (k *Key) Warning() string { return k.warning }

// PrivatePEM is the private key in OpenSSH's format without a passphrase: the form that every Flux can read,
// whatever form and passphrase the key came in.
func (k *Key) PrivatePEM() (secret.Value, error) {
	block, err := ssh.MarshalPrivateKey(k.private, "")
	if err != nil {
		return secret.Value{}, fmt.Errorf("encoding the private key: %w", err)
	}
	return secret.New(string(pem.EncodeToMemory(block))), nil
}

// parsePrivateKey finds out the format, decrypts, and returns a private key of the standard library.
func parsePrivateKey(content []byte, passphrase secret.Value, origin string) (any, error) {
	block, err := privateBlock(content, origin)
	if err != nil {
		return nil, err
	}
	if isDSA(block) {
		return nil, &KeyError{Origin: origin, Reason: refuseDSA, Next: nextKey}
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" {
		return parseEncryptedPKCS8(block.Bytes, passphrase, origin)
	}
	encoded := pem.EncodeToMemory(block)
	raw, err := ssh.ParseRawPrivateKey(encoded)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		if passphrase.IsZero() {
			return nil, &PassphraseError{Origin: origin, Public: missing.PublicKey}
		}
		raw, err = ssh.ParseRawPrivateKeyWithPassphrase(encoded, []byte(passphrase.Reveal()))
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, &PassphraseError{Origin: origin, Wrong: true, Public: missing.PublicKey}
		}
		if err != nil && block.Type != "OPENSSH PRIVATE KEY" {
			// Old PEM encryption has no checksum: one wrong passphrase in 256 decrypts to something, which
			// then is no key.
			return nil, &PassphraseError{Origin: origin, Wrong: true}
		}
	}
	if err != nil {
		return nil, &KeyError{Origin: origin,
			Reason: "the private key cannot be read: " + strings.TrimPrefix(err.Error(), "ssh: ")}
	}
	return raw, nil
}

// privateBlock returns the PEM block of the private key, or says what the content is instead.
func privateBlock(content []byte, origin string) (*pem.Block, error) {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))
	for rest := trimmed; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block, nil
		}
	}
	e := &KeyError{Origin: origin, Reason: "it contains no private key"}
	switch {
	case len(trimmed) == 0:
		e.Reason = "it is empty"
	case bytes.HasPrefix(trimmed, []byte("PuTTY-User-Key-File")):
		e.Reason, e.Next = "it is in PuTTY's format", "convert it: puttygen KEY.ppk -O private-openssh -o KEY"
	case bytes.Contains(trimmed, []byte("BEGIN SSH2 PUBLIC KEY")),
		bytes.Contains(trimmed, []byte("BEGIN PUBLIC KEY")):
		e.Reason, e.Next = "it contains a public key", "name the private key"
	case bytes.Contains(trimmed, []byte("-----BEGIN")):
		e.Reason = "its private key is cut off or damaged"
	default:
		if _, _, _, _, err := ssh.ParseAuthorizedKey(trimmed); err == nil {
			e.Reason, e.Next = "it contains a public key",
				"name the private key, usually the file of that name without .pub"
		}
	}
	return nil, e
}
