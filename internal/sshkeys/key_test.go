package sshkeys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

const passphrase = "sentinel passphrase"

// privateKeys are one key of every kind that is accepted. RSA keys take long to make, so they are made once.
var privateKeys = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{
		"rsa 2048":    must(rsa.GenerateKey(rand.Reader, 2048)),
		"ecdsa p-256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"ecdsa p-384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"ecdsa p-521": must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"ed25519 -":   must(ed, err),
	}
})

// formats are the forms of the private key file of a kind; a kind need not have all forms.
func formats(t *testing.T, kind string) map[string][]byte {
	t.Helper()
	all, err := allFormats()
	if err != nil {
		t.Fatal(err)
	}
	return all[kind]
}

// allFormats are the forms of the private key files of every kind. Encrypting is slow on purpose, so they are
// made once.
var allFormats = sync.OnceValues(func() (map[string]map[string][]byte, error) {
	all := map[string]map[string][]byte{}
	for kind, key := range privateKeys() {
		forms, err := encode(key)
		if err != nil {
			return nil, fmt.Errorf("encoding the key %s: %w", kind, err)
		}
		all[kind] = forms
	}
	return all, nil
})

// encode writes a private key in every form.
func encode(key crypto.Signer) (map[string][]byte, error) {
	openSSH, err1 := ssh.MarshalPrivateKey(key, "comment")
	locked, err2 := ssh.MarshalPrivateKeyWithPassphrase(key, "comment", []byte(passphrase))
	pkcs8, err3 := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	forms := map[string][]byte{
		"openssh":           pem.EncodeToMemory(openSSH),
		"openssh encrypted": pem.EncodeToMemory(locked),
		"pkcs8":             pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}
	var block *pem.Block
	switch k := key.(type) {
	case *rsa.PrivateKey:
		block = &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return nil, err
		}
		block = &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}
	}
	if block != nil {
		forms["pem"] = pem.EncodeToMemory(block)
		//lint:ignore SA1019 an old format that is still read
		encrypted, err := x509.EncryptPEMBlock(rand.Reader, block.Type, block.Bytes, []byte(passphrase),
			x509.PEMCipherAES256)
		if err != nil {
			return nil, err
		}
		forms["pem encrypted"] = pem.EncodeToMemory(encrypted)
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		return forms, nil
	}
	for name, args := range map[string][]string{
		"pkcs8 aes-256 sha256": {"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"},
		"pkcs8 aes-128 sha1":   {"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"},
		"pkcs8 3des sha512":    {"-v2", "des3", "-v2prf", "hmacWithSHA512"},
		"pkcs8 scrypt":         {"-scrypt"},
	} {
		cmd := exec.Command("openssl",
			append([]string{"pkcs8", "-topk8", "-passout", "env:PASSPHRASE"}, args...)...)
		cmd.Env = append(os.Environ(), "PASSPHRASE="+passphrase)
		cmd.Stdin = bytes.NewReader(forms["pkcs8"])
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("openssl %v: %w", args, err)
		}
		forms[name+" encrypted"] = out
	}
	return forms, nil
}

// Every kind of key in every form gives the same key, and its passphrase is asked for when it is needed.
func TestParseKey(t *testing.T) {
	t.Parallel()
	for kind, private := range privateKeys() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			public, err := ssh.NewPublicKey(private.Public())
			if err != nil {
				t.Fatal(err)
			}
			algorithm, _, _ := strings.Cut(kind, " ")
			for form, content := range formats(t, kind) {
				key, err := sshkeys.ParseKey(content, secret.New(passphrase), "id")
				if err != nil {
					t.Errorf("%s: %v", form, err)
					continue
				}
				if string(key.Algorithm()) != algorithm ||
					key.Fingerprint() != ssh.FingerprintSHA256(public) ||
					key.CheckAlgorithm(algorithm) != nil || key.CheckAlgorithm("") != nil {
					t.Errorf("%s: %s %s", form, key.Algorithm(), key.Fingerprint())
				}
				if !strings.HasPrefix(key.AuthorizedKey(), public.Type()+" AAAA") ||
					strings.ContainsAny(key.AuthorizedKey(), "\n") {
					t.Errorf("%s: authorized key %q", form, key.AuthorizedKey())
				}
				checkSignature(t, form, key)
				checkRoundTrip(t, form, key)
				if strings.HasSuffix(form, "encrypted") {
					checkPassphrase(t, form, content)
				}
			}
		})
	}
}

