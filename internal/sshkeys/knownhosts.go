package sshkeys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" // the format of hashed host names
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// KnownHosts are the lines of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). It does not change
// and may be used by several connections at the same time.
//
// A host is written as in the file: "host" for port 22 and "[host]:port" for any other. As in Flux, and
// unlike in OpenSSH, a line for the host without its port does not vouch for another port: what works here
// then works in the cluster too.
type KnownHosts struct {
	file  string
	lines []hostLine
	bad   []string
}

type hostLine struct {
	number   int
	marker   string // "", "cert-authority" or "revoked"
	patterns []hostPattern
	key      ssh.PublicKey
}

// hostPattern is one element of the first field of a line.
type hostPattern struct {
	negated bool
	glob    string
	salt    []byte // of a hashed name
	sum     []byte
}

const (
	markerAuthority = "cert-authority"
	markerRevoked   = "revoked"
)

// ParseKnownHosts reads the content of a known_hosts file. The origin, such as its path, is used in errors.
// Lines that cannot be read are left out, as OpenSSH does, and told by [KnownHosts.Problems]; it is an error
// when no line is left.
func ParseKnownHosts(content []byte, origin string) (*KnownHosts, error) {
	k := &KnownHosts{file: origin}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	number := 0
	for line := range bytes.SplitSeq(content, []byte("\n")) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		parsed, err := parseHostLine(line)
		if err != nil {
			k.bad = append(k.bad, fmt.Sprintf("%s:%d: %v", origin, number, err))
			continue
		}
		parsed.number = number
		k.lines = append(k.lines, parsed)
	}
	switch {
	case len(k.lines) > 0:
		return k, nil
	case len(k.bad) > 0:
		return nil, fmt.Errorf("the known_hosts file %s has no line that can be read: %s", origin, k.bad[0])
	default:
		return nil, fmt.Errorf("the known_hosts file %s has no lines", origin)
	}
}

func parseHostLine(line []byte) (hostLine, error) {
	marker, hosts, key, _, rest, err := ssh.ParseKnownHosts(line)
	if err != nil {
		return hostLine{}, fmt.Errorf("not a known_hosts line: %s", strings.TrimPrefix(err.Error(), "ssh: "))
	}
	if len(rest) > 0 {
		return hostLine{}, errors.New("not a known_hosts line")
	}
	if marker != "" && marker != markerAuthority && marker != markerRevoked {
		return hostLine{}, fmt.Errorf("unknown marker @%s", printable(marker))
	}
	l := hostLine{marker: marker, key: key}
	for _, h := range hosts {
		p, err := parseHostPattern(h)
		if err != nil {
			return hostLine{}, err
		}
		l.patterns = append(l.patterns, p)
	}
	return l, nil
}

func parseHostPattern(text string) (hostPattern, error) {
	if hashed, ok := strings.CutPrefix(text, "|1|"); ok {
		salt, sum, _ := strings.Cut(hashed, "|")
		s, err1 := base64.StdEncoding.DecodeString(salt)
		h, err2 := base64.StdEncoding.DecodeString(sum)
		if err1 != nil || err2 != nil || len(h) != sha1.Size {
			return hostPattern{}, errors.New("malformed hashed host name")
		}
		return hostPattern{salt: s, sum: h}, nil
	}
	if strings.HasPrefix(text, "|") {
		return hostPattern{}, errors.New("unknown kind of hashed host name")
	}
	glob, negated := strings.CutPrefix(text, "!")
	if glob == "" {
		return hostPattern{}, errors.New("empty host name")
	}
	return hostPattern{negated: negated, glob: strings.ToLower(normalizePattern(glob))}, nil
}

// normalizePattern turns [host]:22 into host, the form in which hosts are looked up.
func normalizePattern(p string) string {
	if host, ok := strings.CutSuffix(p, "]:22"); ok && strings.HasPrefix(host, "[") {
		return host[1:]
	}
	return p
}

func (p hostPattern) matches(host string) bool {
	if p.sum == nil {
		return globMatch(p.glob, host)
	}
	mac := hmac.New(sha1.New, p.salt)
	mac.Write([]byte(host))
	return subtle.ConstantTimeCompare(mac.Sum(nil), p.sum) == 1
}

