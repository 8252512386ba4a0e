package sshkeys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// rsaBits is the size of generated RSA keys; EKS Anywhere and Flux use smaller ones by default, which age
// sooner.
const rsaBits = 4096

// KeyPair is a generated key.
type KeyPair struct {
	PrivatePEM    secret.Value // PKCS#8
	AuthorizedKey string       // "algorithm base64", without a comment
	Fingerprint   string       // SHA256:...
}

// Generate makes a key: ecdsa (P-384, as Flux does by default; also when algorithm is empty), ed25519 or rsa
// (4096 bits).
func Generate(algorithm string) (KeyPair, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case "", "ecdsa":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "rsa":
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		return KeyPair{}, fmt.Errorf("%q is not a key algorithm; it can be ecdsa, ed25519 or rsa", algorithm)
	}
	if err != nil {
		return KeyPair{}, fmt.Errorf("generating a key: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return KeyPair{}, fmt.Errorf("encoding the key: %w", err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return KeyPair{}, fmt.Errorf("encoding the public key: %w", err)
	}
	return KeyPair{
		PrivatePEM: secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY",
			Bytes: encoded}))),
		AuthorizedKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))),
		Fingerprint:   ssh.FingerprintSHA256(public),
	}, nil
}