func checkSignature(t *testing.T, form string, key *sshkeys.Key) {
	t.Helper()
	multi, ok := key.Signer().(ssh.MultiAlgorithmSigner)
	if key.Algorithm() == sshkeys.RSA && (!ok || len(multi.Algorithms()) != 2 ||
		multi.Algorithms()[0] != ssh.KeyAlgoRSASHA512 || multi.Algorithms()[1] != ssh.KeyAlgoRSASHA256) {
		t.Errorf("%s: an RSA key that signs with more than SHA-2", form)
	}
	algorithm := key.Public().Type()
	if key.Algorithm() == sshkeys.RSA {
		algorithm = ssh.KeyAlgoRSASHA512
		if sig, err := multi.SignWithAlgorithm(rand.Reader, []byte("x"), ssh.KeyAlgoRSA); err == nil {
			t.Errorf("%s: signed with %s", form, sig.Format)
		}
	}
	as, ok := key.Signer().(ssh.AlgorithmSigner)
	if !ok {
		t.Fatalf("%s: %T cannot choose an algorithm", form, key.Signer())
	}
	sig, err := as.SignWithAlgorithm(rand.Reader, []byte("data"), algorithm)
	if err != nil || key.Public().Verify([]byte("data"), sig) != nil {
		t.Errorf("%s: signature: %v", form, err)
	}
}

// checkRoundTrip reads the form that goes into a cluster with the library that Flux reads it with.
func checkRoundTrip(t *testing.T, form string, key *sshkeys.Key) {
	t.Helper()
	text, err := key.PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ssh.ParsePrivateKey([]byte(text.Reveal()))
	if err != nil || !bytes.Equal(again.PublicKey().Marshal(), key.Public().Marshal()) {
		t.Errorf("%s: written again: %v", form, err)
	}
}

func checkPassphrase(t *testing.T, form string, content []byte) {
	t.Helper()
	for given, wrong := range map[string]bool{"": false, "not it": true} {
		_, err := sshkeys.ParseKey(content, secret.New(given), "id")
		e, ok := errors.AsType[*sshkeys.PassphraseError](err)
		if !ok || e.Wrong != wrong || e.Origin != "id" || e.Hint() == "" {
			t.Errorf("%s with passphrase %q: %T %v", form, given, err, err)
		}
	}
}

func TestParseKey_refuses(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // GODEBUG rsa1024min
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224der, err := x509.MarshalECPrivateKey(p224)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	whole := string(formats(t, "ed25519 -")["openssh"])
	public, err := ssh.NewPublicKey(privateKeys()["ed25519 -"].Public())
	if err != nil {
		t.Fatal(err)
	}
	for content, reason := range map[string]string{
		"":  "it is empty",
		" ": "it is empty",
		block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(short)): "the RSA key has 1024 bits; at least " +
			"2048 are needed",
		block("DSA PRIVATE KEY", dsaKey(t)):                                     "DSA keys are not secure",
		block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00...ssh-dss...")): "DSA keys are not secure",
		block("EC PRIVATE KEY",
			p224der): "the curve P-224 is not used in SSH",
		"PuTTY-User-Key-File-3: ssh-ed25519\n":                       "PuTTY's format",
		string(ssh.MarshalAuthorizedKey(public)):                     "it contains a public key",
		block("PUBLIC KEY", []byte("x")):                             "it contains a public key",
		"just text":                                                  "it contains no private key",
		whole[:len(whole)/2]:                                         "cut off or damaged",
		block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00xx")): "cannot be read",
		block("CERTIFICATE", []byte("x")):                            "damaged",
		block("ENCRYPTED PRIVATE KEY", []byte("x")):                  "cannot be read",
	} {
		_, err := sshkeys.ParseKey([]byte(content), secret.New(passphrase), "id")
		e, ok := errors.AsType[*sshkeys.KeyError](err)
		if !ok || !strings.Contains(e.Error(), reason) || !strings.Contains(e.Error(), "id") {
			t.Errorf("%.40q: %T %v, want %s", content, err, err, reason)
		}
	}
	// A file from Windows, and one with a comment before the key.
	for _, content := range []string{"\xef\xbb\xbf" + strings.ReplaceAll(whole, "\n", "\r\n"),
		"a comment\n" + whole} {
		if _, err := sshkeys.ParseKey([]byte(content), secret.Value{}, "id"); err != nil {
			t.Error(err)
		}
	}
}