func (l hostLine) matches(host string) bool {
	if host == "" {
		return false
	}
	found := false
	for _, p := range l.patterns {
		if p.matches(host) {
			if p.negated {
				return false
			}
			found = true
		}
	}
	return found
}

// globMatch knows '*' and '?' only. It takes time in proportion to the product of the lengths, whatever the
// pattern.
func globMatch(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// HostName is the form in which a known_hosts file names a host: "host" for port 22, "[host]:port" for any
// other. The address is "host:port" or "host". It is empty for what cannot be a host: such a name could be a
// pattern, or break out of its line.
func HostName(address string) string {
	host := strings.ToLower(knownhosts.Normalize(address))
	if strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._:[]%", r)
	}) {
		return ""
	}
	return host
}

// Problems are the lines that could not be read, as "file:line: reason".
func (k *KnownHosts) Problems() []string { return append([]string(nil), k.bad...) }

// File is where the lines came from.
func (k *KnownHosts) File() string { return k.file }

// Knows says whether there is a line that vouches for the address, by a key or by an authority.
func (k *KnownHosts) Knows(address string) bool {
	host := HostName(address)
	for _, l := range k.lines {
		if l.marker != markerRevoked && l.matches(host) {
			return true
		}
	}
	return false
}

// Check says whether the key, or the host certificate, belongs to the address. The error is a *HostKeyError.
func (k *KnownHosts) Check(address string, key ssh.PublicKey) error {
	host := HostName(address)
	if err := k.checkRevoked(host, key); err != nil {
		return err
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		return k.checkCertificate(host, address, cert)
	}
	problem := git.HostUnknown
	var expected []git.KnownKey
	for _, l := range k.lines {
		if l.marker == markerRevoked || !l.matches(host) {
			continue
		}
		if l.marker == "" && sameKey(l.key, key) {
			return nil
		}
		problem = git.HostKeyChanged
		expected = append(expected, k.known(l))
	}
	return k.hostKeyError(host, problem, key, expected, "")
}

func (k *KnownHosts) checkRevoked(host string, key ssh.PublicKey) error {
	shown := []ssh.PublicKey{key}
	if cert, ok := key.(*ssh.Certificate); ok {
		shown = []ssh.PublicKey{cert.Key, cert.SignatureKey}
	}
	for _, l := range k.lines {
		if l.marker != markerRevoked || !l.matches(host) {
			continue
		}
		for _, s := range shown {
			if sameKey(l.key, s) {
				return k.hostKeyError(host, git.HostKeyRevoked, s, []git.KnownKey{k.known(l)}, "")
			}
		}
	}
	return nil
}

func (k *KnownHosts) checkCertificate(host, address string, cert *ssh.Certificate) error {
	var expected []git.KnownKey
	trusted := false
	for _, l := range k.lines {
		if l.marker == markerRevoked || !l.matches(host) {
			continue
		}
		if l.marker == "" && sameKey(l.key, cert.Key) {
			return nil // the key inside is vouched for by itself, as OpenSSH does
		}
		expected = append(expected, k.known(l))
		trusted = trusted || l.marker == markerAuthority && sameKey(l.key, cert.SignatureKey)
	}
	if !trusted {
		problem := git.HostUnknown
		if len(expected) > 0 {
			problem = git.HostKeyChanged
		}
		return k.hostKeyError(host, problem, cert.SignatureKey, expected, "")
	}
	checker := &ssh.CertChecker{IsHostAuthority: func(ssh.PublicKey, string) bool { return true }}
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, "22")
	}
	if err := checker.CheckHostKey(address, nil, cert); err != nil {
		return k.hostKeyError(host, git.HostKeyInvalid, cert.Key, expected,
			strings.TrimPrefix(printable(err.Error()), "ssh: "))
	}
	return nil
}

