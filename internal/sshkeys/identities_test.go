package sshkeys_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// startAgent serves an agent that holds the keys, and returns its socket.
func startAgent(t *testing.T, keys ...crypto.Signer) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, k := range keys {
		var private any = k
		if ed, ok := k.(interface{ Seed() []byte }); ok {
			private = ed
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: private, Comment: "of the\x1b test"}); err != nil {
			t.Fatal(err)
		}
	}
	return serveSocket(t, func(c net.Conn) { agent.ServeAgent(ring, c) }) // ends with the connection
}

func serveSocket(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	// Not t.TempDir: the path of a socket may have 100 characters only.
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return socket
}

func keyFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every source: the key file alone, the agent alone, both; what is offered, in which order, and whether it
// can sign.
func TestSelect(t *testing.T) {
	t.Parallel()
	keys := privateKeys()
	fingerprint := func(kind string) string { return ssh.FingerprintSHA256(signer(t, kind).PublicKey()) }
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	withKeys := startAgent(t, keys["rsa 2048"], short, keys["ed25519 -"])
	const file = "ecdsa p-384"
	plain, locked := formats(t, file)["openssh"], formats(t, "ed25519 -")["openssh encrypted"]
	for _, c := range []struct {
		name    string
		source  sshkeys.Source
		offered []string // kinds, in order
		skipped int
	}{
		{"file", sshkeys.Source{KeyFile: keyFile(t, plain)}, []string{file}, 0},
		{"agent", sshkeys.Source{AgentSocket: withKeys}, []string{"rsa 2048", "ed25519 -"}, 1},
		{"both", sshkeys.Source{KeyFile: keyFile(t, plain), AgentSocket: withKeys},
			[]string{file, "rsa 2048", "ed25519 -"}, 1},
		{"the same in both",
			sshkeys.Source{KeyFile: keyFile(t, formats(t, "rsa 2048")["pem"]), AgentSocket: withKeys},
			[]string{"rsa 2048", "ed25519 -"}, 1},
		{"encrypted file with passphrase",
			sshkeys.Source{KeyFile: keyFile(t, locked), Passphrase: secret.New(passphrase)},
			[]string{"ed25519 -"}, 0},
		{"encrypted file, unlocked in the agent",
			sshkeys.Source{KeyFile: keyFile(t, locked), AgentSocket: withKeys}, []string{"ed25519 -"}, 0},
		{"file, agent gone", sshkeys.Source{KeyFile: keyFile(t, plain), AgentSocket: "/nonexistent/agent"},
			[]string{file}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ids, err := sshkeys.Select(t.Context(), c.source)
			if err != nil {
				t.Fatal(err)
			}
			open, err := ids.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			if len(open.Signers) != len(c.offered) || len(open.Names) != len(c.offered) ||
				len(open.Skipped) != c.skipped {
				t.Fatalf("offered %q, skipped %q", open.Names, open.Skipped)
			}
			for n, s := range open.Signers {
				if !strings.Contains(open.Names[n], fingerprint(c.offered[n])) ||
					strings.ContainsRune(open.Names[n], 0x1b) {
					t.Errorf("offered %q", open.Names)
				}
				algorithm := s.PublicKey().Type()
				if algorithm == ssh.KeyAlgoRSA {
					algorithm = ssh.KeyAlgoRSASHA256
				}
				as, ok := s.(ssh.AlgorithmSigner)
				if !ok {
					t.Fatalf("%T cannot choose an algorithm", s)
				}
				sig, err := as.SignWithAlgorithm(rand.Reader, []byte("x"), algorithm)
				if err != nil || s.PublicKey().Verify([]byte("x"), sig) != nil {
					t.Errorf("%s: %v", open.Names[n], err)
				}
			}
			if (open.AgentProblem != nil) != (c.name == "file, agent gone") {
				t.Errorf("agent problem is %v", open.AgentProblem)
			}
		})
	}
}

// A format that does not show its public half: the file beside it does.
func TestSelect_publicKeyBeside(t *testing.T) {
	t.Parallel()
	private := privateKeys()["ecdsa p-256"]
	path := keyFile(t, formats(t, "ecdsa p-256")["pem encrypted"])
	source := sshkeys.Source{KeyFile: path, AgentSocket: startAgent(t, private)}
	if _, err := sshkeys.Select(t.Context(), source); !errors.As(err, new(*sshkeys.PassphraseError)) {
		t.Errorf("without the public key: %v", err)
	}
	public := signer(t, "ecdsa p-256").PublicKey()
	if err := os.WriteFile(path+".pub", ssh.MarshalAuthorizedKey(public), 0o600); err != nil {
		t.Fatal(err)
	}
	ids, err := sshkeys.Select(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	open, err := ids.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if len(open.Signers) != 1 || !bytes.Equal(open.Signers[0].PublicKey().Marshal(), public.Marshal()) {
		t.Errorf("offered %q", open.Names)
	}
}

func TestSelect_errors(t *testing.T) {
	t.Parallel()
	locked := keyFile(t, formats(t, "ed25519 -")["openssh encrypted"])
	var passphrase *sshkeys.PassphraseError
	for name, source := range map[string]sshkeys.Source{
		"no agent":                {KeyFile: locked},
		"an agent without keys":   {KeyFile: locked, AgentSocket: startAgent(t)},
		"an agent with other key": {KeyFile: locked, AgentSocket: startAgent(t, privateKeys()["rsa 2048"])},
	} {
		if _, err := sshkeys.Select(t.Context(), source); !errors.As(err, &passphrase) || passphrase.Wrong {
			t.Errorf("%s: %v", name, err)
		}
	}
	var problem *sshkeys.AgentError
	for reason, socket := range map[string]string{
		"no private key and no agent are given": "",
		"no such file or directory":             "/nonexistent/agent",
		"it has no key that can be used":        startAgent(t),
		"it does not answer":                    serveSocket(t, func(net.Conn) {}),
	} {
		_, err := sshkeys.Select(t.Context(), sshkeys.Source{AgentSocket: socket})
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), reason) || problem.Hint() == "" {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// An agent that hangs is left when the caller gives up.
func TestSelect_hangingAgent(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	socket := serveSocket(t, func(net.Conn) { <-done })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := sshkeys.Select(ctx, sshkeys.Source{AgentSocket: socket}); err == nil {
		t.Error("a hanging agent has answered")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	}
}
