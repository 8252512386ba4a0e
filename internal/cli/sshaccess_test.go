package cli_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// sshPassphrase protects the locked keys of these tests. It must never be printed.
const sshPassphrase = "sentinel-passphrase-7Qx"

// userKey is a key that an operator may have, in one of the forms in which it may be kept.
type userKey struct {
	name      string
	algorithm string // as sshKeyAlgorithm says it
	private   crypto.Signer
	plain     []byte // the file
	locked    []byte // the same key with a passphrase
}

// userKeys are one key of each kind that is accepted; the forms of their files go round.
func userKeys(t *testing.T) []userKey {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	keys := []userKey{
		{name: "rsa 2048, PKCS1", algorithm: "rsa", private: rsaKey,
			plain: pemFile("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))},
		{name: "ecdsa P-256, PKCS8", algorithm: "ecdsa", private: curve(elliptic.P256())},
		{name: "ecdsa P-384, SEC1", algorithm: "ecdsa", private: curve(elliptic.P384())},
		{name: "ecdsa P-521, OpenSSH", algorithm: "ecdsa", private: curve(elliptic.P521())},
		{name: "ed25519, OpenSSH", algorithm: "ed25519", private: edKey},
	}
	for i := range keys {
		key := &keys[i]
		switch {
		case strings.HasSuffix(key.name, "PKCS8"):
			der, err := x509.MarshalPKCS8PrivateKey(key.private)
			if err != nil {
				t.Fatal(err)
			}
			key.plain = pemFile("PRIVATE KEY", der)
		case strings.HasSuffix(key.name, "SEC1"):
			der, err := x509.MarshalECPrivateKey(key.private.(*ecdsa.PrivateKey))
			if err != nil {
				t.Fatal(err)
			}
			key.plain = pemFile("EC PRIVATE KEY", der)
		case strings.HasSuffix(key.name, "OpenSSH"):
			block, err := ssh.MarshalPrivateKey(key.private, "")
			if err != nil {
				t.Fatal(err)
			}
			key.plain = pem.EncodeToMemory(block)
		}
		block, err := ssh.MarshalPrivateKeyWithPassphrase(key.private, "", []byte(sshPassphrase))
		if err != nil {
			t.Fatal(err)
		}
		key.locked = pem.EncodeToMemory(block)
	}
	return keys
}

func pemFile(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (k userKey) public(t *testing.T) ssh.PublicKey {
	t.Helper()
	signer, err := ssh.NewSignerFromSigner(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey()
}

// agentWith serves an agent that holds the keys, and returns its socket.
func agentWith(t *testing.T, keys ...crypto.Signer) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, key := range keys {
		var private any = key
		if ed, ok := key.(ed25519.PrivateKey); ok {
			private = &ed
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
			t.Fatal(err)
		}
	}
	// Not t.TempDir: the path of a socket may have about 100 characters only.
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				agent.ServeAgent(ring, conn) // ends with the connection
			}()
		}
	}()
	return listener.Addr().String()
}

