package gitrepo_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// Every kind of key logs in to a real sshd, from a file and from an agent.
func TestLogin_keyKinds(t *testing.T) {
	t.Parallel()
	make := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	keys := map[string]crypto.Signer{
		"rsa":         make(rsa.GenerateKey(rand.Reader, 2048)),
		"ecdsa p-256": make(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"ecdsa p-384": make(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"ecdsa p-521": make(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"ed25519":     make(ed, err),
	}
	srv := gittest.Start(t)
	srv.AddRepo(repoName, readme())
	var authorized []string
	for _, k := range keys {
		public, err := ssh.NewPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		srv.Accounts().AddKey(public, "alice", gittest.Write)
		authorized = append(authorized, sshkeys.AuthorizedKey(public))
	}
	sshd, err := srv.StartOpenSSH(context.WithoutCancel(t.Context()),
		gittest.OpenSSHOptions{AuthorizedKeys: authorized})
	if errors.Is(err, gittest.ErrNoOpenSSH) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for kind, private := range keys {
		block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("p"))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "id")
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		for source, from := range map[string]sshkeys.Source{
			"file":          {KeyFile: path, Passphrase: secret.New("p")},
			"agent":         {AgentSocket: startAgent(t, private)},
			"file in agent": {KeyFile: path, AgentSocket: startAgent(t, private)},
		} {
			for server, remote := range map[string]gitrepo.Remote{
				"openssh": {URL: sshd.URL(repoName),
					Auth: gitrepo.SSHAuth{KnownHosts: knownHosts(t, sshd.KnownHosts())}},
				"ssh": {URL: srv.SSHURL(repoName),
					Auth: gitrepo.SSHAuth{KnownHosts: knownHosts(t, srv.KnownHosts())}},
			} {
				if server == "openssh" && source == "agent" {
					continue // the agent signs the same way when the key is chosen by a file
				}
				t.Run(kind+" "+source+" "+server, func(t *testing.T) {
					t.Parallel()
					ids, err := sshkeys.Select(t.Context(), from)
					if err != nil {
						t.Fatal(err)
					}
					auth, ok := remote.Auth.(gitrepo.SSHAuth)
					if !ok {
						t.Fatal("not SSH")
					}
					auth.Identities = ids
					remote.Auth = auth
					mustFetch(t, remote, "main")
				})
			}
		}
	}
}

func knownHosts(t testing.TB, content string) *sshkeys.KnownHosts {
	t.Helper()
	k, err := sshkeys.ParseKnownHosts([]byte(content), "known_hosts")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// startAgent serves an agent that holds one key, and returns its socket.
func startAgent(t *testing.T, private crypto.Signer) string {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private, Comment: "test"}); err != nil {
		t.Fatal(err)
	}
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
				agent.ServeAgent(ring, c) // ends with the connection
			}()
		}
	}()
	return socket
}

// A real sshd that shows a host certificate, and a file that knows the authority only.
func TestFetch_hostCertificate(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	srv.AddRepo(repoName, readme())
	key, authority, host := gittest.NewKey(t, gittest.ED25519), gittest.NewKey(t, gittest.ECDSA256),
		gittest.NewKey(t, gittest.ED25519)
	cert := &ssh.Certificate{Key: host.Public(), CertType: ssh.HostCert,
		ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority.Signer()); err != nil {
		t.Fatal(err)
	}
	hostFile, err := host.File(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hostFile+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	sshd, err := srv.StartOpenSSH(context.WithoutCancel(t.Context()), gittest.OpenSSHOptions{
		AuthorizedKeys: []string{key.AuthorizedKey()},
		ExtraConfig:    "HostKey " + hostFile + "\nHostCertificate " + hostFile + "-cert.pub",
	})
	if errors.Is(err, gittest.ErrNoOpenSSH) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	trusting := "@cert-authority [127.0.0.1]:* " + authority.AuthorizedKey() + "\n"
	mustFetch(t, gitrepo.Remote{URL: sshd.URL(repoName), Auth: sshAuth(t, key, trusting)}, "main")

	_, err = gitrepo.Fetch(t.Context(), gitrepo.Remote{URL: sshd.URL(repoName),
		Auth: sshAuth(t, key, "@revoked * "+host.AuthorizedKey()+"\n"+trusting)},
		"main")
	if e := asError[*git.HostKeyError](t, err); e.Problem != git.HostKeyRevoked {
		t.Errorf("error is %+v", e)
	}
}

// A port that takes connections and says nothing: the caller's context, and the limit, end the wait.
func TestFetch_silentPort(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	key := gittest.NewKey(t, gittest.ED25519)
	for _, remote := range []gitrepo.Remote{
		{URL: "https://" + ln.Addr().String() + "/x"},
		{URL: "ssh://git@" + ln.Addr().String() + "/x", Auth: sshAuth(t, key, "h "+key.AuthorizedKey())},
	} {
		scheme, _, _ := strings.Cut(remote.URL, ":")
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		start := time.Now()
		_, err := gitrepo.Fetch(ctx, remote, "main")
		cancel()
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > time.Second {
			t.Errorf("%s: %v after %s", scheme, err, took)
		}
		remote.Limits.Connect = 100 * time.Millisecond
		_, err = gitrepo.Fetch(t.Context(), remote, "main")
		if !errors.Is(err, git.ErrTransient) || !strings.Contains(err.Error(), "in time") {
			t.Errorf("%s: %T %v", scheme, err, err)
		}
	}
}

// What answers is another kind of server.
func TestFetch_wrongService(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	srv.AddRepo(repoName, readme())
	key := gittest.NewKey(t, gittest.ED25519)
	_, err := gitrepo.Fetch(t.Context(), gitrepo.Remote{URL: "https://" + srv.SSHAddr() + "/x"}, "main")
	contains(t, asError[*git.UnreachableError](t, err).Error(), "does not speak TLS")
	_, err = gitrepo.Fetch(t.Context(), gitrepo.Remote{URL: "ssh://git@" + srv.HTTPSAddr() + "/x",
		Auth: sshAuth(t, key, "h "+key.AuthorizedKey())},
		"main")
	if err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	t.Log(err)
}
