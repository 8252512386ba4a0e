package sshkeys_test

import (
	"crypto/rand"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// signer is a host's or an authority's key.
func signer(t testing.TB, kind string) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromSigner(privateKeys()[kind])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func line(t testing.TB, kind string) string {
	t.Helper()
	return sshkeys.AuthorizedKey(signer(t, kind).PublicKey())
}

func parse(t testing.TB, content string) *sshkeys.KnownHosts {
	t.Helper()
	k, err := sshkeys.ParseKnownHosts([]byte(content), "known_hosts")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func hashed(host string) string { return knownhosts.HashHostname(host) }

// Every situation of a host and its key: what is found, and what the cluster gets.
func TestKnownHosts_Check(t *testing.T) {
	t.Parallel()
	ed, ec, other := line(t, "ed25519 -"), line(t, "ecdsa p-256"), line(t, "ecdsa p-384")
	const unknown, changed, revoked = git.HostUnknown, git.HostKeyChanged, git.HostKeyRevoked
	cases := []struct {
		name, content, address string
		offered                string // kind of the key that the server shows
		problem                git.HostKeyProblem
		lines                  []int // of the keys that were expected
		forCluster             string
	}{
		{"plain", "h.example " + ed, "h.example:22", "ed25519 -", 0, nil, "h.example " + ed},
		{"case does not matter", "H.Example " + ed, "h.eXample:22", "ed25519 -", 0, nil, "h.example " + ed},
		{"several names", "a,h.example,192.0.2.1 " + ed, "192.0.2.1:22", "ed25519 -", 0, nil,
			"192.0.2.1 " + ed},
		{"several keys, the second", "h.example " + ed + "\nh.example " + ec, "h.example:22", "ecdsa p-256",
			0, nil, "h.example " + ed + "\nh.example " + ec},
		{"port", "[h.example]:2222 " + ed, "h.example:2222", "ed25519 -", 0, nil, "[h.example]:2222 " + ed},
		{"port 22 in brackets", "[h.example]:22 " + ed, "h.example:22", "ed25519 -", 0, nil,
			"h.example " + ed},
		{"another port", "[h.example]:2222 " + ed, "h.example:2223", "ed25519 -", unknown, nil, ""},
		{"line without the port", "h.example " + ed, "h.example:2222", "ed25519 -", unknown, nil, ""},
		{"line with a port, server without", "[h.example]:2222 " + ed, "h.example:22", "ed25519 -",
			unknown, nil, ""},
		{"IPv6", "2001:db8::1 " + ed, "[2001:db8::1]:22", "ed25519 -", 0, nil, "2001:db8::1 " + ed},
		{"IPv6 and port", "[2001:db8::1]:2222 " + ed, "[2001:db8::1]:2222", "ed25519 -", 0, nil,
			"[2001:db8::1]:2222 " + ed},
		{"hashed", hashed("h.example") + " " + ed, "h.example:22", "ed25519 -", 0, nil, "h.example " + ed},
		{"hashed with port", hashed("[h.example]:2222") + " " + ed, "h.example:2222", "ed25519 -", 0, nil,
			"[h.example]:2222 " + ed},
		{"hashed, another host", hashed("g.example") + " " + ed, "h.example:22", "ed25519 -",
			unknown, nil, ""},
		{"wildcard", "*.example " + ed, "h.example:22", "ed25519 -", 0, nil, "h.example " + ed},
		{"wildcard and port", "[*.example]:* " + ed, "h.example:2222", "ed25519 -", 0, nil,
			"[h.example]:2222 " + ed},
		{"question mark", "?.example " + ed, "hh.example:22", "ed25519 -", unknown, nil, ""},
		{"negation", "*.example,!h.example " + ed, "h.example:22", "ed25519 -", unknown, nil, ""},
		{"negation first", "!h.example,*.example " + ed, "g.example:22", "ed25519 -", 0, nil,
			"g.example " + ed},
		{"changed", "# comment\n\nh.example " + ed + " a comment\n", "h.example:22", "ecdsa p-256", changed,
			[]int{3}, "h.example " + ed},
		{"changed, several", "h.example " + ed + "\ng.example " + ec + "\n*.example " + other, "h.example:22",
			"ecdsa p-256", changed, []int{1, 3}, "h.example " + ed + "\nh.example " + other},
		{"revoked", "@revoked * " + ed + "\nh.example " + ed, "h.example:22", "ed25519 -", revoked, []int{1},
			"@revoked h.example " + ed + "\nh.example " + ed},
		{"another key revoked", "@revoked h.example " + ec + "\nh.example " + ed, "h.example:22", "ed25519 -",
			0, nil, "@revoked h.example " + ec + "\nh.example " + ed},
		{"only a revocation", "@revoked h.example " + ec, "h.example:22", "ed25519 -", unknown, nil, ""},
		{"an authority is no host key", "@cert-authority h.example " + ed, "h.example:22", "ed25519 -",
			changed, []int{1}, ""},
		{"CRLF and damaged lines", "h.example ssh-ed25519 AAAAnonsense\r\nh.example " + ed + "\r\n",
			"h.example:22", "ed25519 -", 0, nil, "h.example " + ed},
		{"written twice", "h.example " + ed + "\nh.* " + ed, "h.example:22", "ed25519 -", 0, nil,
			"h.example " + ed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := parse(t, c.content)
			err := k.Check(c.address, signer(t, c.offered).PublicKey())
			if got := strings.TrimSuffix(k.LinesFor(c.address), "\n"); got != c.forCluster {
				t.Errorf("lines for the cluster are\n%s\nwant\n%s", got, c.forCluster)
			}
			if want := c.forCluster != "" ||
				strings.HasPrefix(c.content, "@cert-authority"); k.Knows(c.address) != want {
				t.Errorf("knows is %v", k.Knows(c.address))
			}
			if c.problem == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e, ok := err.(*git.HostKeyError) // it is not wrapped
			if !ok || e.Problem != c.problem ||
				e.Fingerprint != ssh.FingerprintSHA256(signer(t, c.offered).PublicKey()) ||
				e.File != "known_hosts" {
				t.Fatalf("error is %+v", err)
			}
			var lines []int
			for _, x := range e.Expected {
				lines = append(lines, x.Line)
			}
			if !reflect.DeepEqual(lines, c.lines) {
				t.Errorf("expected lines %v, want %v", lines, c.lines)
			}
			if !strings.Contains(e.Error(), e.Fingerprint) || e.Hint() == "" {
				t.Errorf("error is %v, hint %q", e, e.Hint())
			}
		})
	}
}

// What the file for a cluster says is what x/crypto/ssh, which Flux uses, takes it to say.
func TestHostKeyError_hints(t *testing.T) {
	t.Parallel()
	k := parse(t, "h.example "+line(t, "ed25519 -"))
	// it is not wrapped
	e, ok := k.Check("h.example:2222", signer(t, "ed25519 -").PublicKey()).(*git.HostKeyError)
	if !ok || !e.PlainEntry || !strings.Contains(e.Hint(), "write [h.example]:2222") ||
		!strings.Contains(e.Hint(), "ssh-keyscan -p 2222 h.example | ssh-keygen -lf -") {
		t.Errorf("%+v", e)
	}
	// it is not wrapped
	e, ok = k.Check("g.example:22", signer(t, "ed25519 -").PublicKey()).(*git.HostKeyError)
	if !ok || e.PlainEntry || !strings.Contains(e.Hint(), "ssh-keyscan g.example |") {
		t.Errorf("%+v", e)
	}
}

func TestKnownHosts_certificates(t *testing.T) {
	t.Parallel()
	authority, host := signer(t, "ed25519 -"), signer(t, "ecdsa p-256")
	certificate := func(change func(*ssh.Certificate)) *ssh.Certificate {
		c := &ssh.Certificate{
			Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"h.example"},
			ValidAfter:  uint64(time.Now().Add(-time.Hour).Unix()),
			ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
		}
		change(c)
		if err := c.SignCert(rand.Reader, authority); err != nil {
			t.Fatal(err)
		}
		return c
	}
	good := certificate(func(*ssh.Certificate) {})
	trusting := "@cert-authority *.example " + line(t, "ed25519 -")
	for _, c := range []struct {
		name, content, address string
		cert                   *ssh.Certificate
		problem                git.HostKeyProblem
	}{
		{"good", trusting, "h.example:22", good, 0},
		{"good, other port", "@cert-authority [h.example]:2222 " + line(t, "ed25519 -"),
			"h.example:2222", good, 0},
		{"the host's own key is known", "h.example " + line(t, "ecdsa p-256"), "h.example:22", good, 0},
		{"unknown authority", "@cert-authority *.example " + line(t, "ecdsa p-384"), "h.example:22", good,
			git.HostKeyChanged},
		{"authority of another host", trusting, "h.test:22", good, git.HostUnknown},
		{"for another host", trusting, "g.example:22", good, git.HostKeyInvalid},
		{"expired", trusting, "h.example:22", certificate(func(c *ssh.Certificate) {
			c.ValidBefore = uint64(time.Now().Add(-time.Minute).Unix())
		}),
			git.HostKeyInvalid},
		{"of a user", trusting, "h.example:22",
			certificate(func(c *ssh.Certificate) { c.CertType = ssh.UserCert }), git.HostKeyInvalid},
		{"revoked authority", "@revoked * " + line(t, "ed25519 -") + "\n" + trusting, "h.example:22", good,
			git.HostKeyRevoked},
		{"revoked host key", "@revoked * " + line(t, "ecdsa p-256") + "\n" + trusting, "h.example:22", good,
			git.HostKeyRevoked},
	} {
		err := parse(t, c.content).Check(c.address, c.cert)
		e, _ := err.(*git.HostKeyError) // it is not wrapped
		if (err == nil) != (c.problem == 0) || (e != nil && e.Problem != c.problem) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestKnownHosts_HostKeyAlgorithms(t *testing.T) {
	t.Parallel()
	k := parse(t, "r.example "+line(t, "rsa 2048")+"\ne.example "+line(t, "ecdsa p-384")+"\ne.example "+
		line(t, "ed25519 -")+"\n@cert-authority c.example "+line(t, "ed25519 -"))
	for address, first := range map[string][]string{
		"r.example:22": {ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoED25519},
		"e.example:22": {ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA256},
		"c.example:22": {ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01},
		"n.example:22": {ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256},
	} {
		got := k.HostKeyAlgorithms(address)
		if !reflect.DeepEqual(got[:len(first)], first) {
			t.Errorf("%s: %v", address, got)
		}
		seen := map[string]bool{}
		for _, a := range got {
			if a == ssh.KeyAlgoRSA || a == "ssh-dss" || seen[a] {
				t.Errorf("%s: %s is offered", address, a)
			}
			seen[a] = true
		}
	}
}

func TestParseKnownHosts_problems(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"": "has no lines", "# only a comment\n": "has no lines",
		"nonsense":                           "known_hosts:1: not a known_hosts line",
		"@strange h " + line(t, "ed25519 -"): "unknown marker @strange",
		"|1|x|y " + line(t, "ed25519 -"):     "malformed hashed host name",
		"|2|x|y " + line(t, "ed25519 -"):     "unknown kind", ", " + line(t, "ed25519 -"): "empty host name",
		"-----BEGIN OPENSSH PRIVATE KEY-----": "not a known_hosts line",
	} {
		if _, err := sshkeys.ParseKnownHosts([]byte(content), "known_hosts"); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
	k := parse(t, "bad\nh "+line(t, "ed25519 -")+"\nh ssh-unknown AAAA\n")
	if got := k.Problems(); len(got) != 2 || !strings.HasPrefix(got[0], "known_hosts:1: ") ||
		!strings.HasPrefix(got[1], "known_hosts:3: ") {
		t.Errorf("problems are %q", got)
	}
}

// An address that is none gets no lines, however many patterns match it.
func TestKnownHosts_LinesFor_injection(t *testing.T) {
	t.Parallel()
	k := parse(t, "* "+line(t, "ed25519 -"))
	for _, address := range []string{"", "h evil", "h\nevil", "*", "h,g", "!h", "|1|x", "#h",
		"@revoked", "hä"} {
		if lines := k.LinesFor(address); lines != "" || k.Knows(address) ||
			k.Check(address, signer(t, "ed25519 -").PublicKey()) == nil {
			t.Errorf("%q: %q", address, lines)
		}
	}
}

func TestKnownHostsForKeys(t *testing.T) {
	t.Parallel()
	lines, err := sshkeys.KnownHostsForKeys("ssh://git@ssh.github.com:443/acme/fleet.git",
		[]string{line(t, "ed25519 -"), line(t, "rsa 2048")})
	if err != nil {
		t.Fatal(err)
	}
	k := parse(t, string(lines))
	for _, kind := range []string{"ed25519 -", "rsa 2048"} {
		if err := k.Check("ssh.github.com:443", signer(t, kind).PublicKey()); err != nil {
			t.Error(err)
		}
	}
	if k.Knows("ssh.github.com:22") {
		t.Error("another port is known")
	}
	for _, bad := range []string{"https://github.com/x", "x", ""} {
		if _, err := sshkeys.KnownHostsForKeys(bad, []string{line(t, "ed25519 -")}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, keys := range [][]string{nil, {"nonsense"}} {
		if _, err := sshkeys.KnownHostsForKeys("ssh://git@github.com/x", keys); err == nil {
			t.Errorf("%q are taken", keys)
		}
	}
	// A kind that is not known here is no reason to do without the others.
	known, err := sshkeys.KnownHostsForKeys("ssh://git@github.com/x",
		[]string{"ssh-mldsa65 AAAAC3NzaC1tbGRzYTY1", line(t, "ed25519 -")})
	alone, errAlone := sshkeys.KnownHostsForKeys("ssh://git@github.com/x", []string{line(t, "ed25519 -")})
	if err != nil || errAlone != nil || string(known) != string(alone) {
		t.Errorf("%q (%v), want %q (%v)", known, err, alone, errAlone)
	}
}

// For every file, our check and that of x/crypto/ssh, on the lines for the cluster, agree.
func FuzzKnownHosts(f *testing.F) {
	key := signer(f, "ed25519 -").PublicKey()
	text := sshkeys.AuthorizedKey(key)
	for _, seed := range []string{"h.example " + text, "[h.example]:2222 " + text, "@revoked * " + text,
		"*,!h.example " + text, "@cert-authority h* " + text, hashed("h.example") + " " + text, "? " + text,
		"|1|a|b " + text} {
		f.Add(seed, "h.example:22")
		f.Add(seed, "h.example:2222")
	}
	f.Fuzz(func(t *testing.T, content, address string) {
		k, err := sshkeys.ParseKnownHosts([]byte(content), "f")
		if err != nil {
			return
		}
		ours := k.Check(address, key)
		lines := k.LinesFor(address)
		if k.HostKeyAlgorithms(address) == nil {
			t.Error("no algorithm is offered")
		}
		if ours == nil && lines == "" {
			t.Error("the key is right, but the cluster would not know it")
		}
		if lines == "" {
			return
		}
		again, err := sshkeys.ParseKnownHosts([]byte(lines), "cluster")
		if err != nil {
			t.Fatalf("lines for the cluster: %v\n%s", err, lines)
		}
		if theirs := again.Check(address, key); (theirs == nil) != (ours == nil) {
			t.Errorf("from the whole file %v, from the cluster's lines %v\n%s", ours, theirs, lines)
		}
	})
}

func ExampleKnownHosts_LinesFor() {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	known, err := sshkeys.ParseKnownHosts(
		[]byte("*.example.com,!test.example.com "+key+"\nother.example.org "+key), "known_hosts")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(known.LinesFor("git.example.com:2222"))
	fmt.Print(known.LinesFor("git.example.com:22"))
	// Output:
	// git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
}