// dsaKey encodes a key with small made-up numbers: it must be refused for its kind.
func dsaKey(t *testing.T) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Version       int
		P, Q, G, Y, X *big.Int
	}{0, big.NewInt(23), big.NewInt(11), big.NewInt(4), big.NewInt(18), big.NewInt(3)})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCheckAlgorithm(t *testing.T) {
	t.Parallel()
	key, err := sshkeys.ParseKey(formats(t, "ed25519 -")["openssh"], secret.Value{}, "id")
	if err != nil {
		t.Fatal(err)
	}
	e, ok := errors.AsType[*sshkeys.AlgorithmError](key.CheckAlgorithm("ecdsa"))
	if !ok || !strings.Contains(e.Error(), "ecdsa") || !strings.Contains(e.Error(), "ed25519") ||
		!strings.Contains(e.Hint(), "ed25519") {
		t.Errorf("error is %v", e)
	}
}

func TestLoadKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "id")
	content := formats(t, "ecdsa p-384")["openssh"]
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := sshkeys.LoadKey(t.Context(), path, secret.Value{})
	if err != nil || key.Warning() != "" || key.Origin() != path {
		t.Errorf("%v, warning %q", err, key.Warning())
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		key, err = sshkeys.LoadKey(t.Context(), path, secret.Value{})
		if err != nil || !strings.Contains(key.Warning(), "permissions 0644 for "+path+" are too open") {
			t.Errorf("%v, warning %q", err, key.Warning())
		}
	}
	if _, err := sshkeys.LoadKey(t.Context(), dir, secret.Value{}); err == nil ||
		!strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := sshkeys.LoadKey(t.Context(), filepath.Join(dir, "none"), secret.Value{}); !errors.Is(err,
		os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sshkeys.LoadKey(t.Context(), path, secret.Value{}); err == nil ||
		!strings.Contains(err.Error(), "which no private key has") {
		t.Errorf("a large file: %v", err)
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	for algorithm, kind := range map[string]string{"": "ecdsa-sha2-nistp384", "ecdsa": "ecdsa-sha2-nistp384",
		"ed25519": "ssh-ed25519", "rsa": "ssh-rsa"} {
		pair, err := sshkeys.Generate(algorithm)
		if err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		key, err := sshkeys.ParseKey([]byte(pair.PrivatePEM.Reveal()), secret.Value{}, "generated")
		if err != nil || key.Public().Type() != kind || key.AuthorizedKey() != pair.AuthorizedKey ||
			key.Fingerprint() != pair.Fingerprint {
			t.Errorf("%s: %+v, %v", algorithm, pair, err)
		}
	}
	one, err1 := sshkeys.Generate("")
	other, err2 := sshkeys.Generate("")
	if err := errors.Join(err1, err2); err != nil || one.Fingerprint == other.Fingerprint {
		t.Errorf("two keys are the same, %v", err)
	}
	if _, err := sshkeys.Generate("dsa"); err == nil {
		t.Error("a DSA key was made")
	}
}

// A private key is shown by no formatting.
func TestKey_isNotShown(t *testing.T) {
	t.Parallel()
	content := formats(t, "ed25519 -")["openssh encrypted"]
	_, err := sshkeys.ParseKey(content, secret.New("sentinel-wrong"), "id")
	if err == nil || strings.Contains(err.Error(), "sentinel") {
		t.Errorf("error is %v", err)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		key, err := sshkeys.ParseKey(content, secret.New("x"), "id")
		if (key == nil) == (err == nil) {
			t.Errorf("key %v, error %v", key, err)
		}
	})
}