// Every kind of key from every source, and either against every state of the known-hosts file, with a real
// sshd. There is no cluster, so that a run whose way to the repository is good says only that; nothing is
// written in either case.
func TestSSHAccess(t *testing.T) {
	t.Parallel()
	if err := gittest.EnsureOpenSSH(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := gittest.Start(t)
	repo := server.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"README.md": "fleet\n"}))
	head := repo.Head("main")
	keys, stranger := userKeys(t), gittest.NewKey(t, gittest.ED25519)
	var authorized []string
	for _, key := range keys {
		authorized = append(authorized, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.public(t)))))
	}
	authority := gittest.NewKey(t, gittest.ECDSA256)
	sshd, err := server.StartOpenSSH(t.Context(), gittest.OpenSSHOptions{
		AuthorizedKeys: authorized,
		HostKeys:       []gittest.Algorithm{gittest.ED25519, gittest.ECDSA256, gittest.RSA},
		HostAuthority:  authority.Signer(),
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, content []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := file("foreign", mustPEM(t, stranger), 0o600)

	sources := []struct {
		name  string
		env   func(t *testing.T, n int, key userKey) map[string]string
		tells string
	}{
		{"file", func(_ *testing.T, n int, key userKey) map[string]string {
			return map[string]string{"EKSA_GIT_PRIVATE_KEY": file(fmt.Sprintf("plain-%d", n),
				key.plain, 0o600)}
		}, ""},
		{"file that others may read", func(_ *testing.T, n int, key userKey) map[string]string {
			return map[string]string{"EKSA_GIT_PRIVATE_KEY": file(fmt.Sprintf("open-%d", n),
				key.plain, 0o644)}
		}, "chmod 600"},
		{"locked file, passphrase given", func(_ *testing.T, n int, key userKey) map[string]string {
			return map[string]string{
				"EKSA_GIT_PRIVATE_KEY":        file(fmt.Sprintf("locked-%d", n), key.locked, 0o600),
				"EKSA_GIT_SSH_KEY_PASSPHRASE": sshPassphrase}
		}, ""},
		{"agent", func(t *testing.T, _ int, key userKey) map[string]string {
			return map[string]string{"SSH_AUTH_SOCK": agentWith(t, key.private)}
		}, ""},
		{"locked file, key in the agent", func(t *testing.T, n int, key userKey) map[string]string {
			return map[string]string{
				"EKSA_GIT_PRIVATE_KEY": file(fmt.Sprintf("agent-%d", n), key.locked, 0o600),
				"SSH_AUTH_SOCK":        agentWith(t, key.private)}
		}, ""},
		{"file that the server does not know, key in the agent",
			func(t *testing.T, _ int, key userKey) map[string]string {
				return map[string]string{"EKSA_GIT_PRIVATE_KEY": foreign,
					"SSH_AUTH_SOCK": agentWith(t, key.private)}
			}, ""},
	}

	name := strings.Fields(sshd.KnownHosts())[0] // [127.0.0.1]:port
	port := name[strings.LastIndex(name, ":")+1:]
	line := func(host string, key ssh.PublicKey) string {
		return host + " " + string(ssh.MarshalAuthorizedKey(key))
	}
	hashed := ""
	for _, key := range sshd.HostKeys() {
		hashed += line(knownhosts.HashHostname(name), key)
	}
	hosts := []struct {
		name  string
		lines string
		tells []string // none when the host is known
	}{
		{"all keys", sshd.KnownHosts(), nil},
		{"only the last of the server's keys", line(name, sshd.HostKeys()[2]), nil},
		{"hashed", hashed, nil},
		{"wildcard and other hosts", "*.example.com " + stranger.AuthorizedKey() + "\n" +
			line("[127.0.0.*]:"+port, sshd.HostKeys()[0]),
			nil},
		{"authority", line("@cert-authority [127.0.0.1]:"+port, authority.Public()), nil},
		{"other hosts only", line("git.example.com", stranger.Public()), []string{"is not known: offered ",
			"has no line for this host", "ssh-keyscan -p " + port + " 127.0.0.1 | ssh-keygen -lf -"}},
		{"without the port", line("127.0.0.1", sshd.HostKeys()[0]),
			[]string{"is not known: offered ", "has a line for the host without its port"}},
		{"changed", "# the server's key\n" + line(name, stranger.Public()),
			[]string{"is not the one in", stranger.Fingerprint(), "known_hosts:2"}},
		{"revoked", sshd.KnownHosts() + line("@revoked "+name, sshd.HostKeys()[0]) +
			line("@revoked "+name, sshd.HostKeys()[1]) + line("@revoked "+name, sshd.HostKeys()[2]),
			[]string{"is revoked", "do not connect"}},
	}

	for h, host := range hosts {
		hostsFile := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(hostsFile, []byte(host.lines), 0o600); err != nil {
			t.Fatal(err)
		}
		for n, key := range keys {
			for s, source := range sources {
				if testing.Short() && (h+n+s)%len(keys) != 0 {
					continue // every two meet
				}
				t.Run(host.name+"/"+key.name+"/"+source.name, func(t *testing.T) {
					t.Parallel()
					env := source.env(t, n, key)
					env["EKSA_GIT_KNOWN_HOSTS"] = hostsFile
					spec := specOverSSH(t, sshd.URL("acme/fleet"), "")
					code, _, stderr := runWithoutCluster(t, env, "create", "cluster", "-f", spec)
					if code != 3 || !strings.Contains(stderr, "there is no kubeconfig") {
						t.Fatalf("exit code %d, want 3 for want of a cluster:\n%s", code, stderr)
					}
					// the kubeconfig and the last line
					wrong := strings.Count(stderr, "eksa-gitops: error: ") - 2
					if len(host.tells) == 0 && wrong != 0 {
						t.Errorf("the repository could not be read:\n%s", stderr)
					}
					if len(host.tells) > 0 && wrong != 1 {
						t.Errorf("%d errors about the repository, want 1:\n%s", wrong, stderr)
					}
					for _, text := range append(host.tells, source.tells) {
						if !strings.Contains(stderr, text) {
							t.Errorf("the program does not say %q:\n%s", text, stderr)
						}
					}
					if strings.Contains(stderr, sshPassphrase) || strings.Contains(stderr, "PRIVATE KEY-") {
						t.Errorf("a secret was printed:\n%s", stderr)
					}
				})
			}
		}
	}
	t.Cleanup(func() {
		if got := repo.Head("main"); got != head {
			t.Errorf("main is at %s, want %s", got, head)
		}
	})
}

func mustPEM(t *testing.T, key *gittest.Key) []byte {
	t.Helper()
	path, err := key.File(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// specOverSSH writes a cluster file whose repository is on a generic Git server; an empty algorithm is left
// out.
func specOverSSH(t *testing.T, url, algorithm string) string {
	t.Helper()
	content, err := os.ReadFile("../../test/e2e/testdata/mgmt.yaml")
	if err != nil {
		t.Fatal(err)
	}
	git := "  git:\n    repositoryUrl: " + url + "\n"
	if algorithm != "" {
		git += "    sshKeyAlgorithm: " + algorithm + "\n"
	}
	text := strings.Replace(string(content),
		"  github:\n    personal: true\n    owner: alice\n    repository: fleet\n", git, 1)
	path := filepath.Join(t.TempDir(), "mgmt.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// runWithoutCluster runs the program in this process with no environment but the given one.
func runWithoutCluster(t *testing.T, env map[string]string,
	args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	streams := ui.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, UTF8: true}
	code = cli.Run(context.WithoutCancel(t.Context()), args, streams, func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
	return code, out.String(), errs.String()
}
