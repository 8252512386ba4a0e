package sshkeys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"hash"

	"golang.org/x/crypto/scrypt"

	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// Object identifiers of RFC 8018 (PBES2, PBKDF2), RFC 7914 (scrypt) and NIST's AES arc.
var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

// Costs beyond these are refused: a key file may not keep a machine busy for minutes.
const (
	maxIterations   = 10_000_000
	maxScryptMemory = 256 << 20
)

type encryptedPrivateKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Params struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

type scryptParams struct {
	Salt      []byte
	Cost      int
	BlockSize int
	Parallel  int
	KeyLength int `asn1:"optional"`
}

type blockCipher struct {
	oid     asn1.ObjectIdentifier
	keySize int
	make    func(key []byte) (cipher.Block, error)
}

func blockCiphers() []blockCipher {
	return []blockCipher{
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16, aes.NewCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24, aes.NewCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32, aes.NewCipher},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 24, des.NewTripleDESCipher},
	}
}

// prf is the hash of PBKDF2's pseudo-random function; HMAC-SHA-1 is the default of the format.
func prf(oid asn1.ObjectIdentifier) func() hash.Hash {
	switch oid.String() {
	case "", "1.2.840.113549.2.7":
		return sha1.New
	case "1.2.840.113549.2.9":
		return sha256.New
	case "1.2.840.113549.2.10":
		return sha512.New384
	case "1.2.840.113549.2.11":
		return sha512.New
	}
	return nil
}

// parseEncryptedPKCS8 reads what "openssl pkcs8 -topk8" and "openssl genpkey -aes256" write, which
// x/crypto/ssh does not.
func parseEncryptedPKCS8(der []byte, passphrase secret.Value, origin string) (any, error) {
	if passphrase.IsZero() {
		return nil, &PassphraseError{Origin: origin}
	}
	plain, err := decryptPKCS8(der, []byte(passphrase.Reveal()))
	if err != nil {
		return nil,
			&KeyError{Origin: origin, Reason: "the encrypted private key cannot be read: " + err.Error(),
				Next: "convert it to OpenSSH's format: ssh-keygen -p -f KEY"}
	}
	raw, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		// The encryption has no checksum: what a wrong passphrase gives is told by its not being a key.
		return nil, &PassphraseError{Origin: origin, Wrong: true}
	}
	return raw, nil
}

func decryptPKCS8(der, passphrase []byte) ([]byte, error) {
	var info encryptedPrivateKeyInfo
	var params pbes2Params
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 {
		return nil, errors.New("malformed structure")
	}
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, errors.New("only the PBES2 encryption of RFC 8018 is supported")
	}
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, errors.New("malformed encryption parameters")
	}
	for _, c := range blockCiphers() {
		if !params.Cipher.Algorithm.Equal(c.oid) {
			continue
		}
		key, err := deriveKey(params.KDF, passphrase, c.keySize)
		if err != nil {
			return nil, err
		}
		block, err := c.make(key)
		if err != nil {
			return nil, err
		}
		var iv []byte
		if _, err := asn1.Unmarshal(params.Cipher.Parameters.FullBytes, &iv); err != nil ||
			len(iv) != block.BlockSize() || len(info.Data) == 0 || len(info.Data)%block.BlockSize() != 0 {
			return nil, errors.New("malformed cipher parameters")
		}
		plain := make([]byte, len(info.Data))
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, info.Data)
		// The padding (RFC 8018, section 6.1.1) is cut when it is well-formed; otherwise the passphrase was
		// wrong, and parsing what is left shows it.
		if pad := int(plain[len(plain)-1]); pad >= 1 && pad <= block.BlockSize() {
			plain = plain[:len(plain)-pad]
		}
		return plain, nil
	}
	return nil, errors.New("unknown cipher " + params.Cipher.Algorithm.String())
}

func deriveKey(kdf pkix.AlgorithmIdentifier, passphrase []byte, size int) ([]byte, error) {
	switch {
	case kdf.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if _, err := asn1.Unmarshal(kdf.Parameters.FullBytes, &p); err != nil || p.Iterations < 1 ||
			p.Iterations > maxIterations {
			return nil, errors.New("malformed key derivation parameters")
		}
		h := prf(p.PRF.Algorithm)
		if h == nil {
			return nil, errors.New("unknown pseudo-random function " + p.PRF.Algorithm.String())
		}
		return pbkdf2.Key(h, string(passphrase), p.Salt, p.Iterations, size)
	case kdf.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if _, err := asn1.Unmarshal(kdf.Parameters.FullBytes, &p); err != nil || p.Cost < 2 ||
			p.BlockSize < 1 || p.Parallel < 1 || p.Cost > maxScryptMemory/128/p.BlockSize || p.Parallel > 64 {
			return nil, errors.New("malformed key derivation parameters")
		}
		return scrypt.Key(passphrase, p.Salt, p.Cost, p.BlockSize, p.Parallel, size)
	}
	return nil, errors.New("unknown key derivation " + kdf.Algorithm.String())
}