func (k *KnownHosts) known(l hostLine) git.KnownKey {
	return git.KnownKey{Type: l.key.Type(), Fingerprint: ssh.FingerprintSHA256(l.key), File: k.file,
		Line: l.number, Authority: l.marker == markerAuthority}
}

func (k *KnownHosts) hostKeyError(host string, problem git.HostKeyProblem, key ssh.PublicKey,
	expected []git.KnownKey, detail string) *git.HostKeyError {
	e := &git.HostKeyError{Host: host, Problem: problem, Type: key.Type(),
		Fingerprint: ssh.FingerprintSHA256(key), Expected: expected, File: k.file, Detail: detail}
	if plain, _, ok := strings.Cut(strings.TrimPrefix(host, "["), "]:"); ok && problem == git.HostUnknown &&
		strings.HasPrefix(host, "[") {
		for _, l := range k.lines {
			e.PlainEntry = e.PlainEntry || l.marker != markerRevoked && l.matches(plain)
		}
	}
	return e
}

func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// hostKeyFamilies are the host key algorithms that are accepted, in the order of preference for hosts that
// are not known: first each family's certificate algorithms, then its plain ones. RSA has no SHA-1.
func hostKeyFamilies() []struct {
	keyType      string
	certs, plain []string
} {
	return []struct {
		keyType      string
		certs, plain []string
	}{
		{ssh.KeyAlgoED25519, []string{ssh.CertAlgoED25519v01}, []string{ssh.KeyAlgoED25519}},
		{ssh.KeyAlgoECDSA256, []string{ssh.CertAlgoECDSA256v01}, []string{ssh.KeyAlgoECDSA256}},
		{ssh.KeyAlgoECDSA384, []string{ssh.CertAlgoECDSA384v01}, []string{ssh.KeyAlgoECDSA384}},
		{ssh.KeyAlgoECDSA521, []string{ssh.CertAlgoECDSA521v01}, []string{ssh.KeyAlgoECDSA521}},
		{ssh.KeyAlgoRSA, []string{ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01},
			[]string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}},
	}
}

// HostKeyAlgorithms are the algorithms to offer to the address: those that the file has keys for. A server
// with several keys then shows one that can be verified. When there is none, all are offered, so that the
// error can say what the server has.
func (k *KnownHosts) HostKeyAlgorithms(address string) []string {
	host := HostName(address)
	types := map[string]bool{}
	authority := false
	for _, l := range k.lines {
		if l.marker == markerRevoked || !l.matches(host) {
			continue
		}
		if l.marker == markerAuthority {
			authority = true
			continue
		}
		types[l.key.Type()] = true
	}
	all := !authority && len(types) == 0
	var certs, plain, others []string
	for _, f := range hostKeyFamilies() {
		if authority {
			// An authority of one type signs host keys of any.
			certs = append(certs, f.certs...)
		}
		if types[f.keyType] || all {
			plain = append(plain, f.plain...)
		} else {
			others = append(others, f.plain...)
		}
	}
	// The rest comes last: a server that has none of the known types any more then shows what it has instead,
	// which the check refuses with both fingerprints. Left out, the handshake would fail without naming a
	// key.
	return append(append(certs, plain...), others...)
}

// LinesFor are the lines with the keys of one address, and no others, as the content of a known_hosts file:
// what Flux needs to know. Patterns and hashed names are written out as the host itself. Lines of certificate
// authorities are left out: Flux asks no server for a certificate, and would only be led to ask for a key of
// the authority's type (fluxcd/pkg, ssh/knownhosts). It is empty when the host is not known, or by an
// authority only.
func (k *KnownHosts) LinesFor(address string) string {
	host := HostName(address)
	var b strings.Builder
	seen := map[string]bool{}
	vouched := false
	for _, l := range k.lines {
		if !l.matches(host) || l.marker == markerAuthority {
			continue
		}
		line := host + " " + AuthorizedKey(l.key)
		if l.marker != "" {
			line = "@" + l.marker + " " + line
		}
		vouched = vouched || l.marker != markerRevoked
		if !seen[line] {
			seen[line] = true
			b.WriteString(line + "\n")
		}
	}
	if !vouched {
		return ""
	}
	return b.String()
}
